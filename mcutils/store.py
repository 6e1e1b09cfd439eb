"""The store: a folder of results named by their specs, with provenance, over read-only layers."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from safetensors import SafetensorError

from . import weights as weights_module
from .curves import Curve, line, weights_at
from .profiles import ProfileOf
from .settings import BadInput
from .specs import Path, Profile, Spec, TraceOf, Unlearned, is_line, key, key_of, plain
from .traces import Trace
from .unlearning import Endpoint, fingerprint

SUFFIXES = (".npz", ".safetensors")
LOCKS, ASIDE = ".locks", ".damaged"  # folder of lock files; ending of what was set aside

# What readers of npz and safetensors raise on a file that is neither.
UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, SafetensorError,
)  # fmt: skip


class Damaged(BadInput):
    """A result that passed its checksum but cannot be read; it has been set aside."""


class Store:
    """A folder of results, each a file named by its spec's key beside a JSON file of its provenance.

    Weights and curves are safetensors, traces and profiles npz; nothing is pickled. A file is written under a temporary
    name and renamed, its checksum is compared whenever it is read, and a damaged one is set aside and computed again.
    Several processes may use one store: whoever computes or sets aside a result holds its lock, which ends with the
    process. ``layers`` are read-only stores below this one.
    """

    def __init__(self, folder: str | FilePath, layers: Sequence[str | FilePath] = ()):
        self.folder, self.layers = FilePath(folder), tuple(FilePath(p) for p in layers)
        self._sound: dict[str, tuple[FilePath, Any]] = {}

    @contextmanager
    def lock(self, spec: Spec) -> Iterator[None]:
        """Hold a result's lock: one process computes it, others wait and then find it."""
        folder = self.folder / LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{key(spec)}.lock"):
            yield

    def _find(self, spec: Spec) -> FilePath | None:
        name = key(spec)
        if name in self._sound and _stamp(self._sound[name][0]) == self._sound[name][1]:
            return self._sound[name][0]
        for folder in (self.folder, *self.layers):
            path = folder / f"{name}{suffix_of(spec)}"
            if path.is_file():
                stamp = _stamp(path)
                if not fault(path):
                    self._sound[name] = path, stamp
                    return path
                if self._set_aside(path):
                    return self._find(spec)
        return None

    def _set_aside(self, path: FilePath, unreadable: tuple[int, ...] | None = None) -> bool:
        """Move a damaged result out of the way; true if another process has meanwhile written a sound one instead.

        ``unreadable`` is the stamp of a file that passed its checksum.
        """
        self._sound.pop(path.stem, None)
        if path.parent == self.folder and os.access(self.folder, os.W_OK):
            with self._renaming(path):
                if not path.is_file():
                    return False
                if not fault(path) and (unreadable is None or _stamp(path) != unreadable):
                    return True
                for part in (path, path.with_suffix(".json")):
                    with suppress(OSError):
                        os.replace(part, part.with_name(part.name + ASIDE))
        print(f"damaged result {path.name}: it is left out and computed again", file=sys.stderr)
        return False

    @contextmanager
    def _renaming(self, path: FilePath) -> Iterator[None]:
        """Hold what a result's two files are renamed under, so that nobody takes one of each for damage."""
        folder = self.folder / LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{path.name}.aside"):
            yield

    def __contains__(self, spec: Spec) -> bool:
        return self._find(spec) is not None

    def provenance(self, spec: Spec) -> dict[str, Any]:
        """Who made the result: spec, seconds, versions."""
        path = self._find(spec)
        if path is None:
            raise BadInput(f"{key(spec)} is not in the store: compute it with study.run.")
        return json.loads(path.with_suffix(".json").read_text())

    def seconds(self, spec: Spec) -> float:
        """CPU seconds that the result took, on one thread."""
        return float(self.provenance(spec)["seconds"])

    def get(self, spec: Spec) -> Any:
        """Load a result: `Weights`, `Endpoint`, `Curve`, `Trace` or `ProfileOf`."""
        if is_line(spec):
            return line(self.get(spec.start), self.get(spec.end))
        path = self._find(spec)
        if path is None:
            raise BadInput(f"{key(spec)} is not in the store: compute it with study.run.")
        stamp = self._sound[key(spec)][1]
        try:
            found = _read(spec, path)
        except UNREADABLE as error:
            self._set_aside(path, unreadable=stamp)
            raise Damaged(f"{path.name} cannot be read ({error}): it is left out; compute it again.") from None
        if isinstance(spec, Path):
            ends = [weights_at(self.get(e)) for e in (spec.start, spec.end)]
            return Curve(spec.kind, (ends[0], *found, ends[1]))
        if isinstance(spec, Unlearned):
            origin = weights_at(self.get(spec.origin))
            made = spec.method, spec.curriculum, spec.optimizer, spec.seed, spec.settings
            return Endpoint(found[0], origin, fingerprint(spec.data.task(spec.forget)), *made, self.seconds(spec))
        return found[0] if isinstance(found, list) else found

    def put(self, spec: Spec, result: Any, seconds: float) -> None:
        """Write a result and its provenance, which is renamed first: data without provenance are never sound."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name, suffix = key(spec), suffix_of(spec)
        final, scratch = self.folder / f"{name}{suffix}", self.folder / f".{name}.{os.getpid()}{suffix}"
        if isinstance(result, (Trace, ProfileOf)):
            result.save(scratch)
        elif isinstance(result, Curve):
            weights_module.save(scratch, result.points[1:-1])
        else:
            weights_module.save(scratch, [weights_at(result)])
        note = {
            "key": name,
            "spec": plain(spec),
            "sha256": hashlib.sha256(scratch.read_bytes()).hexdigest(),
            "seconds": round(seconds, 3),
            "versions": versions(),
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        scratch_note = scratch.with_suffix(".json")
        scratch_note.write_text(json.dumps(note, sort_keys=True))
        with self._renaming(final):
            os.replace(scratch_note, final.with_suffix(".json"))
            os.replace(scratch, final)
            self._sound[name] = final, _stamp(final)

    def check_writable(self) -> None:
        """Raise `BadInput` unless results can be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".probe.{os.getpid()}"
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise BadInput(
                f"the store {self.folder} cannot be written ({error.strerror}): choose another folder."
            ) from None


