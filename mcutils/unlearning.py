"""Unlearning methods: one table, each an objective with what it needs, all run by the one loop."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from . import objectives
from .data import SHAPES, Task, content_hash
from .models import rebuild
from .objectives import Batch, Objective, Step, Weighing
from .settings import BadInput, MethodSettings, Plan, choose, method_settings, settings_name, train_plan
from .training import batches, descend, finished, generator, network_for, resampled_loss, train
from .weights import Net, Weights, laid_out, memory_format, module_of, weights_of

Phases = Callable[[int, int, Mapping[str, Any]], Iterator[str]]
Mask = Callable[[Weights, Task, float], dict[str, Tensor]]


@dataclass(frozen=True)
class Method:
    """An unlearning method: its objective and what the loop must hand it.

    ``uses`` says which batches a step holds: ``retain``, ``forget`` or ``both``; ``phases`` orders steps that hold one
    of them at a time; ``references`` names frozen networks (``original``, ``random``); ``mask`` computes a saliency
    mask from the original model; ``fresh`` starts from new weights instead of the original model's.
    """

    name: str
    objective: Objective
    uses: str
    references: tuple[str, ...] = ()
    phases: Phases | None = None
    mask: Mask | None = None
    fresh: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    summary: str = ""

    @property
    def about(self) -> str:
        """What the method does, in a line: ``summary``, or the first line of the objective's docstring."""
        return self.summary or (self.objective.__doc__ or "").strip().split("\n")[0]

    @property
    def options(self) -> dict[str, Any]:
        """The method's own options with their default values."""
        keywords = dict(self.objective.__kwdefaults__ or {})
        return {**keywords, **({"sparsity": 0.5} if self.mask else {}), **self.defaults}


@dataclass(frozen=True)
class Endpoint:
    """An unlearned model and how it came to be; ``origin`` is the model that it was unlearned from."""

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


def scrub_phases(forget: int, retain: int, options: Mapping[str, Any]) -> Iterator[str]:
    """SCRUB's order: in each of the first ``msteps`` epochs a pass over D_f, and in every epoch a pass over D_r.

    ``forget`` and ``retain`` are the numbers of batches in a pass.
    """
    for epoch in itertools.count():
        if epoch < options["msteps"]:
            yield from itertools.repeat("forget", forget)
        yield from itertools.repeat("retain", retain)


def random_label_phases(forget: int, retain: int, options: Mapping[str, Any]) -> Iterator[str]:
    """Both batches in every step (``joint``), or a pass over D_f and then one over D_r (``sequential``)."""
    choose("order", options["order"], ("joint", "sequential"))
    if options["order"] == "joint":
        yield from itertools.repeat("both")
    while True:
        yield from itertools.repeat("forget", forget)
        yield from itertools.repeat("retain", retain)


def saliency_mask(theta: Weights, task: Task, sparsity: float = 0.5) -> dict[str, Tensor]:
    """SalUn's mask: True on the share ``sparsity`` of all scalars with the largest forget gradient at the original
    model.

    The saliency is the magnitude of the *summed* signed gradient of the cross-entropy over D_f (evaluation mode), all
    parameters ranked together, BatchNorm and biases included. Source: Fan et al. 2024 and its code.
    """
    if not 0 < sparsity <= 1:
        raise BadInput(f"the mask's share of free parameters lies in (0, 1], got {sparsity}.")
    params = laid_out(theta.params, torch.contiguous_format)
    for p in params.values():
        p.requires_grad_(True)
    net = Net(theta.net, params, theta.buffers)
    total = [torch.zeros_like(p) for p in params.values()]
    for rows in task.index["forget"].split(256):
        loss = objectives.cross_entropy(net(task.x[rows]), task.y[rows]).sum()
        for g, new in zip(total, torch.autograd.grad(loss, list(params.values())), strict=True):
            g += new
    scores = torch.cat([g.abs().reshape(-1) for g in total])
    free = torch.zeros_like(scores, dtype=torch.bool)
    free[scores.topk(max(1, round(sparsity * scores.numel()))).indices] = True
    pieces = free.split([g.numel() for g in total])
    return {name: m.view(p.shape) for (name, p), m in zip(params.items(), pieces, strict=True)}


