"""Upkeep of a store: what it holds, whether it is sound, what can go, and copies of it or of parts."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import reading, streams
from ..data import own
from ..data.own import FOLDER as OWN
from ..errors import BadInput
from ..files import write_file
from .forms import data_path, is_result, misnamed, outdated, read_note
from .specs import KINDS, VERSIONS, key_of
from .store import ASIDE, DENIED, LOCKS, SUFFIXES, fault, places_of, put_aside, renaming, write_pair

INDEX = "provenance.json.xz"  # of the results in the archives beside it
SET_ASIDE = re.compile(rf"(.+\.(?:npz|safetensors|json))(?:\.\d+)?{re.escape(ASIDE)}")
SCRATCH = re.compile(r"\.(?:(?P<key>[a-z]+-[0-9a-f]{20})|probe)\.(?P<pid>\d{1,10})(?:\.[0-9a-f]{8})?(?P<end>\.\w+)?")


def results(folder: Path) -> list[Path]:
    """Data files of a store, those in its archives and those missing beside their provenance, in order of name.

    The path of a result in an archive is the archive's with the result's file name behind it.
    """
    if not folder.is_dir():
        raise BadInput(f"there is no store in {folder}: name a folder that a run has filled.")
    there = [*(folder / name for name in os.listdir(folder)), *reading.archived(folder).values()]
    found = {path for path in there if is_result(path.name)}
    found |= {data_path(path) for path in there if is_result(path.name, note=True)}
    return sorted(found, key=lambda path: (path.name, reading.in_archive(path), str(path)))


def verify(folder: Path) -> dict[Path, str]:
    """What of a store is damaged or cannot be read, each with what is wrong; nothing is changed.

    These are results, archives that cannot be listed, and data of one's own that are not those of their name.
    """
    bad = {path: wrong for path in results(folder) if (wrong := fault(path))}
    bad |= {path: "it is no whole archive" for path in reading.archives(folder) if not reading.is_archive(path)}
    return bad | {path: "its checksum differs" for path in _own(folder) if not own.is_whole(path)}


def _own(folder: Path) -> list[Path]:
    return sorted((folder / OWN).glob("*.safetensors"))


def mend(folder: Path) -> dict[Path, str]:
    """Set aside every damaged result of a store's own files, also those that nobody asks for; returns them as `verify`.

    What cannot be read now, and what lies in an archive, is left alone.
    """
    found = verify(folder).items() if os.access(folder, os.W_OK) else ()
    bad = {path: wrong for path, wrong in found if path.parent == folder and is_result(path.name)}
    for path in bad:
        with renaming(path):
            wrong = fault(path)
            if wrong and not wrong.startswith(DENIED):
                put_aside(path)
    return {path: wrong for path, wrong in bad.items() if not wrong.startswith(DENIED)}


def notes(folders: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Provenance of every result in these folders that has a readable one of its own, by key; the first folder wins.

    Of results in archives it is read from the folder's index, as far as there is one (`write_index`), and its specs
    share their parts. Whoever opens a result compares it with its own provenance.
    """
    found: dict[str, dict[str, Any]] = {}
    for folder in folders:
        known = _index(folder / INDEX, reading.stamp(folder / INDEX))
        for path in results(folder) if folder.is_dir() else ():
            try:
                note = _told(path, known)
                if note is not None:
                    found.setdefault(path.stem, {**note, "bytes": reading.size(path), "folder": folder, "path": path})
            except (OSError, ValueError):
                continue
    return found


Index = Mapping[str, tuple[int, Any]]  # the CRC-32 of provenance in an archive, and what it says, by key


def _told(path: Path, known: Index) -> Any:
    """The provenance of a result; None where it is another's. In an index it counts as long as it is the archive's."""
    if path.stem in known and reading.in_archive(path):
        crc, note = known[path.stem]
        if crc == reading.crc(path.with_suffix(".json")):
            return note
    note = read_note(path)
    return None if misnamed(path, note) else note


