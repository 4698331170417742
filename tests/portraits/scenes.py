"""Synthetic phone portraits with ground truth: good ones, and one kind of fault each.

A case names the checks that must fail (`must`) and those that may fail too, because of the same
fault or because it is at the limit (`may`); all others must pass. Everything depends on the seed.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pillow_heif
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from core.imaging import CheckCode
from tests.portraits.heads import Landmarks, Light, Person, Pose, draw

pillow_heif.register_heif_opener()

Canvas = NDArray[np.float32]

SKIN = np.array([0.66, 0.42, 0.31])
HAIR = [(0.012, 0.010, 0.009), (0.02, 0.015, 0.012), (0.05, 0.03, 0.02), (0.28, 0.27, 0.27)]
WALLS = [
    (0.90, 0.90, 0.90),
    (0.78, 0.78, 0.77),
    (0.84, 0.82, 0.76),
    (0.72, 0.74, 0.77),
    (0.62, 0.62, 0.60),
]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    data: bytes = field(repr=False)
    must: frozenset[CheckCode]
    may: frozenset[CheckCode]
    landmarks: Landmarks | None
    width: int
    height: int

    @property
    def is_good(self) -> bool:
        return not self.must


@dataclass(slots=True)
class Scene:
    """Parameters of scene and camera; lengths in pixels, `face` in pixels per decimetre."""

    rng: Generator
    width: int
    height: int
    face: float
    centre: tuple[float, float]
    person: Person
    pose: Pose
    light: Light
    wall: tuple[float, float, float]
    shade: float
    exposure: float = 1.0
    blur: float = 0.25
    noise: float = 2.0
    kind: str = "JPEG"
    quality: int = 90
    orientation: int = 1
    before: list[Callable[[Canvas, "Scene"], None]] = field(default_factory=list)
    after: list[Callable[[Canvas, "Scene"], Canvas]] = field(default_factory=list)
    finish: list[Callable[[NDArray[np.uint8], "Scene"], NDArray[np.uint8]]] = field(
        default_factory=list
    )
    head: bool = True
    must: set[CheckCode] = field(default_factory=set)
    may: set[CheckCode] = field(default_factory=set)


def good_scene(rng: Generator) -> Scene:
    width = int(rng.choice([720, 900, 1080, 1200]))
    height = int(width * rng.choice([1.25, 4 / 3, 1.4]))
    face = max(165.0, width * rng.uniform(0.17, 0.28))
    light = Light(
        key=(rng.uniform(-0.5, 0.5), rng.uniform(0.2, 0.8), 1.0),
        ambient=rng.uniform(0.5, 0.75),
        strength=rng.uniform(0.85, 1.1),
    )
    return Scene(
        rng=rng,
        width=width,
        height=height,
        face=face,
        centre=(width * rng.uniform(0.45, 0.55), height * rng.uniform(0.38, 0.46)),
        person=a_person(rng),
        pose=Pose(rng.uniform(-6, 6), rng.uniform(-5, 5), rng.uniform(-7, 7)),
        light=light,
        wall=WALLS[rng.integers(len(WALLS))],
        shade=rng.uniform(0, 0.12),
        exposure=rng.uniform(0.9, 1.08),
        blur=rng.uniform(0.1, 0.5),
        noise=rng.uniform(0.5, 4.0),
        kind=str(rng.choice(["JPEG", "JPEG", "JPEG", "PNG", "WEBP", "HEIF"])),
        quality=int(rng.integers(75, 96)),
        orientation=int(rng.integers(1, 9)),
    )


def scale(scene: Scene, factor: float) -> None:
    """The same view at another resolution."""
    scene.width, scene.height = int(scene.width * factor), int(scene.height * factor)
    scene.face *= factor
    scene.centre = (scene.centre[0] * factor, scene.centre[1] * factor)


def a_person(rng: Generator) -> Person:
    shape = rng.dirichlet([0.6] * 12)
    return Person(
        shape=tuple(shape),
        skin=tuple(SKIN * rng.uniform(0.45, 1.1) * rng.uniform(0.95, 1.05, 3)),
        hair=HAIR[rng.integers(len(HAIR))],
        clothes=tuple(rng.uniform(0.02, 0.45, 3)),
        hair_depth=rng.uniform(0.04, 0.2),
        long_hair=bool(rng.random() < 0.4),
        glasses=bool(rng.random() < 0.2),
    )


def picture(name: str, scene: Scene) -> Case:
    canvas = np.empty((scene.height, scene.width, 3), np.float32)
    _paint_wall(canvas, scene)
    for paint in scene.before:
        paint(canvas, scene)
    landmarks = None
    if scene.head:
        landmarks = draw(canvas, scene.person, scene.pose, scene.light, scene.centre, scene.face)
    for change in scene.after:
        canvas = change(canvas, scene)
    shot = _photographed(canvas, scene)
    for change_shot in scene.finish:
        shot = change_shot(shot, scene)
    return Case(
        name,
        _stored(shot, scene),
        frozenset(scene.must),
        frozenset(scene.may),
        landmarks,
        shot.shape[1],
        shot.shape[0],
    )


def _paint_wall(canvas: Canvas, scene: Scene) -> None:
    """A wall with uneven lighting and a soft shadow of the head."""
    rows, columns = np.mgrid[: scene.height, : scene.width].astype(np.float32)
    fall = 1 - scene.shade * (columns / scene.width) - 0.5 * scene.shade * (rows / scene.height)
    shadow = np.exp(
        -(((columns - scene.centre[0] - 0.4 * scene.face) / (1.3 * scene.face)) ** 2)
        - ((rows - scene.centre[1]) / (1.8 * scene.face)) ** 2
    )
    canvas[:] = (
        np.array(scene.wall, np.float32) * (fall * (1 - 0.5 * scene.shade * shadow))[..., None]
    )


def _photographed(canvas: Canvas, scene: Scene) -> NDArray[np.uint8]:
    sigma = scene.blur * scene.face / 140
    seen = cv2.GaussianBlur(canvas, (0, 0), sigma) if sigma > 0.2 else canvas
    encoded = np.clip(seen * scene.exposure, 0, 1) ** (1 / 2.2) * 255
    grain = scene.rng.normal(0, scene.noise, (*encoded.shape[:2], 1))
    grain = grain + scene.rng.normal(0, scene.noise * 0.5, encoded.shape)
    return np.asarray(np.clip(encoded + grain, 0, 255), np.uint8)


UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera that was held otherwise stores an upright picture, by the orientation in its EXIF."""


