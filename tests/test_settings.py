"""Settings files: complete, without unknown keys, refined in the stated order, never changed by a reader."""

import math
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
import torch

from mcutils import settings
from mcutils.curricula import CURRICULA
from mcutils.data.tasks import DATASETS
from mcutils.descent import SCHEDULES
from mcutils.errors import BadInput
from mcutils.models.vision import MODELS
from mcutils.optimizers import OPTIMIZERS, make_optimizer
from mcutils.settings import MethodSettings, Plan, method_settings
from mcutils.unlearning.endpoints import method_options
from mcutils.unlearning.methods import DEFENCES, METHODS

FILES = sorted(p.stem for p in settings.FOLDER.glob("*.toml") if p.stem not in ("presets", "cluster"))


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a settings file of one's own; returns its name."""
    monkeypatch.setattr(settings, "FOLDER", tmp_path)
    settings._read.cache_clear()

    def write(text, name="mine"):
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        settings._read.cache_clear()
        return name

    yield write
    settings._read.cache_clear()


TRAIN = "[train]\nlr = 0.5\nsteps = 9\n"
NPO = TRAIN + "[methods.npo]\nlr = 1e-3\n"


# The files that ship


def test_there_is_a_default_and_one_for_each_small_data_set():
    assert {"default", "digits.convnet", "fashion-mnist.convnet"} <= set(FILES)
    for name in set(FILES) - {"default"}:
        dataset, model = name.removesuffix(".eight").rsplit(".", 1)
        assert dataset in DATASETS and model in MODELS
        assert settings.settings_name(dataset, model, 8 * name.endswith(".eight")) == name
    assert settings.settings_name("digits", "convnet", 8) == "digits.convnet"
    assert settings.settings_name("fashion-mnist", "MyNet") == "default"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", FILES)
def test_every_file_provides_every_method(name, method):
    for curriculum in CURRICULA:
        for optimizer in OPTIMIZERS:
            found = method_settings(name, method, curriculum, optimizer)
            plan = found.plan
            assert plan.optimizer == optimizer and plan.lr > 0 and plan.schedule in SCHEDULES
            assert (plan.steps > 0) != (method == "ssd")
            method_options(METHODS[method], dict(found.options))  # raises for an option that the method lacks
            assert set(dict(found.curriculum_options)) <= set(CURRICULA[curriculum].__kwdefaults__ or {})
            leaf = torch.zeros(1, requires_grad=True)
            make_optimizer(optimizer, [leaf], plan.lr, plan.weight_decay, **dict(plan.options))
            hash(found)


@pytest.mark.parametrize("name", FILES)
def test_files_name_nothing_that_does_not_exist(name):
    table = settings._read(name)
    assert set(table["methods"]) <= set(METHODS) - {"retrain", "train"}
    assert set(table.get("optimizers", {})) <= set(OPTIMIZERS) and set(table.get("curricula", {})) <= set(CURRICULA)
    for method in table["methods"].values():
        assert set(method.get("optimizers", {})) <= set(OPTIMIZERS)
        assert set(method.get("curricula", {})) <= set(CURRICULA)


def test_the_file_for_draws_has_the_methods_of_the_plain_one():
    plain, found = settings._read("fashion-mnist.convnet"), settings._read("fashion-mnist.convnet.eight")
    assert {k: v for k, v in found.items() if k != "methods"} == {k: v for k, v in plain.items() if k != "methods"}
    assert set(found["methods"]) == set(plain["methods"]) | set(DEFENCES)  # of N2, on these originals alone


def test_presets_with_draws_train_and_fit_as_those_without(write):
    write(REFINED)
    name = write("[methods.npo]\nlr = 3.0\n", "mine.eight")
    assert settings.train_plan(name) == settings.train_plan("mine") and method_settings(name, "npo").plan == Plan(
        lr=3.0
    )
    # By the plain file's general rule.
    assert method_settings(name, "npo", optimizer="soul").plan.lr == 0.25 * 3.0
    assert settings.curve_plan(name, method_settings(name, "npo")) == Plan(lr=1.5, steps=77)
    odd = write("[train]\nlr = 3.0\n", "mine.eight")
    with pytest.raises(BadInput, match="unknown key 'train' in settings mine.eight: allowed are methods"):
        settings.train_plan(odd)


