"""The schema's lint, and what breaks clients; each rule with a schema that fails it."""

from pathlib import Path

import pytest
from graphql import build_schema

from tests.schema import schema_lint
from tests.schema.schema_lint import lint, unrecorded

GOOD = '''
"""查询 · Query."""
type Query {
  """卡 · The card."""
  card(
    """卡号 · Its number."""
    number: String!
  ): Card
  """旧卡 · The old one."""
  oldCard: Card @deprecated(reason: "请改用 card · Use card instead, until 2027-06-30.")
}
"""卡 · A card."""
type Card {
  """状态 · Its state."""
  state: CardState!
}
"""卡状态 · State of a card."""
enum CardState {
  """正常 · In use."""
  ACTIVE
}
'''


def test_a_good_schema_has_no_findings() -> None:
    assert list(lint(build_schema(GOOD))) == []


@pytest.mark.parametrize(
    ("good", "bad", "finding"),
    [
        ("  state: CardState!", "  State: CardState!", "Card.State: a field's name is camelCase"),
        ("  state: CardState!", "  cardState: CardState!", "Card.cardState: the name repeats"),
        ("  ACTIVE", "  active", "CardState.active: an enum value's name is UPPER_CASE"),
        ("Card {", "card_type {", "card_type: a type's name is PascalCase"),
        ('  """状态 · Its state."""\n', "", "Card.state: a description is missing"),
        ('    """卡号 · Its number."""\n', "", "Query.card.number: a description is missing"),
        (
            '@deprecated(reason: "请改用 card · Use card instead, until 2027-06-30.")',
            "@deprecated",
            "Query.oldCard: a deprecation says why",
        ),
        (", until 2027-06-30", "", "Query.oldCard: a deprecation names the day"),
        (
            '"""卡 · A card."""',
            '"""孤 · Alone."""\ntype Alone { """一 · One."""\none: Int }\n"""卡 · A card."""',
            "Alone: nothing leads to this type",
        ),
        (
            "number: String!",
            "number: Search",
            "Search: an input type's name ends in Input",
        ),
    ],
)
def test_finds_what_is_wrong(good: str, bad: str, finding: str) -> None:
    sdl = GOOD.replace(good, bad)
    if "card_type" in sdl:
        sdl = sdl.replace(": Card\n", ": card_type\n").replace(": Card @", ": card_type @")
    if "Search" in sdl:
        sdl += '"""查 · Search."""\ninput Search { """一 · One."""\none: Int }'
    assert sdl != GOOD

    assert any(found.startswith(finding) for found in lint(build_schema(sdl)))


def test_the_published_schema_has_no_findings() -> None:
    assert list(lint(build_schema(schema_lint.CURRENT.read_text("utf-8")))) == []


# --- breaking changes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("released", "current"),
    [
        ("  state: CardState!", "  name: String"),
        ("number: String!", "number: String!, issuer: String!"),
        ("  ACTIVE", "  ACTIVE_NOW"),
        ("  state: CardState!", "  state: CardState"),
        ("  state: CardState!", "  state: String!"),
    ],
)
def test_what_breaks_clients_must_be_recorded(released: str, current: str) -> None:
    old, new = build_schema(GOOD), build_schema(GOOD.replace(released, current))

    found = unrecorded(old, new, "")

    assert len(found) >= 1
    record = "".join(f"| 2026-11-24 | {change.description} | … |\n" for change in found)
    assert unrecorded(old, new, record) == []


def test_what_is_added_breaks_nobody() -> None:
    """The control: not every change is a finding."""
    more = '  """名 · Its name."""\n  name: String\n  """状态 · Its state."""\n  state: CardState!'
    new = build_schema(GOOD.replace('  """状态 · Its state."""\n  state: CardState!', more))

    assert unrecorded(build_schema(GOOD), new, "") == []


def test_the_check_fails_for_a_field_that_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    current = schema_lint.CURRENT.read_text("utf-8")
    changed = tmp_path / "schema.graphql"
    changed.write_text(current.replace("  bound: Boolean!", "  known: Boolean!"), "utf-8")
    monkeypatch.setattr(schema_lint, "CURRENT", changed)

    with pytest.raises(SystemExit) as stopped:
        schema_lint.main()

    assert stopped.value.code == 1
    assert "breaks clients: Field Viewer.bound was removed." in capsys.readouterr().err
