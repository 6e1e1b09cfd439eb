"""Walks made so that a claim's test must come out one way."""

from itertools import combinations

import numpy as np
from synthetic import RING, controls, fit, walk

from mcutils.measures.metrics import METRICS
from mcutils.paper.metrics_along import DISTINCT
from mcutils.paper.progress_and_retraining import OTHER as OTHER_INIT, SAME
from mcutils.paper.registry import TESTS
from mcutils.paper.walks import RETRAINED as BETWEEN

METHODS = ("npo", "scrub", "salun", "l1_sparse", "bad_teacher", "random_labels")
GAPS = {"zrf": 0.5, "js_retrained_test": 0.1}
SIZES = (0.02, 0.04, 0.06, 0.08, 0.10)
FLAT = dict.fromkeys(METRICS, np.zeros(7))
FINE = np.linspace(0, 1, 7)
SINGLE = tuple((2 * k, 2 * k + 1) for k in range(8))  # pairs without a common seed


def many(count):
    """A ring of so many seeds."""
    return [(k, (k + 1) % count) for k in range(count)]


def study(
    barrier=0.0,
    deficit=0.0,
    methods=METHODS,
    pairs=RING,
    kinds=("linear",),
    held=None,
    conditions=("random",),
    seed=0,
    **options,
):
    """Walks of each condition, method, pair and kind, and controls; numbers, or functions of (method, kind, pair)."""
    value = lambda v, *where: v(*where) if callable(v) else v  # noqa: E731
    made = [
        walk(m, value(barrier, m, k, p), value(deficit, m, k, p), p, k, seed=seed + i, condition=c, **options)
        for c in conditions
        for i, m in enumerate(methods)
        for p in pairs
        for k in kinds
    ]
    return made + (controls() if held is None else held)


def ours(walks):
    return [w for w in walks if not w.control]


def judge(claim, walks, **options):
    """A claim's verdict; C10 needs to know the metrics' gaps as well, and C2 would redraw its pairs 2000 times."""
    given = {"C2": {"draws": 300}, "C10": {"gaps": GAPS}}.get(claim, {})
    return TESTS[claim][1](walks, **given, **options)


def by_method(method, kind, pair):
    return 0.3 * METHODS.index(method) + 0.01 * RING.index(pair)


def sized(change, pairs=RING, methods=METHODS[:3], sizes=SIZES, **options):
    """``random`` lines whose deficit changes by so much from 2 % to 10 % forgetting, the same for all."""
    deficit = lambda s: 0.3 + change * (s - 0.02) / 0.08  # noqa: E731
    options |= {"methods": methods, "pairs": pairs}
    lines = [ours(study(0.0, deficit(s), size=s, seed=100 * k, **options)) for k, s in enumerate(sizes)]
    return sum(lines, []) + controls()


def changed(change, condition, pairs=RING, methods=METHODS, kinds=("linear", "bezier"), base=0.4):
    """``random`` walks of this eps, and those of a condition whose eps is by so much another."""
    value = lambda m, k, p: base + (change(m, k, p) if callable(change) else change)  # noqa: E731
    made = {"methods": methods, "pairs": pairs, "kinds": kinds}
    return study(base, 0.0, **made) + study(0.1, value, conditions=(condition,), held=[], seed=100, **made)


def both_ways(change, methods=METHODS, pairs=RING, kinds=("linear",)):
    """What C7 takes: curriculum and second order, each with the same changes."""
    made = {"methods": methods, "pairs": pairs, "kinds": kinds}
    return changed(change, "cl-non_cl", **made) + ours(changed(change, "fo-so", **made))


def mixed(apart, methods=METHODS, pairs=SINGLE[:3]):
    """Lines between all pairs of two methods, of which those of ``apart`` have a barrier."""
    lines = [
        walk(a, 0.5 if apart(a, b) else 0.0, pair=p, condition="method", other=b, seed=k)
        for k, (a, b) in enumerate(combinations(methods, 2))
        for p in pairs
    ]
    return lines + controls()


