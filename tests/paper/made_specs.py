"""Specs of the notebooks, read for what they are about."""

from collections import Counter
from pathlib import Path as FilePath

from mcutils.engine.kinds import parents
from mcutils.paper.registry import APART

ROOT = FilePath(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb") if path.stem not in APART)


def leaves(specs):
    """The data of everything that these specs are made from."""
    return {spec.data for spec in closure(specs) if not parents(spec)}


def closure(specs):
    """These specs and all that they are made from."""
    seen = set()

    def visit(spec):
        if spec not in seen:
            seen.add(spec)
            for parent in parents(spec):
                visit(parent)

    for spec in specs:
        visit(spec)
    return seen


def models(profiles):
    return [one.trace.model for one in profiles]


def labels(routes, *names):
    """How many routes there are with each combination of labels."""
    return Counter(tuple(getattr(r, name) for name in names) for r in routes)


def pairs_of(routes):
    return {(r.original, r.start, r.end) for r in routes}


THREE = {(0, 42, 87), (0, 21, 100), (1, 42, 87)}  # without a common endpoint
