"""Synthetic heads, rendered from a public-domain mesh, with known ground truth.

Lengths are in decimetres; the origin is the midpoint between the eyes, x points to the picture's
right, y up, z towards the camera. Quads are painted from back to front (painter's algorithm).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_EYE = np.array([0.308, 7.284, 1.245])
_IRIS, _PUPIL = 0.062, 0.026


@dataclass(frozen=True, slots=True)
class Person:
    """`shape` weighs the twelve base shapes; colours are linear RGB from 0 to 1."""

    shape: tuple[float, ...]
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    clothes: tuple[float, float, float]
    hair_depth: float = 0.1
    long_hair: bool = False
    glasses: bool = False


@dataclass(frozen=True, slots=True)
class Pose:
    """Degrees: `yaw` turns the face to the picture's right, `pitch` up, `roll` clockwise."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True, slots=True)
class Light:
    """`key` is the direction towards the lamp; `strength` scales all of it."""

    key: tuple[float, float, float] = (-0.3, 0.5, 1.0)
    ambient: float = 0.55
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Positions x, y in pixels of the rendered picture. The crown is the top of the hair."""

    left_eye: tuple[float, float]
    right_eye: tuple[float, float]
    crown: float
    chin: float
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class _Mesh:
    base: Floats
    shapes: Floats
    quads: NDArray[np.int32]
    is_eye: NDArray[np.bool_]
    lips: Floats


def draw(
    canvas: NDArray[np.float32],
    person: Person,
    pose: Pose,
    light: Light,
    centre: tuple[float, float],
    scale: float,
) -> Landmarks:
    """Renders the head onto linear RGB; `scale` is in pixels per decimetre, `centre` is between the eyes."""
    mesh = _mesh()
    rest = mesh.base - [0, _EYE[1], _EYE[2]]
    points = _shaped(mesh, person)
    scalp = _scalp(rest, person.long_hair)
    points = points + _normals(points, mesh.quads) * (scalp * person.hair_depth)[:, None]
    turned = _turned(points, pose)
    normals = _normals(turned, mesh.quads)
    colours = _colours(mesh, rest, scalp, person) * _lit(normals, light)[:, None]
    screen = _projected(turned, centre, scale)
    if person.long_hair:
        _paint_hair_behind(canvas, _turned(_drape(points), pose), person, light, centre, scale)
    _paint_chest(canvas, person, light, centre, scale)
    _paint(canvas, mesh, turned, normals, screen, colours)
    if person.glasses:
        _paint_glasses(canvas, _turned(_rims(), pose), centre, scale)
    head = rest[:, 1] > -0.85
    eyes = _projected(_turned(np.array([[-0.31, 0, 0], [0.31, 0, 0]]), pose), centre, scale)
    cheeks = head & ~mesh_eye_vertices(mesh) & (scalp < 0.5) & (abs(rest[:, 1]) < 0.7)
    return Landmarks(
        left_eye=(float(eyes[0, 0]), float(eyes[0, 1])),
        right_eye=(float(eyes[1, 0]), float(eyes[1, 1])),
        crown=float(screen[head, 1].min()),
        chin=float(screen[_chin(rest), 1].max()),
        left=float(screen[cheeks, 0].min()),
        right=float(screen[cheeks, 0].max()),
    )


def mesh_eye_vertices(mesh: _Mesh) -> NDArray[np.bool_]:
    of_eye = np.zeros(len(mesh.base), bool)
    of_eye[mesh.quads[mesh.is_eye]] = True
    return of_eye


@cache
def _mesh() -> _Mesh:
    stored = np.load(Path(__file__).with_name("heads.npz"))
    points = np.concatenate([stored["base"][None] / 1000, stored["shapes"] / 1000])
    lips = stored["lips"] / 255.0
    quads, is_eye = stored["quads"].astype(np.int32), stored["eye"]
    for _ in range(2):
        values = np.concatenate([points, np.broadcast_to(lips[None, :, None], (1, len(lips), 3))])
        values, quads = _finer(values, quads)
        points, lips, is_eye = values[:-1], values[-1, :, 0], np.repeat(is_eye, 4)
    return _Mesh(points[0], points[1:], quads, is_eye, lips)


def _finer(values: Floats, quads: NDArray[np.int32]) -> tuple[Floats, NDArray[np.int32]]:
    """Subdivides each quad into four, with new points at the centres of edges and quads."""
    count = values.shape[1]
    edges = np.sort(np.stack([quads, np.roll(quads, -1, 1)], 2).reshape(-1, 2), axis=1)
    unique, which = np.unique(edges, axis=0, return_inverse=True)
    middles = which.reshape(-1, 4) + count
    centres = np.arange(len(quads)) + count + len(unique)
    finer = np.concatenate(
        [values, values[:, unique].mean(axis=2), values[:, quads].mean(axis=2)], axis=1
    )
    corner = [
        np.stack([quads[:, i], middles[:, i], centres, middles[:, i - 1]], axis=1) for i in range(4)
    ]
    return finer, np.stack(corner, axis=1).reshape(-1, 4).astype(np.int32)


def _shaped(mesh: _Mesh, person: Person) -> Floats:
    points = mesh.base + np.tensordot(np.array(person.shape), mesh.shapes, 1)
    eyes = points[mesh_eye_vertices(mesh)]
    return points - eyes.mean(axis=0) * [0, 1, 1]


def _normals(points: Floats, quads: NDArray[np.int32]) -> Floats:
    corners = points[quads]
    flat = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    summed = np.zeros_like(points)
    for column in range(4):
        np.add.at(summed, quads[:, column], flat)
    return summed / (np.linalg.norm(summed, axis=1, keepdims=True) + 1e-12)


def _turned(points: Floats, pose: Pose) -> Floats:
    yaw, pitch, roll = np.radians([pose.yaw, -pose.pitch, -pose.roll])
    neck = np.array([0, -0.6, -0.9])
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    turn = np.array(about_z) @ np.array(about_x) @ np.array(about_y)
    moved = (points - neck) @ turn.T + neck
    # The body does not turn: below the neck the rotation decreases.
    free = np.clip((points[:, 1:2] + 1.75) / 0.7, 0, 1)
    return points + (moved - points) * free


def _projected(points: Floats, centre: tuple[float, float], scale: float) -> Floats:
    away = 14.0
    closer = away / (away - points[:, 2:3])
    flat = points[:, :2] * closer * scale
    return np.stack([centre[0] + flat[:, 0], centre[1] - flat[:, 1]], axis=1)


def _soft(value: Floats, low: float, high: float) -> Floats:
    step = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(step * step * (3 - 2 * step))


def _scalp(rest: Floats, over_ears: bool) -> Floats:
    x, y, z = rest.T
    line = np.interp(
        z, [-2.4, -1.9, -1.2, -0.85, -0.7, -0.35, 0.1], [-0.6, -0.55, -0.35, -0.05, 0.0, 0.45, 0.68]
    )
    scalp = _soft(y - line, -0.03, 0.06)
    if not over_ears:
        scalp *= 1 - _soft(abs(x), 0.71, 0.74) * _soft(-y, -0.16, -0.1)
    return scalp


def _chin(rest: Floats) -> NDArray[np.bool_]:
    return np.asarray(
        (abs(rest[:, 0]) < 0.15) & (rest[:, 1] < -0.7) & (rest[:, 1] > -0.95) & (rest[:, 2] > -0.1)
    )


def _colours(mesh: _Mesh, rest: Floats, scalp: Floats, person: Person) -> Floats:
    x, y, z = rest.T
    skin = np.array(person.skin)
    colours = np.broadcast_to(skin, rest.shape).copy()

    def blend(mask: Floats, colour: object) -> None:
        colours[:] = colours + mask[:, None] * (np.asarray(colour) - colours)

    across = (abs(x) - 0.33) / 0.22
    brow_line = 0.245 - 0.07 * across**2
    brow = _soft(0.05 - abs(y - brow_line) - 0.012 * across, 0, 0.02) * _soft(
        1 - abs(across), 0, 0.2
    )
    blend(brow * _soft(z, -0.25, -0.15) * 0.85, person.hair)
    blend(mesh.lips * 0.75, skin * [0.78, 0.42, 0.42])
    socket = _soft(0.13 - np.hypot((abs(x) - 0.31) / 1.5, y - 0.02), 0, 0.05)
    blend(socket * _soft(z, -0.3, -0.1) * 0.35, skin * 0.35)
    nostril = _soft(0.05 - np.hypot((abs(x) - 0.09) / 1.4, y + 0.44), 0, 0.03)
    blend(nostril * _soft(z, 0.1, 0.2) * 0.8, skin * 0.12)
    blend(scalp, person.hair)
    neckline = -1.55 - 0.25 * _soft(z, -1.0, 0.2) + 0.1 * abs(x)
    blend(_soft(neckline - y, 0, 0.02), person.clothes)
    eye = mesh_eye_vertices(mesh)
    off_axis = np.hypot(abs(x) - 0.308, y)
    colours[eye] = [0.8, 0.78, 0.76]
    forward = eye & (z > 0)
    colours[forward & (off_axis < _IRIS)] = [0.05, 0.03, 0.02]
    colours[forward & (off_axis < _PUPIL)] = [0.005, 0.005, 0.005]
    colours[forward & (np.hypot(x - 0.02 * np.sign(x) - 0.308 * np.sign(x), y - 0.025) < 0.013)] = (
        1.0
    )
    return colours


def _lit(normals: Floats, light: Light) -> Floats:
    key = np.array(light.key) / np.linalg.norm(light.key)
    wrapped = np.clip((normals @ key + 0.25) / 1.25, 0, None)
    from_above = 0.75 + 0.25 * normals[:, 1]
    return np.asarray((light.ambient * from_above + (1 - light.ambient) * wrapped) * light.strength)


def _paint(
    canvas: NDArray[np.float32],
    mesh: _Mesh,
    turned: Floats,
    normals: Floats,
    screen: Floats,
    colours: Floats,
) -> None:
    quads = mesh.quads
    corners = screen[quads]
    one, two = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    faces_us = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] < 0
    chosen = np.nonzero(faces_us)[0]
    depth = turned[quads[chosen], 2].mean(axis=1)
    chosen = chosen[np.argsort(depth)]
    polygons = np.round(screen[quads[chosen]] * 16).astype(np.int32)
    tints = colours[quads[chosen]].mean(axis=1).tolist()
    for polygon, tint in zip(polygons, tints, strict=True):
        cv2.fillConvexPoly(canvas, polygon, tint, cv2.LINE_8, 4)


def _drape(points: Floats) -> Floats:
    """The outline of long hair behind the head."""
    top = points[:, 1].max()
    side = np.array(
        [
            [0.0, top + 0.05],
            [0.45, top - 0.02],
            [0.8, top - 0.35],
            [0.97, 0.3],
            [1.0, -0.6],
            [0.95, -1.6],
            [0.6, -2.2],
        ]
    )
    outline = np.concatenate([side, (side * [-1, 1])[::-1]])
    return np.concatenate([outline, np.full((len(outline), 1), -0.9)], axis=1)


def _paint_hair_behind(
    canvas: NDArray[np.float32],
    outline: Floats,
    person: Person,
    light: Light,
    centre: tuple[float, float],
    scale: float,
) -> None:
    polygon = np.round(_projected(outline, centre, scale) * 16).astype(np.int32)
    tint = [value * light.strength * 0.6 for value in person.hair]
    cv2.fillPoly(canvas, [polygon], tint, cv2.LINE_AA, 4)


def _paint_chest(
    canvas: NDArray[np.float32],
    person: Person,
    light: Light,
    centre: tuple[float, float],
    scale: float,
) -> None:
    """Extends the body to the picture's edge, because the mesh ends below the shoulders."""
    outline = np.array([[-1.9, -2.3, -0.6], [1.9, -2.3, -0.6], [2.1, -12, -0.6], [-2.1, -12, -0.6]])
    polygon = np.round(_projected(outline, centre, scale) * 16).astype(np.int32)
    tint = [value * light.strength * 0.8 for value in person.clothes]
    cv2.fillPoly(canvas, [polygon], tint, cv2.LINE_8, 4)


def _rims() -> Floats:
    turn = np.linspace(0, 2 * np.pi, 40)
    rim = np.stack([0.33 + 0.24 * np.cos(turn), 0.19 * np.sin(turn) - 0.03, np.full(40, 0.2)], 1)
    return np.concatenate([rim, rim * [-1, 1, 1]])


def _paint_glasses(
    canvas: NDArray[np.float32], rims: Floats, centre: tuple[float, float], scale: float
) -> None:
    flat = np.round(_projected(rims, centre, scale) * 16).astype(np.int32)
    thick = max(1, round(scale * 0.022))
    cv2.polylines(canvas, [flat[:40], flat[40:]], True, (0.02, 0.02, 0.02), thick, cv2.LINE_AA, 4)
    cv2.line(
        canvas, flat[20].tolist(), flat[60].tolist(), (0.02, 0.02, 0.02), thick, cv2.LINE_AA, 4
    )
