"""`make portraits-report`: accuracy of the portrait review.

Prints precision and recall of every check and the share of good ones that are accepted: on synthetic
portraits with known ground truth, or with `--pictures` on a folder of photographs with a
`truth.csv` (`tests/portraits/truth.py`), of which it writes contact sheets besides.
"""

import argparse
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.imaging import CheckCode, ProcessedPortrait, portrait_advice, process_portrait
from core.kernel.texts import Language
from tests.portraits import figures
from tests.portraits.contact_sheet import write_sheets
from tests.portraits.figures import Outcome
from tests.portraits.scenes import Case, cases
from tests.portraits.truth import FILE, Photograph, WrongTruth, read_truth, unlisted

MIN_BYTES, MAX_BYTES = 14 * 1024, 40 * 1024


@dataclass(slots=True)
class Score:
    right: int = 0
    wrong: int = 0
    missed: int = 0
    noted: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0


@dataclass(slots=True)
class Tally:
    scores: dict[CheckCode, Score] = field(default_factory=lambda: defaultdict(Score))
    good: int = 0
    accepted: int = 0
    bad: int = 0
    accepted_wrongly: list[str] = field(default_factory=list)
    refused_wrongly: list[str] = field(default_factory=list)

    def add(self, case: Case, found: ProcessedPortrait) -> None:
        failed = {check.code for check in found.checks if not check.passed}
        for code in case.must:
            score = self.scores[code]
            if code in failed:
                score.right += 1
            else:
                score.missed += 1
                score.noted.append(f"missed {case.name}")
        for check in found.checks:
            if not check.passed and check.code not in case.must | case.may:
                self.scores[check.code].wrong += 1
                self.scores[check.code].noted.append(f"wrong {case.name} {check.measured}")
        if case.is_good:
            self.good += 1
            self.accepted += found.accepted
            if not found.accepted:
                self.refused_wrongly.append(case.name)
        else:
            self.bad += 1
            if found.accepted:
                self.accepted_wrongly.append(case.name)


def tally(good: int, each: int, seed: int, keep: Path | None = None) -> Tally:
    counted = Tally()
    for case in cases(good, each, seed):
        found = process_portrait(case.data, MIN_BYTES, MAX_BYTES)
        counted.add(case, found)
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{case.name}.jpg").write_bytes(found.data)
    return counted


def review_file(file: Path, keep: Path | None) -> None:
    found = process_portrait(file.read_bytes(), MIN_BYTES, MAX_BYTES)
    print(found.verdict.value, found.geometry or "")
    for check in found.checks:
        print(
            f"  {'passed' if check.passed else 'FAILED'}  {check.code:<22}{portrait_advice(check, Language.EN)}"
        )
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / file.with_suffix(".jpg").name).write_bytes(found.data)


def review_photographs(folder: Path, photographs: list[Photograph]) -> list[Outcome]:
    outcomes = []
    for photograph in photographs:
        data = (folder / photograph.name).read_bytes()
        started = time.process_time()
        found = process_portrait(data, MIN_BYTES, MAX_BYTES)
        outcomes.append(Outcome(photograph, found, time.process_time() - started))
    return outcomes


def report_photographs(folder: Path, sheet: Path | None) -> None:
    try:
        photographs = read_truth(folder)
    except WrongTruth as error:
        raise SystemExit(str(error)) from None
    outcomes = review_photographs(folder, photographs)
    written = write_sheets(outcomes, folder, sheet or folder / "report")
    print(f"{len(outcomes)} photographs of {folder}")
    print(*figures.report(outcomes), sep="\n")
    if left_out := unlisted(folder, photographs):
        print(f"\nnot in {FILE}, left out: {len(left_out)}: {', '.join(left_out[:10])}")
    print(f"\ncontact sheets: {written[0]} to {written[-1].name}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--good", type=int, default=120)
    arguments.add_argument("--each", type=int, default=12)
    arguments.add_argument("--seed", type=int, default=1, help="draws other people")
    arguments.add_argument("--keep", type=Path, help="folder for the finished pictures")
    arguments.add_argument("--notes", action="store_true", help="name the cases that went wrong")
    arguments.add_argument("--file", type=Path, help="review this picture instead")
    arguments.add_argument(
        "--pictures", type=Path, help=f"review this folder with a {FILE} instead"
    )
    arguments.add_argument(
        "--sheet",
        type=Path,
        help="folder for the contact sheets; else `report` in that of the pictures",
    )
    given = arguments.parse_args()
    if given.pictures is not None:
        report_photographs(given.pictures, given.sheet)
        return
    if given.file is not None:
        review_file(given.file, given.keep)
        return
    started = time.monotonic()
    counted = tally(given.good, given.each, given.seed, given.keep)
    print(f"{counted.good + counted.bad} drawn portraits in {time.monotonic() - started:.0f} s")
    print(f"{'check':<22}{'cases':>6}{'precision':>11}{'recall':>8}")
    for code in CheckCode:
        score = counted.scores[code]
        number = score.right + score.missed
        print(f"{code:<22}{number:>6}{score.precision:>11.3f}{score.recall:>8.3f}")
        if given.notes:
            print("".join(f"    {note}\n" for note in score.noted), end="")
    print(f"good ones accepted at the first try: {counted.accepted} of {counted.good}")
    print(f"bad ones accepted: {len(counted.accepted_wrongly)} of {counted.bad}")
    if given.notes:
        print(*counted.refused_wrongly, *counted.accepted_wrongly)
    precision = np.mean([counted.scores[code].precision for code in CheckCode])
    print(f"mean precision {precision:.3f}")


if __name__ == "__main__":
    main()
