"""The lesson in other forms: a notebook for students, one for teachers, a sheet to write on, slides."""

from __future__ import annotations

import html
import mimetypes
import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import BadInput
from ..explorer.page import coded, digest, filled, part
from ..files import ROOT
from . import toy_page

LESSON = ROOT / "notebooks" / "00_quickstart.ipynb"
NOTES = ROOT / "docs" / "teaching.md"
SOLUTION = "<details><summary>Solution"
# What the lesson says of its solutions, and what students read instead.
REWORDED = {
    " Solutions fold out; guess before you look.": " Guess before you look.",
    "; the solutions are computed from the same results.": ".",
}
BESIDE = r"((?!https?:|attachment:|#|mailto:)[^)\s]+)"  # an address of a file in the repository
NEEDS = ("nbconvert", "latex2mathml")
LEFT_OUT = ("Glossary", "Go on", "Walk along it yourself")  # of the slides: for readers, not for a wall

Cells = list[dict[str, Any]]


def student(cells: Cells) -> Cells:
    """The lesson's cells without its solutions, and with `REWORDED` sentences."""
    kept = [dict(cell) for cell in cells if not (cell["cell_type"] == "code" and SOLUTION in cell["source"])]
    for cell in kept:
        if cell["cell_type"] == "markdown":
            for said, instead in REWORDED.items():
                cell["source"] = cell["source"].replace(said, instead)
    return kept


def teacher(cells: Cells, notes: str) -> Cells:
    """The lesson's cells with the plan's note before each part, and with what to expect behind each of exercises.

    ``notes`` is the text of docs/teaching.md: its table of the lesson, minutes, part, what to do, and its table of
    exercises, number, most answer, what to point at.
    """
    plan = [row for row in rows_of(notes, "The lesson") if "exercises" not in row[1].lower()]
    answers = {number: said for number, *said in rows_of(notes, "What to expect")}
    made: Cells = []
    for cell in cells:
        text = cell["source"] if cell["cell_type"] == "markdown" else ""
        for heading in re.findall(r"^## (.+)$", text, re.MULTILINE):
            for row in [row for row in plan if parts_of(row[1]) & parts_of(heading)]:
                plan.remove(row)
                made.append(_note(f"**Teacher, minutes {row[0]}** ({row[1]}). {row[2]}", len(made)))
        made.append(cell)
        told = [(n, *answers[n]) for n, _ in exercises(text) if n in answers]
        if told:
            lines = "\n".join(f"{n}. Most say: {most} Point at: {what}" for n, most, what in told)
            made.append(_note(f"**Teacher: what to expect**\n\n{lines}", len(made)))
    return made


def _note(text: str, number: int) -> dict[str, Any]:
    quoted = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    return {"cell_type": "markdown", "id": f"teacher-{number}", "metadata": {"tags": ["teacher"]}, "source": quoted}


def parts_of(text: str) -> set[str]:
    """The numbers with which a part of the plan or a heading begins, or its first word."""
    head = re.match(r"(\d+)(?: (?:and|to) (\d+))?", text.strip())
    if head is None:
        return {word.lower() for word in text.split()[:1]}
    return {str(k) for k in range(int(head[1]), int(head[2] or head[1]) + 1)}


def rows_of(page: str, heading: str) -> list[list[str]]:
    """The rows of three cells of the first table below the heading that begins so, without its head."""
    _, _, rest = page.partition(f"\n## {heading}")
    if not rest:
        raise BadInput(f"the page has no section {heading!r}.")
    table = re.search(r"(?:^\|.*\|\s*$\n?)+", rest.partition("\n## ")[0], re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in (table[0].splitlines() if table else ())]
    return [row for row in rows[2:] if len(row) == 3]


def exercises(text: str) -> Iterator[tuple[str, str]]:
    """Number and text of each exercise of a cell, which has them as a numbered list below a heading *Exercises*."""
    if re.search(r"^#+ .*\bExercises\b", text, re.MULTILINE):
        for found in re.finditer(r"^(\d+)\. (.+(?:\n(?: {3}.*|\s*))*)", text, re.MULTILINE):
            yield found[1], re.sub(r"\s+", " ", found[2]).strip()


def worksheet(cells: Cells) -> str:
    """A sheet in Markdown: every exercise, with lines to write on, first what one expects and then what one found."""
    parts, rule = ["# Worksheet", "Name: " + "_" * 40, "Say what you expect before you try it."], [*["_" * 80] * 3]
    for cell in cells:
        for number, text in exercises(cell["source"]) if cell["cell_type"] == "markdown" else ():
            parts += [f"**{number}.** {text}", "Expected:", *rule, "Found:", *rule]
    return "\n\n".join(parts) + "\n"


def carried(cells: Cells, folder: Path) -> Cells:
    """The cells so that they open anywhere: pictures are attached to them, links to files are their words.

    ``folder`` is where the notebook lay. Raises `BadInput` for a picture that cannot be read.
    """
    made = []
    for cell in cells:
        held: dict[str, dict[str, str]] = {}

        def attach(found: re.Match[str], held: dict[str, dict[str, str]] = held) -> str:
            path = folder / found[2]
            try:
                raw = coded(path.read_bytes())
            except OSError as error:
                raise BadInput(f"the lesson needs the picture {path} ({error.strerror}).") from None
            held[path.name] = {mimetypes.guess_type(path.name)[0] or "image/png": raw}
            return f"![{found[1]}](attachment:{path.name})"

        if cell["cell_type"] == "markdown":
            text = re.sub(rf"!\[([^\]]*)\]\({BESIDE}\)", attach, cell["source"])
            cell = {**cell, "source": re.sub(rf"(?<!!)\[([^\]]*)\]\({BESIDE}\)", r"\1", text)}
        made.append({**cell, "attachments": held} if held else cell)
    return made


