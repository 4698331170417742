import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import cast

import httpx
import pytest
import respx

from gateway.channels import CHANNELS
from gateway.channels.contract import Channel

from .parts import samples_of, settings
from .samples.shape import Samples

TLS = ssl.create_default_context()
"""Read once: it costs more than most tests."""


@pytest.fixture
def wire() -> Iterator[respx.Router]:
    with respx.mock(assert_all_called=False) as router:
        yield router


@pytest.fixture
async def http(wire: respx.Router) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(verify=TLS) as client:
        yield client


@pytest.fixture(params=CHANNELS, ids=lambda kind: kind.id.value)
def kind(request: pytest.FixtureRequest) -> type[Channel]:
    return cast(type[Channel], request.param)


@pytest.fixture
def samples(kind: type[Channel]) -> Samples:
    return samples_of(kind)


@pytest.fixture
def channel(kind: type[Channel], http: httpx.AsyncClient) -> Channel:
    return kind(settings(), http)


@pytest.fixture
def all_logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    for logger in ("httpx", "httpcore", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=logger)
    caplog.set_level(logging.DEBUG)
    return caplog
