"""Admission: which walks a verdict may read, and why others may not; see docs/protocol.md.

An end that did not forget, or lost what it should keep; a curve that is noise; one result under two names; controls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ..measures.along import excess
from ..measures.connectivity import TOLERANCE
from ..measures.originals import neumann_ratio
from .judging import sound
from .walks import APART, RETRAINED, TWINNED, Labels, Walk, once_of

FORGOTTEN = 0.5  # share of the gap, in loss and in accuracy, that an end must close
KEPT = 0.97  # of the original's accuracy on D_r
FAR = 2.0  # G of forget loss above the original's, beyond which an end is over-forgotten
WAVERS = 0.05  # G of range around the chord from which a curve must be resolved
WHITE = 1.0  # von Neumann's ratio above which it is not
DIGITS = 6  # of losses and accuracies by which copies are known
ALIKE = 1e-4  # difference of losses and accuracies up to which walks with other ends are copies with something added
ALIKE_LEVELS = 5e-5  # that of the levels of two originals, or of their retrained models
STEP = 0.1  # in t, the widest between neighbouring points of a walk
# Of the conditions whose ends are not both unlearned models, which are: start 0, end 1.
ENDS: dict[str, tuple[int, ...]] = {
    "forgetting": (1,),
    **dict.fromkeys(("retraining", "retraining curve"), (0,)),
    **dict.fromkeys(("retrained", "retrained pairs", "originals"), ()),
}
NEAR = 0.03  # accuracy on D_r by which retrained models may differ from their original


@dataclass(frozen=True)
class Gate:
    """How an end did: shares of the gap closed in loss and accuracy, and of the original's retain accuracy kept."""

    loss: float
    accuracy: float
    kept: float

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the end is not admitted; none if it is."""
        found = []
        if not min(self.loss, self.accuracy) >= FORGOTTEN:
            closed = f"{100 * self.loss:.0f} % of the gap in loss and {100 * self.accuracy:.0f} % in accuracy"
            found.append(f"did not forget: it closes {closed}")
        if not self.kept >= KEPT:
            found.append(f"did not keep: {100 * self.kept:.1f} % of the original's accuracy on D_r")
        return tuple(found)

    @property
    def over(self) -> bool:
        """Whether it forgot more than `FAR` gaps."""
        return bool(self.loss > FAR)


def gate(
    loss: float, forget: float, retain: float, original: Mapping[str, float], retrained: Mapping[str, Any]
) -> Gate:
    """The gate of an end.

    Args:
        loss, forget: its mean loss in nats and accuracy on D_f.
        retain: its accuracy on D_r.
        original: loss_forget, accuracy_forget and accuracy_retain of the original model.
        retrained: loss_forget and accuracy_forget of the retrained models, (R,) each.
    """
    gap = float(np.mean(retrained["loss_forget"])) - original["loss_forget"]
    drop = original["accuracy_forget"] - float(np.mean(retrained["accuracy_forget"]))
    with np.errstate(divide="ignore", invalid="ignore"):
        return Gate(
            float(np.float64(loss - original["loss_forget"]) / gap),
            float(np.float64(original["accuracy_forget"] - forget) / drop),
            float(np.float64(retain) / original["accuracy_retain"]),
        )


def _curve(walk: Walk, name: str) -> np.ndarray:
    return np.asarray(walk.profile.arrays[f"curve/{name}"], dtype=np.float64)


def gates(walk: Walk) -> tuple[Gate, Gate]:
    """The gates of a walk's two ends, as the path itself has them."""
    return walk.once("gates", lambda: _gates(walk))


def _gates(walk: Walk) -> tuple[Gate, Gate]:
    levels, original = walk.profile.levels, walk.profile.original
    loss, forget, retain = (_curve(walk, name) for name in ("loss_forget", "accuracy_forget", "accuracy_retain"))
    first, last = (gate(loss[k], forget[k], retain[k], original, levels) for k in (0, -1))
    return first, last


def unlearned_ends(walk: Labels) -> tuple[int, ...]:
    """Which of a walk's ends, 0 and 1, are unlearned models: the ones that must have forgotten."""
    return ENDS.get(walk.condition, (0, 1))


