"""Documents that would cost too much are refused quickly, and honest ones are not."""

import time

import pytest
from graphql import GraphQLSchema, get_introspection_query, parse, validate
from starlette.applications import Starlette

from core.kernel.card_services import CardService
from gateway.http.admission import Prepared, PreparedDocuments
from gateway.http.admission.prepared import MAX_ERRORS
from gateway.schema import build_schema
from tests.front_end import FrontEnd, World
from tests.sockets import socket


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No statement differs here: one engine is enough."""
    return sqlite_url


MAX_SECONDS = 0.050
FIELDS = "viewer { name } "


def doubling(levels: int, last: str = FIELDS) -> str:
    """Each fragment spreads the next one twice."""
    chain = (f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(levels))
    return "{ ...f0 } " + " ".join(chain) + f" fragment f{levels} on Query {{ {last} }}"


def circle(size: int) -> str:
    """Each fragment spreads all others."""
    spreads = {n: " ".join(f"...f{m}" for m in range(size) if m != n) for n in range(size)}
    return "mutation { ...f0 } " + " ".join(
        f"fragment f{n} on Mutation {{ {spread} }}" for n, spread in spreads.items()
    )


def doubling_to_the_limit() -> str:
    """As many doublings as the limits let pass, filled up with what is still allowed."""
    levels = "".join(f"fragment f{n} on Viewer {{ ...f{n + 1} ...f{n + 1} }} " for n in range(3))
    last = "fragment f3 on Viewer { " + " ".join(f"a{n}: name" for n in range(3)) + " bound phone }"
    return f"{{ viewer {{ ...f0 }} }} {levels}{last}"


def everything_allowed() -> str:
    """Passes every limit by a little: what is then validated in full, pair by pair."""
    part = (
        "bound name phone channel socialSecurityNumber card { name cardNumber }"
        " services { service title available reason { code message field } }"
    )
    fragments = "".join(f"fragment p{n} on Viewer {{ {part} }} " for n in range(9))
    spreads = " ".join(f"...p{n}" for n in range(9))
    more = " ".join(
        f"a{n}: channel(id: WECHAT) {{ name entrySteps {{ title }} }}" for n in range(25)
    )
    return f"{{ viewer {{ {spreads} }} {more} }} {fragments}"


def numbered(text: str, count: int) -> str:
    """The text again and again, each time with another number."""
    return " ".join(text.replace("#", str(number)) for number in range(count))


SAVED = "mutation { a: saveApplicationDraft(input: { % }) { __typename } }"
SLOW_TO_VALIDATE = {
    "unknown input fields": SAVED.replace("%", numbered("districtCod#: 1", 640)),
    "the same input field": SAVED.replace("%", "districtCode: 1 " * 600),
    "unknown arguments": f"{{ outlets({numbered('districtCod#: 1', 600)}) {{ code }} }}",
    "the same argument": f"{{ outlets({'districtCode: 1 ' * 600}) {{ code }} }}",
    "unknown enum values": f"{{ channels {numbered('a#: channel(id: WECHA#) { id }', 300)} }}",
    "a list of unknown enum values": f"{{ channel(id: [{numbered('WECHA#', 1_200)}]) {{ id }} }}",
    "unknown types of variables": f"query({numbered('$a#: Strin', 640)}) {{ {FIELDS} }}",
    "the same variable": f"query({'$a: Int ' * 480}) {{ {FIELDS} }}",
    "unknown types of fragments": "{ " + numbered("... on Viewe# { name }", 330) + " }",
    "unknown directives": f"{{ viewer {numbered('@ski#', 950)} {{ name }} }}",
    "arguments of a directive": f"{{ viewer @skip({numbered('i#: true', 600)}) {{ name }} }}",
    "defaults of variables": f"query($a: ApplicationDraftInput = {{ {numbered('a#: 1', 640)} }}) {{ {FIELDS} }}",
    "types of the schema language": numbered("type Viewe# { name: Strin }", 280),
}

EXPENSIVE = SLOW_TO_VALIDATE | {
    "everything allowed": everything_allowed(),
    "deep fields": "{ a" * 1_400 + " }" * 1_400,
    "deep known fields": "{ __schema { types "
    + "{ fields { type " * 30
    + "{ name }"
    + " } }" * 30
    + " } }",
    "deep lists": f"{{ outlets(districtCode: {'[' * 2_900}) }}",
    "deep objects": f"mutation {{ signIn(input: {'{a:' * 900} 1) }}",
    "deep types": f"query($a: {'[' * 1_400}Int{']' * 1_400}) {{ {FIELDS} }}",
    "deep inline fragments": "{" + "... {" * 900 + FIELDS + "}" * 900 + "}",
    "wide": "{" + FIELDS * 600 + "}",
    "wide names": "{" + "__typename " * 900 + "}",
    "wide inline fragments": "{" + f"... {{ {FIELDS} }}" * 400 + "}",
    "wide fragments": "{"
    + "".join(f"...f{n} " for n in range(200))
    + "}"
    + "".join(f"fragment f{n} on Query {{ {FIELDS} }}" for n in range(200)),
    "aliases": "{" + " ".join(f"a{n}: viewer {{ name }}" for n in range(200)) + "}",
    "directives": "{ viewer " + "@skip(if: false) " * 200 + "{ name } }",
    "doubling fragments": doubling(20),
    "doubling fragments longer": doubling(60),
    "doubling fragments within the limits": doubling_to_the_limit(),
    "fragments in a circle": circle(10),
    "a chain of fragments": "{ ...f0 }"
    + "".join(f"fragment f{n} on Query {{ {FIELDS} ...f{n + 1} }}" for n in range(200))
    + "fragment f200 on Query { viewer { name } }",
    "unused fragments": f"{{ {FIELDS} }}"
    + "".join(f"fragment f{n} on Query {{ {FIELDS * 10} }}" for n in range(40)),
    "many operations": " ".join(f"query q{n} {{ {FIELDS} }}" for n in range(400)),
    "many arguments": "{ outlets(" + " ".join(f"a{n}: 1" for n in range(900)) + ") { code } }",
    "many variables": "query(" + " ".join(f"$a{n}: Int" for n in range(700)) + f") {{ {FIELDS} }}",
    "many tokens": "{" + "a " * 5_000 + "}",
    "a long name": "{ " + "a" * 10_000 + " }",
    "a long string": '{ outlets(districtCode: "' + "1" * 10_000 + '") { code } }',
    "a long comment": "{ viewer { name } } #" + "x" * 10_000,
    "many block strings": "{ outlets(districtCode: " + '"""' + "\n " * 4_000 + '""") { code } }',
}


@pytest.mark.parametrize("name", EXPENSIVE)
async def test_a_document_of_ten_kilobytes_costs_little(world: World, name: str) -> None:
    document = EXPENSIVE[name][:10_500]
    await world.http.post("/graphql", json={"query": FIELDS})
    spent = []

    for n in range(3):
        # Another text each time: one that is known already costs nothing.
        unseen = f"#{n}\n{document}"
        begin = time.thread_time()
        response = await world.http.post("/graphql", json={"query": unseen})
        spent.append(time.thread_time() - begin)

    assert response.status_code == 200
    assert min(spent) <= MAX_SECONDS, f"{min(spent) * 1000:.0f} ms: {response.text[:200]}"


def test_without_judging_first_it_would_cost_much() -> None:
    """The control: graphql-core compares fields of one name pair by pair."""
    schema = build_schema()._schema
    document = parse("{" + FIELDS * 300 + "}")

    begin = time.thread_time()
    validate(schema, document)

    assert time.thread_time() - begin > MAX_SECONDS


@pytest.mark.parametrize(
    "name", ["unknown input fields", "defaults of variables", "unknown types of fragments"]
)
def test_without_counting_what_is_wrong_it_would_cost_much(name: str) -> None:
    """The control: every wrong node gets an error, with suggestions."""
    schema = build_schema()._schema
    document = parse(EXPENSIVE[name])

    begin = time.thread_time()
    validate(schema, document)

    assert time.thread_time() - begin > MAX_SECONDS


@pytest.mark.parametrize(
    ("document", "limit"),
    [
        (f"{{ outlets({numbered('a#: 1', 201)}) {{ code }} }}", "arguments"),
        (SAVED.replace("%", numbered("a#: 1", 101)), "input fields"),
        (f"{{ outlets(districtCode: [{'1 ' * 400}]) {{ code }} }}", "values"),
        (f"query({numbered('$a#: Int', 51)}) {{ {FIELDS} }}", "variables"),
        (f"{{ {FIELDS} {numbered('... { __typename }', 201)} }}", "inline fragments"),
        (numbered("query q# { viewer { name } }", 51), "operations"),
        (numbered("fragment f# on Viewer { name }", 51), "fragment definitions"),
        (f"query {'@skip(if: true)' * 51} {{ {FIELDS} }}", "directives"),
        (f"{{ {FIELDS} }} #{'x' * 33_000}", "length"),
        (f"{{ {'__typename ' * 800} }}", "nodes"),
    ],
)
async def test_each_kind_of_node_has_a_limit(world: World, document: str, limit: str) -> None:
    response = await world.http.post("/graphql", json={"query": document})

    reply = response.json()
    assert "data" not in reply
    assert reply["errors"][0]["extensions"]["code"] == "TOO_COMPLEX"
    assert f"{limit} is limited to" in reply["errors"][0]["message"]


async def test_an_error_quotes_no_long_value(world: World) -> None:
    long = "x" * 9_000
    for document in (
        f'{{ outlets(districtCode: 1, {long}: "{long[:900]}") {{ code }} }}',
        f'{{ channel(id: "{long}") {{ id }} }}',
        SAVED.replace("%", f'a: "{long}"'),
        f"{{ viewer {{ name }} }} {long}",
    ):
        reply = await world.http.post("/graphql", json={"query": document})

        assert "errors" in reply.json()
        assert "xx" * 500 not in reply.text.replace(long, "", 1)


async def test_the_first_errors_are_told(world: World) -> None:
    fields = numbered("unknown#", 100)

    reply = await world.http.post("/graphql", json={"query": f"{{ viewer {{ {fields} }} }}"})

    messages = [error["message"] for error in reply.json()["errors"]]
    assert messages[0] == "Cannot query field 'unknown0' on type 'Viewer'."
    assert len(messages) == MAX_ERRORS + 1
    assert "Too many validation errors" in messages[-1]


async def test_a_document_is_prepared_once_for_a_request(
    world: World, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that is too large to be kept."""
    monkeypatch.setattr(PreparedDocuments, "keep", lambda *_: None)
    prepared: list[str] = []
    prepare = PreparedDocuments.prepare

    def noted(self: PreparedDocuments, schema: GraphQLSchema, text: str) -> Prepared:
        prepared.append(text)
        return prepare(self, schema, text)

    monkeypatch.setattr(PreparedDocuments, "prepare", noted)
    document = "{ channels { id } }"

    await world.http.post("/graphql", json={"query": document})
    async with socket(app) as line:
        await line.ask(f"{document} #1", "1")
        await line.ask(f"{document} #2", "2")

    assert prepared == [document, f"{document} #1", f"{document} #2"]


