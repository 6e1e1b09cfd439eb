"""Tables of metrics along a path, of ways to fit a curve, of progress and retraining, and the ledger of all claims.

Walks in, a pandas DataFrame or text out. Losses are in units of the gap G unless a name says nats. Controls and walks
whose ends collapsed are left out of every table but that of the controls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from .claims import CLAIMS, Verdict, judge, ledger
from .condition_tables import grouped, spread
from .engine.study import Study
from .errors import BadInput, number
from .experiments import EXPERIMENTS, ROUTES, references
from .measures.along import excess, excess_variation, roughness
from .measures.connectivity import TOLERANCE
from .measures.intervals import LEVEL, Interval, mean_interval, percentile_interval, share_interval
from .measures.metrics import METRICS
from .verdicts import (
    COPIES,
    FAILED,
    TESTS,
    beside,
    best_inner,
    controls_hold,
    joined,
    pattern_correlation,
    retraining_control,
    share_over,
    sound,
    telling_gaps,
    usable,
    verdict_of,
    widest_range,
    worst,
)
from .walks import Walk, walk_all

if TYPE_CHECKING:
    import pandas as pd


DIGITS = 9  # to which a metric's excess is rounded before it is ranked, so that rounding makes no ranks


def pair_name(walk: Walk) -> str:
    """A walk's seeds with that of its original model: ``0: 42-87``."""
    return f"{walk.original}: {walk.start}-{walk.end}"


# Metrics along a path


def kinds() -> dict[str, list[str]]:
    """Metrics by what they look at, in the registry's order; other names of accuracies are left out."""
    found: dict[str, list[str]] = {"losses": [], "accuracies": [], "scores": []}
    for name, metric in METRICS.items():
        kind = {"loss": "losses", "accuracy": "accuracies"}.get(name.split("_")[0], "scores")
        if "retrained" in metric.references:
            kind = f"to the retrained model, {metric.splits[0]}"
        if name not in COPIES:
            found.setdefault(kind, []).append(name)
    return {kind: names for kind, names in found.items() if names}


def compared() -> list[str]:
    """The metrics whose curves are compared, kind by kind."""
    return [name for names in kinds().values() for name in names]


def levels(study: Study) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Every metric of the original model, and of each retrained model."""
    found = [{name: float(one.metric(name)[0]) for name in METRICS} for one in study.run(references(study))]
    return found[0], found[1:]


def joined_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> pd.DataFrame:
    """Per condition and curve: paths between sound ends, those that satisfy MCU(eps), and those of them compared.

    A path that several experiments hold counts once. Compared are `verdicts.joined`, traced at all points.
    """
    import pandas as pd

    kept = {id(w) for w in joined(walks, eps)}
    rows = []
    for (condition, curve), part in grouped(sound(walks), "condition", "kind").items():
        connected = sum(w.connected(eps) for w in part)
        rows.append((condition, curve, len(part), connected, sum(id(w) in kept for w in part)))
    columns = ["condition", "curve", "paths", f"MCU({eps:g})", "compared"]
    return pd.DataFrame(rows, columns=columns).set_index(["condition", "curve"])


def shown_walk(walks: Sequence[Walk], eps: float = TOLERANCE) -> tuple[Walk, str]:
    """A path to draw and what it stands for: of the compared paths the one whose patterns agree as the median does.

    Where nothing is connected it is the sound walk with the smallest eps. Raises `BadInput` without any sound walk.
    """
    ours = [w for w in joined(walks, eps) if np.isfinite(pattern_correlation(w))]
    if ours:
        agreement = np.array([pattern_correlation(w) for w in ours])
        middle = np.argsort(agreement, kind="stable")[(len(ours) - 1) // 2]
        return ours[middle], f"the median of {len(ours)} connected paths by how far its metrics agree"
    ours = [w for w in usable(walks) if np.isfinite(w.eps)]
    if not ours:
        raise BadInput("no walk between sound endpoints is left to draw.")
    return min(ours, key=lambda w: w.eps), f"no path satisfies MCU({eps:g}); this one comes nearest"


def metric_curves(walk: Walk) -> pd.DataFrame:
    """One row per compared metric and t of one walk: value, excess over the chord, and that in units of its range.

    The range is largest minus smallest value along the path; a metric that does not vary has a scaled excess of nan.
    """
    import pandas as pd

    parts, t = [], walk.profile.t
    for kind, names in kinds().items():
        for name in names:
            values = walk.profile.metric(name)
            over, width = excess(values, t), np.ptp(values)
            scaled = over / width if width > 10.0**-DIGITS else np.full(len(t), np.nan)
            columns = {"kind": kind, "metric": name, "t": t, "value": values, "excess": over, "scaled": scaled}
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def rank_correlations(walk: Walk) -> np.ndarray:
    """Spearman's rho (M, M) of the excesses over the chord, inner points only, of every two compared metrics.

    nan where a metric does not vary or is not finite, and on the diagonal.
    """
    from scipy.stats import rankdata

    names = compared()
    curves = [np.round(excess(walk.profile.metric(name), walk.profile.t)[1:-1], DIGITS) for name in names]
    found = np.full((len(names), len(names)), np.nan)
    ranks = [rankdata(c) if np.isfinite(c).all() and np.ptp(c) > 0 else None for c in curves]
    for i, j in combinations(range(len(names)), 2):
        if ranks[i] is not None and ranks[j] is not None:
            found[i, j] = found[j, i] = np.corrcoef(ranks[i], ranks[j])[0, 1]
    return found


def correlations(walks: Sequence[Walk]) -> tuple[np.ndarray, np.ndarray]:
    """Means over walks of rho and of |rho| (M, M) between `compared` metrics; nan where no walk has a value."""
    every = np.array([rank_correlations(w) for w in walks]).reshape(-1, len(compared()), len(compared()))
    count = np.isfinite(every).sum(axis=0)
    sums = (np.where(np.isfinite(v), v, 0).sum(axis=0) for v in (every, np.abs(every)))
    return tuple(np.where(count > 0, one / np.maximum(count, 1), np.nan) for one in sums)


def chance_correlation(points: int, draws: int = 4000) -> float:
    """Mean |rho| of two unrelated orders of so many points: what C9's statistic would be without any pattern."""
    rng = np.random.default_rng(0)
    if points < 2:
        return float("nan")
    order = rng.permuted(np.tile(np.arange(points, dtype=np.float64), (draws, 1)), axis=1)
    centred = np.arange(points) - (points - 1) / 2
    return float(np.abs((order - order.mean(axis=1, keepdims=True)) @ centred / (centred @ centred)).mean())


