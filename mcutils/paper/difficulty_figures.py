"""Tables and figures of 12, from the walks and numbers of `difficulty.gather`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from ..measures import drawing
from ..measures.difficulty import TERCILES, terciles
from ..measures.drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    entry,
    finish,
    label,
    panel_grid,
)
from ..measures.intervals import Interval
from ..measures.originals import student
from ..measures.outcomes import OUTCOMES
from . import difficulty as room
from .admission import admitted
from .between_models import nearer
from .claims import interval_text
from .difficulty import Difficulty
from .graded_sets import CLASS, GRADINGS, set_of
from .tables import Table, answer_text, frame
from .trials import RANKED
from .walks import Walk

COLOURS = dict(zip(TERCILES, (SKY, BLUE, BLACK), strict=True))
GRADED_BY = dict(zip(GRADINGS, ("o", "s"), strict=True))  # markers
SAID = {
    "js": "JS to retrained (bits)",
    "missed": "1 - ToW",
    "steps": "steps to the retrained level",
    "area": "regained by an attack",
}
SMOOTH = {"variation": "excess variation", "roughness": "roughness", "persistence": "persistence", "smad": "SMAD"}
ORIGINALS = (BLUE, ORANGE, GREEN, VERMILLION)  # colours, over and over


def colour(original: int) -> str:
    """The colour of an original."""
    return ORIGINALS[original % len(ORIGINALS)]


# Tables


def proxies_table(found: Difficulty) -> Table:
    """Spearman's correlation over the forget targets of memorisation with each proxy, its sign such that high is hard.

    Low confidence, certainty and correctness are hard, and high EL2N. ``learned`` is the share of epochs left when an
    example is right for good.
    """
    from scipy.stats import spearmanr

    known = np.isfinite(found.targets.memorisation)
    rows = []
    for name, values in found.targets.learned.items():
        sign = 1.0 if name == "el2n" else -1.0
        told = spearmanr(found.targets.memorisation[known], sign * np.asarray(values)[known]).statistic
        rows.append((name, "high" if sign > 0 else "low", int(known.sum()), float(told)))
    return frame(rows, ["proxy", "hard is", "examples", "rank correlation with memorisation"], "proxy").round(2)


def sets_table(walks: Sequence[Walk], found: Difficulty) -> Table:
    """Per graded set: what predicts its difficulty, and its outcomes; means over originals and methods.

    ``read`` counts the lines that C20 may read, see `difficulty.graded_walks`.
    """
    forms = list(dict.fromkeys(w.form for w in walks if set_of(w.form)[0] in GRADINGS))
    kept = room.graded_walks(walks)
    rows = []
    for form in forms:
        told = [v for (_, name), v in found.predictors.items() if name == form]
        outcomes = [v for (_, name, _), v in found.outcomes.items() if name == form]
        reached = [one["steps"] for one in outcomes if np.isfinite(one["steps"])]
        means = [float(np.mean([one[k] for one in told])) for k in room.PREDICTORS]
        ends = [float(np.mean([one[k] for one in outcomes])) for k in ("js", "missed", "area")]
        arrived = f"{np.median(reached):.0f} ({len(reached)} of {len(outcomes)})" if reached else "never"
        counts = f"{sum(w.form == form for w in kept)} of {len(outcomes)}"
        rows.append((form, *(round(v, 3) for v in (*means, *ends)), arrived, counts))
    columns = ["set", "coherence", "memorisation", "log ES", "JS (bits)", "1 - ToW", "regained", "steps", "read"]
    return frame(rows, columns, "set")


def lines_table(walks: Sequence[Walk], found: Difficulty, measure: str = "variation") -> Table:
    """One row a line that may be read: original, method, grading, grade, its wiggles, and every outcome.

    All on graded sets where none may be read, see `difficulty.seen`.
    """
    rows = []
    for w in room.seen(walks)[0]:
        told = found.outcomes[w.original, w.form, w.method]
        rows.append((w.original, w.method, *set_of(w.form), room.wiggles(w, measure), *(told[k] for k in OUTCOMES)))
    return frame(rows, ["original", "method", "grading", "grade", "wiggles", *OUTCOMES])


def signs_table(walks: Sequence[Walk], found: Difficulty) -> Table:
    """C20 by every measure of smoothness and every outcome: rank correlation, its interval, and the word it would have.

    The first of both is the ledger's; the others decide nothing.
    """
    rows = []
    for measure, outcome in product(room.SMOOTHNESS, OUTCOMES):
        one = room.c20_row(walks, found, measure, outcome)
        rows.append((measure, outcome, *one.effect, one.n_originals, one.verdict))
    return frame(rows, ["smoothness", "outcome", "estimate", "low", "high", "originals", "word"])


def examples_table(walks: Sequence[Walk], found: Difficulty) -> Table:
    """How much single examples wiggle, by thirds of their memorisation within a line on the sets graded by it.

    One row for each original, method and third: ``wiggles``, the mean excess variation of its examples' own losses in
    nats, and ``rho``, Spearman's correlation over all examples of the three sets of an original and method.
    """
    from scipy.stats import spearmanr

    memorised = dict(zip(found.targets.rows.tolist(), found.targets.memorisation.tolist(), strict=True))
    read = {(w.original, w.form, w.method) for w in room.seen(walks)[0]}
    pooled: dict[tuple[int, str], list[tuple[np.ndarray, np.ndarray]]] = {}
    for (original, form, method), (rows, values) in found.examples.items():
        if set_of(form)[0] == "memorisation" and (original, form, method) in read:
            scores = np.array([memorised.get(int(row), np.nan) for row in rows])
            pooled.setdefault((original, method), []).append((scores, np.asarray(values, float)))
    lines = []
    for (original, method), parts in pooled.items():
        scores, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        thirds, known = terciles(scores), np.isfinite(scores)
        rho = float(spearmanr(scores[known], values[known]).statistic) if known.sum() > 2 else np.nan
        means = [float(values[thirds == k].mean()) if (thirds == k).any() else np.nan for k in range(3)]
        lines += [(original, method, name, mean, rho) for name, mean in zip(TERCILES, means, strict=True)]
    return frame(lines, ["original", "method", "third", "wiggles", "rho"])


def recalls_table(walks: Sequence[Walk], found: Difficulty) -> Table:
    """One row for each original, method and t: recall of the forgotten class by a probe, and that of retrained models.

    ``read``: whether N5 may read the line.
    """
    read = {(w.original, w.method) for w in admitted([w for w in walks if w.form == CLASS])}
    rows = []
    for (original, method), values in found.recalls.items():
        beside = float(np.mean(found.beside[original]))
        for t, value in zip(np.linspace(0, 1, len(values)), values, strict=True):
            rows.append((original, method, float(t), float(value), beside, (original, method) in read))
    return frame(rows, ["original", "method", "t", "recall", "retrained", "read"])


def merging_table(walks: Sequence[Walk], found: Difficulty) -> Table:
    """One row for each line from an over- to an under-forgotten model: what halfway and the chosen t gain, in bits."""
    rows = []
    for w in admitted([w for w in walks if w.other and not w.form], kind="linear"):
        if room.apart_in_forgetting(w):
            told = found.distances[w.original, w.label]
            mean = np.asarray(told, float).mean(axis=0)
            gains = [nearer(w, told, at) for at in ("middle", "chosen")]
            rows.append((w.original, w.label, float(min(mean[0], mean[-1])), *gains))
    return frame(rows, ["original", "pair", "nearer end", "middle", "chosen"])


def merging_shown(table: Table) -> Table:
    """`merging_table` by pair: originals, distance of the nearer end, and what both points add to it, in bits."""
    rows = [
        (pair, len(part), *(float(part[k].mean()) for k in ("nearer end", "middle", "chosen")))
        for pair, part in table.groupby("pair", sort=False)
    ]
    return frame(rows, ["pair", "originals", "nearer end", "middle", "chosen"], "pair").round(4)


# Figures


@drawing.style()
def wiggles_figure(table: Table, title: str = ""):
    """Wiggles of the forget loss beside the distance to retraining, a panel an original; ``table`` of `lines_table`."""
    drawing.check_columns(table, ("original", "grading", "grade", "wiggles", "js"))
    originals = sorted(set(table["original"]))
    fig, axes = panel_grid(1, len(originals), 2.9, sharex=True, sharey=True)
    for ax, original in zip(axes[0], originals, strict=True):
        for one in drawing.where(table, original=original).itertuples():
            ax.plot(one.js, one.wiggles, GRADED_BY[one.grading], color=COLOURS[one.grade], ms=4.5, mew=0, alpha=0.8)
        ax.set_title(f"original {original}")
        ax.set_xlabel(SAID["js"])
    axes[0, 0].set_ylabel("excess variation of the forget loss,\nin what was forgotten")
    drawing.widen(axes[0, 0], 0.2)
    keys = [entry("o", COLOURS[grade], f"{grade} grade") for grade in TERCILES]
    keys += [entry(marker, GREY, f"by {name}") for name, marker in GRADED_BY.items()]
    return finish(fig, axes[0, 0], title, keys)


@drawing.style()
def outcomes_figure(table: Table, title: str = ""):
    """Each outcome by grade and grading: an original's mean over methods as a dot, and their mean with its interval."""
    drawing.check_columns(table, ("original", "grading", "grade", *OUTCOMES))
    fig, axes = panel_grid(1, len(OUTCOMES), 2.8)
    for ax, outcome in zip(axes[0], OUTCOMES, strict=True):
        for k, (grading, marker) in enumerate(GRADED_BY.items()):
            part = drawing.where(table, grading=grading)
            part = part[np.isfinite(part[outcome])]
            for x, grade in enumerate(TERCILES):
                each = drawing.where(part, grade=grade).groupby("original")[outcome].mean()
                _with_interval(ax, x + 0.2 * k - 0.1, each.to_numpy(), (BLUE, VERMILLION)[k], marker)
        ax.set_xticks(range(3), TERCILES)
        ax.set_title(SAID[outcome], fontsize=8.5)
    marks = zip(GRADED_BY.items(), (BLUE, VERMILLION), strict=True)
    keys = [entry(marker, shade, f"by {name}, mean and 95 %") for (name, marker), shade in marks]
    return finish(fig, axes[0, 0], title, [*keys, entry("o", GREY, "one original", ms=3)])


