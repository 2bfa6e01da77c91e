"""The image's entry points as SageMaker runs them: processes with an environment of their own. One is an endpoint."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from conftest import PROJECT

TIMEOUT = 120
# A new connection for each request, as callers of their own have; certificates, which take 60 ms to read, have no say.
ALONE = {"timeout": TIMEOUT, "verify": False}


def environment(base: Path, **more: str) -> dict[str, str]:
    """What a container's process finds, and nothing of this process but its path."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT / "training_image"),
        "OMP_NUM_THREADS": "1",
        "SAGEMAKER_BASE_DIR": str(base),
    } | more


def command(entry_point: str) -> list[str]:
    """Return the command line of ``train``, ``evaluate`` or ``serve``."""
    return [sys.executable, "-m", "lookbook_image", entry_point]


@dataclass
class Endpoint:
    """A serving process and where it answers."""

    process: subprocess.Popen[bytes]
    address: str

    def wait_until_it_answers(self) -> None:
        """Wait for the model to be loaded."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the endpoint's process ended"
            if self.is_open():
                return
            time.sleep(0.1)  # refused until the model is loaded: nothing to wait on but the port
        raise TimeoutError(self.address)

    def is_open(self) -> bool:
        """Tell whether the port takes connections; a ping there must be answered well."""
        try:
            assert httpx.get(f"{self.address}/ping", **ALONE).status_code == 200
        except httpx.TransportError:
            return False
        return True

    def post(self, body: bytes, media_type: str = "application/json") -> httpx.Response:
        """Invoke it."""
        url, headers = f"{self.address}/invocations", {"content-type": media_type}
        return httpx.post(url, content=body, headers=headers, **ALONE)

    def metric(self, name: str) -> float:
        """Return one of its figures."""
        lines = httpx.get(f"{self.address}/metrics", **ALONE).text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))

    def terminate(self) -> None:
        """Ask it to end."""
        self.process.send_signal(signal.SIGTERM)

    def peak_memory(self) -> int:
        """Return the most memory that it had in use so far, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) // 1024


@contextmanager
def serving(base: Path, **variables: str) -> Iterator[Endpoint]:
    """Serve the model in ``base/model`` on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"SAGEMAKER_BIND_HOST": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": port}
    process = subprocess.Popen(command("serve"), env=environment(base, **place, **variables))
    endpoint = Endpoint(process, f"http://127.0.0.1:{port}")
    try:
        endpoint.wait_until_it_answers()
        yield endpoint
    finally:
        process.kill()
        process.wait()
