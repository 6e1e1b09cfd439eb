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
from ..measures.along import excess
from ..measures.drawing import BAND, BLACK, GREY, colour_of, finish, label, marks_of, panel_grid
from .room import Room
from .tables import Table, frame
from .walks import COARSE, Route, alone, condition_routes, profiles, ring, ring_pairs

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


def explorer(study: Study) -> list[Spec]:
    """The quickstart's line and curve, and the plane that holds both: through the ends and the control point."""
    *_, line, curve = quickstart(study)
    path, size = curve.trace.model, 21 if study.preset.points > COARSE else 5
    return [line, curve, PlaneSpec((path.start, path, path.end), study.preset.forget, size)]


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


# Figures


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
        retrained: loss_<split>, accuracy_<split> -> values of the retrained models, drawn as their range.
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
        text = "retrained models (range)" if np.size(retrained) > 1 else "retrained model"
        ax.axhspan(np.min(retrained), np.max(retrained), -0.1, 1.1, label=text, **BAND)
    if original is not None:
        ax.axhline(original, color=BLACK, lw=1.0, ls=":", zorder=1, label="original model")
    if name.startswith("accuracy"):
        drawing.widen(ax, 0.02)
        drawing.percent_ticks(ax.yaxis)
        ax.set_ylim(top=min(ax.get_ylim()[1], 1.004))
    else:
        drawing.widen(ax, 0.04)


ROOMS = (
    Room("00_quickstart", more=lambda study: [*quickstart(study), *profiles(study, first_pair(study))]),
    Room("14_explorer", more=explorer),
)
