"""The room `ledger`: its routes, its claims' tests, its tables and figures on made-up walks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_figures_of_metrics import figure, texts, verdicts
from made_metrics import METHODS, forgetting, measured, reference_models, retraining, wild
from synthetic import RING, SEEDS, T, controls

from mcutils.measures.intervals import Interval
from mcutils.measures.profiles import Profile
from mcutils.paper import ledger as ledger_module
from mcutils.paper.claims import CLAIMS, Verdict, judge, ledger
from mcutils.paper.judging import controls_hold
from mcutils.paper.ledger import forest_table, judge_all, ledger_table, shuffled, shuffled_table
from mcutils.paper.metrics_along import telling_gaps
from mcutils.paper.registry import ROUTES, TESTS


def experiment(shift=0.5, methods=METHODS, pairs=RING):
    """A study on which C1, C2, C5, C16 and C21 are supported.

    On lines the forget deficit depends on the method, curves connect all; a curriculum costs so much more; lines to
    retrained models have a barrier that lines between two retrained models have not.
    """
    seeds, curriculum = [], []
    for k, method in enumerate(methods):
        for pair in pairs:
            seeds.append(measured(wild(k), method, pair, 0.0, 0.3 * k + 0.01 * pairs.index(pair), seed=k))
            seeds.append(measured(wild(k), method, pair, kind="bezier", seed=k))
            for condition, eps in (("random", 0.4), ("cl-non_cl", 0.4 + shift)):
                curriculum.append(measured(wild(k), method, pair, 0.0, eps, seed=k, condition=condition))
    return {
        "02_seeds": seeds + controls(),
        "03_curriculum": curriculum + controls(),
        "09_progress_and_retraining": retraining(0.18, 0.0, methods)
        + [forgetting(T ** (2 + 0.1 * k), 1 - T, m, s) for m in methods for k, s in enumerate(SEEDS[:3])],
    }


WALKED = experiment()
GAPS = {"zrf": 0.5}


@pytest.fixture(scope="module")
def judged():
    return {v.claim: v for v in judge_all(WALKED, GAPS)}


def test_claims_are_judged_whose_experiments_are_there(judged):
    assert list(judged) == ["C1", "C2", "C5", "C15", "C16", "C21"]
    assert {v.verdict for v in judged.values()} == {"supported"}
    for claim in judged:
        names, test = TESTS[claim]
        assert judged[claim] == test([w for n in names for w in WALKED[n]])
    everything = {name: [] for name in ROUTES} | WALKED
    assert [v.claim for v in judge_all(everything, GAPS)] == [c for c in CLAIMS if c in TESTS]


@pytest.mark.parametrize("seed", range(5))
def test_a_broken_study_loses_the_support_of_claims_about_labels(seed, judged):
    """Profiles are shuffled among labels, so that pairs mix methods and conditions.

    C2 compares methods, C5 conditions, C16 methods with retrained pairs: no label is left that tells them apart, and
    their support must go. C1 and C21 are shares of all pairs and C15 a mean over all lines: they read no label that the
    shuffle touches, cannot be broken by it, and must come out with the effect that they had. The controls stay, so that
    nothing is lost by a failed control.
    """
    broken = shuffled(WALKED, seed)
    assert controls_hold(broken["02_seeds"]) and controls_hold(broken["03_curriculum"])
    again = {v.claim: v for v in judge_all(broken, GAPS)}
    assert {again[c].verdict for c in ("C2", "C5", "C16")} <= {"undecided", "contradicted"}
    kept = ("C1", "C15", "C21")
    assert [again[c].effect for c in kept] == pytest.approx([judged[c].effect for c in kept])
    assert {again[c].verdict for c in kept} == {"supported"}


def test_a_shuffle_keeps_labels_and_moves_profiles_within_their_kind():
    broken = shuffled(WALKED, 1)
    for name, walks in WALKED.items():
        labels = [replace(w, profile=None) for w in walks]
        assert [replace(w, profile=None) for w in broken[name]] == labels
        for kind in ("linear", "bezier"):
            for init in ("same init", "other init", ""):
                groups = [
                    sorted(id(w.profile) for w in part if w.kind == kind and w.init == init)
                    for part in (walks, broken[name])
                ]
                assert groups[0] == groups[1]
    pairs = zip(WALKED["02_seeds"], broken["02_seeds"], strict=True)
    moved = [a.profile is not b.profile for a, b in pairs if not a.control]
    assert np.mean(moved) > 0.5
    for k in (-1, -2):
        assert broken["02_seeds"][k].profile is WALKED["02_seeds"][k].profile  # the controls
    places = [[id(w.profile) for w in shuffled(WALKED, seed)["02_seeds"]] for seed in (1, 1, 2)]
    assert places[0] == places[1] == [id(w.profile) for w in broken["02_seeds"]] and places[0] != places[2]


def test_shuffled_verdicts_are_shown_for_claims_about_labels(judged):
    again = judge_all(shuffled(WALKED), GAPS)
    table = shuffled_table(list(judged.values()), again)
    assert table.index.to_list() == ["C2", "C5", "C16"]
    assert table["as walked"].str.startswith("supported, ").all()
    assert not table["shuffled"].str.startswith("supported").any()


def test_a_study_of_collapsed_ends_decides_nothing():
    gone = {
        name: [replace(w, profile=Profile({**w.profile.arrays, "collapsed": np.array(["t = 0"])})) for w in walks]
        for name, walks in ({name: [] for name in ROUTES} | WALKED).items()
    }
    found = judge_all(gone, GAPS)
    assert len(found) == len(TESTS) and {v.verdict for v in found} == {"undecided"}
    table = forest_table(found, found)
    assert set(table["effect"]) == {"nothing to measure"} and table["x"].isna().all()
    assert set(ledger_table(ledger(found))["effect [95 %]"]) == {"-"}


def test_the_walks_of_all_experiments_are_gathered(study, monkeypatch):
    routes = {"02_seeds": lambda s: ["a", "b"], "03_curriculum": lambda s: ["c"]}
    monkeypatch.setattr(ledger_module, "ROUTES", routes)
    monkeypatch.setattr(ledger_module, "walk_all", lambda s, given: [f"walk {one}" for one in given])
    assert ledger_module.gather(study) == {"02_seeds": ["walk a", "walk b"], "03_curriculum": ["walk c"]}


def test_the_ledger_has_a_row_for_each_claim():
    rows = ledger(judge_all(WALKED, telling_gaps(*reference_models())))
    assert [row["id"] for row in rows] == list(CLAIMS)
    assert {row["id"] for row in rows if row["verdict"] == "supported"} == {"C1", "C2", "C5", "C15", "C16", "C21"}


def verdict(claim, low, high, p=None, **options):
    return judge(claim, Interval((low + high) / 2, low, high), n_pairs=9, n_seeds=5, p=p, **options)


def test_many_claims_are_held_to_a_wider_interval():
    first = [verdict("C1", 0.6, 0.9), verdict("C2", 0.3, 0.6, 0.004), verdict("C21", 0.1, 0.2), verdict("C8", 0, 0.05)]
    strict = [verdict("C1", 0.4, 1), verdict("C2", 0.2, 0.7, 0.004), verdict("C21", 0.06, 0.3), verdict("C8", 0, 0.2)]
    level = ledger_module.strict_level(first)
    assert level == pytest.approx(1 - 0.05 / 4)
    kept = [ledger_module.survives(a, b, level) for a, b in zip(first, strict, strict=True)]
    assert kept == [False, True, True, False]
    assert not ledger_module.survives(first[1], replace(strict[1], p=0.0126), level)  # below its alpha, above 0.05 / 4
    table = ledger_module.corrected_table(first, strict)
    assert table["survives"].to_list() == ["no", "yes", "yes", "no"] and table["p"].to_list() == ["", "0.004", "", ""]
    undecided = verdict("C1", 0.4, 0.6)
    assert ledger_module.corrected_table([undecided], [undecided])["survives"].to_list() == ["-"]
    assert ledger_module.strict_level([]) == pytest.approx(0.95)


def test_every_claim_that_is_judged_has_a_unit_of_its_own():
    grouped = [claim for claims in ledger_module.UNITS.values() for claim in claims]
    assert sorted(grouped) == sorted(TESTS) and set(ledger_module.WHOLE) <= set(ledger_module.UNITS)


def test_the_forest_has_a_row_for_each_claim_judged():
    first = [verdict("C1", 0.6, 0.9), verdict("C5", -0.3, -0.2)]
    strict = [verdict("C1", 0.4, 1), verdict("C5", -0.4, -0.1)]
    table = ledger_module.forest_table(first, strict).set_index("claim")
    numbers = table.loc["C1", ["x", "low", "high", "wide_low", "wide_high", "edge"]].to_list()
    assert numbers == pytest.approx([0.75, 0.6, 0.9, 0.4, 1, 0.5])
    assert table["direction"].to_list() == ["above", "outside"]
    assert all(claim in ledger_module.UNITS[unit] for claim, unit in table["unit"].items())
    assert table.loc["C1", "effect"] == "0.75 [0.60, 0.90]"
    assert table["threshold"].to_list() == ["> 0.5", "beyond ± 0.1"] and table["survives"].to_list() == [False, False]
    assert table.loc["C5", "statement"] == CLAIMS["C5"].statement


def test_controls_are_shown_for_every_experiment():
    table = ledger_module.controls_table(WALKED)
    assert table.index.to_list() == list(WALKED) and set(table["held"]) == {"yes"}
    assert table.loc["02_seeds", "other initialisation: smallest barrier"] == "4.000"
    assert table.loc["09_progress_and_retraining", "other initialisation: smallest barrier"] == "5.000"
    assert table.loc["02_seeds", ["walks", "collapsed"]].to_list() == [60, 0]
    failed = ledger_module.controls_table({"02_seeds": controls(twin=0.3), "05_methods": []})
    assert failed["held"].to_list() == ["NO", "NO"] and failed["fine-tuned twin: largest eps"].to_list() == [
        "0.300",
        "-",
    ]


def test_a_replication_is_laid_beside_the_ledger():
    here = ledger([verdict("C1", 0.6, 0.9), verdict("C5", 0.05, 0.2), verdict("C8", 0, 0.2), verdict("C4", -1, -0.5)])
    there = ledger([verdict("C1", 0.7, 1.0), verdict("C5", 0.11, 0.14), verdict("C8", 0.2, 0.4), Verdict("C10")])
    table = ledger_module.replication_table(here, there)
    assert table.index.to_list() == ["C1", "C5", "C8"]
    assert table["inside"].to_list() == ["yes", "yes", "no"] and table["same"].to_list() == ["yes", "NO", "NO"]
    assert table.loc["C5", ["verdict here", "verdict there"]].to_list() == ["undecided", "supported"]
    assert table.loc["C1", ["effect here", "effect there"]].to_list() == [
        "0.750 [0.600, 0.900]",
        "0.850 [0.700, 1.000]",
    ]
    nothing = ledger([replace(verdict("C1", 0.6, 0.9), effect=None, low=None, high=None)])
    assert ledger_module.replication_table(nothing, there).loc["C1", "inside"] == "-"
    assert len(ledger_module.replication_table(ledger(), there)) == 0


def test_claims_that_were_not_run_say_why():
    table = ledger_module.not_run_table(ledger([verdict("C1", 0.6, 0.9)]))
    assert "C1" not in table.index and len(table) == 23
    assert table.loc["C14", "why"] == "10_privacy does not exist yet"
    assert table.loc["C2", "why"] == "02_seeds registers no test of it"


def test_the_ledger_is_shown_without_the_claims_that_were_not_run():
    table = ledger_module.ledger_table(ledger([verdict("C1", 0.6, 0.9), Verdict("C3")]))
    assert table.index.to_list() == ["C1"] and table.loc["C1", "effect [95 %]"] == "0.750 [0.600, 0.900]"
    assert (
        isinstance(ledger_module.ledger_table(ledger()), pd.DataFrame)
        and len(ledger_module.ledger_table(ledger())) == 0
    )


def test_the_forest_shows_verdicts_by_colour_and_shape_and_hollow_where_the_correction_takes_them():
    fig, made = figure("forest"), ledger_module.forest_table(*verdicts())
    marks = [line for ax in fig.axes for line in ax.get_lines() if line.get_marker() not in ("None", "")]
    parts = [made[made["unit"] == unit] for unit in ledger_module.UNITS]
    known = pd.concat([part[np.isfinite(part["x"])] for part in parts])
    assert [line.get_xdata()[0] for line in marks] == known["x"].to_list()
    for line, one in zip(marks, known.itertuples(), strict=True):
        colour, marker = ledger_module.VERDICT_STYLES[one.verdict]
        assert (line.get_marker(), line.get_markeredgecolor()) == (marker, colour)
        hollow = one.verdict != "undecided" and not one.survives
        assert (line.get_markerfacecolor() == "white") == hollow
    assert set(known["verdict"]) == {"supported", "contradicted", "undecided"}
    assert len(set(ledger_module.VERDICT_STYLES.values())) == 3
    shown = texts(fig)
    assert any(CLAIMS["C9"].statement.split()[0] in text and text.startswith("C9") for text in shown)
    assert "nothing to measure\n(> 0.5)" in shown and "thin: corrected (99.0 %)" in shown
    assert "hollow: lost when corrected" in shown
