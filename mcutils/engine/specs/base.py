"""What every spec is: frozen settings, checked when they are made, and the key that they give to a result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any

from ...curricula import CURRICULA
from ...curves import CURVES
from ...data.corruptions import OUTSIDE
from ...data.cues import SETS
from ...errors import BadInput, choose, seed_of, share, shown, whole
from ...measures.alignment import MATCHINGS
from ...measures.ensembles import PLACEMENTS
from ...measures.metrics import METRICS
from ...measures.similarity import SIMILARITIES
from ...models.vision import MODELS
from ...optimizers import OPTIMIZERS
from ...plugins import CHANGED, identity
from ...traces import POLICIES, SPLITS
from ...unlearning.methods import METHODS

# By the name that a kind has in keys: its version, raised whenever the algorithm behind it gives other numbers, and the
# fields that were added when results had been kept already, which at their default are left out of keys.
VERSIONS: dict[str, int] = {}
LATER: set[tuple[str, str]] = set()
# The least that a field of this name may hold; 0 for any other whole number.
LOWEST = {"width": 1, "points": 1, "bootstrap": 1, "resolution": 2, "rows": 1, "directions": 1, "examples": 2}
# What a field of this name names, and what there is.
NAMES: dict[str, tuple[str, Iterable[str]]] = {
    "method": ("method", METHODS),
    "curriculum": ("curriculum", CURRICULA),
    "optimizer": ("optimizer", OPTIMIZERS),
    "model": ("model", MODELS),
    "metric": ("metric", METRICS),
    "kind": ("curve", CURVES),
    "measures": ("similarity", SIMILARITIES),
    "batchnorm": ("BatchNorm policy", POLICIES),
    "split": ("split", SPLITS),
    "shown": ("counterfactual set", SETS),
    "outside": ("images from outside", OUTSIDE),
    "placements": ("placement", PLACEMENTS),
    "by": ("matching", MATCHINGS),
}


class Once(type):
    """Classes whose equal arguments give one object, checked once: a study asks for the same specs over and over."""

    def __call__(cls, *given: Any, **named: Any) -> Any:
        # Within a tuple 1, 1.0 and True are alike to a cache, but not to a check.
        tuples = (v for v in (*given, *named.values()) if type(v) is tuple)
        if all(type(one) is str or isinstance(one, Checked) for values in tuples for one in values):
            try:
                return _once(cls, *given, **named)
            except TypeError:  # a list, or what no spec is made of
                pass
        return type.__call__(cls, *given, **named)


_once = lru_cache(maxsize=100_000, typed=True)(type.__call__)
CHANGED.append(_once.cache_clear)


@dataclass(frozen=True)
class Checked(metaclass=Once):
    """A spec whose fields are checked against their declared types when it is made.

    Whole numbers become int and shares float, lists tuples, so that equal specs have one key, and names are looked
    up. ``kind`` is the name that a class has in keys, ``later`` its fields in `LATER`.
    """

    def __init_subclass__(cls, kind: str, later: str = "") -> None:
        cls.kind_name = kind  # type: ignore[attr-defined]
        LATER.update((kind, name) for name in later.split())
        cls.__hash__ = Checked._hash  # type: ignore[assignment, method-assign]

    def _hash(self) -> int:
        """The hash of a dataclass, reckoned once: specs are nested, and looked up often."""
        found = self.__dict__.get("_hashed")
        if found is None:
            found = hash((type(self), *(getattr(self, field.name) for field in fields(self))))
            object.__setattr__(self, "_hashed", found)
        return found

    def __getstate__(self) -> dict[str, Any]:  # without the hash, which is another in each process
        return {name: value for name, value in self.__dict__.items() if name != "_hashed"}

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str) or value != field.default:
                object.__setattr__(self, field.name, _checked(field.name, str(field.type), value))
        self.agree()

    def agree(self) -> None:
        """Raise `BadInput` where fields, each right alone, do not go together."""


def _checked(name: str, declared: str, value: Any) -> Any:
    if declared.startswith("tuple["):
        if not isinstance(value, (tuple, list)):
            raise BadInput(f"{name} must be a list, got {shown(value)}.")
        inner = declared.removeprefix("tuple[").removesuffix(", ...]")
        return tuple(_checked(name, inner, one) for one in value)
    kinds = declared.split(" | ")
    if value is None and "None" in kinds:
        return None
    if "int" in kinds:
        drawn = name in ("seed", "init", "draw", "first")
        return seed_of(value, name) if drawn else whole(name, value, LOWEST.get(name, 0))
    if "float" in kinds:
        return share(name, value, zero=name in ("cue", "crossed"))
    if not {kind.__name__ for kind in type(value).__mro__} & set(kinds):
        allowed = " or ".join("a name" if kind == "str" else kind for kind in kinds)
        raise BadInput(f"{name} must be of kind {allowed}, got {shown(value)}.")
    if isinstance(value, str) and name in NAMES:
        choose(NAMES[name][0], value, NAMES[name][1])
    return value


Spec = Any


def plain(value: Any) -> Any:
    """A spec as nested dictionaries and lists, with the name and version of each kind."""
    return _described(value, plain)


def kind_of(spec: Spec) -> str:
    """The kind's name, in keys and provenance: Original, Retrained, Unlearned, Path, TraceOf, Profile, ..."""
    return name_of(type(spec))


