"""Connectivity of a curve: barriers, forget deficit, MCU(eps), smoothness, and their intervals; arrays only.

The paper states two inequalities and no tolerance, so the measures here are this companion's. For values v(t)
on a grid from t = 0 to t = 1 the chord is c(t) = (1 - t) v(0) + t v(1), and every curve is compared with its
chord: the retain loss should not rise above it, the forget loss should not fall below it. Value arrays are
(T, ...), the curve first, so that a whole set of bootstrap replicates is one call.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from numbers import Real
from typing import NamedTuple
from zlib import crc32

import numpy as np

from .errors import BadInput, choose, number, seed_of, share, shown, whole
from .metrics import check_trace, correct, per_example_loss
from .traces import Trace

LEVEL = 0.95


def chord(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Straight line (T, ...) between the first and last values, on a grid t (T,) from 0 to 1."""
    values, t = _on_grid(values, t)
    t = t.reshape(-1, *[1] * (values.ndim - 1))
    with np.errstate(invalid="ignore"):
        return (1 - t) * values[:1] + t * values[-1:]


def excess(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """values - chord (T, ...); exactly 0 at both ends."""
    with np.errstate(invalid="ignore"):
        return _floats("values", values) - chord(values, t)


def barrier(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Barrier max_t [v(t) - c(t)] (...): 0 for a convex curve, and never negative since the ends count."""
    return excess(values, t).max(axis=0)


def forget_deficit(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Deficit max_t [c(t) - v(t)] (...): how far a forget loss falls below its chord."""
    return (0.0 - excess(values, t)).max(axis=0)


def surplus(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Mean of the positive part of the excess, int max(0, v - c) dt (...), by the trapezoid rule."""
    above = np.maximum(excess(values, t), 0)
    return np.tensordot(np.diff(check_grid(t)), (above[1:] + above[:-1]) / 2, axes=1)


def rounding(values: np.ndarray) -> np.ndarray:
    """What rounding may add to a difference between a curve (T, ...) and its chord: 1e-12 of its largest value."""
    return 1e-12 * np.abs(values).max(axis=0, initial=0.0)


def mcu_literal(retain: np.ndarray, forget: np.ndarray, t: np.ndarray, tol: float = 0.0) -> np.ndarray:
    """Whether the paper's two inequalities hold at every t: L_r <= c_r + tol and L_f >= c_f - tol (...).

    `rounding` is always forgiven, so that an exactly straight curve passes; a curve that is not finite never does.
    """
    retain, forget = _floats("retain", retain), _floats("forget", forget)
    tol = number("tol", tol, 0)
    slack_retain, slack_forget = tol + rounding(retain), tol + rounding(forget)
    holds = (barrier(retain, t) <= slack_retain) & (forget_deficit(forget, t) <= slack_forget)
    return holds & np.isfinite(slack_retain) & np.isfinite(slack_forget)


def mcu(retain_barrier, forget_deficit, eps_retain, eps_forget) -> np.ndarray:
    """MCU(eps): retain barrier <= eps_retain and forget deficit <= eps_forget; a nan never connects."""
    within = [
        _floats(name, value) <= _tolerance(of, eps)
        for name, value, of, eps in (
            ("retain_barrier", retain_barrier, "eps_retain", eps_retain),
            ("forget_deficit", forget_deficit, "eps_forget", eps_forget),
        )
    ]
    return within[0] & within[1]


def mcu_sweep(retain_barrier, forget_deficit, gap, eps) -> np.ndarray:
    """MCU(eps * gap) for each eps: (E, ...) bool, never decreasing along E when eps increases.

    Args:
        retain_barrier, forget_deficit: (...) in nats.
        gap: the unit G = L_f(retrained) - L_f(original) in nats, a number or (...), positive.
        eps: (E,) tolerances in units of G.
    """
    unit = np.asarray(check_gap(gap))
    retain_barrier, forget_deficit = (
        _floats("retain_barrier", retain_barrier),
        _floats("forget_deficit", forget_deficit),
    )
    inner = np.broadcast(retain_barrier, forget_deficit, unit).ndim
    tolerance = _tolerance("eps", eps).reshape(-1, *[1] * inner) * unit
    return mcu(retain_barrier, forget_deficit, tolerance, tolerance)


def excess_variation(values: np.ndarray) -> np.ndarray:
    """Total variation minus net change, sum |v_i+1 - v_i| - |v_T - v_1| (...): 0 for a monotone curve."""
    values = _curve(values)
    return np.maximum(np.abs(np.diff(values, axis=0)).sum(axis=0) - np.abs(values[-1] - values[0]), 0)


def roughness(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Mean squared second difference (...) per squared grid step, so that grids of different T compare.

    mean_i [(s_i+1 - s_i) / h_i]^2 with slopes s_i = (v_i - v_i-1) / (t_i - t_i-1) and
    h_i = (t_i+1 - t_i-1) / 2, which tends to the mean of v''(t)^2. 0 for two points.
    """
    values, t = _on_grid(values, t)
    if len(t) < 3:
        return np.zeros(values.shape[1:])
    shape = (-1, *[1] * (values.ndim - 1))
    slope = np.diff(values, axis=0) / np.diff(t).reshape(shape)
    return ((np.diff(slope, axis=0) / ((t[2:] - t[:-2]) / 2).reshape(shape)) ** 2).mean(axis=0)


def sign_changes(values: np.ndarray, noise: float | np.ndarray = 0.0) -> np.ndarray:
    """Number of turning points (...) of a curve, ignoring swings of at most ``noise``.

    A turn is counted when the curve comes back from its latest extreme by more than ``noise``; the first
    direction is set by the first move larger than ``noise``.
    """
    values, noise = _curve(values), _floats("noise", noise)
    if (noise < 0).any():  # that of a curve that is not finite is nan
        raise BadInput(f"noise must be at least 0, got {shown(noise)}.")
    low, high = values[0].copy(), values[0].copy()
    direction, turns = np.zeros(values.shape[1:], dtype=int), np.zeros(values.shape[1:], dtype=int)
    for v in values[1:]:
        low, high = np.minimum(low, v), np.maximum(high, v)
        up, down = (v - low > noise) & (direction <= 0), (high - v > noise) & (direction >= 0)
        turns += (up & (direction < 0)) | (down & (direction > 0))
        direction = np.where(up, 1, np.where(down, -1, direction))
        low, high = np.where(up | down, v, low), np.where(up | down, v, high)
    return turns


def two_sided(values: np.ndarray, level: float | np.ndarray) -> np.ndarray:
    """Largest distance to the retrained model, max_t |v(t) - level| (...), in the units of the values."""
    return np.abs(_curve(values) - _floats("level", level)).max(axis=0)


def forget_gap(retrained: Trace, original: Trace) -> float:
    """Unit of the tolerances, G = L_f(retrained) - L_f(original) in nats, from traces of single models."""
    levels = []
    for name, one in (("retrained", retrained), ("original", original)):
        if len(check_trace(one, name).t) != 1:
            raise BadInput(f"{name} holds {len(one.t)} points of a curve; the gap is taken between two models (T = 1).")
        levels.append(float(per_example_loss(one, "forget").mean()))
    return float(check_gap(levels[0] - levels[1]))


def collapsed(trace: Trace, margin: float = 0.1) -> tuple[str, ...]:
    """Reasons to exclude a curve (or a model) because an endpoint collapsed; empty when both are sound.

    An endpoint has collapsed when a mean loss is not finite, or its test accuracy is at most
    1/K + margin (1 - 1/K), that is within a tenth of the way from chance to perfect.
    """
    reasons, margin = [], share("margin", margin, zero=True, one=True)
    check_trace(trace)
    losses = {split: per_example_loss(trace, split).mean(axis=1) for split in trace.logits}
    accuracy, chance = correct(trace, "test").mean(axis=1), 1 / trace.logits["test"].shape[-1]
    for end in sorted({0, len(trace.t) - 1}):
        where = f"t = {float(trace.t[end]):g}"
        bad = [split for split, values in losses.items() if not np.isfinite(values[end])]
        if bad:
            reasons.append(f"{where}: the {', '.join(bad)} loss is not finite")
        if accuracy[end] <= chance + margin * (1 - chance):
            reasons.append(f"{where}: test accuracy {accuracy[end]:.3f} is near chance ({chance:.3f})")
    return tuple(reasons)


class Interval(NamedTuple):
    """An estimate with the two ends of its interval."""

    estimate: float
    low: float
    high: float

    def below(self, threshold: float) -> bool | None:
        """True if the whole interval is at or below the threshold, False if above, None if it crosses."""
        if self.high <= threshold:
            return True
        return False if self.low > threshold else None


@dataclass(frozen=True, repr=False)
class Connectivity:
    """Every measure of one curve.

    ``curves[name]`` (T,) and ``bands[name]`` (2, T) hold loss_<split> in nats and accuracy_<split>;
    ``measures[name]`` the point estimates and ``replicates[name]`` (n_boot,) their bootstrap over examples.
    Names are ``<measure>_<split>`` for the loss and ``<measure>_<split>_accuracy`` for the error rate
    (1 - accuracy, so that a rise is bad for both); `MEASURES` explains them. ``collapsed`` lists reasons to
    exclude the curve.
    """

    t: np.ndarray
    curves: Mapping[str, np.ndarray]
    bands: Mapping[str, np.ndarray]
    measures: Mapping[str, float]
    replicates: Mapping[str, np.ndarray]
    gap: float | None = None
    collapsed: tuple[str, ...] = ()
    meta: Mapping[str, str | int | float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.measures[choose("measure", name, self.measures)]

    def interval(self, name: str, level: float = LEVEL) -> Interval:
        """Percentile interval of a measure over examples (one curve, so no variation between seeds).

        A maximum over t is biased upwards by noise, and so is its bootstrap: read it as conservative. Without
        replicates the bounds are nan.
        """
        replicates, level = self.replicates.get(name, ()), share("level", level)
        if len(replicates) == 0:
            return Interval(self[name], np.nan, np.nan)
        return percentile_interval(self[name], replicates, level)

    def mcu(self, eps_retain: float, eps_forget: float | None = None) -> bool:
        """Whether MCU(eps) holds, tolerances in nats; one number serves both sides."""
        eps_forget = eps_retain if eps_forget is None else eps_forget
        return bool(mcu(self["barrier_retain"], self["deficit_forget"], eps_retain, eps_forget))

    def table(self, names=None):
        """The measures as a pandas DataFrame: measure, estimate, low, high, meaning."""
        import pandas as pd

        names = list(self.measures) if names is None else [names] if isinstance(names, str) else names
        rows = [(name, *self.interval(name), meaning(name)) for name in names]
        return pd.DataFrame(rows, columns=["measure", "estimate", "low", "high", "meaning"])

    def __repr__(self) -> str:
        lines = [f"Connectivity on {len(self.t)} points (95 % intervals over examples)"]
        for name in self._shown():
            estimate, low, high = self.interval(name)
            interval = f"[{low:.4f}, {high:.4f}]" if np.isfinite((low, high)).all() else ""
            lines.append(f"  {name:<24} {estimate:.4f}  {interval:<18} {meaning(name)}")
        return "\n".join([*lines, *(f"  excluded: {reason}" for reason in self.collapsed)])

    def _shown(self) -> list[str]:
        return [name for name in (*SUMMARY, *SMOOTHNESS) if name in self.measures]

    def _repr_html_(self) -> str:
        table = self.table(self._shown())
        return table.to_html(index=False, float_format="{:.4f}".format) + "".join(
            f"<p>excluded: {reason}</p>" for reason in self.collapsed
        )


MEASURES = {
    "barrier": "largest rise above the chord",
    "deficit": "largest dip below the chord",
    "surplus": "mean rise above the chord over the path",
    "shortfall": "mean dip below the chord over the path",
    "variation": "total variation minus net change",
    "roughness": "mean squared second derivative in t",
    "turns": "turning points above the noise",
    "two_sided": "largest distance to the retrained model",
    "literal": "1 if the paper's two inequalities hold at every t",
    "mcu_nats": "smallest tolerance at which MCU holds, in nats",
    "mcu_eps": "smallest tolerance at which MCU holds, in units of the gap G",
    "mcu_accuracy": "smallest tolerance at which MCU holds, in accuracy",
}
SUMMARY = tuple(
    "barrier_retain deficit_forget barrier_test two_sided_forget mcu_nats mcu_eps literal"
    " barrier_retain_accuracy deficit_forget_accuracy barrier_test_accuracy".split()
)


# How smooth the path is; shown beside `SUMMARY`, whose replicates profiles keep.
SMOOTHNESS = tuple(f"{measure}_{split}" for measure in ("variation", "roughness") for split in ("retain", "forget"))


def meaning(name: str) -> str:
    """One phrase on a measure's name, with its split and unit."""
    if name in MEASURES:
        return MEASURES[name]
    measure = next(m for m in MEASURES if name.startswith(f"{m}_"))
    split = name.removeprefix(f"{measure}_").removesuffix("_accuracy")
    return f"{MEASURES[measure]}, {split} {'error rate' if name.endswith('_accuracy') else 'loss'}"


def connectivity(
    trace: Trace,
    *,
    gap: float | None = None,
    retrained: Trace | None = None,
    original: Trace | None = None,
    n_boot: int = 200,
    seed: int = 0,
) -> Connectivity:
    """Measure a curve's connectivity with a bootstrap over examples.

    Each split is resampled once per replicate, with the same draws for the same seed, split and number of
    examples, so replicates of two curves evaluated on one task can be subtracted pairwise.

    Args:
        trace: a curve, t from 0 to 1.
        gap: G = L_f(retrained) - L_f(original) in nats, or give both traces; it is not resampled.
        retrained, original: single-model traces on the same examples; the first adds the two-sided measures.
        n_boot: replicates, 0 for none.
        seed: of the resampling.

    Raises:
        BadInput for a single model, a grid that does not run from 0 to 1, a gap that is not positive.
    """
    t = check_grid(check_trace(trace).t)
    n_boot, seed = whole("n_boot", n_boot, 0, 100_000), seed_of(seed)
    for name, one in (("retrained", retrained), ("original", original)):
        if one is not None:
            check_trace(one, name)
    missing = {"retain", "forget", "test"} - set(trace.logits)
    if missing:
        raise BadInput(f"the trace lacks the splits {', '.join(sorted(missing))}, which connectivity needs.")
    if gap is None and retrained is not None and original is not None:
        gap = forget_gap(retrained, original)
    elif gap is not None:
        gap = float(check_gap(gap if isinstance(gap, Real) else number("the gap", gap)))
    curves, bands, point, boots = {}, {}, {}, {}
    values: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for split in trace.logits:
        examples = {"loss": per_example_loss(trace, split), "accuracy": correct(trace, split)}
        weights = resamples(split, examples["loss"].shape[1], n_boot, seed)
        for kind, per_example in examples.items():
            name = f"{kind}_{split}"
            curves[name] = per_example.mean(axis=1)
            replicates = per_example.astype(np.float64) @ weights.T
            bands[name] = band(curves[name], replicates)
            sampled = curves[name], replicates
            values[name] = sampled if kind == "loss" else (1 - sampled[0], 1 - sampled[1])

    def add(name, function, *arguments):
        # Each argument is a pair (curve, its replicates along a further axis); a collapsed model yields nan.
        curve_values, sampled_values = zip(*arguments, strict=True)
        with np.errstate(invalid="ignore"):
            point[name] = float(function(*curve_values))
            boots[name] = np.asarray(function(*sampled_values), dtype=np.float64)

    for name, pair in values.items():
        kind, split = name.split("_", 1)
        suffix = split if kind == "loss" else f"{split}_accuracy"
        noise = noise_level(pair[1], t)
        add(f"barrier_{suffix}", lambda v: barrier(v, t), pair)
        add(f"deficit_{suffix}", lambda v: forget_deficit(v, t), pair)
        add(f"surplus_{suffix}", lambda v: surplus(v, t), pair)
        add(f"shortfall_{suffix}", lambda v: surplus(-v, t), pair)
        add(f"variation_{suffix}", excess_variation, pair)
        add(f"roughness_{suffix}", lambda v: roughness(v, t), pair)
        add(f"turns_{suffix}", lambda v, noise=noise: sign_changes(v, noise), pair)
        if retrained is not None and split == "forget":
            add(f"two_sided_{suffix}", two_sided, pair, _level(retrained, trace, kind, n_boot, seed))
    losses = values["loss_retain"], values["loss_forget"]
    errors = values["accuracy_retain"], values["accuracy_forget"]
    add("literal", lambda r, f: mcu_literal(r, f, t), *losses)
    add("mcu_nats", lambda r, f: np.maximum(barrier(r, t), forget_deficit(f, t)), *losses)
    if gap is not None:
        add("mcu_eps", lambda r, f: np.maximum(barrier(r, t), forget_deficit(f, t)) / gap, *losses)
    add("mcu_accuracy", lambda r, f: np.maximum(barrier(r, t), forget_deficit(f, t)), *errors)
    return Connectivity(t, curves, bands, point, boots, gap, collapsed(trace), dict(trace.meta))


def _level(retrained: Trace, trace: Trace, kind: str, n_boot: int, seed: int):
    """The retrained model's forget loss or error rate, and its replicates on the trace's own resamples."""
    if len(retrained.t) != 1 or not np.array_equal(retrained.index["forget"], trace.index["forget"]):
        raise BadInput("retrained must be one model (T = 1) on the same forget examples as the trace.")
    values = per_example_loss(retrained, "forget")[0] if kind == "loss" else 1.0 - correct(retrained, "forget")[0]
    return values.mean(), resamples("forget", len(values), n_boot, seed) @ values


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


def percentile_interval(estimate: float, replicates: np.ndarray, level: float = LEVEL) -> Interval:
    """Percentile interval that always contains the estimate; degenerate when there are no replicates."""
    return _interval(estimate, replicates, (1 - level) / 2)


def bootstrap_mean(
    values,
    replicates=None,
    clusters=None,
    *,
    nodes=None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """Mean of n units with a two-level bootstrap interval: over units, and over examples.

    Each draw resamples the units and picks one example replicate that all of them share.

    - ``clusters`` (the original model behind each unit): clusters are drawn first, then the units inside.
      With two or three clusters no interval deserves much trust.
    - ``nodes`` (the two endpoints, when units are pairs): the endpoints are drawn, and a pair counts as often
      as the product of their counts, since pairs that share an endpoint are not independent. Where none is
      shared the pairs themselves are drawn.
    - The percentiles are widened for few units as a t interval is (Hesterberg 2015, "expanded percentile"):
      alpha / 2 becomes Phi(-sqrt(m / (m - 1)) t_{m-1, 1 - alpha / 2}), m being the number of units, or of
      distinct endpoints if that is smaller.

    Args:
        values: (n,) one number per unit.
        replicates: (n, B) the same numbers under B resamples of the examples, or None.
        clusters: (n,) labels, or None.
        nodes: (n, 2) labels of endpoints, or None.
        n_boot, seed, level: of the bootstrap.

    Returns:
        Interval(estimate, low, high). One unit: the interval over examples. Constant values without
        replicates: a degenerate interval. Units that are not finite are dropped; if none is left all three
        are nan.
    """
    mean, draws, m = _draws(values, replicates, clusters, nodes, n_boot, seed)
    return _interval(mean, draws, _expanded((1 - level) / 2, m))


def fraction_interval(
    hits,
    replicates=None,
    clusters=None,
    *,
    nodes=None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """Share of units that hit, with a Wilson interval on the effective number of units.

    n_eff = p (1 - p) / var, var being the variance of `bootstrap_mean`'s draws, so that clusters, shared
    endpoints and examples count as they do there; n_eff is at most the number of units, or of distinct
    endpoints if that is smaller. When all units agree the bootstrap sees no variation between them: then
    n_eff is that number (with clusters but no nodes, the number of clusters), and the interval is joined with
    the one over examples.

    Args: as for `bootstrap_mean`, with hits (n,) and replicates (n, B) true or false.
    """
    hits = np.atleast_1d(np.asarray(hits, dtype=np.float64))
    if not np.isin(hits, (0, 1)).all():
        raise BadInput("hits must be true or false, one per unit.")
    p, draws, n = _draws(hits, replicates, clusters, nodes, n_boot, seed)
    if len(draws) == 0:
        return Interval(np.nan, np.nan, np.nan)
    if not 0 < p < 1:
        groups = len(set(np.asarray(clusters).tolist())) if clusters is not None and nodes is None else 1
        found, n = _interval(p, draws, (1 - level) / 2), groups if groups > 1 else n
        low, high = wilson(p, n, level)
        return Interval(p, float(np.fmin(low, found.low)), float(np.fmax(high, found.high)))
    if draws.var() > 0:
        n = min(n, max(1.0, p * (1 - p) / draws.var()))
    return Interval(p, *wilson(p, n, level))


def wilson(share: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson score interval of a proportion seen in n trials, n not necessarily whole (Wilson 1927)."""
    from scipy.special import ndtri

    z2 = ndtri((1 + level) / 2) ** 2
    centre, half = share + z2 / (2 * n), np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))
    return max(0.0, float((centre - half) / (1 + z2 / n))), min(1.0, float((centre + half) / (1 + z2 / n)))


def widened(
    found: Interval,
    values,
    units: Iterable[Hashable],
    level: float = LEVEL,
    within: tuple[float, float] = (-np.inf, np.inf),
    middle: Callable[..., float] = np.mean,
) -> Interval:
    """An interval joined with Student's over units, m +- t s / sqrt(n), inside the range of what can be.

    A percentile interval of few units ends at the most extreme of them: two cover their mean half the time only. One
    unit says nothing of others: then the interval is the whole range.

    Args:
        found: the interval, whose estimate is kept.
        values, units: (n,) the numbers that the estimate is of, and what each is an example of: a pair of seeds.
        level: of Student's interval.
        within: smallest and largest possible value.
        middle: of the values of one unit, for instance of several methods.
    """
    from scipy.special import stdtrit

    if not np.isfinite(found.estimate):
        return found
    groups: dict[Hashable, list[float]] = {}
    for unit, value in zip(units, values, strict=True):
        groups.setdefault(unit, []).append(value)
    each = [middle(group) for group in groups.values()]
    if len(each) < 2:
        return Interval(found.estimate, *map(float, within))
    half = stdtrit(len(each) - 1, (1 + level) / 2) * np.std(each, ddof=1) / np.sqrt(len(each))
    low, high = min(found.low, found.estimate - half), max(found.high, found.estimate + half)
    return Interval(found.estimate, float(max(low, within[0])), float(min(high, within[1])))


def mean_interval(
    values,
    replicates=None,
    *,
    units=None,
    level: float = LEVEL,
    within: tuple[float, float] = (-np.inf, np.inf),
    **drawn,
) -> Interval:
    """Mean of a number per path with the one interval that every table, figure and verdict gives it.

    That of `bootstrap_mean`, over endpoints and examples together, `widened` to Student's over pairs of seeds.

    Args:
        values, replicates: (n,) and (n, B), as for `bootstrap_mean`; what is not finite is left out.
        units: (n,) pairs of seeds; by default the rows of ``nodes``, else the ``clusters``, else each value by itself.
        level, within: of the interval, and the smallest and largest possible value.
        drawn: ``nodes``, ``clusters``, ``n_boot``, ``seed`` of `bootstrap_mean`.
    """
    values = np.atleast_1d(np.asarray(values, dtype=np.float64))
    found = bootstrap_mean(values, replicates, level=level, **drawn)
    kept = np.isfinite(values)
    if replicates is not None:
        kept &= np.isfinite(np.asarray(replicates, dtype=np.float64)).all(axis=1)
    units = [unit for unit, keep in zip(_units(units, len(values), **drawn), kept, strict=True) if keep]
    return widened(found, values[kept], units, level, within)


def share_interval(hits, replicates=None, *, units=None, level: float = LEVEL, **drawn) -> Interval:
    """Share of paths that hit, as `mean_interval`, from `fraction_interval`."""
    hits = np.atleast_1d(np.asarray(hits, dtype=np.float64))
    found = fraction_interval(hits, replicates, level=level, **drawn)
    return widened(found, hits, _units(units, len(hits), **drawn), level, (0.0, 1.0))


def _units(units, count: int, nodes=None, clusters=None, **_) -> list[Hashable]:
    for labels in (units, nodes, clusters):
        if labels is not None:
            return [tuple(np.atleast_1d(one).tolist()) for one in labels]
    return list(range(count))


class Share(NamedTuple):
    """Share of variance explained by groups, and its permutation p-value."""

    eta2: float
    p: float


def share_explained(values, groups, *, nodes=None, n_perm: int = 2000, seed: int = 0) -> Share:
    """Share of the variance that groups explain, eta^2 = SS_between / SS_total, with a permutation test.

    p = (1 + #{permuted eta^2 >= observed}) / (1 + n_perm). Pairs that share an endpoint are not exchangeable,
    so with ``nodes`` (n, 2) the test, not eta^2, uses a set of pairs without common endpoints in each group.

    Returns:
        Share(eta2, p); (0, 1) for constant values or one group, (nan, nan) without finite values.
    """
    values = np.asarray(values, dtype=np.float64)
    keep = np.isfinite(values)
    nodes = _labels(nodes, values, keep, 2)
    values, groups = values[keep], np.unique(np.asarray(groups)[keep], return_inverse=True)[1]
    if len(values) == 0:
        return Share(np.nan, np.nan)
    eta2 = float(_eta2(values[None], groups)[0])
    if nodes is not None:
        chosen = disjoint_pairs(nodes, groups, seed)
        values, groups = values[chosen], groups[chosen]
    if np.ptp(values) == 0 or np.ptp(groups) == 0:
        return Share(eta2, 1.0)
    observed = float(_eta2(values[None], groups)[0])
    permuted = np.random.default_rng(seed).permuted(np.tile(values, (n_perm, 1)), axis=1)
    return Share(eta2, float((1 + (_eta2(permuted, groups) >= observed - 1e-12).sum()) / (1 + n_perm)))


def disjoint_pairs(nodes, groups=None, seed: int = 0) -> np.ndarray:
    """Rows (m,) of nodes (n, 2), no two of one group sharing an endpoint: a random maximal set, in order."""
    nodes = np.asarray(nodes)
    groups = np.zeros(len(nodes), int) if groups is None else np.asarray(groups)
    used, chosen = set(), []
    for row in np.random.default_rng(seed).permutation(len(nodes)):
        ends = {(groups[row], end) for end in nodes[row].tolist()}
        if not ends & used:
            used |= ends
            chosen.append(row)
    return np.sort(np.array(chosen, dtype=int))


def check_grid(t) -> np.ndarray:
    """Return t as float64 (T,), or raise BadInput unless it increases from 0 to 1."""
    t = _floats("t", t)
    if t.ndim != 1 or len(t) < 2 or t[0] != 0 or t[-1] != 1 or not (np.diff(t) > 0).all():
        given = " ".join(np.array2string(t, threshold=6, precision=3).split())
        raise BadInput(f"t must be at least two increasing values from 0 to 1; given {given}.")
    return t


def check_gap(gap):
    """Return the gap, or raise BadInput unless it is positive and finite."""
    values = _floats("the gap", gap)
    if not (np.isfinite(values).all() and (values > 0).all()):
        given = " ".join(str(gap).split())
        raise BadInput(f"the gap L_f(retrained) - L_f(original) must be positive, or nothing is forgotten: {given}.")
    return gap


def _floats(name: str, values) -> np.ndarray:
    """Real numbers as a float64 array, or raise BadInput; True and False are none."""
    try:
        found = np.asarray(values)
    except ValueError:
        found = np.empty(0, dtype=object)
    if found.dtype.kind not in "iuf":
        raise BadInput(f"{name} must be real numbers, got {shown(values)}.")
    return found.astype(np.float64)


def _curve(values) -> np.ndarray:
    values = _floats("values", values)
    if values.ndim == 0 or len(values) == 0:
        raise BadInput(f"values must hold a point of a curve or more along the first axis, got shape {values.shape}.")
    return values


def _on_grid(values, t) -> tuple[np.ndarray, np.ndarray]:
    values, t = _curve(values), check_grid(t)
    if len(values) != len(t):
        raise BadInput(f"values have {len(values)} points along the curve and t has {len(t)}; they must be equal.")
    return values, t


def _tolerance(name: str, eps) -> np.ndarray:
    """A tolerance, numbers of at least 0, as an array, or raise BadInput."""
    found = _floats(name, eps)
    if not (found >= 0).all():
        raise BadInput(f"{name} must be at least 0, got {shown(eps)}.")
    return found


def _interval(estimate: float, draws: np.ndarray, alpha: float) -> Interval:
    draws = draws[np.isfinite(draws)]
    if len(draws) == 0:
        return Interval(float(estimate), float(estimate), float(estimate))
    low, high = np.quantile(draws, [alpha, 1 - alpha])
    return Interval(float(estimate), float(np.fmin(low, estimate)), float(np.fmax(high, estimate)))


def _expanded(alpha: float, m: int) -> float:
    if m < 2:
        return alpha
    from scipy.special import ndtr, stdtrit  # scipy.stats takes a second to import

    return float(ndtr(np.sqrt(m / (m - 1)) * stdtrit(m - 1, alpha)))


def _labels(labels, values: np.ndarray, keep: np.ndarray, columns: int) -> np.ndarray | None:
    if labels is None:
        return None
    labels = np.asarray(labels)
    shape = (len(values),) if columns == 1 else (len(values), columns)
    if labels.shape != shape:
        raise BadInput(f"labels must have shape {shape}, one row per value; given {labels.shape}.")
    return labels[keep]


def _draws(values, replicates, clusters, nodes, n_boot: int, seed: int) -> tuple[float, np.ndarray, int]:
    """Mean of the finite units, its bootstrap draws (n_boot,), and the number of independent units."""
    values = np.atleast_1d(np.asarray(values, dtype=np.float64))
    keep = np.isfinite(values)
    if replicates is not None:
        replicates = np.asarray(replicates, dtype=np.float64)
        if replicates.ndim != 2 or len(replicates) != len(values):
            raise BadInput(f"replicates must be (n, B) with n = {len(values)}; given {replicates.shape}.")
        keep &= np.isfinite(replicates).all(axis=1)
        replicates = replicates[keep]
    clusters, nodes = _labels(clusters, values, keep, 1), _labels(nodes, values, keep, 2)
    values = values[keep]
    if len(values) == 0:
        return np.nan, np.empty(0), 1
    generator = np.random.default_rng(seed)
    weights, units = _unit_weights(len(values), clusters, nodes, n_boot, generator)
    if replicates is None or replicates.shape[1] == 0:
        return float(values.mean()), weights @ values, units
    # One resample of the examples for all units of a draw: they were evaluated on the same examples.
    chosen = generator.integers(0, replicates.shape[1], n_boot)
    return float(values.mean()), np.einsum("bn,nb->b", weights, replicates[:, chosen]), units


def _unit_weights(n: int, clusters, nodes, n_boot: int, generator) -> tuple[np.ndarray, int]:
    """Bootstrap weights (n_boot, n), rows summing to 1, and the number of independent units."""
    clusters = np.zeros(n, int) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    members = [np.flatnonzero(clusters == c) for c in range(clusters.max() + 1)]
    draws = _counts(len(members), n_boot, generator)
    weights, m = np.zeros((n_boot, n)), 0
    for rows, times in zip(members, draws.T, strict=True):
        if nodes is None:
            inside, size = _counts(len(rows), n_boot, generator), len(rows)
        else:
            inside, size = _pair_counts(nodes[rows], n_boot, generator)
        # A cluster keeps its share of the units however often each unit was drawn inside it.
        weights[:, rows] = inside / inside.sum(axis=1, keepdims=True) * len(rows) * times[:, None]
        m += size
    return weights / weights.sum(axis=1, keepdims=True), m


def _counts(n: int, n_boot: int, generator) -> np.ndarray:
    return generator.multinomial(n, np.full(n, 1 / n), size=n_boot).astype(np.float64)


def _pair_counts(nodes: np.ndarray, n_boot: int, generator) -> tuple[np.ndarray, int]:
    """Counts (n_boot, n) of pairs when their endpoints are resampled, and the number of independent units."""
    labels, ends = np.unique(nodes, return_inverse=True)
    if len(labels) == nodes.size:
        return _counts(len(nodes), n_boot, generator), len(nodes)
    ends = ends.reshape(nodes.shape)
    counts = np.zeros((n_boot, len(nodes)))
    empty = np.ones(n_boot, dtype=bool)
    # A draw in which no pair survives (one endpoint drawn throughout) says nothing about pairs: draw again.
    while empty.any():
        times = _counts(len(labels), int(empty.sum()), generator)
        counts[empty] = times[:, ends[:, 0]] * times[:, ends[:, 1]]
        empty = counts.sum(axis=1) == 0
    return counts, min(len(labels), len(nodes))


def _eta2(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """eta^2 of each row of values (R, n)."""
    member = (groups[:, None] == np.arange(groups.max() + 1)).astype(np.float64)
    centred = values - values.mean(axis=1, keepdims=True)
    between = ((centred @ member) ** 2 / member.sum(axis=0)).sum(axis=1)
    total = (centred**2).sum(axis=1)
    # Rounding of a constant row leaves about 1e-32 of variance.
    flat = total <= 1e-24 * np.maximum((values**2).sum(axis=1), 1e-300)
    return np.where(flat, 0.0, between / np.where(flat, 1.0, total))
