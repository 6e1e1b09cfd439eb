"""Pages of the site that follow from the ledger: one for each claim, one that lists them, one for the figures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import BadInput
from ..paper.claims import CLAIMS, LEDGERS, NEIGHBOURS, PAPER, PROTOCOL, effect_text, ledger_of, markdown_of

# What a claim's `source` may name, and how far it is to be trusted: the paper's body was not at hand.
SOURCES = {
    "abstract 2025": "the abstract of version 1 (arXiv 2504.06407), read itself",
    "abstract 2026": "the abstract of the 2026 version (arXiv 2607.23970), read itself",
    "digest": "digests of version 1's full text that others had a machine write: less sure than an abstract",
    "review": "reviews of the withdrawn ICLR submission, which describe a version that was not at hand",
    "code": "the authors' public code, which says what it does, not that the paper used it",
    "ours": "a question of this companion, which follows from the paper's definition",
}
ARTICLE = re.compile(r"arXiv (\d{4}\.\d{5})")  # a neighbour's article, as a source
READINGS = {
    "verdict": "chord, the paper's",
    "floor": "floor: only what lies beyond the retrained models counts",
    "worse_end": "worse end: only what lies beyond both ends counts",
    "two_sided": "two-sided: the forget loss may not leave its chord upwards either",
}
ONE_TASK = "One data set and one small network: the verdict is about this task, not about unlearning everywhere."


def claim_page(claim: str, rows: Sequence[Mapping[str, Any]], notebooks: str | Path, figures: str | Path) -> str:
    """The page of a claim in Markdown: sentence, source, test, figure, verdict, caveat, where it is computed.

    ``rows`` are those of the ledger with this id, one or more; ``notebooks`` and ``figures`` the folders in which
    its cell and its figure are looked for, which the page names as ``../notebooks`` and ``../figures``.
    """
    stated = CLAIMS[claim]
    places = [name for name in stated.notebook.split(", ") if (Path(notebooks) / f"{name}.ipynb").is_file()]
    parts = [f"# {claim}", f"> {stated.statement}", f"**Where it comes from.** {sources_text(stated.source)}"]
    parts += [_row_text(row) for row in rows if row.get("verdict") not in (None, "not run")]
    if len(parts) == 3:
        absent = f"`{stated.notebook}` does not exist yet" if not places else "no result of it is there yet"
        parts.append(f"**Not run**: {f'it needs {stated.waits}' if stated.waits else absent}.")
    if told := PROTOCOL.get(claim):
        parts.append(_declared_text(told))
    for name in places:
        if (Path(figures) / f"{name}.png").is_file():
            parts.append(f"![{stated.statement}](../figures/{name}.png)")
        cell = verdict_heading(json.loads((Path(notebooks) / f"{name}.ipynb").read_text(encoding="utf-8")))
        parts.append(f"Computed in [{name}](../notebooks/{name}.ipynb{f'#{cell}' if cell else ''}).")
    return "\n\n".join([*parts, ONE_TASK, "[All claims](index.md)"]) + "\n"


def _row_text(row: Mapping[str, Any]) -> str:
    name = row.get("row") or row["id"]
    lines = [f"**{name}: {row['verdict']}.** Effect {effect_text(row, 2, 'not measured')}.", ""]
    told = {"Statistic": row.get("statistic"), "Unit": row.get("unit"), "Null": row.get("null")}
    told |= {"Threshold": row.get("threshold"), "Notes": row.get("notes")}
    lines += [f"- *{what}*: {text}" for what, text in told.items() if text not in (None, "")]
    by = {words: row[name] for name, words in READINGS.items() if row.get(name)}
    if len(by) > 1:
        lines += ["", markdown_of([["reading", "verdict"], *([words, word] for words, word in by.items())])]
    return "\n".join(lines)


def _declared_text(told: Mapping[str, str]) -> str:
    parts = [("Statistic", "statistic"), ("Rule", "rule"), ("Null", "null"), ("Planted effect", "planted")]
    lines = [f"- *{title}*: {told[name]}" for title, name in parts if told.get(name)]
    return "\n".join(["**The test**, as [the protocol](../docs/protocol.md) declares it:", "", *lines])


def sources_text(source: str) -> str:
    """A claim's source with what each of its words means.

    Raises `BadInput` for a word that `SOURCES` lacks and that names no article, as ``arXiv 2602.02986`` does.
    """
    meant = {}
    for word in (word.strip() for word in source.split(";")):
        article = ARTICLE.fullmatch(word)
        if article is None and word not in SOURCES:
            raise BadInput(f"the source {word!r} is none of {', '.join(SOURCES)}.")
        meant[word] = f"a neighbour's [article](https://arxiv.org/abs/{article[1]})" if article else SOURCES[word]
    return "; ".join(f"*{word}*: {text}" for word, text in meant.items()) + "."


def claims_index(rows: Sequence[Mapping[str, Any]]) -> str:
    """The page that lists the claims, each with a link to its page and its verdicts, in Markdown."""
    head = ["claim", "sentence", "verdict"]
    tables = {name: [head] for name in LEDGERS}
    for claim, stated in CLAIMS.items():
        words = dict.fromkeys(str(row["verdict"]) for row in rows if row["id"] == claim)
        tables[ledger_of(claim)].append([f"[{claim}]({claim}.md)", stated.statement, ", ".join(words) or "not run"])
    what = "\n".join(f"- *{word}*: {text}." for word, text in SOURCES.items())
    return (
        "# The claims\n\nEvery testable claim of the paper, with the verdict found here.\n\n"
        f"{markdown_of(tables[PAPER])}\n## {LEDGERS[NEIGHBOURS]}\n\nOther articles, of the same models.\n\n"
        f"{markdown_of(tables[NEIGHBOURS])}\n## Where claims come from\n\nThe paper's body and its figures were not at "
        f"hand. A claim's page names its source by these words, or an article by its number:\n\n{what}\n"
    )


def figures_page(listing: Mapping[str, Mapping[str, Any]], notebooks: str | Path, figures: str | Path) -> str:
    """The page of all figures in Markdown: each with its notebook's cell, and the command that says what it shows.

    ``listing`` is what ``results.json`` beside the figures holds: notebook -> preset and keys of results.
    """
    parts = ["# Figures", "Each leads to the cell that draws it; the command below it lists the results behind it."]
    for name, entry in listing.items():
        path = Path(notebooks) / f"{name}.ipynb"
        drawn = drawn_in(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
        for stem, heading in drawn.items():
            if (Path(figures) / f"{stem}.png").is_file():
                where = f"notebooks/{name}.ipynb" + (f"#{heading}" if heading else "")
                parts += [f"## {stem}", f"[![{stem}](figures/{stem}.png)]({where})"]
                behind = f"Preset `{entry['preset']}`, {len(entry['results'])} results"
                parts.append(f"[The cell]({where}). {behind}: `python -m mcutils show figures/{stem}.png`")
    return "\n\n".join(parts) + "\n"


def drawn_in(notebook: Mapping[str, Any]) -> dict[str, str]:
    """Names of the figures that a notebook saves, and of the heading above each (`anchor`), in their order."""
    found: dict[str, str] = {}
    heading = ""
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heads = headings(text)
            heading = anchor(heads[-1]) if heads else heading
        else:
            found |= dict.fromkeys(re.findall(r"plots\.save\(.*?,\s*\"([\w-]+)\"", text), heading)
    return found


def verdict_heading(notebook: Mapping[str, Any]) -> str:
    """The anchor of the heading under which a notebook gives its verdict; empty where it has none."""
    heads = [head for c in notebook["cells"] if c["cell_type"] == "markdown" for head in headings("".join(c["source"]))]
    return next((anchor(head) for head in heads if "verdict" in head.lower()), "")


def headings(text: str) -> list[str]:
    """The headings of a text in Markdown, without those inside code."""
    return re.findall(
        r"^#+ +(.+?)\s*$", re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )


def anchor(heading: str) -> str:
    """The name by which links reach a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower().strip()).replace(" ", "-")
