"""The tests of the claims: from the paths of a study to an effect, its interval and a verdict.

Each takes walks, of which it uses those that it is about, and the level of its interval. Pairs that share an endpoint
are resampled by their endpoints; replicates over examples are shared by all walks of a draw. Every interval is at least
as wide as Student's over pairs of seeds, so that one pair never decides a claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import signature
from itertools import combinations

import numpy as np

from .claims import CLAIMS, Verdict, judge
from .errors import choose, number
from .measures.along import excess
from .measures.connectivity import TOLERANCE
from .measures.intervals import (
    LEVEL,
    Interval,
    difference,
    fraction_interval,
    mean_interval,
    percentile_interval,
    share_explained,
    share_interval,
    widened,
)
from .measures.metrics import METRICS
from .walks import Walk

CHANGE = 0.05  # of the smallest eps, in units of G, that counts as help or harm (C7)
FAILED = 0.1  # by which a fit's smallest eps exceeds the line's when it has failed (C12)
ROUNDING = 1e-9  # width up to which an interval has none
COPIES = ("UA", "RA", "TA")  # other names of accuracies: they would count one pattern twice
# One metric of each quantity, for C9: others are functions or variants of these, and near-copies raise any mean of rho
DISTINCT = ("accuracy_retain", "accuracy_forget", "accuracy_test", "zrf", "js_retrained_forget", "js_retrained_test")
Test = Callable[..., Verdict]


def usable(walks: Sequence[Walk], **labels: str) -> list[Walk]:
    """The walks of methods with these labels, without controls and without those whose ends collapsed; maybe none."""
    kept = [w for w in walks if w.role == "method" and not w.profile.collapsed]
    return [w for w in kept if all(getattr(w, name) == value for name, value in labels.items())]


def sound(walks: Sequence[Walk], **labels: str) -> list[Walk]:
    """As `usable`, but a walk that several experiments hold comes once."""
    return list({(pair_of(w), w.condition, w.kind, w.variant): w for w in usable(walks, **labels)}.values())


def controls_hold(walks: Sequence[Walk], eps: float = TOLERANCE) -> bool:
    """Whether every path between different initialisations has a retain barrier and every fine-tuned twin has none."""
    controls = [w for w in walks if w.role == "control" and not w.profile.collapsed]
    apart = [w for w in controls if "initialisation" in w.method]
    twins = [w for w in controls if "twin" in w.method]
    if not apart or not twins:
        return False
    return all(w.barrier > eps for w in apart) and all(w.connected(eps) for w in twins)


def nodes_of(walks: Iterable[Walk]) -> np.ndarray:
    """Names of each walk's two random draws (n, 2): original model and unlearning seed."""
    return np.array([w.nodes for w in walks])


def worst(walk: Walk) -> np.ndarray:
    """Replicates over examples (B,) of the smallest eps of MCU(eps)."""
    return np.maximum(walk.replicates("barrier"), walk.replicates("deficit"))


def pair_of(walk: Walk) -> tuple:
    """What two walks of one pair of endpoints' draws have in common, whatever their condition and curve."""
    return walk.method, walk.other, walk.original, walk.start, walk.end


def _counts(walks: Sequence[Walk]) -> dict[str, int]:
    return {"n_pairs": len(walks), "n_seeds": len(np.unique(nodes_of(walks)))}


def _nothing(claim: str) -> Verdict:
    """The verdict where no walk is of the kind that the claim is about."""
    return judge(claim, *[float("nan")] * 3, p=float("nan"), n_pairs=0, n_seeds=0, controls_ok=False)


def units_of(walks: Iterable[Walk]) -> list[tuple]:
    """Each walk's pair of seeds, whatever its method: the unit of Student's interval."""
    return [(w.original, w.start, w.end) for w in walks]


def _decisive(found: Interval, within: tuple[float, float] = (-np.inf, np.inf)) -> Interval:
    """The interval to judge by: units without the least difference say nothing of others, so it is the whole range."""
    return found if found.high - found.low > ROUNDING else Interval(found.estimate, *within)


