"""The search: its rule, its winners, and the settings files that are written from them."""

import math
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import pytest
from synthetic import trace

from mcutils import settings
from mcutils.engine.specs import DataSpec, OriginalSpec, RetrainedSpec, TraceSpec, UnlearnedSpec
from mcutils.errors import BadInput
from mcutils.measures.metrics import mean_loss
from mcutils.paper import search
from mcutils.settings import MethodSettings, Plan, independent_plan, method_settings, preset, presets

COMMITTED = "fashion-mnist.convnet"


def row(method="npo", lr=0.001, steps=100, seed=7, curriculum="none", optimizer="adamw", **changes):
    """A row of the search: by default a method that leaves D_f like validation data, at no cost."""
    made = {"method": method, "curriculum": curriculum, "optimizer": optimizer, "lr": lr, "steps": steps}
    made |= {"schedule": "constant", "batch_size": 128, "forget_batch_size": 128, "options": "", "seed": seed}
    made |= {
        "forget_original": 0.98, "forget": 0.88, "valid": 0.88, "retain": 0.99, "valid_original": 0.88,
        "retain_original": 0.99,
    }  # fmt: skip
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


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0), ({"forget": 0.93}, 5), ({"forget": 0.80}, 8), ({"retain": 0.96}, 3), ({"retain": 1.0}, 0),
        ({"valid": 0.86, "forget": 0.86}, 2), ({"valid": 0.90, "forget": 0.90}, 0),
        ({"forget": 0.90, "valid": 0.87, "retain": 0.98}, 3 + 1 + 1),
        ({"forget_retrained": 0.1, "valid_retrained": 0.1, "retain_retrained": 0.1}, 0),
    ],
)  # fmt: skip
def test_the_score_is_that_of_the_rule(changes, expected):
    assert search.score(row(**changes)) == pytest.approx(expected)
    assert search.score({k: str(v) for k, v in row(**changes).items()}) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 1), ({"forget": 0.93}, 0.5), ({"forget": 0.98}, 0), ({"forget": 0.78}, 2),
        ({"forget_original": 0.88}, 1), ({"forget_original": 0.85}, 1),  # nothing to close
    ],
)  # fmt: skip
def test_the_share_forgotten_is_that_of_the_original_s_gap(changes, expected):
    assert search.forgotten(row(**changes)) == pytest.approx(expected)


def test_a_setting_that_does_nothing_never_wins():
    nothing = row(lr=0.0001, forget=0.98, retain=0.99)  # score 10
    costly = row(lr=0.001, retain=0.7)  # score 29, but it forgets
    half = row(lr=0.002, forget=0.93, retain=0.65)  # score 39
    assert search.best([nothing, costly, half]) == [costly]
    assert search.best([nothing, half]) == [half]
    assert search.best([nothing]) == search.best([nothing, row(lr=0.5, forget=0.94, retain=0.7)]) == []
    # The share counts as a mean over seeds, and only for our own rule.
    seeds = [row(lr=0.003, seed=7, forget=0.98), row(lr=0.003, seed=8, forget=0.88)]
    assert search.best([*seeds, costly]) == seeds
    same = {"forget_retrained": 0.98, "valid_retrained": 0.88, "retain_retrained": 0.99}
    assert search.best([{**nothing, **same}, {**costly, **same}], rule=search.oracle_gap) == [{**nothing, **same}]


def with_losses(loss=0.5, **changes):
    """A row with losses: the original's gap on D_f is 0.4, from 0.1 to 0.5; by default it is closed to the full."""
    found = {"forget_loss": loss, "forget_loss_original": 0.1, "valid_loss_original": 0.5, "size": ""}
    return row(**(found | changes))


@pytest.mark.parametrize(
    ("loss", "changes", "expected"),
    [
        (0.5, {}, 0),
        (0.9, {}, 0),  # two gaps and no more
        (0.91, {}, 1),
        (0.3, {}, 0),
        (0.29, {}, 3),  # accuracy says that it forgot, the loss does not
        (0.5, {"forget": 0.94}, 3),  # and the other way round
        (0.5, {"forget": 0.93}, 0),
        (0.5, {"retain": 0.97 * 0.99}, 0),
        (0.5, {"retain": 0.96}, 2),
        (0.95, {"retain": 0.96}, 2),
        (0.1, {"forget": 0.98}, 3),
    ],
)
def test_the_gate_asks_for_half_of_both_gaps_and_for_97_percent_of_the_retain_accuracy(loss, changes, expected):
    one = with_losses(loss, **changes)
    assert search.loss_closed(one) == pytest.approx((loss - 0.1) / 0.4)
    assert search.tier([one]) == search.tier([{k: str(v) for k, v in one.items()}]) == expected


