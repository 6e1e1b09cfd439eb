"""Made numbers of 10: attacks along lines, accuracies with few bits, and a shadow pool, whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from made_worlds import METHODS, controlled, world

from mcutils.data.shadows import KINDS, SPLITS
from mcutils.paper.privacy import Attacks, Privacy, Rounded
from mcutils.paper.privacy_pool import ALONG, ANEW, BEFORE, PLACES, Pool
from mcutils.paper.walks import Walk

T = np.linspace(0, 1, 11)
BOW = 4 * T * (1 - T)
UNIT = 0.1  # of AUC between original and retrained models
SIGNALS = [f"population/{s}/{w}" for s in ("loss", "confidence", "entropy", "modified_entropy") for w in
           ("auc", "tpr", "accuracy")]  # fmt: skip
NAMES = [*SIGNALS, "svc/classifier", "svc/threshold", "rmia/auc", "rmia/tpr"]


@dataclass(frozen=True)
class Truth:
    """What is planted: a bump of the AUC in the middle and the distance of methods, both in A; the share of forgotten
    accuracy that 4 bits bring back, of methods and of retrained models; how strongly models tell what they held, in
    standard deviations of phi: the originals, and the unlearned beyond them of targets to keep."""

    bump: float = 0.0
    apart: float = 0.0
    returned: float = 0.0
    returned_anew: float = 0.0
    told: float = 1.5
    kept: float = 0.5
    worse: float = 0.0
    left: float = 0.3  # of ``told``, in models that were unlearned
    noise: float = 0.05  # of seeds and points, in A
    seed: int = 0
    shadows: int = 16


def walks(originals: int = 8, shape=None, **options) -> list[Walk]:
    """The lines of 10 in a world where nothing happens, or of a shape, with their controls."""
    made = controlled() if shape is None else controlled(shape)
    every = world(made, ("random", "method"), originals=originals, points=11, **{"patterns": "own", **options})
    return [w for w in every if w.kind == "linear"]


def attacks(truth: Truth, originals: int = 8) -> Attacks:
    """An AUC of 0.5 for retrained models, a `UNIT` more for originals, and of a third of that for unlearned ones."""
    rng = np.random.default_rng([truth.seed, 1])

    def arrays(auc) -> dict[str, np.ndarray]:
        auc = np.atleast_1d(auc)
        found = {name: auc if name.endswith("auc") else 0.2 * (auc - 0.45) for name in NAMES}
        return found | {name: 1 - auc for name in ("svc/classifier", "svc/threshold")}

    lines = {}
    for o in range(originals):
        for k, method in enumerate(METHODS):
            first = 0.5 + UNIT * (0.33 + truth.apart * (k - 2.5))
            seeds = first + UNIT * truth.noise * rng.normal(size=2)
            inner = UNIT * (truth.bump * BOW + truth.noise / 5 * rng.normal(size=11))
            lines[o, method] = arrays(seeds[0] + (seeds[1] - seeds[0]) * T + inner)
    own = {o: arrays(0.5 + UNIT + 0.002 * rng.normal()) for o in range(originals)}
    anew = {o: [arrays(0.5 + 0.002 * rng.normal()) for _ in range(2)] for o in range(originals)}
    twins = [(o, arrays(0.53 + UNIT * truth.noise / 5 * rng.normal(size=11))) for o in range(originals)]
    return Attacks(lines, own, anew, twins)


def rounded(truth: Truth, originals: int = 8) -> Rounded:
    """Forget accuracy of 0.998 before, about 0.9 after; 4 bits bring back a share, 8 bits a tenth of that."""
    rng = np.random.default_rng([truth.seed, 2])
    before = {o: {0: 0.998, 8: 0.998, 4: 0.99} for o in range(originals)}

    def by(plain: np.ndarray, share: float) -> dict:
        shares = share + 0.1 * rng.normal()
        return {0: plain, 8: plain + 0.1 * shares * (0.998 - plain), 4: plain + shares * (0.998 - plain)}

    lines = {(o, m): by(np.full(11, 0.9), truth.returned) for o in range(originals) for m in METHODS}
    anew = {o: [by(0.865, truth.returned_anew) for _ in range(2)] for o in range(originals)}
    return Rounded(lines, anew, before)


def halves(rng, shadows: int, targets: int) -> np.ndarray:
    """Who holds what: half of the targets each, complementary in pairs of shadows."""
    first = rng.permuted(np.tile(np.repeat([True, False], targets // 2), (shadows // 2, 1)), axis=1)
    return np.stack([first, ~first], axis=1).reshape(shadows, targets)


def pool(truth: Truth, sizes=(200, 120, 60), methods=METHODS) -> Pool:
    """Confidences that lie ``told`` (or ``kept``) higher in models that hold a target, by kind of target."""
    rng = np.random.default_rng([truth.seed, 3])
    held = {kind: halves(rng, truth.shadows, n) for kind, n in zip(KINDS, sizes, strict=False)}
    hard = {split: rng.normal(2, 1.5, n) for split, n in zip((*SPLITS.values(), "valid"), sizes, strict=True)}
    strength = {BEFORE: (truth.told, truth.kept), ANEW: (0.0, truth.kept)}
    strength |= dict.fromkeys(methods, (truth.left * truth.told, truth.kept + truth.worse))
    phi, right, accuracy = {}, {}, {}
    for name, (forget, keep) in strength.items():
        points = PLACES if name in ALONG else 1
        common = rng.normal(size=(1, truth.shadows, 1))
        by = dict(zip(SPLITS.values(), (forget * held["forget"], keep * held["keep"]), strict=True)) | {"valid": 0.0}
        phi[name] = {
            split: hard[split] + 0.3 * common + rng.normal(size=(points, truth.shadows, len(hard[split]))) + by[split]
            for split in hard
        }
        right[name] = {split: values > 0 for split, values in phi[name].items()}
        accuracy[name] = {split: np.full((points, truth.shadows), value) for split, value in
                          (("retain", 0.995), ("test", 0.87))}  # fmt: skip
    return Pool(phi, held, accuracy, right)


def levels(originals: int = 8) -> dict:
    """Test accuracy of originals and of two retrained models each."""
    return {o: ({"accuracy_test": 0.88}, [{"accuracy_test": 0.86}, {"accuracy_test": 0.87}]) for o in range(originals)}


def privacy(truth: Truth = Truth(), originals: int = 8) -> Privacy:
    """All of it."""
    return Privacy(attacks(truth, originals), rounded(truth, originals), pool(truth), levels(originals))
