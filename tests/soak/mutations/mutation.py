"""One seeded fault: what to replace, by what, and which tests must notice it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """`before` stands exactly once in `file`; `harm` is what would happen if nobody noticed.

    `tests` are what pytest takes: files, or single tests as `file::name`.
    """

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]
    harm: str
