"""Which paths a test may read, and why not others, as columns of the table `paths`; see docs/protocol.md.

An end that did not forget, or lost what it should keep; a curve that is noise; one result under two names; controls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from ..measures.connectivity import TOLERANCE

Table = Any  # a pandas.DataFrame, which is imported where it is needed
Tables = Mapping[str, Table]

FORGOTTEN = 0.5  # share of the gap, in loss and in accuracy, that an end must close
KEPT = 0.97  # of the original's accuracy on D_r
FAR = 2.0  # G of forget loss above the original's, beyond which an end is over-forgotten
ALIKE = 1e-4  # difference of losses and accuracies up to which paths with other ends are copies with something added
ALIKE_LEVELS = 5e-5  # that of the levels of two originals, or of their retrained models
STEP = 0.1  # in t, the widest between neighbouring points
NEAR = 0.03  # accuracy on D_r by which retrained models may differ from their original
CONTROLS = APART, TWINNED, RETRAINED = "other initial weights", "fine-tuned twin", "retrained pair"
# Of the conditions whose ends are not both unlearned models, which are.
ENDS: dict[str, tuple[str, ...]] = {
    "forgetting": ("end",),
    **dict.fromkeys(("retraining", "retraining curve"), ("start",)),
    **dict.fromkeys(("retrained", "retrained pairs", "originals"), ()),
}
JUDGED = ("loss_retain", "loss_forget", "accuracy_retain", "accuracy_forget")
LABELS = (
    "method kind start end original condition other control size form init full recipe objective refit batchnorm"
).split()
SAME_ENDS = "original method other start end condition form init".split()  # of two labels of one pair of ends
SAME_FIT = "kind recipe objective refit".split()
GATED = [f"{end}_{name}" for end in ("start", "end") for name in ("closed_loss", "closed_accuracy", "kept")]
LEVELS = [f"{who}_{name}" for who in ("original", "retrained") for name in JUDGED]


def include(paths: Table) -> Table:
    """The table with what inclusion says of each path.

    Of each end (``start_``, ``end_``): ``closed_loss`` and ``closed_accuracy``, the shares of the gap to retraining
    that it closes, and ``kept``, its share of the original's accuracy on D_r. ``why``: reasons against it, empty where
    there are none; ``included``: whether tests read it: no control, not collapsed, and nothing against it.
    """
    paths = paths.copy()
    paths["label"] = np.where(paths.other == "", paths.method, paths.method + " - " + paths.other)
    gap = paths.retrained_loss_forget - paths.original_loss_forget
    drop = paths.original_accuracy_forget - paths.retrained_accuracy_forget
    for end in ("start", "end"):
        paths[f"{end}_closed_loss"] = (paths[f"{end}_loss_forget"] - paths.original_loss_forget) / gap
        paths[f"{end}_closed_accuracy"] = (paths.original_accuracy_forget - paths[f"{end}_accuracy_forget"]) / drop
        paths[f"{end}_kept"] = paths[f"{end}_accuracy_retain"] / paths.original_accuracy_retain
    told = ["condition", "unresolved", "not_finite", "step", *GATED, *LEVELS]
    paths["why"] = [_why(row) for row in paths[told].to_dict("records")]
    paths["included"] = (paths.control == "") & (paths.collapsed == "") & (paths.why == "")
    return paths


def gate(row: Mapping[str, Any], end: str) -> list[str]:
    """Why an end (``start`` or ``end``) of a path is not included; none if it forgot and kept what it should."""
    loss, accuracy, kept = (row[f"{end}_{name}"] for name in ("closed_loss", "closed_accuracy", "kept"))
    found = []
    if not min(loss, accuracy) >= FORGOTTEN:
        closed = f"{100 * loss:.0f} % of the gap in loss and {100 * accuracy:.0f} % in accuracy"
        found.append(f"{end} did not forget: it closes {closed}")
    if not kept >= KEPT:
        found.append(f"{end} did not keep: {100 * kept:.1f} % of the original's accuracy on D_r")
    return found


def _why(row: Mapping[str, Any]) -> str:
    found = [reason for end in ENDS.get(row["condition"], ("start", "end")) for reason in gate(row, end)]
    found += [f"{name} is not resolved: it wavers like noise" for name in row["unresolved"].split()]
    if row["step"] > STEP + 1e-9:
        found.append(f"is not walked finely enough: a step of {row['step']:.2g} in t")
    if not np.isfinite([row[name] for name in LEVELS]).all():
        found.append("the levels of its models are not finite")
    return "; ".join([*found, *(f"{name} is not finite" for name in row["not_finite"].split())])


def read(paths: Table, **labels: Any) -> Table:
    """The included paths with these labels."""
    kept = paths.included
    for name, value in labels.items():
        kept = kept & (paths[name] == value)
    return paths[kept]


def text_of(originals: Iterable[int]) -> str:
    """Originals in a cell of a table, in order: ``0 1 2``."""
    return " ".join(map(str, sorted(originals)))


def in_experiment(paths: Table, name: str) -> Any:
    """Which of the paths an experiment holds, as a boolean column."""
    return (" " + paths.experiments + " ").str.contains(f" {name} ", regex=False)


def within(tables: Tables, originals: Any) -> dict[str, Table]:
    """Every table's rows of these originals; a table without the column is left as it is."""
    kept = set(originals)
    return {n: t[t.original.isin(kept)] if "original" in t else t for n, t in tables.items()}


