"""05: pairs of different methods, how well they connect, and whether they are alike otherwise (C8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from ..data.cues import REPLACED
from ..engine.conditions import CONDITIONS
from ..engine.specs import AlikeSpec, CueUseSpec, Spec
from ..engine.study import Study
from ..measures import drawing
from ..measures.connectivity import TOLERANCE
from ..measures.drawing import (
    BLACK,
    BLUE,
    GREY,
    PURPLE,
    VERMILLION,
    colour_of,
    entry,
    kinds_of,
    label,
    marker_of,
    where,
)
from ..measures.intervals import LEVEL, Interval, percentile_interval
from ..measures.originals import LEAST
from ..measures.similarity import SIMILARITIES, cluster_order, mantel
from . import tables
from .claims import Verdict, spread
from .judging import CHANGE, controls_hold, judged, pair_of, share_over, sound, units_of
from .panels import HEADINGS, SHOWN, kind_entries, method_panels, shade_rows, signed_log, spread_row, tolerance_line
from .room import Room
from .tables import MEASURES, Table, frame, grouped, mean_of, roughness_text, stacked
from .walks import SOME, Route, Walk, coarse, condition_routes, controls, independent_pairs, references

CUED = {"forgetting": 0, "retraining": 1}  # the lines of a cue's use, and where they start: original, unlearned
# The same where nothing has rows and columns.
PLAIN = {"method_cl-non_cl": "first with\ncurriculum", "method_fo-so": "other one\nsecond order"}
# Panels of the conditions: both ends alike below the diagonal, one end alone above it.
MIXED = {
    "plain": ("method", "method"),
    "curriculum:\nboth below, one above": ("method_in_cl", "method_cl-non_cl"),
    "second order:\nboth below, one above": ("method_in_so", "method_fo-so"),
}
ALIKE = {"js": "JS divergence (bits)", "cka": "CKA", "cka_unbiased": "CKA, unbiased"}
STRONG = 0.3  # reliance from which on a cue is one that a model uses
NUMBERS = 9  # methods up to which a cell has room for its number
COOL, WARM = ("#08306B", "#2A6FB0", "#9CC7E6", "#EAF3FA"), ("#FDEBD6", "#F5A65B", "#C4500A", "#6B2100")
EMPTY = "#ECECEC"
CUE = "cue"  # the form of a walk on data with a cue


# What is walked


def method_pairs(study: Study) -> list[tuple[str, str]]:
    """All pairs of two methods, in the preset's order."""
    return list(combinations(study.preset.fit, 2))


def sampled(study: Study, count: int = 6) -> list[tuple[str, str]]:
    """A fixed sample of method pairs: each next one is the first whose methods were taken least often so far."""
    left, taken = method_pairs(study), dict.fromkeys(study.preset.fit, 0)
    found: list[tuple[str, str]] = []
    while left and len(found) < count:
        pair = min(left, key=lambda p: (max(taken[m] for m in p), sum(taken[m] for m in p)))
        left.remove(pair)
        found.append(pair)
        taken |= {m: taken[m] + 1 for m in pair}
    return found


def methods(study: Study) -> list[Route]:
    """All pairs of two methods as coarse lines in every method condition, and a sample as full lines and curves.

    The conditions that mix methods and what else they may differ in go through one pair of seeds, or `SOME` originals.
    Where originals have a forget set each, the curves of the sample are coarse on all of them and full on `SOME`, those
    of mixed conditions are left out, and `cued_lines` come with them.
    """
    pairs, every, points = method_pairs(study), independent_pairs(study), coarse(study)
    each = bool(study.preset.originals)
    some = every[: SOME if each else 1]
    routes = condition_routes(study, "method", pairs, every, ("linear",), points=points)
    full = condition_routes(study, "method", sampled(study), some)
    if each:
        routes += condition_routes(study, "method", sampled(study), every, ("bezier",), points=points)
        routes += cued_lines(study)
    for condition in ("method_in_cl", "method_in_so", "method_cl-non_cl", "method_fo-so"):
        routes += condition_routes(study, condition, pairs, some, ("linear",), points=points)
        curves = [] if each else every[:1]
        routes += condition_routes(study, condition, sampled(study), curves, ("bezier",), points=points)
    return routes + [replace(r, full=True) for r in full] + controls(study)


def alike(study: Study) -> AlikeSpec:
    """Similarity of all methods' endpoints, a second seed of the first, a retrained and the original model."""
    names, (first, second) = study.preset.fit, study.seeds[:2]
    ends = [study.unlearned(name, first) for name in names] + [study.unlearned(names[0], second)]
    original, forget = study.original(), study.preset.forget
    return AlikeSpec((*ends, study.retrained(first), original), original, forget, weighted=study.weighted)


