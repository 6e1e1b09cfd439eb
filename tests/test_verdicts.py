"""Verdicts: constructed walks come out supported, contradicted or undecided as they were made to."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic import RING, controls, walk

from mcutils.settings import BadInput
from mcutils.verdicts import TESTS, c1, c2, c21, connected_share, controls_hold, sound

METHODS = ("npo", "scrub", "salun", "l1_sparse", "bad_teacher", "random_labels")


def study(barrier=0.0, deficit=0.0, methods=METHODS, pairs=RING, kinds=("linear",), held=None, **options):
    """Walks of each method, pair and kind, and controls; numbers, or functions of (method, kind, pair)."""
    value = lambda v, *where: v(*where) if callable(v) else v  # noqa: E731
    made = [
        walk(m, value(barrier, m, k, p), value(deficit, m, k, p), p, k, seed=METHODS.index(m), **options)
        for m in methods
        for p in pairs
        for k in kinds
    ]
    return made + (controls() if held is None else held)


def many(count):
    """A ring of so many seeds."""
    return [(k, (k + 1) % count) for k in range(count)]


# Which walks count


def test_collapsed_walks_and_controls_are_left_out():
    good, bad = walk("npo"), walk("npo", collapsed=("t = 0: chance",))
    assert sound([good, bad, *controls()]) == [good]
    with pytest.raises(BadInput, match="no walk between sound endpoints is left"):
        sound([bad, *controls()])


@pytest.mark.parametrize("test", TESTS.values(), ids=TESTS)
def test_collapsed_walks_change_nothing(test):
    walks = study(deficit=lambda m, k, p: 0.2 * METHODS.index(m))
    broken = [walk("gradient_ascent", 9.0, 9.0, p, collapsed=("t = 1: chance",)) for p in RING]
    assert test(walks + broken) == test(walks)


def test_the_registry_holds_the_three_claims():
    assert TESTS == {"C1": c1, "C2": c2, "C21": c21}
    for name, test in TESTS.items():
        found = test(study())
        assert (found.claim, found.notebook) == (name, "02_seeds")


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
    apart, twin = controls()
    other = walk("fine-tuned twin", 0.0, 0.3, role="control")
    assert controls_hold([apart, twin]) and not controls_hold([apart, other])


# C1


def test_c1_counts_pairs_by_their_better_curve():
    def barrier(method, kind, pair):
        return 0.5 if (kind == "linear") == (METHODS.index(method) % 2 == 0) else 0.0

    walks = study(barrier, kinds=("linear", "bezier"))
    found = c1(walks)
    assert (found.effect, found.n_pairs, found.n_seeds) == (1.0, len(METHODS) * len(RING), 5)
    assert found.verdict == "supported"
    assert c1([w for w in walks if w.kind == "linear" or w.role == "control"]).effect == 0.5


@pytest.mark.parametrize(
    ("barrier", "deficit", "expected"),
    [
        (0.0, 0.0, "supported"),
        (0.05, 0.05, "supported"),
        (0.5, 0.0, "contradicted"),
        (0.0, 0.5, "contradicted"),
        (lambda m, k, p: 0.5 * (METHODS.index(m) % 2), 0.0, "undecided"),
    ],
)
def test_c1_comes_out_as_constructed(barrier, deficit, expected):
    found = c1(study(barrier, deficit))
    assert found.verdict == expected
    assert found.low <= found.effect <= found.high


def test_c1_is_undecided_when_the_examples_do_not_tell():
    walks = study(0.095, noise=0.05)
    assert c1(walks).effect == 1.0
    assert c1(walks).verdict == "undecided"
    assert c1(study(0.095, noise=0.001)).verdict == "supported"


def test_c1_keeps_originals_and_pairs_apart():
    walks = study(methods=("npo",)) + [replace(w, original=1) for w in study(methods=("npo",), held=[])]
    assert connected_share(sound(walks))[1:] == (10, 5)


# C2


def by_method(method, kind, pair):
    return 0.3 * METHODS.index(method) + 0.01 * RING.index(pair)


def test_c2_is_supported_when_methods_differ():
    found = c2(study(deficit=by_method))
    assert found.verdict == "supported"
    assert found.effect > 0.95 and found.p < 0.05 / 3
    assert (found.n_pairs, found.n_seeds) == (30, 5)


@pytest.mark.parametrize("seed", range(5))
def test_c2_loses_its_support_when_methods_are_shuffled(seed):
    walks = study(deficit=by_method, held=[])
    names = np.random.default_rng(seed).permutation([w.method for w in walks])
    shuffled = [replace(w, method=str(name)) for w, name in zip(walks, names, strict=True)]
    found = c2(shuffled + controls())
    assert found.p > 0.05 / 3
    assert found.verdict == "undecided"


def test_c2_is_contradicted_when_methods_do_not_matter():
    assert c2(study(deficit=0.0)).verdict == "contradicted"
    pairs = many(80)
    found = c2(study(deficit=lambda m, k, p: 0.01 * (p[0] % 7), methods=METHODS[:3], pairs=pairs))
    assert found.verdict == "contradicted"
    assert found.effect == pytest.approx(0, abs=1e-12) and found.high < 0.1 and found.p > 0.5


def test_c2_is_undecided_with_few_pairs_of_equal_methods():
    found = c2(study(deficit=lambda m, k, p: 0.01 * RING.index(p)))
    assert found.verdict == "undecided"  # five pairs each cannot show that a share is below a tenth


def test_c2_looks_at_straight_lines_only():
    walks = study(deficit=by_method)
    curves = study(deficit=5.0, kinds=("bezier",), held=[])
    assert c2(walks + curves) == c2(walks)


def test_c2_needs_straight_lines():
    with pytest.raises(BadInput, match="C2 is judged on straight paths"):
        c2(study(kinds=("bezier",)))


def test_c2_with_one_method_is_not_supported():
    assert c2(study(deficit=by_method, methods=("npo",))).verdict != "supported"


def test_c2_is_the_same_on_every_call():
    walks = study(deficit=by_method)
    assert c2(walks) == c2(walks)


# C21


def test_c21_is_supported_when_retain_connects_and_forget_does_not():
    found = c21(study(deficit=0.3, kinds=("linear", "bezier")))
    assert found.verdict == "supported"
    assert (found.effect, found.n_pairs) == (1.0, 60)


def test_c21_asks_only_paths_without_a_retain_barrier():
    def barrier(method, kind, pair):
        return 0.5 if method in METHODS[:4] else 0.0

    found = c21(study(barrier, deficit=lambda m, k, p: 0.3 if m in METHODS[:5] else 0.0))
    assert (found.effect, found.n_pairs) == (0.5, 10)


def test_c21_never_takes_nan_for_behaviour_that_is_kept():
    assert c21(study(deficit=float("nan"))).effect == 1.0


def test_c21_is_contradicted_by_many_connected_paths_and_undecided_by_few():
    assert c21(study(pairs=many(90), methods=("npo",))).verdict == "contradicted"
    found = c21(study())
    assert (found.effect, found.verdict) == (0.0, "undecided")  # five seeds cannot exclude a share of 5 %


def test_c21_without_any_connected_path_is_undecided():
    found = c21(study(barrier=0.5))
    assert (found.verdict, found.n_pairs, found.n_seeds) == ("undecided", 0, 0)


# A failed control


@pytest.mark.parametrize(
    ("test", "walks"),
    [
        (c1, study(held=[])),
        (c1, study(0.5, held=[])),
        (c2, study(deficit=by_method, held=[])),
        (c2, study(held=[])),
        (c21, study(deficit=0.3, held=[])),
    ],
    ids=["C1 supported", "C1 contradicted", "C2 supported", "C2 contradicted", "C21 supported"],
)
def test_a_failed_control_leaves_everything_undecided(test, walks):
    sound = test(walks + controls())
    assert sound.verdict != "undecided"
    for held in (controls(apart=0.0), controls(twin=1.0), []):
        assert test(walks + held) == replace(sound, verdict="undecided")
