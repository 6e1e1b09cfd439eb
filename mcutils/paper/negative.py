"""Negative controls: tables that say nothing, made of those at hand, and what the declared tests make of them.

White noise in place of what was found along a path, every seed twice, one original under many names, models that never
unlearned, splits exchanged, numbers under the labels of others. The controls stay as they are, so that no test is
stopped by them, except where the attack is on what the splits are called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..engine.tables import COARSE, JUDGED, WAVERS, WHITE, fingerprint, pattern
from ..measures.along import excess, excess_variation, roughness, surplus
from ..measures.connectivity import TOLERANCE
from ..measures.originals import neumann_ratio
from ..measures.profiles import HALVED, Profile
from ..measures.readings import READINGS, as_errors, extremes, pair_of
from .inclusion import LABELS, RETRAINED, Table, Tables, curves, prepare
from .rows import CHORD, ROWS, Judged, judge

NOISE = (0.02, 0.05, 0.2, 0.5)  # G
NAMES = 8  # that one original is given
SHUFFLES = 4
INVENTED = 1000  # added to seeds, so that they are seeds that nobody drew
NOISY, TWICE, ONE, IDLE, SWAPPED, SHUFFLED = (
    "noise, {:g} G", "every seed twice", f"one original, {NAMES} names", "never unlearned", "splits swapped", "shuffle",
)  # fmt: skip
# What a decision on says nothing against a row: attack -> rows.
EXEMPT = {
    NOISY.format(NOISE[0]): ("C1", "C9", "C10", "C21"),  # a fiftieth of G is a flat path at a tolerance of a tenth
    SWAPPED: ("C15", "C16"),  # have retrained models as their control, which do not tell the splits
}
# Rows whose tests compare labels, so that their support must go where numbers change places among labels.
LABELLED = ("C2", "C4", "C5", "C6", "C7", "C8", "C12", "C13", "C16", "C23", "C24", "E4", "M1")


def attackable(tables: Tables) -> dict[str, Any]:
    """The tables that attacks change: paths of one experiment a row, so that a path of several is attacked in each."""
    paths = tables["paths"]
    apart = paths.assign(experiments=paths.experiments.str.split()).explode("experiments", ignore_index=True)
    kept = [row.on[0].partition(",")[0] for row in ROWS if row.test and not row.id.startswith("N")]
    return {**tables, "paths": apart[apart.experiments.isin(kept) & ~apart.aside].reset_index(drop=True)}


def rederived(tables: Tables, changed: Mapping[str, np.ndarray], numbers: Callable[[Any], dict[str, Any]]) -> dict:
    """The tables with paths' numbers made anew from other losses and accuracies (4, T) along them, by path.

    ``numbers``: of a row of `paths`, what to change beside what the curves say.
    """
    import pandas as pd

    paths, along = tables["paths"], tables["along"].copy()
    t_of = along[along.metric == JUDGED[0]].groupby("path").t.apply(np.array).to_dict()
    grids: dict[bytes, list[str]] = {}
    told, beside = {}, set[str]()
    for row in paths.drop_duplicates("path").to_dict("records"):
        if row["path"] in changed:
            more = numbers(row)
            told[row["path"]], beside = row | more, beside | set(more)
            grids.setdefault(t_of[row["path"]].tobytes(), []).append(row["path"])
    table = pd.DataFrame.from_dict(told, orient="index")
    anew = [
        path_numbers(table.loc[ones], t_of[ones[0]], np.array([changed[path] for path in ones])).join(
            table.loc[ones, sorted(beside)]
        )
        for ones in grids.values()
    ]
    mask = paths.path.isin(told) & (paths.control == "")
    new = pd.concat(anew).reindex(paths.path).set_axis(paths.index) if anew else pd.DataFrame(index=paths.index)
    result = paths.assign(**{name: new[name].where(mask, paths[name]) for name in new})

    ours = along.metric.isin(JUDGED) & along.path.isin(changed)
    some, order = along[ours], {path: k for k, path in enumerate(changed)}
    values = np.full((len(order), len(JUDGED), max((one.shape[1] for one in changed.values()), default=0)), np.nan)
    for one, found in zip(values, changed.values(), strict=True):
        one[:, : found.shape[1]] = found
    step = some.groupby(["path", "metric"], sort=False).cumcount()
    along.loc[ours, "value"] = values[some.path.map(order), some.metric.map(JUDGED.index), step]
    return prepare({**tables, "paths": result, "along": along})


def path_numbers(told: Table, t: np.ndarray, curves: np.ndarray) -> Table:
    """What `engine.tables.path_row` says of paths on one grid t (T,), from their losses and accuracies (n, 4, T).

    ``told``: their rows, with G and the retrained models' levels.
    """
    import pandas as pd

    gap = told.gap.to_numpy()
    along = {name: curves[:, k].T for k, name in enumerate(JUDGED)}
    levels = as_errors({name: told[f"retrained_{name}"].to_numpy() for name in JUDGED})
    count = len(t) - 1
    few = slice(None, None, 1 if count % (COARSE - 1) else count // (COARSE - 1))
    found: dict[str, Any] = {f"{end}_{n}": v[k] for n, v in along.items() for end, k in (("start", 0), ("end", -1))}
    for suffix, at in (("", slice(None)), (f"_{COARSE}", few), ("_accuracy", slice(None))):
        measures = extremes(as_errors({name: one[at] for name, one in along.items()}), t[at], levels)
        unit = 1.0 if suffix == "_accuracy" else gap
        for reading in READINGS:
            rise, dip = (measures[name] / unit for name in pair_of(reading, suffix == "_accuracy"))
            found |= {f"barrier_{reading}{suffix}": rise, f"deficit_{reading}{suffix}": dip}
            found[f"eps_{reading}{suffix}"] = np.maximum(rise, dip)
    for split in ("retain", "forget"):
        loss = along[f"loss_{split}"]
        found[f"roughness_{split}"] = roughness(loss, t) / gap**2
        found[f"variation_{split}"], found[f"surplus_{split}"] = excess_variation(loss) / gap, surplus(loss, t) / gap
    losses = {name: along[name].T for name in JUDGED[:2]}
    wavers = {name: excess(along[name], t).T / gap[:, None] for name in losses}
    found["unresolved"] = [
        " ".join(name for name in wavers if neumann_ratio(wavers[name][k], WAVERS) > WHITE) for k in range(len(told))
    ]
    found["not_finite"] = [
        " ".join(name for name in losses if not np.isfinite(losses[name][k]).all()) for k in range(len(told))
    ]
    return pd.DataFrame(found | {"fingerprint": [fingerprint(one) for one in curves]}, index=told.index)


def noise(tables: Tables, level: float) -> dict[str, Any]:
    """Between the true ends of every path chords and white noise: of ``level`` G for losses, of as large a share of the
    gap between original and retrained models for other metrics."""
    rng = np.random.default_rng(round(1000 * level))
    models = tables["models"]
    first, anew = (models[models.role == role].mean(numeric_only=True) for role in ("original", "retrained"))
    along = tables["along"].sort_values(["path", "metric", "t"], kind="stable")
    paths = tables["paths"].drop_duplicates("path").set_index("path")
    ours = along.path.map(paths.control == "").fillna(False).to_numpy(dtype=bool)
    group = along.groupby(["path", "metric"], sort=False).value
    chord = (1 - along.t) * group.transform("first") + along.t * group.transform("last")
    scale = {n: abs(first.get(n, np.nan) - anew.get(n, np.nan)) for n in along.metric.unique()}
    plain = abs(first.accuracy_forget - anew.accuracy_forget)
    unit = along.metric.map(lambda n: scale[n] if scale[n] == scale[n] else plain)
    unit = unit.where(~along.metric.str.startswith("loss_"), along.path.map(paths.gap))
    drawn = rng.normal(size=len(along)) * ((along.t > 0) & (along.t < 1))
    along = along.assign(value=along.value.where(~ours, chord + level * unit * drawn))

    def numbers(row: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if row["pattern_own"] == row["pattern_own"]:
            t = np.linspace(0, 1, int(row["points"]))
            halves = {f"half/{k}/{n}": np.r_[0, rng.normal(size=len(t) - 2), 0] for k in (0, 1) for n in HALVED}
            found |= dict(zip(("pattern_own", "pattern_apart"), pattern(Profile({"t": t, **halves})), strict=True))
            score = {}
            for part in ("choose", "test"):
                ends = row[f"closeness_{part}_start"], row[f"closeness_{part}_end"]
                score[part] = (1 - t) * ends[0] + t * ends[1] + level * plain * np.r_[0, rng.normal(size=len(t) - 2), 0]
            k = 1 + int(np.argmax(score["choose"][1:-1]))
            found |= {"best_t": t[k], "best_gain": score["test"][k] - max(score["test"][0], score["test"][-1])}
        return found

    return rederived({**tables, "along": along}, _of_methods(tables, curves(along)), numbers)


def _of_methods(tables: Tables, known: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The curves of paths that are no controls."""
    ours = set(tables["paths"].path[tables["paths"].control == ""])
    return {path: one for path, one in known.items() if path in ours}


