"""服务表单 serviceForm: the guide's words, and that a front-end needs no table of its own."""

from typing import Any

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
)

from core.imaging import MAX_MEGAPIXELS
from core.kernel.card_services import CardService
from core.service_forms import SERVICE_FORMS
from gateway.channels import CHANNELS
from gateway.schema import build_schema
from sandbox.personas import PERSONAS
from tests.form_reader import FORM, FormReader
from tests.front_end import FrontEnd, World
from tests.services.parts import NEW_PHONE, OUTLET, OUTLET_OF_OTHER_BANKS, english

SCHEMA = build_schema()._schema
CHANNEL_IDS = [kind.id.value for kind in CHANNELS]

LABELS = {
    CardService.APPLY_CARD: [
        ["图片上传"],
        ["上传本人身份证人像面", "上传本人身份证国徽面"],
        [
            "邮政编码",
            "社保编号",
            "学历",
            "职业/工种",
            "开户银行",
            "是否使用金融代扣",
            "领卡方式",
            "领卡区县",
            "领卡网点",
            "手机号码",
            "验证码",
            "国籍/地区代码",
            "证件类型",
            "证件发证机关",
            "证件号码",
            "证件截止有效期",
            "姓名",
            "性别",
            "民族",
            "出生日期",
        ],
    ],
    CardService.ACTIVATE_CARD: [["手机号码", "卡号", "验证码"]],
    CardService.REPORT_LOSS: [["姓名", "卡号"], ["手机号码", "验证码"]],
    CardService.CANCEL_LOSS: [["手机号码", "卡号", "验证码"]],
    CardService.CHANGE_PASSWORD: [["原密码", "新密码", "确认密码"]],
    CardService.CHANGE_INFORMATION: [
        ["手机号码", "验证码"],
        ["固定电话", "户口所在地地址", "常住地地址", "常住地邮政编码"],
    ],
    CardService.TRANSFER_IN: [["卡号", "成都参保险种选择", "手机号码", "验证码"]],
    CardService.REISSUE_CARD: [["领卡方式", "发卡区县", "发卡网点", "手机号码", "验证码"]],
    CardService.PRODUCTION_PROGRESS: [
        [
            "社会保障号码",
            "姓名",
            "制卡批次号",
            "卡号",
            "发卡银行",
            "业务节点",
            "办理结果",
            "办理时间",
        ]
    ],
    CardService.CARD_STATUS: [
        ["姓名", "社会保障号码", "卡号", "发卡日期", "发卡银行", "归属地", "卡状态"]
    ],
}
SUBMIT_LABELS = {
    CardService.APPLY_CARD: ["确认上传", "确认上传", "申请"],
    CardService.ACTIVATE_CARD: ["激活人社功能"],
    CardService.REPORT_LOSS: [None, "挂失"],
    CardService.CANCEL_LOSS: ["解挂"],
    CardService.CHANGE_PASSWORD: ["提交"],
    CardService.CHANGE_INFORMATION: ["提交", "提交"],
    CardService.TRANSFER_IN: ["确认转移"],
    CardService.REISSUE_CARD: ["补卡"],
    CardService.PRODUCTION_PROGRESS: [None],
    CardService.CARD_STATUS: [None],
}
MUTATIONS = {
    "applyCard",
    "activateCard",
    "reportLoss",
    "cancelLoss",
    "changePassword",
    "changePhone",
    "changeContact",
    "transferIn",
    "reissueCard",
}
TIP = (
    "温馨提示：假如在省内其他市（州）办理了社会保障卡，在成都无需再办卡，可通过此功能模块将卡的归属地转入成都"
    "后使用；如需办理参保关系转入，则需要前往社保局办理，详情可咨询028-12333。"
)


async def form_of(citizen: FrontEnd, service: str) -> dict[str, Any]:
    form: dict[str, Any] = await citizen.ask(FORM, service=service)
    return form


# --- the guide's words ---------------------------------------------------------------------


@pytest.mark.parametrize("service", CardService)
async def test_has_the_guides_labels_in_the_guides_order(
    world: World, service: CardService
) -> None:
    nobody = world.front_end("active")

    form = await form_of(nobody, service)

    sections = form["sections"]
    assert (form["service"], form["title"]) == (service, service.text.zh)
    assert [[field["label"] for field in section["fields"]] for section in sections] == LABELS[
        service
    ]
    assert [section["submitLabel"] for section in sections] == SUBMIT_LABELS[service]
    for section in sections:
        assert [field["order"] for field in section["fields"]] == [
            number for number, _ in enumerate(section["fields"], 1)
        ]
    assert form["steps"]
    assert form["tips"] == ([TIP] if service == "TRANSFER_IN" else [])


