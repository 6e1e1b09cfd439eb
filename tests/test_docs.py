"""The pages a newcomer reads: short, no stronger than the results, their commands and code as the package has them."""

import ast
import inspect
import json
import re
import shlex
from collections import Counter

import pytest

import mcutils as mc
from mcutils.cli.main import parser
from mcutils.cli.reproduce import NOTEBOOKS
from mcutils.files import ROOT
from mcutils.paper.claims import read_ledgers

WORDS = {"README.md": 1200, "CONTRIBUTING.md": 600}  # of the one all told but its tables, of the other with them
ALL_WORDS = 14_000  # of the changelog and docs/, but for the dictionary of tables, which is generated
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md")), *sorted(ROOT.glob("docs/*.md"))]
# What the shipped results do not show: a dip below the chord is no knowledge regained.
BANNED = re.compile(r"(?:is|are|be|being)\s+known\s+again|knowledge\s+[^.]{0,30}\breturns\b", re.IGNORECASE)
CODE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def text(path):
    return path.read_text(encoding="utf-8")


def prose(page):
    """A page without its fenced and indented code, tables and comments."""
    lines = re.sub(r"<!--.*?-->", "", CODE.sub("", page)).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("|", "    ")))


def fenced(page, language="python"):
    """The blocks of a language, without their indent."""
    return [inspect.cleandoc(code) for _, name, code in CODE.findall(page) if name == language]


@pytest.fixture(params=PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def page(request):
    return request.param


def test_prose_is_what_is_left_without_tables_and_code():
    page = "one two\n\n    code here\n\n```python\nmore\n```\n| a | table |\n<!-- a comment -->\nthree\n"
    assert prose(page).split() == ["one", "two", "three"]


def test_the_front_pages_are_short():
    readme = re.sub(r"<!--.*?-->", "", text(ROOT / "README.md"))
    told = [line for line in readme.splitlines() if not line.startswith("|")]
    assert len(" ".join(told).split()) <= WORDS["README.md"]
    assert len(text(ROOT / "CONTRIBUTING.md").split()) <= WORDS["CONTRIBUTING.md"]


def test_the_other_pages_are_few_words():
    pages = [ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]
    assert sum(len(text(path).split()) for path in pages if path.name != "tables.md") <= ALL_WORDS


def test_its_files_are_there(page):
    """Names of files in backticks: in the repository, the package, the paper's wing, or beside the page."""
    beside = page.parent, page.parent / "replications" / "first-design"
    places = [ROOT, ROOT / "mcutils", ROOT / "mcutils" / "paper", *beside]
    named = re.findall(r"`((?!my[_-])[\w./*-]+\.(?:py|toml|md|csv|yml|json))`", text(page))
    made = {"worksheet.md"}  # by a command
    assert [name for name in named if name not in made and not any(list(at.glob(name)) for at in places)] == []


def written():
    """Everything that a reader may see: pages, notebooks with their outputs, and the package's own strings."""
    for path in [*PAGES, *sorted((ROOT / "mcutils").rglob("*.py"))]:
        yield path.name, text(path)
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell in json.loads(text(path))["cells"]:
            shown = [o.get("text", "") or o.get("data", {}).get("text/markdown", "") for o in cell.get("outputs", ())]
            yield path.name, "\n".join("".join(part) for part in (cell["source"], *shown))


def test_nothing_says_that_a_dip_is_knowledge_regained():
    assert BANNED.search("forgotten data is known\nagain") and BANNED.search("knowledge of the forget set returns")
    assert [(name, found[0]) for name, words in written() if (found := BANNED.search(words))] == []


def test_large_barriers_between_initialisations_are_said_of_straight_lines():
    """Nobody fitted a curve there."""
    found = []
    for path in PAGES:
        for paragraph in re.split(r"\n\s*\n|\n- |\n\d+\. ", prose(text(path))):
            if re.search(r"\b[4-6] G and more|\b5 to\s+6 G", paragraph):
                found.append((path.name, bool(re.search(r"straight|\bline", paragraph))))
    assert found and all(said for _, said in found), found


def test_its_links_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)", text(page))
    for target, anchor in targets:
        aim = (page.parent / target).resolve() if target else page
        assert aim.exists(), target
        if anchor and aim.suffix == ".md":
            heads = re.findall(r"^#+ (.+)$", text(aim), re.MULTILINE)
            assert anchor[1:] in {re.sub(r"[^\w\s-]", "", head).lower().replace(" ", "-") for head in heads}, anchor


def commands(page):
    """The command lines of a page: those of indented blocks, and what stands in backticks."""
    page = re.sub(r"^ *```.*?^ *```", "", page, flags=re.DOTALL | re.MULTILINE)
    lines = re.findall(r"^    (\S.*?)(?:\s{2,}#.*)?$", page, re.MULTILINE) + re.findall(r"`([^`\n]+)`", page)
    return [
        line.removeprefix(".venv/bin/") for line in lines if re.match(r"(\.venv/bin/)?(python -m mcutils|make) ", line)
    ]


def test_its_commands_are_ones_that_there_are(page):
    targets = set(re.findall(r"^([a-z][\w-]*):", text(ROOT / "Makefile"), re.MULTILINE))
    for line in commands(text(page)):
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            names = [word for word in words[1:] if "=" not in word]
            assert names and set(names) <= targets, line
        else:
            kinds = {"KIND": "methods", "KEY": "0123", "DIR": "build"}
            given = [kinds.get(word, word) for word in words[3:]]
            try:
                parser(given).parse_args(given)
            except SystemExit as ended:
                assert ended.code == 0, line


def test_the_readme_s_two_commands_are_the_first_two_that_it_gives():
    assert commands(text(ROOT / "README.md"))[:2] == ["make reproduce", "make test"]


def test_its_code_calls_what_there_is(page):
    """Names of the package and their arguments; running it would train."""
    words = [" ".join(code.split()) for code in re.findall(r"`(mc\.[^`]*\))`", CODE.sub("", text(page)))]
    for block in [*fenced(text(page)), *words]:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("mc.") and node.func.value.id == "mc":
                called = getattr(mc, node.func.attr)
                inspect.signature(called).bind(*node.args, **{word.arg: word.value for word in node.keywords})


def test_the_readme_counts_as_the_ledger_does():
    words = Counter(row["verdict"] for row in read_ledgers(ROOT / "figures"))
    counts = ", ".join(f"{words[word]} {word}" for word in ("supported", "contradicted", "undecided"))
    judged = words.total() - words["not run"]
    assert f"Of {judged} rows of the ledger judged: {counts} " in text(ROOT / "README.md")


def test_the_readme_s_code_is_the_road_from_a_task_to_its_explorer():
    (block,) = fenced(text(ROOT / "README.md"))
    called = re.findall(r"mc\.(\w+)\(", block)
    assert called == ["load_task", "train", "unlearn", "unlearn", "fit_curve", "trace", "connectivity", "explore"]
