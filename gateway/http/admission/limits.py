"""Limits of a document's complexity, checked before validation and execution.

GraphQL validation compares fields of the same name pairwise and follows fragments, so a
document of a few kilobytes could occupy it for seconds. The document is therefore measured
first, in linear time, and rejected as a whole. A mutation may have one root field only, so
that codes cannot be guessed by aliases.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
    parse,
    specified_rules,
    validate,
)
from strawberry.extensions import MaxTokensLimiter, SchemaExtension

from core.kernel.refusals import Text
from gateway.http.admission.costs import (
    MAX_COST,
    NEW_KILOBYTE_COST,
    field_cost,
    field_type,
    list_size,
)
from gateway.http.edge import BadRequest

MAX_TOKENS = 2_000
MAX_DEPTH = 16
MAX_FIELDS = 500
MAX_ALIASES = 30
MAX_DIRECTIVES = 50
MAX_SPREADS = 40
MAX_REPEATS = 10
MAX_DOCUMENTS = 512
MAX_CACHED_LENGTH = 8_192


@dataclass(slots=True)
class _Cost:
    """The size of a selection set, including its fragments, each as often as it is spread."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    spreads: int = 0
    points: int = 0

    def add(self, other: "_Cost") -> None:
        self.depth = max(self.depth, other.depth)
        self.fields += other.fields
        self.aliases += other.aliases
        self.directives += other.directives
        self.spreads += other.spreads
        self.points += other.points


class _TooComplex(Exception):
    pass


