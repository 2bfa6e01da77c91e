"""One line of a batch job's input, answered: a line of its output, whatever the line was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from local_aws import shapes
from local_aws.bedrock import forms
from local_aws.bedrock.caching import no_cache
from local_aws.bedrock.conversation import Conversation
from local_aws.bedrock.faults import Faults
from local_aws.bedrock.models import Models
from local_aws.bedrock.places import Place
from local_aws.errors import AwsError, validation
from local_aws.settings import FaultShares


class Written(NamedTuple):
    """A line of output, without its end, for which line of input, and what it counts for."""

    number: int
    line: bytes
    succeeded: bool
    input_tokens: int = 0
    output_tokens: int = 0


class Records:
    """Answers the records of one job.

    Args:
        models: answer.
        place: the job's model and region.
        operation: ``InvokeModel`` or ``Converse``: the form of the records.
        shares: which shares of the records go wrong; error, malformed and refuse only.
        job: its id; decides which records they are, whatever their order.
    """

    def __init__(self, models: Models, place: Place, operation: str, shares: FaultShares, job: str) -> None:
        self._models, self._place, self._job = models, place, job
        self._operation, self._form = operation, forms.FORMS[operation]
        # On-demand calls are throttled, slow or silent; a record of a job isn't.
        self._shares = replace(shares, throttle=0.0, hang=0.0, slow=0.0)

    def _check(self, conversation: Conversation) -> None:
        """Refuse what AWS answers on demand and not in a job."""
        if conversation.cache_points:
            raise no_cache()
        if conversation.tools and self._operation == "Converse":
            raise validation("Tools are not supported by batch jobs of the type Converse. Use the type InvokeModel.")

    async def answer(self, line: bytes, number: int) -> Written:
        """Answer the ``number``-th line of a file; one that can't be answered says why and harms no other."""
        known: dict[str, Any] = {"recordId": f"CALL{number:07d}"}
        try:
            record = _parsed(line)
            known = {**known, **{name: record[name] for name in ("recordId", "modelInput") if name in record}}
            faults = Faults(replace(self._shares, seed=f"{self._shares.seed} {self._job} {known['recordId']}"))
            return await self._answered(number, known, faults)
        except AwsError as error:
            told = {"errorCode": error.status, "errorMessage": error.message}
            return Written(number, orjson.dumps({**known, "error": told}), succeeded=False)

    async def _answered(self, number: int, record: dict[str, Any], faults: Faults) -> Written:
        if "modelInput" not in record:
            raise validation("The record has no modelInput.")
        conversation = self._form.read(self._place.model, record["modelInput"])
        self._check(conversation)
        if (fault := faults.draw()) == "error":
            raise faults.error()
        answer = await self._models.answer(self._place, conversation)
        if faults.refuses(conversation):
            answer = answer.refused()
        output = self._form.write(answer, self._place.model, 0)
        text = orjson.dumps(output)
        if fault == "malformed":
            text = faults.spoilt(text, output)
        line = orjson.dumps(record)[:-1] + b',"modelOutput":' + text + b"}"
        return Written(number, line, True, answer.input_tokens, answer.output_tokens)


def _parsed(line: bytes) -> dict[str, Any]:
    record = shapes.parse_json(line)
    if not isinstance(record, dict):
        raise validation("The record is not a JSON object.")
    return record
