"""How far unlearned models lie from retrained models, example by example: epsilon and KLoM of laws, IAM of one model.

Epsilon and KLoM need many models of each: unlearned (M, N) and retrained (R, N) confidences phi
(`membership.confidence_logit`), M models by N examples. What as few models can tell is printed beside them:
`largest_epsilon`, `null_split`. IAM joins the signals of models that never saw an example and of the original model by
a straight line: where on it the audited model stands says how much is left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import BadInput, number, seed_of, whole

DELTA, CAP = 1e-5, 50.0  # of the challenge
NARROW = 0.01  # a law whose range is a smaller share of the other's is told apart at once
ROOM = 2**18  # pairs of thresholds, over examples, that are tried at once
BOUND = 100.0  # margins are clipped to +- this
EULER = 0.5772  # Euler and Mascheroni's constant, with the digits of IAM's public code
STEPS = 100  # from the unseen models' signals to the original's


def laws(unlearned, retrained) -> tuple[np.ndarray, np.ndarray]:
    """Confidences (M, N) and (R, N) in float64, or `BadInput`."""
    found = [np.asarray(one, dtype=np.float64) for one in (unlearned, retrained)]
    shapes = [one.shape for one in found]
    if any(one.ndim != 2 or not one.size for one in found) or shapes[0][1] != shapes[1][1]:
        raise BadInput(f"confidences must be (models, examples) of the same examples on both sides, got {shapes}.")
    if not all(np.isfinite(one).all() for one in found):
        raise BadInput("confidences must be finite.")
    return found[0], found[1]


def largest_epsilon(models: int, delta: float = DELTA) -> float:
    """The largest epsilon, short of no error at all, that so many models of each law can tell: log(M (1 - delta) - 1).

    One error of each kind is the least that is counted: log((1 - delta - 1/M) M), about ln(M - 1): 2.7 of 16 models,
    3.4 of 32, 4.1 of 64, 6.2 of 512.

    >>> [round(largest_epsilon(models), 1) for models in (16, 32, 64, 512)]
    [2.7, 3.4, 4.1, 6.2]
    """
    return float(np.log(max(whole("models", models, 1) * (1 - delta) - 1, 1.0)))


def epsilons(unlearned, retrained, *, delta: float = DELTA, cap: float = CAP) -> np.ndarray:
    """Epsilon of each example: the largest that an attack of two families finds between the laws.

    eps = max over attacks of max(log((1 - delta - FPR) / FNR), log((1 - delta - FNR) / FPR)), at least 0 and at most
    ``cap``. The positive law is the one with the larger median, and one threshold calls positive what is at or above
    it; two thresholds call what lies between them of the law with the smaller range. Attacks with one error rate 0 and
    the other not are left out, as too few models to tell; no error at all is ``cap``, and so is a law whose range is
    below 1 % of the other's. (N,), of laws (M, N) and (R, N).

    Source: NeurIPS 2023 machine unlearning challenge (Triantafillou et al., arXiv 2406.09073), metric.py. There
    thresholds stand on a grid of 1/100, and those of a pair at most 2 further apart or closer than the smaller range;
    here every threshold that makes a difference is tried, so that epsilon is at least theirs.
    """
    ours, theirs = laws(unlearned, retrained)
    found = np.empty(ours.shape[1])
    step = max(1, ROOM // (len(ours) + len(theirs) + 1) ** 2)
    for k in range(0, len(found), step):
        found[k : k + step] = _epsilons(ours[:, k : k + step], theirs[:, k : k + step], delta, cap)
    return found


def _epsilons(unlearned: np.ndarray, retrained: np.ndarray, delta: float, cap: float) -> np.ndarray:
    values = np.sort(np.concatenate([unlearned, retrained, np.full_like(unlearned[:1], np.inf)]), axis=0)
    upper = np.median(retrained, axis=0) > np.median(unlearned, axis=0)
    widths = np.stack([np.ptp(one, axis=0) for one in (unlearned, retrained)])
    below = np.stack([(one[:, None] < values).mean(axis=0) for one in (unlearned, retrained)])  # of each law, (2, K, N)
    negative, positive = np.where(upper, below, below[::-1])
    turned = np.where(upper, widths, widths[::-1])
    inner, outer = np.where(turned[1] >= turned[0], (negative, positive), (positive, negative))
    left, right = np.triu_indices(len(values), 1)
    one = _best(positive, 1 - negative, delta)
    two = _best(1 - (inner[right] - inner[left]), outer[right] - outer[left], delta)
    narrow = widths.min(axis=0) < NARROW * widths.max(axis=0)
    found = np.where(narrow, cap, np.minimum(np.maximum(one, two), cap))
    flat = widths.max(axis=0) == 0
    return np.where(flat, np.where(unlearned[0] == retrained[0], 0.0, cap), found)


def _best(fnr: np.ndarray, fpr: np.ndarray, delta: float) -> np.ndarray:
    """The largest epsilon (N,) among attacks with these error rates (attacks, N); inf where one makes no error."""
    fnr, fpr = fnr.round(12), fpr.round(12)
    told = (fnr > 0) & (fpr > 0)
    best = np.ones(fnr.shape[1])
    for miss, alarm in ((fnr, fpr), (fpr, fnr)):
        ratios = np.divide(1 - delta - alarm, miss, out=np.zeros_like(miss), where=told)
        best = np.maximum(best, ratios.max(axis=0))
    return np.where(((fnr == 0) & (fpr == 0)).any(axis=0), np.inf, np.log(best))


class Quality(NamedTuple):
    """The challenge's score with all that it is made of."""

    score: float  # points x retain ratio x test ratio
    points: float  # mean of what the examples' epsilons are worth, in [0, 1]
    median_epsilon: float
    capped: float  # share of examples told apart without an error
    largest: float  # epsilon that so many models can tell, short of the cap


