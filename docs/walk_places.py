"""Walks what people really type, and where and when a card is collected, through each channel.

make run                              # in one terminal
.venv/bin/python docs/walk_places.py  # in another
"""

import argparse
from typing import Any

import httpx
from walk import CHANNELS, REFUSAL, FrontEnd, show

WHERE = (
    "{ productionProgress { ... on ProductionProgress { nodes { result } collectBy nextStep { service message phone }"
    f" outlet {{ name address phone openingHours instantIssue }} }} {REFUSAL} }} }}"
)


def walk(http: httpx.Client, channel: str) -> None:
    print(f"\n{channel}")
    waiting = FrontEnd(http, channel, "in-production")
    waiting.sign_in()
    show("领卡区县 districts", waiting.ask("{ districts { code name } }")[:3])
    show("开户银行 banks", waiting.ask("{ banks { code name } }")[:3])
    for _ in range(6):
        http.post("/sandbox/issuer/advance", json={"persona": "in-production"})
    show("领卡网点 outlet", waiting.ask(WHERE))
    inbox = http.get("/sandbox/sms", params={"phone": waiting.person["phone"]}).json()
    show("可领卡短信 SMS", inbox[0]["text"])

    citizen = FrontEnd(http, channel, "active")
    citizen.sign_in()
    code = citizen.code("REPORT_LOSS")
    typed = {"phone": "＋８６ 199-0000 1001", "code": f"{code[:3]} {code[3:]}"}
    show("挂失 as typed", {**typed, "answer": _report_loss(citizen, **typed)})
    password = {"oldPassword": citizen.person["servicePassword"]}
    for new in ("12121212", "12344321", "６０３１８５２７"):
        both = {"newPassword": new, "confirmPassword": new}
        answer = citizen.ask(
            "mutation($i: ChangePasswordInput!) { changePassword(input: $i) { __typename"
            f" {REFUSAL} }} }}",
            i=password | both,
        )
        show(f"新密码 {new}", answer)


def _report_loss(citizen: FrontEnd, **given: Any) -> Any:
    return citizen.do("reportLoss", "ReportLossInput", "LossReported", "card { state }", **given)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--url", default="http://127.0.0.1:8000")
    with httpx.Client(base_url=options.parse_args().url, timeout=30) as http:
        for channel in CHANNELS:
            http.post("/sandbox/reset").raise_for_status()
            walk(http, channel)


if __name__ == "__main__":
    main()
