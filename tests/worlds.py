"""Made worlds as tables: paths of eight originals whose truth is known, for tests of what reads tables.

A path's numbers are made, its labels too. `world` has the paths of all experiments that the declared tests need, and
planted in it whatever is asked for; the defaults are a world in which nothing happens: every path is straight.
`tables_of` turns such paths into tables, as the engine does with results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from itertools import combinations

import numpy as np
import pandas as pd

from mcutils.engine.tables import along_table, path_row
from mcutils.measures.profiles import Profile
from mcutils.paper.experiments import Labels, labels_of
from mcutils.paper.inclusion import APART, RETRAINED, TWINNED, prepare
from mcutils.unlearning.methods import DEFENCES

METHODS = ("random_labels", "salun", "npo", "scrub", "gradient_difference", "bad_teacher")
DISTINCT = ("accuracy_retain", "accuracy_forget", "accuracy_test", "zrf", "js_retrained_forget", "js_retrained_test")
GAP = 0.4
GAPS = {"js_retrained_forget": 0.05, "zrf": 0.06, "accuracy_test": 0.1}  # of every original to its retrained models
QUANTILES = np.array([-1.5, -0.5, 0.0, 0.5, 1.5])  # of variance one


@dataclass(frozen=True)
class Path(Labels):
    """A path with its labels and its made profile."""

    _: KW_ONLY
    profile: Profile


@dataclass(frozen=True)
class Shape:
    """How a path bends, in G: ``rise`` of the retain loss and ``dip`` of the forget loss in its middle.

    ``noise`` is white, on every loss and point; ``ends`` the ends' forget losses in G above the original's; ``kept``
    their accuracy on D_r; ``step``: the share of a step, not a bow, in how the forget loss goes from end to end.
    """

    rise: float = 0.0
    dip: float = 0.0
    noise: float = 0.0
    ends: tuple[float, float] = (1.2, 1.2)
    kept: float = 0.99
    step: float = 0.0
    gain: float = 0.0  # of the best inner point over the ends, on the examples to test on
    moves: float = 1.0  # how far metrics move along the path


@dataclass(frozen=True)
class World:
    """What is planted: a function of a path's labels that gives its shape, and how much paths of one original vary."""

    shape: object = lambda labels: Shape()
    originals: int = 8
    spread: float = 0.02
    seed: int = 0
    points: int = 31
    patterns: str = "own"  # of metrics: own, shared by all, noise, or none at all
    made: dict = field(default_factory=dict)


