"""The forms of the guide's ten services, word for word, in the guide's order."""

from collections.abc import Mapping

from core.applications import FieldType
from core.kernel.card_services import CardService
from core.kernel.texts import Text
from core.messaging import VerificationPurpose
from core.reference import INSURANCE_NAMES, LABELS, REISSUE_LABELS
from core.service_forms.apply_card import APPLY_CARD
from core.service_forms.fields import (
    CHOOSE,
    Argument,
    Button,
    Field,
    OptionsQuery,
    Section,
    ServiceForm,
    card_number_field,
    code_field,
    phone_field,
    please_enter,
    shown,
)

_SUBMIT = Text("提交", "Submit")
_BOUND_PHONE = Text("绑定的手机号码", "The bound phone")
_CARD_NUMBER_STEP = Text(
    "输入社会保障卡号，此卡号位于社会保障卡头像面；",
    "Enter the card number, which is on the portrait side of the card.",
)


def _open(screen: Text) -> Text:
    return Text(f"点击进入“{screen.zh}”界面；", f"Open “{screen.en}”.")


_ACTIVATE_CARD = ServiceForm(
    CardService.ACTIVATE_CARD,
    (
        _open(CardService.ACTIVATE_CARD.text),
        Text(
            "手机号码为申办社会保障卡时绑定的手机号码；",
            "The phone is the one that was bound when the card was applied for.",
        ),
        Text(
            "输入“社会保障卡号”，此卡号位于社会保障卡头像面；",
            "Enter the card number, which is on the portrait side of the card.",
        ),
        Text(
            "点击“获取验证码”，输入验证码，点击“激活人社功能”，完成激活。",
            "Press “Get the code”, enter the code, and press “Activate”.",
        ),
    ),
    (
        Section(
            "activateCard",
            (
                phone_field(
                    Text("申办社会保障卡时绑定的手机号码", "The phone given when applying")
                ),
                card_number_field(),
                code_field(VerificationPurpose.ACTIVATE_CARD),
            ),
            Text("激活人社功能", "Activate"),
        ),
    ),
)

_REPORT_LOSS = ServiceForm(
    CardService.REPORT_LOSS,
    (
        _open(CardService.REPORT_LOSS.text),
        Text(
            "输入绑定手机号码，点击“获取验证码”，输入验证码，点击“挂失”，完成挂失操作。",
            "Enter the bound phone, press “Get the code”, enter the code, and press “Report loss”.",
        ),
    ),
    (
        Section(
            "viewer",
            (shown("card.name", LABELS["name"]), shown("card.cardNumber", LABELS["cardNumber"])),
            title=Text("卡信息", "Card"),
        ),
        Section(
            "reportLoss",
            (phone_field(_BOUND_PHONE), code_field(VerificationPurpose.REPORT_LOSS)),
            CardService.REPORT_LOSS.text,
        ),
    ),
)

_CANCEL_LOSS = ServiceForm(
    CardService.CANCEL_LOSS,
    (
        _open(CardService.CANCEL_LOSS.text),
        Text("输入绑定的手机号码；", "Enter the bound phone."),
        _CARD_NUMBER_STEP,
        Text(
            "点击“获取验证码”，输入验证码，点击“解挂”，完成解挂操作。",
            "Press “Get the code”, enter the code, and press “Cancel loss”.",
        ),
    ),
    (
        Section(
            "cancelLoss",
            (
                phone_field(_BOUND_PHONE),
                card_number_field(),
                code_field(VerificationPurpose.CANCEL_LOSS),
            ),
            CardService.CANCEL_LOSS.text,
        ),
    ),
)