SHAPES = ("range", "variation", "roughness")


def shapes_table(walks: Sequence[Walk], gaps: Mapping[str, float]) -> pd.DataFrame:
    """One row per walk and compared metric: how far it ranges and how it wavers.

    ``range``: largest minus smallest value, in units of its original-to-retrained gap; nan where that gap is not told
    from chance. ``variation``: total variation minus net change, ``roughness``: root mean square of the second
    derivative in t (`along.roughness`), both in units of the range along the path; nan where nothing varies.
    """
    import pandas as pd

    rows = []
    for w in walks:
        for kind, names in kinds().items():
            for name in names:
                values = w.profile.metric(name)
                width = np.ptp(values)
                unit = width if width > 10.0**-DIGITS else np.nan
                shape = width / gaps.get(name, np.nan), excess_variation(values) / unit
                bend = np.sqrt(roughness(values, w.profile.t)) / unit
                rows.append((kind, name, w.method, w.kind, pair_name(w), *w.nodes, *shape, bend))
    columns = ["kind", "metric", "method", "curve", "pair", "node_a", "node_b", *SHAPES]
    return pd.DataFrame(rows, columns=columns)


def shapes_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and interval over paths of each column of a `shapes_table`, per metric."""
    import pandas as pd

    rows = []
    for name, part in table.groupby("metric", sort=False):
        for shape in SHAPES:
            found = mean_interval(part[shape], nodes=part[["node_a", "node_b"]].to_numpy(), within=(0.0, np.inf))
            rows.append((name, shape, *found, int(np.isfinite(part[shape]).sum())))
    return pd.DataFrame(rows, columns=["metric", "measure", "estimate", "low", "high", "n"])


def metric_summary(
    original: Mapping[str, float], retrained: Sequence[Mapping[str, float]], summary: pd.DataFrame
) -> pd.DataFrame:
    """Per metric: original and retrained models' values, the gap where it is told from chance, and its shapes."""
    import pandas as pd

    gaps = telling_gaps(original, retrained)
    cells = {(one.metric, one.measure): one for one in summary.itertuples()}
    rows = []
    for kind, names in kinds().items():
        for name in names:
            values = np.array([one[name] for one in retrained])
            row = {"kind": kind, "metric": name, "original": f"{original[name]:.3f}"}
            row["retrained"] = f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"
            row["gap"] = f"{gaps[name]:.3f}" if name in gaps else "-"
            for shape in SHAPES:
                one = cells.get((name, shape))
                row[shape] = spread(one[3:6], 2) if one is not None and one.n else "-"
            rows.append(row)
    return pd.DataFrame(rows).set_index(["kind", "metric"])


def widest_table(walks: Sequence[Walk], gaps: Mapping[str, float]) -> pd.DataFrame:
    """Per metric with a told gap: the gap, the median range over paths, on how many paths it is the widest (C10)."""
    import pandas as pd

    ranges = {name: [np.ptp(w.profile.metric(name)) / gap for w in walks] for name, gap in gaps.items()}
    table = pd.DataFrame(ranges, index=range(len(walks)), columns=list(gaps), dtype=float)
    widest = table.idxmax(axis=1) if len(table) and len(gaps) else pd.Series(dtype=object)
    counts = [int((widest == name).sum()) for name in gaps]
    found = {"gap": list(gaps.values()), "median range": table.median().to_list(), "widest on": counts}
    order = np.argsort([-v for v in found["median range"]], kind="stable")
    return pd.DataFrame(found, index=pd.Index(list(gaps), name="metric")).iloc[order].round(3)


