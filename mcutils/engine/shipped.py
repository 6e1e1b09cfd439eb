"""Shipped endpoints: a few trained and unlearned models in half precision, to walk, attack or relearn at once."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from .. import reading, weights as weights_module
from ..curves import weights_at
from ..data.tasks import data_folder
from ..errors import BadInput, choose, seed_of, shown, whole
from ..files import write_file
from ..settings import MethodSettings, Plan
from ..unlearning.endpoints import Endpoint, fingerprint
from ..weights import Weights
from .specs import OriginalSpec, RetrainedSpec, UnlearnedSpec, key, kind_of, plain
from .store import Store
from .study import Study

FOLDER, INDEX, MODELS = "endpoints", "index.json", "models.zip"
COUNT, ORIGINALS = 40, 3  # models that ship of a preset whose originals have a forget set each
LIMIT = 100e6  # bytes of one model, beyond which a file is not read


def load(name: str = "npo", *, seed: int = 42, original: int = 0, path: str | Path | None = None) -> Endpoint | Weights:
    """Load a shipped model: an `Endpoint` of a method, or the `Weights` of ``original`` or ``retrained``.

    The weights were rounded to float16 and come back as float32, so they are close to the exact results of a study
    (accuracies agree to a tenth of a point) and never taken for them.

    Args:
        name: a method, ``original`` or ``retrained``.
        seed: the seed of unlearning or training.
        original: the seed of the original model; of a retrained one that of the original whose forget set it lacks,
            where originals have a forget set each. It says nothing of ``original`` itself.
        path: the folder of shipped files; None takes ``$MCUTILS_DATA``, else what came with the package.

    Raises:
        BadInput: no such model ships (the message lists those that do), or its file is damaged.

    >>> end = load("npo", seed=42)
    >>> end.method, end.seed, sorted(end.weights.params) == sorted(end.origin.params)
    ('npo', 42, True)
    """
    folder = data_folder(path) / FOLDER
    entries = {(e["name"], e["seed"], e["original"]): e for e in _index(folder)}
    choose("shipped model", name, dict.fromkeys(e[0] for e in entries))
    seed_of(seed), seed_of(original, "original")
    asked = (name, seed, seed if name == "original" else original)
    if name == "retrained" and asked not in entries:
        asked = (name, seed, seed)  # all originals have one forget set
    if asked not in entries:
        listed = ", ".join(f"{n} {s} (original {o})" for n, s, o in entries if n == name)
        raise BadInput(f"no {name} of seed {seed} on original {original} ships: there are {listed}.")
    entry = entries[asked]
    found = _read(folder, entry)
    if "settings" not in entry:
        return found
    origin = _read(folder, entries["original", original, original])
    said = entry["settings"]
    plan = Plan(**{name: value for name, value in said["plan"].items() if name != "spec"})
    made = entry["task"], entry["name"], entry["curriculum"], entry["optimizer"], entry["seed"]
    settings = MethodSettings(plan, said["options"], said["curriculum_options"])
    return Endpoint(found, origin, *made, settings, float(entry["seconds"]))


def models_to_ship(study: Study, count: int = COUNT) -> list[OriginalSpec | RetrainedSpec | UnlearnedSpec]:
    """The models that ship of a preset whose originals have a forget set each, ``count`` in all.

    Of its first three originals: themselves, two models retrained without the forget set of each, and an endpoint of
    every method; then the quickstart's method with the second seed, and other methods with it as far as they fit.

    >>> import mcutils as mc
    >>> names = [getattr(one, "method", "") for one in models_to_ship(mc.study("laptop"))]
    >>> len(names), names.count("npo"), names.count("salun"), names.count("")
    (40, 6, 3, 9)
    """
    if not study.preset.originals:
        raise BadInput(
            f"the originals of the preset {study.preset.name} have one forget set: ask for the preset laptop."
        )
    chosen = study.originals[:ORIGINALS]
    apart = [study.retrained(seed, original=o) for o in chosen for seed in study.seeds[:2]]
    first = study.preset.quickstart_method
    methods = dict.fromkeys((first, *study.preset.methods, "finetune"))
    ends = [
        study.unlearned(name, seed, origin=study.original(o))
        for seed in study.seeds
        for name in methods
        for o in chosen
    ]
    every: list[OriginalSpec | RetrainedSpec | UnlearnedSpec] = [*map(study.original, chosen), *apart, *ends]
    return every[: whole("count", count, 1)]


def write_endpoints(store: Store, specs: Iterable[OriginalSpec | RetrainedSpec | UnlearnedSpec], folder: Path) -> None:
    """Write models of a store in half precision, one archive, and an index of what each is and its accuracies."""
    specs, entries = list(specs), []
    members: dict[str, bytes] = {}
    each = len({spec.data.draw for spec in specs}) > 1  # originals have a forget set each
    for spec in specs:
        origin = spec.origin if isinstance(spec, UnlearnedSpec) else spec
        name = spec.method if isinstance(spec, UnlearnedSpec) else kind_of(spec).lower()
        whose = spec.data.draw if each and isinstance(spec, RetrainedSpec) else origin.seed
        entry: dict[str, Any] = {"name": name, "seed": spec.seed, "original": whose, "exact": key(spec)}
        half, file = weights_at(store.get(spec)).to(torch.float16), io.BytesIO()
        weights_module.check_same_shape([half])
        weights_module.save(file, [half])
        entry["file"] = f"{name}-{spec.seed}-{whose}.safetensors"
        members[entry["file"]] = file.getvalue()
        task = spec.data.task(getattr(spec, "forget", 0.1))
        entry["sha256"] = hashlib.sha256(file.getvalue()).hexdigest()
        entry |= {split: _accuracy(half, task, split) for split in ("retain", "forget", "test")}
        if isinstance(spec, UnlearnedSpec):
            entry |= {"task": fingerprint(task), "seconds": store.seconds(spec), "settings": plain(spec.settings)}
            entry |= {"curriculum": spec.curriculum, "optimizer": spec.optimizer}
        entries.append(entry)
    folder.mkdir(parents=True, exist_ok=True)
    with reading.scratch(folder / MODELS) as (scratch, archive):
        reading.pack(members.items(), archive)
        archive.close()
        os.replace(scratch, folder / MODELS)
    write_file(folder / INDEX, json.dumps(entries, indent=1, sort_keys=True) + "\n")


def _accuracy(weights: Weights, task: Any, split: str) -> float:
    module = weights_module.module_of(weights.to(torch.float32))
    with torch.no_grad():
        found = torch.cat([module(x).argmax(1) for x in task.inputs(split).split(500)])
    return round(float((found == task.labels(split)).float().mean()), 4)


def _index(folder: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        for one in found:
            if not (isinstance(one["name"], str) and isinstance(one["file"], str)):
                raise TypeError(f"an entry is {shown(one)}")
        return found
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = getattr(error, "strerror", None) or shown(error)
        raise BadInput(f"the shipped models in {folder} have no index that can be read ({why}).") from None


def _read(folder: Path, entry: Mapping[str, Any]) -> Weights:
    name, archive, data = Path(entry["file"]).name, folder / MODELS, b""
    remedy = "take it anew from the repository, or compute the exact model with mc.study"
    try:
        if archive.is_file():  # no pipe
            with zipfile.ZipFile(archive) as content:
                data = content.read(name) if content.getinfo(name).file_size < LIMIT else b""
    except OSError as error:
        raise BadInput(f"the shipped models {archive} cannot be read ({error.strerror}): {remedy}.") from None
    except reading.UNREADABLE:
        pass
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise BadInput(f"the shipped model {name} is missing in {archive} or differs from its checksum: {remedy}.")
    return weights_module.load(io.BytesIO(data))[0].to(torch.float32)
