"""What a result and its provenance look like: whatever has passed a checksum is compared with its spec."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path as FilePath
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch

from .. import reading
from ..data.tasks import SHAPES
from ..errors import LARGEST_SEED
from ..measures.metrics import METRICS
from ..measures.planes import Plane
from ..measures.profiles import Profile
from ..traces import SPLITS, Trace
from ..weights import Weights
from .specs import (
    ARRAYS,
    KINDS,
    LATER,
    VERSIONS,
    AlikeSpec,
    CueUseSpec,
    CurveSpec,
    MetricSpec,
    PlaneSpec,
    ProfileSpec,
    Spec,
    TraceSpec,
    is_arrays,
    key_of,
    name_of,
)

LARGEST_NOTE = 2**24  # bytes of a result's provenance
PER_POINT, PER_WEIGHTS = 2**26, 2**32  # bytes of arrays for each t of a trace; of a network's weights
DEEPEST = 48  # levels of a description; that of a profile of a curve has some ten
OTHER, NONSENSE = "its provenance is of another result", "its provenance describes no result"


def suffix_of(spec: Spec) -> str:
    """The ending of a result's file: arrays are npz, weights safetensors."""
    return ".npz" if is_arrays(spec) else ".safetensors"


@lru_cache(maxsize=1)
def _suffixes() -> dict[str, str]:
    arrays = {name_of(kind) for kind in ARRAYS}
    return {kind.lower(): ".npz" if kind in arrays else ".safetensors" for kind in VERSIONS}


def is_result(name: str, note: bool = False) -> bool:
    """Whether a file name is that of a result's data, or, if asked for, of its provenance."""
    found = reading.NAME.fullmatch(name)
    known = _suffixes().get(found[1]) if found else None
    return known is not None and name.endswith(".json" if note else known)


def data_path(note: FilePath) -> FilePath:
    """The data file beside a provenance file."""
    return note.with_suffix(_suffixes()[note.name.split("-")[0]])


# Provenance


def read_note(path: FilePath) -> dict[str, Any]:
    """The provenance of a result's data file; raises `OSError`, or `ValueError` for what is none."""
    text = reading.read(path.with_suffix(".json"), LARGEST_NOTE)
    try:
        note = json.loads(text, parse_constant=_no_number)
        _check_depth(note)
        seconds, spec = note["seconds"], note["spec"]
        texts = [note["key"], note["sha256"], note.get("created", ""), *note.get("versions", {}).values()]
        right = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 <= float(seconds) < math.inf
        if not right or not isinstance(spec, dict) or not all(isinstance(t, str) and t.isprintable() for t in texts):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ValueError("its provenance cannot be read") from None
    return note


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _check_depth(value: Any, left: int = DEEPEST) -> None:
    if left == 0:
        raise ValueError("nested too deeply")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(inner, (dict, list)):
            _check_depth(inner, left - 1)


def misnamed(path: FilePath, note: Mapping[str, Any], asked: bool = False) -> str:
    """What is wrong between a result's name and its provenance, in a few words; empty if nothing is.

    The name that a spec has given is ``asked`` for: a description with the same key is that spec's.
    """
    try:
        said = note["key"], key_of(note["spec"])
    except (KeyError, TypeError, AttributeError):
        return "its provenance cannot be read"
    if said != (path.stem, path.stem):
        return OTHER
    spec = note["spec"]
    return "" if asked or outdated(spec) or _fits(spec, KINDS.get(str(spec["spec"]))) else NONSENSE


def outdated(description: Any) -> bool:
    """Whether a spec written by `plain` names a version that this code no longer makes, at any depth."""
    if isinstance(description, Mapping):
        version = VERSIONS.get(str(description.get("spec")))
        traces = VERSIONS["TraceOf"]
        old = description.get("version") != version or description.get("traces", traces) != traces
        return old or any(map(outdated, description.values()))
    return isinstance(description, list) and any(map(outdated, description))


