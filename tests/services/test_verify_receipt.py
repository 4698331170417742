"""核验回执: anybody with the paper learns whether it is genuine, and nobody guesses a code."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from core.crypto import KeyRing, Seals
from core.kernel.clock import china_date
from core.production import receipts
from tests.front_end import REFUSAL, FrontEnd, World, as_read
from tests.services.parts import later, reissue_of

CHECK = (
    "query($n: String!, $c: String!) { verifyReceipt(number: $n, code: $c)"
    f" {{ __typename ... on ReceiptCheck {{ valid acceptedOn }} {REFUSAL} }} }}"
)
GENUINE = "回执有效。受理日期："


@pytest.fixture(params=["WECHAT", "UNIONPAY", "PING_AN"])
async def receipt(world: World, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Of a reissue, in each channel."""
    citizen = await world.enter("lost", request.param)
    answer = await citizen.do(
        "reissueCard",
        "receipt { number checkCode }",
        **reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD")),
    )
    found: dict[str, Any] = answer["receipt"]
    return found


async def check(world: World, number: str, code: str) -> Any:
    """By somebody without a session."""
    anybody = world.front_end("active")
    return await anybody.ask(CHECK, n=number, c=code)


def altered(code: str) -> Iterator[str]:
    for place, letter in enumerate(code):
        if letter != "-":
            yield code[:place] + ("2" if letter != "2" else "3") + code[place + 1 :]


async def test_who_holds_the_paper_learns_that_it_is_genuine(
    world: World, receipt: dict[str, Any]
) -> None:
    number, code = receipt["number"], receipt["checkCode"]
    today = f"{china_date(world.application.clock()):%Y-%m-%d}"

    found = await check(world, number, code)
    typed = await check(world, f" {number.lower()}", code.lower().replace("-", " "))
    page = await world.http.get("/receipts/check", params={"number": number, "code": code})

    assert re.fullmatch("[2-9A-HJ-NP-Z]{5}-[2-9A-HJ-NP-Z]{5}", code)
    genuine = {"__typename": "ReceiptCheck", "valid": True, "acceptedOn": today}
    assert (found, typed) == (genuine, genuine)
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert f"{GENUINE}{today}" in as_read(page.text)


async def test_anything_else_is_answered_in_the_same_words(
    world: World, receipt: dict[str, Any]
) -> None:
    number, code = receipt["number"], receipt["checkCode"]
    before = await world.rows()
    seals = world.application.dependencies.seals
    unknown = "SBK202601010000000000"

    answers = [await check(world, number, wrong) for wrong in altered(code)]
    answers += [
        await check(world, unknown, code),
        await check(world, unknown, receipts.check_code(seals, unknown)),
        await check(world, "", ""),
    ]
    script = {"number": "<script>", "code": "<b>"}
    page = await world.http.get("/receipts/check", params=script)

    assert len(answers) == 13
    no = {"__typename": "ReceiptCheck", "valid": False, "acceptedOn": None}
    assert [answer for answer in answers if answer != no] == []
    assert "没有查到" in page.text
    assert "script" not in page.text
    assert await world.rows() == before


def test_a_paper_is_genuine_as_long_as_audit_keys_are_kept() -> None:
    old, new = b"o" * 32, b"n" * 32
    peppers = KeyRing({"p": b"p" * 32})
    number = "SBK202601010000000000"
    printed = receipts.check_code(Seals(peppers, KeyRing({"old": old})), number)

    rotated = Seals(KeyRing({"q": b"q" * 32}), KeyRing({"new": new, "old": old}))

    assert receipts.is_check_code(rotated, number, printed)
    assert receipts.check_code(rotated, number) != printed
    assert not receipts.is_check_code(Seals(peppers, KeyRing({"new": new})), number, printed)


async def test_the_page_asks_for_what_is_on_the_paper(world: World) -> None:
    before = await world.rows()

    page = await world.http.get("/receipts/check")
    in_english = await world.http.get("/receipts/check", headers={"Accept-Language": "en"})

    assert page.status_code == in_english.status_code == 200
    assert "没有查到" not in page.text
    assert "申请编号" in page.text
    assert "Check code" in in_english.text
    assert 'name="number"' in page.text
    assert page.headers.get_list("content-security-policy") == [
        "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ]
    assert await world.rows() == before


async def test_a_code_cannot_be_guessed(world: World, receipt: dict[str, Any]) -> None:
    number, code = receipt["number"], receipt["checkCode"]
    for _ in range(20):
        assert (await check(world, number, "22222-22222"))["valid"] is False
    before = await world.rows()

    refused = await check(world, number, code)
    page = await world.http.get("/receipts/check", params={"number": number, "code": code})
    another = await check(world, "SBK202601010000000000", code)

    assert refused["code"] == "TOO_MANY_TRIES"
    assert refused["retryAfter"] > 3_000
    assert page.status_code == 429
    assert GENUINE not in page.text
    assert another["valid"] is False
    assert await world.rows() == before
    with later(hours=1, seconds=1):
        assert (await check(world, number, code))["valid"] is True


async def test_a_network_may_check_so_many(world: World, active: FrontEnd) -> None:
    answers = [await check(world, f"SBK{number}", "x") for number in range(601)]

    assert [answer["__typename"] for answer in answers] == ["ReceiptCheck"] * 600 + ["Refusal"]
    assert answers[-1]["code"] == "TOO_MANY_TRIES"
