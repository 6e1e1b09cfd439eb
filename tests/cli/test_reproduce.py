"""Running notebooks: names, parameters, folders, the report, and the cleaned form that is committed."""

import copy
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mcutils.cli import reproduce as module
from mcutils.cli.output import table
from mcutils.cli.reproduce import (
    NOTEBOOKS,
    check_folder,
    check_parameters,
    clean_notebook,
    find,
    latest,
    machine_traces,
    read,
    read_parameters,
    report,
    reproduce,
)
from mcutils.errors import BadInput
from mcutils.files import ROOT
from mcutils.measures.originals import Interval
from mcutils.paper.claims import LEDGERS, markdown_table, rows_of, write_ledger
from mcutils.paper.rows import ROWS, Judged, records
from mcutils.paper.statistics import Result
from mcutils.paper.stories import FILE

# Kernels and papermill warn about matters of their own.
pytestmark = pytest.mark.filterwarnings("default")

PARAMETERS = """\
preset: str = "laptop"
store: str = ""
figures: str = ""
n: int = 2
rate: float = 0.5
seeds: list = [1]"""
GOOD = """
import json, os, pathlib, sys
figures = pathlib.Path(os.environ["MCUTILS_FIGURES"])
(figures / "00_good_curve.png").write_bytes(preset.encode())
with open(os.environ["MCUTILS_REPORT"], "a") as file:
    print(json.dumps({"done": 1, "total": 3}), file=file)
    print(json.dumps({"reused": 2, "computed": 1, "failed": 0}), file=file)
    print(json.dumps({"reused": 3, "computed": 4, "failed": 0}), file=file)
print(preset, n, repr(store), os.environ["OMP_NUM_THREADS"], os.environ.get("MCUTILS_WORKERS"))
print("progress", file=sys.stderr)
n + 1
"""


def notebook(*codes, parameters=PARAMETERS):
    first = [new_code_cell(parameters, metadata={"tags": ["parameters"]})] if parameters else []
    return new_notebook(cells=[new_markdown_cell("# A title\n\nText"), *first, *map(new_code_cell, codes)])


def fake(folder, **codes):
    folder.mkdir(parents=True, exist_ok=True)
    for name, code in codes.items():
        nbformat.write(notebook(code.strip()), folder / f"{name.removeprefix('nb')}.ipynb")
    return folder


@pytest.fixture
def folder(tmp_path):
    return fake(tmp_path / "notebooks", nb00_good=GOOD, nb01_other="x = 1", nb02_third="y = 1")


