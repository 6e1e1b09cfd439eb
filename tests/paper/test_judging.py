"""Judging: which walks are taken, and what walks of one pair of seeds have in common."""

import re
from dataclasses import replace
from pathlib import Path

from synthetic import controls, walk

from mcutils.measures.connectivity import connectivity
from mcutils.paper.judging import pair_of, sound, units_of, usable


def test_collapsed_walks_and_controls_are_left_out():
    good, bad = walk("npo"), walk("npo", collapsed=("t = 0: chance",))
    other = walk("npo", condition="method", other="scrub")
    assert usable([good, bad, other, *controls()]) == [good, other]
    assert usable([good, other], condition="method") == sound([good, other, other], other="scrub") == [other]
    assert usable([bad, *controls()]) == sound([bad, *controls()]) == []


def test_a_walk_is_the_same_if_all_its_labels_are():
    one = walk("npo")
    differing = [{"method": "scrub"}, {"other": "scrub"}, {"kind": "bezier"}, {"original": 1}, {"start": 1}, {"end": 1}]
    differing += [{"condition": "method"}, {"form": "soul"}, {"size": 0.1}, {"init": "same init"}, {"full": True}]
    differing += [{"recipe": "authors"}, {"objective": "retain only"}, {"refit": True}, {"batchnorm": "none"}]
    assert len(sound([one, one, *(replace(one, **change) for change in differing)])) == 1 + len(differing)


def test_walks_of_one_pair_of_draws_are_told_by_seeds_and_original_not_by_condition_and_curve():
    one = walk("npo")
    same = replace(one, kind="bezier", condition="cl-non_cl", form="tuned")
    assert pair_of(one) == pair_of(same) and units_of([one]) == units_of([same, replace(one, method="scrub")])[:1]
    for change in ({"original": 1}, {"start": 99}, {"end": 99}):
        assert pair_of(replace(one, **change)) != pair_of(one) and units_of([replace(one, **change)]) != units_of([one])
    assert pair_of(replace(one, method="scrub")) != pair_of(one)


def test_no_table_takes_an_interval_past_the_rules():
    """Intervals over originals come from `measures.originals`; the bootstraps stay in `measures.intervals`."""
    calls = {}
    for path in Path(connectivity.__code__.co_filename).parent.parent.rglob("*.py"):
        calls[path.stem] = len(re.findall(r"\b(?:bootstrap_mean|fraction_interval)\(", path.read_text()))
    calls.pop("intervals")
    assert {name: count for name, count in calls.items() if count} == {}
