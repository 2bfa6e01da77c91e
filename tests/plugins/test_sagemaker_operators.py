"""What the stock operators get wrong and ours must not: run in real DAGs against local AWS."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerEndpointOperator,
)
from tests.local_aws.conftest import IMAGE, ROLE, Account, tar
from tests.plugins.operators import Run, one_task, ours_and, result, unique

from lookbook import storage
from lookbook.lineage import sagemaker_ml
from lookbook.settings import get_settings
from lookbook_airflow.operators.sagemaker import (
    EndpointConfigOperator,
    EndpointOperator,
    ModelOperator,
    RegisterModelVersionOperator,
)


def deploy(run_dag: Run, endpoint: str, config: str, operator: Any = EndpointOperator, **arguments: Any) -> Any:
    request = {"EndpointName": endpoint, "EndpointConfigName": config}
    return run_dag(one_task(operator, config=request, **arguments))


def lineage(dag_run: Any) -> dict[str, Any]:
    (ti,) = dag_run.get_task_instances()
    found: dict[str, Any] = ti.xcom_pull(task_ids="task", key="lineage")
    return found


def touched(dag_run: Any, side: str) -> list[tuple[str, str, str]]:
    return [(dataset["kind"], dataset["name"], dataset["version"]) for dataset in lineage(dag_run)[side]]


def test_an_endpoint_is_created_then_updated_then_left_alone(account: Account, run_dag: Run) -> None:
    endpoint, one, two = unique("endpoint"), account.model(unique("m")), account.model(unique("m"), weights="v2")
    first = deploy(run_dag, endpoint, one)
    assert touched(first, "outputs") == [("endpoint_config", endpoint, one)]
    assert [kind for kind, _, _ in touched(first, "inputs")] == ["image"]
    assert account.ask(endpoint)["model"] == "v1"
    assert deploy(run_dag, endpoint, two).state == "success"
    answer = account.ask(endpoint)
    assert answer["model"] == "v2"
    assert deploy(run_dag, endpoint, two).state == "success"
    assert account.ask(endpoint)["pid"] == answer["pid"]


@ours_and(EndpointOperator, SageMakerEndpointOperator, "calls an update that was rolled back a success")
def test_an_update_that_was_rolled_back_fails_the_task(account: Account, run_dag: Run, operator: Any) -> None:
    endpoint, good, bad = unique("endpoint"), account.model(unique("m")), account.model(unique("m"), DO="exit")
    account.endpoint(endpoint, good)
    stock = {"check_interval": 1} if operator is SageMakerEndpointOperator else {}
    assert deploy(run_dag, endpoint, bad, operator, **stock).state == "failed"


@pytest.mark.parametrize("fault", ["no-ping", "exit"])
def test_an_update_that_was_rolled_back_is_named_and_the_old_model_serves_on(
    account: Account, run_dag: Run, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint, good, bad = unique("endpoint"), account.model(unique("m")), account.model(unique("m"), DO=fault)
    assert deploy(run_dag, endpoint, good).state == "success"
    assert deploy(run_dag, endpoint, bad).state == "failed"
    assert "the update was rolled back" in caplog.text
    assert account.ask(endpoint)["model"] == "v1"


def test_a_deployment_waits_for_an_update_that_is_under_way(account: Account, run_dag: Run) -> None:
    endpoint, one, two = unique("endpoint"), account.model(unique("m")), account.model(unique("m"), weights="v2")
    account.endpoint(endpoint, one)
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=two)
    dag_run = deploy(run_dag, endpoint, two)
    assert dag_run.state == "success"
    assert account.ask(endpoint)["model"] == "v2"


def test_a_model_and_its_config_are_made_once(account: Account, run_dag: Run) -> None:
    name = unique("model")
    account.s3.put_object(Bucket="data", Key=f"{name}.tar.gz", Body=tar({"weights.txt": b"v1"}))
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://data/{name}.tar.gz"}
    model = {"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": ROLE}
    variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1}
    config = {"EndpointConfigName": name, "ProductionVariants": [variant]}
    for _ in range(2):
        modelled = run_dag(one_task(ModelOperator, config=model))
        configured = run_dag(one_task(EndpointConfigOperator, config=config))
        assert (modelled.state, configured.state) == ("success", "success")
    assert len(account.sagemaker.list_models(NameContains=name)["Models"]) == 1
    artefact = storage.find(container["ModelDataUrl"])
    assert artefact and touched(modelled, "inputs") == [
        ("image", IMAGE, IMAGE.partition(":")[2] or "latest"),
        ("model_artifact", artefact.uri, artefact.etag),
    ]
    assert touched(configured, "outputs") == [("endpoint_config", get_settings().endpoint_name, name)]
    arns = [lineage(modelled)["details"]["model_arn"], lineage(configured)["details"]["endpoint_config_arn"]]
    assert arns == [result(modelled)["model_arn"], result(configured)["endpoint_config_arn"]]


def test_an_artefact_is_registered_once(account: Account, run_dag: Run) -> None:
    group, url = unique("group"), "s3://data/model.tar.gz"
    arguments = {
        "image_uri": IMAGE,
        "model_url": url,
        "package_group_name": group,
        "extras": {"ClientToken": unique("token")},
    }
    arns = {result(run_dag(one_task(RegisterModelVersionOperator, **arguments))) for _ in range(2)}
    packages = account.sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert arns == {package["ModelPackageArn"] for package in packages}
    assert len(packages) == 1


def test_a_registered_package_is_told_to_sagemakers_lineage(
    account: Account, run_dag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(sagemaker_ml, "record_model", told.append)
    arguments = {
        "image_uri": IMAGE,
        "model_url": "s3://data/model.tar.gz",
        "package_group_name": unique("group"),
        "extras": {"ClientToken": unique("token")},
    }
    assert told == [result(run_dag(one_task(RegisterModelVersionOperator, **arguments)))]
