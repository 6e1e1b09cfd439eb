"""10's shadow pool: what models left out tell of examples that were unlearned, and of those that stay (N4).

Each shadow is trained on a core and a random half of the targets, and then unlearned of its half of the forget targets;
each has a model retrained on the rest. Of all models there are the confidences phi of all targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, TypeVar

import numpy as np

from ..data.shadows import KINDS, SHADOWS, SHARE, SPLITS, held
from ..engine.specs import CurveSpec, DataSpec, OriginalSpec, PhiSpec, RetrainedSpec, Spec
from ..engine.study import Study
from ..errors import BadInput, choose
from ..measures.forgetting_quality import Quality, forgetting_quality, klom_normal, null_split
from ..measures.iam import completeness, iam_signal
from ..measures.intervals import LEVEL, Interval
from ..measures.originals import LEAST
from ..measures.roc import auc
from ..measures.shadow_pool import STATISTICS, holders, jackknife, left_out, over_models
from .admission import Gate, gate
from .trials import Finding, Rule

TRAINED, RETRAINED = 1000, 2000  # training seeds of shadow j and of its retrained model are these plus j
FEW = 6  # shadows where originals have no forget set each: the least that score each other, no number to quote
SEEDS = (42, 87)  # of unlearning; the second for the methods of `ALONG` only
ALONG = ("npo", "gradient_difference", "scrub")  # whose line between two seeds is audited at t = 0, 1/2 and 1
PLACES = 3
BEFORE, ANEW = "original", "retrained"  # names of the pool's models that nothing was unlearned from
TOLD = 0.55  # AUC that the attack must exceed on models from which nothing was unlearned
ALIKE = 0.01  # share of the usual difference between two models below which they are one
THIRDS = ("hidden", "between", "exposed")  # of the forget targets, by how far original models tell them
T = TypeVar("T")


# What is computed


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


# What is told


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


def intervals(pool: Pool, kind: str, level: float = LEVEL) -> dict[str, list[Interval]]:
    """As `areas`, each AUC with its jackknife interval over shadows; with fewer than eight shadows without ends."""
    names = [name for name, one in areas(pool, kind).items() for _ in one]
    if pool.shadows < 2 * LEAST:
        found = [Interval(float(v), np.nan, np.nan) for one in areas(pool, kind).values() for v in one]
    else:
        found = jackknife(lambda kept: np.concatenate([*areas(pool, kind, kept).values()]), pool.shadows, level)
    return {name: [one for n, one in zip(names, found, strict=True) if n == name] for name in dict.fromkeys(names)}


def dealt_anew(pool: Pool, seed: int = 0) -> Pool:
    """The original models, with each forget target dealt anew to half of the shadows: nothing is to be told."""
    who = np.random.default_rng(seed).permuted(pool.held["forget"], axis=0)
    return pool.once(("dealt", seed), lambda: Pool({BEFORE: pool.phi[BEFORE]}, {"forget": who}, {}))


def pool_gates(pool: Pool) -> dict[str, Gate]:
    """The endpoint gate of each method in the pool, of its means over shadows, on the forget targets that each held.

    The loss is log(1 + exp(-phi)) = -log p_y.
    """
    split, who = SPLITS["forget"], pool.held["forget"]

    def levels(name: str, taken: np.ndarray) -> dict[str, Any]:
        loss, right = np.logaddexp(0.0, -pool.phi[name][split][0]), pool.right[name][split][0]
        return {"loss_forget": loss[taken].mean(), "accuracy_forget": right[taken].mean()}

    retain = {name: float(one["retain"][0].mean()) for name, one in pool.accuracy.items()}
    first = levels(BEFORE, who) | {"accuracy_retain": retain[BEFORE]}
    anew = {name: np.array([value]) for name, value in levels(ANEW, np.ones_like(who)).items()}
    found = {name: levels(name, who) for name in pool.methods}
    return {n: gate(one["loss_forget"], one["accuracy_forget"], retain[n], first, anew) for n, one in found.items()}


def forgetting(pool: Pool) -> tuple[list[str], list[str]]:
    """The methods that pass the gate in the pool, and the others, each with the reason; all pass where none is told."""
    gates = pool_gates(pool) if pool.right else {}
    failed = {name: one.reasons for name, one in gates.items() if one.reasons}
    return [name for name in pool.methods if name not in failed], [
        f"{name} is left out: {'; '.join(why)}" for name, why in failed.items()
    ]


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
    """Name -> mean completeness by IAM, over shadows, of the forget targets that each held; see `iam.completeness`.

    Each is audited with its own original and the other shadows' retrained models: so retrained models are, too.
    """
    split, who, names = SPLITS["forget"], pool.held["forget"], list(pool.phi)
    signal = {name: iam_signal(1 / (1 + np.exp(-pool.phi[name][split][0]))) for name in names}
    each = []
    for m, h in enumerate(who):
        audited, unseen = np.stack([signal[name][m, h] for name in names]), np.delete(signal[ANEW], m, axis=0)[:, h]
        each.append(completeness(audited, signal[BEFORE][m, h], unseen).mean(axis=1))
    return dict(zip(names, np.mean(each, axis=0).tolist(), strict=True))


# The test


def few(pool: Pool) -> list[str]:
    """A sentence where there are too few shadows to decide anything."""
    return [f"{pool.shadows} shadows are too few"] if pool.shadows < 2 * LEAST else []


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


def pool_controls(pool: Pool, seed: int = 0, level: float = LEVEL) -> list[str]:
    """What is wrong with a pool, in sentences; empty if nothing is.

    Of the forget targets, the retrained models, which saw none, must have an AUC whose interval holds 1/2, and the
    shadows before unlearning one above `TOLD`; with each target dealt anew to half of the shadows nothing may be told;
    and no model may stand under two names.
    """
    if found := few(pool):
        return found
    told = intervals(pool, "forget", level)
    dealt = intervals(dealt_anew(pool, seed), "forget", level)[BEFORE][0]
    for what, one in (("retrained models", told[ANEW][0]), ("shadows dealt anew", dealt)):
        if not one.low <= 0.5 <= one.high:
            found.append(f"control: {what} tell who was to be forgotten: AUC {one.low:.3f} to {one.high:.3f}")
    before = told[BEFORE][0]
    if before.low <= TOLD:
        found.append(f"control: the attack does not find what was learned: AUC {before.low:.3f} to {before.high:.3f}")
    return found + pool.once("copies", lambda: copied(pool))


def n4(
    pool: Pool,
    methods: Sequence[str],
    beside: str = BEFORE,
    refused: Sequence[str] = (),
    level: float = LEVEL,
) -> Finding:
    """N4: how much better an attack tells which examples were *kept*, after unlearning others, than before.

    Per shadow the AUC of the keep targets that it holds against those that it does not, by the laws of the other
    shadows' models of the same kind; the mean over methods minus the same of the models ``beside``, with a jackknife
    interval over shadows. The null is the retrained models in the methods' place.

    Args:
        pool: of `pool_of`. methods: names in it. beside: ``original`` or ``retrained`` models. refused: why nothing may
            be decided, as `pool_controls` says. level: of the interval.
    """
    choose("models beside the unlearned ones", beside, (BEFORE, ANEW))
    missing = [name for name in (*methods, BEFORE, ANEW) if name not in pool.phi]
    if missing or not methods:
        raise BadInput(f"the pool lacks {', '.join(missing) or 'methods: name one or more'}.")
    count = pool.shadows
    if too_few := few(pool):
        said = tuple(dict.fromkeys([*refused, *too_few]))
        return Finding(Interval(np.nan, np.nan, np.nan), "undecided", count, 0, notes=said, unit="shadows")

    def differences(kept: np.ndarray) -> np.ndarray:
        found = {name: one[0] for name, one in areas(pool, "keep", kept).items()}
        each = [found[name] - found[beside] for name in methods]
        return np.array([np.mean(each), found[ANEW] - found[BEFORE], *each])

    effect, null, *each = jackknife(differences, count, level)
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
    return Finding(effect, "undecided" if notes else word, *counts, reach, notes=tuple(notes), unit="shadows")
