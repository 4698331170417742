"""Lints the published schema, and compares it with the last released one. `make check` runs it.

The lint's rules are those of graphql-eslint's `schema-recommended` that graphql-core does not
hold by itself: naming, descriptions, no field that repeats its type's name, no type that
nothing leads to, and deprecations that give a reason and the day after which they may go.

A change that breaks clients fails until it is recorded in `docs/schema/breaking-changes.md`,
in words that client developers read: one line a change, with its day and the way out.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from graphql import (
    BreakingChange,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    find_breaking_changes,
    get_named_type,
    is_introspection_type,
    is_specified_scalar_type,
    validate_schema,
)

ROOT = Path(__file__).parents[2]
CURRENT = ROOT / "schema.graphql"
RELEASED = ROOT / "docs" / "schema" / "released.graphql"
RECORD = ROOT / "docs" / "schema" / "breaking-changes.md"

_TYPE_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
_FIELD_NAME = re.compile(r"[a-z][A-Za-z0-9]*")
_VALUE_NAME = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_DAY = re.compile(r"\b20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\b")
_NOT_OURS = {"DateTime", "Upload"}


def lint(schema: GraphQLSchema) -> Iterator[str]:
    """Every finding as `coordinate: what is wrong`."""
    for error in validate_schema(schema):
        yield f"schema: {error.message}"
    reached = _reachable(schema)
    for name, kind in schema.type_map.items():
        if is_introspection_type(kind) or is_specified_scalar_type(kind) or name in _NOT_OURS:
            continue
        if not _TYPE_NAME.fullmatch(name):
            yield f"{name}: a type's name is PascalCase"
        if name not in reached:
            yield f"{name}: nothing leads to this type"
        yield from _described(name, kind.description)
        yield from _members(name, kind)


def unrecorded(old: GraphQLSchema, new: GraphQLSchema, record: str) -> list[BreakingChange]:
    """Changes that break clients of the old schema, without a line in the record."""
    return [
        change for change in find_breaking_changes(old, new) if change.description not in record
    ]


def _members(name: str, kind: GraphQLNamedType) -> Iterator[str]:
    if isinstance(kind, GraphQLEnumType):
        for value, definition in kind.values.items():
            if not _VALUE_NAME.fullmatch(value):
                yield f"{name}.{value}: an enum value's name is UPPER_CASE"
            yield from _described(f"{name}.{value}", definition.description)
            yield from _deprecated(f"{name}.{value}", definition.deprecation_reason)
        return
    is_input = isinstance(kind, GraphQLInputObjectType)
    if is_input and not name.endswith("Input"):
        yield f"{name}: an input type's name ends in Input"
    for field_name, field in getattr(kind, "fields", {}).items():
        yield from _member(name, field_name, field)


def _member(
    parent: str, name: str, member: GraphQLField | GraphQLInputField | GraphQLArgument
) -> Iterator[str]:
    coordinate = f"{parent}.{name}"
    if not _FIELD_NAME.fullmatch(name):
        yield f"{coordinate}: a field's name is camelCase"
    if name.lower().startswith(parent.lower()):
        yield f"{coordinate}: the name repeats its type's"
    yield from _described(coordinate, member.description)
    yield from _deprecated(coordinate, member.deprecation_reason)
    for argument_name, argument in getattr(member, "args", {}).items():
        yield from _member(coordinate, argument_name, argument)


def _described(coordinate: str, description: str | None) -> Iterator[str]:
    if not (description or "").strip():
        yield f"{coordinate}: a description is missing"


def _deprecated(coordinate: str, reason: str | None) -> Iterator[str]:
    if reason is None:
        return
    words = _DAY.sub("", reason).strip()
    if len(words) < 10 or words == "No longer supported":
        yield f"{coordinate}: a deprecation says why, and what to use instead"
    if not _DAY.search(reason):
        yield f"{coordinate}: a deprecation names the day after which it may go (YYYY-MM-DD)"


def _reachable(schema: GraphQLSchema) -> set[str]:
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
    waiting: list[GraphQLNamedType] = [root for root in roots if root is not None]
    found: set[str] = set()
    while waiting:
        kind = waiting.pop()
        if kind.name in found:
            continue
        found.add(kind.name)
        if isinstance(kind, GraphQLUnionType):
            waiting.extend(kind.types)
        for field in getattr(kind, "fields", {}).values():
            waiting.append(get_named_type(field.type))
            waiting.extend(
                get_named_type(given.type) for given in getattr(field, "args", {}).values()
            )
        waiting.extend(getattr(kind, "interfaces", ()))
    return found


def main() -> None:
    current = build_schema(CURRENT.read_text("utf-8"))
    released = build_schema(RELEASED.read_text("utf-8"))
    findings = list(lint(current))
    broken = unrecorded(released, current, RECORD.read_text("utf-8"))
    for finding in findings:
        print(f"schema.graphql: {finding}", file=sys.stderr)
    for change in broken:
        print(f"breaks clients: {change.description}", file=sys.stderr)
    if broken:
        where = RECORD.relative_to(ROOT)
        print(f"Undo it, or record it word for word in {where}, with the day.", file=sys.stderr)
    raise SystemExit(bool(findings or broken))


if __name__ == "__main__":
    main()
