"""The search for how curves between models trained apart are fitted: its rule, its rows, the committed winner."""

import argparse
from itertools import product

import pytest
from synthetic import trace

import mcutils as mc
from mcutils.errors import BadInput
from mcutils.measures.metrics import mean_loss
from mcutils.paper import curve_search, search_command
from mcutils.paper.curve_search import COLUMNS, GRID, SEEDS, best, curves, read_rows, report, rows_for, write_rows
from mcutils.settings import MethodSettings, Plan, independent_plan, preset, presets

COMMITTED = "fashion-mnist.convnet"


def row(valid, steps=100, lr=0.01):
    return dict.fromkeys(COLUMNS, 0.5) | {"valid": valid, "steps": steps, "lr": lr, "schedule": "linear"}


def test_the_fewest_steps_within_two_percent_of_the_lowest_loss_win():
    lowest, near, far = row(1.0, 800), row(1.019, 400), row(1.03, 200)
    assert best([lowest, near, far]) == near and best([lowest, far]) == lowest
    assert best([near, row(1.01, 400)])["valid"] == 1.01 and best([row(1.0, lr=0.3), row(1.0, lr=0.1)])["lr"] == 0.1
    assert best([{k: str(v) for k, v in one.items()} for one in (lowest, near)])["steps"] == "400"
    with pytest.raises(BadInput, match="run the search first"):
        best([])


def test_neither_test_data_nor_the_seeds_of_a_study_are_looked_at():
    assert not [name for name in COLUMNS if "test" in name]
    assert not set(SEEDS) & set(range(8)).union(*(preset(name).seeds for name in presets()))


def test_rows_hold_what_the_curves_score(tmp_path, monkeypatch):
    bench = mc.study("smoke", store=str(tmp_path))
    found = curves(bench)
    assert {one.method for one in found} == {"finetune"}
    tables = {tuple(getattr(one.plan, name) for name in COLUMNS[:3]) for one in found}
    assert tables == {values for grid in GRID for values in product(*grid.values())} and len(found) == len(tables)
    made = [trace(11, seed=k) for k in range(5)]
    monkeypatch.setattr(type(bench), "run", lambda self, specs: made[: len(specs)])
    monkeypatch.setattr(type(bench.store), "seconds", lambda self, spec: 2.5)
    for one, path, seen in zip(rows_for(bench), found, made[1:], strict=True):
        valid, line, retain = mean_loss(seen, "valid"), mean_loss(made[0], "valid"), mean_loss(seen, "retain")
        assert one["valid"] == pytest.approx((valid[0] / 2 + valid[1:-1].sum() + valid[-1] / 2) / 10, abs=1e-6)
        assert one["valid_line"] == pytest.approx((line[0] / 2 + line[1:-1].sum() + line[-1] / 2) / 10, abs=1e-6)
        rise = max(v - (1 - t) * retain[0] - t * retain[-1] for v, t in zip(retain, seen.t, strict=True))
        assert one["retain_barrier"] == pytest.approx(rise, abs=1e-6) and one["seconds"] == 2.5
        assert (one["lr"], one["steps"], one["schedule"]) == (path.plan.lr, path.plan.steps, path.plan.schedule)


def test_rows_are_read_as_they_were_written_and_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(curve_search, "DATA", tmp_path)
    assert read_rows("digits.convnet") == []
    write_rows("digits.convnet", [row(1.0), row(2.0)])
    assert read_rows("digits.convnet") == [{k: str(v) for k, v in one.items()} for one in (row(1.0), row(2.0))]
    parser = argparse.ArgumentParser()
    search_command.add_arguments(parser)
    arguments = parser.parse_args(["--preset", "smoke", "--curves", "--show", "--store", str(tmp_path / "store")])
    assert search_command.main(arguments) == 0 and not (tmp_path / "store").exists()
    assert capsys.readouterr().out.strip() == report([row(1.0), row(2.0)])


def test_the_committed_plan_is_the_winner_of_the_committed_search():
    rows = read_rows(COMMITTED)
    assert len(rows) == 4
    won, plan = best(rows), independent_plan(COMMITTED, MethodSettings(Plan()))
    assert (plan.lr, plan.steps, plan.schedule) == (float(won["lr"]), int(won["steps"]), won["schedule"])
    assert all(float(one["retain_barrier"]) < float(one["retain_barrier_line"]) for one in rows)
