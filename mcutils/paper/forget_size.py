"""06: how connectivity changes with the size of the forget set (C4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..engine.study import Study
from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, GREEN, GREY, LIGHT, colour_of, entry, finish, kinds_of, label, marker_of, where
from ..measures.intervals import LEVEL, Interval
from ..measures.originals import LEAST
from ..measures.readings import deficit_by
from . import tables
from .claims import Verdict, spread
from .judging import NOTHING, controls_hold, judge_mean, sound
from .panels import HEADINGS, signed_log
from .room import Room
from .tables import (
    MEASURES,
    Table,
    frame,
    grouped,
    joined_text,
    mean_over,
    paths_table,
    roughness_text,
    stacked,
    summary,
)
from .walks import Route, Walk, alone, coarse, condition_routes, controls, independent_pairs, levels, references

SIZES = 5  # sizes of the forget set, equally far apart, the largest being the preset's
SPAN = (0.02, 0.10)  # shares of the pool to forget between which a straight fit's change is told
Before = Mapping[int, float]  # forget loss of each original before unlearning, by its seed
# A deficit by three units; the second is the loss that the two ends gained, see `forgot`.
UNITS = {"G": "units of G", "forgotten": "units of what was forgotten", "accuracy": "accuracy"}


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
    routes, each = [], bool(study.preset.originals)
    pairs, kinds = independent_pairs(study)[: LEAST if each else None], ("linear",) if each else ("linear", "bezier")
    for forget in shares or sizes_of(study):
        smaller = replace(study, preset=replace(study.preset, forget=forget))
        contexts = alone(methods_of(study))
        made = condition_routes(smaller, "random", contexts, pairs, kinds, points=coarse(study))
        seeds = study.seeds[: 1 if each and forget < study.preset.forget else 2]
        routes += [replace(r, size=forget, retrained=seeds) for r in made]
    return routes + controls(study)


def before(study: Study) -> dict[int, float]:
    """Mean loss in nats of each original model on the largest forget set, as `Before`, from its profile.

    It was trained on all of these images alike, so the mean stands for each of the smaller sets, which are parts of it.
    """
    return {seed: levels(study, seed)[0]["loss_forget"] for seed in study.originals}


# The tests of the claims


def c4(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C4: change of the linear forget deficit from 2 % to 10 % forgetting by a straight fit, per method and pair."""
    fits = _fits(walks, lambda w: (w.deficit, w.replicates("deficit")))
    kept, changes, replicates = zip(*fits, strict=True) if fits else ((), (), ())
    return judge_mean("C4", kept, changes, replicates, level, controls_hold(walks))


def _fits(walks: Sequence[Walk], read: Callable[[Walk], tuple[float, Any]]) -> list[tuple[Walk, float, Any]]:
    """Straight fits against the size of what ``read`` takes from a line, for each method and pair of seeds.

    A walk of the pair, and the change from 2 % to 10 % with its replicates over examples. A pair without the smallest
    or the largest size of all would be extrapolated and is left out.
    """
    every = [w for w in sized(walks) if w.kind == "linear" and w.condition == "random"]
    found, edges = [], (min((w.size for w in every), default=0), max((w.size for w in every), default=0))
    for group in grouped(every, "method", "other", "original", "start", "end").values():
        sizes = np.array([w.size for w in group])
        if edges[0] == sizes.min() < sizes.max() == edges[1]:
            weights = (sizes - sizes.mean()) / ((sizes - sizes.mean()) ** 2).sum() * (SPAN[1] - SPAN[0])
            values, again = zip(*map(read, group), strict=True)
            found.append((group[0], float(weights @ np.array(values)), weights @ np.array(again)))
    return found


# Units


def forgot(walk: Walk, known: Before) -> float:
    """What was forgotten, in nats: mean forget loss of the two ends minus the original's; nan where nothing was.

    The original is the one that the walk's G is taken from.
    """
    gained = float(_loss(walk)[[0, -1]].mean()) - _original(walk, known)
    return gained if gained > 0 else np.nan


def _loss(walk: Walk) -> np.ndarray:
    return walk.profile.connectivity.curves["loss_forget"]


def _original(walk: Walk, known: Before) -> float:
    return known.get(walk.original, known[0])


def deficit_in(walk: Walk, unit: str, known: Before) -> tuple[float, np.ndarray]:
    """Forget deficit in one of `UNITS`, with its replicates over examples; units are not resampled."""
    if unit == "accuracy":
        found = walk.profile.connectivity
        return found["deficit_forget_accuracy"], found.replicates["deficit_forget_accuracy"]
    scale = walk.profile.gap / forgot(walk, known) if unit == "forgotten" else 1.0
    return scale * walk.deficit, scale * walk.replicates("deficit")


def change_in(walks: Sequence[Walk], unit: str, known: Before) -> Interval:
    """C4's statistic with the deficit in one of `UNITS`: mean change from 2 % to 10 %, nan where none can be told."""
    fits = [one for one in _fits(walks, partial(deficit_in, unit=unit, known=known)) if np.isfinite(one[1])]
    if not fits:
        return NOTHING
    kept, values, replicates = zip(*fits, strict=True)
    return mean_over(kept, values, replicates)


