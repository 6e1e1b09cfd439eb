"""Made worlds as tables: what is planted is what the tables hold."""

import numpy as np
import pytest
from worlds import GAP, controls, path, tables_of

from mcutils.paper.inclusion import APART, CONTROLS


@pytest.mark.parametrize("points", [11, 31])
def test_a_path_has_the_barrier_and_the_deficit_that_it_was_given(points):
    (row,) = tables_of([path("npo", 0.3, 0.7, points=points)])["paths"].to_dict("records")
    assert row["barrier_chord"] == pytest.approx(0.3) and row["deficit_chord"] == pytest.approx(0.7)
    assert row["eps_chord"] == row["eps_chord_11"] == pytest.approx(0.7)
    assert row["start_closed_loss"] == pytest.approx(1.2) and row["gap"] == pytest.approx(GAP, abs=0.05)
    assert row["included"] and row["points"] == points


def test_tables_have_a_row_a_path_and_the_points_of_each():
    made = [path("npo", original=3), path("salun", kind="bezier", form="cue", original=4), *controls()]
    found = tables_of(made, experiments=lambda one: "a b" if one.control else "a")
    assert list(found["paths"].control) == ["", "", APART, CONTROLS[1]]
    assert list(found["paths"].experiments) == ["a", "a", "a b", "a b"]
    along = found["along"]
    assert set(along.path) == set(found["paths"].path) and set(along.original) == {0, 3, 4}
    one = along[(along.path == "path1") & (along.metric == "loss_forget")]
    assert np.array_equal(one.value, made[1].profile.arrays["curve/loss_forget"]) and len(one) == 31
    assert not len(found["copies"]) and set(found["gaps"].original) == {0, 3, 4}
