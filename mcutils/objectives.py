"""Per-example losses, and the unlearning objectives over them.

An objective looks at one step (a retain batch, a forget batch, reference logits) through a callable network and returns
terms: per-example losses with a weight. It knows nothing of curves, optimisers or curricula, so the same objective
unlearns a model and fits a curve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .data.tasks import Inputs, joined
from .errors import BadInput, choose

Network = Callable[[Inputs], Tensor]


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs ``x`` (B, ...), labels ``y`` (B,) and rows ``index`` (B,) of the task's tensors."""

    x: Inputs
    y: Tensor
    index: Tensor


Reference = Callable[[Batch], Tensor]


@dataclass(frozen=True)
class Step:
    """What one step of a descent sees.

    Either batch may be None in a step that does not use it. ``references`` maps ``original`` and ``random`` to frozen
    networks, called with a batch and returning logits (B, K) without a graph. ``progress`` in [0, 1) is the share of
    steps done. ``anchor`` are the original model's parameters, for methods that look at them.
    """

    retain: Batch | None
    forget: Batch | None
    references: Mapping[str, Reference] = field(default_factory=dict)
    generator: torch.Generator | None = None
    progress: float = 0.0
    anchor: Mapping[str, Tensor] | None = None


class Term(NamedTuple):
    """``weight * mean(v * losses)``, where ``losses`` (B,) are per example and v (B,) comes from the curriculum.

    ``difficulty`` (B,) is what the curriculum looks at where it is not the losses themselves (distillation terms, NPO:
    the example's cross-entropy). A penalty that belongs to no example is a 0-dimensional ``losses``.
    """

    weight: float
    losses: Tensor
    difficulty: Tensor | None = None


Objective = Callable[..., tuple[Term, ...]]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Per-example cross-entropy (B,) of logits (B, K) against labels (B,)."""
    return F.cross_entropy(logits, labels, reduction="none")


def held(batch: Batch | None) -> Batch:
    """Return a batch of a step, or raise `BadInput` where the step has none."""
    if batch is None:
        raise BadInput("an objective looks at a batch that its step does not hold: its method must use both.")
    return batch


def losses_on(net: Network, batch: Batch | None) -> Tensor:
    """Per-example cross-entropy (B,) of a network on a batch, which the step must hold."""
    batch = held(batch)
    return cross_entropy(net(batch.x), batch.y)


def kl(target: Tensor, logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Per-example KL(softmax(target / T) || softmax(logits / T)) in nats, both arguments logits (B, K)."""
    log_q, log_p = (F.log_softmax(z / temperature, 1) for z in (target, logits))
    return (log_q.exp() * (log_q - log_p)).sum(1)


def together(net: Network, *batches: Batch) -> tuple[Tensor, ...]:
    """Logits of each batch from one forward pass over all of them, so that BatchNorm sees a mixed batch."""
    logits = net(joined([b.x for b in batches]) if len(batches) > 1 else batches[0].x)
    return logits.split([len(b.y) for b in batches])


def retain_loss(net: Network, step: Step) -> tuple[Term, ...]:
    """Cross-entropy on D_r: training, retraining and fine-tuning.

    Source: the fine-tuning baseline of SalUn and Unlearn-Sparse.
    """
    return (Term(1.0, losses_on(net, step.retain)),)


def gradient_ascent(net: Network, step: Step) -> tuple[Term, ...]:
    """Minus the cross-entropy on D_f.

    Source: GA / NegGrad, as in SalUn, Unlearn-Sparse and the authors' benchmark.
    """
    return (Term(-1.0, losses_on(net, step.forget)),)


def gradient_difference(
    net: Network, step: Step, *, form: str = "neggrad_plus", alpha: float = 0.95
) -> tuple[Term, ...]:
    """Gradient difference: ``a CE_r - (1 - a) CE_f`` (``neggrad_plus``), or ``CE_r - CE_f`` (``grad_diff``).

    Sources: NegGrad+ of SCRUB (a = 0.95 in deepunlearn); GradDiff of TOFU, both weights 1.
    """
    choose("form of gradient difference", form, ("neggrad_plus", "grad_diff"))
    up, down = (alpha, 1 - alpha) if form == "neggrad_plus" else (1.0, 1.0)
    return (
        Term(up, losses_on(net, step.retain)),
        Term(-down, losses_on(net, step.forget)),
    )


def wrong_labels(y: Tensor, classes: int, form: str, generator: torch.Generator | None) -> Tensor:
    """New labels (B,) for forget examples.

    ``uniform``: drawn from all classes, the truth included (SalUn, CIFAR-10); ``wrong``: drawn from the others
    (Bad Teacher, SSD); ``next``: ``(y + 1) mod K`` (the authors' benchmark).
    """
    choose("labels", form, ("uniform", "wrong", "next"))
    if form == "next":
        return (y + 1) % classes
    if form == "uniform":
        return torch.randint(classes, y.shape, generator=generator).to(y.device)
    return (y + torch.randint(1, classes, y.shape, generator=generator).to(y.device)) % classes


