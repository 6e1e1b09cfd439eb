"""The visual abstract: its ticks and crosses are those of the numbers, whatever the numbers are."""

import numpy as np
import pytest

from mcutils.paper.abstract import BREAKS, HOLDS, abstract_figure, verdicts


class Pair:
    """What the abstract reads of a profile."""

    def __init__(self, barrier, deficit, gap=0.4):
        self.connectivity, self.gap = {"barrier_retain": barrier, "deficit_forget": deficit}, gap


def marks(fig):
    return [text.get_text() for text in fig.axes[1].texts if text.get_text() in (HOLDS, BREAKS)]


@pytest.mark.parametrize("barrier,deficit", [(0.0, 0.0), (0.05, 0.0), (0.0, 0.05), (0.05, 0.05), (0.04, 0.04)])
def test_a_mark_is_a_tick_where_the_loss_stays_within_the_tolerance(barrier, deficit):
    fine = [0.04 >= barrier, 0.04 >= deficit]
    fig = abstract_figure({"linear": Pair(barrier, deficit)}, eps=0.1)
    assert marks(fig) == [HOLDS if one else BREAKS for one in (*fine, all(fine))]


def test_what_is_not_finite_never_holds():
    assert verdicts({"linear": Pair(np.nan, 0.0)}) == {"linear": {"retain": False, "forget": True}}


def test_columns_are_the_paths_in_their_order_and_the_tolerance_is_named():
    fig = abstract_figure({"linear": Pair(0, 1), "bezier": Pair(0, 0)}, eps=0.25, method="npo", ends=("a", "b"))
    assert marks(fig) == [HOLDS, HOLDS, BREAKS, HOLDS, BREAKS, HOLDS]
    words = [text.get_text() for ax in fig.axes for text in ax.texts]
    assert "MCU(0.25): both, for every t" in words and "a\nunlearned" in words
    assert "NPO" in fig.axes[1].get_title()
