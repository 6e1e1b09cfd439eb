"""Attacks that succeed: what the declared tests do not see, as docs/protocol.md says under *What this cannot say*.

Each test asserts the word that the declared test gives today. A test that no longer holds is good news: the limit is
gone, and the page should say so.
"""

from dataclasses import replace

import numpy as np
import pytest
from attacks import changed, controlled
from made_worlds import METHODS, Shape, world

from mcutils.paper import declared, trials
from mcutils.paper.admission import unresolved

FAILING = METHODS[1:]  # five of six


@pytest.fixture(autouse=True)
def _no_redraws(monkeypatch):
    monkeypatch.setattr(trials, "DRAWS", 0)


def plateau(walk):
    """The walk with a forget loss that falls by 2.5 G at the first step and stays there until the last."""
    arrays, inner = walk.profile.arrays, np.r_[0.0, np.ones(len(walk.profile.t) - 2), 0.0]
    return changed(walk, curve__loss_forget=arrays["curve/loss_forget"] - 2.5 * walk.profile.gap * inner)


def high_ends(**given):
    """Shapes whose ends forgot 4 G, so that dips stay above 0."""
    return Shape(ends=(4.0, 4.0), **given)


@pytest.mark.parametrize("points", [11, 31, 101])
def test_a_path_that_falls_at_once_and_stays_down_is_taken_for_noise(points):
    walk = world(controlled(lambda labels: high_ends()), ("random",), originals=1, points=points)[0]
    assert unresolved(walk) == () and "loss_forget" in unresolved(plateau(walk))


def test_methods_whose_paths_all_fail_so_are_not_missed_and_one_method_decides_c1():
    walks = world(controlled(lambda labels: high_ends()), ("random",))
    one_in_six = [plateau(w) if w.method in FAILING and not w.control else w for w in walks]
    assert declared.c1(one_in_six).verdict == "supported"
    smooth = controlled(lambda labels: high_ends(dip=2.5 * (labels["method"] in FAILING)))
    assert declared.c1(world(smooth, ("random",))).verdict == "undecided"


@pytest.mark.parametrize("lost", ["plateau", "gate"])
def test_a_curriculum_that_ruins_five_methods_of_six_is_said_to_change_nothing(lost):
    """By paths that fall at once, or by ends that did not keep what they should."""
    walks = world(controlled(lambda labels: high_ends()), ("random", "cl-non_cl"))
    if lost == "gate":
        ruined = controlled(lambda labels: high_ends(kept=0.6))
        other = [w for w in world(ruined, ("cl-non_cl",), seed=1) if not w.control]
        kept = [w for w in walks if w.condition == "random" or w.control or w.method not in FAILING]
        attacked = kept + [w for w in other if w.method in FAILING]
    else:
        attacked = [plateau(w) if w.condition != "random" and w.method in FAILING else w for w in walks]
    found = declared.c5(attacked)
    assert found.verdict == "contradicted" and found.n_cells == 16


def test_shifts_that_cancel_between_methods_are_no_change():
    def shape(labels):
        up = labels["method"] in METHODS[::2]
        return high_ends(dip=0.5 + (labels["condition"] != "random") * (0.4 if up else -0.4))

    walks = world(controlled(shape), ("random", "cl-non_cl"))
    assert declared.c5(walks).verdict == "contradicted"
    renamed = [replace(w, condition="random_in_cl") if w.condition == "cl-non_cl" else w for w in walks]
    assert declared.shift(renamed, "random_in_cl").verdict == "contradicted"
    as_order = [replace(w, condition="fo-so") if w.condition == "cl-non_cl" else w for w in walks]
    assert declared.c7(as_order).verdict == "supported"  # the row that reads both directions sees it


def test_deficits_that_peak_in_the_middle_sizes_do_not_depend_on_size():
    shape = controlled(lambda labels: high_ends(dip=1.5 * (1 - abs(labels.get("size", 0.1) - 0.06) / 0.04)))
    assert declared.c4(world(shape, ("sizes",))).verdict == "contradicted"
