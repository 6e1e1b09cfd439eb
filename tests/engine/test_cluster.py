"""Engines: what is refused and why, one-thread workers that end with the block, job scripts, one GPU a worker."""

import importlib.util
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import FrozenInstanceError, fields, replace
from operator import add, mul
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from mcutils.engine import cluster as engines
from mcutils.engine.cluster import (
    ENGINES,
    ClusterSettings,
    check_engine,
    cluster_settings,
    connect,
    dashboard,
    gpu_names,
    resources,
    worker_specs,
)
from mcutils.errors import BadInput
from mcutils.settings import FOLDER, tomllib

needs_jobqueue = pytest.mark.skipif(
    importlib.util.find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed"
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of one local worker."""
    with connect("local", 1, tmp_path_factory.mktemp("local")) as client:
        yield client


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a cluster's settings file and name it in the environment."""

    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("MCUTILS_CLUSTER", str(path))
        return path

    return write


def alive(pid):
    """Whether a process runs; one that has ended but was not yet waited for does not."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def until(holds):
    """Wait for a condition; what never comes to hold fails the caller's assertion."""
    for _ in range(200):
        if holds():
            return True
        time.sleep(0.05)
    return holds()


# Names


@pytest.mark.parametrize("name", ["serial", "local", "tcp://10.0.0.1:8786", "tls://node-3:1"])
def test_engines_and_addresses_are_accepted(name):
    assert check_engine(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Local",
        "pbs",
        "localhost:8786",
        "tcp:/host:1",
        "://",
        "tcp://",
        "tcp://a b",
        "tcp://a:99999",
        "tcp://a",
        "x://a:1",
        "tcp://a:²",
        3,
        True,
        ["local"],
        b"local",
    ],
)
def test_anything_else_is_refused_with_a_list(name):
    with pytest.raises(BadInput, match=r"choose one of serial, local, slurm or an address such as tcp://host:8786"):
        check_engine(name)


def test_slurm_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'mcutils\[cluster\]'"):
        check_engine("slurm")
    assert check_engine("local") == "local"


def test_there_is_nothing_to_connect_to_in_the_serial_engine(tmp_path):
    with pytest.raises(BadInput, match="serial"), connect("serial", 1, tmp_path):
        pass


# Settings of a cluster


def test_the_shipped_settings_ask_for_one_processor_and_no_gpu(monkeypatch):
    monkeypatch.delenv("MCUTILS_CLUSTER", raising=False)
    found = cluster_settings()
    assert (found.cores, found.gpus, found.queue, found.prologue, found.directives) == (1, 0, "", (), ())
    with pytest.raises(FrozenInstanceError):
        found.cores = 2


def test_a_file_of_ones_own_refines_them(write, monkeypatch):
    path = write('queue = "fast"\nprologue = ["module load python"]\n')
    monkeypatch.delenv("MCUTILS_CLUSTER")
    shipped = cluster_settings()
    expected = replace(shipped, queue="fast", prologue=("module load python",))
    assert cluster_settings(path) == expected != shipped
    monkeypatch.setenv("MCUTILS_CLUSTER", str(path))
    assert cluster_settings() == expected


def test_every_shipped_key_is_a_field():
    text = (FOLDER / "cluster.toml").read_text(encoding="utf-8")
    assert set(tomllib.loads(text)) == {field.name for field in fields(ClusterSettings)}