def write_index(folder: Path) -> None:
    """Write the provenance in a folder's archives as one file beside them, in which equal parts stand once."""
    parts: dict[str, int] = {}

    def place(value: Any) -> int:
        """Where a table or list stands: as its plain values, and where those of its values stand that are neither."""
        pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
        inner = {name: place(one) for name, one in pairs if isinstance(one, (dict, list))}
        plain = [None if name in inner else one for name, one in pairs]
        flat = dict(zip(value, plain, strict=True)) if isinstance(value, dict) else plain
        return parts.setdefault(json.dumps([flat, list(inner.items())]), len(parts))

    members = {name: path for name, path in reading.archived(folder).items() if is_result(name, note=True)}
    told = {path.stem: (reading.crc(path), place(read_note(path))) for _, path in sorted(members.items())}
    text = f'{{"parts": [{",".join(parts)}], "notes": {json.dumps(told)}}}'
    write_file(folder / INDEX, streams.compress([text.encode()]))


@lru_cache(maxsize=16)
def _index(path: Path, seen: Any) -> Index:
    """What `write_index` wrote; empty where there is none, and for a file that is none."""
    if seen is None:
        return {}
    try:
        with open(path, "rb") as file:
            [stream] = streams.listed(file)
            found = json.loads(streams.unpack(file, stream))
        made: list[Any] = []
        for flat, inner in found["parts"]:
            for name, at in inner:
                flat[name] = made[at]
            made.append(flat)
        return {name: (crc, made[at]) for name, (crc, at) in found["notes"].items() if made[at]["key"] == name}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def status(folder: Path) -> list[dict[str, Any]]:
    """Rows per kind of result: how many, megabytes, CPU seconds that they took; then what `collect` would remove."""
    found = [(k.split("-")[0], one["bytes"], float(one["seconds"])) for k, one in sorted(notes([folder]).items())]
    found += [("can go (gc)", path.stat().st_size, 0.0) for path in garbage(folder)]
    table: dict[str, dict[str, Any]] = {}
    for kind, size, seconds in found:
        row = table.setdefault(kind, {"kind": kind, "results": 0, "MB": 0.0, "CPU seconds": 0.0})
        row["results"] += 1
        row["MB"] += size / 1e6
        row["CPU seconds"] += seconds
    return list(table.values())


def is_store(folder: Path) -> bool:
    """Whether a folder holds a result of ours, or what a run leaves of one, or nothing at all."""
    names = [entry.name for entry in os.scandir(folder) if entry.name not in (LOCKS, OWN)]
    return not names or bool(reading.archived(folder)) or any(_ours(name) or SCRATCH.fullmatch(name) for name in names)


def _ours(name: str) -> bool:
    """Whether a file name is exactly that of a result, of its provenance, or of either set aside."""
    aside = SET_ASIDE.fullmatch(name)
    name = aside[1] if aside else name
    return is_result(name) or is_result(name, note=True)


def _check_shipped(folder: Path, shipped_too: bool) -> None:
    place = folder.resolve()
    if not shipped_too and place.name == "store" and (place.parent / "checksums.json").is_file():
        raise BadInput(f"{folder} holds the results that ship with the repository: say --yes if these are meant.")


def garbage(folder: Path) -> list[Path]:
    """Files that nothing will read: what was set aside, remains of killed writers, results of outdated versions.

    Only names that a store gives count, and of them only files, links and pipes, never folders.
    """
    results(folder)
    there = [Path(entry.path) for entry in os.scandir(folder) if not entry.is_dir(follow_symlinks=False)]
    waste = [path for path in there if path.name.endswith(ASIDE) and _ours(path.name)]
    waste += [path for path in there if _abandoned(path)]
    old = {name for name, note in notes([folder]).items() if outdated(note["spec"])}
    waste += [path for path in there if path.stem in old and _ours(path.name)]
    return sorted(waste)


def _abandoned(path: Path) -> bool:
    """Whether a scratch file's process has ended; it may run on another machine, so not for an hour."""
    found = SCRATCH.fullmatch(path.name)
    if found is None:
        return False
    name, end = found["key"], found["end"]
    if name is not None and not is_result(f"{name}{end}", note=end == ".json"):
        return False
    try:
        os.kill(int(found["pid"]), 0)
    except ProcessLookupError:
        return time.time() - path.lstat().st_mtime >= 3600
    except (OverflowError, PermissionError):
        pass
    return False


