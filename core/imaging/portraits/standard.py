"""The portrait that the card prints, in pixels of the finished picture, and what is asked of one sent.

Sizes and head geometry: 社会保障卡制证用数字相片技术要求. The limits on light, sharpness and
background are ours: found with `make portraits-report`, see `docs/portraits.md`.
"""

from core.imaging.checks import Band

WIDTH, HEIGHT = 358, 441
QUALITY = 70
CENTRE = WIDTH / 2

CROWN = Band(7, 21)
FACE_WIDTH = Band(179, 255)
EYE_X = Band(162, 196)
EYE_LINE = Band(least=207)
