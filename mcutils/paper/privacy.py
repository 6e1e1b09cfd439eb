"""10: what an attacker sees along paths, of few bits, and in a pool of shadow models: what is computed, and its tables.

Each shadow is trained on a core and a random half of the targets, and then unlearned of its half of the forget targets;
each has a model retrained on the rest. Of all models there are the confidences phi of all targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, TypeVar

import numpy as np

from ..data.shadows import KINDS, SHADOWS, SHARE, SPLITS, held
from ..engine.specs import (
    CurveSpec,
    DataSpec,
    MembershipSpec,
    MetricSpec,
    OriginalSpec,
    PhiSpec,
    RetrainedSpec,
    Spec,
    TraceSpec,
)
from ..engine.study import Study
from ..measures.forgetting_quality import Quality, completeness, forgetting_quality, iam_signal, klom_normal, null_split
from ..measures.membership import auc
from ..measures.originals import LEAST, LEVEL, Interval
from ..measures.shadow_pool import STATISTICS, holders, left_out, over_models
from .experiments import (
    Route,
    alone,
    coarse,
    condition_routes,
    controls,
    profiles,
    references as reference_profiles,
)
from .inclusion import TWINNED, Table, Tables, gate, text_of
from .statistics import Result, Rule, halves, jackknife_of

BITS = (8, 4)
CALLED_OUT = ("svc/classifier", "svc/threshold")  # shares called non-members: larger the more is forgotten
TRAINED, RETRAINED = 1000, 2000  # training seeds of shadow j and of its retrained model are these plus j
FEW = 6  # shadows where originals have no forget set each: the least that score each other, no number to quote
SEEDS = (42, 87)  # of unlearning; the second for the methods of `ALONG` only
ALONG = ("npo", "gradient_difference", "scrub")  # whose line between two seeds is audited at t = 0, 1/2 and 1
PLACES = 3
BEFORE, ANEW = "original", "retrained"  # names of the pool's models that nothing was unlearned from
ALIKE = 0.01  # share of the usual difference between two models below which they are one
TOLD = 0.55  # AUC that the attack must exceed on models from which nothing was unlearned
THIRDS = ("hidden", "between", "exposed")  # of the forget targets, by how far original models tell them
T = TypeVar("T")


def routes(study: Study) -> list[Route]:
    """Lines between two seeds of each method and between every two methods, on every original, and the controls.

    Methods pass the gate; 02 and 05 walk them too.
    """
    first, second = study.seeds[:2]
    pairs = [(original, first, second) for original in study.originals]
    found = condition_routes(study, "random", alone(study.preset.fit), pairs, ("linear",))
    every = list(combinations(study.preset.fit, 2))
    return found + condition_routes(study, "method", every, pairs, ("linear",), points=coarse(study)) + controls(study)


def lines(study: Study) -> dict[tuple[int, str], TraceSpec]:
    """(original, method) -> the trace, on all splits, of the line between its two seeds."""
    found = {}
    for route in routes(study):
        if route.condition == "random" and not route.control:
            found[route.original, route.method] = study.trace(route.path, points=coarse(study))
    return found


def twin_lines(study: Study) -> list[tuple[int, str, TraceSpec]]:
    """(original, method, trace on all splits) of the lines to fine-tuned twins, the control of every notebook."""
    found = [route for route in controls(study) if route.control == TWINNED]
    return [(route.original, route.method, study.trace(route.path, points=coarse(study))) for route in found]


def references(study: Study, original: int) -> tuple[TraceSpec, ...]:
    """The traces of the models retrained for an original."""
    return tuple(study.trace(study.retrained(seed, original=original)) for seed in study.seeds[:2])


def beside(study: Study, original: int) -> tuple[MembershipSpec, ...]:
    """Attacks on an original, and on each model retrained for it with the others as RMIA's references: its null."""
    anew = references(study, original)
    others = [tuple(one for one in anew if one != audited) for audited in anew]
    first = MembershipSpec(study.trace(study.original(original)), anew)
    return first, *(MembershipSpec(one, rest) for one, rest in zip(anew, others, strict=True))


def along_needs(study: Study) -> list[Spec]:
    """Attacks along the lines and on the models beside them, and forget accuracy at 8 and 4 bits."""
    found: list[Spec] = []
    for (original, _), line in lines(study).items():
        found.append(MembershipSpec(line, references(study, original)))
        found += [rounded(line, bits) for bits in (0, *BITS)]
    found += [MembershipSpec(line, references(study, original)) for original, _, line in twin_lines(study)]
    for original in study.originals:
        found += beside(study, original)
        models = study.trace(study.original(original)), *references(study, original)
        found += [rounded(one, bits) for one in models for bits in (0, *BITS)]
    return found


