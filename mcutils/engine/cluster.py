"""Engines: where results are computed, on this machine's cores or GPUs, on SLURM or on a running Dask scheduler."""

from __future__ import annotations

import asyncio
import copy
import importlib.util
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from ..errors import BadInput, choose, instance, number, path_of, shown, whole
from ..files import counted
from ..settings import FOLDER, tomllib

if TYPE_CHECKING:
    from dask_jobqueue import SLURMCluster
    from distributed import Client, SpecCluster


ENGINES = ("serial", "local", "slurm")
ANSWER = 10  # seconds that a scheduler at an address has to answer, unless MCUTILS_ANSWER_SECONDS says otherwise
MOST = 10_000  # processes that one run may ask for
STARTS = 3  # times that a cluster on this machine is started, if a worker is lost meanwhile
CHECK = 30  # seconds between two looks at whether SLURM still knows our jobs
# Dask has its workers give freed pages back at once; a third of a training loop then goes into page faults.
KEEP_PAGES = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None}
ERRORS_ONLY, SILENT = 40, 50  # levels of logging
# Reachable from this machine alone: the page shows, and lets change, more than other users should see.
DASHBOARD = "127.0.0.1:0"


@dataclass(frozen=True)
class ClusterSettings:
    """What one SLURM job asks for; ``settings/cluster.toml`` says what each field means."""

    queue: str
    account: str
    cores: int
    memory: str
    walltime: str
    gpus: int
    prologue: tuple[str, ...]
    directives: tuple[str, ...]
    interface: str
    death_timeout: int

    def __post_init__(self) -> None:
        for name in ("queue", "account", "memory", "walltime", "interface"):
            instance(f"{name} of the cluster", getattr(self, name), str, "a text")
        for name, low, high in (("cores", 1, None), ("gpus", 0, 1), ("death_timeout", 1, None)):
            whole(f"{name} of the cluster", getattr(self, name), low, high)
        for name in ("prologue", "directives"):
            value = getattr(self, name)
            if not isinstance(value, (list, tuple)) or not all(isinstance(line, str) for line in value):
                raise BadInput(f"{name} of the cluster is a list of texts, got {value!r}.")
            object.__setattr__(self, name, tuple(value))
        if not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", self.memory):
            raise BadInput(f"memory of the cluster is a size such as '4GB', got {self.memory!r}.")
        if not self.walltime:
            raise BadInput("walltime of the cluster is a time such as '04:00:00', got nothing.")


def check_engine(name: str | None) -> str:
    """Return the name of an engine, or the address of a scheduler, or raise `BadInput` unless it can be used here.

    None takes the environment's ``MCUTILS_ENGINE``, else ``local``.
    """
    name = os.environ.get("MCUTILS_ENGINE") or "local" if name is None else name
    address = re.fullmatch(r"(tcp|tls|ws|wss|ucx)://[^\s/?#]+:([0-9]{1,5})", name) if isinstance(name, str) else None
    if name not in ENGINES and not (address and 1 <= int(address[2]) <= 65535):
        raise BadInput(
            f"unknown engine {shown(name)}: choose one of {', '.join(ENGINES)} or an address such as tcp://host:8786."
        )
    if name == "slurm" and importlib.util.find_spec("dask_jobqueue") is None:
        raise BadInput("engine 'slurm' needs dask-jobqueue: pip install 'mcutils[cluster]'.")
    return name


def worker_count(given: Any = None, name: str = "workers") -> int:
    """Processes that compute: as given, else as the environment's ``MCUTILS_WORKERS`` says, else a core each."""
    if given is None:
        return counted("MCUTILS_WORKERS", os.environ.get("MCUTILS_WORKERS") or 0, 0, MOST) or cores()
    return counted(name, given, 1, MOST) or cores()


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def answer_seconds() -> float:
    """Seconds that a scheduler at an address has to answer: the environment's ``MCUTILS_ANSWER_SECONDS``, else 10."""
    given: Any = os.environ.get("MCUTILS_ANSWER_SECONDS") or ANSWER
    with suppress(ValueError):
        given = float(given)
    return number("MCUTILS_ANSWER_SECONDS", given, 0.1, 3600)


def cluster_settings(path: str | Path = "") -> ClusterSettings:
    """Read what a SLURM job asks for: the shipped ``cluster.toml``, refined by a file of one's own.

    An empty path means the environment's ``MCUTILS_CLUSTER``, or none. Raises `BadInput` for a file that cannot be
    read or holds an unknown key or a value of the wrong type.
    """
    own = str(path) or os.environ.get("MCUTILS_CLUSTER", "")
    values = _table(FOLDER / "cluster.toml")
    if own:
        values |= _table(path_of(own, "the settings of the cluster"))
    for key in values:
        choose(f"key in {own}:", key, [field.name for field in fields(ClusterSettings)])
    return ClusterSettings(**values)


