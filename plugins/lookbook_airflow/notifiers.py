"""Who is told when something needs a person, and of what: a failure, a question, a challenger that the gate refused.

``LOOKBOOK_NOTIFY`` names them; what opens their doors is in Airflow's connections. Telling changes nothing: a target
that can't be reached is logged, the next one is told all the same, and the task or run ends as it would have.

The providers' notifiers render their texts as templates when they are called. An error may quote a drop, and a drop
anything, ``{{ conn.aws_default.password }}`` included: so ours call their ``notify``, which renders nothing.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urljoin

from airflow.configuration import conf
from airflow.sdk import BaseNotifier
from airflow.sdk._shared.secrets_masker import redact  # it knows the secrets of the connections that were opened

from lookbook.notices import Notice, Target, one_line, reason, runbook
from lookbook_airflow.pages import page_path

if TYPE_CHECKING:
    from airflow.providers.standard.operators.hitl import HITLOperator
    from airflow.sdk import Context

log = logging.getLogger(__name__)

_SLACK_TIMEOUT_S = 10


class _Notifier(BaseNotifier):
    """A notifier without templates."""

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render nothing: for that Airflow would want the DAG, which not every run's end comes with."""


class FailureNotifier(_Notifier):
    """Tell of a task that failed; of a mapped one the first time only, the run tells of the others."""

    def notify(self, context: Context) -> None:
        """Tell of the failed task instance."""
        ti: Any = context["ti"]
        notice = _task_failed(ti, context)
        if _others_failed(ti):
            log.error("%s\nIt is not the first of its task: the run tells how many they were.", notice.as_text())
        else:
            tell(notice)


class RunFailureNotifier(_Notifier):
    """Tell of a failed run what its tasks don't tell: how often a mapped one failed, or that none did."""

    def notify(self, context: Context) -> None:
        """Tell of the failed run, unless each of its failures was told by itself."""
        failed = _failed_tasks(context)
        if failed is None or not failed or max(failed.values()) > 1:
            tell(_run_failed(context, failed))


class QuestionNotifier(_Notifier):
    """Tell of a task that waits for a person's answer."""

    def notify(self, context: Context) -> None:
        """Tell what is asked, and where to answer."""
        task, ti = cast("HITLOperator", context["task"]), context["ti"]
        links = {"Answer": task.generate_link_to_ui_from_context(context=context), **_links(ti.dag_id, ti.run_id)}
        subject = f"{_named(ti.dag_id, context)} asks: {task.subject}"
        tell(Notice(subject, _masked(task.body or ""), links), logging.INFO)


class RefusalNotifier(_Notifier):
    """Tell of a challenger that the gate refused; of one that passed it, nothing."""

    def notify(self, context: Context) -> None:
        """Tell what the gate, the task that ended, decided."""
        ti: Any = context["ti"]
        decision = ti.xcom_pull(task_ids=ti.task_id, key="decision")
        if decision and not decision["passed"]:
            subject = f"{_named(ti.dag_id, context)}: the gate refused the challenger"
            links = {"Task": ti.log_url, **_links(ti.dag_id, ti.run_id)}
            tell(Notice(subject, _masked(decision["sentence"]), links), logging.WARNING)


def tell(notice: Notice, level: int = logging.ERROR) -> None:
    """Log a notice and send it to everybody who is to be told.

    Who can't be reached keeps nobody else from being told, and is told of in the log.
    """
    from lookbook.settings import get_settings

    log.log(level, "%s", notice.as_text())
    for target in map(Target.parse, get_settings().notify):
        try:
            _SENDERS[target.kind](target.address, notice)
        except Exception:  # whatever it is, it must hide neither the failure nor the next target
            log.exception("%s:%s could not be told", target.kind, target.address)


def named(what: str, partition_key: str | None, conf: Mapping[str, Any] | None) -> str:
    """Return the name of what something happened to, with the drop that its run is about."""
    drop = partition_key or (conf or {}).get("drop")
    return f"{what}, drop {one_line(str(drop))[:60]}," if drop else what


def links_of(dag_id: str, run_id: str) -> dict[str, str]:
    """Return where to look when a run needs a person, by what is there."""
    base = conf.get("api", "base_url", fallback="http://localhost:8080/")
    return {
        "Run": f"{base.rstrip('/')}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}",
        **_links(dag_id, run_id),
    }


