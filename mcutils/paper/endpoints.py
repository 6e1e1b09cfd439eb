"""01: every method beside the retrained model, by accuracy, attack, gap and seconds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from ..engine.specs import CurveSpec, ProfileSpec, Spec, UnlearnedSpec
from ..engine.study import Study
from ..errors import BadInput
from ..measures import drawing
from ..measures.drawing import BAND, BLACK, BLUE, GREY, entry, finish, label, panel_grid, where
from ..measures.metrics import SCORES, gap_to_retrained, tow
from ..settings import Plan
from .admission import FAR, Gate, gate
from .panels import failing_entries, mark_failing
from .room import Room
from .tables import Table, answer_text, frame, stacked
from .walks import SOME

CURRICULA_SHOWN = ("none", "superloss", "superloss_authors")
OPTIMIZERS_SHOWN = ("adamw", "sophia_g", "soul")
LEDGER = "15"
HEADINGS = {
    "UA": "UA (%)\n1 - forget acc.",
    "RA": "RA (%)\nretain acc.",
    "TA": "TA (%)\ntest acc.",
    "MIA": "MIA (%)\nattack",
    "gap": "average gap\n(% points)",
    "seconds": "seconds\n(log scale)",
}


WHOLE = ("retrain", "original")  # whole trainings, no unlearning
TIERS = ("passes", f"passes, beyond {FAR:g} G", "fails", "fails")  # in words, see `search.tier`


# What is walked


def endpoints(study: Study) -> list[Spec]:
    """Every method with every seed, retrained models, one method under every curriculum and optimiser, and a line.

    The line leads from the original to an endpoint of that method.
    """
    models: list[Spec] = [study.original(o) for o in study.originals]
    models += [study.retrained(seed, original=o) for o in study.originals for seed in study.seeds]
    if study.preset.originals:
        models += study.grid(original=study.originals) + study.grid(["finetune"], original=study.originals[:SOME])
    else:
        models += study.grid(method=("finetune", *study.preset.methods))
    composed = study.grid((study.preset.quickstart_method,), study.seeds[:1], CURRICULA_SHOWN, OPTIMIZERS_SHOWN)
    line = study.path(study.original(), composed[0])
    return [study.profile(one) for one in (*models, *composed, line)]


def endpoint_models(study: Study) -> dict[tuple[str, int, int], Spec]:
    """The models that 01 compares, by (method, seed, original), of all originals; fine-tuning on some of them.

    The untouched original is named ``original`` and has its own training seed, retrained ones are named ``retrain``.
    """
    found: dict[tuple[str, int, int], Spec] = {}
    for o in study.originals:
        found["original", o, o] = study.original(o)
        found |= {("retrain", seed, o): study.retrained(seed, original=o) for seed in study.seeds}
        tuned = () if study.preset.originals and o >= SOME else ("finetune",)
        found |= {
            (method, seed, o): study.unlearned(method, seed, origin=study.original(o))
            for method in (*tuned, *study.preset.methods)
            for seed in study.seeds
        }
    return found


# Tables


def endpoint_rows(study: Study, models: Mapping[tuple, object]) -> Table:
    """One row per model (method, seed): UA, RA, TA as fractions, other metrics, CPU seconds, whether it collapsed.

    ``models`` maps (method, seed), or (method, seed, original), to the spec of a model; profiles are computed where the
    store lacks them. The gap and ToW are taken to the mean of the rows named ``retrain``, of the same original where
    these are told apart.
    """
    if "retrain" not in [name[0] for name in models]:
        raise BadInput("the gap is taken to retrained models: give at least one named retrain.")
    names = (*SCORES, "accuracy_valid", "loss_forget", "zrf", "js_retrained_forget", "js_retrained_test")
    rows = []
    for name, one in zip(models, study.run([study.profile(spec) for spec in models.values()]), strict=True):
        values = {metric: float(one.metric(metric)[0]) for metric in names}
        made = {"collapsed": bool(one.collapsed), "seconds": one.seconds}
        rows.append({**dict(zip(("method", "seed", "original"), name, strict=False)), **values, **made})
    table = frame(rows)
    if "original" in table:
        parts = [_beside_retrained(part) for _, part in table.groupby("original", sort=False)]
        return stacked(parts)
    return _beside_retrained(table)


def _beside_retrained(table: Table) -> Table:
    """The rows of one original with their gap and ToW to its retrained models."""
    goal = {k: table.loc[table["method"] == "retrain", k].mean() for k in SCORES}
    scores = {k: table[k].to_numpy(float) for k in SCORES}
    return table.assign(gap=gap_to_retrained(scores, goal), tow=tow(scores, goal))


def endpoint_summary(rows: Table) -> Table:
    """Mean and standard deviation over models per method, accuracies in %; sorted by the gap to the retrained models.

    ``saving`` is how many times fewer CPU seconds than the mean retraining an unlearning run takes.
    """
    whole = rows.loc[rows["method"] == "retrain", "seconds"].mean()
    names = {"gap": "gap, points", "zrf": "ZRF", "js_retrained_forget": "JS to retrained", "seconds": "CPU s"}
    found = []
    for method, part in rows.groupby("method", sort=False):
        cells = {}
        for name in ("UA", "RA", "TA", *names):
            if name in part:
                scale, digits = (1, 3) if name in ("zrf", "js_retrained_forget") else (100, 1)
                values = part[name].to_numpy(float) * (1 if name == "seconds" else scale)
                deviation = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
                cells[names.get(name, name)] = f"{values.mean():.{digits}f}{deviation}"
        saving = "-" if method in WHOLE else f"{whole / part['seconds'].mean():.1f} x"
        found.append({"method": method, **cells, "saving": saving, "models": len(part), "_gap": part["gap"].mean()})
    return frame(found, index="method").sort_values("_gap", kind="stable").drop(columns="_gap")


def leaning_table(rows: Table, study: Study, experiments: Mapping[str, Callable[[Study], Sequence[Spec]]]) -> Table:
    """Which notebooks walk paths from or to each method's endpoints, and how many paths; sorted by the gap, in points.

    ``beside original`` is the gap minus that of the original model, which forgot nothing: positive is farther from
    retraining than that. ``experiments`` is `registry.EXPERIMENTS`; the ledger, which has no walks of its own, is left
    out, as are fine-tuned twins.
    """
    used: dict[str, dict[str, set]] = {}
    for notebook, needs in experiments.items():
        if notebook.startswith(LEDGER):
            continue
        profiles = (spec for spec in needs(study) if isinstance(spec, ProfileSpec))
        for path in {one.trace.model for one in profiles if isinstance(one.trace.model, CurveSpec)}:
            for end in (path.start, path.end):
                if isinstance(end, UnlearnedSpec) and not isinstance(end.origin, UnlearnedSpec):
                    used.setdefault(end.method, {}).setdefault(notebook[:2], set()).add(path)
    gaps, found = rows.groupby("method", sort=False)["gap"].mean().sort_values(kind="stable"), []
    for method in gaps.index.drop(list(WHOLE)):
        walked = used.get(method, {})
        paths: set = set().union(*walked.values())
        beside = 100 * (gaps[method] - gaps["original"])
        found.append((method, f"{100 * gaps[method]:.1f}", f"{beside:+.1f}", ", ".join(walked) or "none", len(paths)))
    return frame(found, ["method", "gap", "beside original", "notebooks", "paths"], "method")


def ends_gates(rows: Table) -> dict[str, list[Gate]]:
    """The endpoint gate of every unlearned model of `endpoint_rows`, by method, in the order of the mean gap."""
    found: dict[str, list[Gate]] = {name: [] for name in _by_gap(rows)}
    parts = [part for _, part in rows.groupby("original")] if "original" in rows else [rows]
    for part in parts:
        first, again = part[part["method"] == "original"].iloc[0], part[part["method"] == "retrain"]
        before = {"loss_forget": first["loss_forget"], "accuracy_forget": 1 - first["UA"]}
        retrained = {"loss_forget": again["loss_forget"].to_numpy(), "accuracy_forget": 1 - again["UA"].to_numpy()}
        for one in part[~part["method"].isin(WHOLE)].itertuples():
            ends = one.loss_forget, 1 - one.UA, one.RA
            found[one.method].append(gate(*ends, before | {"accuracy_retain": first["RA"]}, retrained))
    return found


def _by_gap(rows: Table) -> list[str]:
    """The unlearning methods, that with the smallest mean gap first."""
    gaps = rows[~rows["method"].isin(WHOLE)].groupby("method", sort=False)["gap"].mean()
    return list(gaps.sort_values(kind="stable").index)


def gate_table(rows: Table) -> Table:
    """Per method, sorted by the gap, how its models stand to the endpoint gate.

    ``pass``: how many pass; ``forgot`` and ``forgot, accuracy``: the share of the gap to retraining that the median
    model closes in forget loss and in forget accuracy (1 is a retrained model); ``kept``: its share of the original's
    retain accuracy; ``beyond 2 G``: models that forgot more than twice what there is; ``fails by``: what most of those
    that fail lack.
    """
    found = []
    for method, ends in ends_gates(rows).items():
        shares = (f"{np.median([getattr(one, name) for one in ends]):.2f}" for name in ("loss", "accuracy", "kept"))
        why = [reason.partition(":")[0] for one in ends for reason in one.reasons]
        passed, over = sum(not one.reasons for one in ends), sum(one.over for one in ends)
        first, last = (f"{number} of {len(ends)}" for number in (passed, over))
        found.append((method, first, *shares, last, max(why, key=why.count) if why else ""))
    columns = ["method", "pass", "forgot", "forgot, accuracy", "kept", f"beyond {FAR:g} G", "fails by"]
    return frame(found, columns, "method")


def gate_text(rows: Table) -> str:
    """Which methods pass the endpoint gate, in part or never, and whose models forgot more than retraining does."""
    gates = ends_gates(rows)
    passed = {m: sum(not one.reasons for one in ends) for m, ends in gates.items()}
    always = [label(m) for m, n in passed.items() if n == len(gates[m])]
    some = [f"{label(m)} ({n} of {len(gates[m])})" for m, n in passed.items() if 0 < n < len(gates[m])]
    never = [label(m) for m, n in passed.items() if n == 0]
    farther = {m: sum(one.loss > 1 for one in ends) for m, ends in gates.items()}
    most = [f"{label(m)} ({n} of {len(gates[m])})" for m, n in farther.items() if 2 * n > len(gates[m])]
    beyond = [f"{label(m)} ({n} of {len(ends)})" for m, ends in gates.items() if (n := sum(one.over for one in ends))]
    return "\n".join(
        f"- **{head}**: {', '.join(names) or 'none'}."
        for head, names in (
            ("All models pass the gate", always),
            ("Some do", some),
            ("No model does, so that no verdict reads a path that ends in one", never),
            ("Over-forgotten: most models have a higher forget loss than retrained ones", most),
            (f"Models beyond {FAR:g} G", beyond),
        )
    )


def failing(rows: Table) -> list[str]:
    """The methods none of whose models passes the endpoint gate."""
    return [method for method, ends in ends_gates(rows).items() if all(one.reasons for one in ends)]


def endpoints_answer(rows: Table) -> str:
    """What was expected of the endpoints, what was found beside the retrained and the original model, what follows."""
    means = rows.groupby("method", sort=False)[["gap", "seconds"]].mean().sort_values("gap", kind="stable")
    ours, (base, before) = means.drop(list(WHOLE)), (means.loc[name] for name in WHOLE)
    far, left = [label(m) for m in ours.index[ours["gap"] > before["gap"]]], [label(m) for m in failing(rows)]
    best, saved = ours.index[0], base["seconds"] / ours["seconds"]
    worse = f": {', '.join(far)}" if far else ""
    never = f"no model of {' or '.join(left)} passes the gate" if left else "every method has models that pass the gate"
    return answer_text(
        "An unlearned model is nearer to the retrained models than the original is, and far cheaper than they are.",
        f"{len(ours) - len(far)} of {len(ours)} methods have a smaller mean gap to retraining than the untouched "
        f"original ({100 * before['gap']:.1f} points), {len(far)} a larger one{worse}; {never}. The nearest, "
        f"{label(best)}, is {100 * ours['gap'].iloc[0]:.1f} points away. **What is saved:** a retraining takes "
        f"{base['seconds']:.0f} CPU seconds, {label(best)} {ours['seconds'].iloc[0]:.1f}, which is "
        f"{saved.iloc[0]:.1f} times fewer; all methods save between {saved.min():.1f} ({label(saved.idxmin())}) and "
        f"{saved.max():.1f} times ({label(saved.idxmax())}), the search of their settings not counted.",
        "Unlearning saves most of a retraining, but none of these methods replaces it: a retrained model is only "
        f"{100 * base['gap']:.1f} points from the mean of all retrained models of its original. A path says something "
        "of unlearning only if its ends "
        "have unlearned, so later notebooks hold every end against the gate.",
    )


def settings_table(study: Study) -> Table:
    """The search's winner per method, whether it passes the gate, and what the smallest gap to retraining would choose.

    ``gate`` is that of both tuning seeds together, see `search.tier`.
    """
    from .search import GRID, NONE, chosen, context, oracle_gap, read_rows, score, tier

    def words(row: Mapping[str, str]) -> str:
        size = row["forget_batch_size"]
        batch = "" if size == str(Plan.forget_batch_size) else f"D_f batch {size}"
        decay = "" if row["schedule"] == Plan.schedule else f"{row['schedule']} decay"
        return ", ".join(
            filter(None, (f"lr {float(row['lr']):g}", f"{row['steps']} steps", decay, batch, row["options"]))
        )

    rows, found = read_rows(study.settings), []
    searched = set(map(context, rows))
    for method in GRID:
        if (method, "none", "adamw", "") not in searched:
            continue
        ours, theirs = (chosen(rows, method, rule=rule) for rule in (score, oracle_gap))
        gaps = [float(np.mean([oracle_gap(row) for row in group])) if group else np.nan for group in (ours, theirs)]
        mine, other = words(ours[0]) if ours else NONE, words(theirs[0])
        passes = TIERS[tier(ours)] if ours else "-"
        found.append((method, mine, passes, gaps[0], other if other != mine else "the same", gaps[1]))
    columns = ["method", "chosen on validation", "gate", "gap", "by gap to retrained", "its gap"]
    return frame(found, columns, "method").round(2)


# Figures


@drawing.style()
def endpoints_figure(table, *, failing: Collection[str] = (), title: str = ""):
    """Every method against the retrained model: UA, RA, TA, their average gap to it, and seconds.

    Retrained models are drawn as a grey range; an endpoint's gap is the mean over scores of |score - mean score of the
    retrained models|. Rows are sorted by it, the smallest on top; a dotted line marks that of the original.

    ``table`` has a row per endpoint: method, UA, RA, TA (fractions), seconds; where it has a column original, gaps are
    taken to the retrained models of the same one. Methods that are ``failing`` the endpoint gate are marked.
    """
    drawing.check_columns(table, ("method", *SCORES, "seconds"))
    goal = where(table, method="retrain")
    if len(goal) == 0:
        raise BadInput("the table has no rows of 'retrain', with which the other methods are compared.")
    if "gap" not in table:
        table = _beside_retrained(table)
    ranked = table.groupby("method", sort=False)["gap"].mean().sort_values(kind="stable")
    methods = list(ranked.index)
    columns = (*SCORES, "gap", "seconds")
    fig, axes = panel_grid(1, len(columns), 1.1 + 0.3 * len(methods), sharey=True)
    for ax, column in zip(axes[0], columns, strict=True):
        for y, method in enumerate(methods):
            _endpoint_row(ax, y, method, where(table, method=method)[column].to_numpy(float))
        if column == "seconds":
            ax.set_xscale("log")
            _log_ticks(ax.xaxis)
        else:
            drawing.widen(ax, 0.02, "x")
            drawing.percent_ticks(ax.xaxis, 3)
        if column == "gap":
            ax.set_xlim(left=0)
            if "original" in ranked:
                ax.axvline(ranked["original"], color=GREY, lw=1.2, ls=":")
        ax.set_title(HEADINGS[column], fontsize=8.5)
        ax.grid(axis="y", visible=False)
    drawing.name_rows(axes[0, 0], methods)
    mark_failing(axes[0, 0], methods, failing)
    seeds = entry("|", BLUE, "models and their range", ls="-", lw=1.0, ms=9)
    before = [entry("", GREY, "gap of the original", ls=":", lw=1.2)] if "original" in ranked else []
    return finish(fig, axes[0, 0], title, [entry("o", BLUE, "mean"), seeds, *before, *failing_entries(failing)])


def _endpoint_row(ax, y: int, method: str, values: np.ndarray) -> None:
    """The seeds of one method, their range and their mean; of retrained models also a band."""
    values = values[np.isfinite(values)]
    colour = {"retrain": BLACK, "original": GREY}.get(method, BLUE)
    if len(values):
        ax.plot([values.min(), values.max()], [y, y], color=colour, lw=1.0)
        ax.plot(values, np.full(len(values), y), "|", color=colour, ms=9, mew=1.0)
        ax.plot(values.mean(), y, "o", color=colour, ms=5.5, mec="white", mew=0.7, zorder=3)
    if method == "retrain":
        ax.axvspan(values.min(), values.max(), -0.1, 1.1, label="retrained models (range)", **BAND)


def _log_ticks(axis) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(10, subs=(1, 3), numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


ROOMS = (Room("01_endpoints", more=endpoints),)
