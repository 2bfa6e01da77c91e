from __future__ import annotations

from pathlib import Path

import pytest
from tests.drops import small
from tests.drops.small import DROP_ID, line

from lookbook import drops, storage
from lookbook.drops import lines, reading, workers
from lookbook.errors import PermanentError, RetryableError
from lookbook.settings import get_settings


def uploaded(directory: Path, rows: int = 12) -> str:
    """Upload a drop and return its manifest's URI."""
    small.write_directory(directory, *(line(number) for number in range(1, rows + 1)))
    drops.upload(directory, DROP_ID)
    return drops.fingerprint(drops.discover(DROP_ID)).uri


def test_several_processes_write_the_bytes_that_one_writes(
    aws_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest_uri = uploaded(tmp_path / "drop")
    monkeypatch.setattr(reading, "CHUNK_ROWS", 5)
    alone = drops.read(manifest_uri)
    content = storage.read_bytes(alone.uri)
    monkeypatch.setattr(reading, "ROWS_A_PROCESS", 2)
    started = []
    monkeypatch.setattr(
        reading, "ReadingProcesses", lambda *args: started.append(args) or workers.ReadingProcesses(*args)
    )
    assert drops.read(manifest_uri) == alone
    assert started == [(manifest_uri, 2, get_settings().read_concurrency)]
    assert storage.read_bytes(alone.uri) == content


def test_a_changed_file_stops_the_processes_for_good(aws_server: str, tmp_path: Path) -> None:
    manifest_uri = uploaded(tmp_path / "drop")
    rows = list(lines.read_rows((tmp_path / "drop" / "styles.csv").read_bytes()))
    storage.write_bytes(f"s3://lookbook/drops/{DROP_ID}/images/7.jpg", b"another")
    processes = workers.ReadingProcesses(manifest_uri, 2, 4)
    with pytest.raises(PermanentError, match=r"images/7\.jpg is not the file that manifest"):
        list(processes.tables([rows[:5], rows[5:]]))
    assert all(child.returncode is not None for child in processes._children)


def test_a_process_that_is_killed_is_worth_another_try(aws_server: str, tmp_path: Path) -> None:
    manifest_uri = uploaded(tmp_path / "drop")
    rows = list(lines.read_rows((tmp_path / "drop" / "styles.csv").read_bytes()))
    processes = workers.ReadingProcesses(manifest_uri, 2, 4)
    processes._children[0].kill()
    processes._children[0].wait()
    with pytest.raises(RetryableError, match="ended with status -9"):
        list(processes.tables([rows[:5], rows[5:]]))
