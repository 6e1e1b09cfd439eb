"""What attacks on the ledger leave of it: nothing supported or contradicted that should not be.

Invariant by design, and so named in the tables below: C1 and C21 read no label but the method's, so that profiles
exchanged among labels leave them; noise of a fiftieth of G is a flat path at a tolerance of a tenth. Ends just inside
the gate are ends that forgot. What wanders smoothly along the grid is a shape of the path (C1, C15, C16, C21 read it).
"""

from dataclasses import replace
from functools import lru_cache

import attacks
import pytest

from mcutils.paper import declared, trials
from mcutils.paper.admission import copies

GAPS = {original: {"js_retrained_forget": 0.05, "zrf": 0.06, "accuracy_test": 0.1} for original in range(48)}
TESTS = {
    "C1": (declared.c1, ("random",)),
    "C2": (declared.c2, ("random",)),
    "C4": (declared.c4, ("sizes",)),
    "C5": (declared.c5, ("random", "cl-non_cl")),
    "C6": (declared.c6, ("random", "fo-so")),
    "C7": (declared.c7, ("random", "cl-non_cl", "fo-so")),
    "C8": (declared.c8, ("method",)),
    "C9": (declared.c9, ("random",)),
    "C10": (lambda walks: declared.c10(walks, GAPS), ("random",)),
    "C11": (declared.c11, ("random",)),
    "C12": (declared.c12, ("random", "fits")),
    "C13": (declared.c13, ("random",)),
    "C15": (declared.c15, ("progress",)),
    "C16": (declared.c16, ("progress",)),
    "C21": (declared.c21, ("random",)),
    "C23": (declared.c23, ("random", "fits")),
    "C24": (declared.c24, ("random", "fits")),
    "E4": (lambda walks: declared.shift(walks, "random_in_cl"), ("random", "random_in_cl")),
}
# Attacks on what a verdict rests on: every claim is undecided. What a claim does not read cannot refuse it.
REFUSED = {
    "forty_copies": (),
    "twice_under_new_seeds": (),
    "twice_under_new_originals": (),
    "originals_renamed_with_noise": (),
    "mirrored": (),
    "never_unlearned": (),
    "half_forgotten": (),
    "one_end_never_unlearned": ("C16",),  # whose lines start at the unlearned model
    "retain_destroyed": (),
    "splits_swapped": ("C15", "C16"),
    "three_originals": (),
    "without_controls": (),
    "controls_failed": (),
    "twin_with_a_barrier": ("C15", "C16"),
    "controls_borrowed": ("C15", "C16"),
    "not_finite": (),
    "copies_jittered": (),
    "original_with_other_retrainings": (),
    "retrainings_with_other_originals": (),
    "levels_not_finite": (),
    "two_points": (),
    "crowded_grid": (),
}
NOISES = (0.05, 0.1, 0.2, 0.5)
# Attacks on what a statistic means: claim -> the words that it may have.
NEVER = ("contradicted", "undecided")
FOOLED = {
    "shuffled": dict.fromkeys(("C2", "C5", "C6", "C7", "C8", "C13", "C23", "C24", "E4"), NEVER),
    "labels_drawn": dict.fromkeys(("C5", "C6", "C7", "C12", "C23", "C24", "E4"), NEVER),
    "one_method_carries": dict.fromkeys(("C5", "C6", "C7", "C12", "C16", "C23", "C24", "E4"), NEVER),
    "one_original_carries": dict.fromkeys(("C5", "C6", "C7", "C8", "C12", "C16", "C23", "C24", "E4"), NEVER),
    "refits_differ": dict.fromkeys(("C2", "C5", "C6", "C7", "C8", "C13", "C23", "C24", "E4"), NEVER),
    "metrics_copied": {"C9": ("contradicted",)},
    "metrics_of_noise": {"C9": ("undecided",)},
    "quadratics": {"C15": NEVER},
    "scaled_by_forgetting": {"C4": NEVER},
    "lucky_points": {"C11": NEVER},
    "retrained_as_far": {"C16": NEVER},
    "one_size_noisy": {"C4": NEVER},
    "policies_mixed": {"C12": NEVER, "C24": NEVER},
    "wandering": dict.fromkeys(("C2", "C4", "C5", "C6", "C7", "C8", "C12", "C13", "C23", "C24", "E4"), NEVER),
    "bezier_carries": dict.fromkeys(("C5", "C6", "E4"), ("undecided",)),
    "bezier_dips": {"C21": ("undecided",), "C5": NEVER, "C23": NEVER, "C24": NEVER},
    "huge_gap": dict.fromkeys(("C4", "C5", "C6", "C7", "C12", "C16", "C21", "C23", "C24", "E4"), NEVER),
    "tiny_gap": dict.fromkeys(("C4", "C5", "C6", "C7", "C8", "C12", "C16", "C21", "C23", "C24", "E4"), NEVER),
    "ends_on_the_edge": dict.fromkeys(("C2", "C4", "C5", "C6", "C7", "C12", "C13", "C21", "C23", "C24", "E4"), NEVER),
    "best_methods_kept": dict.fromkeys(("C2", "C5", "C6", "C7", "C12", "C13", "C16", "C21", "C23", "C24", "E4"), NEVER),
    "lottery": {"C1": NEVER},
}


