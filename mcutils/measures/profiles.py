"""Profiles: what figures and verdicts need of a trace, small enough to ship."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import BadInput, choose, shown
from ..plugins import packaged
from ..reading import LARGEST_ARRAYS, load_arrays, opened, writing
from ..traces import SPLITS, Trace
from .along import check_grid, floats
from .connectivity import SUMMARY, Connectivity, collapsed, connectivity, forget_gap, levels_of
from .metrics import METRICS, REFERENCES, check_model, check_trace, correct, measure
from .readings import LEVELLED, LEVELS, READ, barrier_by, deficit_by, from_curves, pair_of, split_name, tolerances

ALONG = ("metric/", "curve/", "band/", "score/", "half/")  # what has a value at each t


@dataclass(frozen=True)
class Profile:
    """A computed `Profile`: ``arrays`` by name, with readers for what figures use.

    ``metric(name)`` (T,) of any metric; for a curve also ``connectivity`` with curves, bands, measures, replicates, and
    ``metric`` of what `shares` names.
    """

    arrays: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        t = np.shape(self.arrays.get("t", 0))
        for name, values in self.arrays.items():
            if name.startswith(ALONG) and (not t or np.shape(values)[-1:] != t):
                wrong = f"{name} is of shape {np.shape(values)} and t of {t}"
                raise BadInput(f"a profile holds one value a point along its trace, but {wrong}.")

    def save(self, path: str | Path | BinaryIO) -> None:
        """Write the arrays as a compressed npz without pickle, arrays of one group and shape as one.

        An entry of an archive costs some 300 bytes whatever it holds, and a profile has a hundred small arrays.
        """
        with writing(path) as file:
            np.savez_compressed(file, **_packed(self.arrays))  # type: ignore[arg-type]

    @staticmethod
    def load(path: str | Path | BinaryIO, limit: int = LARGEST_ARRAYS) -> Profile:
        """Read a profile written by `save`, of at most ``limit`` bytes; nothing is unpickled."""
        with opened(path, "a profile") as file:
            return Profile(_unpacked(load_arrays(file, limit)))

    @property
    def t(self) -> np.ndarray:
        """Points of the trace, (T,)."""
        return self.arrays["t"]

    @property
    def gap(self) -> float:
        """G: mean forget loss of the retrained models minus that of the original, in nats."""
        return float(self.arrays["gap"])

    def metric(self, name: str) -> np.ndarray:
        """Values (T,) of a metric; raises `BadInput` for an unknown one, and for one that the profile lacks."""
        if f"metric/{name}" in self.arrays:
            return self.arrays[f"metric/{name}"]
        one = METRICS[choose("metric", name, METRICS)]
        if not set(one.splits) <= set(self.splits):
            raise BadInput(
                f"this profile holds no {name!r}, which reads {', '.join(one.splits)} examples: "
                f"its trace is of {', '.join(self.splits)} alone."
            )
        traces = ", ".join(["the model or path itself", *(REFERENCES.get(r, r) for r in one.references)])
        raise BadInput(
            f"this profile holds no {name!r}, which was registered after it was computed: it reads the traces of "
            f"{traces}, and python -m mcutils run NOTEBOOK --metric {name}, or study.run([study.metric({name!r}, "
            f"path)]), computes just these (plan instead of run says what that costs)."
        )

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that were traced."""
        told = ("metric/loss_{}", "metric/accuracy_{}")
        return tuple(split for split in SPLITS if any(name.format(split) in self.arrays for name in told))

    @property
    def seconds(self) -> float:
        """CPU seconds, on one thread, that the model or the fit of the curve took (a straight line: 0)."""
        return float(self.arrays["seconds"])

    @property
    def geometry(self) -> dict[str, float]:
        """Distances and angles of a path's ends, see `curves.geometry`."""
        return {name: float(value) for name, value in self._group("geometry").items()}

    def _group(self, name: str) -> dict[str, np.ndarray]:
        return {n.removeprefix(f"{name}/"): v for n, v in self.arrays.items() if n.startswith(f"{name}/")}

    @cached_property
    def collapsed(self) -> tuple[str, ...]:
        """Reasons to exclude the model or curve."""
        return tuple(str(reason) for reason in self.arrays["collapsed"])

    @cached_property
    def connectivity(self) -> Connectivity:
        """The curve's connectivity by every reading that its arrays allow.

        Replicates are of the measures in `connectivity.SUMMARY` and `readings.READ`, and of the tolerances that follow.
        Barriers, deficits and tolerances that are not kept are taken from the curves and the levels.
        """
        curves, bands, kept, replicates, levels = (
            {n: v.astype(np.float64) + 0.0 for n, v in self._group(name).items()}  # a deficit of -0 is 0
            for name in ("curve", "band", "measure", "replicates", "level")
        )
        measures = from_curves(curves, self.t, levels, self.gap) | {name: float(v) for name, v in kept.items()}
        replicates = tolerances(replicates, self.gap) | replicates
        return Connectivity(self.t, curves, bands, measures, replicates, self.gap, self.collapsed, levels=levels)

    def extreme(self, side: str, reading: str = "chord", accuracy: bool = False) -> float:
        """The retain ``barrier`` or forget ``deficit`` that `connectivity` has by a reading, without all else there.

        In nats, or as an error rate for ``accuracy``.
        """
        choose("side", side, ("barrier", "deficit"))
        kind, split = "accuracy" if accuracy else "loss", "retain" if side == "barrier" else "forget"
        name = pair_of(reading, accuracy)[side == "deficit"]
        places = [f"curve/{kind}_{split}", *([f"level/{kind}_{split}"] if reading in LEVELLED else [])]
        if f"measure/{name}" in self.arrays or not set(places) <= set(self.arrays):
            return getattr(self.connectivity, side)(reading, accuracy=accuracy)
        values = [self.arrays[place].astype(np.float64) + 0.0 for place in places]
        curve, *rest = [1 - value for value in values] if accuracy else values
        of = barrier_by if side == "barrier" else deficit_by
        return float(of(reading, curve, self.t, rest[0].mean(axis=0) if rest else None))

    @property
    def levels(self) -> dict[str, np.ndarray]:
        """Losses and accuracies (R,) of the retrained models, by the names in `readings.LEVELS`; empty if not kept."""
        return self._group("level")

    @property
    def original(self) -> dict[str, float]:
        """Losses and accuracies of the original model, by the names in `readings.LEVELS`; empty if not kept."""
        return {name: float(value) for name, value in self._group("original").items()}

    def with_levels(self, levels: Mapping[str, np.ndarray]) -> Profile:
        """A copy whose readings are beside these levels of retrained models, for one that keeps none or others.

        ``levels`` are (R,) for each name in `readings.LEVELS`, as `levels_kept` and `examples.levels_of` return them.
        """
        if not isinstance(levels, Mapping):
            raise BadInput(f"levels must be a dictionary of {', '.join(LEVELS)}, got {shown(levels)}.")
        found = {name: floats(name, levels.get(name, ())) for name in LEVELS}
        if len({v.shape for v in found.values()}) > 1 or any(v.ndim != 1 or not v.size for v in found.values()):
            raise BadInput(f"levels must be real numbers, one a retrained model, of each of {', '.join(LEVELS)}.")
        read = {n for n in self.arrays if split_name(n)[1] in LEVELLED and n.startswith(("measure/", "replicates/"))}
        old = read | {n for n in self.arrays if n.startswith("level/")}
        kept = {name: values for name, values in self.arrays.items() if name not in old}
        return Profile(kept | {f"level/{name}": values for name, values in found.items()})