def tables_of(
    paths: Sequence[Path],
    experiments: str | Callable[[Path], str] = "made",
    gaps: Mapping[str, float] = GAPS,
    **more: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """`paths`, `along`, `gaps` and what `inclusion.prepare` adds, of made paths; and further tables as they are given.

    Each path has a result of its own. ``experiments``: the names, joined by a space, of those that hold a path.
    """
    rows = []
    for k, one in enumerate(paths):
        names = experiments if isinstance(experiments, str) else experiments(one)
        numbers = {**known(one.profile), "aside": one.aside}
        rows.append({"path": f"path{k}", "experiments": names, "task": "made", **labels_of(one), **numbers})
    table = pd.DataFrame(rows)
    points = along_table({f"path{k}": one.profile for k, one in enumerate(paths)})
    points["original"] = points.path.map(table.set_index("path").original)
    far = [(o, name, gap) for o in sorted(set(table.original)) for name, gap in gaps.items()]
    made = {"paths": table, "along": points, "gaps": pd.DataFrame(far, columns=["original", "metric", "gap"])}
    return prepare({**made, **more})


def known(profile: Profile) -> dict:
    """`path_row` of a profile, worked out once: attacks and tables share profiles."""
    if "row" not in profile.__dict__:
        profile.__dict__["row"] = path_row(profile)
    return profile.__dict__["row"]


def path(method="npo", barrier=0.0, deficit=0.0, pair=(42, 87), kind="linear", original=0, **labels) -> Path:
    """A path with this retain barrier and forget deficit, in G; ``labels`` and parts of its `Shape` by name."""
    given = {name: labels.pop(name) for name in list(labels) if name in Shape.__dataclass_fields__}
    rng = np.random.default_rng([original, *pair, *map(ord, method + kind)])
    one = profile(original, Shape(rise=barrier, dip=deficit, **given), rng, labels.pop("points", 31))
    return Path(method, kind, *pair, original=original, profile=one, **labels)


def controls(apart=4.0, twin=0.0, originals: Iterable[int] = (0,)) -> list[Path]:
    """The two controls on each of these originals, by default as they should be."""
    heights = {APART: apart, TWINNED: twin}
    return [path("npo", heights[one], original=original, control=one) for original in originals for one in heights]


def levels(original: int) -> tuple[dict, dict]:
    """Of an original: its losses and accuracies, and those (3,) of its retrained models."""
    rng = np.random.default_rng([9, original])
    own = {"loss_forget": 0.01, "loss_retain": 0.01, "accuracy_forget": 0.998, "accuracy_retain": 0.998}
    again = {"loss_forget": 0.01 + GAP, "loss_retain": 0.01, "accuracy_forget": 0.865, "accuracy_retain": 0.998}
    small = {"loss_forget": 0.01, "loss_retain": 0.001, "accuracy_forget": 0.004, "accuracy_retain": 0.0005}
    own = {k: float(v + small[k] / 10 * rng.normal()) for k, v in own.items()}
    return own, {k: v + small[k] * rng.normal(size=3) for k, v in again.items()}


def profile(original: int, shape: Shape, rng, points: int = 31, patterns: str = "own") -> Profile:
    """A profile with the arrays that tables read, of losses that go as the shape says."""
    own, retrained = levels(original)
    gap = float(np.mean(retrained["loss_forget"]) - own["loss_forget"])
    t = np.linspace(0, 1, points)
    bow, jump = 4 * t * (1 - t), 1 / (1 + np.exp(-40 * (t - 0.5)))
    first, last = (own["loss_forget"] + gap * one for one in shape.ends)
    way = (1 - shape.step) * t + shape.step * (jump - jump[0]) / (jump[-1] - jump[0])
    forget = first + (last - first) * way - gap * shape.dip * bow + gap * shape.noise * rng.normal(size=points)
    retain = 0.02 + gap * shape.rise * bow + gap * shape.noise * rng.normal(size=points)
    arrays = {"t": t, "gap": np.float64(gap), "collapsed": np.array([], dtype=np.str_), "seconds": np.float64(1.0)}
    drop = own["accuracy_forget"] - float(np.mean(retrained["accuracy_forget"]))
    arrays["curve/loss_retain"], arrays["curve/loss_forget"] = retain, forget
    arrays["curve/accuracy_retain"] = shape.kept * own["accuracy_retain"] - 0.05 * shape.rise * bow
    arrays["curve/accuracy_forget"] = own["accuracy_forget"] - drop * (forget - own["loss_forget"]) / gap
    arrays |= {f"level/{name}": values for name, values in retrained.items()}
    arrays |= {f"original/{name}": np.float64(value) for name, value in own.items()}
    arrays["measure/roughness_forget"] = np.float64((np.diff(forget, 2) ** 2).mean() * (points - 1) ** 4)
    arrays |= of_examples(forget, gap)
    arrays["score/choose"] = 0.9 + 0.001 * rng.normal(size=points)
    arrays["score/test"] = 0.9 + shape.gain * bow + 0.001 * rng.normal(size=points)
    shared = rng.normal(size=points).cumsum()
    for name in DISTINCT if patterns != "none" else ():
        shape_of = {"own": rng.normal(size=points).cumsum(), "shared": shared, "noise": np.zeros(points)}[patterns]
        values = 0.5 + 0.01 * shape.moves * shape_of
        arrays[f"metric/{name}"] = values
        for half in (0, 1):
            jitter = 0.01 if patterns == "noise" else 0.0005
            arrays[f"half/{half}/{name}"] = values + jitter * rng.normal(size=points)
    arrays["metric/loss_forget"] = forget
    return Profile(arrays)


def of_examples(forget: np.ndarray, gap: float) -> dict[str, np.ndarray]:
    """What a profile keeps of the noise of the examples: a hundredth of G on the loss, a half of it from its chord."""
    again = np.abs(forget - np.linspace(forget[0], forget[-1], len(forget))).max() + 0.005 * gap * QUANTILES
    return {
        "band/loss_forget": np.stack([forget - 0.0196 * gap, forget + 0.0196 * gap]),
        "replicates/deficit_forget_two_sided": again,
    }


def made_path(world: World, **labels) -> Path:
    """A path with these labels and the shape that the world plants for them; ends and bends vary a little."""
    labels = {"start": 42, "end": 87, "original": 0, "condition": "random", **labels}
    rng = np.random.default_rng([world.seed, len(world.made)])
    world.made[len(world.made)] = labels
    shape = world.shape(labels)
    small = world.spread * rng.normal(size=4) * (0.1 if labels.get("control") == TWINNED else 1.0)
    ends = shape.ends[0] + small[2], shape.ends[1] + small[3]
    shape = replace(shape, rise=shape.rise + abs(small[0]) / 4, dip=shape.dip + small[1], ends=ends)
    return Path(**labels, profile=profile(labels["original"], shape, rng, world.points, world.patterns))


def world(shape=lambda labels: Shape(), only=(), methods=METHODS, **options) -> list[Path]:
    """All paths of a world, or those of some of `PARTS` and some methods, and the controls."""
    made, found, others = World(shape, **options), [], {*METHODS} - {*methods}
    asked = [one for part in only or PARTS for one in PARTS[part] if not {one["method"], one.get("other")} & others]
    for original in range(made.originals):
        found += [made_path(made, original=original, **labels) for labels in asked]
        control = {"method": METHODS[original % 3], "kind": "linear", "original": original}
        found += [made_path(made, control=one, **control) for one in (APART, TWINNED)]
    return found


KINDS = ("linear", "bezier")
AUTHORS = {"recipe": "authors"}
FITS = ({"refit": True}, {"objective": "retain only"}, AUTHORS, {**AUTHORS, "batchnorm": "retain"})
RETRAININGS = {"method": "retrain", "kind": "linear", "condition": "retrained", "control": RETRAINED}


def _each(kinds=("linear",), methods=METHODS, **labels):
    return [{"method": method, "kind": kind, **labels} for method in methods for kind in kinds]


# What is on every original.
PARTS = {
    "random": _each(KINDS),
    **{name: _each(KINDS, condition=name) for name in ("cl-non_cl", "fo-so", "random_in_cl", "random_in_so")},
    "fits": [{**one, **fit} for one in _each(("bezier",)) for fit in FITS] + _each(batchnorm="none"),
    "progress": [
        *_each(condition="forgetting", start=42, end=42),
        *_each(condition="retraining", init="same init"),
        *({**RETRAININGS, "init": init} for init in ("same init", "other init")),
    ],
    "sizes": [one for size in (0.02, 0.04, 0.06, 0.08, 0.1) for one in _each(methods=METHODS[:3], size=size)],
    "method": [
        {"method": method, "other": other, "kind": "linear", "condition": "method"}
        for method, other in combinations(METHODS, 2)
    ],
}
PARTS["cue"] = [{**labels, "form": "cue"} for labels in PARTS["method"]]
PARTS["apart"] = _each(KINDS, ("original",), condition="originals")
PARTS["class"] = _each(form="class")
GRADED = tuple(f"{grading}, {grade}" for grading in ("memorisation", "confidence") for grade in ("low", "mid", "high"))
PARTS["graded"] = [one for form in GRADED for one in _each(methods=METHODS[:4], form=form)]
PARTS["relearning"] = _each(methods=(*METHODS, *DEFENCES), condition="forgetting", start=42, end=42)


def controlled(inner=lambda labels: Shape()):
    """A shape function with controls that hold: barriers between originals, none to a twin."""

    def shape(labels: dict) -> Shape:
        if labels.get("control") == APART or (labels.get("control") == RETRAINED and labels["init"] == "other init"):
            return Shape(rise=5.0)
        if labels.get("control") == TWINNED:
            return Shape(moves=0.02)
        if labels["condition"] == "forgetting":
            one = inner(labels)
            return replace(one, ends=(0.0, one.ends[1]))
        return inner(labels)

    return shape


# What is measured beside paths. What may be planted, in the units of the rows that read it; by default nothing is.
NOTHING = dict.fromkeys(
    "bump twins apart gain twin_gain number placed area copies sharper returned returned_anew recall anew_apart"
    " nearer rho coherent kept use".split(), 0.0,
)  # fmt: skip
UNIT = 0.1  # of AUC, between an original and its retrained models
T11, STEPS = np.linspace(0, 1, 11), np.array([0, 5, 10, 15, 20, 25])


def measured(paths: pd.DataFrame, noise: float = 1.0, seed: int = 0, **planted: float) -> dict[str, pd.DataFrame]:
    """The tables beside `paths` that declared tests read, of the originals and methods of these paths.

    ``planted``: of `NOTHING`; ``rho``: a rank correlation, of accuracies regained with predictors and of wiggles with
    distances to retraining; ``noise``: how much all varies, about the smallest errors believed in.
    """
    rng, p = np.random.default_rng([11, seed]), {**NOTHING, **planted}
    places = list(dict.fromkeys(zip(paths.original, paths.method, strict=True)))
    places = [(int(o), m) for o, m in places if m in METHODS]
    found = {name: make(places, p, rng, noise) for name, make in MEASURES.items()}
    return {
        **found,
        **_pool_tables(places, p, rng, noise),
        "outcomes": _outcomes(paths[paths.form.isin(GRADED)], p, rng),
        "graded": _graded(paths[paths.form.isin(GRADED)], p, rng),
        "distances": _distances(paths, p, rng, noise),
    }


def _attacks(places, p, rng, noise):
    rows, bow = [], 4 * T11 * (1 - T11)
    for o, m in [*places, *((o, "") for o in dict.fromkeys(o for o, _ in places))]:
        level = 0.55 + p["apart"] * UNIT * (METHODS.index(m) if m else 0)
        ends = level + 0.01 * noise * UNIT * rng.normal(size=2)
        values = ends[0] + (ends[1] - ends[0]) * T11 + (p["bump"] if m else p["twins"]) * UNIT * bow
        rows += [("line" if m else "twin", o, m, t, v) for t, v in zip(T11, values, strict=True)]
        if not m:
            rows += [("original", o, "", 0.0, 0.5 + UNIT), *(("retrained", o, str(k), 0.0, 0.5) for k in range(3))]
    found = pd.DataFrame(rows, columns=["role", "original", "method", "t", "value"])
    return found.assign(attack="population/loss/auc")


def _ensembles(places, p, rng, noise):
    rows = []
    for role, gain, small in (("lines", p["gain"], 0.0005 * noise), ("twins", p["twin_gain"], 0.00005)):
        for o, m in places:
            more = {("uniform", 2): 0.0, ("uniform", 5): gain, ("uniform", 31): p["number"]}
            more[("inner", 5)] = gain + p["placed"]
            rows += [(role, o, m, *at, 0.88 + v + small * rng.normal()) for at, v in more.items()]
    found = pd.DataFrame(rows, columns=["role", "original", "method", "placement", "members", "value"])
    return found.assign(metric="accuracy_test", what="")


def _attacked(places, p, rng, noise):
    rows, way = [], STEPS / 25
    for role, above in (("lines", p["area"]), ("copies", p["copies"])):
        for o, m in places:
            for member in (-1, 0, 1, 2):
                more = 2 * above + 0.002 * noise * rng.normal() if member < 0 else 0.0
                values = 0.86 + (0.03 + more) * way
                rows += [(role, o, m, "", member, k, v, 0.5 + 0.01 * member)
                         for k, v in zip(STEPS, values, strict=True)]  # fmt: skip
    for o, names in _models(places).items():
        for (m, seed), g in zip(names, 0.03 + 0.002 * _ranked(len(names), p["rho"], rng), strict=True):
            values = 0.86 + g * way
            rows += [("models", o, m, f"{m} {seed}", 0, k, v, 0.5) for k, v in zip(STEPS, values, strict=True)]
    columns = ["role", "original", "method", "model", "member", "step", "accuracy_forget", "loss_valid"]
    return pd.DataFrame(rows, columns=columns)


def _models(places) -> dict[int, list[tuple[str, int]]]:
    methods = list(dict.fromkeys(m for _, m in places))
    return {o: [(m, 42) for m in (*methods, *DEFENCES)] for o in dict.fromkeys(o for o, _ in places)}


def _ranked(n: int, rho: float, rng) -> np.ndarray:
    """Numbers (n,) whose correlation with their places is about rho."""
    ranks = (np.arange(n) - (n - 1) / 2) / max(1.0, np.arange(n).std())
    return rho * ranks + np.sqrt(1 - rho**2) * rng.normal(size=n)


def _predictors(places, p, rng, noise):
    rows = [
        (o, m, seed, name, "chord", k + 0.1)
        for o, names in _models(places).items()
        for k, (m, seed) in enumerate(names)
        for name in ("distance", "refreshed", "start's", "interpolated")
    ]
    return pd.DataFrame(rows, columns=["original", "method", "seed", "predictor", "reading", "value"])


def _sharpness(places, p, rng, noise):
    rows = []
    for o, m in places:
        ends = 0.01 * np.exp(0.3 * rng.normal(size=2))
        mean = ends.mean() * (1 + p["sharper"] + 0.05 * noise * rng.normal())
        rows += [(o, m, place, v) for place, v in zip(("start", "end", "mean"), (*ends, mean), strict=True)]
    return pd.DataFrame(rows, columns=["original", "method", "place", "value"]).assign(what="both/retain")


def _rounded(places, p, rng, noise):
    rows, small = [], 0.002 * noise
    for o in dict.fromkeys(o for o, _ in places):
        rows.append(("original", o, "", 0, 0.0, 0.998))
        for k in range(3):
            back = p["returned_anew"] * 0.133 + small * rng.normal()
            rows += [("retrained", o, str(k), bits, 0.0, 0.865 + back * (bits > 0)) for bits in (0, 4)]
    for o, m in places:
        for t in (0.0, 1.0):
            back = p["returned"] * 0.148 + small * rng.normal()
            rows += [("line", o, m, bits, t, 0.85 + back * (bits > 0)) for bits in (0, 4)]
    return pd.DataFrame(rows, columns=["role", "original", "method", "bits", "t", "accuracy_forget"])


def _probes(places, p, rng, noise):
    rows = [(o, m, t, 0.6 + p["recall"] + 0.01 * noise * rng.normal()) for o, m in places for t in (0.0, 0.5, 1.0)]
    for o in dict.fromkeys(o for o, _ in places):
        rows += [(o, f"retrained {k}", 0.0, 0.6 + (k - 0.5) * p["anew_apart"]) for k in (0, 1)]
    return pd.DataFrame(rows, columns=["original", "method", "t", "recall"])


def _cue(places, p, rng, noise):
    """Reliance falls from a half to what each method's place in `METHODS` says, if use is planted; else at random."""
    use = {m: METHODS.index(m) if p["use"] else rng.normal() for m in METHODS}
    rows = [(o, m, t, 0.5 if t == 0 else 0.1 * use[m] + 0.01 * o) for o, m in places for t in (0.0, 1.0)]
    found = pd.DataFrame(rows, columns=["original", "method", "t", "value"])
    return found.assign(part="forgetting", split="forget", what="reliance")


MEASURES = {
    "attacks": _attacks, "ensembles": _ensembles, "attacked": _attacked, "predictors": _predictors,
    "sharpness": _sharpness, "rounded": _rounded, "probes": _probes, "cue": _cue,
}  # fmt: skip


def _pool_tables(places, p, rng, noise, shadows: int = 16) -> dict[str, pd.DataFrame]:
    kept, methods = " ".join(map(str, sorted({o for o, _ in places}))), list(dict.fromkeys(m for _, m in places))
    levels = {("forget", "original"): 0.73, ("forget", "retrained"): 0.5, ("dealt", "original"): 0.5}
    levels |= {("keep", "original"): 0.6, ("keep", "retrained"): 0.6}
    levels |= {
        (kind, m): {"forget": 0.52, "keep": 0.6 + p["kept"]}[kind] for kind in ("forget", "keep") for m in methods
    }
    rows = [(kept, shadows, *at, 0.0, left, v + 0.0002 * noise * rng.normal() * (left >= 0))
            for at, v in levels.items() for left in range(-1, shadows)]  # fmt: skip
    pool = pd.DataFrame(rows, columns=["kept", "shadows", "kind", "model", "t", "left_out", "auc"])
    models = [("original", 0.01, 0.998), ("retrained", 0.41, 0.865), *((m, 0.45, 0.85) for m in methods)]
    table = pd.DataFrame(models, columns=["model", "loss_forget", "accuracy_forget"])
    return {"pool": pool, "pool_models": table.assign(kept=kept, accuracy_retain=0.99, copies="")}


def _outcomes(paths, p, rng):
    """Distances to retraining, and wiggles that follow them with the planted correlation, in every unit."""
    rows = []
    for o, part in paths.groupby("original"):
        wiggles = _ranked(len(part), p["rho"], rng)
        forms = part.form.map(GRADED.index).to_numpy()
        places = np.argsort(np.argsort(forms * 100 + np.arange(len(part))))
        rows += [(o, f, m, 0.1 + 0.01 * k, 1.0 + k, 0.2 * np.exp(0.3 * wiggles[k]))
                 for f, m, k in zip(part.form, part.method, places, strict=True)]  # fmt: skip
    found = pd.DataFrame(rows, columns=["original", "form", "method", "js", "steps", "variation"])
    return found.assign(lost=1.0, roughness=found.variation**2, missed=found.js, area=found.js)


def _graded(paths, p, rng):
    rows = []
    for o in sorted(set(paths.original)):
        values = _ranked(len(GRADED), p["coherent"], rng)
        rows += [(o, form, v, v) for form, v in zip(GRADED, values, strict=True)]
    return pd.DataFrame(rows, columns=["original", "form", "coherence", "memorisation"])


def _distances(paths, p, rng, noise):
    rows = []
    for at in paths[(paths.kind == "linear") & (paths.control == "")].itertuples():
        ends = 0.1 + 0.0002 * noise * rng.normal(size=2)
        values = np.maximum(*ends) + (np.minimum(*ends) - np.maximum(*ends)) * T11 + p["nearer"] * 4 * T11 * (1 - T11)
        values[5] = ends.min() + p["nearer"] + 0.0002 * noise * rng.normal()
        rows += [(at.original, at.label, at.path, k, t, v)
                 for k in range(2) for t, v in zip(T11, values, strict=True)]  # fmt: skip
    return pd.DataFrame(rows, columns=["original", "label", "path", "retrained", "t", "value"])


class Answers:
    """A study whose results are made by a function of their specs."""

    def __init__(self, study, answer):
        self.study, self.answer = study, answer

    def __getattr__(self, name):
        return getattr(self.study, name)

    def run(self, specs, **options):
        return [self.answer(spec) for spec in specs]