@pytest.fixture(autouse=True)
def _no_redraws(monkeypatch):
    """No bootstrap draws: fragility is tested elsewhere."""
    monkeypatch.setattr(trials, "DRAWS", 0)


@lru_cache(maxsize=12)
def attacked(name, parts):
    """The walks that an attack makes; claims that read the same parts share them."""
    return getattr(attacks, name)(parts) if isinstance(name, str) else attacks.noise(name)(parts)


@pytest.mark.parametrize("claim", TESTS)
@pytest.mark.parametrize("name", REFUSED)
def test_an_attack_on_what_verdicts_rest_on_decides_nothing(name, claim):
    test, parts = TESTS[claim]
    found = test(attacked(name, parts))
    if claim not in REFUSED[name]:
        assert found.verdict == "undecided", found
        assert found.notes, "an undecided claim says why"


@pytest.mark.parametrize("claim", TESTS)
@pytest.mark.parametrize("size", NOISES)
def test_noise_decides_nothing(size, claim):
    test, parts = TESTS[claim]
    assert test(attacked(size, parts)).verdict == "undecided"


@pytest.mark.parametrize("claim", [claim for claim in TESTS if claim not in ("C1", "C9", "C10")])
def test_small_noise_supports_nothing(claim):
    test, parts = TESTS[claim]
    assert test(attacked(0.02, parts)).verdict != "supported"


@pytest.mark.parametrize(("name", "claim"), [(name, claim) for name, words in FOOLED.items() for claim in words])
def test_an_attack_on_what_a_statistic_means_does_not_fool_it(name, claim):
    test, parts = TESTS[claim]
    found = test(attacked(name, parts))
    assert found.verdict in FOOLED[name][claim], found


def test_a_curve_that_forgets_more_in_its_middle_is_not_two_sided():
    walks = attacks.rising(("random",))
    assert declared.c1(walks).verdict == "supported"
    words = {reading: declared.c1([w for w in walks if w.kind == "bezier" or w.control], reading).verdict
             for reading in ("chord", "floor", "worse_end", "two_sided")}  # fmt: skip
    assert words["two_sided"] == "contradicted"


def test_there_are_more_attacks_than_claims():
    assert len(REFUSED) + len(NOISES) + 1 + len(FOOLED) + 1 >= 25


def _relabelled(walks, **labels):
    return [replace(w, **labels) for w in walks if not w.control]


@pytest.mark.parametrize("labels", [{"full": True}, {"batchnorm": "retain"}, {"batchnorm": "none"}, {"size": 0.1}])
def test_one_path_traced_or_read_twice_is_no_copy(labels):
    """With as many points and nothing to refresh a path has the same numbers whenever it is walked."""
    walks = attacked("refits_differ", ("random",))
    assert copies([*walks, *_relabelled(walks, **labels)]) == []


@pytest.mark.parametrize(
    "labels",
    [
        {"start": 1042}, {"original": 40}, {"form": "tuned"}, {"condition": "fo-so"}, {"refit": True},
        {"recipe": "authors"}, {"kind": "bezier"}, {"full": True, "start": 1042}, {"batchnorm": "none", "end": 187},
        {"objective": "retain only"}, {"init": "same init"}, {"method": "npo"}, {"size": 0.1, "original": 40},
    ],
)  # fmt: skip
def test_one_result_under_the_labels_of_another_path_is_a_copy(labels):
    walks = [w for w in attacked("refits_differ", ("random",)) if w.kind == "linear" and w.method != "npo"]
    assert copies([*walks, *_relabelled(walks, **labels)])


def test_one_size_under_the_names_of_two_is_a_copy_even_beside_what_has_no_size():
    walks = attacked("refits_differ", ("random",))
    two = [*_relabelled(walks, size=0.1), *_relabelled(walks, size=0.02)]
    assert copies(two) and copies([*walks, *two]) and copies([*two, *walks])
