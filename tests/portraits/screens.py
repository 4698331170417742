"""Draws screenshots of phones that show a photograph: galleries, a chat, a call.

Lengths are in points of a screen that is 390 points wide.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

POINTS = 390
Colour = tuple[int, int, int]
LIGHT, DARK = (255, 255, 255), (0, 0, 0)
BLUE, RED = (0, 122, 255), (250, 81, 81)


@dataclass(slots=True)
class Screen:
    picture: Image.Image
    ink: Colour

    @classmethod
    def of(cls, width: int, height: int, ground: Colour) -> "Screen":
        is_light = sum(ground) > 380
        return cls(Image.new("RGB", (width, height), ground), DARK if is_light else LIGHT)

    @property
    def point(self) -> float:
        return self.picture.width / POINTS

    @property
    def height(self) -> float:
        return self.picture.height / self.point

    def box(self, *sides: float, fill: Colour, round_by: float = 0) -> None:
        corners = tuple(side * self.point for side in sides)
        ImageDraw.Draw(self.picture).rounded_rectangle(corners, round_by * self.point, fill)

    def text(self, x: float, y: float, text: str, size: float, ink: Colour | None = None) -> None:
        """Centred at x, y."""
        ImageDraw.Draw(self.picture).text(
            (x * self.point, y * self.point),
            text,
            ink or self.ink,
            ImageFont.load_default(size * self.point),
            anchor="mm",
        )

    def show(self, photograph: Image.Image, left: float, top: float, width: float) -> float:
        """Returns how high it is."""
        size = round(width * self.point)
        height = round(size * photograph.height / photograph.width)
        shown = photograph.resize((size, height))
        self.picture.paste(shown, (round(left * self.point), round(top * self.point)))
        return height / self.point

    def status_bar(self, y: float, size: float, clock: str) -> None:
        self.text(16 + 1.7 * size, y, clock, size)
        for bar in range(4):
            left = 298 + 5 * bar
            self.box(left, y + 5 - 3 * (bar + 1), left + 3, y + 6, fill=self.ink)
        draw, p = ImageDraw.Draw(self.picture), self.point
        draw.pieslice((322 * p, (y - 7) * p, 342 * p, (y + 13) * p), 225, 315, self.ink)
        self.box(347, y - 6, 370, y + 6, fill=self.ink, round_by=3)
        self.box(371, y - 2, 373, y + 2, fill=self.ink)

    def gesture_bar(self, width: float, thick: float) -> None:
        y = self.height - 9
        self.box(195 - width / 2, y - thick, 195 + width / 2, y, fill=self.ink, round_by=2)

    def symbols(self, y: float, count: int, ink: Colour | None = None) -> None:
        """Outlined squares with a stroke, as toolbars have."""
        draw, p = ImageDraw.Draw(self.picture), self.point
        for number in range(count):
            x = POINTS * (number + 0.5) / count
            box = ((x - 9) * p, (y - 9) * p, (x + 9) * p, (y + 9) * p)
            draw.rounded_rectangle(box, 4 * p, outline=ink or self.ink, width=round(2 * p))
            draw.line((x * p, (y - 14) * p, x * p, (y + 3) * p), ink or self.ink, round(2 * p))


def _centred(screen: Screen, photograph: Image.Image) -> None:
    height = POINTS * photograph.height / photograph.width
    screen.show(photograph, 0, (screen.height - height) / 2, POINTS)


def _ios_gallery(photograph: Image.Image, ground: Colour) -> Screen:
    screen = Screen.of(1170, 2532, ground)
    _centred(screen, photograph)
    screen.status_bar(31, 16, "9:41")
    screen.text(195, 66, "1 December", 14)
    screen.text(30, 70, "<", 20, BLUE)
    screen.text(350, 70, "Edit", 16, BLUE)
    screen.symbols(screen.height - 58, 4, BLUE)
    screen.gesture_bar(139, 5)
    return screen


def ios_gallery_light(photograph: Image.Image) -> Screen:
    return _ios_gallery(photograph, LIGHT)


def ios_gallery_dark(photograph: Image.Image) -> Screen:
    return _ios_gallery(photograph, DARK)


def android_gallery_light(photograph: Image.Image) -> Screen:
    screen = Screen.of(1080, 2400, (250, 250, 250))
    _centred(screen, photograph)
    screen.status_bar(16, 13, "12:34")
    screen.symbols(screen.height - 66, 5)
    for number, name in enumerate(("Send", "Edit", "Love", "Delete", "More")):
        screen.text(39 + 78 * number, screen.height - 42, name, 10)
    screen.gesture_bar(102, 3)
    return screen


def android_gallery_dark(photograph: Image.Image) -> Screen:
    """With the three buttons of older phones, and a taller photograph that is cropped."""
    screen = Screen.of(1080, 2160, (18, 18, 18))
    _centred(screen, photograph)
    screen.status_bar(14, 13, "08:05")
    screen.symbols(screen.height - 24, 3)
    return screen


def immersed(photograph: Image.Image) -> Screen:
    """A gallery whose symbols were tapped away, and a square crop: nothing but bars."""
    screen = Screen.of(1080, 2400, DARK)
    width, height = photograph.size
    _centred(screen, photograph.crop((0, 0, width, min(width, height))))
    return screen


def chat(photograph: Image.Image) -> Screen:
    """WeChat with the photograph as a message."""
    screen = Screen.of(1080, 2340, (237, 237, 237))
    screen.status_bar(16, 13, "21:07")
    screen.text(195, 60, "Social security", 16)
    screen.text(20, 60, "<", 20)
    screen.box(60, 110, 260, 150, fill=LIGHT, round_by=6)
    screen.text(160, 130, "Your photo, please", 14)
    screen.box(12, 110, 52, 150, fill=(90, 140, 200), round_by=4)
    screen.show(photograph, 90, 180, 235)
    screen.box(338, 180, 378, 220, fill=(200, 140, 90), round_by=4)
    foot = screen.height - 90
    screen.box(0, foot, POINTS, screen.height, fill=(247, 247, 247))
    screen.box(52, foot + 8, 290, foot + 46, fill=LIGHT, round_by=5)
    for x, sign in ((28, "O"), (318, "@"), (360, "+")):
        screen.text(x, foot + 27, sign, 26)
    screen.gesture_bar(102, 3)
    return screen


def video_call(photograph: Image.Image) -> Screen:
    """The photograph fills the screen; the buttons lie on it."""
    screen = Screen.of(1170, 2532, DARK)
    height = screen.height * photograph.width / photograph.height
    screen.show(photograph, (POINTS - height) / 2, 0, height)
    screen.ink = LIGHT
    screen.text(195, 75, "03:25", 15)
    foot = screen.height - 110
    for x, fill in ((80, (90, 90, 90)), (195, RED), (310, (90, 90, 90))):
        screen.box(x - 32, foot - 32, x + 32, foot + 32, fill=fill, round_by=32)
    screen.box(180, foot - 4, 210, foot + 4, fill=LIGHT, round_by=3)
    return screen


def call_with_clock(photograph: Image.Image) -> Screen:
    screen = video_call(photograph)
    screen.status_bar(31, 16, "9:41")
    return screen


KINDS: tuple[Callable[[Image.Image], Screen], ...] = (
    ios_gallery_light,
    ios_gallery_dark,
    android_gallery_light,
    android_gallery_dark,
    immersed,
    chat,
    video_call,
    call_with_clock,
)


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def as_taken(picture: Image.Image) -> bytes:
    return _saved(picture, "PNG")


def as_jpeg(picture: Image.Image) -> bytes:
    return _saved(picture, "JPEG", quality=88)


def as_forwarded(picture: Image.Image) -> bytes:
    """Shrunk and compressed, as messengers do."""
    height = round(720 * picture.height / picture.width)
    return _saved(picture.resize((720, height)), "JPEG", quality=65)


WAYS: tuple[Callable[[Image.Image], bytes], ...] = (as_taken, as_jpeg, as_forwarded)
