"""Slides of the lesson: one HTML page, from the notebook's headings, leading sentences and figures; no network.

A heading begins a slide. It shows lists, tables, formulas and figures as they are and of a paragraph the first
sentence; the whole paragraphs are its notes. The landscape of two weights is there to be dragged. Printed, each slide
is a page.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import BadInput
from ..files import ROOT
from . import toy_page
from .editions import LESSON, Notebook, picture, student

HERE = Path(__file__).parent
NEEDS = ("markdown_it", "latex2mathml")
LEFT_OUT = ("Glossary", "Go on", "Walk along it yourself")  # for readers, not for a wall
FIGURE = re.compile(r"drawing\.save\(\s*[^,]+,\s*\"([\w-]+)\"")
FORMULA = '<span class="formula" tabindex="0" role="group" aria-label="formula">'
WIDE = '<div class="wide" tabindex="0" role="group" aria-label="table">'  # who has no mouse moves it by keys
ROWS, WORDS = 12, 300  # of a table that still fits a slide; letters that leave room for a picture


@dataclass
class Slide:
    """What a slide shows, pieces of HTML in their order, and its notes."""

    heading: str
    level: int
    shown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def slides(lesson: Notebook, folder: Path = ROOT / "notebooks") -> str:
    """The slides of a notebook as one HTML page that asks for nothing else.

    Args:
        lesson: the notebook, with or without outputs; without them its figures are those in ``figures/``.
        folder: where the notebook lies, from which its pictures are found.

    Raises:
        BadInput: the extra ``site`` is not installed, or a picture is missing.
    """
    if lacking := [name for name in NEEDS if find_spec(name) is None]:
        raise BadInput(f"{', '.join(lacking)} is not installed: pip install -e '.[site]'.")
    made: list[Slide] = []
    for cell in student(lesson)["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            for heading, level, body in parts(text):
                if heading:
                    made.append(Slide(heading, level))
                if made:
                    _tell(made, body, folder)
        elif made:
            for piece in _outputs(cell, text, folder):
                _put(made, piece)
    return _page([one for one in made if one.heading not in LEFT_OUT])


def slides_page(lesson: Path = LESSON) -> str:
    """The slides of a notebook in a file; raises `BadInput` as `slides` does."""
    try:
        read = json.loads(lesson.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"the lesson in {lesson} cannot be read ({error}).") from None
    return slides(read, lesson.parent)


def parts(text: str) -> list[tuple[str, int, str]]:
    """A text in Markdown cut at its headings: heading, its level, what follows; first what stands before any."""
    fenced = False
    cut: list[tuple[str, int, list[str]]] = [("", 0, [])]
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith("```")
        found = None if fenced else re.match(r"(#+) +(.+?)\s*$", line)
        if found:
            cut.append((found[2], len(found[1]), []))
        else:
            cut[-1][2].append(line)
    told = [(heading, level, "\n".join(lines).strip()) for heading, level, lines in cut]
    return [one for one in told if one[0] or one[2]]


def leading(paragraph: str) -> str:
    """The first sentence of a paragraph; formulas and abbreviations end none."""
    joined = re.sub(r"\s+", " ", paragraph).strip()
    for found in re.finditer(r"[.?!:][*_)”\"]*(?= +[A-Z*“(])", joined):
        before = joined[: found.end()]
        balanced = before.count("$") % 2 == 0 and before.count("**") % 2 == 0 and before.count("(") == before.count(")")
        if (
            balanced
            and not re.fullmatch(r"\*\*[^*]+\*\*", before)
            and not re.search(r"\b(?:al|e\.g|i\.e|vs|cf)\.$", before)
        ):
            return before
    return joined


def _tell(made: list[Slide], body: str, folder: Path) -> None:
    """Put the paragraphs of a text on slides, shortened where they are prose but for the first below the title."""
    for block in re.split(r"\n\s*\n", body):
        if not block.strip() or block.lstrip().startswith("```"):
            continue
        whole = made[-1].level == 1 and not made[-1].shown
        prose = not whole and not re.match(r"\s*(?:\||[-*] |\d+\. |!\[|>)", block) and "$$" not in block
        short = leading(block) if prose else block
        _put(made, _html(short, folder))
        if prose and short != re.sub(r"\s+", " ", block).strip():
            made[-1].notes.append(_html(block, folder))


def _put(made: list[Slide], piece: str) -> None:
    """Add a piece to the last slide, or to a new one of its heading where a picture or table would not fit."""
    said = len(re.sub(r"<[^>]+>", "", "".join(made[-1].shown)))
    if _large(piece) and (any(map(_large, made[-1].shown)) or said > WORDS and made[-1].level > 1):
        made.append(Slide(made[-1].heading, 2))
    made[-1].shown.append(piece)


def _large(piece: str) -> bool:
    return "<img" in piece or "<table" in piece or 'id="toy"' in piece


@cache
def _markdown() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table")


def _html(text: str, folder: Path) -> str:
    """Markdown as HTML, formulas as MathML, pictures inside; links are words, since a slide leads nowhere."""
    from latex2mathml.converter import convert

    held: list[str] = []

    def hold(found: re.Match[str]) -> str:
        made = convert(found[1] or found[2], display="block" if found[1] else "inline")
        held.append(f"{FORMULA}{made}</span>" if found[1] else made)
        return f"\ue000{len(held) - 1}\ue001"

    kept = re.sub(r"\$\$(.+?)\$\$|\$([^$\n]+(?:\n[^$\n]+)*)\$", hold, text, flags=re.DOTALL)
    made = _markdown().render(kept)
    made = re.sub(r"\ue000(\d+)\ue001", lambda found: held[int(found[1])], made)
    made = re.sub(r"<a [^>]*>|</a>", "", made)
    made = made.replace("<table>", f"{WIDE}<table>").replace("</table>", "</table></div>")
    return re.sub(r'src="([^"]+)"', lambda found: f'src="{_data(folder / html.unescape(found[1]))}"', made)


def _data(path: Path) -> str:
    """A picture as an address that holds it."""
    return "data:{};base64,{}".format(*picture(path, "the slides need"))


def _outputs(cell: Mapping[str, Any], text: str, folder: Path) -> list[str]:
    """What a cell shows on a slide: the landscape, its figures, sentences and short tables."""
    if "playground(" in text:
        return [f'<div id="toy" class="toy">{toy_page.body()}</div>']
    made = []
    for output in cell.get("outputs", ()):
        data = {kind: "".join(value) for kind, value in output.get("data", {}).items()}
        if "image/png" in data:
            shown = data["image/png"].replace("\n", "")
            made.append(f'<img alt="{_alt(data)}" src="data:image/png;base64,{shown}">')
        elif "text/html" in data:
            table = re.search(r"<table.*</table>", data["text/html"], re.DOTALL)
            if table and table[0].count("<tr") <= ROWS + 1:
                plain = re.sub(r' (?:border|style|class)="[^"]*"', "", table[0])
                made.append(f"{WIDE}{plain}</div>")
        elif "text/markdown" in data:
            blocks = re.split(r"\n\s*\n", data["text/markdown"])
            made += [_html(leading(block), folder) for block in blocks if re.match(r"\s*[\w*]", block)]
    if not cell.get("outputs"):
        kept = [folder.parent / "figures" / f"{name}.png" for name in FIGURE.findall(text)]
        made += [f'<img alt="figure {path.stem}" src="{_data(path)}">' for path in kept if path.is_file()]
    return made


def _alt(data: Mapping[str, str]) -> str:
    """Words for a picture; a figure's own description says nothing."""
    words = data.get("text/plain", "")
    return "figure" if words.startswith("<") or not words else html.escape(words, quote=True)