def rounded(trace: TraceSpec, bits: int) -> MetricSpec:
    """Forget accuracy along a trace with weights of so many bits; 0: as they are."""
    return MetricSpec(replace(trace, bits=bits, splits=("forget",)) if bits else trace, "accuracy_forget")


# The pool


def shadow_data(study: Study, shadow: int) -> DataSpec:
    """The data of a shadow."""
    study.random_draw("a shadow pool")
    return replace(study.data, shadow=shadow)


def trained(study: Study, shadow: int) -> OriginalSpec:
    """A shadow: trained on the core and its halves."""
    return replace(study.original(0), data=shadow_data(study, shadow), seed=TRAINED + shadow)


def retrained(study: Study, shadow: int) -> RetrainedSpec:
    """The model retrained on the core and a shadow's half to keep: no forget target, so that it serves every shadow."""
    return replace(study.retrained(RETRAINED + shadow, SHARE), data=shadow_data(study, shadow))


def along(study: Study, method: str, shadow: int) -> CurveSpec:
    """The line between two models of a shadow that one method unlearned with two seeds."""
    origin = trained(study, shadow)
    start, end = (study.unlearned(method, seed, origin=origin, forget=SHARE) for seed in SEEDS)
    return study.path(start, end)


def scores(study: Study, shadow: int) -> dict[str, PhiSpec]:
    """The phi of all models of one shadow, by name: ``original``, ``retrained`` and each method that passes the gate.

    Those of a method of `ALONG` are at t = 0, 1/2 and 1 of its line, the first of which is the model that the other
    methods have alone. Settings are those tuned for a tenth, of which a shadow's 2/15 has none of its own.
    """
    models: dict[str, Any] = {BEFORE: trained(study, shadow), ANEW: retrained(study, shadow)}
    for method in study.preset.fit:
        one = study.unlearned(method, SEEDS[0], origin=trained(study, shadow), forget=SHARE)
        models[method] = along(study, method, shadow) if method in ALONG else one
    places = {name: PLACES if isinstance(model, CurveSpec) else 1 for name, model in models.items()}
    return {name: PhiSpec(model, SHARE, places[name], study.weighted) for name, model in models.items()}


def shadows_of(study: Study) -> int:
    """How many shadows a preset has: `SHADOWS` where originals have a forget set each, else a few."""
    return SHADOWS if study.preset.originals else FEW


def pool_needs(study: Study) -> list[Spec]:
    """The phi of the whole pool."""
    return [spec for j in range(shadows_of(study)) for spec in scores(study, j).values()]


@dataclass(frozen=True, eq=False)
class Pool:
    """Confidences of a pool: ``phi[name][split]`` (T, M, N) of M shadows, and ``held[kind]`` (M, N) of the targets.

    Splits are ``forget_targets``, ``keep_targets`` and ``valid``; ``accuracy[name][split]`` (T, M) is of ``retain`` and
    ``test``, ``right[name][split]`` (T, M, N) says which predictions were right. ``known``: what was worked out of it.
    """

    phi: Mapping[str, Mapping[str, np.ndarray]]
    held: Mapping[str, np.ndarray]
    accuracy: Mapping[str, Mapping[str, np.ndarray]]
    right: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of methods."""
        return tuple(name for name in self.phi if name not in (BEFORE, ANEW))

    @property
    def shadows(self) -> int:
        """How many there are."""
        return len(next(iter(self.held.values())))

    def once(self, what: Any, work: Callable[[], T]) -> T:
        """``work()`` the first time that this is asked of the pool, and then what it returned."""
        if what not in self.known:
            self.known[what] = work()
        return self.known[what]

    def of(self, shadows: Iterable[int]) -> Pool:
        """The same of some of its shadows."""
        kept = list(shadows)
        if kept == list(range(self.shadows)):
            return self
        return self.once(("of", tuple(kept)), lambda: self._part(kept))

    def _part(self, kept: list[int]) -> Pool:
        groups = (self.phi, self.accuracy, self.right)
        phi, accuracy, right = (
            {name: {s: v[:, kept] for s, v in one.items()} for name, one in group.items()} for group in groups
        )
        return Pool(phi, {kind: who[kept] for kind, who in self.held.items()}, accuracy, right)


def pool_of(study: Study) -> Pool:
    """The pool's confidences, computed where the store lacks them."""
    count = shadows_of(study)
    specs = [scores(study, j) for j in range(count)]
    found = study.run([one[name] for name in specs[0] for one in specs])
    each = {name: found[k * count : (k + 1) * count] for k, name in enumerate(specs[0])}
    groups: dict[str, dict[str, dict[str, np.ndarray]]] = {"phi": {}, "accuracy": {}, "right": {}}
    for name, rows in each.items():
        for group, table in groups.items():
            splits = [key.partition("/")[2] for key in rows[0] if key.startswith(f"{group}/")]
            kind = bool if group == "right" else float
            table[name] = {s: np.stack([np.asarray(r[f"{group}/{s}"], kind) for r in rows], axis=1) for s in splits}
    task = study.data.task(study.preset.forget)
    who = {kind: held(task, kind, count) for kind in KINDS}
    return Pool(groups["phi"], who, groups["accuracy"], groups["right"])