def widest_text(walks: Sequence[Walk], gaps: Mapping[str, float]) -> str:
    """C10's statistic, and the same from metrics of the forget set alone, whose gaps are what there is to forget."""
    if not walks or not gaps:
        return "No connected path, or no metric whose gap is told from chance: there is no range to give."
    told = {name: gap for name, gap in gaps.items() if "forget" in METRICS[name].splits}
    parts = [f"Median over {len(walks)} connected paths of the widest range of {len(gaps)} metrics: "]
    parts.append(f"**{np.median([widest_range(w, gaps) for w in walks]):.2f}** of its gap")
    if told:
        only = np.median([widest_range(w, told) for w in walks])
        parts.append(f"; of the {len(told)} that read the forget set alone or with others: **{only:.2f}**")
    return "".join(parts) + "."


BEST = ["method", "other", "condition", "curve", "pair", "node_a", "node_b", "t", "end", "inner", "gain"]


def best_table(walks: Sequence[Walk]) -> pd.DataFrame:
    """One row per path: the inner t chosen on one half of the examples and the closeness there on the other (C11).

    Closeness is 1 minus the mean distance of three accuracies to the retrained models' (`profiles.closeness`). ``end``
    is that of the better end, ``inner`` that of the chosen point, both on test examples, ``gain`` their difference.
    """
    import pandas as pd

    rows = []
    for w in walks:
        t, gain = best_inner(w)
        end = float(max(w.profile.arrays["score/test"][[0, -1]]))
        labels = w.method, w.other, w.condition, w.kind, pair_name(w), *w.nodes
        rows.append((*labels, t, end, end + gain, gain))
    return pd.DataFrame(rows, columns=BEST)


def best_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Per method: mean gain of the chosen inner point in points of %, its interval, and how many paths gain."""
    import pandas as pd

    rows = []
    for method, part in table.groupby("method", sort=False):
        found = mean_interval(part["gain"], nodes=part[["node_a", "node_b"]].to_numpy())
        rows.append((method, *found, int((part["gain"] > 0).sum()), len(part)))
    return pd.DataFrame(rows, columns=["method", "gain", "low", "high", "better", "n"])


def best_text(table: pd.DataFrame) -> str:
    """How many chosen inner points beat both ends, and where they lie, in a sentence."""
    if not len(table):
        return "No connected path: there is no inner point to choose."
    better, share = int((table["gain"] > 0).sum()), 100 * table["t"].between(0.25, 0.75).mean()
    return (
        f"{better} of {len(table)} chosen inner points are closer to retraining than both ends; "
        f"{share:.0f} % of the chosen t lie between 0.25 and 0.75."
    )


def best_shown(summary: pd.DataFrame) -> pd.DataFrame:
    """A `best_summary` to be read: gains in points of %."""
    import pandas as pd

    rows = []
    for one in summary.itertuples():
        gain = spread([100 * v for v in (one.gain, one.low, one.high)], 2)
        rows.append((one.method, gain, f"{one.better} of {one.n}"))
    return pd.DataFrame(rows, columns=["method", "gain, points of %", "paths that gain"]).set_index("method")


# Ways to fit a curve

FITS = {
    ("own", "linear"): "line",
    ("no BatchNorm refresh", "linear"): "line, BatchNorm kept",
    ("own", "bezier"): "corrected",
    ("refit", "bezier"): "corrected, another seed",
    ("no BatchNorm refresh", "bezier"): "BatchNorm kept",
    ("retain only", "bezier"): "retain only",
    ("retain - forget", "bezier"): "retain - forget",
    ("authors", "bezier"): "authors",
    ("normal_t", "bezier"): "normal t",
    ("original_start", "bezier"): "original start",
    ("copied_gradient", "bezier"): "copied gradient",
}


def fit_name(walk: Walk) -> str:
    """What a walk's path is called beside others between the same ends."""
    return FITS.get((walk.variant, walk.kind), f"{walk.variant} {walk.kind}".strip())


def fits_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> pd.DataFrame:
    """One row per walk: its fit, eps with its interval over examples, in G, and what it costs in nats.

    ``nats`` is the smallest tolerance with MCU, the loss that must be given away to connect; ``rise`` and ``dip`` are
    the mean rise of the retain loss above its chord and the mean dip of the forget loss below its own.
    """
    import pandas as pd

    rows = []
    for w in usable(walks):
        measures = w.profile.connectivity.measures
        _, low, high = percentile_interval(w.eps, worst(w))
        row = {"method": w.method, "fit": fit_name(w), "curve": w.kind, "pair": pair_name(w)}
        row |= {"node_a": w.nodes[0], "node_b": w.nodes[1], "barrier": w.barrier, "deficit": w.deficit, "eps": w.eps}
        row |= {"low": low, "high": high, "connected": w.connected(eps), "nats": w.eps * w.profile.gap}
        again = worst(w)
        row |= {"connected_again": again <= eps, "eps_again": again, "nats_again": again * w.profile.gap}
        rows.append(row | {"rise": measures["surplus_retain"], "dip": measures["shortfall_forget"]})
    columns = "method fit curve pair node_a node_b barrier deficit eps low high connected nats rise dip".split()
    columns += ["connected_again", "eps_again", "nats_again"]  # replicates over examples
    return pd.DataFrame(rows, columns=columns)


