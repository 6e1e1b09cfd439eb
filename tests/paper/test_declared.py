"""Each declared test by itself: short, in the page's order, right on what is planted, and sound on odd tables.

And the made worlds: what is planted is what the tables hold.
"""

import ast
import inspect
import re
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd
import pytest
from worlds import GAP, METHODS, Shape, controlled, controls, measured, path, tables_of, world

from mcutils.files import ROOT
from mcutils.paper import declared, statistics
from mcutils.paper.inclusion import APART, CONTROLS, include, text_of, within
from mcutils.paper.rows import ROWS

LONGEST = 15
TESTS = {row.name: row.test for row in ROWS if row.test}
ORIGINALS, SOME = 6, ("random_labels", "npo", "scrub", "bad_teacher")
UP, DOWN, OPEN = "supported", "contradicted", "undecided"


@pytest.fixture(autouse=True)
def _no_redraws(monkeypatch):
    """No bootstrap draws: fragility is tested in test_statistics.py."""
    monkeypatch.setattr(statistics, "DRAWS", 0)


# As text


def functions():
    tree = ast.parse(inspect.getsource(declared))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def called():
    """Names of the functions that rows call, in the order of the file."""
    names = {getattr(test, "func", test).__name__ for test in TESTS.values()}
    return [name for name in functions() if name in names]


@pytest.mark.parametrize("name", called())
def test_a_declared_test_is_short_and_says_what_it_tests(name):
    node = functions()[name]
    lines = inspect.getsource(declared).splitlines()[node.body[1].lineno - 1 : node.end_lineno]
    assert len([line for line in lines if line.strip() and not line.strip().startswith("#")]) <= LONGEST
    assert ast.get_docstring(node)


def test_they_stand_in_the_order_of_the_page():
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8").partition("## Up to permutation")[0]
    places = {}
    for k, name in enumerate(re.findall(r"^\| ([A-Z]\d+(?: [a-z]+)*)", page, re.MULTILINE)):
        row = next((row for row in ROWS if name in (row.id, row.name) and row.test), None)
        if row is not None:
            places.setdefault(getattr(row.test, "func", row.test).__name__, k)
    assert set(places) == set(called()) and sorted(places, key=places.get) == called()


# What is planted


@cache  # so that equal shapes are one, and their worlds
def dips(amount=None, base=0.0, **by):
    """Dips of so many G where the labels are these, a base elsewhere; or as a function of the labels says."""

    def shape(labels):
        if callable(amount):
            return Shape(dip=amount(labels))
        here = all(labels.get(name, "") == value for name, value in by.items())
        return Shape(dip=amount if here else base)

    return shape


@cache
def plain(**shape):
    return lambda labels: Shape(**shape)


def place(labels):
    return SOME.index(labels["method"])


def half_by_fit(labels):
    return 0.5 * (bool(labels.get("objective") or labels.get("recipe")) and place(labels) % 2 == 0)


def also_refits(labels):
    return 0.5 * (
        bool(labels.get("objective") or labels.get("recipe") or labels.get("refit")) and place(labels) % 2 == 0
    )


def pair(labels):
    return 0.3 * (not {labels["method"], labels.get("other")} <= set(SOME[:2]))


def kinds(labels):
    return 0.5 * (labels["kind"] == ("linear" if place(labels) % 2 else "bezier"))


def by_use(labels):
    return 0.1 * abs(METHODS.index(labels["method"]) - METHODS.index(labels["other"]))


def at_random(labels):
    """Of a pair, by nothing that is told of it."""
    return float(np.random.default_rng([labels["original"], *map(ord, labels["method"] + labels["other"])]).random())


def rises(linear, bezier):
    return lambda labels: Shape(rise=bezier if labels["kind"] == "bezier" else linear)


def defended(labels):
    """Barriers of the defences alone."""
    return Shape(rise=0.5 * (labels["method"] not in METHODS))


@dataclass(frozen=True)
class World:
    """What is planted, as a shape, options of a world and numbers beside it; the effect and the word expected."""

    effect: float
    word: str
    shape: object
    options: dict = field(default_factory=dict)
    beside: dict = field(default_factory=dict)
    within: float = 0.05


def _of(word, effect=0.0, shape=None, within=0.05, options=None, **beside):
    return World(effect, word, shape or plain(), options or {}, beside, within)