def planting(study: Study, share: float | None = None) -> Study:
    """The study with a cue in ``share`` of the pool, the first to be forgotten first; None is all of D_f.

    The preset's share of the images with a cue show another class than their label.
    """
    cue, crossed = share or study.preset.forget, study.preset.crossed
    return replace(study, data=replace(study.data, cue=cue, crossed=crossed, checksum=""))


def relying(study: Study) -> tuple[int, ...]:
    """The originals whose use of a cue is measured: as many as a verdict needs, where they have a forget set each."""
    return study.originals[:LEAST]


def cued_lines(study: Study) -> list[Route]:
    """Lines between all pairs of two methods on data with a cue, on the originals whose use of it is measured."""
    first, second = study.seeds[:2]
    bench, pairs = planting(study), [(original, first, second) for original in relying(study)]
    found = condition_routes(bench, "method", method_pairs(study), pairs, ("linear",), points=coarse(study))
    return [replace(route, form=CUE, retrained=study.seeds[:1]) for route in found]


def cued(study: Study, share: float | None = None, original: int = 0) -> dict[tuple[str, str], CueUseSpec]:
    """Cue use along the lines original - unlearned and unlearned - retrained, on data whose D_f carries a cue.

    ``share`` as in `planting`; the second line is walked on original 0 alone.
    """
    bench = planting(study, share)
    seed, forget = study.seeds[0], study.preset.forget
    first, retrained = bench.original(original), bench.retrained(seed, init=0)
    found = {}
    for name in study.preset.fit:
        end = bench.unlearned(name, seed, origin=first)
        lines = {"forgetting": (first, end), "retraining": (end, retrained)}
        for part, path in list(lines.items())[: 1 if original else None]:
            found[name, part] = CueUseSpec(bench.path(*path), forget, coarse(study), study.weighted)
    return found


def cue_measures(study: Study) -> tuple[dict[tuple[int, str], float], dict[int, float]]:
    """What M1 reads of the cue's use, computed where the store lacks it: that of methods, and that of their originals.

    Both are the reliance on the cue of D_f's images (`cue_use.cue_use`), on the originals `relying`: of each method's
    end, by (original, method), and of each original itself, the start of the same lines, by original.
    """
    lines = {(o, name): spec for o in relying(study) for (name, part), spec in cued(study, None, o).items()
             if part == "forgetting"}  # fmt: skip
    found = dict(zip(lines, (one["forget/reliance"] for one in study.run(lines.values())), strict=True))
    own = {original: float(values[0]) for (original, _), values in found.items()}
    return {place: float(values[-1]) for place, values in found.items()}, own


# The tests of the claims


def _rarer(found: Interval) -> Interval:
    """The interval of min(p, 1 - p), the rarer of two outcomes, from that of a share p."""
    ends = [min(v, 1 - v) for v in (found.low, found.high)]
    high = 0.5 if found.low <= 0.5 <= found.high else max(ends)
    return Interval(min(found[0], 1 - found[0]), min(ends), high)


