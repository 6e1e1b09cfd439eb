"""Tidy tables of results: a row an observation, a column a variable; what figures, tests and pages read.

Losses are in nats, accuracies are shares, and whatever is *in G* is divided by the gap, the mean forget loss of the
retrained models minus that of the original.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..measures.along import excess, excess_variation, roughness, surplus
from ..measures.originals import neumann_ratio
from ..measures.profiles import HALVED, Profile
from ..measures.readings import LEVELS, READINGS, from_curves, named, pair_of

JUDGED = ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget")  # what tests read of a path
COARSE = 11  # points of a grid at which paths of several grids are compared
BAND = 2 * 1.959964  # standard errors between the ends of a 95 % band
WAVERS, WHITE = 0.05, 1.0  # G of range from which a curve must be resolved; von Neumann's ratio from which it is not
DIGITS = 9  # to which a metric's excess is rounded before it is ranked, so that rounding makes no ranks


def path_row(profile: Profile) -> dict[str, Any]:
    """The numbers of a path in the table `paths`, by column; see `dictionary`."""
    losses = {name: _curve(profile, name) for name in LEVELS}
    gap, t = profile.gap, profile.t
    row: dict[str, Any] = {
        "gap": gap,
        "points": len(t),
        "step": float(np.diff(t).max()),
        "seconds": float(profile.arrays.get("seconds", np.nan)),
        "collapsed": "; ".join(profile.collapsed),
        "not_finite": " ".join(n for n in ("loss_retain", "loss_forget") if not np.isfinite(losses[n]).all()),
        "fingerprint": fingerprint(losses[name] for name in JUDGED),
        "unresolved": " ".join(
            name
            for name in ("loss_retain", "loss_forget")
            if neumann_ratio(excess(losses[name], t) / gap, WAVERS) > WHITE
        ),
    }
    row |= _models(profile, losses)
    row |= _readings(profile, "")
    row |= _readings(coarse(profile), f"_{COARSE}")
    for split in ("retain", "forget"):
        loss = losses[f"loss_{split}"]
        row[f"roughness_{split}"] = float(roughness(loss, t)) / gap**2
        row[f"variation_{split}"] = float(excess_variation(loss)) / gap
        row[f"surplus_{split}"] = float(surplus(loss, t)) / gap
    row |= profile.geometry | _noise(profile)
    row |= dict(zip(("pattern_own", "pattern_apart"), pattern(profile), strict=True))
    row |= dict(zip(("best_t", "best_gain"), best_inner(profile), strict=True))
    for part in ("choose", "test"):
        score = profile.arrays.get(f"score/{part}", np.full(2, np.nan))
        row |= {f"closeness_{part}_start": float(score[0]), f"closeness_{part}_end": float(score[-1])}
    return row | {f"known_{n[6:]}": float(v) for n, v in profile.arrays.items() if n.startswith("known/")}


def fingerprint(curves: Iterable[np.ndarray]) -> str:
    """SHA-256, its first 16 digits, of curves (T,) rounded to six digits, the same in both directions of t."""
    rows = np.array([np.round(one, 6) + 0.0 for one in curves])
    return min(hashlib.sha256(rows[:, ::step].tobytes()).hexdigest() for step in (1, -1))[:16]


def _curve(profile: Profile, name: str) -> np.ndarray:
    return np.asarray(profile.arrays[f"curve/{name}"], dtype=np.float64)


def _models(profile: Profile, losses: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Losses and accuracies of the path's ends, of the original and of the retrained models."""
    original, levels = profile.original, profile.levels
    found: dict[str, float] = {}
    for name in LEVELS:
        found |= {f"start_{name}": float(losses[name][0]), f"end_{name}": float(losses[name][-1])}
        found |= {f"original_{name}": original[name], f"retrained_{name}": float(np.mean(levels[name]))}
    found["retrained_accuracy_forget_best"] = float(np.max(levels["accuracy_forget"]))
    found["retrained_accuracy_retain_far"] = float(
        np.abs(np.asarray(levels["accuracy_retain"]) - original["accuracy_retain"]).max()
    )
    return found


def _readings(profile: Profile, suffix: str) -> dict[str, float]:
    """Barrier, deficit and smallest tolerance in G by every reading; as error rates only where there is no suffix."""
    if suffix:
        curves = {name: _curve(profile, name) for name in LEVELS}
        measures = from_curves(curves, profile.t, profile.levels, profile.gap)
    else:
        measures = dict(profile.connectivity.measures)
    found: dict[str, float] = {}
    for reading in READINGS:
        for accuracy in (False, True) if not suffix else (False,):
            unit = 1.0 if accuracy else profile.gap
            rise, dip = (float(measures[name]) / unit for name in pair_of(reading, accuracy))
            kind = "_accuracy" if accuracy else suffix
            found |= {f"barrier_{reading}{kind}": rise, f"deficit_{reading}{kind}": dip}
            found[f"eps_{reading}{kind}"] = float(np.maximum(rise, dip))  # unlike max, nan if either is
    return found


