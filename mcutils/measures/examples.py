"""The bootstrap over examples: weights that curves and retrained models share, bands and noise of their replicates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np

from ..errors import BadInput
from ..traces import Trace
from .along import excess
from .metrics import accuracy, check_model, correct, mean_loss, per_example_loss
from .originals import LEVEL
from .readings import SPLITS_READ, Values, mean_levels


@lru_cache(maxsize=8)
def resamples(split: str, n: int, n_boot: int, seed: int) -> np.ndarray:
    """Bootstrap weights (n_boot, n) of a split's examples: multinomial counts over n, each row summing to 1.

    Fixed by the split's name, n and the seed; read-only, so that the cache stays intact.
    """
    generator = np.random.default_rng([seed, n, crc32(split.encode())])
    weights = np.zeros((n_boot, n))
    for row in weights:
        row += np.bincount(generator.integers(0, n, n), minlength=n)
    weights /= n
    weights.flags.writeable = False
    return weights


def band(values: np.ndarray, replicates: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Pointwise percentile band (2, T) of values (T,) from replicates (T, n_boot); the values if none."""
    if replicates.shape[-1] == 0:
        return np.stack([values, values])
    return np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=-1)


def noise_level(replicates: np.ndarray, t: np.ndarray) -> float:
    """Noise of a curve's shape in the units of its values: 1.96 median_t sd of the replicates' excess."""
    if replicates.shape[-1] < 2 or len(t) < 3:
        return 0.0
    return float(1.96 * np.median(excess(replicates, t)[1:-1].std(axis=-1)))


def check_models(retrained: Trace | Sequence[Trace] | None, trace: Trace, name: str = "retrained") -> list[Trace]:
    """Traces of single models as a list, or raise `BadInput` unless each is one model on the trace's examples."""
    if retrained is None:
        return []
    models: list[Any] = list(retrained) if isinstance(retrained, (list, tuple)) else [retrained]
    if not models:
        raise BadInput(f"{name} must be a trace or several, got an empty list.")
    return [check_model(one, name, trace, SPLITS_READ) for one in models]


def levels_of(models: Sequence[Trace]) -> dict[str, np.ndarray]:
    """Mean losses in nats and accuracies (R,) of R single models on retain and forget data; empty for none.

    Names are loss_<split> and accuracy_<split>, as in `Connectivity.levels`.
    """
    kinds = {"loss": mean_loss, "accuracy": accuracy}
    return {
        f"{kind}_{split}": np.array([function(one, split)[0] for one in models])
        for kind, function in kinds.items()
        for split in SPLITS_READ
        if models
    }


def sampled_levels(models: Sequence[Trace], n_boot: int, seed: int) -> Values:
    """Means over models, error rates in place of accuracies, on a trace's own resamples (n_boot,)."""
    found = {}
    for kind, function in (("loss", per_example_loss), ("accuracy", correct)):
        for split in SPLITS_READ if models else ():
            each = np.stack([function(one, split)[0] for one in models]).astype(np.float64)
            found[f"{kind}_{split}"] = each @ resamples(split, each.shape[1], n_boot, seed).T
    return mean_levels(found)
