"""Hostile files: the quick part of `make soak-hostile-files`."""

import io
from collections.abc import Callable

import pytest
from PIL import Image

from core.imaging import (
    ProcessedDocument,
    ProcessedPortrait,
    Side,
    process_document,
    process_portrait,
)
from core.isolation import MEGABYTE, Bounds, IsolatedPool, ProcessingFailed
from tests.core import faulty_work
from tests.portraits import hostile
from tests.portraits.guards import megabytes_used_for

pytestmark = pytest.mark.slow

FILES = 3 * len(hostile.MAKERS)


@pytest.mark.parametrize(
    ("work", "options", "size"),
    [
        (process_portrait, (14_336, 40_960), (358, 441)),
        (process_document, (Side.PORTRAIT_SIDE,), (1180, 744)),
    ],
)
async def test_each_is_refused_or_cleaned_and_no_worker_dies(
    work: Callable[..., ProcessedPortrait | ProcessedDocument],
    options: tuple[object, ...],
    size: tuple[int, int],
) -> None:
    pool = IsolatedPool(Bounds(workers=1))
    first = (await pool.run(faulty_work.measure, b"")).process
    kept = 0

    for _, data in hostile.files(FILES):
        found = await pool.run(work, data, *options)
        if found.data:
            kept += 1
            assert hostile.is_clean(found.data)
            assert Image.open(io.BytesIO(found.data)).size == size

    assert 1 <= kept < FILES
    assert (await pool.run(faulty_work.measure, b"")).process == first
    pool.close()


def test_what_is_sent_does_hold_what_must_not_be_kept() -> None:
    sent = [data for kind, data in hostile.files(FILES) if kind in ("polyglot", "marked_inside")]

    assert sum(hostile.MARK in data for data in sent) > len(sent) / 2


BOMB = hostile.png(12_000, 12_000, hostile.zeros(18))


@pytest.mark.parametrize("guarded", [True, False])
async def test_the_limit_on_pixels_is_what_keeps_a_bomb_small(guarded: bool) -> None:
    pool = IsolatedPool(Bounds(workers=1))

    grew = await pool.run(megabytes_used_for, BOMB, guarded)

    pool.close()
    assert len(BOMB) < 50_000
    assert (grew < 40) if guarded else (grew > 100)


async def test_the_bound_on_memory_ends_what_the_limit_on_pixels_let_through() -> None:
    pool = IsolatedPool(Bounds(workers=1, memory_bytes=330 * MEGABYTE))

    with pytest.raises(ProcessingFailed):
        await pool.run(megabytes_used_for, BOMB, False)

    assert await pool.run(megabytes_used_for, BOMB, True) < 40
    pool.close()
