"""A front-end without a table of its own: it shows, fills in and submits what `serviceForm` describes.

What the citizen answers is known by the labels that they read, and options by their names.
"""

from collections.abc import Mapping
from typing import Any

from tests.front_end import REFUSAL, FrontEnd

FORM = (
    "query($service: CardService!) { serviceForm(service: $service) { service title steps tips"
    " sections { title instruction submitLabel operation fields { order name label placeholder help"
    " type required options { code name } optionsQuery { operation arguments { name source } }"
    " defaultValue button { label operation purpose arguments { name source } }"
    " upload { operation side maxBytes minWidth minHeight formats { mediaType maxMegapixels }"
    " caption sampleUrl } } } } }"
)
DRAFT = (
    "{ applicationForm { ... on ApplicationForm"
    " { fields { name value source } missing } __typename } }"
)
Answers = Mapping[str, Any]


class FormReader:
    def __init__(self, citizen: FrontEnd, answers: Answers) -> None:
        self._citizen = citizen
        self._answers = answers

    async def carry_out(self, service: str) -> list[Any]:
        """The answer of each section: the success, the refusal, or what is shown, by label."""
        form = await self._citizen.ask(FORM, service=service)
        return [await self._section(section) for section in form["sections"]]

    async def _section(self, section: dict[str, Any]) -> Any:
        fields = section["fields"]
        if section["submitLabel"] is None:
            return await self._show(section["operation"], fields)
        if all(field["upload"] for field in fields):
            return await self._upload(section["operation"], fields)
        operation, given = section["operation"], await self._fill_in(section)
        return await self._citizen.ask(
            f"mutation($i: {operation[0].upper()}{operation[1:]}Input!)"
            f" {{ {operation}(input: $i) {{ __typename {REFUSAL} }} }}",
            i=given,
        )

    async def _show(self, operation: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
        kind = operation[0].upper() + operation[1:]
        selected = " ".join(_selection(field["name"]) for field in fields)
        shown = await self._citizen.ask(f"{{ {operation} {{ ... on {kind} {{ {selected} }} }} }}")
        return {field["label"]: _value(shown, field["name"].split(".")) for field in fields}

    async def _upload(self, operation: str, fields: list[dict[str, Any]]) -> Any:
        for field in fields:
            upload = field["upload"]
            side = upload["side"]
            kept = "" if side else "... on PortraitPreview { portraitId }"
            declared = "$side: IdDocumentSide!, " if side else ""
            passed = "side: $side, " if side else ""
            uploaded = await self._citizen.upload(
                f"mutation({declared}$file: Upload!) {{ {upload['operation']}({passed}file: $file)"
                f" {{ __typename {kept} {REFUSAL} }} }}",
                self._answers[field["label"]],
                **({"side": side} if side else {}),
            )
        portrait = uploaded.get("portraitId")
        argument = f'(portraitId: "{portrait}")' if portrait else ""
        return await self._citizen.ask(
            f"mutation {{ {operation}{argument} {{ __typename {REFUSAL} }} }}"
        )

    async def _fill_in(self, section: dict[str, Any]) -> dict[str, Any]:
        stored = await self._draft() if section["operation"] == "applyCard" else {}
        given: dict[str, Any] = {}
        for field in section["fields"]:
            label, name = field["label"], field["name"]
            if label in self._answers:
                value = await self._chosen(field, self._answers[label], given)
            elif field["button"] and field["button"]["purpose"]:
                value = await self._code(field["button"], given)
            else:
                value = stored.get(name) or field["defaultValue"]
            if value is not None:
                given[name] = value
        return given

    async def _draft(self) -> dict[str, Any]:
        draft = await self._citizen.ask(DRAFT)
        return {field["name"]: field["value"] for field in draft["fields"]}

    async def _code(self, button: dict[str, Any], given: dict[str, Any]) -> str:
        assert button["operation"] == "sendVerificationCode"
        phone = await self._arguments(button, given)
        return await self._citizen.code(button["purpose"], phone["phone"])

    async def _chosen(self, field: dict[str, Any], answer: Any, given: dict[str, Any]) -> Any:
        options = field["options"]
        if field["optionsQuery"]:
            options = await self._query(field["optionsQuery"], given)
        codes = {option["name"]: option["code"] for option in options}
        if field["type"] == "BOOLEAN":
            return codes[answer] == "true"
        if field["type"] == "MULTI_SELECT":
            return [codes[name] for name in answer]
        return codes[answer] if codes else answer

    async def _query(self, query: dict[str, Any], given: dict[str, Any]) -> Any:
        arguments = await self._arguments(query, given)
        passed = ", ".join(f'{name}: "{value}"' for name, value in arguments.items())
        return await self._citizen.ask(f"{{ {query['operation']}({passed}) {{ code name }} }}")

    async def _arguments(self, source: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        return {
            argument["name"]: await self._source(argument["source"], given)
            for argument in source["arguments"]
        }

    async def _source(self, source: str, given: dict[str, Any]) -> Any:
        operation, _, path = source.partition(".")
        if not path:
            return given[source]
        kind = operation[0].upper() + operation[1:]
        shown = await self._citizen.ask(
            f"{{ {operation} {{ ... on {kind} {{ {_selection(path)} }} }} }}"
        )
        return _value(shown, path.split("."))


def _selection(path: str) -> str:
    first, _, rest = path.partition(".")
    return f"{first} {{ {_selection(rest)} }}" if rest else first


def _value(found: Any, path: list[str]) -> Any:
    """A list along the path gives a list of values."""
    if isinstance(found, list):
        return [_value(item, path) for item in found]
    return _value(found[path[0]], path[1:]) if path else found
