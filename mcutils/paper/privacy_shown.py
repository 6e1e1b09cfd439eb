"""10's tables, sentences and figures of attacks along paths; those of the shadow pool are in `privacy_pool_shown`."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..engine.study import Study
from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, BLUE, GREEN, GREY, PURPLE, VERMILLION, entry, finish, panel_grid, where
from ..measures.intervals import LEVEL
from ..measures.membership import priv_leak
from ..measures.originals import student
from ..measures.roc import FALSE_ALARMS
from . import privacy as room
from .claims import PROTOCOL, interval_text, power, power_text, spread
from .panels import FAILING, SERIES, dot_entry, dots_row, failing_entries, method_panels
from .privacy import ATTACK, BITS, CALLED_OUT, Privacy, beyond_ends, joined, lines_read, told_units
from .tables import Table, answer_text, frame
from .trials import row_means, table_of
from .walks import Route, Walk

TWIN = "fine-tuned twin"
WORDS = {
    "population": "",
    "svc/classifier": "SVC attack, share called members",
    "svc/threshold": "its one-threshold twin",
    "rmia/auc": "RMIA, AUC",
    "rmia/tpr": f"RMIA, TPR at {100 * FALSE_ALARMS:g} %",
}
NUMBERS = {"auc": "AUC", "tpr": f"TPR at {100 * FALSE_ALARMS:g} %", "accuracy": "accuracy"}
BIT_LOOKS = {0: (GREY, "o", "as they are"), 8: (BLUE, "s", "8 bits"), 4: (VERMILLION, "^", "4 bits")}


# Tables


def attack_words(name: str) -> str:
    """An attack's number in words: ``modified entropy, AUC``."""
    if name in WORDS:
        return WORDS[name]
    _, signal, number = name.split("/")
    return f"{signal.replace('_', ' ')}, {NUMBERS[number]}"


def attacks_table(walks: Sequence[Walk], privacy: Privacy, eps: float = TOLERANCE) -> Table:
    """Per attack: its number of original, unlearned and retrained models, and its range inside paths beyond the ends.

    Means over originals; of unlearned models, the ends that pass the gate, with the interval over originals; of
    retrained ones, in brackets, the range of all. ``beyond ends`` and ``twins`` are C14's statistic and its null, in
    units of what there was to unlearn by this attack, where it tells that at all. Only `ATTACK`'s is judged.
    """
    rows = []
    passed = {(w.original, w.method) for w in lines_read(walks) if w.condition == "random"}
    for name in privacy.attacks.names:
        along = privacy.attacks.along(name)
        ends = table_of({place: float(np.mean(pair)) for place, pair in along.ends.items() if place in passed})
        single = {o: [_read(one, name) for one in models] for o, models in privacy.attacks.retrained.items()}
        anew = [value for values in single.values() for value in values]
        own = np.mean([_read(one, name) for one in privacy.attacks.originals.values()])
        found = room.c14_row(walks, privacy, eps=eps, attack=name)
        null = "-" if found.null is None else interval_text(found.null, 2)
        told = interval_text(student(row_means(ends.values))) if ends.values.size else "-"
        retrained = f"{np.mean(anew):.3f} [{min(anew):.3f}, {max(anew):.3f}]"
        rows.append((attack_words(name), round(float(own), 3), told, retrained, interval_text(found.effect, 2), null))
    columns = ["attack", "original", "unlearned [95 %]", "retrained [range]", "beyond ends (A)", "twins (A)"]
    return frame(rows, columns, "attack")


def _read(arrays: Mapping[str, np.ndarray], name: str) -> float:
    value = float(np.ravel(arrays[name])[0])
    return 1 - value if name in CALLED_OUT else value


def along_table(privacy: Privacy, attack: str = ATTACK) -> Table:
    """One row per line and t: the attack's number; columns method, original, t, value."""
    parts = [
        {"method": method, "original": original, "t": t, "value": value}
        for (original, method), area in privacy.attacks.along(attack).areas.items()
        for t, value in zip(np.linspace(0, 1, len(area)), area, strict=True)
    ]
    return frame(parts, ["method", "original", "t", "value"])


def levels_of(privacy: Privacy, attack: str = ATTACK) -> dict[str, np.ndarray]:
    """An attack's number of all ``original`` and of all ``retrained`` models, one after another."""
    attacks = privacy.attacks
    anew = [_read(one, attack) for models in attacks.retrained.values() for one in models]
    return {"original": np.array([_read(o, attack) for o in attacks.originals.values()]), "retrained": np.array(anew)}


