"""Attempts to make the rows of 12 say something where nothing is to be told."""

from dataclasses import replace

import numpy as np
import pytest
from made_difficulty import METHODS, a_class, made

from mcutils.paper import difficulty as room

ROWS = {
    "C20": room.c20_row,
    "N3 coherence": room.n3_row,
    "N3 memorisation": lambda walks, found: room.n3_row(walks, found, "memorisation"),
}


def words(walks, found):
    return {name: row(walks, found) for name, row in ROWS.items()}


def dealt(rng, row):
    return dict(zip(row, rng.permutation(list(row.values())), strict=True))


def test_labels_that_say_nothing_support_nothing():
    """Outcomes and predictors dealt anew among the sets and methods of an original."""
    walks, found = made(0.95)
    rng = np.random.default_rng(0)
    outcomes, predictors = dict(found.outcomes), dict(found.predictors)
    for original in range(4):
        for table in (outcomes, predictors):
            own = {at: v for at, v in table.items() if at[0] == original}
            table.update(dealt(rng, own))
    for one in words(walks, replace(found, outcomes=outcomes, predictors=predictors)).values():
        assert one.verdict != "supported"


@pytest.mark.parametrize("seed", range(3))
def test_noise_supports_nothing(seed):
    for one in words(*made(0.0, seed=seed, coherent=0.0, memorised=0.0)).values():
        assert one.verdict != "supported"


def test_one_line_under_every_label_decides_nothing():
    walks, found = made(0.95)
    same = [replace(w, profile=walks[0].profile) for w in walks]
    for one in words(same, found).values():
        assert one.verdict == "undecided" and any("copies" in note for note in one.notes)


def test_originals_under_other_names_decide_nothing():
    walks, found = made(0.95, originals=range(2))
    twins = [*walks, *(replace(w, original=w.original + 2) for w in walks)]
    outcomes = {**found.outcomes, **{(o + 2, *rest): v for (o, *rest), v in found.outcomes.items()}}
    predictors = {**found.predictors, **{(o + 2, form): v for (o, form), v in found.predictors.items()}}
    for one in words(twins, replace(found, outcomes=outcomes, predictors=predictors)).values():
        assert one.verdict == "undecided" and any("under another name" in note for note in one.notes)


def test_ends_that_never_unlearned_have_no_wiggles_to_rank():
    found = room.c20_row(*made(0.95, forgot=0.0))
    assert found.verdict == "undecided" and found.n_cells == 0


def test_a_single_method_or_few_originals_decide_nothing():
    walks, found = made(0.95)
    for one in words([w for w in walks if w.original < 3], found).values():
        assert one.verdict == "undecided"
    lone = room.c20_row(*made(0.95, methods=METHODS[:1]))
    assert lone.n_cells <= 4


def test_a_unit_that_follows_the_outcome_supports_nothing():
    """Dips of one depth in nats, counted in what was forgotten, which grows with the distance to retraining."""
    walks, found = made(0.0, methods=METHODS[:4])
    rng, turned = np.random.default_rng(0), []
    for w in walks:
        js = found.outcomes[w.original, w.form, w.method]["js"]
        arrays, t = w.profile.arrays, w.profile.t
        loss = arrays["original/loss_forget"] + 4 * js - (0.05 + 0.002 * rng.normal()) * 4 * t * (1 - t)
        turned.append(replace(w, profile=replace(w.profile, arrays=arrays | {"curve/loss_forget": loss})))
    by_unit = room.c20(room.wiggling(turned), room.outcomes_of(turned, found))
    assert by_unit.verdict == "supported" and by_unit.effect.high < -0.3, "as declared first"
    one = room.c20_row(turned, found)
    assert one.verdict == "undecided" and "in nats it is" in one.notes[-1]


def test_splits_exchanged_decide_nothing():
    """Retrained models that know D_f, as if it were what they learned, and not D_r."""
    walks, found = made(0.95)
    names = {"level/accuracy_forget": "level/accuracy_retain", "level/accuracy_retain": "level/accuracy_forget"}
    turned = []
    for w in walks:
        arrays = w.profile.arrays
        changed = arrays | {name: arrays[other] for name, other in names.items()}
        turned.append(replace(w, profile=replace(w.profile, arrays=changed)))
    for one in words(turned, found).values():
        assert one.verdict == "undecided" and any("not what they are called" in note for note in one.notes)


def test_a_retrained_model_in_the_methods_place_recovers_nothing():
    walks, found = a_class(0.3)
    mine = {at: np.full(3, found.beside[at[0]][0]) for at in found.recalls}
    assert room.n5_row(walks, replace(found, recalls=mine)).verdict != "supported"
    apart = replace(found, beside={o: [0.2, 0.95] for o in found.beside})
    assert room.n5_row(walks, apart).verdict == "undecided", "retrained models that differ as much"
    same = [replace(w, profile=walks[0].profile) for w in walks]
    assert room.n5_row(same, found).verdict == "undecided"