def _stored(shot: NDArray[np.uint8], scene: Scene) -> bytes:
    whole, buffer = Image.fromarray(shot), io.BytesIO()
    exif = Image.Exif()
    if scene.kind == "JPEG" and scene.orientation in UNDO:
        exif[0x0112] = scene.orientation
        whole = whole.transpose(UNDO[scene.orientation])
    if scene.kind == "PNG":
        whole.save(buffer, "PNG", compress_level=1)
    elif scene.kind == "HEIF":
        whole.save(buffer, "HEIF", quality=scene.quality)
    else:
        whole.save(buffer, scene.kind, quality=scene.quality, exif=exif)
    return buffer.getvalue()


# --- what goes wrong ----------------------------------------------------------------------

_EYES_BESIDES = {
    CheckCode.TILTED,
    CheckCode.BLURRED,
    CheckCode.TURNED,
    CheckCode.NO_FACE,
    CheckCode.LIGHT_UNEVEN,
    CheckCode.OFF_CENTRE,
}
_POSE_BESIDES = {CheckCode.LIGHT_UNEVEN, CheckCode.EYES_HIDDEN, CheckCode.TURNED}


def no_face(scene: Scene) -> None:
    which = scene.rng.integers(3)
    if which == 0:
        scene.head = False
        clutter(scene)
    elif which == 1:
        scene.pose = replace(scene.pose, yaw=float(scene.rng.uniform(120, 180)))
    else:
        scene.after.append(_cover((-0.9, -0.5, 0.9, 0.95), scene.person.clothes))
    scene.must, scene.may = {CheckCode.NO_FACE}, {CheckCode.BORDER}


