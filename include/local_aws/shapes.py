"""Requests checked against and responses shaped by botocore's own service models.

botocore's validator checks members and types; ranges, patterns and enumerations, which only the service checks on AWS,
are checked here, with AWS's messages. Times are seconds since the epoch throughout, as the JSON protocol sends them;
those that a service sends as ISO 8601 are only written so.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

import orjson
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

from local_aws.errors import AwsError, unknown_operation, validation


@lru_cache(maxsize=8)
def service(name: str) -> ServiceModel:
    """Return botocore's model of a service."""
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def operation(service_name: str, name: str) -> OperationModel:
    """Return the model of an operation.

    Raises:
        AwsError: AWS has no such operation either.
    """
    model = service(service_name)
    if name not in model.operation_names:
        raise unknown_operation(f"{service_name} {name}")
    return model.operation_model(name)


def parse_json(body: bytes) -> Any:
    """Read a JSON body; an empty one is an empty object.

    Raises:
        AwsError: it isn't JSON.
    """
    try:
        return orjson.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", f"The request body is not valid JSON: {error}") from error


def read(shape: Shape, value: Any) -> Any:
    """Turn a JSON value into parameters and check them. Members that the model doesn't know are dropped, as AWS does.

    Raises:
        AwsError: ValidationException with what is wrong.
    """
    try:
        return _reader(shape)(value)
    except _DoubtError:
        return _read_slowly(shape, value)


def _read_slowly(shape: Shape, value: Any) -> Any:
    """Check a value that something is wrong with, or may be, and say what."""
    parameters = _from_wire(shape, value)
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        raise validation(f"1 validation error detected: {report.generate_report()}")
    problems = list(_violations(shape, parameters, ""))
    if problems:
        noun = "error" if len(problems) == 1 else "errors"
        raise validation(f"{len(problems)} validation {noun} detected: {'; '.join(problems)}")
    return parameters


class _DoubtError(Exception):
    """A value that isn't plainly right."""


_Reader = Callable[[Any], Any]


@cache
def _reader(shape: Shape) -> _Reader:
    """Return a function that turns values of a shape into parameters and raises :class:`_DoubtError` at the first.

    It checks what :func:`_read_slowly` does, in one pass and without looking anything up: most requests are right, and
    a thousand of them a second should cost little.
    """
    if _is_document(shape):
        return lambda value: value
    kind = shape.type_name
    if kind == "structure":
        return _structure_reader(shape)
    if kind == "list":
        return _list_reader(shape)
    if kind == "map":
        return _map_reader(shape)
    if kind in ("string", "blob"):
        return _text_reader(shape)
    if kind in _SCALARS:
        return _scalar_reader(shape, _SCALARS[kind])
    return _doubtful


_SCALARS: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
}


def _doubtful(value: Any) -> Any:
    raise _DoubtError


def _later(shape: Shape) -> _Reader:
    """Return a shape's reader that is made when it is first needed: shapes may contain themselves."""
    if shape.type_name not in ("structure", "list", "map"):
        return _reader(shape)
    made: _Reader | None = None

    def read_later(value: Any) -> Any:
        nonlocal made
        made = made or _reader(shape)
        return made(value)

    return read_later


def _structure_reader(shape: Shape) -> _Reader:
    readers = {name: _later(member) for name, member in shape.members.items()}
    required, union = frozenset(shape.required_members), getattr(shape, "is_tagged_union", False)

    def read_structure(value: Any) -> Any:
        if type(value) is not dict:
            raise _DoubtError
        found = {}
        for name, item in value.items():
            if item is not None and name in readers:
                found[name] = readers[name](item)
        if not required <= found.keys() or (union and len(found) != 1):
            raise _DoubtError
        return found

    return read_structure


def _list_reader(shape: Shape) -> _Reader:
    read_item, is_sized = _later(shape.member), _range(shape)

    def read_list(value: Any) -> Any:
        if type(value) is not list or not is_sized(len(value)):
            raise _DoubtError
        return [read_item(item) for item in value]

    return read_list


def _map_reader(shape: Shape) -> _Reader:
    read_key, read_item = _later(shape.key), _later(shape.value)

    def read_map(value: Any) -> Any:
        if type(value) is not dict:
            raise _DoubtError
        return {read_key(key): read_item(item) for key, item in value.items()}

    return read_map


