"""Files: where the repository and what ships with it are, switches of the environment, writing at once or not."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from .errors import BadInput, path_of, shown, whole
from .reading import scratch

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # of the repository, if the package lies in one
CLONE = (ROOT / "pyproject.toml").is_file() and (ROOT / "data" / "checksums.json").is_file()
# What ships: in a clone beside the package, in an installed package (see pyproject.toml) inside it.
DATA = ROOT / "data" if CLONE else PACKAGE / "_data"
# Where results go by default: into the clone, else into the folder one works in.
BUILD = ROOT / "build" if CLONE else Path("build")
SWITCHES = {"": False, "0": False, "no": False, "false": False, "off": False} | dict.fromkeys(
    ("1", "yes", "true", "on"), True
)


def switched(name: str) -> bool:
    """Whether an environment variable says yes (1, yes, true, on) or no (empty, 0, no, false, off); else `BadInput`."""
    given = os.environ.get(name, "")
    if given.strip().lower() not in SWITCHES:
        raise BadInput(f"{name} must be 1, yes, true or on, or else 0, no, false, off or empty, got {shown(given)}.")
    return SWITCHES[given.strip().lower()]


def place(given: Any, variable: str, default: Path, name: str = "") -> Path:
    """A path as given (None and "" are not), else as an environment variable says, else the default; or `BadInput`."""
    if given is None or given == "":
        given, name = os.environ.get(variable) or default, variable
    return path_of(given, name or variable)


def counted(name: str, given: Any, low: int, high: int) -> int | None:
    """A whole number from ``low`` to ``high``, also as a command line or a variable writes it; None for None."""
    if isinstance(given, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", given.strip(" ")):
        given = int(given)
    return None if given is None else whole(name, given, low, high)


def folder_at(path: Path, name: str) -> Path:
    """Return the path of a folder that is there or may be made; `BadInput` for what is or lies below something else."""
    try:
        if (path.exists() or path.is_symlink()) and not path.is_dir():
            raise BadInput(f"the {name} {shown(str(path))} is not a folder.")
        return path if path.is_dir() else folder_at(path.parent, name) and path
    except OSError as error:
        raise BadInput(f"the {name} {shown(str(path))} cannot be used as a folder ({error.strerror}).") from None


def file_at(path: Path, name: str) -> Path:
    """Return the path of an ordinary file that is there or may be written; `BadInput` for anything else."""
    folder_at(path.parent, f"folder of {name}")
    try:
        if path.exists() and not path.is_file():
            raise BadInput(f"{name} must name an ordinary file, but {shown(str(path))} is none.")
    except OSError as error:
        raise BadInput(f"{name} {shown(str(path))} cannot be used ({error.strerror}).") from None
    return path


def write_file(path: Path, data: str | bytes) -> None:
    """Write a file at once or not at all, into a folder that is made if need be; `BadInput` if it cannot be."""
    file_at(path, "what is written")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch(path) as (part, file):
            file.write(data.encode() if isinstance(data, str) else data)
            file.close()
            os.replace(part, path)
    except OSError as error:
        raise BadInput(f"cannot write {path.name} in the folder {path.parent}: {error.strerror or error}.") from error
