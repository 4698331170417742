"""Hostile files: the quick part of `make soak-hostile-files`."""

import io

import pytest
from PIL import Image

from core.portraits import process_portrait
from core.processing import Verdict
from core.studio import Bounds, PictureTrouble, Studio
from core.studio_worker import MEGABYTE
from tests.core import faulty_work
from tests.portraits import hostile
from tests.portraits.guards import megabytes_used_for

FILES = 4 * len(hostile.MAKERS)


async def test_each_is_refused_or_cleaned_and_no_worker_dies() -> None:
    studio = Studio(Bounds(workers=1))
    first = (await studio.run(faulty_work.measure, b"")).process
    kept = 0

    for _, data in hostile.files(FILES):
        found = await studio.run(process_portrait, data, 14_336, 40_960)
        if found.verdict is Verdict.ACCEPTED:
            kept += 1
            assert_is_clean(found.data)

    assert 10 < kept < FILES
    assert (await studio.run(faulty_work.measure, b"")).process == first
    studio.close()


def assert_is_clean(kept: bytes) -> None:
    """Pixels and the density; no other segment and nothing after the end."""
    assert hostile.MARK not in kept
    assert kept.endswith(b"\xff\xd9")
    assert kept.count(b"\xff\xd9") == 1
    picture = Image.open(io.BytesIO(kept))
    assert picture.size == (358, 441)
    assert set(picture.info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"}
    assert not any(
        marker in kept for marker in (b"\xff\xe1", b"\xff\xe2", b"\xff\xed", b"\xff\xfe")
    )


def test_what_is_sent_does_hold_what_must_not_be_kept() -> None:
    sent = [data for kind, data in hostile.files(FILES) if kind in ("polyglot", "marked_inside")]

    assert sum(hostile.MARK in data for data in sent) > len(sent) / 2


BOMB = hostile.png(12_000, 12_000, hostile.zeros(18))


@pytest.mark.parametrize("guarded", [True, False])
async def test_the_limit_on_pixels_is_what_keeps_a_bomb_small(guarded: bool) -> None:
    studio = Studio(Bounds(workers=1))

    grew = await studio.run(megabytes_used_for, BOMB, guarded)

    studio.close()
    assert len(BOMB) < 50_000
    assert (grew < 40) if guarded else (grew > 100)


async def test_the_bound_on_memory_ends_what_the_limit_on_pixels_let_through() -> None:
    studio = Studio(Bounds(workers=1, memory_bytes=330 * MEGABYTE))

    with pytest.raises(PictureTrouble):
        await studio.run(megabytes_used_for, BOMB, False)

    assert await studio.run(megabytes_used_for, BOMB, True) < 40
    studio.close()
