"""申办 from portrait to receipt over HTTP, steps 1 to 3 of the guide: times, bytes, acceptance.

    .venv/bin/python -m bench.intake [--people 10] [--seed 1] [--keep FOLDER]

Each citizen has a generated portrait and both sides of a generated ID card photographed on a
table, all with 12 megapixels. They consent, upload and confirm the portrait (1) and
the ID card (2) in one app, fill in the form field by field in another (3), taking what was read
off the card, and apply; then the receipt PDF is fetched, its QR code read and the address opened.
The sandbox is reset before the next citizen. `--keep` stores the pictures.
"""

import argparse
import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pypdfium2
from PIL import Image

from bench.portraits import big_portraits
from bench.server import Server
from core.imaging import Side, can_read
from sandbox.id_cards import card_of
from sandbox.personas import PERSONAS
from tests.id_documents.parts import DRAW
from tests.id_documents.photographs import TABLES, Scene, photograph
from tests.services.parts import application_of
from tests.soak.ws_load import UNLIMITED

PERSON = PERSONAS["no-card"]
FRAME = (4000, 3000)
_REFUSAL = "... on Refusal { code message field problems { field code message } }"
_CHECKS = "checks { code passed message }"
_PORTRAIT = (
    "mutation($file: Upload!) { uploadPortrait(file: $file) { __typename"
    f" ... on PortraitPreview {{ portraitId url overlayUrl accepted {_CHECKS} }} {_REFUSAL} }} }}"
)
_DOCUMENT = (
    "mutation($side: IdDocumentSide!, $file: Upload!) {"
    " uploadIdDocument(side: $side, file: $file) { __typename ... on IdDocumentUploaded {"
    f" accepted url {_CHECKS} readFields {{ field value confidence }} }} {_REFUSAL} }} }}"
)
_FORM = (
    "{ applicationForm { ... on ApplicationForm { missing privacyNotice { version } fields {"
    " name value source suggestion { value } problem { message } } } } }"
)
_SAVE = (
    "mutation($i: ApplicationDraftInput!) { saveApplicationDraft(input: $i) { __typename"
    f" ... on ApplicationDraftSaved {{ missing problems {{ field message }} }} {_REFUSAL} }} }}"
)
_APPLY = (
    "mutation($i: ApplyCardInput!) { applyCard(input: $i) { __typename"
    f" ... on CardApplied {{ applicationNumber receipt {{ pdfUrl }} }} {_REFUSAL} }} }}"
)


@dataclass(slots=True)
class Stage:
    """Seconds and bytes per citizen."""

    took: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Measured:
    stages: dict[str, Stage] = field(default_factory=lambda: defaultdict(Stage))
    portraits: int = 0
    documents: int = 0
    offered: int = 0
    right: int = 0
    stored: list[int] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


