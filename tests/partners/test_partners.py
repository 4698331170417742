"""Every partner's client against the wire: what is asked, what is understood, what fails how."""

import asyncio
import base64
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias

import brotli
import httpx
import msgspec
import pytest
import respx
import structlog
from structlog.testing import LogCapture

from core.cards import CardState
from core.kernel.settings import Secret, Settings
from core.kernel.texts import Text
from core.partners import (
    IssuerCorrection,
    IssuerOrder,
    NotAccepted,
    OutcomeUnknown,
    PartnerFailed,
    Partners,
    RegionMove,
    RegistryCard,
    Rejected,
    ServiceRating,
    SmsMessage,
    build_partners,
)
from core.reference import InsuranceType
from tests.partners.samples import REGISTRY_CARD

NUMBER = "510104199104151236"
NAME = "林若溪"
PHONE = "19900001001"
KEY = "0123456789abcdef"
MOVE = RegionMove(NUMBER, "SAMPLE079", "510700", "510100")
PERSONAL = (NUMBER, NAME, PHONE, "SAMPLE079", "483920")

TLS = ssl.create_default_context()
"""Building one takes long enough to be done once."""

GIVEN: dict[str, Any] = {
    "sms_url": "https://sms.test",
    "sms_token": Secret("token-sms"),
    "population_registry_url": "https://population.test",
    "population_registry_token": Secret("token-population"),
    "insurance_registry_url": "https://insurance.test",
    "insurance_registry_token": Secret("token-insurance"),
    "card_registry_url": "https://cards.test/",
    "card_registry_token": Secret("token-cards"),
    "issuer_url": "https://issuer.test",
    "issuer_token": Secret("token-issuer"),
    "service_ratings_url": "https://ratings.test",
    "service_ratings_token": Secret("token-ratings"),
}

Call: TypeAlias = Callable[[Partners], Awaitable[Any]]

MESSAGE = SmsMessage(
    phone=PHONE, text="验证码 483920", template="CODE", purpose="BIND_CARD", code="483920"
)
ORDER = IssuerOrder(
    number="SBK202501060000000007",
    kind="APPLY",
    name=NAME,
    social_security_number=NUMBER,
    bank_code="SAMPLE-ICBC",
    outlet_code="SAMPLE-510104-1",
    portrait=b"\xff\xd8portrait",
)
CORRECTION = IssuerCorrection(
    number="SBK202501060000000007",
    fields={"postalCode": "610041"},
    portrait=b"\xff\xd8portrait",
    id_documents=[b"\xff\xd8front", b"\xff\xd8back"],
)

RATING = ServiceRating(
    service="REPORT_LOSS",
    service_name="挂失",
    channel="WECHAT",
    handled_at=datetime(2026, 12, 1, 9, tzinfo=UTC),
    rated_at=datetime(2026, 12, 1, 9, 5, tzinfo=UTC),
    score=5,
    comment="很快",
)

CARD = {
    "cardNumber": "SAMPLE079",
    "regionCode": "510700",
    "regionName": "绵阳市",
    "state": "1",
    "bankCode": "SAMPLE-CCB",
    "bankName": "中国建设银行",
    "issueDate": "2020-07-01",
}

LOOKUPS: dict[str, Call] = {
    "https://population.test/match": lambda p: p.population_registry.matches(NAME, NUMBER),
    "https://insurance.test/enrolments": lambda p: p.insurance_registry.enrolled(NUMBER),
    "https://cards.test/cards": lambda p: p.card_registry.cards_of(NUMBER),
    "https://cards.test/outcome": lambda p: p.card_registry.outcome(KEY),
    "https://sms.test/outcome": lambda p: p.sms.outcome(KEY),
    "https://issuer.test/outcome": lambda p: p.issuer.outcome(KEY),
    "https://ratings.test/outcome": lambda p: p.service_ratings.outcome(KEY),
}
EFFECTS: dict[str, Call] = {
    "https://sms.test/messages": lambda p: p.sms.send(MESSAGE, KEY),
    "https://cards.test/moves": lambda p: p.card_registry.move_region(MOVE, KEY),
    "https://issuer.test/orders": lambda p: p.issuer.order(ORDER, KEY),
    "https://issuer.test/orders/cancellations": lambda p: p.issuer.cancel("SBK1", KEY),
    "https://issuer.test/orders/outlets": lambda p: p.issuer.change_outlet("SBK1", "X-1", KEY),
    "https://issuer.test/orders/corrections": lambda p: p.issuer.correct(CORRECTION, KEY),
    "https://ratings.test/ratings": lambda p: p.service_ratings.rate(RATING, KEY),
}
CALLS = LOOKUPS | EFFECTS


