"""The queue in which local AWS tells of complete drops: docs/aws.md makes the same on AWS."""

from __future__ import annotations

import json
from typing import Any

_RECEPTIONS = "5"  # after so many, 25 minutes, a message is set aside in the dead-letter queue
_KEPT_S = str(14 * 24 * 3600)
_COMPLETION_OBJECTS = ("_SUCCESS", "manifest.json")


def prepare(bucket: str, queue_url: str) -> None:
    """Create the queue and its dead-letter queue and have the bucket notify it, unless all that is there."""
    from lookbook.aws import client

    name = queue_url.rpartition("/")[2]
    aside = _queue(f"{name}-unread", MessageRetentionPeriod=_KEPT_S)
    redrive = json.dumps({"deadLetterTargetArn": aside, "maxReceiveCount": _RECEPTIONS})
    queue = _queue(name, MessageRetentionPeriod=_KEPT_S, RedrivePolicy=redrive)
    known = client("s3").get_bucket_notification_configuration(Bucket=bucket).get("QueueConfigurations", [])
    if not any(configuration["QueueArn"] == queue for configuration in known):
        client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": configurations(queue)}
        )


def configurations(queue: str) -> list[dict[str, Any]]:
    """Return what the bucket tells the queue of: the objects that complete a drop, and no others."""
    return [
        {
            "Id": f"lookbook-{name}",
            "QueueArn": queue,
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {
                "Key": {"FilterRules": [{"Name": "prefix", "Value": "drops/"}, {"Name": "suffix", "Value": f"/{name}"}]}
            },
        }
        for name in _COMPLETION_OBJECTS
    ]


def _queue(name: str, **attributes: str) -> str:
    """Return the ARN of a queue, which is created where it is missing and gets these attributes if it had others."""
    from lookbook.aws import client

    url = client("sqs").create_queue(QueueName=name)["QueueUrl"]
    client("sqs").set_queue_attributes(QueueUrl=url, Attributes=attributes)
    answer = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(answer["Attributes"]["QueueArn"])
