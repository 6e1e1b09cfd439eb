"""The notebooks: short, explained, executed, clean; and all run at `smoke`, then again from the store."""

import ast
import base64
import builtins
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import nbformat
import pytest
from papermill.translators import PythonTranslator
from shorter import settings_of

from mcutils.cli.reproduce import NOTEBOOKS, clean_notebook, find, machine_traces, read, read_parameters
from mcutils.files import ROOT
from mcutils.paper.registry import APART, EXPERIMENTS

PATHS = {path.stem: path for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
PNG = b"\x89PNG\r\n\x1a\n"
MAX_CELLS, MAX_LINES, MAX_CODE, MAX_DEF = 31, 12, 160, 12
PARAMETERS = set("preset dataset model forget scenario seeds eps store recompute".split())  # of every notebook
LESSON, MAX_LESSON = "00_quickstart", 35  # a lesson has exercises and a glossary too


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
    """The code cells, but for the one that installs the package where it is missing."""
    return [cell for cell in cells if cell["cell_type"] == "code" and "install" not in tags(cell)]


def test_all_notebooks_are_there():
    assert set(PATHS) - set(APART) == set(EXPERIMENTS) and find([]) == list(PATHS.values())
    assert set(APART) <= set(PATHS)


def test_it_is_short(name, cells, code):
    assert len(cells) <= (MAX_LESSON if name == LESSON else MAX_CELLS)
    assert sum(len(lines(cell)) for cell in code) <= MAX_CODE
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


def test_its_first_cell_is_one_line_for_those_who_lack_the_package(cells):
    """It does nothing as it stands: a comment, the same in all, which names no address of anybody's."""
    first = next(cell for cell in cells if cell["cell_type"] == "code")
    assert tags(first) == ["install"] and ast.parse(text(first)).body == []
    assert text(first) == "# %pip install -q git+ADDRESS-OF-THIS-REPOSITORY  # on Colab, without the first #"


def test_papermill_reads_every_parameter(code, caplog):
    """Which it cannot where a comment has quotes."""
    found = PythonTranslator.inspect(nbformat.v4.new_code_cell(text(code[0])))
    assert [one.name for one in found] == [line.split(":")[0] for line in lines(code[0])] and not caplog.records


SHOWN = {"train", "unlearn", "fit_curve", "trace", "unlearned", "path", "grid", "ends"}


def test_it_shows_what_is_computed(name, code):
    """A call that trains, unlearns, fits or walks, or makes the grid of what does, stands in sight in 00 to 05."""
    called = {n.func.attr for c in code for n in ast.walk(ast.parse(text(c)))
              if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}  # fmt: skip
    assert name > "06" or called & SHOWN


def test_it_takes_every_parameter_and_uses_each(name, code):
    """Every one is read by a cell, and that of its study is handed on where the study is opened."""
    values = read_parameters(PATHS[name])
    assert set(values) >= PARAMETERS
    rest = [ast.parse(text(cell)) for cell in code[1:]]
    read_later = {
        n.id for tree in rest for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    assert set(values) <= read_later
    calls = [n for t in rest for n in ast.walk(t) if isinstance(n, ast.Call) and ast.unparse(n.func) == "mc.study"]
    (opened,) = (one for one in calls if one.keywords)  # 15 asks what the preset alone would be
    given = {word.arg: ast.unparse(word.value) for word in opened.keywords}
    names = "store dataset model scenario seeds".split()
    assert {n: given[n] for n in names} == {n: n for n in names}
    assert given["forget"] == "forget or None" and given["fresh"] == "recompute or None"


def test_no_tolerance_is_typed_where_the_parameter_stands(code):
    """`eps` reaches every table, figure and sentence that takes one: 0.1 is typed in no argument of them."""
    for cell in code[1:]:
        for node in ast.walk(ast.parse(text(cell))):
            for word in node.keywords if isinstance(node, ast.Call) else ():
                typed = [n.value for n in ast.walk(word.value) if isinstance(n, ast.Constant)]
                numbers = [one for one in typed if isinstance(one, (int, float)) and not isinstance(one, bool)]
                assert word.arg not in ("threshold", "eps", "forbid") or not numbers, text(cell)


def test_it_ends_with_the_explorer_on_a_path_of_its_own(cells):
    last = ast.parse(text(cells[-1])).body[-1].value
    assert ast.unparse(last.func) == "mc.explore" and ast.unparse(last.args[0]) == "study"
    assert {word.arg: ast.unparse(word.value) for word in last.keywords}["eps"] == "eps"
    (shown,) = (o["data"] for o in cells[-1]["outputs"] if "image/png" in o.get("data", {}))
    assert set(shown) == {"image/png", "text/plain"}  # what is seen where no kernel runs
    assert re.search(r"at t = [01]\.\d+: retain \w+ .* MCU\(0\.1\)", text(dict(source=shown["text/plain"])))


# What a reader is told to try

FENCED = re.compile(r"^( *)```python\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def examples(cells):
    """The blocks of code in a notebook's text, in order."""
    found = [FENCED.findall(text(cell)) for cell in cells if cell["cell_type"] == "markdown"]
    return [textwrap.dedent(code) for blocks in found for _, code in blocks]


def inline(cells):
    """What stands in backticks and is an expression with a call."""
    for cell in cells:
        if cell["cell_type"] == "markdown":
            for words in re.findall(r"`([^`\n]+)`", FENCED.sub("", text(cell))):
                try:
                    tree = ast.parse(words, mode="eval")
                except SyntaxError:
                    continue
                if any(isinstance(node, ast.Call) for node in ast.walk(tree)):
                    yield words


def bound(trees):
    """Names that the code of a notebook assigns or imports, builtins among them; and its imports, imported."""
    names, modules = set(dir(builtins)), {"mcutils": importlib.import_module("mcutils")}
    for node in (n for tree in trees for n in ast.walk(tree)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if isinstance(node, ast.arg):
            names.add(node.arg)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            exec(compile(ast.Module([node], []), "<import>", "exec"), modules)
    return names | set(modules), modules


def unresolved(code, names, modules):
    """Names and attributes of modules that a piece of code reads and nobody defines."""
    tree, lost = ast.parse(code), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in names:
            lost.append(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = modules.get(node.value.id)
            if isinstance(owner, types.ModuleType) and not hasattr(owner, node.attr):
                lost.append(ast.unparse(node))
    return lost


def test_what_is_to_be_tried_uses_only_what_the_notebook_defines(cells, code):
    blocks, trees = examples(cells), [ast.parse(text(cell)) for cell in code]
    assert blocks, "something to try, as code"
    names, modules = bound(trees + [ast.parse(block) for block in blocks])
    assert [lost for piece in inline(cells) if (lost := unresolved(piece, names, modules))] == []


def test_each_piece_to_be_tried_stands_on_its_own(cells):
    """It needs no more than the cells above it: no other piece to be tried, and no cell below."""
    lost = []
    for k, cell in enumerate(cells):
        above = [ast.parse(text(one)) for one in cells[:k] if one["cell_type"] == "code"]
        for block in examples([cell]):
            lost += unresolved(block, *bound([*above, ast.parse(block)]))
    assert lost == []


def test_an_undefined_name_and_a_missing_attribute_are_found():
    names, modules = bound([ast.parse("import mcutils as mc\nfrom mcutils.paper import registry\nstudy = mc.study()")])
    assert unresolved("study.path(a, b)", names, modules) == ["a", "b"]
    assert unresolved("registry.NOT_THERE, mc.study()", names, modules) == ["registry.NOT_THERE"]


def test_it_asks_before_it_computes(cells):
    """A title with its figure, then the question and what is expected, before any code."""
    first = next(i for i, cell in enumerate(cells) if cell["cell_type"] == "code")
    before = [text(cell) for cell in cells[:first]]
    assert re.match(r"# \S", before[0]) and "](../figures/" in before[0]
    assert "\n## Question" in "\n" + "\n".join(before[1:]) and "xpect" in before[-1]


def test_its_figures_are_in_the_repository(name, cells):
    shown = re.findall(r"\]\((\.\./[^)]+)\)", "\n".join(text(c) for c in cells if c["cell_type"] == "markdown"))
    assert shown and all((NOTEBOOKS / path).resolve().is_file() for path in shown)
    figures = list((ROOT / "figures").glob(f"{name}*.png"))
    assert figures and all(path.read_bytes().startswith(PNG) for path in figures)


def test_it_computes_a_verdict_that_is_compared(cells):
    """The code after the heading on the verdict is marked for nbval, as is a table before it."""
    start = next(i for i, c in enumerate(cells) if re.search(r"^##.*Verdict", text(c), re.MULTILINE))
    compared = [i for i, c in enumerate(cells) if "nbval-check-output" in tags(c)]
    assert cells[start + 1]["cell_type"] == "code" and start + 1 in compared and min(compared) < start


def test_it_was_executed_in_order_without_errors(cells):
    code = [cell for cell in cells if cell["cell_type"] == "code"]
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


def test_the_repository_keeps_no_figure_without_a_notebook():
    assert [p.name for p in (ROOT / "figures").glob("*.png") if not p.name.startswith(tuple(PATHS))] == []


# The lesson


@pytest.fixture(scope="module")
def lesson():
    return {cell["id"]: cell for cell in read(PATHS[LESSON])["cells"]}


def shown(cell, kind="text/markdown"):
    """The Markdown, or what else, that a cell displays."""
    return "\n".join("".join(o["data"].get(kind, "")) for o in cell.get("outputs", ()) if "data" in o)


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


# What is tested below is true of any methods, images and steps; by these `smoke` takes a fifth of its time.
FEWER = [
    (r'^methods = \["random_labels", .*', 'methods = ["npo", "scrub"]'),
    (r"^train_size = 0\ntest_size = 0\n(?=seeds = \[42, 87\]\n)", "train_size = 400\ntest_size = 100\n"),
]
SHORTER = [("^steps = 400$", "steps = 80"), ("^steps = 40$", "steps = 10"), ("^steps = 44$", "steps = 14")]


def smoke(out, *options, notebooks=NOTEBOOKS):
    """One run of notebooks at a shortened `smoke`; returns what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MCUTILS_PLUGINS": str(out / "shorter_settings.py")}
    for variable in ("COMPUTE", "FRESH", "STORE", "FIGURES", "ENGINE", "WORKERS"):
        environment.pop(f"MCUTILS_{variable}", None)
    places = ["--store", str(out / "store"), "--out", str(out / "build")]
    run = "import sys; from functools import partial; from pathlib import Path; "
    run += "from mcutils.cli import main, reproduce as m; "
    run += "m.reproduce = partial(m.reproduce, notebooks=Path(sys.argv.pop(1))); sys.exit(main.main(sys.argv[1:]))"
    command = [sys.executable, "-c", run, str(notebooks), "reproduce", "--preset", "smoke", *places, *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done


def with_examples(folder, names):
    """Copies of notebooks in which a reader runs all that the text tells to try, where the text stands."""
    folder.mkdir()
    for path in map(PATHS.get, names):
        nb = read(path)
        tried = [[cell, *map(tried_cell, examples([cell]))] for cell in nb["cells"]]
        nb["cells"] = [cell for group in tried for cell in group]
        for k, cell in enumerate(nb["cells"]):
            cell["id"] = f"cell-{k}"
        (folder / path.name).write_text(json.dumps(nb), encoding="utf-8")
    return folder


def tried_cell(block):
    """A cell with a piece of code from the text, not run yet."""
    return {"cell_type": "code", "metadata": {}, "source": block, "execution_count": None, "outputs": []}


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
    settings_of(tmp_path, {"presets": FEWER, "digits.convnet": SHORTER})
    # One process computes as well as two, which would be started again for each notebook; the last run has two.
    names = [name for name in PATHS if name not in APART]
    tried = with_examples(tmp_path / "tried", names)
    for name in names:
        sources = [text(cell) for cell in read(tried / f"{name}.ipynb")["cells"] if cell["cell_type"] == "code"]
        assert set(examples(read(PATHS[name])["cells"])) <= set(sources), "every piece to be tried is run"
    first = smoke(tmp_path, "--fresh", "--engine", "serial", notebooks=tried)
    table = rows(first.stdout)
    assert list(table) == names
    for name, (status, _, _, figures) in table.items():
        assert status == "ok" and figures
        for figure in map(Path, figures):
            assert figure.name.startswith(name) and figure.parent == tmp_path / "build" / "figures"
            assert figure.read_bytes().startswith(PNG)
    assert sum(int(computed) for _, _, computed, _ in table.values()) > 0
    assert all(f"] {name}" in first.stderr for name in names), "a labelled progress bar each"

    # Three of them again: that none computes what is stored is seen where all run under MCUTILS_COMPUTE=never.
    some = ["00_quickstart", "05_methods", "15_claims"]
    second = rows(smoke(tmp_path, *some, "--fresh").stdout)
    assert {computed for _, _, computed, _ in second.values()} == {"0"}
    assert {name: row[3] for name, row in second.items()} == {name: table[name][3] for name in some}
    for name in some:
        run = read(tmp_path / "build" / "notebooks" / f"{name}.ipynb")
        assert all(o["output_type"] != "error" for c in run["cells"] for o in c.get("outputs", ()))
    assert committed() == before

    other = {"forget": "0.05", "seeds": "[1, 2]", "eps": "0.2", "recompute": "True"}
    smoke(tmp_path, "02", *(word for pair in other.items() for word in ("-p", *pair)))
    cells = read(tmp_path / "build" / "notebooks" / "02_seeds.ipynb")["cells"]
    verdict = next(k for k, c in enumerate(cells) if re.match("##.*Verdict", text(c))) + 1
    words = "\n".join(map(shown, cells[verdict : verdict + 2]))
    assert "MCU(0.2)" in words and "MCU(0.1)" not in words and "The tolerance that was declared is 0.1 G" in words
    # Paths between seeds 1 and 2 on two originals.
    assert re.search(r"bezier\s+\d+\s+2\b", "\n".join(shown(c, "text/plain") for c in cells))
    assert committed() == before


# Forget sets of 12 are a part of a part of the pool, and attacks on them are judged by what no attacker saw: the data
# are whole there.
APART_FEWER = [
    (r'^methods = \["random_labels", .*', 'methods = ["npo", "scrub"]'),
    (r"^test_size = 0\n(?=seeds = \[42, 87\]\n)", "test_size = 150\n"),
    ("^points = 5$", "points = 11"),
]


@pytest.mark.skipif("12_difficulty" not in PATHS, reason="it comes with its results")
def test_12_runs_at_smoke_with_all_that_it_tells_to_try(tmp_path):
    before, name = committed(), "12_difficulty"
    settings_of(tmp_path, {"presets": APART_FEWER, "digits.convnet": SHORTER})
    tried = with_examples(tmp_path / "tried", [name])
    done = smoke(tmp_path, "--fresh", "--engine", "serial", notebooks=tried)
    ((status, _, computed, figures),) = rows(done.stdout).values()
    assert status == "ok" and int(computed) > 0
    expected = (f"{name}_{one}" for one in ("outcomes", "examples", "probes", "predictors"))
    assert {Path(figure).stem for figure in figures} >= {name, *expected}
    assert committed() == before