def made(status: int, body: Any) -> httpx.Response:
    return httpx.Response(status, json=body)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.partners.base.MIN_PAUSE_SECONDS", 0)
    monkeypatch.setattr("core.partners.base.JITTER_MILLISECONDS", 1)


@asynccontextmanager
async def partners_of() -> AsyncIterator[Partners]:
    async with httpx.AsyncClient(verify=TLS) as http:
        yield build_partners(Settings(**GIVEN), http)


@pytest.fixture
async def partners() -> AsyncIterator[Partners]:
    async with partners_of() as built:
        yield built


@pytest.fixture
def wire() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


@pytest.fixture
def log() -> LogCapture:
    capture = LogCapture()
    structlog.configure(processors=[capture])
    return capture


def sent(route: respx.Route) -> Any:
    return json.loads(route.calls.last.request.content)


# --- what is asked and understood -----------------------------------------------------------


@pytest.mark.parametrize("answer", [True, False])
async def test_asks_the_population_registry(
    partners: Partners, wire: respx.MockRouter, answer: bool
) -> None:
    route = wire.post("https://population.test/match").respond(json={"matches": answer})

    assert await partners.population_registry.matches(NAME, NUMBER) is answer

    assert sent(route) == {"name": NAME, "socialSecurityNumber": NUMBER}
    assert route.calls.last.request.headers["Authorization"] == "Bearer token-population"


async def test_asks_the_insurance_registry(partners: Partners, wire: respx.MockRouter) -> None:
    route = wire.post("https://insurance.test/enrolments").respond(
        json={"insurances": ["110", "310", "330"]}
    )

    enrolled = await partners.insurance_registry.enrolled(NUMBER)

    assert enrolled == {InsuranceType.PENSION, InsuranceType.MEDICAL}
    assert sent(route) == {"socialSecurityNumber": NUMBER}


async def test_asks_the_card_registry(partners: Partners, wire: respx.MockRouter) -> None:
    route = wire.post("https://cards.test/cards").respond(json={"cards": [CARD]})

    cards = await partners.card_registry.cards_of(NUMBER)

    assert cards == [REGISTRY_CARD]
    assert sent(route) == {"socialSecurityNumber": NUMBER}


@pytest.mark.parametrize(
    ("region", "state", "held"),
    [
        ("510700", CardState.ACTIVE, True),
        ("500100", CardState.LOST, True),
        ("510700", CardState.CANCELLED, False),
        ("510100", CardState.ACTIVE, False),
    ],
)
def test_a_card_is_held_elsewhere_until_cancelled_or_moved_here(
    region: str, state: CardState, held: bool
) -> None:
    card = RegistryCard("SAMPLE079", region, "", state, "", "", "2020-07-01")

    assert card.is_held_elsewhere is held


async def test_sends_a_message(partners: Partners, wire: respx.MockRouter) -> None:
    route = wire.post("https://sms.test/messages").respond(202, json={"taken": True})

    await partners.sms.send(MESSAGE, KEY)

    assert sent(route) == {
        "phone": PHONE,
        "text": "验证码 483920",
        "template": "CODE",
        "purpose": "BIND_CARD",
        "code": "483920",
    }
    assert route.calls.last.request.headers["Idempotency-Key"] == KEY


