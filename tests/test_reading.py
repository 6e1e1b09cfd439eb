"""Reading what may be anything: only regular files of bounded size, archives in place; writing exclusively."""

import io
import os
import socket
import stat
import zipfile

import numpy as np
import pytest

from mcutils.reading import Unfit, archived, load_arrays, pack, read, scratch, size, stamp

NAMES = [f"profile-{'0' * 19}{k}.npz" for k in range(3)]


def link(path):
    path.with_name("target").write_bytes(b"x")
    path.symlink_to("target")


def dangling(path):
    path.symlink_to("nowhere")


def looping(path):
    path.symlink_to(path.name)


def plug(path):
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path may have some hundred letters only
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)
    os.chdir(here)


ODD = {"pipe": os.mkfifo, "folder": os.mkdir, "link": link, "dangling": dangling, "loop": looping, "socket": plug}


@pytest.mark.parametrize("what", ODD)
def test_only_regular_files_are_read_and_nothing_hangs(what, tmp_path):
    path = tmp_path / "a.npz"
    ODD[what](path)
    with pytest.raises(Unfit, match=r"a\.npz is no regular file"):
        read(path, 100)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read(path, 5) == b"12345"
    os.truncate(path, 10**13)  # takes no room on the disk
    with pytest.raises(Unfit, match="larger than 5 bytes"):
        read(path, 5)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "b", 5)


# Arrays


def forged(array, shape):
    """An npz whose header claims another shape than it holds."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": shape}
    )
    file.write(array.tobytes())
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as content:
        content.writestr("a.npy", file.getvalue())
    found.seek(0)
    return found


@pytest.mark.parametrize("shape", [(10**10,), (2**40, 2**40), (2,), (-3,), (4,)])
def test_what_an_array_claims_is_what_it_holds(shape):
    assert load_arrays(forged(np.arange(3.0), (3,)))["a"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="claims shape"):
        load_arrays(forged(np.arange(3.0), shape))


def test_a_bomb_is_not_unpacked():
    file = io.BytesIO()
    np.savez_compressed(file, a=np.zeros(10**6))
    with pytest.raises(ValueError, match="claim more than 1,000 bytes"):
        load_arrays(file, 1000)


def test_an_array_that_occurs_twice_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as content, pytest.warns(UserWarning, match="Duplicate"):
        for _ in range(2):
            content.writestr("a.npy", b"x")
    with pytest.raises(ValueError, match="occurs twice"):
        load_arrays(file)


# Archives


def archive(path, members):
    with open(path, "wb") as file:
        pack(members, file)
    return path


def test_members_are_read_in_place_and_equal_archives_are_equal_bytes(tmp_path):
    members = [(name, os.urandom(50)) for name in NAMES]
    one = archive(tmp_path / "one.zip", members)
    assert {name: read(path, 50) for name, path in archived(tmp_path).items()} == dict(members)
    assert size(one / NAMES[0]) == 50 and stamp(one / NAMES[0]) == stamp(one)
    assert one.read_bytes() == archive(tmp_path / "two.zip", members[::-1]).read_bytes()
    with pytest.raises(Unfit, match="larger than 49"):
        read(one / NAMES[0], 49)
    with pytest.raises(FileNotFoundError, match="holds no"):
        read(one / "profile-no.npz", 49)


def test_odd_members_are_no_results(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as content, pytest.warns(UserWarning, match="Duplicate"):
        for name in ("../" + NAMES[0], "/" + NAMES[0], "notes.txt", NAMES[1], NAMES[1], NAMES[2]):
            content.writestr(name, b"x")
        content.writestr(NAMES[0], b"x" * 100, zipfile.ZIP_DEFLATED)
    assert set(archived(tmp_path)) == {NAMES[2]}
    assert "a.zip holds" in capsys.readouterr().err


@pytest.mark.parametrize("what", [*ODD, "nonsense", "cut"])
def test_an_odd_archive_is_left_out_with_a_sentence_and_the_others_are_read(what, tmp_path, capsys):
    path = tmp_path / "a.zip"
    if what in ODD:
        ODD[what](path)
    else:
        data = archive(path, [(NAMES[0], b"x")]).read_bytes()
        path.write_bytes(b"nonsense" if what == "nonsense" else data[:-30])
    archive(tmp_path / "b.zip", [(NAMES[1], b"y")])
    assert set(archived(tmp_path)) == {NAMES[1]}
    assert ("damaged archive a.zip" in capsys.readouterr().err) == (what not in ODD)


@pytest.mark.parametrize("place", [2, 65, 95])
def test_a_damaged_member_is_noticed_and_only_it(place, tmp_path):
    path = archive(tmp_path / "a.zip", [(name, bytes(40)) for name in NAMES[:2]])
    data = bytearray(path.read_bytes())
    data[place] ^= 255
    path.write_bytes(data)
    found = archived(tmp_path)
    with pytest.raises(Unfit, match="damaged in a.zip"):
        read(found[NAMES[0]], 100)
    assert read(found[NAMES[1]], 100) == bytes(40)


def test_a_replaced_archive_is_noticed(tmp_path):
    path = archive(tmp_path / "a.zip", [(NAMES[0], b"x")])
    assert read(path / NAMES[0], 9) == b"x"
    archive(tmp_path / "b", [(NAMES[0], b"other"), (NAMES[1], b"y")])
    os.replace(tmp_path / "b", path)
    assert read(path / NAMES[0], 9) == b"other" and set(archived(tmp_path)) == set(NAMES[:2])


# Writing


def test_a_scratch_file_follows_no_link_honours_the_umask_and_goes(tmp_path, monkeypatch):
    monkeypatch.setattr("mcutils.reading.secrets.token_hex", lambda n: "0" * 8)
    trap = tmp_path / f".a.{os.getpid()}.{'0' * 8}.npz"
    trap.symlink_to("victim")
    with pytest.raises(FileExistsError), scratch(tmp_path / "a.npz"):
        pass
    assert not (tmp_path / "victim").exists() and trap.is_symlink()
    trap.unlink()
    before = os.umask(0o027)
    try:
        with pytest.raises(KeyboardInterrupt), scratch(tmp_path / "a.npz") as (path, file):
            file.write(b"x")
            assert stat.S_IMODE(path.stat().st_mode) == 0o640
            raise KeyboardInterrupt
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == []
