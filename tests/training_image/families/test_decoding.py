from __future__ import annotations

import pytest
import torch

from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.families.decoding import Reader


def test_the_value_and_its_end_count_or_everything_if_there_is_no_value(family: Blip2Family) -> None:
    tokenizer = family.processor.tokenizer
    tokens = tokenizer(["Fit: Loose Fit", "Loose Fit", "Fit: Slim"], padding=True, return_tensors="pt")["input_ids"]
    counted = Reader(tokenizer).value_tokens(tokens)
    words = [tokenizer.decode(row[mask]).strip() for row, mask in zip(tokens, counted, strict=True)]
    assert words == ["Loose Fit</s>", "Loose Fit</s>", "Slim</s>"]


def test_a_probability_is_the_product_of_its_tokens(family: Blip2Family) -> None:
    tokenizer = family.processor.tokenizer
    tokens = tokenizer(["Fit: Slim"], return_tensors="pt")["input_ids"]
    reader = Reader(tokenizer)
    counted = int(reader.value_tokens(tokens).sum())
    steps = []
    for token in tokens[0]:
        logits = torch.zeros(1, len(tokenizer))  # the token gets a half of the probability, the others share the rest
        logits[0, token] = torch.log(torch.tensor(len(tokenizer) - 1.0))
        steps.append(logits)
    answer = reader.read(tokens, steps)[0]
    assert answer.text == "Fit: Slim"
    assert answer.probability == pytest.approx(0.5**counted)
