"""The explorer's views: numbers along paths in, strings of SVG and HTML out; no widget, no network.

A scene is drawn once for a choice of path, metrics and tolerance (its backdrop), and a small frame for each t: where
the markers are, what the table reads, what is predicted. The widget and the exported page show the same strings, so
that their values cannot differ.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from ..curves import points_at
from ..errors import BadInput, choose, number, whole
from ..measures.along import chord
from ..measures.drawing import label
from ..measures.planes import Plane
from ..traces import SPLITS
from .book import Found, quantities, title_of, unit_of
from .numbers import SIGNS, Numbers
from .sources import Source

PAGE = 24  # images that are shown at once
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 196, 46, 12, 24, 30  # of a panel, in its own units
STRIP, PLANE = 15, 236  # heights of a row of the strip and of the plane
ALWAYS = ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget")
OFF = -999.0  # where a marker waits that has no value


@dataclass(frozen=True)
class View:
    """What is looked at: names of sources, the number k of a point t_k, quantity and splits, tolerance, page of images.

    ``eps`` is in units of G. ``beside`` puts the panels of the compared path next to each other, else they share them.
    Raises `BadInput` for a metric, split, tolerance or number that is none.
    """

    path: str
    k: int = 0
    metric: str = "loss"
    splits: tuple[str, ...] = ("retain", "forget")
    eps: float = 0.1
    compare: str = ""
    beside: bool = False
    page: int = 0

    def __post_init__(self) -> None:
        choose("metric", self.metric, quantities())
        for split in self.splits:
            choose("split", split, SPLITS)
        number("eps", self.eps, 0)
        whole("k", self.k)
        whole("page", self.page)


def nearest(t: np.ndarray, value: float) -> int:
    """Number of the point of t (T,) nearest to a value in [0, 1]; raises `BadInput` outside."""
    number("t", value, 0, 1)
    return int(np.abs(np.asarray(t) - value).argmin())


def metrics_of(view: View) -> tuple[str, ...]:
    """Names of the metrics in the view's panels, one per split where the quantity has any."""
    there = quantities()[view.metric]
    if not there:
        return (view.metric,)
    return tuple(f"{view.metric}_{split}" for split in there if split in view.splits) or (f"{view.metric}_{there[0]}",)


def shown(name: str, value: float, sign: bool = False) -> str:
    """A value of a metric in text."""
    if not np.isfinite(value):
        return "not finite"
    unit, factor = unit_of(name)
    text = f"{factor * value:{'+' if sign else ''}.{1 if unit == '%' else 3}f}"
    return text.replace("-0.0", "0.0") if float(text) == 0 else text


