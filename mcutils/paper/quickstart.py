"""00 and 14: one original, a few retrained and two unlearned models, the line and a curve between the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..data.tasks import Task
from ..engine.kinds import parents
from ..engine.specs import PlaneSpec, Spec
from ..engine.study import Study
from ..measures import drawing
from ..measures.along import chord, excess
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import BLACK, GREY, colour_of, finish, label, marks_of, panel_grid
from ..measures.known_again import known_again
from ..measures.profiles import Profile
from ..traces import Trace
from .abstract import PATHS
from .panels import DASHED, signed_log
from .room import Room
from .tables import Table, again_shares, answer_text, frame
from .walks import COARSE, Route, Walk, alone, coarse, condition_routes, profiles, ring, ring_pairs

ORIGINALS = "originals"  # the condition of two models that were trained apart

# What is walked


def quickstart(study: Study, method: str = "", seeds: Sequence[int] = ()) -> list[Spec]:
    """Original, three retrained and two unlearned models, the line and a Bezier curve between the last two.

    The two have the preset's first pair of ``seeds`` unless others are given.
    """
    pair = seeds or ring(study.seeds)[0]
    ends = [study.unlearned(method or study.preset.quickstart_method, seed) for seed in pair]
    models = [study.original(), *(study.retrained(s) for s in study.seeds[:3]), *ends]
    paths = [study.path(ends[0], ends[1], kind=kind) for kind in ("linear", "bezier")]
    return [study.profile(one, retrained=study.seeds[:3]) for one in (*models, *paths)]


def first_pair(study: Study) -> list[Route]:
    """The first pair of `seeds` for every method, without controls: an exercise of the quickstart."""
    return condition_routes(study, "random", alone(study.preset.methods), ring_pairs(study)[:1])


def trained_apart(study: Study) -> list[Route]:
    """The line and a fitted curve between the first two original models: mode connectivity itself.

    They begin with other weights; the curve is fitted on all training data. 09 walks the same between all originals.
    """
    first, second = study.original(0), study.original(1)
    labels: dict[str, Any] = {"original": 0, "condition": ORIGINALS, "points": coarse(study)}
    return [
        Route("original", kind, 0, 1, path=study.path(first, second, kind=kind), **labels)
        for kind in ("linear", "bezier")
    ]


def explorer(study: Study) -> list[Spec]:
    """The quickstart's line and curve, and the plane that holds both: through the ends and the control point."""
    *_, line, curve = quickstart(study)
    path, size = curve.trace.model, 21 if study.preset.points > COARSE else 5
    return [line, curve, PlaneSpec((path.start, path, path.end), study.preset.forget, size, weighted=study.weighted)]


def shipped(study: Study) -> list[Spec]:
    """What ships beside the notebooks' profiles: the quickstart's models, its curve and all its traces."""
    shown = quickstart(study)
    curve = shown[-1].trace.model
    models = [study.original(), study.retrained(42), curve.start, curve.end, curve]
    return [*models, *dict.fromkeys(trace for one in shown for trace in parents(one))]


# Tables


def splits_table(task: Task) -> Table:
    """Size of each split and what it is for."""
    uses = {
        "retain": "D_r: stays known",
        "forget": "D_f: to be forgotten",
        "valid": "held out before D_f was drawn: all choices are made on it",
        "test": "reported only, chooses nothing",
        "retain_eval": "part of D_r that traces evaluate",
        "bn": "part of D_r that BatchNorm statistics come from",
    }
    rows = [(split, len(task.index[split]), use) for split, use in uses.items()]
    return frame(rows, ["split", "examples", "use"], "split")


def again_table(traces: Mapping[str, Trace], retrained: Sequence[Trace]) -> Table:
    """Per path and split, how many images come to be right inside it: `known_again.known_again` with plain headings.

    ``wrong at both ends`` and of these ``right between``; ``wrong in retrained too`` and of these ``known again``, each
    at the t where most are. Validation and test images, which no model was trained on, show what chance does.
    """
    names = {"of": "images", "missed": "wrong at both ends", "between": "right between"}
    names |= {"never": "wrong in retrained too", "again": "known again"}
    rows = []
    for kind, trace in traces.items():
        for split, counts in known_again(trace, retrained).items():
            rows.append({"path": kind, "split": split, **{text: int(counts[name]) for name, text in names.items()}})
    return frame(rows, index=["path", "split"])


