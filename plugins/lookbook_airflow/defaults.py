"""What every DAG shares: tags, pools, the retry policy and the default arguments."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal

from airflow.sdk import ExceptionRetryPolicy, Param, RetryAction, RetryRule

from lookbook.settings import get_settings
from lookbook_airflow import deadlines
from lookbook_airflow.notifiers import FailureNotifier, RefusalNotifier, RunFailureNotifier


class Tag(StrEnum):
    """The tags a DAG may carry; a test refuses any other."""

    CATALOG = "catalog"
    MODEL = "model"
    DESCRIPTIONS = "descriptions"
    OPERATIONS = "operations"
    TIER_1 = "tier_1"
    TIER_2 = "tier_2"


class Pool(StrEnum):
    """One pool per thing that must not be overrun; ``POOL_SLOTS`` says how many tasks may hold it at once."""

    READ = "lookbook_read"
    PUBLISH = "lookbook_publish"
    TRAINING = "lookbook_training"
    PREDICT = "lookbook_predict"
    DESCRIBE = "lookbook_describe"
    BATCH = "lookbook_batch"


# READ: a drop in memory each; a backfill of one run at a time always leaves a slot to the weekly drop.
# PUBLISH and TRAINING: one at a time, since tables and the endpoint have one main line each. DESCRIBE bounds the
# Bedrock calls of all runs together: every task of it keeps LOOKBOOK_DESCRIPTION_CONCURRENCY in flight at most.
# BATCH: jobs submitted or in progress; AWS's quota is 20 for a model of the account, some of which others may need.
POOL_SLOTS: dict[Pool, tuple[int, str]] = {
    Pool.READ: (2, "Tasks that read or validate a drop"),
    Pool.PUBLISH: (1, "Commits to the Iceberg tables, one drop at a time"),
    Pool.TRAINING: (1, "SageMaker training and evaluation jobs"),
    Pool.PREDICT: (2, "Tasks that question the attribute endpoint"),
    Pool.DESCRIBE: (16, "Tasks that write descriptions with Bedrock"),
    Pool.BATCH: (10, "Bedrock batch jobs"),
}

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="lookbook.errors.PermanentError",
            action=RetryAction.FAIL,
            reason="The same input would fail the same way",
        ),
        RetryRule(
            exception="botocore.exceptions.ParamValidationError",
            action=RetryAction.FAIL,
            reason="AWS would refuse the same request again",
        ),
        RetryRule(
            exception=[
                f"builtins.{name}"
                for name in ("AssertionError", "AttributeError", "ImportError", "LookupError", "NameError", "TypeError")
            ],
            action=RetryAction.FAIL,
            reason="A mistake in the code, which a retry would make again",
        ),
    ]
)

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "data-platform",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": RETRY_POLICY,
    "execution_timeout": timedelta(minutes=30),
    "on_failure_callback": FailureNotifier(),
}


TELL_REFUSAL: dict[str, Any] = {"on_success_callback": RefusalNotifier()}
"""Arguments of a gate: people are told when it refuses."""


def alerts(deadline: Literal["ingest", "retrain", "describe"] | None = None) -> dict[str, Any]:
    """Return the arguments of a DAG that have people told of runs that fail or, if it has a deadline, take too long.

    Args:
        deadline: the setting ``LOOKBOOK_<deadline>_DEADLINE_H``, read while the DAG file is parsed: it is part of the
            DAG's definition.
    """
    told: dict[str, Any] = {"on_failure_callback": RunFailureNotifier()}
    if deadline is None:
        return told
    return told | {"deadline": deadlines.deadline(getattr(get_settings(), f"{deadline}_deadline_h"))}


def about(docstring: str) -> dict[str, str]:
    """Return the arguments of a DAG that says what it does: a page of its own, and its first sentence in lists."""
    first_paragraph = docstring.strip().split("\n\n")[1]
    sentence = " ".join(first_paragraph.split()).partition(". ")[0].rstrip(".")
    return {"doc_md": docstring, "description": sentence.replace("*", "").replace("`", "")}


def optional_drop() -> Param:
    """Return the *Drop* parameter of a DAG whose runs usually bring their drop as partition key."""
    return Param(
        None,
        type=["null", "string"],
        pattern=r"^(s3://[a-z0-9.-]+/drops/)?\d{4}-\d{2}-\d{2}/?$",
        title="Drop",
        description="The drop's Monday or its URI, for a run without a partition key",
    )


def max_rejected_share() -> Param:
    """Return the *Max rejected share* parameter of a DAG that validates a drop."""
    return Param(
        None,
        type=["null", "number"],
        minimum=0,
        maximum=1,
        title="Max rejected share",
        description="Refuse the drop if a larger share of its rows is rejected; empty: LOOKBOOK_MAX_REJECTED_SHARE",
    )


def promote_anyway() -> Param:
    """Return the *Promote anyway* parameter of a DAG with a gate: a person's reason to put the gate aside."""
    return Param(
        None,
        type=["null", "string"],
        minLength=10,
        maxLength=500,
        title="Promote anyway",
        description="Why to put the challenger in service even if the gate refuses it; kept with your name",
    )
