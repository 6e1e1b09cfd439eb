"""Files of a user's stay as they are: what we did not write, and what was changed since."""

import os
import subprocess

import pytest

from mcutils.cli import output
from mcutils.cli.main import main
from mcutils.errors import BadInput


def test_what_we_wrote_is_written_over_and_what_goes_is_removed(tmp_path):
    output.write(tmp_path / "new", {"a.txt": "1", "b/c.txt": b"2"})
    assert output.write(tmp_path / "new", {"a.txt": "3"}) == [tmp_path / "new" / "a.txt"]
    assert (tmp_path / "new" / "b" / "c.txt").read_bytes() == b"2"
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", output.NOTE], cwd=tmp_path / "new", check=True)
    output.write(tmp_path / "new", {"a.txt": "4"}, exact=True)
    assert not (tmp_path / "new" / "b" / "c.txt").exists() and set(output.noted(tmp_path / "new")) == {"a.txt"}


def test_what_was_changed_is_not_removed(tmp_path):
    output.write(tmp_path, {"a.txt": "1", "b.txt": "2"})
    (tmp_path / "b.txt").write_text("mine")
    output.write(tmp_path, {"a.txt": "3"}, exact=True)
    assert (tmp_path / "b.txt").read_text() == "mine"


@pytest.mark.parametrize("there", ["file", "changed", "folder", "link", "lost link"])
def test_nothing_is_written_where_one_file_is_somebody_s_own(tmp_path, there):
    place, mine = tmp_path / "there", tmp_path / "there" / "b.txt"
    output.write(place, {"a.txt": "1", **({"b.txt": "2"} if there == "changed" else {})})
    if there == "folder":
        mine.mkdir()
    elif "link" in there:
        mine.symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere").write_text("mine") if there == "link" else None
    else:
        mine.write_text("mine")
    with pytest.raises(BadInput, match=r"b\.txt is not as mcutils wrote it: move it away"):
        output.write(place, {"a.txt": "3", "b.txt": "4"})
    assert (place / "a.txt").read_text() == "1" and os.path.lexists(mine)
    assert there in ("folder", "lost link") or mine.read_text() == "mine"


def test_a_worksheet_that_was_filled_in_stays(tmp_path, capsys):
    assert main(["lesson", str(tmp_path / "handout")]) == main(["lesson", str(tmp_path / "handout")]) == 0
    sheet = tmp_path / "handout" / "worksheet.md"
    sheet.write_text(sheet.read_text() + "my answer")
    capsys.readouterr()
    assert main(["lesson", str(tmp_path / "handout")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "worksheet.md is not as mcutils wrote it" in err and err.count("\n") == 1
    assert sheet.read_text().endswith("my answer")


@pytest.mark.parametrize("option", ["--export-toy", "--export-live"])
def test_a_page_of_somebody_s_own_stays(tmp_path, option, capsys, monkeypatch):
    monkeypatch.setattr("mcutils.explorer.live.export_live", lambda *_: pytest.fail("it wrote"))
    (tmp_path / "a.html").write_text("mine")
    assert main(["explore", option, str(tmp_path / "a.html")]) == 2
    assert "not as mcutils wrote it" in capsys.readouterr().err and (tmp_path / "a.html").read_text() == "mine"