def c8(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C8: the smaller of the shares of method pairs (lines) that satisfy MCU(eps) and that do not."""
    lines = sound(walks, condition="method", full=False, kind="linear")
    replicates = [w.replicates("eps") <= eps for w in lines]
    # An endpoint is a method run with a seed: the pairs of one method share its endpoints.
    nodes = np.array([(f"{w.nodes[0]}/{w.method}", f"{w.nodes[1]}/{w.other}") for w in lines])
    found = share_over(lines, [w.connected(eps) for w in lines], replicates, level, nodes=nodes)
    return judged("C8", _rarer(found), lines, controls_hold(walks))


# Tables


def pairs_table(
    walks: Sequence[Walk], conditions: Sequence[str], shared: bool = False, eps: float = TOLERANCE
) -> Table:
    """One row per condition and pair of methods (straight lines): mean and interval of each measure.

    ``connected`` counts the seed pairs with MCU(eps), ``n`` all of them; ``roughness`` is that of the forget loss in
    words, see `tables.roughness_text`. ``shared`` keeps only the seed pairs that
    every condition has, so that conditions compare.
    """
    lines = [w for c in conditions for w in sound(walks, condition=c, kind="linear", full=False)]
    if shared:
        seeds = [set(units_of(part)) for part in grouped(lines, "condition").values()]
        lines = [w for w, unit in zip(lines, units_of(lines), strict=True) if all(unit in one for one in seeds)]
    rows = []
    for (condition, method, other), part in grouped(lines, "condition", "method", "other").items():
        row = {"condition": condition, "method": method, "other": other}
        for m in MEASURES:
            row |= dict(zip((m, f"{m}_low", f"{m}_high"), mean_of(part, m), strict=True))
        row |= {"roughness": roughness_text(part), "connected": sum(w.connected(eps) for w in part), "n": len(part)}
        rows.append(row)
    numbers = [f"{m}{end}" for m in MEASURES for end in ("", "_low", "_high")]
    return frame(rows, ["condition", "method", "other", *numbers, "roughness", "connected", "n"])


def pairs_shown(table: Table) -> Table:
    """A `pairs_table` to be read, the best connected pair first."""
    rows = []
    for one in table.sort_values("eps", kind="stable").to_dict("records"):
        cells = {m: spread([one[m], one[f"{m}_low"], one[f"{m}_high"]]) for m in MEASURES}
        count = f"{one['connected']} of {one['n']}"
        rows.append(
            {"pair": f"{one['method']} - {one['other']}", **cells, "connected": count} | {"roughness": one["roughness"]}
        )
    return frame(rows, ["pair", *MEASURES, "connected", "roughness"], "pair")


def pair_matrix(
    table: Table, measure: str, methods: Sequence[str], condition: str = "method", mirrored: bool = True
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


def curves_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> Table:
    """Two rows per pair of methods with a fitted curve: the line of the same ends traced alike, and the curve.

    Columns condition, method, other, curve, barrier, deficit, eps, and low, high: the interval of eps over examples;
    roughness is that of the forget loss in G^2.
    """
    ours = [w for w in sound(walks) if w.other]
    lines = {(w.condition, w.full, pair_of(w)): w for w in ours if w.kind == "linear"}
    rows = []
    for w in ours:
        line = lines.get((w.condition, w.full, pair_of(w)))
        for one in (line, w) if w.kind != "linear" and line is not None else ():
            interval = percentile_interval(one.eps, one.replicates("eps"))
            numbers = (one.barrier, one.deficit, *interval, one.roughness)
            rows.append((w.condition, w.method, w.other, one.kind, *numbers, one.connected(eps)))
    rows.sort(key=lambda row: list(CONDITIONS).index(row[0]))
    return frame(rows, ["condition", "method", "other", "curve", *MEASURES, "low", "high", "roughness", "connected"])


def curves_text(table: Table) -> str:
    """How many pairs of a `curves_table` line and curve connect, and how rough both are, as a Markdown list."""
    lines = []
    for condition, part in table.groupby("condition", sort=False):
        line, curve = (part[(part["curve"] == "linear") == k]["connected"].to_numpy(bool) for k in (True, False))
        counts = (line & curve, line & ~curve, ~line & curve, ~line & ~curve)
        both, first, second, none = (int(c.sum()) for c in counts)
        rough = [np.median(part[(part["curve"] == "linear") == k]["roughness"]) for k in (True, False)]
        lines.append(
            f"- `{condition}`, {len(line)} pairs: joined by both {both}, by the line only {first}, by the quadratic "
            f"curve only {second}, by neither {none}; median roughness {rough[0]:.2g} and {rough[1]:.0f} G^2."
        )
    return "\n".join(lines) or "No pair has both a line and a curve between sound ends."


def full_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """How far the lines that were walked twice differ, at the matrix's points and at the full number, in words."""
    coarse = {pair_of(w): w for w in sound(walks, condition="method", kind="linear", full=False)}
    fine = sound(walks, condition="method", kind="linear", full=True)
    both = [(coarse[pair_of(w)], w) for w in fine if pair_of(w) in coarse]
    if not both:
        return "No pair was walked at both numbers of points."
    most = {m: max(abs(getattr(a, m) - getattr(b, m)) for a, b in both) for m in ("barrier", "deficit")}
    parts = " and ".join(f"{value:.4f} G in the {m}" for m, value in most.items())
    return (
        f"**Full-size check**: over {len(both)} pairs the coarse matrix differs from the full walk by {parts} at "
        f"most, and {sum(a.connected(eps) != b.connected(eps) for a, b in both)} verdicts at {eps:g} G differ."
    )


def holm(p: Sequence[float]) -> np.ndarray:
    """p-values adjusted for all of them being looked at (Holm 1979); those that are nan are left out."""
    values = np.asarray(p, dtype=np.float64)
    found, order = np.full(len(values), np.nan), np.argsort(values)[: np.isfinite(values).sum()]  # nan sorts last
    scaled = values[order] * np.arange(len(order), 0, -1)
    found[order] = np.maximum.accumulate(np.minimum(scaled, 1.0))
    return found


def agreement_table(alike: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray]) -> Table:
    """Whether pairs of methods that are alike by a measure without a path are also better connected.

    The first n rows of the matrices ``alike``, of `similarity.SIMILARITIES`, are the methods of the ``targets`` (n, n),
    for example of barriers. rho is positive where pairs more alike have a smaller target, p is the one-sided p of
    `similarity.mantel`, p_holm adjusted for all rows. nan where fewer than three methods, or constants, say nothing.
    """
    rows = []
    for name, one in SIMILARITIES.items():
        for target, goal in targets.items():
            sign = -1 if one.alike == "high" else 1
            mine = sign * alike[name][: len(goal), : len(goal)]
            rows.append((name, target, *(mantel(mine, goal) if len(goal) > 2 else (np.nan, np.nan))))
    table = frame(rows, ["similarity", "target", "rho", "p"])
    return table.assign(p_holm=holm(table["p"]))


