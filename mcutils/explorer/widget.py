"""The curve explorer for notebooks: a book of numbers that `explorer.js` draws, and what needs a kernel.

A move along t, another metric, tolerance or comparison asks the kernel for nothing; another path, a picture or a page
does. Whatever goes wrong becomes a sentence in the widget.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial, wraps
from pathlib import Path
from typing import Any

from ..data.tasks import Task
from ..engine.store import Store
from ..engine.study import Study, store_folder
from ..errors import BadInput, choose, flag, number, path_of, shown
from ..files import BUILD, ROOT, write_file
from ..measures.drawing import encoded, small_png
from ..measures.profiles import Profile
from ..settings import preset
from ..traces import SPLITS, Trace
from .book import Found, title_of
from .figure import view_figure
from .numbers import Numbers
from .page import page, panel_kind, pictured
from .scene import Kept, Scene, View, metrics_of, nearest, read_once, scene
from .sources import ENDS, NothingStored, Source, find, said, sources

ENDS_PICKED = tuple(f"{end} {part}" for end in ("start", "end") for part in ENDS)
WEIGHTS = {"start method": 8, "end method": 8, "start seed": 3, "end seed": 3, "data": 16}  # others: 2
KEPT = 8  # paths whose numbers stay in memory


def explore(  # noqa: PLR0913 (each is a control of the widget, as `Explorer.code` writes them)
    given: Any,
    path: Any = "",
    *,
    t: float | None = None,
    metric: str = "loss",
    splits: Sequence[str] = ("retain", "forget"),
    eps: float = 0.1,
    compare: Any = "",
    beside: bool = False,
    page: int = 0,
    retrained: Trace | Sequence[Trace] = (),
    original: Trace | None = None,
    random: Trace | None = None,
    gap: float | None = None,
    task: Task | None = None,
    folder: str | Path | None = None,
) -> Explorer:
    """Walk along a path in a notebook: a slider of t, linked views, a table, and the forget images.

    ``mc.explore(study, study.path(start, end))`` opens one path of a study. Without a stored trace its profile gives
    the curves, and a sentence stands for the images; without a kernel the output is a picture; of a store without a
    path it is a sentence. What happens once it is shown never raises: it becomes a message (``.message``). Nothing is
    computed but metrics of stored logits.

    Args:
        given, retrained, original, random, gap, task: what to explore, a trace, a profile, a list or dictionary of
            them, a study, a store or its folder, and what it is measured against, see `sources.sources`.
        path, compare: the path to begin with, and a second one, as `sources.find` takes them; empty is the first, none.
        t: where to begin, in [0, 1]; None is the middle.
        metric, splits, eps: quantity and splits of the panels, see ``python -m mcutils list metrics``; tolerance in G.
        beside, page: whether the second path has panels of its own; page of forget images.
        folder: where pictures and pages are saved; None is ``build/explorer``.

    Raises:
        BadInput: there is no such path, nothing to explore, or an argument that is not allowed.

    >>> import numpy as np, mcutils as mc
    >>> logits = np.array([2.0, 0.0, 2.0])[:, None, None] * np.eye(2)
    >>> parts = [dict.fromkeys(("retain", "forget"), one) for one in (logits, np.arange(2), np.arange(2))]
    >>> explorer = mc.explore({"up and down": mc.Trace(np.linspace(0, 1, 3), *parts, {})})
    >>> print(explorer.scene.alt(1))
    up and down; at t = 0.500: retain loss 0.693 nats, forget loss 0.693 nats. MCU(0.1) breaks for retain.
    """
    splits = (splits,) if isinstance(splits, str) else splits
    if not isinstance(splits, (tuple, list)) or not splits:
        raise BadInput(f"splits is a list of {', '.join(SPLITS)}, got {shown(splits)}.")
    view = View("", 0, metric, tuple(splits), eps, "", flag("beside", beside), page)
    t = 0.5 if t is None else number("t", t, 0, 1)
    place = BUILD / "explorer" if folder is None else path_of(folder, "folder")
    try:
        listed = sources(given, retrained=retrained, original=original, random=random, gap=gap, task=task)
    except NothingStored as error:
        return Explorer({}, code_of(given), place).close(str(error))
    found, study = {one.name: one for one in listed}, given if isinstance(given, Study) else None
    named = [one is not None and not (isinstance(one, str) and not one) for one in (path, compare)]
    asked, other = (find(found, one, study) if is_so else "" for one, is_so in zip((path, compare), named, strict=True))
    made = Explorer(found, code_of(given), place)
    made._start(replace(view, path=asked, compare=other), t)
    return made


def code_of(given: Any) -> str:
    """Code that makes what was given again, or a name for what code cannot make."""
    if isinstance(given, Study):
        usual, own = preset(given.preset.name), given.preset
        changed = [f.name for f in fields(own) if getattr(own, f.name) != getattr(usual, f.name)]
        parts = [repr(own.name)]
        parts += [f"store={str(given.store.folder)!r}"] if given.store.folder != store_folder() else []
        return f"mc.study({', '.join([*parts, *(f'{name}={getattr(own, name)!r}' for name in changed)])})"
    if isinstance(given, Store):
        given = given.folder
    if isinstance(given, (str, Path)):
        return repr(str(given))
    return "trace" if isinstance(given, (Trace, Profile)) else "paths"


def _safely(function: Callable) -> Callable:
    """A callback that says what goes wrong, so that the widget lives on."""

    @wraps(function)
    def called(self, *arguments):
        try:
            function(self, *arguments)
        except BadInput as error:
            self.say(str(error))
        except Exception as error:
            self.say(f"that did not work ({type(error).__name__}: {error}).")

    return called


class Explorer:
    """What `explore` returns: shown by a notebook, moved by its reader or by `go`.

    ``view`` and ``scene`` are what is shown, ``t`` where; ``message`` is the last message, empty when all is well.
    """

    def __init__(self, found: Mapping[str, Source], code: str, folder: Path):
        self.sources: dict[str, Source] = dict(found)
        self._labels = Counter(one.label for one in found.values())
        self.folder, self.message, self.view = folder, "", View("")
        self._given, self._gone, self._turn = code, "", 0
        self._scene: Scene | None = None
        self._kept: Kept = {}
        self.widget = panel_kind()()
        self.widget.observe(self._moved, "here")
        self.widget.on_msg(self._asked)

    def _start(self, view: View, t: float) -> None:
        """Take the first view; where none was asked for, a path that cannot be read gives way to the next that can."""
        problems = []
        for name in [view.path] if view.path else list(self.sources)[:6]:
            try:
                self._take(replace(view, path=name), t)
                break
            except BadInput as error:
                problems.append(str(error))
            except Exception as error:  # whatever was given, it is refused in a sentence
                problems.append(f"{name} cannot be explored ({type(error).__name__}: {error}).")
        if self._scene is None:
            self.close()
            raise BadInput(problems[0])
        self._show(" ".join(problems))

    @property
    def scene(self) -> Scene:
        """The view with its numbers; raises `BadInput` where there is none."""
        if self._scene is None:
            raise BadInput(self._gone)
        return self._scene

    @property
    def t(self) -> float:
        """Where on the path the explorer stands, in [0, 1]; what is set goes to the nearest point."""
        return float(self.scene.t[self.view.k])

    @t.setter
    def t(self, value: float) -> None:
        self.go(value)

    def _take(self, view: View, t: float) -> None:
        """Read what a view shows, all of it: whatever fails fails here, before anything is shown."""
        made = scene(view, self.sources, self._kept, t)
        told = made.book()
        pictures = told.pop("pictures")
        for name in [n for n in self._kept if n not in (view.path, view.compare)][: max(0, len(self._kept) - KEPT)]:
            del self._kept[name]
        with self.widget.hold_sync():
            self.widget.book, self.widget.pictures = told, pictures
        self._scene, self.view = made, made.view

    def _show(self, words: str = "") -> None:
        """Send the state, what can be chosen from it, and a message."""
        self._turn += 1
        name, lacking = metrics_of(self.view)[0], ""
        if not self.scene.metrics:
            lacking = f"There is no {title_of(name)} of this path: {self.scene.numbers[0].lacking(name)}."
        with self.widget.hold_sync():
            self.say(" ".join(filter(None, [words, lacking, self.widget.why])))
            self.widget.there = {"state": self.scene.state, "offers": self.offers, "turn": self._turn}

    # What can be chosen

    @property
    def offers(self) -> dict[str, Any]:
        """What is stored on each axis, in words, what the view can be compared with, and code for what was given."""
        likest = self._likest()
        here, picks = likest[0].picks, []
        for axis in dict.fromkeys(name for one in self.sources.values() for name in one.picks):
            options = self._options(axis, likest)
            if len(options) > 1:
                group, _, name = axis.rpartition(" ")
                one = {"axis": axis, "label": name, "group": (group or "path").capitalize(), "value": here.get(axis)}
                picks.append({**one, "options": options, "wide": axis in ("reading", "path")})
        others = [(one.name, self._told(one)) for one in sorted(likest[1:], key=partial(_apart, here))]
        return {"picks": picks, "others": others, "given": self._given}

    def _likest(self) -> list[Source]:
        """The path shown, then the others: those read normally and sharing most with it first; then the finest."""
        here = self.sources[self.view.path]
        rest = [one for one in self.sources.values() if one is not here]
        rest.sort(key=lambda one: (one.rank[0], -_shared(here, one), one.rank, one.name))
        return [here, *rest]

    def _told(self, source: Source) -> str:
        """A source in words, with its reading where another has the same words."""
        same = self._labels[source.label] > 1
        return f"{source.label} ({source.picks['reading']})" if same and "reading" in source.picks else source.label

    def _options(self, axis: str, likest: Sequence[Source]) -> list[tuple[str, str]]:
        """What is stored on an axis, with words for it that say what else a choice of it changes."""
        here, best, found = likest[0].picks, _best(axis, likest), []
        for value in dict.fromkeys(one.picks[axis] for one in self.sources.values() if axis in one.picks):
            there = best[value]
            others = any(there.picks[a] != here.get(a) for a in there.picks if a not in (axis, "recipe", "reading"))
            word = ": changes others too" if others else "" if there.traced else ": no trace, curves only"
            found.append((value, f"{said(value)}{word}"))
        return _in_order(axis, found)

    # What the reader does

    @_safely
    def _moved(self, change: Mapping[str, Any]) -> None:
        """The browser's state is the view's, as far as a view has a word for it."""
        state = change["new"]
        asked = {name: state[name] for name in ("k", "metric", "splits", "eps", "beside", "page", "compare")}
        asked["splits"] = tuple(asked["splits"])
        self._scene = scene(replace(self.view, **asked), self.sources, self._kept)
        self.view = self._scene.view

    @_safely
    def _asked(self, widget: Any, content: Mapping[str, Any], buffers: Any) -> None:  # noqa: ARG002
        does: dict[str, Callable[..., None]] = {"pick": self._picked, "compare": self._compared, "save": self._saved}
        asked = dict(content)
        does[choose("request", asked.pop("does", ""), does)](**asked)

    def _picked(self, axis: str, value: str) -> None:
        likest = self._likest()
        here, best = likest[0].picks, _best(axis, likest)[value]
        moved = [f"{a} {said(v)}" for a, v in best.picks.items() if a != axis and v != here.get(a)]
        compare = "" if self.view.compare == best.name else self.view.compare
        words = f"The nearest stored path also has {', '.join(moved)}." if moved else ""
        self._go(replace(self.view, path=best.name, compare=compare, page=0), words)

    def _compared(self, name: str, beside: bool) -> None:
        self._go(replace(self.view, compare=name, beside=beside))

    def _saved(self, kind: str) -> None:
        path = self.save(kind)
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        self.say(f"Saved {shown}.")

    def _go(self, view: View, words: str = "") -> None:
        """Show another view, at the t of this one; if it cannot be had the browser goes back and the error goes on."""
        try:
            self._take(view, self.t)
        finally:
            self._show(words)

    # What a program does with it

    @_safely
    def go(self, t: float) -> None:
        """Move to the point nearest to t, as the slider does."""
        self._scene = replace(self.scene, view=replace(self.view, k=nearest(self.scene.t, t)))
        self.view = self._scene.view
        self._show()

    def say(self, words: str) -> None:
        """Show a message where a screen reader announces it; empty clears it."""
        self.message = words
        self.widget.message = words

    @property
    def code(self) -> str:
        """Code that shows this view again."""
        view = self.view
        parts = [f"t={self.t:.6g}", f"metric={view.metric!r}", f"splits={view.splits!r}", f"eps={view.eps:g}"]
        parts += [f"compare={view.compare!r}", f"beside={view.beside}"] if view.compare else []
        parts += [f"page={view.page}"] if view.page else []
        inside = ", ".join([self._given, repr(view.path), *parts])
        return f"import mcutils as mc\n\nmc.explore({inside})"

    def page(self, title: str = "", lead: Sequence[str] = (), links: Sequence[tuple[str, str]] = ()) -> str:
        """The view as a self-contained HTML page, with all points, metrics and images inside.

        A path alone takes with it the other curves between its ends that have images, to be compared with it.

        Args:
            title: of the page, by default the path's name.
            lead, links: paragraphs above the drawing, and addresses of other pages with words for them.
        """
        told = self.scene.book([] if len(self.scene.sources) > 1 else self._beside())
        title = title or f"mcutils explorer: {self.scene.sources[0].label}"
        return page(told, self.scene.state, self._given, title, lead, links)

    def _beside(self) -> list[tuple[Source, Numbers, Found]]:
        """The nearest traced path of another curve between the same ends, where it can be read."""
        likest = self._likest()
        for one in likest[1:]:
            if one.traced and "curve" in one.picks and not _apart(likest[0].picks, one)[0] and one.rank[0] == 0:
                try:
                    return [(one, *read_once(one, self._kept))]
                except BadInput:
                    continue
        return []

    def figure(self):
        """The view as a matplotlib Figure."""
        return view_figure(self.scene)

    def save(self, kind: str) -> Path:
        """Write the view as ``png``, ``svg`` or ``html`` into the explorer's folder; returns the file."""
        if kind not in ("png", "svg", "html"):
            raise BadInput(f"a view is saved as png, svg or html, not as {shown(kind)}.")
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in self.view.path)[:100]
        path = path_of(self.folder, "folder") / f"{name}_{self.view.k}.{kind}"
        write_file(path, self.page().encode("utf-8", "replace") if kind == "html" else encoded(self.figure(), kind))
        return path

    def close(self, words: str = "this explorer is closed: call mc.explore again.") -> Explorer:
        """Take the widget and all that it holds away; what is asked of it later is answered by these words."""
        self._gone = words
        self.widget.unobserve_all()
        self.widget.on_msg(self._asked, remove=True)
        self.widget.empty()
        self.widget.layout.close()
        self.widget.close()
        self.widget.here = {}
        self._scene, self.sources = None, {}
        self._kept.clear()
        return self

    def _repr_mimebundle_(self, include=None, exclude=None, **options: Any) -> Any:  # noqa: ARG002
        """The widget where a kernel runs, and a picture of the view where none does."""
        if self._scene is None:
            return {"text/plain": self.message or self._gone}
        return pictured(self.widget._repr_mimebundle_(), self.scene.alt(self.view.k), small_png(self.figure()))


