"""A real browser for tests of pages: the machine's Chromium, or Debian's where tests may install it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = ("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking")
# Two runs of tests may want it at the same time: one waits for the other.
_INSTALL = ("apt-get", "-o", "DPkg::Lock::Timeout=240", "install", "--yes", "--quiet", "--no-install-recommends")


def executable() -> str:
    """Return the path of Chromium; without one, and without the means to install it, skip the test and say why."""
    path, why = _installed()
    if path is None:
        pytest.skip(f"there is no Chromium on this machine ({why}); install it with: apt-get install chromium")
    return path


@contextmanager
def browser() -> Iterator[Any]:
    """Yield Playwright's ``Browser``, headless, which asks nobody for anything by itself; or skip the test."""
    from playwright.sync_api import sync_playwright

    path = executable()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(_QUIET))
        yield opened
        opened.close()


@lru_cache(maxsize=1)
def _installed() -> tuple[str | None, str]:
    """Return Chromium's path, and what stood in the way if there is none."""
    why = "" if _found() else _install()
    return _found(), why


def _found() -> str | None:
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


def _install() -> str:
    """Install Debian's package where that is possible; return what stood in the way."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "and tests install it only as root, with apt-get at hand"
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    installed = subprocess.run([*_INSTALL, "chromium"], env=environment, capture_output=True, text=True, check=False)
    return installed.stderr.strip()[-300:]
