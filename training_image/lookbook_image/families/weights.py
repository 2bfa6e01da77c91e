"""How a model's weights are held in memory: precision, and quantised or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from transformers import BitsAndBytesConfig


@dataclass(frozen=True)
class Weights:
    """Precision and quantisation of a model that is to be loaded."""

    dtype: torch.dtype
    quantization: str = "none"
    """``none``, ``8bit`` or ``4bit``; quantised layers compute in ``dtype``."""

    @classmethod
    def native_to(cls, device: torch.device) -> Self:
        """Return what suits ``device``: bfloat16 where a GPU has it, else float32."""
        return cls(torch.bfloat16 if has_bfloat16(device) else torch.float32)

    def options(self, device: torch.device, *, never_quantized: Sequence[str]) -> dict[str, Any]:
        """Return the arguments of ``from_pretrained``; weights come from safetensors files only.

        Args:
            device: where a quantised model is put as it is loaded: it can't be moved later.
            never_quantized: modules that stay in ``dtype``: the frozen encoders, whose output is computed once and so
                costs nothing to compute well, and the output layer.
        """
        options: dict[str, Any] = {"dtype": self.dtype, "local_files_only": True, "use_safetensors": True}
        if self.quantization == "none":
            return options
        return options | {"quantization_config": self._bitsandbytes(never_quantized), "device_map": {"": device}}

    def _bitsandbytes(self, never_quantized: Sequence[str]) -> BitsAndBytesConfig:
        skipped = list(never_quantized)
        if self.quantization == "8bit":
            return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skipped)
        # QLoRA's setting (Dettmers et al. 2023); the skip list's name says int8 and holds for both.
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=self.dtype,
            llm_int8_skip_modules=skipped,
        )


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether ``device`` is a GPU that computes in bfloat16 itself (Ampere and later)."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