@pytest.mark.parametrize("name", FILES)
def test_training_and_curve_plans_load(name):
    plan = settings.train_plan(name)
    assert plan.steps > 0 and plan.schedule in SCHEDULES and plan.optimizer in OPTIMIZERS
    for method in ("retrain", "train"):
        assert method_settings(name, method, optimizer=plan.optimizer) == MethodSettings(plan)
    own = method_settings(name, "npo")
    fitted = settings.curve_plan(name, own)
    assert fitted.steps > 0 and fitted.optimizer == own.plan.optimizer and fitted.batch_size == own.plan.batch_size


@pytest.mark.parametrize("name", ["smoke", "laptop", "paper"])
def test_presets_load(name):
    assert set(settings.presets()) == {"smoke", "laptop", "paper"}
    found = settings.preset(name)
    assert found.name == name and found.dataset in DATASETS and found.model in MODELS
    assert 0 < found.forget < 1 and found.points >= 2 and found.bootstrap > 0 and found.about
    assert set(found.methods) <= set(METHODS) and found.quickstart_method in METHODS
    assert len(set(found.seeds)) == len(found.seeds) >= 2 and all(isinstance(s, int) for s in found.seeds)
    assert isinstance(found.seeds, tuple) and isinstance(found.methods, tuple)
    # a preset's own file where there is one; else its data and network fall back to the default
    assert settings.settings_name(found.dataset, found.model, found.originals) in FILES
    hash(found)
    if name == "laptop":
        assert len(found.methods) >= 6 and found.originals == 8 and len(found.seeds) == 2 and found.points == 31


def test_unknown_names_name_what_is_allowed():
    with pytest.raises(BadInput, match="unknown preset 'fast': choose one of " + ", ".join(settings.presets())):
        settings.preset("fast")
    with pytest.raises(BadInput, match="no settings named 'cifar10': there are " + ", ".join(FILES)):
        settings.train_plan("cifar10")
    with pytest.raises(BadInput, match="hold no method 'nope': they hold finetune, .*, retrain"):
        method_settings("digits.convnet", "nope")


# Unknown keys


@pytest.mark.parametrize(
    "text, key, where",
    [
        (TRAIN + "[method.npo]\nlr = 1e-3\n", "method", "settings mine"),
        ("seed = 3\n" + TRAIN, "seed", "settings mine"),
        (TRAIN + "momentum = 0.9\n", "momentum", "[train] of mine"),
        (TRAIN + "[methods.npo]\nlearning_rate = 1e-3\n", "learning_rate", "[methods.npo] of mine"),
        (TRAIN + "[methods.npo]\nbeta = 0.1\n", "beta", "[methods.npo] of mine"),
        (NPO + "optimizers.soul.rate = 1.0\n", "rate", "[methods.npo] of mine"),
        (NPO + "curricula.superloss.rate = 1.0\n", "rate", "[methods.npo] of mine"),
        (NPO + "[optimizers.soul]\nscale = 2.0\n", "scale", "[methods.npo] of mine"),
        (NPO + "[curve]\nlr = 2.0\n", "lr", "[curve] of mine"),
    ],
)
def test_unknown_keys_are_errors(write, text, key, where):
    name = write(text)
    with pytest.raises(BadInput) as error:
        settings.train_plan(name)
        settings.curve_plan(name, method_settings(name, "npo", "superloss", "soul"))
    assert f"unknown key {key!r} in {where}: allowed are " in str(error.value)


def test_an_unknown_key_in_a_preset_is_an_error(write):
    write('[smoke]\nabout = "x"\ncolour = "red"\n', "presets")
    with pytest.raises(BadInput, match="unknown key 'colour' in preset smoke: allowed are about, bootstrap"):
        settings.preset("smoke")


# Refinement