METHODS: dict[str, Method] = {}


def register(method: Method) -> Method:
    """Add a method to `METHODS`; a name is taken once."""
    if method.name in METHODS:
        raise BadInput(f"the method {method.name!r} exists already: choose another name.")
    METHODS[method.name] = method
    return method


for _method in (
    Method(
        "retrain",
        objectives.retain_loss,
        "retain",
        fresh=True,
        source="the exact reference",
        summary="Cross-entropy on D_r from new random weights: exact unlearning, what all others approximate.",
    ),
    Method(
        "finetune",
        objectives.retain_loss,
        "retain",
        source="SalUn, Unlearn-Sparse (FT)",
        summary="Cross-entropy on D_r from the original model: forgetting by drift alone.",
    ),
    Method("gradient_ascent", objectives.gradient_ascent, "forget", source="Golatkar et al. 2020; Thudi et al. 2022"),
    Method("gradient_difference", objectives.gradient_difference, "both", source="Kurmanji et al. 2023 (NegGrad+)"),
    Method(
        "random_labels", objectives.random_labels, "both", phases=random_label_phases, source="Golatkar et al. 2020"
    ),
    Method("npo", objectives.npo, "both", references=("original",), source="Zhang et al. 2024"),
    Method("scrub", objectives.scrub, "both", ("original",), phases=scrub_phases, source="Kurmanji et al. 2023"),
    Method("bad_teacher", objectives.bad_teacher, "both", ("original", "random"), source="Chundawat et al. 2023"),
    Method(
        "salun",
        objectives.random_labels,
        "both",
        phases=random_label_phases,
        mask=saliency_mask,
        source="Fan et al. 2024",
        summary="Random labels on the weights with the largest forget gradient alone; the others stay as they are.",
    ),
    Method("l1_sparse", objectives.l1_sparse, "retain", source="Jia et al. 2023"),
):
    register(_method)


def method_options(method: Method, given: Mapping[str, Any]) -> dict[str, Any]:
    """The method's options with the given ones put in; an unknown one raises `BadInput`."""
    for name in given:
        if name not in method.options:
            allowed = ", ".join(method.options) or "none"
            raise BadInput(f"unknown option {name!r} of {method.name}: its options are {allowed}.")
    return {**method.options, **given}


@torch.no_grad()
def reference(theta: Weights, task: Task, rows: Tensor) -> objectives.Reference:
    """A frozen network as a table of its logits on ``rows`` of the task, computed once; called with a batch.

    Inputs are never augmented, so a table gives the numbers that the network itself would.
    """
    module, layout = module_of(theta), memory_format(theta, task.x)
    module.to(memory_format=layout)
    table = None
    for chunk in rows.split(128):
        logits = module(task.x[chunk].contiguous(memory_format=layout))
        if table is None:
            table = torch.full((len(task.x), logits.shape[1]), torch.nan, dtype=logits.dtype, device=logits.device)
        table[chunk] = logits
    return lambda batch: table[batch.index]


def references(method: Method, origin: Weights, task: Task, seed: int) -> dict[str, objectives.Reference]:
    """The frozen networks that a method looks at: the original model, and a random one of the same architecture."""
    rows, found = task.index["train"], {}
    for name in method.references:
        theta = origin if name == "original" else random_twin(origin, task, seed)
        found[name] = reference(theta, task, rows)
    return found


def random_twin(origin: Weights, task: Task, seed: int) -> Weights:
    """Untrained weights of the architecture of ``origin``, with BatchNorm statistics of retain data."""
    new = weights_of(rebuild(origin.net, seed), origin.model).to(task.device)
    return finished(new, new.params, task)


