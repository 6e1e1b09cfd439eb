"""Attacks on the ledger: each turns walks into walks that ought to support nothing, or nothing more.

An attack is a function of the parts of a world that a claim reads; it gives the walks to judge.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from made_worlds import METHODS, Shape, controlled, world

from mcutils.measures.profiles import Profile
from mcutils.paper.walks import APART, TWINNED, Walk


def changed(walk: Walk, **arrays) -> Walk:
    """The walk with arrays of its profile replaced, a name written with __ for the slash."""
    new = {name.replace("__", "/"): value for name, value in arrays.items()}
    return replace(walk, profile=Profile({**walk.profile.arrays, **new}))


def forty_copies(parts):
    """Forty walks of one pair under invented originals and seeds."""
    first = [w for w in world(controlled(), parts, originals=1)]
    return [replace(w, original=k % 8, start=42 + k, end=87 + k) for w in first for k in range(40)]


def twice_under_new_seeds(parts):
    """Every walk twice, the second time with other seeds."""
    walks = world(controlled(dipping), parts)
    return walks + [replace(w, start=w.start + 1000, end=w.end + 1000) for w in walks]


def twice_under_new_originals(parts):
    """Four originals, each twice under two names."""
    walks = world(controlled(dipping), parts, originals=4)
    return walks + [replace(w, original=w.original + 4) for w in walks]


def originals_renamed_with_noise(parts):
    """One original under eight names, each copy with noise of its own that no checksum of a path sees through."""
    rng = np.random.default_rng(0)
    walks = world(controlled(dipping), parts, originals=1)
    found = []
    for original in range(8):
        for w in walks:
            losses = {f"curve__{n}": w.profile.arrays[f"curve/{n}"] for n in ("loss_retain", "loss_forget")}
            noisy = {n: v + 1e-3 * rng.normal() * np.sin(np.pi * w.profile.t) for n, v in losses.items()}
            found.append(replace(changed(w, **noisy), original=original))
    return found


def mirrored(parts):
    """Every walk once more, walked from its other end, under the seeds exchanged."""
    walks = world(controlled(dipping), parts)
    back = []
    for w in walks:
        arrays = {
            n.replace("/", "__"): v[::-1] for n, v in w.profile.arrays.items() if n.startswith(("curve/", "metric/"))
        }
        back.append(replace(changed(w, **arrays), start=w.end, end=w.start))
    return walks + back


def dipping(labels) -> Shape:
    """What would support most claims: dips that differ by method, condition and fit."""
    method = METHODS.index(labels["method"]) if labels["method"] in METHODS else 0
    return Shape(dip=0.1 * method + 0.3 * (labels["condition"] != "random") + 0.4 * bool(labels.get("recipe")))


def never_unlearned(parts):
    """Straight paths between ends that are the original still."""
    return world(controlled(lambda labels: Shape(ends=(0.02, 0.02))), parts)


def half_forgotten(parts):
    """Ends that close four tenths of the gap."""
    return world(controlled(lambda labels: replace(dipping(labels), ends=(0.4, 0.4))), parts)


def one_end_never_unlearned(parts):
    """Second ends that never unlearned."""
    return world(controlled(lambda labels: replace(dipping(labels), ends=(1.2, 0.05))), parts)


def retain_destroyed(parts):
    """Ends that forgot everything, D_r too."""
    return world(controlled(lambda labels: replace(dipping(labels), kept=0.6, ends=(4.0, 4.0))), parts)


def noise(size: float):
    """White noise of this size, in G, on every loss at every t."""

    def made(parts):
        return world(controlled(lambda labels: Shape(noise=size)), parts)

    return made


def splits_swapped(parts):
    """Retain and forget data exchanged, models' levels too."""
    walks, found = world(controlled(dipping), parts), []
    for w in walks:
        arrays = dict(w.profile.arrays)
        swapped = {}
        for name, value in arrays.items():
            group, _, rest = name.partition("/")
            if group in ("curve", "level", "original"):
                other = rest.replace("retain", "?").replace("forget", "retain").replace("?", "forget")
                swapped[f"{group}/{other}"] = value
        found.append(replace(w, profile=Profile({**arrays, **swapped})))
    return found


