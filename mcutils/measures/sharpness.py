"""Sharpness: how the loss rises under small filter-normalised steps, and the largest eigenvalue of its Hessian.

A step of a given length in weights says little of a network with BatchNorm, whose convolutions may be scaled without
changing its function; a step in proportion to the norm of each filter does not depend on the scale (Li et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..curves import line
from ..data.tasks import Task, take
from ..errors import BadInput, number, seed_of, whole
from ..networks import check_task
from ..objectives import cross_entropy
from ..traces import trace
from ..weights import Weights, check_weights, net_of, trainable
from .metrics import mean_loss

DIRECTIONS = 20
SHARE = 0.01  # of each filter's norm
ITERATIONS = 20  # of the power iteration


def direction(weights: Weights, seed: int) -> dict[str, Tensor]:
    """A random direction with, in each filter, the norm of the filter itself: ``d_ij <- d_ij / |d_ij| |theta_ij|``.

    A filter is what makes one output: a row, over all other axes, of a tensor with two axes or more. Biases and the
    parameters of normalisations, and frozen tensors, do not move. Gaussian, drawn from ``seed`` in the order of the
    parameters. Source: Li et al. 2018 (arXiv 1712.09913).
    """
    rng = torch.Generator().manual_seed(seed_of(seed))
    found = {}
    for name, value in check_weights(weights).params.items():
        drawn = torch.randn(value.shape, generator=rng, dtype=torch.float64).to(value.device)
        if value.ndim < 2 or name in weights.frozen:
            found[name] = torch.zeros_like(value)
            continue
        rows, own = drawn.flatten(1), value.detach().double().flatten(1)
        scale = own.norm(dim=1, keepdim=True) / rows.norm(dim=1, keepdim=True)
        found[name] = (rows * scale).view_as(value).to(value.dtype)
    return found


def stepped(weights: Weights, along: Mapping[str, Tensor], share: float) -> Weights:
    """theta + share * d, with the buffers of theta."""
    return replace(weights, params={name: value + share * along[name] for name, value in weights.params.items()})


def rises(
    weights: Weights, task: Task, *, seed: int = 0, directions: int = DIRECTIONS, share: float = SHARE,
    batchnorm: str = "retain", weighted: bool = False,
) -> dict[str, np.ndarray]:  # fmt: skip
    """How much the mean loss of each split rises when weights move by ``share`` of each filter's norm, in nats.

    By split, ``one/<split>`` (D,): L(theta + s d) - L(theta), which holds the slope too, and ``both/<split>`` (D,):
    [L(theta + s d) + L(theta - s d)] / 2 - L(theta), the curvature s^2 d'Hd / 2 up to the fourth order, for D
    ``directions``, the first of which ``seed`` draws, the others the seeds that follow. ``batchnorm``: the policy of
    statistics at the moved weights, as in `traces.trace`; ``weighted`` too.

    Raises:
        BadInput: a share of 0 or less, no direction, what `traces.trace` refuses.
    """
    check_weights(weights), check_task(task)
    if number("share", share, 0) == 0:
        raise BadInput("share is what the weights move by, of each filter's norm: it must be above 0, got 0.")
    seed = seed_of(seed)
    still = trace(weights, task, 1, batchnorm=batchnorm, weighted=weighted)
    rows: dict[str, list[float]] = {}
    for k in range(whole("directions", directions, 1)):
        along = direction(weights, seed + k)
        ends = line(stepped(weights, along, share), stepped(weights, along, -share))
        moved = trace(ends, task, 2, batchnorm=batchnorm, weighted=weighted)
        for split in moved.logits:
            base, (up, down) = mean_loss(still, split)[0], mean_loss(moved, split)
            rows.setdefault(f"one/{split}", []).append(up - base)
            rows.setdefault(f"both/{split}", []).append((up + down) / 2 - base)
    return {name: np.array(values) for name, values in rows.items()}


def power_iteration(
    product: Callable[[Tensor], Tensor], size: int, *, seed: int = 0, iterations: int = ITERATIONS, shift: float = 0.0
) -> tuple[float, Tensor]:
    """Rayleigh's quotient and the vector (size,) that ``v <- (H - shift) v / |.|`` comes to, from a drawn start.

    The quotient is that of H. The eigenvalue farthest from ``shift`` wins; float64.
    """
    rng = torch.Generator().manual_seed(seed_of(seed))
    v = torch.randn(whole("size", size, 1), generator=rng, dtype=torch.float64)
    v /= v.norm()
    for _ in range(whole("iterations", iterations, 1)):
        w = product(v) - shift * v
        if not torch.isfinite(w).all() or not w.norm() > 0:
            break
        v = w / w.norm()
    return float(v @ product(v)), v


def top_eigenvalue(
    product: Callable[[Tensor], Tensor], size: int, *, seed: int = 0, iterations: int = ITERATIONS
) -> float:
    """The largest eigenvalue of a symmetric matrix given by its products with vectors (size,).

    Power iteration finds the one of largest magnitude. Where that is negative, a second one with it as the shift finds
    the largest. ``iterations`` bounds both; the result never exceeds the true value but for rounding.
    """
    found, _ = power_iteration(product, size, seed=seed, iterations=iterations)
    if found >= 0:
        return found
    return max(found, power_iteration(product, size, seed=seed, iterations=iterations, shift=found)[0])


def hessian_product(
    loss: Callable[[Mapping[str, Tensor]], Tensor], params: Mapping[str, Tensor]
) -> Callable[[Tensor], Tensor]:
    """The function v (P,) -> H v (P,) of a loss of named tensors, by two backward passes; vectors are float64."""
    leaves = {name: value.detach().clone().requires_grad_(True) for name, value in params.items()}
    tensors = list(leaves.values())
    first = torch.autograd.grad(loss(leaves), tensors, create_graph=True, materialize_grads=True)
    slope = torch.cat([part.flatten() for part in first])

    def product(v: Tensor) -> Tensor:
        if not slope.requires_grad:  # the loss is linear
            return torch.zeros_like(v)
        second = torch.autograd.grad(slope @ v.to(slope), tensors, retain_graph=True, materialize_grads=True)
        return torch.cat([part.flatten() for part in second]).double().cpu()

    return product


def hessian_top(
    weights: Weights, task: Task, rows: Tensor, *, seed: int = 0, iterations: int = ITERATIONS, batch_size: int = 256
) -> float:
    """The largest eigenvalue of the Hessian of the mean cross-entropy on ``rows`` of a task, in nats.

    In evaluation mode (the statistics of BatchNorm are constants), over the parameters that are not frozen, by
    `top_eigenvalue`; in the dtype of the weights. Raises `BadInput` without rows.
    """
    check_weights(weights), check_task(task)
    if len(rows) == 0:
        raise BadInput("a Hessian is of at least one example, got none.")
    net = net_of(weights)
    free = trainable(weights, net.params)
    if not free:
        raise BadInput(f"all parameters of a {weights.model} are frozen: there is nothing to move.")
    still = {name: value for name, value in net.params.items() if name not in free}

    def part_of(chunk: Tensor) -> Callable[[Tensor], Tensor]:
        def loss(params: Mapping[str, Tensor]) -> Tensor:
            logits = net.at({**still, **params})(take(task.x, chunk))
            return cross_entropy(logits, task.y[chunk]).sum() / len(rows)

        return hessian_product(loss, free)

    products = [part_of(chunk) for chunk in rows.split(whole("batch_size", batch_size, 1))]
    size = sum(value.numel() for value in free.values())
    whole_product = lambda v: torch.stack([one(v) for one in products]).sum(0)  # noqa: E731
    return top_eigenvalue(whole_product, size, seed=seed, iterations=iterations)
