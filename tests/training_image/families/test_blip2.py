from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random

import pytest
import torch
from garments import COLOURS, SLEEVES, draw
from PIL import Image
from transformers import Blip2Processor

from lookbook_image import families
from lookbook_image.errors import JobError
from lookbook_image.families.base import IGNORED
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.pictures import decode
from lookbook_image.pretrain import architecture

CPU = torch.device("cpu")
QUESTIONS = ["What is the fit?", "What is the sleeve length of the clothing in this picture?"]
ANSWERS = ["Fit: Loose Fit", "Sleeve Length: Three-Quarter Sleeves"]


@pytest.fixture
def pictures() -> list[Image.Image]:
    return [decode(draw(colour, sleeves, Random(0))) for colour in COLOURS for sleeves in SLEEVES][:2]


def test_cached_features_give_the_logits_of_the_full_forward(family: Blip2Family, pictures: list[Image.Image]) -> None:
    prompts, labels = family.prompts(QUESTIONS), family.labels(ANSWERS)
    pixels = family.processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        full = family.model(
            pixel_values=pixels, input_ids=prompts.input_ids, attention_mask=prompts.attention_mask, labels=labels
        )
        cached = family.forward(family.encode(pictures), prompts, labels)
    torch.testing.assert_close(cached.logits, full.logits)
    torch.testing.assert_close(cached.loss, full.loss)


def test_cached_features_give_the_answers_of_the_librarys_generate(
    family: Blip2Family, pictures: list[Image.Image]
) -> None:
    prompts = family.prompts(QUESTIONS)
    pixels = family.processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
    tokens = family.model.generate(
        pixel_values=pixels, input_ids=prompts.input_ids, attention_mask=prompts.attention_mask, max_new_tokens=24
    )
    expected = [text.strip() for text in family.processor.batch_decode(tokens, skip_special_tokens=True)]
    assert [one.text for one in family.generate(family.encode(pictures), prompts)] == expected


def test_the_picture_makes_a_difference(family: Blip2Family, pictures: list[Image.Image]) -> None:
    prompts, labels = family.prompts(QUESTIONS), family.labels(ANSWERS)
    features = family.encode(pictures)
    with torch.no_grad():
        one, other = family.forward(features, prompts, labels), family.forward(features.flip(0), prompts, labels)
    assert not torch.allclose(one.logits, other.logits)


def test_encoding_many_pictures_is_encoding_each(family: Blip2Family, pictures: list[Image.Image]) -> None:
    together = family.encode(pictures * 20)
    assert together.shape[0] == 40
    torch.testing.assert_close(together[-1:], family.encode(pictures[1:]), rtol=1e-4, atol=1e-5)


def test_padding_is_no_label(family: Blip2Family) -> None:
    short, long = family.labels(ANSWERS)
    end = family.processor.tokenizer.eos_token_id
    assert int((short == IGNORED).sum()) == len(long) - int((short != IGNORED).sum()) > 0
    assert short[short != IGNORED][-1] == long[-1] == end


def test_padding_counts_neither_in_the_loss_nor_in_attention(family: Blip2Family, pictures: list[Image.Image]) -> None:
    features = family.encode(pictures)
    with torch.no_grad():
        alone = family.forward(features[:1], family.prompts(QUESTIONS[:1]), family.labels(ANSWERS[:1]))
        padded = family.forward(
            features[:1], family.prompts(QUESTIONS).take(torch.tensor([0])), family.labels(ANSWERS)[:1]
        )
    torch.testing.assert_close(padded.loss, alone.loss)


def test_prompts_hold_one_placeholder_per_query_token(family: Blip2Family) -> None:
    placeholders = (family.prompts(QUESTIONS).input_ids == family.model.config.image_token_id).sum(1)
    assert placeholders.tolist() == [family.model.config.num_query_tokens] * 2


def test_a_processor_without_room_for_the_picture_is_refused(untrained: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(untrained, broken)
    settings = json.loads((broken / "processor_config.json").read_text())
    del settings["num_query_tokens"]
    (broken / "processor_config.json").write_text(json.dumps(settings))
    with pytest.raises(JobError, match="0 picture placeholders into a prompt, the model needs 16"):
        families.load(broken, CPU)


def test_lora_targets_are_q_and_v_of_the_language_model_alone(family: Blip2Family) -> None:
    import re

    hit = [name for name, _ in family.model.named_modules() if re.fullmatch(family.lora_targets, name)]
    assert len(hit) == 12  # 2 encoder layers, 2 decoder layers with self and cross attention; q and v of each
    assert all(name.startswith("language_model.") and name[-2:] in (".q", ".v") for name in hit)


def test_a_probability_is_between_0_and_1(family: Blip2Family, pictures: list[Image.Image]) -> None:
    answers = family.generate(family.encode(pictures), family.prompts(QUESTIONS))
    assert all(0 <= one.probability <= 1 for one in answers)


def test_saving_and_loading_changes_no_logit(family: Blip2Family, pictures: list[Image.Image], untrained: Path) -> None:
    # T5 scales its logits or doesn't by a setting that is derived from another when a configuration is made.
    model, processor = architecture.build(Blip2Processor.from_pretrained(untrained).tokenizer, seed=0)
    made = Blip2Family(model, processor, CPU)
    prompts, labels = family.prompts(QUESTIONS), family.labels(ANSWERS)
    with torch.no_grad():
        before = made.forward(made.encode(pictures), prompts, labels)
        after = family.forward(family.encode(pictures), prompts, labels)
    torch.testing.assert_close(after.logits, before.logits)


def test_sixteen_bit_weights_are_loaded_as_float32_on_a_cpu(family: Blip2Family, tmp_path: Path) -> None:
    family.model.to(torch.float16).save_pretrained(tmp_path)
    family.processor.save_pretrained(tmp_path)
    assert {weight.dtype for weight in families.load(tmp_path, CPU).model.parameters()} == {torch.float32}


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"config\.json: not there"):
        families.load(tmp_path, CPU)


def test_a_kind_of_model_that_no_family_reads_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(JobError, match="no family reads models of type 'llava'; known are blip-2"):
        families.load(tmp_path, CPU)


def test_damaged_weights_are_refused(untrained: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(untrained, broken)
    (broken / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(JobError, match="not a BLIP-2 model that can be loaded"):
        families.load(broken, CPU)