def test_the_gate_is_passed_by_every_seed_or_by_none():
    good, bad = with_losses(), with_losses(0.25, seed=8)
    assert (search.tier([good]), search.tier([bad]), search.tier([good, bad])) == (0, 3, 2)
    assert search.tier([good, with_losses(retain=0.9, seed=8)]) == 2
    assert search.tier([with_losses(forget_loss_original=0.5)]) == 0  # nothing to close
    assert math.isnan(search.loss_closed(row())) and math.isnan(search.loss_closed({**row(), "forget_loss": ""}))


def test_the_search_s_seeds_are_never_those_of_a_study():
    assert not set(search.SEEDS) & {seed for name in presets() for seed in preset(name).seeds}
    assert all(search.ORIGINAL >= preset(name).originals for name in presets())


@pytest.mark.parametrize(
    ("originals", "size", "first"), [(0, 0.0, 0), (8, 0.0, search.ORIGINAL), (8, 0.05, search.ORIGINAL)]
)
def test_rows_hold_what_the_endpoints_score(originals, size, first):
    data = DataSpec("digits", 240, 60, "00")
    end = trace(right={"retain": 0.9, "forget": 0.8, "valid": 0.7, "test": 0.0})
    original = trace(right={"retain": 1.0, "forget": 1.0, "valid": 0.9, "test": 0.0})
    retrained = trace(right={"retain": 0.95, "forget": 0.9, "valid": 0.9, "test": 0.0})
    asked = []

    def run(specs):
        asked.extend(specs)
        return [end, original, retrained][: len(specs)]

    bench = SimpleNamespace(
        original=lambda seed: OriginalSpec(replace(data, draw=seed), "convnet", 4, seed, Plan()),
        retrained=lambda seed, original: RetrainedSpec(replace(data, draw=original), 0.1, "convnet", 4, seed, Plan()),
        preset=SimpleNamespace(forget=0.1, originals=originals),
        trace=lambda model, splits: TraceSpec(model, 0.1, splits=splits),
        run=run,
        store=SimpleNamespace(seconds=lambda spec: 2.5),
    )
    made = MethodSettings(Plan(lr=0.5, steps=3, schedule="linear", forget_batch_size=8), (("beta", 0.1),))
    (found,) = search.rows_for(bench, [search.Tried("npo", "superloss", "soul", made, 8, size)])
    assert list(found) == [*search.COLUMNS, *search.MORE] and found["size"] == (size or "")
    models = [one.model for one in asked]
    unlearned = UnlearnedSpec(bench.original(first), size or 0.1, "npo", "superloss", "soul", 8, made)
    assert models == [unlearned, bench.original(first), *([] if size else [bench.retrained(search.SEEDS[0], first)])]
    assert all(one.held == ("retain", "forget", "valid") and one.forget == (size or 0.1) for one in asked)
    expected = {"forget": 0.8, "valid": 0.7, "retain": 0.9, "valid_original": 0.9, "retain_original": 1.0}
    expected |= {"forget_original": 1.0, "forget_loss": mean_loss(end, "forget")[0]}
    expected |= {f"{s}_loss_original": mean_loss(original, s)[0] for s in ("forget", "valid")}
    references = {"forget_retrained": 0.9, "valid_retrained": 0.9, "retain_retrained": 0.95}
    references |= {"forget_loss_retrained": mean_loss(retrained, "forget")[0]}
    expected |= dict.fromkeys(references, "") if size else references
    assert {k: v for k, v in found.items() if k in expected} == pytest.approx(expected, abs=1e-6)
    assert math.isnan(search.oracle_gap(found)) == bool(size)
    expected = {"options": "beta=0.1", "lr": 0.5, "steps": 3, "schedule": "linear", "seconds": 2.5}
    expected |= {"batch_size": 128, "forget_batch_size": 8}
    assert {k: found[k] for k in expected} == expected


# Settings files

HEAD = "# A comment to keep.\n\n[train]\nlr = 0.5\nsteps = 9\n\n"
OLD = "[methods.finetune]\nlr = 0.123\n\n[methods.npo]\nsteps = 3\noptions.beta = 7.0\n\n"
OLD += "[methods.npo.optimizers.soul]\nlr = 0.456\n\n"
TAIL = "[optimizers.soul]\nlr_scale = 0.25\n\n[curve]\nsteps = 11\n"


