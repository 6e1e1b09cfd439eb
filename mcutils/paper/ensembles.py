"""11, first part: ensembles along a path, of predictions and of weights, and how smooth it is there (C17, C19, C22).

Along the line between two seeds of a method, beside its two ends, independent unlearning seeds, models of several
originals, and the fair oracle: as many retrained models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from ..engine.specs import CurveSpec, EnsembleSpec, SharpnessSpec, Spec
from ..engine.study import Study
from ..errors import choose
from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, GREY, PURPLE, SKY, check_columns, entry, finish, label, panel_grid, where
from ..measures.ensembles import PLACEMENTS, SIZES
from ..measures.intervals import LEVEL
from ..measures.originals import student
from .admission import admitted
from .claims import spread
from .panels import SERIES, dots_row, shade_rows
from .tables import Table, frame
from .trials import Cells, Finding, Rule, mean_trial, row_means, table_of
from .walks import SOME, TWINNED, Walk, controls

Place = tuple[int, str]  # (original, method)
Scores = Mapping[str, Any]  # a result of `EnsembleSpec` or of `SharpnessSpec`

SEED = 11  # of directions, and of an attack's batches
SHARP = ("npo", "gradient_difference", "scrub")  # methods whose sharpness is measured
APART = ("npo", "gradient_difference")  # those of which there are more unlearning seeds
MORE_SEEDS = (21, 100, 101)  # beside the study's two; the first two are the second pair of 02
OUTSIDE = ("noise", "blur", "rotation", "digits")
BEYOND = 2  # originals whose ensembles see images from outside
FIVE = 5  # members of what is compared with five points of a path
DRAWS = 500  # of C19's null
ERROR = {"C17": 0.0005, "C19": 0.02, "C22": 0.0005}  # smallest standard errors believed in
ENDS, BETTER = "uniform/2", "end/1"  # both ends together, and the better one on validation data

# What ensembles are called, by their names in a result of `EnsembleSpec`.
NAMED = {
    BETTER: "better end",
    "uniform/1": "mean of the weights (t = 1/2)",
    ENDS: "both ends",
    "uniform/5": "5 points",
    "inner/5": "5 inner points",
    "validation/5": "5 chosen points",
    "all/0": "all points",
}
SEEDS, SEVERAL, RETRAINED = "5 unlearning seeds", "of 5 originals", "5 retrained"
CHANGES = {
    "accuracy/test": "Test accuracy (points)",
    "loss/test": "Test NLL (nats)",
    "calibration/test": "Test calibration error (points)",
    "accuracy/forget": "Accuracy on D_f (points)",
}
RISES = {"both/retain": "both sides", "one/retain": "one side", "hessian": "top eigenvalue", "both/forget": "on D_f"}


# What is computed


def lines(study: Study) -> dict[Place, CurveSpec]:
    """(original, method) -> the line between the method's two seeds."""
    first, last = study.seeds[:2]
    found = {}
    for original, method in product(study.originals, study.preset.fit):
        start, end = (study.unlearned(method, seed, origin=study.original(original)) for seed in (first, last))
        found[original, method] = study.path(start, end)
    return found


def sizes_for(points: int) -> tuple[int, ...]:
    """The numbers of members that a grid of so many points can have; one stands in the middle, or is chosen."""
    return (1, *(size for size in SIZES if size <= points))


def ensemble_of(study: Study, path: CurveSpec) -> EnsembleSpec:
    """Ensembles of all sizes and placements along a path, on all splits."""
    return EnsembleSpec((study.trace(path),), sizes_for(study.preset.points), PLACEMENTS)


def outside_of(study: Study, path: CurveSpec, name: str) -> EnsembleSpec:
    """Both ends and all five points of a path on test images from outside."""
    made = study.trace(path, points=min(FIVE, study.preset.points), splits=("valid", "test"))
    return EnsembleSpec((replace(made, outside=name),), (1, 2), ("uniform",))


def retrained_together(study: Study, original: int, size: int, outside: str = "") -> EnsembleSpec:
    """The fair oracle: so many models retrained for an original, from initial weights of their own."""
    seeds = [*study.seeds[:2], *range(601, 601 + FIVE - 2)][:size]
    splits = ("valid", "test") if outside else ()
    models = [study.trace(study.retrained(seed, original=original), splits=splits) for seed in seeds]
    return EnsembleSpec(tuple(replace(one, outside=outside) for one in models), (), ())


