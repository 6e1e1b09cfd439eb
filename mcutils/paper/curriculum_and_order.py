"""03 and 04: what a curriculum or a second-order optimiser does to connectivity (C5, C6, C7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..engine.specs import Spec
from ..engine.study import Study
from ..measures.along import barrier, excess, forget_deficit
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import (
    BLACK,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PURPLE,
    check_columns,
    check_some,
    chord_and_tolerance,
    colour_of,
    entry,
    excess_panels,
    finish,
    finish_excess,
    kinds_of,
    label,
    marker_of,
    marks_of,
    name_rows,
    panel_grid,
    style,
    where,
)
from ..measures.intervals import LEVEL, fraction_interval, widened
from .claims import Verdict, judge
from .judging import (
    CHANGE,
    controls_hold,
    counts_of,
    judge_mean,
    nothing_found,
    pair_of,
    redraw_mean,
    smaller_of,
    sound,
    units_of,
    usable,
    worst,
)
from .panels import HEADINGS, SHOWN, shade_rows, signed_log, spread_row
from .room import Room
from .tables import MEASURES, end_names, grouped, mean_of, mean_over, spread
from .walks import Route, Walk, alone, coarse, condition_routes, controls, independent, profiles

if TYPE_CHECKING:
    import pandas as pd

PLACES = ((GREY, "o"), (GREEN, "^"), (PURPLE, "D"), (ORANGE, "v"))
DOTTED = (0, (1, 1.2))


# What is walked


def curriculum(study: Study) -> list[Route]:
    """``cl-non_cl`` and ``random_in_cl`` beside ``random``, over independent pairs; once with the authors' form."""
    return _changed(study, "cl-non_cl", "random_in_cl", curriculum="superloss_authors")


def second_order(study: Study) -> list[Route]:
    """``fo-so`` and ``random_in_so`` beside ``random``, over independent pairs; once with the authors' optimiser."""
    return _changed(study, "fo-so", "random_in_so", optimizer="soul")


def _changed(study: Study, across: str, inside: str, **authors: str) -> list[Route]:
    contexts, pairs, points = alone(study.preset.methods), independent(study.seeds), coarse(study)
    routes = [r for c in ("random", across) for r in condition_routes(study, c, contexts, pairs)]
    routes += condition_routes(study, inside, contexts, pairs, points=points)
    one = alone([study.preset.quickstart_method])
    one = condition_routes(study, across, one, pairs, ("linear",), points=points, **authors)
    return routes + [replace(r, variant=next(iter(authors.values()))) for r in one] + controls(study)


# The tests of the claims


def changes(walks: Sequence[Walk], condition: str) -> list[tuple[Walk, float, np.ndarray]]:
    """For each pair and curve of a condition: the walk, its smallest eps minus that of ``random``, and replicates."""
    base = {(pair_of(w), w.kind): w for w in usable(walks, condition="random", variant="")}
    found = []
    for w in sound(walks, condition=condition, variant=""):
        same = base.get((pair_of(w), w.kind))
        if same is not None:
            found.append((w, w.eps - same.eps, worst(w) - worst(same)))
    return found


def _shift(claim: str, walks: Sequence[Walk], condition: str, level: float) -> Verdict:
    found = changes(walks, condition)
    kept, values, replicates = ([one[k] for one in found] for k in range(3))
    return judge_mean(claim, kept, values, replicates, level, controls_hold(walks))


