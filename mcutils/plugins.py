"""Registration: one decorator by which methods, metrics, curricula, optimisers, curves, models, ... join a table."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from .errors import BadInput, choose, path_of, shown, whole
from .identity import PACKAGE, identity_of, is_users

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Kind:
    """A kind of thing to register: its ``table``, ``entry(name, function, **options)`` that makes a row of it, and the
    arguments that a function of this kind ``takes``."""

    name: str
    table: dict[str, Any]
    entry: Callable[..., Any]
    takes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Registration:
    """Something registered; keys of results cover its ``identity``: module, name, version, digest of its code."""

    kind: str
    name: str
    function: Callable[..., Any]
    options: tuple[tuple[str, Any], ...]
    identity: tuple[tuple[str, Any], ...]


KINDS: dict[str, Kind] = {}
CHANGED: list[Callable[[], None]] = []  # called whenever a table has changed, for caches of what it says
REGISTERED: dict[tuple[str, str], Registration] = {}


def kind(name: str, table: dict[str, Any], entry: Callable[..., Any], takes: str, among: str = "") -> Kind:
    """Declare, beside its table, a kind whose functions are called with ``takes`` and share the names of ``among``."""
    KINDS[name] = Kind(among or name, table, entry, tuple(takes.split()))
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

    >>> import mcutils as mc
    >>> @mc.register("curriculum")
    ... def easy_first(losses, state):
    ...     return (-losses).exp()
    >>> ("curriculum", "easy_first") in REGISTERED
    True
    >>> forget("curriculum", "easy_first")
    """
    chosen = KINDS[choose("kind of thing to register", what, KINDS)]
    whole("version", version, 1)

    def add(function: Function) -> Function:
        called = function.__name__ if name is None and hasattr(function, "__name__") else name
        if not isinstance(called, str) or not called.isidentifier():
            raise BadInput(f"the name of a {what} is a word of letters, digits and underscores, got {shown(called)}.")
        if called in chosen.table and (chosen.name, called) not in REGISTERED:
            raise BadInput(f"the {what} {called!r} exists already: choose another name.")
        check_call(what, called, function, chosen.takes)
        named = ("module", function.__module__), ("name", getattr(function, "__qualname__", called))
        identity = (*named, ("version", version), ("code", identity_of(function, options)))
        adopt([Registration(what, called, function, tuple(sorted(options.items())), identity)])
        return function

    return add


def check_call(what: str, name: str, function: Callable[..., Any], takes: Iterable[str]) -> None:
    """Raise `BadInput` unless a function can be called with the arguments ``takes``; those with a star by name."""
    takes = list(takes)
    if not takes or not callable(function):
        return
    positional = [one for one in takes if not one.startswith("*")]
    named = {one.lstrip("*"): None for one in takes if one.startswith("*")}
    try:
        inspect.signature(function).bind(*positional, **named)
    except (TypeError, ValueError) as error:
        words = ", ".join([*positional, *(f"{one}=..." for one in named)])
        raise BadInput(f"the {what} {name!r} is called as {name}({words}), which it does not take: {error}.") from None


def adopt(registrations: Iterable[Registration]) -> None:
    """Put registrations into their tables, as a worker does with those of its driver."""
    for one in registrations:
        chosen = KINDS[one.kind]
        known = REGISTERED.get((chosen.name, one.name))
        if known is not None and (known.kind, known.identity) == (one.kind, one.identity):
            continue
        try:
            made = chosen.entry(one.name, one.function, **dict(one.options))
        except TypeError as error:
            raise BadInput(f"the {one.kind} {one.name!r} cannot be registered: {error}.") from None
        chosen.table[one.name] = made
        REGISTERED[chosen.name, one.name] = one
        for tell in CHANGED:
            tell()


def forget(what: str, name: str) -> None:
    """Take something registered out of its table again."""
    if REGISTERED.pop((what, name), None) is None:
        raise BadInput(f"no {what} named {shown(name)} has been registered.")
    del KINDS[what].table[name]
    for tell in CHANGED:
        tell()


