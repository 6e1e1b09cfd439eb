"""The one gradient loop, and the training of original models with it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from .data import Task, count, take
from .errors import BadInput, callback, choose, flag, instance, seed_of, shown, table
from .models import build, drawn, kept_buffers, reason, rebuild
from .objectives import Batch, Step, Term, Weighing, retain_loss
from .optimizers import make_optimizer
from .plugins import identity
from .settings import Plan, settings_name, train_plan
from .weights import (
    Net,
    Weights,
    check_logits,
    laid_out,
    memory_format,
    refresh_batchnorm,
    trainable,
    weights_of,
)

Model = str | nn.Module | Callable[[], nn.Module]


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
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Minimise ``loss_at(step)`` over ``variables`` in place for ``plan.steps`` steps; return the losses.

    ``variables`` are leaf tensors of the caller's own. ``mask`` (bool, same shapes) holds where they may move:
    elsewhere they are bit-identical afterwards, whatever momentum or weight decay. ``curvature_at`` gives the mean
    cross-entropy on resampled labels and the number of examples, for optimisers that ask for it. ``lr_factor(step)``
    scales the learning rate of the tensors with two or more dimensions (the authors' curve recipe). Dropout, which
    draws from torch's global generator, sees one seeded with ``seed``; the caller's is left as it is. Raises
    `Diverged` when a loss or a final tensor is not finite.
    """
    leaves = list(variables.values())
    for leaf in leaves:
        leaf.requires_grad_(True)
    kept = [(leaf.detach().clone(), mask[name]) for name, leaf in variables.items()] if mask else []
    groups = [[v for v in leaves if v.ndim > 1], [v for v in leaves if v.ndim <= 1]]
    optimizer = make_optimizer(
        plan.optimizer,
        [{"params": g} for g in groups if g],
        plan.lr,
        plan.weight_decay,
        **table("the plan's options", plan.options),
    )
    ordered = [p for group in optimizer.param_groups for p in group["params"]]
    schedule, history = SCHEDULES[choose("schedule", plan.schedule, SCHEDULES)], []
    interval = getattr(optimizer, "interval", 0) if curvature_at else 0
    on_gpu = {leaf.device for leaf in leaves if leaf.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(on_gpu)):
        torch.manual_seed(seed)
        for number, step in zip(range(plan.steps), steps, strict=False):
            rate = plan.lr * schedule(number / plan.steps)
            for group in optimizer.param_groups:
                scaled = lr_factor is not None and group["params"][0].ndim > 1
                group["lr"] = rate * lr_factor(step) if scaled else rate
            if interval and number % interval == 0:
                loss, terms = curvature_at(step)
                optimizer.update_curvature(torch.autograd.grad(loss, ordered), terms)
            loss = loss_at(step)
            history.append(loss.item())
            if not math.isfinite(history[-1]):
                raise Diverged(f"the loss became {history[-1]} at step {number + 1} of {plan.steps} (lr {plan.lr:g}).")
            for leaf, gradient in zip(leaves, torch.autograd.grad(loss, leaves, allow_unused=True), strict=True):
                leaf.grad = torch.zeros_like(leaf) if gradient is None else gradient
            for (_, allowed), leaf in zip(kept, leaves, strict=False):
                leaf.grad.mul_(allowed)
            if plan.clip:
                torch.nn.utils.clip_grad_norm_(leaves, plan.clip)
            optimizer.step()
            for (start, allowed), leaf in zip(kept, leaves, strict=False):
                with torch.no_grad():
                    leaf.copy_(torch.where(allowed, leaf, start))
            if progress:
                progress(number, history[-1])
    for name, leaf in variables.items():
        leaf.requires_grad_(False).grad = None
        if not torch.isfinite(leaf).all():
            raise Diverged(f"{name} holds NaN or infinity after {plan.steps} steps (lr {plan.lr:g}).")
    return history


def resampled_loss(net: Net, step: Step) -> tuple[Tensor, int]:
    """Mean cross-entropy of the step's examples on labels drawn from the network's own softmax, and their number.

    The Gauss-Newton-Bartlett estimator's loss; retain and forget batches count together, each example once.
    """
    total, terms = 0.0, 0
    for batch in (step.retain, step.forget):
        if batch is None:
            continue
        logits = net(batch.x)
        drawn = torch.multinomial(logits.detach().softmax(1).cpu(), 1, generator=step.generator).squeeze(1)
        total = total + torch.nn.functional.cross_entropy(logits, drawn.to(logits.device), reduction="sum")
        terms += len(batch.y)
    return total / terms, terms


