"""What a document may cost at most, judged before it is validated and before anything runs.

Validation compares fields of the same name pair by pair, and follows fragments that hold
each other: a document of a few kilobytes would keep it busy for seconds. So the document is
measured first, in time that grows with its length alone, and refused as a whole. A mutation
has one root field: no code can be guessed by aliases.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    parse,
    validate,
)
from graphql.validation import ASTValidationRule
from strawberry.extensions import MaxTokensLimiter, SchemaExtension

MOST_TOKENS = 2_000
MOST_DEPTH = 16
MOST_FIELDS = 500
MOST_ALIASES = 30
MOST_DIRECTIVES = 50
MOST_SPREADS = 40
MOST_REPEATS = 10
KEPT_DOCUMENTS = 512
LONGEST_KEPT = 8_192


@dataclass(slots=True)
class _Cost:
    """Of selections with the fragments that they spread, each as often as it is spread."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    spreads: int = 0

    def add(self, other: "_Cost") -> None:
        self.depth = max(self.depth, other.depth)
        self.fields += other.fields
        self.aliases += other.aliases
        self.directives += other.directives
        self.spreads += other.spreads


class _TooComplex(Exception):
    pass


class _Scales:
    """Measures one document. A fragment is measured once, however often it is spread."""

    def __init__(self, document: DocumentNode) -> None:
        self._fragments: Mapping[str, FragmentDefinitionNode] = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._measured: dict[str, _Cost] = {}
        self._open: set[str] = set()

    def judge(self, node: OperationDefinitionNode | FragmentDefinitionNode) -> _Cost:
        cost = self._of(node.selection_set)
        _must_be_within(cost)
        repeats: Counter[tuple[str, ...]] = Counter(self._paths(node.selection_set, ()))
        if repeats and max(repeats.values()) > MOST_REPEATS:
            raise _TooComplex(_words("repeats of a field", MOST_REPEATS))
        is_mutation = (
            isinstance(node, OperationDefinitionNode) and node.operation is OperationType.MUTATION
        )
        if is_mutation and sum(repeats[path] for path in repeats if len(path) == 1) > 1:
            raise _TooComplex("A mutation may have one root field.")
        return cost

    def _of(self, selections: SelectionSetNode | None) -> _Cost:
        total = _Cost()
        for selection in selections.selections if selections else ():
            total.directives += len(selection.directives or ())
            total.add(self._of_selection(selection))
        return total

    def _of_selection(self, selection: SelectionNode) -> _Cost:
        if isinstance(selection, FieldNode):
            cost = self._of(selection.selection_set) if selection.selection_set else _Cost()
            cost.depth += 1
            cost.fields += 1
            cost.aliases += selection.alias is not None
            return cost
        if isinstance(selection, FragmentSpreadNode):
            cost = replace(self._of_fragment(selection.name.value))
            cost.spreads += 1
            return cost
        return self._of(_inner(selection))

    def _of_fragment(self, name: str) -> _Cost:
        if name in self._measured or name not in self._fragments:
            return self._measured.get(name, _Cost())
        if name in self._open:
            raise _TooComplex("Fragments may not hold each other in a circle.")
        self._open.add(name)
        cost = self._measured[name] = self._of(self._fragments[name].selection_set)
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
                yield from self._paths(_inner(selection), above)


def _inner(selection: SelectionNode) -> SelectionSetNode:
    inner: SelectionSetNode = selection.selection_set  # type: ignore[attr-defined]
    return inner


def _must_be_within(cost: _Cost) -> None:
    for name, value, most in (
        ("depth", cost.depth, MOST_DEPTH),
        ("fields", cost.fields, MOST_FIELDS),
        ("aliases", cost.aliases, MOST_ALIASES),
        ("directives", cost.directives, MOST_DIRECTIVES),
        ("fragments", cost.spreads, MOST_SPREADS),
    ):
        if value > most:
            raise _TooComplex(_words(name, most))


def _words(name: str, most: int) -> str:
    return f"The document has too many levels or parts: {name} is limited to {most}."


class LimitDocuments(SchemaExtension):
    """Parses, judges and validates a document once: front-ends send the same few all day.

    Kept by their text, the last 512 of at most 8 kB: 2 ms of CPU less a request.
    """

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if context.query and len(context.query) <= LONGEST_KEPT:
            # What cannot be parsed is left to the schema, which knows how to say so.
            with contextlib.suppress(GraphQLError):
                context.graphql_document = _kept_parse(context.query)
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        assert context.query is not None
        verdict = _kept_verdict if len(context.query) <= LONGEST_KEPT else _verdict
        schema: GraphQLSchema = context.schema._schema  # noqa: SLF001
        context.pre_execution_errors = list(
            verdict(schema, context.query, tuple(context.validation_rules))
        )
        yield


def _parse(query: str) -> DocumentNode:
    return parse(query, max_tokens=MOST_TOKENS)


def _verdict(
    schema: GraphQLSchema, query: str, rules: tuple[type[ASTValidationRule], ...]
) -> tuple[GraphQLError, ...]:
    document = _kept_parse(query) if len(query) <= LONGEST_KEPT else _parse(query)
    try:
        _judge(document)
    except _TooComplex as error:
        return (GraphQLError(str(error), extensions={"code": "TOO_COMPLEX"}),)
    return tuple(validate(schema, document, rules))


_kept_parse = lru_cache(maxsize=KEPT_DOCUMENTS)(_parse)
_kept_verdict = lru_cache(maxsize=KEPT_DOCUMENTS)(_verdict)


def _judge(document: DocumentNode) -> None:
    """Every definition by itself, unused ones too, and then all of them together."""
    scales, total = _Scales(document), _Cost()
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode):
            total.add(scales.judge(node))
            _must_be_within(total)


def limit_tokens() -> MaxTokensLimiter:
    return MaxTokensLimiter(MOST_TOKENS)
