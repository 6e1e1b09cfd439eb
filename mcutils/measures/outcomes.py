"""Outcomes by which a forget set is called hard, named before anything is run: far from retraining, or long in coming.

``js``: bits between predictions on D_f and those of the retrained models; ``missed``: 1 - ToW; ``steps``: of unlearning
until the forget loss reaches the retrained level; ``area``: what an attack regains beyond what it teaches a retrained
model (`relearned.area`). High is hard in all four.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import BadInput
from ..traces import Trace
from .along import excess_variation
from .metrics import accuracy, check_trace, mean_loss, per_example_loss, tow
from .relearned import curve_of, steps_to

OUTCOMES = ("js", "missed", "steps", "area")
_SPLITS = {"UA": "forget", "RA": "retain", "TA": "test"}


def missed(end: Trace, retrained: Sequence[Trace]) -> float:
    """1 - ToW: ``1 - prod (1 - |UA|) (1 - |RA|) (1 - |TA|)`` of the differences to the retrained models' means.

    0 for a retrained model's own accuracies. Source of ToW: Zhao et al. 2024 (RUM).
    """
    mine, theirs = (
        {name: np.mean([accuracy(one, split)[0] for one in models]) for name, split in _SPLITS.items()}
        for models in ([_one(end)], _models(retrained))
    )
    return float(1 - tow(mine, theirs))


def steps_to_retrained(way: Trace, retrained: Sequence[Trace]) -> float:
    """Steps of unlearning until the forget loss is at least the retrained models' mean; infinity if it never is.

    ``way`` is the trace of a trajectory (`trajectories.trajectory`).
    """
    level = float(np.mean([mean_loss(one, "forget")[0] for one in _models(retrained)]))
    return steps_to(*curve_of(way, "loss"), level)


def variation_by_example(path: Trace, split: str = "forget") -> np.ndarray:
    """Excess variation (N,) of each example's own loss along a path, in nats: what it adds to the path's wiggles.

    Wiggles of examples may cancel in the mean: between ends of equal losses the mean of these is at least the path's.
    """
    return excess_variation(per_example_loss(check_trace(path), split))


def _one(trace: Trace) -> Trace:
    if len(check_trace(trace).t) != 1:
        raise BadInput(f"an outcome is that of one model (T = 1), got {len(trace.t)} points.")
    return trace


def _models(retrained: Sequence[Trace]) -> list[Trace]:
    models = [retrained] if isinstance(retrained, Trace) else list(retrained)
    if not models:
        raise BadInput("an outcome is measured beside retrained models, got none.")
    return [_one(model) for model in models]
