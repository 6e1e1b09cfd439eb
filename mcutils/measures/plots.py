"""Plots of tidy tables: each takes a table and draws on one panel, so that notebooks and users compose them.

A table has a row an observation and plain columns; `original` is the unit over which means have their intervals.
Columns are named by the caller. `figure` makes panels, `finish` adds one legend and lays out, `save` writes a png.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import drawing
from .drawing import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION, entry as entry, label as label
from .originals import LEVEL, student

Table = Any  # a pandas.DataFrame
ERROR = 0.005  # the smallest standard error of a mean believed in, in G
LOOKS = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (PURPLE, "D"), (ORANGE, "v"), (GREY, "P"))
WORDS = {"supported": (GREEN, "o"), "contradicted": (VERMILLION, "s"), "undecided": (GREY, "D")}
EMPTY = "#ECECEC"
save = drawing.save


def interval(
    table: Table, value: str, by: str | Sequence[str] = (), *, unit: str = "original", least: float = ERROR
) -> Table:
    """Mean over originals of a column with Student's interval: columns estimate, low, high and n, a row a group.

    Rows of one original are averaged first; ``by`` names the columns that make groups, none for one row.
    """
    import pandas as pd

    names = [by] if isinstance(by, str) else list(by)
    rows = []
    for place, part in table.groupby(names, sort=False, observed=True) if names else [((), table)]:
        each = part.groupby(unit)[value].mean().dropna()
        rows.append((*place, *student(each, LEVEL, least), len(each)))
    found = pd.DataFrame(rows, columns=[*names, "estimate", "low", "high", "n"])
    return found.set_index(names) if names else found


def figure(rows: int = 1, columns: int = 1, height: float = 2.6, **options: Any) -> tuple[Any, Any]:
    """A figure as wide as a notebook's column with rows x columns of panels: (figure, axes (rows, columns))."""
    with drawing.style():
        return drawing.panel_grid(rows, columns, height, **options)


def _name_lines(ax: Any, texts: Sequence[str]) -> None:
    """A panel's lines from the top down, by name; room for one where there is none."""
    ax.set_yticks(range(len(texts)), texts)
    ax.set_ylim(max(len(texts), 1) - 0.5, -0.5)


def finish(fig: Any, title: str = "", more: Sequence[Any] = ()) -> Any:
    """The figure with one legend of all that its panels have labelled and of ``more`` entries, laid out once."""
    with drawing.style():
        first: dict[str, Any] = {}
        for ax in fig.axes:
            handles, texts = ax.get_legend_handles_labels()
            first |= {t: h for t, h in zip(texts, handles, strict=True) if t not in first}
        first |= {handle.get_label(): handle for handle in more}
        if first:
            wide = sum(len(text) for text in first) + 6 * len(first)
            columns = max(1, min(len(first), 5, int(110 * len(first) / max(wide, 1))))
            fig.legend([*first.values()], [*first], loc="outside lower center", ncols=columns)
        if title:
            fig.suptitle(title, fontsize=10.5, fontweight="bold")
        drawing.settle(fig)
    return fig


def look(groups: Any) -> dict[Any, tuple[str, str]]:
    """A colour and a marker for each group: those that kinds of curve have everywhere, else the next of `LOOKS`.

    Kinds of curve come first and in their usual order, other groups as they are met.
    """
    groups = sorted(dict.fromkeys(groups), key=lambda one: [*drawing.COLOURS, one].index(one))
    known = {name: (drawing.COLOURS[name], drawing.MARKERS[name]) for name in drawing.COLOURS}
    rest = iter([*LOOKS, *LOOKS] if not set(groups) & set(known) else [*LOOKS[3:], *LOOKS])
    return {group: known.get(group) or next(rest) for group in groups}


