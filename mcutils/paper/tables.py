"""The tables of the paper's experiments: built from stored results, or taken from the shipped ones.

Whatever is read (notebooks, ledger, site, README, menus) reads these tables and nothing else.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import lzma
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..curves import RECIPES
from ..engine.conditions import CONDITIONS, End
from ..engine.results import TABLES, results, write_table
from ..engine.specs import (
    AlignedSpec,
    CurveSpec,
    OriginalSpec,
    ProfileSpec,
    RetrainedSpec,
    Spec,
    UnlearnedSpec,
    key,
)
from ..engine.study import Study
from ..engine.tables import JUDGED, along_table, path_row
from ..errors import BadInput, choose, shown
from ..files import write_file
from ..measures.metrics import METRICS
from ..measures.profiles import Profile
from ..settings import tomllib
from . import difficulty, ensembles, experiments, privacy
from .experiments import ALIGNED, ORIGINALS, PAIRS, Route, labels_of
from .inclusion import Table, Tables, prepare

COPIES = ("UA", "RA", "TA", "loss_retain", "loss_forget")  # other names of accuracies, and losses, which no gap counts
LEAST_GAP = 0.05  # of a metric, original to retrained, above which it tells them apart
SPREADS = 5  # of the retrained models, that a metric's gap must exceed to tell the original from them
DICTIONARY = Path(__file__).with_name("dictionary.toml")
# What stands for the method of a model that is not unlearned; and the condition of a path between two kinds of models.
NAMED: dict[type, str] = {OriginalSpec: "original", RetrainedSpec: "retrain"}
BETWEEN: dict[tuple[type, ...], str] = {
    (OriginalSpec, UnlearnedSpec): "forgetting",
    (UnlearnedSpec, RetrainedSpec): "retraining",
    (RetrainedSpec, RetrainedSpec): PAIRS,
    (OriginalSpec, OriginalSpec): ORIGINALS,
}
Asked = list[tuple[Route, Spec]]


def _plainly(routes: Callable[[Study], list[Route]]) -> Callable[[Study], Asked]:
    return lambda study: [(route, route.profile(study)) for route in routes(study)]


def _difficulty(study: Study) -> Asked:
    known = difficulty.stored_targets(study)
    grades = {} if known is None else difficulty.graded(known, difficulty.size_of(study))
    graded = [(route, difficulty.outcome_of(study, route)) for route in difficulty.graded_lines(study, grades)]
    rest = [*difficulty.class_lines(study), *difficulty.merging(study)]
    return [*graded, *((route, difficulty.profile_of(study, route)) for route in rest)]


def routes_along(study: Study) -> list[Route]:
    """All of `experiments.routes_along`."""
    return [route for routes in experiments.routes_along(study).values() for route in routes]


# experiment -> the routes of its paths, each with the spec whose result is its row
PATHS: dict[str, Callable[[Study], Asked]] = {
    "00_quickstart": _plainly(lambda study: [*experiments.first_pair(study), *experiments.trained_apart(study)]),
    "02_seeds": _plainly(experiments.seeds),
    "03_curriculum": _plainly(experiments.curriculum),
    "04_second_order": _plainly(experiments.second_order),
    "05_methods": _plainly(experiments.methods),
    "06_forget_size": _plainly(experiments.sizes),
    "07_metrics_along_the_path": _plainly(routes_along),
    "08_curve_fitting": _plainly(experiments.fits),
    "09_progress_and_retraining": _plainly(experiments.progress),
    "alignment": _plainly(lambda study: [*difficulty.raw(study), *difficulty.aligned(study)]),
    "n1": lambda study: [(r, experiments.between_profile(study, r)) for r in experiments.between(study)],
    "privacy": _plainly(privacy.routes),
    "ensembles": _plainly(ensembles.routes),
    "relearning": _plainly(lambda study: list(ensembles.forgetting(study).values())),
    "difficulty": _difficulty,
}
# Experiments that are priced apart: no run of all notebooks computes them.
APART = ("alignment", "n1", "privacy", "ensembles", "relearning", "difficulty")
# measurement -> its tables, and the specs that they are made of
MEASURED: dict[str, tuple[Callable[[Study], Tables], Callable[[Study], Iterable[Spec]]]] = {}


def measurement(name: str, needs: Callable[[Study], Iterable[Spec]]) -> Callable:
    """Decorator that registers a function ``study -> tables`` under a name, with what it reads."""

    def add(function: Callable[[Study], Tables]) -> Callable[[Study], Tables]:
        MEASURED[name] = function, needs
        return function

    return add


@measurement("privacy", lambda study: [*privacy.along_needs(study), *privacy.pool_needs(study)])
def _privacy(study: Study) -> Tables:
    made = {name: make(study) for name, make in privacy.TABLES.items()}
    return {**made, **privacy.pool_tables(study)}


@measurement("ensembles", ensembles.needs)
def _ensembles(study: Study) -> Tables:
    return {name: make(study) for name, make in ensembles.TABLES.items()}


@measurement("difficulty", difficulty.needs)
def _measured_difficulty(study: Study) -> Tables:
    found = difficulty.graded_tables(study)
    merged = distances(study, [(r, difficulty.profile_of(study, r)) for r in difficulty.merging(study)])
    return {**found, "probes": difficulty.probes(study), "distances": merged}


@measurement("n1", experiments.between_needs)
def _between(study: Study) -> Tables:
    return {"distances": distances(study, PATHS["n1"](study))}


@measurement("alignment", difficulty.aligned_needs)
def _alignment(study: Study) -> Tables:
    return difficulty.permutations(study)


def cue_needs(study: Study) -> list[Spec]:
    """The use of a cue along lines, and how alike models are."""
    specs = [one for o in experiments.relying(study) for one in experiments.cued(study, None, o).values()]
    return [*specs, experiments.alike(study)]


@measurement("05_methods", cue_needs)
def _cue(study: Study) -> Tables:
    import pandas as pd

    lines = {
        (o, *at): spec for o in experiments.relying(study) for at, spec in experiments.cued(study, None, o).items()
    }
    rows = []
    for (original, method, part), one in zip(lines, study.run(lines.values()), strict=True):
        for name, values in one.items():
            split, _, what = name.partition("/")
            t = np.linspace(0, 1, len(values))
            rows += [(original, method, part, split, what, x, float(v)) for x, v in zip(t, values, strict=True)]
    columns = ["original", "method", "part", "split", "what", "t", "value"]
    (alike,) = study.run([experiments.alike(study)])
    fit, (first, second) = list(study.preset.fit), study.seeds[:2]
    names = [f"{m} {first}" for m in fit] + [f"{fit[0]} {second}", f"retrained {first}", "original 0"]
    pairs = [(a, b) for a in range(len(names)) for b in range(a)]
    similar = [(what, names[b], names[a], float(m[a, b])) for what, m in alike.items() for a, b in pairs]
    return {
        "cue": pd.DataFrame(rows, columns=columns),
        "similarities": pd.DataFrame(similar, columns=["what", "model", "other", "value"]).assign(original=0),
    }


@measurement("08_curve_fitting", lambda study: experiments.fit_records(study, experiments.fits(study)))
def _fits(study: Study) -> Tables:
    import pandas as pd

    found = []
    for route, fit in experiments.fitted(study, experiments.fits(study)):
        told = labels_of(route)
        change, noise = fit.change()
        rest = {True: "at rest", False: "not", None: "noise hides it"}[fit.converged]
        record = {"steps": fit.steps, "change": change, "change_error": noise, "rest": rest}
        blocks = {"step": fit.step, "objective": fit.loss, "averaged": fit.averaged}
        at = {n: told[n] for n in ("original", "method", "start", "end", "recipe", "objective", "refit")}
        at["term"] = at.pop("objective")
        found.append(pd.DataFrame({**at, **record, **blocks}))
    return {"fits": pd.concat(found, ignore_index=True) if found else pd.DataFrame()}


def distances(study: Study, asked: Asked) -> Table:
    """`distances`: JS divergence on D_f along lines to each of their retrained models, in bits."""
    import pandas as pd

    parts = []
    for route, spec in asked:
        for k, one in enumerate(study.run(experiments.distances_of(spec))):
            t = np.linspace(0, 1, len(one["values"]))
            at = {"original": route.original, "label": route.label, "path": key(spec), "retrained": k}
            parts.append(pd.DataFrame({**at, "t": t, "value": one["values"]}))
    columns = ["original", "label", "path", "retrained", "t", "value"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def every() -> list[str]:
    """The names of all experiments that have tables."""
    return list(dict.fromkeys(["01_endpoints", *PATHS]))


def table(study: Study, name: str, *what: str | Spec) -> Table:
    """One of `tables`, of all experiments that are stored where ``what`` names none: `study.table`."""
    what = what or tuple(one for one in every() if stored(study, one))
    if not what:
        raise BadInput(
            f"nothing of the study {study.preset.name} is stored in {study.store.folder}: name what to compute."
        )
    found = tables(study, *what)
    return found[choose("table", name, found)]


def route_to(study: Study, profile: Spec) -> Route:
    """A route to the profile of a path of one's own, with labels read from its two ends."""
    if not isinstance(profile, ProfileSpec) or not isinstance(profile.trace.model, CurveSpec):
        raise BadInput(f"a row of `paths` is a profile of a path, got {shown(profile)}.")
    path = profile.trace.model
    ends = [one.model if isinstance(one, AlignedSpec) else one for one in (path.start, path.end)]
    kinds = tuple(type(one) for one in ends)
    names = [one.method if isinstance(one, UnlearnedSpec) else NAMED[type(one)] for one in ends]
    changed = [(getattr(one, "curriculum", "none"), getattr(one, "optimizer", "adamw")) for one in ends]
    told = [End(names.index(name), c != "none", o != "adamw") for name, (c, o) in zip(names, changed, strict=True)]
    condition = next((name for name, one in CONDITIONS.items() if [one.start, one.end] == told), "other")
    usual = ("none", "superloss", "adamw", "sophia_g")
    forms = [f"{ALIGNED} {path.end.by}"] if isinstance(path.end, AlignedSpec) else []
    forms += dict.fromkeys(one for pair in changed for one in pair if one not in usual)
    first, policy = path.origin, RECIPES[path.recipe].batchnorm if path.recipe else "retain"
    return Route(
        names[0],
        path.kind,
        *(one.seed for one in ends),
        path=path,
        original=first.seed if isinstance(first, OriginalSpec) else path.data.draw or 0,
        condition=condition if kinds == (UnlearnedSpec, UnlearnedSpec) else BETWEEN.get(kinds, "other"),
        other=names[1] if names[1] != names[0] else "",
        size=0.0 if path.forget == study.preset.forget else path.forget,
        form=" ".join(forms),
        recipe="" if path.recipe == "corrected" else path.recipe,
        objective=path.method,
        refit=path.seed != 0,
        batchnorm="" if profile.trace.batchnorm == policy else profile.trace.batchnorm,
    )


