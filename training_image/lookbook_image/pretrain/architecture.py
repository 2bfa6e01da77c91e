"""The tiny BLIP-2: Salesforce's classes in a size that trains on one CPU core, started so that it trains at all."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    BlipImageProcessorPil,
    PreTrainedTokenizerFast,
    T5Config,
)

PICTURE_SIZE = 64
PATCH_SIZE = 8
WIDTH = 128
HEADS = 4
QUERY_TOKENS = 16


def build(tokenizer: PreTrainedTokenizerFast, seed: int) -> tuple[Blip2ForConditionalGeneration, Blip2Processor]:
    """Return an untrained model for ``tokenizer`` and its processor, the same for the same ``seed``."""
    processor = build_processor(tokenizer)
    torch.manual_seed(seed)
    model = Blip2ForConditionalGeneration(config(processor))
    start(model)
    return model, processor


def build_processor(tokenizer: PreTrainedTokenizerFast) -> Blip2Processor:
    """Return a processor that resizes to PICTURE_SIZE and reserves QUERY_TOKENS places for the picture."""
    size = {"height": PICTURE_SIZE, "width": PICTURE_SIZE}
    return Blip2Processor(BlipImageProcessorPil(size=size), tokenizer, num_query_tokens=QUERY_TOKENS)


def config(processor: Blip2Processor) -> Blip2Config:
    """Return the model's configuration; vocabulary and token ids come from the processor's tokenizer."""
    tokenizer = processor.tokenizer
    vision = Blip2VisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=4,
        num_attention_heads=HEADS,
        image_size=PICTURE_SIZE,
        patch_size=PATCH_SIZE,
        initializer_range=0.02,  # the default, 1e-10, is for weights that are loaded
    )
    qformer = Blip2QFormerConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        cross_attention_frequency=1,
        encoder_hidden_size=WIDTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    text = T5Config(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        d_kv=WIDTH // HEADS,
        d_ff=2 * WIDTH,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=HEADS,
        dropout_rate=0.0,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,  # to the library's T5 this means: logits aren't scaled, as in flan-t5
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    return Blip2Config(
        vision_config=vision,
        qformer_config=qformer,
        text_config=text,
        num_query_tokens=QUERY_TOKENS,
        image_token_index=tokenizer.convert_tokens_to_ids(processor.image_token.content),
    )


@torch.no_grad()
def start(model: Blip2ForConditionalGeneration) -> None:
    """Replace the start values that keep a small model from learning.

    The library's are for weights that will be loaded: positions without order, query tokens all alike, and word
    embeddings (which are the output layer too) so large that the first steps only shrink the logits.
    """
    embeddings = model.vision_model.embeddings
    side = PICTURE_SIZE // PATCH_SIZE
    embeddings.position_embedding.zero_()[0, 1:] = 0.5 * sine_positions(side, WIDTH)
    nn.init.orthogonal_(embeddings.patch_embedding.weight.view(WIDTH, -1))
    nn.init.zeros_(embeddings.patch_embedding.bias)
    nn.init.normal_(model.query_tokens, std=1.0)
    model.language_model.lm_head.weight.mul_(0.05)


def sine_positions(side: int, width: int) -> Tensor:
    """Return 2-D sine–cosine positions of a ``side`` × ``side`` grid: shape (side², width), row by row."""
    rates = torch.exp(-math.log(10_000) * torch.arange(width // 4) / (width // 4))
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    phases = [axis.reshape(-1, 1) * rates for axis in (row, column)]
    return torch.cat([wave for phase in phases for wave in (phase.sin(), phase.cos())], dim=1)