@pytest.mark.parametrize(
    "line, message",
    [
        ("partition = 'x'", "unknown key in .*mine.toml: 'partition': choose one of queue, account"),
        ("queue = 3", "queue of the cluster must be a text, got 3"),
        ("cores = 0", "cores of the cluster must be a whole number of at least 1, got 0"),
        ("cores = 1.5", "cores of the cluster must be a whole number"),
        ("cores = true", "cores of the cluster must be a whole number of at least 1, got True"),
        ("gpus = 2", "gpus of the cluster must be a whole number from 0 to 1, got 2"),
        ("death_timeout = 0", "death_timeout of the cluster must be a whole number of at least 1"),
        ("memory = 'lots'", "memory of the cluster is a size such as '4GB', got 'lots'"),
        ("walltime = ''", "walltime of the cluster is a time"),
        ("prologue = 'module load x'", "prologue of the cluster is a list of texts"),
        ("directives = [1]", r"directives of the cluster is a list of texts, got \[1\]"),
        ("queue = ", "cannot be read from .*mine.toml"),
    ],
)
def test_wrong_settings_are_refused(write, line, message):
    write(line)
    with pytest.raises(BadInput, match=message):
        cluster_settings()


def test_a_settings_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read from .*nowhere.toml"):
        cluster_settings(tmp_path / "nowhere.toml")


# Job scripts


def script(folder, **changes):
    """The directives, the lines before the worker and the worker's arguments of a job script."""
    with engines._undisturbed():  # the import itself makes Ctrl-C end the process without a word
        from dask_jobqueue.slurm import SLURMJob

    job = SLURMJob("SCHEDULER", "NAME", **engines._job(replace(cluster_settings(), **changes), folder))
    lines = job.job_script().splitlines()
    directives = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")]
    rest = [line for line in lines if line and not line.startswith("#")]
    return directives, rest[:-1], shlex.split(rest[-1])


def option(arguments, name):
    """The value of an option; as for the worker itself, the last one counts."""
    last = len(arguments) - 1 - arguments[::-1].index(name)
    return arguments[last + 1]


@needs_jobqueue
def test_a_job_runs_one_worker_of_one_thread_on_each_core(tmp_path):
    directives, _, worker = script(tmp_path, cores=3, memory="6GB", walltime="01:30:00")
    assert {"-n 1", "--cpus-per-task=3", "--mem=6G", "-t 01:30:00", "-J mcutils"} <= set(directives)
    assert worker[:4] == [sys.executable, "-m", "distributed.cli.dask_worker", "SCHEDULER"]
    assert (option(worker, "--nworkers"), option(worker, "--nthreads")) == ("3", "1")
    assert option(worker, "--memory-limit") == "0"
    assert not any(text.startswith(("-p", "-A", "--gres")) for text in directives) and "--resources" not in worker


@needs_jobqueue
def test_a_job_with_a_gpu_is_one_worker_that_offers_it(tmp_path):
    directives, _, worker = script(tmp_path, cores=4, gpus=1)
    assert {"--cpus-per-task=4", "--gres=gpu:1"} <= set(directives)
    assert "--nworkers" not in worker and option(worker, "--nthreads") == "1"
    assert option(worker, "--resources") == "GPU=1"


@needs_jobqueue
def test_all_other_settings_reach_the_script(tmp_path):
    changes = {"queue": "fast", "account": "lab", "interface": "ib0", "death_timeout": 77}
    directives, before, worker = script(
        tmp_path, prologue=("module load x", "echo y"), directives=("--constraint=a",), **changes
    )
    assert {"-p fast", "-A lab", "--constraint=a"} <= set(directives)
    assert before[-2:] == ["module load x", "echo y"]
    assert (option(worker, "--interface"), option(worker, "--death-timeout")) == ("ib0", "77")


@needs_jobqueue
def test_logs_go_into_the_folder_and_writing_the_script_makes_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directives, _, _ = script(Path("100% my runs"))
    assert f'--output="{tmp_path}/100%% my runs/slurm-logs/%x-%j.log"' in directives
    assert list(tmp_path.iterdir()) == []


@needs_jobqueue
def test_workers_of_a_job_keep_their_pages(tmp_path):
    _, before, _ = script(tmp_path)
    code = "import dask, distributed; print(dask.config.get('distributed.nanny.pre-spawn-environ'))"
    shell = f"{before[0]}; {shlex.quote(sys.executable)} -c {shlex.quote(code)}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert "'MALLOC_TRIM_THRESHOLD_': None" in done.stdout and "'OMP_NUM_THREADS': 1" in done.stdout


