"""Conditions: how the two ends of a path may differ, under the paper's ten names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class End:
    """One end of a condition: its first or second ``method``, with a curriculum or without, first or second order."""

    method: int = 0
    curriculum: bool = False
    second_order: bool = False


@dataclass(frozen=True)
class Condition:
    """Two ends that differ in their seed and in what the condition names.

    Both ends have different seeds in every condition, so that a condition is compared with ``random`` over the same
    pairs of seeds and what it adds is not mistaken for chance. (Which seeds the authors used is not known.)
    """

    about: str
    start: End
    end: End

    @property
    def methods(self) -> int:
        """How many methods it takes, 1 or 2."""
        return 1 + max(self.start.method, self.end.method)


_PLAIN, _CL, _SO = End(), End(curriculum=True), End(second_order=True)

# The names and their reading: taken from the labels of the authors' runs.
CONDITIONS: dict[str, Condition] = {
    "random": Condition("one method, two seeds", _PLAIN, _PLAIN),
    "random_in_cl": Condition("one method, two seeds, both with a curriculum", _CL, _CL),
    "random_in_so": Condition("one method, two seeds, both second order", _SO, _SO),
    "cl-non_cl": Condition("one method, with a curriculum and without", _CL, _PLAIN),
    "fo-so": Condition("one method, first order and second order", _PLAIN, _SO),
    "method": Condition("two methods", _PLAIN, End(1)),
    "method_in_cl": Condition("two methods, both with a curriculum", _CL, End(1, curriculum=True)),
    "method_in_so": Condition("two methods, both second order", _SO, End(1, second_order=True)),
    "method_cl-non_cl": Condition("two methods, one with a curriculum and one without", _CL, End(1)),
    "method_fo-so": Condition("two methods, one first order and one second order", _PLAIN, End(1, second_order=True)),
}