def tables(study: Study, *names: str | Spec, all_metrics: bool = True, shipped: bool = True) -> dict[str, Table]:
    """The tables of experiments, by name: `paths`, `along`, `models`, and those of what else they measure.

    Rows come from the shipped tables where these hold the result, by its key, and nothing is opened then; else results
    are loaded, or computed.

    Args:
        study: whose experiments.
        names: of `every`, or profiles of paths of one's own; none is all of `every`, without what is priced apart and
            not stored whole.
        shipped: whether to take rows from the shipped tables; else all of them are made from results.
        all_metrics: `along` with every metric, or with the losses and accuracies that tests read alone.
    """
    import pandas as pd

    names = names or tuple(name for name in every() if name not in APART or stored(study, name))
    there, rows = _shipped("paths") if shipped else {}, dict[tuple, dict[str, Any]]()
    found: dict[str, Table] = {}
    own = [(route_to(study, one), one) for one in names if not isinstance(one, str)]
    names = tuple(choose("experiment", one, every()) for one in names if isinstance(one, str))
    asked = {name: PATHS[name](study) for name in names if name in PATHS} | ({"own": own} if own else {})
    lacking = dict.fromkeys(s for part in asked.values() for _, s in part if key(s) not in there)
    made = dict(zip(map(key, lacking), study.run(lacking), strict=True)) if lacking else {}
    numbers = {k: path_row(_profile(one)) for k, one in made.items()}
    for name, part in asked.items():
        for route, spec in part:
            told, k = labels_of(route), key(spec)
            row = rows.setdefault((k, *told.values()), {"path": k, "experiments": [], "task": task_of(study), **told})
            row["experiments"] += [name] * (name not in row["experiments"])
            row |= {"aside": route.aside, **(numbers[k] if k in numbers else there[k])}
    study.used.update(dict.fromkeys(row["path"] for row in rows.values()))
    if rows:
        paths = pd.DataFrame(list(rows.values()))
        paths["experiments"] = paths.experiments.map(" ".join)
        found = {"paths": paths, "along": _along_of(paths, made, all_metrics)}
    found["models"] = models(study, "01_endpoints" in names, shipped)
    for name in names:
        if name in MEASURED:
            found = _joined(found, _measured(study, name))
    return prepare({**found, "gaps": gaps(found["models"])}) if rows else found


