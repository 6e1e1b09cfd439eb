"""Verdicts: constructed walks come out supported, contradicted or undecided as they were made to."""

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from scipy.stats import t as student
from synthetic import RING, T, controls, walk

from mcutils.claims import CLAIMS
from mcutils.errors import BadInput
from mcutils.experiments import ROUTES
from mcutils.measures.connectivity import TOLERANCE, connectivity
from mcutils.measures.intervals import Interval, difference, share_explained, widened, wilson
from mcutils.measures.metrics import METRICS
from mcutils.measures.profiles import ProfileOf
from mcutils.verdicts import (
    DISTINCT,
    TESTS,
    beside,
    best_inner,
    c1,
    c2,
    c5,
    c12,
    c13,
    c16,
    c21,
    changes,
    connected_share,
    controls_hold,
    joined,
    nonlinearity,
    pattern_correlation,
    retraining_control,
    sound,
    telling_gaps,
    units_of,
    usable,
    verdict_of,
    widest_range,
)

METHODS = ("npo", "scrub", "salun", "l1_sparse", "bad_teacher", "random_labels")
GAPS = {"zrf": 0.5, "js_retrained_test": 0.1}
SIZES = (0.02, 0.04, 0.06, 0.08, 0.10)
FLAT = dict.fromkeys(METRICS, np.zeros(7))
FINE = np.linspace(0, 1, 7)
MORE = {"measure/surplus_retain": np.float64(0.1), "measure/shortfall_forget": np.float64(0.2)}
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
    return [w for w in walks if w.role == "method"]


def judge(claim, walks, **options):
    """A claim's verdict; C10 needs to know the metrics' gaps as well, and C2 would redraw its pairs 2000 times."""
    given = {"C2": {"draws": 300}, "C10": {"gaps": GAPS}}.get(claim, {})
    return TESTS[claim][1](walks, **given, **options)


# Walks by claim


def by_method(method, kind, pair):
    return 0.3 * METHODS.index(method) + 0.01 * RING.index(pair)


def sized(change, pairs=RING, methods=METHODS[:3], sizes=SIZES, **options):
    """``random`` lines whose deficit changes by so much from 2 % to 10 % forgetting, the same for all."""
    deficit = lambda s: 0.3 + change * (s - 0.02) / 0.08  # noqa: E731
    options |= {"methods": methods, "pairs": pairs}
    lines = [ours(study(0.0, deficit(s), variant=f"{s:g}", seed=100 * k, **options)) for k, s in enumerate(sizes)]
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


def fitted(first, second, pairs=RING, methods=METHODS, variants=("own", "authors"), kinds=("bezier", "bezier")):
    """Two curves of each pair, with these eps: numbers, or functions of the pair's place."""
    value = lambda v, k: v(k) if callable(v) else v  # noqa: E731
    walks = [
        walk(m, value(eps, k), pair=p, kind=kind, variant=variant, seed=i)
        for i, m in enumerate(methods)
        for k, p in enumerate(pairs)
        for eps, variant, kind in zip((first, second), variants, kinds, strict=True)
    ]
    return walks + controls()


def refitted(first, second, again, variant, **options):
    """As `fitted`, for the corrected recipe and another fit, and a third curve, the corrected recipe's other seed."""
    more = fitted(first, again, variants=("own", "refit"), **options)
    walks = fitted(first, second, variants=("own", variant), **options)
    return walks + [w for w in more if w.variant == "refit"]


def lines_and_curves(first, second, **options):
    return fitted(first, second, variants=("own", "own"), kinds=("linear", "bezier"), **options)


RETRAINED = tuple(combinations((42, 87, 21), 2))


def apart(barrier=4.0):
    """The controls of 09: retrained models of other initial weights."""
    made = {"role": "control", "condition": "retrained", "variant": "other init"}
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
    labels = {"condition": "retraining", "variant": "same init"}
    made = [walk(m, value(m), pair=(s, s), seed=k, **labels) for k, m in enumerate(methods) for s in seeds]
    labels = {"condition": "retrained", "variant": "same init", "role": "control"}
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
        lambda: fitted(0.1, 0.5, SINGLE, ("bad_teacher",), kinds=("linear", "bezier")),
        lambda: fitted(0.1, 0.15, SINGLE, ("bad_teacher",), kinds=("linear", "bezier")),
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
RESAMPLED = ("C1", "C4", "C5", "C6", "C12", "C16", "C21", "C23", "C24")  # over examples too, and not half of them
every_claim = pytest.mark.parametrize("claim", CASES)


@pytest.fixture(scope="module")
def cases():
    """claim -> (walks, verdict) twice: as constructed to support and to contradict."""
    return {name: [(w := make(), judge(name, w)) for make in both] for name, both in CASES.items()}


# Every claim


def test_every_test_is_tried_here_and_names_experiments_that_are_run():
    assert list(TESTS) == list(CASES)
    for name, (experiments, _) in TESTS.items():
        assert set(experiments) <= set(ROUTES)
        # C9 to C11 are shown in 07, which walks nothing of its own.
        assert CLAIMS[name].notebook == ", ".join(experiments) or CLAIMS[name].notebook == "07_metrics_along_the_path"


@every_claim
def test_each_comes_out_as_constructed(claim, cases):
    for (walks, found), word in zip(cases[claim], ("supported", "contradicted"), strict=True):
        assert found.verdict == word, str(found)
        assert found.low <= found.effect <= found.high and found.low < found.high
        assert (found.claim, found.notebook) == (claim, CLAIMS[claim].notebook)
        assert 2 <= found.n_pairs <= len(ours(walks)) and found.n_seeds >= 2


@every_claim
def test_collapsed_walks_change_nothing(claim, cases):
    for walks, found in cases[claim]:
        lost = walk("x", 9.0, 9.0, collapsed=("t = 1: chance",), metrics=FLAT, scores=((9,) * 7,) * 2).profile
        broken = [replace(w, method="gradient_ascent", profile=lost) for w in ours(walks)]
        broken += [replace(w, profile=lost) for w in walks if w.condition == "retrained" and w.variant == "same init"]
        assert judge(claim, walks + broken) == found


