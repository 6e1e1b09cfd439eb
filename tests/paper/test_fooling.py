"""Walks that say nothing: each is what its name says, and the tests' words about it are counted as they should be."""

from dataclasses import replace

import numpy as np
import pytest
from made_metrics import reference_models, wild
from synthetic import RING, controls, walk

from mcutils.measures.metrics import METRICS
from mcutils.paper import fooling
from mcutils.paper.claims import judge
from mcutils.paper.fooling import DECIDED, NAMES, ONE, TWICE, fooled, fooling_table, fooling_text, metric_scales
from mcutils.paper.ledger import judge_all
from mcutils.paper.tables import floor_text

SCALES = dict.fromkeys(METRICS, 1.0) | {"zrf": 10.0, "accuracy_forget": 0.5}
LONG = np.linspace(0, 1, 2001)


def long(**options):
    """A walk of many points, so that noise has the spread that it should have."""
    rng = np.random.default_rng(0)
    names = ("zrf", "accuracy_forget", "loss_forget", "loss_retain", "js_retrained_test")
    metrics = {name: rng.normal(size=len(LONG)) for name in names}
    scores = [rng.normal(size=len(LONG)) for _ in range(2)]
    return walk("npo", 0.3, 0.4, t=LONG, metrics=metrics, scores=scores, gap=2.0, **options)


def test_scales_are_distances_from_the_original_to_the_mean_of_the_retrained_models():
    found = metric_scales({"zrf": 0.2, "UA": 3.0}, [{"zrf": 0.5, "UA": 1.0}, {"zrf": 0.7, "UA": 2.0}])
    assert found == {"zrf": pytest.approx(0.4), "UA": pytest.approx(1.5)}


def test_noise_is_white_about_the_chord_in_units_of_the_gap():
    before = long()
    one = fooling.noisy(before, 0.05, np.random.default_rng(1), SCALES)
    units = {"curve/loss_retain": 2.0, "metric/loss_forget": 2.0, "metric/zrf": 10.0, "score/test": 0.5}
    for name, unit in units.items():
        old, new = before.profile.arrays[name], one.profile.arrays[name]
        assert (new[0], new[-1]) == (old[0], old[-1])
        over = new - ((1 - LONG) * old[0] + LONG * old[-1])
        assert over.std() == pytest.approx(0.05 * unit, rel=0.1)
        assert abs(np.corrcoef(over[:-1], over[1:])[0, 1]) < 0.1
    np.testing.assert_allclose(
        one.profile.arrays["curve/loss_forget"] - 0.2 - 0.1 * LONG,
        one.profile.metric("loss_forget") - np.interp(LONG, [0, 1], before.profile.metric("loss_forget")[[0, -1]]),
        atol=1e-12,
    )  # a loss and the metric of its name are one
    assert one.profile.arrays["score/test"].std() > 0


def test_the_noise_is_what_a_test_reads():
    before = long()
    one = fooling.noisy(before, 0.05, np.random.default_rng(1), SCALES)
    over = {s: one.profile.arrays[f"curve/loss_{s}"] - 0.2 - 0.1 * LONG for s in ("retain", "forget")}
    assert one.barrier == pytest.approx(over["retain"].max() / 2.0)
    assert one.deficit == pytest.approx(-over["forget"].min() / 2.0)
    for measure in ("barrier", "deficit"):
        centred = [w.replicates(measure) - getattr(w, measure) for w in (before, one)]
        np.testing.assert_allclose(*centred, atol=1e-6)
    assert (before.barrier, before.deficit) == (pytest.approx(0.3), pytest.approx(0.4))  # as it was


def test_controls_keep_their_numbers_and_labels():
    walked = {"02_seeds": [long(), *controls()]}
    for made in (fooling.noise(walked, 0.1, SCALES), fooling.twice(walked), fooling.one_pair(walked)):
        held = [w for w in made["02_seeds"] if w.control]
        assert held == [w for w in walked["02_seeds"] if w.control]
    first, again = (fooling.noise(walked, 0.1, SCALES)["02_seeds"][0] for _ in range(2))
    other = fooling.noise(walked, 0.2, SCALES)["02_seeds"][0]
    np.testing.assert_array_equal(first.profile.metric("zrf"), again.profile.metric("zrf"))
    assert abs(np.corrcoef(first.profile.metric("zrf"), other.profile.metric("zrf"))[0, 1]) < 0.1


def test_copies_have_names_that_nobody_drew_and_the_same_numbers():
    walks = [walk(m, 0.1, pair=p) for m in ("npo", "scrub") for p in RING]
    made = fooling.twice({"02_seeds": [*walks, *controls()]})["02_seeds"]
    assert len(made) == 2 * len(walks) + 2 and made[: len(walks)] == walks
    copies = made[len(walks) + 2 :]
    assert [w.profile for w in copies] == [w.profile for w in walks]
    assert not {n for w in copies for n in w.nodes} & {n for w in walks for n in w.nodes}


