"""What a description of a spec, as `specs.plain` writes it, says of its data, its network and their size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from typing import Any, TypeVar

import torch

from ...data.shadows import sizes as shadow_sizes
from ...data.tasks import RETAIN_EVAL_SIZE, SHAPES, VALID_FRACTION, Task
from ...errors import BadInput, shown, whole
from ...models.vision import build
from ...plugins import CHANGED
from .data import DataSpec

# What reading a description that is none of a spec raises, and building a network of impossible sizes.
ODD = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RuntimeError)
Reader = TypeVar("Reader", bound=Callable[..., Any])


def readable(reader: Reader) -> Reader:
    """A reader of what `plain` wrote that raises `BadInput`, and nothing else, for any other table."""

    @wraps(reader)
    def read(description: Mapping[str, Any], *more: Any) -> Any:
        try:
            return reader(description, *more)
        except BadInput:
            raise
        except ODD as error:
            raise BadInput(f"{shown(description)} is no description of a spec ({shown(error)}).") from None

    return read  # type: ignore[return-value]


@readable
def data_of(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data of a spec written by `plain`: its own, or that of what it is made from."""
    return _naming(description, "data", Mapping, "data")["data"]


@readable
def network_of(description: Mapping[str, Any]) -> tuple[str, int]:
    """The architecture and width of a spec written by `plain`."""
    found = _naming(description, "model", str, "network")
    return found["model"], whole("width", found["width"], 1)


def _naming(description: Mapping[str, Any], field: str, kind: type, what: str) -> Mapping[str, Any]:
    """The spec itself, or else the most telling of those that it is made from, that has such a field."""
    if isinstance(description.get(field), kind):
        return description
    parts = [description.get(name) for name in ("origin", "start", "endpoint", "model", "trace")]
    for part in (*parts, *description.get("models", ())):
        if isinstance(part, Mapping):
            return _naming(part, field, kind, what)
    raise BadInput(f"a {description.get('spec')} names no {what}.")


def form_of(data: Mapping[str, Any]) -> tuple[tuple[int, ...], int]:
    """Shape of an example of a spec's data and the number of classes; loads what is not built in."""
    if data["dataset"] in SHAPES:
        return SHAPES[data["dataset"]][2:]
    task = _task_of(data)
    if isinstance(task.x, Mapping):
        raise BadInput(f"the examples of {task.dataset} are several tensors each, whose cost is not known.")
    return tuple(task.x.shape[1:]), task.n_classes


def _task_of(data: Mapping[str, Any], forget: float | None = None) -> Task:
    named = data["dataset"], data["train_size"], data["test_size"], data["checksum"]
    found = DataSpec(*named, shadow=data.get("shadow"))
    return found.pool if forget is None else found.task(forget)


@lru_cache(maxsize=64)
def cost_of(model: str, width: int, shape: tuple[int, ...], classes: int) -> tuple[float, int]:
    """Floating-point operations of a forward pass of one example, and the number of a network's parameters."""
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with torch.device("meta"):
            net = build(model, shape[0], classes, seed=0, width=width).eval()
        with FlopCounterMode(display=False) as counter:
            net(torch.empty(1, *shape, device="meta"))
    except (RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"a {model} of width {width} does not take examples of shape {shape}.") from None
    return float(counter.get_total_flops()), sum(p.numel() for p in net.parameters())


CHANGED.append(cost_of.cache_clear)


def cost(description: Mapping[str, Any]) -> tuple[float, int]:
    """Operations of a forward pass through a spec's network, and the number of its parameters."""
    return cost_of(*network_of(description), *form_of(data_of(description)))


@readable
def evaluated(data: Mapping[str, Any], forget: float, splits: Sequence[str] = ()) -> int:
    """Examples in a trace of a task: retain sample, forget set, validation and test, or some of these ``splits``."""
    if data["dataset"] in SHAPES:
        train, test, *_ = SHAPES[data["dataset"]]
        train, test = int(data["train_size"]) or train, int(data["test_size"]) or test
        valid = round(VALID_FRACTION * train)
        lost = round(forget * (train - valid))
        kept = train - valid - lost
        if data.get("shadow") is not None:
            each = shadow_sizes(train - valid)
            lost, kept = each["forget"] // 2, each["core"]
        retain = min(RETAIN_EVAL_SIZE, kept // 2)
        sizes = {"retain": retain, "forget": lost, "valid": valid, "test": test}
    else:
        sizes = {split: len(rows) for split, rows in _task_of(data, forget).evaluation.items()}
    return sum(sizes[split] for split in splits or sizes)
