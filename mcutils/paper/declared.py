"""The tests that docs/protocol.md declares: what each claim measures on walks, original by original."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np

from ..measures.along import excess
from ..measures.connectivity import TOLERANCE
from ..measures.intervals import LEVEL, Interval
from ..measures.originals import LEAST, student
from ..measures.profiles import HALVED
from .admission import admitted, controls, copies, reasons, retraining_controls, splits_are, unlearned_ends
from .nulls import far_from_quadratic, mean_of_draws, others_in_place, quadratics_with_noise
from .trials import Cells, Finding, Rule, cells_of, exchanged, mean_trial, reach_of, row_means, some_trial, table_of
from .walks import APART, COARSE, RETRAINED, TWINNED, Walk, once_of

DRAWS = 500  # of a null
MARGIN = 0.05  # of eps, in G, that counts as help or harm (C7)
SMALL = 0.002  # gain, as a share, below which a better inner point is none (C11)
RELIABLE = 0.5  # agreement of a metric with itself on other examples that shows a pattern (C9)
STRONG = 0.3  # reliance of an original on a cue from which on its use is judged (M1)
FINE = 31  # points of a walk along which metrics are compared
DIGITS = 9  # to which a metric's excess is rounded before it is ranked, so that rounding makes no ranks


def _refused(walks: Sequence[Walk]) -> list[str]:
    return once_of(walks, controls) + copies(walks)


def by_method(walk: Walk) -> Hashable:
    """The method of a walk, or both of them."""
    return walk.label


def by_method_and_kind(walk: Walk) -> Hashable:
    """The method and the kind of curve."""
    return walk.label, walk.kind


def _plain(walks: Sequence[Walk], **labels: Any) -> list[Walk]:
    """The walks of one experiment's main form: the corrected fit with its own objective, BatchNorm refreshed."""
    plain = {"form": "", "recipe": "", "objective": "", "refit": False, "batchnorm": "", "full": False, "size": 0.0}
    return admitted(walks, **{**plain, **labels})