@every_claim
def test_a_walk_of_two_experiments_counts_once(claim, cases):
    for walks, found in cases[claim]:
        assert judge(claim, walks + walks) == found


@every_claim
def test_a_failed_control_leaves_it_undecided_with_its_numbers(claim, cases):
    for walks, found in cases[claim]:
        for held in ([], controls(apart=0.0) + apart(0.0), controls(twin=1.0) + apart()[:2] + apart(0.09)[2:]):
            failed = [w for w in walks if w.role == "method" or w.variant == "same init"] + held
            assert judge(claim, failed) == replace(found, verdict="undecided")


@every_claim
def test_one_pair_of_seeds_decides_nothing(claim, cases):
    """Whatever its examples say, the interval is all that there can be."""
    means = {"C4": -np.inf, "C5": -np.inf, "C6": -np.inf, "C9": -np.inf, "C15": -np.inf, "C10": 0}
    low, high = means.get(claim, 0), 0.5 if claim == "C8" else np.inf if claim in means else 1
    for walks, _ in cases[claim]:
        for nodes in list(dict.fromkeys(w.nodes for w in ours(walks)))[:2]:
            found = judge(claim, [w for w in walks if w.role == "control" or w.nodes == nodes])
            if claim in ("C23", "C24"):  # the difference of two shares
                low, high = difference(*(Interval(max(v, 0.0), 0, 1) for v in (found.effect, -found.effect)))[1:]
            assert (found.low, found.high, found.verdict) == (low, high, "undecided"), str(found)
            assert np.isfinite(found.effect) and found.n_pairs >= 1


@pytest.mark.parametrize("claim", ["C4", "C5", "C6", "C9", "C10", "C15"])  # a share's interval always has a width
def test_pairs_without_any_difference_decide_nothing(claim):
    """Not even the examples differ: an interval without width is not a certain one."""
    for make in CASES[claim]:
        walks = make()
        like = {(w.condition, w.variant): w.profile.arrays for w in reversed(ours(walks))}
        same = []
        for w in walks:
            arrays = dict(like.get((w.condition, w.variant), w.profile.arrays))
            arrays |= {n: np.full(60, arrays[n.replace("replicates", "measure")]) for n in arrays if "replicates" in n}
            same.append(replace(w, profile=ProfileOf(arrays if w.role == "method" else w.profile.arrays)))
        found = judge(claim, same)
        assert (found.verdict, found.n_pairs > 2) == ("undecided", True), str(found)
        assert found.high == np.inf


@every_claim
def test_nothing_to_judge_is_undecided(claim, cases):
    walks, _ = cases[claim][0]
    lost = walk("x", collapsed=("t = 0: chance",)).profile
    held = [w for w in walks if w.role == "control"]
    for left in ([], held, held + [replace(w, profile=lost) for w in ours(walks)], held + [walk("npo", condition="?")]):
        found = judge(claim, left)
        assert (found.verdict, found.n_pairs, found.n_seeds) == ("undecided", 0, 0)
        assert np.isnan(found.effect) and np.isnan(found.low) and np.isnan(found.high)


@every_claim
def test_a_higher_level_has_a_wider_interval(claim, cases):
    for walks, found in cases[claim]:
        low, high = (judge(claim, walks, level=level) for level in (0.8, 0.995))
        assert high.low <= found.low <= low.low and low.high <= found.high <= high.high
        assert low.high - low.low < found.high - found.low < high.high - high.low
        assert low.effect == found.effect == high.effect


@every_claim
def test_it_is_the_same_on_every_call(claim, cases):
    walks, found = cases[claim][0]
    assert judge(claim, walks) == found


@pytest.mark.parametrize("claim", RESAMPLED)
def test_noisy_examples_widen_the_interval(claim, cases):
    rng = np.random.default_rng(0)
    walks, found = cases[claim][0]
    noisy = []
    for w in walks:
        rows = {n: v + w.profile.gap * rng.normal(size=60) for n, v in w.profile.arrays.items() if "replicates" in n}
        noisy.append(replace(w, profile=ProfileOf({**w.profile.arrays, **rows})))
    wide = judge(claim, noisy)
    assert wide.effect == found.effect
    assert wide.high - wide.low > found.high - found.low


# Which walks count


def test_collapsed_walks_and_controls_are_left_out():
    good, bad = walk("npo"), walk("npo", collapsed=("t = 0: chance",))
    other = walk("npo", condition="method", other="scrub")
    assert usable([good, bad, other, *controls()]) == [good, other]
    assert usable([good, other], condition="method") == sound([good, other, other], other="scrub") == [other]
    assert usable([bad, *controls()]) == sound([bad, *controls()]) == []


def test_a_walk_is_the_same_if_its_ends_condition_curve_and_variant_are():
    one = walk("npo")
    differing = [{"method": "scrub"}, {"other": "scrub"}, {"kind": "bezier"}, {"original": 1}, {"start": 1}, {"end": 1}]
    differing += [{"condition": "method"}, {"variant": "own"}]
    assert len(sound([one, one, *(replace(one, **change) for change in differing)])) == 1 + len(differing)


# Controls


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (controls(), True),
        (controls(apart=0.11, twin=0.09), True),
        (controls(apart=0.09), False),
        (controls(twin=0.11), False),
        (controls() + controls(apart=0.0), False),
        (controls()[:1], False),
        (controls()[1:], False),
        ([], False),
        (controls(apart=float("nan")), False),
        (controls(twin=float("nan")), False),
    ],
)
def test_both_controls_must_hold(held, expected):
    assert controls_hold(study(held=held)) is expected


def test_a_twin_that_forgets_differently_is_a_failed_control():
    negative, twin = controls()
    other = walk("fine-tuned twin", 0.0, 0.3, role="control")
    assert controls_hold([negative, twin]) and not controls_hold([negative, other])


def test_collapsed_controls_do_not_count():
    lost = [replace(w, profile=walk("x", 0.0, 9.0, collapsed=("chance",)).profile) for w in controls() + apart()]
    assert controls_hold(controls() + lost) and retraining_control(apart() + lost)
    assert not controls_hold(lost) and not retraining_control(lost)


