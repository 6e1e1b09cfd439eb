"""The explorer's widget: what it answers to a browser, and that no bad use ends in anything but a sentence."""

import base64
import gc
import importlib
import io
import json
import sys
import weakref
from functools import partial

import numpy as np
import pytest
import synthetic

import mcutils as mc
from mcutils.data.tasks import load_task
from mcutils.engine.specs import key
from mcutils.errors import BadInput
from mcutils.explorer import page as pages, sources, widget as widgets
from mcutils.explorer.scene import extreme
from mcutils.measures.metrics import measure, predictions
from mcutils.measures.profiles import Profile
from mcutils.paper.experiments import explorer, profiles, seeds
from mcutils.traces import Trace

pytest.importorskip("anywidget")
ALIVE = importlib.import_module("ipywidgets.widgets.widget")._instances
T = 5
PAIR = {"line": synthetic.trace(T, seed=1), "curve": synthetic.trace(3, seed=2)}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return mc.study("laptop", store=str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def specs(study):
    return explorer(study)


@pytest.fixture
def small(specs, tmp_path):
    """A store of one's own with the shipped line and curve, of which the line has a trace."""
    line, curve, _ = specs
    synthetic.copy_shipped(tmp_path, line, line.trace, curve)
    return tmp_path


def move(one, **state):
    """What the browser writes when its reader moves or chooses something that it can draw by itself."""
    one.widget.here = {**one.scene.state, **state}


def ask(one, does, **more):
    """What the browser asks a kernel for."""
    one._asked(one.widget, {"does": does, **more}, [])


def options(one, axis):
    """Value -> words of what can be chosen on an axis, as the browser was told."""
    picks = one.widget.there["offers"]["picks"]
    return next((dict(pick["options"]) for pick in picks if pick["axis"] == axis), {})


def told(one):
    """The chapter of the path that is shown, as the browser has it."""
    return next(c for c in one.widget.book["chapters"] if c["name"] == one.widget.there["state"]["path"])


def alive(one):
    """Whether the widget still moves: another point is shown in the browser and known here."""
    last = len(told(one)["t"]) - 1
    k = (one.view.k + 1) % (last + 1)
    move(one, k=k)
    there = one.view.k == k
    one.go(float(one.scene.t[0]))
    return there and one.widget.there["state"]["k"] == 0 and one.view.k == 0


# What it does


def test_moving_sends_nothing_back():
    """What the browser writes is not written again: no echo of the kernel can move its slider."""
    one = mc.explore(PAIR, path="line", t=0)
    assert one.message == ""
    sent = []
    one.widget.send_state = lambda key=None: sent.append(key)
    for k in (1, 3, 4, 0):
        move(one, k=k)
        assert one.view.k == k and one.t == one.scene.t[k]
    assert not [key for key in sent if key and key != "here"]
    values = measure(PAIR["line"], "loss_forget")["loss_forget"]
    assert told(one)["values"]["loss_forget"] == values.tolist()


def test_two_widgets_are_all_there_is():
    before = set(ALIVE)
    one = mc.explore(PAIR, path="line")
    assert len(set(ALIVE) - before) == 2, "the panel and its layout"
    json.dumps({name: getattr(one.widget, name) for name in ("book", "pictures", "there")}, allow_nan=False)


def test_it_begins_in_the_middle_and_where_it_is_told():
    assert mc.explore(PAIR, path="line").view.k == 2
    assert mc.explore(PAIR, path="line", t=0.8).view.k == 3
    one = mc.explore(
        PAIR, path="curve", t=1.0, metric="accuracy", splits=["test"], eps=0.3, compare="line", beside=True
    )
    view = one.view
    assert (view.path, view.k, view.metric, view.splits, view.eps) == ("curve", 2, "accuracy", ("test",), 0.3)
    assert (view.compare, view.beside) == ("line", True)
    expected = {"path": "curve", "k": 2, "metric": "accuracy", "splits": ["test"], "eps": 0.3, "compare": "line"}
    assert one.widget.there["state"] == {**expected, "beside": True, "page": 0}
    assert [chapter["name"] for chapter in one.widget.book["chapters"]] == ["curve", "line"]


def test_t_is_read_and_set():
    one = mc.explore(PAIR, path="line", t=0.25)
    assert one.t == 0.25
    one.t = 0.7
    assert one.t == 0.75 and one.view.k == 3 == one.widget.there["state"]["k"]
    one.t = "far"
    assert one.t == 0.75 and "t must be a finite number" in one.message


def test_what_the_browser_shows_is_the_view():
    one = mc.explore(PAIR, path="line", compare="curve")
    move(one, metric="accuracy", splits=["retain", "test"], eps=0.5, beside=True, page=1)
    assert one.scene.metrics == ("accuracy_retain", "accuracy_test") and one.view.eps == 0.5 and one.view.page == 1
    assert one.view.beside and one.view.compare == "curve" and one.message == ""
    move(one, compare="")
    assert one.view.compare == "" and len(one.scene.sources) == 1
    ask(one, "compare", name="curve", beside=False)
    assert one.view.compare == "curve" and not one.view.beside
    assert len(one.widget.book["chapters"]) == 2


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"k": -1}, "k must be"),
        ({"k": 0.5}, "k must be"),
        ({"metric": "joy"}, "unknown metric 'joy'"),
        ({"splits": ["nowhere"]}, "unknown split 'nowhere'"),
        ({"splits": None}, "that did not work"),
        ({"eps": None}, "eps must be"),
        ({"eps": -1}, "eps must be"),
        ({"compare": "zero"}, "unknown path 'zero'"),
        ({"page": "x"}, "page must be"),
    ],
)
def test_a_browser_that_says_nonsense_is_told(state, says):
    one = mc.explore(PAIR, path="line")
    before = one.view
    move(one, **state)
    assert says in one.message and one.view == before and alive(one)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"does": "fly"}, "unknown request 'fly'"),
        ({}, "unknown request ''"),
        ({"does": ["save"]}, "unknown request"),
        ({"does": "save"}, "that did not work (TypeError"),
        ({"does": "save", "kind": "html", "path": "/etc"}, "that did not work (TypeError"),
        ({"does": "pick", "axis": "path", "value": "zero"}, "that did not work (KeyError"),
        ({"does": "compare", "name": "zero", "beside": False}, "unknown path 'zero'"),
        ("nothing", "that did not work"),
    ],
)
def test_a_browser_that_asks_for_nonsense_is_told(asked, says):
    one = mc.explore(PAIR, path="line")
    one._asked(one.widget, asked, [])
    assert says in one.message and one.view.path == "line" and alive(one)


