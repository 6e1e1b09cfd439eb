"""The commands ``run``, ``plan``, ``store`` and ``show``: what they print, and 0, 1 or 2 without a traceback."""

import ast
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path as FilePath

import pytest

from mcutils.cli import stores as commands
from mcutils.cli.main import main
from mcutils.data.tasks import DATASETS
from mcutils.engine import planning, specs
from mcutils.engine.runs import missing, run
from mcutils.engine.specs import (
    CurveSpec,
    DataSpec,
    OriginalSpec,
    ProfileSpec,
    RetrainedSpec,
    TraceSpec,
    UnlearnedSpec,
    UntrainedSpec,
    key,
    plain,
)
from mcutils.engine.store import Store
from mcutils.engine.study import study
from mcutils.engine.upkeep import notes, results, verify
from mcutils.errors import BadInput
from mcutils.paper.registry import EXPERIMENTS
from mcutils.settings import MethodSettings, Plan, say_untuned

ROOT = FilePath(__file__).resolve().parents[2]
DATA, STEPS = DataSpec("digits", 240, 60), Plan(steps=2, batch_size=16, forget_batch_size=16)
TRAIN = Plan(lr=1e-2, steps=60, batch_size=32)
ORIGINAL, RETRAINED = OriginalSpec(DATA, "convnet", 2, 0, TRAIN), RetrainedSpec(DATA, 0.1, "convnet", 2, 42, TRAIN)
ENDS = [UnlearnedSpec(ORIGINAL, 0.1, "npo", "none", "adamw", seed, MethodSettings(STEPS)) for seed in (42, 87)]
BEND = CurveSpec(*ENDS, 0.1, "bezier", 1, "corrected", 0, STEPS)
SINGLE = [TraceSpec(model, 0.1) for model in (ORIGINAL, RETRAINED, UntrainedSpec(DATA, "convnet", 2, 0))]
WANTED = [
    ProfileSpec(TraceSpec(path, 0.1, 3), SINGLE[0], (SINGLE[1],), SINGLE[2], 5)
    for path in (BEND, CurveSpec(*ENDS, 0.1))
]
EVERY = missing(WANTED, Store("none"))


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """None of the reader's own settings, nothing shipped, and a working directory of one's own."""
    for name in ("COMPUTE", "REPORT", "STORE", "FIGURES", "ENGINE", "DATA"):
        monkeypatch.delenv(f"MCUTILS_{name}", raising=False)
    monkeypatch.setenv("MCUTILS_FRESH", "1")
    monkeypatch.setenv("MCUTILS_WORKERS", "1")
    monkeypatch.setattr(planning, "read_timings", lambda: [])
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A store in which everything was computed. Read only: tests copy it."""
    store = Store(tmp_path_factory.mktemp("full") / "store")
    run(WANTED, store, engine="serial", load=False)
    return store.folder


@pytest.fixture
def folder(full, tmp_path):
    """A copy of the full store, in the working directory as ``store``."""
    return copy(full, tmp_path / "store")


@pytest.fixture
def small(monkeypatch):
    """The quickstart asks for the small study."""
    monkeypatch.setitem(EXPERIMENTS, "00_quickstart", lambda bench: WANTED)


@pytest.fixture
def ask(capsys):
    """Run a command; returns its exit code, what it printed and what it complained about."""

    def asked(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return asked


def copy(source, target):
    target.mkdir()
    for path in results(source):
        for part in (path, path.with_suffix(".json")):
            (target / part.name).write_bytes(part.read_bytes())
    return target


def data_file(folder, spec):
    return next(path for path in results(folder) if path.stem == key(spec))


def spoil(folder, spec):
    path = data_file(folder, spec)
    path.write_bytes(path.read_bytes()[:-1])
    return path


def strict(text):
    """JSON as every reader takes it: Python alone reads nan."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def names(folder):
    return {path.stem for path in results(folder)}


# store