@pytest.mark.parametrize(
    ("held", "expected"),
    [(apart(), True), (apart(0.11), True), (apart(0.09), False), (apart() + apart(0.0), False), ([], False)],
)
def test_retrained_models_of_other_initial_weights_must_lie_apart(held, expected):
    assert retraining_control(retraining(0.5, held=held)) is expected
    assert retraining_control(apart(float("nan"))) is False


# Intervals


def pairs_of(values):
    """Walks of so many pairs of seeds, each with one value."""
    return [walk("npo", pair=p) for p in SINGLE[: len(values)]], values


def units(values):
    return values, units_of(pairs_of(values)[0])


NONE = Interval(0.2, 0.2, 0.2)


def test_an_interval_is_joined_with_student_s_over_pairs():
    found = widened(NONE, *units([0.1, 0.2, 0.3]))
    half = 4.302653 * 0.1 / np.sqrt(3)  # t of two degrees of freedom
    assert found == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    strict = widened(NONE, *units([0.1, 0.2, 0.3]), level=0.99)
    assert strict.high == pytest.approx(0.2 + half * 9.924843 / 4.302653)
    assert widened(Interval(0.2, -1.0, 0.25), *units([0.1, 0.2, 0.3])) == pytest.approx((0.2, -1.0, 0.2 + half))
    assert widened(Interval(0.2, 0.1, 3.0), *units([0.1, 0.2, 0.3])) == pytest.approx((0.2, 0.2 - half, 3.0))
    assert widened(NONE, *units([0.1, 0.2, 0.3]), within=(0.0, 0.3)) == (0.2, 0.0, 0.3)


def test_walks_of_one_pair_of_seeds_count_as_one():
    walks, values = pairs_of([0.1, 0.2, 0.3])
    more = [replace(w, method="scrub", kind="bezier", condition="method") for w in walks]
    several = widened(NONE, [0.0, 0.2, 0.4, 0.0, 0.2, 0.4, 0.0], units_of(walks + more + walks[:1]), middle=np.median)
    assert several == pytest.approx(widened(NONE, [0.0, 0.2, 0.4], units_of(walks)))
    assert widened(NONE, values + [0.1, 0.2, 0.3], units_of(walks + more)) == pytest.approx(
        widened(NONE, values, units_of(walks))
    )
    for change in ({"original": 1}, {"start": 99}, {"end": 99}):
        apart = [replace(w, **change) for w in walks]
        assert widened(NONE, values * 2, units_of(walks + apart)).high < widened(NONE, values, units_of(walks)).high


def test_one_pair_leaves_everything_possible():
    assert widened(NONE, *units([0.2])) == (0.2, -np.inf, np.inf)
    assert widened(Interval(0.2, 0.1, 0.3), *units([0.2]), within=(0.0, 1.0)) == (0.2, 0.0, 1.0)
    assert widened(NONE, *units([0.2, 0.2, 0.2])) == pytest.approx((0.2, 0.2, 0.2))
    # A difference between examples, or Wilson's interval of pairs that agree, is one.
    assert widened(Interval(0.2, 0.1, 0.3), *units([0.2, 0.2])) == (0.2, 0.1, 0.3)
    assert widened(Interval(1.0, *wilson(1.0, 5)), *units([1, 1]), within=(0, 1)) == (1.0, *wilson(1.0, 5))
    assert np.isnan(widened(Interval(np.nan, np.nan, np.nan), *units([np.nan, 0.2]))).all()


def test_pairs_without_the_least_difference_decide_no_claim():
    base = [walk("npo", 0.0, 0.3, pair=p, noise=0) for p in SINGLE]
    same = [replace(w, condition="cl-non_cl") for w in base]
    found = c5([*base, *same, *controls()])
    assert (found.effect, found.low, found.high, found.verdict) == (0, -np.inf, np.inf, "undecided")


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.lists(st.floats(0, 3), min_size=1, max_size=5), st.floats(0, 0.5))
def test_one_mean_of_the_same_paths_has_one_interval_wherever_it_stands(deficits, noise):
    """In the figure of 02, the tables of 03 to 06, the figures of 08, and in a verdict."""
    from mcutils import condition_tables, metric_tables, tables

    walks = [walk("npo", 0.0, d, pair=p, noise=noise, variant="own") for p, d in zip(RING, deficits, strict=False)]
    walks = [replace(w, profile=ProfileOf({**w.profile.arrays, **MORE})) for w in walks]
    expected = condition_tables.mean_of(walks, "deficit")
    drawn = tables.paths_means(walks).set_index("measure").loc["deficit", ["estimate", "low", "high"]]
    assert tuple(drawn) == tuple(expected)
    fits = metric_tables.fits_table(walks)
    for value, unit in (("eps", 1.0), ("nats", walks[0].profile.gap)):
        one = metric_tables.means(fits, value, ["method", "fit"]).loc[0, ["estimate", "low", "high"]]
        np.testing.assert_allclose(one.to_numpy(float) / unit, condition_tables.mean_of(walks, "eps"), rtol=1e-6)
    share = tables.sweep_table(walks, [TOLERANCE]).loc[0, ["fraction", "low", "high"]]
    summary = metric_tables.fits_summary(fits).loc["line", "connected"]
    assert summary == condition_tables.spread(tuple(share), 2)


def test_no_table_takes_an_interval_past_the_one_rule():
    """Only `connectivity`, and the two claims whose units are not walks, call the bootstraps that it is made of."""
    calls = {}
    for path in Path(connectivity.__code__.co_filename).parent.rglob("*.py"):
        text = path.read_text()
        calls[path.stem] = len(re.findall(r"\b(?:bootstrap_mean|fraction_interval)\(", text))
    calls.pop("connectivity")
    assert {name: count for name, count in calls.items() if count} == {"verdicts": 2}