def failing(walks: Sequence[Walk]) -> list[str]:
    """The methods of which no line between two seeds passes the gate."""
    every = [w.method for w in walks if w.condition == "random" and not w.control]
    read = {w.method for w in lines_read(walks) if w.condition == "random"}
    return [name for name in dict.fromkeys(every) if name not in read]


def ranges_table(walks: Sequence[Walk], privacy: Privacy, eps: float = TOLERANCE) -> Table:
    """C14's cells: per line its range beyond the ends, and that of the test accuracy; the twins' below.

    Columns method, original, read (whether a verdict reads it: MCU(eps) and ends that pass the gate), area (in units A
    of what was to unlearn), utility: of the test accuracy, in units of what separates its original from retrained
    models. Originals on which the attack tells nothing are left out.
    """
    along, rows = privacy.attacks.along(), []
    kept, _ = told_units(along.units)
    read, found = joined(walks, eps)[0], {}
    for w in walks:
        if w.condition == "random" and w.kind == "linear" and not w.control and (w.original, w.method) in along.areas:
            found[w.original, w.method] = w
    for (original, method), w in found.items():
        if original in kept:
            area = beyond_ends(along.areas[original, method]) / kept[original]
            rows.append((method, original, (original, method) in read, area, _utility(w, privacy)))
    rows += [(TWIN, o, False, beyond_ends(area) / kept[o], np.nan) for o, area in along.twins if o in kept]
    return frame(rows, ["method", "original", "read", "area", "utility"])


def _utility(walk: Walk, privacy: Privacy) -> float:
    """Range of the test accuracy beyond the ends over the distance of the original from its retrained models."""
    first, anew = privacy.levels[walk.original]
    apart = abs(first["accuracy_test"] - np.mean([one["accuracy_test"] for one in anew]))
    return beyond_ends(walk.profile.metric("accuracy_test")) / apart if apart > 0 else np.nan


def ranges_summary(table: Table, level: float = LEVEL) -> Table:
    """Per method of a `ranges_table`: mean area over originals with Student's interval, of lines that count.

    Of a method without any that counts, and of twins, over all lines.
    """
    rows = []
    for method in dict.fromkeys(table["method"]):
        part = where(table, method=method)
        part = part[part["read"]] if part["read"].any() else part
        rows.append((method, int(part["read"].sum()), len(part), *student(part["area"].to_numpy(float), level)))
    return frame(rows, ["method", "read", "lines", "estimate", "low", "high"])


def seeds_and_methods(walks: Sequence[Walk], privacy: Privacy, eps: float = TOLERANCE) -> Table:
    """Per original: mean difference, in A, of the AUC between two seeds of a method and between two joined methods."""
    along, rows = privacy.attacks.along(), []
    passed = {(w.original, w.method) for w in lines_read(walks) if w.condition == "random"}
    kept, _ = told_units(along.units)
    pairs = [one for one in joined(walks, eps)[1] if {(one[0], one[1]), (one[0], one[2])} <= passed]
    for original, unit in kept.items():
        ends = {m: np.array(pair) for (o, m), pair in along.ends.items() if o == original and (o, m) in passed}
        seeds = [abs(float(pair[0] - pair[1])) for pair in ends.values()]
        apart = [np.abs(ends[a][:, None] - ends[b]).mean() for o, a, b in pairs if o == original]
        for name, values in (("two seeds", seeds), ("two methods", apart)):
            if values:
                rows.append((name, original, float(np.mean(values)) / unit))
    return frame(rows, ["pair", "original", "apart"])


