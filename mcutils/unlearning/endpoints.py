"""Unlearning: from original weights to an endpoint, by any method, curriculum and optimiser."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from .. import objectives
from ..curricula import CURRICULA, Weighing
from ..data.tasks import SHAPES, Task, content_hash, take
from ..descent import Goal, batches, generator
from ..errors import BadInput, callback, choose, flag, instance, number, seed_of, shown, whole
from ..networks import Model, anew, check_task, finished, ready
from ..objectives import Step, Term
from ..optimizers import OPTIMIZERS
from ..settings import MethodSettings, Plan, method_settings, settings_name
from ..training import train
from ..weights import Weights, check_weights, memory_format, module_of, trainable
from .methods import METHODS, Method
from .snapshots import Camera, check_steps


@dataclass(frozen=True)
class Endpoint:
    """An unlearned model and how it came to be; ``origin`` is the model that it was unlearned from.

    ``snapshots`` are steps and the weights after them, where `unlearn` was asked for some.

    >>> import mcutils as mc
    >>> task = mc.load_task("digits", 0.1, train_size=240, test_size=60)
    >>> theta = train(task, seed=0, plan=Plan(steps=2), width=2)
    >>> end = unlearn(theta, task, "finetune", seed=42, settings=MethodSettings(Plan(steps=1)))
    >>> (end.method, end.seed, end.origin is theta)
    ('finetune', 42, True)
    """

    weights: Weights
    origin: Weights
    task: str
    method: str
    curriculum: str
    optimizer: str
    seed: int
    settings: MethodSettings
    seconds: float
    losses: tuple[float, ...] = ()
    snapshots: tuple[tuple[int, Weights], ...] = ()


def method_options(method: Method, given: Mapping[str, Any]) -> dict[str, Any]:
    """The method's options with the given ones put in; one that is unknown or of another type raises `BadInput`."""
    for name, value in given.items():
        if name not in method.options:
            allowed = ", ".join(method.options) or "none"
            raise BadInput(f"unknown option {name!r} of {method.name}: its options are {allowed}.")
        default = method.options[name]
        if type(default) is float:
            number(name, value)
        elif type(default) is int:
            whole(name, value)
    return {**method.options, **given}


def check_terms(name: str, found: Any) -> tuple[Term, ...]:
    """Return what a method's objective gives if it is terms that depend on the network, else raise `BadInput`."""
    terms = tuple(found) if isinstance(found, (tuple, list)) else ()
    if not terms or not all(isinstance(one, Term) and _is_loss(one) for one in terms):
        raise BadInput(f"the objective of {name} must return terms, a weight and losses each, got {shown(found)}.")
    if torch.is_grad_enabled() and not any(one.losses.requires_grad for one in terms):
        raise BadInput(f"the losses that the objective of {name} returns do not depend on the network.")
    return terms


def _ordered(name: str, phases: Any) -> Iterator[str]:
    yield from instance(f"what the phases of {name} return", phases, Iterable, "an iterator")
    raise BadInput(f"the phases of {name} end before the last step: they must go on for ever.")


def fits(found: Any, params: Mapping[str, Tensor]) -> bool:
    """Whether something is tensors by the names and of the shapes of parameters, or of some of them."""
    named = isinstance(found, Mapping) and set(found) <= set(params)
    return named and all(isinstance(one, Tensor) and one.shape == params[name].shape for name, one in found.items())


def _is_loss(term: Term) -> bool:
    tensors = [term.losses, *([] if term.difficulty is None else [term.difficulty])]
    real = all(isinstance(one, Tensor) and one.is_floating_point() and one.numel() for one in tensors)
    return real and isinstance(term.weight, (Real, Tensor)) and len({one.shape for one in tensors}) == 1


def check_settings(settings: MethodSettings | None) -> MethodSettings | None:
    """Return settings or None, or raise `BadInput`."""
    return instance("settings", settings, (MethodSettings, type(None)), "a MethodSettings or None")


@torch.no_grad()
def reference(theta: Weights, task: Task, rows: Tensor) -> objectives.Reference:
    """A frozen network as a table of its logits on ``rows`` of the task, computed once; called with a batch.

    Inputs are never augmented, so a table gives the numbers that the network itself would.
    """
    layout = memory_format(theta, task.x, task.n_classes)
    module = module_of(theta, layout)
    parts = (take(task.x, chunk) for chunk in rows.split(128))
    logits = torch.cat([module(x.contiguous(memory_format=layout) if isinstance(x, Tensor) else x) for x in parts])
    table = logits.new_full((len(task.y), task.n_classes), torch.nan)
    table[rows] = logits
    return lambda batch: table[batch.index]


