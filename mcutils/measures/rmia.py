"""RMIA: is an example likelier under the audited model than examples that nobody was trained on, relative to models
that were not trained on it either? Models retrained without D_f are the references, so that one pool serves every t.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import BadInput, choose, number
from ..traces import Trace
from .membership import balanced_rows
from .metrics import check_trace, per_example_loss
from .roc import auc, tpr_at

OFFLINE_A = 0.3  # of the public code


def rmia(target, references, target_population, references_population, *, a: float = OFFLINE_A, gamma: float = 1.0):
    """How many population examples z an example x beats: share of z with r(x) / r(z) > gamma.

    r(x) = p_y(x) / P(x), P(x) = [(1 + a) P_out(x) + (1 - a)] / 2, P_out(x) the mean of p_y(x) over reference models
    that were not trained on x. (They are half of what P(x) would average; a guesses those that were trained on it.)

    Args:
        target: p_y of the audited model (..., N). references: p_y of the reference models (R, N), R >= 1, none of them
            trained on these examples. target_population, references_population: the same for the population, (..., Z)
            and (R, Z). a: in [0, 1]. gamma: positive.

    Returns:
        (..., N) in [0, 1], larger for what looks like a member.

    Raises:
        BadInput: shapes that do not belong together, what is no probability.

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
        ratio, z_ratio = (p / _reference(q, a) for p, q in ((own, out), (z_own, z_out)))
    # ratio / z > gamma is ratio > gamma z, which holds where z is 0 too.
    rows = zip(ratio.reshape(-1, ratio.shape[-1]), np.sort(gamma * z_ratio.reshape(-1, z_ratio.shape[-1])), strict=True)
    found = [np.where(np.isnan(x), np.nan, np.searchsorted(z, x, "left") / len(z)) for x, z in rows]
    bad = np.isnan(z_ratio).any(axis=-1)[..., None]
    return np.where(bad, np.nan, np.reshape(found, ratio.shape))


def _reference(out: np.ndarray, a: float) -> np.ndarray:
    return ((1 + a) * out.mean(axis=0) + 1 - a) / 2


def rmia_along(
    trace: Trace,
    references: Sequence[Trace],
    *,
    members: str = "forget",
    others: str = "test",
    population: str = "valid",
    a: float = OFFLINE_A,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """RMIA at every t: members are D_f, others test examples, the population validation examples.

    Args:
        trace: of a curve or a model. references: traces of models retrained without the members, T = 1 each; for the
            null, a retrained model is audited by the others. members, others, population: splits. a: as
            in `rmia`. seed: of `membership.balanced_rows`.

    Returns:
        "auc" and "tpr" (at 1 % FPR): (T,).
    """
    check_trace(trace)
    if isinstance(references, Trace) or not len(references):
        raise BadInput("RMIA asks reference models: give their traces in a list.")
    splits = members, others, population
    for split in splits:
        choose("split", split, trace.logits)
    for one in references:
        if len(check_trace(one, "a reference").t) != 1:
            raise BadInput(f"a reference is one model (T = 1), got {len(one.t)} points.")
        if any(not np.array_equal(one.index.get(split, ()), trace.index[split]) for split in splits):
            raise BadInput("a reference was traced on other examples than the path; use one task.")
    own = {split: np.exp(-per_example_loss(trace, split)) for split in splits}
    out = {split: np.exp(-np.concatenate([per_example_loss(one, split) for one in references])) for split in splits}
    rows = balanced_rows(trace.labels[members], trace.labels[others], seed)
    scores = [
        rmia(own[split][:, kept], out[split][:, kept], own[population], out[population], a=a)
        for split, kept in zip((members, others), rows, strict=True)
    ]
    return {"auc": auc(*scores), "tpr": tpr_at(*scores)}
