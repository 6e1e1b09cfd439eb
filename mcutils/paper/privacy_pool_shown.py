"""10's tables, sentences and figure of the shadow pool."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..measures import drawing
from ..measures.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, finish, panel_grid, where
from ..measures.forgetting_quality import largest_epsilon
from ..measures.intervals import LEVEL
from . import privacy_pool as room
from .claims import interval_text
from .privacy_pool import ANEW, BEFORE, THIRDS, Pool
from .tables import Table, frame

PLACES = {1: ("",), 3: ("t = 0", "t = 1/2", "t = 1")}
LOOKS = {BEFORE: (GREEN, "D"), ANEW: (PURPLE, "D"), "": (BLUE, "o"), "t = 1/2": (ORANGE, "s")}


def ordered(pool: Pool) -> list[str]:
    """The names of a pool: originals first, retrained models last."""
    return [BEFORE, *pool.methods, ANEW]


def pool_table(pool: Pool, level: float = LEVEL) -> Table:
    """One row per name and place on its line: the attack's AUC of targets to forget and to keep, with its interval.

    Columns name, place, kind (``forget`` or ``keep``), estimate, low, high; the interval is a jackknife over shadows.
    """
    rows = []
    for kind in pool.held:
        found = room.intervals(pool, kind, level)
        for name in ordered(pool):
            for place, one in zip(PLACES.get(len(found[name]), range(len(found[name]))), found[name], strict=True):
                rows.append((name, place, kind, *one))
    return frame(rows, ["name", "place", "kind", "estimate", "low", "high"])


def pool_shown(pool: Pool, table: Table) -> Table:
    """A `pool_table` to read, with TPR and accuracy of the attack, what the models can do, and the gate."""
    told, gates, rows = room.statistics(pool), room.pool_gates(pool), []
    for name in ordered(pool):
        part = where(table, name=name)
        for place in dict.fromkeys(part["place"]):
            areas = (where(part, place=place, kind=kind) for kind in pool.held)
            texts = [interval_text(one[["estimate", "low", "high"]].to_numpy(float)[0]) for one in areas]
            texts = [f"{where(part, place=place, kind=k)['estimate'].iloc[0]:.3f}" if t == "-" else t
                     for k, t in zip(pool.held, texts, strict=True)]  # fmt: skip
            at = list(dict.fromkeys(part["place"])).index(place)
            can = (round(100 * float(pool.accuracy[name][s][at].mean()), 1) for s in ("retain", "test"))
            first = at == 0
            more = (f"{100 * told[name]['tpr']:.1f}", f"{told[name]['accuracy']:.3f}") if first else ("", "")
            gate = "" if name not in gates or not first else "fails" if gates[name].reasons else "passes"
            rows.append((drawing.label(name), place, *texts, *more, *can, gate))
    columns = ["models", "place", "U-LiRA, forget targets", "LiRA, keep targets", "TPR at 1 %, %", "accuracy"]
    return frame(rows, [*columns, "retain acc. %", "test acc. %", "gate"], ["models", "place"])


def likeness_shown(pool: Pool) -> Table:
    """How like retrained models each is: KLoM in nats (median, and 95th percentile of examples), the challenge, IAM."""
    rows: list[dict[str, Any]] = []
    found = room.likeness(pool)
    for name in ordered(pool):
        one = found[name]
        row: dict[str, Any] = {"models": drawing.label(name)}
        row |= {f"KLoM, {split}": f"{middle:.2f} ({most:.1f})" for split, (middle, most) in one.klom.items()}
        row |= {
            "epsilon, median": round(one.quality.median_epsilon, 2),
            "capped, %": round(100 * one.quality.capped, 1),
        }
        row |= {"points": round(one.quality.points, 3), "quality": round(one.quality.score, 3)}
        rows.append(row | {"IAM": round(one.complete, 3)})
    return frame(rows, index="models")


def thirds_shown(pool: Pool) -> Table:
    """U-LiRA's AUC of each third of the forget targets, from `THIRDS` by how far original models tell them."""
    found = room.thirds(pool)
    rows = [(drawing.label(name), *np.round(found[name], 3)) for name in ordered(pool)]
    return frame(rows, ["models", *THIRDS], "models")


