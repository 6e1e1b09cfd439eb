"""Files: switches and folders of the environment, and files that are written at once or not at all."""

import os
import stat

import pytest

from mcutils.errors import BadInput
from mcutils.files import ROOT, place, switched, write_file


def test_the_root_is_the_repository():
    assert (ROOT / "pyproject.toml").is_file() and (ROOT / "mcutils" / "files.py").is_file()


@pytest.mark.parametrize("said, meant", [("1", True), ("Yes", True), ("on", True), ("no", False), ("0", False),
                                         ("FALSE", False), ("", False), ("off", False)])  # fmt: skip
def test_a_switch_means_what_it_says(monkeypatch, said, meant):
    monkeypatch.setenv("MCUTILS_FRESH", said)
    assert switched("MCUTILS_FRESH") is meant
    monkeypatch.delenv("MCUTILS_FRESH")
    assert switched("MCUTILS_FRESH") is False


@pytest.mark.parametrize("said", ["2", "fresh", "nein", "-1", "²"])
def test_nonsense_is_no_switch(monkeypatch, said):
    monkeypatch.setenv("MCUTILS_FRESH", said)
    with pytest.raises(BadInput, match="MCUTILS_FRESH must be"):
        switched("MCUTILS_FRESH")


def test_a_place_is_as_given_or_of_the_environment_or_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("MCUTILS_STORE", "~/x")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place("a", "MCUTILS_STORE", tmp_path) == (tmp_path / "a").relative_to(tmp_path)
    assert place(None, "MCUTILS_STORE", tmp_path) == place("", "MCUTILS_STORE", tmp_path) == tmp_path / "x"
    monkeypatch.setenv("MCUTILS_STORE", "")
    assert place(None, "MCUTILS_STORE", tmp_path) == tmp_path
    monkeypatch.setenv("MCUTILS_STORE", "~nosuchuser/x")
    with pytest.raises(BadInput, match="MCUTILS_STORE '~nosuchuser/x'"):
        place(None, "MCUTILS_STORE", tmp_path)
    for wrong in (3, True, b"x", []):
        with pytest.raises(BadInput, match="store must name"):
            place(wrong, "MCUTILS_STORE", tmp_path, "store")


def test_a_file_is_replaced_in_one_step_and_by_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "new" / "a.txt", "é")
    finally:
        os.umask(before)
    path = tmp_path / "new" / "a.txt"
    assert path.read_text(encoding="utf-8") == "é" and stat.S_IMODE(path.stat().st_mode) == 0o640
    write_file(path, b"b")
    assert path.read_bytes() == b"b" and list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_scratch(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(BadInput, match="cannot write a in the folder .*No space left"):
        write_file(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(BadInput, match="is not a folder"):
        write_file(path / "b", "x")
