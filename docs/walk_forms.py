"""Walks the ten services through each channel by `serviceForm` alone: no label or field is written here.

make run                             # in one terminal
.venv/bin/python docs/walk_forms.py  # in another
"""

import argparse
from typing import Any

import httpx
from walk import CHANNELS, REFUSAL, FrontEnd, show

FORM = (
    "query($s: CardService!) { serviceForm(service: $s) { title steps tips sections {"
    " title submitLabel operation fields { name label type options { code name } defaultValue"
    " optionsQuery { operation arguments { name source } }"
    " button { label operation purpose arguments { name source } }"
    " upload { operation side maxBytes minWidth minHeight sampleUrl } } } } }"
)
DRAFT = "{ applicationForm { ... on ApplicationForm { fields { name value source } } } }"
PERSONAS = {
    "APPLY_CARD": "no-card",
    "ACTIVATE_CARD": "sealed",
    "REPORT_LOSS": "active",
    "CANCEL_LOSS": "lost",
    "CHANGE_PASSWORD": "active",
    "CHANGE_INFORMATION": "locked",
    "TRANSFER_IN": "other-city",
    "REISSUE_CARD": "lost",
    "PRODUCTION_PROGRESS": "in-production",
    "CARD_STATUS": "active",
}


def answers(person: dict[str, Any]) -> dict[str, Any]:
    """What a citizen knows and chooses, by the label that they read."""
    return {
        "手机号码": person["phone"],
        "卡号": person["cardNumber"],
        "原密码": person["servicePassword"],
        "新密码": "60318527",
        "确认密码": "60318527",
        "固定电话": "028-86120000",
        "成都参保险种选择": ["养老保险"],
        "是否使用金融代扣": "否",
        "证件发证机关": "成都市公安局",
        "证件截止有效期": "长期",
        "民族": "汉族",
    }


