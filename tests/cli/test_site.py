"""The site: built whole and without a network, its links checked, nothing of others' overwritten."""

import json
import re
import warnings

import pytest
from browsing import CHROMIUM, WAIT, listened, started

from mcutils.cli import output, site
from mcutils.errors import BadInput
from mcutils.files import write_file
from mcutils.paper.claims import CLAIMS

# Sphinx and its extensions warn about each other.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "site"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return out, site.build(out, live=False)


def test_the_site_builds_without_a_warning_and_its_links_lead_somewhere(built):
    out, warnings = built
    assert warnings == []
    names = {path.relative_to(out).as_posix() for path in out.rglob("*.html")}
    assert {"index.html", "docs/coverage.html", "docs/related.html", "figures.html", "api/core.html"} <= names
    assert {f"claims/{claim}.html" for claim in CLAIMS} <= names
    assert len([name for name in names if name.startswith("notebooks/")]) == len(
        list(site.ROOT.glob("notebooks/*.ipynb"))
    )


def test_links_to_cells_arrive(built):
    out, _ = built
    pages = [*out.glob("claims/C*.html"), out / "figures.html", out / "index.html"]
    links = {
        (page, link)
        for page in pages
        for link in re.findall(r'href="([^"#]*(?:notebooks/\w+|figures)\.html#[^"]+)"', page.read_text())
    }
    assert len(links) > 20
    for page, link in links:
        name, _, place = link.partition("#")
        assert f'id="{place}"' in (page.parent / name).resolve().read_text(), link


def test_the_first_page_leads_to_figures_among_the_others_and_to_the_stories(built):
    out, _ = built
    text = (out / "index.html").read_text()
    links = re.findall(r'href="(figures\.html#[^"]+)"', text)
    assert len(set(links)) >= 4, links
    assert not re.search(r'<a[^>]*href="[^"]*\.png"', text) and 'href="stories/index.html"' in text
    assert "Author name not set" not in text and "the mcutils authors" in text


def test_pages_ask_nothing_of_the_network(built):
    out, _ = built
    asked = re.compile(r'(?:\bsrc|<link[^>]*\bhref)="(?:https?:)?//[^"]+"')
    assert [(page.name, found) for page in out.rglob("*.html") for found in asked.findall(page.read_text())] == []


def test_docstrings_keep_their_formulas(built):
    text = (built[0] / "api" / "core.html").read_text()
    assert "<math" in text and ":math:" not in text and "min(1, beta" not in text


def test_a_broken_link_is_told(tmp_path):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.md").write_text("# A\n\n[b](b.md) and [a](#nowhere)\n")
    (tmp_path / "pages" / "lost.txt").write_text("x")
    found = site.render(tmp_path / "pages", tmp_path / "out")
    assert len(found) == 2 and "b.md" in found[0] and "nowhere" in found[1]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
def test_the_search_finds_pages_of_a_site_that_was_opened_from_disk(tmp_path):
    (tmp_path / "pages" / "_static").mkdir(parents=True)
    (tmp_path / "pages" / "_static" / "site.css").write_text(site.CSS)
    (tmp_path / "pages" / "index.md").write_text("# A valley\n\nThere is a barrier in it.\n")
    assert site.render(tmp_path / "pages", tmp_path / "out") == []
    with started() as browser:
        page = browser.new_page()
        wrong, _ = listened(page)
        page.goto(f"{(tmp_path / 'out' / 'search.html').as_uri()}?q=barrier")
        page.wait_for_selector("#search-results li a:has-text('A valley')", timeout=WAIT)
        page.wait_for_selector("#search-results p:has-text('Search finished')", timeout=WAIT)
        page.wait_for_timeout(300)  # what it would read is asked for after the results are listed
        assert wrong == []


@pytest.mark.parametrize("name", ["thesis.txt", "objects.inv"])
def test_other_files_are_left_alone(tmp_path, name):
    mine = tmp_path / "docs" / name
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(BadInput, match="holds other files"):
        site.build(tmp_path / "docs")
    assert mine.read_text() == "mine"


