"""Studies: a preset's specs with its settings, where their results are, and what is said of them."""

import hashlib
import shutil
import subprocess
from dataclasses import fields, replace
from itertools import combinations

import numpy as np
import pytest
import torch
from shorter import settings_in
from torchvision.datasets import FashionMNIST

import mcutils as mc
from mcutils.data.scenarios import Scenario
from mcutils.data.tasks import FINGERPRINTS
from mcutils.engine import study as module
from mcutils.engine.runs import RunFailed, run
from mcutils.engine.specs import CurveSpec, DataSpec, OriginalSpec, RetrainedSpec, TraceSpec, UntrainedSpec, key
from mcutils.engine.store import Store
from mcutils.errors import BadInput
from mcutils.measures.along import barrier
from mcutils.measures.metrics import mean_loss
from mcutils.settings import Plan, Preset, curve_plan, independent_plan, method_settings, train_plan


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """None of the reader's own settings, and one process."""
    for name in ("COMPUTE", "ENGINE", "FRESH", "REPORT", "STORE", "FIGURES"):
        monkeypatch.delenv(f"MCUTILS_{name}", raising=False)
    monkeypatch.setenv("MCUTILS_WORKERS", "1")


def summary(capsys):
    """The last line that was printed."""
    return capsys.readouterr().out.strip().split("\n")[-1]


@pytest.fixture
def smoke(tmp_path):
    return mc.study("smoke", store=str(tmp_path / "store"), seeds=[42, 87], methods=["npo"], points=3, width=4)


def test_a_study_is_its_preset_with_changes(smoke, tmp_path):
    assert (smoke.preset.seeds, smoke.preset.methods, smoke.preset.points) == ((42, 87), ("npo",), 3)
    assert smoke.seeds == (42, 87) and smoke.preset.forget == 0.1
    assert smoke.store.folder == tmp_path / "store" and not smoke.store.folder.exists()
    assert smoke.task.checksum == smoke.data.checksum
    assert smoke.settings == "digits.convnet"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "unknown preset field 'colour': choose one of dataset, model"),
        ({"methods": ["npo", "wish"]}, "unknown method 'wish': choose one of retrain"),
        ({"quickstart_method": "wish"}, "unknown method 'wish'"),
        ({"dataset": "mnist"}, "'mnist'"),
    ],
)
def test_unknown_changes_are_refused(change, message, tmp_path):
    with pytest.raises(BadInput, match=message):
        mc.study("smoke", store=str(tmp_path), **change)
    with pytest.raises(BadInput, match="unknown preset 'big': choose one of laptop, smoke, paper"):
        mc.study("big", store=str(tmp_path))


def test_a_scenario_says_what_is_forgotten_of_the_same_original_models(smoke, tmp_path):
    """In a line or as a `Scenario`; what it learns from is that of the preset unless the scenario changes it."""
    where = {"store": str(tmp_path / "store"), "seeds": [42, 87], "methods": ["npo"], "points": 3, "width": 4}
    found = mc.study("smoke", scenario="class label=3", forget=None, **where)
    assert found.data == mc.study("smoke", scenario=Scenario("class", label=3), **where).data
    assert (found.task.labels("forget") == 3).all() and found.preset.forget == found.task.forget
    assert "scenario class label=3;" in found.stamp() and mc.study("smoke", scenario="", **where).data == smoke.data
    assert found.original().own == smoke.original() and key(found.original().own) == key(smoke.original())
    assert found.retrained(42) != smoke.retrained(42) and found.original() != smoke.original()
    end = found.unlearned("npo", 42)
    profile = found.profile(end)
    assert {one.model.data for one in (profile.trace, profile.original, *profile.retrained)} == {found.data}
    assert smoke.profile(end) == profile, "the references are of what the model forgot, whichever study asks"
    wrong = mc.study("smoke", scenario="mislabelled", **where)
    assert wrong.original().first is None and wrong.original().data == wrong.data, "labels are wrong from the start"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"scenario": "class label=3", "forget": 0.2}, "leave out forget, got 0.2"),
        ({"scenario": "class label=12"}, "label must be a whole number from 0 to 9"),
        ({"scenario": 3}, "a line such as 'class label=3'"),
    ],
)
def test_a_scenario_that_does_not_fit_is_refused(smoke, tmp_path, asked, said):
    with pytest.raises(BadInput, match=said):
        mc.study("smoke", store=str(tmp_path), **asked)
    other = smoke.under(Scenario("users"))
    for again in (lambda: other.under(Scenario("class")), lambda: other.random_draw("this")):
        with pytest.raises(BadInput, match="is of a random draw of the forget set, got the scenario 'users'"):
            again()


