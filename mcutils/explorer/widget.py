"""The curve explorer for notebooks: controls of ipywidgets around the strings of `scene`.

A move of the slider sends one small frame and redraws nothing. Whatever goes wrong becomes a sentence in the widget.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial, wraps
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

from ..data.tasks import Task
from ..engine.store import Store
from ..engine.study import Study, store_folder
from ..errors import BadInput, flag, number, path_of, shown
from ..files import BUILD, ROOT, write_file
from ..measures.drawing import encoded, label
from ..measures.profiles import Profile
from ..settings import preset
from ..traces import SPLITS, Trace
from .figure import view_figure
from .numbers import Numbers
from .scene import Scene, View, metrics_of, nearest, page, quantities, scene, title_of
from .sources import ENDS, NothingStored, Source, find, said, sources

ENDS_PICKED = tuple(f"{end} {part}" for end in ("start", "end") for part in ENDS)
WEIGHTS = {"start method": 8, "end method": 8, "start seed": 3, "end seed": 3, "data": 16}  # others: 2
KEPT = 8  # paths whose numbers stay in memory
WHOLE = "calc(100% - 4px)"  # of a row: a list as wide as it would lose its right edge
KINDS = ("png", "svg", "html")
INTERVAL = 250  # milliseconds between two points while playing
COMPARES = {"no": "", "overlaid": "overlaid", "side by side": "beside"}
_numbers = count(1)


def _named(one: Any) -> bool:
    """Whether a path is named at all: an empty name, like none, is the first path, or no second one."""
    return not (one is None or isinstance(one, str) and not one)


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
        given, retrained, original, random, gap, task: what to explore and what it is measured against, see
            `sources.sources`: a trace, a profile, a list or dictionary of them, a study, a store or its folder.
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
    asked, other = (find(found, one, study) if _named(one) else "" for one in (path, compare))
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
    """A callback that is deaf while the controls are set, and says what goes wrong, so that the widget lives on."""

    @wraps(function)
    def called(self, *arguments):
        if self._quiet:
            return
        try:
            function(self, *arguments)
        except BadInput as error:
            self.say(str(error))
        except Exception as error:
            self.say(f"that did not work ({type(error).__name__}: {error}).")

    return called


class Explorer:
    """What `explore` returns: shown by a notebook, moved by its controls or by `go`.

    ``view`` and ``scene`` are what is shown; ``message`` is the last message, empty when all is well.
    """

    def __init__(self, found: Mapping[str, Source], code: str, folder: Path):
        import ipywidgets as w

        self.sources: dict[str, Source] = dict(found)
        self._labels = Counter(one.label for one in found.values())
        self.folder, self.message, self.view = folder, "", View("")
        self._given, self._scope, self._gone, self._quiet = code, f"mcx{next(_numbers)}", "", False
        self._scene: Scene | None = None
        self._kept: dict[str, Numbers] = {}
        self._links: tuple[Any, ...] = ()
        self._status = w.HTML()
        self.widget = w.VBox([self._status])
        self.widget.add_class("mcutils-explorer")

    def _start(self, view: View, t: float) -> None:
        """Draw the first view; where none was asked for, a path that cannot be read gives way to the next that can."""
        problems = []
        for name in [view.path] if view.path else list(self.sources)[:6]:
            try:
                self._draw(replace(view, path=name), t)
                break
            except BadInput as error:
                problems.append(str(error))
            except Exception as error:  # whatever was given, it is refused in a sentence
                problems.append(f"{name} cannot be explored ({type(error).__name__}: {error}).")
        if self._scene is None:
            self.close()
            raise BadInput(problems[0])
        self._build()
        self._show(" ".join(problems))

    @property
    def scene(self) -> Scene:
        """The view as it is drawn; raises `BadInput` where there is none."""
        if self._scene is None:
            raise BadInput(self._gone)
        return self._scene

    def _draw(self, view: View, t: float) -> None:
        made = scene(view, self.sources, self._scope, self._kept, t)
        _ = made.style, made.backdrop, made.frame(made.view.k)  # whatever fails fails here, before anything is shown
        for name in [n for n in self._kept if n not in (view.path, view.compare)][: max(0, len(self._kept) - KEPT)]:
            del self._kept[name]
        self._scene, self.view = made, made.view

    # Controls

    def _build(self) -> None:
        import ipywidgets as w

        def control(kind: Callable, text: str, width: str, **options: Any) -> Any:
            layout = {"width": width, "max_width": WHOLE, **options.pop("layout", {})}
            return kind(description=text, style={"description_width": "initial"}, layout=layout, **options)

        def button(text: str, tip: str, act: Callable[[], None]) -> Any:
            made = w.Button(description=text, tooltip=tip, layout={"width": "auto"})
            made.on_click(lambda _: act())
            return made

        self.picks: dict[str, Any] = {}
        for axis in dict.fromkeys(name for one in self.sources.values() for name in one.picks):
            text, width = axis.removeprefix("start ").removeprefix("end "), "205px"
            self.picks[axis] = control(w.Dropdown, text, "auto" if axis in ("reading", "path") else width)
            self.picks[axis].observe(lambda change, axis=axis: self._picked(axis, change["new"]), "value")
        words = [(label(name), name) for name in quantities()]
        self.metric = control(w.Dropdown, "metric", "230px", options=words)
        self.splits = {s: w.ToggleButton(description=s, layout={"width": "70px"}) for s in SPLITS}
        self.eps = control(w.FloatSlider, "MCU ε", "260px", min=0, max=1, step=0.01)
        self.mode = control(w.Dropdown, "compare", "190px", options=list(COMPARES))
        self.other = control(w.Dropdown, "with", "auto")
        for one in (self.metric, self.eps, self.mode, self.other, *self.splits.values()):
            one.observe(lambda change: self._changed(change["owner"]), "value")
        self.play = w.Play(interval=INTERVAL, min=0, max=1, description="play along the path")
        broad = {"flex": "1 1 200px", "min_width": "120px"}
        self.slider = control(w.IntSlider, "t", "auto", min=0, max=1, readout=False, layout=broad)
        self.slider.observe(lambda change: self._moved(change["new"]), "value")
        self._links = (w.jslink((self.play, "value"), (self.slider, "value")),)
        now = w.HTML(f"<span class='mcx {self._scope} at'></span>", layout={"min_width": "80px"})
        self._static, self._drawing, self._frame, self._copy = w.HTML(), w.HTML(), w.HTML(), w.HTML()
        self.before = button("◀ images", "previous page of images", lambda: self._turned(-1))
        self.after = button("images ▶", "next page of images", lambda: self._turned(1))
        self.saves = {k: button(f"save {k}", f"save this view as {k}", partial(self._saved, k)) for k in KINDS}
        named = {**self.picks, "metric": self.metric, "eps": self.eps, "compare": self.mode, "with": self.other}
        named |= {"t": self.slider, "play": self.play}
        for name, one in named.items():  # for style sheets and tests in a browser
            one.add_class(f"mcutils-{name.replace(' ', '-')}")
        rows, rest = [], dict(self.picks)
        for end in ("start", "end"):
            if found := [rest.pop(axis) for axis in self.picks if axis.startswith(f"{end} ")]:
                rows.append([w.HTML(f"<b>{end}</b>", layout={"width": "40px"}), *found])
        rows += [[*rest.values()], [self.metric, *self.splits.values(), self.eps], [self.mode, self.other]]
        rows += [[self.play, self.slider, now], [self.before, self.after, *self.saves.values(), self._copy]]
        flow = {"flex_flow": "row wrap", "align_items": "center", "width": "100%"}
        *above, below = (w.HBox(row, layout=flow) for row in rows)
        self.widget.children = [self._static, *above, self._status, self._drawing, self._frame, below]

    def _show(self, words: str = "") -> None:
        """Put the scene, the state of all controls and a message into the widget."""
        made = self.scene
        self._quiet = True
        try:
            self._set(made)
        finally:
            self._quiet = False
        self._static.value, self._drawing.value = made.style, made.backdrop
        self._frame.value, self._copy.value = made.frame(self.view.k), _copy_button(self.code)
        self.say(" ".join(filter(None, [words, _missing(made)])))

    def _set(self, made: Scene) -> None:
        """Set all controls to the view, with what can be chosen from there."""
        view, likest = self.view, self._likest()
        here = likest[0].picks
        for axis, one in self.picks.items():
            _offer(one, self._options(axis, likest), here.get(axis))
        self.metric.value, self.eps.max = view.metric, max(1.0, float(view.eps))
        self.eps.value = float(view.eps)
        there = quantities()[view.metric]
        for split, one in self.splits.items():
            one.value, one.disabled = split in view.splits and split in there, split not in there
            one.tooltip = f"{split} split" if split in there else f"{view.metric} has no values for {split}"
        self.mode.value = "no" if not view.compare else "side by side" if view.beside else "overlaid"
        others = [(self._told(one), one.name) for one in sorted(likest[1:], key=partial(_apart, here))]
        _offer(self.other, others, view.compare or (others[0][1] if others else None))
        self.other.disabled = self.mode.disabled = not others
        for one in (self.slider, self.play):
            one.max, one.value = len(made.t) - 1, view.k
        found = made.numbers[0].forgotten
        self.before.disabled = found is None or view.page == 0
        self.after.disabled = found is None or view.page >= made.pages - 1

    def _likest(self) -> list[Source]:
        """The path shown, then the others: those read normally and sharing most with it first; then the finest."""
        here = self.sources[self.view.path]
        rest = [one for one in self.sources.values() if one is not here]
        rest.sort(key=lambda one: (one.rank[0], -_shared(here.picks, one.picks), one.rank, one.name))
        return [here, *rest]

    def _told(self, source: Source) -> str:
        """A source in words, with its reading where another has the same words."""
        same = self._labels[source.label] > 1
        return f"{source.label} ({source.picks['reading']})" if same and "reading" in source.picks else source.label

    def _options(self, axis: str, likest: Sequence[Source]) -> list[tuple[str, str]]:
        """What is stored on an axis, in words, and what else a choice of it changes."""
        here, best, found = likest[0].picks, _best(axis, likest), []
        for value in dict.fromkeys(one.picks[axis] for one in self.sources.values() if axis in one.picks):
            there = best[value]
            others = any(there.picks[a] != here.get(a) for a in there.picks if a not in (axis, "recipe", "reading"))
            word = ": changes others too" if others else "" if there.traced else ": no trace, curves only"
            found.append((f"{said(value)}{word}", value))
        return found

    # Callbacks

    @_safely
    def _picked(self, axis: str, value: Any) -> None:
        here, best = self.sources[self.view.path].picks, _best(axis, self._likest())[value]
        moved = [f"{a} {said(v)}" for a, v in best.picks.items() if a != axis and v != here.get(a)]
        compare = "" if self.view.compare == best.name else self.view.compare
        words = f"The nearest stored path also has {', '.join(moved)}." if moved else ""
        self._go(replace(self.view, path=best.name, compare=compare, page=0), words)

    @_safely
    def _changed(self, owner: Any) -> None:
        mode, there = COMPARES[self.mode.value], quantities()[self.metric.value]
        wanted = tuple(s for s, one in self.splits.items() if one.value)
        if owner in self.splits.values() and not wanted:
            self._show()
            self.say("at least one split is shown.")
            return
        if owner is self.metric or not there:  # the splits chosen before stay chosen where the quantity has them
            wanted = self.view.splits
        compare, eps = self.other.value if mode else "", round(self.eps.value, 4)
        more = {"splits": wanted, "eps": eps, "compare": compare or "", "beside": mode == "beside"}
        self._go(replace(self.view, metric=self.metric.value, **more))

    @_safely
    def _moved(self, k: int) -> None:
        self.view = replace(self.view, k=k)
        self._frame.value = self.scene.frame(k)

    @_safely
    def _turned(self, step: int) -> None:
        self._go(replace(self.view, page=max(0, self.view.page + step)))

    @_safely
    def _saved(self, kind: str) -> None:
        path = self.save(kind)
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        self.say(f"Saved {shown}.")

    def _go(self, view: View, words: str = "") -> None:
        """Show another view, at the t of this one; if it cannot be drawn the controls go back and the error goes on."""
        try:
            self._draw(view, float(self.scene.t[self.view.k]))
        finally:
            self._show(words)

    # What a program does with it

    @_safely
    def go(self, t: float) -> None:
        """Move to the point nearest to t, as the slider does."""
        self.slider.value = nearest(self.scene.t, t)

    def say(self, words: str) -> None:
        """Show a message where a screen reader announces it; empty clears it."""
        self.message = words
        inside = f"<div class='message{' said' if words else ''}'>{escape(words)}</div>"
        self._status.value = f"<div class='mcx' role='status' aria-live='polite'>{inside}</div>"

    @property
    def code(self) -> str:
        """Code that shows this view again."""
        view = self.view
        parts = [f"t={float(self.scene.t[view.k]):.6g}", f"metric={view.metric!r}"]
        parts += [f"splits={view.splits!r}", f"eps={view.eps:g}"]
        parts += [f"compare={view.compare!r}", f"beside={view.beside}"] if view.compare else []
        parts += [f"page={view.page}"] if view.page else []
        inside = ", ".join([self._given, repr(view.path), *parts])
        return f"import mcutils as mc\n\nmc.explore({inside})"

    def page(self) -> str:
        """The view as a self-contained HTML page, all of its points inside."""
        return page(self.scene, self.code)

    def figure(self):
        """The view as a matplotlib Figure."""
        return view_figure(replace(self.scene, view=self.view))

    def save(self, kind: str) -> Path:
        """Write the view as ``png``, ``svg`` or ``html`` into the explorer's folder; returns the file."""
        view = self.view
        if kind not in KINDS:
            raise BadInput(f"a view is saved as png, svg or html, not as {shown(kind)}.")
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in view.path)[:100]
        path = path_of(self.folder, "folder") / f"{name}_{view.k}.{kind}"
        write_file(path, self.page().encode("utf-8", "replace") if kind == "html" else encoded(self.figure(), kind))
        return path

    def close(self, words: str = "this explorer is closed: call mc.explore again.") -> Explorer:
        """Take the widget and all that it holds away; what is asked of it later is answered by these words."""
        self._gone, pile = words, [self.widget, *self._links]
        while pile:
            one = pile.pop()
            pile += [*getattr(one, "children", ()), *(getattr(one, p) for p in ("layout", "style") if hasattr(one, p))]
            one.unobserve_all()
            one.close()
        self._scene, self.sources = None, {}
        self._kept.clear()
        return self

    def _repr_mimebundle_(self, include=None, exclude=None, **options: Any) -> Any:  # noqa: ARG002
        """The widget where a kernel runs, and a picture of the view where none does."""
        if self._scene is None:
            return {"text/plain": self.message or self._gone}
        data = dict(self.widget._repr_mimebundle_() or {})
        words, picture = self.scene.alt(self.view.k), base64.b64encode(picture_of(self.figure())).decode()
        return {**data, "text/plain": words, "image/png": picture}, {"image/png": {"alt": words}}


