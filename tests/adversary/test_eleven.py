"""Attacks on the rows of 11: what supports nothing, or nothing more, decides nothing that it should not.

Invariant by design: gains are not told from those of copies by their size, only by their null (C17, C18); a mean of the
weights that is as flat as the flatter end of two is flatter than the ends are on average (C19 says so, and the notebook
counts on how many lines it is flatter than both); N2 takes defences and methods together, as its source does.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from attacks import changed
from made_eleven import Planted, eleven, models
from made_worlds import METHODS, Shape, controlled, world

from mcutils.paper import ensembles_and_relearning as room, relearning, trials
from mcutils.paper.walks import APART, TWINNED

ROWS = {
    **{name: getattr(room, name.lower()) for name in ("C17", "C18", "C19")},
    **{f"C22 {by}": partial(room.c22, by=by) for by in ("number", "placement")},
    **{f"N2 {by}": partial(room.n2, by=by) for by in relearning.PREDICTORS},
}
STRONG = Planted(gain=0.02, number=0.02, placed=0.02, area=-0.08, sharper=-0.5, rho=-0.97)


@pytest.fixture(autouse=True)
def _no_redraws(monkeypatch):
    """No bootstrap draws: fragility is tested elsewhere."""
    monkeypatch.setattr(trials, "DRAWS", 0)


@pytest.fixture(scope="module")
def strong():
    return eleven(STRONG)


def lines(shape, originals=8):
    return [w for w in world(controlled(shape), ("random",), originals=originals) if w.kind == "linear"]


# Attacks on what verdicts rest on


def never_unlearned(walks, found):
    """Ends that are the original itself, and models of N2 too."""
    again = Planted(rho=-0.97, forgot=0.02)
    there = replace(found.relearned, **models(again, 8, 0))
    return lines(lambda labels: Shape(ends=(0.02, 0.02))), replace(found, relearned=there)


def doubled_under_new_names(walks, found):
    """Four originals, each twice under two names, with all that hangs on them."""

    def twice(group):
        doubled = {}
        for at, value in group.items():
            first, rest = (at[0], at[1:]) if isinstance(at, tuple) else (at, None)
            if isinstance(first, int) and first < 4:
                for original in (first, first + 4):
                    doubled[(original, *rest) if rest is not None else original] = value
        return doubled or dict(group)

    def part(one):
        groups = {name: twice(value) for name, value in one.__dict__.items() if isinstance(value, dict)}
        return replace(one, **groups)

    def walks_of(ones):
        return [replace(w, original=o) for w in ones if w.original < 4 for o in (w.original, w.original + 4)]

    attacked = replace(part(found.relearned), forgetting=walks_of(found.relearned.forgetting))
    return walks_of(walks), room.Eleven(part(found.together), attacked)


def without_controls(walks, found):
    return [w for w in walks if not w.control], found


def twin_with_a_barrier(walks, found):
    def bent(w):
        t = w.profile.t
        return changed(w, curve__loss_retain=w.profile.arrays["curve/loss_retain"] + w.profile.gap * 4 * t * (1 - t))

    return [bent(w) if w.control == TWINNED else w for w in walks], found


def originals_joined(walks, found):
    """No barrier between different originals: the measure sees nothing."""
    flat = [w for w in walks if w.control == TWINNED]
    return [w for w in walks if w.control != APART] + [replace(w, control=APART) for w in flat], found


def three_originals(walks, found):
    return [w for w in walks if w.original < 3], found


REFUSED = (
    never_unlearned,
    doubled_under_new_names,
    without_controls,
    twin_with_a_barrier,
    originals_joined,
    three_originals,
)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("attack", REFUSED)
def test_an_attack_on_what_verdicts_rest_on_decides_nothing(attack, row, strong):
    assert ROWS[row](*strong).verdict == "supported"
    found = ROWS[row](*attack(*strong))
    assert found.verdict == "undecided" and found.notes


# Attacks on what a statistic means


def carried(method=None, original=None):
    """All effects in one method, or on one original, alone."""

    def attack():
        walks, plain = eleven(Planted())
        _, found = eleven(STRONG)

        def mixed(one, other):
            def pick(at):
                return isinstance(at, tuple) and (at[1] == method if method else at[0] == original)

            groups = {n: v for n, v in one.__dict__.items() if isinstance(v, dict) and n != "policies"}
            made = {n: {at: other.__dict__[n][at] if pick(at) else v for at, v in g.items()} for n, g in groups.items()}
            return replace(one, **made)

        return walks, room.Eleven(mixed(plain.together, found.together), mixed(plain.relearned, found.relearned))

    return attack


@pytest.mark.parametrize("row", [row for row in ROWS if row.startswith("C")])
@pytest.mark.parametrize("attack", [carried(method=METHODS[1]), carried(original=3)])
def test_an_effect_of_one_method_or_one_original_is_none(attack, row):
    assert ROWS[row](*attack()).verdict != "supported"


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("seed", range(3))
def test_noise_supports_nothing(row, seed):
    assert ROWS[row](*eleven(Planted(spread=20.0), seed=seed)).verdict != "supported"


def test_a_gain_that_twins_have_too_is_none():
    assert room.c17(*eleven(Planted(gain=0.006, twins=0.006))).verdict == "undecided"


def test_what_averaging_the_orders_of_batches_does_is_no_resistance():
    found = room.c18(*eleven(Planted(area=-0.05, copies=-0.05)))
    assert found.verdict == "undecided" and "its null reaches" in " ".join(found.notes)


def test_an_ensemble_that_starts_where_no_point_does_is_not_compared(strong):
    walks, found = strong
    higher = {
        at: {**one, "together/accuracy": one["together/accuracy"] + 0.02} for at, one in found.relearned.lines.items()
    }
    one = room.c18(walks, replace(found, relearned=replace(found.relearned, lines=higher)))
    assert one.verdict == "undecided" and one.n_cells == 0


def test_identical_models_gain_nothing_and_are_not_flatter():
    walks, found = eleven(Planted())
    scores = {"accuracy/test": 0.88, "loss/test": 0.4}
    names = [f"{p}/{n}" for p in ("uniform", "inner") for n in (2, 5, 31)]
    same = {f"{name}/{m}": v for name in names for m, v in scores.items()} | {"members/uniform/31": np.arange(31)}
    rise = {"both/retain": np.full(20, 0.01)}
    together = replace(
        found.together,
        lines=dict.fromkeys(found.together.lines, same),
        sharp=dict.fromkeys(found.together.sharp, rise),
    )
    alike = replace(found, together=together)
    words = [ROWS[row](walks, alike).verdict for row in ("C17", "C19", "C22 number", "C22 placement")]
    assert words == ["contradicted"] * 4


@pytest.mark.parametrize("by", relearning.PREDICTORS)
def test_predictors_of_other_models_predict_nothing(by, strong):
    """The models' names exchanged within each original."""
    walks, found = strong
    rng = np.random.default_rng(0)
    shuffled = {}
    for original, one in found.relearned.models.items():
        order = rng.permutation(len(found.relearned.names))
        shuffled[original] = {n: v[order] if np.ndim(v) == 2 else v for n, v in one.items()}
    attacked = replace(found, relearned=replace(found.relearned, models=shuffled))
    assert room.n2(walks, attacked, by).verdict == "contradicted"


@pytest.mark.parametrize("by", relearning.PREDICTORS)
def test_one_predictor_for_all_models_ranks_nothing(by, strong):
    walks, found = strong
    flat = [changed(w, geometry__distance=np.float64(1.0)) for w in found.relearned.forgetting]
    bow = {at: {"values": np.full(11, 0.02)} for at in found.relearned.policies}
    still = [changed(w, curve__loss_retain=np.full(11, 0.02)) for w in flat]
    attacked = replace(found, relearned=replace(found.relearned, forgetting=still, policies=bow))
    one = room.n2(walks, attacked, by)
    assert one.verdict == "undecided" and one.n_originals == 0


def test_distance_alone_says_nothing_where_the_instrument_is_blind(strong):
    walks, found = strong
    weak = replace(found, relearned=replace(found.relearned, **models(replace(STRONG, barrier=0.05), 8, 0)))
    assert {room.n2(walks, weak, by).verdict for by in relearning.PREDICTORS} == {"undecided"}
