"""The landscape of `toy`, drawn by `toy.js` and dragged: one page without Python or a network, or a widget."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from ..errors import number, path_of
from ..files import BUILD, write_file
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import small_png
from . import toy

HERE = Path(__file__).parent
# What a reader steps through: name, bend, control point, and what it shows. Real methods show the first.
STEPS = (
    (
        "A dip",
        0.0,
        (0.0, 0.0),
        "The valley is flat between the two: the retain loss never rises, but the path nears the original model.",
    ),
    (
        "A barrier",
        0.5,
        (0.0, 0.0),
        "The valley is bent, and the straight line leaves it: now the retain loss rises too.",
    ),
    ("A curve", 0.5, (0.0, 0.8), "The curve follows the valley, which leads away from the original model."),
)
SLIDERS = {"bend": ("bend of valley", toy.BENDS), "depth": ("depth of original", toy.DEPTHS), "t": ("t", (0.0, 1.0))}


def settings() -> dict[str, Any]:
    """The constants of `toy` and the steps, as `toy.js` reads them."""
    constants = {"kept": toy.KEPT, "cost": toy.COST, "known": toy.KNOWN, "unseen": toy.UNSEEN, "reach": toy.REACH}
    steps = [{"about": about, "state": _moved(bend, control)} for _, bend, control, about in STEPS]
    return {**constants, "steps": steps}


def first_state(t: float = 0.5, eps: float = TOLERANCE) -> dict[str, Any]:
    """Where everything stands at first: the first step, a place t on the path and a tolerance in units of G."""
    return {**_moved(*STEPS[0][1:3]), "t": number("t", t, 0, 1), "eps": toy.check_eps(eps)}


def _moved(bend: float, control: tuple[float, float]) -> dict[str, Any]:
    ends = {"start": toy.START.tolist(), "end": toy.END.tolist()}
    return {"bend": bend, "depth": toy.Landscape().depth, "control": list(control), **ends}


def body() -> str:
    """The parts that `toy.js` draws into: steps, sliders, a map of each loss and a panel of each along t."""
    steps = (f"<button type='button' data-part='step-{k}'>{escape(one[0])}</button>" for k, one in enumerate(STEPS))
    slides = (
        f"<span class='slide'><span aria-hidden='true'>{text} <output data-part='{name}-now'></output></span><input "
        f"type='range' data-part='{name}' aria-label='{text}' min='{low:g}' max='{high:g}' step='0.01'></span>"
        for name, (text, (low, high)) in SLIDERS.items()
    )
    along = "".join(f"<svg data-part='{split}-along' role='img' aria-label='{split} loss'></svg>" for split in SCALES)
    return (
        f"<div class='row' role='group' aria-label='Steps'>{''.join(steps)}"
        "<button type='button' data-part='fit'>Fit the control point</button></div>"
        "<p class='about' data-part='about'></p><p class='words' data-part='words' role='status'></p>"
        f"<div class='row'>{''.join(slides)}</div>"
        f"<div class='views'>{''.join(_map(split) for split in SCALES)}<div class='along'>{along}</div></div>"
    )


SCALES = {"retain": (toy.KEPT, 3.0), "forget": (toy.KNOWN, toy.UNSEEN)}  # losses where the colours begin and end


def _map(split: str) -> str:
    hidden = "" if split == "retain" else " tabindex='-1' aria-hidden='true'"  # one set of handles for the keyboard
    handles = "".join(
        f"<button type='button' data-part='{split}-{name}' data-name='{name}'{hidden}></button>"
        for name in ("start", "end", "control")
    )
    low, high = SCALES[split]
    return (
        f"<figure><figcaption>{split} loss, white: tolerance</figcaption><div class='field' data-part='{split}-field'>"
        f"<canvas data-part='{split}-map' width='160' height='195' aria-hidden='true'></canvas><svg data-part="
        f"'{split}-path' viewBox='0 0 320 390' aria-hidden='true'></svg>{handles}</div><div class='scale'></div>"
        f"<div class='ends'><span>{low:g}</span><span>{high:g} nats</span></div></figure>"
    )


def page(state: Mapping[str, Any]) -> str:
    """The page at a state, one HTML file whose policy lets it run its own script and ask for nothing."""
    template, style, code = ((HERE / f"toy.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    data = json.dumps({"settings": settings(), "state": dict(state)})
    parts = {
        "hash": base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
        "style": style,
        "body": body(),
        "data": data.replace("<", "\\u003c"),
        "code": code,
    }
    return re.sub(r"@(hash|style|body|data|code)@", lambda found: parts[found[1]], template)


def export_toy(path: str | Path | None = None, *, t: float = 0.5, eps: float = TOLERANCE) -> Path:
    """Write the page, by default as ``build/explorer/toy.html``, and return where.

    Raises `BadInput` for a t outside [0, 1], a tolerance that is none, or a file that cannot be written.
    """
    target = BUILD / "explorer" / "toy.html" if path is None else path_of(path)
    write_file(target, page(first_state(t, eps)))
    return target


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
        _esm = (HERE / "toy.js").read_text(encoding="utf-8")
        _css = (HERE / "toy.css").read_text(encoding="utf-8")
        body = traitlets.Unicode().tag(sync=True)
        settings = traitlets.Dict().tag(sync=True)
        state = traitlets.Dict().tag(sync=True)
        here = traitlets.Dict().tag(sync=True)

        def _repr_mimebundle_(self, **options: Any) -> Any:
            found: Any = super()._repr_mimebundle_(**options) or {}
            data, metadata = found if isinstance(found, tuple) else (found, {})
            words, png = still(self.here or self.state)
            picture = {"text/plain": words, "image/png": base64.b64encode(png).decode()}
            return {**data, **picture}, {**metadata, "image/png": {"alt": words}}

    return Playground


def playground(*, t: float = 0.5, eps: float = TOLERANCE) -> Any:
    """The landscape as a widget, for JupyterLab and whatever else shows anywidgets; arguments as of `export_toy`."""
    return playground_kind()(body=body(), settings=settings(), state=first_state(t, eps))