@pytest.mark.parametrize("true", [0.1, -0.1])
def test_a_change_at_the_edge_is_seldom_decided(true):
    """Three pairs of seeds, whose changes differ by chance: 5 % of studies may come to either conclusion.

    From the extremes of three alone it would be a quarter of them.
    """
    rng = np.random.default_rng(1)
    base = walk("npo", 0.5, noise=1e-6).profile
    decided = []
    for _ in range(300):
        walks = controls()
        for pair, change in zip(SINGLE[:3], rng.normal(true, 0.02, 3), strict=True):
            other = walk("npo", 0.5 + change, noise=1e-6).profile
            labels = {"method": "npo", "kind": "linear", "start": pair[0], "end": pair[1]}
            walks += [type(walks[0])(**labels, profile=base)]
            walks += [type(walks[0])(**labels, profile=other, condition="cl-non_cl")]
        decided.append(c5(walks).verdict != "undecided")
    assert 0.005 < np.mean(decided) < 0.08


# C1


def test_c1_counts_pairs_by_their_better_curve():
    def barrier(method, kind, pair):
        return 0.5 if (kind == "linear") == (METHODS.index(method) % 2 == 0) else 0.0

    walks = study(barrier, kinds=("linear", "bezier"))
    found = c1(walks)
    assert (found.effect, found.n_pairs, found.n_seeds) == (1.0, len(METHODS) * len(RING), 5)
    assert (found.low, found.high) == pytest.approx(wilson(1.0, 5))  # five seeds, however many methods
    assert found.verdict == "supported"
    assert c1([w for w in walks if w.kind == "linear" or w.role == "control"]).effect == 0.5


@pytest.mark.parametrize(
    ("barrier", "deficit", "expected"),
    [
        (0.05, 0.05, "supported"),
        (0.0, 0.5, "contradicted"),
        (lambda m, k, p: 0.5 * (METHODS.index(m) % 2), 0.0, "undecided"),
    ],
)
def test_c1_comes_out_as_constructed(barrier, deficit, expected):
    assert c1(study(barrier, deficit)).verdict == expected


def test_c1_is_undecided_when_the_examples_do_not_tell():
    walks = study(0.095, noise=0.05)
    assert c1(walks).effect == 1.0
    assert c1(walks).verdict == "undecided"
    assert c1(study(0.095, noise=0.001)).verdict == "supported"


def test_c1_keeps_originals_and_pairs_apart():
    walks = study(methods=("npo",)) + [replace(w, original=1) for w in ours(study(methods=("npo",)))]
    assert connected_share(sound(walks))[1:] == (10, 10)


def test_c1_is_about_one_method_and_two_seeds():
    walks = study(0.0) + study(0.9, conditions=("cl-non_cl", "random_in_cl", "method"), held=[])
    assert c1(walks) == c1(study(0.0))


# C2


def test_c2_is_supported_when_methods_differ(cases):
    found = cases["C2"][0][1]
    assert found.effect > 0.95 and found.p < 0.05 / 3
    assert (found.n_pairs, found.n_seeds) == (30, 5)


def test_c2_s_share_is_that_of_an_analysis_of_variance():
    values = {"npo": (0.1, 0.3), "scrub": (0.5, 0.7), "salun": (0.2, 0.6)}
    walks = study(deficit=lambda m, k, p: values[m][SINGLE.index(p)], methods=tuple(values), pairs=SINGLE[:2])
    grand = np.mean(list(values.values()))
    between = 2 * sum((np.mean(v) - grand) ** 2 for v in values.values())
    total = sum((x - grand) ** 2 for v in values.values() for x in v)
    assert c2(walks).effect == pytest.approx(between / total)


def test_c2_permutes_pairs_without_common_seeds(cases):
    walks, found = cases["C2"][0]
    values, methods = ([getattr(w, name) for w in ours(walks)] for name in ("deficit", "method"))
    apart = share_explained(values, methods, nodes=[w.nodes for w in ours(walks)])
    assert found.p == apart.p and found.effect == apart.eta2
    # Where there are two such pairs of each of two methods, no permutation is rare enough.
    few = study(deficit=by_method, methods=METHODS[:2])
    assert c2(few).p > 0.1 > share_explained(*([getattr(w, n) for w in ours(few)] for n in ("deficit", "method"))).p


@pytest.mark.parametrize("seed", range(3))
def test_c2_loses_its_support_when_methods_are_shuffled(seed):
    walks = ours(study(deficit=by_method))
    places = np.random.default_rng(seed).permutation(len(walks))
    shuffled = [replace(w, profile=walks[k].profile) for w, k in zip(walks, places, strict=True)]
    found = c2(shuffled + controls())
    assert found.p > 0.05 / 3
    assert found.verdict == "undecided"


def test_c2_without_differences_or_with_one_method_knows_nothing():
    for walks in (study(deficit=0.0), study(deficit=by_method, methods=("npo",)), study(deficit=0.2, pairs=RING[:1])):
        found = c2(walks)
        assert (found.low, found.high, found.p, found.verdict) == (0, 1, 1, "undecided")


def test_c2_is_supported_by_its_permutations_even_where_no_method_varies():
    found = c2(study(deficit=lambda m, k, p: 0.1 * METHODS.index(m)))
    assert (found.effect, found.verdict) == (pytest.approx(1), "supported")


def test_c2_is_contradicted_when_methods_do_not_matter(cases):
    found = cases["C2"][1][1]
    assert found.effect == pytest.approx(0, abs=1e-12) and found.high < 0.1 and found.p > 0.5


def test_c2_is_undecided_with_few_pairs_of_equal_methods():
    found = c2(study(deficit=lambda m, k, p: 0.01 * RING.index(p)))
    assert found.verdict == "undecided"  # five pairs each cannot show that a share is below a tenth


def test_c2_looks_at_straight_lines_with_a_finite_deficit(cases):
    walks, found = cases["C2"][0]
    assert judge("C2", walks + study(deficit=5.0, kinds=("bezier",), held=[])) == found
    assert judge("C2", walks + [walk("npo", 0.0, float("nan"), (1, 2))]) == found


# C4


