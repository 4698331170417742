"""Personal values are planted in every operation and error, and then searched for everywhere."""

import contextlib
import io
import json
import re
import sqlite3
import traceback
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from gateway.app.logging import _without_exception_text
from gateway.schema import build_schema
from sandbox.personas import PERSONAS
from tests.live import read_code, serving, sign_in
from tests.services.parts import application_of

pytestmark = pytest.mark.server

ADDRESS = "成都市锦江区标记路七十七号"
LANDLINE = "028-86677665"
WRONG_PASSWORD, NEW_PASSWORD = "93716482", "61528307"
STRANGER_NUMBER, STRANGER_PHONE = "510104198806057717", "19911112222"
REFUSAL = "... on Refusal { code message field problems { field message } }"

INPUT = {"saveApplicationDraft": "ApplicationDraft"}

FORM = application_of(
    PERSONAS["no-card"],
    socialInsuranceNumber="MARKED77665544",
    code="123456",
    idIssuer="标记市公安局",
    idValidUntil="20281021",
)


class Citizen:
    """A front-end that keeps every answer, and every value that it has given or got."""

    def __init__(self, http: httpx.Client, persona: str, channel: str = "UNIONPAY") -> None:
        self.http = http
        self.person = PERSONAS[persona]
        self.token = sign_in(http, persona, channel)
        self.answers: list[str] = []
        self.planted = {self.token}
        self.sent: list[str] = []

    def send(self, query: str, variables: Any = None, **headers: str) -> Any:
        given = {"Authorization": f"Bearer {self.token}"} | headers
        self.sent.append(query)
        response = self.http.post(
            "/graphql", json={"query": query, "variables": variables}, headers=given
        )
        self.answers.append(response.text)
        return response.json()

    def over_get(self, query: str, **variables: Any) -> None:
        given = {"query": query, "variables": json.dumps(variables)}
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        self.answers.append(self.http.get("/graphql", params=given, headers=headers).text)

    def over_form(self, query: str, data: bytes) -> None:
        self.sent.append(query)
        operations = json.dumps({"query": query, "variables": {"file": None}})
        response = self.http.post(
            "/graphql",
            data={"operations": operations, "map": json.dumps({"0": ["variables.file"]})},
            files={"0": (f"{self.person.name}.jpg", data, "image/jpeg")},
            headers={"Authorization": f"Bearer {self.token}"},
        )
        self.answers.append(response.text)

    def over_events(self, query: str, variables: Any = None) -> None:
        """The first message of an event stream."""
        self.sent.append(query)
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "text/event-stream"}
        body = {"query": query, "variables": variables}
        with self.http.stream("POST", "/graphql", json=body, headers=headers) as response:
            self.answers.append(
                next((line for line in response.iter_lines() if "data" in line), "")
            )

    def over_socket(self, url: str, *operations: tuple[str, Any]) -> None:
        address = f"ws{url.removeprefix('http')}/graphql"
        protocol = Subprotocol("graphql-transport-ws")
        with connect(address, subprotocols=[protocol], proxy=None) as socket:
            parameters = {"Authorization": f"Bearer {self.token}"}
            socket.send(json.dumps({"type": "connection_init", "payload": parameters}))
            socket.recv(10)
            for number, (query, variables) in enumerate(operations):
                self.sent.append(query)
                payload = {"query": query, "variables": variables}
                socket.send(
                    json.dumps({"id": str(number), "type": "subscribe", "payload": payload})
                )
                message = {"type": ""}
                while message["type"] not in ("complete", "error"):
                    self.answers.append(str(socket.recv(10)))
                    message = json.loads(self.answers[-1])

    def do(self, mutation: str, **given: Any) -> Any:
        name = INPUT.get(mutation, mutation[0].upper() + mutation[1:])
        query = f"mutation($i: {name}Input!) {{ {mutation}(input: $i) {{ __typename {REFUSAL} }} }}"
        return self.send(query, {"i": given})

    def code(self, purpose: str, phone: str | None = None) -> str:
        self.do("sendVerificationCode", purpose=purpose, phone=phone or self.person.phone)
        found = read_code(self.http, phone or self.person.phone, purpose)
        self.planted.add(found)
        return found


