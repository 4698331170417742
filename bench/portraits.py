"""How many 12-megapixel portraits a second the gateway takes, and how `cardStatus` responds meanwhile.

    .venv/bin/python -m bench.portraits [--rate 5] [--seconds 20] [--rounds 3]

One server process with its isolated pool, on all cores. In each round `cardStatus` is sent 100
times a second alone; then while portraits are uploaded at `--rate` a second over HTTP; and then
while four uploads are always in progress, which is the maximum. The clients are separate
processes on the same cores. A response time is measured from the moment the request was due, so
that a delay also counts for the requests behind it.

Passes when every portrait got a verdict at the requested rate, and the p99 of `cardStatus` over
all rounds is at most twice that of the idle server. The pictures are generated heads of
3000 × 4000 pixels, as JPEG with the quality and noise of a phone camera.
"""

import argparse
import asyncio
import http.client
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from bench.server import Server
from tests.portraits import scenes
from tests.soak import ws_load
from tests.soak.ws_load import UNLIMITED

MAX_RATIO = 2.0
QUESTIONS_A_SECOND = 100
PICTURES = 6
WIDTH, HEIGHT = 3000, 4000
AT_ONCE = 4
SENDERS = ("active", "no-card", "sealed", "lost")
_STATUS = "{ cardStatus { __typename ... on CardStatus { name state } } }"
_UPLOAD = (
    "mutation($file: Upload!) { uploadPortrait(file: $file) { __typename"
    " ... on PortraitPreview { accepted } } }"
)
_BOUNDARY = "a-boundary-of-the-benchmark"


@dataclass(slots=True)
class Sent:
    """Result of one run of uploads; times in seconds."""

    seconds: float = 0.0
    took: list[float] = field(default_factory=list)
    accepted: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.took) / self.seconds


def big_portraits(count: int, seed: Sequence[int] = (2026,)) -> list[bytes]:
    """Files as a phone camera writes them, each with another orientation."""
    found = []
    for number in range(count):
        scene = scenes.good_scene(np.random.default_rng([*seed, number]))
        scenes.scale(scene, WIDTH / scene.width)
        scene.height, scene.kind, scene.quality = HEIGHT, "JPEG", 92
        scene.centre = (scene.centre[0], HEIGHT * 0.42)
        scene.orientation = (6, 1, 8, 3)[number % 4]
        found.append(scenes.picture("big", scene).data)
    return found


def form(picture: bytes) -> bytes:
    operations = json.dumps({"query": _UPLOAD, "variables": {"file": None}})
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("operations", operations), ("map", '{"0": ["variables.file"]}'))
    ]
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="0"; filename="p.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return "".join(parts).encode() + head.encode() + picture + f"\r\n--{_BOUNDARY}--\r\n".encode()


# --- in processes of their own --------------------------------------------------------------


def ask(port: int, token: str, seconds: float) -> list[float]:
    """Response times in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"query": _STATUS})
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    took = []
    began = time.perf_counter()
    for number in range(int(seconds * QUESTIONS_A_SECOND)):
        due = began + number / QUESTIONS_A_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
        connection.request("POST", "/graphql", body, headers)
        answer = connection.getresponse().read()
        assert b'"CardStatus"' in answer, answer
        took.append((time.perf_counter() - due) * 1e3)
    return took


def send(
    port: int, tokens: Sequence[str], pictures: Sequence[bytes], seconds: float, rate: float
) -> Sent:
    """Sends at a fixed rate, however long each takes; at rate 0, keeps `AT_ONCE` in progress."""
    forms, sent = [form(picture) for picture in pictures], Sent()
    began = time.perf_counter()

    def one(number: int, due: float) -> None:
        time.sleep(max(0.0, due - time.perf_counter()))
        answer = _post(port, tokens[number % len(tokens)], forms[number % len(forms)])
        sent.took.append(time.perf_counter() - due)
        found = (answer.get("data") or {}).get("uploadPortrait") or {}
        sent.accepted += found.get("accepted") is True
        if found.get("__typename") != "PortraitPreview":
            sent.wrong.append(json.dumps(answer)[:200])

    def one_after_another(first: int) -> None:
        number = first
        while time.perf_counter() < began + seconds:
            one(number, time.perf_counter())
            number += AT_ONCE

    if rate:
        with ThreadPoolExecutor(64) as threads:
            for number in range(int(seconds * rate)):
                threads.submit(one, number, began + number / rate)
    else:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(one_after_another, range(AT_ONCE)))
    sent.seconds = time.perf_counter() - began
    return sent


def _post(port: int, token: str, body: bytes) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    headers = {"Content-Type": kind, "Authorization": f"Bearer {token}"}
    try:
        connection.request("POST", "/graphql", body, headers)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


class Apart:
    """A function running in another process."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_run_in_process, args=(theirs, function, arguments))
        self._process.start()
        assert self._ours.recv() == "ready"

    def go(self) -> None:
        self._ours.send("go")

    def answer(self) -> Any:
        found = self._ours.recv()
        self._process.join()
        return found


