"""What make is told reaches the command as it was said, or is refused in a sentence; nothing in it is run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

# Stands for Python: says that it is one, and notes what it is to run.
STUB = """#!/bin/sh
case "$2" in
    mcutils) printf '%s\\0' "$@" > "$NOTED" ;;
    *print*) echo known ;;
esac
"""
# Each would leave a file named ran if anything read it as code.
CODE = [
    "00; touch ran",
    "00 & touch ran",
    "00 && touch ran",
    "00 || touch ran",
    "x | touch ran",
    "$(touch ran)",
    "$(shell touch ran)",
    "$$(touch ran)",
    "${shell touch ran}",
    "`touch ran`",
    "'; touch ran; '",
    '"; touch ran; "',
    '"$(touch ran)"',
    "'`touch ran`'",
    "00\ntouch ran",
    "00\n\ttouch ran",
    "\\\ntouch ran",
    "00 > ran",
    "00 >> ran",
    "x 2> ran",
    "< /etc/passwd > ran",
    "$(eval x := $(shell touch ran))",
    "$(file > ran,x)",
    "{touch,ran}",
    "x#; touch ran",
]
ODD = [
    "a b",
    "a'b",
    'a"b',
    "a\\b",
    "*",
    "?",
    "[a-z]*",
    "~",
    "~nobody",
    "$HOME",
    "$$",
    "$(PRESET)",
    "ä ö",
    "-n",
    "--fresh",
    "%",
]
VALUES = CODE + ODD


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder with the Makefile and an environment that needs nothing, whose Python is the stub."""
    folder = tmp_path_factory.mktemp("a clone")
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "pyproject.toml").touch()
    for path in (folder / "stub", folder / ".venv" / "bin" / "python"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STUB)
        path.chmod(0o755)
    for name in ("made-from", "installed"):
        (folder / ".venv" / name).write_text("known\n")
    return folder


@pytest.fixture(params=["argument", "environment"])
def make(request, clone):
    """Calls ``make reproduce`` with these values; returns the exit code, what it said, and the words of the command."""

    def call(**values):
        before = sorted(path.name for path in clone.rglob("*"))
        noted = clone.parent / "noted"
        noted.unlink(missing_ok=True)
        values = {"PYTHON": "./stub", **values}
        kept = {name: value for name, value in os.environ.items() if name not in {*NAMES, "MAKEFLAGS", "MAKELEVEL"}}
        given = [f"{name}={value}" for name, value in values.items()] if request.param == "argument" else []
        environment = {**kept, "NOTED": str(noted), **({} if given else values)}
        done = subprocess.run(
            ["make", "reproduce", *given], cwd=clone, env=environment, capture_output=True, text=True, timeout=60
        )
        assert sorted(path.name for path in clone.rglob("*")) == before, "something in a value was run"
        words = noted.read_text().split("\0")[:-1] if noted.is_file() else None
        assert words is None or words[:3] == ["-m", "mcutils", "reproduce"]
        return done.returncode, done.stdout + done.stderr, words and words[3:]

    return call


NAMES = ("PYTHON", "PRESET", "NOTEBOOKS", "STORE", "FRESH")


def test_nothing_given(make):
    assert make() == (0, "", ["--preset", "laptop", "--"])


@pytest.mark.parametrize("value", VALUES)
def test_a_preset_and_a_store_are_one_word_and_notebooks_are_words(make, value):
    words = ["--preset", value, "--store", value, "--", *value.split()]
    assert make(NOTEBOOKS=value, STORE=value, PRESET=value) == (0, "", words)


@pytest.mark.parametrize("value", VALUES)
def test_what_is_no_python_is_refused(make, value):
    code, said, words = make(PYTHON=value)
    assert code == 2 and words is None
    assert said.startswith(f"PYTHON={value} is not a Python 3.10 or newer"), said


@pytest.mark.parametrize("value", ["1", "yes", "true", "on"])
def test_fresh(make, value):
    assert make(FRESH=value) == (0, "", ["--fresh", "--preset", "laptop", "--"])


@pytest.mark.parametrize("value", ["", "0", "no", "false", "off"])
def test_not_fresh(make, value):
    assert make(FRESH=value) == (0, "", ["--preset", "laptop", "--"])


@pytest.mark.parametrize("value", [*VALUES, "2", "nein", "1 1", "yes; touch ran"])
def test_neither_fresh_nor_not(make, value):
    code, said, words = make(FRESH=value)
    assert code == 2 and words is None and said.startswith("FRESH must be 1, yes, true or on, or else 0, no, "), said
    assert f"got '{value}'." in said