def test_another_path_keeps_t_where_it_was():
    one = mc.explore(PAIR, path="line", t=1.0)
    ask(one, "pick", axis="path", value="curve")
    assert one.view.path == "curve" and one.view.k == 2 == one.widget.there["state"]["k"]
    assert told(one)["t"] == [0, 0.5, 1]
    ask(one, "pick", axis="path", value="line")
    assert one.view.k == 4


def test_choices_of_a_store_jump_to_the_nearest_path_and_tell(study, specs, listed):
    one = mc.explore(study, path=key(specs[0]), t=0.5)
    ask(one, "pick", axis="curve", value="bezier")
    shown = one.sources[one.view.path]
    assert key(specs[1].trace) in shown.specs and shown.picks["reading"].startswith("normal")
    assert one.message == "The nearest stored path also has recipe corrected."
    found, trace = one.scene.numbers[0].forgotten, study.store.get(specs[1].trace)
    rows_ = {int(row): j for j, row in enumerate(trace.index["forget"])}
    place = rows_[int(found.rows[0])]
    assert found.predicted[15, 0] == predictions(trace, "forget")[15, place]
    assert told(one)["images"]["rows"] == found.rows.tolist() == one.widget.pictures["rows"]
    ask(one, "pick", axis="start method", value="scrub")
    picks = one.sources[one.view.path].picks
    assert (picks["start method"], picks["end method"], picks["curve"]) == ("scrub", "scrub", "bezier")
    assert one.message == one.widget.message == "The nearest stored path also has end method SCRUB."
    assert told(one)["why"] == "" and len(told(one)["images"]["rows"]) > 0, "every method's first pair has images"
    ask(one, "pick", axis="end method", value="l1_sparse")
    assert "no trace of this path is stored" in told(one)["why"] and told(one)["images"] is None
    assert alive(one)