async def test_names_the_buttons_beside_fields_as_the_guide_does(world: World) -> None:
    nobody = world.front_end("active")
    found = {}

    for service in CardService:
        for section in (await form_of(nobody, service))["sections"]:
            for field in section["fields"]:
                if field["button"]:
                    found[section["operation"], field["name"]] = (
                        field["button"]["label"],
                        field["button"]["purpose"],
                    )

    assert found == {
        ("applyCard", "code"): ("发送验证码", "APPLY_CARD"),
        ("activateCard", "code"): ("获取验证码", "ACTIVATE_CARD"),
        ("reportLoss", "code"): ("获取验证码", "REPORT_LOSS"),
        ("cancelLoss", "code"): ("获取验证码", "CANCEL_LOSS"),
        ("changePhone", "code"): ("获取验证码", "CHANGE_PHONE"),
        ("transferIn", "cardNumber"): ("查询险种", None),
        ("transferIn", "code"): ("获取验证码", "TRANSFER_IN"),
        ("reissueCard", "code"): ("获取验证码", "REISSUE_CARD"),
    }


async def test_has_the_guides_defaults_and_choices_for_applying(world: World) -> None:
    nobody = world.front_end("no-card")

    form = await form_of(nobody, "APPLY_CARD")

    fields = {field["name"]: field for field in form["sections"][-1]["fields"]}
    choices = {
        name: {option["code"]: option["name"] for option in field["options"]}
        for name, field in fields.items()
    }
    assert {
        name: field["defaultValue"] for name, field in fields.items() if field["defaultValue"]
    } == {
        "postalCode": "610000",
        "pickupMethod": "OUTLET",
        "nationalityCode": "CHN",
        "idDocumentType": "01",
    }
    assert choices["nationalityCode"]["CHN"].startswith("中国")
    assert choices["idDocumentType"]["01"] == "居民身份证"
    assert choices["pickupMethod"] == {"OUTLET": "服务网点"}
    assert choices["genderCode"] == {"1": "男性", "2": "女性"}
    assert choices["financialWithholding"] == {"true": "是", "false": "否"}
    assert len(choices["ethnicityCode"]) >= 56
    assert choices["outletCode"] == {}
    assert [name for name, field in fields.items() if not field["required"]] == [
        "socialInsuranceNumber"
    ]
    assert fields["idValidUntil"]["placeholder"] == "如20281021（或长期）"
    assert fields["idIssuer"]["placeholder"] == "请输入证件发证机关"
    assert fields["educationCode"]["placeholder"] == "-请选择-"


@pytest.mark.parametrize(
    ("service", "bank_from"), [("APPLY_CARD", "bankCode"), ("REISSUE_CARD", "cardStatus.bankCode")]
)
async def test_leads_to_the_outlets_of_the_chosen_district_and_bank(
    world: World, service: str, bank_from: str
) -> None:
    nobody = world.front_end("active")

    form = await form_of(nobody, service)
    outlets = await nobody.ask(
        '{ outlets(districtCode: "510104", bankCode: "SAMPLE-ICBC") { code } }'
    )

    field = next(field for field in form["sections"][-1]["fields"] if field["name"] == "outletCode")
    assert field["optionsQuery"] == {
        "operation": "outlets",
        "arguments": [
            {"name": "districtCode", "source": "districtCode"},
            {"name": "bankCode", "source": bank_from},
        ],
    }
    codes = [outlet["code"] for outlet in outlets]
    assert OUTLET in codes
    assert OUTLET_OF_OTHER_BANKS not in codes


async def test_offers_insurances_in_the_guides_order(world: World) -> None:
    citizen = await world.enter("other-city")

    form = await form_of(citizen, "TRANSFER_IN")
    asked = await citizen.ask(
        '{ insurances(cardNumber: "SAMPLE079") { ... on Insurances { items { type name } } } }'
    )

    options = form["sections"][0]["fields"][1]["options"]
    assert [option["name"] for option in options] == [
        "养老保险",
        "医疗保险",
        "失业保险",
        "工伤保险",
        "生育保险",
    ]
    assert [{"code": item["type"], "name": item["name"]} for item in asked["items"]] == options


