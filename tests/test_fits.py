"""The record of a fit: blocks of its steps, t averaged out, what it says of convergence, kept beside the curve."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import mcutils as mc
from mcutils import reading
from mcutils.curves import RECIPES, draw_t, place_of
from mcutils.descent import generator
from mcutils.engine.runs import compute
from mcutils.engine.specs import key
from mcutils.engine.store import Store
from mcutils.engine.upkeep import export, results, verify
from mcutils.errors import BadInput
from mcutils.fits import FEWEST, KEPT, STRATA, Fit, convergence, recorded
from mcutils.settings import MethodSettings, Plan
from mcutils.weights import flatten


def falling(steps, rest, rate):
    """A record of a loss that tends to ``rest``."""
    return recorded(rest + np.exp(-rate * np.arange(steps)), np.linspace(0, 1, steps) % 1)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 400), st.integers(0, 10**6))
def test_a_record_is_blocks_of_all_steps(steps, seed):
    rng = np.random.default_rng(seed)
    losses, places = rng.normal(size=steps), rng.random(steps)
    found = recorded(losses, places)
    assert found.steps == steps and len(found.step) == min(KEPT, steps)
    begins = [0, *found.step[:-1]]
    sizes = np.diff([0, *found.step])
    assert sizes.max() - sizes.min() <= 1
    for k, (begin, end) in enumerate(zip(begins, found.step, strict=True)):
        block = losses[begin:end]
        assert found.loss[k] == pytest.approx(sum(block) / len(block))
        strata = {}
        for value, place in zip(block, places[begin:end], strict=True):
            strata.setdefault(int(place * STRATA), []).append(value)
        assert found.averaged[k] == pytest.approx(np.mean([np.mean(one) for one in strata.values()]))


def test_the_luck_of_t_is_taken_out():
    """A loss that depends on t alone: its mean over t is 1/3, whatever block drew which t."""
    rng = np.random.default_rng(0)
    t = rng.random(5000)
    found = recorded(t**2, t)
    assert np.abs(found.averaged - 1 / 3).max() < 0.4 * np.abs(found.loss - 1 / 3).max()
    assert found.averaged.mean() == pytest.approx(1 / 3, abs=0.005)


@pytest.mark.parametrize("sampling", ["uniform", "normal"])
def test_places_of_drawn_t_are_uniform(sampling):
    rng = generator(0, "t")
    places = np.sort([place_of(sampling, draw_t(sampling, rng)) for _ in range(4000)])
    assert np.abs(places - (np.arange(4000) + 0.5) / 4000).max() < 0.03
    assert place_of(sampling, 0.5) == 0.5


def test_the_change_is_that_over_the_last_fifth():
    averaged = np.arange(50, dtype=float)[::-1] + 1  # blocks of 10 steps, from 50 down to 1
    found = Fit(10 * np.arange(1, 51), averaged, averaged)
    early, late = np.mean([15, 14, 13, 12, 11]), np.mean([5, 4, 3, 2, 1])
    assert found.change()[0] == pytest.approx((late - early) / early)
    assert found.change()[1] == pytest.approx(np.sqrt(2 * 2.5 / 5) / early)


@pytest.mark.parametrize(
    ("fit", "converged", "words"),
    [
        (falling(1000, 1.0, 0.1), True, r"The fit had converged: over the last fifth of 1,000 steps .* .0\.0%"),
        (falling(1000, 0.0, 0.005), False, "had not converged: over the last fifth of 1,000 steps the objective"),
        (recorded(np.linspace(1, 2, 500), np.linspace(0, 1, 500)), False, r"had not converged: .* \+1\d.\d%"),
        (recorded(np.tile([0.0, 3.0, -1.0, 5.0, 2.5, 0.1, 9.0], 30)[:200], np.zeros(200)), None, "Noise hides whether"),
        (recorded(-np.ones(200), np.zeros(200)), True, r"\+0.0% \(standard error 0.0%\), to -1\."),
        (recorded(np.zeros(200), np.zeros(200)), True, r"\+0.0%"),
        (falling(FEWEST - 1, 1.0, 0.1), None, "A fit of 19 steps is too short to tell"),
        (recorded([], []), None, "A fit of 0 steps is too short to tell"),
        (None, None, "Nothing was kept of this curve's fit"),
    ],
)
def test_convergence_in_a_sentence(fit, converged, words):

    assert fit is None or fit.converged is converged
    said = convergence(fit)
    assert re.search(words, said) and said.endswith(".") and "\n" not in said and "nan" not in said


def test_noise_alone_is_never_a_fit_that_had_not_converged():
    """Of 200 fits at rest, whatever their noise, at most one in twenty is said to be still moving."""
    rng = np.random.default_rng(1)
    found = [recorded(1 + rng.normal(0, sd, 500), rng.random(500)).converged for sd in (0.2, 1.0) for _ in range(100)]
    assert found.count(False) <= 10


def test_a_record_is_read_as_it_was_written_and_refuses_nonsense():
    found = falling(333, 0.1, 0.02)
    again = Fit.read(found.text())
    assert all(np.array_equal(getattr(again, name), getattr(found, name)) for name in ("step", "loss", "averaged"))
    assert len(found.text()) < 5000
    table = json.loads(found.text())
    for bad in (
        "",
        "[]",
        json.dumps({**table, "loss": table["loss"][:-1]}),
        json.dumps({**table, "loss": [float("nan"), *table["loss"][1:]]}),
        json.dumps({**table, "step": table["step"][::-1]}),
        json.dumps({**table, "step": "many"}),
        json.dumps({"step": [1]}),
    ):
        with pytest.raises(BadInput):
            Fit.read(bad)


# with a curve


def test_a_fitted_curve_holds_the_losses_of_its_steps(tiny, theta):
    plan = Plan(lr=1e-2, steps=120, batch_size=32)
    other = mc.train(tiny, seed=1, plan=Plan(lr=1e-2, steps=30, batch_size=32), width=4)
    losses, rng = [], generator(3, "t")
    kept = {"settings": MethodSettings(plan), "plan": plan, "progress": lambda step, loss: losses.append(loss)}
    curve = mc.fit_curve(theta, other, tiny, seed=3, **kept)
    expected = recorded(losses, [draw_t("uniform", rng) for _ in losses])
    assert len(losses) == 120 == curve.fit.steps and np.array_equal(curve.fit.averaged, expected.averaged)
    assert np.array_equal(curve.fit.loss, expected.loss) and curve.convergence == convergence(curve.fit)
    assert mc.line(theta, other).convergence == "A straight line is not fitted."
    assert replace(curve, fit=None).convergence == "Nothing was kept of this curve's fit."
    normal = mc.fit_curve(theta, other, tiny, seed=3, recipe="normal_t", **{**kept, "progress": None})
    assert normal.fit.steps == 120 and RECIPES["normal_t"].sampling == "normal"
    with pytest.raises(BadInput, match="fit must be a Fit or None"):
        replace(curve, fit=1)


def test_the_store_keeps_the_record_and_reads_curves_that_have_none(tmp_path):
    smoke = mc.study("smoke", store=str(tmp_path / "store"), width=2)
    spec = smoke.path(smoke.retrained(42), smoke.retrained(87), "bezier", plan=Plan(lr=1e-3, steps=60, batch_size=32))
    (curve,) = smoke.run([spec], engine="serial")
    assert curve.fit.steps == 60 and len(curve.fit.step) == 50
    older = Store(tmp_path / "older")
    for end in (spec.start, spec.end):
        older.put(end, smoke.store.get(end), 1.0)
    older.put(spec, replace(curve, fit=None), 1.0)
    found = Store(older.folder).get(spec)
    assert found.fit is None and flatten(found.points[1]).equal(flatten(curve.points[1]))
    with pytest.raises(BadInput, match="is not kept, since the record of its fit is of 333 steps, not 60"):
        older.put(spec, replace(curve, fit=falling(333, 0.1, 0.02)), 1.0)
    again = Store(smoke.store.folder).get(spec)
    assert np.array_equal(again.fit.loss, curve.fit.loss) and flatten(again.points[1]).equal(flatten(curve.points[1]))
    # The record alone, without the curve's weights.
    alone = Store(tmp_path / "alone")
    with pytest.raises(BadInput, match=f"nothing was kept of the fit of {key(spec)}: compute the curve again"):
        compute(smoke.fit_record(spec), older)
    (kept,) = smoke.run([smoke.fit_record(spec)], engine="serial")
    export([key(smoke.fit_record(spec))], [smoke.store.folder], alone.folder)
    (path,) = results(alone.folder)
    assert verify(alone.folder) == {} and reading.size(path) < 2500
    found = alone.get(smoke.fit_record(spec))
    assert np.array_equal(found.step, curve.fit.step) and found.converged is curve.fit.converged is kept.converged
    np.testing.assert_allclose(found.averaged, curve.fit.averaged, rtol=1e-7)
    np.testing.assert_allclose(found.loss, curve.fit.loss, rtol=1e-7)
    with pytest.raises(BadInput, match="is not kept, since it is of 333 steps, not 60"):
        alone.put(smoke.fit_record(spec), falling(333, 0.1, 0.02), 1.0)
    with pytest.raises(BadInput, match="model must be of kind CurveSpec"):
        smoke.fit_record(spec.start)