def share_over(walks: Sequence[Walk], hits, replicates=None, level: float = LEVEL, **drawn) -> Interval:
    """Share of walks that hit with its interval (`intervals.share_interval`) over their endpoints and examples."""
    return share_interval(hits, replicates, units=units_of(walks), level=level, **(drawn or {"nodes": nodes_of(walks)}))


def _share(claim: str, walks: Sequence[Walk], hits, replicates, level: float, ok: bool) -> Verdict:
    """Judge a share of walks that hit."""
    if not walks:
        return _nothing(claim)
    return judge(claim, *share_over(walks, hits, replicates, level), controls_ok=ok, **_counts(walks))


def _mean(claim: str, walks: Sequence[Walk], values, replicates, level: float, ok: bool, **drawn) -> Verdict:
    """Judge the mean over walks of a number, where it is finite."""
    values = np.array(values, dtype=np.float64)
    kept = np.flatnonzero(np.isfinite(values))
    walks, values = [walks[k] for k in kept], values[kept]
    if not walks:
        return _nothing(claim)
    again = None if replicates is None else np.array(replicates)[kept]
    drawn = {name: labels[kept] for name, labels in drawn.items()} or {"nodes": nodes_of(walks)}
    found = mean_interval(values, again, units=units_of(walks), level=level, **drawn)
    return judge(claim, *_decisive(found), controls_ok=ok, **_counts(walks))


def _smaller(*found: Interval) -> Interval:
    """The interval of the smallest of several numbers, from theirs."""
    least = min(one.estimate for one in found)
    return Interval(least, min(one.low for one in found), max(one.high for one in found if one.estimate == least))


def _rarer(found: Interval) -> Interval:
    """The interval of min(p, 1 - p), the rarer of two outcomes, from that of a share p."""
    ends = [min(v, 1 - v) for v in (found.low, found.high)]
    high = 0.5 if found.low <= 0.5 <= found.high else max(ends)
    return Interval(min(found[0], 1 - found[0]), min(ends), high)


def connected_share(walks: Sequence[Walk], eps: float = TOLERANCE, level: float = LEVEL) -> tuple[Interval, int, int]:
    """Share of (method, seed pair) connected at eps by the better of its curves; interval over seeds and examples."""
    pairs: dict[tuple, list[Walk]] = {}
    for w in walks:
        pairs.setdefault(pair_of(w), []).append(w)
    hits = [any(w.connected(eps) for w in group) for group in pairs.values()]
    replicates = [np.any([worst(w) <= eps for w in group], axis=0) for group in pairs.values()]
    first = [group[0] for group in pairs.values()]
    found = share_over(first, hits, np.array(replicates, dtype=float), level)
    return found, len(hits), _counts(first)["n_seeds"]


