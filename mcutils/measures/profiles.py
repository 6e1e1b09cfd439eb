"""Profiles: what figures and verdicts need of a trace, small enough to ship."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import BadInput, choose
from ..plugins import packaged
from ..reading import LARGEST_ARRAYS, load_arrays, writing
from ..traces import SPLITS, Trace
from .connectivity import SUMMARY, Connectivity, collapsed, connectivity, forget_gap
from .metrics import METRICS, REFERENCES, correct, measure


@dataclass(frozen=True)
class Profile:
    """A computed `Profile`: ``arrays`` by name, with readers for what figures use.

    ``metric(name)`` (T,) of any metric; for a curve also ``connectivity`` with curves, bands, measures, replicates.
    """

    arrays: Mapping[str, np.ndarray]

    def save(self, path: str | Path | BinaryIO) -> None:
        """Write the arrays as a compressed npz without pickle, arrays of one group and shape as one.

        An entry of an archive costs some 300 bytes whatever it holds, and a profile has a hundred small arrays.
        """
        with writing(path) as file:
            np.savez_compressed(file, **_packed(self.arrays))  # type: ignore[arg-type]

    @staticmethod
    def load(path: str | Path | BinaryIO, limit: int = LARGEST_ARRAYS) -> Profile:
        """Read a profile written by `save`, of at most ``limit`` bytes; nothing is unpickled."""
        return Profile(_unpacked(load_arrays(path, limit)))

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
        one = METRICS[choose("metric", name, METRICS)]
        if f"metric/{name}" not in self.arrays and not set(one.splits) <= set(self.splits):
            raise BadInput(
                f"this profile holds no {name!r}, which reads {', '.join(one.splits)} examples: "
                f"its trace is of {', '.join(self.splits)} alone."
            )
        if f"metric/{name}" not in self.arrays:
            traces = ", ".join(["the model or path itself", *(REFERENCES.get(r, r) for r in one.references)])
            raise BadInput(
                f"this profile holds no {name!r}, which was registered after it was computed: it reads the traces of "
                f"{traces}, and python -m mcutils run NOTEBOOK --metric {name}, or study.run([study.metric({name!r}, "
                f"path)]), computes just these (plan instead of run says what that costs)."
            )
        return self.arrays[f"metric/{name}"]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that were traced."""
        told = {
            name.rpartition("_")[2] for name in self.arrays if name.startswith(("metric/loss_", "metric/accuracy_"))
        }
        return tuple(split for split in SPLITS if split in told)

    @property
    def seconds(self) -> float:
        """CPU seconds, on one thread, that the model or the fit of the curve took (a straight line: 0)."""
        return float(self.arrays["seconds"])

    @property
    def geometry(self) -> dict[str, float]:
        """Distances and angles of a path's ends, see `curves.geometry`."""
        return {n.removeprefix("geometry/"): float(v) for n, v in self.arrays.items() if n.startswith("geometry/")}

    @cached_property
    def collapsed(self) -> tuple[str, ...]:
        """Reasons to exclude the model or curve."""
        return tuple(str(reason) for reason in self.arrays["collapsed"])

    @cached_property
    def connectivity(self) -> Connectivity:
        """The curve's connectivity; replicates only of the measures in `connectivity.SUMMARY`."""
        parts: dict[str, dict[str, np.ndarray]] = {"curve": {}, "band": {}, "measure": {}, "replicates": {}}
        for name, values in self.arrays.items():
            group, _, rest = name.partition("/")
            if group in parts:
                parts[group][rest] = values.astype(np.float64) + 0.0  # a deficit of -0 is 0
        measures = {name: float(v) for name, v in parts["measure"].items()}
        return Connectivity(
            self.t, parts["curve"], parts["band"], measures, parts["replicates"], self.gap, self.collapsed
        )


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


def profile(found: Trace, original: Trace, retrained: Sequence[Trace], random: Trace, bootstrap: int = 200) -> Profile:
    """Measure a trace against the original, the retrained models and an untrained one; no network is touched.

    The gap G is the mean over the retrained models; divergences are to the first of them. Of a trace of some splits it
    holds what can be had from these.
    """
    splits = set(found.logits)
    original, random, *retrained = (one.only(splits) for one in (original, random, *retrained))
    references = {"original": original, "retrained": retrained[0], "random": random}
    gap = float(np.mean([forget_gap(r, original) for r in retrained]))
    arrays = {"t": found.t, "gap": np.float64(gap), "collapsed": np.array(collapsed(found), dtype=np.str_)}
    names = [name for name in packaged("metric", METRICS) if splits >= set(METRICS[name].splits)]
    for name, values in measure(found, names, references=references).items():
        arrays[f"metric/{name}"] = values
    if len(found.t) > 1:
        parts = [part for part, read in PARTS.items() if splits >= {split for split, *_ in read}]
        arrays |= {f"score/{part}": closeness(found, retrained, part) for part in parts}
    for name, value in found.meta.items():
        if name.startswith("geometry/"):
            arrays[name] = np.float64(value)
    if len(found.t) > 1:
        one = connectivity(found, gap=gap, retrained=retrained[0], original=original, n_boot=bootstrap)
        arrays |= {f"curve/{name}": values for name, values in one.curves.items()}
        arrays |= {f"band/{name}": values.astype(np.float32) for name, values in one.bands.items()}
        arrays |= {f"measure/{name}": np.float64(value) for name, value in one.measures.items()}
        arrays |= {f"replicates/{n}": one.replicates[n].astype(np.float32) for n in SUMMARY if n in one.replicates}
    return Profile(arrays)