def test_status_counts_by_kind_and_in_all(ask, folder):
    code, out, err = ask("store", "status", "--store", "store")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "store" and lines[1].split() == ["kind", "results", "MB", "CPU", "seconds"]
    counts = {line.split()[0]: int(line.split()[1]) for line in lines[2:]}
    assert counts.pop("all") == 13
    assert counts == {
        "original": 1,
        "path": 1,
        "profile": 2,
        "retrained": 1,
        "traceof": 5,
        "unlearned": 2,
        "untrained": 1,
    }
    code, out, _ = ask("store", "status", "--store", "store", "--json")
    rows = strict(out)
    assert code == 0 and {row["kind"]: row["results"] for row in rows} == counts
    found = notes([folder]).values()
    assert sum(row["CPU seconds"] for row in rows) == pytest.approx(sum(note["seconds"] for note in found))
    assert sum(row["MB"] for row in rows) * 1e6 == pytest.approx(sum(path.stat().st_size for path in results(folder)))


def test_the_store_is_the_environment_s_unless_one_is_named(ask, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("MCUTILS_STORE", str(tmp_path / "none"))
    assert ask("store", "status")[0] == 2
    monkeypatch.setenv("MCUTILS_STORE", str(folder))
    assert ask("store", "status")[0] == 0
    assert ask("store", "status", "--store", tmp_path / "none")[0] == 2


def test_verify_tells_sound_from_damaged(ask, folder):
    assert ask("store", "verify", "--store", "store") == (0, "13 sound, 0 damaged in store\n", "")
    first, second = spoil(folder, BEND), data_file(folder, WANTED[0])
    second.with_suffix(".json").unlink()
    before = sorted(path.name for path in folder.iterdir())
    code, out, err = ask("store", "verify", "--store", "store")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        f"{first.name}: its checksum differs",
        f"{second.name}: its provenance is missing",
        "11 sound, 2 damaged in store",
    ]
    assert sorted(path.name for path in folder.iterdir()) == before


def test_gc_removes_what_nothing_will_read(ask, folder, monkeypatch):
    assert ask("store", "gc", "--store", "store")[:2] == (0, "removed 0 files, 0.0 MB\n")
    path = spoil(folder, BEND)
    assert BEND not in Store(folder)  # which sets it aside, two files
    monkeypatch.setitem(specs.VERSIONS, "Untrained", 99)  # so that it, its trace and both profiles are outdated
    before = sorted(one.name for one in folder.iterdir())
    assert ask("store", "gc", "--dry-run", "--store", "store")[1].startswith("would remove 10 files, ")
    assert sorted(one.name for one in folder.iterdir()) == before
    row = strict(ask("store", "status", "--store", "store", "--json")[1])[-1]
    assert (row["kind"], row["results"]) == ("can go (gc)", 10)
    code, out, _ = ask("store", "gc", "--store", "store")
    assert code == 0 and out.startswith("removed 10 files, ")
    assert path.stem not in names(folder)
    left = [spec for spec in EVERY if key(spec) in names(folder)]
    assert {type(spec).__name__ for spec in left} == {"OriginalSpec", "RetrainedSpec", "UnlearnedSpec", "TraceSpec"}
    assert len(left) == 8
    assert ask("store", "verify", "--store", "store")[0] == 0


def test_export_takes_all_or_what_is_named(ask, folder):
    code, out, err = ask("store", "export", "all", "--store", "store")
    assert (code, err) == (0, "") and out.startswith("13 results exported; all now holds ")
    assert names(FilePath("all")) == names(folder)
    assert ask("store", "verify", "--store", "all")[:2] == (0, "13 sound, 0 damaged in all\n")
    code, out, _ = ask("store", "export", "some", "unlearned-", key(BEND)[:12], key(BEND), "--store", "store")
    assert code == 0 and out.startswith("3 results exported")
    assert names(FilePath("some")) == {key(spec) for spec in (*ENDS, BEND)}


def test_export_leaves_other_results_unless_it_is_to_be_exact(ask, folder):
    ask("store", "export", "target", "unlearned", "--store", "store")
    ask("store", "export", "target", key(BEND), "--store", "store")
    assert names(FilePath("target")) == {key(spec) for spec in (*ENDS, BEND)}
    assert ask("store", "export", "target", "original", key(ENDS[0]), "--exact", "--store", "store")[0] == 0
    assert names(FilePath("target")) == {key(ORIGINAL), key(ENDS[0])}
    assert ask("store", "verify", "--store", "target")[0] == 0