def name_of(kind: type) -> str:
    """The name that a class of specs or settings has in keys: its own, or the one that kept results carry."""
    return getattr(kind, "kind_name", kind.__name__)


@lru_cache(maxsize=200_000)
def key(spec: Spec) -> str:
    """Name of a spec's result: its kind and the hash of its own settings and of its parents' keys."""
    return _name(_described(spec, _or_key))


CHANGED.append(key.cache_clear)


def key_of(description: Mapping[str, Any], known: dict[int, tuple[Any, Any]] | None = None) -> str:
    """The key of a spec written by `plain`, for example one read back from a result's provenance.

    ``known`` remembers what was reckoned of each object, where descriptions share theirs. Raises `BadInput` for what no
    spec is written as.
    """
    kind = description.get("spec") if isinstance(description, Mapping) else None
    if not isinstance(kind, str) or not kind.isidentifier():
        raise BadInput(f"a spec is described by a table that names its kind, got {shown(description)}.")
    try:
        found = _parent(description, {} if known is None else known)
        return found if isinstance(found, str) else _name(found)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"this description of a {kind} is none of a spec: {shown(str(error))}.") from None


def _parent(value: Any, known: dict[int, tuple[Any, Any]]) -> Any:
    """What stands for a part of a description in the key of the whole: a result's key, anything else as it is."""
    if not isinstance(value, (dict, list)):
        return value
    if id(value) not in known:
        if isinstance(value, list):
            found: Any = [_parent(inner, known) for inner in value]
        else:
            found = {name: _parent(inner, known) for name, inner in value.items()}
            if isinstance(value.get("spec"), str) and value["spec"] in VERSIONS:
                found = _name(found)
        known[id(value)] = value, found  # held, so that no other object is taken for it
    return known[id(value)][1]


def _or_key(value: Any) -> Any:
    return key(value) if isinstance(value, Checked) and kind_of(value) in VERSIONS else _described(value, _or_key)


def _described(value: Any, inner: Callable[[Any], Any]) -> Any:
    """One level of `plain`; ``inner`` describes the values of fields and the items of tuples."""
    if is_dataclass(value):
        name = kind_of(value)
        version = {"version": VERSIONS[name]} if name in VERSIONS else {}
        if hasattr(type(value), "traces"):  # reads those that its fields imply but do not hold
            version["traces"] = VERSIONS["TraceOf"]
        pairs = [(f, getattr(value, f.name)) for f in fields(value)]
        kept = [(f, v) for f, v in pairs if (name, f.name) not in LATER or v != f.default]
        table = {
            f.name: list(v) if f.type == "tuple[int, ...]" else inner(v if "int" in f.type else _number(v))
            for f, v in kept
        }
        return {"spec": name, **version, **_registered(value), **table}
    if isinstance(value, (tuple, list)):
        return [inner(_number(v)) for v in value]
    return value


def _registered(value: Any) -> dict[str, Any]:
    """The identities of what a spec names and somebody has registered; nothing for what belongs to the package."""
    found: dict[str, Any] = {}
    for field in (*NAMES, "dataset"):
        what = NAMES[field][0] if field in NAMES else field
        held = getattr(value, field, ())
        for name in (held,) if isinstance(held, str) else held if isinstance(held, tuple) else ():
            known = identity(what, name)
            found |= {f"{field}/{name}": known} if known else {}
    return {"registered": found} if found else {}


def _number(value: Any) -> Any:
    # 1 and 1.0 are equal but not the same text: equal specs must have one key, in every process.
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _name(description: Mapping[str, Any]) -> str:
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return f"{description['spec'].lower()}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"