def collect(folder: Path, dry_run: bool = False, shipped_too: bool = False) -> tuple[int, int]:
    """Remove `garbage` and lock files that nobody holds; returns how many files and bytes went (or would).

    Raises `BadInput` for a folder that is no store, and for the shipped one unless ``shipped_too``.
    """
    if not folder.is_dir() or not is_store(folder):
        raise BadInput(f"there is no store in {folder}: name a folder that a run has filled.")
    _check_shipped(folder, shipped_too or dry_run)
    waste = garbage(folder)
    size = sum(path.lstat().st_size for path in waste)
    if not dry_run:
        for path in waste:
            path.unlink(missing_ok=True)
        _drop_locks(folder / LOCKS)
    return len(waste), size


def _drop_locks(folder: Path) -> None:
    from filelock import FileLock, Timeout

    for path in folder.glob("*"):
        name = path.name.removesuffix(".lock").removesuffix(".aside")
        if path.is_symlink() or not path.is_file() or not (_ours(name) or _ours(f"{name}.json")):
            continue
        try:
            with FileLock(path, timeout=0):
                path.unlink(missing_ok=True)
        except (Timeout, OSError):
            continue


def _found(keys: Iterable[str], folders: Sequence[Path], sources: Sequence[Path]) -> list[Path]:
    """The first sound result of each key; raises `BadInput` where there is none."""
    found = []
    for name in sorted(set(keys)):
        files = [f"{name}{suffix}" for suffix in SUFFIXES if is_result(f"{name}{suffix}")]
        places = (place for folder in folders for file in files for place in places_of(folder, file))
        path = next((place for place in places if not fault(place)), None)
        if path is None:
            raise BadInput(f"{name} is not sound in {' or '.join(map(str, sources))}: run what makes it first.")
        found.append(path)
    return found


def _check_target(target: Path, sources: Sequence[Path], shipped_too: bool) -> None:
    if target.resolve() == sources[0].resolve():
        raise BadInput(f"a store cannot be exported onto itself ({target}): choose another folder.")
    if target.exists() or target.is_symlink():
        if not target.is_dir():
            raise BadInput(f"{target} is no folder: name a new one, or a store.")
        if not is_store(target):
            raise BadInput(f"{target} holds other files and no result: name a new folder, or a store.")
        _check_shipped(target, shipped_too)


def export(
    keys: Iterable[str], sources: Sequence[Path], target: Path, exact: bool = False, shipped_too: bool = False
) -> int:
    """Copy these sound results from the first source that has each, with the data of one's own that they come from.

    Returns the target's size in bytes.

    ``exact`` makes the target hold no other result. Nothing is written unless all are found. Raises `BadInput` for a
    target with other files but no result, and for the shipped store unless ``shipped_too``.
    """
    sources = [Path(source) for source in sources]
    _check_target(target, sources, shipped_too)
    found = _found(keys, [*sources, *([target] if target.is_dir() else [])], sources)
    try:
        target.mkdir(parents=True, exist_ok=True)
        if exact:
            _remove_others(target, {part.name for path in found for part in (path, path.with_suffix(".json"))})
        for path in found:
            if path.parent.resolve() != target.resolve():
                write_pair(target / path.name, *_both(path), locked=(target / LOCKS).is_dir())
        for path in {p.name: p for source in reversed(sources) for p in _own_data(found, source)}.values():
            final = target / OWN / path.name
            if not final.exists():
                final.parent.mkdir(exist_ok=True)
                with reading.scratch(final) as (scratch, file):
                    file.writelines(reading.pieces(path, reading.size(path)))
                    file.close()
                    os.replace(scratch, final)
    except reading.Unfit as error:
        raise BadInput(f"{error}: delete it and give the task again.") from None
    except OSError as error:
        raise BadInput(f"{target} cannot be written ({error.strerror or error}): choose another folder.") from None
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def _own_data(found: Iterable[Path], source: Path) -> list[Path]:
    """Files in a store of the data of one's own that these results come from, and theirs."""
    kept = {path.stem: path for path in _own(source) if path.is_symlink() or own.is_whole(path)}
    texts = [json.dumps(read_note(path)["spec"]) for path in found] if kept else []
    return [path for checksum, path in kept.items() if any(f'"{checksum}"' in text for text in texts)]


def _both(path: Path) -> tuple[bytes, bytes]:
    """Data and provenance of a sound result, as they are."""
    note = path.with_suffix(".json")
    return reading.read(path, reading.size(path)), reading.read(note, reading.size(note))


