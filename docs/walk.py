"""Walks all ten services, and the ways out of an application, through each of the three channels.

    make run                       # in one terminal
    .venv/bin/python docs/walk.py  # in another

It plays the channels' front-ends over HTTP alone. The sandbox stands in for the apps, the
SMS inbox and the card issuer; it is reset before each channel.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import httpx

CHANNELS = ("WECHAT", "UNIONPAY", "PING_AN")
REFUSAL = "... on Refusal { code message field retryAfter problems { field code message } }"


class FrontEnd:
    """One signed-in citizen's front-end."""

    def __init__(self, http: httpx.Client, channel: str, persona: str) -> None:
        self._http = http
        self._channel = channel
        self._headers: dict[str, str] = {}
        people = http.get("/sandbox/personas").json()
        self.person = next(person for person in people if person["id"] == persona)

    def ask(self, document: str, **variables: Any) -> Any:
        """The single root field's value."""
        reply = self._http.post(
            "/graphql",
            json={"query": document, "variables": variables},
            headers=self._headers,
        ).json()
        if "errors" in reply:
            sys.exit(f"failed: {json.dumps(reply['errors'], ensure_ascii=False)}")
        return next(iter(reply["data"].values()))

    def upload(self, document: str, picture: bytes, **variables: Any) -> Any:
        operations = {"query": document, "variables": {**variables, "file": None}}
        reply = self._http.post(
            "/graphql",
            data={
                "operations": json.dumps(operations),
                "map": json.dumps({"0": ["variables.file"]}),
            },
            files={"0": ("picture.jpg", picture, "image/jpeg")},
            headers=self._headers | {"GraphQL-Preflight": "1"},
        ).json()
        if "errors" in reply:
            sys.exit(f"failed: {json.dumps(reply['errors'], ensure_ascii=False)}")
        return next(iter(reply["data"].values()))

    def sample_portrait(self) -> bytes:
        """A drawn head: nobody's picture."""
        return self._http.get("/sandbox/portrait.jpg").content

    def sample_id_document(self, side: str) -> bytes:
        """A drawn specimen of the persona's own card."""
        return self._http.get(f"/sandbox/id-cards/{self.person['id']}/{side}.jpg").content

    def sign_in(self) -> None:
        handed = self._http.post(
            "/sandbox/authorize", json={"channel": self._channel, "persona": self.person["id"]}
        ).json()
        signed_in = self.ask(
            "mutation($i: SignInInput!) { signIn(input: $i) {"
            f" ... on SignedIn {{ token viewer {{ bound }} }} {REFUSAL} }} }}",
            i={"channel": self._channel, **handed},
        )
        self._use(signed_in["token"])
        if not signed_in["viewer"]["bound"]:
            self._bind()

    def _use(self, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}

    def _bind(self) -> None:
        bound = self.do(
            "bindCard",
            "BindCardInput",
            "CardBound",
            "token",
            name=self.person["name"],
            socialSecurityNumber=self.person["socialSecurityNumber"],
            phone=self.person["phone"],
            code=self.code("BIND_CARD"),
        )
        self._use(bound["token"])

    def code(self, purpose: str, phone: str | None = None) -> str:
        phone = phone or self.person["phone"]
        sent = self.ask(
            "mutation($i: SendVerificationCodeInput!) { sendVerificationCode(input: $i) {"
            f" __typename ... on VerificationCodeSent {{ maskedPhone }} {REFUSAL} }} }}",
            i={"purpose": purpose, "phone": phone},
        )
        self._must("VerificationCodeSent", sent)
        for _ in range(100):
            for message in self.inbox(phone):
                if message["purpose"] == purpose:
                    return str(message["code"])
        sys.exit("the code never arrived")

    def inbox(self, phone: str | None = None) -> Any:
        """Newest first, once everything has been delivered."""
        asked = {"phone": phone or self.person["phone"]}
        return self._http.get("/sandbox/sms", params=asked).json()

    def do(self, mutation: str, kind: str, success: str, fields: str, **given: Any) -> Any:
        done = self.ask(
            f"mutation($i: {kind}!) {{ {mutation}(input: $i) {{ __typename"
            f" ... on {success} {{ {fields} }} {REFUSAL} }} }}",
            i=given,
        )
        return self._must(success, done)

    @staticmethod
    def _must(typename: str, answer: Any) -> Any:
        if answer["__typename"] != typename:
            sys.exit(f"refused: {json.dumps(answer, ensure_ascii=False)}")
        return answer


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--url", default="http://127.0.0.1:8000")
    with httpx.Client(base_url=options.parse_args().url, timeout=30) as http:
        for channel in CHANNELS:
            http.post("/sandbox/reset").raise_for_status()
            walk(http, channel)


