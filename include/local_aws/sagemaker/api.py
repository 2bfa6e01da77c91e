"""SageMaker's operations by name: requests in, answers out, both by botocore's model."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from local_aws import shapes
from local_aws.errors import AwsError, unknown_operation
from local_aws.images import Image
from local_aws.objects import Objects
from local_aws.sagemaker import names
from local_aws.sagemaker.building import Builder
from local_aws.sagemaker.capture import Capture
from local_aws.sagemaker.endpoints import Endpoints
from local_aws.sagemaker.hosting import Hosting
from local_aws.sagemaker.jobs import Jobs
from local_aws.sagemaker.lineage import Associations, Entities
from local_aws.sagemaker.lineage_query import LineageQuery
from local_aws.sagemaker.models import EndpointConfigs, Models
from local_aws.sagemaker.registry import Registry
from local_aws.sagemaker.tags import Tags
from local_aws.sagemaker.training import Trainer
from local_aws.sagemaker.transform import Transformer
from local_aws.sagemaker.transform_jobs import TransformJobs
from local_aws.settings import Settings
from local_aws.state import Document, Store

TARGET = "SageMaker."
_CONTENT_TYPE = "application/x-amz-json-1.1"


class SageMaker:
    """The control plane."""

    def __init__(
        self,
        store: Store,
        objects: Objects,
        logs: Any,
        cloudwatch: Any,
        images: Mapping[str, Image],
        settings: Settings,
    ) -> None:
        tags = Tags(store)
        models = Models(store, objects, images, tags)
        self.trainer = Trainer(store, objects, logs, images, settings)
        builder = Builder(models, images, objects, settings)
        self.hosting = Hosting(store, logs, cloudwatch, builder, settings)
        self.capture = Capture(objects)
        self.transformer = Transformer(store, logs, builder, settings)
        jobs, registry = Jobs(store, self.trainer, images, tags), Registry(store, tags)
        transforms = TransformJobs(store, self.transformer, tags)
        configs, endpoints = EndpointConfigs(store, tags), Endpoints(store, self.hosting, models, cloudwatch, tags)
        artifacts, actions, contexts = (Entities(store, tags, kind) for kind in names.LINEAGE_KINDS)
        associations, lineage = Associations(store), LineageQuery(store)
        self._operations: dict[str, Callable[[Document], Document]] = {
            "CreateTrainingJob": jobs.create,
            "DescribeTrainingJob": jobs.describe,
            "ListTrainingJobs": jobs.list,
            "StopTrainingJob": jobs.stop,
            "CreateTransformJob": transforms.create,
            "DescribeTransformJob": transforms.describe,
            "ListTransformJobs": transforms.list,
            "StopTransformJob": transforms.stop,
            "CreateModel": models.create,
            "DescribeModel": models.describe,
            "ListModels": models.list,
            "DeleteModel": models.delete,
            "CreateEndpointConfig": configs.create,
            "DescribeEndpointConfig": configs.describe,
            "ListEndpointConfigs": configs.list,
            "DeleteEndpointConfig": configs.delete,
            "CreateEndpoint": endpoints.create,
            "DescribeEndpoint": endpoints.describe,
            "ListEndpoints": endpoints.list,
            "UpdateEndpoint": endpoints.update,
            "UpdateEndpointWeightsAndCapacities": endpoints.scale,
            "DeleteEndpoint": endpoints.delete,
            "CreateModelPackageGroup": registry.create_group,
            "DescribeModelPackageGroup": registry.describe_group,
            "ListModelPackageGroups": registry.list_groups,
            "DeleteModelPackageGroup": registry.delete_group,
            "CreateModelPackage": registry.create_package,
            "DescribeModelPackage": registry.describe_package,
            "ListModelPackages": registry.list_packages,
            "UpdateModelPackage": registry.update_package,
            "DeleteModelPackage": registry.delete_package,
            "CreateArtifact": artifacts.create,
            "DescribeArtifact": artifacts.describe,
            "ListArtifacts": artifacts.list,
            "UpdateArtifact": artifacts.update,
            "DeleteArtifact": artifacts.delete,
            "CreateAction": actions.create,
            "DescribeAction": actions.describe,
            "ListActions": actions.list,
            "UpdateAction": actions.update,
            "DeleteAction": actions.delete,
            "CreateContext": contexts.create,
            "DescribeContext": contexts.describe,
            "ListContexts": contexts.list,
            "UpdateContext": contexts.update,
            "DeleteContext": contexts.delete,
            "AddAssociation": associations.add,
            "ListAssociations": associations.list,
            "DeleteAssociation": associations.delete,
            "QueryLineage": lineage.query,
            "AddTags": tags.add,
            "ListTags": tags.list,
            "DeleteTags": tags.remove,
        }

    def start(self) -> None:
        """Take up what an earlier gateway left; needs the gateway's address to answer."""
        self.trainer.start()
        self.capture.start()
        self.hosting.start()
        self.transformer.start()

    def close(self) -> None:
        """End every process."""
        self.trainer.close()
        self.transformer.close()
        self.hosting.close()
        self.capture.close()

    async def handle(self, request: Request) -> Response:
        """Answer a request of the JSON protocol."""
        identity = {"x-amzn-RequestId": str(uuid.uuid4())}
        name = request.headers.get("x-amz-target", "").removeprefix(TARGET)
        try:
            answer = await run_in_threadpool(self.call, name, await request.body())
        except AwsError as error:
            body = {"__type": error.code, "message": error.message, **error.members}
            return Response(json.dumps(body), error.status, identity, _CONTENT_TYPE)
        return Response(json.dumps(answer) if answer else b"", 200, identity, _CONTENT_TYPE)

    def call(self, name: str, body: bytes) -> Document:
        """Check a request, carry it out and shape the answer.

        Raises:
            AwsError: the operation is unknown or refuses the request.
        """
        model = shapes.operation("sagemaker", name)
        if name not in self._operations:
            raise unknown_operation(f"SageMaker {name}")
        request = shapes.read(model.input_shape, shapes.parse_json(body))
        answer: Document = shapes.write(model.output_shape, self._operations[name](request))
        return answer
