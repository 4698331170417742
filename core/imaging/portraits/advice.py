"""Messages for each check of a portrait: measured value, limit and advice.

`{measured}`, `{least}` and `{most}` are placeholders for numbers.
"""

from core.imaging.portraits.verdict import Check, CheckCode
from core.kernel.texts import Language, Text

PORTRAIT_CHECK_NAMES: dict[CheckCode, Text] = {
    CheckCode.NO_FACE: Text("没有人像", "No face."),
    CheckCode.SEVERAL_FACES: Text("多张人脸", "More than one face."),
    CheckCode.FACE_COVERED: Text("面部被遮挡", "Nose, mouth or chin covered."),
    CheckCode.DARK_GLASSES: Text("戴墨镜", "Dark glasses."),
    CheckCode.EYES_HIDDEN: Text("双眼被遮挡", "Eyes hidden."),
    CheckCode.EYES_CLOSED: Text("闭眼", "Eyes closed."),
    CheckCode.GLASSES_GLARE: Text("眼镜反光", "Reflections on the glasses."),
    CheckCode.MOUTH_OPEN: Text("张嘴", "The mouth is open."),
    CheckCode.PITCHED: Text("仰头或低头", "The head is raised or bowed."),
    CheckCode.TURNED: Text("侧脸", "The face is turned aside."),
    CheckCode.TILTED: Text("头部倾斜", "The head is tilted."),
    CheckCode.OFF_CENTRE: Text("人像偏离中间", "The face is off centre."),
    CheckCode.CUT_OFF: Text("头部或肩部不完整", "Head or shoulders are cut off."),
    CheckCode.HEAD_SIZE: Text("头发或帽子过高", "Hair or hat too high."),
    CheckCode.TOO_SMALL: Text("像素不足", "Too few pixels."),
    CheckCode.BLURRED: Text("模糊", "Blurred."),
    CheckCode.TOO_DARK: Text("太暗", "Too dark."),
    CheckCode.TOO_BRIGHT: Text("过曝", "Overexposed."),
    CheckCode.LIGHT_UNEVEN: Text("光线不均", "Lit from one side."),
    CheckCode.NOT_COLOUR: Text("不是彩色", "Not in colour."),
    CheckCode.BACKGROUND_NOT_WHITE: Text("背景不是白色", "The background is not white."),
    CheckCode.BACKGROUND_NOT_PLAIN: Text("背景杂乱", "The background is not plain."),
    CheckCode.BORDER: Text("有边框", "The picture has a border."),
    CheckCode.SCREENSHOT: Text("截屏", "The picture is a screenshot."),
}

_PASSED: dict[CheckCode, Text] = {
    CheckCode.NO_FACE: Text("已识别到人像。", "A face was found."),
    CheckCode.SEVERAL_FACES: Text("照片中只有一个人。", "There is one person in the picture."),
    CheckCode.FACE_COVERED: Text("鼻子、嘴和下巴清晰可见。", "Nose, mouth and chin are visible."),
    CheckCode.DARK_GLASSES: Text("没有戴墨镜。", "No dark glasses."),
    CheckCode.EYES_HIDDEN: Text("双眼清晰可见。", "Both eyes are visible."),
    CheckCode.EYES_CLOSED: Text("双眼睁开。", "Both eyes are open."),
    CheckCode.GLASSES_GLARE: Text("眼部没有反光。", "No reflections before the eyes."),
    CheckCode.MOUTH_OPEN: Text("嘴部自然闭合。", "The mouth is closed."),
    CheckCode.PITCHED: Text("没有仰头或低头。", "The head is neither raised nor bowed."),
    CheckCode.TILTED: Text("头部端正，已自动校正。", "The head is upright and was levelled."),
    CheckCode.TURNED: Text("正面朝向镜头。", "The face looks straight ahead."),
    CheckCode.OFF_CENTRE: Text("人像居中。", "The face is centred."),
    CheckCode.CUT_OFF: Text("头部和肩部完整。", "Head and shoulders are complete."),
    CheckCode.HEAD_SIZE: Text("头部位置符合要求。", "The head is in the correct position."),
    CheckCode.TOO_SMALL: Text("照片像素足够。", "The picture is large enough."),
    CheckCode.BLURRED: Text("照片清晰。", "The picture is sharp."),
    CheckCode.TOO_DARK: Text("面部亮度足够。", "The face is bright enough."),
    CheckCode.TOO_BRIGHT: Text("面部没有过曝。", "The face is not overexposed."),
    CheckCode.LIGHT_UNEVEN: Text("面部光线均匀。", "The face is lit evenly."),
    CheckCode.NOT_COLOUR: Text("照片为彩色。", "The picture is in colour."),
    CheckCode.BACKGROUND_NOT_WHITE: Text(
        "背景为白色或接近白色。", "The background is white or nearly so."
    ),
    CheckCode.BACKGROUND_NOT_PLAIN: Text("背景干净。", "The background is plain."),
    CheckCode.BORDER: Text("照片没有边框。", "The picture has no border."),
    CheckCode.SCREENSHOT: Text("照片不是截屏。", "The picture is not a screenshot."),
}

