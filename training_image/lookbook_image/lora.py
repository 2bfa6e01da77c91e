"""LoRA weights in a family's model: put in, saved as an adapter, merged."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor

from lookbook_image import families
from lookbook_image.errors import JobError
from lookbook_image.families.base import Family
from lookbook_image.families.weights import Weights
from lookbook_image.hyperparameters import Hyperparameters


def add(family: Family, hyperparameters: Hyperparameters) -> PeftModel:
    """Put fresh LoRA weights, float32 whatever the model's precision, into ``family``'s model and return its wrapper.

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
    """Return a copy of the LoRA weights by name, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in get_peft_model_state_dict(adapted).items()}


def restore(adapted: PeftModel, saved: dict[str, Tensor]) -> None:
    """Put the weights that ``state`` returned back."""
    set_peft_model_state_dict(adapted, saved)


def merge(base: Path, adapter: Path, directory: Path) -> None:
    """Write to ``directory`` a whole model that loads with from_pretrained: ``base`` with ``adapter`` merged in.

    The base is loaded anew in float32, whatever it was trained in: an update that is merged into quantised or 16-bit
    weights is rounded away with them.
    """
    device = torch.device("cpu")
    family = families.load(base, device, Weights(torch.float32))
    merged = PeftModel.from_pretrained(family.model, str(adapter)).merge_and_unload(safe_merge=True)
    merged.config.dtype = torch.float32
    merged.save_pretrained(directory)
    family.processor.save_pretrained(directory)