_EIGHT_DIGITS = Text("请输入新密码（八位纯数字）", "Please enter the new password (8 digits)")
_CHANGE_PASSWORD = ServiceForm(
    CardService.CHANGE_PASSWORD,
    (
        _open(CardService.CHANGE_PASSWORD.text),
        Text(
            "输入原密码后，输入新密码（八位纯数字），再次确认新密码，点击“提交”，完成服务密码修改。",
            "Enter the old password, the new one (8 digits) twice, and press “Submit”.",
        ),
    ),
    (
        Section(
            "changePassword",
            (
                Field(
                    "oldPassword",
                    LABELS["oldPassword"],
                    FieldType.PASSWORD,
                    placeholder=please_enter(LABELS["oldPassword"]),
                ),
                Field(
                    "newPassword",
                    LABELS["newPassword"],
                    FieldType.PASSWORD,
                    placeholder=_EIGHT_DIGITS,
                ),
                Field(
                    "confirmPassword",
                    LABELS["confirmPassword"],
                    FieldType.PASSWORD,
                    placeholder=Text("请再次输入新密码", "Please enter the new password again"),
                ),
            ),
            _SUBMIT,
            Text("服务密码修改", "Service password"),
        ),
    ),
)


def _contact(name: str, kind: FieldType = FieldType.TEXT) -> Field:
    label = LABELS[name]
    return Field(name, label, kind, placeholder=please_enter(label), required=False)


_CHANGE_INFORMATION = ServiceForm(
    CardService.CHANGE_INFORMATION,
    (
        Text(
            "手机号码变更，输入新手机号码，点击“获取验证码”，输入验证码，点击“提交”，完成手机号码变更；",
            "To change the phone, enter the new one, press “Get the code”, enter the code, and press "
            "“Submit”.",
        ),
        Text(
            "其他信息变更，请正确填写所需变更信息，点击“提交”，完成信息变更。",
            "To change other information, fill in what changes, and press “Submit”.",
        ),
    ),
    (
        Section(
            "changePhone",
            (
                phone_field(
                    Text("新手机号码，验证码发送到新手机", "The new phone, which gets the code"),
                    "newPhone",
                ),
                code_field(VerificationPurpose.CHANGE_PHONE, "newPhone"),
            ),
            _SUBMIT,
            Text("手机号码变更", "Phone"),
        ),
        Section(
            "changeContact",
            (
                _contact("landline"),
                _contact("registeredAddress"),
                _contact("residentialAddress"),
                _contact("residentialPostalCode", FieldType.DIGITS),
            ),
            _SUBMIT,
            Text("其他信息变更", "Other information"),
        ),
    ),
)

_TRANSFER_IN = ServiceForm(
    CardService.TRANSFER_IN,
    (
        _open(CardService.TRANSFER_IN.text),
        _CARD_NUMBER_STEP,
        Text(
            "选择已在成都参保险种，输入手机号码，点击“获取验证码”，输入验证码，点击“确认转移”，"
            "完成卡归属地转移操作。",
            "Choose the insurances in which you are enrolled in Chengdu, enter your phone, press “Get "
            "the code”, enter the code, and press “Confirm transfer”.",
        ),
    ),
    (
        Section(
            "transferIn",
            (
                card_number_field(
                    Button(
                        Text("查询险种", "Look up insurances"),
                        "insurances",
                        (Argument("cardNumber", "cardNumber"),),
                    )
                ),
                Field(
                    "insurances",
                    Text("成都参保险种选择", "Insurances in Chengdu"),
                    FieldType.MULTI_SELECT,
                    Text(
                        "请先输入卡号并点击“查询险种”，只能选择已在成都参保的险种",
                        "Enter the card number and press “Look up insurances” first; only those in "
                        "which you are enrolled in Chengdu can be chosen",
                    ),
                    choices=tuple((kind.name, name) for kind, name in INSURANCE_NAMES.items()),
                ),
                phone_field(_BOUND_PHONE),
                code_field(VerificationPurpose.TRANSFER_IN),
            ),
            Text("确认转移", "Confirm transfer"),
        ),
    ),
    (
        Text(
            "温馨提示：假如在省内其他市（州）办理了社会保障卡，在成都无需再办卡，可通过此功能模块将卡的"
            "归属地转入成都后使用；如需办理参保关系转入，则需要前往社保局办理，详情可咨询028-12333。",
            "If you have a card of another city or prefecture of Sichuan, you need no new card in "
            "Chengdu: its home region can be transferred here. To transfer the insurance relation, "
            "please go to the social insurance bureau; call 028-12333 for details.",
        ),
    ),
)

