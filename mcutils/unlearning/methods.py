"""Unlearning methods: one table, each an objective with what it needs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .. import objectives
from ..data.tasks import Task, take
from ..errors import choose, share
from ..objectives import Objective
from ..weights import Weights, net_of, trainable
from . import edits
from .edits import Edit

Phases = Callable[[int, int, Mapping[str, Any]], Iterator[str]]
Mask = Callable[[Weights, Task, float], dict[str, Tensor]]


@dataclass(frozen=True)
class Method:
    """An unlearning method: its objective and what the loop must hand it.

    ``uses`` says which batches a step holds: ``retain``, ``forget`` or ``both``, or ``train``, where batches of all
    training data take the place of those of D_r; ``phases`` orders steps that hold one of them at a time;
    ``references`` names frozen networks (``original``, ``random``); ``mask`` computes a saliency mask from the original
    model; ``anchored`` objectives look at the original model's parameters; ``fresh`` starts from new weights instead of
    the original model's, and ``edit`` from the original model's as it has changed them, for as many steps as the plan
    says, which may be none.
    """

    name: str
    objective: Objective
    uses: str
    references: tuple[str, ...] = ()
    phases: Phases | None = None
    mask: Mask | None = None
    fresh: bool = False
    edit: Edit | None = None
    anchored: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    summary: str = ""

    @property
    def about(self) -> str:
        """What the method does, in a line: ``summary``, or the first of the edit's or the objective's docstring."""
        return self.summary or ((self.edit or self.objective).__doc__ or "").strip().split("\n")[0]

    @property
    def options(self) -> dict[str, Any]:
        """The method's own options with their default values."""
        keywords = {**(self.objective.__kwdefaults__ or {}), **(getattr(self.edit, "__kwdefaults__", None) or {})}
        return {**keywords, **({"sparsity": 0.5} if self.mask else {}), **self.defaults}


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
    parameters ranked together, BatchNorm and biases included; frozen ones are not ranked. Source: Fan et al. 2024 and
    its code.
    """
    share("sparsity", sparsity, one=True)
    net = net_of(theta)
    free = trainable(theta, net.params)
    leaves = [p.requires_grad_(True) for p in free.values()]
    total = [torch.zeros_like(p) for p in leaves]
    for rows in task.index["forget"].split(256):
        loss = objectives.cross_entropy(net(take(task.x, rows)), task.y[rows]).sum()
        for g, new in zip(total, torch.autograd.grad(loss, leaves, materialize_grads=True), strict=True):
            g += new
    scores = torch.cat([g.abs().reshape(-1) for g in total])
    chosen = torch.zeros_like(scores, dtype=torch.bool)
    chosen[scores.topk(max(1, round(sparsity * scores.numel()))).indices] = True
    pieces = chosen.split([g.numel() for g in total])
    return {name: m.view(p.shape) for (name, p), m in zip(free.items(), pieces, strict=True)}


_ALL = (
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
    Method("random_labels", objectives.random_labels, "both", (), random_label_phases, source="Golatkar et al. 2020"),
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
    Method(
        "train",
        objectives.retain_loss,
        "train",
        source="the training of the original model",
        summary="Cross-entropy on all training data, D_f included: no unlearning; for curves between originals.",
    ),
    Method("ssd", objectives.retain_loss, "retain", edit=edits.ssd, source="Foster et al. 2024"),
    *(
        Method(name, objectives.retain_loss, "retain", edit=getattr(edits, name), source="Siddiqui et al. 2025")
        for name in ("weight_distortion", "weight_attenuation", "weight_dropout")
    ),
    Method("distance_reward", edits.distance_reward, "retain", anchored=True, source="Siddiqui et al. 2025"),
    Method("barrier_reward", edits.barrier_reward, "both", anchored=True, source="Siddiqui et al. 2025"),
)
METHODS: dict[str, Method] = {one.name: one for one in _ALL}
# Built to be disconnected from the original model: they are compared with its own strengths, and no search tunes them.
DEFENCES = ("weight_distortion", "weight_attenuation", "weight_dropout", "distance_reward", "barrier_reward")
