"""Reviews an uploaded photograph and produces the finished portrait."""

from bisect import bisect_left

import numpy as np
from PIL import Image

from core.imaging.decoding import Decoded, TooSmall, decode, encode
from core.imaging.portraits import measures
from core.imaging.portraits.background import Wall, find_wall, whiten
from core.imaging.portraits.faces import Face, Pixels, find_faces, find_faint_faces, has_profile
from core.imaging.portraits.framing import (
    ALIGNED_EYES,
    EYE_DISTANCE,
    AlignedPicture,
    Window,
    align_face,
    choose_window,
    cut_out,
    missing_rows,
    usual_width,
)
from core.imaging.portraits.screenshots import is_screenshot
from core.imaging.portraits.standard import CENTRE, HEIGHT, QUALITY, WIDTH
from core.imaging.portraits.verdict import LIMITS, Check, CheckCode, Geometry, ProcessedPortrait
from core.imaging.processing import Verdict

_SHORT_EDGE = 1000
_MIN_EDGE = 100
_LOWEST_QUALITY = 20
_CROWN_ABOVE_EYES = 1.9 * EYE_DISTANCE


def review(data: bytes, min_bytes: int, max_bytes: int) -> ProcessedPortrait:
    """Raises as `decode`, and `TooSmall`."""
    decoded = decode(data, _SHORT_EDGE)
    if min(decoded.width, decoded.height) < _MIN_EDGE:
        raise TooSmall(decoded.width, decoded.height)
    picture, faces = _find_faces_in_any_orientation(np.asarray(decoded.picture))
    profile = not faces and has_profile(picture)
    checks = [
        _check(CheckCode.NO_FACE, 1 if faces or profile else 0),
        _check(CheckCode.SEVERAL_FACES, _count_large_faces(faces)),
        *_frame(picture, decoded),
    ]
    if profile:
        checks.append(_check(CheckCode.TURNED, measures.PROFILE))
    if not faces:
        whole = Image.fromarray(picture)
        whole.thumbnail((WIDTH, HEIGHT))
        canvas = Image.new("RGB", (WIDTH, HEIGHT), "white")
        canvas.paste(whole, ((WIDTH - whole.width) // 2, (HEIGHT - whole.height) // 2))
        return _verdict(decoded, _within(canvas, min_bytes, max_bytes), checks, None)
    finished, more, geometry = _portrait(picture, faces[0], decoded.fraction)
    data = _within(Image.fromarray(finished), min_bytes, max_bytes)
    return _verdict(decoded, data, [*checks, *more], geometry)


def _check(code: CheckCode, measured: float) -> Check:
    return Check(code, round(float(measured), 1))


def _verdict(
    decoded: Decoded, data: bytes, checks: list[Check], geometry: Geometry | None
) -> ProcessedPortrait:
    return ProcessedPortrait(
        Verdict.ACCEPTED,
        data,
        tuple(checks),
        decoded.width,
        decoded.height,
        geometry=geometry,
    )


def _find_faces_in_any_orientation(picture: Pixels) -> tuple[Pixels, list[Face]]:
    """Finds faces in all four orientations, for pictures without orientation metadata."""
    for quarter_turns in (0, 1, 3, 2):
        turned = np.ascontiguousarray(np.rot90(picture, quarter_turns))
        faces = find_faces(turned)
        if faces and (quarter_turns == 0 or faces[0].eyes_found):
            return turned, faces
    return picture, find_faint_faces(picture)


def _count_large_faces(faces: list[Face]) -> int:
    return sum(face.width > 0.4 * faces[0].width for face in faces)


def _frame(picture: Pixels, decoded: Decoded) -> list[Check]:
    edges = measures.frame_edges(picture)
    limit = LIMITS[CheckCode.BORDER][0].most
    across = max(edges["left"], edges["right"])
    bars = max(edges["top"], edges["bottom"]) > limit >= across
    tall = max(picture.shape[:2]) / min(picture.shape[:2])
    screenshot = (
        (bars and tall > 1.6)
        or (decoded.format == "PNG" and tall >= 1.9)
        or is_screenshot(picture, decoded)
    )
    border = across if screenshot else max(edges.values())
    return [_check(CheckCode.BORDER, border), _check(CheckCode.SCREENSHOT, int(screenshot))]


def _portrait(picture: Pixels, face: Face, fraction: float) -> tuple[Pixels, list[Check], Geometry]:
    aligned = align_face(picture, face)
    shape = measures.face_shape(aligned.picture)
    turned = _check(CheckCode.TURNED, shape.turned)
    wall = find_wall(aligned, not turned.passed)
    crown = _crown(wall)
    body = aligned.inside if wall is None else wall.body
    window = choose_window(crown, shape.width, aligned.inside, body)
    finished = cut_out(aligned, window)
    checks = [
        *_pose(face),
        turned,
        *_framing(aligned, window, crown, shape.width, fraction),
        *_light(aligned.picture),
        *_background(wall),
    ]
    if wall is not None and all(check.passed for check in _background(wall)):
        finished = whiten(finished, wall, window.matrix(), aligned.inside)
    return finished, checks, _geometry(window, crown, shape)


def _crown(wall: Wall | None) -> float:
    usual = ALIGNED_EYES[1] - _CROWN_ABOVE_EYES
    if wall is None:
        return usual
    found = measures.crown_of(wall.body)
    return found if found <= usual + 0.5 * EYE_DISTANCE else usual


def _pose(face: Face) -> list[Check]:
    return [
        _check(CheckCode.EYES_HIDDEN, 2 if face.eyes_found else 0),
        _check(CheckCode.TILTED, abs(face.tilt)),
    ]


def _framing(
    aligned: AlignedPicture, window: Window, crown: float, face_width: float, fraction: float
) -> list[Check]:
    """A crop narrowed because the head is cut off does not count as too small."""
    window_width = max(WIDTH / window.scale, usual_width(face_width))
    source_width = window_width / aligned.scale / fraction
    eye_line = HEIGHT - window.scale * (ALIGNED_EYES[1] - window.top)
    return [
        _check(CheckCode.OFF_CENTRE, abs(window.eye_x - CENTRE)),
        _check(CheckCode.CUT_OFF, missing_rows(window, aligned, crown)),
        _check(CheckCode.HEAD_SIZE, eye_line),
        _check(CheckCode.TOO_SMALL, source_width),
    ]


def _light(aligned: Pixels) -> list[Check]:
    return [
        _check(CheckCode.BLURRED, measures.sharpness(aligned)),
        _check(CheckCode.TOO_DARK, measures.lightness(aligned)),
        _check(CheckCode.TOO_BRIGHT, measures.overexposure(aligned)),
        _check(CheckCode.LIGHT_UNEVEN, measures.unevenness(aligned)),
        _check(CheckCode.NOT_COLOUR, measures.colourfulness(aligned)),
    ]


def _background(wall: Wall | None) -> list[Check]:
    if wall is None:
        return [_check(CheckCode.BACKGROUND_NOT_PLAIN, 100.0)]
    return [
        _check(CheckCode.BACKGROUND_NOT_WHITE, wall.from_white),
        _check(CheckCode.BACKGROUND_NOT_PLAIN, wall.clutter),
    ]


def _geometry(window: Window, crown: float, shape: measures.FaceShape) -> Geometry:
    def x(column: float) -> int:
        return round(window.scale * (column - window.left))

    return Geometry(
        crown=round(window.scale * (crown - window.top)),
        eye_line=round(window.scale * (ALIGNED_EYES[1] - window.top)),
        eye_x=x(ALIGNED_EYES[0]),
        face_left=x(shape.left),
        face_right=x(shape.right),
    )


def _within(picture: Image.Image, min_bytes: int, max_bytes: int) -> bytes:
    """Encodes with quality 70, or with the nearest quality whose size is in the range."""
    usual = encode(picture, QUALITY)
    if len(usual) > max_bytes:
        coarser = range(QUALITY - 1, _LOWEST_QUALITY, -1)
        step = bisect_left(coarser, True, key=lambda q: len(encode(picture, q)) <= max_bytes)
        return encode(picture, coarser[min(step, len(coarser) - 1)])
    for subsampling in (2, 0):
        if len(usual) < min_bytes:
            finer = range(QUALITY + 1, 101)
            step = bisect_left(
                finer, True, key=lambda q: len(encode(picture, q, subsampling)) >= min_bytes
            )
            usual = encode(picture, finer[min(step, len(finer) - 1)], subsampling)
    return usual
