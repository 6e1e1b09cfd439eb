"""Relearning: what the attacker has, one step by hand, an input left alone, and curves with known areas."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from synthetic import trace as made

from mcutils.data.tasks import load_task
from mcutils.errors import BadInput
from mcutils.measures.metrics import accuracy
from mcutils.measures.outcomes import area, steps_of, steps_to, together_attacked
from mcutils.objectives import Batch, Step
from mcutils.settings import Plan
from mcutils.traces import trace
from mcutils.training import train
from mcutils.unlearning.relearning import (
    SEEN,
    SHORT,
    Attack,
    attacker_rows,
    held_back,
    lookalikes,
    relearn,
    relearning_loss,
)
from mcutils.weights import net_of

TRAINING = Plan(lr=1e-2, steps=3, batch_size=64, weight_decay=0.1, schedule="one_cycle")


@pytest.fixture(scope="module")
def wide():
    """A task that forgets half of a small pool, enough to hold 50 back."""
    return load_task("digits", 0.5, train_size=240, test_size=20)


@pytest.fixture(scope="module")
def start(wide):
    return train(wide, "convnet", seed=0, plan=TRAINING, width=2)


def test_attackers_have_nested_parts_and_are_judged_on_the_rest(wide):
    rows = wide.rows("forget")
    ten, fifty = (attacker_rows(wide, Attack("forgotten", n)) for n in (10, 50))
    assert torch.equal(ten, rows[:10]) and torch.equal(fifty[:10], ten) and len(fifty) == SEEN
    judged = held_back(wide)
    assert not set(judged.rows("forget").tolist()) & set(fifty.tolist())
    assert len(judged.rows("forget")) == len(rows) - SEEN and torch.equal(judged.rows("retain"), wide.rows("retain"))
    assert len(attacker_rows(wide, Attack())) == 0
    with pytest.raises(BadInput, match="too few are left"):
        held_back(wide, len(rows) - 1)


def test_lookalikes_are_the_nearest_unseen_images_of_the_classes(wide):
    found = lookalikes(wide, 8)
    x, forget = wide.x.flatten(1).double(), wide.rows("forget")
    apart = {}
    for row in wide.rows("valid").tolist():
        same = forget[wide.y[forget] == wide.y[row]]
        apart[row] = float((x[same] - x[row]).norm(dim=1).min()) if len(same) else np.inf
    assert found.tolist() == sorted(apart, key=lambda row: (round(apart[row], 9), row))[:8]
    assert torch.equal(attacker_rows(wide, Attack("lookalikes", 8)), found)
    with pytest.raises(BadInput, match="validation images are of a class"):
        lookalikes(wide, 10_000)


def test_the_loss_is_the_mean_over_all_examples_of_a_step(wide, start):
    net = net_of(start)
    parts = [Batch(wide.x[rows], wide.y[rows], rows) for rows in (wide.rows("retain")[:6], wide.rows("forget")[:2])]
    terms = relearning_loss(net, Step(*parts))
    total = sum(term.weight * term.losses.mean() for term in terms)
    both = torch.nn.functional.cross_entropy(net(torch.cat([b.x for b in parts])), torch.cat([b.y for b in parts]))
    assert torch.allclose(total, both)
    (alone,) = relearning_loss(net, Step(parts[0], None))
    assert alone.weight == 1 and len(alone.losses) == 6


def test_plans_scale_the_peak_rate_and_count_epochs():
    short = Attack("retain", rate=0.1).plan(TRAINING, 640)
    assert (short.lr, short.steps, short.weight_decay, short.schedule) == (pytest.approx(1e-3), 25, 0.0, "constant")
    assert Attack().looked_at(short) == SHORT
    long = Attack("retain", epochs=10)
    plan = long.plan(TRAINING, 640)
    assert plan.steps == 100 and long.looked_at(plan) == tuple(range(0, 101, 10))
    assert Attack(steps=7).looked_at(Attack(steps=7).plan(TRAINING, 640)) == (0, 5, 7)


@pytest.mark.parametrize(
    "attack", [Attack(steps=2), Attack("forgotten", 10, steps=2), Attack("lookalikes", 5, steps=2, mixing="shuffled")]
)
def test_an_attack_trains_and_leaves_its_input_as_it_was(wide, start, attack):
    before = {name: value.clone() for name, value in {**start.params, **start.buffers}.items()}
    told = []
    found = relearn(start, wide, attack, seed=3, training=TRAINING, progress=lambda n, loss: told.append(loss))
    assert all(torch.equal(value, before[name]) for name, value in {**start.params, **start.buffers}.items())
    assert found.steps == (0, 2) and len(told) == 2 and found.moves[0] > 0
    assert all(torch.equal(value, start.params[name]) for name, value in found.points[0].params.items())
    again = relearn(start, wide, attack, seed=3, training=TRAINING)
    assert all(torch.equal(value, again.points[1].params[name]) for name, value in found.points[1].params.items())
    seen = trace(found, held_back(wide))
    assert steps_of(seen).tolist() == [0, 2]
    right = seen.logits["forget"].argmax(-1) == wide.y[wide.rows("forget")[SEEN:]].numpy()
    assert np.allclose(accuracy(seen, "forget"), right.mean(1))


def test_the_first_step_of_descent_by_hand(wide, start):
    """Plain descent with all forgotten examples in every step: theta - lr grad."""
    plan = replace(TRAINING, optimizer="sgd", batch_size=len(wide.rows("retain")))
    found = relearn(start, wide, Attack("forgotten", 10, rate=0.5, steps=1), seed=0, training=plan)
    net = net_of(start, train=True)
    rows = torch.cat([wide.rows("retain"), wide.rows("forget")[:10]])
    leaves = [value.requires_grad_(True) for value in net.params.values()]
    torch.nn.functional.cross_entropy(net(wide.x[rows]), wide.y[rows]).backward()
    for name, leaf in zip(net.params, leaves, strict=True):
        assert torch.allclose(found.points[-1].params[name], leaf.detach() - 0.5e-2 * leaf.grad, atol=1e-5)


def test_bad_attacks_are_refused(wide, start):
    for asked, words in (
        (("all",), "attacker's data"),
        (("retain", 3), "examples beside D_r"),
        (("forgotten", 0), "examples beside D_r"),
        (("forgotten", 51), "at most 50"),
        (("retain", 0, -1.0), "rate"),
        (("retain", 0, 1.0, 0), "steps"),
        (("retain", 0, 1.0, 5, 0, "stirred"), "mixing"),
    ):
        with pytest.raises(BadInput, match=words):
            Attack(*asked)
    with pytest.raises(BadInput, match="must increase from 0"):
        relearn(start, wide, Attack(), seed=0, training=TRAINING, steps=[0, 3])
    with pytest.raises(BadInput, match="too few are left"):
        relearn(start, held_back(wide, 60), Attack("forgotten", 10), seed=0, training=TRAINING)
    with pytest.raises(BadInput, match="step by step"):
        steps_of(made(5))


HEIGHTS = st.lists(st.floats(-1, 1), min_size=6, max_size=6)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(HEIGHTS, HEIGHTS, st.floats(-1, 1))
def test_areas_are_linear_and_change_sign(a, b, shift):
    assert area(SHORT, a, b) == pytest.approx(-area(SHORT, b, a), abs=1e-12)
    assert area(SHORT, np.add(a, shift), b) == pytest.approx(area(SHORT, a, b) + shift, abs=1e-9)
    fine = np.linspace(0, 25, 2001)
    assert area(fine, np.interp(fine, SHORT, a), np.interp(fine, SHORT, b)) == pytest.approx(area(SHORT, a, b))
    reached = steps_to(SHORT, a, shift)
    if np.isfinite(reached):
        assert np.interp(reached, SHORT, a) >= shift - 1e-9
        before = np.linspace(0, reached, 50)[:-1] if reached else []
        assert (np.interp(before, SHORT, a) < shift + 1e-9).all()
    else:
        assert max(a) < shift


def test_curves_by_hand():
    assert area([0, 10], [1, 0], 0) == 0.5 and np.isnan(area([0, 1], [np.nan, 1], 0))
    assert steps_to([0, 10, 20], [0.2, 0.4, 0.8], 0.6) == pytest.approx(15)
    assert steps_to([0, 10], [-2, -1], -1.5) == 5 and steps_to([0, 10], [0.9, 0], 0.8) == 0
    assert steps_to([0, 10], [0.1, 0.2], 0.8) == np.inf and steps_to([0, 10], [np.nan, 1.0], 0.8) == 10
    for bad in (([0], [1], 0), ([0, 0], [1, 2], 0), ([0, 1], [1, 2, 3], 0)):
        with pytest.raises(BadInput, match="rising steps"):
            area(*bad)


def test_attacked_models_predict_together_by_the_mean_of_their_probabilities():
    sure, other = np.log([[[0.9, 0.1], [0.2, 0.8]]]), np.log([[[0.2, 0.8], [0.4, 0.6]]])
    one = {"steps": [0], "logits/forget": sure + 7, "labels/forget": [0, 0]}
    found = together_attacked([one, {**one, "logits/forget": other}])
    assert found["accuracy"] == pytest.approx([0.5])  # 0.55 and 0.3 of the true class
    assert found["loss"] == pytest.approx([-np.log([0.55, 0.3]).mean()])
    assert together_attacked([one])["loss"] == pytest.approx([-np.log([0.9, 0.2]).mean()])
    lost = together_attacked([one, {**one, "logits/forget": np.full((1, 2, 2), np.nan)}])
    assert lost["accuracy"] == [0] and np.isnan(lost["loss"]).all()
    for bad in ([], [one, {**one, "steps": [5]}], [one, {**one, "labels/forget": [0, 1]}]):
        with pytest.raises(BadInput, match="attacked ensemble"):
            together_attacked(bad)
