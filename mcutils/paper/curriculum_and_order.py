"""03 and 04: what a curriculum or a second-order optimiser does to connectivity (C5, C6, C7, E4 of `declared`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np

from ..engine.specs import Spec, UnlearnedSpec
from ..engine.study import Study
from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, GREEN, GREY, LIGHT, ORANGE, PURPLE, colour_of, entry, kinds_of, label, where
from ..measures.originals import student
from ..settings import Plan
from . import tables
from .admission import reasons, shown
from .claims import spread
from .declared import MARGIN, differences
from .judging import pair_of, sound, usable
from .panels import (
    HEADINGS,
    SHOWN,
    excess_panels,
    failing_entries,
    kind_entries,
    mark_failing,
    shade_rows,
    signed_log,
    spread_row,
    tolerance_line,
)
from .room import Room
from .seeds import READ_AS, failing
from .tables import (
    MEASURES,
    Table,
    end_names,
    excess_table,
    frame,
    grouped,
    joined_text,
    paths_table,
    roughness_text,
    summary_by_original,
)
from .trials import ERROR, over_originals
from .verdicts import READ
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
FORMS = {"": "as judged", TUNED: "at a rate tuned for it", PARTNER: "at its partner's rate"}
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


# Tables


def condition_table(walks: Sequence[Walk], conditions: Sequence[str], eps: float = TOLERANCE) -> Table:
    """`tables.paths_table` of the walks of these conditions, read alike; ``read`` says whether verdicts read them.

    That column is there where all profiles hold what the gate asks for.
    """
    ours = plain_walks(walks, conditions)
    table = paths_table(_alike(ours), eps)
    known = all(w.profile.levels and w.profile.original for w in ours)
    return table.assign(read=[not reasons(w) for w in ours]) if known else table


def plain_walks(walks: Sequence[Walk], conditions: Sequence[str]) -> list[Walk]:
    """The sound walks of these conditions in our own form, condition by condition."""
    return [w for name in conditions for w in sound(walks, condition=name, form="", full=False)]


def _alike(walks: Iterable[Walk]) -> list[Walk]:
    """Walks as they are compared: whatever they were traced at, read at `COARSE` points."""
    return [w.at(COARSE) for w in walks]


def condition_summary(walks: Sequence[Walk], conditions: Sequence[str]) -> Table:
    """Mean over originals and interval of each measure per condition, method and curve; n is the number of walks.

    Of the walks that verdicts read, or of all where they read none (`admission.shown`).
    """
    groups = grouped(plain_walks(walks, conditions), "condition", "method", "kind")
    kept = [w for part in groups.values() for w in shown(part)[0]]
    return summary_by_original(_alike(kept), "condition", "method", "kind")


def effect_of(change: float, edge: float = MARGIN) -> str:
    """What a change of the smallest eps, in G, does to connectivity: ``helps``, ``harms`` or ``neither``."""
    return "helps" if change <= -edge else "harms" if change >= edge else "neither"


def changes_table(walks: Sequence[Walk], conditions: Sequence[str], reading: str = "chord") -> Table:
    """Per condition, method and curve: eps minus that of ``random`` with the same seeds, mean over originals, interval.

    Of the walks that verdicts read (`declared.differences`). ``effect`` is what the mean does at 0.05 G, see
    `effect_of`; ``clear`` says whether the whole interval agrees, ``n`` counts originals.
    """
    rows = []
    for condition in conditions:
        contexts: dict[tuple[str, str], list[float]] = {}
        for (_, context), number in differences(walks, condition, reading).items():
            contexts.setdefault(context, []).append(number)
        for context, numbers in contexts.items():
            found = student(numbers, least=ERROR)
            words = [effect_of(v) for v in found]
            rows.append((condition, *context, *found, words[0], len(set(words)) == 1, len(numbers)))
    columns = ["condition", "method", "curve", "change", "low", "high", "effect", "clear", "n"]
    return frame(rows, columns).astype({"change": float, "low": float, "high": float, "clear": bool})


def changes_shown(walks: Sequence[Walk], condition: str) -> Table:
    """Per method and curve: eps of ``random`` and of the condition, the paired change, its effect, and the roughness.

    A question mark follows an effect with which the interval of the change does not wholly agree. Roughness is that of
    the forget loss, the median from ``random`` to the condition. Of the walks that verdicts read.
    """
    ours = [w for w in plain_walks(walks, ("random", condition)) if not reasons(w)]
    groups = grouped(_alike(ours), "condition", "method", "kind")
    rows = []
    for one in changes_table(walks, [condition]).itertuples():
        here = [groups[name, one.method, one.curve] for name in ("random", condition)]
        levels = (f"{over_originals(part, attrgetter('eps')).estimate:.3f}" for part in here)
        change, word = spread((one.change, one.low, one.high)), one.effect + ("" if one.clear else "?")
        smooth = " to ".join(map(roughness_text, here))
        rows.append((one.method, one.curve, *levels, change, word, smooth, one.n))
    columns = ["method", "curve", "eps, random", f"eps, {condition}", "change", "effect", "roughness", "originals"]
    return frame(rows, columns, ["method", "curve"])


def changes_text(table: Table) -> str:
    """In how many contexts of a `changes_table` each condition helps, harms or does neither, as a Markdown list."""
    lines = []
    for condition, part in table.groupby("condition", sort=False):
        counts = []
        for word in ("helps", "harms", "neither"):
            kind = part[part["effect"] == word]
            clear = f" ({int(kind['clear'].sum())} of them by the whole interval)" if len(kind) else ""
            counts.append(f"{word} in {len(kind)}{clear}")
        lines.append(f"- `{condition}`, {len(part)} contexts of one method and curve: {', '.join(counts)}.")
    return "\n".join(lines) or "No pair was walked in both conditions."


def counted_text(walks: Sequence[Walk], conditions: Sequence[str]) -> str:
    """On how many paths the smallest eps rises or falls beside the same two seeds, in counts, as a Markdown list."""
    lines = []
    for condition in conditions:
        numbers = list(differences(walks, condition, "chord").values())
        words = [effect_of(number) for number in numbers]
        lines.append(
            f"- {SHOWN[condition]} (`{condition}`): beside the same two seeds the smallest eps rises by {MARGIN:g} G "
            f"or more on **{words.count('harms')} of {len(numbers)} paths** and falls by as much on "
            f"{words.count('helps')}."
        )
    return "\n".join(lines)


def failing_across(walks: Sequence[Walk], across: str) -> list[str]:
    """The methods none of whose walks of a condition a verdict may read."""
    return failing([replace(w, control="") for w in plain_walks(walks, (across,))])


def ends_table(walks: Sequence[Walk], across: str) -> Table:
    """Whether the ends of a condition are different models, per method, means over originals.

    ``read``: how many walks verdicts read; accuracies in % of both ends on the forget set; how much of G both ends
    forgot, see `closed`; the distance between the ends, and how many times that of the same two seeds under ``random``
    it is, with an interval; the cosine of their task vectors, and that under ``random``.
    """
    base = {pair_of(w): w for w in sound(walks, kind="linear", condition="random", form="", full=False)}
    names, rows = end_names(across), []
    lines = sound(walks, kind="linear", condition=across, form="", full=False)
    for (method,), part in grouped(lines, "method").items():
        ours = [w for w in part if pair_of(w) in base]
        if not ours:
            continue
        row = {"method": method}
        known = all(w.profile.levels and w.profile.original for w in ours)
        row |= {"read": f"{sum(not reasons(w) for w in ours)} of {len(ours)}"} if known else {}
        ends = np.mean([w.profile.connectivity.curves["accuracy_forget"][[0, -1]] for w in ours], axis=0)
        row |= {f"{name}: forget %": f"{100 * value:.1f}" for name, value in zip(names, ends, strict=True)}
        if all(w.profile.levels for w in ours):
            row |= {
                f"{name}: forgot, G": f"{one.round(2) + 0.0:.2f}" for name, one in zip(names, closed(ours), strict=True)
            }
        both = [w.profile.geometry for w in ours], [base[pair_of(w)].profile.geometry for w in ours]
        far, near = (np.array([one["distance"] for one in found]) for found in both)
        row |= {"distance": f"{far.mean():.2f}", "of two seeds'": spread(student(far / near), 2)}
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
    """The straight lines of a condition beside other forms of it, for methods that have them, on the same originals.

    Forms are the authors' and the other learning rate (`TUNED`, `PARTNER`). Per method and form, over originals: mean
    forget loss of the changed end in G, see `closed`; eps, its change beside the same two seeds, the median roughness,
    and how many walks a verdict might read, since ends at the other rate may fail the gate.
    """
    lines = [w for w in sound(walks, kind="linear", condition=across, full=False) if not w.aside]
    base = {pair_of(w): w.at(COARSE) for w in sound(walks, kind="linear", condition="random", form="", full=False)}
    changed = end_names(across).index({"cl-non_cl": "curriculum", "fo-so": "second order"}[across])
    rows = []
    for (method,), part in grouped(lines, "method").items():
        forms = grouped([w for w in part if pair_of(w) in base], "form")
        some = {pair_of(w) for (form,), ours in forms.items() if form for w in ours}
        for (form,), ours in forms.items():
            chosen = [w for w in ours if pair_of(w) in some]
            kept = _alike(chosen)
            if not kept:
                continue
            change = [w.eps - base[pair_of(w)].eps for w in kept]
            known = all(w.profile.levels and w.profile.original for w in kept)
            forgot = f"{closed(kept)[changed]:.2f}" if known else "-"
            read = f"{sum(not reasons(w) for w in chosen)} of {len(kept)}" if known else f"- of {len(kept)}"
            cells = f"{np.mean([w.eps for w in kept]):.3f}", spread(student(change)), roughness_text(kept)
            rows.append((method, FORMS.get(form, form), forgot, *cells, read))
    columns = ["method", "form", "forgot, G", "eps", "change", "roughness", "read"]
    return frame(rows, columns, columns[:2])


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
            rows.append((ends, kind, *cells, change, roughness_text(ours), len(ours)))
    return frame(rows, ["ends", "curve", *MEASURES, "change", "roughness", "originals"], ["ends", "curve"])


def thinned_text(walks: Sequence[Walk]) -> str:
    """How much the smallest eps of the finely traced walks changes when they are read as coarsely as the others."""
    ours = sound(walks)
    counts = sorted({len(w.profile.t) for w in ours})
    if len(counts) < 2:
        return f"All walks have {', '.join(map(str, counts)) or 'no'} points."
    fine = [w for w in ours if len(w.profile.t) > counts[0]]
    most = max(w.eps - w.at(counts[0]).eps for w in fine)
    return (
        f"{len(fine)} walks have {counts[-1]} points and {len(ours) - len(fine)} have {counts[0]}; a maximum over "
        f"fewer points is at most as large, so all are compared at {counts[0]}. Read so, the finer walks' smallest eps "
        f"falls by {most:.3f} G at most."
    )


def answer_text(routes: Sequence[Route], walks: Sequence[Walk], across: str, eps: float = TOLERANCE) -> str:
    """What was expected of a crossing, what was found by every reading, and what follows, in Markdown.

    Of the walks that verdicts read; ``walks`` are those of ``routes``.
    """
    lines = {
        name: _alike(w for w in plain_walks(walks, (name,)) if w.kind == "linear" and not reasons(w))
        for name in (across, "random")
    }
    (ours, base), wide = lines.values(), f"more than {eps:g} G"
    rises, others = (sum(w.barrier > eps for w in part) for part in (ours, base))
    dips, dipped = ([w for w in part if w.deficit > eps] for part in (ours, base))
    below = sum(w.deficit_by("floor") > eps for w in dips)
    counts = (f"{joined_text(ours, eps, one)} and {joined_text(base, eps, one)} {READ_AS[one]}" for one in READ)
    table = changes_table(walks, (across,))
    helps, harms = (int((table["effect"] == word).sum()) for word in ("helps", "harms"))
    return tables.answer_text(
        f"If {WHAT[across]} leads into another basin, lines across it have a retain barrier that lines "
        "between two seeds lack.",
        f"A retain barrier of {wide} stands on {rises} of {len(ours)} lines across and on {others} of {len(base)} "
        f"between two seeds; a forget deficit of {wide} on {len(dips)} and {len(dipped)}, {below} of the {len(dips)} "
        "across with a loss that far below the level of the retrained models too. Connected are, across and between "
        f"two seeds: {', '.join(counts)}. In {harms} of {len(table)} contexts (method, curve) the smallest eps rises "
        f"on average by {MARGIN:g} G or more, in {helps} it falls by as much. The median line has a roughness of "
        f"{roughness_text(ours)} G² across and {roughness_text(base)} G² between two seeds.",
        _so(routes, walks, ours, across, eps),
    )


def _so(
    routes: Sequence[Route], walks: Sequence[Walk], lines: Sequence[Walk], across: str, eps: float = TOLERANCE
) -> str:
    """What follows from the read lines across, and what could be behind it: step sizes, ends that fail the gate."""
    groups = {method: part for (method,), part in grouped(lines, "method").items()}
    counts = {label(m): (sum(w.barrier > eps for w in part), len(part)) for m, part in groups.items()}
    high = [f"{name} ({count} of {n})" for name, (count, n) in counts.items() if count]
    if not lines:
        parts = ["Verdicts read no line across, so nothing follows."]
    elif high:
        parts = [f"Retain barriers across: {', '.join(high)}."]
    else:
        parts = [
            f"No line across has a retain barrier above {eps:g} G: nothing here says that {WHAT[across]} leads into "
            "another basin."
        ]
    plans = {r.method: _plans(r) for r in routes if r.condition == across and not (r.form or r.full)}
    rates = {label(m): [plan.lr for plan in pair] for m, pair in plans.items() if len(pair) == 2}
    other = [f"{name} ({a:g} and {b:g})" for name, (a, b) in rates.items() if a != b]
    if other:
        parts.append(
            f"The learning rates of the two ends differ in {', '.join(other)}: there {WHAT[across]} and the step size "
            "are not told apart."
        )
    left = [w for w in plain_walks(walks, (across,)) if w.kind == "linear" and reasons(w)]
    if left:
        failed = {label(m): len(part) for (m,), part in grouped(left, "method").items()}
        named = ", ".join(f"{name} ({n})" for name, n in failed.items())
        parts.append(f"Lines across that no verdict reads, and that nothing here counts: {named}.")
    return " ".join(parts)


def _plans(route: Route) -> list[Plan]:
    ends = (route.path.start, route.path.end)
    return [end.settings.plan for end in ends if isinstance(end, UnlearnedSpec)]


def roughest(routes: Sequence[Route], walks: Sequence[Walk], across: str) -> Route:
    """The route across a condition with the largest smallest eps of those that verdicts read, of all if they read none.

    Of the walks traced most finely.
    """
    found = {id(w): route for route, w in zip(routes, walks, strict=True)}
    ours = sound(walks, condition=across, form="")
    most = max(len(w.profile.t) for w in ours)
    kept, _ = shown([w for w in ours if len(w.profile.t) == most])
    return found[id(max(kept, key=attrgetter("eps")))]


def along_table(walks: Sequence[Walk], conditions: Sequence[str]) -> Table:
    """`tables.excess_table` of the sound walks of these conditions, all at the same t."""
    table = excess_table(_alike(plain_walks(walks, conditions)))
    return table.assign(t=table["t"].astype(float).round(9))


# Figures


@drawing.style()
def conditions_figure(
    table,
    summary,
    conditions: Sequence[str],
    *,
    threshold: float = TOLERANCE,
    failing: Collection[str] = (),
    title: str = "",
):
    """Retain barrier and forget deficit of each condition side by side: a row per method, a row of panels per curve.

    ``table`` is a `condition_table`, ``summary`` a `condition_summary`; the first of ``conditions`` is the reference.
    Paths that no verdict reads are crosses, and methods that are ``failing`` the endpoint gate are marked.
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
                    rows, found = where(table, **here), where(summary, **here, measure=measure)
                    read = rows["read"].to_numpy() if "read" in rows else np.ones(len(rows), dtype=bool)
                    spread_row(ax, height, rows[measure][read], found, *PLACES[k])
                    ax.plot(rows[measure][~read], [height + 0.09] * int((~read).sum()), "x", color=PLACES[k][0], ms=3)
            shade_rows(ax, len(methods))
            tolerance_line(ax, threshold)
            ax.set_title(f"{label(kind)}: {HEADINGS[measure]}")
    for ax, measure in zip(axes[-1], ("barrier", "deficit"), strict=True):
        signed_log(ax, np.r_[table[measure], where(summary, measure=measure)["high"]], threshold)
        ax.set_xlabel(f"{HEADINGS[measure]} (G): linear to {threshold:g}, then log")
    drawing.name_rows(axes[0, 0], methods)
    mark_failing(axes[0, 0], methods, failing)
    keys = [entry(m, c, SHOWN.get(n, n), ls="-") for n, (c, m) in zip(conditions, PLACES, strict=False)]
    keys += [entry("o", GREY, "one pair", ms=3)]
    crossed = "read" in table and not table["read"].all()
    keys += [entry("x", GREY, "an end fails the gate", ms=3)] if crossed else []
    return drawing.finish(fig, axes[0, 0], title, [*keys, *failing_entries(failing)])


