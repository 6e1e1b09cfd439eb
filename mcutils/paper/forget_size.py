"""06: how connectivity changes with the size of the forget set (C4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine.study import Study
from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, BLUE, GREEN, GREY, entry, finish, label, where
from ..measures.intervals import Interval
from ..measures.originals import LEAST, student
from . import tables
from .admission import gates, shown
from .claims import spread
from .declared import change_over, forgotten
from .judging import sound
from .room import Room
from .tables import Table, frame, grouped, joined_text, roughness_text
from .trials import ERROR, row_means, table_of
from .walks import Route, Walk, alone, coarse, condition_routes, controls, independent_pairs, references

SIZES = 5  # sizes of the forget set, equally far apart, the largest being the preset's
UNLIKE = 1.5  # times as far at one size as at another: ends that the tuning did not make alike
EDGE = 0.1  # change of the deficit, in units of what was forgotten, that C4 asks for


# What is walked


def sizes_of(study: Study) -> list[float]:
    """`SIZES` equal steps up to the preset's share to forget."""
    return [round(k * study.preset.forget / SIZES, 6) for k in range(1, SIZES + 1)]


def methods_of(study: Study) -> tuple[str, ...]:
    """The methods that are run at several sizes: three of the preset's."""
    return study.preset.methods[-4:-1] or study.preset.methods


def sizes(study: Study, shares: Sequence[float] = ()) -> list[Route]:
    """``random`` at several sizes of the forget set, for three methods, coarse.

    ``shares`` of the pool; by default `SIZES` equal steps up to the preset's. Where originals have a forget set each,
    lines alone on the first `LEAST` of them, with one retrained model at the smaller sizes.
    """
    study.random_draw("06, on sizes of the forget set,")
    routes, each = [], bool(study.preset.originals)
    pairs, kinds = independent_pairs(study)[: LEAST if each else None], ("linear",) if each else ("linear", "bezier")
    for forget in shares or sizes_of(study):
        smaller = replace(study, preset=replace(study.preset, forget=forget))
        contexts = alone(methods_of(study))
        made = condition_routes(smaller, "random", contexts, pairs, kinds, points=coarse(study))
        seeds = study.seeds[: 1 if each and forget < study.preset.forget else 2]
        routes += [replace(r, size=forget, retrained=seeds) for r in made]
    return routes + controls(study)


# Units


def _in_gap(walk: Walk) -> float:
    return walk.deficit


def _in_forgotten(walk: Walk) -> float:
    """C4's number: the deficit in units of what the pair forgot, nan where it forgot nothing."""
    gained = forgotten(walk)
    return walk.deficit * walk.profile.gap / gained if gained > 0 else np.nan


def _in_accuracy(walk: Walk) -> float:
    return walk.deficit_by("chord", accuracy=True)


# A deficit by three units, by their names in tables; the second is C4's.
UNITS: dict[str, Callable[[Walk], float]] = {
    "G": _in_gap,
    "what was forgotten": _in_forgotten,
    "accuracy": _in_accuracy,
}


def roughness_in(walk: Walk) -> float:
    """Roughness of the forget loss (`walks.Walk.roughness`) in squares of what the pair forgot."""
    gained = forgotten(walk)
    return walk.roughness * (walk.profile.gap / gained) ** 2 if gained > 0 else np.nan


def change_in(walks: Sequence[Walk], unit: str) -> Interval:
    """C4's statistic with the deficit in one of `UNITS`: how much a straight fit changes from the smallest size on.

    Mean over originals with Student's interval, of the mean over methods that have both of these sizes there.
    """
    series: dict[tuple[int, str], dict[float, float]] = {}
    for w in lines_read(walks):
        series.setdefault((w.original, w.method), {})[w.size] = UNITS[unit](w)
    sizes = sorted({size for row in series.values() for size in row})
    whole = {k: row for k, row in series.items() if len(sizes) > 1 and {sizes[0], sizes[-1]} <= set(row)}
    cells = table_of({place: float(change_over(list(row), list(row.values()))) for place, row in whole.items()})
    least = 0.0 if unit == "accuracy" else cells.least
    return student(row_means(cells.values), least=least) if whole else Interval(np.nan, np.nan, np.nan)


# Tables


def sized(walks: Sequence[Walk]) -> list[Walk]:
    """The sound walks of an experiment over sizes."""
    return [w for w in sound(walks) if w.size]


def lines_read(walks: Sequence[Walk]) -> list[Walk]:
    """The straight ones of `sized` walks that verdicts may read, or all of them where there are none."""
    return shown([w for w in sized(walks) if w.kind == "linear"])[0]


def deepest(routes: Sequence[Route], walks: Sequence[Walk]) -> Route:
    """The route whose walk has the largest forget deficit, of the lines that verdicts read (`lines_read`)."""
    found = {id(w): route for route, w in zip(routes, walks, strict=True)}
    return found[id(max(lines_read(walks), key=lambda w: w.deficit))]


