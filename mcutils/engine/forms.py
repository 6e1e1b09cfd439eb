"""What a result and its provenance look like: whatever has passed a checksum is compared with its spec."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from pathlib import Path as FilePath
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from .. import reading
from ..errors import LARGEST_SEED
from .specs import KINDS, LATER, SUFFIXES, VERSIONS, key_of, name_of

LARGEST_NOTE = 2**24  # bytes of a result's provenance
DEEPEST = 48  # levels of a description; that of a profile of a curve has some ten
OTHER, NONSENSE = "its provenance is of another result", "its provenance describes no result"


def is_result(name: str, note: bool = False) -> bool:
    """Whether a file name is that of a result's data, or, if asked for, of its provenance."""
    found = reading.NAME.fullmatch(name)
    known = SUFFIXES.get(found[1]) if found else None
    return known is not None and name.endswith(".json" if note else known)


def data_path(note: FilePath) -> FilePath:
    """The data file beside a provenance file."""
    return note.with_suffix(SUFFIXES[note.name.split("-")[0]])


# Provenance


def read_note(path: FilePath) -> dict[str, Any]:
    """The provenance of a result's data file; raises `OSError`, or `ValueError` for what is none."""
    text = reading.read(path.with_suffix(".json"), LARGEST_NOTE)
    try:
        note = json.loads(text, parse_constant=_no_number)
        _check_depth(note)
        seconds, spec = note["seconds"], note["spec"]
        texts = [note["key"], note["sha256"], note.get("created", ""), *note.get("versions", {}).values()]
        right = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 <= float(seconds) < math.inf
        if not right or not isinstance(spec, dict) or not all(isinstance(t, str) and t.isprintable() for t in texts):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ValueError("its provenance cannot be read") from None
    return note


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _check_depth(value: Any, left: int = DEEPEST) -> None:
    if left == 0:
        raise ValueError("nested too deeply")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(inner, (dict, list)):
            _check_depth(inner, left - 1)


def misnamed(path: FilePath, note: Mapping[str, Any], asked: bool = False) -> str:
    """What is wrong between a result's name and its provenance, in a few words; empty if nothing is.

    The name that a spec has given is ``asked`` for: a description with the same key is that spec's.
    """
    try:
        said = note["key"], key_of(note["spec"])
    except (KeyError, TypeError, AttributeError):
        return "its provenance cannot be read"
    if said != (path.stem, path.stem):
        return OTHER
    spec = note["spec"]
    kind = KINDS.get(str(spec["spec"]))
    return "" if asked or outdated(spec) or (kind and _fits(spec, kind)) else NONSENSE


def outdated(description: Any, known: dict[int, tuple[Any, bool]] | None = None) -> bool:
    """Whether a spec written by `plain` names a version that this code no longer makes, at any depth.

    ``known`` remembers what was found of each object, where descriptions share theirs.
    """
    if not isinstance(description, (dict, list)):
        return False
    known = {} if known is None else known
    if id(description) not in known:
        parts: Iterable[Any] = description
        old = False
        if isinstance(description, dict):
            traces = VERSIONS["TraceOf"]
            old = description.get("version") != VERSIONS.get(str(description.get("spec")))
            old = old or description.get("traces", traces) != traces
            # What somebody registered has versions of its own.
            parts = (value for name, value in description.items() if name != "registered")
        known[id(description)] = description, old or any(outdated(part, known) for part in parts)
    return known[id(description)][1]


_hints = lru_cache(maxsize=64)(get_type_hints)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value read from JSON is what a field of this type is written as by `specs.plain`."""
    inner, kind = get_args(hint), get_origin(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if kind is tuple:
        if not isinstance(value, list):
            return False
        if inner[-1] is Ellipsis:
            return all(_fits(one, inner[0]) for one in value)
        return len(value) == len(inner) and all(map(_fits, value, inner))
    if is_dataclass(hint) and isinstance(hint, type):
        return isinstance(value, dict) and value.get("spec") == name_of(hint) and _fields_fit(json.dumps(value), hint)
    if hint is Any:
        return any(_fits(value, one) for one in (bool, float, str, type(None), tuple[Any, ...]))
    if hint is bool or isinstance(value, bool):
        return hint is bool and isinstance(value, bool)
    if hint in (int, float):
        number = isinstance(value, int) or (hint is float and isinstance(value, float) and math.isfinite(value))
        return number and abs(value) <= LARGEST_SEED
    return isinstance(value, hint) and (hint is not str or value.isprintable())


@lru_cache(maxsize=10_000)  # the specs of one store have most of their parents in common
def _fields_fit(text: str, kind: type) -> bool:
    value, hints = json.loads(text), _hints(kind)
    left_out = {name for name in hints if name not in value and (name_of(kind), name) in LATER}
    named = hints.keys() - left_out <= value.keys()
    return named and all(_fits(value[name], one) for name, one in hints.items() if name not in left_out)
