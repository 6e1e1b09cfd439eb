"""02: two models of one method and two seeds, walked from one to the other (C1, C2, C21 of `declared`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ..engine.specs import Spec
from ..engine.study import Study
from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import GREY, colour_of, entry, finish, kinds_of, label, marker_of, marks_of, panel_grid, where
from ..measures.intervals import LEVEL
from ..measures.originals import LEAST
from ..measures.variance import Design, variance_components
from .admission import admitted, reasons
from .judging import pair_of, sound
from .panels import (
    FAILING,
    excess_panels,
    failing_entries,
    kind_entries,
    mark_failing,
    method_panels,
    signed_log,
    tolerance_line,
)
from .room import Room
from .tables import (
    MEASURES,
    Table,
    again_shares,
    answer_text,
    frame,
    grouped,
    paths_table,
    roughness_text,
    summary_by_original,
)
from .trials import over_originals
from .verdicts import READ
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
    independent_pairs,
    profiles,
    references,
    ring_pairs,
)

SPLIT = ("gradient_difference", "npo", "random_labels")  # methods whose variance is split
DRAWN = SPLIT[:2]  # those of them, each of a few steps, that forget another draw too
ROOTS = {"estimate": "variance", "low": "low", "high": "high"}  # columns of a figure, from those of its table
OTHER_SEEDS = (21, 100)  # of the second pair on an original
READ_AS = dict(zip(READ, ("by the chord", "by the floor", "beyond the worse end", "two-sided"), strict=True))

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
    another draw, beside one retrained model; a scenario has no other draw.
    """
    methods = [name for name in SPLIT if name in study.preset.methods]
    routes, first, points = [], study.seeds[:2], coarse(study)
    for original in study.originals[:LEAST] if study.preset.originals else ():
        drawn = study.original(original, draw=study.redrawn(original))
        placed = ((SECOND_PAIR, OTHER_SEEDS, study.original(original), None), (SECOND_DRAW, first, drawn, first[:1]))
        for method, (form, seeds, origin, retrained) in product(methods, placed):
            if form == SECOND_DRAW and (method not in DRAWN or study.data.scenario is not None):
                continue
            start, end = (study.unlearned(method, seed, origin=origin) for seed in seeds)
            for kind in ("linear", "bezier"):
                labels: dict[str, Any] = {"original": original, "form": form, "points": points, "retrained": retrained}
                routes.append(Route(method, kind, *seeds, path=study.path(start, end, kind=kind), **labels))
    return routes


def refits(study: Study) -> list[Route]:
    """Curves of the methods whose variance is split, fitted with another seed as 08 does: what a fit's chance adds."""
    if not study.preset.originals:
        return []
    contexts = alone([name for name in SPLIT if name in study.preset.fit])
    routes = condition_routes(study, "random", contexts, independent_pairs(study), ("bezier",), points=coarse(study))
    again = [study.path(route.path.start, route.path.end, "bezier", seed=1) for route in routes]
    return [replace(route, path=path, refit=True) for route, path in zip(routes, again, strict=True)]


# Tables


def declared_walks(walks: Sequence[Walk]) -> list[Walk]:
    """The walks of methods that tables of the design are about: neither controls nor what stands `Labels.aside`."""
    return [w for w in walks if not (w.control or w.aside)]


def paths_summary(walks: Sequence[Walk], eps: float = TOLERANCE) -> Table:
    """Per method and curve: pairs connected at MCU(eps), how smooth, mean and largest barrier and deficit in G.

    ``pass`` counts the walks that the endpoint gate admits, where profiles hold what it asks for; variation (in G) and
    roughness (in G^2) are means of `Walk.variation_of` and `Walk.roughness_of` the forget loss.
    """
    table, held = paths_table(walks, eps), all(w.profile.levels and w.profile.original for w in walks)
    table["variation"] = [w.variation_of("forget") for w in walks]
    table["roughness"] = [w.roughness_of("forget") for w in walks]
    table["passed"] = [held and bool(w.control or not reasons(w)) for w in walks]
    rows = []
    for (method, curve), part in table.groupby(["method", "curve"], sort=False):
        row = {"method": method, "curve": curve}
        if held:
            row["pass"] = "" if part["control"].any() else f"{int(part['passed'].sum())} of {len(part)}"
        row["connected"] = f"{int(part['connected'].sum())} of {len(part)}"
        row |= {name: part[name].mean() for name in ("roughness", "variation")}
        for name in ("barrier", "deficit"):
            row |= {f"{name} mean": part[name].mean(), f"{name} max": part[name].max()}
        rows.append(row | {name: part[name].mean() for name in ("distance", "cosine")})
    return frame(rows, index=["method", "curve"]).round(3)