def _best(axis: str, likest: Sequence[Source]) -> dict[str, Source]:
    """For each value that is stored on an axis, the path that a choice of it leads to."""
    return {one.picks[axis]: one for one in reversed(likest) if axis in one.picks}


def _apart(here: Mapping[str, str], one: Source) -> tuple[bool, bool]:
    """Orders paths: first those between the same ends as here along another curve, then those of other ends."""
    ends = any(one.picks.get(axis) != here.get(axis) for axis in ENDS_PICKED)
    return ends, one.picks.get("curve") == here.get("curve")


def _shared(one: Source, other: Source) -> float:
    """How many picks two paths share; the ends' methods count most, then what else names the ends, and the original."""
    a, b = one.picks, other.picks
    # Two ends of one method stay so, and two methods two, where a choice leaves it open.
    alike = [picks.get("start method") == picks.get("end method") for picks in (a, b)]
    same = sum(WEIGHTS.get(axis, 2) for axis in a if axis != "reading" and a[axis] == b.get(axis))
    return same + 6 * (alike[0] == alike[1]) + 2 * (one.draw == other.draw)


def _in_order(axis: str, options: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Seeds by their numbers: of the first original first, then those renumbered (aligned); others as they are."""
    if not axis.endswith(" seed"):
        return list(options)

    def place(option: tuple[str, str]) -> tuple:
        found = re.split(r"(\d+)", option[0])
        return len(found), found[-1], [int(part) if part.isdigit() else part for part in found]

    return sorted(options, key=place)
