"""Connectivity of a traced curve: its measures in one object, with replicates over examples; arrays only.

The paper states two inequalities and no tolerance, so the measures here are this companion's (`along`), and so are the
readings of "connected" beside the paper's chord (`readings`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from ..errors import BadInput, choose, number, seed_of, share, whole
from ..traces import Trace
from . import along, readings
from .along import barrier, check_gap, check_grid, forget_deficit, surplus
from .examples import band, check_models, levels_of, noise_level, resamples, sampled_levels
from .metrics import accuracy, check_model, check_trace, correct, per_example_loss
from .originals import LEVEL, Interval, percentile_interval
from .readings import SPLITS_READ, named, pair_of, split_name

Sampled = tuple[np.ndarray, np.ndarray]  # values, and their replicates along a further axis
TOLERANCE = 0.1  # eps of MCU(eps), in units of G
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


def forget_gap(retrained: Trace, original: Trace) -> float:
    """Unit of the tolerances, G = L_f(retrained) - L_f(original) in nats, from traces of single models."""
    both = check_model(retrained, "retrained"), check_model(original, "original")
    after, before = (float(per_example_loss(one, "forget").mean()) for one in both)
    return float(check_gap(after - before))


def collapsed(trace: Trace, margin: float = 0.1) -> tuple[str, ...]:
    """Reasons to exclude a curve (or a model) because an endpoint collapsed; empty when both are sound.

    An endpoint has collapsed when a mean loss is not finite, or its test accuracy (retain accuracy, where no test
    images were traced) is at most 1/K + margin (1 - 1/K), that is within a tenth of the way from chance to perfect.
    """
    reasons, margin = [], share("margin", margin, zero=True, one=True)
    check_trace(trace)
    losses = {split: per_example_loss(trace, split).mean(axis=1) for split in trace.logits}
    judged = "test" if "test" in trace.logits else "retain"
    share_right, chance = accuracy(trace, judged), 1 / trace.logits[judged].shape[-1]
    for end in sorted({0, len(trace.t) - 1}):
        where = f"t = {float(trace.t[end]):g}"
        bad = [split for split, values in losses.items() if not np.isfinite(values[end])]
        if bad:
            reasons.append(f"{where}: the {', '.join(bad)} loss is not finite")
        if share_right[end] <= chance + margin * (1 - chance):
            reasons.append(f"{where}: {judged} accuracy {share_right[end]:.3f} is near chance ({chance:.3f})")
    return tuple(reasons)


@dataclass(frozen=True, repr=False)
class Connectivity:
    """Every measure of one curve.

    ``curves[name]`` (T,) and ``bands[name]`` (2, T) hold loss_<split> in nats and accuracy_<split>;
    ``measures[name]`` the point estimates and ``replicates[name]`` (n_boot,) their bootstrap over examples.
    Names are ``<measure>_<split>`` for the loss and ``<measure>_<split>_accuracy`` for the error rate
    (1 - accuracy, so that a rise is bad for both); `MEASURES` explains them. Barriers, deficits and tolerances by
    another reading than the chord have its name behind theirs (`readings`). ``levels[name]`` (R,) are losses and
    accuracies of retrained models on retain and forget data. ``collapsed`` lists reasons to exclude the curve.
    """

    t: np.ndarray
    curves: Mapping[str, np.ndarray]
    bands: Mapping[str, np.ndarray]
    measures: Mapping[str, float]
    replicates: Mapping[str, np.ndarray]
    gap: float | None = None
    collapsed: tuple[str, ...] = ()
    meta: Mapping[str, str | int | float] = field(default_factory=dict)
    levels: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.measures[choose("measure", name, self.measures)]

    def interval(self, name: str, level: float = LEVEL) -> Interval:
        """Percentile interval of a measure over examples (one curve, so no variation between seeds).

        A maximum over t is biased upwards by noise, and so is its bootstrap: read it as conservative. Without
        replicates the bounds are nan.
        """
        replicates, level = self.replicates.get(name), share("level", level)
        if replicates is None or len(replicates) == 0:
            return Interval(self[name], np.nan, np.nan)
        return percentile_interval(self[name], replicates, level)

    def mcu(self, eps_retain: float, eps_forget: float | None = None, reading: str = "chord") -> bool:
        """Whether MCU(eps) holds by a reading, tolerances in nats; one number serves both sides."""
        eps_forget = eps_retain if eps_forget is None else eps_forget
        return bool(along.mcu(self.barrier(reading), self.deficit(reading), eps_retain, eps_forget))

    def barrier(self, reading: str = "chord", *, accuracy: bool = False) -> float:
        """Retain barrier by a reading of `readings.READINGS`, in nats or as an error rate."""
        return self._by(reading, pair_of(reading, accuracy)[0])

    def deficit(self, reading: str = "chord", *, accuracy: bool = False) -> float:
        """Forget deficit by a reading, in nats or as an error rate."""
        return self._by(reading, pair_of(reading, accuracy)[1])

    def mcu_eps(self, reading: str = "chord") -> float:
        """The smallest eps at which MCU(eps) holds by a reading, in units of the gap G."""
        if self.gap is None:
            raise BadInput("eps is counted in units of the gap G, and this curve was measured without one.")
        return self._by(reading, named("mcu_eps", reading))

    def _by(self, reading: str, name: str) -> float:
        if reading in readings.LEVELLED and name not in self.measures:
            raise BadInput(f"the reading {reading!r} needs the retrained models' levels, which are not here.")
        return self[name]

    def readings(self, *, accuracy: bool = False, level: float = LEVEL):
        """Barrier, deficit and smallest tolerance by every reading as a pandas DataFrame, with their intervals.

        In units of the gap G where there is one, else in nats; error rates, for ``accuracy``. Readings that need levels
        of retrained models are left out where there are none.
        """
        return readings.table_of(self.interval, self.measures, self.gap, accuracy, level)

    def smoothness(self):
        """Variation, roughness and turns of the retain and forget loss as a pandas DataFrame, in units of the gap G.

        Variation in G; roughness, a mean squared second derivative, in G^2: a parabola that rises h G in the middle has
        (8 h)^2. Without a gap in nats and nats^2.
        """
        import pandas as pd

        unit = 1.0 if self.gap is None else self.gap
        columns = {"variation": unit, "roughness": unit**2, "turns": 1.0}
        rows = [[self[f"{name}_{split}"] / one for name, one in columns.items()] for split in SPLITS_READ]
        return pd.DataFrame(rows, columns=list(columns), index=list(SPLITS_READ)).rename_axis("split")

    def table(self, names=None):
        """The measures as a pandas DataFrame: measure, estimate, low, high, meaning."""
        import pandas as pd

        names = list(self.measures) if names is None else names
        names = [names] if isinstance(names, str) or not isinstance(names, Iterable) else names
        rows = [(name, *self.interval(name), meaning(name)) for name in names]
        return pd.DataFrame(rows, columns=["measure", "estimate", "low", "high", "meaning"])

    def __repr__(self) -> str:
        lines = [f"Connectivity on {len(self.t)} points (95 % intervals over examples)"]
        for name in self._shown():
            estimate, low, high = self.interval(name)
            interval = f"[{low:.4f}, {high:.4f}]" if np.isfinite((low, high)).all() else ""
            lines.append(f"  {name:<24} {estimate:.4f}  {interval:<18} {meaning(name)}")
        rows = self.readings().to_dict("records")
        if rows:
            lines.append(f"  {'by the reading':<24} barrier  deficit  smallest eps, in {rows[0]['unit']}")
        lines += [f"  {r['reading']:<24} {r['barrier']:<8.4f} {r['deficit']:<8.4f} {r['eps']:.4f}" for r in rows]
        return "\n".join([*lines, *(f"  excluded: {reason}" for reason in self.collapsed)])

    def _shown(self) -> list[str]:
        return [name for name in (*SUMMARY, *SMOOTHNESS) if name in self.measures]

    def _repr_html_(self) -> str:
        tables = (self.table(self._shown()), self.readings())
        shown = [one.to_html(index=False, float_format="{:.4f}".format) for one in tables if len(one)]
        return "".join([*shown, *(f"<p>excluded: {reason}</p>" for reason in self.collapsed)])


def meaning(name: str) -> str:
    """One phrase on a measure's name, with its split and unit."""
    if name in MEASURES:
        return MEASURES[name]
    plain, reading = split_name(name)
    if reading != "chord":
        return f"{MEASURES[plain]}, {reading}" if plain in MEASURES else readings.meaning(name)
    measure = next(m for m in MEASURES if name.startswith(f"{m}_"))
    split = name.removeprefix(f"{measure}_").removesuffix("_accuracy")
    return f"{MEASURES[measure]}, {split} {'error rate' if name.endswith('_accuracy') else 'loss'}"


