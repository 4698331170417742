"""A verification code leaves within 200 ms of its request, whatever the other partners do."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.kernel.settings import PREFIX
from core.messaging.worker import SECONDS_TO_ANSWER
from sandbox.personas import PERSONAS
from tests.live import serving, sign_in

pytestmark = pytest.mark.server

MAX_SECONDS = 0.2
CODES = 20
TRIES = 3
"""The machine may be busy with something else; a gateway that is too slow is so every time."""
_SEND = """mutation($i: SendVerificationCodeInput!) { sendVerificationCode(input: $i) {
  __typename ... on Refusal { code message } } }"""
_CHANGE = """mutation($i: ChangePhoneInput!) { changePhone(input: $i) {
  __typename ... on Refusal { code message } } }"""


class Gateway:
    """An SMS gateway that answers after `seconds` and notes when a code arrived."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.arrived: dict[str, float] = {}
        self.codes: dict[str, str] = {}
        self.messages = Counter[str]()
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Gateway"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                sms = json.loads(await reader.readexactly(length))
                self.arrived.setdefault(sms["phone"], time.monotonic())
                self.codes[sms["phone"]] = sms["code"]
                self.messages[sms["phone"]] += 1
                await asyncio.sleep(self.seconds)
                body = b'{"taken":true}'
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                    + f"{len(body)}\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@contextmanager
def working(folder: Path, **settings: str) -> Iterator[None]:
    """`card-gateway work` beside the server."""
    given = {PREFIX + name.upper(): value for name, value in settings.items()}
    program = Path(sys.executable).with_name("card-gateway")
    with (folder / "work.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [program, "work", "--sandbox"],
            cwd=folder,
            env=os.environ | given,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0, (folder / "work.log").read_text()
        finally:
            process.kill()
            process.wait()


async def ask(http: httpx.AsyncClient, token: str, document: str, **given: str) -> Any:
    response = await http.post(
        "/graphql",
        json={"query": document, "variables": {"i": given}},
        headers={"Authorization": f"Bearer {token}"},
    )
    return next(iter(response.json()["data"].values()))


async def delay_of(
    http: httpx.AsyncClient, token: str, gateway: Gateway, phone: str, purpose: str = "APPLY_CARD"
) -> float:
    """Seconds from sending the request to the arrival at the SMS gateway."""
    begin = time.monotonic()
    answer = await ask(http, token, _SEND, purpose=purpose, phone=phone)
    assert answer["__typename"] == "VerificationCodeSent", answer
    await _arrival(gateway, phone)
    return gateway.arrived[phone] - begin


async def a_notice_must_leave(server: str, gateway: Gateway) -> None:
    """By the separate worker; the codes leave from the server itself."""
    token, phone = await asyncio.to_thread(_sign_in, server), "19911119999"
    async with httpx.AsyncClient(base_url=server, trust_env=False, timeout=30) as http:
        await delay_of(http, token, gateway, phone, "CHANGE_PHONE")
        gateway.arrived.clear()
        answer = await ask(http, token, _CHANGE, newPhone=phone, code=gateway.codes[phone])
        assert answer["__typename"] == "PhoneChanged", answer
        await _arrival(gateway, PERSONAS["no-card"].phone)


async def must_leave_in_time(server: str, gateway: Gateway) -> None:
    token = await asyncio.to_thread(_sign_in, server)
    phones = (f"19911110{number:03d}" for number in itertools.count())
    async with httpx.AsyncClient(base_url=server, trust_env=False, timeout=30) as http:
        await delay_of(http, token, gateway, next(phones))
        for _ in range(TRIES):
            found = [await delay_of(http, token, gateway, next(phones)) for _ in range(CODES)]
            late = [round(seconds, 3) for seconds in found if seconds > MAX_SECONDS]
            if len(late) <= CODES // 10:
                return
    pytest.fail(f"late, the last time: {late}")


def _sign_in(server: str) -> str:
    with httpx.Client(base_url=server, trust_env=False, timeout=30) as http:
        return sign_in(http, "no-card")


async def _arrival(gateway: Gateway, phone: str) -> None:
    for _ in range(6_000):
        if phone in gateway.arrived:
            return
        await asyncio.sleep(0.005)
    pytest.fail("the code never left")


@pytest.mark.parametrize("separate", [False, True], ids=["in the server", "worker by itself"])
async def test_a_code_leaves_within_200_ms(tmp_path: Path, separate: bool) -> None:
    limits = {"codes_per_account_hour": "99", "codes_per_account_day": "99"}
    async with Gateway().running() as gateway:
        settings = {"sms_url": gateway.url, "worker": str(not separate).lower(), **limits}
        server = await asyncio.to_thread(_entered, serving(tmp_path, **settings))
        try:
            if separate:
                with working(tmp_path, sms_url=gateway.url):
                    await must_leave_in_time(server.url, gateway)
                    await a_notice_must_leave(server.url, gateway)
            else:
                await must_leave_in_time(server.url, gateway)
        finally:
            await asyncio.to_thread(server.leave)


class _Entered:
    def __init__(self, context: Any) -> None:
        self._context = context
        self.url: str = context.__enter__().url

    def leave(self) -> None:
        self._context.__exit__(None, None, None)


def _entered(context: Any) -> _Entered:
    return _Entered(context)


async def test_nobody_waits_long_for_a_slow_gateway(tmp_path: Path) -> None:
    """Its answer is not awaited: the code is being sent, and is not sent twice."""
    async with Gateway(seconds=SECONDS_TO_ANSWER + 2).running() as gateway:
        server = await asyncio.to_thread(_entered, serving(tmp_path, sms_url=gateway.url))
        try:
            token = await asyncio.to_thread(_sign_in, server.url)
            begin = time.monotonic()
            async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http:
                given = {"purpose": "APPLY_CARD", "phone": "19911110000"}
                answer = await ask(http, token, _SEND, **given)
            took = time.monotonic() - begin
            await asyncio.sleep(3)
        finally:
            await asyncio.to_thread(server.leave)

    assert answer["__typename"] == "VerificationCodeSent"
    assert SECONDS_TO_ANSWER - 0.1 < took < SECONDS_TO_ANSWER + 1.5
    assert gateway.messages["19911110000"] == 1