@pytest.fixture
def heard():
    """Ctrl-C interrupts in this test, also where the tests run as a shell's background job, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@needs_jobqueue
def test_ctrl_c_still_interrupts_after_a_job_script(tmp_path, heard):
    script(tmp_path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_ctrl_c_stays_ignored(heard):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with engines._undisturbed():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@needs_jobqueue
def test_slurm_without_sbatch_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="sbatch"), connect("slurm", 1, tmp_path):
        pass


# This machine


def test_a_local_worker_computes_with_one_thread_and_keeps_its_pages(client):
    assert client.gather([client.submit(mul, 7, n, pure=False) for n in range(4)]) == [0, 7, 14, 21]
    assert list(client.nthreads().values()) == [1]
    assert client.submit(os.getpid).result() != os.getpid()
    assert client.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
    assert client.submit(os.getenv, "MALLOC_TRIM_THRESHOLD_").result() is None


def test_nothing_listens_beyond_this_machine(client):
    addresses = [client.scheduler.address, *client.nthreads()]
    assert all(address.startswith("tls://127.0.0.1:") for address in addresses)
    for pid in (os.getpid(), *client.run(os.getpid).values(), *client.run(os.getppid).values()):
        open_ones = psutil.Process(pid).net_connections("tcp")
        assert {one.laddr.ip for one in open_ones if one.status == psutil.CONN_LISTEN} <= {"127.0.0.1"}


def test_nobody_without_the_certificate_can_hand_work_to_our_scheduler_or_workers(client, tmp_path, monkeypatch):
    """Whoever could would run code as this user."""
    from distributed import Client
    from distributed.security import Security

    monkeypatch.setenv("MCUTILS_ANSWER_SECONDS", "1")
    for address in (client.scheduler.address, *client.nthreads()):
        plain = address.replace("tls://", "tcp://")
        with pytest.raises(BadInput, match="no Dask scheduler answers"), connect(plain, 1, tmp_path):
            pass
        with pytest.raises(BadInput, match="no Dask scheduler answers"), connect(address, 1, tmp_path):
            pass
        with pytest.raises(OSError):
            Client(address, security=Security.temporary(), timeout=1)
    assert client.submit(add, 1, 2, pure=False).result() == 3


def test_the_page_shown_is_one_that_tells_of_the_workers(client):
    page = dashboard(client)
    assert page.startswith("http://127.0.0.1:")
    text = urlopen(page, timeout=5).read().decode()
    assert "Dask needs bokeh" not in text
    if page.endswith("workers.html"):  # the table, where there are no charts
        assert next(iter(client.nthreads())) in text


def test_no_page_is_shown_where_none_answers(client, monkeypatch):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        services = {"dashboard": nobody.getsockname()[1]}
        monkeypatch.setattr(client, "scheduler_info", lambda *_, **__: {"services": services})
        assert dashboard(client) == ""
    monkeypatch.setattr(client, "scheduler_info", lambda *_, **__: {"services": {}})
    assert dashboard(client) == ""


def test_workers_do_not_hear_ctrl_c(client):
    assert signal.SIGINT in client.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).result()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_ctrl_c_waits_for_the_end_of_what_must_not_be_disturbed(heard):
    done = []
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        with engines._undisturbed():
            signal.raise_signal(signal.SIGINT)
            done.append("all")
    assert done == ["all"] and signal.getsignal(signal.SIGINT) is before


# GPUs


def test_without_gpus_there_are_as_many_workers_as_asked_for():
    specs = worker_specs(3)
    assert sorted(specs) == [0, 1, 2]
    assert not any({"env", "resources"} & set(spec["options"]) for spec in specs.values())


@pytest.mark.parametrize("workers, names", [(1, ["5"]), (2, ["5", "7"]), (9, ["5", "7"])])
def test_a_gpu_has_one_worker_at_most(workers, names):
    specs = worker_specs(workers, ["5", "7"])
    assert [spec["options"]["env"] for spec in specs.values()] == [{"CUDA_VISIBLE_DEVICES": n} for n in names]
    assert all(spec["options"]["resources"] == {"GPU": 1} for spec in specs.values())


@pytest.mark.parametrize(
    "count, given, expected",
    [
        (0, "", ()),
        (2, None, ("0", "1")),
        (2, "3, 1", ("3", "1")),
        (1, "GPU-8f2c,-1,0", ("GPU-8f2c",)),  # what follows an invalid entry is not seen
    ],
)
def test_gpus_keep_the_names_that_the_environment_gives(monkeypatch, count, given, expected):
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    if given is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert gpu_names() == expected


def test_each_worker_sees_its_own_gpu_and_all_end_with_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "gpu_names", lambda: ("5", "7"))
    with pytest.raises(KeyboardInterrupt):
        with connect("local", 2, tmp_path) as client:
            assert sorted(client.run(os.getenv, "CUDA_VISIBLE_DEVICES").values()) == ["5", "7"]
            assert resources(client) == {"GPU": 1}
            futures = [client.submit(add, n, 1, pure=False, resources=resources(client)) for n in range(3)]
            assert client.gather(futures) == [1, 2, 3]
            pids = list(client.run(os.getpid).values())
            assert all(map(alive, pids))
            raise KeyboardInterrupt
    assert client.status == "closed" and client.cluster.status.name == "closed"
    assert until(lambda: not any(map(alive, pids)))


def test_a_gpu_is_asked_for_only_where_all_workers_have_one(client):
    from distributed import Client

    assert resources(client) == {}
    extra = worker_specs(1, ["0"], security=client.security, protocol="tls://")[0]
    with Client(client.scheduler.address, security=client.security) as other:
        client.cluster.worker_spec["gpu"] = extra
        client.cluster.sync(engines._replaced, client.cluster, ())
        try:
            client.wait_for_workers(2)
            assert resources(other) == {}
        finally:
            del client.cluster.worker_spec["gpu"]
            client.cluster.sync(engines._replaced, client.cluster, ())
    assert until(lambda: len(client.nthreads()) == 1)


# A running scheduler


def test_a_running_scheduler_is_used_and_left_running(client, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, host="127.0.0.1", protocol="tcp://",
                      dashboard_address="127.0.0.1:0") as running:  # fmt: skip
        for a in (2, 3):
            with connect(running.scheduler_address, 9, tmp_path) as other:
                assert other.cluster is None and len(other.nthreads()) == 1
                assert other.submit(add, a, 3, pure=False).result() == a + 3
                assert resources(other) == {}
                assert dashboard(other).startswith("http://127.0.0.1:")
            assert other.status == "closed"


def test_an_address_where_nobody_answers_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MCUTILS_ANSWER_SECONDS", "0.5")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BadInput, match=f"no Dask scheduler answers at {address}"), connect(address, 1, tmp_path):
            pass
        silent.listen()  # takes connections, says nothing
        with pytest.raises(BadInput, match="no answer within 0.5 seconds"), connect(address, 1, tmp_path):
            pass


@pytest.mark.parametrize("address", ["tcp://127.0.0.1", "carrier-pigeon://x:1", "tls://127.0.0.1:8786"])
def test_an_address_that_cannot_be_one_is_refused(address, tmp_path, monkeypatch):
    monkeypatch.setenv("MCUTILS_ANSWER_SECONDS", "0.5")
    with pytest.raises(BadInput), connect(address, 1, tmp_path):
        pass


def test_all_names_of_engines_are_told_apart_from_addresses():
    assert not any("://" in name for name in ENGINES)
