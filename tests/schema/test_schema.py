"""The published schema: committed as it is, and every name of it documented, Chinese first."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
)

from core.kernel.refusals import BY_CODE, InvalidFields, Refusal, RefusalCode
from core.kernel.texts import Language
from gateway import schema as gateway_schema
from gateway.channels import CHANNELS

ROOT = Path(__file__).parents[2]
CHINESE_FIRST = re.compile(r"\W*(\{\w+\})?\W*[\u4e00-\u9fff].*", re.DOTALL)
NOT_OURS = {"String", "Int", "Float", "Boolean", "ID", "Date", "DateTime", "Upload"}


def sdl() -> str:
    return gateway_schema.build_schema().as_str()


def public_schema() -> GraphQLSchema:
    return build_schema(sdl())


def described() -> Iterator[tuple[str, str | None]]:
    for name, kind in public_schema().type_map.items():
        if name.startswith("__") or name in NOT_OURS:
            continue
        yield name, kind.description
        if isinstance(kind, GraphQLEnumType):
            for value_name, value in kind.values.items():
                yield f"{name}.{value_name}", value.description
        if isinstance(kind, GraphQLInputObjectType):
            for input_name, input_field in kind.fields.items():
                yield f"{name}.{input_name}", input_field.description
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field_name, field in kind.fields.items():
                yield f"{name}.{field_name}", field.description
                for argument_name, argument in field.args.items():
                    yield f"{name}.{field_name}({argument_name})", argument.description


def test_the_committed_schema_is_the_codes() -> None:
    committed = ROOT / "schema.graphql"

    assert committed.exists(), "run `card-gateway schema > schema.graphql`"
    assert committed.read_text("utf-8").rstrip() == sdl().rstrip()


def test_every_name_is_documented() -> None:
    missing = [name for name, text in described() if not text]

    assert missing == []


def test_every_description_begins_in_chinese() -> None:
    wrong = [name for name, text in described() if text and not CHINESE_FIRST.fullmatch(text)]

    assert wrong == []


CONTRACT = {
    "Query": "channels channel viewer cardStatus productionProgress applicationForm outlets insurances"
    " serviceForm",
    "Mutation": "signIn signOut bindCard sendVerificationCode uploadPortrait confirmPortrait"
    " uploadIdDocument confirmIdDocuments deletePicture saveApplicationDraft applyCard activateCard reportLoss"
    " cancelLoss changePassword changePhone changeContact transferIn reissueCard"
    " cancelApplication changePickupOutlet correctApplication",
    "Subscription": "productionProgress",
    "Refusal": "code message field retryAfter problems",
    "FieldProblem": "field code message",
    "SignedIn": "token expiresAt viewer",
    "VerificationCodeSent": "maskedPhone expiresAt resendAfter",
    "CardBound": "viewer",
    "CardStatus": "name socialSecurityNumber cardNumber issueDate bank homeRegion state",
    "ProductionProgress": "socialSecurityNumber name batchNumber cardNumber bank nodes",
    "PortraitPreview": "portraitId url accepted checks",
    "CardApplied": "applicationNumber progress",
    "CardReissued": "applicationNumber progress",
    "ApplicationCancelled": "progress",
    "PickupOutletChanged": "progress",
    "ApplicationCorrected": "progress",
    "CancelApplicationInput": "applicationNumber",
    "ChangePickupOutletInput": "applicationNumber districtCode outletCode",
    "CardActivated": "card",
    "LossReported": "card",
    "LossCancelled": "card",
    "TransferredIn": "card",
    "PasswordChanged": "at",
    "PhoneChanged": "at",
    "ContactChanged": "at",
    "Insurances": "items",
    "Viewer": "channel bound name phone card services",
    "Channel": "id name appName entrySteps bindingRequired authorizeUrl",
    "Outlet": "code name address districtCode bankCodes",
    "ApplyCardInput": "postalCode socialInsuranceNumber educationCode occupationCode bankCode"
    " financialWithholding pickupMethod districtCode outletCode phone code nationalityCode"
    " idDocumentType idIssuer idNumber idValidUntil name genderCode ethnicityCode birthDate",
    "ChangePasswordInput": "oldPassword newPassword confirmPassword",
    "TransferInInput": "cardNumber insurances phone code",
    "ReissueCardInput": "pickupMethod districtCode outletCode phone code",
}


@pytest.mark.parametrize("name", CONTRACT)
def test_the_names_of_the_contract_are_there(name: str) -> None:
    kind = public_schema().type_map[name]
    assert isinstance(kind, GraphQLObjectType | GraphQLInputObjectType)

    assert set(CONTRACT[name].split()) <= set(kind.fields)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ChannelId", " ".join(kind.id for kind in CHANNELS)),
        ("CardState", "SEALED ACTIVE LOST LOCKED TEMPORARILY_LOST CANCELLED"),
        (
            "ProductionNode",
            "INTAKE BANK_ACCOUNT MANUFACTURE KEY_LOADING STOCK_TRANSFER READY_FOR_PICKUP",
        ),
        ("NodeResult", "PENDING IN_PROGRESS DONE FAILED NEEDS_CORRECTION"),
        ("InsuranceType", "PENSION MEDICAL UNEMPLOYMENT WORK_INJURY MATERNITY"),
        ("PickupMethod", "OUTLET"),
        ("IdDocumentSide", "PORTRAIT_SIDE EMBLEM_SIDE"),
        (
            "VerificationPurpose",
            "BIND_CARD APPLY_CARD ACTIVATE_CARD REPORT_LOSS CANCEL_LOSS CHANGE_PHONE TRANSFER_IN"
            " REISSUE_CARD",
        ),
        ("RefusalCode", " ".join(RefusalCode)),
    ],
)
def test_the_values_of_the_contract_are_there(name: str, values: str) -> None:
    kind = public_schema().type_map[name]
    assert isinstance(kind, GraphQLEnumType)

    assert list(kind.values) == values.split()


# --- refusals ------------------------------------------------------------------------------


def classes(base: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for kind in base.__subclasses__():
        yield kind
        yield from classes(kind)


def test_every_code_has_one_refusal() -> None:
    codes = [kind.code for kind in classes() if kind is not InvalidFields]

    assert sorted(codes) == sorted(RefusalCode)
    assert set(BY_CODE) == set(RefusalCode)


@pytest.mark.parametrize("code", RefusalCode)
def test_every_refusal_speaks_both_languages(code: RefusalCode) -> None:
    text = BY_CODE[code].text

    assert re.search(r"[\u4e00-\u9fff]", text.zh)
    assert re.match(r"[A-Za-z{]", text.en)
    facts = {language: facts_of(text.in_language(language)) for language in Language}
    assert facts[Language.ZH] >= facts[Language.EN] or facts[Language.EN] >= facts[Language.ZH]


def facts_of(text: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", text))
