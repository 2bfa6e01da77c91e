from __future__ import annotations

import pytest

from lookbook_image.errors import JobError
from lookbook_image.hyperparameters import BOUNDS, CHOICES, KNOWN, TEXTS, Hyperparameters, parse


def test_what_is_not_given_has_its_default() -> None:
    assert parse({}) == Hyperparameters()


def test_strings_become_numbers() -> None:
    values = parse({"epochs": "3", "learning_rate": "2.5e-3", "lora_dropout": "0", "seed": "11"})
    assert values == Hyperparameters(epochs=3, learning_rate=0.0025, lora_dropout=0.0, seed=11)


def test_sagemakers_own_hyperparameters_are_not_ours_to_judge() -> None:
    assert parse({"sagemaker_program": "train.py"}) == Hyperparameters()


def test_an_unknown_one_is_refused_with_the_known_ones() -> None:
    with pytest.raises(JobError, match=r"unknown hyperparameter lr; known are epochs, batch_size"):
        parse({"lr": "0.1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", "0"), ("epochs", "2.5"), ("batch_size", "many"), ("learning_rate", "nan"), ("lora_dropout", "1")],
)
def test_a_value_out_of_bounds_or_of_another_kind_is_refused(name: str, value: str) -> None:
    with pytest.raises(JobError, match=f"hyperparameter {name}='{value}': expected"):
        parse({name: value})


def test_words_stand_for_what_they_say() -> None:
    values = parse({"precision": "bf16", "quantization": "4bit", "deterministic": "true", "dataset_id": "0123abcd"})
    assert (values.precision, values.quantization, values.dataset_id) == ("bf16", "4bit", "0123abcd")
    assert values.deterministic is True


@pytest.mark.parametrize(
    ("name", "value"), [("precision", "fp16"), ("quantization", "2bit"), ("deterministic", "1"), ("deterministic", "")]
)
def test_another_word_is_refused_with_those_there_are(name: str, value: str) -> None:
    with pytest.raises(JobError, match=f"hyperparameter {name}='{value}': expected one of {', '.join(CHOICES[name])}"):
        parse({name: value})


@pytest.mark.parametrize(("name", "value"), [("dataset_id", "../x"), ("dataset_id", ""), ("data_license", "a\nb")])
def test_text_of_another_form_is_refused(name: str, value: str) -> None:
    with pytest.raises(JobError, match=f"hyperparameter {name}=.*: expected text that matches"):
        parse({name: value})


def test_every_hyperparameter_is_a_number_a_choice_or_text() -> None:
    assert sorted(KNOWN) == sorted([*BOUNDS, *CHOICES, *TEXTS])


def test_how_to_run_is_no_part_of_what_the_model_depends_on() -> None:
    here, there = Hyperparameters(), Hyperparameters(checkpoint_minutes=1, cache_memory_mb=0, cache_disk_mb=1)
    assert here.identity() == there.identity()
    assert here.identity() != Hyperparameters(seed=1).identity()


def test_every_number_has_bounds_that_hold_its_default() -> None:
    for name, (_, low, high) in BOUNDS.items():
        assert low <= getattr(Hyperparameters(), name) <= high