def unresolved(walk: Walk) -> tuple[str, ...]:
    """The losses of a walk that waver from point to point like noise, by von Neumann's ratio of their excess."""
    found = []
    for name in ("loss_retain", "loss_forget"):
        over = excess(_curve(walk, name), walk.profile.t) / walk.profile.gap
        if neumann_ratio(over, WAVERS) > WHITE:
            found.append(name)
    return tuple(found)


def reasons(walk: Walk) -> tuple[str, ...]:
    """Why a walk is left out of verdicts: an end that fails the gate, a curve not resolved or not finite."""
    return walk.once("reasons", lambda: _reasons(walk))


def _reasons(walk: Walk) -> tuple[str, ...]:
    found = []
    for k in unlearned_ends(walk):
        found += [f"{'start' if k == 0 else 'end'} {why}" for why in gates(walk)[k].reasons]
    found += [f"{name} is not resolved: it wavers like noise" for name in unresolved(walk)]
    wide = float(np.diff(walk.profile.t).max())
    found += [f"is not walked finely enough: a step of {wide:.2g} in t"] * (wide > STEP + 1e-9)
    levels: list[Any] = [*walk.profile.levels.values(), *walk.profile.original.values()]
    found += ["the levels of its models are not finite"] * (not all(np.isfinite(v).all() for v in levels))
    losses = ("loss_retain", "loss_forget")
    found += [f"{name} is not finite" for name in losses if not np.isfinite(_curve(walk, name)).all()]
    return tuple(found)


def fingerprint(walk: Walk) -> str:
    """SHA-256 of a walk's numbers, the same in both directions: losses and accuracies to `DIGITS` digits."""
    return walk.once("fingerprint", lambda: _fingerprint(walk))


def _fingerprint(walk: Walk) -> str:
    names = ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget")
    rows = [np.round(_curve(walk, name), DIGITS) + 0.0 for name in names]
    return min(hashlib.sha256(np.array([row[::step] for row in rows]).tobytes()).hexdigest() for step in (1, -1))


def copies(walks: Iterable[Walk]) -> list[str]:
    """Sentences on one result under two names.

    A walk with the numbers of another that is labelled otherwise, or of other ends and within `ALIKE` everywhere; and
    originals of different names whose own levels, or retrained models', are the same within `ALIKE_LEVELS`. Labels that
    denote one path, see `same_path`, may have one result.
    """
    return once_of(list(walks), _copies)


def _copies(walks: Sequence[Walk]) -> list[str]:
    kept = sound(walks)
    seen: dict[str, list[Walk]] = {}
    found = []
    for walk in kept:
        there = seen.setdefault(fingerprint(walk), [])
        others = [one for one in there if not same_path(one, walk)]
        found += [f"copies: {_named(walk)} has the numbers of {_named(one)}" for one in others[:1]]
        there.append(walk)
    found += [f"copies: {_named(b)} has nearly the numbers of {_named(a)}" for a, b in _alike(kept)]
    return list(dict.fromkeys(found + _renamed(kept)))


def _alike(walks: Sequence[Walk]) -> list[tuple[Walk, Walk]]:
    """Pairs of walks between different ends whose losses and accuracies differ by at most `ALIKE`, either way round."""
    names = ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget")
    rows = [np.array([_curve(w, name) for name in names]) for w in walks]
    middles = np.array([row[:2].mean() for row in rows])
    order, found = np.argsort(middles, kind="stable"), []
    for place, k in enumerate(order):
        for other in order[place + 1 :]:
            if not middles[other] - middles[k] <= ALIKE:
                break
            if rows[k].shape != rows[other].shape or _same_ends(walks[k], walks[other]):
                continue
            if min(np.abs(rows[k] - rows[other][:, ::step]).max() for step in (1, -1)) <= ALIKE:
                found.append((walks[min(k, other)], walks[max(k, other)]))
    return found


def same_path(one: Labels, other: Labels) -> bool:
    """Whether two labels denote one path: the same ends and the same fit, however it is traced and read.

    A path may be traced once more at all points (``full``) or by another policy (``batchnorm``); where there are no
    more points, or nothing to refresh, its numbers are the same. A path without a ``size`` is of the preset's, which is
    one of the sizes.
    """
    fits = ((w.kind, w.recipe, w.objective, w.refit) for w in (one, other))
    return _same_ends(one, other) and len(set(fits)) == 1