def sizes_text(walks: Sequence[Walk]) -> str:
    """How much was walked, in words: sizes, methods, originals and points."""
    ours = sized(walks)
    methods = list(dict.fromkeys(w.method for w in ours))
    points = " or ".join(map(str, sorted({len(w.profile.t) for w in ours})))
    return (
        f"{len(ours)} walks: {len({w.size for w in ours})} sizes, {len(methods)} methods "
        f"({', '.join(map(label, methods))}), {len({w.original for w in ours})} originals, {points} points."
    )


def _by_size(walks: Sequence[Walk]) -> dict[tuple[str, float], list[Walk]]:
    """Walks by method, in order of appearance, and size, from the smallest on."""
    groups = grouped(walks, "method", "size")
    order = list(dict.fromkeys(method for method, _ in groups))
    return {key: groups[key] for key in sorted(groups, key=lambda key: (order.index(key[0]), key[1]))}


def ends_table(walks: Sequence[Walk], pool: int) -> Table:
    """Per method and size: images, G, what was forgotten, also as a multiple of G, and how the ends did.

    Means over all straight lines; ``pool`` is the number of training images that sizes are shares of. ``pass`` counts
    the ends that the endpoint gate lets through, where walks have the levels that it asks for.
    """
    rows = []
    for (method, size), part in _by_size([w for w in sized(walks) if w.kind == "linear"]).items():
        gap, gained = (float(np.mean(v)) for v in ([w.profile.gap for w in part], [forgotten(w) for w in part]))
        row = {"method": label(method), "size": f"{100 * size:g} %", "images": round(size * pool)}
        row |= {"G, nats": round(gap, 3), "forgotten, nats": round(gained, 3), "forgotten / G": round(gained / gap, 2)}
        for split in ("forget", "retain"):
            ends = [w.profile.connectivity.curves[f"accuracy_{split}"][[0, -1]] for w in part]
            row[f"{split} %"] = round(100 * float(np.mean(ends)), 1)
        known = [one for w in part if w.profile.levels for one in gates(w)]
        rows.append(row | {"pass": f"{sum(not one.reasons for one in known)} of {len(known)}"})
    columns = [
        "method",
        "size",
        "images",
        "G, nats",
        "forgotten, nats",
        "forgotten / G",
        "forget %",
        "retain %",
        "pass",
    ]
    return frame(rows, columns, ["method", "size"])


def sizes_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> Table:
    """Per method and size, of lines that verdicts may read: barrier in G and deficit in each of `UNITS`, means.

    And how many satisfy MCU(eps), and the median roughness of the forget loss in G^2.
    """
    rows = []
    for (method, size), part in _by_size(lines_read(walks)).items():
        row: dict[str, Any] = {"method": label(method), "size": f"{100 * size:g} %"}
        row["barrier, G"] = round(float(np.mean([w.barrier for w in part])), 3)
        for unit, value in UNITS.items():
            row[f"deficit, {unit}"] = round(float(np.mean([value(w) for w in part])), 3)
        rows.append(row | {"connected": joined_text(part, eps), "roughness": roughness_text(part)})
    columns = ["method", "size", "barrier, G", *(f"deficit, {unit}" for unit in UNITS), "connected", "roughness"]
    return frame(rows, columns, ["method", "size"])


def changes_table(walks: Sequence[Walk]) -> Table:
    """Change of the lines' deficit from the smallest size to the largest, in each of `UNITS`, by method and of all.

    The last row and second column is C4's statistic.
    """
    lines = lines_read(walks)
    groups = {label(method): part for (method,), part in grouped(lines, "method").items()} | (
        {"all": lines} if lines else {}
    )
    rows = [(name, *(spread(change_in(part, unit)) for unit in UNITS)) for name, part in groups.items()]
    return frame(rows, ["method", *(f"in {unit}" for unit in UNITS)], "method")


def points_table(walks: Sequence[Walk]) -> Table:
    """One row per line that verdicts may read: method, original, size, its deficit in G and in what was forgotten,
    and its roughness in squares of what was forgotten."""
    columns = ["method", "original", "size", "G", "relative", "roughness"]
    rows = [(w.method, w.original, w.size, w.deficit, _in_forgotten(w), roughness_in(w)) for w in lines_read(walks)]
    return frame(rows, columns)


