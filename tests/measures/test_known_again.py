"""Images that are right inside a path alone, against plain loops and with planted ones."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from synthetic import trace

from mcutils.errors import BadInput
from mcutils.measures.known_again import COMPARED, came_back, known_again, shares
from mcutils.measures.metrics import correct

PATH = trace(7, right=0.5, seed=5)
MODELS = [trace(right=right, seed=k) for k, right in ((2, 0.6), (3, 0.75))]


def planted(one, right):
    """A trace whose predictions are right exactly where the mask (T, N) of a split says so."""
    logits = {split: values.copy() for split, values in one.logits.items()}
    for split, mask in right.items():
        label = one.labels[split]
        shown = np.where(mask, label, (label + 1) % 4)
        logits[split] = 5 * (np.arange(4) == shown[..., None]).astype(np.float16)
    return replace(one, logits=logits)


MASKS = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).random((7, 40)) < 0.4)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(MASKS, MASKS)
def test_against_a_loop_over_images_and_points(mask, others):
    path = planted(PATH, {"forget": mask})
    models = [planted(one, {"forget": others[k : k + 1]}) for k, one in enumerate(MODELS)]
    for given_models in ([], models):
        found = came_back(path, "forget", given_models)
        for i in range(40):
            known = mask[0, i] or mask[-1, i] or any(others[k, i] for k in range(len(given_models)))
            assert found[:, i].tolist() == [bool(mask[k, i] and not known) for k in range(7)]
    counts, never = known_again(path, models)["forget"], ~(mask[0] | mask[-1] | others[0] | others[1])
    assert counts["of"] == 40 and counts["missed"] == (~(mask[0] | mask[-1])).sum() and counts["never"] == never.sum()
    along = [(mask[k] & never).sum() for k in range(7)]
    assert counts["again"] == max(along[1:-1]) <= counts["between"] <= counts["missed"]
    assert np.isnan(counts["t again"]) if not max(along) else along[list(path.t).index(counts["t again"])] == max(along)
    backwards = replace(path, logits={split: values[::-1] for split, values in path.logits.items()})
    again = known_again(backwards, models)["forget"]
    assert all(again[name] == counts[name] for name in ("of", "missed", "between", "never", "again"))


def test_planted_images_are_found_and_no_others():
    """Three forget images come back at t = 1/2; one is known to an end, one to a retrained model, one is lost again."""
    mask = np.zeros((7, 40), bool)
    mask[3, :3], mask[3, 3], mask[0, 3], mask[3, 4] = True, True, True, True
    path = planted(PATH, dict.fromkeys(COMPARED, np.zeros((7, 40), bool)) | {"forget": mask})
    models = [planted(one, dict.fromkeys(COMPARED, np.arange(40)[None] == 4)) for one in MODELS]
    found = known_again(path, models)
    assert found["forget"] == {
        "of": 40, "missed": 39, "between": 4, "t between": 0.5, "never": 38, "again": 3, "t again": 0.5,
    }  # fmt: skip
    for split in ("valid", "test"):
        assert (found[split]["between"], found[split]["again"], found[split]["never"]) == (0, 0, 39)
        assert np.isnan(found[split]["t again"])


def test_images_come_back_by_chance_no_more_often_than_unseen_ones():
    """The attack: a path that guesses in the middle. Its forget images come back, and so do test images, as many."""
    rng = np.random.default_rng(0)
    mask = {split: np.zeros((7, 40), bool) for split in COMPARED}
    for one in mask.values():
        one[1:-1] = rng.random((5, 40)) < 0.25
    none = [planted(one, dict.fromkeys(COMPARED, np.zeros((1, 40), bool))) for one in MODELS]
    found = known_again(planted(PATH, mask), none)
    rates = {split: counts["again"] / counts["never"] for split, counts in found.items()}
    assert rates["forget"] > 0.2 and abs(rates["forget"] - rates["test"]) < 0.15


def test_a_model_that_never_forgot_knows_nothing_again():
    """Right at both ends: nothing comes back, whatever the middle does. A constant path neither."""
    for mask in (np.ones((7, 40), bool), np.broadcast_to(np.arange(40) < 20, (7, 40))):
        assert known_again(planted(PATH, {"forget": mask}), MODELS)["forget"]["again"] == 0
    flat = replace(PATH, logits={s: np.repeat(v[:1], 7, axis=0) for s, v in PATH.logits.items()})
    assert all(not values.any() for name, values in shares(flat, MODELS).items() if name.startswith("metric/"))


def test_more_retrained_models_leave_fewer():
    counts = [known_again(PATH, MODELS[:k])["forget"] for k in (1, 2)]
    assert counts[0]["never"] >= counts[1]["never"] and counts[0]["between"] == counts[1]["between"]
    np.testing.assert_equal(known_again(PATH, MODELS * 2), known_again(PATH, MODELS))  # copies


def test_shares_are_the_counts_along_t():
    found, counts = shares(PATH, MODELS), known_again(PATH, MODELS)
    assert {n for n in found} == {
        f"{name}_{split}"
        for name in ("metric/right_between", "metric/known_again", "known/missed", "known/never")
        for split in COMPARED
    }
    for split, one in counts.items():
        assert found[f"metric/known_again_{split}"].max() * 40 == pytest.approx(one["again"])
        assert found[f"metric/right_between_{split}"].max() * 40 == pytest.approx(one["between"])
        assert found[f"known/never_{split}"] * 40 == pytest.approx(one["never"])
        assert found[f"metric/known_again_{split}"][[0, -1]].tolist() == [0, 0]


def test_only_splits_that_all_were_traced_on_are_compared():
    few = [replace(m, logits={s: m.logits[s] for s in ("retain", "forget")}) for m in MODELS]
    assert list(known_again(PATH, few)) == ["forget"] and set(shares(PATH, few)) == {
        "metric/right_between_forget", "metric/known_again_forget", "known/missed_forget", "known/never_forget",
    }  # fmt: skip


def test_what_is_not_finite_is_not_right():
    logits = {s: v.copy() for s, v in PATH.logits.items()}
    logits["forget"][3] = np.nan
    assert not came_back(replace(PATH, logits=logits), "forget")[3].any() and correct(PATH, "forget")[3].any()


def test_bad_input_is_said():
    for bad in ([], MODELS[0]):
        with pytest.raises(BadInput, match="give their traces in a list"):
            known_again(PATH, bad)
    with pytest.raises(BadInput, match="increasing values from 0 to 1"):
        known_again(MODELS[0], MODELS)
    with pytest.raises(BadInput, match="got 7 points of a curve"):
        known_again(PATH, [PATH])
    with pytest.raises(BadInput, match="other forget images"):
        known_again(PATH, [replace(MODELS[0], index={**MODELS[0].index, "forget": np.arange(40)})])
    with pytest.raises(BadInput, match="holds no split 'train'"):
        came_back(PATH, "train")
