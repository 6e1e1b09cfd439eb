"""The paper's tables: shipped rows are those of the results, what is not shipped is computed, and nothing else is."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from worlds import Shape, path, profile, tables_of

import mcutils as mc
from mcutils.engine import results as shipping, tables as general
from mcutils.engine.results import results
from mcutils.engine.specs import ProfileSpec, key
from mcutils.engine.tables import path_row
from mcutils.errors import BadInput
from mcutils.measures.metrics import METRICS
from mcutils.measures.profiles import Profile
from mcutils.paper import experiments as e, tables as room
from mcutils.paper.experiments import labels_of
from mcutils.paper.tables import PATHS, gaps, stored, tables


class Made:
    """A store that makes a profile of every spec it is asked for, or of some; it keeps whom it was asked for."""

    folder = "made"

    def __init__(self, held=None):
        self.held, self.asked = held, []

    def __contains__(self, spec):
        return isinstance(spec, ProfileSpec) and (self.held is None or spec in self.held)

    def get(self, spec):
        self.asked.append(spec)
        rng = np.random.default_rng(list(key(spec)[-8:].encode()))
        return profile(0, Shape(dip=0.1 * rng.uniform()), rng, max(spec.trace.points, 11))


@pytest.fixture
def made(three):
    return replace(three, store=Made(), used={})


@pytest.mark.parametrize("name", ["00_quickstart", "n1"])
def test_shipped_rows_are_those_of_the_shipped_results(name, tmp_path, monkeypatch):
    bench = mc.study("laptop", store=str(tmp_path / "store"))
    found = tables(bench, name)
    assert not (tmp_path / "store").exists() and set(bench.used) >= set(found["paths"].path)
    shipped = results("paths")
    rows = shipped[(" " + shipped.experiments + " ").str.contains(f" {name} ")]
    assert set(found["paths"].path) == set(rows.path) and len(found["paths"]) == len(rows)
    again = tables(bench, name, shipped=False)
    own = list(again["paths"].columns)
    assert_frame_equal(found["paths"][own], again["paths"], check_dtype=False)
    for other in set(found) - {"paths"}:
        assert_frame_equal(found[other], again[other], check_dtype=False)


def test_a_user_s_own_paths_have_their_labels_and_numbers(made):
    found, routes = tables(made, "02_seeds"), e.seeds(made)
    assert len(found["paths"]) == len({tuple(labels_of(r).items()) for r in routes})
    by_labels = {tuple(labels_of(r).items()): r for r in routes}
    names = list(labels_of(routes[0]))
    for row in found["paths"].to_dict("records"):
        route = by_labels[tuple((name, row[name]) for name in names)]
        spec = route.profile(made)
        expected = path_row(made.store.get(spec))
        assert (row["path"], row["aside"], row["experiments"]) == (key(spec), route.aside, "02_seeds")
        assert row["task"] == "digits.convnet"
        assert {n: row[n] for n in expected} == pytest.approx(expected, nan_ok=True)
    along = found["along"]
    assert set(along.path) == set(found["paths"].path) and along.original.isin(range(3)).all()
    few = tables(made, "02_seeds", all_metrics=False)["along"]
    assert set(few.metric) == set(general.JUDGED) < set(along.metric)
    assert set(found["models"].role) == {"original", "retrained"} and set(made.used) > set(found["models"].key)


def test_a_study_gives_a_table_by_name_of_experiments_or_of_profiles_of_its_own(made):
    whole = tables(made, "02_seeds")
    assert_frame_equal(made.table("paths", "02_seeds"), whole["paths"])
    assert_frame_equal(made.table("along", "02_seeds"), whole["along"])
    plain = [r for r in [*e.curriculum(made), *e.second_order(made)] if not (r.control or r.full or r.form)]
    profiles = [r.profile(made) for r in plain]
    own = made.table("paths", *profiles)
    assert list(own.path) == list(dict.fromkeys(map(key, profiles))) and set(own.experiments) == {"own"}
    named = tables(made, "03_curriculum", "04_second_order")["paths"].drop_duplicates("path")
    labels = [*labels_of(plain[0]), "gap", "eps_chord", "why"]
    expected = named[(named.control == "") & named.path.isin(own.path)].set_index("path").loc[list(own.path), labels]
    assert len(own) > 20 and len(set(own.condition)) > 3
    assert_frame_equal(own.set_index("path")[labels], expected)


def test_labels_of_ones_own_paths_are_those_of_their_ends(laptop):
    for route in (
        r for ask in (e.seeds, e.fits, e.methods) for r in ask(laptop) if not (r.control or r.form or r.full)
    ):
        found = room.route_to(laptop, route.profile(laptop))
        assert replace(found, objective="", points=0, retrained=None) == replace(
            route, objective="", points=0, retrained=None
        )
        assert bool(found.objective) == bool(route.objective)
    conditions = {room.route_to(laptop, r.profile(laptop)).condition for r in e.progress(laptop)}
    assert conditions >= {"forgetting", "retraining", "originals", "retrained pairs"}
    assert any(room.route_to(laptop, r.profile(laptop)).form == "superloss_authors" for r in e.curriculum(laptop))


def test_a_table_that_is_none_is_refused_in_a_sentence(three, made, tmp_path):
    with pytest.raises(BadInput, match="unknown table 'pathes'.*paths"):
        made.table("pathes", "02_seeds")
    with pytest.raises(BadInput, match="unknown experiment '02_seed'"):
        made.table("paths", "02_seed")
    with pytest.raises(BadInput, match="a row of `paths` is a profile of a path, got"):
        made.table("paths", made.profile(made.original(0)))
    with pytest.raises(BadInput, match="a row of `paths` is a profile of a path, got 7"):
        made.table("paths", 7)
    with pytest.raises(BadInput, match="nothing of the study smoke is stored in"):
        replace(three, store=Made([])).table("paths")


def test_a_path_of_several_experiments_is_one_row(made):
    found = tables(made, "02_seeds", "07_metrics_along_the_path", "03_curriculum")["paths"]
    random = found[(found.condition == "random") & (found.control == "") & (found.form == "")]
    assert set(random.experiments) == {"02_seeds 07_metrics_along_the_path 03_curriculum"}
    assert set(found[found.condition == "cl-non_cl"].experiments) >= {"03_curriculum"}
    assert not found.duplicated(["path", *labels_of(e.seeds(made)[0])]).any()


def test_only_rows_that_do_not_ship_are_computed(made, monkeypatch):
    whole = tables(made, "06_forget_size")
    paths, models = whole["paths"], whole["models"]
    first = paths.loc[: len(paths) // 2, "gap":"best_gain"]
    kept = {
        "paths": dict(zip(paths.path[: len(first)], first.to_dict("records"), strict=True)),
        "models": dict(zip(models.key, models.loc[:, "seconds":].to_dict("records"), strict=True)),
    }
    monkeypatch.setattr(room, "_shipped", lambda name: kept[name])
    along = whole["along"][whole["along"].path.isin(set(kept["paths"]))].drop(columns="original")
    monkeypatch.setattr(room, "_table", lambda name: {"along": along}[name])
    made.store.asked.clear()
    again = tables(made, "06_forget_size")
    assert {key(spec) for spec in made.store.asked} == set(paths.path) - set(kept["paths"])
    columns = list(first.columns)
    assert_frame_equal(again["paths"][columns], paths[columns])
    order = ["path", "metric", "t"]
    one, two = (found["along"].sort_values(order, ignore_index=True) for found in (whole, again))
    assert_frame_equal(one, two, check_like=True)


def test_what_lacks_a_result_is_not_stored_and_not_taken_by_itself(three, smoke, monkeypatch):
    specs = [*e.references(three), *(spec for _, spec in PATHS["n1"](three))]
    for k, spec in enumerate(specs):
        few = replace(three, store=Made([one for one in specs if one != spec]))
        assert not stored(few, "n1"), k
    monkeypatch.setattr(room, "MEASURED", {})
    whole = replace(three, store=Made(specs))
    assert stored(whole, "n1") and not stored(whole, "privacy") and not stored(smoke, "n1")
    monkeypatch.setattr(room, "PATHS", {"n1": PATHS["n1"], "privacy": PATHS["privacy"]})
    found = tables(replace(three, store=Made([*specs, *(three.profile(m) for m in e.models(three).values())])))
    assert set(found["paths"].experiments) == {"n1"} and "unlearned" in set(found["models"].role)


def test_a_measurement_is_taken_from_its_shipped_table_if_that_is_of_the_same_specs(made, monkeypatch):
    specs, calls = e.references(made), []
    monkeypatch.setattr(room, "MEASURED", {})

    @room.measurement("04_second_order", lambda study: specs)
    def measured(study):
        calls.append(study)
        return {"own": pd.DataFrame({"value": [1.0]})}

    assert tables(made, "04_second_order")["own"].value.tolist() == [1.0] and len(calls) == 1
    shipped = pd.DataFrame({"value": [2.0, 3.0], "experiment": ["04_second_order", "n1"]})
    index = {"04_second_order": {"of": room.digest(specs), "tables": ["own"]}}
    monkeypatch.setattr(room, "_index", lambda: index)
    monkeypatch.setattr(room, "_table", lambda name: {"own": shipped}[name])
    found = tables(made, "04_second_order")
    assert found["own"].value.tolist() == [2.0] and list(found["own"]) == ["value"] and len(calls) == 1
    specs.pop()
    assert tables(made, "04_second_order")["own"].value.tolist() == [1.0] and len(calls) == 2
    assert room.digest(specs) != room.digest(specs[::-1])


def test_what_is_shipped_is_read_back(made, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "PATHS", {"02_seeds": PATHS["02_seeds"]})
    monkeypatch.setattr(room, "MEASURED", {})
    for module in (room, shipping):
        monkeypatch.setattr(module, "TABLES", tmp_path / "tables")
    own = pd.DataFrame({"what": ["a", ""], "value": [0.1 + 0.2, np.nan]})
    room.measurement("02_seeds", lambda study: [])(lambda study: {"own": own})
    sums = room.ship(made)
    assert set(sums) == {f"{name}.csv.xz" for name in ("paths", "along", "models", "own")}
    assert json.loads((tmp_path / "tables" / "checksums.json").read_text()) == sums and room.ship(made) == sums
    whole = tables(made, "01_endpoints", "02_seeds", shipped=False)
    made.store.asked.clear()
    again = tables(made, "01_endpoints", "02_seeds")
    assert made.store.asked == [] and results("own").equals(own)
    for name in ("paths", "along", "models"):
        assert_frame_equal(again[name], whole[name], check_dtype=False, check_like=True)
    for cache in (room._table, room._shipped, room._index):
        cache.cache_clear()


# Gaps, excess


def test_metrics_that_tell_are_those_of_each_original_above_the_least_gap_and_five_spreads():
    plain = dict.fromkeys(METRICS, 0.0)
    near, again = {**plain, "accuracy_forget": 0.9, "zrf": 0.049}, [0.79, 0.81]
    own = {
        0: {**near, "accuracy_test": 0.3},  # spread out as far
        1: {**near, "zrf": 0.051, "UA": 0.5, "loss_forget": 2.0, "accuracy_forget": 0.81},
    }
    rows = []
    for original, found in own.items():
        rows.append({"role": "original", "original": original, **found})
        for v in again:
            moved = {"accuracy_forget": v, "accuracy_test": 30 * (v - 0.8), "zrf": (v - 0.8) / 100}
            rows.append({"role": "retrained", "original": original, **plain, **moved})
    found = gaps(pd.DataFrame(rows)).set_index(["original", "metric"]).gap.to_dict()
    assert found == pytest.approx({(0, "accuracy_forget"): 0.1, (1, "zrf"): 0.051})


@pytest.mark.parametrize("metric", ["loss_forget", "accuracy_retain", "zrf"])
def test_the_excess_is_what_a_metric_is_above_its_chord_in_g_if_it_is_a_loss(metric):
    made = [path("npo", 0.3, 0.5, points=11), path("salun", 0.1, original=1)]
    known = tables_of(made)
    found = room.excess(known, known["paths"], metric)
    assert len(found) == 11 + 31 and {"method", "t", "value", "chord"} <= set(found)
    for one, method in zip(made, ("npo", "salun"), strict=True):
        part = found[found.method == method]
        arrays = one.profile.arrays
        values = arrays.get(f"curve/{metric}", arrays.get(f"metric/{metric}"))
        unit = one.profile.gap if metric == "loss_forget" else 1
        expected = [
            (v - (1 - t) * values[0] - t * values[-1]) / unit for t, v in zip(one.profile.t, values, strict=True)
        ]
        np.testing.assert_allclose(part.excess, expected, atol=1e-12)
    assert not len(room.excess(known, known["paths"].head(0), metric))


def test_a_result_that_is_no_profile_is_read_as_one():
    arrays = path().profile.arrays
    told = {name: v for name, v in arrays.items() if name.startswith(("curve/", "level/", "original/"))}
    told |= {"t": arrays["t"], "collapsed": arrays["collapsed"], "js": np.zeros(31)}
    row, own = path_row(room._profile(told)), path_row(path().profile)
    assert isinstance(room._profile(told), Profile) and row["gap"] == pytest.approx(own["gap"])
    assert row["eps_chord"] == pytest.approx(own["eps_chord"])