def c5(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C5: smallest eps between curriculum and none, minus that of the same two seeds without, mean."""
    return _shift("C5", walks, "cl-non_cl", level)


def c6(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C6: smallest eps between first and second order, minus that of the same two first-order seeds, mean."""
    return _shift("C6", walks, "fo-so", level)


def c7(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C7: the smaller of the shares of contexts (condition, method, curve) whose smallest eps falls, or rises."""
    contexts: dict[tuple, list[tuple[Walk, float, np.ndarray]]] = {}
    for condition in ("cl-non_cl", "fo-so"):
        for one in changes(walks, condition):
            contexts.setdefault((condition, one[0].method, one[0].kind), []).append(one)
    if not contexts:
        return nothing_found("C7")
    groups = contexts.values()
    means = np.array([np.mean([v for _, v, _ in group]) for group in groups])
    redrawn = np.array([redraw_mean(group) for group in groups])
    methods = np.array([method for _, method, _ in contexts])  # whose contexts have endpoints in common
    kept, sides = [w for group in groups for w, _, _ in group], []
    for sign in (-1, 1):
        hits, replicates = sign * means >= CHANGE, (sign * redrawn >= CHANGE).astype(float)
        found = fraction_interval(hits, replicates, clusters=methods, level=level)
        every = np.repeat(hits, [len(group) for group in groups])
        sides.append(widened(found, every, units_of(kept), level, (0.0, 1.0)))
    return judge("C7", *smaller_of(*sides), controls_ok=controls_hold(walks), **counts_of(kept))


# Tables


def condition_table(walks: Sequence[Walk], conditions: Sequence[str], eps: float = TOLERANCE) -> pd.DataFrame:
    """One row per walk of these conditions: its labels, barrier, deficit and eps in G, whether MCU(eps) holds."""
    import pandas as pd

    rows = []
    for condition in conditions:
        for w in sound(walks, condition=condition, variant=""):
            pair = f"{w.original}: {w.start}-{w.end}"
            rows.append((condition, w.method, w.kind, pair, w.barrier, w.deficit, w.eps, w.connected(eps)))
    return pd.DataFrame(rows, columns=["condition", "method", "curve", "pair", *MEASURES, "connected"])


def condition_summary(walks: Sequence[Walk], conditions: Sequence[str]) -> pd.DataFrame:
    """Mean and interval of each measure per condition, method and curve; n is the number of pairs."""
    import pandas as pd

    rows = []
    for condition in conditions:
        ours = sound(walks, condition=condition, variant="")
        for (method, curve), part in grouped(ours, "method", "kind").items():
            rows += [(condition, method, curve, m, *mean_of(part, m), len(part)) for m in MEASURES]
    return pd.DataFrame(rows, columns=["condition", "method", "curve", "measure", "estimate", "low", "high", "n"])


def effect_of(change: float, edge: float = CHANGE) -> str:
    """What a change of the smallest eps, in G, does to connectivity: ``helps``, ``harms`` or ``neither``."""
    return "helps" if change <= -edge else "harms" if change >= edge else "neither"


def changes_table(walks: Sequence[Walk], conditions: Sequence[str]) -> pd.DataFrame:
    """Per condition, method and curve: eps minus that of ``random`` over the same pairs, mean and interval.

    ``effect`` is what the mean does at 0.05 G, see `effect_of`; ``clear`` says whether the whole interval agrees.
    """
    import pandas as pd

    rows = []
    for condition in conditions:
        groups: dict[tuple[str, str], list] = {}
        for one in changes(walks, condition):
            groups.setdefault((one[0].method, one[0].kind), []).append(one)
        for (method, curve), part in groups.items():
            kept, values, replicates = zip(*part, strict=True)
            found = mean_over(kept, values, replicates)
            words = [effect_of(v) for v in found]
            rows.append((condition, method, curve, *found, words[0], len(set(words)) == 1, len(part)))
    return pd.DataFrame(
        rows, columns=["condition", "method", "curve", "change", "low", "high", "effect", "clear", "n"]
    ).astype({"clear": bool})


def changes_shown(walks: Sequence[Walk], condition: str) -> pd.DataFrame:
    """Per method and curve: eps of ``random`` and of the condition, the paired change, and its effect.

    A question mark follows an effect with which the interval of the change does not wholly agree.
    """
    import pandas as pd

    levels = condition_summary(walks, ("random", condition)).query("measure == 'eps'")
    cells = {tuple(row[:3]): spread(row[4:7]) for row in levels.itertuples(index=False)}
    rows = []
    for one in changes_table(walks, [condition]).itertuples():
        eps = {f"eps, {name}": cells[name, one.method, one.curve] for name in ("random", condition)}
        row = {"method": one.method, "curve": one.curve, **eps, "change": spread((one.change, one.low, one.high))}
        rows.append({**row, "effect": one.effect + ("" if one.clear else "?"), "pairs": one.n})
    columns = ["method", "curve", "eps, random", f"eps, {condition}", "change", "effect", "pairs"]
    return pd.DataFrame(rows, columns=columns).set_index(["method", "curve"])


def changes_text(table: pd.DataFrame) -> str:
    """In how many contexts of a `changes_table` each condition helps, harms or does neither, as a Markdown list."""
    lines = []
    for condition, part in table.groupby("condition", sort=False):
        counts = []
        for word in ("helps", "harms", "neither"):
            kind = part[part["effect"] == word]
            counts.append(f"{word} in {len(kind)} ({int(kind['clear'].sum())} of them by the whole interval)")
        lines.append(f"- `{condition}`, {len(part)} contexts of one method and curve: {', '.join(counts)}.")
    return "\n".join(lines) or "No pair was walked in both conditions."


def ends_table(walks: Sequence[Walk], across: str) -> pd.DataFrame:
    """Whether the ends of a condition are different models, per method, means over pairs.

    Accuracies in % of both ends on the forget set and the test set; the distance between the ends, and how many times
    that of the same two seeds under ``random`` it is, with an interval; the cosine of their task vectors, and that
    under ``random``.
    """
    import pandas as pd

    base = {pair_of(w): w for w in sound(walks, kind="linear", condition="random", variant="")}
    names = end_names(across)
    rows = {}
    for (method,), part in grouped(sound(walks, kind="linear", condition=across, variant=""), "method").items():
        both = [(w, base[pair_of(w)]) for w in part if pair_of(w) in base]
        if not both:
            continue
        row = {}
        for split in ("forget", "test"):
            ends = np.mean([w.profile.connectivity.curves[f"accuracy_{split}"][[0, -1]] for w, _ in both], axis=0)
            row |= {f"{name}: {split} %": f"{100 * value:.1f}" for name, value in zip(names, ends, strict=True)}
        far, near = (np.array([one[k].profile.geometry["distance"] for one in both]) for k in (0, 1))
        row["distance"] = f"{far.mean():.2f}"
        row["of two seeds'"] = spread(mean_over([w for w, _ in both], far / near), 2)
        for k, name in ((0, "cosine"), (1, "cosine, two seeds")):
            row[name] = f"{np.mean([one[k].profile.geometry['cosine'] for one in both]):.3f}"
        rows[method] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def variants_table(walks: Sequence[Walk], across: str) -> pd.DataFrame:
    """The straight lines of a condition beside its variants, for the methods that have some, and ``random``."""
    import pandas as pd

    lines = sound(walks, kind="linear")
    some = {w.method for w in lines if w.condition == across and w.variant}
    rows = []
    for (condition, variant, method), part in grouped(lines, "condition", "variant", "method").items():
        if method in some and condition in ("random", across):
            cells = {m: spread(mean_of(part, m)) for m in MEASURES}
            distance = np.mean([w.profile.geometry["distance"] for w in part])
            row = {"method": method, "condition": condition, "variant": variant or "as above", **cells}
            rows.append({**row, "distance": f"{distance:.2f}", "points": len(part[0].profile.t)})
    return pd.DataFrame(rows, columns=["method", "condition", "variant", *MEASURES, "distance", "points"]).set_index(
        ["method", "condition", "variant"]
    )


def thinned(walk: Walk, points: int) -> tuple[float, float]:
    """Barrier and deficit, in G, of a walk read at so many equally spaced points of its own."""
    curves, t = walk.profile.connectivity.curves, walk.profile.t
    keep = np.unique(np.linspace(0, len(t) - 1, points).round().astype(int))
    values = (f(curves[f"loss_{s}"][keep], t[keep]) for f, s in ((barrier, "retain"), (forget_deficit, "forget")))
    return tuple(float(v) / walk.profile.gap for v in values)


def thinned_text(walks: Sequence[Walk]) -> str:
    """How much the smallest eps of the finely traced walks changes when they are read as coarsely as the others."""
    ours = sound(walks)
    counts = sorted({len(w.profile.t) for w in ours})
    if len(counts) < 2:
        return f"All walks have {', '.join(map(str, counts)) or 'no'} points."
    fine = [w for w in ours if len(w.profile.t) > counts[0]]
    most = max(w.eps - max(thinned(w, counts[0])) for w in fine)
    return (
        f"{len(fine)} walks have {counts[-1]} points and {len(ours) - len(fine)} have {counts[0]}; a maximum over "
        f"fewer points is at most as large. Read at {counts[0]} points, the finer walks' smallest eps falls by "
        f"{most:.3f} G at most."
    )


def along_table(walks: Sequence[Walk], conditions: Sequence[str]) -> pd.DataFrame:
    """One row per walk of these conditions and t: retain and forget loss minus their chords, in G."""
    import pandas as pd

    columns = ["condition", "method", "curve", "pair", "t", "retain_excess", "forget_excess"]
    parts = [pd.DataFrame(columns=columns)]
    for condition in conditions:
        for w in sound(walks, condition=condition, variant=""):
            t, curves = w.profile.t, w.profile.connectivity.curves
            over = {f"{s}_excess": excess(curves[f"loss_{s}"], t) / w.profile.gap for s in ("retain", "forget")}
            labels = {"condition": condition, "method": w.method, "curve": w.kind}
            parts.append(pd.DataFrame({**labels, "pair": f"{w.original}: {w.start}-{w.end}", "t": t, **over}))
    return pd.concat(parts[1:] or parts, ignore_index=True)


# Figures


def conditions_figure(table, summary, conditions: Sequence[str], *, threshold: float = TOLERANCE, title: str = ""):
    """Retain barrier and forget deficit of each condition side by side: a row per method, a row of panels per curve.

    Args:
        table: `condition_table`, the pairs.
        summary: `condition_summary`, means and intervals.
        conditions: in the order of the markers, the reference first.
        threshold: tolerance in G; the axes are linear up to it and logarithmic beyond.
        title: over the figure.
    """
    check_columns(table, ("condition", "method", "curve", "barrier", "deficit"))
    methods, kinds = list(dict.fromkeys(table["method"])), kinds_of(table)
    with style():
        fig, axes = panel_grid(len(kinds), 2, 1.0 + len(kinds) * (0.5 + 0.4 * len(methods)), sharey=True, sharex="col")
        for row, kind in zip(axes, kinds, strict=True):
            for ax, measure in zip(row, ("barrier", "deficit"), strict=True):
                for y, method in enumerate(methods):
                    for k, condition in enumerate(conditions):
                        height = y + 0.26 * (k - (len(conditions) - 1) / 2)
                        here = {"condition": condition, "method": method, "curve": kind}
                        pairs, found = where(table, **here)[measure], where(summary, **here, measure=measure)
                        spread_row(ax, height, pairs, found, *PLACES[k])
                shade_rows(ax, len(methods))
                ax.axvline(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")
                ax.set_title(f"{label(kind)}: {HEADINGS[measure]}")
                ax.grid(axis="y", visible=False)
        for ax, measure in zip(axes[-1], ("barrier", "deficit"), strict=True):
            signed_log(ax, np.r_[table[measure], where(summary, measure=measure)["high"]], threshold)
            ax.set_xlabel(f"{HEADINGS[measure]} (G): linear to {threshold:g}, then log")
        name_rows(axes[0, 0], methods)
        keys = [entry(m, c, SHOWN.get(n, n), ls="-") for n, (c, m) in zip(conditions, PLACES, strict=False)]
        finish(fig, axes[0, 0], title, [*keys, entry("o", GREY, "one pair", ms=3)])
    return fig


def changes_figure(table, *, edge: float = CHANGE, linear: float = TOLERANCE, title: str = ""):
    """Change of the smallest eps against ``random`` over the same pairs: a row per method, a panel per condition.

    Args:
        table: `changes_table`.
        edge: change in G that counts as help (left) or harm (right); between them is shaded.
        linear: the axis is linear up to it and logarithmic beyond, on both sides.
        title: over the figure.
    """
    check_columns(table, ("condition", "method", "curve", "change", "low", "high"))
    methods, conditions, kinds = (list(dict.fromkeys(table[c])) for c in ("method", "condition", "curve"))
    kinds = kinds_of(table)
    with style():
        fig, axes = panel_grid(1, len(conditions), 1.3 + 0.34 * len(methods), sharey=True, sharex=True)
        for ax, condition in zip(axes[0], conditions, strict=True):
            for y, method in enumerate(methods):
                for j, kind in enumerate(kinds):
                    found = where(table, condition=condition, method=method, curve=kind)
                    found = found.rename(columns={"change": "estimate"})
                    height = y + 0.34 * (j - (len(kinds) - 1) / 2)
                    spread_row(ax, height, (), found, colour_of(kind), marker_of(kind))
            shade_rows(ax, len(methods))
            ax.axvspan(-edge, edge, color=LIGHT, lw=0, zorder=0.5, label=f"neither (within {edge:g} G)")
            ax.axvline(0, color=BLACK, lw=0.8)
            ax.set_title(SHOWN.get(condition, condition))
            ax.set_xlabel("← helps      change of smallest eps (G)      harms →", fontsize=8)
            ax.grid(axis="y", visible=False)
        signed_log(axes[0, 0], table[["change", "low", "high"]].to_numpy(float), linear)
        name_rows(axes[0, 0], methods)
        keys = [entry(marker_of(k), colour_of(k), f"{label(k)}: mean, 95 % interval", ls="-") for k in kinds]
        finish(fig, axes[0, 0], title, keys)
    return fig


def crossing_figure(table, across: str, *, eps: float = TOLERANCE, columns: int = 4, title: str = ""):
    """Excess over the chord along t where the condition is crossed, with the mean of two seeds; two panels per method.

    Args:
        table: `along_table` of the condition and of ``random``.
        across: the condition drawn thick, its pairs thin; of ``random`` only the mean, dotted.
        eps: tolerance in G, shaded; retain loss should stay below its upper and forget loss above its lower edge.
        columns: methods side by side.
        title: over the figure.
    """
    check_columns(table, ("condition", "method", "pair", "curve", "t", "retain_excess", "forget_excess"))
    ours, base = where(table, condition=across), where(table, condition="random")
    check_some(ours, f"walks of {across}")
    methods = list(dict.fromkeys(ours["method"]))
    with style():
        fig, panels = excess_panels(methods, columns)
        for ax, method, split, _ in panels:
            _along_panel(ax, where(ours, method=method), where(base, method=method), f"{split}_excess", eps)
        dotted = entry("", GREY, "two seeds, mean", ls=DOTTED)
        keys = [entry(marker_of(kind), colour_of(kind), label(kind), ls="-") for kind in kinds_of(ours)]
        finish_excess(fig, title, [*keys, dotted])
    return fig


def _along_panel(ax, ours, base, column: str, eps: float) -> None:
    for kind in kinds_of(ours):
        colour, rows = colour_of(kind), where(ours, curve=kind)
        for _, one in rows.groupby("pair", sort=False):
            ax.plot(one["t"], one[column], color=colour, lw=0.7, alpha=0.45)
        two = where(base, curve=kind).groupby("t")[column].mean()
        ax.plot(two.index, two, color=colour, lw=1.6, ls=DOTTED, zorder=2.5)
        mean = rows.groupby("t")[column].mean()
        ax.plot(mean.index, mean, color=colour, lw=2.2, zorder=2.4, **marks_of(kind, len(mean), 4))
    chord_and_tolerance(ax, column, eps)


def _both(study: Study) -> list[Spec]:
    return profiles(study, [*second_order(study), *curriculum(study)])  # C7 takes both


ROOMS = (
    Room("03_curriculum", curriculum, tests={"C5": (("03_curriculum",), c5)}),
    Room(
        "04_second_order",
        second_order,
        _both,
        {"C6": (("04_second_order",), c6), "C7": (("03_curriculum", "04_second_order"), c7)},
    ),
)
