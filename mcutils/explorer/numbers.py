"""Numbers: all that a view shows of one path, from its stored profile, from its logits or from both.

Nothing is computed but metrics of stored logits. Shapes: T points on a path, N forget examples, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from ..data import own as own_data
from ..data.tasks import FINGERPRINTS, Task, load_task
from ..errors import BadInput, choose
from ..measures.along import excess, rounding
from ..measures.connectivity import Connectivity, connectivity, forget_gap
from ..measures.metrics import METRICS, measure, probabilities
from ..measures.profiles import Profile
from ..traces import Trace

SIGNS = {"loss_retain": 1, "loss_forget": -1}  # of what is bad: to rise above the chord, to fall below it
# What attacks on the points of a path have found, with its unit: results of their own, which no trace or profile holds.
ATTACKED = {"accuracy_after_attack_forget": "fraction"}
NO_IMAGES = "the pictures are not here: give the trace's task, explore(trace, task=task)"


def units() -> dict[str, str]:
    """All that can be shown along a path, with its unit: metrics, and what attacks on its points have found."""
    return {**{name: one.unit for name, one in METRICS.items()}, **ATTACKED}


@dataclass(frozen=True, eq=False)
class Forgotten:
    """What a path predicts for the N forget examples, those first that come back inside it.

    ``predicted`` (T, N) class, -1 where a logit is not finite, ``confidence`` (T, N) its probability, ``labels`` and
    ``rows`` (N,).
    """

    predicted: np.ndarray
    confidence: np.ndarray
    labels: np.ndarray
    rows: np.ndarray

    @property
    def remembered(self) -> np.ndarray:
        """Whether each example is predicted right (T, N)."""
        return self.predicted == self.labels


def forgotten(trace: Trace) -> Forgotten:
    """Order the forget examples of a trace (T > 1) by how far their true class rises above its chord on the way."""
    found, labels = probabilities(trace, "forget"), np.asarray(trace.labels["forget"])
    p = np.take_along_axis(found, labels[None, :, None], axis=-1)[..., 0]
    rise = excess(p, trace.t)[1:-1].max(axis=0, initial=-np.inf)
    order = np.argsort(-rise, kind="stable")  # nan last
    sure = found.max(axis=-1)
    predicted = np.where(np.isnan(sure), -1, found.argmax(axis=-1))
    rows = np.asarray(trace.index["forget"])
    return Forgotten(predicted[:, order], sure[:, order], labels[order], rows[order])


@dataclass(frozen=True, eq=False)
class Numbers:
    """All that a view shows of one path, from its profile, its trace or both.

    ``references`` are traces for metrics that need them, ``retrained`` the retrained models, ``original`` the model
    before unlearning, ``task`` loads the images, ``why`` says why there is no trace. ``attacks`` are places t and
    values there of what attacks on points of the path have found, by a name in `ATTACKED`.
    """

    t: np.ndarray
    trace: Trace | None = None
    profile: Profile | None = None
    references: Mapping[str, Trace] = field(default_factory=dict)
    retrained: Sequence[Trace | Profile] = ()
    original: Trace | Profile | None = None
    task: Callable[[], Task] | None = None
    why: str = ""
    given_gap: float | None = None
    attacks: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    _values: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def lacking(self, name: str) -> str:
        """Why there are no values of a metric, in a few words; empty if there are."""
        if choose("metric", name, units()) in ATTACKED:
            return "" if name in self.attacks else "no attack on its points is stored"
        needs = METRICS[name]
        if self.profile is not None:
            return "" if f"metric/{name}" in self.profile.arrays else "not in the profile"
        if self.trace is None:
            return "there is no trace"
        lost = [split for split in needs.splits if split not in self.trace.logits]
        lost += [f"{one} model" for one in needs.references if one not in self.references]
        return f"needs the {' and '.join(lost)}" if lost else ""

    def values(self, name: str) -> np.ndarray:
        """Values (T,) of a metric; raises `BadInput` where it is unknown or cannot be had.

        Between points that were attacked they lie on straight lines.
        """
        if lacking := self.lacking(name):
            raise BadInput(f"there are no values of {name} for this path: {lacking}.")
        if name not in self._values:
            if name in self.attacks:
                self._values[name] = np.interp(self.t, *self.attacks[name])
            elif self.profile is not None:
                self._values[name] = np.asarray(self.profile.metric(name), dtype=np.float64)
            elif self.trace is not None:
                self._values[name] = measure(self.trace, name, references=self.references)[name]
        return self._values[name]

    def _alone(self, one: Trace | Profile) -> Numbers:
        """Numbers of a single model."""
        return (
            Numbers(one.t, one, references=self.references) if isinstance(one, Trace) else Numbers(one.t, profile=one)
        )

    @cached_property
    def _models(self) -> list[Numbers]:
        return [self._alone(one) for one in self.retrained]

    def levels(self, name: str) -> np.ndarray:
        """Values of a metric of the retrained models (R,); empty where none is known."""
        return np.array([one.values(name)[0] for one in self._models if not one.lacking(name)])

    def original_level(self, name: str) -> float | None:
        """Value of a metric of the original model; None where it is not known."""
        one = self.original if self.original is not None else self.references.get("original")
        found = None if one is None else self._alone(one)
        return None if found is None or found.lacking(name) else float(found.values(name)[0])

    def band(self, name: str) -> np.ndarray | None:
        """Band (2, T) of a metric over examples, where there is one."""
        found = self.connectivity
        return None if found is None else found.bands.get(name)

    @cached_property
    def gap(self) -> float | None:
        """G in nats, or None where no original and retrained model say what there is to forget."""
        if self.profile is not None:
            return self.profile.gap
        if self.given_gap is not None:
            return self.given_gap
        traces = [one for one in self.retrained if isinstance(one, Trace)]
        original = self.references.get("original")
        return float(np.mean([forget_gap(one, original) for one in traces])) if traces and original else None

    @cached_property
    def connectivity(self) -> Connectivity | None:
        """Barriers and bands; None where the trace lacks what they need."""
        if self.profile is not None:
            return self.profile.connectivity
        try:
            return None if self.trace is None else connectivity(self.trace, gap=self.gap, n_boot=100)
        except BadInput:
            return None

    @cached_property
    def forgotten(self) -> Forgotten | None:
        """Predictions for the forget set; None without a trace that holds it."""
        return forgotten(self.trace) if self.trace is not None and "forget" in self.trace.logits else None

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, numbers where no task names them."""
        named = () if self.known_task is None else tuple(map(str, self.known_task.classes))
        held = {} if self.trace is None else self.trace.logits
        count = held["forget"].shape[-1] if "forget" in held else 0
        return named + tuple(map(str, range(len(named), count)))

    @cached_property
    def known_task(self) -> Task | None:
        """The task that holds the forget examples, where one was given or is found."""
        try:
            found = self.task() if self.task else _task_of(self.trace)
        except (BadInput, OSError):  # without the data set there are no pictures, and all else is shown
            return None
        held = found is not None and not mismatch(self.trace, found)
        return found if held else None

    @cached_property
    def no_pictures(self) -> str:
        """Why the forget examples are not shown as images; empty if they are."""
        if self.known_task is None:
            return NO_IMAGES
        x = self.known_task.x
        if isinstance(x, Mapping):
            return f"the inputs of this task are no images, but {', '.join(map(str, x))}"
        return "" if x.ndim == 4 else f"the inputs of this task are no images, but of shape {tuple(x.shape[1:])} each"

    def pictures(self, places: Sequence[int]) -> np.ndarray | None:
        """Images (n, C, H, W) uint8 of forget examples by their place in the order; None where they are no images.

        The task's normalisation is undone. Where that leaves values that are no shares of white, each channel is
        stretched to its range over the forget set.
        """
        task, found = self.known_task, self.forgotten
        if self.no_pictures or task is None or found is None or isinstance(task.x, Mapping):
            return None
        pixels = task.x[torch.as_tensor(found.rows)].double().cpu().numpy()
        if not task.x.is_floating_point():
            pixels /= 255
        elif len(task.mean) == pixels.shape[1]:
            mean, std = (np.array(part)[:, None, None] for part in (task.mean, task.std))
            pixels = pixels * std + mean
        if np.nanmin(pixels) < -1e-3 or np.nanmax(pixels) > 1 + 1e-3:
            low, high = (f(pixels, axis=(0, 2, 3))[:, None, None] for f in (np.nanmin, np.nanmax))
            pixels = (pixels - low) / np.maximum(high - low, 1e-9)
        return np.rint(np.clip(255 * np.nan_to_num(pixels[list(places)]), 0, 255)).astype(np.uint8)

    def excess(self, name: str) -> np.ndarray | None:
        """A metric above its chord (T,); None where it is not known."""
        return None if self.lacking(name) else excess(self.values(name), self.t)

    def breaks(self, eps: float) -> dict[str, np.ndarray]:
        """Where MCU(eps) breaks: name of a loss -> (T,) bool, that of D_r above chord + eps G, that of D_f below it.

        Without G eps is in nats. A loss that is not finite breaks it, as in `along.mcu`.
        """
        found = {}
        for name, sign in SIGNS.items():
            if (over := self.excess(name)) is not None:
                slack = rounding(self.values(name)[np.isfinite(over)])
                with np.errstate(invalid="ignore"):
                    found[name] = ~(sign * over <= eps * (self.gap or 1.0) + slack)
        return found


def mismatch(trace: Trace | None, task: Task) -> str:
    """Why a trace's examples are not those of a task, in a few words; empty if they are."""
    if trace is None:
        return "there is no trace"
    if "checksum" in trace.meta and trace.meta["checksum"] != task.checksum:
        return "its checksum is that of other data"
    for split, rows in trace.index.items():
        rows, y = np.asarray(rows), task.y.cpu().numpy()
        if rows.max(initial=-1) >= len(y) or rows.min(initial=0) < 0:
            return f"its {split} examples are rows up to {rows.max()}, and the task has {len(y)}"
        if not np.array_equal(y[rows], trace.labels[split]):
            return f"its {split} examples have other labels"
    return ""


def _task_of(trace: Trace | None) -> Task | None:
    """The task whose checksum a trace names, where it is one's own, of a known fingerprint or shipped."""
    checksum = "" if trace is None else trace.meta.get("checksum", "")
    if not checksum:
        return None
    named = {value: name for name, value in FINGERPRINTS.items()}
    return own_data.find(checksum) or load_task(named.get(checksum, "fashion-mnist"))
