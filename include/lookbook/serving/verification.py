"""Proof that a deployment took place: the config asked for, the new model on every instance, and its own answers.

SageMaker returns an endpoint to ``InService`` with its **old** config when an update fails, and does not say which
instance answered a request. Hence: the config is compared, so many requests are sent that an instance with another
model would have answered one of them, and what is asked are the evaluation's golden questions, which this very model
answered before (docs/decisions/0020-deployed-means-verified.md).
"""

from __future__ import annotations

import base64
import io
import logging
import math
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from typing import Any

import boto3
import orjson
from botocore.config import Config
from PIL import Image

from lookbook.aws import CLIENT_CONFIG
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.serving import invocation, reporting
from lookbook.settings import Settings, get_settings
from lookbook.training import evaluation, registry
from lookbook.training.evaluation import GoldenQuestion
from lookbook.vqa.questions import QUESTIONS

log = logging.getLogger(__name__)

CHANCE_OF_MISSING = 1e-6
"""How probable it may be that an instance with another model answered none of the requests."""

OWN_REQUESTS = "lookbook-"
"""What the inference ids of requests begin with that a check sent, and nobody who wanted to know the answer."""

_VERIFYING, _GOLDEN = f"{OWN_REQUESTS}verify", f"{OWN_REQUESTS}golden-"
_PLAIN_ATTRIBUTE = "baseColour"
_PLAIN_SIZE = (64, 64)  # pixels
_DIFFERENCES_NAMED = 3
_LONGEST_SHOWN = 80


@dataclass(frozen=True)
class Verified:
    """An endpoint that was seen to serve what was deployed, by ``requests`` of which ``golden`` were checked."""

    endpoint_name: str
    endpoint_config: str
    model_version: str
    instances: int
    requests: int
    golden: int
    median_ms: int

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Asked:
    """A question about a picture and, for a golden one, the answer that is expected."""

    name: str
    picture: bytes
    question: str
    expected: str | None
    inference_id: str = _VERIFYING


@dataclass(frozen=True)
class _Given:
    """What was answered, by which model, and how long it took."""

    asked: _Asked
    text: str
    version: str
    latency_ms: float


def verify(endpoint_config: str, package_arn: str) -> Verified:
    """Check that the endpoint serves a config, that only the package's model answers, rightly and in time.

    Raises:
        PermanentError: the endpoint serves another config or version, refuses the questions, answers them otherwise
            than the model did when it was evaluated, or mostly takes longer than ``LOOKBOOK_ENDPOINT_MAX_LATENCY_MS``.
        RetryableError: it does not answer now.
    """
    settings, version = get_settings(), registry.version_of(package_arn)
    instances = _check_config(settings.endpoint_name, endpoint_config)
    questions = _questions(package_arn)
    number = max(len(questions), enough(instances))
    given = _ask_all(settings.endpoint_name, list(islice(cycle(questions), number)), width=instances)
    _check_versions(given, version, endpoint_config)
    golden = _check_answers(given, version)
    median_ms = _check_latency(given, settings, version)
    _check_config(settings.endpoint_name, endpoint_config)
    records.reads("model_package", settings.model_package_group, package_arn)
    records.reads("endpoint_config", settings.endpoint_name, endpoint_config)
    records.counts(instances=instances, requests=number, golden_answers=golden)
    records.details(model_version=version)
    log.info(
        "Endpoint %s serves %s on %d instance(s): %d requests, %d golden answers as evaluated, half within %d ms.",
        settings.endpoint_name,
        version,
        instances,
        number,
        golden,
        median_ms,
    )
    return Verified(settings.endpoint_name, endpoint_config, version, instances, number, golden, median_ms)


def ask_golden(package_arn: str) -> dict[str, str]:
    """Ask a package's golden questions of whatever serves, whose answers are not judged: a shadow is to get copies.

    Returns:
        The answers that the package's own model gave when it was evaluated, by the inference id of the request.
    """
    asked = [
        replace(one, inference_id=f"{_GOLDEN}{number}")
        for number, one in enumerate(_questions(package_arn))
        if one.expected is not None
    ]
    _ask_all(get_settings().endpoint_name, asked, width=1)
    return {one.inference_id: one.expected for one in asked if one.expected is not None}


def enough(instances: int) -> int:
    """Return how many requests show that no instance serves another model.

    SageMaker sends each request to an instance drawn at random, so k requests all miss a given one of n with
    probability (1 - 1/n)^k; that is to be at most ``CHANCE_OF_MISSING``.
    """
    return 1 if instances <= 1 else math.ceil(math.log(CHANCE_OF_MISSING) / math.log1p(-1 / instances))


def plain_picture() -> bytes:
    """Return a plain picture, which any model can say something about."""
    sink = io.BytesIO()
    Image.new("RGB", _PLAIN_SIZE, "navy").save(sink, "JPEG")
    return sink.getvalue()