def winners():
    """Rows of every method and variant: each method's second candidate wins, each variant's last rate."""
    rows = []
    for k, method in enumerate(search.GRID):
        for number, table in enumerate(search.candidates(method)):
            made = search.settings_of(MethodSettings(Plan()), table)
            options = " ".join(f"{name}={value}" for name, value in made.options)
            own = {n: getattr(made.plan, n) for n in ("lr", "steps", "schedule", "forget_batch_size")}
            sizes = {"batch_size": 64 if k % 2 else 128}
            lost = {"forget": 0.88 if number == 1 else 0.95}
            rows += [row(method, **own, **sizes, **lost, options=options, seed=seed) for seed in search.SEEDS]
        won = search.parsed(search.chosen(rows, method)[0])
        for (curriculum, optimizer), scales in search.VARIANTS.items():
            for number, scale in enumerate(scales):
                lost = {"forget": 0.88 if number == len(scales) - 1 else 0.95}
                variant = {"curriculum": curriculum, "optimizer": optimizer, "lr": won["lr"] * scale}
                own = {n: won[n] for n in ("steps", "schedule", "batch_size")}
                rows.append(row(method, **variant, **lost, **own))
    return rows


def check_winners(name, rows):
    """The settings that the reader finds are those of the rows that win by the rule."""
    kinds = {search.context(r)[:3] for r in rows}
    assert {method for method, *_ in kinds} == set(search.GRID), "the search is not complete"
    for method in search.GRID:
        won, found = search.parsed(search.chosen(rows, method)[0]), method_settings(name, method)
        expected = search.settings_of(MethodSettings(Plan()), won)
        for field in ("lr", "steps", "schedule", "batch_size", "forget_batch_size"):
            assert getattr(found.plan, field) == getattr(expected.plan, field), f"{field} of {method}"
        assert found.options == expected.options, f"options of {method}"
        for curriculum, optimizer in search.VARIANTS:
            if (method, curriculum, optimizer) in kinds and search.chosen(rows, method, curriculum, optimizer):
                won = search.parsed(search.chosen(rows, method, curriculum, optimizer)[0])
                found = method_settings(name, method, curriculum, optimizer)
                assert found.plan.lr == pytest.approx(won["lr"], rel=1e-5), (method, curriculum, optimizer)
                assert found.plan.steps == won["steps"] == expected.plan.steps


@pytest.mark.parametrize("old", [HEAD + TAIL, HEAD + OLD + TAIL, HEAD + TAIL + OLD], ids=["none", "between", "last"])
def test_a_written_file_gives_the_winners_and_keeps_its_other_tables(old, folders):
    (folders / "mine.toml").write_text(old)
    rows = winners()
    search.write_settings("mine", rows)
    settings._read.cache_clear()
    check_winners("mine", rows)
    text = (folders / "mine.toml").read_text()
    assert text.startswith(HEAD) and TAIL in text and "0.123" not in text and "0.456" not in text
    assert settings.train_plan("mine") == Plan(lr=0.5, steps=9)
    assert settings.curve_plan("mine", MethodSettings(Plan())).steps == 11
    search.write_settings("mine", rows)
    assert (folders / "mine.toml").read_text() == text
    as_text = [{k: str(v) for k, v in r.items()} for r in rows]
    search.write_settings("mine", as_text)
    assert (folders / "mine.toml").read_text() == text


def test_the_committed_settings_are_the_winners_of_the_committed_search():
    rows = search.read_rows(COMMITTED)
    check_winners(COMMITTED, rows)
    # Found when doing nothing could still win: kept for the results that were computed with them.
    none = {key for key in map(search.context, rows) if not search.best([r for r in rows if search.context(r) == key])}
    assert none == {
        *((method, "none", "soul", "") for method in ("gradient_ascent", "scrub", "l1_sparse")),
        ("gradient_ascent", "none", "sophia_g", ""),
    }


@pytest.mark.parametrize("curves", [False, True])
def test_rows_are_kept_as_they_were_read(monkeypatch, tmp_path, curves):
    rows, kept = search.read_rows(COMMITTED, curves), search.table_path(COMMITTED, curves).read_bytes()
    monkeypatch.setattr(search, "DATA", tmp_path)
    assert search.read_rows(COMMITTED, curves) == []
    search.write_rows(COMMITTED, rows, curves)
    assert search.table_path(COMMITTED, curves).read_bytes() == kept


