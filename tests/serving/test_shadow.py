"""A challenger beside the champion on local AWS, in which both really answer."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.serving.conftest import OTHER, wait_for
from tests.serving.test_prediction import publish

from lookbook import storage
from lookbook.aws import client
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage.records import TaskKey, recording
from lookbook.serving import requests as serving
from lookbook.serving import shadow as shadows
from lookbook.serving import shadow_capture, shadow_page, shadow_replay, shadow_report, shadow_watch
from lookbook.serving.shadow import Shadow
from lookbook.serving.shadow_watch import Watched
from lookbook.settings import get_settings
from lookbook.training import registry
from lookbook.vqa.questions import QUESTIONS

ATTRIBUTES = ("Fabric", "baseColour", "Fit")
PENDING = "PendingManualApproval"
ENDED = Watched("2026-11-21T10:00:00+00:00", "the time is over")


def champion(account: Any) -> str:
    """Put a model in service that was verified; return its endpoint config."""
    package = account.register(attributes=ATTRIBUTES)
    config: str = account.deploy(package)
    registry.approve(package, config)
    return config


def put_on(account: Any, shadow: Shadow) -> str:
    """Put the challenger beside the champion; return the config of both."""
    asked = shadows.requests(shadow)
    client("sagemaker").create_model(**asked["model"])
    client("sagemaker").create_endpoint_config(**asked["endpoint_config"])
    client("sagemaker").update_endpoint(**asked["endpoint"])
    wait_for(lambda: account.endpoint()["EndpointStatus"] == "InService")
    config: str = asked["endpoint"]["EndpointConfigName"]
    assert account.endpoint()["EndpointConfigName"] == config
    return config


def captured(shadow: Shadow, requests: int) -> None:
    """Wait until so many requests of both are captured."""
    wait_for(lambda: shadow_capture.numbers(shadow) == (requests, requests))


def line(event: str, inference_id: str | None = None, version: str = "v1", **values: str | None) -> str:
    """A line as SageMaker captures it."""
    answers = [
        {
            "question": QUESTIONS[attribute],
            "attribute": attribute,
            "value": value,
            "probability": 0.9,
            "text": "t",
        }
        for attribute, value in values.items()
    ]
    about = {"eventId": event} | ({"inferenceId": inference_id} if inference_id else {})
    data = json.dumps({"answers": answers, "model_version": version})
    output = {"data": data, "encoding": "JSON", "mode": "OUTPUT", "observedContentType": "application/json"}
    return json.dumps({"captureData": {"endpointOutput": output}, "eventMetadata": about, "eventVersion": "0"})


@pytest.fixture
def written(bucket: str) -> Shadow:
    """A shadow that ran, of which only what was captured is left to be written."""
    root = shadows.root_of("manual__1")
    sent = shadow_replay.Replay(f"{root}/replay.json", "2026-11-21T09:00:00+00:00", 2, 0, {})
    storage.write_json(sent.uri, sent.__dict__)
    return Shadow(root, "arn/1", "v1", "config-1", "config-1", "arn/2", "v2", 1.0)


def write(shadow: Shadow, variant: str, *lines: str) -> None:
    endpoint = get_settings().endpoint_name
    place = f"{shadow.captured_uri}/{endpoint}/{variant}/2026/11/21/09/{len(lines)}.jsonl"
    storage.write_bytes(place, "\n".join(lines).encode())


def build(shadow: Shadow, monkeypatch: pytest.MonkeyPatch) -> shadow_report.Report:
    """Build the report; CloudWatch has its own test."""
    nothing = shadow_report.Measured(0, 0, 0, None)
    monkeypatch.setattr(shadow_report, "measured", lambda *_: nothing)
    return shadow_report.build(shadow, f"{shadow.root}/replay.json", ENDED)


async def test_a_challenger_is_compared_on_the_same_requests_and_nobody_gets_its_answers(account: Any) -> None:
    alone = champion(account)
    challenger = account.register(OTHER, attributes=ATTRIBUTES, approval=PENDING)
    publish(
        account, {"1": "shirt one", "2": "shirt two"}, attributes=[("Fabric", "x"), ("baseColour", "x"), ("Fit", "x")]
    )
    shadow = shadows.choose(None, 1.0, "manual__1")
    config = put_on(account, shadow)
    assert (registry.champion().version, registry.champion().shadowed) == ("v1", True)

    sent = await shadow_replay.replay(shadow, 100)
    assert (sent.pictures, sent.golden) == (2, {"lookbook-golden-0": "so"})
    captured(shadow, 3)
    now = datetime.now(UTC)
    watched = shadow_watch.look(shadow, config, sent.uri, hours=0, enough=None, now=now)
    assert watched is not None and watched.why == "the time is over, and every answer is captured"

    with recording(TaskKey("shadow_attribute_model", "r", "compare")) as record:
        compared = shadow_report.compare(shadow, config, sent.uri, watched)
    report = storage.read_json(compared["uri"])
    assert (report["champion"], report["challenger"], report["subjects"]) == ("v1", "v2", 2)
    assert report["golden"] == {"asked": 1, "captured": 1, "as_evaluated": 1}
    outcomes = {name: {key for key, number in one.items() if number == 2} for name, one in report["attributes"].items()}
    assert outcomes == {"Fabric": {"differs"}, "Fit": {"champion_abstains"}, "baseColour": {"challenger_abstains"}}
    assert {(one["champion"], one["challenger"]) for one in report["differences"]} == {("Cotton", "Silk")}
    assert sorted(one["products"] for one in report["differences"]) == [["1"], ["2"]]
    assert report["measured"]["challenger"]["requests"] >= 3
    assert report["measured"]["challenger"]["latency_ms"] > 0
    assert [one.name for one in record.outputs] == [compared["uri"], compared["page_uri"]]
    page = shadow_page.read(shadow.root).decode()
    assert "v2 beside v1" in page and "Silk" in page

    shadow_report.note(shadow, compared)
    package = registry.describe(challenger)
    assert package["ModelApprovalStatus"] == PENDING
    assert package["CustomerMetadataProperties"]["shadow_agreement"] == "0.0000"
    # What a run could not take off, the next one does.
    again = shadows.choose(None, 1.0, "manual__2")
    assert (again.serving_config, again.config_alone) == (config, alone)
    # A deployment that fails meanwhile goes back to the champion alone.
    assert serving.serving_requests(challenger)["way_back"]["EndpointConfigName"] == alone


def test_what_another_deployment_took_over_is_watched_no_longer(account: Any) -> None:
    champion(account)
    account.register(approval=PENDING)
    shadow = shadows.choose(None, 1.0, "manual__1")
    now = datetime.now(UTC)
    watched = shadow_watch.look(shadow, "both", f"{shadow.root}/replay.json", hours=1, enough=None, now=now)
    assert watched is not None and watched.why == "another deployment took the endpoint over"


def test_the_newest_that_nobody_decided_about_is_chosen_and_any_other_by_its_version(account: Any) -> None:
    champion(account)
    account.register(approval="Rejected")
    account.register(approval=PENDING)
    newest = account.register(approval=PENDING)
    account.register(approval="Approved")
    assert shadows.choose(None, 1.0, "manual__1").challenger_arn == newest
    assert shadows.choose("2", 0.5, "manual__1").challenger_version == "v2"
    with pytest.raises(PermanentError, match="v1 is in service: it can't be its own challenger"):
        shadows.choose("v1", 1.0, "manual__1")
    with pytest.raises(PermanentError, match="There is no model v9"):
        shadows.choose("v9", 1.0, "manual__1")
    registry.mark_expired(newest)
    with pytest.raises(PermanentError, match="v4 has no artefact any more"):
        shadows.choose(None, 1.0, "manual__1")


def test_a_share_is_a_weight_and_as_many_instances_as_it_needs(account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_ENDPOINT_INSTANCES", "3")
    get_settings.cache_clear()
    champion(account)
    account.register(approval=PENDING)
    config = shadows.requests(shadows.choose(None, 0.5, "manual__1"))["endpoint_config"]
    (copies,) = config["ShadowProductionVariants"]
    assert (copies["InitialVariantWeight"], copies["InitialInstanceCount"]) == (0.5, 2)
    assert config["DataCaptureConfig"]["CaptureOptions"] == [{"CaptureMode": "Output"}]


def test_without_a_model_in_service_or_a_challenger_there_is_nothing_to_compare(account: Any) -> None:
    with pytest.raises(PermanentError, match="No model is in service"):
        shadows.choose(None, 1.0, "manual__1")
    package = account.register()
    account.deploy(package)
    account.register(approval=PENDING)
    with pytest.raises(PermanentError, match="No registered model waits"):
        client("sagemaker").update_model_package(ModelPackageArn=registry.awaiting()[0], ModelApprovalStatus="Rejected")
        shadows.choose(None, 1.0, "manual__1")
    registry.reject(package, "It is being verified.")
    with pytest.raises(RetryableError, match="not approved"):
        shadows.choose(None, 1.0, "manual__1")


def test_outcomes_are_told_apart(written: Shadow, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        written,
        "AllTraffic",
        line("a", Fabric="Cotton", Fit=None),
        line("b", Fabric="Cotton", Fit=None),
        line("c", Fabric="Cotton", Fit="Slim Fit"),
        line("lonely", Fabric="Cotton"),
    )
    write(
        written,
        shadows.VARIANT,
        line("c", version="v2", Fabric="Cotton", Fit=None),
        line("b", version="v2", Fabric="Silk", Fit="Slim Fit"),
        line("a", version="v2", Fabric="Cotton", Fit=None),
    )
    report = build(written, monkeypatch)
    assert report.subjects == 3
    assert report.attributes == {
        "Fabric": shadow_report.AttributeComparison(same=2, differs=1),
        "Fit": shadow_report.AttributeComparison(champion_abstains=1, challenger_abstains=1, both_abstain=1),
    }
    assert report.attributes["Fabric"].agreement == pytest.approx(2 / 3)
    assert report.attributes["Fit"].agreement is None
    assert report.total.questions == 6


def test_a_picture_that_was_asked_about_twice_counts_once(written: Shadow, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = hashlib.sha256(b"shirt").hexdigest()
    write(written, "AllTraffic", *(line(event, picture, Fabric="Cotton") for event in "ab"))
    write(written, shadows.VARIANT, *(line(event, picture, "v2", Fabric="Cotton") for event in "ab"))
    assert build(written, monkeypatch).total == shadow_report.AttributeComparison(same=1)


def test_checks_of_our_own_are_not_compared(written: Shadow, monkeypatch: pytest.MonkeyPatch) -> None:
    write(written, "AllTraffic", line("a", "lookbook-verify", Fabric="Cotton"))
    write(written, shadows.VARIANT, line("a", "lookbook-verify", "v2", Fabric="Silk"))
    assert build(written, monkeypatch).attributes == {}


@pytest.mark.parametrize("bad", ["{", "[]", '{"eventMetadata": {"eventId": "b"}}', line("b").replace("answers", "no")])
def test_a_line_that_cannot_be_read_is_counted(bad: str, written: Shadow, monkeypatch: pytest.MonkeyPatch) -> None:
    write(written, "AllTraffic", line("a", Fabric="Cotton"), bad)
    write(written, shadows.VARIANT, line("a", version="v2", Fabric="Cotton"))
    report = build(written, monkeypatch)
    assert (report.unread_lines, report.total.same) == (1, 1)
    assert "Captured lines that could not be read: 1." in shadow_page.render(report)


def test_answers_of_another_model_are_not_taken_for_the_challengers(
    written: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(written, "AllTraffic", line("a", Fabric="Cotton"))
    write(written, shadows.VARIANT, line("a", version="v7", Fabric="Cotton"))
    with pytest.raises(PermanentError, match="As challenger, model v7 answered, expected v2"):
        build(written, monkeypatch)


def test_a_challenger_that_answered_nothing_cannot_be_compared(
    written: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(written, "AllTraffic", line("a", Fabric="Cotton"))
    with pytest.raises(PermanentError, match=r"1 by the champion, 0 by the challenger"):
        build(written, monkeypatch)


@pytest.mark.parametrize(
    ("minutes", "challengers", "why"),
    [
        (59, 2, None),
        (61, 2, "every answer is captured"),
        (61, 1, None),
        (63, 1, "nothing more is captured"),
    ],
)
def test_watching_lasts_as_long_as_was_asked_for_and_until_answers_are_written(
    minutes: int, challengers: int, why: str | None, written: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(written, "AllTraffic", line("a"), line("b"))
    write(written, shadows.VARIANT, *[line("a", version="v2"), line("b", version="v2")][:challengers])
    began = datetime(2026, 11, 21, 9, tzinfo=UTC)
    monkeypatch.setattr(shadows, "is_on", lambda _: True)
    monkeypatch.setattr(storage, "last_change", lambda _: began + timedelta(minutes=60))
    watched = shadow_watch.look(
        written, "both", f"{written.root}/replay.json", hours=1, enough=None, now=began + timedelta(minutes=minutes)
    )
    assert (watched and watched.why.partition(", and ")[2]) == why


def test_watching_ends_early_when_enough_is_answered(written: Shadow, monkeypatch: pytest.MonkeyPatch) -> None:
    write(written, shadows.VARIANT, line("a", version="v2"))
    monkeypatch.setattr(shadows, "is_on", lambda _: True)
    now = datetime(2026, 11, 21, 9, 1, tzinfo=UTC)
    watched = shadow_watch.look(written, "both", f"{written.root}/replay.json", hours=9, enough=1, now=now)
    assert watched is not None and watched.why == "enough is answered, requests: 1"


def test_what_is_never_captured_is_not_waited_for_without_end(written: Shadow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadows, "is_on", lambda _: True)
    now = datetime(2026, 11, 21, 9, 10, tzinfo=UTC)
    watched = shadow_watch.look(written, "both", f"{written.root}/replay.json", hours=0, enough=None, now=now)
    assert watched is not None and "2 answers were not captured in time" in watched.why


def test_a_run_that_compared_nothing_has_no_page(bucket: str) -> None:
    with pytest.raises(shadow_page.PageNotFoundError, match="no challenger was compared there"):
        shadow_page.read(shadows.root_of("none"))