@pytest.mark.parametrize(
    ("change", "expected"),
    [(0.2, "supported"), (-0.2, "supported"), (0.0, "contradicted"), (0.1, "undecided"), (-0.1, "undecided")],
)
def test_c4_is_the_change_from_the_smallest_to_the_largest_set(change, expected):
    found = judge("C4", sized(change))
    assert found.effect == pytest.approx(change, abs=1e-12)
    assert (found.verdict, found.n_pairs, found.n_seeds) == (expected, 15, 5)


def test_c4_fits_a_straight_line_to_each_pair():
    rng = np.random.default_rng(0)
    deficits = {(p, s): rng.uniform(0, 1) for p in RING for s in SIZES}
    lines = [walk("npo", 0.0, d, p, variant=f"{s:g}") for (p, s), d in deficits.items()]
    slopes = [0.08 * np.polyfit(SIZES, [deficits[p, s] for s in SIZES], 1)[0] for p in RING]
    assert judge("C4", lines + controls()).effect == pytest.approx(np.mean(slopes))


def test_c4_leaves_out_curves_and_pairs_that_lack_an_end():
    walks, found = sized(0.2), judge("C4", sized(0.2))
    more = sized(0.9, kinds=("bezier",)) + sized(0.9, methods=("bad_teacher",), sizes=SIZES[:4])
    more += sized(0.9, methods=("random_labels",), sizes=SIZES[1:])
    assert judge("C4", walks + ours(more)) == found
    assert judge("C4", sized(0.2, sizes=SIZES[:1])).n_pairs == 0
    middle = [w for w in sized(0.2) if w.variant not in ("0.04", "0.08") or w.method != "npo"]
    assert judge("C4", middle).effect == pytest.approx(0.2)


# C5 and C6