def areas(pool: Pool, kind: str, kept: Iterable[int] | None = None) -> dict[str, np.ndarray]:
    """Name -> AUC (T,) of the attack by models left out, of targets held against those not; mean over the models kept.

    U-LiRA where ``kind`` is ``forget``; of ``keep`` targets the ordinary attack, on models that unlearned others.
    """
    places = tuple(range(pool.shadows)) if kept is None else tuple(int(k) for k in kept)

    def work() -> dict[str, np.ndarray]:
        who = pool.held[kind][list(places)]
        parts = {name: one[SPLITS[kind]][:, list(places)] for name, one in pool.phi.items()}
        marks = left_out(np.concatenate(list(parts.values())), who)
        each = [auc(marks[:, m][:, h], marks[:, m][:, ~h]) for m, h in enumerate(who)]
        ends = np.cumsum([len(one) for one in parts.values()])
        return dict(zip(parts, np.split(np.mean(each, axis=0), ends[:-1]), strict=True))

    return pool.once((kind, places), work)


def dealt_anew(pool: Pool, seed: int = 0) -> Pool:
    """The original models, with each forget target dealt anew to half of the shadows: nothing is to be told."""
    who = np.random.default_rng(seed).permuted(pool.held["forget"], axis=0)
    return pool.once(("dealt", seed), lambda: Pool({BEFORE: pool.phi[BEFORE]}, {"forget": who}, {}))


def statistics(pool: Pool) -> dict[str, dict[str, float]]:
    """Name -> each of `shadow_pool.STATISTICS` of the forget targets, at t = 0: AUC, accuracy, TPR at 1 % FPR."""
    who, names = pool.held["forget"], list(pool.phi)
    marks = left_out(np.stack([pool.phi[name][SPLITS["forget"]][0] for name in names]), who)
    each = {n: {k: over_models(f, s, who) for k, f in STATISTICS.items()} for n, s in zip(names, marks, strict=True)}
    return each


def thirds(pool: Pool) -> dict[str, np.ndarray]:
    """Name -> AUC (3,) of each third of the forget targets, by how far original models tell them, see `THIRDS`.

    An example's exposure is the mean phi of the original models that held it minus that of the others.
    """
    who, names = pool.held["forget"], list(pool.phi)
    first = pool.phi[BEFORE][SPLITS["forget"]][0]
    apart = np.where(who, first, 0).sum(0) / who.sum(0) - np.where(who, 0, first).sum(0) / (~who).sum(0)
    place = np.argsort(np.argsort(apart, kind="stable")) * len(THIRDS) // len(apart)
    marks = left_out(np.stack([pool.phi[name][SPLITS["forget"]][0] for name in names]), who)
    return {
        name: np.array([over_models(auc, one[:, place == k], who[:, place == k]) for k in range(len(THIRDS))])
        for name, one in zip(names, marks, strict=True)
    }


@dataclass(frozen=True)
class Likeness:
    """How like retrained models the models of one name are.

    ``klom``: split -> median and 95th percentile over examples of KLoM between normal laws, in nats; ``quality`` of the
    challenge; ``complete``: mean completeness by IAM of the forget targets that each model held.
    """

    klom: Mapping[str, tuple[float, float]]
    quality: Quality
    complete: float


