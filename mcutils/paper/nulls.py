"""What statistics are under the nulls of docs/protocol.md that must be made up: quadratics with the examples' noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..measures.along import excess
from .walks import Walk

SPAN = 2 * 1.959964  # standard deviations between the ends of a 95 % band
LENGTHS = np.geomspace(1e-3, 1e3, 241)  # of correlation in t, that are tried


def best_quadratic(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The quadratics in t through both ends of values (..., T) that are nearest to them by least squares."""
    chord = values[..., :1] + (values[..., -1:] - values[..., :1]) * t
    bend = t * (1 - t)
    return chord + ((values - chord) @ bend / (bend @ bend))[..., None] * bend


def far_from_quadratic(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Largest distance (...) of values (..., T) from their best quadratic, in units of the change from end to end.

    With s(t) the share of the change made by t, max |s - t - q t (1 - t)| for the q of least squares; nan without
    change.
    """
    change = np.abs(values[..., -1] - values[..., 0])
    far = np.abs(values - best_quadratic(values, t)).max(axis=-1)
    there = np.isfinite(change) & (change > 0)
    return np.where(there, far / np.where(there, change, 1.0), np.nan)


def excess_variance(sd: np.ndarray, t: np.ndarray, k: int, length: float) -> float:
    """Variance at point k of the excess over the chord of noise with these sd (T,) and correlation exp(-|dt|/length).

    With a(t) = e(t) - (1 - t) e(0) - t e(1), a quadratic form in the covariance of e.
    """
    weights = np.zeros(len(t))
    weights[k] += 1
    weights[0] -= 1 - t[k]
    weights[-1] -= t[k]
    return float(weights @ _covariance(sd, t, length) @ weights)


def _covariance(sd: np.ndarray, t: np.ndarray, length: float) -> np.ndarray:
    return sd[:, None] * sd * np.exp(-np.abs(t[:, None] - t) / length)


def examples_noise(walk: Walk) -> np.ndarray | None:
    """Covariance (T, T) in nats^2 of the noise that the examples put on a walk's forget loss; None where none is kept.

    A profile keeps each point's 95 % band over examples, which gives the standard deviations, and replicates of the
    largest distance from the chord, whose variance says how far points vary together: of the correlations
    exp(-|dt|/length) the one with this variance of the excess at the point where the loss is farthest from its chord,
    or independence where no length has so large a one.
    """
    band, t = walk.profile.connectivity.bands.get("loss_forget"), walk.profile.t
    if band is None or "deficit_forget_two_sided" not in walk.profile.connectivity.replicates:
        return None
    sd = np.asarray(band[1] - band[0], dtype=np.float64) / SPAN
    again = walk.replicates("deficit", "two_sided") * walk.profile.gap
    over = np.abs(excess(walk.profile.connectivity.curves["loss_forget"], t))
    k = int(over[1:-1].argmax()) + 1
    found = np.array([excess_variance(sd, t, k, length) for length in LENGTHS])
    enough = np.flatnonzero(found >= float(np.var(again)))
    return _covariance(sd, t, float(LENGTHS[enough[-1] if len(enough) else 0]))


def quadratics_with_noise(walk: Walk, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draws (R,) of `far_from_quadratic` of a walk's best quadratic with the examples' noise on it; nan without any."""
    noise, t = examples_noise(walk), walk.profile.t
    if noise is None or not np.isfinite(noise).all():
        return np.full(draws, np.nan)
    smooth = best_quadratic(walk.profile.connectivity.curves["loss_forget"], t)
    values, vectors = np.linalg.eigh(noise)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return far_from_quadratic(smooth + rng.normal(size=(draws, len(t))) @ root.T, t)


def mean_of_draws(drawn: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """The mean over originals of the means (R,) over each one's walks, of (original, draws); one nan where none is."""
    kept = [(original, one) for original, one in drawn if np.isfinite(one).all()]
    if not kept:
        return np.array([np.nan])
    rows = [[one for other, one in kept if other == original] for original in sorted({o for o, _ in kept})]
    return np.asarray(np.mean([np.mean(row, axis=0) for row in rows], axis=0))


def others_in_place(levels: Sequence[float], margin: float, draws: int, seed: int = 0) -> np.ndarray:
    """Shares (R,) of originals on which the number of another one exceeds their own by more than a margin.

    ``levels``: one finite number per original; each draw gives every original that of another at random.
    """
    known, rng = np.asarray(levels, dtype=np.float64), np.random.default_rng(seed)
    n = len(known)
    if n < 2:
        return np.array([np.nan])
    other = (np.arange(n) + rng.integers(1, n, (draws, n))) % n
    return np.asarray((known[other] > known + margin).mean(axis=1))
