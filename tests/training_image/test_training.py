from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from garments import write_side
from safetensors.torch import load_file

from lookbook_image import checkpoints, families, hyperparameters, lora, pairs, training
from lookbook_image.container import Container
from lookbook_image.errors import DivergedError, JobError
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.features import prepare

MakeContainer = Callable[..., Container]
METRICS = {
    "train_loss": r"epoch=\d+ step=\d+ train_loss=([0-9.]+) samples_per_second=[0-9.]+",
    "validation": r"epoch=\d+ validation_loss=[0-9.]+ validation_exact_match=([0-9.]+)",
    "progress": r"step \d+ of 8 \(\d+ %\), \d+:\d\d left",
}


def merged_weights(container: Container) -> dict[str, torch.Tensor]:
    return load_file(container.model / "merged" / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_job_leaves_model_adapter_report_and_card(training_container: MakeContainer) -> None:
    container = training_container()
    training.run(container)
    report = json.loads((container.model / "report.json").read_text())
    assert report["sides"]["train"] == {"pairs": 32, "pictures": 16}
    assert report["hyperparameters"]["epochs"] == 2
    assert [entry["epoch"] for entry in report["epochs"]] == [1, 2]
    assert set(report["vocabulary"]) == {"Sleeve Length", "baseColour"}
    assert (container.model / "adapter" / "adapter_model.safetensors").exists()
    assert "baseColour" in (container.model / "model_card.md").read_text()
    families.load(container.model / "merged", torch.device("cpu"))


def test_only_the_language_models_q_and_v_change(training_container: MakeContainer) -> None:
    container = training_container()
    training.run(container)
    before = load_file(container.channel("base") / "model.safetensors")
    changed = {name for name, weight in merged_weights(container).items() if not torch.equal(weight, before[name])}
    assert len(changed) == 12
    assert all(re.search(r"^language_model\..*Attention\.[qv]\.weight$", name) for name in changed)


def test_the_log_has_the_lines_that_metrics_are_read_from(
    training_container: MakeContainer, capsys: pytest.CaptureFixture[str]
) -> None:
    training.run(training_container())
    log = capsys.readouterr().out
    for name, pattern in METRICS.items():
        assert re.search(pattern, log), name


def test_the_same_seed_gives_the_same_model(training_container: MakeContainer) -> None:
    containers = [training_container(name, seed="5") for name in ("one", "two")]
    for container in containers:
        training.run(container)
    assert same(merged_weights(containers[0]), merged_weights(containers[1]))


def test_another_seed_gives_another_model(training_container: MakeContainer) -> None:
    containers = [training_container(f"seed-{seed}", seed=seed) for seed in ("5", "6")]
    for container in containers:
        training.run(container)
    assert not same(merged_weights(containers[0]), merged_weights(containers[1]))


def test_an_interrupted_job_goes_on_to_the_same_model(
    training_container: MakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, interrupted = training_container("undisturbed"), training_container("interrupted")
    training.run(undisturbed)
    save = checkpoints.save

    def save_and_stop(directory: Path, checkpoint: dict[str, object]) -> None:
        save(directory, checkpoint)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(checkpoints, "save", save_and_stop)
        training.run(interrupted)
    training.run(interrupted)
    assert same(merged_weights(undisturbed), merged_weights(interrupted))


def test_a_checkpoint_of_another_job_is_refused(training_container: MakeContainer) -> None:
    one, other = training_container("one"), training_container("other", learning_rate="0.001")
    training.run(one)
    shutil.copytree(one.checkpoints, other.checkpoints)
    with pytest.raises(JobError, match="a checkpoint location of its own"):
        training.run(other)


def test_a_damaged_checkpoint_is_refused(training_container: MakeContainer) -> None:
    container = training_container()
    container.checkpoints.mkdir()
    (container.checkpoints / checkpoints.FILE).write_bytes(b"no checkpoint")
    with pytest.raises(JobError, match="not a readable checkpoint"):
        training.run(container)


def test_a_loss_that_is_not_a_number_ends_the_job_with_nothing_saved(
    training_container: MakeContainer, family: Blip2Family, tmp_path: Path
) -> None:
    with torch.no_grad():
        family.model.language_model.lm_head.weight[0, 0] = torch.nan
    family.model.save_pretrained(tmp_path / "damaged")
    family.processor.save_pretrained(tmp_path / "damaged")
    container = training_container(base=tmp_path / "damaged")
    with pytest.raises(DivergedError, match=r"training loss is nan.*nothing was saved"):
        training.run(container)
    assert not container.model.exists()
    assert not container.checkpoints.exists()


def test_validation_counts_what_generating_would_get_right(training_container: MakeContainer) -> None:
    container = training_container(epochs="6", learning_rate="0.01")
    validation_side = pairs.read(write_side(container.base / "more", garments=20, seed=3))
    family = families.load(container.channel("base"), torch.device("cpu"))
    train = prepare(family, pairs.read(container.channel("train")))
    validation = prepare(family, validation_side)
    settings = hyperparameters.parse(container.hyperparameters())
    trainer = training.Trainer(family, settings, train, validation, container)
    trainer.fit()
    _, exact_match = trainer.validate()
    features, prompts, _ = validation.take(torch.arange(len(validation)))
    generated = [one.text for one in family.generate(features, prompts)]
    right = sum(one == other for one, other in zip(generated, validation_side.answers, strict=True))
    assert exact_match == pytest.approx(right / len(validation))


def test_lora_adds_the_documented_number_of_weights(family: Blip2Family) -> None:
    adapted = lora.add(family, hyperparameters.Hyperparameters())
    assert sum(weight.numel() for weight in lora.weights(adapted)) == 24_576