@dataclass(frozen=True, eq=False)
class Scene:
    """A view of one path or of two, drawn: `backdrop` once, `frame` for every point.

    ``scope`` is a class name of its own, so that several may stand in one document.
    """

    view: View
    sources: tuple[Source, ...]
    numbers: tuple[Numbers, ...]
    planes: tuple[Found, ...]
    scope: str

    @property
    def t(self) -> np.ndarray:
        """Points of the first path, (T,), which the slider moves on."""
        return self.numbers[0].t

    def short(self, k: int) -> str:
        """The k-th path in a word, its kind of curve; in all its words where that does not tell two apart."""
        kinds = [one.picks.get("curve", one.label) for one in self.sources]
        return label(kinds[k]) if len(set(kinds)) == len(kinds) else self.sources[k].label

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the panels that the first path has."""
        return tuple(name for name in metrics_of(self.view) if not self.numbers[0].lacking(name))

    @cached_property
    def rows(self) -> tuple[str, ...]:
        """The metrics of the read-out table."""
        there = (name for name in ALWAYS if not self.numbers[0].lacking(name))
        return tuple(dict.fromkeys([*self.metrics, *there]))

    @cached_property
    def pages(self) -> int:
        """How many pages of images there are, at least 1."""
        return max(1, -(-self._examples // PAGE))

    @cached_property
    def places(self) -> range:
        """Places of the images on the view's page, in the order of the forget set."""
        first = self.view.page * PAGE
        return range(first, min(first + PAGE, self._examples))

    @property
    def _examples(self) -> int:
        found = self.numbers[0].forgotten
        return 0 if found is None else len(found.rows)

    def beside(self, k: int) -> tuple[int, ...]:
        """For each path the number of its point nearest to t_k of the first."""
        return (k, *(nearest(one.t, float(self.t[k])) for one in self.numbers[1:]))

    @cached_property
    def style(self) -> str:
        """Style sheet: the look of all scenes, and the images of this one's page."""
        return f"<style>{_shipped('explorer.css')}\n{self._images()}</style>"

    def _images(self) -> str:
        pictures = self.numbers[0].pictures(self.places) if len(self.places) else None
        if pictures is None:
            return ""
        data = (base64.b64encode(png(picture)).decode() for picture in pictures)
        return "\n".join(
            f".{self.scope} i.i{k}{{background-image:url(data:image/png;base64,{one})}}" for k, one in enumerate(data)
        )

    @cached_property
    def backdrop(self) -> str:
        """All that does not move: panels of metrics, where MCU(eps) breaks, and the plane."""
        paths = range(len(self.numbers))
        groups = [[k] for k in paths] if self.view.beside else [list(paths)]
        panels = [self._panel(row, name, group) for row, name in enumerate(self.metrics) for group in groups]
        if self.on is None:
            panels.append(f"<div class='empty'><h4>Loss plane</h4><p>{escape(str(self.planes[0]))}.</p></div>")
        else:
            panels += [self._map(self.on, name) for name in SIGNS]
        panels.append(self._strip())
        words = "".join(
            f"<p class='note'>No {escape(title_of(name))}: {escape(self.numbers[0].lacking(name))}.</p>"
            for name in metrics_of(self.view)
            if name not in self.metrics
        )
        if len(self.sources) > 1:
            marks = ("<b class='ca'>● solid</b>", "<b class='cb'>■ dashed</b>")
            pairs = (f"{mark} {escape(one.label)}" for mark, one in zip(marks, self.sources, strict=True))
            words += f"<p class='note'>{' &nbsp; '.join(pairs)}</p>"
        return (
            f"<div class='mcx {self.scope}'><h3>{escape(self.sources[0].label)}</h3>{words}"
            f"<div class='panels'>{''.join(panels)}</div>"
            "<p class='note'>Dashed: the chord between the ends. Grey band: retrained models. Tinted band: 95 % over"
            " examples. Hatched: where MCU(ε) breaks.</p></div>"
        )

    @cached_property
    def _ranges(self) -> dict[str, tuple[float, float]]:
        found = {}
        for name in self.metrics:
            parts = [self.numbers[0].levels(name)]
            for one in self.numbers:
                if not one.lacking(name):
                    band = one.band(name)
                    parts += [one.values(name), *([] if band is None else band)]
            values = np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
            values = values[np.isfinite(values)]
            low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
            pad = 0.08 * (high - low) or 0.05 * abs(high) or 0.5
            found[name] = (float(low - pad), float(high + pad))
        return found

    def _y(self, name: str, value: float) -> float:
        low, high = self._ranges[name]
        return float(np.clip(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), -1e4, 1e4))

    def _panel(self, row: int, name: str, group: Sequence[int]) -> str:
        """One metric along one path or along both."""
        unit, factor = unit_of(name)
        low, high = self._ranges[name]
        parts = [_axes(HEIGHT)]
        for tick in ticks(low * factor, high * factor):
            y = self._y(name, tick / factor)
            parts.append(f"<path class='grid' d='M{LEFT} {y:.1f}H{WIDTH - RIGHT}'/>")
            parts.append(_text(LEFT - 5, y + 3.5, f"{tick:g}", "end"))
        levels = self.numbers[0].levels(name)
        if len(levels):
            top, bottom = self._y(name, levels.max()), self._y(name, levels.min())
            parts.append(_rect("retrained", (0, 1), top - 1, bottom - top + 2))
        words, marks = [], []
        for k in group:
            one, letter = self.numbers[k], "ab"[k]
            if one.lacking(name):
                continue
            drawn, says = self._curve(name, one, letter, first=k == group[0])
            parts += drawn
            words.append(says)
            marks.append(f"<path class='now n{letter}' d='M0 {TOP}V{HEIGHT - BOTTOM}'/>")
            shape = "<circle r='5'/>" if letter == "a" else "<rect x='-4.5' y='-4.5' width='9' height='9'/>"
            marks.append(f"<g class='dot c{letter}' style='--y:var(--{letter}{row})'>{shape}</g>")
        of = f" · {self.short(group[0])}" if self.view.beside else ""
        heading = f"{title_of(name)} ({unit}){of}"
        return _svg(HEIGHT, heading, f"{heading} along the path. {' '.join(words)}", "".join(parts + marks))

    def _curve(self, name: str, one: Numbers, letter: str, first: bool) -> tuple[list[str], str]:
        """Band, chord, curve, ends, broken stretches and the mark of the barrier or deficit of one path."""
        values, t, parts = one.values(name), one.t, []
        ends = self._y(name, values[0]), self._y(name, values[-1])
        for span in stretches(one, name, self.view.eps) if first else ():
            parts.append(_rect("broken", span, TOP, HEIGHT - TOP - BOTTOM))
        band = one.band(name)
        if band is not None:
            edge = zip([*t, *t[::-1]], [*band[0], *band[1][::-1]], strict=True)
            points = [(_x(u), self._y(name, v)) for u, v in edge if np.isfinite(v)]
            parts.append(f"<path class='band c{letter}' d='{_line(points)}Z'/>" if len(points) > 2 else "")
        if all(map(np.isfinite, values[[0, -1]])):
            parts.append(f"<path class='chord c{letter}' d='M{LEFT} {ends[0]:.1f}L{WIDTH - RIGHT} {ends[1]:.1f}'/>")
        finite = np.isfinite(values)
        runs = np.split(np.arange(len(t)), np.flatnonzero(np.diff(finite.astype(int))) + 1)
        for run in runs:
            if finite[run[0]]:
                points = [(_x(t[k]), self._y(name, values[k])) for k in run]
                parts.append(f"<path class='curve c{letter}' d='{_line(points)}'/>")
                parts += [f"<circle class='point c{letter}' cx='{x:.1f}' cy='{y:.1f}' r='1.7'/>" for x, y in points]
        for x, y, end in zip((LEFT, WIDTH - RIGHT), ends, (0, -1), strict=True):
            if np.isfinite(values[end]):
                parts.append(f"<circle class='end c{letter}' cx='{x}' cy='{y:.1f}' r='4'/>")
        says = f"From {shown(name, values[0])} to {shown(name, values[-1])}."
        if not finite.all():
            says += f" {int((~finite).sum())} values are not finite."
        mark = extreme(one, name)
        if mark is not None:
            k, size, text = mark
            says += f" Largest {text}, at t = {t[k]:.3g}."
            if size > 0:
                u, y, line = _x(t[k]), self._y(name, values[k]), self._y(name, chord(values, t)[k])
                side = "start" if t[k] < 0.2 else "end" if t[k] > 0.8 else "middle"
                # Beyond the curve, where no marker covers it: a barrier rises, a deficit dips.
                beyond = min(y, line) - 10 if SIGNS[name] > 0 else max(y, line) + 17
                place = min(max(beyond, TOP + 9), HEIGHT - BOTTOM - 4)
                parts.append(f"<path class='mark c{letter}' d='M{u:.1f} {line:.1f}V{y:.1f}'/>")
                parts.append(_text(u, place, escape(text), side, "marked"))
        return parts, says

    def _strip(self) -> str:
        """Where along the path each of the two inequalities of MCU(eps) breaks."""
        rows = [(k, *row) for k, one in enumerate(self.numbers) for row in one.breaks(self.view.eps).items()]
        height, words = TOP + BOTTOM + STRIP * max(1, len(rows)), []
        parts = [_axes(height)]
        for row, (k, name, broken) in enumerate(rows):
            y, t, h, split = TOP + row * STRIP, self.numbers[k].t, STRIP - 3, name.removeprefix("loss_")
            parts.append(_rect(f"holds c{'ab'[k]}", (0, 1), y, h))
            parts += [_rect(kind, span, y, h) for span in spans(broken, t) for kind in ("breaks", "broken")]
            parts.append(_text(LEFT - 5, y + 10, split, "end"))
            bad, says = t[broken], "holds at every point"
            if len(bad):
                says = f"breaks at {len(bad)} of {len(t)} points, from t = {bad[0]:.3g} to {bad[-1]:.3g}"
            words.append(f"{split} {says}{' of the second path' if k else ''}")
        parts.append(f"<path class='now na' d='M0 {TOP}V{height - BOTTOM}'/>")
        unit = "" if self.numbers[0].gap is not None else " nats"
        marks = ("● ", "■ ") if len(self.numbers) > 1 else ("",)
        heading = ", ".join(f"{mark}{self.verdict(k)}" for k, mark in enumerate(marks))
        heading = f"MCU({self.view.eps:g}{unit}): {heading}"
        return _svg(height, heading, f"{heading}. {'; '.join(words)}.", "".join(parts))

    def verdict(self, k: int) -> str:
        """Whether MCU(eps) holds along the k-th path, in a few words."""
        broken = self.numbers[k].breaks(self.view.eps)
        if len(broken) < 2:
            return "cannot be told without retain and forget loss"
        bad = [name.removeprefix("loss_") for name, where in broken.items() if where.any()]
        return f"breaks for {' and '.join(bad)}" if bad else "holds"

    @property
    def on(self) -> Plane | None:
        """The plane of the first path, where one is stored."""
        return None if isinstance(self.planes[0], str) else self.planes[0][0]

    def on_plane(self, k: int, t: np.ndarray) -> np.ndarray | None:
        """Places (T, 2) of points of the k-th path on the plane of the first; None where it does not lie in it."""
        found = self.planes[k]
        if isinstance(found, str) or self.on is None or not np.array_equal(found[0].models, self.on.models):
            return None
        nodes = found[0].models[list(found[1])]
        return points_at("linear" if len(nodes) == 2 else self.sources[k].picks["curve"], nodes, t)

    def _map(self, plane: Plane, name: str) -> str:
        """Contours of one loss on the plane, with the paths that lie in it."""
        z = np.asarray(plane.values[name], dtype=np.float64)
        parts = []
        for level, polygons in contours(plane.x, plane.y, z):
            for ring in polygons:
                d = "".join(_line([_at(plane, *point) for point in loop]) + "Z" for loop in ring)
                parts.append(f"<path class='level' fill-rule='evenodd' d='{d}'><title>{level:.3g} nats</title></path>")
        marks = []
        for k, letter in zip(range(len(self.sources)), "ab", strict=False):
            where = self.on_plane(k, np.linspace(0, 1, 41))
            if where is None:
                continue
            points = [_at(plane, *p) for p in where]
            d = _line(points)
            marks.append(f"<path class='halo' d='{d}'/><path class='curve c{letter}' d='{d}'/>")
            for end, (x, y) in (("start", points[0]), ("end", points[-1])) if k == 0 else ():
                marks.append(f"<circle class='end ca' cx='{x:.1f}' cy='{y:.1f}' r='4.5'/>")
                marks.append(_text(x, y + 16, end, "middle", "name"))
            shape = "<circle r='5.5'/>" if k == 0 else "<rect x='-5' y='-5' width='10' height='10'/>"
            marks.append(f"<g class='spot c{letter}' style='--x:var(--p{letter});--y:var(--q{letter})'>{shape}</g>")
        x0, x1, y0, y1 = *plane.x[[0, -1]], *plane.y[[0, -1]]
        frame = f"<path class='axis' d='M{LEFT} {TOP}H{WIDTH - RIGHT}V{PLANE - BOTTOM}H{LEFT}Z'/>"
        frame += "".join(_text(_at(plane, x, y0)[0], PLANE - BOTTOM + 13, f"{x:g}") for x in ticks(x0, x1))
        frame += "".join(_text(LEFT - 5, _at(plane, x0, y)[1] + 3.5, f"{y:g}", "end") for y in ticks(y0, y1))
        frame += _text((LEFT + WIDTH - RIGHT) / 2, PLANE - 4, "distance in weight space")
        low, high = np.nanmin(z), np.nanmax(z)
        heading = f"{title_of(name)}, {low:.2g} to {high:.2g} nats (tint: high)"
        words = f"Plane of weights: {heading}, with the path from start to end."
        return _svg(PLANE, heading, words, "".join([*parts, frame, *marks]))

    def frame(self, k: int) -> str:
        """All that depends on t_k: places of the markers as a style sheet, the read-out, the grid of predictions."""
        at = self.beside(k)
        return self._places(at) + self._readout(at) + self._grid(at)

    def _places(self, at: Sequence[int]) -> str:
        found = {}
        for j, (one, k, letter) in enumerate(zip(self.numbers, at, "ab", strict=False)):
            t = float(one.t[k])
            found[f"x{letter}"] = _x(t)
            for row, name in enumerate(self.metrics):
                value = np.nan if one.lacking(name) else one.values(name)[k]
                found[f"{letter}{row}"] = self._y(name, value) if np.isfinite(value) else OFF
            if self.on is not None:
                where = self.on_plane(j, np.array([t]))
                found[f"p{letter}"], found[f"q{letter}"] = (OFF, OFF) if where is None else _at(self.on, *where[0])
        css = "".join(f"--{name}:{value:.1f}px;" for name, value in found.items())
        # The text beside the slider, too, changes without a message of its own.
        text = f".{self.scope}.at::after{{content:'t = {float(self.t[at[0]]):.3f}'}}"
        return f"<style>.{self.scope}{{{css}}}{text}</style>"

    def _readout(self, at: Sequence[int]) -> str:
        """The table of values at t, at both ends, of the chord and of the retrained models."""
        body = []
        for k, (source, one, i) in enumerate(zip(self.sources, self.numbers, at, strict=True)):
            t = float(one.t[i])
            if len(self.numbers) > 1:
                body.append(
                    f"<tr class='of'><th scope='rowgroup' colspan='7'><b class='c{'ab'[k]}'>{'●■'[k]}</b>"
                    f" {escape(source.label)}, t = {t:.3f}</th></tr>"
                )
            for name in self.rows:
                body.append(self._row(name, one, i) if not one.lacking(name) else "")
            body.append(self._summary(one))
        heads = ("at t", "start", "end", "chord at t", "t − chord", "retrained")
        heading = "".join(f"<th scope='col'>{h}</th>" for h in ("", *heads))
        k = at[0]
        return (
            f"<div class='mcx {self.scope}'><div class='scroll'><table class='readout' data-k='{k}'"
            f" data-t='{float(self.t[k])!r}'><caption>t = <b>{float(self.t[k]):.3f}</b>,"
            f" point {k + 1} of {len(self.t)}</caption><thead><tr>{heading}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table></div></div>"
        )

    def _row(self, name: str, one: Numbers, i: int) -> str:
        values, levels = one.values(name), one.levels(name)
        line = chord(values, one.t)[i]
        found = {"t": values[i], "start": values[0], "end": values[-1], "chord": line, "excess": values[i] - line}
        found["retrained"] = levels.mean() if len(levels) else np.nan
        cells = "".join(
            f"<td data-metric='{name}' data-at='{at}' data-value='{float(value)!r}'>"
            f"{'–' if at == 'retrained' and not len(levels) else shown(name, value, at == 'excess')}</td>"
            for at, value in found.items()
        )
        return f"<tr><th scope='row'>{escape(title_of(name))} ({unit_of(name)[0]})</th>{cells}</tr>"

    def _summary(self, one: Numbers) -> str:
        parts = []
        for name in SIGNS:
            if (mark := extreme(one, name)) is not None:
                k, size, text = mark
                where = f" at t = {float(one.t[k]):.3f}" if size > 0 else ""
                parts.append(f"{name.removeprefix('loss_')} {text}{where}")
        gap = f"G = {one.gap:.3f} nats" if one.gap is not None else "G is not known, so eps is in nats"
        words = "; ".join([*parts, gap])
        return f"<tr class='sum'><td colspan='7'>{words[0].upper()}{words[1:]}.</td></tr>"

    def _grid(self, at: Sequence[int]) -> str:
        """The page's forget images, each with label, prediction and confidence at t."""
        first, scope = self.numbers[0], f"mcx {self.scope}"
        found = first.forgotten
        if found is None:
            why = first.why or "the trace holds no forget split"
            return f"<div class='{scope}'><div class='empty'><h4>Forget images</h4><p>{escape(why)}.</p></div></div>"
        k = at[0]
        know, n = found.remembered, self._examples
        inside = know.any(axis=0) & ~know[0] & ~know[-1]
        words = (
            f"At t = {float(self.t[k]):.3f} <b>{int(know[k].sum())}</b> of {n} forget examples are predicted right"
            f" ({int(know[0].sum())} at the start, {int(know[-1].sum())} at the end);"
            f" {int(inside.sum())} are right only inside the path. Those that come back most are first."
        )
        if first.no_pictures and first.known_task is not None:
            empty = f"<div class='empty'><h4>Forget images</h4><p>No images: {escape(first.no_pictures)}.</p></div>"
            return f"<div class='{scope}'><p class='note'>{words}</p>{empty}</div>"
        note = f"<p class='note'>Numbers for pictures: {escape(first.no_pictures)}.</p>" if first.no_pictures else ""
        places = [
            {} if o.forgotten is None else {int(r): j for j, r in enumerate(o.forgotten.rows)} for o in self.numbers
        ]
        cells = "".join(self._cell(j, int(row), at, places) for j, row in enumerate(found.rows[list(self.places)]))
        page = f"images {self.places.start + 1} to {self.places.stop} of {n}"
        return (
            f"<div class='{scope}'><p class='note'>{words}</p>{note}"
            f"<ul class='cells' aria-label='Forget set, {page}'>{cells}</ul></div>"
        )

    def _cell(self, j: int, row: int, at: Sequence[int], places: Sequence[Mapping[int, int]]) -> str:
        """One image: a row of the data set, which has its place in the order of each path that predicts it."""
        says, names, marks = [], self.numbers[0].classes, ["●", "■"] if len(places) > 1 else [""]
        for k, (one, i, mark) in enumerate(zip(self.numbers, at, marks, strict=True)):
            found = one.forgotten
            if found is None or row not in places[k]:
                continue
            place = places[k][row]
            predicted, right = int(found.predicted[i, place]), bool(found.remembered[i, place])
            if k == 0:
                kind, truth = "in" if right else "out", escape(names[found.labels[place]])
            said = f"{escape(names[predicted])} {100 * found.confidence[i, place]:.0f}&nbsp;%"
            said = "no prediction" if predicted < 0 else said
            mark = mark and f"<b class='c{'ab'[k]}'>{mark}</b> "
            says.append(
                f"<span class='said' data-predicted='{predicted}'>{mark}{said}</span>"
                f"<span class='word'>{'✓ right' if right else '✗ wrong'}</span>"
            )
        picture = f"<i class='i{j}' role='img' aria-label='forget image {row}, {truth}'></i>"
        return f"<li class='{kind}' data-row='{row}'>{picture}<b>{truth}</b>{''.join(says)}</li>"

    def alt(self, k: int) -> str:
        """The view in a sentence or two, for whoever does not see it."""
        one = self.numbers[0]
        values = ", ".join(f"{title_of(n)} {shown(n, one.values(n)[k])} {unit_of(n)[0]}" for n in self.metrics)
        end = f" MCU({self.view.eps:g}) {self.verdict(0)}."
        return f"{self.sources[0].label}; at t = {float(self.t[k]):.3f}: {values or 'no values'}.{end}"


