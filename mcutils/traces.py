"""Traces: the logits of every evaluation example at every t of a curve, stored once and measured for ever."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import nn

from . import weights
from .curves import Curve, check_buffers, points_of, weights_at
from .data.tasks import SPLITS as SPLITS, Inputs, Task, check_finite, count, joined, take, to
from .errors import BadInput, choose, flag, whole
from .networks import check_task
from .quantisation import LEAST_BITS, MOST_BITS, quantised
from .reading import LARGEST_ARRAYS, differences as bent_of, load_groups, opened, save_groups, summed
from .trajectories import Trajectory
from .unlearning.endpoints import Endpoint
from .weights import BATCHNORM, Weights, buffers_in, check_logits, chunks, mix, module_of, running_layers, write

BATCH = 128
REFRESHED = ("retain", "full")
POLICIES = ("none", *REFRESHED, "interpolated")
DIFFERENCES = "differences"  # the group of logits that are written so
Arrays = dict[str, np.ndarray]  # by split


@dataclass(frozen=True)
class Trace:
    """Logits of T points for the examples of four splits, or of some of them.

    ``t`` (T,) in [0, 1]; ``logits[split]`` (T, N, K) float16 or float32; ``labels[split]`` and ``index[split]`` (N,)
    int64, the latter being rows of ``Task.x``; ``meta`` says how the trace was made. A single model has T = 1, t = [0].

    >>> import io
    >>> parts = {split: np.zeros(2, dtype=np.int64) for split in SPLITS}
    >>> logits = {split: np.zeros((1, 2, 10)) for split in SPLITS}
    >>> made = Trace(np.array([0.0]), logits, parts, parts, {"kind": "model"})
    >>> made.save(file := io.BytesIO())
    >>> Trace.load(file).meta
    {'kind': 'model'}
    """

    t: np.ndarray
    logits: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    index: Mapping[str, np.ndarray]
    meta: Mapping[str, str]

    def save(self, path: str | Path | BinaryIO, differences: bool = False) -> None:
        """Write the trace as a compressed npz without pickle.

        ``differences``: logits are written as the second differences along t of their bits, read as whole numbers,
        which loses nothing and is half as large when compressed.
        """
        bent = {split: bent_of(v) for split, v in self.logits.items()} if differences else {}
        logits = {} if differences else self.logits
        groups = {"logits": logits, DIFFERENCES: bent, "labels": self.labels, "index": self.index}
        save_groups(path, {"t": self.t}, self.meta, **groups)

    def only(self, splits: Collection[str]) -> Trace:
        """The trace of some of its splits."""
        groups = self.logits, self.labels, self.index
        logits, labels, index = ({split: one[split] for split in one if split in splits} for one in groups)
        return Trace(self.t, logits, labels, index, self.meta)

    @staticmethod
    def load(path: str | Path | BinaryIO, limit: int = LARGEST_ARRAYS) -> Trace:
        """Read a trace written by `save`, of at most ``limit`` bytes; nothing is unpickled."""
        with opened(path, "a trace") as file:
            found = load_groups(file, limit, "logits", DIFFERENCES, "labels", "index")
            found["logits"] |= {split: summed(values) for split, values in found.pop(DIFFERENCES).items()}
            return Trace(**found)


def refresh_rows(task: Task, policy: str) -> torch.Tensor:
    """Rows of the images that BatchNorm statistics are estimated on: ``retain`` data, or the ``full`` training pool.

    Both are as many; ``full`` takes evenly spaced rows of the pool, so that D_f has its natural share: with it, data to
    be forgotten re-enters every point of a curve.
    """
    choose("BatchNorm policy", policy, REFRESHED)
    rows = task.index["bn"]
    if policy == "retain":
        return rows
    pool = task.index["train"]
    return pool[torch.linspace(0, len(pool) - 1, len(rows)).round().long().to(pool.device)]


# Whatever an evaluation may differ in has a name.
def trace(  # noqa: PLR0913
    model: Curve | Weights | Endpoint,
    task: Task,
    t: int | Sequence[float] = 31,
    *,
    batchnorm: str = "retain",
    precision: str = "float32",
    batch_size: int = BATCH,
    dtype: str = "float16",
    weighted: bool = False,
    bits: int = 0,
) -> Trace:
    """Evaluate a model, or a curve at ``t`` equally spaced (or the given) points, on the task's evaluation examples.

    At the ends all buffers but BatchNorm's statistics are an end's own. Inside, running statistics of InstanceNorm are
    treated like BatchNorm's; other buffers that differ between the ends are refused where logits depend on them.

    Args:
        batchnorm: statistics at every point are re-estimated on ``retain`` data or on the ``full`` training pool, or
            are (``none``) those of the start, the authors' way, or (``interpolated``) (1 - t) the start's and t the
            end's, as a mixture of whole state dictionaries has them (Siddiqui et al. 2025's code).
        precision: ``float32``, or ``bfloat16`` for autocast (faster where the processor has it; logits differ by 1e-2).
        dtype: how logits are stored, ``float32`` or ``float16``, where values beyond its range stop at its limit.
        weighted: weight batches of the refresh by their size and compute in NCHW (see `weights.refresh_batchnorm`).
        bits: round the weights of every point to a grid of so many, a channel each (`quantisation.rounded`); 0: do not.

    >>> import mcutils as mc
    >>> task = mc.load_task("digits", 0.1, train_size=240, test_size=60)
    >>> a, b = (mc.train(task, seed=seed, plan=mc.training.Plan(steps=2), width=2) for seed in (0, 1))
    >>> trace(mc.line(a, b), task, t=3).logits["forget"].shape
    (3, 22, 10)
    """
    choose("BatchNorm policy", batchnorm, POLICIES)
    choose("precision", precision, ("float32", "bfloat16"))
    choose("dtype of logits", dtype, ("float16", "float32"))
    batch_size, weighted = whole("batch_size", batch_size, 1), flag("weighted", weighted)
    bits = bits and whole("bits, 0 or", bits, LEAST_BITS, MOST_BITS)
    check_task(task)
    curve, points, kind = _walk(model, task, t)
    check_finite(x := joined([take(task.x, r) for r in task.evaluation.values()]), "what a network is evaluated on")
    if not count(x):
        raise BadInput("the task has no examples to evaluate on.")
    layout = weights.memory_format(curve.points[0], x, task.n_classes, plain=weighted)
    module = module_of(curve.points[0], layout)
    parts = chunks(to(x, memory_format=layout), batch_size)
    rows = refresh_rows(task, batchnorm) if batchnorm in REFRESHED else task.index["bn"][:0]
    check_finite(statistics := take(task.x, rows), "what running statistics are estimated on")
    seen = [to(part, memory_format=layout) for part in chunks(statistics, batch_size)]
    found = np.empty((len(points), count(x), task.n_classes), dtype=dtype)
    autocast = torch.autocast(task.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
    with torch.inference_mode(), autocast:
        for k, value in enumerate(points):
            _place(module, curve, value, seen, parts[0], weighted, bits)
            write(module, {}, _between(curve, value) if batchnorm == "interpolated" else {})
            each = [check_logits(curve.points[0].model, module(b), count(b), task.n_classes) for b in parts]
            logits = torch.cat(each).float()
            found[k] = (logits.clamp(-65504, 65504) if dtype == "float16" else logits).cpu().numpy().astype(dtype)
    asked = {"batchnorm": batchnorm, "precision": precision, "batch_size": str(batch_size), "checksum": task.checksum}
    meta = {"kind": kind, **asked, **_steps(model, points), **_unusual(dtype, weighted, bits)}
    return Trace(np.array(points), *_by_split(task, found), meta)


def _unusual(dtype: str, weighted: bool, bits: int) -> dict[str, str]:
    """What of an evaluation is told only where it is not the usual one."""
    other = {"dtype": dtype if dtype != "float16" else "", "weighted": "yes" * weighted, "bits": str(bits or "")}
    return {name: value for name, value in other.items() if value}


def _by_split(task: Task, found: np.ndarray) -> tuple[Arrays, Arrays, Arrays]:
    """Logits, labels and rows of each split, from the logits (T, N, K) of all evaluation examples in their order."""
    sizes = [len(rows) for rows in task.evaluation.values()]
    logits = dict(zip(task.evaluation, np.split(found, np.cumsum(sizes)[:-1], axis=1), strict=True))
    labels = {split: task.y[rows].cpu().numpy() for split, rows in task.evaluation.items()}
    return logits, labels, {split: rows.cpu().numpy() for split, rows in task.evaluation.items()}


def _between(curve: Curve, t: float) -> dict[str, torch.Tensor]:
    """Statistics of BatchNorm mixed between a curve's ends, whatever its control points have."""
    ends = [curve.points[0].buffers, curve.points[-1].buffers]
    names = buffers_in(running_layers(curve.points[0].net, BATCHNORM))
    floats = [{name: one[name] for name in names if one[name].is_floating_point()} for one in ends]
    return mix((1 - t, t), floats)


