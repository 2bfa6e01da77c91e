"""The interface is wide enough: families written here go through train, evaluate and serve, which don't know them."""

from __future__ import annotations

import base64
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import instructblip_family
import llava_family
import pytest
import torch
from garments import QUESTIONS, draw, write_hyperparameters, write_side
from starlette.testclient import TestClient
from transformers import (
    Blip2Processor,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    Phi3Config,
    SiglipVisionConfig,
)

from lookbook_image import evaluation, families, training
from lookbook_image.answering import Asked, answer
from lookbook_image.container import Container
from lookbook_image.families.base import Family
from lookbook_image.pictures import decode
from lookbook_image.pretrain import architecture
from lookbook_image.serving import Service

WIDTH = 32
ASKED = list(QUESTIONS.values())
ANSWERS = ["Sleeve Length: Long Sleeves", "baseColour: Red"]


def make_instructblip(blip2: Blip2Processor, directory: Path) -> None:
    """Save a tiny InstructBLIP with random weights: the tiny BLIP-2's parts, and a Q-Former that reads."""
    torch.manual_seed(0)
    parts = architecture.config(blip2).to_dict()
    parts["qformer_config"] |= {"vocab_size": len(blip2.tokenizer), "max_position_embeddings": 64}
    config = InstructBlipConfig(
        vision_config=parts["vision_config"],
        qformer_config=parts["qformer_config"],
        text_config=parts["text_config"],
        num_query_tokens=parts["num_query_tokens"],
        image_token_index=blip2.tokenizer.convert_tokens_to_ids(blip2.image_token.content),
    )
    InstructBlipForConditionalGeneration(config).save_pretrained(directory)
    InstructBlipProcessor(
        blip2.image_processor, blip2.tokenizer, blip2.tokenizer, num_query_tokens=config.num_query_tokens
    ).save_pretrained(directory)


def make_llava(blip2: Blip2Processor, directory: Path) -> None:
    """Save a tiny LLaVA with random weights: SigLIP's vision tower before Phi-3."""
    torch.manual_seed(0)
    tokenizer = blip2.tokenizer
    vision = SiglipVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        patch_size=16,
        vision_use_head=False,
    )
    text = Phi3Config(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    image_token = blip2.image_token.content
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(image_token),
        image_seq_length=16,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )
    LlavaForConditionalGeneration(config).save_pretrained(directory)
    LlavaProcessor(blip2.image_processor, tokenizer, 16, "full", image_token=image_token).save_pretrained(directory)


MAKE: dict[str, Callable[[Blip2Processor, Path], None]] = {"instructblip": make_instructblip, "llava": make_llava}