def points_of(found, models: int) -> np.ndarray:
    """What each epsilon is worth: 2^-floor(2 eps) (1 below 0.5, 1/2 below 1, ...), 0 beyond the last bin.

    There are 2 ceil(ln(M - 1)) bins of width 1/2 for M models.
    """
    found = np.asarray(found, dtype=np.float64)
    bins = 2 * int(np.ceil(np.log(max(whole("models", models, 2) - 1, 1))))
    place = np.floor(2 * found)
    return np.where(place < bins, 2.0 ** -np.minimum(place, 60), 0.0)


def forgetting_quality(unlearned, retrained, *, retain_ratio: float = 1.0, test_ratio: float = 1.0) -> Quality:
    """The challenge's score: mean points of the forget examples times RA / RA_retrained times TA / TA_retrained.

    Of confidences (M, N) and (R, N) of the forget examples, and the ratios of mean accuracies. Source: as `epsilons`.
    The bins follow from the number of unlearned models.
    """
    ours, theirs = laws(unlearned, retrained)
    found = epsilons(ours, theirs)
    points = float(points_of(found, len(ours)).mean())
    ratios = number("retain_ratio", retain_ratio, 0) * number("test_ratio", test_ratio, 0)
    told = float(np.median(found)), float((found >= CAP).mean())
    return Quality(points * ratios, points, *told, largest_epsilon(min(len(ours), len(theirs))))


