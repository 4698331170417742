"""The cases by which graphql-core tests its own execution, restated for plans.

Each is asked of the plan and of graphql-core; the expected answer is written out as well, so
that both cannot be wrong together.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import FunctionType
from typing import Any

import pytest
from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    execute,
    parse,
)
from graphql.execution.incremental.incremental_executor import IncrementalExecutor

from gateway.compiled import COERCION, MAX_VARIANTS, Plans, make_plan


async def answer(
    schema: GraphQLSchema | str,
    document: str,
    root: Any = None,
    variables: dict[str, Any] | None = None,
    context: Any = None,
) -> ExecutionResult:
    """What the plan answers; graphql-core must answer the same."""
    if isinstance(schema, str):
        schema = build_schema(schema)
    parsed = parse(document)
    plan = make_plan(schema, parsed, None, IncrementalExecutor)
    assert plan is not None, "no plan covers the document"
    expected = execute(schema, parsed, fresh(root), context, variables, **COERCION)
    got = plan.execute(fresh(root), context, variables)
    expected = await expected if asyncio.iscoroutine(expected) else expected
    got = await got if asyncio.iscoroutine(got) else got
    assert isinstance(got, ExecutionResult)
    assert isinstance(expected, ExecutionResult)
    assert got.formatted == expected.formatted
    assert list(keys(got.data)) == list(keys(expected.data))
    return got


def fresh(root: Any) -> Any:
    return root() if isinstance(root, type | FunctionType) else root


def keys(data: Any) -> Any:
    """All keys in order: dicts compare equal in any order."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield key
            yield from keys(value)
    elif isinstance(data, list):
        for item in data:
            yield from keys(item)


def errors(result: ExecutionResult) -> list[tuple[str, Any]]:
    return [(error.message, error.path) for error in result.errors or ()]


async def value(given: Any, ticks: int = 0) -> Any:
    for _ in range(ticks):
        await asyncio.sleep(0)
    if isinstance(given, Exception):
        raise given
    return given


# --- values and arguments ------------------------------------------------------------------


async def test_answers_every_kind_of_field() -> None:
    schema = """
        type Query { a: String b: Int! c: Float d: Boolean e: ID deep: Deep list: [Int] none: Int }
        type Deep { a: String deeper: [Deep!]! }
    """

    def root() -> Any:
        return {
            "a": "Apple",
            "b": lambda _info: 3,
            "c": 1.5,
            "d": True,
            "e": 7,
            "deep": {"a": None, "deeper": [{"a": "x", "deeper": ()}]},
            "list": (1, None, 2),
        }

    result = await answer(
        schema,
        "{ a b x: c d e list none deep { a deeper { a deeper { a } } } __typename }",
        root,
    )

    assert result.errors is None
    assert result.data == {
        "a": "Apple",
        "b": 3,
        "x": 1.5,
        "d": True,
        "e": "7",
        "list": [1, None, 2],
        "none": None,
        "deep": {"a": None, "deeper": [{"a": "x", "deeper": []}]},
        "__typename": "Query",
    }


ECHO = """
    enum Colour { RED BLUE }
    input Inner { n: Int = 5, colour: Colour }
    input Outer { name: String!, inner: Inner, list: [[Int!]] }
    type Query { echo(o: Outer, n: Int = 7, c: Colour = RED, l: [String!], s: String): String! }
"""


def echo() -> Any:
    return {"echo": lambda _info, **arguments: repr(arguments)}