# Tables


def sized(walks: Sequence[Walk]) -> list[Walk]:
    """The sound walks of an experiment over sizes."""
    return [w for w in sound(walks) if w.size]


def sizes_text(walks: Sequence[Walk]) -> str:
    """How much was walked, in words: sizes, methods, pairs of draws and points."""
    ours = sized(walks)
    methods = list(dict.fromkeys(w.method for w in ours))
    points = " or ".join(map(str, sorted({len(w.profile.t) for w in ours})))
    return (
        f"{len(ours)} walks: {len({w.size for w in ours})} sizes, {len(methods)} methods ({', '.join(methods)}), "
        f"{len({w.nodes for w in ours})} pairs of seeds, lines and curves of {points} points."
    )


def _by_size(walks: Sequence[Walk], kind: str = "linear") -> dict[tuple[str, float], list[Walk]]:
    """The walks of one kind by method, in order of appearance, and size, from the smallest on."""
    groups = grouped([w for w in sized(walks) if w.kind == kind], "method", "size")
    order = list(dict.fromkeys(method for method, _ in groups))
    return {key: groups[key] for key in sorted(groups, key=lambda key: (order.index(key[0]), key[1]))}


def ends_table(walks: Sequence[Walk], pool: int, known: Before) -> Table:
    """Per method and size: images, G, what was forgotten, also as a multiple of G, the ends' forget and test accuracy.

    Means over the pairs of the straight lines; ``pool`` is the number of training images that sizes are shares of.
    """
    rows = []
    for (method, size), part in _by_size(walks).items():
        gap, gained = part[0].profile.gap, float(np.mean([forgot(w, known) for w in part]))
        row = {"method": method, "size": f"{100 * size:g} %", "images": round(size * pool), "G, nats": gap}
        row |= {"forgotten, nats": gained, "forgotten / G": gained / gap}
        for split in ("forget", "test"):
            ends = [w.profile.connectivity.curves[f"accuracy_{split}"][[0, -1]] for w in part]
            row[f"{split} acc. %"] = round(100 * float(np.mean(ends)), 1)
        rows.append(row)
    columns = ["method", "size", "images", "G, nats", "forgotten, nats", "forgotten / G", "forget acc. %"]
    return frame(rows, [*columns, "test acc. %"], ["method", "size"]).round(3)


def sizes_table(walks: Sequence[Walk], known: Before, eps: float = TOLERANCE) -> Table:
    """Per method and size: the lines' barrier and their deficit in each of `UNITS`, means over pairs; for lines and
    curves how many satisfy MCU(eps), and the median roughness of the forget loss in G^2."""
    rows = []
    kinds = list(dict.fromkeys(w.kind for w in sized(walks)))
    for (method, size), part in _by_size(walks).items():
        row = {"method": method, "size": f"{100 * size:g} %", "barrier, G": np.mean([w.barrier for w in part])}
        for unit in UNITS:
            row[f"deficit, {unit}"] = np.mean([deficit_in(w, unit, known)[0] for w in part])
        for kind in kinds:
            walked = _by_size(walks, kind).get((method, size), [])
            row |= {f"{kind}: connected": joined_text(walked, eps), f"{kind}: roughness": roughness_text(walked)}
        rows.append(row)
    columns = ["method", "size", "barrier, G", *(f"deficit, {unit}" for unit in UNITS)]
    columns += [f"{kind}: {what}" for kind in kinds for what in ("connected", "roughness")]
    return frame(rows, columns, ["method", "size"]).round(3)


def changes_table(walks: Sequence[Walk], known: Before) -> Table:
    """Change of the lines' deficit from 2 % to 10 %, in each of `UNITS`, by method and of all: C4's statistic."""
    groups = grouped(sized(walks), "method")
    groups = {method: part for (method,), part in groups.items()} | ({"all": sized(walks)} if groups else {})
    rows = [(name, *(spread(change_in(part, unit, known)) for unit in UNITS)) for name, part in groups.items()]
    return frame(rows, ["method", *UNITS.values()], "method")


def size_pairs(walks: Sequence[Walk], known: Before) -> Table:
    """`tables.paths_table` of the walks over sizes, with ``relative``, the deficit in units of what was forgotten."""
    ours = sized(walks)
    return paths_table(ours).assign(relative=[deficit_in(w, "forgotten", known)[0] for w in ours])


def size_summary(walks: Sequence[Walk], known: Before) -> Table:
    """Mean and interval per method, curve and size: of barrier and deficit in G, and of the ``relative`` deficit."""
    plain = summary(sized(walks), "method", "kind", "size", measures=MEASURES[:2])
    rows = []
    for labels, part in grouped(sized(walks), "method", "kind", "size").items():
        values, replicates = zip(*(deficit_in(w, "forgotten", known) for w in part), strict=True)
        if np.isfinite(values).all():
            rows.append((*labels, "relative", *mean_over(part, values, replicates, 0.0), len(part)))
    return stacked([plain, frame(rows, plain.columns)])


