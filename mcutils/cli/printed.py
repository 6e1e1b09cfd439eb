"""What commands print: tables, paths, and nothing that a terminal would obey."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


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
