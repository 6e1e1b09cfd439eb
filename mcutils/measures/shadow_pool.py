"""Attacks that ask other models: U-LiRA, what unlearning left of an example, and RMIA.

phi (M, N) are confidences (`membership.confidence_logit`) of M models on N examples, ``held`` (M, N) says which model
was trained on which (and, for U-LiRA, then unlearned of it). The models are the independent units, not the scores.
RMIA's other models are those retrained without D_f, so that one pool serves every t.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import BadInput, choose, number
from ..traces import Trace
from .membership import auc, balanced_rows, tpr_at
from .metrics import check_model, check_trace, per_example_loss

VARIANCES = ("shared", "each")
LEAST = 1e-3  # smallest standard deviation believed, in units of phi
FEW = 2  # models of each law, at least
EXAMPLES = 128  # summed at once


def pool(phi, held) -> tuple[np.ndarray, np.ndarray]:
    """phi (..., M, N) in float64 and held (M, N) bool, or `BadInput`."""
    phi, held = np.asarray(phi, dtype=np.float64), np.asarray(held)
    if phi.ndim < 2 or not phi.size or held.shape != phi.shape[-2:] or held.dtype != bool:
        raise BadInput(
            f"phi must be (models, examples) and held as many True or False, got {phi.shape} and {held.dtype} of"
            f" shape {held.shape}."
        )
    if not np.isfinite(phi).all():
        raise BadInput("phi must be finite: leave out models that collapsed.")
    return phi, held


class Law(NamedTuple):
    """A normal law of phi for each example: means (..., N), standard deviations, how many models (N,).

    ``sd``: (..., N), or (..., 1) where one is shared by all examples.
    """

    mean: np.ndarray
    sd: np.ndarray
    models: np.ndarray

    def log_density(self, phi: np.ndarray) -> np.ndarray:
        """log N(phi; mean, sd^2), without its constant."""
        return -(((phi - self.mean) / self.sd) ** 2) / 2 - np.log(self.sd)


def _laws(phi: np.ndarray, taken: np.ndarray, variance: str) -> Law:
    """Normal laws (..., J, N) of phi (..., M, N) over the models of each choice ``taken`` (J, M, N).

    ``shared``: one variance for all examples, sum of squares within examples over sum of (models - 1). LiRA advises it
    below some 64 models; its public code takes the variance of everything together there, in which the examples' own
    differences count too. ``each``: one for each example, with ddof = 1. Raises `BadInput` for an example of which
    fewer than two models are taken.
    """
    choose("variance", variance, VARIANCES)
    models = taken.sum(axis=1)
    if (models < FEW).any():
        raise BadInput(f"a law of phi needs {FEW} models of each example, got {models.min()}.")
    centre = phi[..., :1, :]
    off = phi - centre  # sums of squares lose nothing beside one of the values, and equal models differ by exactly 0
    mean = _sums(off, taken) / models
    squares, free = np.maximum(_sums(off**2, taken) - models * mean**2, 0.0), models - 1
    if variance == "shared":
        squares, free = squares.sum(axis=-1, keepdims=True), free.sum(axis=-1, keepdims=True)
    return Law(mean + centre, np.maximum(np.sqrt(squares / free), LEAST), models)


def _sums(values: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Of each example, over each choice of models: (..., M, N), (J, M, N) -> (..., J, N), as products of matrices."""
    rows = values.reshape(-1, *values.shape[-2:])
    found = np.empty((len(rows), len(taken), rows.shape[-1]))
    for k in range(0, rows.shape[-1], EXAMPLES):
        here = slice(k, k + EXAMPLES)
        weights = np.ascontiguousarray(taken[..., here].transpose(2, 1, 0)).astype(np.float64)
        found[..., here] = (rows[..., here].transpose(2, 0, 1) @ weights).transpose(1, 2, 0)
    return found.reshape(*values.shape[:-2], *found.shape[1:])