def _check_config(name: str, expected: str) -> int:
    """Check what the endpoint says that it serves; return how many instances it has."""
    endpoint = registry.describe_endpoint(name)
    if endpoint is None:
        raise PermanentError(f"There is no endpoint {name}, expected one with config {expected}. Clear `deploy`.")
    status, config = endpoint["EndpointStatus"], endpoint["EndpointConfigName"]
    if status != "InService" or config != expected:
        raise PermanentError(
            f"Endpoint {name} is {status} with config {config}, expected InService with "
            f"{expected}. Reason: {endpoint.get('FailureReason', 'none given')}. See the endpoint's log."
        )
    reporting.report_images(endpoint)
    return sum(variant.get("CurrentInstanceCount", 1) for variant in endpoint["ProductionVariants"])


def _questions(package_arn: str) -> list[_Asked]:
    """Return the golden questions of the package's evaluation; a plain one where it has none."""
    report_uri = registry.describe(package_arn).get("CustomerMetadataProperties", {}).get("evaluation_report")
    golden = evaluation.golden(report_uri) if report_uri else ()
    if golden:
        return [_golden(one) for one in golden]
    log.warning("%s has no golden questions: only that it answers is checked.", package_arn)
    return [_Asked("a plain picture", plain_picture(), QUESTIONS[_PLAIN_ATTRIBUTE], None)]


def _golden(one: GoldenQuestion) -> _Asked:
    return _Asked(one.name, one.picture, one.question, one.answer)


def _ask_all(endpoint: str, asked: Sequence[_Asked], width: int) -> list[_Given]:
    """Ask one question an instance at a time: the latency is to be the model's, not that of a queue."""
    once = Config(retries={"total_max_attempts": 1}, max_pool_connections=width)
    runtime = boto3.client("sagemaker-runtime", get_settings().aws_region, config=CLIENT_CONFIG.merge(once))
    with ThreadPoolExecutor(width) as pool:
        return list(pool.map(lambda one: _ask(runtime, endpoint, one), asked))


def _ask(runtime: Any, endpoint: str, asked: _Asked) -> _Given:
    body = orjson.dumps({"image": base64.b64encode(asked.picture).decode(), "questions": [asked.question]})
    began = time.monotonic()
    try:
        response = runtime.invoke_endpoint(
            EndpointName=endpoint,
            ContentType="application/json",
            Accept="application/json",
            InferenceId=asked.inference_id,
            Body=body,
        )
        answered = response["Body"].read()
    except invocation.CALL_ERRORS as error:
        raise _failure(endpoint, asked, error) from error
    text, version = _read(answered)
    return _Given(asked, text, version, (time.monotonic() - began) * 1000)


def _failure(endpoint: str, asked: _Asked, error: invocation.CallError) -> PermanentError | RetryableError:
    try:
        return RetryableError(f"Endpoint {endpoint} does not answer: {invocation.passing_reason(error)}")
    except invocation.RefusedError as refusal:
        return PermanentError(f"Endpoint {endpoint} refuses {asked.name}: {refusal}. Its image is broken.")


def _read(body: bytes) -> tuple[str, str]:
    """Return what the model said and its version."""
    try:
        response = orjson.loads(body)
        (answer,) = response["answers"]
        return str(answer["text"]), str(response["model_version"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise PermanentError(
            f"The endpoint answered {body[:200]!r}, expected {{'answers': [one], 'model_version': …}}. "
            "Is another image deployed there?"
        ) from error


def _check_versions(given: Sequence[_Given], expected: str, config: str) -> None:
    others = [one.version for one in given if one.version != expected]
    if others:
        raise PermanentError(
            f"The endpoint has config {config}, but model version {_shown(others[0])} answers {len(others)} of "
            f"{len(given)} requests, expected {expected}."
        )


def _check_answers(given: Sequence[_Given], version: str) -> int:
    """Check what was said to golden questions; return how many there were."""
    golden = [one for one in given if one.asked.expected is not None]
    wrong = [one for one in golden if one.text != one.asked.expected]
    if wrong:
        shown = "; ".join(_difference(one) for one in wrong[:_DIFFERENCES_NAMED])
        more = f"; and {len(wrong) - _DIFFERENCES_NAMED} more" if len(wrong) > _DIFFERENCES_NAMED else ""
        raise PermanentError(
            f"Model {version} answers {len(wrong)} of {len(golden)} golden questions otherwise than when it was "
            f"evaluated: {shown}{more}. Its artefact or its image is not what was evaluated."
        )
    return len(golden)


def _difference(one: _Given) -> str:
    question, expected = one.asked.question, _shown(one.asked.expected or "")
    return f"{one.asked.name}: {question} {_shown(one.text)}, expected {expected}"


def _check_latency(given: Sequence[_Given], settings: Settings, version: str) -> int:
    median_ms = round(statistics.median(one.latency_ms for one in given))
    if median_ms > settings.endpoint_max_latency_ms:
        raise PermanentError(
            f"Model {version} is slow: half of {len(given)} answers took {median_ms} ms or more, expected at most "
            f"{settings.endpoint_max_latency_ms} (LOOKBOOK_ENDPOINT_MAX_LATENCY_MS)."
        )
    return median_ms


def _shown(text: str) -> str:
    return repr(text[:_LONGEST_SHOWN])
