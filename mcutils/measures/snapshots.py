"""The best snapshot of an unlearning run, chosen on validation data: forgetting and utility in one number.

This companion's reading of what was asked of another framework in public (locuslab/open-unlearning, issue 187): the
checkpoint to compare methods by is the one with the best mean of forget quality and utility.
"""

from __future__ import annotations

import numpy as np

from ..errors import BadInput
from ..traces import Trace
from .metrics import accuracy, check_trace


def compromise_of(forget, valid) -> np.ndarray:
    """(forget quality + utility) / 2 (T,) from accuracies on D_f and on validation data along a way from the original.

    Forget quality is 1 - |forget - valid|, 1 where D_f looks like data never seen; utility is valid over its first
    value, that of the original model, and may exceed 1. Raises `BadInput` where the original gets nothing right.
    """
    forget, valid = np.asarray(forget, dtype=np.float64), np.asarray(valid, dtype=np.float64)
    if not valid[0]:
        raise BadInput("the first point of the trace gets no validation example right: it is no original model.")
    return (1 - np.abs(forget - valid) + valid / valid[0]) / 2


def compromise(trace: Trace) -> np.ndarray:
    """`compromise_of` (T,) along a path that begins at the original model."""
    return compromise_of(*(accuracy(_with(trace, split), split) for split in ("forget", "valid")))


def best_snapshot(trace: Trace) -> int:
    """Which point of a traced trajectory has the best `compromise`, the earliest of equal ones, counted from 0.

    Neither test data nor a retrained model is looked at. Raises `BadInput` for a trace without forget or validation
    examples.
    """
    return int(compromise(trace).argmax())


def _with(trace: Trace, split: str) -> Trace:
    if split not in check_trace(trace).logits or not trace.labels[split].size:
        raise BadInput(f"a snapshot is chosen by forget and validation examples, but the trace holds none of {split}.")
    return trace
