"""Variance components: against closed forms, dense quadratic forms, the likelihood, and planted ones."""

import numpy as np
import pytest

from mcutils.errors import BadInput
from mcutils.measures.variance import nested_anova, variance_components

NAMES = ("original", "draw", "pair", "fit")


def design(counts):
    """Labels of a design given as nested lists: of numbers of observations at the innermost level."""
    rows = []

    def visit(part, labels):
        if isinstance(part, int):
            rows.extend((*labels, k) for k in range(part))
        else:
            for k, inner in enumerate(part):
                visit(inner, (*labels, k))

    visit(counts, ())
    return dict(zip(NAMES[: len(rows[0])], zip(*rows, strict=True), strict=True))


def balanced(a, b, c):
    return design([[c] * b] * a)


STAGGERED = [[[2, 1], [1]]]  # of an original: two fits of a pair, another pair, another draw
OURS = 4 * STAGGERED + 4 * [[[2]]]  # of all originals: 02 and 08 together
UNEVEN = [[[2, 1], [1]], [[3]], [[1, 1, 2], [2, 1]], [[1]], [[2], [1, 4], [1]]]


def planted(levels, sigmas, rng, rows=1):
    """Observations (rows, N) of a design whose components are the squares of ``sigmas``."""
    labels = list(zip(*levels.values(), strict=True))
    values = np.zeros((rows, len(labels)))
    for k, sigma in enumerate(sigmas):
        known = {name: rng.normal(size=rows) for name in dict.fromkeys(label[: k + 1] for label in labels)}
        values += sigma * np.array([known[label[: k + 1]] for label in labels]).T
    return values


def dense(levels):
    """Incidence matrices of the levels, the mean's first, and the projections onto their columns."""
    labels, found = list(zip(*levels.values(), strict=True)), [np.ones((len(next(iter(levels.values()))), 1))]
    for k in range(len(levels)):
        names = list(dict.fromkeys(label[: k + 1] for label in labels))
        found.append(np.array([[float(label[: k + 1] == name) for name in names] for label in labels]))
    return found, [z @ np.linalg.inv(z.T @ z) @ z.T for z in found]


def test_balanced_it_is_the_textbook():
    """Searle, Casella and McCulloch (1992), chapter 4: mean squares in closed form, and their expectations."""
    a, b, c = 5, 3, 4
    y = np.random.default_rng(0).normal(size=(a, b, c)).cumsum(axis=0)
    found = nested_anova(y.ravel(), balanced(a, b, c))
    means = y.mean(axis=(1, 2)), y.mean(axis=2)
    squares = (
        b * c * ((means[0] - y.mean()) ** 2).sum(),
        c * ((means[1] - means[0][:, None]) ** 2).sum(),
        ((y - means[1][..., None]) ** 2).sum(),
    )
    freedom = a - 1, a * (b - 1), a * b * (c - 1)
    np.testing.assert_allclose(found.squares, squares, rtol=1e-12)
    assert tuple(found.freedom) == freedom
    ms = np.array(squares) / freedom
    expected = [(ms[0] - ms[1]) / (b * c), (ms[1] - ms[2]) / c, ms[2]]
    np.testing.assert_allclose(list(found.components.values()), expected, rtol=1e-10)
    per = found.expected / found.freedom[:, None]
    np.testing.assert_allclose(per, [[b * c, c, 1], [0, c, 1], [0, 0, 1]], atol=1e-12)


def test_staggered_it_has_the_known_expectations():
    """Smith and Beverly, Journal of Quality Technology 13 (1981): three and four stages with one of two split on."""
    four = nested_anova(np.zeros(24), design(6 * STAGGERED))
    per = four.expected / four.freedom[:, None]
    known = [[4, 5 / 2, 3 / 2, 1], [0, 3 / 2, 7 / 6, 1], [0, 0, 4 / 3, 1], [0, 0, 0, 1]]
    np.testing.assert_allclose(per, known, rtol=1e-12)
    assert tuple(four.freedom) == (5, 6, 6, 6)
    three = nested_anova(np.zeros(15), design(5 * [[2, 1]]))
    per = three.expected / three.freedom[:, None]
    np.testing.assert_allclose(per, [[3, 5 / 3, 1], [0, 4 / 3, 1], [0, 0, 1]], rtol=1e-12)