def shuffled(parts):
    """Profiles exchanged at random among all walks of one kind, but for the controls'."""
    rng, walks = np.random.default_rng(1), world(controlled(dipping), parts)
    places = [k for k, w in enumerate(walks) if not w.control]
    found = list(walks)
    for k, other in zip(places, rng.permutation(places), strict=True):
        found[k] = replace(walks[k], profile=walks[other].profile)
    return found


def labels_drawn(parts):
    """Which condition, fit or size a walk is of, drawn at random within its method, kind of curve and original."""
    rng, walks = np.random.default_rng(2), world(controlled(dipping), parts)
    groups: dict[tuple, list[int]] = {}
    for k, w in enumerate(walks):
        if not w.control:
            groups.setdefault((w.original, w.method, w.other, w.kind), []).append(k)
    found = list(walks)
    for rows in groups.values():
        for k, other in zip(rows, rng.permutation(rows), strict=True):
            found[k] = replace(walks[k], profile=walks[other].profile)
    return found


def one_method_carries(parts):
    """An effect in one method of six, none in the others."""

    def shape(labels):
        away = labels["condition"] != "random" or labels.get("recipe") or labels.get("objective") or labels.get("refit")
        return Shape(dip=2.5 if labels["method"] == "npo" and away else 0.0)

    return world(controlled(shape), parts)


def one_original_carries(parts):
    """An effect ten times as large as asked for on one original of eight, none on the others."""

    def shape(labels):
        away = labels["condition"] != "random" or labels.get("recipe") or labels.get("objective")
        return Shape(dip=4.0 if labels["original"] == 3 and away else 0.0)

    return world(controlled(shape), parts)


def three_originals(parts):
    """What would support everything, on three originals."""
    return world(controlled(dipping), parts, originals=3)


def without_controls(parts):
    """What would support everything, without the controls."""
    return [w for w in world(controlled(dipping), parts) if not w.control]


def controls_failed(parts):
    """No barrier between different originals or retrainings."""
    flat = world(controlled(dipping), parts)
    return [changed(w, curve__loss_retain=0 * w.profile.t + 0.02) if w.control else w for w in flat]


def twin_with_a_barrier(parts):
    """A fine-tuned twin that is not connected to itself."""
    walks = world(controlled(dipping), parts)
    return [
        changed(w, curve__loss_retain=0.02 + w.profile.t * (1 - w.profile.t)) if w.control == TWINNED else w
        for w in walks
    ]


def controls_borrowed(parts):
    """The controls' names on walks between two seeds."""
    walks = [w for w in world(controlled(dipping), parts) if not w.control]
    some = [w for w in walks if w.condition == "random"][:2]
    return walks + [replace(w, control=name, start=1, end=2) for w, name in zip(some, (APART, TWINNED), strict=False)]


