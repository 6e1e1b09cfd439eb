"""09: from the original to the unlearned and on to the retrained model (C15, C16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from types import MappingProxyType

import numpy as np

from ..curves import INDEPENDENT
from ..engine.specs import PlaneSpec, ProfileSpec, RetrainedSpec, Spec
from ..engine.study import Study
from ..measures import drawing
from ..measures.along import excess
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BAND, BLACK, BLUE, GREY, VERMILLION, entry, finish, label, panel_grid, where
from ..measures.intervals import LEVEL, fraction_interval, mean_interval, widened
from ..measures.originals import LEAST
from ..measures.planes import Plane
from .claims import Verdict, spread
from .judging import FAILED, judge_mean, judged, nothing_found, redraw_mean, sound, units_of, usable
from .panels import DASHED, SERIES, decades, dot_entry, dots_row, method_panels
from .room import Room
from .tables import Table, answer_text, collapsed_text, frame, held_text, means, range_text, stacked
from .walks import COARSE, RETRAINED, SOME, Labels, Route, Walk, coarse, fit_records, labels_of, references, ring

QUANTITIES = ("loss", "accuracy")
INITS = SAME, OTHER = "same init", "other init"  # whether a retrained model has the original's initial weights
PAIRS = f"{RETRAINED}s"
ORIGINALS, CURVES = "originals", "retraining curve"  # other conditions of models that were trained apart
MODELS = (("original", "o"), ("unlearned", "s"), ("retrained", "D"))


# What is walked


def progress(study: Study) -> list[Route]:
    """Lines original - unlearned, unlearned - retrained and retrained - retrained, for three seeds at most.

    A retrained model starts from the original's initial weights (``same init``) or from its own (``other init``).
    Where originals have a forget set each, the first two go from one seed, to retrained models of other initial weights
    on `SOME` of them, and paths between `independent` models follow.
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
    return routes + (independent(study) if each else [])


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


def ways(study: Study) -> list[ProfileSpec]:
    """What the optimiser passes through for three methods on original 0, where originals have a forget set each."""
    names = study.preset.fit[:SOME] if study.preset.originals else ()
    return [study.profile(study.trajectory(study.unlearned(name, study.seeds[0]))) for name in names]


# The tests of the claims


def nonlinearity(walk: Walk) -> float:
    """Largest distance of the forget loss from its chord, in units of its change along the line; nan if it has none."""
    values = walk.profile.metric("loss_forget")
    change = abs(values[-1] - values[0])
    return float(np.abs(excess(values, walk.profile.t)).max() / change) if change else np.nan