def patterns(*inner):
    """Metrics of which the first few have these excesses over the chord at the five inner points of a path."""
    return FLAT | {n: [0, *values, 0] for n, values in zip(DISTINCT, inner, strict=False)}


# Rank correlations 0.3 of the first two, 0.6 and 0.1 of the third with these.
RISING, OTHER, THIRD = (1, 2, 3, 4, 5), (3, 1, 5, 2, 4), (1, 4, 3, 2, 5)


def measured(metrics, pairs=RING, methods=METHODS[:2], eps=0.05, scores=((0,) * 7, (0,) * 7), **options):
    """Connected walks with these metrics, a function of the pair, and closeness to retraining along them."""
    value = lambda p, given: given(p) if callable(given) else given  # noqa: E731
    made = [
        walk(m, eps, pair=p, t=FINE, metrics=value(p, metrics), scores=value(p, scores), seed=k, **options)
        for k, m in enumerate(methods)
        for p in pairs
    ]
    return made + controls()


def ranges(width, **options):
    """Walks whose widest metric has a range of so many of its gaps, a little different for each pair."""
    place = lambda p: RING.index(p) if p in RING else p[0]  # noqa: E731
    wide = lambda p: width + 0.001 * (place(p) - 2)  # noqa: E731
    zrf = lambda p: 0.5 * wide(p) * np.array([0, 1, 0.5, 0.5, 0.5, 0, 0])  # noqa: E731
    return measured(lambda p: FLAT | {"zrf": zrf(p), "js_retrained_test": np.full(7, 0.3)}, **options)


def better(inside, **options):
    """Walks whose inner point is closer to retraining than both ends, on the examples to test on, or not."""
    choose = (0.5, 0.6, 0.9, 0.6, 0.6, 0.6, 0.95)
    test = lambda p: (0.5, 0.9, 0.7 if inside(p) else 0.4, 0.9, 0.9, 0.9, 0.6)  # noqa: E731
    return measured(FLAT, scores=lambda p: (choose, test(p)), **options)


def fitted(first, second, pairs=RING, methods=METHODS, fits=("corrected", "authors"), kinds=("bezier", "bezier")):
    """Two curves of each pair, with these eps: numbers, or functions of the pair's place."""
    value = lambda v, k: v(k) if callable(v) else v  # noqa: E731
    walks = [
        walk(m, value(eps, k), pair=p, kind=kind, seed=i, **fit(name))
        for i, m in enumerate(methods)
        for k, p in enumerate(pairs)
        for eps, name, kind in zip((first, second), fits, kinds, strict=True)
    ]
    return walks + controls()


def refitted(first, second, again, other, **options):
    """As `fitted`, for the corrected recipe and another fit, and a third curve, the corrected recipe's other seed."""
    more = fitted(first, again, fits=("corrected", "corrected, another seed"), **options)
    walks = fitted(first, second, fits=("corrected", other), **options)
    return walks + [w for w in more if w.refit]


def lines_and_curves(first, second, **options):
    return fitted(first, second, fits=("line", "corrected"), kinds=("linear", "bezier"), **options)


RETRAINED = tuple(combinations((42, 87, 21), 2))


def apart(barrier=4.0):
    """The controls of 09: retrained models of other initial weights."""
    made = {"control": BETWEEN, "condition": "retrained", "init": OTHER_INIT}
    return [walk("retrain", barrier, pair=p, **made) for p in RETRAINED]


def forgetting(distance, methods=METHODS, seeds=(42, 87, 21), held=None):
    """Lines from the original to the unlearned model whose forget loss leaves its chord by so much of its change."""
    value = lambda s, k: distance + 0.002 * (k + 0.5 * s - 3)  # noqa: E731
    bump = 1 - 2 * np.abs(FINE - 0.5)
    made = [
        walk(
            m,
            pair=(s, s),
            condition="forgetting",
            t=FINE,
            metrics={"loss_forget": 0.1 + 2 * FINE - 2 * value(i, k) * bump},
        )
        for k, m in enumerate(methods)
        for i, s in enumerate(seeds)
    ]
    return made + (apart() if held is None else held)


