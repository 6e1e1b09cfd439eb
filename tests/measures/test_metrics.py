import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr, softmax
from sklearn.metrics import log_loss, roc_auc_score

from mcutils.errors import BadInput
from mcutils.measures import metrics
from mcutils.traces import SPLITS, Trace

LAW = settings(deadline=None, derandomize=True)  # a slow machine and a lucky draw change nothing
SIZES = {"retain": 40, "forget": 30, "valid": 20, "test": 50}
LOGITS = arrays(np.float64, (2, 3, 4), elements=st.floats(-30, 30))


def make_trace(points=3, classes=5, seed=0, scale=3.0):
    generator = np.random.default_rng(seed)
    labels = np.random.default_rng(99)
    t = np.linspace(0, 1, points) if points > 1 else np.zeros(1)
    logits = {s: generator.normal(size=(points, n, classes), scale=scale).astype(np.float16) for s, n in SIZES.items()}
    return Trace(
        t,
        logits,
        {s: labels.integers(0, classes, n) for s, n in SIZES.items()},
        {s: 100 * k + np.arange(n) for k, (s, n) in enumerate(SIZES.items())},
        {},
    )


@pytest.fixture(scope="module")
def trace():
    return make_trace()


@pytest.fixture(scope="module")
def references():
    return {name: make_trace(1, seed=k + 1) for k, name in enumerate(metrics.REFERENCES)}


def p_of(trace, split="forget"):
    return softmax(trace.logits[split].astype(np.float64), axis=-1)


@pytest.mark.parametrize("split", SPLITS)
def test_loss_and_accuracy_match_scikit_learn(trace, split):
    values = metrics.measure(trace, [f"loss_{split}", f"accuracy_{split}"])
    for k, p in enumerate(p_of(trace, split)):
        assert values[f"loss_{split}"][k] == pytest.approx(log_loss(trace.labels[split], p, labels=range(5)), rel=1e-12)
        assert values[f"accuracy_{split}"][k] == (p.argmax(1) == trace.labels[split]).mean()
    per_example = metrics.per_example_loss(trace, split)
    expected = -np.take_along_axis(metrics.log_probabilities(trace, split), trace.labels[split][None, :, None], 2)
    np.testing.assert_allclose(per_example, expected[..., 0], rtol=1e-12)


def test_every_metric_gives_one_finite_number_per_point(trace, references):
    values = metrics.measure(trace, references=references)
    assert list(values) == list(metrics.METRICS)
    for name, value in values.items():
        assert value.shape == (3,) and value.dtype == np.float64 and np.isfinite(value).all(), name
        assert metrics.METRICS[name].direction in ("up", "down", "retrained")
        assert metrics.METRICS[name].formula and metrics.METRICS[name].source and metrics.METRICS[name].unit


def test_names_default_to_those_whose_references_are_given(trace, references):
    assert set(metrics.measure(trace)) == {n for n, m in metrics.METRICS.items() if not m.references}
    assert "zrf" in metrics.measure(trace, references={"random": references["random"]})


def test_a_point_of_a_curve_is_measured_as_the_single_model_is(trace, references):
    single = Trace(np.zeros(1), {s: v[[1]] for s, v in trace.logits.items()}, trace.labels, trace.index, {})
    curve, alone = (metrics.measure(x, references=references) for x in (trace, single))
    for name in curve:
        assert curve[name][1] == pytest.approx(alone[name][0], rel=1e-12, abs=1e-15), name


def test_divergences_match_scipy(trace, references):
    values = metrics.measure(trace, references=references)
    q = p_of(references["retrained"])[0]
    for k, p in enumerate(p_of(trace)):
        js = jensenshannon(p, q, axis=1, base=2) ** 2
        assert values["js_retrained_forget"][k] == pytest.approx(js.mean(), rel=1e-10)
        assert values["kl_retrained_forget"][k] == pytest.approx(rel_entr(q, p).sum(1).mean(), rel=1e-10)
        distance = np.sqrt(((p - q) ** 2).sum(1)).mean()
        assert values["activation_distance_forget"][k] == pytest.approx(distance, rel=1e-10)
        assert values["agreement_forget"][k] == (p.argmax(1) == q.argmax(1)).mean()
        zrf = 1 - (jensenshannon(p, p_of(references["random"])[0], axis=1, base=2) ** 2).mean()
        assert values["zrf"][k] == pytest.approx(zrf, rel=1e-10)


def test_zrf_elementwise_matches_the_published_code(trace, references):
    torch = pytest.importorskip("torch")
    q = torch.from_numpy(p_of(references["random"])[0])
    for k, p in enumerate(torch.from_numpy(p_of(trace))):
        m = (p + q) / 2
        # As published: input and target of kl_div exchanged, mean over all elements.
        first, second = (torch.nn.functional.kl_div(x.log(), m, reduction="none").mean() for x in (p, q))
        value = metrics.measure(trace, "zrf_elementwise", references=references)["zrf_elementwise"][k]
        assert value == pytest.approx(1 - float(first + second) / 2, rel=1e-10)