def answer(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """What was expected, what was found in each unit and beside the retrained models, and what follows, in Markdown."""
    plain, relative, accuracy = (change_in(walks, unit) for unit in UNITS)
    lines = lines_read(walks)
    dips = [w for w in lines if w.deficit > eps]
    below = sum(w.deficit_by("floor") > eps for w in dips if w.profile.levels)
    by_size = {size: roughness_text(part) for (size,), part in grouped(lines, "size").items()}
    rough = ", ".join(f"{by_size[size]} at {100 * size:g} %" for size in sorted(by_size))
    same = relative.low > -EDGE and relative.high < EDGE
    moved = relative.low > EDGE or relative.high < -EDGE
    if same:
        so = (
            "As a share of what was forgotten, the dip changes by less than a tenth from the smallest size to the "
            "largest, on these originals and methods."
        )
    elif moved:
        so = "The size changes the dip even as a share of what was forgotten: it is not the unit alone."
    else:
        so = "These originals do not tell whether the dip depends on the size, as a share of what was forgotten."
    so += _tuned_text(walks)
    if same and (plain.low > EDGE or plain.high < -EDGE):
        so += " The change in G is the unit's: a deeper loss at both ends makes a deeper dip between them."
    return tables.answer_text(
        "If the size of the forget set matters to how two models connect, the deficit changes in any unit.",
        f"From the smallest size to the largest the deficit of the lines changes by {spread(relative)} in units of "
        f"what was forgotten (C4), by {spread(plain)} in G, and by {spread(accuracy)} in accuracy. Of {len(lines)} "
        f"lines {len(dips)} dip below the chord by more than {eps:g} G; on {below} of these the forget loss also falls "
        f"that far below the level of the retrained models. Median roughness of the forget loss, in G²: {rough}.",
        so,
    )


def _tuned_text(walks: Sequence[Walk]) -> str:
    """Whether ends went as far at all sizes as the tuning meant, in a sentence; nothing where there is one size."""
    groups = _by_size([w for w in sized(walks) if w.kind == "linear"])
    spans: dict[str, list[float]] = {}
    for (method, _), part in groups.items():
        spans.setdefault(method, []).append(float(np.mean([forgotten(w) / w.profile.gap for w in part])))
    told = [f"{label(m)} {min(v):.2f} to {max(v):.2f}" for m, v in spans.items() if len(v) > 1]
    unlike = any(max(v) > UNLIKE * min(v) for v in spans.values())
    if not told:
        return ""
    done = "did not drive the ends as far at all sizes" if unlike else "drove the ends about as far at all sizes"
    return f" The tuning {done}: of G they forgot {', '.join(told)}."


# Figures


@drawing.style()
def sizes_figure(points, *, title: str = ""):
    """Forget deficit and roughness against the size of the forget set, a column per method, a dot an original.

    ``points`` is a `points_table`. The deficit is in units of what was forgotten, and hollow in G; what C4 asks is how
    the first goes with the size. Means over originals have Student's interval.
    """
    drawing.check_columns(points, ("method", "original", "size", "G", "relative", "roughness"))
    methods = list(dict.fromkeys(points["method"]))
    fig, axes = drawing.panel_grid(2, len(methods), 4.9, sharex=True, sharey="row")
    for column, method in enumerate(methods):
        part, (top, bottom) = where(points, method=method), axes[:, column]
        _by_sizes(top, part, "G", -0.15, GREY, "o", hollow=True)
        _by_sizes(top, part, "relative", 0.15, GREEN, "D")
        top.axhline(0, color=BLACK, lw=0.8)
        top.set_title(label(method))
        _by_sizes(bottom, part, "roughness", 0.0, BLUE, "o")
        bottom.set_xlabel("forgotten (% of the pool)")
    top = np.nanmax(np.r_[points[["G", "relative"]].to_numpy(float).ravel(), 0.3])
    axes[0, 0].set_ylim(-0.04 * top, 1.08 * top)
    axes[0, 0].set_ylabel("forget deficit\n(in two units)")
    rough = points["roughness"].to_numpy(float)
    rough = rough[np.isfinite(rough) & (rough > 0)]
    if len(rough):
        axes[1, 0].set_yscale("log")
        axes[1, 0].set_ylim(rough.min() / 2, 2 * rough.max())
    axes[1, 0].set_ylabel("roughness of the forget loss\n(what was forgotten, squared)")
    axes[0, 0].set_xticks(sorted({100 * v for v in points["size"]}))
    hollow = entry("o", "white", "deficit in G", ls="-")
    hollow.set(color=GREY, markerfacecolor="white", markeredgecolor=GREY, markeredgewidth=1.1)
    keys = [entry("D", GREEN, "deficit in what was forgotten: mean, 95 % interval", ls="-"), hollow]
    keys += [entry("o", BLUE, "roughness", ls="-"), entry("o", GREY, "one original", ms=3)]
    return finish(fig, axes[0, 0], title, keys)


def _by_sizes(ax, part, column: str, shift: float, colour: str, marker: str, hollow: bool = False) -> None:
    """One series of a panel: originals as faint dots, means with their intervals, beside the size by ``shift``."""
    for size, one in part.groupby("size"):
        mean, low, high = student(one.groupby("original")[column].mean(), least=ERROR if column != "roughness" else 0.0)
        x, floor = 100 * size + shift, 0.0 if column != "roughness" else 1e-3 * max(mean, 1e-9)
        ax.plot(np.full(len(one), x), one[column], "o", color=colour, ms=3, alpha=0.4, mew=0)
        if np.isfinite([low, high]).all():
            ax.vlines(x, max(low, floor), high, color=colour, lw=1.4)
        look = {"mfc": "white", "mec": colour, "mew": 1.1} if hollow else {"color": colour, "mec": "white", "mew": 0.6}
        ax.plot(x, mean, marker, ms=5, zorder=4, **look)


ROOMS = (Room("06_forget_size", sizes, references),)