REFINED = """
[train]
lr = 0.5
steps = 9
weight_decay = 0.25
[methods.npo]
lr = 1.0
steps = 10
options.beta = 0.5
options.alpha = 2.0
optimizers.soul.steps = 30
optimizers.soul.options.beta = 0.7
optimizers.sophia_g.lr = 7.0
curricula.superloss.steps = 40
curricula.superloss.options.alpha = 3.0
[methods.scrub]
optimizer = "sgd"
lr = 4.0
optimizer_options.momentum = 0.5
[methods.finetune]
steps = 5
[methods.salun]
lr = 8.0
optimizers.sophia_g.lr = 6.0
curricula.superloss.lr_scale = 0.5
curricula.superloss_authors.lr = 3.0
[optimizers.soul]
lr_scale = 0.25
steps = 20
batch_size = 64
optimizer_options.rho = 0.5
[optimizers.sophia_g]
lr_scale = 0.5
optimizer_options.betas = [0.5, 0.75]
[optimizers.adamw]
lr_scale = 10.0
[curricula.superloss]
lam = 0.5
[curve]
lr_scale = 0.5
steps = 77
"""


def test_optimizers_and_curricula_refine_in_the_stated_order(write):
    name = write(REFINED)
    plain = method_settings(name, "npo")
    assert plain == MethodSettings(Plan(lr=1.0, steps=10), (("alpha", 2.0), ("beta", 0.5)))
    soul = method_settings(name, "npo", optimizer="soul")
    assert soul.plan == Plan("soul", lr=0.25, steps=30, batch_size=64, options=(("rho", 0.5),))
    assert soul.options == (("alpha", 2.0), ("beta", 0.7))
    sophia = method_settings(name, "npo", optimizer="sophia_g")
    assert sophia.plan == Plan("sophia_g", lr=7.0, steps=10, options=(("betas", (0.5, 0.75)),))
    weighted = method_settings(name, "npo", "superloss")
    assert weighted == MethodSettings(Plan(lr=1.0, steps=40), (("alpha", 3.0), ("beta", 0.5)), (("lam", 0.5),))
    both = method_settings(name, "npo", "superloss", "soul")
    assert both.plan == replace(soul.plan, steps=40) and both.options == (("alpha", 3.0), ("beta", 0.7))
    assert both.curriculum_options == (("lam", 0.5),)
    assert method_settings(name, "npo", "superloss_authors").curriculum_options == ()


SIZES = """
[methods.npo.sizes."0.02"]
lr = 3.0
options.beta = 0.25
[methods.npo.sizes."0.1"]
steps = 12
"""


def test_a_share_to_forget_may_have_settings_of_its_own(write):
    name = write(REFINED + SIZES)
    plain = method_settings(name, "npo")
    for forget in (None, 0.04, 0.0200001, 0.2):
        assert method_settings(name, "npo", forget=forget) == plain
    assert method_settings(name, "npo", forget=0.02) == MethodSettings(
        Plan(lr=3.0, steps=10), (("alpha", 2.0), ("beta", 0.25))
    )
    assert method_settings(name, "npo", forget=0.1).plan == replace(plain.plan, steps=12)
    # Optimisers and curricula refine what the size gives.
    assert method_settings(name, "npo", optimizer="soul", forget=0.02).plan.lr == 0.25 * 3.0
    assert method_settings(name, "npo", "superloss", forget=0.02).plan.steps == 40
    assert method_settings(name, "npo", optimizer="sophia_g", forget=0.02).plan.lr == 7.0
    assert method_settings(name, "npo", optimizer="sophia_g", forget=0.02, rate="partner").plan.lr == 3.0
    assert method_settings(name, "salun", forget=0.02) == method_settings(name, "salun")
    for size in ("2", "small", "1.0", "0.02 "):
        odd = write(TRAIN + f'[methods.npo.sizes."{size}"]\nlr = 1.0\n', "odd")
        with pytest.raises(BadInput, match=r"a size in \[methods.npo\] of odd must be a share such as 0.02, got"):
            method_settings(odd, "npo")


@pytest.mark.parametrize("optimizer", ["adamw", "soul", "sophia_g"])
@pytest.mark.parametrize("curriculum", ["none", "superloss", "superloss_authors"])
@pytest.mark.parametrize("method", ["npo", "salun", "finetune", "scrub"])
def test_at_the_partner_s_rate_all_but_the_rate_is_as_before(write, capsys, method, curriculum, optimizer):
    name = write(REFINED)
    settings.say_untuned.cache_clear()
    usual, found = (method_settings(name, method, curriculum, optimizer, rate=rate) for rate in ("", "partner"))
    partner = {"npo": 1.0, "salun": 8.0, "finetune": Plan.lr, "scrub": 4.0}[method]
    assert found == replace(usual, plan=replace(usual.plan, lr=partner)) and capsys.readouterr().err == ""
    assert method_settings(name, method, curriculum, optimizer, rate="tuned") == usual


