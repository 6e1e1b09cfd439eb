"""What commands print, with nothing that a terminal would obey, and what they write into folders of a user's.

Only what is still as we wrote it is overwritten or removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import reading
from ..errors import BadInput
from ..files import folder_at, write_file

NOTE = ".mcutils.sha256"  # in each such folder, as sha256sum writes and checks it
LARGEST = 2**30


def noted(folder: Path) -> dict[str, str]:
    """SHA-256 of what we wrote into a folder, by name below it; nothing where there is no note that can be read."""
    try:
        lines = reading.read(folder / NOTE, LARGEST).decode().splitlines()
    except (OSError, ValueError):
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def check(folder: Path, names: Iterable[str]) -> None:
    """Raise `BadInput` where one of these files is in a folder, but not as we wrote it."""
    known = noted(folder_at(folder, "folder"))
    for name in names:
        path = folder / name
        if (path.exists() or path.is_symlink()) and (name not in known or _digest(path) != known[name]):
            raise BadInput(f"{path} is not as mcutils wrote it: move it away, or write elsewhere.")


def write(folder: Path, files: Mapping[str, str | bytes], exact: bool = False) -> list[Path]:
    """Write all files or, as `check` says, none; ``exact`` removes what we wrote there before. Returns their paths."""
    check(folder, files)
    if exact:
        for name in noted(folder).keys() - files:
            if _digest(folder / name) == noted(folder)[name]:
                (folder / name).unlink()
    for name, data in files.items():
        write_file(folder / name, data)
    note(folder, files)
    return [folder / name for name in files]


def note(folder: Path, names: Iterable[str]) -> None:
    """Note that these files of a folder are ours as they are."""
    known = noted(folder) | {name: _digest(folder / name) for name in names}
    lines = [f"{digest}  {name}\n" for name, digest in sorted(known.items()) if (folder / name).is_file()]
    write_file(folder / NOTE, "".join(lines))


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(reading.read(path, LARGEST)).hexdigest()
    except OSError:
        return ""


def table(rows: Sequence[Sequence[Any]], right: Iterable[int] = ()) -> str:
    """Rows of text as aligned columns; the last is not padded."""
    texts, to_right = [[printable(str(value)) for value in row] for row in rows], set(right)
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = []
    for row in texts:
        cells = [v.rjust(widths[i]) if i in to_right else v.ljust(widths[i]) for i, v in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def shown(path: Path) -> str:
    """A path as seen from the working directory, where it lies below it, with nothing that a terminal would obey."""
    return printable(str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path))


def printable(text: str) -> str:
    """A text in which codes that would steer a terminal are written out, line ends aside."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