def test_one_pair_stands_for_many():
    walks = [walk(m, 0.1, pair=p) for p in RING for m in ("npo", "scrub")] + [walk("npo", pair=RING[0], original=1)]
    made = fooling.one_pair({"02_seeds": [*controls(), *walks], "05_methods": controls()})
    ours = [w for w in made["02_seeds"] if not w.control]
    assert len(ours) == 2 * NAMES and {id(w.profile) for w in ours} == {id(walks[0].profile), id(walks[1].profile)}
    assert len({w.nodes for w in ours}) == NAMES and len({n for w in ours for n in w.nodes}) == 2 * NAMES
    assert len(made["05_methods"]) == 2


def verdict(claim, effect, word):
    edge = {"supported": 0.01, "contradicted": 0.01, "undecided": 9.0}[word]
    return judge(claim, (effect, effect - edge, effect + edge), n_pairs=3, n_seeds=3)


C1_YES, C1_NO, C1_OPEN = (
    verdict("C1", e, w) for e, w in ((0.9, "supported"), (0.1, "contradicted"), (0.5, "undecided"))
)


@pytest.mark.parametrize(
    ("attack", "honest", "found", "expected"),
    [
        ("noise, 0.1 G", C1_YES, C1_NO, True),
        ("noise, 0.1 G", C1_YES, C1_OPEN, False),
        (ONE, C1_YES, C1_YES, True),
        (TWICE, C1_YES, C1_YES, False),  # it was decided before
        (TWICE, C1_OPEN, C1_NO, True),
        (TWICE, C1_OPEN, C1_OPEN, False),
        ("shuffle 1", C1_YES, C1_YES, False),  # C1 reads no label
    ],
)
def test_fooled_is_decided_on_nothing(attack, honest, found, expected):
    assert (honest.verdict in DECIDED) == (honest is not C1_OPEN)
    assert fooled("C1", attack, honest, found) == expected


def test_a_shuffle_fools_a_test_that_reads_labels():
    assert fooled("C16", "shuffle 1", C1_OPEN, C1_NO) and not fooled("C16", "shuffle 1", C1_NO, C1_OPEN)


def test_the_table_and_the_words_say_who_was_fooled():
    honest = [C1_OPEN, verdict("C16", 0.9, "supported")]
    found = {
        "noise, 0.1 G": [C1_NO, verdict("C16", 0.5, "undecided")],
        TWICE: [C1_OPEN, honest[1]],
        ONE: [replace(C1_OPEN, effect=np.nan), verdict("C16", 0.5, "undecided")],
        "shuffle 1": [C1_YES, verdict("C16", 0.1, "contradicted")],
        "shuffle 2": [C1_YES, verdict("C16", 0.5, "undecided")],
    }
    table = fooling_table(honest, found)
    assert table.loc["C1"].to_list() == [
        "undecided",
        "contradicted*, 0.10",
        "undecided, 0.50",
        "-",
        "supported 2",
    ]
    assert table.loc["C16"].to_list() == [
        "supported",
        "undecided, 0.50",
        "supported, 0.90",
        "undecided, 0.50",
        "contradicted 1*",
    ]
    assert table.columns[-1] == "shuffled, of 2"
    text = fooling_text(honest, found)
    assert text.startswith("**2 of 2 present tests are fooled**")
    assert "by white noise: 1 of 2 (C1)" in text and "counted twice: 0 of 2 (none)" in text
    assert f"under {NAMES} names: 0 of 2" in text and "among labels: 1 of 2 (C16)" in text


def test_attacks_are_judged_by_the_tests_themselves():
    flat = {name: np.zeros(5) for name in METRICS}
    walks = [
        walk(m, 0.0, 0.4, p, k, metrics=flat | wild([i, j]), scores=((0,) * 5,) * 2)
        for i, m in enumerate(("npo", "scrub"))
        for j, p in enumerate(RING)
        for k in ("linear", "bezier")
    ]
    walked, gaps = {"02_seeds": walks + controls()}, {"zrf": 0.5}
    found = fooling.attacked(walked, gaps, metric_scales(*reference_models()) | {"accuracy_forget": 0.5})
    assert list(found) == [
        *(f"noise, {v:g} G" for v in fooling.NOISE),
        TWICE,
        ONE,
        *(f"shuffle {k}" for k in range(1, 5)),
    ]
    assert found[TWICE] == judge_all(fooling.twice(walked), gaps)
    (quiet,) = (v for v in found["noise, 0.02 G"] if v.claim == "C1")
    assert quiet.effect > 0.5  # noise of 0.02 G is connected
    (loud,) = (v for v in found["noise, 0.5 G"] if v.claim == "C1")
    assert loud.effect <= 0.2 and loud.verdict != "supported"
    honest, retrained = judge_all(walked, gaps), [dict(reference_models()[1][0], loss_forget=0.1, loss_retain=0.2)]
    text = fooling.answer_text(walked, retrained, honest, ["C2"], found)
    assert f"Of {len(honest)} claims judged:" in text and "survive the correction (C2)" in text
    assert text.count("**Expected.**") == text.count("**Found.**") == text.count("**So.**") == 1
    levels = {n: [retrained[0][n]] for n in ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget")}
    beside = [replace(w, profile=w.profile.with_levels(levels)) for w in walked["02_seeds"]]
    assert floor_text(beside) in text
