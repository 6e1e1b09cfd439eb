"""06: how connectivity changes with the size of the forget set (C4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine.study import Study
from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, GREY, LIGHT, colour_of, entry, finish, kinds_of, label, marker_of, where
from ..measures.intervals import LEVEL
from .claims import Verdict, spread
from .judging import controls_hold, judge_mean, sound
from .panels import HEADINGS
from .room import Room
from .tables import MEASURES, Table, frame, grouped, mean_over, paths_table, summary
from .walks import Route, Walk, alone, coarse, condition_routes, controls, independent_pairs

SIZES = 5  # sizes of the forget set, equally far apart, the largest being the preset's
SPAN = (0.02, 0.10)  # shares of the pool to forget between which a straight fit's change is told


# What is walked


def sizes(study: Study, shares: Sequence[float] = ()) -> list[Route]:
    """``random`` at several sizes of the forget set, for three methods, coarse.

    ``shares`` of the pool; by default `SIZES` equal steps up to the preset's.
    """
    routes = []
    for forget in shares or [round(k * study.preset.forget / SIZES, 6) for k in range(1, SIZES + 1)]:
        smaller = replace(study, preset=replace(study.preset, forget=forget))
        contexts = alone(study.preset.methods[-4:-1] or study.preset.methods)
        made = condition_routes(smaller, "random", contexts, independent_pairs(study), points=coarse(study))
        routes += [replace(r, size=forget, retrained=study.seeds[:2]) for r in made]
    return routes + controls(study)


# The tests of the claims


def c4(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C4: change of the linear forget deficit from 2 % to 10 % forgetting by a straight fit, per method and pair."""
    lines = [w for w in sized(walks) if w.kind == "linear" and w.condition == "random"]
    fits = _fits(grouped(lines, "method", "other", "original", "start", "end").values(), lines, "deficit")
    kept, slopes, replicates, _ = zip(*fits, strict=True) if fits else ((), (), (), ())
    return judge_mean("C4", kept, slopes, replicates, level, controls_hold(walks))


def _fits(groups: Iterable[Sequence[Walk]], every: Sequence[Walk], measure: str) -> list[tuple[Walk, float, Any, Any]]:
    """Straight fits of a measure against the size, for each pair of seeds.

    A walk of the pair, the change from 2 % to 10 % with its replicates over examples, and the line's values at both. A
    pair without the smallest or the largest size of all would be extrapolated and is left out.
    """
    found, edges = [], (min((w.size for w in every), default=0), max((w.size for w in every), default=0))
    for group in groups:
        sizes = np.array([w.size for w in group])
        if edges[0] == sizes.min() < sizes.max() == edges[1]:
            weights = (sizes - sizes.mean()) / ((sizes - sizes.mean()) ** 2).sum() * (SPAN[1] - SPAN[0])
            values, again = [getattr(w, measure) for w in group], [w.replicates(measure) for w in group]
            change = float(weights @ values)
            ends = np.mean(values) + change * (np.array(SPAN) - sizes.mean()) / (SPAN[1] - SPAN[0])
            found.append((group[0], change, weights @ np.array(again), ends))
    return found


# Tables


def size_summary(walks: Sequence[Walk]) -> Table:
    """Mean and interval of each measure per method, curve and size of the forget set."""
    return summary(sized(walks), "method", "kind", "size")


def sizes_text(walks: Sequence[Walk]) -> str:
    """How much was walked, in words: sizes, methods, pairs of draws and points."""
    ours = sized(walks)
    methods = list(dict.fromkeys(w.method for w in ours))
    points = " or ".join(map(str, sorted({len(w.profile.t) for w in ours})))
    return (
        f"{len(ours)} walks: {len({w.size for w in ours})} sizes, {len(methods)} methods ({', '.join(methods)}), "
        f"{len({w.nodes for w in ours})} pairs of seeds, lines and curves of {points} points."
    )


def size_pairs(walks: Sequence[Walk]) -> Table:
    """`tables.paths_table` of the walks over sizes."""
    return paths_table(sized(walks))


def sized(walks: Sequence[Walk]) -> list[Walk]:
    """The sound walks of an experiment over sizes."""
    return [w for w in sound(walks) if w.size]


def size_fits(walks: Sequence[Walk]) -> Table:
    """Straight fit of each measure against the size, per method and curve: its change from 2 % to 10 %.

    ``change`` is the mean over pairs of each pair's own fit, with its interval; ``at_low`` and ``at_high`` are the mean
    line's values at 2 % and 10 %. A pair without the smallest or the largest size has no fit.
    """
    rows, ours = [], sized(walks)
    for (method, curve), part in grouped(ours, "method", "kind").items():
        for measure in MEASURES:
            fits = _fits(grouped(part, "original", "start", "end").values(), ours, measure)
            if fits:
                kept, changes, replicates, ends = zip(*fits, strict=True)
                found = mean_over(kept, changes, replicates)
                rows.append((method, curve, measure, *found, *np.mean(ends, axis=0), len(kept)))
    return frame(rows, ["method", "curve", "measure", "change", "low", "high", "at_low", "at_high", "pairs"])