RANDOM, TINY = ("random",), 0.003
# row -> the parts of a world that it reads, and worlds: with what is planted, without, and with the opposite
CASES = {
    "C1": (
        RANDOM, _of(UP, 1.0), _of(OPEN, 0.5, dips(lambda one: 0.3 * (place(one) % 2))), _of(DOWN, 0.0, plain(dip=0.2)),
    ),
    "C2 deficit": (RANDOM, _of(UP, 0.99, dips(lambda one: 0.1 * place(one)), 0.02), _of(OPEN, 0.0, within=0.25), None),
    "C2 roughness": (
        RANDOM, _of(UP, 0.99, lambda one: Shape(step=0.3 * place(one), ends=(1.0, 1.6)), 0.02),
        _of(OPEN, 0.0, within=0.3), None,
    ),
    "C4": (
        ("sizes",), _of(UP, -1 / 3, dips(lambda one: 0.6 - 5 * one.get("size", 0.1))), _of(DOWN, 0.0),
        _of(UP, 1 / 3, dips(lambda one: 0.1 + 5 * one.get("size", 0.1))),
    ),
    **{
        name: (
            ("random", part), _of(UP, 0.25, dips(0.55, 0.3, condition=part)), _of(DOWN, 0.0, dips(0.3, 0.3)),
            _of(UP, -0.25, dips(0.05, 0.3, condition=part)),
        )
        for name, part in (("C5", "cl-non_cl"), ("C6", "fo-so"), ("E4 curriculum", "random_in_cl"),
                           ("E4 second order", "random_in_so"))
    },
    "C7": (
        ("random", "cl-non_cl", "fo-so"),
        _of(UP, 0.2, dips(lambda one: {"cl-non_cl": 0.5, "fo-so": 0.1}.get(one["condition"], 0.3))),
        _of(DOWN, 0.0), _of(DOWN, 0.2, dips(0.1, 0.3, condition="random"), 0.05),
    ),
    "C8": (
        ("method",), _of(UP, -0.1, dips(pair), 0.02), _of(DOWN, -0.1, within=0.02),
        _of(DOWN, 0.2, plain(dip=0.3), 0.02),
    ),
    "C9": (
        RANDOM, _of(UP, 0.65, within=0.05), _of(DOWN, 0.0, options={"patterns": "shared"}),
        _of(OPEN, 0.0, options={"patterns": "noise"}, within=0.1),
    ),
    "C10": (RANDOM, _of(UP, 0.5, within=0.1), _of(DOWN, 0.02, plain(moves=0.02)), None),
    "C11": (
        RANDOM, _of(UP, 0.02, lambda one: Shape(gain=0.02 * (one["method"] == "npo")), 0.008),
        _of(DOWN, -0.02, plain(gain=-0.02), 0.008), None,
    ),
    "C12 refreshed": (
        ("random", "fits"), _of(UP, 1.0, dips(0.4, recipe="authors")), _of(DOWN, 0.0),
        _of(DOWN, 0.0, dips(0.4, kind="linear")),
    ),
    "C12 start's": (
        ("random", "fits"), _of(UP, 1.0, dips(0.4, recipe="authors")), _of(DOWN, 0.0),
        _of(DOWN, 0.0, dips(0.4, recipe="authors", batchnorm="retain")),
    ),
    "C13": (RANDOM, _of(UP, -0.5, dips(kinds)), _of(DOWN, 0.0), _of(DOWN, -0.5, dips(0.5, kind="bezier"), 0.06)),
    "C15": (
        ("progress",), _of(UP, 0.3, plain(step=0.8)), _of(DOWN, 0.0, plain(dip=0.2)), _of(DOWN, 0.0, plain(dip=-0.3)),
    ),
    "C16": (
        ("progress",), _of(UP, 1.0, dips(0.4, condition="retraining")), _of(DOWN, 0.0),
        _of(DOWN, 0.0, lambda one: Shape(dip=0.5 * (one["condition"] in ("retraining", "retrained")))),
    ),
    "C21": (RANDOM, _of(UP, 0.75, dips(lambda one: 0.3 * (place(one) > 0))), _of(OPEN, 0.0), None),
    **{
        name: (("random", "fits"), _of(UP, 0.5, dips(half_by_fit)), _of(DOWN, 0.0, dips(also_refits)), None)
        for name in ("C23", "C24 refreshed", "C24 start's")
    },
    "M0 originals": (
        ("apart",), _of(UP, 0.02, rises(5.0, 0.1)), _of(DOWN, 1.0, rises(0.01, 0.01)), _of(DOWN, 0.8, rises(5.0, 4.0)),
    ),
    "M1": (("random", "cue"), _of(UP, 0.95, dips(lambda one: by_use(one) if one.get("form") == "cue" else 0), use=1.0),
           _of(OPEN, 0.0, dips(lambda one: at_random(one) if one.get("form") == "cue" else 0), 0.4, use=1.0),
           _of(DOWN, -0.95, dips(lambda one: 0.6 - by_use(one) if one.get("form") == "cue" else 0), use=1.0)),
    "N1": (RANDOM, _of(UP, -0.02, within=TINY, nearer=-0.02), _of(OPEN, 0.0, within=TINY),
           _of(DOWN, 0.02, within=TINY, nearer=0.02)),
    "C14": (RANDOM, _of(UP, 0.5, bump=0.5), _of(DOWN, 0.0), _of(DOWN, 0.1, bump=-0.1)),
    "C14 between methods": (("random", "method"), _of(UP, 4 / 3, apart=0.5), _of(DOWN, 0.0), None),
    **{
        name: (RANDOM, _of(UP, 0.05, within=TINY, kept=0.05), _of(DOWN, 0.0, within=TINY),
               _of(DOWN, -0.05, within=TINY, kept=-0.05))
        for name in ("N4", "N4 beside retrained")
    },
    "N6": (RANDOM, _of(UP, 0.4, returned=0.4), _of(DOWN, 0.0), _of(DOWN, -0.4, returned_anew=0.4)),
    "C17": (RANDOM, _of(UP, 0.006, within=TINY, gain=0.006), _of(DOWN, 0.0, within=TINY),
            _of(DOWN, -0.006, within=TINY, gain=-0.006)),
    "C18": (RANDOM, _of(UP, -0.05, area=-0.05, within=0.004), _of(DOWN, 0.0, within=0.004),
            _of(DOWN, 0.05, area=0.05, within=0.004)),
    "C19": (RANDOM, _of(UP, -0.4, sharper=-0.4), _of(DOWN, 0.0), _of(DOWN, 0.4, sharper=0.4)),
    "C22 number": (RANDOM, _of(UP, 0.01, within=TINY, number=0.01), _of(DOWN, 0.0, within=TINY),
                   _of(UP, -0.01, within=TINY, number=-0.01)),
    "C22 placement": (RANDOM, _of(UP, 0.01, within=TINY, placed=0.01), _of(DOWN, 0.0, within=TINY),
                      _of(UP, -0.01, within=TINY, placed=-0.01)),
    **{
        f"N2 {by}": (
            ("random", "relearning"),
            *(_of(word, e, defended, w, rho=rho)
              for e, word, rho, w in ((-0.95, UP, -0.98, 0.06), (0.0, DOWN, 0.0, 0.3), (0.95, DOWN, 0.98, 0.06))),
        )
        for by in ("distance", "refreshed", "start's", "interpolated")
    },
    "C20": (("graded",), _of(UP, 0.95, within=0.06, rho=0.98), _of(DOWN, 0.0, within=0.2),
            _of(UP, -0.95, within=0.06, rho=-0.98)),
    **{
        f"N3 {by}": (("graded",), _of(UP, 0.95, within=0.06, coherent=0.99), _of(OPEN, 0.0, within=0.5),
                     _of(DOWN, -0.95, within=0.06, coherent=-0.99))
        for by in ("coherence", "memorisation")
    },
    "N5": (("class",), _of(UP, 0.3, recall=0.3), _of(DOWN, 0.0), _of(DOWN, -0.3, recall=-0.3)),
    "N7": (
        ("method",), *(_of(word, e, plain(ends=(0.7, 1.4)), TINY, nearer=e)
                       for word, e in ((UP, -0.03), (OPEN, 0.0), (DOWN, 0.03))),
    ),
}  # fmt: skip


