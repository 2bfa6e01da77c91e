"""The DAG that compares a challenger with the champion, run against local AWS, in which both really answer."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.plugins import test_deployment as deployment
from tests.serving import conftest as serving
from tests.serving.test_prediction import publish
from tests.serving.test_shadow import PENDING, captured

from lookbook.aws import client
from lookbook.errors import PermanentError
from lookbook.serving import shadow_watch
from lookbook.serving.shadow import Shadow
from lookbook.training import registry

Run = Callable[..., Any]
SHADOW = Path(__file__).resolve().parents[2] / "dags" / "shadow_attribute_model.py"

gateway, aws_account, account = serving.gateway, serving.account, deployment.account


def compare(run_dag: Run, **params: Any) -> tuple[str, dict[str, str]]:
    """Run the DAG; return the run's state and that of each task."""
    spec = importlib.util.spec_from_file_location("shadow_attribute_model", SHADOW)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag = module.shadow_attribute_model()
    for task in dag.tasks:  # a retry waits for half a minute
        task.retries = 0
    run = run_dag(dag, run_conf=params)
    return run.state, {ti.task_id: ti.state for ti in run.get_task_instances()}


def registered(account: Any, image: str) -> tuple[str, str]:
    """Put a first model in service and register a challenger; return the champion's config, the challenger's ARN."""
    return deployment.first(account), account.register(image, approval=PENDING)


def test_a_challenger_is_compared_and_taken_off_again(
    account: Any, run_dag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, challenger = registered(account, serving.OTHER)
    publish(account, {"1": "shirt one", "2": "shirt two"})
    look = shadow_watch.look

    def look_later(shadow: Shadow, *arguments: Any, **limits: Any) -> Any:
        captured(shadow, 4)  # two pictures, one golden question, and the champion's of its verification
        return look(shadow, *arguments, **limits)

    monkeypatch.setattr(shadow_watch, "look", look_later)
    state, states = compare(run_dag, pictures=2)
    assert (state, {**states}) == ("success", dict.fromkeys(states, "success"))
    assert account.endpoint()["EndpointConfigName"] == alone
    package = registry.describe(challenger)
    assert package["ModelApprovalStatus"] == PENDING
    assert package["CustomerMetadataProperties"]["shadow_agreement"] == "0.0000"
    assert package["CustomerMetadataProperties"]["shadow_pictures"] == "2"


def test_a_challenger_is_taken_off_when_watching_failed(
    account: Any, run_dag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, _ = registered(account, serving.OTHER)

    def fail(*_: Any, **__: Any) -> None:
        raise PermanentError("It can't be watched.")

    monkeypatch.setattr(shadow_watch, "look", fail)
    state, states = compare(run_dag, pictures=0)
    assert (state, states["shadow_on"], states["watch"]) == ("failed", "success", "failed")
    assert (states["shadow_off"], states["verify_alone"]) == ("success", "success")
    assert account.endpoint()["EndpointConfigName"] == alone


def test_a_challenger_that_does_not_come_up_leaves_the_champion_as_it_was(account: Any, run_dag: Run) -> None:
    alone, challenger = registered(account, serving.BROKEN)
    state, states = compare(run_dag, pictures=0)
    assert (state, states["shadow_on"], states["verify_alone"]) == ("failed", "failed", "success")
    assert account.endpoint()["EndpointConfigName"] == alone
    assert registry.describe(challenger)["ModelApprovalStatus"] == PENDING


def test_a_deployment_that_came_first_is_left_alone(
    account: Any, run_dag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(account, serving.OTHER)
    from lookbook.serving import shadow

    requests = shadow.requests
    newer = account.register()

    def requests_while_another_deploys(chosen: Shadow) -> Any:
        registry.approve(newer, account.deploy(newer))
        return requests(chosen)

    monkeypatch.setattr(shadow, "requests", requests_while_another_deploys)
    state, states = compare(run_dag, pictures=0)
    assert (state, states["shadow_on"], states["shadow_off"]) == ("failed", "failed", "success")
    assert states["verify_alone"] == "skipped"
    assert registry.champion().package_arn == newer
    assert len(client("sagemaker").list_endpoints(NameContains=account.name)["Endpoints"]) == 1
