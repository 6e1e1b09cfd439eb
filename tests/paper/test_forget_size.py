"""The room `forget_size`: its routes, its tables and its figure on made walks."""

from dataclasses import replace

import numpy as np
import pytest
from made_specs import labels
from made_worlds import METHODS, Shape, World, controlled, walk

from mcutils.measures.drawing import label
from mcutils.measures.originals import student
from mcutils.paper import declared, forget_size
from mcutils.paper.registry import EXPERIMENTS

SIZES = (0.02, 0.04, 0.06, 0.08, 0.1)


def sized(dip, ends=lambda size: 1.2, methods=METHODS[:3], originals=4, spread=0.01, sizes=SIZES):
    """Lines at every size whose dip, and whose ends in G, are functions of it."""
    bench = World(controlled(lambda one: Shape(dip=dip(one["size"]), ends=(ends(one["size"]),) * 2)), spread=spread)
    return [
        walk(bench, method=m, kind="linear", original=o, size=s)
        for o in range(originals)
        for m in methods
        for s in sizes
    ]


def test_sizes_change_what_is_forgotten_and_its_references(laptop):
    routes = [r for r in forget_size.sizes(laptop) if not r.control]
    assert labels(routes, "size", "kind", "original") == {(s, "linear", o): 3 for s in SIZES for o in range(4)}
    assert {r.points for r in routes} == {11}
    for r in routes:
        profile = r.profile(laptop)
        assert {end.forget for end in (r.path.start, r.path.end, r.path)} == {r.size}
        assert {t.forget for t in (profile.trace, profile.original, *profile.retrained, profile.random)} == {r.size}
        assert [t.model.seed for t in profile.retrained] == ([42, 87] if r.size == 0.1 else [42])


def test_sizes_are_steps_up_to_what_the_study_forgets(laptop):
    smaller = replace(laptop, preset=replace(laptop.preset, forget=0.05))
    for routes, sizes in (
        (forget_size.sizes(smaller), [0.01, 0.02, 0.03, 0.04, 0.05]),
        (forget_size.sizes(laptop, [0.02, 0.2]), [0.02, 0.2]),
    ):
        assert list(dict.fromkeys(r.size for r in routes if not r.control)) == sizes
    assert laptop.profile(laptop.original()) in EXPERIMENTS["06_forget_size"](laptop)


def test_the_change_is_the_statistic_of_c4_and_in_other_units_what_it_says():
    walks = sized(lambda s: 0.6 - 3 * s)
    assert forget_size.change_in(walks, "what was forgotten") == declared.c4(walks).effect
    plain, accuracy = (forget_size.change_in(walks, unit) for unit in ("G", "accuracy"))
    assert plain.estimate == pytest.approx(-0.24, abs=0.03)
    # In these worlds accuracy on D_f falls with the loss, by the gap in accuracy over G: about 0.13 for one G.
    assert accuracy.estimate == pytest.approx(0.133 * plain.estimate, rel=0.1) and accuracy.high < 0
    assert not np.isfinite(forget_size.change_in([], "G").estimate)
    table = forget_size.changes_table(walks)
    assert table.index.tolist() == [*map(label, METHODS[:3]), "all"]
    assert table.loc["all", "in what was forgotten"].startswith(f"{declared.c4(walks).effect.estimate:.3f} [")


def test_a_size_alone_does_not_change_the_share_of_what_was_forgotten():
    """Ends that forgot more dip more, in G; as a share of what they forgot they do not."""
    walks = sized(lambda s: 0.25 * (3 - 20 * s), lambda s: 3 - 20 * s, spread=0.002)
    assert forget_size.change_in(walks, "G").high < -0.3
    found = forget_size.change_in(walks, "what was forgotten")
    assert -0.02 < found.low and found.high < 0.02
    text = forget_size.answer(walks)
    assert "changes by less than a tenth from the smallest" in text and "The change in G is the unit's" in text


def test_pairs_that_lack_an_end_are_left_out():
    walks = sized(lambda s: 0.3)
    lost = [w for w in walks if not (w.method == METHODS[0] and w.size == 0.1)]
    kept = [w for w in walks if w.method != METHODS[0]]
    assert forget_size.change_in(lost, "G") == forget_size.change_in(kept, "G")


