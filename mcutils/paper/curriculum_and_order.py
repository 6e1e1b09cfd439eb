"""03 and 04: what a curriculum or a second-order optimiser does to connectivity (C5, C6, C7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine.specs import Spec, UnlearnedSpec
from ..engine.study import Study
from ..measures import drawing
from ..measures.along import barrier, forget_deficit
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, GREEN, GREY, LIGHT, ORANGE, PURPLE, colour_of, entry, kinds_of, label, where
from ..measures.intervals import LEVEL, fraction_interval, widened
from ..measures.originals import student
from ..settings import Plan
from . import judging, tables
from .claims import Verdict, spread
from .judging import CHANGE, controls_hold, judge_mean, judged, nothing_found, pair_of, sound, usable
from .panels import HEADINGS, SHOWN, excess_panels, kind_entries, shade_rows, signed_log, spread_row, tolerance_line
from .room import Room
from .tables import (
    MEASURES,
    Table,
    end_names,
    excess_table,
    frame,
    grouped,
    mean_of,
    mean_over,
    paths_table,
    roughness_text,
    summary,
)
from .walks import (
    COARSE,
    SOME,
    TRAINED,
    Route,
    Walk,
    alone,
    coarse,
    condition_routes,
    controls,
    independent_pairs,
    profiles,
    references,
)

PLACES = ((GREY, "o"), (GREEN, "^"), (PURPLE, "D"), (ORANGE, "v"))
PARTNER, TUNED = "partner", "tuned"  # forms of walks at the other learning rate, see `_other_rate`
DOTTED = (0, (1, 1.2))
WHAT = {"cl-non_cl": "the curriculum", "fo-so": "the optimiser"}  # what is crossed


# What is walked


def curriculum(study: Study) -> list[Route]:
    """``cl-non_cl`` and ``random_in_cl`` beside ``random``, over independent pairs; once with the authors' form.

    Where originals have a forget set each, ``cl-non_cl`` is coarse, and on some of them walked at all points too.
    """
    return _changed(study, "cl-non_cl", "random_in_cl", "superloss_authors", "curriculum")


def second_order(study: Study) -> list[Route]:
    """``fo-so`` and ``random_in_so`` beside ``random``, over independent pairs; once with the authors' optimiser.

    Where originals have a forget set each as in `curriculum`.
    """
    return _changed(study, "fo-so", "random_in_so", "soul", "optimizer")


def _changed(study: Study, across: str, inside: str, form: str, what: str) -> list[Route]:
    contexts, pairs, points = alone(study.preset.fit), independent_pairs(study), coarse(study)
    each = bool(study.preset.originals)
    routes = condition_routes(study, "random", contexts, pairs)
    routes += condition_routes(study, across, contexts, pairs, points=points if each else 0)
    routes += condition_routes(study, inside, contexts, pairs, points=points)
    one = alone([study.preset.quickstart_method])
    some = pairs[:SOME] if each else pairs
    theirs = condition_routes(study, across, one, some, ("linear",), points=points, **{what: form})
    routes += [replace(r, form=form) for r in theirs]
    full = condition_routes(study, across, contexts, some) if each else []
    routes += [replace(r, full=True) for r in full]
    ours = {what: {"curriculum": "superloss", "optimizer": "sophia_g"}[what]}
    return routes + _other_rate(study, across, contexts, some) + trained(study, across, **ours) + controls(study)


def _other_rate(study: Study, across: str, contexts: Sequence[tuple[str]], pairs: Sequence[tuple]) -> list[Route]:
    """``across`` at the other learning rate, where it is another: coarse lines on some originals.

    Ends with a curriculum run at their partner's rate and are looked at once more at one tuned for them; ends of second
    order run at one of their own, since at their partner's they lose what they should keep (`admission`), and are
    looked at once more at that.
    """
    if not study.preset.originals:
        return []
    form = TUNED if across == "cl-non_cl" else PARTNER
    other, asked = replace(study, rate=form), (across, contexts, pairs, ("linear",))
    usual, again = (condition_routes(s, *asked, points=coarse(study)) for s in (study, other))
    return [replace(b, form=form) for a, b in zip(usual, again, strict=True) if b.path != a.path]


def trained(study: Study, across: str, **changed: Any) -> list[Route]:
    """One method from originals that were trained with a curriculum or optimiser, the other reading of the condition.

    On `SOME` originals, where they have a forget set each: the line between two ends from the ``changed`` original, as
    ``random``; line and curve from an end of the plain original to one of the changed, as ``across``. Both originals
    begin with the same weights, and G is that of the plain one.
    """
    if not study.preset.originals:
        return []
    method, routes, form = study.preset.quickstart_method, [], " ".join((TRAINED, *changed.values()))
    for original, first, second in independent_pairs(study, min(SOME, study.preset.originals)):
        plain, other = study.original(original), study.original(original, **changed)
        start, own = (study.unlearned(method, first, origin=one) for one in (plain, other))
        end = study.unlearned(method, second, origin=other)
        for condition, begin, kind in (
            ("random", own, "linear"),
            (across, start, "linear"),
            (across, start, "bezier"),
        ):
            labels: dict[str, Any] = {"original": original, "condition": condition, "form": form}
            path = study.path(begin, end, kind=kind)
            routes.append(Route(method, kind, first, second, path=path, points=coarse(study), **labels))
    return routes


# The tests of the claims


def changes(walks: Sequence[Walk], condition: str) -> list[tuple[Walk, float, np.ndarray]]:
    """For each pair and curve of a condition: the walk, its smallest eps minus that of ``random``, and replicates."""
    base = {(pair_of(w), w.kind): w for w in usable(walks, condition="random", form="")}
    found = []
    for w in sound(walks, condition=condition, form=""):
        same = base.get((pair_of(w), w.kind))
        if same is not None:
            found.append((w, w.eps - same.eps, w.replicates("eps") - same.replicates("eps")))
    return found


def contexts(walks: Sequence[Walk], conditions: Sequence[str]) -> dict[tuple, list[tuple[Walk, float, np.ndarray]]]:
    """The `changes` by their context: condition, method and curve."""
    found: dict[tuple, list[tuple[Walk, float, np.ndarray]]] = {}
    for condition in conditions:
        for one in changes(walks, condition):
            found.setdefault((condition, one[0].method, one[0].kind), []).append(one)
    return found


def _shift(claim: str, walks: Sequence[Walk], condition: str, level: float) -> Verdict:
    kept, values, replicates = zip(*found, strict=True) if (found := changes(walks, condition)) else ((), (), ())
    return judge_mean(claim, kept, values, replicates, level, controls_hold(walks))


def c5(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C5: smallest eps between curriculum and none, minus that of the same two seeds without, mean."""
    return _shift("C5", walks, "cl-non_cl", level)


