"""Coherence of gradients: how far the gradients of single examples point the same way, within D_r and D_f and between.

Chang & Khanna 2026 (arXiv 2602.02986) predict that what is memorised or noisy, and so incoherent, is *easier* to
unlearn: the opposite sign to RUM's "more memorised is harder". The mean cosine is this companion's reading of what they
call alignment; outcomes then side with one of the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.tasks import Task, take
from ..errors import BadInput, whole
from ..networks import check_task
from ..objectives import cross_entropy
from ..weights import Weights, check_weights, net_of, trainable

EXAMPLES = 256  # of each side


@dataclass(frozen=True)
class Coherence:
    """Mean cosines between gradients of two examples: both of D_r, both of D_f, or one of each (``between``)."""

    retain: float
    forget: float
    between: float


def gradients(theta: Weights, task: Task, rows: Tensor) -> Tensor:
    """Gradients (n, P) of the cross-entropy of single examples, in evaluation mode, over what is not frozen."""
    net = net_of(check_weights(theta))
    leaves = [value.requires_grad_(True) for value in trainable(theta, net.params).values()]
    if not leaves or len(rows) == 0:
        raise BadInput(f"gradients are of an example or more and of weights that may move, got {len(rows)} examples.")
    found = []
    for row in torch.as_tensor(rows).split(1):
        loss = cross_entropy(net(take(task.x, row)), task.y[row]).sum()
        parts = torch.autograd.grad(loss, leaves, allow_unused=True)
        flat = [(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(parts, leaves, strict=True)]
        found.append(torch.cat(flat))
    return torch.stack(found)


def mean_cosine(a: Tensor, b: Tensor | None = None) -> float:
    """Mean cosine over all pairs of different rows of ``a`` (n, P), or of rows of ``a`` and of ``b`` (m, P).

    With unit vectors u: (|sum u|^2 - n) / (n (n - 1)), or mean u . mean v. A row of zeros has no direction and is left
    out; nan with fewer than two rows (or one of each).
    """
    units = []
    for given in (a,) if b is None else (a, b):
        v = torch.as_tensor(given)
        if v.ndim != 2:
            raise BadInput(f"gradients must be (n, P), got shape {tuple(v.shape)}.")
        norms = v.double().norm(dim=1, keepdim=True)
        units.append((v.double() / norms)[norms[:, 0] > 0])
    if b is None:
        (u,), n = units, len(units[0])
        return float((u.sum(0).square().sum() - n) / (n * (n - 1))) if n > 1 else float("nan")
    u, w = units
    return float(u.mean(0) @ w.mean(0)) if len(u) and len(w) else float("nan")


def coherence(theta: Weights, task: Task, examples: int = EXAMPLES) -> Coherence:
    """Coherence of a model's gradients on the first ``examples`` of ``retain_eval`` and of D_f, both in random order.

    256 of each take n P floats, 125 MB at 61,000 parameters, and about as many backward passes.
    """
    examples = whole("examples", examples, 2)
    sides = [gradients(theta, check_task(task), task.rows(split)[:examples]) for split in ("retain_eval", "forget")]
    return Coherence(mean_cosine(sides[0]), mean_cosine(sides[1]), mean_cosine(*sides))