def multiples(
    draw: Any, table: Table, panel: str, *, columns: int = 3, height: float = 2.2, title: Any = label, **options: Any
) -> tuple[Any, Any]:
    """A panel for each value of a column, drawn by another plot with the rows that have it: (figure, axes).

    ``height`` is that of a row of panels in inches; ``options`` go to ``draw``, but ``sharex`` and ``sharey``.
    """
    names = list(dict.fromkeys(table[panel]))
    shared = {name: options.pop(name, True) for name in ("sharex", "sharey")}
    forbid = options.pop("forbid", None)
    rows = -(-len(names) // columns) or 1
    fig, axes = figure(rows, min(columns, len(names)) or 1, height * rows + 0.5, **shared)
    with drawing.style():
        for ax, name in zip(axes.flat, names, strict=False):
            draw(table[table[panel] == name], ax=ax, **options)
            ax.set_title(title(name))
        for ax in axes.flat[len(names) :]:
            ax.set_visible(False)
        for ax in axes[:, 1:].flat if shared["sharey"] else ():
            ax.set_ylabel("")
        for ax in axes.flat[: len(names)] if forbid else ():  # once all panels have their common limits
            edge, above = forbid
            drawing.forbidden(ax, edge, above, f"breaks MCU({abs(edge):g})")
    return fig, axes


def _axes(ax: Any, height: float = 3.0) -> Any:
    return figure(height=height)[1][0, 0] if ax is None else ax


def scaled(ax: Any, axis: str, linear: float | None) -> None:
    """Make an axis linear up to ``linear`` and logarithmic beyond; None leaves it as it is."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if linear is None:
        return
    getattr(ax, f"set_{axis}scale")("symlog", linthresh=linear, linscale=1.0)
    part = getattr(ax, f"{axis}axis")
    edges = [linear * 10.0**k for k in range(6)]
    part.set_major_locator(FixedLocator([*(-e for e in edges), 0.0, *edges]))
    part.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    part.set_minor_locator(NullLocator())


def strip(
    table: Table, value: str, *, by: str = "method", group: str = "", ax: Any = None, edge: float | None = None,
    band: float | None = None, linear: float | None = None, order: Sequence[str] = (), names: Any = label,
) -> Any:  # fmt: skip
    """Numbers by method: each row a faint dot, the mean over originals with its interval a mark.

    Args:
        table: columns ``value``, ``by``, `original`, and `included` if some rows are only shown (as crosses; the mean
            is over the others, and over all where none is included: marked with a dagger).
        by: what has a row of the panel each; ``group``: what stands side by side in it.
        edge: a dashed line; band: a grey band about 0; linear: of `scaled`; order: of the rows.
    """
    ax = _axes(ax, 0.32 * max(2, table[by].nunique()) * max(1, table[group].nunique() / 2 if group else 1) + 0.9)
    rows = list(order or dict.fromkeys(table[by]))
    looks, texts = look(table[group] if group else [""]), []
    groups = list(looks)
    for y, name in enumerate(rows):
        if y % 2:
            ax.axhspan(y - 0.5, y + 0.5, color="#F4F4F4", lw=0, zorder=0)
        none = True
        for k, one in enumerate(groups):
            part = table[(table[by] == name) & ((table[group] == one) if group else True)]
            read = part[part.included.astype(bool)] if "included" in part else part
            none &= not len(read)
            height = y + (k - (len(groups) - 1) / 2) * 0.8 / max(len(groups), 2)
            colour, marker = looks[one] if group else (BLUE, "o")
            text = names(one) if group else None
            left = part.drop(read.index)
            ax.plot(left[value], np.full(len(left), height + 0.08), "x", color=colour, ms=3.5, alpha=0.6)
            mean = interval(read if len(read) else part, value)
            drawing.interval_row(ax, height, read[value], mean, colour, marker)
            ax.plot([], [], marker, color=colour, label=text) if text else None
        texts.append(names(name) + (" †" if none and "included" in table else ""))
    _name_lines(ax, texts)
    if edge is not None:
        ax.axvline(edge, color=BLACK, ls="--", lw=1.0, zorder=1)
    if band is not None:
        ax.axvspan(-band, band, color="#DDDDDD", lw=0, zorder=0)
        ax.axvline(0, color=BLACK, lw=0.8, zorder=1)
    ax.grid(axis="y", visible=False)
    scaled(ax, "x", linear)
    return ax


def along(
    table: Table, *, value: str = "excess", group: str = "kind", path: str = "path", ax: Any = None,
    forbid: tuple[float, bool] | None = None, linear: float | None = None, names: Any = label, ylabel: str = "",
) -> Any:  # fmt: skip
    """A quantity along paths: every path thin, the mean of each group thick with its marks.

    Args:
        table: columns t, ``value``, ``group`` and ``path``, a row a point of a path.
        forbid: (edge, whether above it): the side where it may not be is hatched. linear: of `scaled`.
    """
    ax = _axes(ax, 2.6)
    for name, (colour, marker) in look(table[group]).items():
        part = table[table[group] == name]
        for _, one in part.groupby(path, sort=False):
            ax.plot(one["t"], one[value], color=colour, lw=0.8, alpha=0.35, zorder=2)
        mean = part.groupby("t")[value].mean()
        mean = mean[part.groupby("t")[path].nunique() == part[path].nunique()]
        step = max(1, (len(mean) - 1) // 4)
        style = {"marker": marker, "ms": 3.6, "markevery": step}
        ax.plot(mean.index, mean, color=colour, lw=2.2, zorder=3, label=names(name), **style)
    if value == "excess":
        ax.axhline(0, color=GREY, ls=(0, (4, 3)), lw=0.9, zorder=1, label="chord")
    ax.set_xlabel("t")
    ax.set_ylabel(ylabel)
    scaled(ax, "y", linear)
    if forbid is not None:
        drawing.forbidden(ax, *forbid, f"breaks MCU({abs(forbid[0]):g})")
    return ax


def losses(
    table: Table, *, value: str = "value", error: str = "error", group: str = "kind", levels: Mapping[str, float] = {},
    ax: Any = None, ylabel: str = "", names: Any = label,
) -> Any:  # fmt: skip
    """A metric along single paths with its 95 % band over examples, its chord, and levels of models beside it.

    ``levels``: name -> value of a horizontal line, such as the original's and the retrained models'.
    """
    ax = _axes(ax, 2.6)
    for name, (colour, marker) in look(table[group]).items():
        one = table[table[group] == name].sort_values("t")
        t, v = one["t"].to_numpy(), one[value].to_numpy()
        if error in one and one[error].notna().all():
            ax.fill_between(t, v - 1.96 * one[error], v + 1.96 * one[error], color=colour, alpha=0.18, lw=0)
        ax.plot(t, v, color=colour, marker=marker, ms=3.4, markevery=max(1, (len(t) - 1) // 6), label=names(name))
        ax.plot([0, 1], [v[0], v[-1]], color=GREY, ls=(0, (4, 3)), lw=1.0, label="chord")
    styles = iter([(0, (1, 1.2)), drawing.RETRAINED, (0, (3, 1))])
    for (name, level), colour in zip(levels.items(), (BLACK, PURPLE, GREEN), strict=False):
        ax.axhline(level, color=colour, ls=next(styles), lw=1.3, label=name)
    ax.set_xlabel("t")
    ax.set_ylabel(ylabel)
    return ax


def matrix(
    table: Table, value: str, *, row: str = "method", column: str = "other", order: Sequence[str] = (), ax: Any = None,
    threshold: float | None = None, digits: int = 2, names: Any = label, colours: str = "",
) -> Any:  # fmt: skip
    """A square of pairs: the mean of a column over the rows of each pair, symmetric; grey where there is none.

    With a ``threshold`` colours turn from blue through white there to red, else they go from light to dark.
    """
    from matplotlib.colors import TwoSlopeNorm

    order = list(order or dict.fromkeys([*table[row], *table[column]]))
    mean = table.groupby([row, column])[value].mean()
    cells = np.full((max(len(order), 1),) * 2, np.nan)
    for (a, b), number in mean.items():
        if a in order and b in order:
            cells[order.index(a), order.index(b)] = cells[order.index(b), order.index(a)] = number
    ax = _axes(ax, 3.4)
    ax.set_facecolor(EMPTY)
    top = np.nanmax(cells) if np.isfinite(cells).any() else 1.0
    norm = None if threshold is None else TwoSlopeNorm(threshold, 0.0, max(top, 2 * threshold))
    image = ax.imshow(cells, cmap=colours or ("RdBu_r" if threshold is not None else "Blues"), norm=norm)
    for i, j in np.argwhere(np.isfinite(cells)):
        red, green, blue, _ = image.cmap(image.norm(cells[i, j]))
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        ax.text(
            j, i, f"{cells[i, j]:.{digits}f}", ha="center", va="center", fontsize=7, color="white" if dark else BLACK
        )
    ax.set_xticks(range(len(order)), [names(one) for one in order], rotation=40, ha="right")
    ax.set_yticks(range(len(order)), [names(one) for one in order])
    ax.grid(visible=False)
    ax.tick_params(length=0)
    return ax


def forest(
    table: Table, *, name: str = "row", ax: Any = None, edges: str = "", word: str = "verdict", names: Any = str
) -> Any:
    """Estimates with intervals, a row each: columns effect, low, high, ``word`` for colour, and the row's ``name``.

    `corrected_low` and `corrected_high`, where they are, make a thin interval; ``edges`` is a column with the
    thresholds of each row as a tuple of numbers.
    """
    ax = _axes(ax, 0.26 * len(table) + 0.8)
    reach = table[["effect", "low", "high"]].replace([np.inf, -np.inf], np.nan)
    for y, (one, told) in enumerate(zip(table.to_dict("records"), reach.to_dict("records"), strict=True)):
        colour, marker = WORDS.get(one.get(word, ""), (BLUE, "o"))
        if {"corrected_low", "corrected_high"} <= set(one) and np.isfinite(one["corrected_low"]):
            ax.plot([one["corrected_low"], one["corrected_high"]], [y, y], color=colour, lw=0.7, zorder=2)
        ax.plot([told["low"], told["high"]], [y, y], color=colour, lw=2.4, solid_capstyle="butt", zorder=2)
        ax.plot(told["effect"], y, marker, color=colour, ms=5.5, mec="white", mew=0.7, zorder=3)
        for edge in one.get(edges) or () if edges else ():
            ax.plot([edge, edge], [y - 0.4, y + 0.4], color=BLACK, lw=1.4, zorder=1)
    _name_lines(ax, [names(one) for one in table[name]])
    ax.grid(axis="y", visible=False)
    return ax


def scatter(
    table: Table, x: str, y: str, *, group: str = "", ax: Any = None, names: Any = label, rank: bool = True
) -> Any:
    """Points of two columns, a colour and a marker a group; in the corner Spearman's correlation, the mean over
    originals with its interval where there are two or more."""
    from scipy.stats import spearmanr

    ax = _axes(ax, 3.0)
    for one, (colour, marker) in look(table[group] if group else [""]).items():
        part = table[table[group] == one] if group else table
        text = names(one) if group else None
        ax.plot(part[x], part[y], marker, color=colour, ms=4, alpha=0.75, mew=0, label=text)
    if rank:
        known = table.dropna(subset=[x, y])
        parts = known.groupby("original") if "original" in known else [(0, known)]
        rho = [spearmanr(one[x], one[y])[0] for _, one in parts if one[x].nunique() > 3 and one[y].nunique() > 1]
        mean, low, high = student(rho) if rho else (np.nan,) * 3
        told = f"rank correlation {mean:.2f}" + (f" [{low:.2f}, {high:.2f}]" if len(rho) > 1 else "")
        ax.text(0.98, 0.97, told if rho else "", fontsize=7.5, ha="right", va="top", transform=ax.transAxes)
        ax.margins(y=0.16)
    return ax


def share(
    table: Table, value: str, *, group: str = "", ax: Any = None, top: float = 0.5, edge: float | None = None,
    names: Any = label,
) -> Any:  # fmt: skip
    """The share of rows whose number is at most eps, against eps: one curve a group."""
    ax = _axes(ax, 2.6)
    grid = np.linspace(0, top, 201)
    dashes = ["-"] * len(LOOKS) + ["--"] * len(LOOKS)
    for (one, (colour, _)), dash in zip(look(table[group] if group else [""]).items(), dashes, strict=False):
        values = np.sort((table[table[group] == one] if group else table)[value].dropna())
        shares = np.searchsorted(values, grid, side="right") / max(len(values), 1)
        ax.step(grid, shares, where="post", color=colour, ls=dash, label=f"{names(one)} ({len(values)})")
    if edge is not None:
        ax.axvline(edge, color=BLACK, ls="--", lw=1.0)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("tolerance eps (G)")
    ax.set_ylabel("share connected")
    return ax


def specification(table: Table, *, choices: Sequence[str], ax: Any = None, axes: Any = None) -> Any:
    """A specification curve: estimates in order with their intervals, and below them which choice each is of.

    ``choices`` are columns whose values have a row of dots each; columns estimate, low and high. Returns both axes.
    """
    lines = [(name, one) for name in choices for one in dict.fromkeys(table[name])]
    if axes is None:
        ratios = {"height_ratios": [2, 0.3 * max(len(lines), 1)]}
        axes = figure(2, 1, 2.2 + 0.2 * len(lines), sharex=True, gridspec_kw=ratios)[1][:, 0]
    upper, lower = axes
    rows = table.sort_values("estimate").reset_index(drop=True)
    upper.vlines(rows.index, rows.low, rows.high, color=BLUE, lw=1.6)
    upper.plot(rows.index, rows.estimate, "o", color=BLUE, ms=4)
    upper.axhline(0, color=BLACK, lw=0.8)
    for y, (name, one) in enumerate(lines):
        places = rows.index[rows[name] == one]
        lower.plot(places, np.full(len(places), y), "s", color=GREY, ms=3.5)
    _name_lines(lower, [f"{name}: {label(str(one))}" for name, one in lines])
    lower.set_xticks([])
    return axes


def plane(table: Table, value: str, points: Table, *, ax: Any = None, levels: int = 13) -> Any:
    """A loss over a plane as contours (columns x, y, ``value``), and models on it (columns x, y, name, marker)."""
    wide = table.pivot(index="y", columns="x", values=value)
    ax = _axes(ax, 3.4)
    low, high = np.nanmin(wide.to_numpy()), np.nanmax(wide.to_numpy())
    edges = np.geomspace(max(low, 1e-4), max(high, 1.1 * max(low, 1e-4)), levels)
    shown = ax.contourf(wide.columns, wide.index, np.clip(wide.to_numpy(), edges[0], edges[-1]), edges, cmap="Blues")
    for one in points.itertuples():
        ax.plot(one.x, one.y, one.marker, color=VERMILLION, ms=6, mec="white", label=one.name)
    ax.set_aspect("equal")
    ax.grid(visible=False)
    ax.figure.colorbar(shown, ax=ax, shrink=0.8, format="%.2g", ticks=edges[::3])
    return ax


def counts(table: Table, value: str, *, by: str = "method", stack: str, ax: Any = None, names: Any = label) -> Any:
    """Bars of counts by a column, stacked by another; columns ``by``, ``stack`` and ``value``."""
    wide = table.pivot_table(index=by, columns=stack, values=value, aggfunc="sum", sort=False).fillna(0)
    ax = _axes(ax, 0.3 * len(wide) + 0.9)
    left = np.zeros(len(wide))
    for (colour, _), name in zip(LOOKS, wide, strict=False):
        ax.barh(range(len(wide)), wide[name], left=left, color=colour, height=0.7, label=names(name))
        left += wide[name].to_numpy()
    _name_lines(ax, [names(one) for one in wide.index])
    ax.grid(axis="y", visible=False)
    return ax
