"""What people are told when something needs them, in the form that each way of telling takes.

Much of a notice comes from elsewhere: an error may quote a drop, and a drop anything. So a reason is one line of
bounded length without secrets, and nothing in it is markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urljoin

_LONGEST_REASON = 500
_LONGEST_SUBJECT = 99  # SNS takes less than 100 characters

# What would open something, wherever it may have got into a message from.
_SECRETS = (
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), r"\1:***@"),
    (re.compile(r"https://hooks\.slack\.com/\S+"), "https://hooks.slack.com/***"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 ***"),
    (
        re.compile(
            r"(?i)\b(x-amz-(?:signature|credential|security-token)|password|passwd|\w*secret\w*|\w*token|api[_-]?key)"
            r"""(["']?\s*[=:]\s*["']?)[^\s"'&,;]+"""
        ),
        r"\1\2***",
    ),
)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


@dataclass(frozen=True)
class Target:
    """Somebody to tell: an SNS topic by its ARN, a Slack channel by its Airflow connection, or an e-mail address."""

    kind: Literal["sns", "slack", "mailto"]
    address: str

    @classmethod
    def parse(cls, text: str) -> Target:
        """Return the target that a setting names.

        Raises:
            ValueError: it names none. The message doesn't repeat it: it may be a secret that belongs elsewhere.
        """
        kind, _, address = text.partition(":")
        if kind not in _ADDRESSES or not _ADDRESSES[kind].fullmatch(address):
            raise ValueError(
                "Expected sns:<ARN of a topic>, slack:<id of an Airflow connection> or mailto:<address>. "
                "A webhook's address is a secret: it belongs into the connection."
            )
        return cls(kind, address)  # type: ignore[arg-type]  # the keys of _ADDRESSES are its literals


_ADDRESSES = {
    "sns": re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}"),
    "slack": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}"),
    "mailto": re.compile(r"[^@\s,;:<>]+@[^@\s,;:<>]+"),
}


@dataclass(frozen=True)
class Notice:
    """One message: what happened, why, and where to look.

    Args:
        subject: what happened and where, in one line.
        why: the reason, from wherever it came; empty where the subject says all.
        links: where to look, by what is there; an address, or a path in this repository.
    """

    subject: str
    why: str = ""
    links: Mapping[str, str] = field(default_factory=dict)

    def as_subject(self) -> str:
        """Return the subject as SNS and e-mail take it: ASCII, one line, less than 100 characters."""
        return one_line(self.subject).encode("ascii", "replace").decode()[:_LONGEST_SUBJECT]

    def as_text(self) -> str:
        """Return plain text, a line each."""
        return "\n".join([*self._said(), *(f"{label}: {link}" for label, link in self.links.items())])

    def as_html(self) -> str:
        """Return HTML in which nothing but the links is markup."""
        said = [f"<p>{html.escape(line)}</p>" for line in self._said()]
        return "\n".join([*said, "<ul>", *(f"<li>{_anchor(*link)}</li>" for link in self.links.items()), "</ul>"])

    def as_slack(self) -> str:
        """Return Slack's markup in which nothing but the subject's weight and the links is markup."""
        subject, *why = map(_escaped, self._said())
        return "\n".join([f"*{subject}*", *why, " · ".join(_slack_link(*link) for link in self.links.items())])

    def _said(self) -> list[str]:
        return [one_line(part) for part in (self.subject, self.why) if part]


def reason(error: object, mask: Callable[[str], str] = str) -> str:
    """Return an error's kind and the first line of what it says, without secrets and of bounded length.

    Args:
        error: an exception, or a text.
        mask: hides the secrets that its caller knows of; what looks like one is hidden in any case.
    """
    text = str(error).strip()
    first = text.splitlines()[0] if text else ""
    name = f"{type(error).__name__}: " if isinstance(error, BaseException) else ""
    masked = mask(one_line(f"{name}{first}".removesuffix(": ")))
    for pattern, replacement in _SECRETS:
        masked = pattern.sub(replacement, masked)
    return masked if len(masked) <= _LONGEST_REASON else f"{masked[: _LONGEST_REASON - 1]}…"


def one_line(text: str) -> str:
    """Return a text on one line, without characters that can't be seen."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def runbook(dag_id: str, root: str | None) -> str:
    """Return where a DAG's runbook is: below ``root``, an address, or its path in this repository."""
    return urljoin(f"{root.rstrip('/')}/", f"{dag_id}.md") if root else f"docs/runbooks/{dag_id}.md"


def _is_address(link: str) -> bool:
    return link.startswith(("https://", "http://"))


def _anchor(label: str, link: str) -> str:
    shown = f'<a href="{html.escape(link)}">{html.escape(link)}</a>' if _is_address(link) else html.escape(link)
    return f"{html.escape(label)}: {shown}"


def _escaped(text: str) -> str:
    """Return a text as Slack takes it; what is left of Slack's markup, such as ``*``, changes nothing but its looks."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slack_link(label: str, link: str) -> str:
    return f"<{_escaped(link).replace('|', '%7C')}|{_escaped(label)}>" if _is_address(link) else f"{label}: {link}"
