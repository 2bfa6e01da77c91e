"""Batch jobs, through plain boto3."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import ROLE, Account, LocalAws, wait_for

from local_aws.bedrock import batch_files
from local_aws.bedrock.batch_files import Files, InputError
from local_aws.bedrock.batch_records import Written
from local_aws.objects import Objects

MODEL = "anthropic.claude-3-5-haiku-20241022-v1:0"
UNFINISHED = ("Submitted", "Validating", "Scheduled", "InProgress", "Stopping")


class Batch:
    """Short forms of the requests that the tests repeat."""

    def __init__(self, gateway: LocalAws) -> None:
        self.account = Account(gateway)
        self.bedrock = gateway.client("bedrock")

    def put(self, name: str, lines: list[bytes]) -> str:
        self.account.s3.put_object(Bucket="data", Key=f"batch/{name}", Body=b"\n".join(lines))
        return f"s3://data/batch/{name}"

    def request(self, source: str, **changes: Any) -> dict[str, Any]:
        request = {
            "jobName": f"job-{uuid.uuid4()}",
            "roleArn": ROLE,
            "modelId": MODEL,
            "modelInvocationType": "Converse",
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": source}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://data/batch-out/"}},
        }
        return {**request, **changes}

    def create(self, source: str, **changes: Any) -> str:
        return str(self.bedrock.create_model_invocation_job(**self.request(source, **changes))["jobArn"])

    def job(self, arn: str) -> dict[str, Any]:
        return dict(self.bedrock.get_model_invocation_job(jobIdentifier=arn))

    def ended(self, arn: str) -> dict[str, Any]:
        return dict(wait_for(lambda: job if (job := self.job(arn))["status"] not in UNFINISHED else None))

    def output(self, arn: str) -> dict[str, bytes]:
        return self.account.objects(f"batch-out/{arn.rpartition('/')[2]}/")


@pytest.fixture(scope="module")
def batch(gateway: LocalAws) -> Batch:
    return Batch(gateway)


def _record(number: int, **changes: Any) -> bytes:
    facts = f"<facts>\n- Fabric: Cotton\n- Fit: Fit {number}\n</facts>"
    messages = [{"role": "user", "content": [{"text": facts}]}]
    record = {"recordId": f"product-{number:04d}", "modelInput": {"messages": messages}}
    return json.dumps({**record, **changes}).encode()


def _records(count: int = 100) -> list[bytes]:
    return [_record(number) for number in range(count)]


def _by_id(output: bytes) -> dict[str, dict[str, Any]]:
    records = [json.loads(line) for line in output.splitlines()]
    return {record["recordId"]: record for record in records}


def _refusal(call: Callable[[], Any]) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as refusal:
        call()
    response = refusal.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


def test_every_record_is_answered(batch: Batch) -> None:
    arn = batch.create(batch.put("all.jsonl", _records()))
    job = batch.ended(arn)
    assert (job["status"], job["processedRecordCount"], job["successRecordCount"]) == ("Completed", 100, 100)
    assert job["submitTime"] <= job["endTime"] <= job["jobExpirationTime"]
    output = batch.output(arn)
    assert set(output) == {"all.jsonl.out", "manifest.json.out"}
    answered = _by_id(output["all.jsonl.out"])
    said = answered["product-0007"]["modelOutput"]["output"]["message"]["content"][0]["text"]
    assert "Fit 7" in said and "Cotton" in said
    assert answered["product-0007"]["modelInput"] == json.loads(_record(7))["modelInput"]
    manifest = json.loads(output["manifest.json.out"])
    assert (manifest["totalRecordCount"], manifest["errorRecordCount"]) == (100, 0)
    tokens = [record["modelOutput"]["usage"]["outputTokens"] for record in answered.values()]
    assert manifest["outputTokenCount"] == sum(tokens)


def test_the_output_has_another_order(batch: Batch) -> None:
    arn = batch.create(batch.put("order.jsonl", _records()))
    batch.ended(arn)
    answered = list(_by_id(batch.output(arn)["order.jsonl.out"]))
    assert answered != sorted(answered)


def test_records_that_only_calls_on_demand_may_be_are_refused(batch: Batch) -> None:
    asked = json.loads(_record(0))["modelInput"]
    tool = {"toolSpec": {"name": "write", "inputSchema": {"json": {"type": "object"}}}}
    with_tool = _record(100, modelInput={**asked, "toolConfig": {"tools": [tool]}})
    cached = _record(101, modelInput={**asked, "system": [{"text": "x"}, {"cachePoint": {"type": "default"}}]})
    arn = batch.create(batch.put("refused.jsonl", [*_records(100), with_tool, cached]))
    assert batch.ended(arn)["errorRecordCount"] == 2
    answered = _by_id(batch.output(arn)["refused.jsonl.out"])
    assert answered["product-0100"]["error"]["errorCode"] == 400
    assert answered["product-0101"]["error"]["errorCode"] == 403


def test_records_may_have_anthropics_form_and_tools(batch: Batch) -> None:
    tool = {"name": "write", "input_schema": {"type": "object", "properties": {"description": {"type": "string"}}}}
    body = {
        "tools": [tool],
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "<facts>\n- Fabric: Silk\n</facts>"}],
    }
    records = [_record(number, modelInput=body) for number in range(100)]
    arn = batch.create(batch.put("invoke.jsonl", records), modelInvocationType="InvokeModel")
    assert batch.ended(arn)["successRecordCount"] == 100
    answered = _by_id(batch.output(arn)["invoke.jsonl.out"])
    assert "Silk" in answered["product-0001"]["modelOutput"]["content"][0]["input"]["description"]


def test_a_record_that_cannot_be_answered_harms_no_other(batch: Batch) -> None:
    bad = [b"{broken", b"[]", b'{"recordId": "no-input"}', _record(200, modelInput={"messages": []})]
    arn = batch.create(batch.put("bad.jsonl", [*_records(98), *bad]))
    job = batch.ended(arn)
    assert (job["status"], job["successRecordCount"], job["errorRecordCount"]) == ("Completed", 98, 4)
    answered = _by_id(batch.output(arn)["bad.jsonl.out"])
    assert answered["product-0200"]["error"]["errorCode"] == 400
    assert "must start with a user message" in answered["product-0200"]["error"]["errorMessage"]
    assert "not valid JSON" in answered["CALL0000099"]["error"]["errorMessage"]
    assert "modelOutput" not in answered["no-input"]


def test_a_folder_of_files_is_one_job(batch: Batch) -> None:
    batch.put("folder/a.jsonl", _records(60))
    batch.put("folder/deep/b.jsonl", [_record(number) for number in range(60, 120)])
    batch.put("folder/notes.txt", [b"no input"])
    source = batch.put("folder-2/c.jsonl", _records(1)).rpartition("-2/")[0]
    arn = batch.create(f"{source}/")
    assert batch.ended(arn)["totalRecordCount"] == 120
    output = batch.output(arn)
    assert set(output) == {"a.jsonl.out", "deep/b.jsonl.out", "manifest.json.out"}
    assert len(_by_id(output["deep/b.jsonl.out"])) == 60


@pytest.mark.parametrize(
    ("name", "lines", "told"),
    [
        ("few.jsonl", _records(99), "contains less records (99) than the required minimum of: 100"),
        ("table.csv", _records(1), "name ends with .jsonl"),
        ("", [], "has no file whose name ends with .jsonl"),
    ],
)
def test_input_that_aws_refuses_fails_the_job(batch: Batch, name: str, lines: list[bytes], told: str) -> None:
    source = batch.put(name, lines) if name else "s3://data/batch/nothing-here"
    job = batch.ended(batch.create(source))
    assert job["status"] == "Failed"
    assert told in job["message"]


def test_too_many_records_and_too_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"\(50001\) than the allowed maximum of: 50000"):
        batch_files.check_count(50_001)

    class Listed(Objects):
        def sizes(self, uri: str) -> dict[str, int]:
            return {"in/a.jsonl": batch_files.MOST_BYTES + 1}

    with pytest.raises(InputError, match="has 1073741825 bytes"):
        Files(Listed(None), tmp_path, "s3://data/in/a.jsonl").fetch()


def test_the_same_token_is_the_same_job(batch: Batch) -> None:
    request = batch.request(batch.put("token.jsonl", _records()), clientRequestToken="token1")
    create = batch.bedrock.create_model_invocation_job
    arn = create(**request)["jobArn"]
    assert create(**request)["jobArn"] == arn
    batch.ended(arn)
    assert create(**request)["jobArn"] == arn
    status, code, message = _refusal(lambda: create(**{**request, "timeoutDurationInHours": 48}))
    assert (status, code) == (400, "ConflictException") and "token1" in message


def test_a_name_is_used_once(batch: Batch) -> None:
    source = batch.put("name.jsonl", _records())
    batch.create(source, jobName="only-once")
    assert _refusal(lambda: batch.create(source, jobName="only-once"))[1] == "ConflictException"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"jobName": "no_underscore"}, "regular expression pattern"),
        ({"timeoutDurationInHours": 1}, "valid min value: 24"),
        ({"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://data/batch/x.jsonl"}}}, "both"),
        ({"modelInvocationType": "InvokeModel", "modelId": "amazon.nova-lite-v1:0"}, "not supported by local AWS"),
    ],
)
def test_a_malformed_request_is_refused(gateway: LocalAws, batch: Batch, changes: dict[str, Any], told: str) -> None:
    unchecked = gateway.client("bedrock", parameter_validation=False)
    request = batch.request("s3://data/batch/x.jsonl", **changes)
    status, code, message = _refusal(lambda: unchecked.create_model_invocation_job(**request))
    assert (status, code) == (400, "ValidationException") and told in message


def test_jobs_are_listed_by_name_status_time_and_page(batch: Batch) -> None:
    source = batch.put("list.jsonl", _records())
    arns = [batch.create(source, jobName=f"listed-{number}") for number in range(3)]
    jobs = [batch.ended(arn) for arn in arns]
    pages = batch.bedrock.get_paginator("list_model_invocation_jobs").paginate(
        nameContains="listed", statusEquals="Completed", sortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    listed = [[job["jobArn"] for job in page["invocationJobSummaries"]] for page in pages]
    assert listed == [arns[:2], arns[2:]]
    later = batch.bedrock.list_model_invocation_jobs(nameContains="listed", submitTimeAfter=jobs[1]["submitTime"])
    assert [job["jobName"] for job in later["invocationJobSummaries"]] == ["listed-2"]


def test_a_job_belongs_to_its_region(gateway: LocalAws, batch: Batch) -> None:
    arn = batch.create(batch.put("region.jsonl", _records()))
    elsewhere = gateway.client("bedrock", region_name="eu-west-1")
    status, code, _ = _refusal(lambda: elsewhere.get_model_invocation_job(jobIdentifier=arn))
    assert (status, code) == (404, "ResourceNotFoundException")
    assert elsewhere.list_model_invocation_jobs()["invocationJobSummaries"] == []


def test_shares_of_the_records_fail_are_broken_and_are_refused(batch: Batch) -> None:
    arn = batch.create(batch.put("faulty.jsonl", _records(200)), modelId="anthropic.faulty-batch")
    job = batch.ended(arn)
    assert job["status"] == "Completed"
    broken, said = 0, []
    for line in batch.output(arn)["faulty.jsonl.out"].splitlines():
        try:
            said.append(json.loads(line))
        except ValueError:
            broken += 1
    failed = [record["error"]["errorCode"] for record in said if "error" in record]
    refused = [one for one in said if one.get("modelOutput", {}).get("stopReason") == "content_filtered"]
    empty = [one for one in said if "modelOutput" in one and "output" not in one["modelOutput"]]
    assert set(failed) == {500, 503} and len(failed) == job["errorRecordCount"]
    assert min(broken, len(refused), len(empty)) > 5


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Batch jobs of a gateway that answers a record in ten milliseconds, in one job at a time, for two seconds."""
    settings = {"LOCAL_AWS_BATCH_RATE": "100", "LOCAL_AWS_BATCH_CAPACITY": "1", "LOCAL_AWS_BATCH_HOUR": "0.1"}
    gateway = LocalAws(tmp_path_factory.mktemp("slow") / "state", **settings).start()
    gateway.client("s3").create_bucket(Bucket="data")
    yield Batch(gateway)
    gateway.stop()


