"""The same through aiobotocore, which deferrable operators and the library's fan-out use."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

from aiobotocore.session import get_session
from tests.local_aws.conftest import Account, LocalAws, training_request

FACTS = "<facts>\n- Name: Blue Jeans\n- Fabric: Denim\n</facts>"


async def _client(stack: AsyncExitStack, gateway: LocalAws, service: str) -> Any:
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": "us-east-1"}
    return await stack.enter_async_context(get_session().create_client(service, endpoint_url=gateway.url, **keys))


async def test_a_training_job_runs(gateway: LocalAws, account: Account) -> None:
    async with AsyncExitStack() as stack:
        sagemaker = await _client(stack, gateway, "sagemaker")
        await sagemaker.create_training_job(**training_request("async-job", {}))
        waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
        await waiter.wait(TrainingJobName="async-job", WaiterConfig={"Delay": 1})
        job = await sagemaker.describe_training_job(TrainingJobName="async-job")
    assert job["TrainingJobStatus"] == "Completed"


async def test_an_endpoint_is_asked_twenty_times_at_once(gateway: LocalAws, account: Account) -> None:
    account.endpoint("async", account.model("async-v1", "weights"))
    async with AsyncExitStack() as stack:
        runtime = await _client(stack, gateway, "sagemaker-runtime")

        async def ask(number: int) -> dict[str, Any]:
            body = bytes([number]) * 1000
            response = await runtime.invoke_endpoint(EndpointName="async", Body=body, ContentType="application/x-image")
            return dict(json.loads(await response["Body"].read()))

        answers = await asyncio.gather(*map(ask, range(20)))
    assert [answer["bytes"][0] for answer in answers] == list(range(20))


async def test_fifty_conversations_at_once(gateway: LocalAws) -> None:
    async with AsyncExitStack() as stack:
        bedrock = await _client(stack, gateway, "bedrock-runtime")
        messages = [{"role": "user", "content": [{"text": FACTS}]}]
        answers = await asyncio.gather(*(bedrock.converse(modelId="any", messages=messages) for _ in range(50)))
    texts = {answer["output"]["message"]["content"][0]["text"] for answer in answers}
    assert len(texts) == 1 and "Denim" in texts.pop()


async def test_objects_are_written_and_read(gateway: LocalAws) -> None:
    async with AsyncExitStack() as stack:
        s3 = await _client(stack, gateway, "s3")
        await s3.put_object(Bucket="data", Key="async", Body=b"x", IfNoneMatch="*")
        response = await s3.get_object(Bucket="data", Key="async")
        assert await response["Body"].read() == b"x"
