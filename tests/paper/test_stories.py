"""Stories and findings: each tells what its path or its tables show, in their numbers, and nothing where none does."""

import re
from dataclasses import replace

import numpy as np
import pytest
from worlds import METHODS, Path, Shape, World, controlled, made_path, tables_of, world

from mcutils.engine.results import results
from mcutils.measures.originals import Interval
from mcutils.measures.readings import LEVELS
from mcutils.paper import stories
from mcutils.paper.experiments import CURVES, ORIGINALS, OTHER
from mcutils.paper.inclusion import include
from mcutils.paper.rows import ROWS, Judged
from mcutils.paper.statistics import Result
from mcutils.paper.stories import STORIES, findings, tell

EPS = 0.1


def told(*planted, **options):
    """Every story by name, of a path for each (shape, labels); paths are their own routes."""
    paths = []
    for k, (shape, labels) in enumerate(planted):
        made = World(lambda _, shape=shape: shape, spread=0.0, seed=k)
        paths.append(made_path(made, **{"method": "npo", "kind": "linear", **labels}))
    return {one.name: one for one in tell(tables_of(paths), paths, **options)}


def test_where_no_path_is_the_study_s_every_story_says_what_was_not_found():
    one = made_path(World(), method="npo", kind="linear")
    found = tell(tables_of([one]), [])
    assert [story.name for story in found] == list(STORIES)
    assert all(story.path is None and story.text == STORIES[story.name].nothing for story in found)


def test_a_dip_above_the_retrained_level_is_no_return_and_one_below_it_is():
    above, below = Shape(dip=0.3, ends=(2.0, 2.0)), Shape(dip=0.4, ends=(1.0, 1.0))
    found = told((above, {"method": "npo"}), (below, {"method": "scrub"}))
    assert found["dip"].path.method == "npo" and found["return"].path.method == "scrub"
    assert "dips by 0.300 G" in found["dip"].text and "by 0.400 G" in found["return"].text
    assert all("so on 1 of 2 paths" in found[name].text for name in ("dip", "return"))


def test_the_healthiest_pair_and_the_highest_barrier_are_taken():
    shapes = [Shape(), Shape(rise=0.05), Shape(rise=0.2), Shape(rise=0.6)]
    found = told(*((shape, {"method": name}) for shape, name in zip(shapes, "abcd", strict=True)))
    assert found["healthy"].path.method == "a" and found["barrier"].path.method == "d"
    assert "rises by 0.600 G" in found["barrier"].text


@pytest.mark.parametrize(
    "shape,labels",
    [
        (Shape(rise=0.5, kept=0.9), {}),  # ends that lost what they should keep
        (Shape(rise=0.5), {"control": "other initial weights"}),
        (Shape(rise=0.5), {"form": "second pair"}),
        (Shape(rise=0.5), {"condition": "method", "other": "scrub"}),
        (Shape(rise=0.5), {"recipe": "authors"}),
    ],
)
def test_what_no_verdict_reads_tells_no_story(shape, labels):
    assert all(one.path is None for one in told((shape, labels)).values())


def test_a_barrier_between_models_that_did_not_forget_is_shown_as_such_where_there_is_no_other():
    weak, sound = Shape(rise=0.5, ends=(0.1, 0.1)), Shape(rise=0.2)
    found = told((weak, {"method": "scrub"}), (weak, {"method": "scrub", "kind": "bezier"}), (Shape(), {}))
    assert {name for name, one in found.items() if one.path is not None} == {"healthy", "barrier"}
    shown = found["barrier"]
    assert shown.path.method == "scrub" and shown.beside.kind == "bezier" and "rises by 0.500 G" in shown.text
    assert shown.text.startswith(STORIES["barrier"].nothing) and "because its start did not forget: " in shown.text
    found = told((weak, {"method": "scrub"}), (sound, {}))
    assert found["barrier"].path.method == "npo" and "not judged" not in found["barrier"].text