def stored(study: Study, name: str) -> bool:
    """Whether all that an experiment needs is in the shipped tables or in the study's store: nothing is computed."""
    if name == "n1" and not study.preset.originals or study.data.scenario is not None and name in APART:
        return False
    levels = [study.profile(model) for model in experiments.models(study, every=False).values()]
    asked = {"paths": [spec for _, spec in PATHS[name](study)] if name in PATHS else [], "models": levels}
    whole = all(key(s) in _shipped(table) or s in study.store for table, specs in asked.items() for s in specs)
    if not whole or name not in MEASURED:
        return whole
    specs = list(MEASURED[name][1](study))
    return _index().get(name, {}).get("of") == digest(specs) or all(spec in study.store for spec in specs)


def task_of(study: Study) -> str:
    """The name of a study's task in tables: data set and network."""
    return f"{study.data.dataset}.{study.preset.model}"


def _profile(result: Any) -> Profile:
    return result if isinstance(result, Profile) else difficulty.outcome_profile(result)


def _along_of(paths: Table, made: Mapping[str, Any], all_metrics: bool) -> Table:
    import pandas as pd

    first = paths.drop_duplicates("path").set_index("path").original
    parts = []
    if set(paths.path) - set(made):
        known = _table("along")
        parts.append(known[known.path.isin(set(paths.path))])
    if made:
        parts.append(along_table({k: _profile(one) for k, one in made.items()}))
    found = pd.concat(parts, ignore_index=True)
    if not all_metrics:
        found = found[found.metric.isin(JUDGED)]
    return found.assign(original=found.path.map(first))


