"""Figures of the review of photographs whose truth is known."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.imaging import CheckCode, Geometry, ProcessedPortrait, Verdict
from tests.portraits.truth import Photograph

_Z = 1.959964
"""Of the normal distribution, for 95 %."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`seconds` of processor time."""

    photograph: Photograph
    found: ProcessedPortrait = field(repr=False)
    seconds: float = 0.0

    @property
    def failed(self) -> tuple[str, ...]:
        """The failed checks, in the order in which the API gives them, or why it was not decoded."""
        if self.found.verdict is not Verdict.ACCEPTED:
            return (self.found.verdict.value,)
        return tuple(check.code.value for check in self.found.checks if not check.passed)

    @property
    def is_accepted(self) -> bool:
        return self.found.accepted

    @property
    def is_first_right(self) -> bool:
        return bool(self.failed) and self.failed[0] in self.photograph.faults

    @property
    def is_among_right(self) -> bool:
        return not set(self.failed).isdisjoint(self.photograph.faults)

    @property
    def is_wrong(self) -> bool:
        """A good one refused, or a bad one accepted or told something else first."""
        return not (self.is_accepted if self.photograph.is_good else self.is_first_right)


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many, with the 95 % interval of Wilson's score."""

    count: int
    total: int

    @property
    def value(self) -> float:
        return self.count / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        if not self.total:
            return 0.0, 1.0
        n, p = self.total, self.value
        middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        reach = _Z / (1 + _Z**2 / n) * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
        return max(0.0, middle - reach), min(1.0, middle + reach)

    def __str__(self) -> str:
        if not self.total:
            return "none"
        low, high = self.interval
        return f"{self.count} of {self.total}, {100 * self.value:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)"


@dataclass(frozen=True, slots=True)
class CheckScore:
    """`on_good` is how often the check failed on good portraits."""

    code: CheckCode
    precision: Share
    recall: Share
    on_good: int


def score(code: CheckCode, outcomes: Sequence[Outcome]) -> CheckScore:
    found = [outcome for outcome in outcomes if code in outcome.failed]
    true = [outcome for outcome in outcomes if code in outcome.photograph.faults]
    right = sum(code in outcome.photograph.faults for outcome in found)
    on_good = sum(outcome.photograph.is_good for outcome in found)
    return CheckScore(code, Share(right, len(found)), Share(right, len(true)), on_good)


def accepted_of_good(outcomes: Sequence[Outcome]) -> Share:
    good = [outcome for outcome in outcomes if outcome.photograph.is_good]
    return Share(sum(outcome.is_accepted for outcome in good), len(good))


def bad(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if not outcome.photograph.is_good]


def by_group(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str, Share]]:
    """Column, value and the acceptance of the good ones in it."""
    for column in outcomes[0].photograph.groups:
        values = sorted({outcome.photograph.groups[column] for outcome in outcomes})
        for value in values:
            group = [one for one in outcomes if one.photograph.groups[column] == value]
            yield column, value, accepted_of_good(group)


def geometry(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[float]]]:
    """Each measure of the accepted pictures: least, 5th, 50th and 95th percentile, and most."""
    found = [one.found.geometry for one in outcomes if one.is_accepted and one.found.geometry]
    for name in (entry.name for entry in dataclasses.fields(Geometry)):
        values = [float(getattr(one, name)) for one in found if getattr(one, name) is not None]
        if values:
            yield name, [float(value) for value in np.percentile(values, [0, 5, 50, 95, 100])]


def report(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield f"{'check':<24}{'true':>5}{'found':>6}{'right':>6}{'precision':>11}{'recall':>8}{'on good':>9}"
    for scored in (score(code, outcomes) for code in CheckCode):
        yield (
            f"{scored.code:<24}{scored.recall.total:>5}{scored.precision.total:>6}{scored.recall.count:>6}"
            f"{_plain(scored.precision):>11}{_plain(scored.recall):>8}{scored.on_good:>9}"
        )
    refused = bad(outcomes)
    yield ""
    yield f"good ones accepted at the first try: {accepted_of_good(outcomes)}"
    yield f"bad ones refused: {Share(sum(not one.is_accepted for one in refused), len(refused))}"
    yield f"  with a true reason first: {Share(sum(one.is_first_right for one in refused), len(refused))}"
    yield f"  with one among the reasons: {Share(sum(one.is_among_right for one in refused), len(refused))}"
    yield ""
    yield "good ones accepted, by group"
    for column, value, share in by_group(outcomes):
        yield f"  {column} = {value or '(empty)'}: {share}"
    yield ""
    yield f"{'accepted pictures, px':<24}{'least':>7}{'5 %':>7}{'median':>8}{'95 %':>7}{'most':>7}"
    for name, (least, low, middle, high, most) in geometry(outcomes):
        yield f"{name:<24}{least:>7.0f}{low:>7.0f}{middle:>8.0f}{high:>7.0f}{most:>7.0f}"
    yield ""
    seconds = [1_000 * one.seconds for one in outcomes]
    yield (
        f"processor time a picture: mean {np.mean(seconds):.0f} ms, median {np.median(seconds):.0f} ms,"
        f" 95th percentile {np.percentile(seconds, 95):.0f} ms"
    )
    yield ""
    yield f"wrong: {sum(one.is_wrong for one in outcomes)} of {len(outcomes)}"
    for one in outcomes:
        if one.is_wrong:
            yield (
                f"  {one.photograph.name}: {said(one)}; true: {';'.join(one.photograph.faults) or 'good'}"
            )


def said(outcome: Outcome) -> str:
    """What was found, with the measured values."""
    if outcome.found.verdict is not Verdict.ACCEPTED:
        return outcome.found.verdict.value
    failed = [f"{one.code} {one.measured:g}" for one in outcome.found.checks if not one.passed]
    return ", ".join(failed) or "accepted"


def _plain(share: Share) -> str:
    return f"{share.value:.3f}" if share.total else "-"
