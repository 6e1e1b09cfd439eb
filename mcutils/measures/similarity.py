"""Similarities: how alike two models are in predictions, features or weights; and matrices of such numbers.

None of these measures walks a path, so they check the reading that models without linear connectivity work by different
mechanisms (Lubana et al. 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..curves import weights_at
from ..data.tasks import Inputs, Task, take, to
from ..errors import BadInput, choose, shown
from ..traces import BATCH, Trace, check_same_examples
from ..unlearning.endpoints import Endpoint
from ..weights import Weights, check_same_shape, cosine, memory_format, module_of
from . import metrics
from .metrics import check_model

Name = TypeVar("Name", bound=Hashable)
READERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
FEATURES_LAST = (nn.Linear, nn.LayerNorm)  # layers whose inputs hold the features in the last axis, not the second


def _pair(a: Trace, b: Trace, split: str, of: Callable[[Trace, str], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """``of`` two traces of one t each on the same examples."""
    for one in (a, b):
        choose("split", split, check_model(one, "each of two models that are compared").index)
    check_same_examples(a, b)
    return of(a, split), of(b, split)


def agreement(a: Trace, b: Trace, split: str = "test") -> float:
    """Share of examples that both models put in the same class; a prediction that is not finite agrees with none."""
    mine, theirs = _pair(a, b, split, metrics.predictions)
    return float(((mine == theirs) & (mine >= 0)).mean())


def shared_errors(a: Trace, b: Trace, split: str = "test") -> float:
    """Of the examples that either model gets wrong, the share that both get wrong with the same label; nan if none."""
    mine, theirs = _pair(a, b, split, metrics.predictions)
    either = ~(metrics.correct(a, split) & metrics.correct(b, split))
    same = either & (mine == theirs) & (mine >= 0)
    return float(same.sum() / either.sum()) if either.any() else np.nan


def js(a: Trace, b: Trace, split: str = "test") -> float:
    """Mean Jensen-Shannon divergence in bits, in [0, 1], between the class probabilities of two models."""
    return float(metrics.js_divergence(*_pair(a, b, split, metrics.log_probabilities)).mean())


def cka(x: Tensor, y: Tensor) -> float:
    """Linear centred kernel alignment |X'Y|^2 / (|X'X| |Y'Y|) in [0, 1] of features (n, d1) and (n, d2).

    The same n examples, columns centred; biased upwards where n is not much larger than d. nan where features do not
    vary between examples. Source: Kornblith et al. 2019.
    """
    x, y = _centred(x, y, 2)
    return float((x.T @ y).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm()))


def cka_unbiased(x: Tensor, y: Tensor) -> float:
    """Linear CKA from unbiased estimates of HSIC: 0 on average for unrelated features of any width, so also below it.

    n (n - 3) HSIC = tr KL + 1'K1 1'L1 / ((n - 1)(n - 2)) - 2 1'KL1 / (n - 2), K = XX' and L = YY' with zero diagonals.
    Features (n, d1) and (n, d2), n at least 4. Source: Nguyen et al. 2021; HSIC of Song et al. 2012.
    """
    x, y = _centred(x, y, 4)
    return float(_hsic(x, y) / (_hsic(x, x) * _hsic(y, y)).sqrt())


def _hsic(x: Tensor, y: Tensor) -> Tensor:
    """Unbiased HSIC times n (n - 3), of centred features: the rows of K without its diagonal k then sum to -k."""
    n, k, m = len(x), x.square().sum(1), y.square().sum(1)
    return (x.T @ y).square().sum() - n / (n - 2) * (k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2))


def _centred(x: Tensor, y: Tensor, least: int) -> list[Tensor]:
    try:
        both = [torch.as_tensor(v).double() for v in (x, y)]
    except (TypeError, ValueError, RuntimeError):
        raise BadInput(f"features must be arrays of numbers (n, d), got {shown(x)} and {shown(y)}.") from None
    if any(v.ndim != 2 for v in both) or len(both[0]) != len(both[1]) or len(both[0]) < least:
        shapes = " and ".join(str(tuple(v.shape)) for v in both)
        raise BadInput(f"features must be (n, d) of the same n >= {least} examples, got {shapes}.")
    if not all(torch.isfinite(v).all() for v in both):
        raise BadInput("features must be finite: some are nan or infinite.")
    found = [(v - v.mean(0), v) for v in both]
    # The mean's rounding must not pass for variation: constant features become exact zeros, and CKA nan.
    return [c * (c.norm() > 1e-12 * v.norm()) for c, v in found]


def task_vector_cosine(a: Weights | Endpoint, b: Weights | Endpoint, origin: Weights) -> float:
    """Cosine of the angle between what two methods added to the original model; nan if one added nothing."""
    return cosine(weights_at(a), weights_at(b), origin)


@dataclass(frozen=True)
class Similarity:
    """A named function of two models, symmetric in them.

    ``needs`` says what it is called with: two ``traces`` of one t each and ``split=``, two tensors (n, d) of
    ``features``, or two ``weights`` and ``origin=``. ``alike``: whether similar models give ``high`` or ``low`` values.
    """

    name: str
    formula: str
    source: str
    unit: str
    alike: str
    needs: str
    function: Callable[..., float]

    def __call__(self, a, b, **given) -> float:
        return float(self.function(a, b, **given))


_AGREE, _COSINE = "mean [argmax p_a = argmax p_b]", "cos(theta_a - theta_o, theta_b - theta_o)"
_SHARED = "#{argmax p_a = argmax p_b != y} / #{argmax p_a != y or argmax p_b != y}"
_DEBIASED = "HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y)), unbiased HSIC of linear kernels"
SIMILARITIES: dict[str, Similarity] = {
    one.name: one
    for one in (
        Similarity("agreement", _AGREE, "Cao & Yang 2015", "fraction", "high", "traces", agreement),
        Similarity("shared_errors", _SHARED, "this companion's", "fraction", "high", "traces", shared_errors),
        Similarity("js", "mean JS(p_a, p_b)", "Golatkar et al. 2021", "bits", "low", "traces", js),
        Similarity("cka", "|X'Y|^2 / (|X'X| |Y'Y|)", "Kornblith et al. 2019", "1", "high", "features", cka),
        Similarity("cka_unbiased", _DEBIASED, "Nguyen et al. 2021", "1", "high", "features", cka_unbiased),
        Similarity("task_vector_cosine", _COSINE, "Ilharco et al. 2023", "1", "high", "weights", task_vector_cosine),
    )
}


@torch.no_grad()
def features(
    weights: Weights | Endpoint, task: Task, rows: Tensor, layers: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Activations (n, d) that enter the named layers, for the examples ``rows`` (n,) of ``task.x``.

    ``layers`` are names as in ``named_modules``; by default every convolution and linear layer but the first one called
    (what enters it is the example itself), so blocks are read after their activation and the last is the penultimate
    layer. Of layers that read the very same tensor the first counts, of several calls of one layer the last. Feature
    maps are averaged over positions: axes after the second, or for Linear and LayerNorm between the first and the last.
    BatchNorm uses the statistics stored with the weights. Raises `BadInput` for unknown layers and uncalled ones.
    """
    weights = weights_at(weights)
    check_same_shape([weights])
    rows = torch.as_tensor(rows)
    if rows.ndim != 1 or rows.dtype == torch.bool or rows.is_floating_point() or len(rows) == 0:
        raise BadInput(f"rows must be whole numbers of examples (n,), got {rows.dtype} of shape {tuple(rows.shape)}.")
    if isinstance(layers, str):
        layers = [layers]
    module, x = module_of(weights), take(task.x, rows)
    known = {name: layer for name, layer in module.named_modules() if name}
    layout = memory_format(weights, x)
    module.to(memory_format=layout)  # type: ignore[call-overload]
    if layers is None:
        # One example tells the order of the calls and who reads the same tensor.
        readers: dict[str, nn.Module] = {name: one for name, one in known.items() if isinstance(one, READERS)}
        one = to(take(x, slice(1)), memory_format=layout)
        entered = list(_entering(module, readers, one, lambda layer, value: value).items())
        layers = [n for k, (n, v) in enumerate(entered) if k and not any(v is other for _, other in entered[:k])]
        if not layers:
            raise BadInput(f"a {weights.model} calls no convolution or linear layer after its first: name layers=.")
    chosen = {choose("layer", name, known): known[name] for name in layers}
    batches = (to(take(x, slice(k, k + BATCH)), memory_format=layout) for k in range(0, len(rows), BATCH))
    parts = [_entering(module, chosen, batch, _pooled) for batch in batches]
    for name in chosen:
        if name not in parts[0]:
            raise BadInput(f"a {weights.model} never calls its layer {name!r}: name layers that it calls.")
    return {name: torch.cat([part[name] for part in parts]).cpu() for name in chosen}