def models(study: Study, every: bool = True, shipped: bool = True) -> Table:
    """`models`: every metric of original, retrained and (``every``) unlearned models, a row a model."""
    import pandas as pd

    there, found = _shipped("models") if shipped else {}, []
    asked = experiments.models(study, every)
    specs = {at: study.profile(model) for at, model in asked.items()}
    lacking = [spec for spec in specs.values() if key(spec) not in there]
    made = dict(zip(map(key, lacking), study.run(lacking), strict=True)) if lacking else {}
    names = "role original method curriculum optimizer seed".split()
    for at, spec in specs.items():
        k = key(spec)
        row: dict[str, Any] = {"key": k, "task": task_of(study), **dict(zip(names, at, strict=True))}
        if k in made:
            one = made[k]
            row |= {"seconds": one.seconds, "gap": one.gap, "collapsed": "; ".join(one.collapsed)}
            row |= {name: float(one.metric(name)[0]) for name in METRICS if f"metric/{name}" in one.arrays}
        found.append(row if k in made else row | there[k])
    study.used.update(dict.fromkeys(row["key"] for row in found))
    return pd.DataFrame(found)


def gaps(models: Table) -> Table:
    """`gaps`: how far retrained models lie from their original by each metric that tells them apart, per original.

    A metric tells if the gap exceeds `SPREADS` standard deviations of the retrained models, and `LEAST_GAP`.
    """
    import pandas as pd

    names = [name for name in METRICS if name in models and name not in COPIES]
    rows = []
    for original, part in models.groupby("original"):
        first, anew = (part[part.role == role][names] for role in ("original", "retrained"))
        far = (first.iloc[0] - anew.mean()).abs()
        telling = (far > SPREADS * anew.std()) & (anew.std() > 0) & (far > LEAST_GAP)
        rows += [(original, name, float(far[name])) for name in names if telling[name]]
    return pd.DataFrame(rows, columns=["original", "metric", "gap"])


