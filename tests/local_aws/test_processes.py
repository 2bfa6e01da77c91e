"""Processes that are recognised, ended and run for a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.local_aws.conftest import wait_for

from local_aws import images, process, runner
from local_aws.process import Process
from local_aws.settings import Quota, Settings, from_environment


def _start(tmp_path: Path, code: str) -> Process:
    return process.start([sys.executable, "-c", code], env={}, cwd=tmp_path, log=tmp_path / "log")


def test_a_process_is_known_by_its_id_and_start(tmp_path: Path) -> None:
    started = _start(tmp_path, "import time; time.sleep(60)")
    assert started.is_alive()
    assert Process.from_document(json.loads(json.dumps(started.document()))) == started
    assert not Process(started.pid, started.started + 1).is_alive(), "another process with the same id is another"
    started.end(grace=5)
    assert not started.is_alive()


def test_what_a_process_started_ends_with_it(tmp_path: Path) -> None:
    child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    code = f"{child}; import pathlib; print('ready', flush=True); time.sleep(60)"
    started = _start(tmp_path, code)
    wait_for(lambda: "ready" in (tmp_path / "log").read_text())
    members = subprocess.run(["pgrep", "-g", str(started.pid)], capture_output=True, text=True, check=True)
    assert len(members.stdout.split()) == 2
    started.end(grace=5)
    wait_for(lambda: all(Process.of(int(pid)) is None for pid in members.stdout.split()))


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    started = _start(tmp_path, code)
    wait_for(lambda: "deaf" in (tmp_path / "log").read_text())
    started.end(grace=0.2)
    wait_for(lambda: not started.is_alive())


def _order(tmp_path: Path, argv: list[str]) -> dict[str, Any]:
    order = {"argv": argv, "env": {"WHO": "me"}, "cwd": str(tmp_path)}
    (tmp_path / "runner.json").write_text(json.dumps(order))
    env = {"PYTHONPATH": str(Path(runner.__file__).parents[1])}
    subprocess.run([sys.executable, "-m", "local_aws.runner", str(tmp_path)], env=env, check=True, timeout=20)
    return dict(json.loads((tmp_path / "exit.json").read_text()))


@pytest.mark.parametrize(("code", "status"), [("pass", 0), ("raise SystemExit(3)", 3), ("import os; os.abort()", 134)])
def test_the_runner_leaves_the_exit_status(tmp_path: Path, code: str, status: int) -> None:
    argv = [sys.executable, "-c", f"import os; print(os.environ['WHO'], os.getcwd(), flush=True); {code}"]
    assert _order(tmp_path, argv) == {"code": status, "error": None}
    assert f"me {tmp_path}" in (tmp_path / "output.log").read_text()
    assert set(json.loads((tmp_path / "processes.json").read_text())) == {"runner", "container"}


def test_the_runner_tells_of_a_command_that_can_not_be_run(tmp_path: Path) -> None:
    ended = _order(tmp_path, ["/no/such/program"])
    assert ended["code"] == 127 and "No such file" in ended["error"]


def test_only_harmless_variables_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    passed = process.base_environment()
    assert passed["PATH"] == os.environ["PATH"] and passed["LANG"] == "C.UTF-8"
    assert "AWS_SECRET_ACCESS_KEY" not in passed


def test_paths_in_an_image_file_are_relative_to_it(tmp_path: Path) -> None:
    entry = {
        "command": [".venv/bin/python", "-m", "package"],
        "env": {"PYTHONPATH": "src:/abs", "OTHER": "a/b"},
        "cwd": "work",
    }
    file = tmp_path / "images.json"
    file.write_text(json.dumps({"i:1": entry, "i:2": {"command": ["{python}"]}}))
    found = images.load(file)
    assert found["i:1"].command == (f"{tmp_path}/.venv/bin/python", "-m", "package")
    assert found["i:1"].env == {"PYTHONPATH": f"{tmp_path}/src:/abs", "OTHER": "a/b"}
    assert found["i:1"].cwd == tmp_path / "work"
    assert found["i:2"].command == (sys.executable,)


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    base = Settings(state=tmp_path, images=tmp_path / "i.json", port=4570, host="0.0.0.0")
    given = {
        "LOCAL_AWS_TRAINING_CAPACITY": "2",
        "LOCAL_AWS_BEDROCK_MODELS": "a,b",
        "LOCAL_AWS_BEDROCK_QUOTAS": '{"*": {"rpm": 50}}',
    }
    settings = from_environment(base, given)
    assert (settings.training_capacity, settings.bedrock_models) == (2, ("a", "b"))
    assert settings.bedrock_quotas == {"*": Quota(50, None)}
    assert settings.url == "http://127.0.0.1:4570"
    with pytest.raises(ValueError, match="expected JSON like"):
        from_environment(base, {"LOCAL_AWS_BEDROCK_QUOTAS": "[]"})