def check_task(task: Task) -> Task:
    """Return a task whose labels are classes of it, or raise `BadInput`."""
    y = instance("the task", task, Task, "a task, as load_task returns it").y
    if y.dtype != torch.int64 or y.shape != (count(task.x),):
        raise BadInput(
            f"the task's labels must be one int64 for each example, got {y.dtype} of shape {tuple(y.shape)}."
        )
    if len(y) and not 0 <= int(y.min()) <= int(y.max()) < task.n_classes:
        bad = int(y.min()) if y.min() < 0 else int(y.max())
        raise BadInput(
            f"the task has {task.n_classes} classes, so labels lie from 0 to {task.n_classes - 1}, got {bad}."
        )
    return task


def check_plan(plan: Plan | None) -> Plan | None:
    """Return a plan or None, or raise `BadInput`."""
    return instance("plan", plan, (Plan, type(None)), "a Plan or None")


def network_for(task: Task, model: Model, seed: int, *, fresh: bool = False, **options: int) -> Weights:
    """The weights that training begins from: a named architecture's or a factory's drawn from ``seed``, or a module's.

    A module is taken as it stands, or drawn anew from ``seed`` where ``fresh``, as a factory must be too.
    """
    seed = seed_of(seed)
    if isinstance(model, str):
        images = isinstance(task.x, Tensor) and (task.x.ndim == 4 or identity("model", model) is not None)
        channels = task.x.shape[1] if images else None
        net = build(model, 1 if channels is None else channels, task.n_classes, seed, **options)
        if channels is None:
            raise BadInput(f"the named model {model!r} takes images (N, C, H, W): pass a module or a factory instead.")
        return weights_of(net, model).to(task.device)
    if options:
        known = "options of an architecture go with a model's name, not with a module of your own"
        raise BadInput(f"unknown argument {next(iter(options))!r}: {known}.")
    if isinstance(model, nn.Module):
        start = weights_of(model).to(task.device)
        return anew(start, task, seed) if fresh else start
    if not callable(model):
        raise BadInput(f"the model must be a name, a module or a function that returns one, got {shown(model)}.")
    start = replace(weights_of(drawn(model, seed)), factory=model).to(task.device)
    return anew(start, task, seed) if fresh else start


def anew(start: Weights, task: Task, seed: int) -> Weights:
    """Untrained weights of the architecture of ``start`` drawn from ``seed``; frozen parameters stay as they are.

    Raises `BadInput` for what cannot be drawn anew: parameters that no layer resets, buffers that training changes and
    no layer resets, a factory whose modules do not depend on the seed.
    """
    if start.factory is not None:
        made, other = (weights_of(drawn(start.factory, s), start.model) for s in (seed, seed ^ 1))
        if all(torch.equal(value, other.params[name]) for name, value in trainable(made).items()):
            raise BadInput(
                f"the factory of a {start.model} gives the same weights whatever the seed: it must draw new ones."
            )
        return replace(made, factory=start.factory).to(task.device)
    made = weights_of(rebuild(start.net, seed, start.frozen), start.model).to(task.device)
    kept = kept_buffers(start.net)
    moved = _moved(start, task, kept) if kept else None
    if moved:
        raise BadInput(
            f"a {start.model} cannot be drawn anew, since training changes {moved} and no layer resets it: pass a "
            "factory, a function without arguments that returns a new module, instead of the module."
        )
    params = {**made.params, **{name: start.params[name].clone() for name in start.frozen}}
    buffers = {**made.buffers, **{name: start.buffers[name].clone() for name in kept}}
    return replace(start, params=params, buffers=buffers)


def _moved(start: Weights, task: Task, names: Iterable[str]) -> str | None:
    """The first of some buffers that one forward pass in training mode changes."""
    buffers = laid_out(start.buffers, torch.contiguous_format)
    net = _forward(start, laid_out(start.params, torch.contiguous_format), buffers, task, task.index["retain"][:2])[0]
    return next((name for name in sorted(names) if not net.buffers[name].equal(start.buffers[name])), None)


def _forward(start: Weights, params: dict, buffers: dict, task: Task, rows: Tensor) -> tuple[Net, Any]:
    """A network in training mode and its output on some rows; torch's global generator is left as it is."""
    net = Net(start.net, params, buffers, train=True)
    with torch.no_grad(), torch.random.fork_rng(devices=[task.device] if task.device.type == "cuda" else []):
        try:
            return net, net(take(task.x, rows))
        except Exception as error:  # a module of the user's own may fail in any way
            raise BadInput(f"a {start.model} cannot be trained on {len(rows)} examples: {reason(error)}.") from error