def test_a_job_that_takes_too_long_is_partly_answered(slow: Batch) -> None:
    arn = slow.create(slow.put("late.jsonl", _records(1000)))
    job = slow.ended(arn)
    assert job["status"] == "PartiallyCompleted"
    assert 0 < job["processedRecordCount"] < 1000
    assert len(_by_id(slow.output(arn)["late.jsonl.out"])) == job["processedRecordCount"]


def test_jobs_that_wait_for_another_expire_or_are_stopped_and_a_stopped_one_keeps_what_it_answered(slow: Batch) -> None:
    source = slow.put("stopped.jsonl", _records(2000))
    running = slow.create(source, timeoutDurationInHours=168)
    wait_for(lambda: slow.job(running).get("processedRecordCount", 0) > 0)
    late, unwanted = slow.create(source), slow.create(source, timeoutDurationInHours=168)
    wait_for(lambda: slow.job(unwanted)["status"] == "Scheduled")
    slow.bedrock.stop_model_invocation_job(jobIdentifier=unwanted)
    assert slow.ended(unwanted)["status"] == "Stopped"
    assert slow.output(unwanted) == {}
    assert slow.ended(late)["status"] == "Expired"

    slow.bedrock.stop_model_invocation_job(jobIdentifier=running)
    job = slow.ended(running)
    assert job["status"] == "Stopped"
    assert len(_by_id(slow.output(running)["stopped.jsonl.out"])) == job["processedRecordCount"] < 2000
    assert _refusal(lambda: slow.bedrock.stop_model_invocation_job(jobIdentifier=running))[1] == "ConflictException"