def twice(tables: Tables) -> dict[str, Any]:
    """Every path but the controls, and the same once more under invented seeds."""
    import pandas as pd

    paths = tables["paths"]
    again = paths[paths.control == ""].assign(start=lambda t: t.start + INVENTED, end=lambda t: t.end + INVENTED)
    return prepare({**tables, "paths": pd.concat([paths, again], ignore_index=True)})


def one_original(tables: Tables, names: int = NAMES) -> dict[str, Any]:
    """Of each experiment the paths of its first original alone, under the names of so many, and the controls."""
    import pandas as pd

    paths = tables["paths"]
    ours = paths[paths.control == ""]
    first = ours[ours.original == ours.groupby("experiments").original.transform("min")]
    many = [first.assign(original=k) for k in range(names)]
    return prepare({**tables, "paths": pd.concat([paths[paths.control != ""], *many], ignore_index=True)})


def idle(tables: Tables) -> dict[str, Any]:
    """Every path but the controls as one between models that never unlearned: the original's level at every t."""
    level = tables["paths"].drop_duplicates("path").set_index("path")[[f"original_{n}" for n in JUDGED]]
    known = _of_methods(tables, curves(tables["along"]))
    flat = {p: 0.01 * one + 0.99 * level.loc[p].to_numpy()[:, None] for p, one in known.items()}
    return rederived(tables, flat, lambda row: {})


