"""短信网关 SMS gateway: takes one message at a time and hands it to the phone's carrier."""

from dataclasses import dataclass, field
from typing import Protocol

import httpx

from core.kernel.refusals import Text
from core.kernel.settings import Secret
from core.partners.base import Accountable, Connection

NAME = Text("短信网关", "The SMS gateway")


@dataclass(frozen=True, slots=True)
class SmsMessage:
    """`template` is the operator's name of the text; `purpose` and `code` only for a code."""

    phone: str = field(repr=False)
    text: str = field(repr=False)
    template: str
    purpose: str | None = None
    code: str | None = field(default=None, repr=False)


class Sms(Accountable, Protocol):
    async def send(self, message: SmsMessage, idempotency_key: str) -> None:
        """Raises `PartnerFailed`."""


class HttpSms(Connection):
    name = "sms"

    def __init__(self, http: httpx.AsyncClient, url: str, token: Secret) -> None:
        super().__init__(http, url, token, NAME)

    async def send(self, message: SmsMessage, idempotency_key: str) -> None:
        body = {
            "phone": message.phone,
            "text": message.text,
            "template": message.template,
            "purpose": message.purpose,
            "code": message.code,
        }
        await self.bring_about("/messages", body, idempotency_key)