# Copies: one result under two names


def copies(tables: Tables) -> Table:
    """Pairs of paths, rows ``a`` and ``b`` of `paths`, that are one result under two names, each with a sentence.

    A path with the numbers of another that is labelled otherwise, or between other ends and within `ALIKE` everywhere.
    Labels that denote one path, traced once more or read by another policy, may have one result. ``a`` and ``b`` are
    places in the index of `paths`.
    """
    import pandas as pd

    paths = tables["paths"]
    ours = paths[(paths.control == "") & (paths.collapsed == "")]
    told = ours[["path", "label", "size", *SAME_ENDS, *SAME_FIT]].to_dict("records")
    rows = dict(zip(ours.index, told, strict=True))
    found = []
    for _, places in ours.groupby("fingerprint").groups.items():
        for n, b in enumerate(places):
            others = [a for a in places[:n] if not same_path(rows[a], rows[b])]
            found += [(a, b, f"copies: {_named(rows[b])} has the numbers of {_named(rows[a])}") for a in others]
    for a, b in _alike(rows, curves(tables["along"])):
        found.append((a, b, f"copies: {_named(rows[b])} has nearly the numbers of {_named(rows[a])}"))
    return pd.DataFrame(found, columns=["a", "b", "sentence"])


def curves(along: Table) -> dict[str, np.ndarray]:
    """path -> its losses and accuracies (4, T) on D_r and D_f, in the order of `JUDGED`."""
    judged = along[along.metric.isin(JUDGED)]
    names = judged.path.to_numpy()
    edges = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    found: dict[str, dict[str, np.ndarray]] = {}
    metrics, values = judged.metric.to_numpy(), judged.value.to_numpy()
    for first, last in zip(edges, [*edges[1:], len(names)], strict=True):
        one = found.setdefault(names[first], {})
        for metric in JUDGED:
            chosen = values[first:last][metrics[first:last] == metric]
            if len(chosen):
                one[metric] = chosen
    return {path: np.array([one[name] for name in JUDGED]) for path, one in found.items()}


def _alike(rows: Mapping[int, Mapping[str, Any]], known: Mapping[str, np.ndarray]) -> list[tuple[int, int]]:
    """Pairs of paths between different ends whose losses and accuracies differ by at most `ALIKE`, either way round."""
    places = [k for k, row in rows.items() if row["path"] in known]
    found = [known[rows[k]["path"]] for k in places]
    middles = np.array([one[:2].mean() for one in found])
    order, pairs = np.argsort(middles, kind="stable"), []
    for at, k in enumerate(order):
        for other in order[at + 1 :]:
            if not middles[other] - middles[k] <= ALIKE:
                break
            one, two = found[k], found[other]
            if one.shape != two.shape or _same(rows[places[k]], rows[places[other]], SAME_ENDS):
                continue
            if min(np.abs(one - two[:, ::step]).max() for step in (1, -1)) <= ALIKE:
                pairs.append((places[min(k, other)], places[max(k, other)]))
    return pairs


def same_path(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rows denote one path: the same ends and the same fit, however it is traced and read."""
    return _same(one, other, SAME_ENDS) and all(one[name] == other[name] for name in SAME_FIT)


def _same(one: Mapping[str, Any], other: Mapping[str, Any], names: list[str]) -> bool:
    """Whether labels agree; a path without a ``size`` is of the preset's, which is one of the sizes."""
    sizes = one["size"], other["size"]
    return all(one[name] == other[name] for name in names) and (sizes[0] == sizes[1] or 0 in sizes)


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['label']} {row['kind']} {row['condition']} {row['original']}: {row['start']}-{row['end']}"