def likeness(pool: Pool, seed: int = 0) -> dict[str, Likeness]:
    """Name -> `Likeness` at t = 0, of as many models of each law; ``retrained`` is the null, half against half."""
    complete, found = completenesses(pool), {}
    own = {kind: pool.held[kind] for kind in KINDS}
    anew = pool.phi[ANEW]
    halves = {s: null_split(anew[s][0], seed) for s in (SPLITS["forget"], "valid")}
    kept = holders(anew[SPLITS["keep"]][0], own["keep"])
    count = len(kept) // 2
    for name, phi in pool.phi.items():
        null = name == ANEW
        forget = halves[SPLITS["forget"]][1] if null else holders(phi[SPLITS["forget"]][0], own["forget"])
        valid = halves["valid"][1] if null else phi["valid"][0][: len(halves["valid"][0])]
        keep = kept[count:] if null else holders(phi[SPLITS["keep"]][0], own["keep"])[:count]
        pairs = {"forget": (forget, halves[SPLITS["forget"]][0]), "valid": (valid, halves["valid"][0])}
        pairs["keep"] = keep, kept[:count]
        far = {s: klom_normal(*pair) for s, pair in pairs.items() if min(map(len, pair)) > 1}
        ratio = {f"{s}_ratio": _ratio(pool, name, s) for s in ("retain", "test")}
        quality = forgetting_quality(*pairs["forget"], **ratio)
        klom = {s: (float(np.median(v)), float(np.quantile(v, 0.95))) for s, v in far.items()}
        found[name] = Likeness(klom, quality, complete[name])
    return found


def _ratio(pool: Pool, name: str, split: str) -> float:
    return float(pool.accuracy[name][split][0].mean() / pool.accuracy[ANEW][split][0].mean())


def completenesses(pool: Pool) -> dict[str, float]:
    """Name -> mean completeness by IAM (`forgetting_quality`), over shadows, of the forget targets that each held.

    Each is audited with its own original and the other shadows' retrained models: so retrained models are, too.
    """
    split, who, names = SPLITS["forget"], pool.held["forget"], list(pool.phi)
    signal = {name: iam_signal(1 / (1 + np.exp(-pool.phi[name][split][0]))) for name in names}
    each = []
    for m, h in enumerate(who):
        audited, unseen = np.stack([signal[name][m, h] for name in names]), np.delete(signal[ANEW], m, axis=0)[:, h]
        each.append(completeness(audited, signal[BEFORE][m, h], unseen).mean(axis=1))
    return dict(zip(names, np.mean(each, axis=0).tolist(), strict=True))


def copied(pool: Pool, kind: str = "keep") -> list[str]:
    """Sentences on models of one shadow or method under two names: phi that differ by less than `ALIKE` of the usual.

    The usual is the median, over pairs of shadows, of the mean difference of original models.
    """
    names = list(pool.phi)
    phi = np.stack([pool.phi[name][SPLITS[kind]][0] for name in names])  # (names, M, N)
    first, second = np.triu_indices(pool.shadows, 1)
    apart = np.abs(phi[:, first] - phi[:, second]).mean(axis=-1)
    usual = ALIKE * float(np.median(apart[names.index(BEFORE)]))
    found = [
        f"copies: {names[n]} of shadow {second[k]} is that of shadow {first[k]}" for n, k in np.argwhere(apart <= usual)
    ]
    for a, b in combinations(range(len(names)), 2):
        if np.median(np.abs(phi[a] - phi[b]).mean(axis=-1)) <= usual:
            found.append(f"copies: {names[b]} has the numbers of {names[a]}")
    return found[:3]


def needs(study: Study) -> list[Spec]:
    """All that 10 shows: its paths, the models beside them, attacks, few bits, and the phi of the pool."""
    return [*profiles(study, routes(study)), *reference_profiles(study), *along_needs(study), *pool_needs(study)]


# What N4 reads of the pool's tables


def pool_part(tables: Tables) -> tuple[Table, Table]:
    """`pool` and `pool_models` of the shadows that are dealt to the originals of these paths."""
    paths = tables["paths"]
    kept = text_of(set(paths.original[paths.control == ""]))
    pool, models = (tables[name][tables[name].kept == kept] for name in ("pool", "pool_models"))
    return pool, models


def pool_forgot(models: Table) -> tuple[list[str], list[str]]:
    """The methods that pass the endpoint gate in the pool, by means over shadows, and a sentence on each other one."""
    known = models.set_index("model")
    first, anew, passed, left = known.loc[BEFORE], known.loc[ANEW], [], []
    for name, row in known.drop([BEFORE, ANEW]).iterrows():
        ends = {"end_closed_loss": (row.loss_forget - first.loss_forget) / (anew.loss_forget - first.loss_forget)}
        drop = first.accuracy_forget - anew.accuracy_forget
        ends["end_closed_accuracy"] = (first.accuracy_forget - row.accuracy_forget) / drop
        ends["end_kept"] = row.accuracy_retain / first.accuracy_retain
        why = [one.removeprefix("end ") for one in gate(ends, "end")]
        passed += [str(name)] * (not why)
        left += [f"{name} is left out: {'; '.join(why)}"] * bool(why)
    return passed, left