class ComplexityAnalyzer:
    """Measures one document. Each fragment is measured once only."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments: Mapping[str, FragmentDefinitionNode] = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._costs: dict[str, _Cost] = {}
        self._open: set[str] = set()

    def measure(self, node: OperationDefinitionNode | FragmentDefinitionNode) -> _Cost:
        cost = self._of(node.selection_set, self._root(node))
        _check_limits(cost)
        repeats: Counter[tuple[str, ...]] = Counter(self._paths(node.selection_set, ()))
        if repeats and max(repeats.values()) > MAX_REPEATS:
            raise _TooComplex(_limit_message("repeats of a field", MAX_REPEATS))
        is_mutation = (
            isinstance(node, OperationDefinitionNode) and node.operation is OperationType.MUTATION
        )
        if is_mutation and sum(repeats[path] for path in repeats if len(path) == 1) > 1:
            raise _TooComplex("A mutation may have one root field.")
        return cost

    def _root(
        self, node: OperationDefinitionNode | FragmentDefinitionNode
    ) -> GraphQLNamedType | None:
        if isinstance(node, OperationDefinitionNode):
            return self._schema.get_root_type(node.operation)
        return self._schema.get_type(node.type_condition.name.value)

    def _of(self, selections: SelectionSetNode | None, on: GraphQLNamedType | None) -> _Cost:
        """`on` is the parent type of the fields; None for an unknown type."""
        total = _Cost()
        for selection in selections.selections if selections else ():
            total.directives += len(selection.directives or ())
            total.add(self._of_selection(selection, on))
        return total

    def _of_selection(self, selection: SelectionNode, on: GraphQLNamedType | None) -> _Cost:
        if isinstance(selection, FieldNode):
            return self._of_field(selection, on)
        if isinstance(selection, FragmentSpreadNode):
            cost = replace(self._of_fragment(selection.name.value))
            cost.spreads += 1
            return cost
        assert isinstance(selection, InlineFragmentNode)
        condition = selection.type_condition
        inner = self._schema.get_type(condition.name.value) if condition else on
        return self._of(selection.selection_set, inner)

    def _of_field(self, field: FieldNode, on: GraphQLNamedType | None) -> _Cost:
        name = field.name.value
        kind = field_type(on, name) if on else None
        below = get_named_type(kind) if kind else None
        cost = self._of(field.selection_set, below) if field.selection_set else _Cost()
        cost.depth += 1
        cost.fields += 1
        cost.aliases += field.alias is not None
        if on is not None:
            cost.points = (field_cost(self._schema, on, name) + cost.points) * list_size(on, name)
        return cost

    def _of_fragment(self, name: str) -> _Cost:
        if name in self._costs or name not in self._fragments:
            return self._costs.get(name, _Cost())
        if name in self._open:
            raise _TooComplex("Fragments must not form a cycle.")
        self._open.add(name)
        fragment = self._fragments[name]
        cost = self._costs[name] = self._of(fragment.selection_set, self._root(fragment))
        self._open.discard(name)
        return cost

    def _paths(
        self, selections: SelectionSetNode | None, above: tuple[str, ...]
    ) -> Iterator[tuple[str, ...]]:
        """The response path of each field. Fields with the same path are merged."""
        for selection in selections.selections if selections else ():
            if isinstance(selection, FieldNode):
                path = (*above, (selection.alias or selection.name).value)
                yield path
                yield from self._paths(selection.selection_set, path)
            elif isinstance(selection, FragmentSpreadNode):
                fragment = self._fragments.get(selection.name.value)
                yield from self._paths(fragment.selection_set if fragment else None, above)
            else:
                assert isinstance(selection, InlineFragmentNode)
                yield from self._paths(selection.selection_set, above)


def _check_limits(cost: _Cost) -> None:
    for name, value, limit in (
        ("depth", cost.depth, MAX_DEPTH),
        ("fields", cost.fields, MAX_FIELDS),
        ("aliases", cost.aliases, MAX_ALIASES),
        ("directives", cost.directives, MAX_DIRECTIVES),
        ("fragments", cost.spreads, MAX_SPREADS),
        ("cost", cost.points, MAX_COST),
    ):
        if value > limit:
            raise _TooComplex(_limit_message(name, limit))


def _limit_message(name: str, limit: int) -> str:
    return f"The document has too many levels or parts: {name} is limited to {limit}."


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a document; `cost` is in points."""

    kind: OperationType
    cost: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A parsed, measured and validated document. With `errors` it is not executed."""

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...]
    operations: Mapping[str | None, Operation]
    reading_cost: int
    """Points for parsing and validating it, charged when it is not cached."""

    def operation(self, name: str | None) -> Operation:
        """The operation of that name, or the only one. Raises `BadRequest`."""
        found = self.operations.get(name or None)
        if found is None and not name and len(self.operations) == 1:
            found = next(iter(self.operations.values()))
        if found is None:
            raise BadRequest(_NO_OPERATION)
        return found


_NO_OPERATION = Text(
    "`operationName` 须为文档中某个操作的名称；文档含多个操作时必填。",
    "`operationName` must name an operation of the document; it is required if the document has several.",
)


class PreparedDocuments:
    """An LRU cache of parsed, measured and validated documents: front-ends repeat the same few.

    Keyed by the text, up to 512 documents of at limit 8 kB; saves 2 ms of CPU per request.
    `sanitize` removes from an error what clients must not see.
    """

    def __init__(
        self, *, introspection: bool = True, sanitize: Callable[[GraphQLError], GraphQLError]
    ) -> None:
        self._rules = [*specified_rules]
        if not introspection:
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self._sanitize = sanitize
        self._cache: OrderedDict[str, Prepared] = OrderedDict()

    def cached(self, text: str) -> Prepared | None:
        """The document, if it is cached."""
        prepared = self._cache.get(text)
        if prepared is not None:
            self._cache.move_to_end(text)
        return prepared

    def prepare(self, schema: GraphQLSchema, text: str) -> tuple[Prepared, int]:
        """The document, and the points charged for preparing it: 0 if it is cached."""
        prepared = self.cached(text)
        if prepared is not None:
            return prepared, 0
        prepared = self._prepare(schema, text)
        if len(text) <= MAX_CACHED_LENGTH:
            self._cache[text] = prepared
            if len(self._cache) > MAX_DOCUMENTS:
                self._cache.popitem(last=False)
        return prepared, prepared.reading_cost

    def _prepare(self, schema: GraphQLSchema, text: str) -> Prepared:
        reading = 1 + len(text) * NEW_KILOBYTE_COST // 1_000
        document = None
        operations: dict[str | None, Operation] = {}
        try:
            document = parse(text, max_tokens=MAX_TOKENS)
            operations = _measure(schema, document)
            errors = validate(schema, document, self._rules)
        except GraphQLError as error:
            errors = [error]
        except _TooComplex as error:
            errors = [GraphQLError(str(error), extensions={"code": "TOO_COMPLEX"})]
        except RecursionError:
            errors = [
                GraphQLError(_limit_message("depth", MAX_DEPTH), extensions={"code": "TOO_COMPLEX"})
            ]
        sanitized = tuple(map(self._sanitize, errors))
        return Prepared(document, sanitized, {} if sanitized else operations, reading)


class LimitDocuments(SchemaExtension):
    """Passes the prepared document to strawberry, and reports the cost of the operation."""

    def __init__(self, documents: PreparedDocuments) -> None:
        self._documents = documents

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
        context = self.execution_context
        schema: GraphQLSchema = context.schema._schema  # noqa: SLF001
        return self._documents.prepare(schema, context.query or "")[0]


def _measure(schema: GraphQLSchema, document: DocumentNode) -> dict[str | None, Operation]:
    """Checks the limits for each definition, also unused ones, and for the whole document."""
    analyzer, total = ComplexityAnalyzer(schema, document), _Cost()
    operations: dict[str | None, Operation] = {}
    for node in document.definitions:
        if not isinstance(node, OperationDefinitionNode | FragmentDefinitionNode):
            continue
        cost = analyzer.measure(node)
        total.add(replace(cost, points=0))
        _check_limits(total)
        if isinstance(node, OperationDefinitionNode):
            name = node.name.value if node.name else None
            operations[name] = Operation(node.operation, max(1, cost.points))
    return operations


def limit_tokens() -> MaxTokensLimiter:
    return MaxTokensLimiter(MAX_TOKENS)
