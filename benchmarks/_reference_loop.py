"""The reference's way to train, from its description; ``train_rate`` runs it in the training image's environment.

``python _reference_loop.py train <base> <train> <held-out> <epochs>``: Adam at 0.0025, batches of 16, LoRA (r 8, alpha
32, dropout 0.05) on every ``q`` and ``v``. Each question opens its picture anew and resizes it to 1800×2400 before the
processor makes it small; answers are padded to one length, and their padding counts in the loss. The whole model runs
for every question. The last line is JSON: pairs a second, exact match on the held-out pairs, peak memory in bytes.
``… score <model> <side>`` asks a saved model the same questions.
"""

from __future__ import annotations

import json
import resource
import sys
import tarfile
import time
from io import BytesIO
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from transformers import Blip2ForConditionalGeneration, Blip2Processor

from lookbook_image import pairs
from lookbook_image.families.blip2 import PROMPT, Blip2Family
from lookbook_image.features import DEFAULT_ROOM, prepare
from lookbook_image.pairs import Side

SIZE = (1800, 2400)
BATCH = 16
RATE = 0.0025
ANSWER_TOKENS = 16
EVALUATION_BATCH = 128


class Questions(Dataset[dict[str, torch.Tensor]]):
    """One sample a question: its picture opened, resized and processed each time that it is asked for."""

    def __init__(self, side: Side, processor: Blip2Processor) -> None:
        self._side, self._processor = side, processor
        self._files = _pictures(side.directory)

    def __len__(self) -> int:
        return len(self._side)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        name = self._side.pictures[self._side.picture_of_pair[index]]
        picture = Image.open(BytesIO(self._files[name])).convert("RGB").resize(SIZE)
        question = PROMPT.format(self._side.questions[index])
        made = self._processor(picture, question, padding="max_length", max_length=64, return_tensors="pt")
        answer = self._processor.tokenizer(
            self._side.answers[index], padding="max_length", max_length=ANSWER_TOKENS, return_tensors="pt"
        )
        return {name: tensor[0] for name, tensor in made.items()} | {"labels": answer["input_ids"][0]}


def _pictures(directory: Path) -> dict[str, bytes]:
    """Return the encoded pictures by name, which stand for files that are opened."""
    found: dict[str, bytes] = {}
    for path in sorted(directory.glob("pictures-*.tar")):
        with tarfile.open(path) as tar:
            found |= {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    return found


def train(base: Path, side: Side, epochs: int) -> tuple[Blip2ForConditionalGeneration, Blip2Processor, float]:
    """Train as the reference does; return the model, its processor and the pairs done a second."""
    torch.manual_seed(0)
    processor = Blip2Processor.from_pretrained(base)
    whole = Blip2ForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    lora = LoraConfig(r=8, lora_alpha=32, lora_dropout=0.05, target_modules=r".*language_model.*\.(q|v)")
    model = get_peft_model(whole, lora)
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], lr=RATE)
    loader = DataLoader(Questions(side, processor), batch_size=BATCH, shuffle=True)
    model.train()
    began = time.perf_counter()
    for epoch in range(1, epochs + 1):
        for batch in loader:
            optimizer.zero_grad()
            model(**batch).loss.backward()
            optimizer.step()
        print(f"epoch {epoch} of {epochs} after {time.perf_counter() - began:.0f} s", flush=True)
    rate = epochs * len(side) / (time.perf_counter() - began)
    return model.merge_and_unload(), processor, rate


def exact_match(model: Blip2ForConditionalGeneration, processor: Blip2Processor, side: Side) -> float:
    """Return the share of the held-out questions that the model answers word for word."""
    family = Blip2Family(model, processor, torch.device("cpu"))
    held_out = prepare(family, side, DEFAULT_ROOM)
    texts: list[str] = []
    for rows in held_out.batches(EVALUATION_BATCH):
        features, prompts, _ = held_out.take(rows)
        texts += [generated.text for generated in family.generate(features, prompts)]
    return sum(text == answer for text, answer in zip(texts, side.answers, strict=True)) / len(texts)


def score(model: str, side: str) -> dict[str, float]:
    """Return how a saved model answers the questions of a side."""
    whole = Blip2ForConditionalGeneration.from_pretrained(model, dtype=torch.float32)
    return {"exact_match": exact_match(whole, Blip2Processor.from_pretrained(model), pairs.read(Path(side)))}


def trained(base: str, train_side: str, held_out: str, epochs: str) -> dict[str, float]:
    """Train as the reference does and return rate, peak memory and exact match."""
    model, processor, rate = train(Path(base), pairs.read(Path(train_side)), int(epochs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    matched = exact_match(model, processor, pairs.read(Path(held_out)))
    return {"pairs_per_second": rate, "exact_match": matched, "peak_memory_bytes": peak}


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({"train": trained, "score": score}[sys.argv[1]](*sys.argv[2:])))