@pytest.mark.parametrize("claim", ["C5", "C6"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [(0.3, "supported"), (-0.3, "supported"), (0.0, "contradicted"), (0.1, "undecided"), (-0.1, "undecided")],
)
def test_a_change_of_eps_is_that_beside_the_same_two_seeds(claim, change, expected):
    condition = {"C5": "cl-non_cl", "C6": "fo-so"}[claim]
    found = judge(claim, changed(change, condition))
    assert found.effect == pytest.approx(change, abs=1e-12)
    assert (found.verdict, found.n_pairs, found.n_seeds) == (expected, len(METHODS) * len(RING) * 2, 5)


@pytest.mark.parametrize(("claim", "condition"), [("C5", "cl-non_cl"), ("C6", "fo-so")])
def test_changes_are_between_walks_of_one_pair_and_curve_and_nothing_else(claim, condition):
    walks, values = changed(0.3, condition), changes(changed(0.3, condition), condition)
    assert all(v == pytest.approx(0.3) for _, v, _ in values)
    for w, value, replicates in values:
        np.testing.assert_allclose(replicates, value, atol=0.01)
        assert (w.condition, replicates.shape) == (condition, (60,))
    others = [replace(w, variant="soul") for w in ours(changed(0.9, condition, base=0.0))]
    others += [walk("npo", 5.0, pair=(1, 2), condition=condition), walk("npo", 5.0, pair=(1, 2), kind="bezier")]
    others += ours(changed(0.7, "random_in_cl")) + [walk("npo", float("nan"), pair=RING[0], condition=condition)]
    for mixed_up in (
        walks + others[:-1],
        others[:-1] + walks,
        others[-2::-1] + walks[::-1],
        walks[::-1] + others[-2::-1],
    ):
        assert judge(claim, mixed_up).effect == pytest.approx(0.3)
    lost = judge(claim, walks + others[-1:])
    assert (lost.effect, lost.n_pairs) == (pytest.approx(0.3), len(values) - 1)


# C7


def test_c7_is_the_rarer_of_help_and_harm():
    """Of six methods two are helped, one is harmed, one changes too little, and two are not changed."""
    effect = dict(zip(METHODS, (-0.2, -0.06, 0.2, 0.04, 0.0, 0.0), strict=True))
    walks = both_ways(lambda m, k, p: effect[m], kinds=("linear", "bezier"))
    found = judge("C7", walks)
    assert found.effect == pytest.approx(1 / 6)
    assert (found.n_pairs, found.n_seeds) == (6 * 2 * 2 * 5, 5)
    mirrored = judge("C7", both_ways(lambda m, k, p: -effect[m], kinds=("linear", "bezier")))
    assert mirrored.effect == found.effect
    assert judge("C7", both_ways(lambda m, k, p: 0.0)).effect == 0


def test_c7_takes_the_mean_over_the_pairs_of_a_context():
    """One pair of five rises by 0.3 in every method, which is 0.06 on average."""
    rises = judge("C7", both_ways(lambda m, k, p: (0.3 if m == "npo" else -0.3) if p == RING[0] else 0.0))
    assert rises.effect == pytest.approx(1 / 6)
    below = judge("C7", both_ways(lambda m, k, p: (0.2 if m == "npo" else -0.3) if p == RING[0] else 0.0))
    assert below.effect == 0


def test_c7_needs_only_one_of_the_two_conditions():
    half = changed(lambda m, k, p: 0.2 if METHODS.index(m) % 2 else -0.2, "fo-so", kinds=("linear",))
    found = judge("C7", half)
    assert (found.effect, found.n_pairs) == (0.5, len(METHODS) * len(RING))


def test_c7_counts_the_contexts_of_one_method_as_one():
    """Curves and conditions of a method have its endpoints in common: four of each are not four times the evidence."""
    methods = twenty(count=8)
    change = lambda m, k, p: 0.2 if int(m[1:]) % 2 else -0.2  # noqa: E731
    once = judge("C7", changed(change, "fo-so", methods=methods, kinds=("linear",)))
    more = judge("C7", both_ways(change, methods=methods, kinds=("linear", "bezier")))
    assert once.effect == more.effect == 0.5
    assert more.high - more.low > 0.8 * (once.high - once.low)


# C8


def test_c8_is_the_rarer_of_connected_and_not():
    """Two of six methods are apart from all others: 9 of 15 pairs, so 6 connect."""
    for barrier, expected in ((("npo", "scrub"), 6 / 15), (("npo",), 5 / 15), ((), 0)):
        found = judge("C8", mixed(lambda a, b, some=barrier: a in some or b in some))
        assert found.effect == pytest.approx(expected)
        assert (found.n_pairs, found.n_seeds) == (45, 6)
        assert 0 <= found.low <= found.effect <= found.high <= 0.5


def test_c8_looks_at_lines_between_plain_methods():
    walks = mixed(lambda a, b: a == "npo")
    others = [
        replace(w, **c) for w in ours(mixed(lambda a, b: True)) for c in ({"kind": "bezier"}, {"variant": "full"})
    ]
    others += [replace(w, condition="method_in_cl") for w in ours(mixed(lambda a, b: True))]
    assert judge("C8", walks + others + study(0.9, held=[])) == judge("C8", walks)


# C9


def test_patterns_are_compared_by_rank():
    assert spearmanr(RISING, OTHER)[0] == pytest.approx(0.3)
    one = walk("npo", t=FINE, metrics=patterns(RISING, OTHER))
    assert pattern_correlation(one) == pytest.approx(0.3)
    falling = tuple(-(v**3) for v in OTHER)  # any falling function of it has the same ranks, turned round
    three = walk("npo", t=FINE, metrics=patterns(RISING, OTHER, falling))
    assert pattern_correlation(three) == pytest.approx((0.3 + 0.3 + 1) / 3)


def test_a_pattern_is_what_is_left_above_the_chord():
    sloped = patterns(RISING, OTHER)
    sloped = {name: np.asarray(values) + 7 - 3 * FINE for name, values in sloped.items()}
    assert pattern_correlation(walk("npo", t=FINE, metrics=sloped)) == pytest.approx(0.3)


def test_metrics_that_do_not_vary_or_are_copies_play_no_part():
    broken = {**patterns(RISING, OTHER), "zrf": np.full(7, np.nan), "UA": [0, *RISING, 0], "TA": [0, *OTHER, 0]}
    assert pattern_correlation(walk("npo", t=FINE, metrics=broken)) == pytest.approx(0.3)
    assert np.isnan(pattern_correlation(walk("npo", t=FINE, metrics=patterns(RISING))))


def test_c9_is_the_mean_over_connected_paths():
    half = lambda p: patterns(RISING, RISING if p in RING[:2] else OTHER)  # noqa: E731
    found = judge("C9", measured(half))
    assert (found.effect, found.n_pairs) == (pytest.approx(0.4 + 0.6 * 0.3), 10)
    assert found.verdict == "undecided"
    apart = ours(measured(patterns(RISING, RISING), eps=0.5, condition="cl-non_cl"))
    flat = ours(measured(patterns(RISING), condition="fo-so"))
    assert judge("C9", measured(half) + apart + flat) == found


def test_only_finely_traced_connected_paths_are_compared():
    fine, coarse = measured(FLAT), [walk("npo", t=T, scores=((0,) * 5,) * 2, condition="random_in_cl")]
    old = [walk("npo", t=FINE, condition="fo-so")]  # a profile without scores
    far = ours(measured(FLAT, eps=0.2, condition="cl-non_cl"))
    assert joined(fine + coarse + old + far + fine) == ours(fine)
    assert joined(far + coarse) == []  # a coarse one is not compared because the fine ones are apart
    assert joined(coarse) == coarse


# C10


def test_a_telling_gap_exceeds_five_times_the_spread():
    names = dict.fromkeys(METRICS, 0.5)
    original = names | {"zrf": 1.3, "js_retrained_test": 1.1, "accuracy_forget": 0.9, "loss_forget": 3.0, "UA": 0.0}
    shifts = {"zrf": 0.1, "js_retrained_test": 0.1, "loss_forget": 0.1, "UA": 0.1}
    retrained = [names | {n: 0.5 + sign * v for n, v in shifts.items()} for sign in (-1, 1)]
    # Spread 0.1414: 0.8 is more than five times that, 0.6 is not; no spread tells nothing; losses and copies neither.
    assert telling_gaps(original, retrained) == {"zrf": pytest.approx(0.8)}


def test_a_range_is_counted_in_gaps():
    curve = FLAT | {"zrf": [0, 0.1, 0, 0, 0, 0, 0.2], "js_retrained_test": [0.3, 0.3, 0.35, 0.3, 0.3, 0.3, 0.3]}
    one = walk("npo", t=FINE, metrics=curve)
    assert widest_range(one, {"zrf": 0.5}) == pytest.approx(0.4)
    assert widest_range(one, GAPS) == pytest.approx(0.5)


def test_c10_is_the_median_over_connected_paths():
    widths = dict(zip(RING, (0.1, 0.15, 0.3, 0.5, 9.0), strict=True))
    metrics = lambda p: FLAT | {"zrf": 0.5 * widths[p] * np.eye(7)[3]}  # noqa: E731
    found = judge("C10", measured(metrics))
    assert (found.effect, found.n_pairs, found.verdict) == (pytest.approx(0.3), 10, "undecided")
    assert found.low == 0  # no range is below
    apart = ours(measured(FLAT, eps=0.3, condition="fo-so"))
    assert judge("C10", measured(metrics) + apart) == found
    assert TESTS["C10"][1](measured(metrics), {}).n_pairs == 0
    # One method far off on one pair of seeds moves neither the median nor what is known of it.
    curve = FLAT | {"zrf": 25 * np.eye(7)[3]}
    wild = walk("scrub", 0.05, pair=RING[4], t=FINE, metrics=curve, scores=((0,) * 7,) * 2)
    narrow = measured(lambda p: FLAT | {"zrf": 0.05 * (1 + RING.index(p)) * np.eye(7)[3]}, methods=METHODS[3:6])
    assert judge("C10", [*narrow, wild]).high < 2 < 20 < widest_range(wild, GAPS)


# C11


def test_the_best_inner_point_is_chosen_on_one_half_and_tested_on_the_other():
    choose, test = (0.99, 0.6, 0.9, 0.6, 0.9, 0.6, 0.95), (0.5, 0.9, 0.7, 0.9, 0.2, 0.9, 0.65)
    t, gain = best_inner(walk("npo", t=FINE, scores=(choose, test)))
    assert t == FINE[2]  # neither end, and of equals the first
    assert gain == pytest.approx(0.7 - 0.65)


def test_c11_is_the_share_of_paths_that_gain():
    found = judge("C11", better(lambda p: p in RING[:3]))
    assert (found.effect, found.n_pairs, found.n_seeds, found.verdict) == (0.6, 10, 5, "undecided")
    equal = measured(FLAT, scores=((0.5,) * 7, (0.5,) * 7))
    assert judge("C11", equal).effect == 0  # as good as an end is no better


# C12


def test_c12_is_the_share_of_bad_teacher_fits_that_are_worse_than_the_line():
    eps = (0.1, 0.19, 0.21, 0.5)
    made = {"pairs": SINGLE[:4], "kinds": ("linear", "bezier")}
    walks = fitted(0.1, lambda k: eps[k], methods=("bad_teacher",), **made)
    found = c12(walks)
    assert (found.effect, found.n_pairs, found.verdict) == (0.5, 4, "undecided")
    others = fitted(0.0, 0.9, methods=METHODS[:2], **made)
    others += fitted(0.0, 0.9, methods=("bad_teacher",), variants=("no BatchNorm refresh", "retain only"), **made)
    assert c12(walks + ours(others)) == found


def test_c12_is_undecided_by_three_pairs_whatever_they_show():
    for eps in (0.15, 0.9):
        walks = fitted(0.1, eps, SINGLE[:3], ("bad_teacher",), kinds=("linear", "bezier"))
        assert c12(walks).verdict == "undecided"


# C13


def test_c13_is_the_rarer_of_line_only_and_curve_only():
    line, curve = (0.5, 0.5, 0.5, 0.0, 0.0), (0.0, 0.0, 0.5, 0.5, 0.0)
    found = c13(lines_and_curves(lambda k: line[k], lambda k: curve[k]))
    assert (found.effect, found.n_pairs, found.n_seeds) == (pytest.approx(1 / 5), 30, 5)
    turned = c13(lines_and_curves(lambda k: curve[k], lambda k: line[k]))
    assert turned.effect == found.effect
    assert c13(lines_and_curves(0.5, 0.0)).effect == 0


def test_c13_is_no_surer_than_the_less_certain_side():
    """The two shares are equal, but on one side the examples do not tell."""
    sure = lines_and_curves(lambda k: 0.5 * (k % 2), lambda k: 0.5 * (k % 2 == 0), pairs=many(20))
    unsure = {"replicates/barrier_retain": np.random.default_rng(0).normal(0.2, 0.4, 60)}  # 0.1 G, give or take
    for side in ("linear", "bezier"):
        shaken = [
            replace(w, profile=ProfileOf(w.profile.arrays | unsure)) if w.kind == side and w.eps < 0.05 else w
            for w in ours(sure)
        ]
        found = c13(shaken + controls())
        assert found.effect == c13(sure).effect and found.low < c13(sure).low


def test_curves_are_set_beside_each_other_by_pair():
    walks = fitted(0.0, 0.5, RING[:2], METHODS[:2])
    both = beside(
        walks + [walk("npo", pair=(1, 2), variant="own", kind="bezier")], ("own", "bezier"), ("authors", "bezier")
    )
    assert [(a.method, a.start, a.eps, b.eps) for a, b in both] == [
        (m, p[0], 0.0, 0.5) for m in METHODS[:2] for p in RING[:2]
    ]
    assert all((a.method, a.start, a.end) == (b.method, b.start, b.end) for a, b in both)


# C15


def test_the_distance_from_the_chord_is_counted_in_changes():
    bump = 1 - 2 * np.abs(FINE - 0.5)
    for change, side in ((2.0, 0.6), (-2.0, 0.6), (2.0, -0.6)):
        one = walk("npo", t=FINE, metrics={"loss_forget": 5 + change * FINE + side * bump})
        assert nonlinearity(one) == pytest.approx(0.3)
    assert np.isnan(nonlinearity(walk("npo", t=FINE, metrics={"loss_forget": bump})))


def test_c15_is_the_mean_over_methods_and_seeds():
    found = judge("C15", forgetting(0.3))
    assert (found.effect, found.n_pairs, found.n_seeds) == (pytest.approx(0.3), 18, 3)
    unchanged = walk("rest", pair=(42, 42), condition="forgetting", t=FINE, metrics={"loss_forget": np.zeros(7)})
    assert judge("C15", [*forgetting(0.3), unchanged]) == found
    assert judge("C15", forgetting(0.1)).verdict == "undecided"


def test_c15_resamples_its_seeds():
    """Methods agree and three seeds do not: eighteen lines are no more than three."""
    shifts = dict(zip((42, 87, 21), (0.0, 0.3, 0.6), strict=True))
    bump = 1 - 2 * np.abs(FINE - 0.5)
    lines = [
        walk(m, pair=(s, s), condition="forgetting", t=FINE, metrics={"loss_forget": FINE + shifts[s] * bump})
        for m in METHODS
        for s in shifts
    ]
    found, half = judge("C15", lines + apart()), student.ppf(0.975, 2) * 0.3 / np.sqrt(3)
    assert found.effect == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half))


