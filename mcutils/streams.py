"""Files compressed by xz in streams one after the other, read piece by piece: only what is asked for is unpacked.

Any program for xz unpacks such a file whole. The format is that of https://tukaani.org/xz/xz-file-format.txt.
"""

from __future__ import annotations

import errno
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, NamedTuple

MAGIC, FOOTER, HEAD = b"\xfd7zXZ\0", b"YZ", 12  # of a stream; bytes of its header and of its footer
LARGEST = 2**25  # bytes that one stream may hold
MOST = 2**30, 2**12  # bytes and streams that a file may hold
MEMORY = 2**24  # bytes that unpacking may take beside what it gives: a dictionary of 8 MB, as xz has by default, fits
DICTIONARY = 2**22  # bytes
FILTERS: list[dict[str, Any]] = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": DICTIONARY}]


class Stream(NamedTuple):
    """Where a stream lies in its file, and which bytes of the unpacked whole it holds."""

    start: int
    size: int
    first: int
    length: int


def compress(parts: Iterable[bytes]) -> bytes:
    """One stream for each part; equal parts give equal bytes, by one version of liblzma.

    Raises `ValueError` for a part that `unpack` would refuse.
    """
    found = []
    for part in parts:
        if len(part) > LARGEST:
            raise ValueError(f"a stream holds at most {LARGEST:,} bytes, got {len(part):,}")
        found.append(lzma.compress(part, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=FILTERS))
    return b"".join(found)


def listed(file: BinaryIO) -> list[Stream]:
    """The streams of a file, in order, from the indices that lie at their ends; nothing is unpacked.

    Raises `ValueError` for a file that is not streams from its first byte to its last, or claims too much.
    """
    end = file.seek(0, os.SEEK_END)
    found: list[tuple[int, int, int]] = []
    total = 0
    while end > 0:
        start, length = _last(file, end)
        total += length
        if length > LARGEST or total > MOST[0] or len(found) == MOST[1]:
            raise ValueError("it claims more than is unpacked")
        found.append((start, end - start, length))
        end = start
    streams, first = [], 0
    for start, size, length in reversed(found):
        streams.append(Stream(start, size, first, length))
        first += length
    return streams


def _last(file: BinaryIO, end: int) -> tuple[int, int]:
    """Where the stream that ends here begins, and how many bytes it holds."""
    footer = _at(file, end - HEAD, HEAD)
    size = 4 * (int.from_bytes(footer[4:8], "little") + 1)
    if footer[10:] != FOOTER or zlib.crc32(footer[4:10]) != int.from_bytes(footer[:4], "little") or size > end:
        raise ValueError("it does not end as a stream does")
    index = _at(file, end - HEAD - size, size)
    if index[0] or zlib.crc32(index[:-4]) != int.from_bytes(index[-4:], "little"):
        raise ValueError("the index of a stream is damaged")
    count, place = _whole(index, 1)
    packed = length = 0
    for _ in range(count):
        unpadded, place = _whole(index, place)
        held, place = _whole(index, place)
        packed += -(-unpadded // 4) * 4
        length += held
    start = end - 2 * HEAD - size - packed
    if _at(file, start, len(MAGIC)) != MAGIC:
        raise ValueError("a stream does not begin as one")
    return start, length


def _at(file: BinaryIO, place: int, size: int) -> bytes:
    if place < 0:
        raise ValueError("it is cut short")
    file.seek(place)
    return file.read(size)


def _whole(data: bytes, place: int) -> tuple[int, int]:
    """A whole number of seven bits a byte, the least first, and the place behind it."""
    value = 0
    for k in range(9):
        if place >= len(data) - 4:
            break
        value |= (data[place] & 127) << 7 * k
        place += 1
        if data[place - 1] < 128:
            return value, place
    raise ValueError("the index of a stream is damaged")


def unpack(file: BinaryIO, stream: Stream) -> bytes:
    """The bytes that a stream holds; raises `ValueError` unless it is sound and holds just what its index claims."""
    worker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
    try:
        found = worker.decompress(_at(file, stream.start, stream.size), stream.length + 1)
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(str(error)) from None
    if len(found) != stream.length or not worker.eof or worker.unused_data:
        raise ValueError("a stream holds something other than its index claims")
    return found


class Unpacked(io.RawIOBase):
    """The unpacked whole of some streams as a file to read, each unpacked when a byte of it is asked for.

    Args:
        streams: as `listed` returns them.
        give: the bytes of one of them.
    """

    def __init__(self, streams: list[Stream], give: Callable[[Stream], bytes]):
        self._streams, self._give, self._place = streams, give, 0
        self._end = streams[-1].first + streams[-1].length if streams else 0

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether one may go to any place: yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, counted from the start, from here, or from the end."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._end}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "there is nothing before the first byte")  # as of any file; zipfile asks
        self._place = base + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Read bytes of one stream."""
        for stream in self._streams:
            skip = self._place - stream.first
            if 0 <= skip < stream.length:
                part = self._give(stream)[skip : skip + len(buffer)]
                buffer[: len(part)] = part
                self._place += len(part)
                return len(part)
        return 0
