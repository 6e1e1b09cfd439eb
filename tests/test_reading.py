"""Reading what may be anything: only regular files of bounded size, archives in place; writing exclusively."""

import bz2
import io
import lzma
import os
import socket
import stat
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from mcutils import reading, streams
from mcutils.reading import (
    Unfit,
    archived,
    compressed,
    flattened,
    holds,
    in_archive,
    load_arrays,
    pack,
    read,
    scratch,
    size,
    stamp,
)

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


def test_flat_arrays_are_the_same_and_flat_again():
    arrays = {"a": np.zeros(1000), "é/b": np.array(["x=1"]), "c": np.float16(-0.0)}
    np.savez_compressed(file := io.BytesIO(), **arrays)
    flat = flattened(file.getvalue())
    assert len(flat) > 8000 > len(file.getvalue()) and flattened(flat) == flat
    found = load_arrays(io.BytesIO(flat))
    assert list(found) == list(arrays)
    for name, values in arrays.items():
        assert found[name].tobytes() == values.tobytes() and found[name].dtype == values.dtype


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


# Archives compressed as a whole


def small(path, members):
    path.write_bytes(compressed(members))
    return path


def squeezed(data, memory=2**16, check=lzma.CHECK_CRC32):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": memory}]
    return lzma.compress(data, lzma.FORMAT_XZ, check, filters=filters)


def zipped(members):
    file = io.BytesIO()
    pack(members, file)
    return file.getvalue()


def test_an_archive_compressed_as_a_whole_is_the_zip_and_read_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "PIECE", 1000)
    rng = np.random.default_rng(0)
    members = [(name, rng.bytes(700)) for name in NAMES] + [(NAMES[0].replace("npz", "json"), b"{}" * 5000)]
    path = small(tmp_path / "a.zip.xz", members)
    assert lzma.decompress(path.read_bytes()) == zipped(members[::-1])
    assert path.read_bytes() == compressed(members[::-1]) and path.stat().st_size < 3000
    assert {name: read(one, 2**21) for name, one in archived(tmp_path).items()} == dict(members)
    assert size(path / NAMES[0]) == 700 and in_archive(path / NAMES[0])
    assert holds(path, members) and not holds(path, members[1:]) and not holds(tmp_path / "b.zip.xz", members)
    with pytest.raises(Unfit, match="larger than 699"):
        read(path / NAMES[0], 699)
    # one stream, by another program's settings
    (tmp_path / "a.zip.xz").write_bytes(squeezed(zipped(members), 2**23, lzma.CHECK_CRC64))
    assert {name: read(one, 2**21) for name, one in archived(tmp_path).items()} == dict(members)


def test_an_archive_of_nothing_is_sound(tmp_path, capsys):
    small(tmp_path / "a.zip.xz", [])
    assert archived(tmp_path) == {} and capsys.readouterr().err == ""


def test_nothing_but_what_is_asked_for_is_unpacked(tmp_path, monkeypatch):
    unpacked = []
    real = streams.unpack
    monkeypatch.setattr(streams, "unpack", lambda file, one: unpacked.append(one.length) or real(file, one))
    monkeypatch.setattr(reading, "PIECE", 1000)
    note = NAMES[0].replace("npz", "json")
    path = small(tmp_path / "a.zip.xz", [*((name, bytes(5000)) for name in NAMES), (note, b"{}")])
    assert set(archived(tmp_path)) == {*NAMES, note} and sum(unpacked) < 500
    assert read(path / note, 9) == b"{}" and sum(unpacked) < 700
    assert read(path / NAMES[1], 10**4) and sum(unpacked) < 6000
    seen = len(unpacked)
    assert read(path / NAMES[1], 10**4) and len(unpacked) == seen  # it was kept


def index_of(data):
    """The streams of a file."""
    return streams.listed(io.BytesIO(data))