def editions(lesson: Path = LESSON, notes: Path = NOTES, slides: bool = False) -> dict[str, str]:
    """The texts of ``student.ipynb``, ``teacher.ipynb``, ``worksheet.md`` and perhaps ``slides.html``, by these names.

    Raises `BadInput` where the lesson, its notes or a picture of it cannot be read.
    """
    import nbformat

    try:
        book, told = nbformat.read(lesson, as_version=4), notes.read_text(encoding="utf-8")
    except Exception as error:  # nbformat has many for what is no notebook
        raise BadInput(f"the lesson in {lesson} with its notes in {notes} cannot be read ({error}).") from None
    texts = {"worksheet.md": worksheet(book.cells)}
    for name, cells in {"student": student(book.cells), "teacher": teacher(book.cells, told)}.items():
        made = nbformat.from_dict({**book, "cells": carried(cells, lesson.parent)})
        texts[f"{name}.ipynb"] = nbformat.writes(made) + "\n"
    return texts | ({"slides.html": slides_of(carried(student(book.cells), lesson.parent))} if slides else {})


def slides_of(cells: Cells) -> str:
    """Cells as slides, one HTML page that asks for nothing else: a cell with a heading begins one.

    nbconvert draws text, tables and figures; formulas are MathML, code is left out, and the landscape of two weights is
    there to be dragged. Printed, each slide is a page. Raises `BadInput` where the extra ``site`` is not installed.
    """
    if lacking := [name for name in NEEDS if find_spec(name) is None]:
        raise BadInput(f"{', '.join(lacking)} is not installed: pip install -e '.[site]'.")
    made: list[tuple[str, Cells]] = []
    for cell in cells:
        if cell["cell_type"] == "markdown":  # whose minutes are the plan's
            text = re.sub(r"^(#+ .*?) \(\d+ min\)$", r"\1", cell["source"], flags=re.MULTILINE)
            heading = re.search(r"^#+ +(.+)$", text, re.MULTILINE)
            made += [(heading[1], [])] if heading else []
            cell = {**cell, "source": _formulas(text)}
        elif made and _pictured(cell) and any(map(_pictured, made[-1][1])):
            made.append((made[-1][0], []))
        if made:
            made[-1][1].append(cell)
    kept = [(heading, _drawn(own)) for heading, own in made if heading not in LEFT_OUT]
    drawn = [f'<section class="page" id="s{k}" tabindex="-1">{own}</section>' for k, (_, own) in enumerate(kept, 1)]
    template, style, script, toy = (part(f, "teaching") for f in ("slides.html", "slides.css", "slides.js", "toy.js"))
    title = html.escape(kept[0][0] if kept else "Slides")
    # What the page allows, the landscape in it may too.
    return filled(template, script, None, title=title, style=style, slides="\n".join(drawn), toy=digest(toy))


def _pictured(cell: Mapping[str, Any]) -> bool:
    return any("image/png" in output.get("data", ()) for output in cell.get("outputs", ()))


def _drawn(cells: Cells) -> str:
    """Cells as HTML by nbconvert; links are words, since a slide leads nowhere."""
    import nbformat
    from nbconvert import HTMLExporter

    toy = ""
    if any("playground(" in cell["source"] for cell in cells):
        page = html.escape(toy_page.page(toy_page.first_state()), quote=True)
        cells = [cell for cell in cells if cell["cell_type"] == "markdown"]
        toy = f'<iframe class="toy" title="A landscape of two weights" srcdoc="{page}"></iframe>'
    shown = [dict(cell) for cell in cells]
    for cell in shown:  # without what it printed
        if "outputs" in cell:
            cell["outputs"] = [one for one in cell["outputs"] if one["output_type"] != "stream"]
    book = nbformat.from_dict({"cells": shown, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    left_out = dict.fromkeys(("exclude_input", "exclude_output_prompt", "exclude_anchor_links"), True)
    exporter = HTMLExporter(template_name="basic", **left_out)
    made = re.sub(r"<a [^>]*>|</a>|<style.*?</style>", "", exporter.from_notebook_node(book)[0], flags=re.DOTALL)
    made = re.sub(r"<table[^>]*>", '<table tabindex="0">', made)
    return made.replace('<math display="block"', '<math tabindex="0" display="block"') + toy


def _formulas(text: str) -> str:
    """A text in Markdown with its formulas as MathML, which browsers draw without a script."""
    from latex2mathml.converter import convert

    def formula(found: re.Match[str]) -> str:
        return convert(found[1] or found[2], display="block" if found[1] else "inline")

    return re.sub(r"\$\$(.+?)\$\$|\$([^$\n]+(?:\n[^$\n]+)*)\$", formula, text, flags=re.DOTALL)
