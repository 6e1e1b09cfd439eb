"""The search: its rule, its winners, and the settings files that are written from them."""

import argparse
import csv
from types import SimpleNamespace

import pytest
from synthetic import trace

from mcutils import settings
from mcutils.descent import SCHEDULES
from mcutils.engine.specs import DataSpec, OriginalSpec, RetrainedSpec
from mcutils.errors import BadInput
from mcutils.paper import search
from mcutils.paper.search import (
    COLUMNS,
    GRID,
    SEEDS,
    VARIANTS,
    best,
    candidates,
    chosen,
    forgotten,
    oracle_gap,
    parsed,
    read_rows,
    report,
    rows_for,
    score,
    settings_of,
    toml,
    write_rows,
    write_settings,
)
from mcutils.settings import MethodSettings, Plan, method_settings, preset, presets
from mcutils.unlearning.methods import METHODS

COMMITTED = "fashion-mnist.convnet"


def row(method="npo", lr=0.001, steps=100, seed=7, curriculum="none", optimizer="adamw", **changes):
    """A row of the search: by default a method that leaves D_f like validation data, at no cost."""
    made = {"method": method, "curriculum": curriculum, "optimizer": optimizer, "lr": lr, "steps": steps}
    made |= {"schedule": "constant", "batch_size": 128, "forget_batch_size": 128, "options": "", "seed": seed}
    made |= {
        "forget_original": 0.98,
        "forget": 0.88,
        "valid": 0.88,
        "retain": 0.99,
        "valid_original": 0.88,
        "retain_original": 0.99,
    }
    made |= {"forget_retrained": 0.88, "valid_retrained": 0.88, "retain_retrained": 0.99, "seconds": 1.5}
    return {**made, **changes}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Settings files and search tables of one's own."""
    for module in (settings, search):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(search, "DATA", tmp_path / "data")
    settings._read.cache_clear()
    yield tmp_path
    settings._read.cache_clear()


# The rule


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"forget": 0.93}, 5),
        ({"forget": 0.80}, 8),
        ({"retain": 0.96}, 3),
        ({"retain": 1.0}, 0),
        ({"valid": 0.86, "forget": 0.86}, 2),
        ({"valid": 0.90, "forget": 0.90}, 0),
        ({"forget": 0.90, "valid": 0.87, "retain": 0.98}, 3 + 1 + 1),
        ({"forget_retrained": 0.1, "valid_retrained": 0.1, "retain_retrained": 0.1}, 0),
    ],
)
def test_the_score_is_that_of_the_rule(changes, expected):
    assert score(row(**changes)) == pytest.approx(expected)
    assert score({k: str(v) for k, v in row(**changes).items()}) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"forget": 0.91}, 1),
        ({"forget": 0.85, "valid": 0.90, "retain": 0.95}, (3 + 2 + 4) / 3),
        ({"valid_original": 0.1, "retain_original": 0.1}, 0),
    ],
)
def test_the_oracle_s_gap_is_the_mean_distance_to_the_retrained_model(changes, expected):
    assert oracle_gap(row(**changes)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 1),
        ({"forget": 0.93}, 0.5),
        ({"forget": 0.98}, 0),
        ({"forget": 0.78}, 2),
        ({"forget_original": 0.88}, 1),  # nothing to close
        ({"forget_original": 0.85}, 1),
    ],
)
def test_the_share_forgotten_is_that_of_the_original_s_gap(changes, expected):
    assert forgotten(row(**changes)) == pytest.approx(expected)


def test_a_setting_that_does_nothing_wins_only_where_all_do():
    nothing = row(lr=0.0001, forget=0.98, retain=0.99)  # score 10
    costly = row(lr=0.001, retain=0.7)  # score 29, but it forgets
    half = row(lr=0.002, forget=0.93, retain=0.65)  # score 39
    assert best([nothing, costly, half]) == [costly]
    assert best([nothing, half]) == [half]
    assert best([nothing, row(lr=0.5, forget=0.94, retain=0.7)]) == [nothing]
    # The share counts as a mean over seeds, and only for our own rule.
    seeds = [row(lr=0.003, seed=7, forget=0.98), row(lr=0.003, seed=8, forget=0.88)]
    assert best([*seeds, costly]) == seeds
    same = {"forget_retrained": 0.98, "valid_retrained": 0.88, "retain_retrained": 0.99}
    assert best([{**nothing, **same}, {**costly, **same}], rule=oracle_gap) == [{**nothing, **same}]


