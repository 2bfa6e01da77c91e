"""A family in one file, for tests: LLaVA, a SigLIP vision tower before a Phi-3 that only decodes.

What BLIP-2 isn't: the picture's patches (not query vectors) are kept, question and answer are one sequence, padding for
generating goes to the left, and attention's three matrices are one, of which LoRA can't take two.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import torch
from PIL import Image
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from lookbook_image.errors import JobError
from lookbook_image.families.base import IGNORED, MAX_ANSWER_TOKENS, Family, Generated, Output, Prompts
from lookbook_image.families.decoding import Reader
from lookbook_image.families.weights import Weights

PROMPT = "USER: {}\n{} ASSISTANT:"
NEVER_QUANTIZED = ("vision_tower", "multi_modal_projector", "lm_head")


class LlavaFamily(Family):
    """Features are the vision tower's patches: shape (n, patches, width)."""

    model_type: ClassVar[str] = "llava"
    lora_targets: ClassVar[str] = r"model\.language_model\.layers\.\d+\.self_attn\.qkv_proj"

    model: LlavaForConditionalGeneration
    processor: LlavaProcessor

    def __init__(self, model: LlavaForConditionalGeneration, processor: LlavaProcessor, device: torch.device) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.processor = processor
        self.processor.tokenizer.padding_side = "right"
        self.device = device
        self.picture_size = model.config.vision_config.image_size
        self._reader = Reader(processor.tokenizer)

    @classmethod
    def load(cls, directory: Path, device: torch.device, weights: Weights) -> Self:
        options = weights.options(device, never_quantized=NEVER_QUANTIZED)
        try:
            model = LlavaForConditionalGeneration.from_pretrained(directory, **options)
            processor = LlavaProcessor.from_pretrained(directory, local_files_only=True)
        except (OSError, ValueError) as error:
            raise JobError(f"{directory}: not a LLaVA model that can be loaded: {error}") from error
        return cls(model, processor, device)

    def prompts(self, questions: Sequence[str]) -> Prompts:
        patches = (self.picture_size // self.model.config.vision_config.patch_size) ** 2
        picture = self.processor.image_token * patches
        texts = [PROMPT.format(picture, question) for question in questions]
        tokens = self.processor.tokenizer(texts, padding=True, add_special_tokens=False, return_tensors="pt")
        return Prompts(tokens["input_ids"], tokens["attention_mask"])

    def labels(self, answers: Sequence[str]) -> Tensor:
        tokenizer = self.processor.tokenizer
        texts = [f" {answer}{tokenizer.eos_token}" for answer in answers]
        tokens = tokenizer(texts, padding=True, add_special_tokens=False, return_tensors="pt")
        return tokens["input_ids"].masked_fill(tokens["attention_mask"] == 0, IGNORED)

    def pixels(self, pictures: Sequence[Image.Image]) -> Tensor:
        return self.processor.image_processor(list(pictures), return_tensors="pt")["pixel_values"]

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        tower = self.model.model.vision_tower
        output = tower(pixels.to(self.device, self.model.dtype), output_hidden_states=True)
        return output.hidden_states[self.model.config.vision_feature_layer].cpu()

    def forward(self, features: Tensor, prompts: Prompts, labels: Tensor) -> Output:
        asked = [ids[mask.bool()] for ids, mask in zip(prompts.input_ids, prompts.attention_mask, strict=True)]
        answered = [row[row != IGNORED] for row in labels]
        ids = pad_sequence([torch.cat(both) for both in zip(asked, answered, strict=True)], batch_first=True)
        mask = pad_sequence(
            [torch.ones(len(one) + len(two)) for one, two in zip(asked, answered, strict=True)], batch_first=True
        )
        logits = self.model(**self._inputs(features, ids, mask.long())).logits
        # The token at a place is predicted from the one before it; places after an answer's end are IGNORED.
        places = torch.tensor([len(one) - 1 for one in asked]).unsqueeze(1) + torch.arange(labels.shape[1])
        rows = torch.arange(len(asked)).unsqueeze(1)
        predicted = logits[rows, places.clamp(max=logits.shape[1] - 1)]
        loss = torch.nn.functional.cross_entropy(predicted.float().flatten(0, 1), labels.to(self.device).flatten())
        return Output(loss, predicted)

    @torch.no_grad()
    def generate(self, features: Tensor, prompts: Prompts) -> list[Generated]:
        width = prompts.input_ids.shape[1]
        left = (torch.arange(width) + prompts.attention_mask.sum(1, keepdim=True)) % width  # padding comes first
        ids, mask = prompts.input_ids.gather(1, left), prompts.attention_mask.gather(1, left)
        inputs = self._inputs(features, ids, mask)
        output = self.model.generate(
            inputs_embeds=inputs["inputs_embeds"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=MAX_ANSWER_TOKENS,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        return self._reader.read(output.sequences, output.logits)

    def _inputs(self, features: Tensor, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        words = self.model.get_input_embeddings()(ids.to(self.device))
        picture = self.model.model.multi_modal_projector(features.to(self.device, words.dtype)).to(words.dtype)
        place = (ids == self.model.config.image_token_id).unsqueeze(-1).to(self.device)
        return {"inputs_embeds": words.masked_scatter(place, picture), "attention_mask": mask.to(self.device)}
