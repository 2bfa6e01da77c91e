"""A family in one file, for tests: InstructBLIP, whose Q-Former reads the question; only the ViT's output is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import torch
from PIL import Image
from torch import Tensor
from transformers import InstructBlipForConditionalGeneration, InstructBlipProcessor

from lookbook_image.errors import JobError
from lookbook_image.families.base import IGNORED, MAX_ANSWER_TOKENS, Family, Generated, Output, Prompts
from lookbook_image.families.decoding import Reader
from lookbook_image.families.weights import Weights

PROMPT = "Question: {} Answer:"
NEVER_QUANTIZED = ("vision_model", "qformer", "language_projection", "lm_head")


class InstructBlipFamily(Family):
    """Features are the ViT's output: shape (n, patches + 1, width)."""

    model_type: ClassVar[str] = "instructblip"
    lora_targets: ClassVar[str] = (
        r"language_model\.(encoder|decoder)\.block\.\d+\.layer\.\d+\.(SelfAttention|EncDecAttention)\.[qv]"
    )

    model: InstructBlipForConditionalGeneration
    processor: InstructBlipProcessor

    def __init__(
        self, model: InstructBlipForConditionalGeneration, processor: InstructBlipProcessor, device: torch.device
    ) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.processor = processor
        self.device = device
        self.picture_size = model.config.vision_config.image_size
        self._reader = Reader(processor.tokenizer)

    @classmethod
    def load(cls, directory: Path, device: torch.device, weights: Weights) -> Self:
        options = weights.options(device, never_quantized=NEVER_QUANTIZED)
        try:
            model = InstructBlipForConditionalGeneration.from_pretrained(directory, **options)
            processor = InstructBlipProcessor.from_pretrained(directory, local_files_only=True)
        except (OSError, ValueError) as error:
            raise JobError(f"{directory}: not an InstructBLIP model that can be loaded: {error}") from error
        return cls(model, processor, device)

    def prompts(self, questions: Sequence[str]) -> Prompts:
        placeholders = self.processor.image_token.content * self.processor.num_query_tokens
        asked = self._tokens(self.processor.tokenizer, [placeholders + PROMPT.format(one) for one in questions])
        read = self._tokens(self.processor.qformer_tokenizer, list(questions))
        return dataclasses.replace(asked, others={"qformer": read})

    @staticmethod
    def _tokens(tokenizer: object, texts: list[str]) -> Prompts:
        tokens = tokenizer(texts, padding=True, return_tensors="pt")  # type: ignore[operator]
        return Prompts(tokens["input_ids"], tokens["attention_mask"])

    def labels(self, answers: Sequence[str]) -> Tensor:
        tokens = self.processor.tokenizer(list(answers), padding=True, return_tensors="pt")
        return tokens["input_ids"].masked_fill(tokens["attention_mask"] == 0, IGNORED)

    def pixels(self, pictures: Sequence[Image.Image]) -> Tensor:
        return self.processor.image_processor(list(pictures), return_tensors="pt")["pixel_values"]

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        return self.model.vision_model(pixels.to(self.device, self.model.dtype)).last_hidden_state.cpu()

    def forward(self, features: Tensor, prompts: Prompts, labels: Tensor) -> Output:
        output = self.model.language_model(**self._inputs(features, prompts), labels=labels.to(self.device))
        return Output(output.loss, output.logits)

    @torch.no_grad()
    def generate(self, features: Tensor, prompts: Prompts) -> list[Generated]:
        output = self.model.language_model.generate(
            **self._inputs(features, prompts),
            max_new_tokens=MAX_ANSWER_TOKENS,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        return self._reader.read(output.sequences[:, 1:], output.logits)

    def _inputs(self, features: Tensor, prompts: Prompts) -> dict[str, Tensor]:
        prompts = prompts.to(self.device)
        question = prompts.others["qformer"]
        words = self.model.language_model.get_input_embeddings()(prompts.input_ids)
        queries = self.model.query_tokens.expand(len(words), -1, -1)
        seen = torch.ones(queries.shape[:2], dtype=torch.long, device=self.device)
        read = self.model.qformer(
            input_ids=question.input_ids,
            attention_mask=torch.cat([seen, question.attention_mask], dim=1),
            query_embeds=queries,
            encoder_hidden_states=features.to(self.device, words.dtype),
        ).last_hidden_state[:, : queries.shape[1]]
        picture = self.model.language_projection(read).to(words.dtype)
        place = (prompts.input_ids == self.model.config.image_token_id).unsqueeze(-1)
        return {"inputs_embeds": words.masked_scatter(place, picture), "attention_mask": prompts.attention_mask}