def walk(http: httpx.Client, url: str) -> tuple[set[str], list[str], list[str]]:
    """Every operation, well and badly; returns the planted values, all answers and documents."""
    active = Citizen(http, "active")
    phone = active.person.phone
    active.do("reportLoss", phone=phone, code=active.code("REPORT_LOSS"))
    active.do("cancelLoss", phone=phone, cardNumber="SAMPLE01X", code=active.code("CANCEL_LOSS"))
    active.do("cancelLoss", phone=phone, cardNumber="SAMPLE01X", code="424242")
    active.do(
        "changePassword",
        oldPassword=WRONG_PASSWORD,
        newPassword=NEW_PASSWORD,
        confirmPassword=NEW_PASSWORD,
    )
    active.do(
        "changePassword",
        oldPassword="40917258",
        newPassword=NEW_PASSWORD,
        confirmPassword=NEW_PASSWORD,
    )
    active.do(
        "changeContact", landline=LANDLINE, registeredAddress=ADDRESS, residentialAddress=ADDRESS
    )
    active.do("changeContact", landline=LANDLINE + "x", registeredAddress=ADDRESS * 20)
    active.do(
        "changePhone", newPhone=STRANGER_PHONE, code=active.code("CHANGE_PHONE", STRANGER_PHONE)
    )
    for query in (
        "{ viewer { name phone socialSecurityNumber } }",
        "{ cardStatus { __typename } }",
    ):
        active.send(query)
    applicant = Citizen(http, "no-card")
    applicant.do("saveApplicationDraft", **{k: v for k, v in FORM.items() if k != "code"})
    applicant.do("applyCard", **FORM)
    applicant.do("applyCard", **(FORM | {"idNumber": STRANGER_NUMBER, "name": "标记人"}))
    visitor = Citizen(http, "lost", "WECHAT")
    visitor.do(
        "bindCard",
        name="标记人",
        socialSecurityNumber=STRANGER_NUMBER,
        phone=STRANGER_PHONE,
        code="123123",
    )
    visitor.do(
        "bindCard",
        name=visitor.person.name,
        socialSecurityNumber=visitor.person.social_security_number,
        phone=visitor.person.phone,
        code=visitor.code("BIND_CARD"),
    )
    mover = Citizen(http, "other-city")
    mover.send(f'{{ insurances(cardNumber: "SAMPLE079") {{ __typename {REFUSAL} }} }}')
    mover.do(
        "transferIn",
        cardNumber="SAMPLE079",
        insurances=["PENSION"],
        phone=mover.person.phone,
        code=mover.code("TRANSFER_IN"),
    )
    sealed = Citizen(http, "sealed")
    sealed.do(
        "activateCard",
        phone=sealed.person.phone,
        cardNumber=sealed.person.card_number,
        code=sealed.code("ACTIVATE_CARD"),
    )
    lost = Citizen(http, "lost")
    place = {name: FORM[name] for name in ("pickupMethod", "districtCode", "outletCode")}
    code = lost.code("REISSUE_CARD")
    lost.do("reissueCard", phone=lost.person.phone, code=code, **place)
    waiting = Citizen(http, "in-production")
    number = waiting.person.open_order
    http.post(
        "/sandbox/issuer/advance",
        json={
            "persona": "in-production",
            "result": "NEEDS_CORRECTION",
            "corrections": ["idIssuer"],
        },
    ).raise_for_status()
    waiting.do("correctApplication", applicationNumber=number, idIssuer=ADDRESS[:20])
    waiting.do("cancelApplication", applicationNumber=number)
    waiting.do(
        "changePickupOutlet",
        applicationNumber=number,
        districtCode=FORM["districtCode"],
        outletCode=FORM["outletCode"],
    )
    citizens = [active, applicant, visitor, mover, sealed, lost, waiting]
    pictures(applicant)
    look(active, lost)
    mistakes(active)
    other_transports(lost, url)
    for query in (
        'mutation { endSession(id: "1") { __typename } }',
        "mutation { signOut { __typename } }",
    ):
        lost.send(query)
    return (
        set().union(*(citizen.planted for citizen in citizens)),
        [answer for citizen in citizens for answer in citizen.answers],
        [document for citizen in citizens for document in citizen.sent],
    )


