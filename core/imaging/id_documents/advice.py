"""Messages for each check of an ID document: measured value, limit and advice.

`{measured}`, `{least}` and `{most}` are placeholders for numbers, `{parts}` for what is covered,
`{card}` and `{wanted}` for a card that is not the ID card, and the side of it that is needed.
"""

from core.imaging.id_documents.verdict import (
    CardPart,
    DocumentCheck,
    DocumentCheckCode,
    OtherCard,
    Side,
)
from core.kernel.texts import Language, Text

DOCUMENT_CHECK_NAMES: dict[DocumentCheckCode, Text] = {
    DocumentCheckCode.NO_CARD: Text("没有证件", "No card."),
    DocumentCheckCode.EDGES_UNCLEAR: Text("证件四边不清", "The card's edges are unclear."),
    DocumentCheckCode.CUT_OFF: Text("证件不完整", "A part of the card is outside the picture."),
    DocumentCheckCode.NOT_LANDSCAPE: Text("没有横向放置", "Not in landscape."),
    DocumentCheckCode.NOT_AN_ID_CARD: Text("不是居民身份证", "Not a resident ID card."),
    DocumentCheckCode.WRONG_SIDE: Text("正反面放错", "The wrong side of the card."),
    DocumentCheckCode.COVERED: Text("有遮挡", "A part is covered."),
    DocumentCheckCode.TOO_SMALL: Text("像素不足", "Too few pixels."),
    DocumentCheckCode.BLURRED: Text("模糊", "Blurred."),
    DocumentCheckCode.GLARE: Text("反光", "Reflections or overexposure."),
    DocumentCheckCode.TOO_DARK: Text("太暗", "Too dark."),
    DocumentCheckCode.NOT_COLOUR: Text("不是彩色", "Not in colour."),
}

_PARTS: dict[CardPart, Text] = {
    CardPart.NAME: Text("姓名", "name"),
    CardPart.GENDER_ETHNICITY: Text("性别和民族", "sex and ethnicity"),
    CardPart.BIRTH_DATE: Text("出生日期", "date of birth"),
    CardPart.ADDRESS: Text("住址", "address"),
    CardPart.ID_NUMBER: Text("公民身份号码", "ID number"),
    CardPart.PORTRAIT: Text("人像", "portrait"),
    CardPart.TITLE: Text("证件名称", "title"),
    CardPart.EMBLEM: Text("国徽", "emblem"),
    CardPart.ISSUER: Text("签发机关", "issuing authority"),
    CardPart.VALIDITY: Text("有效期限", "period of validity"),
    CardPart.CORNER: Text("边角", "corner"),
    CardPart.OVERPRINT: Text("底纹（有水印或叠加文字）", "background (watermark or added text)"),
}

_CARDS: dict[OtherCard, Text] = {
    OtherCard.SOCIAL_SECURITY_CARD: Text("社会保障卡", "a social security card"),
    OtherCard.PERMANENT_RESIDENCE: Text(
        "外国人永久居留身份证", "a foreign permanent resident ID card"
    ),
    OtherCard.TRAVEL_PERMIT: Text("来往内地（大陆）通行证", "a mainland travel permit"),
    OtherCard.RESIDENCE_PERMIT: Text(
        "港澳台居民居住证", "a residence permit for Hong Kong, Macao and Taiwan residents"
    ),
    OtherCard.TEMPORARY_ID_CARD: Text("临时居民身份证", "a temporary ID card"),
    OtherCard.BANK_CARD: Text("银行卡", "a bank card"),
    OtherCard.DRIVING_LICENCE: Text("驾驶证", "a driving licence"),
    OtherCard.VEHICLE_LICENCE: Text("行驶证", "a vehicle licence"),
    OtherCard.PASSPORT: Text("护照", "a passport"),
    OtherCard.STUDENT_CARD: Text("学生证", "a student card"),
    OtherCard.HOUSEHOLD_REGISTER: Text("户口簿", "a household register"),
}

_SIDES = {
    Side.PORTRAIT_SIDE: Text("人像面", "portrait side"),
    Side.EMBLEM_SIDE: Text("国徽面", "emblem side"),
}

_OTHER_CARD = Text(
    "这是{card}，请上传本人居民身份证原件的{wanted}。",
    "This is {card}; please photograph the {wanted} of your resident ID card.",
)

_PASSED: dict[DocumentCheckCode, Text] = {
    DocumentCheckCode.NO_CARD: Text("已找到证件。", "The card was found."),
    DocumentCheckCode.EDGES_UNCLEAR: Text(
        "证件四边清楚，已自动校正。", "The card's edges are clear; the picture was straightened."
    ),
    DocumentCheckCode.CUT_OFF: Text("证件完整。", "The card is complete."),
    DocumentCheckCode.NOT_LANDSCAPE: Text("证件已转为横向。", "The card was rotated to landscape."),
    DocumentCheckCode.NOT_AN_ID_CARD: Text("已识别为居民身份证。", "It is a resident ID card."),
    DocumentCheckCode.WRONG_SIDE: Text("证件面正确。", "It is the correct side."),
    DocumentCheckCode.COVERED: Text("证件没有遮挡。", "Nothing is covered."),
    DocumentCheckCode.TOO_SMALL: Text("证件像素足够。", "The card is large enough."),
    DocumentCheckCode.BLURRED: Text("文字清晰。", "The text is sharp."),
    DocumentCheckCode.GLARE: Text("没有明显反光。", "There are no strong reflections."),
    DocumentCheckCode.TOO_DARK: Text("亮度足够。", "It is bright enough."),
    DocumentCheckCode.NOT_COLOUR: Text("照片为彩色。", "The picture is in colour."),
}