def retraining(barrier, base=0.2, methods=METHODS, seeds=(42, 87, 21), held=None):
    """Lines from unlearned to retrained models, and between retrained ones: barriers by method, or one for all."""
    value = lambda m: barrier(m) if callable(barrier) else barrier  # noqa: E731
    labels = {"condition": "retraining", "init": SAME}
    made = [walk(m, value(m), pair=(s, s), seed=k, **labels) for k, m in enumerate(methods) for s in seeds]
    labels = {"condition": "retrained", "init": SAME, "control": BETWEEN}
    made += [walk("retrain", base, pair=p, **labels) for p in RETRAINED]
    return made + (apart() if held is None else held)


def twenty(prefix="m", count=20):
    return tuple(f"{prefix}{k}" for k in range(count))


# claim -> walks that support it, and walks that contradict it
CASES = {
    "C1": (lambda: study(0.0), lambda: study(0.5)),
    "C2": (
        lambda: study(deficit=by_method),
        lambda: study(deficit=lambda m, k, p: 0.01 * (p[0] % 7), methods=METHODS[:3], pairs=many(80)),
    ),
    "C4": (lambda: sized(0.2), lambda: sized(0.02)),
    "C5": (lambda: changed(0.3, "cl-non_cl"), lambda: changed(0.02, "cl-non_cl")),
    "C6": (lambda: changed(-0.3, "fo-so"), lambda: changed(-0.02, "fo-so")),
    "C7": (
        lambda: both_ways(lambda m, k, p: 0.2 if int(m[1:]) % 2 else -0.2, twenty(), SINGLE[:3]),
        lambda: both_ways(0.2, twenty(count=40), SINGLE[:3]),
    ),
    "C8": (
        lambda: mixed(lambda a, b: METHODS.index(a) % 2),
        lambda: mixed(lambda a, b: True, methods=twenty(count=12)),
    ),
    "C9": (
        lambda: measured(lambda p: patterns(RISING, OTHER, *([THIRD] if p == RING[0] else []))),
        lambda: measured(lambda p: patterns(RISING, RISING, *([OTHER] if p == RING[0] else [RISING]))),
    ),
    "C10": (lambda: ranges(0.5), lambda: ranges(0.1)),
    "C11": (lambda: better(lambda p: True), lambda: better(lambda p: False)),
    "C12": (
        lambda: fitted(0.1, 0.5, SINGLE, ("bad_teacher",), ("line", "authors"), ("linear", "bezier")),
        lambda: fitted(0.1, 0.15, SINGLE, ("bad_teacher",), ("line", "authors"), ("linear", "bezier")),
    ),
    "C13": (
        lambda: lines_and_curves(lambda k: 0.5 * (k % 2), lambda k: 0.5 * (k % 2 == 0), pairs=many(20)),
        lambda: lines_and_curves(0.0, 0.0, pairs=many(90), methods=("npo",)),
    ),
    "C15": (lambda: forgetting(0.3), lambda: forgetting(0.05)),
    "C16": (lambda: retraining(0.5), lambda: retraining(0.25)),
    "C21": (
        lambda: study(deficit=0.3, kinds=("linear", "bezier")),
        lambda: study(pairs=many(90), methods=("npo",)),
    ),
    "C23": (
        lambda: refitted(0.0, 0.5, 0.0, "retain only"),
        lambda: refitted(0.0, 0.5, 0.5, "retain only", pairs=many(60), methods=("npo",)),
    ),
    "C24": (
        lambda: refitted(0.5, 0.0, 0.5, "authors"),
        lambda: refitted(0.5, 0.6, lambda k: 0.5 * (k > 0), "authors", pairs=many(60), methods=("npo",)),
    ),
}
