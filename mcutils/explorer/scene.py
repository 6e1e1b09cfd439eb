"""Scenes: what is looked at, of which paths, and what it says in words; no widget, no drawing, no network.

What is drawn is the same view of the same numbers: in a browser by `explorer.js` from a book, in a file by `figure`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..curves import points_at
from ..errors import BadInput, choose, number, whole
from ..measures.drawing import label
from ..measures.planes import Plane
from ..traces import SPLITS
from .book import Found, book, kind_on, quantities, title_of, unit_of
from .numbers import SIGNS, Numbers
from .sources import Source

PAGE = 24  # images that are shown at once


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


def shown(name: str, value: float) -> str:
    """A value of a metric in text."""
    if not np.isfinite(value):
        return "not finite"
    unit, factor = unit_of(name)
    text = f"{factor * value:.{1 if unit == '%' else 3}f}"
    return text.replace("-0.0", "0.0") if float(text) == 0 else text


@dataclass(frozen=True, eq=False)
class Scene:
    """A view of one path or of two, with their numbers and the planes that hold them, or why there are none."""

    view: View
    sources: tuple[Source, ...]
    numbers: tuple[Numbers, ...]
    planes: tuple[Found, ...]

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
    def pages(self) -> int:
        """How many pages of images there are, at least 1."""
        return max(1, -(-self._examples // PAGE))

    @cached_property
    def places(self) -> range:
        """Places of the images on the view's page, in the order of the forget set."""
        return range(self._examples)[self.view.page * PAGE :][:PAGE]

    @property
    def _examples(self) -> int:
        found = self.numbers[0].forgotten
        return 0 if found is None else len(found.rows)

    def beside(self, k: int) -> tuple[int, ...]:
        """For each path the number of its point nearest to t_k of the first."""
        return (k, *(nearest(one.t, float(self.t[k])) for one in self.numbers[1:]))

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
        return points_at(kind_on(self.sources[k], nodes), nodes, t)

    def alt(self, k: int) -> str:
        """The view in a sentence or two, for whoever does not see it."""
        one = self.numbers[0]
        values = ", ".join(f"{title_of(n)} {shown(n, one.values(n)[k])} {unit_of(n)[0]}" for n in self.metrics)
        end = f" MCU({self.view.eps:g}) {self.verdict(0)}."
        return f"{self.sources[0].label}; at t = {float(self.t[k]):.3f}: {values or 'no values'}.{end}"

    @property
    def state(self) -> dict:
        """The view by the names that `explorer.js` has for it."""
        return {**vars(self.view), "splits": list(self.view.splits), "eps": float(self.view.eps)}

    def book(self, more: Sequence[tuple[Source, Numbers, Found]] = ()) -> dict:
        """All numbers of the view's paths, and of ``more`` that may be compared with them, see `book.book`."""
        return book([*zip(self.sources, self.numbers, self.planes, strict=True), *more])


# What was read of a path: its numbers, and its plane or why there is none.
Kept = dict[str, tuple[Numbers, Found]]


def scene(view: View, found: Mapping[str, Source], kept: Kept | None = None, t: float | None = None) -> Scene:
    """A view of these sources, by name, at the point nearest to t, where it is given, in place of the view's.

    ``kept`` holds what was read so far, and gets what is read here.
    Raises `BadInput` for a name that is none, or results that are gone or damaged.
    """
    kept = {} if kept is None else kept
    chosen = [found[choose("path", name, found)] for name in dict.fromkeys([view.path, view.compare or view.path])]
    numbers, planes = zip(*(read_once(one, kept) for one in chosen), strict=True)
    k = min(view.k, len(numbers[0].t) - 1) if t is None else nearest(numbers[0].t, t)
    made = Scene(replace(view, k=k), tuple(chosen), numbers, planes)
    return replace(made, view=replace(made.view, page=min(view.page, made.pages - 1)))


def read_once(source: Source, kept: Kept) -> tuple[Numbers, Found]:
    """Numbers and plane of a source, read where ``kept`` does not have them; a damaged plane is a sentence."""
    if source.name not in kept:
        numbers = source.read()
        try:
            kept[source.name] = numbers, source.plane()
        except BadInput as error:  # curves and images are as they are
            kept[source.name] = numbers, str(error).rstrip(".")
    return kept[source.name]


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
