"""What a document may cost at most, judged once before anything runs.

Depth, expanded fields and aliases are computed per fragment and kept, so that fragments that
double each other cost no more than they are long. A mutation has one root field: no code can
be guessed by aliases.
"""

from dataclasses import dataclass
from typing import Any

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValidationRule,
)
from strawberry.extensions import AddValidationRules, MaxTokensLimiter

MOST_DEPTH = 16
MOST_FIELDS = 1_000
MOST_ALIASES = 30
MOST_DIRECTIVES = 50
MOST_TOKENS = 3_000


@dataclass(frozen=True, slots=True)
class _Cost:
    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0


class CostLimit(ValidationRule):
    """Refuses documents that are too deep, too wide, or mutations with more than one field."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self._of_fragment: dict[str, _Cost] = {}
        self._open: set[str] = set()

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        cost = self._of(node.selection_set)
        for name, value, most in (
            ("depth", cost.depth, MOST_DEPTH),
            ("fields", cost.fields, MOST_FIELDS),
            ("aliases", cost.aliases, MOST_ALIASES),
            ("directives", cost.directives, MOST_DIRECTIVES),
        ):
            if value > most:
                self._refuse(
                    f"The operation has too many levels or parts: {name} is limited to {most}.",
                    node,
                )
        if node.operation is OperationType.MUTATION and self._root_fields(node.selection_set) > 1:
            self._refuse("A mutation may have one root field.", node)

    def _refuse(self, message: str, node: OperationDefinitionNode) -> None:
        self.report_error(GraphQLError(message, node, extensions={"code": "TOO_COMPLEX"}))

    def _of(self, selections: SelectionSetNode | None) -> _Cost:
        depth = fields = aliases = directives = 0
        for selection in selections.selections if selections else ():
            if isinstance(selection, FieldNode):
                inner = self._of(selection.selection_set)
                inner = _Cost(
                    inner.depth + 1,
                    inner.fields + 1,
                    inner.aliases + (selection.alias is not None),
                    inner.directives,
                )
            elif isinstance(selection, FragmentSpreadNode):
                inner = self._of_spread(selection.name.value)
            else:
                assert isinstance(selection, InlineFragmentNode)
                inner = self._of(selection.selection_set)
            own: tuple[DirectiveNode, ...] = tuple(selection.directives or ())
            depth = max(depth, inner.depth)
            fields += inner.fields
            aliases += inner.aliases
            directives += inner.directives + len(own)
        return _Cost(depth, fields, aliases, directives)

    def _of_spread(self, name: str) -> _Cost:
        if name in self._of_fragment:
            return self._of_fragment[name]
        fragment = self.context.get_fragment(name)
        if not isinstance(fragment, FragmentDefinitionNode) or name in self._open:
            return _Cost()
        self._open.add(name)
        cost = self._of_fragment[name] = self._of(fragment.selection_set)
        self._open.discard(name)
        return cost

    def _root_fields(self, selections: SelectionSetNode, seen: frozenset[str] = frozenset()) -> int:
        """Counts until two: more does not matter."""
        count = 0
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                count += 1
            elif isinstance(selection, InlineFragmentNode):
                count += self._root_fields(selection.selection_set, seen)
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                fragment = self.context.get_fragment(name)
                if fragment is not None and name not in seen:
                    count += self._root_fields(fragment.selection_set, seen | {name})
            if count > 1:
                break
        return count


def limit_documents() -> AddValidationRules:
    return AddValidationRules([CostLimit])


def limit_tokens() -> MaxTokensLimiter:
    return MaxTokensLimiter(MOST_TOKENS)
