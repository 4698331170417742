"""Builds the completer of a field from its type.

Equivalent to graphql-core's `complete_value`, with all decisions made at compile time.
"""

from typing import Any

from graphql import (
    GraphQLOutputType,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)

from gateway.compiled.completers import CompleteFn, Completer
from gateway.compiled.fields import Field
from gateway.compiled.leaves import complete_leaf, direct_leaf, exact_class, member_names
from gateway.compiled.lists import complete_list
from gateway.compiled.objects import SelectionOf, complete_abstract, complete_object
from gateway.compiled.runs import Path, Run


def completer_for(field: Field, type_: GraphQLOutputType, selection_of: SelectionOf) -> Completer:
    if is_non_null_type(type_):
        inner = completer_for(field, type_.of_type, selection_of)
        return Completer(
            inner.nodes,
            never_null(field, inner.complete),
            non_null=True,
            exact=inner.exact,
            direct=inner.direct,
            names=inner.names,
        )
    if is_list_type(type_):
        complete = complete_list(field, completer_for(field, type_.of_type, selection_of))
        return Completer(
            field.nodes,
            complete,
            non_null=False,
            direct={list: complete, tuple: complete},
            names={},
        )
    if is_leaf_type(type_):
        complete = complete_leaf(type_)
        return Completer(
            field.nodes,
            complete,
            non_null=False,
            exact=exact_class(type_),
            direct=direct_leaf(type_, complete),
            names=member_names(type_),
        )
    direct: dict[type, CompleteFn] = {}
    if is_abstract_type(type_):
        complete = complete_abstract(field, type_, selection_of, direct)
    else:
        assert is_object_type(type_)
        complete = complete_object(field, type_, selection_of, direct)
    return Completer(field.nodes, complete, non_null=False, direct=direct, names={})


def never_null(field: Field, complete: CompleteFn) -> CompleteFn:
    def complete_non_null(run: Run, value: Any, path: Path) -> Any:
        done = complete(run, value, path)
        if done is None:
            raise TypeError(
                "Cannot return null for non-nullable field"
                f" {field.parent_type}.{field.nodes[0].name.value}."
            )
        return done

    return complete_non_null