def _page(found: list[Slide]) -> str:
    drawn = []
    for k, one in enumerate(found):
        tag = "h1" if k == 0 else "h2"
        notes = f'<div class="notes">{"".join(one.notes)}</div>' if one.notes else ""
        inside = f"<{tag}>{_inline(one.heading)}</{tag}><div class='shown'>{''.join(one.shown)}</div>{notes}"
        drawn.append(f'<section class="page" id="s{k + 1}" tabindex="-1">{inside}</section>')
    codes = [(HERE / name).read_text(encoding="utf-8") for name in ("slides.js", "toy.js")]
    digests = [base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in codes]
    data = json.dumps({"settings": toy_page.settings(), "state": toy_page.first_state()}).replace("<", "\\u003c")
    values = {
        "title": html.escape(found[0].heading if found else "Slides"),
        "hashes": " ".join(f"'sha256-{one}'" for one in digests),
        "style": "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("toy.css", "slides.css")),
        "slides": "\n".join(drawn),
        "deck": codes[0],
        "data": data,
        "toy": codes[1] if any('id="toy"' in piece for one in found for piece in one.shown) else "",
    }
    template = (HERE / "slides.html").read_text(encoding="utf-8")
    return re.sub(r"@(title|hashes|style|slides|deck|data|toy)@", lambda part: values[part[1]], template)


def _inline(heading: str) -> str:
    """A heading without its minutes, which are the plan's."""
    return html.escape(re.sub(r"\s*\(\d+ min\)$", "", heading))
