"""02: two models of one method and two seeds, walked from one to the other (C1, C2, C21)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from ..engine.study import Study
from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import GREY, colour_of, entry, finish, kinds_of, label, marker_of, marks_of, panel_grid, where
from ..measures.intervals import LEVEL, Interval, percentile_interval, share_explained
from ..measures.originals import LEAST
from ..measures.variance import Design, variance_components
from .admission import admitted
from .claims import Verdict
from .judging import controls_hold, decisive, judge_share, judged, nodes_of, nothing_found, pair_of, share_over, sound
from .panels import excess_panels, kind_entries, method_panels, signed_log, tolerance_line
from .room import Room
from .tables import MEASURES, Table, answer_text, frame, grouped, paths_table, summary
from .walks import (
    AGAIN,
    COARSE,
    SECOND_DRAW,
    SECOND_PAIR,
    Route,
    Walk,
    alone,
    coarse,
    condition_routes,
    controls,
    references,
    ring_pairs,
)

SPLIT = ("gradient_difference", "npo", "random_labels")  # methods whose variance is split
DRAWN = SPLIT[:2]  # those of them, each of a few steps, that forget another draw too
ROOTS = {"estimate": "variance", "low": "low", "high": "high"}  # columns of a figure, from those of its table
OTHER_SEEDS = (21, 100)  # of the second pair on an original

# What is walked


def seeds(study: Study) -> list[Route]:
    """``random`` for every method: neighbouring seeds on one original and a pair on another, and the controls.

    Where originals have a forget set each, also what splits the variance, see `again`.
    """
    every = condition_routes(study, "random", alone(study.preset.methods), ring_pairs(study))
    return every + again(study) + controls(study)


def again(study: Study) -> list[Route]:
    """Line and curve of some methods once more on each of a few originals, where originals have a forget set each.

    Another pair of seeds on the same original and forget set; and the first pair where the same original forgets
    another draw, beside one retrained model.
    """
    methods = [name for name in SPLIT if name in study.preset.methods]
    routes, first, points = [], study.seeds[:2], coarse(study)
    for original in study.originals[:LEAST] if study.preset.originals else ():
        drawn = study.original(original, draw=study.redrawn(original))
        placed = ((SECOND_PAIR, OTHER_SEEDS, study.original(original), None), (SECOND_DRAW, first, drawn, first[:1]))
        for method, (form, seeds, origin, retrained) in product(methods, placed):
            if form == SECOND_DRAW and method not in DRAWN:
                continue
            start, end = (study.unlearned(method, seed, origin=origin) for seed in seeds)
            for kind in ("linear", "bezier"):
                labels: dict[str, Any] = {"original": original, "form": form, "points": points, "retrained": retrained}
                routes.append(Route(method, kind, *seeds, path=study.path(start, end, kind=kind), **labels))
    return routes


# The tests of the claims


def connected_share(walks: Sequence[Walk], eps: float = TOLERANCE, level: float = LEVEL) -> tuple[Interval, list[Walk]]:
    """Share of (method, seed pair) connected at eps by the better of its curves, with its interval over seeds and
    examples, and a walk of each pair."""
    pairs: dict[tuple, list[Walk]] = {}
    for w in walks:
        pairs.setdefault(pair_of(w), []).append(w)
    hits = [any(w.connected(eps) for w in group) for group in pairs.values()]
    replicates = [np.any([w.replicates("eps") <= eps for w in group], axis=0) for group in pairs.values()]
    first = [group[0] for group in pairs.values()]
    return share_over(first, hits, replicates, level), first


def c1(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C1: share of (method, seed pair) that some curve connects at MCU(eps)."""
    return judged("C1", *connected_share(sound(walks, condition="random", form=""), eps, level), controls_hold(walks))


def c2(walks: Sequence[Walk], level: float = LEVEL, draws: int = 2000, seed: int = 0) -> Verdict:
    """C2: share of variance of the linear forget deficit that the method explains, with a permutation test."""
    lines = [w for w in sound(walks, condition="random", kind="linear", form="") if np.isfinite(w.deficit)]
    if not lines:
        return nothing_found("C2")
    values = np.array([w.deficit for w in lines])
    methods = np.array([w.method for w in lines])
    share = share_explained(values, methods, nodes=nodes_of(lines))
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(methods == m) for m in dict.fromkeys(methods)]
    redrawn = []
    for _ in range(draws):
        rows = np.concatenate([rng.choice(g, len(g)) for g in groups])
        redrawn.append(share_explained(values[rows], methods[rows], n_perm=1).eta2)
    found = percentile_interval(share.eta2, np.array(redrawn), level)
    found = decisive(found, (0.0, 1.0))  # one method, one pair each, or no difference: any share may be true
    return judged("C2", found, lines, controls_hold(walks), share.p)


