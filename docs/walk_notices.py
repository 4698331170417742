"""Walks what a citizen is told, the history in words, ratings and receipts, through each channel.

make run                               # in one terminal
.venv/bin/python docs/walk_notices.py  # in another
"""

import argparse
from typing import Any

import httpx
from walk import CHANNELS, REFUSAL, FrontEnd, show

INBOX = """{ notices(first: 20) { unreadCount edges { node { id notice title text readAt } } } }"""
HISTORY = "{ serviceHistory(first: 20) { edges { node { id title resultText canRate score } } } }"
CHECK = (
    "query($n: String!, $c: String!) { verifyReceipt(number: $n, code: $c) {"
    f" __typename ... on ReceiptCheck {{ valid acceptedOn }} {REFUSAL} }} }}"
)


def walk(http: httpx.Client, channel: str) -> None:
    print(f"\n{channel}")
    waiting = FrontEnd(http, channel, "in-production")
    waiting.sign_in()
    for result in ("FAILED", *["DONE"] * 6):
        report = {"persona": "in-production", "result": result}
        http.post("/sandbox/issuer/advance", json=report)
    for days in ("P8D", "P78D"):
        http.post("/sandbox/clock", json={"advance": days}).raise_for_status()
    waiting.sign_in()
    _inbox(waiting)
    show("办理记录 history", [edge["node"] for edge in waiting.ask(HISTORY)["edges"]][:8])

    citizen = FrontEnd(http, channel, "lost")
    citizen.sign_in()
    receipt = citizen.do(
        "reissueCard",
        "ReissueCardInput",
        "CardReissued",
        "receipt { number checkCode }",
        pickupMethod="OUTLET",
        districtCode="510104",
        outletCode="SAMPLE-510104-1",
        phone=citizen.person["phone"],
        code=citizen.code("REISSUE_CARD"),
    )["receipt"]
    number, code = receipt["number"], receipt["checkCode"]
    show("核验回执 genuine", citizen.ask(CHECK, n=number, c=code))
    show("核验回执 another code", citizen.ask(CHECK, n=number, c="22222-22222"))
    show("回执二维码 page", http.get(f"/receipts/check?number={number}&code={code}").text)

    entry = next(edge["node"] for edge in citizen.ask(HISTORY)["edges"] if edge["node"]["canRate"])
    rating = {"historyEntryId": entry["id"], "score": 5, "comment": "很方便"}
    for title in ("服务评价 rating", "再次评价 again"):
        show(title, _rate(citizen, rating))
    show("好差评平台 forwarded", http.get("/sandbox/ratings").json())


def _inbox(citizen: FrontEnd) -> None:
    found = citizen.ask(INBOX)
    show("通知 unread", found["unreadCount"])
    for edge in found["edges"]:
        show(edge["node"]["title"], edge["node"]["text"])
    citizen.do("markNoticesRead", "MarkNoticesReadInput", "NoticesRead", "at")
    show("已读后 unread", citizen.ask(INBOX)["unreadCount"])


def _rate(citizen: FrontEnd, rating: dict[str, Any]) -> Any:
    return citizen.ask(
        f"mutation($i: RateServiceInput!) {{ rateService(input: $i) {{ __typename {REFUSAL} }} }}",
        i=rating,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--url", default="http://127.0.0.1:8000")
    with httpx.Client(base_url=options.parse_args().url, timeout=60) as http:
        for channel in CHANNELS:
            http.post("/sandbox/reset").raise_for_status()
            walk(http, channel)
        http.post("/sandbox/reset").raise_for_status()


if __name__ == "__main__":
    main()