def left_out(phi, held, *, variance: str = "shared", even: bool = True) -> np.ndarray:
    """U-LiRA, or LiRA within its own pool: each model scored by laws of the others, log p(held) - log p(not held).

    log p = log N(phi; mean, sd^2) by `_laws` of phi (..., M, N), where several pools may share who held what (M, N), at
    least three models each way: (..., M, N), larger for what looks as if it had been held. ``even``: of both laws of an
    example equally many models are taken, the first in the order j + 1, j + 2, ... after model j. With an example in
    half of all models, leaving one out leaves its own law one model short: the poorer mean lies further from phi, and
    the scores fall below chance although nothing is to be told.

    Source: LiRA: Carlini et al., S&P 2022 (arXiv 2112.03570); U-LiRA: Hayes et al., SaTML 2025 (arXiv 2403.01218), with
    one law over models that unlearned the example and one over models that never had it. A benchmark's code fits 0/1
    correctness and scores what it has fitted: not so here.
    """
    phi, held = pool(phi, held)
    laws = _laws(phi, _others(held, even), variance)
    mean, sd = (one.reshape(*phi.shape[:-2], 2, len(held), -1) for one in laws[:2])
    density = Law(mean, sd, laws.models).log_density(phi[..., None, :, :])
    return density[..., 0, :, :] - density[..., 1, :, :]


def _others(held: np.ndarray, even: bool) -> np.ndarray:
    """Whom each model's laws of held and of not held examples are made of, one after the other: (2 M, M, N) bool."""
    models = len(held)
    found = np.zeros((2, models, *held.shape), dtype=bool)
    for j in range(models):
        order = np.r_[j + 1 : models, 0:j]
        sides = np.stack([held[order], ~held[order]])
        if even:
            sides &= sides.cumsum(axis=1) <= sides.sum(axis=1).min(axis=0)
        found[:, j, order] = sides
    return found.reshape(2 * models, *held.shape)


def over_models(statistic: Callable, scores: np.ndarray, held: np.ndarray) -> float:
    """Mean over models of a statistic of the scores of what a model held and of what it did not."""
    values = [statistic(s[h], s[~h]) for s, h in zip(scores, held, strict=True) if 0 < h.sum() < len(h)]
    if not values:
        raise BadInput("every model held all examples or none: nothing can be told apart.")
    return float(np.mean(values))