def excess(tables: Tables, paths: Table, metric: str) -> Table:
    """A metric along these paths minus its chord, in G where it is a loss: columns of `paths`, t, value and excess."""
    along = tables["along"]
    some = along[(along.metric == metric) & along.path.isin(paths.path)].sort_values(["path", "t"], kind="stable")
    ends = some.groupby("path").value.agg(["first", "last"])
    chord = (1 - some.t) * some.path.map(ends["first"]) + some.t * some.path.map(ends["last"])
    found = some.drop(columns="original").assign(chord=chord).merge(paths, on="path")
    unit = found.gap if metric.startswith("loss_") else 1.0
    return found.assign(excess=(found.value - found.chord) / unit)


# Shipped tables


@lru_cache(maxsize=16)
def _table(name: str) -> Table:
    return results(name)


@lru_cache(maxsize=4)
def _shipped(name: str) -> dict[str, dict[str, Any]]:
    """key -> the numbers of a shipped row of `paths` or `models`; none where no table ships."""
    if not (TABLES / f"{name}.csv.xz").is_file():
        return {}
    table = _table(name)
    first = "gap" if name == "paths" else "seconds"
    numbers = table.loc[:, first:].to_dict("records")
    return dict(zip(table["path" if name == "paths" else "key"], numbers, strict=True))


def digest(specs: Iterable[Spec]) -> str:
    """SHA-256, its first 16 digits, over the keys of specs in order."""
    return hashlib.sha256(" ".join(map(key, specs)).encode()).hexdigest()[:16]


def _measured(study: Study, name: str) -> Tables:
    """The tables of a measurement: the shipped ones where they are of the same results."""
    make, needs = MEASURED[name]
    specs = list(needs(study))
    made_of = _index().get(name)
    if made_of is not None and made_of["of"] == digest(specs):
        study.used.update(dict.fromkeys(map(key, specs)))
        return {table: _rows(table, name) for table in made_of["tables"]}
    return make(study)


def _rows(table: str, name: str) -> Table:
    found = _table(table)
    return found[found.experiment == name].drop(columns="experiment") if "experiment" in found else found


@lru_cache(maxsize=1)
def _index() -> dict[str, Any]:
    path = TABLES / "index.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _joined(found: dict[str, Table], more: Tables) -> dict[str, Table]:
    import pandas as pd

    return {**found, **{n: pd.concat([found[n], t], ignore_index=True) if n in found else t for n, t in more.items()}}


