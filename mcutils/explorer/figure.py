"""The explorer's view as a matplotlib figure: what a repository's viewer shows, and what is saved as png and svg.

It speaks as `explorer.js` does: paths in blue and vermillion, what is remembered green and what is forgotten grey,
retrained models purple, the original dotted black, losses on the plane in greys.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..measures.along import chord
from ..measures.drawing import BLACK, BLUE, GREEN, GREY, VERMILLION, WIDTH, retrained_band, settle, style
from ..measures.planes import Plane
from .book import title_of, unit_of
from .numbers import SIGNS
from .scene import Scene, extreme, spans

LINES = ((BLUE, "-", "o", "////"), (VERMILLION, "--", "s", "\\\\\\\\"))  # colour, line, marker and hatch of each path
IMAGES = 8


def view_figure(made: Scene):
    """The panels of a `scene.scene` at its t, its plane, and the first images of its page, as a matplotlib Figure."""
    import matplotlib.pyplot as plt

    plane, first = made.on, made.numbers[0]
    panels = [partial(_curves, made=made, name=name) for name in made.metrics]
    panels += [partial(_plane, made=made, plane=plane, name=name) for name in SIGNS] if plane else []
    rows = max(1, -(-len(panels) // 2))
    why = first.why.partition(";")[0] or (first.no_pictures if first.forgotten and first.known_task else "")
    images = len(made.places) > 0 and not why
    with style():
        size = (WIDTH, 2.3 * rows + (1.9 if images else 0) + 0.8)
        fig = plt.figure(figsize=size, layout="constrained", dpi=110)
        plt.close(fig)  # a notebook shows what a cell returns, not what pyplot holds
        grid = fig.add_gridspec(rows + images, 2, height_ratios=[2.3] * rows + [1.9] * images)
        for k, draw in enumerate(panels):
            draw(fig.add_subplot(grid[k // 2, k % 2]))
        if images:
            _images(fig, grid[rows, :], made)
        fig.suptitle(f"{literal(made.sources[0].label)}: t = {float(made.t[made.view.k]):.3f}", fontsize=10)
        keys = {text: h for ax in fig.axes for h, text in zip(*ax.get_legend_handles_labels(), strict=True)}
        columns = 1 if sum(map(len, keys)) > 80 else max(1, len(keys))
        words = f"No images: {why}." if why else None  # a title of the legend, which keeps clear of its entries
        fig.legend([*keys.values()], [*keys], loc="outside lower center", ncols=columns, title=words, title_fontsize=8)
        fig.set_layout_engine("constrained", w_pad=0.1)  # inches: labels of ticks may grow once axes have their place
        settle(fig)
    return fig


def literal(name: str) -> str:
    """A user's name as matplotlib draws it letter by letter: no formula between dollars, no label hidden by its _."""
    return f" {name}".replace("$", r"\$") if name.startswith("_") else name.replace("$", r"\$")


