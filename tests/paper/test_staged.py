"""The staged search: what it runs, in which order, what it keeps, and that it goes on where it was stopped."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from mcutils.engine.study import study
from mcutils.errors import BadInput
from mcutils.paper import search, staged
from mcutils.paper.forget_size import methods_of, sizes_of
from mcutils.paper.search import COLUMNS, GRID, MORE, SEEDS, chosen, context, read_rows, settings_of, tier
from mcutils.paper.staged import GENTLE, STAGES, combined, run, table_of
from mcutils.settings import method_settings, preset, presets
from mcutils.unlearning.endpoints import method_options
from mcutils.unlearning.methods import METHODS

PLAIN, NAME = "fashion-mnist.convnet", "fashion-mnist.convnet.eight"
GOOD = {"forget": 0.88, "valid": 0.88, "retain": 1.0, "forget_loss": 0.5}
IDLE = {"forget": 1.0, "valid": 0.88, "retain": 1.0, "forget_loss": 0.1}
LOST = {"forget": 0.85, "valid": 0.85, "retain": 0.9, "forget_loss": 0.6}
OVER = {"forget": 0.80, "valid": 0.88, "retain": 1.0, "forget_loss": 1.3}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """The study `eight`, with made-up endpoints: ``outcome`` of a `Tried` gives its numbers; ``ran`` lists what ran."""
    monkeypatch.setattr(search, "DATA", tmp_path)
    made = SimpleNamespace(study=study("laptop", store=str(tmp_path / "store"), fresh=True), ran=[], outcome=None)

    def rows_for(_, tries):
        (one,) = tries
        made.ran.append(one)
        found = {"forget_original": 1.0, "valid_original": 0.88, "retain_original": 1.0}
        found |= {"forget_loss_original": 0.1, "valid_loss_original": 0.5, "forget_loss_retrained": 0.5, "seconds": 1}
        found |= {f"{s}_retrained": v for s, v in (("forget", 0.88), ("valid", 0.88), ("retain", 1.0))}
        table, names = table_of(one.settings), ("method", "curriculum", "optimizer", "seed")
        found |= {k: v for k, v in table.items() if k in COLUMNS} | {k: getattr(one, k) for k in names}
        found["options"] = " ".join(f"{k}={v}" for k, v in one.settings.options)
        return [{name: (found | made.outcome(one)).get(name, one.size or "") for name in [*COLUMNS, *MORE]}]

    monkeypatch.setattr(staged, "rows_for", rows_for)
    return made


def test_settings_that_pass_are_kept_and_nothing_else_is_tried(bench):
    bench.outcome = lambda one: GOOD
    rows = run(bench.study, ["npo", "scrub"])
    ran = [(one.method, one.curriculum, one.optimizer, one.size, one.seed) for one in bench.ran]
    kinds = [("none", "adamw", 0.0), ("none", "sophia_g", 0.0), ("superloss", "adamw", 0.0)]
    kinds += [("none", "adamw", size) for size in (0.02, 0.04, 0.06, 0.08)]
    assert set(ran) == {(m, *kind, seed) for m in ("npo", "scrub") for kind in kinds for seed in SEEDS}
    assert len(ran) == len(set(ran)) == len(rows)
    for one in bench.ran:
        assert one.settings.plan.lr == method_settings(PLAIN, one.method).plan.lr  # the partner's, under any variant
        plain = method_settings(PLAIN, one.method, one.curriculum, one.optimizer)
        assert one.settings == replace(plain, plan=replace(plain.plan, lr=one.settings.plan.lr))
    assert read_rows(NAME) == [{k: str(v) for k, v in row.items()} for row in rows]
    assert not search.table_path(PLAIN).exists()


def test_where_a_setting_fails_its_list_is_gone_through_until_one_passes_with_both_seeds(bench):
    gentle = [settings_of(method_settings(PLAIN, "npo"), table) for table in combined(GENTLE["npo"])]
    bench.outcome = lambda one: (
        GOOD if one.settings == gentle[2] or (one.settings, one.seed) == (gentle[1], 7) else LOST
    )
    run(bench.study, ["npo"], ["methods"])
    start = method_settings(PLAIN, "npo")
    expected = [(start, 7), (gentle[0], 7), (gentle[1], 7), (gentle[1], 8), (gentle[2], 7), (gentle[2], 8)]
    assert [(one.settings, one.seed) for one in bench.ran] == expected
    assert search.parsed(chosen(read_rows(NAME), "npo")[0]) == table_of(gentle[2])


def test_a_winner_that_passes_nothing_is_run_with_every_seed_and_one_that_does_nothing_does_not_win(bench):
    bench.outcome = lambda one: LOST if one.settings == method_settings(PLAIN, "npo") else IDLE
    rows = run(bench.study, ["npo"], ["methods"])
    won = chosen(rows, "npo")
    assert tier(won) == 2 and [row["seed"] for row in won] == list(SEEDS)
    bench.outcome = lambda one: IDLE
    assert chosen(run(bench.study, ["salun"], STAGES), "salun") == []  # and no variant of it is run
    assert {context(row) for row in read_rows(NAME) if row["method"] == "salun"} == {("salun", "none", "adamw", "")}


def test_rates_are_lowered_until_nothing_is_forgotten_and_raised_where_nothing_was(bench):
    partner = method_settings(PLAIN, "npo").plan.lr

    def outcome(one):
        scale = one.settings.plan.lr / partner
        if (one.curriculum, one.optimizer) == ("none", "adamw"):
            return GOOD
        if one.optimizer == "sophia_g":
            return LOST if scale > 0.4 else GOOD if scale > 0.2 else IDLE
        return IDLE if scale < 3 else GOOD

    bench.outcome = outcome
    rows = run(bench.study, ["npo"], ["rates"])
    scales = {}
    for one in bench.ran:
        scales.setdefault((one.curriculum, one.optimizer), []).append(round(one.settings.plan.lr / partner, 6))
    assert scales["none", "sophia_g"] == [1.0, 0.5, 0.3, 0.3, 0.1]
    assert scales["superloss", "adamw"] == [1.0, 2.0, 4.0, 4.0]
    assert chosen(rows, "npo", "none", "sophia_g")[0]["lr"] == pytest.approx(0.3 * partner)


def test_at_other_sizes_a_setting_must_stay_within_two_gaps(bench):
    bench.outcome = lambda one: OVER if one.settings == method_settings(PLAIN, "npo") else GOOD
    rows = run(bench.study, ["npo"], ["methods", "sizes"])
    assert tier(chosen(rows, "npo")) == 1 and tier(chosen(rows, "npo", size="0.02")) == 0
    assert {one.size for one in bench.ran} == {0.0, 0.02, 0.04, 0.06, 0.08}


def test_a_search_that_was_stopped_goes_on_behind_its_rows(bench):
    bench.outcome = lambda one: GOOD if one.settings.plan.lr < 2e-3 else LOST
    whole = run(bench.study, ["npo", "scrub"])
    text, count = search.table_path(NAME).read_text(), len(bench.ran)
    for stop in (1, 5, count - 1, count):
        search.write_rows(NAME, whole[:stop])
        bench.ran.clear()
        run(bench.study, ["npo", "scrub"])
        assert len(bench.ran) == count - stop and search.table_path(NAME).read_text() == text


def test_every_list_holds_settings_that_its_method_takes_and_no_other_stage_is_known(bench):
    assert set(GENTLE) == set(GRID)
    for method, grids in GENTLE.items():
        for table in combined(grids):
            made = settings_of(method_settings(PLAIN, method), table)
            method_options(METHODS[method], dict(made.options))
            assert table_of(made).items() >= table.items()
    with pytest.raises(BadInput, match="unknown stage 'rate': choose one of methods, rates, sizes"):
        run(bench.study, ["npo"], ["rate"])


def test_the_original_of_the_search_and_its_draw_are_no_study_s():
    bench = study("laptop")
    assert bench.original(search.ORIGINAL).data.draw == search.ORIGINAL == bench.original(search.ORIGINAL).seed
    for name in presets():
        assert search.ORIGINAL not in range(max(2, preset(name).originals))
    assert sizes_of(bench) == [0.02, 0.04, 0.06, 0.08, 0.1] and len(methods_of(bench)) == 3