def readings_table(walks: Sequence[Walk], *names: str, eps: float = TOLERANCE, points: int = 0) -> Table:
    """How many of the walks that verdicts read satisfy MCU(eps) by each reading, and how rough they are.

    A row per combination of the labels ``names`` and one over all; ``roughness`` is the median of the forget loss, and
    ``read`` counts the walks that verdicts read, of all. ``points`` are those that walks are read at, all if 0.
    """
    ours = sound(declared_walks(walks))
    groups = {**grouped(ours, *names), ("all", *[""] * (len(names) - 1)): ours}
    rows = []
    for labels, part in groups.items():
        kept = [w.at(points) if points else w for w in part if not reasons(w)]
        counts = [f"{sum(w.connected(eps, one) for w in kept)} of {len(kept)}" if kept else "-" for one in READ]
        rows.append((*labels, *counts, roughness_text(kept), f"{len(kept)} of {len(part)}"))
    index = [{"kind": "curve"}.get(name, name) for name in names]
    readings = [name.replace("_", " ") for name in READ]
    return frame(rows, [*index, *readings, "roughness", "read"], index)


def failing(walks: Sequence[Walk]) -> list[str]:
    """The methods none of whose walks a verdict may read."""
    groups = grouped(sound(declared_walks(walks)), "method")
    return [method for (method,), part in groups.items() if all(reasons(w) for w in part)]


def paths_means(walks: Sequence[Walk]) -> Table:
    """Mean over originals and interval of barrier and deficit per method (or control) and curve."""
    return summary_by_original(walks, "name", "kind", measures=MEASURES[:2])


def sweep_table(walks: Sequence[Walk], eps: Sequence[float]) -> Table:
    """Share of connected pairs per method, curve and tolerance eps (units of G), with its interval over originals."""
    rows = []
    for (method, curve), part in grouped(walks, "name", "kind").items():
        for e in eps:
            rows.append((method, curve, e, *over_originals(part, partial(Walk.connected, eps=e), shares=True)))
    return frame(rows, ["method", "curve", "eps", "fraction", "low", "high"])