@pytest.fixture
def run(tmp_path, folder, monkeypatch):
    """`reproduce` on the fake notebooks, below tmp_path, without reading data."""
    monkeypatch.setattr(module, "check_data", lambda preset: None)

    def call(*names, **options):
        options = {"preset_name": "smoke", "store": tmp_path / "store", "out": tmp_path / "build", **options}
        return reproduce(names, notebooks=folder, **options)

    return call


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A good notebook as papermill leaves it after a plain run of the default preset."""
    place = tmp_path_factory.mktemp("executed")
    source = fake(place / "in", nb00_good=GOOD) / "00_good.ipynb"
    (place / "figures").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCUTILS_FIGURES", str(place / "figures"))
        patch.setenv("OMP_NUM_THREADS", "1")
        job = module.Job(source, place / "out.ipynb", {"preset": "laptop"}, place / "figures", "test")
        (outcome,) = module.execute_all([job])
    assert not outcome.error
    return read(place / "out.ipynb")


def test_notebooks_are_found_by_number_name_or_file(folder):
    paths = sorted(folder.iterdir())
    assert find([], folder) == paths
    assert (
        find(["01"], folder) == find(["01_other"], folder) == find(["notebooks/01_other.ipynb"], folder) == [paths[1]]
    )
    assert find(["02", "00", "02_third"], folder) == [paths[2], paths[0]]


@pytest.mark.parametrize("name", ["0", "1", "09", "good", "00_goo", ""])
def test_a_name_that_matches_nothing_lists_what_there_is(folder, name):
    with pytest.raises(BadInput, match=r"there are 00_good, 01_other, 02_third\.$"):
        find(["00", name], folder)


def test_an_empty_folder_is_said_so(tmp_path):
    with pytest.raises(BadInput, match="run this from a clone"):
        find([], tmp_path)


def test_parameters_take_the_type_of_their_default(folder):
    path = folder / "00_good.ipynb"
    assert read_parameters(path) == {"preset": "laptop", "store": "", "figures": "", "n": 2, "rate": 0.5, "seeds": [1]}
    given = check_parameters(path, [("n", "3"), ("rate", "1"), ("seeds", "(4, 5)")])
    assert given == {"n": 3, "rate": 1.0, "seeds": [4, 5]} and type(given["rate"]) is float


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("nonsense", "1", "has no parameter 'nonsense': its parameters are n, rate, seeds"),
        ("preset", "smoke", "use --preset"),
        ("store", "x", "use --store"),
        ("n", "many", r"a value like 2 \(int\)"),
        ("n", "1.5", r"a value like 2 \(int\)"),
        ("rate", "True", "a value like 0.5"),
        ("seeds", "3", r"a value like \[1\]"),
    ],
)
def test_bad_parameters_are_refused(folder, name, value, message):
    with pytest.raises(BadInput, match=message):
        check_parameters(folder / "00_good.ipynb", [(name, value)])


def test_a_parameters_cell_holds_literals_only():
    with pytest.raises(BadInput, match="may only assign literal values"):
        read_parameters(notebook(parameters="n: int = len('abc')"))


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"^the store .* cannot be written \(.*\): choose one with --store\.$"):
        check_folder(tmp_path / "file" / "below", "store", "--store")
    if os.geteuid():
        (tmp_path / "sealed").mkdir(mode=0o500)
        with pytest.raises(BadInput, match="cannot be written"):
            check_folder(tmp_path / "sealed", "store", "--store")
    check_folder(tmp_path / "new" / "folder", "store", "--store")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_corrupt_data_stop_the_run_before_any_notebook(tmp_path, folder, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    for path in (ROOT / "data").iterdir():
        if path.suffix in (".json", ".npz"):
            (data / path.name).write_bytes(path.read_bytes())
    content = bytearray((data / "fashion-mnist.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (data / "fashion-mnist.npz").write_bytes(content)
    monkeypatch.setenv("MCUTILS_DATA", str(data))
    with pytest.raises(BadInput, match="fashion-mnist.npz"):
        reproduce(notebooks=folder, preset_name="smoke", store=tmp_path / "store", out=tmp_path / "build")
    (data / "checksums.json").write_text("{")
    with pytest.raises(BadInput, match="checksums.json"):
        reproduce(notebooks=folder, preset_name="smoke", store=tmp_path / "store", out=tmp_path / "build")
    assert not list((tmp_path / "build" / "notebooks").iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset_name": "huge"}, "choose one of laptop, smoke, paper"),
        ({"workers": 0}, "--workers must be a whole number from 1"),
        ({"write_notebooks": True}, "takes a plain run"),
        ({"preset_name": "laptop", "write_notebooks": True}, "takes a plain run"),
        ({"preset_name": "laptop", "write_notebooks": True, "out": None, "parameters": [("n", "1")]}, "a plain run"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(run, tmp_path, options, message):
    with pytest.raises(BadInput, match=message):
        run(**options)
    assert not (tmp_path / "build").exists() and not (tmp_path / "store").exists()


def test_a_run_reports_every_notebook_and_goes_on_after_a_failure(run, folder, tmp_path, capsys):
    fake(
        folder,
        nb01_other="x = 1\nraise KeyError('lost')",
        nb02_third="from mcutils.settings import BadInput\nraise BadInput('this is not allowed: take that.')",
    )
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run(parameters=[("n", "5")], workers=3) == 1
    out, err = capsys.readouterr()
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.startswith("0")}
    assert rows["00_good"][2:5] == ["ok", "5", "5"] and rows["00_good"][5].endswith("build/figures/00_good_curve.png")
    assert rows["01_other"][2:] == rows["02_third"][2:] == ["failed", "-", "-", "-"]
    assert "3 notebooks in" in out and "5 reused, 5 computed" in out
    assert "[1/3] 00_good" in err and "[3/3] 02_third" in err
    assert "\n01_other: KeyError: 'lost'\n" in err and "\n02_third: this is not allowed: take that.\n" in err
    assert "Traceback" not in out + err
    good = read(tmp_path / "build" / "notebooks" / "00_good.ipynb")
    assert good["cells"][3]["outputs"][0]["text"] == "smoke 5 '' 1 3\n"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert "MCUTILS_FIGURES" not in os.environ


def test_a_notebook_that_refuses_its_input_exits_with_2(run, folder, capsys):
    fake(folder, nb02_third="from mcutils.settings import BadInput\nraise BadInput('no: take that.')")
    assert run("02") == 2
    assert "02_third: no: take that." in capsys.readouterr().err


def test_a_kernel_that_dies_is_a_failure_like_another(run, folder, capsys):
    fake(folder, nb01_other="import os\nos._exit(3)")
    assert run("01", "02") == 1
    out, err = capsys.readouterr()
    assert re.search(r"01_other +\S+ +failed", out) and re.search(r"02_third +\S+ +ok", out)
    assert "01_other: RuntimeError: its kernel was killed, perhaps for lack of memory; finished results are kept" in err


MEET = """
import pathlib, time, os
here = pathlib.Path("{folder}")
(here / "{me}").write_text(os.environ["MCUTILS_REPORT"])
late = time.monotonic() + 60
while not (here / "{other}").exists() and time.monotonic() < late:
    time.sleep(0.05)