def jackknifed(rows: Table, numbers: Callable[[Any], np.ndarray], level: float = LEVEL) -> list[Interval]:
    """Numbers of a pool, made from its AUC by model, with jackknife intervals over shadows; without ends for few."""
    wide = rows.pivot(index="left_out", columns="model", values="auc")
    estimate = np.atleast_1d(numbers(wide.loc[-1]))
    if len(wide) == 1:
        return [Interval(float(x), np.nan, np.nan) for x in estimate]
    return jackknife_of(estimate, np.array([np.atleast_1d(numbers(wide.loc[j])) for j in wide.index if j >= 0]), level)


def pool_controls(pool: Table, models: Table) -> list[str]:
    """What is wrong with a pool, in sentences; empty if nothing is.

    Of the forget targets, the retrained models, which saw none, must have an AUC whose interval holds 1/2, and the
    shadows before unlearning one above `TOLD`; with each target dealt anew to half of the shadows nothing may be told;
    and no model may stand under two names.
    """
    if (count := int(pool.shadows.max())) < 2 * LEAST:
        return [f"{count} shadows are too few"]
    first = pool[pool.t == 0]
    before, anew = jackknifed(first[first.kind == "forget"], lambda one: one[[BEFORE, ANEW]].to_numpy())
    (dealt,) = jackknifed(first[first.kind == "dealt"], lambda one: one[[BEFORE]].to_numpy())
    found = []
    for what, one in (("retrained models", anew), ("shadows dealt anew", dealt)):
        if not one.low <= 0.5 <= one.high:
            found.append(f"control: {what} tell who was to be forgotten: AUC {one.low:.3f} to {one.high:.3f}")
    if before.low <= TOLD:
        found.append(f"control: the attack does not find what was learned: AUC {before.low:.3f} to {before.high:.3f}")
    return found + [said for text in models.copies if text for said in text.split("; ")]


def pool_test(pool: Table, methods: list[str], beside: str, refused: list[str], level: float = LEVEL) -> Result:
    """N4's number, the mean over methods of their AUC of keep targets minus that of the models ``beside``."""
    count = int(pool.shadows.max())
    if count < 2 * LEAST:
        nothing = Interval(np.nan, np.nan, np.nan)
        said = tuple(dict.fromkeys([*refused, f"{count} shadows are too few"]))
        return Result(nothing, "undecided", count, 0, notes=said, unit="shadows")

    def numbers(told: Any) -> np.ndarray:
        each = told[methods].to_numpy() - told[beside]
        return np.array([each.mean(), told[ANEW] - told[BEFORE], *each])

    effect, null, *each = jackknifed(pool[(pool.kind == "keep") & (pool.t == 0)], numbers, level)
    rule = Rule("above", 0.01)
    word, notes = rule.word(effect), list(refused)
    for k, name in enumerate(methods) if len(methods) > 1 and word != "undecided" else ():
        rest = float(np.mean([one.estimate for i, one in enumerate(each) if i != k]))
        if (rest > rule.threshold) != (effect.estimate > rule.threshold):
            notes.append(f"without {name} the mean lies on the other side")
    reach = null if beside == BEFORE else None
    if reach is not None and word == "supported" and not rule.beyond(effect, reach):
        notes.append(f"its null reaches {reach.low:.3g} to {reach.high:.3g}")
    counts = count, count * len(methods)
    return Result(effect, "undecided" if notes else word, *counts, reach, notes=tuple(notes), unit="shadows")


# Tables


def attacks(study: Study) -> Table:
    """`attacks`: what each attack tells, along the lines and of the models beside them."""
    import pandas as pd

    asked = [("line", o, m, MembershipSpec(one, references(study, o))) for (o, m), one in lines(study).items()]
    asked += [("twin", o, m, MembershipSpec(one, references(study, o))) for o, m, one in twin_lines(study)]
    for o in study.originals:
        first, *anew = beside(study, o)
        asked += [("original", o, "", first), *(("retrained", o, str(k), one) for k, one in enumerate(anew))]
    found = study.run([spec for *_, spec in asked])
    rows = []
    for (role, original, method, _), one in zip(asked, found, strict=True):
        for attack, values in one.items():
            told = 1 - np.asarray(values, float) if attack in CALLED_OUT else np.asarray(values, float)
            t = np.linspace(0, 1, len(told)) if len(told) > 1 else [0.0]
            rows += [(role, original, method, attack, float(x), float(v)) for x, v in zip(t, told, strict=True)]
    return pd.DataFrame(rows, columns=["role", "original", "method", "attack", "t", "value"])