def leak_table(privacy: Privacy, walks: Sequence[Walk], attack: str = ATTACK) -> Table:
    """PrivLeak of ends and middles, from mean AUCs over originals, beside the two areas that it is made of."""
    along = privacy.attacks.along(attack).within(
        (w.original, w.method) for w in lines_read(walks) if w.condition == "random"
    )
    anew, rows = float(levels_of(privacy, attack)["retrained"].mean()), []
    for method in dict.fromkeys(m for _, m in along.areas):
        areas = np.array([area for (_, m), area in along.areas.items() if m == method])
        places = {"ends": areas[:, [0, -1]].mean(), "middle": areas[:, areas.shape[1] // 2].mean()}
        found = {place: priv_leak(float(area), anew) for place, area in places.items()}
        leaks = (f"{one.value:.1f}{' (cut)' if one.clipped else ''}" for one in found.values())
        rows.append((drawing.label(method), *leaks, *(round(one.auc, 3) for one in found.values()), round(anew, 3)))
    columns = ["method", "PrivLeak, ends", "PrivLeak, t = 1/2", "AUC, ends", "AUC, t = 1/2", "AUC, retrained"]
    return frame(rows, columns, "method")


def bits_table(privacy: Privacy) -> Table:
    """Forget accuracy along lines by bits of the weights: columns method, original, bits, t, accuracy."""
    rows = [
        (method, original, bits, t, value)
        for (original, method), by in privacy.rounded.lines.items()
        for bits, values in by.items()
        for t, value in zip(np.linspace(0, 1, len(values)), values, strict=True)
    ]
    return frame(rows, ["method", "original", "bits", "t", "accuracy"])


def regained_table(walks: Sequence[Walk], privacy: Privacy) -> Table:
    """Share (%) of the lost forget accuracy that few bits bring back at ends that pass the gate, and at t = 1/2."""
    passed = {(w.original, w.method) for w in lines_read(walks) if w.condition == "random"}
    before = privacy.rounded.before
    found: dict[tuple[str, int, str], list[float]] = {}
    for (original, method), by in privacy.rounded.lines.items():
        if (original, method) in passed:
            middle = len(by[0]) // 2
            for bits in BITS:
                ends = privacy.rounded.ends(bits)[original, method]
                shares = (
                    room.regained(*ends, before[original]),
                    room.regained(float(by[bits][middle]), float(by[0][middle]), before[original]),
                )
                for place, value in zip(("ends", "t = 1/2"), shares, strict=True):
                    found.setdefault((drawing.label(method), bits, place), []).append(value)
    for bits in BITS:
        pairs = [(o, pair) for o, several in privacy.rounded.anew(bits).items() for pair in several]
        found["retrained", bits, "ends"] = [room.regained(*pair, before[o]) for o, pair in pairs]
    rows: dict[str, dict[str, Any]] = {}
    for (name, bits, place), values in found.items():
        told = interval_text([100 * v for v in student(values)], 1)
        rows.setdefault(name, {})[f"{bits} bits, {place} [95 %]"] = told
    return frame([{"method": name, **row} for name, row in rows.items()], index="method").fillna("")


def scatter_table(walks: Sequence[Walk], privacy: Privacy, eps: float = TOLERANCE) -> Table:
    """Privacy and utility of every point of every line that counts, each minus the mean of its retrained models.

    Columns method, original, t, end, privacy (the attack's AUC), utility (test accuracy).
    """
    read, along, rows = joined(walks, eps)[0], privacy.attacks.along(), []
    for w in walks:
        place = w.original, w.method
        if w.condition != "random" or w.kind != "linear" or w.control or w.form or place not in read:
            continue
        anew = [one["accuracy_test"] for one in privacy.levels[w.original][1]]
        base = np.mean([_read(one, ATTACK) for one in privacy.attacks.retrained[w.original]])
        t = np.linspace(0, 1, len(along.areas[place]))
        useful = np.interp(t, w.profile.t, w.profile.metric("accuracy_test")) - np.mean(anew)
        values = zip(t, along.areas[place] - base, useful, strict=True)
        rows += [(w.method, w.original, s, s in (0, 1), private, use) for s, private, use in values]
    return frame(rows, ["method", "original", "t", "end", "privacy", "utility"])


# Sentences


def directions_text(walks: Sequence[Walk], privacy: Privacy) -> str:
    """How many ends an attack finds above all and below all of their retrained models."""
    passed = {(w.original, w.method) for w in lines_read(walks) if w.condition == "random"}
    ends = privacy.attacks.along().ends
    over = under = 0
    for original, method in sorted(passed & set(ends)):
        anew = [_read(one, ATTACK) for one in privacy.attacks.retrained[original]]
        over += sum(end < min(anew) for end in ends[original, method])
        under += sum(end > max(anew) for end in ends[original, method])
    return (
        f"Of {2 * len(passed & set(ends))} ends that pass the gate, the loss attack finds D_f easier than on any model "
        f"retrained for its original at {under}, and harder at {over}: under- and over-forgotten to an attacker."
    )


def scatter_text(table: Table) -> str:
    """How far privacy and utility go together along lines, and how many middles are as private and useful as an end."""
    if not len(table):
        return "No line counts: there is nothing to compare."
    inside, lines = 0, 0
    for _, part in table.groupby(["method", "original"], sort=False):
        ends, inner = part[part["end"]], part[~part["end"]]
        near, best = ends["privacy"].abs().min(), ends["utility"].max()
        lines += 1
        inside += bool(((inner["privacy"].abs() < near) & (inner["utility"] > best)).any())
    return (
        f"On {inside} of {lines} lines some inner point is nearer to the retrained models in AUC than both ends, and "
        f"more accurate than both; it is picked on the examples that it is told by, so this is a count, no claim."
    )


def answer_found(judged: Sequence[Any]) -> str:
    """What the rows found, in a line: word and effect of each."""
    return "; ".join(
        f"{one.row.name}: {one.verdict} ({spread(one.first.effect, 2)} {one.row.told['unit']})"
        if np.isfinite(one.first.effect.estimate)
        else f"{one.row.name}: {one.verdict}"
        for one in judged
        if one.first is not None
    )


def privacy_answer(walks: Sequence[Walk], privacy: Privacy, judged: Sequence[Any]) -> str:
    """What was expected of 10, what was found and what follows, in Markdown."""
    expected = (
        "An attack that reads one model moves along a line as the forget loss does, so that inside a basin it should "
        "stay between its ends; attacks by models of the same making should find less than they did before unlearning, "
        "and not less than on models that never saw D_f."
    )
    words = {one.row.name: one.verdict for one in judged}
    inside = words.get("C14", "not run"), words.get("C14 between methods", "not run")
    so = (
        f"That a basin's models differ on privacy is {inside[0]} inside a line and {inside[1]} between methods, beyond "
        "what a twin and another seed give. A number of one model alone is no guarantee: U-LiRA and the population "
        "attacks are told side by side above."
    )
    return answer_text(expected, f"{directions_text(walks, privacy)} {answer_found(judged)}.", so)


def powers_text(claims: Sequence[str] = ("C14", "N4", "N6")) -> str:
    """Of each of these claims, in how many made worlds its planted effects were found, as a Markdown list."""
    table = power()
    return "\n".join(f"- {claim}, power: {power_text(claim, table) or 'not known'}." for claim in claims)


def widest(study: Study, walks: Sequence[Walk], privacy: Privacy, eps: float = TOLERANCE) -> Route:
    """The line whose AUC ranges farthest beyond its ends, of those that verdicts read, or of all."""
    along = privacy.attacks.along()
    part = along.within(joined(walks, eps)[0]).areas or along.areas
    place = max(part, key=lambda one: beyond_ends(part[one]))
    lines = (r for r in room.routes(study) if r.condition == "random" and not r.control)
    return next(r for r in lines if (r.original, r.method) == place)


# Figures


@drawing.style()
def along_figure(
    table, levels: Mapping[str, np.ndarray], *, attack: str = ATTACK, failing: Collection[str] = (), title: str = ""
):
    """An attack's number along lines, a panel per method: thin originals, their mean thick; beside it single models.

    ``table`` is an `along_table`, ``levels`` `levels_of` the same ``attack``.
    """
    drawing.check_columns(table, ("method", "original", "t", "value"))
    methods = list(dict.fromkeys(table["method"]))
    fig, _, panels = method_panels(methods, 0.9, 1.9, x="t", y=textwrap.fill(attack_words(attack), 24))
    anew, own = levels["retrained"], levels["original"]
    for ax, method in panels:
        part = where(table, method=method)
        for original in dict.fromkeys(part["original"]):
            one = where(part, original=original)
            ax.plot(one["t"], one["value"], color=BLUE, lw=0.7, alpha=0.6)
        mean = part.groupby("t")["value"].mean()
        ax.plot(mean.index, mean, color=BLUE, lw=2.0, label="mean of the originals' lines")
        ends = np.array([0.0, 1.0])
        low, mean_of, high = (np.full(2, f(anew)) for f in (np.min, np.mean, np.max))
        drawing.retrained_band(ax, ends, low, mean_of, high)
        ax.axhspan(own.min(), own.max(), color=GREEN, alpha=0.25, lw=0)
        ax.axhline(own.mean(), color=GREEN, lw=1.2, zorder=1, label="original models, range")
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        if method in failing:
            ax.set_title(f"{drawing.label(method)} {FAILING}")
    keys = [entry("", BLUE, "one original", ls="-", lw=0.7), *failing_entries(failing)]
    return finish(fig, panels[0][0], title, keys)


@drawing.style()
def ranges_figure(table, summary, pairs, *, title: str = ""):
    """C14: the range inside a line beyond its ends per method, beside twins; and how far seeds and methods differ.

    ``table`` and ``summary`` are a `ranges_table` and its `ranges_summary`, ``pairs`` `seeds_and_methods`.
    """
    drawing.check_columns(table, ("method", "original", "read", "area"))
    methods, (threshold,) = list(summary["method"]), PROTOCOL["C14"]["edges"]
    fig, axes = panel_grid(1, 2, 1.5 + 0.34 * len(methods), gridspec_kw={"width_ratios": [3, 2]})
    left, right = axes[0]
    for y, method in enumerate(methods):
        part, found = where(table, method=method), where(summary, method=method)
        counted = bool(part["read"].any())
        colour = BLACK if method == TWIN else BLUE if counted else GREY
        shown = part[part["read"]] if counted else part
        dots_row(left, y, shown["area"], found, colour, "D" if method == TWIN else "o")
    left.axvline(threshold, color=BLACK, lw=1.0, ls="--", label=f"C14's threshold ({threshold:g} A)")
    drawing.name_rows(left, methods)
    left.set_xlabel("range of the AUC inside the line\nbeyond its ends (A)")
    names = list(dict.fromkeys(pairs["pair"])) if len(pairs) else []
    for y, name in enumerate(names):
        values = where(pairs, pair=name)["apart"].to_numpy(float)
        found = frame([tuple(student(values))], ["estimate", "low", "high"])
        dots_row(right, y, values, found, PURPLE if y else GREY, "s" if y else "o", 0.1)
    drawing.name_rows(right, names or [""])
    right.set_xlabel("difference of the AUC\nbetween ends (A)")
    for ax in (left, right):
        ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
        ax.grid(axis="y", visible=False)
    keys = [entry("o", BLUE, "mean, 95 % interval", ls="-"), dot_entry(BLUE, "one original")]
    return finish(fig, left, title, keys)


@drawing.style()
def bits_figure(table, *, failing: Collection[str] = (), title: str = ""):
    """Forget accuracy along lines with weights of few bits, mean over originals, a panel per method.

    ``table`` is a `bits_table`.
    """
    drawing.check_columns(table, ("method", "bits", "t", "accuracy"))
    methods = list(dict.fromkeys(table["method"]))
    fig, _, panels = method_panels(methods, 0.9, 1.9, x="t", y="accuracy on D_f (%)")
    for ax, method in panels:
        for bits, (colour, marker, words) in BIT_LOOKS.items():
            part = where(table, method=method, bits=bits)
            mean = part.groupby("t")["accuracy"].mean()
            ax.plot(mean.index, mean, color=colour, marker=marker, ms=3.2, label=words)
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        drawing.percent_ticks(ax.yaxis)
        if method in failing:
            ax.set_title(f"{drawing.label(method)} {FAILING}")
    return finish(fig, panels[0][0], title, failing_entries(failing))


@drawing.style()
def scatter_figure(table, *, title: str = ""):
    """Privacy against utility of all points of lines that count, both minus the mean of the retrained models.

    ``table`` is a `scatter_table`; ends are large, inner points small.
    """
    drawing.check_columns(table, ("method", "t", "end", "privacy", "utility"))
    fig, axes = panel_grid(1, 1, 3.9)
    ax = axes[0, 0]
    for method, (colour, marker) in zip(dict.fromkeys(table["method"]), SERIES, strict=False):
        part = where(table, method=method)
        ends, inner = part[part["end"]], part[~part["end"]]
        ax.plot(inner["utility"], inner["privacy"], marker, color=colour, ms=2.6, alpha=0.5, mew=0)
        ax.plot(ends["utility"], ends["privacy"], marker, color=colour, ms=6, mec="white", mew=0.6,
                label=drawing.label(method))  # fmt: skip
    for line in (ax.axhline, ax.axvline):
        line(0, color=PURPLE, lw=1.2, ls=drawing.RETRAINED)
    drawing.percent_ticks(ax.xaxis, 6)
    ax.set_xlabel("test accuracy, minus retrained models' (points)")
    ax.set_ylabel("AUC of the loss attack,\nminus retrained models'")
    keys = [entry("", PURPLE, "mean of the retrained models", ls=drawing.RETRAINED), dot_entry(GREY, "inside a line")]
    return finish(fig, ax, title, keys)