def used(folder, **entries):
    folder.mkdir(exist_ok=True)
    table = {name: {"preset": "smoke", "results": [key(spec) for spec in found]} for name, found in entries.items()}
    (folder / "results.json").write_text(json.dumps(table))
    return folder / "results.json"


def test_export_takes_what_figures_were_drawn_from(ask, folder, tmp_path):
    path = used(tmp_path / "figures", **{"00_quickstart": WANTED, "01_endpoints": WANTED[:1]})
    code, out, _ = ask("store", "export", "target", "--used-by", path, "--store", "store")
    assert code == 0 and out.startswith("2 results exported")
    assert names(FilePath("target")) == {key(spec) for spec in WANTED}
    code, _, err = ask("store", "export", "target", "original", "--used-by", path, "--store", "store")
    assert code == 2 and "not both" in err


def test_export_writes_nothing_if_anything_is_unsound(ask, folder, tmp_path):
    spoil(folder, WANTED[0])
    path = used(tmp_path / "figures", **{"00_quickstart": WANTED})
    code, out, err = ask("store", "export", "target", "--used-by", path, "--store", "store")
    assert (code, out) == (2, "")
    assert err == f"mcutils: {key(WANTED[0])} is not sound in store: run what makes it first.\n"
    assert not (tmp_path / "target").exists()


