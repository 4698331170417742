"""The trial: cards in other styles than the sandbox's, photographed in twelve ways.

Of each three photographs one hides something or shows another card. After them come pictures with
both sides, and with a card that is too small. Every case depends on its number alone. Limits were
tuned on those for which `is_tuned` holds; the others were not looked at.
"""

import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
from PIL import Image

from core.imaging import (
    DocumentCheckCode,
    ProcessedDocument,
    ReadDocument,
    Side,
    can_read,
    process_document,
    read_document,
)
from sandbox.id_cards import IdCard
from tests.id_documents import hiding, others, styles
from tests.id_documents.parts import failed, truth_of
from tests.id_documents.photographs import invented
from tests.id_documents.styles import STYLES, Style
from tests.id_documents.ways import WAYS, Shot, Way, plane_of, shoot

GOOD, HIDDEN, OTHER, BOTH, SMALL = "good", "hidden", "other", "both", "small"
_DOTTED = (
    "阿卜杜拉·买买提", "艾孜孜·吐尔逊江", "古丽努尔·阿布都热合曼", "买买提明·艾合买提", "迪丽达尔·木拉提",
    "阿依古丽·阿不都克里木", "吐尔逊娜依·艾尔肯", "热依汗古丽·依米提", "扎西·次仁多吉", "马合木提·吐尔地",
    "阿卜杜热合曼·艾孜孜江·买买提", "努尔买买提·阿卜杜外力", "沙吾提·依明江", "俄木·尔古木呷", "玉素甫江·麦麦提依明",
    "吉克·阿支莫", "穆合塔尔·赛买提", "别尔德别克·哈力木拉提",
)  # fmt: skip
_RARE = "㛃彧翀龑喆堃犇淼玥珺昶赟煜邕垚骉羴焱燚祎旻昉昇晞暄曈栩棣楠槿歆洺浠湉漪澍灏烨熠玘珣珩琎琬琰瑄瑭璟璠甯睿祺禛竑筠箬粲翊翎芃芮茉荻莛菡萱葳蔺薏蘅诩谌谡贇踽轶逯邝郗鄢钰铄锶阚隽霁霖靓韬韫颉颢飏馥骁骅鸢麒黛"
_FAMILY = "王李张刘陈杨赵黄周吴仝仉亓亢仵佘佴侴冼冮卞厍咎昝晁栾桓欧逄邰郏郜郄隗鞠靳缪璩甄瞿笪耿芈"


@dataclass(frozen=True, slots=True)
class Case:
    """`what` is the hiding, the other card's name, or empty; `part` is what is hidden."""

    number: int
    group: str
    side: Side
    style: Style
    way: str
    card: IdCard
    what: str = ""
    part: str = ""