def _with_interval(ax, x: float, values: np.ndarray, shade: str, marker: str) -> None:
    """Numbers of originals as dots at x, and their mean with Student's interval."""
    values = values[np.isfinite(values)]
    if not len(values):
        return
    ax.plot(np.full(len(values), x + 0.05), values, "o", color=shade, ms=3, alpha=0.45, mew=0)
    mean, low, high = student(values)
    if np.isfinite([low, high]).all():
        ax.vlines(x, low, high, color=shade, lw=1.6)
    ax.plot(x, mean, marker, color=shade, ms=5.5, mec="white", mew=0.6, zorder=4)


@drawing.style()
def signs_figure(table: Table, title: str = ""):
    """The sign of C20 under every measure of smoothness and every outcome; ``table`` of `signs_table`."""
    drawing.check_columns(table, ("smoothness", "outcome", "estimate", "low", "high"))
    rows, columns = list(dict.fromkeys(table["smoothness"])), list(dict.fromkeys(table["outcome"]))
    values = table.pivot(index="smoothness", columns="outcome", values="estimate").loc[rows, columns].to_numpy(float)
    fig, axes = panel_grid(1, 1, 2.9)
    ax = axes[0, 0]
    drawn = ax.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for one in table.itertuples():
        known = np.isfinite((one.low, one.high)).all()  # one original has no interval
        words = interval_text((one.estimate, one.low, one.high), 2) if known else f"{one.estimate:.2f}"
        place = columns.index(one.outcome), rows.index(one.smoothness)
        dark = np.isfinite(one.estimate) and abs(one.estimate) > 0.6
        ax.text(*place, words.replace(" ", "\n", 1), ha="center", va="center", color="white" if dark else BLACK)
    ax.set_xticks(range(len(columns)), [SAID.get(name, name).replace(" to the ", " to the\n") for name in columns])
    ax.set_yticks(range(len(rows)), [SMOOTH.get(name, name) for name in rows])
    ax.grid(visible=False)
    fig.colorbar(drawn, ax=ax, label="rank correlation")
    return finish(fig, ax, title, [entry("", GREY, "mean over originals, 95 % interval")])


