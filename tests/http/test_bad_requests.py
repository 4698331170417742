"""Requests that are not what GraphQL over HTTP asks for: a clear answer, and nothing changed."""

import json
from typing import Any

import httpx
import pytest

from tests.front_end import FrontEnd, World


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No statement differs here: one engine is enough."""
    return sqlite_url


JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
VIEWER = "{ viewer { name } }"
UPLOAD = "mutation($file: Upload!) { uploadPortrait(file: $file) { __typename } }"
REPORT_LOSS = "mutation($i: ReportLossInput!) { reportLoss(input: $i) { __typename } }"


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The one error; an answer without `data`, or with null."""
    reply = response.json()
    assert reply.get("data") is None
    assert len(reply["errors"]) >= 1
    error: dict[str, Any] = reply["errors"][0]
    assert error["message"]
    assert error["extensions"]["code"]
    return error


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"{",
        b'{"query": "{ viewer { name } }"',
        b"\xff\xfe",
        b'"{ viewer { name } }"',
        b"null",
        b"1",
        b"[]",
        b'[{"query": "{ viewer { name } }"}, {"query": "{ viewer { name } }"}]',
        b"{}",
        b'{"query": 1}',
        b'{"query": null}',
        b'{"query": ""}',
        b'{"query": ["{ viewer { name } }"]}',
        b'{"query": "{ viewer { name } }", "variables": []}',
        b'{"query": "{ viewer { name } }", "variables": "{}"}',
        b'{"query": "{ viewer { name } }", "operationName": 1}',
        b'{"query": "{ viewer { name } }", "operationName": "other"}',
        b'{"query": "{ viewer { name } }", "extensions": 1}',
        b'{"query": "{ viewer { name } }", "variables": ' + b"[" * 2000 + b"]" * 2000 + b"}",
        b'{"query": "\\ud800"}',
    ],
    ids=lambda body: ascii(body[:48]),
)
async def test_a_malformed_body_is_a_bad_request(world: World, body: bytes) -> None:
    before = await world.rows()

    for accept in (JSON, GRAPHQL_JSON):
        headers = {"Content-Type": JSON, "Accept": accept}
        response = await world.http.post("/graphql", content=body, headers=headers)

        assert response.status_code == 400
        assert error_of(response)["extensions"]["code"] == "BAD_REQUEST"
        assert response.headers["content-type"].startswith(accept)
    assert await world.rows() == before


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/graphql"]
)
async def test_another_content_type_is_refused(world: World, content_type: str) -> None:
    response = await world.http.post(
        "/graphql",
        content=json.dumps({"query": VIEWER}),
        headers={"Content-Type": content_type, "GraphQL-Preflight": "1"},
    )

    assert response.status_code == 415
    error_of(response)


async def test_a_mutation_over_get_is_refused(world: World, active: FrontEnd) -> None:
    before = await world.rows()

    for query in (
        "mutation { signOut { __typename } }",
        "query a { __typename } mutation b { signOut { __typename } }",
    ):
        response = await world.http.get(
            "/graphql",
            params={"query": query} | ({"operationName": "b"} if "query a" in query else {}),
            headers=active.headers,
        )
        assert response.status_code in (400, 405)
        error_of(response)

    assert await world.rows() == before
    assert await active.ask("{ viewer { bound } }") == {"bound": True}


async def test_a_query_over_get_is_answered(world: World, active: FrontEnd) -> None:
    response = await world.http.get("/graphql", params={"query": VIEWER}, headers=active.headers)

    assert response.json()["data"] == {"viewer": {"name": "林**"}}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_are_not_allowed(world: World, method: str) -> None:
    response = await world.http.request(method, "/graphql", json={"query": VIEWER})

    assert response.status_code == 405


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ viewer {", None),
        ("{ nobody }", None),
        (REPORT_LOSS, {"i": {"phone": "19900001001"}}),
        (REPORT_LOSS, {"i": {"phone": "19900001001", "code": "123456", "more": "x"}}),
        (REPORT_LOSS, {"i": {"phone": 19900001001, "code": "123456"}}),
        (REPORT_LOSS, {"i": {"phone": None, "code": "123456"}}),
        (REPORT_LOSS, {"i": {"phone": ["19900001001"], "code": {}}}),
        (REPORT_LOSS, {"i": "19900001001"}),
        (REPORT_LOSS, {"i": True}),
        (REPORT_LOSS, {}),
        ('mutation { reportLoss(input: {phone: 19900001001, code: "1"}) { __typename } }', None),
        ('mutation { reportLoss(input: {phone: "1", code: "1", more: 1}) { __typename } }', None),
    ],
    ids=lambda value: ascii(value)[:40],
)
async def test_a_wrong_document_or_variable_has_the_status_of_its_media_type(
    world: World, active: FrontEnd, query: str, variables: Any
) -> None:
    before = await world.rows()

    old = await active.post(query, variables, Accept=JSON)
    new = await active.post(query, variables, Accept=GRAPHQL_JSON)

    assert (old.status_code, new.status_code) == (200, 400)
    assert "data" not in new.json()
    for response in (old, new):
        assert "19900001001" not in error_of(response)["message"]
    assert await world.rows() == before