def agreement_text(table: Table, level: float = 0.05) -> str:
    """How many rows of an `agreement_table` agree, before and after the adjustment, in words."""
    tested, raw = int(table["p"].notna().sum()), int((table["p"] < level).sum())
    left = table[table["p_holm"] < level]
    names = ", ".join(f"{one.similarity} with the {one.target} (rho {one.rho:.2f})" for one in left.itertuples())
    return (
        f"{tested} comparisons are tested: {raw} have p < {level:g} by themselves, and {len(left)} after the "
        f"adjustment for {tested} tests" + (f": {names}." if names else ".")
    )


def levels_table(alike: Mapping[str, np.ndarray], methods: Sequence[str]) -> Table:
    """Each similarity between methods (mean, least and most alike), between two seeds of the first method, and of
    methods to the retrained and the original model: what counts as much and as little.

    The last three rows of the matrices are a second seed, a retrained and the original model.
    """
    n, rows = len(methods), []
    for name, one in SIMILARITIES.items():
        values = np.asarray(alike[name], dtype=np.float64)
        between = values[:n, :n][np.triu_indices(n, 1)]
        ends = (between.min(), between.max()) if one.alike == "high" else (between.max(), between.min())
        apart = values[:n, n + 1].mean(), values[:n, n + 2].mean(), values[n + 1, n + 2]
        rows.append((name, between.mean(), *ends, values[0, n], *apart))
    columns = ["similarity", "methods, mean", "methods, least alike", "methods, most alike"]
    columns += [f"two seeds of {methods[0]}", "method and retrained, mean", "method and original, mean"]
    return frame(rows, [*columns, "retrained and original"], "similarity").round(3)


def scatter_table(alike: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray], methods: Sequence[str]) -> Table:
    """One row per pair of methods and similarity: its value beside the targets of the pair."""
    rows = []
    for name in SIMILARITIES:
        for i, j in combinations(range(len(methods)), 2):
            goals = [goal[i, j] for goal in targets.values()]
            rows.append((name, methods[i], methods[j], alike[name][i, j], *goals))
    return frame(rows, ["similarity", "method", "other", "value", *targets])


def cue_table(
    found: Mapping[tuple[str, str], Mapping[str, np.ndarray]], examples: Mapping[str, int], classes: int
) -> Table:
    """Use of the cue along original (x = 0) - unlearned (1) - retrained (2), one row per method, split and x.

    ``found``: (method, ``forgetting`` or ``retraining``) -> arrays ``<split>/<name>`` (T,), see `cue_use.cue_use`;
    ``examples`` are the numbers evaluated of each split, ``classes`` is K. Beside sensitivity, pull and accuracy_none
    stands the reliance with the ends of its 95 % interval over examples. Per example it is 1, 0 or -1 / (K - 2), so
    that the means of `cue_use.cue_use` hold its variance: r = a - b / (K - 2) with shares a (the cue's label is
    predicted) and b (a label that is neither the cue's nor the image's), and var = a + b / (K - 2)^2 - r^2.
    """
    rows = []
    for (method, part), arrays in found.items():
        for split in REPLACED:
            r, a = arrays[f"{split}/reliance"], arrays[f"{split}/accuracy_swapped"]
            b = (a - r) * (classes - 2)
            half = 1.96 * np.sqrt(np.maximum(a + b / (classes - 2) ** 2 - r**2, 0) / examples[split])
            x = CUED[part] + np.linspace(0, 1, len(r))
            columns = {name: arrays[f"{split}/{name}"] for name in ("sensitivity", "pull", "accuracy_none")}
            made = {"method": method, "part": part, "split": split, "x": x, "reliance": r}
            rows.append(frame({**made, "low": r - half, "high": r + half, **columns}))
    return stacked(rows)


