"""The loader in a real browser: panels share a module, each text is its own, and one that cannot be read says so."""

import base64

import pytest
from browsing import MARKS

from mcutils.explorer.page import part

pytestmark = MARKS
COUNTS = "globalThis.reads = (globalThis.reads ?? 0) + 1; "
DRAWS = """const render = ({ model, el }) => { el.textContent = model.get("book"); return () => el.replaceChildren(); };
export default { render };"""
RENDER = """async ([codes, texts]) => {
  const told = [];
  globalThis.reads = 0;
  for (const [k, code] of codes.entries()) {
    const { default: loader } = await import(code);
    const el = document.createElement("div"), held = { module: texts[k], book: `book ${k}`, there: {} };
    try {
      const free = await loader.render({ model: { get: (name) => held[name], on() {}, off() {} }, el });
      const drawn = el.textContent;
      free?.();
      told.push([drawn, el.textContent, typeof free]);
    } catch (error) {
      told.push(error.name);
    }
  }
  return [told, globalThis.reads];
}"""


@pytest.fixture
def blank(browser):
    page = browser.new_page()
    page.goto("about:blank")
    yield page
    page.close()


def panels(page, *texts):
    """What panels with these modules drew, each with a loader of its own, and how many modules were read."""
    loaders = [f"{part('loader.js')}// of panel {k}" for k in range(len(texts))]
    codes = ["data:text/javascript;base64," + base64.b64encode(one.encode()).decode() for one in loaders]
    return page.evaluate(RENDER, [codes, list(texts)])


def test_a_page_reads_a_module_once_however_many_panels_it_shows(blank):
    told, reads = panels(blank, *[COUNTS + DRAWS] * 4)
    assert told == [[f"book {k}", "", "function"] for k in range(4)] and reads == 1
    assert panels(blank, COUNTS + DRAWS)[1] == 0, "nor later"


def test_what_a_panel_carries_is_such_a_module(blank):
    """`explorer.js` without a book, as a closed panel has none: its controls are made, and gone with it."""
    ((drawn, left, free),), _ = panels(blank, part("explorer.js"))
    assert "Play" in drawn and (left, free) == ("", "function")


def test_another_version_is_another_module(blank):
    other = (COUNTS + DRAWS).replace('model.get("book")', '"other"')
    told, reads = panels(blank, COUNTS + DRAWS, other, COUNTS + DRAWS)
    assert [one[0] for one in told] == ["book 0", "other", "book 2"] and reads == 2


def test_one_that_cannot_be_read_says_so_and_is_tried_again(blank):
    told, reads = panels(blank, "export const = 1;", COUNTS + "throw new RangeError();", COUNTS + DRAWS)
    assert told[:2] == ["SyntaxError", "RangeError"] and told[2][0] == "book 2" and reads == 2
    assert panels(blank, COUNTS + "throw new RangeError();") == [["RangeError"], 1]


def test_a_panel_closed_before_it_was_drawn_draws_nothing(blank):
    assert panels(blank, "", COUNTS + DRAWS) == [[["", "", "undefined"], ["book 1", "", "function"]], 1]
