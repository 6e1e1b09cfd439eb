"""Alignment: the numbering of one network's channels under which it is most like another, and the line to it.

Two networks that differ by a renumbering are one function, yet the straight line between them has a barrier. So "not
linearly connected" is said up to permutations (Ainsworth et al. 2023, Git Re-Basin; Lubana et al. 2023 ask the same of
mechanisms). Refreshing BatchNorm inside the line is the repair that Jordan et al. 2023 (REPAIR) found to be needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.tasks import Task, take
from ..errors import BadInput, choose, seed_of, whole
from ..networks import check_task
from ..traces import BATCH
from ..weights import Weights, check_same_shape, module_of
from .channels import Permutations, Unit, permuted, share_moved, units_of

SWEEPS = 100  # at most, over all units
ROWS = 2000  # of retain data, whose activations are compared


@dataclass(frozen=True, eq=False)
class Alignment:
    """The ``permutations`` by which a network is most like another; ``model()`` gives it as it was numbered before."""

    model: Callable[[], Weights]
    permutations: Permutations

    @cached_property
    def weights(self) -> Weights:
        """The network with its channels renumbered."""
        return permuted(self.model(), self.permutations)

    @property
    def moved(self) -> float:
        """Share of channels that are not where they were."""
        return share_moved(self.permutations)


def assign(scores: Tensor | np.ndarray, groups: int = 1) -> Tensor:
    """The order p (n,) that maximises ``sum_i scores[i, p_i]``, groups of channels staying together.

    One assignment problem; with groups one inside each pair of groups and then one between groups, which is the exact
    maximum. Raises `BadInput` for scores that are not a finite square matrix of whole groups.
    """
    from scipy.optimize import linear_sum_assignment

    s = np.asarray(scores, dtype=np.float64)
    groups = whole("groups", groups, 1)
    if s.ndim != 2 or s.shape[0] != s.shape[1] or len(s) % groups or not np.isfinite(s).all():
        raise BadInput(f"channels are assigned by a finite square matrix in {groups} groups, got shape {s.shape}.")
    if groups == 1:
        return torch.from_numpy(linear_sum_assignment(s, maximize=True)[1].astype(np.int64))
    each = len(s) // groups
    blocks = s.reshape(groups, each, groups, each).swapaxes(1, 2)
    inside = np.empty((groups, groups, each), dtype=np.int64)
    gains = np.empty((groups, groups))
    for g in range(groups):
        for h in range(groups):
            rows, inside[g, h] = linear_sum_assignment(blocks[g, h], maximize=True)
            gains[g, h] = blocks[g, h][rows, inside[g, h]].sum()
    partner = linear_sum_assignment(gains, maximize=True)[1]
    return torch.from_numpy(np.concatenate([h * each + inside[g, h] for g, h in enumerate(partner)]))


def match_weights(a: Weights, b: Weights, seed: int = 0, task: Task | None = None) -> dict[str, Tensor]:  # noqa: ARG001
    """Orders of b's channels that make its parameters most like a's, unit by unit until none gains.

    Each unit's order is the assignment of ``S = sum <A, B>`` over the tensors that hold it, the other units as they are
    by then: first in the order of the layers, then in random ones drawn by ``seed``. The likeness never falls; the end
    is a local maximum. Running statistics, which are estimated anew, are not compared. Source: Ainsworth et al. 2023,
    algorithm 1.
    """
    check_same_shape((a, b))
    units, rng = units_of(a), np.random.default_rng(seed_of(seed))
    orders = {unit.name: torch.arange(unit.size, device=b.device) for unit in units}
    holds: dict[str, list[tuple[str, int]]] = {}
    for unit in units:
        for name, axis in unit.places:
            holds.setdefault(name, []).append((unit.name, axis))

    def scores(unit: Unit) -> Tensor:
        total = torch.zeros(unit.size, unit.size, dtype=torch.float64)
        for name, axis in unit.places:
            if name not in a.params:
                continue
            other = b.params[name]
            for owner, at in holds[name]:
                other = other if owner == unit.name else other.index_select(at, orders[owner])
            mine, theirs = (v.movedim(axis, 0).reshape(unit.size, -1).double() for v in (a.params[name], other))
            total += (mine @ theirs.T).cpu()
        return total

    for sweep in range(SWEEPS):
        gained = False
        for k in range(len(units)) if sweep == 0 else rng.permutation(len(units)):
            unit = units[k]
            s, old = scores(unit), orders[unit.name].cpu()
            new, rows = assign(s, unit.groups), torch.arange(unit.size)
            if float(s[rows, new].sum() - s[rows, old].sum()) > 1e-9 * float(s.abs().max()):
                orders[unit.name], gained = new.to(b.device), True
        if not gained:
            break
    return orders


def match_activations(a: Weights, b: Weights, seed: int = 0, task: Task | None = None) -> dict[str, Tensor]:  # noqa: ARG001
    """Orders of b's channels whose activations correlate most with a's on retain data, each unit by itself.

    Pearson's correlation over the first `ROWS` retain examples and all positions, of what enters the activations, with
    statistics stored with the weights; the mean over the layers that write a unit. A channel that does not vary
    correlates with none. Sources: Li et al. 2016; Ainsworth et al. 2023. Raises `BadInput` without a task.
    """
    if task is None:
        raise BadInput("activations are compared on the retain data of a task: give task=.")
    check_same_shape((a, b))
    check_task(task)
    units, rows = units_of(a), task.rows("retain")[:ROWS]
    sums: dict[str, Any] = {}
    kept: list[dict[str, Tensor]] = [{}, {}]
    modules = [module_of(one) for one in (a, b)]
    read = {name for unit in units for name in unit.read}

    def keep(into: dict[str, Tensor], name: str) -> Callable[..., None]:
        def hook(layer: Any, given: Any, out: Tensor) -> None:  # noqa: ARG001
            into[name] = out.movedim(1, 0).flatten(1).double()

        return hook

    for module, into in zip(modules, kept, strict=True):
        for name, layer in module.named_modules():
            if name in read:
                layer.register_forward_hook(keep(into, name))
    with torch.no_grad():
        for part in rows.split(BATCH):
            for module in modules:
                module(take(task.x, part))
            for name in read:
                x, y = (one[name] for one in kept)
                found = (x.shape[1], x.sum(1), y.sum(1), x.square().sum(1), y.square().sum(1), x @ y.T)
                before = sums.get(name, (0,) * len(found))
                sums[name] = tuple(p + q for p, q in zip(before, found, strict=True))
    correlations = {name: _correlation(*one).cpu() for name, one in sums.items()}
    return {
        unit.name: assign(torch.stack([correlations[name] for name in unit.read]).mean(0), unit.groups)
        for unit in units
    }


def _correlation(n: int, x: Tensor, y: Tensor, xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """Pearson's correlations (C, C) from sums over n; 0 where a channel does not vary beyond rounding."""
    spread = []
    for s, square in ((x, xx), (y, yy)):
        variance = square / n - (s / n).square()
        spread.append(torch.where(variance > 1e-12 * square / n, variance, torch.inf).sqrt())
    return (xy / n - torch.outer(x / n, y / n)) / torch.outer(*spread)


MATCHINGS: dict[str, Callable[..., dict[str, Tensor]]] = {"weights": match_weights, "activations": match_activations}


def align(a: Weights, b: Weights, by: str = "weights", *, seed: int = 0, task: Task | None = None) -> Alignment:
    """Renumber the channels of ``b`` to be most like ``a``, by matching ``weights`` or ``activations``.

    Its logits stay those of b up to rounding. Raises `BadInput` for networks that are not known (`channels.units_of`),
    of different architectures, or for activations without a task.
    """
    return Alignment(lambda: b, MATCHINGS[choose("matching", by, MATCHINGS)](a, b, seed, task))