def _stamp(path: FilePath) -> tuple[int, ...] | None:
    """What changes when a result's file or its provenance is replaced or written to; None if either is missing."""
    try:
        found = [p.stat() for p in (path, path.with_suffix(".json"))]
    except OSError:
        return None
    return tuple(n for s in found for n in (s.st_ino, s.st_size, s.st_mtime_ns))


def suffix_of(spec: Spec) -> str:
    """The ending of a result's file: arrays are npz, weights safetensors."""
    return ".npz" if isinstance(spec, (TraceOf, Profile)) else ".safetensors"


def fault(path: FilePath) -> str:
    """What is wrong with a result's file or its provenance, in a few words; empty for a sound one."""
    note_path = path.with_suffix(".json")
    try:
        data = path.read_bytes()
    except OSError:
        return "its data are missing"
    try:
        note = json.loads(note_path.read_text())
        said = note["key"], key_of(note["spec"]), note["sha256"], float(note["seconds"])
    except OSError:
        return "its provenance is missing"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "its provenance cannot be read"
    if said[:2] != (path.stem, path.stem):
        return "its provenance is of another result"
    return "" if said[2] == hashlib.sha256(data).hexdigest() else "its checksum differs"


def _read(spec: Spec, path: FilePath) -> Any:
    if isinstance(spec, (TraceOf, Profile)):
        with open(path, "rb") as file:  # numpy leaves a file open that it opened and cannot read
            return Trace.load(file) if isinstance(spec, TraceOf) else ProfileOf.load(file)
    return weights_module.load(path)


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
    return f"{names[0] if names else platform.processor() or 'unknown'}, {torch.backends.cpu.get_cpu_capability()}"