@lru_cache(maxsize=64)
def _fields(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value read from JSON is what a field of this type is written as by `specs.plain`."""
    inner, kind = get_args(hint), get_origin(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if kind is tuple:
        if not isinstance(value, list):
            return False
        if inner[-1] is Ellipsis:
            return all(_fits(one, inner[0]) for one in value)
        return len(value) == len(inner) and all(map(_fits, value, inner))
    if is_dataclass(hint):
        if not isinstance(value, dict) or value.get("spec") != name_of(hint):
            return False
        hints = _fields(hint)
        left_out = {name for name in hints if name not in value and (name_of(hint), name) in LATER}
        named = hints.keys() - left_out <= value.keys()
        return named and all(_fits(value[name], one) for name, one in hints.items() if name not in left_out)
    return _plain_fits(value, hint)


def _plain_fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return any(_plain_fits(value, one) for one in (bool, float, str, type(None)))
    if hint is bool or isinstance(value, bool):
        return hint is bool and isinstance(value, bool)
    if hint in (int, float):
        number = isinstance(value, int) or (hint is float and isinstance(value, float) and math.isfinite(value))
        return number and abs(value) <= LARGEST_SEED
    return isinstance(value, hint) and (hint is not str or value.isprintable())


# Sizes


def limit_of(kind: str, settings: Mapping[str, Any]) -> int:
    """Bytes that a result of this kind, with these settings of its spec, may have."""
    count = settings.get("points") or settings.get("control_points") or 1
    each = PER_POINT if _suffixes().get(kind.lower()) == ".npz" else PER_WEIGHTS
    return each * (count if isinstance(count, int) and count > 0 else 1)


# Content


def misfit(spec: Spec, found: Any) -> str:
    """What a loaded result has that its spec does not allow, or lacks, in a few words; empty for a fitting one."""
    if isinstance(spec, TraceSpec):
        return _of_trace(spec, found)
    if isinstance(spec, ProfileSpec):
        return _of_profile(spec, found)
    if isinstance(spec, PlaneSpec):
        return _of_plane(spec, found)
    if isinstance(spec, MetricSpec):
        return _shaped(found, {"values": (spec.trace.points,)})
    if isinstance(spec, AlikeSpec):
        return _shaped(found, dict.fromkeys(found, (len(spec.models),) * 2))
    if isinstance(spec, CueUseSpec):
        return _shaped(found, dict.fromkeys(found, (spec.points,)))
    return _of_weights(spec, found)


def _shaped(arrays: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], kinds: str = "fiu") -> str:
    if not shapes:
        return "it holds nothing"
    for name, shape in shapes.items():
        values = arrays.get(name)
        if values is None:
            return f"{name} is missing"
        if np.shape(values) != shape or np.asarray(values).dtype.kind not in kinds:
            return f"{name} is of shape {np.shape(values)} and dtype {values.dtype}, not of shape {shape}"
    return ""


def _of_trace(spec: TraceSpec, found: Trace) -> str:
    groups = {"logits": found.logits, "labels": found.labels, "index": found.index}
    if any(set(group) != set(SPLITS) for group in groups.values()):
        return f"its splits are not {', '.join(SPLITS)}"
    wrong = _shaped({"t": found.t}, {"t": (spec.points,)}, "f") or _of_t(found.t)
    classes = np.shape(found.logits[SPLITS[0]])[-1:]
    for split in SPLITS:
        rows = np.shape(found.labels[split])[:1]
        wrong = (
            wrong
            or _shaped(found.logits, {split: (spec.points, *rows, *classes)}, "f")
            or _shaped(found.labels, {split: rows}, "iu")
            or _shaped(found.index, {split: rows}, "iu")
        )
        if wrong:
            return wrong
        labels, index = found.labels[split], found.index[split]
        if labels.size and (labels.min() < 0 or labels.max() >= classes[0] or index.min() < 0):
            return f"a label or row of {split} is out of range"
    return ""


def _of_t(t: np.ndarray) -> str:
    if len(t) == 1:
        return "" if t[0] == 0 else "t is not 0"
    return "" if t[0] == 0 and t[-1] == 1 and (np.diff(t) > 0).all() else "t does not rise from 0 to 1"


def _of_profile(spec: ProfileSpec, found: Profile) -> str:
    points = spec.trace.points
    every, single = (points,), ()
    shapes = {
        "t": every, "gap": single, "seconds": single, "metric": every, "score": every, "geometry": single,
        "curve": every, "band": (2, points), "measure": single,
    }  # fmt: skip
    arrays = found.arrays
    wanted: dict[str, tuple[int, ...]] = {"t": every, "gap": single}
    for name, values in arrays.items():
        group = name.partition("/")[0]
        if group in shapes:
            wanted[name] = shapes[group]
        elif group == "replicates":
            wanted[name] = np.shape(values)[:1]
        elif group != "collapsed":
            return f"{name} is nothing that a profile holds"
    metrics = {name.partition("/")[2] for name in arrays if name.startswith("metric/")}
    if not metrics & set(METRICS):
        return "it holds no metric"
    if np.ndim(arrays.get("collapsed", [])) != 1:
        return "collapsed is no list"
    return _shaped(arrays, wanted) or _of_t(arrays["t"])


def _of_plane(spec: PlaneSpec, found: Plane) -> str:
    side = spec.resolution
    if not found.values or set(found.values) != set(found.at_models):
        return "its values at the models are not those on the grid"
    return (
        _shaped({"x": found.x, "y": found.y, "models": found.models}, {"x": (side,), "y": (side,), "models": (3, 2)})
        or _shaped(found.values, dict.fromkeys(found.values, (side, side)))
        or _shaped(found.at_models, dict.fromkeys(found.at_models, (3,)))
    )


def _of_weights(spec: Spec, found: Sequence[Weights]) -> str:
    count, network = spec.control_points if isinstance(spec, CurveSpec) else 1, spec
    while not hasattr(network, "model"):
        network = network.start if isinstance(network, CurveSpec) else network.origin
    if len(found) != count:
        return f"it holds {len(found)} networks, not {count}"
    recipe = getattr(found[0].net, "recipe", None) or {}
    shape = SHAPES.get(network.data.dataset)
    expected = {"name": network.model, "width": network.width, "channels": shape[2][0] if shape else None}
    for name, value in expected.items():
        if value is not None and recipe.get(name, value) != value:
            return f"it is of a network with {name} {recipe[name]}, not {value}"
    for weights in found:
        for name, values in weights.params.items():
            if not torch.isfinite(values).all():
                return f"{name} holds NaN or infinity"
        if any(torch.isnan(values).any() for values in weights.buffers.values()):
            return "a buffer holds NaN"
    return ""
