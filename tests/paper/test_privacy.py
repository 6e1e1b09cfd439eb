"""10's needs and the declared tests of C14, N4 and N6, on made numbers: the word, the null, and attacks on them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from made_worlds import Shape, World, walk

from mcutils.cli.stores import planned
from mcutils.data.shadows import SHARE
from mcutils.engine.kinds import parents
from mcutils.engine.specs import CurveSpec, MembershipSpec, MetricSpec, OriginalSpec, PhiSpec, UnlearnedSpec, key
from mcutils.engine.study import study as open_study
from mcutils.errors import BadInput
from mcutils.paper import privacy
from mcutils.paper.archives import shard
from mcutils.paper.registry import PRICED_APART

T = np.linspace(0, 1, 11)
BOW = 4 * T * (1 - T)
METHODS = ("npo", "scrub", "l1_sparse")
UNITS = dict.fromkeys(range(8), 0.1)


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    return open_study("laptop", store=str(tmp_path_factory.mktemp("none")), fresh=True)


# What is computed


def test_the_pool_has_all_models_of_every_shadow_once(eight):
    specs = privacy.pool_needs(eight)
    assert len(specs) == 32 * (2 + 8) and len({key(one) for one in specs}) == len(specs)
    assert all(isinstance(one, PhiSpec) and one.weighted for one in specs)
    assert Counter(one.points for one in specs) == {1: 32 * 7, 3: 32 * 3}
    one = privacy.scores(eight, 5)
    assert one["original"].model.data.shadow == one["npo"].model.data.shadow == one["retrained"].model.data.shadow == 5
    seeds = {(spec.model.seed, type(spec.model)) for spec in specs if hasattr(spec.model, "plan")}
    trained = {one.model.seed for one in specs if one.model is privacy.trained(eight, one.model.data.shadow)}
    assert len(seeds) >= 64 and len(trained) <= 32
    assert {s.model.forget for s in one.values() if isinstance(s.model, UnlearnedSpec)} == {SHARE}


def test_shadows_share_no_model_with_any_other_and_trainings_are_apart(eight):
    made = [privacy.trained(eight, j) for j in range(32)] + [privacy.retrained(eight, j) for j in range(32)]
    assert len({one.seed for one in made}) == 64
    assert not {one.seed for one in made} & set(range(500))  # those of originals, of N1 and of unlearning
    assert all(one.data.draw == 0 for one in made)


def test_along_paths_there_are_attacks_and_few_bits_beside_the_models_of_each_original(eight):
    found = privacy.along_needs(eight)
    lines, fit = privacy.lines(eight), len(eight.preset.fit)
    assert len(lines) == 8 * fit and all(line.held == ("retain", "forget", "valid", "test") for line in lines.values())
    attacked = [one for one in found if isinstance(one, MembershipSpec)]
    assert len(attacked) == 8 * fit + 8 + 8 * 3  # lines, twins, one original and two retrained models each
    assert all(one.retrained for one in attacked[: 8 * fit])
    bits = Counter(one.trace.bits for one in found if isinstance(one, MetricSpec))
    assert bits == dict.fromkeys((0, 8, 4), 8 * fit + 8 * 3)
    assert all(parent.model.data.draw == one.trace.model.data.draw for one in attacked for parent in parents(one))


def test_a_shadow_is_a_shard_with_all_that_hangs_on_it(eight):
    specs = privacy.pool_needs(eight)
    found = shard(specs, privacy.TRAINED + 7)
    assert set(found) == set(privacy.scores(eight, 7).values())
    assert sum(len(shard(specs, privacy.TRAINED + j)) for j in range(32)) == len(specs)


def test_it_is_priced_apart_and_in_small_on_every_preset(tmp_path):
    assert PRICED_APART["privacy"] is privacy.needs
    smoke = open_study("smoke", store=str(tmp_path), fresh=True)
    specs = planned(["privacy"], smoke)
    assert {one.model.data.shadow for one in specs if isinstance(one, PhiSpec)} == set(range(privacy.FEW))


class Answers:
    """A study whose results are made by a function of their specs."""

    def __init__(self, study, answer):
        self.study, self.answer = study, answer

    def __getattr__(self, name):
        return getattr(self.study, name)

    def run(self, specs):
        return [self.answer(spec) for spec in specs]


def of_model(spec):
    """(what, original, method) of a membership or metric along a line, to a twin, or of a model beside them."""
    model = spec.trace.model
    if isinstance(model, CurveSpec):
        twin = model.end.origin != model.start.origin
        return "twin" if twin else "line", model.start.origin.seed, model.start.method
    if isinstance(model, OriginalSpec):
        return "original", model.seed, ""
    return "retrained", model.data.draw, ""


def test_attacks_are_read_from_the_results_of_their_own_specs(eight):
    heights = {"line": 0.55, "twin": 0.51, "original": 0.63, "retrained": 0.52}

    def answer(spec):
        what, original, method = of_model(spec)
        points = 11 if what in ("line", "twin") else 1
        base = heights[what] + 0.001 * original + 0.0001 * len(method)
        return {privacy.ATTACK: base + 0.01 * np.arange(points)}

    found = privacy.along_of(Answers(eight, answer))
    assert set(found.areas) == {(o, m) for o in range(8) for m in eight.preset.fit}
    assert found.areas[3, "npo"] == pytest.approx(0.5533 + 0.01 * np.arange(11))
    assert found.ends[3, "npo"] == pytest.approx((0.5533, 0.6533))
    assert found.units == pytest.approx(dict.fromkeys(range(8), 0.11))
    assert [original for original, _ in found.twins] == list(range(8)) and all(len(a) == 11 for _, a in found.twins)
    assert set(found.within([(0, "npo"), (9, "npo")]).areas) == {(0, "npo")}


def test_accuracies_with_few_bits_are_those_of_the_ends(eight):
    def answer(spec):
        what, original, method = of_model(spec)
        base = {"line": 0.9, "original": 0.99, "retrained": 0.87}[what] + 0.001 * original
        along = 0.1 * np.linspace(0, 1, 11) if what == "line" else np.zeros(1)
        return {"values": base + along - 0.01 * (spec.trace.bits == 4) - 0.001 * (spec.trace.bits == 8)}

    four, eight_bits = (privacy.rounded_of(Answers(eight, answer), bits) for bits in (4, 8))
    assert four.ends[2, "npo"] == pytest.approx((0.942, 0.952)) and eight_bits.ends[2, "npo"][0] == pytest.approx(0.951)
    assert four.retrained[5] == [pytest.approx((0.865, 0.875))] * 2
    assert four.originals == pytest.approx({o: 0.99 + 0.001 * o for o in range(8)})
    found = privacy.n6(four.ends, four.retrained, four.originals)
    assert found.verdict == "contradicted" and found.n_originals == 8


def test_only_lines_that_are_joined_by_models_that_forgot_count():
    def shape(labels):
        if labels["method"] == "scrub":
            return Shape(dip=0.3)
        return Shape(ends=(0.1, 1.2)) if labels["method"] == "salun" else Shape()

    world = World(shape, points=11)
    seeds = {"original": 0, "kind": "linear", "start": 42, "end": 87}
    walks = [walk(world, method=m, **seeds) for m in ("npo", "scrub", "salun")]
    walks += [walk(world, method="npo", other="scrub", condition="method", **seeds)]
    walks += [walk(world, method="npo", **{**seeds, "original": 1, "kind": "bezier"})]
    walks += [walk(world, method="npo", form="tuned", **{**seeds, "original": 2})]
    assert privacy.joined(walks) == ({(0, "npo")}, {(0, "npo", "scrub")})


# C14


def areas(bump, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    rows = {}
    for original in range(8):
        for method in METHODS:
            rows[original, method] = 0.52 + 0.01 * rng.normal() * T + bump * BOW + noise * rng.normal(size=11)
    return rows


def twins(noise=0.0, seed=1):
    rng = np.random.default_rng(seed)
    return [(original, 0.52 + noise * rng.normal(size=11)) for original in range(8)]


def test_range_beyond_the_ends_is_what_no_end_shows():
    assert privacy.beyond_ends([0.5, 0.6, 0.7]) == pytest.approx(0)
    assert privacy.beyond_ends([0.5, 0.8, 0.6]) == pytest.approx(0.2)
    assert privacy.beyond_ends([0.6, 0.4, 0.6]) == pytest.approx(0.2)


@pytest.mark.parametrize(("bump", "word"), [(0.05, "supported"), (0.0, "contradicted"), (0.02, "undecided")])
def test_c14_finds_a_bump_of_half_of_what_was_to_unlearn_and_none_where_none_is(bump, word):
    found = privacy.c14(areas(bump, 0.0005), UNITS, twins(0.0005))
    assert found.verdict == word and found.n_originals == 8 and found.n_cells == 24


def test_c14_of_noise_is_what_its_twins_have():
    found = privacy.c14(areas(0.0, 0.02), UNITS, twins(0.02))
    assert found.effect.low > 0.2 and found.verdict == "undecided" and "its null reaches" in " ".join(found.notes)


def test_c14_leaves_out_originals_on_which_nothing_is_told():
    found = privacy.c14(areas(0.05), {**UNITS, 0: 0.001, 1: -0.1}, twins())
    assert found.n_originals == 6 and sum("left out" in note for note in found.notes) == 2
    assert privacy.c14({}, UNITS, []).verdict == "undecided"


PAIRS = [(o, a, b) for o in range(8) for a, b in (("npo", "scrub"), ("npo", "l1_sparse"), ("scrub", "l1_sparse"))]


def ends(between, within, seed=0):
    rng = np.random.default_rng(seed)
    shift = dict(zip(METHODS, np.array([-1.0, 0.0, 1.0]) * between, strict=True))
    return {(o, m): tuple(0.55 + shift[m] + within * rng.normal(size=2)) for o in range(8) for m in METHODS}


def test_c14_between_methods_wants_more_than_another_seed_gives():
    assert privacy.c14_between(ends(0.05, 0.002), PAIRS, UNITS).verdict == "supported"
    assert privacy.c14_between(ends(0.0, 0.002), PAIRS, UNITS).verdict == "contradicted"
    noisy = privacy.c14_between(ends(0.0, 0.05), PAIRS, UNITS)  # large differences, as large between seeds
    assert noisy.verdict != "supported" and abs(noisy.effect.estimate) < 0.2
    assert privacy.c14_between(ends(0.05, 0.002), [], UNITS).verdict == "undecided"


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
    return privacy.Pool({name: phi(strength) for name, strength in names.items()}, {"keep": who}, {})


@pytest.mark.parametrize("beside", ["original", "retrained"])
def test_n4_finds_what_unlearning_did_to_those_who_stay(beside):
    found = privacy.n4(made_pool(1.0), METHODS, beside)
    assert found.verdict == "supported" and 0.05 < found.effect.estimate < 0.3
    assert (found.null is None) == (beside == "retrained")
    assert privacy.n4(made_pool(-0.5), METHODS, beside).verdict == "contradicted"
    assert privacy.n4(made_pool(0.0), METHODS, beside).verdict != "supported"


def test_n4_of_shuffled_targets_of_the_same_models_and_of_few_shadows_says_nothing():
    pool = made_pool(1.0)
    rng = np.random.default_rng(3)
    mixed = replace(pool, held={"keep": rng.permuted(pool.held["keep"], axis=0)})
    assert privacy.n4(mixed, METHODS).verdict != "supported"
    copies = replace(pool, phi=dict.fromkeys(pool.phi, pool.phi["npo"]))
    same = privacy.n4(copies, METHODS)
    assert same.effect.estimate == 0 and same.verdict == "contradicted"
    few = privacy.n4(made_pool(1.0, models=6), METHODS)
    assert few.verdict == "undecided" and "6 shadows are too few" in few.notes
    with pytest.raises(BadInput, match="the pool lacks salun"):
        privacy.n4(pool, ["salun"])


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

    assert privacy.pool_controls(with_forget(1.0, 0.0)) == []
    (only,) = privacy.pool_controls(with_forget(1.0, 1.0))
    assert "retrained models tell who was to be forgotten" in only
    assert any("does not find" in said for said in privacy.pool_controls(with_forget(0.0, 0.0)))
    refused = privacy.n4(made_pool(1.0), METHODS, refused=[only])
    assert refused.verdict == "undecided" and only in refused.notes


# N6


def bits(share, anew=0.0, noise=0.0, seed=0):
    """Forget accuracy 0.999 before, 0.90 after, ``share`` of what is between brought back by rounding."""
    rng = np.random.default_rng(seed)
    found = {(o, m): (0.90 + 0.099 * (share + noise * rng.normal()), 0.90) for o in range(8) for m in METHODS}
    beside = {o: [(0.87 + 0.129 * (anew + noise * rng.normal()), 0.87) for _ in range(2)] for o in range(8)}
    return found, beside, dict.fromkeys(range(8), 0.999)


@pytest.mark.parametrize(("share", "word"), [(0.3, "supported"), (0.0, "contradicted"), (-0.5, "contradicted")])
def test_n6_wants_a_tenth_of_what_was_forgotten(share, word):
    assert privacy.n6(*bits(share, noise=0.02)).verdict == word


def test_n6_counts_nothing_that_rounding_does_to_retrained_models_too():
    found = privacy.n6(*bits(0.3, anew=0.3, noise=0.02))
    assert found.verdict == "contradicted" and abs(found.effect.estimate) < 0.1
    lost = bits(0.3)[0] | {(0, "npo"): (1.0, 1.0)}
    assert privacy.n6(lost, *bits(0.3)[1:]).n_cells == 23  # what forgot nothing has nothing to regain
