"""Scenarios and corruptions: who is forgotten, what changed and what did not, the same on every call."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from mcutils.data import corruptions
from mcutils.data.corruptions import BLUR, CORRUPTIONS, NOISE, SEVERITIES, corrupted, outside
from mcutils.data.cues import planted
from mcutils.data.scenarios import PATCH, READS, SCENARIOS, Scenario, forgetting, scenario_of, triggered, user_indices
from mcutils.errors import BadInput
from mcutils.unlearning.endpoints import fingerprint


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_keeps_the_task_and_is_the_same_again(tiny, name):
    x, y = tiny.x.clone(), tiny.y.clone()
    given = {"rows": tuple(tiny.index["train"][5:15].tolist())} if name == "listed" else {}
    made = Scenario(name, **given).of(tiny)
    assert torch.equal(tiny.x, x) and torch.equal(tiny.y, y)
    pool = set(tiny.index["train"].tolist())
    parts = {split: set(made.index[split].tolist()) for split in made.index}
    assert parts["train"] == pool and parts["forget"] | parts["retain"] == pool
    assert not parts["forget"] & parts["retain"] and parts["bn"] <= parts["retain"] >= parts["retain_eval"]
    assert parts["valid"] == set(tiny.index["valid"].tolist()) and parts["test"] == set(tiny.index["test"].tolist())
    assert torch.equal(made.index["train"][: len(parts["forget"])], made.index["forget"])
    again = Scenario(name, **given).of(tiny)
    assert all(torch.equal(again.index[s], rows) for s, rows in made.index.items()) and torch.equal(made.x, again.x)
    assert made.checksum == again.checksum != tiny.checksum and fingerprint(made) != fingerprint(tiny)
    assert made.forget == len(parts["forget"]) / len(pool) and made.listed
    unseen = sorted(set(range(len(y))) - pool)
    assert torch.equal(made.x[unseen], x[unseen]) and torch.equal(made.y[unseen], y[unseen])
    if name not in ("subclass", "class", "listed"):
        assert Scenario(name, seed=1).of(tiny).checksum != made.checksum


@pytest.mark.parametrize(
    "text",
    ["class", "class label=3", "subclass label=2 part=1", "mislabelled share=0.2 seed=4", "users users=20 forgotten=2"],
)
def test_a_line_names_a_scenario_and_is_written_again(text):
    found = scenario_of(f"  {text} ")
    assert found.text == text and scenario_of(found.text) == found
    assert scenario_of("class label=3") == Scenario("class", label=3)
    assert Scenario("listed", rows=(4, 9)).text == "listed 2 rows"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a line such as 'class label=3'"),
        (3, "a line such as"),
        ("klass", "unknown scenario 'klass': choose one of class, subclass"),
        ("listed", "give a Scenario with its rows"),
        ("class share=0.1", "unknown setting of class 'share': choose one of label, seed"),
        ("class label", "label of a scenario is a number, got ''"),
        ("class label=three", "is a number, got 'three'"),
        ("mislabelled share=2", "share"),
        ("users forgotten=0", "forgotten"),
    ],
)
def test_a_line_that_names_none_is_refused_in_a_sentence(text, said):
    with pytest.raises(BadInput, match=said) as error:
        scenario_of(text)
    assert str(error.value).count("\n") == 0


def test_a_class_and_its_parts(tiny):
    whole = Scenario("class", label=3).of(tiny)
    assert (whole.labels("forget") == 3).all() and not (whole.labels("retain") == 3).any()
    parts = [set(Scenario("subclass", label=3, part=k).of(tiny).index["forget"].tolist()) for k in range(2)]
    assert parts[0] | parts[1] == set(whole.index["forget"].tolist()) and not parts[0] & parts[1]
    assert abs(len(parts[0]) - len(parts[1])) <= 1
    rows = whole.index["forget"]
    x = tiny.x[rows].double().flatten(1)
    _, _, axes = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    side = ((x - x.mean(0)) @ axes[0]).numpy()
    above = {int(row) for row, one in zip(rows, side > np.median(side), strict=True) if one}
    assert above in parts or set(rows.tolist()) - above in parts, "whichever way the axis points"
    with pytest.raises(BadInput, match="label must be a whole number from 0 to 9"):
        Scenario("class", label=10).of(tiny)
    with pytest.raises(BadInput, match="two parts"):
        Scenario("subclass", part=2).of(tiny)


def test_wrong_labels_are_wrong_and_theirs_alone(tiny):
    made = Scenario("mislabelled", share=0.2, seed=4).of(tiny)
    changed = (made.y != tiny.y).nonzero().flatten().tolist()
    assert sorted(changed) == sorted(made.index["forget"].tolist()) and len(changed) == round(0.2 * 216)
    assert torch.equal(made.x, tiny.x) and made.y.min() >= 0 and made.y.max() <= 9
    more = Scenario("mislabelled", share=0.3, seed=4).of(tiny)
    assert torch.equal(more.index["forget"][: len(changed)], made.index["forget"]), "shares are nested"


def test_a_backdoor_is_a_patch_and_a_label(tiny):
    made = Scenario("backdoored", label=7, share=0.1).of(tiny)
    rows = made.index["forget"]
    assert (made.y[rows] == 7).all() and not (tiny.y[rows] == 7).any()
    differs = (made.x != tiny.x).any(1)
    assert not differs[:, :-2, :].any() and not differs[:, :, :-2].any() and max(2, PATCH * 8 // 28) == 2
    corner = made.x[rows][:, 0, -2:, -2:]
    board = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert torch.equal(corner, (board * (tiny.x.max() - tiny.x.min()) + tiny.x.min()).expand_as(corner))
    clean = sorted(set(tiny.index["train"].tolist()) - set(rows.tolist()))
    assert torch.equal(made.x[clean], tiny.x[clean]) and torch.equal(made.y[clean], tiny.y[clean])
    assert torch.equal(triggered(tiny, rows), made.x[rows])
    with pytest.raises(BadInput, match="of other classes"):
        Scenario("backdoored", share=0.99).of(tiny)


def test_users_are_forgotten_whole(tiny):
    made = Scenario("users", users=6, forgotten=2).of(tiny)
    assert len(made.index["forget"]) == 2 * 216 // 6
    owners = np.arange(len(tiny.y)) % 4
    given = user_indices(tiny, Scenario("users", forgotten=1), owners)
    gone = {int(owners[row]) for row in given.index["forget"]}
    assert len(gone) == 1 and not any(int(owners[row]) in gone for row in given.index["retain"])
    with pytest.raises(BadInput, match="some must stay"):
        Scenario("users", users=3, forgotten=3).of(tiny)
    with pytest.raises(BadInput, match="owners are"):
        user_indices(tiny, Scenario("users"), owners[:3])


def test_bad_scenarios_are_refused(tiny):
    assert set(READS) == set(SCENARIOS) and {n for one in READS.values() for n in one} < {
        f.name for f in fields(Scenario)
    }
    for bad, words in (
        (("everything",), "unknown scenario"),
        (("class", -1), "label"),
        (("class", 0, 1), "reads label, seed"),
        (("mislabelled", 0, 0, 0.0), "share"),
        (("users", 0, 0, 0.1, 1), "users"),
        (("users", 0, 0, 0.1, 50, 5, 0, (1,)), "reads users, forgotten, seed"),
    ):
        with pytest.raises(BadInput, match=words):
            Scenario(*bad)
    for rows in ([0, 0], tiny.index["test"][:2], [[1]], [0.5]):
        with pytest.raises(BadInput, match="rows to forget"):
            forgetting(tiny, rows, "nothing")
    with pytest.raises(BadInput, match="one or more"):
        Scenario("listed").of(tiny)
    with pytest.raises(BadInput, match="would be empty"):
        forgetting(tiny, tiny.index["train"], "all")
    with pytest.raises(BadInput, match="without a cue"):
        Scenario("class").of(planted(tiny))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_one_split_more_with_severity(tiny, name):
    x = tiny.x.clone()
    moved = []
    for severity in range(1, SEVERITIES + 1):
        made = corrupted(tiny, name, severity)
        assert torch.equal(made.x, corrupted(tiny, name, severity).x) and torch.equal(tiny.x, x)
        rest = torch.ones(len(x), dtype=torch.bool)
        rest[tiny.rows("test")] = False
        assert torch.equal(made.x[rest], x[rest]) and torch.equal(made.y, tiny.y)
        assert made.x.min() >= x.min() - 1e-5 and made.x.max() <= x.max() + 1e-5
        moved.append(float((made.x - x).square().mean()))
    assert moved == sorted(moved) and moved[0] > 0


def test_corruptions_against_scipy_and_by_hand(tiny, monkeypatch):
    x = torch.rand(3, 1, 9, 9, dtype=torch.float64)
    for k, sigma in enumerate(BLUR):
        reach = max(1, int(np.ceil(3 * sigma)))
        expected = [gaussian_filter(one[0].numpy(), sigma, mode="nearest", radius=reach) for one in x]
        assert np.allclose(CORRUPTIONS["blur"](x, k, 0)[:, 0], expected)
    monkeypatch.setattr(corruptions, "ANGLES", (90,) * 5)
    turned = CORRUPTIONS["rotation"](x, 0, 0)
    assert torch.allclose(turned[0], x[0].rot90(1, (-2, -1))) and torch.allclose(turned[1], x[1].rot90(-1, (-2, -1)))
    grey = torch.full((40, 1, 9, 9), 0.5, dtype=torch.float64)
    added = CORRUPTIONS["noise"](grey, 0, 7) - grey
    assert float(added.std()) == pytest.approx(NOISE[0], rel=0.05) and abs(float(added.mean())) < 0.005
    assert not torch.equal(added, CORRUPTIONS["noise"](grey, 0, 8) - grey)
    for bad in (("fog",), ("blur", 0), ("blur", 6), ("noise", 1.5)):
        with pytest.raises(BadInput):
            corrupted(tiny, *bad)


def test_another_data_set_is_shown_in_this_ones_pixels(tiny):
    colour = replace(tiny, x=tiny.x.repeat(1, 3, 2, 2), mean=(0.5,) * 3, std=(0.25,) * 3)
    made = outside(tiny, colour)
    assert torch.equal(made.x[: len(tiny.y)], tiny.x) and len(made.rows("test")) == 60
    shown = made.inputs("test")
    assert shown.shape == (60, 1, 8, 8)
    pixels = shown * tiny.std[0] + tiny.mean[0]
    original = (colour.inputs("test") * 0.25 + 0.5).mean(1)
    assert torch.allclose(pixels.mean((1, 2, 3)), original.mean((1, 2)), atol=0.02)
    assert torch.equal(outside(tiny, tiny).inputs("test"), outside(tiny, tiny).inputs("test"))
    assert torch.allclose(outside(tiny, tiny).inputs("test"), tiny.inputs("test"), atol=1e-5)
    with pytest.raises(BadInput, match="which are none"):
        outside(tiny, replace(tiny, x=tiny.x.flatten(1)))
