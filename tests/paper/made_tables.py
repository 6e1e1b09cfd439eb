"""Models and walks whose tables are known beforehand."""

import numpy as np
from synthetic import trace

from mcutils.measures.profiles import Profile, profile

RIGHT = {"retain": 1.0, "forget": 1.0, "valid": 0.8, "test": 0.8}
LOST = {**RIGHT, "forget": 0.8}
ORIGINAL, RANDOM = trace(right=RIGHT, seed=1), trace(margin=0.0, seed=2)
RETRAINED = [trace(right=LOST, seed=k) for k in (3, 4)]


def model(right, seconds=2.0):
    found = profile(trace(right=right, seed=5), ORIGINAL, RETRAINED, RANDOM, bootstrap=5)
    return Profile({**found.arrays, "seconds": np.float64(seconds)})


def clean(table):
    """The table's text, after checking that no cell says nan or None."""
    text = table.to_string() if hasattr(table, "to_string") else table
    assert "nan" not in text.lower() and "None" not in text
    return text