def swapped(tables: Tables) -> dict[str, Any]:
    """Every path, controls included, with retain and forget data exchanged, the models' levels too."""

    def numbers(row: Any) -> dict[str, Any]:
        found = {f"{who}_{n}": row[f"{who}_{_other(n)}"] for who in ("original", "retrained") for n in JUDGED}
        found["retrained_accuracy_forget_best"] = found["retrained_accuracy_forget"]
        far = abs(found["retrained_accuracy_retain"] - found["original_accuracy_retain"])
        return found | {"retrained_accuracy_retain_far": far}

    known = {p: one[[1, 0, 3, 2]] for p, one in curves(tables["along"]).items()}
    uncontrolled = {**tables, "paths": tables["paths"].assign(control="")}
    found = rederived(uncontrolled, known, numbers)
    return prepare({**found, "paths": found["paths"].assign(control=tables["paths"].control)})


def _other(name: str) -> str:
    kind, _, split = name.partition("_")
    return f"{kind}_{'forget' if split == 'retain' else 'retain'}"


def shuffled(tables: Tables, seed: int = 0) -> dict[str, Any]:
    """The same paths with their numbers drawn among each other: labels no longer say what was walked.

    Within each experiment and original, among paths of one kind of curve and number of points; lines to retrained
    models only among those whose retrained model began alike. Controls keep theirs.
    """
    rng, paths = np.random.default_rng(seed), tables["paths"]
    labels = [*LABELS, "experiments", "task", "aside", "label"]
    order = np.arange(len(paths))
    ours = paths[paths.control.isin(["", RETRAINED])]
    for _, rows in ours.groupby(["experiments", "original", "kind", "points", "init"], sort=False).groups.items():
        order[rows] = rng.permutation(rows)
    numbers = paths.drop(columns=labels).iloc[order].set_axis(paths.index)
    return prepare({**tables, "paths": paths[labels].join(numbers)[list(paths)]})


def attacks(tables: Tables) -> dict[str, Callable[[], dict[str, Any]]]:
    """What is tried, by name, each made when it is called."""
    found: dict[str, Callable[[], dict[str, Any]]] = {NOISY.format(v): partial(noise, tables, v) for v in NOISE}
    found |= {TWICE: partial(twice, tables), ONE: partial(one_original, tables)}
    found |= {IDLE: partial(idle, tables), SWAPPED: partial(swapped, tables)}
    return found | {f"{SHUFFLED} {k}": partial(shuffled, tables, k) for k in range(1, SHUFFLES + 1)}


def attacked(tables: Tables, eps: float = TOLERANCE) -> dict[str, dict[str, Judged]]:
    """attack -> row -> what the declared tests of the paper's claims find, by the chord."""
    names = [row.name for row in ROWS if not row.id.startswith("N")]
    start = attackable(tables)
    return {
        attack: {one.row.name: one for one in judge(made(), names, eps=eps, readings=(CHORD,))}
        for attack, made in attacks(start).items()
    }


def fooled(attack: str, found: Judged) -> bool:
    """Whether a row is decided by what says nothing.

    By a shuffle if it is supported although its test compares labels; by anything else if it is decided at all, but by
    the smallest noise only if it is supported, and not where it is `EXEMPT`.
    """
    if attack.startswith(SHUFFLED):
        return found.verdict == "supported" and found.row.id in LABELLED
    if found.row.id in EXEMPT.get(attack, ()):
        return False
    small = attack == NOISY.format(NOISE[0])
    return found.verdict == "supported" or (found.verdict == "contradicted" and not small)


def words(found: Mapping[str, Mapping[str, Judged]]) -> Table:
    """Row x attack: the word, with an asterisk where it should not be said, a dash where no path was left to judge."""
    import pandas as pd

    rows = dict.fromkeys(name for ones in found.values() for name in ones)
    told = {
        attack: {name: (one.verdict + " *" * fooled(attack, one)) if (one := ones.get(name)) else "–" for name in rows}
        for attack, ones in found.items()
    }
    return pd.DataFrame(told)