@dataclass(frozen=True, eq=False)
class Ready:
    """A network ready to descend: ``net`` in training mode at copies of its tensors; of them ``free`` may move."""

    start: Weights
    task: Task
    layout: torch.memory_format
    net: Net
    free: dict[str, Tensor]

    def finished(self, weighted: bool = False) -> Weights:
        """The weights where the network is now, with the buffers that training left; see `finished`."""
        return finished(replace(self.start, buffers=self.net.buffers), self.net.params, self.task, weighted)


def ready(start: Weights, task: Task, rows: Tensor, plan: Plan) -> Ready:
    """Lay a network out for a descent over ``rows`` of the task; raise `BadInput` where it cannot be trained."""
    free = trainable(start)
    if not free:
        raise BadInput(f"all parameters of a {start.model} are frozen: there is nothing to train.")
    for name, value in start.params.items():
        if value.dtype not in (torch.float32, torch.float64):
            raise BadInput(f"{name} of a {start.model} is {value.dtype}: train in float32 or float64.")
    if len(rows) == 0:
        raise BadInput("an empty split cannot be trained on: at least one example is needed.")
    layout = memory_format(start, task.x, task.n_classes)
    params, buffers = laid_out(start.params, layout), laid_out(start.buffers, layout)
    few = rows[: min(2, plan.batch_size)]
    check_logits(
        start.model, _forward(start, params, laid_out(buffers, layout), task, few)[1], len(few), task.n_classes
    )
    net = Net(start.net, params, buffers, train=True)
    return Ready(start, task, layout, net, {name: params[name] for name in free})


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
        """Descend over ``variables``; ``steps`` are pairs (place, step), ``network(place)`` the network there."""

        def said(make: Callable[[Net, Step], Any], item: tuple[Any, Step]) -> Any:
            try:
                return make(network(item[0]), item[1])
            except ValueError as error:
                if "more than 1 value per channel" not in str(error):
                    raise
                raise BadInput(f"these batches are too small for a layer of the network: {reason(error)}.") from error

        return descend(
            variables,
            steps,
            lambda item: said(lambda net, step: self.weigh.total(self.objective(net, step), step), item),
            self.plan,
            curvature_at=lambda item: said(resampled_loss, item),
            mask=mask,
            lr_factor=lr_factor,
            seed=self.seed,
            progress=self.progress,
        )


def train(
    task: Task,
    model: Model = "convnet",
    *,
    seed: int,
    plan: Plan | None = None,
    split: str = "train",
    init: int | None = None,
    progress: Callable[[int, float], None] | None = None,
    weighted: bool = False,
    **options: int,
) -> Weights:
    """Train a network with cross-entropy on ``split`` (``train``: the original model; ``retain``: the retrained one).

    ``model`` is a name, a factory (a function without arguments that returns a new module) or a module, which is
    trained from where it stands. ``seed`` draws the initial weights of a name or a factory and the order of batches;
    ``init``, where given, draws the weights, of a module too. Parameters with ``requires_grad`` off stay as they are.
    ``plan`` defaults to the settings of the data set and model; ``options`` go to the architecture (``width``).
    BatchNorm statistics are those of the task's ``bn`` rows, which are retain data (see `weights.refresh_batchnorm` for
    ``weighted``); all other buffers are those that training left. On one thread and one library version a rerun is
    bit-identical. Raises `BadInput` for a network that does not give one logit for each class.
    """
    check_task(task), check_plan(plan), flag("weighted", weighted)
    seed, init = seed_of(seed), None if init is None else seed_of(init, "init")
    rows = task.index[choose("split", split, task.index)]
    start = network_for(task, model, seed if init is None else init, fresh=init is not None, **options)
    plan = plan or train_plan(settings_name(task.dataset, start.model))
    begin = ready(start, task, rows, plan)
    goal = Goal(retain_loss, Weighing("none", task.n_classes), plan, seed, callback(progress))
    rng = generator(seed, "labels")
    stream = batches(task, rows, plan.batch_size, generator(seed, "retain"))
    goal.pursue(begin.free, ((None, Step(b, None, generator=rng)) for b in stream), lambda _: begin.net)
    return begin.finished(weighted)


def finished(start: Weights, params: Mapping[str, Tensor], task: Task, weighted: bool = False) -> Weights:
    """Weights like ``start`` at new parameters, with BatchNorm statistics of the task's ``bn`` rows."""
    plain = torch.contiguous_format
    kept = {name: v.detach().clone(memory_format=plain) for name, v in params.items()}
    buffers = {name: v.detach().clone(memory_format=plain) for name, v in start.buffers.items()}
    made = replace(start, params=kept, buffers=buffers)
    return refresh_batchnorm(made, task.inputs("bn"), weighted=weighted)