def test_jobs_survive_the_gateways_death_and_its_end(tmp_path: Path) -> None:
    gateway = LocalAws(tmp_path / "state", LOCAL_AWS_BATCH_RATE="200", LOCAL_AWS_BATCH_CAPACITY="1").start()
    gateway.client("s3").create_bucket(Bucket="data")
    batch = Batch(gateway)
    arn = batch.create(batch.put("survivor.jsonl", _records(400)))
    before = wait_for(lambda: batch.job(arn).get("processedRecordCount"))
    waiting = batch.create(batch.put("waiting.jsonl", _records(100)))
    wait_for(lambda: batch.job(waiting)["status"] == "Scheduled")
    gateway.kill()
    gateway.start()
    more = wait_for(lambda: count if (count := batch.job(arn)["processedRecordCount"]) > before else None)
    assert gateway.stop() == 0
    gateway.start()
    job = batch.ended(arn)
    assert job["status"] == batch.ended(waiting)["status"] == "Completed"
    assert job["processedRecordCount"] == job["successRecordCount"] == 400 >= more
    output = batch.output(arn)["survivor.jsonl.out"]
    assert len(output.splitlines()) == len(_by_id(output)) == 400
    gateway.stop()


def test_a_line_that_a_kill_cut_off_is_answered_again(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jsonl").write_bytes(b"one\ntwo\n\nthree\n")
    files = Files(Objects(None), tmp_path, "s3://data/a.jsonl")
    files.keep("a.jsonl", [Written(2, b'{"x": 1}', True, 3, 4)])
    with (tmp_path / "out/a.jsonl.kept").open("ab") as kept:
        kept.write(b'[1, true, 3, 4] {"x"')
    assert [(line.number, line.text) for line in files.unanswered()] == [(1, b"one\n"), (3, b"three\n")]
    files.keep("a.jsonl", [Written(1, b"{}", False)])
    assert files.counts() == {"processed": 2, "success": 1, "error": 1, "input": 3, "output": 4}