def seeds_answer(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """What was expected of two seeds, what was found by every reading, and what follows.

    Of the walks that verdicts read; a pair counts as joined if its line or its curve is.
    """
    every = sound(declared_walks(walks))
    ours = [w for w in every if not reasons(w)]
    expected = "If two runs of a method end in one basin, both losses follow their chords on the straight line."
    if not ours:
        return answer_text(expected, f"Verdicts read none of {len(every)} paths.", "Nothing follows.")
    flat, dips = [w for w in ours if w.barrier <= eps], [w for w in ours if w.deficit > eps]
    low = [w for w in dips if w.deficit_by("floor") > eps]
    counts = {reading: _joined(ours, eps, reading) for reading in READ}
    joined = [w for w in ours if w.connected(eps)]
    smooth = ""
    if joined:
        rough = max(joined, key=lambda w: w.roughness)
        smooth = (
            f" Connected is not smooth: of {len(joined)} connected paths the median has a roughness of "
            f"{np.median([w.roughness for w in joined]):.3g} G², the roughest ({label(rough.kind)}, "
            f"{label(rough.method)}) {rough.roughness:.3g} G²."
        )
    so = (
        "A dip says that models on the way fit the forget set better than their two ends. On "
        f"{len(dips) - len(low)} of {len(dips)} paths with one they fit it no better, within {eps:g} G, than models "
        "that never saw it: there the ends, on average, had forgotten more than retraining does."
    )
    return answer_text(
        expected,
        f"Verdicts read {len(ours)} of {len(every)} paths. {len(flat)} of these {len(ours)} have no retain barrier "
        f"above {eps:g} G. On {len(dips)} the forget loss dips by more than {eps:g} G below its chord, on "
        f"{len(low)} of these {len(dips)} that far below the level of the retrained models too. The better of line and "
        f"curve joins {_of(counts['chord'])} pairs by the chord, {_of(counts['floor'])} if a loss may also go where "
        f"retrained models are (`floor`), {_of(counts['worse_end'])} if only what lies beyond the worse end counts, "
        f"and {_of(counts['two_sided'])} if the forget loss may leave its chord to neither side.{smooth}",
        so if dips else f"On no path does the forget loss dip by more than {eps:g} G below its chord.",
    )


def _of(counts: tuple[int, int]) -> str:
    return f"{counts[0]} of {counts[1]}"


def _joined(walks: Sequence[Walk], eps: float, reading: str) -> tuple[int, int]:
    """Pairs of a method that some curve connects, and pairs."""
    pairs: dict[tuple, bool] = {}
    for w in walks:
        pairs[pair_of(w)] = pairs.get(pair_of(w), False) or w.connected(eps, reading)
    return sum(pairs.values()), len(pairs)


def counted_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """What the shares of C1, C2 and C21 are shares of, in counts of pairs and paths, as a Markdown list."""
    ours = [w for w in sound(declared_walks(walks)) if not reasons(w)]
    if not ours:
        return "No path is read."
    flat = [w for w in ours if w.barrier <= eps]
    dips = [w for w in flat if w.deficit > eps]
    low = sum(w.deficit_by("floor") > eps for w in dips)
    lines = grouped([w for w in ours if w.kind == "linear"], "method")
    means = {
        name: {label(method): float(np.mean([of(w) for w in part])) for (method,), part in lines.items()}
        for name, of in (("deficit", lambda w: w.deficit), ("roughness", lambda w: w.roughness))
    }
    spans = [
        f"mean {name} goes from {min(found.values()):.2g} ({min(found, key=found.__getitem__)}) to "
        f"{max(found.values()):.2g} {unit} ({max(found, key=found.__getitem__)})"
        for (name, found), unit in zip(means.items(), ("G", "G²"), strict=True)
        if found
    ]
    return "\n".join(
        (
            f"- C1: the better of line and curve joins **{_of(_joined(ours, eps, 'chord'))} pairs** of two seeds.",
            f"- C2: between methods the lines' {' and their '.join(spans)}.",
            f"- C21: **{len(dips)} of {len(flat)} paths** without a retain barrier have a forget deficit above "
            f"{eps:g} G, {low} of them as far below the retrained level too.",
        )
    )


def deepest(routes: Sequence[Route], walks: Sequence[Walk]) -> Route:
    """The route with the largest forget deficit of those that verdicts read, of all methods' where they read none."""
    ours = [(route, w) for route, w in zip(routes, walks, strict=True) if not (w.control or w.aside)]
    kept = [one for one in ours if not reasons(one[1])]
    return max(kept or ours, key=lambda one: one[1].deficit)[0]


def again_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """Image by image, what comes back on the paths that dip, beside images that no model was trained on.

    Of the images that both ends and every retrained model get wrong, how many are right at the t where most are, over
    all read walks with a deficit above ``eps`` whose profiles keep it (`known_again.shares`).
    """
    dips = [w for w in sound(declared_walks(walks)) if w.deficit > eps and not reasons(w)]
    found = again_shares(w.profile for w in dips)
    if len(found) < 2:
        return f"No path that is read both dips by more than {eps:g} G and keeps its images."
    return (
        f"Image by image, on the paths that dip: of the forget images that both ends and all retrained models get "
        f"wrong, {found['forget']:.1f} % are right at the t where most of them are; of such test images, which no "
        f"model was trained on, {found['test']:.1f} %. *Known again* are at most as many as the first exceeds the "
        "second by."
    )


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


def variance_shown(table: Table) -> Table:
    """A `variance_table` to be read: per measure, curve and stage the share of the variance, and its root in G.

    A column per method, their mean last; a stage that a method's walks do not tell apart is left empty.
    """
    cells: dict[tuple, dict[str, str]] = {}
    for one in table.itertuples():
        place = one.measure, one.curve, one.component
        text = f"{100 * one.share:.0f} % ({one.sd:.3f} G)" if np.isfinite(one.share) else "-"
        cells.setdefault(place, {})[one.method] = text
    index, order = ["measure", "curve", "stage"], [STAGES[0], f"{STAGES[0]} and {STAGES[1]}", *STAGES[1:]]
    places = sorted(cells, key=lambda place: (SPLIT_UP.index(place[:2]), order.index(place[2])))
    rows = [{**dict(zip(index, place, strict=True)), **cells[place]} for place in places]
    shown = frame(rows, None if rows else index, index).fillna("")
    return shown[[*(name for name in shown if name != "mean"), *(name for name in shown if name == "mean")]]


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
def seeds_figure(table, levels=None, *, eps: float = TOLERANCE, failing: Collection[str] = (), title: str = ""):
    """Excess over the chord along t, every pair thin and the mean thick, two panels per method, all on one scale.

    ``table`` is a `tables.excess_table`, ``levels`` a `tables.levels_table`: where the retrained models are beside the
    chords. The scale is linear to ``eps``, then logarithmic; what MCU(eps) forbids is hatched; methods that are
    ``failing`` the endpoint gate are marked.
    """
    fig, panels = excess_panels(table, levels, eps, failing)
    for ax, method, split in panels:
        rows = where(table, method=method)
        for kind in kinds_of(rows):
            _excess_lines(ax, where(rows, curve=kind), f"{split}_excess", kind)
    return finish(fig, fig.axes[0], title, failing_entries(failing))


def _excess_lines(ax, rows, column: str, kind: str) -> None:
    for _, one in rows.groupby("pair", sort=False):
        ax.plot(one["t"], one[column], color=colour_of(kind), lw=0.7, alpha=0.45)
    mean, text = rows.groupby("t")[column].mean(), f"{label(kind)}: mean, pairs thin"
    ax.plot(mean.index, mean, color=colour_of(kind), lw=2.2, label=text, zorder=3, **marks_of(kind, len(mean), 4))


@drawing.style()
def barrier_figure(table, summary, *, threshold: float | None = None, failing: Collection[str] = (), title: str = ""):
    """Retain barrier and forget deficit: pairs, mean and interval in a row per method, controls last.

    ``table`` is a `tables.paths_table`, whose column control may be missing, and ``summary`` are its `paths_means`; an
    interval without end, as that of one pair, is not drawn. The axis is linear up to ``threshold`` (0.1 if None);
    methods that are ``failing`` the endpoint gate are marked.
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
    mark_failing(axes[0, 0], methods, failing)
    keys = [*kind_entries(kinds, ": mean, 95 % interval"), entry("o", GREY, "one pair", ms=3)]
    return finish(fig, axes[0, 0], title, [*keys, *failing_entries(failing)])


@drawing.style()
def mcu_sweep_figure(table, *, threshold: float | None = None, failing: Collection[str] = (), title: str = ""):
    """Share of connected pairs against the tolerance, with its interval, a panel per method.

    ``table`` is a `sweep_table`; ``threshold`` is a tolerance to mark. Methods that are ``failing`` the endpoint gate
    are marked.
    """
    drawing.check_columns(table, ("method", "curve", "eps", "fraction", "low", "high"))
    methods = list(dict.fromkeys(table["method"]))
    fig, axes, panels = method_panels(methods, 1.0, 1.5, x="tolerance ε (G)", y="connected pairs (%)")
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
        if method in failing:
            ax.set_title(f"{label(method)} {FAILING}")
    return finish(fig, axes[0, 0], title, failing_entries(failing))


def _beside(study: Study) -> list[Spec]:
    return [*references(study), *profiles(study, refits(study))]


ROOMS = (Room("02_seeds", seeds, _beside),)
