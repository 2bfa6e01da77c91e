"""BLIP-2 with an encoder–decoder language model (``Salesforce/blip2-flan-t5-xl`` and our tiny base).

The vision tower and the Q-Former never see the question: their output, a few query vectors a picture, is the feature
that is computed once. The language projection, the language model and the LoRA weights in it run per question.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from transformers import Blip2ForConditionalGeneration, Blip2Processor

from lookbook_image.errors import JobError
from lookbook_image.families.base import IGNORED, MAX_ANSWER_TOKENS, Family, Generated, Output, Prompts
from lookbook_image.families.decoding import Reader
from lookbook_image.families.weights import Weights

PROMPT = "Question: {} Answer:"
NEVER_QUANTIZED = ("vision_model", "qformer", "language_projection", "lm_head")


class Blip2Family(Family):
    """A BLIP-2 model; features have shape (n, query tokens, Q-Former width)."""

    model_type: ClassVar[str] = "blip-2"
    # The whole name: "q|v" alone would also match modules of the vision tower.
    lora_targets: ClassVar[str] = (
        r"language_model\.(encoder|decoder)\.block\.\d+\.layer\.\d+\.(SelfAttention|EncDecAttention)\.[qv]"
    )

    model: Blip2ForConditionalGeneration
    processor: Blip2Processor

    def __init__(
        self,
        model: Blip2ForConditionalGeneration,
        processor: Blip2Processor,
        device: torch.device,
    ) -> None:
        # A quantised model was put there when it was loaded and refuses to be moved.
        quantized = getattr(model, "hf_quantizer", None) is not None
        self.model = (model if quantized else model.to(device)).eval().requires_grad_(False)
        self.processor = processor
        # Prompts.take cuts padding off on the right.
        self.processor.tokenizer.padding_side = "right"
        self.device = device
        self.picture_size = model.config.vision_config.image_size
        self._placeholder = model.config.image_token_id
        self._reader = Reader(processor.tokenizer)
        self._check_placeholders()

    @classmethod
    def load(cls, directory: Path, device: torch.device, weights: Weights) -> Self:
        """Load from ``directory``, in the precision that ``weights`` says, whatever the file holds.

        Raises:
            JobError: a file is missing or doesn't fit, or the processor leaves no room for the picture.
        """
        options = weights.options(device, never_quantized=NEVER_QUANTIZED)
        try:
            model = Blip2ForConditionalGeneration.from_pretrained(directory, **options)
            processor = Blip2Processor.from_pretrained(directory, local_files_only=True)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise JobError(f"{directory}: not a BLIP-2 model that can be loaded: {error}") from error
        if not model.config.text_config.is_encoder_decoder:
            raise JobError(f"{directory}: a BLIP-2 with a decoder-only language model; use one with a T5.")
        return cls(model, processor, device)

    def _check_placeholders(self) -> None:
        """Refuse a processor that reserves no place for the picture: the model would answer without looking."""
        expected = self.model.config.num_query_tokens
        found = int((self.prompts(["What is this?"]).input_ids == self._placeholder).sum())
        if found != expected:
            raise JobError(
                f"the processor puts {found} picture placeholders into a prompt, the model needs {expected}: "
                f"set num_query_tokens to {expected} in processor_config.json and image_token_index in config.json."
            )

    def prompts(self, questions: Sequence[str]) -> Prompts:
        """Return "Question: … Answer:", each after the placeholders of one picture."""
        placeholders = self.processor.image_token.content * (self.processor.num_query_tokens or 0)
        tokens = self.processor.tokenizer(
            [placeholders + PROMPT.format(question) for question in questions], padding=True, return_tensors="pt"
        )
        return Prompts(tokens["input_ids"], tokens["attention_mask"])

    def labels(self, answers: Sequence[str]) -> Tensor:
        """Return ``answers`` with their end token; shape (n, t), padding IGNORED."""
        tokens = self.processor.tokenizer(list(answers), padding=True, return_tensors="pt")
        return tokens["input_ids"].masked_fill(tokens["attention_mask"] == 0, IGNORED)

    def pixels(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Return ``pictures`` resized and normalised: shape (n, 3, side, side)."""
        pixels: Tensor = self.processor.image_processor(list(pictures), return_tensors="pt")["pixel_values"]
        return pixels

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        """Return the query vectors of pictures: shape (n, query tokens, Q-Former width)."""
        features = self.model.get_image_features(pixels.to(self.device, self.model.dtype))
        return features.qformer_outputs.last_hidden_state.cpu()

    def forward(self, features: Tensor, prompts: Prompts, labels: Tensor) -> Output:
        """Return loss and logits; see ``Family.forward``."""
        output = self.model.language_model(**self._language_inputs(features, prompts), labels=labels.to(self.device))
        return Output(output.loss, output.logits)

    def _language_inputs(self, features: Tensor, prompts: Prompts) -> dict[str, Tensor]:
        """Return what the language model's encoder sees: prompts whose placeholders are the projected features."""
        prompts = prompts.to(self.device)
        words = self.model.language_model.get_input_embeddings()(prompts.input_ids)
        # Autocast may make the projection's result another type than the words are.
        picture = self.model.language_projection(features.to(self.device, words.dtype)).to(words.dtype)
        place = (prompts.input_ids == self._placeholder).unsqueeze(-1)
        return {"inputs_embeds": words.masked_scatter(place, picture), "attention_mask": prompts.attention_mask}

    @torch.no_grad()
    def generate(self, features: Tensor, prompts: Prompts) -> list[Generated]:
        """Return the most probable answers; see ``Family.generate``."""
        output = self.model.language_model.generate(
            **self._language_inputs(features, prompts),
            max_new_tokens=MAX_ANSWER_TOKENS,
            do_sample=False,
            num_beams=1,
            output_logits=True,
            return_dict_in_generate=True,
        )
        return self._reader.read(output.sequences[:, 1:], output.logits)  # the first token is the decoder's start