def gpu_names() -> tuple[str, ...]:
    """Names of the CUDA devices that this process may use, as ``CUDA_VISIBLE_DEVICES`` writes them.

    Counting them makes no CUDA context here: a driver that only hands out work should hold no GPU memory.
    """
    import torch

    count = torch.cuda.device_count()
    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(given[:count]) or tuple(map(str, range(count)))


def worker_specs(workers: int, gpus: Sequence[str] = (), **more: Any) -> dict[int, dict[str, Any]]:
    """What `distributed.SpecCluster` starts: ``workers`` processes of one thread, or one for each GPU if fewer.

    Each sees only its own of the GPUs, offers the resource ``{"GPU": 1}``, and has the options ``more``.
    """
    from distributed import Nanny

    # What a result fails of comes back with it; a worker's own log tells only of a driver that left before it.
    common = {"host": "127.0.0.1", "nthreads": 1, "memory_limit": 0, "silence_logs": SILENT, **more}
    own: Sequence[dict[str, Any]] = [{"env": {"CUDA_VISIBLE_DEVICES": g}, "resources": {"GPU": 1}} for g in gpus]
    own = own[:workers] or [{}] * workers
    return {i: {"cls": Nanny, "options": {**common, **extra}} for i, extra in enumerate(own)}


@contextmanager
def connect(engine: str, workers: int, folder: Path) -> Iterator[Client]:
    """Open an engine and give the Dask client that hands work to it; both end with the block, however it ends.

    ``local`` starts processes of one thread here, one for each GPU where there are GPUs. ``slurm`` submits jobs (see
    `cluster_settings`), waits until the first worker runs, and replaces jobs that end before the block does. An address
    is a running scheduler, which is left running and keeps its own workers. Submit work with `resources`.

    Whoever can talk to a scheduler runs code as its owner. So ``local`` and ``slurm`` take TLS with a certificate made
    for this one block, which only this user can read, and listen on this machine's own address or the cluster's
    ``interface`` alone; a scheduler that somebody else starts is as safe as its Dask settings make it.

    SLURM's logs go into ``slurm-logs`` of the folder, which every node must see. Raises `BadInput` where the engine
    cannot be used, SLURM refuses a job or ends all of them at once, or no scheduler answers.
    """
    if check_engine(engine) == "serial":
        raise BadInput("engine 'serial' computes in this process and has nothing to connect to.")
    with ExitStack() as stack:
        if engine == "local":
            yield _local(stack, workers)
        elif engine == "slurm":
            yield _slurm(stack, workers, cluster_settings(), Path(folder))
        else:
            yield _running(stack, engine)


def resources(client: Client) -> dict[str, int]:
    """What to ask for in ``client.submit(..., resources=...)``: a GPU if every worker has one, else nothing."""

    def offered(dask_scheduler: Any) -> list[bool]:
        return ["GPU" in worker.resources for worker in dask_scheduler.workers.values()]

    found = client.run_on_scheduler(offered)
    return {"GPU": 1} if found and all(found) else {}


def dashboard(client: Client) -> str:
    """Address of a page that shows the workers, or "" where no page answers.

    Without bokeh Dask has no charts, but still a table of the workers: that table's address is given then.
    """
    services = client.scheduler_info().get("services", {})
    if "dashboard" not in services:
        return ""
    host = "127.0.0.1" if client.cluster is not None else urlsplit(client.scheduler.address).hostname
    base = f"http://{host}:{services['dashboard']}"
    ask = build_opener(ProxyHandler({})).open  # a proxy between us and our own machine would answer for it
    for page, missing in (("/status", b"Dask needs bokeh"), ("/info/main/workers.html", b"")):
        with suppress(OSError), ask(base + page, timeout=3) as answer:
            text = answer.read()
            if not missing or missing not in text:
                return base + page
    return ""


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"settings of the cluster cannot be read from {path} ({error}).") from error


