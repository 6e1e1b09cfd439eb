"""What a network knows or goes by, beside its accuracy: linear probes of its features, and its use of a planted cue.

A linear probe asks whether hidden features still tell a forgotten class from the others, whatever the logits say (after
"An Illusion of Unlearning?", arXiv 2604.08271). It is trained on validation examples, which no model ever learned, and
scored on test examples. The use of a cue (`data.cues`) is how far predictions follow the cue and not the image.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..data.cues import REPLACED, SETS, other_images
from ..data.tasks import Task, sort_of
from ..errors import BadInput, choose, number, seed_of, whole
from ..traces import Trace, check_same_examples
from ..unlearning.endpoints import Endpoint
from ..weights import Weights
from .along import floats
from .metrics import predictions
from .similarity import penultimate


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
    seen = [penultimate(model, task, task.rows(split)[:rows]) for split in ("valid", "test")]
    truth = task.labels("test")[:rows].cpu().numpy()
    if not (truth == label).any():
        raise BadInput(f"no test example is of class {label}.")
    given = probe(seen[0], task.labels("valid")[:rows].cpu().numpy(), seen[1])
    return float((given[truth == label] == label).mean())


def cue_effects(traces: Mapping[str, Trace], split: str = "test", seed: int = 0) -> dict[str, np.ndarray]:
    """What the cue does to each example along a path, (T, N) float64, to be averaged or resampled over examples.

    For an example of label y, whose ``swapped`` image is that of example d and so of class y_d, with logits z,
    prediction p and [...] = 1 if so, else 0: ``accuracy_s`` = [p = y on set s] for each s of `SETS`; ``sensitivity`` =
    accuracy_own - accuracy_other: what a wrong cue costs in comparison with the right one; ``reliance`` = [p = y] - [p
    not in {y, y_d}] / (K - 2) on the swapped image: how much more often the cue's label is predicted than any other
    that is not the image's; mean 1 if the cue alone decides, 0 if it plays no part; ``pull`` = m(swapped) - m(d's image
    without a cue), m = z_y - mean of z_k over k not in {y, y_d}, in nats: how far the cue moves the log-odds of its
    label, whether or not it moves the prediction. The labels that neither cue nor image stand for measure what the
    square does by covering a part of the image. What is left in a model that never saw a cue is small; the retrained
    model's value is the one to compare with.

    ``traces`` are of one model or path on each of `SETS`, ``split`` is ``forget`` or ``test``, ``seed`` that of the
    sets. Raises `BadInput` if a set is missing or the traces differ in their examples or in t.
    """
    choose("split", split, REPLACED)
    seed_of(seed)
    if not isinstance(traces, Mapping) or not all(isinstance(one, Trace) for one in traces.values()):
        raise BadInput(f"traces must be a dictionary of traces by counterfactual set, got {sort_of(traces)}.")
    if lacking := [name for name in SETS if name not in traces]:
        raise BadInput(f"traces lack {', '.join(lacking)}; needed: {', '.join(SETS)}.")
    none, swapped = traces["none"], traces["swapped"]
    for name in SETS:
        check_same_examples(none, traces[name])
        if not np.array_equal(none.t, traces[name].t):
            raise BadInput(f"the traces on 'none' and {name!r} were taken at different t.")
    y, each, thirds = none.labels[split], np.arange(len(none.labels[split])), none.logits[split].shape[-1] - 2
    donors = other_images(none.index[split], y, seed)

    def margin(trace: Trace, examples: np.ndarray) -> np.ndarray:
        z = trace.logits[split][:, examples].astype(np.float64)
        return z[:, each, y] - (z.sum(axis=-1) - z[:, each, y] - z[:, each, y[donors]]) / thirds

    predicted = {name: predictions(traces[name], split) for name in SETS}
    right = {name: (p == y).astype(np.float64) for name, p in predicted.items()}
    p = predicted["swapped"]  # -1 where a logit is nan
    return {
        **{f"accuracy_{name}": values for name, values in right.items()},
        "sensitivity": right["own"] - right["other"],
        "reliance": right["swapped"] - ((p >= 0) & (p != y) & (p != y[donors])) / thirds,
        "pull": margin(swapped, each) - margin(none, donors),
    }


def cue_use(traces: Mapping[str, Trace], split: str = "test", seed: int = 0) -> dict[str, np.ndarray]:
    """The means over examples of `cue_effects`, (T,) float64: accuracies, sensitivity, reliance, pull."""
    return {name: values.mean(axis=1) for name, values in cue_effects(traces, split, seed).items()}