assert (here / "{other}").exists()
open(os.environ["MCUTILS_REPORT"], "a").write('{{"reused": {count}, "computed": 0, "failed": 0}}\\n')
{last}
"""


def beside(monkeypatch, at_once):
    monkeypatch.setattr(module, "schedule", lambda order, paths: (list(reversed(paths)), at_once))


def test_notebooks_run_beside_each_other_each_with_its_own_report_and_folder(
    run, folder, tmp_path, monkeypatch, capsys
):
    """The first two wait for each other; the one that fails stops neither; the report keeps the order of names."""
    meet = {"folder": tmp_path, "last": "raise KeyError('lost')"}
    fake(
        folder,
        nb00_good="import os\nassert os.path.basename(os.getcwd()) == 'notebooks'",
        nb01_other=MEET.format(me="b", other="c", count=7, **meet),
        nb02_third=MEET.format(me="c", other="b", count=9, **{**meet, "last": ""}),
    )
    beside(monkeypatch, 2)
    here = os.getcwd()
    assert run() == 1
    out, err = capsys.readouterr()
    rows = [line.split()[:1] + line.split()[2:5] for line in out.splitlines() if line.startswith("0")]
    assert rows == [["00_good", "ok", "-", "-"], ["01_other", "failed", "7", "0"], ["02_third", "ok", "9", "0"]]
    assert (tmp_path / "b").read_text() != (tmp_path / "c").read_text()
    assert os.getcwd() == here and "MCUTILS_REPORT" not in os.environ and "KeyError: 'lost'" in err


def scheduled(monkeypatch, paths, left, **options):
    """What `schedule` says where the notebooks read as many results as their names end in, and ``left`` are missing."""
    needs = {path.stem: lambda bench, n=int(path.stem[-1]): [n] * n for path in paths}
    monkeypatch.setattr("mcutils.paper.registry.EXPERIMENTS", needs)
    monkeypatch.setattr("mcutils.engine.runs.missing", lambda specs, store: left)
    return module.schedule(module.Order(preset_name="smoke", **options), paths)


def test_the_longest_start_first_and_as_many_as_there_are_cores_where_nothing_is_to_be_computed(monkeypatch):
    paths = [Path(f"a{n}.ipynb") for n in (1, 3, 2)]
    longest = [paths[1], paths[2], paths[0]]
    assert scheduled(monkeypatch, paths, [], workers=2) == (longest, 2)
    assert scheduled(monkeypatch, paths, [], workers=1) == (longest, 1)
    assert scheduled(monkeypatch, paths, [], workers=64) == (longest, 3)
    assert scheduled(monkeypatch, paths, ["x"], workers=2) == (paths, 1)
    assert scheduled(monkeypatch, paths, [], workers=2, parameters=(("n", "1"),)) == (paths, 1)
    assert scheduled(monkeypatch, paths[:1], [], workers=2) == (paths[:1], 1)


def test_an_unknown_notebook_may_compute_anything(folder):
    assert module.schedule(module.Order(workers=2), find([], folder)) == (find([], folder), 1)


KILL_LATER = "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()\ntime.sleep(60)"


@pytest.mark.parametrize("when", ["os.kill(os.getpid(), signal.SIGKILL)", KILL_LATER])
def test_a_kernel_that_is_killed_ends_in_a_sentence(run, folder, capsys, when):
    fake(folder, nb01_other=f"import os, signal, threading, time\n{when}")
    assert run("01") == 1
    err = capsys.readouterr().err
    assert "01_other: RuntimeError: its kernel was killed" in err and "Traceback" not in err


def test_only_a_plain_run_of_the_default_preset_draws_into_figures(run, tmp_path, monkeypatch):
    places = []
    monkeypatch.setattr(module, "check_folder", lambda folder, what, option: places.append(folder))
    monkeypatch.setattr(module, "execute", lambda job: module.Outcome("x", 0.0, figures=(job.figures,)))
    monkeypatch.delenv("MCUTILS_STORE", raising=False)
    for options in ({}, {"preset_name": "laptop"}, {"preset_name": "laptop", "parameters": [("n", "1")]}):
        assert run("00", **{"out": None, "store": None, **options}) == 0
    build = ROOT / "build"
    assert places[0::3] == [build / "notebooks"] * 3 and places[2::3] == [build / "store"] * 3
    assert places[1::3] == [build / "figures", ROOT / "figures", build / "figures"]
    places.clear()
    monkeypatch.setenv("MCUTILS_STORE", str(tmp_path / "mine"))
    assert run("00", preset_name="laptop", store=None) == 0
    assert places == [tmp_path / "build" / "notebooks", tmp_path / "build" / "figures", tmp_path / "mine"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_stops_at_once_with_a_sentence_and_no_traceback(tmp_path, number):
    """As Ctrl-C does: the process gets a signal while two notebooks run, whose kernels have children, and one waits."""
    sleep = (
        "import os, pathlib, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        f"pathlib.Path({str(tmp_path)!r}, 'pids{{}}').write_text(f'{{os.getpid()}} {{child.pid}} ')\n"
        "time.sleep(300)"
    )
    codes = {f"nb0{n}_x": sleep.replace("pids{}", f"pids{n}").replace("{{", "{").replace("}}", "}") for n in (0, 1)}
    folder = fake(tmp_path / "notebooks", **codes, nb02_other="x = 1")
    code = (
        "import functools, signal, sys; from pathlib import Path; from mcutils.cli import main as m, reproduce as r\n"
        # A shell starts background jobs with the first signal ignored, nohup with the second.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        f"r.reproduce = functools.partial(r.reproduce, notebooks=Path({str(folder)!r}))\n"
        "r.check_data = lambda preset: None\n"
        "r.schedule = lambda order, paths: (list(paths), 2)\n"
        f"sys.exit(m.main(['reproduce', '--preset', 'smoke', '--store', {str(tmp_path / 's')!r},"
        f" '--out', {str(tmp_path / 'b')!r}]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=environment)
    notes = [tmp_path / "pids0", tmp_path / "pids1"]
    try:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and not all(n.is_file() and n.read_text().endswith(" ") for n in notes):
            time.sleep(0.2)
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert "interrupted; finished results are kept" in err and "Traceback" not in err
    assert not (tmp_path / "b" / "notebooks" / "02_other.ipynb").exists()
    pids = [int(word) for note in notes for word in note.read_text().split()]
    assert len(pids) == 4
    gone = time.monotonic() + 60
    while time.monotonic() < gone and any(map(alive, pids)):
        time.sleep(0.1)
    assert not any(map(alive, pids))


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def judged(effect):
    """C1 with an effect that supports above one half."""
    word = "supported" if effect > 0.5 else "contradicted"
    found = Result(Interval(effect, effect - 0.1, effect + 0.1), word, 8, 48)
    return Judged(ROWS[0], {"chord": found})


def test_what_was_written_beside_the_figures_goes_between_the_marks_of_the_pages(tmp_path):
    marks = "<!-- {0} -->\n<!-- /{0} -->"
    readme, results = tmp_path / "README.md", tmp_path / "docs" / "results.md"
    results.parent.mkdir()
    both = f"{marks.format('claims')}\n{marks.format('neighbours')}\n"
    readme.write_text(f"a\n{marks.format('findings')}\nb\n")
    results.write_text(both)
    before = readme.read_text()
    module.write_pages(tmp_path, tmp_path)
    assert readme.read_text() == before
    rows = records([judged(0.9)])
    write_ledger(rows, tmp_path)
    module.write_pages(tmp_path, tmp_path)
    parts = [f"<!-- {name} -->\n{markdown_table(rows_of(rows, name))}<!-- /{name} -->\n" for name in LEDGERS]
    assert results.read_text() == "".join(parts) and readme.read_text() == before
    (tmp_path / module.FINDINGS).write_text("- one\n")
    module.write_pages(tmp_path, tmp_path)
    assert readme.read_text() == "a\n<!-- findings -->\n- one\n<!-- /findings -->\nb\n" and module.FINDINGS == FILE


@pytest.mark.parametrize(
    "before,after,said",
    [
        (0.9, 0.9, "no verdict changed"),
        (0.9, 0.1, "the ledger before:\nC1: supported 0.90 [0.80, 1.00] before, contradicted"),
        (None, 0.9, ""),
        (0.9, None, ""),
    ],
)
def test_a_run_says_which_verdicts_changed(run, tmp_path, monkeypatch, capsys, before, after, said):
    """``before`` and ``after`` are effects of C1; None is a ledger that is not there, or not written again."""

    def write(effect):
        write_ledger(records([judged(effect)]), tmp_path / "build" / "figures")

    def execute(job):
        if after is not None:
            write(after)
        return module.Outcome(job.source.stem, 0.0)

    if before is not None:
        write(before)
    monkeypatch.setattr(module, "execute", execute)
    assert run("00") == 0
    out = capsys.readouterr().out
    assert said in out if said else "verdict" not in out


def test_report_lines_up_and_counts():
    done = module.Outcome("00_a", 1.26, reused=3, computed=0, figures=(Path("/x/00_a.png"), Path("/x/00_b.png")))
    lines = report([done, module.Outcome("01_long_name", 100.0, error="x")], 101.26).splitlines()
    assert lines[1:4] == [
        "notebook      seconds  status  reused  computed  figures",
        "00_a              1.3  ok           3         0  /x/00_a.png, /x/00_b.png",
        "01_long_name    100.0  failed       -         -  -",
    ]
    assert lines[-1] == "2 notebooks in 101 s: 3 reused, 0 computed"
    assert report([module.Outcome("00_a", 1.0)], 1.0).splitlines()[-1] == "1 notebook in 1 s"
    assert table([("a", "b"), ("ccc", "")]) == "a    b\nccc"


def test_progress_shows_counts_and_the_batch_under_way():
    assert latest([]) == ""
    counts = [{"reused": 1, "computed": 2, "failed": 0}, {"reused": 3, "computed": 0, "failed": 0}]
    assert latest(counts) == "4 reused, 2 computed"
    assert latest([*counts, {"done": 2, "total": 9}]) == "4 reused, 2 computed, result 2 of 9"


def test_cleaning_leaves_nothing_of_the_run(executed):
    assert "papermill" in executed["metadata"] and len(executed["cells"]) == 4
    clean = clean_notebook(executed)
    nbformat.validate(nbformat.from_dict(clean))
    assert set(clean["metadata"]) == {"kernelspec", "language_info"}
    assert clean["metadata"]["kernelspec"] == {"display_name": "Python 3", "language": "python", "name": "python3"}
    title, parameters, code = clean["cells"]
    assert title["metadata"] == code["metadata"] == {} and parameters["metadata"] == {"tags": ["parameters"]}
    assert [parameters["execution_count"], code["execution_count"]] == [1, 2]
    stream, result = code["outputs"]
    assert stream["name"] == "stdout" and stream["text"] == "laptop 2 '' 1 None\n"
    assert result["data"] == {"text/plain": "3"} and result["execution_count"] == 2
    assert clean_notebook(clean) == clean
    assert "papermill" not in json.dumps(clean)


def test_cleaning_does_not_touch_its_input(executed):
    before = copy.deepcopy(executed)
    clean_notebook(executed)
    assert executed == before


def cleaned(*outputs, parameters=""):
    """Outputs of the one cell of a notebook after cleaning."""
    nb = notebook("x", parameters=parameters)
    nb.cells[-1].update(execution_count=7, outputs=list(outputs))
    return clean_notebook(nb)["cells"][-1]["outputs"]


def test_the_code_of_a_cell_tagged_hide_input_is_folded():
    nb = notebook("x", parameters="")
    nb.cells[-1].update(execution_count=1, metadata={"tags": ["hide-input"], "papermill": {"duration": 1}})
    clean = clean_notebook(nb)
    assert clean["cells"][-1]["metadata"] == {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
    assert clean_notebook(clean) == clean


def test_widgets_go_and_their_still_pictures_stay():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "abc"}, "text/plain": "HBox(children=())"}
    picture = {**view, "image/png": "iVBORw0KGgo="}
    outputs = cleaned(new_output("display_data", view), new_output("display_data", picture))
    assert [sorted(output["data"]) for output in outputs] == [["image/png", "text/plain"]]


def test_pieces_of_stdout_are_joined_and_stderr_goes():
    pieces = [("stdout", "a\n"), ("stderr", "50 %"), ("stdout", "b\n")]
    outputs = cleaned(*(new_output("stream", name=name, text=text) for name, text in pieces))
    assert outputs == [{"name": "stdout", "output_type": "stream", "text": "a\nb\n"}]


@pytest.mark.parametrize(
    "text",
    [
        f"saved {ROOT}/figures/a.png",
        "saved /srv/someone/a.png",
        "<p>'/srv/someone'",
        "C:\\Users\\someone",
        "file:///a/b",
        "<object object at 0x7f0a1b2c3d40>",
    ],
)
def test_traces_of_a_machine_are_refused(text):
    with pytest.raises(BadInput, match="belongs to one machine or run"):
        cleaned(new_output("stream", name="stdout", text=text))


@pytest.mark.parametrize(
    "text",
    [
        "retain/forget/test",
        "a / b / c",
        "</td></tr>",
        "https://arxiv.org/abs/2504.06407",
        "t: 0.5",
        "1/2",
        "data/store",
        "at 0x",
    ],
)
def test_ordinary_text_is_no_trace_of_a_machine(text):
    assert machine_traces({"a": [text, f"({text})", f'"{text}"']}) == []


def test_what_cannot_be_committed_is_refused():
    error = new_output("error", ename="KeyError", evalue="'lost'", traceback=[])
    with pytest.raises(BadInput, match="ends in KeyError"):
        cleaned(error)
    with pytest.raises(BadInput, match="code cell 1 was not executed: x"):
        clean_notebook(notebook("x", parameters=""))
    nb = notebook("x")
    nb.cells.insert(2, new_code_cell("n = 3", metadata={"tags": ["injected-parameters"]}))
    with pytest.raises(BadInput, match="run with n = 3, which is not its default"):
        clean_notebook(nb)


def test_write_notebooks_puts_the_clean_form_back(run, folder, tmp_path, monkeypatch, capsys):
    # The default preset writes to the repository's own folders, which a test leaves alone.
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "mcutils").symlink_to(ROOT / "mcutils")
    assert run("00", preset_name="laptop", out=None, write_notebooks=True) == 0
    assert "wrote 1 executed notebook into" in capsys.readouterr().out
    assert (tmp_path / "figures" / "00_good_curve.png").read_bytes() == b"laptop"
    nb = read(folder / "00_good.ipynb")
    assert clean_notebook(nb) == clean_notebook(clean_notebook(nb)) and len(nb["cells"]) == 3
    assert nb["cells"][2]["outputs"][0]["text"] == "laptop 2 '' 1 None\n"
    before = (folder / "00_good.ipynb").read_bytes()
    assert run("00", preset_name="laptop", out=None, write_notebooks=True) == 0
    assert (folder / "00_good.ipynb").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["00_good.ipynb", "01_other.ipynb", "02_third.ipynb"]


def test_a_notebook_that_was_not_executed_is_left_alone(run, folder):
    before = (folder / "00_good.ipynb").read_bytes()
    with pytest.raises(BadInput, match="00_good.ipynb is no executed notebook"):
        run("00", out=folder.parent)
    assert (folder / "00_good.ipynb").read_bytes() == before


def test_a_notebook_edited_during_the_run_is_not_overwritten(tmp_path, executed):
    (tmp_path / "executed.ipynb").write_text(json.dumps(executed))
    source = fake(tmp_path / "in", nb00_good=GOOD + "\n# a note") / "00_good.ipynb"
    with pytest.raises(BadInput, match="00_good.ipynb is not written: it was edited"):
        module.committed_form(tmp_path / "executed.ipynb", source)


def test_the_real_notebooks_can_be_found():
    assert {path.stem for path in find([])} == {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
