"""Each operation says in the SDL how far its caller must be known (`@needs`), and keeps to it."""

import json
from pathlib import Path
from typing import Any

import pytest
import strawberry
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    Undefined,
    build_schema,
    get_named_type,
)

from core.kernel.callers import RealNameLevel
from gateway.channels import CHANNELS
from gateway.schema.levels import check_levels
from tests.front_end import FrontEnd, World

from .parts import everything

SDL = build_schema((Path(__file__).parents[3] / "schema.graphql").read_text("utf-8"))
ROOTS = {"query": SDL.query_type, "mutation": SDL.mutation_type}
PUBLIC = {
    "channels",
    "channel",
    "viewer",
    "outlets",
    "districts",
    "banks",
    "serviceForm",
    "verifyReceipt",
    "signIn",
}
COUNTED = {"verifyReceipt"}
"""Public ones of which an address may try only so many."""


def needed(field: GraphQLField) -> str | None:
    """The level at the field; None where it needs no session."""
    assert field.ast_node is not None
    for directive in field.ast_node.directives or ():
        if directive.name.value == "needs":
            assert directive.arguments
            return str(directive.arguments[0].value.to_dict()["value"])
    return None


def fields_of(root: GraphQLObjectType | None) -> dict[str, GraphQLField]:
    assert root is not None
    return root.fields


OPERATIONS = [
    pytest.param(kind, name, field, id=f"{kind}-{name}")
    for kind, root in ROOTS.items()
    for name, field in fields_of(root).items()
]


def written(kind: Any) -> str:
    """Some value of an input type, as a literal."""
    if isinstance(kind, GraphQLNonNull):
        return written(kind.of_type)
    if isinstance(kind, GraphQLList):
        return f"[{written(kind.of_type)}]"
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        return "{" + ", ".join(_arguments(kind.fields)) + "}"
    return {"Int": "1", "Boolean": "true", "Upload": "$file"}.get(kind.name, '"1"')


def _arguments(given: Any) -> list[str]:
    return [
        f"{name}: {written(each.type)}"
        for name, each in given.items()
        if isinstance(each.type, GraphQLNonNull) and each.default_value in (None, Undefined)
    ]


def document(kind: str, name: str, field: GraphQLField) -> str:
    arguments = ", ".join(_arguments(field.args))
    answer = get_named_type(field.type)
    asked = "" if not isinstance(answer, GraphQLObjectType | GraphQLUnionType) else "{ __typename }"
    if isinstance(answer, GraphQLUnionType):
        asked = "{ ... on Refusal { code } }"
    variable = "($file: Upload!)" if "$file" in arguments else ""
    call = f"{name}({arguments})" if arguments else name
    return f"{kind}{variable} {{ {call} {asked} }}"


async def answered(citizen: FrontEnd, kind: str, name: str, field: GraphQLField) -> str | None:
    """The refusal's code or the error's; None for a success."""
    query = document(kind, name, field)
    if "$file" in query:
        reply = (await _upload(citizen, query)).json()
    else:
        reply = (await citizen.post(query)).json()
    if reply.get("errors"):
        return str(reply["errors"][0]["extensions"]["code"])
    answer = reply["data"][name]
    return answer.get("code") if isinstance(answer, dict) else None


async def _upload(citizen: FrontEnd, query: str) -> Any:
    return await citizen._http.post(
        "/graphql",
        data={
            "operations": json.dumps({"query": query, "variables": {"file": None}}),
            "map": '{"0": ["variables.file"]}',
        },
        files={"0": ("picture", b"no picture", "image/jpeg")},
        headers=citizen.headers | {"GraphQL-Preflight": "1"},
    )


def test_every_operation_but_the_public_ones_says_what_it_needs() -> None:
    silent = {
        name
        for root in ROOTS.values()
        for name, field in fields_of(root).items()
        if not needed(field)
    }

    assert silent == PUBLIC
    assert all(needed(field) for field in fields_of(SDL.subscription_type).values())


@pytest.mark.parametrize(("kind", "name", "field"), OPERATIONS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_keeps_to_what_it_says(
    world: World, kind: str, name: str, field: GraphQLField
) -> None:
    unbound = world.front_end("active", "WECHAT")
    await unbound.sign_in()
    before = await everything(world)
    if name in COUNTED:
        before.pop("quotas")

    without = await answered(world.front_end("active"), kind, name, field)
    unwritten = await everything(world)
    if name in COUNTED:
        unwritten.pop("quotas")
    within = await answered(unbound, kind, name, field)

    assert (without == "UNAUTHENTICATED") is (needed(field) is not None), without
    assert (within == "NOT_BOUND") is (needed(field) == RealNameLevel.BOUND), within
    assert unwritten == before


@pytest.mark.parametrize("channel", [kind.id.value for kind in CHANNELS])
async def test_a_session_says_at_which_level_it_is(world: World, channel: str) -> None:
    vouched = {kind.id.value: kind.level.value for kind in CHANNELS}[channel]
    citizen = world.front_end("active", channel)
    await citizen.sign_in()
    first = await citizen.ask("{ viewer { level bound } }")
    if vouched == "NONE":
        await citizen.bind(await citizen.code("BIND_CARD"))

    known = await citizen.ask("{ viewer { level bound } }")
    await citizen.sign_in()
    again = await citizen.ask("{ viewer { level bound } }")

    assert first == {"level": vouched, "bound": vouched != "NONE"}
    assert known == again
    assert known == {"level": "BOUND" if vouched == "NONE" else "PLATFORM", "bound": True}


def test_an_operation_that_says_nothing_stops_the_start() -> None:
    @strawberry.type
    class Silent:
        @strawberry.field
        def somebodys_card(self) -> str:
            return ""

    with pytest.raises(TypeError, match="somebodys_card needs @needs"):
        check_levels(Silent)
