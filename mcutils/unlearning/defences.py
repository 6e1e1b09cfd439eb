"""Defences against relearning, built to lie far from the original model or behind a barrier from it.

Three change the weights and then train on D_r, two train on D_r with a reward for where the weights are. As methods
they join every experiment; as models meant to be disconnected they are positive controls of what measures connection.
Source of all, with their strengths: Siddiqui et al. 2025, arXiv 2505.22310, and its code, which takes 100 epochs at a
tenth of the rate of training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..data.tasks import Task
from ..errors import BadInput, number, share
from ..objectives import Step, Term, cross_entropy, held, losses_on, together
from ..weights import Weights, mix

ROOT = 1e-12  # under the root of the distance, which has no gradient at the original weights themselves


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
