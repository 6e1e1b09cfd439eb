"""Stories as pages: each path with its question and paragraph above the explorer, and a page that lists them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from ..engine.study import Study
from ..explorer.page import linked
from ..explorer.widget import explore
from ..files import folder_at
from ..paper.stories import STORIES, Told, told
from . import output

STYLE = """:root{color-scheme:light dark;background:light-dark(#fff,#161616);color:light-dark(#1c1c1c,#ececec)}
a{color:light-dark(#0060a0,#7cc4f2)}
body{font:1rem/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
li{margin:.8rem 0}li a{font-weight:700}"""


def write_stories(folder: str | Path, study: Study) -> list[Path]:
    """Write the six stories of a study and ``index.html``, which lists them, into a folder; returns their paths.

    They are chosen and told from the walks of 02 and 09; what the study lacks of these is computed.
    """
    place = folder_at(Path(folder), "folder of the stories")
    output.check(place, ["index.html", *(f"{name}.html" for name in STORIES)])
    stories = told(study)
    pages = {f"{one.name}.html": page_of(one, study, links(stories, k)) for k, one in enumerate(stories)}
    return output.write(place, {"index.html": index(stories), **pages})


def links(stories: Sequence[Told], k: int) -> list[tuple[str, str]]:
    """Addresses and words of the pages that the k-th story leads to: the list, the story before and the one after."""
    ways = [(j, way) for j, way in ((k - 1, "◀ "), (k + 1, "▶ ")) if 0 <= j < len(stories)]
    return [
        ("index.html", "All stories"),
        *((f"{stories[j].name}.html", f"{way}{stories[j].title}") for j, way in ways),
    ]


def page_of(one: Told, study: Study, around: Sequence[tuple[str, str]] = ()) -> str:
    """A story's page: its words, and below them the explorer on its path beside the other one between its ends.

    ``around`` are addresses of other pages, with words for them.
    """
    lead = [one.question, one.text]
    if one.path is None:
        return _plain(one.title, "".join(f"<p>{escape(text)}</p>" for text in lead) + linked(around))
    beside = "" if one.beside is None else one.beside.profile(study)
    view = explore(study, one.path.profile(study), compare=beside)
    try:
        return view.page(one.title, lead, around)
    finally:
        view.close()


def index(stories: Sequence[Told]) -> str:
    """The page that lists the stories, each with its question."""
    lines = "".join(
        f'<li><a href="{escape(one.name)}.html">{escape(one.title)}</a><br>{escape(one.question)}</li>'
        for one in stories
    )
    return _plain("Six paths, six stories", f"<ol>{lines}</ol>")


def _plain(title: str, inside: str) -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main><h1>{escape(title)}</h1>"
        f"{inside}</main>\n</body>\n</html>\n"
    )
