"""The declared tests, in the order of docs/protocol.md: each a short function of tables, original by original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..measures.connectivity import TOLERANCE
from ..measures.originals import LEVEL, student
from .claims import spread
from .inclusion import (
    APART,
    NEAR,
    RETRAINED,
    TWINNED,
    Table,
    Tables,
    controls,
    copied,
    forgot,
    in_experiment,
    read,
    retraining_controls,
    splits_are,
)
from .privacy import pool_controls, pool_forgot, pool_part, pool_test
from .statistics import (
    NULL,
    Cells,
    Result,
    Rule,
    cells,
    cells_of,
    change_over,
    copies_resist,
    exchanged,
    explained_test,
    far_from_quadratic,
    held_out,
    mean_of_draws,
    mean_test,
    methods_apart,
    one_against_others,
    one_of_two,
    others_in_place,
    permuted_sizes,
    quadratics_with_noise,
    rank_correlations,
    rank_test,
    resistance,
    row_means,
    smoother,
    some_test,
)

MARGIN = 0.05  # of eps, in G, that counts as help or harm (C7)
SMALL = 0.002  # gain, as a share, below which a better inner point is none (C11)
RELIABLE = 0.5  # agreement of a metric with itself on other examples that shows a pattern (C9)
STRONG = 0.3  # reliance of an original on a cue from which on its use is judged (M1)
FINE = 31  # points of a path along which metrics are compared
ATTACK = "population/loss/auc"  # the attack that C14 reads
LEAST_UNIT = 0.02  # of AUC between original and retrained models, below which an original tells nothing
# The smallest standard errors believed in: in bits, in units of C14, C19 and N6, test accuracy, areas, recall.
ERROR_JS, ERROR, ERROR_SCORE, ERROR_AREA, ERROR_RECALL = 5e-4, 0.02, 0.0005, 0.002, 0.01
LOST = 1e-3  # nats that a pair must have forgotten for its wiggles to be counted in them
NEVER = 1e9  # steps, in place of infinity
GRADINGS = ("memorisation", "confidence")
DIGITS = 9  # to which t is rounded where tables are joined by it
KIND = ["label", "kind"]  # a context of one method and kind of curve
PAIR = ["original", "label", "kind", "start", "end"]
PLAIN = {"form": "", "recipe": "", "objective": "", "refit": False, "batchnorm": "", "full": False, "size": 0.0}


def refused(tables: Tables) -> list[str]:
    """Why nothing may be decided on these paths: a control failed, or copies were found; as told where it was asked."""
    return tables["refused"] if "refused" in tables else controls(tables["paths"]) + copied(tables)


def control(tables: Tables, name: str) -> Table:
    """The paths that are this control."""
    return tables["paths"][tables["paths"].control == name]


def plain(tables: Tables, **labels: Any) -> Table:
    """The included paths of an experiment's main form: the corrected fit, its own objective, BatchNorm refreshed."""
    return read(tables["paths"], **{**PLAIN, **labels})