def fits_shown(walks: Sequence[Walk]) -> Table:
    """`size_fits` to be read: the change of each measure from 2 % to 10 %, in G, with its interval."""
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for one in size_fits(walks).itertuples():
        row = rows.setdefault((one.method, one.curve), {"method": one.method, "curve": one.curve})
        row |= {f"change of the {one.measure}": spread((one.change, one.low, one.high)), "pairs": one.pairs}
    columns = ["method", "curve", *(f"change of the {m}" for m in MEASURES), "pairs"]
    return frame(list(rows.values()), columns, ["method", "curve"])


def gap_table(walks: Sequence[Walk], pool: int) -> Table:
    """Per method and size: images to forget, G in nats, and of the straight lines the ends' forget and test accuracy in
    % and the barrier and deficit in nats, so without G; means over pairs.

    ``pool`` is the number of training images of which the sizes are shares.
    """
    rows = []
    lines = [w for w in sized(walks) if w.kind == "linear"]
    for (method, size), part in grouped(lines, "method", "size").items():
        gap = part[0].profile.gap
        row = {"method": method, "forgotten": f"{100 * size:g} %", "images": round(size * pool), "G, nats": gap}
        for split in ("forget", "test"):
            ends = [w.profile.connectivity.curves[f"accuracy_{split}"][[0, -1]] for w in part]
            row[f"{split} acc. %"] = round(100 * float(np.mean(ends)), 1)
        rows.append(row | {f"{m}, nats": float(np.mean([getattr(w, m) for w in part])) * gap for m in MEASURES[:2]})
    order = list(dict.fromkeys(w.method for w in lines))
    rows.sort(key=lambda row: (order.index(row["method"]), row["images"]))
    columns = ["method", "forgotten", "images", "G, nats", "forget acc. %", "test acc. %", "barrier, nats"]
    return frame(rows, [*columns, "deficit, nats"], ["method", "forgotten"]).round(3)


# Figures


@drawing.style()
def sizes_figure(pairs, summary, fits, *, threshold: float = TOLERANCE, title: str = ""):
    """Deficit, barrier and smallest eps against the size of the forget set: a row per measure, a column per method.

    ``pairs`` are `size_pairs`, faint, ``summary`` is a `size_summary`, and ``fits`` are `size_fits`, dashed.
    """
    drawing.check_columns(pairs, ("method", "curve", "size", *MEASURES))
    methods, kinds = list(dict.fromkeys(pairs["method"])), kinds_of(pairs)
    fig, axes = drawing.panel_grid(3, len(methods), 6.4, sharex=True)
    for row, measure in zip(axes, ("deficit", "barrier", "eps"), strict=True):
        for ax, method in zip(row, methods, strict=True):
            for j, kind in enumerate(kinds):
                here, colour = {"method": method, "curve": kind}, colour_of(kind)
                shift = 0.12 * (2 * j - len(kinds) + 1)
                one, dots = where(summary, **here, measure=measure).sort_values("size"), where(pairs, **here)
                x = 100 * one["size"] + shift
                ax.plot(100 * dots["size"] + shift, dots[measure], "o", color=colour, ms=3, alpha=0.4, mew=0)
                known = np.isfinite(one[["low", "high"]]).all(axis=1)  # one pair has no interval
                ax.vlines(x[known], one["low"][known], one["high"][known], color=colour, lw=1.4)
                look = {"color": colour, "ms": 5, "mec": "white", "mew": 0.6}
                ax.plot(x, one["estimate"], marker_of(kind), label=f"{label(kind)}, 95 %", **look)
                for fit in where(fits, **here, measure=measure).itertuples():
                    ends = [100 * v for v in SPAN]
                    ax.plot(ends, [fit.at_low, fit.at_high], color=colour, lw=1.2, ls=(0, (4, 2)), zorder=1.5)
            ax.axhspan(0, threshold, color=LIGHT, lw=0, zorder=0, label=f"tolerance ({threshold:g} G)")
            ax.axhline(threshold, color=BLACK, lw=0.8, zorder=1)
            low, high = ax.get_ylim()
            ax.set_ylim(min(-0.03 * high, 0 if low >= 0 else low), max(high, 1.3 * threshold))
            if measure == "deficit":
                ax.set_title(label(method))
            if measure == "eps":
                ax.set_xlabel("forgotten (% of the pool)")
        row[0].set_ylabel(f"{HEADINGS[measure]} (G)")
    axes[0, 0].set_xticks(sorted({100 * v for v in pairs["size"]}))
    keys = [entry("", GREY, "straight fit", ls="--", lw=1.2), entry("o", GREY, "one pair", ms=3)]
    return finish(fig, axes[0, 0], title, keys)


ROOMS = (Room("06_forget_size", sizes, tests={"C4": c4}),)
