"""The lesson's editions: students get no solution, teachers all of them, the sheet has every exercise; its slides."""

import base64
import copy
import re

import nbformat
import pytest
from browsing import CHROMIUM, check_accessible, opened, started

from mcutils.errors import BadInput
from mcutils.teaching import lesson as module
from mcutils.teaching.lesson import (
    LESSON,
    NOTES,
    REWORDED,
    SOLUTION,
    carried,
    editions,
    exercises,
    parts_of,
    rows_of,
    slides_of,
    student,
    teacher,
)

READY = {"#place:not(:empty)": "visible"}


@pytest.fixture(scope="module")
def cells():
    return nbformat.read(LESSON, as_version=4).cells


@pytest.fixture(scope="module")
def texts():
    return editions(slides=True)


def text_of(cells):
    return "\n".join(cell["source"] for cell in cells)


def test_students_get_no_solution_and_all_the_rest(cells):
    before = copy.deepcopy(cells)
    made = student(cells)
    solutions = [cell for cell in cells if cell["cell_type"] == "code" and SOLUTION in cell["source"]]
    assert cells == before and len(solutions) >= 3
    assert all(text_of(cells).count(said) == 1 for said in REWORDED)
    assert "<details>" not in text_of(made) + str(made) and "Solutions" not in text_of(made)
    assert len(made) == len(cells) - len(solutions)
    assert [n for cell in made for n, _ in exercises(cell["source"])] == [str(k) for k in range(1, 9)]


def test_teachers_get_every_note_of_the_plan_and_all_answers(cells):
    notes, before = NOTES.read_text(encoding="utf-8"), copy.deepcopy(cells)
    made = teacher(cells, notes)
    told = [cell["source"] for cell in made if "teacher" in cell["metadata"].get("tags", ())]
    for minutes, part, what in rows_of(notes, "The lesson"):
        if "exercises" not in part:
            assert any(f"minutes {minutes}" in one and what[:40] in one for one in told), part
    for number, most, _ in rows_of(notes, "What to expect"):
        assert any(f"> {number}. Most say: {most}" in one for one in told)
    assert [cell for cell in made if cell["metadata"].get("tags") != ["teacher"]] == cells == before


def test_the_sheet_has_every_exercise_once_with_room(texts):
    sheet = texts["worksheet.md"]
    assert re.findall(r"^\*\*(\d+)\.\*\*", sheet, re.MULTILINE) == [str(k) for k in range(1, 9)]
    assert sheet.count("Expected:") == sheet.count("Found:") == 8 and "<details>" not in sheet


def test_parts_are_told_by_their_numbers_and_exercises_by_their_heading():
    assert parts_of("5 and 6, numbers") == {"5", "6"} and parts_of("6. Verdict (2 min)") == {"6"}
    assert parts_of("Question (5 min)") == parts_of("Question") == {"question"}
    assert parts_of("1 to 3") == {"1", "2", "3"} and parts_of("") == set()
    assert list(exercises("## Go on\n\n1. Walk.")) == []
    assert list(exercises("### Exercises 1 to 2\n\n1. One\n   more.\n2. Two.")) == [("1", "One more."), ("2", "Two.")]


def test_what_is_no_lesson_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.ipynb").write_text("no")
    with pytest.raises(BadInput, match="cannot be read"):
        editions(tmp_path / "a.ipynb")
    with pytest.raises(BadInput, match="no section 'The lesson'"):
        rows_of("# other", "The lesson")
    monkeypatch.setattr(module, "NEEDS", ("latex2mathml", "no_such_package"))
    with pytest.raises(BadInput, match=r"no_such_package is not installed: pip install -e '\.\[site\]'"):
        slides_of([])


def test_a_handout_opens_where_no_repository_is(texts):
    assert set(texts) == {"student.ipynb", "teacher.ipynb", "worksheet.md", "slides.html"}
    for name in ("student.ipynb", "teacher.ipynb"):
        book = nbformat.reads(texts[name], 4)
        nbformat.validate(book)
        pictures = [found for cell in book.cells for found in re.findall(r"!\[[^\]]*\]\(([^)]*)\)", cell["source"])]
        assert len(pictures) >= 2 and all(one.startswith("attachment:") for one in pictures)
        held = {name: data for cell in book.cells for name, data in cell.get("attachments", {}).items()}
        assert {f"attachment:{one}" for one in held} == set(pictures)
        raw = base64.b64decode(held["why.svg"]["image/svg+xml"])
        assert raw == (LESSON.parents[1] / "docs" / "why.svg").read_bytes()
        told = text_of(cell for cell in book.cells if cell["cell_type"] == "markdown")
        assert not re.search(r"\]\((?!https?:|attachment:|#)", told)


