"""What `python -m local_aws` prints, and what it refuses to start with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.local_aws.conftest import LocalAws


def _second(gateway: LocalAws, **changes: str) -> subprocess.CompletedProcess[str]:
    arguments = {
        "--port": str(gateway.port),
        "--state": str(gateway.state),
        "--images": str(gateway.images),
        **{f"--{name}": value for name, value in changes.items()},
    }
    command = [sys.executable, "-m", "local_aws", *(part for pair in arguments.items() for part in pair)]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "include")}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=20, check=False)


def test_what_is_wrong_with_a_start_is_told_in_a_line(gateway: LocalAws, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    cases = (
        ({}, "is in use by another local AWS"),
        ({"state": other}, "can't be used: Address already in use. Give a free one with --port."),
        ({"state": other, "images": str(tmp_path / "none.json")}, "can't be read"),
    )
    for changes, told in cases:
        ended = _second(gateway, **changes)
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == 1 and told in ended.stderr


@pytest.mark.parametrize("text", ["{", '{"x": {}}', '{"x": {"command": []}}', "[]"])
def test_an_image_file_that_is_not_as_expected_is_refused(gateway: LocalAws, tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    ended = _second(gateway, images=str(file))
    assert ended.returncode == 2 and "it should be like" in ended.stderr


def test_it_greets_with_the_variables_to_export(tmp_path: Path) -> None:
    gateway = LocalAws(tmp_path / "state").start()
    assert gateway.process
    gateway.process.send_signal(signal.SIGINT)
    printed = gateway.process.communicate(timeout=20)[0].splitlines()
    assert gateway.process.returncode == 0
    assert f"export AWS_ENDPOINT_URL={gateway.url}" in printed
    assert "export AWS_ACCESS_KEY_ID=local" in printed
    assert "export AWS_DEFAULT_REGION=us-east-1" in printed
