from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from conftest import make_container
from garments import row, write_hyperparameters, write_pairs, write_side
from safetensors import safe_open
from safetensors.torch import load_file

from lookbook_image import checkpoints, families, hyperparameters, lora, pairs, stopping, training
from lookbook_image.container import Container
from lookbook_image.errors import DivergedError, JobError, StoppedError
from lookbook_image.families.base import Output
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.families.weights import Weights
from lookbook_image.features import prepare
from lookbook_image.trainer import Trainer, best_of

MakeContainer = Callable[..., Container]
METRICS = {
    "train_loss": r"epoch=\d+ step=\d+ train_loss=([0-9.]+) samples_per_second=[0-9.]+",
    "validation": r"epoch=\d+ validation_loss=[0-9.]+ validation_exact_match=([0-9.]+)",
    "progress": r"step \d+ of 8 \(\d+ %\), \d+:\d\d left",
}


@pytest.fixture(autouse=True)
def one_precision_a_process() -> Iterator[None]:
    """Accelerate keeps a process's precision for good; here one process runs many jobs."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def report(container: Container) -> dict[str, Any]:
    return json.loads((container.model / "report.json").read_text())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, untrained: Path) -> Container:
    """A finished job of two epochs of four steps, as ``training_container()`` makes it."""
    container = make_container(tmp_path_factory.mktemp("undisturbed"), untrained)
    training.run(container)
    return container


def merged_weights(container: Container) -> dict[str, torch.Tensor]:
    return load_file(container.model / "merged" / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_job_leaves_model_adapter_report_and_card(training_container: MakeContainer) -> None:
    container = training_container(dataset_id="0123456789abcdef")
    training.run(container)
    told = report(container)
    assert told["sides"]["train"] == {"pairs": 32, "pictures": 16}
    assert told["hyperparameters"]["epochs"] == 2
    assert [entry["epoch"] for entry in told["epochs"]] == [1, 2]
    assert told["best"] == best_of(told["epochs"])
    assert set(told["vocabulary"]) == {"Sleeve Length", "baseColour"}
    assert told["dataset_id"] == "0123456789abcdef"
    assert told["peak_memory_bytes"]["process"] > 0
    assert (container.model / "adapter" / "adapter_model.safetensors").exists()
    assert "0123456789abcdef" in (container.model / "README.md").read_text()
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


def test_the_same_seed_gives_the_same_model(undisturbed: Container, training_container: MakeContainer) -> None:
    container = training_container()
    training.run(container)
    assert same(merged_weights(undisturbed), merged_weights(container))


def test_another_seed_gives_another_model(undisturbed: Container, training_container: MakeContainer) -> None:
    container = training_container(seed="5")
    training.run(container)
    assert not same(merged_weights(undisturbed), merged_weights(container))


class PowerCut(BaseException):
    """Ends a job as SIGKILL would: nothing gets to clean up."""


@pytest.mark.parametrize("cut_after", [1, 2, 4, 5])
def test_a_job_cut_off_at_any_point_goes_on_to_the_same_model(
    undisturbed: Container, training_container: MakeContainer, monkeypatch: pytest.MonkeyPatch, cut_after: int
) -> None:
    # Four steps an epoch and a checkpoint after each step: cuts within an epoch, at its end and in the next one.
    interrupted = training_container("interrupted", checkpoint_minutes="0")
    saved = 0
    save = checkpoints.save

    def save_and_cut(*arguments: object) -> None:
        nonlocal saved
        save(*arguments)
        saved += 1
        if saved == cut_after:
            raise PowerCut

    with monkeypatch.context() as patched, pytest.raises(PowerCut):
        patched.setattr(checkpoints, "save", save_and_cut)
        training.run(interrupted)
    training.run(interrupted)
    assert same(merged_weights(undisturbed), merged_weights(interrupted))
    assert report(interrupted)["starts"] == 2
    figures = ("epoch", "train_loss", "validation_loss", "validation_exact_match")
    for one, other in zip(report(undisturbed)["epochs"], report(interrupted)["epochs"], strict=True):
        assert [one[name] for name in figures] == [other[name] for name in figures]


def test_a_job_cut_off_after_its_last_epoch_only_merges(training_container: MakeContainer) -> None:
    container = training_container()
    training.run(container)
    before, epochs = merged_weights(container), report(container)["epochs"]
    container.clear_model()
    training.run(container)
    assert same(merged_weights(container), before)
    assert report(container)["epochs"] == epochs


def test_a_checkpoint_of_another_job_is_refused(training_container: MakeContainer) -> None:
    one, other = training_container("one"), training_container("other", learning_rate="0.001")
    training.run(one)
    shutil.copytree(one.checkpoints, other.checkpoints)
    with pytest.raises(JobError, match=r"learning_rate 0\.003, not 0\.001.*a checkpoint location of its own"):
        training.run(other)


def test_a_checkpoint_of_other_data_is_refused(training_container: MakeContainer) -> None:
    one, other = training_container("one"), training_container("other")
    training.run(one)
    shutil.copytree(one.checkpoints, other.checkpoints)
    write_side(other.channel("train"), garments=16, seed=7)
    with pytest.raises(JobError, match=r"made by another job, with train '"):
        training.run(other)


def test_how_often_to_save_may_change_from_one_start_to_the_next(training_container: MakeContainer) -> None:
    container = training_container()
    training.run(container)
    write_hyperparameters(container.base, epochs="2", batch_size="8", checkpoint_minutes="1", cache_memory_mb="0")
    training.run(container)
    assert report(container)["starts"] == 2


def damaged(family: Blip2Family, directory: Path) -> Path:
    """Save a base one of whose weights is not a number."""
    with torch.no_grad():
        family.model.language_model.lm_head.weight[0, 0] = torch.nan
    family.model.save_pretrained(directory)
    family.processor.save_pretrained(directory)
    return directory


def test_a_loss_that_is_not_a_number_ends_the_job_with_nothing_saved(
    training_container: MakeContainer, family: Blip2Family, tmp_path: Path
) -> None:
    container = training_container(base=damaged(family, tmp_path / "damaged"))
    with pytest.raises(DivergedError, match=r"training loss is nan.*no model was saved, there was no good step"):
        training.run(container)
    assert not container.model.exists()
    assert not container.checkpoints.exists()


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_training_that_diverges_keeps_the_last_good_checkpoint(
    training_container: MakeContainer, monkeypatch: pytest.MonkeyPatch, what: str, bad: float
) -> None:
    container = training_container()
    forward, calls = Blip2Family.forward, 0

    def forward_and_spoil(self: Blip2Family, *arguments: object) -> Output:
        nonlocal calls
        calls += 1
        output = forward(self, *arguments)
        if calls < 8:  # four steps and the validation of the first epoch, two steps of the second
            return output
        if what == "loss":
            return Output(output.loss * bad, output.logits)
        output.loss.register_hook(lambda gradient: gradient * bad)
        return output

    monkeypatch.setattr(Blip2Family, "forward", forward_and_spoil)
    named = "training loss" if what == "loss" else "gradient's norm"
    with pytest.raises(DivergedError, match=rf"{named} is .* after step 6.*the last good checkpoint is kept in"):
        training.run(container)
    with safe_open(container.checkpoints / checkpoints.FILE, framework="pt") as file:
        assert all(bool(file.get_tensor(name).isfinite().all()) for name in file.keys())  # noqa: SIM118
        assert len(json.loads(file.metadata()["lookbook"])["state"]["history"]) == 1


def trainer_of(container: Container, **settings: Any) -> Trainer:
    """Make the trainer that the job of ``container`` would have; keyword arguments replace its hyperparameters."""
    parsed = dataclasses.replace(hyperparameters.parse(container.hyperparameters()), **settings)
    torch.manual_seed(parsed.seed)
    family = families.load(container.channel("base"), torch.device("cpu"))
    sides = (prepare(family, pairs.read(container.channel(name))) for name in ("train", "validation"))
    return Trainer(family, parsed, *sides, directory=container.checkpoints, identity={})


def test_validation_counts_what_generating_would_get_right(training_container: MakeContainer) -> None:
    container = training_container(epochs="6", learning_rate="0.01", patience="0")
    write_side(container.channel("validation"), garments=20, seed=3)
    trainer = trainer_of(container)
    trainer.fit()
    _, exact_match = trainer.validate()
    features, prompts, _ = trainer.validation.take(torch.arange(len(trainer.validation)))
    generated = [one.text for one in trainer.family.generate(features, prompts)]
    answers = pairs.read(container.channel("validation")).answers
    right = sum(one == other for one, other in zip(generated, answers, strict=True))
    assert exact_match == pytest.approx(right / len(answers))


def validating(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, *figures: tuple[float, float]) -> None:
    """Let validation find these losses and exact matches, one epoch after the other."""
    monkeypatch.setattr(trainer, "validate", iter(figures).__next__)


def test_training_stops_when_nothing_became_better_and_keeps_the_best_epoch(
    training_container: MakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(training_container(), epochs=8, patience=2)
    validating(trainer, monkeypatch, (0.9, 0.5), (0.8, 0.7), (0.7, 0.7), (0.9, 0.7), (0.6, 0.6))
    kept: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(trainer, "save_checkpoint", lambda: kept.append(lora.state(trainer.adapted)))
    trainer.fit()
    assert trainer.stopped_early()
    assert best_of(trainer.history)["epoch"] == 3
    assert same(lora.state(trainer.adapted), kept[2])
    assert not same(kept[2], kept[4])


def test_without_patience_all_epochs_are_trained(
    training_container: MakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(training_container(), epochs=4, patience=0)
    validating(trainer, monkeypatch, (0.5, 0.9), (0.6, 0.5), (0.7, 0.5), (0.8, 0.5))
    trainer.fit()
    assert len(trainer.history) == 4
    assert not trainer.stopped_early()


def test_early_stopping_remembers_across_an_interruption(
    training_container: MakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = training_container()
    first = trainer_of(container, epochs=8, patience=2)
    validating(first, monkeypatch, (0.5, 0.9), (0.6, 0.5))
    with pytest.raises(StopIteration):
        first.fit()
    second = trainer_of(container, epochs=8, patience=2)
    validating(second, monkeypatch, (0.6, 0.5))
    second.fit()
    assert second.stopped_early()
    assert best_of(second.history)["epoch"] == 1


def test_accumulated_batches_make_the_step_of_one_large_batch(training_container: MakeContainer) -> None:
    container = training_container()
    shape = {"epochs": 1, "lora_dropout": 0.0, "patience": 0}
    one = trainer_of(container, batch_size=32, **shape)
    one.fit()
    shutil.rmtree(container.checkpoints)
    many = trainer_of(container, batch_size=4, gradient_accumulation=8, **shape)
    many.fit()
    assert one.history[0]["train_loss"] == pytest.approx(many.history[0]["train_loss"], rel=1e-5)
    for name, weight in lora.state(one.adapted).items():
        torch.testing.assert_close(lora.state(many.adapted)[name], weight, rtol=1e-3, atol=1e-5)


def test_the_rate_warms_up_and_falls_to_nothing_as_a_cosine(training_container: MakeContainer) -> None:
    trainer = trainer_of(training_container(), epochs=5, warm_up_share=0.2)
    rates = []
    step = trainer._optimizer.step
    trainer._optimizer.step = lambda: (rates.append(trainer._optimizer.param_groups[0]["lr"]), step())  # type: ignore
    trainer.fit()
    peak = trainer.settings.learning_rate
    assert rates[:5] == pytest.approx([0.0, peak / 4, peak / 2, peak * 3 / 4, peak])
    middle = 4 + (len(rates) - 4) // 2
    assert rates[middle] == pytest.approx(peak / 2)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[-1] < peak / 50


def test_bfloat16_is_autocast_and_weights_stay_as_they_are(training_container: MakeContainer) -> None:
    container = training_container(precision="bf16", epochs="1")
    seen: set[torch.dtype] = set()
    forward = Blip2Family.forward

    def forward_and_look(self: Blip2Family, *arguments: object) -> Output:
        output = forward(self, *arguments)
        seen.add(output.logits.dtype)
        return output

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Blip2Family, "forward", forward_and_look)
        training.run(container)
    assert seen == {torch.bfloat16}
    assert report(container)["precision"] == "bf16"
    assert {weight.dtype for weight in merged_weights(container).values()} == {torch.float32}


@pytest.mark.parametrize("quantization", ["8bit", "4bit"])
def test_a_quantised_base_is_merged_in_full_precision(training_container: MakeContainer, quantization: str) -> None:
    container = training_container(quantization=quantization, epochs="1")
    training.run(container)
    before, merged = load_file(container.channel("base") / "model.safetensors"), merged_weights(container)
    adapter = load_file(container.model / "adapter" / "adapter_model.safetensors")
    changed = [name for name in merged if not torch.equal(merged[name], before[name].float())]
    assert len(changed) == 12
    for name in changed:
        module = f"base_model.model.{name.removesuffix('.weight')}"
        update = adapter[f"{module}.lora_B.weight"] @ adapter[f"{module}.lora_A.weight"] * (32 / 8)
        torch.testing.assert_close(merged[name], before[name].float() + update)
    assert "quantization_config" not in json.loads((container.model / "merged" / "config.json").read_text())


def test_only_what_is_trained_through_is_quantised(training_container: MakeContainer) -> None:
    weights = Weights(torch.float32, "8bit")
    model = families.load(training_container().channel("base"), torch.device("cpu"), weights).model
    quantised = {name for name, weight in model.named_parameters() if weight.dtype == torch.int8}
    assert quantised
    assert all(name.startswith("language_model.") and "lm_head" not in name for name in quantised)


def test_features_kept_on_disk_give_the_same_model(undisturbed: Container, training_container: MakeContainer) -> None:
    on_disk = training_container(cache_memory_mb="0")
    training.run(on_disk)
    assert report(on_disk)["features"] == report(undisturbed)["features"] | {"on_disk": True}
    assert same(merged_weights(undisturbed), merged_weights(on_disk))


def test_deterministic_algorithms_are_asked_for(training_container: MakeContainer) -> None:
    try:
        training.run(training_container(deterministic="true", epochs="1"))
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_sigterm_saves_the_step_in_hand_and_stops(
    undisturbed: Container, training_container: MakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = training_container()
    step, before = Trainer._step, signal.getsignal(signal.SIGTERM)

    def step_and_stop(self: Trainer, batches: list[torch.Tensor]) -> None:
        step(self, batches)
        if self._step_number() == 2:
            signal.raise_signal(signal.SIGTERM)

    stopping.listen()
    try:
        with monkeypatch.context() as patched, pytest.raises(StoppedError):
            patched.setattr(Trainer, "_step", step_and_stop)
            training.run(interrupted)
        assert not interrupted.model.exists()
        stopping.listen()
        with safe_open(interrupted.checkpoints / checkpoints.FILE, framework="pt") as file:
            assert json.loads(file.metadata()["lookbook"])["state"]["position"]["step"] == 2
        training.run(interrupted)
    finally:
        stopping.listen()
        signal.signal(signal.SIGTERM, before)
    assert same(merged_weights(undisturbed), merged_weights(interrupted))


def test_a_model_that_could_not_be_written_whole_is_not_left(
    training_container: MakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = training_container(epochs="1")

    def no_room(base: Path, adapter: Path, directory: Path) -> None:
        directory.mkdir(parents=True)
        (directory / "model.safetensors").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lora, "merge", no_room)
    with pytest.raises(OSError):
        training.run(container)
    assert list(container.model.iterdir()) == []


def test_lora_adds_the_documented_number_of_weights(family: Blip2Family) -> None:
    adapted = lora.add(family, hyperparameters.Hyperparameters())
    assert sum(weight.numel() for weight in lora.weights(adapted)) == 24_576


def test_all_answers_the_same_are_refused_before_a_model_is_loaded(training_container: MakeContainer) -> None:
    container = training_container()
    write_pairs(container.channel("train"), [row(str(n), f"{n}.jpg", "baseColour", "Red") for n in range(5)])
    (container.channel("base") / "model.safetensors").unlink()
    with pytest.raises(JobError, match=r"each attribute has one answer only \(baseColour: Red\)"):
        training.run(container)


def test_a_vanished_picture_is_named_before_a_model_is_loaded(training_container: MakeContainer) -> None:
    container = training_container()
    (container.channel("validation") / "pictures-00000.tar").unlink()
    (container.channel("base") / "model.safetensors").unlink()
    with pytest.raises(JobError, match=r"validation: 6 of 6 pictures aren't in pictures-\*\.tar"):
        training.run(container)


def test_an_unknown_family_is_told_before_the_data_are_looked_at(training_container: MakeContainer) -> None:
    container = training_container()
    (container.channel("base") / "config.json").write_text('{"model_type": "llava"}')
    (container.channel("train") / "pairs.parquet").unlink()
    with pytest.raises(JobError, match="no family reads models of type 'llava'; known are blip-2"):
        training.run(container)


def test_every_channel_is_looked_for_before_any_is_read(training_container: MakeContainer) -> None:
    container = training_container()
    shutil.rmtree(container.base / "input" / "data" / "validation")
    (container.channel("train") / "pairs.parquet").write_text("damaged")
    with pytest.raises(JobError, match="input channel 'validation'"):
        training.run(container)