def _same_ends(one: Labels, other: Labels) -> bool:
    ends = ((w.original, w.label, w.start, w.end, w.condition, w.form, w.init) for w in (one, other))
    return len(set(ends)) == 1 and (one.size == other.size or 0 in (one.size, other.size))


def _renamed(walks: Sequence[Walk]) -> list[str]:
    """Sentences on originals that are one under two names: equal levels of their own, or of their retrained models."""
    known: dict[tuple[int, float], tuple[np.ndarray, np.ndarray]] = {}
    for w in walks:
        if (w.original, w.size) not in known:
            sets = w.profile.original, w.profile.levels
            own, levels = (np.array([np.atleast_1d(one[k]) for k in sorted(one)], dtype=np.float64) for one in sets)
            known[w.original, w.size] = own, levels
    found = []
    for (a, one), (b, other) in combinations(known.items(), 2):
        if a[0] != b[0] and a[1] == b[1] and any(_close(x, y) for x, y in zip(one, other, strict=True)):
            found.append(f"copies: original {b[0]} is original {a[0]} under another name")
    return found


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays of levels are the same; nothing at all is not."""
    return bool(one.size and one.shape == other.shape and np.abs(one - other).max() <= ALIKE_LEVELS)


def _named(walk: Labels) -> str:
    return " ".join(map(str, (walk.label, walk.kind, walk.condition, walk.pair)))


def controls(walks: Sequence[Walk], eps: float = TOLERANCE) -> list[str]:
    """Sentences on the controls that failed, or are missing, among the walks of an experiment; none if all hold.

    Different originals have a barrier, fine-tuned twins have none, at least half of the methods forgot on every
    original, and the two splits are the ones they are called.
    """
    found = []
    apart, twins = ([w for w in walks if w.control == one] for one in (APART, TWINNED))
    if not apart or not all(w.barrier > eps for w in apart):
        found.append("control: no barrier between different originals")
    if not twins or not all(w.connected(eps) for w in twins):
        found.append("control: a fine-tuned twin is not connected")
    return found + forgot(walks) + splits_are(walks)


def retraining_controls(walks: Iterable[Walk], eps: float = TOLERANCE) -> list[str]:
    """As `controls` where retrained models are the control: those of other initial weights must have a barrier."""
    apart = [w for w in walks if w.control == RETRAINED and w.init == "other init"]
    held = apart and all(w.barrier > eps for w in apart)
    return [] if held else ["control: no barrier between retrained models of different initial weights"]


def forgot(walks: Iterable[Walk]) -> list[str]:
    """A sentence for each original on which less than half of the methods have an end that passes the gate."""
    passed: dict[int, dict[str, bool]] = {}
    for w in walks:
        if w.control:
            continue
        for k in unlearned_ends(w):
            method = w.other if k and w.other else w.method
            there = passed.setdefault(w.original, {})
            there[method] = there.get(method, False) or not gates(w)[k].reasons
    return [
        f"control: on original {original} {sum(there.values())} of {len(there)} methods forgot"
        for original, there in sorted(passed.items())
        if 2 * sum(there.values()) < len(there)
    ]


def splits_are(walks: Iterable[Walk]) -> list[str]:
    """A sentence for each original whose retain and forget splits are not what they are called.

    The original fits D_f better than every retrained model does, and retrained models fit D_r as it does.
    """
    found = {}
    for w in walks:
        original, levels = w.profile.original, w.profile.levels
        fits = original["accuracy_forget"] > np.max(levels["accuracy_forget"])
        same = np.abs(np.asarray(levels["accuracy_retain"]) - original["accuracy_retain"]).max() <= NEAR
        if not (fits and same):
            found[w.original] = f"control: on original {w.original} retain and forget data are not what they are called"
    return [found[k] for k in sorted(found)]


def shown(walks: Sequence[Walk]) -> tuple[list[Walk], bool]:
    """Of sound walks those that a verdict may read, and True; all of them, and False, where it may read none.

    Without levels of the models that it is held against a walk cannot be admitted.
    """
    kept = [w for w in walks if w.profile.levels and not reasons(w)]
    return (kept, True) if kept else (list(walks), False)


def admitted(walks: Iterable[Walk], **labels: Any) -> list[Walk]:
    """The sound walks with these labels that a verdict may read."""
    return [w for w in sound(list(walks), **labels) if not reasons(w)]
