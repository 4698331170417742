"""Uploads that go on where the network cut them off, and what becomes of those left behind."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.convertors import CONVERTOR_TYPES, IntegerConvertor
from starlette.types import Message

from core.db import LostRace, Writes
from core.jobs import garbage_collection
from core.kernel.clock import DAY, HOUR
from core.kernel.settings import Settings
from core.storage import PART_BYTES, PictureKind, resumable_uploads
from tests.conftest import ADDRESS, running
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import application_of, keep_pictures, later, person_id


@pytest.fixture
async def citizen(world: World) -> FrontEnd:
    return await world.enter("no-card")


async def test_a_file_in_parts_is_used_as_one(http: httpx.AsyncClient, citizen: FrontEnd) -> None:
    card = _landscape(padding=3 * PART_BYTES)
    half = len(card) // 2
    asked = await _request(citizen, len(card))

    first = await _put(http, asked, card[:half], start=0, size=len(card))
    looked = await http.head(asked["url"])
    second = await _put(http, asked, card[half:], start=half, size=len(card))
    used = await _use(citizen, asked)

    assert (first.status_code, first.json()["received"]) == (202, half)
    assert (looked.status_code, looked.headers["Upload-Offset"]) == (204, str(half))
    assert looked.headers["Upload-Complete"] == "?0"
    assert (second.status_code, second.json()["complete"]) == (200, True)
    assert used["__typename"] == "IdDocumentUploaded"


async def test_what_came_before_the_connection_broke_is_kept(
    app: Starlette, http: httpx.AsyncClient, citizen: FrontEnd
) -> None:
    card = _landscape(padding=2 * PART_BYTES)
    asked = await _request(citizen, len(card))
    came = PART_BYTES + 1000

    await _break_off(app, asked, card[:came])
    looked = await http.head(asked["url"])
    rest = await _put(http, asked, card[came:], start=came, size=len(card))

    assert looked.headers["Upload-Offset"] == str(came)
    assert rest.json()["complete"] is True
    assert (await _use(citizen, asked))["__typename"] == "IdDocumentUploaded"


async def test_a_plain_put_sends_the_whole_file_again(
    http: httpx.AsyncClient, citizen: FrontEnd
) -> None:
    card = _landscape()
    asked = await _request(citizen, len(card))
    await _put(http, asked, b"something else", start=0, size=len(card))

    whole = await http.put(asked["url"], content=card)

    assert (whole.status_code, whole.json()["complete"]) == (200, True)
    assert (await _use(citizen, asked))["__typename"] == "IdDocumentUploaded"


async def test_a_part_that_does_not_follow_is_refused_and_told_where_to_go_on(
    http: httpx.AsyncClient, world: World, citizen: FrontEnd
) -> None:
    asked = await _request(citizen, 100)
    await _put(http, asked, b"x" * 40, start=0, size=100)
    before = await world.rows("resumable_uploads")

    refused = [
        await _put(http, asked, b"x" * 10, start=start, size=size)
        for start, size in ((0, 100), (39, 100), (41, 100), (40, 99))
    ]
    shapeless = await http.put(asked["url"], content=b"x", headers={"Content-Range": "bytes 4"})

    assert {(reply.status_code, reply.json()["code"]) for reply in refused} == {
        (409, "UPLOAD_OUT_OF_STEP")
    }
    assert refused[0].headers["Upload-Offset"] == "40"
    assert (shapeless.status_code, shapeless.json()["code"]) == (400, "INVALID_FORMAT")
    assert await world.rows("resumable_uploads") == before


async def test_of_two_parts_with_one_offset_the_first_is_stored(
    world: World, citizen: FrontEnd
) -> None:
    """Both were sent before either was there."""
    asked = await _request(citizen, 20)

    owner, database = await person_id(world, citizen.person), world.application.database
    upload = await resumable_uploads.find(database, owner, int(asked["uploadId"]))
    assert upload is not None
    first, second = Writes(), Writes()
    resumable_uploads.add_part(first, upload, 10, "first")
    resumable_uploads.add_part(second, upload, 10, "second")
    await database.apply(first)
    with pytest.raises(LostRace):
        await database.apply(second)

    assert await resumable_uploads.find(database, owner, upload.id) == replace(
        upload, received=10, parts=("first",)
    )


async def test_counts_what_comes_and_not_what_was_said(
    http: httpx.AsyncClient, world: World, citizen: FrontEnd
) -> None:
    asked = await _request(citizen, 100)
    before = await world.rows("resumable_uploads")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 65_536

    refused = await http.put(asked["url"], content=endless())

    assert (refused.status_code, refused.json()["code"]) == (413, "FILE_TOO_LARGE")
    assert await world.rows("resumable_uploads") == before


@pytest.mark.parametrize("change", ["mac", "expires", "id", "late"])
async def test_an_address_that_is_not_the_given_one_is_nobodys(
    http: httpx.AsyncClient, world: World, citizen: FrontEnd, change: str
) -> None:
    asked = await _request(citizen, 100)
    url = httpx.URL(asked["url"])
    changed = {
        "mac": url.copy_set_param("mac", "0" * 32),
        "expires": url.copy_set_param("expires", str(2**60)),
        "id": url.copy_with(path="/uploads/1"),
        "late": url,
    }[change]
    before = await world.rows("resumable_uploads")

    with later(seconds=2 * HOUR // 1000 if change == "late" else 0):
        refused = await http.put(changed, content=b"x")

    assert (refused.status_code, refused.json()["code"]) == (404, "NO_SUCH_UPLOAD")
    assert refused.json()["message"] == "上传已失效，请重新上传。"
    assert await world.rows("resumable_uploads") == before


async def test_another_persons_upload_and_none_are_refused_alike(
    http: httpx.AsyncClient, world: World, citizen: FrontEnd
) -> None:
    asked = await _request(citizen, 9)
    await http.put(asked["url"], content=b"a picture")
    other = await world.enter("active")
    before = await world.rows()

    answers = [await _use(other, {"uploadId": name}) for name in (asked["uploadId"], "1", "x")]

    assert answers[0]["code"] == "NO_SUCH_UPLOAD"
    assert answers[0] == answers[1] == answers[2]
    assert await world.rows() == before


async def test_an_incomplete_file_is_not_used(world: World, citizen: FrontEnd) -> None:
    asked = await _request(citizen, 9)
    before = await world.rows()

    refused = await _use(citizen, asked)

    assert (refused["code"], refused["field"]) == ("UPLOAD_INCOMPLETE", "uploadId")
    assert "0 / 9" in refused["message"]
    assert await world.rows() == before


@pytest.mark.parametrize(
    ("size", "code"), [(0, "FILE_EMPTY"), (-1, "FILE_EMPTY"), (10_485_761, "FILE_TOO_LARGE")]
)
async def test_refuses_a_size_that_cannot_be(
    world: World, citizen: FrontEnd, size: int, code: str
) -> None:
    before = await world.rows()

    refused = await _request(citizen, size)

    assert (refused["code"], refused["field"]) == (code, "size")
    assert await world.rows() == before


async def test_thirty_uploads_an_hour_are_enough(world: World, citizen: FrontEnd) -> None:
    for _ in range(30):
        assert "url" in await _request(citizen, 10)
    before = await world.rows("resumable_uploads")

    refused = await _request(citizen, 10)

    assert refused["code"] == "TOO_MANY_UPLOADS"
    assert 0 < refused["retryAfter"] <= 3600
    assert await world.rows("resumable_uploads") == before


async def test_what_is_left_behind_is_removed_after_a_day(
    http: httpx.AsyncClient, world: World, citizen: FrontEnd
) -> None:
    application = world.application
    objects, now = application.dependencies.objects, application.clock()
    abandoned = await _request(citizen, 10)
    await http.put(abandoned["url"], content=b"0123456789")
    await keep_pictures(world, citizen, confirmed=False)
    await keep_pictures(world, citizen)
    await keep_pictures(world, citizen, (PictureKind.PORTRAIT_REFUSED,), confirmed=False)
    await objects.put(b"its row was never committed", 1, now)

    at_once = await garbage_collection.remove(application.database, objects, now)
    kept_before = await world.rows("pictures", "resumable_uploads")
    after_a_day = await garbage_collection.remove(application.database, objects, now + DAY + HOUR)
    again = await garbage_collection.remove(application.database, objects, now + DAY + HOUR)
    rows = await world.rows("pictures", "resumable_uploads")

    assert at_once == 0
    assert len(kept_before["pictures"]) == 7
    assert (len(rows["pictures"]), rows["resumable_uploads"]) == (3, [])
    assert after_a_day == 1 + 3 + 1 + 1
    assert again == 0
    form = await citizen.ask(
        "{ applicationForm { ... on ApplicationForm { portrait { confirmed url } } } }"
    )
    assert (await http.get(form["portrait"]["url"])).content == b"a picture"


async def test_pictures_go_with_the_draft_they_belonged_to(world: World, citizen: FrontEnd) -> None:
    application = world.application
    await keep_pictures(world, citizen)
    now = application.clock()

    while_kept = await garbage_collection.remove(
        application.database, application.dependencies.objects, now + 29 * DAY
    )
    lapsed = await garbage_collection.remove(
        application.database, application.dependencies.objects, now + 31 * DAY
    )

    assert (while_kept, lapsed) == (0, 3)
    assert (await world.rows("pictures"))["pictures"] == []


async def test_a_confirmed_picture_stays_beside_a_newer_one(
    world: World, citizen: FrontEnd
) -> None:
    """The order that it was confirmed for may still be on its way to the card issuer."""
    await keep_pictures(world, citizen, (PictureKind.PORTRAIT,))
    await keep_pictures(world, citizen, (PictureKind.PORTRAIT,), confirmed=False)
    before = await world.rows("pictures")

    removed = await _collect(world, DAY + HOUR)

    assert removed == 0
    assert await world.rows("pictures") == before


async def test_a_picture_stays_beside_newer_ones_of_other_kinds_and_other_citizens(
    world: World, citizen: FrontEnd
) -> None:
    await keep_pictures(world, citizen, confirmed=False)
    await keep_pictures(world, await world.enter("minor"), confirmed=False)
    before = await world.rows("pictures")

    removed = await _collect(world, DAY + HOUR)

    assert removed == 0
    assert len(before["pictures"]) == 6
    assert await world.rows("pictures") == before


async def test_pictures_stay_with_the_application_that_was_made_of_them(
    world: World, citizen: FrontEnd
) -> None:
    await keep_pictures(world, citizen)
    code = await citizen.code("APPLY_CARD")
    applied = await citizen.do("applyCard", **application_of(citizen.person, code=code))
    before = await world.rows("pictures")

    removed = await _collect(world, 31 * DAY)

    assert applied["__typename"] == "CardApplied"
    assert removed == 0
    assert await world.rows("pictures") == before


async def test_pictures_stay_while_their_draft_does(world: World, citizen: FrontEnd) -> None:
    await keep_pictures(world, citizen)
    await citizen.ask(
        "mutation($i: ApplicationDraftInput!) { saveApplicationDraft(input: $i) { __typename } }",
        i={"name": citizen.person.name},
    )
    before = await world.rows("pictures")

    removed = await _collect(world, 31 * DAY)

    assert removed == 0
    assert await world.rows("pictures") == before


async def _collect(world: World, after: int) -> int:
    """How many objects are removed so many milliseconds from now."""
    application = world.application
    now = application.clock() + after
    return await garbage_collection.remove(
        application.database, application.dependencies.objects, now
    )


async def _request(citizen: FrontEnd, size: int) -> dict[str, Any]:
    return await citizen.do("requestUpload", "uploadId url expiresAt", size=size)


async def _put(
    http: httpx.AsyncClient, asked: dict[str, Any], data: bytes, *, start: int, size: int
) -> httpx.Response:
    said = f"bytes {start}-{start + len(data) - 1}/{size}"
    return await http.put(asked["url"], content=data, headers={"Content-Range": said})


async def _use(citizen: FrontEnd, asked: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = await citizen.ask(
        "mutation($id: ID!) { uploadIdDocumentFrom(side: PORTRAIT_SIDE, uploadId: $id)"
        f" {{ __typename {REFUSAL} }} }}",
        id=asked["uploadId"],
    )
    return answer


async def _break_off(app: Starlette, asked: dict[str, Any], data: bytes) -> None:
    """Sends the data and then hangs up, as a phone in a lift does."""
    url = httpx.URL(asked["url"])
    messages: list[Message] = [
        {"type": "http.request", "body": data[at : at + 65_536], "more_body": True}
        for at in range(0, len(data), 65_536)
    ]
    messages.append({"type": "http.disconnect"})

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        return None

    await app(
        {
            "type": "http",
            "method": "PUT",
            "path": url.path,
            "query_string": url.query,
            "headers": [(b"host", b"gateway")],
            "client": ("127.0.0.1", 1),
        },
        receive,
        send,
    )


def _landscape(padding: int = 0) -> bytes:
    """`padding` makes it larger by a comment of so many bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (1000, 630), "white").save(buffer, "PNG")
    return buffer.getvalue() + b"\0" * padding


