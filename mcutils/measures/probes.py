"""Linear probes: whether hidden features still tell a forgotten class from the others, whatever the logits say.

After "An Illusion of Unlearning?" (arXiv 2604.08271). A probe is trained on validation examples, which no model ever
learned, and scored on test examples: it measures the features alone.
"""

from __future__ import annotations

import numpy as np
import torch

from ..data.tasks import Task
from ..errors import BadInput, number, whole
from ..unlearning.endpoints import Endpoint
from ..weights import Weights
from .along import floats
from .similarity import features


def probe(x, y, onto, *, strength: float = 1.0) -> np.ndarray:
    """Classes (M,) that a multinomial logistic regression learned on features x (N, d) and y (N,) gives to onto (M, d).

    Features are standardised by x's mean and deviation (one that does not vary stays 0); ``strength`` is the inverse of
    the L2 penalty. Raises `BadInput` for other shapes, features that are not finite, or a single class.
    """
    from sklearn.linear_model import LogisticRegression

    strength = number("strength", strength, 1e-9)
    x, onto, y = floats("features", np.asarray(x)), floats("features", np.asarray(onto)), np.asarray(y)
    if x.ndim != 2 or onto.ndim != 2 or x.shape[1] != onto.shape[1] or y.shape != (len(x),):
        raise BadInput(
            f"a probe reads features (N, d), labels (N,) and (M, d), got {x.shape}, {y.shape}, {onto.shape}."
        )
    if not (np.isfinite(x).all() and np.isfinite(onto).all()) or len(np.unique(y)) < 2:
        raise BadInput("a probe needs finite features of two classes or more.")
    mean, spread = x.mean(axis=0), x.std(axis=0)
    scale = np.where(spread > 1e-12 * np.abs(x).max(initial=1.0), spread, np.inf)
    return LogisticRegression(C=strength, max_iter=1000).fit((x - mean) / scale, y).predict((onto - mean) / scale)


def recall(model: Weights | Endpoint, task: Task, label: int, rows: int = 2000) -> float:
    """Share of a class's test examples that a probe on penultimate features recognises; it learns validation examples.

    Args:
        model: whose features are read. task: where validation data hold the class. label: the class.
        rows: of each split at most.

    Raises:
        BadInput: a class without test examples.
    """
    label, rows = whole("label", label, 0, task.n_classes - 1), whole("rows", rows, 2)
    seen = []
    for split in ("valid", "test"):
        found = features(model, task, task.rows(split)[:rows])
        seen.append(torch.as_tensor(found[list(found)[-1]]).double().numpy())
    truth = task.labels("test")[:rows].cpu().numpy()
    if not (truth == label).any():
        raise BadInput(f"no test example is of class {label}.")
    given = probe(seen[0], task.labels("valid")[:rows].cpu().numpy(), seen[1])
    return float((given[truth == label] == label).mean())
