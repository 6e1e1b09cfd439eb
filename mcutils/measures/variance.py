"""Variance components of a nested design, by the method of moments; arrays in.

y = mu + a (outermost level) + b (next one, within a) + ... + e (innermost), every effect independent with a variance of
its own: which share of what varies is due to the original model, the forget set, the unlearning seeds, the fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BadInput
from .intervals import LEVEL, Interval
from .originals import student

Design = tuple[Sequence[float], Mapping[str, Sequence]]  # values (N,) and the labels (N,) of each level


@dataclass(frozen=True)
class Anova:
    """A nested analysis of variance, an entry per level from the outermost to the innermost.

    ``squares`` (k,) are sums of squares within the level above, ``freedom`` (k,) their degrees of freedom, and
    ``expected`` (k, k), upper triangular, the coefficients of the k components in the expected sums of squares.
    """

    names: tuple[str, ...]
    squares: np.ndarray
    freedom: np.ndarray
    expected: np.ndarray

    @property
    def components(self) -> dict[str, float]:
        """Each component by its level: what makes the sums of squares equal their expectations, so maybe negative.

        nan where a level has no degree of freedom, and for every level above it, which it cannot be told from.
        """
        found = np.full(len(self.names), np.nan)
        for k in reversed(range(len(self.names))):
            below = self.expected[k, k + 1 :] @ found[k + 1 :]
            if self.freedom[k] > 0:
                found[k] = (self.squares[k] - below) / self.expected[k, k]
        return dict(zip(self.names, map(float, found), strict=True))


def nested_anova(values, levels: Mapping[str, Sequence]) -> Anova:
    r"""Sums of squares of a nested design, balanced or not, and what they are on average.

    With n_h the observations in a group h of level j, and n_g in the group of level i that holds it,
    :math:`q_{ij} = \sum_g \sum_{h \subset g} n_h^2 / n_g` (N where i lies below j, and 1 group above the outermost),

    .. math:: SS_i = \sum_g n_g \bar y_g^2 - \sum_{g'} n_{g'} \bar y_{g'}^2, \qquad
              E[SS_i] = \sum_{j \ge i} (q_{ij} - q_{i-1,j}) \sigma_j^2

    with g' the groups of the level above. Balanced, they are the textbook's mean squares.

    Args:
        values: (N,) finite observations, in any unit.
        levels: the label (N,) of every observation at each level by the level's name, the outermost first. A label
            means something within its group above alone; no two observations share all of them.

    Raises:
        BadInput: no level, labels of another number, observations with all labels in common, a value not finite.

    Source: Gates and Shiue, Biometrics 18 (1962) 529; Gower, ibid. 537; balanced: Searle, Casella and McCulloch,
    Variance Components (1992), chapter 4.
    """
    values, names = np.asarray(values, dtype=np.float64), tuple(levels)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise BadInput(f"values must be one finite number an observation, got an array of shape {values.shape}.")
    if not names or any(len(levels[name]) != len(values) for name in names):
        counts = ", ".join(f"{name} {len(levels[name])}" for name in names) or "no level"
        raise BadInput(f"each level needs a label for each of {len(values)} observations, got {counts}.")
    rows = list(zip(*(levels[name] for name in names), strict=True))
    if len(set(rows)) < len(rows):
        raise BadInput("two observations have all labels in common: the innermost level tells each from every other.")
    groups = [_groups([row[: k + 1] for row in rows]) for k in range(-1, len(names))]
    middle = values - values.mean() if len(values) else values  # the same squares, with fewer digits lost
    sums = [float((np.bincount(one, middle) ** 2 / np.bincount(one)).sum()) for one in groups]
    shares = np.array([[_overlap(outer, inner) for inner in groups[1:]] for outer in groups])
    sizes = np.array([one.max(initial=-1) + 1 for one in groups])
    return Anova(names, np.diff(sums), np.diff(sizes), np.triu(np.diff(shares, axis=0)))


def _groups(labels: Sequence[tuple]) -> np.ndarray:
    known: dict[tuple, int] = {}
    return np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.int64)


def _overlap(outer: np.ndarray, inner: np.ndarray) -> float:
    """q of two levels: the sum of n_h^2 / n_g over groups h of the inner and the group g of the outer with each."""
    if outer.max(initial=0) >= inner.max(initial=0):
        return float(len(outer))  # the outer is the same level or lies below
    first = np.unique(inner, return_index=True)[1]
    return float((np.bincount(inner) ** 2 / np.bincount(outer)[outer[first]]).sum())


@dataclass(frozen=True)
class Component:
    """A variance component: as estimated, maybe below 0, with its interval, degrees of freedom, and cut off at 0."""

    estimate: float
    interval: Interval
    freedom: int

    @property
    def variance(self) -> float:
        """The estimate, or 0 where it is negative."""
        return max(0.0, self.estimate) if np.isfinite(self.estimate) else float("nan")


def variance_components(designs: Sequence[Design], level: float = LEVEL) -> dict[str, Component]:
    """Components of one or several nested designs on the same units, their mean, with intervals over the units.

    A component is that of `nested_anova`, averaged over the designs. Its interval is Student's over the jackknife's
    pseudo-values n c - (n - 1) c_(-u), u an outermost group, left out of all designs at once; a component that cannot
    be told without u has no bounds. Of 8 units with planted components such an interval of 0.95 held them in 77 to
    98 % of worlds (`tests/measures/test_variance.py` asks for 75): read it as wide at least.

    Args:
        designs: pairs of values (N,) and levels, as `nested_anova` takes them, the same levels in all.
        level: of the intervals.

    Returns:
        level's name -> `Component`, the outermost first; ``freedom`` is that of all designs together.

    Source: Miller, Biometrika 61 (1974) 1, for the jackknife; Arvesen, Annals of Mathematical Statistics 40 (1969)
    2076, for variance components.
    """
    names = tuple(designs[0][1]) if designs else ()
    if not names or any(tuple(levels) != names for _, levels in designs):
        raise BadInput("variance components need one design or more, all with the same levels.")
    whole = [nested_anova(values, levels) for values, levels in designs]
    units = list(dict.fromkeys(label for _, levels in designs for label in levels[names[0]]))
    every, n = _mean(designs, names), len(units)
    without = np.array([_mean(_without(designs, names[0], unit), names) for unit in units]).reshape(n, len(names))
    pseudo = n * every - (n - 1) * without
    found = {}
    for k, name in enumerate(names):
        known = np.isfinite(pseudo[:, k]).all() and n > 1
        low, high = student(pseudo[:, k], level)[1:] if known else (-np.inf, np.inf)
        interval = Interval(float(every[k]), float(low), float(high))
        found[name] = Component(float(every[k]), interval, int(sum(one.freedom[k] for one in whole)))
    return found


def _mean(designs: Sequence[Design], names: Sequence[str]) -> np.ndarray:
    """Components (k,), mean over the designs."""
    found = [nested_anova(values, levels).components for values, levels in designs]
    return np.mean([[one[name] for name in names] for one in found], axis=0)


def _without(designs: Sequence[Design], outer: str, unit: Any) -> list[Design]:
    """The designs without the observations of one unit, a label of the outermost level."""
    found: list[Design] = []
    for values, levels in designs:
        kept = [k for k, label in enumerate(levels[outer]) if label != unit]
        found.append(([values[k] for k in kept], {name: [labels[k] for k in kept] for name, labels in levels.items()}))
    return found
