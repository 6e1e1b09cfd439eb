"""The room `forget_size`: its routes, its claims' tests, its tables and figures on made-up walks."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from made_claims import SIZES as SIZES_of_claims, judge, ours, sized as sized_of_claims
from made_conditions import made, with_arrays
from made_figures_of_conditions import figure, sized as sized_of_figures_of_conditions
from made_specs import THREE, labels, pairs_of
from synthetic import RING, controls, walk

from mcutils.measures.drawing import BLUE
from mcutils.measures.intervals import mean_interval
from mcutils.paper import forget_size
from mcutils.paper.forget_size import c4
from mcutils.paper.judging import nodes_of
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


def test_sizes_have_rows_means_and_a_sentence():
    walks = [*sized(), *sized(kind="bezier"), *controls()]
    assert len(forget_size.size_pairs(walks)) == 30
    found = forget_size.size_summary(walks)
    assert len(found) == 2 * 5 * 3
    row = found[(found["curve"] == "bezier") & (found["size"] == 0.06) & (found["measure"] == "deficit")].iloc[0]
    assert row["estimate"] == pytest.approx(0.1 + 0.12 + 0.1)
    assert forget_size.sizes_text(walks) == (
        "30 walks: 5 sizes, 1 methods (npo), 3 pairs of seeds, lines and curves of 5 points."
    )


def test_a_straight_line_is_fitted_exactly_and_agrees_with_c4():
    walks = [*sized(slope=2.0), *sized(slope=-1.0, start=0.5, method="scrub"), *controls()]
    fits = forget_size.size_fits(walks)
    deficit = fits[fits["measure"] == "deficit"].set_index("method")
    assert deficit.loc["npo", "change"] == pytest.approx(0.16) and deficit.loc["scrub", "change"] == pytest.approx(
        -0.08
    )
    assert deficit.loc["npo", ["at_low", "at_high"]].tolist() == pytest.approx([0.1 + 0.04 + 0.1, 0.1 + 0.2 + 0.1])
    assert (deficit["low"] <= deficit["change"]).all() and (deficit["change"] <= deficit["high"]).all()
    np.testing.assert_allclose(fits[fits["measure"] == "barrier"]["change"], 0, atol=1e-12)
    assert deficit["change"].mean() == pytest.approx(c4(walks).effect)
    shown = forget_size.fits_shown(walks)
    assert shown.loc[("npo", "linear"), "change of the deficit"].startswith("0.160 [")


def test_the_interval_of_a_fit_is_over_pairs_and_examples():
    walks = sized(noise=0.5)
    row = forget_size.size_fits(walks).query("measure == 'deficit'").iloc[0]
    sizes = np.array(SIZES)
    weights = (sizes - sizes.mean()) / ((sizes - sizes.mean()) ** 2).sum() * 0.08
    groups = grouped(walks, "original", "start", "end").values()
    again = np.array([weights @ np.array([w.replicates("deficit") for w in group]) for group in groups])
    expected = mean_interval([0.16] * 3, again, nodes=nodes_of(group[0] for group in groups))
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_one_size_alone_has_no_fit():
    walks = [w for w in sized() if w.size == 0.02]
    assert len(forget_size.size_fits(walks)) == len(forget_size.fits_shown(walks)) == 0
    assert len(forget_size.fits_shown(controls())) == len(forget_size.gap_table(controls(), 1000)) == 0


def test_the_unit_is_shown_beside_what_it_measures():
    walks = [*sized(slope=0.0), *sized(slope=0.0, method="scrub", kind="bezier")]
    half = [with_arrays(w, gap=1.0) if w.size == 0.1 else w for w in walks]
    table = forget_size.gap_table(half, 9000)
    assert list(table.index) == [("npo", f"{k} %") for k in (2, 4, 6, 8, 10)]
    assert table["images"].tolist() == [180, 360, 540, 720, 900]
    assert table["G, nats"].tolist() == [2.0, 2.0, 2.0, 2.0, 1.0]
    assert table["deficit, nats"].tolist() == pytest.approx([0.4] * 5)  # the same in nats whatever the unit
    assert table["forget acc. %"].tolist() == [87.5] * 5


def test_sizes_show_pairs_intervals_and_fit():
    fig = figure("sizes")
    assert len(fig.axes) == 9
    ax = fig.axes[0]  # deficit of the first method
    fits = forget_size.size_fits(sized_of_figures_of_conditions()).query(
        "measure == 'deficit' and method == 'gradient_difference'"
    )
    drawn = [list(v.get_ydata()) for v in ax.get_lines() if list(v.get_xdata()) == [2, 10]]
    np.testing.assert_allclose(drawn, fits[["at_low", "at_high"]])
    dots = [v for v in ax.get_lines() if v.get_markersize() == 3 and len(v.get_xdata()) == 9]
    assert len(dots) == 2
    assert ax.get_ylim()[1] >= 0.13 and [ax.get_title() for ax in fig.axes[:3]] == [
        "gradient difference",
        "NPO",
        "SCRUB",
    ]
    assert matplotlib.colors.same_color(ax.collections[0].get_color()[0], BLUE)
