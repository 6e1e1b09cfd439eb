"""The objective along a curve's own fit, kept small: "the fit did not converge" is not "there is no path"."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import BadInput

KEPT = 50  # points of a record at most
STRATA = 5  # equally likely parts of [0, 1] from which a block's t were drawn
TOLERANCE = 0.05  # relative change of a converged fit over its last fifth
FEWEST = 20  # steps of which that can be said


@dataclass(frozen=True, eq=False)
class Fit:
    """A fit's objective in n consecutive blocks of its steps, as equal as can be.

    ``step`` (n,) is the last step of each block, from 1; ``loss`` (n,) the mean of the objective over the block, in its
    own unit (nats for cross-entropy); ``averaged`` (n,) the same with the luck of the draw of t taken out: the mean
    over `STRATA` equally likely parts of [0, 1] of the mean loss of the block's steps whose t fell there, parts without
    any left out.
    """

    step: np.ndarray
    loss: np.ndarray
    averaged: np.ndarray

    def __post_init__(self) -> None:
        for name in ("step", "loss", "averaged"):
            values = np.asarray(getattr(self, name), dtype=np.int64 if name == "step" else np.float64)
            object.__setattr__(self, name, values)
        right = self.step.ndim == 1 and self.step.shape == self.loss.shape == self.averaged.shape
        if not right or not np.isfinite(self.loss).all() or not np.isfinite(self.averaged).all():
            raise BadInput("the record of a fit must be finite numbers, as many of each kind.")
        if not (np.diff(self.step, prepend=0) > 0).all():
            raise BadInput("the steps of a fit's record must increase from 1 on.")

    @property
    def steps(self) -> int:
        """How many steps the fit took."""
        return int(self.step[-1]) if len(self.step) else 0

    def change(self) -> tuple[float, float]:
        """Relative change of the smoothed objective over the last fifth, and its standard error.

        (b - a) / max(|a|, |b|), with a and b the means of ``averaged`` over the blocks that end in the eighth and in
        the last tenth of the steps, whose middles lie a fifth apart. nan for fits of fewer than `FEWEST` steps.
        """
        if self.steps < FEWEST:
            return math.nan, math.nan
        share = self.step / self.steps
        early, late = self.averaged[(share > 0.7) & (share <= 0.8)], self.averaged[share > 0.9]
        a, b = early.mean(), late.mean()
        scale = max(abs(a), abs(b))
        if scale == 0:
            return 0.0, 0.0
        noise = sum(part.var(ddof=1) / len(part) if len(part) > 1 else math.inf for part in (early, late))
        return float((b - a) / scale), float(math.sqrt(noise) / scale)

    @property
    def converged(self) -> bool | None:
        """Whether the objective had come to rest: its `change` is at most `TOLERANCE`; None where noise hides that."""
        found, noise = self.change()
        if math.isnan(found):
            return None
        if abs(found) <= TOLERANCE:
            return True
        return False if abs(found) > TOLERANCE + 2 * noise else None

    def text(self) -> str:
        """The record as JSON, for `Fit.read`."""
        return json.dumps({name: getattr(self, name).tolist() for name in ("step", "loss", "averaged")})

    @staticmethod
    def read(text: str) -> Fit:
        """The record that `Fit.text` wrote; raises `BadInput` for another text."""
        try:
            table = json.loads(text)
            return Fit(*(table[name] for name in ("step", "loss", "averaged")))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput("the record of a fit cannot be read.") from None


def recorded(losses: Sequence[float], places: Sequence[float]) -> Fit:
    """The record of a fit from the loss of every step, and the place in [0, 1] of its t among all that may be drawn.

    ``places`` are the values there of the distribution function of t: t itself where it is uniform.
    """
    values, where = np.asarray(losses, dtype=np.float64), np.asarray(places, dtype=np.float64)
    blocks = [block for block in np.array_split(np.arange(len(values)), KEPT) if len(block)]
    part = np.clip((where * STRATA).astype(int), 0, STRATA - 1)
    averaged = [np.mean([values[b][part[b] == k].mean() for k in np.unique(part[b])]) for b in blocks]
    return Fit([b[-1] + 1 for b in blocks], [values[b].mean() for b in blocks], averaged)  # type: ignore[arg-type]


def convergence(fit: Fit | None) -> str:
    """Whether a curve's fit had converged, in a sentence: its objective changed by at most 5 % over the last fifth.

    A learning rate that falls to 0 brings that about as well: it says that more of the same steps would hardly help,
    not that no lower curve exists. A method in phases has another objective in each, which a change may be of.
    """
    if fit is None:
        return "Nothing was kept of this curve's fit."
    change, noise = fit.change()
    if math.isnan(change):
        return f"A fit of {fit.steps} steps is too short to tell whether it converged."
    words = {
        True: "The fit had converged",
        False: "The fit had not converged",
        None: "Noise hides whether it converged",
    }
    return (
        f"{words[fit.converged]}: over the last fifth of {fit.steps:,} steps the objective changed by {change:+.1%}"
        f" (standard error {noise:.1%}), to {fit.averaged[fit.step > 0.9 * fit.steps].mean():.3g}."
    )
