# /// script
# requires-python = ">=3.11"
# dependencies = ["sagemaker-core==2.27.0"]
# ///
"""Prints the URI of the AWS container that the training image is built on: ``make base-image REGION=eu-west-1``.

AWS keeps its containers in another account in some regions; sagemaker-core knows which. It runs in an environment of
its own, since its version 2 can't be installed beside Airflow.
"""

from __future__ import annotations

import sys

TRANSFORMERS, PYTORCH, PYTHON = "5.3.0", "2.9.0", "py312"
INSTANCE_TYPE = "ml.g5.2xlarge"


def base_image(region: str) -> str:
    """Return the URI of the Hugging Face training container for GPUs in ``region``."""
    from sagemaker.core import image_uris

    uri: str = image_uris.retrieve(
        "huggingface",
        region=region,
        version=TRANSFORMERS,
        base_framework_version=f"pytorch{PYTORCH}",
        py_version=PYTHON,
        instance_type=INSTANCE_TYPE,
        image_scope="training",
    )
    return uri


if __name__ == "__main__":
    sys.stdout.write(f"{base_image(sys.argv[1])}\n")