def _steps(model: Any, points: Sequence[float]) -> dict[str, str]:
    """At which steps of a run the snapshots of a trajectory were taken; nothing for other curves."""
    if not isinstance(model, Trajectory):
        return {}
    return {"steps": " ".join(str(model.steps[model.t.index(one)]) for one in points)}


def _walk(model: Curve | Weights | Endpoint, task: Task, t: int | Sequence[float]) -> tuple[Curve, tuple, str]:
    """What a trace visits: a curve, its points t, and its kind; a single model is a line from itself to itself.

    A trajectory is visited at its snapshots, at all of them where ``t`` is a number of points.
    """
    if isinstance(model, Trajectory):
        points = points_of(t)
        for one in () if isinstance(t, Integral) else points:
            model.coefficients(one)
        return model, model.t if isinstance(t, Integral) else points, "trajectory"
    if isinstance(model, Curve):
        return model, points_of(t), model.kind
    point = weights_at(model, task)
    if not isinstance(t, Integral) or isinstance(t, bool) or t != 1:
        points_of(t)
    return Curve("linear", (point, point)), (0.0,), "model"


def _place(module: nn.Module, curve: Curve, t: float, seen: list[Inputs], x: Inputs, weighted: bool, bits: int) -> None:
    """Bring a module to phi(t): parameters, statistics estimated on the batches ``seen``, and all other buffers.

    Without ``seen`` BatchNorm's statistics stay the start's. On ``x`` buffers that differ between the ends are tried.
    """
    point = curve.at(t)
    write(module, (quantised(point, bits) if bits else point).params, {})
    running, end = running_layers(module), curve.end(t)
    batchnorm = buffers_in({name: layer for name, layer in running.items() if isinstance(layer, BATCHNORM)})
    whose = curve.points[0] if end is None else end
    write(module, {}, {name: value for name, value in whose.buffers.items() if name not in batchnorm})
    layers = [layer for layer in running.values() if end is None or isinstance(layer, BATCHNORM)]
    if seen:
        weights.refresh_module(module, seen, weighted=weighted, layers=layers)
    if end is None:
        check_buffers(curve.points, module, x)


def check_same_examples(a: Trace, b: Trace) -> None:
    """Raise `BadInput` unless two traces were taken on the same examples."""
    for split in a.index:
        if split not in b.index or not np.array_equal(a.index[split], b.index[split]):
            raise BadInput(f"two traces hold different {split} examples: compare traces of one task.")
