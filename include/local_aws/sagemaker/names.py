"""ARNs, and the sentences AWS answers with when a name is taken or unknown; clients match on their beginnings."""

from __future__ import annotations

from local_aws.errors import AwsError, validation
from local_aws.settings import ACCOUNT, REGION
from local_aws.state import Document, Store

TRAINING_JOB = "training-job"
MODEL = "model"
ENDPOINT_CONFIG = "endpoint-config"
ENDPOINT = "endpoint"
PACKAGE_GROUP = "model-package-group"
PACKAGE = "model-package"
TRANSFORM_JOB = "transform-job"
ARTIFACT = "artifact"
ACTION = "action"
CONTEXT = "context"
# Not a resource: it has no name of its own and no ARN.
ASYNC_INVOCATION = "async-invocation"
LINEAGE_KINDS = (ARTIFACT, ACTION, CONTEXT)
KINDS = (TRANSFORM_JOB, TRAINING_JOB, MODEL, ENDPOINT_CONFIG, ENDPOINT, PACKAGE_GROUP, PACKAGE, *LINEAGE_KINDS)

_TITLES = {
    MODEL: "model",
    ENDPOINT_CONFIG: "endpoint configuration",
    ENDPOINT: "endpoint",
    TRANSFORM_JOB: "transform job",
}


def arn(kind: str, name: str) -> str:
    """Return the ARN of a SageMaker resource."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def parse_arn(text: str) -> tuple[str, str]:
    """Return kind and name of a SageMaker ARN.

    Raises:
        AwsError: it is none.
    """
    kind, _, name = text.removeprefix(f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:").partition("/")
    if kind not in KINDS or not name:
        raise validation(f"Invalid ARN: {text}")
    return kind, name


def bare(name_or_arn: str) -> str:
    """Return the name in what may be a name or an ARN."""
    return parse_arn(name_or_arn)[1] if name_or_arn.startswith("arn:") else name_or_arn


def already_existing(kind: str, name: str) -> AwsError:
    """Return AWS's answer to a create with a name that is taken."""
    return validation(f'Cannot create already existing {_TITLES[kind]} "{arn(kind, name)}".')


def find(store: Store, kind: str, name: str) -> Document:
    """Return a model, endpoint config, endpoint or transform job.

    Raises:
        AwsError: there is none of that name.
    """
    document = store.get(kind, name)
    if document is None:
        raise validation(f'Could not find {_TITLES[kind]} "{arn(kind, name)}".')
    return document