def cue_shown(table: Table) -> Table:
    """Reliance of the original, each unlearned and the retrained model on both splits, with its interval."""
    rows: dict[str, dict[str, str]] = {}
    for x, name in ((0, "original"), (2, "retrained"), (1, "")):
        for one in table[table["x"] == x].itertuples():
            if not (name == "" and one.part == "retraining"):
                row = rows.setdefault(name or one.method, {"model": name or one.method})
                row[f"{one.split} images"] = spread((one.reliance, one.low, one.high))
    return frame(list(rows.values()), index="model")


def cue_text(table: Table) -> str:
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
        f"{len(near)} of {len(ends)} unlearned models are nearer the retrained one: "
        f"{', '.join(map(label, near)) or 'none'}. Along "
        f"the line from the original, {len(back)} of {len(ends)} methods pass a point that follows the cue more than "
        f"both ends, by over {CHANGE:g}."
    )


def answer_text(walks: Sequence[Walk], pairs: Table, agreement: Table, cue: Table, eps: float = TOLERANCE) -> str:
    """What was expected of lines between methods, what was found, also beside the retrained models, and what follows.

    ``walks`` have levels (`walks.levelled`); ``pairs``, ``agreement`` and ``cue`` are a `pairs_table`, an
    `agreement_table` and a `cue_table`.
    """
    lines = sound(walks, condition="method", full=False, kind="linear")
    joined, floor = (sum(w.connected(eps, reading) for w in lines) for reading in ("chord", "floor"))
    dips = [w for w in lines if w.barrier <= eps < w.deficit]
    below = [w for w in dips if w.deficit_by("floor") > eps]
    lowest = sum(w.deficit_by("worse_end") > eps for w in below)
    left, tested = agreement[agreement["p_holm"] < 0.05], int(agreement["p"].notna().sum())
    names = ", ".join(f"{ALIKE.get(a, label(a))} with the {b}" for a, b in left[["similarity", "target"]].to_numpy())
    kin = where(pairs, method="random_labels", other="salun")
    same = f" (random labels and SalUn, which share an objective: {kin['eps'].iloc[0]:.2f} G)" if len(kin) else ""
    original = float(where(cue, split="forget", x=0)["reliance"].mean())
    so = [
        "With nearly all lines alike in this there is no contrast to read mechanisms from."
        if min(joined, len(lines) - joined) < 0.1 * len(lines)
        else "Lines join some methods and not others, so there is a contrast to read."
    ]
    if original < STRONG:
        so.append("The original hardly follows the cue, so its use cannot tell mechanisms apart either.")
    return tables.answer_text(
        "Methods with a common objective connect, others show a deficit; pairs that connect are alike "
        "without a path too, and use the cue alike.",
        f"{joined} of {len(lines)} lines between two methods satisfy MCU({eps:g}){same}; by the reading "
        f"`floor`, beside the retrained models, {floor} do. Of {len(dips)} lines that fail by the deficit alone "
        f"{len(below)} fall below the retrained models' level by more than {eps:g} G too, {lowest} of them that "
        f"far below both ends as well. After adjustment {len(left)} of {tested} comparisons with measures without a "
        f"path agree{': ' + names if names else ''}. The original's reliance on the cue is {original:.3f} on a scale "
        f"to 1.",
        " ".join(so),
    )


# Figures


def tolerance_norm(top: float, threshold: float = TOLERANCE):
    """Colours of values in G: the cool half linear to the tolerance, the warm half logarithmic on to ``top``."""
    from matplotlib.colors import FuncNorm

    span = np.log(max(top, 2 * threshold) / threshold)

    def forward(values):
        values = np.maximum(np.asarray(values, dtype=np.float64), 0)
        beyond = 0.5 + 0.5 * np.log(np.maximum(values, threshold) / threshold) / span
        return np.where(values <= threshold, 0.5 * values / threshold, beyond)

    def inverse(values):
        values = np.asarray(values, dtype=np.float64)
        return np.where(values <= 0.5, 2 * threshold * values, threshold * np.exp(np.clip(2 * values - 1, 0, 1) * span))

    return FuncNorm((forward, inverse), vmin=0, vmax=max(top, 2 * threshold))


def tolerance_map():
    """Dark to light blue below the tolerance, light to dark orange above: a step that any colour vision sees."""
    from matplotlib.colors import LinearSegmentedColormap

    half = np.linspace(0, 0.5, len(COOL)), np.linspace(0.5, 1, len(WARM))
    stops = [*zip(half[0], COOL, strict=True), *zip(half[1], WARM, strict=True)]
    return LinearSegmentedColormap.from_list("tolerance", stops, N=512).with_extremes(bad="#FFFFFF00")


