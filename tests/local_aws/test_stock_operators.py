"""The Amazon provider's operators run unchanged against local AWS, holding a worker and deferred."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.local_aws.conftest import Account, LocalAws

ROOT = Path(__file__).resolve().parents[2]
ASKED = [{"role": "user", "content": [{"text": "<facts>\n- Fabric: Corduroy\n</facts>"}]}]
DAGS = Path(__file__).resolve().parent / "dags"


@pytest.fixture(scope="module")
def airflow(gateway: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow of its own, whose connection is AWS's default chain."""
    home = tmp_path_factory.mktemp("airflow")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
        "AWS_ENDPOINT_URL": gateway.url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    _run(env, "-m", "airflow", "db", "migrate")
    return env


def _run(env: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, *arguments]
    ended = subprocess.run(
        command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout[-6000:]
    return ended.stdout


@pytest.fixture(scope="module")
def output(airflow: dict[str, str], account: Account) -> str:
    """What running both DAGs printed."""
    records = [{"recordId": f"record-{number:04d}", "modelInput": {"messages": ASKED}} for number in range(100)]
    account.put("stock/", **{"records.jsonl": b"\n".join(json.dumps(record).encode() for record in records)})
    return _run(airflow, str(DAGS / "stock_operators.py"))


@pytest.mark.parametrize("name", ["synchronous", "deferrable"])
def test_the_stock_operators_train_register_deploy_and_describe(output: str, account: Account, name: str) -> None:
    tasks: dict[str, Any] = json.loads(output.splitlines()[-1])[name]
    assert {task: told["state"] for task, told in tasks.items() if told["state"] != "success"} == {}
    assert len(tasks) == 7
    assert tasks["train"]["result"]["Training"]["TrainingJobStatus"] == "Completed"
    assert tasks["endpoint"]["result"]["Endpoint"]["EndpointConfigName"] == name
    assert "Denim" in tasks["describe"]["result"]["content"][0]["text"]
    described = account.objects(f"stock/described/{tasks['batch']['result'].rpartition('/')[2]}/")
    assert described["records.jsonl.out"].count(b"Corduroy") == 200


def test_the_deferrable_operators_were_deferred(output: str) -> None:
    assert output.count("Trigger completed") == 3


def test_the_second_run_finds_the_firsts_group_and_endpoint(output: str, account: Account) -> None:
    assert "updating it with the given config instead" in output
    endpoint = account.sagemaker.describe_endpoint(EndpointName="stock")
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "deferrable")
    packages = account.sagemaker.list_model_packages(ModelPackageGroupName="stock")["ModelPackageSummaryList"]
    assert [package["ModelPackageVersion"] for package in packages] == [1, 2]