def test_staggered_the_components_are_differences_of_means():
    rng = np.random.default_rng(3)
    y = rng.normal(size=(7, 3))  # two pairs of the first draw, and the second draw
    found = nested_anova(y.ravel(), design(7 * [[2, 1]])).components
    seeds = ((y[:, 0] - y[:, 1]) ** 2 / 2).mean()
    draws = ((y[:, :2].mean(axis=1) - y[:, 2]) ** 2).mean() / 2 - 3 / 4 * seeds
    originals = 3 * y.mean(axis=1).var(ddof=1)
    expected = (originals - seeds - 5 / 3 * draws) / 3, draws, seeds
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-10)


@pytest.mark.parametrize("counts", [OURS, UNEVEN, 5 * STAGGERED])
def test_any_nested_design_is_its_dense_quadratic_forms(counts):
    """SS_i = y' (P_i - P_(i-1)) y, and E[SS_i] has tr((P_i - P_(i-1)) Z_j Z_j') of component j."""
    levels = design(counts)
    y = planted(levels, (1.0, 0.7, 0.4, 0.2), np.random.default_rng(1))[0] + 3.0
    found = nested_anova(y, levels)
    zs, ps = dense(levels)
    for i in range(len(levels)):
        form = ps[i + 1] - ps[i]
        assert found.squares[i] == pytest.approx(y @ form @ y, rel=1e-9)
        assert found.freedom[i] == round(np.trace(form))
        traces = [np.trace(form @ z @ z.T) for z in zs[1:]]
        np.testing.assert_allclose(found.expected[i], traces, atol=1e-9)


def test_on_balanced_data_the_restricted_likelihood_is_highest_there():
    """REML is the analysis of variance where data are balanced and no estimate is negative (Searle et al., 4.8)."""
    levels = balanced(6, 3, 2)
    y = planted(levels, (1.5, 1.0, 0.5), np.random.default_rng(2))[0]
    zs, _ = dense(levels)
    ones = np.ones((len(y), 1))

    def likelihood(sigmas):
        v = sum(s * z @ z.T for s, z in zip(sigmas, zs[1:], strict=True))
        inverse = np.linalg.inv(v)
        information = ones.T @ inverse @ ones
        p = inverse - inverse @ ones @ np.linalg.inv(information) @ ones.T @ inverse
        return -0.5 * (np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1] + y @ p @ y)

    best = np.array(list(nested_anova(y, levels).components.values()))
    assert (best > 0).all()
    for step in 1e-4 * best[:, None] * np.eye(3):
        slope = (likelihood(best + step) - likelihood(best - step)) / (2 * step.max())
        assert abs(slope) * best.max() < 1e-5
    assert all(likelihood(best) > likelihood(best * np.array(other)) for other in ((1.3, 1, 1), (1, 0.7, 1), (1, 1, 2)))


@pytest.mark.parametrize("counts", [OURS, UNEVEN])
def test_planted_components_are_found_on_average(counts):
    levels, sigmas = design(counts), np.array([0.3, 0.2, 0.1, 0.05])
    rows = planted(levels, sigmas, np.random.default_rng(7), 4000)
    found = np.array([list(nested_anova(y, levels).components.values()) for y in rows])
    error = found.std(axis=0) / np.sqrt(len(rows))
    assert (np.abs(found.mean(axis=0) - sigmas**2) < 4 * error).all()
    assert (found < 0).any()  # an estimate without bias may be negative


def test_intervals_over_originals_hold_what_was_planted():
    levels, sigmas = design(OURS), np.array([0.3, 0.2, 0.1, 0.05])
    rng, held, worlds = np.random.default_rng(11), np.zeros(4), 200
    for y in planted(levels, sigmas, rng, worlds):
        found = variance_components([(y, levels)])
        bounds = [one.interval for one in found.values()]
        held += [one.low <= s**2 <= one.high for one, s in zip(bounds, sigmas, strict=True)]
    assert (held / worlds > 0.75).all(), held / worlds  # few originals: below the nominal 0.95
    assert (held[[0]] / worlds > 0.82).all(), held / worlds