def test_ends_are_told_by_what_they_forgot_and_whether_they_pass():
    walks = sized(lambda s: 0.2, lambda s: 0.3 if s == 0.02 else 1.2, spread=0.001)
    table = forget_size.ends_table(walks, 9000)
    one, other = table.loc[(label(METHODS[0]), "2 %")], table.loc[(label(METHODS[0]), "10 %")]
    assert (one["images"], other["images"]) == (180, 900) and (one["pass"], other["pass"]) == ("0 of 8", "8 of 8")
    assert one["forgotten / G"] == pytest.approx(0.3, abs=0.02) and other["forgotten / G"] == pytest.approx(
        1.2, abs=0.02
    )
    read = [w for w in walks if w.size == 0.1 and w.method == METHODS[0]]
    assert one["forgotten, nats"] == pytest.approx(one["forgotten / G"] * one["G, nats"], abs=0.005)
    accuracies = [w.profile.connectivity.curves["accuracy_forget"][[0, -1]] for w in read]
    assert other["forget %"] == round(100 * np.mean(accuracies), 1)


def test_sizes_have_rows_and_a_sentence():
    walks = sized(lambda s: 0.05 if s == 0.02 else 0.3)
    table = forget_size.sizes_table(walks)
    assert table.loc[(label(METHODS[1]), "2 %"), "connected"] == "4 of 4"
    assert table.loc[(label(METHODS[1]), "8 %"), "connected"] == "0 of 4"
    ours = [w for w in walks if w.method == METHODS[1] and w.size == 0.08]
    shares = [w.deficit * w.profile.gap / declared.forgotten(w) for w in ours]
    assert table.loc[(label(METHODS[1]), "8 %"), "deficit, what was forgotten"] == round(np.mean(shares), 3)
    assert forget_size.sizes_text(walks) == (
        f"60 walks: 5 sizes, 3 methods ({', '.join(map(label, METHODS[:3]))}), 4 originals, 31 points."
    )


def test_points_are_what_the_figure_draws():
    walks = sized(lambda s: 0.3, sizes=SIZES[::4])
    points = forget_size.points_table(walks)
    w = walks[0]
    gained = declared.forgotten(w)
    assert points.loc[0, ["G", "relative"]].tolist() == [w.deficit, w.deficit * w.profile.gap / gained]
    assert points.loc[0, "roughness"] == pytest.approx(w.roughness * (w.profile.gap / gained) ** 2)
    fig = forget_size.sizes_figure(points)
    assert [ax.get_title() for ax in fig.axes[:3]] == [label(m) for m in METHODS[:3]]
    nothing = sized(lambda s: 0.0, lambda s: 0.0)[0]
    assert np.isnan(forget_size.roughness_in(nothing)) == (declared.forgotten(nothing) <= 0)


def test_the_answer_counts_dips_by_the_chord_and_below_the_retrained_models():
    walks = sized(lambda s: 0.15, spread=0.001)
    text = forget_size.answer(walks)
    assert [line.split(".**")[0] for line in text.split("\n\n")] == ["**Expected", "**Found", "**So"]
    # The ends lie 0.2 G above the retrained models, so a dip of 0.15 G stays above them.
    assert "Of 60 lines 60 dip below the chord by more than 0.1 G; on 0 of these" in text
    assert "on 60 of these" in forget_size.answer(sized(lambda s: 0.5, spread=0.001))
    assert "it is not the unit alone" in forget_size.answer(sized(lambda s: 0.8 - 6 * s))
    assert "do not tell" in forget_size.answer(sized(lambda s: 0.3, originals=1))


def test_a_mean_is_over_originals():
    walks = sized(lambda s: 0.6 - 3 * s, methods=METHODS[:1])
    rows = []
    for o in range(4):
        ours = [w for w in walks if w.original == o]
        slope = np.polyfit(SIZES, [w.deficit for w in ours], 1)[0]
        rows.append(0.08 * slope)
    assert tuple(forget_size.change_in(walks, "G")) == pytest.approx(tuple(student(rows, least=0.005)))
