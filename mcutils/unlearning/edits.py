"""Weight edits, which change the original model's weights in one go, and defences against relearning.

Defences are built to lie far from the original model or behind a barrier from it: three edit the weights and then train
on D_r, two train on D_r with a reward for where the weights are. As methods they join every experiment; as models meant
to be disconnected they are positive controls of what measures connection. Source of all, with their strengths: Siddiqui
et al. 2025, arXiv 2505.22310, and its code, which takes 100 epochs at a tenth of the rate of training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..data.tasks import Task, take
from ..errors import BadInput, flag, number, share, whole
from ..objectives import Step, Term, cross_entropy, held, losses_on, together
from ..weights import Weights, mix, net_of

Edit = Callable[..., dict[str, Tensor]]
ROOT = 1e-12  # under the root of the distance, which has no gradient at the original weights themselves


def squared_gradients(
    theta: Weights, task: Task, rows: Tensor, *, batch_size: int = 128, per_example: bool = False
) -> dict[str, Tensor]:
    """Importance of every parameter: ``mean over batches of (batch-mean gradient)^2`` of the cross-entropy.

    In evaluation mode, on ``rows`` (N,) of the task in their order. ``per_example`` is the mean over examples of the
    squared gradient of one example instead, which no batch size changes. Sources: Foster et al. 2024 (the published
    form, batch-wise, last batch counted like the others); the per-example form is SUPREME's ``SSD-Det``.
    """
    size = 1 if flag("per_example", per_example) else whole("batch_size", batch_size, 1)
    if len(rows) == 0:
        raise BadInput("importance is measured on at least one example, got none.")
    net = net_of(theta)
    leaves = [p.requires_grad_(True) for p in net.params.values()]
    total = [torch.zeros_like(p) for p in leaves]
    chunks = rows.split(size)
    for chunk in chunks:
        loss = cross_entropy(net(take(task.x, chunk)), task.y[chunk]).mean()
        for sum_, g in zip(total, torch.autograd.grad(loss, leaves, materialize_grads=True), strict=True):
            sum_ += g.square()
    return {name: sum_ / len(chunks) for name, sum_ in zip(net.params, total, strict=True)}


def ssd(
    theta: Weights, task: Task, generator: torch.Generator, *, alpha: float = 10.0, beta: float = 1.0,
    batch_size: int = 128, per_example: bool = False,
) -> dict[str, Tensor]:  # fmt: skip
    """Selective synaptic dampening: ``theta_i <- theta_i min(1, beta I_D / I_Df)`` wherever ``I_Df > alpha I_D``.

    I is `squared_gradients`, on the whole training pool D and on D_f. Nothing is drawn at random. Defaults are those
    published for ResNet-18. Source: Foster, Schoepf and Brintrup 2024, and its code.
    """
    number("alpha", alpha, 0)
    number("beta", beta, 0)
    how = partial(squared_gradients, theta, task, batch_size=batch_size, per_example=per_example)
    everything, forgotten = how(task.rows("train")), how(task.rows("forget"))
    edited = {}
    for name, p in theta.params.items():
        damped = p * (beta * everything[name] / forgotten[name]).clamp(max=1)
        edited[name] = torch.where(forgotten[name] > alpha * everything[name], damped, p)
    return edited


def weight_distortion(
    theta: Weights, task: Task, generator: torch.Generator, *, spread: float = 0.02
) -> dict[str, Tensor]:
    """Noise of standard deviation ``spread`` on every weight, ``theta_i + spread N(0, 1)``, then training on D_r."""
    number("spread", spread, 0)
    draw = lambda v: torch.randn(v.shape, generator=generator, dtype=torch.float64).to(v)  # noqa: E731
    return {name: value + spread * draw(value) for name, value in theta.params.items()}


def weight_attenuation(
    theta: Weights, task: Task, generator: torch.Generator, *, factor: float = 0.5
) -> dict[str, Tensor]:
    """Every weight times ``factor``, then training on D_r."""
    number("factor", factor)
    return {name: value * factor for name, value in theta.params.items()}


def weight_dropout(
    theta: Weights, task: Task, generator: torch.Generator, *, dropped: float = 0.2
) -> dict[str, Tensor]:
    """Each weight becomes 0 with probability ``dropped``, the others stay as they are, then training on D_r."""
    share("dropped", dropped, zero=True)
    kept = lambda v: torch.rand(v.shape, generator=generator).to(v.device) >= dropped  # noqa: E731
    return {name: value * kept(value) for name, value in theta.params.items()}


def distance_reward(net: Any, step: Step, *, reward: float = 1.0) -> tuple[Term, ...]:
    """Cross-entropy on D_r minus ``reward`` times the root mean square of theta - theta_o, over all weights."""
    origin = anchor_of(step)
    squares = [(value - origin[name]).square().sum() for name, value in net.params.items()]
    count = sum(value.numel() for value in net.params.values())
    far = (torch.stack(squares).sum() / count + ROOT).sqrt()
    return Term(1.0, losses_on(net, step.retain)), Term(-reward, far)


def barrier_reward(net: Any, step: Step, *, reward: float = 1e-3, most: float = 50.0) -> tuple[Term, ...]:
    """Cross-entropy on D_r minus ``reward`` times that halfway to theta_o, on D_r and D_f together, at most ``most``.

    The mean cross-entropy of both batches at (theta + theta_o) / 2, whose gradient reaches theta; beyond ``most`` nats
    there is nothing to be gained.
    """
    origin, batches = anchor_of(step), (held(step.retain), held(step.forget))
    middle = net.at(mix((0.5, 0.5), (net.params, origin)))
    logits = together(middle, *batches)
    between = torch.cat([cross_entropy(z, batch.y) for z, batch in zip(logits, batches, strict=True)]).mean()
    return Term(1.0, losses_on(net, step.retain)), Term(-reward, between.clamp(max=most))


def anchor_of(step: Step) -> Mapping[str, Tensor]:
    """The original model's parameters that a step holds, or `BadInput`."""
    if step.anchor is None:
        raise BadInput("an objective looks at the original weights, which its step does not hold.")
    return step.anchor
