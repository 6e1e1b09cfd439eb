"""Bad input, said in one sentence, and the checks that every public function shares."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

LARGEST_SEED = 2**63 - 1
LONGEST = 400  # characters of a list of names that a message tells whole
# What steers a terminal, turns the direction of what is written, or cannot be written.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class BadInput(ValueError):
    """What was given is not allowed; the message is one sentence saying what is.

    >>> whole("steps", 1.5)
    Traceback (most recent call last):
    mcutils.errors.BadInput: steps must be a whole number of at least 0, got 1.5.
    """

    def __init__(self, message: str):
        super().__init__(visible(message))


def visible(text: str) -> str:
    """A text with control and direction marks and lone surrogates, which names of files may hold, written out."""
    return UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def shown(value: Any, limit: int = 80) -> str:
    """A value as a message shows it: its repr on one line, cut to ``limit`` characters."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a repr of somebody else's class may fail in any way
        text = f"a {type(value).__name__}"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def reason(error: BaseException) -> str:
    """The first line of an error's message without its full stop, or else the error's type.

    >>> reason(ValueError("no such file."))
    'no such file'
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip().rstrip(".: ")


def instance(name: str, value: Any, kinds: type | tuple[type, ...], what: str) -> Any:
    """Return ``value`` if it is of one of the types, else raise `BadInput` saying ``what`` it must be."""
    if isinstance(value, kinds):
        return value
    simple = value is None or isinstance(value, (str, bytes, bool, int, float, complex))
    raise BadInput(f"{name} must be {what}, got {shown(value) if simple else f'one of type {type(value).__name__}'}.")


def callback(value: Any, name: str = "progress") -> Any:
    """Return None or something that can be called, or raise `BadInput`."""
    return value if callable(value) else instance(name, value, type(None), "a function or None")


def choose(kind: str, name: Any, allowed: Iterable[str]) -> str:
    """Return ``name`` if it is allowed, else raise `BadInput` listing what is, or of many the likest."""
    allowed = list(allowed)
    if isinstance(name, str) and name in allowed:
        return name
    listed = ", ".join(allowed)
    if len(listed) > LONGEST:
        listed = f"{len(allowed)}, such as {', '.join(difflib.get_close_matches(str(name), allowed, 5, 0))}"
    raise BadInput(f"unknown {kind} {shown(name)}: choose one of {listed}.")


def whole(name: str, value: Any, low: int = 0, high: int | None = None) -> int:
    """Return a whole number from ``low`` to ``high`` as an int, or raise `BadInput`; True and 1.0 are none."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        found = int(value)
        if low <= found and (high is None or found <= high):
            return found
    allowed = f"of at least {low:,}" if high is None else f"from {low:,} to {high:,}"
    raise BadInput(f"{name} must be a whole number {allowed}, got {shown(value)}.")


def seed_of(value: Any, name: str = "seed") -> int:
    """Return a seed, a whole number from 0 to 2^63 - 1, as an int, or raise `BadInput`."""
    return whole(name, value, 0, LARGEST_SEED)


def number(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite number from ``low`` to ``high`` as a float, or raise `BadInput`; True is none."""
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if math.isfinite(found) and low <= found <= high:
            return found
    bounds = [f"at least {low:g}"] * math.isfinite(low) + [f"at most {high:g}"] * math.isfinite(high)
    of = f" of {' and '.join(bounds)}" if bounds else ""
    raise BadInput(f"{name} must be a finite number{of}, got {shown(value)}.")


def share(name: str, value: Any, *, zero: bool = False, one: bool = False) -> float:
    """Return a share between 0 and 1 as a float, or raise `BadInput`; ``zero`` and ``one`` let the ends count."""
    if isinstance(value, Real) and not isinstance(value, bool):
        found = float(value)
        if 0 < found < 1 or (zero and found == 0) or (one and found == 1):
            return found
    ends = {(True, True): ", both allowed", (True, False): ", 0 allowed", (False, True): ", 1 allowed"}
    raise BadInput(f"{name} must be a share between 0 and 1{ends.get((zero, one), '')}, got {shown(value)}.")


def flag(name: str, value: Any) -> bool:
    """Return True or False as given, or raise `BadInput` for anything else."""
    if isinstance(value, bool):
        return value
    raise BadInput(f"{name} must be True or False, got {shown(value)}.")


def path_of(value: Any, name: str = "path") -> Path:
    """Return a path with ``~`` expanded, or raise `BadInput` for what names no path."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else ""
    if not isinstance(text, str) or not text or "\0" in text:
        raise BadInput(f"{name} must name a file or folder, got {shown(text or value)}.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise BadInput(f"{name} {shown(text)} begins with the home folder of a user who is not known here.") from None