@pytest.mark.parametrize(
    ("document", "variables", "expected"),
    [
        ("{ echo }", None, "{'n': 7, 'c': 'RED'}"),
        ("{ echo(n: null, s: null) }", None, "{'n': None, 'c': 'RED', 's': None}"),
        ('{ echo(l: "one") }', None, "{'n': 7, 'c': 'RED', 'l': ['one']}"),
        (
            '{ echo(o: {name: "a", inner: {}, list: [[1], 2]}) }',
            None,
            "{'o': {'name': 'a', 'inner': {'n': 5}, 'list': [[1], [2]]}, 'n': 7, 'c': 'RED'}",
        ),
        ("query($n: Int) { echo(n: $n) }", {"n": 3}, "{'n': 3, 'c': 'RED'}"),
        ("query($n: Int) { echo(n: $n) }", {}, "{'n': 7, 'c': 'RED'}"),
        ("query($n: Int) { echo(n: $n) }", {"n": None}, "{'n': None, 'c': 'RED'}"),
        ("query($n: Int = 9) { echo(n: $n) }", {}, "{'n': 9, 'c': 'RED'}"),
        ("query($c: Colour) { echo(c: $c) }", {"c": "BLUE"}, "{'n': 7, 'c': 'BLUE'}"),
        (
            "query($i: Inner, $x: String!) { echo(o: {name: $x, inner: $i}, s: $x) }",
            {"i": {"colour": "RED"}, "x": "y"},
            "{'o': {'name': 'y', 'inner': {'n': 5, 'colour': 'RED'}}, 'n': 7, 'c': 'RED', 's': 'y'}",
        ),
        (
            "query($o: Outer) { echo(o: $o) }",
            {"o": {"name": "b", "list": [3, [4]]}},
            "{'o': {'name': 'b', 'list': [[3], [4]]}, 'n': 7, 'c': 'RED'}",
        ),
        ("query($w: [String!]) { echo(l: $w) }", {"w": "a"}, "{'n': 7, 'c': 'RED', 'l': ['a']}"),
    ],
)
async def test_coerces_arguments(document: str, variables: Any, expected: str) -> None:
    result = await answer(ECHO, document, echo, variables)

    assert result.errors is None
    assert result.data == {"echo": expected}


@pytest.mark.parametrize(
    ("document", "variables", "message"),
    [
        (
            "query($n: Int!) { echo(n: $n) }",
            {},
            "Variable '$n' has invalid value: Expected a value of non-null type 'Int!' to be"
            " provided.",
        ),
        (
            "query($o: Outer) { echo(o: $o) }",
            {"o": {"inner": {}}},
            "Variable '$o' has invalid value: Expected value of type 'Outer' to include required"
            " field 'name', found: {'inner': {}}.",
        ),
        (
            "query($c: Colour) { echo(c: $c) }",
            {"c": "WHITE"},
            "Variable '$c' has invalid value: Value 'WHITE' does not exist in 'Colour' enum.",
        ),
    ],
)
async def test_refuses_wrong_variables_before_anything_runs(
    document: str, variables: Any, message: str
) -> None:
    result = await answer(ECHO, document, lambda: {"echo": pytest.fail}, variables)

    assert result.data is None
    assert errors(result) == [(message, None)]


async def test_each_run_gets_its_own_copy_of_a_literal_list() -> None:
    schema = build_schema(ECHO)
    plan = make_plan(schema, parse('{ echo(l: ["a"]) }'), None, IncrementalExecutor)
    assert plan is not None

    def spoil(_info: Any, **arguments: Any) -> str:
        arguments["l"].append("b")
        return repr(arguments["l"])

    for _ in range(2):
        result = plan.execute({"echo": spoil})
        assert isinstance(result, ExecutionResult)
        assert result.data == {"echo": "['a', 'b']"}


# --- selections ----------------------------------------------------------------------------

FRIENDS = "type Query { me: P you: P } type P { name: String age: Int friend: P friends: [P] }"


def people() -> Any:
    me: dict[str, Any] = {"name": "me", "age": 1, "friends": [{"name": "f", "age": 2}]}
    me["friend"] = {"name": "you", "age": 3, "friend": None}
    return {"me": me, "you": me["friend"]}