def several_faces(scene: Scene) -> None:
    scene.must = {CheckCode.SEVERAL_FACES}
    scene.may = {
        CheckCode.BACKGROUND_NOT_PLAIN,
        CheckCode.OFF_CENTRE,
        CheckCode.BACKGROUND_NOT_WHITE,
        CheckCode.CUT_OFF,
    }
    scene.face = min(scene.face, scene.width * 0.16)
    scale(scene, max(1.0, 165 / scene.face))
    side = scene.rng.choice([-1, 1])
    x = scene.width * (0.5 + 0.24 * side)
    scene.centre = (scene.width * (0.5 - 0.2 * side), scene.centre[1])
    other, size = a_person(scene.rng), scene.face * scene.rng.uniform(0.75, 1.0)

    def beside(canvas: Canvas, scene: Scene) -> None:
        draw(
            canvas,
            other,
            Pose(roll=scene.rng.uniform(-5, 5)),
            scene.light,
            (x, scene.centre[1] + 10),
            size,
        )

    scene.before.append(beside)


def face_covered(scene: Scene) -> None:
    """A mask."""
    scene.must = {CheckCode.FACE_COVERED}
    scene.may = {CheckCode.TURNED, CheckCode.PITCHED, CheckCode.NO_FACE, CheckCode.LIGHT_UNEVEN}
    colour = tuple(scene.rng.uniform(0.3, 0.8, 3))
    scene.after.append(_cover((-0.62, 0.3, 0.62, 1.05), colour))


def dark_glasses(scene: Scene) -> None:
    scene.must = {CheckCode.DARK_GLASSES}
    scene.may = {*_EYES_BESIDES, CheckCode.EYES_HIDDEN}
    scene.person = replace(scene.person, glasses=False)
    scene.after.append(_dark_glasses)


def eyes_hidden(scene: Scene) -> None:
    """A bar before both eyes."""
    scene.must = {CheckCode.EYES_HIDDEN}
    scene.may = {*_EYES_BESIDES, CheckCode.DARK_GLASSES, CheckCode.EYES_CLOSED}
    scene.person = replace(scene.person, glasses=False)
    colour = tuple(scene.rng.uniform(0.05, 0.6, 3))
    scene.after.append(_cover((-0.75, -0.16, 0.75, 0.16), colour))


def pitched(scene: Scene) -> None:
    """The head thrown back, or bowed."""
    scene.must = {CheckCode.PITCHED}
    scene.may = {*_POSE_BESIDES, CheckCode.CUT_OFF, CheckCode.HEAD_SIZE, CheckCode.FACE_COVERED}
    pitch = scene.rng.uniform(28, 34) * scene.rng.choice([-1, 1])
    scene.pose = Pose(scene.pose.yaw * 0.5, float(pitch), scene.pose.roll * 0.5)


def tilted(scene: Scene) -> None:
    scene.must = {CheckCode.TILTED}
    scene.may = _POSE_BESIDES
    roll = scene.rng.uniform(15, 22) * scene.rng.choice([-1, 1])
    scene.pose = Pose(scene.pose.yaw * 0.5, scene.pose.pitch * 0.5, float(roll))


def turned(scene: Scene) -> None:
    scene.must = {CheckCode.TURNED}
    scene.may = {
        *_POSE_BESIDES,
        CheckCode.TILTED,
        CheckCode.TOO_SMALL,
        CheckCode.HEAD_SIZE,
        CheckCode.OFF_CENTRE,
        CheckCode.NO_FACE,
    }
    yaw = scene.rng.uniform(22, 35) * scene.rng.choice([-1, 1])
    scene.pose = Pose(float(yaw), scene.pose.pitch * 0.5, scene.pose.roll * 0.5)


