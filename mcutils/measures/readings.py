"""Readings of "connected": what a retain loss may not rise above and a forget loss may not fall below; arrays only.

Along a path with retain loss L_r(t), forget loss L_f(t), their chords c_r, c_f (`along.chord`) and the mean levels R_r,
R_f of models retrained without the same forget set, in nats, or in error rates for the accuracy versions:

    reading          barrier                                 deficit
    chord            max_t (L_r - c_r)                       max_t (c_f - L_f)
    floor            max_t (L_r - max(c_r, R_r))             max_t (min(c_f, R_f) - L_f)
    worse_end        max_t (L_r - max(L_r(0), L_r(1)))       max_t (min(L_f(0), L_f(1)) - L_f)
    two_sided        that of the chord                       max_t |L_f - c_f|
    retrained        that of the chord                       max_t |L_f - R_f|

each at least 0, and smallest tolerance max(barrier, deficit): MCU(eps) holds if it is at most eps. The first is the
paper's, which gives no tolerance; the others are this companion's. ``_retain`` and ``_forget`` in the names of
measures are the splits: ``barrier_retain_floor``, ``deficit_forget_accuracy_worse_end``, ``mcu_eps_retrained``. Those
of the chord have no reading in their names, nor has the barrier of the two-sided readings, which is the chord's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import BadInput, choose
from .along import barrier, chord, excess, floats, forget_deficit, on_grid

READINGS = {
    "chord": "the retain loss above, or the forget loss below, the straight line between the ends' (the paper's)",
    "floor": "as by the chord, but only what is also above, or below, the loss of the retrained models",
    "worse_end": "the retain loss above that of the worse end, or the forget loss below the lower one of the ends'",
    "two_sided": "the retain loss above its chord, or the forget loss away from its own, to either side",
    "retrained": "the retain loss above its chord, or the forget loss away from the retrained models', to either side",
}
LEVELLED = ("floor", "retrained")  # these read the retrained models' levels
OWN_BARRIER = ("floor", "worse_end")  # the two-sided readings take the chord's
MEANINGS = {
    "barrier_floor": "largest rise above both the chord and the retrained level",
    "deficit_floor": "largest dip below both the chord and the retrained level",
    "barrier_worse_end": "largest rise above the worse end",
    "deficit_worse_end": "largest dip below the lower end",
    "deficit_retrained": "largest distance to the retrained level",
    "deficit_two_sided": "largest distance to the chord",
}
SPLITS_READ = ("retain", "forget")
LEVELS = tuple(f"{kind}_{split}" for kind in ("loss", "accuracy") for split in SPLITS_READ)
Values = Mapping[tuple[str, str], np.ndarray]  # (loss or accuracy, split): losses in nats, or error rates


def barrier_by(reading: str, values, t, level=None) -> np.ndarray:
    """Barrier (...) of a retain loss or error rate by a reading, at least 0, see the formulas above.

    Args:
        reading: a name in `READINGS`.
        values: (T, ...) along the curve.
        t: (T,) from 0 to 1.
        level: (...) or a number: the retrained models' mean, for the readings in `LEVELLED`.

    Raises:
        BadInput: an unknown reading, a level that is missing or not of the values' shape.
    """
    choose("reading", reading, READINGS)
    if reading not in OWN_BARRIER:
        return barrier(values, t)
    with np.errstate(invalid="ignore"):
        values, bound = _bounded(reading, values, t, level, np.maximum)
        return np.maximum((values - bound).max(axis=0), 0.0)


def deficit_by(reading: str, values, t, level=None) -> np.ndarray:
    """Deficit (...) of a forget loss or error rate by a reading, at least 0; arguments as `barrier_by`."""
    choose("reading", reading, READINGS)
    if reading == "chord":
        return forget_deficit(values, t)
    if reading == "two_sided":
        return np.abs(excess(values, t)).max(axis=0)
    with np.errstate(invalid="ignore"):
        values, bound = _bounded(reading, values, t, level, np.minimum)
        below = bound - values
        return np.maximum((np.abs(below) if reading == "retrained" else below).max(axis=0), 0.0)


def _bounded(reading: str, values, t, level, stricter) -> tuple[np.ndarray, np.ndarray]:
    """The values and what they are held against; ``stricter`` is the larger of two retain, or smaller of two forget."""
    values, t = on_grid(values, t)
    if reading == "worse_end":
        return values, stricter(values[0], values[-1])
    if level is None:
        raise BadInput(f"the reading {reading!r} needs the retrained models' level, and none was given.")
    level, inner = floats("level", level), values.shape[1:]
    if level.shape not in ((), inner):
        raise BadInput(f"level must be a number or of shape {inner}, one for each curve, got shape {level.shape}.")
    return values, level if reading == "retrained" else stricter(chord(values, t), level)


def named(measure: str, reading: str) -> str:
    """The name of a measure by a reading: that of the chord has no suffix.

    >>> named("mcu_eps", "chord"), named("mcu_eps", "floor"), named("barrier_retain", "retrained")
    ('mcu_eps', 'mcu_eps_floor', 'barrier_retain')
    """
    choose("reading", reading, READINGS)
    own = reading in OWN_BARRIER or not measure.startswith("barrier_")
    return measure if reading == "chord" or not own else f"{measure}_{reading}"


def pair_of(reading: str, accuracy: bool = False) -> tuple[str, str]:
    """Names of the barrier and the deficit by a reading, of losses or of error rates."""
    kind = "_accuracy" if accuracy else ""
    return named(f"barrier_retain{kind}", reading), named(f"deficit_forget{kind}", reading)


# Barriers and deficits by the readings that are not the chord's.
READ = tuple(
    name for r in READINGS for accuracy in (False, True) for name in pair_of(r, accuracy) if name.endswith(f"_{r}")
)


def split_name(name: str) -> tuple[str, str]:
    """A measure's name without its reading, and the reading."""
    for reading in sorted(READINGS, key=len, reverse=True):
        if name.endswith(f"_{reading}"):
            return name.removesuffix(f"_{reading}"), reading
    return name, "chord"