@drawing.style()
def matrix_figure(pairs, methods: Sequence[str], tree, *, threshold: float = TOLERANCE, title: str = ""):
    """Retain barrier and forget deficit between any two methods as two heat maps, and the tree that orders them.

    Of ``pairs``, a `pairs_table`, the condition ``method`` is drawn, in the order of `method_order` and with its tree,
    if there is one. At the ``threshold``, in G, the colours change.
    """
    drawing.check_columns(pairs, ("condition", "method", "other", "barrier", "deficit", "eps"))
    top = _top(pairs)
    ratios = {"width_ratios": [1, 1, 0.5]}
    fig, axes = drawing.panel_grid(1, 3, 2.1 + 0.32 * len(methods), gridspec_kw=ratios)
    for ax, measure in zip(axes[0], ("barrier", "deficit"), strict=False):
        image = _heat(ax, pair_matrix(pairs, measure, methods), top, threshold)
        if len(methods) <= NUMBERS:
            _numbers(ax, pairs, measure, methods, image, threshold)
        ax.set_title(f"{HEADINGS[measure]} (G)")
        _names(ax, methods, first=measure == "barrier")
    _dendrogram(axes[0, 2], tree, len(methods), threshold)
    _colour_bar(fig, image, axes[0, :2], top, threshold)
    numbers = [entry("$?$", BLACK, "its 95 % interval crosses the tolerance")] if len(methods) <= NUMBERS else []
    return drawing.finish(fig, axes[0, 0], title, [*numbers, _empty("not walked")])


@drawing.style()
def matrices_figure(pairs, methods: Sequence[str], *, threshold: float = TOLERANCE, title: str = ""):
    """The smallest eps between any two methods as three heat maps with numbers, in one order of methods.

    ``pairs`` is a `pairs_table`. Below the diagonal stand the conditions in which both ends are alike, above it those
    in which one end alone has the curriculum or is of second order (`MIXED`); without either both sides are the same. A
    corner marks pairs whose retain barrier is beyond the ``threshold``; elsewhere the forget deficit is the larger.
    """
    drawing.check_columns(pairs, ("condition", "method", "other", "barrier", "eps"))
    top = _top(pairs.assign(deficit=pairs["eps"]))
    fig, axes = drawing.panel_grid(1, len(MIXED), 2.3 + 0.27 * len(methods), sharey=True)
    fig.get_layout_engine().set(w_pad=0.03)
    for ax, (name, conditions) in zip(axes[0], MIXED.items(), strict=True):
        values, barriers = (_halves(pairs, m, methods, conditions) for m in ("eps", "barrier"))
        image = _heat(ax, values, top, threshold)
        if len(methods) <= NUMBERS:
            _write(ax, image, values)
        y, x = np.nonzero(barriers > threshold)
        look = {
            "color": "white",
            "mec": BLACK,
            "mew": 0.5,
            "ms": 3.6,
            "ls": "",
            "label": f"retain barrier over {threshold:g} G",
        }
        ax.plot(x + 0.34, y - 0.34, "^", **look)
        ax.set_title(name, fontsize=9)
        _names(ax, methods, first=ax is axes[0, 0])
    _colour_bar(fig, image, axes, top, threshold)
    return drawing.finish(fig, axes[0, 0], title, [_empty("not walked")])


def _halves(pairs, measure: str, methods: Sequence[str], conditions: tuple[str, str]) -> np.ndarray:
    """A column of a `pairs_table`: of the first condition below the diagonal, of the second above it."""
    below, above = (pair_matrix(pairs, measure, methods, condition) for condition in conditions)
    place = np.arange(len(methods))
    return np.where(place[:, None] > place, below, above)


def _top(pairs) -> float:
    values = pairs[["barrier", "deficit"]].to_numpy(float)
    return float(values[np.isfinite(values)].max(initial=0))


def _heat(ax, values, top: float, threshold: float):
    ax.set_facecolor(EMPTY)
    image = ax.imshow(values, cmap=tolerance_map(), norm=tolerance_norm(top, threshold), aspect="equal")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    size = len(values)
    ax.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", lw=1.0)
    ax.tick_params(which="minor", length=0)
    return image


def _names(ax, methods: Sequence[str], first: bool = True, below: bool = True) -> None:
    ax.set_xticks(range(len(methods)), [label(m) for m in methods], rotation=90, fontsize=8)
    ax.set_yticks(range(len(methods)), [label(m) for m in methods], fontsize=8)
    ax.tick_params(labelleft=first, labelbottom=below)