def test_a_rate_that_nobody_tuned_is_said_once_and_follows_the_general_rule(write, capsys):
    name = write(REFINED)
    settings.say_untuned.cache_clear()
    for _ in range(2):
        assert method_settings(name, "salun", optimizer="soul", rate="tuned").plan.lr == 2.0
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"rate of 'salun' with 'soul' in the settings {name} is untuned" in said
    method_settings(name, "salun", "superloss", "sophia_g", rate="tuned")
    method_settings(name, "salun", rate="tuned")
    assert capsys.readouterr().err == ""
    method_settings(name, "finetune", "superloss", "adamw", rate="tuned")
    assert "'finetune' with 'superloss'" in capsys.readouterr().err
    with pytest.raises(BadInput, match="unknown rate, empty or 'own': choose one of partner, tuned"):
        method_settings(name, "salun", rate="own")


def test_nothing_is_said_of_rates_where_nothing_may_be_computed(write, capsys, monkeypatch):
    settings.say_untuned.cache_clear()
    monkeypatch.setenv("MCUTILS_COMPUTE", "never")
    method_settings(write(REFINED), "salun", optimizer="soul", rate="tuned")
    settings.say_untuned.cache_clear()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "curriculum, optimizer, lr",
    [
        ("none", "adamw", 8.0), ("none", "soul", 2.0), ("none", "sophia_g", 6.0), ("superloss_authors", "soul", 3.0),
        ("superloss", "adamw", 4.0), ("superloss", "soul", 1.0), ("superloss", "sophia_g", 3.0),
    ],
)  # fmt: skip
def test_scales_of_the_learning_rate_compose(write, curriculum, optimizer, lr):
    name = write(REFINED)
    assert method_settings(name, "salun", curriculum, optimizer).plan.lr == lr


def test_the_options_of_one_optimizer_do_not_reach_another(write):
    name = write(REFINED)
    tuned = method_settings(name, "scrub", optimizer="sgd")
    assert tuned.plan == Plan("sgd", lr=4.0, options=(("momentum", 0.5),))
    assert method_settings(name, "scrub", optimizer="adamw").plan == Plan("adamw", lr=40.0)


def test_a_method_without_a_learning_rate_has_the_default_one(write):
    name = write(REFINED)
    assert method_settings(name, "finetune").plan == Plan(steps=5)
    assert method_settings(name, "finetune", optimizer="soul").plan.lr == pytest.approx(0.25 * Plan().lr)


def test_retraining_has_the_plan_of_training(write):
    name = write(REFINED + "[methods.retrain]\nlr = 9.0\n")
    plan = Plan(lr=0.5, steps=9, weight_decay=0.25)
    assert method_settings(name, "retrain") == MethodSettings(settings.train_plan(name)) == MethodSettings(plan)


def test_curve_plans_refine_the_methods(write):
    name = write(REFINED)
    assert settings.curve_plan(name, method_settings(name, "npo")) == Plan(lr=0.5, steps=77)
    other = write(TRAIN + "[methods.npo]\nlr = 2.0\nschedule = 'linear'\n", "other")
    own = method_settings(other, "npo")
    assert settings.curve_plan(other, own) == own.plan


def test_plans_between_models_trained_apart_refine_the_training_and_keep_the_methods_batches(write):
    own = MethodSettings(Plan("sgd", lr=9.0, steps=3, batch_size=32, forget_batch_size=16))
    name = write(TRAIN + "[curve]\nsteps = 77\n[curve.independent]\nsteps = 1260\nlr = 0.25\nschedule = 'linear'\n")
    plan = replace(settings.train_plan(name), batch_size=32, forget_batch_size=16)
    assert settings.independent_plan(name, own) == replace(plan, steps=1260, lr=0.25, schedule="linear")
    assert settings.curve_plan(name, own) == replace(own.plan, steps=77)
    plain = write(TRAIN, "plain")
    assert settings.independent_plan(plain, own) == replace(
        settings.train_plan(plain), batch_size=32, forget_batch_size=16
    )
    odd = write(TRAIN + "[curve.independent]\npace = 3\n", "odd")
    with pytest.raises(BadInput, match=r"unknown key 'pace' in \[curve.independent\] of odd"):
        settings.independent_plan(odd, own)