async def test_forwards_a_rating(partners: Partners, wire: respx.MockRouter) -> None:
    route = wire.post("https://ratings.test/ratings").respond(json={"taken": True})

    await partners.service_ratings.rate(RATING, KEY)

    assert sent(route) == {
        "service": "REPORT_LOSS",
        "serviceName": "挂失",
        "channel": "WECHAT",
        "handledAt": "2026-12-01T09:00:00+00:00",
        "ratedAt": "2026-12-01T09:05:00+00:00",
        "score": 5,
        "comment": "很快",
    }
    assert route.calls.last.request.headers["Idempotency-Key"] == KEY


async def test_moves_a_region(partners: Partners, wire: respx.MockRouter) -> None:
    route = wire.post("https://cards.test/moves").respond(json={"taken": True})

    await partners.card_registry.move_region(MOVE, KEY)

    assert sent(route) == {
        "socialSecurityNumber": NUMBER,
        "cardNumber": "SAMPLE079",
        "fromRegion": "510700",
        "toRegion": "510100",
    }
    assert route.calls.last.request.headers["Idempotency-Key"] == KEY


async def test_places_an_order(partners: Partners, wire: respx.MockRouter) -> None:
    route = wire.post("https://issuer.test/orders").respond(json={"taken": True})

    await partners.issuer.order(ORDER, KEY)

    body = sent(route)
    assert base64.b64decode(body.pop("portrait")) == b"\xff\xd8portrait"
    assert body == {
        "orderNumber": "SBK202501060000000007",
        "kind": "APPLY",
        "name": NAME,
        "socialSecurityNumber": NUMBER,
        "bankCode": "SAMPLE-ICBC",
        "outletCode": "SAMPLE-510104-1",
    }


async def test_an_order_may_have_no_portrait(partners: Partners, wire: respx.MockRouter) -> None:
    route = wire.post("https://issuer.test/orders").respond(json={"taken": True})
    order = IssuerOrder("SBK1", "REISSUE", NAME, NUMBER, "SAMPLE-ICBC", "SAMPLE-510104-1")

    await partners.issuer.order(order, KEY)

    assert sent(route)["portrait"] is None


async def test_corrects_what_was_asked_for(partners: Partners, wire: respx.MockRouter) -> None:
    route = wire.post("https://issuer.test/orders/corrections").respond(json={"taken": True})

    await partners.issuer.correct(CORRECTION, KEY)

    body = sent(route)
    assert base64.b64decode(body.pop("portrait")) == b"\xff\xd8portrait"
    assert [base64.b64decode(side) for side in body.pop("idDocuments")] == CORRECTION.id_documents
    assert body == {"orderNumber": "SBK202501060000000007", "fields": {"postalCode": "610041"}}
    assert "610041" not in repr(CORRECTION)


@pytest.mark.parametrize("url", [url for url in LOOKUPS if url.endswith("/outcome")])
@pytest.mark.parametrize("taken", [True, False])
async def test_asks_whether_an_effect_was_taken(
    partners: Partners, wire: respx.MockRouter, url: str, taken: bool
) -> None:
    route = wire.post(url).respond(json={"taken": taken})

    assert await LOOKUPS[url](partners) is taken

    assert sent(route) == {"idempotencyKey": KEY}


# --- what fails how -------------------------------------------------------------------------


@pytest.mark.parametrize("url", CALLS)
@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
async def test_a_call_that_never_left_is_not_taken(
    partners: Partners, wire: respx.MockRouter, url: str, error: type[httpx.HTTPError]
) -> None:
    wire.post(url).mock(side_effect=error)

    with pytest.raises(NotAccepted) as raised:
        await CALLS[url](partners)

    assert isinstance(raised.value.__cause__, error)
    assert raised.value.reason == error.__name__


@pytest.mark.parametrize("url", CALLS)
@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_a_partner_that_is_busy_or_knows_us_not_has_not_taken_it(
    partners: Partners, wire: respx.MockRouter, url: str, status: int
) -> None:
    wire.post(url).respond(status, json={"code": "BUSY"})

    with pytest.raises(NotAccepted, match=f"HTTP {status}$"):
        await CALLS[url](partners)