def coarse(profile: Profile, points: int = COARSE) -> Profile:
    """The profile read at so many of its points, as one that was walked at them alone; itself where it has no more."""
    count = len(profile.t) - 1
    if count < points or count % (points - 1):
        return profile
    kept = slice(None, None, count // (points - 1))
    found = {}
    for name, values in profile.arrays.items():
        if name == "t" or name.startswith("curve/"):
            found[name] = values[kept]
        elif name in ("gap", "collapsed") or name.startswith(("level/", "original/")):
            found[name] = values
    return Profile(found)


def _noise(profile: Profile) -> dict[str, float]:
    """Standard errors over examples, in G, of barrier, deficit and the smallest tolerance by the chord."""
    kept = profile.connectivity.replicates
    names = {"barrier": "barrier_retain", "deficit": "deficit_forget", "two_sided": "deficit_forget_two_sided"}
    found = {f"{short}_error": float(np.std(kept[name] / profile.gap)) for short, name in names.items() if name in kept}
    if named("mcu_eps", "chord") in kept:
        found["eps_error"] = float(np.std(kept["mcu_eps"]))
    return found


def pattern(profile: Profile) -> tuple[float, float]:
    """How well a metric's excess over its chord agrees with itself on other examples, and with other metrics there.

    Both are means of |Spearman's rho| between two halves of the examples, over `HALVED`: of one metric with itself,
    and of two different ones. nan where fewer than two metrics vary, no halves are kept, or there is no inner point.

    Source: convergent and discriminant validity, Campbell and Fiske, Psychological Bulletin 56 (1959).
    """
    from scipy.stats import rankdata

    if f"half/0/{HALVED[0]}" not in profile.arrays or len(profile.t) < 3:
        return float("nan"), float("nan")
    halves = []
    for half in (0, 1):
        rows = [excess(profile.arrays[f"half/{half}/{name}"], profile.t)[1:-1] for name in HALVED]
        halves.append(np.array([np.round(row, DIGITS) for row in rows]))
    varies = np.all([np.ptp(one, axis=1) > 0 for one in halves], axis=0)
    if varies.sum() < 2:
        return float("nan"), float("nan")
    k = int(varies.sum())
    rho = np.abs(np.corrcoef(*(rankdata(one[varies], axis=1) for one in halves))[:k, k:])
    return float(np.diag(rho).mean()), float(rho[~np.eye(k, dtype=bool)].mean())


def best_inner(profile: Profile) -> tuple[float, float]:
    """The inner t closest to retraining on the examples to choose by, and how much closer than the better end it is on
    the examples to test on; nan where no scores are kept."""
    if not {"score/choose", "score/test"} <= set(profile.arrays) or len(profile.t) < 3:
        return float("nan"), float("nan")
    choose, test = (profile.arrays[f"score/{part}"] for part in ("choose", "test"))
    k = 1 + int(np.argmax(choose[1:-1]))
    return float(profile.t[k]), float(test[k] - max(test[0], test[-1]))


def along_table(found: Mapping[str, Profile]) -> Any:
    """`along` of profiles by their keys: (path, metric, t, value, error), the error nan where none is kept."""
    import pandas as pd

    parts = [
        (path, metric, profile.t, np.asarray(values), _error(profile, metric))
        for path, profile in found.items()
        for metric, values in _curves(profile)
    ]
    counts = [len(t) for _, _, t, _, _ in parts]
    names = {name: np.repeat(np.array([one[k] for one in parts], object), counts)
             for k, name in enumerate(("path", "metric"))}  # fmt: skip
    numbers = {name: np.concatenate([one[k] for one in parts] or [np.empty(0)])
               for k, name in enumerate(("t", "value", "error"), 2)}  # fmt: skip
    return pd.DataFrame({**names, **numbers}).astype(dict.fromkeys(names, str))


def _curves(profile: Profile) -> Iterable[tuple[str, np.ndarray]]:
    for name, values in profile.arrays.items():
        group, _, metric = name.partition("/")
        if group == "curve" or (group == "metric" and f"curve/{metric}" not in profile.arrays):
            yield metric, values


def _error(profile: Profile, metric: str) -> np.ndarray:
    band = profile.arrays.get(f"band/{metric}")
    return np.full(len(profile.t), np.nan) if band is None else (band[1] - band[0]) / BAND