@pytest.fixture(scope="module")
def found(study):
    return sources.sources(study)


@pytest.fixture
def listed(monkeypatch, found):
    """The study's paths are listed once for all tests that use this."""
    monkeypatch.setattr(widgets, "sources", lambda *given, **options: found)


@pytest.fixture(scope="module")
def ledger(study, found):
    """Profiles of 02_seeds by key, and the retain accuracy of each of their endpoints by what it is picked by."""
    routes, named = seeds(study), {one.name: one for one in found}
    wanted = profiles(study, routes)
    walked = dict(zip(map(key, wanted), zip(routes, study.run(wanted), strict=True), strict=True))
    ends = {}
    for name, (route, profile) in walked.items():
        if not (route.control or route.aside):  # another draw of the forget set is no path of this study
            ends |= dict(zip(ends_of(named[name]), profile.metric("accuracy_retain")[[0, -1]], strict=True))
    return walked, ends


def ends_of(source):
    return [tuple(source.picks[f"{end} {part}"] for part in sources.ENDS) for end in ("start", "end")]


def test_every_choice_of_a_method_shows_what_the_ledger_says(study, ledger, listed):
    walked, ends = ledger
    one = mc.explore(study)
    first, methods = one.view, list(options(one, "start method"))
    assert set(methods) >= set(study.preset.methods) and first.path in walked
    seen = set()
    for curve, axes in (("bezier", ["start method"]), ("linear", ["start method", "end method"])):
        one._go(first)
        ask(one, "pick", axis="curve", value=curve)
        begun = one.view
        for axis in axes:
            for method in methods:
                one._go(begun)
                before = one.sources[begun.path].picks
                if method not in options(one, axis):
                    continue
                ask(one, "pick", axis=axis, value=method)
                shown, numbers = one.sources[one.view.path], one.scene.numbers[0]
                assert shown.picks[axis] == method and shown.rank[0] == 0
                for pick, value in shown.picks.items():
                    changed = pick != axis and value != before[pick]
                    assert (f"{pick} {sources.said(value)}" in one.message) == changed, "every change is named"
                if method in study.preset.methods:
                    assert numbers.values("accuracy_retain")[[0, -1]] == pytest.approx(
                        [ends[e] for e in ends_of(shown)]
                    )
                if one.view.path in walked:
                    route, profile = walked[one.view.path]
                    sizes = [extreme(numbers, name)[2] for name in ("loss_retain", "loss_forget")]
                    own = {side: profile.extreme(side) / profile.gap for side in ("barrier", "deficit")}
                    assert sizes == [f"{side} {value:.3f} G" for side, value in own.items()]
                    assert told(one)["values"]["loss_forget"] == numbers.values("loss_forget").tolist()
                    assert told(one)["gap"] == numbers.gap
                    seen.add((route.method, route.kind))
    assert {m for m, _ in seen} == set(study.preset.methods), "each method has been shown as 02 has it"


def test_every_listed_path_keeps_its_ends_unless_it_says_otherwise(ledger, found):
    _, ends = ledger
    off, told = {}, 0
    for name, one in ((one.name, one) for one in found):
        if any(end not in ends for end in ends_of(one)) or "% forgotten" in one.picks["reading"].split("data, ")[0]:
            continue
        if len({one.picks[f"{end} seed"].partition(" on ")[2] for end in ("start", "end")}) > 1:
            continue  # the end is read on the retain set of the start's original
        got = Profile.load(io.BytesIO(synthetic.shipped(f"{name}.npz"))).metric("accuracy_retain")[[0, -1]]
        off[name] = float(np.abs(got - [ends[end] for end in ends_of(one)]).max())
        told += one.rank[0] > 0
        assert one.rank[0] > 0 or off[name] < 1e-6, one.picks
    assert told > 50 and max(off.values()) > 0.3, "without the refresh the ends are other models"


