"""What the server sees in raw bytes is what a reference parser sees; `make soak-raw-requests` does more."""

from tests.soak.raw_requests import compare

STREAMS = 1_500


async def test_sees_nothing_that_the_reference_does_not_see() -> None:
    reference, server, differences = await compare(STREAMS, seed=1)

    assert differences == []
    assert server > reference // 2


async def test_sees_every_ordinary_request() -> None:
    """The control of its strictness."""
    reference, server, differences = await compare(STREAMS // 3, seed=2, oddity=0)

    assert differences == []
    assert server == reference > STREAMS // 3


async def test_finds_what_uvicorn_sees_otherwise() -> None:
    """The control: without reading one request at a time, there are differences."""
    _, _, differences = await compare(STREAMS // 3, seed=1, control=True)

    assert differences != []
