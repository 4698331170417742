"""短信网关 SMS gateway: sends one text message per call."""

from dataclasses import dataclass, field
from typing import Protocol

import httpx

from core.kernel.settings import Secret
from core.kernel.texts import Text
from core.partners.base import IdempotentPartner, PartnerClient

NAME = Text("短信网关", "The SMS gateway")


@dataclass(frozen=True, slots=True)
class SmsMessage:
    """`template` names the text at the SMS operator; `purpose` and `code` for verification codes only."""

    phone: str = field(repr=False)
    text: str = field(repr=False)
    template: str
    purpose: str | None = None
    code: str | None = field(default=None, repr=False)


class Sms(IdempotentPartner, Protocol):
    async def send(self, message: SmsMessage, idempotency_key: str) -> None:
        """Raises `PartnerFailed`."""


class HttpSms(PartnerClient):
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
        await self.execute("/messages", body, idempotency_key)