def pictures(citizen: Citizen) -> None:
    """A file that says whose it is, in its name and inside."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = f"{citizen.person.social_security_number} {ADDRESS}"
    Image.new("RGB", (800, 500), "white").save(buffer, "JPEG", exif=exif, comment=ADDRESS.encode())
    data = buffer.getvalue()
    for query in (
        f"mutation($file: Upload!) {{ uploadPortrait(file: $file) {{ __typename {REFUSAL} }} }}",
        "mutation($file: Upload!) { uploadIdDocument(side: PORTRAIT_SIDE, file: $file) {"
        f" __typename {REFUSAL} }} }}",
    ):
        citizen.over_form(query, data)
        citizen.over_form(query, citizen.person.name.encode())
    citizen.send(
        "mutation { requestUpload(input: {size: 5}) { __typename ... on UploadRequested { uploadId }"
        " } }"
    )
    for query in (
        'mutation { uploadPortraitFrom(uploadId: "1") { __typename } }',
        'mutation { uploadIdDocumentFrom(side: EMBLEM_SIDE, uploadId: "1") { __typename } }',
        'mutation { confirmPortrait(portraitId: "1") { __typename } }',
        "mutation { confirmIdDocuments { __typename } }",
        'mutation { deletePicture(pictureId: "1") { __typename } }',
    ):
        citizen.send(query)


def look(citizen: Citizen, other: Citizen) -> None:
    for query in (
        "{ channels { name } }",
        "{ channel(id: WECHAT) { name } }",
        "{ sessions { id channel } }",
        "{ serviceHistory { edges { node { at title resultText } } } }",
        "{ productionProgress { __typename ... on ProductionProgress { batchNumber } } }",
        "{ receipt { __typename ... on Receipt { number } } }",
        "{ applicationForm { __typename ... on ApplicationForm { missing } } }",
        "{ serviceForm(service: APPLY_CARD) { title } }",
        "{ notificationSettings { __typename } }",
        'mutation { giveConsent(input: {noticeVersion: "1"}) { __typename } }',
        "mutation { changeNotificationSettings(input: {settings: []}) { __typename } }",
    ):
        citizen.send(query)
        other.send(query)


def other_transports(citizen: Citizen, url: str) -> None:
    """The same values over every other way in, well-formed and not."""
    person = citizen.person
    report = "mutation($i: ReportLossInput!) { reportLoss(input: $i) { __typename } }"
    given = {"i": {"phone": person.phone, "code": "123123"}}
    wrong = {"i": {"phone": [person.phone], "code": person.social_security_number}}
    literal = f'mutation {{ reportLoss(input: {{phone: {person.phone}, code: "{person.name}"}}) {{ x }} }}'
    watch = "subscription { productionProgress { nodes { result } } }"
    for variables in (given, wrong):
        citizen.over_get(report, **variables)
        citizen.over_events(report, variables)
    citizen.over_get(literal)
    citizen.over_events(literal)
    citizen.over_events(watch)
    citizen.over_socket(
        url, (report, given), (report, wrong), (literal, None), ("{ viewer { name } }", None)
    )
    citizen.http.post("/channels/ping-an/callback", json={"name": person.name, "id": person.phone})
    citizen.http.get("/channels/wechat/callback", params={"signature": person.phone})
    citizen.http.get(f"/pictures/1?mac={person.phone}&expires=9")
    citizen.http.get(f"/nowhere/{person.phone}")


def mistakes(citizen: Citizen) -> None:
    """Values in the wrong places: types, literals, syntax, names, headers."""
    person = citizen.person
    query = "mutation($i: ReportLossInput!) { reportLoss(input: $i) { __typename } }"
    for given in (person.social_security_number, int(person.phone), [person.name], {"phone": 1}):
        citizen.send(query, {"i": given})
    citizen.send(query, {"i": {"phone": int(person.phone), "code": "1"}})
    for document in (
        f"mutation {{ reportLoss(input: {{phone: {person.phone}}}) {{ __typename }} }}",
        f'mutation {{ reportLoss(input: "{person.social_security_number}") {{ __typename }} }}',
        f'mutation {{ reportLoss(input: {{phone "{person.phone}"}}) {{ __typename }} }}',
        f'mutation {{ sendVerificationCode(input: {{purpose: "{person.name}"}}) {{ __typename }} }}',
        f'{{ viewer {{ name }} # {person.name} }} "{person.phone}"',
        f'mutation {{ confirmPortrait(portraitId: "{person.social_security_number}") {{ __typename }} }}',
        f'{{ outlets(districtCode: "{person.phone}") {{ code }} districts {{ code }} banks {{ code }} }}',
        f'{{ insurances(cardNumber: "{person.social_security_number}") {{ {REFUSAL} }} }}',
    ):
        citizen.send(document)
    citizen.send("{ viewer { name } }", None, **{"X-Card-Channel": person.phone})
    citizen.send("{ viewer { name } }", None, **{"Idempotency-Key": person.phone * 30})
    citizen.http.post("/graphql", content=f'{{"query": {person.phone}'.encode())
    citizen.http.get("/graphql", params={"query": f'{{ a("{person.phone}") }}'})
    citizen.http.post("/issuer/events", json={"events": [{"id": person.phone}]})


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("personal")
    with serving(folder, log_level="DEBUG") as server:
        with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:
            planted, answers, sent = walk(http, server.url)
            broken = break_a_row(http, folder / "var" / "card-gateway.sqlite3")
            answers.append(broken)
            http.get("/sandbox/sms")
        back_up(folder / "var" / "card-gateway.sqlite3")
        files = {
            path.name: path.read_bytes()
            for path in (folder / "var").rglob("*")
            if path.is_file() and not path.name.startswith("sandbox-")
        }
        log = server.log
    return {
        "planted": planted,
        "answers": answers,
        "files": files,
        "log": log,
        "folder": folder,
        "sent": sent,
        "broken": broken,
    }


def break_a_row(http: httpx.Client, file: Path) -> str:
    """Somebody else's sealed name stands in a row: opening it is an error that nobody expects."""
    citizen = Citizen(http, "locked")
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        (owner,) = database.execute(
            "SELECT subject_id FROM sessions ORDER BY id DESC LIMIT 1"
        ).fetchone()
        database.execute(
            "UPDATE citizens SET name = (SELECT name FROM citizens "
            "WHERE subject_id != ? LIMIT 1) WHERE subject_id = ?",
            (owner, owner),
        )
    citizen.send("query Broken { viewer { name } }")
    return citizen.answers[-1]


