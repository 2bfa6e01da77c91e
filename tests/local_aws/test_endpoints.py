"""Models, endpoint configs and endpoints, through plain boto3."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import IMAGE, ROLE, Account, tar, wait_for


@pytest.fixture(scope="module")
def served(account: Account) -> dict[str, Any]:
    """An endpoint in service."""
    return account.endpoint("served", account.model("served-v1", "first weights", RELEASE="1"))


def _refused(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refusal:
        call(**request)
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_endpoint_serves_its_models_artefact_and_environment(account: Account, served: dict[str, Any]) -> None:
    assert served["EndpointStatus"] == "InService"
    assert served["EndpointConfigName"] == "served-v1"
    answer = account.ask("served")
    assert (answer["model"], answer["release"]) == ("first weights", "1")


def test_an_endpoint_describes_its_variants(served: dict[str, Any]) -> None:
    (variant,) = served["ProductionVariants"]
    assert variant["VariantName"] == "AllTraffic"
    assert variant["CurrentInstanceCount"] == variant["DesiredInstanceCount"] == 1
    assert variant["DeployedImages"][0]["SpecifiedImage"] == IMAGE


def test_json_and_binary_bodies_arrive_unchanged(account: Account, served: dict[str, Any]) -> None:
    body = bytes(range(256)) * 2000
    answer = account.ask("served", body, ContentType="application/x-image", Accept="application/json")
    assert (answer["length"], answer["bytes"]) == (len(body), list(range(8)))
    assert (answer["content_type"], answer["accept"]) == ("application/x-image", "application/json")


def test_an_answer_names_its_variant_and_carries_custom_attributes(account: Account, served: dict[str, Any]) -> None:
    response = account.runtime.invoke_endpoint(EndpointName="served", Body=b"{}", CustomAttributes="trace=7")
    assert response["InvokedProductionVariant"] == "AllTraffic"
    assert response["CustomAttributes"] == "trace=7"
    assert response["ContentType"] == "application/json"


@pytest.mark.parametrize(("status", "side"), [(400, "client"), (503, "server")])
def test_a_containers_error_is_a_model_error(account: Account, served: dict[str, Any], status: int, side: str) -> None:
    with pytest.raises(ClientError) as refusal:
        account.ask("served", f"error {status}".encode())
    response = refusal.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert f'Received {side} error ({status}) from primary with message "the container says no"' in str(refusal.value)
    assert (response["OriginalStatusCode"], response["OriginalMessage"]) == (status, "the container says no")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424


def test_a_container_that_takes_too_long_is_a_model_error(account: Account, served: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="timed out") as refusal:
        account.ask("served", b"sleep 3")
    assert refusal.value.response["Error"]["Code"] == "ModelError"


def test_an_unknown_endpoint_is_not_found(account: Account) -> None:
    code, message = _refused(account.runtime.invoke_endpoint, EndpointName="nowhere", Body=b"{}")
    assert (code, message) == ("ValidationError", "Endpoint nowhere of account 000000000000 not found.")


def test_a_body_above_sagemakers_limit_is_refused(account: Account, served: dict[str, Any]) -> None:
    assert _refused(account.runtime.invoke_endpoint, EndpointName="served", Body=bytes(7 << 20))[0] == "ValidationError"


def test_what_a_serving_process_prints_is_in_cloudwatch_logs(account: Account, served: dict[str, Any]) -> None:
    group = "/aws/sagemaker/Endpoints/served"

    def pings() -> Any:
        try:
            streams = account.logs.describe_log_streams(logGroupName=group)["logStreams"]
        except account.logs.exceptions.ResourceNotFoundException:
            return []
        assert streams[0]["logStreamName"].startswith("AllTraffic/i-")
        name = streams[0]["logStreamName"]
        events = account.logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"]
        return [event for event in events if "GET /ping" in event["message"]]

    assert wait_for(pings)


def test_an_update_is_served_by_the_new_model(account: Account) -> None:
    account.endpoint("updated", account.model("updated-v1", "old"))
    old = account.ask("updated")["pid"]
    endpoint = account.update("updated", account.model("updated-v2", "new"))
    assert endpoint["EndpointConfigName"] == "updated-v2"
    assert "PendingDeploymentSummary" not in endpoint
    assert account.ask("updated")["model"] == "new"
    wait_for(lambda: not Path(f"/proc/{old}").exists())


def test_no_request_is_lost_during_an_update(account: Account) -> None:
    account.endpoint("busy", account.model("busy-v1", "old"))
    config, answers, ended = account.model("busy-v2", "new"), [], threading.Event()

    def ask_on() -> None:
        while not ended.is_set():
            answers.append(account.ask("busy")["model"])
        answers.append(account.ask("busy")["model"])

    asking = threading.Thread(target=ask_on)
    asking.start()
    account.update("busy", config)
    ended.set()
    asking.join()
    assert (answers[0], answers[-1]) == ("old", "new")
    assert answers == sorted(answers, reverse=True), "the new model's answers follow the old one's"


def test_a_request_in_flight_is_answered_by_the_old_process(account: Account) -> None:
    account.endpoint("drained", account.model("drained-v1", "old"))
    config, answers = account.model("drained-v2", "new"), []
    body = {"EndpointName": "drained", "Body": b"sleep 1.5"}
    asking = threading.Thread(target=lambda: answers.append(account.runtime.invoke_endpoint(**body)["Body"].read()))
    asking.start()
    account.update("drained", config)
    asking.join()
    assert answers == [b"slept"]


@pytest.mark.parametrize(
    ("do", "told"), [("exit", "no weights to serve"), ("no-ping", "did not pass the ping health check")]
)
def test_an_update_that_does_not_come_up_is_rolled_back(account: Account, do: str, told: str) -> None:
    name = f"kept-{do}"
    account.endpoint(name, account.model(f"{name}-v1", "old"))
    old = account.ask(name)["pid"]
    config = account.model(f"{name}-v2", "new", DO=do)
    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    during = account.sagemaker.describe_endpoint(EndpointName=name)
    if during["EndpointStatus"] == "Updating":
        assert during["EndpointConfigName"] == f"{name}-v1"
        assert during["PendingDeploymentSummary"]["EndpointConfigName"] == config
    endpoint = account.settled(name)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", f"{name}-v1")
    assert told in endpoint["FailureReason"]
    answer = account.ask(name)
    assert (answer["model"], answer["pid"]) == ("old", old)


def test_an_update_after_a_rollback_clears_the_reason(account: Account) -> None:
    account.endpoint("recovers", account.model("recovers-v1", "old"))
    assert "FailureReason" in account.update("recovers", account.model("recovers-bad", DO="exit"))
    assert "FailureReason" not in account.update("recovers", account.model("recovers-v2", "new"))


def test_a_new_endpoint_that_does_not_come_up_has_failed(account: Account) -> None:
    endpoint = account.endpoint("stillborn", account.model("stillborn-v1", DO="exit"))
    assert endpoint["EndpointStatus"] == "Failed"
    assert "no weights to serve" in endpoint["FailureReason"]
    assert _refused(account.runtime.invoke_endpoint, EndpointName="stillborn", Body=b"")[0] == "ValidationError"


def test_a_model_archive_that_escapes_its_directory_is_refused(account: Account) -> None:
    config = account.model("escapes")
    account.s3.put_object(Bucket="data", Key="models/escapes.tar.gz", Body=tar({"../../evil.txt": b"!"}))
    endpoint = account.endpoint("escapes", config)
    assert endpoint["EndpointStatus"] == "Failed" and "can't be unpacked" in endpoint["FailureReason"]
    assert not list(account.gateway.state.rglob("evil.txt"))


def test_a_deleted_endpoint_is_gone_with_its_process(account: Account) -> None:
    account.endpoint("deleted", account.model("deleted-v1"))
    pid = account.ask("deleted")["pid"]
    account.sagemaker.delete_endpoint(EndpointName="deleted")
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    account.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="deleted", WaiterConfig={"Delay": 1})
    code, message = _refused(account.sagemaker.describe_endpoint, EndpointName="deleted")
    assert code == "ValidationException" and message.startswith("Could not find endpoint")
    assert not (account.gateway.state / "endpoints" / "deleted").exists() or not list(
        (account.gateway.state / "endpoints" / "deleted").iterdir()
    )


def test_an_endpoint_outlives_its_config_and_model(account: Account) -> None:
    account.endpoint("outlives", account.model("outlives-v1", "kept"))
    account.sagemaker.delete_endpoint_config(EndpointConfigName="outlives-v1")
    account.sagemaker.delete_model(ModelName="outlives-v1")
    assert account.ask("outlives")["model"] == "kept"


def test_names_that_are_taken_get_awss_sentences(account: Account, served: dict[str, Any]) -> None:
    create = account.sagemaker.create_endpoint
    code, message = _refused(create, EndpointName="served", EndpointConfigName="served-v1")
    assert code == "ValidationException" and message.startswith("Cannot create already existing endpoint")
    container = {"Image": IMAGE}
    message = _refused(account.sagemaker.create_model, ModelName="served-v1", PrimaryContainer=container)[1]
    assert message.startswith("Cannot create already existing model")


def test_names_that_are_unknown_get_awss_sentences(account: Account) -> None:
    client = account.sagemaker
    for call, request, told in (
        (client.describe_model, {"ModelName": "x"}, "Could not find model"),
        (client.describe_endpoint_config, {"EndpointConfigName": "x"}, "Could not find endpoint configuration"),
        (client.describe_endpoint, {"EndpointName": "x"}, "Could not find endpoint"),
        (client.create_endpoint, {"EndpointName": "y", "EndpointConfigName": "x"}, "Could not find endpoint config"),
        (client.update_endpoint, {"EndpointName": "x", "EndpointConfigName": "x"}, "Could not find endpoint"),
        (client.list_tags, {"ResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:model/x"}, "Could not find"),
    ):
        code, message = _refused(call, **request)
        assert code == "ValidationException" and message.startswith(told), message


def test_an_endpoint_that_is_updated_can_not_be_updated_again(account: Account) -> None:
    account.endpoint("twice", account.model("twice-v1"))
    slow = account.model("twice-v2", DO="no-ping")
    account.sagemaker.update_endpoint(EndpointName="twice", EndpointConfigName=slow)
    message = _refused(account.sagemaker.update_endpoint, EndpointName="twice", EndpointConfigName=slow)[1]
    assert message.startswith("Cannot update in-progress endpoint")
    account.sagemaker.delete_endpoint(EndpointName="twice")


def test_a_model_whose_image_or_artefact_is_missing_is_refused(account: Account) -> None:
    create, missing = account.sagemaker.create_model, {"Image": IMAGE, "ModelDataUrl": "s3://data/no.tar.gz"}
    assert "Cannot find image" in _refused(create, ModelName="x", PrimaryContainer={"Image": "no"})[1]
    assert "Could not find model data" in _refused(create, ModelName="x", PrimaryContainer=missing)[1]


def test_what_local_aws_can_not_do_is_refused_not_ignored(account: Account, served: dict[str, Any]) -> None:
    variant = {"VariantName": "v", "ModelName": "served-v1"}
    serverless = [{**variant, "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1}}]
    create = account.sagemaker.create_endpoint_config
    assert "not supported" in _refused(create, EndpointConfigName="c", ProductionVariants=serverless)[1]
    rolling = {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 10},
        "WaitIntervalInSeconds": 1,
    }
    deployment = {"RollingUpdatePolicy": rolling}
    update = account.sagemaker.update_endpoint
    request = {"EndpointName": "served", "EndpointConfigName": "served-v1", "DeploymentConfig": deployment}
    assert "not supported" in _refused(update, **request)[1]


def test_models_configs_and_endpoints_are_listed(account: Account, served: dict[str, Any]) -> None:
    models = account.sagemaker.list_models(NameContains="served-v1")["Models"]
    assert [model["ModelName"] for model in models] == ["served-v1"]
    configs = account.sagemaker.list_endpoint_configs(NameContains="served-v1")["EndpointConfigs"]
    assert [config["EndpointConfigName"] for config in configs] == ["served-v1"]
    endpoints = account.sagemaker.list_endpoints(NameContains="served", StatusEquals="InService")["Endpoints"]
    assert [endpoint["EndpointName"] for endpoint in endpoints] == ["served"]


def test_a_model_can_be_made_from_a_model_package(account: Account, served: dict[str, Any]) -> None:
    containers = [{"Image": IMAGE, "ModelDataUrl": "s3://data/models/served-v1.tar.gz"}]
    types = {"SupportedContentTypes": ["application/json"], "SupportedResponseMIMETypes": ["application/json"]}
    account.sagemaker.create_model_package_group(ModelPackageGroupName="packed")
    arn = account.sagemaker.create_model_package(
        ModelPackageGroupName="packed", InferenceSpecification={"Containers": containers, **types}
    )["ModelPackageArn"]
    container = {"ModelPackageName": arn, "Environment": {"RELEASE": "packed"}}
    account.sagemaker.create_model(ModelName="packed", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "v", "ModelName": "packed", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1}
    account.sagemaker.create_endpoint_config(EndpointConfigName="packed", ProductionVariants=[variant])
    account.endpoint("packed", "packed")
    answer = account.ask("packed")
    assert (answer["release"], answer["model"]) == ("packed", "first weights")