def test_a_path_is_named_by_its_specs_too(study, specs, listed):
    line, curve, _ = specs
    one = mc.explore(study, path=line.trace.model, compare=curve.trace)
    normal = [key(study.profile(spec.trace.model)) for spec in (line, curve)]
    assert one.message == "" and [one.view.path, one.view.compare] == normal
    assert mc.explore(study, line).view.path == key(line)
    pair = line.trace.model.start, line.trace.model.end
    for wanted in (pair, list(pair), "linear, NPO 42 to NPO 87"):
        assert mc.explore(study, wanted).sources[one.view.path].picks["reading"].startswith("normal")
    for wanted in (study.path(*study.ends("random", ["npo"], (1, 2))), study.ends("random", ["npo"], (1, 2))):
        with pytest.raises(BadInput, match="is not stored"):
            mc.explore(study, wanted)


def test_choices_without_a_path_or_a_trace_say_so(study, specs, listed):
    one = mc.explore(study, path=key(specs[0]))
    assert options(one, "curve") == {"linear": "linear", "bezier": "Bézier"}, "what is stored, in words"
    methods = options(one, "start method")
    assert methods["npo"] == "NPO" and methods["scrub"] == "SCRUB: changes others too"
    ask(one, "pick", axis="start method", value="scrub")
    assert "no trace" not in options(one, "end method")["scrub"]
    ask(one, "pick", axis="end method", value="l1_sparse")
    assert "no trace, curves only" in options(one, "end method")["l1_sparse"]
    offered = [pick["axis"] for pick in one.widget.there["offers"]["picks"]]
    assert all(len(options(one, axis)) > 1 for axis in offered), "what leaves no choice is no control"


def test_seeds_are_offered_in_order_and_a_choice_stays_with_its_original(study, specs, listed):
    one = mc.explore(study, path=key(specs[0]))
    seeds = list(options(one, "end seed"))
    assert seeds[:8] == sorted(seeds[:8], key=int) and seeds.index("87 on original 2") < seeds.index("87 on original 7")
    ask(one, "pick", axis="start method", value="original")
    assert one.sources[one.view.path].draw == 0
    ask(one, "pick", axis="start seed", value="3")
    ask(one, "pick", axis="start method", value="retrained")
    assert one.sources[one.view.path].draw == 3


def test_the_code_shows_the_same_view(study, specs, listed):
    one = mc.explore(study, path=key(specs[0]), t=0.3, eps=0.2, metric="accuracy", compare=key(specs[1]))
    move(one, page=1)
    assert one.widget.there["offers"]["given"].startswith("mc.study('laptop'") and one.view.page == 1
    names = {}
    exec(one.code.replace("mc.explore(", "again = mc.explore("), {}, names)
    assert names["again"].view == one.view


def test_it_is_saved_as_picture_and_page(tmp_path):
    one = mc.explore(PAIR, path="line", folder=tmp_path / "new")
    for kind in ("png", "svg", "html"):
        ask(one, "save", kind=kind)
        assert one.message == f"Saved {tmp_path / 'new'}/line_2.{kind}."
    heads = {"png": b"\x89PNG", "svg": b"<?xml", "html": b"<!DOCTYPE html>"}
    found = {kind: (tmp_path / "new" / f"line_2.{kind}").read_bytes() for kind in heads}
    assert all(found[kind].startswith(head) for kind, head in heads.items())
    assert one.page() == found["html"].decode()
    move(one, k=1)
    assert "t = 0.250" in one.figure().get_suptitle()


