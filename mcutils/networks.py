"""Networks to descend from: by name, module or factory, drawn from a seed, checked early, finished afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from . import weights
from .data.tasks import Task, check_finite, count, take
from .errors import BadInput, instance, reason, seed_of, shown
from .models.vision import build, check_options, drawn, kept_buffers, rebuild
from .plugins import identity
from .settings import Plan
from .weights import Net, Weights, check_logits, laid_out, memory_format, net_of, trainable, weights_of

Model = str | nn.Module | Callable[[], nn.Module]


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


def network_for(task: Task, model: Model, seed: int, *, fresh: bool = False, **options: int) -> Weights:
    """The weights that training begins from: a named architecture's or a factory's drawn from ``seed``, or a module's.

    A module is taken as it stands, or drawn anew from ``seed`` where ``fresh``, as a factory must be too.
    """
    seed = seed_of(seed)
    if isinstance(model, str):
        channels = None
        if isinstance(task.x, Tensor) and (task.x.ndim == 4 or identity("model", model) is not None):
            channels = task.x.shape[1]
        check_options(model, options)  # the task says how many channels and classes
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
    net = net_of(start, train=True)
    _forward(start, net, task, task.index["retain"][:2])
    return next((name for name in sorted(names) if not net.buffers[name].equal(start.buffers[name])), None)


def _forward(start: Weights, net: Net, task: Task, rows: Tensor) -> object:
    """The output of a network in training mode on some rows; torch's global generator is left as it is."""
    with torch.no_grad(), torch.random.fork_rng(devices=[task.device] if task.device.type == "cuda" else []):
        try:
            return net(take(task.x, rows))
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
    if not trainable(start):
        raise BadInput(f"all parameters of a {start.model} are frozen: there is nothing to train.")
    for name, value in start.params.items():
        if value.dtype not in (torch.float32, torch.float64):
            raise BadInput(f"{name} of a {start.model} is {value.dtype}: train in float32 or float64.")
    if len(rows) == 0:
        raise BadInput("an empty split cannot be trained on: at least one example is needed.")
    check_finite(take(task.x, rows), "what a network is trained on")
    layout = memory_format(start, task.x, task.n_classes)
    few = rows[: min(2, plan.batch_size)]
    output = _forward(start, net_of(start, layout, train=True), task, few)
    check_logits(start.model, output, len(few), task.n_classes)
    net = net_of(start, layout, train=True)
    return Ready(start, task, layout, net, trainable(start, net.params))


def finished(start: Weights, params: Mapping[str, Tensor], task: Task, weighted: bool = False) -> Weights:
    """Weights like ``start`` at new parameters, with BatchNorm statistics of the task's ``bn`` rows."""
    made = replace(start, params=laid_out(params), buffers=laid_out(start.buffers))
    return weights.refresh_batchnorm(made, task.inputs("bn"), weighted=weighted)
