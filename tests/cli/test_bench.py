"""The speed report: its rows, not its numbers."""

import json

import numpy as np
import pytest
import torch

from mcutils.cli import bench, bench_explorer
from mcutils.traces import SPLITS, Trace


@pytest.fixture
def no_workers(monkeypatch):
    """Leave the worker processes out."""
    skipped = lambda case, n: bench.row("processes", case.model, [], "", why_not="not measured")  # noqa: E731
    monkeypatch.setattr(bench, "processes", skipped)
    monkeypatch.setattr(bench, "explorer_rows", lambda quick: [])


def test_report(tmp_path, capsys, no_workers):
    out, threads, random = tmp_path / "new" / "bench.json", torch.get_num_threads(), torch.get_rng_state()
    assert bench.main(out, quick=True) == 0
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), random)
    assert [p.name for p in out.parent.iterdir()] == ["bench.json"]
    rows = json.loads(out.read_text(encoding="utf-8"))
    assert [(r["name"], r["goal"], r["model"]) for r in rows] == [
        ("evaluation", 1.1, "convnet"),
        ("bf16", 0.7, "convnet"),
        ("fit", 1.1, "convnet"),
        ("processes", 1.3, "convnet"),
    ]
    for row in rows[:3]:
        assert row["ratio"] > 0 and row["repetitions"] == 1 and row["bound"] == "at most" and row["detail"]
        assert row["holds"] in ((row["ratio"] <= row["goal"]), None)
    assert rows[3]["ratio"] is None and rows[3]["holds"] is None and rows[3]["detail"] == "not measured"
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 4 and printed[0].startswith("evaluation convnet") and "unknown" in printed[3]


def test_cases_are_measured_at_least_five_times(tmp_path, monkeypatch, capsys):
    seen = []
    row = bench.row("fit", "convnet", [1.0], "")
    monkeypatch.setattr(bench, "measure", lambda case, n: seen.append((case.model, n)) or [row])
    monkeypatch.setattr(bench, "explorer_rows", lambda quick: [])
    bench.main(tmp_path / "bench.json")
    assert [model for model, _ in seen] == ["convnet", "resnet18"] and min(n for _, n in seen) >= 5
    assert len(json.loads((tmp_path / "bench.json").read_text())) == 2


@pytest.mark.parametrize(
    ("name", "ratios", "ratio", "holds"),
    [
        ("fit", [1.3, 1.02, 1.0], 1.02, True),
        ("fit", [1.2], 1.2, False),
        ("fit", np.array([1.1]), 1.1, True),
        ("processes", [1.4], 1.4, True),
        ("processes", [1.2], 1.2, False),
    ],
)
def test_row_holds_the_median_against_its_bound(name, ratios, ratio, holds):
    row = bench.row(name, "m", ratios, "d")
    assert (row["ratio"], row["holds"], row["repetitions"]) == (ratio, holds, len(ratios))
    assert json.loads(json.dumps(row)) == row
    assert bench.row(name, "m", ratios, "d", why_not="why")["holds"] is None


def test_variants_take_turns_after_a_warm_up():
    calls = []
    seconds = bench.interleaved([lambda: calls.append("a"), lambda: calls.append("b") or 2.5], 3)
    assert calls == ["a", "b"] * 4 and seconds.shape == (3, 2)
    assert (seconds[:, 1] == 2.5).all() and (seconds[:, 0] >= 0).all()


def test_clock_leaves_set_up_out():
    clock = bench.Clock()
    clock.began, clock.ends = 1.0, [6.0, 8.0, 10.0]
    assert clock.seconds == 4 and clock.setup == 3


def test_floors_look_at_what_the_core_looks_at():
    case = bench.QUICK[0]
    task = bench.small_task(case)
    assert {s: len(v) for s, v in task.evaluation.items()} == dict.fromkeys(SPLITS, 16)
    assert [len(batch) for batch in bench.seen(task)] == [64, 32]
    assert len(task.index["retain"]) == 8100


