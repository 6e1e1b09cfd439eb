"""Metrics of a trace: arrays in, one number per t out, no network.

Shapes: T points on the curve, N examples of a split, K classes. Logits are stored as float16; everything here
is float64. Losses and Kullback-Leibler divergences are in nats, Jensen-Shannon divergences in bits unless a
published variant says otherwise, accuracies in fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import BadInput, choose, seed_of, shown, whole
from ..traces import SPLITS, Trace

NO_REFERENCES: Mapping[str, Trace] = MappingProxyType({})
REFERENCES = {
    "retrained": "the model retrained without the forget set",
    "original": "the model before unlearning",
    "random": "an untrained network",
}
SCORES = ("UA", "RA", "TA")


def check_trace(trace: Trace, name: str = "trace") -> Trace:
    """Return a trace whose arrays belong together, or raise `BadInput`; logits need not be finite."""
    if not isinstance(trace, Trace):
        raise BadInput(f"{name} must be a trace, as mc.trace returns it, got {shown(trace)}.")
    for split, logits in trace.logits.items():
        logits, labels = np.asarray(logits), np.asarray(trace.labels.get(split, ()))
        if logits.ndim != 3 or logits.dtype.kind != "f" or len(logits) != len(trace.t) or 0 in logits.shape:
            points = f"({len(trace.t)}, N, K), real numbers"
            raise BadInput(
                f"the {split} logits of {name} must be {points}, got {logits.dtype} of shape {logits.shape}."
            )
        if labels.shape != logits.shape[1:2] or labels.dtype.kind not in "iu":
            raise BadInput(f"{name} needs a whole number as label for each of its {logits.shape[1]} {split} examples.")
        if labels.min() < 0 or labels.max() >= logits.shape[2]:
            raise BadInput(f"the {split} labels of {name} must lie from 0 to {logits.shape[2] - 1}.")
    return trace


def check_model(model: Trace, name: str, beside: Trace | None = None, splits: Iterable[str] = ()) -> Trace:
    """Return the trace of one model (T = 1), taken on another trace's examples of some splits, or raise `BadInput`."""
    if len(check_trace(model, name).t) != 1:
        raise BadInput(f"{name} must be one model (T = 1), got {len(model.t)} points of a curve.")
    for split in splits if beside else ():
        if not np.array_equal(model.index.get(split, ()), beside.index.get(split, ())):  # type: ignore[union-attr]
            raise BadInput(f"{name} was traced on other {split} examples than the path; use one task.")
    return model


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the softmax over the last axis, in float64; rows that hold inf or nan become nan."""
    logits = np.asarray(logits, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = logits - logits.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def probabilities(trace: Trace, split: str) -> np.ndarray:
    """Class probabilities (T, N, K) of a split."""
    return np.exp(log_probabilities(trace, split))


def log_probabilities(trace: Trace, split: str) -> np.ndarray:
    """Log class probabilities (T, N, K) of a split."""
    return log_softmax(_logits(trace, split))


def per_example_loss(trace: Trace, split: str) -> np.ndarray:
    """Cross-entropy -log p_y (T, N) in nats; nan where the logits are not finite."""
    logits, labels = _logits(trace, split), np.asarray(trace.labels[split])
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
        true = np.take_along_axis(shifted, labels[None, :, None], axis=-1)[..., 0]
        return np.log(np.exp(shifted, out=shifted).sum(axis=-1)) - true


def predictions(trace: Trace, split: str) -> np.ndarray:
    """Predicted class (T, N), the first one on a tie; -1 where a logit is nan."""
    logits = _logits(trace, split)
    return np.where(np.isnan(logits).any(axis=-1), -1, logits.argmax(axis=-1))


def correct(trace: Trace, split: str) -> np.ndarray:
    """Whether each prediction is right (T, N) bool; a row with a nan logit counts as wrong."""
    return predictions(trace, split) == np.asarray(trace.labels[split])


def kl_divergence(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """KL(p || q) = sum_k p_k (log p_k - log q_k) over the last axis, in nats, from log probabilities."""
    p = np.exp(log_p)
    with np.errstate(invalid="ignore"):
        terms = np.where(p > 0, p * (log_p - log_q), 0.0 * p)
    return np.maximum(terms.sum(axis=-1), 0.0)


def js_divergence(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence in bits, in [0, 1], over the last axis, from log probabilities.

    JS(p, q) = [KL(p || m) + KL(q || m)] / (2 log 2) with m = (p + q) / 2.
    """
    log_m = np.logaddexp(log_p, log_q) - np.log(2)
    bits = (kl_divergence(log_p, log_m) + kl_divergence(log_q, log_m)) / (2 * np.log(2))
    return np.minimum(bits, 1.0)