@pytest.mark.parametrize("url", CALLS)
@pytest.mark.parametrize("status", [400, 404, 409, 422])
async def test_a_rejection_has_the_partners_code_and_is_asked_once(
    partners: Partners, wire: respx.MockRouter, url: str, status: int
) -> None:
    route = wire.post(url).respond(status, json={"code": "NOT_IN_REGION"})

    with pytest.raises(Rejected) as raised:
        await CALLS[url](partners)

    assert raised.value.code == "NOT_IN_REGION"
    assert route.call_count == 1


@pytest.mark.parametrize("url", CALLS)
@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.RemoteProtocolError]
)
async def test_a_call_that_broke_off_has_an_unknown_outcome(
    partners: Partners, wire: respx.MockRouter, url: str, error: type[httpx.HTTPError]
) -> None:
    wire.post(url).mock(side_effect=error)

    with pytest.raises(OutcomeUnknown) as raised:
        await CALLS[url](partners)

    assert isinstance(raised.value.__cause__, error)


@pytest.mark.parametrize("url", CALLS)
@pytest.mark.parametrize(
    "response",
    [
        made(500, {"code": "BROKEN"}),
        made(502, {"code": "BROKEN"}),
        made(200, {"other": 1}),
        made(200, ["matches"]),
        made(200, None),
        made(301, {"code": "MOVED"}),
        made(409, {"code": f"the card of {NAME}"}),
        made(409, {"code": "R" * 41}),
        made(409, {"code": "R" * 40 + "\n"}),
        httpx.Response(200, html="<html>维护中</html>"),
        httpx.Response(404, html="<html>Not Found</html>"),
        httpx.Response(503, html="<html>Service Unavailable</html>"),
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b'{"taken": tr'),
        httpx.Response(200, content=b'{"code": "\xff\xfe"}'),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, content=b" " * 1_048_577),
        *(
            httpx.Response(
                200, content=pack(b'{"taken": true}'), headers={"Content-Encoding": encoding}
            )
            for encoding, pack in {"br": brotli.compress, "gzip": gzip.compress}.items()
        ),
    ],
)
async def test_an_answer_that_is_not_understood_leaves_the_outcome_unknown(
    partners: Partners, wire: respx.MockRouter, url: str, response: httpx.Response
) -> None:
    wire.post(url).mock(return_value=response)

    with pytest.raises(OutcomeUnknown):
        await CALLS[url](partners)


async def test_partners_are_asked_for_what_is_not_compressed(
    partners: Partners, wire: respx.MockRouter
) -> None:
    for url, call in CALLS.items():
        route = wire.post(url).mock(return_value=httpx.Response(500))

        with pytest.raises(OutcomeUnknown):
            await call(partners)

        assert route.calls.last.request.headers["accept-encoding"] == "identity"


async def test_a_bound_on_what_is_unpacked_would_come_too_late() -> None:
    """The control: the client of httpx unpacks a whole packet before anybody can count."""

    async def packet() -> AsyncIterator[bytes]:
        yield brotli.compress(bytes(20_000_000))

    response = httpx.Response(200, headers={"Content-Encoding": "br"}, content=packet())

    assert [len(chunk) async for chunk in response.aiter_bytes()] == [20_000_000]


@pytest.mark.parametrize("url", CALLS)
async def test_a_partner_that_hangs_is_given_up(
    partners: Partners, wire: respx.MockRouter, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200)

    monkeypatch.setattr("core.partners.base.TOTAL_SECONDS", 0.02)
    wire.post(url).mock(side_effect=hang)

    with pytest.raises(OutcomeUnknown, match=r"time-out$"):
        await CALLS[url](partners)