def c1(walks: Sequence[Walk], reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Finding:
    """C1: share of methods whose better path between two seeds is MCU(eps)."""
    pairs: dict[tuple[int, Hashable, str], float] = {}
    for w in _plain(walks, condition="random"):
        place = w.original, w.method, w.pair
        pairs[place] = max(pairs.get(place, 0.0), float(w.connected(eps, reading)))
    found = _over_pairs(pairs)
    apart = [float(w.connected(eps, reading)) for w in walks if w.control == APART]
    null = np.array(apart or [np.nan])
    return mean_trial(table_of(found), Rule("above", 0.5), null=null, shares=True, refused=_refused(walks), level=level)


def _over_pairs(numbers: Mapping[tuple, float]) -> dict[tuple[int, Hashable], float]:
    """Means over pairs of seeds of a number for each (original, context, pair)."""
    found: dict[tuple[int, Hashable], list[float]] = {}
    for (original, context, _), number in numbers.items():
        found.setdefault((original, context), []).append(number)
    return {place: float(np.mean(row)) for place, row in found.items()}


def share_by_context(values: np.ndarray) -> float:
    """Share of the variance within originals that contexts explain, corrected for chance: epsilon squared.

    With y_ij minus its original's mean, (SS_contexts - df_contexts MS_rest) / SS_total; about 0 under the null.

    Args:
        values: (n, m) without gaps.

    Source: Kelley, Proceedings of the National Academy of Sciences 21 (1935).
    """
    return float(_shares(np.asarray(values)[None])[0]) if min(values.shape) > 1 else float("nan")


def _shares(values: np.ndarray) -> np.ndarray:
    """`share_by_context` of each of (R, n, m) values."""
    n, m = values.shape[1:]
    centred = values - values.mean(axis=2, keepdims=True)
    total = (centred**2).sum(axis=(1, 2))
    between = n * (centred.mean(axis=1) ** 2).sum(axis=1)
    rest = (total - between) / ((n - 1) * (m - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (between - (m - 1) * rest) / total, 0.0)


def explained_trial(cells: Cells, alpha: float, least: float, refused: Sequence[str], level: float = LEVEL) -> Finding:
    """Whether contexts explain variance within originals: permuted within originals, and a jackknifed interval.

    Supported if p < alpha, contradicted if the interval lies below ``least``; contexts that an original lacks are left
    out.
    """
    whole = np.isfinite(cells.values).all(axis=0)
    values, notes = cells.values[:, whole], list(refused)
    n = len(values)
    if n < LEAST or whole.sum() < 2:
        notes.append(f"{n} originals and {int(whole.sum())} contexts in all of them decide nothing")
        nothing = Interval(np.nan, np.nan, np.nan)
        return Finding(nothing, "undecided", n, int(values.size), notes=tuple(notes))
    share = share_by_context(values)
    rng = np.random.default_rng(0)
    drawn = _shares(rng.permuted(np.tile(values, (4 * DRAWS, 1, 1)), axis=2))
    p = float((1 + (drawn >= share - 1e-12).sum()) / (1 + len(drawn)))
    without = np.array([share_by_context(np.delete(values, k, axis=0)) for k in range(n)])
    found = student(n * share - (n - 1) * without, level)
    found = Interval(share, max(found.low, -1.0), min(found.high, 1.0))
    word = "supported" if p < alpha else "contradicted" if found.high < least else "undecided"
    null = reach_of(drawn, level)
    return Finding(found, "undecided" if notes else word, n, int(values.size), null, p=p, notes=tuple(notes))


def c2(walks: Sequence[Walk], reading: str = "chord", measure: str = "deficit", level: float = LEVEL) -> Finding:
    """C2: share of the variance within originals, of the lines' deficit or roughness, that the method explains."""
    value: Callable[[Walk], float] = partial(Walk.deficit_by, reading=reading)
    if measure == "roughness":
        value = attrgetter("roughness")
    lines = _plain(walks, condition="random", kind="linear")
    return explained_trial(cells_of(lines, value, by_method), 0.025, 0.1, _refused(walks), level)


def forgotten(walk: Walk) -> float:
    """What a pair forgot, in nats: the mean forget loss of its two ends minus the original's."""
    ends = walk.profile.connectivity.curves["loss_forget"][[0, -1]]
    return float(np.mean(ends) - walk.profile.original["loss_forget"])


def c4(walks: Sequence[Walk], reading: str = "chord", level: float = LEVEL) -> Finding:
    """C4: change of the lines' deficit, in units of what was forgotten, from the smallest size to the largest."""
    lines = [w for w in admitted(walks, condition="random", kind="linear") if w.size]
    sizes = sorted({w.size for w in lines})
    found: dict[tuple[int, Hashable], dict[float, float]] = {}
    for w in lines:
        deficit = w.deficit_by(reading) * w.profile.gap / forgotten(w)
        found.setdefault((w.original, w.label), {})[w.size] = deficit
    series = {place: row for place, row in found.items() if len(sizes) > 1 and {sizes[0], sizes[-1]} <= set(row)}
    fits = {place: change_over(list(row), list(row.values())) for place, row in series.items()}
    rng, drawn = np.random.default_rng(0), {}
    for place, row in series.items():
        values = np.tile(np.array(list(row.values())), (DRAWS, 1))
        drawn[place] = change_over(list(row), rng.permuted(values, axis=1))
    sums = [[drawn[place] for place in series if place[0] == original] for original in {o for o, _ in series}]
    null = np.mean([np.mean(one, axis=0) for one in sums], axis=0) if sums else np.array([np.nan])
    return mean_trial(table_of(fits), Rule("outside", 0.1), null=null, refused=_refused(walks), level=level)


def change_over(sizes: Sequence[float], values: Any) -> Any:
    """Change (...) of a straight fit from the smallest to the largest size, of values (..., sizes)."""
    middle = np.asarray(sizes) - np.mean(sizes)
    return np.asarray(values) @ middle / (middle @ middle) * (max(sizes) - min(sizes))


def differences(walks: Sequence[Walk], condition: str, reading: str, form: str = "") -> dict[tuple, float]:
    """eps of a condition minus that of ``random`` with the same seeds, for each (original, (method, kind))."""
    base = {(w.original, by_method_and_kind(w), w.pair): w for w in _plain(walks, condition="random")}
    found = {}
    for w in _plain(walks, condition=condition, form=form):
        place = w.original, by_method_and_kind(w), w.pair
        if place in base:
            ours, other = (one.at(COARSE).eps_by(reading) for one in (w, base[place]))
            found[place] = ours - other
    return _over_pairs(found)


def shift(walks: Sequence[Walk], condition: str, reading: str = "chord", form: str = "", level: float = LEVEL):
    """C5, C6 and E4: eps of a condition minus that of ``random``, mean over methods and kinds of curve."""
    cells = table_of(differences(walks, condition, reading, form))
    null = exchanged(cells, DRAWS) if cells.originals else None
    return mean_trial(cells, Rule("outside", 0.1), null=null, refused=_refused(walks), level=level)


c5 = partial(shift, condition="cl-non_cl")
c6 = partial(shift, condition="fo-so")


def c7(walks: Sequence[Walk], reading: str = "chord", level: float = LEVEL) -> Finding:
    """C7: whether eps falls by more than `MARGIN` in some contexts and rises by more in others."""
    found = {}
    for condition in ("cl-non_cl", "fo-so"):
        for (original, context), number in differences(walks, condition, reading).items():
            found[original, (condition, *context)] = number
    return some_trial(table_of(found), -MARGIN, MARGIN, refused=_refused(walks), level=level)


def c8(walks: Sequence[Walk], reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Finding:
    """C8: whether some pairs of methods are MCU(eps) by the line and some are not."""
    lines = _plain(walks, condition="method", kind="linear")
    cells = cells_of(lines, lambda w: w.eps_by(reading) - eps, by_method)
    return some_trial(cells, 0.0, 0.0, refused=_refused(walks), level=level)


def fine(walks: Sequence[Walk], reading: str, eps: float) -> list[Walk]:
    """The admitted walks between unlearned models that are MCU(eps), traced finely enough with all that 07 reads."""
    between = [w for w in admitted(walks) if unlearned_ends(w) == (0, 1)]
    kept = [w for w in between if "score/test" in w.profile.arrays and len(w.profile.t) >= FINE]
    return [w for w in kept if w.connected(eps, reading)]


def pattern(walk: Walk) -> tuple[float, float]:
    """How well a metric's excess over its chord agrees with itself on other examples, and with other metrics there.

    Both are means of |Spearman's rho| between two halves of the examples, over `HALVED`: of one metric with itself,
    and of two different ones. nan where fewer than two metrics vary.

    Source: convergent and discriminant validity, Campbell and Fiske, Psychological Bulletin 56 (1959).
    """
    from scipy.stats import rankdata

    halves = []
    for half in (0, 1):
        rows = [excess(walk.profile.arrays[f"half/{half}/{name}"], walk.profile.t)[1:-1] for name in HALVED]
        halves.append(np.array([np.round(row, DIGITS) for row in rows]))
    varies = np.all([np.ptp(one, axis=1) > 0 for one in halves], axis=0)
    if varies.sum() < 2:
        return float("nan"), float("nan")
    ranks = [rankdata(one[varies], axis=1) for one in halves]
    k = int(varies.sum())
    rho = np.abs(np.corrcoef(*ranks)[:k, k:])
    return float(np.diag(rho).mean()), float(rho[~np.eye(k, dtype=bool)].mean())


def c9(walks: Sequence[Walk], reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Finding:
    """C9: how much better a metric's pattern agrees with itself, on other examples, than with other metrics'."""
    kept = fine(walks, reading, eps)
    found = {id(w): pattern(w) for w in kept}
    own = cells_of(kept, lambda w: found[id(w)][0], by_method_and_kind)
    cells = cells_of(kept, lambda w: found[id(w)][0] - found[id(w)][1], by_method_and_kind)
    one = mean_trial(cells, Rule("above", 0.1), refused=_refused(walks), level=level)
    reliable = student(row_means(own.values), level)
    if one.verdict == "contradicted" and not reliable.low > RELIABLE:
        note = f"a metric agrees with itself on other examples by {reliable.estimate:.2f} only"
        return replace(one, verdict="undecided", notes=(*one.notes, note))
    return one


def wide(walk: Walk, gaps: Mapping[str, float]) -> float:
    """Median over metrics of the range along a walk beyond the difference of its ends, in units of the metric's gap."""
    found = []
    for name, gap in gaps.items():
        values = walk.profile.metric(name)
        found.append((np.ptp(values) - abs(values[-1] - values[0])) / gap)
    return float(np.median(found)) if found else float("nan")


def c10(
    walks: Sequence[Walk],
    gaps: Mapping[int, Mapping[str, float]],
    reading: str = "chord",
    eps: float = TOLERANCE,
    level: float = LEVEL,
) -> Finding:
    """C10: how far metrics range along MCU(eps) paths, beside the same on fine-tuned twins.

    Args:
        walks: of all experiments.
        gaps: original -> telling metrics with their original-to-retrained gap there.
        reading, eps, level: as elsewhere.
    """
    kept = [w for w in fine(walks, reading, eps) if gaps.get(w.original)]
    twins = [wide(w, gaps[w.original]) for w in walks if w.control == TWINNED and gaps.get(w.original)]
    cells = cells_of(kept, lambda w: wide(w, gaps[w.original]), by_method_and_kind)
    return mean_trial(
        cells, Rule("above", 0.2), null=np.array(twins or [np.nan]), middle=np.median, refused=_refused(walks),
        level=level,
    )  # fmt: skip


def best_inner(walk: Walk) -> tuple[float, float]:
    """The inner t that is closest to retraining on the examples to choose by, and how much closer it is than the better
    end on the examples to test on."""
    choose, test = (walk.profile.arrays[f"score/{part}"] for part in ("choose", "test"))
    k = 1 + int(np.argmax(choose[1:-1]))
    return float(walk.profile.t[k]), float(test[k] - max(test[0], test[-1]))


def c11(walks: Sequence[Walk], reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Finding:
    """C11: whether, for some method, the best inner point, chosen on other examples, beats the better end."""
    cells = cells_of(fine(walks, reading, eps), lambda w: best_inner(w)[1], by_method)
    cells = replace(cells, least=SMALL / 10)
    return some_trial(cells, None, 0.0, none=SMALL, refused=_refused(walks), level=level)


def fits_beside(walks: Sequence[Walk], **fits: Mapping[str, Any]) -> dict[tuple[int, str], dict[str, Walk]]:
    """For each (original, method) the walks of several fits, by their labels; places that lack one are left out."""
    plain = {"kind": "bezier", "recipe": "", "objective": "", "refit": False, "batchnorm": "", "form": ""}
    found: dict[tuple[int, str], dict[str, Walk]] = {}
    for name, labels in fits.items():
        for w in admitted(walks, condition="random", full=False, **{**plain, **labels}):
            found.setdefault((w.original, w.method), {}).setdefault(name, w.at(COARSE))
    return {place: row for place, row in found.items() if len(row) == len(fits)}


def c12(
    walks: Sequence[Walk],
    reading: str = "chord",
    batchnorm: str = "retain",
    method: str = "bad_teacher",
    level: float = LEVEL,
) -> Finding:
    """C12: share of originals on which the authors' fit is worse than the line by more than 0.1, read alike."""
    policies = {"retain": ("", "retain"), "none": ("none", "")}[batchnorm]  # of the line and of the authors' curve
    rows = fits_beside(
        walks, line={"kind": "linear", "batchnorm": policies[0]}, fit={"recipe": "authors", "batchnorm": policies[1]}
    )
    hits = {
        place: float(row["fit"].eps_by(reading) > row["line"].eps_by(reading) + 0.1)
        for place, row in rows.items()
        if place[1] == method
    }
    again = fits_beside(walks, one={}, other={"refit": True})
    null = [float(r["other"].eps_by(reading) > r["one"].eps_by(reading) + 0.1) for r in again.values()]
    drawn = np.array([np.mean(null)]) if null else None
    return mean_trial(table_of(hits), Rule("above", 0.5), null=drawn, shares=True, refused=_refused(walks), level=level)


def c13(walks: Sequence[Walk], reading: str = "chord", level: float = LEVEL) -> Finding:
    """C13: whether the curve is better than the line by more than 0.1 for some methods, and worse for others."""
    rows = fits_beside(walks, line={"kind": "linear"}, curve={})
    numbers = {place: row["line"].eps_by(reading) - row["curve"].eps_by(reading) for place, row in rows.items()}
    return some_trial(table_of(numbers), -0.1, 0.1, refused=_refused(walks), level=level)


def beyond_quadratic(walk: Walk) -> float:
    """Largest distance of the forget loss from the best quadratic in t through both ends, in units of its change.

    See `nulls.far_from_quadratic`; nan without change.
    """
    return float(far_from_quadratic(walk.profile.connectivity.curves["loss_forget"], walk.profile.t))


def c15(walks: Sequence[Walk], level: float = LEVEL) -> Finding:
    """C15: how far forgetting, from the original to the unlearned model, is from any quadratic.

    Beside it the same of each walk's best quadratic with the noise on it that the examples put on the walk.
    """
    lines, rng = admitted(walks, condition="forgetting"), np.random.default_rng(0)
    null = mean_of_draws([(w.original, quadratics_with_noise(w, DRAWS, rng)) for w in lines])
    return mean_trial(
        cells_of(lines, beyond_quadratic, by_method), Rule("above", 0.1), null=null,
        refused=_refused_without_pairs(walks), level=level,
    )  # fmt: skip


def _refused_without_pairs(walks: Sequence[Walk]) -> list[str]:
    return retraining_controls(walks) + copies(walks)


def c16(walks: Sequence[Walk], reading: str = "chord", level: float = LEVEL) -> Finding:
    """C16: share of methods whose eps to a retrained model exceeds that between two retrained models by 0.1.

    All begin with the initial weights of the original. Beside it the same with another original's pair of retrained
    models in the method's place.
    """
    base = cells_of(
        [w for w in walks if w.control == RETRAINED and w.init == "same init"], lambda w: w.eps_by(reading), by_method
    )
    between = dict(zip(base.originals, row_means(base.values), strict=True))
    ours = [w for w in admitted(walks, condition="retraining", init="same init") if w.original in between]
    cells = cells_of(ours, lambda w: float(w.eps_by(reading) > between[w.original] + 0.1), by_method)
    null = others_in_place([v for v in between.values() if np.isfinite(v)], 0.1, DRAWS)
    refused = _refused_without_pairs(walks)
    return mean_trial(cells, Rule("above", 0.5), null=null, shares=True, refused=refused, level=level)


def c21(walks: Sequence[Walk], reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Finding:
    """C21: among paths without a retain barrier, the share that the forget deficit alone keeps from MCU(eps)."""
    flat = [w for w in _plain(walks, condition="random") if w.barrier_by(reading) <= eps]
    twins = [float(w.deficit_by(reading) > eps) for w in walks if w.control == TWINNED]
    cells = cells_of(flat, lambda w: float(w.deficit_by(reading) > eps), by_method_and_kind)
    null = np.array(twins or [np.nan])
    return mean_trial(cells, Rule("above", 0.05), null=null, shares=True, refused=_refused(walks), level=level)


def _changed(walks: Sequence[Walk], other: Mapping[str, Any], reading: str, eps: float, level: float) -> Finding:
    """How much more often another fit changes a verdict than another seed of the same fit does."""
    rows = fits_beside(walks, own={}, other=other, refit={"refit": True})
    numbers = {}
    for place, row in rows.items():
        own, one, again = (row[name].connected(eps, reading) for name in ("own", "other", "refit"))
        numbers[place] = float(own != one) - float(own != again)
    cells = table_of(numbers)
    null = exchanged(cells, DRAWS) if cells.originals else None
    return mean_trial(cells, Rule("above", 0.1), null=null, refused=_refused(walks), level=level)


def c23(walks: Sequence[Walk], reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Finding:
    """C23: verdicts that change without a forget term in the fit, beyond those that a refit changes."""
    return _changed(walks, {"objective": "retain only"}, reading, eps, level)


def c24(
    walks: Sequence[Walk],
    reading: str = "chord",
    eps: float = TOLERANCE,
    batchnorm: str = "retain",
    level: float = LEVEL,
) -> Finding:
    """C24: verdicts that change with the authors' recipe beyond a refit's.

    Read with refreshed BatchNorm, or, for the ``batchnorm`` of the empty name, with its own policy.
    """
    return _changed(walks, {"recipe": "authors", "batchnorm": batchnorm}, reading, eps, level)


def m0(
    walks: Sequence[Walk], condition: str = "originals", init: str = "", objective: str = "", level: float = LEVEL
) -> Finding:
    """M0: retain barrier of a fitted curve over that of the line between independently trained models.

    1 where the line has no barrier above `TOLERANCE`, for then nothing is left for a curve to join. Of several
    objectives that curves were fitted with, ``objective`` names the one.
    """
    labels = {"condition": condition, "init": init, "recipe": "", "refit": False, "batchnorm": ""}
    there = [w for w in walks if not w.profile.collapsed and not reasons(w)]
    there = [w for w in there if all(getattr(w, name) == value for name, value in labels.items())]
    lines, curves = (
        {(w.original, w.label, w.pair): w.barrier for w in there if (w.kind, w.objective) == which}
        for which in (("linear", ""), ("bezier", objective))
    )
    ratios = {p: curves[p] / lines[p] if lines[p] > TOLERANCE else 1.0 for p in lines if p in curves}
    refused = splits_are(there) + copies(walks)
    return mean_trial(table_of(_over_pairs(ratios)), Rule("below", 0.1), refused=refused, level=level)


def m1(
    walks: Sequence[Walk],
    use: Mapping[tuple[int, str], float],
    reliance: Mapping[int, float],
    reading: str = "chord",
    level: float = LEVEL,
) -> Finding:
    """M1: whether methods that differ more in their use of a cue have larger deficits between them, by Mantel's test.

    Originals that do not rely on the cue by `STRONG` are not judged. *Supported* also needs deficits of methods held
    out to be predicted better than by the mean, on the mean over originals of `held_out`.

    Args:
        walks: lines between methods on the cued data.
        use: (original, method) -> cue use of the method's end there.
        reliance: original -> its own reliance on the cue.
        reading, level: as elsewhere.
    """
    lines = _plain(walks, condition="method", kind="linear", form="cue")
    found: dict[int, dict[tuple[str, str], float]] = {}
    for w in lines:
        if (w.original, w.method) in use and (w.original, w.other) in use:
            found.setdefault(w.original, {})[w.method, w.other] = w.deficit_by(reading)
    weak = [o for o in found if not reliance.get(o, float("nan")) >= STRONG]
    notes = [f"original {o} does not rely on the cue by {STRONG:g}" for o in weak]
    known = {o: row for o, row in found.items() if len(row) >= 6 and o not in weak}

    observed = np.array([float(_rank_correlations(row, use, o)[0]) for o, row in known.items()])
    rng = np.random.default_rng(0)
    orders: dict[int, list[np.ndarray]] = {o: [] for o in known}
    for _ in range(DRAWS):
        for o, row in known.items():
            orders[o].append(rng.permutation(len(_methods(row))))
    each = [_rank_correlations(row, use, o, np.array(orders[o])) for o, row in known.items()]
    drawn = row_means(np.transpose(each)) if known else np.array([np.nan])
    mean = row_means(observed[None])[0] if known else np.nan
    p = float((1 + np.sum(drawn >= mean - 1e-12)) / (1 + len(drawn))) if np.isfinite(mean) else 1.0
    cells = Cells(observed[:, None], tuple(known), ("all",)) if known else Cells(np.empty((0, 0)), (), ())
    one = mean_trial(cells, Rule("above", 0.0), null=drawn, refused=_refused(walks), level=level)
    beyond = [held_out(row, {m: value for (other, m), value in use.items() if other == o}) for o, row in known.items()]
    gained = float(np.mean(beyond)) if beyond else float("nan")
    short = [f"Mantel's p is {p:.2g}"] * (not p < 0.025)
    short += [f"of methods held out it predicts {gained:.2g} of the variance"] * (not gained > 0)
    if one.verdict == "supported" and short:
        return replace(one, verdict="undecided", p=p, notes=(*one.notes, *notes, *short))
    return replace(one, p=p, notes=(*one.notes, *notes))


def _methods(row: Iterable[tuple[str, str]]) -> list[str]:
    return sorted({method for pair in row for method in pair})


def _rank_correlations(
    row: Mapping[tuple[str, str], float], use: Mapping[tuple[int, str], float], original: int, orders: Any = None
) -> np.ndarray:
    """Spearman's rho (R,) of deficits of pairs with differences in use, under each order (R, m) of the methods.

    By default under their own; nan where either does not vary.
    """
    from scipy.stats import rankdata

    names = _methods(row)
    used = np.array([use[original, name] for name in names])[np.arange(len(names))[None] if orders is None else orders]
    first, second = ([names.index(pair[k]) for pair in row] for k in (0, 1))
    far = rankdata(np.abs(used[:, first] - used[:, second]), axis=1)
    level = rankdata(list(row.values()))
    far, level = far - far.mean(axis=1, keepdims=True), level - level.mean()
    size = np.sqrt((far**2).sum(axis=1) * (level @ level))
    return np.where(size > 0, far @ level / np.where(size > 0, size, 1.0), np.nan)


def held_out(row: Mapping[tuple[str, str], float], use: Mapping[str, float]) -> float:
    """R^2 of the deficits of pairs with a method that the straight fit on the other pairs did not see.

    1 - sum (d - fit)^2 / sum (d - mean of the other pairs)^2, over the pairs of each method left out in turn.
    """
    errors, plain = [], []
    for method in _methods(row):
        inside = [(abs(use[a] - use[b]), d) for (a, b), d in row.items() if method not in (a, b)]
        outside = [(abs(use[a] - use[b]), d) for (a, b), d in row.items() if method in (a, b)]
        if len(inside) < 3 or np.ptp([x for x, _ in inside]) == 0:
            continue
        slope, offset = np.polyfit([x for x, _ in inside], [d for _, d in inside], 1)
        mean = np.mean([d for _, d in inside])
        errors += [(d - slope * x - offset) ** 2 for x, d in outside]
        plain += [(d - mean) ** 2 for _, d in outside]
    return float(1 - np.sum(errors) / np.sum(plain)) if np.sum(plain) > 0 else float("nan")
