"""Documents by identifier: the operation manifest, and Apollo's automatic persisted queries."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.kernel.settings import SettingsError
from gateway.http.admission import Parameters, documents
from gateway.http.edge import GRAPHQL_JSON, BadRequest
from tests.conftest import ADDRESS, running, settings_for
from tests.sockets import socket

CHANNELS = "query Channels { channels { id } }"
OUTLETS = "query Outlets($d: String!) { outlets(districtCode: $d) { code } }"
OTHER = "query Other { channels { name } }"
IN_BROWSER = {"Sec-Fetch-Site": "same-origin", "Origin": ADDRESS}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No statement differs here: one engine is enough."""
    return sqlite_url


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def apollo(text: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256(text)}}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps({"channels-1": CHANNELS, "outlets-1": OUTLETS}))
    return file


@asynccontextmanager
async def gateway(
    database_url: str, folder: Path, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running(settings_for(database_url, folder, **settings)) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS) as http,
    ):
        yield http


@pytest.fixture
async def trusting(
    database_url: str, tmp_path: Path, manifest: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """Runs the manifest's documents alone; its playground is off, as in production."""
    given = {"operation_manifest": manifest, "only_trusted_documents": True}
    async with gateway(database_url, tmp_path, **given, introspection=False) as http:
        yield http


async def post(http: httpx.AsyncClient, body: dict[str, Any], **headers: str) -> Any:
    response = await http.post("/graphql", json=body, headers=headers)
    reply = response.json()
    if "errors" in reply:
        return reply["errors"][0]["extensions"]["code"]
    return reply["data"]


# --- only trusted documents ----------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"documentId": "channels-1"},
        {"documentId": f"sha256:{sha256(CHANNELS)}"},
        {"extensions": apollo(CHANNELS)},
        {"extensions": apollo(CHANNELS), "query": CHANNELS},
        {"query": CHANNELS},
    ],
)
async def test_a_document_of_the_manifest_runs(
    trusting: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    assert len((await post(trusting, body))["channels"]) == 3


async def test_it_takes_variables(trusting: httpx.AsyncClient) -> None:
    answer = await post(trusting, {"documentId": "outlets-1", "variables": {"d": "510104"}})

    assert answer["outlets"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": OTHER}, "DOCUMENT_NOT_TRUSTED"),
        ({"query": CHANNELS + " "}, "DOCUMENT_NOT_TRUSTED"),
        ({"query": "{ __schema { types { name } } }"}, "DOCUMENT_NOT_TRUSTED"),
        ({"documentId": "other"}, "DOCUMENT_NOT_FOUND"),
        ({"documentId": f"sha256:{sha256(OTHER)}"}, "DOCUMENT_NOT_FOUND"),
        ({"documentId": "", "query": OTHER}, "DOCUMENT_NOT_TRUSTED"),
        ({"extensions": apollo(OTHER)}, "PERSISTED_QUERY_NOT_SUPPORTED"),
        ({"extensions": apollo(OTHER), "query": OTHER}, "PERSISTED_QUERY_NOT_SUPPORTED"),
        ({}, "BAD_REQUEST"),
    ],
)
async def test_nothing_else_runs(
    trusting: httpx.AsyncClient, body: dict[str, Any], code: str
) -> None:
    assert await post(trusting, body) == code
    assert await post(trusting, body, **IN_BROWSER) == code


