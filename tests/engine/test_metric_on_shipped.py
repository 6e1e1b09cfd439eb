"""A metric registered today, on results kept before: profiles stay, and just what it reads is computed."""

import numpy as np
import pytest

import mcutils as mc
from mcutils import plugins
from mcutils.cli.main import main
from mcutils.engine.planning import plan
from mcutils.engine.runs import missing
from mcutils.engine.specs import CurveSpec, MetricSpec, ProfileSpec, kind_of
from mcutils.errors import BadInput
from mcutils.paper.experiments import quickstart
from mcutils.paper.registry import EXPERIMENTS


def last(trace, *, references):
    """Accuracy on the last forget image, and its label in hundredths."""
    right = trace.logits["forget"][:, -1].argmax(-1) == trace.labels["forget"][-1]
    return right.astype(float) + references["original"].labels["forget"][-1] / 100


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for name in ("COMPUTE", "REPORT", "STORE", "FRESH", "ENGINE", "DATA"):
        monkeypatch.delenv(f"MCUTILS_{name}", raising=False)
    mc.register("metric", "last_right", splits="forget", references="original")(last)
    yield
    plugins.forget("metric", "last_right")


@pytest.fixture
def laptop(tmp_path):
    return mc.study("laptop", store=str(tmp_path / "store"))


def shown(study):
    """The quickstart's profiles, whose traces ship."""
    return list(dict.fromkeys(quickstart(study)))


def profiles(study, name):
    return [one for one in EXPERIMENTS[name](study) if isinstance(one, ProfileSpec)]


def test_all_shipped_profiles_are_reused_and_the_plan_is_of_the_metric_alone(laptop):
    found = shown(laptop)
    rows = {row["kind"]: row for row in plan([*found, *(laptop.metric("last_right", p) for p in found)], laptop.store)}
    assert rows["Profile"]["stored"] == len(found) and rows["Profile"]["to compute"] == 0
    assert {kind for kind, row in rows.items() if row["to compute"]} == {"MetricOf"}


def test_where_traces_are_not_shipped_they_and_their_models_are_all_that_is_computed(laptop):
    found = profiles(laptop, "02_seeds")
    wanted = [laptop.metric("last_right", one) for one in found]
    todo = missing(wanted, laptop.store)
    assert {one for one in todo if isinstance(one, MetricSpec)} == set(wanted)
    assert {kind_of(one) for one in todo} <= {"Original", "Retrained", "Unlearned", "Path", "TraceOf", "MetricOf"}
    assert not missing(found, laptop.store)


def test_a_metric_is_computed_from_shipped_traces_and_kept(laptop):
    path = next(p for p in shown(laptop) if isinstance(p.trace.model, CurveSpec))
    spec = laptop.metric("last_right", path)
    assert spec == laptop.metric("last_right", path.trace.model)
    (found,) = laptop.run([spec], engine="serial")
    trace, original = laptop.run([path.trace, path.original], load=True)
    np.testing.assert_array_equal(found["values"], last(trace, references={"original": original}))
    assert found["values"].shape == (path.trace.points,) and not missing([spec], laptop.store)


def test_a_profile_that_lacks_it_says_what_it_reads_and_what_computes_it(laptop):
    path = shown(laptop)[0]
    (found,) = laptop.run([path])
    with pytest.raises(BadInput, match="the model before unlearning.*--metric last_right.*study.metric") as refused:
        found.metric("last_right")
    assert "\n" not in str(refused.value) and "untrained" not in str(refused.value)


def test_the_commands_plan_and_compute_just_the_metric(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "00_quickstart", lambda study: [study.original(), *shown(study)])
    asked = ["00", "--metric", "last_right", "--store", str(tmp_path / "store")]
    assert main(["plan", *asked]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-1]] == ["MetricOf"]
    assert main(["run", *asked, "--engine", "serial"]) == 0
    assert capsys.readouterr().out == "0 reused, 7 computed\n"  # original, two of each other kind
    assert {path.name.split("-")[0] for path in (tmp_path / "store").glob("*.npz")} == {"metricof"}
    assert main(["plan", *asked]) == 0 and "0 results to compute" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "plan"])
def test_an_unknown_metric_is_one_sentence(command, tmp_path, capsys):
    assert main([command, "00", "--metric", "lost_right", "--store", str(tmp_path / "s")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("model", [None, "npo", 3, mc])
def test_a_metric_of_what_is_no_model_is_refused(model, laptop):
    with pytest.raises(BadInput):
        laptop.metric("last_right", model)