def walk(http: httpx.Client, channel: str) -> None:
    def enter(persona: str) -> FrontEnd:
        front_end = FrontEnd(http, channel, persona)
        front_end.sign_in()
        return front_end

    print(f"\n{channel}")
    applicant = enter("no-card")
    show("1 申办", apply(applicant))
    show("9 制卡进度查询", progress(applicant))
    for _ in range(6):
        http.post("/sandbox/issuer/advance", json={"persona": "no-card"}).raise_for_status()
    made = progress(applicant)
    show("  六个节点之后", made)
    show("2 激活", activate(applicant, made["cardNumber"]))
    show("10 卡状态查询", status(applicant))

    citizen = enter("active")
    show("5 服务密码变更", change_password(citizen))
    show("6 信息变更", change_information(citizen))
    show("3 挂失", report_loss(citizen))
    show("4 解挂", cancel_loss(citizen))

    loser = enter("lost")
    show("8 补卡", reissue(loser))
    ways_out(http, enter, loser)
    show("7 卡归属地转入", transfer_in(enter("other-city")))


def ways_out(http: httpx.Client, enter: Callable[[str], FrontEnd], loser: FrontEnd) -> None:
    """Ends, redirects and corrects applications, and gives cards back as they were before a loss."""
    show("取消申请", change(loser, "cancelApplication", "ApplicationCancelled"))
    show("  之后", application(loser))
    show("4 解挂", cancel_loss(loser))

    waiting = enter("in-production")
    place = {"districtCode": "510105", "outletCode": "SAMPLE-510105-1"}
    show("更改领卡网点", change(waiting, "changePickupOutlet", "PickupOutletChanged", **place))
    issuer_reports(
        http, "in-production", result="NEEDS_CORRECTION", corrections=["portrait", "postalCode"]
    )
    show("待更正", application(waiting))
    confirm_portrait(waiting)
    corrected = change(waiting, "correctApplication", "ApplicationCorrected", postalCode="610041")
    show("更正申请", corrected)
    show("  之后", application(waiting))
    issuer_reports(http, "in-production", event="ORDER_CLOSED", reason="CANNOT_BE_MADE")
    show("申请关闭", application(waiting))
    show("1 再次申办", apply(waiting))

    for persona in ("locked", "sealed"):
        holder = enter(persona)
        show(f"3 挂失 {persona}", report_loss(holder))
        show("4 解挂", cancel_loss(holder))


def issuer_reports(http: httpx.Client, persona: str, **report: Any) -> None:
    given = {"persona": persona, **report}
    http.post("/sandbox/issuer/advance", json=given).raise_for_status()


def change(front_end: FrontEnd, mutation: str, success: str, **given: Any) -> Any:
    """Of the newest application; the sandbox's card issuer accepts it at once."""
    return front_end.do(
        mutation,
        mutation[0].upper() + mutation[1:] + "Input",
        success,
        "progress { pendingChange }",
        applicationNumber=application(front_end)["applicationNumber"],
        **given,
    )


def application(front_end: FrontEnd) -> Any:
    """Once what is under way has been delivered."""
    front_end.inbox()
    return front_end.ask(
        "{ productionProgress { ... on ProductionProgress { applicationNumber pendingChange"
        " possibleChanges closed { reasonName message } nodes { resultTitle message"
        f" corrections {{ label }} }} }} {REFUSAL} }} }}"
    )


def show(title: str, answer: Any) -> None:
    print(f"  {title:　<10}{json.dumps(answer, ensure_ascii=False)}")


def confirm_portrait(front_end: FrontEnd) -> None:
    portrait = front_end.upload(
        "mutation($file: Upload!) { uploadPortrait(file: $file) {"
        f" ... on PortraitPreview {{ portraitId accepted }} {REFUSAL} }} }}",
        front_end.sample_portrait(),
    )
    front_end.ask(
        "mutation($id: ID!) { confirmPortrait(portraitId: $id) { __typename } }",
        id=portrait["portraitId"],
    )