def apart_answer(line: Walk, curve: Walk, eps: float = TOLERANCE) -> str:
    """What was expected between two models trained apart, what line and curve have, and what follows."""
    found, rises = [], [one.barrier for one in (line, curve)]
    for one, rise in zip((line, curve), rises, strict=True):
        seen = one.profile.connectivity.curves
        found.append(
            f"on the {PATHS.get(one.kind, label(one.kind))} the retain loss rises {rise:.2f} G above its chord, to "
            f"{seen['loss_retain'].max():.2f} nats, and the worst model on it has "
            f"{100 * seen['accuracy_retain'].min():.1f} % of the retain set right"
        )
    if rises[0] <= eps:
        so = f"The line has no barrier above {eps:g} G, so nothing is left for a curve to join."
    elif rises[1] < rises[0] / 10:
        left = f"{100 * rises[1] / rises[0]:.0f} % of the line's barrier is left on the curve"
        if rises[1] <= eps:
            so = f"The two are joined by a curve and not by a line: {left}. A barrier on the line may have a way round."
        else:
            so = (
                f"The curve goes round most of what stands in the line's way: {left}. It is low, not "
                f"flat: by the tolerance of unlearned models of one original, {eps:g} G, the curve has a barrier too."
            )
    else:
        so = f"The fitted curve keeps {100 * rises[1] / rises[0]:.0f} % of the line's barrier: it joins them in part."
    return answer_text(
        "Two trainings from other initial weights end far apart. Half-way on the line between them stands a mixture of "
        "weights that no training ever made, so it should know little.",
        "; ".join(found)[0].upper() + "; ".join(found)[1:] + ".",
        so,
    )


def quickstart_answer(profiles: Mapping[str, Profile], eps: float = TOLERANCE) -> str:
    """What was expected of the paths between two unlearned models, what was found, and what follows.

    ``profiles``: kind of curve -> profile with levels.
    """
    found = {kind: one.connectivity for kind, one in profiles.items()}
    dips, low = (
        {kind: one.deficit(reading) / profiles[kind].gap for kind, one in found.items()}
        for reading in ("chord", "floor")
    )
    said = [
        f"on the {PATHS.get(kind, label(kind))} the retain loss is at most "
        f"{one.barrier() / profiles[kind].gap:.3f} G above its chord, the forget loss at most {dips[kind]:.3f} G below "
        f"its own, and {low[kind]:.3f} G below both this and what retrained models have"
        for kind, one in found.items()
    ]
    words = {True: "better, by more than {0:g} G,", False: "no better, within {0:g} G,"}
    so = [
        f"On the {PATHS.get(kind, label(kind))} models on the way fit the forgotten images better than the two ends, "
        f"and {words[low[kind] > eps].format(eps)} than models that never saw them.{_again_words(profiles[kind])}"
        for kind in found
        if dips[kind] > eps
    ]
    return answer_text(
        "Both models come from one original, so the retain loss should stay low on the way; the forget loss may dip.",
        "; ".join(said)[0].upper() + "; ".join(said)[1:] + ".",
        " ".join(so) or f"On no path does the forget loss dip by more than {eps:g} G below its chord.",
    )


def _again_words(profile: Profile) -> str:
    """What comes back of single images inside a path, if its profile keeps it, in a sentence."""
    found = again_shares([profile])
    if len(found) < 2:
        return ""
    return (
        " Image by image: of the forget images that both ends and all retrained models get wrong, "
        f"{found['forget']:.1f} % are right at the t where most of them are; of such test images, which no model was "
        f"trained on, {found['test']:.1f} %."
    )


