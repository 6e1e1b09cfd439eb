"""Presets and hyper-parameters, read from the TOML files beside this module; unknown keys are errors."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput, choose, number, seed_of, share, shown, whole
from ..plugins import identity

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent


EIGHT = ".eight"
RATES = ("partner", "tuned")  # learning rates of ends with a curriculum or another optimiser than the method's own
Options = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Plan:
    """How a descent runs: optimiser, learning rate, number of steps, batches.

    ``batch_size`` counts training or retain examples per step and ``forget_batch_size`` forget examples;
    ``clip`` bounds the gradient norm (0 = off); ``options`` go to the optimiser.
    """

    optimizer: str = "adamw"
    lr: float = 1e-3
    steps: int = 100
    batch_size: int = 128
    forget_batch_size: int = 128
    weight_decay: float = 0.0
    schedule: str = "constant"
    clip: float = 0.0
    options: Options = ()

    def __post_init__(self) -> None:
        for name in ("optimizer", "schedule"):
            if not isinstance(getattr(self, name), str):
                raise BadInput(f"{name} must be a name, got {shown(getattr(self, name))}.")
        object.__setattr__(self, "options", _pairs("options", self.options))
        for name in ("lr", "weight_decay", "clip"):
            object.__setattr__(self, name, number(name, getattr(self, name), 0))
        for name, low in (("steps", 0), ("batch_size", 1), ("forget_batch_size", 1)):
            object.__setattr__(self, name, whole(name, getattr(self, name), low))


@dataclass(frozen=True)
class MethodSettings:
    """A method's plan, its own options (``beta`` of NPO, ...) and the curriculum's options."""

    plan: Plan
    options: Options = ()
    curriculum_options: Options = ()

    def __post_init__(self) -> None:
        if not isinstance(self.plan, Plan):
            raise BadInput(f"plan must be a Plan, got {shown(self.plan)}.")
        for name in ("options", "curriculum_options"):
            object.__setattr__(self, name, _pairs(name, getattr(self, name)))


# The least that these fields of a preset may be.
LOWEST = {"width": 1, "train_size": 0, "test_size": 0, "points": 2, "bootstrap": 1, "pairs": 1, "originals": 0}


@dataclass(frozen=True)
class Preset:
    """What one preset runs: data, network, sizes, seeds, methods and the number of points of a trace.

    ``originals``: of so many original models each has a forget set of its own, drawn by its seed 0, 1, ...; 0: all have
    one in common. ``refresh`` of BatchNorm's statistics in traces: ``weighted`` (`traces.trace`), or empty for not.
    ``crossed``: where a cue is planted, the share of its images that show another class (`data.cues.planted`).
    ``unfit``: methods of which the search found no setting that passes the endpoint gate; no verdict reads their paths,
    so that only two seeds of them are walked (00 to 02), see `fit`.
    """

    name: str
    dataset: str
    model: str
    width: int
    forget: float
    train_size: int
    test_size: int
    seeds: tuple[int, ...]
    methods: tuple[str, ...]
    quickstart_method: str
    points: int
    bootstrap: int
    pairs: int
    about: str = ""
    originals: int = 0
    refresh: str = ""
    crossed: float = 0.0
    unfit: tuple[str, ...] = ()

    @property
    def fit(self) -> tuple[str, ...]:
        """The methods that experiments beyond two seeds walk: all but the ``unfit`` ones, or all where none is left."""
        return tuple(name for name in self.methods if name not in self.unfit) or self.methods

    def __post_init__(self) -> None:
        for name in ("name", "dataset", "model", "quickstart_method", "about", "refresh"):
            if not isinstance(getattr(self, name), str):
                raise BadInput(f"{name} must be a name, got {shown(getattr(self, name))}.")
        for name, low in LOWEST.items():
            object.__setattr__(self, name, whole(name, getattr(self, name), low))
        choose("refresh of BatchNorm, empty or", self.refresh or "weighted", ("weighted",))
        object.__setattr__(self, "forget", share("forget", self.forget))
        object.__setattr__(self, "crossed", share("crossed", self.crossed, zero=True))
        object.__setattr__(self, "seeds", tuple(map(seed_of, listed("seeds", self.seeds))))
        object.__setattr__(self, "methods", listed("methods", self.methods))
        object.__setattr__(self, "unfit", tuple(self.unfit))
        for name in ("seeds", "methods"):
            if len(set(map(str, getattr(self, name)))) < len(getattr(self, name)):
                raise BadInput(f"{name} must be different from each other, got {shown(getattr(self, name))}.")


def listed(name: str, value: Any) -> tuple[Any, ...]:
    """Return a list of one value or more as a tuple, or raise `BadInput`; a name alone is none."""
    if isinstance(value, (list, tuple, range, np.ndarray)) and len(value) > 0:
        return tuple(value)
    raise BadInput(f"{name} must be a list of one or more, got {shown(value)}.")


@cache
def _read(name: str) -> dict[str, Any]:
    path = FOLDER / f"{name}.toml"
    if not path.is_file():
        known = sorted(p.stem for p in FOLDER.glob("*.toml") if p.stem not in ("presets", "cluster"))
        raise BadInput(f"no settings named {name!r}: there are {', '.join(known)}.")
    with open(path, "rb") as file:
        table = tomllib.load(file)
    plain = name.removesuffix(EIGHT)
    if plain != name:
        _no_other_keys(table, {"methods"}, f"settings {name}")
        table = {**_read(plain), **table}
    if name != "presets":
        _no_other_keys(table, {"train", "methods", "optimizers", "curricula", "curve"}, f"settings {name}")
    return table


def settings_name(dataset: str, model: str, originals: int = 0) -> str:
    """The settings file for a data set and a model, or ``default``, said once, where there is none.

    Where ``originals`` have a forget set each, it is the one that ends in ``.eight``, if there is one: it holds methods
    alone, and all else is read from the plain one.
    """
    for name in [f"{dataset}.{model}{EIGHT}"] * bool(originals) + [f"{dataset}.{model}"]:
        if (FOLDER / f"{name}.toml").is_file():
            return name
    say_untuned(f"{dataset} with {model}")
    return "default"


def preset(name: str) -> Preset:
    """Return the preset ``smoke``, ``laptop`` or ``paper``."""
    table = _read("presets")
    values: dict[str, Any] = dict(table[choose("preset", name, table)])
    _no_other_keys(values, {f.name for f in fields(Preset)} - {"name"}, f"preset {name}")
    return Preset(name=name, **values)


def presets() -> list[str]:
    """Names of the presets."""
    return list(_read("presets"))


def train_plan(name: str) -> Plan:
    """The plan of original and retrained models in the settings file ``name``."""
    return _plan(_read(name)["train"], f"[train] of {name}")[0]


@cache
def say_untuned(what: str) -> None:
    """Say, once for each thing, that nobody has tuned it: settings are those of ``default.toml``, else of `Plan`.

    Nothing is said where ``MCUTILS_COMPUTE`` is ``never``: stored results are read there, and no setting is used.
    """
    if os.environ.get("MCUTILS_COMPUTE") != "never":
        print(
            f"mcutils: {what} is untuned and runs with default settings; `python -m mcutils search` looks for better"
            " ones on validation data.",
            file=sys.stderr,
        )


def method_settings(
    name: str,
    method: str,
    curriculum: str = "none",
    optimizer: str = "adamw",
    *,
    forget: float | None = None,
    rate: str = "",
) -> MethodSettings:
    """Settings of a method in the settings file ``name`` under a curriculum and an optimiser.

    The method's own table is refined, in this order, by its ``sizes.S`` for the share S to ``forget``, the file's
    ``[optimizers.X]`` (``lr_scale``), the method's ``optimizers.X`` and the method's ``curricula.Y`` (where
    ``lr_scale`` multiplies whatever rate came before, so that the two compose); the curriculum's options come from
    ``[curricula.Y]``. With the ``rate`` of the ``partner``, the learning rate is that of the method's own table under
    any curriculum and optimiser; with the ``tuned`` one, it is said once where none was tuned.
    """
    choose("rate, empty or", rate or "tuned", RATES)
    file = _read(name)
    tables = {**file.get("methods", {}), "retrain": file["train"], "train": file["train"]}
    if method not in tables:
        known = {} if identity("method", method) else _read("default").get("methods", {})
        if method not in known and identity("method", method) is None:
            raise BadInput(f"settings {name} hold no method {method!r}: they hold {', '.join(tables)}.")
        tables[method] = known.get(method, {})
        say_untuned(f"the method {method!r} in the settings {name}")
    base = {"lr": Plan.lr, **tables[method]}
    per_optimizer, per_curriculum = base.pop("optimizers", {}), base.pop("curricula", {})
    base = _merged(base, _sized(base.pop("sizes", {}), forget, f"[methods.{method}] of {name}"))
    partner = base["lr"]
    if rate == "tuned":
        _say_variant(name, method, {curriculum: per_curriculum, optimizer: per_optimizer})
    tuned_for = base.get("optimizer", "adamw")
    if optimizer != tuned_for:
        scaled = dict(file.get("optimizers", {}).get(optimizer, {}))
        base.pop("optimizer_options", None)  # they belong to the optimiser that the table was tuned for
        base["lr"] = base["lr"] * scaled.pop("lr_scale", 1.0)
        base = {**_merged(_merged(base, scaled), per_optimizer.get(optimizer, {})), "optimizer": optimizer}
    other = dict(per_curriculum.get(curriculum, {}))
    base["lr"] = base["lr"] * other.pop("lr_scale", 1.0)
    base = _merged(base, other) | ({"lr": partner} if rate == "partner" else {})
    plan, options = _plan(base, f"[methods.{method}] of {name}")
    extra = file.get("curricula", {}).get(curriculum, {})
    return MethodSettings(plan, options, _options(extra))


def _sized(tables: Mapping[str, Any], forget: float | None, where: str) -> Mapping[str, Any]:
    """The one of a method's tables of shares to forget that is of this share; nothing where there is none."""
    for size in tables:
        if not re.fullmatch(r"0\.\d+", size):
            raise BadInput(f"a size in {where} must be a share such as 0.02, got {size!r}.")
    return next((table for size, table in tables.items() if forget is not None and float(size) == forget), {})