def reference(references: Mapping[str, Trace], name: str, trace: Trace, split: str) -> Trace:
    """Return a reference, one model evaluated on the same examples as the trace, or raise BadInput."""
    require(references, name, "this metric")
    return check_model(references[name], f"references[{name!r}]", trace, (split,))


def require(references: Mapping[str, Trace], name: str, who: str) -> None:
    """Raise BadInput naming the reference that ``who`` needs, if it is missing."""
    if not isinstance(references, Mapping):
        raise BadInput(f"references must be a dictionary of names and traces, got {shown(references)}.")
    if name not in references:
        what, given = REFERENCES.get(name, "a trace of one model"), ", ".join(sorted(references)) or "none"
        raise BadInput(f"{who} needs references[{name!r}] ({what}); given: {given}.")


def tow(scores: Mapping, retrained: Mapping, keys: Iterable[str] = SCORES) -> np.ndarray:
    """Tug-of-War prod_k (1 - |s_k - s_k(retrained)|), 1 for the retrained model (Zhao et al., RUM, 2024)."""
    keys = tuple(keys)
    for where, given in (("scores", scores), ("retrained", retrained)):
        missing = [key for key in keys if key not in given]
        if missing:
            raise BadInput(f"{where} lacks {', '.join(missing)}; needed: {', '.join(keys)}.")
        if any(np.any((np.asarray(given[key]) < 0) | (np.asarray(given[key]) > 1)) for key in keys):
            raise BadInput(f"{where} must be fractions between 0 and 1, not percentages.")
    apart = [np.abs(np.asarray(scores[key], float) - np.asarray(retrained[key], float)) for key in keys]
    return np.prod(np.broadcast_arrays(*(1 - one for one in apart)), axis=0)


@dataclass(frozen=True)
class Metric:
    """A named function of a trace.

    ``function(trace, *, references)`` returns (T,) float64. ``splits`` and ``references`` say what it reads;
    ``direction`` is what good means: ``up``, ``down`` or ``retrained`` (as close as possible to the retrained
    model's own value, so neither extreme is a success). ``formula`` and ``source`` are for tables.
    """

    name: str
    function: Callable[..., np.ndarray]
    direction: str
    unit: str
    formula: str
    source: str
    splits: tuple[str, ...] = ("forget",)
    references: tuple[str, ...] = ()

    def __call__(self, trace: Trace, *, references: Mapping[str, Trace] = NO_REFERENCES) -> np.ndarray:
        for name in self.references:
            require(references, name, f"metric {self.name!r}")
        returned = self.function(trace, references=references)
        found: Any = None
        try:
            found = np.asarray(returned)
        except (ValueError, TypeError, RuntimeError):  # rows of unequal lengths, or a tensor with a gradient
            pass
        if found is None or found.shape != (len(trace.t),) or found.dtype.kind not in "fiub":
            given = shown(returned) if found is None else f"{found.dtype} of shape {found.shape}"
            raise BadInput(
                f"metric {self.name!r} must return a real number for each of {len(trace.t)} points, got {given}."
            )
        return found.astype(np.float64)


METRICS: dict[str, Metric] = {}


def _entry(name: str, direction: str, unit: str, formula: str, source: str, *, splits: Iterable[str], references=()):
    """Decorator that adds ``function(trace, *, references) -> (T,)`` to METRICS."""

    def add(function):
        METRICS[name] = Metric(name, function, direction, unit, formula, source, tuple(splits), tuple(references))
        return function

    return add