def explorer_answer(table: Table) -> str:
    """What was expected of the images along two paths, what was found, and what follows, from an `again_table`."""
    said, more = [], []
    for kind in dict.fromkeys(table.index.get_level_values("path")):
        forget, unseen = (table.loc[(kind, split)] for split in ("forget", "test"))
        back, among = int(forget["known again"]), int(forget["wrong in retrained too"])
        chance, of = int(unseen["known again"]), int(unseen["wrong in retrained too"])
        said.append(f"{kind}: {back} of {among} forget images, {chance} of {of} test images")
        if among and of and back / among > chance / of:
            more.append(kind)
    return answer_text(
        "A dip means knowledge regained if images are right inside the path that neither end nor any retrained model "
        "gets right, and more often so than images nobody was trained on.",
        "Of the images that both ends and all retrained models get wrong, those right at the t where most of them are: "
        + "; ".join(said)
        + ".",
        f"Known again more often than chance makes of test images: {', '.join(more) or 'on neither path'}. Counts this "
        "small describe this pair and no other.",
    )


# Figures


@drawing.style()
def hero_figure(profiles: Mapping[str, Profile], *, eps: float = TOLERANCE, ends=("start", "end"), title: str = ""):
    """Retain and forget loss minus their chords, in units of G, along each path: two panels on one scale.

    The scale is linear to ``eps``, then logarithmic; what MCU(eps) forbids is hatched, the retrained models' level
    beside the chord is drawn with its range, and the largest dip of a forget loss is named.

    Args:
        profiles: kind of curve -> profile between the same two ends, with levels (`Profile.with_levels`).
        eps: tolerance in G.
        ends: what stands at t = 0 and at t = 1.
    """
    drawing.check_some(profiles, "profiles")
    fig, axes = panel_grid(1, 2, 3.9, sharex=True, sharey=True)
    sides = {"retain": "may not rise", "forget": "may not dip"}
    over = {split: {kind: _over(one, split) for kind, one in profiles.items()} for split in sides}
    first = next(iter(profiles.values()))
    levels = {split: _level_over(first, split) for split in sides}
    seen = [*(v for of in over.values() for v in of.values()), *levels.values(), np.array([-1.5, 1.5]) * eps]
    signed_log(axes[0, 0], np.concatenate([np.ravel(v) for v in seen]), eps, "y", share=0.8, fine=True)
    for ax, (split, rule) in zip(axes[0], sides.items(), strict=True):
        drawing.forbidden(ax, eps if split == "retain" else -eps, split == "retain", f"breaks MCU({eps:g})")
        ax.axhline(0, color=GREY, lw=1.0, ls=DASHED, zorder=1, label="chord")
        level = levels[split]
        drawing.retrained_band(ax, first.t, level.min(axis=0), level.mean(axis=0), level.max(axis=0))
        for kind, values in over[split].items():
            marks = marks_of(kind, len(values), 6)
            ax.plot(profiles[kind].t, values, color=colour_of(kind), lw=2.0, zorder=3, label=label(kind), **marks)
        ax.set_title(f"{split} loss: {rule}")
    axes[0, 0].set_ylabel(f"loss minus chord (G)\nlinear to {eps:g}, then log")
    axes[0, 0].set_xlim(-0.02, 1.02)
    axes[0, 0].set_xticks([0, 0.5, 1], [f"0\n{ends[0]}", "0.5\nt", f"1\n{ends[1]}"])
    _name_the_dip(axes[0, 1], over["forget"], first.t, levels["forget"].mean(axis=0))
    return finish(fig, axes[0, 0], title)


def _over(profile: Profile, split: str) -> np.ndarray:
    """A loss minus its chord (T,), in units of G."""
    return excess(profile.connectivity.curves[f"loss_{split}"], profile.t) / profile.gap


def _level_over(profile: Profile, split: str) -> np.ndarray:
    """The loss of each retrained model minus the chord (R, T), in units of G."""
    straight = chord(profile.connectivity.curves[f"loss_{split}"], profile.t)
    return (profile.levels[f"loss_{split}"][:, None] - straight) / profile.gap


