"""The way that unlearning itself took: snapshots of the weights, on a path that holds nothing between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .curves import Curve
from .errors import BadInput, shown, whole
from .unlearning.endpoints import unlearn
from .unlearning.snapshots import LOG
from .weights import Weights, distance


@dataclass(frozen=True, eq=False)
class Trajectory(Curve):
    """The weights of an unlearning run after some of its ``steps``; ``points`` are these snapshots.

    ``t`` is the share of the way gone, sum_{i<=k} |theta_i - theta_{i-1}| over the sum for all k: on a straight way it
    is the t of the line from the original to the unlearned model, beside which a trajectory can so be laid. Between
    snapshots the optimiser went another way than the chord, so a trajectory is evaluated at its own t alone. (This
    companion's choice; chords cut corners, so more snapshots make a longer way.)
    """

    steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "steps", tuple(whole("a step", one, 0) for one in self.steps))
        if len(self.steps) != len(self.points):
            raise BadInput(f"a trajectory has a step for each snapshot, got {len(self.steps)} and {len(self.points)}.")

    @cached_property
    def t(self) -> tuple[float, ...]:
        """Where its snapshots lie, from 0 to 1; `BadInput` where nothing moved between two of them."""
        gone = np.cumsum([0.0, *self.moves])
        if not gone[-1] or (np.diff(gone / gone[-1]) <= 0).any():
            k = int(np.argmin(self.moves))
            raise BadInput(f"nothing moved from step {self.steps[k]} to step {self.steps[k + 1]}: give other steps.")
        return tuple((gone / gone[-1]).tolist())

    @cached_property
    def moves(self) -> tuple[float, ...]:
        """The distance from each snapshot to the next."""
        return tuple(distance(a, b) for a, b in zip(self.points, self.points[1:], strict=False))

    @property
    def length(self) -> float:
        """The way from snapshot to snapshot."""
        return sum(self.moves)

    def coefficients(self, t: float) -> tuple[float, ...]:
        """One at the snapshot that lies at t, which must be one of ``self.t``."""
        if t not in self.t:
            raise BadInput(f"a trajectory is known at its snapshots alone, t = {shown(self.t)}, got {shown(t)}.")
        return tuple(float(one == t) for one in self.t)

    def end(self, t: float) -> Weights:
        """The snapshot at t: each has buffers of its own."""
        return self.points[self.coefficients(t).index(1.0)]


def trajectory(
    theta: Weights, task: Any, method: str, *, seed: int, steps: Iterable[int] | None = None, **options: Any
) -> Trajectory:
    """The models that `unlearn` passes through, after 0, 1, 2, 4, 8, ... steps and the last (or after ``steps``).

    The run is that of ``unlearn(theta, task, method, seed=seed, **options)`` bit by bit, and so is its end, the last
    snapshot; each snapshot is what `unlearn` would return there, with BatchNorm statistics of retain data. The first is
    where the descent begins: the original model, as an edit has changed it, or fresh weights. ``mc.trace`` evaluates a
    trajectory at its snapshots, and `measures.outcomes.best_snapshot` chooses one. Raises `BadInput` for a run without
    steps, for steps that do not go from 0 to the last, and for what `unlearn` refuses.

    >>> import mcutils as mc
    >>> from mcutils.settings import MethodSettings, Plan
    >>> task = mc.load_task("digits", 0.1, train_size=240, test_size=60)
    >>> theta = mc.train(task, seed=0, plan=Plan(steps=2), width=2)
    >>> found = trajectory(theta, task, "npo", seed=42, settings=MethodSettings(Plan(steps=5)))
    >>> found.steps, mc.trace(found, task).t.shape
    ((0, 1, 2, 4, 5), (5,))
    """
    end = unlearn(theta, task, method, seed=seed, snapshots=LOG if steps is None else steps, **options)
    taken, points = zip(*end.snapshots, strict=True)
    return Trajectory("chain", points, steps=taken)
