"""The sandbox in the test's own process; the gateway behind it is respx's."""

import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import respx
from starlette.applications import Starlette
from starlette.routing import Mount

from core.kernel.settings import Settings
from sandbox.app import sandbox_routes
from sandbox.settings import sandbox_settings

TLS = ssl.create_default_context()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    given = Settings(objects_dir=tmp_path / "objects", public_url="http://gateway.test")
    return sandbox_settings(given)


@pytest.fixture
def gateway() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url="http://gateway.test", assert_all_called=False) as router:
        yield router


@pytest.fixture
def resets() -> list[str]:
    """Grows by one whenever the gateway is asked to begin anew."""
    return []


@pytest.fixture
async def sandbox(
    settings: Settings, gateway: respx.MockRouter, resets: list[str]
) -> AsyncIterator[httpx.AsyncClient]:
    async def reset_gateway() -> None:
        resets.append("reset")

    async with httpx.AsyncClient(verify=TLS) as http:
        routes = sandbox_routes(settings, http, reset_gateway)
        transport = httpx.ASGITransport(Starlette(routes=[Mount("/sandbox", routes=routes)]))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://gateway.test/sandbox"
        ) as client:
            yield client
