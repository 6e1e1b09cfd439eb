"""10: what it needs and gathers, and the declared tests of C14 and N6 on made numbers: the word and the null."""

from collections import Counter

import made_privacy as made
import numpy as np
import pytest
from made_worlds import Shape, World, walk

from mcutils.cli.stores import planned
from mcutils.engine.kinds import parents
from mcutils.engine.specs import CurveSpec, MembershipSpec, MetricSpec, OriginalSpec, PhiSpec, ProfileSpec
from mcutils.engine.study import study as open_study
from mcutils.errors import BadInput
from mcutils.paper import privacy, trials
from mcutils.paper.privacy_pool import FEW
from mcutils.paper.registry import PRICED_APART, ROUTES
from mcutils.paper.trial_ledger import judge_room
from mcutils.paper.walks import references

T = np.linspace(0, 1, 11)
BOW = 4 * T * (1 - T)
METHODS = ("npo", "scrub", "l1_sparse")
UNITS = dict.fromkeys(range(8), 0.1)


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    return open_study("laptop", store=str(tmp_path_factory.mktemp("none")), fresh=True)


# What is computed


def test_along_paths_there_are_attacks_and_few_bits_beside_the_models_of_each_original(eight):
    found = privacy.along_needs(eight)
    lines, fit = privacy.lines(eight), len(eight.preset.fit)
    assert len(lines) == 8 * fit and all(line.held == ("retain", "forget", "valid", "test") for line in lines.values())
    attacked = [one for one in found if isinstance(one, MembershipSpec)]
    assert len(attacked) == 8 * fit + 8 + 8 * 3  # lines, twins, one original and two retrained models each
    assert all(one.retrained for one in attacked)
    assert not any(one.trace in one.retrained for one in attacked)  # a retrained model is audited by the others
    bits = Counter(one.trace.bits for one in found if isinstance(one, MetricSpec))
    assert bits == dict.fromkeys((0, 8, 4), 8 * fit + 8 * 3)
    assert all(parent.model.data.draw == one.trace.model.data.draw for one in attacked for parent in parents(one))


def test_it_is_priced_apart_and_in_small_on_every_preset(tmp_path):
    assert PRICED_APART["privacy"] is privacy.needs
    smoke = open_study("smoke", store=str(tmp_path), fresh=True)
    specs = planned(["privacy"], smoke)
    assert {one.model.data.shadow for one in specs if isinstance(one, PhiSpec)} == set(range(FEW))


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
        area = base + 0.01 * np.arange(points)
        return {privacy.ATTACK: area, "svc/classifier": 1 - area}

    every = privacy.attacks_of(Answers(eight, answer))
    assert every.names == (privacy.ATTACK, "svc/classifier")
    found = every.along()
    assert set(found.areas) == {(o, m) for o in range(8) for m in eight.preset.fit}
    assert found.areas[3, "npo"] == pytest.approx(0.5533 + 0.01 * np.arange(11))
    assert found.ends[3, "npo"] == pytest.approx((0.5533, 0.6533))
    assert found.units == pytest.approx(dict.fromkeys(range(8), 0.11))
    assert [original for original, _ in found.twins] == list(range(8)) and all(len(a) == 11 for _, a in found.twins)
    assert set(found.within([(0, "npo"), (9, "npo")]).areas) == {(0, "npo")}
    called = every.along("svc/classifier")  # told as the share called members
    assert called.areas[3, "npo"] == pytest.approx(found.areas[3, "npo"]) and called.units == pytest.approx(found.units)
    with pytest.raises(BadInput, match="attack"):
        every.along("none")


def test_accuracies_with_few_bits_are_those_of_the_ends(eight):
    def answer(spec):
        what, original, method = of_model(spec)
        base = {"line": 0.9, "original": 0.99, "retrained": 0.87}[what] + 0.001 * original
        along = 0.1 * np.linspace(0, 1, 11) if what == "line" else np.zeros(1)
        return {"values": base + along - 0.01 * (spec.trace.bits == 4) - 0.001 * (spec.trace.bits == 8)}

    found = privacy.rounded_of(Answers(eight, answer))
    assert found.lines[2, "npo"][8] == pytest.approx(0.901 + 0.1 * T)
    four = found.ends()
    assert four[2, "npo"] == pytest.approx((0.942, 0.952)) and found.ends(8)[2, "npo"][0] == pytest.approx(0.951)
    assert found.anew()[5] == [pytest.approx((0.865, 0.875))] * 2
    assert found.before == pytest.approx({o: 0.99 + 0.001 * o for o in range(8)})
    judged = privacy.n6(four, found.anew(), found.before)
    assert judged.verdict == "contradicted" and judged.n_originals == 8


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


def test_its_walks_are_those_of_02_and_05(eight):
    routes = privacy.routes(eight)
    asked = {one for one in privacy.needs(eight) if isinstance(one, ProfileSpec)}
    there = {r.profile(eight) for name in ("02_seeds", "05_methods") for r in ROUTES[name](eight)}
    assert {r.profile(eight) for r in routes} <= asked and {r.profile(eight) for r in routes} <= there
    counted = Counter((r.condition, bool(r.control)) for r in routes)
    assert counted == {("random", False): 48, ("method", False): 8 * 15, ("random", True): 16}
    assert set(references(eight)) <= asked


# Rows of the ledger


@pytest.fixture(scope="module")
def walked():
    return made.walks()


def judged(walked, truth, ids, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "DRAWS", 5)
        found = judge_room({"privacy": walked}, ids, privacy=made.privacy(truth), readings=("chord",), **options)
    return {one.row.name: one.first for one in found}


def test_rows_find_what_is_planted_and_nothing_where_nothing_is(walked):
    ids = ("C14", "N4", "N6")
    planted = made.Truth(bump=0.5, apart=0.5, returned=0.4, worse=1.0, noise=0.01)
    found = judged(walked, planted, ids)
    assert set(found) == {"C14", "C14 between methods", "N4", "N4 beside retrained", "N6"}
    assert {name: one.verdict for name, one in found.items()} == dict.fromkeys(found, "supported")
    assert (found["C14"].n_originals, found["C14"].n_cells, found["N4"].n_originals) == (8, 48, 16)
    assert (found["C14"].unit, found["N4"].unit) == ("originals", "shadows")
    empty = judged(walked, made.Truth(noise=0.01), ids)
    assert {one.verdict for one in empty.values()} <= {"contradicted", "undecided"}


def test_rows_read_only_what_passes_the_gate_and_only_their_originals(walked):
    unlearned = made.walks(shape=lambda labels: Shape(ends=(0.1, 0.1) if labels["method"] == "npo" else (1.2, 1.2)))
    found = judged(unlearned, made.Truth(bump=0.5, returned=0.4, noise=0.01), ("C14", "N6"))
    assert found["C14"].n_cells == found["N6"].n_cells == 40
    half = [w for w in walked if w.original < 4]
    privacy_of = made.privacy(made.Truth(returned=0.4))
    assert privacy.n6_row(half, privacy_of).n_originals == 4 and privacy.n4_row(half, privacy_of).n_originals == 8
    assert privacy_of.of(range(8)) is privacy_of and privacy_of.of(range(4)).pool is privacy_of.of(range(4)).pool


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
