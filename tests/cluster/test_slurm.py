"""The SLURM engine on a real SLURM, where one runs: tests/cluster/setup.sh starts one on this machine."""

import importlib.util
import os
import shutil
import stat
import subprocess
import time
from operator import add

import numpy as np
import psutil
import pytest
from distributed.utils import get_ip

import mcutils as mc
from mcutils.engine import cluster as engines
from mcutils.engine.cluster import connect, resources
from mcutils.engine.upkeep import verify
from mcutils.errors import BadInput


def slurm_ready() -> str:
    """Why the tests of this file cannot run; empty if they can."""
    if importlib.util.find_spec("dask_jobqueue") is None:
        return "dask-jobqueue is not installed"
    if not shutil.which("sinfo"):
        return "there is no SLURM here (sinfo is missing)"
    command = ["sinfo", "--noheader", "--states=idle", "--format=%n"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "SLURM does not answer"
    if done.returncode:
        *_, last = ["", *done.stderr.splitlines()]
        return f"SLURM does not answer ({last})"
    return "" if done.stdout.strip() else "no SLURM node is idle"


reason = slurm_ready()
pytestmark = pytest.mark.skipif(bool(reason), reason=reason)


@pytest.fixture(autouse=True)
def ask(tmp_path, monkeypatch):
    """Small jobs; gives a function that changes what they ask for."""

    def ask(**changes):
        wanted = {"memory": "500MB", "walltime": "00:10:00", "death_timeout": 20, **changes}
        lines = [f"{name} = {value!r}\n" for name, value in wanted.items()]  # such a repr is TOML
        (tmp_path / "cluster.toml").write_text("".join(lines), encoding="utf-8")

    monkeypatch.setenv("MCUTILS_CLUSTER", str(tmp_path / "cluster.toml"))
    ask()
    return ask


def jobs():
    """Numbers of this user's jobs that wait or run."""
    return engines._known() or set()


def listening():
    """Addresses on which this process takes connections."""
    return {one.laddr.ip for one in psutil.Process().net_connections("tcp") if one.status == psutil.CONN_LISTEN}


def test_an_interface_that_is_not_there_is_refused(tmp_path, ask):
    ask(interface="nope7")
    with (
        pytest.raises(BadInput, match="interface of the cluster names a network card .*nope7"),
        connect("slurm", 1, tmp_path),
    ):
        pass


def test_the_scheduler_listens_on_the_stated_interface_alone(tmp_path, ask):
    ask(interface="lo")
    with connect("slurm", 1, tmp_path) as client:
        assert listening() == {"127.0.0.1"}
        assert client.submit(add, 1, 2, pure=False).result(timeout=120) == 3


def test_two_jobs_compute_and_are_gone_afterwards(tmp_path):
    before = jobs()
    with connect("slurm", 2, tmp_path / "my runs") as client:
        client.wait_for_workers(2, timeout=120)
        sums = [client.submit(add, n, 1, pure=False) for n in range(4)]
        assert client.gather(sums) == [1, 2, 3, 4]
        assert list(client.nthreads().values()) == [1, 1]
        numbers = set(client.run(os.getenv, "SLURM_JOB_ID").values())
        assert len(numbers) == 2 and numbers <= jobs() - before
        assert set(client.run(os.getenv, "MALLOC_TRIM_THRESHOLD_").values()) == {None}
        assert resources(client) == {}
        assert client.scheduler.address.startswith("tls://") and listening() <= {"127.0.0.1", get_ip()}
        files = [path for path in (tmp_path / "my runs" / "slurm-logs").iterdir() if path.name.startswith(".")]
        assert len(files) == 3 and {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        logs = {path.name for path in (tmp_path / "my runs" / "slurm-logs").iterdir()} - {p.name for p in files}
        assert logs == {f"mcutils-{n}.log" for n in numbers}
    assert not any(path.exists() for path in files)
    for _ in range(200):
        if not numbers & jobs():
            break
        time.sleep(0.1)
    assert not numbers & jobs()


def test_each_job_has_its_own_gpu(tmp_path, ask):
    offered = subprocess.run(["sinfo", "--noheader", "--format=%G"], capture_output=True, text=True).stdout
    if "gpu:2" not in offered:
        pytest.skip("no SLURM node offers two GPUs")
    ask(gpus=1)
    with connect("slurm", 2, tmp_path) as client:
        client.wait_for_workers(2, timeout=120)
        assert sorted(client.run(os.getenv, "CUDA_VISIBLE_DEVICES").values()) == ["0", "1"]
        assert resources(client) == {"GPU": 1}
        assert client.submit(add, 1, 2, pure=False, resources=resources(client)).result() == 3


def test_a_cancelled_job_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "CHECK", 1)
    with connect("slurm", 1, tmp_path) as client:
        (first,) = client.run(os.getenv, "SLURM_JOB_ID").values()
        subprocess.run(["scancel", first], check=True)
        for _ in range(600):
            now = client.submit(os.getenv, "SLURM_JOB_ID", pure=False).result(timeout=120)
            if now != first:
                break
            time.sleep(0.1)
        assert now != first


def test_a_job_that_slurm_refuses_is_an_error_at_once(tmp_path, ask):
    ask(queue="no-such-partition")
    with pytest.raises(BadInput, match="SLURM refuses the job .*partition"), connect("slurm", 2, tmp_path):
        pass


def test_jobs_that_end_before_a_worker_starts_are_an_error(tmp_path, ask):
    ask(prologue=["echo this cluster lacks that module", "exit 3"])
    with pytest.raises(BadInput, match="ended before a worker started: .*slurm-logs"), connect("slurm", 2, tmp_path):
        pass
    logs = list((tmp_path / "slurm-logs").iterdir())
    assert len(logs) == 2 and all("lacks that module" in log.read_text(encoding="utf-8") for log in logs)


def test_a_smoke_study_gives_the_same_bits_as_serially(tmp_path, ask):
    ask(memory="1500MB")
    found = {}
    for engine in ("slurm", "serial"):
        study = mc.study("smoke", store=str(tmp_path / engine), fresh=True, width=4, points=3, bootstrap=20)
        ends = [study.unlearned("npo", seed) for seed in (42, 87)]
        specs = [study.profile(study.path(*ends, kind=kind), retrained=(42,)) for kind in ("linear", "bezier")]
        made = study.run(specs, engine=engine, workers=2)
        found[engine] = [one.arrays for one in made]
        assert verify(study.store.folder) == {}
    for one, other in zip(found["slurm"], found["serial"], strict=True):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[n], other[n], equal_nan=True) for n in one.keys() - {"seconds", "collapsed"})
