"""Known again, image by image: right inside a path though neither end, and no retrained model, gets it right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import BadInput
from ..traces import Trace
from .along import check_grid
from .metrics import check_trace, correct

# Forget images, and beside them images that nobody was trained on: what chance does.
COMPARED = ("forget", "valid", "test")


def came_back(trace: Trace, split: str, retrained: Sequence[Trace] = ()) -> np.ndarray:
    """Whether each image is right at each t though wrong at both ends and in each of the retrained models (T, N).

    False at both ends. Without retrained models only the ends count.

    Raises:
        BadInput: a split that is not traced, a single model, retrained models that are curves or saw other images.
    """
    check_grid(check_trace(trace).t)
    return correct(trace, split) & _missed(trace, split, retrained)


def _missed(trace: Trace, split: str, retrained: Sequence[Trace]) -> np.ndarray:
    """Whether each image is wrong at both ends and in each of the retrained models (N,)."""
    right = correct(trace, split)
    known = right[0] | right[-1]
    for one in retrained:
        if len(check_trace(one, "retrained").t) != 1:
            raise BadInput(f"a retrained model is one model (T = 1), got {len(one.t)} points of a curve.")
        if not np.array_equal(one.index.get(split, ()), trace.index.get(split, ())):
            raise BadInput(f"a retrained model was traced on other {split} images than the path; use one task.")
        known = known | correct(one, split)[0]
    return ~known


def splits_compared(trace: Trace, retrained: Sequence[Trace]) -> tuple[str, ...]:
    """Those of `COMPARED` that the path and each retrained model were traced on."""
    return tuple(split for split in COMPARED if all(split in one.logits for one in (trace, *retrained)))


def known_again(trace: Trace, retrained: Sequence[Trace]) -> dict[str, dict[str, float]]:
    """How many forget images come to be right inside a path, and how many unseen ones do by chance.

    For each split that is there, forget, validation and test:

    - ``of``: images;
    - ``missed``: wrong at both ends; ``between``: how many of these are right at the t where most are, ``t between``;
    - ``never``: wrong at both ends and in every retrained model; ``again``: how many of these are right at the t where
      most are, ``t again``.

    The t is nan where no image is. A share of forget images, again / never, says something only where it is larger than
    that of validation or test images, which no model was trained on.

    Raises:
        BadInput: no retrained model, or what `came_back` refuses.

    >>> right, wrong = np.array([2.0, 0.0]), np.array([0.0, 2.0])  # logits; every label is 0
    >>> path = np.array([[wrong, wrong, right], [right, right, right], [wrong, wrong, wrong]])  # T, N, K
    >>> parts = [{"forget": one} for one in (path, np.zeros(3, int), np.arange(3))]
    >>> alone = [{"forget": one} for one in (np.array([[wrong, right, right]]), np.zeros(3, int), np.arange(3))]
    >>> found = known_again(Trace(np.linspace(0, 1, 3), *parts, {}), [Trace(np.zeros(1), *alone, {})])
    >>> found["forget"]
    {'of': 3, 'missed': 2, 'between': 2, 't between': 0.5, 'never': 1, 'again': 1, 't again': 0.5}
    """
    if isinstance(retrained, Trace) or not len(retrained):
        raise BadInput("known again is said beside retrained models: give their traces in a list.")
    found = {}
    for split in splits_compared(trace, retrained):
        counts: dict[str, float] = {"of": len(trace.labels[split])}
        for among, again, models in (("missed", "between", ()), ("never", "again", retrained)):
            right = came_back(trace, split, models).sum(axis=1)
            most = int(right.argmax())
            counts |= {among: int(_missed(trace, split, models).sum()), again: int(right[most])}
            counts[f"t {again}"] = float(trace.t[most]) if right[most] else np.nan
        found[split] = counts
    return found


def shares(trace: Trace, retrained: Sequence[Trace]) -> dict[str, np.ndarray]:
    """The same along t, as shares of all images of a split, by the names that profiles have.

    ``metric/right_between_<split>`` (T,): right there and wrong at both ends; ``metric/known_again_<split>`` (T,):
    wrong in every retrained model too; ``known/missed_<split>`` and ``known/never_<split>``: shares that could be.
    """
    found = {}
    for split in splits_compared(trace, retrained):
        for curve, among, models in (("right_between", "missed", ()), ("known_again", "never", retrained)):
            found[f"metric/{curve}_{split}"] = came_back(trace, split, models).mean(axis=1)
            found[f"known/{among}_{split}"] = np.float64(_missed(trace, split, models).mean())
    return found