def scene(
    view: View,
    found: Mapping[str, Source],
    scope: str = "mcx0",
    kept: dict[str, Numbers] | None = None,
    t: float | None = None,
) -> Scene:
    """Draw a view of these sources, by name, at the point nearest to t, where it is given, in place of the view's.

    ``kept`` holds the numbers read so far, and gets what is read here.
    Raises `BadInput` for a name that is none, or results that are gone or damaged.
    """
    kept = {} if kept is None else kept
    chosen = [found[choose("path", name, found)] for name in dict.fromkeys([view.path, view.compare or view.path])]
    for one in chosen:
        if one.name not in kept:
            kept[one.name] = one.read()
    numbers = tuple(kept[one.name] for one in chosen)
    k = min(view.k, len(numbers[0].t) - 1) if t is None else nearest(numbers[0].t, t)
    made = Scene(replace(view, k=k), tuple(chosen), numbers, tuple(map(_plane_of, chosen)), scope)
    return replace(made, view=replace(made.view, page=min(view.page, made.pages - 1)))


def _plane_of(source: Source) -> Found:
    try:
        return source.plane()
    except BadInput as error:  # a damaged plane leaves curves and images as they are
        return str(error).rstrip(".")


def extreme(one: Numbers, name: str) -> tuple[int, float, str] | None:
    """Where a path's retain barrier or forget deficit is: number of the point, its size in nats, and words for it."""
    over = one.excess(name) if name in SIGNS else None
    if over is None or not np.isfinite(over).all():
        return None
    over = SIGNS[name] * over
    k = int(over.argmax())
    size = max(0.0, float(over[k]))
    amount = f"{size / one.gap:.3f} G" if one.gap is not None else f"{size:.3f} nats"
    return k, size, f"{'barrier' if SIGNS[name] > 0 else 'deficit'} {amount}"