@pytest.mark.parametrize("length", [9, 11])
@pytest.mark.parametrize("told", [True, False])
async def test_a_body_of_another_length_than_its_range_is_refused(
    http: httpx.AsyncClient, world: World, citizen: FrontEnd, length: int, *, told: bool
) -> None:
    asked = await _request(citizen, 100)
    before = await world.rows("resumable_uploads")

    async def untold() -> AsyncIterator[bytes]:
        yield b"x" * length

    refused = await http.put(
        asked["url"],
        content=b"x" * length if told else untold(),
        headers={"Content-Range": "bytes 0-9/100"},
    )

    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_FORMAT")
    assert refused.headers["Upload-Offset"] == "0"
    assert await world.rows("resumable_uploads") == before


@pytest.mark.parametrize("said", ["bytes 9-0/100", "bytes 0-100/100", "bytes 0-9/*"])
async def test_a_range_that_cannot_be_is_refused(
    http: httpx.AsyncClient, citizen: FrontEnd, said: str
) -> None:
    asked = await _request(citizen, 100)

    refused = await http.put(asked["url"], content=b"x" * 10, headers={"Content-Range": said})

    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_FORMAT")


@pytest.mark.parametrize("number", ["9" * 5_000, "0" * 5_000, str(2**63), str(2**64)])
@pytest.mark.parametrize("path", ["/uploads/{}", "/pictures/{}", "/receipts/{}.pdf"])
async def test_a_number_that_no_record_has_is_refused_as_any_other(
    http: httpx.AsyncClient, path: str, number: str
) -> None:
    """`int` refuses more than 4,300 digits, and no column holds more than 63 bits."""
    method = "PUT" if path.startswith("/uploads") else "GET"
    other = await http.request(method, path.format(1), params={"expires": "1", "mac": "0"})

    for given in ((number, "1", "0"), ("1", number, "0"), ("1", "1", number)):
        answer = await http.request(
            method, path.format(given[0]), params={"expires": given[1], "mac": given[2]}
        )

        assert (answer.status_code, answer.content) == (other.status_code, other.content)


async def test_with_starlettes_own_numbers_one_would_be_an_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setitem(CONVERTOR_TYPES, "record_id", IntegerConvertor())
    async with running(settings) as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http:
            answer = await http.get(f"/pictures/{'9' * 5_000}?expires=1&mac=0")

    assert answer.status_code == 500
