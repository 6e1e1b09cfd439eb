"""Tables and figures of 12 on made numbers: what a cell holds is what a hand would count."""

from dataclasses import replace

import numpy as np
import pytest
from made_difficulty import FORMS, METHODS, a_class, made
from scipy.stats import spearmanr
from test_ensembles_and_difficulty import merged

from mcutils.errors import BadInput
from mcutils.paper import difficulty as room, difficulty_figures as figures
from mcutils.paper.difficulty import Difficulty
from mcutils.paper.graded_sets import Targets

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def found():
    return made(0.97, methods=METHODS[:3])


@pytest.fixture(scope="module")
def everything(found):
    """Walks and numbers of all three parts together, as `gather` returns them."""
    (walks, one), (lines, probed), (between, distances) = found, a_class(methods=METHODS[:3]), merged((1.5, 0.8), 0.04)
    between = [with_validation(w) for w in between]
    parts = one.targets, one.predictors, one.outcomes, one.examples, probed.recalls, probed.beside, distances
    return [*walks, *lines, *between], Difficulty(*parts)


def with_validation(walk):
    """The walk with a validation loss, nearest to the forget loss in the middle."""
    loss = walk.profile.metric("loss_forget")
    arrays = walk.profile.arrays | {"metric/loss_valid": np.where(walk.profile.t == 0.5, loss, loss + 1)}
    return replace(walk, profile=replace(walk.profile, arrays=arrays))


def spoilt(walk):
    """The walk with ends that lost a tenth of what they should keep."""
    arrays = walk.profile.arrays
    told = {"curve/accuracy_retain": arrays["curve/accuracy_retain"] - 0.1}
    return replace(walk, profile=replace(walk.profile, arrays=arrays | told))


def drawn(figure):
    from mcutils.measures.drawing import encoded

    assert encoded(figure).startswith(PNG)
    return figure


def test_proxies_are_turned_so_that_high_is_hard():
    rng = np.random.default_rng(0)
    score = rng.normal(size=50)
    score[3] = np.nan
    learned = {"confidence": -np.nan_to_num(score), "el2n": rng.normal(size=50)}
    table = figures.proxies_table(
        made(methods=METHODS[:1])[1].__class__(Targets(np.arange(50), score, learned), *[{}] * 6)
    )
    told = table["rank correlation with memorisation"]
    assert told["confidence"] == 1.0 and (table["examples"] == 49).all()
    known = np.isfinite(score)
    assert told["el2n"] == pytest.approx(spearmanr(score[known], learned["el2n"][known]).statistic, abs=0.005)


def test_a_set_has_the_means_of_its_originals_and_methods(found):
    walks, one = found
    table = figures.sets_table(walks, one)
    assert list(table.index) == list(FORMS)
    own = [v for (_, form, _), v in one.outcomes.items() if form == FORMS[2]]
    assert table.loc[FORMS[2], "JS (bits)"] == pytest.approx(np.mean([v["js"] for v in own]), abs=5e-4)
    assert table.loc[FORMS[2], "read"] == "12 of 12" and table.loc[FORMS[2], "steps"].endswith("(12 of 12)")
    assert figures.lines_table(walks, one)["js"].tolist() == [v["js"] for v in one.outcomes.values()]


def test_every_way_to_put_c20_has_a_cell(found):
    table = figures.signs_table(*found)
    assert len(table) == len(room.SMOOTHNESS) * len(room.OUTCOMES) == 16
    first = room.c20_row(*found).effect
    assert tuple(table.iloc[0][["estimate", "low", "high"]]) == pytest.approx(tuple(first))
    assert "wiggle **more**" in figures.signs_text(table) and "16 have this sign" in figures.signs_text(table)
    drawn(figures.signs_figure(table))
    none = figures.signs_table([], found[1])
    assert "has no sign" in figures.signs_text(none)
    drawn(figures.signs_figure(none))


def test_the_sets_of_one_method_alone_are_correlated(found):
    table = figures.lines_table(*found)
    each = [
        np.mean([spearmanr(one["wiggles"], one["js"]).statistic for _, one in part.groupby("method")])
        for _, part in table.groupby("original")
    ]
    assert figures.within_methods(*found).estimate == pytest.approx(np.mean(each))
    assert np.isnan(figures.within_methods([], found[1]).estimate)


def test_lines_that_no_verdict_reads_count_where_all_do(found):
    """With lines of one method left out by the gate N3 reads others, and the mean over all lines stays."""
    walks, one = found
    every = figures.of_all_lines(walks, one, "memorisation").estimate
    assert every == pytest.approx(room.n3_row(walks, one, "memorisation").effect.estimate)
    bad = [spoilt(w) if w.method == METHODS[0] and w.original == 0 else w for w in walks]
    assert len(room.graded_walks(bad)) == len(room.graded_walks(walks)) - len(FORMS)
    assert figures.of_all_lines(bad, one, "memorisation").estimate == every
    row = {form: np.mean([v["js"] for (o, f, _), v in one.outcomes.items() if (o, f) == (0, form)]) for form in FORMS}
    told = [one.predictors[0, form]["memorisation"] for form in FORMS]
    mine, expected = [w for w in walks if w.original == 0], spearmanr(told, list(row.values())).statistic
    assert figures.of_all_lines(mine, one, "memorisation").estimate == pytest.approx(expected)


def test_examples_are_pooled_over_the_three_sets_and_cut_in_thirds(found):
    walks, one = found
    rows = np.arange(60)
    examples = {}
    for at in one.examples:
        part = rows[FORMS.index(at[1]) % 3 * 20 :][:20]
        examples[at] = part, 0.01 * part
    told = Difficulty(one.targets, one.predictors, one.outcomes, examples, {}, {}, {})
    table = figures.examples_table(walks, told)
    assert len(table) == 4 * 3 * 3 and (table["rho"] == 1).all()
    assert table["wiggles"].tolist()[:3] == pytest.approx([0.01 * np.mean(rows[k : k + 20]) for k in (0, 20, 40)])
    assert "1.00 [" in figures.examples_text(table)
    drawn(figures.examples_figure(table))


def test_recalls_and_merged_models_are_listed_with_what_may_be_read(everything):
    walks, one = everything
    table = figures.recalls_table(walks, one)
    assert len(table) == 4 * 3 * 3 and table["read"].all() and set(table["t"]) == {0.0, 0.5, 1.0}
    drawn(figures.recalls_figure(table))
    pairs = figures.merging_table(walks, one)
    assert len(pairs) == 8 and pairs["middle"].tolist() == pytest.approx([0.01 - 0.04] * 8)
    assert pairs["chosen"].tolist() == pairs["middle"].tolist()
    assert figures.merging_shown(pairs)["originals"].tolist() == [4, 4]
    drawn(figures.merging_figure(pairs))


def test_the_other_figures_and_the_answer_are_of_all(everything):
    walks, one = everything
    lines = figures.lines_table(walks, one)
    for figure in (
        figures.wiggles_figure(lines),
        figures.outcomes_figure(lines),
        figures.predictors_figure(walks, one),
    ):
        drawn(figure)
    words = figures.answer(walks, one, figures.signs_table(walks, one))
    assert words.startswith("**Expected.**") and "coherence" in words and "nan" not in words
    with pytest.raises(BadInput, match="there are no rows to draw"):
        figures.wiggles_figure(lines[:0])