def test_a_mean_over_designs_is_the_mean_of_each():
    levels, rng = design(OURS), np.random.default_rng(5)
    one, other = planted(levels, (0.3, 0.1, 0.1, 0.1), rng, 2)
    both = variance_components([(one, levels), (other, levels)])
    parts = [nested_anova(y, levels) for y in (one, other)]
    for k, (name, found) in enumerate(both.items()):
        assert found.estimate == pytest.approx(np.mean([p.components[name] for p in parts]), rel=1e-12)
        assert found.freedom == 2 * parts[0].freedom[k]
    n, units = 8, np.array(levels["original"])
    without = [nested_anova(one[units != u], {k: np.array(v)[units != u] for k, v in levels.items()}) for u in range(n)]
    whole = parts[0].components["fit"]
    pseudo = [n * whole - (n - 1) * w.components["fit"] for w in without]
    interval = variance_components([(one, levels)])["fit"].interval
    half = 2.364624 * np.std(pseudo, ddof=1) / np.sqrt(n)  # t of 7 degrees of freedom
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=1e-5)


def test_a_negative_estimate_stays_and_its_variance_is_zero():
    y = np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]])  # means without spread, much within
    found = variance_components([(y.ravel(), design([2, 2, 2]))])
    assert found["original"].estimate == pytest.approx(-1.0) and found["original"].variance == 0.0
    assert found["draw"].estimate == found["draw"].variance == pytest.approx(2.0)


def test_neither_order_nor_offset_nor_names_matter_and_units_count_squared():
    levels, rng = design(UNEVEN), np.random.default_rng(9)
    y = planted(levels, (0.3, 0.2, 0.1, 0.1), rng)[0]
    plain = list(nested_anova(y, levels).components.values())
    order = rng.permutation(len(y))
    shuffled = {name: [f"{name}-{labels[k]}" for k in order] for name, labels in levels.items()}
    np.testing.assert_allclose(list(nested_anova(y[order], shuffled).components.values()), plain, rtol=1e-9)
    np.testing.assert_allclose(list(nested_anova(1e6 + y, levels).components.values()), plain, rtol=1e-6)
    np.testing.assert_allclose(list(nested_anova(-3 * y, levels).components.values()), 9 * np.array(plain), rtol=1e-9)


def test_labels_mean_something_within_their_group_only():
    """Seeds 42 and 87 of one original are not those of the next: naming them apart changes nothing."""
    levels = design(OURS)
    y = np.random.default_rng(4).normal(size=len(levels["original"]))
    apart = {**levels, "pair": [f"{o}/{d}/{p}" for o, d, p in zip(*list(levels.values())[:3], strict=True)]}
    assert nested_anova(y, apart).components == nested_anova(y, levels).components


def test_what_was_never_varied_is_not_told_apart():
    one_draw = design(4 * [[[1, 1]]])
    found = nested_anova(np.arange(8.0), one_draw)
    assert found.freedom.tolist() == [3, 0, 4, 0]
    assert all(np.isnan(one) for one in found.components.values())  # no refit: no seed apart from the fit
    two = {name: labels for name, labels in one_draw.items() if name != "fit"}
    found = nested_anova(np.arange(8.0), two).components
    assert found["pair"] == pytest.approx(0.5) and np.isnan(found["draw"]) and np.isnan(found["original"])
    alone = variance_components([(np.arange(4.0), design([4]))])
    assert np.isnan(alone["original"].estimate) and alone["draw"].interval.high == np.inf


@pytest.mark.parametrize(
    ("values", "levels", "says"),
    [
        ([1.0, np.nan], {"a": [0, 1]}, "one finite number"),
        ([[1.0]], {"a": [0]}, "shape \\(1, 1\\)"),
        ([1.0, 2.0], {"a": [0]}, "a label for each of 2 observations, got a 1"),
        ([1.0, 2.0], {}, "got no level"),
        ([1.0, 2.0], {"a": [0, 0]}, "all labels in common"),
    ],
)
def test_what_is_no_design_is_refused(values, levels, says):
    with pytest.raises(BadInput, match=says):
        nested_anova(values, levels)


def test_designs_of_other_levels_are_refused():
    some = ([1.0, 2.0], {"a": [0, 1]}), ([1.0, 2.0], {"b": [0, 1]})
    for wrong in ((), some):
        with pytest.raises(BadInput, match="all with the same levels"):
            variance_components(wrong)