def test_import_takes_the_sound_ones_that_are_new(ask, folder, full, tmp_path):
    mine = copy(full, tmp_path / "mine")
    for spec in (*WANTED, BEND):
        for path in mine.glob(f"{key(spec)}.*"):
            path.unlink()
    path = spoil(folder, BEND)
    code, out, err = ask("store", "import", "store", "--store", "mine")
    assert code == 1
    assert out == "2 results imported, 10 were there, 1 damaged ones left out\n"
    assert err == f"left out {path.name}: its checksum differs\n"
    assert names(mine) == names(full) - {key(BEND)}
    assert ask("store", "import", full, "--store", "mine")[:2] == (
        0,
        "1 results imported, 12 were there, 0 damaged ones left out\n",
    )
    assert ask("store", "import", full, "--store", "new/one")[:2] == (
        0,
        "13 results imported, 0 were there, 0 damaged ones left out\n",
    )
    assert ask("store", "verify", "--store", "new/one")[0] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("store status --store none", "there is no store in none"),
        ("store verify --store none", "there is no store in none"),
        ("store gc --store none", "there is no store in none"),
        ("store export target --store none", "there is no store in none"),
        ("store export store --store store", "onto itself"),
        ("store export target wish --store store", "no result's key begins with 'wish' in"),
        ("store export target --used-by none.json --store store", "none.json is not a list of used results"),
        ("store export target --used-by list.json --store store", "list.json is not a list of used results"),
        ("store import none --store store", "there is no store in none"),
        ("store import store --store file", "the store"),
        ("show wish --store store", "no result's key begins with 'wish' in"),
        ("show original --store none", "there is no store in none"),
        ("show figures/00_quickstart.png --store store", "figures/results.json does not say where"),
        ("show broken/00_quickstart.png --store store", "broken/results.json is not a list of used results"),
        ("plan 77 --preset smoke --store store", "unknown experiment '77': choose one of 00_quickstart, "),
        ("plan --preset huge --store store", "unknown preset 'huge'"),
        ("run 77 --preset smoke --store store", "unknown experiment '77': choose one of 00_quickstart, 01_endpoints"),
        (
            "run 00 --preset smoke --store store --workers 0",
            "--workers must be a whole number from 1 to 10,000, got 0.",
        ),
        ("run --workers many", "--workers must be a whole number from 1 to 10,000, got 'many'."),
        ("run 00 --preset smoke --store store --engine wish", "unknown engine 'wish': choose one of serial, local"),
        ("run 00 --preset smoke --store file", "the store"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(words, says, ask, folder, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "results.json").write_text('["00_quickstart"]')
    code, out, err = ask(*words.split())
    assert (code, out) == (2, "")
    assert err.startswith("mcutils: ") and err.count("\n") == 1 and err.rstrip().endswith(".") and says in err
    assert names(folder) == {key(spec) for spec in EVERY} and not (tmp_path / "target").exists()


# show


def test_show_says_all_of_one_result(ask, folder):
    code, out, err = ask("show", key(BEND)[:10], "--store", "store")
    assert (code, err) == (0, "")
    note = Store(folder).provenance(BEND)
    assert out.splitlines()[0] == key(BEND)
    for part in (note["sha256"][:16], note["created"], f"{note['seconds']} CPU seconds", note["versions"]["torch"]):
        assert part in out
    assert "stored  store, " in out and "kind bezier" in out and "control_points 1" in out and "lr 0.001" in out
    for parent in (*ENDS, ORIGINAL):
        assert out.count(f"{key(parent)}, stored") == 1
    assert f"{key(ORIGINAL)}, as above" in out
    for path in folder.glob(f"{key(ENDS[0])}.*"):
        path.unlink()
    assert f"{key(ENDS[0])}, not stored" in ask("show", key(BEND), "--store", "store")[1]
    assert "made from nothing but its settings" in ask("show", "original", "--store", "store")[1]


def test_show_does_without_what_damage_took_from_a_note(ask, folder, tmp_path):
    path = data_file(folder, BEND).with_suffix(".json")
    path.write_text(path.read_text().replace('"created"', '"creaked"').replace('"versions"', '"versiots"'))
    used(tmp_path / "figures", **{"02_seeds": [BEND]})
    for words in (["path-"], ["path-", "--json"], ["figures/02_seeds.png"]):
        code, out, err = ask("show", *words, "--store", "store")
        assert code == 0 and key(BEND) in out and err == ""


def test_codes_that_steer_a_terminal_are_written_out(ask, tmp_path):
    odd = "a\x1b[31mb\x9b1m"
    for words in (
        ["show", f"{odd}.png"],
        ["store", "verify", "--store", odd],
        ["reproduce", "00", "--out", f"/proc/{odd}"],
    ):
        code, out, err = ask(*words)
        assert code == 2 and out == "" and "a\\x1b[31mb\\x9b1m" in err and err.rstrip("\n").isprintable()
    code, out, _ = ask("lesson", tmp_path / odd)
    assert code == 0 and len(out.splitlines()) == 3 and out.replace("\n", "").isprintable()


@pytest.mark.parametrize("text", ["[1]", "no", '{"00": 1}', '{"00": {"preset": "a", "results": 5}}', "[" * 100_000])
def test_what_is_no_list_of_used_results_is_said_so_and_left_alone(ask, tmp_path, text):
    listing = tmp_path / "figures" / "results.json"
    listing.parent.mkdir()
    listing.write_text(text)
    for words in (["show", "figures/00.png", "--store", "."], ["reproduce", "00", "--preset", "smoke", "--out", "."]):
        code, _, err = ask(*words)
        assert code == 2 and "is not a list of used results" in err and err.count("\n") == 1
    assert listing.read_text() == text


def test_a_loop_of_links_is_no_folder(ask, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for words in (["--out", "loop"], ["--out", "loop/in"], ["--store", "loop"]):
        code, _, err = ask("reproduce", "00", "--preset", "smoke", *words)
        assert code == 2 and "'loop' is not a folder" in err and err.count("\n") == 1
    assert ask("run", "00", "--preset", "smoke", "--archive", "loop")[0] == 2


def test_show_lists_what_an_ambiguous_prefix_means(ask, folder):
    code, out, _ = ask("show", "unlearned-", "--store", "store")
    assert code == 0
    assert out.splitlines()[0].split() == ["key", "seconds", "made"]
    assert {line.split()[0] for line in out.splitlines()[1:]} == {key(end) for end in ENDS}


def test_show_prints_the_whole_provenance_as_json(ask, folder):
    code, out, _ = ask("show", "unlearned-", "--store", "store", "--json")
    found = {row["key"]: row for row in strict(out)}
    assert code == 0 and set(found) == {key(end) for end in ENDS}
    for end in ENDS:
        assert found[key(end)]["spec"] == json.loads(json.dumps(plain(end)))
        assert found[key(end)]["folder"] == "store"
        assert found[key(end)]["bytes"] == data_file(folder, end).stat().st_size


def test_show_finds_what_is_shipped_below_the_store(ask, full, monkeypatch, tmp_path):
    monkeypatch.delenv("MCUTILS_FRESH")
    monkeypatch.setattr(commands, "SHIPPED", full)
    code, out, _ = ask("show", key(BEND), "--store", "none")
    assert code == 0 and str(full) in out
    code, out, _ = ask("store", "export", "target", key(BEND), "--store", copy(full, tmp_path / "mine"))
    assert code == 0 and names(tmp_path / "target") == {key(BEND)}


def test_show_says_which_results_a_figure_shows(ask, folder, tmp_path, figure="02_seeds_paths.png"):
    used(tmp_path / "figures", **{"02_seeds": WANTED, "01_endpoints": ENDS})
    for path in folder.glob(f"{key(WANTED[1])}.*"):
        path.unlink()
    code, out, _ = ask("show", f"figures/{figure}", "--store", "store")
    lines = out.splitlines()
    assert code == 0 and lines[0] == f"{figure}: notebook 02_seeds, preset smoke, 2 results"
    rows = dict(line.split(maxsplit=1) for line in lines[2:])
    assert rows == {key(WANTED[0]): Store(folder).provenance(WANTED[0])["created"], key(WANTED[1]): "not stored here"}
    code, _, err = ask("show", "figures/03_other.png", "--store", "store")
    assert code == 2 and "03_other.png belongs to none of 02_seeds, 01_endpoints." in err


# run


def test_what_ran_is_archived_beside_what_is_there(ask, small, folder, tmp_path):
    """A shard a folder: archives by notebook and original, added to, importable, the same bytes when asked again."""
    target = tmp_path / "shards"
    run = ("run", "00", "--preset", "smoke", "--store", "store", "--archive", target)
    code, out, err = ask(*run)
    assert code == 0 and f"{len(WANTED)} results are in" in out and err.count("computed") <= 1
    (path,) = target.iterdir()
    assert path.name == "00_quickstart-original0.zip.xz" and names(target) == {key(spec) for spec in WANTED}
    before = path.read_bytes()
    path.rename(target / "99_elsewhere-original5.zip.xz")
    assert ask(*run)[0] == 0
    assert {p.name for p in target.iterdir()} == {path.name, "99_elsewhere-original5.zip.xz"}
    assert path.read_bytes() == before and verify(target) == {}
    assert ask("store", "import", target, "--store", "new")[1].startswith(f"{len(WANTED)} results imported")


def test_an_archive_keeps_what_it_held_when_less_is_asked_for(ask, small, folder, monkeypatch, tmp_path):
    run = ("run", "00", "--preset", "smoke", "--store", "store", "--archive", "shards")
    assert ask(*run)[0] == 0
    before = (tmp_path / "shards" / "00_quickstart-original0.zip.xz").read_bytes()
    monkeypatch.setattr(commands, "planned", lambda *_: {"00": WANTED[:1]})
    assert ask(*run)[0] == 0
    assert names(tmp_path / "shards") == {key(spec) for spec in WANTED}
    assert (tmp_path / "shards" / "00_quickstart-original0.zip.xz").read_bytes() == before


@pytest.mark.parametrize("kind", [".zip", ".zip.xz"])
def test_an_archive_of_somebody_s_own_is_left_alone(ask, small, folder, tmp_path, kind):
    copy(folder, tmp_path / "shards")
    mine = tmp_path / "shards" / f"00_quickstart-original0{kind}"
    mine.write_bytes(b"mine")
    code, _, err = ask("run", "00", "--preset", "smoke", "--store", "store", "--archive", "shards")
    assert code == 2 and "is no archive as mcutils writes it" in err and mine.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--archive", "shards", "--metric", "accuracy_test"), "give one of them"),
        (("--archive", "mine"), "mine holds other files and no result"),
        (("--archive", "store"), "onto itself"),
    ],
)
def test_archives_go_where_nothing_else_is(words, says, ask, small, folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("dear")
    code, _, err = ask("run", "00", "--preset", "smoke", "--store", "store", *words)
    assert code == 2 and says in err
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


# plan


def test_plan_says_what_there_is_to_do_and_computes_nothing(ask, small, folder, monkeypatch, tmp_path):
    monkeypatch.setattr("mcutils.engine.runs.compute", lambda *_: pytest.fail("it computed"))
    code, out, err = ask("plan", "00", "--preset", "smoke", "--store", "none")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:-1]}
    assert rows["Unlearned"][:2] == ["0", "2"] and rows["Profile"][:2] == ["0", "2"]
    assert lines[-1].startswith("13 results to compute: ") and "not known" in lines[-1]
    assert not (tmp_path / "none").exists()
    out = ask("plan", "00_quickstart", "--preset", "smoke", "--store", "store")[1]
    assert out.splitlines()[1].split()[:3] == ["Profile", "2", "0"]
    assert out.splitlines()[-1].startswith("0 results to compute: 0 CPU seconds")
    for spec in WANTED:
        for path in folder.glob(f"{key(spec)}.*"):
            path.unlink()
    assert ask("plan", "00", "--preset", "smoke", "--store", "store")[1].splitlines()[-1].startswith("2 results")


