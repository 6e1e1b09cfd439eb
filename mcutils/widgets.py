"""The curve explorer for notebooks: controls of ipywidgets around the strings of `explorer`.

A move of the slider sends one small frame and redraws nothing. Whatever goes wrong becomes a sentence in the widget.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass, replace
from functools import wraps
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

from .curves import CURVES, RECIPES
from .data import Task
from .explorer import Scene, View, check_view, metrics_of, nearest, page, quantities, scene, title_of
from .explorer_plots import view_figure
from .files import BUILD, ROOT, write_file
from .objectives import CURRICULA
from .optimizers import OPTIMIZERS
from .plots import encoded, label, save
from .settings import BadInput
from .sources import Numbers, Source, sources
from .specs import VERSIONS, Spec, key, kind_of
from .study import Study
from .traces import SPLITS, Trace
from .unlearning import METHODS

NAMES = {  # what could be stored, for picks of a study or store
    **{f"{end} {part}": tuple(names) for end in ("start", "end") for part, names in
       (("method", METHODS), ("curriculum", CURRICULA), ("optimiser", OPTIMIZERS))},
    "curve": tuple(CURVES),
    "recipe": tuple(RECIPES),
}  # fmt: skip
KEPT = 8  # paths whose numbers stay in memory
WHOLE = "calc(100% - 4px)"  # of a row: a list as wide as it would lose its right edge
INTERVAL = 250  # milliseconds between two points while playing
COMPARES = {"no": "", "overlaid": "overlaid", "side by side": "beside"}
_numbers = count(1)


def explore(
    given: Any,
    *,
    path: str | Spec = "",
    t: float | None = None,
    metric: str = "loss",
    splits: Sequence[str] = ("retain", "forget"),
    eps: float = 0.1,
    compare: str | Spec = "",
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

    It never raises `BadInput`: a wrong argument becomes a message in the widget (and ``.message``), beside the view
    that is shown instead, or alone where there is nothing to show. Nothing is computed but metrics of stored logits.

    Args:
        given, retrained, original, random, gap, task: what to explore and what it is measured against, see
            `sources.sources`: a trace, a profile, a list or dictionary of them, a study, a store or its folder.
        path: name of the path to begin with (a key in a store, a dictionary's key), or the spec of a stored path, its
            trace or profile; empty is the first.
        t: where to begin, in [0, 1]; None is the middle.
        metric, splits: quantity and splits of the panels, as ``python -m mcutils list metrics`` has them.
        eps: tolerance of MCU(eps), in units of G.
        compare, beside: name of a second path, drawn into the same panels or beside them.
        page: page of forget images.
        folder: where pictures and pages are saved; None is ``build/explorer``.
    """
    options = {"retrained": retrained, "original": original, "random": random, "gap": gap, "task": task}
    problems, found = [], []
    try:
        found = sources(given, **options)
    except BadInput as error:
        problems.append(str(error))
    except Exception as error:  # whatever was given, the notebook goes on
        problems.append(f"what was given cannot be explored ({type(error).__name__}: {error}).")
    wanted = {"metric": metric, "splits": splits, "eps": eps, "compare": compare, "beside": bool(beside), "page": page}
    made = Explorer(found, _code_of(given), Path(folder) if folder else BUILD / "explorer")
    for name, value in {"path": path, **wanted, "t": t}.items() if found else ():
        try:
            made._begin(name, value)
        except BadInput as error:
            problems.append(str(error))
        except Exception as error:
            problems.append(f"{name} cannot be {value!r} ({type(error).__name__}: {error}).")
    if found:
        made._start(problems)
    made.say(" ".join(problems))
    return made


def _code_of(given: Any) -> str:
    if isinstance(given, Study):
        return f'mc.study("{given.preset.name}")'
    if isinstance(given, (str, Path)):
        return repr(str(given))
    return "trace" if isinstance(given, Trace) else "paths"


def _safely(function: Callable) -> Callable:
    """Turn whatever a callback raises into a message, so that the widget lives on."""

    @wraps(function)
    def called(self, *arguments):
        try:
            return function(self, *arguments)
        except BadInput as error:
            self.say(str(error))
        except Exception as error:
            self.say(f"that did not work ({type(error).__name__}: {error}).")
        return None

    return called


