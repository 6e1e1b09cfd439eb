"""One function per table: results in, a pandas DataFrame out; what notebooks show and figures draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .claims import CLAIMS, Verdict
from .data.tasks import Task
from .engine.study import Study
from .errors import BadInput
from .measures.along import excess
from .measures.connectivity import TOLERANCE
from .measures.intervals import mean_interval
from .measures.metrics import SCORES, gap_to_retrained, tow
from .measures.profiles import ProfileOf
from .settings import Plan
from .verdicts import nodes_of, share_over, units_of, worst
from .walks import Walk

if TYPE_CHECKING:
    import pandas as pd


def splits_table(task: Task) -> pd.DataFrame:
    """Size of each split and what it is for."""
    import pandas as pd

    uses = {
        "retain": "D_r: stays known",
        "forget": "D_f: to be forgotten",
        "valid": "held out before D_f was drawn: all choices are made on it",
        "test": "reported only, chooses nothing",
        "retain_eval": "part of D_r that traces evaluate",
        "bn": "part of D_r that BatchNorm statistics come from",
    }
    rows = [(split, len(task.index[split]), use) for split, use in uses.items()]
    return pd.DataFrame(rows, columns=["split", "examples", "use"]).set_index("split")


def models_table(profiles: Mapping[str, ProfileOf]) -> pd.DataFrame:
    """Accuracy in % on the four splits and forget loss in nats, one row per named model."""
    import pandas as pd

    rows = []
    for name, one in profiles.items():
        shown = {
            f"{s} acc. %": 100 * float(one.metric(f"accuracy_{s}")[0]) for s in ("retain", "forget", "valid", "test")
        }
        rows.append({"model": name, **shown, "forget loss": float(one.metric("loss_forget")[0])})
    return pd.DataFrame(rows).set_index("model").round(2)


def endpoint_rows(study: Study, models: Mapping[tuple[str, int], object]) -> pd.DataFrame:
    """One row per model (method, seed): UA, RA, TA as fractions, other metrics, CPU seconds, whether it collapsed.

    ``models`` maps (method, seed) to the spec of a model; profiles are computed where the store lacks them. The gap and
    ToW are taken to the mean of the rows named ``retrain``.
    """
    import pandas as pd

    if "retrain" not in [method for method, _ in models]:
        raise BadInput("the gap is taken to retrained models: give at least one named retrain.")
    profiles = study.run([study.profile(spec) for spec in models.values()])
    rows = []
    for (method, seed), one in zip(models, profiles, strict=True):
        names = (*SCORES, "accuracy_valid", "loss_forget", "zrf", "js_retrained_forget", "js_retrained_test")
        values = {name: float(one.metric(name)[0]) for name in names}
        rows.append(
            {"method": method, "seed": seed, **values, "collapsed": bool(one.collapsed), "seconds": one.seconds}
        )
    table = pd.DataFrame(rows)
    goal = {k: table.loc[table["method"] == "retrain", k].mean() for k in SCORES}
    scores = {k: table[k].to_numpy(float) for k in SCORES}
    return table.assign(gap=gap_to_retrained(scores, goal), tow=tow(scores, goal))


def endpoint_summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds per method, accuracies in %; sorted by the gap to the retrained models."""
    import pandas as pd

    shown = {"UA": 100, "RA": 100, "TA": 100, "gap": 100, "zrf": 1, "js_retrained_forget": 1, "seconds": 1}
    found = []
    for method, part in rows.groupby("method", sort=False):
        cells = {}
        for name, scale in shown.items():
            if name in part:
                values = scale * part[name].to_numpy(float)
                digits = {100: 1, 1: 3}[scale] if name != "seconds" else 1
                spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
                cells[name] = f"{values.mean():.{digits}f}{spread}"
        found.append({"method": method, **cells, "seeds": len(part), "_gap": part["gap"].mean()})
    table = pd.DataFrame(found).sort_values("_gap", kind="stable").drop(columns="_gap")
    names = {"js_retrained_forget": "JS to retrained", "zrf": "ZRF", "seconds": "CPU s", "gap": "gap, points"}
    return table.rename(columns=names).set_index("method")