def extremes(values: Values, t: np.ndarray, levels: Values) -> dict[str, np.ndarray]:
    """Barriers and deficits (...) by every reading whose curves (T, ...) and levels (...) are there, by name."""
    found = {}
    for reading in READINGS:
        for kind in ("loss", "accuracy"):
            sides = [(kind, split) for split in SPLITS_READ]
            if all(s in values and (s in levels or reading not in LEVELLED) for s in sides):
                rise, dip = pair_of(reading, kind == "accuracy")
                retain, forget = sides
                found[rise] = barrier_by(reading, values[retain], t, levels.get(retain))
                found[dip] = deficit_by(reading, values[forget], t, levels.get(forget))
    return found


def tolerances(found: Mapping[str, np.ndarray | float], gap: float | None) -> dict[str, np.ndarray]:
    """Smallest tolerances (...) by each reading whose barrier and deficit (...) are there, replicates like estimates.

    ``mcu_nats``, with a gap also ``mcu_eps``, and ``mcu_accuracy``, followed by the reading.
    """
    smallest = {}
    for reading in READINGS:
        for accuracy in (False, True):
            rise, dip = (found.get(name) for name in pair_of(reading, accuracy))
            if rise is None or dip is None:
                continue
            worst = np.maximum(rise, dip)
            smallest[named("mcu_accuracy" if accuracy else "mcu_nats", reading)] = worst
            if gap is not None and not accuracy:
                smallest[named("mcu_eps", reading)] = worst / gap
    return smallest


def from_curves(
    curves: Mapping[str, np.ndarray], t: np.ndarray, levels: Mapping[str, np.ndarray], gap: float | None
) -> dict[str, float]:
    """Barriers, deficits and smallest tolerances by every reading, from curves (T,) and levels (R,) as they are kept.

    Both are named loss_<split> in nats and accuracy_<split>; the levels are those of R retrained models, whose mean
    counts. What lacks its curves or levels is not there.
    """
    found = extremes(as_errors(curves), t, mean_levels(levels))
    return {name: float(value) for name, value in (found | tolerances(found, gap)).items()}


def mean_levels(levels: Mapping[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """Means over retrained models of their levels (R, ...), by (kind, split), as error rates where accuracies."""
    return {where: value.mean(axis=0) for where, value in as_errors(levels).items()}


def as_errors(found: Mapping[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """Losses and accuracies by name as losses and error rates by (kind, split)."""
    parts = {tuple(name.split("_", 1)): np.asarray(value) for name, value in found.items()}
    return {(kind, split): value if kind == "loss" else 1 - value for (kind, split), value in parts.items()}


def meaning(name: str) -> str:
    """One phrase on a barrier or deficit by a reading other than the chord's."""
    measure, reading = split_name(name)
    what, _, rest = measure.partition("_")
    split = rest.removesuffix("_accuracy")
    return f"{MEANINGS[f'{what}_{reading}']}, {split} {'error rate' if rest.endswith('_accuracy') else 'loss'}"


def table_of(interval, measures, gap: float | None, accuracy: bool, level: float):
    """Barrier, deficit and smallest tolerance by every reading as a pandas DataFrame, see `Connectivity.readings`.

    ``interval(name, level)`` is that of a measure.
    """
    import pandas as pd

    name_of_unit, unit = ("error rate", 1.0) if accuracy else ("nats", 1.0) if gap is None else ("G", gap)
    rows = []
    for reading, meant in READINGS.items():
        rise, dip = pair_of(reading, accuracy)
        names = {"barrier": rise, "deficit": dip, "eps": named("mcu_accuracy" if accuracy else "mcu_nats", reading)}
        if set(names.values()) <= set(measures):
            row = {"reading": reading}
            for short, name in names.items():
                columns = short, f"{short}_low", f"{short}_high"
                row |= dict(zip(columns, (value / unit for value in interval(name, level)), strict=True))
            rows.append({**row, "unit": name_of_unit, "meaning": meant})
    return pd.DataFrame(rows)