def test_where_results_and_figures_go(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUILD", tmp_path / "build")
    assert mc.study("smoke").store.folder == tmp_path / "build" / "store"
    assert mc.study("smoke").figures == tmp_path / "build" / "figures"
    monkeypatch.setenv("MCUTILS_STORE", str(tmp_path / "mine"))
    monkeypatch.setenv("MCUTILS_FIGURES", str(tmp_path / "figures"))
    assert mc.study("smoke").store.folder == tmp_path / "mine"
    assert mc.study("smoke").figures == tmp_path / "figures"
    assert mc.study("smoke", store=str(tmp_path / "given")).store.folder == tmp_path / "given"


def test_fresh_leaves_aside_what_is_shipped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "DATA", tmp_path / "data")
    random = UntrainedSpec(DataSpec("digits"), "convnet", 4, 0)
    run([random], Store(tmp_path / "data" / "store"))

    def opened(**options):
        return mc.study("smoke", store=str(tmp_path / "mine"), **options).store

    shipped = (tmp_path / "data" / "store",)
    assert opened().layers == opened(fresh=False).layers == shipped and random in opened()
    assert opened(fresh=True).layers == () and random not in opened(fresh=True)
    monkeypatch.setenv("MCUTILS_FRESH", "1")
    assert opened().layers == opened(fresh=True).layers == ()
    assert opened(fresh=False).layers == shipped
    mc.study("smoke", store=str(tmp_path / "mine")).run([random])
    assert summary(capsys) == "0 reused, 1 computed"


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """A machine without the full Fashion-MNIST and without a network."""

    def refuse(self):
        raise OSError("no network")

    monkeypatch.setenv("MCUTILS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(FashionMNIST, "download", refuse)


def test_a_study_can_be_planned_where_its_data_are_missing(offline, tmp_path, capsys):
    study = mc.study("paper", store=str(tmp_path / "store"), fresh=True)
    assert study.data.checksum == FINGERPRINTS["fashion-mnist-full"]
    original, line = study.original(), study.path(study.unlearned("npo", 42), study.unlearned("npo", 87))
    assert key(original) == key(study.original()) and study.profile(line) not in study.store
    with pytest.raises(BadInput, match="could not be downloaded into .*cache .no network"):
        _ = study.task
    trace = study.trace(original)
    with pytest.raises(RunFailed) as caught:
        study.run([trace])
    first, second = str(caught.value).split("\n")
    assert first.startswith(f"{original.describe()}: BadInput: The full Fashion-MNIST could not be downloaded")
    assert second == f"{trace.describe()}: skipped, since {original.describe()} failed"
    assert summary(capsys) == "0 reused, 0 computed, 1 failed, 1 skipped"
    assert study.used == {}


def test_models_have_the_settings_of_the_file(smoke):
    original, retrained = smoke.original(), smoke.retrained(42)
    assert original == OriginalSpec(smoke.data, "convnet", 4, 0, train_plan("digits.convnet"))
    assert retrained == RetrainedSpec(smoke.data, 0.1, "convnet", 4, 42, original.plan)
    assert smoke.retrained(42, 0.2, init=7) == RetrainedSpec(smoke.data, 0.2, "convnet", 4, 42, original.plan, 7)
    one = smoke.unlearned("scrub", 87, "superloss", "soul")
    assert one.settings == method_settings("digits.convnet", "scrub", "superloss", "soul")
    assert (one.origin, one.forget, one.seed) == (original, 0.1, 87)
    assert smoke.unlearned("npo", 42, origin=smoke.original(1)).origin.seed == 1
    with pytest.raises(BadInput, match="unknown method 'wish'"):
        smoke.unlearned("wish", 1)


EIGHT = """
[methods.npo]
lr = 1.0
optimizers.sophia_g.lr = 0.25
sizes."0.02".lr = 3.0
[methods.scrub]
lr = 2.0
curricula.superloss.lr_scale = 0.5
"""


@pytest.fixture
def eight(tmp_path, monkeypatch):
    """The study `laptop`, of eight originals, with settings of its own."""
    with settings_in(tmp_path, monkeypatch, EIGHT):
        yield mc.study("laptop", store=str(tmp_path / "store"), fresh=True)


def test_ends_of_originals_with_draws_run_at_their_partner_s_rate_or_at_one_of_their_own(eight):
    def rates(bench, **asked):
        ends = [("npo", "none", "sophia_g"), ("npo", "superloss", "adamw"), ("scrub", "superloss", "adamw")]
        return [bench.unlearned(m, 42, c, o, **asked).settings.plan.lr for m, c, o in ends]

    partner, own = (replace(eight, rate=rate) for rate in ("partner", "tuned"))
    assert eight.settings == own.settings == "fashion-mnist.convnet.eight"
    assert rates(eight) == [0.25, 1.0, 2.0]  # of second order its own, with a curriculum the partner's
    assert rates(partner) == [1.0, 1.0, 2.0] and rates(own) == [0.25, 1.0, 1.0]
    assert rates(partner, forget=0.02) == [3.0, 3.0, 2.0] and rates(own, forget=0.02) == [0.25, 3.0, 1.0]
    smaller = replace(eight, preset=replace(eight.preset, forget=0.02))
    assert rates(smaller) == [0.25, 3.0, 2.0]
    start, end = eight.ends("fo-so", ["npo"], [42, 87])
    assert (start.settings.plan.lr, end.settings.plan.lr) == (1.0, 0.25)
    assert end.optimizer == end.settings.plan.optimizer == "sophia_g"
    assert own.unlearned("npo", 42) == partner.unlearned("npo", 42) == eight.unlearned("npo", 42)
    assert eight.path(start, end, "bezier", objective="npo").settings.plan.lr == 1.0


def test_presets_without_draws_keep_their_settings_whatever_is_tuned(eight, tmp_path):
    data = {"dataset": "fashion-mnist", "model": "convnet"}
    laptop = mc.study("smoke", store=str(tmp_path / "other"), fresh=True, **data)
    assert not laptop.preset.originals and laptop.settings == "fashion-mnist.convnet"
    for bench in (laptop, replace(laptop, rate="tuned")):
        for asked in (("npo", "none", "sophia_g"), ("salun", "superloss", "adamw"), ("npo", "none", "adamw")):
            found = method_settings("fashion-mnist.convnet", *asked)
            assert bench.unlearned(asked[0], 42, *asked[1:]).settings == found
            assert bench.unlearned(asked[0], 42, *asked[1:], forget=0.02).settings == found


def test_paths_and_traces_follow_their_recipe(smoke):
    start, end = smoke.unlearned("npo", 42), smoke.unlearned("npo", 87)
    line, bend = smoke.path(start, end), smoke.path(start, end, "bezier")
    authors = smoke.path(start, end, "chain", "authors", control_points=2, seed=5)
    assert line == CurveSpec(start, end, 0.1)
    assert bend == CurveSpec(start, end, 0.1, "bezier", 1, "corrected", 0, curve_plan("digits.convnet", start.settings))
    assert (authors.kind, authors.recipe, authors.control_points, authors.seed) == ("chain", "authors", 2, 5)
    assert [smoke.trace(m).batchnorm for m in (line, bend, authors, start)] == ["retain", "retain", "none", "retain"]
    assert [smoke.trace(m).points for m in (line, bend, authors, start)] == [3, 3, 3, 1]
    assert smoke.trace(authors, "full").batchnorm == "full"


def test_a_curve_joins_any_two_models(smoke):
    first, second, end = smoke.original(), smoke.original(1), smoke.unlearned("npo", 42)
    one, other = smoke.retrained(42), smoke.retrained(87, 0.2)
    fitted = {
        "originals": (smoke.path(first, second, "bezier"), "train", 0.1),
        "retrained": (smoke.path(other, one, "bezier"), "finetune", 0.2),
        "retrained and original": (smoke.path(other, first, "bezier"), "finetune", 0.2),
        "original and unlearned": (smoke.path(first, end, "bezier"), "finetune", 0.1),
        "named": (smoke.path(first, second, "bezier", objective="finetune"), "finetune", 0.1),
        "forget term": (smoke.path(one, end, "bezier", objective="scrub"), "scrub", 0.1),
        "apart": (smoke.path(end, one, "bezier", plan="independent"), "npo", 0.1),
    }
    for name, (found, method, forget) in fitted.items():
        settings = method_settings("digits.convnet", method)
        plan = independent_plan("digits.convnet", settings)
        assert (found.method, found.forget, found.plan) == (method, forget, plan), name
        assert found.settings == replace(settings, plan=plan), name
    own = smoke.path(smoke.unlearned("npo", 42, "superloss", "soul"), one, "bezier", plan="independent")
    assert own.plan.optimizer == "adamw" and own.settings.curriculum_options == own.start.settings.curriculum_options
    given = smoke.path(first, second, "bezier", plan=Plan(steps=7))
    assert given.plan == given.settings.plan == Plan(steps=7)
    assert len({key(one) for one, *_ in fitted.values()}) == 7
    assert smoke.path(end, one, "bezier") == replace(
        fitted["apart"][0], plan=curve_plan("digits.convnet", end.settings), method="", settings=None
    )


def test_the_original_model_of_a_fit_is_that_of_its_ends(smoke):
    first, second, one = smoke.original(), smoke.original(1), smoke.retrained(42)
    end = smoke.unlearned("npo", 42, origin=second)
    origins = [(end, first, second), (first, end, second), (one, end, second), (first, one, first), (one, first, first)]
    for start, stop, expected in origins:
        assert smoke.path(start, stop, "bezier", objective="npo").origin == expected
    assert smoke.path(one, smoke.retrained(87), "bezier").origin is None
    with pytest.raises(BadInput, match="npo and the recipe corrected needs an original model, but neither end is one"):
        smoke.path(one, smoke.retrained(87), "bezier", objective="npo")
    with pytest.raises(BadInput, match="finetune and the recipe authors needs an original model"):
        smoke.path(one, smoke.retrained(87), "bezier", "authors")
    with pytest.raises(BadInput, match="needs an objective: name a method"):
        replace(smoke.path(first, second, "bezier"), method="", settings=None)
    with pytest.raises(BadInput, match="unknown plan of a fit 'long': choose one of independent"):
        smoke.path(end, one, "bezier", plan="long")


def test_a_curve_between_models_trained_apart_avoids_the_barrier_of_the_line(smoke):
    """Two originals and two retrained models of other initial weights, and the forget term from an unlearned one."""
    pairs = [
        ((smoke.original(0), smoke.original(1)), ""),
        ((smoke.retrained(42), smoke.retrained(87)), ""),
        ((smoke.retrained(87), smoke.unlearned("npo", 42)), "npo"),
    ]
    for ends, objective in pairs:
        line, curve = smoke.path(*ends), smoke.path(*ends, "bezier", objective=objective)
        loss = [mean_loss(t, "retain") for t in smoke.run([smoke.trace(p, points=7) for p in (line, curve)])]
        high = [barrier(values, np.linspace(0, 1, 7)) for values in loss]
        assert high[1] < 0.3 * high[0] and high[0] > 0.5


def test_a_curve_is_fitted_with_the_objective_named(smoke):
    start, end = smoke.unlearned("npo", 42, optimizer="soul"), smoke.unlearned("npo", 87, optimizer="soul")
    settings = method_settings("digits.convnet", "scrub", "none", "soul")
    found = smoke.path(start, end, "bezier", objective="scrub")
    assert found == CurveSpec(
        *(start, end, 0.1, "bezier", 1, "corrected", 0, curve_plan("digits.convnet", settings), "scrub", settings)
    )
    assert smoke.path(start, end, "bezier").method == ""
    assert smoke.path(start, end, objective="scrub") == smoke.path(start, end)  # a line has nothing to fit
    with pytest.raises(BadInput, match="unknown objective 'wish': choose one of retrain"):
        smoke.path(start, end, "bezier", objective="wish")


def test_the_number_of_points_can_be_given_for_a_curve(smoke):
    start, end = smoke.unlearned("npo", 42), smoke.unlearned("npo", 87)
    line = smoke.path(start, end)
    assert smoke.trace(line, points=7) == TraceSpec(line, 0.1, 7)
    assert smoke.profile(line, points=7) == replace(smoke.profile(line), trace=TraceSpec(line, 0.1, 7))
    assert smoke.trace(start, points=7) == smoke.trace(start) and smoke.trace(start).points == 1


# Grids and conditions


def test_a_grid_is_the_product_of_its_axes_the_last_fastest(smoke):
    axes = ("npo", "scrub"), (42, 87), ("none", "superloss"), ("adamw", "soul"), (0, 1), (None, 0.2)
    expected = [
        smoke.unlearned(method, seed, curriculum, optimizer, smoke.original(original), forget)
        for method in axes[0]
        for seed in axes[1]
        for curriculum in axes[2]
        for optimizer in axes[3]
        for original in axes[4]
        for forget in axes[5]
    ]
    assert smoke.grid(*axes) == expected
    assert len(set(map(key, expected))) == 64
    assert expected[1].forget == 0.2 and expected[2].origin.seed == 1 and expected[4].optimizer == "soul"


def test_a_grid_defaults_to_the_preset_s_methods_and_seeds(tmp_path):
    study = mc.study("smoke", store=str(tmp_path), methods=["npo", "scrub"], seeds=[42, 87])
    plain = [study.unlearned(method, seed) for method in ("npo", "scrub") for seed in (42, 87)]
    assert study.grid() == plain
    assert study.grid(seed=[87]) == plain[1::2]
    assert study.grid(method=["salun"]) == [study.unlearned("salun", seed) for seed in (42, 87)]
    with pytest.raises(BadInput, match="unknown method 'wish'"):
        study.grid(method=["wish"])


# Condition -> (method, curriculum, optimiser) of start and end; the seeds are 42 and 87 throughout.
A, B, CL, SO = "npo", "scrub", "superloss", "sophia_g"
ENDS = {
    "random": ((A, "none", "adamw"), (A, "none", "adamw")),
    "random_in_cl": ((A, CL, "adamw"), (A, CL, "adamw")),
    "random_in_so": ((A, "none", SO), (A, "none", SO)),
    "cl-non_cl": ((A, CL, "adamw"), (A, "none", "adamw")),
    "fo-so": ((A, "none", "adamw"), (A, "none", SO)),
    "method": ((A, "none", "adamw"), (B, "none", "adamw")),
    "method_in_cl": ((A, CL, "adamw"), (B, CL, "adamw")),
    "method_in_so": ((A, "none", SO), (B, "none", SO)),
    "method_cl-non_cl": ((A, CL, "adamw"), (B, "none", "adamw")),
    "method_fo-so": ((A, "none", "adamw"), (B, "none", SO)),
}


@pytest.mark.parametrize("condition", ENDS)
def test_the_ends_of_each_condition(condition, smoke):
    methods = (A, B) if condition.startswith("method") else (A,)
    found = smoke.ends(condition, methods, (42, 87))
    expected = tuple(smoke.unlearned(m, s, c, o) for (m, c, o), s in zip(ENDS[condition], (42, 87), strict=True))
    assert found == expected
    assert all(end.origin == smoke.original() for end in found)
    others = smoke.ends(condition, methods, (87, 42), curriculum="superloss_authors", optimizer="soul", original=1)
    swap = {CL: "superloss_authors", SO: "soul"}
    assert others == tuple(
        smoke.unlearned(m, s, swap.get(c, c), swap.get(o, o), smoke.original(1))
        for (m, c, o), s in zip(ENDS[condition], (87, 42), strict=True)
    )
    wrong = (A,) if len(methods) == 2 else (A, B)
    for given in ((wrong, (42, 87)), (methods, (42,)), (methods, (42, 87, 21))):
        with pytest.raises(BadInput, match=rf"^{condition} takes {len(methods)} method\(s\) and 2 seeds, got"):
            smoke.ends(condition, *given)


def test_every_condition_is_tried_and_another_refused(smoke):
    with pytest.raises(BadInput, match=f"^unknown condition 'chance': choose one of {', '.join(ENDS)}"):
        smoke.ends("chance", ("npo",), (42, 87))


def test_a_profile_names_all_that_it_is_measured_against(smoke):
    model = smoke.unlearned("npo", 42)
    found = smoke.profile(model)
    assert found.trace == smoke.trace(model) and found.original == smoke.trace(smoke.original())
    assert found.retrained == tuple(smoke.trace(smoke.retrained(s)) for s in (42, 87))
    assert found.random.model == UntrainedSpec(smoke.data, "convnet", 4, 0)
    assert found.bootstrap == smoke.preset.bootstrap
    assert smoke.profile(model, retrained=[7]).retrained == (smoke.trace(smoke.retrained(7)),)


def test_every_field_of_a_preset_that_determines_results_is_part_of_a_key(smoke):
    changed = {"dataset": "fashion-mnist", "model": "convnet_gn", "width": 8, "forget": 0.2, "train_size": 240}
    changed |= {"test_size": 60, "seeds": (42, 21), "points": 5, "bootstrap": 7, "refresh": "weighted"}
    named = {"name", "methods", "quickstart_method", "pairs", "about", "originals", "crossed", "unfit"}
    assert set(changed) | named == {f.name for f in fields(Preset)}

    def name(study):
        first, second = study.seeds
        return key(study.profile(study.path(study.unlearned("npo", first), study.unlearned("npo", second))))

    names = [name(smoke)]
    for field, value in changed.items():
        study = mc.study("smoke", store=str(smoke.store.folder), **{**kept(smoke), field: value})
        names.append(name(study))
    assert len(set(names)) == len(names)


def kept(study):
    return {f.name: getattr(study.preset, f.name) for f in fields(Preset) if f.name != "name"}


# What is said of results


def test_a_study_remembers_the_results_that_it_used(smoke, tmp_path):
    first, second = (UntrainedSpec(smoke.data, "convnet", 2, seed) for seed in (0, 1))
    traces = [smoke.trace(first), smoke.trace(second)]
    smoke.run([second, traces[0]])
    smoke.run([first, second], load=False)
    assert list(smoke.used) == [key(second), key(traces[0]), key(first)]
    assert key(traces[1]) not in smoke.used
    other = mc.study("smoke", store=str(smoke.store.folder))
    assert other.used == {}
    with pytest.raises(BadInput, match="unknown engine"):
        smoke.run([traces[1]], engine="cloud")
    assert key(traces[1]) not in smoke.used


def test_a_line_is_no_result_of_its_own(smoke, monkeypatch):
    monkeypatch.setattr(module, "run", lambda specs, store, **options: [None] * len(specs))
    line = smoke.path(smoke.unlearned("npo", 42), smoke.unlearned("npo", 87))
    smoke.run([line, smoke.trace(line)])
    assert list(smoke.used) == [key(smoke.trace(line))]


def test_the_stamp_says_where_numbers_come_from(smoke, monkeypatch):
    monkeypatch.setattr(module, "commit", lambda: "abc0123456-dirty")
    keys = ["traceof-b", "traceof-a", "profile-c"]
    smoke.used.update(dict.fromkeys(keys))
    together = hashlib.sha256(b"profile-c traceof-a traceof-b").hexdigest()[:12]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    text = smoke.stamp()
    assert text.startswith(f"Preset smoke; 3 results, together {together} (")
    assert "; code abc0123456-dirty; " in text and text.endswith(f"; device {device}.")
    assert f"torch {torch.__version__}" in text and "python 3." in text
    assert "\n" not in text and str(smoke.store.folder) not in text


def test_the_stamp_goes_by_which_results_not_by_their_order(tmp_path):
    def together(*keys):
        study = mc.study("smoke", store=str(tmp_path))
        study.used.update(dict.fromkeys(keys))
        return study.stamp()

    assert together("a", "b", "c") == together("c", "a", "b", "a")
    seen = [together(*keys) for count in range(3) for keys in combinations("abc", count)]
    assert len(set(seen)) == len(seen)


def test_the_commit_is_that_of_the_code_and_marked_where_files_differ(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert module.commit() == "unknown"
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    (tmp_path / "code.py").write_text("1")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.svg").write_text("1")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"], ["tag", "v1"]):
        subprocess.run([*git, *command], check=True)
    full = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert module.commit() == full[:10]
    (tmp_path / "figures" / "a.svg").write_text("2")
    (tmp_path / "note.txt").write_text("not in the repository")
    assert module.commit() == full[:10]
    (tmp_path / "code.py").write_text("2")
    assert module.commit() == f"{full[:10]}-dirty"
    monkeypatch.setenv("PATH", "")
    assert module.commit() == "unknown"
