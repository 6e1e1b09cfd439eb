"""05: pairs of different methods, how well they connect, and whether they are alike otherwise (C8, M1)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, cycle
from operator import attrgetter

import numpy as np

from ..data.cues import REPLACED
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
from ..measures.originals import LEAST, simultaneous, student
from ..measures.similarity import SIMILARITIES, cluster_order, mantel
from . import tables
from .admission import shown
from .claims import spread
from .declared import STRONG, held_out
from .judging import CHANGE, pair_of, sound, units_of
from .panels import HEADINGS, SERIES, kind_entries, method_panels, shade_rows, signed_log, spread_row, tolerance_line
from .room import Room
from .tables import MEASURES, Table, counted, frame, grouped, roughness_text, stacked
from .trials import ERROR, cells_of, over_originals
from .walks import COARSE, SOME, Route, Walk, coarse, condition_routes, controls, independent_pairs, references

CUED = {"forgetting": 0, "retraining": 1}  # the lines of a cue's use, and where they start: original, unlearned
# Panels of the conditions: both ends alike below the diagonal, one end alone above it.
MIXED = {
    "plain": ("method", "method"),
    "curriculum: both ends below\nthe diagonal, one end above": ("method_in_cl", "method_cl-non_cl"),
    "second order: both ends below\nthe diagonal, one end above": ("method_in_so", "method_fo-so"),
}
ALIKE = {"js": "JS divergence (bits)", "cka": "CKA", "cka_unbiased": "CKA, unbiased"}
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
    study.random_draw("05, with its cue in the forget set,")
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


# Tables


def pairs_table(
    walks: Sequence[Walk], conditions: Sequence[str], shared: bool = False, eps: float = TOLERANCE
) -> Table:
    """One row per condition and pair of methods (straight lines): mean over originals and interval of each measure.

    The interval of ``eps`` holds for all pairs of a condition at once (`originals.simultaneous`), as C8 is judged;
    those of barrier and deficit are Student's. ``connected`` counts the originals with MCU(eps), ``n`` all of them;
    ``roughness`` is that of the forget loss in words, see `tables.roughness_text`. ``read`` says whether verdicts read
    the pair: where the endpoint gate leaves every line of it out, all are averaged here. ``shared`` keeps only the
    originals that every condition has, so that conditions compare.
    """
    lines = [w for c in conditions for w in sound(walks, condition=c, kind="linear", full=False, form="")]
    if shared:
        seeds = [set(units_of(part)) for part in grouped(lines, "condition").values()]
        lines = [w for w, unit in zip(lines, units_of(lines), strict=True) if all(unit in one for one in seeds)]
    rows = []
    for (condition,), part in grouped(lines, "condition").items():
        groups = {(g[0].method, g[0].other): shown(g) for g in grouped(part, "method", "other").values()}
        bounds = {flag: _bounds([g for g, read in groups.values() if read == flag]) for flag in (True, False)}
        for (method, other), (group, read) in groups.items():
            row = {"condition": condition, "method": method, "other": other, "read": read}
            for m in MEASURES[:2]:
                found = over_originals(group, attrgetter(m))
                row |= dict(zip((m, f"{m}_low", f"{m}_high"), found, strict=True))
            row |= dict(zip(("eps", "eps_low", "eps_high"), bounds[read][method, other], strict=True))
            row |= {"roughness": roughness_text(group), "connected": sum(w.connected(eps) for w in group)}
            rows.append(row | {"n": len(group)})
    numbers = [f"{m}{end}" for m in MEASURES for end in ("", "_low", "_high")]
    return frame(rows, ["condition", "method", "other", "read", *numbers, "roughness", "connected", "n"])


def _bounds(groups: Sequence[Sequence[Walk]]) -> dict[Hashable, tuple[float, float, float]]:
    """Mean of eps over originals and its bounds, which hold for all groups of walks (pairs of methods) at once."""
    if not groups:
        return {}
    cells = cells_of([w for group in groups for w in group], attrgetter("eps"), lambda w: (w.method, w.other))
    found = simultaneous(cells.values, least=cells.least)
    return {name: (found.mean[k], found.low[k], found.high[k]) for k, name in enumerate(cells.contexts)}


def pairs_shown(table: Table) -> Table:
    """A `pairs_table` to be read, the best connected pair first; pairs that no verdict reads are marked by a cross."""
    rows = []
    for one in table.sort_values("eps", kind="stable").to_dict("records"):
        cells = {m: spread([one[m], one[f"{m}_low"], one[f"{m}_high"]], 2) for m in MEASURES}
        row = {"pair": f"{label(one['method'])} – {label(one['other'])}" + ("" if one["read"] else " ×"), **cells}
        rows.append(row | {"connected": f"{one['connected']} of {one['n']}", "roughness": one["roughness"]})
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


def curves_table(walks: Sequence[Walk]) -> Table:
    """Per pair of methods with fitted curves and original: eps of the line and of the curve, both on the same grid.

    Columns method, other, original, curve, eps, roughness (that of the forget loss in G^2) and connected. Walks that
    verdicts may not read stand beside the others with ``read`` False.
    """
    ours = [w for w in sound(walks, condition="method", form="") if w.other]
    lines = {pair_of(w): w for w in ours if w.kind == "linear" and not w.full}
    rows = []
    for w in ours:
        line = lines.get(pair_of(w))
        if w.kind == "linear" or line is None or w.full and any(one is not w and _twin(one, w) for one in ours):
            continue
        for one in (line.at(COARSE), w.at(COARSE)):
            place = w.method, w.other, w.original, one.kind
            rows.append((*place, one.eps, one.roughness, one.connected(TOLERANCE), shown([one])[1]))
    return frame(rows, ["method", "other", "original", "curve", "eps", "roughness", "connected", "read"])


def _twin(one: Walk, other: Walk) -> bool:
    """Whether a walk is the same path on the coarse grid."""
    return not one.full and one.kind == other.kind and pair_of(one) == pair_of(other)


def curves_text(table: Table, eps: float = TOLERANCE) -> str:
    """How many lines and curves of a `curves_table` connect, and how rough both are, in a sentence.

    Of the pairs whose line and curve verdicts read, where there are any.
    """
    if not len(table):
        return "No pair of methods has both a line and a curve between sound ends."
    places = ["method", "other", "original"]
    read = table.groupby(places)["read"].transform("all")
    kept = table[read] if read.any() else table
    joined = {kind: (part["eps"] <= eps).to_numpy() for kind, part in kept.groupby("curve", sort=False)}
    rough = kept.groupby("curve", sort=False)["roughness"].median()
    line, (kind, curve) = joined["linear"], next(one for one in joined.items() if one[0] != "linear")
    left = (len(table) - len(kept)) // 2
    return (
        f"Of {len(line)} lines of this sample {int(line.sum())} satisfy MCU({eps:g}), of the {label(kind)} curves "
        f"between the same ends {int(curve.sum())}: {int((line & ~curve).sum())} are joined by the line alone, "
        f"{int((curve & ~line).sum())} by the curve alone. The median roughness of the forget loss is "
        f"{rough['linear']:.2g} G² on the lines and {rough[kind]:.3g} G² on the curves."
        + f" {counted(left, 'more pair', 'more pairs')} of a line and a curve: no verdict reads both."
        * bool(left)
    )


def full_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """How far the lines that were walked twice differ, at the matrix's points and at the full number, in words."""
    coarse = {pair_of(w): w for w in sound(walks, condition="method", kind="linear", full=False, form="")}
    fine = sound(walks, condition="method", kind="linear", full=True, form="")
    both = [(coarse[pair_of(w)], w) for w in fine if pair_of(w) in coarse]
    if not both:
        return "No pair was walked at both numbers of points."
    most = {m: max(abs(getattr(a, m) - getattr(b, m)) for a, b in both) for m in ("barrier", "deficit")}
    parts = " and ".join(f"{value:.4f} G in the {m}" for m, value in most.items())
    return (
        f"**Full-size check**: {len(both)} lines were walked at more points too; there the matrix differs by {parts} "
        f"at most, and {sum(a.connected(eps) != b.connected(eps) for a, b in both)} of {len(both)} are connected at "
        f"{eps:g} G by one walk and not by the other."
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
    methods to the retrained and the original model: what counts as much and as little; nan where nothing is to compare.

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
    columns += [f"two seeds of {label(methods[0])}", "method and retrained, mean", "method and original, mean"]
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


def bounds_text(table: Table, eps: float = TOLERANCE) -> str:
    """How many pairs of a `pairs_table` that verdicts read are connected, not connected and open, in a sentence."""
    read = table[table["read"]]
    near, far = read[read["eps_high"] < eps], read[read["eps_low"] > eps]
    names = [f"{label(one.method)} – {label(one.other)}" for one in near.itertuples()]
    return (
        f"By bounds on eps that hold for all pairs at once, **{len(near)} of {len(read)} pairs of methods** are "
        f"connected{' (' + ', '.join(names) + ')' if names else ''}, {len(far)} are not, and "
        f"{len(read) - len(near) - len(far)} are open."
        + f" {counted(len(table) - len(read), 'pair is', 'pairs are')} read by no verdict."
        * (len(read) < len(table))
    )


def deepest(routes: Sequence[Route], walked: Sequence[Walk]) -> Route:
    """The route between two methods on plain data whose walk has the largest deficit, of those that verdicts read."""
    found = {id(w): r for r, w in zip(routes, walked, strict=True) if w.other and w.form == "" and not w.control}
    ours, _ = shown([w for w in walked if id(w) in found])
    return found[id(max(ours, key=lambda w: w.deficit))]


def mechanisms_table(walks: Sequence[Walk], use: Mapping[tuple[int, str], float]) -> Table:
    """What M1 reads, a row per original and pair of methods: how far their use of the cue differs, and the deficit.

    ``use``: (original, method) -> reliance of the method's end on the cue, see `cue_measures`. Of the lines on data
    with a cue those that verdicts may read; deficits in G.
    """
    rows = []
    for w in sound(walks, condition="method", kind="linear", form=CUE):
        if shown([w])[1] and {(w.original, w.method), (w.original, w.other)} <= set(use):
            apart = abs(use[w.original, w.method] - use[w.original, w.other])
            rows.append((w.original, w.method, w.other, apart, w.deficit))
    return frame(rows, ["original", "method", "other", "apart", "deficit"])


def mechanisms_found(table: Table, use: Mapping[tuple[int, str], float]) -> Table:
    """Per original of a `mechanisms_table`: its pairs, Spearman's rho, and the variance explained in held-out methods.

    The last is `declared.held_out`.
    """
    rows = []
    for original, part in table.groupby("original"):
        own = {m: value for (o, m), value in use.items() if o == original}
        given = {(one.method, one.other): one.deficit for one in part.itertuples()}
        rho = part["apart"].corr(part["deficit"], "spearman")
        rows.append((original, len(part), rho, held_out(given, own)))
    return frame(rows, ["original", "pairs", "rho", "held out, R²"], "original").round(2)


def mechanisms_text(table: Table, use: Mapping[tuple[int, str], float], reliance: Mapping[int, float]) -> str:
    """Whether the originals rely on the cue, and whether methods that differ in its use dip more between them."""
    own = f"{min(reliance.values()):.2f} to {max(reliance.values()):.2f}"
    strong = sum(value >= STRONG for value in reliance.values())
    text = f"{strong} of {len(reliance)} originals rely on the cue by {STRONG:g} or more ({own} on a scale to 1)."
    if not len(table):
        return text + " There is no line with a cue that a verdict may read; presets with many originals walk them."
    found = mechanisms_found(table, use)
    above, ahead = int((found["rho"] > 0).sum()), int((found["held out, R²"] > 0).sum())
    return (
        f"{text} Over {len(table)} lines between two methods the difference in their use of the cue and the deficit "
        f"have a rank correlation of {found['rho'].min():.2f} to {found['rho'].max():.2f} by original, above 0 on "
        f"{above} of {len(found)}. On {ahead} of {len(found)} the deficits of a method left out are predicted better "
        f"from the others' than by their mean."
    )


def answer_text(walks: Sequence[Walk], pairs: Table, agreement: Table, cue: str, eps: float = TOLERANCE) -> str:
    """What was expected of lines between methods, what was found, also beside the retrained models, and what follows.

    ``pairs`` and ``agreement`` are a `pairs_table` and an `agreement_table`, ``cue`` is a `mechanisms_text`.
    """
    lines, read = shown(sound(walks, condition="method", full=False, kind="linear", form=""))
    joined = sum(w.connected(eps) for w in lines)
    always, never = (int((pairs["connected"] == n).sum()) for n in (pairs["n"], 0))
    floor = sum(w.connected(eps, "floor") for w in lines) if read else 0
    dips = [w for w in lines if w.barrier <= eps < w.deficit]
    below = sum(w.deficit_by("floor") > eps for w in dips) if read else 0
    left, tested = agreement[agreement["p_holm"] < 0.05], int(agreement["p"].notna().sum())
    names = ", ".join(f"{ALIKE.get(a, label(a))} with the {b}" for a, b in left[["similarity", "target"]].to_numpy())
    found = (
        f"{joined} of {len(lines)} lines between two methods satisfy MCU({eps:g}); {always} of {len(pairs)} pairs of "
        f"methods do on every original, {never} on none. By the reading `floor`, beside the retrained models, {floor} "
        f"lines do. Of {len(dips)} lines that fail by the deficit alone {below} fall below the retrained models' level "
        f"by more than {eps:g} G too. Of {tested} comparisons with measures without a path {len(left)} agree after the "
        f"adjustment{': ' + names if names else ''}. {cue}"
    )
    if not lines or min(joined, len(lines) - joined) < 0.1 * len(lines):
        few = "Hardly any line" if 2 * joined < len(lines) else "Nearly every line"
        so = f"{few} between methods connects, so there is little contrast to read mechanisms from."
    else:
        so = "Lines join some methods and not others, so there is a contrast to read."
    so += (
        " Whether the contrast is one of mechanism is what M1 asks: connection alone does not say it."
        if not len(left)
        else " Connection goes with some of what models predict or represent; whether with mechanism is what M1 asks."
    )
    return tables.answer_text(
        "Methods with a common objective connect, others show a deficit; pairs that connect are alike without a path "
        "too, and use the cue alike.",
        found,
        so,
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
        _unread(ax, ~_read(pairs, methods, ("method", "method")))
        ax.set_title(f"{HEADINGS[measure]} (G)")
        _names(ax, methods, first=measure == "barrier")
    _dendrogram(axes[0, 2], tree, len(methods), threshold)
    _colour_bar(fig, image, axes[0, :2], top, threshold)
    numbers = [entry("$?$", BLACK, "its 95 % interval crosses the tolerance")] if len(methods) <= NUMBERS else []
    return drawing.finish(fig, axes[0, 0], title, [*numbers, *_unread_entry(pairs), _empty("not walked")])


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
        _unread(ax, ~_read(pairs, methods, conditions))
        ax.set_title(name, fontsize=9)
        _names(ax, methods, first=ax is axes[0, 0])
    _colour_bar(fig, image, axes, top, threshold)
    return drawing.finish(fig, axes[0, 0], title, [*_unread_entry(pairs), _empty("not walked")])


def _read(pairs, methods: Sequence[str], conditions: tuple[str, str]) -> np.ndarray:
    """Whether verdicts read each cell; what was not walked counts as read."""
    found = _halves(pairs.assign(read=pairs["read"].astype(float)), "read", methods, conditions)
    return np.nan_to_num(found, nan=1.0) > 0


def _unread(ax, cells: np.ndarray) -> None:
    """Cross out cells of pairs whose ends fail the endpoint gate."""
    y, x = np.nonzero(cells)
    ax.plot(x - 0.33, y + 0.33, "x", color=BLACK, ms=4.5, mew=1.0, ls="", zorder=3)


def _unread_entry(pairs) -> list:
    return [] if pairs["read"].all() else [entry("x", BLACK, "an end fails the gate: no verdict reads it")]


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
    ax.set_title("tree of methods")
    if tree is None:
        ax.set_axis_off()
        return
    from scipy.cluster.hierarchy import dendrogram

    drawn = dendrogram(tree, no_plot=True)
    for heights, places in zip(drawn["dcoord"], drawn["icoord"], strict=True):
        ax.plot(heights, (np.array(places) - 5) / 10, color=BLACK, lw=1.1, solid_capstyle="butt")
    signed_log(ax, tree[:, 2], threshold, share=0.6)
    ax.axvline(threshold, color=BLACK, lw=1.0, ls="--")
    ax.set_xlabel("smallest eps (G)")


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
    """Smallest eps of line and curve for a sample of method pairs, a row per pair: originals, and their mean.

    ``table`` is a `curves_table`; hollow dots are of walks that no verdict reads, which are in no mean but their own.
    """
    drawing.check_columns(table, ("method", "other", "curve", "eps", "read"))
    kinds, pairs = kinds_of(table), list(dict.fromkeys(zip(table["method"], table["other"], strict=True)))
    fig, axes = drawing.panel_grid(1, 1, 1.5 + 0.45 * len(pairs))
    ax = axes[0, 0]
    for y, (method, other) in enumerate(pairs):
        here = where(table, method=method, other=other)
        for j, kind in enumerate(kinds):
            part = where(here, curve=kind)
            kept = part[part["read"]] if part["read"].any() else part
            low, mean, high = (student(kept["eps"], least=ERROR)[k] for k in (1, 0, 2))
            found = frame([(mean, max(low, 0.0), high)], ["estimate", "low", "high"])
            height = y + 0.3 * (j - (len(kinds) - 1) / 2)
            spread_row(ax, height, kept["eps"], found, colour_of(kind), marker_of(kind))
            lost = part[~part["read"]]["eps"]
            ax.plot(lost, np.full(len(lost), height + 0.09), "o", mfc="white", mec=colour_of(kind), ms=3, mew=0.7)
    shade_rows(ax, len(pairs))
    tolerance_line(ax, threshold)
    ax.set_xlabel("smallest eps (G): originals as dots, their mean and its 95 % interval")
    signed_log(ax, table["eps"].to_numpy(float), threshold)
    drawing.name_rows(ax, [f"{label(a)} – {label(b)}" for a, b in pairs])
    hollow = entry("o", "white", "no verdict reads it", ms=3.5)
    hollow.set(markeredgecolor=GREY, markeredgewidth=0.7)
    keys = [*kind_entries(kinds), *([] if table["read"].all() else [hollow])]
    return drawing.finish(fig, ax, title, keys)


@drawing.style()
def mechanisms_figure(table, use: Mapping[tuple[int, str], float], reliance: Mapping[int, float], *, title: str = ""):
    """Who still relies on the cue, and whether methods that differ in it dip more between them (M1).

    Left the reliance of originals and of methods' ends, a dot an original; right the deficit of each line of a
    `mechanisms_table` against the difference in reliance of its ends, with Spearman's rho by original.
    """
    drawing.check_some(use, "methods")
    names = list(dict.fromkeys(name for _, name in use))
    wide = {"width_ratios": [1, 1.25]}
    fig, axes = drawing.panel_grid(1, 2, max(3.6, 1.5 + 0.28 * len(names)), gridspec_kw=wide)
    left, right = axes[0]
    looks = dict(zip(sorted({o for o, _ in use}), cycle(SERIES)))  # noqa: B905
    for original, (colour, marker) in looks.items():
        values = [reliance.get(original, np.nan), *(use.get((original, name), np.nan) for name in names)]
        look = {"color": colour, "ms": 5, "alpha": 0.8, "mew": 0}
        left.plot(values, range(len(values)), marker, label=f"original {original}", **look)
        part = table[table["original"] == original]
        right.plot(part["apart"], part["deficit"], marker, **look)
    left.axvline(STRONG, color=BLACK, lw=1.0, ls="--", label=f"originals must rely by {STRONG:g}")
    left.axhline(0.5, color=GREY, lw=0.8)
    drawing.name_rows(left, ["the original itself", *names])
    left.set(xlabel="reliance on the cue (1: it decides)")
    left.set_title("Who still uses the cue?")
    found = mechanisms_found(table, use) if len(table) else None
    rhos = "" if found is None else ", ".join(f"{v:.2f}" for v in found["rho"]).replace("-", "−")
    heading = f"Do methods that differ in reliance dip more?\nSpearman's ρ by original: {rhos or 'no line'}"
    right.set_title(heading, fontsize=9)
    right.set(xlabel="difference in reliance of the two ends", ylabel="forget deficit (G)")
    return drawing.finish(fig, left, title)


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
        ax.axvline(levels.loc[name, seeds], color=GREY, lw=1.2, ls="-", label="two seeds of one method")
        far = levels.loc[name, "method and retrained, mean"]
        ax.axvline(far, color=GREY, lw=1.2, ls=":", label="a method and retraining")
        found = [_tested(row) for row in where(tests, similarity=name).itertuples()]
        ax.set_title("\n".join([ALIKE.get(name, label(name)), *found]), fontsize=8)
        high = SIMILARITIES[name].alike == "high"
        ax.set_xlabel("more alike →" if high else "← more alike", fontsize=8)
    for ax in axes[:, 0]:
        ax.set_ylabel("barrier or deficit (G)")
    signed_log(axes[0, 0], table[["barrier", "deficit"]].to_numpy(float), threshold, "y")
    for ax in list(axes.flat)[len(names) :]:
        ax.set_axis_off()
    return drawing.finish(fig, axes[0, 0], title)


def _tested(row) -> str:
    known = np.isfinite(row.rho)
    words = f"ρ {row.rho:.2f}, p {row.p:.2g}, adjusted {row.p_holm:.2g}".replace("-", "−")
    return f"{row.target}: {words}" if known else f"{row.target}: not tested"


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


ROOMS = (Room("05_methods", methods, _more),)