def answer(walks: Sequence[Walk], known: Before, eps: float = TOLERANCE) -> str:
    """What was expected, what was found in each unit and beside the retrained models, and what follows, in Markdown."""
    plain, relative, accuracy = (change_in(walks, unit, known) for unit in UNITS)
    lines = [w for w in sized(walks) if w.kind == "linear"]
    dips = [w for w in lines if w.deficit > eps]
    below = sum(_floor(w, known) > eps for w in dips)
    unit = not (relative.low > 0 or relative.high < 0) or abs(relative.estimate) < TOLERANCE
    so = (
        "The change in G is the unit's. Small sets were forgotten further at the same settings; a deeper loss at both "
        "ends makes a deeper dip between them, but no larger share of what was forgotten. C4's verdict speaks of G "
        "and of these settings, not of the size alone."
        if unit
        else "The change is not the unit's alone: it is there in units of what was forgotten too."
    )
    if not (plain.low > 0 or plain.high < 0):
        so = "In G itself no change is seen, so there is nothing for the size or the unit to explain."
    return tables.answer_text(
        "If the size of the forget set matters to how two models connect, the deficit changes in any unit.",
        f"From 2 % to 10 % the deficit of the lines changes by {spread(plain)} in units of G (C4's own "
        f"statistic), by {spread(relative)} in units of what was forgotten, and by {spread(accuracy)} in accuracy. Of "
        f"{len(lines)} lines {len(dips)} dip below the chord by more than {eps:g} G; on {below} of these the forget "
        f"loss also falls that far below the level of the retrained models.",
        so,
    )


def _floor(walk: Walk, known: Before) -> float:
    """Forget deficit by the reading ``floor``, in G: the retrained models' level is the original's loss and G more."""
    level = _original(walk, known) + walk.profile.gap
    return float(deficit_by("floor", _loss(walk), walk.profile.t, level)) / walk.profile.gap


# Figures


@drawing.style()
def sizes_figure(pairs, summary, *, threshold: float = TOLERANCE, title: str = ""):
    """Forget deficit over retain barrier against the size of the forget set, a column per method, one scale per row.

    ``pairs`` are `size_pairs`, faint, and ``summary`` is a `size_summary`. The deficit of the lines is drawn in units
    of G and once more in units of what was forgotten. Scales are linear to ``threshold``, then logarithmic.
    """
    drawing.check_columns(pairs, ("method", "curve", "size", *MEASURES[:2], "relative"))
    methods, kinds = list(dict.fromkeys(pairs["method"])), kinds_of(pairs)
    fig, axes = drawing.panel_grid(2, len(methods), 5.2, sharex=True, sharey="row")
    for row, measure in zip(axes, ("deficit", "barrier"), strict=True):
        series = [(measure, kind, colour_of(kind), marker_of(kind), f"{label(kind)}, in G") for kind in kinds]
        if measure == "deficit":
            series.append(("relative", "linear", GREEN, "D", f"{label('linear')}, of what was forgotten"))
        for ax, method in zip(row, methods, strict=True):
            for k, (column, kind, *look) in enumerate(series):
                here = {"method": method, "curve": kind}
                shift = 0.2 * (k - (len(series) - 1) / 2)
                _by_sizes(ax, where(pairs, **here), where(summary, **here, measure=column), column, shift, *look)
            ax.axhspan(0, threshold, color=LIGHT, lw=0, zorder=0, label=f"tolerance ({threshold:g} G)")
            ax.axhline(threshold, color=BLACK, lw=0.8, zorder=1)
        ends = where(summary, measure=measure)["high"]
        signed_log(row[0], np.r_[pairs[measure], ends[np.isfinite(ends)]], threshold, "y")
        row[0].set_ylabel(HEADINGS[measure])
    for k, method in enumerate(methods):
        axes[0, k].set_title(label(method))
        axes[1, k].set_xlabel("forgotten (% of the pool)")
    axes[0, 0].set_xticks(sorted({100 * v for v in pairs["size"]}))
    return finish(fig, axes[0, 0], title, [entry("o", GREY, "one pair", ms=3)])


def _by_sizes(ax, pairs, means, column: str, shift: float, colour: str, marker: str, text: str) -> None:
    """One series of a panel: pairs as faint dots, means with their intervals, beside the size by ``shift``."""
    one = means.sort_values("size")
    x, look = 100 * one["size"] + shift, {"color": colour, "ms": 5, "mec": "white", "mew": 0.6}
    ax.plot(100 * pairs["size"] + shift, pairs[column], "o", color=colour, ms=3, alpha=0.4, mew=0)
    known = np.isfinite(one[["low", "high"]]).all(axis=1)  # one pair has no interval
    ax.vlines(x[known], one["low"][known], one["high"][known], color=colour, lw=1.4)
    ax.plot(x, one["estimate"], marker, label=text, **look)


ROOMS = (Room("06_forget_size", sizes, references, {"C4": c4}),)
