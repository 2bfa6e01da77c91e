"""The two kinds of failure, which decide what the scheduler does next.

A task that raises :class:`PermanentError` fails at once: trying again would fail the same way and cost the same.
:class:`RetryableError` says that time alone may mend it. Every message names the thing, what was expected and what
to do.
"""

from __future__ import annotations


class LookbookError(Exception):
    """Base of everything that Lookbook raises on purpose."""


class PermanentError(LookbookError):
    """Bad input, a refusal or a wrong setting: a retry cannot help."""


class RetryableError(LookbookError):
    """Throttled, timed out or in conflict: the same call may pass later."""
