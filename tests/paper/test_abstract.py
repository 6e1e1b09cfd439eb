"""The visual abstract: its ticks and crosses are those of the numbers, whatever the numbers are."""

import numpy as np
import pytest

from mcutils.paper.abstract import BREAKS, HOLDS, OPEN, abstract_figure, mcu_text, told, verdicts


class Measures(dict):
    """Measures with an interval ``wide`` to either side, none where it is nan."""

    wide, gap = np.nan, 1.0

    def interval(self, name):
        wide = self.wide / self.gap if name == "mcu_eps" else self.wide
        return self[name], self[name] - wide, self[name] + wide


class Pair:
    """What the abstract reads of a profile."""

    def __init__(self, barrier, deficit, gap=0.4, wide=np.nan):
        eps = np.max([barrier, deficit]) / gap
        self.connectivity = Measures(barrier_retain=barrier, deficit_forget=deficit, mcu_eps=eps)
        self.connectivity.wide, self.connectivity.gap, self.gap = wide, gap, gap


def marks(fig):
    return [text.get_text() for text in fig.axes[1].texts if text.get_text() in (HOLDS, BREAKS, OPEN)]


@pytest.mark.parametrize("barrier,deficit", [(0.0, 0.0), (0.05, 0.0), (0.0, 0.05), (0.05, 0.05), (0.04, 0.04)])
def test_a_mark_is_a_tick_where_the_loss_stays_within_the_tolerance(barrier, deficit):
    fine = [0.04 >= barrier, 0.04 >= deficit]
    fig = abstract_figure({"linear": Pair(barrier, deficit)}, eps=0.1)
    assert marks(fig) == [HOLDS if one else BREAKS for one in (*fine, all(fine))]


def test_what_is_not_finite_never_holds():
    assert verdicts({"linear": Pair(np.nan, 0.0)}) == {"linear": {"retain": False, "forget": True, "both": False}}


def test_a_question_mark_stands_where_the_interval_crosses_the_tolerance():
    fig = abstract_figure({"linear": Pair(0.0, 0.045, wide=0.01), "bezier": Pair(0.06, 0.0, wide=0.01)}, eps=0.1)
    assert marks(fig) == [HOLDS, BREAKS, OPEN, HOLDS, OPEN, BREAKS]
    assert any("crosses the tolerance" in text.get_text() for text in fig.axes[1].texts)
    assert told((0.1, 0.05, 0.1), 0.1) is True and told((0.2, 0.1, 0.3), 0.1) is None
    assert "On the line MCU(0.1) cannot be told.** " in mcu_text("linear", Pair(0.0, 0.045, wide=0.01))
    assert "On the Bézier curve MCU(0.1) breaks.** " in mcu_text("bezier", Pair(0.06, 0.0, wide=0.01))
    assert mcu_text("chain", Pair(0.0, 0.0, wide=0.01)).endswith("0.000 [-0.025, 0.025] G, set by the forget deficit.")


def test_columns_are_the_paths_in_their_order_and_the_tolerance_is_named():
    fig = abstract_figure({"linear": Pair(0, 1), "bezier": Pair(0, 0)}, eps=0.25, method="npo", ends=("a", "b"))
    assert marks(fig) == [HOLDS, HOLDS, BREAKS, HOLDS, BREAKS, HOLDS]
    words = [text.get_text() for ax in fig.axes for text in ax.texts]
    assert "MCU(0.25): both, for every t" in words and "a\nunlearned" in words
    assert "NPO" in fig.axes[1].get_title()
