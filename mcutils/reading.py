"""Files that may be anything: bounded reading of regular files and of members of archives, exclusive writing."""

from __future__ import annotations

import io
import math
import os
import re
import secrets
import stat
import sys
import threading
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import streams
from .errors import BadInput, path_of, reason, shown, visible

NAME = re.compile(r"([a-z]+)-[0-9a-f]{20}\.(npz|safetensors|json)")  # a result's data, or its provenance
ARCHIVES = ".zip", ".zip.xz"  # as it is; compressed as a whole
PIECE = 2**22  # bytes, about, that are unpacked at once of an archive compressed as a whole
LARGEST_ARRAYS = 2**31  # bytes that the arrays of one npz may take
MOST_ARRAYS = 4096
# Neither follow a link nor wait for a pipe, where the system knows how to say so.
CAREFUL = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))
# What reading a file that may be anything raises, whatever its format.
UNREADABLE = (
    *(OSError, ValueError, TypeError, LookupError, EOFError, RuntimeError, MemoryError, AttributeError),
    *(zipfile.BadZipFile, zlib.error),
)
UNPACKED = 2**27  # bytes that are kept of what was unpacked
RECENT = 10**9  # ns within which a folder may change again without another time of change


class Unfit(OSError):
    """What lies in a file's place is no file that is ever read: a link, a folder, a pipe, or far too large."""


