"""The base of all kinds of results: one class each says what names a result, makes it, checks it and prices it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch

from ... import reading, weights as weights_module
from ...curves import Curve
from ...data.tasks import Task
from ...measures.alignment import Alignment
from ...unlearning.endpoints import Endpoint
from ...weights import Weights
from .base import VERSIONS, Checked, Spec, kind_of
from .data import DataSpec

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


def _load_weights(file: BinaryIO, limit: int) -> tuple[list[Weights], dict[str, str]]:  # noqa: ARG001
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

    def parents(self) -> tuple[Spec, ...]:
        """The results that computing it reads: those that its fields hold, in order."""
        values = [getattr(self, field.name) for field in fields(self)]
        every = (one for value in values for one in (value if isinstance(value, tuple) else (value,)))
        return tuple(one for one in every if isinstance(one, Result))

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

    def whole(self, parts: Any, store: Results) -> Any:  # noqa: ARG002
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
        raise NotImplementedError


def device() -> str:
    """Where results are computed: the GPU that this process sees, else the processor."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def task_of(data: DataSpec, forget: float | None = None) -> Task:
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
