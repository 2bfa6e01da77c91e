"""Model package groups and packages, through plain boto3."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import IMAGE, Account

SPECIFICATION = {
    "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://data/model.tar.gz"}],
    "SupportedContentTypes": ["application/json"],
    "SupportedResponseMIMETypes": ["application/json"],
}


def _group(account: Account, name: str) -> str:
    account.sagemaker.create_model_package_group(ModelPackageGroupName=name, ModelPackageGroupDescription="answers")
    return name


def _version(account: Account, group: str, **request: Any) -> str:
    created = account.sagemaker.create_model_package(
        ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION, **request
    )
    return str(created["ModelPackageArn"])


def test_versions_count_up_and_a_deleted_number_is_not_given_again(account: Account) -> None:
    group = _group(account, "counts")
    arns = [_version(account, group) for _ in range(2)]
    assert [arn.rpartition("/")[2] for arn in arns] == ["1", "2"]
    account.sagemaker.delete_model_package(ModelPackageName=arns[1])
    assert _version(account, group).endswith("model-package/counts/3")


def test_a_version_awaits_approval_and_can_be_approved(account: Account) -> None:
    arn = _version(account, _group(account, "approves"))
    package = account.sagemaker.describe_model_package(ModelPackageName=arn)
    assert (package["ModelPackageStatus"], package["ModelApprovalStatus"]) == ("Completed", "PendingManualApproval")
    account.sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="beat the champion",
        CustomerMetadataProperties={"exact_match": "0.91"},
    )
    package = account.sagemaker.describe_model_package(ModelPackageName=arn)
    assert (package["ModelApprovalStatus"], package["ApprovalDescription"]) == ("Approved", "beat the champion")
    assert package["CustomerMetadataProperties"] == {"exact_match": "0.91"}


def test_metadata_can_be_removed(account: Account) -> None:
    arn = _version(account, _group(account, "metadata"), CustomerMetadataProperties={"a": "1", "b": "2"})
    account.sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["a"])
    assert account.sagemaker.describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"] == {"b": "2"}


def test_a_repeated_client_token_gets_the_first_package(account: Account) -> None:
    group = _group(account, "once")
    assert _version(account, group, ClientToken="t1") == _version(account, group, ClientToken="t1")
    assert _version(account, group, ClientToken="t2").endswith("/2")


def test_packages_are_listed_by_group_and_approval(account: Account) -> None:
    group = _group(account, "lists")
    arns = [_version(account, group, ModelApprovalStatus=status) for status in ("Approved", "Rejected", "Approved")]
    found = account.sagemaker.list_model_packages(ModelPackageGroupName=group, ModelApprovalStatus="Approved")
    assert [package["ModelPackageArn"] for package in found["ModelPackageSummaryList"]] == [arns[0], arns[2]]
    assert [package["ModelPackageVersion"] for package in found["ModelPackageSummaryList"]] == [1, 3]


def test_a_group_that_is_there_gets_the_sentence_the_provider_matches(account: Account) -> None:
    group = _group(account, "there")
    with pytest.raises(ClientError) as refusal:
        _group(account, group)
    error = refusal.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith("Model Package Group already exists")


def test_a_group_with_versions_can_not_be_deleted(account: Account) -> None:
    group = _group(account, "full")
    arn = _version(account, group)
    with pytest.raises(account.sagemaker.exceptions.ConflictException):
        account.sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    account.sagemaker.delete_model_package(ModelPackageName=arn)
    account.sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        account.sagemaker.describe_model_package_group(ModelPackageGroupName=group)


def test_a_group_describes_itself_and_is_listed(account: Account) -> None:
    group = _group(account, "described")
    described = account.sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    assert described["ModelPackageGroupDescription"] == "answers"
    assert described["ModelPackageGroupStatus"] == "Completed"
    found = account.sagemaker.list_model_package_groups(NameContains="described")["ModelPackageGroupSummaryList"]
    assert [one["ModelPackageGroupName"] for one in found] == [group]


def test_a_version_of_no_group_is_refused(account: Account) -> None:
    with pytest.raises(ClientError, match="does not exist"):
        _version(account, "no-such-group")