async def test_says_how_pictures_are_uploaded_with_a_sample_that_can_be_seen(world: World) -> None:
    nobody = world.front_end("no-card")

    portrait, id_card, _ = (await form_of(nobody, "APPLY_CARD"))["sections"]

    (head,) = portrait["fields"]
    assert head["help"].endswith("（小提示：删除照片请单击照片）")
    assert head["upload"] == {
        "operation": "uploadPortrait",
        "side": None,
        "maxBytes": world.application.dependencies.settings.max_upload_bytes,
        "minWidth": 358,
        "minHeight": 441,
        "formats": [
            {"mediaType": media_type, "maxMegapixels": most}
            for media_type, most in MAX_MEGAPIXELS.items()
        ],
        "caption": "自动处理后照片预览",
        "sampleUrl": None,
    }
    uploads = [field["upload"] for field in id_card["fields"]]
    assert [upload["side"] for upload in uploads] == ["PORTRAIT_SIDE", "EMBLEM_SIDE"]
    for upload in uploads:
        sample = await world.http.get(upload["sampleUrl"])
        assert sample.status_code == 200
        assert sample.headers["content-type"].startswith("image/svg+xml")
        assert sample.headers["x-content-type-options"] == "nosniff"
        assert "示例 SAMPLE" in sample.text
    missing = await world.http.get("/samples/other.svg")
    assert missing.status_code == 404


@pytest.mark.parametrize("service", CardService)
async def test_speaks_english_to_who_asks_for_it(world: World, service: str) -> None:
    nobody = world.front_end("active")

    with english(nobody):
        form = await form_of(nobody, service)

    texts = [form["title"], *form["steps"], *form["tips"]]
    for section in form["sections"]:
        texts += [section["title"], section["instruction"], section["submitLabel"]]
        for field in section["fields"]:
            texts += [field["label"], field["help"], field["placeholder"]]
    assert all(text is None or text.isascii() or "“" in text for text in texts), texts


async def test_is_kept_by_caches_in_each_language(world: World) -> None:
    document = "{ serviceForm(service: REISSUE_CARD) { title } }"
    asked, wanted = {"query": document}, {"GraphQL-Preflight": "1"}

    chinese = await world.http.get("/graphql", params=asked, headers=wanted)
    in_english = await world.http.get(
        "/graphql", params=asked, headers=wanted | {"Accept-Language": "en"}
    )

    assert chinese.headers["cache-control"] == "public, max-age=3600"
    assert "Accept-Language" in chinese.headers["vary"]
    assert chinese.headers["etag"] != in_english.headers["etag"]


# --- it describes the schema, whole ----------------------------------------------------------


def test_every_input_of_the_services_is_described_field_by_field_in_order() -> None:
    """Nothing is left out and nothing made up, whatever field an input is given."""
    assert SCHEMA.mutation_type is not None
    described = set()

    for form in SERVICE_FORMS.values():
        for section in form.sections:
            mutation = SCHEMA.mutation_type.fields.get(section.operation)
            if mutation is None or "input" not in mutation.args:
                continue
            kind = get_named_type(mutation.args["input"].type)
            assert isinstance(kind, GraphQLInputObjectType)
            assert [field.name for field in section.fields] == list(kind.fields), kind.name
            for field in section.fields:
                declared = kind.fields[field.name].type
                is_required = isinstance(declared, GraphQLNonNull)
                bare = declared.of_type if is_required else declared
                assert field.required is is_required, field.name
                assert (field.type.value == "MULTI_SELECT") is isinstance(bare, GraphQLList)
                is_boolean = getattr(bare, "name", "") == "Boolean"
                assert (field.type.value == "BOOLEAN") is is_boolean
                assert field.label.zh
                assert field.label.en
            described.add(section.operation)

    assert described == MUTATIONS
    assert list(SERVICE_FORMS) == list(CardService)


def test_every_operation_argument_and_path_exists() -> None:
    assert SCHEMA.query_type is not None
    assert SCHEMA.mutation_type is not None
    operations = SCHEMA.query_type.fields | SCHEMA.mutation_type.fields

    for form in SERVICE_FORMS.values():
        for section in form.sections:
            assert section.operation in operations
            names = {field.name for field in section.fields}
            for field in section.fields:
                if section.submit_label is None:
                    resolve(section.operation, field.name)
                queries: list[Any] = [field.button, field.options_query]
                for query in filter(None, queries):
                    taken = operations[query.operation].args
                    inputs = (
                        get_named_type(taken["input"].type).fields if "input" in taken else taken
                    )
                    for argument in query.arguments:
                        assert argument.name in inputs
                        operation, _, path = argument.source.partition(".")
                        assert argument.source in names or resolve(operation, path)


def resolve(operation: str, path: str) -> bool:
    """Fails for a path that the query's result does not have."""
    assert SCHEMA.query_type is not None
    kind = get_named_type(SCHEMA.query_type.fields[operation].type)
    for name in path.split("."):
        if isinstance(kind, GraphQLUnionType):
            kind = next(member for member in kind.types if member.name != "Refusal")
        assert isinstance(kind, GraphQLObjectType), (operation, path)
        kind = get_named_type(kind.fields[name].type)
    return True


