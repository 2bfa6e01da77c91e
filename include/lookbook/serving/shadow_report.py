"""Champion and challenger compared on the same requests: by attribute, with what both cost in time and in errors."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from lookbook import storage
from lookbook.catalog import tables
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.serving import shadow as shadows
from lookbook.serving import shadow_capture, shadow_page, shadow_replay
from lookbook.serving.alarms import VARIANT as CHAMPION
from lookbook.serving.shadow import Shadow
from lookbook.serving.shadow_capture import Captured, Event, Said
from lookbook.serving.shadow_metrics import Measured, measured
from lookbook.serving.shadow_watch import Watched
from lookbook.serving.verification import OWN_REQUESTS
from lookbook.settings import get_settings
from lookbook.training import registry

log = logging.getLogger(__name__)

Outcome = Literal["same", "differs", "champion_abstains", "challenger_abstains", "both_abstain"]
_DIFFERENCES_KEPT = 500


@dataclass(frozen=True)
class AttributeComparison:
    """How often both said the same of an attribute: counts of questions about a picture."""

    same: int = 0
    differs: int = 0
    champion_abstains: int = 0
    challenger_abstains: int = 0
    both_abstain: int = 0

    @property
    def questions(self) -> int:
        """How many were compared."""
        return sum(asdict(self).values())

    @property
    def agreement(self) -> float | None:
        """The share of the same values where both named one; ``None`` where neither did."""
        both = self.same + self.differs
        return self.same / both if both else None


@dataclass(frozen=True)
class Difference:
    """A picture of which champion and challenger say different things, each with its probability."""

    attribute: str
    champion: str
    champion_probability: float
    challenger: str
    challenger_probability: float
    subject: str
    """The request's inference id, the picture's SHA-256 where Lookbook asked; else the event's id."""
    products: tuple[str, ...] = ()


@dataclass(frozen=True)
class Golden:
    """How the challenger answered its own golden questions here: as it did when it was evaluated, or not."""

    asked: int
    captured: int
    as_evaluated: int


@dataclass(frozen=True)
class Report:
    """The comparison; times are ISO 8601, UTC. ``subjects`` are pictures, as far as requests say which."""

    champion: str
    challenger: str
    share: float
    since: str
    until: str
    ended: str
    subjects: int
    unread_lines: int
    golden: Golden
    measured: Mapping[str, Measured]
    attributes: Mapping[str, AttributeComparison]
    differences: tuple[Difference, ...] = field(default=())
    """The first of them, the surest challengers' first."""

    @property
    def total(self) -> AttributeComparison:
        """The comparison of all attributes together."""
        return _added(self.attributes.values())

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, with the sums."""
        return asdict(self) | {"total": asdict(self.total), "agreement": self.total.agreement}


def compare(shadow: Shadow, endpoint_config: str, replay_uri: str, watched: Watched) -> dict[str, Any]:
    """Compare what both answered; store the report and its page, and return the reference to them.

    Raises:
        PermanentError: no request was answered by both.
    """
    report = build(shadow, replay_uri, watched)
    stored = storage.write_json(f"{shadow.root}/report.json", report.as_json())
    page = storage.write_bytes(
        shadow_page.uri(shadow.root), shadow_page.render(report).encode(), "text/html; charset=utf-8"
    )
    records.reads("prefix", f"{shadow.captured_uri}/", endpoint_config)
    records.reads("endpoint_config", get_settings().endpoint_name, endpoint_config)
    records.writes_object(stored)
    records.writes_object(page)
    total = report.total
    records.counts(pictures=report.subjects, **asdict(total))
    log.info("%s beside %s on %d pictures: %s", report.challenger, report.champion, report.subjects, asdict(total))
    return {"uri": stored.uri, "page_uri": page.uri, "pictures": report.subjects, "agreement": total.agreement}


def note(shadow: Shadow, compared: Mapping[str, Any]) -> dict[str, str]:
    """Say in the challenger's package how it compared, for whoever decides about it; return what was written."""
    agreement = compared["agreement"]
    said = {
        "shadow_report": str(compared["uri"]),
        "shadowed_beside": shadow.champion_version,
        "shadow_pictures": str(compared["pictures"]),
        "shadow_agreement": "none" if agreement is None else f"{agreement:.4f}",
    }
    registry.annotate(shadow.challenger_arn, said)
    records.writes("model_package", get_settings().model_package_group, shadow.challenger_arn)
    return said