def test_words_of_links_stay_and_code_is_no_link(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    cells = [
        {"cell_type": "markdown", "source": "[plan](../b.md), [web](https://x.org), ![p](a.png), [here](#there)"},
        {"cell_type": "code", "source": "found[k](a.png)"},
    ]
    one, two = carried(cells, tmp_path)
    assert one["source"] == "plan, [web](https://x.org), ![p](attachment:a.png), [here](#there)"
    assert one["attachments"] == {"a.png": {"image/png": "eA=="}} and two == cells[1]
    with pytest.raises(BadInput, match=r"the lesson needs the picture .*lost\.png"):
        carried([{"cell_type": "markdown", "source": "![x](lost.png)"}], tmp_path)


def test_a_heading_or_a_second_picture_begins_a_slide():
    def code(*outputs):
        shown = [{"output_type": "display_data", "data": one, "metadata": {}} for one in outputs]
        said = {"output_type": "stream", "name": "stdout", "text": "said"}
        own = {"id": "a", "execution_count": 1, "metadata": {}, "outputs": [*shown, said]}
        return {"cell_type": "code", "source": "code_is_left_out", **own}

    def markdown(text):
        return {"cell_type": "markdown", "source": text, "id": "b", "metadata": {}}

    picture = code({"image/png": "eA==", "text/plain": "a"})
    head = markdown("# T (2 min)\n\nOne <b>x</b> $x^2$ [link](b.md).")
    made = slides_of([code(), head, picture, picture, markdown("more"), markdown("## Glossary\n\nwords")])
    first, second = re.findall(r'<section class="page".*?</section>', made, re.DOTALL)
    assert "<h1>T</h1>" in first and "<math" in first and "<a " not in made and "link." in first
    assert first.count("<img") == second.count("<img") == 1 and "more" in second
    assert "said" not in made and "code_is_left_out" not in made and "words" not in made


def test_the_lesson_s_slides_hold_no_solution_and_ask_for_nothing(texts, cells):
    text = texts["slides.html"]
    markdown = text_of(cell for cell in cells if cell["cell_type"] == "markdown")
    written = re.findall(r"^#+ (.*?)(?: \(\d+ min\))?$", markdown, re.MULTILINE)
    written = [head for head in written if head not in module.LEFT_OUT]
    assert re.findall(r"<h\d>(.*?)</h\d>", text) == written
    assert "Solution" not in text and "<details" not in text and "data:image/svg+xml" in text
    assert not re.search(r"(?:src|href)=\"(?!data:)|@import|https?://(?!www\.w3\.org)", text)
    assert len(text) < 4_000_000


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_keys_and_buttons_go_through_them_and_axe_agrees(texts, tmp_path, width, theme):
    path = tmp_path / "slides.html"
    path.write_text(texts["slides.html"], encoding="utf-8")
    with started() as browser:
        page, wrong, asked = opened(browser, path, READY, width, theme, reduced_motion="reduce")
        place = page.locator("#place")
        count = page.locator("section.page").count()
        page.keyboard.press("ArrowRight")
        assert place.inner_text() == f"2 of {count}" and page.evaluate("location.hash") == "#s2"
        page.keyboard.press("End")
        assert place.inner_text() == f"{count} of {count}" and page.locator("#on").is_disabled()
        page.get_by_role("button", name="Back").click()
        assert place.inner_text() == f"{count - 1} of {count}"
        toy = page.frame_locator("iframe.toy")
        toy.locator("[data-part=retain-control]").focus()
        page.keyboard.press("Shift+ArrowUp")
        toy.locator("[data-part=retain-control][aria-label*='at 0 and 0.25']").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        check_accessible(page)
        assert wrong == [] and [url.partition("#")[0] for url in asked if url.startswith("file:")] == [path.as_uri()]