@pytest.mark.parametrize(
    "name",
    [
        "wide",
        "wide inline fragments",
        "doubling fragments",
        "doubling fragments longer",
        "fragments in a circle",
        "unused fragments",
        "deep known fields",
        "deep fields",
        "deep inline fragments",
    ],
)
async def test_says_that_a_document_is_too_complex(world: World, name: str) -> None:
    response = await world.http.post("/graphql", json={"query": EXPENSIVE[name]})

    reply = response.json()
    assert reply.get("data") is None
    assert reply["errors"][0]["extensions"]["code"] in ("TOO_COMPLEX", "GRAPHQL_PARSE_FAILED")


async def test_the_fullest_document_is_allowed(world: World) -> None:
    """The control of the measurement: this one is not refused early, but validated and run."""
    response = await world.http.post("/graphql", json={"query": everything_allowed()})

    assert "errors" not in response.json()


async def test_the_introspection_of_every_tool_passes(world: World) -> None:
    document = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    )

    response = await world.http.post("/graphql", json={"query": document})

    assert response.json()["data"]["__schema"]["queryType"] == {"name": "Query", "kind": "OBJECT"}


async def test_a_page_that_asks_for_everything_passes(active: FrontEnd) -> None:
    """As front-ends with a fragment for each part do: the same few fields again and again."""
    parts = "".join(
        f"fragment p{n} on Viewer {{ __typename bound name services {{ service available title }} }} "
        for n in range(8)
    )
    spread = " ".join(f"...p{n}" for n in range(8))

    response = await active.post(f"{{ viewer {{ {spread} }} }} {parts}")

    assert len(response.json()["data"]["viewer"]["services"]) == len(CardService)


