"""Conditions: the paper's ten names, and which ends each compares."""

import pytest

from mcutils.engine.conditions import CONDITIONS, End

# Name -> (method, with a curriculum, second order) of start and end, written from the paper's names by hand.
TABLE = {
    "random": ((0, False, False), (0, False, False)),
    "random_in_cl": ((0, True, False), (0, True, False)),
    "random_in_so": ((0, False, True), (0, False, True)),
    "cl-non_cl": ((0, True, False), (0, False, False)),
    "fo-so": ((0, False, False), (0, False, True)),
    "method": ((0, False, False), (1, False, False)),
    "method_in_cl": ((0, True, False), (1, True, False)),
    "method_in_so": ((0, False, True), (1, False, True)),
    "method_cl-non_cl": ((0, True, False), (1, False, False)),
    "method_fo-so": ((0, False, False), (1, False, True)),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_condition_compares_the_ends_that_its_name_says(name):
    found = CONDITIONS[name]
    assert (found.start, found.end) == tuple(End(*end) for end in TABLE[name])
    assert found.methods == (2 if name.startswith("method") else 1)


def test_these_are_all_of_them_in_order():
    assert list(CONDITIONS) == list(TABLE)


def test_no_two_conditions_are_alike():
    assert len({(found.start, found.end) for found in CONDITIONS.values()}) == len(CONDITIONS)
    assert len({found.about for found in CONDITIONS.values()}) == len(CONDITIONS)


def test_what_a_condition_says_of_itself_counts_its_methods():
    for found in CONDITIONS.values():
        assert found.about.startswith("two methods" if found.methods == 2 else "one method")