def means(table: pd.DataFrame, value: str, by: Sequence[str]) -> pd.DataFrame:
    """Mean and interval over pairs of a column of at least 0 for each group of a table.

    The table has columns node_a and node_b, and ``<value>_again`` where the values have replicates over examples.
    """
    import pandas as pd

    rows, again = [], f"{value}_again"
    for group, part in table.groupby(list(by), sort=False):
        values, replicates = part[value].to_numpy(float), np.stack(part[again]) if again in part else None
        nodes = part[["node_a", "node_b"]].to_numpy()
        found = mean_interval(values, replicates, nodes=nodes, within=(0.0, np.inf))
        rows.append((*group, *found, int(np.isfinite(values).sum())))
    return pd.DataFrame(rows, columns=[*by, "estimate", "low", "high", "n"])


def fits_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Per fit: pairs that it connects, the median of eps, what it costs; methods together."""
    import pandas as pd

    rows = []
    for fit in [name for name in FITS.values() if name in set(table["fit"])]:
        part = table[table["fit"] == fit]
        again = np.stack(part["connected_again"])
        share = share_interval(part["connected"], again, nodes=part[["node_a", "node_b"]].to_numpy())
        row = {"fit": fit, "methods": part["method"].nunique(), "pairs": len(part), "connected": spread(share, 2)}
        row |= {f"{name} (median)": part[name].median() for name in ("barrier", "deficit", "eps")}
        rows.append(row | {f"{name} (mean nats)": part[name].mean() for name in ("rise", "dip")})
    return pd.DataFrame(rows).set_index("fit").round(3)


def failures(walks: Sequence[Walk]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fits whose smallest eps exceeds that of the line between the same ends by 0.1 G, by method, and by fit alone.

    Returns:
        (method, fit, failed, n), and (fit, share, low, high, failed, n) over all methods, whose interval is over pairs
        and examples.
    """
    import pandas as pd

    cells, totals = [], []
    for (variant, kind), fit in FITS.items():
        both = beside(walks, (variant, kind), ("own", "linear")) if kind != "linear" else []
        hits = [a.eps > b.eps + FAILED for a, b in both]
        for (method,), part in grouped([a for a, _ in both], "method").items():
            failed = sum(hit for hit, (a, _) in zip(hits, both, strict=True) if a.method == method)
            cells.append((method, fit, failed, len(part)))
        if both:
            again = np.array([worst(a) > worst(b) + FAILED for a, b in both], dtype=float)
            found = share_over([a for a, _ in both], hits, again)
            totals.append((fit, *found, sum(hits), len(both)))
    columns = ["fit", "share", "low", "high", "failed", "n"]
    return pd.DataFrame(cells, columns=["method", "fit", "failed", "n"]), pd.DataFrame(totals, columns=columns)


OUTCOMES = ("both", "line only", "curve only", "neither")


def outcomes_table(
    walks: Sequence[Walk], variants: Sequence[str] = ("own", "authors"), eps: float = TOLERANCE
) -> pd.DataFrame:
    """One row per pair and fit: eps of the line and of the curve, and which of the two satisfies MCU(eps)."""
    import pandas as pd

    rows = []
    for variant in variants:
        for line, curve in beside(walks, ("own", "linear"), (variant, "bezier")):
            held = line.connected(eps), curve.connected(eps)
            word = {(True, True): "both", (True, False): "line only", (False, True): "curve only"}.get(held, "neither")
            rows.append((fit_name(curve), line.method, pair_name(line), line.eps, curve.eps, word))
    return pd.DataFrame(rows, columns=["fit", "method", "pair", "line", "curve", "outcome"])


def outcomes_text(table: pd.DataFrame, eps: float = TOLERANCE) -> str:
    """Counts of an `outcomes_table` per fit, as a Markdown list."""
    lines = []
    for fit, part in table.groupby("fit", sort=False):
        counts = ", ".join(f"{word} {int((part['outcome'] == word).sum())}" for word in OUTCOMES)
        lines.append(f"- *{fit}*, {len(part)} pairs; MCU({eps:g}) on {counts}.")
    return "\n".join(lines) or "No pair was walked on both a line and a curve."


def disagreements_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> pd.DataFrame:
    """Pairs on which the corrected and the authors' recipe disagree about MCU(eps), with eps and its interval (C24)."""
    import pandas as pd

    rows = []
    for own, theirs in beside(walks, ("own", "bezier"), ("authors", "bezier")):
        if own.connected(eps) != theirs.connected(eps):
            found = [spread(percentile_interval(w.eps, worst(w))) for w in (own, theirs)]
            sides = ["barrier" if w.barrier > w.deficit else "deficit" for w in (own, theirs)]
            word = "corrected" if own.connected(eps) else "authors"
            rows.append((own.method, pair_name(own), found[0], sides[0], found[1], sides[1], word))
    columns = ["method", "pair", "eps, corrected", "set by", "eps, authors", "set by ", "connects"]
    return pd.DataFrame(rows, columns=columns).set_index(["method", "pair"])


