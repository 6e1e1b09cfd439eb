"""10: what it needs, its tables against brute force, and what its shadow pool tells of numbers whose truth is known."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from worlds import Answers

from mcutils.data.shadows import KINDS, SHADOWS, SHARE, SPLITS
from mcutils.engine.specs import CurveSpec, MembershipSpec, MetricSpec, OriginalSpec, PhiSpec, UnlearnedSpec, key
from mcutils.measures.membership import auc
from mcutils.measures.shadow_pool import left_out
from mcutils.paper import experiments as e, privacy as room
from mcutils.paper.privacy import ANEW, BEFORE, Pool
from mcutils.paper.registry import shard

METHODS = ("npo", "scrub", "salun")
GONE, STAY = SPLITS["forget"], SPLITS["keep"]


def made_pool(told=3.0, left=0.0, anew=0.0, kept=0.5, worse=0.0, shadows=16, sizes=(80, 60, 30), seed=0):
    """phi lies so much higher in models that hold a target: originals, unlearned, retrained; of targets to keep too."""
    rng, held = np.random.default_rng(seed), {}
    for kind, n in zip(KINDS, sizes, strict=False):
        first = rng.permuted(np.tile(np.repeat([True, False], n // 2), (shadows // 2, 1)), axis=1)
        held[kind] = np.stack([first, ~first], axis=1).reshape(shadows, n)
    hard = {split: rng.normal(2, 1.5, n) for split, n in zip((GONE, STAY, "valid"), sizes, strict=True)}
    strength = {BEFORE: (told, kept), ANEW: (anew, kept), **dict.fromkeys(METHODS, (left, kept + worse))}
    phi, right, accuracy = {}, {}, {}
    for name, (forget, keep) in strength.items():
        by = {GONE: forget * held["forget"], STAY: keep * held["keep"], "valid": 0.0}
        points = 3 if name == "npo" else 1
        phi[name] = {s: hard[s] + rng.normal(size=(points, shadows, len(hard[s]))) + by[s] for s in hard}
        right[name] = {split: values > 0 for split, values in phi[name].items()}
        accuracy[name] = {s: np.full((points, shadows), v) for s, v in (("retain", 0.995), ("test", 0.87))}
    return Pool(phi, held, accuracy, right)


def tabled(pool, monkeypatch, originals=tuple(range(4))):
    monkeypatch.setattr(room, "pool_of", lambda study: pool)
    found = room.pool_tables(SimpleNamespace(originals=originals))
    whole = " ".join(map(str, originals))
    return [found[name][found[name].kept == whole] for name in ("pool", "pool_models")], found


def test_along_paths_there_are_attacks_and_few_bits_beside_the_models_of_each_original(laptop):
    found, fit = room.along_needs(laptop), len(laptop.preset.fit)
    attacked = [one for one in found if isinstance(one, MembershipSpec)]
    assert len(attacked) == 8 * fit + 8 + 8 * 3  # lines, twins, one original and two retrained models each
    assert all(one.retrained and one.trace not in one.retrained for one in attacked)  # others audit a retrained model
    bits = Counter(one.trace.bits for one in found if isinstance(one, MetricSpec))
    assert bits == dict.fromkeys((0, 8, 4), 8 * fit + 8 * 3)
    assert all(parent.model.data.draw == one.trace.model.data.draw for one in attacked for parent in one.parents())
    there = {r.profile(laptop) for made in (e.seeds, e.methods) for r in made(laptop)}
    assert {r.profile(laptop) for r in room.routes(laptop)} <= there


def test_the_pool_has_all_models_of_every_shadow_once_and_they_are_apart(laptop, smoke):
    specs = room.pool_needs(laptop)
    assert len(specs) == SHADOWS * (2 + 6) == len({key(one) for one in specs})
    assert Counter(one.points for one in specs) == {1: SHADOWS * 5, 3: SHADOWS * 3} and all(
        one.weighted for one in specs
    )
    one = room.scores(laptop, 5)
    assert {one[n].model.data.shadow for n in (BEFORE, ANEW, "npo")} == {5}
    assert {s.model.forget for s in one.values() if isinstance(s.model, UnlearnedSpec)} == {SHARE}
    made = [made(laptop, j) for j in range(SHADOWS) for made in (room.trained, room.retrained)]
    assert len({m.seed for m in made}) == 2 * SHADOWS and not {m.seed for m in made} & set(range(500))
    assert set(shard(specs, room.TRAINED + 7)) == set(room.scores(laptop, 7).values())
    assert {s.model.data.shadow for s in room.needs(smoke) if isinstance(s, PhiSpec)} == set(range(room.FEW))


def place_of(model):
    """What a model or path is of: its role, original, and method or seed."""
    if isinstance(model, CurveSpec):
        role = "twin" if model.end.origin != model.start.origin else "line"
        return role, model.start.origin.seed, model.start.method
    if isinstance(model, OriginalSpec):
        return "original", model.seed, ""
    return "retrained", model.data.draw, model.seed


def test_tables_hold_the_results_of_their_own_specs(laptop):
    heights = {"line": 0.55, "twin": 0.51, "original": 0.63, "retrained": 0.52}

    def attack(spec):
        role, original, method = place_of(spec.trace.model)
        area = heights[role] + 0.001 * original + 0.01 * np.arange(11 if role in ("line", "twin") else 1)
        return {"population/loss/auc": area, "svc/classifier": 1 - area}

    rows = room.attacks(Answers(laptop, attack))
    assert Counter(rows.role) == {"line": 8 * 6 * 22, "twin": 8 * 22, "original": 8 * 2, "retrained": 8 * 4}
    step = 10 * rows.t * rows.role.isin(["line", "twin"])
    assert rows.value.to_numpy() == pytest.approx(rows.role.map(heights) + 0.001 * rows.original + 0.01 * step)
    assert set(rows.method[rows.role == "retrained"]) == {"0", "1"} and set(rows.method[rows.role == "original"]) == {
        ""
    }

    def bits(spec):
        role, original, _ = place_of(spec.trace.model)
        steps = np.arange(11 if role == "line" else 1)
        return {"values": 0.9 + 0.001 * original - 0.01 * spec.trace.bits + 0.1 * steps}

    rows = room.rounded_accuracy(Answers(laptop, bits))
    assert Counter(rows.bits) == dict.fromkeys((0, 8, 4), 8 * 6 * 11 + 8 * 3)
    expected = 0.9 + 0.001 * rows.original - 0.01 * rows.bits + rows.t * (rows.role == "line")
    assert rows.accuracy_forget.to_numpy() == pytest.approx(expected)


def test_areas_are_means_over_models_of_the_attack_by_those_left_out(monkeypatch):
    pool = made_pool()
    (table, models), every = tabled(pool, monkeypatch, tuple(range(8)))
    who, keep = pool.held["forget"], pool.held["keep"]

    def by_hand(phi, held, f):
        marks = left_out(phi, held)
        return np.mean([f(marks[m][h], marks[m][~h]) for m, h in enumerate(held)])

    rest = [j for j in range(16) if j != 3]
    for row in table[(table.model == "npo") & (table.kind != "dealt") & table.left_out.isin([-1, 3])].itertuples():
        kept = list(range(16)) if row.left_out < 0 else rest
        split, held = (GONE, who) if row.kind == "forget" else (STAY, keep)
        assert row.auc == pytest.approx(by_hand(pool.phi["npo"][split][int(2 * row.t)][kept], held[kept], auc))
    assert set(table.left_out) == {-1, *range(16)} and set(table[table.model == "npo"].t) == {0, 0.5, 1}
    known = models.set_index("model")
    phi = pool.phi["npo"][GONE][0]
    right = by_hand(phi, who, lambda members, others: ((members > 0).mean() + (others < 0).mean()) / 2)
    assert known.accuracy["npo"] == pytest.approx(right)
    assert known.loss_forget["npo"] == pytest.approx(np.mean([np.log1p(np.exp(-v)) for v in phi[who]]))
    assert known.accuracy_forget["npo"] == (phi[who] > 0).mean() and known.accuracy_retain["npo"] == pytest.approx(
        0.995
    )
    own, marks = pool.phi[BEFORE][GONE][0], left_out(phi, who)
    far = [own[who[:, n], n].mean() - own[~who[:, n], n].mean() for n in range(80)]
    low = np.argsort(far)[:27]  # ceil(80 / 3) least exposed
    hidden = np.mean([auc(marks[m][low][h[low]], marks[m][low][~h[low]]) for m, h in enumerate(who)])
    assert known.auc_hidden["npo"] == pytest.approx(hidden)
    half = every["pool"][every["pool"].kept == "0 1 2 3"]  # of originals: their shadows are dealt to them by pairs
    kept = list(range(8))
    row = half[(half.model == "scrub") & (half.kind == "forget") & (half.left_out < 0)].iloc[0]
    assert row.shadows == 8 and set(half.left_out) == {-1, *kept}
    assert row.auc == pytest.approx(by_hand(pool.phi["scrub"][GONE][0][kept], who[kept], auc))


def test_jackknife_intervals_are_student_s_of_what_is_left_out(monkeypatch):
    (table, _), _ = tabled(made_pool(shadows=8), monkeypatch)
    rows = table[(table.kind == "keep") & (table.t == 0)]
    (found,) = room.jackknifed(rows, lambda told: told[["npo"]].to_numpy() - told[BEFORE])
    wide = rows.pivot(index="left_out", columns="model", values="auc")
    each = wide.npo - wide[BEFORE]
    rest = each.drop(-1).to_numpy()
    half = stats.t.ppf(0.975, 7) * np.sqrt(7 / 8 * ((rest - rest.mean()) ** 2).sum())
    assert found == pytest.approx((each[-1], each[-1] - half, each[-1] + half))
    assert np.isnan(room.jackknifed(rows[rows.left_out < 0], lambda told: told[["npo"]].to_numpy())[0].low)


def test_models_like_retrained_ones_are_told_so_and_what_never_unlearned_fails_the_gate(monkeypatch):
    pool = made_pool()
    lost = {**pool.phi["salun"], GONE: pool.phi[BEFORE][GONE] + 0.1}
    pool = replace(
        pool, phi={**pool.phi, "salun": lost}, right={**pool.right, "salun": {s: v > 0 for s, v in lost.items()}}
    )
    found = room.likeness(pool)
    for name in ("npo", ANEW):
        assert found[name].klom["forget"][0] < found[BEFORE].klom["forget"][0] / 2
        assert found[name].complete > found[BEFORE].complete + 0.1
    (_, models), _ = tabled(pool, monkeypatch)
    passed, left = room.pool_forgot(models)
    assert set(passed) == {"npo", "scrub"} and left[0].startswith("salun is left out: did not forget")


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ({}, []),
        ({"anew": 1.5}, ["retrained models tell who was to be forgotten"]),
        ({"told": 0.0}, ["the attack does not find what was learned"]),
        ({"shadows": 6}, ["6 shadows are too few"]),
    ],
)
def test_controls_of_the_pool_are_noticed(planted, said, monkeypatch):
    (table, models), _ = tabled(made_pool(**planted), monkeypatch)
    found = room.pool_controls(table, models)
    assert len(found) == len(said) and all(word in text for word, text in zip(said, found, strict=True))


def test_one_model_under_two_names_is_noticed():
    pool = made_pool()
    assert room.copied(pool) == []
    twice = replace(pool, phi={**pool.phi, "scrub": pool.phi["salun"]})
    assert room.copied(twice) == ["copies: salun has the numbers of scrub"]


@pytest.mark.parametrize(
    ("worse", "beside", "word"),
    [(1.0, BEFORE, "supported"), (1.0, ANEW, "supported"), (-0.5, BEFORE, "contradicted"), (0.0, BEFORE, "")],
)
def test_n4_finds_what_unlearning_did_to_those_who_stay(worse, beside, word, monkeypatch):
    (table, _), _ = tabled(made_pool(worse=worse, sizes=(20, 400, 20)), monkeypatch)
    found = room.pool_test(table, list(METHODS), beside, [])
    assert (found.n_originals, found.n_cells) == (16, 48) and found.verdict != ("supported" if worse <= 0 else "")
    assert found.verdict == word or not word
    assert (found.null is None) == (beside == ANEW)
    assert np.sign(found.effect.estimate) == np.sign(worse) or not worse
    refused = room.pool_test(table, list(METHODS), beside, ["control: none"])
    assert refused.verdict == "undecided" and "control: none" in refused.notes
    few = room.pool_test(table.assign(shadows=6), list(METHODS), beside, [])
    assert few.verdict == "undecided" and "6 shadows are too few" in few.notes