def _curves(ax, made: Scene, name: str) -> None:
    from matplotlib.patheffects import withStroke

    unit, factor = unit_of(name)
    first = made.numbers[0]
    levels, original = factor * first.levels(name), first.original_level(name)
    if len(levels):
        retrained_band(ax, [0, 1], levels.min(), [levels.mean()] * 2, levels.max(), "retrained models")
    if original is not None:
        ax.axhline(factor * original, color=BLACK, ls=":", lw=1.0, label="original model")
    for k, (one, at) in enumerate(zip(made.numbers, made.beside(made.view.k), strict=True)):
        colour, line, marker, hatch = LINES[k]
        if one.lacking(name):
            continue
        t, values, band = one.t, factor * one.values(name), one.band(name)
        if band is not None:
            ax.fill_between(t, *(factor * band), color=colour, alpha=0.18, lw=0)
        ax.plot(t, values, line, color=colour, marker=marker, ms=2.5, label=literal(made.short(k)))
        ax.plot(t, chord(values, t), ":", color=colour, lw=1.0, label="" if k else "chord")
        ax.plot(t[at], values[at], marker, color=colour, mec=BLACK, ms=7, zorder=5)
        mark = extreme(one, name)
        if mark is not None and mark[1] > 0:
            spot, _, words = mark
            low, high = sorted((chord(values, t)[spot], values[spot]))
            ax.vlines(t[spot], low, high, color=colour, lw=2.5)
            up = SIGNS[name] > 0
            place = {"xytext": (0, 4 if up else -4), "textcoords": "offset points", "va": "bottom" if up else "top"}
            side = "left" if t[spot] < 0.2 else "right" if t[spot] > 0.8 else "center"
            told = ax.annotate(
                words, (t[spot], high if up else low), ha=side, color=colour, fontsize=8, zorder=6, **place
            )
            told.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        broken = one.breaks(made.view.eps).get(name, np.zeros(len(t), dtype=bool))
        for a, b in spans(broken, t):
            ax.axvspan(a, b, facecolor="none", edgecolor=colour, hatch=hatch, lw=0, alpha=0.3, zorder=0)
    ax.axvline(float(made.t[made.view.k]), color=BLACK, lw=0.7)
    ax.set_title(f"{title_of(name)} ({unit})")
    ax.set_xlabel("t")
    ax.set_xlim(0, 1)
    ax.margins(y=0.12)


def _plane(ax, made: Scene, plane: Plane, name: str) -> None:
    from matplotlib.colors import LogNorm

    z = np.maximum(np.asarray(plane.values[name], dtype=np.float64), 1e-4)
    levels = np.geomspace(np.nanmin(z), max(1.1 * np.nanmin(z), np.nanmax(z)), 11)
    norm = LogNorm(levels[0], levels[-1] * (levels[-1] / levels[0]) ** 0.4)  # no tint so dark that a path is lost on it
    filled = ax.contourf(plane.x, plane.y, z, levels=levels, norm=norm, cmap="Greys")
    bar = ax.figure.colorbar(filled, ax=ax, ticks=levels[::5])
    bar.ax.set_yticks(levels[::5], [f"{level:.2g}" for level in levels[::5]], fontsize=7)
    bar.ax.minorticks_off()
    for k, (one, at) in enumerate(zip(made.numbers, made.beside(made.view.k), strict=True)):
        where, spot = (made.on_plane(k, t) for t in (np.linspace(0, 1, 41), one.t[[at]]))
        if where is not None and spot is not None:
            ax.plot(*where.T, color="white", lw=3.0)
            ax.plot(*where.T, LINES[k][1], color=LINES[k][0], lw=1.6)
            ax.plot(*spot[0], LINES[k][2], color=LINES[k][0], mec="white", ms=8, zorder=5)
    ax.set_title(f"{title_of(name)} on the plane (nats)")
    ax.set_xlabel("distance in weight space")
    ax.grid(False)


def _images(fig, place, made: Scene) -> None:
    k, first = made.view.k, made.numbers[0]
    found, pictures = first.forgotten, first.pictures(made.places)
    assert found is not None, "there are places of images only where there are predictions"
    inner = place.subgridspec(1, IMAGES)
    for j, spot in enumerate(list(made.places)[:IMAGES]):
        ax = fig.add_subplot(inner[0, j])
        if pictures is not None:
            one = pictures[j]
            ax.imshow(one[0] if len(one) != 3 else one.transpose(1, 2, 0), cmap="gray")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
        predicted, known = int(found.predicted[k, spot]), bool(found.remembered[k, spot])
        said = first.classes[predicted] if predicted >= 0 else "no prediction"
        ax.set_title(literal(first.classes[int(found.labels[spot])]), fontsize=7)
        words = f"{literal(said)}\n{100 * found.confidence[k, spot]:.0f} %\n{'right' if known else 'wrong'}"
        ax.set_xlabel(words, fontsize=6.5)
        for spine in ax.spines.values():
            spine.set(visible=True, color=GREEN if known else GREY, lw=1.8, ls="-" if known else "--")