def off_centre(scene: Scene) -> None:
    scene.must = {CheckCode.OFF_CENTRE}
    scene.may = {CheckCode.TURNED, CheckCode.CUT_OFF}
    away = scene.face * scene.rng.uniform(0.62, 0.8)
    scene.centre = (float(scene.rng.choice([away, scene.width - away])), scene.centre[1])


def cut_off(scene: Scene) -> None:
    scene.must = {CheckCode.CUT_OFF}
    scene.may = {
        CheckCode.BACKGROUND_NOT_PLAIN,
        CheckCode.BACKGROUND_NOT_WHITE,
        CheckCode.HEAD_SIZE,
        CheckCode.OFF_CENTRE,
    }
    if scene.rng.random() < 0.5:
        scene.centre = (scene.centre[0], scene.face * scene.rng.uniform(0.7, 1.0))
    else:
        scene.centre = (scene.centre[0], scene.height - scene.face * scene.rng.uniform(0.9, 1.2))


def head_size(scene: Scene) -> None:
    """A tall hat or very high hair."""
    scene.must = {CheckCode.HEAD_SIZE}
    scene.may = {CheckCode.CUT_OFF, CheckCode.BACKGROUND_NOT_PLAIN, CheckCode.TURNED}
    tall = scene.rng.uniform(2.6, 2.9)
    scene.face = min(scene.face, scene.width * 0.2)
    scene.centre = (scene.centre[0], max(scene.centre[1], scene.face * (tall + 0.3)))
    scene.pose = Pose()
    scene.after.append(_cover((-0.62, -tall, 0.62, -0.8), scene.person.clothes))


def too_small(scene: Scene) -> None:
    scene.must = {CheckCode.TOO_SMALL}
    scene.may = {CheckCode.BLURRED, CheckCode.EYES_HIDDEN}
    scale(scene, scene.rng.uniform(0.5, 0.85) * 358 / (scene.face * 2.5))


def blurred(scene: Scene) -> None:
    scene.must = {CheckCode.BLURRED}
    scene.may = {CheckCode.EYES_HIDDEN, CheckCode.TILTED, CheckCode.FACE_COVERED}
    scene.blur = scene.rng.uniform(4.0, 7.0)


def too_dark(scene: Scene) -> None:
    scene.must = {CheckCode.TOO_DARK}
    scene.may = {
        CheckCode.BACKGROUND_NOT_WHITE,
        CheckCode.EYES_HIDDEN,
        CheckCode.BLURRED,
        CheckCode.NOT_COLOUR,
        CheckCode.NO_FACE,
        CheckCode.TURNED,
    }
    scene.exposure = 1.0
    scene.light = replace(
        scene.light, strength=float(scene.rng.uniform(0.015, 0.045) / scene.person.skin[1])
    )
    if scene.rng.random() < 0.5:
        scene.wall = tuple(np.array(scene.wall) * 0.2)


def too_bright(scene: Scene) -> None:
    scene.must = {CheckCode.TOO_BRIGHT}
    scene.may = {
        CheckCode.BLURRED,
        CheckCode.EYES_HIDDEN,
        CheckCode.NOT_COLOUR,
        CheckCode.TURNED,
        CheckCode.FACE_COVERED,
        CheckCode.GLASSES_GLARE,
        CheckCode.EYES_CLOSED,
        CheckCode.LIGHT_UNEVEN,
        CheckCode.NO_FACE,
        CheckCode.HEAD_SIZE,
        CheckCode.CUT_OFF,
        CheckCode.BACKGROUND_NOT_PLAIN,
    }
    scene.exposure = float(scene.rng.uniform(2.6, 3.6) * 0.66 / min(scene.person.skin))


