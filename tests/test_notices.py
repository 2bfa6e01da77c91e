"""What people are told: short, without secrets, and without anybody else's markup."""

from __future__ import annotations

import pytest
from selectolax.lexbor import LexborHTMLParser

from lookbook.errors import PermanentError
from lookbook.notices import Notice, Target, reason, runbook

TOPIC = "arn:aws:sns:eu-west-1:123456789012:oncall"
RUN = "https://airflow.example.org/dags/ingest_drop/runs/manual__2026-11-16"


@pytest.mark.parametrize(
    ("text", "kind", "address"),
    [
        (f"sns:{TOPIC}", "sns", TOPIC),
        ("slack:slack_oncall", "slack", "slack_oncall"),
        ("mailto:oncall@example.org", "mailto", "oncall@example.org"),
    ],
)
def test_a_target_is_named_by_its_kind_and_address(text: str, kind: str, address: str) -> None:
    assert Target.parse(text) == Target(kind, address)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "https://hooks.slack.com/services/T0/B0/c2VjcmV0",
        "slack:https://hooks.slack.com/services/T0/B0/c2VjcmV0",
        f"sns:{TOPIC}.fifo",
        "mailto:nobody",
        "mailto:a@example.org,b@example.org",
        "oncall@example.org",
    ],
)
def test_what_names_nobody_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="Expected sns:") as refused:
        Target.parse(text)
    assert text not in str(refused.value)


def test_a_reason_is_the_kind_of_an_error_and_the_first_line_of_what_it_says() -> None:
    error = PermanentError("styles.csv of drop 2026-11-16: column missing\n1163,Men\n")
    assert reason(error) == "PermanentError: styles.csv of drop 2026-11-16: column missing"
    assert reason(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("postgresql://lookbook:s3cr3t@db:5432/x refused", "postgresql://lookbook:***@db:5432/x refused"),
        ("GET https://b.s3.amazonaws.com/k?X-Amz-Signature=abc123&a=1", "X-Amz-Signature=***&a=1"),
        ("key AKIAIOSFODNN7EXAMPLE is not known", "key *** is not known"),
        ('{"password": "s3cr3t", "user": "me"}', '{"password": "***", "user": "me"}'),
        ("AWS_SECRET_ACCESS_KEY=s3cr3t", "AWS_SECRET_ACCESS_KEY=***"),
        ("Authorization: Bearer eyJhbGciOi.abc", "Authorization: Bearer ***"),
        ("POST https://hooks.slack.com/services/T0/B0/s3cr3t: 404", "https://hooks.slack.com/***"),
    ],
)
def test_a_reason_keeps_secrets_to_itself(said: str, told: str) -> None:
    assert told in reason(RuntimeError(said))
    assert "s3cr3t" not in reason(RuntimeError(said))


def test_a_reason_hides_what_its_caller_knows_to_be_secret_before_it_is_cut() -> None:
    masked = reason(ValueError("x" * 490 + "hunter2hunter2"), lambda text: text.replace("hunter2hunter2", "***"))
    assert "hunter" not in masked


def test_a_reason_is_short_and_on_one_line_that_can_be_read() -> None:
    told = reason(ValueError("a\x1b[31mb\u202ec" + "d" * 5000))
    assert len(told) == 500 and told.endswith("…")
    assert told.startswith("ValueError: a [31mb cd")


def test_a_subject_is_what_sns_and_mail_take() -> None:
    subject = Notice("Größe\r\nBcc: all@example.org " + "x" * 200).as_subject()
    assert subject.isascii() and len(subject) < 100
    assert "\n" not in subject and "\r" not in subject


def test_nothing_but_the_links_is_markup_in_a_mail() -> None:
    page = LexborHTMLParser(
        Notice("<b>failed</b>", "<img src=x onerror=alert(1)>", {"Run": f'{RUN}?a="><script>'}).as_html()
    )
    assert [node.tag for node in page.body.css("b, img, script")] == []
    [link] = page.css("a")
    assert link.attributes["href"] == f'{RUN}?a="><script>'
    assert "<img src=x onerror=alert(1)>" in page.body.text()


def test_nobody_is_called_and_nothing_linked_by_what_an_error_says_in_slack() -> None:
    text = Notice("failed", "<!channel> <https://evil.example|click>", {"Run": f"{RUN}?a=>|b"}).as_slack()
    assert "&lt;!channel&gt; &lt;https://evil.example|click&gt;" in text
    assert text.endswith(f"<{RUN}?a=&gt;%7Cb|Run>")


def test_a_link_that_is_a_path_is_shown_as_one() -> None:
    notice = Notice("failed", links={"Runbook": "docs/runbooks/ingest_drop.md"})
    assert "Runbook: docs/runbooks/ingest_drop.md" in notice.as_slack()
    assert LexborHTMLParser(notice.as_html()).css("a") == []


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (None, "docs/runbooks/ingest_drop.md"),
        ("https://wiki.example.org/runbooks", "https://wiki.example.org/runbooks/ingest_drop.md"),
        ("https://wiki.example.org/runbooks/", "https://wiki.example.org/runbooks/ingest_drop.md"),
    ],
)
def test_a_runbook_is_where_they_are_published(root: str | None, expected: str) -> None:
    assert runbook("ingest_drop", root) == expected