def random_twin(origin: Weights, task: Task, seed: int, weighted: bool = False) -> Weights:
    """Untrained weights of an architecture (see `networks.anew`), with BatchNorm statistics of retain data."""
    new = anew(check_weights(origin), check_task(task), seed_of(seed))
    return finished(new, new.params, task, weighted)


def fingerprint(task: Task) -> str:
    """What the task is, as one string: data, checksum and rows.

    The splits of a built-in data set follow from a few numbers; of any other, and of any draw but the first, every row
    and its place count.
    """
    rows, pool = task.index["forget"], task.index["train"]
    # A shadow's task, which has a core, follows from one number more.
    drawn = task.dataset in SHAPES and not task.draw and "core" not in task.index
    drawn = drawn and torch.equal(rows, pool[: len(rows)])
    splits = {split: task.index[split] for split in ("train", "forget", "valid", "test")}
    which = int(rows.sum()) if drawn else content_hash(splits)[:16]
    return f"{task.dataset}/{task.checksum[:16]}/{len(pool)}/{len(rows)}/{which}"


@dataclass(frozen=True, eq=False)
class Pursuit:
    """One method's descent on a task: what unlearning a model and fitting a curve's control points share."""

    task: Task
    method: Method
    settings: MethodSettings
    curriculum: str
    plan: Plan
    seed: int
    origin: Weights | None
    progress: Callable[[int, float], None] | None = None
    weighted: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The method's options with those of the settings put in."""
        return method_options(self.method, dict(self.settings.options))

    @property
    def original(self) -> Weights:
        """The original model; raises `BadInput` where there is none."""
        if self.origin is None:
            remedy = "pass origin=, the weights unlearning began from"
            raise BadInput(f"{self.method.name} with this recipe needs the original model: {remedy}.")
        return self.origin

    def options_of(self, function: Callable[..., Any]) -> dict[str, Any]:
        """The options that the method's objective or edit itself takes."""
        return {name: value for name, value in self.options.items() if name in (function.__kwdefaults__ or {})}

    def goal(self) -> Goal:
        """The objective under the curriculum."""
        given = self.options_of(self.method.objective)
        weigh = Weighing(self.curriculum, self.task.n_classes, dict(self.settings.curriculum_options))
        objective = lambda net, step: check_terms(self.method.name, self.method.objective(net, step, **given))  # noqa: E731
        return Goal(objective, weigh, self.plan, self.seed, self.progress)

    def edited(self, theta: Weights) -> Weights:
        """The original weights as the method's edit changes them, frozen ones apart; as they are where it has none."""
        if self.method.edit is None:
            return theta
        own = self.options_of(self.method.edit)
        made = self.method.edit(theta, self.task, generator(self.seed, "edit"), **own)
        if not fits(made, theta.params):
            raise BadInput(f"the edit of {self.method.name} must return tensors of the names and shapes of parameters.")
        return replace(theta, params={**theta.params, **{n: v for n, v in made.items() if n not in theta.frozen}})

    def references(self) -> dict[str, objectives.Reference]:
        """The frozen networks that the method looks at: the original model, and a random one of its architecture."""
        found = {}
        for name in self.method.references:
            theta = self.original
            if name == "random":
                theta = random_twin(theta, self.task, self.seed, self.weighted)
            found[name] = reference(theta, self.task, self.task.index["train"])
        return found

    def steps(self) -> Iterator[Step]:
        """Batches of D_r (or of all training data) and D_f as the method uses them, with its networks, for ever."""
        index, plan = self.task.index, self.plan
        kept, uses = ("train", "retain") if self.method.uses == "train" else ("retain", self.method.uses)
        refs, rng = self.references(), generator(self.seed, "labels")
        sizes = {"retain": plan.batch_size, "forget": plan.forget_batch_size}
        rows = {"retain": index[kept], "forget": index["forget"]}
        draw = {part: batches(self.task, rows[part], n, generator(self.seed, part)) for part, n in sizes.items()}
        anchor = dict(self.original.params) if self.method.anchored else None
        order: Iterator[str] = itertools.repeat(uses)
        if self.method.phases:
            retain, forget = (max(1, len(index[part]) // n) for part, n in sizes.items())
            order = _ordered(self.method.name, self.method.phases(forget, retain, self.options))

        def step(done: int, what: str) -> Step:
            retain, forget = (next(draw[part]) if what in (part, "both") else None for part in draw)
            return Step(retain, forget, refs, rng, done / max(1, plan.steps), anchor)

        return itertools.starmap(step, enumerate(order))

    def mask(self) -> dict[str, Tensor] | None:
        """Where parameters may move, or None for everywhere."""
        if self.method.mask is None:
            return None
        made, free = self.method.mask(self.original, self.task, self.options["sparsity"]), trainable(self.original)
        if not fits(made, free) or set(made) != set(free) or any(one.dtype != torch.bool for one in made.values()):
            raise BadInput(f"the mask of {self.method.name} must be a tensor of True and False for each parameter.")
        return made


# One argument for each of the three names that compose, beside those that `train` has too.
def unlearn(  # noqa: PLR0913
    theta: Weights,
    task: Task,
    method: str,
    *,
    seed: int,
    curriculum: str = "none",
    optimizer: str | None = None,
    settings: MethodSettings | None = None,
    progress: Callable[[int, float], None] | None = None,
    weighted: bool = False,
    snapshots: Iterable[int] | str = (),
) -> Endpoint:
    """Unlearn D_f from the original weights ``theta`` and return the endpoint; ``theta`` is left as it is.

    ``method``, ``curriculum`` and ``optimizer`` are names of the three tables and compose freely; ``settings`` default
    to the tuned ones of the data set and architecture, ``optimizer`` to the settings' own (AdamW). ``seed`` draws
    batches, random labels and the bad teacher. With SalUn, masked coordinates equal those of ``theta`` bit by bit, and
    with every method the frozen ones do. BatchNorm statistics are re-estimated on retain data (see
    `weights.refresh_batchnorm` for ``weighted``); all other buffers are those that unlearning left. ``snapshots`` are
    steps from 0 to the last after which the weights are kept as well, or ``log`` (0, 1, 2, 4, 8, ...); they change
    nothing else (see `trajectories.trajectory`). Raises `BadInput` where a method needs an untrained twin of a network
    that cannot be drawn anew (see `networks.anew`).

    >>> import mcutils as mc
    >>> task = mc.load_task("digits", 0.1, train_size=240, test_size=60)
    >>> theta = train(task, seed=0, plan=Plan(steps=2), width=2)
    >>> end = unlearn(theta, task, "npo", seed=42, settings=MethodSettings(Plan(steps=2)))
    >>> len(end.losses), end.weights.model
    (2, 'convnet')
    """
    check_weights(theta, "theta"), check_task(task), check_settings(settings), flag("weighted", weighted)
    entry, seed = METHODS[choose("method", method, METHODS)], seed_of(seed)
    choose("curriculum", curriculum, CURRICULA)
    if optimizer is None:
        optimizer = settings.plan.optimizer if settings else "adamw"
    choose("optimizer", optimizer, OPTIMIZERS)
    settings = settings or method_settings(settings_name(task.dataset, theta.model), method, curriculum, optimizer)
    plan = replace(settings.plan, optimizer=optimizer)
    wanted = () if isinstance(snapshots, tuple) and not snapshots else check_steps(snapshots, plan.steps)
    began = time.process_time()
    pursuit = Pursuit(task, entry, settings, curriculum, plan, seed, theta, callback(progress), weighted)
    goal, start = pursuit.goal(), random_twin(theta, task, seed, weighted) if entry.fresh else pursuit.edited(theta)
    begin = ready(start, task, task.index["forget" if entry.uses == "forget" else "retain"], plan)
    camera = Camera(begin, wanted, goal.progress)
    camera.see(0)
    steps = ((None, step) for step in pursuit.steps())
    losses = replace(goal, progress=camera).pursue(begin.free, steps, lambda _: begin.net, mask=pursuit.mask())
    made = (begin.finished(weighted), theta, fingerprint(task), method, curriculum, optimizer, seed, settings)
    return Endpoint(*made, time.process_time() - began, tuple(losses), camera.snapshots(weighted))


def retrain(task: Task, model: Model = "convnet", *, seed: int, plan: Plan | None = None, **options: Any) -> Weights:
    """Train a model on D_r only: the exact unlearning that every method is compared with.

    The weights are drawn anew from ``seed`` (or ``init``), whatever ``model`` is; other ``options`` are those of
    `train`. Raises `BadInput` for a module that cannot be drawn anew (see `networks.anew`): pass a factory then.

    >>> import mcutils as mc
    >>> task = mc.load_task("digits", 0.1, train_size=240, test_size=60)
    >>> retrain(task, "convnet", seed=1, plan=Plan(steps=2), width=2).model
    'convnet'
    """
    seed = seed_of(seed)
    if "split" in options:
        raise BadInput(f"retrain learns the split retain, got split={shown(options['split'])}: use train for another.")
    options = {"split": "retain", **options, "init": seed if options.get("init") is None else options["init"]}
    return train(task, model, seed=seed, plan=plan, **options)