# Closing on Ctrl-C: distributed leaves processes and tracebacks behind when it is interrupted while it starts or stops,
# and a terminal's Ctrl-C reaches its workers as well.


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold a Ctrl-C back until the block is done; it comes then, and a second one comes at once."""
    before: Any = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    came: list[tuple[Any, ...]] = []

    def hold(*what: Any) -> None:
        came.append(what)
        if len(came) > 1:
            before(*what)

    if callable(before):  # else it is ignored already, as in a shell's background jobs
        signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[0])


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started by threads that begin in this block never hear Ctrl-C: it is the driver that ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # it lets the signal through again for whichever thread starts it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _close(what: Client | SpecCluster) -> None:
    with _undisturbed():
        what.close()


def _client(stack: ExitStack, where: SpecCluster | str, **options: Any) -> Client:
    from distributed import Client

    client = Client(where, **options)
    stack.callback(_close, client)
    return client


# This machine


@contextmanager
def _unnamed_main() -> Iterator[None]:
    """Processes started in this block do not import the script that runs, which would begin it once more in each.

    What they need of it is sent to them by value.
    """
    main = sys.modules["__main__"]
    kept, spec = main.__dict__.pop("__file__", None), getattr(main, "__spec__", None)
    main.__spec__ = None
    try:
        yield
    finally:
        main.__spec__ = spec
        if kept is not None:
            main.__dict__["__file__"] = kept


def _local(stack: ExitStack, workers: int) -> Client:
    import dask
    from distributed import Scheduler, SpecCluster
    from distributed.security import Security

    security = Security.temporary()
    secret = {"security": security, "protocol": "tls://"}
    here = {"host": "127.0.0.1", "dashboard": True, "dashboard_address": DASHBOARD, **secret}
    scheduler = {"cls": Scheduler, "options": here}
    specs = worker_specs(workers, gpu_names(), **secret)
    stack.enter_context(dask.config.set(KEEP_PAGES))
    stack.enter_context(_unnamed_main())
    with _undisturbed():
        for left in reversed(range(STARTS)):
            try:
                with _deaf_children():
                    cluster = SpecCluster(specs, scheduler, security=security, silence_logs=ERRORS_ONLY)
                break
            except RuntimeError:  # a worker was lost before it had started
                if not left:
                    raise
        stack.callback(_close, cluster)
        return _client(stack, cluster)


# A running scheduler


def _running(stack: ExitStack, address: str) -> Client:
    from distributed.comm import connect as dial
    from distributed.security import Security

    limit = answer_seconds()

    async def answers() -> None:
        with_keys = Security().get_connection_args("client")
        comm = await asyncio.wait_for(dial(address, timeout=limit, **with_keys), limit)
        await comm.close()

    # A client waits for ever for something that takes the connection and says nothing.
    try:
        with ThreadPoolExecutor(1) as other_thread:
            other_thread.submit(asyncio.run, answers()).result()
        return _client(stack, address, timeout=limit)
    except Exception as error:
        why = " ".join(str(error).split()) or f"no answer within {limit:g} seconds, see MCUTILS_ANSWER_SECONDS"
        raise BadInput(f"no Dask scheduler answers at {address} ({why}).") from error


# SLURM


def _job(settings: ClusterSettings, folder: Path) -> dict[str, Any]:
    """Arguments of dask-jobqueue for one job."""
    import dask

    logs = str(folder.resolve() / "slurm-logs").replace("%", "%%")
    directives = [f'--output="{logs}/%x-%j.log"', *settings.directives]
    # A worker's memory is the job's, which SLURM watches: Dask would pause a worker that keeps its pages for ever.
    arguments = ["--memory-limit", "0"]
    workers = 1 if settings.gpus else settings.cores
    if settings.gpus:
        directives.append(f"--gres=gpu:{settings.gpus}")
        arguments += ["--resources", f"GPU={settings.gpus}"]
    keep_pages = f"export DASK_INTERNAL_INHERIT_CONFIG={dask.config.serialize(KEEP_PAGES)}"
    return {
        "queue": settings.queue or None,
        "account": settings.account or None,
        "cores": workers,
        "processes": workers,
        "job_cpu": settings.cores,
        "memory": settings.memory,
        "walltime": settings.walltime,
        "interface": settings.interface or None,
        "death_timeout": settings.death_timeout,
        "job_name": "mcutils",
        "python": shlex.quote(sys.executable),
        "job_extra_directives": directives,
        "job_script_prologue": [keep_pages, *settings.prologue],
        "worker_extra_args": arguments,
    }


def _slurm(stack: ExitStack, workers: int, settings: ClusterSettings, folder: Path) -> Client:
    with _undisturbed():  # the import itself makes Ctrl-C end the process without a word
        from dask_jobqueue.slurm import SLURMCluster, SLURMJob
    from distributed.core import Status
    from distributed.security import Security
    from distributed.utils import get_ip, get_ip_interface

    class OurJob(SLURMJob):
        def __init__(self, *args: Any, security: Security, **options: Any) -> None:
            own = copy.copy(security)
            for name in ("tls_ca_file", "tls_worker_cert", "tls_worker_key"):  # file names in a line of shell
                setattr(own, name, shlex.quote(getattr(security, name)))
            super().__init__(*args, security=own, **options)

        async def close(self) -> None:
            await super().close()
            self.status = Status.closed  # a cluster that closes insists on it

    if not shutil.which("sbatch"):
        raise BadInput("engine 'slurm' needs the command sbatch, which this machine does not have.")
    logs = folder / "slurm-logs"
    logs.mkdir(parents=True, exist_ok=True)
    try:
        host = get_ip_interface(settings.interface) if settings.interface else get_ip()
    except ValueError as error:
        raise BadInput(f"interface of the cluster names a network card of this machine ({error}).") from None
    here = {"scheduler_options": {"dashboard_address": DASHBOARD, "host": host}, "silence_logs": ERRORS_ONLY}
    # The certificate's files are this user's alone, lie where every node sees them, and go with the cluster.
    secret = {"security": Security.temporary(), "shared_temp_directory": str(logs.resolve())}
    with _undisturbed():
        job: Any = OurJob  # annotated as an instance of it there
        cluster = SLURMCluster(job_cls=job, **_job(settings, folder), **here, **secret)
        for name, kept in vars(cluster).items():
            if name.startswith("_job_") and isinstance(getattr(kept, "name", None), str):
                stack.callback(kept.close)
        stack.callback(_close, cluster)
        client = _client(stack, cluster)
        # Not cluster.scale, which would only log that SLURM refuses a job.
        for _ in range(math.ceil(workers / (1 if settings.gpus else settings.cores))):
            cluster.worker_spec.update(cluster.new_worker_spec())
        try:
            cluster.sync(_replaced, cluster, ())
        except RuntimeError as error:
            raise BadInput(f"SLURM refuses the job ({_reason(error)}).") from None
    _wait(client, cluster, logs)
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(cluster, over), daemon=True)
    watch.start()
    stack.callback(watch.join, 5)
    stack.callback(over.set)
    return client


def _reason(error: Exception) -> str:
    """What sbatch said, in one line, from the text of dask-jobqueue's error."""
    said = [line.removeprefix("sbatch: error: ") for line in str(error).splitlines() if line.startswith("sbatch:")]
    return "; ".join(said) or " ".join(str(error).split())


