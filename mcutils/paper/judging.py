"""Judging: which walks tests and tables take, and what walks of one pair of draws have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .walks import Walk, labels_of

CHANGE = 0.05  # of the smallest eps, in units of G, that counts as help or harm (C7)


def usable(walks: Sequence[Walk], **labels: str | bool) -> list[Walk]:
    """The walks of methods with these labels, without controls and without those whose ends collapsed; maybe none."""
    kept = [w for w in walks if not w.control and not w.profile.collapsed]
    return [w for w in kept if all(getattr(w, name) == value for name, value in labels.items())]


def sound(walks: Sequence[Walk], **labels: str | bool) -> list[Walk]:
    """As `usable`, but a walk that several experiments hold comes once."""
    return list({_labels(w): w for w in usable(walks, **labels)}.values())


def _labels(walk: Walk) -> tuple:
    return walk.once("labels", lambda: tuple(labels_of(walk).values()))


def pair_of(walk: Walk) -> tuple:
    """What two walks of one pair of endpoints' draws have in common, whatever their condition and curve."""
    return walk.method, walk.other, walk.original, walk.start, walk.end


def units_of(walks: Iterable[Walk]) -> list[tuple]:
    """Each walk's pair of seeds, whatever its method: the unit of Student's interval."""
    return [(w.original, w.start, w.end) for w in walks]
