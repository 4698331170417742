"""What a file of a format that is not accepted is called, and what to do instead."""

from core.imaging.formats import FileFormat
from core.kernel.texts import Text

_PHOTOGRAPH_IT = Text(
    "请用手机相机拍摄后直接上传，或另存为 JPEG 格式。",
    "please upload a photo from your phone's camera, or save it as a JPEG.",
)
_WITHOUT_DOCUMENT = Text(
    "请上传照片本身，不要放在文档里。",
    "please upload the photo itself, not a document with it.",
)

FORMAT_NAMES: dict[FileFormat, Text] = {
    FileFormat.AVIF: Text("AVIF 图片", "an AVIF picture"),
    FileFormat.JPEG_XL: Text("JPEG XL 图片", "a JPEG XL picture"),
    FileFormat.JPEG_2000: Text("JPEG 2000 图片", "a JPEG 2000 picture"),
    FileFormat.SPECIAL_JPEG: Text(
        "特殊的 JPEG（无损、分层或超过 8 位）",
        "a special JPEG (lossless, hierarchical or of more than 8 bits)",
    ),
    FileFormat.TIFF: Text("TIFF 图片", "a TIFF picture"),
    FileFormat.GIF: Text("GIF 动图", "a GIF"),
    FileFormat.BMP: Text("BMP 图片", "a BMP picture"),
    FileFormat.PSD: Text("Photoshop 文件", "a Photoshop file"),
    FileFormat.SVG: Text("SVG 矢量图", "an SVG drawing"),
    FileFormat.RAW: Text("相机 RAW 文件", "a raw file of a camera"),
    FileFormat.PDF: Text("PDF 文档", "a PDF"),
    FileFormat.OFFICE: Text("Office 或 OFD 文档", "an office document"),
    FileFormat.VIDEO: Text("视频", "a video"),
    FileFormat.ARCHIVE: Text("压缩包", "an archive"),
    FileFormat.WEB_PAGE: Text("网页", "a web page"),
}

FORMAT_ADVICE: dict[FileFormat, Text] = dict.fromkeys(FileFormat, _PHOTOGRAPH_IT) | {
    FileFormat.TIFF: Text(
        "请在扫描时选择 JPEG 格式，或用手机相机拍摄后直接上传。",
        "please choose JPEG when scanning, or upload a photo from your phone's camera.",
    ),
    FileFormat.RAW: Text(
        "请在相机设置中关闭 RAW（iPhone 选择「兼容性最佳」）后重新拍摄，或上传同时保存的 JPEG 照片。",
        "please switch RAW off in the camera's settings (iPhone: Most Compatible) and take the photo again, "
        "or upload the JPEG that was saved with it.",
    ),
    FileFormat.PDF: _WITHOUT_DOCUMENT,
    FileFormat.OFFICE: _WITHOUT_DOCUMENT,
    FileFormat.VIDEO: Text(
        "请上传照片；实况照片请先在相册中存为静态照片。",
        "please upload a photo; of a live photo, save a still picture in the gallery first.",
    ),
    FileFormat.ARCHIVE: Text(
        "请先解压，再上传其中的照片。", "please unpack it and upload the photo in it."
    ),
    FileFormat.WEB_PAGE: Text(
        "请先把图片保存到手机，再上传。", "please save the picture to your phone, then upload it."
    ),
}
