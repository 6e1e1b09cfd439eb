"""Weight edits: methods that change the original model's weights in one go, without training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..data.tasks import Task, take
from ..errors import BadInput, flag, number, whole
from ..objectives import cross_entropy
from ..weights import Weights, net_of

Edit = Callable[..., dict[str, Tensor]]


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