def _numbers(ax, pairs, measure: str, methods: Sequence[str], image, threshold: float) -> None:
    """Write each value into its cell, with a question mark where its interval crosses the tolerance."""
    values, low, high = (pair_matrix(pairs, f"{measure}{end}", methods) for end in ("", "_low", "_high"))
    _write(ax, image, values, (low <= threshold) & (threshold < high))


def _write(ax, image, values: np.ndarray, doubted: np.ndarray | None = None) -> None:
    """Write finite values into their cells, with a question mark where doubted."""
    for i, j in zip(*np.nonzero(np.isfinite(values)), strict=True):
        value = values[i, j]
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
        text = f"{value:.2f}".removeprefix("0") if value < 0.995 else f"{value:.1f}"
        mark = "?" if doubted is not None and doubted[i, j] else ""
        look = {"ha": "center", "va": "center", "color": "white" if dark else BLACK}
        ax.text(j, i, text.replace(".00", "0") + mark, fontsize=8 if len(values) < 7 else 7.5, **look)


def _dendrogram(ax, tree, rows: int, threshold: float) -> None:
    """A tree whose leaves stand level with the rows of the heat maps, its root on the right."""
    ax.set_ylim(rows - 0.5, -0.5)
    ax.set_yticks([])
    ax.grid(False)
    ax.spines["left"].set_visible(False)
    ax.set_title("tree by smallest eps")
    if tree is None:
        ax.set_axis_off()
        return
    from scipy.cluster.hierarchy import dendrogram

    drawn = dendrogram(tree, no_plot=True)
    for heights, places in zip(drawn["dcoord"], drawn["icoord"], strict=True):
        ax.plot(heights, (np.array(places) - 5) / 10, color=BLACK, lw=1.1, solid_capstyle="butt")
    signed_log(ax, tree[:, 2], threshold, share=0.6)
    ax.axvline(threshold, color=BLACK, lw=1.0, ls="--")
    ax.set_xlabel("distance (G)")


def _colour_bar(fig, image, axes, top: float, threshold: float) -> None:
    steps = [k for b in range(-1, 4) for k in (2 * 10.0**b, 5 * 10.0**b, 10 * 10.0**b)]
    ticks = [0, threshold / 2, threshold, *(k for k in steps if 1.6 * threshold < k <= max(top, 2 * threshold))]
    bar = fig.colorbar(image, ax=axes, location="bottom", fraction=0.05, pad=0.02, aspect=45, ticks=ticks)
    bar.ax.set_xticklabels([f"{k:g}" for k in ticks])
    bar.ax.minorticks_off()
    bar.ax.axvline(threshold, color=BLACK, lw=1.5)
    bar.outline.set_visible(False)
    bar.set_label(f"G; the colours change at the tolerance, {threshold:g}", fontsize=8.5)


def _empty(text: str):
    """A legend entry for the cells without a value."""
    from matplotlib.patches import Patch

    return Patch(facecolor=EMPTY, edgecolor="none", label=text)


@drawing.style()
def curves_figure(table, *, threshold: float = TOLERANCE, title: str = ""):
    """Smallest eps of line and curve for a sample of method pairs: a row per pair, a panel per condition.

    ``table`` is a `curves_table`, whose intervals are over examples.
    """
    drawing.check_columns(table, ("condition", "method", "other", "curve", "eps", "low", "high"))
    conditions, kinds = list(dict.fromkeys(table["condition"])), kinds_of(table)
    pairs = list(dict.fromkeys(zip(table["method"], table["other"], strict=True)))
    fig, axes = drawing.panel_grid(1, len(conditions), 1.7 + 0.4 * len(pairs), sharey=True, sharex=True)
    for ax, condition in zip(axes[0], conditions, strict=True):
        for y, (method, other) in enumerate(pairs):
            here = where(table, condition=condition, method=method, other=other)
            for j, kind in enumerate(kinds):
                found = where(here, curve=kind).rename(columns={"eps": "estimate"})
                spread_row(ax, y + 0.26 * (j - (len(kinds) - 1) / 2), (), found, colour_of(kind), marker_of(kind))
        shade_rows(ax, len(pairs))
        tolerance_line(ax, threshold)
        ax.set_title(PLAIN.get(condition, SHOWN.get(condition, condition)), fontsize=8.5)
        ax.set_xlabel("smallest eps (G)", fontsize=8)
    signed_log(axes[0, 0], table[["eps", "high"]].to_numpy(float), threshold, few=True)
    drawing.name_rows(axes[0, 0], [f"{label(a)} –\n{label(b)}" for a, b in pairs])
    return drawing.finish(fig, axes[0, 0], title, kind_entries(kinds, ", 95 % interval"))