def steps_for(
    method: Method,
    options: Mapping[str, Any],
    task: Task,
    plan: Plan,
    seed: int,
    refs: Mapping[str, objectives.Reference],
) -> Iterator[Step]:
    """The steps of a descent: batches of D_r and D_f as the method uses them, for ever."""
    draw: dict[str, Iterator[Batch]] = {
        "retain": batches(task, task.index["retain"], plan.batch_size, generator(seed, "retain")),
        "forget": batches(task, task.index["forget"], plan.forget_batch_size, generator(seed, "forget")),
    }
    passes = [
        max(1, len(task.index[s]) // b) for s, b in (("forget", plan.forget_batch_size), ("retain", plan.batch_size))
    ]
    order = method.phases(*passes, options) if method.phases else itertools.repeat(method.uses)
    rng = generator(seed, "labels")
    for number, what in enumerate(order):
        retain = next(draw["retain"]) if what in ("retain", "both") else None
        forget = next(draw["forget"]) if what in ("forget", "both") else None
        yield Step(retain, forget, refs, rng, number / max(1, plan.steps))


def objective_options(method: Method, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the objective itself takes (the mask's share goes to the mask)."""
    return {name: value for name, value in options.items() if name in (method.objective.__kwdefaults__ or {})}


def fingerprint(task: Task) -> str:
    """What the task is, as one string: data, checksum and rows.

    The splits of a built-in data set follow from a few numbers; of any other, every row and its place count.
    """
    rows, pool = task.index["forget"], task.index["train"]
    drawn = task.dataset in SHAPES and torch.equal(rows, pool[: len(rows)])
    splits = {split: task.index[split] for split in ("train", "forget", "valid", "test")}
    which = int(rows.sum()) if drawn else content_hash(splits)[:16]
    return f"{task.dataset}/{task.checksum[:16]}/{len(pool)}/{len(rows)}/{which}"


def unlearn(
    theta: Weights,
    task: Task,
    method: str,
    *,
    seed: int,
    curriculum: str = "none",
    optimizer: str | None = None,
    settings: MethodSettings | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Endpoint:
    """Unlearn D_f from the original weights ``theta`` and return the endpoint; ``theta`` is left as it is.

    ``method``, ``curriculum`` and ``optimizer`` are names of the three tables and compose freely; ``settings`` default
    to the tuned ones of the data set and architecture, ``optimizer`` to the settings' own (AdamW). ``seed`` draws
    batches, random labels and the bad teacher. With SalUn, masked coordinates equal those of ``theta`` bit by bit.
    BatchNorm statistics are re-estimated on retain data.
    """
    entry = METHODS[choose("method", method, METHODS)]
    optimizer = optimizer or (settings.plan.optimizer if settings else "adamw")
    settings = settings or method_settings(settings_name(task.dataset, theta.model), method, curriculum, optimizer)
    options = method_options(entry, dict(settings.options))
    plan = replace(settings.plan, optimizer=optimizer)
    began = time.process_time()
    start = theta
    if entry.fresh:
        start = random_twin(theta, task, seed)
    layout = memory_format(start, task.x)
    params = laid_out(start.params, layout)
    net = Net(start.net, params, laid_out(start.buffers, layout), train=True)
    weigh = Weighing(curriculum, task.n_classes, dict(settings.curriculum_options))
    refs = references(entry, theta, task, seed)
    mask = None
    if entry.mask:
        mask = entry.mask(theta, task, options["sparsity"])
    given = objective_options(entry, options)
    losses = descend(
        params,
        steps_for(entry, options, task, plan, seed, refs),
        lambda step: weigh.total(entry.objective(net, step, **given), step),
        plan,
        curvature_at=lambda step: resampled_loss(net, step),
        seed=seed,
        mask=mask,
        progress=progress,
    )
    weights = finished(start, params, task)
    return Endpoint(
        weights,
        theta,
        fingerprint(task),
        method,
        curriculum,
        optimizer,
        seed,
        settings,
        time.process_time() - began,
        tuple(losses),
    )


def retrain(
    task: Task, model: str | torch.nn.Module = "convnet", *, seed: int, plan: Plan | None = None, **options: int
) -> Weights:
    """Train a model on D_r only: the exact unlearning that every method is compared with."""
    plan = plan or train_plan(settings_name(task.dataset, network_for(task, model, seed, **options).model))
    return train(task, model, seed=seed, plan=plan, split="retain", **options)