def test_plan_says_what_each_notebook_adds(ask, small):
    lines = ask("plan", "00", "01", "00_quickstart", "--preset", "smoke", "--store", "none")[1].splitlines()
    head = next(k for k, line in enumerate(lines) if line.startswith("notebook"))
    assert [line.split()[0] for line in lines[head + 1 : head + 3]] == ["00_quickstart", "01_endpoints"]
    assert lines[head].split()[1:] == ["to", "compute", "paths", "CPU", "minutes"] and lines[-2] == lines[head + 3]
    added = [int(line.split()[1]) for line in lines[head + 1 : head + 3]]
    assert sum(added) == int(lines[-1].split()[0]) and lines[-2].endswith("paths are walked.")


def test_plan_prints_json_for_every_reader(ask, small, folder):
    code, out, _ = ask("plan", "00", "--preset", "smoke", "--store", "none", "--json")
    rows = strict(out)
    assert code == 0 and sum(row["to compute"] for row in rows) == 13
    assert all(row["CPU seconds"] is None for row in rows)
    rows = strict(ask("plan", "00", "--preset", "smoke", "--store", "store", "--json")[1])
    assert rows == [{"kind": "Profile", "stored": 2, "to compute": 0, "CPU seconds": 0.0, "MB": 0.0}]


