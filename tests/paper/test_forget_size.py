"""The room `forget_size`: its routes, its claims' tests, its tables and figures on made-up walks."""

from dataclasses import replace

import numpy as np
import pytest
from made_claims import SIZES as SIZES_of_claims, judge, ours, sized as sized_of_claims
from made_conditions import made, with_arrays
from made_figures_of_conditions import figure
from made_specs import THREE, labels, pairs_of
from synthetic import RING, controls, walk

from mcutils.measures.intervals import mean_interval
from mcutils.paper import forget_size
from mcutils.paper.forget_size import c4
from mcutils.paper.judging import nodes_of
from mcutils.paper.registry import EXPERIMENTS
from mcutils.paper.tables import grouped


def test_sizes_change_what_is_forgotten_and_its_references(laptop):
    routes = [r for r in forget_size.sizes(laptop) if not r.control]
    sizes = (0.02, 0.04, 0.06, 0.08, 0.1)
    assert labels(routes, "size", "kind") == {(s, k): 9 for s in sizes for k in ("linear", "bezier")}
    assert pairs_of(routes) == THREE
    for r in routes:
        profile = r.profile(laptop)
        assert {end.forget for end in (r.path.start, r.path.end, r.path)} == {r.size}
        assert {t.forget for t in (profile.trace, profile.original, *profile.retrained, profile.random)} == {r.size}
        assert [t.model.seed for t in profile.retrained] == [42, 87]
        assert {t.model.forget for t in profile.retrained} == {r.size}


def test_sizes_are_steps_up_to_what_the_study_forgets(laptop):
    smaller = replace(laptop, preset=replace(laptop.preset, forget=0.05))
    for routes, sizes in (
        (forget_size.sizes(smaller), [0.01, 0.02, 0.03, 0.04, 0.05]),
        (forget_size.sizes(laptop, [0.02, 0.2]), [0.02, 0.2]),
    ):
        assert list(dict.fromkeys(r.size for r in routes if not r.control)) == sizes


@pytest.mark.parametrize(
    ("change", "expected"),
    [(0.2, "supported"), (-0.2, "supported"), (0.0, "contradicted"), (0.1, "undecided"), (-0.1, "undecided")],
)
def test_c4_is_the_change_from_the_smallest_to_the_largest_set(change, expected):
    found = judge("C4", sized_of_claims(change))
    assert found.effect == pytest.approx(change, abs=1e-12)
    assert (found.verdict, found.n_pairs, found.n_seeds) == (expected, 15, 5)


def test_c4_fits_a_straight_line_to_each_pair():
    rng = np.random.default_rng(0)
    deficits = {(p, s): rng.uniform(0, 1) for p in RING for s in SIZES_of_claims}
    lines = [walk("npo", 0.0, d, p, size=s) for (p, s), d in deficits.items()]
    slopes = [0.08 * np.polyfit(SIZES_of_claims, [deficits[p, s] for s in SIZES_of_claims], 1)[0] for p in RING]
    assert judge("C4", lines + controls()).effect == pytest.approx(np.mean(slopes))


def test_c4_leaves_out_curves_and_pairs_that_lack_an_end():
    walks, found = sized_of_claims(0.2), judge("C4", sized_of_claims(0.2))
    more = sized_of_claims(0.9, kinds=("bezier",)) + sized_of_claims(
        0.9, methods=("bad_teacher",), sizes=SIZES_of_claims[:4]
    )
    more += sized_of_claims(0.9, methods=("random_labels",), sizes=SIZES_of_claims[1:])
    assert judge("C4", walks + ours(more)) == found
    assert judge("C4", sized_of_claims(0.2, sizes=SIZES_of_claims[:1])).n_pairs == 0
    middle = [w for w in sized_of_claims(0.2) if w.size not in (0.04, 0.08) or w.method != "npo"]
    assert judge("C4", middle).effect == pytest.approx(0.2)


SIZES = (0.02, 0.04, 0.06, 0.08, 0.10)


def sized(slope=2.0, start=0.1, method="npo", kind="linear", noise=0.001):
    """Walks whose deficit is ``start + slope * size``, a tenth higher for each further pair."""
    parts = []
    for size in SIZES:
        deficits = [start + slope * size + 0.1 * k for k in range(3)]
        parts += made("random", 0.01, deficits, method, kind=kind, size=size, noise=noise)
    return parts


KNOWN = {0: 0.05}  # forget loss of the original: the ends' mean is 0.25, so 0.2 was forgotten


