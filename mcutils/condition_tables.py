"""Tables of how conditions differ: curricula, second order, pairs of methods, sizes of the forget set; walks in.

Losses are in units of the gap G. The smallest eps of MCU(eps), ``eps``, is the larger of barrier and deficit. Means
over pairs of seeds have intervals over pairs and evaluated examples together, see `mean_over`. Controls and walks whose
ends collapsed are left out of every table; `controls_text` counts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .data.cues import REPLACED
from .engine.conditions import CONDITIONS
from .measures.along import barrier, excess, forget_deficit
from .measures.connectivity import TOLERANCE
from .measures.intervals import Interval, mean_interval, percentile_interval
from .measures.similarity import SIMILARITIES, cluster_order, mantel
from .verdicts import CHANGE, changes, controls_hold, nodes_of, pair_of, sound, units_of, worst
from .walks import Walk

if TYPE_CHECKING:
    import pandas as pd


MEASURES = ("barrier", "deficit", "eps")
SPAN = (0.02, 0.10)  # shares of the pool to forget between which a straight fit's change is told
CUED = {"forgetting": 0, "retraining": 1}  # the lines of a cue's use, and where they start: original, unlearned


def replicates_of(walk: Walk, measure: str) -> np.ndarray:
    """Replicates over examples (B,) of ``barrier``, ``deficit`` or ``eps``."""
    return worst(walk) if measure == "eps" else walk.replicates(measure)


def mean_over(walks: Sequence[Walk], values, replicates=None, least: float = -np.inf) -> Interval:
    """Mean of a number per walk with its interval (`intervals.mean_interval`) over pairs of seeds and examples.

    With one pair it reaches from ``least``, the smallest possible value, to infinity.
    """
    replicates = None if replicates is None else np.array(replicates)
    return mean_interval(values, replicates, nodes=nodes_of(walks), units=units_of(walks), within=(least, np.inf))


def mean_of(walks: Sequence[Walk], measure: str) -> Interval:
    """Mean of a measure over walks, see `mean_over`."""
    return mean_over(walks, [getattr(w, measure) for w in walks], [replicates_of(w, measure) for w in walks], 0.0)


def spread(found: Sequence[float], digits: int = 3) -> str:
    """An estimate and the ends of its interval in words: ``0.120 [0.080, 0.200]``."""
    estimate, low, high = (f"{round(v, digits) + 0.0:.{digits}f}" for v in found)
    return f"{estimate} [{low}, {high}]"


def grouped(walks: Iterable[Walk], *names: str) -> dict[tuple, list[Walk]]:
    """Walks by the values of these labels, in order of appearance."""
    groups: dict[tuple, list[Walk]] = {}
    for w in walks:
        groups.setdefault(tuple(getattr(w, name) for name in names), []).append(w)
    return groups


def controls_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """The controls, and how many walks are left out for a collapsed end, in Markdown."""
    apart, twins = ([w for w in walks if w.role == "control" and name in w.method] for name in ("initialis", "twin"))
    rises, ours = [w.barrier for w in apart], [w for w in walks if w.role == "method"]
    lost = sum(bool(w.profile.collapsed) for w in ours)
    held = "held" if controls_hold(walks, eps) else "FAILED, so that every verdict is undecided"
    seen = f"between {min(rises):.2f} and {max(rises):.2f} G" if rises else "not walked"
    return (
        f"**Controls {held}**: the retain barrier of lines between different initialisations is {seen} (all must "
        f"exceed {eps:g} G), and {sum(w.connected(eps) for w in twins)} of {len(twins)} fine-tuned twins satisfy "
        f"MCU({eps:g}) (all must). "
        f"**{lost} of {len(ours)} walks have a collapsed end** and are left out of what follows."
    )


# Curricula and second order


def condition_table(walks: Sequence[Walk], conditions: Sequence[str], eps: float = TOLERANCE) -> pd.DataFrame:
    """One row per walk of these conditions: its labels, barrier, deficit and eps in G, whether MCU(eps) holds."""
    import pandas as pd

    rows = []
    for condition in conditions:
        for w in sound(walks, condition=condition, variant=""):
            pair = f"{w.original}: {w.start}-{w.end}"
            rows.append((condition, w.method, w.kind, pair, w.barrier, w.deficit, w.eps, w.connected(eps)))
    return pd.DataFrame(rows, columns=["condition", "method", "curve", "pair", *MEASURES, "connected"])


def condition_summary(walks: Sequence[Walk], conditions: Sequence[str]) -> pd.DataFrame:
    """Mean and interval of each measure per condition, method and curve; n is the number of pairs."""
    import pandas as pd

    rows = []
    for condition in conditions:
        ours = sound(walks, condition=condition, variant="")
        for (method, curve), part in grouped(ours, "method", "kind").items():
            rows += [(condition, method, curve, m, *mean_of(part, m), len(part)) for m in MEASURES]
    return pd.DataFrame(rows, columns=["condition", "method", "curve", "measure", "estimate", "low", "high", "n"])


def effect_of(change: float, edge: float = CHANGE) -> str:
    """What a change of the smallest eps, in G, does to connectivity: ``helps``, ``harms`` or ``neither``."""
    return "helps" if change <= -edge else "harms" if change >= edge else "neither"


def changes_table(walks: Sequence[Walk], conditions: Sequence[str]) -> pd.DataFrame:
    """Per condition, method and curve: eps minus that of ``random`` over the same pairs, mean and interval.

    ``effect`` is what the mean does at 0.05 G, see `effect_of`; ``clear`` says whether the whole interval agrees.
    """
    import pandas as pd

    rows = []
    for condition in conditions:
        groups: dict[tuple[str, str], list] = {}
        for one in changes(walks, condition):
            groups.setdefault((one[0].method, one[0].kind), []).append(one)
        for (method, curve), part in groups.items():
            kept, values, replicates = zip(*part, strict=True)
            found = mean_over(kept, values, replicates)
            words = [effect_of(v) for v in found]
            rows.append((condition, method, curve, *found, words[0], len(set(words)) == 1, len(part)))
    return pd.DataFrame(
        rows, columns=["condition", "method", "curve", "change", "low", "high", "effect", "clear", "n"]
    ).astype({"clear": bool})


def changes_shown(walks: Sequence[Walk], condition: str) -> pd.DataFrame:
    """Per method and curve: eps of ``random`` and of the condition, the paired change, and its effect.

    A question mark follows an effect with which the interval of the change does not wholly agree.
    """
    import pandas as pd

    levels = condition_summary(walks, ("random", condition)).query("measure == 'eps'")
    cells = {tuple(row[:3]): spread(row[4:7]) for row in levels.itertuples(index=False)}
    rows = []
    for one in changes_table(walks, [condition]).itertuples():
        eps = {f"eps, {name}": cells[name, one.method, one.curve] for name in ("random", condition)}
        row = {"method": one.method, "curve": one.curve, **eps, "change": spread((one.change, one.low, one.high))}
        rows.append({**row, "effect": one.effect + ("" if one.clear else "?"), "pairs": one.n})
    columns = ["method", "curve", "eps, random", f"eps, {condition}", "change", "effect", "pairs"]
    return pd.DataFrame(rows, columns=columns).set_index(["method", "curve"])


def changes_text(table: pd.DataFrame) -> str:
    """In how many contexts of a `changes_table` each condition helps, harms or does neither, as a Markdown list."""
    lines = []
    for condition, part in table.groupby("condition", sort=False):
        counts = []
        for word in ("helps", "harms", "neither"):
            kind = part[part["effect"] == word]
            counts.append(f"{word} in {len(kind)} ({int(kind['clear'].sum())} of them by the whole interval)")
        lines.append(f"- `{condition}`, {len(part)} contexts of one method and curve: {', '.join(counts)}.")
    return "\n".join(lines) or "No pair was walked in both conditions."


def end_names(condition: str) -> tuple[str, str]:
    """What tells the two ends of a condition apart, beside seed and method; equal where nothing does."""
    ends = CONDITIONS[condition].start, CONDITIONS[condition].end
    if ends[0].curriculum != ends[1].curriculum:
        return tuple("curriculum" if end.curriculum else "none" for end in ends)
    return tuple("second order" if end.second_order else "first order" for end in ends)


def ends_table(walks: Sequence[Walk], across: str) -> pd.DataFrame:
    """Whether the ends of a condition are different models, per method, means over pairs.

    Accuracies in % of both ends on the forget set and the test set; the distance between the ends, and how many times
    that of the same two seeds under ``random`` it is, with an interval; the cosine of their task vectors, and that
    under ``random``.
    """
    import pandas as pd

    base = {pair_of(w): w for w in sound(walks, kind="linear", condition="random", variant="")}
    names = end_names(across)
    rows = {}
    for (method,), part in grouped(sound(walks, kind="linear", condition=across, variant=""), "method").items():
        both = [(w, base[pair_of(w)]) for w in part if pair_of(w) in base]
        if not both:
            continue
        row = {}
        for split in ("forget", "test"):
            ends = np.mean([w.profile.connectivity.curves[f"accuracy_{split}"][[0, -1]] for w, _ in both], axis=0)
            row |= {f"{name}: {split} %": f"{100 * value:.1f}" for name, value in zip(names, ends, strict=True)}
        far, near = (np.array([one[k].profile.geometry["distance"] for one in both]) for k in (0, 1))
        row["distance"] = f"{far.mean():.2f}"
        row["of two seeds'"] = spread(mean_over([w for w, _ in both], far / near), 2)
        for k, name in ((0, "cosine"), (1, "cosine, two seeds")):
            row[name] = f"{np.mean([one[k].profile.geometry['cosine'] for one in both]):.3f}"
        rows[method] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def variants_table(walks: Sequence[Walk], across: str) -> pd.DataFrame:
    """The straight lines of a condition beside its variants, for the methods that have some, and ``random``."""
    import pandas as pd

    lines = sound(walks, kind="linear")
    some = {w.method for w in lines if w.condition == across and w.variant}
    rows = []
    for (condition, variant, method), part in grouped(lines, "condition", "variant", "method").items():
        if method in some and condition in ("random", across):
            cells = {m: spread(mean_of(part, m)) for m in MEASURES}
            distance = np.mean([w.profile.geometry["distance"] for w in part])
            row = {"method": method, "condition": condition, "variant": variant or "as above", **cells}
            rows.append({**row, "distance": f"{distance:.2f}", "points": len(part[0].profile.t)})
    return pd.DataFrame(rows, columns=["method", "condition", "variant", *MEASURES, "distance", "points"]).set_index(
        ["method", "condition", "variant"]
    )


def thinned(walk: Walk, points: int) -> tuple[float, float]:
    """Barrier and deficit, in G, of a walk read at so many equally spaced points of its own."""
    curves, t = walk.profile.connectivity.curves, walk.profile.t
    keep = np.unique(np.linspace(0, len(t) - 1, points).round().astype(int))
    values = (f(curves[f"loss_{s}"][keep], t[keep]) for f, s in ((barrier, "retain"), (forget_deficit, "forget")))
    return tuple(float(v) / walk.profile.gap for v in values)


def thinned_text(walks: Sequence[Walk]) -> str:
    """How much the smallest eps of the finely traced walks changes when they are read as coarsely as the others."""
    ours = sound(walks)
    counts = sorted({len(w.profile.t) for w in ours})
    if len(counts) < 2:
        return f"All walks have {', '.join(map(str, counts)) or 'no'} points."
    fine = [w for w in ours if len(w.profile.t) > counts[0]]
    most = max(w.eps - max(thinned(w, counts[0])) for w in fine)
    return (
        f"{len(fine)} walks have {counts[-1]} points and {len(ours) - len(fine)} have {counts[0]}; a maximum over "
        f"fewer points is at most as large. Read at {counts[0]} points, the finer walks' smallest eps falls by "
        f"{most:.3f} G at most."
    )


def along_table(walks: Sequence[Walk], conditions: Sequence[str]) -> pd.DataFrame:
    """One row per walk of these conditions and t: retain and forget loss minus their chords, in G."""
    import pandas as pd

    columns = ["condition", "method", "curve", "pair", "t", "retain_excess", "forget_excess"]
    parts = [pd.DataFrame(columns=columns)]
    for condition in conditions:
        for w in sound(walks, condition=condition, variant=""):
            t, curves = w.profile.t, w.profile.connectivity.curves
            over = {f"{s}_excess": excess(curves[f"loss_{s}"], t) / w.profile.gap for s in ("retain", "forget")}
            labels = {"condition": condition, "method": w.method, "curve": w.kind}
            parts.append(pd.DataFrame({**labels, "pair": f"{w.original}: {w.start}-{w.end}", "t": t, **over}))
    return pd.concat(parts[1:] or parts, ignore_index=True)


# Pairs of methods


def pairs_table(
    walks: Sequence[Walk], conditions: Sequence[str], shared: bool = False, eps: float = TOLERANCE
) -> pd.DataFrame:
    """One row per condition and pair of methods (straight lines): mean and interval of each measure.

    ``connected`` counts the seed pairs with MCU(eps), ``n`` all of them. ``shared`` keeps only the seed pairs that
    every condition has, so that conditions compare.
    """
    import pandas as pd

    lines = [w for c in conditions for w in sound(walks, condition=c, kind="linear", variant="")]
    if shared:
        seeds = [{(w.original, w.start, w.end) for w in part} for part in grouped(lines, "condition").values()]
        common = set.intersection(*seeds) if seeds else set()
        lines = [w for w in lines if (w.original, w.start, w.end) in common]
    rows = []
    for (condition, method, other), part in grouped(lines, "condition", "method", "other").items():
        row = {"condition": condition, "method": method, "other": other}
        for m in MEASURES:
            row |= dict(zip((m, f"{m}_low", f"{m}_high"), mean_of(part, m), strict=True))
        rows.append({**row, "connected": sum(w.connected(eps) for w in part), "n": len(part)})
    numbers = [f"{m}{end}" for m in MEASURES for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["condition", "method", "other", *numbers, "connected", "n"])


def pairs_shown(table: pd.DataFrame) -> pd.DataFrame:
    """A `pairs_table` to be read, the best connected pair first."""
    import pandas as pd

    rows = []
    for one in table.sort_values("eps", kind="stable").to_dict("records"):
        cells = {m: spread([one[m], one[f"{m}_low"], one[f"{m}_high"]]) for m in MEASURES}
        count = f"{one['connected']} of {one['n']}"
        rows.append({"pair": f"{one['method']} - {one['other']}", **cells, "connected": count})
    return pd.DataFrame(rows, columns=["pair", *MEASURES, "connected"]).set_index("pair")


def pair_matrix(
    table: pd.DataFrame, measure: str, methods: Sequence[str], condition: str = "method", mirrored: bool = True
) -> np.ndarray:
    """Matrix (n, n) of a column of a `pairs_table`; nan where no pair was walked, as on the diagonal.

    ``mirrored`` writes a pair on both sides; else row and column are the condition's first and second method.
    """
    found = np.full((len(methods), len(methods)), np.nan)
    place = {name: k for k, name in enumerate(methods)}
    for one in table[table["condition"] == condition].to_dict("records"):
        i, j = place[one["method"]], place[one["other"]]
        found[i, j] = one[measure]
        if mirrored:
            found[j, i] = one[measure]
    return found


def directed(condition: str) -> bool:
    """Whether the two ends of a condition differ in more than their method, so that their order matters."""
    first, second = end_names(condition)
    return first != second


def method_order(distance: np.ndarray, methods: Sequence[str]) -> tuple[list[str], np.ndarray | None]:
    """Methods with neighbours in connectivity together, and the tree of `similarity.cluster_order` over them.

    Methods without a finite distance to every other come last and have no leaf; with fewer than two leaves the tree is
    None.
    """
    kept = list(range(len(methods)))
    while len(kept) > 1:
        inner = ~np.isfinite(distance[np.ix_(kept, kept)]) & ~np.eye(len(kept), dtype=bool)
        if not inner.any():
            break
        kept.pop(int(inner.sum(axis=1).argmax()))
    rest = [name for k, name in enumerate(methods) if k not in kept]
    if len(kept) < 2:
        return [*(methods[k] for k in kept), *rest], None
    order, tree = cluster_order(distance[np.ix_(kept, kept)])
    return [*(methods[kept[k]] for k in order), *rest], tree


def curves_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> pd.DataFrame:
    """Two rows per pair of methods with a fitted curve: the line of the same ends traced alike, and the curve.

    Columns condition, method, other, curve, barrier, deficit, eps, and low, high: the interval of eps over examples.
    """
    import pandas as pd

    ours = [w for w in sound(walks) if w.other]
    lines = {(w.condition, w.variant, pair_of(w)): w for w in ours if w.kind == "linear"}
    rows = []
    for w in ours:
        line = lines.get((w.condition, w.variant, pair_of(w)))
        for one in (line, w) if w.kind != "linear" and line is not None else ():
            interval = percentile_interval(one.eps, worst(one))
            numbers = (one.barrier, one.deficit, *interval)
            rows.append((w.condition, w.method, w.other, one.kind, *numbers, one.connected(eps)))
    rows.sort(key=lambda row: list(CONDITIONS).index(row[0]))
    columns = ["condition", "method", "other", "curve", "barrier", "deficit", "eps", "low", "high", "connected"]
    return pd.DataFrame(rows, columns=columns)


def curves_text(table: pd.DataFrame) -> str:
    """How many pairs of a `curves_table` the line and the curve connect at MCU(0.1), as a Markdown list."""
    lines = []
    for condition, part in table.groupby("condition", sort=False):
        line, curve = (part[(part["curve"] == "linear") == k]["connected"].to_numpy(bool) for k in (True, False))
        counts = (line & curve, line & ~curve, ~line & curve, ~line & ~curve)
        both, first, second, none = (int(c.sum()) for c in counts)
        lines.append(
            f"- `{condition}`, {len(line)} pairs: joined by both {both}, by the line only {first}, by the quadratic "
            f"curve only {second}, by neither {none}."
        )
    return "\n".join(lines) or "No pair has both a line and a curve between sound ends."


def full_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> pd.DataFrame:
    """The lines that were walked twice: barrier and deficit at the matrix's points and at the full number."""
    import pandas as pd

    coarse = {pair_of(w): w for w in sound(walks, condition="method", kind="linear", variant="")}
    rows = {}
    for w in sound(walks, condition="method", kind="linear", variant="full"):
        one = coarse.get(pair_of(w))
        if one is not None:
            pair = {name: (f"{name}: {len(v.profile.t)} points", v) for name, v in (("coarse", one), ("full", w))}
            cells = {f"{m}, {n}": getattr(v, m) for m in ("barrier", "deficit") for n, v in pair.values()}
            rows[w.label] = {**cells, "same verdict": w.connected(eps) == one.connected(eps)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("pair")


def full_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """The largest difference between the walks of a `full_table`, in words."""
    table = full_table(walks, eps)
    if len(table) == 0:
        return "No pair was walked at both numbers of points."
    cells = {m: table[[c for c in table if c.startswith(m)]].to_numpy(float) for m in ("barrier", "deficit")}
    most = {m: float(np.ptp(values, axis=1).max()) for m, values in cells.items()}
    parts = " and ".join(f"{value:.4f} G in the {m}" for m, value in most.items())
    return (
        f"**Full-size check**: over {len(table)} pairs the coarse matrix differs from the full walk by {parts} at "
        f"most, and {int((~table['same verdict'].astype(bool)).sum())} verdicts at {eps:g} G differ."
    )


# Independent similarities and the cue


def holm(p: Sequence[float]) -> np.ndarray:
    """p-values adjusted for all of them being looked at (Holm 1979); those that are nan are left out."""
    p = np.asarray(p, dtype=np.float64)
    found, order = np.full(len(p), np.nan), [k for k in np.argsort(p) if np.isfinite(p[k])]
    most = 0.0
    for rank, k in enumerate(order):
        most = max(most, min(1.0, float(p[k]) * (len(order) - rank)))
        found[k] = most
    return found


def agreement_table(alike: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Whether pairs of methods that are alike by a measure without a path are also better connected.

    Args:
        alike: matrices of `similarity.SIMILARITIES`, their first n rows the methods of the targets.
        targets: name -> matrix (n, n), for example of barriers.

    Returns:
        similarity, target, rho (positive: the more alike, the smaller the target), one-sided p of `similarity.mantel`,
        and p adjusted by `holm` over all rows. nan where fewer than three methods, or constant values, say nothing.
    """
    import pandas as pd

    rows = []
    for name, one in SIMILARITIES.items():
        for target, goal in targets.items():
            sign = -1 if one.alike == "high" else 1
            mine = sign * alike[name][: len(goal), : len(goal)]
            rows.append((name, target, *(mantel(mine, goal) if len(goal) > 2 else (np.nan, np.nan))))
    table = pd.DataFrame(rows, columns=["similarity", "target", "rho", "p"])
    return table.assign(p_holm=holm(table["p"]))


def agreement_text(table: pd.DataFrame, level: float = 0.05) -> str:
    """How many rows of an `agreement_table` agree, before and after the adjustment, in words."""
    tested, raw = int(table["p"].notna().sum()), int((table["p"] < level).sum())
    left = table[table["p_holm"] < level]
    names = ", ".join(f"{one.similarity} with the {one.target} (rho {one.rho:.2f})" for one in left.itertuples())
    return (
        f"{tested} comparisons are tested: {raw} have p < {level:g} by themselves, and {len(left)} after the "
        f"adjustment for {tested} tests" + (f": {names}." if names else ".")
    )


def levels_table(alike: Mapping[str, np.ndarray], methods: Sequence[str]) -> pd.DataFrame:
    """Each similarity between methods (mean, least and most alike), between two seeds of the first method, and of
    methods to the retrained and the original model: what counts as much and as little.

    The last three rows of the matrices are a second seed, a retrained and the original model.
    """
    import pandas as pd

    n, rows = len(methods), {}
    for name, one in SIMILARITIES.items():
        values = np.asarray(alike[name], dtype=np.float64)
        between = values[:n, :n][np.triu_indices(n, 1)]
        ends = (between.min(), between.max()) if one.alike == "high" else (between.max(), between.min())
        cells = dict(zip(("methods, least alike", "methods, most alike"), ends, strict=True))
        rows[name] = {
            "methods, mean": between.mean(),
            **cells,
            f"two seeds of {methods[0]}": values[0, n],
            "method and retrained, mean": values[:n, n + 1].mean(),
            "method and original, mean": values[:n, n + 2].mean(),
            "retrained and original": values[n + 1, n + 2],
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("similarity").round(3)


def scatter_table(
    alike: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray], methods: Sequence[str]
) -> pd.DataFrame:
    """One row per pair of methods and similarity: its value beside the targets of the pair."""
    import pandas as pd

    rows = []
    for name in SIMILARITIES:
        for i, j in zip(*np.triu_indices(len(methods), 1), strict=True):
            goals = {target: goal[i, j] for target, goal in targets.items()}
            row = {"similarity": name, "method": methods[i], "other": methods[j], "value": alike[name][i, j]}
            rows.append({**row, **goals})
    return pd.DataFrame(rows, columns=["similarity", "method", "other", "value", *targets])


def cue_table(
    found: Mapping[tuple[str, str], Mapping[str, np.ndarray]], examples: Mapping[str, int], classes: int
) -> pd.DataFrame:
    """Use of the cue along original (x = 0) - unlearned (1) - retrained (2), one row per method, split and x.

    Args:
        found: (method, ``forgetting`` or ``retraining``) -> arrays ``<split>/<name>`` (T,), see `cue_use.cue_use`.
        examples: number of evaluated examples of each split.
        classes: K of the task.

    Returns:
        method, split, x, reliance with the ends of its 95 % interval over examples, sensitivity, pull, and
        accuracy_none. Per example the reliance is 1, 0 or -1 / (K - 2), so that the means of `cue_use.cue_use` hold its
        variance: r = a - b / (K - 2) with shares a (the cue's label is predicted) and b (a label that is neither the
        cue's nor the image's), and var = a + b / (K - 2)^2 - r^2.
    """
    import pandas as pd

    rows = []
    for (method, part), arrays in found.items():
        for split in REPLACED:
            r, a = arrays[f"{split}/reliance"], arrays[f"{split}/accuracy_swapped"]
            b = (a - r) * (classes - 2)
            half = 1.96 * np.sqrt(np.maximum(a + b / (classes - 2) ** 2 - r**2, 0) / examples[split])
            x = CUED[part] + np.linspace(0, 1, len(r))
            columns = {name: arrays[f"{split}/{name}"] for name in ("sensitivity", "pull", "accuracy_none")}
            made = {"method": method, "part": part, "split": split, "x": x, "reliance": r}
            rows.append(pd.DataFrame({**made, "low": r - half, "high": r + half, **columns}))
    return pd.concat(rows, ignore_index=True)


def cue_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Reliance of the original, each unlearned and the retrained model on both splits, with its interval."""
    import pandas as pd

    rows: dict[str, dict[str, str]] = {}
    for x, name in ((0, "original"), (1, ""), (2, "retrained")):
        for one in table[table["x"] == x].itertuples():
            if not (name == "" and one.part == "retraining"):
                cells = rows.setdefault(name or one.method, {})
                cells[f"{one.split} images"] = spread((one.reliance, one.low, one.high))
    last = {name: rows.pop(name) for name in ("original", "retrained") if name in rows}
    return pd.DataFrame.from_dict({**last, **rows}, orient="index").rename_axis("model")


def cue_text(table: pd.DataFrame) -> str:
    """What the reliance on forget images at the ends and between them says, in words computed from a `cue_table`.

    Where the original's interval does not lie above the retrained model's, there is no use of the cue to remove.
    """
    ours = table[table["split"] == "forget"]
    at = {x: ours[ours["x"] == x] for x in (0, 1, 2)}
    original, retrained = (round(float(at[x]["reliance"].mean()), 3) + 0.0 for x in (0, 2))
    if not at[0]["low"].mean() > at[2]["high"].mean():
        return (
            f"On forget images the reliance is {original:.3f} in the original and {retrained:.3f} in the retrained "
            "model, and their intervals overlap: **the original does not use the cue here**, so nothing can be read "
            "off what follows."
        )
    ends = at[1].drop_duplicates("method").set_index("method")
    near = [m for m, one in ends.iterrows() if abs(one["reliance"] - retrained) < abs(one["reliance"] - original)]
    forget = ours[ours["part"] == "forgetting"]
    inner = forget[(forget["x"] > 0) & (forget["x"] < 1)].groupby("method", sort=False)["reliance"].max()
    back = [m for m, top in inner.items() if top > max(original, ends.loc[m, "reliance"]) + CHANGE]
    return (
        f"On forget images the reliance is {original:.3f} in the original and {retrained:.3f} in the retrained model. "
        f"{len(near)} of {len(ends)} unlearned models are nearer the retrained one: {', '.join(near) or 'none'}. Along "
        f"the line from the original, {len(back)} of {len(ends)} methods pass a point that follows the cue more than "
        f"both ends, by over {CHANGE:g}."
    )


# Sizes of the forget set


def size_summary(walks: Sequence[Walk]) -> pd.DataFrame:
    """Mean and interval of each measure per method, curve and size of the forget set (a walk's variant)."""
    import pandas as pd

    rows = []
    for (method, curve, variant), part in grouped(_sized(walks), "method", "kind", "variant").items():
        rows += [(method, curve, float(variant), m, *mean_of(part, m), len(part)) for m in MEASURES]
    return pd.DataFrame(rows, columns=["method", "curve", "size", "measure", "estimate", "low", "high", "n"])


def sizes_text(walks: Sequence[Walk]) -> str:
    """How much was walked, in words: sizes, methods, pairs of draws and points."""
    ours = _sized(walks)
    methods = list(dict.fromkeys(w.method for w in ours))
    counts = [len({f(w) for w in ours}) for f in (lambda w: w.variant, lambda w: w.nodes)]
    points = " or ".join(str(n) for n in sorted({len(w.profile.t) for w in ours}))
    return (
        f"{len(ours)} walks: {counts[0]} sizes, {len(methods)} methods ({', '.join(methods)}), {counts[1]} pairs of "
        f"seeds, lines and curves of {points} points."
    )


def size_pairs(walks: Sequence[Walk]) -> pd.DataFrame:
    """One row per walk: its method, curve, size and pair, and the measures."""
    import pandas as pd

    rows = []
    for w in _sized(walks):
        rows.append(
            (w.method, w.kind, float(w.variant), f"{w.original}: {w.start}-{w.end}", w.barrier, w.deficit, w.eps)
        )
    return pd.DataFrame(rows, columns=["method", "curve", "size", "pair", *MEASURES])


def _sized(walks: Sequence[Walk]) -> list[Walk]:
    return [w for w in sound(walks) if w.variant]


def size_fits(walks: Sequence[Walk]) -> pd.DataFrame:
    """Straight fit of each measure against the size, per method and curve: its change from 2 % to 10 %.

    ``change`` is the mean over pairs of each pair's own fit, with its interval; ``at_low`` and ``at_high`` are the mean
    line's values at 2 % and 10 %. A pair without the smallest or the largest size has no fit.
    """
    import pandas as pd

    rows = []
    sizes_of = [float(w.variant) for w in _sized(walks)]
    every = min(sizes_of, default=0.0), max(sizes_of, default=0.0)
    for (method, curve), part in grouped(_sized(walks), "method", "kind").items():
        pairs = grouped(part, "original", "start", "end")
        for measure in MEASURES:
            found, ends, kept = [], [], []
            for group in pairs.values():
                sizes = np.array([float(w.variant) for w in group])
                if not every[0] == sizes.min() < sizes.max() == every[1]:  # as for C4
                    continue
                weights = (sizes - sizes.mean()) / ((sizes - sizes.mean()) ** 2).sum()
                values = np.array([getattr(w, measure) for w in group])
                again = np.array([replicates_of(w, measure) for w in group])
                slope = weights @ values
                ends.append(values.mean() + slope * (np.array(SPAN) - sizes.mean()))
                found.append((slope * (SPAN[1] - SPAN[0]), weights @ again * (SPAN[1] - SPAN[0])))
                kept.append(group[0])
            if kept:
                changed, replicates = zip(*found, strict=True)
                interval = mean_over(kept, changed, replicates)
                rows.append((method, curve, measure, *interval, *np.mean(ends, axis=0), len(kept)))
    return pd.DataFrame(
        rows, columns=["method", "curve", "measure", "change", "low", "high", "at_low", "at_high", "pairs"]
    )


def fits_shown(walks: Sequence[Walk]) -> pd.DataFrame:
    """`size_fits` to be read: the change of each measure from 2 % to 10 %, in G, with its interval."""
    import pandas as pd

    rows: dict[tuple[str, str], dict[str, object]] = {}
    for one in size_fits(walks).itertuples():
        row = rows.setdefault((one.method, one.curve), {"method": one.method, "curve": one.curve})
        row |= {f"change of the {one.measure}": spread((one.change, one.low, one.high)), "pairs": one.pairs}
    columns = ["method", "curve", *(f"change of the {m}" for m in MEASURES), "pairs"]
    return pd.DataFrame(list(rows.values()), columns=columns).set_index(["method", "curve"])


def gap_table(walks: Sequence[Walk], pool: int) -> pd.DataFrame:
    """Per method and size: images to forget, G in nats, and of the straight lines the ends' forget and test accuracy in
    % and the barrier and deficit in nats, so without G; means over pairs.

    ``pool`` is the number of training images of which the sizes are shares.
    """
    import pandas as pd

    rows = []
    lines = [w for w in _sized(walks) if w.kind == "linear"]
    for (method, variant), part in grouped(lines, "method", "variant").items():
        size, gap = float(variant), part[0].profile.gap
        row = {"method": method, "forgotten": f"{100 * size:g} %", "images": round(size * pool), "G, nats": gap}
        for split in ("forget", "test"):
            ends = [w.profile.connectivity.curves[f"accuracy_{split}"][[0, -1]] for w in part]
            row[f"{split} acc. %"] = round(100 * float(np.mean(ends)), 1)
        rows.append(row | {f"{m}, nats": float(np.mean([getattr(w, m) for w in part])) * gap for m in MEASURES[:2]})
    order = list(dict.fromkeys(w.method for w in lines))
    rows.sort(key=lambda row: (order.index(row["method"]), row["images"]))
    columns = ["method", "forgotten", "images", "G, nats", "forget acc. %", "test acc. %", "barrier, nats"]
    table = pd.DataFrame(rows, columns=[*columns, "deficit, nats"]).set_index(["method", "forgotten"])
    return table.round(3)