def not_finite(parts):
    """Losses that overflow in the middle of every path."""
    walks = world(controlled(dipping), parts)
    found = []
    for w in walks:
        loss = w.profile.arrays["curve/loss_forget"].copy()
        loss[len(loss) // 2] = np.nan
        found.append(w if w.control else changed(w, curve__loss_forget=loss))
    return found


def identical_ends(parts):
    """Both ends one model: a path of no length."""
    walks, found = world(controlled(), parts), []
    for w in walks:
        flat = {
            f"curve__{n}": 0 * w.profile.t + w.profile.arrays[f"curve/{n}"][0] for n in ("loss_retain", "loss_forget")
        }
        found.append(w if w.control else changed(w, **flat))
    return found


def refits_differ(parts):
    """Curves that dip at random, from fit to fit as much as from condition to condition."""
    rng = np.random.default_rng(3)
    return world(controlled(lambda labels: Shape(dip=float(rng.choice((0.0, 0.4))))), parts)


def rising(parts):
    """Curves that forget 2 G more in their middle."""
    return world(controlled(lambda labels: Shape(dip=-2.0 if labels["kind"] == "bezier" else 0.0)), parts)


def metrics_copied(parts):
    """Six metrics that are one."""
    return world(controlled(), parts, patterns="shared")


def metrics_of_noise(parts):
    """Six metrics that are nothing but noise of the examples."""
    return world(controlled(), parts, patterns="noise")


def quadratics(parts):
    """Progress by quadratics of any bend."""
    bends = {method: 0.15 * (k - 2) for k, method in enumerate(METHODS)}
    return world(controlled(lambda labels: Shape(dip=bends.get(labels["method"], 0.0))), parts)


def scaled_by_forgetting(parts):
    """Small sets that are forgotten harder, with dips in proportion to what was forgotten."""

    def shape(labels):
        far = 0.12 / labels.get("size", 0.1)
        return Shape(ends=(far, far), dip=0.3 * far)

    return world(controlled(shape), parts)


def lucky_points(parts):
    """Scores along a path that are noise on both halves of the examples."""
    rng, found = np.random.default_rng(4), []
    for w in world(controlled(), parts):
        scores = {f"score__{part}": 0.9 + 0.02 * rng.normal(size=len(w.profile.t)) for part in ("choose", "test")}
        found.append(changed(w, **scores))
    return found


def retrained_as_far(parts):
    """Lines to a retrained model that dip as much as lines between two retrained models do."""
    return world(
        controlled(lambda labels: Shape(dip=0.5 if labels["condition"] in ("retraining", "retrained") else 0.0)), parts
    )


def one_size_noisy(parts):
    """The smallest size ten times as noisy as the others, without a trend."""
    rng = np.random.default_rng(5)
    return world(
        controlled(lambda labels: Shape(dip=float(rng.normal() * (0.3 if labels.get("size") == 0.02 else 0.02)))), parts
    )


def policies_mixed(parts):
    """The authors' curve bad only where it is read with its start's BatchNorm statistics."""
    return world(
        controlled(lambda labels: Shape(dip=0.6 if labels.get("recipe") and not labels.get("batchnorm") else 0.0)),
        parts,
    )


def wandering(parts):
    """Noise of 0.3 G that is correlated along t (AR(1), 0.7 from point to point), on every loss."""
    rng, found = np.random.default_rng(6), []
    for w in world(controlled(), parts):
        noisy = {}
        for name in ("loss_retain", "loss_forget"):
            steps, at = rng.normal(size=len(w.profile.t)), [0.0]
            for step in steps[1:]:
                at.append(0.7 * at[-1] + np.sqrt(1 - 0.49) * step)
            noisy[f"curve__{name}"] = w.profile.arrays[f"curve/{name}"] + 0.3 * w.profile.gap * np.array(at)
        found.append(w if w.control else changed(w, **noisy))
    return found


def copies_jittered(parts):
    """Every walk twice, the second time with other seeds and noise of 1e-5 on every loss and accuracy."""
    rng, walks = np.random.default_rng(7), world(controlled(dipping), parts)
    again = []
    for w in walks:
        curves = {n.replace("/", "__"): v for n, v in w.profile.arrays.items() if n.startswith("curve/")}
        noisy = {n: v + 1e-5 * rng.normal(size=len(v)) for n, v in curves.items()}
        again.append(replace(changed(w, **noisy), start=w.start + 1000, end=w.end + 1000))
    return walks + again


def _renamed(parts, kept: str):
    """One original under eight names with paths of its own; only the levels of one kind stay the same."""
    rng, found = np.random.default_rng(8), []
    for original in range(8):
        for w in world(controlled(dipping), parts, originals=1, seed=original):
            other = {n.replace("/", "__"): v + 1e-3 * rng.normal(size=np.shape(v))
                     for n, v in w.profile.arrays.items()
                     if n.startswith(("level/", "original/")) and not n.startswith(kept)}  # fmt: skip
            found.append(replace(changed(w, **other), original=original))
    return found


def original_with_other_retrainings(parts):
    """One original under eight names, each with retrained models and unlearning of its own."""
    return _renamed(parts, "original/")


def retrainings_with_other_originals(parts):
    """One set of retrained models under eight names, each with an original of its own."""
    return _renamed(parts, "level/")


def bezier_carries(parts):
    """An effect on curves alone, none on lines."""

    def shape(labels):
        away = labels["condition"] != "random"
        return Shape(dip=0.5 if away and labels["kind"] == "bezier" else 0.0)

    return world(controlled(shape), parts)


def bezier_dips(parts):
    """Deep dips of curves alone, whatever the condition."""
    return world(controlled(lambda labels: Shape(dip=0.5 if labels["kind"] == "bezier" else 0.0)), parts)


def _scaled_gap(parts, factor: float):
    """An effect of 0.05 G, and the gap of one original counted this many times."""
    walks = world(controlled(lambda labels: Shape(dip=0.05 if labels["condition"] != "random" else 0.0)), parts)
    return [changed(w, gap=np.float64(w.profile.gap * factor)) if w.original == 3 else w for w in walks]


def huge_gap(parts):
    """A gap of one original that is fifty times too large."""
    return _scaled_gap(parts, 50.0)


def tiny_gap(parts):
    """A gap of one original that is fifty times too small."""
    return _scaled_gap(parts, 0.02)


def levels_not_finite(parts):
    """Retrained models whose loss on D_r overflowed: one reading is nan, the others are not."""
    walks = world(controlled(dipping), parts)
    return [changed(w, level__loss_retain=np.full(3, np.nan)) for w in walks]


def two_points(parts):
    """Paths walked at their ends alone, where every path is straight."""
    found = []
    for w in world(controlled(dipping), parts):
        ends = {n.replace("/", "__"): v[[0, -1]] for n, v in w.profile.arrays.items()
                if n == "t" or n.startswith(("curve/", "metric/", "half/", "score/"))}  # fmt: skip
        found.append(w if w.control else changed(w, **ends))
    return found


def crowded_grid(parts):
    """Paths walked at 31 points, all but one of them near the ends."""
    found = []
    for w in world(controlled(dipping), parts):
        t = np.concatenate([np.linspace(0, 0.05, 16), np.linspace(0.95, 1, 15)])
        there = {n.replace("/", "__"): np.interp(t, w.profile.t, v) for n, v in w.profile.arrays.items()
                 if n.startswith("curve/")}  # fmt: skip
        found.append(w if w.control else changed(w, t=t, **there))
    return found


def ends_on_the_edge(parts):
    """Ends that close 0.51 of the gap, give or take 0.02: some pass the gate, and nothing differs between them."""
    return world(controlled(lambda labels: Shape(ends=(0.51, 0.51))), parts)


def best_methods_kept(parts):
    """Of every original only the half of its methods that shows an effect; which half is chance."""
    rng, found = np.random.default_rng(9), []
    walks = world(controlled(lambda labels: Shape(dip=float(rng.choice((0.0, 0.4))))), parts)
    for original in range(8):
        chosen = list(rng.permutation(METHODS)[:2])
        found += [w for w in walks if w.original == original and (w.control or w.method in chosen)]
    return found


def lottery(parts):
    """Six pairs of seeds a method, a fifth of their paths without a dip: the best of all is always without."""
    found = []
    for k in range(6):
        rng = np.random.default_rng([10, k])
        shape = controlled(lambda labels, rng=rng: Shape(dip=0.0 if rng.random() < 0.2 else 0.5))
        made = world(shape, parts, seed=k)
        found += [replace(w, start=42 + k, end=142 + k) for w in made if k == 0 or not w.control]
    return found
