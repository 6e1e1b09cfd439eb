"""Story pages: words are text whatever they hold, a story without a path is a page too, the list leads to all."""

import re

import pytest
import worlds

from mcutils.cli import stories as pages
from mcutils.errors import BadInput
from mcutils.explorer.page import page
from mcutils.paper.stories import STORIES, Told, tell

NASTY = 'a <script>alert(1)</script> & "b" @data@ @script@'


def untold():
    """Every story, of tables whose paths are none of the study's."""
    return tell(worlds.tables_of([worlds.path()]), [])


def test_words_above_the_drawing_are_text():
    made = page({}, {}, "given", NASTY, [NASTY, "second"])
    head = made.partition('<header class="story">')[2].partition("</header>")[0]
    assert "<script>alert" not in made.partition('<script type="application/json"')[0]
    assert head.count("&lt;script&gt;") == 2 and head.count("<p>") == 2 and "@data@" in head
    assert '<header class="story">' not in page({}, {}, "given", "title")


def test_a_story_without_a_path_is_a_page_of_words():
    made = pages.page_of(Told("return", NASTY, "Is there one?", "None was found."), None)
    assert "None was found." in made and "Is there one?" in made and "<script" not in made


def test_a_story_leads_to_the_list_and_to_its_neighbours():
    told = untold()
    assert [address for address, _ in pages.links(told, 1)] == ["index.html", "healthy.html", "return.html"]
    assert [address for address, _ in pages.links(told, 5)] == ["index.html", "apart.html"]
    made = pages.page_of(told[0], None, [("a.html", NASTY)])
    assert '<a href="a.html">a &lt;script&gt;' in made
    made = page({}, {}, "given", "title", ["words"], [("a.html", NASTY)]).partition('<script type="application/json"')[
        0
    ]
    assert '<a href="a.html">a &lt;script&gt;' in made and "<script>alert" not in made


def test_the_list_leads_to_every_story():
    told = untold()
    links = re.findall(r'href="([\w.]+)"', pages.index(told))
    assert links == [f"{name}.html" for name in STORIES]


def test_all_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "told", lambda study: untold())
    paths = pages.write_stories(tmp_path / "new", None)
    assert [path.name for path in paths] == ["index.html", *(f"{name}.html" for name in STORIES)]
    assert all(path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>") for path in paths)
    assert pages.write_stories(tmp_path / "new", None) == paths


def test_a_page_of_somebody_s_own_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(BadInput, match="not as mcutils wrote it"):
        pages.write_stories(tmp_path, None)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", STORIES)
def test_titles_and_questions_are_short(name):
    assert len(STORIES[name].title) < 40 and STORIES[name].question.endswith("?")