@drawing.style()
def agreement_figure(table, tests, levels, *, threshold: float = TOLERANCE, title: str = ""):
    """Retain barrier and forget deficit of each pair of methods against how alike they are, a panel per similarity.

    ``table`` is a `scatter_table`, ``tests`` an `agreement_table`, whose rho and p stand in the panels. Of a
    `levels_table` the similarity of two seeds is a solid line, that of a method and retraining a dotted one.
    """
    drawing.check_columns(table, ("similarity", "value", "barrier", "deficit"))
    names = list(dict.fromkeys(table["similarity"]))
    looks = {"barrier": (BLUE, "o"), "deficit": (VERMILLION, "s")}
    seeds = next(column for column in levels if column.startswith("two seeds"))
    fig, axes = drawing.panel_grid(-(-len(names) // 3), 3, 1.0 + 2.4 * -(-len(names) // 3), sharey=True)
    for ax, name in zip(axes.flat, names, strict=False):
        here = where(table, similarity=name)
        for target, (colour, marker) in looks.items():
            look = {"color": colour, "ms": 4, "alpha": 0.7, "mew": 0}
            ax.plot(here["value"], here[target], marker, label=HEADINGS[target], **look)
        tolerance_line(ax, threshold, level=True)
        ax.axvline(levels.loc[name, seeds], color=GREY, lw=1.2, ls="-", label="two seeds")
        far = levels.loc[name, "method and retrained, mean"]
        ax.axvline(far, color=GREY, lw=1.2, ls=":", label="to retrained")
        found = [_tested(row) for row in where(tests, similarity=name).itertuples()]
        ax.set_title("\n".join([ALIKE.get(name, label(name)), *found]), fontsize=8)
        high = SIMILARITIES[name].alike == "high"
        ax.set_xlabel("more alike →" if high else "← more alike", fontsize=8)
    for ax in axes[:, 0]:
        ax.set_ylabel("G")
    signed_log(axes[0, 0], table[["barrier", "deficit"]].to_numpy(float), threshold, "y")
    for ax in list(axes.flat)[len(names) :]:
        ax.set_axis_off()
    return drawing.finish(fig, axes[0, 0], title)


def _tested(row) -> str:
    known = np.isfinite(row.rho)
    return f"{row.target}: rho {row.rho:.2f}, p {row.p:.2g}" if known else f"{row.target}: not tested"


@drawing.style()
def reliance_figure(table, *, title: str = ""):
    """Reliance on the cue along original - unlearned - retrained, a `cue_table`: forget and test images, by method."""
    drawing.check_columns(table, ("method", "split", "x", "reliance", "low", "high"))
    looks = {"forget": (VERMILLION, "o", "-"), "test": (BLUE, "s", (0, (4, 1.5)))}
    fig, axes, panels = method_panels(list(dict.fromkeys(table["method"])), 1.1, 1.75, y="reliance")
    for ax, method in panels:
        for split, (colour, marker, line) in looks.items():
            one = where(table, method=method, split=split).sort_values("x", kind="stable")
            steps = {"marker": marker, "ms": 3.4, "markevery": max(1, (len(one) - 1) // 8)}
            ax.fill_between(one["x"], one["low"], one["high"], color=colour, alpha=0.18, lw=0)
            ax.plot(one["x"], one["reliance"], color=colour, ls=line, label=f"{split} images, 95 % band", **steps)
        ax.axhline(0, color=BLACK, lw=0.9, ls=":", label="cue plays no part")
        level = where(table, method=method, split="forget", x=2)["reliance"].mean()
        ax.axhline(level, color=PURPLE, lw=1.3, ls=drawing.RETRAINED, label="retrained model, forget images")
        ax.axvline(1, color=GREY, lw=0.9)
    drawing.widen(axes[0, 0], 0.3)
    axes[0, 0].set_xlim(-0.08, 2.08)
    axes[0, 0].set_xticks([0, 1, 2], ["original", "unlearned", "retrained"])
    for ax in axes.flat:
        ax.tick_params(axis="x", labelrotation=20, labelsize=7.5)
    return drawing.finish(fig, axes[0, 0], title)


def _more(study: Study) -> list[Spec]:
    return [*references(study), alike(study), *(one for o in relying(study) for one in cued(study, None, o).values())]


ROOMS = (Room("05_methods", methods, _more, {"C8": c8}),)