def test_a_plan_of_all_notebooks_shares_what_they_share(ask, small, tmp_path):
    found = {}
    for words in (["00"], ["01"], ["01", "00", "01_endpoints"], []):
        rows = strict(ask("plan", *words, "--preset", "smoke", "--store", "none", "--json")[1])
        found[" ".join(words)] = sum(row["to compute"] for row in rows)
    assert found["01 00 01_endpoints"] == found["00"] + found["01"] < found[""]
    bench = study("smoke", store=str(tmp_path / "none"), fresh=True)
    assert found["01"] == len(missing(EXPERIMENTS["01_endpoints"](bench), bench.store))


def test_the_paper_s_sizes_are_planned_without_their_data(ask, monkeypatch, tmp_path):
    monkeypatch.setenv("MCUTILS_DATA", str(tmp_path))
    specs.data._task.cache_clear()  # what an earlier test has read
    say_untuned.cache_clear()
    code, out, err = ask("plan", "--preset", "paper", "--store", "none")
    assert code == 0 and err.count("\n") == 1 and "fashion-mnist-full with resnet18 is untuned" in err
    assert {line.split()[0] for line in out.splitlines()[1:-1]} >= {"Original", "Unlearned", "Path", "Profile"}
    assert "results to compute" in out.splitlines()[-1]
    code, out, _ = ask("plan", "--preset", "paper", "--store", "none", "--json")
    assert code == 0 and sum(row["to compute"] for row in strict(out)) > 300
    assert list(tmp_path.iterdir()) == []


# run