# --- a front-end without a table of its own ----------------------------------------------------


async def read_forms(
    world: World, channel: str, persona: str, service: str, **answers: Any
) -> list[Any]:
    citizen = await world.enter(persona, channel)
    known = {
        "手机号码": citizen.person.phone,
        "卡号": citizen.person.card_number,
        "原密码": citizen.person.service_password,
    }
    return await FormReader(citizen, known | answers).carry_out(service)


FILLED: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "ACTIVATE_CARD": ("sealed", {}, ["CardActivated"]),
    "CANCEL_LOSS": ("lost", {}, ["LossCancelled"]),
    "CHANGE_PASSWORD": (
        "active",
        {"新密码": "60318527", "确认密码": "60318527"},
        ["PasswordChanged"],
    ),
    "CHANGE_INFORMATION": (
        "active",
        {"手机号码": NEW_PHONE, "固定电话": "028-86120000"},
        ["PhoneChanged", "ContactChanged"],
    ),
    "TRANSFER_IN": ("other-city", {"成都参保险种选择": ["养老保险"]}, ["TransferredIn"]),
    "REISSUE_CARD": (
        "lost",
        {"领卡方式": "服务网点", "发卡区县": "锦江区"},
        ["CardReissued"],
    ),
}


@pytest.mark.parametrize("service", FILLED)
@pytest.mark.parametrize("channel", CHANNEL_IDS)
async def test_a_front_end_without_tables_carries_out_a_service(
    world: World, channel: str, service: str
) -> None:
    persona, answers, success = FILLED[service]
    if service == "REISSUE_CARD":
        answers = answers | {"发卡网点": await outlet_of(world, "SAMPLE-ABC")}

    done = await read_forms(world, channel, persona, service, **answers)

    assert [answer["__typename"] for answer in done] == success, done


async def outlet_of(world: World, bank: str) -> str:
    """The name of an outlet in 锦江区 that serves the bank."""
    found = world.application.dependencies.reference.outlets_in("510104", bank)
    return found[0].name


@pytest.mark.parametrize("channel", CHANNEL_IDS)
async def test_a_front_end_without_tables_shows_the_card_and_reports_its_loss(
    world: World, channel: str
) -> None:
    shown, done = await read_forms(world, channel, "active", "REPORT_LOSS")

    name = PERSONAS["active"].name
    assert shown == {"姓名": name[0] + "*" * (len(name) - 1), "卡号": "SAMPLE01X"}
    assert done["__typename"] == "LossReported"


@pytest.mark.parametrize("channel", CHANNEL_IDS)
async def test_a_front_end_without_tables_shows_card_and_progress(
    world: World, channel: str
) -> None:
    (card,) = await read_forms(world, channel, "active", "CARD_STATUS")
    (progress,) = await read_forms(world, channel, "in-production", "PRODUCTION_PROGRESS")

    assert card["卡号"] == "SAMPLE01X"
    assert card["卡状态"] == "正常"
    assert progress["业务节点"] == [
        "采集信息受理",
        "银行开户",
        "卡商制卡",
        "密钥加载",
        "卡库存转移",
        "可领卡",
    ]
    assert len(progress["办理时间"]) == 6


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("channel", CHANNEL_IDS)
async def test_a_front_end_without_tables_applies(world: World, channel: str) -> None:
    """Name, number, gender, birth date and phone are not typed."""
    sides = "/sandbox/id-cards/no-card/{}.jpg"
    pictures = {
        "图片上传": (await world.http.get("/sandbox/portrait.jpg")).content,
        "上传本人身份证人像面": (await world.http.get(sides.format("PORTRAIT_SIDE"))).content,
        "上传本人身份证国徽面": (await world.http.get(sides.format("EMBLEM_SIDE"))).content,
    }
    citizen = await world.enter("no-card", channel)
    typed = {
        "学历": "大学本科毕业",
        "职业/工种": "专业技术人员",
        "开户银行": "中国工商银行",
        "是否使用金融代扣": "否",
        "领卡区县": "锦江区",
        "领卡网点": await outlet_of(world, "SAMPLE-ICBC"),
        "证件发证机关": "成都市公安局",
        "证件截止有效期": "长期",
        "民族": "汉族",
    }

    done = await FormReader(citizen, pictures | typed).carry_out("APPLY_CARD")

    assert [answer["__typename"] for answer in done] == [
        "PortraitConfirmed",
        "IdDocumentsConfirmed",
        "CardApplied",
    ], done
