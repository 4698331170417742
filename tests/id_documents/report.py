"""Accuracy of detecting, reviewing and reading ID documents, on synthetic cards.

    python -m tests.id_documents.report [photographs]      # or: make documents-report
    python -m tests.id_documents.report --other-styles [photographs] [--half tuned|unseen]

Half are good photographs; the others have one fault each: out of focus, motion blur, reflection
or cut off. Prints a Markdown table.

`--other-styles` takes the cards of `trial.py` instead, in two styles that are not the sandbox's:
hidden parts, other cards, both sides in one picture and small cards too. It needs Debian's fonts.
"""

import argparse
import random
import statistics
import sys
import time
from collections import Counter
from datetime import date

import numpy as np

from core.imaging import (
    DocumentCheckCode,
    ProcessedDocument,
    Side,
    can_read,
    process_document,
    read_document,
)
from tests.id_documents import styles, trial
from tests.id_documents.parts import DRAW, failed, truth_of
from tests.id_documents.photographs import TABLES, Photograph, Scene, invented, photograph

FAULTS = {
    "out of focus": {DocumentCheckCode.BLURRED},
    "moved": {DocumentCheckCode.BLURRED},
    "reflection": {DocumentCheckCode.GLARE},
    "cut off": {
        DocumentCheckCode.CUT_OFF,
        DocumentCheckCode.EDGES_UNCLEAR,
        DocumentCheckCode.NO_CARD,
    },
}
TODAY = date(2026, 1, 1)


def scene_of(number: int, fault: str, chance: random.Random) -> Scene:
    turns = chance.choice([0, 0, 0, 1, 2, 3])
    return Scene(
        frame=chance.choice([(1600, 1200), (2000, 1500)]),
        table=TABLES[number // 2 % len(TABLES)],
        cover=chance.uniform(0.55, 0.8) if turns % 2 else chance.uniform(0.5, 0.92),
        tilt=chance.uniform(-22, 22),
        pan=chance.uniform(-22, 22),
        roll=chance.uniform(-12, 12),
        turns=turns,
        light=chance.uniform(0.7, 0.95),
        uneven=chance.uniform(0, 0.2),
        blur=chance.uniform(3, 8) if fault == "out of focus" else chance.uniform(0, 1.2),
        motion=chance.uniform(9, 25) if fault == "moved" else 0.0,
        glare=chance.uniform(0.02, 0.12) if fault == "reflection" else 0.0,
        cut=chance.uniform(0.06, 0.25) if fault == "cut off" else 0.0,
        noise=chance.uniform(1, 6),
        quality=chance.randint(70, 95),
        seed=number,
    )


def corner_error(document: ProcessedDocument, taken: Photograph) -> float:
    """Error of the worst corner in percent of the card's long side; also large if upside down."""
    found = np.array([(corner.x, corner.y) for corner in document.corners]) * taken.scene.frame
    sides = np.linalg.norm(np.roll(taken.corners, -1, axis=0) - taken.corners, axis=1)
    return float(100 * np.linalg.norm(found - taken.corners, axis=1).max() / sides.max())


def main(photographs: int) -> None:
    chance = random.Random(2026)
    accepted, caught, sides, read, all_of, wrongly_told = (Counter[str]() for _ in range(6))
    errors: list[float] = []
    review_seconds: list[float] = []
    read_seconds: list[float] = []
    for number in range(photographs):
        fault = "" if number < photographs // 2 else list(FAULTS)[number % len(FAULTS)]
        side = list(Side)[(number // len(FAULTS)) % 2]
        card = invented(chance)
        taken = photograph(DRAW[side](card), scene_of(number, fault, chance))
        began = time.process_time()
        document = process_document(taken.data, side)
        review_seconds.append(time.process_time() - began)
        all_of[fault] += 1
        accepted[fault] += document.accepted
        if fault:
            caught[fault] += bool(failed(document) & FAULTS[fault])
            continue
        sides["right"] += document.side is side
        if document.corners:
            errors.append(corner_error(document, taken))
        if document.accepted and can_read():
            began = time.process_time()
            found = read_document(document.data, side, TODAY).fields
            told = {entry.name: entry.value for entry in found}
            read_seconds.append(time.process_time() - began)
            for name, value in truth_of(card, side).items():
                all_of[name] += 1
                read[name] += told.get(name) == value
                wrongly_told[name] += name in told and told[name] != value
    good = all_of[""]
    print(f"| good photographs accepted at the first try | {accepted['']} of {good} |")
    print(f"| side and way up recognised | {sides['right']} of {good} |")
    print(
        f"| worst corner's error, % of the card's width | median {statistics.median(errors):.2f}, "
        f"95 % below {np.percentile(errors, 95):.2f}, worst {max(errors):.2f} |"
    )
    for fault in FAULTS:
        print(f"| {fault}: refused for that reason | {caught[fault]} of {all_of[fault]} |")
    print(f"| CPU for one photograph, s | median {statistics.median(review_seconds):.2f} |")
    for name in [name for name in all_of if name in read]:
        print(
            f"| {name} read right (told wrongly) | {read[name]} of {all_of[name]} ({wrongly_told[name]}) |"
        )
    if read_seconds:
        print(f"| CPU for reading one side, s | median {statistics.median(read_seconds):.2f} |")


def other_styles(photographs: int, half: str) -> None:
    """Figures per reason and per field. A field is offered from a confidence of 0.9."""
    tally = trial.Tally()
    for case in trial.cases(photographs):
        if half == "all" or trial.is_tuned(case) == (half == "tuned"):
            tally.add(case)
    for line in tally.lines():
        print(line)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=int, nargs="?")
    parser.add_argument("--other-styles", action="store_true")
    parser.add_argument("--half", choices=("all", "tuned", "unseen"), default="all")
    given = parser.parse_args()
    if not given.other_styles:
        main(given.photographs or 240)
    elif lacking := styles.missing_fonts():
        sys.exit(f"Fonts are missing: apt-get install {' '.join(lacking)}")
    else:
        other_styles(given.photographs or 300, given.half)