def cases(photographs: int) -> Iterator[Case]:
    """So many photographs, then a sixth as many with both sides and a twelfth too small."""
    for number in range(photographs):
        group = GOOD if number % 3 else (OTHER if number % 8 < 3 else HIDDEN)
        yield _case(number, group)
    for number in range(photographs // 6):
        yield _case(10_000 + number, BOTH)
    for number in range(photographs // 12):
        yield _case(20_000 + number, SMALL)


def _case(number: int, group: str) -> Case:
    chance = random.Random(number)
    side = chance.choice(list(Side))
    good = number - number // 3 - 1
    way = list(WAYS)[good % len(WAYS)] if group == GOOD else chance.choice(list(WAYS))
    case = Case(number, group, side, chance.choice(STYLES), way, _somebody(chance))
    if group == OTHER:
        what = list(others.OTHERS)[chance.randrange(len(others.OTHERS))]
        titled = what in others.WITH_EMBLEM_TITLE
        return replace(case, what=what, side=Side.EMBLEM_SIDE if titled else Side.PORTRAIT_SIDE)
    if group == HIDDEN:
        parts = [*hiding.BOXES[side], "corner", "watermark"]
        part = chance.choice(parts)
        what = "thumb" if part == "corner" else chance.choice(["thumb", "thumb", *hiding.PAPER])
        return replace(case, part=part, what="watermark" if part == "watermark" else what)
    if group in (BOTH, SMALL) and way in ("hand-held", "crop"):
        return replace(case, way="scanner" if group == BOTH else "perspective")
    return case


def _somebody(chance: random.Random) -> IdCard:
    card = invented(chance)
    kind = chance.random()
    if kind < 0.3:
        return replace(card, name=chance.choice(_DOTTED))
    if kind < 0.6:
        given = "".join(chance.choices(_RARE, k=chance.randint(1, 2)))
        return replace(card, name=chance.choice(_FAMILY) + given)
    return card


def drawn(case: Case) -> Image.Image:
    if case.group == OTHER:
        return others.OTHERS[case.what](case.card, case.style, case.number)
    return side_of(case, case.side)


def side_of(case: Case, side: Side) -> Image.Image:
    draw = styles.portrait_side if side is Side.PORTRAIT_SIDE else styles.emblem_side
    return draw(case.card, case.style, case.number)


def taken(case: Case) -> Shot:
    chance = np.random.default_rng(case.number)
    card, way, hands = drawn(case), WAYS[case.way], []
    if way.extra == "hold":
        hands += hiding.holding_fingers(case.side, chance)
    if case.group == BOTH:
        pair = [card, side_of(case, other(case.side))]
        if chance.random() < 0.5:
            pair.reverse()
        gap = chance.uniform(3, 14)
        shot = shoot(
            plane_of(pair, [], is_row=chance.random() < 0.3, gap=gap), _wider(way), case.number
        )
        return shot if pair[0] is card else replace(shot, corners=shot.corners[::-1])
    if case.group == SMALL:
        return shoot(plane_of([card], []), _farther(way, chance), case.number)
    if case.part == "watermark":
        card = hiding.watermark(card, chance)
    elif case.part == "corner":
        hands.append(hiding.thumb_over_corner(int(chance.integers(4)), chance))
    elif case.part and case.what == "thumb":
        hands.append(hiding.thumb_over(hiding.BOXES[case.side][case.part], chance))
    elif case.part:
        card = hiding.PAPER[case.what](card, hiding.BOXES[case.side][case.part], chance)
    return shoot(plane_of([card], hands), way, case.number)


def other(side: Side) -> Side:
    return Side.EMBLEM_SIDE if side is Side.PORTRAIT_SIDE else Side.PORTRAIT_SIDE


def _wider(way: Way) -> Way:
    """Phones take 12 megapixels; both cards fill the frame."""
    return way if way.extra == "flat" else replace(way, frame=(2400, 1800), cover=(0.5, 0.8))


def _farther(way: Way, chance: np.random.Generator) -> Way:
    share = chance.uniform(0.14, 0.3)
    return replace(way, frame=(1600, 1200), cover=(share, share))


def is_tuned(case: Case) -> bool:
    """Each half has every way of photographing."""
    return case.number // len(WAYS) % 2 == 0


REASONS: dict[str, set[DocumentCheckCode]] = {
    HIDDEN: {DocumentCheckCode.COVERED},
    OTHER: {DocumentCheckCode.NOT_AN_ID_CARD},
    SMALL: {DocumentCheckCode.TOO_SMALL},
}
_TODAY = date(2026, 1, 1)


@dataclass
class Tally:
    """Counts what became of each case, as the service decides it: the review, then what was read."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"review": [], "read": []})
    wrong: list[str] = field(default_factory=list)

    def add(self, case: Case) -> None:
        shot = taken(case)
        document, read = self._processed(shot.data, case.side)
        judged = document.judged(read, case.side)
        self._count(case.group, "all")
        for row in (case.group, f"{case.group}: {case.what or case.way}"):
            self._decided(row, case, document, judged)
        if case.group == GOOD and judged.accepted and can_read():
            self._read(case, read)
        if case.group == BOTH:
            second = process_document(shot.data, other(case.side))
            self.counts[BOTH, "told"] += judged.other_side is not None
            self.counts[BOTH, "second"] += second.accepted
        if case.group == OTHER:
            self.counts[OTHER, "named"] += any(check.card for check in judged.checks)

    def _count(self, row: str, what: str) -> None:
        self.counts[row, what] += 1

    def _processed(self, data: bytes, side: Side) -> tuple[ProcessedDocument, ReadDocument]:
        began = time.process_time()
        document = process_document(data, side)
        self.seconds["review"].append(time.process_time() - began)
        card, read = document.data or document.unrecognised, ReadDocument()
        if card and can_read():
            began = time.process_time()
            read = read_document(card, side, _TODAY)
            self.seconds["read"].append(time.process_time() - began)
        return document, read

    def _decided(
        self, row: str, case: Case, document: ProcessedDocument, judged: ProcessedDocument
    ) -> None:
        reasons = REASONS.get(case.group, set())
        self.counts[row, "cases"] += 1
        self.counts[row, "refused"] += not judged.accepted
        self.counts[row, "reason"] += bool(failed(judged) & reasons)
        self.counts[row, "without text"] += bool(failed(document) & reasons)
        is_right = bool(failed(judged) & reasons) if reasons else judged.accepted
        if not is_right and row == case.group:
            told = " ".join(sorted(failed(judged))) or "accepted"
            self.wrong.append(
                f"{case.number} {case.side} {case.way} {case.what} {case.part}: {told}"
            )

    def _read(self, case: Case, read: ReadDocument) -> None:
        told = {entry.name: entry.value for entry in read.fields}
        for name, value in truth_of(case.card, case.side).items():
            self._count(name, "field")
            if name in told:
                self._count(name, "right" if told[name] == value else "wrong")
                if told[name] != value:
                    self.wrong.append(f"{case.number} {name}: {told[name]} instead of {value}")

    def lines(self) -> Iterator[str]:
        of = self.counts
        yield f"| good photographs accepted | {of[GOOD, 'cases'] - of[GOOD, 'refused']} of {of[GOOD, 'cases']} |"
        for group in (HIDDEN, OTHER, SMALL):
            yield (
                f"| {group}: refused / for that reason / without reading | {of[group, 'refused']} / "
                f"{of[group, 'reason']} / {of[group, 'without text']} of {of[group, 'cases']} |"
            )
        yield f"| other: named | {of[OTHER, 'named']} of {of[OTHER, 'cases']} |"
        yield (
            f"| both sides: accepted / other side told / accepted too | "
            f"{of[BOTH, 'cases'] - of[BOTH, 'refused']} / {of[BOTH, 'told']} / {of[BOTH, 'second']} "
            f"of {of[BOTH, 'cases']} |"
        )
        for row in sorted({row for row, what in of if what == "cases" and ":" in row}):
            done = "reason" if row.startswith((HIDDEN, OTHER)) else "refused"
            yield f"| {row}: {done} | {of[row, done]} of {of[row, 'cases']} |"
        for name in dict.fromkeys(row for row, what in of if what == "field"):
            right, wrong = of[name, "right"], of[name, "wrong"]
            yield f"| {name}: offered / right / wrong | {right + wrong} / {right} / {wrong} of {of[name, 'field']} |"
        for what, seconds in self.seconds.items():
            if seconds:
                yield f"| CPU to {what}, s | median {statistics.median(seconds):.2f} |"
        yield from (f"- {line}" for line in self.wrong)
