"""Make the tiny base: ``python -m lookbook_image.pretrain --drops DIR [DIR …] --out DIR``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from lookbook_image.errors import JobError
from lookbook_image.families.blip2 import Blip2Family
from lookbook_image.pretrain import architecture, drawn, seeing, talking, texts, words
from lookbook_image.progress import say

HELD_OUT_SHARE = 0.05
CHECKED_PAIRS = 500


def main(arguments: list[str]) -> int:
    """Make the base as ``arguments`` say and return the process's exit code."""
    options = _options(arguments)
    try:
        garments = drawn.read(options.drops, architecture.PICTURE_SIZE)
    except JobError as error:
        sys.stderr.write(f"failed: {error}\n")
        return 1
    family = make(garments, options.seeing_steps, options.talking_steps, options.seed)
    save(family, options.out)
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lookbook_image.pretrain", description=__doc__)
    parser.add_argument("--drops", type=Path, nargs="+", required=True, help="drops in Kaggle's layout")
    parser.add_argument("--out", type=Path, required=True, help="directory for the base, in from_pretrained layout")
    parser.add_argument("--seeing-steps", type=int, default=1300, help="steps of stage A (default %(default)s)")
    parser.add_argument("--talking-steps", type=int, default=500, help="steps of stage B (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of start values and order (default %(default)s)")
    return parser.parse_args(arguments)


def make(garments: drawn.Garments, seeing_steps: int, talking_steps: int, seed: int) -> Blip2Family:
    """Build a model and train it in both stages on ``garments``, some held out to check it on."""
    tokenizer = words.train_tokenizer(texts.corpus())
    model, processor = architecture.build(tokenizer, seed)
    held_out = max(1, round(len(garments) * HELD_OUT_SHARE))
    train, check = garments.split(len(garments) - held_out)
    say(f"stage A: seeing, {len(train)} garments")
    seeing.train(model, seeing.normalised(processor, train), train, seeing_steps)
    family = Blip2Family(model, processor, torch.device("cpu"))
    say("stage B: talking")
    talking.train(family, seeing.all_queries(family, train), train, talking_steps, seed)
    exact_match = talking.exact_match(family, seeing.all_queries(family, check), check, CHECKED_PAIRS, seed)
    say(f"base_exact_match={exact_match:.4f} on {held_out} garments held out")
    return family


def save(family: Blip2Family, directory: Path) -> None:
    """Write the base to ``directory`` as 16-bit floats: half the size, and nothing is lost that answers depend on."""
    family.model.to(torch.float16).save_pretrained(directory)
    family.processor.save_pretrained(directory)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