class Explorer:
    """What `explore` returns: shown by a notebook, moved by its controls or by `go`.

    ``view`` and ``scene`` are what is shown; ``message`` is the last message, empty when all is well.
    """

    def __init__(self, found: Sequence[Source], code: str, folder: Path):
        import ipywidgets as w

        self.sources: dict[str, Source] = {one.name: one for one in found}
        self._labels = Counter(one.label for one in found)
        self.folder, self.message, self.scene = folder, "", None
        self.view = View(next(iter(self.sources), ""))
        self._given, self._scope, self._kept = code, f"mcx{next(_numbers)}", {}
        self._quiet, self._middle = False, True
        self._status = w.HTML()
        self.widget = w.VBox([self._status])
        self.widget.add_class("mcutils-explorer")

    # Beginning

    def _begin(self, name: str, value: Any) -> None:
        if name == "t":
            if value is not None:
                self._middle = False
                self.view = replace(self.view, k=nearest(self._read(self.view.path).t, value))
        elif name in ("path", "compare"):
            if is_dataclass(value) and kind_of(value) in VERSIONS:
                name_of, value = key(value), next((s.name for s in self.sources.values() if key(value) in s.keys), "")
                if not value:
                    raise BadInput(f"{name_of} is not stored: study.run([study.profile(path)]) computes a path.")
            if value and value not in self.sources:
                raise BadInput(f"no path is named {value!r}: there are {_some(self.sources)}.")
            self.view = replace(self.view, **{name: value or getattr(self.view, name)})
        else:
            value = (value,) if name == "splits" and isinstance(value, str) else value
            value = tuple(value) if name == "splits" else value
            self.view = check_view(replace(self.view, **{name: value}))

    def _start(self, problems: list[str]) -> None:
        """Draw the first view; a path that cannot be read gives way to the next that can."""
        rest = [name for name in self.sources if name != self.view.path]
        for name in [self.view.path, *rest[:5]]:
            try:
                k = len(self._read(name).t) // 2 if self._middle else self.view.k
                self.scene = self._drawn(replace(self.view, path=name, k=k))
                break
            except Exception as error:  # its message is shown, beside another path if one can be
                problems.append(str(error))
                self.view = replace(self.view, compare="", metric="loss")
        if self.scene is None:
            return
        self.view = self.scene.view
        self._build()
        self._show()
        problems += filter(None, [_missing(self.scene)])

    def _read(self, name: str) -> Numbers:
        if name not in self._kept:
            self._kept[name] = self.sources[name].read()
        return self._kept[name]

    def _drawn(self, view: View) -> Scene:
        made = scene(view, self.sources, self._scope, self._kept)
        _ = made.style, made.backdrop, made.frame(made.view.k)  # whatever fails fails here, before anything is shown
        for name in [n for n in self._kept if n not in (view.path, view.compare)][: max(0, len(self._kept) - KEPT)]:
            del self._kept[name]
        return made

    # Controls

    def _build(self) -> None:
        import ipywidgets as w

        wide = {"description_width": "initial"}
        axes = list(dict.fromkeys(name for one in self.sources.values() for name in one.picks))
        self.picks = {}
        for axis in axes:
            words = axis.removeprefix("start ").removeprefix("end ")
            width = "auto" if axis in ("details", "path") else "205px"
            self.picks[axis] = w.Dropdown(description=words, style=wide, layout=w.Layout(width=width, max_width=WHOLE))
        self.metric = w.Dropdown(options=[(label(n), n) for n in quantities()], description="metric", style=wide)
        self.metric.layout = w.Layout(width="230px")
        self.splits = {s: w.ToggleButton(description=s, layout=w.Layout(width="70px")) for s in SPLITS}
        self.eps = w.FloatSlider(min=0, max=1, step=0.01, description="MCU ε", style=wide, continuous_update=True)
        self.eps.layout = w.Layout(width="260px")
        self.mode = w.Dropdown(options=list(COMPARES), description="compare", style=wide)
        self.mode.layout = w.Layout(width="190px")
        self.other = w.Dropdown(description="with", style=wide, layout=w.Layout(width="auto", max_width=WHOLE))
        self.play = w.Play(interval=INTERVAL, min=0, max=1, description="play along the path")
        self.slider = w.IntSlider(min=0, max=1, readout=False, description="t", style=wide)
        self.slider.layout = w.Layout(flex="1 1 200px", width="auto", min_width="120px")
        self._link = w.jslink((self.play, "value"), (self.slider, "value"))
        now = w.HTML(f"<span class='mcx {self._scope} at'></span>", layout=w.Layout(min_width="80px"))
        self._static, self._drawing, self._frame, self._copy = w.HTML(), w.HTML(), w.HTML(), w.HTML()
        narrow = w.Layout(width="auto")
        self.before = w.Button(description="◀ images", tooltip="previous page of images", layout=narrow)
        self.after = w.Button(description="images ▶", tooltip="next page of images", layout=narrow)
        self.saves = {
            kind: w.Button(description=f"save {kind}", tooltip=f"save this view as {kind}", layout=narrow)
            for kind in ("png", "svg", "html")
        }
        named = {**self.picks, "metric": self.metric, "eps": self.eps, "compare": self.mode, "with": self.other}
        named |= {"t": self.slider, "play": self.play}
        for name, one in named.items():  # for style sheets and tests in a browser
            one.add_class(f"mcutils-{name.replace(' ', '-')}")
        rows = []
        for end in ("start ", "end "):
            found = [one for axis, one in self.picks.items() if axis.startswith(end)]
            rows += [_row([w.HTML(f"<b>{end.strip()}</b>", layout=w.Layout(width="40px")), *found])] if found else []
        rows.append(_row([one for axis, one in self.picks.items() if not axis.startswith(("start ", "end "))]))
        rows.append(_row([self.metric, *self.splits.values(), self.eps]))
        rows.append(_row([self.mode, self.other]))
        rows.append(_row([self.play, self.slider, now]))
        ends = _row([self.before, self.after, *self.saves.values(), self._copy])
        self.widget.children = [self._static, *rows, self._status, self._drawing, self._frame, ends]
        for axis, one in self.picks.items():
            one.observe(lambda change, axis=axis: self._picked(axis, change["new"]), "value")
        for one in (self.metric, self.eps, self.mode, self.other, *self.splits.values()):
            one.observe(lambda change: self._changed(change["owner"]), "value")
        self.slider.observe(lambda change: self._moved(change["new"]), "value")
        self.before.on_click(lambda _: self._turned(-1))
        self.after.on_click(lambda _: self._turned(1))
        for kind, button in self.saves.items():
            button.on_click(lambda _, kind=kind: self._saved(kind))

    @contextmanager
    def _silent(self) -> Iterator[None]:
        """Change controls without hearing them."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _show(self) -> None:
        """Put the scene and the state of all controls into the widget."""
        view, made = self.view, self.scene
        with self._silent():
            here = self.sources[view.path].picks
            for axis, one in self.picks.items():
                options = self._options(axis)
                if tuple(options) != tuple(one.options):
                    one.options = options
                one.value = here.get(axis)
            self.metric.value, self.eps.max = view.metric, max(1.0, float(view.eps))
            self.eps.value = float(view.eps)
            there = quantities()[view.metric]
            for split, one in self.splits.items():
                one.value, one.disabled = split in view.splits and split in there, split not in there
                one.tooltip = f"{split} split" if split in there else f"{view.metric} has no values for {split}"
            self.mode.value = "no" if not view.compare else "side by side" if view.beside else "overlaid"
            options = [(self._told(one), one.name) for one in self._near()]
            if tuple(options) != tuple(self.other.options):
                self.other.options = options
            if options:
                self.other.value = view.compare or options[0][1]
            self.other.disabled = self.mode.disabled = len(self.sources) < 2
            last = len(made.t) - 1
            for one in (self.slider, self.play):
                one.max = last
            self.slider.value = self.play.value = view.k
            found = made.numbers[0].forgotten
            self.before.disabled = found is None or view.page == 0
            self.after.disabled = found is None or view.page >= made.pages - 1
        self._static.value, self._drawing.value = made.style, made.backdrop
        self._frame.value, self._copy.value = made.frame(view.k), _copy_button(self.code)

    def _near(self) -> list[Source]:
        """The other paths: first those between the same ends along another curve, then those that share most."""
        here = self.sources[self.view.path].picks
        others = [one for one in self.sources.values() if one.name != self.view.path]
        same = {one.name: not one.traced or one.picks.get("curve") == here.get("curve") for one in others}
        ends = {
            one.name: any(v != one.picks.get(a) for a, v in here.items() if a[:3] in ("sta", "end")) for one in others
        }
        return sorted(others, key=lambda o: (ends[o.name], same[o.name], -_shared(here, o.picks), o.name))

    def _told(self, source: Source) -> str:
        """A source in words, with its details where another has the same words."""
        same = self._labels[source.label] > 1
        return f"{source.label} ({source.picks['details']})" if same and "details" in source.picks else source.label

    def _options(self, axis: str) -> list[tuple[str, str]]:
        """What can be picked on an axis, each with a word where it has no path or no trace."""
        here = self.sources[self.view.path].picks
        values = dict.fromkeys(one.picks[axis] for one in self.sources.values() if axis in one.picks)
        stored = set(values)
        values |= dict.fromkeys(NAMES.get(axis, ()))
        found = []
        for value in values:
            wanted = {a: v for a, v in {**here, axis: value}.items() if a not in _loose(axis)}
            same = [s for s in self.sources.values() if all(s.picks.get(a) == v for a, v in wanted.items())]
            word = "" if any(s.traced for s in same) else ": no trace, curves only" if same else ": changes others too"
            word = word if value in stored else ": nothing stored"
            found.append((f"{label(value)}{word}", value))
        return found

    # Callbacks

    @_safely
    def _picked(self, axis: str, value: Any) -> None:
        if self._quiet:
            return
        here = self.sources[self.view.path].picks
        there = [one for one in self.sources.values() if one.picks.get(axis) == value]
        if not there:
            self._back(f"no path with {axis} {value} is stored; mcutils.study(...).run computes one.")
            return
        best = min(there, key=lambda one: (-_shared(here, one.picks) - _welcome(one), one.name))
        moved = [a for a in best.picks if a != axis and best.picks[a] != here.get(a)]
        moved = [a for a in moved if a not in _loose(axis)]
        words = ", ".join(f"{a} {best.picks[a]}" for a in moved)
        compare = "" if self.view.compare == best.name else self.view.compare
        self._go(replace(self.view, path=best.name, compare=compare, page=0))
        if words:
            self.say(f"No path is stored with these choices; the nearest has {words}.")

    @_safely
    def _changed(self, owner: Any) -> None:
        if self._quiet:
            return
        mode, there = COMPARES[self.mode.value], quantities()[self.metric.value]
        wanted = [s for s, one in self.splits.items() if one.value]
        if owner is self.metric:  # the splits chosen before stay chosen where the quantity has them
            wanted = list(self.view.splits)
        if owner in self.splits.values() and not wanted:
            self._back("at least one split is shown.")
            return
        wanted = wanted if there else self.view.splits
        compare = self.other.value if mode else ""
        changes = {"metric": self.metric.value, "splits": tuple(wanted), "eps": round(self.eps.value, 4)}
        self._go(replace(self.view, **changes, compare=compare or "", beside=mode == "beside"))

    @_safely
    def _moved(self, k: int) -> None:
        if self._quiet or self.scene is None:
            return
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

    def _go(self, view: View) -> None:
        """Show another view, at the t of this one; if it cannot be drawn the controls go back and the error goes on."""
        try:
            t = float(self.scene.t[self.view.k])
            made = self._drawn(replace(view, k=nearest(self._read(view.path).t, t)))
        except Exception:
            self._back("")
            raise
        self.scene, self.view = made, made.view
        self._show()
        self.say(_missing(made))

    def _back(self, words: str) -> None:
        """Set the controls to the view that is still shown, and say why."""
        with self._silent():
            for axis, one in self.picks.items():
                one.value = self.sources[self.view.path].picks.get(axis)
        self._show()
        self.say(words)

    # What a program does with it

    @_safely
    def go(self, t: float) -> None:
        """Move to the point nearest to t, as the slider does."""
        if self.scene is None:
            raise BadInput("there is no path to move along.")
        self.slider.value = nearest(self.scene.t, t)

    def say(self, words: str) -> None:
        """Show a message where a screen reader announces it; empty clears it."""
        self.message = words
        inside = f"<div class='message{' said' if words else ''}'>{escape(words)}</div>"
        self._status.value = f"<div class='mcx' role='status' aria-live='polite'>{inside}</div>"

    @property
    def code(self) -> str:
        """Code that shows this view again."""
        view, given = self.view, self._given
        parts = [f"t={float(self.scene.t[view.k]):.6g}" if self.scene else "", f'metric="{view.metric}"']
        parts += [f"splits={view.splits!r}", f"eps={view.eps:g}"]
        parts += [f'compare="{view.compare}"', f"beside={view.beside}"] if view.compare else []
        parts += [f"page={view.page}"] if view.page else []
        inside = ", ".join(filter(None, [given, f'path="{view.path}"', *parts]))
        return f"import mcutils as mc\n\nmc.explore({inside})"

    def page(self) -> str:
        """The view as a self-contained HTML page, all of its points inside."""
        if self.scene is None:
            raise BadInput("there is nothing to show, so no page to make.")
        return page(self.scene, self.code)

    def figure(self):
        """The view as a matplotlib Figure."""
        if self.scene is None:
            raise BadInput("there is nothing to show, so no figure to draw.")
        return view_figure(replace(self.scene, view=self.view))

    def save(self, kind: str) -> Path:
        """Write the view as ``png``, ``svg`` or ``html`` into the explorer's folder; returns the file."""
        view = self.view
        name = f"{view.path}_{view.k}".replace("/", "-")
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
        if kind in ("png", "svg"):
            found = dict(zip(("png", "svg"), save(self.figure(), name, self.folder), strict=True))
            return found[kind]
        if kind != "html":
            raise BadInput(f"a view is saved as png, svg or html, not as {kind!r}.")
        path = self.folder / f"{name}.html"
        write_file(path, self.page().encode("utf-8"))
        return path

    def close(self) -> None:
        """Take the widget away; what is called on it later does nothing."""
        self.widget.close()

    def _repr_mimebundle_(self, include=None, exclude=None, **options: Any) -> Any:  # noqa: ARG002
        """The widget where a kernel runs, and a picture of the view where none does."""
        data = dict(self.widget._repr_mimebundle_() or {})
        if self.scene is None:
            return {**data, "text/plain": self.message}
        words, picture = self.scene.alt(self.view.k), base64.b64encode(encoded(self.figure(), dpi=110)).decode()
        return {**data, "text/plain": words, "image/png": picture}, {"image/png": {"alt": words}}


