"""The command line: lists, help, and one clear sentence with exit code 2 for whatever is not allowed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcutils.cli import main as cli, reproduce as module
from mcutils.errors import BadInput
from mcutils.measures.metrics import METRICS
from mcutils.paper.claims import CLAIMS
from mcutils.unlearning.methods import METHODS

ROOT = Path(__file__).resolve().parents[2]
KINDS = [*cli.TABLES, "notebooks"]


@pytest.mark.parametrize("kind", KINDS)
def test_list_prints_a_name_and_a_line_for_each(kind, capsys):
    assert cli.main(["list", kind, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) >= 3 and all(row["name"] and row["about"] and "\n" not in row["about"] for row in rows)
    assert len({row["name"] for row in rows}) == len(rows)
    assert cli.main(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    if kind == "claims":  # whose second lines say how each is judged
        below = [line.strip() for line in lines if line.startswith("      ")]
        declared = [row["declared"] for row in rows if row["declared"]]
        assert [line.split(" (")[0] for line in below if "; threshold " in line] == [
            one["statistic"].split(" (")[0] for one in declared
        ]
        assert sum(line.startswith("null: ") for line in below) == len(declared)
        assert sum(line.startswith("not declared yet") for line in below) == len(rows) - len(declared)
        assert sum("worlds" in line for line in below) > len(declared) / 2
        lines = [line for line in lines if not line.startswith("      ")]
    assert [line.split()[0] for line in lines] == [row["name"] for row in rows]
    assert all(line.endswith(row["about"]) for line, row in zip(lines, rows, strict=True))


def test_lists_are_the_tables_themselves(capsys):
    for kind, table in (("methods", METHODS), ("metrics", METRICS), ("claims", CLAIMS)):
        cli.main(["list", kind, "--json"])
        rows = json.loads(capsys.readouterr().out)
        assert [row["name"] for row in rows] == list(table)
        assert all(row["source"] for row in rows)


def test_methods_describe_themselves_differently():
    abouts = [row["about"] for row in cli.catalogue("methods")]
    assert len(set(abouts)) >= len(abouts) - 2  # fine-tuning is retraining from another start, SalUn random labels


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["reproduce", "--preset", "huge"], "unknown preset 'huge': choose one of laptop, smoke, paper."),
        (["reproduce", "--preset", "smoke", "nonsense"], "no notebook is named 'nonsense': there are 00_quickstart,"),
        (["reproduce", "--preset", "smoke", "-p", "nonsense", "1", "00"], "has no parameter 'nonsense'"),
        (
            ["reproduce", "--preset", "smoke", "--workers", "0"],
            "--workers must be a whole number from 1 to 10,000, got 0.",
        ),
        (["reproduce", "--preset", "smoke", "--store", str(ROOT / "LICENSE")], "the store"),
        (["reproduce", "--preset", "smoke", "--out", str(ROOT / "LICENSE")], "the output folder"),
        (["reproduce", "--preset", "smoke", "--write-notebooks"], "--write-notebooks takes a plain run"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, says, capsys, tmp_path):
    # The folders that a check has made before another fails go to a scratch place.
    if "reproduce" in arguments and "--out" not in arguments and "--write-notebooks" not in arguments:
        arguments = [*arguments[:1], "--out", str(tmp_path), *arguments[1:]]
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and says in err
    assert err.startswith("mcutils: ") and err.count("\n") == 1 and err.rstrip().endswith(".")


REST = ("list nonsense", "nonsense", "", "reproduce -p one", "store", "store wish", "show", "store export", "plan -x")


@pytest.mark.parametrize("words", REST)
def test_argparse_refuses_the_rest_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words.split())
    err = capsys.readouterr().err
    assert stop.value.code == 2 and "usage: python -m mcutils" in err and "Traceback" not in err
    assert words != "list nonsense" or all(kind in err for kind in KINDS)


@pytest.mark.parametrize("raised", [BadInput("no: take that."), KeyboardInterrupt()])
def test_what_a_command_raises_becomes_an_exit_code(raised, monkeypatch, capsys):
    def fail(*args, **options):
        raise raised

    monkeypatch.setattr(module, "reproduce", fail)
    code = cli.main(["reproduce"])
    err = capsys.readouterr().err
    assert (code, "no: take that." in err, "interrupted" in err) in [(2, True, False), (130, False, True)]


def test_reproduce_passes_its_options_on(monkeypatch):
    seen = {}

    def note(names, **options):
        seen.update(options, names=names)
        return 0

    monkeypatch.setattr(module, "reproduce", note)
    options = "--preset smoke --store s --fresh --workers 2 --engine serial --out o -p a 1 -p b -2 --write-notebooks"
    assert cli.main(["reproduce", *options.split(), "00", "02"]) == 0
    assert seen == {
        "names": ["00", "02"],
        "preset_name": "smoke",
        "store": "s",
        "engine": "serial",
        "fresh": True,
        "workers": "2",
        "out": "o",
        "parameters": [["a", "1"], ["b", "-2"]],
        "write_notebooks": True,
    }


HELPED = ("", "reproduce", "list", "search", "run", "plan", "show", "explore", "store gc", "store export")


@pytest.mark.parametrize("command", HELPED)
def test_help_tells_the_defaults(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.split(), "--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0 and "usage: python -m mcutils" in out
    assert "default" in out or not command


def test_help_loads_nothing_that_it_does_not_need():
    code = (
        "import sys\nfrom mcutils.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "slow = 'papermill distributed matplotlib pandas sklearn scipy torchvision'.split()\n"
        "print([m for m in slow if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_runs_as_a_program():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mcutils", "reproduce", "--preset", "huge"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "Traceback" not in done.stderr