def copied(tables: Tables) -> list[str]:
    """The sentences on copies among these paths, and on originals that are one under two names."""
    paths, pairs = tables["paths"], tables["copies"]
    here = pairs[pairs.a.isin(paths.index) & pairs.b.isin(paths.index)]
    return list(dict.fromkeys([*here.sentence, *renamed(paths)]))


def renamed(paths: Table) -> list[str]:
    """Sentences on originals that are one under two names: equal levels of their own, or of their retrained models."""
    ours = paths[(paths.control == "") & (paths.collapsed == "")].drop_duplicates(["original", "size"])
    levels = ours[LEVELS].to_numpy(dtype=np.float64).reshape(-1, 2, len(JUDGED))
    found = []
    for (k, a), (other, b) in combinations(enumerate(zip(ours.original, ours["size"], strict=True)), 2):
        if a[0] != b[0] and a[1] == b[1]:
            if (np.abs(levels[k] - levels[other]).max(axis=1) <= ALIKE_LEVELS).any():
                found.append(f"copies: original {b[0]} is original {a[0]} under another name")
    return list(dict.fromkeys(found))


# Controls


def controls(paths: Table, eps: float = TOLERANCE) -> list[str]:
    """Sentences on the controls that failed, or are missing, among the paths of an experiment; none if all hold.

    Different originals have a barrier, fine-tuned twins have none, at least half of the methods forgot on every
    original, and the two splits are the ones they are called.
    """
    apart, twins = (paths[paths.control == name] for name in (APART, TWINNED))
    found = []
    if not len(apart) or not (apart.barrier_chord > eps).all():
        found.append("control: no barrier between different originals")
    if not len(twins) or not (twins.eps_chord <= eps).all():
        found.append("control: a fine-tuned twin is not connected")
    return found + forgot(paths) + splits_are(paths)


def retraining_controls(paths: Table, eps: float = TOLERANCE) -> list[str]:
    """As `controls` where retrained models are the control: those of other initial weights must have a barrier."""
    apart = paths[(paths.control == RETRAINED) & (paths.init == "other init")]
    held = len(apart) > 0 and (apart.barrier_chord > eps).all()
    return [] if held else ["control: no barrier between retrained models of different initial weights"]


def forgot(paths: Table) -> list[str]:
    """A sentence for each original on which less than half of the methods have an end that passes the gate."""
    passed: dict[int, dict[str, bool]] = {}
    names = ["condition", "method", "other", "original", *GATED]
    for row in paths.loc[paths.control == "", names].to_dict("records"):
        for end in ENDS.get(row["condition"], ("start", "end")):
            method = row["other"] if end == "end" and row["other"] else row["method"]
            there = passed.setdefault(row["original"], {})
            there[method] = there.get(method, False) or not gate(row, end)
    return [
        f"control: on original {original} {sum(there.values())} of {len(there)} methods forgot"
        for original, there in sorted(passed.items())
        if 2 * sum(there.values()) < len(there)
    ]


def splits_are(paths: Table) -> list[str]:
    """A sentence for each original whose retain and forget splits are not what they are called.

    The original fits D_f better than every retrained model does, and retrained models fit D_r as it does.
    """
    fits = paths.original_accuracy_forget > paths.retrained_accuracy_forget_best
    wrong = paths[~(fits & (paths.retrained_accuracy_retain_far <= NEAR))]
    return [
        f"control: on original {original} retain and forget data are not what they are called"
        for original in sorted(set(wrong.original))
    ]


def prepare(tables: Tables) -> dict[str, Table]:
    """The tables with what tests read of them: inclusion, `copies`, and how far each metric ranges along each path.

    ``ranges``: a row a (path, metric): its range along the path beyond the difference of its ends.
    """
    along = tables["along"]
    metrics = along.groupby(["path", "metric"], sort=False, observed=True).value.agg(["min", "max", "first", "last"])
    ranges = (metrics["max"] - metrics["min"] - (metrics["last"] - metrics["first"]).abs()).rename("range")
    found = {**tables, "paths": include(tables["paths"])}
    first = found["paths"].drop_duplicates("path").set_index("path").original
    ranges = ranges.reset_index()
    return found | {"copies": copies(found), "ranges": ranges.assign(original=ranges.path.map(first))}