_REISSUE_CARD = ServiceForm(
    CardService.REISSUE_CARD,
    (
        Text(
            "选择具体的领卡地点，输入手机号码，点击“获取验证码”，输入验证码，点击“补卡”，完成补卡操作。",
            "Choose where to collect the card, enter your phone, press “Get the code”, enter the code, "
            "and press “Reissue”.",
        ),
    ),
    (
        Section(
            "reissueCard",
            (
                Field(
                    "pickupMethod",
                    REISSUE_LABELS["pickupMethod"],
                    FieldType.SELECT,
                    default="OUTLET",
                    table=lambda reference: reference.pickup_methods.options,
                ),
                Field(
                    "districtCode",
                    REISSUE_LABELS["districtCode"],
                    FieldType.SELECT,
                    placeholder=CHOOSE,
                    table=lambda reference: reference.districts.options,
                ),
                Field(
                    "outletCode",
                    REISSUE_LABELS["outletCode"],
                    FieldType.SELECT,
                    Text(
                        "新卡的银行与原卡相同，只列出办理该银行的网点",
                        "The new card is of the same bank; only outlets that serve it are listed",
                    ),
                    CHOOSE,
                    options_query=OptionsQuery(
                        "outlets",
                        (
                            Argument("districtCode", "districtCode"),
                            Argument("bankCode", "cardStatus.bankCode"),
                        ),
                    ),
                ),
                phone_field(_BOUND_PHONE),
                code_field(VerificationPurpose.REISSUE_CARD),
            ),
            CardService.REISSUE_CARD.text,
        ),
    ),
)

_BANK = Text("发卡银行", "Issuing bank")
_PRODUCTION_PROGRESS = ServiceForm(
    CardService.PRODUCTION_PROGRESS,
    (
        Text(
            "点击进入“制卡进度查询”界面，可查询社会保障卡制卡情况。",
            "Open “Production progress” to see how far the card is.",
        ),
    ),
    (
        Section(
            "productionProgress",
            (
                shown("socialSecurityNumber", LABELS["socialSecurityNumber"]),
                shown("name", LABELS["name"]),
                shown("batchNumber", Text("制卡批次号", "Batch number")),
                shown("cardNumber", LABELS["cardNumber"]),
                shown("bank", _BANK),
                shown("nodes.title", Text("业务节点", "Step")),
                shown("nodes.resultTitle", Text("办理结果", "Result")),
                shown("nodes.at", Text("办理时间", "Time"), FieldType.DATE_TIME),
            ),
            title=Text("制卡进度详情", "Production progress"),
        ),
    ),
)

_CARD_STATUS = ServiceForm(
    CardService.CARD_STATUS,
    (
        Text(
            "点击进入“卡状态信息查询”界面，可查询到社会保障卡的卡状态。",
            "Open “Card status” to see the state of the card.",
        ),
    ),
    (
        Section(
            "cardStatus",
            (
                shown("name", LABELS["name"]),
                shown("socialSecurityNumber", LABELS["socialSecurityNumber"]),
                shown("cardNumber", LABELS["cardNumber"]),
                shown("issueDate", Text("发卡日期", "Issue date")),
                shown("bank", _BANK),
                shown("homeRegion", Text("归属地", "Home region")),
                shown("stateName", Text("卡状态", "Card state")),
            ),
            title=Text("卡状态信息", "Card status"),
        ),
    ),
)

SERVICE_FORMS: Mapping[CardService, ServiceForm] = {
    form.service: form
    for form in (
        APPLY_CARD,
        _ACTIVATE_CARD,
        _REPORT_LOSS,
        _CANCEL_LOSS,
        _CHANGE_PASSWORD,
        _CHANGE_INFORMATION,
        _TRANSFER_IN,
        _REISSUE_CARD,
        _PRODUCTION_PROGRESS,
        _CARD_STATUS,
    )
}
