"""Small made-up traces and profiles whose measures are known beforehand, shipped results, modules of one's own."""

import numpy as np
import torch
from torch import nn

from mcutils.engine.specs import key
from mcutils.files import DATA
from mcutils.measures.alignment import units_of
from mcutils.measures.profiles import Profile
from mcutils.reading import archived, read
from mcutils.traces import SPLITS, Trace

T = np.linspace(0, 1, 5)


def trace(points=1, right=0.9, margin=3.0, n=40, classes=4, seed=0, meta=None):
    """A trace with noisy logits whose true class leads by ``margin`` in a share ``right`` of the examples.

    ``right`` and ``margin`` are numbers, or one number per split. Labels and rows are always the same.
    """
    rng = np.random.default_rng(seed)
    fixed = np.random.default_rng(12345)
    logits, labels, index = {}, {}, {}
    for k, split in enumerate(SPLITS):
        share, lead = (v[split] if isinstance(v, dict) else v for v in (right, margin))
        labels[split] = fixed.integers(0, classes, n)
        index[split] = np.arange(k * n, (k + 1) * n)
        shown = np.where(np.arange(n) < round(share * n), labels[split], (labels[split] + 1) % classes)
        values = rng.normal(0, 0.1, (points, n, classes))
        values[:, np.arange(n), shown] += lead
        logits[split] = values.astype(np.float16)
    t = np.linspace(0, 1, points) if points > 1 else np.zeros(1)
    return Trace(t, logits, labels, index, meta or {"kind": "bezier" if points > 1 else "model"})


def profile(barrier=0.0, deficit=0.0, gap=2.0, noise=0.001, seed=0, t=T, metrics=None):
    """The profile of a path with a retain barrier and a forget deficit of so many G at t = 0.5, and their replicates.

    ``metrics`` are curves along it by name.
    """
    rng = np.random.default_rng([seed, 42, 87])
    bump = 1 - 2 * np.abs(t - 0.5)
    heights = {"retain": barrier * gap, "forget": -deficit * gap, "valid": 0.0, "test": barrier * gap / 2}
    arrays = {"t": t, "gap": np.float64(gap), "seconds": np.float64(1.5), "collapsed": np.array((), dtype=np.str_)}
    for split, height in heights.items():
        arrays[f"curve/loss_{split}"] = 0.2 + 0.1 * t + height * bump
        arrays[f"curve/accuracy_{split}"] = 0.9 - 0.05 * t - height * bump / 100
    known = {"barrier_retain": barrier * gap, "deficit_forget": deficit * gap, "barrier_test": barrier * gap / 2}
    for name, value in known.items():
        arrays[f"measure/{name}"] = np.float64(value)
        arrays[f"replicates/{name}"] = (value + gap * noise * rng.normal(size=60)).astype(np.float32)
    apart = {"distance": 3.0, "length": 3.5, "moved_start": 2.0, "moved_end": 2.5, "cosine": 0.25}
    arrays |= {f"geometry/{name}": np.float64(value) for name, value in apart.items()}
    arrays |= {f"metric/{name}": np.asarray(values, float) for name, values in (metrics or {}).items()}
    return Profile(arrays)


def shipped(name):
    """The bytes of a file of a shipped result, which lies in an archive."""
    return read(archived(DATA / "store")[name], 10**7)


def copy_shipped(folder, *wanted):
    """Put shipped results, which lie in archives, into a folder of files."""
    for spec in wanted:
        for suffix in (".npz", ".json"):
            (folder / f"{key(spec)}{suffix}").write_bytes(shipped(f"{key(spec)}{suffix}"))


def random_permutations(weights, seed):
    """An order for every unit, drawn evenly from those that leave the function as it is."""
    rng = torch.Generator().manual_seed(seed)
    found = {}
    for unit in units_of(weights):
        each = unit.size // unit.groups
        starts = torch.randperm(unit.groups, generator=rng) * each
        inside = [torch.randperm(each, generator=rng) for _ in range(unit.groups)]
        found[unit.name] = torch.cat([start + order for start, order in zip(starts, inside, strict=True)])
    return found


class Tied(nn.Module):
    """One matrix used by two layers."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.head(torch.relu(self.b(torch.relu(self.a(x.flatten(1))))))


def dropping():
    """Dropout, whose draws come from torch's global generator, before a norm."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.5), nn.BatchNorm1d(16), nn.Linear(16, 10))