class Reader:
    def __init__(self, http: httpx.Client, channel: str, service: str) -> None:
        self.front_end = FrontEnd(http, channel, PERSONAS[service])
        self.front_end.sign_in()
        self.form = self.front_end.ask(FORM, s=service)
        self.answers = answers(self.front_end.person)
        if service == "CHANGE_INFORMATION":
            self.answers["手机号码"] = "19900009999"

    def carry_out(self) -> None:
        for section in self.form["sections"]:
            if section["submitLabel"] is None:
                answer: Any = self._show(section)
            elif section["fields"][0]["upload"]:
                answer = self._upload(section)
            else:
                answer = self._submit(section)
            show(f"  {section['submitLabel'] or section['title']}", answer)

    def _show(self, section: dict[str, Any]) -> Any:
        operation = section["operation"]
        paths = [field["name"] for field in section["fields"]]
        shown = self._look_up(operation, paths)
        return {
            field["label"]: _value(shown, path.split("."))
            for field, path in zip(section["fields"], paths, strict=True)
        }

    def _look_up(self, operation: str, paths: list[str]) -> Any:
        kind = operation[0].upper() + operation[1:]
        selected = " ".join(" { ".join(p.split(".")) + " }" * p.count(".") for p in paths)
        return self.front_end.ask(f"{{ {operation} {{ ... on {kind} {{ {selected} }} }} }}")

    def _upload(self, section: dict[str, Any]) -> Any:
        argument = ""
        for field in section["fields"]:
            upload = field["upload"]
            if upload["side"]:
                picture = self.front_end.sample_id_document(upload["side"])
                declared, passed = "$side: IdDocumentSide!, ", "side: $side, "
                kept, variables = "", {"side": upload["side"]}
            else:
                picture, declared, passed = self.front_end.sample_portrait(), "", ""
                kept, variables = "... on PortraitPreview { portraitId }", {}
            uploaded = self.front_end.upload(
                f"mutation({declared}$file: Upload!) {{ {upload['operation']}({passed}file: $file)"
                f" {{ __typename {kept} {REFUSAL} }} }}",
                picture,
                **variables,
            )
            if "portraitId" in uploaded:
                argument = f'(portraitId: "{uploaded["portraitId"]}")'
        return self.front_end.ask(
            f"mutation {{ {section['operation']}{argument} {{ __typename {REFUSAL} }} }}"
        )

    def _submit(self, section: dict[str, Any]) -> Any:
        operation, given = section["operation"], self._fill_in(section)
        return self.front_end.ask(
            f"mutation($i: {operation[0].upper()}{operation[1:]}Input!)"
            f" {{ {operation}(input: $i) {{ __typename {REFUSAL} }} }}",
            i=given,
        )

    def _fill_in(self, section: dict[str, Any]) -> dict[str, Any]:
        stored = {}
        if section["operation"] == "applyCard":
            fields = self.front_end.ask(DRAFT)["fields"]
            stored = {field["name"]: field["value"] for field in fields if field["value"]}
            sources = {field["name"]: field["source"] for field in fields if field["source"]}
            show("  预填 sources", sources)
        given: dict[str, Any] = {}
        for field in section["fields"]:
            value = stored.get(field["name"]) or self._answer(field, given)
            if value is not None:
                given[field["name"]] = value
        return given

    def _answer(self, field: dict[str, Any], given: dict[str, Any]) -> Any:
        button, answer = field["button"], self.answers.get(field["label"])
        if button and button["purpose"]:
            phone = self._arguments(button, given)["phone"]
            return self.front_end.code(button["purpose"], phone)
        options = field["options"]
        if field["optionsQuery"]:
            options = self._options(field["optionsQuery"], given)
        codes = {option["name"]: option["code"] for option in options}
        if field["type"] == "MULTI_SELECT":
            return [codes[name] for name in answer]
        if field["type"] == "BOOLEAN":
            return codes[answer] == "true"
        if options:
            return codes.get(answer) or field["defaultValue"] or options[0]["code"]
        return answer or field["defaultValue"]

    def _options(self, query: dict[str, Any], given: dict[str, Any]) -> Any:
        arguments = self._arguments(query, given)
        passed = ", ".join(f'{name}: "{value}"' for name, value in arguments.items())
        return self.front_end.ask(f"{{ {query['operation']}({passed}) {{ code name }} }}")

    def _arguments(self, query: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        return {
            argument["name"]: self._source(argument["source"], given)
            for argument in query["arguments"]
        }

    def _source(self, source: str, given: dict[str, Any]) -> Any:
        operation, _, path = source.partition(".")
        if not path:
            return given[source]
        return _value(self._look_up(operation, [path]), path.split("."))


def _value(found: Any, path: list[str]) -> Any:
    if isinstance(found, list):
        return [_value(item, path) for item in found]
    return _value(found[path[0]], path[1:]) if path and found else found


def delete_a_picture(http: httpx.Client, channel: str) -> None:
    citizen = FrontEnd(http, channel, "no-card")
    citizen.sign_in()
    portrait = citizen.upload(
        "mutation($file: Upload!) { uploadPortrait(file: $file)"
        f" {{ ... on PortraitPreview {{ portraitId }} {REFUSAL} }} }}",
        citizen.sample_portrait(),
    )
    document = f"mutation($id: ID!) {{ deletePicture(pictureId: $id) {{ __typename {REFUSAL} }} }}"
    show("删除照片", citizen.ask(document, id=portrait["portraitId"]))
    show("再次删除", citizen.ask(document, id=portrait["portraitId"]))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--url", default="http://127.0.0.1:8000")
    with httpx.Client(base_url=options.parse_args().url, timeout=60) as http:
        for channel in CHANNELS:
            print(f"\n{channel}")
            for service in PERSONAS:
                http.post("/sandbox/reset").raise_for_status()
                reader = Reader(http, channel, service)
                show(reader.form["title"], reader.form["tips"] or reader.form["steps"])
                reader.carry_out()
            http.post("/sandbox/reset").raise_for_status()
            delete_a_picture(http, channel)


if __name__ == "__main__":
    main()
