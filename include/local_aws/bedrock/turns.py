"""What AWS refuses of a conversation's order: who speaks when, and which result answers which call of a tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from local_aws.bedrock.conversation import Conversation, Message, Tool
from local_aws.bedrock.pictures import MOST_PICTURES
from local_aws.errors import AwsError, validation


def check(conversation: Conversation) -> None:
    """Check a conversation that has Converse's shape.

    Raises:
        AwsError: ValidationException, in AWS's words where they are known.
    """
    _check_order(conversation.messages)
    _check_tools(conversation.tools, conversation.tool)
    for message in conversation.messages:
        _check_message(message, conversation)
    _check_results((), conversation.messages[0], 0)
    for place, (before, message) in enumerate(pairwise(conversation.messages), start=1):
        _check_results([use.id for use in before.tool_uses], message, place)


def _check_order(messages: Sequence[Message]) -> None:
    if not messages or messages[0].role != "user":
        raise validation(
            "A conversation must start with a user message. "
            "Try again with a conversation that starts with a user message."
        )
    if any(one.role == other.role for one, other in pairwise(messages)):
        raise validation(
            "A conversation must alternate between user and assistant roles. "
            "Make sure the conversation alternates between user and assistant roles and try again."
        )


def _check_tools(tools: Sequence[Tool], forced: str | None) -> None:
    counted = Counter(tool.name for tool in tools)
    if any(count > 1 for count in counted.values()):
        raise _model_error("tools: Tool names must be unique.")
    if forced not in (None, "*", *counted):
        raise _model_error(f"tool_choice: Tool '{forced}' not found in provided tools")


def _check_message(message: Message, conversation: Conversation) -> None:
    if not (message.text.strip() or message.pictures or message.tool_uses or message.tool_results):
        raise validation(
            "The text field in the ContentBlock object is blank. Add text to the text field, and try again."
        )
    if (message.tool_uses or message.tool_results) and not conversation.tools:
        raise validation("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    if message.role == "user" and message.tool_uses:
        raise _model_error("`tool_use` blocks can only be in `assistant` messages")
    if message.role == "assistant" and (message.tool_results or message.pictures):
        raise _model_error("`tool_result` and `image` blocks can only be in `user` messages")
    if len(message.pictures) > MOST_PICTURES:
        raise validation(f"too many images: {len(message.pictures)} in one message, at most {MOST_PICTURES}")


def _check_results(asked: Sequence[str], message: Message, place: int) -> None:
    where, given = f"messages.{place}.content", [result.id for result in message.tool_results]
    if len(given) > len(asked):
        raise validation(
            f"The number of toolResult blocks at {where} exceeds the number of toolUse blocks of previous turn."
        )
    if len(set(given)) < len(given):
        raise validation(f"The toolResult blocks at {where} contain duplicate Ids: {', '.join(sorted(given))}")
    if missing := [one for one in asked if one not in given]:
        raise validation(f"Expected toolResult blocks at {where} for the following Ids: {', '.join(missing)}")


def _model_error(told: str) -> AwsError:
    return validation(f"The model returned the following errors: {told}")