def _say_variant(name: str, method: str, variants: Mapping[str, Mapping[str, Any]]) -> None:
    for variant, tables in variants.items() if name != "default" else ():  # of which nothing is tuned
        if variant not in ("none", "adamw") and variant not in tables:
            say_untuned(f"the learning rate of {method!r} with {variant!r} in the settings {name}")


def curve_plan(name: str, settings: MethodSettings) -> Plan:
    """The plan of a curve fit: the method's own, refined by the ``[curve]`` table (``lr_scale``, ``steps``)."""
    table = dict(_read(name).get("curve", {}))
    table.pop("independent", None)
    plan = replace(settings.plan, lr=settings.plan.lr * table.pop("lr_scale", 1.0))
    _no_other_keys(table, {"steps", "schedule"}, f"[curve] of {name}")
    return replace(plan, **table)


def independent_plan(name: str, settings: MethodSettings) -> Plan:
    """The plan of a curve fit between models trained apart, which begins high above both ends.

    It is that of training, refined by the file's ``[curve.independent]``, with the batch sizes of the method.
    """
    file = _read(name)
    refined = {**file["train"], **file.get("curve", {}).get("independent", {})}
    plan = _plan(refined, f"[curve.independent] of {name}")[0]
    return replace(plan, batch_size=settings.plan.batch_size, forget_batch_size=settings.plan.forget_batch_size)