_FAILED: dict[CheckCode, Text] = {
    CheckCode.NO_FACE: Text(
        "没有识别到人像，请正对镜头、露出五官，在光线充足处重新拍摄。",
        "No face was found; please face the camera with nothing covering the face, in good light.",
    ),
    CheckCode.SEVERAL_FACES: Text(
        "照片中有 {measured} 张人脸，只能有 1 人，请单独拍摄。",
        "There are {measured} faces in the picture, only 1 is allowed; please photograph one person alone.",
    ),
    CheckCode.FACE_COVERED: Text(
        "鼻子、嘴、下巴只看清 {measured} 处，需要 {least} 处全部露出；"
        "请摘下口罩、围巾，手和话筒不要挡住脸。",
        "Of nose, mouth and chin only {measured} can be seen, all {least} must be; please take off "
        "mask or scarf, and keep hands and microphones away from the face.",
    ),
    CheckCode.DARK_GLASSES: Text(
        "镜片颜色太深（比脸部暗 {measured}，不能超过 {most}），请摘下墨镜或有色眼镜。",
        "The lenses are too dark (by {measured}, at most {most}); please take off dark or tinted glasses.",
    ),
    CheckCode.EYES_HIDDEN: Text(
        "没有看清双眼，请不要让头发、手或镜框挡住眼睛。",
        "The eyes are not visible; please keep hair, hands and frames of glasses away from them.",
    ),
    CheckCode.EYES_CLOSED: Text(
        "眼睛没有睁开（睁开程度 {measured}%，至少需要 {least}%），请睁开双眼、看向镜头重新拍摄。",
        "The eyes are not open (by {measured}%, at least {least}%); please open both and look at the camera.",
    ),
    CheckCode.GLASSES_GLARE: Text(
        "眼镜反光挡住了眼睛（{measured}%，不能超过 {most}%），请稍稍低头避开灯光，或摘下眼镜。",
        "Reflections on the glasses hide the eyes ({measured}%, at most {most}%); "
        "please move away from the lamp, or take the glasses off.",
    ),
    CheckCode.MOUTH_OPEN: Text(
        "嘴巴张开（{measured}%，不能超过 {most}%），请自然闭合双唇；微笑没有关系。",
        "The mouth is open (by {measured}%, at most {most}%); please close the lips: a smile is fine.",
    ),
    CheckCode.PITCHED: Text(
        "仰头或低头 {measured}°，不能超过 {most}°，请平视镜头，手机与眼睛同高。",
        "The head is raised or bowed by {measured}° (at most {most}°); please hold the phone level with the eyes.",
    ),
    CheckCode.TURNED: Text(
        "面部偏向一侧 {measured}°，不能超过 {most}°，请正对镜头。",
        "The face is turned aside by {measured}° (at most {most}°); please face the camera.",
    ),
    CheckCode.TILTED: Text(
        "头部倾斜 {measured}°，不能超过 {most}°，请把头摆正。",
        "The head is tilted by {measured}° (at most {most}°); please hold it upright.",
    ),
    CheckCode.OFF_CENTRE: Text(
        "人像偏离中间 {measured} 像素，不能超过 {most} 像素，请站在画面中间重新拍摄。",
        "The face is {measured} px off centre (at most {most} px); please stand in the middle.",
    ),
    CheckCode.CUT_OFF: Text(
        "头顶或肩部有 {measured} 像素在画面之外，最多 {most} 像素；请离远一些，拍到头顶和双肩。",
        "{measured} px of head or shoulders are outside the picture (at most {most} px); please step back.",
    ),
    CheckCode.HEAD_SIZE: Text(
        "双眼位置距下边 {measured} 像素，至少需要 {least} 像素；请压低头发或摘下帽子后重新拍摄。",
        "The eyes are {measured} px above the lower edge, at least {least} px are needed; "
        "please flatten the hair or take off the hat.",
    ),
    CheckCode.TOO_SMALL: Text(
        "人像部分只有 {measured} 像素宽，至少需要 {least} 像素；请靠近一些拍摄，并上传原图。",
        "The portrait is only {measured} px wide, at least {least} px are needed; "
        "please step closer and upload the original picture.",
    ),
    CheckCode.BLURRED: Text(
        "照片模糊（清晰度 {measured}%，至少需要 {least}%），请拿稳手机、对焦面部后重新拍摄。",
        "The picture is blurred (sharpness {measured}%, at least {least}%); "
        "please hold the phone still and focus on the face.",
    ),
    CheckCode.TOO_DARK: Text(
        "面部太暗（亮度 {measured}，至少需要 {least}），请面向光源重新拍摄。",
        "The face is too dark (lightness {measured}, at least {least}); please face the light.",
    ),
    CheckCode.TOO_BRIGHT: Text(
        "面部过曝（{measured}% 没有细节，不能超过 {most}%），请避开强光或关闭闪光灯。",
        "The face is overexposed ({measured}% without detail, at most {most}%); "
        "please avoid strong light and the flash.",
    ),
    CheckCode.LIGHT_UNEVEN: Text(
        "面部一侧偏暗（相差 {measured}%，不能超过 {most}%），请让光线均匀照在脸上。",
        "One side of the face is darker (by {measured}%, at most {most}%); please light it evenly.",
    ),
    CheckCode.NOT_COLOUR: Text(
        "照片不是彩色（色彩 {measured}，至少需要 {least}），请上传彩色照片。",
        "The picture is not in colour (colourfulness {measured}, at least {least}); please upload a colour picture.",
    ),
    CheckCode.BACKGROUND_NOT_WHITE: Text(
        "背景不是白色（与白色相差 {measured}，不能超过 {most}），请在白墙前拍摄。",
        "The background is not white ({measured} from white, at most {most}); "
        "please stand in front of a white wall.",
    ),
    CheckCode.BACKGROUND_NOT_PLAIN: Text(
        "背景有杂物或阴影（占 {measured}%，不能超过 {most}%），请换一面干净的白墙。",
        "There are objects or shadows in the background ({measured}%, at most {most}%); "
        "please stand in front of a plain white wall.",
    ),
    CheckCode.BORDER: Text(
        "照片有边框（{measured}%，不能超过 {most}%），请上传没有边框的原图。",
        "The picture has a border ({measured}%, at most {most}%); please upload the original without one.",
    ),
    CheckCode.SCREENSHOT: Text(
        "这是一张截屏，请上传相机拍摄的原图。",
        "This is a screenshot; please upload the original photo from the camera.",
    ),
}


def portrait_advice(check: Check, language: Language) -> str:
    texts = _PASSED if check.passed else _FAILED
    least, most = _number(check.limit.least), _number(check.limit.most)
    measured = _number(check.measured)
    if measured in (least, most) and not check.passed:
        measured = str(check.measured)
    text = texts[check.code].in_language(language)
    return text.format(measured=measured, least=least, most=most)


def _number(value: float) -> str:
    return f"{value:.0f}"
