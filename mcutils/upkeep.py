"""Upkeep of a store: what it holds, whether it is sound, what can go, and copies of it or of parts."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .settings import BadInput
from .specs import ARRAYS, VERSIONS, key_of
from .store import ASIDE, LOCKS, SUFFIXES, fault


def results(folder: Path) -> list[Path]:
    """Data files of a store, and those that are missing beside their provenance, in order of name."""
    if not folder.is_dir():
        raise BadInput(f"there is no store in {folder}: name a folder that a run has filled.")
    kinds = {kind.__name__.lower() for kind in ARRAYS}
    found = {path for suffix in SUFFIXES for path in folder.glob(f"[!.]*{suffix}")}
    for note in folder.glob("[!.]*.json"):
        if not any(note.with_suffix(suffix) in found for suffix in SUFFIXES):
            found.add(note.with_suffix(SUFFIXES[0] if note.stem.split("-")[0] in kinds else SUFFIXES[1]))
    return sorted(found)


def verify(folder: Path) -> dict[Path, str]:
    """The damaged results of a store, each with what is wrong; nothing is changed."""
    return {path: wrong for path in results(folder) if (wrong := fault(path))}


def notes(folders: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Provenance of every result in these folders that has a readable one of its own, by key; the first folder wins."""
    found: dict[str, dict[str, Any]] = {}
    for folder in folders:
        for path in results(folder) if folder.is_dir() else ():
            try:
                note = json.loads(path.with_suffix(".json").read_text())
                said = note["key"], key_of(note["spec"])
                if said == (path.stem, path.stem) and float(note["seconds"]) >= 0:
                    found.setdefault(path.stem, {**note, "bytes": path.stat().st_size, "folder": folder})
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
    return found


def status(folder: Path) -> list[dict[str, Any]]:
    """Rows per kind of result: how many, megabytes, CPU seconds that they took; then what `collect` would remove."""
    table: dict[str, dict[str, Any]] = {}
    for note in notes([folder]).values():
        row = table.setdefault(str(note["key"]).split("-")[0], {"results": 0, "MB": 0.0, "CPU seconds": 0.0})
        row["results"] += 1
        row["MB"] += note["bytes"] / 1e6
        row["CPU seconds"] += float(note.get("seconds", 0))
    rows = [{"kind": kind, **table[kind]} for kind in sorted(table)]
    waste = garbage(folder)
    size = sum(path.stat().st_size for path in waste) / 1e6
    return rows + ([{"kind": "can go (gc)", "results": len(waste), "MB": size, "CPU seconds": 0.0}] if waste else [])


def outdated(description: Any) -> bool:
    """Whether a spec written by `plain` names a version that this code no longer makes, at any depth."""
    if isinstance(description, Mapping):
        version = VERSIONS.get(str(description.get("spec")))
        traces = VERSIONS["TraceOf"]
        old = description.get("version") != version or description.get("traces", traces) != traces
        return old or any(map(outdated, description.values()))
    return isinstance(description, list) and any(map(outdated, description))


def garbage(folder: Path) -> list[Path]:
    """Files that nothing will read: what was set aside, remains of killed writers, results of outdated versions."""
    results(folder)
    waste = list(folder.glob(f"*{ASIDE}"))
    waste += [path for path in folder.glob(".*") if path.is_file() and not _alive(path)]
    for name, note in notes([folder]).items():
        if outdated(note["spec"]):
            waste += [p for p in folder.glob(f"{name}.*") if p.suffix in (*SUFFIXES, ".json")]
    return sorted(waste)


def _alive(path: Path) -> bool:
    """Whether a scratch file's process may still be writing it; it may run on another machine, so for an hour."""
    number = next((part for part in path.name.split(".")[:1:-1] if part.isdigit()), "")
    try:
        os.kill(int(number), 0)
        return True
    except (ValueError, OverflowError, PermissionError):
        return True
    except ProcessLookupError:
        return time.time() - path.stat().st_mtime < 3600


def collect(folder: Path, dry_run: bool = False) -> tuple[int, int]:
    """Remove `garbage` and lock files that nobody holds; returns how many files and bytes went (or would)."""
    waste = garbage(folder)
    size = sum(path.stat().st_size for path in waste)
    if not dry_run:
        for path in waste:
            path.unlink(missing_ok=True)
        _drop_locks(folder / LOCKS)
    return len(waste), size


def _drop_locks(folder: Path) -> None:
    from filelock import FileLock, Timeout

    for path in folder.glob("*"):
        try:
            with FileLock(path, timeout=0):
                path.unlink(missing_ok=True)
        except Timeout:
            continue


def export(keys: Iterable[str], sources: Sequence[Path], target: Path, exact: bool = False) -> int:
    """Copy these sound results from the first source that has each; returns the target's size in bytes.

    ``exact`` makes the target hold no other result. Nothing is written unless all are found.
    """
    sources = [Path(source) for source in sources]
    if target.resolve() == sources[0].resolve():
        raise BadInput(f"a store cannot be exported onto itself ({target}): choose another folder.")
    found: list[Path] = []
    for name in sorted(set(keys)):
        candidates = [folder / f"{name}{suffix}" for folder in (*sources, target) for suffix in SUFFIXES]
        path = next((p for p in candidates if p.is_file() and not fault(p)), None)
        if path is None:
            raise BadInput(f"{name} is not sound in {' or '.join(map(str, sources))}: run what makes it first.")
        found += [path.with_suffix(".json"), path]  # provenance first, as `Store.put` does
    target.mkdir(parents=True, exist_ok=True)
    if exact:
        kept, kinds = {path.name for path in found}, {kind.lower() for kind in VERSIONS}
        for path in target.iterdir():
            ours = path.is_file() and path.name.lstrip(".").split("-")[0] in kinds
            if ours and path.name not in kept:
                path.unlink()
    for path in found:
        if path.parent.resolve() != target.resolve():
            scratch = target / f".{path.stem}.{os.getpid()}{path.suffix}"
            shutil.copyfile(path, scratch)
            os.replace(scratch, target / path.name)
    return sum(path.stat().st_size for path in target.iterdir() if path.is_file())


def adopt(source: Path, target: Path) -> tuple[int, int, dict[Path, str]]:
    """Copy into ``target`` the sound results of another store that it lacks.

    Returns how many were copied, how many it already had, and the damaged ones, which are left out.
    """
    bad = verify(source)
    there = {path.name for path in results(target) if not fault(path)} if target.is_dir() else set()
    names = [path for path in results(source) if path not in bad]
    new = [path.stem for path in names if path.name not in there]
    target.mkdir(parents=True, exist_ok=True)
    if new:
        export(new, [source], target)
    return len(new), len(names) - len(new), bad


def matching(prefix: str, folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Provenance of the results whose key begins like this; raises `BadInput` if there is none."""
    found = {name: note for name, note in notes(folders).items() if name.startswith(prefix)}
    if not found:
        where = ", ".join(map(str, folders))
        raise BadInput(
            f"no result's key begins with {prefix!r} in {where}: python -m mcutils store status shows kinds."
        )
    return found


def parents_in(description: Any) -> dict[str, Mapping[str, Any]]:
    """The results nested directly in a spec written by `plain`, by key."""
    if isinstance(description, Mapping):
        inner = description.values()
    elif isinstance(description, list):
        inner = description
    else:
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for value in inner:
        if isinstance(value, Mapping) and value.get("spec") in VERSIONS:
            found[key_of(value)] = value
        else:
            found |= parents_in(value)
    return found
