"""The playground: wholly from the gateway where it is on, and nothing of it where it is off."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from graphql import get_introspection_query

from core.kernel.settings import Settings
from gateway.http.graphql.playground import STATIC_DIR
from tests.conftest import ADDRESS, running, settings_for

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Any) -> Settings:
    """One engine is enough: nothing here reads a row."""
    return settings_for(sqlite_url, tmp_path)


@pytest.fixture
async def production(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The same application with the setting that production has by default."""
    assert not Settings().introspection
    async with running(replace(settings, introspection=False)) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
            yield client


def parts_of(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]+)"', page)


@pytest.mark.skipif(not (STATIC_DIR / "index.html").is_file(), reason="make install builds it")
async def test_every_part_of_the_page_comes_from_the_gateway(http: httpx.AsyncClient) -> None:
    page = await http.get("/graphql", headers=BROWSER)

    assert page.headers["content-type"].startswith("text/html")
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    parts = [part for part in parts_of(page.text) if not part.startswith("data:")]
    assert parts
    for part in parts:
        assert urljoin(ADDRESS, part).startswith(ADDRESS)
        assert (await http.get(part)).status_code == 200


@pytest.mark.skipif(not (STATIC_DIR / "index.html").is_file(), reason="make install builds it")
def test_no_asset_loads_from_another_host() -> None:
    loads = re.compile(rb"""(?:import\s*\(?\s*|url\(\s*|src\s*=\s*)["']?(?:https?:)?//""")

    assert loads.search(b'import("https://cdn.example/react.js")')
    assert loads.search(b"@font-face{src:url(//fonts.example/a.woff2)}")
    for asset in STATIC_DIR.rglob("*"):
        if asset.suffix in (".js", ".css", ".html"):
            assert not loads.search(asset.read_bytes()), asset.name


async def test_with_the_playground_on_the_schema_tells_itself(http: httpx.AsyncClient) -> None:
    """The control of the tests below."""
    asked = await http.post("/graphql", json={"query": get_introspection_query()})

    assert asked.json()["data"]["__schema"]["queryType"]["name"] == "Query"


async def test_production_serves_no_playground(production: httpx.AsyncClient) -> None:
    page = await production.get("/graphql", headers=BROWSER)
    asset = await production.get("/playground/main.js")

    assert "text/html" not in page.headers["content-type"]
    assert page.status_code >= 400
    assert asset.status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        get_introspection_query(),
        "{ __schema { types { name } } }",
        '{ __type(name: "Query") { name } }',
        "query { ...F } fragment F on Query { __schema { description } }",
    ],
)
async def test_production_answers_no_introspection(
    production: httpx.AsyncClient, query: str
) -> None:
    asked = (await production.post("/graphql", json={"query": query})).json()

    assert not asked.get("data")
    assert asked["errors"][0]["extensions"]["code"]


async def test_production_still_tells_the_type_of_an_answer(production: httpx.AsyncClient) -> None:
    asked = await production.post("/graphql", json={"query": "{ channels { __typename id } }"})

    assert asked.json()["data"]["channels"][0]["__typename"] == "Channel"


@pytest.mark.parametrize(
    ("query", "suggested"),
    [
        ("{ cardStats { __typename } }", "cardStatus"),
        ("{ channel(id: WECHATT) { id } }", "WECHAT'"),
        ('{ outlets(districtCode: "510104", bankCod: "x") { code } }', "bankCode"),
        ("{ channels { appNam } }", "appName"),
        ("{ viewer { ... on Viewr { name } } }", "'Viewer'"),
        ("mutation($i: SignInInpt!) { signIn(input: $i) { __typename } }", "SignInInput"),
        ('mutation { changeContact(input: {landlin: "x"}) { __typename } }', "landline"),
    ],
)
async def test_production_suggests_nothing(
    production: httpx.AsyncClient, query: str, suggested: str
) -> None:
    asked = (await production.post("/graphql", json={"query": query})).json()

    assert asked["errors"]
    assert "Did you mean" not in str(asked)
    assert suggested not in str(asked)