def null_split(retrained, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two random halves of the retrained models: what no difference looks like with half as many models a law."""
    models = np.asarray(retrained)
    if models.ndim != 2 or len(models) < 4:
        raise BadInput(f"a null needs four retrained models or more by examples, got shape {models.shape}.")
    order = np.random.default_rng(seed_of(seed)).permutation(len(models))
    half = len(models) // 2
    return models[order[:half]], models[order[half : 2 * half]]


def klom(unlearned, retrained, *, bins: int = 20, floor: float = 1e-5, published: bool = False) -> np.ndarray:
    """KLoM: Kullback-Leibler divergence of margins, unlearned from retrained, for each example, in nats.

    KL = sum_b p_b log(p_b / max(q_b, floor)) over bins with p_b > 0: equal bins over the joint range of the margins,
    clipped to +-100. With N models a bin that only unlearned models reach counts log(p / 1e-5), about 8 nats for p =
    1/32, so that such bins decide the number: `klom_normal` has none. Can be slightly negative, since the floor lets q
    sum to more than 1.

    Args:
        unlearned, retrained: (M, N) and (R, N) margins, which are the confidences phi. bins: 20 as published; 8 for 32
            models. published: drop the largest value, as the public code does (its last bin is open above), so that
            the sample that holds it has one model less.

    Source: Rinberg et al., EasyDUB (arXiv 2602.16400); Georgiev et al. 2024 (arXiv 2410.23232).
    """
    ours, theirs = (np.clip(one, -BOUND, BOUND) for one in laws(unlearned, retrained))
    bins = whole("bins", bins, 1, 10_000)
    found = np.empty(ours.shape[1])
    for k in range(len(found)):
        low, high = min(ours[:, k].min(), theirs[:, k].min()), max(ours[:, k].max(), theirs[:, k].max())
        edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
        shares = []
        for one in (ours[:, k], theirs[:, k]):
            counts = np.histogram(one[one < edges[-1]] if published else one, edges)[0]
            shares.append(counts / max(counts.sum(), 1))
        p, q = shares
        seen = p > 0
        found[k] = (p[seen] * np.log(p[seen] / np.maximum(q[seen], floor))).sum()
    return found


def klom_normal(unlearned, retrained, *, least: float = 1e-3) -> np.ndarray:
    """The same between the two normal laws with the samples' means and variances, for few models.

    KL(N(m, s^2) || N(m', s'^2)) = log(s' / s) + [s^2 + (m - m')^2] / (2 s'^2) - 1/2, (N,) in nats, of two models or
    more each; ``least`` is the smallest standard deviation believed.
    """
    ours, theirs = laws(unlearned, retrained)
    if min(len(ours), len(theirs)) < 2:
        raise BadInput("a normal law needs two models or more.")
    s, r = (np.maximum(one.std(axis=0, ddof=1), least) for one in (ours, theirs))
    return np.log(r / s) + (s**2 + (ours.mean(0) - theirs.mean(0)) ** 2) / (2 * r**2) - 0.5


def iam_signal(p) -> np.ndarray:
    """The confidence p_y on a doubly logarithmic scale, -log(0.01 - log(p_y + 0.00001)): larger the more a member.

    Source: default signal of the public code of arXiv 2506.06112. At p = 1 the inner logarithm is of 1.00001, which
    stays below 0.01.
    """
    p = np.asarray(p, dtype=np.float64)
    if ((p < 0) | (p > 1)).any():
        raise BadInput("confidences must lie from 0 to 1.")
    return -np.log(0.01 - np.log(p + 1e-5))


def completeness(audited, original, unseen, *, steps: int = STEPS, shared: bool = True) -> np.ndarray:
    """Completeness of unlearning each example, in [0, 1]: 1 - sum_k a_{k+1} F_k(s) / sum_k a_{k+1}.

    s_k = s_unseen + a_k (s_original - s_unseen), with a_0 = 0 to a_{n-1} = 1 in n = ``steps`` equal steps. F_k is the
    cdf of a Gumbel law with the mean and standard deviation of s_k: scale b = sqrt(6) sd / pi and location mean -
    0.5772 b. The sum goes over k = 0 to n - 2: as published, the cdf of step k has the weight of step k + 1, and the
    original's own end is left out.

    Args:
        audited: signals of the audited model (..., N). original: of the model before unlearning (N,). unseen: of R >= 1
            models that never saw the examples (R, N). steps: 2 or more. shared: one sd a step, over models and examples
            (always so for one model); else one for each example, over models.

    Returns:
        (..., N): near 1 where the audited model stands at the unseen ones, lower the nearer it is to the original.

    Source: Wang et al., IAM (arXiv 2506.06112), default of the public code.
    """
    parts = [np.asarray(one, dtype=np.float64) for one in (audited, original, unseen)]
    own, first, out = parts
    if out.ndim != 2 or not out.size or first.shape != out.shape[1:] or own.shape[-1:] != first.shape:
        raise BadInput(f"IAM needs signals (..., N), (N,) and (R, N), got {[one.shape for one in parts]}.")
    alphas = np.linspace(0.0, 1.0, whole("steps", steps, 2, 10_000))
    found = np.zeros(own.shape)
    for here, weight in zip(alphas[:-1], alphas[1:], strict=True):
        between = out + here * (first - out)
        spread = between.std() if shared or len(out) == 1 else between.std(axis=0)
        scale = np.sqrt(6) * np.maximum(spread, 1e-10) / np.pi
        with np.errstate(over="ignore"):
            found += weight * np.exp(-np.exp(-(own - between.mean(axis=0) + EULER * scale) / scale))
    return 1 - found / alphas[1:].sum()