def stretches(one: Numbers, name: str, eps: float) -> list[tuple[float, float]]:
    """Stretches of t where a loss breaks MCU(eps); none for another metric."""
    broken = one.breaks(eps).get(name)
    return [] if broken is None else spans(broken, one.t)


def spans(broken: np.ndarray, t: np.ndarray) -> list[tuple[float, float]]:
    """Stretches (from, to) of t around the points where something is broken, up to half way to their neighbours."""
    found: list[tuple[float, float]] = []
    edges = np.concatenate([t[:1], (t[1:] + t[:-1]) / 2, t[-1:]])
    for k in np.flatnonzero(broken):
        if found and found[-1][1] == edges[k]:
            found[-1] = (found[-1][0], float(edges[k + 1]))
        else:
            found.append((float(edges[k]), float(edges[k + 1])))
    return found


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers inside a range, about ``count`` of them."""
    raw = (high - low) / count
    if not np.isfinite(raw) or raw <= 0:
        return []
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * next(m for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    return [round(k * step, 12) for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def contours(x: np.ndarray, y: np.ndarray, z: np.ndarray, count: int = 9):
    """Areas above logarithmic levels of z (Y, X): (level, polygons), a polygon being an outline and its holes."""
    from contourpy import contour_generator

    finite = z[np.isfinite(z)]
    low = max(1e-4, finite.min(initial=1.0))
    levels = np.geomspace(low, max(1.1 * low, finite.max(initial=low)), count + 1)[:-1]
    made = contour_generator(x, y, np.ma.masked_invalid(z), fill_type="OuterOffset")
    for level in levels:
        found: Any = made.filled(level * 0.999, np.inf)  # polygons and offsets, by the type of fill
        rings = [[p[a:b] for a, b in zip(o, o[1:], strict=False)] for p, o in zip(*found, strict=True)]
        yield float(level), rings


def png(image: np.ndarray) -> bytes:
    """An image (C, H, W) uint8 as a PNG: in colour for three channels, else its first channel in grey."""
    from PIL import Image

    made = io.BytesIO()
    pixels = image.transpose(1, 2, 0) if len(image) == 3 else image[0]
    Image.fromarray(np.ascontiguousarray(pixels)).save(made, "png", optimize=True)
    return made.getvalue()


def _x(t: float) -> float:
    return LEFT + float(t) * (WIDTH - LEFT - RIGHT)


def _at(plane: Plane, x: float, y: float) -> tuple[float, float]:
    x0, x1, y0, y1 = *plane.x[[0, -1]], *plane.y[[0, -1]]
    px = LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
    return px, TOP + (y1 - y) / (y1 - y0) * (PLANE - TOP - BOTTOM)


def _rect(kind: str, span: tuple[float, float], y: float, height: float) -> str:
    x, end = map(_x, span)
    return f"<rect class='{kind}' x='{x:.1f}' y='{y:.1f}' width='{end - x:.1f}' height='{height:.1f}'/>"


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _text(x: float, y: float, words: str, anchor: str = "middle", kind: str = "tick") -> str:
    return f"<text class='{kind}' x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'>{words}</text>"


def _axes(height: float) -> str:
    bottom = height - BOTTOM
    parts = [f"<path class='axis' d='M{LEFT} {bottom}H{WIDTH - RIGHT}'/>"]
    for t, text in ((0, "0 start"), (0.25, "0.25"), (0.5, "t"), (0.75, "0.75"), (1, "end 1")):
        anchor = "start" if t == 0 else "end" if t == 1 else "middle"
        x = _x(t) - 4 * (t == 0) + 4 * (t == 1)
        parts.append(_text(x, bottom + 14, text, anchor))
    return "".join(parts)


def _svg(height: float, heading: str, words: str, inside: str) -> str:
    hatch = (
        "<defs><pattern id='mcx-hatch' width='6' height='6' patternUnits='userSpaceOnUse'"
        " patternTransform='rotate(45)'><path class='hatch' d='M0 0V6'/></pattern></defs>"
    )
    heading = heading if len(heading) < 58 else f"{heading[:56]}…"  # as much as fits; the label has all of it
    return (
        f"<svg viewBox='0 0 {WIDTH} {height}' role='img' aria-label='{escape(words, quote=True)}'>{hatch}"
        f"<text class='heading' x='6' y='14'>{escape(heading)}</text>{inside}</svg>"
    )


def _shipped(name: str) -> str:
    return (files("mcutils") / "settings" / name).read_text(encoding="utf-8")


def page(made: Scene, code: str = "") -> str:
    """A scene as one HTML file that needs nothing else: all frames, a slider, play and pause.

    Its policy lets a browser run the page's own script only, and ask no server for anything.
    """
    template = _shipped("explorer.html")
    frames = [made.frame(k) for k in range(len(made.t))]
    data = json.dumps({"frames": frames, "t": made.t.tolist(), "alt": [made.alt(k) for k in range(len(made.t))]})
    script = template.partition("<script>")[2].partition("</script>")[0]
    parts = {
        "title": escape(f"mcutils explorer: {made.sources[0].label}"),
        "script": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "style": made.style,
        "backdrop": made.backdrop,
        "frame": made.frame(made.view.k),
        "last": str(len(made.t) - 1),
        "k": str(made.view.k),
        "code": f"<details><summary>Code</summary><pre>{escape(code)}</pre></details>" if code else "",
        "data": data.replace("<", "\\u003c"),
    }
    return re.sub(r"@(\w+)@", lambda found: parts[found[1]], template)  # at once: a name in a view may be @data@