def seeds_together(study: Study, original: int, method: str) -> EnsembleSpec:
    """Five models that a method unlearned from one original with seeds of their own."""
    origin, seeds = study.original(original), (*study.seeds[:2], *MORE_SEEDS)
    return EnsembleSpec(tuple(study.trace(study.unlearned(method, seed, origin=origin)) for seed in seeds), (), ())


def originals_together(study: Study, method: str) -> EnsembleSpec:
    """A method's first models of several originals, on images that all of them have: not on D_f, of which each has
    its own."""
    originals = study.originals[:FIVE] if len(study.originals) > 1 else (0, 1)
    models = [study.unlearned(method, study.seeds[0], origin=study.original(one)) for one in originals]
    return EnsembleSpec(tuple(study.trace(one, splits=("valid", "test")) for one in models), (), ())


def sharpness_of(study: Study, path: CurveSpec, place: int) -> SharpnessSpec:
    """Sharpness of the start (0), of the end (1) and of the mean weights of a line (2), along the same directions."""
    model: Any = (path.start, path.end, path)[place]
    return SharpnessSpec(model, path.forget, SEED, weighted=study.weighted)


def asked(study: Study) -> dict[str, dict[Any, Spec]]:
    """By the fields of `Together` the spec behind every number."""
    paths, some = lines(study), [one for one in study.originals if one < SOME]
    few = [one for one in study.originals if one < BEYOND]
    twins = {(r.original, r.method): r.path for r in controls(study) if r.control == TWINNED}
    apart = [name for name in APART if name in study.preset.fit]
    sharp = {at: path for at, path in paths.items() if at[1] in SHARP}
    return {
        "lines": {at: ensemble_of(study, path) for at, path in paths.items()},
        "twins": {at: EnsembleSpec((study.trace(path),), (2, FIVE), ("uniform",)) for at, path in twins.items()},
        "outside": {(*at, n): outside_of(study, paths[at], n) for at, n in product(paths, OUTSIDE) if at[0] in few},
        "retrained": {(o, 2): retrained_together(study, o, 2) for o in study.originals}
        | {(o, FIVE): retrained_together(study, o, FIVE) for o in some},
        "beyond": {(o, n): retrained_together(study, o, FIVE, n) for o, n in product(few, OUTSIDE)},
        "seeds": {(o, m): seeds_together(study, o, m) for o, m in product(some, apart)},
        "several": {m: originals_together(study, m) for m in study.preset.fit},
        "sharp": {(*at, k): sharpness_of(study, path, k) for at, path in sharp.items() for k in range(3)},
    }


def answers(study: Study, groups: Mapping[str, Mapping[Any, Spec]]) -> dict[str, dict[Any, Any]]:
    """The results of groups of specs, by the same names, computed where the store lacks them."""
    found = iter(study.run([spec for group in groups.values() for spec in group.values()]))
    return {name: {at: next(found) for at in group} for name, group in groups.items()}


@dataclass(frozen=True, eq=False)
class Together:
    """What ensembles score: results of `EnsembleSpec`, and of `SharpnessSpec` of the ends and the mean of lines.

    ``lines`` and ``seeds`` by (original, method), ``twins`` by the same of the control, ``outside`` by (original,
    method, images), ``retrained`` by (original, members), ``beyond``, the retrained ones on images from outside, by
    (original, images), ``several`` by method, ``sharp`` by (original, method, 0, 1 or 2) as `sharpness_of`.
    """

    lines: Mapping[Place, Scores]
    twins: Mapping[Place, Scores]
    outside: Mapping[tuple[int, str, str], Scores]
    retrained: Mapping[tuple[int, int], Scores]
    beyond: Mapping[tuple[int, str], Scores]
    seeds: Mapping[Place, Scores]
    several: Mapping[str, Scores]
    sharp: Mapping[tuple[int, str, int], Scores]

    def smoothness(self, place: Place) -> list[Scores]:
        """Sharpness of a line's start, end and mean weights; empty where it was not measured."""
        there = [(*place, k) for k in range(3)]
        return [self.sharp[one] for one in there] if there[-1] in self.sharp else []


def joined(walks: Sequence[Walk], reading: str = "chord", eps: float = TOLERANCE) -> list[Place]:
    """The lines between two seeds of a method that rows read: admitted, and MCU(eps) by a reading."""
    kept = [w for w in admitted(walks, condition="random", kind="linear", form="") if not w.size]
    return [(w.original, w.method) for w in kept if w.connected(eps, reading)]


