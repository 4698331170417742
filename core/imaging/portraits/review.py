"""Reviews an uploaded photograph and produces the finished portrait."""

from bisect import bisect_left

import numpy as np
from PIL import Image

from core.imaging.decoding import Decoded, TooSmall, decode, encode
from core.imaging.portraits import measures
from core.imaging.portraits.background import Wall, find_wall, whiten
from core.imaging.portraits.face import Face, Pixels
from core.imaging.portraits.faces import find_faces
from core.imaging.portraits.features import Features, find_features
from core.imaging.portraits.framing import (
    ALIGNED_EYES,
    EYE_DISTANCE,
    AlignedPicture,
    Window,
    align_face,
    choose_window,
    cut_out,
    missing_pixels,
    usual_width,
)
from core.imaging.portraits.haar import has_profile
from core.imaging.portraits.head import PROFILE, Head, measure_head
from core.imaging.portraits.screenshots import is_screenshot
from core.imaging.portraits.standard import CENTRE, HEIGHT, QUALITY, WIDTH
from core.imaging.portraits.verdict import LIMITS, Check, CheckCode, Geometry, ProcessedPortrait
from core.imaging.processing import Verdict

_SHORT_EDGE = 1000
_MIN_EDGE = 100
_LOWEST_QUALITY = 20
_EYES_LIGHTER = 8.0


def review(data: bytes, min_bytes: int, max_bytes: int) -> ProcessedPortrait:
    """Raises as `decode`, and `TooSmall`."""
    decoded = decode(data, _SHORT_EDGE)
    if min(decoded.width, decoded.height) < _MIN_EDGE:
        raise TooSmall(decoded.width, decoded.height)
    picture, faces = find_faces(np.asarray(decoded.picture))
    profile = not faces and has_profile(picture)
    checks = [
        _check(CheckCode.NO_FACE, 1 if faces or profile else 0),
        _check(CheckCode.SEVERAL_FACES, len(faces)),
        *_frame(picture, decoded),
    ]
    if profile:
        checks.append(_check(CheckCode.TURNED, PROFILE))
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
    head = measure_head(aligned)
    features = None if aligned.mesh is None else find_features(aligned.picture, aligned.mesh)
    turned = _check(CheckCode.TURNED, head.yaw)
    wall = find_wall(aligned, not turned.passed)
    background = _background(wall)
    crown = _crown(wall if background[0].passed else None, head)
    body = aligned.inside if wall is None else wall.body
    window = choose_window(crown, head.width, head.chin, aligned.inside, body)
    finished = cut_out(aligned, window)
    # The first that fails is the one to mend first: what spoils other checks stands before them.
    checks = [
        *_quality(aligned, features, window, head.width, fraction),
        *([] if features is None else [_check(CheckCode.FACE_COVERED, features.lower_parts)]),
        *_pose(face, head, turned),
        _check(CheckCode.TOO_BRIGHT, measures.overexposure(aligned.picture, aligned.mesh)),
        *_framing(aligned, window, crown, head.chin),
        *_eyes_and_mouth(face, features),
        _check(CheckCode.LIGHT_UNEVEN, measures.unevenness(aligned.picture, aligned.mesh)),
        *background,
    ]
    if wall is not None and all(check.passed for check in background):
        finished = whiten(finished, wall, window.matrix(), aligned.inside)
    return finished, checks, _geometry(window, crown, head)


def _crown(wall: Wall | None, head: Head) -> float:
    if wall is None:
        return head.usual_crown
    found = measures.crown_of(wall.body)
    return found if found <= head.usual_crown + 0.5 * EYE_DISTANCE else head.usual_crown


def _eyes_and_mouth(face: Face, features: Features | None) -> list[Check]:
    if features is None:
        return [_check(CheckCode.EYES_HIDDEN, 2 if face.eyes_found else 0)]
    return [
        _check(CheckCode.DARK_GLASSES, features.lens),
        _check(CheckCode.GLASSES_GLARE, features.glare),
        _check(CheckCode.EYES_CLOSED, features.opening),
        _check(CheckCode.EYES_HIDDEN, features.eyes),
        _check(CheckCode.MOUTH_OPEN, features.gap),
    ]


def _pose(face: Face, head: Head, turned: Check) -> list[Check]:
    raised = [] if head.pitch is None else [_check(CheckCode.PITCHED, abs(head.pitch))]
    return [*raised, turned, _check(CheckCode.TILTED, abs(face.tilt))]


def _quality(
    aligned: AlignedPicture,
    features: Features | None,
    window: Window,
    face_width: float,
    fraction: float,
) -> list[Check]:
    """A crop narrowed because the head is cut off is not too small. Dark skin is no dark picture: the
    white of the eyes tells how much light there was."""
    window_width = max(WIDTH / window.scale, usual_width(face_width))
    white = 0.0 if features is None else features.white_of_eyes
    lightness = max(measures.lightness(aligned.picture), white - _EYES_LIGHTER)
    return [
        _check(CheckCode.TOO_SMALL, window_width / aligned.scale / fraction),
        _check(CheckCode.BLURRED, measures.sharpness(aligned.picture)),
        _check(CheckCode.TOO_DARK, lightness),
        _check(CheckCode.NOT_COLOUR, measures.colourfulness(aligned)),
    ]


def _framing(
    aligned: AlignedPicture, window: Window, crown: float, chin: float | None
) -> list[Check]:
    eye_line = HEIGHT - window.scale * (ALIGNED_EYES[1] - window.top)
    return [
        _check(CheckCode.CUT_OFF, missing_pixels(window, aligned, crown, chin)),
        _check(CheckCode.OFF_CENTRE, abs(window.eye_x - CENTRE)),
        _check(CheckCode.HEAD_SIZE, eye_line),
    ]


def _background(wall: Wall | None) -> list[Check]:
    """Whether it is plain, then whether it is white."""
    if wall is None:
        return [_check(CheckCode.BACKGROUND_NOT_PLAIN, 100.0)]
    return [
        _check(CheckCode.BACKGROUND_NOT_PLAIN, wall.clutter),
        _check(CheckCode.BACKGROUND_NOT_WHITE, wall.from_white),
    ]


def _geometry(window: Window, crown: float, head: Head) -> Geometry:
    def x(column: float) -> int:
        return round(window.scale * (column - window.left))

    def y(row: float) -> int:
        return round(window.scale * (row - window.top))

    return Geometry(
        crown=max(0, y(crown)),
        eye_line=y(ALIGNED_EYES[1]),
        eye_x=x(ALIGNED_EYES[0]),
        face_left=x(head.left),
        face_right=x(head.right),
        chin=None if head.chin is None else y(head.chin),
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
