"""Names that were given up do not come back: one word names one thing (docs/glossary.md)."""

import io
import keyword
import re
import subprocess
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from core.kernel.settings import Settings
from core.migrations.tables import metadata

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"

NAMES: Mapping[str, str] = {
    "_apart": "_in_thread",
    "_fly": "_deliver_task",
    "_full_at": "_tat",
    "_hop": "_start_batch",
    "_unexplained": "_as_refusal",
    "AuditKeeper": "AccessLogWriter",
    "CLAIM_LASTS": "LEASE",
    "CLOCKS_DIFFER": "CLOCK_SKEW",
    "ChannelDoor": "ChannelServicePort",
    "Chore": "JobContext",
    "Door": "ServicePort",
    "Effect": "OutboxMessage",
    "Errand": "Preparation",
    "Expected": "Prefetch",
    "FLIGHTS": "CONCURRENCY",
    "FastLane": "FastPath",
    "FirstAnswerOf": "code_exchanges",
    "Flights": "SingleFlight",
    "Foreseen": "PrefetchedReader",
    "FrontDoor": "Edge",
    "KeptEvent": "StoredEvent",
    "LaneProtocol": "FastPathProtocol",
    "Note": "AuditRecord",
    "NothingDone": "SafeToRetry",
    "OrderTold": "OrderProjection",
    "Patience": "Connections",
    "PictureTrouble": "ProcessingFailed",
    "Scales": "ComplexityAnalyzer",
    "ShownCard": "CardSummary",
    "SignInAnswer": "code_exchanges",
    "Slot": "Completer, RequestSlot: of what",
    "Studio": "IsolatedPool",
    "Tools": "Dependencies",
    "Where": "Path",
    "account_of": "identify_sender",
    "any_of": "in_batch",
    "arrivals": "prefetch",
    "asks_for_a_page": "wants_html",
    "audit_views": "access_log",
    "be_patient": "schedule_second_reader",
    "checks_off": "mutations",
    "crossing_headers": "cors_headers",
    "entrance": "authorization_url",
    "fetch_any": "fetch_in",
    "first_answers": "code_exchanges",
    "front_door": "edge",
    "give_back": "restore",
    "help_out": "start_second_reader",
    "is_sealed_anew": "is_current_key",
    "issuer_folds": "projections",
    "issuer_log": "event_store",
    "lies_ahead_of": "is_in_future_of",
    "most_connections": "max_connections",
    "must_be_possible": "check_eligibility",
    "must_be_sent_on_purpose": "require_csrf_safe_request",
    "of_day": "list_day",
    "rivals": "baselines",
    "save_told": "save_projection",
    "say_goodbye": "disable_keep_alive",
    "schema_care": "schema_lint",
    "shown_card": "card_summary",
    "sign_in_answers": "code_exchanges",
    "take_patiently": "handle_with_retries",
    "tell_order": "project_order",
    "tell_the_others": "mark_superseded_events",
    "uncounted": "without_counting",
    "used_code": "code_already_used_error",
    "whole_way": "asgi_path",
    "whose_loss_lapsed": "find_expired_losses",
    "why_not": "eligibility",
    "with_theirs": "join_holder_tables",
    "wrong_state_for": "wrong_state_refusal",
}
"""What not to call a thing, and the word to use."""

PARTS: Mapping[str, str] = {
    "anew": "re-encrypted, again",
    "chore": "job",
    "errand": "preparation",
    "keeper": "writer",
    "least": "MIN",
    "most": "MAX",
    "museum": "fixture",
    "orphans": "garbage collection",
    "racers": "concurrency",
    "studio": "isolated pool",
    "upkeep": "maintenance",
    "zoo": "fixture",
}
"""The same for one word of a name in capitals (`MOST`, `LEAST`), or of any name (the others)."""
_CONSTANTS = {"least", "most"}

ONLY_IN: Mapping[str, tuple[str, str]] = {
    "core/messaging/park": ("core/messaging", "dead-letter"),
    "core/unit_of_work/known": ("core/unit_of_work", "require_citizen_id"),
    "core/audit/looks": ("core/audit", "access_log"),
    "core/audit/mark": ("core/audit", "mac"),
    "core/audit/nobody": ("core/audit", "actor"),
    "core/crypto/mark": ("core/crypto", "mac"),
    "gateway/channels/genuine": ("gateway/channels", "verify_callback_signature"),
    "gateway/http/judge": ("gateway/http", "measure"),
    "gateway/http/owed": ("gateway/http", "debt"),
}
"""Words that are right elsewhere: `folder/word`."""


