"""Orders of cards, as citizens and the card issuer see them."""

from typing import Any

from tests.front_end import FrontEnd, World
from tests.services.parts import application_of, keep_pictures, reissue_of

CHANNELS = ("WECHAT", "UNIONPAY", "PING_AN")
ROWS = ("applications", "production_orders", "production_nodes", "cards", "outbox", "pictures")

_PROGRESS = (
    "{ productionProgress { ... on ProductionProgress { applicationNumber pendingChange"
    " possibleChanges closed { reason reasonName message }"
    " nodes { node result message corrections { kind field label } } } } }"
)


async def apply(world: World, citizen: FrontEnd) -> str:
    """Applies for a card; the number of the application."""
    await keep_pictures(world, citizen)
    form = application_of(citizen.person, code=await citizen.code("APPLY_CARD"))
    answer = await citizen.do("applyCard", "applicationNumber", **form)
    assert answer["__typename"] == "CardApplied", answer
    await world.application.worker.drained()
    return str(answer["applicationNumber"])


async def reissue(world: World, citizen: FrontEnd) -> str:
    form = reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD"))
    answer = await citizen.do("reissueCard", "applicationNumber", **form)
    assert answer["__typename"] == "CardReissued", answer
    await world.application.worker.drained()
    return str(answer["applicationNumber"])


async def progress(citizen: FrontEnd) -> dict[str, Any]:
    """After what was under way has been delivered."""
    await citizen.inbox()
    answer: dict[str, Any] = await citizen.ask(_PROGRESS)
    return answer


async def results(citizen: FrontEnd) -> list[str]:
    return [node["result"] for node in (await progress(citizen))["nodes"]]


async def cancel_loss(citizen: FrontEnd) -> dict[str, Any]:
    return await citizen.do(
        "cancelLoss",
        "card { state }",
        phone=citizen.person.phone,
        cardNumber=citizen.person.card_number or "",
        code=await citizen.code("CANCEL_LOSS"),
    )


async def fail_issuer(world: World, path: str, kind: str, times: int = 99) -> None:
    given = {"partner": "issuer", "path": path, "fault": kind, "times": times}
    response = await world.http.post("/sandbox/partners/fault", json=given)
    assert response.status_code == 200, response.text
