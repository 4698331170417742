"""What the clients send, and what the sandbox answers, is what the OpenAPI documents say."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import respx
import yaml
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from starlette.applications import Starlette

from core.kernel.settings import Settings
from sandbox.issuer import NODES
from sandbox.partners import partner_routes
from sandbox.paths import world_file
from sandbox.world import World as SandboxWorld
from tests.partners.test_partners import EFFECTS, LOOKUPS, Call, partners_of

DOCUMENTS = Path(__file__).parents[2] / "docs" / "partners"
NAMES = {
    "sms.test": "sms",
    "population.test": "population-registry",
    "insurance.test": "insurance-registry",
    "cards.test": "card-registry",
    "issuer.test": "issuer",
}
CALLS = LOOKUPS | EFFECTS


def document(name: str) -> Any:
    return yaml.safe_load((DOCUMENTS / f"{name}.yaml").read_text("utf-8"))


def check(whole: Any, schema: Any, value: Any) -> None:
    """Against a schema of the document. What it does not name must not be there."""
    named = {"$defs": _closed(whole["components"]["schemas"]), **_closed(schema)}
    text = json.dumps(named).replace("#/components/schemas/", "#/$defs/")
    Draft202012Validator(json.loads(text), format_checker=FormatChecker()).validate(value)


def _closed(part: Any) -> Any:
    if isinstance(part, list):
        return [_closed(each) for each in part]
    if not isinstance(part, dict):
        return part
    inner = {name: _closed(each) for name, each in part.items()}
    return inner | {"additionalProperties": False} if part.get("type") == "object" else inner


def operation(url: str) -> tuple[Any, Any]:
    parts = urlsplit(url)
    whole = document(NAMES[parts.netloc])
    return whole, whole["paths"][parts.path]["post"]


def schema_of(part: Any) -> Any:
    return part["content"]["application/json"]["schema"]


@pytest.fixture
def sandbox(settings: Settings, tmp_path: Path) -> Iterator[Starlette]:
    world = SandboxWorld(world_file(settings))
    yield Starlette(routes=partner_routes(settings, world))
    world.close()


@pytest.mark.parametrize("url", CALLS)
async def test_a_client_sends_what_the_document_says(url: str) -> None:
    request = await sent(CALLS[url])
    whole, described = operation(url)

    check(whole, schema_of(described["requestBody"]), json.loads(request.content))
    assert request.headers["authorization"].startswith("Bearer ")
    assert request.url.query == b""
    key = request.headers.get("idempotency-key")
    wants_key = {"$ref": "#/components/parameters/IdempotencyKey"} in described.get(
        "parameters", []
    )
    assert (key is not None) is wants_key


@pytest.mark.parametrize("url", CALLS)
async def test_the_sandbox_answers_what_the_document_says(
    settings: Settings, sandbox: Starlette, url: str
) -> None:
    request = await sent(CALLS[url])
    whole, described = operation(url)
    name = NAMES[urlsplit(url).netloc]
    token = getattr(settings, name.replace("-", "_") + "_token").reveal()
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "0123"}

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(sandbox), base_url="http://sandbox"
    ) as http:
        path = f"/partners/{name}{urlsplit(url).path}"
        answer = await http.post(path, content=request.content, headers=headers)
        stranger = await http.post(path, content=request.content)

    responses = described["responses"]
    documented = responses["200"] if answer.status_code == 200 else responses["4XX"]
    refusal = whole["components"]["schemas"]["Refusal"]
    good = schema_of(documented) if answer.status_code == 200 else refusal
    check(whole, good, answer.json())
    assert stranger.status_code == 401
    check(whole, refusal, stranger.json())


@pytest.mark.parametrize(
    "change",
    [{"phone": "123"}, {"surname": "x"}, {"text": None}],
    ids=["a malformed phone", "a field that nobody named", "a text that is none"],
)
async def test_the_check_finds_what_differs(change: dict[str, Any]) -> None:
    """The control."""
    url = "https://sms.test/messages"
    body = json.loads((await sent(CALLS[url])).content) | change
    whole, described = operation(url)

    with pytest.raises(ValidationError):
        check(whole, schema_of(described["requestBody"]), body)


def test_the_issuers_events_are_those_of_its_document() -> None:
    whole = document("issuer")
    schema = schema_of(whole["webhooks"]["events"]["post"]["requestBody"])
    common = {"id": "1", "at": "2026-01-20T09:00:00+08:00"}
    node = common | {
        "type": "NODE_RESULT",
        "orderNumber": "SBK202501060000000007",
        "node": NODES[0],
        "result": "FAILED",
        "reason": "示例",
        "batchNumber": None,
        "cardNumber": None,
    }
    card = common | {
        "type": "LOCK",
        "cardNumber": "SAMPLE01X",
        "socialSecurityNumber": "510104199104151236",
    }
    asked = node | {"result": "NEEDS_CORRECTION", "corrections": ["portrait", "idIssuer"]}
    ended = common | {
        "type": "ORDER_CLOSED",
        "orderNumber": "SBK202501060000000007",
        "reason": "CANNOT_BE_MADE",
    }
    cancelled = card | {"type": "CANCEL", "reason": "DECEASED"}

    for body in (node, card, asked, ended, cancelled, {"events": [node, card, asked, ended]}):
        check(whole, schema, body)
    wrongs: tuple[dict[str, Any], ...] = (
        node | {"result": "RAIN"},
        card | {"type": "BURN"},
        asked | {"corrections": ["bankCode"]},
        ended | {"reason": None},
        cancelled | {"reason": "RAIN"},
        {"events": []},
    )
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            check(whole, schema, wrong)


async def sent(call: Call) -> httpx.Request:
    """The request that a client makes; the answer is of no matter here."""
    async with partners_of() as partners:
        with respx.mock(assert_all_called=False) as wire:
            route = wire.route().respond(409, json={"code": "NO"})
            with pytest.raises(Exception, match="NO"):
                await call(partners)
    request: httpx.Request = route.calls[0].request
    return request