def measure(
    trace: Trace, names: str | Iterable[str] | None = None, *, references: Mapping[str, Trace] = NO_REFERENCES
) -> dict[str, np.ndarray]:
    """Evaluate metrics on a trace of a curve or of a single model: name -> (T,) float64.

    Args:
        names: one name or several; None takes every metric whose references are given.
        references: "retrained", "original", "random" -> trace of one model on the same examples.

    >>> import numpy as np, mcutils as mc
    >>> logits = np.array([2.0, 0.0, -2.0])[:, None, None] * np.eye(2)  # right, at a loss (the first class), wrong
    >>> parts = [{"forget": logits}, {"forget": np.arange(2)}, {"forget": np.arange(2)}]
    >>> mc.measure(mc.Trace(np.linspace(0, 1, 3), *parts, {}), "accuracy_forget")
    {'accuracy_forget': array([1. , 0.5, 0. ])}
    """
    check_trace(trace)
    if not isinstance(references, Mapping):
        raise BadInput(f"references must be a dictionary of names and traces, got {shown(references)}.")
    known = {*REFERENCES, *(name for metric in METRICS.values() for name in metric.references)}
    for name, other in references.items():
        check_model(other, f"references[{choose('reference', name, sorted(known))!r}]")
    if names is None:
        names = [name for name, m in METRICS.items() if all(r in references for r in m.references)]
    elif isinstance(names, str) or not isinstance(names, Iterable):
        names = [names]
    return {name: METRICS[choose("metric", name, METRICS)](trace, references=references) for name in names}


def mean_loss(trace: Trace, split: str) -> np.ndarray:
    """Mean cross-entropy (T,) of a split in nats."""
    return per_example_loss(trace, split).mean(axis=-1)


def accuracy(trace: Trace, split: str) -> np.ndarray:
    """Share of right predictions (T,) of a split."""
    return correct(trace, split).mean(axis=-1)


def _logits(trace: Trace, split: str) -> np.ndarray:
    if not isinstance(trace, Trace):
        raise BadInput(f"trace must be a trace, as mc.trace returns it, got {shown(trace)}.")
    if not isinstance(split, str) or split not in trace.logits:
        raise BadInput(f"the trace holds no split {split!r}; it holds {', '.join(trace.logits)}.")
    return np.asarray(trace.logits[split])


def _pair(trace: Trace, references: Mapping[str, Trace], name: str, split: str):
    """Log probabilities (T, N, K) of the trace and (1, N, K) of a reference."""
    other = reference(references, name, trace, split)
    return log_probabilities(trace, split), log_probabilities(other, split)


def _plain(name, direction, unit, formula, of, split, source="standard"):
    """A metric that is ``of(trace, split)``."""
    function = lambda trace, *, references: of(trace, split)  # noqa: E731
    METRICS[name] = Metric(name, function, direction, unit, formula, source, (split,))


_SPARSE = "Jia et al. 2023 (model sparsity)"

for _split in SPLITS:
    _good = "retrained" if _split == "forget" else "down"
    _plain(f"loss_{_split}", _good, "nats", "mean -log p_y", mean_loss, _split)
for _split in SPLITS:
    _good = "retrained" if _split == "forget" else "up"
    _plain(f"accuracy_{_split}", _good, "fraction", "mean [argmax p = y]", accuracy, _split)
_plain("UA", "retrained", "fraction", "1 - forget accuracy", lambda *of: 1 - accuracy(*of), "forget", _SPARSE)
_plain("RA", "up", "fraction", "retain accuracy", accuracy, "retain", _SPARSE)
_plain("TA", "up", "fraction", "test accuracy", accuracy, "test", _SPARSE)


@_entry(
    "knowledge_gap",
    "retrained",
    "AUC",
    "1/2 + (retain accuracy - forget accuracy) / 2",
    "Cheng & Amiri, MU-Bench, in expectation",
    splits=("retain", "forget"),
)
def _knowledge_gap(trace, *, references):
    # The benchmark averages, over 500 random retain subsets, the AUC of "answered correctly" as a score for
    # "is a retain example". A yes/no score has AUC 1/2 + (a_r - a_f) / 2; its mean over subsets is this.
    return 0.5 + (accuracy(trace, "retain") - accuracy(trace, "forget")) / 2


@_entry(
    "overall",
    "up",
    "fraction",
    "harmonic mean of 1 - |test accuracy - original's| and 1 - |forget accuracy - 1/K|",
    "Cheng & Amiri, MU-Bench (as used along curves; rewards chance-level forgetting)",
    splits=("forget", "test"),
    references=["original"],
)
def _overall(trace, *, references):
    original = accuracy(reference(references, "original", trace, "test"), "test")
    chance = 1 / trace.logits["forget"].shape[-1]
    test = 1 - np.abs(accuracy(trace, "test") - original)
    forget = 1 - np.abs(accuracy(trace, "forget") - chance)
    return 2 * test * forget / (test + forget)


_ZRF, _TEACHER = "1 - mean JS(p, p_random), JS in bits", "Chundawat et al. 2023 (Bad Teacher), as defined"


