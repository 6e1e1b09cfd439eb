"""Slides of the lesson: a slide a heading, nothing of a solution, nothing asked of a network, used by keys alone."""

import base64
import json
import re

import pytest
from browsing import CHROMIUM, SHOTS, check_accessible, opened, started

from mcutils.cli.main import main
from mcutils.errors import BadInput
from mcutils.teaching import slides as module
from mcutils.teaching.editions import LESSON
from mcutils.teaching.slides import leading, parts, slides, slides_page

READY = {"[data-part=words]:not(:empty)": "attached"}
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("slides") / "slides.html"
    file.write_text(slides_page(), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with started() as found:
        yield found


def markdown(source):
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(source, *outputs):
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [{"data": one} for one in outputs]}


def told(*cells, folder=LESSON.parent):
    """The slides of these cells: heading, what is shown, notes."""
    text = slides({"cells": list(cells)}, folder)
    found = re.findall(r'<section class="page".*?</section>', text, re.DOTALL)
    shape = r".*?<h\d>(.*?)</h\d><div class='shown'>(.*?)</div>(?:<div class=\"notes\">(.*)</div>)?</section>"
    return [re.fullmatch(shape, one, re.DOTALL).groups() for one in found]


@pytest.mark.parametrize(
    ("paragraph", "sentence"),
    [
        ("One here. Two there.", "One here."),
        ("One\nline only", "One line only"),
        ("**Expectation.** The line fails. A curve holds.", "**Expectation.** The line fails."),
        ("Garipov et al. (2018) found it. Then more.", "Garipov et al. (2018) found it."),
        ("At $t = 0. X$ it is. So there.", "At $t = 0. X$ it is."),
        ("Is it? It is.", "Is it?"),
    ],
)
def test_of_a_paragraph_the_first_sentence_is_shown(paragraph, sentence):
    assert leading(paragraph) == sentence


def test_a_text_is_cut_at_its_headings_but_not_in_code():
    text = "before\n\n# A\nx\n\n```python\n# no heading\n```\n## B (2 min)\n\ny"
    assert parts(text) == [("", 0, "before"), ("A", 1, "x\n\n```python\n# no heading\n```"), ("B (2 min)", 2, "y")]


def test_lists_tables_and_formulas_stay_whole_and_prose_goes_to_the_notes():
    body = "## A (2 min)\n\nOne & more. Two <b>.\n\n- a. B.\n- c\n\n| x |\n|---|\n| 1 |\n\n$$x^2$$"
    body += "\n\n[link](b.md) it. And on."
    ((heading, shown, notes),) = told(markdown("# T"), markdown(body))[1:]
    assert heading == "A" and "<p>One &amp; more.</p>" in shown and "Two" not in shown and "<li>a. B.</li>" in shown
    assert "<td>1</td>" in shown and '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in shown
    assert "<a" not in shown and "<p>link it.</p>" in shown
    assert "Two &lt;b&gt;." in notes and "And on." in notes and "c</li>" not in notes


def test_outputs_are_shown_and_a_second_picture_begins_a_slide(tmp_path):
    folder = tmp_path / "notebooks"
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "saved.png").write_bytes(PIXEL)
    picture = {"image/png": base64.b64encode(PIXEL).decode(), "text/plain": "a <picture> in words"}
    rows = "".join(f"<tr><td>{k}</td></tr>" for k in range(40))
    cells = [
        code("a", picture, {"text/markdown": "**So.** It holds. And more."}),
        code(
            "b",
            picture,
            {"text/html": "<style scoped></style><table border='1' class=\"x\"><tr><td>1</td></tr></table>"},
        ),
        code("c", {"text/html": f"<table>{rows}</table>"}),
        code('drawing.save(figure, "saved", study.figures); drawing.save(other, "lost", study.figures)'),
    ]
    found = told(markdown("# T"), markdown("## A"), *cells, folder=folder)[1:]
    assert [heading for heading, *_ in found] == ["A"] * 4
    assert 'alt="a &lt;picture&gt; in words"' in found[0][1] and "<p><strong>So.</strong> It holds.</p>" in found[0][1]
    assert "<style" not in found[2][1] and "<td>1</td>" in found[2][1] and 'class="x"' not in found[2][1]
    assert "39" not in "".join(shown for _, shown, _ in found) and 'alt="figure saved"' in found[3][1]


