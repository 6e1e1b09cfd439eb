"""The checks that every public function shares."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mcutils.errors import LARGEST_SEED, BadInput, choose, flag, number, path_of, seed_of, share, shown, whole


@pytest.mark.parametrize("value", [0, 7, np.int64(7), LARGEST_SEED])
def test_a_seed_is_a_whole_number_and_comes_back_as_an_int(value):
    assert seed_of(value) == value and type(seed_of(value)) is int


@pytest.mark.parametrize("value", [True, 1.0, 0.5, "1", None, -1, LARGEST_SEED + 1, [1], math.nan, torch.tensor(1)])
def test_what_is_no_seed_is_refused_in_one_sentence(value):
    with pytest.raises(BadInput, match=r"^seed must be a whole number from 0 to [\d,]+, got .*\.$"):
        seed_of(value)


@pytest.mark.parametrize(("low", "high", "value"), [(1, None, 0), (0, 3, 4), (0, 3, True), (0, None, 2.0)])
def test_a_whole_number_keeps_its_bounds(low, high, value):
    with pytest.raises(BadInput, match="must be a whole number"):
        whole("points", value, low, high)
    assert whole("points", 3, 0, 3) == 3


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", None, True, 10**400, 1j, -0.5])
def test_a_number_is_finite_and_within_its_bounds(value):
    with pytest.raises(BadInput, match="must be a finite number of at least 0, got"):
        number("lr", value, 0)
    assert number("lr", np.float32(0.5), 0) == 0.5


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.1, True, "0.1", math.nan, None])
def test_a_share_lies_strictly_between_unless_the_ends_are_allowed(value):
    with pytest.raises(BadInput, match="share between 0 and 1, got"):
        share("forget", value)
    assert share("forget", 0, zero=True) == 0 and share("forget", 1, one=True) == 1


def test_flags_are_only_true_and_false():
    assert flag("fresh", False) is False
    for value in (0, 1, "no", None):
        with pytest.raises(BadInput, match="must be True or False"):
            flag("fresh", value)


@pytest.mark.parametrize("value", ["", None, 3, "a\0b", b"a", ["a"]])
def test_what_names_no_path_is_refused(value):
    with pytest.raises(BadInput, match="must name a file or folder"):
        path_of(value)


def test_a_path_has_its_home_expanded_and_an_unknown_user_is_a_sentence():
    assert path_of("~") == Path.home()
    with pytest.raises(BadInput, match="home folder of a user who is not known"):
        path_of("~nosuchuser/x")


@pytest.mark.parametrize("name", [["npo"], None, 3, {}])
def test_a_choice_of_a_wrong_type_is_refused_like_an_unknown_one(name):
    with pytest.raises(BadInput, match="choose one of"):
        choose("method", name, {"npo": 1})


def test_what_is_shown_is_one_short_line_whatever_repr_does():
    class Odd:
        def __repr__(self):
            raise RuntimeError

    assert shown(Odd()) == "a Odd"
    assert "\n" not in shown("a\n" * 100) and len(shown("a" * 1000)) == 80