LOSS = 'reportLoss(input: {phone: "19900001001", code: "000000"})'
REPORT = f"{LOSS} {{ __typename }}"
SKIPPED = f"{LOSS} @skip(if: true) {{ __typename }}"


@pytest.mark.parametrize(
    "document",
    [
        f"mutation {{ a: {REPORT} b: {REPORT} }}",
        f"mutation {{ {REPORT} {REPORT} }}",
        f"mutation {{ ... {{ a: {REPORT} }} ... {{ b: {REPORT} }} }}",
        f"mutation {{ ...one ...two }} fragment one on Mutation {{ a: {REPORT} }}"
        f" fragment two on Mutation {{ b: {REPORT} }}",
        f"mutation {{ ...both }} fragment both on Mutation {{ a: {REPORT} b: {REPORT} }}",
        f"mutation {{ ...outer }} fragment outer on Mutation {{ ...inner b: {REPORT} }}"
        f" fragment inner on Mutation {{ a: {REPORT} }}",
        f"mutation {{ ...one ...one }} fragment one on Mutation {{ a: {REPORT} }}",
        f"mutation {{ a: {SKIPPED} b: {REPORT} }}",
        f"query q {{ __typename }} mutation m {{ a: {REPORT} b: {REPORT} }}",
    ],
)
async def test_a_mutation_has_one_root_field(world: World, active: FrontEnd, document: str) -> None:
    await active.send_code("REPORT_LOSS")
    before = await world.rows(), await world.rows("verification_codes")

    response = await world.http.post(
        "/graphql",
        json={"query": document} | ({"operationName": "m"} if "query q" in document else {}),
        headers=active.headers,
    )

    reply = response.json()
    assert reply.get("data") is None
    assert reply["errors"][0]["message"] == "A mutation may have one root field."
    assert (await world.rows(), await world.rows("verification_codes")) == before
