"""Limits of a document's complexity, checked before validation and execution.

GraphQL validation compares fields of the same name pairwise, follows fragments, and looks at
every value several times, so a document of a few kilobytes could occupy it for seconds. The
document is therefore measured first, in linear time, and rejected as a whole. A mutation may
have one root field only, so that codes cannot be guessed by aliases.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
)
from graphql.language.ast import QUERY_DOCUMENT_KEYS

from gateway.http.admission.costs import MAX_COST, field_cost, field_type, list_size

MAX_LENGTH = 32_768
MAX_TOKENS = 1_500
MAX_DEPTH = 16
MAX_FIELDS = 500
MAX_ALIASES = 30
MAX_DIRECTIVES = 50
MAX_SPREADS = 40
MAX_REPEATS = 10
MAX_VALUES = 200
MAX_NODES = 800
MAX_OF_A_KIND: Mapping[str, tuple[str, int]] = {
    "operation_definition": ("operations", 50),
    "fragment_definition": ("fragment definitions", 50),
    "variable_definition": ("variables", 50),
    "inline_fragment": ("inline fragments", 200),
    "directive": ("directives", MAX_DIRECTIVES),
    "argument": ("arguments", 200),
    "object_field": ("input fields", 100),
}
"""By kind of node, each counted once where it stands."""

_CHILDREN = {
    kind: tuple(key for key in keys if key not in ("alias", "name", "type", "type_condition"))
    for kind, keys in QUERY_DOCUMENT_KEYS.items()
}


@dataclass(slots=True)
class Cost:
    """The size of a selection set, including its fragments, each as often as it is spread."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    spreads: int = 0
    points: int = 0

    def add(self, other: "Cost") -> None:
        self.depth = max(self.depth, other.depth)
        self.fields += other.fields
        self.aliases += other.aliases
        self.directives += other.directives
        self.spreads += other.spreads
        self.points += other.points


class TooComplex(Exception):
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
        self._costs: dict[str, Cost] = {}
        self._open: set[str] = set()

    def measure(self, node: OperationDefinitionNode | FragmentDefinitionNode) -> Cost:
        cost = self._of(node.selection_set, self._root(node))
        _check_limits(cost)
        repeats: Counter[tuple[str, ...]] = Counter(self._paths(node.selection_set, ()))
        if repeats and max(repeats.values()) > MAX_REPEATS:
            raise TooComplex(limit_message("repeats of a field", MAX_REPEATS))
        is_mutation = (
            isinstance(node, OperationDefinitionNode) and node.operation is OperationType.MUTATION
        )
        if is_mutation and sum(repeats[path] for path in repeats if len(path) == 1) > 1:
            raise TooComplex("A mutation may have one root field.")
        return cost

    def _root(
        self, node: OperationDefinitionNode | FragmentDefinitionNode
    ) -> GraphQLNamedType | None:
        if isinstance(node, OperationDefinitionNode):
            return self._schema.get_root_type(node.operation)
        return self._schema.get_type(node.type_condition.name.value)

    def _of(self, selections: SelectionSetNode | None, on: GraphQLNamedType | None) -> Cost:
        """`on` is the parent type of the fields; None for an unknown type."""
        total = Cost()
        for selection in selections.selections if selections else ():
            total.directives += len(selection.directives or ())
            total.add(self._of_selection(selection, on))
        return total

    def _of_selection(self, selection: SelectionNode, on: GraphQLNamedType | None) -> Cost:
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

    def _of_field(self, field: FieldNode, on: GraphQLNamedType | None) -> Cost:
        name = field.name.value
        kind = field_type(on, name) if on else None
        below = get_named_type(kind) if kind else None
        cost = self._of(field.selection_set, below) if field.selection_set else Cost()
        cost.depth += 1
        cost.fields += 1
        cost.aliases += field.alias is not None
        if on is not None:
            cost.points = (field_cost(self._schema, on, name) + cost.points) * list_size(on, name)
        return cost

    def _of_fragment(self, name: str) -> Cost:
        if name in self._costs or name not in self._fragments:
            return self._costs.get(name, Cost())
        if name in self._open:
            raise TooComplex("Fragments must not form a cycle.")
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


def _check_limits(cost: Cost) -> None:
    for name, value, limit in (
        ("depth", cost.depth, MAX_DEPTH),
        ("fields", cost.fields, MAX_FIELDS),
        ("aliases", cost.aliases, MAX_ALIASES),
        ("directives", cost.directives, MAX_DIRECTIVES),
        ("fragments", cost.spreads, MAX_SPREADS),
        ("cost", cost.points, MAX_COST),
    ):
        if value > limit:
            raise TooComplex(limit_message(name, limit))


def count_nodes(document: DocumentNode) -> Counter[str]:
    """The nodes of each kind, without names and types. Raises `TooComplex`."""
    counts: Counter[str] = Counter()
    waiting: list[Node] = [document]
    while waiting:
        node = waiting.pop()
        counts[node.kind] += 1
        for key in _CHILDREN.get(node.kind, ()):
            child = getattr(node, key)
            if isinstance(child, Node):
                waiting.append(child)
            elif child:
                waiting.extend(child)
    for kind, (name, limit) in MAX_OF_A_KIND.items():
        if counts[kind] > limit:
            raise TooComplex(limit_message(name, limit))
    if sum(number for kind, number in counts.items() if kind.endswith("_value")) > MAX_VALUES:
        raise TooComplex(limit_message("values", MAX_VALUES))
    if counts.total() > MAX_NODES:
        raise TooComplex(limit_message("nodes", MAX_NODES))
    return counts


def limit_message(name: str, limit: int) -> str:
    return f"The document has too many levels or parts: {name} is limited to {limit}."


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a document; `cost` is in points."""

    kind: OperationType
    cost: int


@dataclass(frozen=True, slots=True)
class Measured:
    operations: Mapping[str | None, Operation]
    fields: int
    directives: int


def measure(schema: GraphQLSchema, document: DocumentNode) -> Measured:
    """Checks the limits for each definition, also unused ones, and for the whole document."""
    counts = count_nodes(document)
    analyzer, total = ComplexityAnalyzer(schema, document), Cost()
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
    return Measured(operations, total.fields, counts["directive"])
