"""The landscape of `toy`, drawn by `toy.js` and dragged: one page without Python or a network, or a widget."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ..errors import number
from ..explorer.page import filled, part, pictured
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import small_png
from . import toy

# What a reader steps through: bend, control point, and what it shows. Real methods show the first.
FLAT = "The valley is flat between the two: the retain loss never rises, but the path nears the original model."
BENT = "The valley is bent, and the straight line leaves it: now the retain loss rises too."
AROUND = "The curve follows the valley, which leads away from the original model."
STEPS = ((0.0, (0.0, 0.0), FLAT), (0.5, (0.0, 0.0), BENT), (0.5, (0.0, 0.8), AROUND))


def settings() -> dict[str, Any]:
    """The constants of `toy` and the steps, as `toy.js` reads them."""
    constants = {"kept": toy.KEPT, "cost": toy.COST, "known": toy.KNOWN, "unseen": toy.UNSEEN, "reach": toy.REACH}
    steps = [{"about": about, "state": _moved(bend, control)} for bend, control, about in STEPS]
    return {**constants, "steps": steps}


def first_state(t: float = 0.5, eps: float = TOLERANCE) -> dict[str, Any]:
    """Where everything stands at first: the first step, a place t on the path and a tolerance in units of G."""
    return {**_moved(*STEPS[0][:2]), "t": number("t", t, 0, 1), "eps": toy.check_eps(eps)}


def _moved(bend: float, control: tuple[float, float]) -> dict[str, Any]:
    ends = {"start": toy.START.tolist(), "end": toy.END.tolist()}
    return {"bend": bend, "depth": toy.Landscape().depth, "control": list(control), **ends}


def page(state: Mapping[str, Any]) -> str:
    """The page at a state, one HTML file whose policy lets it run its own script and ask for nothing."""
    data = {"settings": settings(), "state": dict(state)}
    parts = {"style": part("toy.css", "teaching"), "body": part("toy_body.html", "teaching")}
    return filled(part("toy.html", "teaching"), part("toy.js", "teaching"), data, **parts)


def still(state: Mapping[str, Any]) -> tuple[str, bytes]:
    """A state as a sentence and a picture of the same four panels, a png, for where nothing moves."""
    land, eps = toy.Landscape(state["bend"], state["depth"]), state["eps"]
    walked = toy.walk(land, state["control"], ends=(state["start"], state["end"]))
    words = f"{toy.sentence(walked, eps)} At t = {state['t']:g}; smallest ε: {walked.eps:.3f}."
    return words, small_png(toy.figure(land, {"path": walked}, eps=eps, t=state["t"]))


@cache
def playground_kind() -> Any:
    """The widget's class, made when it is first needed: its packages are slow to import.

    Traits: ``state`` is where everything stands, which the kernel sets; ``here`` where the reader moved it to, which
    only the browser writes, so that no echo moves anything. Where no kernel runs, a reader sees `still`.
    """
    import anywidget
    import traitlets

    class Playground(anywidget.AnyWidget):
        _esm, _css = part("toy.js", "teaching"), part("toy.css", "teaching")
        body = traitlets.Unicode(part("toy_body.html", "teaching")).tag(sync=True)
        settings = traitlets.Dict().tag(sync=True)
        state = traitlets.Dict().tag(sync=True)
        here = traitlets.Dict().tag(sync=True)

        def _repr_mimebundle_(self, **options: Any) -> Any:
            return pictured(super()._repr_mimebundle_(**options), *still(self.here or self.state))

    return Playground


def playground(*, t: float = 0.5, eps: float = TOLERANCE) -> Any:
    """The landscape as a widget, for JupyterLab and whatever else shows anywidgets; arguments as of `first_state`."""
    return playground_kind()(settings=settings(), state=first_state(t, eps))