def c21(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C21: among paths without a retain barrier, the share that the forget deficit alone keeps from MCU(eps)."""
    flat = [w for w in sound(walks, condition="random", form="") if w.barrier <= eps]
    hits = [not w.connected(eps) for w in flat]
    replicates = [~(w.replicates("deficit") <= eps) for w in flat]
    return judge_share("C21", flat, hits, replicates, level, controls_hold(walks))


# Tables


def paths_summary(walks: Sequence[Walk], eps: float = TOLERANCE) -> Table:
    """Per method and curve: pairs connected at MCU(eps), how smooth, mean and largest barrier and deficit in G.

    ``by floor`` counts the pairs connected by that reading (`readings.READINGS`), where all walks have levels;
    variation (in G) and roughness (in G^2) are means of `Walk.variation_of` and `Walk.roughness_of` the forget loss.
    """
    table, held = paths_table(walks, eps), all(w.profile.levels for w in walks)
    table["variation"] = [w.variation_of("forget") for w in walks]
    table["roughness"] = [w.roughness_of("forget") for w in walks]
    table["floor"] = [held and w.connected(eps, "floor") for w in walks]
    rows = []
    for (method, curve), part in table.groupby(["method", "curve"], sort=False):
        row = {"method": method, "curve": curve, "connected": f"{int(part['connected'].sum())} of {len(part)}"}
        row |= {"by floor": f"{int(part['floor'].sum())} of {len(part)}"} if held else {}
        row |= {name: part[name].mean() for name in ("variation", "roughness")}
        for name in ("barrier", "deficit"):
            row |= {f"{name} mean": part[name].mean(), f"{name} max": part[name].max()}
        row |= {"distance": part["distance"].mean(), "cosine": part["cosine"].mean()}
        rows.append({**row, "collapsed": int(part["collapsed"].sum())})
    return frame(rows, index=["method", "curve"]).round(3)


def paths_means(walks: Sequence[Walk]) -> Table:
    """Mean and interval of barrier and deficit per method (or control) and curve, see `tables.summary`."""
    return summary(walks, "name", "kind", measures=MEASURES[:2])


def sweep_table(walks: Sequence[Walk], eps: Sequence[float]) -> Table:
    """Share of connected pairs per method, curve and tolerance eps (units of G), with its interval over seeds."""
    rows = []
    for (method, curve), part in grouped(walks, "name", "kind").items():
        replicates = np.array([w.replicates("eps") for w in part])
        for e in eps:
            found = share_over(part, [w.connected(e) for w in part], replicates <= e)
            rows.append((method, curve, e, *found))
    return frame(rows, ["method", "curve", "eps", "fraction", "low", "high"])


def seeds_answer(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """What was expected of two seeds, what was found by the chord and by the retrained level, and what follows.

    The walks have levels, see `walks.levelled`; a pair counts as joined if its line or its curve is.
    """
    ours = [w for w in walks if not w.control]
    flat, dips = [w for w in ours if w.barrier <= eps], [w for w in ours if w.deficit > eps]
    low = [w for w in dips if w.deficit_by("floor") > eps]
    sure = [w for w in ours if w.method != "gradient_ascent"]
    (joined, pairs), (kept, others) = _joined(ours, eps), _joined(sure, eps)
    rough = max((w for w in ours if w.connected(eps)), key=lambda w: w.roughness, default=None)
    named = "" if rough is None else f"{label(rough.kind)} of {label(rough.method)}"
    most = f" The roughest connected path, {named}, has a roughness of {rough.roughness:.3g} G²." if rough else ""
    so = (
        "A dip says that models on the way fit the forget set better than their two ends. On "
        f"{len(dips) - len(low)} of {len(dips)} paths with one they fit it no better, within {eps:g} G, than models "
        "that never saw it: there the ends, on average, had forgotten more than retraining does."
    )
    return answer_text(
        "If two runs of a method end in one basin, both losses follow their chords on the straight line.",
        f"{len(flat)} of {len(ours)} paths have no retain barrier above {eps:g} G. On {len(dips)} of {len(ours)} the "
        f"forget loss dips by more than {eps:g} G below its chord, and on {len(low)} of these {len(dips)} as far below "
        f"the level of the retrained models too. The better of line and curve joins {joined} of {pairs} pairs by the "
        f"chord, without gradient ascent {kept} of {others}.{most}",
        so if dips else f"On no path does the forget loss dip by more than {eps:g} G below its chord.",
    )


def _joined(walks: Sequence[Walk], eps: float) -> tuple[int, int]:
    """Pairs of a method that some curve connects, and pairs."""
    pairs: dict[tuple, bool] = {}
    for w in walks:
        pairs[pair_of(w)] = pairs.get(pair_of(w), False) or w.connected(eps)
    return sum(pairs.values()), len(pairs)


STAGES = ("original", "forget set", "unlearning seeds", "fit")  # of which each is drawn anew within the one before
SPLIT_UP = (("deficit", "linear"), ("deficit", "bezier"), ("eps", "linear"), ("eps", "bezier"))


def designs(walks: Sequence[Walk], measure: str, kind: str) -> dict[str, Design]:
    """For each method that walked a second pair, a measure (in G) of its admitted walks and the labels of `STAGES`.

    ``walks`` are those of 02 and, for the fits of another seed, 08; all are read at `COARSE` points. A line has no fit,
    and without a second draw an original and its forget set are one stage.
    """
    plain: dict[str, Any] = {"condition": "random", "kind": kind, "size": 0.0, "full": False}
    plain |= {"recipe": "", "objective": "", "batchnorm": ""}
    ours = [w for w in admitted(walks, **plain) if w.form in ("", *AGAIN)]
    found: dict[str, Design] = {}
    for (method,), part in grouped(ours, "method").items():
        if SECOND_PAIR not in {w.form for w in part}:
            continue
        rows = [(w.original, w.form == SECOND_DRAW, (w.start, w.end), w.refit) for w in part]
        stages = dict(zip(STAGES, map(list, zip(*rows, strict=True)), strict=True))
        if kind == "linear":
            del stages["fit"]
        if not any(stages["forget set"]):
            del stages["forget set"]
            stages = {f"{STAGES[0]} and {STAGES[1]}" if k == STAGES[0] else k: v for k, v in stages.items()}
        found[method] = [getattr(w.at(COARSE), measure) for w in part], stages
    return found


def variance_table(walks: Sequence[Walk], level: float = LEVEL) -> Table:
    """What varies how much: components of the variance of deficit and smallest eps, line and curve, per method.

    A row per component of `designs`, by `variance.variance_components`: its variance in G^2 as estimated (which may be
    negative) with its interval over originals, its standard deviation in G and its share of the sum, both of the
    variance cut off at 0, and degrees of freedom. The method ``mean`` is the mean of all with every stage.
    """
    rows = []
    for measure, kind in SPLIT_UP:
        found: dict[str, list[Design]] = {m: [one] for m, one in designs(walks, measure, kind).items()}
        whole = [one for parts in found.values() for one in parts if STAGES[1] in one[1]]
        for method, parts in {**found, **({"mean": whole} if len(whole) > 1 else {})}.items():
            components = variance_components(parts, level)
            total = sum(one.variance for one in components.values())
            for name, one in components.items():
                share = one.variance / total if total > 0 else float("nan")
                spread = one.variance**0.5, share, one.freedom
                rows.append((measure, kind, method, name, *one.interval, *spread))
    return frame(rows, [*"measure curve method component variance low high sd share".split(), "freedom"])


# Figures


@drawing.style()
def variance_figure(table, *, title: str = ""):
    """Standard deviations by component: methods as dots, their mean with its interval; a panel per measure and curve.

    ``table`` is a `variance_table`. What is negative is drawn at 0, and stages that a method lacks are left out.
    """
    drawing.check_columns(table, ("measure", "curve", "method", "component", "variance", "low", "high"))
    stages = [name for name in STAGES if name in set(table["component"])]
    fig, axes = panel_grid(1, len(SPLIT_UP), 1.2 + 0.4 * len(stages), sharey=True, sharex=True)
    roots = table.assign(**{to: table[of].clip(lower=0) ** 0.5 for to, of in ROOTS.items()})
    for ax, (measure, kind) in zip(axes[0], SPLIT_UP, strict=True):
        for y, stage in enumerate(stages):
            here = where(roots, measure=measure, curve=kind, component=stage)
            each = here[here["method"] != "mean"]["estimate"]
            drawing.interval_row(ax, y, each, where(here, method="mean"), colour_of(kind), marker_of(kind))
        ax.set_title(f"{label(kind)}: {measure}")
        ax.set_xlabel("standard deviation (G)")
        ax.grid(axis="y", visible=False)
    axes[0, 0].set_xlim(left=0)
    drawing.name_rows(axes[0, 0], stages)
    kinds = list(dict.fromkeys(kind for _, kind in SPLIT_UP))
    keys = [*kind_entries(kinds, ": mean of methods, 95 % interval"), entry("o", GREY, "one method", ms=3)]
    return finish(fig, axes[0, 0], title, keys)


@drawing.style()
def seeds_figure(table, levels=None, *, eps: float = TOLERANCE, title: str = ""):
    """Excess over the chord along t, every pair thin and the mean thick, two panels per method, all on one scale.

    ``table`` is a `tables.excess_table`, ``levels`` a `tables.levels_table`: where the retrained models are beside the
    chords. The scale is linear to ``eps``, then logarithmic; what MCU(eps) forbids is hatched.
    """
    fig, panels = excess_panels(table, levels, eps)
    for ax, method, split in panels:
        rows = where(table, method=method)
        for kind in kinds_of(rows):
            _excess_lines(ax, where(rows, curve=kind), f"{split}_excess", kind)
    return finish(fig, fig.axes[0], title)


def _excess_lines(ax, rows, column: str, kind: str) -> None:
    for _, one in rows.groupby("pair", sort=False):
        ax.plot(one["t"], one[column], color=colour_of(kind), lw=0.7, alpha=0.45)
    mean, text = rows.groupby("t")[column].mean(), f"{label(kind)}: mean, pairs thin"
    ax.plot(mean.index, mean, color=colour_of(kind), lw=2.2, label=text, zorder=3, **marks_of(kind, len(mean), 4))


@drawing.style()
def barrier_figure(table, summary, *, threshold: float | None = None, title: str = ""):
    """Retain barrier and forget deficit: pairs, mean and interval in a row per method, controls last.

    ``table`` is a `tables.paths_table`, whose column control may be missing, and ``summary`` are its `paths_means`; an
    interval without end, as that of one pair, is not drawn. The axis is linear up to ``threshold`` (0.1 if None).
    """
    drawing.check_columns(table, ("method", "curve", "barrier", "deficit"))
    drawing.check_columns(summary, ("method", "curve", "measure", "estimate", "low", "high"))
    controls = set(table["method"][table["control"] != ""]) if "control" in table else set()
    methods = sorted(dict.fromkeys(table["method"]), key=lambda m: m in controls)
    kinds, linear = kinds_of(table), threshold or 0.1
    headings = {
        "barrier": "Retain barrier: rise of the retain loss",
        "deficit": "Forget deficit: dip of the forget loss",
    }
    fig, axes = panel_grid(1, 2, 1.3 + 0.4 * len(methods), sharey=True)
    for ax, (measure, heading) in zip(axes[0], headings.items(), strict=True):
        for y, method in enumerate(methods):
            present = [kind for kind in kinds if len(where(table, method=method, curve=kind))]
            for j, kind in enumerate(present):
                height = y - 0.05 + 0.4 * (j - (len(present) - 1) / 2)
                values = where(table, method=method, curve=kind)[measure]
                found = where(summary, method=method, curve=kind, measure=measure)
                drawing.interval_row(ax, height, values, found, colour_of(kind), marker_of(kind))
        ax.axhline(len(methods) - len(controls) - 0.5, color=GREY, lw=0.8 if controls else 0)
        if threshold is not None:
            tolerance_line(ax, threshold)
        values = np.r_[table[measure], where(summary, measure=measure)["high"]]
        signed_log(ax, values, linear, share=1.5, fine=True)
        ax.set_title(heading)
        ax.set_xlabel(f"units of G: linear to {linear:g}, then log")
        ax.grid(axis="y", visible=False)
    drawing.name_rows(axes[0, 0], methods)
    keys = [*kind_entries(kinds, ": mean, 95 % interval"), entry("o", GREY, "one pair", ms=3)]
    return finish(fig, axes[0, 0], title, keys)


@drawing.style()
def mcu_sweep_figure(table, *, threshold: float | None = None, title: str = ""):
    """Share of connected pairs against the tolerance, with its interval, a panel per method.

    ``table`` is a `sweep_table`; ``threshold`` is a tolerance to mark.
    """
    drawing.check_columns(table, ("method", "curve", "eps", "fraction", "low", "high"))
    methods = list(dict.fromkeys(table["method"]))
    fig, axes, panels = method_panels(methods, 1.0, 1.5, x="tolerance eps (G)", y="connected pairs (%)")
    for ax, method in panels:
        for kind in kinds_of(where(table, method=method)):
            one, colour = where(table, method=method, curve=kind).sort_values("eps"), colour_of(kind)
            eps, text, marks = one["eps"], f"{label(kind)}, 95 % interval", marks_of(kind, len(one), 5)
            ax.fill_between(eps, one["low"], one["high"], step="post", color=colour, alpha=0.14, lw=0)
            ax.step(eps, one["fraction"], where="post", color=colour, label=text, zorder=3, **marks)
        if threshold is not None:
            tolerance_line(ax, threshold)
        ax.set_ylim(-0.04, 1.04)
        ax.set_yticks([0, 0.5, 1], ["0", "50", "100"])
    return finish(fig, axes[0, 0], title)


ROOMS = (Room("02_seeds", seeds, references, {"C1": c1, "C2": c2, "C21": c21}),)