def light_uneven(scene: Scene) -> None:
    scene.must = {CheckCode.LIGHT_UNEVEN}
    scene.may = {CheckCode.TURNED, CheckCode.TOO_DARK}
    side = scene.rng.choice([-1, 1])
    scene.pose = Pose()
    scene.light = Light(
        key=(1.6 * side, 0.2, 0.3), ambient=float(scene.rng.uniform(0.12, 0.2)), strength=1.1
    )


def not_colour(scene: Scene) -> None:
    scene.must = {CheckCode.NOT_COLOUR}
    scene.may = {CheckCode.TURNED}
    tint = scene.rng.uniform(0, 0.01)

    def grey(shot: NDArray[np.uint8], _: Scene) -> NDArray[np.uint8]:
        light = cv2.cvtColor(shot, cv2.COLOR_RGB2GRAY)[..., None] * np.array(
            [1 + tint, 1, 1 - tint]
        )
        return np.asarray(np.clip(light, 0, 255), np.uint8)

    scene.finish.append(grey)


def background_not_white(scene: Scene) -> None:
    scene.must = {CheckCode.BACKGROUND_NOT_WHITE}
    scene.may = {
        CheckCode.BACKGROUND_NOT_PLAIN,
        CheckCode.HEAD_SIZE,
        CheckCode.CUT_OFF,
        CheckCode.TURNED,
    }
    walls = [
        (0.1, 0.3, 0.7),
        (0.7, 0.1, 0.1),
        (0.3, 0.5, 0.3),
        (0.25, 0.25, 0.25),
        (0.6, 0.5, 0.25),
        (0.05, 0.05, 0.06),
        (0.35, 0.6, 0.85),
    ]
    scene.wall = walls[scene.rng.integers(len(walls))]


def clutter(scene: Scene) -> None:
    """Shelves, pictures and doors behind the head."""
    scene.must = {CheckCode.BACKGROUND_NOT_PLAIN}
    scene.may = {
        CheckCode.BACKGROUND_NOT_WHITE,
        CheckCode.HEAD_SIZE,
        CheckCode.CUT_OFF,
        CheckCode.OFF_CENTRE,
        CheckCode.BORDER,
        CheckCode.TURNED,
    }

    def things(canvas: Canvas, scene: Scene) -> None:
        rng = scene.rng
        for _ in range(rng.integers(5, 12)):
            x, y = rng.uniform(0, scene.width), rng.uniform(0, scene.height * 0.55)
            size = rng.uniform(0.5, 1.6, 2) * scene.face
            tint = rng.uniform(0.02, 0.5, 3).tolist()
            corner = (int(x + size[0]), int(y + size[1]))
            cv2.rectangle(canvas, (int(x), int(y)), corner, tint, -1)

    scene.before.append(things)


def border(scene: Scene) -> None:
    scene.must = {CheckCode.BORDER}
    scene.may = {
        CheckCode.BACKGROUND_NOT_PLAIN,
        CheckCode.CUT_OFF,
        CheckCode.OFF_CENTRE,
        CheckCode.BACKGROUND_NOT_WHITE,
        CheckCode.HEAD_SIZE,
        CheckCode.TURNED,
    }
    edge = int(scene.width * scene.rng.uniform(0.02, 0.1))
    colours = [(0, 0, 0), (20, 60, 160), (150, 20, 30), (90, 90, 90)]
    colour = colours[scene.rng.integers(len(colours))]

    def framed(shot: NDArray[np.uint8], _: Scene) -> NDArray[np.uint8]:
        return np.asarray(
            cv2.copyMakeBorder(shot, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=colour),
            np.uint8,
        )

    scene.finish.append(framed)


