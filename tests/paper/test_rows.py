"""The ledger's rows: from the shipped tables they are the committed files; what decides, and what is told."""

import io
import json
import lzma
import shutil
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import pandas as pd
import pytest
from worlds import METHODS, Shape, controlled, tables_of, world

import mcutils as mc
from mcutils.engine import results as general
from mcutils.engine.tables import JUDGED, path_row
from mcutils.errors import BadInput
from mcutils.files import ROOT
from mcutils.measures.originals import Interval
from mcutils.measures.profiles import Profile
from mcutils.paper import negative, rows, statistics, tables as room
from mcutils.paper.claims import CLAIMS, COLUMNS, LEDGERS, PROTOCOL, read_ledgers
from mcutils.paper.declared import c1, c2
from mcutils.paper.rows import READ, ROWS, Judged, Row, frame, judge, left_out, needed, reason_text, records, write
from mcutils.paper.statistics import Result

FOUND = Result(Interval(0.9, 0.8, 1.0), "supported", 8, 48, Interval(0.0, 0.0, 0.1), 0.1)
FIGURES = ROOT / "figures"
COMMITTED = {one["row"]: one for one in read_ledgers(FIGURES)}


# From the shipped tables


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return mc.study("laptop", store=str(tmp_path_factory.mktemp("rows") / "store"))


@pytest.fixture(scope="module")
def shipped(study):
    return room.tables(study, all_metrics=True)


def test_the_shipped_tables_give_the_committed_ledger_byte_for_byte(shipped, study, tmp_path):
    judged = judge(shipped, splits=3)
    assert not study.store.folder.exists() and [one.row for one in judged] == list(ROWS)
    write(judged, shipped["paths"], tmp_path)
    for name in LEDGERS:
        assert (tmp_path / f"{name}.csv").read_bytes() == (FIGURES / f"{name}.csv").read_bytes(), name


@pytest.mark.parametrize("count", [11, 21, 31])
def test_the_numbers_of_many_paths_at_once_are_those_of_each(count):
    rng, t = np.random.default_rng(count), np.linspace(0, 1, count)
    curves = rng.random((5, len(JUDGED), count))
    curves[1] = np.linspace(curves[1, :, 0], curves[1, :, -1], count).T  # resolved
    curves[2, 0, 3] = np.nan
    levels = {f"retrained_{name}": rng.random(5) for name in JUDGED}
    gaps = rng.random(5) + 0.5
    found = negative.path_numbers(pd.DataFrame({"gap": gaps, **levels}), t, curves)
    for k, one in enumerate(found.to_dict("records")):
        arrays = {"t": t, "gap": gaps[k], "collapsed": np.array([], dtype=str)}
        arrays |= {f"curve/{name}": curve for name, curve in zip(JUDGED, curves[k], strict=True)}
        arrays |= {f"level/{name}": levels[f"retrained_{name}"][k : k + 1] for name in JUDGED}
        arrays |= {f"original/{name}": 0.0 for name in JUDGED}
        each = path_row(Profile(arrays))
        text = {name: value for name, value in one.items() if isinstance(value, str)}
        assert text == {name: each[name] for name in text} and len(text) == 3
        rest = [name for name in one if name not in text]
        np.testing.assert_allclose([one[name] for name in rest], [each[name] for name in rest], rtol=1e-12, atol=1e-15)


def told(found, *names):
    """What is read of rows judged by the chord alone: effect, interval and word."""
    return {one.row.name: (one.verdict, one.first.effect) for one in judge(found, names, readings=("chord",))}


def test_another_digit_in_a_copy_of_a_shipped_table_is_refused_and_makes_another_row(
    study, shipped, tmp_path, monkeypatch
):
    """The shipped file with one digit of one deficit changed: first as it is, then with its checksum made anew."""
    folder = tmp_path / "tables"
    shutil.copytree(general.TABLES, folder)
    table = general.results("paths")
    of_size = table.experiments.str.contains("06_forget_size") & (table["size"] > 0) & (table.kind == "linear")
    place = table.index[of_size & table.path.isin(shipped["paths"].query("included").path)][0]
    lines = lzma.open(folder / "paths.csv.xz", "rt", newline="").read().split("\n")
    cells, k = lines[place + 1].split(","), list(table).index("deficit_chord")
    digit = next(n for n, character in enumerate(cells[k]) if character in "123456789")
    cells[k] = f"{cells[k][:digit]}{(int(cells[k][digit]) + 4) % 10}{cells[k][digit + 1 :]}"
    lines[place + 1] = ",".join(cells)
    (folder / "paths.csv.xz").write_bytes(lzma.compress("\n".join(lines).encode()))
    for module in (general, room):
        monkeypatch.setattr(module, "TABLES", folder)
    with pytest.raises(BadInput, match="paths.csv.xz is not the table that was shipped"):
        general.results("paths")
    sums = json.loads((folder / "checksums.json").read_text())
    sums["paths.csv.xz"] = general.hashlib.sha256((folder / "paths.csv.xz").read_bytes()).hexdigest()
    (folder / "checksums.json").write_text(json.dumps(sums))
    assert (general.results("paths") != table).sum().sum() - (table.isna()).sum().sum() == 1
    known = room._table
    monkeypatch.setattr(room, "_table", lambda name: general.results(name) if name == "paths" else known(name))
    monkeypatch.setattr(room, "_shipped", lru_cache(room._shipped.__wrapped__))
    changed = told(room.tables(study, "06_forget_size"), "C4")
    assert changed != told(shipped, "C4")
    assert records(judge(shipped, ["C4"]))[3]["effect"] == pytest.approx(COMMITTED["C4"]["effect"], rel=1e-3)


