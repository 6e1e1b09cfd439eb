"""Walks of conditions, pairs of methods and sizes whose tables are known beforehand."""

from dataclasses import replace

import numpy as np
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