@cache
def paths_of(parts, shape, options, own):
    """The tables of a world of four methods; rows that plant the same share them. ``own``: experiments of 11."""
    made = world(controlled(shape), parts, SOME, originals=ORIGINALS, spread=0.01, **dict(options))
    names = ("relearning", "ensembles") if own else ("made", "made")
    return tables_of(made, lambda one: names[one.condition != "forgetting" or one.control != ""])


@cache
def tables_for(row, which=0):
    parts, *cases = CASES[row]
    case = cases[which]
    found = paths_of(parts, case.shape, tuple(case.options.items()), row.startswith("N2"))
    return {**found, **measured(found["paths"], **case.beside)}


def test_every_row_has_worlds_but_those_that_differ_by_name_alone():
    """M0's others read other conditions by the same test, the chosen t another place on the same lines."""
    others = {row.name for row in ROWS if row.id == "M0" or row.measure == "chosen t"} - {"M0 originals"}
    assert set(CASES) == set(TESTS) - others


@pytest.mark.parametrize(
    ("row", "which"), [(row, k) for row, (_, *cases) in CASES.items() for k in range(3) if cases[k]]
)
def test_what_is_planted_is_found_with_its_sign_and_size(row, which):
    case = CASES[row][1 + which]
    found = TESTS[row](tables_for(row, which))
    assert not [note for note in found.notes if note.startswith(("control", "copies"))]
    assert found.effect.estimate == pytest.approx(case.effect, abs=case.within)
    assert found.effect.low <= found.effect.estimate <= found.effect.high
    assert found.verdict == case.word, found


# Odd tables. One row a test: others of it differ by what they read, not by how.
EACH = list({getattr(TESTS[row], "func", TESTS[row]): row for row in reversed(CASES)}.values())[::-1]