def apply(front_end: FrontEnd) -> Any:
    confirm_portrait(front_end)
    for side in ("PORTRAIT_SIDE", "EMBLEM_SIDE"):
        front_end.upload(
            "mutation($side: IdDocumentSide!, $file: Upload!) {"
            " uploadIdDocument(side: $side, file: $file) { __typename } }",
            front_end.sample_id_document(side),
            side=side,
        )
    front_end.ask("mutation { confirmIdDocuments { __typename } }")
    form = front_end.ask(
        "{ serviceForm(service: APPLY_CARD) { sections { fields { name options { code } } } } }"
    )
    options = {field["name"]: field["options"] for field in form["sections"][-1]["fields"]}
    district = options["districtCode"][0]["code"]
    outlet = front_end.ask(
        "query($d: String!) { outlets(districtCode: $d) { code bankCodes } }", d=district
    )[0]
    number = front_end.person["socialSecurityNumber"]
    return front_end.do(
        "applyCard",
        "ApplyCardInput",
        "CardApplied",
        "applicationNumber progress { bank nodes { title resultTitle } }",
        postalCode="610000",
        socialInsuranceNumber="",
        educationCode=options["educationCode"][5]["code"],
        occupationCode=options["occupationCode"][1]["code"],
        bankCode=outlet["bankCodes"][0],
        financialWithholding=False,
        pickupMethod="OUTLET",
        districtCode=district,
        outletCode=outlet["code"],
        phone=front_end.person["phone"],
        code=front_end.code("APPLY_CARD"),
        nationalityCode="CHN",
        idDocumentType="01",
        idIssuer="成都市公安局",
        idNumber=number,
        idValidUntil="LONG_TERM",
        name=front_end.person["name"],
        genderCode="1" if int(number[16]) % 2 else "2",
        ethnicityCode="01",
        birthDate=number[6:14],
    )


def progress(front_end: FrontEnd) -> Any:
    return front_end.ask(
        "{ productionProgress { ... on ProductionProgress"
        f" {{ name batchNumber cardNumber bank nodes {{ title resultTitle }} }} {REFUSAL} }} }}"
    )


def status(front_end: FrontEnd) -> Any:
    return front_end.ask(
        "{ cardStatus { ... on CardStatus { name socialSecurityNumber cardNumber issueDate bank"
        f" homeRegion state stateName }} {REFUSAL} }} }}"
    )


def activate(front_end: FrontEnd, card_number: str) -> Any:
    return front_end.do(
        "activateCard",
        "ActivateCardInput",
        "CardActivated",
        "card { cardNumber state }",
        phone=front_end.person["phone"],
        cardNumber=card_number,
        code=front_end.code("ACTIVATE_CARD"),
    )


def report_loss(front_end: FrontEnd) -> Any:
    return front_end.do(
        "reportLoss",
        "ReportLossInput",
        "LossReported",
        "card { name cardNumber state }",
        phone=front_end.person["phone"],
        code=front_end.code("REPORT_LOSS"),
    )


def cancel_loss(front_end: FrontEnd) -> Any:
    return front_end.do(
        "cancelLoss",
        "CancelLossInput",
        "LossCancelled",
        "card { cardNumber state }",
        phone=front_end.person["phone"],
        cardNumber=front_end.person["cardNumber"],
        code=front_end.code("CANCEL_LOSS"),
    )


def change_password(front_end: FrontEnd) -> Any:
    return front_end.do(
        "changePassword",
        "ChangePasswordInput",
        "PasswordChanged",
        "at",
        oldPassword=front_end.person["servicePassword"],
        newPassword="60318527",
        confirmPassword="60318527",
    )


def change_information(front_end: FrontEnd) -> Any:
    front_end.do(
        "changeContact",
        "ChangeContactInput",
        "ContactChanged",
        "at",
        landline="028-86120000",
        residentialAddress="成都市锦江区示例路 1 号",
    )
    new_phone = "19900009999"
    done = front_end.do(
        "changePhone",
        "ChangePhoneInput",
        "PhoneChanged",
        "at",
        newPhone=new_phone,
        code=front_end.code("CHANGE_PHONE", new_phone),
    )
    front_end.person["phone"] = new_phone
    return done


def transfer_in(front_end: FrontEnd) -> Any:
    found = front_end.ask(
        "query($n: String!) { insurances(cardNumber: $n) {"
        f" ... on Insurances {{ items {{ type enrolled }} }} {REFUSAL} }} }}",
        n=front_end.person["cardNumber"],
    )
    return front_end.do(
        "transferIn",
        "TransferInInput",
        "TransferredIn",
        "card { cardNumber homeRegion state }",
        cardNumber=front_end.person["cardNumber"],
        insurances=[item["type"] for item in found["items"] if item["enrolled"]],
        phone=front_end.person["phone"],
        code=front_end.code("TRANSFER_IN"),
    )


def reissue(front_end: FrontEnd) -> Any:
    bank = "SAMPLE-ABC"
    districts = ("510104", "510105", "510106", "510107", "510108", "510112")
    outlet = next(
        outlet
        for district in districts
        for outlet in front_end.ask(
            "query($d: String!, $b: String) {"
            " outlets(districtCode: $d, bankCode: $b) { code districtCode } }",
            d=district,
            b=bank,
        )
    )
    return front_end.do(
        "reissueCard",
        "ReissueCardInput",
        "CardReissued",
        "applicationNumber progress { bank nodes { title resultTitle } }",
        pickupMethod="OUTLET",
        districtCode=outlet["districtCode"],
        outletCode=outlet["code"],
        phone=front_end.person["phone"],
        code=front_end.code("REISSUE_CARD"),
    )


if __name__ == "__main__":
    main()