def picture_of(figure) -> bytes:
    """A figure as a png of few colours: small enough to be kept in a notebook."""
    from PIL import Image

    image = Image.open(io.BytesIO(encoded(figure, dpi=90))).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    made = io.BytesIO()
    image.save(made, "png", optimize=True)
    return made.getvalue()


def _missing(made: Scene) -> str:
    """Why a view has no panel of its quantity; empty if it has one."""
    name = metrics_of(made.view)[0]
    return "" if made.metrics else f"There is no {title_of(name)} of this path: {made.numbers[0].lacking(name)}."


def _best(axis: str, likest: Sequence[Source]) -> dict[str, Source]:
    """For each value that is stored on an axis, the path that a choice of it leads to."""
    return {one.picks[axis]: one for one in reversed(likest) if axis in one.picks}


def _apart(here: Mapping[str, str], one: Source) -> tuple[bool, bool]:
    """Orders paths: first those between the same ends as here along another curve, then those of other ends."""
    ends = any(one.picks.get(axis) != here.get(axis) for axis in ENDS_PICKED)
    return ends, one.picks.get("curve") == here.get("curve")


def _offer(control: Any, options: Sequence[tuple[str, str]], value: str | None) -> None:
    """Set what a list offers, where it is not the same, and what is chosen."""
    if tuple(options) != tuple(control.options):
        control.options = options
    control.value = value


def _shared(a: Mapping[str, str], b: Mapping[str, str]) -> float:
    """How many picks two paths share; the ends' methods count most, then what else names the ends."""
    # Two ends of one method stay so, and two methods two, where a choice leaves it open.
    alike = [one.get("start method") == one.get("end method") for one in (a, b)]
    same = sum(WEIGHTS.get(axis, 2) for axis in a if axis != "reading" and a[axis] == b.get(axis))
    return same + 6 * (alike[0] == alike[1])


def _copy_button(code: str) -> str:
    """A button that copies; where the browser does not let it, the code stands open to be copied by hand."""
    act = (
        "const b=this,d=b.nextElementSibling;(navigator.clipboard?navigator.clipboard.writeText(b.dataset.code):"
        "Promise.reject()).then(()=>{b.textContent='copied'},()=>{d.open=true})"
    )
    return (
        f"<div class='mcx copy'><button type='button' data-code='{escape(code, quote=True)}'"
        f' onclick="{escape(act, quote=True)}">copy the code</button>'
        f"<details><summary>code</summary><pre>{escape(code)}</pre></details></div>"
    )