def right_calls(members: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Balanced accuracy of the sign of a log-ratio; a ratio of one counts half."""
    return ((members > 0).mean() + (members == 0).mean() / 2 + (others < 0).mean() + (others == 0).mean() / 2) / 2


STATISTICS: dict[str, Callable] = {"auc": auc, "accuracy": right_calls, "tpr": tpr_at}


def holders(phi, held, side: bool = True) -> np.ndarray:
    """phi of the models that held each example, or that did not: (M', N), the order of models kept.

    What `forgetting_quality` compares with retrained models: each example has other models. Raises `BadInput` where
    examples differ in how many models held them.
    """
    phi, held = pool(phi, held)
    if phi.ndim != 2:
        raise BadInput(f"phi must be of one pool, (models, examples), got {phi.shape}.")
    taken = held if side else ~held
    counts = np.unique(taken.sum(axis=0))
    if len(counts) > 1 or counts[0] == 0:
        raise BadInput(f"each example must be held by equally many models, got {counts[0]} to {counts[-1]}.")
    rows = np.argsort(~taken, axis=0, kind="stable")[: counts[0]]
    return np.take_along_axis(phi, rows, axis=0)


OFFLINE_A = 0.3  # of the public code


def rmia(target, references, target_population, references_population, *, a: float = OFFLINE_A, gamma: float = 1.0):
    """How much likelier x is than examples z that nobody was trained on: the share of z with r(x) / r(z) > gamma.

    r(x) = p_y(x) / P(x), P(x) = [(1 + a) P_out(x) + (1 - a)] / 2, P_out(x) the mean of p_y(x) over reference models
    that were not trained on x. (They are half of what P(x) would average; a guesses those that were trained on it.)

    Args:
        target, references: p_y of the audited model (..., N), and of reference models (R, N), R >= 1, none of them
            trained on these examples; for the population (..., Z) and (R, Z). a: in [0, 1]. gamma: positive.

    Returns:
        (..., N) in [0, 1], larger for what looks like a member.

    Source: Zarifzadeh, Liu and Shokri, ICML 2024 (arXiv 2312.03262), offline. Their public code averages only the
    larger half of the references unless told how many to take; here all are taken.

    >>> rmia(np.array([0.9, 0.2]), np.array([[0.5, 0.5]]), np.array([0.5, 0.6]), np.array([[0.5, 0.5]])).tolist()
    [1.0, 0.0]
    """
    a, gamma = number("a", a, 0, 1), number("gamma", gamma, 0)
    parts = {
        "target": np.asarray(target, float), "references": np.asarray(references, float),
        "target_population": np.asarray(target_population, float),
        "references_population": np.asarray(references_population, float),
    }  # fmt: skip
    own, out, z_own, z_out = parts.values()
    fits = out.ndim == z_out.ndim == 2 and len(out) == len(z_out) > 0 and own.ndim and z_own.ndim
    if not fits or (own.shape[-1], z_own.shape[-1]) != (out.shape[1], z_out.shape[1]) or not own.size or not z_own.size:
        shapes = {name: one.shape for name, one in parts.items()}
        raise BadInput(f"RMIA needs (..., N), (R, N), (..., Z) and (R, Z), got {shapes}.")
    if own.shape[:-1] != z_own.shape[:-1]:
        raise BadInput(f"target and target_population differ in leading axes: {own.shape} and {z_own.shape}.")
    for name, one in parts.items():
        if ((one < 0) | (one > 1)).any():
            raise BadInput(f"{name} must hold probabilities from 0 to 1.")
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs = ((own, out), (z_own, z_out))
        ratio, z_ratio = (p / (((1 + a) * q.mean(axis=0) + 1 - a) / 2) for p, q in pairs)
    # ratio / z > gamma is ratio > gamma z, which holds where z is 0 too.
    rows = zip(ratio.reshape(-1, ratio.shape[-1]), np.sort(gamma * z_ratio.reshape(-1, z_ratio.shape[-1])), strict=True)
    found = [np.where(np.isnan(x), np.nan, np.searchsorted(z, x, "left") / len(z)) for x, z in rows]
    bad = np.isnan(z_ratio).any(axis=-1)[..., None]
    return np.where(bad, np.nan, np.reshape(found, ratio.shape))


def rmia_along(
    trace: Trace, references: Sequence[Trace], *, members: str = "forget", others: str = "test",
    population: str = "valid", a: float = OFFLINE_A, seed: int = 0,
) -> dict[str, np.ndarray]:  # fmt: skip
    """RMIA at every t of a trace, splits as members, others and population: ``auc`` and ``tpr`` (at 1 % FPR), (T,).

    ``references`` are traces of models retrained without the members, T = 1 each; for the null, a retrained model is
    audited by the others. ``a`` is that of `rmia`, ``seed`` that of `membership.balanced_rows`.
    """
    check_trace(trace)
    if isinstance(references, Trace) or not len(references):
        raise BadInput("RMIA asks reference models: give their traces in a list.")
    splits = members, others, population
    for split in splits:
        choose("split", split, trace.logits)
    for one in references:
        check_model(one, "a reference", trace, splits)
    own = {split: np.exp(-per_example_loss(trace, split)) for split in splits}
    out = {split: np.exp(-np.concatenate([per_example_loss(one, split) for one in references])) for split in splits}
    rows = balanced_rows(trace.labels[members], trace.labels[others], seed)
    scores = [
        rmia(own[split][:, kept], out[split][:, kept], own[population], out[population], a=a)
        for split, kept in zip((members, others), rows, strict=True)
    ]
    return {"auc": auc(*scores), "tpr": tpr_at(*scores)}
