"""10's tables, sentences and figures, on made numbers."""

import made_privacy as made
import numpy as np
import pytest
from made_worlds import METHODS, Shape

from mcutils.errors import BadInput
from mcutils.paper import privacy as room, privacy_pool, privacy_pool_shown as pooled, privacy_shown as shown, trials
from mcutils.paper.trial_ledger import judge_room

PLANTED = made.Truth(bump=0.5, apart=0.3, returned=0.4, noise=0.01)


@pytest.fixture(scope="module")
def walked():
    """`salun` never forgot; between `npo` and `scrub` there is a dip."""

    def shape(labels):
        ends = (0.1, 0.1) if labels["method"] == "salun" or labels.get("other") == "salun" else (1.2, 1.2)
        return Shape(ends=ends, dip=0.3 if {labels["method"], labels.get("other")} == {"npo", "scrub"} else 0.0)

    return made.walks(shape=shape)


@pytest.fixture(scope="module")
def privacy():
    return made.privacy(PLANTED)


def test_every_attack_stands_beside_single_models(walked, privacy):
    table = shown.attacks_table(walked, privacy)
    assert list(table.index) == [shown.attack_words(name) for name in made.NAMES] and table.index.is_unique
    loss = table.loc["loss, AUC"]
    assert loss["original"] == pytest.approx(0.6, abs=0.003) and loss["retrained [range]"].startswith("0.5")
    assert float(loss["beyond ends (A)"].split()[0]) == pytest.approx(0.5, abs=0.03) and loss["twins (A)"] != "-"
    assert table.loc["SVC attack, share called members", "original"] == loss["original"]  # told the same way round


def test_a_line_has_a_row_for_each_point_and_levels_are_of_single_models(walked, privacy):
    table, levels = shown.along_table(privacy), shown.levels_of(privacy)
    assert len(table) == 8 * 6 * 11 and {len(levels["original"]), len(levels["retrained"])} == {8, 16}
    assert shown.failing(walked) == ["salun"]
    text = shown.directions_text(walked, privacy)
    assert (
        text.startswith("Of 80 ends that pass the gate") and "at 64," in text and "harder at 16:" in text
    )  # one below


def test_ranges_are_those_that_c14_judges(walked, privacy):
    table = shown.ranges_table(walked, privacy)
    assert set(table["method"]) == {*METHODS, shown.TWIN} and len(table) == 8 * 7
    read = table[table["read"]]
    assert set(read["method"]) == set(METHODS) - {"salun"}
    by = read.groupby("original")["area"].mean()
    found = room.c14_row(walked, privacy)
    assert found.effect.estimate == pytest.approx(by.mean()) and found.n_cells == len(read)
    assert table[table["method"] == shown.TWIN]["area"].max() < 0.05
    summary = shown.ranges_summary(table).set_index("method")
    assert summary.loc["npo", ["read", "lines"]].tolist() == [8, 8] and summary.loc["salun", "read"] == 0
    pairs = shown.seeds_and_methods(walked, privacy)
    assert set(pairs["pair"]) == {"two seeds", "two methods"} and len(pairs) == 16
    assert (pairs[pairs["pair"] == "two seeds"]["apart"] < 0.1).all()


def test_utility_is_the_range_of_test_accuracy_beside_the_distance_to_retraining(walked, privacy):
    w = next(w for w in walked if w.condition == "random" and not w.control)
    expected = room.beyond_ends(w.profile.metric("accuracy_test")) / 0.015  # 0.88 against 0.865
    assert shown._utility(w, privacy) == pytest.approx(expected)


def test_privleak_and_bits_are_told_at_ends_and_middles(walked, privacy):
    leak = shown.leak_table(privacy, walked)
    assert len(leak) == 5 and "SalUn" not in leak.index
    one = leak.loc["NPO"]
    assert float(one["PrivLeak, ends"]) == pytest.approx(
        100 * (one["AUC, retrained"] - one["AUC, ends"]) / (1 - one["AUC, retrained"]), abs=0.2
    )
    assert float(one["PrivLeak, t = 1/2"]) < float(one["PrivLeak, ends"])  # the bump is a leak
    assert len(shown.bits_table(privacy)) == 8 * 6 * 3 * 11
    back = shown.regained_table(walked, privacy)
    assert 30 < float(back.loc["NPO", "4 bits, ends [95 %]"].split()[0]) < 50
    assert abs(float(back.loc["retrained", "4 bits, ends [95 %]"].split()[0])) < 10
    assert back.loc["retrained", "4 bits, t = 1/2 [95 %]"] == ""


