"""Requirements on the finished portrait, in pixels.

Source of sizes and head geometry: 社会保障卡制证用数字相片技术要求. The limits for light, sharpness
and background (`verdict.py`) are our own, calibrated with `make portraits-report`: see
`docs/portraits.md`.
"""

from core.imaging.checks import Band

WIDTH, HEIGHT = 358, 441
QUALITY = 70
CENTRE = WIDTH / 2

CROWN = Band(7, 21)
FACE_WIDTH = Band(179, 255)
EYE_X = Band(162, 196)
EYE_LINE = Band(least=207)
