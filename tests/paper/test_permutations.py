"""The room `permutations`: lines to aligned ends stand beside those of 05 and 09, and nothing declared reads them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from made_worlds import Shape, World, controlled, walk

from mcutils.engine.specs import AlignedSpec
from mcutils.engine.study import study as open_study
from mcutils.measures.alignment import MATCHINGS, Alignment
from mcutils.measures.profiles import Profile
from mcutils.paper import permutations as room, progress_and_retraining as nine
from mcutils.paper.registry import PRICED_APART, ROUTES
from mcutils.paper.tables import frame
from mcutils.paper.walks import ALIGNED, APART, SOME, labels_of, profiles

LEFT = {"line": 5.0, "curve": 0.02, "weights": 1.5, "activations": 1.0}  # barriers in G of what is trained apart


@pytest.fixture(scope="module")
def routes(laptop):
    return room.raw(laptop), room.aligned(laptop)


def test_every_line_is_aligned_to_its_own_start_and_stands_aside(laptop, routes):
    raw, aligned = routes
    lines = [one for one in raw if one.kind == "linear"]
    fit = len(laptop.preset.fit)
    per = {"two originals": 8, "two retrained models": 8, "unlearned and retrained": 4}
    per |= {"every method and retrained": SOME * fit, "every method and retrained, same init": SOME * fit}
    per |= {"two retrained models, same init": SOME, "unlearned from two originals": 8}
    assert Counter(map(room.what_of, lines)) == per == {what: per[what] for what in room.JOINED}
    assert Counter((room.what_of(one), room.how_of(one)) for one in aligned) == {
        (what, by): count for what, count in per.items() for by in MATCHINGS
    }
    assert {room.how_of(one) for one in raw} == {"line", "curve"}
    ends = {(one.path.start, one.path.end) for one in lines}
    for one in aligned:
        end = one.path.end
        assert one.aside and (end.to, one.path.kind) == (one.path.start, "linear") and (end.to, end.model) in ends
        assert one.points == 11 and room.how_of(one) == end.by
    assert not [one for one in raw if one.aside]


def test_raw_walks_are_those_of_05_and_09(laptop, routes):
    known = {
        one.profile(laptop) for name in ("05_methods", "09_progress_and_retraining") for one in ROUTES[name](laptop)
    }
    assert {one.profile(laptop) for one in routes[0]} <= known


def test_no_notebook_needs_an_aligned_model(laptop):
    assert PRICED_APART["alignment"] is room.needs
    for name, made in ROUTES.items():
        found = made(laptop)
        assert not [one for one in found if isinstance(one.path.end, AlignedSpec) or one.form.startswith(ALIGNED)], name


def test_inside_a_basin_are_two_seeds_of_one_method(laptop):
    found = room.inside(laptop)
    assert len(found) == 8 * len(laptop.preset.fit) * len(MATCHINGS)
    for (original, method, by), one in found.items():
        assert one.by == by and {one.model.method, one.to.method} == {method}
        assert one.model.origin == one.to.origin == laptop.original(original)
        assert (one.to.seed, one.model.seed) == laptop.seeds[:2]


def test_widths_are_trained_alike_and_compared_on_four_pairs(laptop, smoke):
    assert room.widths(laptop) == (16, 32, 64) and room.widths(smoke) == (8, 16, 32)
    fixed = replace(laptop, preset=replace(laptop.preset, model="resnet18", width=64))
    assert room.widths(fixed) == (64,), "a network of one width"
    found = room.across(laptop)
    assert Counter(width for width, *_ in found) == dict.fromkeys((16, 32, 64), 4 * 3)
    originals = {one.trace.model.start for one in found.values()}
    assert len(originals) == 3 * 4 and len({one.plan for one in originals}) == 1
    assert {one.plan.steps for one in originals} == {laptop.original(0).plan.steps // 4}
    for (width, first, second, how), one in found.items():
        path = one.trace.model
        end = path.end.model if how in MATCHINGS else path.end
        assert (path.start.width, path.start.seed, end.width, end.seed) == (width, first, width, second)
        assert one.metric == "loss_retain" and one.trace.splits == ("retain",) and one.trace.weighted
    assert {place[:3] for place in room.across(smoke)} == {(w, 0, 1) for w in (8, 16, 32)}


# On made numbers


def bend(labels):
    """What is trained apart is high, and lower once aligned; same initial weights are level."""
    how = labels["form"].removeprefix(f"{ALIGNED} ") or ("curve" if labels["kind"] == "bezier" else "line")
    apart = labels.get("init") == nine.OTHER or labels["condition"] == nine.ORIGINALS or labels["control"] == APART
    return Shape(rise=LEFT[how] if apart else 0.0)


@pytest.fixture(scope="module")
def found(routes):
    world = World(controlled(bend), points=11)
    walks = []
    for route in (*routes[0], *routes[1]):
        one = walk(world, **labels_of(route))
        moved = {"geometry/renumbered": np.float64(0.9 if bend(labels_of(route)).rise else 0.1)}
        walks.append(replace(one, profile=Profile({**one.profile.arrays, **moved})))
    moved = [(o, m, by, 0.01 * (m == "scrub")) for o in range(8) for m in ("npo", "scrub") for by in MATCHINGS]
    rise = {"line": 2.0, "weights": 1.0, "activations": 0.8}
    wider = [
        (w, k, (k + 1) % 4, how, r * 16 / w + k / 50) for w in (16, 32, 64) for k in range(4) for how, r in rise.items()
    ]
    columns = ["width", "first", "second", "how", "barrier"]
    return room.Found(walks, frame(moved, ["original", "method", "by", "moved"]), frame(wider, columns))


def test_barriers_stand_beside_each_other(found):
    table = room.barriers(found.walks)
    assert list(dict.fromkeys(table["what"])) and set(table["what"]) == set(room.JOINED)
    apart = table[table["what"] == "two originals"]
    assert len(apart) == 8
    for how, value in LEFT.items():
        assert apart[how].mean() == pytest.approx(value, abs=0.1)
    assert apart["left"].to_numpy() == pytest.approx((apart["weights"] / apart["line"]).to_numpy())
    assert set(apart["moved"]) == {0.9}
    same = table[table["what"] == "every method and retrained, same init"]
    assert same["left"].isna().all() and same["curve"].isna().all() and set(same["moved"]) == {0.1}
    shown = room.barriers_shown(table)
    assert shown.loc["two originals", "level at 0.1 G"] == "0 of 8" and shown.loc["two originals", "line"][0] == "5"
    assert shown.loc["two retrained models, same init", "level at 0.1 G"] == f"{SOME} of {SOME}"
    assert shown.loc["two retrained models, same init", "curve"] == "-"


def test_an_end_that_fails_the_gate_is_left_out_with_its_aligned_lines(found):
    failing = [
        replace(w, profile=Profile({**w.profile.arrays, "curve/accuracy_retain": np.full(11, 0.5)}))
        if w.original == 1 and not w.control
        else w
        for w in found.walks
    ]
    table = room.barriers(failing)
    ways = table[table["what"] == "every method and retrained"]
    assert set(ways["original"]) == {0, 2} and 1 in set(
        table[table["what"] == "unlearned from two originals"]["original"]
    )


def test_the_sentence_counts_the_control_c16_and_who_moves(found):
    told = room.text(found)
    assert "% of the line's barrier between two originals (1.5" in told and "0 of 8 at most 0.1 G" in told
    assert "The negative control is above 0.1 G on 8 of 8 lines as they are, on 8 by weights and 8 by" in told
    assert "it holds up to permutation too" in told and "for 1/4 of the steps" in told
    count = SOME * len({w.method for w in found.walks if w.condition == "retraining"})
    assert f"0 of {count} exceed what two such models have by 0.1 G as they are, and 0 of {count} once aligned" in told
    assert "matching moves 0.5 % of the channels by weights (at most 1.0 %, SCRUB)" in told
    assert "\n" not in told and "nan" not in told
    moved = room.moved_shown(found.moved)
    assert moved.loc["SCRUB"].tolist() == ["1.0"] * 4 and moved.loc["NPO"].tolist() == ["0.0"] * 4
    wide = room.widths_shown(found.widths)
    assert wide.loc[32, "line"].startswith("1.03 [") and wide.loc[64, "pairs"] == 4
    assert wide.loc[16, "left by weights, %"] == f"{100 * 1.03 / 2.03:.0f}"


def test_the_figure_has_a_row_for_each_and_a_place_for_each_width(found):
    fig = room.figure(room.barriers(found.walks), found.widths, title="Up to permutation")
    left, right = fig.axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == list(room.JOINED)
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["16", "32", "64"]
    assert {key.get_text() for key in fig.legends[0].get_texts()} >= set(room.WORDS.values())


def test_it_is_shown_where_all_of_it_is_stored_and_computes_nothing(tmp_path, monkeypatch):
    smoke = open_study("smoke", store=str(tmp_path / "store"), fresh=True, methods=["npo"])
    assert room.look(smoke) is None and not (tmp_path / "store").exists()
    assert "`python -m mcutils run alignment --preset smoke`" in room.to_run(smoke)
    asked = room.needs(smoke)
    made = walk(World(), method="npo", kind="linear").profile

    class Everything:
        def __contains__(self, spec):
            return spec in asked

    def run(self, specs, **options):
        assert set(specs) <= set(asked)
        results = {"MetricSpec": {"values": np.array([0.0, 2.0, 1.0, 1.0, 1.0])}, "ProfileSpec": made}
        results["AlignedSpec"] = Alignment(lambda: None, {})
        return [results[type(one).__name__] for one in specs]

    monkeypatch.setattr(type(smoke), "run", run)
    found = room.look(replace(smoke, store=Everything()))
    assert len(found.walks) == len(room.raw(smoke)) + len(room.aligned(smoke))
    assert len(profiles(smoke, room.raw(smoke))) and set(found.widths["barrier"]) == {1.75}
    assert set(found.moved["by"]) == set(MATCHINGS)