class FrontEnd:
    def __init__(self, http: httpx.Client, channel: str, measured: Measured) -> None:
        self._http = http
        self._measured = measured
        self._headers: dict[str, str] = {}
        self._stage: Stage | None = None
        asked = {"channel": channel, "persona": PERSON.id}
        handed = http.post("/sandbox/authorize", json=asked).json()
        signed_in = self.ask(
            "mutation($i: SignInInput!) { signIn(input: $i) { ... on SignedIn { token } } }",
            i={"channel": channel, **handed},
        )
        self._headers = {"Authorization": f"Bearer {signed_in['token']}"}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Requests sent inside the block are counted for this step."""
        self._stage = stage = self._measured.stages[name]
        stage.sent.append(0)
        stage.received.append(0)
        began = time.perf_counter()
        yield
        stage.took.append(time.perf_counter() - began)

    def ask(self, document: str, **variables: Any) -> Any:
        return self._read(
            self._http.post(
                "/graphql",
                json={"query": document, "variables": variables},
                headers=self._headers,
            )
        )

    def upload(self, document: str, picture: bytes, **variables: Any) -> Any:
        operations = {"query": document, "variables": variables | {"file": None}}
        return self._read(
            self._http.post(
                "/graphql",
                data={"operations": json.dumps(operations), "map": '{"0": ["variables.file"]}'},
                files={"0": ("picture.jpg", picture, "image/jpeg")},
                headers=self._headers,
            )
        )

    def get(self, url: str) -> bytes:
        return self._counted(self._http.get(url)).content

    def _read(self, response: httpx.Response) -> Any:
        reply = self._counted(response).json()
        if "errors" in reply:
            sys.exit(f"failed: {json.dumps(reply['errors'], ensure_ascii=False)}")
        return next(iter(reply["data"].values()))

    def _counted(self, response: httpx.Response) -> httpx.Response:
        if response.status_code != 200:
            sys.exit(f"{response.request.url}: {response.status_code}")
        if self._stage is not None:
            self._stage.sent[-1] += int(response.request.headers.get("content-length", 0))
            self._stage.received[-1] += len(response.content)
        return response


def walk(http: httpx.Client, number: int, seed: int, measured: Measured, keep: Path | None) -> None:
    http.post("/sandbox/reset").raise_for_status()
    first = FrontEnd(http, "UNIONPAY", measured)
    with first.stage("consent"):
        form = first.ask(_FORM)
        first.ask(
            "mutation($i: GiveConsentInput!) { giveConsent(input: $i) { __typename } }",
            i={"noticeVersion": form["privacyNotice"]["version"]},
        )
    sent = {"portrait": big_portraits(1, [seed, number])[0], **_photographs(seed, number)}
    _portrait(first, sent["portrait"], measured, sent)
    read = _documents(first, sent, measured)
    second = FrontEnd(http, "PING_AN", measured)
    answer = _fill_in(second, read, measured)
    if answer is not None:
        _receipt(second, answer, sent)
    if keep is not None:
        _keep(keep, number, sent)


def _photographs(seed: int, number: int) -> dict[str, bytes]:
    """Photographs as a careful person takes them."""
    chance = np.random.default_rng([seed, 7, number])
    scene = Scene(
        frame=FRAME,
        table=TABLES[number % len(TABLES)],
        cover=float(chance.uniform(0.55, 0.85)),
        tilt=float(chance.uniform(-15, 15)),
        pan=float(chance.uniform(-15, 15)),
        roll=float(chance.uniform(-8, 8)),
        light=float(chance.uniform(0.75, 0.95)),
        blur=float(chance.uniform(0.2, 1)),
        noise=float(chance.uniform(1, 4)),
        seed=number,
    )
    card = card_of(PERSON)
    return {side.value: photograph(draw(card), scene).data for side, draw in DRAW.items()}


def _portrait(
    front_end: FrontEnd, picture: bytes, measured: Measured, sent: dict[str, bytes]
) -> None:
    with front_end.stage("1 portrait: upload, review"):
        preview = front_end.upload(_PORTRAIT, picture)
    measured.portraits += _accepted(preview, "portrait", measured)
    with front_end.stage("1 portrait: preview"):
        sent["portrait-processed"] = front_end.get(preview["url"])
    measured.stored.append(len(sent["portrait-processed"]))
    with front_end.stage("1 portrait: overlay"):
        sent["portrait-overlay"] = front_end.get(preview["overlayUrl"])
    with front_end.stage("1 portrait: confirm"):
        front_end.ask(
            "mutation($id: ID!) { confirmPortrait(portraitId: $id) { __typename } }",
            id=preview["portraitId"],
        )


def _documents(front_end: FrontEnd, sent: dict[str, bytes], measured: Measured) -> dict[str, str]:
    """What was read off the ID card, by form field."""
    read: dict[str, str] = {}
    for side in (side.value for side in Side):
        with front_end.stage("2 one side: upload, review, read"):
            preview = front_end.upload(_DOCUMENT, sent[side], side=side)
        measured.documents += _accepted(preview, side, measured)
        if preview.get("url"):
            with front_end.stage("2 one side: preview"):
                sent[f"{side}-straightened"] = front_end.get(preview["url"])
            read |= {entry["field"]: entry["value"] for entry in preview["readFields"]}
    with front_end.stage("2 both sides: confirm"):
        front_end.ask("mutation { confirmIdDocuments { __typename } }")
    return read


def _fill_in(
    front_end: FrontEnd, read: dict[str, str], measured: Measured
) -> dict[str, Any] | None:
    """Saves field by field; what was filled in is taken over unchanged."""
    with front_end.stage("3 form: fetch"):
        form = front_end.ask(_FORM)
    offered = {
        entry["name"]: entry["value"]
        for entry in form["fields"]
        if entry["source"] in ("PLATFORM", "DOCUMENT")
    }
    card, typed = card_of(PERSON), application_of(PERSON)
    until = f"{card.valid_until:%Y%m%d}" if card.valid_until else "LONG_TERM"
    typed |= {"idIssuer": card.issuer, "idValidUntil": until}
    measured.offered += len(offered)
    measured.right += sum(typed[name] == value for name, value in offered.items())
    filled = typed | offered
    names = [entry["name"] for entry in form["fields"]]
    for name in names:
        with front_end.stage("3 form: save one field"):
            front_end.ask(_SAVE, i={name: filled[name]})
    with front_end.stage("3 form: fetch it filled"):
        left = front_end.ask(_FORM)["missing"]
    if left:
        measured.refusals.append(f"missing: {left}")
    code = _code(front_end)
    with front_end.stage("3 apply"):
        answer: dict[str, Any] = front_end.ask(
            _APPLY, i={name: filled[name] for name in names} | {"code": code}
        )
    if answer["__typename"] != "CardApplied":
        measured.refusals.append(json.dumps(answer, ensure_ascii=False))
        return None
    return answer


def _code(front_end: FrontEnd) -> str:
    with front_end.stage("3 verification code"):
        front_end.ask(
            "mutation($i: SendVerificationCodeInput!) { sendVerificationCode(input: $i)"
            " { __typename } }",
            i={"purpose": "APPLY_CARD", "phone": PERSON.phone},
        )
        inbox = json.loads(front_end.get(f"/sandbox/sms?phone={PERSON.phone}"))
    return str(next(sms["code"] for sms in inbox if sms["purpose"] == "APPLY_CARD"))


def _receipt(front_end: FrontEnd, answer: dict[str, Any], sent: dict[str, bytes]) -> None:
    with front_end.stage("receipt: PDF"):
        pdf = front_end.get(answer["receipt"]["pdfUrl"])
    page = pypdfium2.PdfDocument(pdf)[0].render(scale=150 / 72).to_numpy()
    address, *_ = cv2.QRCodeDetector().detectAndDecode(page)
    sent["receipt"] = cv2.imencode(".png", page)[1].tobytes()
    with front_end.stage("receipt: the QR code's page"):
        assert b"<html" in front_end.get(address)
    with front_end.stage("receipt: progress"):
        progress = front_end.ask(
            "{ productionProgress { ... on ProductionProgress { applicationNumber } } }"
        )
    assert progress["applicationNumber"] == answer["applicationNumber"]


def _accepted(preview: dict[str, Any], what: str, measured: Measured) -> bool:
    if preview.get("accepted"):
        return True
    failed = [check["message"] for check in preview.get("checks", []) if not check["passed"]]
    measured.refusals.append(f"{what}: {failed or preview}")
    return False


def _keep(folder: Path, number: int, pictures: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in pictures.items():
        picture = Image.open(io.BytesIO(data))
        picture.thumbnail((1200, 1200))
        picture.convert("RGB").save(folder / f"{number}-{name}.png")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--people", type=int, default=10)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--keep", type=Path)
    given = options.parse_args()
    measured = Measured()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), **UNLIMITED)
        server.start()
        try:
            with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
                for number in range(given.people):
                    walk(http, number, given.seed, measured, given.keep)
        finally:
            server.stop()
    print(f"{'stage':<34}{'median':>9}{'worst':>9}{'sent':>12}{'received':>12}")
    for name, stage in measured.stages.items():
        print(
            f"{name:<34}{statistics.median(stage.took) * 1e3:>6.0f} ms"
            f"{max(stage.took) * 1e3:>6.0f} ms{statistics.median(stage.sent):>12,.0f}"
            f"{statistics.median(stage.received):>12,.0f}"
        )
    people, stored = given.people, measured.stored
    print(f"portraits accepted at the first try: {measured.portraits} of {people}")
    print(f"sides of ID cards accepted at the first try: {measured.documents} of {2 * people}")
    print(f"stored portrait: {min(stored):,} to {max(stored):,} bytes")
    reader = "with" if can_read() else "without"
    print(
        f"fields filled in {reader} OCR: {measured.offered / people:.1f} of 8 a person,"
        f" {measured.right} of {measured.offered} right"
    )
    for refusal in measured.refusals:
        print(f"  {refusal}")


if __name__ == "__main__":
    main()
