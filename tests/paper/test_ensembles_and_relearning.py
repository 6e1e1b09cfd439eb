"""11 as a whole: what it needs and gathers, its rows of the ledger on made worlds, and its words."""

from dataclasses import replace

import numpy as np
import pytest
from made_eleven import Planted, eleven

from mcutils.engine.kinds import parents
from mcutils.engine.planning import read_timings
from mcutils.engine.specs import (
    EnsembleSpec,
    ProfileSpec,
    RegainedSpec,
    RelearnSpec,
    SharpnessSpec,
    TraceSpec,
    kind_of,
)
from mcutils.engine.study import study as open_study
from mcutils.measures.profiles import Profile
from mcutils.paper import ensembles_and_relearning as room, ledger, trial_ledger, trials
from mcutils.paper.registry import APART as PRICED_AS, PRICED_APART
from mcutils.paper.walks import APART, TWINNED

ROWS = [row.name for row in trial_ledger.ROWS if row.on == ("ensembles",)]


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    return open_study("laptop", store=str(tmp_path_factory.mktemp("none")), fresh=True)


@pytest.fixture(autouse=True)
def _no_redraws(monkeypatch):
    """No bootstrap draws: fragility is tested elsewhere."""
    monkeypatch.setattr(trials, "DRAWS", 0)


# What is computed


def test_it_keeps_small_results_only_and_is_priced_apart(eight):
    specs = room.needs(eight)
    kinds = {type(one) for one in specs}
    assert kinds >= {EnsembleSpec, RegainedSpec, SharpnessSpec, ProfileSpec} and len(specs) == len(set(specs))
    assert not kinds & {RelearnSpec, TraceSpec}, "neither logits of attacked models nor traces ship"
    assert PRICED_APART["ensembles"] is room.needs and ledger.APART["ensembles"].gather is room.gather
    assert PRICED_AS["11_ensembles_and_relearning"] == "ensembles"


def test_every_kind_that_it_needs_has_a_run_time(eight):
    kinds = {kind_of(parent) for spec in room.needs(eight) for parent in (spec, *parents(spec))} - {"Path"}
    assert kinds <= {row["kind"] for row in read_timings()}


def test_its_lines_are_those_of_02(eight):
    from mcutils.paper.seeds import seeds

    theirs = {route.profile(eight) for route in seeds(eight)}
    assert {route.profile(eight) for route in room.routes(eight)} <= theirs


class Answers:
    """A study whose results are made by a function of their specs."""

    def __init__(self, study, answer):
        self.study, self.answer = study, answer

    def __getattr__(self, name):
        return getattr(self.study, name)

    def run(self, specs):
        return [self.answer(spec) for spec in specs]


def test_what_is_gathered_stands_under_the_names_of_its_own_specs(eight, monkeypatch):
    monkeypatch.setattr(room, "levelled", lambda study, walks: walks)
    walks, found = room.gather(Answers(eight, lambda spec: spec))
    fit = len(eight.preset.fit)
    assert len([w for w in walks if not w.control]) == 8 * fit
    assert {w.control for w in walks if w.control} == {APART, TWINNED}
    line = found.together.lines[5, "npo"].models[0].model
    assert line.start.method == "npo" and line.start.origin.seed == 5
    assert found.relearned.lines[5, "npo"].models[0].model == line
    way = next(w for w in found.relearned.forgetting if (w.original, w.method, w.start) == (2, "scrub", 87))
    assert way.profile.trace.model.end.seed == 87 and way.condition == "forgetting"
    place = found.relearned.names.index(("scrub", 87))
    assert found.relearned.models[2].models[place].model == way.profile.trace.model.end


# The rows


def judged(walks, found, **options):
    return trial_ledger.judge_room({"ensembles": walks}, ROWS, ensembles=found, **{"readings": ("chord",), **options})


def words(*made, **options):
    return {one.row.name: one.verdict for one in judged(*made, **options)}


def test_every_row_is_decided_where_its_effect_is_planted_and_where_nothing_is():
    planted = Planted(gain=0.006, number=0.01, placed=0.01, area=-0.05, sharper=-0.3, rho=-0.95)
    assert set(words(*eleven(planted)).values()) == {"supported"}
    nothing = words(*eleven())
    assert list(nothing) == ROWS and set(nothing.values()) == {"contradicted"}


def test_lines_that_no_reading_joins_are_no_cells():
    walks, found = eleven(Planted(gain=0.006))

    def bent(w):
        t, arrays = w.profile.t, w.profile.arrays
        loss = arrays["curve/loss_forget"] - 0.3 * w.profile.gap * 4 * t * (1 - t)
        other = Profile({**arrays, "curve/loss_forget": loss})
        return w if w.control or w.original % 2 else replace(w, profile=other)

    dipping = [bent(w) for w in walks]
    for reading in ("chord", "worse_end"):
        assert room.c17(dipping, found, reading).n_originals == 4
    assert room.joined(dipping, eps=0.5) == room.joined(walks)


def test_halves_read_their_own_originals_alone():
    walks, found = eleven(Planted(gain=0.006))
    half = [w for w in walks if w.original < 4]
    spoiled = replace(found.together, twins={at: one for at, one in found.together.twins.items() if at[0] < 4})
    one, other = room.c17(half, found), room.c17(half, replace(found, together=spoiled))
    assert (one.effect, one.null, one.n_cells) == (other.effect, other.null, other.n_cells) and one.n_originals == 4
    assert room.n2(half, found).n_originals == 4 and room.c18(half, found).n_originals == 4


def test_n2_needs_its_positive_control():
    found = words(*eleven(Planted(rho=-0.95, barrier=0.05)))
    assert {found[name] for name in ROWS if name.startswith("N2")} == {"undecided"}
    (note,) = [n for n in room.n2(*eleven(Planted(rho=-0.95, barrier=0.05))).notes if "built to be" in n]
    assert note.startswith("0 of 5 defences")


def test_the_whole_ledger_takes_it():
    walks, found = eleven(Planted(gain=0.006), originals=4)
    rows = trial_ledger.judge_declared({"ensembles": walks}, ensembles=found, splits=0)
    assert [one.row.name for one in rows if one.found] == ROWS
    table = trial_ledger.trial_rows(rows)
    assert {row["threshold"] for row in table if row["id"] == "C22"} == {"+-0.002"}


# Words


def test_the_answer_counts_and_names_every_row():
    walks, found = eleven(Planted(gain=0.006))
    text = room.answer(walks, found, judged(walks, found))
    assert text.count("**") == 6 and all(f"{name}: " in text for name in ROWS)
    assert "all four rows of N2 say the same" in text
    assert "48 lines" in room.lines_text(walks) and room.strongest(walks, found) in room.joined(walks)
    none = [w for w in walks if w.control]
    assert "no line" in room.answer(none, found, [])


def test_where_rows_read_nothing_figures_show_every_line():
    walks, found = eleven(originals=1)
    apart = [replace(w, form="tuned") for w in walks]
    assert room.joined(apart) == [] and len(room.shown_places(apart)) == 6
    assert np.isfinite(room.together.gained(found.together.lines[room.strongest(apart, found)]))