_FAILED: dict[DocumentCheckCode, Text] = {
    DocumentCheckCode.NO_CARD: Text(
        "没有找到身份证，请把证件平放在深色、无花纹的桌面上，让它占满大部分画面后重新拍摄。",
        "No ID card was found; please place it on a dark, plain table, let it fill most of the "
        "picture and photograph it again.",
    ),
    DocumentCheckCode.EDGES_UNCLEAR: Text(
        "没有看清证件的四条边（清楚程度 {measured}%，至少需要 {least}%），"
        "请拍全四个角，并换一个与证件颜色不同、无花纹的桌面。",
        "The four edges of the card are not clear ({measured}%, at least {least}% needed); please "
        "show all four corners, on a plain table of another colour.",
    ),
    DocumentCheckCode.CUT_OFF: Text(
        "证件约有 {measured}% 在画面之外，最多 {most}%；请离远一些，拍全四个角。",
        "About {measured}% of the card is outside the picture (at most {most}%); please move "
        "back and show all four corners.",
    ),
    DocumentCheckCode.NOT_LANDSCAPE: Text(
        "证件竖放且无法判断方向，请横向放置后重新拍摄。",
        "The card is in portrait orientation and cannot be rotated; please photograph it in landscape.",
    ),
    DocumentCheckCode.NOT_AN_ID_CARD: Text(
        "没有认出这是居民身份证（把握 {measured}%，至少需要 {least}%），"
        "请上传本人居民身份证原件的照片，不要遮挡人像或国徽。",
        "This was not recognised as a resident ID card (confidence {measured}%, at least {least}% "
        "needed); please photograph the original card, with portrait and emblem uncovered.",
    ),
    DocumentCheckCode.WRONG_SIDE: Text(
        "正反面放错了：这不是所要求的一面（把握 {measured}%，至少需要 {least}%），请翻面后重新拍摄。",
        "This is the wrong side of the card (confidence {measured}%, at least {least}% needed); "
        "please turn the card over.",
    ),
    DocumentCheckCode.COVERED: Text(
        "证件上的{parts}被遮住（最多处 {measured}%，不能超过 {most}%），"
        "请移开手指、贴纸或水印，让内容全部露出后重新拍摄原件。",
        "Covered on the card: {parts} (up to {measured}%, at most {most}%); please remove fingers, "
        "notes and watermarks and photograph the original card with everything visible.",
    ),
    DocumentCheckCode.TOO_SMALL: Text(
        "证件只有 {measured} 像素宽，至少需要 {least} 像素；请靠近一些拍摄，并上传原图。",
        "The card is only {measured} px wide, at least {least} px are needed; please move closer and "
        "upload the original picture.",
    ),
    DocumentCheckCode.BLURRED: Text(
        "文字模糊（模糊半径 {measured} 像素，不能超过 {most} 像素），请拿稳手机、对焦后重新拍摄。",
        "The text is blurred (by {measured} px, at most {most} px); please hold the phone still "
        "and let it focus.",
    ),
    DocumentCheckCode.GLARE: Text(
        "证件有 {measured}% 反光或过曝，不能超过 {most}%；请换个角度避开灯光，并关闭闪光灯。",
        "{measured}% of the card is covered by reflections or overexposed (at most {most}%); "
        "please change the angle and switch off the flash.",
    ),
    DocumentCheckCode.TOO_DARK: Text(
        "照片太暗（亮度 {measured}，至少需要 {least}），请在光线充足处重新拍摄。",
        "The picture is too dark (lightness {measured}, at least {least}); please photograph it again "
        "in good light.",
    ),
    DocumentCheckCode.NOT_COLOUR: Text(
        "照片不是彩色（色彩 {measured}，至少需要 {least}），请拍摄证件原件，不要用复印件。",
        "The picture is not in colour (colourfulness {measured}, at least {least}); please photograph "
        "the original card, not a copy.",
    ),
}


def document_advice(check: DocumentCheck, language: Language) -> str:
    texts = _PASSED if check.passed else _FAILED
    text = texts[check.code]
    if check.card is not None and check.wanted is not None:
        return _OTHER_CARD.in_language(language).format(
            card=_CARDS[check.card].in_language(language),
            wanted=_SIDES[check.wanted].in_language(language),
        )
    limit = check.limit
    between = Text("、", ", ").in_language(language)
    return text.in_language(language).format(
        measured=f"{check.measured:g}",
        least=f"{limit.least:g}",
        most=f"{limit.most:g}",
        parts=between.join(_PARTS[part].in_language(language) for part in check.parts),
    )