def _archived(path: Path) -> tuple[bytes, bytes]:
    """Data of a sound result as an archive holds them, `Form.archived`, with provenance of that checksum."""
    data, note = _both(path)
    told = json.loads(note)
    small = KINDS[told["spec"]["spec"]].form.archived(data)
    if small == data:
        return data, note
    return small, json.dumps({**told, "sha256": hashlib.sha256(small).hexdigest()}, sort_keys=True).encode()


def _remove_others(folder: Path, kept: Iterable[str]) -> None:
    """Remove a store's results, what was set aside, and remains of writers; all other files stay."""
    for entry in list(os.scandir(folder)):
        ours = _ours(entry.name) or SCRATCH.fullmatch(entry.name)
        if ours and entry.name not in kept and not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)


def pack(
    groups: Mapping[str, Iterable[str]],
    sources: Sequence[Path],
    target: Path,
    shipped_too: bool = False,
    exact: bool = True,
) -> int:
    """Make a folder hold just these results, as an archive for each group of keys; returns its size in bytes.

    A key in several groups lies in the first. An archive that holds what it should stays as it is. Archives are
    compressed as a whole (`reading.compressed`), unless a result is too large to be unpacked at once, and results lie
    in them as such a file has them smallest (`Form.archived`), their numbers as they are to the last bit. Nothing is
    written unless all are found. Archives of results that are in no group go, as do results beside them, unless not
    ``exact``; other files stay. Raises `BadInput` as `export` does.
    """
    sources = [Path(source) for source in sources]
    seen: set[str] = set()
    _check_target(target, [*sources, Path("")], shipped_too)
    content: dict[str, dict[str, bytes]] = {}
    for group, keys in groups.items():
        if not re.fullmatch(r"[\w-]+", group):
            raise BadInput(f"an archive is named by letters, digits, - and _, got {group!r}.")
        names = sorted(set(keys) - seen)
        seen |= set(names)
        content[group] = {}
        for path in _found(names, [*sources, *([target] if target.is_dir() else [])], sources):
            content[group][path.name], content[group][f"{path.stem}.json"] = _archived(path)
    target.mkdir(parents=True, exist_ok=True)
    old = {path for path in reading.archives(target) if {p.parent for p in reading.archived(target).values()} & {path}}
    for group, members in content.items():
        final, other = _write_archive(target / group, members)
        other.unlink(missing_ok=True)
        old -= {final, other}
    if exact:
        for path in old:
            path.unlink()
        _remove_others(target, ())
    if (target / INDEX).is_file():
        write_index(target)
    return sum(path.stat().st_size for path in target.iterdir() if path.is_file())


def _write_archive(name: Path, members: Mapping[str, bytes]) -> tuple[Path, Path]:
    """Write an archive unless it is there; returns its path, and where one of the same group would lie otherwise."""
    plain, small = (name.with_name(f"{name.name}{suffix}") for suffix in reading.ARCHIVES)
    data = reading.compressed(members.items())
    final, other = (plain, small) if data is None else (small, plain)
    if not reading.holds(final, members.items()):
        with reading.scratch(final) as (scratch, file):
            if data is None:
                reading.pack(members.items(), file)
            else:
                file.write(data)
            file.close()
            os.replace(scratch, final)
    return final, other


def adopt(source: Path, target: Path, shipped_too: bool = False) -> tuple[int, int, dict[Path, str]]:
    """Copy into ``target`` the sound results of another store that it lacks.

    Returns how many were copied, how many it already had, and the damaged ones, which are left out.
    """
    bad = verify(source)
    there = {path.name for path in results(target) if not fault(path)} if target.is_dir() else set()
    names = {path.name: path.stem for path in results(source) if path not in bad}
    new = [stem for name, stem in names.items() if name not in there]
    if new:
        export(new, [source], target, shipped_too=shipped_too)
    target.mkdir(parents=True, exist_ok=True)
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
    found: dict[str, Mapping[str, Any]] = {}
    inner = description.values() if isinstance(description, Mapping) else description
    for value in inner if isinstance(description, (Mapping, list)) else ():
        is_result_of_ours = isinstance(value, Mapping) and value.get("spec") in VERSIONS
        found |= {key_of(value): value} if is_result_of_ours else parents_in(value)
    return found
