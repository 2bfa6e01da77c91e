"""Faults on request: what is drawn, and what a client then sees."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from starlette.requests import Request
from tests.local_aws.conftest import LocalAws, wait_for

from local_aws.bedrock.caching import PromptCache
from local_aws.bedrock.calls import Calls
from local_aws.bedrock.conversation import Conversation, Message
from local_aws.bedrock.faults import Faults
from local_aws.bedrock.guardrails import Guardrails
from local_aws.bedrock.models import Models
from local_aws.bedrock.places import Place
from local_aws.bedrock.writer import LocalWriter
from local_aws.settings import FaultShares, Settings, from_environment

ASKED = [{"role": "user", "content": [{"text": "<facts>\n- Fabric: Cotton\n</facts>"}]}]
SETTINGS = Settings(state=Path(), images=Path())


def _conversation(text: str) -> Conversation:
    return Conversation("m", "", (Message("user", text),), 100)


def test_each_fault_comes_as_often_as_its_share_says() -> None:
    faults = Faults(FaultShares(throttle=0.5, error=0.05, malformed=0.05, hang=0.05, slow=0.1))
    counted = Counter(faults.draw() for _ in range(10_000))
    shares = {kind: count / 10_000 for kind, count in counted.items()}
    expected = {"throttle": 0.5, "error": 0.05, "malformed": 0.05, "hang": 0.05, "slow": 0.1, None: 0.25}
    assert shares == pytest.approx(expected, abs=0.02)


def test_the_same_seed_draws_the_same_faults() -> None:
    drawn = {seed: [Faults(FaultShares(error=0.5, seed=seed)).draw() for _ in range(1)] for seed in range(50)}
    again = {seed: [Faults(FaultShares(error=0.5, seed=seed)).draw() for _ in range(1)] for seed in range(50)}
    assert drawn == again
    assert {kind for kinds in drawn.values() for kind in kinds} == {None, "error"}


def test_a_model_refuses_conversations_and_not_calls() -> None:
    faults = Faults(FaultShares(refuse=0.3))
    refused = [faults.refuses(_conversation(str(number))) for number in range(1000)]
    assert refused == [faults.refuses(_conversation(str(number))) for number in range(1000)]
    assert sum(refused) == pytest.approx(300, abs=50)


@pytest.mark.parametrize("text", ['{"throttle": 0.9, "error": 0.2}', '{"refuse": -1}', '{"trottle": 1}', "[]", "x"])
def test_shares_that_make_no_sense_stop_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="LOCAL_AWS_BEDROCK_FAULTS"):
        from_environment(SETTINGS, {"LOCAL_AWS_BEDROCK_FAULTS": text})


def test_faults_are_set_for_all_models_or_for_each() -> None:
    for_all = from_environment(SETTINGS, {"LOCAL_AWS_BEDROCK_FAULTS": '{"throttle": 0.5}'}).bedrock_faults
    assert Place("any").find(for_all) == FaultShares(throttle=0.5)
    text = '{"m": {"hang": 1, "hang_s": 2}, "@eu-west-1": {"error": 1}}'
    for_each = from_environment(SETTINGS, {"LOCAL_AWS_BEDROCK_FAULTS": text}).bedrock_faults
    assert Place("m").find(for_each) == FaultShares(hang=1, hang_s=2)
    assert Place("m", "eu-west-1").find(for_each) == FaultShares(error=1)
    assert Place("other").find(for_each) is None


def test_an_answer_takes_as_long_as_the_latency_says_and_a_slow_one_longer() -> None:
    settings = from_environment(
        SETTINGS, {"LOCAL_AWS_BEDROCK_LATENCY_MS": "30", "LOCAL_AWS_BEDROCK_FAULTS": '{"slow": 1, "slow_s": 0.05}'}
    )
    models = Models(LocalWriter(), PromptCache(), Guardrails({}))
    calls, request = Calls(models, settings), Request({"type": "http"})

    async def timed(fault: str | None) -> float:
        started = asyncio.get_running_loop().time()
        await calls.ask(Place("m"), _conversation("x"), fault, request)
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(timed(None)) >= 0.03
    assert asyncio.run(timed("slow")) >= 0.05


@pytest.fixture(scope="session")
def bedrock(gateway: LocalAws) -> Any:
    return gateway.client("bedrock-runtime")


def _count(gateway: LocalAws, model: str) -> dict[str, int]:
    with urlopen(f"{gateway.url}/_local-aws/bedrock") as response:
        return dict(json.load(response).get(model, {}))


def _error(bedrock: Any, model: str) -> tuple[int, str]:
    with pytest.raises(ClientError) as refusal:
        bedrock.converse(modelId=model, messages=ASKED)
    response = refusal.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_a_call_can_be_throttled_without_a_quota(bedrock: Any, gateway: LocalAws) -> None:
    assert _error(bedrock, "anthropic.throttles") == (429, "ThrottlingException")
    assert _count(gateway, "anthropic.throttles")["throttled"] == 1


def test_bedrock_can_be_down_in_two_ways(bedrock: Any, gateway: LocalAws) -> None:
    seen = {_error(bedrock, "anthropic.fails") for _ in range(20)}
    assert seen == {(500, "InternalServerException"), (503, "ServiceUnavailableException")}
    count = _count(gateway, "anthropic.fails")
    assert (count["calls"], count["failed"], count["server_errors"]) == (20, 20, 20)
    assert (count["answered"], count["input_tokens"]) == (0, 0)


def test_a_region_can_be_down_while_another_answers(bedrock: Any, gateway: LocalAws) -> None:
    other = gateway.client("bedrock-runtime", region_name="eu-west-1")
    assert _error(other, "anthropic.fails-in-europe")[0] >= 500
    assert bedrock.converse(modelId="anthropic.fails-in-europe", messages=ASKED)["stopReason"] == "end_turn"
    assert _count(gateway, "anthropic.fails-in-europe@eu-west-1")["failed"] == 1


def test_an_answer_can_be_broken_or_lack_what_the_model_said() -> None:
    answer = {"output": {"message": {}}, "usage": {"inputTokens": 1}}
    faults, body = Faults(FaultShares(malformed=1)), json.dumps(answer).encode()
    assert {faults.spoilt(body, answer) for _ in range(20)} == {
        body[: len(body) // 2],
        b'{"usage":{"inputTokens":1}}',
    }


def test_a_spoilt_answer_counts_as_a_failure(bedrock: Any, gateway: LocalAws) -> None:
    # botocore takes JSON that it can't read for an answer without members.
    assert "output" not in bedrock.converse(modelId="anthropic.talks-rubbish", messages=ASKED)
    assert _count(gateway, "anthropic.talks-rubbish")["failed"] == 1


def test_a_call_can_hang_until_its_caller_gives_up(gateway: LocalAws) -> None:
    impatient = gateway.client("bedrock-runtime", read_timeout=0.2)
    with pytest.raises(ReadTimeoutError):
        impatient.converse(modelId="anthropic.hangs", messages=ASKED)
    count = wait_for(lambda: one if (one := _count(gateway, "anthropic.hangs"))["in_flight"] == 0 else None)
    assert (count["calls"], count["failed"]) == (1, 1)


def test_a_call_that_hangs_is_timed_out_in_the_end(bedrock: Any) -> None:
    assert _error(bedrock, "anthropic.hangs-briefly") == (408, "ModelTimeoutException")


def test_a_model_can_refuse(bedrock: Any) -> None:
    refused = bedrock.converse(modelId="anthropic.refuses", messages=ASKED)
    assert refused["stopReason"] == "content_filtered"
    assert refused["output"]["message"]["content"] == []
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    invoked = bedrock.invoke_model(modelId="anthropic.refuses", body=json.dumps(body))
    assert json.load(invoked["body"])["stop_reason"] == "refusal"


def test_answered_calls_are_counted_with_their_tokens(bedrock: Any, gateway: LocalAws) -> None:
    usage = bedrock.converse(modelId="anthropic.counted", messages=ASKED)["usage"]
    assert _count(gateway, "anthropic.counted") == {
        "calls": 1,
        "answered": 1,
        "throttled": 0,
        "failed": 0,
        "server_errors": 0,
        "in_flight": 0,
        "input_tokens": usage["inputTokens"],
        "output_tokens": usage["outputTokens"],
        "cache_read_tokens": 0,
        "cache_written_tokens": 0,
    }
