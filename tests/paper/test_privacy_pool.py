"""10's shadow pool: what is computed, what it tells on made numbers, N4, and attacks on both."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mcutils.data.shadows import SHADOWS, SHARE
from mcutils.engine.specs import PhiSpec, UnlearnedSpec, key
from mcutils.engine.study import study as open_study
from mcutils.errors import BadInput
from mcutils.paper import privacy_pool as room
from mcutils.paper.archives import shard

METHODS = ("npo", "scrub", "l1_sparse")


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    return open_study("laptop", store=str(tmp_path_factory.mktemp("none")), fresh=True)


# What is computed


def test_the_pool_has_all_models_of_every_shadow_once(eight):
    specs = room.pool_needs(eight)
    assert len(specs) == SHADOWS * (2 + 6) and len({key(one) for one in specs}) == len(specs)
    assert all(isinstance(one, PhiSpec) and one.weighted for one in specs)
    assert Counter(one.points for one in specs) == {1: SHADOWS * 5, 3: SHADOWS * 3}
    one = room.scores(eight, 5)
    assert one["original"].model.data.shadow == one["npo"].model.data.shadow == one["retrained"].model.data.shadow == 5
    seeds = {(spec.model.seed, type(spec.model)) for spec in specs if hasattr(spec.model, "plan")}
    trained = {one.model.seed for one in specs if one.model is room.trained(eight, one.model.data.shadow)}
    assert len(seeds) >= 2 * SHADOWS and len(trained) <= SHADOWS
    assert {s.model.forget for s in one.values() if isinstance(s.model, UnlearnedSpec)} == {SHARE}


def test_shadows_share_no_model_with_any_other_and_trainings_are_apart(eight):
    made = [room.trained(eight, j) for j in range(SHADOWS)] + [room.retrained(eight, j) for j in range(SHADOWS)]
    assert len({one.seed for one in made}) == 2 * SHADOWS
    assert not {one.seed for one in made} & set(range(500))  # those of originals, of N1 and of unlearning
    assert all(one.data.draw == 0 for one in made)


def test_a_shadow_is_a_shard_with_all_that_hangs_on_it(eight):
    specs = room.pool_needs(eight)
    found = shard(specs, room.TRAINED + 7)
    assert set(found) == set(room.scores(eight, 7).values())
    assert sum(len(shard(specs, room.TRAINED + j)) for j in range(SHADOWS)) == len(specs)


# N4


def made_pool(effect, models=16, targets=400, seed=0):
    """Keep targets leave a trace of ``before`` in models, and of ``before + effect`` once unlearned."""
    rng = np.random.default_rng(seed)
    halves = rng.permuted(np.tile(np.repeat([True, False], targets // 2), (models // 2, 1)), axis=1)
    who = np.stack([halves, ~halves], axis=1).reshape(models, targets)
    hard = rng.normal(2, 2, targets)

    def phi(strength):
        return {"keep_targets": (hard + rng.normal(size=(models, targets)) + strength * who)[None]}

    names = {"original": 0.5, "retrained": 0.5, **{m: 0.5 + effect for m in METHODS}}
    return room.Pool({name: phi(strength) for name, strength in names.items()}, {"keep": who}, {})


@pytest.mark.parametrize("beside", ["original", "retrained"])
def test_n4_finds_what_unlearning_did_to_those_who_stay(beside):
    found = room.n4(made_pool(1.0), METHODS, beside)
    assert found.verdict == "supported" and 0.05 < found.effect.estimate < 0.3
    assert (found.null is None) == (beside == "retrained")
    assert room.n4(made_pool(-0.5), METHODS, beside).verdict == "contradicted"
    assert room.n4(made_pool(0.0), METHODS, beside).verdict != "supported"


def test_n4_of_shuffled_targets_of_the_same_models_and_of_few_shadows_says_nothing():
    pool = made_pool(1.0)
    rng = np.random.default_rng(3)
    mixed = replace(pool, held={"keep": rng.permuted(pool.held["keep"], axis=0)})
    assert room.n4(mixed, METHODS).verdict != "supported"
    copies = replace(pool, phi=dict.fromkeys(pool.phi, pool.phi["npo"]))
    same = room.n4(copies, METHODS)
    assert same.effect.estimate == 0 and same.verdict == "contradicted"
    few = room.n4(made_pool(1.0, models=6), METHODS)
    assert few.verdict == "undecided" and "6 shadows are too few" in few.notes
    with pytest.raises(BadInput, match="the pool lacks salun"):
        room.n4(pool, ["salun"])


def test_controls_of_the_pool_are_noticed():
    def with_forget(before, anew, seed=0):
        pool = made_pool(0.0, seed=seed)
        rng = np.random.default_rng(seed)
        hard, who = rng.normal(2, 2, 400), pool.held["keep"]
        made = {name: (hard + rng.normal(size=who.shape) + s * who)[None] for name, s in before_and(before, anew)}
        phi = {name: {**pool.phi[name], "forget_targets": made[name]} for name in made}
        return replace(pool, phi=phi, held={**pool.held, "forget": who})

    def before_and(before, anew):
        return [("original", before), ("retrained", anew)]

    assert room.pool_controls(with_forget(1.0, 0.0)) == []
    (only,) = room.pool_controls(with_forget(1.0, 1.0))
    assert "retrained models tell who was to be forgotten" in only
    assert any("does not find" in said for said in room.pool_controls(with_forget(0.0, 0.0)))
    refused = room.n4(made_pool(1.0), METHODS, refused=[only])
    assert refused.verdict == "undecided" and only in refused.notes
