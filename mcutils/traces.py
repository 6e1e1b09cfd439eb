"""Traces: the logits of every evaluation example at every t of a curve, stored once and measured for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from .curves import Curve, points_of, weights_at
from .data import Task
from .settings import BadInput, choose
from .unlearning import Endpoint, fingerprint
from .weights import Weights, batchnorm_layers, check_same_shape, memory_format, module_of, refresh_module, write

BATCH = 128
POLICIES = ("none", "retain", "full")
SPLITS = ("retain", "forget", "valid", "test")


@dataclass(frozen=True)
class Trace:
    """Logits of T points for the examples of four splits.

    ``t`` (T,) in [0, 1]; ``logits[split]`` (T, N, K) float16; ``labels[split]`` and ``index[split]`` (N,) int64, the
    latter being rows of ``Task.x``; ``meta`` says how the trace was made. A single model has T = 1 and t = [0].
    """

    t: np.ndarray
    logits: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    index: Mapping[str, np.ndarray]
    meta: Mapping[str, str]

    def save(self, path: str | Path) -> None:
        """Write the trace as a compressed npz without pickle."""
        arrays = {"t": self.t, "meta": np.array([f"{k}={v}" for k, v in sorted(self.meta.items())], dtype=np.str_)}
        for name in ("logits", "labels", "index"):
            for split, values in getattr(self, name).items():
                arrays[f"{name}/{split}"] = values
        with open(path, "wb") as file:
            np.savez_compressed(file, **arrays)

    @staticmethod
    def load(path: str | Path | BinaryIO) -> Trace:
        """Read a trace written by `save`; nothing is unpickled."""
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = dict(str(item).split("=", 1) for item in arrays.pop("meta"))
        t = arrays.pop("t")
        parts: dict[str, dict[str, np.ndarray]] = {"logits": {}, "labels": {}, "index": {}}
        for name, values in arrays.items():
            group, split = name.split("/", 1)
            parts[group][split] = values
        return Trace(t, parts["logits"], parts["labels"], parts["index"], meta)


def refresh_rows(task: Task, policy: str) -> torch.Tensor:
    """Rows of the images that BatchNorm statistics are estimated on: ``retain`` data, or the ``full`` training pool.

    Both are as many; ``full`` takes evenly spaced rows of the pool, so that D_f has its natural share: with it, data to
    be forgotten re-enters every point of a curve.
    """
    choose("BatchNorm policy", policy, ("retain", "full"))
    rows = task.index["bn"]
    if policy == "retain":
        return rows
    pool = task.index["train"]
    return pool[torch.linspace(0, len(pool) - 1, len(rows)).round().long().to(pool.device)]


def trace(
    model: Curve | Weights | Endpoint,
    task: Task,
    t: int | Sequence[float] = 31,
    *,
    batchnorm: str = "retain",
    precision: str = "float32",
    batch_size: int = BATCH,
) -> Trace:
    """Evaluate a model, or a curve at ``t`` equally spaced (or the given) points, on the task's evaluation examples.

    ``batchnorm``: statistics at every point re-estimated on ``retain`` data (default) or on the ``full`` training pool,
    or ``none``: those stored with the start, the authors' way. ``precision`` is ``float32``, or ``bfloat16`` for
    autocast (faster where the processor has it; logits differ by about 1e-2). Logits are stored as float16, values
    beyond its range at its limit. Sample and batch size of the refresh are fixed, since they are part of the result.
    """
    choose("BatchNorm policy", batchnorm, POLICIES)
    choose("precision", precision, ("float32", "bfloat16"))
    if batch_size < 1:
        raise BadInput(f"the batch size must be at least 1, got {batch_size}.")
    if isinstance(model, Endpoint) and model.task != fingerprint(task):
        raise BadInput(
            f"the endpoint was unlearned for the task {model.task}, but is evaluated on {fingerprint(task)}."
        )
    if isinstance(model, Curve):
        curve, points, kind = model, points_of(t), model.kind
    else:
        weights = weights_at(model)
        check_same_shape([weights])
        curve, points, kind = Curve("linear", (weights, weights)), (0.0,), "model"
    x = torch.cat([task.x[rows] for rows in task.evaluation.values()])
    start = curve.points[0]
    module, layout = module_of(start), memory_format(start, x)
    module.to(memory_format=layout)
    x = x.to(memory_format=layout)
    refresh = []
    if batchnorm != "none" and batchnorm_layers(module):
        seen = task.x[refresh_rows(task, batchnorm)].to(memory_format=layout)
        refresh = list(seen.split(batch_size))
    found = np.empty((len(points), len(x), task.n_classes), dtype=np.float16)
    autocast = torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
    with torch.inference_mode(), autocast:
        for k, value in enumerate(points):
            write(module, curve.at(value).params, {})
            if refresh:
                refresh_module(module, refresh)
            logits = torch.cat([module(b) for b in x.split(batch_size)])
            if logits.shape != found.shape[1:]:
                shape = tuple(logits.shape[1:])
                raise BadInput(
                    f"a {start.model} gives outputs of shape {shape}, but the task has {task.n_classes} classes."
                )
            found[k] = logits.float().clamp(-65504, 65504).cpu().numpy().astype(np.float16)
    sizes = [len(rows) for rows in task.evaluation.values()]
    pieces = dict(zip(task.evaluation, np.split(found, np.cumsum(sizes)[:-1], axis=1), strict=True))
    return Trace(
        np.array(points),
        pieces,
        {s: task.y[rows].cpu().numpy() for s, rows in task.evaluation.items()},
        {s: rows.cpu().numpy() for s, rows in task.evaluation.items()},
        {
            "kind": kind,
            "batchnorm": batchnorm,
            "precision": precision,
            "batch_size": str(batch_size),
            "checksum": task.checksum,
        },
    )


def check_same_examples(a: Trace, b: Trace) -> None:
    """Raise `BadInput` unless two traces were taken on the same examples."""
    for split in a.index:
        if split not in b.index or not np.array_equal(a.index[split], b.index[split]):
            raise BadInput(f"two traces hold different {split} examples: compare traces of one task.")