def connectivity(
    trace: Trace,
    *,
    gap: float | None = None,
    retrained: Trace | Sequence[Trace] | None = None,
    original: Trace | None = None,
    n_boot: int = 200,
    seed: int = 0,
) -> Connectivity:
    """Measure a curve's connectivity with a bootstrap over examples.

    Each split is resampled once per replicate, with the same draws for the same seed, split and number of
    examples, so replicates of two curves evaluated on one task can be subtracted pairwise.

    Args:
        trace: a curve, t from 0 to 1, with retain and forget examples; measures of other splits where it has them.
        gap: G = L_f(retrained) - L_f(original) in nats, or give both traces; it is not resampled.
        retrained: trace(s) of single models on the same examples: their mean levels give the readings ``floor`` and
            ``retrained``, the first of them ``two_sided_forget``.
        original: trace of a single model on the same examples.
        n_boot: replicates, 0 for none.
        seed: of the resampling.

    Raises:
        BadInput: a single model, a grid that does not run from 0 to 1, a gap that is not positive, other examples.

    >>> import numpy as np, mcutils as mc
    >>> logits = np.array([2.0, 0.0, 2.0])[:, None, None] * np.eye(2)  # surest at both ends, at a loss in the middle
    >>> parts = [dict.fromkeys(("retain", "forget", "test"), one) for one in (logits, np.arange(2), np.arange(2))]
    >>> found = mc.connectivity(mc.Trace(np.linspace(0, 1, 3), *parts, {}), gap=0.5)
    >>> round(found["barrier_retain"], 3), round(found["mcu_eps"], 3), found.mcu(eps_retain=0.6)
    (0.566, 1.132, True)
    >>> found.readings().round(3)[["reading", "barrier", "deficit", "eps", "unit"]]
         reading  barrier  deficit    eps unit
    0      chord    1.132    0.000  1.132    G
    1  worse_end    1.132    0.000  1.132    G
    2  two_sided    1.132    1.132  1.132    G
    """
    t = check_grid(check_trace(trace).t)
    n_boot, seed = whole("n_boot", n_boot, 0, 100_000), seed_of(seed)
    if not set(SPLITS_READ) <= set(trace.logits):
        held = ", ".join(trace.logits) or "none"
        raise BadInput(f"connectivity needs the splits {' and '.join(SPLITS_READ)}; the trace holds {held}.")
    models = check_models(retrained, trace)
    if original is not None:
        check_models(original, trace, "original")
    if gap is None and models and original is not None:
        gap = float(np.mean([forget_gap(one, original) for one in models]))
    elif gap is not None:
        gap = float(check_gap(gap if isinstance(gap, Real) else number("the gap", gap)))
    curves, bands, values = _curves(trace, n_boot, seed)
    point, boots = _estimates(values, t, gap, models, n_boot, seed)
    flags, levels = collapsed(trace), levels_of(models)
    return Connectivity(t, curves, bands, point, boots, gap, flags, dict(trace.meta), levels)