@_entry("zrf", "retrained", "1 - bits", _ZRF, _TEACHER, splits=["forget"], references=["random"])
def _zrf(trace, *, references):
    return 1 - js_divergence(*_pair(trace, references, "random", "forget")).mean(axis=-1)


@_entry(
    "zrf_elementwise",
    "retrained",
    "1 - nats / K",
    "1 - mean [KL(m || p) + KL(m || p_random)] / (2 K), in nats",
    "Chundawat et al. 2023, as in the published code: arguments swapped, averaged over classes too",
    splits=["forget"],
    references=["random"],
)
def _zrf_elementwise(trace, *, references):
    log_p, log_q = _pair(trace, references, "random", "forget")
    log_m = np.logaddexp(log_p, log_q) - np.log(2)
    swapped = (kl_divergence(log_m, log_p) + kl_divergence(log_m, log_q)) / 2
    return 1 - swapped.mean(axis=-1) / log_p.shape[-1]


@_entry(
    "zrf_noise",
    "retrained",
    "1 - nats",
    "1 - mean over classes of JS(p_k, noise_k), columns normalised over D_f, softmax(uniform) noise",
    "Cheng & Amiri, MU-Bench, as in the code: 500 noise draws, JS taken across examples, in nats",
    splits=["forget"],
)
def zrf_noise(trace: Trace, *, references=NO_REFERENCES, draws: int = 500, seed: int = 0) -> np.ndarray:
    """The benchmark's ZRF (T,): noise in place of a network, and JS taken down the examples of each class."""
    draws, seed = whole("draws", draws, 1, 100_000), seed_of(seed)
    p = probabilities(trace, "forget")
    # Only the entropy of the mixture pairs a prediction with a draw; the other terms stay out of the loop.
    # Classes lead, so that a column over the examples is contiguous.
    with np.errstate(invalid="ignore"):
        p_k = np.moveaxis(p / p.sum(axis=1, keepdims=True), 2, 1)
    columns = np.ascontiguousarray(p_k).reshape(len(p), -1)
    classes = p.shape[-1]
    generator = np.random.default_rng(seed)
    total = np.zeros(len(p))
    for _ in range(draws):
        noise = np.exp(log_softmax(generator.random(p.shape[1:])))
        q = np.ascontiguousarray((noise / noise.sum(axis=0)).T).ravel()
        mixture = (columns + q) / 2
        total += -np.einsum("ij,ij->i", mixture, np.log(mixture)) + (q @ np.log(q)) / 2
    entropy = np.einsum("ij,ij->i", columns, np.log(columns, out=np.zeros_like(columns), where=columns > 0))
    return 1 - (total / draws + entropy / 2) / classes


for _split in ("forget", "test"):
    _near: dict[str, Any] = {"splits": [_split], "references": ["retrained"]}
    _source = "Golatkar et al. 2021; Chundawat et al. 2023"

    @_entry(f"js_retrained_{_split}", "down", "bits", "mean JS(p, p_retrained), JS in bits", _source, **_near)
    def _js_retrained(trace, *, references, split=_split):
        return js_divergence(*_pair(trace, references, "retrained", split)).mean(axis=-1)

    _source = "Golatkar et al. 2020"

    @_entry(f"kl_retrained_{_split}", "down", "nats", "mean KL(p_retrained || p)", _source, **_near)
    def _kl_retrained(trace, *, references, split=_split):
        log_p, log_q = _pair(trace, references, "retrained", split)
        return kl_divergence(log_q, log_p).mean(axis=-1)

    _formula, _source = "mean ||p - p_retrained||_2", "Golatkar et al. 2021"

    @_entry(f"activation_distance_{_split}", "down", "L2 of probabilities", _formula, _source, **_near)
    def _activation_distance(trace, *, references, split=_split):
        log_p, log_q = _pair(trace, references, "retrained", split)
        return np.linalg.norm(np.exp(log_p) - np.exp(log_q), axis=-1).mean(axis=-1)

    _formula, _source = "mean of [argmax p = argmax p_retrained]", "Cao & Yang 2015 (completeness)"

    @_entry(f"agreement_{_split}", "up", "fraction", _formula, _source, **_near)
    def _agreement(trace, *, references, split=_split):
        other = reference(references, "retrained", trace, split)
        mine, theirs = predictions(trace, split), predictions(other, split)
        return ((mine == theirs) & (mine >= 0)).mean(axis=-1)