def test_a_site_is_built_anew_over_itself_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "stage", lambda source: source.mkdir())
    pages = {"index.html": "a", "old.html": "b"}
    monkeypatch.setattr(site, "render", lambda source, out: [write_file(out / n, t) for n, t in pages.items()] and [])
    (tmp_path / "docs-source").mkdir()
    (tmp_path / "docs-source" / "index.md").write_text("mine")
    out = tmp_path / "docs"
    assert site.build(out, live=False) == [] and (out / "old.html").read_text() == "b"
    (out / "CNAME").write_text("mine")
    del pages["old.html"]
    assert site.build(out, live=False) == []
    assert {path.name for path in out.iterdir()} == {"index.html", "CNAME", output.NOTE}
    assert [path.read_text() for path in (tmp_path / "docs-source").iterdir()] == ["mine"]
    (out / "index.html").write_text("changed")
    with pytest.raises(BadInput, match=r"index\.html is not as mcutils wrote it"):
        site.build(out, live=False)
    assert (out / "index.html").read_text() == "changed"


def test_it_says_what_is_lacking(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "NEEDS", ("sphinx", "no_such_package"))
    with pytest.raises(BadInput, match=r"no_such_package is not installed: pip install -e '\.\[site\]'"):
        site.build(tmp_path / "site")
    monkeypatch.setattr(site, "CLONE", False)
    with pytest.raises(BadInput, match="clone it"):
        site.build(tmp_path / "site")


@pytest.mark.parametrize(
    "remote,found",
    [
        ("https://github.com/some/where.git", "some/where"),
        ("git@github.com:some/where", "some/where"),
        ("/srv/git/where.git", None),
        ("https://github.com.evil.org/some/where", None),
        ("", None),
    ],
)
def test_links_to_binder_follow_the_clone_s_own_remote(monkeypatch, remote, found):
    said = {"config": remote, "symbolic-ref": "origin/trunk"}
    monkeypatch.setattr(site, "_git", lambda *asked: said[asked[0]])
    options = site.remote().get("html_theme_options", {})
    assert options.get("repository_url") == (found and f"https://github.com/{found}")


def test_a_notebook_s_page_opens_it_on_binder_and_colab(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "_git", lambda *a: {"config": "git@github.com:some/where.git"}.get(a[0], "origin/trunk"))
    (tmp_path / "pages" / "notebooks").mkdir(parents=True)
    (tmp_path / "pages" / "index.md").write_text("# A\n\n```{toctree}\nnotebooks/a\n```\n")
    book = {"cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# B"}], "metadata": {}}
    (tmp_path / "pages" / "notebooks" / "a.ipynb").write_text(json.dumps({**book, "nbformat": 4, "nbformat_minor": 5}))
    assert site.render(tmp_path / "pages", tmp_path / "out") == []
    page = (tmp_path / "out" / "notebooks" / "a.html").read_text()
    links = set(re.findall(r'href="(https://(?:mybinder|colab)[^"]+)"', page))
    assert links == {
        "https://mybinder.org/v2/gh/some/where/trunk?urlpath=lab/tree/notebooks/a.ipynb",
        "https://colab.research.google.com/github/some/where/blob/trunk/notebooks/a.ipynb",
    }


def test_git_that_is_not_there_says_nothing(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert site._git("config", "--get", "remote.origin.url") == "" and site.remote() == {}


def test_docstrings_are_taken_as_prose():
    lines = ["a * b, |x|, `name` and :math:`x_1`", ":param x_: y", ">>> a * b", "", "tail_ here", "  .. math:: a * b"]
    site.plain(None, "", "", None, None, lines)
    assert lines[0] == r"a \* b, \|x\|, ``name`` and :math:`x_1`"
    assert lines[1:] == [":param x_: y", ">>> a * b", "", r"tail\_ here", "  .. math:: a * b"]
