"""IAM: how completely an example was unlearned, from the original model and one or more models that never saw it.

The unseen and the original model's signals are joined by a straight line; where on it the audited model stands says how
much is left. An interpolation of outputs, where ours is one of weights.
"""

from __future__ import annotations

import numpy as np

from ..errors import BadInput, number, whole

EULER = 0.5772  # Euler and Mascheroni's constant, with the digits of the public code
STEPS = 100
OUTER, INNER = 1e-2, 1e-5


def iam_signal(p) -> np.ndarray:
    """The confidence p_y on a doubly logarithmic scale, -log(0.01 - log(p_y + 0.00001)): larger the more a member.

    Args:
        p: confidences of the true class, in [0, 1].

    Source: default signal of the public code of arXiv 2506.06112. At p = 1 the inner logarithm is of 1.00001, which
    stays below 0.01.
    """
    p = np.asarray(p, dtype=np.float64)
    if ((p < 0) | (p > 1)).any():
        raise BadInput("confidences must lie from 0 to 1.")
    return -np.log(OUTER - np.log(p + INNER))


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
    return 1 - found / number("the sum of weights", float(alphas[1:].sum()), 0)