def test_sizes_have_rows_means_and_a_sentence():
    walks = [*sized(), *sized(kind="bezier"), *controls()]
    assert len(forget_size.size_pairs(walks, KNOWN)) == 30
    found = forget_size.size_summary(walks, KNOWN)
    assert len(found) == 2 * 5 * 3
    rows = found[(found["curve"] == "bezier") & (found["size"] == 0.06)].set_index("measure")
    assert rows.loc["deficit", "estimate"] == pytest.approx(0.1 + 0.12 + 0.1)
    relative = rows.loc["relative", ["estimate", "low", "high"]].astype(float)
    np.testing.assert_allclose(relative, 10 * rows.loc["deficit", ["estimate", "low", "high"]].astype(float))  # G is 2
    assert forget_size.sizes_text(walks) == (
        "30 walks: 5 sizes, 1 methods (npo), 3 pairs of seeds, lines and curves of 5 points."
    )


def test_the_original_s_loss_is_that_of_its_profile_one_for_each_forget_set(laptop, monkeypatch):
    monkeypatch.setattr(forget_size, "levels", lambda study, seed: ({"loss_forget": 0.1 + seed}, []))
    assert forget_size.before(laptop) == {0: 0.1}
    assert forget_size.before(replace(laptop, preset=replace(laptop.preset, originals=2))) == {0: 0.1, 1: 1.1}
    assert laptop.profile(laptop.original()) in EXPERIMENTS["06_forget_size"](laptop)


def test_what_was_forgotten_is_the_loss_that_the_ends_gained():
    one = walk("npo", 0.0, 0.3, size=0.02)
    assert forget_size.forgot(one, {0: 0.05}) == pytest.approx(0.2)
    assert forget_size.forgot(one, {0: 0.05, 1: 0.9}) == pytest.approx(0.2)
    other = replace(one, original=1)
    assert forget_size.forgot(other, {0: 0.05}) == pytest.approx(0.2), "one forget set for all originals"
    assert forget_size.forgot(other, {0: 0.05, 1: 0.15}) == pytest.approx(0.1), "or one for each"
    for nothing in (0.25, 0.9):
        assert np.isnan(forget_size.forgot(one, {0: nothing}))


def test_a_deficit_is_counted_in_three_units():
    one = with_arrays(
        walk("npo", 0.0, 0.3, size=0.02),
        measure__deficit_forget_accuracy=0.07,
        replicates__deficit_forget_accuracy=np.full(60, 0.07),
    )
    values = {unit: forget_size.deficit_in(one, unit, KNOWN) for unit in forget_size.UNITS}
    assert {unit: value for unit, (value, _) in values.items()} == pytest.approx(
        {"G": 0.3, "forgotten": 0.3 * 2.0 / 0.2, "accuracy": 0.07}
    )
    np.testing.assert_allclose(values["G"][1], one.replicates("deficit"))
    np.testing.assert_allclose(values["forgotten"][1], 10 * one.replicates("deficit"))
    np.testing.assert_array_equal(values["accuracy"][1], 0.07)


def told(one, accuracy=0.01):
    """The walk with a deficit of its accuracy."""
    again = {"replicates__deficit_forget_accuracy": np.full(60, accuracy)}
    return with_arrays(one, measure__deficit_forget_accuracy=accuracy, **again)


def pushed(slope=0.0, method="npo"):
    """Walks whose deficit is 0.5 + ``slope * size`` of what was forgotten, which is more in smaller sets."""
    found = []
    for one in sized(slope=0.0, method=method):
        gained = 0.02 / one.size
        loss = 0.05 + gained * np.array([1, 1 - (0.5 + slope * one.size), 1])
        kept = {"curve__loss_forget": np.interp(one.profile.t, [0, 0.5, 1], loss)}
        dip = (0.5 + slope * one.size) * gained
        kept |= {"measure__deficit_forget": dip, "replicates__deficit_forget": np.full(60, dip)}
        found.append(told(with_arrays(one, **kept)))
    return found


def test_ends_that_were_pushed_further_dip_further_and_the_unit_tells():
    """In G the deficit falls with the size, in units of what was forgotten it is the same: C4 is the unit's."""
    walks = [*pushed(), *controls()]
    plain, relative, accuracy = (forget_size.change_in(walks, unit, KNOWN) for unit in forget_size.UNITS)
    assert plain.estimate == pytest.approx(c4(walks).effect) and plain.estimate < -0.1
    assert relative.estimate == pytest.approx(0, abs=1e-9) == accuracy.estimate
    text = forget_size.answer(walks, KNOWN)
    assert "**So.** The change in G is the unit's" in text and "Of 15 lines 6 dip" in text  # at 2 % and 4 %
    flat = [told(one) for one in sized(slope=0.0, noise=0.5)]
    assert "**So.** In G itself no change is seen" in forget_size.answer([*flat, *controls()], KNOWN)
    grown = forget_size.answer([*pushed(slope=4.0), *controls()], KNOWN)
    assert "not the unit's alone" in grown and "by 0.320 [0.320, 0.320] in units of what was forgotten" in grown


