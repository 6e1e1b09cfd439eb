"""Up to permutation: what is left of barriers when one end's channels are renumbered; priced apart, as ``alignment``.

Shown in 09 where the store has it, and read by no verdict. Lines between models trained apart, those of C16 and the
negative control of 05, raw, as curve and to ends aligned by weights or by activations; networks of other widths; and
how many channels move where both ends were unlearned from one original.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from ..engine.costs import cost_of, form_of
from ..engine.specs import AlignedSpec, MetricSpec, OriginalSpec, Spec, plain
from ..engine.study import Study
from ..errors import BadInput
from ..measures import drawing
from ..measures.alignment import MATCHINGS
from ..measures.along import barrier
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, BLUE, GREEN, GREY, PURPLE, VERMILLION, entry, finish, panel_grid, where
from .admission import shown
from .claims import spread
from .panels import decades, dot_entry, originals_row
from .progress_and_retraining import CURVES, MARGIN, ORIGINALS, OTHER, PAIRS, SAME, progress, retraining_table
from .tables import Table, frame, over
from .walks import ALIGNED, APART, RETRAINED, SOME, Labels, Route, Walk, coarse, controls, labels_of, profiles, ring

WIDER = (1, 2, 4)  # times the preset's width
WIDE = 4  # originals of each width, in a ring
SHORTER = 4  # part of the training steps that originals of every width have there
LINE, CURVE = "line", "curve"
HOW = (LINE, CURVE, *MATCHINGS)
LOOKS = {LINE: (BLUE, "o"), CURVE: (VERMILLION, "s"), "weights": (GREEN, "^"), "activations": (PURPLE, "D")}
WORDS = {LINE: "line", CURVE: "curve", "weights": "line, aligned by weights", "activations": "by activations"}
# What is joined, in words -> control, condition and initial weights of its routes; of the last two the first few.
JOINED = {
    "two originals": ("", ORIGINALS, ""),
    "two retrained models": ("", PAIRS, OTHER),
    "unlearned and retrained": ("", CURVES, OTHER),
    "every method and retrained": ("", "retraining", OTHER),
    "unlearned from two originals": (APART, "random", ""),
    "every method and retrained, same init": ("", "retraining", SAME),
    "two retrained models, same init": (RETRAINED, "retrained", SAME),
}


# What is walked


def what_of(one: Labels) -> str:
    """The key of `JOINED` that a route or walk belongs to; empty for others, and for curves of a second objective."""
    place = one.control, one.condition, one.init
    return "" if one.objective else next((what for what, labels in JOINED.items() if labels == place), "")


def raw(study: Study) -> list[Route]:
    """The lines of 09 and 05 that are aligned, as these walk them, and the curves beside them.

    Of those to models retrained from the same initial weights only the ones on `SOME` originals.
    """
    found = [*progress(study), *(route for route in controls(study) if route.control == APART)]
    return [one for one in found if what_of(one) and (one.init != SAME or one.original < SOME)]


def aligned(study: Study) -> list[Route]:
    """Each line of `raw` to its end renumbered to be like its start, by each matching; no declared test reads them."""
    found = []
    for route, by in product((one for one in raw(study) if one.kind == "linear"), MATCHINGS):
        start, end = route.path.start, route.path.end
        path = study.path(start, study.aligned(end, start, by))
        found.append(replace(route, path=path, form=f"{ALIGNED} {by}", points=coarse(study)))
    return found


def inside(study: Study) -> dict[tuple[int, str, str], AlignedSpec]:
    """(original, method, matching) -> the second seed of a method aligned to the first, both of one original."""
    found = {}
    for original, method, by in product(study.originals, study.preset.fit, MATCHINGS):
        first, second = (study.unlearned(method, s, origin=study.original(original)) for s in study.seeds[:2])
        found[original, method, by] = study.aligned(second, first, by)
    return found


def widths(study: Study) -> tuple[int, ...]:
    """Once, twice and four times the preset's width, as far as its network takes them."""
    found = []
    for width in (times * study.preset.width for times in WIDER):
        try:
            cost_of(study.preset.model, width, *form_of(plain(study.data)))
        except BadInput:
            continue
        found.append(width)
    return tuple(found)


