"""Made walks and numbers of 12: graded sets on four originals whose lines wiggle as their sets are hard, or do not."""

from itertools import product

import numpy as np

from mcutils.paper.difficulty import Difficulty, profile_of
from mcutils.paper.graded_sets import CLASS, GRADINGS, Targets, form_of
from mcutils.paper.walks import Walk

METHODS = ("npo", "scrub", "gradient_difference", "l1_sparse", "bad_teacher", "random_labels")
GRADES = ("low", "mid", "high")
FORMS = tuple(form_of(*at) for at in product(GRADINGS, GRADES))
T = np.linspace(0, 1, 11)


def told(rng, original, hard, dip, forgot=0.4, kept=0.99, gap=None):
    """What an `OutcomeSpec` says of the losses of a line: ends that forgot so much, and a dip between them.

    ``hard`` from 0 to 1 is how much of a gap there is between original and retrained models.
    """
    own = 0.01 + 0.001 * original + 0.0003 * rng.normal()
    level = own + (0.5 * hard if gap is None else gap) + 0.002 * np.abs(rng.normal(size=2))
    first, last = own + forgot * (1 + 0.05 * rng.normal(size=2))
    forget = first + (last - first) * T - dip * forgot * 4 * T * (1 - T)
    right = 0.998 - 0.0007 * original
    missing = np.clip(0.3 * hard + 0.002 * np.arange(2), 0, 1)
    return {
        "t": T,
        "collapsed": np.array([], dtype=np.str_),
        "curve/loss_forget": forget,
        "curve/loss_retain": 0.02 + 0.001 * rng.random() + 0.0 * T,
        "curve/accuracy_forget": right - 0.4 * (forget - own),
        "curve/accuracy_retain": kept * right + 0.0 * T,
        "level/loss_forget": level,
        "level/loss_retain": 0.011 + 0.001 * np.arange(2),
        "level/accuracy_forget": right - missing,
        "level/accuracy_retain": right - 0.001 * np.arange(2),
        "original/loss_forget": np.float64(own),
        "original/loss_retain": np.float64(0.01),
        "original/accuracy_forget": np.float64(right),
        "original/accuracy_retain": np.float64(right),
    }


def made(rho=0.9, seed=0, originals=range(4), methods=METHODS, forgot=0.4, kept=0.99, coherent=0.9, memorised=0.9):
    """Walks on graded sets and the numbers beside them, as `difficulty.gather` returns them.

    Args:
        rho: how far the dips of lines follow the JS divergence; of normal numbers, about their correlation.
        coherent, memorised: the same of the sets' coherence, and of their memorisation, with the mean divergence.
    """
    rng, walks = np.random.default_rng(seed), []
    outcomes, examples, predictors = {}, {}, {}
    for original, form in product(originals, FORMS):
        grade = GRADES.index(form.partition(", ")[2])
        of_set = rng.normal() + grade - 1
        for name, part in (("coherence", coherent), ("memorisation", memorised), ("entanglement", 0.0)):
            noise = np.sqrt(1 - part**2) * rng.normal()
            predictors.setdefault((original, form), {})[name] = 0.3 + 0.1 * (part * of_set + noise)
        for method in methods:
            hard = of_set + 0.5 * rng.normal()
            z = rho * hard + np.sqrt(1 - rho**2) * 1.2 * rng.normal()
            line = told(rng, original, grade / 2, 0.1 + 0.06 * np.exp(z / 2), forgot, kept)
            walks.append(Walk(method, "linear", 42, 87, original=original, form=form, profile=profile_of(line)))
            js = 0.1 * np.exp(hard / 2)
            at = original, form, method
            outcomes[at] = {"js": js, "missed": js + 0.01, "steps": 10 * js, "area": js / 3}
            examples[at] = np.arange(20), 0.01 * np.exp(rng.normal(size=20))
    targets = Targets(np.arange(120), np.linspace(0, 1, 120), {"confidence": np.linspace(1, 0, 120), "el2n": T})
    return walks, Difficulty(targets, predictors, outcomes, examples, {}, {}, {})


def a_class(above=0.3, seed=0, originals=range(4), methods=METHODS, forgot=2.0):
    """Walks on a forgotten class, and recalls of probes that lie so far above those of retrained models."""
    rng = np.random.default_rng(seed)
    walks, recalls, beside = [], {}, {}
    for original in originals:
        beside[original] = list(0.6 + 0.02 * rng.normal(size=2))
        for method in methods:
            line = told(rng, original, 1.0, 0.05, forgot, gap=2.0)
            walks.append(Walk(method, "linear", 42, 87, original=original, form=CLASS, profile=profile_of(line)))
            recalls[original, method] = 0.6 + above + 0.03 * rng.normal(size=3)
    none = Targets(np.arange(3), np.zeros(3), {"confidence": np.zeros(3)})
    return walks, Difficulty(none, {}, {}, {}, recalls, beside, {})
