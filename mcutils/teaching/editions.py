"""Editions of the lesson: one notebook for students, one for teachers, and a sheet to write on, from one source."""

from __future__ import annotations

import base64
import copy
import mimetypes
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import BadInput
from ..files import ROOT

LESSON = ROOT / "notebooks" / "00_quickstart.ipynb"
NOTES = ROOT / "docs" / "teaching.md"
SOLUTION = "<details><summary>Solution"
# What the lesson says of its solutions, and what students read instead.
REWORDED = {
    " Solutions fold out; guess before you look.": " Guess before you look.",
    "; the solutions are computed from the same results.": ".",
}
LINES = 3  # to write an answer on
BESIDE = r"((?!https?:|attachment:|#|mailto:)[^)\s]+)"  # an address of a file in the repository

Notebook = dict[str, Any]


def is_solution(cell: Mapping[str, Any]) -> bool:
    """Whether a cell of the lesson prints folded solutions."""
    return cell["cell_type"] == "code" and SOLUTION in "".join(cell["source"])


def student(lesson: Notebook) -> Notebook:
    """The lesson without its solutions, and with `REWORDED` sentences."""
    kept = copy.deepcopy(lesson)
    kept["cells"] = [cell for cell in kept["cells"] if not is_solution(cell)]
    for cell in kept["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = reworded("".join(cell["source"]))
    return kept


def reworded(text: str) -> str:
    """A cell's text as students read it, see `REWORDED`."""
    for said, instead in REWORDED.items():
        text = text.replace(said, instead)
    return text


def teacher(lesson: Notebook, notes: str) -> Notebook:
    """The lesson with the plan's note before each part, and with what to expect behind each cell of exercises.

    ``notes`` is the text of docs/teaching.md: its table of the lesson, minutes, part, what to do, and its table of
    exercises, number, most answer, what to point at.
    """
    plan = [row for row in rows_of(notes, "The lesson") if len(row) == 3]
    answers = {row[0]: row[1:] for row in rows_of(notes, "What to expect") if len(row) == 3}
    made = copy.deepcopy(lesson)
    cells: list[dict[str, Any]] = []
    for cell in made["cells"]:
        text = "".join(cell["source"])
        for heading in re.findall(r"^## (.+)$", text, re.MULTILINE) if cell["cell_type"] == "markdown" else ():
            for minutes, part, what in list(plan):
                if parts_of(part) & parts_of(heading) and not is_exercise(part):
                    plan.remove([minutes, part, what])
                    cells.append(note(f"**Teacher, minutes {minutes}** ({part}). {what}", len(cells)))
        cells.append(cell)
        told = [n for n, _ in exercises(text)] if cell["cell_type"] == "markdown" else []
        lines = [f"{n}. Most say: {answers[n][0]} Point at: {answers[n][1]}" for n in told if n in answers]
        if lines:
            cells.append(note("**Teacher: what to expect**\n\n" + "\n".join(lines), len(cells)))
    made["cells"] = cells
    return made


def note(text: str, number: int) -> dict[str, Any]:
    """A cell for teachers, set off by a line at its side."""
    quoted = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    return {"cell_type": "markdown", "id": f"teacher-{number}", "metadata": {"tags": ["teacher"]}, "source": quoted}


def is_exercise(part: str) -> bool:
    """Whether a part of the plan is of exercises, whose notes stand behind them."""
    return "exercises" in part.lower()


def parts_of(text: str) -> set[str]:
    """The numbers with which a part of the plan or a heading begins, or its first word."""
    head = re.match(r"(\d+)(?: (?:and|to) (\d+))?", text.strip())
    if head is None:
        return {text.split()[0].lower()} if text.split() else set()
    first, last = int(head[1]), int(head[2] or head[1])
    return {str(k) for k in range(first, last + 1)}


def rows_of(page: str, heading: str) -> list[list[str]]:
    """The rows of the first table below the heading that begins so, without its head, as lists of cells."""
    _, _, rest = page.partition(f"\n## {heading}")
    if not rest:
        raise BadInput(f"the page has no section {heading!r}.")
    table = re.search(r"(?:^\|.*\|\s*$\n?)+", rest.partition("\n## ")[0], re.MULTILINE)
    lines = table[0].strip().splitlines()[2:] if table else []
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]


def exercises(text: str) -> Iterator[tuple[str, str]]:
    """Number and text of each exercise of a cell, which has them as a numbered list below a heading *Exercises*."""
    if re.search(r"^#+ .*\bExercises\b", text, re.MULTILINE):
        for found in re.finditer(r"^(\d+)\. (.+(?:\n(?: {3}.*|\s*))*)", text, re.MULTILINE):
            yield found[1], re.sub(r"\s+", " ", found[2]).strip()


def worksheet(lesson: Notebook) -> str:
    """A sheet in Markdown: every exercise, with lines to write on, first what one expects and then what one found."""
    parts = ["# Worksheet", "Name: " + "_" * 40, "Say what you expect before you try it."]
    for cell in lesson["cells"]:
        if cell["cell_type"] == "markdown":
            for number, text in exercises("".join(cell["source"])):
                rule = "\n\n".join(["_" * 80] * LINES)
                parts += [f"**{number}.** {text}", "Expected:", rule, "Found:", rule]
    return "\n\n".join(parts) + "\n"


def carried(book: Notebook, folder: Path) -> Notebook:
    """The notebook so that it opens anywhere: pictures are attached to their cells, links to files are their words.

    ``folder`` is where it lay. Raises `BadInput` for a picture that cannot be read.
    """
    made = copy.deepcopy(book)
    for cell in made["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        held: dict[str, dict[str, str]] = {}

        def attach(found: re.Match[str], held: dict[str, dict[str, str]] = held) -> str:
            name = Path(found[2]).name
            held[name] = dict([picture(folder / found[2], "the lesson needs")])
            return f"![{found[1]}](attachment:{name})"

        text = re.sub(rf"!\[([^\]]*)\]\({BESIDE}\)", attach, "".join(cell["source"]))
        cell["source"] = re.sub(rf"(?<!!)\[([^\]]*)\]\({BESIDE}\)", r"\1", text)
        if held:
            cell["attachments"] = {**cell.get("attachments", {}), **held}
    return made


def picture(path: Path, needed: str) -> tuple[str, str]:
    """A picture's type and its bytes in base64; ``needed`` begins what `BadInput` says where it cannot be read."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{needed} the picture {path} ({error.strerror}).") from None
    return mimetypes.guess_type(path.name)[0] or "image/png", base64.b64encode(raw).decode()


def editions(lesson: str | Path = LESSON, notes: str | Path = NOTES) -> dict[str, str]:
    """The texts of ``student.ipynb``, ``teacher.ipynb`` and ``worksheet.md``, by these names.

    Raises `BadInput` where the lesson, its notes or a picture of it cannot be read.
    """
    import nbformat

    try:
        source = nbformat.read(str(lesson), as_version=4)
        told = Path(notes).read_text(encoding="utf-8")
    except Exception as error:  # nbformat has many for what is no notebook
        raise BadInput(f"the lesson in {lesson} with its notes in {notes} cannot be read ({error}).") from None
    books = {"student.ipynb": student(source), "teacher.ipynb": teacher(source, told)}
    made = {name: nbformat.from_dict(carried(book, Path(lesson).parent)) for name, book in books.items()}
    return {name: nbformat.writes(book) + "\n" for name, book in made.items()} | {"worksheet.md": worksheet(source)}