def rounded_accuracy(study: Study) -> Table:
    """`rounded`: forget accuracy with weights of few bits (0: as they are), along lines and of the models beside."""
    import pandas as pd

    asked = [("line", o, m, one) for (o, m), one in lines(study).items()]
    for o in study.originals:
        anew = enumerate(references(study, o))
        asked += [("original", o, "", study.trace(study.original(o))), *(("retrained", o, str(k), r) for k, r in anew)]
    every = [(*place, bits, rounded(trace, bits)) for *place, trace in asked for bits in (0, *BITS)]
    rows = []
    for (*place, _), one in zip(every, study.run([spec for *_, spec in every]), strict=True):
        values = one["values"]
        t = np.linspace(0, 1, len(values)) if len(values) > 1 else [0.0]
        rows += [(*place, float(x), float(v)) for x, v in zip(t, values, strict=True)]
    return pd.DataFrame(rows, columns=["role", "original", "method", "bits", "t", "accuracy_forget"])


def pool_tables(study: Study) -> dict[str, Table]:
    """`pool` and `pool_models`: what the attack by models left out tells of the pool, whole and of halves of it.

    A half holds the shadows that are dealt to half of the originals, in turn by pairs: ``kept`` names the originals.
    """
    import pandas as pd

    pool, originals = pool_of(study), study.originals
    areas_found: list[Any] = []
    models: list[dict[str, Any]] = []
    for kept in [originals, *halves(originals)]:
        part = pool.of([j for j in range(pool.shadows) if originals[j // 2 % len(originals)] in kept])
        name, every = text_of(kept), np.arange(part.shadows)
        for left in (-1, *every) if part.shadows >= 2 * LEAST else (-1,):
            rest = every if left < 0 else np.delete(every, left)
            told = {kind: areas(part, kind, rest) for kind in KINDS}
            told["dealt"] = areas(dealt_anew(part), "forget", rest)
            for kind, found in told.items():
                for model, values in found.items():
                    for t, v in zip(np.linspace(0, 1, len(values)) if len(values) > 1 else [0.0], values, strict=True):
                        areas_found.append((name, part.shadows, kind, model, float(t), int(left), float(v)))
        models += [{"kept": name, **row} for row in pool_models(part, whole=kept == originals)]
    columns = ["kept", "shadows", "kind", "model", "t", "left_out", "auc"]
    return {"pool": pd.DataFrame(areas_found, columns=columns), "pool_models": pd.DataFrame(models)}


def pool_models(pool: Pool, whole: bool) -> list[dict[str, Any]]:
    """A row a name of model: its forget loss and accuracy on targets that each held, retain accuracy, and its copies.

    The loss is log(1 + exp(-phi)) = -log p_y. ``whole``: also other statistics of the attack, by thirds of the targets,
    and how like retrained models they are.
    """
    split, who = SPLITS["forget"], pool.held["forget"]
    likely, parts, told = (likeness(pool), thirds(pool), statistics(pool)) if whole else ({}, {}, {})
    rows = []
    for name, phi in pool.phi.items():
        taken = np.ones_like(who) if name == ANEW else who
        loss, right = np.logaddexp(0.0, -phi[split][0]), pool.right[name][split][0]
        row: dict[str, Any] = {"model": name, "loss_forget": loss[taken].mean(), "accuracy_forget": right[taken].mean()}
        row["accuracy_retain"] = float(pool.accuracy[name]["retain"][0].mean())
        row["copies"] = "; ".join(copied(pool)) if name == BEFORE else ""
        if whole:
            row |= told[name] | dict(zip((f"auc_{third}" for third in THIRDS), parts[name], strict=True))
            one = likely[name]
            row |= {f"klom_{s}": v[0] for s, v in one.klom.items()} | {f"klom95_{s}": v[1] for s, v in one.klom.items()}
            row |= {"quality": one.quality.score, "completeness": one.complete}
        rows.append(row)
    return rows


TABLES: dict[str, Callable[[Study], Any]] = {"attacks": attacks, "rounded": rounded_accuracy}
