"""Where a book is shown: as one HTML page that holds its numbers and the module that draws them, or in a notebook."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from ..errors import BadInput

STILL = "anywidget is not installed, so this is a picture: pip install anywidget"


@cache
def part(name: str, wing: str = "explorer") -> str:
    """The text of a file that comes with the package, such as ``explorer.js``, ``.css``, ``.html`` or ``loader.js``."""
    return (files("mcutils") / wing / name).read_text(encoding="utf-8")


def coded(values: np.ndarray | bytes) -> str:
    """Bytes, or those of an array, in base64."""
    return base64.b64encode(
        np.ascontiguousarray(values).tobytes() if isinstance(values, np.ndarray) else values
    ).decode()


def digest(code: str) -> str:
    """What a page's policy says of a script that it lets a browser run."""
    return coded(hashlib.sha256(code.encode()).digest())


def filled(template: str, code: str, data: Any, **parts: str) -> str:
    """A page of a template, whose policy lets a browser run its own script and ask no server for anything.

    ``@code@``, ``@hash@``, the script's `digest`, ``@data@`` as JSON and names of ``parts`` stand in the template; all
    are replaced at once, since what is put in may hold ``@data@``. Raises `BadInput` for numbers that are not finite.
    """
    try:
        told = json.dumps(data, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise BadInput("a page holds finite numbers, but some of this curve or its task are NaN or infinite.") from None
    parts |= {"code": code, "hash": digest(code), "data": told.replace("<", "\\u003c")}
    return re.sub(rf"@({'|'.join(parts)})@", lambda found: parts[found[1]], template)


def page(
    book: Mapping[str, Any],
    state: Mapping[str, Any],
    given: str,
    title: str,
    lead: Sequence[str] = (),
    links: Sequence[tuple[str, str]] = (),
) -> str:
    """A book as a page that can be walked, compared and judged without Python.

    All that a user named stands in the data, as text, and in the title.

    Args:
        book: what `book.book` tells.
        state: what is shown at first, by the names that `explorer.js` has for it.
        given: code that makes what was given, for the code that shows the view again.
        title: of the page.
        lead: paragraphs above the drawing, below the title, which is shown where there are some.
        links: addresses of other pages and words for them, below these paragraphs.
    """
    script = f"{part('explorer.js')}\npage(document.getElementById('explorer'));\n"
    data = {"book": book, "state": state, "offers": {"given": given}}
    told = "".join(f"<p>{escape(one)}</p>" for one in lead) + linked(links)
    head = f'<header class="story"><p class="title">{escape(title)}</p>{told}</header>' if lead else ""
    return filled(part("explorer.html"), script, data, title=escape(title), lead=head, style=part("explorer.css"))


def linked(links: Sequence[tuple[str, str]]) -> str:
    """Links to other pages, addresses with words for them, in a row; nothing without any."""
    each = " · ".join(f'<a href="{escape(address)}">{escape(words)}</a>' for address, words in links)
    return f'<nav aria-label="Pages">{each}</nav>' if each else ""


def pictured(found: Any, words: str, png: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """What Jupyter shows of a widget, with a picture and its words for where no kernel runs."""
    data, metadata = found if isinstance(found, tuple) else (found or {}, {})
    picture = {"text/plain": words, "image/png": coded(png)}
    return {**data, **picture}, {**metadata, "image/png": {"alt": words}}


@cache
def panel_kind() -> Any:
    """The class of the widget that carries a book and `explorer.js` to a notebook, and what its reader does back.

    It is made when it is first needed: its packages are slow to import.

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
    """What a panel is built on, and why it is not drawn, empty if it is: without anywidget it sends nothing."""
    import traitlets

    try:
        from anywidget import AnyWidget
    except ImportError:
        quiet = dict.fromkeys(("on_msg", "close", "_repr_mimebundle_"), lambda *arguments, **options: None)
        held = {"hold_sync": lambda self: nullcontext(), "layout": property(lambda self: self)}
        return type("Still", (traitlets.HasTraits,), quiet | held), STILL
    return AnyWidget, ""