def _run_in_process(
    ours: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    ours.send("ready")
    ours.recv()
    ours.send(function(*arguments))


# --- the rounds -----------------------------------------------------------------------------


@dataclass(slots=True)
class Load:
    """Response times of `cardStatus` in milliseconds, by load of portraits, over all rounds."""

    name: str
    took: list[float] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    server_cpu: float = 0.0
    workers_cpu: float = 0.0

    def percentile(self, share: float) -> float:
        return float(np.percentile(self.took, share))

    def print(self) -> None:
        print(
            f"{self.name:<26} cardStatus p50 {self.percentile(50):6.2f} ms"
            f"  p99 {self.percentile(99):6.2f} ms  worst {max(self.took):6.1f} ms"
            f"  of {len(self.took)}"
        )
        if not self.sent:
            return
        times = [each for sent in self.sent for each in sent.took]
        print(
            f"{'':<26} portraits {statistics.mean(sent.rate for sent in self.sent):.2f} a second,"
            f" {len(times)} sent, {sum(sent.accepted for sent in self.sent)} accepted,"
            f" {sum(len(sent.wrong) for sent in self.sent)} without a verdict;"
            f" p50 {np.percentile(times, 50):.2f} s, p95 {np.percentile(times, 95):.2f} s,"
            f" worst {max(times):.2f} s"
        )
        print(
            f"{'':<26} CPU a portrait: {self.server_cpu / len(times) * 1e3:.0f} ms in the server,"
            f" {self.workers_cpu / len(times) * 1e3:.0f} ms in its workers"
        )


def measure(
    server: Server, load: Load, tokens: list[str], pictures: list[bytes], seconds: float,
    rate: float | None,
) -> None:  # fmt: skip
    asker = Apart(ask, server.port, tokens[0], seconds)
    sender = Apart(send, server.port, tokens, pictures, seconds, rate) if rate is not None else None
    alone, together = server.cpu_seconds(server.pid), server.cpu_seconds()
    if sender is not None:
        sender.go()
    asker.go()
    load.took += asker.answer()
    if sender is not None:
        load.sent.append(sender.answer())
        in_server = server.cpu_seconds(server.pid) - alone
        load.server_cpu += in_server
        load.workers_cpu += server.cpu_seconds() - together - in_server


async def sign_in(server: Server) -> list[str]:
    async with ws_load.client(server.url) as client:
        return [await ws_load.sign_in(client, persona) for persona in SENDERS]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rate", type=float, default=5)
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    pictures = big_portraits(PICTURES)
    size = statistics.mean(map(len, pictures)) / 1e6
    print(f"{len(pictures)} portraits of {WIDTH} × {HEIGHT}, {size:.1f} MB on average")
    idle, steady, full = Load("alone"), Load(f"{given.rate:g} portraits a second"), Load("as many as it can")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), **UNLIMITED)
        server.start()
        try:
            tokens = asyncio.run(sign_in(server))
            send(server.port, tokens, pictures, 3, 0)
            for _ in range(given.rounds):
                measure(server, idle, tokens, pictures, given.seconds, None)
                measure(server, steady, tokens, pictures, given.seconds, given.rate)
                measure(server, full, tokens, pictures, given.seconds, 0)
        finally:
            server.stop()
    for load in (idle, steady, full):
        load.print()
    ratio = steady.percentile(99) / idle.percentile(99)
    wrong = [text for sent in steady.sent for text in sent.wrong]
    late = max(sent.seconds for sent in steady.sent) - given.seconds
    print(
        f"p99 beside portraits / alone: {ratio:.2f}; the last portrait {late:+.1f} s after the end"
    )
    for text in wrong[:3]:
        print(text)
    passed = ratio <= MAX_RATIO and not wrong and late < 1.5
    print("passed" if passed else "FAILED")
    raise SystemExit(not passed)


if __name__ == "__main__":
    main()
