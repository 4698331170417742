"""Test clients: a citizen's front-end, and the world around it.

They talk to the gateway over HTTP only. `World.rows` reads the database, so that a test of a
refusal can show that nothing changed.
"""

import json
from collections import namedtuple
from typing import Any

import httpx

from core.audit.access_log import BATCH
from core.db import Query
from core.migrations.tables import TABLES
from gateway.resolvers.context import Application
from sandbox.personas import PERSONAS, Persona

REFUSAL = (
    "... on Refusal { code message field retryAfter problems { field code message }"
    " nextStep { service message phone } }"
)

# What a refused request may leave behind, and what scheduled jobs write at any moment.
_TRACES = {
    "audit_entries",
    "audit_heads",
    "audit_anchors",
    "audit_anchored_heads",
    "access_log",
    "outbox",
    "quotas",
    "scheduled_jobs",
    "sessions",
    "nonces",
    "verification_codes",
    "write_probes",
}


class FrontEnd:
    """One citizen's front-end in one channel."""

    def __init__(self, http: httpx.AsyncClient, channel: str, persona: Persona) -> None:
        self._http = http
        self.channel = channel
        self.person = persona
        self.headers: dict[str, str] = {}

    async def post(self, document: str, variables: Any = None, **headers: str) -> httpx.Response:
        return await self._http.post(
            "/graphql",
            json={"query": document, "variables": variables or {}},
            headers=self.headers | headers,
        )

    async def ask(self, document: str, **variables: Any) -> Any:
        """The single root field's value; top-level errors fail the test."""
        reply = (await self.post(document, variables)).json()
        assert "errors" not in reply, reply["errors"]
        return next(iter(reply["data"].values()))

    async def do(self, mutation: str, success_fields: str = "", **given: Any) -> dict[str, Any]:
        """Runs `mutation(input: given)`; the answer is the success type or the refusal."""
        name = mutation[0].upper() + mutation[1:]
        success = f"... on {SUCCESS[mutation]} {{ {success_fields} }}" if success_fields else ""
        answer: dict[str, Any] = await self.ask(
            f"mutation($i: {name}Input!) {{ {mutation}(input: $i) {{ __typename {success} {REFUSAL} }} }}",
            i=given,
        )
        return answer

    async def upload(
        self, document: str, data: bytes, content_type: str = "image/jpeg", **variables: Any
    ) -> Any:
        operations = {"query": document, "variables": {**variables, "file": None}}
        response = await self._http.post(
            "/graphql",
            data={
                "operations": json.dumps(operations),
                "map": json.dumps({"0": ["variables.file"]}),
            },
            files={"0": ("picture", data, content_type)},
            headers=self.headers,
        )
        reply = response.json()
        assert "errors" not in reply, reply["errors"]
        return next(iter(reply["data"].values()))

    async def authorize(self) -> dict[str, str]:
        response = await self._http.post(
            "/sandbox/authorize", json={"channel": self.channel, "persona": self.person.id}
        )
        assert response.status_code == 200, response.text
        handed: dict[str, str] = response.json()
        return handed

    async def sign_in(self) -> dict[str, Any]:
        answer = await self.do(
            "signIn",
            "token expiresAt viewer { bound channel }",
            channel=self.channel,
            **await self.authorize(),
        )
        assert answer["__typename"] == "SignedIn", answer
        self.headers = {"Authorization": f"Bearer {answer['token']}"}
        return answer

    async def enter(self) -> "FrontEnd":
        """Signs in, and binds where the channel needs it."""
        answer = await self.sign_in()
        if not answer["viewer"]["bound"]:
            bound = await self.bind(await self.code("BIND_CARD"))
            assert bound["__typename"] == "CardBound", bound
        return self

    async def bind(self, code: str, **changes: str) -> dict[str, Any]:
        given = {
            "name": self.person.name,
            "socialSecurityNumber": self.person.social_security_number,
            "phone": self.person.phone,
            "code": code,
        }
        answer = await self.do("bindCard", "viewer { bound } token", **(given | changes))
        if answer["__typename"] == "CardBound":
            self.headers = {"Authorization": f"Bearer {answer['token']}"}
        return answer

    async def send_code(self, purpose: str, phone: str | None = None) -> dict[str, Any]:
        return await self.do(
            "sendVerificationCode",
            "maskedPhone expiresAt resendAfter",
            purpose=purpose,
            phone=phone or self.person.phone,
        )

    async def code(self, purpose: str, phone: str | None = None) -> str:
        """Requests a code and reads it from the inbox."""
        sent = await self.send_code(purpose, phone)
        assert sent["__typename"] == "VerificationCodeSent", sent
        inbox = await self.inbox(phone)
        return str(next(sms["code"] for sms in inbox if sms["purpose"] == purpose))

    async def inbox(self, phone: str | None = None) -> list[dict[str, Any]]:
        """Newest first; waits for what the gateway is still delivering."""
        response = await self._http.get(
            "/sandbox/sms", params={"phone": phone or self.person.phone}
        )
        messages: list[dict[str, Any]] = response.json()
        return messages

    async def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = await self.ask(
            "{ cardStatus { __typename ... on CardStatus { name socialSecurityNumber cardNumber"
            f" issueDate bank bankCode homeRegion homeRegionCode state stateName }} {REFUSAL} }} }}"
        )
        return answer

    async def progress(self) -> dict[str, Any]:
        answer: dict[str, Any] = await self.ask(
            "{ productionProgress { __typename ... on ProductionProgress { applicationNumber name"
            " socialSecurityNumber batchNumber cardNumber bank nodes { node title result at message } }"
            f" {REFUSAL} }} }}"
        )
        return answer


