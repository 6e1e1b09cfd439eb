"""Population attacks: is an example a member, judged by one number of the audited model's own output?

No other model is asked, so that such an attack tells what the average forget example looks like beside examples that
nobody was trained on. Signals and scores are larger the more an example looks like a member. Shapes: T points, N
examples, K classes. Scores (..., m) of members and (..., n) of others may have equal leading axes, such as t along a
curve; a row that holds a nan gives nan.

The attack of the SalUn family (`SVC_MIA`) stands here as published, with a twin that is one threshold. Its members are
retained examples of the audited model itself, not of shadow models as its variables say. Its number is the share of D_f
that is called *not* a member, so that larger is more forgotten; the aim is the retrained model's own number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import BadInput, choose, seed_of, share, whole
from ..traces import Trace
from .metrics import check_trace, log_softmax

FALSE_ALARMS = 0.01  # the false positive rate at which the true one is told
PUBLISHED: Mapping[str, Any] = {"C": 3, "gamma": "auto", "kernel": "rbf"}  # of the SVC; gamma = 1 / number of features
SMALLEST = np.float32(1e-30)  # in place of probabilities of 0, in the SVC's features


def sides(members, others) -> tuple[np.ndarray, np.ndarray]:
    """Scores of both sides as float64 (..., m) and (..., n), or `BadInput`."""
    found = [np.atleast_1d(np.asarray(one)) for one in (members, others)]
    if any(one.dtype.kind not in "fiub" for one in found):
        raise BadInput("scores of members and of others must be arrays of real numbers.")
    shapes = [one.shape for one in found]
    if 0 in shapes[0] + shapes[1] or shapes[0][:-1] != shapes[1][:-1]:
        raise BadInput(f"scores must be (..., m) and (..., n) with m, n >= 1 and equal leading axes, got {shapes}.")
    return found[0].astype(np.float64), found[1].astype(np.float64)


def auc(members, others) -> np.ndarray:
    """Area under the ROC curve: how often a member scores above another example, ties counting half.

    AUC = P(s > s') + P(s = s') / 2 = (sum of the members' ranks - m (m + 1) / 2) / (m n), with mid-ranks, (...); below
    1/2 where members look less like members than others do. Sources: Mann and Whitney 1947; Hanley and McNeil 1982.

    >>> float(auc([0.9, 0.5], [0.5, 0.1]))
    0.875
    """
    members, others = sides(members, others)
    rows = zip(members.reshape(-1, members.shape[-1]), others.reshape(-1, others.shape[-1]), strict=True)
    found = np.full(members[..., 0].size, np.nan)
    for k, (own, other) in enumerate(rows):
        if not (np.isnan(own).any() or np.isnan(other).any()):
            own, other = np.sort(own), np.sort(other)  # in order they are placed twice as fast
            below = np.searchsorted(other, own, "left") + np.searchsorted(other, own, "right")
            found[k] = (below / (2 * len(other))).mean()
    return found.reshape(members.shape[:-1])


def tpr_at(members, others, fpr: float = FALSE_ALARMS) -> np.ndarray:
    """Largest share of members found by a threshold that calls at most a share ``fpr`` of others members.

    TPR(fpr) = max_c P(s >= c) over thresholds c with P(s' >= c) <= fpr, (...); nothing is interpolated, so that with
    fewer than 1 / fpr others it is the share of members above all of them. Source: Carlini et al., LiRA, S&P 2022
    (arXiv 2112.03570).

    >>> float(tpr_at([3, 2, 1, 0], [2.5, 0.5, -1, -2], 0.25))
    0.75
    """
    members, others = sides(members, others)
    allowed = int(share("fpr", fpr, zero=True) * others.shape[-1] + 1e-9)
    bar = -np.sort(-others, axis=-1)[..., allowed, None]
    bad = np.isnan(members).any(axis=-1) | np.isnan(others).any(axis=-1)
    return np.where(bad, np.nan, (members > bar).mean(axis=-1))


def confidence_logit(logits, labels) -> np.ndarray:
    """The confidence of the true class on the scale of logits, phi = log p_y - log(1 - p_y), exact at any confidence.

    phi = z_y - logsumexp_{k != y} z_k (..., N), of logits (..., N, K) and labels (N,), which never forms 1 - p_y; nan
    where a logit of the row is not finite. LiRA's score, and the margin of KLoM. Source: Carlini et al., LiRA, S&P 2022
    (arXiv 2112.03570), section VI; their code adds 1e-45 to both logarithms.

    >>> confidence_logit([[100.0, 0.0, 0.0]], [0]).round(4).tolist()
    [99.3069]
    """
    logits, labels = checked(logits, labels)
    own = _own(logits, labels)
    with np.errstate(invalid="ignore"):
        rest = np.where(np.arange(logits.shape[-1]) == labels[:, None], -np.inf, logits)
        most = rest.max(axis=-1)
        found = own - most - np.log(np.exp(rest - most[..., None]).sum(axis=-1))
    return np.where(np.isfinite(logits).all(axis=-1), found, np.nan)


def checked(logits, labels) -> tuple[np.ndarray, np.ndarray]:
    """Logits (..., N, K) in float64 and labels (N,), or `BadInput`."""
    logits, labels = np.asarray(logits), np.asarray(labels)
    fits = logits.ndim >= 2 and logits.dtype.kind == "f" and labels.shape == logits.shape[-2:-1] and logits.size
    if not fits or logits.shape[-1] < 2 or labels.dtype.kind not in "iu":
        raise BadInput(
            f"logits must be real numbers (..., N, K) of two classes or more and labels N whole numbers, got"
            f" {logits.dtype} of shape {logits.shape} and {labels.dtype} of shape {labels.shape}."
        )
    if labels.min() < 0 or labels.max() >= logits.shape[-1]:
        raise BadInput(f"labels must lie from 0 to {logits.shape[-1] - 1}, got {labels.min()} to {labels.max()}.")
    return logits.astype(np.float64), labels


def _own(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of values (..., N, K) those of the true class (..., N)."""
    return np.take_along_axis(values, np.broadcast_to(labels[:, None], (*values.shape[:-1], 1)), -1)[..., 0]


def _loss(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """log p_y, minus the cross-entropy (Yeom et al. 2018, arXiv 1709.01604)."""
    return _own(log_softmax(logits), labels)


def _confidence(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """p_y: ranks examples as the loss does, up to those that it rounds to 1 (Salem et al. 2019, arXiv 1806.01246)."""
    return np.exp(_loss(logits, labels))


def _entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:  # noqa: ARG001
    """sum_k p_k log p_k, minus the entropy of the prediction (Salem et al. 2019); the label is not used."""
    log_p = log_softmax(logits)
    return (np.exp(log_p) * log_p).sum(axis=-1)


def _modified_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(1 - p_y) log p_y + sum_{k != y} p_k log(1 - p_k), minus Mentr (Song and Mittal, arXiv 2003.10595, eq. 8)."""
    log_p, log_rest = log_softmax(logits), _log_rest(logits)
    true = np.arange(logits.shape[-1]) == labels[:, None]
    return np.where(true, np.exp(log_rest) * log_p, np.exp(log_p) * log_rest).sum(axis=-1)


def _log_rest(logits: np.ndarray) -> np.ndarray:
    """log(1 - p_k) (..., N, K), exact where p_k is next to 1: there the other classes are summed."""
    log_p = log_softmax(logits)
    top = log_p.argmax(axis=-1)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log1p(-np.exp(log_p))
        others = np.where(np.arange(log_p.shape[-1]) == top, -np.inf, log_p)
        most = others.max(axis=-1, keepdims=True)
        np.put_along_axis(found, top, most + np.log(np.exp(others - most).sum(axis=-1, keepdims=True)), -1)
    return found


# Of logits (..., N, K) and labels (N,): a score (..., N), larger for what looks like a member.
SIGNALS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "loss": _loss,
    "confidence": _confidence,
    "entropy": _entropy,
    "modified_entropy": _modified_entropy,
}


def signal(name: str, logits, labels) -> np.ndarray:
    """One of `SIGNALS` (..., N) of logits (..., N, K) and labels (N,)."""
    return SIGNALS[choose("signal", name, SIGNALS)](*checked(logits, labels))


def balanced_rows(members, others, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two sets of examples, by their labels (m,) and (n,): as many as there are, equally many of each class.

    Where the classes of members and others differ in frequency, an attack finds classes in place of members. Both are
    in rising order; ``seed`` decides which rows of the larger side stay. Raises `BadInput` where no class is on both.
    """
    sets = [np.asarray(one) for one in (members, others)]
    if any(one.ndim != 1 or one.dtype.kind not in "iu" for one in sets):
        raise BadInput("labels of members and of others must be lists of whole numbers.")
    generator = np.random.default_rng(seed_of(seed))
    kept: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for label in np.intersect1d(sets[0], sets[1]):
        rows = [np.flatnonzero(one == label) for one in sets]
        size = min(map(len, rows))
        for side, one in zip(kept, rows, strict=True):
            side.append(generator.permutation(one)[:size])
    if not kept[0]:
        raise BadInput("members and others have no class in common: nothing can be compared.")
    return np.sort(np.concatenate(kept[0])), np.sort(np.concatenate(kept[1]))


def attack_accuracy(members, others, *, folds: int = 10, seed: int = 0) -> float:
    """Accuracy of the best threshold, cross-fitted: chosen on all folds but one and judged on that one.

    Both sides are cut to equal numbers and dealt to equal folds. On the training folds the threshold and its side with
    the largest accuracy are taken (members above or members below, ties going to members above). 1/2 where nothing can
    be told: the judged examples chose nothing. A model that over-forgets is found too, by members *below*; `auc` has
    the sign. Scores are (m,) and (n,), at least ``folds`` each, which are 2 or more; nan if a score is.

    Source: loss attack of the NeurIPS 2023 unlearning challenge's starting kit (logistic regression in ten stratified
    splits), whose boundary in one dimension is a threshold too.
    """
    members, others = sides(members, others)
    folds, size = whole("folds", folds, 2), min(members.shape[-1], others.shape[-1])
    if members.ndim > 1 or size < folds:
        raise BadInput(
            f"{folds} folds need (m,) and (n,) scores, that many a side; got {members.shape}, {others.shape}."
        )
    if np.isnan(members).any() or np.isnan(others).any():
        return np.nan
    generator = np.random.default_rng(seed_of(seed))
    own, other = (generator.permutation(one)[:size] for one in (members, others))
    fold, right = np.arange(size) % folds, 0.0
    for k in range(folds):
        threshold, above = _best(own[fold != k], other[fold != k])
        calls = [(one[fold == k] >= threshold) == above for one in (own, other)]
        right += calls[0].sum() + (~calls[1]).sum()
    return float(right / (2 * size))


def _best(members: np.ndarray, others: np.ndarray) -> tuple[float, bool]:
    """Threshold c, halfway between two scores, and whether members are s >= c, with the most right answers."""
    values = np.clip(np.concatenate([members, others]), -1e300, 1e300)
    order = np.argsort(values, kind="stable")
    values, sign = values[order], np.where(order < len(members), 1.0 / len(members), -1.0 / len(others))
    gain = -np.r_[0.0, sign.cumsum()]  # TPR - FPR of a threshold just below value k
    gain[1:-1][values[1:] == values[:-1]] = 0.0  # none separates equal values
    above = bool(gain.max() >= -gain.min())
    k = int(gain.argmax() if above else gain.argmin())
    low, high = np.r_[-np.inf, values, np.inf][k : k + 2]
    middle = (low + high) / 2
    return float(high if middle == low and np.isfinite(low) else middle), above


def population_attacks(
    trace: Trace, *, members: str = "forget", others: str = "test", folds: int = 10, seed: int = 0
) -> dict[str, np.ndarray]:
    """Every attack of `SIGNALS` at every t, on equally many examples of each class.

    "<signal>/auc", "<signal>/tpr" (at 1 % FPR) and "<signal>/accuracy" (cross-fitted), (T,) each, of two splits of a
    trace. An AUC is told with its direction: above 1/2 members look like members (under-forgotten), below 1/2 less so
    than unseen examples do (over-forgotten). The ideal is the retrained model's own value, not 1/2: members may be
    easier or harder than others. ``folds`` and ``seed`` are those of `attack_accuracy` and `balanced_rows`.
    """
    check_trace(trace)
    for split in (members, others):
        choose("split", split, trace.logits)
    rows = balanced_rows(trace.labels[members], trace.labels[others], seed)
    found: dict[str, np.ndarray] = {}
    for name in SIGNALS:
        own, other = (
            signal(name, trace.logits[split][:, kept], trace.labels[split][kept])
            for split, kept in zip((members, others), rows, strict=True)
        )
        few = min(folds, own.shape[-1])
        fitted = [attack_accuracy(*pair, folds=few, seed=seed) for pair in zip(own, other, strict=True)]
        found |= {f"{name}/auc": auc(own, other), f"{name}/tpr": tpr_at(own, other)}
        found[f"{name}/accuracy"] = np.array(fitted)
    return found


def _log(p: np.ndarray) -> np.ndarray:
    return np.log(np.where(p > 0, p, SMALLEST))


def _svc_entropy(p: np.ndarray, labels: np.ndarray) -> np.ndarray:  # noqa: ARG001
    return -(p * np.where(p > 0, _log(p), np.float32(0))).sum(axis=1)


def _svc_m_entropy(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
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
    "entropy": _svc_entropy,
    "m_entropy": _svc_m_entropy,
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