# row -> numbers that it reads: of which table, which of its rows, in which column
READS = {
    "C10": ("ranges", "metric == 'accuracy_forget'", "range"),
    "C14": ("attacks", "role == 'line' and attack == 'population/loss/auc' and t == 0.5", "value"),
    "C15": ("along", "metric == 'loss_forget' and t == 0.5", "value"),
    "C17": ("ensembles", "role == 'lines' and metric == 'accuracy_test' and what == '' and members == 5", "value"),
    "C18": ("attacked", "role == 'lines' and member == -1 and step > 0", "accuracy_forget"),
    "C19": ("sharpness", "what == 'both/retain' and place == 'mean'", "value"),
    "C20": ("outcomes", "js > 0", "variation"),
    "M1": ("cue", "part == 'forgetting' and split == 'forget' and what == 'reliance' and t == 1", "value"),
    "N1": ("distances", "t == 0.5", "value"),
    "N2 distance": ("predictors", "predictor == 'distance' and reading == 'chord'", "value"),
    "N3 coherence": ("graded", "coherence > 0", "coherence"),
    "N4": ("pool", "kind == 'keep'", "auc"),
    "N5": ("probes", "t == 0", "recall"),
    "N6": ("rounded", "role == 'line' and bits == 4 and t == 0", "accuracy_forget"),
}


def test_each_row_reads_its_own_table(shipped):
    """All tables changed at once, one column of each: every row of `READS` moves, and no other but what shares one."""
    changed, rng = dict(shipped), np.random.default_rng(0)
    for name, which, column in READS.values():
        table = changed[name].copy()
        here = table.query(which).index
        table.loc[here, column] *= 1 + 0.3 * rng.random(len(here))
        changed[name] = table
    before, after = (told(one, *READS, "C1", "C8", "C21", "M0", "N5") for one in (shipped, changed))
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {*READS, "N4 beside retrained"}


# Rows


@pytest.fixture(scope="module")
def made():
    """Ends at 1.2 G whose middle dips to 1.04 G; one method never unlearned."""

    def shape(labels):
        return Shape(dip=0.16, ends=(0.05, 0.05) if labels["method"] == "npo" else (1.2, 1.2))

    return tables_of(world(controlled(shape), ("random",), spread=0.005), experiments="02_seeds")


@pytest.fixture(scope="module")
def judged(made):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "DRAWS", 5)
        return judge(made, splits=1)


def test_every_declared_claim_has_a_row():
    assert set(PROTOCOL) <= {row.id for row in ROWS} | {row.name for row in ROWS}
    assert all(row.told for row in ROWS) and len({row.name for row in ROWS}) == len(ROWS)
    assert {row.id for row in ROWS} | {name for name, claim in CLAIMS.items() if claim.waits} == set(CLAIMS)


def test_a_row_knows_its_readings_and_options():
    one = Row("C1", "", ("02_seeds",), c1)
    assert one.readings == READ and one.takes("eps")
    rough = Row("C2", "roughness", (), partial(c2, measure="roughness"))
    assert rough.readings == ("chord",) and not rough.takes("measure") and rough.name == "C2 roughness"
    assert not Row("C3", "", (), None).takes("eps") and Judged(ROWS[0]).verdict == "not run"


def test_what_has_no_paths_is_not_run_and_every_row_stands(judged):
    table = pd.DataFrame(records(judged), columns=list(COLUMNS))
    assert set(table.id) == set(CLAIMS) and [name for name in table.row if name in {r.name for r in ROWS}] == [
        one.name for one in ROWS
    ]
    run = {"C1", "C2 deficit", "C2 roughness", "C21"}
    assert (
        set(table.row[table.verdict != "not run"]) == run == {n for n, r in frame(judged).iterrows() if r.n_cells > 0}
    )


def test_readings_have_verdicts_of_their_own(judged):
    found = {one.row.name: one for one in judged}
    words = dict(zip(READ, ("contradicted", "supported", "contradicted", "contradicted"), strict=True))
    assert {reading: one.verdict for reading, one in found["C1"].found.items()} == words
    assert set(found["C2 roughness"].found) == {"chord"}
    row = frame(judged).loc["C1"]
    assert {"verdict": row.verdict, **row[list(READ[1:])]} == {"verdict": words.pop("chord"), **words}


def test_corrected_intervals_are_wider_and_halves_are_judged(judged):
    row = frame(judged).loc["C1"]
    assert row.corrected_low <= row.low and row.corrected_high > row.high and row.corrected == "contradicted"
    assert row.n_originals == 8 and (row.flips, row.halves, row.opposite) == (0, 0, 0)


