"""The room `endpoints`: its routes, its claims' tests, its tables and figures on made-up walks."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from made_specs import models as models_of_specs
from made_tables import clean, model as model_of_tables

from mcutils.engine.specs import UnlearnedSpec
from mcutils.errors import BadInput
from mcutils.paper import search
from mcutils.paper.endpoints import (
    endpoint_models,
    endpoint_rows,
    endpoint_summary,
    endpoints,
    endpoints_answer,
    ends_gates,
    failing,
    gate_table,
    gate_text,
    leaning_table,
    settings_table,
)
from mcutils.paper.search import GRID


def test_endpoints_cover_every_method_and_seed_curriculum_and_optimiser(smoke):
    ends = [model for model in models_of_specs(endpoints(smoke)) if isinstance(model, UnlearnedSpec)]
    plain = {(e.method, e.seed) for e in ends if (e.curriculum, e.optimizer) == ("none", "adamw")}
    assert plain == {(m, s) for m in ("finetune", *smoke.preset.methods) for s in smoke.seeds}
    varied = {(e.curriculum, e.optimizer) for e in ends if e.method == "npo" and e.seed == smoke.seeds[0]}
    assert len(varied) == 9


def stub(profiles):
    """A study whose results are the given ones, asked for by their specs."""
    return SimpleNamespace(profile=lambda spec: ("profile", spec), run=lambda specs: [profiles[s] for _, s in specs])


KNOWN = {
    "a": model_of_tables({"retain": 0.9, "forget": 0.7, "valid": 0.6, "test": 0.6}, 1.0),
    "b": model_of_tables({"retain": 1.0, "forget": 0.7, "valid": 0.8, "test": 0.8}, 3.0),
    "r": model_of_tables({"retain": 1.0, "forget": 0.8, "valid": 0.8, "test": 0.8}, 60.0),
    "s": model_of_tables({"retain": 1.0, "forget": 0.9, "valid": 0.7, "test": 0.7}, 62.0),
    "lost": model_of_tables({"retain": 0.2, "forget": 0.2, "valid": 0.2, "test": 0.2}),
}


def test_gaps_are_taken_to_the_retrained_models_of_the_same_original():
    one = {("npo", 1, 0): "a", ("retrain", 1, 0): "r"}
    other = {("npo", 1, 1): "a", ("retrain", 1, 1): "b"}
    found = endpoint_rows(stub(KNOWN), {**one, **other})
    assert list(found["original"]) == [0, 0, 1, 1]
    for original, models in enumerate((one, other)):
        alone = endpoint_rows(stub(KNOWN), {name[:2]: spec for name, spec in models.items()})
        assert list(found.loc[found["original"] == original, "gap"]) == list(alone["gap"])
        assert "original" not in alone
    assert found["gap"][0] != found["gap"][2]


@pytest.fixture(scope="module")
def rows():
    models = {
        ("npo", 1): "a",
        ("npo", 2): "b",
        ("retrain", 1): "r",
        ("retrain", 2): "s",
        ("gradient_ascent", 1): "lost",
    }
    return endpoint_rows(stub(KNOWN), models)


def test_endpoints_hold_their_scores_and_seconds(rows):
    assert rows["method"].tolist() == ["npo", "npo", "retrain", "retrain", "gradient_ascent"]
    assert rows["seed"].tolist() == [1, 2, 1, 2, 1]
    assert rows["seconds"].tolist() == [1, 3, 60, 62, 2]
    assert rows["collapsed"].tolist() == [False] * 4 + [True]
    np.testing.assert_allclose(rows[["UA", "RA", "TA"]].to_numpy()[0], [0.3, 0.9, 0.6])
    for name in ("accuracy_valid", "loss_forget", "zrf", "js_retrained_forget", "js_retrained_test"):
        assert rows[name].tolist() == [float(KNOWN[k].metric(name)[0]) for k in ("a", "b", "r", "s", "lost")]
    clean(rows)


def test_the_gap_is_taken_to_the_mean_retrained_model(rows):
    ua, ra, ta = 0.15, 1.0, 0.75  # means of the two retrained rows
    first = [abs(0.3 - ua), abs(0.9 - ra), abs(0.6 - ta)]
    assert rows["gap"][0] == pytest.approx(sum(first) / 3)
    assert rows["tow"][0] == pytest.approx(math.prod(1 - d for d in first))
    assert rows["gap"][2] == pytest.approx((0.05 + 0 + 0.05) / 3)


def test_a_gap_needs_retrained_models():
    with pytest.raises(BadInput, match="at least one named retrain"):
        endpoint_rows(stub(KNOWN), {("npo", 1): "a"})


def test_the_summary_is_sorted_by_the_gap_and_has_a_spread_only_over_seeds(rows):
    table = endpoint_summary(rows)
    assert table.index.tolist() == ["retrain", "npo", "gradient_ascent"]
    names = ["UA", "RA", "TA", "gap, points", "ZRF", "JS to retrained", "CPU s", "saving", "models"]
    assert list(table.columns) == names
    assert table.loc["npo", "UA"] == "30.0 ± 0.0"
    assert table.loc["npo", "TA"] == f"70.0 ± {np.std([60, 80], ddof=1):.1f}"
    assert table.loc["npo", "CPU s"] == "2.0 ± 1.4"
    assert table.loc["gradient_ascent", "TA"] == "20.0"
    assert table["saving"].tolist() == ["-", "30.5 x", "30.5 x"]  # 61 seconds over 2
    assert table["models"].tolist() == [2, 2, 1]
    clean(table)


ACCURACY, LOSS = 0.13, 0.4  # of forget data: how far retrained models are from the original


def ends(method, forgot, gap, seconds, kept=0.99, original=0, seed=42):
    """A row whose model has closed such a share of the way to retraining and kept such a share of the accuracy."""
    row = {"method": method, "seed": seed, "original": original, "gap": gap, "seconds": seconds}
    return row | {"UA": 0.002 + ACCURACY * forgot, "RA": 0.998 * kept, "TA": 0.86, "loss_forget": 0.01 + LOSS * forgot}


GAPS = pd.DataFrame(
    [ends("retrain", 1.0, 0.001, 60.0, 1.0), ends("original", 0.0, 0.04, 60.0, 1.0)]
    + [ends("npo", 1.2, 0.02, 6.0), ends("npo", 0.4, 0.03, 10.0), ends("finetune", 0.6, 0.03, 20.0)]
    + [ends("gradient_ascent", 2.5, 0.05, 1.0, 0.9)]
)


def test_the_gate_is_that_of_the_same_original():
    """A second original whose forget set costs twice as much: what passes on the first does not there."""
    other = pd.DataFrame(
        [ends("retrain", 2.0, 0.001, 60.0, 1.0, 1), ends("original", 0.0, 0.04, 60.0, 1.0, 1)]
        + [ends("npo", 1.2, 0.02, 6.0, original=1), ends("npo", 0.9, 0.02, 6.0, original=1)]
    )
    found = ends_gates(pd.concat([GAPS, other]))
    assert list(found) == ["npo", "finetune", "gradient_ascent"]
    assert [round(one.loss, 6) for one in found["npo"]] == [1.2, 0.4, 0.6, 0.45]
    assert [not one.reasons for one in found["npo"]] == [True, False, True, False]
    assert found["npo"][0].kept == pytest.approx(0.99)


def test_the_gate_names_who_passes_and_who_forgot_too_much():
    table = gate_table(GAPS)
    assert table.index.tolist() == ["npo", "finetune", "gradient_ascent"]
    assert table["pass"].tolist() == ["1 of 2", "1 of 1", "0 of 1"]
    assert table["forgot"].tolist() == table["forgot, accuracy"].tolist() == ["0.80", "0.60", "2.50"]
    assert table["kept"].tolist() == ["0.99", "0.99", "0.90"]
    assert table["beyond 2 G"].tolist() == ["0 of 2", "0 of 1", "1 of 1"]
    assert table["fails by"].tolist() == ["did not forget", "", "did not keep"]
    words = clean(gate_text(GAPS))
    assert "**All models pass the gate**: fine-tuning." in words and "**Some do**: NPO (1 of 2)." in words
    assert "reads a path that ends in one**: gradient ascent." in words
    assert "than retrained ones**: gradient ascent (1 of 1)." in words
    assert "**Models beyond 2 G**: gradient ascent (1 of 1)." in words
    assert failing(GAPS) == ["gradient_ascent"]


def test_models_are_those_that_the_room_computes_on_every_original(laptop, smoke):
    for study in (laptop, smoke):
        models = endpoint_models(study)
        assert {study.profile(spec) for spec in models.values()} <= set(endpoints(study))
        assert {(s, o) for name, s, o in models if name == "original"} == {(o, o) for o in study.originals}
        assert all(name != "finetune" or o < 3 for name, _, o in models)
    count = 8 * (1 + 2 + 2 * len(laptop.preset.methods)) + 3 * 2
    assert len(endpoint_models(laptop)) == count


def test_leaning_counts_the_paths_of_each_notebook_that_end_in_a_method(smoke):
    ends = [smoke.unlearned("npo", seed) for seed in smoke.seeds[:2]]
    twin = replace(smoke.unlearned("finetune", 1), origin=ends[0])
    line, bent = (smoke.path(*ends, kind=kind) for kind in ("linear", "bezier"))
    way, pair = smoke.path(smoke.original(), ends[0]), smoke.path(ends[0], twin)
    mixed = smoke.path(ends[0], smoke.unlearned("gradient_ascent", 1))
    plans = {"00_a": [line, bent, bent], "09_b": [line, way, smoke.original()], "05_c": [mixed, pair]}
    asked = {name: lambda study, paths=paths: [study.profile(p) for p in paths] for name, paths in plans.items()}
    table = leaning_table(GAPS, smoke, asked | {"15_claims": None})
    assert table.index.tolist() == ["npo", "finetune", "gradient_ascent"]  # by gap
    assert table["gap"].tolist() == ["2.5", "3.0", "5.0"]
    assert table["beside original"].tolist() == ["-1.5", "-1.0", "+1.0"]
    assert table["notebooks"].tolist() == ["00, 09, 05", "none", "05"] and table["paths"].tolist() == [5, 0, 1]


def test_the_answer_says_who_is_farther_than_the_original_and_what_is_saved():
    words = clean(endpoints_answer(GAPS))
    assert "2 of 3 methods have a smaller mean gap to retraining than the untouched original (4.0 points)" in words
    assert "1 a larger one: gradient ascent; no model of gradient ascent passes the gate." in words
    assert "The nearest, NPO, is 2.5 points away." in words
    assert "takes 60 CPU seconds, NPO 8.0, which is 7.5 times fewer" in words
    assert "save between 3.0 (fine-tuning) and 60.0 times (gradient ascent)" in words
    rest = endpoints_answer(GAPS[GAPS["method"] != "gradient_ascent"])
    assert "0 a larger one; every method has models that pass the gate." in rest


def test_settings_stand_beside_what_the_oracle_would_choose(monkeypatch):
    rows = []
    for method in GRID:
        for lr, valid, forget in ((0.001, 0.88, 0.88), (0.002, 0.88, 0.90)):
            made = {
                "method": method,
                "curriculum": "none",
                "optimizer": "adamw",
                "lr": lr,
                "steps": 100,
                "seed": 7,
            }
            made |= {
                "batch_size": 128,
                "forget_batch_size": 16,
                "options": "beta=0.1" if method == "npo" else "",
            }
            made |= {"schedule": "linear" if method == "scrub" else "constant", "forget_original": 0.98}
            made |= {
                "forget": forget,
                "valid": valid,
                "retain": 0.99,
                "valid_original": 0.88,
                "retain_original": 0.99,
            }
            made |= {
                "forget_retrained": 0.90,
                "valid_retrained": 0.88,
                "retain_retrained": 0.99,
                "seconds": 1,
            }
            rows.append({name: str(value) for name, value in made.items()})
    monkeypatch.setattr(search, "read_rows", lambda name: rows)
    table = settings_table(SimpleNamespace(settings="mine"))
    assert table.index.tolist() == list(search.GRID)
    assert list(table.columns) == ["chosen on validation", "gate", "gap", "by gap to retrained", "its gap"]
    both = [f"lr {lr}, 100 steps, linear decay, D_f batch 16" for lr in (0.001, 0.002)]
    assert table.loc["scrub"].tolist() == [both[0], "passes", 0.67, both[1], 0.0]
    assert table.loc["npo", "chosen on validation"] == "lr 0.001, 100 steps, D_f batch 16, beta=0.1"
    assert (table["its gap"] <= table["gap"]).all()
    clean(table)
    monkeypatch.setattr(search, "read_rows", lambda name: rows[::2])
    assert set(settings_table(SimpleNamespace(settings="mine"))["by gap to retrained"]) == {"the same"}