def levels_kept(retrained: Sequence[Profile]) -> dict[str, np.ndarray]:
    """Levels (R,) by the names in `readings.LEVELS`, from the profiles of R retrained models."""
    return {name: np.array([one.metric(name)[0] for one in retrained]) for name in LEVELS}


# Metrics whose patterns are compared, of which a profile also holds both halves of the examples.
HALVED = ("accuracy_retain", "accuracy_forget", "accuracy_test", "zrf", "js_retrained_forget", "js_retrained_test")

# Which examples a point of a path is chosen by, and which it is then tested on: (split, first, step) each.
PARTS = {
    "choose": (("forget", 0, 2), ("retain", 0, 2), ("valid", 0, 1)),
    "test": (("forget", 1, 2), ("retain", 1, 2), ("test", 0, 1)),
}


def closeness(found: Trace, retrained: Sequence[Trace], part: str) -> np.ndarray:
    """1 - mean over forget, retain and unseen data of |accuracy - retrained models' mean accuracy|, (T,).

    ``part`` is ``choose`` or ``test``: disjoint halves of forget and retain examples, with validation or test images.
    """
    distances = []
    for split, first, step in PARTS[choose("part", part, PARTS)]:
        own, others = (
            [correct(one, split)[:, first::step].mean(axis=1) for one in group] for group in ((found,), retrained)
        )
        distances.append(np.abs(own[0] - np.mean([one[0] for one in others])))
    return 1 - np.mean(distances, axis=0)


# Forget images, and beside them images that nobody was trained on: what chance does.
COMPARED = ("forget", "valid", "test")


def shares(trace: Trace, retrained: Sequence[Trace]) -> dict[str, np.ndarray]:
    """Images right inside a path alone, by the names that profiles have; of `COMPARED`, those that all were traced on.

    ``metric/right_between_<split>`` (T,): share of a split's images that are right there though wrong at both ends, and
    ``metric/known_again_<split>``: in every retrained model too; ``known/missed_<split>`` and ``known/never_<split>``:
    shares that could be. It says something only where it is larger for forget images than for the others. Raises
    `BadInput` for a single model as the path, and for retrained models that are curves or saw other images.
    """
    check_grid(check_trace(trace).t)
    found = {}
    for split in (one for one in COMPARED if all(one in other.logits for other in (trace, *retrained))):
        right = correct(trace, split)
        for curve, among, models in (("right_between", "missed", ()), ("known_again", "never", retrained)):
            missed = ~(right[0] | right[-1])
            for one in models:
                missed &= ~correct(check_model(one, "a retrained model", trace, (split,)), split)[0]
            found[f"metric/{curve}_{split}"] = (right & missed).mean(axis=1)
            found[f"known/{among}_{split}"] = np.float64(missed.mean())
    return found


