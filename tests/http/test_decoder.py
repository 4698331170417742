"""Whatever bytes come, the decoder answers with a refusal: a quick version of `make fuzz`."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.http.admission import parameters
from tests.conftest import running, settings_for
from tests.soak.fuzz_decoder import SEEDS, decoder
from tests.sockets import Line

run = decoder()


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A seed with pieces cut out, put in and swapped."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 8)))
        data[start:end] = draw(
            st.binary(max_size=8) | st.sampled_from([b"null", b"[]", b"{}", b"."])
        )
    return bytes(data)


# Of a form that breaks off within a file, starlette leaves the file to be collected.
@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning"
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated() | st.binary(max_size=200))
def test_no_input_is_a_500(data: bytes) -> None:
    run(data)


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_the_seeds_are_read(seed: bytes) -> None:
    run(seed)


def test_finds_a_decoder_that_does_not_translate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with one translation of errors taken out, an input ends in something else."""

    def place(operations: Any, path: str, file: object) -> None:
        operations[path.split(".")[0]][path.split(".")[1]] = file

    monkeypatch.setattr(parameters, "_place", place)

    with pytest.raises((KeyError, IndexError, TypeError, AttributeError)):
        run(SEEDS[7].replace(b"variables.f", b"nothing.f"))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No statement differs here: one engine is enough."""
    return sqlite_url


MESSAGES = [
    "",
    "x",
    "[]",
    "1",
    "null",
    '"x"',
    "{}",
    '{"type": 1}',
    '{"type": null}',
    '{"type": "unknown"}',
    '{"type": "subscribe"}',
    '{"type": "subscribe", "id": 1, "payload": {"query": "{ __typename }"}}',
    '{"type": "subscribe", "id": [], "payload": {"query": "{ __typename }"}}',
    '{"type": "subscribe", "id": "", "payload": {"query": "{ __typename }"}}',
    '{"type": "subscribe", "id": "1"}',
    '{"type": "subscribe", "id": "1", "payload": null}',
    '{"type": "subscribe", "id": "1", "payload": []}',
    '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{"}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "variables": []}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "operationName": {}}}',
    '{"type": "complete"}',
    '{"type": "complete", "id": {}}',
    '{"type": "connection_init", "payload": {}}',
    '{"type": "ping", "payload": []}',
    "[" * 5_000,
]


async def test_a_sockets_message_is_answered_or_closes_it(database_url: str, tmp_path: Any) -> None:
    answers: dict[str, dict[str, Any]] = {}
    async with running(settings_for(database_url, tmp_path)) as app:
        for text in MESSAGES:
            line = Line(app, {"Host": "127.0.0.1:8000"})
            await line.begin()
            await line.send_text(text)
            answers[text] = dict(await line.receive())
            await line.hang_up()

    codes = {text: answer.get("code", 4400) for text, answer in answers.items()}
    texts = [answer.get("text", "") for answer in answers.values()]
    assert {text: code for text, code in codes.items() if not 4400 <= code < 4500} == {}
    assert [text for text in texts if "Traceback" in text or "errorId" in text] == []