@pytest.mark.parametrize("row", EACH)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_originals_or_none_decide_nothing(row, count):
    tables = tables_for(row)
    few = within(tables, range(count)) if count else {name: one.head(0) for name, one in tables.items()}
    if row.startswith("N4"):  # whose unit is the shadow: those of so many originals
        few["pool"], few["pool_models"] = (
            one.assign(kept=text_of(range(count)), **({"shadows": 2 * count} if "shadows" in one else {}))
            for one in (tables["pool"], tables["pool_models"])
        )
    found = TESTS[row](few)
    assert found.verdict == OPEN and found.notes
    assert found.n_originals <= (2 * count if row.startswith("N4") else count)
    assert np.isfinite(found.effect.estimate) or count < 4


def relabelled(tables, names):
    """Every table with its originals under other names."""
    found = {
        name: one.assign(original=one.original.map(names)) if "original" in one else one for name, one in tables.items()
    }
    text = {text_of(names): text_of(names.values())}
    return found | {name: one.assign(kept=one.kept.map(text)) for name, one in found.items() if "kept" in one}


def same(one, other, exact=False):
    if exact:
        assert repr(one) == repr(other)
    assert other.verdict == one.verdict and (other.n_originals, other.n_cells) == (one.n_originals, one.n_cells)
    assert list(other.effect) == pytest.approx(list(one.effect), rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("row", EACH)
def test_the_order_of_rows_and_the_names_of_originals_are_nothing(row):
    tables, rng = tables_for(row), np.random.default_rng(0)
    found = TESTS[row](tables)
    shuffled = {**tables, "paths": tables["paths"].sample(frac=1.0, random_state=1)}
    same(found, TESTS[row](shuffled))
    same(found, TESTS[row](relabelled(tables, {k: 10 + 3 * k for k in range(ORIGINALS)})), exact=True)
    mixed = dict(enumerate(rng.permutation(ORIGINALS).tolist()))
    same(found, TESTS[row](relabelled(tables, mixed)))


@pytest.mark.parametrize("row", EACH)
def test_rows_twice_count_once_and_what_is_unresolved_or_nan_does_not_count(row):
    tables = tables_for(row)
    paths, found = tables["paths"], TESTS[row](tables)
    same(found, TESTS[row]({**tables, "paths": pd.concat([paths, paths], ignore_index=True)}))
    ours = paths.control == ""
    noisy = include(paths.assign(unresolved=np.where(ours, "loss_forget", "")))
    nothing = TESTS[row]({**tables, "paths": noisy})
    if not row.startswith(("N4", "C20", "N3")):  # the pool's gate is its own; what 12 asks of graded sets too
        assert nothing.verdict == OPEN and nothing.n_cells == 0
    lost = ours & (paths.original < 2) & (paths.label == paths.label[ours].iloc[-1])
    kinds_of = ("barrier", "deficit", "eps", "roughness", "variation", "surplus", "pattern", "best")
    numbers = [name for name in paths if name.startswith(kinds_of)]
    broken = paths.copy()
    broken.loc[lost, numbers] = np.nan
    broken.loc[lost, "not_finite"] = "loss_forget loss_retain"
    same(TESTS[row]({**tables, "paths": paths[~lost]}), TESTS[row]({**tables, "paths": include(broken)}))


# The made worlds themselves


@pytest.mark.parametrize("points", [11, 31])
def test_a_path_has_the_barrier_and_the_deficit_that_it_was_given(points):
    (row,) = tables_of([path("npo", 0.3, 0.7, points=points)])["paths"].to_dict("records")
    assert row["barrier_chord"] == pytest.approx(0.3) and row["deficit_chord"] == pytest.approx(0.7)
    assert row["eps_chord"] == row["eps_chord_11"] == pytest.approx(0.7)
    assert row["start_closed_loss"] == pytest.approx(1.2) and row["gap"] == pytest.approx(GAP, abs=0.05)
    assert row["included"] and row["points"] == points


def test_tables_have_a_row_a_path_and_the_points_of_each():
    made = [path("npo", original=3), path("salun", kind="bezier", form="cue", original=4), *controls()]
    found = tables_of(made, experiments=lambda one: "a b" if one.control else "a")
    assert list(found["paths"].control) == ["", "", APART, CONTROLS[1]]
    assert list(found["paths"].experiments) == ["a", "a", "a b", "a b"]
    along = found["along"]
    assert set(along.path) == set(found["paths"].path) and set(along.original) == {0, 3, 4}
    one = along[(along.path == "path1") & (along.metric == "loss_forget")]
    assert np.array_equal(one.value, made[1].profile.arrays["curve/loss_forget"]) and len(one) == 31
    assert not len(found["copies"]) and set(found["gaps"].original) == {0, 3, 4}