def build(shadow: Shadow, replay_uri: str, watched: Watched) -> Report:
    """Return the comparison of what is captured until now."""
    sent = shadow_replay.read(replay_uri)
    champions, challengers = shadow_capture.champions(shadow), shadow_capture.challengers(shadow)
    _check_versions(shadow, champions, challengers)
    pairs = list(_pairs(champions, challengers))
    asked = [pair for pair in pairs if not (pair[0].inference_id or "").startswith(OWN_REQUESTS)]
    if not pairs:
        raise PermanentError(
            f"No request was answered by both models ({len(champions.events)} by the champion, "
            f"{len(challengers.events)} by the challenger): nothing can be compared. See the endpoint's log."
        )
    answers = _answers(asked)
    differences = sorted(_differences(answers), key=lambda one: -one.challenger_probability)
    since = datetime.fromisoformat(sent.since)
    return Report(
        champion=shadow.champion_version,
        challenger=shadow.challenger_version,
        share=shadow.share,
        since=sent.since,
        until=watched.until,
        ended=watched.why,
        subjects=len({subject for subject, _ in answers}),
        unread_lines=champions.unread + challengers.unread,
        golden=_golden(sent.golden, challengers),
        measured={"champion": measured(CHAMPION, since), "challenger": measured(shadows.VARIANT, since)},
        attributes=_by_attribute(answers),
        differences=_with_products(differences[:_DIFFERENCES_KEPT]),
    )


_Answers = dict[tuple[str, str], tuple[Said, Said]]


def _check_versions(shadow: Shadow, champions: Captured, challengers: Captured) -> None:
    """Check that who answered is who was to be compared."""
    expected = (
        ("champion", shadow.champion_version, champions),
        ("challenger", shadow.challenger_version, challengers),
    )
    for name, version, captured in expected:
        others = {event.model_version for event in captured.events} - {version}
        if others:
            raise PermanentError(f"As {name}, model {', '.join(sorted(others))} answered, expected {version}.")


def _pairs(champions: Captured, challengers: Captured) -> Iterator[tuple[Event, Event]]:
    """Yield the two events of each request that both answered, in the order of their capture."""
    others = {event.event_id: event for event in challengers.events}
    for event in champions.events:
        if event.event_id in others:
            yield event, others[event.event_id]


def _answers(pairs: Iterable[tuple[Event, Event]]) -> _Answers:
    """Return what both said, by subject and attribute; of a subject that was asked about twice, the last."""
    return {
        (champion.subject, attribute): (said, challenger.said[attribute])
        for champion, challenger in pairs
        for attribute, said in champion.said.items()
        if attribute in challenger.said
    }


def _outcome(champion: Said, challenger: Said) -> Outcome:
    if champion.value is None:
        return "both_abstain" if challenger.value is None else "champion_abstains"
    if challenger.value is None:
        return "challenger_abstains"
    return "same" if champion.value == challenger.value else "differs"


def _by_attribute(answers: _Answers) -> dict[str, AttributeComparison]:
    counted: dict[str, dict[Outcome, int]] = {}
    for (_, attribute), said in answers.items():
        numbers = counted.setdefault(attribute, {})
        outcome = _outcome(*said)
        numbers[outcome] = numbers.get(outcome, 0) + 1
    return {attribute: AttributeComparison(**numbers) for attribute, numbers in sorted(counted.items())}


def _differences(answers: _Answers) -> Iterator[Difference]:
    for (subject, attribute), (one, other) in answers.items():
        if one.value is not None and other.value is not None and one.value != other.value:
            yield Difference(attribute, one.value, one.probability, other.value, other.probability, subject)


def _with_products(differences: list[Difference]) -> tuple[Difference, ...]:
    """Name the products whose pictures are meant."""
    wanted = {one.subject for one in differences}
    if not wanted:
        return ()
    rows = tables.read(
        "catalog.products", tables.one_of("picture_sha256", wanted), ("product_id", "picture_sha256")
    ).to_pylist()
    products: dict[str, set[str]] = {}
    for row in rows:
        products.setdefault(row["picture_sha256"], set()).add(row["product_id"])
    return tuple(
        Difference(**asdict(one) | {"products": tuple(sorted(products.get(one.subject, ())))}) for one in differences
    )


def _golden(expected: Mapping[str, str], challengers: Captured) -> Golden:
    given = {event.inference_id: event for event in challengers.events if event.inference_id in expected}
    right = sum(
        [said.text for said in event.said.values()] == [expected[inference_id]]
        for inference_id, event in given.items()
        if inference_id is not None
    )
    return Golden(len(expected), len(given), right)


def _added(comparisons: Iterable[AttributeComparison]) -> AttributeComparison:
    totals = AttributeComparison()
    for one in comparisons:
        totals = AttributeComparison(*(a + b for a, b in zip(_counts(totals), _counts(one), strict=True)))
    return totals


def _counts(comparison: AttributeComparison) -> tuple[int, ...]:
    return tuple(asdict(comparison).values())
