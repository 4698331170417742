"""The OpenAPI documents say what the clients do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCUMENTS = Path(__file__).parents[2] / "docs" / "partners"
REQUESTS = {
    "sms": {
        "/messages": {"phone", "text", "template", "purpose", "code"},
        "/outcome": {"idempotencyKey"},
    },
    "population-registry": {"/match": {"name", "socialSecurityNumber"}},
    "insurance-registry": {"/enrolments": {"socialSecurityNumber"}},
    "card-registry": {
        "/cards": {"socialSecurityNumber"},
        "/moves": {"socialSecurityNumber", "cardNumber", "fromRegion", "toRegion"},
        "/outcome": {"idempotencyKey"},
    },
    "issuer": {
        "/orders": {
            "orderNumber",
            "kind",
            "name",
            "socialSecurityNumber",
            "bankCode",
            "outletCode",
            "portrait",
        },
        "/orders/cancellations": {"orderNumber"},
        "/orders/outlets": {"orderNumber", "outletCode"},
        "/orders/corrections": {"orderNumber", "fields", "portrait", "idDocuments"},
        "/outcome": {"idempotencyKey"},
    },
}
every_document = pytest.mark.parametrize("name", REQUESTS)


def document(name: str) -> Any:
    return yaml.safe_load((DOCUMENTS / f"{name}.yaml").read_text("utf-8"))


def at(whole: Any, pointer: str) -> Any:
    for step in pointer.removeprefix("#/").split("/"):
        whole = whole[step]
    return whole


def nodes(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        for inner in part.values():
            yield from nodes(inner)
    if isinstance(part, list):
        for inner in part:
            yield from nodes(inner)


@every_document
def test_is_openapi_and_every_reference_leads_somewhere(name: str) -> None:
    whole = document(name)

    assert whole["openapi"] == "3.1.0"
    assert whole["security"] == [{"token": []}]
    references = [node["$ref"] for node in nodes(whole) if "$ref" in node]
    assert references
    assert all(at(whole, reference) for reference in references)


@every_document
def test_what_is_required_is_described(name: str) -> None:
    for schema in nodes(document(name)["components"]["schemas"]):
        if isinstance(schema.get("required"), list):
            assert set(schema["required"]) <= set(schema["properties"])


@every_document
def test_describes_each_call_with_its_fields(name: str) -> None:
    whole = document(name)

    fields = {}
    for path, item in whole["paths"].items():
        body = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        fields[path] = set(at(whole, body["$ref"])["properties"])
    assert fields == REQUESTS[name]


def test_effects_carry_an_idempotency_key() -> None:
    effects = {
        ("sms", "/messages"),
        ("card-registry", "/moves"),
        ("issuer", "/orders"),
        ("issuer", "/orders/cancellations"),
        ("issuer", "/orders/outlets"),
        ("issuer", "/orders/corrections"),
    }

    carrying = {
        (name, path)
        for name in REQUESTS
        for path, item in document(name)["paths"].items()
        if "parameters" in item["post"]
    }
    assert carrying == effects
