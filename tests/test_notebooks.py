"""The notebooks: short, explained, executed, clean; and all run at `smoke`, then again from the store."""

import ast
import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from mcutils.experiments import EXPERIMENTS
from mcutils.reproduce import NOTEBOOKS, ROOT, clean_notebook, find, machine_traces, read, read_parameters

PATHS = {path.stem: path for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
EXPECTED = set(EXPERIMENTS)
PNG = b"\x89PNG\r\n\x1a\n"
MAX_CELLS, MAX_LINES, MAX_DEF = 24, 10, 5
LESSON, MAX_LESSON = "00_quickstart", 33  # a lesson has exercises and a glossary too


def text(cell):
    return "".join(cell["source"])


def lines(cell):
    return [line for line in text(cell).splitlines() if line.strip()]


def tags(cell):
    return cell["metadata"].get("tags", [])


@pytest.fixture(params=sorted(PATHS))
def name(request):
    return request.param


@pytest.fixture
def cells(name):
    return read(PATHS[name])["cells"]


@pytest.fixture
def code(cells):
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_all_notebooks_are_there():
    assert set(PATHS) == EXPECTED and find([]) == list(PATHS.values())


def test_it_is_short(name, cells, code):
    assert len(cells) <= (MAX_LESSON if name == LESSON else MAX_CELLS)
    assert not [text(cell) for cell in code if len(lines(cell)) > MAX_LINES]
    assert all(lines(cell) for cell in cells), "no empty cells"


def test_its_code_is_plain(code):
    for cell in code:
        for node in ast.walk(ast.parse(text(cell))):
            assert not isinstance(node, (ast.ClassDef, ast.Try)), f"belongs in mcutils:\n{text(cell)}"
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < MAX_DEF, f"belongs in mcutils:\n{text(cell)}"


def test_its_parameters_are_annotated_literals(name, code):
    (cell,) = (cell for cell in code if "parameters" in tags(cell))
    assert cell is code[0]
    statements = ast.parse(text(cell)).body
    assert all(isinstance(line, ast.AnnAssign) and line.simple for line in statements)
    values = read_parameters(PATHS[name])
    assert list(values)[0] == "preset" and values["preset"] == "laptop" and values["store"] == ""
    for line in statements:
        assert type(values[line.target.id]).__name__ == ast.unparse(line.annotation)


def test_it_asks_before_it_computes(cells):
    """A title with its figure, then the question and what is expected, before any code."""
    first = next(i for i, cell in enumerate(cells) if cell["cell_type"] == "code")
    before = [text(cell) for cell in cells[:first]]
    assert re.match(r"# \S", before[0]) and "](../figures/" in before[0]
    assert "\n## Question" in "\n" + "\n".join(before[1:]) and "xpect" in before[-1]


def test_the_figures_in_its_text_exist(name, cells):
    shown = re.findall(r"\]\((\.\./[^)]+)\)", "\n".join(text(c) for c in cells if c["cell_type"] == "markdown"))
    assert shown and all((NOTEBOOKS / path).resolve().is_file() for path in shown)


def test_it_computes_a_verdict_that_is_compared(cells):
    """The code after the heading on the verdict is marked for nbval, as is a table before it."""
    start = next(i for i, c in enumerate(cells) if re.search(r"^##.*Verdict", text(c), re.MULTILINE))
    compared = [i for i, c in enumerate(cells) if "nbval-check-output" in tags(c)]
    assert cells[start + 1]["cell_type"] == "code" and start + 1 in compared and min(compared) < start


def test_it_was_executed_in_order_without_errors(code):
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    for cell in code:
        if "nbval-check-output" in tags(cell):
            assert cell["outputs"], f"nothing to compare:\n{text(cell)}"


def test_it_shows_a_figure(code):
    pictures = [o["data"]["image/png"] for c in code for o in c["outputs"] if "image/png" in o.get("data", {})]
    assert pictures
    assert all(base64.b64decode("".join(picture)).startswith(PNG) for picture in pictures)


def test_it_is_as_reproduce_would_write_it(name):
    nb = read(PATHS[name])
    nbformat.validate(nbformat.from_dict(nb))
    text_of = PATHS[name].read_text(encoding="utf-8")
    assert nbformat.writes(nbformat.from_dict(clean_notebook(nb))) + "\n" == text_of
    assert machine_traces(nb) == [] and "papermill" not in json.dumps(nb["metadata"])


def test_it_has_figures_in_the_repository(name):
    figures = list((ROOT / "figures").glob(f"{name}*.png"))
    assert figures and all(path.read_bytes().startswith(PNG) for path in figures)


def test_the_repository_keeps_no_figure_without_a_notebook():
    assert [p.name for p in (ROOT / "figures").glob("*.png") if not p.name.startswith(tuple(PATHS))] == []


# The lesson


@pytest.fixture(scope="module")
def lesson():
    return {cell["id"]: cell for cell in read(PATHS[LESSON])["cells"]}


def shown(cell):
    """The Markdown that a cell displays."""
    return "\n".join(text({"source": o["data"].get("text/markdown", "")}) for o in cell["outputs"] if "data" in o)


def test_its_minutes_add_up(lesson):
    planned = [int(n) for n in re.findall(r"^\| (\d+) \|", text(lesson["cell-00"]), re.MULTILINE)]
    assert sum(planned) == 45
    headings = [line for cell in lesson.values() for line in text(cell).splitlines() if re.match(r"## .*min\)", line)]
    assert sum(int(re.search(r"(\d+) min", line).group(1)) for line in headings) == 45


def test_every_exercise_has_its_solution_folded_and_computed(lesson):
    asked, solved = [], []
    for cell in lesson.values():
        if "Exercises" in text(cell) and cell["cell_type"] == "markdown":
            asked += re.findall(r"^(\d+)\. ", text(cell), re.MULTILINE)
        if "hide-input" in tags(cell):
            assert cell["metadata"]["jupyter"] == {"source_hidden": True} and "nbval-check-output" in tags(cell)
            first, last = shown(cell).strip().splitlines()[0], shown(cell).strip().splitlines()[-1]
            assert re.fullmatch(r"<details><summary>Solutions? \d.*</summary>", first) and last == "</details>"
            solved += re.findall(r"^(\d+)\. ", shown(cell), re.MULTILINE) or re.findall(r"\d+", first)
    assert asked == solved == [str(k) for k in range(1, 9)]


def test_no_solution_types_its_numbers(lesson):
    """Of decimals a solution's text holds tolerances only; a cell computes the others, in braces."""
    for cell in lesson.values():
        if "hide-input" in tags(cell):
            typed = re.sub(r"\{[^{}]*\}", "", text(cell)[text(cell).index("<details>") :])
            assert set(re.findall(r"\d+\.\d+", typed)) <= {"0.1", "0.2"}, typed


def test_every_word_of_the_glossary_is_used_in_the_documentation_or_the_package(lesson):
    words = re.findall(r"\*\*([^*]+)\*\*", text(lesson["glossary"]))
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "mcutils").glob("*.py")]
    used = re.sub(r"[\s_]+", " ", "\n".join(path.read_text(encoding="utf-8") for path in files).lower())
    assert len(words) >= 25
    assert [word for word in words if word.lower() not in used] == []


