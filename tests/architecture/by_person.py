"""What is wrong with a statement whose tables are split by person.

A table is split by the first column of its primary key. `complaints` reads a statement as
SQLAlchemy built it, never its text, and looks at each SELECT in it by itself: a server with many
nodes sends each to one of them only if it names its subject by a parameter.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import getitem
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import (
    CTE,
    BindParameter,
    Cast,
    CompoundSelect,
    Delete,
    FromClause,
    Function,
    Insert,
    Join,
    Label,
    Lateral,
    Select,
    Subquery,
    Table,
    TextClause,
    Tuple,
    Update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement, operators
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList, Grouping, Over
from sqlalchemy.sql.selectable import Alias, ScalarSelect, SelectBase

from core.crypto import MAX_KEYS
from core.db import Query

SUBJECT = "subject_id"


class Rule(StrEnum):
    NAMES_NOBODY = "goes everywhere: no subject or key is named"
    LOCKS_MANY = "locks rows of many subjects"
    SETS_WHAT_IT_READS = "sets what it reads from another table"
    MOVES = "sets the subject of a row that is there"
    SUBSCRIPT = "takes an element of an array"
    READS_ANOTHER_PART = "reads what another part of the statement writes"
    NOT_TOGETHER = "joins tables that are split by different columns"
    LATERAL = "reads a LATERAL"
    INSERTS_A_SET = "inserts rows that no node has by itself"
    PART_OF_KEY = "changes rows by a part of their key"
    ADVISORY_LOCK = "takes an advisory lock"
    TEXT = "is a text, and cannot be read"


class Complaint(NamedTuple):
    rule: Rule
    what: str

    def __str__(self) -> str:
        return f"{self.what} {self.rule}"


Statement: TypeAlias = SelectBase | Insert | Update | Delete | TextClause
_DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_DATA = re.compile(r"\b(select|insert|update|delete|merge)\b", re.IGNORECASE)
_STATEMENTS = (SelectBase, Insert, Update, Delete)
Columns: TypeAlias = frozenset[str]


def split_column(table: Table) -> str:
    """The column whose value decides where a row lies."""
    return next(iter(table.primary_key.columns)).name


def is_of_persons(table: FromClause | None) -> bool:
    return isinstance(table, Table) and split_column(table) == SUBJECT


def complaints_of(query: Query) -> list[Complaint]:
    return complaints(query.statement(_DIALECT))


def complaints(statement: Any) -> list[Complaint]:
    """Everything that is wrong with a statement, each thing once."""
    if isinstance(statement, TextClause):
        found = list(_of_text(statement))
    elif isinstance(statement, _STATEMENTS):
        found = [*_Reading().read(statement), *_between_parts(statement), *_everywhere(statement)]
    else:
        found = []
    return list(dict.fromkeys(found))


def reads_and_writes(statement: Any) -> tuple[set[str], set[str]]:
    """The names of the tables that a statement reads and writes, other than in a part that writes.

    A table that is updated or deleted from is read too.
    """
    reads, writes = set(), set()
    for element in _within(statement, enter_parts=False):
        if isinstance(element, Insert | Update | Delete) and isinstance(element.table, Table):
            writes.add(element.table.name)
    inserted = statement.table if isinstance(statement, Insert) else None
    for element in _within(statement, enter_parts=False):
        if isinstance(element, Table) and element is not inserted:
            reads.add(element.name)
        elif isinstance(element, Select):
            reads |= {leaf.table.name for leaf in _leaves(element) if leaf.table is not None}
    return reads, writes


# --- tables of a SELECT ---------------------------------------------------------------------


class _Leaf(NamedTuple):
    """A table, or what stands for one, and where in the joins it stands."""

    clause: FromClause

    @property
    def table(self) -> Table | None:
        clause = self.clause
        while isinstance(clause, Alias):
            clause = clause.element
        return clause if isinstance(clause, Table) else None


@dataclass
class _Equalities:
    """Which columns are equal to a parameter. `ON` of an outer join says so of its right side only."""

    named: set[Any] = field(default_factory=set)
    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    """(a, b): b is equal to a wherever a row of b's table stands."""
    among: set[Any] = field(default_factory=set)
    """Columns that are one of a few parameters: the indexes of one value under each key in use."""

    def add(self, condition: Any, only: set[FromClause] | None = None) -> None:
        for one, other in _equal_sides(condition):
            for left, right in ((one, other), (other, one)):
                if not _is_column(right) or (only is not None and right.table not in only):
                    continue
                if _is_parameter(left):
                    self.named.add(right)
                elif _is_column(left):
                    self.pairs.append((left, right))

        self.among |= {
            one.left
            for one in _conjuncts(condition)
            if one.operator is operators.in_op and _are_few_parameters(one.right)
        }

    def close(self) -> None:
        while more := {b for a, b in self.pairs if a in self.named} - self.named:
            self.named |= more