def test_a_few_rows_are_those_of_all_without_corrections(judged, made, monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS", 5)
    some = judge(made, ("C21", "C1", "C2 deficit", "C5"))
    assert [one.row.name for one in some] == ["C1", "C2 deficit", "C21"]
    whole = {one.row.name: one for one in judged}
    for one in some:
        assert repr(one.found) == repr(whole[one.row.name].found) and one.corrected is None
    none = {**made, "paths": made["paths"].head(0)}
    assert judge(none, ("C1",)) == [] and {one.verdict for one in judge(none)} == {"not run"}


@pytest.mark.parametrize(("options", "words"), [({"names": ["C99"]}, "C99"), ({"eps": -0.1}, "tolerance")])
def test_unknown_rows_and_tolerances_are_refused(options, words, made):
    with pytest.raises(BadInput, match=words):
        judge(made, **options)


def test_the_tolerance_reaches_the_tests_that_have_one(made):
    words = [[one.verdict for one in judge(made, ("C1", "C21"), eps=eps, readings=("chord",))] for eps in (0.1, 0.2)]
    assert words == [["contradicted", "supported"], ["supported", "undecided"]]


def test_what_stands_aside_is_in_no_row(made):
    """Whatever a second draw shows, in place of what the rows read."""
    paths = made["paths"]
    other = paths.assign(aside=True, form="again", deficit_chord=9.0, eps_chord=9.0, eps_chord_11=9.0)
    more = {**made, "paths": pd.concat([paths, other], ignore_index=True)}
    assert told(more, "C1", "C2", "C21") == told(made, "C1", "C2", "C21")


def test_a_path_of_several_experiments_counts_once(made):
    twice = pd.concat([made["paths"], made["paths"]], ignore_index=True)
    assert told({**made, "paths": twice}, "C1", "C21") == told(made, "C1", "C21")


def test_data_with_a_cue_is_judged_apart_with_the_controls(made):
    paths = made["paths"].assign(experiments="05_methods")
    found = {**made, "paths": paths}
    assert not rows.view(found, (rows.CUED,)) and len(rows.view(found, (rows.PAIRS,))[0]["paths"]) == len(paths)
    cued = {**made, "paths": paths.assign(form=np.where(paths.control == "", "cue", ""))}
    assert not rows.view(cued, (rows.PAIRS,))
    assert set(rows.view(cued, (rows.CUED,))[0]["paths"].control) == set(paths.control)


def test_what_the_gate_leaves_out_is_named_and_counted(made):
    (one,) = left_out(made["paths"]).query("why == 'start did not forget'").to_dict("records")
    assert one["method"] == "npo" and one["paths"] == one["of"] == 16
    assert set(left_out(made["paths"]).method) == {"npo"} and len(METHODS) == made["paths"].method.nunique()


@pytest.mark.parametrize(("level", "word"), [(0.95, "supported"), (0.999, "undecided")])
def test_a_small_p_is_asked_for_where_many_are_judged(level, word):
    assert rows._corrected(replace(FOUND, p=0.01), level).verdict == word
    assert rows._corrected(FOUND, level) == FOUND


@pytest.mark.parametrize(
    ("effect", "more", "count"),
    [
        ((0.6, 0.4, 0.8), {}, 25),  # half 0.2 of 8 originals: the first m with t s / sqrt(m) below 0.1, by hand
        ((0.6, 0.4, 0.8), {"notes": ("copies: one",)}, None),
        ((0.6, 0.4, 0.8), {"notes": ("control: none",)}, None),
        ((0.6, 0.4, 0.8), {"carried": ("npo",)}, None),
        ((0.6, 0.4, 0.8), {"verdict": "supported"}, None),
        ((0.9, -np.inf, np.inf), {"n_originals": 1, "notes": ("1 originals are left",)}, 4),
        ((0.5, 0.4, 0.6), {}, None),
    ],
)
def test_how_many_originals_would_decide(effect, more, count):
    one = replace(FOUND, effect=Interval(*effect), verdict="undecided")
    assert needed(Judged(ROWS[0], {"chord": replace(one, **more)})) == count


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("1 originals are left", "1 original is left"),
        ("3 originals are left", "3 originals are left"),
        ("without linear the verdict would be another", "without the lines the verdict would be another"),
        ("without npo the verdict would be another", "without NPO the verdict would be another"),
        ("without random_labels the verdict would be another", "without random labels the verdict would be another"),
        ("its null reaches -0.5 to 0.375", "its null reaches from -0.5 to 0.375"),
        ("loss_retain is not resolved", "retain loss is not resolved"),
    ],
)
def test_reasons_are_told_in_a_reader_s_words(why, words):
    assert reason_text(why) == words


def test_the_written_page_has_a_part_for_each_question(judged, made, tmp_path):
    write(judged, made["paths"], tmp_path)
    text = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert "did not forget" in text and "## Verdicts that differ between readings" in text
    again = pd.read_csv(io.StringIO((tmp_path / "claims.csv").read_text(encoding="utf-8"))).set_index("row")
    assert again.verdict["C1"] == "contradicted" and again.verdict["C5"] == "not run"
