"""Parses the parameters of a GraphQL request from JSON, a query string or a multipart form.

No I/O. Raises `BadRequest` for malformed input. Every way in ends in `from_object`. An empty name,
identifier or document counts as not given: a query string cannot say null. Of equal keys in JSON
the last one counts, as in ECMAScript; a BOM is ignored (RFC 8259 section 8.1).
GraphQL over HTTP (working draft) sections 5 and 6; GraphQL multipart request specification.
"""

import codecs
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from msgspec import Struct

from core.kernel.texts import Text
from gateway.http.edge import BadRequest

MAX_QUERY_PARTS = 20
MAX_FILES = 4
MAX_PATHS_OF_A_FILE = 4

_NOT_JSON = Text("请求内容不是有效的 JSON。", "The request body is not valid JSON.")
_NOT_AN_OBJECT = Text("请求内容须为 JSON 对象。", "The request body must be a JSON object.")
_BATCH = Text(
    "不支持批量请求：每次请求发送一个操作。",
    "Batching is not supported: send one operation per request.",
)
NOT_A_FORM = Text(
    "`operations` 与 `map` 不符合 GraphQL multipart 规范。",
    "`operations` and `map` do not follow the multipart request specification.",
)
_NOT_A_QUERY_STRING = Text(
    "网址参数无法读取：须为 UTF-8，且每个参数只出现一次。",
    "The query string cannot be read: it must be UTF-8, with each parameter once.",
)


class Parameters(Struct, frozen=True):
    """The document is `query`, or is referenced by `document_id` or `extensions`."""

    query: str | None = None
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None

    def __repr__(self) -> str:
        """Without values: they may be personal data."""
        return f"Parameters(operation_name={self.operation_name!r})"


def from_json(body: bytes | str) -> Parameters:
    return from_object(_decoded(body, _NOT_JSON))


def from_query_string(query_string: bytes) -> Parameters:
    """`variables` and `extensions` are JSON-encoded parameters."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_QUERY_PARTS,
        )
    except ValueError as error:
        raise BadRequest(_NOT_A_QUERY_STRING) from error
    given: dict[str, Any] = dict(pairs)
    if len(given) != len(pairs):
        raise BadRequest(_NOT_A_QUERY_STRING)
    for name in ("variables", "extensions"):
        if name in given:
            given[name] = _decoded(given[name], _wrong(name, "object")) if given[name] else None
    return from_object(given)


def from_form(operations: object, files_by_path: object, files: Mapping[str, object]) -> Parameters:
    """From the fields `operations` and `map` of a form, and its files by field name."""
    if not isinstance(operations, str) or not isinstance(files_by_path, str | None):
        raise BadRequest(NOT_A_FORM)
    decoded = _decoded(operations, NOT_A_FORM)
    parameters = from_object(decoded)
    _place_files(decoded, _decoded(files_by_path or "{}", NOT_A_FORM), files)
    return parameters


def from_object(value: object) -> Parameters:
    if isinstance(value, list):
        raise BadRequest(_BATCH)
    if not isinstance(value, dict):
        raise BadRequest(_NOT_AN_OBJECT)
    for name, given in value.items():
        kind = _KINDS.get(name)
        if kind is not None and given is not None and not isinstance(given, kind):
            raise BadRequest(_wrong(name, "string" if kind is str else "object"))
    return Parameters(
        query=value.get("query") or None,
        variables=value.get("variables"),
        operation_name=value.get("operationName") or None,
        extensions=value.get("extensions"),
        document_id=value.get("documentId") or None,
    )


_KINDS: dict[str, type] = {
    "query": str,
    "variables": dict,
    "operationName": str,
    "extensions": dict,
    "documentId": str,
}


def _wrong(name: str, kind: str) -> Text:
    words = {"string": "字符串", "object": "JSON 对象"}
    return Text(f"`{name}` 须为{words[kind]}。", f"`{name}` must be a JSON {kind} or null.")


def _decoded(text: bytes | str, otherwise: Text) -> Any:
    bom = codecs.BOM_UTF8 if isinstance(text, bytes) else "\ufeff"
    try:
        return orjson.loads(text.removeprefix(bom))  # type: ignore[arg-type]
    except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
        raise BadRequest(otherwise) from error


def _place_files(operations: Any, places: Any, files: Mapping[str, object]) -> None:
    """Replaces the null at each path of `map` by its file; paths must lie in `variables`."""
    if not isinstance(places, dict) or len(places) > MAX_FILES:
        raise BadRequest(NOT_A_FORM)
    for name, paths in places.items():
        if not isinstance(paths, list) or len(paths) > MAX_PATHS_OF_A_FILE or name not in files:
            raise BadRequest(NOT_A_FORM)
        for path in paths:
            _place(operations, path, files[name])


def _place(operations: Any, path: object, file: object) -> None:
    if not isinstance(path, str):
        raise BadRequest(NOT_A_FORM)
    first, *inner = path.split(".")
    if first != "variables" or not inner:
        raise BadRequest(NOT_A_FORM)
    here: Any = operations
    try:
        for key in (first, *inner[:-1]):
            here = here[_key(here, key)]
        last = _key(here, inner[-1])
        is_free = here[last] is None
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise BadRequest(NOT_A_FORM) from error
    if not is_free:
        raise BadRequest(NOT_A_FORM)
    here[last] = file


def _key(container: object, key: str) -> Any:
    if isinstance(container, dict):
        return key
    if isinstance(container, list) and key.isascii() and key.isdigit() and len(key) < 4:
        return int(key)
    raise KeyError(key)
