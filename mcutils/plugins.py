"""Registration: one decorator by which methods, metrics, curricula, optimisers, curves, models, ... join a table.

What is registered has an identity (module, name, declared version, digest of its code) that keys of results cover.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import BadInput, choose, shown, whole
from .identity import identity_of

GROUP = "mcutils.plugins"
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Kind:
    """A kind of thing to register: its ``table``, and ``entry(name, function, **options)`` that makes a row of it."""

    name: str
    table: dict[str, Any]
    entry: Callable[..., Any]


@dataclass(frozen=True)
class Registration:
    """Something registered: what a worker needs to have it too; ``identity`` is what keys of results cover."""

    kind: str
    name: str
    function: Callable[..., Any]
    options: tuple[tuple[str, Any], ...]
    identity: tuple[tuple[str, Any], ...]


KINDS: dict[str, Kind] = {}
REGISTERED: dict[tuple[str, str], Registration] = {}


def kind(name: str, table: dict[str, Any], entry: Callable[..., Any]) -> Kind:
    """Declare a kind; the module that holds its table does so."""
    KINDS[name] = Kind(name, table, entry)
    return KINDS[name]


def register(what: str, name: str | None = None, *, version: int = 1, **options: Any) -> Callable[[Function], Function]:
    """Decorator that adds a function to the table of a kind, so that every experiment can use it by name.

    A name that the package itself uses is taken; one of your own may be registered again, as by running a notebook's
    cell twice. The function must be one whose code names all it needs (see `identity_of`).

    Args:
        what: ``method``, ``metric``, ``curriculum``, ``optimizer``, ``curve``, ``model``, ``similarity``, ...
        name: what it is called; the function's own name where None.
        version: raise it where the numbers change though the code does not, as with another version of a library.
        options: what the entry of that kind takes beside its function.

    Raises:
        BadInput: an unknown kind, a taken or odd name, an option that the kind does not take, code without identity.
    """
    chosen = KINDS[choose("kind of thing to register", what, KINDS)]
    whole("version", version, 1)

    def add(function: Function) -> Function:
        called = function.__name__ if name is None and hasattr(function, "__name__") else name
        if not isinstance(called, str) or not called.isidentifier():
            raise BadInput(f"the name of a {what} is a word of letters, digits and underscores, got {shown(called)}.")
        if called in chosen.table and (what, called) not in REGISTERED:
            raise BadInput(f"the {what} {called!r} exists already: choose another name.")
        named = ("module", function.__module__), ("name", getattr(function, "__qualname__", called))
        identity = (*named, ("version", version), ("code", identity_of(function, options)))
        adopt([Registration(what, called, function, tuple(sorted(options.items())), identity)])
        return function

    return add


def adopt(registrations: Iterable[Registration]) -> None:
    """Put registrations into their tables, as a worker does with those of its driver."""
    for one in registrations:
        known = REGISTERED.get((one.kind, one.name))
        if known is not None and known.identity == one.identity:
            continue
        chosen = KINDS[one.kind]
        try:
            made = chosen.entry(one.name, one.function, **dict(one.options))
        except TypeError as error:
            raise BadInput(f"the {one.kind} {one.name!r} cannot be registered: {error}.") from None
        chosen.table[one.name] = made
        REGISTERED[one.kind, one.name] = one


def forget(what: str, name: str) -> None:
    """Take something registered out of its table again."""
    if REGISTERED.pop((what, name), None) is None:
        raise BadInput(f"no {what} named {shown(name)} has been registered.")
    del KINDS[what].table[name]


def identity(what: str, name: str) -> dict[str, Any] | None:
    """What the key of a result says of something registered; None for what belongs to the package."""
    found = REGISTERED.get((what, name))
    return None if found is None else dict(found.identity)


def load_plugins() -> None:
    """Import what installed packages name in the entry-point group ``mcutils.plugins``; one that fails says so."""
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=GROUP), key=lambda one: (one.name, one.value)):
        try:
            point.load()
        except Exception as error:  # somebody else's code: whatever it raises, the rest must still work
            print(f"mcutils: the plugin {point.name} ({point.value}) is left out: {shown(error)}", file=sys.stderr)
