"""Pages: a view as one HTML file that holds its numbers and the module that draws them, and needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any


@cache
def part(name: str) -> str:
    """The text of a file that comes with the explorer: ``explorer.js``, ``.css``, ``.html`` or ``loader.js``."""
    return (files("mcutils") / "explorer" / name).read_text(encoding="utf-8")


def page(
    book: Mapping[str, Any],
    state: Mapping[str, Any],
    given: str,
    title: str,
    lead: Sequence[str] = (),
    links: Sequence[tuple[str, str]] = (),
) -> str:
    """A book as a page that can be walked, compared and judged without Python.

    Its policy lets a browser run the page's own script only, and ask no server for anything. All that a user named
    stands in the data, as text, and in the title.

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
    parts = {
        "title": escape(title),
        "lead": _lead(title, lead, links),
        "digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "style": part("explorer.css"),
        "data": json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "script": script,
    }
    # All at once: a name in a view may be @data@.
    return re.sub(r"@(title|lead|digest|style|data|script)@", lambda found: parts[found[1]], part("explorer.html"))


def _lead(title: str, paragraphs: Sequence[str], links: Sequence[tuple[str, str]]) -> str:
    """A heading and paragraphs, as text, and links; nothing without paragraphs."""
    told = "".join(f"<p>{escape(one)}</p>" for one in paragraphs) + linked(links)
    return f'<header class="story"><p class="title">{escape(title)}</p>{told}</header>' if paragraphs else ""


def linked(links: Sequence[tuple[str, str]]) -> str:
    """Links to other pages, addresses with words for them, in a row; nothing without any."""
    each = " · ".join(f'<a href="{escape(address)}">{escape(words)}</a>' for address, words in links)
    return f'<nav aria-label="Pages">{each}</nav>' if each else ""