def test_test_data_are_not_even_recorded():
    assert not [name for name in COLUMNS if "test" in name]


def test_the_lowest_mean_over_seeds_wins():
    steady = [row(lr=0.002, seed=s, forget=0.90) for s in SEEDS]
    lucky = [row(lr=0.001, seed=SEEDS[0]), row(lr=0.001, seed=SEEDS[1], forget=0.93)]
    assert best(lucky + steady) == steady
    assert best([*steady, *lucky], rule=lambda r: -score(r)) == lucky
    assert best(lucky[:1] + steady) == lucky[:1]


def test_ties_go_to_fewer_steps_and_then_to_a_lower_rate():
    tied = [row(lr=lr, steps=steps) for lr in (0.002, 0.0005, 0.001) for steps in (200, 50, 100)]
    winner = best(tied)[0]
    assert (winner["steps"], winner["lr"]) == (50, 0.0005)
    as_text = [{k: str(v) for k, v in r.items()} for r in [row(steps=9), row(steps=10), row(steps=100)]]
    assert best(as_text[::-1])[0]["steps"] == "9"
    # Means that differ only by rounding are a tie too.
    assert best([row(forget=0.88 + 1e-12, steps=50), row(steps=100)])[0]["steps"] == 50


def test_both_rules_choose_among_the_rows_of_one_method_and_variant():
    rows = [row(lr=0.001), row(lr=0.002, forget=0.80, forget_retrained=0.80, valid_retrained=0.88)]
    rows += [row("scrub", lr=0.5), row(lr=0.7, optimizer="soul"), row(lr=0.9, curriculum="superloss")]
    assert chosen(rows, "npo")[0]["lr"] == 0.001
    assert chosen(rows[1:2], "npo", rule=oracle_gap)[0]["lr"] == 0.002
    assert chosen(rows, "npo", optimizer="soul")[0]["lr"] == 0.7
    assert chosen(rows, "npo", "superloss")[0]["lr"] == 0.9
    with pytest.raises(BadInput, match="run the search first"):
        chosen(rows, "salun")


# The grid


def test_the_grid_covers_every_method_once_with_valid_settings():
    assert set(GRID) == {name for name, one in METHODS.items() if name not in ("retrain", "train") and not one.edit}
    for method in GRID:
        tables = candidates(method)
        assert len({tuple(sorted(t.items())) for t in tables}) == len(tables) >= 3
        for table in tables:
            made = settings_of(MethodSettings(Plan()), table)
            assert made.plan.lr == table["lr"] and made.plan.steps == table["steps"]
            assert made.plan.schedule in SCHEDULES
            assert set(dict(made.options)) <= set(METHODS[method].options)


def test_the_search_s_seeds_are_never_those_of_a_study():
    assert not set(SEEDS) & {seed for name in presets() for seed in preset(name).seeds}


def test_settings_are_refined_not_replaced():
    start = MethodSettings(
        Plan(weight_decay=0.1, batch_size=64), (("beta", 0.1), ("forget_weight", 1.0)), (("lam", 2.0),)
    )
    made = settings_of(start, {"lr": 0.5, "steps": 7, "options.forget_weight": 0.3})
    assert made.plan == Plan(lr=0.5, steps=7, weight_decay=0.1, batch_size=64)
    assert made.options == (("beta", 0.1), ("forget_weight", 0.3))
    assert made.curriculum_options == (("lam", 2.0),)


# Rows


def test_rows_are_read_as_they_were_written(folders):
    rows = [row(options="alpha=0.1 msteps=2", lr=2.5e-4), row("scrub", seed=8)]
    write_rows("mine", rows)
    found = read_rows("mine")
    assert found == [{name: str(r[name]) for name in COLUMNS} for r in rows]
    assert [score(r) for r in found] == [score(r) for r in rows]
    write_rows("mine", found[:1])
    assert read_rows("mine") == found[:1]


def test_a_search_that_was_not_run_is_named(folders):
    with pytest.raises(BadInput, match=r"no search for mine \(mine\.csv\): run python -m mcutils search"):
        read_rows("mine")


def test_a_row_gives_back_its_settings():
    start = MethodSettings(Plan(), (("alpha", 0.001), ("msteps", 2)))
    made = settings_of(start, {"lr": 2.5e-4, "steps": 140, "forget_batch_size": 16})
    options = " ".join(f"{k}={v}" for k, v in made.options)
    for one in (row(lr=2.5e-4, steps=140, forget_batch_size=16, options=options), None):
        one = one or {k: str(v) for k, v in row(lr=2.5e-4, steps=140, forget_batch_size=16, options=options).items()}
        assert settings_of(MethodSettings(Plan()), parsed(one)) == made
        assert [type(v) for _, v in sorted(parsed(one).items())] == [int, int, float, float, int, str, int]