def test_a_page_takes_the_other_curve_along_to_be_compared(specs, tmp_path):
    line, curve, _ = specs
    synthetic.copy_shipped(tmp_path, line, line.trace, curve, curve.trace)
    one = mc.explore(tmp_path, path=key(line), folder=tmp_path)
    data = json.loads(one.page().split('id="data">')[1].split("</script>")[0])
    assert [chapter["kind"] for chapter in data["book"]["chapters"]] == ["linear", "Bézier"]
    assert data["state"]["compare"] == "" and len(one.widget.book["chapters"]) == 1
    alone = mc.explore(PAIR, path="line").page()
    assert len(json.loads(alone.split('id="data">')[1].split("</script>")[0])["book"]["chapters"]) == 1


def test_without_a_kernel_a_picture_stands_in():
    one = mc.explore(PAIR, path="line")
    data, metadata = one._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"}
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == metadata["image/png"]["alt"] == one.scene.alt(2)
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == one.widget.model_id
    json.dumps([data, metadata])


def test_an_environment_without_anywidget_shows_a_picture(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.setattr(widgets, "panel_kind", pages.panel_kind.__wrapped__)
    one = mc.explore(PAIR, path="line", t=0.25)
    assert one.message == pages.STILL and one.t == 0.25
    data, _ = one._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png"}
    one.t = 1
    assert one.view.k == 4 and one.page() and one.close().message == pages.STILL


def test_many_moves_keep_nothing():
    one = mc.explore(PAIR, path="line")
    for k in range(200):
        move(one, k=k % T)
    assert len(one._kept) == 1
    many = mc.explore({str(k): synthetic.trace(3, n=4, seed=k) for k in range(20)})
    for k in range(20):
        ask(many, "pick", axis="path", value=str(k))
    assert len(many._kept) <= widgets.KEPT


# Bad uses: nothing to show


def broken_trace(**parts):
    one = synthetic.trace(T)
    return Trace(**{**{n: getattr(one, n) for n in ("t", "logits", "labels", "index", "meta")}, **parts})


class Wild:
    """Something that behaves like nothing else."""

    def __getattr__(self, name):
        raise RuntimeError("wild")


def with_split(name, part, values):
    one = synthetic.trace(T)
    return broken_trace(**{part: {**getattr(one, part), name: values}})


OTHER_TASK = load_task("digits", 0.1)
GIVEN = {  # what cannot be explored, and a piece of the sentence that says so
    "nothing": (None, "got NoneType"),
    "a number": (3, "got int"),
    "a truth": (True, "got bool"),
    "an object": (Wild(), "got Wild"),
    "a class": (Wild, "got type"),
    "a function": (len, "got builtin"),
    "an array": (np.zeros(3), "got ndarray"),
    "a set": ({1}, "got set"),
    "bytes": (b"store", "got bytes"),
    "an empty list": ([], "nothing to explore"),
    "an empty dictionary": ({}, "nothing to explore"),
    "a list of numbers": ([1, 2], "neither a trace nor a profile"),
    "a dictionary of text": ({"a": "b"}, "neither a trace nor a profile"),
    "two names that read alike": ({1: PAIR["line"], "1": PAIR["curve"]}, "one name"),
    "no folder": ("no/such/folder", "there is no store"),
    "an empty name": ("", "must name a file or folder"),
    "a nul": ("a\0b", "must name a file or folder"),
    "nobody's home": ("~nosuchuser/store", "not known here"),
    "a file": (__file__, "there is no store"),
    "an endpoint's trace": (synthetic.trace(1), "no path"),
    "half a path": (broken_trace(t=np.linspace(0, 0.5, T)), "from t = 0 to t = 1"),
    "a path that goes back": (broken_trace(t=np.array([0, 0.5, 0.4, 0.8, 1])), "increasing"),
    "t of text": (broken_trace(t=np.array(list("01234"))), "from t = 0 to t = 1"),
    "t not a number": (broken_trace(t=np.array([0, np.nan, 0.5, 0.7, 1])), "increasing"),
    "too few logits": (broken_trace(t=np.linspace(0, 1, 4)), "must be (4, N, K)"),
    "flat logits": (with_split("test", "logits", np.zeros((T, 40))), "test logits of"),
    "one class": (with_split("test", "logits", np.zeros((T, 40, 1))), "two or more"),
    "whole logits": (with_split("test", "logits", np.zeros((T, 40, 4), int)), "real numbers"),
    "labels beyond the classes": (with_split("forget", "labels", np.full(40, 4)), "must lie from 0 to 3"),
    "labels below zero": (with_split("forget", "labels", np.full(40, -100)), "must lie from 0 to 3"),
    "labels of text": (with_split("forget", "labels", np.array(["a"] * 40)), "a whole number as label"),
    "no rows": (with_split("forget", "index", np.arange(3)), "rows of shape (3,)"),
    "no such split": (with_split("secret", "logits", np.zeros((T, 0, 4))), "unknown split 'secret'"),
    "no logits": (broken_trace(logits={}, labels={}, index={}), "no logits"),
    "a profile of a model": (Profile({"t": np.zeros(1), "gap": np.float64(1)}), "no path"),
}
OPTIONS = {
    "no such path": ({"path": "zero"}, "no path is named 'zero'"),
    "a number for a path": ({"path": 3}, "a path is named by"),
    "a list for a path": ({"path": ["line"]}, "a path is named by"),
    "two names for a path": ({"path": ["line", "curve"]}, "a path is named by"),
    "an array for a path": ({"path": np.zeros(2)}, "a path is named by"),
    "no such comparison": ({"compare": "zero"}, "no path is named 'zero'"),
    "a truth for a comparison": ({"compare": True}, "a path is named by"),
    "no such metric": ({"metric": "joy"}, "unknown metric 'joy'"),
    "no metric": ({"metric": None}, "unknown metric None"),
    "a list for a metric": ({"metric": ["loss"]}, "unknown metric ['loss']"),
    "no such split": ({"splits": ["nowhere"]}, "unknown split 'nowhere'"),
    "splits of numbers": ({"splits": [1]}, "unknown split 1"),
    "splits of a number": ({"splits": 3}, "splits is a list of"),
    "no splits": ({"splits": []}, "splits is a list of"),
    "eps below zero": ({"eps": -1}, "eps must be"),
    "eps of text": ({"eps": "a"}, "eps must be"),
    "eps not a number": ({"eps": np.nan}, "eps must be"),
    "eps without end": ({"eps": np.inf}, "eps must be"),
    "eps of truth": ({"eps": True}, "eps must be"),
    "t beyond the end": ({"t": 2}, "t must be a finite number of at least 0 and at most 1"),
    "t before the start": ({"t": -0.01}, "t must be"),
    "t of text": ({"t": "x"}, "t must be"),
    "t of truth": ({"t": True}, "t must be"),
    "t not a number": ({"t": np.nan}, "t must be"),
    "beside of text": ({"beside": "yes"}, "beside must be True or False"),
    "beside of a number": ({"beside": 1}, "beside must be True or False"),
    "page below zero": ({"page": -1}, "page must be"),
    "page of text": ({"page": "x"}, "page must be"),
    "half a page": ({"page": 0.5}, "page must be"),
    "a gap below zero": ({"gap": -1.0}, "gap"),
    "no gap": ({"gap": 0}, "gap"),
    "a gap of text": ({"gap": "wide"}, "gap"),
    "a curve for the original": ({"original": PAIR["line"]}, "trace of one model"),
    "text for the retrained": ({"retrained": "model"}, "trace of one model"),
    "numbers for the retrained": ({"retrained": [1]}, "trace of one model"),
    "a profile for the untrained": ({"random": Profile({})}, "trace of one model"),
    "a model of other data": ({"original": synthetic.trace(1, n=7)}, "different retain examples"),
    "a name for a task": ({"task": "digits"}, "task is a task"),
    "another task": ({"task": OTHER_TASK}, "was not taken on this task: its retain examples have other labels"),
    "a folder of a number": ({"folder": 3}, "folder must name a file or folder"),
    "a folder without a name": ({"folder": ""}, "folder must name a file or folder"),
    "nobody's folder": ({"folder": "~nosuchuser/x"}, "not known here"),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_cannot_be_explored_is_refused_in_a_sentence(name):
    given, says = GIVEN[name]
    with pytest.raises(BadInput) as error:
        mc.explore(given)
    check_sentence(str(error.value), says)


@pytest.mark.parametrize("name", OPTIONS)
def test_wrong_options_are_refused_in_a_sentence(name):
    options, says = OPTIONS[name]
    with pytest.raises(BadInput) as error:
        mc.explore(PAIR, **options)
    check_sentence(str(error.value), says)


def check_sentence(said, says):
    assert says in said and 15 < len(said) < 400 and "\n" not in said and "Traceback" not in said
    assert said.endswith(".") and said.count(". ") == 0, "one sentence"


def test_a_store_without_a_path_yet_is_told_as_output(tmp_path, capsys):
    for given in (str(tmp_path), tmp_path, mc.study("smoke", store=str(tmp_path / "own"), fresh=True)):
        one = mc.explore(given, "bezier", compare="linear")
        (said,) = one._repr_mimebundle_().values()
        check_sentence(said, "no path is stored in")
        assert str(tmp_path) in said and "python -m mcutils run 00" in said
        with pytest.raises(BadInput, match="no path is stored in"):
            one.save("png")
        one.go(0.5)
        assert one.message == said and not one.sources
    with pytest.raises(BadInput, match="unknown metric 'joy'"):
        mc.explore(tmp_path, metric="joy")


@pytest.mark.parametrize("kind", ["gif", "", None, 3, ["png"], "PNG"])
def test_another_kind_of_file_is_refused(kind):
    with pytest.raises(BadInput, match="saved as png, svg or html"):
        mc.explore(PAIR).save(kind)


@pytest.mark.parametrize("kind", ["png", "html"])
def test_a_folder_in_the_place_of_a_file_is_refused_and_left(kind, tmp_path):
    place = tmp_path / f"line_2.{kind}"
    (place / "kept").mkdir(parents=True)
    with pytest.raises(BadInput, match="must name an ordinary file"):
        mc.explore(PAIR, folder=tmp_path).save(kind)
    assert (place / "kept").is_dir()


# Bad uses: something happens to a widget that was well


def vanished(one, small):
    for path in small.glob("profile-*.npz"):
        path.unlink()
    ask(one, "pick", axis="curve", value="bezier")
    assert one.widget.there["state"]["path"] == one.view.path, "the browser goes back"
    return "the store has changed"


def damaged(one, small):
    for path in small.glob("profile-*.npz"):
        path.write_bytes(b"x")
    other = next(name for name in one.sources if name != one.view.path)
    ask(one, "compare", name=other, beside=False)
    assert one.widget.there["state"]["compare"] == "" and len(one.widget.book["chapters"]) == 1
    return "its checksum differs"


def no_place_to_save(one, small):
    (small / "file").write_text("")
    one.folder = small / "file"
    ask(one, "save", kind="png")
    assert "is not a folder" in one.message
    ask(one, "save", kind="html")
    return "is not a folder"


def a_reader_that_fails(one, small):
    other = next(s for s in one.sources.values() if s.name != one.view.path)
    object.__setattr__(other, "read", lambda: 1 / 0)
    ask(one, "pick", axis="curve", value=other.picks["curve"])
    return "that did not work (ZeroDivisionError"


@pytest.mark.parametrize("happens", [vanished, damaged, no_place_to_save, a_reader_that_fails])
def test_what_happens_to_a_widget_is_told_and_survived(happens, small, specs):
    one = mc.explore(small, path=key(specs[0]), t=0.5, folder=small / "out")
    assert one.message == ""
    says = happens(one, small)
    assert says in one.message and one.view.path == key(specs[0])
    assert alive(one)


def test_turning_beyond_the_last_page_stays_there(small, specs):
    one = mc.explore(small, path=key(specs[0]), page=10_000)
    assert one.view.page == one.scene.pages - 1 == 37
    move(one, page=38)
    assert one.view.page == 37 and alive(one)


def test_a_metric_that_the_path_lacks_is_told_in_words():
    one = mc.explore(PAIR, path="line", metric="js_retrained")
    assert one.message == "There is no forget js retrained of this path: needs the retrained model."
    assert told(one)["lacking"]["js_retrained_forget"] == "needs the retrained model" and alive(one)
    assert mc.explore(PAIR, path="line", metric="zrf").message.endswith("needs the random model.")


def test_a_metric_that_is_nan_is_told_as_such():
    trace = synthetic.trace(T)
    trace.logits["retain"][1] = np.nan
    one = mc.explore(trace, t=0.25)
    assert told(one)["values"]["loss_retain"][1] is None and one.message == "" and alive(one)


def test_a_trace_without_a_forget_split_has_curves_and_no_images():
    kept = ("retain", "test")
    parts = {n: {s: v for s, v in getattr(PAIR["line"], n).items() if s in kept} for n in ("logits", "labels", "index")}
    one = mc.explore(broken_trace(**parts))
    assert told(one)["images"] is None and one.widget.pictures is None and "loss_forget" not in told(one)["values"]
    assert alive(one) and "cannot be told" in one.scene.alt(0)


def test_two_points_are_a_path():
    one = mc.explore(synthetic.trace(2))
    assert one.message == "" and alive(one)


def test_closed_is_free_and_quiet():
    before = set(ALIVE.values())
    one = mc.explore({"line": synthetic.trace(T), "curve": PAIR["curve"]}, path="line")
    own = [w for w in ALIVE.values() if w not in before]
    assert len(own) == 2
    widget, trace, kept = one.widget, weakref.ref(one.scene.numbers[0].trace), weakref.ref(one.scene)
    one.close()
    assert not [w for w in ALIVE.values() if w in own], "the panel is closed, with its layout"
    assert all(w.comm is None for w in own) and widget.book == {} and widget.pictures is None
    widget.here = {"k": 1}
    one.go(0.75)
    assert one.message == "this explorer is closed: call mc.explore again."
    for use in (one.page, one.figure, partial(one.save, "png"), partial(getattr, one, "t")):
        with pytest.raises(BadInput, match="is closed"):
            use()
    assert one._repr_mimebundle_() == {"text/plain": one.message}
    one.close()
    gc.collect()
    assert trace() is None and kept() is None
    gone = weakref.ref(one)
    del one, own, widget, use
    gc.collect()
    assert gone() is None


def test_where_it_was_shown_nothing_large_is_left(monkeypatch):
    """What a frontend keeps of a closed widget's model: its state, and what that was before its last change."""
    one, states = mc.explore(PAIR, path="line"), []
    widget = one.widget
    monkeypatch.setattr(type(widget), "send_state", lambda self, key=None: states.append(self.get_state(key)))
    one.close()
    large, last = states[-2:]
    assert set(large) >= {"book", "there", "module"} and len(str(large)) < 200 and widget.pictures is None
    assert set(last) == {"message"}, "one more change, so that the one before is forgotten too"
    assert not {"_esm", "_css"} & set(large), "all explorers share the style of a page"


def test_many_explorers_leave_nothing_behind():
    before = len(ALIVE)
    for _ in range(20):
        mc.explore(PAIR, path="line").close()
    assert len(ALIVE) == before


def test_two_at_once_do_not_touch_each_other():
    a, b = mc.explore(PAIR, path="line", t=0), mc.explore(PAIR, path="line", t=0)
    move(a, k=3)
    assert (a.view.k, b.view.k) == (3, 0) and b.widget.here == {}