# C16


def test_c16_is_the_share_of_methods_that_lie_further_off_than_retrained_models():
    barriers = dict(zip(METHODS, (0.0, 0.2, 0.29, 0.31, 0.4, 1.0), strict=True))
    found = c16(retraining(lambda m: barriers[m]))
    assert (found.effect, found.n_pairs, found.n_seeds) == (0.5, 18, 3)
    assert found.verdict == "undecided"
    assert c16(retraining(lambda m: barriers[m], base=0.0)).effect == pytest.approx(5 / 6)


def test_c16_compares_models_of_the_same_initial_weights():
    walks = retraining(0.5)
    others = [replace(w, variant="other init") for w in ours(retraining(0.0))]
    assert c16(walks + others) == c16(walks)


def test_c16_takes_means_over_seeds_and_resamples_them():
    """Half of the methods exceed the level by the mean of three seeds, but one of these lies below it."""
    sure = retraining(lambda m: 0.5 if METHODS.index(m) % 2 else 0.0)
    shifts = dict(zip((42, 87, 21), (0.9, 0.45, 0.0), strict=True))
    unsure = [
        replace(w, profile=walk(w.method, shifts[w.start], pair=(w.start, w.end)).profile)
        if w.role == "method" and METHODS.index(w.method) % 2
        else w
        for w in sure
    ]
    assert c16(sure).effect == c16(unsure).effect == 0.5
    assert c16(unsure).low < c16(sure).low


