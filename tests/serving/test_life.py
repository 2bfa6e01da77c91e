"""An endpoint that lives for runs: there while one needs it, gone after the last, whatever happens in between."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from tests.serving.conftest import Account

from lookbook import storage
from lookbook.aws import client
from lookbook.errors import RetryableError
from lookbook.housekeeping import jobs, sightings
from lookbook.serving import life
from lookbook.serving.life import User
from lookbook.settings import get_settings
from lookbook.training import registry

ADA, BOB = User("describe_products", "run-a"), User("describe_products", "run-b")


def goes_on(dag_id: str, run_id: str) -> bool:
    return False


def is_over(dag_id: str, run_id: str) -> bool:
    return True


def there() -> bool:
    return registry.describe_endpoint(get_settings().endpoint_name) is not None


@pytest.fixture
def for_runs(account: Account, monkeypatch: pytest.MonkeyPatch) -> str:
    """A champion that was verified and taken down: the endpoint lives only for runs. Returns its config."""
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_LIFE", "run")
    monkeypatch.setattr(life, "_pause", lambda: time.sleep(0.05))  # the setting is in whole seconds
    get_settings.cache_clear()
    life.hold(ADA)
    package_arn = account.register()
    config = account.deploy(package_arn)
    registry.approve(package_arn, config)
    assert life.close_for(ADA, goes_on).deleted
    return config


def test_the_champion_is_known_while_there_is_no_endpoint(for_runs: str) -> None:
    assert not there()
    champion = registry.champion()
    assert champion is not None
    assert (champion.version, champion.endpoint_config) == ("v1", for_runs)


def test_the_endpoint_is_there_until_the_last_of_two_runs_has_ended(for_runs: str) -> None:
    first, second = life.open_for(ADA), life.open_for(BOB)
    assert (first.created, second.created, second.endpoint_config) == (True, False, for_runs)
    assert life.close_for(ADA, goes_on) == life.Closed(False, "needed by describe_products run-b")
    assert there()
    assert life.close_for(BOB, goes_on).deleted
    assert not there()


def test_two_runs_that_begin_together_get_one_endpoint(for_runs: str) -> None:
    with ThreadPoolExecutor(2) as both:
        opened = list(both.map(life.open_for, (ADA, BOB)))
    assert sorted(one.created for one in opened) == [False, True]
    assert account_endpoint()["EndpointStatus"] == "InService"


def account_endpoint() -> dict[str, object]:
    return registry.describe_endpoint(get_settings().endpoint_name) or {}


def test_a_run_that_comes_while_the_endpoint_is_deleted_waits_and_gets_one_of_its_own(for_runs: str) -> None:
    life.open_for(ADA)
    with ThreadPoolExecutor(2) as both:
        closed = both.submit(life.close_for, ADA, goes_on)
        opened = both.submit(life.open_for, BOB)
        first, second = closed.result(), opened.result()
    # Whoever was first: the endpoint that the second run got is there afterwards.
    assert first.deleted == second.created
    assert account_endpoint()["EndpointStatus"] == "InService"


def test_a_run_that_was_killed_does_not_keep_the_endpoint(for_runs: str) -> None:
    life.open_for(ADA)
    life.open_for(BOB)
    assert life.close_for(BOB, lambda dag_id, run_id: run_id == ADA.run_id).deleted
    assert not there()


def test_closing_again_changes_nothing(for_runs: str) -> None:
    life.open_for(ADA)
    life.close_for(ADA, goes_on)
    assert life.close_for(ADA, goes_on).deleted
    assert not there()


def test_who_died_while_deleting_holds_nobody_up_for_ever(for_runs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    storage.write_json(life._uri(), {"users": {}, "closing_since": long_ago})
    assert life.open_for(ADA).created


def test_an_endpoint_that_does_not_come_up_is_deleted_and_the_reason_told(for_runs: str, account: Account) -> None:
    package_arn = account.register(image="broken:local")
    config = account.deploy(package_arn)
    registry.approve(package_arn, config)
    with pytest.raises(RetryableError, match="could not be created"):
        life.open_for(ADA)
    assert not there()


def test_housekeeping_deletes_an_endpoint_whose_runs_are_over(for_runs: str) -> None:
    life.open_for(ADA)
    later = datetime.now(UTC) + timedelta(hours=3)
    assert jobs.plan(lambda dag_id, run_id: False, later).expiries == ()
    [expiry] = jobs.plan(is_over, later).expiries
    assert (expiry.kind, expiry.name) == ("endpoint", get_settings().endpoint_name)
    jobs.expire([expiry], is_over)
    assert not there()


def test_its_hours_are_noted_before_it_is_deleted(for_runs: str) -> None:
    [span] = sightings.spans()
    assert span.config.startswith(for_runs)
    assert span.until > span.since


def test_an_endpoint_that_is_always_there_is_neither_created_nor_deleted(
    for_runs: str, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.open_for(ADA)
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_LIFE", "always")
    get_settings.cache_clear()
    life.hold(BOB)
    assert not life.close_for(ADA, is_over).deleted
    assert there()
    client("sagemaker").delete_endpoint(EndpointName=account.name)
    assert not life.open_for(ADA).created
    assert not life.is_needless(is_over)
