"""What measures refuse: each bad input in one sentence, none accepted and none ending in another error."""

from dataclasses import replace

import numpy as np
import pytest
import synthetic

from mcutils.errors import BadInput
from mcutils.measures import connectivity as c, metrics, planes, readings, similarity
from mcutils.measures.along import (
    barrier,
    excess_variation,
    forget_deficit,
    mcu,
    mcu_literal,
    roughness,
    sign_changes,
    surplus,
)

CURVE, MODEL, OTHER = synthetic.trace(5), synthetic.trace(seed=1, margin=5.0), synthetic.trace(seed=2, right=0.5)
V, GRID = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.5, 1.0])
NOT_A_TRACE = (None, "a trace", 3, {}, np.zeros(3), [CURVE])


def changed(part, split="retain", **values):
    """The curve with one array of a split replaced."""
    return replace(CURVE, **{part: {**getattr(CURVE, part), split: values["to"]}})


ODD_TRACES = {
    "logits without classes": changed("logits", to=np.zeros((5, 40), np.float16)),
    "logits of another length": changed("logits", to=np.zeros((4, 40, 4), np.float16)),
    "no example": changed("logits", to=np.zeros((5, 0, 4), np.float16)),
    "logits of words": changed("logits", to=np.full((5, 40, 4), "a")),
    "whole logits": changed("logits", to=np.zeros((5, 40, 4), int)),
    "too few labels": changed("labels", to=np.zeros(39, int)),
    "labels that are shares": changed("labels", to=np.full(40, 0.5)),
    "a negative label": changed("labels", to=np.full(40, -1)),
    "an ignored label": changed("labels", to=np.full(40, -100)),
    "a label beyond the classes": changed("labels", to=np.full(40, 4)),
}
CASES = {}


def case(name, call):
    assert name not in CASES
    CASES[name] = call


for bad in NOT_A_TRACE:
    case(f"connectivity of {bad!r:.20}", lambda bad=bad: c.connectivity(bad))
    case(f"measure of {bad!r:.20}", lambda bad=bad: metrics.measure(bad))
    case(f"retrained={bad!r:.20}", lambda bad=bad: c.forget_gap(bad, MODEL))
    case(f"collapsed of {bad!r:.20}", lambda bad=bad: c.collapsed(bad))
    case(f"loss of {bad!r:.20}", lambda bad=bad: metrics.per_example_loss(bad, "retain"))
    case(f"agreement with {bad!r:.20}", lambda bad=bad: similarity.agreement(MODEL, bad))
for name, odd in ODD_TRACES.items():
    case(f"connectivity, {name}", lambda odd=odd: c.connectivity(odd))
    case(f"measure, {name}", lambda odd=odd: metrics.measure(odd, "loss_retain"))
for bad in (-1, True, 1.0, 0.5, "3", None, 10**9, np.nan):
    case(f"n_boot={bad!r}", lambda bad=bad: c.connectivity(CURVE, n_boot=bad))
for bad in (True, 1.0, "1", 0.5, -1, 2**63, None):
    case(f"seed={bad!r}", lambda bad=bad: c.connectivity(CURVE, seed=bad))
for bad in (np.nan, np.inf, 0, -1, True, "1", [0.4, 0.5], 1j, MODEL):
    case(f"gap={bad!r:.20}", lambda bad=bad: c.connectivity(CURVE, gap=bad))
for bad in (np.nan, -0.1, True, "0.1", None, [0.1, -1], [0.1, "a"], {}):
    case(f"eps={bad!r} of MCU", lambda bad=bad: mcu(0.1, 0.1, bad, 0.1))
    case(f"eps_forget={bad!r} of MCU", lambda bad=bad: mcu(0.1, 0.1, 0.1, bad))
for bad in (True, "0.1", None, {}, [[0.1], [0.1, 0.2]]):
    case(f"barrier {bad!r} of MCU", lambda bad=bad: mcu(bad, 0.1, 0.1, 0.1))
    case(f"deficit {bad!r} of MCU", lambda bad=bad: mcu(0.1, bad, 0.1, 0.1))
for bad in (True, "abc", None, 1.0, [], [1.0, 2.0], [1j, 0, 1j], {}, [[1], [1, 2], [3]]):
    for function in (barrier, forget_deficit, surplus, roughness):
        case(f"{function.__name__} of {bad!r}", lambda bad=bad, function=function: function(bad, GRID))
for bad in (None, "abc", [0.0], [0, 0.5], [0, 0.7, 0.5, 1], [0, np.nan, 1], [0, True, "1"], 3, [0.1, 0.5, 1]):
    case(f"t={bad!r}", lambda bad=bad: barrier(V, bad))
for bad in ([], "abc", None, 1.0):
    case(f"variation of {bad!r}", lambda bad=bad: excess_variation(bad))
    case(f"turns of {bad!r}", lambda bad=bad: sign_changes(bad))
for bad in ("0.1", -1, [], None):
    case(f"tol={bad!r}", lambda bad=bad: mcu_literal(V, V, GRID, bad))
for bad in ("0.1", -1, None):
    case(f"noise={bad!r}", lambda bad=bad: sign_changes(V, bad))
