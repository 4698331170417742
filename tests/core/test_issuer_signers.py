"""The issuer's signature: by HMAC-SHA-256 or HMAC-SM3, and by nothing else."""

import hmac
import json
import random
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from core.issuer import SIGNERS, is_signed
from core.kernel.settings import Settings, SettingsError
from sandbox.issuer import signed_headers
from tests.conftest import ADDRESS, running, settings_for
from tests.services.test_issuer_events import card_event

KEY, TIME, BODY = b"key", "1800000000", b'{"events": []}'


def test_sha256_is_the_standard_librarys() -> None:
    expected = hmac.new(KEY, TIME.encode() + b"." + BODY, "sha256").hexdigest()

    assert SIGNERS["hmac-sha256"].sign(KEY, TIME, BODY) == expected


def test_sm3_is_an_hmac_of_the_published_hash() -> None:
    """RFC 2104 by hand over SM3, whose digest of "abc" GB/T 32905 gives."""
    from cryptography.hazmat.primitives.hashes import SM3, Hash

    def sm3(data: bytes) -> bytes:
        digest = Hash(SM3())
        digest.update(data)
        return digest.finalize()

    assert sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    padded = KEY.ljust(64, b"\0")
    inner = sm3(bytes(b ^ 0x36 for b in padded) + TIME.encode() + b"." + BODY)
    expected = sm3(bytes(b ^ 0x5C for b in padded) + inner).hex()
    assert SIGNERS["hmac-sm3"].sign(KEY, TIME, BODY) == expected


@pytest.mark.parametrize("name", SIGNERS)
def test_no_other_signature_is_accepted(name: str) -> None:
    """10,000 changes of key, time, body, signature and algorithm."""
    signer, draw = SIGNERS[name], random.Random(1)
    good = signer.sign(KEY, TIME, BODY)
    other = next(each for each in SIGNERS.values() if each is not signer)

    def changed(data: bytes) -> bytes:
        place = draw.randrange(len(data))
        return data[:place] + bytes([data[place] ^ (1 << draw.randrange(7))]) + data[place + 1 :]

    assert is_signed(signer, KEY, TIME, BODY, good)
    for _ in range(2_500):
        forged = [
            (changed(KEY), TIME, BODY, good),
            (KEY, changed(TIME.encode()).decode("latin-1"), BODY, good),
            (KEY, TIME, changed(BODY), good),
            (KEY, TIME, BODY, changed(good.encode()).decode("latin-1")),
        ]
        assert not any(is_signed(signer, *given) for given in forged)
    empty = [(b"", TIME, BODY, signer.sign(b"", TIME, BODY)), (KEY, TIME, BODY, "")]
    assert not any(is_signed(signer, *given) for given in empty)
    assert not is_signed(signer, KEY, TIME, BODY, other.sign(KEY, TIME, BODY))


@pytest.fixture
async def by_sm3(
    sqlite_template: Path, tmp_path: Path
) -> AsyncIterator[tuple[httpx.AsyncClient, Settings]]:
    shutil.copy(sqlite_template, tmp_path / "gateway.sqlite3")
    settings = settings_for(
        f"sqlite:///{tmp_path}/gateway.sqlite3", tmp_path, issuer_event_signer="hmac-sm3"
    )
    async with (
        running(settings) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS) as http,
    ):
        yield http, settings


async def test_the_setting_says_which(by_sm3: tuple[httpx.AsyncClient, Settings]) -> None:
    http, settings = by_sm3
    key = settings.issuer_event_key.reveal().encode()
    body = json.dumps(card_event("LOCK", "active")).encode()
    now = int(time.time())

    by_sha256 = await http.post(
        "/issuer/events", content=body, headers=signed_headers(key, body, now)
    )
    right = await http.post(
        "/issuer/events",
        content=body,
        headers=signed_headers(key, body, now, SIGNERS["hmac-sm3"]),
    )
    desk = await http.post("/sandbox/issuer/advance", json={"persona": "in-production"})

    assert (by_sha256.status_code, right.status_code, desk.status_code) == (401, 200, 200)


def test_another_name_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="CARD_GATEWAY_ISSUER_EVENT_SIGNER"):
        Settings.read({"CARD_GATEWAY_ISSUER_EVENT_SIGNER": "md5"})