@drawing.style()
def predictors_figure(walks: Sequence[Walk], found: Difficulty, title: str = ""):
    """Each predictor of N3, and entanglement, beside the outcome: a mark is a graded set of an original."""
    outcome = room.by_set(room.outcome_rows(room.seen(walks)[0], found, "js"))
    drawing.check_some(outcome, "graded sets that may be read")
    names = {"coherence": "coherence of D_f's gradients", "memorisation": "mean memorisation", "entanglement": "log ES"}
    fig, axes = panel_grid(1, len(names), 2.9, sharey=True)
    for ax, (name, words) in zip(axes[0], names.items(), strict=True):
        for original, row in outcome.items():
            for form, value in row.items():
                marker = GRADED_BY[set_of(str(form))[0]]
                told = found.predictors[original, str(form)][name]
                ax.plot(told, value, marker, color=colour(original), ms=5, mec="white", mew=0.5)
        ax.set_xlabel(words)
    axes[0, 0].set_ylabel(SAID["js"])
    keys = [entry("o", colour(original), f"original {original}") for original in outcome]
    keys += [entry(marker, GREY, f"by {name}") for name, marker in GRADED_BY.items()]
    return finish(fig, axes[0, 0], title, keys)


@drawing.style()
def examples_figure(table: Table, title: str = ""):
    """How much single examples wiggle by thirds of their memorisation, a panel a method; of `examples_table`."""
    drawing.check_columns(table, ("original", "method", "third", "wiggles"))
    methods = list(dict.fromkeys(table["method"]))
    fig, axes = panel_grid(1, len(methods), 2.6, sharey=True)
    for ax, method in zip(axes[0], methods, strict=True):
        for x, third in enumerate(TERCILES):
            each = drawing.where(table, method=method, third=third)["wiggles"].to_numpy(float)
            _with_interval(ax, x, each, BLUE, "o")
        ax.set_xticks(range(3), TERCILES)
        ax.set_title(label(method), fontsize=8.5)
    axes[0, 0].set_ylabel("excess variation of an\nexample's own loss (nats)")
    axes[0, 0].set_ylim(bottom=0)
    keys = [entry("o", BLUE, "mean over originals, 95 %"), entry("o", GREY, "one original", ms=3)]
    return finish(fig, axes[0, 0], title, keys)


