"""Walks with metrics, fits and retrained models whose tables are known beforehand."""

from itertools import combinations

import numpy as np
from synthetic import SEEDS, walk

from mcutils.measures.metrics import METRICS
from mcutils.paper.walks import RETRAINED

METHODS = ("npo", "scrub", "salun", "l1_sparse", "bad_teacher", "random_labels")
LEVEL_SCORES = ((0.5,) * 5, (0.5,) * 5)


def measured(curves=None, method="npo", pair=(42, 87), barrier=0.0, deficit=0.0, scores=LEVEL_SCORES, **options):
    """A walk whose metrics have these curves at the five points of `T`, and are 0 where none is given."""
    metrics = dict.fromkeys(METRICS, np.zeros(5)) | (curves or {})
    return walk(method, barrier, deficit, pair, metrics=metrics, scores=scores, **options)


def wild(seed):
    """Random curves of all metrics."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=5) for name in METRICS}


def reference_models():
    original = {name: 0.0 for name in METRICS}
    retrained = [dict(original, zrf=0.9, loss_test=0.1), dict(original, zrf=1.1, loss_test=-0.1)]
    return original, retrained


def forgetting(loss, accuracy, method="npo", seed=42):
    curves = {"loss_forget": np.asarray(loss, float), "accuracy_forget": np.asarray(accuracy, float)}
    return measured(curves, method, pair=(seed, seed), condition="forgetting")


def retraining(barrier, base, methods=METHODS, pairs=3, apart=5.0):
    """Lines to retrained models and between them, as `progress_and_retraining.progress` walks them."""
    walks = []
    for k, method in enumerate(methods):
        height = barrier[method] if isinstance(barrier, dict) else barrier
        for seed in SEEDS[:pairs]:
            for init, level in (("same init", height), ("other init", apart)):
                walks.append(walk(method, level, 0.3, (seed, seed), condition="retraining", init=init, seed=k))
    for pair in combinations(SEEDS[:pairs], 2):
        for init, level in (("same init", base), ("other init", apart)):
            labels = {"control": RETRAINED, "condition": "retrained", "init": init}
            walks.append(walk("retrain", level, 0.0, pair, seed=99, **labels))
    return walks
