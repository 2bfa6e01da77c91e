from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.drops.small import DROP_ID

from lookbook import storage
from lookbook.aws import client
from lookbook.drops import lease
from lookbook.drops.lease import Holder
from lookbook.errors import PermanentError, RetryableError

ONE = Holder("ingest_drop", "manual__1")
OTHER = Holder("requeue_drop", "manual__2")
URI = f"s3://lookbook/staging/{DROP_ID}/lease.json"


def running(_holder: Holder) -> bool:
    return False


def ended(_holder: Holder) -> bool:
    return True


def expire() -> None:
    long_ago = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    storage.write_json(URI, storage.read_json(URI) | {"expires_at": long_ago})


def test_a_second_run_waits_and_is_told_for_whom(bucket: str) -> None:
    lease.take(DROP_ID, ONE, running)
    with pytest.raises(RetryableError, match=f"Drop {DROP_ID} is being ingested by run manual__1 of ingest_drop"):
        lease.take(DROP_ID, OTHER, running)
    lease.keep(DROP_ID, ONE)


def test_a_drop_is_free_when_the_run_that_held_it_has_ended(bucket: str) -> None:
    lease.take(DROP_ID, ONE, running)
    asked: list[Holder] = []
    lease.take(DROP_ID, OTHER, lambda holder: not asked.append(holder))
    assert asked == [ONE]
    lease.keep(DROP_ID, OTHER)


def test_a_drop_is_free_when_its_run_was_silent_for_too_long(bucket: str) -> None:
    lease.take(DROP_ID, ONE, running)
    expire()
    lease.take(DROP_ID, OTHER, running)
    lease.keep(DROP_ID, OTHER)


def test_a_run_that_lost_its_drop_writes_nothing_more(bucket: str) -> None:
    lease.take(DROP_ID, ONE, running)
    lease.take(DROP_ID, OTHER, ended)
    with pytest.raises(PermanentError, match=r"no longer belongs to run manual__1 .*run manual__2 .*Clear this run"):
        lease.keep(DROP_ID, ONE)


def test_a_run_that_never_took_the_drop_does_not_hold_it(bucket: str) -> None:
    with pytest.raises(PermanentError, match="nobody has worked on it"):
        lease.keep(DROP_ID, ONE)


def test_a_run_that_is_tried_again_holds_its_drop_already(bucket: str) -> None:
    lease.take(DROP_ID, ONE, running)
    lease.take(DROP_ID, ONE, running)
    lease.keep(DROP_ID, ONE)


def test_every_task_prolongs_the_lease(bucket: str) -> None:
    lease.take(DROP_ID, ONE, running)
    expire()
    lease.keep(DROP_ID, ONE)
    with pytest.raises(RetryableError):
        lease.take(DROP_ID, OTHER, running)


def test_of_two_runs_that_take_a_drop_at_once_one_gets_it(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = client("s3").put_object

    def overtaken(**request: object) -> object:
        monkeypatch.setattr(client("s3"), "put_object", whole)
        lease.take(DROP_ID, OTHER, running)
        return whole(**request)

    monkeypatch.setattr(client("s3"), "put_object", overtaken)
    with pytest.raises(RetryableError, match="at this very moment"):
        lease.take(DROP_ID, ONE, running)
    lease.keep(DROP_ID, OTHER)


def test_drops_do_not_wait_for_one_another(bucket: str) -> None:
    lease.take(DROP_ID, ONE, running)
    lease.take("2026-11-09", OTHER, running)
    lease.keep(DROP_ID, ONE)


def test_a_lease_is_of_a_drop(bucket: str) -> None:
    with pytest.raises(PermanentError, match="names no drop"):
        lease.take("../x", ONE, running)