def _name_the_dip(ax, over: Mapping[str, np.ndarray], t: np.ndarray, level: np.ndarray) -> None:
    """How deep the deepest of the paths dips, and where that is beside the retrained models' level."""
    lowest = min(over.values(), key=np.min)
    k = int(lowest.argmin())
    if lowest[k] >= 0:
        return
    apart = lowest[k] - level[k]
    side = "still above" if apart > 0 else "and below"
    words = f"dips {-lowest[k]:.2f} G below its chord,\n{side} retrained models' mean by {abs(apart):.2f} G"
    arrow = {"arrowstyle": "->", "color": BLACK, "lw": 0.9}
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": GREY, "lw": 0.6}
    place = {"xytext": (0.5, 0.68), "textcoords": "axes fraction", "ha": "center", "va": "center", "zorder": 5}
    ax.annotate(words, (t[k], lowest[k]), arrowprops=arrow, bbox=box, fontsize=8.5, **place)


@drawing.style()
def path_figure(
    curves: Mapping[str, Any],
    *,
    retrained: Mapping[str, Sequence[float]] | None = None,
    original: Mapping[str, float] | None = None,
    splits: Sequence[str] = ("retain", "forget", "test"),
    ends: tuple[str, str] = ("start", "end"),
    title: str = "",
):
    """Loss and accuracy along curves: a row per split, a line and 95 % band per curve, chords dashed.

    Args:
        curves: kind of curve -> `Connectivity`, or anything with its ``t``, ``curves`` and ``bands``.
        retrained: loss_<split>, accuracy_<split> -> values of the retrained models, drawn as mean and range.
        original: the same names -> value of the model before unlearning.
        splits: the rows.
        ends: what stands at t = 0 and at t = 1.
    """
    drawing.check_some(curves, "curves")
    retrained, original = retrained or {}, original or {}
    fig, axes = panel_grid(len(splits), 2, 0.9 + 1.75 * len(splits), sharex=True)
    for row, split in zip(axes, splits, strict=True):
        for ax, quantity, unit in zip(row, ("loss", "accuracy"), ("nats", "%"), strict=True):
            name = f"{quantity}_{split}"
            _path_panel(ax, name, curves, retrained.get(name), original.get(name))
            ax.set_ylabel(f"{split} {quantity} ({unit})")
    for ax in axes[-1]:
        ax.set_xlim(-0.02, 1.02)
        names = [f"0\n{ends[0]}", "0.25", "0.5\nt", "0.75", f"1\n{ends[1]}"]
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], names)
    return finish(fig, axes[0, 0], title)


def _path_panel(ax, name: str, curves: Mapping[str, Any], retrained, original) -> None:
    chords: list[np.ndarray] = []
    for kind, one in curves.items():
        t, values, colour = np.asarray(one.t), np.asarray(one.curves[name]), colour_of(kind)
        text, marks = f"{label(kind)}, 95 % band", marks_of(kind, len(t), 6)
        ax.fill_between(t, *one.bands[name], color=colour, alpha=0.18, lw=0)
        ax.plot(t, values, color=colour, zorder=3, label=text, **marks)
        straight = values - excess(values, t)
        if not any(np.allclose(straight, other) for other in chords):
            chords.append(straight)
    # One chord for all curves that share their endpoints.
    for straight in chords:
        ax.plot(t, straight, color=GREY, lw=1.0, ls=(0, (4, 3)), zorder=2, label="chord")
    if retrained is not None:
        low, mean, high = ([float(f(retrained))] * 2 for f in (np.min, np.mean, np.max))
        text = "retrained models, range" if np.size(retrained) > 1 else "retrained model"
        drawing.retrained_band(ax, [-0.02, 1.02], low, mean, high, text)
    if original is not None:
        ax.axhline(original, color=BLACK, lw=1.0, ls=":", zorder=1, label="original model")
    if name.startswith("accuracy"):
        drawing.widen(ax, 0.02)
        drawing.percent_ticks(ax.yaxis)
        ax.set_ylim(top=min(ax.get_ylim()[1], 1.004))
    else:
        drawing.widen(ax, 0.04)


ROOMS = (
    Room(
        "00_quickstart",
        more=lambda study: [*quickstart(study), *profiles(study, [*first_pair(study), *trained_apart(study)])],
    ),
    Room("14_explorer", more=explorer),
)