def identity(what: str, name: str) -> dict[str, Any] | None:
    """What the key of a result says of something registered; None for what belongs to the package."""
    found = REGISTERED.get((what, name))
    return None if found is None else dict(found.identity)


def packaged(what: str, names: Iterable[str]) -> list[str]:
    """Those of the names of a kind that belong to the package, in order: what results kept before cover."""
    return [name for name in names if identity(what, name) is None]


def packed() -> bytes:
    """All registrations for another process, functions by value, so that it needs none of your modules; or nothing."""
    if not REGISTERED:
        return b""
    import cloudpickle

    named = {str(getattr(one.function, "__module__", "")).partition(".")[0] for one in REGISTERED.values()}
    mine = [sys.modules[name] for name in sorted(named - {"__main__", PACKAGE}) if name in sys.modules]
    by_value = [module for module in mine if module.__name__ not in cloudpickle.list_registry_pickle_by_value()]
    for module in by_value:
        cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(list(REGISTERED.values()))
    except Exception as error:  # whatever a user's function holds may refuse in its own way
        names = ", ".join(f"{kind} {name!r}" for kind, name in REGISTERED)
        raise BadInput(f"what is registered ({names}) cannot be sent to workers: {shown(error)}.") from error
    finally:
        for module in by_value:
            cloudpickle.unregister_pickle_by_value(module)


def unpacked(registrations: bytes) -> list[Registration]:
    """Inverse of `packed`, for what came over a connection that Dask trusts."""
    import cloudpickle

    return cloudpickle.loads(registrations) if registrations else []


def load_plugins() -> None:
    """Import what installed packages name in the entry-point group ``mcutils.plugins``; one that fails says so.

    So are the modules and ``.py`` files that the environment's ``MCUTILS_PLUGINS`` lists, separated by commas. What
    they print goes to stderr, since stdout may be JSON; one that calls ``sys.exit`` ends the program as bad input does.
    """
    from importlib.metadata import entry_points

    points = sorted(entry_points(group="mcutils.plugins"), key=lambda one: (one.name, one.value))
    wanted = [(f"{point.name} ({point.value})", point.load) for point in points]
    listed = [one.strip() for one in os.environ.get("MCUTILS_PLUGINS", "").split(",") if one.strip()]
    wanted += [(one, partial(load_module, one)) for one in listed]
    for name, load in wanted:
        try:
            with redirect_stdout(sys.stderr):
                load()
        except SystemExit as error:
            print(f"mcutils: the plugin {name} ends the program by sys.exit({error.code!r}).", file=sys.stderr)
            raise SystemExit(2) from None
        except Exception as error:  # somebody else's code: whatever it raises, the rest must still work
            what = error if isinstance(error, BadInput) else shown(error)
            print(f"mcutils: the plugin {name} is left out: {what}", file=sys.stderr)


def shadows(path: Path) -> bool:
    """Whether a file has the name of a module of Python or of an installed package, other than itself."""
    name = path.stem.partition(".")[0]
    try:
        found = find_spec(name)
    except ValueError:  # __main__
        return True
    installed = found is not None and found.origin not in (None, str(path)) and not is_users(name)
    return installed or name in sys.stdlib_module_names


def load_module(name: str) -> ModuleType:
    """Import a module by name, or a ``.py`` file by its path, once; no file takes the place of an installed module."""
    if not name.endswith(".py"):
        return import_module(name)
    path = path_of(name).resolve()
    if shadows(path):
        raise BadInput(f"{shown(str(path))} has the name of an installed module: rename it.")
    if path.stem not in sys.modules or getattr(sys.modules[path.stem], "__file__", "") != str(path):
        spec = spec_from_file_location(path.stem, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise BadInput(f"there is no Python file {shown(str(path))}.")
        sys.modules[path.stem] = module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[path.stem])
        except BaseException:
            del sys.modules[path.stem]
            raise
    return sys.modules[path.stem]