@drawing.style()
def changes_figure(table, *, edge: float = MARGIN, linear: float = TOLERANCE, title: str = ""):
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
def crossing_figure(
    table, across: str, levels=None, *, eps: float = TOLERANCE, failing: Collection[str] = (), title: str = ""
):
    """Excess over the chord along t where the condition is crossed, with the mean of two seeds; two panels per method.

    ``table`` is an `along_table` of the condition ``across``, drawn thick and its pairs thin, and of ``random``, whose
    mean is dotted. ``levels`` is a `tables.levels_table`: where the retrained models are beside the chords of
    ``across``. All panels have one scale, linear to ``eps``, then logarithmic; what MCU(eps) forbids is hatched;
    methods that are ``failing`` the endpoint gate are marked.
    """
    drawing.check_columns(table, ("condition",))
    ours, base = where(table, condition=across), where(table, condition="random")
    drawing.check_some(ours, f"walks of {across}")
    drawn = table[table["condition"].isin((across, "random")) & table["method"].isin(set(ours["method"]))]
    fig, panels = excess_panels(drawn, None if levels is None else where(levels, condition=across), eps, failing)
    for ax, method, split in panels:
        _along_panel(ax, where(ours, method=method), where(base, method=method), f"{split}_excess")
    keys = [*kind_entries(kinds_of(ours)), entry("", GREY, "two seeds, mean", ls=DOTTED)]
    return drawing.finish(fig, fig.axes[0], title, [*keys, *failing_entries(failing)])


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
    Room("03_curriculum", curriculum, references),
    Room("04_second_order", second_order, _both),  # C7 takes both
)