def _text_reader(shape: Shape) -> _Reader:
    is_sized, is_blob = _range(shape), shape.type_name == "blob"
    allowed, pattern = frozenset(getattr(shape, "enum", None) or ()), _pattern(shape)

    def read_text(value: Any) -> Any:
        if type(value) is not str:
            raise _DoubtError
        read = _decode_blob(value) if is_blob else value
        if not is_sized(len(read)) or (allowed and read not in allowed):
            raise _DoubtError
        if pattern and not pattern.fullmatch(value):
            raise _DoubtError
        return read

    return read_text


def _scalar_reader(shape: Shape, types: tuple[type, ...]) -> _Reader:
    is_in_range = _range(shape)

    def read_scalar(value: Any) -> Any:
        if type(value) not in types or not is_in_range(value):
            raise _DoubtError
        return value

    return read_scalar


def _range(shape: Shape) -> Callable[[float], bool]:
    low, high = shape.metadata.get("min", -math.inf), shape.metadata.get("max", math.inf)
    return lambda size: low <= size <= high


def _pattern(shape: Shape) -> re.Pattern[str] | None:
    pattern = shape.metadata.get("pattern")
    # Python's expressions have no Unicode property classes: what only those describe is not checked.
    return re.compile(pattern) if pattern and r"\p{" not in pattern else None


def write(shape: Shape | None, value: Any) -> Any:
    """Keep of ``value`` what the shape has, ready for JSON; None members are left out."""
    if shape is None:
        return {}
    if shape.type_name == "structure" and not _is_document(shape):
        known = shape.members.items()
        return {name: write(member, value[name]) for name, member in known if value.get(name) is not None}
    if shape.type_name == "list":
        return [write(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {key: write(shape.value, item) for key, item in value.items()}
    if shape.type_name == "blob":
        return base64.b64encode(value).decode()
    if shape.serialization.get("timestampFormat") == "iso8601":
        return datetime.fromtimestamp(value, UTC).isoformat().replace("+00:00", "Z")
    return value


def _from_wire(shape: Shape, value: Any) -> Any:
    if isinstance(value, dict) and shape.type_name == "structure" and not _is_document(shape):
        known = {name: member for name, member in shape.members.items() if value.get(name) is not None}
        return {name: _from_wire(member, value[name]) for name, member in known.items()}
    if isinstance(value, list) and shape.type_name == "list":
        return [_from_wire(shape.member, item) for item in value]
    if isinstance(value, dict) and shape.type_name == "map":
        return {key: _from_wire(shape.value, item) for key, item in value.items()}
    if isinstance(value, str) and shape.type_name == "blob":
        return _decode_blob(value)
    return value


def _decode_blob(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise AwsError("SerializationException", f"A binary member is not valid base64: {error}") from error


def _is_document(shape: Shape) -> bool:
    return bool(getattr(shape, "is_document_type", False))


def _violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure" and not _is_document(shape):
        for name, item in value.items():
            yield from _violations(shape.members[name], item, f"{path}.{_lower_first(name)}".lstrip("."))
    elif shape.type_name == "list":
        yield from _out_of_range(shape, value, path)
        for number, item in enumerate(value, start=1):
            yield from _violations(shape.member, item, f"{path}.{number}.member")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from _violations(shape.key, key, f"{path}.key")
            yield from _violations(shape.value, item, f"{path}.{key}.member")
    else:
        yield from _scalar_violations(shape, value, path)


def _scalar_violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    yield from _out_of_range(shape, value, path)
    enum = getattr(shape, "enum", None)
    if enum and value not in enum:
        yield _failed(value, path, f"Member must satisfy enum value set: [{', '.join(enum)}]")
    pattern = _pattern(shape)
    if pattern and not pattern.fullmatch(value):
        yield _failed(value, path, f"Member must satisfy regular expression pattern: {pattern.pattern}")


def _out_of_range(shape: Shape, value: Any, path: str) -> Iterator[str]:
    sized = isinstance(value, str | list | bytes)
    size, what = (len(value), "have length") if sized else (value, "have value")
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield _failed(value, path, f"Member must {what} greater than or equal to {low}")
    if high is not None and size > high:
        yield _failed(value, path, f"Member must {what} less than or equal to {high}")


def _failed(value: Any, path: str, constraint: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]