def _known() -> set[str] | None:
    """Numbers of this user's jobs that wait or run; None when SLURM does not say."""
    command = ["squeue", "--noheader", "--format=%i", f"--user={os.getuid()}"]
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return set(done.stdout.split())
    return None


def _wait(client: Client, cluster: SLURMCluster, logs: Path) -> None:
    """Wait until a worker runs, however long the queue is, unless every job is gone."""
    from distributed import TimeoutError as Waited

    numbers = [str(job.job_id) for job in cluster.workers.values()]
    told = False
    while True:
        with suppress(Waited):
            return client.wait_for_workers(1, timeout=5)
        known = _known()
        if known is not None and not known & set(numbers):
            raise BadInput(f"all SLURM jobs ended before a worker started: {logs} holds what they printed.")
        if not told:
            print(f"waiting for SLURM to start a job (squeue --jobs={','.join(numbers)})", file=sys.stderr, flush=True)
        told = True


def _watch(cluster: SLURMCluster, over: threading.Event) -> None:
    """Until ``over``: replace the jobs that SLURM ended, at their time limit or with their node."""
    while not over.wait(CHECK):
        before = dict(cluster.workers)
        known = _known()
        if known is None or over.is_set():
            continue
        lost = [name for name, job in before.items() if str(job.job_id) not in known]
        with suppress(RuntimeError):  # SLURM refuses the new jobs: they are tried again
            cluster.sync(_replaced, cluster, lost)


async def _replaced(cluster: SLURMCluster, lost: Sequence[str]) -> None:
    """Replace lost jobs and start what the specification holds and the cluster lacks; an error reaches the caller."""
    for name in lost:
        # First the new name, so that it is not the old one: Dask ends the job of that name, though a moment later.
        cluster.worker_spec.update(cluster.new_worker_spec())
        cluster.worker_spec.pop(name, None)
        job = cluster.workers.pop(name, None)
        if job is not None:
            await job.close()
    await cluster
