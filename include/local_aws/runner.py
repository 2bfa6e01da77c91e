"""The process between the gateway and a training container: ``python -m local_aws.runner DIRECTORY``.

It starts the container as ``DIRECTORY/runner.json`` says, writes both process identities to ``processes.json`` and,
when the container has ended, its exit status to ``exit.json``. So a job goes on when the gateway dies, and the next
gateway learns how it went. It needs nothing but the standard library and ends only with its container.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from local_aws.process import Process, kill_group

# What a shell answers for a command that it can't run.
CANNOT_RUN = 127


def main(directory: Path) -> int:
    """Run the container to its end and leave its exit status behind."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    order = json.loads((directory / "runner.json").read_text())
    try:
        code, error = _run(directory, order), None
    except OSError as reason:
        code, error = CANNOT_RUN, f"{order['argv'][0]}: {reason}"
    write(directory / "exit.json", {"code": code, "error": error})
    return 0


def _run(directory: Path, order: dict[str, Any]) -> int:
    with (directory / "output.log").open("ab") as output:
        container = subprocess.Popen(  # noqa: S603 - running what the image file names is the point
            order["argv"],
            env=order["env"],
            cwd=order["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    write(directory / "processes.json", {"runner": _identity(os.getpid()), "container": _identity(container.pid)})
    code = container.wait()
    kill_group(container.pid)
    return code if code >= 0 else 128 - code


def _identity(pid: int) -> dict[str, int]:
    return (Process.of(pid) or Process(pid, 0)).document()


def write(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON file so that a reader sees all of it or nothing."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(document))
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
