"""The CreateTrainingJob requests: training, and the evaluation that compares models on the benchmark.

Job names are functions of data set and run, so that whoever makes a request twice finds the first one's job.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from lookbook.lineage import records
from lookbook.settings import Settings, get_settings
from lookbook.training import evaluation, images, registry

# LoRA as in the design; what a person tunes is in the settings.
_LORA = {"lora_r": "8", "lora_alpha": "32", "lora_dropout": "0.05", "seed": "0"}
# What a job's log says of each as name=value, by entry point; SageMaker keeps them as metrics.
_METRICS = {
    "train": ("train_loss", "samples_per_second", "validation_loss", "validation_exact_match"),
    "evaluate": tuple(
        f"{model}_{figure}"
        for model in ("challenger", "champion", "base", "majority", "blind")
        for figure in ("exact_match", "balanced_accuracy")
    ),
}
_VOLUME_GB = 100
# Beyond its runtime a spot job may wait this long for capacity.
_WAIT_FOR_SPOT_S = 3600


def training_request(dataset: dict[str, Any], run_id: str) -> dict[str, Any]:
    """Return the request of the job that teaches the base the data set.

    Args:
        dataset: reference of a :class:`lookbook.vqa.datasets.DatasetRef`.
        run_id: the DAG run's id; the same run asks for the same job.
    """
    settings = get_settings()
    name = f"lookbook-train-{dataset['dataset_id'][:8]}-{_hash(run_id)}"
    channels = {
        "base": settings.base_model_uri,
        "train": f"{dataset['uri']}train/",
        "validation": f"{dataset['uri']}validation/",
    }
    image = images.pinned(settings.training_image_uri)
    records.reads_image(settings.training_image_uri, image)
    return _request(settings, name, image, "train", channels, _tags(dataset, run_id)) | {
        "HyperParameters": _hyperparameters(settings, dataset["dataset_id"]),
        "CheckpointConfig": {"S3Uri": f"s3://{settings.bucket}/training/checkpoints/{name}/"},
    }


def evaluation_request(dataset: dict[str, Any], training: dict[str, Any], run_id: str) -> dict[str, Any]:
    """Return the request of the job that scores base, challenger and the model in service on the benchmark.

    Args:
        dataset: reference of a :class:`lookbook.vqa.datasets.DatasetRef`.
        training: the training task's result: ``job_name``, ``image_uri`` and ``model_data`` of the challenger.
        run_id: the DAG run's id; the same run asks for the same job.
    """
    settings, champion = get_settings(), registry.champion()
    records.reads_image(training["image_uri"])
    name = f"lookbook-evaluate-{dataset['dataset_id'][:8]}-{_hash(run_id + training['job_name'])}"
    channels = {
        "benchmark": f"{dataset['uri']}benchmark/",
        "validation": f"{dataset['uri']}validation/",
        "base": settings.base_model_uri,
        "challenger": training["model_data"],
    }
    if champion:
        channels["champion"] = champion.model_data
        records.reads("model_package", settings.model_package_group, champion.package_arn)
    return _request(settings, name, training["image_uri"], "evaluate", channels, _tags(dataset, run_id)) | {
        "HyperParameters": {"target_precision": str(settings.answer_precision)}
    }


def _request(
    settings: Settings, name: str, image: str, entry_point: str, channels: dict[str, str], tags: dict[str, str]
) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "ContainerArguments": [entry_point],
            "MetricDefinitions": [{"Name": metric, "Regex": f"{metric}=([0-9.]+)"} for metric in _METRICS[entry_point]],
        },
        "RoleArn": settings.execution_role_arn,
        "InputDataConfig": [_channel(channel, uri) for channel, uri in channels.items()],
        "OutputDataConfig": {"S3OutputPath": f"s3://{settings.bucket}/{evaluation.JOBS}"},
        "ResourceConfig": {
            "InstanceType": settings.training_instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": _VOLUME_GB,
        },
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        **_capacity(settings),
    }


def _capacity(settings: Settings) -> dict[str, Any]:
    stopping = {"MaxRuntimeInSeconds": settings.training_max_runtime_s}
    if settings.use_spot:
        stopping["MaxWaitTimeInSeconds"] = settings.training_max_runtime_s + _WAIT_FOR_SPOT_S
    return {"EnableManagedSpotTraining": settings.use_spot, "StoppingCondition": stopping}


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


def _hyperparameters(settings: Settings, dataset_id: str) -> dict[str, str]:
    tuned = {
        "epochs": settings.training_epochs,
        "batch_size": settings.training_batch_size,
        "gradient_accumulation": settings.training_gradient_accumulation,
        "learning_rate": settings.learning_rate,
        "patience": settings.training_patience,
        "quantization": settings.training_quantization,
        "checkpoint_minutes": settings.training_checkpoint_minutes,
        "dataset_id": dataset_id,
        "data_license": settings.data_license,
    }
    return {name: str(value) for name, value in tuned.items() if value is not None} | _LORA


def _tags(dataset: dict[str, Any], run_id: str) -> dict[str, str]:
    # A tag's value has a small alphabet; a run id may hold anything.
    return {
        "project": "lookbook",
        "dataset_id": dataset["dataset_id"],
        "run_id": re.sub(r"[^\w .:/=+@-]", "_", run_id, flags=re.ASCII)[:256],
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
