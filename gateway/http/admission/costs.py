"""The cost of an operation in points, which is reported to clients and charged to their budgets.

An object costs one point, a scalar none; fields inside a list are multiplied by its expected
length. The root fields below cost more, because they call a partner, write, or process a
picture. The cost follows from document and schema, before execution.
"""

from collections.abc import Mapping

from graphql import (
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLSchema,
    get_named_type,
    is_composite_type,
)

MAX_COST = 1_000

OBJECT_COST = 1
MUTATION_COST = 10
INTROSPECTION_COST = 100
NEW_KILOBYTE_COST = 10
"""Parsing and validating a new document takes about a millisecond per kilobyte."""

ROOT_COSTS: Mapping[str, int] = {
    "Query.insurances": 20,
    "Query.applicationForm": 20,
    "Mutation.signIn": 20,
    "Mutation.bindCard": 20,
    "Mutation.sendVerificationCode": 30,
    "Mutation.uploadPortrait": 100,
    "Mutation.uploadIdDocument": 100,
    "Mutation.changePassword": 40,
    "Mutation.activateCard": 40,
    "Subscription.productionProgress": 20,
}
"""A picture takes about 100 ms of a worker process, a password hash 22 ms."""

LIST_SIZES: Mapping[str, int] = {
    "Query.channels": 3,
    "Channel.entrySteps": 4,
    "Viewer.services": 10,
    "Query.outlets": 30,
    "Query.districts": 25,
    "Query.banks": 10,
    "ProductionProgress.nodes": 6,
    "Insurances.items": 5,
    "PortraitPreview.checks": 10,
    "Refusal.problems": 5,
    "ApplicationForm.fields": 19,
    "ServiceForm.sections": 2,
    "FormSection.fields": 8,
    "FormField.options": 10,
    "FieldButton.arguments": 1,
    "OptionsQuery.arguments": 2,
    "PictureUpload.formats": 4,
    "Query.sessions": 3,
}
DEFAULT_LIST_SIZE = 10


def field_cost(schema: GraphQLSchema, parent: GraphQLNamedType, name: str) -> int:
    coordinate = f"{parent.name}.{name}"
    if coordinate in ROOT_COSTS:
        return ROOT_COSTS[coordinate]
    if parent is schema.mutation_type:
        return MUTATION_COST
    if name in ("__schema", "__type"):
        return INTROSPECTION_COST
    if parent.name.startswith("__"):
        return 0
    kind = field_type(parent, name)
    return OBJECT_COST if kind is not None and is_composite_type(get_named_type(kind)) else 0


def list_size(parent: GraphQLNamedType, name: str) -> int:
    """The factor for the cost of the selections of a field: the expected length of a list."""
    kind = field_type(parent, name)
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    if not isinstance(kind, GraphQLList) or parent.name.startswith("__"):
        return 1
    return LIST_SIZES.get(f"{parent.name}.{name}", DEFAULT_LIST_SIZE)


def field_type(parent: GraphQLNamedType, name: str) -> GraphQLOutputType | None:
    field = getattr(parent, "fields", {}).get(name)
    return None if field is None else field.type
