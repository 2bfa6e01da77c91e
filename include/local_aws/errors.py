"""The one exception that a handler raises to answer with an AWS error."""

from __future__ import annotations

from typing import Any


class AwsError(Exception):
    """An error as AWS sends it: a code, an HTTP status and a message, with further members where its shape has them."""

    def __init__(self, code: str, message: str, *, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members


def validation(message: str) -> AwsError:
    """Return the ValidationException that AWS answers bad input with."""
    return AwsError("ValidationException", message)


def unsupported(what: str) -> AwsError:
    """Return the refusal of something that AWS can do and local AWS can't: better refused than silently ignored."""
    return validation(f"{what} is not supported by local AWS (docs/local-aws.md lists what is).")


def unknown_operation(operation: str) -> AwsError:
    """Return the answer to an operation that isn't implemented: a 400, which no client retries."""
    return AwsError("UnknownOperationException", f"Local AWS does not implement {operation} (docs/local-aws.md).")
