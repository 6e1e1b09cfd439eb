"""The explorer's widget: what its controls do, and that no bad use ends in anything but a sentence."""

import base64
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import synthetic
from test_explorer import rows

import mcutils as mc
from mcutils import experiments, widgets
from mcutils.metrics import measure, predictions
from mcutils.profiles import ProfileOf
from mcutils.reproduce import SHIPPED
from mcutils.settings import BadInput
from mcutils.specs import key
from mcutils.traces import Trace

pytest.importorskip("ipywidgets")
T = 5
PAIR = {"line": synthetic.trace(T, seed=1), "curve": synthetic.trace(3, seed=2)}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return mc.study("laptop", store=str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def specs(study):
    return experiments.explorer(study)


@pytest.fixture
def small(specs, tmp_path):
    """A store of one's own with the shipped line and curve, of which the line has a trace."""
    line, curve, _ = specs
    copy(tmp_path, line, line.trace, curve)
    return tmp_path


def copy(folder, *wanted):
    for spec in wanted:
        for suffix in (".npz", ".json"):
            shutil.copy(SHIPPED / f"{key(spec)}{suffix}", folder)


def alive(one):
    """Whether the widget still moves: another point shows other values."""
    before = one._frame.value
    one.slider.value = (one.slider.value + 1) % (one.slider.max + 1)
    return one._frame.value != before and f"data-k='{one.slider.value}'" in one._frame.value


# What it does


def test_moving_sends_only_a_frame():
    one = mc.explore(PAIR, path="line", t=0)
    assert one.message == ""
    still = one._static.value, one._drawing.value
    values = measure(PAIR["line"], "loss_forget")["loss_forget"]
    for k in (1, 3, 4, 0):
        one.slider.value = k
        assert rows(one._frame.value)["loss_forget", "t"] == [values[k]] and one.view.k == k
    assert (one._static.value, one._drawing.value) == still


def test_play_and_slider_move_together_in_the_browser():
    one = mc.explore(PAIR, path="line")
    assert (one.play.max, one.slider.max, one.play.value) == (T - 1, T - 1, one.slider.value)
    assert one._link.source == (one.play, "value") and one._link.target == (one.slider, "value")


def test_it_begins_in_the_middle_and_where_it_is_told():
    assert mc.explore(PAIR, path="line").view.k == 2
    assert mc.explore(PAIR, path="line", t=0.8).view.k == 3
    one = mc.explore(
        PAIR, path="curve", t=1.0, metric="accuracy", splits=["test"], eps=0.3, compare="line", beside=True
    )
    view = one.view
    assert (view.path, view.k, view.metric, view.splits, view.eps) == ("curve", 2, "accuracy", ("test",), 0.3)
    assert (view.compare, view.beside, one.mode.value, one.other.value) == ("line", True, "side by side", "line")
    assert one.metric.value == "accuracy" and [s for s, b in one.splits.items() if b.value] == ["test"]


def test_controls_change_the_view():
    one = mc.explore(PAIR, path="line")
    one.metric.value = "accuracy"
    assert one.view.metric == "accuracy" and "forget accuracy (%)" in one._drawing.value
    one.splits["test"].value = True
    assert one.scene.metrics == ("accuracy_retain", "accuracy_forget", "accuracy_test")
    one.metric.value = "UA"
    assert one.scene.metrics == ("UA",) and all(b.disabled for b in one.splits.values())
    one.metric.value = "loss"
    assert one.scene.metrics == ("loss_retain", "loss_forget", "loss_test")
    one.eps.value = 0.5
    assert one.view.eps == 0.5 and "MCU(0.5" in one._drawing.value
    one.mode.value = "overlaid"
    assert one.view.compare == "curve" and not one.view.beside and "dot cb" in one._drawing.value
    one.mode.value = "side by side"
    assert one.view.beside
    one.mode.value = "no"
    assert one.view.compare == "" and one.message == ""
    assert not one.after.disabled and one.before.disabled
    one.after.click()
    assert one.view.page == 1 and one.after.disabled and not one.before.disabled


def test_a_wide_tolerance_stays_when_something_else_changes():
    one = mc.explore(PAIR, path="line", eps=2.5)
    one.metric.value = "accuracy"
    assert one.view.eps == one.eps.value == 2.5


def test_another_path_keeps_t_where_it_was():
    one = mc.explore(PAIR, path="line", t=1.0)
    one.picks["path"].value = "curve"
    assert one.view.path == "curve" and one.view.k == 2 == one.slider.max == one.slider.value
    one.picks["path"].value = "line"
    assert one.view.k == 4


def test_choices_of_a_store_jump_to_the_nearest_path_and_tell(study, specs):
    one = mc.explore(study, path=key(specs[0]), t=0.5)
    one.picks["curve"].value = "bezier"
    assert one.view.path == key(specs[1]) and one.message == "", "the same ends, and a recipe since it is fitted"
    found, trace = one.scene.numbers[0].forgotten, study.store.get(specs[1].trace)
    rows_ = {int(row): j for j, row in enumerate(trace.index["forget"])}
    place = rows_[int(found.rows[0])]
    assert found.predicted[15, 0] == predictions(trace, "forget")[15, place]
    one.picks["start method"].value = "scrub"
    picks = one.sources[one.view.path].picks
    assert (picks["start method"], picks["end method"], picks["curve"]) == ("scrub", "scrub", "bezier")
    assert "the nearest has end method scrub" in one.message and "details" not in one.message
    assert "no trace of this path is stored" in one._frame.value and one.after.disabled
    assert alive(one)


def test_a_path_is_named_by_its_specs_too(study, specs):
    line, curve, _ = specs
    one = mc.explore(study, path=line.trace.model, compare=curve.trace)
    assert one.message == "" and (one.view.path, one.view.compare) == (key(line), key(curve))
    gone = mc.explore(study, path=study.path(*study.ends("random", ["npo"], (1, 2))))
    assert "is not stored" in gone.message and gone.scene is not None


def test_choices_without_a_path_or_a_trace_say_so(study, specs):
    one = mc.explore(study, path=key(specs[0]))
    curves = {value: text for text, value in one.picks["curve"].options}
    assert curves == {"linear": "linear", "bezier": "Bézier", "chain": "chain: nothing stored"}
    methods = {value: text for text, value in one.picks["start method"].options}
    assert methods["npo"] == "NPO" and methods["scrub"] == "SCRUB: changes others too"
    one.picks["start method"].value = "scrub"
    seeds = {value: text for text, value in one.picks["end seed"].options}
    assert "no trace, curves only" in seeds[one.picks["end seed"].value]


def test_the_code_shows_the_same_view(study, specs):
    one = mc.explore(study, path=key(specs[0]), t=0.3, eps=0.2, metric="accuracy", compare=key(specs[1]))
    one.after.click()
    copied = re.search(r"data-code='([^']*)'", one._copy.value)
    assert copied and "mc.explore(mc.study(&quot;laptop&quot;)" in copied.group(1)
    names = {}
    code = one.code.replace("mc.explore(", "again = mc.explore(").replace('mc.study("laptop")', "study")
    exec(code, {"study": study}, names)
    assert names["again"].view == one.view


def test_it_is_saved_as_picture_and_page(tmp_path):
    one = mc.explore(PAIR, path="line", folder=tmp_path / "new")
    for kind in ("png", "html"):
        one.saves[kind].click()
        assert one.message == f"Saved {tmp_path / 'new'}/line_2.{kind}."
    heads = {"png": b"\x89PNG", "svg": b"<?xml", "html": b"<!DOCTYPE html>"}
    found = {kind: (tmp_path / "new" / f"line_2.{kind}").read_bytes() for kind in heads}
    assert all(found[kind].startswith(head) for kind, head in heads.items())
    assert one.page() == found["html"].decode()
    one.slider.value = 1
    assert "t = 0.250" in one.figure().get_suptitle()


def test_without_a_kernel_a_picture_stands_in():
    one = mc.explore(PAIR, path="line")
    data, metadata = one._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"}
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == metadata["image/png"]["alt"] == one.scene.alt(2)
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == one.widget.model_id
    json.dumps([data, metadata])


def test_many_moves_keep_nothing():
    one = mc.explore(PAIR, path="line")
    for k in range(200):
        one.slider.value = k % T
    assert len(one.scene._frames) == T and len(one._kept) == 1
    many = mc.explore({str(k): synthetic.trace(3, n=4, seed=k) for k in range(20)})
    for k in range(20):
        many.picks["path"].value = str(k)
    assert len(many._kept) <= widgets.KEPT


def test_importing_it_loads_no_widgets():
    code = "import sys, mcutils, mcutils.widgets; print('ipywidgets' in sys.modules, mcutils.explore.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "explore"]


# Bad uses: nothing to show


def broken_trace(**parts):
    one = synthetic.trace(T)
    return Trace(**{**{n: getattr(one, n) for n in ("t", "logits", "labels", "index", "meta")}, **parts})


class Wild:
    """Something that behaves like nothing else."""

    def __getattr__(self, name):
        raise RuntimeError("wild")


HOPELESS = {
    "nothing": (lambda: None, {}),
    "a number": (lambda: 3, {}),
    "an object": (lambda: Wild(), {}),
    "a function": (lambda: len, {}),
    "an empty list": (lambda: [], {}),
    "an empty dictionary": (lambda: {}, {}),
    "a list of numbers": (lambda: [1, 2], {}),
    "a dictionary of text": (lambda: {"a": "b"}, {}),
    "no folder": (lambda: "no/such/folder", {}),
    "a file": (lambda: __file__, {}),
    "a store of weights only": (lambda: "empty", {}),
    "a single model": (lambda: synthetic.trace(1), {}),
    "half a path": (lambda: broken_trace(t=np.linspace(0, 0.5, T)), {}),
    "a path that goes back": (lambda: broken_trace(t=np.array([0, 0.5, 0.4, 0.8, 1])), {}),
    "too few logits": (lambda: broken_trace(t=np.linspace(0, 1, 4)), {}),
    "a profile of a model": (lambda: ProfileOf({"t": np.zeros(1), "gap": np.float64(1)}), {}),
    "a gap below zero": (lambda: PAIR, {"gap": -1.0}),
    "a gap of text": (lambda: PAIR, {"gap": "wide"}),
    "a curve for the original": (lambda: PAIR, {"original": PAIR["line"]}),
    "text for the retrained": (lambda: PAIR, {"retrained": "model"}),
    "no forget, no retain": (lambda: broken_trace(logits={}, labels={}, index={}), {}),
}


@pytest.mark.parametrize("name", HOPELESS)
def test_hopeless_arguments_give_a_message_and_no_error(name, tmp_path):
    given, options = HOPELESS[name]
    given = str(tmp_path) if given() == "empty" else given()
    one = mc.explore(given, **options)
    assert len(one.message) > 15 and "Traceback" not in one.message
    assert one.message.split()[0] in one._status.value and "aria-live='polite'" in one._status.value
    shown = one._repr_mimebundle_()
    assert one.message in (shown if isinstance(shown, dict) else shown[0])["text/plain"] or one.scene
    one.go(0.5)
    for use in (one.page, one.figure):
        if one.scene is None:
            with pytest.raises(BadInput, match="nothing to show"):
                use()
    one.close()


# Bad uses: the view that was asked for is not there, another is

OPTIONS = {
    "no such path": ({"path": "zero"}, "no path is named 'zero'"),
    "no such metric": ({"metric": "joy"}, "unknown metric 'joy'"),
    "no metric": ({"metric": None}, "metric"),
    "no such split": ({"splits": ["nowhere"]}, "unknown split 'nowhere'"),
    "splits of a number": ({"splits": 3}, "splits cannot be 3"),
    "eps below zero": ({"eps": -1}, "eps must be"),
    "eps of text": ({"eps": "a"}, "eps must be"),
    "eps not a number": ({"eps": np.nan}, "eps must be"),
    "t beyond the end": ({"t": 2}, "t must be a number from 0 to 1"),
    "t of text": ({"t": "x"}, "t must be"),
    "t not a number": ({"t": np.nan}, "t must be"),
    "no such comparison": ({"compare": "zero"}, "no path is named 'zero'"),
    "page below zero": ({"page": -1}, "page must be"),
    "page of text": ({"page": "x"}, "page must be"),
    "two things at once": ({"metric": "joy", "t": 7}, "t must be"),
    "a list for a path": ({"path": ["line"]}, "path cannot be"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_wrong_options_give_a_message_beside_another_view(name):
    options, says = OPTIONS[name]
    one = mc.explore(PAIR, **options)
    assert says in one.message and one.scene is not None and alive(one)


# Bad uses: something happens to a widget that was well


def unlisted(one, small):
    one.picks["curve"].value = "chain"
    return "no path with curve chain is stored"


def no_splits(one, small):
    for button in one.splits.values():
        button.value = False
    return "at least one split"


def vanished(one, small):
    for path in small.glob("profile-*.npz"):
        path.unlink()
    one.picks["curve"].value = "bezier"
    assert one.picks["curve"].value == "linear"
    return "the store has changed"


def damaged(one, small):
    for path in small.glob("profile-*.npz"):
        path.write_bytes(b"x")
    one.mode.value = "overlaid"
    assert one.mode.value == "no"
    return "its checksum differs"


def strange_t(one, small):
    one.go("middle")
    return "t must be a number"


def no_such_kind(one, small):
    one._saved("gif")
    return "png, svg or html"


def no_place_to_save(one, small):
    (small / "file").write_text("")
    one.folder = small / "file"
    one.saves["html"].click()
    return "cannot write"


def no_place_for_pictures(one, small):
    (small / "file").write_text("")
    one.folder = small / "file"
    one.saves["png"].click()
    return "cannot write"


def a_reader_that_fails(one, small):
    other = next(s for s in one.sources.values() if s.name != one.view.path)
    object.__setattr__(other, "read", lambda: 1 / 0)
    one.picks["curve"].value = other.picks["curve"]
    assert one.picks["curve"].value == "linear"
    return "that did not work (ZeroDivisionError"


def a_frame_that_fails(one, small):
    one.scene._frames.clear()
    object.__setattr__(one.scene, "_grid", lambda at: 1 / 0)
    one.slider.value = 0
    object.__delattr__(one.scene, "_grid")
    return "that did not work (ZeroDivisionError"


HAPPENINGS = [
    unlisted, no_splits, vanished, damaged, strange_t, no_such_kind, no_place_to_save, no_place_for_pictures,
    a_reader_that_fails, a_frame_that_fails,
]  # fmt: skip


@pytest.mark.parametrize("happens", HAPPENINGS, ids=lambda f: f.__name__)
def test_what_happens_to_a_widget_is_told_and_survived(happens, small, specs):
    one = mc.explore(small, path=key(specs[0]), t=0.5, folder=small / "out")
    assert one.message == ""
    says = happens(one, small)
    assert says in one.message and one.view.path == key(specs[0])
    assert alive(one)


def test_turning_beyond_the_last_page_stays_there(small, specs):
    one = mc.explore(small, path=key(specs[0]), page=10_000)
    assert one.view.page == one.scene.pages - 1 == 37
    one._turned(1)
    assert one.view.page == 37 and alive(one)


def test_a_metric_that_the_path_lacks_is_told_in_words():
    one = mc.explore(PAIR, path="line")
    one.metric.value = "js_retrained"
    assert one.message == "There is no forget js retrained of this path: needs the retrained model."
    assert "No forget js retrained" in one._drawing.value and alive(one)
    one.metric.value = "loss"
    assert one.message == "" and "forget loss" in one._drawing.value
    assert mc.explore(PAIR, path="line", metric="zrf").message.endswith("needs the random model.")


def test_a_metric_that_is_nan_is_shown_as_such():
    trace = synthetic.trace(T)
    trace.logits["retain"][1] = np.nan
    one = mc.explore(trace, t=0.25)
    assert "not finite" in one._frame.value and one.message == "" and alive(one)


def test_a_trace_without_a_forget_split_has_curves_and_no_images():
    kept = ("retain", "test")
    parts = {n: {s: v for s, v in getattr(PAIR["line"], n).items() if s in kept} for n in ("logits", "labels", "index")}
    one = mc.explore(broken_trace(**parts))
    assert "the trace holds no forget split" in one._frame.value and "No forget loss" in one._drawing.value
    assert alive(one) and "cannot be told" in one._drawing.value


def test_two_points_are_a_path():
    one = mc.explore(synthetic.trace(2))
    assert one.message == "" and alive(one)


def test_closed_is_quiet():
    one = mc.explore(PAIR, path="line")
    one.close()
    one.slider.value = 1
    one.metric.value = "accuracy"
    one.go(0.75)
    one.close()
    assert one.view.k == 3 and one.view.metric == "accuracy"


def test_two_at_once_do_not_touch_each_other():
    a, b = mc.explore(PAIR, path="line", t=0), mc.explore(PAIR, path="line", t=0)
    before = b._frame.value
    a.slider.value = 3
    assert b._frame.value == before and b.view.k == 0
    scopes = [re.search(r"<style>\.(mcx\d+)", one._frame.value).group(1) for one in (a, b)]
    assert scopes[0] != scopes[1] and f".{scopes[0]}" not in b._frame.value


def test_there_are_forty_bad_uses():
    assert len(HOPELESS) + len(OPTIONS) + len(HAPPENINGS) >= 40