def _equal_sides(condition: Any) -> Iterator[tuple[Any, Any]]:
    for one in _conjuncts(condition):
        if one.operator is operators.eq:
            yield one.left, one.right


def _conjuncts(condition: Any) -> Iterator[BinaryExpression[Any]]:
    """The comparisons of which every row must fulfil each."""
    if isinstance(condition, Grouping):
        yield from _conjuncts(condition.element)
    elif isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
        for clause in condition.clauses:
            yield from _conjuncts(clause)
    elif isinstance(condition, BinaryExpression):
        yield condition


def _are_few_parameters(element: Any) -> bool:
    while isinstance(element, Grouping):
        element = element.element
    elements = list(getattr(element, "clauses", ()))
    return 0 < len(elements) <= MAX_KEYS and all(map(_is_parameter, elements))


def _is_parameter(element: Any) -> bool:
    while isinstance(element, Cast | Grouping):
        element = element.clause if isinstance(element, Cast) else element.element
    return isinstance(element, BindParameter)


def _is_column(element: Any) -> bool:
    return isinstance(getattr(element, "table", None), FromClause)


def _froms(select: Select[Any]) -> list[FromClause]:
    """As `get_final_froms`, which compiles for no dialect and stumbles over functions of our own."""
    compiler = _DIALECT.statement_compiler(_DIALECT, None)
    state: Any = select._compile_state_factory(select, compiler)
    return list(state._get_display_froms())


def _leaves(select: Select[Any]) -> list[_Leaf]:
    return [leaf for clause in _froms(select) for leaf in _leaves_of(clause)]


def _leaves_of(clause: FromClause) -> Iterator[_Leaf]:
    if isinstance(clause, Join):
        yield from _leaves_of(clause.left)
        yield from _leaves_of(clause.right)
    else:
        yield _Leaf(clause)


def _columns_outside(leaf: _Leaf) -> set[Any]:
    """The columns of a derived table that its SELECT names."""
    clause = leaf.clause
    if not _is_transparent(clause):
        return set()
    named = _named(clause.element)  # type: ignore[attr-defined]
    return {outside for outside, inside in _columns_through(clause) if inside in named}


def _columns_inside(clause: FromClause, named: set[Any]) -> frozenset[Any]:
    """The columns inside of a derived table that are named around it."""
    if not _is_transparent(clause):
        return frozenset()
    return frozenset(inside for outside, inside in _columns_through(clause) if outside in named)


def _is_transparent(clause: FromClause) -> bool:
    """Whether a condition around a derived table is the same as one in it."""
    select = clause.element if isinstance(clause, Subquery) else None
    if not isinstance(select, Select) or select._distinct:
        return False
    clauses = (select._limit_clause, select._offset_clause, *select._group_by_clauses)
    return all(one is None for one in (*clauses, *select._having_criteria)) and not any(
        isinstance(one, Over) for column in select.selected_columns for one in _within(column)
    )


def _columns_through(clause: Any) -> Iterator[tuple[Any, Any]]:
    for outside, column in zip(clause.columns, clause.element.selected_columns, strict=True):
        yield outside, column.element if isinstance(column, Label) else column


def _add_joins(equalities: _Equalities, clause: FromClause) -> None:
    if not isinstance(clause, Join):
        return
    _add_joins(equalities, clause.left)
    _add_joins(equalities, clause.right)
    if clause.full:
        return
    right = {leaf.clause for leaf in _leaves_of(clause.right)}
    equalities.add(clause.onclause, only=right if clause.isouter else None)


# --- one statement and what is in it --------------------------------------------------------


