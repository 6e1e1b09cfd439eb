"""The article: question, method, findings and ledger as a PDF, set by Typst from the pages that say the same."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import BadInput, path_of
from ..files import BUILD, CLONE, ROOT, file_at, write_file

NEEDS = ("typst", "markdown_it")
# What the article is made of: page, section (None: what stands before the first one), title in the article.
SECTIONS: tuple[tuple[str, str | None, str], ...] = (
    ("README.md", None, ""),
    ("README.md", "Three definitions", "Definitions"),
    ("README.md", "What was found", "What was found"),
    ("docs/protocol.md", None, "How claims are judged"),
    ("docs/protocol.md", "Design", "Design of these tests"),
    ("docs/protocol.md", "Readings", "Readings of connected"),
    ("docs/protocol.md", "What this cannot say", "What this cannot say"),
    ("docs/results.md", "The first design", "The first design"),
    ("README.md", "Sources and citation", "Sources"),
)
NARROW = 18  # letters of a table's column that is not broken into lines
FIGURES = {
    "What was found": ("00_quickstart", "Two paths between two unlearned models, loss minus chord (notebook 00)."),
    "Readings of connected": ("02_seeds", "Barrier and deficit between two seeds, by method (notebook 02)."),
    "What this cannot say": ("15_claims", "Every row of the ledger by the unit of its effect (notebook 15)."),
}
STYLE = """\
#set page(paper: "a4", margin: 25mm, numbering: "1")
#set text(size: 10pt, lang: "en")
#set par(justify: true)
#set table(stroke: 0.4pt, inset: 4pt)
#show table: set par(justify: false)
#let picture(file) = layout(page => {
  let wide = image(file, width: 92% * page.width)
  if measure(wide).height > 190mm { image(file, height: 190mm) } else { wide }
})
#show link: set text(fill: rgb("#0072B2"))
#show heading: set block(above: 1.4em, below: 0.7em)
"""


def article_main(arguments: argparse.Namespace) -> int:
    """Run `article`."""
    out = file_at(BUILD / "article.pdf" if arguments.out is None else path_of(arguments.out, "--out"), "--out")
    write_file(out, compiled(written()))
    print(out)
    return 0


def compiled(source: str) -> bytes:
    """A source of Typst as PDF; pictures are found from the repository's folder."""
    import typst

    folder = BUILD / "article"
    write_file(folder / "article.typ", source)
    return typst.compile(str(folder / "article.typ"), root=str(ROOT))


def written(root: Path = ROOT) -> str:
    """The article as a source of Typst, from the pages of the repository: every sentence and number is theirs.

    Raises:
        BadInput: the package does not lie in a clone, the extra ``site`` is not installed, or a page has no such
            section.
    """
    if not CLONE:
        raise BadInput("the article is made from the repository's pages: clone it.")
    if lacking := [name for name in NEEDS if find_spec(name) is None]:
        raise BadInput(f"{', '.join(lacking)} is not installed: pip install -e '.[site]'.")
    title = (root / "README.md").read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
    parts = [STYLE, f'#align(center, text(17pt, weight: "bold")[{run(title)}])']
    for page, section, heading in SECTIONS:
        text = section_of((root / page).read_text(encoding="utf-8"), section, page)
        parts += [f"= {run(heading)}"] if heading else []
        if heading in FIGURES and (drawn := picture(root / "figures", FIGURES[heading][0])):
            caption = FIGURES[heading][1]
            parts.append(f'#figure(picture("/figures/{drawn}"), caption: [{run(caption)}])')
        parts.append(typeset(text))
    ledger = section_of((root / "docs" / "results.md").read_text(encoding="utf-8"), "The ledger of claims", "results")
    parts += ["#set page(flipped: true, margin: 18mm)", f"= {run('The ledger of claims')}", "#set text(size: 8pt)"]
    return "\n\n".join([*parts, typeset(ledger)]) + "\n"