def recipes_table(
    walks: Sequence[Walk], claims: Sequence[str] = ("C1", "C13", "C21"), eps: float = TOLERANCE
) -> pd.DataFrame:
    """Claims about two seeds, each judged twice on the same pairs and lines: with the curves of either recipe.

    Only pairs that have the line and both curves count. Rows: claims; columns: statistic, then verdict and effect with
    the curves of the corrected and of the authors' recipe.
    """
    import pandas as pd

    rows = beside(walks, ("own", "linear"), ("own", "bezier"), ("authors", "bezier"))
    controls = [w for w in walks if w.role == "control"]
    given = [controls + [w for row in rows for w in (row[0], replace(row[k], variant="own"))] for k in (1, 2)]
    found = []
    for claim in claims:
        judged = [verdict_of(claim, one, eps) for one in given]
        found.append((claim, CLAIMS[claim].measured(eps), *map(_found, judged)))
    return pd.DataFrame(found, columns=["claim", "statistic", "corrected", "authors"]).set_index("claim")


PATHS = ("line", "corrected", "better of the two")


def surplus_table(table: pd.DataFrame) -> pd.DataFrame:
    """What must be given away to connect each pair of a `fits_table`, on the line, the curve and the better of them.

    Columns method, path, pair, nats, rise, dip, node_a, node_b, nats_again; the better has the smaller ``nats``.
    """
    import pandas as pd

    kept = table[table["fit"].isin(PATHS[:2])]
    whole = [part for _, part in kept.groupby(["method", "pair"], sort=False) if len(part) == 2]
    best = [part.loc[[part["nats"].idxmin()]].assign(fit=PATHS[2]) for part in whole]
    for one, part in zip(best, whole, strict=True):
        one["nats_again"] = [np.minimum(*part["nats_again"])]
    found = pd.concat([*whole, *best]) if whole else kept.iloc[:0]
    columns = ["method", "path", "pair", "nats", "rise", "dip", "node_a", "node_b", "nats_again"]
    return found.rename(columns={"fit": "path"})[columns]


# Progress and retraining


def progress_of(values: np.ndarray) -> np.ndarray:
    """Share of the change from first to last value that is made at each point, 0 to 1; nan if there is no change."""
    values = np.asarray(values, dtype=np.float64)
    change = values[-1] - values[0]
    return (values - values[0]) / change if np.isfinite(change) and change else np.full(len(values), np.nan)


QUANTITIES = ("loss", "accuracy")


def progress_table(walks: Sequence[Walk]) -> pd.DataFrame:
    """One row per line original - unlearned and t: share of the change of the forget loss, and of its accuracy."""
    import pandas as pd

    parts = [pd.DataFrame(columns=["method", "seed", "t", *QUANTITIES])]
    for w in usable(walks, condition="forgetting"):
        made = {name: progress_of(w.profile.metric(f"{name}_forget")) for name in QUANTITIES}
        parts.append(pd.DataFrame({"method": w.method, "seed": w.end, "t": w.profile.t, **made}))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def bends_table(table: pd.DataFrame) -> pd.DataFrame:
    """One row per line of a `progress_table` and quantity: how far from its chord, on which side, where steepest.

    ``deviation`` is the largest distance from the chord in units of the change (C15's statistic for the loss), ``late``
    whether it lies below, that is whether forgetting comes late; ``steepest`` the middle of the steepest step.
    """
    import pandas as pd

    rows = []
    for (method, seed), part in table.groupby(["method", "seed"], sort=False):
        t = part["t"].to_numpy(float)
        for quantity in QUANTITIES:
            share = part[quantity].to_numpy(float)
            if np.isfinite(share).all():
                over, step = share - t, int(np.abs(np.diff(share) / np.diff(t)).argmax())
                k = int(np.abs(over).argmax())
                rows.append((method, seed, quantity, abs(over[k]), over[k] < 0, (t[step] + t[step + 1]) / 2))
    return pd.DataFrame(rows, columns=["method", "seed", "quantity", "deviation", "late", "steepest"])