def c1(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C1: share of (method, seed pair) that some curve connects at MCU(eps)."""
    kept = sound(walks, condition="random")
    if not kept:
        return _nothing("C1")
    found, pairs, seeds = connected_share(kept, eps, level)
    return judge("C1", *found, n_pairs=pairs, n_seeds=seeds, controls_ok=controls_hold(walks))


def c2(walks: Sequence[Walk], level: float = LEVEL, draws: int = 2000, seed: int = 0) -> Verdict:
    """C2: share of variance of the linear forget deficit that the method explains, with a permutation test."""
    lines = [w for w in sound(walks, condition="random", kind="linear") if np.isfinite(w.deficit)]
    if not lines:
        return _nothing("C2")
    values = np.array([w.deficit for w in lines])
    methods = np.array([w.method for w in lines])
    share = share_explained(values, methods, nodes=nodes_of(lines))
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(methods == m) for m in dict.fromkeys(methods)]
    redrawn = []
    for _ in range(draws):
        rows = np.concatenate([rng.choice(g, len(g)) for g in groups])
        redrawn.append(share_explained(values[rows], methods[rows], n_perm=1).eta2)
    found = percentile_interval(share.eta2, np.array(redrawn), level)
    found = _decisive(found, (0.0, 1.0))  # one method, one pair each, or no difference: any share may be true
    return judge("C2", *found, p=share.p, controls_ok=controls_hold(walks), **_counts(lines))


def c21(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C21: among paths without a retain barrier, the share that the forget deficit alone keeps from MCU(eps)."""
    flat = [w for w in sound(walks, condition="random") if w.barrier <= eps]
    hits = [not w.connected(eps) for w in flat]
    replicates = np.array([~(w.replicates("deficit") <= eps) for w in flat], dtype=float)
    return _share("C21", flat, hits, replicates, level, controls_hold(walks))


def c4(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C4: change of the linear forget deficit from 2 % to 10 % forgetting by a straight fit, per method and pair."""
    lines = [w for w in sound(walks, condition="random", kind="linear") if w.variant]
    groups: dict[tuple, list[Walk]] = {}
    for w in lines:
        groups.setdefault(pair_of(w), []).append(w)
    every = [float(w.variant) for w in lines]
    slopes, replicates, kept = [], [], []
    for group in groups.values():
        sizes = np.array([float(w.variant) for w in group])
        if min(every) == sizes.min() < sizes.max() == max(every):  # a fit to fewer would be an extrapolation
            weights = (sizes - sizes.mean()) / ((sizes - sizes.mean()) ** 2).sum() * 0.08
            slopes.append(float(weights @ [w.deficit for w in group]))
            replicates.append(weights @ np.array([w.replicates("deficit") for w in group]))
            kept.append(group[0])
    return _mean("C4", kept, slopes, replicates, level, controls_hold(walks))


def changes(walks: Sequence[Walk], condition: str) -> list[tuple[Walk, float, np.ndarray]]:
    """For each pair and curve of a condition: the walk, its smallest eps minus that of ``random``, and replicates."""
    base = {(pair_of(w), w.kind): w for w in usable(walks, condition="random", variant="")}
    found = []
    for w in sound(walks, condition=condition, variant=""):
        same = base.get((pair_of(w), w.kind))
        if same is not None:
            found.append((w, w.eps - same.eps, worst(w) - worst(same)))
    return found


def _shift(claim: str, walks: Sequence[Walk], condition: str, level: float) -> Verdict:
    found = changes(walks, condition)
    kept, values, replicates = ([one[k] for one in found] for k in range(3))
    return _mean(claim, kept, values, replicates, level, controls_hold(walks))


def c5(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C5: smallest eps between curriculum and none, minus that of the same two seeds without, mean."""
    return _shift("C5", walks, "cl-non_cl", level)


def c6(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C6: smallest eps between first and second order, minus that of the same two first-order seeds, mean."""
    return _shift("C6", walks, "fo-so", level)


def c7(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C7: the smaller of the shares of contexts (condition, method, curve) whose smallest eps falls, or rises."""
    contexts: dict[tuple, list[tuple[Walk, float, np.ndarray]]] = {}
    for condition in ("cl-non_cl", "fo-so"):
        for one in changes(walks, condition):
            contexts.setdefault((condition, one[0].method, one[0].kind), []).append(one)
    if not contexts:
        return _nothing("C7")
    groups = contexts.values()
    means = np.array([np.mean([v for _, v, _ in group]) for group in groups])
    redrawn = np.array([_redrawn(group) for group in groups])
    methods = np.array([method for _, method, _ in contexts])  # whose contexts have endpoints in common
    kept, sides = [w for group in groups for w, _, _ in group], []
    for sign in (-1, 1):
        hits, replicates = sign * means >= CHANGE, (sign * redrawn >= CHANGE).astype(float)
        found = fraction_interval(hits, replicates, clusters=methods, level=level)
        every = np.repeat(hits, [len(group) for group in groups])
        sides.append(widened(found, every, units_of(kept), level, (0.0, 1.0)))
    return judge("C7", *_smaller(*sides), controls_ok=controls_hold(walks), **_counts(kept))


def _redrawn(group: Sequence[tuple[Walk, float, np.ndarray]], seed: int = 0) -> np.ndarray:
    """Replicates of a context's mean change: its pairs redrawn, one resample of the examples each time."""
    values = np.array([r for _, _, r in group])
    rows = np.random.default_rng(seed).integers(0, len(group), (values.shape[1], len(group)))
    return values[rows, np.arange(values.shape[1])[:, None]].mean(axis=1)


def c8(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C8: the smaller of the shares of method pairs (lines) that satisfy MCU(eps) and that do not."""
    lines = sound(walks, condition="method", variant="", kind="linear")
    if not lines:
        return _nothing("C8")
    replicates = np.array([worst(w) <= eps for w in lines], dtype=float)
    # An endpoint is a method run with a seed: the pairs of one method share its endpoints.
    nodes = np.array([(f"{w.nodes[0]}/{w.method}", f"{w.nodes[1]}/{w.other}") for w in lines])
    found = share_over(lines, [w.connected(eps) for w in lines], replicates, level, nodes=nodes)
    return judge("C8", *_rarer(found), controls_ok=controls_hold(walks), **_counts(lines))


def joined(walks: Sequence[Walk], eps: float = TOLERANCE) -> list[Walk]:
    """The sound walks that satisfy MCU(eps) and were traced finely enough to compare metrics along them."""
    found = [w for w in sound(walks) if "score/test" in w.profile.arrays]
    full = max((len(w.profile.t) for w in found), default=0)
    return [w for w in found if len(w.profile.t) == full and w.connected(eps)]


def pattern_correlation(walk: Walk) -> float:
    """Mean |Spearman rho| of the excesses over the chord of every two of `DISTINCT` that vary on a path, or nan."""
    from scipy.stats import rankdata

    curves = [excess(walk.profile.metric(name), walk.profile.t)[1:-1] for name in DISTINCT]
    varying = [rankdata(np.round(c, 9)) for c in curves if np.isfinite(c).all() and np.ptp(np.round(c, 9)) > 0]
    pairs = [abs(np.corrcoef(a, b)[0, 1]) for a, b in combinations(varying, 2)]
    return float(np.mean(pairs)) if pairs else np.nan


def c9(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C9: mean |rank correlation| of two distinct metrics' excesses over the chord along one MCU(eps) path."""
    kept = joined(walks, eps)
    return _mean("C9", kept, [pattern_correlation(w) for w in kept], None, level, controls_hold(walks))


def telling_gaps(original: Mapping[str, float], retrained: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Metrics whose original-to-retrained gap exceeds five times the retrained models' spread, with that gap.

    Five is one over the threshold of C10: a range that exceeds it then also exceeds what seeds do to the metric.
    """
    found, least = {}, 1 / CLAIMS["C10"].threshold
    for name in METRICS:
        values = np.array([one[name] for one in retrained])
        gap = abs(original[name] - values.mean())
        if name not in (*COPIES, "loss_retain", "loss_forget") and gap > least * values.std(ddof=1) > 0:
            found[name] = float(gap)
    return found


def widest_range(walk: Walk, gaps: Mapping[str, float]) -> float:
    """Widest range of a metric along a path, in units of its original-to-retrained gap."""
    return max(float(np.ptp(walk.profile.metric(name))) / gap for name, gap in gaps.items())


def c10(walks: Sequence[Walk], gaps: Mapping[str, float], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C10: median over MCU(eps) paths of the widest metric range, in units of its original-to-retrained gap."""
    kept = joined(walks, eps)
    if not kept or not gaps:
        return _nothing("C10")
    values = np.array([widest_range(w, gaps) for w in kept])
    nodes, rng = nodes_of(kept), np.random.default_rng(0)
    names = np.unique(nodes)
    redrawn = []
    while len(redrawn) < 2000:
        times = dict(zip(*np.unique(rng.choice(names, len(names)), return_counts=True), strict=True))
        weights = [times.get(a, 0) * times.get(b, 0) for a, b in nodes]
        if sum(weights):
            redrawn.append(np.median(np.repeat(values, weights)))
    found = percentile_interval(float(np.median(values)), np.array(redrawn), level)
    found = widened(found, values, units_of(kept), level, (0.0, np.inf), np.median)
    return judge("C10", *_decisive(found, (0.0, np.inf)), controls_ok=controls_hold(walks), **_counts(kept))


def best_inner(walk: Walk) -> tuple[float, float]:
    """The inner t that is closest to retraining on the examples to choose by, and how much closer it is than the better
    end on the examples to test on."""
    choose, test = (walk.profile.arrays[f"score/{part}"] for part in ("choose", "test"))
    k = 1 + int(np.argmax(choose[1:-1]))
    return float(walk.profile.t[k]), float(test[k] - max(test[0], test[-1]))


def c11(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C11: share of MCU(eps) paths whose inner point, chosen on validation, beats both ends on test."""
    kept = joined(walks, eps)
    return _share("C11", kept, [best_inner(w)[1] > 0 for w in kept], None, level, controls_hold(walks))


def beside(walks: Sequence[Walk], *curves: tuple[str, str]) -> list[tuple[Walk, ...]]:
    """Sound walks of one pair by several curves, each given as (variant, kind); pairs that lack one are left out."""
    found = {}
    for w in usable(walks):
        found[pair_of(w), w.variant, w.kind] = w
    pairs = dict.fromkeys(pair for pair, _, _ in found)
    rows = [tuple(found.get((pair, *which)) for which in curves) for pair in pairs]
    return [row for row in rows if all(w is not None for w in row)]


def c12(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C12: share of bad-teacher fits by the authors' recipe whose smallest eps exceeds that of the line by 0.1."""
    both = [(a, b) for a, b in beside(walks, ("authors", "bezier"), ("own", "linear")) if a.method == "bad_teacher"]
    hits = [a.eps > b.eps + FAILED for a, b in both]
    replicates = np.array([worst(a) > worst(b) + FAILED for a, b in both], dtype=float)
    return _share("C12", [a for a, _ in both], hits, replicates, level, controls_hold(walks))


def c13(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C13: the smaller of the shares of pairs with MCU(eps) on the line only and on the quadratic curve only."""
    both = beside(walks, ("own", "linear"), ("own", "bezier"))
    if not both:
        return _nothing("C13")
    kept, sides = [a for a, _ in both], []
    for first, second in ((0, 1), (1, 0)):
        hits = [p[first].connected(eps) and not p[second].connected(eps) for p in both]
        again = [(worst(p[first]) <= eps) & ~(worst(p[second]) <= eps) for p in both]
        sides.append(share_over(kept, hits, np.array(again, dtype=float), level))
    return judge("C13", *_smaller(*sides), controls_ok=controls_hold(walks), **_counts(kept))


def _differ(claim: str, walks: Sequence[Walk], other: tuple[str, str], level: float, eps: float) -> Verdict:
    """Judge how much more often another fit changes a pair's verdict than another seed of the same fit does."""
    rows = beside(walks, ("own", "bezier"), other, ("refit", "bezier"))
    if not rows:
        return _nothing(claim)
    kept, shares = [own for own, _, _ in rows], []
    for k in (1, 2):
        hits = [row[0].connected(eps) != row[k].connected(eps) for row in rows]
        replicates = [(worst(row[0]) <= eps) != (worst(row[k]) <= eps) for row in rows]
        shares.append(share_over(kept, hits, np.array(replicates, dtype=float), level))
    return judge(claim, *difference(*shares), controls_ok=controls_hold(walks), **_counts(kept))


def c23(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C23: share of pairs whose verdict changes when the fit minimises retain loss only, beyond a refit's share."""
    return _differ("C23", walks, ("retain only", "bezier"), level, eps)


def c24(walks: Sequence[Walk], level: float = LEVEL, eps: float = TOLERANCE) -> Verdict:
    """C24: share of pairs whose verdict changes from the corrected to the authors' recipe, beyond a refit's share."""
    return _differ("C24", walks, ("authors", "bezier"), level, eps)


def nonlinearity(walk: Walk) -> float:
    """Largest distance of the forget loss from its chord, in units of its change along the line; nan if it has none."""
    values = walk.profile.metric("loss_forget")
    change = abs(values[-1] - values[0])
    return float(np.abs(excess(values, walk.profile.t)).max() / change) if change else np.nan


def c15(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C15: mean distance of the forget loss from its chord between original and unlearned model."""
    lines = sound(walks, condition="forgetting")
    seeds, ok = np.array([w.nodes[1] for w in lines]), retraining_control(walks)
    return _mean("C15", lines, [nonlinearity(w) for w in lines], None, level, ok, clusters=seeds)


def retraining_control(walks: Sequence[Walk], eps: float = TOLERANCE) -> bool:
    """Whether retrained models of different initialisations have a retain barrier between them, as they must."""
    apart = [w for w in walks if w.condition == "retrained" and w.variant == "other init" and not w.profile.collapsed]
    return bool(apart) and all(w.barrier > eps for w in apart)


def c16(walks: Sequence[Walk], level: float = LEVEL) -> Verdict:
    """C16: share of methods whose retain barrier to a retrained model exceeds that of two retrained models by 0.1 G.

    All start from the initial weights of the original model; from others every straight line has a retain barrier.
    """
    base = [w for w in walks if w.condition == "retrained" and w.variant == "same init" and not w.profile.collapsed]
    ours = sound(walks, condition="retraining", variant="same init")
    if not base or not ours:
        return _nothing("C16")
    methods = dict.fromkeys(w.method for w in ours)
    groups = [[(w, w.barrier, w.replicates("barrier")) for w in ours if w.method == method] for method in methods]
    level_of = np.mean([w.barrier for w in base]) + FAILED
    again = _redrawn([(w, w.barrier, w.replicates("barrier")) for w in base], seed=1) + FAILED
    hits = {group[0][0].method: bool(np.mean([v for _, v, _ in group]) > level_of) for group in groups}
    replicates = np.array([_redrawn(group) > again for group in groups], dtype=float)
    found = fraction_interval(list(hits.values()), replicates, level=level)
    found = widened(found, [hits[w.method] for w in ours], units_of(ours), level, (0.0, 1.0))
    return judge("C16", *found, controls_ok=retraining_control(walks), **_counts(ours))


# claim -> the experiments (`experiments.ROUTES`) whose walks it is judged on, and its test
TESTS: dict[str, tuple[tuple[str, ...], Test]] = {
    "C1": (("02_seeds",), c1),
    "C2": (("02_seeds",), c2),
    "C4": (("06_forget_size",), c4),
    "C5": (("03_curriculum",), c5),
    "C6": (("04_second_order",), c6),
    "C7": (("03_curriculum", "04_second_order"), c7),
    "C8": (("05_methods",), c8),
    "C9": (("02_seeds", "03_curriculum", "04_second_order"), c9),
    "C10": (("02_seeds", "03_curriculum", "04_second_order"), c10),
    "C11": (("02_seeds", "03_curriculum", "04_second_order"), c11),
    "C12": (("08_curve_fitting",), c12),
    "C13": (("08_curve_fitting",), c13),
    "C15": (("09_progress_and_retraining",), c15),
    "C16": (("09_progress_and_retraining",), c16),
    "C21": (("02_seeds",), c21),
    "C23": (("08_curve_fitting",), c23),
    "C24": (("08_curve_fitting",), c24),
}


def verdict_of(
    claim: str,
    walks: Sequence[Walk],
    eps: float = TOLERANCE,
    *,
    gaps: Mapping[str, float] | None = None,
    level: float = LEVEL,
) -> Verdict:
    """The verdict of a claim on these walks, by its test in `TESTS`.

    Args:
        claim: a key of `TESTS`.
        walks: of the experiments that the claim is judged on.
        eps: tolerance of MCU(eps) in G, for the claims whose statistic speaks of one. Controls keep the fixed one.
        gaps: `telling_gaps`, which C10 needs.
        level: of the interval.
    """
    _, test = TESTS[choose("claim", claim, TESTS)]
    options = {"eps": number("the tolerance epsilon", eps, 0), "level": level, "gaps": gaps or {}}
    return test(walks, **{name: options[name] for name in signature(test).parameters if name in options})