def _packed(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    groups: dict[tuple, list[str]] = {}
    for name, values in arrays.items():
        group = name.partition("/")[0] if "/" in name else name
        groups.setdefault((group, np.shape(values), np.asarray(values).dtype.str), []).append(name)
    found = {}
    for k, names in enumerate(groups.values()):
        found[f"{k}/names"] = np.array(names, dtype=np.str_)
        found[f"{k}/values"] = np.stack([arrays[name] for name in names])
    return found


def _unpacked(packed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = (name for name in packed if name.endswith("/names"))
    pairs = ((packed[name], packed[name.replace("/names", "/values")]) for name in names)
    return {str(name): values for group, stacked in pairs for name, values in zip(group, stacked, strict=True)}


def profile(
    found: Trace, original: Trace, retrained: Sequence[Trace], random: Trace, bootstrap: int = 200, half: bool = False
) -> Profile:
    """Measure a trace against the original, the retrained models and an untrained one; no network is touched.

    The gap G and the levels of the readings are means over the retrained models; divergences and ``two_sided_forget``
    are to the first of them. What reads a split that was not traced is left out. ``half``: all replicates as float16,
    without those that follow from others; otherwise only those of the readings beside the chord.
    """
    splits = set(found.logits)
    original, random, *retrained = (one.only(splits) for one in (original, random, *retrained))
    references = {"original": original, "retrained": retrained[0], "random": random}
    gap = float(np.mean([forget_gap(r, original) for r in retrained]))
    arrays = {"t": found.t, "gap": np.float64(gap), "collapsed": np.array(collapsed(found), dtype=np.str_)}
    names = [name for name in packaged("metric", METRICS) if splits >= set(METRICS[name].splits)]
    for name, values in measure(found, names, references=references).items():
        arrays[f"metric/{name}"] = values
    for name, value in found.meta.items():
        if name.startswith("geometry/"):
            arrays[name] = np.float64(value)
    return Profile(arrays if len(found.t) == 1 else arrays | _along(found, references, retrained, gap, bootstrap, half))


def _along(
    found: Trace, references: Mapping[str, Trace], retrained: Sequence[Trace], gap: float, bootstrap: int, half: bool
) -> dict[str, np.ndarray]:
    """What a profile holds of a curve beside metrics."""
    arrays: dict[str, np.ndarray] = {}
    original = references["original"]
    for part, halves in PARTS.items():
        if {split for split, _, _ in halves} <= set(found.logits):
            arrays[f"score/{part}"] = closeness(found, retrained, part)
    one = connectivity(found, gap=gap, retrained=retrained, original=original, n_boot=bootstrap)
    arrays |= {f"curve/{name}": values for name, values in one.curves.items()}
    arrays |= {f"band/{name}": values.astype(np.float32) for name, values in one.bands.items()}
    arrays |= {f"measure/{name}": np.float64(value) for name, value in one.measures.items()}
    arrays |= {f"level/{name}": values for name, values in one.levels.items()}
    arrays |= {f"original/{name}": values[0] for name, values in levels_of([original]).items()}
    arrays |= by_halves(found, references)
    for name in (*SUMMARY, *READ):
        if name in one.replicates and not (half and name.startswith("mcu_")):
            dtype = np.float16 if half or name in READ else np.float32
            arrays[f"replicates/{name}"] = _stored(one.replicates[name], dtype)
    return arrays | shares(found, retrained)


def by_halves(found: Trace, references: Mapping[str, Trace]) -> dict[str, np.ndarray]:
    """`HALVED` along a trace, (T,) each, on every second example from the first, and from the second, of each split.

    Named ``half/0/<metric>`` and ``half/1/<metric>``: what a metric's pattern owes to the examples. Empty where a split
    that one of them reads was not traced.
    """
    if not set().union(*(METRICS[name].splits for name in HALVED)) <= set(found.logits):
        return {}
    parts = [[_every_second(one, first) for one in (found, *references.values())] for first in (0, 1)]
    measured = [measure(own, HALVED, references=dict(zip(references, rest, strict=True))) for own, *rest in parts]
    return {f"half/{k}/{name}": values for k, one in enumerate(measured) for name, values in one.items()}


def _every_second(one: Trace, first: int) -> Trace:
    logits = {split: values[:, first::2] for split, values in one.logits.items()}
    labels, index = ({split: values[first::2] for split, values in part.items()} for part in (one.labels, one.index))
    return Trace(one.t, logits, labels, index, one.meta)


def _stored(values: np.ndarray, dtype: type) -> np.ndarray:
    """Values of a type, those beyond its range at its limit."""
    limit = float(np.finfo(dtype).max)
    return np.where(np.isfinite(values), np.clip(values, -limit, limit), values).astype(dtype)