class Found(NamedTuple):
    name: str
    where: str


@cache
def names_in_the_tree() -> list[Found]:
    files = tracked()
    found = [Found(Path(part).stem, file) for file in files for part in Path(file).parts]
    for file in files:
        if file.endswith(".py"):
            text = (ROOT / file).read_text("utf-8")
            found += [Found(name, f"{file}:{line}") for name, line in identifiers(text)]
            found += [Found(event, file) for event in logged(text)]
    for table in metadata.tables.values():
        found += [
            Found(name, f"table {table.name}") for name in (table.name, *table.columns.keys())
        ]
    found += [Found(name, "a setting") for name in Settings.__dataclass_fields__]
    return found


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    own = str(Path(__file__).relative_to(ROOT))
    return [file for file in listed.stdout.splitlines() if file != own and (ROOT / file).is_file()]


def identifiers(text: str) -> Iterator[tuple[str, int]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
            yield token.string, token.start[0]


def logged(text: str) -> list[str]:
    """The parts of the events that a module logs: `outbox.delivered`."""
    events = re.findall(r'\blog\.\w+\(\s*"([\w.]+)"', text)
    return [part for event in events for part in event.split(".")]


def words_of(name: str) -> list[str]:
    """`_newCard_of` → new, card, of."""
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)


def instead_of(found: Found) -> str | None:
    """The word to use for a name that was given up."""
    name = found.name.lstrip("_")
    if word := NAMES.get(found.name) or NAMES.get(name):
        return word
    for word in words_of(name):
        if word.lower() in PARTS and (word.lower() not in _CONSTANTS or word.isupper()):
            return PARTS[word.lower()]
    for key, (folder, word) in ONLY_IN.items():
        if key == f"{folder}/{name}" and found.where.startswith(f"{folder}/"):
            return word
    return None


def given_up(names: Iterable[Found]) -> list[str]:
    return [
        f"{found.where}: `{found.name}`: say `{word}`"
        for found in names
        if (word := instead_of(found)) is not None
    ]


def test_no_name_that_was_given_up_comes_back() -> None:
    assert given_up(names_in_the_tree()) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("class KeptEvent: ...", "StoredEvent"),
        ("def _hop(self): ...", "_start_batch"),
        ("MOST_TRIES = 3", "MAX"),
        ("settings.most_connections", "max_connections"),
        ("from core import upkeep_jobs", "maintenance"),
    ],
)
def test_a_name_that_was_given_up_is_found_with_the_word_to_use(text: str, word: str) -> None:
    """The control."""
    names = [Found(name, f"a.py:{line}") for name, line in identifiers(text)]

    (message,) = given_up(names)

    assert message.endswith(f"say `{word}`")


def test_names_that_only_look_alike_are_left_alone() -> None:
    text = "counter.most_common()\nimport shop\nwhere = 'museum'\nat_least = 1\nslots = 2\n"

    assert given_up(Found(name, f"a.py:{line}") for name, line in identifiers(text)) == []


def glossary_names(page: str) -> Iterator[str]:
    """What stands in backticks in the column "in the code"."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4:
            yield from re.findall("`([^`]+)`", cells[2])


def exists(name: str) -> bool:
    if "/" in name:
        return (ROOT / name).exists()
    if name.startswith("--"):
        return any(f'"{name}"' in text for text in texts().values())
    return all(
        re.search(rf"\b{re.escape(part)}\b", everything()) for part in re.split(r"[. ]", name)
    )


@cache
def texts() -> dict[str, str]:
    kinds = (".py", ".graphql")
    return {file: (ROOT / file).read_text("utf-8") for file in tracked() if file.endswith(kinds)}


@cache
def everything() -> str:
    return "\n".join(texts().values())


def test_every_name_in_the_glossary_exists() -> None:
    names = list(glossary_names(GLOSSARY.read_text("utf-8")))

    assert len(names) > 80
    assert [name for name in names if not exists(name)] == []


def test_a_name_that_does_not_exist_is_found() -> None:
    """The control."""
    row = "| 社保卡 | card | `" + "Plastic" + "Card` (`core/" + "plastic/`) | The card. |"

    assert [name for name in glossary_names(row) if exists(name)] == []
    assert len(list(glossary_names(row))) == 2
