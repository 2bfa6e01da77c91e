"""What the laptop raises when it cannot go on: one message that says what happened and what to do."""

from __future__ import annotations


class LaptopError(Exception):
    """The command failed; the message is all that the user needs to see."""
