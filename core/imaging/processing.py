"""What a worker of the studio hands back about a picture."""

from enum import StrEnum


class Verdict(StrEnum):
    ACCEPTED = "ACCEPTED"
    UNREADABLE = "UNREADABLE"
    TOO_MANY_PIXELS = "TOO_MANY_PIXELS"
    TOO_SMALL = "TOO_SMALL"
