"""The one gradient loop: descend from given variables on any objective, step by step."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .curricula import Weighing
from .data.tasks import Task, take
from .errors import BadInput, choose, instance, reason, seed_of
from .objectives import Batch, Step, Term
from .optimizers import make_optimizer
from .settings import Plan
from .weights import Net


class Diverged(ArithmeticError):
    """A loss became NaN or infinite; the message says where."""


def _one_cycle(progress: float) -> float:
    if progress < 0.3:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * progress / 0.3))
    return 1e-3 + (1 - 1e-3) * 0.5 * (1 + math.cos(math.pi * (progress - 0.3) / 0.7))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    "one_cycle": _one_cycle,
}


def generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator of its own for each seed and purpose, so that adding one never shifts another."""
    digest = hashlib.sha256(f"{seed_of(seed)}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def batches(task: Task, rows: Tensor, size: int, rng: torch.Generator) -> Iterator[Batch]:
    """Shuffled batches of ``size`` rows for ever, pass after pass; a last incomplete batch is left out.

    A set smaller than ``size`` is one batch.
    """
    if len(rows) == 0:
        raise BadInput("an empty split cannot be trained on: at least one example is needed.")
    size = min(size, len(rows))
    while True:
        order = rows[torch.randperm(len(rows), generator=rng).to(rows.device)]
        for chunk in order.split(size):
            if len(chunk) == size:
                yield Batch(take(task.x, chunk), task.y[chunk], chunk)


def descend(
    variables: Mapping[str, Tensor],
    steps: Iterable[Any],
    loss_at: Callable[[Any], Tensor],
    plan: Plan,
    *,
    curvature_at: Callable[[Any], tuple[Tensor, int]] | None = None,
    mask: Mapping[str, Tensor] | None = None,
    lr_factor: Callable[[Any], float] | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Minimise ``loss_at(step)`` over ``variables`` in place for ``plan.steps`` steps; return the losses.

    ``variables`` are leaf tensors of the caller's own. ``mask`` (bool, same shapes) holds where they may move:
    elsewhere they are bit-identical afterwards, whatever momentum or weight decay. ``curvature_at`` gives the mean
    cross-entropy on resampled labels and the number of examples, for optimisers that ask for it. ``lr_factor(step)``
    scales the learning rate of the tensors with two or more dimensions (the authors' curve recipe). Raises `Diverged`
    when a loss or a final tensor is not finite.
    """
    leaves = [leaf.requires_grad_(True) for leaf in variables.values()]
    kept = [(leaf, leaf.detach().clone(), mask[name]) for name, leaf in variables.items()] if mask else []
    groups = [[v for v in leaves if v.ndim > 1], [v for v in leaves if v.ndim <= 1]]
    given = [{"params": g} for g in groups if g]
    optimizer = make_optimizer(plan.optimizer, given, plan.lr, plan.weight_decay, **dict(plan.options))
    schedule, history = SCHEDULES[choose("schedule", plan.schedule, SCHEDULES)], []
    for number, step in zip(range(plan.steps), steps, strict=False):
        rate = plan.lr * schedule(number / plan.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate * lr_factor(step) if lr_factor and group["params"][0].ndim > 1 else rate
        if curvature_at is not None:
            _feel_curvature(optimizer, number, partial(curvature_at, step))
        loss = loss_at(step)
        history.append(loss.item())
        if not math.isfinite(history[-1]):
            raise Diverged(f"the loss became {history[-1]} at step {number + 1} of {plan.steps} (lr {plan.lr:g}).")
        gradients = _gradients(loss, leaves)
        for gradient, (_, _, allowed) in zip(gradients, kept, strict=False):
            gradient.mul_(allowed)
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = gradient
        if plan.clip:
            torch.nn.utils.clip_grad_norm_(leaves, plan.clip)
        optimizer.step()
        with torch.no_grad():
            for leaf, start, allowed in kept:
                leaf.copy_(torch.where(allowed, leaf, start))
        if progress:
            progress(number, history[-1])
    for name, leaf in variables.items():
        leaf.requires_grad_(False).grad = None
        if not torch.isfinite(leaf).all():
            raise Diverged(f"{name} holds NaN or infinity after {plan.steps} steps (lr {plan.lr:g}).")
    return history


def _feel_curvature(optimizer: Any, number: int, curvature: Callable[[], tuple[Tensor, int]]) -> None:
    """Hand an optimiser that has an ``interval`` the curvature at every so many steps."""
    interval = getattr(optimizer, "interval", 0)
    if interval and number % interval == 0:
        loss, terms = curvature()
        ordered = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.update_curvature(_gradients(loss, ordered), terms)


def _gradients(loss: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """The gradient of each leaf, zero where the loss does not depend on it."""
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [torch.zeros_like(v) if g is None else g for v, g in zip(leaves, found, strict=True)]


def resampled_loss(net: Net, step: Step) -> tuple[Tensor, int]:
    """Mean cross-entropy of the step's examples on labels drawn from the network's own softmax, and their number.

    The Gauss-Newton-Bartlett estimator's loss; retain and forget batches count together, each example once.
    """
    sums, terms = [], 0
    for batch in (step.retain, step.forget):
        if batch is not None:
            logits = net(batch.x)
            drawn = torch.multinomial(logits.detach().softmax(1).cpu(), 1, generator=step.generator).squeeze(1)
            sums.append(torch.nn.functional.cross_entropy(logits, drawn.to(logits.device), reduction="sum"))
            terms += len(batch.y)
    return torch.stack(sums).sum() / terms, terms


def check_plan(plan: Plan | None) -> Plan | None:
    """Return a plan or None, or raise `BadInput`."""
    return instance("plan", plan, (Plan, type(None)), "a Plan or None")


@dataclass(frozen=True, eq=False)
class Goal:
    """What a descent minimises and how: ``objective(net, step)`` gives terms, ``weigh`` makes a scalar of them."""

    objective: Callable[[Net, Step], tuple[Term, ...]]
    weigh: Weighing
    plan: Plan
    seed: int
    progress: Callable[[int, float], None] | None = None

    def pursue(
        self,
        variables: Mapping[str, Tensor],
        steps: Iterable[tuple[Any, Step]],
        network: Callable[[Any], Net],
        *,
        mask: Mapping[str, Tensor] | None = None,
        lr_factor: Callable[[Any], float] | None = None,
    ) -> list[float]:
        """Descend over ``variables``; ``steps`` are pairs (place, step), ``network(place)`` the network there.

        Dropout, which draws from torch's global generator, sees one seeded with ``seed``; the caller's is left as it
        is.
        """

        def said(make: Callable[[Net, Step], Any], item: tuple[Any, Step]) -> Any:
            try:
                return make(network(item[0]), item[1])
            except ValueError as error:
                if "more than 1 value per channel" not in str(error):
                    raise
                raise BadInput(f"these batches are too small for a layer of the network: {reason(error)}.") from error

        on_gpu = {leaf.device for leaf in variables.values() if leaf.device.type == "cuda"}
        with torch.random.fork_rng(devices=list(on_gpu)):
            torch.manual_seed(self.seed)
            return descend(
                variables,
                steps,
                lambda item: said(lambda net, step: self.weigh.total(self.objective(net, step), step), item),
                self.plan,
                curvature_at=lambda item: said(resampled_loss, item),
                mask=mask,
                lr_factor=lr_factor,
                progress=self.progress,
            )