@drawing.style()
def recalls_figure(table: Table, title: str = ""):
    """Recall of the forgotten class by a probe on hidden features along lines, a panel an original; of `recalls_table`.

    Lines that fail the gate are faint; dash-dotted are the retrained models.
    """
    drawing.check_columns(table, ("original", "method", "t", "recall", "retrained", "read"))
    originals = sorted(set(table["original"]))
    fig, axes = panel_grid(1, len(originals), 2.9, sharey=True)
    methods = list(dict.fromkeys(table["method"]))
    shades = dict(zip(methods, (BLUE, VERMILLION, GREEN, ORANGE, SKY, BLACK) * len(methods), strict=False))
    for ax, original in zip(axes[0], originals, strict=True):
        part = drawing.where(table, original=original)
        for method, one in part.groupby("method", sort=False):
            faint = 1.0 if one["read"].all() else 0.25
            ax.plot(one["t"], 100 * one["recall"], "o-", color=shades[method], ms=4, alpha=faint)
        ax.axhline(100 * part["retrained"].iloc[0], color=PURPLE, ls=drawing.RETRAINED)
        ax.set(title=f"class {original} on original {original}", xlabel="t", ylim=(-3, 103))
    axes[0, 0].set_ylabel("recall by a probe (%)")
    keys = [entry("o", shades[method], label(method), ls="-") for method in methods]
    return finish(fig, axes[0, 0], title, [*keys, entry("", PURPLE, "retrained models", ls=drawing.RETRAINED)])


@drawing.style()
def merging_figure(table: Table, title: str = ""):
    """What merging an over- and an under-forgotten model adds to the nearer one's distance; of `merging_table`."""
    drawing.check_columns(table, ("original", "pair", "middle", "chosen"))
    pairs = list(dict.fromkeys(table["pair"]))
    fig, axes = panel_grid(1, 1, 1.3 + 0.32 * len(pairs))
    ax = axes[0, 0]
    for y, pair in enumerate(pairs):
        for k, (place, shade) in enumerate((("middle", BLUE), ("chosen", VERMILLION))):
            values = drawing.where(table, pair=pair)[place].to_numpy(float)
            told = frame([tuple(student(values))], ["estimate", "low", "high"])
            drawing.interval_row(ax, y + 0.3 * k - 0.15, values, told, shade, "os"[k])
    ax.axvline(0, color=BLACK, lw=0.9)
    drawing.name_rows(ax, [" to ".join(map(label, pair.split(" - "))) for pair in pairs])
    ax.set_xlabel("JS to retrained models minus that of the nearer end (bits): left of 0 merging helps")
    keys = [entry("o", BLUE, "t = 1/2"), entry("s", VERMILLION, "t at which D_f looks like validation data")]
    return finish(fig, ax, title, keys)


# Sentences


def over_originals(rows: Mapping[int, Sequence[float]]) -> Interval:
    """The mean over originals of the mean of each one's finite numbers, with Student's interval."""
    each = [float(np.nanmean(v)) for v in rows.values() if np.isfinite(v).any()]
    return student(np.array(each or [np.nan]), least=RANKED)