def bends_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds and interval of deviation and steepest t per method and quantity."""
    import pandas as pd

    rows, largest = [], {"deviation": np.inf, "steepest": 1.0}
    for (method, quantity), part in table.groupby(["method", "quantity"], sort=False):
        for measure, top in largest.items():
            found = mean_interval(part[measure], clusters=part["seed"], within=(0.0, top))
            rows.append((method, quantity, measure, *found, len(part)))
    return pd.DataFrame(rows, columns=["method", "quantity", "measure", "estimate", "low", "high", "n"])


def bends_shown(table: pd.DataFrame) -> pd.DataFrame:
    """A `bends_table` to be read: per method and quantity, means over seeds with intervals, and how many come late."""
    import pandas as pd

    means, rows = bends_summary(table).set_index(["method", "quantity", "measure"])[["estimate", "low", "high"]], []
    for (method, quantity), part in table.groupby(["method", "quantity"], sort=False):
        cells = {m: spread(means.loc[method, quantity, m], 2) for m in ("deviation", "steepest")}
        row = {"method": method, "forget": quantity, "deviation from chord": cells["deviation"]}
        rows.append(row | {"late": f"{int(part['late'].sum())} of {len(part)}", "steepest at t": cells["steepest"]})
    columns = ["method", "forget", "deviation from chord", "late", "steepest at t"]
    return pd.DataFrame(rows, columns=columns).set_index(["method", "forget"])


def retraining_text(walks: Sequence[Walk]) -> str:
    """The control of this experiment, and how many walks are left out for a collapsed end, in Markdown."""
    apart = [w.barrier for w in walks if w.condition == "retrained" and w.variant == INITS[1]]
    ours = [w for w in walks if w.role == "method"]
    lost = sum(bool(w.profile.collapsed) for w in ours)
    held = "held" if retraining_control(walks) else "FAILED, so that every verdict is undecided"
    seen = f"between {min(apart):.2f} and {max(apart):.2f} G" if apart else "not walked"
    return (
        f"**Control {held}**: the retain barrier of lines between retrained models from different initial weights is "
        f"{seen} (all must exceed {TOLERANCE:g} G). "
        f"**{lost} of {len(ours)} walks have a collapsed end** and are left out."
    )


INITS = ("same init", "other init")
RETRAINED = "retrained pairs"


def retraining_table(walks: Sequence[Walk]) -> pd.DataFrame:
    """One row per line to a retrained model, and per line between two retrained models (method `RETRAINED`).

    ``init`` says whether the retrained models began from the initial weights of the original; barrier, deficit in G,
    ``barrier_again`` the replicates over examples.
    """
    import pandas as pd

    rows = []
    for w in walks:
        if w.condition == "retraining" and not w.profile.collapsed or w.condition == "retrained":
            name = RETRAINED if w.condition == "retrained" else w.method
            again = w.replicates("barrier")
            rows.append((name, w.variant, f"{w.start}-{w.end}", *w.nodes, w.barrier, w.deficit, again))
    columns = ["method", "init", "pair", "node_a", "node_b", "barrier", "deficit", "barrier_again"]
    return pd.DataFrame(rows, columns=columns)


def retraining_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Per initialisation and method: mean barrier with interval, how much it exceeds retrained pairs', mean deficit."""
    import pandas as pd

    found, rows = means(table, "barrier", ["init", "method"]), []
    for init in INITS:
        part = table[table["init"] == init]
        base = part.loc[part["method"] == RETRAINED, "barrier"].mean()
        for one in found[found["init"] == init].itertuples():
            more = "-" if one.method == RETRAINED else f"{one.estimate - base:+.3f}"
            row = {"init": init, "method": one.method, "barrier": spread(one[3:6]), "above retrained pairs": more}
            deficit = part.loc[part["method"] == one.method, "deficit"].mean()
            rows.append(row | {"deficit": f"{deficit:.3f}", "lines": one.n})
    columns = ["init", "method", "barrier", "above retrained pairs", "deficit", "lines"]
    return pd.DataFrame(rows, columns=columns).set_index(["init", "method"])


def planes_table(planes: Mapping[str, object]) -> pd.DataFrame:
    """Losses in nats and accuracies in % of the three models of each plane, as the plane's examples give them."""
    import pandas as pd

    rows = []
    for method, one in planes.items():
        for k, model in enumerate(("original", "unlearned", "retrained")):
            row = {"plane": method, "model": model}
            for split in ("retain", "forget", "test"):
                row[f"{split} loss"] = f"{one.at_models[f'loss_{split}'][k]:.3f}"
                row[f"{split} %"] = f"{100 * one.at_models[f'accuracy_{split}'][k]:.1f}"
            rows.append(row)
    return pd.DataFrame(rows).set_index(["plane", "model"])


# The ledger


def gather(study: Study) -> dict[str, list[Walk]]:
    """The walks of all experiments of `experiments.ROUTES`, computed together."""
    routes = {name: made(study) for name, made in ROUTES.items()}
    walks = iter(walk_all(study, [route for part in routes.values() for route in part]))
    return {name: [next(walks) for _ in part] for name, part in routes.items()}


def judge_all(
    walked: Mapping[str, Sequence[Walk]], gaps: Mapping[str, float], level: float = LEVEL, eps: float = TOLERANCE
) -> list[Verdict]:
    """The verdict of every claim of `verdicts.TESTS` whose experiments are given, in the order of the claims.

    A claim for which no walk is left is undecided, with nothing measured.

    Args:
        walked: experiment -> its walks, as `gather` returns them.
        gaps: original-to-retrained gaps of metrics (`verdicts.telling_gaps`), which C10 needs.
        level: of the intervals.
        eps: tolerance of MCU(eps), see `verdict_of`.
    """
    found, eps = [], number("the tolerance epsilon", eps, 0)
    for claim in (name for name in CLAIMS if name in TESTS):
        names, _ = TESTS[claim]
        if set(names) <= set(walked):
            walks = [w for name in names for w in walked[name]]
            try:
                found.append(verdict_of(claim, walks, eps, gaps=gaps, level=level))
            except BadInput:  # no walk of the claim's kind is left, for example because all ends collapsed
                nan = float("nan")
                found.append(judge(claim, nan, nan, nan, n_pairs=0, n_seeds=0, p=nan, controls_ok=False))
    return found


