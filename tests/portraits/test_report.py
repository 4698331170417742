"""`make portraits-report PICTURES=folder`: reading what is true, and the figures."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.imaging import Check, CheckCode, Geometry, ProcessedPortrait, Verdict
from tests.portraits import figures, scenes
from tests.portraits.contact_sheet import write_sheets
from tests.portraits.figures import Outcome, Share, accepted_of_good, by_group, geometry, score
from tests.portraits.report import main
from tests.portraits.truth import FILE, Photograph, WrongTruth, read_truth, unlisted

BLURRED, DARK, TILTED = CheckCode.BLURRED, CheckCode.TOO_DARK, CheckCode.TILTED


def folder_with(path: Path, text: str, *pictures: str, encoding: str = "utf-8") -> Path:
    (path / FILE).write_text(text, encoding)
    for name in pictures:
        Image.new("RGB", (120, 160), "white").save(path / name)
    return path


# --- reading ------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_reads_pictures_faults_and_groups(tmp_path: Path, encoding: str) -> None:
    text = (
        "picture, faults,glasses,age\r\n一.jpg,,no,adult\r\n\r\nb.png, BLURRED ; TOO_DARK;,yes,\r\n"
    )
    folder = folder_with(tmp_path, text, "一.jpg", "b.png", "c.jpg", encoding=encoding)

    found = read_truth(folder)

    assert found == [
        Photograph("一.jpg", (), {"glasses": "no", "age": "adult"}),
        Photograph("b.png", (BLURRED, DARK), {"glasses": "yes", "age": ""}),
    ]
    assert [photograph.is_good for photograph in found] == [True, False]
    assert unlisted(folder, found) == ["c.jpg"]


@pytest.mark.parametrize("code", CheckCode)
def test_knows_every_check(tmp_path: Path, code: CheckCode) -> None:
    folder = folder_with(tmp_path, f"picture,faults\na.jpg,{code}\n", "a.jpg")

    assert read_truth(folder)[0].faults == (code,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the column 'picture' is missing"),
        ("file,faults\na.jpg,\n", "line 1: the column 'picture' is missing; found: file, faults"),
        ("picture,fault\na.jpg,\n", "line 1: the column 'faults' is missing"),
        ("picture,faults,age,age\na.jpg,,1,2\n", "line 1: two columns have the same name"),
        ("picture,faults\n", "line 2: no picture is listed"),
        ("picture,faults\na.jpg,\nb.jpg,\n", "line 3: the picture 'b.jpg' is not in "),
        ("picture,faults\n,\n\n,BLURRED\n", "line 4: the picture '' is not in "),
        ("picture,faults\na.jpg,\n\na.jpg,\n", "line 4: the picture 'a.jpg' is listed in line 2"),
        ("picture,faults\na.jpg,BLURED\n", "line 2: 'BLURED' is no check; there are: NO_FACE, "),
        ("picture,faults\na.jpg,BLURRED,TOO_DARK\n", "line 2: 3 values for 2 columns"),
        ("picture,faults\na.jpg\n", "line 2: 1 values for 2 columns"),
    ],
)
def test_refuses_a_wrong_file_and_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    folder = folder_with(tmp_path, text, "a.jpg")

    with pytest.raises(WrongTruth) as refused:
        read_truth(folder)

    assert str(refused.value).startswith(f"{FILE}, {message}")


def test_refuses_a_missing_file_and_one_in_another_encoding(tmp_path: Path) -> None:
    with pytest.raises(WrongTruth, match="line 1: there is no such file"):
        read_truth(tmp_path)

    folder = folder_with(
        tmp_path, "picture,faults\na.jpg,\n照片.jpg,\n", "a.jpg", encoding="gb18030"
    )
    with pytest.raises(WrongTruth, match="line 3: not UTF-8"):
        read_truth(folder)


# --- figures ------------------------------------------------------------------------------


def outcome(
    faults: tuple[CheckCode, ...],
    failed: tuple[CheckCode, ...],
    group: str = "",
    crown: int = 10,
    verdict: Verdict = Verdict.ACCEPTED,
) -> Outcome:
    checks = tuple(Check(code, 1e6 if code is TILTED else -1e6) for code in failed)
    place = Geometry(crown=crown, eye_line=200, eye_x=179, face_left=80, face_right=280)
    found = ProcessedPortrait(verdict, b"", checks, geometry=place)
    return Outcome(Photograph("a.jpg", faults, {"age": group}), found, 0.1)


def test_precision_and_recall_have_their_counts() -> None:
    outcomes = [
        outcome((BLURRED,), (BLURRED,)),
        outcome((BLURRED, DARK), (DARK,)),
        outcome((), (BLURRED,)),
        outcome((DARK,), (BLURRED,)),
        outcome((), ()),
    ]

    found = score(BLURRED, outcomes)

    assert (found.precision, found.recall, found.on_good) == (Share(1, 3), Share(1, 2), 1)
    assert score(TILTED, outcomes).precision == Share(0, 0)


@pytest.mark.parametrize(
    ("share", "low", "high"),
    [
        (Share(81, 263), 0.2553, 0.3662),
        (Share(15, 148), 0.0624, 0.1605),
        (Share(0, 20), 0.0, 0.1611),
        (Share(29, 29), 0.8830, 1.0),
        (Share(0, 0), 0.0, 1.0),
    ],
)
def test_intervals_are_wilsons(share: Share, low: float, high: float) -> None:
    """The first four: Newcombe, Statistics in Medicine 17 (1998), table I."""
    assert share.interval == pytest.approx((low, high), abs=1e-4)


def test_a_reason_is_right_first_or_among_the_others() -> None:
    right_first = outcome((DARK, BLURRED), (BLURRED, TILTED))
    right_later = outcome((DARK,), (TILTED, DARK))
    wrong = outcome((DARK,), (TILTED,))
    accepted = outcome((DARK,), ())

    outcomes = (right_first, right_later, wrong, accepted)

    assert [one.is_first_right for one in outcomes] == [True, False, False, False]
    assert [one.is_among_right for one in outcomes] == [True, True, False, False]
    assert [one.is_wrong for one in outcomes] == [False, True, True, True]


def test_a_file_that_was_not_decoded_is_refused_for_that_reason() -> None:
    unreadable = outcome((), (), verdict=Verdict.INCOMPLETE)
    too_small = outcome((CheckCode.TOO_SMALL,), (), verdict=Verdict.TOO_SMALL)

    assert not unreadable.is_accepted
    assert unreadable.failed == ("INCOMPLETE",)
    assert too_small.is_first_right


def test_acceptance_is_told_by_group() -> None:
    outcomes = [
        outcome((), (), "child"),
        outcome((), (BLURRED,), "child"),
        outcome((), (), "adult"),
        outcome((DARK,), (DARK,), "old"),
    ]

    assert accepted_of_good(outcomes) == Share(2, 3)
    assert list(by_group(outcomes)) == [
        ("age", "adult", Share(1, 1)),
        ("age", "child", Share(1, 2)),
        ("age", "old", Share(0, 0)),
    ]


def test_geometry_is_that_of_accepted_pictures() -> None:
    accepted = [outcome((), (), crown=crown) for crown in (8, 10, 12)]

    found = dict(geometry([*accepted, outcome((), (DARK,), crown=99)]))

    assert found["crown"] == pytest.approx([8, 8.2, 10, 11.8, 12])
    assert found["eye_x"] == [179.0] * 5


def test_the_report_names_each_wrong_one_with_what_was_found() -> None:
    lines = list(figures.report([outcome((), ()), outcome((DARK,), (TILTED,))]))

    assert "good ones accepted at the first try: 1 of 1, 100.0 % (20.7 to 100.0 %)" in lines
    assert "  a.jpg: TILTED 1e+06; true: TOO_DARK" in lines
    assert {line.split()[0] for line in lines[1:] if line} >= set(CheckCode)


# --- all of it ----------------------------------------------------------------------------


@pytest.mark.slow
def test_reviews_a_folder_and_writes_contact_sheets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = scenes.picture("good", scenes.good_scene(np.random.default_rng([1, 0, 0]))).data
    folder = folder_with(tmp_path, "picture,faults,age\ngood.jpg,,adult\nno.png,BLURRED,adult\n")
    (folder / "good.jpg").write_bytes(good)
    Image.new("RGB", (400, 500), "white").save(folder / "no.png")
    (folder / "notes.txt").write_text("not listed")
    monkeypatch.setattr(sys, "argv", ["report", "--pictures", str(folder)])

    main()

    printed = capsys.readouterr().out
    assert "good ones accepted at the first try: 1 of 1" in printed
    assert "  no.png: NO_FACE 0; true: BLURRED" in printed
    assert "left out: 1: notes.txt" in printed
    [page] = (folder / "report").iterdir()
    with Image.open(page) as sheet:
        assert sheet.format == "JPEG"
        red, green, blue = sheet.convert("RGB").getpixel((3, 100))  # type: ignore[misc]
        assert (red > 150, green < 90, blue < 90) == (True, True, True)
        assert min(sheet.convert("RGB").getpixel((443, 100))) > 240  # type: ignore[arg-type]

    (folder / FILE).write_text("picture,faults\ngood.jpg,UGLY\n")
    with pytest.raises(SystemExit, match=f"{FILE}, line 2: 'UGLY' is no check"):
        main()


def test_there_are_as_many_sheets_as_needed_and_old_ones_go(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "picture,faults,age\n", "a.jpg")

    many = write_sheets([outcome((), ())] * 21, folder, folder / "sheets")
    few = write_sheets([outcome((), ())], folder, folder / "sheets")

    assert [len(many), len(few)] == [2, 1]
    assert [file.name for file in (folder / "sheets").iterdir()] == ["sheet-001.jpg"]
