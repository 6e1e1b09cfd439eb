"""10's shadow pool: what is computed, what it tells on made numbers, N4, and attacks on both."""

from collections import Counter
from dataclasses import replace

import made_privacy as made
import numpy as np
import pytest

from mcutils.data.shadows import SHADOWS, SHARE
from mcutils.engine.specs import PhiSpec, UnlearnedSpec, key
from mcutils.engine.store import Store
from mcutils.engine.study import study as open_study
from mcutils.engine.upkeep import pack
from mcutils.errors import BadInput
from mcutils.measures.roc import auc
from mcutils.measures.shadow_pool import left_out, over_models
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


def test_the_pool_ships_as_half_precision_in_four_megabytes(eight, tmp_path):
    """Made confidences of one shadow at the sizes of `laptop`; where each lies is as noisy as in trained models."""
    rng, store = np.random.default_rng(0), Store(tmp_path / "store")
    sizes = {"forget_targets": 2000, "keep_targets": 1000, "valid": 1000}
    specs = room.scores(eight, 5)
    for spec in specs.values():
        phi = {split: rng.normal(4, 4, (spec.points, n)).astype(np.float16) for split, n in sizes.items()}
        arrays = {f"phi/{split}": values for split, values in phi.items()}
        arrays |= {f"right/{split}": values > 0 for split, values in phi.items()}
        store.put(spec, arrays | {f"accuracy/{s}": np.ones(spec.points) for s in ("retain", "test")}, 1.0)
    size = pack({"shadow": [key(spec) for spec in specs.values()]}, [store.folder], tmp_path / "shipped")
    assert SHADOWS * size < 4.5e6
    shipped = Store(tmp_path / "none", [tmp_path / "shipped"])
    for spec in specs.values():
        kept, own = shipped.get(spec), store.get(spec)
        assert all(kept[name].dtype == own[name].dtype and (kept[name] == own[name]).all() for name in own)
        assert kept["phi/valid"].dtype == np.float16 and kept["right/valid"].dtype == bool


# What is told


def test_areas_are_those_of_models_left_out_and_worked_out_once():
    pool = made.pool(made.Truth(shadows=8))
    found = room.areas(pool, "forget")
    phi, who = pool.phi["npo"]["forget_targets"], pool.held["forget"]
    expected = [over_models(auc, left_out(one, who), who) for one in phi]
    np.testing.assert_allclose(found["npo"], expected)
    assert room.areas(pool, "forget") is found and room.areas(pool, "forget", range(8)) is found
    part = pool.of([0, 1, 2, 3, 4, 5])
    assert part is pool.of([0, 1, 2, 3, 4, 5]) and pool.of(range(8)) is pool and part.shadows == 6
    np.testing.assert_allclose(room.areas(pool, "keep", range(6))["scrub"], room.areas(part, "keep")["scrub"])
    one = room.intervals(pool, "forget")["original"][0]
    assert one.low < one.estimate < one.high and one.estimate == pytest.approx(float(found["original"][0]))


def test_a_method_that_never_unlearned_fails_the_gate_of_the_pool():
    pool = made.pool(made.Truth(told=3.0, left=0.2))
    lost = {**pool.phi["npo"], "forget_targets": pool.phi["original"]["forget_targets"]}
    pool = replace(pool, phi={**pool.phi, "npo": lost}, right={
        **pool.right, "npo": {s: v > 0 for s, v in lost.items()}})  # fmt: skip
    passed, left = room.forgetting(pool)
    assert "npo" not in passed and "scrub" in passed and left[0].startswith("npo is left out: did not forget")
    gates = room.pool_gates(pool)
    assert gates["npo"].loss == pytest.approx(0) and gates["scrub"].kept == pytest.approx(1)


def test_models_like_retrained_ones_are_told_so():
    pool = made.pool(made.Truth(told=3.0, left=0.0, seed=4))
    found = room.likeness(pool)
    for name in ("npo", "retrained"):
        assert found[name].quality.median_epsilon < found["original"].quality.median_epsilon
        assert found[name].complete > found["original"].complete + 0.1
        assert found[name].klom["forget"][0] < found["original"].klom["forget"][0] / 2
    assert found["npo"].klom["forget"][0] == pytest.approx(found["retrained"].klom["forget"][0], abs=0.3)
    assert found["npo"].quality.largest == pytest.approx(np.log(7), abs=0.01)


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