class _Reading:
    """Reads a statement from the outside inwards."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        """CTEs are named more than once."""

    def read(
        self,
        statement: Any,
        outer: frozenset[FromClause] = frozenset(),
        named: frozenset[Any] = frozenset(),
    ) -> Iterator[Complaint]:
        """`outer` are the tables around a sub-select, `named` columns that are named around it."""
        if isinstance(statement, CompoundSelect):
            for select in statement.selects:
                yield from self.read(select, outer)
        elif isinstance(statement, Select):
            yield from self._select(statement, outer, named)
        elif isinstance(statement, Insert):
            yield from self._insert(statement)
        elif isinstance(statement, Update | Delete):
            yield from self._change(statement)
        elif isinstance(statement, SelectBase):
            yield from self._inner(statement, outer)

    def _select(
        self, select: Select[Any], outer: frozenset[FromClause], named: frozenset[Any]
    ) -> Iterator[Complaint]:
        clauses = _own_clauses(select, outer)
        leaves = [leaf for clause in clauses for leaf in _leaves_of(clause)]
        equalities = _Equalities(set(named))
        equalities.add(select.whereclause)
        for clause in clauses:
            _add_joins(equalities, clause)
        for leaf in leaves:
            equalities.named |= _columns_outside(leaf)
        unnamed = list(self._unnamed(leaves, equalities))
        yield from unnamed
        derived = [leaf.clause for leaf in leaves if isinstance(leaf.clause, Subquery | CTE)]
        inside = {id(one.element): _columns_inside(one, equalities.named) for one in derived}
        if select._for_update_arg is not None and (unnamed or _reads_unnamed(derived, inside)):
            yield Complaint(Rule.LOCKS_MANY, _names(leaves))
        yield from _not_together(select)
        yield from self._inner(select, outer | {leaf.clause for leaf in leaves}, leaves, inside)

    def _unnamed(self, leaves: Iterable[_Leaf], equalities: _Equalities) -> Iterator[Complaint]:
        equalities.close()
        for leaf in leaves:
            if leaf.table is None:
                continue
            column = leaf.clause.c[split_column(leaf.table)]
            few = set() if is_of_persons(leaf.table) else equalities.among
            if column not in equalities.named | few:
                yield Complaint(Rule.NAMES_NOBODY, leaf.clause.name)  # type: ignore[attr-defined]

    def _change(self, change: Update | Delete) -> Iterator[Complaint]:
        table = change.table
        assert isinstance(table, Table)
        leaves = [_Leaf(clause) for clause in {table, *_tables_of(change.whereclause)}]
        equalities = _Equalities()
        equalities.add(change.whereclause)
        unnamed = list(self._unnamed(leaves, equalities))
        yield from unnamed
        if unnamed:
            yield from _by_part_of_key(table, change.whereclause)
        if isinstance(change, Update):
            yield from _set(table, dict(_assigned(change)))
        yield from _not_together(change)
        yield from self._inner(change, frozenset(leaf.clause for leaf in leaves))

    def _insert(self, insert: Insert) -> Iterator[Complaint]:
        table = insert.table
        assert isinstance(table, Table)
        if insert.select is not None:
            yield from _insert_of_select(table, insert)
        else:
            split = split_column(table)
            for row in _rows(insert):
                yield from _set(table, {name: row[name] for name in row if name != split})
                if row and not _is_parameter_or_value(row.get(split)):
                    yield Complaint(Rule.NAMES_NOBODY, table.name)
        yield from _set(table, _on_conflict(insert), "excluded")
        yield from self._inner(insert, frozenset())

    def _inner(
        self,
        statement: Any,
        outer: frozenset[FromClause],
        leaves: Iterable[_Leaf] = (),
        named: Mapping[int, frozenset[Any]] = {},
    ) -> Iterator[Complaint]:
        elements = [*statement.get_children(), *(leaf.clause for leaf in leaves)]
        for found, sees_outer in _next_statements(elements):
            if id(found) not in self._seen:
                self._seen.add(id(found))
                around = outer if sees_outer else frozenset()
                yield from self.read(found, around, named.get(id(found), frozenset()))


def _own_clauses(select: Select[Any], outer: frozenset[FromClause]) -> list[FromClause]:
    """What stands in the SELECT's own FROM: as SQLAlchemy does, without the tables around it."""
    clauses = _froms(select)
    return [clause for clause in clauses if clause not in outer] or clauses


def _next_statements(elements: Iterable[Any]) -> Iterator[tuple[Any, bool]]:
    """The statements directly below, and whether each sees the tables around it."""
    for element in elements:
        if isinstance(element, Subquery | CTE | Lateral):
            yield element.element, isinstance(element, Lateral)
        elif isinstance(element, _STATEMENTS) and not isinstance(element, ScalarSelect):
            yield element, True
        elif isinstance(element, ClauseElement):
            yield from _next_statements(element.get_children())


