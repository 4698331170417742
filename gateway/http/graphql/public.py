"""Responses that hold nothing of anybody: they may be kept by caches, and compressed.

A compressed length tells whether a guess that the response repeats equals a secret in it
(BREACH), so a response is compressed only if no session was sent and all that it holds is public.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationType,
    SelectionSetNode,
    get_operation_ast,
)
from starlette.responses import Response
from strawberry.schema.schema_converter import GraphQLCoreConverter

from gateway.http.edge import ENCODINGS, Head, preferred_encoding
from gateway.resolvers.caching import seconds_of

SCHEMA_SECONDS = 300
MIN_COMPRESSED = 1_024
MAX_KEPT_BYTES = 4_194_304
VARY = "Accept, Accept-Encoding, Accept-Language, Authorization, Origin"
_INTROSPECTION = frozenset({"__schema", "__type", "__typename"})


def public_seconds(schema: GraphQLSchema, document: DocumentNode, name: str | None) -> int | None:
    """How long the result of a valid operation may be kept; None if it is not public."""
    operation = get_operation_ast(document, name)
    if operation is None or operation.operation is not OperationType.QUERY:
        return None
    roots = list(_fields(document, operation.selection_set))
    kept = [_seconds(schema, field) for field in roots]
    below = [
        inner
        for field in roots
        if not _is_introspection(field)
        for inner in _below(document, field)
    ]
    if any(inner.arguments for inner in below) or None in kept:
        return None
    return min(seconds for seconds in kept if seconds is not None)


def asks_for_schema(document: DocumentNode, name: str | None) -> bool:
    """Whether the operation is introspection alone. Such a one never takes the fast path."""
    operation = get_operation_ast(document, name)
    roots = list(_fields(document, operation.selection_set)) if operation else []
    return any(field.name.value != "__typename" for field in roots) and all(
        map(_is_introspection, roots)
    )


def _seconds(schema: GraphQLSchema, field: FieldNode) -> int | None:
    if _is_introspection(field):
        return SCHEMA_SECONDS
    assert schema.query_type is not None
    definition = schema.query_type.fields[field.name.value]
    return seconds_of(definition.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].metadata)


def _is_introspection(field: FieldNode) -> bool:
    return field.name.value in _INTROSPECTION


def _fields(document: DocumentNode, selections: SelectionSetNode | None) -> Iterator[FieldNode]:
    """The fields of a selection set, also those of its fragments."""
    for selection in selections.selections if selections else ():
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            yield from _fields(document, selection.selection_set)
        elif isinstance(selection, FragmentSpreadNode):
            yield from _fields(document, _fragment(document, selection.name.value).selection_set)


def _fragment(document: DocumentNode, name: str) -> FragmentDefinitionNode:
    return next(
        node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode) and node.name.value == name
    )


def _below(document: DocumentNode, field: FieldNode) -> Iterator[FieldNode]:
    for inner in _fields(document, field.selection_set):
        yield inner
        yield from _below(document, inner)


class PublicResponses:
    """Adds `ETag` and `Cache-Control`, answers `If-None-Match`, and compresses."""

    def __init__(self) -> None:
        self._compressed: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._kept_bytes = 0

    async def cacheable(self, response: Response, head: Head, seconds: int) -> Response:
        """The response itself, or 304 if the client has it.

        Without rate limits: they are those of the client that asked first.
        """
        tag = f'"{_digest(bytes(response.body))}"'
        headers = {
            "Cache-Control": f"public, max-age={seconds}",
            "ETag": f"W/{tag}",
            "Vary": VARY,
        }
        if _matches(head.text(b"if-none-match"), tag):
            return Response(status_code=304, headers=headers)
        response.headers.update(headers)
        await self.compress(response, head)
        return response

    async def compress(self, response: Response, head: Head) -> None:
        body = bytes(response.body)
        response.headers.setdefault("Vary", "Accept-Encoding")
        encoding = preferred_encoding(head.accept_encoding)
        if len(body) < MIN_COMPRESSED or encoding is None:
            return
        response.body = await self._compress(body, encoding)
        response.headers["Content-Encoding"] = encoding
        response.headers["Content-Length"] = str(len(response.body))

    async def _compress(self, body: bytes, encoding: str) -> bytes:
        """In a thread: 171 kB, the whole schema, take some milliseconds. The last ones are kept."""
        key = encoding, _digest(body)
        found = self._compressed.get(key)
        if found is None:
            found = await asyncio.to_thread(ENCODINGS[encoding].quick, body)
            if key not in self._compressed:
                self._compressed[key] = found
                self._kept_bytes += len(found)
        self._compressed.move_to_end(key)
        while self._kept_bytes > MAX_KEPT_BYTES:
            self._kept_bytes -= len(self._compressed.popitem(last=False)[1])
        return found


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


def _matches(given: str, tag: str) -> bool:
    """The weak comparison of RFC 9110 section 8.8.3.2."""
    tags = [part.strip().removeprefix("W/") for part in given.split(",")]
    return tag in tags or tags == ["*"]
