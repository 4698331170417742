"""申办: the portrait, the ID card, and 数据采集项, which `SPECS` declares."""

from collections.abc import Iterator

from core.applications import SPECS, FieldSpec, FieldType, schema_name
from core.imaging import ID_DOCUMENT_MIN_SIZE, PORTRAIT_MIN_SIZE, Side
from core.kernel.card_services import CardService
from core.kernel.texts import Text
from core.messaging import VerificationPurpose
from core.reference import LABELS
from core.service_forms.fields import (
    CHOOSE,
    Argument,
    Field,
    OptionsQuery,
    Section,
    ServiceForm,
    Upload,
    code_field,
    please_enter,
)

SAMPLES = {
    Side.PORTRAIT_SIDE: "/samples/id-card-portrait-side.svg",
    Side.EMBLEM_SIDE: "/samples/id-card-emblem-side.svg",
}

_CONFIRM = Text("确认上传", "Confirm upload")
_DELETE_HINT = Text("小提示：删除照片请单击照片", "Hint: to delete a picture, tap the picture")
_YES_NO = (("true", Text("是", "Yes")), ("false", Text("否", "No")))
_PLACEHOLDERS = {
    "id_issuer": please_enter(LABELS["idIssuer"]),
    "id_valid_until": Text("如20281021（或长期）", "Like 20281021, or LONG_TERM"),
    "phone": please_enter(LABELS["phone"]),
}
_OUTLETS = OptionsQuery(
    "outlets", (Argument("districtCode", "districtCode"), Argument("bankCode", "bankCode"))
)


def _portrait() -> Section:
    field = Field(
        "portrait",
        Text("图片上传", "Upload picture"),
        FieldType.PICTURE,
        Text(
            f"请提交一张本人二寸白底彩色照片，上传后请核对自动处理后的照片（{_DELETE_HINT.zh}）",
            "Please submit a two-inch colour photograph of yourself on white, and check the processed "
            f"picture ({_DELETE_HINT.en})",
        ),
        upload=Upload(
            "uploadPortrait",
            Text("自动处理后照片预览", "Preview of the processed picture"),
            PORTRAIT_MIN_SIZE,
        ),
    )
    return Section(
        "confirmPortrait",
        (field,),
        _CONFIRM,
        Text("预审头像照片", "Review of the portrait"),
        Text("提示：请上传头像照", "Please upload your portrait"),
    )


def _id_card() -> Section:
    return Section(
        "confirmIdDocuments",
        (
            _side("portraitSide", Side.PORTRAIT_SIDE, Text("人像面", "portrait side")),
            _side("emblemSide", Side.EMBLEM_SIDE, Text("国徽面", "emblem side")),
        ),
        _CONFIRM,
        Text("预审证件照片", "Review of the ID card"),
        Text("提示：请上传证件照", "Please upload pictures of your ID card"),
    )


def _side(name: str, side: Side, words: Text) -> Field:
    return Field(
        name,
        Text(f"上传本人身份证{words.zh}", f"Upload the {words.en} of your ID card"),
        FieldType.PICTURE,
        _DELETE_HINT,
        Text("图片上传（如示例横向放置）", "Upload picture (lying horizontally, as the sample)"),
        upload=Upload(
            "uploadIdDocument",
            Text("身份证上传照片规范示例图", "Sample of a good picture"),
            ID_DOCUMENT_MIN_SIZE,
            side,
            SAMPLES[side],
        ),
    )


def _data() -> Section:
    return Section(
        "applyCard",
        tuple(_data_fields()),
        Text("申请", "Apply"),
        Text("数据采集项", "Data collection"),
    )


def _data_fields() -> Iterator[Field]:
    """The code follows the phone that it is sent to."""
    for spec in SPECS:
        yield _field(spec)
        if spec.name == "phone":
            yield code_field(
                VerificationPurpose.APPLY_CARD, send=Text("发送验证码", "Send the code")
            )


def _field(spec: FieldSpec) -> Field:
    name = schema_name(spec.name)
    is_choice = spec.type in (FieldType.SELECT, FieldType.BOOLEAN)
    return Field(
        name,
        LABELS[name],
        spec.type,
        spec.help,
        CHOOSE if is_choice else _PLACEHOLDERS.get(spec.name),
        spec.required,
        spec.default,
        _YES_NO if spec.type is FieldType.BOOLEAN else (),
        spec.options,
        _OUTLETS if spec.name == "outlet_code" else None,
    )


APPLY_CARD = ServiceForm(
    CardService.APPLY_CARD,
    (
        Text(
            "上传一张本人二寸白底彩色照片，点击“确认上传”；",
            "Upload a two-inch colour photograph of yourself on white, and press “Confirm upload”.",
        ),
        Text(
            "上传身份证正反面照片，再点击“确认上传”；",
            "Upload both sides of your ID card, and press “Confirm upload” again.",
        ),
        Text("填写相关信息，返回数据采集项。", "Fill in the form."),
    ),
    (_portrait(), _id_card(), _data()),
)