def _links(dag_id: str, run_id: str) -> dict[str, str]:
    from lookbook.settings import get_settings

    base = conf.get("api", "base_url", fallback="http://localhost:8080/")
    return {
        "Runbook": runbook(dag_id, get_settings().runbook_url),
        "Lineage": urljoin(base, page_path("lineage", "runs", dag_id, run_id)),
    }


def _task_failed(ti: Any, context: Context) -> Notice:
    index = f"[{ti.map_index}]" if _is_mapped(ti) else ""
    tries = f"try {ti.try_number} of {max(ti.try_number, (ti.max_tries or 0) + 1)}"
    return Notice(
        f"{_named(f'{ti.dag_id}.{ti.task_id}{index}', context)} failed ({tries})",
        _masked(context.get("exception") or "The task's process ended without a word: killed, or out of memory."),
        {"Log": ti.log_url, **_links(ti.dag_id, ti.run_id)},
    )


def _run_failed(context: Context, failed: Mapping[str, int] | None) -> Notice:
    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    counts = ", ".join(f"{task_id} ({number})" for task_id, number in (failed or {}).items())
    why = f"Failed tasks: {counts}" if counts else f"Airflow says: {context.get('reason')}"  # type: ignore[call-overload]
    return Notice(f"The run of {_named(dag_id, context)} failed", why, links_of(dag_id, run_id))


def _named(what: str, context: Context) -> str:
    dag_run: Any = context.get("dag_run")
    return named(what, dag_run.partition_key, dag_run.conf) if dag_run else what


def _masked(error: object) -> str:
    return reason(error, redact)


def _others_failed(ti: Any) -> bool:
    """Tell whether other instances of a mapped task have failed; ``False`` where Airflow can't be asked."""
    if not _is_mapped(ti):
        return False
    try:
        return any(name != f"{ti.task_id}_{ti.map_index}" for name in _failed_instances(ti, ti.task_id))
    except Exception:
        log.exception("Can't find out whether it is the first")
        return False


def _is_mapped(ti: Any) -> bool:
    return ti.map_index is not None and ti.map_index >= 0


def _failed_tasks(context: Context) -> dict[str, int] | None:
    """Return how many instances of which tasks failed in a run; ``None`` where Airflow can't be asked."""
    ti: Any = context.get("ti")
    if ti is None:
        return {}
    task_ids = context["dag"].task_ids
    try:
        failed = _failed_instances(ti, *task_ids)
    except Exception:
        log.exception("Can't find out which tasks failed")
        return None
    # A mapped instance is called by its task and its index.
    return Counter(name if name in task_ids else name.rpartition("_")[0] for name in failed)


def _failed_instances(ti: Any, *task_ids: str) -> list[str]:
    """Return which instances of these tasks failed in the run of ``ti``: ``publish``, ``describe_17``.

    Airflow could also count them, but not for who tells of a run's end: the DAG processor asks for a count, and doesn't
    understand the answer (3.3.2).
    """
    states = ti.get_task_states(ti.dag_id, task_ids=list(task_ids), run_ids=[ti.run_id])
    return [name for name, state in states.get(ti.run_id, {}).items() if state == "failed"]


def _tell_topic(arn: str, notice: Notice) -> None:
    from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

    region = arn.split(":")[3]
    subject, message = notice.as_subject(), notice.as_text()
    SnsNotifier(target_arn=arn, subject=subject, message=message, region_name=region).notify({})


def _tell_channel(connection_id: str, notice: Notice) -> None:
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    told = SlackWebhookNotifier(
        slack_webhook_conn_id=connection_id,
        text=notice.as_slack(),
        unfurl_links=False,
        unfurl_media=False,
        timeout=_SLACK_TIMEOUT_S,
    )
    told.notify({})


def _tell_mailbox(address: str, notice: Notice) -> None:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    SmtpNotifier(to=address, subject=notice.as_subject(), html_content=notice.as_html()).notify({})


_SENDERS: dict[str, Callable[[str, Notice], None]] = {
    "sns": _tell_topic,
    "slack": _tell_channel,
    "mailto": _tell_mailbox,
}