def wide(study: Study, width: int, seed: int) -> OriginalSpec:
    """An original model of a width, trained for a part of the preset's steps."""
    one = replace(study, preset=replace(study.preset, width=width)).original(seed)
    return replace(one, plan=replace(one.plan, steps=one.plan.steps // SHORTER))


def across(study: Study) -> dict[tuple[int, int, int, str], MetricSpec]:
    """(width, first, second, how) -> the retain loss in nats along the line between two originals of a width.

    In nats, since G would take retrained models of every width.
    """
    seeds = range(min(WIDE, study.preset.originals) if study.preset.originals > 1 else 2)
    found = {}
    for width, (first, second) in product(widths(study), ring(seeds)):
        start, end = (wide(study, width, seed) for seed in (first, second))
        ends = {LINE: end} | {by: study.aligned(end, start, by) for by in MATCHINGS}
        for how, one in ends.items():
            seen = study.trace(study.path(start, one), points=coarse(study), splits=("retain",))
            found[width, first, second, how] = MetricSpec(seen, "loss_retain")
    return found


def needs(study: Study) -> list[Spec]:
    """All that this section of 09 needs."""
    walked = profiles(study, [*raw(study), *aligned(study)])
    return [*walked, *inside(study).values(), *across(study).values()]


@dataclass(frozen=True)
class Found:
    """What was computed: ``walks`` raw and aligned, who ``moved`` inside a basin, barriers by ``widths`` in nats."""

    walks: list[Walk]
    moved: Table
    widths: Table


def look(study: Study) -> Found | None:
    """All of it from the store, or None where some is not there; nothing is computed."""
    if not all(spec in study.store for spec in needs(study)):
        return None
    routes, within, wider = [*raw(study), *aligned(study)], inside(study), across(study)
    found = iter(study.run([*profiles(study, routes), *within.values(), *wider.values()]))
    walks = [Walk(**labels_of(route), profile=next(found)) for route in routes]
    moved = [(*place, next(found).moved) for place in within]
    barriers = [(*place, _rise(next(found)["values"])) for place in wider]
    columns = ["width", "first", "second", "how", "barrier"]
    return Found(walks, frame(moved, ["original", "method", "by", "moved"]), frame(barriers, columns))


def _rise(values: np.ndarray) -> float:
    return float(barrier(values, np.linspace(0, 1, len(values))))


# Tables


def how_of(one: Labels) -> str:
    """How two models are joined: `LINE`, `CURVE` or, to an aligned end, the matching."""
    by = one.form.removeprefix(f"{ALIGNED} ") if one.form.startswith(ALIGNED) else ""
    return by or (LINE if one.kind == "linear" else CURVE)


def barriers(walks: Sequence[Walk]) -> Table:
    """One row per pair of models: what, method, original, pair, retain barrier in G by each of `HOW`, left and moved.

    ``left``: share of the line's barrier that is left when weights are matched, nan where the line has none above
    `TOLERANCE`; ``moved``: share of channels that this moves. Pairs with an end that fails the endpoint gate are left
    out, but for controls; nan where there is no such curve.
    """
    found: dict[tuple, dict[str, Walk]] = {}
    for w in walks:
        if what_of(w):
            found.setdefault((what_of(w), w.method, w.original, w.pair), {})[how_of(w)] = w
    lines = [one[LINE] for one in found.values() if LINE in one and not one[LINE].profile.collapsed]
    kept = {id(w) for w in (*shown([w for w in lines if not w.control])[0], *(w for w in lines if w.control))}
    rows = []
    for place, one in found.items():
        if LINE not in one or id(one[LINE]) not in kept:
            continue
        values = {how: one[how].barrier if how in one else np.nan for how in HOW}
        left = values["weights"] / values[LINE] if values[LINE] > TOLERANCE else np.nan
        moved = one["weights"].profile.geometry["renumbered"] if "weights" in one else np.nan
        rows.append((*place, *values.values(), left, moved))
    rows.sort(key=lambda row: list(JOINED).index(row[0]))
    return frame(rows, ["what", "method", "original", "pair", *HOW, "left", "moved"])


def barriers_shown(table: Table, eps: float = TOLERANCE) -> Table:
    """A table of `barriers` to be read: means over originals with intervals, and how many aligned lines are level."""
    rows = []
    for what, part in table.groupby("what", sort=False):
        cells = [spread(over(part, name), 2) if part[name].notna().any() else "-" for name in (*HOW, "left")]
        level = f"{int((part['weights'] <= eps).sum())} of {len(part)}"
        rows.append((what, *cells, f"{100 * part['moved'].mean():.0f}", level))
    columns = ["between", "line", "curve", "aligned by weights", "by activations", "share left (weights)"]
    return frame(rows, [*columns, "channels moved, %", f"level at {eps:g} G"], "between")


def moved_shown(table: Table) -> Table:
    """Share of channels in % that matching moves between two seeds of a method: mean over originals, largest."""
    rows = []
    for method, part in table.groupby("method", sort=False):
        cells = []
        for by in MATCHINGS:
            values = 100 * where(part, by=by)["moved"]
            cells += [f"{values.mean():.1f}", f"{values.max():.1f}"]
        rows.append((drawing.label(method), *cells))
    columns = [f"by {by}{word}, %" for by in MATCHINGS for word in ("", ", largest")]
    return frame(rows, ["method", *columns], "method")


def widths_shown(table: Table) -> Table:
    """Retain barriers in nats by width: means over the first of the two originals, with intervals."""
    rows = []
    for width, part in table.groupby("width", sort=False):
        by = {how: where(part, how=how) for how in (LINE, *MATCHINGS)}
        cells = [spread(over(one, "barrier", "first"), 2) for one in by.values()]
        means = {how: one["barrier"].mean() for how, one in by.items()}
        left = f"{100 * means['weights'] / means[LINE]:.0f}" if means[LINE] > 0 else "-"
        rows.append((width, *cells, left, len(by[LINE])))
    return frame(rows, ["width", *(WORDS[how] for how in (LINE, *MATCHINGS)), "left by weights, %", "pairs"], "width")


# In words


def to_run(study: Study) -> str:
    """What to run where nothing of this is stored."""
    name = study.preset.name
    return (
        "What is left of these barriers **up to permutation** of channels is not in this store: `python -m mcutils run "
        f"alignment --preset {name}` computes it, and `plan` in place of `run` says what that costs."
    )


def text(found: Found, eps: float = TOLERANCE) -> str:
    """What renumbering leaves of the barriers, of the control and of C16's count, and who moves inside a basin."""
    table = barriers(found.walks)
    parts = []
    for what, part in table.groupby("what", sort=False):
        if part["left"].notna().any():
            level = int((part["weights"] <= eps).sum())
            parts.append(
                f"{100 * part['left'].mean():.0f} % of the line's barrier between {what} "
                f"({part['weights'].mean():.2f} of {part[LINE].mean():.2f} G; {level} of {len(part)} at most {eps:g} G)"
            )
    told = f"With weights matched are left: {'; '.join(parts) or 'nothing, for no line has a barrier'}."
    control = where(table, what="unlearned from two originals")
    above = {how: int((control[how] > eps).sum()) for how in (LINE, *MATCHINGS)}
    holds = "holds up to permutation too" if min(above.values()) == len(control) else "is another one up to permutation"
    told += (
        f" The negative control is above {eps:g} G on {above[LINE]} of {len(control)} lines as they are, on "
        f"{above['weights']} by weights and {above['activations']} by activations: it {holds}. "
    )
    wide = f"Originals of all widths were trained for 1/{SHORTER} of the steps: they compare with each other alone."
    return f"{told}{_c16(found.walks)} {_inside(found.moved)} {wide}"


def _c16(walks: Iterable[Walk]) -> str:
    """C16's count on lines as they are and on the same lines aligned."""
    words = []
    for how in (LINE, "weights"):
        table = where(retraining_table([w for w in walks if w.init == SAME and how_of(w) == how]), init=SAME)
        ways = table[table["method"] != PAIRS]
        words.append(f"{int((ways['more'] > MARGIN).sum())} of {len(ways)}")
    return (
        f"Of the lines to models retrained from the same initial weights {words[0]} exceed what two such models have "
        f"by {MARGIN:g} G as they are, and {words[1]} once aligned."
    )


def _inside(moved: Table) -> str:
    words = []
    for by in MATCHINGS:
        part = where(moved, by=by)
        most = part.loc[part["moved"].idxmax()]
        words.append(
            f"{100 * part['moved'].mean():.1f} % of the channels by {by} (at most {100 * most['moved']:.1f} %, "
            f"{drawing.label(most['method'])})"
        )
    return f"Between two seeds of a method on one original matching moves {' and '.join(words)}."


# Figure


@drawing.style()
def figure(table: Table, wider: Table, *, threshold: float = TOLERANCE, title: str = ""):
    """Left, retain barriers of line, curve and aligned lines by what is joined; right, by width of the network.

    ``table`` is of `barriers`, ``wider`` of `Found.widths`: dots are pairs of models, means have 95 % intervals.
    """
    drawing.check_columns(table, ("what", "original", *HOW))
    drawing.check_columns(wider, ("width", "first", "how", "barrier"))
    kinds = list(dict.fromkeys(table["what"]))
    fig, axes = panel_grid(1, 2, 1.7 + 0.55 * len(kinds), gridspec_kw={"width_ratios": [1.5, 1]})
    left, right = axes[0]
    for (y, what), (j, how) in product(enumerate(kinds), enumerate(HOW)):
        part = where(table, what=what)
        if part[how].notna().any():
            originals_row(left, y + 0.2 * (j - 1.5), part, how, *LOOKS[how], 0.08)
    left.axvline(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")
    decades(left, table[list(HOW)].to_numpy(float).ravel(), threshold, least=3, inner=(0.5,))
    left.set(title="Models trained apart and the like", xlabel="retain barrier (G)")
    left.grid(axis="y", visible=False)
    drawing.name_rows(left, kinds)
    widths = list(dict.fromkeys(wider["width"]))
    for (x, width), (j, how) in product(enumerate(widths), enumerate((LINE, *MATCHINGS))):
        part = where(wider, width=width, how=how)
        mean, low, high = over(part, "barrier", "first")
        place, (colour, marker) = x + 0.2 * (j - 1), LOOKS[how]
        right.plot(np.full(len(part), place + 0.07), part["barrier"], "o", color=colour, ms=3, alpha=0.45, mew=0)
        if np.isfinite([low, high]).all():
            right.plot([place, place], [max(low, 0.0), high], color=colour, lw=1.6)
        right.plot(place, mean, marker, color=colour, ms=5, mec="white", mew=0.6, zorder=4)
    right.set_xticks(range(len(widths)), widths)
    right.set(title="Two originals, by width", xlabel="channels of the first layer", ylabel="retain barrier (nats)")
    right.set_ylim(0, None)
    keys = [entry(marker, colour, WORDS[how], ls="-") for how, (colour, marker) in LOOKS.items()]
    return finish(fig, left, title, [*keys, dot_entry(GREY, "one pair of models")])
