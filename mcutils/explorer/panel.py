"""The panel: one widget that carries a book and `explorer.js` to a notebook, and what its reader does back."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from typing import Any

from .page import part

STILL = "anywidget is not installed, so this is a picture: pip install anywidget"


@cache
def panel_kind() -> Any:
    """The widget's class, made when it is first needed: its packages are slow to import.

    Traits: ``book`` and ``pictures`` hold numbers and images, ``there`` what is to be shown of them, ``message`` words
    for the reader; ``here`` is the state that the browser writes and never reads, so that no echo moves anything.
    ``module`` draws them: all panels of a page share one, which `loader.js` reads, since a browser frees none.
    ``why`` says why nothing is drawn: an environment from before anywidget shows the view as a picture.
    """
    import traitlets

    base, words = _base()

    class Panel(base):  # type: ignore[misc, valid-type]
        _esm = part("loader.js")
        _css = part("explorer.css")
        why = words
        module = traitlets.Unicode(part("explorer.js")).tag(sync=True)
        book = traitlets.Dict().tag(sync=True)
        pictures = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
        there = traitlets.Dict().tag(sync=True)
        here = traitlets.Dict().tag(sync=True)
        message = traitlets.Unicode("").tag(sync=True)

        def __repr__(self) -> str:
            return "the explorer's panel"  # not all of its numbers

        def empty(self) -> None:
            """Let go of all that is large, here and where the panel is shown; only then is it closed.

            JupyterLab keeps the model of a closed widget for as long as its kernel runs (its handler of a comm never
            leaves the kernel's signal), and a model keeps what it was before its last change: hence one more.
            """
            with self.hold_sync():
                self.book, self.there, self.module = {}, {}, ""
                self.set_trait("pictures", None)
            self.message = "closed"

    return Panel


def _base() -> tuple[Any, str]:
    """What a panel is built on, and why it is not drawn; empty if it is."""
    import traitlets

    try:
        from anywidget import AnyWidget
    except ImportError:
        return type("Still", (traitlets.HasTraits,), dict.fromkeys(("on_msg", "close"), _nothing) | MUTE), STILL
    return AnyWidget, ""


def _nothing(*arguments: Any, **options: Any) -> Any:  # noqa: ARG001
    """What a panel that nobody sees does."""


# Beside it: what sends nothing.
MUTE = {"hold_sync": lambda self: nullcontext(), "layout": property(lambda self: self), "_repr_mimebundle_": _nothing}
