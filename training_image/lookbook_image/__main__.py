"""``python -m lookbook_image train|evaluate|serve``: one image, three entry points."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from lookbook_image import failures, stopping
from lookbook_image.container import Container
from lookbook_image.errors import StoppedError

USAGE = "usage: python -m lookbook_image train|evaluate|serve"
LIBRARY_SETTINGS = {
    "HF_HUB_OFFLINE": "1",  # everything a container needs comes through its channels
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # a log is no terminal
    "TOKENIZERS_PARALLELISM": "false",
    "TORCHDYNAMO_DISABLE": "1",  # nothing is compiled here, and bitsandbytes takes seconds only to get ready for it
}
EXIT_FAILED = 1
EXIT_STOPPED = 128 + 15
"""What a shell reports for a process that SIGTERM ended."""


def main(arguments: list[str]) -> int:
    """Run the entry point that ``arguments`` names and return the process's exit code."""
    os.environ.update(LIBRARY_SETTINGS)
    if len(arguments) != 1 or arguments[0] not in ENTRY_POINTS:
        sys.stderr.write(f"{USAGE}\n")
        return 2
    container = Container.from_environment()
    try:
        ENTRY_POINTS[arguments[0]](container)
    except Exception as error:
        return _fail(container, error)
    return 0


def _fail(container: Container, error: Exception) -> int:
    """Leave the reason in ``output/failure`` and in the log; anything unforeseen also with its traceback."""
    if not failures.is_foreseen(error):
        traceback.print_exception(error)
    reason = failures.reason(error)
    sys.stderr.write(f"failed: {reason}\n")
    try:
        container.write_failure(reason)
    except OSError as full:
        sys.stderr.write(f"the reason can't be written to {container.failure}: {full}\n")
    return EXIT_STOPPED if isinstance(error, StoppedError) else EXIT_FAILED


# Each imports what it needs when it is called: torch and transformers take seconds, peft only training needs.
def _train(container: Container) -> None:
    stopping.listen()
    from lookbook_image import training

    training.run(container)


def _evaluate(container: Container) -> None:
    stopping.listen()
    from lookbook_image import evaluation

    evaluation.run(container)


def _serve(container: Container) -> None:
    from lookbook_image import serving

    serving.run(container)


ENTRY_POINTS: dict[str, Callable[[Container], None]] = {"train": _train, "evaluate": _evaluate, "serve": _serve}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