def examples_text(table: Table) -> str:
    """In how far memorised examples wiggle more, in a sentence."""
    if not len(table):
        return "No line on the sets graded by memorisation may be read."
    once = table.drop_duplicates(["original", "method"])
    rows = {int(o): part["rho"].tolist() for o, part in once.groupby("original")}
    told = interval_text(over_originals(rows), 2, "-")
    return (
        f"Rank correlation over single examples of memorisation with their own wiggles, mean over methods: {told}. "
        "(At 28 models the memorisation of one example has a standard error of up to 0.19.)"
    )


def read_text(walks: Sequence[Walk]) -> str:
    """How many lines on graded sets verdicts read, in a sentence."""
    kept, read = room.seen(walks)
    if read:
        return f"{len(kept)} lines on graded sets are read by verdicts."
    return f"**No line on a graded set may be read by a verdict; all {len(kept)} are shown.**"


def signs_text(table: Table) -> str:
    """How many of the ways to put C20 agree on a sign, in a sentence."""
    known = table[np.isfinite(table["estimate"])]
    if not len(known):
        return "No line on a graded set may be read, so C20 has no sign."
    first, clear = known.iloc[0], (known["low"] > 0) | (known["high"] < 0)
    same = np.sign(known["estimate"]) == np.sign(first["estimate"])
    sign = "more" if first["estimate"] > 0 else "less"
    told = interval_text(tuple(first[["estimate", "low", "high"]]), 2, f"{first['estimate']:.2f}, no interval")
    count, own, other = (int(one.sum()) for one in (same, same & clear, ~same & clear))
    return (
        f"By excess variation and JS, which decide, lines wiggle **{sign}** where unlearning is harder: rank "
        f"correlation {told}. Of {len(known)} ways to put it {count} have this sign, {own} of these and {other} of the "
        "others with an interval without 0."
    )


def within_methods(walks: Sequence[Walk], found: Difficulty) -> Interval:
    """C20's rank correlation over the sets of one method alone, three or more, mean over methods and originals.

    Decides nothing: it says how much of C20 is a difference between methods.
    """
    from scipy.stats import spearmanr

    table = lines_table(walks, found)[["original", "method", "wiggles", "js"]].dropna()
    rows: dict[int, list[float]] = {}
    for (original, _), part in table.groupby(["original", "method"], sort=False):
        if len(part) >= 3 and min(part["wiggles"].nunique(), part["js"].nunique()) > 1:
            rows.setdefault(int(original), []).append(float(spearmanr(part["wiggles"], part["js"]).statistic))
    return over_originals(rows)


def of_all_lines(walks: Sequence[Walk], found: Difficulty, predictor: str) -> Interval:
    """N3's rank correlation over sets with every method's line in the mean, whether a verdict may read it or not.

    Decides nothing: which methods' ends kept what they should differs between sets, and methods differ in JS.
    """
    from scipy.stats import spearmanr

    rows = {}
    for original, row in room.by_set(room.outcome_rows(room.on_sets(walks), found)).items():
        told = [found.predictors[original, str(form)][predictor] for form in row]
        if len(row) >= 3 and min(np.ptp(told), np.ptp([*row.values()])) > 0:
            rows[original] = [float(spearmanr(told, [*row.values()]).statistic)]
    return over_originals(rows)


def answer(walks: Sequence[Walk], found: Difficulty, signs: Table) -> str:
    """Expected, found, and so, in Markdown."""
    n3 = {name: (room.n3_row(walks, found, name).effect, of_all_lines(walks, found, name)) for name in room.PREDICTORS}
    told = "; ".join(
        f"{name} {interval_text(one, 2)} ({interval_text(every, 2)} with the lines that no verdict reads)"
        for name, (one, every) in n3.items()
    )
    five, seven = room.n5_row(walks, found), room.n7_row(walks, found)
    parts = [
        signs_text(signs),
        f"Over the sets of one method alone it is {interval_text(within_methods(walks, found), 2, 'not known')}.",
        f"Rank correlation of the distance to retraining with each predictor of a set: {told}.",
        f"A probe recognises the forgotten class {interval_text([100 * v for v in five.effect], 1)} points better than "
        "in retrained models.",
        f"Halfway between an over- and an under-forgotten model the distance is {interval_text(seven.effect, 4)} bits "
        "beyond the nearer one's.",
    ]
    so = (
        "Difficulty is read here on sets of 500 and four originals: a correlation below 0.3 is not told from none; "
        "of single examples only thirds are compared."
    )
    expected = (
        "RUM: what is memorised is hard to unlearn. Chang and Khanna: what is incoherent, as memorised examples are, "
        "is easy. They cannot both be right on the same sets."
    )
    return answer_text(expected, " ".join(parts), so)