def ship(study: Study) -> dict[str, str]:
    """Write all tables of a study into data/tables; returns the SHA-256 of each file."""
    import pandas as pd

    for known in (_table, _shipped, _index):
        known.cache_clear()
    found = tables(study, *every(), shipped=False)
    paths = found["paths"]
    last = list(paths.columns).index("start_closed_loss")
    whole = {"paths": paths.iloc[:, :last].drop(columns="label", errors="ignore")}
    whole |= {"along": found["along"].drop(columns="original"), "models": found["models"]}
    index: dict[str, Any] = {}
    several: dict[str, list[Table]] = {}
    for name, (make, needs) in MEASURED.items():
        made = make(study)
        index[name] = {"of": digest(needs(study)), "tables": sorted(made)}
        for table, one in made.items():
            several.setdefault(table, []).append(one.assign(experiment=name) if table == "distances" else one)
    whole |= {table: pd.concat(parts, ignore_index=True) for table, parts in several.items()}
    TABLES.mkdir(parents=True, exist_ok=True)
    sums = {f"{name}.csv.xz": write_table(one, TABLES / f"{name}.csv.xz") for name, one in whole.items()}
    write_file(TABLES / "index.json", (json.dumps(index, indent=1, sort_keys=True) + "\n").encode())
    write_file(TABLES / "checksums.json", (json.dumps(sums, indent=1, sort_keys=True) + "\n").encode())
    for known in (_table, _shipped, _index):
        known.cache_clear()
    return sums


# The dictionary


def written_out(told: Mapping[str, Any], part: str) -> list[tuple[str, str]]:
    """(column, its key in a part of `dictionary.toml`), with every value of the names in braces."""
    found = []
    for name in told[part]:
        sets = re.findall(r"{(\w+)}", name)
        for values in itertools.product(*(told["sets"][one] for one in sets)):
            found.append((name.format(**dict(zip(sets, values, strict=True))), name))
    return found


def dictionary() -> str:
    """docs/tables.md: what a row and each column of every shipped table is, from `dictionary.toml` and `METRICS`."""
    told = tomllib.loads(DICTIONARY.read_text(encoding="utf-8"))
    keys, used = dict(written_out(told, "columns")), dict[str, list[str]]()
    for name in told["tables"]:
        with lzma.open(TABLES / f"{name}.csv.xz", "rt", encoding="utf-8") as file:
            columns = file.readline().strip().split(",")
        used[name] = list(dict.fromkeys(keys.get(f"{name}.{one}") or keys.get(one) or one for one in columns))
    count = Counter(one for names in used.values() for one in names)
    several = [name for name in told["columns"] if count[name] > 1]

    def lines(rows: Iterable[tuple[str, ...]]) -> list[str]:
        each = (" | ".join((f"`{name.rpartition('.')[2]}`", *rest)) for name, *rest in rows)
        return ["", "| column | meaning | unit |", "| --- | --- | --- |", *(f"| {one} |" for one in each), ""]

    page = [told["head"].strip(), "", *(f"- `{{{name}}}`: {', '.join(of)}" for name, of in told["sets"].items())]
    page += ["", "## Columns of several tables", *lines((name, *told["columns"][name]) for name in several)]
    for table, meaning in told["tables"].items():
        shared = [f"`{one}`" for one in used[table] if one in several]
        metrics = [f"`{one}`" for one in used[table] if one not in told["columns"]]
        shared += ["all [metrics](#metrics)"] if table == "models" else metrics
        own = [one for one in used[table] if one in told["columns"] and one not in several]
        page += [f"## {table}", "", f"{meaning} Described elsewhere: {', '.join(shared) or 'nothing'}."]
        page += lines((one, *told["columns"][one]) for one in own)
    page += ["## Added to `paths`", "", told["added_when"], *lines((name, *of) for name, of in told["added"].items())]
    formulas = ((one, METRICS[one].formula, METRICS[one].unit) for one in used["models"] if one in METRICS)
    page += ["## Metrics", *lines((name, text.replace("|", "\\|"), unit) for name, text, unit in formulas)]
    return "\n".join(page)


if __name__ == "__main__":
    from ..engine.study import study as opened

    for file, told in ship(opened("laptop")).items():
        print(told[:12], file)
