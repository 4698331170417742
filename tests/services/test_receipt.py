"""受理回执 receipt: the answer, its PDF and the QR code on it, through HTTP."""

import sys
from collections.abc import AsyncIterator
from typing import Any

import cv2
import pypdfium2
import pytest

from core.isolation import IsolatedPool
from core.production import print_receipt
from core.production.receipts import ApplicationReceipt, Line
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import application_of, fault, keep_pictures, later, reissue_of

pytestmark = pytest.mark.slow

_RECEIPT = "{ receipt { __typename ... on Receipt { number appliedAt pdfUrl }" + f" {REFUSAL} }} }}"
CHECK_PAGE = "http://127.0.0.1:8000/receipts/check"


@pytest.fixture
async def applied(world: World) -> tuple[FrontEnd, dict[str, Any]]:
    """A citizen who has just applied, and the answer."""
    citizen = await world.enter("no-card")
    await keep_pictures(world, citizen)
    answer = await citizen.do(
        "applyCard",
        "applicationNumber receipt { number checkCode appliedAt pdfUrl }",
        **application_of(citizen.person, code=await citizen.code("APPLY_CARD")),
    )
    return citizen, answer


async def test_an_application_is_answered_with_its_receipt(
    world: World, applied: tuple[FrontEnd, dict[str, Any]]
) -> None:
    citizen, answer = applied
    person, receipt = citizen.person, answer["receipt"]

    response = await world.http.get(receipt["pdfUrl"])
    text, codes = _read(response.content)

    assert receipt["number"] == answer["applicationNumber"]
    assert response.headers["content-type"] == "application/pdf"
    assert response.headers["cache-control"] == "private, no-store"
    for said in (
        "社会保障卡申办受理回执",
        receipt["number"],
        "唐**",
        "510***********1451",
        "199****1008",
        "中国工商银行",
        "锦江区",
        "（北京时间）",
        receipt["checkCode"],
    ):
        assert said in text
    for kept_back in (person.name, person.social_security_number, person.phone):
        assert kept_back not in text
        assert kept_back.encode() not in response.content
    assert codes == [f"{CHECK_PAGE}?number={receipt['number']}&code={receipt['checkCode']}"]
    assert "fpdf" not in sys.modules, "the server itself prints nothing"


async def test_the_receipt_can_be_had_again_later(
    world: World, applied: tuple[FrontEnd, dict[str, Any]]
) -> None:
    citizen, answer = applied

    with later(days=40):
        await citizen.sign_in()
        again = await citizen.ask(_RECEIPT)
        response = await world.http.get(again["pdfUrl"])

    assert again["number"] == answer["applicationNumber"]
    assert again["appliedAt"] == answer["receipt"]["appliedAt"]
    assert again["number"] in _read(response.content)[0]


async def test_a_reissue_has_a_receipt_too(world: World) -> None:
    citizen = await world.enter("lost")
    answer = await citizen.do(
        "reissueCard",
        "applicationNumber receipt { number pdfUrl }",
        **reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD")),
    )

    text, _ = _read((await world.http.get(answer["receipt"]["pdfUrl"])).content)
    later_on = await citizen.ask(_RECEIPT)

    assert later_on["number"] == answer["receipt"]["number"] == answer["applicationNumber"]
    assert "社会保障卡补卡受理回执" in text
    assert answer["applicationNumber"] in text


async def test_who_never_applied_is_refused(world: World) -> None:
    citizen = await world.enter("no-card")

    answer = await citizen.ask(_RECEIPT)

    assert fault(answer) == ("NO_APPLICATION", None)


async def test_a_link_opens_one_receipt_for_ten_minutes(
    world: World, applied: tuple[FrontEnd, dict[str, Any]]
) -> None:
    link = applied[1]["receipt"]["pdfUrl"]
    neighbour = await world.enter("in-production")
    theirs = (await neighbour.ask(_RECEIPT))["pdfUrl"]
    own_path, own_mac = link.split("?")
    their_path, their_mac = theirs.split("?")

    refused = [
        f"{their_path}?{own_mac}",
        f"{own_path}?{their_mac}",
        own_path,
        link.replace("expires=", "expires=9"),
        link[:-1] + ("0" if link[-1] != "0" else "1"),
        link + "０",
    ]

    assert [(await world.http.get(url)).status_code for url in refused] == [403] * len(refused)
    assert (await world.http.get(theirs)).status_code == 200
    with later(minutes=11):
        assert (await world.http.get(link)).status_code == 403


# --- the page itself -----------------------------------------------------------------------


@pytest.fixture
async def printer() -> AsyncIterator[IsolatedPool]:
    printer = IsolatedPool()
    yield printer
    printer.close()


async def test_prints_what_the_font_lacks_as_the_mark_for_it(printer: IsolatedPool) -> None:
    text, _ = _read(await printer.run(print_receipt, _receipt(Line("姓名", "Name", "𠮷**"))))

    assert "〓**" in text


async def test_a_long_value_takes_several_lines_of_one_page(printer: IsolatedPool) -> None:
    address = "成都市锦江区" + "很长的路" * 48
    lines = [Line("网点地址", "Address", address)] + [Line("姓名", "Name", "王*")] * 9

    pdf = await printer.run(print_receipt, _receipt(*lines))
    text, codes = _read(pdf)

    assert address in "".join(text.split())
    assert text.count("王*") == 9
    assert codes == [CHECK_PAGE]
    assert len(pypdfium2.PdfDocument(pdf)) == 1


def _receipt(*lines: Line) -> ApplicationReceipt:
    return ApplicationReceipt("SBK202601010123456789", "回执", "Receipt", lines, CHECK_PAGE)


def _read(pdf: bytes) -> tuple[str, list[str]]:
    """The text of the only page, and what its QR codes say as a camera would read them."""
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 1
    page = document[0]
    text = page.get_textpage().get_text_bounded()
    pixels = page.render(scale=150 / 72).to_numpy()
    found, codes, _, _ = cv2.QRCodeDetectorAruco().detectAndDecodeMulti(pixels)
    return text, list(codes) if found else []