def test_it_is_said_on_how_many_paths_it_is_so_and_the_other_path_stands_beside():
    found = told((Shape(), {}), (Shape(rise=0.2), {"end": 21}), (Shape(rise=0.3), {"end": 63}))
    assert found["healthy"].text.endswith("That is so on 1 of 3 paths between two seeds.")
    assert found["barrier"].text.endswith("That is so on 2 of 3 lines between two seeds.")
    found = told((Shape(), {}), (Shape(rise=0.2), {"kind": "bezier"}))
    assert found["healthy"].path.kind == "linear" and found["healthy"].beside.kind == "bezier"
    assert told((Shape(), {}), (Shape(rise=0.2), {"kind": "bezier", "end": 21}))["healthy"].beside is None


@pytest.mark.parametrize(
    "rise,apart,retrained",
    [
        (0.05, "there is a way", "MCU(0.1) holds"),
        (0.4, "does not join them, though of the line's barrier it leaves 8 %", "breaks"),
    ],
)
def test_what_is_said_of_models_trained_apart_follows_the_tolerance(rise, apart, retrained):
    pair = {"method": "original", "condition": ORIGINALS, "start": 0, "end": 1}
    again = {"condition": CURVES, "init": OTHER}
    shapes = [(Shape(rise=rise), "bezier"), (Shape(rise=5.0), "linear")]
    found = told(*((shape, {**labels, "kind": kind}) for labels in (pair, again) for shape, kind in shapes))
    assert found["apart"].path.condition == ORIGINALS and "original models 0 and 1" in found["apart"].text
    assert apart in found["apart"].text and "straight line by 5.000 G" in found["apart"].text
    text = found["retrained"].text
    assert retrained in text and "(5.000 and 0.000 G on the straight line)" in text


# Findings


def numbers(text):
    """The numbers of a sentence, its links left out."""
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"\(\[figure\].*?\)\)", "", text))]


def of(one, paths, judged=()):
    return numbers(one(tables_of(paths, experiments=experiment)["paths"], judged, EPS))


def experiment(one: Path):
    if one.condition == "method":
        return "05_methods" if one.original == 0 else "difficulty"  # which draws lines of its own
    return "08_curve_fitting" if one.recipe or one.objective or one.refit or one.batchnorm else "02_seeds"


def test_pairs_of_seeds_are_counted_by_line_curve_and_floor():
    """Lines of two methods dip by 0.15 G from 1.2 G, which is above the retrained level of 1 G; one by 0.5 G."""
    dips = {"npo": 0.15, "scrub": 0.15, "salun": 0.5}

    def shape(labels):
        dip = dips.get(labels["method"], 0.0) if labels["kind"] == "linear" else 0.3 * (labels["method"] == "salun")
        return Shape(dip=dip)

    made = world(controlled(shape), ("random",), originals=2, spread=0.001)
    n = len(METHODS)
    assert of(stories._between_seeds, made) == [2 * n, 2 * (n - 3), 2 * (n - 1), 2 * (n - 1)]
    others = [replace(w, **labels) for w in made for labels in ({"form": "cue"}, {"full": True}, {"size": 0.02})]
    assert of(stories._between_seeds, [*made, *others]) == [2 * n, 2 * (n - 3), 2 * (n - 1), 2 * (n - 1)]
    assert stories._between_seeds(tables_of(made)["paths"].head(0), (), EPS) == ""


def test_lines_between_methods_are_counted():
    def shape(labels):
        return Shape(dip=0.15 * (labels["method"] == "npo"), rise=0.3 * (labels["method"] == "random_labels"))

    made = world(controlled(shape), ("method",), originals=1, spread=0.001)
    lines = [w for w in made if not w.control]
    high, low = (sum(w.method == name for w in lines) for name in ("random_labels", "npo"))
    count = len(lines)
    expected = [count, count - high, count - high - low, low, count - high]
    assert of(stories._between_methods, made) == expected
    assert of(stories._between_methods, [*made, *(replace(w, original=1) for w in lines)]) == expected


def test_fits_are_counted_where_all_are_there():
    made = world(controlled(lambda labels: Shape(dip=0.5 if labels.get("recipe") else 0.0)), ("random", "fits"),
                 originals=1, spread=0.001)  # fmt: skip
    n = len(METHODS)
    assert of(stories._the_fit, made) == [n, 0, n, n]
    assert of(stories._the_fit, [w for w in made if not w.recipe]) == []