def c6(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C6: smallest eps between first and second order, minus that of the same two first-order seeds, mean."""
    return _shift("C6", walks, "fo-so", level)


def c7(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C7: the smaller of the shares of contexts (condition, method, curve) whose smallest eps falls, or rises."""
    found = contexts(walks, ("cl-non_cl", "fo-so"))
    if not found:
        return nothing_found("C7")
    groups = found.values()
    means = np.array([np.mean([v for _, v, _ in group]) for group in groups])
    redrawn = np.array([judging.redraw_mean(group) for group in groups])
    methods = np.array([method for _, method, _ in found])  # whose contexts have endpoints in common
    kept, sides = [w for group in groups for w, _, _ in group], []
    for sign in (-1, 1):
        hits, replicates = sign * means >= CHANGE, (sign * redrawn >= CHANGE).astype(float)
        side = fraction_interval(hits, replicates, clusters=methods, level=level)
        every = np.repeat(hits, [len(group) for group in groups])
        sides.append(widened(side, every, judging.units_of(kept), level, (0.0, 1.0)))
    return judged("C7", judging.smaller_of(*sides), kept, controls_hold(walks))


# Tables


def condition_table(walks: Sequence[Walk], conditions: Sequence[str], eps: float = TOLERANCE) -> Table:
    """`tables.paths_table` of the sound walks of these conditions."""
    return paths_table(_plain(walks, conditions), eps)


def _plain(walks: Sequence[Walk], conditions: Sequence[str]) -> list[Walk]:
    """The sound walks of these conditions in our own form, condition by condition."""
    return [w for condition in conditions for w in sound(walks, condition=condition, form="")]


def condition_summary(walks: Sequence[Walk], conditions: Sequence[str]) -> Table:
    """Mean and interval of each measure per condition, method and curve; n is the number of pairs."""
    return summary(_plain(walks, conditions), "condition", "method", "kind")


def effect_of(change: float, edge: float = CHANGE) -> str:
    """What a change of the smallest eps, in G, does to connectivity: ``helps``, ``harms`` or ``neither``."""
    return "helps" if change <= -edge else "harms" if change >= edge else "neither"


def changes_table(walks: Sequence[Walk], conditions: Sequence[str]) -> Table:
    """Per condition, method and curve: eps minus that of ``random`` over the same pairs, mean and interval.

    ``effect`` is what the mean does at 0.05 G, see `effect_of`; ``clear`` says whether the whole interval agrees.
    """
    rows = []
    for labels, part in contexts(walks, conditions).items():
        found = mean_over(*zip(*part, strict=True))
        words = [effect_of(v) for v in found]
        rows.append((*labels, *found, words[0], len(set(words)) == 1, len(part)))
    columns = ["condition", "method", "curve", "change", "low", "high", "effect", "clear", "n"]
    return frame(rows, columns).astype({"clear": bool})


def changes_shown(walks: Sequence[Walk], condition: str) -> Table:
    """Per method and curve: eps of ``random`` and of the condition, the paired change, its effect, and the roughness.

    A question mark follows an effect with which the interval of the change does not wholly agree. Roughness is that of
    the forget loss, see `tables.roughness_text`, of ``random`` and of the condition.
    """
    levels = condition_summary(walks, ("random", condition)).query("measure == 'eps'")
    cells = {tuple(row[:3]): spread(row[4:7]) for row in levels.itertuples(index=False)}
    groups = grouped(_plain(walks, ("random", condition)), "condition", "method", "kind")
    rough = {labels: roughness_text(part) for labels, part in groups.items()}
    rows = []
    for one in changes_table(walks, [condition]).itertuples():
        here = [(name, one.method, one.curve) for name in ("random", condition)]
        change, word = spread((one.change, one.low, one.high)), one.effect + ("" if one.clear else "?")
        smooth = " to ".join(rough[labels] for labels in here)
        rows.append((one.method, one.curve, *(cells[labels] for labels in here), change, word, smooth, one.n))
    columns = ["method", "curve", "eps, random", f"eps, {condition}", "change", "effect", "roughness", "pairs"]
    return frame(rows, columns, ["method", "curve"])


def changes_text(table: Table) -> str:
    """In how many contexts of a `changes_table` each condition helps, harms or does neither, as a Markdown list."""
    lines = []
    for condition, part in table.groupby("condition", sort=False):
        counts = []
        for word in ("helps", "harms", "neither"):
            kind = part[part["effect"] == word]
            counts.append(f"{word} in {len(kind)} ({int(kind['clear'].sum())} of them by the whole interval)")
        lines.append(f"- `{condition}`, {len(part)} contexts of one method and curve: {', '.join(counts)}.")
    return "\n".join(lines) or "No pair was walked in both conditions."


def ends_table(walks: Sequence[Walk], across: str) -> Table:
    """Whether the ends of a condition are different models, per method, means over pairs.

    Accuracies in % of both ends on the forget set and the test set; the distance between the ends, and how many times
    that of the same two seeds under ``random`` it is, with an interval; the cosine of their task vectors, and that
    under ``random``. Where walks have levels of retrained models, also how much both ends forgot, see `closed`.
    """
    base = {pair_of(w): w for w in sound(walks, kind="linear", condition="random", form="")}
    names, rows = end_names(across), []
    for (method,), part in grouped(sound(walks, kind="linear", condition=across, form=""), "method").items():
        ours = [w for w in part if pair_of(w) in base]
        if not ours:
            continue
        row = {"method": method}
        for split in ("forget", "test"):
            ends = np.mean([w.profile.connectivity.curves[f"accuracy_{split}"][[0, -1]] for w in ours], axis=0)
            row |= {f"{name}: {split} %": f"{100 * value:.1f}" for name, value in zip(names, ends, strict=True)}
        both = [w.profile.geometry for w in ours], [base[pair_of(w)].profile.geometry for w in ours]
        if all(w.profile.levels for w in ours):
            row |= {
                f"{name}: forgot, G": f"{one.round(2) + 0.0:.2f}" for name, one in zip(names, closed(ours), strict=True)
            }
        far, near = (np.array([one["distance"] for one in found]) for found in both)
        row |= {"distance": f"{far.mean():.2f}", "of two seeds'": spread(mean_over(ours, far / near), 2)}
        for name, found in zip(("cosine", "cosine, two seeds"), both, strict=True):
            row[name] = f"{np.mean([one['cosine'] for one in found]):.3f}"
        rows.append(row)
    return frame(rows, None if rows else ["method"], "method")


def closed(walks: Sequence[Walk]) -> np.ndarray:
    """How much of G each end closes, mean over walks (2,): 0 at the original's forget loss, 1 at that of retraining."""
    found = []
    for w in walks:
        ends = w.profile.connectivity.curves["loss_forget"][[0, -1]]
        found.append(1 + (ends - w.profile.levels["loss_forget"].mean()) / w.profile.gap)
    return np.mean(found, axis=0)


def variants_table(walks: Sequence[Walk], across: str) -> Table:
    """The straight lines of a condition beside other forms of it, such as the authors', for methods that have them.

    With those of ``random``.
    """
    lines = sound(walks, kind="linear")
    some = {w.method for w in lines if w.condition == across and w.form}
    rows = []
    for (condition, form, method), part in grouped(lines, "condition", "form", "method").items():
        if method in some and condition in ("random", across):
            distance = np.mean([w.profile.geometry["distance"] for w in part])
            cells = [spread(mean_of(part, m)) for m in MEASURES]
            shown = roughness_text(part), f"{distance:.2f}", len(part[0].profile.t)
            rows.append((method, condition, form or "as above", *cells, *shown))
    index = ["method", "condition", "variant"]
    return frame(rows, [*index, *MEASURES, "roughness", "distance", "points"], index)


def trained_table(walks: Sequence[Walk], across: str) -> Table:
    """What it does to connectivity that an original was trained with a curriculum or optimiser, see `trained`.

    Per ends and curve, means over originals in G with Student's interval: barrier, deficit and smallest eps, and eps
    minus that of the same two seeds from the plain original, read at as many points (`COARSE`).
    """
    base = {(pair_of(w), w.kind): w.at(COARSE) for w in usable(walks, condition="random", form="")}
    rows = []
    for (form, condition, kind), part in grouped(sound(walks), "form", "condition", "kind").items():
        ours = [w for w in part if (pair_of(w), w.kind) in base]
        if form.startswith(TRAINED) and condition in ("random", across) and ours:
            cells = [spread(student([getattr(w, name) for w in ours])) for name in MEASURES]
            change = spread(student([w.at(COARSE).eps - base[pair_of(w), w.kind].eps for w in ours]))
            ends = f"both {form}" if condition == "random" else f"plain, {form}"
            rows.append((ends, kind, *cells, change, len(ours)))
    return frame(rows, ["ends", "curve", *MEASURES, "change", "originals"], ["ends", "curve"])


def thinned(walk: Walk, points: int) -> tuple[float, float]:
    """Barrier and deficit, in G, of a walk read at so many equally spaced points of its own."""
    curves, t, gap = walk.profile.connectivity.curves, walk.profile.t, walk.profile.gap
    keep = np.unique(np.linspace(0, len(t) - 1, points).round().astype(int))
    retain, forget = (curves[f"loss_{split}"][keep] for split in ("retain", "forget"))
    return float(barrier(retain, t[keep])) / gap, float(forget_deficit(forget, t[keep])) / gap


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


def answer_text(routes: Sequence[Route], walks: Sequence[Walk], across: str, eps: float = TOLERANCE) -> str:
    """What was expected of a crossing, what was found, also beside the retrained models, and what follows, in Markdown.

    ``walks`` are those of ``routes``, with levels (`walks.levelled`).
    """
    found = []
    for condition in (across, "random"):
        lines = [w for w in _plain(walks, (condition,)) if w.kind == "linear"]
        found.append((lines, sum(w.barrier > eps for w in lines), [w for w in lines if w.deficit > eps]))
    (ours, rises, dips), (base, others, dipped) = found
    table = changes_table(walks, (across,))
    helps, harms = (int((table["effect"] == word).sum()) for word in ("helps", "harms"))
    below = sum(w.deficit_by("floor") > eps for w in dips)
    return tables.answer_text(
        f"If {WHAT[across]} leads into another basin, lines across it have a retain barrier that lines "
        "between two seeds lack.",
        f"A retain barrier over {eps:g} G stands on {rises} of {len(ours)} lines "
        f"across and on {others} of {len(base)} between two seeds; a forget deficit over {eps:g} G on {len(dips)} and "
        f"{len(dipped)}. In {harms} of {len(table)} contexts (method, curve) the smallest eps rises on average by "
        f"{CHANGE:g} G or more, in {helps} it falls so. Of the {len(dips)} lines across with a deficit {below} fall "
        f"that far below the level of the retrained models too.",
        _so(routes, walks, across, eps),
    )


def _so(routes: Sequence[Route], walks: Sequence[Walk], across: str, eps: float) -> str:
    """What follows from the lines across, and what could be behind it: other step sizes, ends that hardly unlearned."""
    lines = [w for w in _plain(walks, (across,)) if w.kind == "linear"]
    groups = {method: part for (method,), part in grouped(lines, "method").items()}
    counts = {label(m): (sum(w.barrier > eps for w in part), len(part)) for m, part in groups.items()}
    high = [f"{name} ({count} of {n})" for name, (count, n) in counts.items() if count]
    parts = [f"Retain barriers across: {', '.join(high)}." if high else "No line across has a retain barrier."]
    plans = {r.method: _plans(r) for r in routes if r.condition == across and not r.form}
    rates = {m: [plan.lr for plan in pair] for m, pair in plans.items() if len({plan.optimizer for plan in pair}) == 1}
    other = [f"{label(m)} ({a:g} and {b:g})" for m, (a, b) in rates.items() if a != b and m in groups]
    if other:
        parts.append(
            f"The learning rates of the two ends differ in {', '.join(other)}: there {WHAT[across]} and the step size "
            "are not told apart."
        )
    names = [{"none": "without curriculum", "curriculum": "with curriculum"}.get(n, n) for n in end_names(across)]
    gained = {(m, name): one for m, part in groups.items() for name, one in zip(names, closed(part), strict=True)}
    short = [f"{label(m)} ({name}, {one.round(2) + 0.0:.2f} G)" for (m, name), one in gained.items() if one < 0.5]
    if short:
        parts.append(f"Ends that forgot less than half of G: {', '.join(short)}.")
        left = {m for (m, _), one in gained.items() if one < 0.5}
        every = changes(walks, across)
        kept = [one for one in every if one[0].method not in left]
        if kept:
            all_, rest = (spread(mean_over(*zip(*part, strict=True))) for part in (every, kept))
            parts.append(f"Without them the mean change of the smallest eps is {rest}, with them {all_}.")
    return " ".join(parts)


def _plans(route: Route) -> list[Plan]:
    ends = (route.path.start, route.path.end)
    return [end.settings.plan for end in ends if isinstance(end, UnlearnedSpec)]


def along_table(walks: Sequence[Walk], conditions: Sequence[str]) -> Table:
    """`tables.excess_table` of the sound walks of these conditions."""
    return excess_table(_plain(walks, conditions))


# Figures


@drawing.style()
def conditions_figure(table, summary, conditions: Sequence[str], *, threshold: float = TOLERANCE, title: str = ""):
    """Retain barrier and forget deficit of each condition side by side: a row per method, a row of panels per curve.

    ``table`` is a `condition_table`, ``summary`` a `condition_summary`; the first of ``conditions`` is the reference.
    """
    drawing.check_columns(table, ("condition", "method", "curve", "barrier", "deficit"))
    methods, kinds = list(dict.fromkeys(table["method"])), kinds_of(table)
    height = 1.0 + len(kinds) * (0.5 + 0.4 * len(methods))
    fig, axes = drawing.panel_grid(len(kinds), 2, height, sharey=True, sharex="col")
    for row, kind in zip(axes, kinds, strict=True):
        for ax, measure in zip(row, ("barrier", "deficit"), strict=True):
            for y, method in enumerate(methods):
                for k, condition in enumerate(conditions):
                    height = y + 0.26 * (k - (len(conditions) - 1) / 2)
                    here = {"condition": condition, "method": method, "curve": kind}
                    pairs, found = where(table, **here)[measure], where(summary, **here, measure=measure)
                    spread_row(ax, height, pairs, found, *PLACES[k])
            shade_rows(ax, len(methods))
            tolerance_line(ax, threshold)
            ax.set_title(f"{label(kind)}: {HEADINGS[measure]}")
    for ax, measure in zip(axes[-1], ("barrier", "deficit"), strict=True):
        signed_log(ax, np.r_[table[measure], where(summary, measure=measure)["high"]], threshold)
        ax.set_xlabel(f"{HEADINGS[measure]} (G): linear to {threshold:g}, then log")
    drawing.name_rows(axes[0, 0], methods)
    keys = [entry(m, c, SHOWN.get(n, n), ls="-") for n, (c, m) in zip(conditions, PLACES, strict=False)]
    return drawing.finish(fig, axes[0, 0], title, [*keys, entry("o", GREY, "one pair", ms=3)])


@drawing.style()
def changes_figure(table, *, edge: float = CHANGE, linear: float = TOLERANCE, title: str = ""):
    """Change of the smallest eps against ``random`` over the same pairs: a row per method, a panel per condition.

    ``table`` is a `changes_table`. A change of ``edge`` G counts as help (left) or harm (right); between is shaded. The
    axis is linear up to ``linear`` and logarithmic beyond, on both sides.
    """
    drawing.check_columns(table, ("condition", "method", "curve", "change", "low", "high"))
    (methods, conditions), kinds = (list(dict.fromkeys(table[c])) for c in ("method", "condition")), kinds_of(table)
    fig, axes = drawing.panel_grid(1, len(conditions), 1.3 + 0.34 * len(methods), sharey=True, sharex=True)
    for ax, condition in zip(axes[0], conditions, strict=True):
        for y, method in enumerate(methods):
            for j, kind in enumerate(kinds):
                found = where(table, condition=condition, method=method, curve=kind)
                found = found.rename(columns={"change": "estimate"})
                height = y + 0.34 * (j - (len(kinds) - 1) / 2)
                spread_row(ax, height, (), found, colour_of(kind), drawing.marker_of(kind))
        shade_rows(ax, len(methods))
        ax.axvspan(-edge, edge, color=LIGHT, lw=0, zorder=0.5, label=f"neither (within {edge:g} G)")
        ax.axvline(0, color=BLACK, lw=0.8)
        ax.set_title(SHOWN.get(condition, condition))
        ax.set_xlabel("← helps      change of smallest eps (G)      harms →", fontsize=8)
    signed_log(axes[0, 0], table[["change", "low", "high"]].to_numpy(float), linear)
    drawing.name_rows(axes[0, 0], methods)
    return drawing.finish(fig, axes[0, 0], title, kind_entries(kinds, ": mean, 95 % interval"))


@drawing.style()
def crossing_figure(table, across: str, levels=None, *, eps: float = TOLERANCE, title: str = ""):
    """Excess over the chord along t where the condition is crossed, with the mean of two seeds; two panels per method.

    ``table`` is an `along_table` of the condition ``across``, drawn thick and its pairs thin, and of ``random``, whose
    mean is dotted. ``levels`` is a `tables.levels_table`: where the retrained models are beside the chords of
    ``across``. All panels have one scale, linear to ``eps``, then logarithmic; what MCU(eps) forbids is hatched.
    """
    drawing.check_columns(table, ("condition",))
    ours, base = where(table, condition=across), where(table, condition="random")
    drawing.check_some(ours, f"walks of {across}")
    fig, panels = excess_panels(ours, None if levels is None else where(levels, condition=across), eps)
    for ax, method, split in panels:
        _along_panel(ax, where(ours, method=method), where(base, method=method), f"{split}_excess")
    keys = [*kind_entries(kinds_of(ours)), entry("", GREY, "two seeds, mean", ls=DOTTED)]
    return drawing.finish(fig, fig.axes[0], title, keys)


def _along_panel(ax, ours, base, column: str) -> None:
    for kind in kinds_of(ours):
        colour, rows = colour_of(kind), where(ours, curve=kind)
        for _, one in rows.groupby("pair", sort=False):
            ax.plot(one["t"], one[column], color=colour, lw=0.7, alpha=0.45)
        two = where(base, curve=kind).groupby("t")[column].mean()
        ax.plot(two.index, two, color=colour, lw=1.6, ls=DOTTED, zorder=2.5)
        mean = rows.groupby("t")[column].mean()
        ax.plot(mean.index, mean, color=colour, lw=2.2, zorder=2.4, **drawing.marks_of(kind, len(mean), 4))


def _both(study: Study) -> list[Spec]:
    return [*profiles(study, curriculum(study)), *references(study)]


ROOMS = (
    Room("03_curriculum", curriculum, references, {"C5": c5}),
    # C7 takes both
    Room("04_second_order", second_order, _both, {"C6": c6, "C7": c7}),
)