@pytest.mark.parametrize(
    ("document", "variables", "expected"),
    [
        (
            "{ me { ...A } ...B } fragment A on P { name } fragment B on Query { me { age } }",
            None,
            {"me": {"name": "me", "age": 1}},
        ),
        (
            "{ me { friend { name } friend { age name } x: name } }",
            None,
            {"me": {"friend": {"name": "you", "age": 3}, "x": "me"}},
        ),
        (
            "query($a: Boolean!) { me { ...A @skip(if: $a) age ...A } } fragment A on P { name }",
            {"a": True},
            {"me": {"age": 1, "name": "me"}},
        ),
        (
            "query($a: Boolean!) { me { ...A @skip(if: $a) age ...A } } fragment A on P { name }",
            {"a": False},
            {"me": {"name": "me", "age": 1}},
        ),
        (
            "query($a: Boolean!, $b: Boolean = true) { me { ...F } you { ...F } }"
            " fragment F on P { name @include(if: $a) age @skip(if: $a) ... @include(if: $b) { friend { name } } }",
            {"a": False},
            {"me": {"age": 1, "friend": {"name": "you"}}, "you": {"age": 3, "friend": None}},
        ),
        ("{ me { name @include(if: true) @skip(if: true) age } }", None, {"me": {"age": 1}}),
        ("{ me @skip(if: true) { name } }", None, {}),
        (
            "{ me { ... on P { friends { ... { name } } } ... on Query { you { name } } } }",
            None,
            {"me": {"friends": [{"name": "f"}]}},
        ),
    ],
)
async def test_selects_what_is_asked_in_its_order(
    document: str, variables: Any, expected: Any
) -> None:
    result = await answer(FRIENDS, document, people, variables)

    assert result.errors is None
    assert result.data == expected
    assert list(keys(result.data)) == list(keys(expected))


async def test_a_condition_without_a_value_is_told_by_graphql_core() -> None:
    result = await answer(
        FRIENDS, "query($a: Boolean = true) { me @include(if: $a) { name } }", people, {"a": None}
    )

    assert result.data is None
    assert "has invalid value" in errors(result)[0][0]


async def test_one_document_keeps_a_few_variants_of_its_conditions() -> None:
    names = [f"c{index}" for index in range(6)]
    document = "query({}) {{ me {{ {} }} }}".format(
        ",".join(f"${name}: Boolean!" for name in names),
        " ".join(f"{name}: age @include(if: ${name})" for name in names),
    )
    plan = make_plan(build_schema(FRIENDS), parse(document), None, IncrementalExecutor)
    assert plan is not None

    for number in range(64):
        chosen = {name: bool(number >> index & 1) for index, name in enumerate(names)}
        result = plan.execute(people(), None, chosen)
        assert isinstance(result, ExecutionResult)
        assert result.data == {"me": {name: 1 for name in names if chosen[name]}}
    assert len(plan._variants) <= MAX_VARIANTS


# --- errors and null -----------------------------------------------------------------------

NESTED = """
    type Query { top: N sure: N! list: [N!] lists: [[Int!]!]! }
    type N { ok: String bad: String worse: String! nest: N must: N! many: [N!]! ints: [Int!] }
"""


def broken(name: str) -> Callable[..., Any]:
    def resolve(_info: Any) -> Any:
        raise ValueError(name)

    return resolve


def later(given: Any, ticks: int = 0) -> Callable[..., Any]:
    return lambda _info: value(given, ticks)


async def test_an_error_nulls_the_nearest_that_may_be_null() -> None:
    def root() -> Any:
        return {
            "top": {"ok": "fine", "bad": broken("bad"), "must": {"must": {"worse": broken("w")}}},
        }

    result = await answer(NESTED, "{ top { ok bad } x: top { ok must { must { worse } } } }", root)

    assert result.data == {"top": {"ok": "fine", "bad": None}, "x": None}
    assert errors(result) == [
        ("bad", ["top", "bad"]),
        ("w", ["x", "must", "must", "worse"]),
    ]


async def test_an_error_at_the_root_leaves_no_data() -> None:
    result = await answer(NESTED, "{ top { ok } sure { worse } }", lambda: {"sure": {}})

    assert result.data is None
    assert errors(result) == [
        ("Cannot return null for non-nullable field N.worse.", ["sure", "worse"])
    ]


