"""Editions of the lesson: students get no solution, teachers all of them, the sheet has every exercise."""

import base64
import json
import re

import nbformat
import pytest

from mcutils.errors import BadInput
from mcutils.teaching.editions import (
    LESSON,
    NOTES,
    REWORDED,
    carried,
    editions,
    exercises,
    is_solution,
    parts_of,
    rows_of,
    student,
    teacher,
    worksheet,
)


@pytest.fixture(scope="module")
def lesson():
    return json.loads(LESSON.read_text(encoding="utf-8"))


def text_of(notebook):
    return "\n".join("".join(cell["source"]) for cell in notebook["cells"])


def outputs_of(notebook):
    return json.dumps([cell.get("outputs") for cell in notebook["cells"]])


def test_students_get_no_solution_and_all_the_rest(lesson):
    made = student(lesson)
    assert sum(map(is_solution, lesson["cells"])) >= 3
    assert all(text_of(lesson).count(said) == 1 for said in REWORDED)
    assert "<details>" not in text_of(made) + outputs_of(made) and "Solutions" not in text_of(made)
    assert len(made["cells"]) == len(lesson["cells"]) - sum(map(is_solution, lesson["cells"]))
    numbers = [n for cell in made["cells"] for n, _ in exercises("".join(cell["source"]))]
    assert numbers == [str(k) for k in range(1, 9)]


def test_the_source_is_left_as_it_is(lesson):
    before = json.dumps(lesson)
    student(lesson), teacher(lesson, NOTES.read_text()), worksheet(lesson)
    assert json.dumps(lesson) == before


def test_teachers_get_every_note_of_the_plan_and_all_answers(lesson):
    notes = NOTES.read_text(encoding="utf-8")
    made = teacher(lesson, notes)
    told = [cell["source"] for cell in made["cells"] if "teacher" in cell["metadata"].get("tags", ())]
    for minutes, part, what in rows_of(notes, "The lesson"):
        if "exercises" not in part:
            assert any(f"minutes {minutes}" in one and what[:40] in one for one in told), part
    for number, most, _ in rows_of(notes, "What to expect"):
        assert any(f"> {number}. Most say: {most}" in one for one in told)
    assert [cell for cell in made["cells"] if cell["metadata"].get("tags") != ["teacher"]] == lesson["cells"]


def test_the_sheet_has_every_exercise_once_with_room(lesson):
    sheet = worksheet(lesson)
    assert re.findall(r"^\*\*(\d+)\.\*\*", sheet, re.MULTILINE) == [str(k) for k in range(1, 9)]
    assert sheet.count("Expected:") == sheet.count("Found:") == 8 and "<details>" not in sheet


def test_parts_are_told_by_their_numbers():
    assert parts_of("5 and 6, numbers") == {"5", "6"} and parts_of("6. Verdict (2 min)") == {"6"}
    assert parts_of("Question (5 min)") == parts_of("Question") == {"question"}
    assert parts_of("1 to 3") == {"1", "2", "3"} and parts_of("") == set()


def test_only_lists_below_exercises_are_exercises():
    assert list(exercises("## Go on\n\n1. Walk.")) == []
    assert list(exercises("### Exercises 1 to 2\n\n1. One\n   more.\n2. Two.")) == [("1", "One more."), ("2", "Two.")]


def test_files_are_notebooks_that_open():
    texts = editions()
    assert list(texts) == ["student.ipynb", "teacher.ipynb", "worksheet.md"]
    for name in ("student.ipynb", "teacher.ipynb"):
        nbformat.validate(nbformat.reads(texts[name], as_version=4))


def test_what_is_no_lesson_is_refused(tmp_path):
    (tmp_path / "a.ipynb").write_text("no")
    with pytest.raises(BadInput, match="cannot be read"):
        editions(lesson=tmp_path / "a.ipynb")
    with pytest.raises(BadInput, match="no section 'The lesson'"):
        rows_of("# other", "The lesson")


def test_a_handout_opens_where_no_repository_is():
    texts = editions()
    for name in ("student.ipynb", "teacher.ipynb"):
        book = nbformat.reads(texts[name], 4)
        nbformat.validate(book)
        pictures = [found for cell in book["cells"] for found in re.findall(r"!\[[^\]]*\]\(([^)]*)\)", cell["source"])]
        assert len(pictures) >= 2 and all(one.startswith("attachment:") for one in pictures)
        held = {name: data for cell in book["cells"] for name, data in cell.get("attachments", {}).items()}
        assert {f"attachment:{one}" for one in held} == set(pictures)
        raw = base64.b64decode(held["why.svg"]["image/svg+xml"])
        assert raw == (LESSON.parents[1] / "docs" / "why.svg").read_bytes()
        told = [cell["source"] for cell in book["cells"] if cell["cell_type"] == "markdown"]
        assert not re.search(r"\]\((?!https?:|attachment:|#)", "\n".join(told))


def test_words_of_links_stay_and_code_is_no_link(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    cells = [
        {"cell_type": "markdown", "source": "[plan](../b.md), [web](https://x.org), ![p](a.png), [here](#there)"},
        {"cell_type": "code", "source": "found[k](a.png)"},
    ]
    one, two = carried({"cells": cells}, tmp_path)["cells"]
    assert one["source"] == "plan, [web](https://x.org), ![p](attachment:a.png), [here](#there)"
    assert one["attachments"] == {"a.png": {"image/png": "eA=="}} and two == cells[1]
    with pytest.raises(BadInput, match=r"the lesson needs the picture .*lost\.png"):
        carried({"cells": [{"cell_type": "markdown", "source": "![x](lost.png)"}]}, tmp_path)
