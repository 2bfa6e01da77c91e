"""What survives the gateway's death, and what is left when it ends."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.local_aws.conftest import Account, LocalAws, wait_for


def _processes(account: Account, job: str) -> dict[str, Any]:
    return dict(json.loads((account.base(job).parent / "processes.json").read_text()))


def _is_gone(pid: int) -> bool:
    """Say whether a process has ended; one that nobody has collected yet has."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def test_a_running_job_and_a_serving_endpoint_are_adopted_after_a_kill(
    own_gateway: LocalAws, own_account: Account
) -> None:
    account = own_account
    account.endpoint("serves", account.model("serves-v1", "weights"))
    serving = account.ask("serves")["pid"]
    base = account.waiting("adopted")
    container = _processes(account, "adopted")["container"]["pid"]
    own_gateway.kill()
    own_gateway.start()

    assert account.job("adopted")["TrainingJobStatus"] == "InProgress"
    assert _processes(account, "adopted")["container"]["pid"] == container
    answer = account.ask("serves")
    assert (answer["pid"], answer["model"]) == (serving, "weights")
    (base / "release").touch()
    job = account.finished("adopted")
    assert job["TrainingJobStatus"] == "Completed"
    statuses = [one["Status"] for one in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert "seen.json" in account.archive(job["ModelArtifacts"]["S3ModelArtifacts"])


def test_a_job_that_ended_while_the_gateway_was_down_is_finished(own_gateway: LocalAws, own_account: Account) -> None:
    base = own_account.waiting("ended")
    runner = _processes(own_account, "ended")["runner"]["pid"]
    own_gateway.kill()
    (base / "release").touch()
    wait_for(lambda: _is_gone(runner))
    own_gateway.start()
    job = own_account.finished("ended")
    assert job["TrainingJobStatus"] == "Completed"
    key = "checkpoints/ended/progress"
    assert own_account.s3.get_object(Bucket="data", Key=key)["Body"].read().isdigit()


def test_a_job_whose_processes_died_with_the_gateway_fails_and_says_so(
    own_gateway: LocalAws, own_account: Account
) -> None:
    own_account.waiting("lost")
    processes = _processes(own_account, "lost")
    own_gateway.kill()
    os.kill(processes["runner"]["pid"], signal.SIGKILL)
    own_gateway.start()
    job = own_account.finished("lost")
    assert job["TrainingJobStatus"] == "Failed"
    assert "ended without leaving an exit status" in job["FailureReason"]
    wait_for(lambda: _is_gone(processes["container"]["pid"]))


def test_jobs_that_waited_run_after_a_kill(own_gateway: LocalAws, own_account: Account) -> None:
    base = own_account.waiting("first")
    own_account.train("waits")
    own_gateway.kill()
    own_gateway.start()
    (base / "release").touch()
    assert own_account.finished("first")["TrainingJobStatus"] == "Completed"
    assert own_account.finished("waits")["TrainingJobStatus"] == "Completed"


def test_an_update_that_a_kill_interrupted_is_carried_out(own_gateway: LocalAws, own_account: Account) -> None:
    account = own_account
    account.endpoint("moves", account.model("moves-v1", "old"))
    old = account.ask("moves")["pid"]
    account.sagemaker.update_endpoint(EndpointName="moves", EndpointConfigName=account.model("moves-v2", "new"))
    own_gateway.kill()
    own_gateway.start()
    endpoint = account.settled("moves")
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "moves-v2")
    assert account.ask("moves")["model"] == "new"
    wait_for(lambda: _is_gone(old))


def test_a_canary_that_a_kill_interrupted_begins_anew_and_the_old_model_serves_meanwhile(
    own_gateway: LocalAws, own_account: Account
) -> None:
    account = own_account
    account.endpoint("bakes", account.model("bakes-v1", "old", instances=2))
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    canary = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": 600}
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": canary}}
    request = {"EndpointName": "bakes", "EndpointConfigName": account.model("bakes-v2", "new")}
    account.sagemaker.update_endpoint(**request, DeploymentConfig=policy)
    new = wait_for(lambda: next((told["pid"] for _ in range(2) if (told := account.ask("bakes"))["model"] == "new"), 0))
    own_gateway.kill()
    own_gateway.start()
    assert account.ask("bakes")["model"] == "old"
    wait_for(lambda: _is_gone(new))
    wait_for(lambda: {account.ask("bakes")["model"] for _ in range(2)} == {"old", "new"})
    assert account.sagemaker.describe_endpoint(EndpointName="bakes")["EndpointStatus"] == "Updating"