def test_deviation():
    logits = np.zeros((2, 4, 2), dtype=np.float16)
    other = logits.copy()
    other[1, 0, 1] = 1
    labels = dict.fromkeys(SPLITS, np.zeros(4, dtype=np.int64))
    index = dict.fromkeys(SPLITS, np.arange(4))
    kept = {
        "float32": Trace(np.array([0.0, 1.0]), dict.fromkeys(SPLITS, logits), labels, index, {}),
        "bfloat16": Trace(np.array([0.0, 1.0]), dict.fromkeys(SPLITS, other), labels, index, {}),
    }
    change = (np.log1p(np.e) - np.log(2)) / 4
    assert bench.deviation(kept).startswith(f"changes mean losses by {change:.1e} nats and accuracies by 25.00 points")


@pytest.mark.parametrize(("load", "cores"), [(5.0, {0, 1}), (1.0, {0})])
def test_processes_are_not_measured_where_wall_time_means_nothing(monkeypatch, load, cores):
    monkeypatch.setattr(bench.os, "getloadavg", lambda: (load, load, load), raising=False)
    monkeypatch.setattr(bench.os, "sched_getaffinity", lambda pid: cores, raising=False)
    row = bench.processes(bench.QUICK[0], 1)
    assert row["ratio"] is None and row["holds"] is None and "not measured" in row["detail"]


def test_processes_are_measured_on_an_idle_machine(monkeypatch):
    monkeypatch.setattr(bench.os, "getloadavg", lambda: (0.0, 0.0, 0.0), raising=False)
    monkeypatch.setattr(bench.os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    row = bench.processes(bench.QUICK[0], 1)
    assert row["ratio"] > 0 and row["holds"] in (True, False) and row["repetitions"] == 1


def test_without_a_browser_the_explorer_s_rows_say_why(monkeypatch):
    monkeypatch.setattr(bench_explorer, "chromium", lambda: None)
    monkeypatch.setattr(bench_explorer, "find_spec", lambda name: True)
    rows = list(bench.explorer_rows())
    assert [one["name"] for one in rows] == ["page", "page heap", "lab", "lab heap", "kernel"]
    assert all(one["detail"] == "not measured, since chromium is not installed" for one in rows)
    assert all(one["ratio"] is None and one["holds"] is None for one in rows)
    monkeypatch.setattr(bench_explorer, "find_spec", lambda name: None)
    assert "playwright is not installed" in next(iter(bench.explorer_rows()))["detail"]


@pytest.mark.parametrize(("load", "holds"), [(0.5, True), (9.0, None), (None, True)])
def test_the_explorer_s_rows_are_times_and_memory_against_their_bounds(monkeypatch, load, holds):
    page = {"place": "page", "took": [*range(1, 101)], "heap": [10.0, 10.2], "moves": 7, "load": load}
    lab = {"place": "lab", "took": [10.0, 20.0], "heap": [10.0, 12.0], "kernel": [200.0, 201.0], "load": load}
    lab |= {"widgets": [3, 3], "cycles": 9}
    monkeypatch.setattr(bench_explorer, "lacking", lambda: "")
    monkeypatch.setattr(bench_explorer, "measured", lambda *sizes: [page, lab])
    monkeypatch.setattr(bench.os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    rows = {one["name"]: one for one in bench.explorer_rows()}
    assert rows["page"]["ratio"] == pytest.approx(50.5 / 15, abs=1e-4) and rows["page"]["repetitions"] == 100
    assert rows["page"]["detail"].startswith("median 50.5 ms, 95th percentile 95.0 ms, 100 moves; load ")
    assert rows["page"]["holds"] is (None if holds is None else False)
    assert rows["lab"]["ratio"] == 0.6 and rows["lab"]["holds"] is holds
    assert rows["page heap"]["holds"] is True and "10.0 MB, after 7 moves 10.2 MB" in rows["page heap"]["detail"]
    assert rows["lab heap"]["holds"] is False and rows["kernel"]["holds"] is True
    assert "after 9 explorers made and closed 201.0 MB; widgets alive 3 and 3" in rows["kernel"]["detail"]