def c15(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C15: mean distance of the forget loss from its chord between original and unlearned model."""
    lines = sound(walks, condition="forgetting")
    seeds, ok = np.array([w.nodes[1] for w in lines]), retraining_control(walks)
    return judge_mean("C15", lines, [nonlinearity(w) for w in lines], None, level, ok, clusters=seeds)


def retraining_control(walks: Sequence[Walk], eps: float = TOLERANCE) -> bool:
    """Whether retrained models of different initialisations have a retain barrier between them, as they must."""
    apart = [w for w in walks if w.control == RETRAINED and w.init == OTHER and not w.profile.collapsed]
    return bool(apart) and all(w.barrier > eps for w in apart)


def c16(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C16: share of methods whose retain barrier to a retrained model exceeds that of two retrained models by 0.1 G.

    All start from the initial weights of the original model; from others every straight line has a retain barrier.
    """
    base = [w for w in walks if w.control == RETRAINED and w.init == SAME and not w.profile.collapsed]
    ours = sound(walks, condition="retraining", init=SAME)
    if not base or not ours:
        return nothing_found("C16")
    methods = dict.fromkeys(w.method for w in ours)
    groups = [[(w, w.barrier, w.replicates("barrier")) for w in ours if w.method == method] for method in methods]
    level_of = np.mean([w.barrier for w in base]) + FAILED
    again = redraw_mean([(w, w.barrier, w.replicates("barrier")) for w in base], seed=1) + FAILED
    hits = {group[0][0].method: bool(np.mean([v for _, v, _ in group]) > level_of) for group in groups}
    replicates = np.array([redraw_mean(group) > again for group in groups], dtype=float)
    found = fraction_interval(list(hits.values()), replicates, level=level)
    found = widened(found, [hits[w.method] for w in ours], units_of(ours), level, (0.0, 1.0))
    return judged("C16", found, ours, retraining_control(walks))


# Tables


def progress_of(values: np.ndarray) -> np.ndarray:
    """Share of the change from first to last value that is made at each point, 0 to 1; nan if there is no change."""
    values = np.asarray(values, dtype=np.float64)
    change = values[-1] - values[0]
    return (values - values[0]) / change if np.isfinite(change) and change else np.full(len(values), np.nan)


def progress_table(walks: Sequence[Walk]) -> Table:
    """One row per line original - unlearned and t: share of the change of the forget loss, and of its accuracy."""
    parts = [frame([], ["method", "seed", "t", *QUANTITIES])]
    for w in usable(walks, condition="forgetting"):
        made = {name: progress_of(w.profile.metric(f"{name}_forget")) for name in QUANTITIES}
        parts.append(frame({"method": w.method, "seed": w.end, "t": w.profile.t, **made}))
    return stacked(parts)


def progress_levels(walks: Sequence[Walk]) -> Table:
    """Per method, where the forget loss of retrained models is in units of the change of its lines: mean, low, high.

    1 is the unlearned model's level, 0 the original's; below 1 the method has forgotten more than retraining does. The
    mean is over lines and retrained models. Walks whose profiles keep no levels are left out.
    """
    rows: dict[str, list] = {}
    for w in usable(walks, condition="forgetting"):
        loss = w.profile.connectivity.curves["loss_forget"]
        if w.profile.levels and loss[0] != loss[-1]:
            rows.setdefault(w.method, []).append((w.profile.levels["loss_forget"] - loss[0]) / (loss[-1] - loss[0]))
    found = [(m, np.mean(v), np.min(v), np.max(v)) for m, v in rows.items()]
    return frame(found, ["method", "mean", "low", "high"])


def bends_table(table: Table) -> Table:
    """One row per line of a `progress_table` and quantity: how far from its chord, on which side, where steepest.

    ``deviation`` is the largest distance from the chord in units of the change (C15's statistic for the loss), ``late``
    whether it lies below, that is whether forgetting comes late; ``steepest`` the middle of the steepest step.
    """
    rows = []
    for (method, seed), part in table.groupby(["method", "seed"], sort=False):
        t = part["t"].to_numpy(float)
        for quantity in QUANTITIES:
            share = part[quantity].to_numpy(float)
            if np.isfinite(share).all():
                over, step = share - t, int(np.abs(np.diff(share) / np.diff(t)).argmax())
                k = int(np.abs(over).argmax())
                rows.append((method, seed, quantity, abs(over[k]), over[k] < 0, (t[step] + t[step + 1]) / 2))
    return frame(rows, ["method", "seed", "quantity", "deviation", "late", "steepest"])


def bends_summary(table: Table) -> Table:
    """Mean over seeds and interval of deviation and steepest t per method and quantity."""
    rows, largest = [], {"deviation": np.inf, "steepest": 1.0}
    for (method, quantity), part in table.groupby(["method", "quantity"], sort=False):
        for measure, top in largest.items():
            found = mean_interval(part[measure], clusters=part["seed"], within=(0.0, top))
            rows.append((method, quantity, measure, *found, len(part)))
    return frame(rows, ["method", "quantity", "measure", "estimate", "low", "high", "n"])


def bends_shown(table: Table) -> Table:
    """A `bends_table` to be read: per method and quantity, means over seeds with intervals, and how many come late."""
    cells = {tuple(row[:3]): spread(row[3:6], 2) for row in bends_summary(table).itertuples(index=False)}
    rows = []
    for (method, quantity), part in table.groupby(["method", "quantity"], sort=False):
        far, steep = (cells[method, quantity, m] for m in ("deviation", "steepest"))
        rows.append((method, quantity, far, f"{int(part['late'].sum())} of {len(part)}", steep))
    columns = ["method", "forget", "deviation from chord", "late", "steepest at t"]
    return frame(rows, columns, ["method", "forget"])


def retraining_text(walks: Sequence[Walk]) -> str:
    """The control of this experiment, and how many walks are left out for a collapsed end, in Markdown."""
    apart = [w.barrier for w in walks if w.control == RETRAINED and w.init == OTHER]
    return (
        f"**Control {held_text(retraining_control(walks))}**: the retain barrier of lines between retrained models "
        f"from different initial weights is {range_text(apart)} (all must exceed {TOLERANCE:g} G). "
        f"{collapsed_text(walks)}."
    )


def retraining_table(walks: Sequence[Walk]) -> Table:
    """One row per line to a retrained model, and per line between two retrained models (method `PAIRS`).

    ``init`` says whether the retrained models began from the initial weights of the original; barrier, deficit in G,
    ``barrier_again`` the replicates over examples.
    """
    rows = []
    for w in walks:
        if w.condition == "retraining" and not w.profile.collapsed or w.control == RETRAINED:
            name, again = PAIRS if w.control else w.method, w.replicates("barrier")
            rows.append((name, w.init, w.pair, *w.nodes, w.barrier, w.deficit, again))
    return frame(rows, ["method", "init", "pair", "node_a", "node_b", "barrier", "deficit", "barrier_again"])


def retraining_summary(table: Table) -> Table:
    """Per initialisation and method: mean barrier with interval, how much it exceeds retrained pairs', mean deficit."""
    found, rows = means(table, "barrier", ["init", "method"]), []
    for init in INITS:
        part = table[table["init"] == init]
        base = part.loc[part["method"] == PAIRS, "barrier"].mean()
        for one in found[found["init"] == init].itertuples():
            more = "-" if one.method == PAIRS else f"{one.estimate - base:+.3f}"
            deficit = part.loc[part["method"] == one.method, "deficit"].mean()
            rows.append((init, one.method, spread(one[3:6]), more, f"{deficit:.3f}", one.n))
    columns = ["init", "method", "barrier", "above retrained pairs", "deficit", "lines"]
    return frame(rows, columns, ["init", "method"])


def retraining_answer(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """What was expected of the way to forgetting and on to retraining, what was found, and what follows.

    The walks have levels, see `walks.levelled`. Lines to retrained models are those of the original's initial weights.
    """
    bends = bends_table(progress_table(walks))
    losses = bends[bends["quantity"] == "loss"]
    on = [w for w in usable(walks, condition="retraining") if w.init == SAME]
    apart = [w for w in usable(walks, condition="retraining") if w.init == OTHER]
    flat, low = (sum(w.barrier <= eps for w in on), sum(w.deficit_by("floor") > eps for w in on))
    joined, held = (sum(w.connected(eps, reading) for w in on) for reading in ("chord", "floor"))
    return answer_text(
        "The forget loss leaves its chord where predictions saturate, and from other initial weights no straight line "
        "to a retrained model stays low.",
        f"On {int(losses['late'].sum())} of {len(losses)} lines from the original the forget loss is farthest from its "
        f"chord below it: forgetting comes late. Of {len(on)} lines on to a model retrained from the original's "
        f"initial weights {flat} have no retain barrier above {eps:g} G, yet {joined} satisfy MCU({eps:g}) by the "
        f"chord and {held} by the level of the retrained models; from other initial weights "
        f"{sum(w.barrier > eps for w in apart)} of {len(apart)} have a barrier.",
        f"The retain loss alone would put {flat} of {len(on)} unlearned models into one basin with a retrained one. "
        f"But on {low} of {len(on)} lines the forget loss falls more than {eps:g} G below both its chord and the "
        "retrained models' level: models on the way fit the forget set better than models that never saw it. All this "
        "is said of straight lines.",
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
def progress_figure(table, levels=None, *, title: str = ""):
    """How much of the change from the original to the unlearned model is made at t: a `progress_table`, by method.

    ``levels`` are its `progress_levels`: where on the way to the unlearned model's forget loss retrained models are.
    """
    drawing.check_columns(table, ("method", "seed", "t", *QUANTITIES))
    methods = list(dict.fromkeys(table["method"]))
    fig, axes, panels = method_panels(methods, 1.0, 1.75, x="t", y="share of the change")
    for ax, method in panels:
        part = where(table, method=method)
        for quantity, (colour, marker) in zip(QUANTITIES, SERIES, strict=False):
            for _, one in part.groupby("seed", sort=False):
                ax.plot(one["t"], one[quantity], color=colour, lw=0.7, alpha=0.5)
            mean = part.groupby("t")[quantity].mean()
            marks = {"marker": marker, "markevery": max(1, (len(mean) - 1) // 5), "ms": 3.4}
            text = f"forget {quantity}: mean, seeds thin"
            ax.plot(mean.index, mean, color=colour, lw=2.0, label=text, **marks)
        ax.plot([0, 1], [0, 1], color=GREY, lw=1.0, ls=DASHED, zorder=1, label="chord")
        for one in () if levels is None else where(levels, method=method).itertuples():
            drawing.retrained_band(ax, [0, 1], [one.low] * 2, [one.mean] * 2, [one.high] * 2, "retrained models' loss")
    axes[0, 0].set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    # An accuracy that hardly changes swings far in units of its change: it may leave the panel.
    values, beside = table[list(QUANTITIES)].to_numpy(float), [] if levels is None else levels[["low", "high"]]
    low, high = np.nanmin(values, initial=0), min(np.nanmax(values, initial=1), 2.0)
    top = max(high, min(np.max(np.asarray(beside, float), initial=1), 2.4))
    axes[0, 0].set_ylim(max(low, -1.0) - 0.08, top + 0.08)
    return finish(fig, axes[0, 0], title)


@drawing.style()
def bends_figure(table, summary, *, threshold: float | None = None, title: str = ""):
    """How far forgetting is from linear in t and where it is steepest: seeds, mean and interval, a row per method.

    ``table`` is a `bends_table`, ``summary`` its `bends_summary`; ``threshold`` is that of C15, in units of the change.
    """
    drawing.check_columns(table, ("method", "quantity", "deviation", "steepest"))
    drawing.check_columns(summary, ("method", "quantity", "measure", "estimate", "low", "high"))
    methods = list(dict.fromkeys(table["method"]))
    titles = {"deviation": "Largest distance from the chord", "steepest": "Where the steepest step is"}
    fig, axes = panel_grid(1, 2, 1.4 + 0.4 * len(methods), sharey=True)
    for ax, (measure, heading) in zip(axes[0], titles.items(), strict=True):
        for y, method in enumerate(methods):
            for j, (quantity, (colour, marker)) in enumerate(zip(QUANTITIES, SERIES, strict=False)):
                values = where(table, method=method, quantity=quantity)[measure].to_numpy(float)
                found = where(summary, method=method, quantity=quantity, measure=measure)
                dots_row(ax, y + 0.36 * (j - 0.5), values, found, colour, marker, 0.13)
        ax.set_title(heading)
        ax.grid(axis="y", visible=False)
    ends = np.r_[table["deviation"], where(summary, measure="deviation")["high"]]
    decades(axes[0, 0], ends, 1.0, inner=(0.25, 0.5, 0.75))
    if threshold is not None:
        text = f"threshold of C15, loss ({threshold:g})"
        axes[0, 0].axvline(threshold, color=BLACK, lw=1.0, ls="--", label=text)
    axes[0, 0].set_xlabel("in units of the change: mean, 95 % interval")
    axes[0, 1].set(xlim=(-0.03, 1.03), xlabel="t: mean, 95 % interval")
    drawing.name_rows(axes[0, 0], methods)
    keys = [entry(m, c, f"forget {q}", ls="-") for q, (c, m) in zip(QUANTITIES, SERIES)]  # noqa: B905
    return finish(fig, axes[0, 0], title, [*keys, dot_entry(GREY, "one seed")])


@drawing.style()
def retraining_figure(table, summary, *, margin: float | None = None, title: str = ""):
    """Retain barrier between unlearned and retrained models beside that between two retrained models.

    ``table`` is a `retraining_table`, ``summary`` its `tables.means` of the barrier. ``margin``, in G, is what C16 asks
    above the retrained pairs' mean, drawn where they began as the original did.
    """
    drawing.check_columns(table, ("method", "init", "barrier"))
    drawing.check_columns(summary, ("method", "init", "estimate", "low", "high"))
    methods = [m for m in dict.fromkeys(table["method"]) if m != PAIRS]
    methods += [PAIRS] if PAIRS in set(table["method"]) else []
    titles = {SAME: "Retrained from the original's\ninitial weights", OTHER: "Retrained from other\ninitial weights"}
    fig, axes = panel_grid(1, 2, 1.5 + 0.33 * len(methods), sharey=True)
    for ax, (init, heading) in zip(axes[0], titles.items(), strict=True):
        part, found = where(table, init=init), where(summary, init=init)
        for y, method in enumerate(methods):
            colour, marker = (BLACK, "D") if method == PAIRS else (BLUE, "o")
            values = where(part, method=method)["barrier"].to_numpy(float)
            dots_row(ax, y, values, where(found, method=method), colour, marker)
        base, asked = where(part, method=PAIRS)["barrier"], np.nan
        if len(base):
            text = "two retrained models (range)"
            ax.axvspan(base.min(), base.max(), label=text, **BAND)
            if margin is not None and init == SAME:
                words, asked = f"their mean + {margin:g} G: C16", base.mean() + margin
                ax.axvline(asked, color=BLACK, lw=1.0, ls="--", label=words)
        decades(ax, np.r_[part["barrier"], found["high"], asked], 0.1, inner=(0.5,))
        ax.axhline(len(methods) - 1.5, color=GREY, lw=0.8 if PAIRS in methods else 0)
        ax.set_title(heading)
        ax.set_xlabel("retain barrier (G): linear to 0.1, then log")
        ax.grid(axis="y", visible=False)
    drawing.name_rows(axes[0, 0], methods)
    keys = [entry("o", BLUE, "mean, 95 % interval", ls="-"), dot_entry(BLUE, "one line")]
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
            *ways(study),
            *fit_records(study, progress(study)),
        ],
        {"C15": c15, "C16": c16},
    ),
)
