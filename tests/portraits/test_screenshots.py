"""Screenshots are told from photographs, whichever way they are saved."""

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from core.imaging import CheckCode, process_portrait
from core.imaging.decoding import Decoded, decode
from core.imaging.portraits.screenshots import is_screenshot
from tests.portraits import scenes, screens

pytestmark = pytest.mark.slow


@cache
def photograph(
    number: int = 0, change: Callable[[scenes.Scene], None] | None = None
) -> Image.Image:
    scene = scenes.good_scene(np.random.default_rng([11, number]))
    scene.kind, scene.orientation = "PNG", 1
    if change is not None:
        change(scene)
    return Image.open(io.BytesIO(scenes.picture("photograph", scene).data)).convert("RGB")


def judged(data: bytes) -> bool:
    decoded = decode(data, 1_000)
    return is_screenshot(np.asarray(decoded.picture), decoded)


@pytest.mark.parametrize("save", screens.WAYS)
@pytest.mark.parametrize("draw", screens.KINDS)
@pytest.mark.parametrize("number", range(2))
def test_finds_a_screenshot_however_it_is_saved(
    draw: Callable[[Image.Image], screens.Screen],
    save: Callable[[Image.Image], bytes],
    number: int,
) -> None:
    assert judged(save(draw(photograph(number)).picture))


@pytest.mark.parametrize("draw", [screens.ios_gallery_light, screens.android_gallery_dark])
def test_the_review_says_so_and_blames_no_border(
    draw: Callable[[Image.Image], screens.Screen],
) -> None:
    found = process_portrait(screens.as_jpeg(draw(photograph()).picture), 14_336, 40_960)

    failed = {check.code for check in found.checks if not check.passed}
    assert CheckCode.SCREENSHOT in failed
    assert CheckCode.BORDER not in failed


def test_believes_exif_data_that_say_so() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0Screenshot"
    buffer = io.BytesIO()
    photograph().save(buffer, "JPEG", exif=exif)

    assert judged(buffer.getvalue())
    assert not judged(screens.as_jpeg(photograph()))


# --- photographs that must pass -----------------------------------------------------------


def tall(scene: scenes.Scene) -> None:
    """20:9, as some cameras take."""
    scene.height = scene.width * 20 // 9


def white_wall_and_dark_shirt(scene: scenes.Scene) -> None:
    tall(scene)
    scene.wall, scene.shade, scene.noise, scene.exposure = (1.0, 1.0, 1.0), 0.0, 0.3, 1.3
    scene.person = replace(scene.person, clothes=(0.002, 0.002, 0.002))


def passport_like(scene: scenes.Scene) -> None:
    """Cropped close, before a white that an editor put there."""
    scene.wall, scene.shade, scene.exposure = (1.0, 1.0, 1.0), 0.0, 1.3
    scene.face = scene.width * 0.24
    scene.height = round(scene.width * 441 / 358)
    scene.centre = (scene.width / 2, scene.height * 0.45)


def badge(scene: scenes.Scene) -> None:
    """A red badge on the shirt, in the light of the room."""
    tall(scene)

    def pin(canvas: scenes.Canvas, scene: scenes.Scene) -> scenes.Canvas:
        middle = (round(scene.width * 0.6), round(scene.height * 0.75))
        cv2.circle(canvas, middle, round(0.03 * scene.width), (0.7, 0.03, 0.03), -1)
        return canvas

    scene.after.append(pin)


def striped_shirt(scene: scenes.Scene) -> None:
    tall(scene)

    def stripes(canvas: scenes.Canvas, scene: scenes.Scene) -> scenes.Canvas:
        first = round(scene.height * 0.75)
        for y in range(first, scene.height, round(0.05 * scene.width)):
            canvas[y : y + round(0.02 * scene.width)] *= 0.3
        return canvas

    scene.after.append(stripes)


def with_line_of_text(picture: Image.Image) -> Image.Image:
    """The number and name at the foot of a studio's picture, or the mark of a camera."""
    whole = Image.new("RGB", (picture.width, picture.height + picture.width // 9), "white")
    whole.paste(picture)
    ImageDraw.Draw(whole).text(
        (picture.width / 2, whole.height - picture.width / 18),
        "PHONE 15  |  35mm f/1.8 1/100s ISO100",
        "black",
        ImageFont.load_default(picture.width / 28),
        anchor="mm",
    )
    return whole


CONTROLS = (None, tall, white_wall_and_dark_shirt, passport_like, badge, striped_shirt)


@pytest.mark.parametrize("save", screens.WAYS[1:])
@pytest.mark.parametrize("change", CONTROLS)
@pytest.mark.parametrize("number", range(3))
def test_a_photograph_is_none_control(
    change: Callable[[scenes.Scene], None] | None,
    save: Callable[[Image.Image], bytes],
    number: int,
) -> None:
    assert not judged(save(photograph(number, change)))


def test_a_photograph_with_the_mark_of_its_camera_is_none_control() -> None:
    assert not judged(screens.as_jpeg(with_line_of_text(photograph())))


@pytest.mark.parametrize("size", [(358, 441), (600, 840), (1080, 2400), (100, 100), (400, 100)])
def test_noise_and_emptiness_are_none_control(size: tuple[int, int]) -> None:
    noise: NDArray[np.uint8] = Generator(np.random.PCG64(5)).integers(
        0, 256, (size[1], size[0], 3), np.uint8
    )
    for picture in (noise, np.full_like(noise, 255), np.zeros_like(noise)):
        decoded = Decoded(Image.fromarray(picture), *size, 1.0, "JPEG")
        assert not is_screenshot(picture, decoded)


def test_one_sign_is_not_enough_where_a_camera_is_named() -> None:
    """Phones write their name into a photograph, and a photograph may show a screen in its upper part."""
    screen = screens.video_call(photograph())
    exif = Image.Exif()
    exif[0x010F] = "a phone"
    buffer = io.BytesIO()
    screen.picture.save(buffer, "JPEG", exif=exif)

    assert not judged(buffer.getvalue())
    assert judged(screens.as_jpeg(screen.picture))