def test_the_page_for_teachers_states_what_the_lesson_found(lesson):
    page = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    table = page[page.index("## What to expect at each exercise") : page.index("**Other misconceptions.**")]
    assert re.findall(r"^\| (\d) \|", table, re.MULTILINE) == [str(k) for k in range(1, 9)]
    found = "\n".join(shown(cell) for cell in lesson.values() if cell["cell_type"] == "code")
    stated = set(re.findall(r"\d+\.\d+", table)) - {"0.1"}  # the tolerance
    assert len(stated) >= 10 and [number for number in stated if number not in found] == []


def test_the_panel_leaves_a_picture_where_no_kernel_runs(lesson):
    (output,) = lesson["toy-play"]["outputs"]
    assert set(output["data"]) == {"image/png", "text/plain"}
    assert "".join(output["data"]["text/plain"]).startswith("MCU(0.1) ")


def smoke(out, *options):
    """One run of all notebooks at `smoke`; returns what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for variable in ("MCUTILS_COMPUTE", "MCUTILS_FRESH", "MCUTILS_STORE", "MCUTILS_FIGURES"):
        environment.pop(variable, None)
    places = ["--store", str(out / "store"), "--out", str(out / "build")]
    command = [sys.executable, "-m", "mcutils", "reproduce", "--preset", "smoke", *places, *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done


def rows(printed):
    """notebook -> (status, reused, computed, figures) of the closing table."""
    found = {}
    for line in printed.splitlines():
        if line.split()[:1] and line.split()[0] in PATHS:
            name, _, status, reused, computed, *figures = line.split()
            found[name] = status, reused, computed, [figure.rstrip(",") for figure in figures]
    return found


def committed():
    """The committed notebooks and figures: when each was changed, and what it holds."""
    files = [*PATHS.values(), *sorted((ROOT / "figures").iterdir())]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_all_run_at_smoke_and_the_second_run_computes_nothing(tmp_path):
    before = committed()
    first = smoke(tmp_path, "--fresh")
    table = rows(first.stdout)
    assert list(table) == list(PATHS)
    for name, (status, _, _, figures) in table.items():
        assert status == "ok" and figures
        for figure in map(Path, figures):
            assert figure.name.startswith(name) and figure.parent == tmp_path / "build" / "figures"
            assert figure.read_bytes().startswith(PNG)
    assert sum(int(computed) for _, _, computed, _ in table.values()) > 0
    assert all(f"] {name}" in first.stderr for name in PATHS), "a labelled progress bar each"

    second = rows(smoke(tmp_path, "--fresh").stdout)
    assert {computed for _, _, computed, _ in second.values()} == {"0"}
    assert {name: row[3] for name, row in second.items()} == {name: row[3] for name, row in table.items()}
    for name in PATHS:
        run = read(tmp_path / "build" / "notebooks" / f"{name}.ipynb")
        assert all(o["output_type"] != "error" for c in run["cells"] for o in c.get("outputs", ()))
    assert committed() == before
