"""Stories: each tells a path that shows its point, in numbers of that path, and none where no path shows it."""

import pytest
from made_worlds import Shape, World, walk

from mcutils.paper.progress_and_retraining import CURVES, ORIGINALS, OTHER
from mcutils.paper.stories import STORIES, tell
from mcutils.paper.walks import Walk, labels_of


def walked(*planted):
    """A route (its labels alone) and a walk for each (shape, labels)."""
    found = []
    for k, (shape, labels) in enumerate(planted):
        made = World(lambda _, shape=shape: shape, spread=0.0, seed=k)
        one = walk(made, **{"method": "npo", "kind": "linear", **labels})
        found.append((labels_of(one), one))
    return found


def told(*planted, **options):
    return {one.name: one for one in tell(walked(*planted), **options)}


def test_without_walks_every_story_says_what_was_not_found():
    found = told()
    assert list(found) == list(STORIES)
    assert all(one.path is None and one.text == STORIES[name].nothing for name, one in found.items())


def test_a_dip_above_the_retrained_level_is_no_return_and_one_below_it_is():
    above, below = Shape(dip=0.3, ends=(2.0, 2.0)), Shape(dip=0.4, ends=(1.0, 1.0))
    found = told((above, {"method": "npo"}), (below, {"method": "scrub"}))
    assert found["dip"].path["method"] == "npo" and found["return"].path["method"] == "scrub"
    assert "dips by 0.300 G" in found["dip"].text and "by 0.400 G" in found["return"].text
    assert found["healthy"].path is None and found["barrier"].path is None


def test_the_healthiest_pair_and_the_highest_barrier_are_taken():
    shapes = [Shape(), Shape(rise=0.05), Shape(rise=0.2), Shape(rise=0.6)]
    found = told(*((shape, {"method": name}) for shape, name in zip(shapes, "abcd", strict=True)))
    assert found["healthy"].path["method"] == "a" and found["barrier"].path["method"] == "d"
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
    assert shown.path["method"] == "scrub" and shown.beside["kind"] == "bezier" and "rises by 0.500 G" in shown.text
    assert shown.text.startswith(STORIES["barrier"].nothing) and "because its start did not forget: " in shown.text
    found = told((weak, {"method": "scrub"}), (sound, {}))
    assert found["barrier"].path["method"] == "npo" and "not judged" not in found["barrier"].text


def test_it_is_said_on_how_many_paths_it_is_so():
    found = told((Shape(), {}), (Shape(rise=0.2), {"end": 21}), (Shape(rise=0.3), {"end": 63}))
    assert found["healthy"].text.endswith("That is so on 1 of 3 paths between two seeds.")
    assert found["barrier"].text.endswith("That is so on 2 of 3 lines between two seeds.")


def test_the_other_path_between_the_same_ends_stands_beside():
    found = told((Shape(), {}), (Shape(rise=0.2), {"kind": "bezier"}))
    assert found["healthy"].path["kind"] == "linear" and found["healthy"].beside["kind"] == "bezier"
    assert told((Shape(), {}), (Shape(rise=0.2), {"kind": "bezier", "end": 21}))["healthy"].beside is None


def test_models_trained_apart_tell_theirs():
    apart = {"method": "original", "condition": ORIGINALS, "start": 0, "end": 1, "kind": "bezier"}
    again = {"condition": CURVES, "init": OTHER, "kind": "bezier"}
    found = told((Shape(rise=0.05), apart), (Shape(dip=0.2), again))
    assert found["apart"].path["condition"] == ORIGINALS and "original models 0 and 1" in found["apart"].text
    assert found["retrained"].path["condition"] == CURVES and "0.200 G" in found["retrained"].text


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
    assert apart in found["apart"].text and "straight line by 5.000 G" in found["apart"].text
    assert (
        retrained in found["retrained"].text and "(5.000 and 0.000 G on the straight line)" in found["retrained"].text
    )


def test_the_tolerance_decides():
    shape = Shape(rise=0.2)
    assert told((shape, {}))["barrier"].path is not None
    found = told((shape, {}), eps=0.3)
    assert found["barrier"].path is None and "within 0.3 G" in found["healthy"].text


def test_every_sentence_holds_a_number_of_its_path_only():
    one = walked((Shape(dip=0.3, ends=(2.0, 2.0)), {}))[0][1]
    assert isinstance(one, Walk)
    for name, story in STORIES.items():
        for beside in (None, one):
            text = story.says(one, beside, 0.1)
            assert text.endswith(".") and "nan" not in text and text[0].isupper(), name
