"""09: models trained apart, the way to forgetting, and on to the retrained model (M0, C15, C16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from types import MappingProxyType

import numpy as np

from ..curves import INDEPENDENT
from ..engine.specs import PlaneSpec, ProfileSpec, RetrainedSpec, Spec
from ..engine.study import Study
from ..fits import Fit
from ..measures import drawing
from ..measures.along import excess
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BAND, BLACK, BLUE, GREY, VERMILLION, entry, finish, label, panel_grid, where
from ..measures.originals import LEAST
from ..measures.planes import Plane
from ..measures.profiles import Profile
from ..measures.snapshots import compromise_of
from .admission import shown
from .claims import spread
from .declared import beyond_quadratic
from .judging import sound, usable
from .panels import DASHED, decades, dot_entry, dots_row, method_panels, originals_row
from .room import Room
from .tables import Table, answer_text, frame, over, stacked
from .walks import COARSE, RETRAINED, SOME, Labels, Route, Walk, coarse, fit_records, labels_of, references, ring

INITS = SAME, OTHER = "same init", "other init"  # whether a retrained model has the original's initial weights
FROM = dict(zip(INITS, ("the original's initial weights", "others"), strict=True))  # in words
PAIRS = f"{RETRAINED}s"
ORIGINALS, CURVES = "originals", "retraining curve"  # other conditions of models that were trained apart
MODELS = (("original", "o"), ("unlearned", "s"), ("retrained", "D"))
MARGIN = 0.1  # G, by which a way to retraining must exceed that between retrained models (C16)
QUADRATIC = 0.25  # largest distance of a quadratic that begins level from its chord, in units of its change
# Models trained apart, in words: condition, initial weights and objective of the curve.
APART = {
    "two originals": (ORIGINALS, "", ""),
    "two retrained models": (PAIRS, OTHER, ""),
    "unlearned and retrained": (CURVES, OTHER, ""),
    "the same, fitted without forget data": (CURVES, OTHER, "retain only"),
}


# What is walked


def progress(study: Study) -> list[Route]:
    """Lines original - unlearned, unlearned - retrained and retrained - retrained, for three seeds at most.

    A retrained model starts from the original's initial weights (``same init``) or from its own (``other init``).
    Where originals have a forget set each, the first two go from one seed, to retrained models of other initial weights
    on `SOME` of them. Paths between `independent` models follow.
    """
    routes, chosen, points = [], study.seeds[:3], coarse(study)
    each = bool(study.preset.originals)
    for name, original, seed in product(study.preset.fit, study.originals, chosen[: 1 if each else None]):
        first, end = study.original(original), study.unlearned(name, seed, origin=study.original(original))
        line = Route(name, "linear", seed, seed, path=study.path(first, end), original=original, condition="forgetting")
        routes.append(replace(line, points=study.preset.points if each else 0))
        for init in INITS if not each or original < SOME else (SAME,):
            path = study.path(end, _retrained(study, seed, original, init))
            routes.append(replace(line, path=path, points=points, condition="retraining", init=init))
    for init, original, (a, b) in product(INITS, study.originals, combinations(chosen, 2)):
        path = study.path(_retrained(study, a, original, init), _retrained(study, b, original, init))
        line = Route("retrain", "linear", a, b, path=path, original=original, points=points, condition="retrained")
        routes.append(replace(line, init=init, control=RETRAINED))
    return routes + independent(study)


def independent(study: Study) -> list[Route]:
    """Lines and curves between models trained apart: mode connectivity itself, each kind a condition of its own.

    Between originals, a `ring` over all of them (fitted on all training data); between two retrained models of other
    initial weights, and from an unlearned model to such a one (both fitted on D_r, the latter also with the objective
    of its method, and on as many originals as a verdict needs).
    """
    routes, points = [], coarse(study)
    (a, b), method = study.seeds[:2], study.preset.quickstart_method
    for first, second in ring(study.originals) if len(study.originals) > 1 else []:
        models = study.original(first), study.original(second)
        routes += _joined(study, Labels("original", "", first, second, original=first, condition=ORIGINALS), models)
    for original in study.originals:
        one, other = (_retrained(study, seed, original, OTHER) for seed in (a, b))
        labels = Labels("retrain", "", a, b, original=original, condition=PAIRS, init=OTHER)
        routes += _joined(study, labels, (one, other))
        if original >= LEAST:
            continue
        end = study.unlearned(method, a, origin=study.original(original))
        labels = Labels(method, "", a, b, original=original, condition=CURVES, init=OTHER)
        routes += _joined(study, labels, (end, other), {"": "", "retain only": "finetune"})
    return [replace(route, points=points) for route in routes]


def _joined(
    study: Study, labels: Labels, ends: tuple[Spec, Spec], objectives: Mapping[str, str] = MappingProxyType({"": ""})
) -> list[Route]:
    """The line between two models trained apart, and a curve fitted with each objective, by its label."""
    given = labels_of(labels)
    found = [Route(**{**given, "kind": "linear"}, path=study.path(*ends))]
    for name, objective in objectives.items():
        path = study.path(*ends, kind="bezier", objective=objective, plan=INDEPENDENT)
        found.append(Route(**{**given, "kind": "bezier", "objective": name}, path=path))
    return found


def _retrained(study: Study, seed: int, original: int, init: str) -> RetrainedSpec:
    """A model retrained without the forget set of an original, from its initial weights or from others."""
    return study.retrained(seed, init=original if init == SAME else None, original=original)


def planes(study: Study, count: int = 3) -> dict[str, PlaneSpec]:
    """Planes through original, unlearned and retrained (same initial weights), for the first few methods.

    Where originals have a forget set each, for one method.
    """
    seed, size = study.seeds[0], 15 if study.preset.points > COARSE else 5
    retrained = study.retrained(seed, init=0)
    return {
        name: PlaneSpec(
            (study.original(), study.unlearned(name, seed), retrained),
            study.preset.forget,
            size,
            weighted=study.weighted,
        )
        for name in study.preset.fit[2 : 2 + (1 if study.preset.originals else count)] or study.preset.fit[:count]
    }


def ways(study: Study) -> dict[str, ProfileSpec]:
    """What the optimiser passes through on original 0, of three methods by name."""
    return {
        name: study.profile(study.trajectory(study.unlearned(name, study.seeds[0]))) for name in study.preset.fit[:SOME]
    }


# Models trained apart


def apart_table(walks: Sequence[Walk]) -> Table:
    """Line and curve between models trained apart, a row per pair of models: what M0 reads, and the forget side.

    Columns what (a key of `APART`), original, pair, line, curve (retain barriers in G), ratio (of these two, M0's
    number, 1 where the line has no barrier), line_deficit, curve_deficit, worst (least retain accuracy on the curve).
    """
    rows = []
    for what, (condition, init, objective) in APART.items():
        ours, _ = shown(usable(walks, condition=condition, init=init) + _controls(walks, condition, init))
        lines = {(w.original, w.pair): w for w in ours if w.kind == "linear"}
        for w in ours:
            line = lines.get((w.original, w.pair))
            if w.kind == "linear" or w.objective != objective or line is None:
                continue
            ratio = w.barrier / line.barrier if line.barrier > TOLERANCE else 1.0
            worst = float(w.profile.connectivity.curves["accuracy_retain"].min())
            rows.append((what, w.original, w.pair, line.barrier, w.barrier, ratio, line.deficit, w.deficit, worst))
    return frame(rows, "what original pair line curve ratio line_deficit curve_deficit worst".split())


def _controls(walks: Sequence[Walk], condition: str, init: str) -> list[Walk]:
    """Walks between retrained models that are controls elsewhere; none of `APART` is one today."""
    return [w for w in walks if w.control and (w.condition, w.init) == (condition, init) and not w.profile.collapsed]


def apart_shown(table: Table) -> Table:
    """An `apart_table` to be read: means over originals with their intervals, and how many curves join."""
    rows = []
    for what, part in table.groupby("what", sort=False):
        cells = {name: spread(over(part, name), 2) for name in ("line", "curve", "ratio", "curve_deficit")}
        joined = f"{int((part['ratio'] < 0.1).sum())} of {len(part)}"
        rows.append((what, *cells.values(), f"{100 * part['worst'].min():.1f}", joined))
    columns = ["between", "barrier, line", "barrier, curve", "curve / line", "deficit, curve", "least retain %"]
    return frame(rows, [*columns, "under a tenth"], "between")


def rest_text(fitted: Sequence[tuple[Labels, Fit]]) -> str:
    """How many of the fits, as `walks.fitted` returns them, had come to rest, in a sentence."""
    words = [fit.converged for _, fit in fitted]
    hidden = sum(word is None for word in words)
    return (
        f"Of the {len(words)} fits {sum(word is True for word in words)} had come to rest (their objective changed by "
        f"at most 5 % over the last fifth of the steps) and {sum(word is False for word in words)} had not; of "
        f"{hidden} noise hides it."
    )


def apart_text(table: Table) -> str:
    """What straight lines and curves do between models trained apart, in a sentence for each kind of pair."""
    lines = []
    for what, part in table.groupby("what", sort=False):
        lines.append(
            f"- **{what[0].upper() + what[1:]}**: on the line a retain barrier of {part['line'].min():.2f} to "
            f"{part['line'].max():.2f} G, on the curve {part['curve'].min():.2f} to {part['curve'].max():.2f} G; the "
            f"curve keeps less than a tenth of it on {int((part['ratio'] < 0.1).sum())} of {len(part)} pairs."
        )
    return "\n".join(lines) or "No models that were trained apart have both a line and a curve."


# The way to forgetting


def progress_of(values: np.ndarray) -> np.ndarray:
    """Share of the change from first to last value that is made at each point, 0 to 1; nan if there is no change."""
    values = np.asarray(values, dtype=np.float64)
    change = values[-1] - values[0]
    return (values - values[0]) / change if np.isfinite(change) and change else np.full(len(values), np.nan)


def progress_table(walks: Sequence[Walk]) -> Table:
    """One row per line original - unlearned and t: share of the change of the forget loss that is made, by method."""
    parts = [frame([], ["method", "original", "seed", "t", "loss"])]
    for w in shown(sound(walks, condition="forgetting"))[0]:
        made = progress_of(w.profile.metric("loss_forget"))
        labels = {"method": w.method, "original": w.original, "seed": w.end}
        parts.append(frame({**labels, "t": w.profile.t, "loss": made}))
    return stacked(parts)


def progress_levels(walks: Sequence[Walk]) -> Table:
    """Per method, where the forget loss of retrained models is in units of the change of its lines: mean, low, high.

    1 is the unlearned model's level, 0 the original's; below 1 the method has forgotten more than retraining does. The
    mean is over lines and retrained models. Walks whose profiles keep no levels are left out.
    """
    rows: dict[str, list] = {}
    for w in shown(sound(walks, condition="forgetting"))[0]:
        loss = w.profile.connectivity.curves["loss_forget"]
        if w.profile.levels and loss[0] != loss[-1]:
            rows.setdefault(w.method, []).append((w.profile.levels["loss_forget"] - loss[0]) / (loss[-1] - loss[0]))
    found = [(m, np.mean(v), np.min(v), np.max(v)) for m, v in rows.items()]
    return frame(found, ["method", "mean", "low", "high"])


def nonlinearity(walk: Walk) -> float:
    """Largest distance of the forget loss from its chord, in units of its change along the line; nan if it has none."""
    values = walk.profile.metric("loss_forget")
    change = abs(values[-1] - values[0])
    return float(np.abs(excess(values, walk.profile.t)).max() / change) if change else np.nan


def bends_table(walks: Sequence[Walk]) -> Table:
    """One row per line original - unlearned: how its forget loss goes, in units of its change.

    ``chord``: largest distance from the chord; ``quadratic``: from the best quadratic through both ends, C15's number;
    ``late``: whether it lies below the chord there, so that forgetting comes late; ``steepest``: middle of the steepest
    step.
    """
    rows = []
    for w in shown(sound(walks, condition="forgetting"))[0]:
        t, share = w.profile.t, progress_of(w.profile.metric("loss_forget"))
        if np.isfinite(share).all():
            over, step = share - t, int(np.abs(np.diff(share) / np.diff(t)).argmax())
            late = bool(over[int(np.abs(over).argmax())] < 0)
            place = w.method, w.original, w.end
            rows.append((*place, nonlinearity(w), beyond_quadratic(w), late, (t[step] + t[step + 1]) / 2))
    return frame(rows, ["method", "original", "seed", "chord", "quadratic", "late", "steepest"])


BENDS = ("chord", "quadratic", "steepest")


def bends_summary(table: Table) -> Table:
    """Mean over originals with Student's interval of `BENDS`, by method."""
    rows = [
        (method, measure, *over(part, measure)) for method, part in table.groupby("method", sort=False)
        for measure in BENDS
    ]  # fmt: skip
    return frame(rows, ["method", "measure", "estimate", "low", "high"])


