"""Attempts to make the rows of 10 (C14, N4, N6) decide something on numbers that tell nothing."""

from dataclasses import replace

import made_privacy as made
import numpy as np
import pytest

from mcutils.data.shadows import SPLITS
from mcutils.paper import privacy as room, privacy_pool, trials
from mcutils.paper.privacy import Attacks, Privacy

UNDECIDED = {"undecided"}
NEVER = {"contradicted", "undecided"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(trials, "DRAWS", 0)
    monkeypatch.setattr(room, "DRAWS", 100)


@pytest.fixture(scope="module")
def walked():
    return made.walks()


@pytest.fixture(scope="module")
def planted():
    """What would support every row."""
    return made.privacy(made.Truth(bump=0.5, apart=0.5, returned=0.4, worse=1.0, noise=0.01))


def words(walked, privacy, rows=("C14", "between", "N4", "beside", "N6")):
    tests = {
        "C14": room.c14_row,
        "between": room.c14_between_row,
        "N4": room.n4_row,
        "beside": lambda *given: room.n4_row(*given, beside=room.ANEW),
        "N6": room.n6_row,
    }
    return {name: tests[name](walked, privacy).verdict for name in rows}


def with_pool(privacy, pool):
    return Privacy(privacy.attacks, privacy.rounded, pool, privacy.levels)


def test_what_is_planted_is_found(walked, planted):
    assert set(words(walked, planted).values()) == {"supported"}


def test_ends_that_never_unlearned_decide_nothing(planted):
    from made_worlds import Shape

    same = made.walks(shape=lambda labels: Shape(ends=(0.02, 0.02)))
    assert set(words(same, planted, ("C14", "between", "N6")).values()) == UNDECIDED


def test_originals_under_other_names_decide_nothing(planted):
    walks = made.walks(originals=4)
    doubled = walks + [replace(w, original=w.original + 4) for w in walks]
    assert set(words(doubled, planted, ("C14", "between", "N6")).values()) == UNDECIDED


def test_few_originals_and_failed_controls_decide_nothing(walked, planted):
    three = [w for w in walked if w.original < 3]
    assert set(words(three, planted, ("C14", "between", "N6")).values()) == UNDECIDED
    bare = [w for w in walked if not w.control]
    assert set(words(bare, planted, ("C14", "between")).values()) == UNDECIDED


def test_methods_dealt_at_random_are_no_difference_between_methods(walked, planted):
    rng, lines = np.random.default_rng(0), dict(planted.attacks.lines)
    for o in range(8):
        places = [place for place in lines if place[0] == o]
        starts = rng.permutation([lines[place][room.ATTACK][k] for place in places for k in (0, -1)]).reshape(-1, 2)
        for place, (first, last) in zip(places, starts, strict=True):
            lines[place] = {**lines[place], room.ATTACK: first + (last - first) * made.T}
    a = planted.attacks
    dealt = replace(planted, attacks=Attacks(lines, a.originals, a.retrained, a.twins))
    assert words(walked, dealt, ("between",))["between"] in NEVER


def test_an_attack_that_tells_nothing_or_noise_alone_is_no_range(walked, planted):
    a = planted.attacks
    blind = {o: {name: v - made.UNIT for name, v in one.items()} for o, one in a.originals.items()}
    assert words(walked, replace(planted, attacks=replace(a, originals=blind)), ("C14",))["C14"] == "undecided"
    rng = np.random.default_rng(1)
    noisy = {p: {room.ATTACK: 0.53 + 0.02 * rng.normal(size=11)} for p in a.lines}
    twins = [(o, {room.ATTACK: 0.53 + 0.02 * rng.normal(size=11)}) for o in range(8)]
    of_noise = replace(planted, attacks=Attacks(noisy, a.originals, a.retrained, twins))
    assert words(walked, of_noise, ("C14",))["C14"] in NEVER


def test_identical_models_and_shadows_under_two_names_decide_nothing(walked, planted):
    pool = planted.pool
    same = with_pool(planted, replace(pool, phi=dict.fromkeys(pool.phi, pool.phi["npo"])))
    assert set(words(walked, same, ("N4", "beside")).values()) == UNDECIDED
    twice = pool.of([*range(8), *range(8)])
    assert set(words(walked, with_pool(planted, twice), ("N4", "beside")).values()) == UNDECIDED
    jitter = np.random.default_rng(0)
    near = {
        name: {s: v + 1e-3 * jitter.normal(size=v.shape) for s, v in one.items()} for name, one in twice.phi.items()
    }
    assert set(words(walked, with_pool(planted, replace(twice, phi=near)), ("N4", "beside")).values()) == UNDECIDED


def test_labels_shuffled_tell_no_one_who_stays(walked, planted):
    rng, pool = np.random.default_rng(2), planted.pool
    shuffled = {kind: rng.permuted(who, axis=0) for kind, who in pool.held.items()}
    assert set(words(walked, with_pool(planted, replace(pool, held=shuffled)), ("N4", "beside")).values()) == UNDECIDED
    only = {**pool.held, "keep": shuffled["keep"]}  # with controls that hold
    assert set(words(walked, with_pool(planted, replace(pool, held=only)), ("N4", "beside")).values()) <= NEVER


def test_a_pool_that_never_unlearned_or_saw_what_was_to_forget_decides_nothing(walked, planted):
    pool, split = planted.pool, SPLITS["forget"]
    lost = {n: {**one, split: pool.phi["original"][split]} for n, one in pool.phi.items() if n != "retrained"}
    saw = with_pool(planted, replace(pool, phi={**pool.phi, "retrained": {**pool.phi["retrained"], split: (
        pool.phi["original"][split])}}))  # fmt: skip
    assert set(words(walked, saw, ("N4", "beside")).values()) == UNDECIDED
    right = {n: {s: v > 0 for s, v in one.items()} for n, one in {**pool.phi, **lost}.items()}
    never = with_pool(planted, replace(pool, phi={**pool.phi, **lost}, right=right))
    assert privacy_pool.forgetting(never.pool)[0] == []
    assert set(words(walked, never, ("N4", "beside")).values()) == UNDECIDED


def test_what_rounding_does_to_every_model_is_no_return(walked, planted):
    both = made.Truth(returned=0.4, returned_anew=0.4, noise=0.01)
    assert words(walked, replace(planted, rounded=made.rounded(both)), ("N6",))["N6"] in NEVER