def random_labels(net: Network, step: Step, *, labels: str = "uniform", order: str = "joint") -> tuple[Term, ...]:
    """Cross-entropy on D_f with random labels plus cross-entropy on D_r with the true ones.

    ``order = "sequential"`` passes over D_f and then D_r, as SalUn does (see `unlearning.methods`); ``joint`` uses both
    in each step, in one forward pass as from one shuffled batch. In a step with one batch there is one term.
    """
    given = [batch for batch in (step.forget, step.retain) if batch is not None]
    terms = []
    for batch, logits in zip(given, together(net, *given), strict=True):
        true = batch is step.retain
        y = batch.y if true else wrong_labels(batch.y, logits.shape[1], labels, step.generator)
        terms.append(Term(1.0, cross_entropy(logits, y)))
    return tuple(terms)


def npo(
    net: Network,
    step: Step,
    *,
    beta: float = 0.1,
    alpha: float = 1.0,
    forget_weight: float = 1.0,
    form: str = "example",
) -> tuple[Term, ...]:
    r"""Negative preference optimisation with a retain term.

    :math:`-\frac{2}{\beta}\log\sigma(\beta[\ell_\theta - \ell_o])` per forget example, with l the cross-entropy
    under the current and the original model, plus ``alpha`` times the retain cross-entropy. ``form = "batch"`` puts
    the batch means of l inside the sigmoid, as the authors' benchmark does; ``alpha = 0`` leaves the forget term alone.
    Sources: Zhang et al. 2024; OpenUnlearning (alpha 1); beta 0.1 in all of them.
    """
    choose("form of npo", form, ("example", "batch"))
    if not beta > 0:
        raise BadInput(f"npo needs a beta above 0, got {beta}.")
    ours = losses_on(net, step.forget)
    ratio = ours - cross_entropy(step.references["original"](held(step.forget)), held(step.forget).y)
    if form == "batch":
        ratio = ratio.mean().expand_as(ratio)
    terms = [Term(forget_weight, -2 / beta * F.logsigmoid(beta * ratio), ours.detach())]
    if alpha:
        terms.append(Term(alpha, losses_on(net, step.retain)))
    return tuple(terms)


def scrub(
    net: Network, step: Step, *, temperature: float = 4.0, gamma: float = 0.99, alpha: float = 0.001, msteps: int = 2
) -> tuple[Term, ...]:
    """SCRUB: away from the original model on D_f, then the task and closeness to it on D_r.

    A forget step minimises ``-T^2 KL(original || current)``, a retain step ``gamma CE + alpha T^2 KL(original ||
    current)``, T softening both. Passes over D_f precede those over D_r in the first ``msteps`` epochs (see
    `unlearning.methods`); a step that holds both batches has all terms. Source: Kurmanji et al. 2023, large-scale
    CIFAR-10 values.
    """
    terms = []
    if step.forget is not None:
        logits = net(step.forget.x)
        away = kl(step.references["original"](step.forget), logits, temperature)
        terms.append(Term(-(temperature**2), away, cross_entropy(logits, step.forget.y).detach()))
    if step.retain is not None:
        logits = net(step.retain.x)
        task = cross_entropy(logits, step.retain.y)
        stay = kl(step.references["original"](step.retain), logits, temperature)
        terms += [Term(gamma, task), Term(alpha * temperature**2, stay, task.detach())]
    return tuple(terms)


def bad_teacher(
    net: Network, step: Step, *, temperature: float = 1.0, reduction: str = "batchmean"
) -> tuple[Term, ...]:
    """Distil a random network on D_f and the original model on D_r, both by KL(teacher || current).

    Each example counts once whatever its part, as in a batch that mixes the two. ``reduction = "elementwise"`` divides
    by the number of classes too, as the source's library call does. Source: Chundawat et al. 2023.
    """
    choose("reduction", reduction, ("batchmean", "elementwise"))
    batches = held(step.forget), held(step.retain)
    total = sum(len(batch.y) for batch in batches)
    terms = []
    for batch, teacher, logits in zip(batches, ("random", "original"), together(net, *batches), strict=True):
        losses = kl(step.references[teacher](batch), logits, temperature)
        share = len(batch.y) / total / (logits.shape[1] if reduction == "elementwise" else 1)
        terms.append(Term(share, losses, cross_entropy(logits, batch.y).detach()))
    return tuple(terms)


def l1_sparse(net: Any, step: Step, *, gamma: float = 5e-4, no_l1: float = 0.0) -> tuple[Term, ...]:
    """Fine-tuning on D_r with ``g ||theta||_1``, g falling linearly from ``gamma`` to 0.

    ``g = gamma (1 - progress / (1 - no_l1))`` and 0 in the last ``no_l1`` share of the steps; the norm covers every
    parameter, BatchNorm's included. Source: Jia et al. 2023 (Unlearn-Sparse).
    """
    if not 0 <= no_l1 < 1:
        raise BadInput(f"no_l1 is a share of the steps in [0, 1), got {no_l1}.")
    norm = sum(p.abs().sum() for p in net.params.values())
    decay = max(0.0, 1 - step.progress / (1 - no_l1))
    return (Term(1.0, losses_on(net, step.retain)), Term(gamma * decay, norm))