def pool_text(pool: Pool) -> str:
    """How many models each number is from, the largest epsilon that they can tell, and what the controls say."""
    each = int(pool.held["forget"].sum(axis=0).min())
    wrong = room.pool_controls(pool)
    head = "**Controls of the pool FAILED, so that N4 is undecided.**" if wrong else "**Controls of the pool held.**"
    _, left = room.forgetting(pool)
    lines = [
        f"{pool.shadows} shadows: of each forget target {each} models unlearned it and {pool.shadows - each} never "
        f"saw it. With {each} models of a law epsilon reaches ln({each} - 1) = {largest_epsilon(each):.1f} short "
        "of its cap (no error at all).",
        f"{head} Retrained models must not tell the forget targets, original shadows must, and nothing may be told of "
        "targets dealt anew to the shadows; no model may stand under two names.",
        *(f"- {one}" for one in (*wrong, *left)),
    ]
    return "\n\n".join(lines[:2]) + "".join(f"\n{line}" for line in lines[2:])


def pool_found(pool: Pool) -> str:
    """What U-LiRA tells of the forget targets, and what of middles of lines, in a sentence."""
    told = room.areas(pool, "forget")
    ends = {name: float(told[name][0]) for name in pool.methods}
    if not ends:
        return "The pool holds no method."
    most, least = max(ends, key=lambda name: ends[name]), min(ends, key=lambda name: ends[name])
    inside = [f"{drawing.label(n)} {told[n][1]:.3f} ({told[n][0]:.3f} and {told[n][-1]:.3f} at its ends)"
              for n in pool.methods if len(told[n]) == 3]  # fmt: skip
    middle = f" Half-way along the line of two seeds: {'; '.join(inside)}." if inside else ""
    return (
        f"U-LiRA tells which forget targets a model had learned with an AUC of {told[BEFORE][0]:.3f} before "
        f"unlearning, {ends[most]:.3f} after {drawing.label(most)}, {ends[least]:.3f} after {drawing.label(least)}, "
        f"and {told[ANEW][0]:.3f} of models that never saw them.{middle}"
    )


@drawing.style()
def pool_figure(table, *, title: str = ""):
    """The attack's AUC by models left out, of targets to forget and to keep, with intervals over shadows.

    ``table`` is a `pool_table`; bands are the intervals of original and of retrained models.
    """
    drawing.check_columns(table, ("name", "place", "kind", "estimate", "low", "high"))
    names = [name for name in dict.fromkeys(table["name"]) if name not in (BEFORE, ANEW)]
    headings = {"forget": "U-LiRA: targets to forget", "keep": "LiRA: targets to keep"}
    fig, axes = panel_grid(1, 2, 1.5 + 0.42 * len(names), sharey=True)
    for ax, (kind, heading) in zip(axes[0], headings.items(), strict=True):
        part = where(table, kind=kind)
        for name, words in ((BEFORE, "before unlearning"), (ANEW, "retrained models")):
            one = where(part, name=name).iloc[0]
            ax.axvspan(one.low, one.high, color=LOOKS[name][0], alpha=0.18, lw=0)
            ax.axvline(one.estimate, color=LOOKS[name][0], lw=1.2, ls=drawing.RETRAINED, label=words)
        for y, name in enumerate(names):
            _pool_row(ax, y, where(part, name=name))
        ax.axvline(0.5, color=BLACK, lw=0.8, zorder=0)
        ax.set_title(heading, fontsize=9)
        ax.set_xlabel("AUC")
        ax.grid(axis="y", visible=False)
    drawing.name_rows(axes[0, 0], names)
    keys = [drawing.entry("o", BLUE, "unlearned (t = 0 and 1)", ls="-"), drawing.entry("s", ORANGE, "t = 1/2", ls="-")]
    return finish(fig, axes[0, 0], title, keys)


def _pool_row(ax, height: float, part) -> None:
    """The places of one method's line beneath each other."""
    for k, one in enumerate(part.itertuples()):
        colour, marker = LOOKS.get(one.place, LOOKS[""])
        y = height + (0.22 * (k - 1) if len(part) > 1 else 0)
        if np.isfinite([one.low, one.high]).all():
            ax.plot([one.low, one.high], [y, y], color=colour, lw=1.4, solid_capstyle="butt")
        ax.plot(one.estimate, y, marker, color=colour, ms=4.5, mec="white", mew=0.6, zorder=4)
    ax.axhline(height + 0.5, color=GREY, lw=0.3)
