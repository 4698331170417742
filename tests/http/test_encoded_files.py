"""Static files with their compressed forms: which one is sent, as what, and what may be kept."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from core.kernel.settings import Settings
from gateway.http.edge import ENCODINGS, EdgeMiddleware
from gateway.http.edge.compress_files import compress_files
from gateway.http.graphql.playground import playground_routes
from tests.encodings import unpacked

SCRIPT = b"console.log('\xe7\xa4\xbe\xe4\xbf\x9d\xe5\x8d\xa1');\n" * 200
STYLE = b"main { color: #123; }\n" * 200
EVERY = [None, *ENCODINGS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.js").write_bytes(SCRIPT)
    (tmp_path / "main.css").write_bytes(STYLE)
    (tmp_path / "short.js").write_bytes(b"let a;\n")
    compress_files(tmp_path)
    return tmp_path


@pytest.fixture
async def http(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    pages = EdgeMiddleware(Starlette(routes=playground_routes(folder)), Settings())
    transport = httpx.ASGITransport(pages)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


async def fetch(
    http: httpx.AsyncClient, path: str, encoding: str | None, **headers: str
) -> tuple[httpx.Response, bytes]:
    """The response, and its content as it was sent."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given["Accept-Encoding"] = encoding or "identity"
    async with http.stream("GET", f"/playground/{path}", headers=given) as response:
        return response, b"".join([chunk async for chunk in response.aiter_raw()])


@pytest.mark.parametrize("encoding", EVERY)
@pytest.mark.parametrize(
    ("path", "content", "kind"), [("main.js", SCRIPT, "text/javascript"), ("main.css", STYLE, "text/css")]
)  # fmt: skip
async def test_a_file_is_sent_in_the_encoding_that_is_asked_for(
    http: httpx.AsyncClient, path: str, content: bytes, kind: str, encoding: str | None
) -> None:
    response, sent = await fetch(http, path, encoding)

    assert response.headers.get("content-encoding") == encoding
    assert response.headers["content-type"] == f"{kind}; charset=utf-8"
    assert response.headers["vary"] == "Accept-Encoding"
    assert unpacked(encoding, sent) == content
    assert int(response.headers["content-length"]) == len(sent)


async def test_each_encoding_has_a_tag_of_its_own(http: httpx.AsyncClient) -> None:
    """They are strong: each names bytes."""
    tags = {
        encoding: (await fetch(http, "main.js", encoding))[0].headers["etag"] for encoding in EVERY
    }

    assert len(set(tags.values())) == len(EVERY)
    for kept, tag in tags.items():
        for encoding in EVERY:
            response, sent = await fetch(http, "main.js", encoding, if_none_match=tag)

            assert response.status_code == (304 if kept == encoding else 200)
            assert response.headers["etag"] == tags[encoding]
            assert response.headers["vary"] == "Accept-Encoding"
            assert unpacked(encoding, sent) == SCRIPT if sent else kept == encoding


@pytest.mark.parametrize("encoding", EVERY)
async def test_a_part_is_one_of_what_is_sent(http: httpx.AsyncClient, encoding: str | None) -> None:
    _, whole = await fetch(http, "main.js", encoding)
    middle = len(whole) // 2

    first, begin = await fetch(http, "main.js", encoding, range=f"bytes=0-{middle - 1}")
    second, end = await fetch(http, "main.js", encoding, range=f"bytes={middle}-")

    assert (first.status_code, second.status_code) == (206, 206)
    assert begin + end == whole


async def test_what_has_no_compressed_form_is_sent_as_it_is(
    http: httpx.AsyncClient, folder: Path
) -> None:
    (folder / "main.js.br").unlink()

    for path in ("main.js", "short.js"):
        response, sent = await fetch(http, path, "br")

        assert "content-encoding" not in response.headers
        assert sent == (folder / path).read_bytes()


@pytest.mark.parametrize(
    "path", ["%00", "a%00.js", "n" * 300, "n" * 254, "..%2fmain.js", "none.js"]
)
@pytest.mark.parametrize("encoding", EVERY)
async def test_a_path_without_a_file_is_not_found(
    http: httpx.AsyncClient, path: str, encoding: str | None
) -> None:
    response, _ = await fetch(http, path, encoding)

    assert response.status_code == 404


async def test_a_file_that_is_gone_is_not_found_though_its_compressed_form_is_left(
    http: httpx.AsyncClient, folder: Path
) -> None:
    os.remove(folder / "main.js")

    response, _ = await fetch(http, "main.js", "br")

    assert response.status_code == 404


def test_compressing_again_changes_nothing(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    compress_files(folder)

    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert len(before) == 2 * (1 + len(ENCODINGS)) + 1