async def test_a_field_error_is_200_with_both_media_types(world: World) -> None:
    query = {"query": "{ viewer { name } cardStatus { __typename } }"}

    old = await world.http.post("/graphql", json=query, headers={"Accept": JSON})
    new = await world.http.post("/graphql", json=query, headers={"Accept": GRAPHQL_JSON})

    assert (old.status_code, new.status_code) == (200, 200)
    assert new.headers["content-type"] == f"{GRAPHQL_JSON}; charset=utf-8"
    assert new.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


# --- sizes ---------------------------------------------------------------------------------


async def test_a_body_of_ten_megabytes_is_too_large(world: World, active: FrontEnd) -> None:
    before = await world.rows()

    response = await active.post(REPORT_LOSS, {"i": {"phone": "1" * 10_000_000, "code": "123456"}})

    assert response.status_code == 413
    assert error_of(response)["extensions"]["code"] == "BODY_TOO_LARGE"
    assert await world.rows() == before


async def test_a_body_is_counted_not_believed(world: World) -> None:
    """Sent in pieces without a length, as a client with something to hide does."""

    async def pieces() -> Any:
        for _ in range(200):
            yield b" " * 65_536

    response = await world.http.post("/graphql", content=pieces(), headers={"Content-Type": JSON})

    assert response.status_code == 413


async def test_an_upload_past_its_limit_is_too_large(world: World, active: FrontEnd) -> None:
    before = await world.rows()

    answer = await active.upload(
        "mutation($file: Upload!) { uploadPortrait(file: $file) {"
        " __typename ... on Refusal { code field } } }",
        b"\xff\xd8" + b"x" * 10_485_760,
    )

    assert answer == {"__typename": "Refusal", "code": "FILE_TOO_LARGE", "field": "file"}
    assert await world.rows() == before


async def test_a_form_far_past_its_limit_is_not_read(world: World, active: FrontEnd) -> None:
    response = await world.http.post(
        "/graphql",
        files={"0": ("a", b"x" * 23_000_000, "image/jpeg")},
        headers=active.headers,
    )

    assert response.status_code == 413


# --- form uploads --------------------------------------------------------------------------


async def send_form(
    world: World, operations: str | None, map_: str | None, **headers: str
) -> httpx.Response:
    fields = {"operations": operations, "map": map_}
    return await world.http.post(
        "/graphql",
        data={name: value for name, value in fields.items() if value is not None},
        files={"0": ("a", b"x", "image/jpeg")},
        headers=headers,
    )


OPERATIONS = json.dumps({"query": UPLOAD, "variables": {"file": None}})


@pytest.mark.parametrize(
    ("operations", "map_"),
    [
        (None, None),
        (None, "{}"),
        ("x", "{}"),
        ("[]", "{}"),
        ("null", "{}"),
        ("1", "{}"),
        (f"[{OPERATIONS}]", '{"0": ["0.variables.file"]}'),
        (OPERATIONS, "x"),
        (OPERATIONS, "[]"),
        (OPERATIONS, "[1]"),
        (OPERATIONS, "null"),
        (OPERATIONS, '{"1": ["variables.file"]}'),
        (OPERATIONS, '{"0": [1]}'),
        (OPERATIONS, '{"0": "variables.file"}'),
        (OPERATIONS, '{"0": ["variables.other.file"]}'),
        (OPERATIONS, '{"0": ["variables.file.0"]}'),
        (OPERATIONS, '{"0": ["query"]}'),
        (OPERATIONS, '{"0": ["operationName"]}'),
    ],
)
async def test_a_wrong_form_is_a_bad_request(
    world: World, active: FrontEnd, operations: str | None, map_: str | None
) -> None:
    before = await world.rows()

    response = await send_form(world, operations, map_, **active.headers)

    assert response.status_code == 400
    assert error_of(response)["extensions"]["code"] == "BAD_REQUEST"
    assert await world.rows() == before


@pytest.mark.parametrize("map_", [None, '{"0": []}', '{"0": [""]}'])
async def test_a_form_that_maps_no_file_misses_it(
    world: World, active: FrontEnd, map_: str | None
) -> None:
    response = await send_form(world, OPERATIONS, map_, **active.headers)

    error_of(response)


@pytest.mark.parametrize("boundary", ["", "; boundary=zz"])
async def test_a_form_that_cannot_be_read_is_a_bad_request(
    world: World, active: FrontEnd, boundary: str
) -> None:
    response = await world.http.post(
        "/graphql",
        content=b"--zz\r\n garbage",
        headers=active.headers | {"Content-Type": f"multipart/form-data{boundary}"},
    )

    assert response.status_code == 400


async def test_a_form_without_a_preflight_header_is_forbidden(world: World) -> None:
    response = await send_form(world, OPERATIONS, '{"0": ["variables.file"]}')

    assert response.status_code == 403
    error_of(response)


@pytest.mark.parametrize("header", ["GraphQL-Preflight", "X-Requested-With", "Authorization"])
async def test_a_form_with_a_preflight_header_is_read(world: World, header: str) -> None:
    """The control of the test before: it is the header that is missed."""
    response = await send_form(world, OPERATIONS, '{"0": ["variables.file"]}', **{header: "1"})

    assert response.status_code == 200
    assert error_of(response)["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json", "*/*"])
async def test_a_subscription_needs_a_stream(world: World, accept: str) -> None:
    query = "subscription { productionProgress { __typename } }"
    headers = {"Accept": accept}

    response = await world.http.post("/graphql", json={"query": query}, headers=headers)

    assert response.status_code == 406
    assert response.json()["errors"][0]["extensions"]["code"] == "NOT_ACCEPTABLE"
