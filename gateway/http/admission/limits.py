"""What a document may cost at most, judged before it is validated and before anything runs.

Validation compares fields of the same name pair by pair, and follows fragments that hold
each other: a document of a few kilobytes would keep it busy for seconds. So the document is
measured first, in time that grows with its length alone, and refused as a whole. A mutation
has one root field: no code can be guessed by aliases.
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
    UNSEEN_KILOBYTE_COST,
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
KEPT_DOCUMENTS = 512
MAX_CACHED_LENGTH = 8_192


@dataclass(slots=True)
class _Cost:
    """Of selections with the fragments that they spread, each as often as it is spread."""

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
    """Measures one document. A fragment is measured once, however often it is spread."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments: Mapping[str, FragmentDefinitionNode] = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._measured: dict[str, _Cost] = {}
        self._open: set[str] = set()

    def measure(self, node: OperationDefinitionNode | FragmentDefinitionNode) -> _Cost:
        cost = self._of(node.selection_set, self._root(node))
        _must_be_within(cost)
        repeats: Counter[tuple[str, ...]] = Counter(self._paths(node.selection_set, ()))
        if repeats and max(repeats.values()) > MAX_REPEATS:
            raise _TooComplex(_words("repeats of a field", MAX_REPEATS))
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
        """`on` is the type that the fields are of; None where the document names none."""
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
        if name in self._measured or name not in self._fragments:
            return self._measured.get(name, _Cost())
        if name in self._open:
            raise _TooComplex("Fragments may not hold each other in a circle.")
        self._open.add(name)
        fragment = self._fragments[name]
        cost = self._measured[name] = self._of(fragment.selection_set, self._root(fragment))
        self._open.discard(name)
        return cost

    def _paths(
        self, selections: SelectionSetNode | None, above: tuple[str, ...]
    ) -> Iterator[tuple[str, ...]]:
        """Where each field stands in the answer; those that stand alike are merged."""
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


def _must_be_within(cost: _Cost) -> None:
    for name, value, most in (
        ("depth", cost.depth, MAX_DEPTH),
        ("fields", cost.fields, MAX_FIELDS),
        ("aliases", cost.aliases, MAX_ALIASES),
        ("directives", cost.directives, MAX_DIRECTIVES),
        ("fragments", cost.spreads, MAX_SPREADS),
        ("cost", cost.points, MAX_COST),
    ):
        if value > most:
            raise _TooComplex(_words(name, most))


def _words(name: str, most: int) -> str:
    return f"The document has too many levels or parts: {name} is limited to {most}."


@dataclass(frozen=True, slots=True)
class Operation:
    """`cost` is in points."""

    kind: OperationType
    cost: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that was read and judged. With `errors` nothing of it runs."""

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...]
    operations: Mapping[str | None, Operation]
    reading_cost: int
    """Points for having read it, when it was not known yet."""

    def operation(self, name: str | None) -> Operation:
        """The one to run: the named one, or the only one."""
        found = self.operations.get(name or None)
        if found is None and not name and len(self.operations) == 1:
            found = next(iter(self.operations.values()))
        if found is None:
            raise BadRequest(_NO_OPERATION)
        return found


_NO_OPERATION = Text(
    "`operationName` 须为文档中某个操作的名称；文档含多个操作时必填。",
    "`operationName` must name an operation of the document; it is needed where there are several.",
)


class PreparedDocuments:
    """Parses, judges and validates a document once: front-ends send the same few all day.

    Kept by their text, the last 512 of at most 8 kB: 2 ms of CPU less a request. `sanitize`
    makes of an error what a client may read.
    """

    def __init__(
        self, *, introspection: bool = True, sanitize: Callable[[GraphQLError], GraphQLError]
    ) -> None:
        self._rules = [*specified_rules]
        if not introspection:
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self._sanitize = sanitize
        self._kept: OrderedDict[str, Prepared] = OrderedDict()

    def known(self, text: str) -> Prepared | None:
        """The document, if it was prepared before and is still kept."""
        prepared = self._kept.get(text)
        if prepared is not None:
            self._kept.move_to_end(text)
        return prepared

    def prepare(self, schema: GraphQLSchema, text: str) -> tuple[Prepared, int]:
        """The document, and the points that reading it costs this time."""
        prepared = self.known(text)
        if prepared is not None:
            return prepared, 0
        prepared = self._prepare(schema, text)
        if len(text) <= MAX_CACHED_LENGTH:
            self._kept[text] = prepared
            if len(self._kept) > KEPT_DOCUMENTS:
                self._kept.popitem(last=False)
        return prepared, prepared.reading_cost

    def _prepare(self, schema: GraphQLSchema, text: str) -> Prepared:
        reading = 1 + len(text) * UNSEEN_KILOBYTE_COST // 1_000
        document = None
        operations: dict[str | None, Operation] = {}
        try:
            document = parse(text, max_tokens=MAX_TOKENS)
            operations = _judge(schema, document)
            errors = validate(schema, document, self._rules)
        except GraphQLError as error:
            errors = [error]
        except _TooComplex as error:
            errors = [GraphQLError(str(error), extensions={"code": "TOO_COMPLEX"})]
        except RecursionError:
            errors = [GraphQLError(_words("depth", MAX_DEPTH), extensions={"code": "TOO_COMPLEX"})]
        sanitize = tuple(map(self._sanitize, errors))
        return Prepared(document, sanitize, {} if sanitize else operations, reading)


class LimitDocuments(SchemaExtension):
    """Hands strawberry what was prepared, and tells what the operation cost."""

    def __init__(self, documents: PreparedDocuments) -> None:
        self._documents = documents

    def on_parse(self) -> Iterator[None]:
        """The view lets nothing pass that has errors."""
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


def _judge(schema: GraphQLSchema, document: DocumentNode) -> dict[str | None, Operation]:
    """Every definition by itself, unused ones too, and then all of them together."""
    scales, total = ComplexityAnalyzer(schema, document), _Cost()
    operations: dict[str | None, Operation] = {}
    for node in document.definitions:
        if not isinstance(node, OperationDefinitionNode | FragmentDefinitionNode):
            continue
        cost = scales.measure(node)
        total.add(replace(cost, points=0))
        _must_be_within(total)
        if isinstance(node, OperationDefinitionNode):
            name = node.name.value if node.name else None
            operations[name] = Operation(node.operation, max(1, cost.points))
    return operations


def limit_tokens() -> MaxTokensLimiter:
    return MaxTokensLimiter(MAX_TOKENS)
