"""A schema of graphql-core's own, without strawberry: resolvers, types told apart in every way."""

import zlib
from typing import Any

from graphql import (
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_list_type,
    is_non_null_type,
)
from graphql.type import GraphQLInterfaceType, GraphQLUnionType

from tests.compiled.behaviour import behave, many

SDL = """
enum Kind { FUR FEATHER SCALE }
input Filter { kind: Kind = FUR, ages: [Int!] = [1, 2], not: Filter, name: String! = "x" }
interface Animal { id: ID! name(upper: Boolean = false): String friend: Animal }
type Cat implements Animal { id: ID! name(upper: Boolean = false): String friend: Animal lives: Int! kittens: [Cat!]! }
type Bird implements Animal { id: ID! name(upper: Boolean = false): String friend: Animal wing: Float nest: Nest! }
type Nest { eggs: [[Int]!] owner: Bird! other: Nest odd: Boolean! }
union Found = Cat | Bird | Nest
type Query {
  animal(id: ID!): Animal!
  animals(filter: Filter, first: Int! = 2): [Animal!]
  found(words: [String]): [Found]!
  one: Found
  nest: Nest
  kinds: [Kind!]!
  echo(filter: Filter!, n: Int, f: Float, b: Boolean, s: String, k: Kind, l: [[Int]]): String!
}
type Mutation { feed(id: ID!): Cat pet(times: Int): Int! }
"""


class Animal:
    def __init__(self, seed: str, kind: str) -> None:
        self.seed = seed
        self.kind = kind

    def __repr__(self) -> str:
        return f"<{self.kind}>"


def build_graphql_fixture() -> GraphQLSchema:
    schema = build_schema(SDL)
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                field.resolve = _resolver(name, field.type)
    _tell_apart(schema)
    return schema


def _resolver(name: str, type_: Any) -> Any:
    def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        seed = f"{source.seed}/{name}"
        if name == "echo":
            return behave(seed, lambda: repr(arguments))
        return behave(f"{seed}{arguments}", lambda: _value(seed, type_))

    return resolve


def _value(seed: str, type_: Any) -> Any:
    if is_non_null_type(type_):
        return _value(seed, type_.of_type)
    if is_list_type(type_):
        return many(seed, lambda item: _value(item, type_.of_type))
    roll = zlib.crc32(f"value {seed}".encode())
    match get_named_type(type_).name:
        case "Int":
            return (1, "2", 2.0, 2.5, True)[roll % 5]
        case "Float":
            return (1, "2.5", float("nan"))[roll % 3]
        case "Boolean":
            return (True, 1, "no")[roll % 3]
        case "String" | "ID":
            return ("word", 5, True, [])[roll % 4]
        case "Kind":
            return ("FUR", "SCALE", "HAIR")[roll % 3]
        case "Animal" | "Found":
            return Animal(seed, ("Cat", "Bird", "Nest", "Dog")[roll % 4])
        case name:
            return Animal(seed, name)


def _tell_apart(schema: GraphQLSchema) -> None:
    """Some by name, some by `is_type_of`, some only after a while."""

    async def late(value: Any) -> Any:
        return value

    def resolve_type(value: Any, _info: Any, _type: Any) -> Any:
        seed = getattr(value, "seed", "?")
        kind = getattr(value, "kind", None)
        match zlib.crc32(f"type {seed}".encode()) % 8:
            case 0:
                return late(kind)
            case 1:
                return late(None)
            case 2:
                return 5
            case 3:
                raise ValueError(f"untold {seed}")
            case 4:
                return "Kind"
            case _:
                return kind

    found = schema.type_map["Found"]
    assert isinstance(found, GraphQLUnionType)
    found.resolve_type = resolve_type
    animal = schema.type_map["Animal"]
    assert isinstance(animal, GraphQLInterfaceType)
    for name in ("Cat", "Bird"):
        type_ = schema.type_map[name]
        assert isinstance(type_, GraphQLObjectType)

        def is_type_of(value: Any, _info: Any, name: str = name) -> Any:
            verdict = getattr(value, "kind", None) == name
            return late(verdict) if zlib.crc32(f"is {value!r}".encode()) % 2 else verdict

        type_.is_type_of = is_type_of
