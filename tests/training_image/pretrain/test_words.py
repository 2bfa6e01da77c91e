from __future__ import annotations

import pytest

from lookbook_image.pretrain import texts, words


@pytest.fixture(scope="module")
def tokenizer():
    return words.train_tokenizer(texts.corpus())


def test_the_tokenizer_leaves_room_for_the_pictures_placeholder(tokenizer) -> None:
    assert len(tokenizer) < words.VOCABULARY_SIZE


def test_every_value_and_attribute_survives_the_tokenizer(tokenizer) -> None:
    for value in words.vocabulary():
        assert tokenizer.decode(tokenizer(value)["input_ids"], skip_special_tokens=True).strip() == value


@pytest.mark.parametrize("text", ["Fabric: Pashmina", "Größe 3/4, «décolleté»", "丝绸"])
def test_no_text_is_unknown(tokenizer, text: str) -> None:
    tokens = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in tokens
    assert tokenizer.decode(tokens, skip_special_tokens=True).strip() == text


def test_every_text_ends_with_the_end_token(tokenizer) -> None:
    assert tokenizer("Cotton")["input_ids"][-1] == tokenizer.eos_token_id


def test_training_it_again_gives_the_same_tokenizer(tokenizer) -> None:
    assert words.train_tokenizer(texts.corpus()).get_vocab() == tokenizer.get_vocab()


def test_nothing_in_the_vocabulary_is_there_twice() -> None:
    assert len(set(words.vocabulary())) == len(words.vocabulary())