def _within(statement: Any, enter_parts: bool = True) -> Iterator[Any]:
    """Every element of a statement. Parts are CTEs that write."""
    seen: set[int] = set()
    waiting = [statement]
    while waiting:
        element = waiting.pop()
        if id(element) in seen or not isinstance(element, ClauseElement):
            continue
        seen.add(id(element))
        yield element
        waiting += _below(element, enter_parts)


def _below(element: Any, enter_parts: bool) -> list[Any]:
    if isinstance(element, Subquery | CTE | Lateral):
        is_part = isinstance(element.element, Insert | Update | Delete)
        return [element.element] if enter_parts or not is_part else []
    below = list(element.get_children())
    if isinstance(element, Select):
        below += _froms(element)
    if isinstance(element, Insert):
        below += [value for row in _rows(element) for value in row.values()]
        below += _on_conflict(element).values()
    return below


def _tables_of(condition: Any) -> set[FromClause]:
    """The tables whose columns a condition names outside of its sub-selects."""
    if condition is None or isinstance(condition, SelectBase):
        return set()
    if _is_column(condition):
        return {condition.table}
    return {table for child in condition.get_children() for table in _tables_of(child)}


def _names(leaves: Iterable[_Leaf]) -> str:
    return ", ".join(str(getattr(leaf.clause, "name", leaf.clause)) for leaf in leaves)


# --- the rules ------------------------------------------------------------------------------


def _reads_unnamed(derived: Iterable[Subquery | CTE], named: Mapping[int, frozenset[Any]]) -> bool:
    """Whether a sub-select in FROM reads rows of many subjects, which a lock would reach."""
    return any(
        one.rule is Rule.NAMES_NOBODY
        for table in derived
        for one in _Reading().read(table.element, named=named[id(table.element)])
    )


def _not_together(statement: Any) -> Iterator[Complaint]:
    tables: dict[str, str] = {}
    for element in _within(statement, enter_parts=False):
        if isinstance(element, Table):
            tables.setdefault(split_column(element), element.name)
        elif isinstance(element, Select):
            for leaf in _leaves(element):
                if leaf.table is not None:
                    tables.setdefault(split_column(leaf.table), leaf.table.name)
    if len(tables) > 1:
        yield Complaint(Rule.NOT_TOGETHER, ", ".join(sorted(tables.values())))


def _by_part_of_key(table: Table, condition: Any) -> Iterator[Complaint]:
    key = {column.name for column in table.primary_key}
    for element in _within(condition):
        if isinstance(element, BinaryExpression) and element.operator is operators.in_op:
            left = element.left
            columns = left.clauses if isinstance(left, Tuple) else [left]
            names = {column.name for column in columns if _is_column(column)}
            if SUBJECT in names and not key <= names:
                yield Complaint(Rule.PART_OF_KEY, table.name)


def _assigned(change: Update) -> Iterator[tuple[Any, Any]]:
    yield from (change._values or {}).items()


def _set(table: Table, values: Mapping[Any, Any], also: str = "") -> Iterator[Complaint]:
    for column, value in values.items():
        if getattr(column, "name", column) == split_column(table):
            yield Complaint(Rule.MOVES, table.name)
        for element in _within(value):
            if isinstance(element, SelectBase) or (
                _is_column(element)
                and element.table is not table
                and getattr(element.table, "name", None) != also
            ):
                yield Complaint(Rule.SETS_WHAT_IT_READS, table.name)


def _rows(insert: Insert) -> Iterator[Mapping[str, Any]]:
    """The values by column name; none at all stand for a parameter in every column."""
    rows: list[Any] = [row for some in insert._multi_values for row in some]
    for row in rows or [insert._values or {}]:
        yield {getattr(column, "name", column): value for column, value in row.items()}


def _on_conflict(insert: Insert) -> dict[Any, Any]:
    """What `ON CONFLICT DO UPDATE` sets."""
    return dict(getattr(insert._post_values_clause, "update_values_to_set", {}))


def _is_parameter_or_value(value: Any) -> bool:
    return isinstance(value, int) or _is_parameter(value)


def _insert_of_select(table: Table, insert: Insert) -> Iterator[Complaint]:
    """Only if the subject is a column of the SELECT's own tables does a node insert by itself.

    Otherwise the rows are fetched and sent, and a key that is taken is no unique violation.
    """
    select = insert.select
    if not isinstance(select, Select):
        yield Complaint(Rule.TEXT, table.name)
    elif is_of_persons(table):
        value = _value_of_subject(select, insert._select_names or [])
        if value is None or not (_is_parameter(value) or value in _named(select)):
            yield Complaint(Rule.NAMES_NOBODY, table.name)
        elif not (_is_column(value) and is_of_persons(_Leaf(value.table).table)):
            yield Complaint(Rule.INSERTS_A_SET, table.name)