def test_a_dip_is_below_the_retrained_models_only_below_their_own_level():
    """They are at the original's loss and G more: 0.05 + 2 here, which every loss is below."""
    walks = [told(one) for one in sized(slope=0.0, start=0.2)]
    assert "on 15 of these the forget loss also falls" in forget_size.answer(walks, KNOWN)
    high = {0: -2.3}  # a level of -0.3, where losses fall to -0.15, -0.35 and -0.55
    assert "on 5 of these the forget loss also falls" in forget_size.answer(walks, high)


def test_changes_agree_with_c4_and_stand_by_method():
    walks = [*sized(slope=2.0), *sized(slope=-1.0, start=0.5, method="scrub"), *sized(slope=9.0, kind="bezier")]
    walks = [*(told(w) for w in walks), *controls()]
    shown = forget_size.changes_table(walks, KNOWN)
    assert list(shown.index) == ["npo", "scrub", "all"] and list(shown) == list(forget_size.UNITS.values())
    assert [text.split()[0] for text in shown["units of G"]] == ["0.160", "-0.080", f"{c4(walks).effect:.3f}"]
    assert [text.split()[0] for text in shown["units of what was forgotten"]] == ["1.600", "-0.800", "0.400"]
    assert shown["accuracy"].tolist() == ["0.000 [0.000, 0.000]"] * 3


def test_the_interval_of_a_change_is_over_pairs_and_examples():
    walks = sized(noise=0.5)
    found = forget_size.change_in(walks, "G", KNOWN)
    sizes = np.array(SIZES)
    weights = (sizes - sizes.mean()) / ((sizes - sizes.mean()) ** 2).sum() * 0.08
    groups = grouped(walks, "original", "start", "end").values()
    again = np.array([weights @ np.array([w.replicates("deficit") for w in group]) for group in groups])
    expected = mean_interval([0.16] * 3, again, nodes=nodes_of(group[0] for group in groups))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_one_size_alone_has_no_change():
    walks = [told(w) for w in sized() if w.size == 0.02]
    assert np.isnan(forget_size.change_in(walks, "G", KNOWN).estimate)
    assert "nan" in forget_size.changes_table(walks, KNOWN).loc["all", "units of G"]
    tables = forget_size.changes_table, lambda w, known: forget_size.ends_table(w, 1000, known), forget_size.sizes_table
    assert [len(table(controls(), KNOWN)) for table in tables] == [0, 0, 0]


def test_the_unit_is_shown_beside_what_was_forgotten():
    walks = [*sized(slope=0.0), *sized(slope=0.0, method="scrub", kind="bezier")]
    half = [with_arrays(w, gap=1.0) if w.size == 0.1 else w for w in walks]
    table = forget_size.ends_table(half[::-1], 9000, KNOWN)
    assert list(table.index) == [("npo", f"{k} %") for k in (2, 4, 6, 8, 10)]
    assert table["images"].tolist() == [180, 360, 540, 720, 900]
    assert table["G, nats"].tolist() == [2.0, 2.0, 2.0, 2.0, 1.0]
    assert table["forgotten, nats"].tolist() == pytest.approx([0.2] * 5)
    assert table["forgotten / G"].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.2])
    assert table["forget acc. %"].tolist() == [87.5] * 5


def test_connections_of_a_size_stand_beside_their_roughness():
    walks = [told(w) for w in (*sized(slope=0.0, start=0.05), *sized(slope=0.0, start=0.0, kind="bezier"))]
    table = forget_size.sizes_table(walks, KNOWN, 0.2)
    row = table.loc[("npo", "10 %")]
    assert (row["deficit, G"], row["deficit, forgotten"], row["deficit, accuracy"]) == pytest.approx((0.15, 1.5, 0.01))
    assert (row["linear: connected"], row["bezier: connected"]) == ("2 of 3", "3 of 3")
    rough = [
        np.median([w.roughness for w in walks if w.kind == kind and w.size == 0.1]) for kind in ("linear", "bezier")
    ]
    assert [float(row[f"{kind}: roughness"]) for kind in ("linear", "bezier")] == pytest.approx(rough, rel=0.05)


def test_sizes_show_two_rows_on_a_scale_each_and_no_fit():
    fig = figure("sizes")
    assert len(fig.axes) == 6
    for row in (fig.axes[:3], fig.axes[3:]):
        assert len({ax.get_ylim() for ax in row}) == 1 and row[0].get_yscale() == "symlog"
    assert not [v for ax in fig.axes for v in ax.get_lines() if v.get_ls() == "--"]
    dots = [v for v in fig.axes[0].get_lines() if v.get_markersize() == 3 and len(v.get_xdata()) == 9]
    assert len(dots) == 3  # lines and curves in G, and lines in units of what was forgotten
    assert [ax.get_title() for ax in fig.axes[:3]] == ["gradient difference", "NPO", "SCRUB"]
