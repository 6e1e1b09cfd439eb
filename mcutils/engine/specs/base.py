"""What every spec is: frozen settings, checked when made, whose key names a result; and what every kind of it has."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch

from ... import reading, weights as weights_module
from ...curricula import CURRICULA
from ...curves import CURVES, Curve
from ...data.corruptions import OUTSIDE
from ...data.cues import SETS
from ...data.tasks import Task
from ...errors import BadInput, choose, seed_of, share, shown, whole
from ...measures.alignment import MATCHINGS, Alignment
from ...measures.ensembles import PLACEMENTS
from ...measures.metrics import METRICS
from ...measures.similarity import SIMILARITIES
from ...models.vision import MODELS
from ...optimizers import OPTIMIZERS
from ...plugins import CHANGED, identity
from ...traces import POLICIES, SPLITS
from ...unlearning.endpoints import Endpoint
from ...unlearning.methods import METHODS
from ...weights import Weights

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

    def parents(self) -> tuple[Spec, ...]:
        """The results that computing it reads: those that its fields hold, in order."""
        values = [getattr(self, field.name) for field in fields(self)]
        every = (one for value in values for one in (value if isinstance(value, tuple) else (value,)))
        return tuple(one for one in every if isinstance(one, Result))


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


REPLICATES = 1e7  # floating-point operations that one bootstrap replicate at one point is worth, about
BACKWARD = 2  # forward passes that a backward pass is worth
SMALL = 10_000  # bytes of a few short arrays


class Results(Protocol):
    """What a kind needs of a store: results and the CPU seconds that they took."""

    def get(self, spec: Spec, /) -> Any: ...
    def seconds(self, spec: Spec, /) -> float: ...


@dataclass(frozen=True)
class Form:
    """A format of files: ``load(file, limit)``, ``save(file, parts)`` and the bytes of a point or network at most.

    ``archived(data)`` are the bytes of the same result in an archive, which is compressed as a whole.
    """

    suffix: str
    each: int
    load: Callable[[BinaryIO, int], Any]
    save: Callable[[BinaryIO, Any], Any]
    archived: Callable[[bytes], bytes] = lambda data: data


ARRAYS = Form(
    ".npz", 2**26, reading.load_arrays, lambda file, arrays: np.savez_compressed(file, **arrays), reading.flattened
)


def _load_weights(file: BinaryIO, limit: int) -> tuple[list[Weights], dict[str, str]]:
    data = file.read()
    return weights_module.load(io.BytesIO(data)), weights_module.header(data)


WEIGHTS = Form(
    ".safetensors", 2**32, _load_weights, lambda file, parts: weights_module.save(file, parts[0], **parts[1])
)


# By the name that keys and provenance carry; in lower case it begins the names of files.
KINDS: dict[str, type[Result]] = {}
SUFFIXES: dict[str, str] = {}


class Result(Checked, kind=""):
    """A spec of a result, and all that the engine asks of its kind; to write one is to add a kind.

    A result has ``parts``, which are written in a ``form`` and checked. ``work(d, flops)`` are the operations that
    computing it takes, given those of a forward pass, and ``size(d)`` its bytes, both of a spec as `plain` wrote it.
    ``like`` names the kind whose speed counts where no run was recorded; ``composed``: to load it is to load parents.
    """

    form, like, composed = ARRAYS, "", False

    def __init_subclass__(cls, kind: str, version: int = 1, later: str = "") -> None:
        super().__init_subclass__(kind, later)
        if kind:
            VERSIONS[kind], KINDS[kind], SUFFIXES[kind.lower()] = version, cls, cls.form.suffix

    def timed(self) -> tuple[Spec, ...]:
        """The results whose seconds computing it reads."""
        return ()

    def compute(self, store: Results) -> Any:
        """The result, of parents in the store."""
        raise NotImplementedError

    @staticmethod
    def parts(result: Any) -> Any:
        """What is written of a result."""
        return result

    def check(self, found: Any) -> str:
        """What does not fit in parts that should be this result's, in a few words; empty if nothing."""
        raise NotImplementedError

    def whole(self, parts: Any, store: Results) -> Any:
        """The result of its parts."""
        return parts

    def describe(self) -> str:
        """The spec in a few words."""
        first = getattr(self, fields(self)[0].name)
        if isinstance(first, tuple):
            return f"{kind_of(self)} of {len(first)} models from {first[0].describe()} on"
        return f"{kind_of(self)} of {first.describe()}"

    @staticmethod
    def work(d: Mapping[str, Any], flops: float) -> float:
        raise NotImplementedError

    @staticmethod
    def size(d: Mapping[str, Any]) -> float:
        return SMALL


def device() -> str:
    """Where results are computed: the GPU that this process sees, else the processor."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def task_of(data: Any, forget: float | None = None) -> Task:
    """The task on the device of the computation; without ``forget``, any with the data's pool and BatchNorm rows."""
    found = data.pool if forget is None else data.task(forget)
    return found if device() == "cpu" else found.to(device())


def loaded(store: Results, spec: Spec) -> Any:
    """A parent's result, its weights on the device of the computation; of an aligned model these weights."""
    found, where = store.get(spec), device()
    found = found.weights if isinstance(found, Alignment) else found
    if where == "cpu" or not isinstance(found, (Weights, Endpoint, Curve)):
        return found
    if isinstance(found, Curve):
        return replace(found, points=tuple(p.to(where) for p in found.points))
    if isinstance(found, Endpoint):
        return replace(found, weights=found.weights.to(where), origin=found.origin.to(where))
    return found.to(where)


def shaped(arrays: Mapping[str, Any], shapes: Mapping[str, tuple[int | str, ...]], kinds: str = "fiu") -> str:
    """What is wrong with arrays that should have these shapes, in a few words; empty if nothing is.

    A side with a name is as long as the first one of that name.
    """
    sides: dict[int | str, int] = {}
    for name, shape in shapes.items():
        if name not in arrays:
            return f"{name} is missing"
        found, wanted, dtype = np.shape(arrays[name]), shape, np.asarray(arrays[name]).dtype
        if len(found) == len(shape):
            wanted = tuple(n if isinstance(n, int) else sides.setdefault(n, k) for n, k in zip(shape, found))  # noqa: B905
        if found != wanted or dtype.kind not in kinds:
            return f"{name} is of shape {found} and dtype {dtype}, not of shape {wanted}"
    return "" if shapes else "it holds nothing"


def limit_of(name: str, settings: Mapping[str, Any]) -> int:
    """Bytes that a result of this kind, with these settings of its spec, may have."""
    steps = settings.get("steps")
    count = len(steps) if isinstance(steps, (list, tuple)) else 0
    count = count or settings.get("points") or settings.get("control_points") or 1
    each = (KINDS[name].form if name in KINDS else WEIGHTS).each
    return each * (count if isinstance(count, int) and count > 0 else 1)


def read(path: Path, name: str, settings: Mapping[str, Any]) -> Any:
    """What a result's file holds; raises what readers of its format do."""
    limit = limit_of(name, settings)
    return KINDS[name].form.load(io.BytesIO(reading.read(path, limit)), limit)