@pytest.fixture(params=list(MAKE))
def base(request: pytest.FixtureRequest, untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base of another family; all that the image gets to know of it is its entry in the table of families."""
    monkeypatch.setitem(families.FAMILIES, "llava", (llava_family.__name__, "LlavaFamily"))
    monkeypatch.setitem(families.FAMILIES, "instructblip", (instructblip_family.__name__, "InstructBlipFamily"))
    directory = tmp_path / "base"
    MAKE[request.param](Blip2Processor.from_pretrained(untrained), directory)
    return directory


@pytest.fixture
def family(base: Path) -> Family:
    return families.load(base, torch.device("cpu"))


def test_it_trains_is_evaluated_and_serves(
    base: Path, training_container: Callable[..., Container], tmp_path: Path
) -> None:
    container = training_container(base=base, epochs="6", learning_rate="0.02", warm_up_share="0.1")
    training.run(container)
    epochs = json.loads((container.model / "report.json").read_text())["epochs"]
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]

    scoring = Container(tmp_path / "evaluate")
    data = scoring.base / "input" / "data"
    for name, seed in (("benchmark", 4), ("validation", 5)):
        write_side(data / name, garments=8, seed=seed)
    shutil.copytree(base, data / "base")
    (data / "challenger").mkdir()
    with tarfile.open(data / "challenger" / "model.tar.gz", "w:gz") as tar:
        tar.add(container.model, ".")
    write_hyperparameters(scoring.base)
    evaluation.run(scoring)
    models = json.loads((scoring.model / "evaluation.json").read_text())["models"]
    assert 0 <= models["challenger"]["exact_match"] <= 1

    served = families.load(container.model / "merged", torch.device("cpu"))
    client = TestClient(Service(served, "v1").app())
    image = base64.b64encode(draw("Red", "Long Sleeves", Random(0))).decode()
    answers = client.post("/invocations", json={"image": image, "questions": ASKED}).json()["answers"]
    assert [one["question"] for one in answers] == ASKED
    assert all(0 <= one["probability"] <= 1 for one in answers)


def test_kept_features_give_the_logits_of_the_whole_model(family: Family) -> None:
    pictures = [decode(draw(colour, "Long Sleeves", Random(0))) for colour in ("Red", "Blue")]
    prompts, labels = family.prompts(ASKED), family.labels(ANSWERS)
    pixels = family.processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        given = family.forward(family.encode(pictures), prompts, labels)
        for row in range(2):
            expected = whole_model(family, pixels[row : row + 1], prompts.take(torch.tensor([row])), labels[row])
            torch.testing.assert_close(given.logits[row, : len(expected)], expected, rtol=1e-4, atol=1e-4)


def whole_model(family: Family, pixels: torch.Tensor, prompts, labels: torch.Tensor) -> torch.Tensor:
    """Return the logits from which the library's own forward pass predicts ``labels``, one row without padding."""
    answer = labels[labels != -100].unsqueeze(0)
    if family.model_type == "llava":
        ids = torch.cat([prompts.input_ids, answer], dim=1)
        logits = family.model(input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids)).logits
        return logits[0, prompts.input_ids.shape[1] - 1 : -1]
    question = prompts.others["qformer"]
    return family.model(
        pixel_values=pixels,
        input_ids=prompts.input_ids,
        attention_mask=prompts.attention_mask,
        qformer_input_ids=question.input_ids,
        qformer_attention_mask=question.attention_mask,
        labels=answer,
    ).logits[0]


def test_answers_in_a_batch_are_those_given_alone(family: Family) -> None:
    pictures = [decode(draw(colour, "Long Sleeves", Random(0))) for colour in ("Red", "Blue")]
    features, prompts = family.encode(pictures), family.prompts(ASKED)
    together = family.generate(features, prompts)
    alone = [family.generate(features[[row]], prompts.take(torch.tensor([row])))[0] for row in range(2)]
    assert [one.text for one in together] == [one.text for one in alone]
    assert [one.probability for one in together] == pytest.approx([one.probability for one in alone], rel=1e-3)


def test_requests_served_together_get_what_they_get_alone(family: Family) -> None:
    pixels = [family.pixels([decode(draw(colour, "Long Sleeves", Random(0)))]) for colour in ("Red", "Blue")]
    batch = [Asked(pixels[0], ("What is it, and what is it made of?", "Why?")), Asked(pixels[1], tuple(ASKED[:1]))]
    together, alone = answer(family, batch), [answer(family, [asked])[0] for asked in batch]
    assert [[one.text for one in given] for given in together] == [[one.text for one in given] for given in alone]
    for given, expected in zip(together, alone, strict=True):
        assert [one.probability for one in given] == pytest.approx([one.probability for one in expected], rel=1e-3)


def test_a_question_cannot_take_the_pictures_place(family: Family) -> None:
    placeholder = family.processor.tokenizer.convert_ids_to_tokens(family.model.config.image_token_id)
    assert placeholder in family.reserved


def test_the_picture_makes_a_difference(family: Family) -> None:
    features = family.encode([decode(draw(colour, "Long Sleeves", Random(0))) for colour in ("Red", "Blue")])
    prompts, labels = family.prompts(ASKED), family.labels(ANSWERS)
    with torch.no_grad():
        one, other = family.forward(features, prompts, labels), family.forward(features.flip(0), prompts, labels)
    assert not torch.allclose(one.logits, other.logits)