def settings_table(study: Study) -> pd.DataFrame:
    """The search's winner per method, and what the smallest gap to a retrained model would have chosen."""
    import pandas as pd

    from .search import GRID, chosen, oracle_gap, read_rows, score

    def words(row: Mapping[str, str]) -> str:
        batch = (
            "" if row["forget_batch_size"] == str(Plan.forget_batch_size) else f"D_f batch {row['forget_batch_size']}"
        )
        decay = "" if row["schedule"] == Plan.schedule else f"{row['schedule']} decay"
        parts = (f"lr {float(row['lr']):g}", f"{row['steps']} steps", decay, batch, row["options"])
        return ", ".join(part for part in parts if part)

    rows, found = read_rows(study.settings), []
    for method in GRID:
        ours, theirs = (chosen(rows, method, rule=rule) for rule in (score, oracle_gap))
        gaps = [float(np.mean([oracle_gap(row) for row in group])) for group in (ours, theirs)]
        other = words(theirs[0]) if words(theirs[0]) != words(ours[0]) else "the same"
        found.append((method, words(ours[0]), gaps[0], other, gaps[1]))
    columns = ["method", "chosen on validation", "gap", "by gap to retrained", "its gap"]
    return pd.DataFrame(found, columns=columns).set_index("method").round(2)


def pair_name(walk: Walk) -> str:
    """The seeds of a walk's ends, after that of their original model where it is not 0: ``42-87``, ``1: 42-87``."""
    seeds = f"{walk.start}-{walk.end}"
    return f"{walk.original}: {seeds}" if walk.original else seeds


def paths_table(walks: Sequence[Walk], eps: float = TOLERANCE) -> pd.DataFrame:
    """One row per walk: barrier and deficit in units of G, whether MCU(eps) holds, and how far apart the ends are."""
    import pandas as pd

    rows = []
    for w in walks:
        row = {"method": w.method, "curve": w.kind, "original": w.original, "start": w.start, "end": w.end}
        row |= {"pair": pair_name(w), "role": w.role, "barrier": w.barrier, "deficit": w.deficit}
        row |= {"connected": w.connected(eps), "collapsed": bool(w.profile.collapsed)}
        row |= {"test_barrier": w.profile.connectivity["barrier_test"] / w.profile.gap}
        row |= {name: w.profile.geometry.get(name, np.nan) for name in ("distance", "cosine", "moved_start", "length")}
        rows.append(row)
    return pd.DataFrame(rows)


def paths_summary(walks: Sequence[Walk], eps: float = TOLERANCE) -> pd.DataFrame:
    """Per method and curve: pairs connected at MCU(eps), mean and largest barrier and deficit in units of G."""
    import pandas as pd

    rows = []
    for (method, curve), part in paths_table(walks, eps).groupby(["method", "curve"], sort=False):
        row = {"method": method, "curve": curve, "connected": f"{int(part['connected'].sum())} of {len(part)}"}
        for name in ("barrier", "deficit"):
            row |= {f"{name} mean": part[name].mean(), f"{name} max": part[name].max()}
        row |= {"distance": part["distance"].mean(), "cosine": part["cosine"].mean()}
        rows.append({**row, "collapsed": int(part["collapsed"].sum())})
    return pd.DataFrame(rows).set_index(["method", "curve"]).round(3)


def excess_table(walks: Sequence[Walk]) -> pd.DataFrame:
    """One row per walk and t: retain and forget loss minus their chords, in units of G."""
    import pandas as pd

    parts = []
    for w in walks:
        t, curves = w.profile.t, w.profile.connectivity.curves
        over = {f"{s}_excess": excess(curves[f"loss_{s}"], t) / w.profile.gap for s in ("retain", "forget")}
        parts.append(pd.DataFrame({"method": w.method, "pair": pair_name(w), "curve": w.kind, "t": t, **over}))
    return pd.concat(parts, ignore_index=True)


def paths_means(walks: Sequence[Walk]) -> pd.DataFrame:
    """Mean and interval of barrier and deficit per method and curve: method, curve, measure, estimate, low, high."""
    import pandas as pd

    rows = []
    for (method, curve), part in _by_curve(walks).items():
        nodes, units = nodes_of(part), units_of(part)
        for measure in ("barrier", "deficit"):
            values, again = [getattr(w, measure) for w in part], np.array([w.replicates(measure) for w in part])
            found = mean_interval(values, again, nodes=nodes, units=units, within=(0.0, np.inf))
            rows.append((method, curve, measure, *found))
    return pd.DataFrame(rows, columns=["method", "curve", "measure", "estimate", "low", "high"])