def test_a_plan_of_one_original_is_a_part_of_the_plan(ask, tmp_path):
    words = ("plan", "02", "--preset", "laptop", "--store", tmp_path / "none", "--fresh", "--json")

    def count(*more):
        code, out, _ = ask(*words, *more)
        assert code == 0
        return {row["kind"]: row["to compute"] for row in strict(out)}

    whole, parts = count(), [count("--original", k) for k in range(8)]
    # The controls of an original end at the next one, the last one's at original 0, whose shard has these.
    assert sum(part["Profile"] for part in parts) == whole["Profile"]
    # The first four stand before a second forget set too, with one retrained model there, and have another pair.
    assert [part["Original"] for part in parts] == [4, 3, 3, 3, 2, 2, 2, 1] and whole["Original"] == 8 + 4
    assert [part["Retrained"] for part in parts] == [5, 3, 3, 3, 2, 2, 2, 2]
    more = {"Original": 1, "Retrained": 1, "Untrained": 1, "Unlearned": 10, "Path": 5, "Profile": 10, "TraceOf": 13}
    assert {kind: parts[2][kind] - parts[5][kind] for kind in parts[2]} == more
    for given, says in (("8", "give one of 0, 1, 2, 3, 4, 5, 6, 7"), ("-1", "--original must be a whole number")):
        code, _, err = ask(*words, "--original", given)
        assert code == 2 and says in err


def test_run_computes_once_and_says_so(ask, small, tmp_path):
    words = ["run", "00", "--preset", "smoke", "--store", "new", "--engine", "serial"]
    code, out, _ = ask(*words)
    assert (code, out) == (0, "0 reused, 13 computed\n")
    assert names(tmp_path / "new") == {key(spec) for spec in EVERY}
    assert ask(*words)[:2] == (0, "2 reused, 0 computed\n")
    assert ask("store", "verify", "--store", "new")[0] == 0


def test_run_uses_what_is_shipped_unless_it_is_to_start_afresh(ask, small, full, monkeypatch, tmp_path):
    monkeypatch.delenv("MCUTILS_FRESH")
    monkeypatch.setattr(
        import_module("mcutils.engine.study"), "DATA", tmp_path / "data"
    )  # the package gives this name to a function
    (tmp_path / "data").mkdir()
    copy(full, tmp_path / "data" / "store")
    words = ["run", "00", "--preset", "smoke", "--store", "new", "--engine", "serial"]
    assert ask(*words)[:2] == (0, "2 reused, 0 computed\n")
    assert ask(*words, "--fresh")[:2] == (0, "0 reused, 13 computed\n")


def test_a_failed_result_is_named_and_the_exit_code_is_1(ask, full, monkeypatch, tmp_path):
    plan = replace(STEPS, lr=1e30, steps=6)
    lost = UnlearnedSpec(ORIGINAL, 0.1, "gradient_ascent", "none", "adamw", 42, MethodSettings(plan))
    monkeypatch.setitem(EXPERIMENTS, "00_quickstart", lambda bench: [TraceSpec(lost, 0.1), *WANTED])
    copy(full, tmp_path / "mine")
    code, out, err = ask("run", "00", "--preset", "smoke", "--store", "mine", "--engine", "serial")
    assert (code, out) == (1, "2 reused, 0 computed, 1 failed, 1 skipped\n")
    lines = [line for line in err.replace("\r", "\n").splitlines() if key(lost) in line]
    assert lines[0].startswith("gradient_ascent x none x adamw, seed 42") and ": Diverged: " in lines[0]
    assert "skipped, since gradient_ascent" in lines[1]


def test_computing_can_be_forbidden(ask, small, folder, monkeypatch):
    monkeypatch.setenv("MCUTILS_COMPUTE", "never")
    assert ask("run", "00", "--preset", "smoke", "--store", "store")[0] == 0
    code, out, err = ask("run", "00", "--preset", "smoke", "--store", "none")
    assert (code, out) == (2, "") and "MCUTILS_COMPUTE=never forbids computing." in err


def test_data_that_are_not_there_stop_a_run_in_one_sentence(ask, monkeypatch, tmp_path):
    def offline(path=None):
        raise BadInput("The full Fashion-MNIST could not be downloaded.")

    monkeypatch.setitem(DATASETS, "fashion-mnist-full", offline)
    specs.data._task.cache_clear()
    code, out, err = ask("run", "00", "--preset", "paper", "--store", "new", "--engine", "serial")
    assert (code, out, err) == (2, "", "mcutils: The full Fashion-MNIST could not be downloaded.\n")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_full_store_needs_no_data(ask, small, folder, monkeypatch):
    monkeypatch.setitem(DATASETS, "digits", lambda path=None: pytest.fail("it read the data"))
    specs.data._task.cache_clear()
    words = ["run", "00", "--preset", "smoke", "--store", "store", "--engine", "serial"]
    assert ask(*words)[:2] == (0, "2 reused, 0 computed\n")


