"""身份证预审: the review on synthetic photographs with every kind of fault."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from core.imaging import (
    DocumentCheck,
    DocumentCheckCode,
    ProcessedDocument,
    Side,
    Verdict,
    document_advice,
    process_document,
)
from core.imaging.id_documents.geometry import RATIO
from core.imaging.id_documents.verdict import LIMITS
from core.kernel.texts import Language
from tests.id_documents.parts import as_png, failed, measured, other_card, reviewed, taken
from tests.id_documents.photographs import Scene, photograph

pytestmark = pytest.mark.slow

P, E = Side.PORTRAIT_SIDE, Side.EMBLEM_SIDE
C = DocumentCheckCode
STEADY = Scene(table="wood", light=0.95, blur=0.5, tilt=8, pan=-7, roll=5)


def corner_error(document: ProcessedDocument, side: Side, scene: Scene) -> float:
    """Error of the worst corner, as a fraction of the card's width."""
    found = np.array([(corner.x, corner.y) for corner in document.corners]) * scene.frame
    truth = taken(side, scene).corners
    width = max(np.linalg.norm(truth[0] - truth[1]), np.linalg.norm(truth[1] - truth[2]))
    return float(np.linalg.norm(found - truth, axis=1).max() / width)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("table", ["wood", "dark", "white", "cluttered", "bed"])
def test_finds_the_corners_and_straightens_the_card(side: Side, table: str) -> None:
    scene = dataclasses.replace(STEADY, table=table, seed=3)

    document = reviewed(side, scene)

    assert document.accepted
    assert corner_error(document, side, scene) < 0.01
    straight = Image.open(io.BytesIO(document.data))
    assert (straight.format, straight.mode) == ("JPEG", "RGB")
    assert straight.width / straight.height == pytest.approx(RATIO, rel=0.01)
    assert not straight.getexif()


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turns_a_card_that_lies_across_or_upside_down(side: Side, turns: int) -> None:
    scene = dataclasses.replace(STEADY, cover=0.6, turns=turns)

    document = reviewed(side, scene)

    assert document.accepted
    assert corner_error(document, side, scene) < 0.01


@pytest.mark.parametrize("side", Side)
def test_takes_a_scan_that_shows_nothing_but_the_card(side: Side) -> None:
    data = process_document(taken(side, STEADY).data, side).data

    document = process_document(data, side)

    assert document.accepted
    assert document.side is side


def test_tells_the_sides_apart() -> None:
    wrong = {side: reviewed(side, STEADY, expected) for side, expected in ((P, E), (E, P))}

    assert {side: failed(document) for side, document in wrong.items()} == {
        P: {C.WRONG_SIDE},
        E: {C.WRONG_SIDE},
    }
    assert {side: document.side for side, document in wrong.items()} == {P: P, E: E}
    assert all(document.data == b"" for document in wrong.values())


WRONG: dict[str, tuple[dict[str, object], set[DocumentCheckCode]]] = {
    "out of focus": ({"blur": 4.0}, {C.BLURRED}),
    "moved": ({"motion": 16.0}, {C.BLURRED}),
    "a lamp's reflection": ({"glare": 0.06}, {C.GLARE}),
    "dark": ({"light": 0.25, "noise": 4.0}, {C.TOO_DARK}),
    "a copy in grey": ({"grey": True}, {C.NOT_COLOUR}),
    "too far away": ({"cover": 0.34}, {C.TOO_SMALL}),
    "blurred and dark": ({"blur": 4.0, "light": 0.25}, {C.BLURRED, C.TOO_DARK}),
    "dark, blurred and far": (
        {"cover": 0.34, "light": 0.25, "blur": 5.0},
        {C.TOO_SMALL, C.BLURRED, C.TOO_DARK},
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("side", Side)
def test_names_everything_that_is_wrong_at_once(name: str, side: Side) -> None:
    changes, expected = WRONG[name]

    document = reviewed(side, dataclasses.replace(STEADY, **changes))  # type: ignore[arg-type]

    assert failed(document) == expected
    assert document.data == b""
    assert not document.accepted


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("seed", range(3))
def test_sees_that_a_part_of_the_card_is_outside(side: Side, seed: int) -> None:
    scene = Scene(table="dark", cover=0.7, cut=0.15, blur=0.5, seed=seed)

    document = reviewed(side, scene)

    assert failed(document) & {C.CUT_OFF, C.EDGES_UNCLEAR}
    if C.CUT_OFF in failed(document):
        assert measured(document, C.CUT_OFF) == pytest.approx(15, abs=6)


def test_measures_a_blur_in_pixels() -> None:
    """The control of the limit: the measured value grows with the fault."""
    blurs = [0.5, 2.0, 3.0, 4.0]

    found = [
        measured(reviewed(P, dataclasses.replace(STEADY, blur=blur)), C.BLURRED) for blur in blurs
    ]

    assert found == sorted(found)
    assert found[1:] == pytest.approx(blurs[1:], abs=0.6)


@pytest.mark.parametrize("kind", ["bank", "business", "blank"])
def test_another_card_is_not_an_id_card(kind: str) -> None:
    data = photograph(other_card(kind), STEADY).data

    found = [process_document(data, side) for side in Side]

    assert all(C.NOT_AN_ID_CARD in failed(document) for document in found)


def test_an_empty_table_shows_no_card() -> None:
    buffer = io.BytesIO()
    noise = Image.effect_noise((1600, 1200), 20)
    noise.save(buffer, "JPEG")

    document = process_document(buffer.getvalue(), P)

    assert failed(document) & {C.NO_CARD, C.NOT_AN_ID_CARD}
    assert document.data == b""


def test_reads_other_formats_and_refuses_what_is_no_picture() -> None:
    assert process_document(as_png(taken(E, STEADY).data), E).accepted
    assert process_document(_white(300, 90), E).verdict is Verdict.TOO_SMALL
    assert process_document(_white(1, 1), E).verdict is Verdict.TOO_SMALL
    assert process_document(b"no picture", E).verdict is Verdict.UNREADABLE
    assert process_document(taken(E, STEADY).data[:3_000], E).verdict is Verdict.INCOMPLETE
    assert process_document(b"%PDF-1.7", E).verdict is Verdict.UNSUPPORTED


@pytest.mark.parametrize("code", DocumentCheckCode)
def test_says_measure_and_limit_in_both_languages(code: DocumentCheckCode) -> None:
    limit = LIMITS[code][0]
    bad = DocumentCheck(code, -1.0 if limit.least > -1 else limit.most + 77)
    good = DocumentCheck(code, limit.least if limit.least > -1 else limit.most)

    assert (good.passed, bad.passed) == (True, False)
    for language in Language:
        told = document_advice(bad, language)
        assert "{" not in told + document_advice(good, language)
        if code not in (C.NO_CARD, C.NOT_LANDSCAPE):
            assert f"{bad.measured:g}" in told
            assert any(f"{edge:g}" in told for edge in (limit.least, limit.most))


def _white(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "JPEG")
    return buffer.getvalue()