def test_c16_without_retrained_models_judges_nothing():
    assert c16([w for w in retraining(0.5) if w.condition != "retrained"] + apart()).n_pairs == 0


# C21


def test_c21_is_supported_when_retain_connects_and_forget_does_not(cases):
    found = cases["C21"][0][1]
    assert (found.effect, found.n_pairs) == (1.0, 60)


def test_c21_asks_only_paths_without_a_retain_barrier():
    def barrier(method, kind, pair):
        return 0.5 if method in METHODS[:4] else 0.0

    found = c21(study(barrier, deficit=lambda m, k, p: 0.3 if m in METHODS[:5] else 0.0))
    assert (found.effect, found.n_pairs) == (0.5, 10)


def test_c21_never_takes_nan_for_behaviour_that_is_kept():
    assert c21(study(deficit=float("nan"))).effect == 1.0


def test_c21_is_undecided_by_few_connected_paths():
    found = c21(study())
    assert (found.effect, found.verdict) == (0.0, "undecided")  # five seeds cannot exclude a share of 5 %


@pytest.mark.parametrize("count", [2, 3])
def test_c21_is_undecided_by_one_hit_among_few_pairs(count):
    """Wilson's interval alone would lie above 5 %."""
    walks = study(deficit=lambda m, k, p: 0.3 * (p == SINGLE[0]), methods=("npo",), pairs=SINGLE[:count])
    found = c21(walks)
    assert found.effect == 1 / count and wilson(1 / count, count)[0] > 0.05
    assert (found.low, found.verdict) == (0.0, "undecided")


def test_c21_without_any_connected_path_is_undecided():
    found = c21(study(barrier=0.5))
    assert (found.verdict, found.n_pairs, found.n_seeds) == ("undecided", 0, 0)


# C23 and C24


def test_a_difference_of_shares_is_newcombe_s():
    """56 of 70 against 48 of 80 is the paper's own example: 0.0524 to 0.3339."""
    shares = [Interval(k / n, *wilson(k / n, n)) for k, n in ((56, 70), (48, 80))]
    assert difference(*shares) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_what_another_seed_of_the_fit_changes_too_does_not_count():
    """Of five pairs, the fit changes three verdicts, and another seed one of these and one more: 3/5 - 2/5."""
    other, again = (0.5, 0.5, 0.5, 0.0, 0.0), (0.5, 0.0, 0.0, 0.5, 0.0)
    for claim, variant in (("C23", "retain only"), ("C24", "authors")):
        walks = refitted(0.0, lambda k: other[k], lambda k: again[k], variant)
        found = judge(claim, walks)
        assert (found.effect, found.n_pairs, found.verdict) == (pytest.approx(1 / 5), 30, "undecided")
        assert judge(claim, [w for w in walks if w.variant != "refit"]).n_pairs == 0


@pytest.mark.parametrize(("claim", "other"), [("C23", "retain only"), ("C24", "authors")])
def test_conclusions_differ_where_one_of_two_curves_connects(claim, other):
    first, second = (0.0, 0.0, 0.5, 0.5, 0.5), (0.0, 0.5, 0.0, 0.5, 0.6)
    walks = refitted(lambda k: first[k], lambda k: second[k], lambda k: first[k], other)
    found = judge(claim, walks)
    assert (found.effect, found.n_pairs, found.n_seeds) == (pytest.approx(2 / 5), 30, 5)
    lines = fitted(0.0, 0.5, variants=("own", other), kinds=("linear", "linear"))
    more = fitted(0.0, 0.5, variants=("full", "uniform t"))
    assert judge(claim, walks + ours(lines) + ours(more)) == found


# Another tolerance

half = lambda m, k, p: 0.15 if (METHODS.index(m) % 2) == (k == "linear") else 0.0  # noqa: E731
AT_0_15 = {  # walks whose smallest eps is 0.15 where it matters, and the effect at 0.1 and at 0.2
    "C1": (study(0.0, 0.15), 0.0, 1.0),
    "C13": (study(0.0, half, kinds=("linear", "bezier"), variant="own"), 0.5, 0.0),
    "C21": (study(0.0, 0.15), 1.0, 0.0),
}


@pytest.mark.parametrize("claim", AT_0_15)
def test_a_claim_about_mcu_can_be_judged_at_another_tolerance(claim):
    walks, strict, loose = AT_0_15[claim]
    assert verdict_of(claim, walks).effect == strict and verdict_of(claim, walks, 0.2).effect == loose


def test_what_joins_at_another_tolerance_is_compared_at_it():
    walks = measured(FLAT, eps=0.15)
    assert joined(walks) == [] and joined(walks, 0.2) == ours(walks)


@pytest.mark.parametrize("claim", sorted(TESTS))
def test_the_tolerance_is_in_the_words_of_exactly_the_tests_that_take_one(claim):
    import inspect

    takes = "eps" in inspect.signature(TESTS[claim][1]).parameters
    assert takes == (CLAIMS[claim].measured(0.2) != CLAIMS[claim].statistic)
    assert CLAIMS[claim].measured() == CLAIMS[claim].statistic


@pytest.mark.parametrize("eps", [-0.1, float("nan"), "0.1", True])
def test_a_tolerance_that_is_none_is_refused(eps):
    with pytest.raises(BadInput, match="the tolerance epsilon must be a finite number of at least 0"):
        verdict_of("C1", study(), eps)