# Explore


@pytest.fixture
def served(monkeypatch):
    """What would be started, instead of a server."""
    seen = []

    def note(command, env, check):
        seen.append((command, env))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(commands.subprocess, "run", note)
    monkeypatch.setattr(commands, "check_port", lambda port: None)
    return seen


def test_explore_opens_the_notebook_on_this_machine_only(ask, served, folder):
    assert ask("explore", "--store", "store", "--port", "9001", "--no-browser") == (0, "", "")
    [(command, environment)] = served
    assert command[:3] == [sys.executable, "-m", "jupyterlab"] and command[-1].endswith("14_explorer.ipynb")
    assert {"--ServerApp.ip=127.0.0.1", "--ServerApp.port=9001", "--no-browser"} < set(command)
    assert environment["MCUTILS_STORE"] == str(folder) and environment["PYTHONPATH"].startswith(str(ROOT))
    assert ask("explore")[0] == 0 and "--no-browser" not in served[1][0]


def test_explore_as_an_app_needs_voila(ask, served, monkeypatch):
    monkeypatch.setattr(commands, "find_spec", lambda name: None)
    code, out, err = ask("explore", "--app")
    assert (code, out) == (2, "") and "pip install -e '.[demo]'" in err and not served
    monkeypatch.setattr(commands, "find_spec", lambda name: object())
    assert ask("explore", "--app")[0] == 0
    [(command, _)] = served
    assert command[:3] == [sys.executable, "-m", "jupyter_server"]
    options = dict(word.removeprefix("--").split("=", 1) for word in command[3:])
    assert options["ServerApp.ip"] == "127.0.0.1" and options["ServerApp.port"] == "8888"
    assert options["ServerApp.allow_remote_access"] == "False" and options["ServerApp.port_retries"] == "0"
    assert 0 < int(options["MappingKernelManager.cull_idle_timeout"]) <= 600
    assert int(options["MappingKernelManager.cull_interval"]) == 60
    assert not any(name in options for name in ("IdentityProvider.token", "ServerApp.token", "ServerApp.password"))
    (policy,) = ast.literal_eval(options["ServerApp.tornado_settings"])["headers"].values()
    assert {word for part in policy.split(";") for word in part.split()[1:] if ":" in word} == {
        *("data:", "blob:", "ws://127.0.0.1:8888", "ws://localhost:8888")
    }
    [cell] = json.loads((FilePath(options["ServerApp.root_dir"]) / "app.ipynb").read_text())["cells"]
    assert "".join(cell["source"]).endswith("mc.explore(mc.study())")


@pytest.mark.parametrize("words", [[], ["--app"]])
def test_explore_says_that_its_port_is_taken(ask, monkeypatch, words):
    monkeypatch.setattr(commands.subprocess, "run", None)
    monkeypatch.setattr(commands, "find_spec", lambda name: object())
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        port = one.getsockname()[1]
        code, out, err = ask("explore", "--port", str(port), *words)
    assert (code, out) == (2, "") and err.startswith(f"mcutils: port {port} of 127.0.0.1 cannot be used")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--port", "0"], "--port must be a whole number from 1 to 65,535, got 0."),
        (["--store", "nowhere"], "there is no store in nowhere"),
    ],
)
def test_explore_refuses(ask, served, words, says):
    code, out, err = ask("explore", *words)
    assert (code, out) == (2, "") and says in err and not served


def test_explore_needs_its_notebook(ask, served, monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "NOTEBOOKS", tmp_path)
    assert "run this from a clone" in ask("explore")[2] and not served


# As a program


def program(*words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", "mcutils", *words], capture_output=True, text=True, env=environment)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_verify_as_a_program(folder):
    spoil(folder, ORIGINAL)
    code, out, err = program("store", "verify", "--store", "store")
    assert (code, err) == (1, "") and out.endswith("12 sound, 1 damaged in store\n")