def _open(path: Path) -> BinaryIO:
    """Open a regular file; a link is not followed and a pipe not waited for."""
    try:
        number = os.open(path, os.O_RDONLY | CAREFUL | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        if _is_odd(path):
            raise Unfit(f"{path.name} is no regular file") from None
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise Unfit(f"{path.name} is no regular file")
    return os.fdopen(number, "rb")


def _is_odd(path: Path) -> bool:
    try:
        return not stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def in_archive(path: Path) -> bool:
    """Whether a path names a member of an archive: that of the archive with the member's name behind it."""
    return path.parent.name.endswith(ARCHIVES)


def pieces(path: Path, limit: int) -> Iterator[bytes]:
    """The bytes of a regular file, or of an archive's member, in pieces.

    Raises `Unfit` for what is neither or larger than ``limit`` bytes, and `OSError` where it cannot be read.
    """
    if in_archive(path) and not path.parent.is_dir():
        yield _member(path, limit)
        return
    with _open(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise Unfit(f"{path.name} is larger than {limit:,} bytes")
        left = limit
        while piece := file.read(2**20):
            left -= len(piece)
            if left < 0:
                raise Unfit(f"{path.name} is larger than {limit:,} bytes")
            yield piece


def read(path: Path, limit: int) -> bytes:
    """All bytes that `pieces` gives."""
    return b"".join(pieces(path, limit))


def bytes_of(path: Path) -> bytes:
    """All bytes of a file, which a link may lead to; raises `OSError` for what is none, and waits for no pipe."""
    if path.exists() and not path.is_file():
        raise Unfit("it is no regular file")
    return path.read_bytes()


def stamp(path: Path) -> tuple[int, ...] | None:
    """What changes when a file, or the archive that holds it, is replaced or written to; None if it is missing."""
    inside = in_archive(path) and not path.parent.is_dir()
    try:
        found = os.lstat(path.parent if inside else path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def size(path: Path) -> int:
    """Bytes of a file or of an archive's member."""
    if in_archive(path) and not path.parent.is_dir():
        return _place(path)[1]
    return os.lstat(path).st_size


# Archives


def crc(path: Path) -> int:
    """The CRC-32 of an archive's member, as the archive's directory has it."""
    return _place(path)[2]


def archived(folder: Path) -> dict[str, Path]:
    """Members of a folder's archives by name, each with its path; the archive first in order of name wins."""
    return _members(tuple((archive, stamp(archive)) for archive in archives(folder)))


@lru_cache(maxsize=64)
def _members(there: tuple[tuple[Path, Any], ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for archive, seen in reversed(there):
        found |= {name: archive / name for name in _directory(archive, seen)}
    return found


_LISTED: dict[Path, tuple[int, list[Path]]] = {}


def archives(folder: Path) -> list[Path]:
    """The archives in a folder, in order of name; links and all that is no regular file are passed over."""
    try:
        changed = os.stat(folder).st_mtime_ns
        if folder in _LISTED and _LISTED[folder][0] == changed:
            return _LISTED[folder][1]
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.name.endswith(ARCHIVES) and e.is_file(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [folder / name for name in sorted(names) if not name.startswith(".")]
    if time.time_ns() - changed > RECENT:
        _LISTED[folder] = changed, found
    return found


def is_archive(path: Path) -> bool:
    """Whether an archive can be read as far as its list of members; one of others' files is an archive too."""
    return _listing(path) is not None


def _listing(archive: Path) -> list[zipfile.ZipInfo] | None:
    """What an archive says of its members; None where it is damaged."""
    try:
        with _unpacked(archive) as file, zipfile.ZipFile(file) as content:
            return content.infolist()
    except PermissionError:
        raise
    except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError):
        return None


@lru_cache(maxsize=256)
def _directory(archive: Path, seen: Any) -> dict[str, tuple[int, int, int]]:
    """Offset, bytes and CRC-32 of an archive's members: only stored ones of a result's name that occurs once."""
    infos = _listing(archive)
    if infos is None:
        name = visible(archive.name)
        print(f"damaged archive {name}: it is left out, its results are computed again", file=sys.stderr)
        return {}
    count, found = Counter(info.filename for info in infos), {}
    for info in infos:
        plain = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1
        if NAME.fullmatch(info.filename) and plain and info.compress_size == info.file_size:
            found[info.filename] = info.header_offset, info.file_size, info.CRC
    if twice := {name for name in found if count[name] > 1}:
        print(
            f"archive {visible(archive.name)} holds {min(twice)} twice: it is left out and computed again",
            file=sys.stderr,
        )
    return {name: place for name, place in found.items() if name not in twice}


def _place(path: Path) -> tuple[int, int, int]:
    try:
        return _directory(path.parent, stamp(path.parent))[path.name]
    except KeyError:
        raise FileNotFoundError(f"{path.parent.name} holds no {path.name}") from None


def _member(path: Path, limit: int) -> bytes:
    offset, length, crc = _place(path)
    if length > limit:
        raise Unfit(f"{path.name} is larger than {limit:,} bytes")
    try:
        with _unpacked(path.parent) as file:
            file.seek(offset)
            head = file.read(30)  # a local header: signature, ..., lengths of name and extra field
            skip = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            file.seek(skip, os.SEEK_CUR)
            data = file.read(length)
    except ValueError:
        head = data = b""
    if head[:4] != b"PK\x03\x04" or len(data) != length or zlib.crc32(data) != crc:
        raise Unfit(f"{path.name} is damaged in {path.parent.name}")
    return data


def pack(members: Iterable[tuple[str, bytes]], file: BinaryIO) -> list[int]:
    """Write an archive: members stored as they are, provenance first, then in order of name, without dates.

    So equal members make equal archives. Returns where each member begins, and then where their directory does.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as content:
        for name, data in sorted(members, key=lambda member: (not member[0].endswith(".json"), member[0])):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16
            content.writestr(info, data)
        return [*(info.header_offset for info in content.infolist()), content.start_dir]


def compressed(members: Iterable[tuple[str, bytes]]) -> bytes | None:
    """The archive that `pack` writes, compressed by xz in pieces; None where a member is too large for one.

    No piece holds both provenance and data, and the directory has one of its own: each is unpacked without the others.
    """
    members, whole = list(members), io.BytesIO()
    places = pack(members, whole)
    notes = places[sum(name.endswith(".json") for name, _ in members)]
    cuts = [0]
    for begin, end in zip(places, places[1:], strict=False):
        if end - cuts[-1] > PIECE or begin == notes:
            cuts.append(begin)
    data = whole.getvalue()
    ends = sorted({*cuts, places[-1], len(data)})
    parts = [data[a:b] for a, b in zip(ends, ends[1:], strict=False)]
    return streams.compress(parts) if max(map(len, parts)) <= streams.LARGEST else None


def holds(archive: Path, members: Iterable[tuple[str, bytes]]) -> bool:
    """Whether an archive holds just these members, as `pack` or `compressed` would write them."""
    expected = io.BytesIO()
    pack(members, expected)
    try:
        with _unpacked(archive) as file:
            return file.read(len(expected.getvalue()) + 1) == expected.getvalue()
    except (OSError, ValueError):
        return False


@contextmanager
def _unpacked(archive: Path) -> Iterator[BinaryIO]:
    """An archive as the zip that it is, opened to read, unpacked as far as it is read."""
    with _open(archive) as file:
        if not archive.name.endswith(ARCHIVES[1]):
            yield file
            return
        seen = stamp(archive)

        def give(stream: streams.Stream) -> bytes:
            return _RECENT((archive, seen, stream), lambda: streams.unpack(file, stream))

        yield io.BufferedReader(streams.Unpacked(_streams(archive, seen), give))


@lru_cache(maxsize=256)
def _streams(archive: Path, seen: Any) -> list[streams.Stream]:
    with _open(archive) as file:
        return streams.listed(file)


class _Recent:
    """Results of a function by key, those used last, of at most so many bytes in all."""

    def __init__(self, limit: int):
        self._kept: dict[Any, bytes] = {}
        self._limit, self._lock = limit, threading.Lock()

    def __call__(self, key: Any, make: Callable[[], bytes]) -> bytes:
        with self._lock:
            found = self._kept.pop(key, None)
        found = make() if found is None else found
        with self._lock:
            self._kept[key] = found
            while sum(map(len, self._kept.values())) > self._limit:
                self._kept.pop(next(iter(self._kept)))
        return found


_RECENT = _Recent(UNPACKED)


# Writing


@contextmanager
def scratch(final: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file beside the one it will be renamed to, made with the rights that the umask leaves.

    It is made exclusively, so that no link is followed, and removed unless it was renamed, whatever happened.
    """
    path = final.with_name(f".{final.stem[:200]}.{os.getpid()}.{secrets.token_hex(4)}{final.suffix}")
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | CAREFUL, 0o666)
    try:
        with os.fdopen(number, "wb") as file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def writing(target: str | Path | BinaryIO) -> Any:
    """A file to write to, opened where only its path is given; `BadInput` where it cannot be."""
    if hasattr(target, "write"):
        return nullcontext(target)
    try:
        return open(path_of(target), "wb")
    except OSError as error:
        raise BadInput(f"{shown(str(target))} cannot be written: {error.strerror or error}.") from None


# Arrays


@contextmanager
def opened(source: str | Path | BinaryIO, what: str) -> Iterator[BinaryIO]:
    """A file to read ``what`` from; `BadInput` for no file, a pipe, and what cannot be read as it should be."""
    path = None if hasattr(source, "read") else path_of(source)
    if path is not None and not path.is_file():
        raise BadInput(f"there is no file {shown(str(path))} to read {what} from.")
    try:
        with nullcontext(source) if path is None else open(path, "rb") as file:
            yield file  # type: ignore[misc]
    except BadInput:
        raise
    except UNREADABLE as error:
        raise BadInput(f"the file does not hold {what} as save writes it: {reason(error)}.") from error


def load_arrays(file: BinaryIO, limit: int = LARGEST_ARRAYS) -> dict[str, np.ndarray]:
    """The arrays of an npz; nothing is unpickled, and what its headers claim is compared before anything is read.

    Raises `ValueError` for arrays of more than ``limit`` bytes in all, a name that occurs twice, or a claim that is
    not what the archive holds; else what `zipfile` raises.
    """
    with zipfile.ZipFile(file) as content:
        infos = content.infolist()
        names = [info.filename.removesuffix(".npy") for info in infos]
        if len(infos) > MOST_ARRAYS or len(set(names)) < len(names):
            raise ValueError("an array occurs twice, or there are too many")
        if sum(info.file_size for info in infos) > limit:
            raise ValueError(f"its arrays claim more than {limit:,} bytes")
        return {name: _array(content.read(info)) for name, info in zip(names, infos, strict=True)}


def flattened(data: bytes) -> bytes:
    """An npz with its arrays as they are, not compressed, for what compresses many of them together."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as new:
        for info in old.infolist():
            new.writestr(zipfile.ZipInfo(info.filename, (1980, 1, 1, 0, 0, 0)), old.read(info))
    return file.getvalue()


def save_groups(target: Any, arrays: Mapping[str, Any], meta: Mapping[str, str], **groups: Mapping[str, Any]) -> None:
    """Write arrays, facts and groups of arrays, each named ``group/name``, as a compressed npz without pickle."""
    facts = np.array([f"{k}={v}" for k, v in sorted(meta.items())], dtype=np.str_)
    within = {f"{group}/{name}": found for group, named in groups.items() for name, found in named.items()}
    with writing(target) as file:
        np.savez_compressed(file, **{**arrays, "meta": facts, **within})


def load_groups(file: BinaryIO, limit: int, *groups: str) -> dict[str, Any]:
    """What `save_groups` wrote, by name: arrays, ``meta``, and a dictionary for each group; nothing is unpickled."""
    arrays = load_arrays(file, limit)
    found: dict[str, Any] = {group: {} for group in groups}
    found["meta"] = dict(str(item).split("=", 1) for item in arrays.pop("meta"))
    for name, values in arrays.items():
        group, inside, rest = name.partition("/")
        (found[group] if inside else found)[rest or name] = values
    return found


def _array(data: bytes) -> np.ndarray:
    """An array from the bytes of an npy file; raises `ValueError` unless its header claims just what follows it."""
    file = io.BytesIO(data)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in reader:
        raise ValueError(f"an array of format {version} is not read")
    shape, fortran, dtype = reader[version](file)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"an array claims shape {shape}, which is not what it holds")
    found = np.ndarray(shape, dtype, buffer=data, offset=file.tell(), order="F" if fortran else "C")
    return found.copy("K")


def differences(values: np.ndarray) -> np.ndarray:
    """Second differences along the first axis of the bits of floats as whole numbers, modulo their number."""
    found = np.ascontiguousarray(values).view(f"i{values.dtype.itemsize}")
    for _ in range(2):
        found = np.concatenate([found[:1], found[1:] - found[:-1]])
    return found


def summed(values: np.ndarray) -> np.ndarray:
    """The floats whose `differences` these are."""
    if values.dtype not in (np.int16, np.int32, np.int64):
        raise ValueError(f"differences of bits are whole numbers of 16, 32 or 64 bits, got {values.dtype}")
    for _ in range(2):
        values = np.cumsum(values, axis=0, dtype=values.dtype)
    return values.view(f"f{values.dtype.itemsize}")