async def test_nothing_else_runs_over_get_or_a_socket(
    database_url: str, tmp_path: Path, manifest: Path
) -> None:
    settings = settings_for(
        database_url,
        tmp_path,
        operation_manifest=manifest,
        only_trusted_documents=True,
        introspection=False,
    )
    async with running(settings) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http:
            accept = {"Accept": GRAPHQL_JSON}
            refused = await http.get("/graphql", params={"query": OTHER}, headers=accept)
            known = await http.get("/graphql", params={"documentId": "channels-1"}, headers=accept)
        async with socket(app) as line:
            over_socket = await line.ask(OTHER, "1")
            trusted = await line.ask(CHANNELS, "2")

    assert refused.status_code == 403
    assert len(known.json()["data"]["channels"]) == 3
    assert over_socket["payload"][0]["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"
    assert len(trusted["payload"]["data"]["channels"]) == 3


async def test_without_the_setting_everything_runs(
    database_url: str, tmp_path: Path, manifest: Path
) -> None:
    """The control: it is the setting that refuses."""
    async with gateway(database_url, tmp_path, operation_manifest=manifest) as http:
        assert len((await post(http, {"query": OTHER}))["channels"]) == 3
        assert len((await post(http, {"documentId": "channels-1"}))["channels"]) == 3


async def test_the_playground_is_exempt_where_it_is_switched_on(
    database_url: str, tmp_path: Path, manifest: Path
) -> None:
    given = {"operation_manifest": manifest, "only_trusted_documents": True}
    async with gateway(database_url, tmp_path, **given, introspection=True) as http:
        in_playground = await post(http, {"query": OTHER}, **IN_BROWSER)
        elsewhere = await post(http, {"query": OTHER})

    assert len(in_playground["channels"]) == 3
    assert elsewhere == "DOCUMENT_NOT_TRUSTED"


# --- automatic persisted queries -----------------------------------------------------------


@pytest.fixture
async def open_gateway(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway(database_url, tmp_path) as http:
        yield http


async def test_a_client_registers_a_document_and_then_sends_its_hash(
    open_gateway: httpx.AsyncClient,
) -> None:
    """Apollo's protocol: hash, then hash and text, then hash."""
    first = await open_gateway.post("/graphql", json={"extensions": apollo(OTHER)})
    second = await post(open_gateway, {"extensions": apollo(OTHER), "query": OTHER})
    third = await post(open_gateway, {"extensions": apollo(OTHER)})

    error = first.json()["errors"][0]
    assert first.status_code == 200
    assert error["message"] == "PersistedQueryNotFound"
    assert error["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert second == third
    assert len(third["channels"]) == 3


async def test_a_hash_goes_over_get(open_gateway: httpx.AsyncClient) -> None:
    await post(open_gateway, {"extensions": apollo(OTHER), "query": OTHER})

    response = await open_gateway.get(
        "/graphql",
        params={"extensions": json.dumps(apollo(OTHER))},
        headers={"Apollo-Require-Preflight": "true"},
    )

    assert len(response.json()["data"]["channels"]) == 3


@pytest.mark.parametrize(
    "persisted",
    [
        {"version": 1, "sha256Hash": sha256(CHANNELS)},
        {"version": 2, "sha256Hash": sha256(OTHER)},
        {"version": 1, "sha256Hash": "short"},
        {"version": 1, "sha256Hash": 1},
        {"version": 1},
        "hash",
        [1],
    ],
)
async def test_a_hash_that_is_not_the_texts_registers_nothing(
    open_gateway: httpx.AsyncClient, persisted: Any
) -> None:
    body = {"query": OTHER, "extensions": {"persistedQuery": persisted}}

    assert await post(open_gateway, body) == "BAD_REQUEST"
    for text in (OTHER, CHANNELS):
        assert await post(open_gateway, {"extensions": apollo(text)}) == "PERSISTED_QUERY_NOT_FOUND"


def test_only_the_last_texts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_REGISTERED_BYTES", 10_000)
    kept = documents.Documents({}, only_trusted=False)

    def ask(text: str, query: str | None, owner: bytes = b"10.0.0.1") -> str:
        given = Parameters(query=query, extensions=apollo(text))
        found = kept.text_of(given)
        kept.register(given, owner)
        return found

    ask("{ other }", "{ other }", b"10.0.0.2")
    for n in range(100):
        ask(f"{{ a{n} }}", f"{{ a{n} }}")
    ask("x" * 20_000, "x" * 20_000)

    assert ask("{ a99 }", None) == "{ a99 }"
    assert ask("{ other }", None) == "{ other }"
    for forgotten in ("{ a0 }", "{ a50 }", "x" * 20_000):
        with pytest.raises(BadRequest):
            ask(forgotten, None)


async def test_an_invalid_text_is_not_registered(open_gateway: httpx.AsyncClient) -> None:
    text = "{ nothing }"

    answer = await post(open_gateway, {"query": text, "extensions": apollo(text)})

    assert answer == "GRAPHQL_VALIDATION_FAILED"
    assert await post(open_gateway, {"extensions": apollo(text)}) == "PERSISTED_QUERY_NOT_FOUND"


# --- the manifest --------------------------------------------------------------------------


def test_reads_apollos_manifest(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    operation = {"id": "1", "body": CHANNELS, "name": "Channels", "type": "query"}
    file.write_text(
        json.dumps(
            {
                "format": "apollo-persisted-query-manifest",
                "version": 1,
                "operations": [operation],
            }
        )
    )

    assert documents.read_manifest(file) == {"1": CHANNELS}


@pytest.mark.parametrize("text", ["", "[]", "1", '{"a": 1}', '{"operations": [1]}', "x"])
def test_a_manifest_that_cannot_be_read_stops_the_start(tmp_path: Path, text: str) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(text)

    with pytest.raises(SettingsError, match=r"manifest\.json"):
        documents.read_manifest(file)


async def test_a_manifest_with_a_wrong_document_stops_the_start(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps({"fine": CHANNELS, "wrong": "{ nothing }"}))

    with pytest.raises(SettingsError, match="wrong"):
        async with gateway(database_url, tmp_path, operation_manifest=file):
            pass


async def test_trusting_nothing_stops_the_start(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="OPERATION_MANIFEST"):
        async with gateway(database_url, tmp_path, only_trusted_documents=True):
            pass