def picture(folder: Path, name: str) -> str:
    """A figure's file: the svg that a redraw leaves beside the committed png, where there is one; empty for neither."""
    return next((f"{name}{kind}" for kind in (".svg", ".png") if (folder / f"{name}{kind}").is_file()), "")


def section_of(page: str, heading: str | None, name: str = "the page") -> str:
    """What stands below a heading of a page; below its title, before the first section, for None."""
    text = re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL)
    if heading is None:
        return re.split(r"^## ", text.partition("\n")[2], maxsplit=1, flags=re.MULTILINE)[0].strip()
    found = re.search(rf"^## {re.escape(heading)}\s*$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise BadInput(f"{name} has no section {heading!r}.")
    return found[1].strip()


def typeset(markdown: str) -> str:
    """A text in Markdown as Typst: paragraphs, lists, tables, code, emphasis and links; pictures are left out."""
    from markdown_it import MarkdownIt

    return "".join(_blocks(MarkdownIt("commonmark").enable("table").parse(markdown))).strip()


def run(text: str) -> str:
    """A run of text as Typst, in which nothing is markup."""
    return f"#{json.dumps(text, ensure_ascii=False)};" if text else ""


def _blocks(tokens: Sequence[Any]) -> Iterator[str]:
    opening = {
        "bullet_list_open": "\n#list(", "ordered_list_open": "\n#enum(", "list_item_open": "[",
        "blockquote_open": "\n#quote(block: true)[", "th_open": "[*", "td_open": "[",
    }  # fmt: skip
    closing = {
        "bullet_list_close": ")\n\n", "ordered_list_close": ")\n\n", "list_item_close": "],", "blockquote_close": "]\n",
        "th_close": "*],", "td_close": "],", "table_close": ")\n\n", "paragraph_close": "\n\n",
        "thead_open": "table.header(", "thead_close": "),",
    }  # fmt: skip
    for k, token in enumerate(tokens):
        if token.type == "table_open":
            yield f"\n#table(columns: ({', '.join(_widths(tokens[k:]))}), align: left,"
        elif token.type == "heading_open":
            yield f"\n{'=' * max(2, int(token.tag[1]) - 1)} "
        elif token.type == "heading_close":
            yield "\n\n"
        elif token.type == "inline":
            yield "".join(_inline(token.children or ()))
        elif token.type in ("fence", "code_block"):
            yield f"\n#raw({json.dumps(token.content, ensure_ascii=False)}, block: true)\n\n"
        else:
            yield opening.get(token.type) or closing.get(token.type, "")


def _widths(tokens: Sequence[Any]) -> list[str]:
    """Widths of columns of the table that begins here: short ones as they are, others by the root of their length."""
    columns: list[list[int]] = []
    row = 0
    for token, inner in pairwise(tokens):
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            row = 0
        elif token.type in ("th_open", "td_open"):
            columns += [[]] if row == len(columns) else []
            columns[row].append(len(inner.content))
            row += 1
    return ["auto" if max(one) <= NARROW else f"{round(10 * (sum(one) / len(one)) ** 0.5)}fr" for one in columns]


def _inline(tokens: Sequence[Any]) -> Iterator[str]:
    plain = {"strong_open": "#strong[", "strong_close": "]", "em_open": "#emph[", "em_close": "]", "softbreak": " "}
    outside: list[bool] = []
    for token in tokens:
        if token.type == "text":
            yield run(re.sub(rf"\w{{{NARROW},}}", lambda word: word[0].replace("_", "_\u200b"), token.content))
        elif token.type == "code_inline":
            yield f"#raw({json.dumps(token.content, ensure_ascii=False)});"
        elif token.type == "link_open":
            target = str(token.attrs["href"])
            outside.append(target.startswith(("https://", "http://")))
            yield f"#link({json.dumps(target)})[" if outside[-1] else ""
        elif token.type == "link_close":
            yield "]" if outside.pop() else ""
        elif token.type == "hardbreak":
            yield "#linebreak();"
        else:
            yield plain.get(token.type, "")