@pytest.mark.parametrize(
    "card",
    [
        {"state": "7"},
        {"cardNumber": "sample079"},
        {"regionCode": "绵阳"},
        {"issueDate": "2020/07/01"},
        {"issueDate": "2020-07-01\n"},
        {"regionCode": "510700\n"},
        {"cardNumber": "SAMPLE079\n"},
        {"bankCode": ""},
        {"bankCode": "B" * 33},
        {"bankCode": "SAMPLE-CCB\n"},
        {"bankName": None},
    ],
)
async def test_a_card_that_makes_no_sense_is_not_understood(
    partners: Partners, wire: respx.MockRouter, card: dict[str, Any]
) -> None:
    wire.post("https://cards.test/cards").respond(json={"cards": [CARD | card]})

    with pytest.raises(OutcomeUnknown):
        await partners.card_registry.cards_of(NUMBER)


async def test_a_reply_that_is_nested_too_deep_is_unreadable(
    partners: Partners, wire: respx.MockRouter
) -> None:
    wire.post("https://cards.test/cards").respond(content=b'{"more":' + b"[" * 50_000)

    with pytest.raises(OutcomeUnknown):
        await partners.card_registry.cards_of(NUMBER)


def test_such_a_reply_ends_the_decoder_with_an_error_of_its_own() -> None:
    """The control: it is no decoding error."""
    with pytest.raises(RecursionError):
        msgspec.json.decode(b'{"more":' + b"[" * 50_000)


@pytest.mark.parametrize("url", EFFECTS)
async def test_an_effect_is_not_repeated(
    partners: Partners, wire: respx.MockRouter, url: str
) -> None:
    route = wire.post(url).mock(side_effect=httpx.ReadTimeout)

    with pytest.raises(OutcomeUnknown):
        await EFFECTS[url](partners)

    assert route.call_count == 1


@pytest.mark.parametrize("url", EFFECTS)
async def test_an_effect_that_the_partner_says_it_did_not_take_may_be_repeated(
    partners: Partners, wire: respx.MockRouter, url: str
) -> None:
    wire.post(url).respond(json={"taken": False})

    with pytest.raises(NotAccepted):
        await EFFECTS[url](partners)


async def test_a_lookup_is_repeated_once(partners: Partners, wire: respx.MockRouter) -> None:
    route = wire.post("https://population.test/match").mock(
        side_effect=[httpx.ReadTimeout, made(200, {"matches": True})]
    )

    assert await partners.population_registry.matches(NAME, NUMBER)

    assert route.call_count == 2


@pytest.mark.parametrize(
    ("url", "partner"),
    [
        ("https://sms.test/messages", Text("短信网关", "The SMS gateway")),
        ("https://population.test/match", Text("人口库", "The population registry")),
        ("https://insurance.test/enrolments", Text("社保参保系统", "The insurance registry")),
        ("https://cards.test/cards", Text("省社保卡管理系统", "The provincial card registry")),
        ("https://issuer.test/orders", Text("制卡中心", "The card issuer")),
        ("https://ratings.test/ratings", Text("好差评平台", "The service ratings platform")),
    ],
)
async def test_a_failure_names_the_partner(
    partners: Partners, wire: respx.MockRouter, url: str, partner: Text
) -> None:
    wire.post(url).mock(side_effect=httpx.ConnectError)

    with pytest.raises(PartnerFailed) as raised:
        await CALLS[url](partners)

    assert raised.value.partner == partner


# --- privacy --------------------------------------------------------------------------------


@pytest.mark.parametrize("url", CALLS)
async def test_neither_log_nor_exception_tells_anything_personal(
    partners: Partners,
    wire: respx.MockRouter,
    url: str,
    log: LogCapture,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    wire.post(url).respond(500, json={"code": f"{NAME} {NUMBER}"})

    with pytest.raises(PartnerFailed) as raised:
        await CALLS[url](partners)

    told = f"{log.entries} {caplog.text} {raised.value!r} {raised.value.__cause__!r}"
    assert [part for part in PERSONAL if part in told] == []
    assert log.entries[0]["event"] == "partner.failed"


def test_what_is_sent_shows_nothing_personal() -> None:
    card = RegistryCard("SAMPLE079", "510700", "绵阳市", CardState.ACTIVE, "", "", "2020-07-01")

    told = f"{MESSAGE!r} {ORDER!r} {card!r}"

    assert [part for part in PERSONAL if part in told] == []
    assert "portrait" not in told
