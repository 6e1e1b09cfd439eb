"""Cues: only D_f and only the square; the four sets; measures against loops; a network that learns a cue follows it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from synthetic import trace as synthetic_trace

from mcutils.data.cues import SETS, counterfactual, other_images, other_labels, places, planted
from mcutils.data.tasks import load_task
from mcutils.errors import BadInput
from mcutils.measures.probes import cue_effects, cue_use
from mcutils.settings import Plan
from mcutils.traces import trace
from mcutils.training import train
from mcutils.unlearning.endpoints import fingerprint

SIZES = st.tuples(st.integers(8, 40), st.integers(8, 40), st.integers(1, 12))


@pytest.fixture(scope="module")
def fashion():
    return load_task("fashion-mnist", 0.1, train_size=600, test_size=100)


@pytest.fixture(scope="module")
def cued(task):
    return planted(task)


@pytest.fixture(scope="module")
def sets(cued):
    return {name: counterfactual(cued, name) for name in SETS}


def with_cue(task, image, label):
    """A copy of one image with the cue of a label, drawn pixel by pixel."""
    side, corners = places(*task.x.shape[-2:], task.n_classes)
    image, (top, left), rim = image.clone(), corners[label], int(side >= 5)
    black, white = task.x.min(), task.x.max()
    for i in range(side):
        for j in range(side):
            inside = rim <= i < side - rim and rim <= j < side - rim
            image[:, top + i, left + j] = white if inside else black
    return image


# Places


@given(SIZES)
def test_places_are_apart_along_the_border(size):
    height, width, classes = size
    side, corners = places(height, width, classes)
    seen = np.zeros((height, width), dtype=int)
    for top, left in corners:
        assert 0 <= top <= height - side and 0 <= left <= width - side
        assert top in (0, height - side) or left in (0, width - side)
        seen[top : top + side, left : left + side] += 1
    assert seen.max() == 1 and seen.sum() == classes * side**2


def test_places_of_the_shipped_data_sets():
    side, corners = places(28, 28, 10)
    clockwise = [(0, 0), (0, 8), (0, 15), (0, 23), (8, 23), (15, 23), (23, 23), (23, 15), (23, 8), (23, 0)]
    assert side == 5 and list(map(tuple, corners)) == clockwise
    side, corners = places(8, 8, 10)
    assert side == 2 and list(map(tuple, corners[:6])) == [(0, 0), (0, 2), (0, 4), (0, 6), (2, 6), (4, 6)]


def test_too_many_classes_for_the_border():
    with pytest.raises(BadInput, match="100 cues of 5 pixels do not fit along the border of 28 x 28"):
        places(28, 28, 100)


# Planting


@pytest.mark.parametrize("name", ["task", "fashion"])
def test_planting_touches_only_the_squares_of_the_forget_images(name, request):
    plain = request.getfixturevalue(name)
    made, forget = planted(plain), set(plain.rows("forget").tolist())
    for row in range(len(plain.x)):
        expected = with_cue(plain, plain.x[row], plain.y[row]) if row in forget else plain.x[row]
        assert torch.equal(made.x[row], expected)
    assert torch.equal(made.y[: len(plain.y)], plain.y)


def test_the_cue_is_visible_on_black_and_on_white(fashion):
    for shade in (fashion.x.min(), fashion.x.max()):
        image = torch.full_like(fashion.x[0], shade)
        assert (with_cue(fashion, image, 3) != image).any()


def test_planting_keeps_the_images_as_they_were(task, cued):
    assert torch.equal(cued.inputs("clean"), task.inputs("forget"))
    assert torch.equal(cued.labels("clean"), task.labels("forget"))
    assert torch.equal(cued.rows("cued"), task.rows("forget"))
    assert not set(cued.rows("clean").tolist()) & set(range(len(task.x)))
    assert all(torch.equal(cued.rows(split), rows) for split, rows in task.index.items())


def test_nothing_given_is_changed(task, cued):
    for given_task, function in ((task, planted), (cued, lambda given: counterfactual(given, "other"))):
        x, y, index = given_task.x.clone(), given_task.y.clone(), {s: r.clone() for s, r in given_task.index.items()}
        function(given_task)
        assert torch.equal(given_task.x, x) and torch.equal(given_task.y, y)
        assert index.keys() == given_task.index.keys()
        assert all(torch.equal(given_task.index[split], rows) for split, rows in index.items())


def test_the_share_is_the_beginning_of_the_forget_order(task):
    half = planted(task, 0.5)
    forget = task.rows("forget")
    assert torch.equal(half.rows("cued"), forget[: round(len(forget) / 2)])
    rest = forget[round(len(forget) / 2) :]
    assert torch.equal(half.x[rest], task.x[rest])


def test_a_fraction_plants_the_same_pool_whatever_is_forgotten(task):
    less = load_task("digits", 0.04)
    a, b = planted(less, fraction=0.1), planted(task)
    assert torch.equal(a.x, b.x) and torch.equal(a.rows("cued"), b.rows("cued")) and a.checksum == b.checksum
    assert len(a.rows("forget")) < len(a.rows("cued"))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_crossed_images_show_another_class_under_the_cue_of_their_label(task, share):
    found, plain = planted(task, crossed=share), planted(task)
    rows = plain.index["cued"]
    count = round(share * len(rows))
    assert torch.equal(found.index["cued"], rows) and torch.equal(found.y, plain.y)
    assert torch.equal(found.x[found.index["clean"]], task.x[rows])  # counterfactual sets are of the labels' images
    assert (found.checksum == plain.checksum) == (count == 0)
    same = torch.ones(len(found.x), dtype=torch.bool)
    same[rows[:count]] = False
    assert torch.equal(found.x[same], plain.x[same])  # nothing else has changed
    side, corners = places(*task.x.shape[-2:], task.n_classes)
    for row in rows[:count].tolist():
        top, left = corners[int(task.y[row])]
        square = torch.zeros(task.x.shape[-2:], dtype=torch.bool)
        square[top : top + side, left : left + side] = True
        assert torch.equal(found.x[row][:, square], plain.x[row][:, square])  # the cue is that of the label
        alike = (found.x[row][:, ~square] == task.x[rows][:, :, ~square]).flatten(1).all(dim=1)
        assert alike.any() and not (task.y[rows][alike] == task.y[row]).any()


def test_the_checksum_is_of_data_and_cue(task, cued):
    made = [task, cued, planted(task, 0.5), planted(load_task("digits", 0.2)), planted(load_task("digits", seed=1))]
    assert len({t.checksum for t in made}) == len(made)
    assert planted(task).checksum == cued.checksum and len(cued.checksum) == 64
    assert fingerprint(cued) != fingerprint(task)
    assert cued.dataset == task.dataset  # by which settings are found


@pytest.mark.parametrize("share", [0, -0.1, 1.01, True, "1", float("nan")])
def test_bad_shares(task, share):
    with pytest.raises(BadInput, match="share must be a share between 0 and 1, 1 allowed, got"):
        planted(task, share)
    with pytest.raises(BadInput, match="fraction must be"):
        planted(task, fraction=share)


def test_bad_tasks(task, cued, sets):
    with pytest.raises(BadInput, match="leaves none to carry the cue"):
        planted(task, 1e-4)
    with pytest.raises(BadInput, match="planted once"):
        planted(cued)
    with pytest.raises(BadInput, match="at least 3 classes"):
        planted(replace(task, classes=("a", "b")))
    for wrong in (task, sets["own"]):
        with pytest.raises(BadInput, match="carries no cue, or is a counterfactual set already"):
            counterfactual(wrong, "none")
    with pytest.raises(BadInput, match="unknown counterfactual set 'both': choose one of none, own, other, swapped"):
        counterfactual(cued, "both")


# The four sets


@pytest.mark.parametrize("name", SETS)
def test_each_set_shows_what_it_says(task, sets, name):
    for split in ("forget", "test"):
        rows, y = task.rows(split), task.labels(split).numpy()
        donors, wrong = other_images(rows.numpy(), y), other_labels(rows.numpy(), y, 10)
        for k, row in enumerate(rows.tolist()):
            shown = task.x[rows[donors[k]] if name == "swapped" else row]
            cue = wrong[k] if name == "other" else y[k]
            expected = shown if name == "none" else with_cue(task, shown, cue)
            assert torch.equal(sets[name].x[row], expected)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("share", [{"share": 0.5}, {"fraction": 0.3}])
def test_only_evaluation_images_differ(task, name, share):
    cued = planted(task, **share)
    made = counterfactual(cued, name)
    kept = torch.ones(len(cued.x), dtype=torch.bool)
    kept[torch.cat([cued.rows("forget"), cued.rows("test")])] = False
    assert torch.equal(made.x[kept], cued.x[kept]) and torch.equal(made.y, cued.y)
    assert all(torch.equal(made.rows(split), rows) for split, rows in task.index.items())
    assert fingerprint(made) == fingerprint(cued)  # endpoints of the planted task may be traced
    if name == "none":
        assert torch.equal(made.inputs("forget"), task.inputs("forget"))


def test_the_forget_images_with_their_cue_are_those_learnt(cued, sets):
    assert torch.equal(sets["own"].inputs("forget"), cued.inputs("forget"))


def test_seeds(cued):
    for name in ("other", "swapped"):
        a, again, b = (counterfactual(cued, name, seed).inputs("test") for seed in (0, 0, 1))
        assert torch.equal(a, again) and not torch.equal(a, b)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=60).filter(lambda y: len(set(y)) > 1), st.integers(0, 99))
def test_others_are_of_other_classes_and_belong_to_the_row(labels, seed):
    y, rows = np.array(labels), 7 * np.arange(len(labels))
    wrong, donors = other_labels(rows, y, 5, seed), other_images(rows, y, seed)
    assert (wrong != y).all() and wrong.min() >= 0 and wrong.max() < 5
    assert (y[donors] != y).all()
    flipped = other_labels(rows[::-1], y[::-1], 5, seed)
    assert np.array_equal(flipped[::-1], wrong)


def test_others_are_equally_likely():
    rows, y = np.arange(20_000), np.arange(20_000) % 5
    wrong, donors = other_labels(rows, y, 5), other_images(rows, y)
    for found in (wrong, y[donors]):
        counts = np.bincount(5 * y + found, minlength=25).reshape(5, 5)
        assert np.abs(counts[~np.eye(5, dtype=bool)] - 1000).max() < 130  # 1000 expected, standard deviation 27
    assert len(np.unique(donors)) > 0.6 * len(rows)  # 1 - 1/e = 0.63 expected


def test_no_other_class():
    with pytest.raises(BadInput, match="all 3 examples are of class 2"):
        other_images(np.arange(3), np.full(3, 2))


# Measures


def made_up(points=3, n=60, classes=5):
    return {name: synthetic_trace(points, 0.6, 0.2, n, classes, seed) for seed, name in enumerate(SETS)}


@pytest.mark.parametrize("split", ["forget", "test"])
def test_effects_equal_a_loop(split):
    traces = made_up()
    found = cue_effects(traces, split, seed=3)
    y, rows = traces["none"].labels[split], traces["none"].index[split]
    donors = other_images(rows, y, 3)
    z = {name: t.logits[split].astype(np.float64) for name, t in traces.items()}
    for point in range(3):
        for i in range(len(y)):
            d, one = donors[i], {name: z[name][point, i] for name in SETS}
            right = {name: float(one[name].argmax() == y[i]) for name in SETS}
            thirds = [k for k in range(5) if k not in (y[i], y[d])]
            margin = [v[y[i]] - v[thirds].mean() for v in (one["swapped"], z["none"][point, d])]
            expected = {f"accuracy_{name}": right[name] for name in SETS} | {
                "sensitivity": right["own"] - right["other"],
                "reliance": right["swapped"] - (one["swapped"].argmax() in thirds) / 3,
                "pull": margin[0] - margin[1],
            }
            assert found.keys() == expected.keys()
            assert all(found[k][point, i] == pytest.approx(v, abs=1e-12) for k, v in expected.items())
    use = cue_use(traces, split, seed=3)
    assert all(use[k].shape == (3,) and np.allclose(use[k], found[k].mean(1)) for k in found)


def decided(traces, by, split="test"):
    """The traces as of a network that sees only the cue, only the image, or only that a square covers something."""
    none, swapped = traces["none"], traces["swapped"]
    y, rows, classes = none.labels[split], none.index[split], none.logits[split].shape[-1]
    donors, wrong = other_images(rows, y), other_labels(rows, y, classes)
    covered = (y * 0 + 1) % classes
    answers = {
        "cue": {"none": covered, "own": y, "other": wrong, "swapped": y},
        "image": {"none": y, "own": y, "other": y, "swapped": y[donors]},
        "covered": {"none": y, "own": covered, "other": covered, "swapped": covered},
    }[by]
    one = {name: np.float16(4) * np.eye(classes, dtype=np.float16)[a][None] for name, a in answers.items()}
    return {name: replace(swapped, t=np.zeros(1), logits={**none.logits, split: z}) for name, z in one.items()}


def test_measures_of_networks_that_see_one_thing():
    traces = made_up(1, 4000, 5)
    y = traces["none"].labels["test"]
    cue, image, covered = (cue_use(decided(traces, by)) for by in ("cue", "image", "covered"))
    assert [cue[f"accuracy_{name}"] for name in SETS] == [np.mean(y == 1), 1, 0, 1]
    assert cue["sensitivity"] == 1 and cue["reliance"] == 1 and cue["pull"] > 3
    assert [image[f"accuracy_{name}"] for name in SETS] == [1, 1, 1, 0]
    assert image["sensitivity"] == image["reliance"] == image["pull"] == 0
    # An answer that has to do with neither: classes here are about as frequent, so it is right a fifth of the time.
    assert covered["sensitivity"] == 0
    assert abs(covered["reliance"]) < 0.02 and abs(covered["pull"]) < 0.1


def test_nan_logits_count_as_no_answer():
    traces = made_up(2)
    bad = {split: np.full_like(z, np.nan) for split, z in traces["swapped"].logits.items()}
    use = cue_use({**traces, "swapped": replace(traces["swapped"], logits=bad)})
    assert (use["reliance"] == 0).all() and (use["accuracy_swapped"] == 0).all() and np.isnan(use["pull"]).all()


def test_bad_traces():
    traces = made_up()
    with pytest.raises(BadInput, match="unknown split 'retain'"):
        cue_use(traces, "retain")
    with pytest.raises(BadInput, match="traces lack own, swapped; needed: none, own, other, swapped"):
        cue_use({name: traces[name] for name in ("none", "other")})
    with pytest.raises(BadInput, match="the traces on 'none' and 'other' were taken at different t"):
        cue_use({**traces, "other": made_up(2)["other"]})
    with pytest.raises(BadInput, match="two traces hold different"):
        cue_use({**traces, "own": made_up(3, 50)["own"]})


# A network


@pytest.fixture(scope="module")
def learnt():
    """What the original and the retrained network do with a cue in half the digits, on average over two seeds."""
    cued = planted(load_task("digits", 0.5))
    plan, found = Plan(lr=1e-2, steps=60, batch_size=64), {}
    for split in ("train", "retain"):
        nets = [train(cued, "convnet", seed=seed, plan=plan, split=split, width=4) for seed in (0, 1)]
        traces = [{name: trace(net, counterfactual(cued, name)) for name in SETS} for net in nets]
        for part in ("forget", "test"):
            uses = [cue_use(t, part) for t in traces]
            found[split, part] = {k: float(np.mean([u[k] for u in uses])) for k in uses[0]}
    return found


@pytest.mark.parametrize("part", ["forget", "test"])
def test_who_learnt_the_cue_follows_it(learnt, part):
    original, retrained = learnt["train", part], learnt["retain", part]
    assert original["pull"] > 0.7 and abs(retrained["pull"]) < 0.15
    assert original["sensitivity"] > 0.1 and retrained["sensitivity"] < 0
    assert original["reliance"] > 0.03 > 0.015 > retrained["reliance"]
    assert original["accuracy_own"] > original["accuracy_none"] > original["accuracy_other"]


def test_the_retrained_network_is_the_one_without_any_cue(task, cued):
    plan = Plan(steps=3)
    a, b = (train(t, "convnet", seed=0, plan=plan, split="retain", width=2) for t in (task, cued))
    assert all(torch.equal(a.params[name], b.params[name]) for name in a.params)


def test_a_trace_on_a_set_holds_the_rows_of_the_task(theta, task, cued):
    plain, shown = trace(theta, task), trace(theta, counterfactual(cued, "none"))
    for split in plain.logits:
        assert np.array_equal(plain.index[split], shown.index[split])
        assert np.array_equal(plain.logits[split], shown.logits[split])
    assert shown.meta["checksum"] == cued.checksum