def test_models_trained_apart_are_told_by_their_medians():
    pair = {"method": "original", "condition": ORIGINALS, "start": 0, "end": 1}
    rises = {"linear": (5.0, 3.0, 9.0), "bezier": (0.25, 0.05, 0.75)}
    made = [made_path(World(lambda _, r=r: Shape(rise=r), spread=0.0), kind=kind, original=o, **pair)
            for kind, some in rises.items() for o, r in enumerate(some)]  # fmt: skip
    assert of(stories._trained_apart, made) == [5.0, 0.25] and of(stories._trained_apart, made[:3]) == []


def judged(name, estimate, low, high, word="supported"):
    row = next(row for row in ROWS if row.name == name)
    return Judged(row, {"chord": Result(Interval(estimate, low, high), word, 8, 48)})


def test_shifts_are_those_of_the_ledger_and_need_both_rows():
    rows = [judged("C5", 0.13, 0.05, 0.21), judged("C6", 0.0, -0.1, 0.1, "undecided")]
    assert numbers(stories._changed_ends(None, rows, EPS)) == [0.13, 0.05, 0.21, 0.0, -0.1, 0.1]
    assert stories._changed_ends(None, rows[:1], EPS) == ""


def test_the_text_has_a_line_a_finding_and_counts_the_ledger(tmp_path):
    made = tables_of(world(controlled(), ("random",), originals=1, spread=0.001), experiments="02_seeds")
    rows = [judged("C5", 0.13, 0.05, 0.21), judged("C6", 0.0, -0.1, 0.1, "undecided"), Judged(ROWS[3])]
    text = findings(made, rows, EPS)
    assert text.count("\n- ") == 1 and text.startswith("- **One method") and "([figure](figures/02_seeds.png))" in text
    assert "Of 2 rows of the ledger judged: 1 supported, 0 contradicted, 1 undecided" in text
    stories.write_findings(made, rows, tmp_path, EPS)
    assert (tmp_path / stories.FILE).read_text() == text


def test_the_findings_count_pairs_and_lines_as_the_shipped_curves_do():
    """Gate, barrier and dips are counted anew from curves, by no function that the sentence is made with."""
    paths, along = results("paths"), results("along")
    found = stories._between_seeds(include(paths), (), EPS)
    ours = paths[paths.experiments.str.contains("02_seeds") & (paths.control == "") & ~paths.aside & ~paths.refit]
    points = {path: rows for path, rows in along[along.path.isin(ours.path)].groupby("path")}
    pairs, lines, floor = {}, [], []
    for w in ours.to_dict("records"):
        curves = {m: rows.sort_values("t").value.to_numpy() for m, rows in points[w["path"]].groupby("metric")}
        t, gap = np.linspace(0, 1, w["points"]), w["gap"]
        before, level = ({n: w[f"{who}_{n}"] for n in LEVELS} for who in ("original", "retrained"))
        forgot = all(
            2 * (curves["loss_forget"][k] - before["loss_forget"]) >= level["loss_forget"] - before["loss_forget"]
            and 2 * (before["accuracy_forget"] - curves["accuracy_forget"][k])
            >= before["accuracy_forget"] - level["accuracy_forget"]
            and curves["accuracy_retain"][k] >= 0.97 * before["accuracy_retain"]
            for k in (0, -1)
        )
        if w["collapsed"] or not forgot:
            continue
        retain, forget = curves["loss_retain"], curves["loss_forget"]
        up, down = ((1 - t) * curve[0] + t * curve[-1] for curve in (retain, forget))
        joined = (retain - up).max() <= EPS * gap and (down - forget).max() <= EPS * gap
        pairs.setdefault((w["original"], w["method"]), []).append(joined)
        if w["kind"] == "linear":
            up, down = np.maximum(up, level["loss_retain"]), np.minimum(down, level["loss_forget"])
            lines.append(joined)
            floor.append((retain - up).max() <= EPS * gap and (down - forget).max() <= EPS * gap)
    assert numbers(found) == [len(pairs), sum(lines), sum(map(any, pairs.values())), sum(floor)]