def back_up(file: Path) -> None:
    """As operators do: by SQLite's own online backup, and by VACUUM INTO."""
    with contextlib.closing(sqlite3.connect(file)) as source:
        with contextlib.closing(sqlite3.connect(file.with_name("backup.sqlite3"))) as target:
            source.backup(target)
        source.execute("VACUUM INTO ?", (str(file.with_name("vacuumed.sqlite3")),))


def persons_values() -> set[str]:
    found = {ADDRESS, LANDLINE, STRANGER_NUMBER, STRANGER_PHONE, "标记人", "标记市公安局"}
    found |= {WRONG_PASSWORD, NEW_PASSWORD, "40917258", "MARKED77665544"}
    for persona in PERSONAS.values():
        found |= {persona.name, persona.social_security_number, persona.phone}
    return found


def spellings(value: str) -> set[bytes]:
    """As text, and as JSON writes it."""
    return {
        value.encode(),
        value.encode("utf-16-le"),
        json.dumps(value)[1:-1].encode(),
    }


def traces(data: bytes, values: set[str]) -> list[str]:
    return sorted(value for value in values if any(text in data for text in spellings(value)))


def test_nothing_stands_in_the_database_in_the_clear(walked: dict[str, Any]) -> None:
    long_enough = {value for value in walked["planted"] if len(value) > 6}

    found = {
        name: traces(data, persons_values() | long_enough) for name, data in walked["files"].items()
    }

    assert "card-gateway.sqlite3" in found
    assert "card-gateway.sqlite3-wal" in found
    assert {"backup.sqlite3", "vacuumed.sqlite3"} <= set(found)
    assert {name: values for name, values in found.items() if values} == {}


