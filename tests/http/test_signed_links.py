"""Signed links end with the session that they were made in."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from core.storage import PART_BYTES
from gateway.resolvers.signed_links import LinkKind
from tests.front_end import FrontEnd, World
from tests.services.parts import keep_pictures, later

_SIGN_OUT = "mutation { signOut { __typename } }"
_END = "mutation($id: ID!) { endSession(id: $id) { __typename } }"
_SESSIONS = "{ sessions { id current } }"
_RECEIPT = "{ receipt { ... on Receipt { pdfUrl } } }"
_FORM = "{ applicationForm { ... on ApplicationForm { portrait { url } } } }"

Link = Callable[[FrontEnd], Awaitable[str]]


async def picture(citizen: FrontEnd) -> str:
    return str((await citizen.ask(_FORM))["portrait"]["url"])


async def receipt(citizen: FrontEnd) -> str:
    return str((await citizen.ask(_RECEIPT))["pdfUrl"])


async def upload(citizen: FrontEnd) -> str:
    return str((await citizen.do("requestUpload", "url", size=2 * PART_BYTES))["url"])


LINKS: dict[Link, tuple[str, int, int]] = {
    picture: ("GET", 200, 403),
    receipt: ("GET", 200, 403),
    upload: ("HEAD", 204, 404),
}
"""How each is used, and the status of one that is valid and of one that has expired."""


@pytest.fixture
async def citizen(world: World, request: pytest.FixtureRequest) -> FrontEnd:
    """Pictures are shown to who can apply, receipts to who has applied."""
    kind = request.node.callspec.params.get("kind")
    found = await world.enter("no-card" if kind is picture else "in-production")
    await keep_pictures(world, found)
    return found


@pytest.mark.parametrize("kind", LINKS, ids=lambda kind: kind.__name__)
async def test_a_link_ends_with_its_session_and_with_no_other(
    world: World, citizen: FrontEnd, kind: Link
) -> None:
    method, valid, expired = LINKS[kind]
    elsewhere = await world.enter(citizen.person.id)
    ended, kept = await kind(citizen), await kind(elsewhere)
    before = (await world.http.request(method, ended)).status_code

    await citizen.ask(_SIGN_OUT)

    assert before == valid
    assert (await world.http.request(method, ended)).status_code == expired
    assert (await world.http.request(method, kept)).status_code == valid


@pytest.mark.parametrize("kind", LINKS, ids=lambda kind: kind.__name__)
async def test_a_link_ends_when_its_session_is_ended_from_elsewhere(
    world: World, citizen: FrontEnd, kind: Link
) -> None:
    method, _, expired = LINKS[kind]
    link = await kind(citizen)
    own = next(s["id"] for s in await citizen.ask(_SESSIONS) if s["current"])
    elsewhere = await world.enter(citizen.person.id)

    await elsewhere.ask(_END, id=own)

    assert (await world.http.request(method, link)).status_code == expired


@pytest.mark.parametrize("kind", LINKS, ids=lambda kind: kind.__name__)
async def test_a_link_does_not_outlive_its_session(
    world: World, citizen: FrontEnd, kind: Link
) -> None:
    """UnionPay's last an hour."""
    method, valid, expired = LINKS[kind]
    with later(minutes=55):
        link = await kind(citizen)
        assert (await world.http.request(method, link)).status_code == valid
    with later(minutes=64):
        assert (await world.http.request(method, link)).status_code == expired


@pytest.mark.parametrize("kind", LINKS, ids=lambda kind: kind.__name__)
async def test_a_link_cannot_be_moved_to_another_session(
    world: World, citizen: FrontEnd, kind: Link
) -> None:
    """The control: by naming a session that is open, an unsigned link would go on."""
    method, valid, expired = LINKS[kind]
    elsewhere = await world.enter(citizen.person.id)
    link, open_link = httpx.URL(await kind(citizen)), httpx.URL(await kind(elsewhere))
    await citizen.ask(_SIGN_OUT)
    moved = link.copy_set_param("session", open_link.params["session"])

    refused = await world.http.request(method, moved)
    record = int(link.path.rpartition("/")[2].partition(".")[0])
    unsigned = world.application.dependencies.seals.link(
        LinkKind(kind.__name__),
        record,
        int(link.params["citizen"]),
        int(open_link.params["session"]),
        int(link.params["expires"]),
    )
    allowed = await world.http.request(method, moved.copy_set_param("mac", unsigned))

    assert (refused.status_code, allowed.status_code) == (expired, valid)


@pytest.mark.parametrize("changed", [{"session": ""}, {"session": "9" * 5_000}, {"session": "-1"},
                                     {"expires": "9" * 5_000}, {"session": "１"}, {"mac": "é"}])  # fmt: skip
@pytest.mark.parametrize("kind", LINKS, ids=lambda kind: kind.__name__)
async def test_a_garbled_link_is_refused(
    world: World, citizen: FrontEnd, kind: Link, changed: dict[str, str]
) -> None:
    method, _, expired = LINKS[kind]
    link = httpx.URL(await kind(citizen)).copy_merge_params(changed)

    assert (await world.http.request(method, link)).status_code == expired


async def test_an_upload_in_progress_stops_at_the_sign_out(world: World, citizen: FrontEnd) -> None:
    link = await upload(citizen)

    async def parts() -> AsyncIterator[bytes]:
        yield b"x" * PART_BYTES
        await citizen.ask(_SIGN_OUT)
        yield b"x" * PART_BYTES

    refused = await world.http.put(
        link, content=parts(), headers={"Content-Length": str(2 * PART_BYTES)}
    )

    assert (refused.status_code, refused.json()["code"]) == (404, "NO_SUCH_UPLOAD")
    (row,) = (await world.rows("resumable_uploads"))["resumable_uploads"]
    assert row.received == PART_BYTES