# Claims whose support must go when profiles are shuffled among labels; the others read no label, or ask for differences
# between walks, which a shuffle makes.
SHUFFLED_AWAY = ("C2", "C4", "C5", "C6", "C16")


def shuffled(walked: Mapping[str, Sequence[Walk]], seed: int = 0) -> dict[str, list[Walk]]:
    """The same walks with their profiles drawn among each other: labels no longer say what was walked.

    Within each experiment profiles change places among walks of one kind of curve and number of points, whatever their
    method, condition and variant; lines to retrained models only among those whose retrained model began alike. The
    controls of other experiments keep theirs, so that what is lost is not lost by a failed control.
    """
    rng, found = np.random.default_rng(seed), {}
    for name, walks in walked.items():
        found[name] = list(walks)
        places: dict[tuple, list[int]] = {}
        for k, w in enumerate(walks):
            if w.role == "method" or w.condition == "retrained":
                began = w.variant if w.variant in INITS else ""
                places.setdefault((w.kind, len(w.profile.t), began), []).append(k)
        for rows in places.values():
            for k, other in zip(rows, rng.permutation(rows), strict=True):
                found[name][k] = replace(walks[k], profile=walks[other].profile)
    return found


def shuffled_table(judged: Sequence[Verdict], again: Sequence[Verdict]) -> pd.DataFrame:
    """Verdicts of `SHUFFLED_AWAY` on the walks as they are, and with their profiles shuffled."""
    import pandas as pd

    rows = []
    for one, other in zip(judged, again, strict=True):
        if one.claim in SHUFFLED_AWAY:
            rows.append((one.claim, *map(_found, (one, other))))
    return pd.DataFrame(rows, columns=["claim", "as walked", "shuffled"]).set_index("claim")


def ledger_rows(study: Study) -> list[dict]:
    """The ledger of a study, computed: a row for each of the 24 claims (`claims.ledger`)."""
    original, retrained = levels(study)
    return ledger(judge_all(gather(study), telling_gaps(original, retrained)))


def _found(one: Verdict) -> str:
    return f"{one.verdict}, {effect_text(one.effect, one.low, one.high, 2)}"


def effect_text(effect: float | None, low: float | None, high: float | None, digits: int = 3, none: str = "-") -> str:
    """An effect with its interval in words, or ``none`` where nothing was measured."""
    return spread(Interval(effect, low, high), digits) if effect is not None and np.isfinite(effect) else none


def ledger_table(rows: Sequence[Mapping]) -> pd.DataFrame:
    """The rows of a ledger to be read, without the claims that were not run."""
    import pandas as pd

    shown = []
    for row in rows:
        if row["verdict"] != "not run":
            cells = {name: row[name] for name in ("id", "claim", "statistic", "threshold")}
            cells["effect [95 %]"] = effect_text(row["effect"], row["low"], row["high"])
            shown.append(cells | {"pairs": row["n_pairs"], "seeds": row["n_seeds"], "verdict": row["verdict"]})
    columns = ["id", "claim", "statistic", "threshold", "effect [95 %]", "pairs", "seeds", "verdict"]
    return pd.DataFrame(shown, columns=columns).set_index("id")


def strict_level(judged: Sequence[Verdict]) -> float:
    """The level of intervals that hold together for all claims judged: 1 - 0.05 / their number (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(1, len(judged))


def survives(first: Verdict, strict: Verdict, level: float) -> bool:
    """Whether a decided verdict stands at the corrected level, where a p that supports must lie below 1 - level."""
    small = strict.p is None or strict.verdict != "supported" or strict.p < 1 - level
    return first.verdict in ("supported", "contradicted") and strict.verdict == first.verdict and small


def corrected_table(judged: Sequence[Verdict], strict: Sequence[Verdict]) -> pd.DataFrame:
    """Each claim's verdict, its interval at the corrected level, the permutation p where it has one, what survives."""
    import pandas as pd

    level, rows = strict_level(judged), []
    for one, other in zip(judged, strict, strict=True):
        p = "" if one.p is None or np.isnan(one.p) else f"{one.p:.2g}"
        row = {"claim": one.claim, "verdict": one.verdict, "p": p}
        row["corrected interval"] = effect_text(other.effect, other.low, other.high)
        decided = one.verdict in ("supported", "contradicted")
        row["survives"] = ("yes" if survives(one, other, level) else "no") if decided else "-"
        rows.append(row)
    return pd.DataFrame(rows).set_index("claim")