def test_rows_hold_what_the_endpoints_score(monkeypatch):
    data = DataSpec("digits", 240, 60, "00")
    scores = [
        {"retain": 1.0, "forget": 1.0, "valid": 0.9, "test": 0.0},
        {"retain": 0.95, "forget": 0.9, "valid": 0.9, "test": 0.0},
    ]
    scores += [{"retain": 0.9, "forget": 0.8, "valid": 0.7, "test": 0.0}]
    asked = []

    def run(specs):
        asked.extend(specs)
        return [trace(right=s) for s in scores]

    bench = SimpleNamespace(
        original=lambda: OriginalSpec(data, "convnet", 4, 0, Plan()),
        retrained=lambda seed: RetrainedSpec(data, 0.1, "convnet", 4, seed, Plan()),
        preset=SimpleNamespace(forget=0.1),
        trace=lambda spec: spec,
        run=run,
        store=SimpleNamespace(seconds=lambda spec: 2.5),
    )
    made = MethodSettings(Plan(lr=0.5, steps=3, schedule="linear", forget_batch_size=8), (("beta", 0.1),))
    (found,) = rows_for(bench, [("npo", "superloss", "soul", made, 8)])
    assert set(found) == set(COLUMNS)
    assert asked[:2] == [bench.original(), bench.retrained(SEEDS[0])]
    assert (asked[2].method, asked[2].curriculum, asked[2].optimizer, asked[2].seed) == (
        "npo",
        "superloss",
        "soul",
        8,
    )
    assert asked[2].settings == made and asked[2].origin == bench.original()
    expected = {"forget": 0.8, "valid": 0.7, "retain": 0.9, "valid_original": 0.9, "retain_original": 1.0}
    expected |= {
        "forget_original": 1.0,
        "forget_retrained": 0.9,
        "valid_retrained": 0.9,
        "retain_retrained": 0.95,
    }
    assert {k: found[k] for k in expected} == pytest.approx(expected)
    expected = {"options": "beta=0.1", "lr": 0.5, "steps": 3, "schedule": "linear", "seconds": 2.5}
    expected |= {"batch_size": 128, "forget_batch_size": 8}
    assert {k: found[k] for k in expected} == expected


# Settings files


HEAD = """# A comment to keep.

[train]
lr = 0.5
steps = 9

"""
OLD = """[methods.finetune]
lr = 0.123

[methods.npo]
steps = 3
options.beta = 7.0

[methods.npo.optimizers.soul]
lr = 0.456

"""
TAIL = """[optimizers.soul]
lr_scale = 0.25

[curve]
steps = 11
"""


def winners():
    """Rows of every method and variant: each method's second candidate wins, each variant's last rate."""
    rows = []
    for k, method in enumerate(GRID):
        for number, table in enumerate(candidates(method)):
            made = settings_of(MethodSettings(Plan()), table)
            options = " ".join(f"{name}={value}" for name, value in made.options)
            own = {n: getattr(made.plan, n) for n in ("lr", "steps", "schedule", "forget_batch_size")}
            sizes = {"batch_size": 64 if k % 2 else 128}
            lost = {"forget": 0.88 if number == 1 else 0.95}
            rows += [row(method, **own, **sizes, **lost, options=options, seed=seed) for seed in SEEDS]
        won = parsed(chosen(rows, method)[0])
        for (curriculum, optimizer), scales in VARIANTS.items():
            for number, scale in enumerate(scales):
                lost = {"forget": 0.88 if number == len(scales) - 1 else 0.95}
                variant = {"curriculum": curriculum, "optimizer": optimizer, "lr": won["lr"] * scale}
                own = {n: won[n] for n in ("steps", "schedule", "batch_size")}
                rows.append(row(method, **variant, **lost, **own))
    return rows


