"""The shadow pool's split: deterministic, balanced, and nothing in two places."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from mcutils.data import shadows
from mcutils.data.tasks import load_task
from mcutils.errors import BadInput

LAW = settings(deadline=None, derandomize=True, max_examples=25)


@LAW
@given(st.integers(18, 20_000))
def test_sizes_add_up_and_targets_are_even(pool):
    each = shadows.sizes(pool)
    assert sum(each.values()) == pool and each["forget"] % 2 == each["keep"] % 2 == 0
    assert abs(each["forget"] - pool * 2 / 9) <= 1 and abs(each["keep"] - pool / 9) <= 1
    learned = each["core"] + each["forget"] // 2 + each["keep"] // 2
    assert abs(each["forget"] / 2 - shadows.SHARE * learned) < 1


def test_the_sizes_of_the_shipped_data_are_round():
    assert shadows.sizes(9_000) == {"core": 6_000, "forget": 2_000, "keep": 1_000}
    assert round(shadows.SHARE * 7_500) == 1_000


@pytest.fixture(scope="module")
def whole():
    return load_task("digits", 0.1, train_size=400, test_size=60)


def test_every_target_is_in_half_of_the_shadows_and_every_shadow_has_half_of_the_targets(whole):
    for kind in shadows.KINDS:
        found = shadows.held(whole, kind, 12)
        n = shadows.sizes(len(whole.rows("train")))[kind]
        assert found.shape == (12, n) and found.dtype == bool
        assert (found.sum(axis=0) == 6).all() and (found.sum(axis=1) == n // 2).all()
        assert (found[0::2] == ~found[1::2]).all()
        assert len({row.tobytes() for row in found}) == 12  # no two are alike
        np.testing.assert_array_equal(shadows.held(whole, kind, 5), found[:5])


def test_two_targets_are_held_as_if_by_separate_coins(whole):
    """Over many shadows, being held is no more common for pairs of targets than halves of a set of n allow."""
    found = 2.0 * shadows.held(whole, "forget", 400)[::2] - 1
    n = found.shape[1]
    agreement = (found.T @ found / len(found))[np.triu_indices(n, 1)]
    assert agreement.mean() == pytest.approx(-1 / (n - 1), abs=1e-9)
    assert np.abs(agreement).max() < 5 / np.sqrt(len(found))


def test_the_halves_of_both_kinds_are_drawn_apart(whole):
    forget, keep = (shadows.held(whole, kind, 40)[::2] for kind in shadows.KINDS)
    n = keep.shape[1]
    assert not (forget[:, :n] == keep).all(axis=1).any()


@pytest.mark.parametrize("shadow", [0, 1, 7])
def test_the_task_of_a_shadow_holds_its_halves_and_the_core(whole, shadow):
    task, rows = shadows.shadowed(whole, shadow), shadows.targets(whole)
    parts = {name: set(found.tolist()) for name, found in task.index.items()}
    own = {kind: set(rows[kind][shadows.held(whole, kind, 8)[shadow]].tolist()) for kind in shadows.KINDS}
    assert parts["forget"] == own["forget"] and parts["retain"] == own["keep"] | set(rows["core"].tolist())
    assert parts["train"] == parts["forget"] | parts["retain"] and len(task.index["train"]) == len(parts["train"])
    assert parts["retain_eval"] | parts["bn"] <= parts["core"] and not parts["retain_eval"] & parts["bn"]
    assert parts["forget_targets"] | parts["keep_targets"] | parts["core"] == set(whole.rows("train").tolist())
    assert not parts["train"] & (parts["valid"] | parts["test"])
    assert task.forget == pytest.approx(shadows.SHARE, abs=1 / len(parts["train"]))
    assert task.x is whole.x  # of the same tensors


def test_all_shadows_share_what_is_evaluated_and_refreshed_on(whole):
    first, other = (shadows.shadowed(whole, j) for j in (0, 5))
    for name in ("retain_eval", "bn", "valid", "test", "forget_targets", "keep_targets", "core"):
        assert torch.equal(first.index[name], other.index[name]), name
    assert not torch.equal(first.index["forget"], other.index["forget"])


def test_draws_of_the_forget_set_change_nothing(whole):
    other = load_task("digits", 0.3, train_size=400, test_size=60, draw=4)
    for name, rows in shadows.shadowed(whole, 3).index.items():
        assert torch.equal(rows, shadows.shadowed(other, 3).index[name]), name


def test_the_split_is_the_same_on_every_machine(whole):
    rows = shadows.targets(whole)
    text = " ".join(map(str, [*rows["forget"], *rows["keep"], *shadows.held(whole, "forget", 4).astype(int).ravel()]))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "1836e0a1293c5a36"


def test_bad_input_is_one_sentence(whole):
    with pytest.raises(BadInput, match="unknown kind of target"):
        shadows.held(whole, "retain")
    with pytest.raises(BadInput, match="shadow must be"):
        shadows.shadowed(whole, -1)
    with pytest.raises(BadInput, match="a shadow already"):
        shadows.shadowed(shadows.shadowed(whole, 0), 0)
    with pytest.raises(BadInput, match="pool must be"):
        shadows.sizes(17)