def sweep_table(walks: Sequence[Walk], eps: Sequence[float]) -> pd.DataFrame:
    """Share of connected pairs per method, curve and tolerance eps (units of G), with its interval over seeds."""
    import pandas as pd

    rows = []
    for (method, curve), part in _by_curve(walks).items():
        replicates = np.array([worst(w) for w in part])
        for e in eps:
            found = share_over(part, [w.connected(e) for w in part], (replicates <= e).astype(float))
            rows.append((method, curve, e, *found))
    return pd.DataFrame(rows, columns=["method", "curve", "eps", "fraction", "low", "high"])


def _by_curve(walks: Sequence[Walk]) -> dict[tuple[str, str], list[Walk]]:
    groups: dict[tuple[str, str], list[Walk]] = {}
    for w in walks:
        groups.setdefault((w.method, w.kind), []).append(w)
    return groups


def walks_text(walks: Sequence[Walk], eps: float = TOLERANCE) -> str:
    """What the walks of methods show, in a sentence or two of Markdown: counts of connected paths, line against
    curve.
    """
    table = paths_table([w for w in walks if w.role == "method"], eps)
    flat = table[table["barrier"] <= eps]
    kept = int((~flat["connected"]).sum())
    parts = [f"{len(flat)} of {len(table)} paths have no retain barrier; {kept} of these fail by the deficit alone."]
    for curve, part in table.groupby("curve", sort=False):
        joined = int(part["connected"].sum())
        parts.append(f"On the {curve} paths {joined} of {len(part)} pairs satisfy MCU({eps:g}).")
    return " ".join(parts)


def dips_text(walks: Sequence[Walk], retrained: Sequence[Mapping[str, float]], eps: float = TOLERANCE) -> str:
    """How low the forget loss falls on paths that only the deficit keeps from MCU(eps), in a sentence.

    A dip below the chord is knowledge regained only where it ends below what models that never saw the images have.
    ``retrained`` are metrics of retrained models, of which ``loss_forget`` is read.
    """
    ours = [w for w in walks if w.role == "method" and w.barrier <= eps and not w.connected(eps)]
    if not ours:
        return f"No path fails MCU({eps:g}) by the deficit alone."
    level = float(np.mean([one["loss_forget"] for one in retrained]))
    losses = [w.profile.metric("loss_forget") for w in ours]
    above = sum(loss.min() >= level for loss in losses)
    edges = [min(level, loss[0], loss[-1]) - eps * w.profile.gap for w, loss in zip(ours, losses, strict=True)]
    below = sum(loss.min() < edge for loss, edge in zip(losses, edges, strict=True))
    return (
        f"On {above} of the {len(ours)} paths that only the deficit keeps from MCU({eps:g}) the forget loss stays "
        f"above that of the retrained models ({level:.2f} nats) at every t; on {below} it falls below that and below "
        f"both ends by more than {eps:g} G."
    )


def verdicts_text(verdicts: Sequence[Verdict], eps: float = TOLERANCE) -> str:
    """Verdicts as a Markdown list: the claim, its verdict, effect with 95 % interval, and the rule fixed beforehand."""
    lines = []
    for v in verdicts:
        claim = CLAIMS[v.claim]
        found = "nothing to measure"
        if v.effect is not None and np.isfinite(v.effect):
            p = "" if v.p is None else f", p = {v.p:.2g}"
            found = f"{v.effect:.3f} [{v.low:.3f}, {v.high:.3f}]{p}; {v.n_pairs} paths, {v.n_seeds} seeds"
        lines.append(
            f"- **{v.claim}, {v.verdict}.** {claim.statement} *Statistic:* {claim.measured(eps)}. *Found:* {found}. "
            f"*Rule:* {claim.rule}."
        )
    if eps != TOLERANCE and any(CLAIMS[v.claim].measured(eps) != CLAIMS[v.claim].statistic for v in verdicts):
        lines.append(
            f"\nThe tolerance fixed before the runs is {TOLERANCE:g} G; at {eps:g} G this is not the ledger's verdict."
        )
    return "\n".join(lines)
