"""The best snapshot of an unlearning run, chosen on validation data: forgetting and utility in one number.

This companion's reading of what was asked of another framework in public (locuslab/open-unlearning, issue 187): the
checkpoint to compare methods by is the one with the best mean of forget quality and utility.
"""

from __future__ import annotations

import numpy as np

from ..errors import BadInput
from ..traces import Trace
from .metrics import accuracy, check_trace


def forget_quality(trace: Trace) -> np.ndarray:
    """1 - |accuracy on D_f - accuracy on validation data| (T,): 1 where D_f looks like data never seen."""
    return 1 - np.abs(accuracy(_with(trace, "forget"), "forget") - accuracy(_with(trace, "valid"), "valid"))


def utility(trace: Trace) -> np.ndarray:
    """Accuracy on validation data over that of the first point (T,), which is the original model; may exceed 1."""
    found = accuracy(_with(trace, "valid"), "valid")
    if not found[0]:
        raise BadInput("the first point of the trace gets no validation example right: it is no original model.")
    return found / found[0]


def compromise(trace: Trace) -> np.ndarray:
    """(forget quality + utility) / 2 (T,) along a path that begins at the original model."""
    return (forget_quality(trace) + utility(trace)) / 2


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