class World:
    """All clients, the sandbox, and the rows of the database."""

    def __init__(self, http: httpx.AsyncClient, application: Application) -> None:
        self.http = http
        self.application = application

    def front_end(self, persona: str, channel: str = "UNIONPAY") -> FrontEnd:
        return FrontEnd(self.http, channel, PERSONAS[persona])

    async def enter(self, persona: str, channel: str = "UNIONPAY") -> FrontEnd:
        return await self.front_end(persona, channel).enter()

    async def advance(self, persona: str, **given: Any) -> dict[str, Any]:
        response = await self.http.post(
            "/sandbox/issuer/advance", json={"persona": persona, **given}
        )
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def make_card(self, persona: str) -> None:
        """Has the issuer report every remaining node."""
        while (await self.advance(persona))["node"] != "READY_FOR_PICKUP":
            pass

    async def rows(self, *tables: str) -> dict[str, list[Any]]:
        """Every row of the named tables, with its columns as attributes.

        Without names: every table that a refused request must not change, once what was sent
        before has been delivered. Audit entries of access log batches are left out, because they
        are written at any moment within a second.
        """
        if not tables:
            await self.application.worker.drained()
        found = {}
        for table in TABLES:
            if table.name in tables or (not tables and table.name not in _TRACES):
                rows = await self.application.database.fetch(Query(table.select()))
                names = table.columns.keys()
                kind = namedtuple("Row", names)  # type: ignore[misc]
                found[table.name] = sorted(
                    (
                        kind(*(row[name] for name in names))
                        for row in rows
                        if "action" not in names or row["action"] != BATCH
                    ),
                    key=repr,
                )
        return found


SUCCESS = {
    "signIn": "SignedIn",
    "bindCard": "CardBound",
    "sendVerificationCode": "VerificationCodeSent",
    "saveApplicationDraft": "ApplicationDraftSaved",
    "requestUpload": "UploadRequested",
    "giveConsent": "ConsentGiven",
    "applyCard": "CardApplied",
    "activateCard": "CardActivated",
    "reportLoss": "LossReported",
    "cancelLoss": "LossCancelled",
    "changePassword": "PasswordChanged",
    "changePhone": "PhoneChanged",
    "changeContact": "ContactChanged",
    "transferIn": "TransferredIn",
    "reissueCard": "CardReissued",
    "cancelApplication": "ApplicationCancelled",
    "changePickupOutlet": "PickupOutletChanged",
    "correctApplication": "ApplicationCorrected",
    "changeNotificationSettings": "NotificationSettingsChanged",
}