# Values


def test_reading_twice_gives_equal_hashable_settings():
    for name in FILES:
        seen = [
            [method_settings(name, m, c, o) for m in METHODS for c in CURRICULA for o in OPTIMIZERS]
            + [settings.train_plan(name)]
            for _ in range(2)
        ]
        assert seen[0] == seen[1]
        assert [hash(s) for s in seen[0]] == [hash(s) for s in seen[1]]


def test_lists_become_tuples(write):
    name = write(TRAIN + "[methods.npo]\nlr = 1.0\noptions.beta = [1, 2]\n[curricula.none]\nlam = [3]\n")
    found = method_settings(name, "npo")
    assert found.options == (("beta", (1, 2)),) and found.curriculum_options == (("lam", (3,)),)
    hash(found)


@pytest.mark.parametrize(
    "thing",
    [Plan(), MethodSettings(Plan()), settings.preset("smoke")],
    ids=lambda t: type(t).__name__,
)
def test_settings_do_not_change(thing):
    for field in fields(thing):
        with pytest.raises(FrozenInstanceError):
            setattr(thing, field.name, 1)
    hash(thing)


@pytest.mark.parametrize("name", ["lr", "weight_decay", "clip"])
def test_a_plan_refuses_numbers_out_of_range(name):
    for value in (-1e-9, math.nan, math.inf, "0.1", None, True):
        with pytest.raises(BadInput, match=f"{name} must be a finite number of at least 0, got {value!r}"):
            Plan(**{name: value})
    assert getattr(Plan(**{name: 0}), name) == 0


@pytest.mark.parametrize("name, low", [("steps", 0), ("batch_size", 1), ("forget_batch_size", 1)])
def test_a_plan_refuses_counts_out_of_range(name, low):
    for value in (low - 1, 2.0, 2.5, math.nan, "3", None, True):
        with pytest.raises(BadInput, match=f"{name} must be a whole number of at least {low}, got "):
            Plan(**{name: value})
    assert getattr(Plan(**{name: low}), name) == low


def test_a_data_set_without_settings_of_its_own_says_so_once_and_names_the_search(capsys):
    for _ in range(2):
        assert settings.settings_name("somebody-s-data", "convnet") == "default"
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "somebody-s-data with convnet is untuned" in said
    assert "python -m mcutils search" in said
    assert settings.settings_name("digits", "convnet") == "digits.convnet" and capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"optimizer": 3}, "optimizer must be a name, got 3"),
        ({"schedule": None}, "schedule must be a name, got None"),
        ({"options": 3}, "options must be a table, or pairs"),
        ({"options": "betas"}, "options must be a table, or pairs"),
        ({"options": [("betas",)]}, "options must be a table, or pairs"),
    ],
)
def test_a_plan_of_wrong_types_is_refused(wrong, message):
    with pytest.raises(BadInput, match=message):
        Plan(**wrong)


def test_equal_plans_are_one_whatever_numbers_they_were_given():
    given = Plan(lr=np.float32(0.5), steps=np.int64(3), options={"betas": [0.9, 0.99]})
    assert given == Plan(lr=0.5, steps=3, options=(("betas", (0.9, 0.99)),))
    assert (type(given.lr), type(given.steps)) == (float, int) and hash(given)
    with pytest.raises(BadInput, match="plan must be a Plan"):
        MethodSettings(None)


def test_unfit_methods_are_walked_between_two_seeds_alone():
    """Other experiments take the others, of those that are asked for; all, where none of these is left."""
    laptop = settings.preset("laptop")
    assert laptop.unfit and set(laptop.unfit) < set(laptop.methods)
    assert laptop.fit == tuple(m for m in laptop.methods if m not in laptop.unfit)
    assert replace(laptop, methods=("salun", "npo")).fit == ("npo",)
    assert replace(laptop, methods=("salun",)).fit == ("salun",)
    assert all(settings.preset(name).fit == settings.preset(name).methods for name in ("smoke", "paper"))
