"""Walks from every refusal to its next step, for every persona in each of the three channels.

    make run                                  # in one terminal
    .venv/bin/python docs/walk_next_steps.py  # in another

It prints why each service is refused and what is to be done instead, and does it.
"""

import argparse
from collections.abc import Callable
from typing import Any

import httpx
from walk import (
    CHANNELS,
    REFUSAL,
    FrontEnd,
    activate,
    apply,
    cancel_loss,
    progress,
    reissue,
    report_loss,
    show,
    status,
    transfer_in,
)

SERVICES = (
    "{ viewer { services { service title note reason { message nextStep { service phone } } } } }"
)
FORM = f"{{ applicationForm {{ ... on ApplicationForm {{ note }} {REFUSAL} }} }}"


def _activate(citizen: FrontEnd) -> Any:
    return activate(citizen, progress(citizen)["cardNumber"])


DO: dict[str, Callable[[FrontEnd], Any]] = {
    "APPLY_CARD": apply,
    "ACTIVATE_CARD": _activate,
    "REPORT_LOSS": report_loss,
    "CANCEL_LOSS": cancel_loss,
    "TRANSFER_IN": transfer_in,
    "REISSUE_CARD": reissue,
    "PRODUCTION_PROGRESS": progress,
    "CARD_STATUS": status,
}


def walk(http: httpx.Client, channel: str) -> None:
    print(f"\n{channel}")
    for persona in http.get("/sandbox/personas").json():
        citizen = enter(http, channel, persona["id"])
        print(f" {persona['id']}：{persona['description']}")
        citizen.ask(FORM)
        services = citizen.ask(SERVICES)["services"]
        reasons = [(one["title"], one["reason"]) for one in services if one["reason"]]
        for title, reason in reasons:
            show(title, reason["message"])
        for service in {reason["nextStep"]["service"]: None for _, reason in reasons}:
            if service is not None:
                done = DO[service](enter(http, channel, persona["id"]))
                show(f"→ {service}", done.get("__typename", "shown"))


def wait_for_no_registry(http: httpx.Client, channel: str) -> None:
    """A card registry that takes two seconds holds nobody up."""
    citizen = enter(http, channel, "other-city")
    http.post(
        "/sandbox/partners/fault",
        json={"partner": "card-registry", "path": "/cards", "fault": "SLOW"},
    ).raise_for_status()
    show("省系统无响应", citizen.ask(FORM))


def enter(http: httpx.Client, channel: str, persona: str) -> FrontEnd:
    http.post("/sandbox/reset").raise_for_status()
    citizen = FrontEnd(http, channel, persona)
    citizen.sign_in()
    return citizen


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--url", default="http://127.0.0.1:8000")
    with httpx.Client(base_url=options.parse_args().url, timeout=30) as http:
        for channel in CHANNELS:
            walk(http, channel)
            wait_for_no_registry(http, channel)


if __name__ == "__main__":
    main()