def test_zrf_noise_matches_the_benchmark(trace):
    generator = np.random.default_rng(7)
    draws = [softmax(generator.random((30, 5)), axis=1) for _ in range(20)]
    value = metrics.zrf_noise(trace, draws=20, seed=7)
    for k, p in enumerate(p_of(trace)):
        expected = np.mean([1 - (jensenshannon(p, q, axis=0) ** 2).mean() for q in draws])
        assert value[k] == pytest.approx(expected, rel=1e-10)
    np.testing.assert_array_equal(metrics.zrf_noise(trace, draws=3), metrics.zrf_noise(trace, draws=3))


def test_knowledge_gap_is_the_expected_auc(trace):
    value = metrics.measure(trace, "knowledge_gap")["knowledge_gap"]
    retain, forget = metrics.correct(trace, "retain"), metrics.correct(trace, "forget")
    label = [1] * 40 + [0] * 30
    for k in range(3):
        assert value[k] == pytest.approx(roc_auc_score(label, np.r_[retain[k], forget[k]].astype(int)))


def test_scores_and_tow(trace, references):
    s, r = (metrics.measure(one, metrics.SCORES) for one in (trace, references["retrained"]))
    differences = [abs(s[k] - r[k]) for k in ("UA", "RA", "TA")]
    np.testing.assert_allclose(metrics.tow(s, r), (1 - differences[0]) * (1 - differences[1]) * (1 - differences[2]))
    assert metrics.tow(r, r) == 1
    np.testing.assert_allclose(s["UA"], 1 - metrics.accuracy(trace, "forget"))
    scores, beside = {"UA": 0.5, "RA": 1, "TA": 1, "MIA": 0.1}, {"UA": 0.3, "RA": 1, "TA": 1, "MIA": 0}
    assert metrics.tow(scores, beside, ("UA", "MIA")) == pytest.approx(0.8 * 0.9)


def test_overall_is_the_harmonic_mean(trace, references):
    value = metrics.measure(trace, "overall", references=references)["overall"]
    a = 1 - abs(metrics.accuracy(trace, "test") - metrics.accuracy(references["original"], "test"))
    b = 1 - abs(metrics.accuracy(trace, "forget") - 0.2)
    np.testing.assert_allclose(value, 2 / (1 / a + 1 / b))


@LAW
@given(LOGITS, LOGITS)
def test_js_is_symmetric_in_unit_range_and_zero_for_equals(a, b):
    p, q = metrics.log_softmax(a), metrics.log_softmax(b)
    js = metrics.js_divergence(p, q)
    np.testing.assert_array_equal(js, metrics.js_divergence(q, p))
    assert (js >= 0).all() and (js <= 1).all()
    np.testing.assert_allclose(metrics.js_divergence(p, p), 0, atol=1e-15)


def test_js_of_disjoint_certainties_is_one_bit():
    p = metrics.log_softmax(np.array([[60000.0, -60000.0]]))
    q = metrics.log_softmax(np.array([[-60000.0, 60000.0]]))
    assert metrics.js_divergence(p, q)[0] == pytest.approx(1)
    assert np.isfinite(metrics.kl_divergence(p, q)[0])


@LAW
@given(LOGITS)
def test_log_softmax_is_normalised_and_shift_invariant(a):
    p = metrics.log_softmax(a)
    np.testing.assert_allclose(np.exp(p).sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(metrics.log_softmax(a + 11.5), p, atol=1e-11)


def test_logits_that_are_not_finite_are_wrong_and_nan_without_a_warning(trace):
    logits = {s: v.copy() for s, v in trace.logits.items()}
    logits["forget"][0, 0] = np.nan
    logits["forget"][1, 0, 2] = np.inf
    broken = Trace(trace.t, logits, trace.labels, trace.index, {})
    loss = metrics.per_example_loss(broken, "forget")
    assert np.isnan(loss[0, 0]) and np.isnan(loss[1, 0]) and np.isfinite(loss[2]).all()
    assert not metrics.correct(broken, "forget")[0, 0]
    assert metrics.predictions(broken, "forget")[1, 0] == 2
    assert np.isnan(metrics.measure(broken)["zrf_noise"][:2]).all()


def test_bad_input_is_one_clear_sentence(trace, references):
    with pytest.raises(BadInput, match="unknown metric 'acuracy': choose one of loss_retain,"):
        metrics.measure(trace, "acuracy")
    with pytest.raises(
        BadInput, match=r"metric 'zrf' needs references\['random'\] \(an untrained network\); given: none"
    ):
        metrics.measure(trace, "zrf")
    with pytest.raises(BadInput, match="must be one model"):
        metrics.measure(trace, "zrf", references={"random": trace})
    other = references["random"]
    moved = Trace(other.t, other.logits, other.labels, {**other.index, "forget": other.index["forget"] + 1}, {})
    with pytest.raises(BadInput, match="other forget examples"):
        metrics.measure(trace, "zrf", references={"random": moved})
    with pytest.raises(BadInput, match="no split 'ood'; it holds retain, forget, valid, test"):
        metrics.accuracy(trace, "ood")
    with pytest.raises(BadInput, match="not percentages"):
        metrics.tow({"UA": 12.0, "RA": 99.0, "TA": 88.0}, {"UA": 0.1, "RA": 1.0, "TA": 0.9})
    with pytest.raises(BadInput, match="scores lacks TA; needed: UA, RA, TA"):
        metrics.tow({"UA": 0.1, "RA": 1.0}, {"UA": 0.1, "RA": 1.0, "TA": 0.9})
