"""The store: a folder of results named by their specs, with provenance, over read-only layers."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch

from . import weights as weights_module
from .curves import Curve, line, weights_at
from .profiles import ProfileOf
from .settings import BadInput
from .specs import Path, Profile, Spec, TraceOf, Unlearned, is_line, key, plain
from .traces import Trace
from .unlearning import Endpoint, fingerprint


class Store:
    """A folder of results, each a file named by its spec's key beside a JSON file of its provenance.

    Weights and curves are safetensors, traces and profiles npz; nothing is pickled. A file is written under a temporary
    name and renamed, its checksum is compared whenever it is read, and a damaged one is set aside and computed again.
    ``layers`` are read-only stores below this one.
    """

    def __init__(self, folder: str | FilePath, layers: Sequence[str | FilePath] = ()):
        self.folder, self.layers = FilePath(folder), tuple(FilePath(p) for p in layers)
        self._sound: dict[str, tuple[FilePath, Any]] = {}

    def _find(self, spec: Spec) -> FilePath | None:
        name = key(spec)
        if name in self._sound and _stamp(self._sound[name][0]) == self._sound[name][1]:
            return self._sound[name][0]
        suffix = ".npz" if isinstance(spec, (TraceOf, Profile)) else ".safetensors"
        for folder in (self.folder, *self.layers):
            path = folder / f"{name}{suffix}"
            if path.is_file() or path.with_suffix(".json").is_file():
                stamp = _stamp(path)
                if self._is_sound(path):
                    self._sound[name] = path, stamp
                    return path
                self._set_aside(path)
        return None

    @staticmethod
    def _is_sound(path: FilePath) -> bool:
        try:
            note = json.loads(path.with_suffix(".json").read_text())
            return note["key"] == path.stem and note["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _set_aside(self, path: FilePath) -> None:
        print(f"damaged result {path.name}: it is left out and computed again", file=sys.stderr)
        if path.parent == self.folder:
            for part in (path, path.with_suffix(".json")):
                with suppress(OSError):  # missing, moved by another process, or a read-only folder
                    os.replace(part, part.with_name(part.name + ".damaged"))

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
        if isinstance(spec, TraceOf):
            return Trace.load(path)
        if isinstance(spec, Profile):
            with np.load(path, allow_pickle=False) as file:
                return ProfileOf({name: file[name] for name in file.files})
        points = weights_module.load(path)
        if isinstance(spec, Path):
            ends = [weights_at(self.get(e)) for e in (spec.start, spec.end)]
            return Curve(spec.kind, (ends[0], *points, ends[1]))
        if isinstance(spec, Unlearned):
            origin = weights_at(self.get(spec.origin))
            made = spec.method, spec.curriculum, spec.optimizer, spec.seed, spec.settings
            return Endpoint(points[0], origin, fingerprint(spec.data.task(spec.forget)), *made, self.seconds(spec))
        return points[0]

    def put(self, spec: Spec, result: Any, seconds: float) -> None:
        """Write a result and its provenance; the provenance last, so that a result without one never counts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = key(spec)
        suffix = ".npz" if isinstance(spec, (TraceOf, Profile)) else ".safetensors"
        final, scratch = self.folder / f"{name}{suffix}", self.folder / f".{name}.{os.getpid()}{suffix}"
        if isinstance(result, Trace):
            result.save(scratch)
        elif isinstance(result, ProfileOf):
            with open(scratch, "wb") as file:
                np.savez_compressed(file, **result.arrays)
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
        os.replace(scratch, final)
        scratch_note = scratch.with_suffix(".json")
        scratch_note.write_text(json.dumps(note, indent=1, sort_keys=True))
        os.replace(scratch_note, final.with_suffix(".json"))
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


def export(keys: Iterable[str], source: str | FilePath, target: str | FilePath) -> int:
    """Make ``target`` a layer that holds just these keys' files, copied from a store; returns its size in bytes."""
    source, target = FilePath(source), FilePath(target)
    if source.resolve() == target.resolve():
        raise BadInput(f"a layer cannot be exported onto its own store {source}: choose another folder.")
    found: list[FilePath] = []
    for name in sorted(set(keys)):
        candidates = [folder / f"{name}{suffix}" for folder in (source, target) for suffix in (".npz", ".safetensors")]
        path = next((p for p in candidates if Store._is_sound(p)), None)
        if path is None:
            raise BadInput(f"{name} is neither in {source} nor in {target}: run the notebooks on that store first.")
        found += [path, path.with_suffix(".json")]
    target.mkdir(parents=True, exist_ok=True)
    kept = {path.name for path in found}
    for path in target.iterdir():
        if path.name not in kept:
            path.unlink()
    for path in found:
        if path.parent != target:
            shutil.copyfile(path, target / path.name)
    return sum(path.stat().st_size for path in target.iterdir())


def versions() -> dict[str, str]:
    """Versions of what determines numbers: Python, torch, numpy, and the processor's architecture."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