def test_a_picture_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"the slides need the picture .*lost\.svg"):
        told(markdown("# T\n\n![x](lost.svg)"), folder=tmp_path)


def test_what_is_lacking_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "NEEDS", ("markdown_it", "no_such_package"))
    with pytest.raises(BadInput, match=r"no_such_package is not installed: pip install -e '\.\[site\]'"):
        slides({"cells": []})
    monkeypatch.undo()
    (tmp_path / "a.ipynb").write_text("no")
    with pytest.raises(BadInput, match="cannot be read"):
        slides_page(tmp_path / "a.ipynb")


def test_the_lesson_s_slides_hold_no_solution_and_ask_for_nothing(path):
    text = path.read_text(encoding="utf-8")
    headings = re.findall(r"<h\d>(.*?)</h\d>", text)
    cells = [cell for cell in json.loads(LESSON.read_text())["cells"] if cell["cell_type"] == "markdown"]
    written = [head for cell in cells for head, *_ in parts("".join(cell["source"])) if head]
    written = [head for head in written if head not in module.LEFT_OUT]
    assert list(dict.fromkeys(headings)) == [re.sub(r" \(\d+ min\)", "", head) for head in written]
    assert "Solution" not in text and "<details" not in text and "data:image/svg+xml" in text
    assert not re.search(r"(?:src|href)=\"(?!data:)|@import|https?://(?!www\.w3\.org)", text)
    assert len(text) < 4_000_000


def test_the_command_writes_them(tmp_path, capsys):
    assert main(["lesson", str(tmp_path / "new"), "--slides"]) == 0
    assert capsys.readouterr().out.split()[-1].endswith("slides.html") and (tmp_path / "new" / "slides.html").is_file()


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (800, "dark"), (390, "dark")])
def test_keys_and_buttons_go_through_them_and_axe_agrees(browser, path, width, theme):
    page, wrong, asked = opened(browser, path, READY, width, theme, reduced_motion="reduce")
    place = page.locator("#place")
    count = page.locator("section.page").count()
    page.keyboard.press("ArrowRight")
    assert place.inner_text() == f"2 of {count}" and page.evaluate("location.hash") == "#s2"
    page.keyboard.press("End")
    assert place.inner_text() == f"{count} of {count}" and page.locator("#on").is_disabled()
    page.get_by_role("button", name="Back").click()
    assert place.inner_text() == f"{count - 1} of {count}"
    handle = page.locator("[data-part=retain-control]")
    handle.focus()
    page.keyboard.press("Shift+ArrowUp")
    page.wait_for_selector("[data-part=retain-control][aria-label*='at 0 and 0.25']")
    before = place.inner_text()
    page.keyboard.press("ArrowRight")
    assert place.inner_text() == before, "in the landscape arrow keys move what is held"
    page.locator("#notes").click()
    assert page.locator(".notes").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width < 600:  # where nothing stands beside it, a picture is as high as it must be
        share = "one => (one.offsetHeight * one.naturalWidth) / (one.offsetWidth * one.naturalHeight)"
        assert page.evaluate(f"[...document.querySelectorAll('.shown img')].map({share})") == pytest.approx(
            [1.0] * page.locator(".shown img").count(), abs=0.1
        )
    check_accessible(page)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SHOTS / f"slides_{width}_{theme}.png"), full_page=True)
    assert wrong == [] and [url.partition("#")[0] for url in asked] == [path.as_uri()]
    page.close()