def claiming(length):
    """A stream of one byte whose index, with right checksums, claims another length."""
    data, number = squeezed(b"x"), []
    index = data[-12 - 4 * (data[-8] + 1) : -12]  # 0, one record, its size in the file, its length, zeros, checksum
    head = data[: -12 - len(index)]
    while length >= 128:
        number.append(length & 127 | 128)
        length >>= 7
    body = index[:3] + bytes([*number, length])
    body += bytes(-len(body) % 4)
    tail = (len(body) // 4).to_bytes(4, "little") + data[-4:-2]
    parts = head, body, zlib.crc32(body).to_bytes(4, "little"), zlib.crc32(tail).to_bytes(4, "little"), tail, b"YZ"
    return b"".join(parts)


GOOD = [(NAMES[0], b"x" * 3000)]
WRONG = {
    "cut": lambda data: data[:-4],
    "cut in front": lambda data: data[4:],
    "nothing": lambda data: b"",
    "trailing": lambda data: data + b"odd!",
    "padded": lambda data: data + bytes(4),
    "in front": lambda data: b"odd!" + data,
    "between": lambda data: data[: index_of(data)[1].start] + b"odd!" + data[index_of(data)[1].start :],
    "no zip": lambda data: squeezed(b"nonsense"),
    "zip": lambda data: zipped(GOOD),
    "greedy": lambda data: squeezed(zipped(GOOD), 2**26),
    "bomb": lambda data: squeezed(bytes(2**25 + 1)),
    "claims more": lambda data: claiming(10**4),
    "claims a lot": lambda data: claiming(2**60) + data,
    "bombs": lambda data: claiming(2**25) * 40 + data,
    "many": lambda data: squeezed(b"") * 120 + data,
    "bzip2": lambda data: bz2.compress(zipped(GOOD)),
    "old lzma": lambda data: lzma.compress(zipped(GOOD), lzma.FORMAT_ALONE),
    "directory": lambda data: data[:-60] + bytes([data[-60] ^ 1]) + data[-59:],
}


@pytest.mark.parametrize("what", WRONG)
def test_a_bomb_and_what_else_is_no_archive_is_left_out_with_a_sentence(what, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(streams, "MOST", (streams.MOST[0], 100))
    (tmp_path / "a.zip.xz").write_bytes(WRONG[what](compressed(GOOD)))
    small(tmp_path / "b.zip.xz", [(NAMES[1], b"y")])
    tracemalloc.start()
    try:
        found = archived(tmp_path)
        for path in found.values():
            if path.parent.name == "a.zip.xz":  # its directory says nothing wrong: a member does
                with pytest.raises(Unfit, match=f"{path.name} is damaged in a.zip.xz"):
                    read(path, 10**4)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken < 2**23
    assert read(found[NAMES[1]], 9) == b"y"
    told = capsys.readouterr().err
    assert told == "damaged archive a.zip.xz: it is left out, its results are computed again\n" or set(found) == {
        *NAMES[:2]
    }


@pytest.mark.parametrize("place", range(0, 1200, 29))
def test_no_changed_byte_goes_unnoticed(place, tmp_path, capsys):  # noqa: ARG001
    members = [(NAMES[0], np.random.default_rng(0).bytes(500)), (NAMES[0].replace("npz", "json"), b"{}")]
    data = bytearray(compressed(members))
    data[place % len(data)] ^= 1 << place % 8
    (tmp_path / "a.zip.xz").write_bytes(data)
    for name, path in archived(tmp_path).items():
        try:
            assert read(path, 10**3) == dict(members)[name]
        except Unfit as error:
            assert str(error) == f"{name} is damaged in a.zip.xz"  # noqa: PT017


def test_what_was_unpacked_is_kept_only_so_long(monkeypatch):
    made = []
    kept = reading._Recent(10)
    for name in "abab":
        assert kept(name, lambda name=name: made.append(name) or name.encode() * 4) == name.encode() * 4
    assert made == ["a", "b"]
    for name in "cba":
        kept(name, lambda name=name: made.append(name) or name.encode() * 4)
    assert made == ["a", "b", "c", "a"]


@pytest.mark.parametrize("form", ["a.zip", "a.zip.xz"])
def test_a_replaced_archive_is_noticed(form, tmp_path):
    write = archive if form == "a.zip" else small
    path = write(tmp_path / form, [(NAMES[0], b"x")])
    assert read(path / NAMES[0], 9) == b"x"
    write(tmp_path / "b", [(NAMES[0], b"other"), (NAMES[1], b"y")])
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
