"""Which command stands for which container image.

``images.json`` maps an image URI to ``{"command": [argv prefix], "env": {…}, "cwd": "…"}``. A container is run as the
command followed by what Docker would pass: ``train``, ``serve`` or the request's arguments. Paths in ``command``
(those with a slash), ``cwd`` and ``PYTHONPATH`` may be relative to the file; ``{python}`` is the gateway's interpreter.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """What runs in place of a container: argv prefix, variables, working directory."""

    command: tuple[str, ...]
    env: dict[str, str]
    cwd: Path


class ImagesError(Exception):
    """The image file can't be used; the message says why."""


def load(path: Path) -> dict[str, Image]:
    """Read an image file.

    Raises:
        ImagesError: it is missing, isn't JSON or doesn't have the form above.
    """
    try:
        entries = json.loads(path.read_text())
        return {uri: _image(entry, path.resolve().parent) for uri, entry in entries.items()}
    except OSError as error:
        raise ImagesError(f"Image file {path} can't be read: {error.strerror}. Give one with --images.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        expected = '{"<image URI>": {"command": ["{python}", "-m", "package"], "env": {}, "cwd": "."}}'
        raise ImagesError(f"Image file {path} is not as expected ({error!r}); it should be like {expected}.") from error


def _image(entry: dict[str, object], base: Path) -> Image:
    command, env = entry["command"], entry.get("env", {})
    if not isinstance(command, list) or not command or not isinstance(env, dict):
        raise TypeError(f"command must be a non-empty list and env an object: {entry}")
    return Image(
        command=tuple(_argument(str(argument), base) for argument in command),
        env={name: _variable(name, str(value), base) for name, value in env.items()},
        cwd=base / str(entry.get("cwd", ".")),
    )


def _argument(argument: str, base: Path) -> str:
    if argument == "{python}":
        return sys.executable
    # Not resolved: a virtual environment's interpreter is a link, and is known by the link's place.
    return os.path.normpath(base / argument) if "/" in argument else argument


def _variable(name: str, value: str, base: Path) -> str:
    if name != "PYTHONPATH":
        return value
    return os.pathsep.join(os.path.normpath(base / part) for part in value.split(os.pathsep))