def _missing(made: Scene) -> str:
    """Why a view has no panel of its quantity; empty if it has one."""
    name = metrics_of(made.view)[0]
    if made.metrics:
        return ""
    return f"There is no {title_of(name)} of this path: {made.numbers[0].lacking(name)}."


def _loose(axis: str) -> tuple[str, ...]:
    """Picks that may change with another without a word: details, and the recipe with the curve (a line has none)."""
    return () if axis == "details" else ("details", "recipe") if axis == "curve" else ("details",)


def _welcome(one: Source) -> float:
    """What speaks for a path where choices leave it open: a trace more than equal details, and the corrected recipe."""
    return 0.7 * one.traced + 0.6 * (one.picks.get("recipe") in ("corrected", "not fitted"))


def _shared(a: Mapping[str, str], b: Mapping[str, str]) -> float:
    """How many picks two paths share; the ends' methods count most, then what else names the ends."""
    # Two ends of one method stay so, and two methods two, where a choice leaves it open.
    alike = [one.get("start method") == one.get("end method") for one in (a, b)]
    weight = {"start method": 8, "end method": 8, "start seed": 3, "end seed": 3, "curve": 2, "details": 0.5}
    return sum(weight.get(axis, 2) for axis in a if a[axis] == b.get(axis)) + (alike[0] == alike[1])


def _some(names: Mapping[str, Any], most: int = 6) -> str:
    shown = list(names)[:most]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def _row(children: Sequence[Any]) -> Any:
    import ipywidgets as w

    return w.HBox(list(children), layout=w.Layout(flex_flow="row wrap", align_items="center", width="100%"))


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