def bends_shown(table: Table) -> Table:
    """A `bends_table` to be read: per method means over originals with intervals, and how many lines come late."""
    rows = []
    for method, part in table.groupby("method", sort=False):
        cells = (spread(over(part, measure), 2) for measure in BENDS)
        rows.append((label(method), *cells, f"{int(part['late'].sum())} of {len(part)}"))
    columns = ["method", "from the chord", "from the best quadratic", "steepest at t", "late"]
    return frame(rows, columns, "method")


# The optimiser's own way


def way_table(found: Mapping[str, Profile], steps: Mapping[str, Sequence[int]]) -> Table:
    """What unlearning passes through: a row per method and snapshot.

    Columns method, step, t (share of the way gone), retain and forget loss in nats, accuracies, ``compromise``, the
    mean of forget quality and utility on validation data (`snapshots.compromise_of`), and ``best``, whether it is the
    largest.
    """
    parts = [frame([], "method step t loss_retain loss_forget accuracy_retain accuracy_forget compromise best".split())]
    for name, one in found.items():
        values = {k: one.metric(k) for k in ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget")}
        chosen = compromise_of(one.metric("accuracy_forget"), one.metric("accuracy_valid"))
        best = np.arange(len(chosen)) == int(chosen.argmax())
        rest = {"step": list(steps[name]), "t": one.t, **values, "compromise": chosen, "best": best}
        parts.append(frame({"method": name, **rest}))
    return stacked(parts)


def way_shown(table: Table) -> Table:
    """The best snapshot of each run beside its last, accuracies in %."""
    rows = []
    for method, part in table.groupby("method", sort=False):
        best, last = part[part["best"]].iloc[0], part.iloc[-1]
        cells = [f"{one['step']:,.0f}" for one in (best, last)]
        for name in ("forget", "retain"):
            cells += [f"{100 * one[f'accuracy_{name}']:.1f}" for one in (best, last)]
        gain = 100 * (best["compromise"] - last["compromise"])
        rows.append((label(method), *cells, f"{gain:.2f}"))
    columns = ["method", "best step", "last step", "forget %, best", "last", "retain %, best", "last "]
    return frame(rows, [*columns, "compromise gained, points"], "method")


def way_text(table: Table, walks: Sequence[Walk]) -> str:
    """How far the optimiser's own way is from the straight line to where it ended, in a sentence per method.

    ``walks`` hold the line original - unlearned of original 0; at equal shares of the way losses are compared in G.
    """
    lines = {(w.method, w.original): w for w in usable(walks, condition="forgetting")}
    told = []
    for method, part in table.groupby("method", sort=False):
        line = lines.get((method, 0))
        if line is None:
            continue
        parts = []
        for split in ("retain", "forget"):
            straight = np.interp(part["t"], line.profile.t, line.profile.connectivity.curves[f"loss_{split}"])
            away = (part[f"loss_{split}"].to_numpy(float) - straight) / line.profile.gap
            k = int(np.abs(away).argmax())
            parts.append(f"the {split} loss goes up to {abs(away[k]):.2f} G {'above' if away[k] > 0 else 'below'}")
        best, last = (int(part["step"][row].iloc[0]) for row in (part["best"], part["step"] == part["step"].max()))
        told.append(
            f"- **{label(method)}**: beside the line {' and '.join(parts)} that at the same share of the way; the best "
            f"snapshot by validation is that after step {best:,} of {last:,}."
        )
    return "\n".join(told) or "No run has its line beside it."


# On to the retrained model


def retraining_table(walks: Sequence[Walk]) -> Table:
    """One row per line to a retrained model, and per line between two retrained models (method `PAIRS`).

    ``init`` says whether the retrained models began from the initial weights of the original; barrier, deficit and eps
    in G, ``floor`` eps by that reading, ``more`` eps above that between the two retrained models of the original.
    """
    pairs = [w for w in walks if w.control == RETRAINED and not w.profile.collapsed]
    between = {(w.original, w.init): w.eps for w in pairs}
    ours, _ = shown([w for w in sound(walks, condition="retraining")])
    rows = []
    for w in [*ours, *pairs]:
        name = PAIRS if w.control else w.method
        floor = w.eps_by("floor") if w.profile.levels else np.nan
        more = w.eps - between.get((w.original, w.init), np.nan)
        rows.append((name, w.init, w.original, w.pair, w.barrier, w.deficit, w.eps, floor, more))
    return frame(rows, "method init original pair barrier deficit eps floor more".split())


def retraining_shown(table: Table, margin: float = MARGIN) -> Table:
    """Per initial weights and method: means over originals, and on how many C16's margin is exceeded."""
    rows = []
    for init in INITS:
        part = table[table["init"] == init]
        for method, one in part.groupby("method", sort=False):
            cells = (spread(over(one, name), 2) for name in ("barrier", "deficit"))
            means = (f"{one.groupby('original')[name].mean().mean():.2f}" for name in ("eps", "floor"))
            beyond = "-" if method == PAIRS else f"{int((one['more'] > margin).sum())} of {len(one)}"
            rows.append((FROM[init], label(method), *cells, *means, beyond))
    columns = ["retrained from", "method", "barrier", "deficit", "eps", "eps, floor", f"eps above pairs' by {margin:g}"]
    return frame(rows, columns, columns[:2])


def retraining_answer(walks: Sequence[Walk], ways: Table, eps: float = TOLERANCE) -> str:
    """What was expected of models trained apart, of forgetting and of the way to retraining, what was found, and so.

    ``ways`` is a `way_table`. Lines to retrained models are those of the original's initial weights.
    """
    trained, bends, table = apart_table(walks), bends_table(walks), retraining_table(walks)
    own = where(table, init=SAME)
    on, pairs = own[own["method"] != PAIRS], own[own["method"] == PAIRS]
    joined, kept = (int((on[name] <= eps).sum()) for name in ("eps", "floor"))
    flat, more = int((on["barrier"] <= eps).sum()), int((on["more"] > MARGIN).sum())
    under = int((trained["ratio"] < 0.1).sum())
    early = [bool(part["best"].iloc[-1]) for _, part in ways.groupby("method", sort=False)]
    found = ""
    if len(trained):
        found = (
            f"Between models trained apart straight lines have retain barriers of {trained['line'].min():.2f} to "
            f"{trained['line'].max():.2f} G; curves keep less than a tenth of it on {under} of {len(trained)} pairs "
            f"and {trained['curve'].median():.2f} G in the median. "
        )
    if len(bends):
        found += (
            f"On {int(bends['late'].sum())} of {len(bends)} lines from the original the forget loss is farthest from "
            f"its chord below it: forgetting comes late. From the best quadratic it is at most "
            f"{bends['quadratic'].mean():.2f} of its change away, and {bends['chord'].mean():.2f} from the chord "
            "(means over lines). "
        )
    found += (
        f"Of {len(on)} lines on to a model retrained from the original's initial weights {flat} have no retain barrier "
        f"above {eps:g} G, {joined} satisfy MCU({eps:g}) by the chord and {kept} beside the retrained models (reading "
        f"`floor`); between two such retrained models the smallest eps is {pairs['eps'].mean():.2f} G in the mean, and "
        f"{more} of the {len(on)} lines exceed that of their original by {MARGIN:g} G. The last snapshot is the best "
        f"by validation in {sum(early)} of {len(early)} runs."
    )
    so = (
        "*Other initial weights* stand in the way of straight lines far more than in that of curves"
        + (f", which yet keep barriers above {eps:g} G" if len(trained) and trained["curve"].median() > eps else "")
        + ". Whether an unlearned model is connected to retraining is no matter of the retain loss alone: the forget "
        "side has to be looked at too, and both have to be held against what two retrained models do."
    )
    return answer_text(
        "Models trained apart are joined by a curve and not by a line; forgetting along a line is more than the "
        "curvature that any loss has; an unlearned model is not linearly connected to retraining where two retrained "
        "ones are.",
        found,
        so,
    )


def planes_table(planes: Mapping[str, Plane]) -> Table:
    """Losses in nats and accuracies in % of the three models of each plane, as the plane's examples give them."""
    rows = []
    for method, one in planes.items():
        for k, model in enumerate(("original", "unlearned", "retrained")):
            row = {"plane": method, "model": model}
            for split in ("retain", "forget", "test"):
                row[f"{split} loss"] = f"{one.at_models[f'loss_{split}'][k]:.3f}"
                row[f"{split} %"] = f"{100 * one.at_models[f'accuracy_{split}'][k]:.1f}"
            rows.append(row)
    return frame(rows, index=["plane", "model"])


# Figures


@drawing.style()
def apart_figure(table, *, threshold: float = TOLERANCE, title: str = ""):
    """Retain barrier of line and curve between models trained apart, and the share of it that the curve keeps (M0).

    ``table`` is an `apart_table`: a dot an original, the mean over originals with its 95 % interval.
    """
    drawing.check_columns(table, ("what", "original", "line", "curve", "ratio"))
    kinds = list(dict.fromkeys(table["what"]))
    wide = {"width_ratios": [1.5, 1]}
    fig, axes = panel_grid(1, 2, 1.5 + 0.55 * len(kinds), sharey=True, gridspec_kw=wide)
    left, right = axes[0]
    looks = {"line": (BLUE, "o"), "curve": (VERMILLION, "s")}
    for y, what in enumerate(kinds):
        part = where(table, what=what)
        for j, (name, look) in enumerate(looks.items()):
            originals_row(left, y + 0.34 * (j - 0.5), part, name, *look)
        originals_row(right, y, part, "ratio", BLACK, "D")
    left.axvline(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")
    decades(left, table[["line", "curve"]].to_numpy(float).ravel(), threshold, least=3, inner=(0.5,))
    left.set_xlabel("retain barrier (G)")
    right.axvline(0.1, color=BLACK, lw=1.0, ls=":", label="a tenth (M0)")
    decades(right, table["ratio"].to_numpy(float), 0.1, least=11, inner=(0.5,))
    right.set_xlabel("barrier of the curve / of the line")
    for ax in axes[0]:
        ax.grid(axis="y", visible=False)
    drawing.name_rows(left, kinds)
    keys = [entry("o", BLUE, "line", ls="-"), entry("s", VERMILLION, "curve", ls="-")]
    keys += [entry("D", BLACK, "curve / line", ls="-"), dot_entry(GREY, "one pair of models")]
    keys += [entry("", BLACK, "a tenth (M0)", ls=":", lw=1.0)]
    return finish(fig, left, title, keys)


@drawing.style()
def progress_figure(table, levels=None, *, title: str = ""):
    """How much of the change from the original to the unlearned model is made at t: a `progress_table`, by method.

    ``levels`` are its `progress_levels`: where on the way to the unlearned model's forget loss retrained models are.
    """
    drawing.check_columns(table, ("method", "original", "t", "loss"))
    methods = list(dict.fromkeys(table["method"]))
    fig, axes, panels = method_panels(methods, 1.0, 1.75, x="t", y="share of the change\nof the forget loss")
    t = np.linspace(0, 1, 51)
    for ax, method in panels:
        part = where(table, method=method)
        for _, one in part.groupby(["original", "seed"], sort=False):
            ax.plot(one["t"], one["loss"], color=BLUE, lw=0.7, alpha=0.5)
        mean = part.groupby("t")["loss"].mean()
        marks = {"marker": "o", "markevery": max(1, (len(mean) - 1) // 5), "ms": 3.4}
        ax.plot(mean.index, mean, color=BLUE, lw=2.0, label="mean, originals thin", **marks)
        ax.plot([0, 1], [0, 1], color=GREY, lw=1.0, ls=DASHED, zorder=1, label="chord")
        ax.plot(t, t**2, color=BLACK, lw=1.0, ls=":", zorder=1, label="a quadratic")
        for one in () if levels is None else where(levels, method=method).itertuples():
            drawing.retrained_band(ax, [0, 1], [one.low] * 2, [one.mean] * 2, [one.high] * 2, "retrained models' loss")
    axes[0, 0].set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    values, beside = table["loss"].to_numpy(float), [] if levels is None else levels[["low", "high"]]
    low, high = np.nanmin(values, initial=0), min(np.nanmax(values, initial=1), 2.0)
    top = max(high, min(np.max(np.asarray(beside, float), initial=1), 2.4))
    axes[0, 0].set_ylim(max(low, -1.0) - 0.08, top + 0.08)
    return finish(fig, axes[0, 0], title)


@drawing.style()
def bends_figure(table, summary, *, threshold: float = 0.1, title: str = ""):
    """How far forgetting is from any quadratic in t, and where it is steepest: originals, mean and interval by method.

    ``table`` is a `bends_table`, ``summary`` its `bends_summary`; ``threshold`` is that of C15.
    """
    drawing.check_columns(table, ("method", *BENDS))
    drawing.check_columns(summary, ("method", "measure", "estimate", "low", "high"))
    methods = list(dict.fromkeys(table["method"]))
    fig, axes = panel_grid(1, 2, 1.5 + 0.4 * len(methods), sharey=True)
    left, right = axes[0]
    looks = {"quadratic": (VERMILLION, "s"), "chord": (BLUE, "o")}
    for y, method in enumerate(methods):
        part = where(table, method=method)
        for j, (measure, look) in enumerate(looks.items()):
            found = where(summary, method=method, measure=measure)
            dots_row(left, y + 0.36 * (j - 0.5), part[measure].to_numpy(float), found, *look, 0.13)
        dots_row(
            right, y, part["steepest"].to_numpy(float), where(summary, method=method, measure="steepest"), BLACK, "D"
        )
    decades(left, table[["chord", "quadratic"]].to_numpy(float).ravel(), 1.0, inner=(0.25, 0.5, 0.75))
    left.axvline(threshold, color=BLACK, lw=1.0, ls="--", label=f"threshold of C15, for the quadratic ({threshold:g})")
    left.axvline(QUADRATIC, color=GREY, lw=1.0, ls=":", label=f"a quadratic from its own chord ({QUADRATIC:g})")
    left.set(title="Largest distance of the forget loss", xlabel="in units of its change: mean, 95 % interval")
    right.set(title="Where the steepest step is", xlim=(-0.03, 1.03), xlabel="t: mean, 95 % interval")
    for ax in axes[0]:
        ax.grid(axis="y", visible=False)
    drawing.name_rows(left, methods)
    keys = [entry("s", VERMILLION, "from the best quadratic", ls="-"), entry("o", BLUE, "from the chord", ls="-")]
    return finish(fig, left, title, [*keys, dot_entry(GREY, "one original")])


@drawing.style()
def ways_figure(table, walks: Sequence[Walk], *, title: str = ""):
    """The optimiser's own way beside the line from the original to where it ended: retain and forget loss, by method.

    ``table`` is a `way_table`, ``walks`` hold the lines of original 0. Snapshots are marked, the best by a star.
    """
    drawing.check_columns(table, ("method", "t", "loss_retain", "loss_forget", "best"))
    methods = list(dict.fromkeys(table["method"]))
    lines = {w.method: w for w in usable(walks, condition="forgetting") if w.original == 0}
    fig, axes = panel_grid(2, len(methods), 4.8, sharex=True, sharey="row")
    for column, method in enumerate(methods):
        part = where(table, method=method)
        for ax, split in zip(axes[:, column], ("forget", "retain"), strict=True):
            values = part[f"loss_{split}"]
            if method in lines:
                one = lines[method].profile
                ax.plot(one.t, one.connectivity.curves[f"loss_{split}"], color=BLUE, lw=1.6, label="straight line")
                level = np.asarray(one.levels.get(f"loss_{split}", []))
                if len(level):
                    drawing.retrained_band(ax, [0, 1], [level.min()] * 2, [level.mean()] * 2, [level.max()] * 2)
            ax.plot(part["t"], values, "o-", color=VERMILLION, lw=1.3, ms=3.5, label="optimiser's own way, snapshots")
            best = part[part["best"]]
            look = {"color": BLACK, "ms": 10, "mec": "white", "mew": 0.7, "ls": ""}
            ax.plot(best["t"], best[f"loss_{split}"], "*", zorder=5, label="best snapshot by validation", **look)
        axes[0, column].set_title(label(method))
        axes[1, column].set_xlabel("share of the way, or t")
    for ax, split in zip(axes[:, 0], ("forget", "retain"), strict=True):
        ax.set_ylabel(f"{split} loss (nats)")
    axes[0, 0].set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    return finish(fig, axes[0, 0], title)


@drawing.style()
def retraining_figure(table, *, threshold: float = TOLERANCE, title: str = ""):
    """Both halves of MCU between unlearned and retrained models beside those between two retrained models (C16).

    ``table`` is a `retraining_table`. Where the models began as the original did, barrier and deficit; where they began
    from other weights, the barrier.
    """
    drawing.check_columns(table, ("method", "init", "original", "barrier", "deficit"))
    methods = [m for m in dict.fromkeys(table["method"]) if m != PAIRS]
    methods += [PAIRS] if PAIRS in set(table["method"]) else []
    panels = [(SAME, "barrier", "Retain barrier, the\noriginal's initial weights")]
    panels += [(SAME, "deficit", "Forget deficit, the\noriginal's initial weights")]
    panels += [(OTHER, "barrier", "Retain barrier, other\ninitial weights")]
    fig, axes = panel_grid(1, 3, 1.6 + 0.33 * len(methods), sharey=True)
    for ax, (init, measure, heading) in zip(axes[0], panels, strict=True):
        part = where(table, init=init)
        for y, method in enumerate(methods):
            one = where(part, method=method)
            if len(one):
                originals_row(ax, y, one, measure, *((BLACK, "D") if method == PAIRS else (BLUE, "o")), 0.2)
        base = where(part, method=PAIRS)[measure]
        if len(base):
            ax.axvspan(base.min(), base.max(), label="two retrained models, range", **BAND)
        ax.axvline(threshold, color=BLACK, lw=1.0, ls="--", label=f"tolerance ({threshold:g} G)")
        decades(ax, part[measure].to_numpy(float), threshold, least=3, inner=(0.5,))
        ax.axhline(len(methods) - 1.5, color=GREY, lw=0.8 if PAIRS in methods else 0)
        ax.set_title(heading, fontsize=9)
        ax.set_xlabel("G")
        ax.grid(axis="y", visible=False)
    drawing.name_rows(axes[0, 0], methods)
    keys = [entry("o", BLUE, "mean, 95 % interval", ls="-"), dot_entry(BLUE, "one original")]
    return finish(fig, axes[0, 0], title, keys)


@drawing.style()
def planes_figure(planes: Mapping[str, Plane], *, title: str = ""):
    """Retain and forget loss on the plane through the original, an unlearned and a retrained model, a row per method.

    Straight paths between the models are drawn; levels are logarithmic and the same for all rows of a column. The
    dashed contour is the retrained model's own loss.
    """
    from matplotlib.colors import LogNorm

    drawing.check_some(planes, "planes")
    fig, axes = panel_grid(len(planes), 2, 0.9 + 2.35 * len(planes))
    for column, split in enumerate(("retain", "forget")):
        name = f"loss_{split}"
        levels = _levels([one.values[name] for one in planes.values()])
        norm = LogNorm(levels[0], levels[-1])
        for row, (method, one) in enumerate(planes.items()):
            ax = axes[row, column]
            shown = np.clip(one.values[name], levels[0], levels[-1])
            filled = ax.contourf(one.x, one.y, shown, levels=levels, norm=norm, cmap="cividis")
            goal = float(one.at_models[name][2])
            if levels[0] < goal < levels[-1]:
                ax.contour(one.x, one.y, shown, levels=[goal], colors="white", linewidths=1.0, linestyles="--")
            ends = one.models[[0, 1, 2, 0]]
            ax.plot(ends[:, 0], ends[:, 1], color="white", lw=2.4, zorder=2)
            ax.plot(ends[:, 0], ends[:, 1], color=BLACK, lw=0.9, zorder=3)
            for (x, y), (text, marker) in zip(one.models, MODELS, strict=True):
                look = {"color": VERMILLION, "mec": "white", "mew": 1.0, "ms": 8, "ls": ""}
                ax.plot(x, y, marker, zorder=4, label=text, **look)
            ax.set_title(f"{label(method)}: {split} loss")
            ax.grid(False)
            ax.set_xlabel("distance in weight space" if row == len(planes) - 1 else "")
            ax.set_ylabel("distance" if column == 0 else "")
        bar = fig.colorbar(filled, ax=list(axes[:, column]), fraction=0.05, pad=0.02, shrink=0.8)
        bar.set_ticks(levels[::2], labels=[f"{float(f'{v:.2g}'):g}" for v in levels[::2]])
        bar.ax.minorticks_off()
        bar.set_label(f"{split} loss (nats)")
    keys = [entry("", GREY, "loss of the retrained model", ls="--", lw=1.0)]
    return finish(fig, axes[0, 0], title, keys)


def _levels(values: Sequence[np.ndarray], count: int = 13) -> np.ndarray:
    """Logarithmic contour levels over the finite values, at least a factor of 1.1 apart from end to end."""
    found = np.concatenate([v[np.isfinite(v)].ravel() for v in values])
    low = max(1e-4, found.min(initial=1.0))
    return np.geomspace(low, max(1.1 * low, found.max(initial=low)), count)


ROOMS = (
    Room(
        "09_progress_and_retraining",
        progress,
        lambda study: [
            *planes(study).values(),
            *references(study),
            *ways(study).values(),
            *fit_records(study, progress(study)),
        ],
    ),
)