@pytest.mark.parametrize("swapped", [False, True])
async def test_of_errors_under_one_null_only_the_first_is_told(swapped: bool) -> None:
    """Siblings settle in another order than they are written."""
    first, second = (3, 0) if swapped else (0, 3)

    def root() -> Any:
        return {
            "top": {
                "nest": {
                    "worse": later(ValueError("a"), first),
                    "bad": later(ValueError("b"), second),
                },
                "ok": later("ok", 1),
            }
        }

    result = await answer(NESTED, "{ top { nest { worse bad } ok } }", root)

    assert result.data == {"top": {"nest": None, "ok": "ok"}}
    assert [path for _, path in errors(result)][-1] == ["top", "nest", "worse"]
    assert len(errors(result)) == (2 if swapped else 1)


async def test_items_that_fail_null_their_list_or_themselves() -> None:
    def root() -> Any:
        return {
            "list": [{"ok": "1", "worse": "w"}, {"ok": "2"}],
            "top": {"ints": [1, "x"], "many": []},
            "lists": [[1], [2, None]],
        }

    result = await answer(NESTED, "{ list { worse } top { ints many { ok } } }", root)
    assert result.data == {"list": None, "top": {"ints": None, "many": []}}
    assert [path for _, path in errors(result)] == [["list", 1, "worse"], ["top", "ints", 1]]

    result = await answer(NESTED, "{ lists }", root)
    assert result.data is None
    assert errors(result) == [
        ("Cannot return null for non-nullable field Query.lists.", ["lists", 1, 1])
    ]


@pytest.mark.parametrize(
    ("given", "expected", "failed"),
    [
        ([1, 2], [1, 2], []),
        (lambda: [1, None], [1, None], []),
        (lambda: (number for number in (1, 2)), [1, 2], []),
        (lambda: {1: 2}, None, [["l"]]),
        (lambda: "ab", None, [["l"]]),
        (lambda: [value(1), value(None, 1), 3], [1, None, 3], []),
        (lambda: [value(1), ValueError("x"), value(ValueError("y"), 1)], [1, None, None], [1, 2]),
        (lambda: value([1, value(2)]), [1, 2], []),
        (lambda: value(ValueError("no")), None, [["l"]]),
    ],
)
async def test_lists_in_every_shape(given: Any, expected: Any, failed: list[Any]) -> None:
    def root() -> Any:
        return {"l": given() if callable(given) else given}

    result = await answer("type Query { l: [Int] }", "{ l }", root)

    assert result.data == {"l": expected}
    paths = [path if isinstance(path, list) else ["l", path] for path in failed]
    assert [path for _, path in errors(result)] == paths


@pytest.mark.parametrize("breaks", [False, True])
async def test_an_asynchronous_iterable_is_a_list(breaks: bool) -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(0)
        if breaks:
            raise ValueError("broken off")
        yield 2

    result = await answer("type Query { l: [Int] }", "{ l }", lambda: {"l": lambda _i: numbers()})

    assert result.data == {"l": None if breaks else [1, 2]}
    assert errors(result) == ([("broken off", ["l"])] if breaks else [])


async def test_errors_keep_their_extensions_places_and_cause() -> None:
    cause = GraphQLError("said", extensions={"code": "SAID"})
    result = await answer(
        "type Query { a: Int b: Int }",
        "{\n  a\n  b\n  b }",
        lambda: {"a": later(cause), "b": ZeroDivisionError("returned")},
    )

    assert [error.formatted for error in result.errors or ()] == [
        {
            "message": "returned",
            "locations": [{"line": 3, "column": 3}, {"line": 4, "column": 3}],
            "path": ["b"],
        },
        {
            "message": "said",
            "locations": [{"line": 2, "column": 3}],
            "path": ["a"],
            "extensions": {"code": "SAID"},
        },
    ]
    assert isinstance((result.errors or [])[0].original_error, ZeroDivisionError)


