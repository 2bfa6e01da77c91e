from __future__ import annotations

from typing import Any

import pytest

from lookbook.errors import PermanentError
from lookbook.lineage.records import TaskKey, recording
from lookbook.serving import rollback
from lookbook.training import registry


def serve(account: Any, number: int = 1) -> list[str]:
    """Register models, put each in service and approve it; return their packages."""
    packages = []
    for _ in range(number):
        package = account.register(approval="PendingManualApproval")
        registry.approve(package, account.deploy(package))
        packages.append(package)
    return packages


def roll_back(account: Any, version: str | None = None, reason: str = "It sees no skirts.") -> rollback.RolledBack:
    choice = rollback.choose(version, "ada")
    return rollback.settle(choice, account.deploy(choice.package_arn), reason)


def test_a_rollback_goes_to_the_champion_before_this_one(account: Any) -> None:
    _, second, third = serve(account, 3)
    choice = rollback.choose(None, "ada")
    assert (choice.version, choice.package_arn) == ("v2", second)
    assert (choice.replaced_version, choice.replaced_arn) == ("v3", third)
    assert rollback.Choice(**choice.reference()) == choice


@pytest.mark.parametrize("version", ["v1", "1"])
def test_a_person_may_name_the_version(account: Any, version: str) -> None:
    serve(account, 3)
    assert rollback.choose(version, "ada").version == "v1"


def test_after_a_rollback_the_restored_model_is_the_champion_and_the_other_rejected_by_name(account: Any) -> None:
    _, second = serve(account, 2)
    with recording(TaskKey("rollback_attribute_model", "r", "settle")) as record:
        done = roll_back(account)
    assert (done.version, done.replaced_version, done.by) == ("v1", "v2", "ada")
    champion = registry.champion()
    assert champion is not None
    assert (champion.version, champion.endpoint_config) == ("v1", done.endpoint_config)
    rejected = registry.describe(second)
    assert rejected["ModelApprovalStatus"] == "Rejected"
    assert rejected["ApprovalDescription"] == "Rolled back to v1 by ada: It sees no skirts."
    assert record.details["rejected"] == "v2"
    assert record.details["restored"] == "v1"


def test_a_second_rollback_passes_over_what_the_first_one_rejected(account: Any) -> None:
    serve(account, 3)
    assert roll_back(account).version == "v2"
    assert rollback.choose(None, "ada").version == "v1"


def test_the_champion_before_is_the_one_that_served_last_not_the_one_with_the_next_lower_number(account: Any) -> None:
    serve(account, 3)
    roll_back(account, "v1")
    serve(account)
    assert rollback.choose(None, "ada").version == "v1"


def test_a_rollback_can_be_undone_by_naming_the_rejected_version(account: Any) -> None:
    serve(account, 2)
    roll_back(account)
    assert roll_back(account, "v2", "It was the pictures.").version == "v2"
    champion = registry.champion()
    assert champion is not None
    assert champion.version == "v2"


def test_without_an_endpoint_the_model_that_last_served_is_replaced(account: Any) -> None:
    for number in (1, 2):
        registry.approve(account.register(), f"config-{number}")
    choice = rollback.choose(None, "ada")
    assert (choice.version, choice.replaced_version) == ("v1", "v2")


def test_where_nothing_ever_served_there_is_nothing_to_roll_back(account: Any) -> None:
    account.register(approval="PendingManualApproval")
    with pytest.raises(PermanentError, match="there is nothing to roll back"):
        rollback.choose(None, "ada")


def test_from_the_first_model_there_is_no_way_back(account: Any) -> None:
    serve(account)
    with pytest.raises(PermanentError, match=r"no approved model to go back to from v1\. Models .* before: none\."):
        rollback.choose(None, "ada")


@pytest.mark.parametrize("version", ["v2", "v9"])
def test_a_version_that_serves_or_never_did_is_refused_with_those_that_did(account: Any, version: str) -> None:
    serve(account, 2)
    with pytest.raises(PermanentError, match=rf"Model {version} can't be restored: .* served before: v1\."):
        rollback.choose(version, "ada")


def test_a_rollback_that_nobody_started_is_refused() -> None:
    with pytest.raises(PermanentError, match="A person triggers it"):
        rollback.choose("v1", None)


@pytest.mark.parametrize("status", ["PendingManualApproval", "Approved"])
def test_a_package_whose_deployment_failed_is_rejected_with_the_reason(account: Any, status: str) -> None:
    package = account.register(approval=status)
    failed = rollback.reject_failed(package, "Model v1 is slow.")
    assert failed.reference() == {"version": "v1", "rejected": True, "reason": "Model v1 is slow."}
    assert registry.describe(package)["ModelApprovalStatus"] == "Rejected"
    assert registry.describe(package)["ApprovalDescription"] == "Its deployment failed: Model v1 is slow."


def test_a_package_whose_model_never_reached_the_endpoint_keeps_its_state(account: Any) -> None:
    package = account.register(approval="PendingManualApproval")
    assert not rollback.reject_failed(package, None).rejected
    assert registry.describe(package)["ModelApprovalStatus"] == "PendingManualApproval"