def _value_of_subject(select: Select[Any], names: list[str]) -> Any:
    if SUBJECT not in names:
        return None
    value = list(select.selected_columns)[names.index(SUBJECT)]
    return value.element if isinstance(value, Label) else value


def _named(select: Select[Any]) -> set[Any]:
    """The columns that are equal to a parameter."""
    equalities = _Equalities()
    equalities.add(select.whereclause)
    for clause in _froms(select):
        _add_joins(equalities, clause)
    equalities.close()
    return equalities.named


def _between_parts(statement: Any) -> Iterator[Complaint]:
    """Parts run one after the other on one server and all at once on another."""
    parts = [statement]
    for element in _within(statement):
        if isinstance(element, CTE) and isinstance(element.element, Insert | Update | Delete):
            parts.append(element.element)
    yield from _strictly_between(parts)


def _strictly_between(parts: Iterable[Any]) -> Iterator[Complaint]:
    known = [reads_and_writes(part) for part in parts]
    for number, (reads, _) in enumerate(known):
        for other, (_, writes) in enumerate(known):
            if number != other:
                for name in sorted(reads & writes):
                    yield Complaint(Rule.READS_ANOTHER_PART, name)


class Part(NamedTuple):
    """One of the writes that are sent together, in order."""

    statement: Any
    values: Mapping[str, Any]


def between(parts: Iterable[Part]) -> list[Complaint]:
    """Where a part reads what one before it writes: a row of another key is none of that."""
    found, before = [], list[tuple[Part, set[str]]]()
    for part in parts:
        reads, writes = reads_and_writes(part.statement)
        for earlier, written in before:
            found += [
                Complaint(Rule.READS_ANOTHER_PART, name)
                for name in sorted(reads & written)
                if not _are_apart(earlier, part, name)
            ]
        before.append((part, writes))
    return list(dict.fromkeys(found))


def _are_apart(one: Part, other: Part, table: str) -> bool:
    """Whether both name a whole key, and not the same."""
    keys = [_key_of(part, table) for part in (one, other)]
    return None not in keys and keys[0] != keys[1]


def _key_of(part: Part, table: str) -> tuple[Any, ...] | None:
    statement = part.statement
    if statement.table.name != table:
        return None
    if isinstance(statement, Insert):
        given = next(iter(_rows(statement))) or dict.fromkeys(statement.table.c.keys())
    else:
        sides = _equal_sides(statement.whereclause)
        given = {left.name: right for left, right in sides if _is_column(left)}
    names = [column.name for column in statement.table.primary_key]
    if not all(name in given for name in names):
        return None
    return tuple(_value_of(given[name], name, part.values) for name in names)


def _value_of(given: Any, name: str, values: Mapping[str, Any]) -> Any:
    """A column without a value is a parameter of its own name."""
    if isinstance(given, BindParameter):
        return values.get(given.key, given.value)
    return values.get(name) if given is None else given


def _everywhere(statement: Any) -> Iterator[Complaint]:
    for element in _within(statement):
        if isinstance(element, Lateral):
            yield Complaint(Rule.LATERAL, str(element.name))
        elif isinstance(element, Function) and "advisory" in element.name:
            yield Complaint(Rule.ADVISORY_LOCK, element.name)
        elif isinstance(element, TextClause):
            yield from _of_text(element)
    for element in _within(statement):
        if isinstance(element, Update | Insert):
            for value in _values_of(element):
                yield from _subscripts(element.table.name, value)  # type: ignore[union-attr]


def _values_of(change: Update | Insert) -> Iterator[Any]:
    if isinstance(change, Update):
        yield from (value for _, value in _assigned(change))
        return
    yield from (value for row in _rows(change) for value in row.values())
    yield from _on_conflict(change).values()
    if change.select is not None:
        yield from change.select.selected_columns


def _subscripts(name: str, value: Any) -> Iterator[Complaint]:
    for element in _within(value):
        if (isinstance(element, BinaryExpression) and element.operator is getitem) or (
            isinstance(element, TextClause) and "[" in element.text
        ):
            yield Complaint(Rule.SUBSCRIPT, name)


def _of_text(text: TextClause) -> Iterator[Complaint]:
    if _DATA.search(text.text):
        yield Complaint(Rule.TEXT, " ".join(text.text.split())[:40])