def test_an_endpoint_that_grew_when_the_gateway_was_killed_grows_anew(
    own_gateway: LocalAws, own_account: Account
) -> None:
    account, tried = own_account, "endpoints/grows/*/AllTraffic/tried"
    account.endpoint("grows", account.model("grows-v1", DO="second-try"))
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}]
    account.sagemaker.update_endpoint_weights_and_capacities(EndpointName="grows", DesiredWeightsAndCapacities=wanted)
    wait_for(lambda: list(own_gateway.state.glob(tried)))
    own_gateway.kill()
    own_gateway.start()
    assert account.settled("grows")["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    pids = {account.ask("grows")["pid"] for _ in range(4)}
    serving = [path for path in Path("/proc").glob("[0-9]*") if _serves(path, own_gateway.state)]
    assert {int(path.name) for path in serving} == pids, "none is left of the first try"


def _serves(process: Path, state: Path) -> bool:
    try:
        return f"SAGEMAKER_BASE_DIR={state}" in (process / "environ").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def test_a_clean_end_leaves_no_process_and_a_new_start_serves_again(
    own_gateway: LocalAws, own_account: Account
) -> None:
    account = own_account
    account.endpoint("serves", account.model("serves-v1", "weights"))
    serving = account.ask("serves")["pid"]
    account.waiting("cut-off")
    account.train("waits")
    training = _processes(account, "cut-off")
    assert own_gateway.stop() == 0
    for pid in (serving, training["runner"]["pid"], training["container"]["pid"]):
        assert _is_gone(pid)

    own_gateway.start()
    job = account.job("cut-off")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("InternalServerError")
    assert "shut down while the job ran" in job["FailureReason"]
    assert account.s3.list_objects_v2(Bucket="data", Prefix="checkpoints/cut-off/")["KeyCount"] == 1
    assert account.finished("waits")["TrainingJobStatus"] == "Completed"
    answer = wait_for(lambda: _ask(account, "serves"))
    assert answer["model"] == "weights" and answer["pid"] != serving


def _ask(account: Account, endpoint: str) -> dict[str, Any] | None:
    try:
        return account.ask(endpoint)
    except account.runtime.exceptions.ServiceUnavailable:
        return None


def test_acknowledged_objects_and_buckets_survive_a_kill(own_gateway: LocalAws, own_account: Account) -> None:
    s3 = own_account.s3
    s3.create_bucket(Bucket="empty")
    put = s3.put_object(Bucket="data", Key="a/b.txt", Body=b"kept", ContentType="text/plain", Metadata={"drop": "1"})
    s3.put_object(Bucket="data", Key="marked/", Body=b"")
    s3.put_object(Bucket="data", Key="marked/below.txt", Body=b"kept too")
    (own_gateway.state / "s3/000000000000/data/a/half.txt.tmp").write_bytes(b"ha")
    own_gateway.kill()
    own_gateway.start()
    found = s3.get_object(Bucket="data", Key="a/b.txt")
    assert (found["Body"].read(), found["ETag"], found["Metadata"]) == (b"kept", put["ETag"], {"drop": "1"})
    assert found["ContentType"] == "text/plain"
    assert s3.get_object(Bucket="data", Key="marked/below.txt")["Body"].read() == b"kept too"
    assert "empty" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="data", Prefix="a/")["Contents"]]
    assert keys == ["a/b.txt"], "a half-written file is no object"


def test_small_services_survive_a_kill(own_gateway: LocalAws, own_account: Account) -> None:
    ssm = own_gateway.client("ssm")
    ssm.put_parameter(Name="/lookbook/champion", Value="7", Type="String")
    saved = own_gateway.state / "ministack" / "ssm.json"
    wait_for(lambda: saved.exists() and "champion" in saved.read_text())
    own_gateway.kill()
    own_gateway.start()
    assert ssm.get_parameter(Name="/lookbook/champion")["Parameter"]["Value"] == "7"
