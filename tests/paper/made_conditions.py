"""Walks of conditions, pairs of methods and sizes whose tables are known beforehand."""

from dataclasses import replace

import numpy as np
from made_worlds import Shape, World, walk as walk_of_worlds
from scipy.stats import t
from synthetic import walk

from mcutils.measures.profiles import Profile

PAIRS = ((0, 42, 87), (0, 21, 100), (1, 42, 87))
STUDENT = t.ppf(0.975, 2) / np.sqrt(3)  # half of Student's interval of three, in standard deviations


def made(condition, barrier=0.0, deficit=0.0, method="npo", pairs=PAIRS, kind="linear", other="", **labels):
    """One walk per pair of seeds; numbers, or one per pair."""
    each = zip(*(np.broadcast_to(v, len(pairs)) for v in (barrier, deficit)), pairs, strict=True)
    labels |= {"condition": condition, "other": other}
    return [walk(method, b, d, pair, kind, original=o, **labels) for b, d, (o, *pair) in each]


def with_arrays(one, **arrays):
    """The same walk with other arrays, ``__`` standing for ``/``."""
    new = {name.replace("__", "/"): np.asarray(value) for name, value in arrays.items()}
    return replace(one, profile=Profile({**one.profile.arrays, **new}))


def admissible(condition, barrier=0.0, deficit=0.0, method="npo", kind="linear", ends=(1.2, 1.2), points=11, **labels):
    """One walk per original that passes the gate (but for its ``ends``), with exactly this barrier and deficit in G.

    Numbers, or one per original; three originals where none has several.
    """
    found = []
    for original, (rise, dip) in enumerate(zip(*np.broadcast_arrays(barrier, deficit, np.zeros(3))[:2], strict=True)):
        shape = Shape(rise=rise, dip=dip, ends=ends)
        world = World(lambda labels, shape=shape: shape, spread=0.0, points=points, patterns="none")
        one = walk_of_worlds(world, method=method, kind=kind, original=original, condition=condition, **labels)
        found.append(with_arrays(one, geometry__distance=3.0, geometry__cosine=0.25))
    return found