# The tests


def _cells(numbers: Mapping[Any, float], claim: str) -> Cells:
    return replace(table_of(numbers), least=ERROR[claim])


def gained(
    found: Scores,
    size: int = FIVE,
    placement: str = "uniform",
    beside: str = ENDS,
    measure: str = "accuracy/test",
) -> float:
    """A measure of an ensemble along a path minus that of another, by default test accuracy beyond that of the ends.

    Args:
        found: a result of `EnsembleSpec`. size, placement: of the ensemble. beside: `ENDS`, or `BETTER`, the better end
            on validation data. measure: accuracy, loss or calibration on a split.

    Returns:
        The difference; nan where the path has no such ensemble.
    """
    ours, other = (found.get(f"{name}/{measure}", np.nan) for name in (f"{placement}/{size}", beside))
    return float(ours - other)


def c17(
    gains: Mapping[Any, float],
    twins: Sequence[float],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C17: whether five points of an MCU path predict better together than the path's two ends do.

    Args:
        gains: (original, method) -> `gained` along a line that is MCU(0.1).
        twins: the same along lines to fine-tuned twins: the null.
        refused: why nothing may be decided. level: of the interval.
    """
    return mean_trial(
        _cells(gains, "C17"), Rule("above", 0.002), null=np.array(twins or [np.nan]), refused=refused, level=level
    )


def smoother(rows: Sequence[Scores], what: str = "both/retain") -> float:
    """(rise at the mean weights - mean rise at both ends) / mean rise at both ends; nan where that is not above 0.

    Args:
        rows: results of `SharpnessSpec` at the start, the end and the mean. what: ``both/<split>``, ``one/<split>`` or
            ``hessian``.
    """
    start, end, mean = (float(np.mean(row[what])) for row in rows)
    ends = (start + end) / 2
    return (mean - ends) / ends if ends > 0 else float("nan")


def swapped(rows: Mapping[Any, Sequence[Scores]], draws: int = DRAWS, seed: int = 0) -> list[float]:
    """C19's statistic under its null: in each draw one end of each line, drawn, stands in the place of its mean.

    The other end stands for both. The mean over methods, then over originals, as the statistic takes it.
    """
    rng = np.random.default_rng(seed)
    pairs = {at: [smoother((b, b, a)), smoother((a, a, b))] for at, (a, b, _) in rows.items()}
    if not pairs:
        return []
    cells = [table_of({at: pair[k] for at, pair in pairs.items()}).values for k in range(2)]
    picked = rng.integers(0, 2, (draws, *cells[0].shape)).astype(bool)
    return [float(np.nanmean(row_means(np.where(one, *cells)))) for one in picked]


def c19(
    changes: Mapping[Any, float],
    swapped: Sequence[float],
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C19: whether the loss rises less around the mean weights of an MCU path than around its ends.

    Args:
        changes: (original, method) -> `smoother`.
        swapped: draws of the statistic with an end in the mean's place, see `swapped`: the null.
        refused, level: as in `c17`.
    """
    return mean_trial(
        _cells(changes, "C19"), Rule("below", -0.1), null=np.array(swapped or [np.nan]), refused=refused, level=level
    )


def c22(
    found: Mapping[Any, Scores],
    by: str = "number",
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """C22: whether an ensemble's gain depends on the number of members, or on where they stand.

    ``number``: test accuracy of the most members less that of two, uniform. ``placement``: of five in the inner half
    less that of five uniform ones.

    Args:
        found: (original, method) -> a result of `EnsembleSpec` along a line that is MCU(0.1).
        by: ``number`` or ``placement``. refused, level: as in `c17`.
    """
    choose("what a gain depends on, number or placement,", by, ("number", "placement"))
    numbers = {}
    for place, one in found.items():
        sizes = [int(name.split("/")[2]) for name in one if name.startswith("members/uniform/")]
        asked: dict[str, Any] = {"size": max(sizes, default=0)} if by == "number" else {"placement": "inner"}
        numbers[place] = gained(one, beside=ENDS if by == "number" else f"uniform/{FIVE}", **asked)
    return mean_trial(_cells(numbers, "C22"), Rule("outside", 0.002), refused=refused, level=level)


# Tables


def _over(numbers: Mapping[Any, float]) -> np.ndarray:
    """Means (n,) over methods of each original's finite numbers."""
    return row_means(table_of(numbers).values)


def changes_table(found: Together, places: Iterable[Place]) -> Table:
    """How ensembles differ from two members, original by original: measure, placement, members, original, change.

    Along these lines the mean over methods of each placement and size minus both ends (a placement with one member is
    one model); five unlearning seeds minus both ends too, which are two of them; five retrained models minus two.
    """
    rows = []
    places = list(places)
    for measure, placement in product(CHANGES, PLACEMENTS):
        for size in sizes_for(max(SIZES)):
            numbers = {at: gained(found.lines[at], size, placement, measure=measure) for at in places}
            rows += [(measure, placement, size, o, v) for o, v in _each(numbers)]
    for measure in CHANGES:
        name = f"all/0/{measure}"
        seeds = {at: one[name] - found.lines[at][f"{ENDS}/{measure}"] for at, one in found.seeds.items()}
        anew = {(o, ""): one[name] - found.retrained[o, 2][name] for (o, n), one in found.retrained.items() if n > 2}
        rows += [(measure, SEEDS, FIVE, o, v) for o, v in _each(seeds)]
        rows += [(measure, RETRAINED, FIVE, o, v) for o, v in _each(anew)]
    return frame(rows, ["measure", "placement", "members", "original", "change"])


def _each(numbers: Mapping[Any, float]) -> list[tuple[int, float]]:
    """(original, mean over methods) of what is finite."""
    pairs = zip(table_of(numbers).originals, _over(numbers), strict=True)
    return [(original, float(value)) for original, value in pairs if np.isfinite(value)]


def changes_summary(table: Table) -> Table:
    """Means over originals, with Student's interval, of a `changes_table`: estimate, low, high and n."""
    rows = []
    for names, part in table.groupby(["measure", "placement", "members"], sort=False):
        rows.append((*names, *student(part["change"]), len(part)))
    return frame(rows, ["measure", "placement", "members", "estimate", "low", "high", "n"])


def _named(found: Together, places: Sequence[Place]) -> dict[str, dict[Any, dict[str, Any]]]:
    """What is compared, in words -> (original, method) -> its scores by measure."""

    def part(one: Scores, name: str) -> dict[str, Any]:
        return {key.removeprefix(f"{name}/"): one[key] for key in one if key.startswith(f"{name}/")}

    ours: dict[str, dict[Any, dict[str, Any]]] = {
        words: {at: part(found.lines[at], name) for at in places} for name, words in NAMED.items()
    }
    ours[SEEDS] = {at: part(one, "all/0") for at, one in found.seeds.items()}
    ours[SEVERAL] = {(0, method): part(one, "all/0") for method, one in found.several.items()}
    for size in (2, FIVE):
        ours[f"{size} retrained"] = {
            (o, ""): part(one, "all/0") for (o, n), one in found.retrained.items() if n == size
        }
    return ours


def _text(value: float, digits: int) -> str:
    """A number with so many digits; a dash for none."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def scores_table(found: Together, places: Sequence[Place]) -> Table:
    """What ensembles are worth, a row each: means over originals (of their methods) of accuracy, NLL and calibration.

    Test accuracy has its interval over originals, ``n`` are the originals. Models of several originals have forget sets
    of their own, so that on D_f and D_r they are not compared.
    """
    rows = []
    for words, scores in _named(found, places).items():
        values = {
            measure: _over({at: one.get(measure, np.nan) for at, one in scores.items()})
            for measure in (*CHANGES, "accuracy/retain")
        }
        mean = {measure: float(np.nanmean(v)) if np.isfinite(v).any() else np.nan for measure, v in values.items()}
        of_test = student(100 * values["accuracy/test"])
        test = spread(of_test, 2) if np.isfinite(of_test).all() else _text(100 * mean["accuracy/test"], 2)
        nats, points = _text(mean["loss/test"], 4), _text(100 * mean["calibration/test"], 2)
        known, kept = (_text(100 * mean[f"accuracy/{split}"], 2) for split in ("forget", "retain"))
        rows.append((words, test, nats, points, known, kept, int(np.isfinite(values["accuracy/test"]).sum())))
    columns = ["ensemble", "test %", "test NLL", "calibration error %", "D_f %", "D_r %", "n"]
    return frame(rows, columns, "ensemble")


def outside_table(found: Together) -> Table:
    """Accuracy (%) and NLL on images from outside, of both ends, of points between them, and of retrained models."""
    rows = []
    every: dict[str, dict[str, dict[Any, Scores]]] = {}
    for (original, method, name), one in found.outside.items():
        for ours in ("end/1", "uniform/1", ENDS, "all/0"):
            part = {k: one[f"{ours}/{k}/test"] for k in ("accuracy", "loss")}
            words = "5 points" if ours == "all/0" else NAMED[ours]
            every.setdefault(words, {}).setdefault(name, {})[original, method] = part
    for (original, name), one in found.beyond.items():
        part = {k: one[f"all/0/{k}/test"] for k in ("accuracy", "loss")}
        every.setdefault(RETRAINED, {}).setdefault(name, {})[original, ""] = part
    for words, images in every.items():
        row: dict[str, Any] = {"ensemble": words}
        for name, scores in images.items():
            percent, nats = (
                float(np.mean(_over({at: one[k] for at, one in scores.items()}))) for k in ("accuracy", "loss")
            )
            row |= {f"{name} %": round(100 * percent, 2), f"{name} NLL": round(nats, 3)}
        rows.append(row)
    return frame(rows, None if rows else ["ensemble"], "ensemble")


def sharp_table(found: Together, places: Iterable[Place]) -> Table:
    """Per line and measure of `RISES`: original, method, the ends' mean and smaller rise, mean weights, `smoother`."""
    rows = []
    for at in places:
        if not (three := found.smoothness(at)):
            continue
        for what in RISES:
            start, end, mean = (float(np.mean(one[what])) for one in three)
            rows.append((*at, what, (start + end) / 2, min(start, end), mean, smoother(three, what)))
    return frame(rows, ["original", "method", "measure", "ends", "flatter end", "mean weights", "change"])


def sharp_summary(table: Table) -> Table:
    """Means over originals of a `sharp_table`, with the interval of the change, per measure and method and of all."""
    rows = []
    for what in dict.fromkeys(table["measure"]):
        part = where(table, measure=what)
        for method in (*dict.fromkeys(part["method"]), "all"):
            mine = part if method == "all" else where(part, method=method)
            means = mine.groupby("original")[["ends", "mean weights", "change"]].mean()
            rows.append((what, method, *means[["ends", "mean weights"]].mean(), *student(means["change"])))
    return frame(rows, ["measure", "method", "ends", "mean weights", "estimate", "low", "high"])


def several(table: Table) -> list[str]:
    """Methods of a `sharp_summary`, and ``all`` last where there are several."""
    methods = list(dict.fromkeys(table["method"]))
    return methods if len(methods) > 2 else methods[:1]


def sharp_shown(table: Table) -> Table:
    """A `sharp_summary` to be read."""
    table = table[table["method"].isin(several(table))]
    rows = [
        (RISES[one.measure], label(one.method), f"{one.ends:.3g}", f"{one.mean_weights:.3g}", spread(one[5:8], 2))
        for one in table.rename(columns={"mean weights": "mean_weights"}).itertuples()
    ]
    return frame(rows, ["rise", "method", "at the ends", "at the mean weights", "change, share"], ["rise", "method"])


# Figures


@drawing.style()
def changes_figure(table, summary, *, title: str = ""):
    """How ensembles differ from two members: a panel a measure, members across, a line a placement.

    ``table`` is a `changes_table`, whose originals are dots, ``summary`` its `changes_summary`.
    """
    check_columns(table, ("measure", "placement", "members", "original", "change"))
    sizes = sorted(set(table["members"]))
    fig, axes = panel_grid(2, 2, 5.2, sharex=True)
    for ax, (measure, heading) in zip(axes.flat, CHANGES.items(), strict=True):
        rows, unit = where(summary, measure=measure), 1.0 if measure.startswith("loss") else 100.0
        for k, (name, (colour, marker)) in enumerate(zip((*PLACEMENTS, SEEDS, RETRAINED), _LOOKS, strict=True)):
            mine, dots = where(rows, placement=name), where(table, measure=measure, placement=name)
            if not len(mine):
                continue
            x, shift = np.array([sizes.index(n) for n in mine["members"]]), 0.11 * (k - 2)
            spots = [sizes.index(n) + shift for n in dots["members"]]
            ax.plot(spots, unit * dots["change"], "o", color=colour, ms=2.2, alpha=0.3, mew=0)
            ends = unit * mine[["low", "high"]].to_numpy()
            for at, (low, high) in zip(x + shift, ends, strict=True):
                if np.isfinite((low, high)).all():
                    ax.plot([at, at], [low, high], color=colour, lw=1.2)
            ax.plot(
                x + shift, unit * mine["estimate"], marker, color=colour, ms=5, mec="white", mew=0.6, ls="-", lw=0.9
            )
        ax.axhline(0, color=BLACK, lw=0.8, ls="--")
        ax.set_title(heading)
        ax.set_xticks(range(len(sizes)), [str(n) for n in sizes])
    for ax in axes[1]:
        ax.set_xlabel("members")
    axes[0, 0].set_ylabel("minus two members")
    axes[1, 0].set_ylabel("minus two members")
    words = ("uniform", "inner half", "chosen on validation", SEEDS, RETRAINED)
    keys = [
        entry(m, c, w, ls="-" if k < len(PLACEMENTS) else "")
        for k, (w, (c, m)) in enumerate(zip(words, _LOOKS, strict=True))
    ]
    return finish(fig, axes[0, 0], title, keys)


_LOOKS = (*SERIES[:3], (SKY, "P"), (PURPLE, "*"))


@drawing.style()
def sharp_figure(table, summary, *, title: str = ""):
    """By how much the loss rises less, or more, around the mean weights than around the ends: a row a method.

    ``table`` is a `sharp_table`, whose originals are dots, ``summary`` its `sharp_summary`. 0: as around the ends.
    """
    check_columns(table, ("original", "method", "measure", "change"))
    methods = several(summary)
    fig, axes = panel_grid(1, len(RISES), 1.2 + 0.42 * len(methods), sharey=True)
    for ax, (what, heading) in zip(axes[0], RISES.items(), strict=True):
        for y, method in enumerate(methods):
            mine = where(table, measure=what) if method == "all" else where(table, measure=what, method=method)
            dots = mine.groupby("original")["change"].mean()
            colour, marker = (BLACK, "D") if method == "all" else SERIES[y]
            dots_row(ax, y, dots, where(summary, measure=what, method=method), colour, marker)
        ax.axvline(0, color=GREY, lw=0.8, ls="--")
        shade_rows(ax, len(methods))
        drawing.widen(ax, 0.2, "x")
        ax.set_title(heading)
        ax.set_xlabel("change, share")
    drawing.name_rows(axes[0, 0], methods)
    return finish(
        fig, axes[0, 0], title, [entry("o", GREY, "one original", ms=3), entry("D", BLACK, "mean, 95 % interval")]
    )


# Words


def ensembles_text(found: Together, places: Sequence[Place]) -> str:
    """What five points gain over the two ends and over the better one, beside retrained models, in sentences."""
    if not places:
        return "Verdicts read no line, so that there is no ensemble to speak of."
    ends, better = (_over({at: 100 * gained(found.lines[at], beside=b) for at in places}) for b in (ENDS, BETTER))
    table = changes_summary(changes_table(found, places))
    part = where(table, measure="accuracy/test", members=FIVE)
    rest = {one.placement: f"{100 * one.estimate:+.2f}" for one in part.itertuples()}
    forget = where(table, measure="accuracy/forget", placement="uniform", members=FIVE)["estimate"]
    return (
        f"The test accuracy of five uniform points of a line together differs from that of its two ends together by "
        f"{np.nanmean(ends):+.2f} points (mean of {len(places)} lines), and from that of the better end alone by "
        f"{np.nanmean(better):+.2f}. Beyond two of their own kind, five independent unlearning seeds gain "
        f"{rest.get(SEEDS, '-')} points and five retrained models {rest.get(RETRAINED, '-')}. On D_f the five points "
        f"differ from the two ends by {100 * float(forget.mean()):+.2f} points."
    )


def sharp_text(table: Table) -> str:
    """How the rise of the retain loss and the top eigenvalue change from ends to mean weights, in a sentence."""
    if not len(table):
        return "On no line that verdicts read was sharpness measured."
    found = where(sharp_summary(table), method="all").set_index("measure")
    told = {what: spread(found.loc[what, ["estimate", "low", "high"]], 2) for what in ("both/retain", "hessian")}
    part = where(table, measure="both/retain")
    flatter = int((part["mean weights"] < part["flatter end"]).sum())
    return (
        "From the ends to the mean weights the rise of the retain loss under filter-normalised steps changes by a "
        f"share of {told['both/retain']}, and the largest eigenvalue of the Hessian by {told['hessian']}. On {flatter} "
        f"of {len(part)} lines the mean is flatter than both ends."
    )