# --- what is awaited -----------------------------------------------------------------------


async def test_siblings_run_together() -> None:
    """Each waits until the other has begun: one after another they would wait for ever."""

    def root() -> Any:
        begun = asyncio.Barrier(2)

        async def meet(_info: Any) -> str:
            await begun.wait()
            return "met"

        return {"a": meet, "b": meet}

    result = await asyncio.wait_for(
        answer("type Query { a: String b: String }", "{ a b }", root), timeout=5
    )

    assert result.data == {"a": "met", "b": "met"}


async def test_mutations_run_in_order() -> None:
    schema = "type Query { x: Int } type Mutation { set(n: Int, wait: Int = 0): N } type N { n: Int all: [Int] }"
    document = "mutation { a: set(n: 1, wait: 3) { n all } b: set(n: 2) { n all } c: set(n: 3, wait: 1) { all } }"

    def root() -> Any:
        done: list[int] = []

        async def slowly(n: int, wait: int) -> Any:
            for _ in range(wait):
                await asyncio.sleep(0)
            done.append(n)
            return {"n": n, "all": list(done)}

        return {"set": lambda _info, n, wait: slowly(n, wait)}

    result = await answer(schema, document, root)

    assert result.data == {
        "a": {"n": 1, "all": [1]},
        "b": {"n": 2, "all": [1, 2]},
        "c": {"all": [1, 2, 3]},
    }


async def test_a_mutation_that_must_not_fail_stops_those_after_it() -> None:
    ran: list[str] = []

    def root() -> Any:
        def note(name: str, given: Any) -> Any:
            def resolve(_info: Any) -> Any:
                ran.append(name)
                return given

            return resolve

        return {"a": note("a", 1), "b": note("b", value(None)), "c": note("c", 3)}

    schema = "type Query { x: Int } type Mutation { a: Int! b: Int! c: Int! }"
    result = await answer(schema, "mutation { a b c }", root)

    assert result.data is None
    assert ran == ["a", "b", "a", "b"]  # by graphql-core, and by the plan


async def test_a_plain_resolver_may_return_something_to_be_awaited() -> None:
    def root() -> Any:
        future = asyncio.get_running_loop().create_future()
        future.set_result("of a future")
        return {"top": later({"ok": lambda _info: future, "nest": later({"ok": "deep"}, 2)})}

    result = await answer(NESTED, "{ top { ok nest { ok } } }", root)

    assert result.data == {"top": {"ok": "of a future", "nest": {"ok": "deep"}}}


async def test_nothing_is_awaited_where_nothing_has_to_be() -> None:
    plan = make_plan(build_schema(FRIENDS), parse("{ me { name } }"), None, IncrementalExecutor)
    assert plan is not None

    assert isinstance(plan.execute(people()), ExecutionResult)


# --- unions and interfaces -----------------------------------------------------------------

PETS = """
    interface Named { name: String }
    type Dog implements Named { name: String barks: Boolean }
    type Cat implements Named { name: String meows: Boolean }
    union Pet = Dog | Cat
    type Query { pets: [Pet] named: Named one: Pet }
"""
ASK = "{ pets { __typename ... on Dog { barks } ... on Named { name } ... on Cat { meows } } named { name } }"


def pets() -> Any:
    return {
        "pets": [
            {"__typename": "Dog", "name": "Rex", "barks": True},
            {"__typename": "Cat", "name": "Tom", "meows": False},
        ],
        "named": {"__typename": "Cat", "name": "Kit"},
    }


def with_rules(tell: Callable[[Any], Any]) -> GraphQLSchema:
    schema = build_schema(PETS)
    for name in ("Dog", "Cat"):
        type_ = schema.type_map[name]
        assert isinstance(type_, GraphQLObjectType)
        type_.is_type_of = lambda given, _info, name=name: tell(given["__typename"] == name)
    return schema


