"""Planes: losses on the plane through three models of weight space, by `traces.trace` at every place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from ..curves import Curve, weights_at
from ..data.tasks import Task
from ..errors import BadInput, number, shown, whole
from ..reading import LARGEST_ARRAYS, load_groups, opened, save_groups
from ..traces import trace
from ..unlearning.endpoints import Endpoint
from ..weights import Weights, check_same_shape, flatten, mix
from .metrics import accuracy, mean_loss

SPLITS = ("retain", "forget", "test")


@dataclass(frozen=True, eq=False)
class Basis:
    """Plane through three models, ``points``, with x along theta_2 - theta_0 and theta_1 at y > 0.

    ``models`` (3, 2) holds their coordinates (x, y), in the Euclidean distance of weight space.
    """

    points: tuple[Weights, Weights, Weights]
    models: np.ndarray

    def coefficients(self, x: float, y: float) -> tuple[float, float, float]:
        """Coefficients of the three models, which sum to one, at a place of the plane; exact at the models."""
        (x1, y1), (x2, _) = self.models[1:].tolist()
        c1 = y / y1
        c2 = (x - c1 * x1) / x2
        return 1 - c1 - c2, c1, c2


def basis(three: Sequence[Weights | Endpoint]) -> Basis:
    """The plane through (theta_0, theta_1, theta_2): u = (theta_2 - theta_0) / |.|, v by Gram-Schmidt.

    v = (w - <w, u> u) / |.| with w = theta_1 - theta_0, over all parameters and no buffers. Raises `BadInput` for other
    than three models, different architectures, and models that coincide or lie on one line within the rounding of
    their dtype. Source: Garipov et al. 2018.
    """
    if not isinstance(three, Sequence) or isinstance(three, str) or len(three) != 3:
        given = len(three) if isinstance(three, (list, tuple)) else shown(three)
        raise BadInput(f"a plane goes through 3 models, got {given}.")
    points = tuple(weights_at(one) for one in three)
    check_same_shape(points)
    precision = torch.finfo(flatten(points[0]).dtype).eps
    flat = [flatten(one).double() for one in points]
    rounding = 4 * precision * max(float(v.norm()) for v in flat)
    for i, j in ((0, 2), (0, 1), (1, 2)):
        if float((flat[i] - flat[j]).norm()) <= rounding:
            raise BadInput(f"models {i} and {j} are the same: a plane needs three different models.")
    u, w = flat[2] - flat[0], flat[1] - flat[0]
    length = float(u.norm())
    u /= length
    along = float(w @ u)
    v = w - along * u
    v -= (v @ u) * u  # once more: the first pass leaves a rounding error that a thin triangle magnifies
    height = float(v.norm())
    if height <= rounding:
        raise BadInput("the three models lie on one line: a plane needs a model beside it.")
    return Basis((points[0], points[1], points[2]), np.array([(0.0, 0.0), (along, height), (length, 0.0)]))


def grid(plane: Basis, resolution: int = 21, margin: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Axes x and y (resolution,) around the three models, ``margin`` of their extent wider on each side."""
    resolution = whole("the resolution of a plane", resolution, 2, 1000)
    low, high = plane.models.min(axis=0), plane.models.max(axis=0)
    more = number("the margin of a plane", margin, 0) * (high - low)
    x, y = np.linspace(low - more, high + more, resolution).T
    return x, y