def penultimate(weights: Weights | Endpoint, task: Task, rows: Tensor) -> np.ndarray:
    """The `features` (n, d) that enter a network's last layer, in float64."""
    found = features(weights, task, rows)
    return found[list(found)[-1]].double().numpy()


def _entering(module: nn.Module, layers: dict[str, nn.Module], x: Inputs, keep: Callable) -> dict[str, Tensor]:
    """What ``keep(layer, input)`` makes of each layer's input while the module runs, in the order of the calls."""
    found: dict[str, Tensor] = {}

    def read(name: str, layer: nn.Module, inputs: tuple) -> None:
        found[name] = keep(layer, inputs[0])

    hooks = [layer.register_forward_pre_hook(partial(read, name)) for name, layer in layers.items()]
    module(x)
    for hook in hooks:
        hook.remove()
    return found


def _pooled(layer: nn.Module, value: Tensor) -> Tensor:
    axes = tuple(range(1, value.ndim - 1) if isinstance(layer, FEATURES_LAST) else range(2, value.ndim))
    return value.mean(axes) if axes else value.clone()  # a copy: the layer may work in place


def matrix(names: Sequence[Name], pair_value: Callable[[Name, Name], float]) -> np.ndarray:
    """Symmetric (n, n) of ``pair_value(a, b)``, called once a pair; also of a name with itself, such as two seeds."""
    found = np.full((len(names), len(names)), np.nan)
    for i, j in np.stack(np.triu_indices(len(names)), axis=1).tolist():
        found[i, j] = found[j, i] = pair_value(names[i], names[j])
    return found