@pytest.mark.parametrize(
    "schema", [build_schema(PETS), with_rules(lambda verdict: verdict), with_rules(value)]
)
async def test_tells_types_apart(schema: GraphQLSchema) -> None:
    result = await answer(schema, ASK, pets)

    assert result.errors is None
    assert result.data == {
        "pets": [
            {"__typename": "Dog", "barks": True, "name": "Rex"},
            {"__typename": "Cat", "name": "Tom", "meows": False},
        ],
        "named": {"name": "Kit"},
    }


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (None, "Abstract type 'Pet' must resolve to an Object type at runtime"),
        (7, "received '7', which is not a valid Object type name"),
        ("Fish", "was resolved to a type 'Fish' that does not exist"),
        ("Named", "was resolved to a non-object type 'Named'"),
        ("Query", "Runtime Object type 'Query' is not a possible type for 'Pet'"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
async def test_refuses_a_type_that_cannot_be(told: Any, message: str, late: bool) -> None:
    schema = build_schema(PETS)
    pet = schema.type_map["Pet"]
    assert isinstance(pet, GraphQLUnionType)
    pet.resolve_type = lambda *_: value(told) if late else told

    result = await answer(schema, "{ one { __typename } }", lambda: {"one": {}})

    assert result.data == {"one": None}
    assert message in errors(result)[0][0]


async def test_a_value_that_is_not_of_its_type_is_an_error() -> None:
    schema = build_schema("type Query { a: A } type A { n: Int }")
    type_ = schema.type_map["A"]
    assert isinstance(type_, GraphQLObjectType)
    type_.is_type_of = lambda given, _info: given == "right"

    result = await answer(schema, "{ a { n } }", lambda: {"a": "wrong"})

    assert errors(result) == [("Expected value of type 'A' but got: 'wrong'.", ["a"])]


# --- what is left to graphql-core ----------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        "{ __schema { queryType { name } } }",
        '{ ...F } fragment F on Query { __type(name: "P") { name } }',
        "subscription { tick }",
        "mutation { absent }",
        "query A { me { name } } query B { me { name } }",
        "fragment F on Query { me { name } }",
        "query @experimental_disableErrorPropagation { me { name } }",
    ],
)
def test_is_left_to_graphql_core(document: str) -> None:
    schema = build_schema(f"{FRIENDS} type Subscription {{ tick: Int }}")

    assert make_plan(schema, parse(document), None, IncrementalExecutor) is None


def test_incremental_delivery_is_left_to_graphql_core() -> None:
    document = "{ me { ... @defer { name } } }"

    assert make_plan(build_schema(FRIENDS), parse(document), None, IncrementalExecutor) is None


def test_runs_each_operation_of_a_document_by_its_name() -> None:
    schema = build_schema(FRIENDS)
    plans = Plans(schema)
    document = parse("query A { me { name } } query B { me { age } }")

    by_name = [
        plans.execute(schema, document, people(), operation_name=n) for n in ("A", "B", None)
    ]

    assert [result.data for result in by_name if isinstance(result, ExecutionResult)] == [
        {"me": {"name": "me"}},
        {"me": {"age": 1}},
        None,
    ]


def test_keeps_a_plan_as_long_as_its_document() -> None:
    schema = build_schema(FRIENDS)
    plans = Plans(schema)
    document, other = (parse("{ me { name } }", no_location=True) for _ in range(2))

    made = plans.plan(document, None, IncrementalExecutor)

    assert plans.plan(document, None, IncrementalExecutor) is made
    assert plans.plan(other, None, IncrementalExecutor) is not made
    assert len(plans) == 2
    del document
    assert len(plans) == 1
    del other
    assert len(plans) == 0


def test_options_that_plans_do_not_know_go_to_graphql_core() -> None:
    schema = build_schema(FRIENDS)

    result = Plans(schema).execute(
        schema, parse("{ me { name } }"), people(), field_resolver=lambda *_, **__: None
    )

    assert isinstance(result, ExecutionResult)
    assert result.data == {"me": None}