def screenshot(scene: Scene) -> None:
    """A screenshot of a gallery app, with bars above and below."""
    scene.must = {CheckCode.SCREENSHOT}
    scene.may = {
        CheckCode.BORDER,
        CheckCode.CUT_OFF,
        CheckCode.BACKGROUND_NOT_PLAIN,
        CheckCode.TURNED,
    }
    scene.kind = str(scene.rng.choice(["PNG", "JPEG"]))
    dark = bool(scene.rng.random() < 0.6)

    def shown(shot: NDArray[np.uint8], scene: Scene) -> NDArray[np.uint8]:
        height, width = shot.shape[:2]
        whole = np.full(
            (int(width * scene.rng.uniform(2.0, 2.2)), width, 3), 12 if dark else 250, np.uint8
        )
        top = (len(whole) - height) // 2
        whole[top : top + height] = shot
        ink = (240, 240, 240) if dark else (20, 20, 20)
        size = width / 700
        cv2.putText(
            whole,
            "12:34",
            (int(width * 0.05), int(width * 0.06)),
            cv2.FONT_HERSHEY_SIMPLEX,
            size,
            ink,
            2,
        )
        cv2.putText(
            whole,
            "Edit   Share",
            (int(width * 0.3), len(whole) - 30),
            cv2.FONT_HERSHEY_SIMPLEX,
            size,
            ink,
            2,
        )
        return whole

    scene.finish.append(shown)


def _cover(
    box: tuple[float, float, float, float], colour: tuple[float, ...]
) -> Callable[[Canvas, Scene], Canvas]:
    """A rectangle over the face, in decimetres from the middle of the eyes, y downwards."""

    def covered(canvas: Canvas, scene: Scene) -> Canvas:
        x, y = scene.centre
        left, top, right, bottom = (value * scene.face for value in box)
        cv2.rectangle(
            canvas,
            (int(x + left), int(y + top)),
            (int(x + right), int(y + bottom)),
            list(colour),
            -1,
        )
        return canvas

    return covered


def _dark_glasses(canvas: Canvas, scene: Scene) -> Canvas:
    for side in (-1, 1):
        middle = (
            int(scene.centre[0] + side * 0.34 * scene.face),
            int(scene.centre[1] + 0.03 * scene.face),
        )
        axes = (int(0.29 * scene.face), int(0.22 * scene.face))
        cv2.ellipse(canvas, middle, axes, 0, 0, 360, (0.01, 0.01, 0.012), -1, cv2.LINE_AA)
    return canvas


FAULTS: dict[str, Callable[[Scene], None]] = {
    fault.__name__: fault
    for fault in (
        no_face,
        several_faces,
        face_covered,
        dark_glasses,
        eyes_hidden,
        pitched,
        tilted,
        turned,
        off_centre,
        cut_off,
        head_size,
        too_small,
        blurred,
        too_dark,
        too_bright,
        light_uneven,
        not_colour,
        background_not_white,
        clutter,
        border,
        screenshot,
    )
}

_AT_ONCE = [
    (too_dark, clutter),
    (blurred, not_colour),
    (tilted, background_not_white),
    (off_centre, blurred),
    (light_uneven, too_small),
    (not_colour, border),
]


def cases(good: int, each: int, seed: int = 1) -> Iterator[Case]:
    """`good` good portraits, `each` of every fault, and as many with two faults."""
    for number in range(good):
        yield picture(f"good-{number}", good_scene(np.random.default_rng([seed, 0, number])))
    for index, (name, fault) in enumerate(FAULTS.items()):
        for number in range(each):
            scene = good_scene(np.random.default_rng([seed, 1 + index, number]))
            fault(scene)
            yield picture(f"{name}-{number}", scene)
    for number in range(each):
        scene = good_scene(np.random.default_rng([seed, 99, number]))
        one, other = _AT_ONCE[number % len(_AT_ONCE)]
        one(scene)
        must, may = scene.must, scene.may
        other(scene)
        scene.must, scene.may = scene.must | must, scene.may | may
        yield picture(f"{one.__name__}-and-{other.__name__}-{number}", scene)
