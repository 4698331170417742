"""Isolated pool: a worker that crashes, hangs or exhausts memory affects nothing else."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from core.isolation import MEGABYTE, Bounds, IsolatedPool, PoolBusy, ProcessingFailed
from tests.core import faulty_work

MEMORY = 256 * MEGABYTE


@pytest.fixture
async def pool() -> AsyncIterator[IsolatedPool]:
    pool = IsolatedPool(Bounds(workers=1, memory_bytes=MEMORY, seconds=5))
    yield pool
    pool.close()


async def test_answers_large_files_from_one_lasting_process(pool: IsolatedPool) -> None:
    seen = [await pool.run(faulty_work.measure, bytes(size)) for size in (0, 1, 11 * MEGABYTE)]

    assert [answer.size for answer in seen] == [0, 1, 11 * MEGABYTE]
    assert len({answer.process for answer in seen} - {os.getpid()}) == 1


async def test_hands_no_secret_down(pool: IsolatedPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARD_GATEWAY_SMS_TOKEN", "secret")

    assert (await pool.run(faulty_work.measure, b"")).secrets == []
    assert "CARD_GATEWAY_SMS_TOKEN" in faulty_work.measure(b"").secrets


@pytest.mark.parametrize(
    ("work", "argument"),
    [
        (faulty_work.crash, b""),
        (faulty_work.use_up_memory, MEMORY),
        (faulty_work.fail, b"510107"),
        (faulty_work.answer_wrongly, b""),
    ],
)
async def test_a_worker_that_fails_is_replaced(
    pool: IsolatedPool, work: Callable[..., Any], argument: object
) -> None:
    before = await pool.run(faulty_work.measure, b"")

    with structlog.testing.capture_logs() as logs, pytest.raises(ProcessingFailed):
        await pool.run(work, argument)

    after = await pool.run(faulty_work.measure, b"")
    assert after.process != before.process
    assert not _is_running(before.process)
    assert [entry["function"] for entry in logs] == [work.__name__]
    assert "510107" not in str(logs)


async def test_the_log_says_where_a_function_failed(pool: IsolatedPool) -> None:
    with structlog.testing.capture_logs() as logs, pytest.raises(ProcessingFailed):
        await pool.run(faulty_work.fail, b"510107")

    assert logs[0]["reason"].startswith("ValueError at faulty_work.py:")


async def test_memory_within_the_bound_is_granted(pool: IsolatedPool) -> None:
    assert await pool.run(faulty_work.use_up_memory, MEMORY // 2) == MEMORY // 2


async def test_memory_is_kept_for_the_next_file_and_given_back_at_rest(
    pool: IsolatedPool,
) -> None:
    process = (await pool.run(faulty_work.measure, b"")).process
    idle = _resident_mb(process)

    pages = [await pool.run(faulty_work.use_memory, 40) for _ in range(3)]
    at_work = _resident_mb(process)
    for _ in range(100):
        if _resident_mb(process) < idle + 10:
            break
        await asyncio.sleep(0.05)

    assert pages[0] > 9_000
    assert pages[2] < 1_000
    assert at_work > idle + 30
    assert _resident_mb(process) < idle + 10


@pytest.mark.parametrize("work", [faulty_work.hang, faulty_work.hang_in_native_code])
async def test_a_worker_that_hangs_is_ended_in_time(work: Callable[[bytes], int]) -> None:
    pool = IsolatedPool(Bounds(workers=1, seconds=1))
    started = time.monotonic()

    with pytest.raises(ProcessingFailed):
        await pool.run(work, b"")

    assert time.monotonic() - started < 4
    assert (await pool.run(faulty_work.measure, b"x")).size == 1
    pool.close()


async def test_writes_no_file(pool: IsolatedPool, tmp_path: Path) -> None:
    target = str(tmp_path / "taken")

    assert await pool.run(faulty_work.write_a_file, target) is False
    assert faulty_work.write_a_file(target) is True


@pytest.mark.slow
async def test_one_that_hangs_does_not_hold_up_the_others() -> None:
    pool = IsolatedPool(Bounds(workers=2, seconds=3))
    hanging = asyncio.create_task(pool.run(faulty_work.hang, b""))

    answers = [await pool.run(faulty_work.measure, b"x") for _ in range(5)]

    assert not hanging.done()
    assert {answer.size for answer in answers} == {1}
    with pytest.raises(ProcessingFailed):
        await hanging
    pool.close()


async def test_says_when_too_many_wait(pool: IsolatedPool) -> None:
    crowded = IsolatedPool(Bounds(workers=1, waiting=2))
    waiting = [asyncio.create_task(crowded.run(faulty_work.measure, b"x")) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(PoolBusy):
        await crowded.run(faulty_work.measure, b"x")

    assert [answer.size for answer in await asyncio.gather(*waiting)] == [1, 1, 1]
    crowded.close()


async def test_a_worker_ends_after_its_share_and_when_idle() -> None:
    pool = IsolatedPool(Bounds(workers=1, files_per_worker=2, idle_seconds=0.2))

    first, second, third = [await pool.run(faulty_work.measure, b"") for _ in range(3)]
    for _ in range(100):
        if not _is_running(third.process):
            break
        await asyncio.sleep(0.05)

    assert first.process == second.process != third.process
    assert not _is_running(third.process)
    assert (await pool.run(faulty_work.measure, b"")).process != third.process
    pool.close()


async def test_closing_ends_a_worker_at_work(pool: IsolatedPool) -> None:
    hanging = asyncio.create_task(pool.run(faulty_work.hang, b""))
    await asyncio.sleep(0.3)

    pool.close()

    with pytest.raises(ProcessingFailed):
        await hanging


def _resident_mb(process: int) -> float:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 / 1e6


def _is_running(process: int) -> bool:
    return Path(f"/proc/{process}").exists()
