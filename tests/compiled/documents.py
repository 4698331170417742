"""Documents for a schema: valid ones that hypothesis draws, made harder.

hypothesis-graphql writes fields, arguments, aliases and inline fragments. Added here: variables
in place of literals, with defaults and without values; `@skip` and `@include`, by constants and
by variables; named fragments, spread more than once; fields that are asked for twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    NameNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    get_named_type,
    parse,
    parse_type,
    print_ast,
    validate,
    value_from_ast_untyped,
)
from hypothesis_graphql import from_schema

_SCALARS = {
    "DateTime": st.sampled_from(["2026-01-02T03:04:05+08:00", "2026-01-02", "yesterday"]).map(
        lambda text: StringValueNode(value=text)
    ),
    "Upload": st.just(StringValueNode(value="not a file")),
    "Weight": st.just(StringValueNode(value="heavy")),
    "Decimal": st.just(StringValueNode(value="1.5")),
}


@dataclass(frozen=True)
class Case:
    text: str
    variables: Mapping[str, Any]


def cases(schema: GraphQLSchema, sdl: str) -> st.SearchStrategy[Case]:
    documents = from_schema(
        sdl, allow_x00=False, custom_scalars=_SCALARS, print_ast=lambda document: document
    )

    @st.composite
    def case(draw: st.DrawFn) -> Case:
        document: Any = draw(documents)
        writer = _Writer(schema, draw)
        text = print_ast(writer.harder(document))
        if validate(schema, parse(text)):
            return Case(print_ast(document), {})
        return Case(text, writer.variables)

    return case()


class _Writer:
    """Writes one document anew."""

    def __init__(self, schema: GraphQLSchema, draw: st.DrawFn) -> None:
        self._schema = schema
        self._draw = draw
        self._definitions: list[VariableDefinitionNode] = []
        self._fragments: list[FragmentDefinitionNode] = []
        self.variables: dict[str, Any] = {}

    def harder(self, document: DocumentNode) -> DocumentNode:
        operation = document.definitions[0]
        assert isinstance(operation, OperationDefinitionNode)
        root = self._schema.get_root_type(operation.operation)
        selections = self._selections(operation.selection_set, root)
        changed = OperationDefinitionNode(
            operation=operation.operation,
            variable_definitions=tuple(self._definitions),
            selection_set=selections,
        )
        return DocumentNode(definitions=(changed, *self._fragments))

    def _likely(self, percent: int) -> bool:
        return self._draw(st.integers(0, 99)) < percent

    def _selections(self, node: SelectionSetNode, type_: Any) -> SelectionSetNode:
        made: list[SelectionNode] = []
        for selection in node.selections:
            made.append(self._selection(selection, type_))
            if isinstance(selection, FieldNode) and self._likely(10):
                made.append(self._selection(selection, type_))
        if self._likely(20):
            made.insert(0, FieldNode(name=NameNode(value="__typename")))
        if self._likely(30):
            made = self._spread(SelectionSetNode(selections=tuple(made)), type_.name)
        return SelectionSetNode(selections=tuple(made))

    def _spread(self, selections: SelectionSetNode, type_name: str) -> list[SelectionNode]:
        """The selections as a fragment, spread once or several times."""
        name = NameNode(value=f"F{len(self._fragments)}")
        self._fragments.append(
            FragmentDefinitionNode(
                name=name,
                type_condition=NamedTypeNode(name=NameNode(value=type_name)),
                selection_set=selections,
            )
        )
        return [
            FragmentSpreadNode(name=name, directives=self._directives(30))
            for _ in range(self._draw(st.integers(1, 3)))
        ]

    def _selection(self, node: SelectionNode, type_: Any) -> SelectionNode:
        if isinstance(node, InlineFragmentNode):
            name = node.type_condition.name.value if node.type_condition else type_.name
            inner = self._selections(node.selection_set, self._schema.type_map[name])
            if self._likely(30):
                return self._spread(inner, name)[0]
            return InlineFragmentNode(
                type_condition=node.type_condition,
                directives=self._directives(10),
                selection_set=inner,
            )
        assert isinstance(node, FieldNode)
        field = self._schema.get_field(type_, node.name.value)
        assert field is not None
        inner_type = get_named_type(field.type)
        return FieldNode(
            alias=node.alias,
            name=node.name,
            arguments=tuple(
                ArgumentNode(
                    name=argument.name,
                    value=self._value(argument.value, field.args[argument.name.value]),
                )
                for argument in node.arguments or ()
            ),
            directives=self._directives(10),
            selection_set=self._selections(node.selection_set, inner_type)
            if node.selection_set
            else None,
        )

    def _directives(self, percent: int) -> tuple[DirectiveNode, ...]:
        names = [name for name in ("skip", "include") if self._likely(percent)]
        return tuple(
            DirectiveNode(
                name=NameNode(value=name),
                arguments=(ArgumentNode(name=NameNode(value="if"), value=self._condition()),),
            )
            for name in names
        )

    def _condition(self) -> ValueNode:
        literal = BooleanValueNode(value=self._draw(st.booleans()))
        return self._variable("Boolean!", literal) if self._likely(60) else literal

    def _value(self, node: ValueNode, argument: GraphQLArgument | GraphQLInputField) -> ValueNode:
        """The literal, or a variable in its place or within it."""
        if self._likely(35):
            return self._variable(str(argument.type), node)
        named = get_named_type(argument.type)
        if isinstance(node, ObjectValueNode) and isinstance(named, GraphQLInputObjectType):
            return ObjectValueNode(
                fields=tuple(
                    ObjectFieldNode(
                        name=field.name,
                        value=self._value(field.value, named.fields[field.name.value]),
                    )
                    for field in node.fields
                )
            )
        return node

    def _variable(self, type_: str, literal: ValueNode) -> VariableNode:
        """Given in the request, left to its default, or not given at all."""
        name = f"v{len(self._definitions)}"
        variable = VariableNode(name=NameNode(value=name))
        way = self._draw(st.integers(0, 9))
        if way > 1 or type_.endswith("!"):
            self.variables[name] = value_from_ast_untyped(literal)
        if way == 9:
            self.variables[name] = self._draw(_WRONG)
        self._definitions.append(
            VariableDefinitionNode(
                variable=variable,
                type=parse_type(type_),
                default_value=literal if way in (0, 8) else None,  # type: ignore[arg-type]
            )
        )
        return variable


_WRONG: st.SearchStrategy[Any] = st.sampled_from([None, "wrong", 7, [], {}, [None], {"x": 1}])
