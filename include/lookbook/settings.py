"""The settings of a Lookbook installation: the only place that reads the environment.

Every field is ``LOOKBOOK_<NAME>`` in the environment, except the few that AWS itself names. The defaults are those
of the local platform; on AWS nothing but these values changes (docs/aws.md).
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import orjson
from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lookbook.descriptions import languages
from lookbook.errors import PermanentError
from lookbook.notices import Target

UNKNOWN = "unknown"


class Settings(BaseSettings):
    """Typed settings; see each field's description, which is also the README's settings table.

    A field with ``exclude=True`` stays out of what lineage records of the settings (:func:`recorded`): secrets, and
    what says who is told and where this machine finds things, but not what is done with them.
    """

    # An error's text gets into logs; what is set wrongly may be a secret in the wrong place.
    model_config = SettingsConfigDict(env_prefix="LOOKBOOK_", frozen=True, extra="ignore", hide_input_in_errors=True)

    # Where things are
    bucket: str = Field("lookbook", description="S3 bucket that holds drops, tables, data sets, models and results")
    aws_endpoint_url: str | None = Field(
        None,
        validation_alias=AliasChoices("LOOKBOOK_AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL"),
        exclude=True,
        description="Address of local AWS; unset on AWS",
    )
    aws_region: str = Field(
        "us-east-1",
        validation_alias=AliasChoices("LOOKBOOK_AWS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
        description="Region of every AWS call",
    )
    catalog_type: Literal["sql", "glue"] = Field("sql", description="Iceberg catalogue: SQL database or AWS Glue")
    catalog_uri: str = Field(
        "sqlite:///.lookbook/catalog.db", exclude=True, description="SQLAlchemy URL of the SQL catalogue"
    )

    # Ingest
    drop_settle_s: int = Field(
        900,
        gt=0,
        description="A drop without `_SUCCESS` is complete when none of its files changed for so many seconds",
    )
    drop_lease_s: int = Field(
        4 * 3600, gt=0, description="A drop belongs for so many seconds to the run that last worked on it"
    )
    drop_events_queue_url: str | None = Field(
        None,
        exclude=True,
        description="SQS queue in which S3 tells of complete drops; unset, `watch_drops` watches nothing",
    )
    max_rejected_share: float = Field(
        0.2, ge=0, le=1, description="A drop with a larger share of quarantined rows is refused whole"
    )
    max_picture_pixels: int = Field(50_000_000, gt=0, description="A picture with more pixels is not decoded")
    read_concurrency: int = Field(16, ge=1, le=64, description="Files of a drop in flight to or from S3 at a time")
    read_processes: int = Field(
        2, ge=1, le=64, description="Processes that read a drop, where it has at least 2,000 rows for each"
    )

    # Training
    training_image_uri: str = Field("lookbook-training:local", description="Image of training, evaluation and serving")
    code_version: str = Field(
        UNKNOWN, exclude=True, description="Git commit of this code; goes into the model package and lineage"
    )
    source_url: str = Field(
        "urn:lookbook:source",
        exclude=True,
        description="Where the files of this code can be read, e.g. `https://git.example.com/lookbook/raw/v1`; names "
        "who made the facets of OpenLineage events and where their schemas are",
    )
    execution_role_arn: str = Field(
        "arn:aws:iam::000000000000:role/lookbook-sagemaker", description="Role that SageMaker jobs run under"
    )
    base_model_uri: str = Field(
        "s3://lookbook/models/base/tiny-blip2/", description="S3 prefix of the BLIP-2 base in from_pretrained layout"
    )
    training_instance_type: str = Field("ml.g5.2xlarge", description="Instance type of training and evaluation jobs")
    use_spot: bool = Field(True, description="Train on spot capacity, resuming from checkpoints")
    training_max_runtime_s: int = Field(6 * 3600, gt=0, description="MaxRuntimeInSeconds of a training job")
    training_budget_usd: float = Field(
        25.0, ge=0, description="A training that may cost more waits for a person's approval in the Airflow UI"
    )
    training_pairs_per_s: float = Field(
        30.0, gt=0, description="Expected rate of training, until a job on the same instance type has shown its own"
    )
    training_epochs: int = Field(8, gt=0, description="Epochs of LoRA training")
    training_batch_size: int = Field(16, gt=0, description="Question/answer pairs per step")
    training_gradient_accumulation: int = Field(
        1, ge=1, description="Batches per optimizer step, for steps of more pairs than fit into the GPU's memory"
    )
    learning_rate: float = Field(3e-3, gt=0, description="Peak learning rate")
    training_patience: int = Field(
        3, ge=0, description="Training stops when so many epochs in a row brought nothing; 0: never"
    )
    training_quantization: Literal["none", "8bit", "4bit"] = Field(
        "none", description="How the frozen base is held in memory while it is trained"
    )
    training_checkpoint_minutes: float = Field(
        5, gt=0, description="A training job saves a checkpoint this often, and after each epoch"
    )
    data_license: str | None = Field(
        None, max_length=200, description="Licence of the drops' pictures and labels, as each model's card states it"
    )
    article_types: tuple[str, ...] = Field(
        (),
        description="Article types to train on, or presets (`shirts_and_tshirts`, `topwear`, `bottomwear`); empty "
        "means every type that has a trained attribute",
    )
    paraphrased_share: float = Field(
        0.2, ge=0, le=1, description="Share of training pairs that ask in other words than those of service"
    )
    min_answer_products: int = Field(3, ge=1, description="An answer that fewer products have is not trained")
    min_new_pairs: int = Field(
        200, ge=1, description="Retraining is skipped when fewer labelled pairs came since the model in service"
    )
    benchmark_share: float = Field(0.15, gt=0, lt=0.5, description="Share of pictures in the frozen benchmark")
    validation_share: float = Field(0.1, gt=0, lt=0.5, description="Share of pictures that training watches itself on")
    split_salt: str = Field("v1", description="Version of the picture split; changing it reshuffles every side")
    gate_min_lift: float = Field(
        0.05, description="How far above majority answer and blind control a challenger's exact match must be"
    )
    gate_max_attribute_loss: float = Field(
        0.05, ge=0, description="How far below the champion's a challenger's exact match may be on any one attribute"
    )
    answer_precision: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="Share of the model's answers used as facts that should be right; sets each attribute's threshold",
    )

    require_approval: bool = Field(
        False, description="A person approves a challenger in the Airflow UI before it goes into service"
    )

    # Serving
    endpoint_name: str = Field("lookbook-attributes", description="Endpoint that answers questions about pictures")
    model_package_group: str = Field("lookbook-attributes", description="Registry group of the attribute model")
    endpoint_life: Literal["always", "run"] = Field(
        "always", description="`run`: the endpoint is created for each run that asks it, and deleted after the last one"
    )
    endpoint_instance_type: str = Field("ml.g5.xlarge", description="Instance type of the endpoint")
    endpoint_instances: int = Field(1, ge=1, le=100, description="Instances of the endpoint")
    endpoint_max_latency_ms: int = Field(
        30_000,
        gt=0,
        description="A model that mostly takes longer for an answer fails verification; when one request in a hundred "
        "takes longer, an alarm rings",
    )
    endpoint_max_error_share: float = Field(
        0.05, gt=0, lt=1, description="When a larger share of requests ends in the container's fault, an alarm rings"
    )
    alarm_topic_arn: str | None = Field(
        None, description="SNS topic that is told when an alarm rings, and when it ends"
    )
    deployment_traffic: Literal["all_at_once", "canary", "linear"] = Field(
        "all_at_once", description="How an update of the endpoint moves requests to the new model"
    )
    deployment_step_percent: int = Field(
        20, ge=10, le=50, description="Share of the capacity that a canary, or each linear step, moves"
    )
    deployment_wait_s: int = Field(
        0, ge=0, le=3600, description="Seconds that alarms are watched between steps; if one rings, AWS goes back"
    )
    deployment_termination_wait_s: int = Field(
        0, ge=0, le=3600, description="Seconds that the old instances are kept, and alarms watched, after the last step"
    )
    deployment_max_s: int = Field(3600, ge=600, le=28_800, description="An update that takes longer is rolled back")
    endpoint_concurrency: int = Field(8, gt=0, description="Requests to the endpoint in flight from one task")
    endpoint_patience_s: float = Field(
        600, gt=0, description="A picture without an answer is asked about for so long: a container may be restarting"
    )
    transform_from: int | None = Field(
        None, ge=1, description="So many pictures or more to ask about go through a batch transform job; unset: none do"
    )
    min_probability: float = Field(
        0.5, ge=0, le=1, description="A less probable answer is not used as a fact, whatever its attribute's threshold"
    )

    # Descriptions
    text_model_id: str = Field(
        "anthropic.claude-3-5-haiku-20241022-v1:0", description="Bedrock model that writes descriptions"
    )
    prompt: str = Field(
        "product_description@2",
        pattern=r"^[a-z_]+@[0-9]+$",
        description="Prompt version that texts are written with: a directory of `descriptions/prompts/`",
    )
    language: str = Field("en-GB", description="Language of the texts; one that the faithfulness check can read")
    guardrail_id: str | None = Field(
        None, description="Id or ARN of the Bedrock guardrail that every request passes through; unset: none"
    )
    guardrail_version: str = Field("DRAFT", description="Version of that guardrail")
    description_picture: bool = Field(
        False, description="The model that writes is shown the product's picture; it adds no fact"
    )
    judge_model_id: str | None = Field(
        None, description="Bedrock model that reads each text after the faithfulness check passed it; unset: none does"
    )
    per_product_limit: int = Field(
        200, ge=0, le=1000, description="Up to this many products get a mapped task each; above it, shards"
    )
    shard_size: int = Field(500, ge=1, le=500, description="A shard has at most so many products")
    description_concurrency: int = Field(8, gt=0, description="Bedrock calls in flight from one shard, at most")
    text_call_timeout_s: float = Field(
        60, gt=0, description="A call to the text model is given up after so long, sooner where answers come fast"
    )
    product_deadline_s: float = Field(
        300,
        gt=0,
        description="A product has so long from its first call, over all attempts, its rewrite and fallbacks",
    )
    text_fallbacks: tuple[str, ...] = Field(
        (),
        description="JSON list of `model@region` that write, in this order, while the text model is throttled or down; "
        "either side may be empty: `@eu-west-1` is the same model there",
    )
    bedrock_rpm: float | None = Field(
        None, gt=0, description="The account's quota of requests a minute to the text model; unset: found by trying"
    )
    bedrock_tpm: float | None = Field(
        None, gt=0, description="The account's quota of tokens a minute of the text model; unset: found by trying"
    )
    batch_from: int | None = Field(
        None, ge=100, description="So many products or more to describe go through Bedrock batch jobs; unset: none do"
    )
    run_budget_usd: float | None = Field(
        None,
        gt=0,
        description="A run whose texts may cost more waits for a person's approval in the Airflow UI; unset: none does",
    )
    month_budget_usd: float | None = Field(
        None,
        gt=0,
        description="No more texts are asked for once a calendar month (UTC) has cost this; unset: no limit",
    )
    review_limit: int = Field(
        50, ge=1, le=500, description="Descriptions that a run of `review_descriptions` shows to people at most"
    )
    review_share: float = Field(
        0.0, ge=0, le=1, description="Share of published descriptions that are shown to people as well, drawn by input"
    )
    review_wait_h: float = Field(
        20, gt=0, le=720, description="Hours that a description waits for a person; then it stays what it is"
    )
    batch_role_arn: str = Field(
        "arn:aws:iam::000000000000:role/lookbook-bedrock", description="Role that Bedrock's batch jobs run under"
    )
    batch_deadline_hours: float = Field(
        24,
        gt=0,
        le=168,
        description="A batch job that has not ended so long after it was submitted is stopped; the rest goes on demand",
    )

    # Housekeeping
    keep_champions: int = Field(
        3, ge=1, description="So many of the latest approved models stay deployable: configs, models and artefacts"
    )
    expire_after_days: float = Field(
        14, gt=0, description="Housekeeping deletes nothing that is younger, whether anything refers to it or not"
    )
    max_expired_share: float = Field(
        0.5, gt=0, le=1, description="Housekeeping deletes nothing if it would delete a larger share of any one kind"
    )

    # Telling people
    notify: tuple[str, ...] = Field(
        (),
        exclude=True,
        description="JSON list of who is told of failures, missed deadlines and questions: `sns:<topic ARN>`, "
        "`slack:<connection id>`, `mailto:<address>`; empty: only the log (docs/notifications.md)",
    )
    runbook_url: str | None = Field(
        None, description="Address of the published `docs/runbooks/`, for links in messages; unset: paths in this code"
    )
    ingest_deadline_h: float = Field(
        4, gt=0, description="People are told when a run of `ingest_drop` has not ended so many hours after it began"
    )
    retrain_deadline_h: float = Field(24, gt=0, description="The same for `retrain_attribute_model`")
    describe_deadline_h: float = Field(12, gt=0, description="The same for `describe_products`")

    # Lineage
    sagemaker_lineage: bool = Field(
        False, description="Models are written into SageMaker's own ML lineage too, with what they came from"
    )

    # Waiting
    poll_interval_s: int = Field(30, gt=0, description="Seconds between looks at a SageMaker job or endpoint")

    @field_validator("notify")
    @classmethod
    def _can_be_told(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what names nobody that could be told."""
        for target in targets:
            Target.parse(target)
        return targets

    @field_validator("language")
    @classmethod
    def _can_be_checked(cls, tag: str) -> str:
        """Refuse a language that no text could pass the faithfulness check in."""
        try:
            return languages.load(tag).tag
        except PermanentError as error:
            raise ValueError(str(error)) from error


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the process's settings, read from the environment once."""
    return Settings()


@dataclass(frozen=True)
class RecordedSettings:
    """The settings as lineage keeps them: JSON with sorted keys, named by its SHA-256."""

    sha256: str
    content: bytes


def recorded() -> RecordedSettings:
    """Return the process's settings without secrets and machine-bound ones; equal settings give equal checksums."""
    content = orjson.dumps(get_settings().model_dump(mode="json"), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    return RecordedSettings(hashlib.sha256(content).hexdigest(), content)


def as_markdown() -> str:
    """Return the table of ``docs/settings.md``: variable, default and meaning of every setting."""
    rows = [
        f"| `LOOKBOOK_{name.upper()}` | {_shown(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join([_HEADER, "| variable | default | meaning |", "|---|---|---|", *rows, ""])


_HEADER = """# Settings

Every setting is an environment variable. The defaults are those of the local platform; docs/aws.md says which ones
change on AWS. This page is written by `make docs`.
"""


def _shown(default: object) -> str:
    return "–" if default in (None, ()) else f"`{default}`"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