def _merged(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {**base, **other}
    for key in ("options", "optimizer_options"):
        if key in base and key in other:
            both[key] = {**base[key], **other[key]}
    return both


def _pairs(name: str, value: Any) -> Options:
    """Options as pairs of a name and a value, from these or from a table."""
    if isinstance(value, Mapping):
        return _options(value)
    pairs: Any = value if isinstance(value, (tuple, list)) else [None]
    if not all(isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
        raise BadInput(f"{name} must be a table, or pairs of a name and a value, got {shown(value)}.")
    return tuple((key, tuple(one) if isinstance(one, list) else one) for key, one in pairs)


def _options(table: Mapping[str, Any]) -> Options:
    """A table as sorted pairs, its lists as tuples: equal tables give equal, hashable options."""
    return tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in sorted(table.items()))


def _plan(table: Mapping[str, Any], where: str) -> tuple[Plan, Options]:
    values = dict(table)
    options, tuned = _options(values.pop("options", {})), _options(values.pop("optimizer_options", {}))
    _no_other_keys(values, {f.name for f in fields(Plan)} - {"options"}, where)
    return Plan(**values, options=tuned), options


def _no_other_keys(table: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    unknown = sorted(set(table) - set(allowed))
    if unknown:
        raise BadInput(f"unknown key {unknown[0]!r} in {where}: allowed are {', '.join(sorted(allowed))}.")
