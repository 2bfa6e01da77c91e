"""What a waiting task says of a Bedrock batch job, and what it does at the deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lookbook_airflow.batch_jobs import BatchJobWatch

ARN = "arn:aws:bedrock:us-east-1:000000000000:model-invocation-job/abcdef123456"
SUBMITTED = datetime(2026, 11, 16, 8, tzinfo=UTC)


class Log(list[str]):
    """A log that keeps its lines."""

    def info(self, line: str, *args: object) -> None:
        self.append(line % args)

    warning = info


@pytest.fixture
def bedrock() -> Iterator[Stubber]:
    """A Bedrock whose replies are scripted, and checked against its service model."""
    client = boto3.client("bedrock", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def tells(bedrock: Stubber, status: str, **more: Any) -> None:
    """Have the next look find a job like this."""
    prefix = "s3://lookbook/batches/b"
    job = {
        "jobArn": ARN,
        "jobName": "lookbook-describe-b",
        "modelId": "anthropic.claude-3-5-haiku-20241022-v1:0",
        "roleArn": "arn:aws:iam::000000000000:role/lookbook-bedrock",
        "status": status,
        "submitTime": SUBMITTED,
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": f"{prefix}/input/"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"{prefix}/output/"}},
    }
    bedrock.add_response("get_model_invocation_job", job | more, {"jobIdentifier": ARN})


def watch(bedrock: Stubber, log: Log, after: timedelta = timedelta(hours=1)) -> Callable[[], bool]:
    return BatchJobWatch(ARN, bedrock.client, log, now=lambda: SUBMITTED + after).look


def test_it_says_how_far_the_job_is_until_it_has_ended(bedrock: Stubber) -> None:
    log = Log()
    look = watch(bedrock, log)
    tells(bedrock, "Validating")
    tells(bedrock, "InProgress", totalRecordCount=300, processedRecordCount=100)
    tells(bedrock, "Completed", totalRecordCount=300, processedRecordCount=300)
    assert [look() for _ in range(3)] == [True, True, False]
    states = [line.removeprefix("Job lookbook-describe-b is ").strip(". ") for line in log if " is " in line]
    assert states == ["Validating", "InProgress", "Completed"]
    assert any("Records of batch job lookbook-describe-b: 300 of 300" in line for line in log)


def test_it_passes_on_why_a_job_failed(bedrock: Stubber) -> None:
    log = Log()
    tells(bedrock, "Failed", message="The role may not read the input.")
    assert not watch(bedrock, log)()
    assert "The role may not read the input." in log[0]


def test_at_the_deadline_the_job_is_stopped_once_and_its_end_waited_for(bedrock: Stubber) -> None:
    log = Log()
    look = watch(bedrock, log, after=timedelta(hours=24))
    tells(bedrock, "InProgress")
    bedrock.add_response("stop_model_invocation_job", {}, {"jobIdentifier": ARN})
    tells(bedrock, "Stopping")
    tells(bedrock, "Stopped")
    assert [look() for _ in range(3)] == [True, True, False]
    assert sum("LOOKBOOK_BATCH_DEADLINE_HOURS" in line for line in log) == 1


def test_a_job_that_ended_while_it_was_being_stopped_is_no_error(bedrock: Stubber) -> None:
    log = Log()
    bedrock.add_client_error("stop_model_invocation_job", "ConflictException", "it has ended", 409)
    BatchJobWatch(ARN, bedrock.client, log).stop()
    assert "it has ended" in log[0]


def test_a_job_that_may_not_be_stopped_is_an_error(bedrock: Stubber) -> None:
    bedrock.add_client_error("stop_model_invocation_job", "AccessDeniedException", "no", 403)
    with pytest.raises(bedrock.client.exceptions.AccessDeniedException):
        BatchJobWatch(ARN, bedrock.client, Log()).stop()
