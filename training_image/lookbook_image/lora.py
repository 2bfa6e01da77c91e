"""LoRA weights in a family's model: put in, saved as an adapter, merged."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor

from lookbook_image.errors import JobError
from lookbook_image.families.base import Family
from lookbook_image.hyperparameters import Hyperparameters


def add(family: Family, hyperparameters: Hyperparameters) -> PeftModel:
    """Put fresh LoRA weights into ``family``'s model, in place, and return the wrapper that owns them.

    Raises:
        JobError: no module of the model matches the family's targets.
    """
    config = LoraConfig(
        r=hyperparameters.lora_r,
        lora_alpha=hyperparameters.lora_alpha,
        lora_dropout=hyperparameters.lora_dropout,
        target_modules=family.lora_targets,
    )
    try:
        return get_peft_model(family.model, config)
    except ValueError as error:
        raise JobError(f"LoRA targets of family {family.model_type}: {error}") from error


def weights(adapted: PeftModel) -> list[Tensor]:
    """Return the trainable weights: LoRA's and nothing else."""
    return [weight for weight in adapted.parameters() if weight.requires_grad]


def state(adapted: PeftModel) -> dict[str, Tensor]:
    """Return the LoRA weights by name, for a checkpoint."""
    return get_peft_model_state_dict(adapted)


def restore(adapted: PeftModel, saved: dict[str, Tensor]) -> None:
    """Put the weights that ``state`` returned back."""
    set_peft_model_state_dict(adapted, saved)


def save(adapted: PeftModel, family: Family, directory: Path) -> None:
    """Write ``directory/adapter`` (LoRA only) and ``directory/merged`` (a whole model; loads with from_pretrained).

    The merge is done in float32 whatever the training precision was: in less, small LoRA updates round away.
    """
    adapted.save_pretrained(str(directory / "adapter"))
    merged = adapted.to(torch.float32).merge_and_unload()
    merged.config.dtype = torch.float32
    merged.save_pretrained(directory / "merged")
    family.processor.save_pretrained(directory / "merged")