def c1(tables: Tables, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Result:
    """C1: share of methods whose better path between two seeds is MCU(eps)."""
    paths = plain(tables, condition="random")
    connected = (paths[f"eps_{reading}"] <= eps).astype(float)
    better = connected.groupby([paths[name] for name in ("original", "label", "start", "end")], sort=False).max()
    found = cells(better.rename("share").reset_index(), "share", "label")
    apart = control(tables, APART)[f"eps_{reading}"] <= eps
    return mean_test(found, Rule("above", 0.5), null=drawn(apart), shares=True, refused=refused(tables), level=level)


def drawn(null: Any) -> np.ndarray:
    """Draws of a null as an array; one nan where there are none."""
    return np.asarray(null, dtype=np.float64) if len(null) else np.array([np.nan])


def c2(tables: Tables, reading: str = "chord", measure: str = "deficit", level: float = LEVEL) -> Result:
    """C2: share of the variance within originals, of the lines' deficit or roughness, that the method explains."""
    lines = plain(tables, condition="random", kind="linear")
    column = f"deficit_{reading}" if measure == "deficit" else "roughness_forget"
    return explained_test(cells(lines, column, "label"), 0.025, 0.1, refused(tables), level)


def c4(tables: Tables, reading: str = "chord", level: float = LEVEL) -> Result:
    """C4: change of the lines' deficit, in units of what was forgotten, from the smallest size to the largest."""
    lines = read(tables["paths"], condition="random", kind="linear").query("size > 0")
    lost = (lines.start_loss_forget + lines.end_loss_forget) / 2 - lines.original_loss_forget
    lines = lines.assign(share=lines[f"deficit_{reading}"] * lines.gap / lost)
    sizes = set(lines["size"].agg(["min", "max"])) if lines["size"].nunique() > 1 else {None}
    series = {
        place: one.drop_duplicates("size", keep="last").set_index("size").share
        for place, one in lines.groupby(["original", "label"], sort=False)
    }
    series = {place: row for place, row in series.items() if sizes <= set(row.index)}
    found = cells_of({place: change_over(row.index, row.to_numpy()) for place, row in series.items()})
    return mean_test(found, Rule("outside", 0.1), null=permuted_sizes(series), refused=refused(tables), level=level)


def differences(tables: Tables, condition: str, reading: str, form: str = "") -> Table:
    """eps of a condition minus that of ``random`` with the same seeds, means over pairs of seeds, as a table."""
    column = f"eps_{reading}_11"
    ours = plain(tables, condition=condition, form=form).set_index(PAIR)[column]
    base = plain(tables, condition="random").set_index(PAIR)[column]
    change = (ours - base.reindex(ours.index))[ours.index.isin(base.index)]
    return change.rename("change").reset_index().assign(condition=condition)


def shift(tables: Tables, condition: str, reading: str = "chord", form: str = "", level: float = LEVEL) -> Result:
    """C5, C6 and E4: eps of a condition minus that of ``random``, mean over methods and kinds of curve."""
    found = cells(differences(tables, condition, reading, form), "change", KIND)
    null = exchanged(found) if found.originals else None
    return mean_test(found, Rule("outside", 0.1), null=null, refused=refused(tables), level=level)


c5 = partial(shift, condition="cl-non_cl")
c6 = partial(shift, condition="fo-so")


def c7(tables: Tables, reading: str = "chord", level: float = LEVEL) -> Result:
    """C7: whether eps falls by more than `MARGIN` in some contexts and rises by more in others."""
    import pandas as pd

    found = pd.concat([differences(tables, condition, reading) for condition in ("cl-non_cl", "fo-so")])
    return some_test(
        cells(found, "change", ["condition", *KIND]), -MARGIN, MARGIN, refused=refused(tables), level=level
    )


def c8(tables: Tables, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Result:
    """C8: whether some pairs of methods are MCU(eps) by the line and some are not."""
    lines = plain(tables, condition="method", kind="linear")
    return some_test(
        cells(lines, lines[f"eps_{reading}"] - eps, "label"), 0.0, 0.0, refused=refused(tables), level=level
    )


def fine(tables: Tables, reading: str, eps: float) -> Table:
    """The included paths between unlearned models that are MCU(eps), traced finely enough and on all splits."""
    paths = read(tables["paths"])
    between = ~paths.condition.isin(["forgetting", "retraining", "retraining curve"])
    return paths[between & (paths.points >= FINE) & paths.best_gain.notna() & (paths[f"eps_{reading}"] <= eps)]


def c9(tables: Tables, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Result:
    """C9: how much better a metric's pattern agrees with itself, on other examples, than with other metrics'."""
    paths = fine(tables, reading, eps)
    own, apart = cells(paths, "pattern_own", KIND), cells(paths, paths.pattern_own - paths.pattern_apart, KIND)
    one = mean_test(apart, Rule("above", 0.1), refused=refused(tables), level=level)
    reliable = student(row_means(own.values), level)
    if one.verdict == "contradicted" and not reliable.low > RELIABLE:
        note = f"a metric agrees with itself on other examples by {reliable.estimate:.2f} only"
        return replace(one, verdict="undecided", notes=(*one.notes, note))
    return one


def c10(tables: Tables, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Result:
    """C10: how far metrics range along MCU(eps) paths, in units of their gaps, beside the same on fine-tuned twins."""
    wide = tables["ranges"].merge(tables["gaps"], on=["original", "metric"])
    middle = (wide.range / wide.gap).groupby(wide.path).median()
    paths = fine(tables, reading, eps)
    paths = paths[paths.original.isin(tables["gaps"].original)]
    twins = control(tables, TWINNED)
    twins = twins.path.map(middle).repeat(twins.experiments.str.split().map(len)).dropna()  # once an experiment
    return mean_test(
        cells(paths, paths.path.map(middle), KIND), Rule("above", 0.2), null=drawn(twins), middle=np.median,
        refused=refused(tables), level=level,
    )  # fmt: skip


def c11(tables: Tables, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Result:
    """C11: whether, for some method, the best inner point, chosen on other examples, beats the better end."""
    found = cells(fine(tables, reading, eps), "best_gain", "label", least=SMALL / 10)
    return some_test(found, None, 0.0, none=SMALL, refused=refused(tables), level=level)


def fits(tables: Tables, column: str, **labels: Mapping[str, Any]) -> Table:
    """A column of several fits side by side, a row an (original, label) that has them all; fits by their labels."""
    import pandas as pd

    own = {"condition": "random", "kind": "bezier", "recipe": "", "objective": "", "refit": False, "batchnorm": ""}
    found = {}
    for name, changed in labels.items():
        paths = read(tables["paths"], **{**own, "form": "", "full": False, **changed})
        found[name] = paths.drop_duplicates(["original", "label"], keep="last").set_index(["original", "label"])[column]
    return pd.concat(found, axis=1, join="inner").rename_axis(["original", "label"]).reset_index()


def c12(
    tables: Tables,
    reading: str = "chord",
    batchnorm: str = "retain",
    method: str = "bad_teacher",
    level: float = LEVEL,
) -> Result:
    """C12: share of originals on which the authors' fit is worse than the line by more than 0.1, read alike."""
    of_line, of_fit = {"retain": ("", "retain"), "none": ("none", "")}[batchnorm]
    column, line = f"eps_{reading}_11", {"kind": "linear", "batchnorm": of_line}
    rows = fits(tables, column, line=line, fit={"recipe": "authors", "batchnorm": of_fit}).query("label == @method")
    again = fits(tables, column, one={}, other={"refit": True})
    null = np.array([(again.other > again.one + 0.1).mean()]) if len(again) else None
    found = cells(rows, rows.fit > rows.line + 0.1, "label")
    return mean_test(found, Rule("above", 0.5), null=null, shares=True, refused=refused(tables), level=level)


def c13(tables: Tables, reading: str = "chord", level: float = LEVEL) -> Result:
    """C13: whether the curve is better than the line by more than 0.1 for some methods, and worse for others."""
    rows = fits(tables, f"eps_{reading}_11", line={"kind": "linear"}, curve={})
    return some_test(cells(rows, rows.line - rows.curve, "label"), -0.1, 0.1, refused=refused(tables), level=level)


def c15(tables: Tables, level: float = LEVEL) -> Result:
    """C15: how far forgetting, from the original to the unlearned model, is from any quadratic in t.

    Beside it the same of each line's best quadratic with the noise on it that the examples put on the line.
    """
    lines, rng = read(tables["paths"], condition="forgetting"), np.random.default_rng(0)
    there = tables["along"][tables["along"].path.isin(lines.path) & (tables["along"].metric == "loss_forget")]
    along = {path: one for path, one in there.groupby("path")}
    loss = [(row, along[row.path]) for row in lines.itertuples()]
    null = mean_of_draws([(row.original, quadratics_with_noise(row, one, rng)) for row, one in loss])
    found = cells(lines, [far_from_quadratic(one.value.to_numpy(), one.t.to_numpy()) for _, one in loss], "label")
    no = retraining_controls(tables["paths"]) + copied(tables)
    return mean_test(found, Rule("above", 0.1), null=null, refused=no, level=level)


def c16(tables: Tables, reading: str = "chord", level: float = LEVEL) -> Result:
    """C16: share of methods whose eps to a retrained model exceeds that between two retrained models by 0.1.

    All begin with the initial weights of the original. The null: another original's pair in the method's place.
    """
    paths, column = tables["paths"], f"eps_{reading}"
    base = cells(control(tables, RETRAINED).query("init == 'same init'"), column, "label")
    between = dict(zip(base.originals, row_means(base.values), strict=True))
    ours = read(paths, condition="retraining", init="same init")
    ours = ours[ours.original.isin(list(between))]
    found = cells(ours, ours[column] > ours.original.map(between) + 0.1, "label")
    null = others_in_place([v for v in between.values() if np.isfinite(v)], 0.1, NULL)
    no = retraining_controls(paths) + copied(tables)
    return mean_test(found, Rule("above", 0.5), null=null, shares=True, refused=no, level=level)


def c21(tables: Tables, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Result:
    """C21: among paths without a retain barrier, the share that the forget deficit alone keeps from MCU(eps)."""
    flat = plain(tables, condition="random")
    flat, column = flat[flat[f"barrier_{reading}"] <= eps], f"deficit_{reading}"
    twins = control(tables, TWINNED)[column] > eps
    return mean_test(
        cells(flat, flat[column] > eps, KIND), Rule("above", 0.05), null=drawn(twins), shares=True,
        refused=refused(tables), level=level,
    )  # fmt: skip


def changed(tables: Tables, other: Mapping[str, Any], reading: str, eps: float, level: float) -> Result:
    """How much more often another fit changes whether a curve is MCU(eps) than another seed of the same fit does."""
    rows = fits(tables, f"eps_{reading}_11", own={}, other=other, refit={"refit": True})
    own, one, again = (rows[name] <= eps for name in ("own", "other", "refit"))
    found = cells(rows, (own != one).astype(float) - (own != again).astype(float), "label")
    null = exchanged(found) if found.originals else None
    return mean_test(found, Rule("above", 0.1), null=null, refused=refused(tables), level=level)


def c23(tables: Tables, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Result:
    """C23: verdicts that change without a forget term in the fit, beyond those that a refit changes."""
    return changed(tables, {"objective": "retain only"}, reading, eps, level)


def c24(
    tables: Tables, reading: str = "chord", eps: float = TOLERANCE, batchnorm: str = "retain", level: float = LEVEL
) -> Result:
    """C24: verdicts that change with the authors' recipe beyond a refit's, with refreshed BatchNorm or its own ("")."""
    return changed(tables, {"recipe": "authors", "batchnorm": batchnorm}, reading, eps, level)


def m0(
    tables: Tables, condition: str = "originals", init: str = "", objective: str = "", level: float = LEVEL
) -> Result:
    """M0: retain barrier of a fitted curve over that of the line between independently trained models.

    1 where the line has no barrier above `TOLERANCE`, because then nothing is left for a curve to join.
    """
    paths = tables["paths"].query("collapsed == '' and why == '' and recipe == '' and not refit and batchnorm == ''")
    there = paths[(paths.condition == condition) & (paths.init == init)]
    pair = ["original", "label", "start", "end"]
    lines = there.query("kind == 'linear' and objective == ''").set_index(pair).barrier_chord
    curves = there.query("kind == 'bezier' and objective == @objective").set_index(pair).barrier_chord
    ratio = (curves / lines).where(lines > TOLERANCE, 1.0).dropna()
    ratio = ratio[ratio.index.isin(curves.index)].reindex([p for p in lines.index if p in curves.index])
    no = splits_are(there) + copied(tables)
    return mean_test(
        cells(ratio.rename("ratio").reset_index(), "ratio", "label"), Rule("below", 0.1), refused=no, level=level
    )


def m1(tables: Tables, reading: str = "chord", level: float = LEVEL) -> Result:
    """M1: whether methods that differ more in their use of a cue have larger deficits between them, by Mantel's test.

    Originals that do not rely on the cue by `STRONG` are not judged. *Supported* also needs deficits of methods held
    out to be predicted better than by the mean (`held_out`, the mean over originals).
    """
    known, use, weak = relying(tables, reading)
    observed, null = mantel(known, use)
    mean = row_means(observed[None])[0] if known else np.nan
    p = float((1 + np.sum(null >= mean - 1e-12)) / (1 + len(null))) if np.isfinite(mean) else 1.0
    found = Cells(observed[:, None], tuple(known), ("all",))
    one = mean_test(found, Rule("above", 0.0), null=null, refused=refused(tables), level=level)
    gained = float(np.mean([held_out(row, use[o]) for o, row in known.items()])) if known else float("nan")
    short = [f"Mantel's p is {p:.2g}"] * (not p < 0.025)
    short += [f"of methods held out it predicts {gained:.2g} of the variance"] * (not gained > 0)
    notes = [*one.notes, *(f"original {o} does not rely on the cue by {STRONG:g}" for o in weak)]
    if one.verdict == "supported" and short:
        return replace(one, verdict="undecided", p=p, notes=(*notes, *short))
    return replace(one, p=p, notes=tuple(notes))


def relying(tables: Tables, reading: str) -> tuple[dict[int, dict], dict[int, dict], list[int]]:
    """Of each original the deficits of pairs of methods, and the methods' use of the cue; those that hardly rely on it.

    Deficits where there are six pairs or more, and the original relies on the cue by `STRONG`.
    """
    cue = tables["cue"].query("part == 'forgetting' and split == 'forget' and what == 'reliance'")
    use = {o: dict(zip(one.method, one.value, strict=True)) for o, one in cue[cue.t == 1].groupby("original")}
    reliance = cue[cue.t == 0].groupby("original").value.first()
    rows: dict[int, dict] = {}
    for line in plain(tables, condition="method", kind="linear", form="cue").to_dict("records"):
        if {line["method"], line["other"]} <= set(use.get(line["original"], ())):
            pair = line["method"], line["other"]
            rows.setdefault(line["original"], {})[pair] = line[f"deficit_{reading}"]
    weak = [o for o in rows if not reliance.get(o, np.nan) >= STRONG]
    return {o: row for o, row in rows.items() if len(row) >= 6 and o not in weak}, use, weak


def mantel(known: Mapping[int, Mapping[tuple[str, str], float]], use: Mapping[int, Mapping[str, float]]):
    """Rank correlations (O,) of each original's deficits with differences in use, and means (R,) with methods permuted.

    ``known``: original -> pair of methods -> deficit; ``use``: original -> method -> use of the cue.
    """
    observed = np.array([float(rank_correlations(row, use[o])[0]) for o, row in known.items()])
    rng = np.random.default_rng(0)
    orders: dict[int, list[np.ndarray]] = {o: [] for o in known}
    for _ in range(NULL):
        for o, row in known.items():
            orders[o].append(rng.permutation(len({method for pair in row for method in pair})))
    each = [rank_correlations(row, use[o], np.array(orders[o])) for o, row in known.items()]
    return observed, row_means(np.transpose(each)) if known else np.array([np.nan])


def nearer(tables: Tables, lines: Table, at: str, least: float = ERROR_JS) -> Cells:
    """Cells of the mean distance of a point of a line to retrained models minus that of the nearer end, in bits.

    The point is t = 1/2 (``middle``), or the ``chosen`` one: it has the smallest |forget loss - validation loss|, since
    D_f ought to look like data that the model never saw, and no retrained model is asked.
    """
    if lines.empty:
        return cells(lines, [], "label", least)
    far = tables["distances"].assign(t=tables["distances"].t.round(DIGITS))
    far = far.groupby(["path", "t"]).value.mean().unstack("t")
    if at == "chosen":
        loss = tables["along"][tables["along"].path.isin(lines.path)].pivot(index=["path", "t"], columns="metric")
        gap = (loss.value.loss_forget - loss.value.loss_valid).abs()
        place = gap.groupby("path").idxmin().map(lambda one: round(one[1], DIGITS))
    else:
        place = dict.fromkeys(lines.path, 0.5)
    value = [far.loc[p, place[p]] - min(far.loc[p].iloc[0], far.loc[p].iloc[-1]) for p in lines.path]
    return cells(lines, value, "label", least)


def n1(tables: Tables, at: str = "middle", level: float = LEVEL) -> Result:
    """N1: whether the mean of two over-forgotten models of a method is nearer to retrained ones than the nearer is."""
    lines = read(tables["paths"], condition="random", kind="linear")
    lines = lines[(lines.start_closed_loss > 1) & (lines.end_closed_loss > 1)]
    no = splits_are(tables["paths"]) + copied(tables)
    return mean_test(nearer(tables, lines, at), Rule("below", 0.0), refused=no, level=level)


# 10: privacy


def joined(tables: Tables, reading: str, eps: float, condition: str = "random") -> Table:
    """The included lines between two seeds, or two methods, that are MCU(eps)."""
    lines = read(tables["paths"], condition=condition, kind="linear", form="", size=0.0)
    return lines[lines[f"eps_{reading}"] <= eps]


def told(attacks: Table) -> tuple[Any, list[str]]:
    """What there was to unlearn, A: an original's AUC minus its retrained models', where this is `LEAST_UNIT` or more.

    ``attacks``: rows of one attack. Also a sentence on each original that is left out.
    """
    first, anew = (attacks[attacks.role == role].groupby("original").value.mean() for role in ("original", "retrained"))
    units = first - anew
    return units[units >= LEAST_UNIT], [
        f"original {o} is left out: nothing is told there" for o in units[~(units >= LEAST_UNIT)].index
    ]


def attack_along(tables: Tables, attack: str, role: str = "line") -> Table:
    """An attack's number at the ends of lines and its range beyond their difference, a row an (original, method)."""
    rows = tables["attacks"].query("attack == @attack and role == @role")
    found = rows.groupby(["original", "method"], sort=False).value.agg(["first", "last", "min", "max"]).reset_index()
    return found.assign(range=found["max"] - found["min"] - (found["last"] - found["first"]).abs())


def c14(
    tables: Tables, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL, attack: str = ATTACK
) -> Result:
    """C14: how far the attack's AUC ranges inside an MCU(eps) line beyond its ends, in units of what was to unlearn."""
    units, notes = told(tables["attacks"].query("attack == @attack"))
    lines = joined(tables, reading, eps)[["original", "method"]].drop_duplicates()
    ours = attack_along(tables, attack).merge(lines)
    ours, twins = (one[one.original.isin(units.index)] for one in (ours, attack_along(tables, attack, "twin")))
    found = cells(ours, ours.range / ours.original.map(units), "method", ERROR)
    null = drawn(twins.range / twins.original.map(units))
    one = mean_test(found, Rule("above", 0.2), null=null, refused=refused(tables), level=level)
    return replace(one, notes=(*one.notes, *notes))


def c14_between(tables: Tables, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Result:
    """C14 between methods: how far the AUC of two methods in one basin differ, beyond another seed of each.

    Per pair: mean |AUC_a - AUC_b| over both seeds of each, minus the mean |AUC(seed) - AUC(other seed)| of the two.
    """
    units, notes = told(tables["attacks"].query("attack == @ATTACK"))
    passed = read(tables["paths"], condition="random", kind="linear", form="", size=0.0)
    ends = attack_along(tables, ATTACK).merge(passed[["original", "method"]].drop_duplicates())
    pairs = joined(tables, reading, eps, "method")[["original", "method", "other"]].drop_duplicates()
    found, null = apart_by_attack(ends, pairs.sort_values(["original", "method", "other"]), units)
    one = mean_test(cells_of(found, ERROR), Rule("above", 0.2), null=null, refused=refused(tables), level=level)
    return replace(one, notes=(*one.notes, *notes))


def apart_by_attack(ends: Table, pairs: Table, units: Any) -> tuple[dict[tuple[int, str], float], np.ndarray]:
    """C14's number of each pair of methods, and draws of the mean with ends dealt to the methods at random."""
    found: dict[tuple[int, str], float] = {}
    rng, null = np.random.default_rng(0), []
    for original, some in pairs[pairs.original.isin(units.index)].groupby("original"):
        own = ends[ends.original == original]
        names = list(own.method)
        some = some[some.method.isin(names) & some.other.isin(names)]
        if not len(some):
            continue
        which = np.array([[names.index(m) for m in pair] for pair in zip(some.method, some.other, strict=True)])
        real = own[["first", "last"]].to_numpy()
        values = methods_apart(real, which) / units[original]
        found |= {(original, f"{a} - {b}"): v for a, b, v in zip(some.method, some.other, values, strict=True)}
        mixed = rng.permuted(np.tile(real.ravel(), (NULL, 1)), axis=1).reshape(NULL, *real.shape)
        null.append(methods_apart(mixed, which).mean(axis=-1) / units[original])
    return found, np.mean(null, axis=0) if null else np.array([np.nan])


def n4(tables: Tables, beside: str = "original", level: float = LEVEL) -> Result:
    """N4: how much better an attack tells which examples were *kept*, after unlearning others, than before.

    Per shadow the AUC of the keep targets that it holds against those that it does not, by the laws of the other
    shadows' models of the same kind; the mean over methods minus that of the models ``beside``, with a jackknife
    interval over shadows. The null is the retrained models in the methods' place.
    """
    pool, models = pool_part(tables)
    passed, left = pool_forgot(models)
    names = [name for name in models.model if name not in ("original", "retrained")]
    no = pool_controls(pool, models)
    if 2 * len(passed) < len(names):
        no.append(f"control: in the pool {len(passed)} of {len(names)} methods forgot")
    one = pool_test(pool, passed or names, beside, no, level)
    return replace(one, notes=(*one.notes, *left))


def n6(tables: Tables, bits: int = 4, level: float = LEVEL) -> Result:
    """N6: the share of forgotten accuracy that rounding brings back, beyond what it does to retrained models."""
    ends = tables["rounded"].query("t in [0.0, 1.0]").groupby(["role", "original", "method", "bits"], sort=False)
    wide = ends.accuracy_forget.mean().unstack("bits").reindex(columns=[0, bits]).reset_index()
    first = wide[wide.role == "original"].set_index("original")[0]
    lost = wide.original.map(first) - wide[0]
    wide["share"] = ((wide[bits] - wide[0]) / lost).where(lost > 0)
    anew = wide[wide.role == "retrained"].groupby("original").share
    passed = read(tables["paths"], condition="random", kind="linear", form="", size=0.0)
    ours = wide[wide.role == "line"].merge(passed[["original", "method"]].drop_duplicates())
    found = cells(ours, ours.share - ours.original.map(anew.mean()), "method", ERROR)
    no = forgot(tables["paths"]) + splits_are(tables["paths"]) + copied(tables)
    return mean_test(
        found, Rule("above", 0.1), null=one_against_others(list(anew.apply(list))), refused=no, level=level
    )


def c17(tables: Tables, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Result:
    """C17: whether five points of an MCU(eps) line predict better together than its two ends do."""
    gained = ensemble_gain(tables, "uniform/5", "uniform/2")
    places = joined(tables, reading, eps)
    ours = [gained.get(("lines", o, m), np.nan) for o, m in zip(places.original, places.method, strict=True)]
    originals = set(tables["paths"].original)
    twins = [v for (role, o, _), v in gained.items() if role == "twins" and o in originals]
    found = cells(places, ours, "method", ERROR_SCORE)
    return mean_test(found, Rule("above", 0.002), null=drawn(twins), refused=refused(tables), level=level)


def ensemble_gain(tables: Tables, ours: str, beside: str, metric: str = "accuracy_test") -> dict[Any, float]:
    """(role, original, method) -> a metric of one ensemble along a path minus that of another (``placement/size``)."""
    rows = tables["ensembles"].query("metric == @metric and what == ''")
    name = rows.placement + "/" + rows.members.astype(str)
    wide = rows.assign(name=name).pivot_table(index=["role", "original", "method"], columns="name", values="value")
    return (wide[ours] - wide[beside]).dropna().to_dict() if {ours, beside} <= set(wide) else {}


def c18(tables: Tables, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Result:
    """C18: whether an attacked ensemble of points of an MCU(eps) line regains less than one point of equal start."""
    places, attacked = joined(tables, reading, eps), tables["attacked"]
    lines, copied_middle = ({p: t for p, t in attacked[attacked.role == role].groupby(["original", "method"])}
                            for role in ("lines", "copies"))  # fmt: skip
    at = list(zip(places.original, places.method, strict=True))
    found = cells(places, [resistance(lines[place]) for place in at], "method", ERROR_AREA)
    null = drawn([copies_resist(copied_middle[place]) for place in at])
    return mean_test(found, Rule("below", -0.01), null=null, refused=refused(tables), level=level)


def c19(tables: Tables, reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL) -> Result:
    """C19: whether the loss rises less around the mean weights of an MCU(eps) line than around its ends.

    (rise at the mean - mean rise at the ends) / mean rise at the ends. The null: an end, drawn, in the mean's place.
    """
    wide = tables["sharpness"].query("what == 'both/retain'").pivot(
        index=["original", "method"], columns="place", values="value"
    ).reindex(columns=["start", "end", "mean"])  # fmt: skip
    places = joined(tables, reading, eps)[["original", "method"]]
    rows = places.merge(wide.reset_index())
    found = cells(rows, smoother(rows.start, rows.end, rows["mean"]), "method", ERROR)
    one, other = (
        cells(rows, smoother(b, b, a), "method").values for a, b in ((rows.start, rows.end), (rows.end, rows.start))
    )
    null = one_of_two(one, other) if len(rows) else np.array([np.nan])
    return mean_test(found, Rule("below", -0.1), null=null, refused=refused(tables), level=level)


def c22(
    tables: Tables, by: str = "number", reading: str = "chord", eps: float = TOLERANCE, level: float = LEVEL
) -> Result:
    """C22: whether an ensemble's gain depends on the number of members, or on where they stand.

    ``number``: test accuracy of the most members less that of two, uniform. ``placement``: of five in the inner half
    less that of five uniform ones.
    """
    sizes = tables["ensembles"].query("role == 'lines' and placement == 'uniform'").members
    most = f"uniform/{sizes.max() if len(sizes) else 0}"
    names = {"number": (most, "uniform/2"), "placement": ("inner/5", "uniform/5")}[by]
    gained, places = ensemble_gain(tables, *names), joined(tables, reading, eps)
    ours = [gained.get(("lines", o, m), np.nan) for o, m in zip(places.original, places.method, strict=True)]
    found = cells(places, ours, "method", ERROR_SCORE)
    return mean_test(found, Rule("outside", 0.002), refused=refused(tables), level=level)


def n2(tables: Tables, by: str = "distance", reading: str = "chord", level: float = LEVEL) -> Result:
    """N2: rank correlation, over methods and seeds of an original, of the accuracy regained with a predictor.

    Undecided, whatever the correlation, where the positive control fails (`disconnected`).
    """
    models = tables["attacked"].query("role == 'models'")
    ends = models.groupby(["original", "model"], sort=False).accuracy_forget.agg(["first", "last"]).reset_index()
    regained = {(r.original, r.model): r.last - r.first for r in ends.itertuples()}
    known = tables["predictors"].query("predictor == @by and reading == @reading")
    value = {(r.original, f"{r.method} {r.seed}"): r.value for r in known.itertuples()}
    lines = tables["paths"][in_experiment(tables["paths"], "relearning")]
    lines = lines[lines.why == ""]
    place = list(zip(lines.original, lines.method + " " + lines.start.astype(str), strict=True))
    told = lines.assign(regained=[regained[at] for at in place], predictor=[value[at] for at in place])
    left, right = (nested(told, name, [model for _, model in place]) for name in ("regained", "predictor"))
    others = {**tables, "paths": tables["paths"][in_experiment(tables["paths"], "ensembles")]}
    here = {**tables, "paths": tables["paths"][in_experiment(tables["paths"], "relearning")]}
    no = [*controls(others["paths"]), *copied(others), *copied(here), *disconnected(here["paths"])]
    return rank_test(left, right, Rule("below", -0.5), no, level)


def disconnected(lines: Table, least: int = 3, above: float = 0.1) -> list[str]:
    """What is wrong with N2's positive control: fewer than ``least`` defences have a median barrier above 0.1 G."""
    from ..unlearning.methods import DEFENCES

    middle = lines[lines.method.isin(DEFENCES)].groupby("method").barrier_chord.median().reindex(DEFENCES)
    found = list(middle[middle > above].index)
    if len(found) >= least:
        return []
    named = f" ({', '.join(found)})" if found else ""
    told = f"have a median barrier above {above:g} G{named}"
    return [f"{len(found)} of {len(DEFENCES)} defences built to be disconnected {told}"]


# 12: difficulty


def graded_lines(tables: Tables) -> Table:
    """The lines on graded sets that C20 and N3 read: what should be kept was kept, and the curve is resolved.

    Whether enough was forgotten is not asked, since how far an end is from retraining is the outcome, and a set of low
    memorisation leaves no gap to close.
    """
    lines = on_sets(tables)
    why = lines.why.str.replace(r"(start|end) did not forget: [^;]*(; )?", "", regex=True)
    found = lines[why == ""].merge(tables["outcomes"], on=["original", "form", "method"], suffixes=("_path", ""))
    return found.assign(steps=found.steps.replace(np.inf, NEVER))


def on_sets(tables: Tables) -> Table:
    """The paths on graded sets that did not collapse."""
    paths = tables["paths"]
    graded = paths.form.str.split(", ").str[0].isin(GRADINGS)
    return paths[graded & (paths.control == "") & (paths.collapsed == "")]


def sets_are(tables: Tables) -> list[str]:
    """Sentences on originals whose graded sets are not what they are called, and on copies; none if all are.

    As `splits_are` on the sets of high grade. On the others retrained models may fit D_f as the original does: there
    they must fit D_r as it does, and D_f no better.
    """
    lines = on_sets(tables)
    fits = lines.original_accuracy_forget >= lines.retrained_accuracy_forget
    wrong = lines[~(fits & (lines.retrained_accuracy_retain_far <= NEAR))]
    found = splits_are(lines[lines.form.str.endswith(", high")]) + splits_are(wrong.iloc[:0])
    found += [f"control: on original {o} retain and forget data are not what they are called" for o in wrong.original]
    return [*dict.fromkeys(found), *copied({**tables, "paths": lines})]


def nested(table: Table, column: str, context: Any) -> dict[int, dict[Any, float]]:
    """original -> context -> a column's number, as `rank_test` takes it."""
    found: dict[int, dict[Any, float]] = {}
    for original, place, value in zip(table.original, context, table[column], strict=True):
        found.setdefault(original, {})[place] = float(value)
    return found


def c20(tables: Tables, smoothness: str = "variation", outcome: str = "js", level: float = LEVEL) -> Result:
    """C20: whether lines wiggle more, or less, where unlearning is hard: a rank correlation over sets and methods.

    In units of what a pair forgot. Supported only where wiggles in nats say the same: a pair that forgot more is
    farther from retraining, and the unit alone, in which noise is counted, would make a correlation of it.
    """
    lines = graded_lines(tables)
    context = list(zip(lines.form, lines.method, strict=True))
    unit, no, rule = lines.lost ** (2 if smoothness == "roughness" else 1), sets_are(tables), Rule("outside", 0.3)
    right, both = nested(lines, outcome, context), []
    for value in (lines[smoothness] / unit, lines[smoothness]):
        left = nested(lines.assign(value=value.where(lines.lost > LOST)), "value", context)
        both.append(rank_test(left, right, rule, no, level))
    found, nats = both
    same = nats.effect.low > 0 if found.effect.estimate > 0 else nats.effect.high < 0
    if found.verdict != "supported" or same:
        return found
    return replace(found, verdict="undecided", notes=(*found.notes, f"in nats it is {spread(nats.effect, 2)}"))


def n3(tables: Tables, predictor: str = "coherence", level: float = LEVEL) -> Result:
    """N3: whether sets whose gradients are more coherent, or which are more memorised, end further from retraining."""
    lines = graded_lines(tables)
    far = lines.groupby(["original", "form"], sort=False).js.mean().reset_index()
    graded = tables["graded"][tables["graded"].original.isin(far.original)]
    return rank_test(
        nested(graded, predictor, graded.form), nested(far, "js", far.form), Rule("above", 0.3), sets_are(tables), level
    )


def n5(tables: Tables, at: str = "ends", level: float = LEVEL) -> Result:
    """N5: how much better a probe recognises a forgotten class in an unlearned model than in a retrained one.

    At both ends of a line, or in its ``middle``, a further row. The null: one retrained model against the others.
    """
    lines = tables["paths"][tables["paths"].form == "class"]
    kept, probes = read(lines), tables["probes"]
    anew = probes[probes.method.str.startswith("retrained") & probes.original.isin(kept.original)]
    ours = probes.merge(kept[["original", "method"]])
    ours = ours[ours.t.isin([0, 1]) if at == "ends" else ours.t == 0.5]
    found = ours.groupby(["original", "method"], sort=False).recall.mean().reset_index()
    found = cells(
        found, found.recall - found.original.map(anew.groupby("original").recall.mean()), "method", ERROR_RECALL
    )
    rows = [one.recall.to_numpy() for _, one in anew.groupby("original", sort=False)]
    null = drawn([a - np.mean(np.delete(row, k)) for row in rows for k, a in enumerate(row)])
    no = [*splits_are(lines), *copied({**tables, "paths": lines})]
    return mean_test(found, Rule("above", 0.1), null=null, refused=no, level=level)


def n7(tables: Tables, at: str = "middle", level: float = LEVEL) -> Result:
    """N7: whether the mean of an over- and an under-forgotten model is nearer to retrained ones than the nearer is."""
    lines = tables["paths"][(tables["paths"].other != "") & (tables["paths"].form == "")]
    kept = read(lines, kind="linear")
    least, most = (kept[["start_closed_loss", "end_closed_loss"]].agg(how, axis=1) for how in ("min", "max"))
    no = [*splits_are(lines), *copied({**tables, "paths": lines})]
    found = nearer(tables, kept[(least < 1) & (most > 1)], at)
    return mean_test(found, Rule("below", 0.0), refused=no, level=level)