def controls_table(walked: Mapping[str, Sequence[Walk]]) -> pd.DataFrame:
    """Per experiment: its controls, whether they held, and how many of its walks were left out for a collapsed end."""
    import pandas as pd

    rows = []
    for name, walks in walked.items():
        retrained = [w for w in walks if w.condition == "retrained"]
        controls = [w for w in walks if w.role == "control"]
        apart = [w for w in retrained if w.variant == "other init"] or [w for w in controls if "init" in w.method]
        twins = [w for w in controls if "twin" in w.method]
        held = retraining_control(walks) if retrained else controls_hold(walks)
        ours = [w for w in walks if w.role == "method"]
        row = {"experiment": name, "other initialisation: smallest barrier": _least([w.barrier for w in apart], min)}
        row |= {"pairs": len(apart), "fine-tuned twin: largest eps": _least([w.eps for w in twins], max)}
        row |= {"twins": len(twins), "held": "yes" if held else "NO", "walks": len(ours)}
        rows.append(row | {"collapsed": sum(bool(w.profile.collapsed) for w in ours)})
    return pd.DataFrame(rows).set_index("experiment")


def _least(values: Sequence[float], pick) -> str:
    return f"{pick(values):.3f}" if values else "-"


def replication_table(rows: Sequence[Mapping], other: Sequence[Mapping]) -> pd.DataFrame:
    """The claims that two ledgers judged: effect and verdict in each, whether the verdicts are the same.

    ``inside`` says whether the other's effect lies in this ledger's interval.
    """
    import pandas as pd

    there, shown = {row["id"]: row for row in other if row["verdict"] != "not run"}, []
    for row in rows:
        if row["verdict"] != "not run" and row["id"] in there:
            again = there[row["id"]]
            texts = [effect_text(one["effect"], one["low"], one["high"]) for one in (row, again)]
            known = "-" not in texts
            inside = ("yes" if row["low"] <= again["effect"] <= row["high"] else "no") if known else "-"
            same = "yes" if row["verdict"] == again["verdict"] else "NO"
            shown.append((row["id"], texts[0], texts[1], inside, row["verdict"], again["verdict"], same))
    columns = ["id", "effect here", "effect there", "inside", "verdict here", "verdict there", "same"]
    return pd.DataFrame(shown, columns=columns).set_index("id")


def not_run_table(rows: Sequence[Mapping]) -> pd.DataFrame:
    """The claims that were not run, and why: their notebook is not among the experiments, or no test is registered."""
    import pandas as pd

    shown = []
    for row in rows:
        if row["verdict"] == "not run":
            names = row["notebook"].split(", ")
            absent = [name for name in names if name not in EXPERIMENTS]
            why = f"{', '.join(absent)} does not exist yet" if absent else f"{', '.join(names)} registers no test of it"
            shown.append((row["id"], row["claim"], why))
    return pd.DataFrame(shown, columns=["id", "claim", "why"]).set_index("id")


def beyond(claim_id: str, interval: Sequence[float]) -> Interval:
    """An effect with its interval as distance beyond the claim's threshold, positive where it supports the claim.

    In units of the threshold, or, where that is 0, of half the interval's width. For a difference whose sign is not
    claimed it is the distance of its absolute value.
    """
    claim = CLAIMS[claim_id]
    value, low, high = interval
    if claim.direction == "outside":
        low, high = 0.0 if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high))
        value = abs(value)
    unit = abs(claim.threshold) or (high - low) / 2 or 1.0
    ends = [(v - claim.threshold) / unit for v in (value, low, high)]
    return Interval(-ends[0], -ends[2], -ends[1]) if claim.direction == "below" else Interval(*ends)


def forest_table(judged: Sequence[Verdict], strict: Sequence[Verdict]) -> pd.DataFrame:
    """One row per claim judged, for the forest figure: `beyond` of its interval and of the corrected one, and words.

    Columns claim, statement, verdict, survives, x, low, high, wide_low, wide_high, effect (text), threshold (text).
    """
    import pandas as pd

    level, rows = strict_level(judged), []
    for one, other in zip(judged, strict, strict=True):
        claim, known = CLAIMS[one.claim], one.effect is not None and np.isfinite(one.effect)
        nothing = Interval(*[np.nan] * 3)
        x = beyond(one.claim, (one.effect, one.low, one.high)) if known else nothing
        wide = beyond(one.claim, (other.effect, other.low, other.high)) if known else nothing
        sign = {"above": ">", "below": "<", "outside": "beyond ±", "explained": ">"}[claim.direction]
        row = {"claim": one.claim, "statement": claim.statement, "verdict": one.verdict}
        row |= {"survives": survives(one, other, level), "x": x.estimate, "low": x.low, "high": x.high}
        row |= {"wide_low": wide.low, "wide_high": wide.high, "threshold": f"{sign} {claim.threshold:g}"}
        row["effect"] = effect_text(one.effect, one.low, one.high, 2, "nothing to measure")
        rows.append(row)
    columns = "claim statement verdict survives x low high wide_low wide_high effect threshold".split()
    return pd.DataFrame(rows, columns=columns)
