"""One training step of a BLIP-2 of middle size, with everything run and with the frozen part's output kept.

Run by ``train_rate`` in the training image's environment: ``python _midsize_step.py <tiny base>``. The model has random
weights and each part a 64th of the parameters that ``Salesforce/blip2-flan-t5-xl`` has of it, so that the parts' shares
of the work are the real one's. The last line is JSON: median seconds of a whole step, of one from kept features, and of
encoding the step's pictures.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor

from lookbook_image import lora
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.hyperparameters import Hyperparameters

BATCH = 16
STEPS = 5
QUESTION, ANSWER = "What is the fabric of the clothing in this picture?", "Fabric: Cotton"


def build(base: Path) -> Blip2Family:
    """Return the model, random but for its tokenizer, which is the tiny base's."""
    torch.manual_seed(0)
    processor = Blip2Processor.from_pretrained(base)
    tiny = Blip2Config.from_pretrained(base)
    words = {"vocab_size": tiny.text_config.vocab_size, "decoder_start_token_id": 0, "pad_token_id": 0}
    config = Blip2Config(
        vision_config={
            "hidden_size": 352,
            "intermediate_size": 1536,
            "num_hidden_layers": 10,
            "num_attention_heads": 8,
            "image_size": 224,
            "patch_size": 14,
        },
        qformer_config={
            "hidden_size": 192,
            "intermediate_size": 768,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "encoder_hidden_size": 352,
            "cross_attention_frequency": 2,
        },
        text_config={
            "model_type": "t5",
            "d_model": 512,
            "d_kv": 64,
            "num_heads": 8,
            "num_layers": 6,
            "num_decoder_layers": 6,
            "d_ff": 1280,
            "feed_forward_proj": "gated-gelu",
            **words,
        },
        num_query_tokens=processor.num_query_tokens,
        image_token_index=tiny.image_token_id,
    )
    return Blip2Family(Blip2ForConditionalGeneration(config), processor, torch.device("cpu"))


def main(base: str) -> None:
    """Measure the three, in turns, and print their medians."""
    torch.set_num_threads(1)
    family = build(Path(base))
    lora.add(family, Hyperparameters())
    family.model.train()
    pixels = torch.randn(BATCH, 3, 224, 224)
    prompts, labels = family.prompts([QUESTION] * BATCH), family.labels([ANSWER] * BATCH)
    features = _encode(family, pixels)

    def whole() -> None:
        family.model(
            pixel_values=pixels, input_ids=prompts.input_ids, attention_mask=prompts.attention_mask, labels=labels
        ).loss.backward()

    kinds: dict[str, Callable[[], object]] = {
        "whole_s": whole,
        "kept_s": lambda: family.forward(features, prompts, labels).loss.backward(),
        "encoding_s": lambda: _encode(family, pixels),
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(STEPS + 1):
        for name, call in kinds.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    # The first of each also allocates what the later ones reuse.
    print(json.dumps({name: statistics.median(found[1:]) for name, found in seconds.items()}))


@torch.no_grad()
def _encode(family: Blip2Family, pixels: torch.Tensor) -> torch.Tensor:
    return family.model.get_image_features(pixels).qformer_outputs.last_hidden_state


if __name__ == "__main__":
    main(sys.argv[1])
