"""How many times faster training is here than the reference's loop: same tiny base, same pairs, same epochs.

The loop is ``_reference_loop.py``. Ours is the training job's own entry point. Both rates are of whole epochs with
their input pipeline, encoding included, without the start of Python; both models are then asked the same held-out
questions. The training step alone is measured on a model of middle size (``_midsize_step.py``): a whole step against
one from kept features, which pays its share of encoding: once a picture, for all of its questions and ten epochs.
"""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

from benchmarks import Figure, _image
from benchmarks._sides import write_sides
from lookbook.drops.sample.layout import write_drop

GOAL, STEP_GOAL, MEMORY_GOAL = 10.0, 2.3, 1.5
PRODUCTS = 160
EPOCHS = 4
SHARES = {"train": 0.6, "validation": 0.1, "benchmark": 0.3}
_HERE = Path(__file__).parent
_EPOCHS_OF_A_TRAINING = 10  # the reference's number


def run(data: Path | None) -> Figure:
    """Train both on drawn products, or on some of ``data``, and measure the step."""
    with tempfile.TemporaryDirectory(prefix="lookbook-train-rate-") as directory:
        scratch = Path(directory)
        products = write_sides(data or _drawn(scratch / "drop"), scratch / "sides", SHARES, limit=PRODUCTS)
        ours = _ours(scratch)
        sides = (scratch / "sides" / "train", scratch / "sides" / "benchmark")
        theirs = _image.script(_HERE / "_reference_loop.py", "train", _image.BASE, *sides, EPOCHS)
        step = _image.script(_HERE / "_midsize_step.py", _image.BASE)
    value = round(ours["pairs_per_second"] / theirs["pairs_per_second"], 1)
    steps_per_encoding = _EPOCHS_OF_A_TRAINING * ours["pairs_per_picture"]
    step_ratio = round(step["whole_s"] / (step["kept_s"] + step["encoding_s"] / steps_per_encoding), 2)
    memory = round(ours["peak_memory_bytes"] / theirs["peak_memory_bytes"], 2)
    ok = (
        value >= GOAL
        and step_ratio >= STEP_GOAL
        and memory <= MEMORY_GOAL
        and ours["exact_match"] >= theirs["exact_match"]
    )
    detail = {
        "pairs_per_second": {"ours": round(ours["pairs_per_second"], 1), "loop": round(theirs["pairs_per_second"], 1)},
        "exact_match": {"ours": round(ours["exact_match"], 3), "loop": round(theirs["exact_match"], 3)},
        "step_ratio": step_ratio,
        "pairs_per_picture": round(ours["pairs_per_picture"], 1),
        "step_s": {name: round(seconds, 3) for name, seconds in step.items()},
        "peak_memory_ratio": memory,
        "products": products,
        "epochs": EPOCHS,
    }
    goal = f">= {GOAL:g}, step >= {STEP_GOAL}, memory <= {MEMORY_GOAL}, exact match at least as high"
    return Figure("train_rate", value, "times the reference loop's pairs a second", goal, ok, detail)


def _drawn(directory: Path) -> Path:
    write_drop(directory, date(2026, 11, 16), PRODUCTS, seed=22, plain=True)
    return directory


def _ours(scratch: Path) -> dict[str, float]:
    """Run the training job's entry point, and ask the model that it leaves the held-out questions."""
    report = _image.train(scratch / "job", scratch / "sides", epochs=str(EPOCHS), batch_size="16", patience="0")
    merged = scratch / "job" / "model" / "merged"
    scored = _image.script(_HERE / "_reference_loop.py", "score", merged, scratch / "sides" / "benchmark")
    counts = report["sides"]["train"]
    return {
        "pairs_per_second": counts["pairs"] * EPOCHS / report["seconds"],
        "pairs_per_picture": counts["pairs"] / counts["pictures"],
        "peak_memory_bytes": report["peak_memory_bytes"]["process"],
        **scored,
    }