def check_winners(name, rows):
    """The settings that the reader finds are those of the rows that win by the rule."""
    kinds = {(r["method"], r["curriculum"], r["optimizer"]) for r in rows}
    assert {method for method, *_ in kinds} == set(GRID), "the search is not complete"
    for method in GRID:
        won, found = parsed(chosen(rows, method)[0]), method_settings(name, method)
        expected = settings_of(MethodSettings(Plan()), won)
        for field in ("lr", "steps", "schedule", "batch_size", "forget_batch_size"):
            assert getattr(found.plan, field) == getattr(expected.plan, field), f"{field} of {method}"
        assert found.options == expected.options, f"options of {method}"
        for curriculum, optimizer in VARIANTS:
            if (method, curriculum, optimizer) in kinds:
                won = parsed(chosen(rows, method, curriculum, optimizer)[0])
                found = method_settings(name, method, curriculum, optimizer)
                assert found.plan.lr == pytest.approx(won["lr"], rel=1e-5), (
                    f"lr of {method} x {curriculum} x {optimizer}"
                )
                assert found.plan.steps == won["steps"] == expected.plan.steps


@pytest.mark.parametrize("old", [HEAD + TAIL, HEAD + OLD + TAIL, HEAD + TAIL + OLD], ids=["none", "between", "last"])
def test_a_written_file_gives_the_winners_and_keeps_its_other_tables(old, folders):
    (folders / "mine.toml").write_text(old)
    rows = winners()
    write_settings("mine", rows)
    settings._read.cache_clear()
    check_winners("mine", rows)
    text = (folders / "mine.toml").read_text()
    assert text.startswith(HEAD) and TAIL in text and "0.123" not in text and "0.456" not in text
    assert settings.train_plan("mine") == Plan(lr=0.5, steps=9)
    assert settings.curve_plan("mine", MethodSettings(Plan())).steps == 11
    write_settings("mine", rows)
    assert (folders / "mine.toml").read_text() == text
    as_text = [{k: str(v) for k, v in r.items()} for r in rows]
    write_settings("mine", as_text)
    assert (folders / "mine.toml").read_text() == text


def test_variants_that_were_not_searched_follow_the_general_rule(folders):
    (folders / "mine.toml").write_text(HEAD + TAIL)
    rows = [r for r in winners() if (r["curriculum"], r["optimizer"]) == ("none", "adamw")]
    write_settings("mine", rows)
    settings._read.cache_clear()
    plain, soul = method_settings("mine", "npo").plan, method_settings("mine", "npo", optimizer="soul").plan
    assert soul.lr == pytest.approx(0.25 * plain.lr)


def test_half_a_search_is_not_written():
    with pytest.raises(BadInput, match="run the search first"):
        toml([row("npo")])


def test_the_report_names_the_winners_by_both_rules():
    rows = [row(lr=0.001, forget=0.90), row(lr=0.002, forget=0.85, valid=0.85, forget_retrained=0.90)]
    lines = report(rows).split("\n")
    assert len(lines) == 3
    assert "validation" in lines[1] and "oracle" in lines[2]
    assert "0.001" in lines[1] and "90.0 / 88.0 / 99.0, 2.00" in lines[1]


def test_show_prints_the_winners_that_are_kept_and_runs_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(search, "DATA", tmp_path / "data")
    rows = winners()
    write_rows("digits.convnet", rows)
    before = search.table_path("digits.convnet").read_bytes()
    parser = argparse.ArgumentParser()
    search.add_arguments(parser)
    store = tmp_path / "store"
    assert search.main(parser.parse_args(["--preset", "smoke", "--show", "--store", str(store)])) == 0
    assert capsys.readouterr().out.strip() == report(read_rows("digits.convnet"))
    assert not store.exists() and search.table_path("digits.convnet").read_bytes() == before


# The committed search


def test_the_committed_settings_are_the_winners_of_the_committed_search():
    check_winners(COMMITTED, read_rows(COMMITTED))


def test_the_committed_search_is_complete_and_plausible():
    rows = read_rows(COMMITTED)
    with open(search.table_path(COMMITTED), newline="") as file:
        assert next(csv.reader(file)) == COLUMNS
    for method in GRID:
        own = [r for r in rows if (r["method"], r["curriculum"], r["optimizer"]) == (method, "none", "adamw")]
        tried = {tuple(r[name] for name in COLUMNS[:10]) for r in own}
        assert len(tried) == len(own) == len(candidates(method)) * len(SEEDS), f"rows of {method}"
    assert {int(r["seed"]) for r in rows} <= set(SEEDS)
    for name in COLUMNS[10:-1]:
        assert all(0 <= float(r[name]) <= 1 for r in rows), name
    assert len({(r["valid_original"], r["retain_original"], r["forget_retrained"]) for r in rows}) == 1
