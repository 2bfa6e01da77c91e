"""Benchmarks: one script a claim. ``make bench NAME=<name>`` runs one, ``make bench`` all; see docs/performance.md.

A benchmark is a module of this package with ``run(data) -> Figure``. It starts and stops what it needs itself, on free
ports and in a directory of its own, so that it can run beside a demo.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

from laptop import supervisor
from laptop.environment import client_environment, locations
from laptop.places import REPOSITORY, Places, places
from laptop.ports import Ports, next_free

_READY_S = 60.0


class NoDataError(Exception):
    """The benchmark measures real data only, and was given none."""


@dataclass(frozen=True)
class Figure:
    """One measured claim: ``value`` in ``unit`` against ``goal`` (in words), and what else is worth knowing."""

    name: str
    value: float
    unit: str
    goal: str
    ok: bool
    detail: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the figure as the JSON object that a benchmark's last line is."""
        return asdict(self)


@contextlib.contextmanager
def installation() -> Iterator[tuple[Places, list[str]]]:
    """Yield the places of a fresh state directory and the start of a laptop command line for it.

    Whatever was started there is stopped in the end, and the directory removed.
    """
    with tempfile.TemporaryDirectory(prefix="lookbook-bench-") as directory:
        here = places(directory)
        ports = ("--airflow-port", str(next_free(19_080)), "--aws-port", str(next_free(15_566)))
        try:
            yield here, [sys.executable, "-m", "laptop", "--state", str(here.state), *ports]
        finally:
            supervisor.down(here)


@contextlib.contextmanager
def account() -> Iterator[Path]:
    """Yield a directory for what is written, while this process's environment leads to a local AWS of its own.

    The account has the bucket ``lookbook``; processes started meanwhile inherit the environment.
    """
    with installation() as (here, laptop):
        log = here.state / "local-aws.log"
        process = start([*laptop, "local-aws"], log)
        try:
            address = _address(process, log)
            os.environ.update(client_environment(Ports(aws=urlsplit(address).port or 0)) | locations(here))
            boto3.client("s3").create_bucket(Bucket="lookbook")
            yield here.state
        finally:
            process.terminate()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return where local AWS answers, once it does."""
    until = time.monotonic() + _READY_S
    while process.poll() is None and time.monotonic() < until:
        if found := re.search(r"AWS_ENDPOINT_URL=(\S+)", log.read_text()):
            return found[1]
        time.sleep(0.1)
    raise SystemExit(f"Local AWS did not start:\n{log.read_text()}")


def start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command of the repository with its output in ``log``."""
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'include'}:{REPOSITORY / 'plugins'}:{REPOSITORY}"}
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=subprocess.STDOUT)
