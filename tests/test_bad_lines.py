"""Bad command lines and variables: each ends with exit code 2 and a sentence, not in a traceback."""

import os

import pytest

from mcutils.cli import main as cli

LONG = "x" * 300
PATHS = ("~nosuchuser", "~nosuchuser/x", "file", "file/below", LONG, "fifo")
STORES = (
    ["store", "status"], ["store", "verify"], ["store", "gc"], ["store", "gc", "--dry-run"], ["store", "export", "t"],
    ["plan", "00", "--preset", "smoke"], ["run", "00", "--preset", "smoke"], ["show", "trace-aa"], ["explore"],
    ["search", "--show"], ["reproduce", "00", "--preset", "smoke", "--out", "out"],
)  # fmt: skip
PRESETS = ("nonsense", "Laptop", "laptop ", "smoke\n", "../smoke", "None", "0", "²")
WORKERS = ("0", "-1", "1.5", "many", "", "²", "１", "1e3", "9" * 20, "True", "0x2")
ENGINES = (
    "Local", "pbs", "localhost:8786", "tcp:/h:1", "tcp://", "tcp://a b", "tcp://h", "tcp://h:99999", "x://h:1", " ",
)  # fmt: skip
RUN = ["run", "00", "--preset", "smoke", "--store", "new"]
REPRODUCE = ["reproduce", "02", "--preset", "smoke", "--out", "out", "--store", "new"]
LINES = [
    *([*line, "--store", path] for line in STORES for path in PATHS),
    *(["store", "import", path, "--store", "new"] for path in PATHS),
    *(["store", "export", path] for path in PATHS),
    *(["store", "export", "t", "--used-by", path] for path in PATHS),
    *([command, "--preset", name] for command in ("plan", "run", "reproduce") for name in PRESETS),
    *([*line, f"--workers={n}"] for line in (RUN, REPRODUCE) for n in WORKERS),
    *([*line, "--engine", name] for line in (RUN, REPRODUCE) for name in ENGINES),
    *(["explore", f"--port={n}"] for n in ("0", "-1", "65536", "x", "", "1.5", "²")),
    *([*REPRODUCE, "-p", "seeds", v] for v in ("3", "[", "(" * 300, "[1, 'a']", "[True]", "[0.5]", "[-1]")),
    *([command, "--preset", "smoke", name] for command in ("plan", "run") for name in ("99", "nope", "00;ls", LONG)),
    *(["show", name] for name in ("", "nope", "x.png", "*", "../x")),
    ["store", "export", "t", ""], ["store"], ["nope"], [], ["list", "nope"], ["search", "--methods", "nope", "--show"],
]  # fmt: skip
VARIABLES = [
    *((name, path) for name in ("MCUTILS_STORE", "MCUTILS_DATA", "MCUTILS_CACHE", "MCUTILS_FIGURES") for path in PATHS),
    *(("MCUTILS_FRESH", value) for value in ("2", "maybe", "²")),
    *(("MCUTILS_WORKERS", value) for value in ("²", "-1", "1.5", "x", "１", " ")),
    *(("MCUTILS_ENGINE", value) for value in ENGINES),
    *(("MCUTILS_COMPUTE", value) for value in ("always", "Never", "0")),
    *(("MCUTILS_CLUSTER", value) for value in ("nowhere", "folder", "file", "~nosuchuser/x")),
    *(("MCUTILS_ANSWER_SECONDS", value) for value in ("x", "-1", "0", "nan", "inf")),
    ("MCUTILS_REPORT", "folder"),
]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name in {name for name, _ in VARIABLES}:
        monkeypatch.delenv(name, raising=False)


def refused(words, capsys):
    try:
        code = cli.main(words)
    except SystemExit as stop:  # argparse's
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and "Traceback" not in err
    assert err.count("\n") == 1 or err.startswith("usage: ")


def test_there_are_many():
    assert len(LINES) >= 160


@pytest.mark.parametrize("words", LINES, ids=lambda words: " ".join(words)[:60])
def test_a_bad_line_is_refused_in_a_sentence(words, capsys):
    refused(words, capsys)


@pytest.mark.parametrize("name, value", VARIABLES)
def test_a_bad_variable_is_refused_in_a_sentence(name, value, monkeypatch, capsys):
    monkeypatch.setenv(name, value)
    refused(["plan", "00", "--preset", "smoke"], capsys)
