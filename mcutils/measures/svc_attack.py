"""The membership attack of the SalUn family (`SVC_MIA`), as published, with a twin that is one threshold.

Its members are retained examples of the audited model itself, not of shadow models as its variables say: a population
attack. Its number is the share of D_f that is called *not* a member, so that larger is more forgotten; the aim is the
retrained model's own number, not the largest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import BadInput, choose
from ..traces import Trace
from .membership import checked
from .metrics import check_trace, log_softmax

PUBLISHED: Mapping[str, Any] = {"C": 3, "gamma": "auto", "kernel": "rbf"}  # gamma = 1 / number of features
SMALLEST = np.float32(1e-30)


def _log(p: np.ndarray) -> np.ndarray:
    return np.log(np.where(p > 0, p, SMALLEST))


def _entropy(p: np.ndarray, labels: np.ndarray) -> np.ndarray:  # noqa: ARG001
    return -(p * np.where(p > 0, _log(p), np.float32(0))).sum(axis=1)


def _m_entropy(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Their ``m_entropy``, which is not the modified entropy (`membership.SIGNALS` has that).

    Two slips: it takes log p_k where 1 - p_k is meant, and it indexes whole columns, of every class that any label of
    the set names, not one entry a row. So it is -sum_k (1 - p_k) log p_k over classes that are among the labels, and
    -sum_k p_k log p_k over the others: no label of the row is used, but the labels of all rows are.
    """
    named = np.isin(np.arange(p.shape[1]), labels)
    return -(np.where(named, 1 - p, p) * _log(p)).sum(axis=1)


FEATURES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "correctness": lambda p, labels: (p.argmax(axis=1) == labels).astype(np.float32),
    "confidence": lambda p, labels: p[np.arange(len(p)), labels],
    "entropy": _entropy,
    "m_entropy": _m_entropy,
    "prob": lambda p, labels: p,  # noqa: ARG005
}


def feature(name: str, logits, labels) -> np.ndarray:
    """A feature of `FEATURES` (N, F) float32 of logits (N, K) and labels (N,); F is 1, or K for ``prob``."""
    logits, labels = checked(logits, labels)
    if logits.ndim != 2:
        raise BadInput(f"the attack is on one model's logits (N, K), got {logits.shape}.")
    if not np.isfinite(logits).all():
        raise BadInput("the attack needs finite logits.")
    p = np.exp(log_softmax(logits)).astype(np.float32)  # as theirs: a confidence next to 1 is 1
    return FEATURES[choose("feature", name, FEATURES)](p, labels).reshape(len(labels), -1)


def svc_attack(members, others, targets, name: str = "confidence") -> float:
    """Share of targets that the attack calls non-members, in [0, 1]; published times 100.

    A support vector classifier (radial kernel, C = 3, gamma = 1 / F) is fitted on members (label 1) and others (0).

    Args:
        members, others, targets: pairs of logits (N, K) and labels (N,): retained examples, the first as many as there
            are test examples; test examples; D_f. name: a key of `FEATURES`; the family reports ``confidence``.

    Raises:
        BadInput: wrong shapes, logits that are not finite, an unknown feature.

    Source: Fan et al., SalUn, ICLR 2024 (arXiv 2310.12508), SVC_MIA_forget_efficacy of the public code.
    """
    from sklearn.svm import SVC

    sides = [feature(name, *pair) for pair in (members, others)]
    fitted = SVC(**PUBLISHED).fit(np.concatenate(sides), np.repeat([1.0, 0.0], [len(one) for one in sides]))
    return float(1 - fitted.predict(feature(name, *targets)).mean())


def threshold_attack(members, others, targets, name: str = "confidence") -> float:
    """The same with one threshold in the classifier's place: that of the largest accuracy, members above.

    The classifier's answer in one dimension is a set of intervals; the twin's is one, is deterministic and takes
    milliseconds. Of equally good thresholds it takes the lowest; a threshold lies halfway between two values.

    Args: as of `svc_attack`; a feature of one number a row, its sign such that members score higher.
    """
    signs = {"correctness": 1, "confidence": 1, "entropy": -1, "m_entropy": -1}
    choose("feature of one dimension", name, signs)
    own, other, asked = (signs[name] * feature(name, *one)[:, 0].astype(float) for one in (members, others, targets))
    values, place = np.unique(np.concatenate([own, other]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(values)) for part in (place[: len(own)], place[len(own) :])]
    # Right answers of the threshold below value k: members from k on, others before it; last, nobody is a member.
    right = np.r_[counts[0][::-1].cumsum()[::-1], 0] + np.r_[0, counts[1].cumsum()]
    edges = np.r_[-np.inf, (values[1:] + values[:-1]) / 2, np.inf]
    return float((asked < edges[right.argmax()]).mean())


def svc_along(trace: Trace, name: str = "confidence", attack: Callable[..., float] = svc_attack) -> np.ndarray:
    """The attack on D_f at every t of a trace (T,), fitted anew at each; nan where the logits are not finite.

    Members are retained examples and others test examples, equally many, the first of each: the published attack takes
    as many retained examples as there are test ones, but a trace holds the smaller sample ``retain_eval``.

    Args:
        trace: of a curve or a model. name: a key of `FEATURES`. attack: `svc_attack` or `threshold_attack`.
    """
    check_trace(trace)
    size = min(len(trace.labels["retain"]), len(trace.labels["test"]))
    found = []
    for k in range(len(trace.t)):
        sets = [
            (trace.logits[s][k][:n], trace.labels[s][:n])
            for s, n in (("retain", size), ("test", size), ("forget", None))
        ]
        finite = all(np.isfinite(logits).all() for logits, _ in sets)
        found.append(attack(*sets, name) if finite else np.nan)
    return np.array(found)
