"""Documents that are parsed, measured and validated, and kept for the next request."""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    Lexer,
    NoSchemaIntrospectionCustomRule,
    Source,
    Token,
    specified_rules,
    validate,
)
from graphql.language.parser import Parser
from strawberry.extensions import MaxTokensLimiter, SchemaExtension

from core.kernel.texts import Text
from gateway.compiled import MAX_VARIANTS
from gateway.http.admission.bounded_cache import BoundedCache
from gateway.http.admission.costs import NEW_KILOBYTE_COST
from gateway.http.admission.limits import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_TOKENS,
    Measured,
    Operation,
    TooComplex,
    limit_message,
    measure,
)
from gateway.http.edge import BadRequest

MAX_ERRORS = 3
MAX_KEPT_BYTES = 32 * 1024 * 1024
_TOKEN_BYTES, _FIELD_BYTES = 450, 2_000
"""What a token takes in the parsed document, and a field in each variant of its plan."""

_NO_OPERATION = Text(
    "`operationName` 须为文档中某个操作的名称；文档含多个操作时必填。",
    "`operationName` must name an operation of the document; it is required if the document has several.",
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A parsed, measured and validated document. With `errors` it is not executed."""

    text: str
    document: DocumentNode | None
    errors: tuple[GraphQLError, ...]
    operations: Mapping[str | None, Operation]
    weight: int
    """Bytes that it takes with its plans, roughly."""

    def operation(self, name: str | None) -> Operation:
        """The operation of that name, or the only one. Raises `BadRequest`."""
        found = self.operations.get(name or None)
        if found is None and not name and len(self.operations) == 1:
            found = next(iter(self.operations.values()))
        if found is None:
            raise BadRequest(_NO_OPERATION)
        return found


class PreparedDocuments:
    """Parsed, measured and validated documents, by their text: front-ends repeat the same few.

    Valid ones are kept, up to 32 MB, which saves several milliseconds of CPU per request.
    `sanitize` removes from an error what clients must not see.
    """

    def __init__(
        self, *, introspection: bool = True, sanitize: Callable[[GraphQLError], GraphQLError]
    ) -> None:
        self._rules = [*specified_rules]
        if not introspection:
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self._sanitize = sanitize
        self._trusted: dict[str, Prepared] = {}
        self._kept: BoundedCache[str, Prepared] = BoundedCache(MAX_KEPT_BYTES)

    def kept(self, text: str) -> Prepared | None:
        return self._kept.get(text) or self._trusted.get(text)

    def trust(self, schema: GraphQLSchema, text: str) -> Prepared:
        """Prepares a document of the manifest; it is kept for good."""
        prepared = self._trusted[text] = self.prepare(schema, text)
        return prepared

    def keep(self, prepared: Prepared, owner: bytes) -> None:
        """Keeps a document without errors. `owner` is the network that it came from."""
        if not prepared.errors:
            self._kept.put(prepared.text, prepared, prepared.weight, owner)

    def prepare(self, schema: GraphQLSchema, text: str) -> Prepared:
        try:
            document = _parse(text)
            measured = measure(schema, document)
            errors = validate(
                schema, document, self._rules, max_errors=MAX_ERRORS, hide_suggestions=True
            )
        except GraphQLError as error:
            return self._invalid(text, error)
        except TooComplex as error:
            return self._too_complex(text, str(error))
        except RecursionError:
            return self._too_complex(text, limit_message("depth", MAX_DEPTH))
        if errors:
            return self._invalid(text, *errors)
        return Prepared(text, document, (), measured.operations, _weight(text, document, measured))

    def _too_complex(self, text: str, message: str) -> Prepared:
        return self._invalid(text, GraphQLError(message, extensions={"code": "TOO_COMPLEX"}))

    def _invalid(self, text: str, *errors: GraphQLError) -> Prepared:
        return Prepared(text, None, tuple(map(self._sanitize, errors)), {}, 0)


def reading_cost(text: str) -> int:
    """Points for parsing and validating a document, which takes a millisecond per kilobyte."""
    return 1 + min(len(text), MAX_LENGTH) * NEW_KILOBYTE_COST // 1_000


def _parse(text: str) -> DocumentNode:
    if len(text) > MAX_LENGTH:
        raise TooComplex(limit_message("length", MAX_LENGTH))
    source = Source(text)
    lexer = Lexer(source)
    first = lexer.token
    try:
        return Parser(source, max_tokens=MAX_TOKENS, lexer=lexer).parse_document()
    finally:
        _unlink(first)


def _unlink(token: Token | None) -> None:
    """Tokens refer to each other, so that only a collection would free them; nothing reads that."""
    while token is not None:
        following = token.next
        token.prev = token.next = None
        token = following


def _weight(text: str, document: DocumentNode, measured: Measured) -> int:
    variants = min(MAX_VARIANTS, 1 << measured.directives)
    of_document = len(text) * 2 + document.token_count * _TOKEN_BYTES
    return of_document + measured.fields * _FIELD_BYTES * variants


admitted_document: ContextVar[Prepared | None] = ContextVar("admitted_document", default=None)
"""The document of the operation that this task executes."""


class LimitDocuments(SchemaExtension):
    """Passes the prepared document to strawberry, and reports the cost of the operation."""

    def __init__(self, documents: PreparedDocuments) -> None:
        self._documents = documents
        self._found: Prepared | None = None

    def on_parse(self) -> Iterator[None]:
        """Documents with errors never get here: the view rejects them."""
        self.execution_context.graphql_document = self._prepared().document
        yield

    def on_validate(self) -> Iterator[None]:
        self.execution_context.pre_execution_errors = list(self._prepared().errors)
        yield

    def get_results(self) -> dict[str, object]:
        try:
            operation = self._prepared().operation(self.execution_context.operation_name)
        except BadRequest:
            return {}
        return {"cost": {"requested": operation.cost}}

    def _prepared(self) -> Prepared:
        if self._found is None:
            context = self.execution_context
            text = context.query or ""
            admitted = admitted_document.get()
            if admitted is None or admitted.text != text:
                schema: GraphQLSchema = context.schema._schema  # noqa: SLF001
                admitted = self._documents.prepare(schema, text)
            self._found = admitted
        return self._found


def limit_tokens() -> MaxTokensLimiter:
    return MaxTokensLimiter(MAX_TOKENS)
