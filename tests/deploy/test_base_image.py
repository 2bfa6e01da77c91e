"""The Dockerfile's default base is the one that ``make base-image`` looks up."""

from __future__ import annotations

import re
import runpy

from laptop.places import REPOSITORY

IMAGE = REPOSITORY / "training_image"


def test_the_dockerfile_builds_on_the_versions_that_are_looked_up() -> None:
    versions = runpy.run_path(str(IMAGE / "base_image.py"))
    default = re.search(r"^ARG BASE=(\S+)$", (IMAGE / "Dockerfile").read_text(), re.MULTILINE)
    assert default
    tag = f"{versions['PYTORCH']}-transformers{versions['TRANSFORMERS']}-gpu-{versions['PYTHON']}-"
    assert default[1].partition(":")[2].startswith(tag)
