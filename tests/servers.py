"""Servers of Jupyter for tests: started in a folder of their own, killed with all their children."""

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "IPYTHONDIR": "ipython",
    "MCUTILS_STORE": "store",
    "MCUTILS_FIGURES": "figures",
}


def free_port():
    """A port of this machine that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def serving(command, home, limit, **places):
    """A server that writes below ``home`` alone and into its ``log``, and lives ``limit`` seconds at the most.

    ``places``: more variables of the environment with the folder below ``home`` that each names.
    """
    environment = {**os.environ, **{name: str(home / place) for name, place in (PLACES | places).items()}}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MCUTILS_COMPUTE": "never"}
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"
    with open(home / "log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home, start_new_session=True)
    # A test that hangs must not leave a server behind.
    watch = subprocess.Popen(
        ["sh", "-c", f"sleep {limit}; kill -9 -{server.pid}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(server.pid, signal.SIGTERM)  # lets it end its kernels, which are not of its group
            server.wait(timeout=15)
        for one in (watch, server):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.wait(timeout=20)