def test_no_card_number_stands_in_the_database_in_the_clear(walked: dict[str, Any]) -> None:
    numbers = {str(persona.card_number) for persona in PERSONAS.values() if persona.card_number}

    assert [
        traces(data, numbers) for data in walked["files"].values() if traces(data, numbers)
    ] == []


def test_nothing_stands_in_the_logs(walked: dict[str, Any]) -> None:
    log = walked["log"]
    codes = {value for value in walked["planted"] if len(value) == 6}

    assert traces(log.encode(), persons_values() | (walked["planted"] - codes)) == []
    for code in codes:
        assert f'"{code}"' not in log
        assert f" {code} " not in log


def test_every_operation_was_walked(walked: dict[str, Any]) -> None:
    schema = build_schema()._schema
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
    names = {name for root in roots if root is not None for name in root.fields}
    sent = " ".join(walked["sent"])

    assert {name for name in names if not re.search(rf"\b{name}\b", sent)} == {
        "signIn",
        "outlets",
    } - ({"outlets"} if "outlets" in sent else set())


def test_an_unexpected_error_has_an_id_and_one_line_in_the_log(walked: dict[str, Any]) -> None:
    (error,) = json.loads(walked["broken"])["errors"]
    error_id = error["extensions"]["errorId"]

    lines = [json.loads(line) for line in walked["log"].splitlines() if error_id in line]

    assert error["extensions"]["code"] == "INTERNAL"
    assert error_id in error["message"]
    assert len(lines) == 1
    assert lines[0]["event"] == "graphql.unexpected"
    assert lines[0]["error"] == "CannotOpen"
    assert "Broken" not in json.dumps(lines[0])


def test_every_line_of_the_log_is_an_event(walked: dict[str, Any]) -> None:
    _, _, events = walked["log"].partition("Ctrl-C stops it.\n")

    lines = [json.loads(line) for line in events.splitlines() if line.strip()]

    assert lines
    assert all("event" in line for line in lines)


def test_nothing_stands_in_the_answers(walked: dict[str, Any]) -> None:
    found = [traces(answer.encode(), persons_values()) for answer in walked["answers"]]

    assert len(found) > 30
    assert [values for values in found if values] == []


def test_the_search_finds_what_is_not_encrypted(tmp_path: Path) -> None:
    """The control: the same values, written plainly, are found in the file and its log."""
    file = tmp_path / "plain.sqlite3"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE plain (name TEXT, details TEXT)")
    connection.execute(
        "INSERT INTO plain VALUES (?, ?)", (PERSONAS["active"].name, json.dumps({"at": ADDRESS}))
    )
    connection.commit()

    found = traces((tmp_path / "plain.sqlite3-wal").read_bytes(), persons_values())
    connection.close()

    assert found == sorted({PERSONAS["active"].name, ADDRESS})


def test_the_walk_succeeded(walked: dict[str, Any]) -> None:
    """The control: what was searched for was really stored, not refused at the door."""
    answers = " ".join(walked["answers"])

    for name in (
        "LossReported",
        "LossCancelled",
        "PasswordChanged",
        "ContactChanged",
        "PhoneChanged",
        "ApplicationDraftSaved",
        "CardBound",
        "TransferredIn",
        "ApplicationCorrected",
    ):
        assert f'"{name}"' in answers, name


def test_an_exception_written_as_text_keeps_only_its_type() -> None:
    """uvicorn writes the whole traceback as a message when the application cannot start."""
    try:
        raise ValueError(PERSONAS["active"].phone)
    except ValueError:
        text = traceback.format_exc()

    event = _without_exception_text(None, "error", {"event": text})

    assert event == {"event": "an exception was logged as text", "error": "ValueError"}
