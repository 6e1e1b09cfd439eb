"""The store: a folder of results named by their specs, with provenance, over read-only layers."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from safetensors import SafetensorError

from .. import reading
from ..curves import line, weights_at
from ..data.own import look_in
from ..errors import BadInput
from ..measures.alignment import Alignment
from .forms import misnamed, read_note
from .specs import Spec, is_line, key, kind_of, plain
from .specs.base import limit_of, read

SUFFIXES = (".npz", ".safetensors")
LOCKS, ASIDE = ".locks", ".damaged"  # folder of lock files; ending of what was set aside
MISSING, DENIED = "its data are missing", "it cannot be read now"  # neither is damage

# What readers of npz and safetensors raise on a file that is neither.
UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, MemoryError, OverflowError,
    zipfile.BadZipFile, zlib.error, SafetensorError,
)  # fmt: skip


class Damaged(BadInput):
    """A result that passed its checksum but cannot be read; it has been set aside."""


class Unwritable(BadInput):
    """The store cannot take another result; what is finished is kept."""


class Store:
    """A folder of results, each a file named by its spec's key beside a JSON file of its provenance.

    Weights and curves are safetensors, traces and profiles npz; nothing is pickled. A file is written under a temporary
    name and renamed, its checksum is compared whenever it is read, and a damaged one is set aside and computed again.
    Several processes may use one store: whoever computes or sets aside a result holds its lock, which ends with the
    process. ``layers`` are read-only stores below this one. A store may hold results in archives beside its files
    (`upkeep.pack`), which are read in place and never written to.
    """

    def __init__(self, folder: str | FilePath, layers: Sequence[str | FilePath] = ()):
        self.folder, self.layers = FilePath(folder), tuple(FilePath(p) for p in layers)
        look_in(*self.layers, self.folder)
        self._sound: dict[str, tuple[FilePath, Any]] = {}

    @contextmanager
    def lock(self, spec: Spec) -> Iterator[None]:
        """Hold a result's lock: one process computes it, others wait and then find it."""
        lock = FileLock(self.folder / LOCKS / f"{key(spec)}.lock")
        try:
            (self.folder / LOCKS).mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise Unwritable(self._refusal(f"the lock of {key(spec)}", error)) from None
        try:
            yield
        finally:
            lock.release()

    def _refusal(self, what: str, error: OSError) -> str:
        reason = error.strerror or error
        return (
            f"{what} cannot be written into the store {self.folder} ({reason}): make room or rights there, or choose"
            " another folder; what is finished is kept."
        )

    def _find(self, spec: Spec) -> FilePath | None:
        name = key(spec)
        if name in self._sound and _stamp(self._sound[name][0]) == self._sound[name][1]:
            return self._sound[name][0]
        for folder in (self.folder, *self.layers):
            for path in places_of(folder, f"{name}{spec.form.suffix}"):
                seen, wrong = _stamp(path), fault(path, asked=True)
                if not wrong:
                    self._sound[name] = path, seen
                    return path
                if wrong.startswith(DENIED):
                    raise BadInput(_denied(path, wrong))
                if wrong != MISSING and self._set_aside(path):
                    return self._find(spec)
        return None

    def _set_aside(self, path: FilePath, unreadable: tuple[int, ...] | None = None) -> bool:
        """Move a damaged result out of the way; true if another process has meanwhile written a sound one instead.

        ``unreadable`` is the stamp of a file that passed its checksum.
        """
        self._sound.pop(path.stem, None)
        if path.parent == self.folder and os.access(self.folder, os.W_OK):
            try:
                with renaming(path):
                    wrong = fault(path)
                    if wrong == MISSING:
                        return False
                    if not wrong and (unreadable is None or _stamp(path) != unreadable):
                        return True
                    put_aside(path)
            except OSError:  # somebody else's lock or folder: it is only left out
                pass
        print(f"damaged result {path.name}: it is left out and computed again", file=sys.stderr)
        return False

    def _found(self, spec: Spec) -> FilePath:
        if path := self._find(spec):
            return path
        raise BadInput(f"{key(spec)} is not in the store: compute it with study.run.")

    def __contains__(self, spec: Spec) -> bool:
        return self._find(spec) is not None

    def listed(self) -> set[str]:
        """Keys of the results that lie here beside their provenance; nothing is read, and any may be damaged."""
        found: set[str] = set()
        for folder in filter(FilePath.is_dir, (self.folder, *self.layers)):
            for names in (set(os.listdir(folder)), reading.archived(folder)):
                told = (name.removesuffix(".json") for name in names if name.endswith(".json"))
                found |= {name for name in told if any(f"{name}{suffix}" in names for suffix in SUFFIXES)}
        return found

    def provenance(self, spec: Spec) -> dict[str, Any]:
        """Who made the result: spec, seconds, versions."""
        return read_note(self._found(spec))

    def seconds(self, spec: Spec) -> float:
        """CPU seconds that the result took, on one thread."""
        return float(self.provenance(spec)["seconds"])

    def get(self, spec: Spec) -> Any:
        """Load a result: `Weights`, `Endpoint`, `Alignment`, `Curve`, `Trace`, `Profile`, `Plane` or arrays by name."""
        if is_line(spec):
            ends = (self.get(end) for end in (spec.start, spec.end))
            # Of weights alone: endpoints of two draws of the forget set belong to two tasks.
            return line(*(end.weights if isinstance(end, Alignment) else weights_at(end) for end in ends))
        path = self._found(spec)
        seen = self._sound[key(spec)][1]
        try:
            found = read(path, kind_of(spec), vars(spec))
            wrong = spec.check(found)
        except PermissionError as error:
            raise BadInput(_denied(path, f"{DENIED} ({error.strerror})")) from None
        except UNREADABLE as error:
            wrong = " ".join(str(error).split()) or type(error).__name__
        if wrong:
            self._set_aside(path, unreadable=seen)
            raise Damaged(f"{path.name} cannot be read ({wrong}): it is left out; compute it again.")
        return spec.whole(found, self)

    def put(self, spec: Spec, result: Any, seconds: float) -> None:
        """Write a result and its provenance, which is renamed first: data without provenance are never sound."""
        name, parts, file = key(spec), spec.parts(result), io.BytesIO()
        wrong = spec.check(parts)
        if wrong:
            raise BadInput(f"{name} is not kept, since {wrong}.")
        spec.form.save(file, parts)
        data = file.getvalue()
        note = {
            "key": name,
            "spec": plain(spec),
            "sha256": hashlib.sha256(data).hexdigest(),
            "seconds": round(seconds, 3),
            "versions": versions(),
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        final = self.folder / f"{name}{spec.form.suffix}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_pair(final, data, json.dumps(note, sort_keys=True).encode())
        except OSError as error:
            raise Unwritable(self._refusal(name, error)) from None
        self._sound[name] = final, _stamp(final)

    def check_writable(self) -> None:
        """Raise `BadInput` unless results can be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with reading.scratch(self.folder / "probe"):
                pass
        except OSError as error:
            wrong = f"the store {self.folder} cannot be written ({error.strerror}): choose another folder."
            raise BadInput(wrong) from None


def _stamp(path: FilePath) -> tuple[Any, ...] | None:
    """What changes when a result's file or its provenance is replaced or written to; None if either is missing."""
    found = [reading.stamp(p) for p in (path, path.with_suffix(".json"))]
    return None if None in found else tuple(found)


def _denied(path: FilePath, wrong: str) -> str:
    return f"{path.name} in {path.parent}: {wrong}; it is left alone, so ask its owner for the right to read it."


def places_of(folder: FilePath, name: str) -> Iterator[FilePath]:
    """Where a folder may hold a result of this file name: as a file, in an archive."""
    if reading.stamp(folder / name) is not None:
        yield folder / name
    try:
        inside = reading.archived(folder).get(name)
    except OSError as error:
        raise BadInput(f"an archive in {folder} cannot be read ({error.strerror or error}): ask its owner.") from None
    if inside is not None:
        yield inside


@contextmanager
def renaming(path: FilePath) -> Iterator[None]:
    """Hold what a result's two files are renamed under, so that nobody takes one of each for damage."""
    folder = path.parent / LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{path.name}.aside"):
        yield


def put_aside(path: FilePath) -> None:
    """Rename a result's data and provenance, whatever they are; the caller holds `renaming`."""
    for part in (path, path.with_suffix(".json")):
        if reading.stamp(part) is not None:
            aside = part.with_name(part.name + ASIDE)
            if part.is_dir() or aside.is_dir():  # a folder replaces nothing and is not replaced
                count = sum(1 for _ in part.parent.glob(f"{part.name}.*{ASIDE}"))
                aside = part.with_name(f"{part.name}.{count}{ASIDE}")
            os.replace(part, aside)


def write_pair(final: FilePath, data: bytes, note: bytes, locked: bool = True) -> None:
    """Write a result's data and provenance beside their places and rename them there, the provenance first."""
    with reading.scratch(final.with_suffix(".json")) as (first, one), reading.scratch(final) as (second, two):
        for file, content in ((one, note), (two, data)):
            file.write(content)
            file.close()
        with renaming(final) if locked else nullcontext():
            os.replace(first, final.with_suffix(".json"))
            os.replace(second, final)


def fault(path: FilePath, asked: bool = False) -> str:
    """What is wrong with a result's file or its provenance, in a few words; empty for a sound one.

    ``asked`` says that the name is that of a spec at hand, not one found in a folder.
    """
    digest = hashlib.sha256()
    try:
        note = read_note(path)
        wrong = misnamed(path, note, asked)
    except FileNotFoundError:
        wrong = "its provenance is missing"
    except (reading.Unfit, ValueError) as error:
        wrong = str(error)
    except OSError as error:
        return f"{DENIED} ({error.strerror or error})"
    try:
        if wrong:
            next(reading.pieces(path, 2**62), None)
            return wrong
        for piece in reading.pieces(path, limit_of(note["spec"]["spec"], note["spec"])):
            digest.update(piece)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except reading.Unfit as error:
        return str(error)
    except OSError as error:
        return f"{DENIED} ({error.strerror or error})"
    return "" if note["sha256"] == digest.hexdigest() else "its checksum differs"


def versions() -> dict[str, str]:
    """What determines numbers to the last bit: Python, torch, numpy, and the processor."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "processor": _processor(),
    }


@lru_cache(maxsize=1)
def _processor() -> str:
    """The processor's model and the instructions that torch uses on it."""
    try:
        lines = FilePath("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{[*names, platform.processor() or 'unknown'][0]}, {torch.backends.cpu.get_cpu_capability()}"
