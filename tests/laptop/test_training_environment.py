"""The training image's environment: never a CUDA package."""

from __future__ import annotations

from typing import Any

import pytest

from laptop.training_environment import (
    CPU_INDEX,
    TrainingEnvironmentError,
    cuda_requirements,
    pinned_torch,
    torch_arguments,
)

COMMON = ["filelock", "sympy>=1.13.3", 'optree>=0.13.0; extra == "optree"']


def report(*requires: str, version: str = "2.13.0") -> dict[str, Any]:
    return {"install": [{"metadata": {"name": "torch", "version": version, "requires_dist": [*COMMON, *requires]}}]}


CUDA = report('nvidia-cublas-cu12==12.8.4.1; platform_system == "Linux"', "triton==3.5.0", "cuda-bindings==12.9.4")


def test_a_cpu_build_offered_by_pips_own_configuration_is_taken() -> None:
    assert torch_arguments("2.13.0", report(version="2.13.0+cpu")) == ["torch==2.13.0"]


def test_in_place_of_a_cuda_build_the_cpu_build_of_the_same_version_is_taken() -> None:
    assert torch_arguments("2.13.0", CUDA) == ["--index-url", CPU_INDEX, "torch==2.13.0+cpu"]


def test_every_kind_of_cuda_package_is_recognised() -> None:
    assert [line.partition("==")[0].split(";")[0] for line in cuda_requirements(CUDA)] == [
        "nvidia-cublas-cu12",
        "triton",
        "cuda-bindings",
    ]


def test_an_optional_extra_does_not_make_a_cuda_build() -> None:
    assert cuda_requirements(report('nvidia-nccl; extra == "nccl"')) == []


def test_a_report_without_requirements_is_a_cpu_build() -> None:
    assert cuda_requirements({"install": [{"metadata": {"version": "2.13.0"}}]}) == []


def test_the_pinned_version_is_read_from_the_requirements() -> None:
    assert pinned_torch("numpy==2.4.6\ntorch==2.13.0\ntorchaudio==9\n") == "2.13.0"


def test_requirements_that_pin_no_torch_are_refused() -> None:
    with pytest.raises(TrainingEnvironmentError, match="pin no torch"):
        pinned_torch("torch>=2\n")