def test_points_stand_beside_their_own_retrained_models(walked, privacy):
    table = shown.scatter_table(walked, privacy)
    assert len(table) == 8 * 5 * 11 and table["end"].sum() == 2 * 8 * 5
    one = table[(table["method"] == "npo") & (table["original"] == 0)]
    assert one["privacy"].iloc[5] > one["privacy"].iloc[0] + 0.03
    assert "of 40 lines" in shown.scatter_text(table) and "no claim" in shown.scatter_text(table)
    assert "No line counts" in shown.scatter_text(table.iloc[:0])


def test_the_pool_is_told_name_by_name(privacy):
    table = pooled.pool_table(privacy.pool)
    assert set(table["name"]) == {"original", "retrained", *METHODS} and len(table) == 2 * (2 + 3 + 3 * 3)
    by = table[table["kind"] == "forget"].set_index(["name", "place"])["estimate"]
    assert by["original", ""] > 0.8 > by["salun", ""] > by["retrained", ""]
    read = pooled.pool_shown(privacy.pool, table)
    assert read.loc[("NPO", "t = 1/2"), "gate"] == "" and read.loc[("NPO", "t = 0"), "gate"] in ("passes", "fails")
    like = pooled.likeness_shown(privacy.pool)
    assert list(like.index[[0, -1]]) == ["original", "retrained"]
    assert like.loc["original", "epsilon, median"] > like.loc["retrained", "epsilon, median"]
    assert like.loc["retrained", "IAM"] > like.loc["original", "IAM"]
    thirds = pooled.thirds_shown(privacy.pool)
    assert (thirds.loc["original"].diff().dropna() > 0).all()
    text = pooled.pool_text(privacy.pool)
    assert "ln(8 - 1) = 1.9" in text and "Controls of the pool held" in text
    assert "Half-way along the line of two seeds: NPO" in pooled.pool_found(privacy.pool)


def test_a_pool_too_small_for_intervals_still_has_numbers():
    pool = made.pool(made.Truth(shadows=privacy_pool.FEW))
    table = pooled.pool_table(pool)
    assert np.isfinite(table["estimate"]).all() and table["low"].isna().all()
    assert pooled.pool_shown(pool, table).loc[("original", ""), "U-LiRA, forget targets"] != "-"
    assert len(pooled.likeness_shown(pool)) == 8 and "FAILED" in pooled.pool_text(pool)


def test_answers_name_each_verdict_and_the_widest_line_is_one_that_counts(walked, privacy, monkeypatch):
    monkeypatch.setattr(trials, "DRAWS", 5)
    judged = judge_room({"privacy": walked}, ["C14"], readings=("chord",), privacy=privacy)
    text = shown.privacy_answer(walked, privacy, judged)
    assert text.startswith("**Expected.**") and "C14: supported" in text and "**So.**" in text


def test_figures_draw_what_tables_hold(walked, privacy):
    left = shown.failing(walked)
    along = shown.along_figure(shown.along_table(privacy), shown.levels_of(privacy), failing=left)
    assert [ax.get_title() for ax in along.axes][:2] == ["random labels", "SalUn †"]
    table = shown.ranges_table(walked, privacy)
    pairs = shown.seeds_and_methods(walked, privacy)
    ranges = shown.ranges_figure(table, shown.ranges_summary(table), pairs)
    assert len(ranges.axes) == 2
    bits = shown.bits_figure(shown.bits_table(privacy), failing=left)
    assert len([line for line in bits.axes[0].get_lines() if len(line.get_xdata()) == 11]) == 3
    scatter = shown.scatter_figure(shown.scatter_table(walked, privacy))
    pool = pooled.pool_figure(pooled.pool_table(privacy.pool))
    assert len(pool.axes) == 2
    with pytest.raises(BadInput, match="no rows"):
        shown.along_figure(shown.along_table(privacy).iloc[:0], {})
    if folder := __import__("os").environ.get("H10FIG"):
        for name, figure in zip(
            "along ranges bits scatter pool".split(), (along, ranges, bits, scatter, pool), strict=True
        ):
            figure.savefig(f"{folder}/{name}.png", dpi=80)