def test_the_committed_settings_for_draws_are_the_winners_of_their_search():
    name = f"{COMMITTED}.eight"
    rows = search.read_rows(name)
    assert {int(r["seed"]) for r in rows} <= set(search.SEEDS) and all(r["forget_loss"] for r in rows)
    assert len({(r["valid_original"], r["retain_original"]) for r in rows}) == 1
    searched = set(map(search.context, rows))
    for key in dict.fromkeys((method, "none", "adamw", "") for method in search.GRID):
        found, plain = method_settings(name, key[0]), method_settings(COMMITTED, key[0])
        won = search.best([r for r in rows if search.context(r) == key]) if key in searched else []
        assert found == (search.settings_of(plain, search.parsed(won[0])) if won else plain)
    for method, curriculum, optimizer, size in searched:
        won = search.chosen(rows, method, curriculum, optimizer, size=size)
        if won:
            asked = {"forget": float(size)} if size else {}
            found = method_settings(name, method, curriculum, optimizer, **asked)
            assert found.plan.lr == pytest.approx(search.parsed(won[0])["lr"], rel=1e-5)
            assert found.plan.steps == search.parsed(won[0])["steps"]


# Curves between models trained apart


def fitted(valid, steps=100, lr=0.01):
    return dict.fromkeys(search.CURVE_COLUMNS, 0.5) | {"valid": valid, "steps": steps, "lr": lr, "schedule": "linear"}


def test_the_fewest_steps_within_two_percent_of_the_lowest_loss_win():
    lowest, near, far = fitted(1.0, 800), fitted(1.019, 400), fitted(1.03, 200)
    assert search.best_curve([lowest, near, far]) == near and search.best_curve([lowest, far]) == lowest
    assert search.best_curve([near, fitted(1.01, 400)])["valid"] == 1.01
    assert search.best_curve([fitted(1.0, lr=0.3), fitted(1.0, lr=0.1)])["lr"] == 0.1
    assert search.best_curve([{k: str(v) for k, v in one.items()} for one in (lowest, near)])["steps"] == "400"
    with pytest.raises(BadInput, match="run the search first"):
        search.best_curve([])


def test_rows_of_curves_hold_what_they_score(smoke, monkeypatch):
    found = search.curves(smoke)
    tables = {tuple(getattr(one.plan, name) for name in search.CURVE_COLUMNS[:3]) for one in found}
    assert tables == {values for grid in search.CURVE_GRID for values in product(*grid.values())}
    assert len(found) == len(tables)
    assert {one.method for one in found} == {"finetune"}
    assert not {one.start.seed for one in found} & {seed for name in presets() for seed in preset(name).seeds}
    made = [trace(11, seed=k) for k in range(len(found) + 1)]
    monkeypatch.setattr(type(smoke), "run", lambda self, specs: made[: len(specs)])
    monkeypatch.setattr(type(smoke.store), "seconds", lambda self, spec: 2.5)
    for one, path, seen in zip(search.curve_rows(smoke), found, made[1:], strict=True):
        valid, line, retain = mean_loss(seen, "valid"), mean_loss(made[0], "valid"), mean_loss(seen, "retain")
        assert one["valid"] == pytest.approx((valid[0] / 2 + valid[1:-1].sum() + valid[-1] / 2) / 10, abs=1e-6)
        assert one["valid_line"] == pytest.approx((line[0] / 2 + line[1:-1].sum() + line[-1] / 2) / 10, abs=1e-6)
        rise = max(v - (1 - t) * retain[0] - t * retain[-1] for v, t in zip(retain, seen.t, strict=True))
        assert one["retain_barrier"] == pytest.approx(rise, abs=1e-6) and one["seconds"] == 2.5
        assert (one["lr"], one["steps"], one["schedule"]) == (path.plan.lr, path.plan.steps, path.plan.schedule)


def test_the_committed_plan_is_the_winner_of_the_committed_search_for_curves():
    rows = search.read_rows(COMMITTED, curves=True)
    won, plan = search.best_curve(rows), independent_plan(COMMITTED, MethodSettings(Plan()))
    assert len(rows) == 4
    assert (plan.lr, plan.steps, plan.schedule) == (float(won["lr"]), int(won["steps"]), won["schedule"])
    assert all(float(one["retain_barrier"]) < float(one["retain_barrier_line"]) for one in rows)