@dataclass(frozen=True)
class Plane:
    """Mean loss and accuracy on a grid of the plane through three models.

    ``x`` (X,) and ``y`` (Y,) are distances in weight space; ``values[name]`` (Y, X) for ``loss_<split>`` in nats and
    ``accuracy_<split>`` as a fraction, split being retain, forget or test; ``models`` (3, 2) the places of the three
    models and ``at_models[name]`` (3,) the values there; ``meta`` says how it was made.
    """

    x: np.ndarray
    y: np.ndarray
    values: Mapping[str, np.ndarray]
    models: np.ndarray
    at_models: Mapping[str, np.ndarray]
    meta: Mapping[str, str]

    def save(self, path: str | Path | BinaryIO) -> None:
        """Write the plane as a compressed npz without pickle."""
        arrays = {"x": self.x, "y": self.y, "models": self.models}
        save_groups(path, arrays, self.meta, values=self.values, at_models=self.at_models)

    @staticmethod
    def load(path: str | Path | BinaryIO, limit: int = LARGEST_ARRAYS) -> Plane:
        """Read a plane written by `save`, of at most ``limit`` bytes; nothing is unpickled."""
        with opened(path, "a plane") as file:
            return Plane(**load_groups(file, limit, "values", "at_models"))


@dataclass(frozen=True, eq=False)
class _Places(Curve):
    """Places of a plane as a curve that `trace` can visit: t = k / (n - 1) is the k-th of n places."""

    places: tuple[tuple[float, float, float], ...] = ()

    def coefficients(self, t: float) -> tuple[float, ...]:
        return self.places[round(t * (len(self.places) - 1))]

    def at(self, t: float) -> Weights:
        return replace(self.points[0], params=mix(self.coefficients(t), [p.params for p in self.points]))


def _thinned(task: Task, rows: int | None) -> Task:
    """The task with at most ``rows`` evenly spaced examples to evaluate in each split of a plane, and no ``valid``."""
    rows = None if rows is None else whole("rows, the examples per split,", rows, 1)
    index = {**task.index, "valid": task.index["valid"][:0]}
    for name in ("retain_eval", "forget", "test"):
        have = task.index[name]
        if rows is not None and rows < len(have):
            index[name] = have[torch.linspace(0, len(have) - 1, rows).round().long().to(have.device)]
    return replace(task, index=index)


def plane(
    three: Sequence[Weights | Endpoint], task: Task, resolution: int = 21, margin: float = 0.2, *,
    batchnorm: str = "retain", precision: str = "float32", rows: int | None = 500, weighted: bool = False,
) -> Plane:  # fmt: skip
    """Evaluate the plane through (theta_0, theta_1, theta_2) on a grid, and at the three models, by `traces.trace`.

    ``resolution`` and ``margin`` are those of `grid`; ``batchnorm``, ``precision`` and ``weighted`` those of a trace:
    by default statistics are re-estimated on D_r at every place, ``none`` keeps theta_0's everywhere. ``rows`` limits
    the examples per split, evenly spaced; None takes all. On one core a place costs about 0.2 s with the 16-channel
    convnet and 500 rows of Fashion-MNIST, so 21 x 21 places 1.5 min. Raises `BadInput` as `basis` does, and for
    endpoints of another task.
    """
    if not isinstance(task, Task):
        raise BadInput(f"task must be a task, as mc.load_task returns it, got {shown(task)}.")
    for one in three if isinstance(three, Sequence) else ():
        weights_at(one, task)
    found, few = basis(three), _thinned(task, rows)
    x, y = grid(found, resolution, margin)
    lines = [[(a, b) for a in x.tolist()] for b in y.tolist()]
    measured = []
    # A trace per line of the grid, reduced at once: the logits of all places would not fit into memory.
    for line in (found.models.tolist(), *lines):
        places = tuple(found.coefficients(*place) for place in line)
        visited = _Places("chain", found.points, places=places)
        seen = trace(visited, few, len(places), batchnorm=batchnorm, precision=precision, weighted=weighted)
        measured.append({f"loss_{s}": mean_loss(seen, s) for s in SPLITS})
        measured[-1] |= {f"accuracy_{s}": accuracy(seen, s) for s in SPLITS}
    at_models, *by_line = measured
    values = {name: np.stack([one[name] for one in by_line]) for name in at_models}
    meta = {k: v for k, v in seen.meta.items() if k != "kind"}
    meta |= {"rows": str(rows), "resolution": str(resolution), "margin": str(margin)}
    return Plane(x, y, values, found.models, at_models, meta)
