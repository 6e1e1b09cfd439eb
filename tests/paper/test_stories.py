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
    assert "dips by 0.30 G" in found["dip"].text and "by 0.40 G" in found["return"].text
    assert found["healthy"].path is None and found["barrier"].path is None


def test_the_healthiest_pair_and_the_highest_barrier_are_taken():
    shapes = [Shape(), Shape(rise=0.05), Shape(rise=0.2), Shape(rise=0.6)]
    found = told(*((shape, {"method": name}) for shape, name in zip(shapes, "abcd", strict=True)))
    assert found["healthy"].path["method"] == "a" and found["barrier"].path["method"] == "d"
    assert "rises by 0.60 G" in found["barrier"].text


@pytest.mark.parametrize(
    "shape,labels",
    [
        (Shape(rise=0.5, ends=(0.1, 0.1)), {}),  # ends that did not forget
        (Shape(rise=0.5, kept=0.9), {}),  # ends that lost what they should keep
        (Shape(rise=0.5), {"control": "other initialisation"}),
        (Shape(rise=0.5), {"form": "second pair"}),
        (Shape(rise=0.5), {"condition": "method", "other": "scrub"}),
        (Shape(rise=0.5), {"recipe": "authors"}),
    ],
)
def test_what_no_verdict_reads_tells_no_story(shape, labels):
    assert all(one.path is None for one in told((shape, labels)).values())


def test_the_other_path_between_the_same_ends_stands_beside():
    found = told((Shape(), {}), (Shape(rise=0.2), {"kind": "bezier"}))
    assert found["healthy"].path["kind"] == "linear" and found["healthy"].beside["kind"] == "bezier"
    assert told((Shape(), {}), (Shape(rise=0.2), {"kind": "bezier", "end": 21}))["healthy"].beside is None


def test_models_trained_apart_tell_theirs():
    apart = {"method": "original", "condition": ORIGINALS, "start": 0, "end": 1, "kind": "bezier"}
    again = {"condition": CURVES, "init": OTHER, "kind": "bezier"}
    found = told((Shape(rise=0.05), apart), (Shape(dip=0.2), again))
    assert found["apart"].path["condition"] == ORIGINALS and "original models 0 and 1" in found["apart"].text
    assert found["retrained"].path["condition"] == CURVES and "0.20 G" in found["retrained"].text


def test_the_tolerance_decides():
    shape = Shape(rise=0.2)
    assert told((shape, {}))["barrier"].path is not None
    found = told((shape, {}), eps=0.3)
    assert found["barrier"].path is None and "within 0.3 G" in found["healthy"].text


def test_every_sentence_holds_a_number_of_its_path_only():
    one = walked((Shape(dip=0.3, ends=(2.0, 2.0)), {}))[0][1]
    assert isinstance(one, Walk)
    for name, story in STORIES.items():
        text = story.says(one, 0.1)
        assert text.endswith(".") and "nan" not in text, name