for bad in ("accuracy", 3, ["zrf", "nope"], [3], True, ["loss_test", None]):
    case(f"metric {bad!r}", lambda bad=bad: metrics.measure(CURVE, bad))
for bad in ([MODEL], "retrained", 3, None, {"retrained": 3}, {"retrained": CURVE}, {"original": MODEL}, {}):
    case(f"references={bad!r:.30}", lambda bad=bad: metrics.measure(CURVE, "js_retrained_test", references=bad))
case("one point", lambda: c.connectivity(MODEL))
case("two traces of a gap that is not positive", lambda: c.connectivity(CURVE, retrained=MODEL, original=OTHER))
case("a curve as retrained", lambda: c.connectivity(CURVE, retrained=CURVE))
for k, bad in enumerate(("retrain", [], [MODEL, CURVE], [MODEL, 0], 3, {"a": MODEL}, [replace(MODEL, index={})])):
    case(f"retrained {k} of a curve", lambda bad=bad: c.connectivity(CURVE, retrained=bad))
for bad in ("accuracy", None, 3, ["chord"], ""):
    case(f"reading={bad!r}", lambda bad=bad: readings.barrier_by(bad, V, GRID, 1.0))
    case(f"reading={bad!r} of a deficit", lambda bad=bad: readings.deficit_by(bad, V, GRID, 1.0))
    case(f"reading={bad!r} of a curve", lambda bad=bad: c.connectivity(CURVE, n_boot=0).barrier(bad))
for bad in (None, "1", True, [1.0], V, [[1.0]]):
    case(f"level={bad!r} of a reading", lambda bad=bad: readings.barrier_by("floor", V, GRID, bad))
    case(f"level={bad!r} of a deficit", lambda bad=bad: readings.deficit_by("retrained", V, GRID, bad))
case("a floor without levels", lambda: c.connectivity(CURVE, n_boot=0).deficit("floor"))
case("eps without a gap", lambda: c.connectivity(CURVE, n_boot=0).mcu_eps())
case("a word as original", lambda: c.connectivity(CURVE, original="original"))
case("no forget split", lambda: c.connectivity(replace(CURVE, logits={"retain": CURVE.logits["retain"]})))
case("an unknown split", lambda: metrics.per_example_loss(CURVE, "train"))
case("a split that is a number", lambda: metrics.per_example_loss(CURVE, 3))
case("an unknown measure", lambda: c.connectivity(CURVE, n_boot=0)["barier_retain"])
for bad in (0, 1.5, "95", None, True):
    case(f"level={bad!r}", lambda bad=bad: c.connectivity(CURVE, n_boot=5).interval("barrier_retain", bad))
for bad in (-1, "a", True, np.nan):
    case(f"margin={bad!r}", lambda bad=bad: c.collapsed(CURVE, bad))
    case(f"mcu({bad!r}) of a curve", lambda bad=bad: c.connectivity(CURVE, n_boot=0).mcu(bad))
for bad in (0, -1, True, 1.0, "9"):
    case(f"draws={bad!r} of ZRF", lambda bad=bad: metrics.zrf_noise(CURVE, draws=bad))
for bad in ("ab", None, [["a"]], np.zeros(3), np.full((4, 2), np.nan), np.full((4, 2), np.inf)):
    case(f"cka of {bad!r:.20}", lambda bad=bad: similarity.cka(bad, np.ones((4, 2))))
for bad in (None, "abc", 3, [1, 2, 3], [MODEL, MODEL]):
    case(f"plane through {bad!r:.20}", lambda bad=bad: planes.basis(bad))
for bad in (1, True, 2.0, "9", None, 10**6):
    case(f"resolution={bad!r}", lambda bad=bad: planes.grid(PLANE, bad))
for bad in (-1, np.nan, np.inf, "a", True):
    case(f"margin={bad!r} of a plane", lambda bad=bad: planes.grid(PLANE, 5, bad))
PLANE = planes.Basis((), np.array([(0.0, 0.0), (0.5, 1.0), (1.0, 0.0)]))


def test_there_are_hundreds():
    assert len(CASES) > 250


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_one_sentence(name):
    with pytest.raises(BadInput) as error:
        CASES[name]()
    message = str(error.value)
    assert message.endswith(".") and "\n" not in message and len(message) < 2000


def test_logits_that_are_not_finite_are_measured_as_a_collapse_not_refused():
    broken = synthetic.trace(5)
    broken.logits["retain"][2] = np.nan
    assert np.isnan(metrics.measure(broken, "loss_retain")["loss_retain"][2])
    found = c.connectivity(broken, n_boot=3)
    assert np.isnan(found["barrier_retain"]) and not found.mcu(1e9) and found["literal"] == 0


def test_numbers_of_every_real_type_are_taken():
    for one in (1, 1.0, np.float32(1), np.int64(1)):
        assert mcu(one / 20, 0, one / 10, one) and c.connectivity(CURVE, gap=one, n_boot=0).gap == 1
    assert mcu([0.1, np.nan], 0, 0.2, np.inf).tolist() == [True, False]