def _curves(trace: Trace, n_boot: int, seed: int):
    """Losses and accuracies along a trace by name, their bands, and by (kind, split) with replicates as error rates."""
    curves: dict[str, np.ndarray] = {}
    bands: dict[str, np.ndarray] = {}
    values: dict[tuple[str, str], Sampled] = {}
    for split in trace.logits:
        examples = {"loss": per_example_loss(trace, split), "accuracy": correct(trace, split)}
        weights = resamples(split, examples["loss"].shape[1], n_boot, seed)
        for kind, per_example in examples.items():
            curve, replicates = per_example.mean(axis=1), per_example.astype(np.float64) @ weights.T
            curves[f"{kind}_{split}"], bands[f"{kind}_{split}"] = curve, band(curve, replicates)
            values[kind, split] = (curve, replicates) if kind == "loss" else (1 - curve, 1 - replicates)
    return curves, bands, values


def _estimates(values, t, gap, models: Sequence[Trace], n_boot: int, seed: int):
    """Every measure of curves, and its replicates."""
    point: dict[str, Any] = {}
    boots: dict[str, Any] = {}
    levels = readings.mean_levels(levels_of(models)), sampled_levels(models, n_boot, seed)
    for k, into in enumerate((point, boots)):
        read = readings.extremes({where: pair[k] for where, pair in values.items()}, t, levels[k])
        into |= read | readings.tolerances(read, gap)
    first = {kind: _level(models[0], kind, n_boot, seed) for kind in ("loss", "accuracy")} if models else {}
    for name, (function, *arguments) in _measures(values, t, first).items():
        curve_values, sampled_values = zip(*arguments, strict=True)
        with np.errstate(invalid="ignore"):  # a collapsed model yields nan
            point[name], boots[name] = function(*curve_values), np.asarray(function(*sampled_values), dtype=np.float64)
    return {name: float(value) for name, value in point.items()}, boots


def _measures(
    values: Mapping[tuple[str, str], Sampled], t: np.ndarray, levels: Mapping[str, Sampled]
) -> dict[str, tuple[Any, ...]]:
    """Each measure by name but those of readings: a function, and the curves that it is of; error rates as accuracy."""
    found: dict[str, tuple[Any, ...]] = {}
    for (kind, split), pair in values.items():
        suffix = split if kind == "loss" else f"{split}_accuracy"
        found |= {
            f"barrier_{suffix}": (partial(barrier, t=t), pair),
            f"deficit_{suffix}": (partial(forget_deficit, t=t), pair),
            f"surplus_{suffix}": (partial(surplus, t=t), pair),
            f"shortfall_{suffix}": (lambda v: surplus(-v, t), pair),
            f"variation_{suffix}": (along.excess_variation, pair),
            f"roughness_{suffix}": (partial(along.roughness, t=t), pair),
            f"turns_{suffix}": (partial(along.sign_changes, noise=noise_level(pair[1], t)), pair),
        }
        if levels and split == "forget":
            found[f"two_sided_{suffix}"] = along.two_sided, pair, levels[kind]
    losses = (values["loss", split] for split in SPLITS_READ)
    return {**found, "literal": (partial(along.mcu_literal, t=t), *losses)}


def _level(retrained: Trace, kind: str, n_boot: int, seed: int) -> Sampled:
    """The retrained model's forget loss or error rate, and its replicates on the trace's own resamples."""
    values = per_example_loss(retrained, "forget")[0] if kind == "loss" else 1.0 - correct(retrained, "forget")[0]
    return values.mean(), resamples("forget", len(values), n_boot, seed) @ values
