from __future__ import annotations

import torch

from lookbook_image.families.weights import Weights

CPU = torch.device("cpu")


def test_a_cpu_holds_float32() -> None:
    assert Weights.native_to(CPU) == Weights(torch.float32, "none")


def test_weights_come_from_safetensors_files_on_this_machine_only() -> None:
    options = Weights(torch.float32).options(CPU, never_quantized=())
    assert options["use_safetensors"] is True
    assert options["local_files_only"] is True
    assert "quantization_config" not in options


def test_four_bits_are_nf4_computed_in_the_models_precision() -> None:
    options = Weights(torch.bfloat16, "4bit").options(CPU, never_quantized=("vision_model",))
    config = options["quantization_config"]
    assert (config.load_in_4bit, config.bnb_4bit_quant_type) == (True, "nf4")
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    assert config.llm_int8_skip_modules == ["vision_model"]
    assert options["device_map"] == {"": CPU}
