"""The record of a kind of result: all that the engine asks of it, from its parents to the size of its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch

from ...curves import Curve
from ...data.tasks import Task
from ...measures.alignment import Alignment
from ...reading import flattened, load_arrays
from ...unlearning.endpoints import Endpoint
from ...weights import Weights
from ..specs import DataSpec, Spec


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


ARRAYS = Form(".npz", 2**26, load_arrays, lambda file, arrays: np.savez_compressed(file, **arrays), flattened)


@dataclass(frozen=True)
class Kind:
    """A kind of result.

    ``parents(spec)`` are the results that ``compute(spec, store)`` reads, ``timed(spec)`` those whose seconds it reads.
    ``parts(result)`` are written in a ``form``; ``check(spec, parts)`` says what does not fit, in a few words, and
    ``whole(spec, parts, store)`` makes the result of them, None if they are it. ``describe(spec, inner)`` is a spec in
    a few words, its parts by ``inner``. Of a spec written by `specs.plain`, ``work(description, flops)`` are the
    operations that computing it takes, with those of a forward pass, and ``size(description)`` is its bytes.
    """

    spec: type
    parents: Callable[[Spec], tuple[Spec, ...]]
    compute: Callable[[Spec, Results], Any]
    check: Callable[[Spec, Any], str]
    describe: Callable[[Spec, Callable[[Spec], str]], str]
    work: Callable[[Mapping[str, Any], float], float]
    size: Callable[[Mapping[str, Any]], float]
    form: Form = ARRAYS
    parts: Callable[[Any], Any] = lambda result: result
    whole: Callable[[Spec, Any, Results], Any] | None = None
    timed: Callable[[Spec], tuple[Spec, ...]] = lambda spec: ()


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


def shaped(arrays: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], kinds: str = "fiu") -> str:
    """What is wrong with arrays that should have these shapes, in a few words; empty if nothing is."""
    if not shapes:
        return "it holds nothing"
    for name, shape in shapes.items():
        values = arrays.get(name)
        if values is None:
            return f"{name} is missing"
        if np.shape(values) != shape or np.asarray(values).dtype.kind not in kinds:
            return f"{name} is of shape {np.shape(values)} and dtype {values.dtype}, not of shape {shape}"
    return ""
