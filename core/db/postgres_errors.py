"""What an error of PostgreSQL means, judged by its SQLSTATE (PostgreSQL, appendix A)."""

import asyncpg

from core.db.query import DatabaseUnavailable, UniqueViolation

_UNIQUE_VIOLATION = "23505"
_CONFLICTS = frozenset(
    {
        _UNIQUE_VIOLATION,
        "22012",  # division by zero: how a statement says that its guard has failed
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # a lock that was not to be waited for
    }
)
_OUR_OWN = ("0A", "21", "22", "23", "42")
"""Classes of what is wrong with a statement or its values: repeating it would not help."""
_NOT_OUR_OWN = frozenset({"42501", "42P05"})
"""Of these classes, but owed to the rights of a role, or to a pooler."""
_CONNECTION_LOST = ("08", "57P")
"""A read is repeated: after a restart of the server the pool still has connections to the old one."""
_COMMIT_UNKNOWN = (*_CONNECTION_LOST, "40003")
_STATEMENT_LOST = frozenset({"26000", "42P05"})
"""A pooler in transaction mode gave the connection another server, without its prepared statements."""
_READ_ONLY = "25006"


def sqlstate(error: BaseException) -> str:
    """Five characters; empty if the error does not come from the server."""
    state = getattr(_driver_error(error), "sqlstate", None)
    return state if isinstance(state, str) else ""


def is_conflict(error: Exception) -> bool:
    """Whether to try again at once: another transaction, or a change of the tables, came between."""
    return sqlstate(error) in _CONFLICTS or isinstance(error, asyncpg.InvalidCachedStatementError)


def is_our_own(error: Exception) -> bool:
    """Also of these classes, a state that PostgreSQL does not have tells nothing."""
    if isinstance(error, asyncpg.UnknownPostgresError):
        return False
    state = sqlstate(error)
    return state.startswith(_OUR_OWN) and state not in _NOT_OUR_OWN and not is_conflict(error)


def is_lost(error: BaseException) -> bool:
    """Whether the server, or a node behind it, was lost: a read is worth another connection."""
    state = sqlstate(error)
    return state.startswith(_CONNECTION_LOST) if state else _is_of_connection(error)


def ends_connection(error: BaseException) -> bool:
    """Unlike the loss of a node behind the server, which it reports by a mere ERROR."""
    severity = getattr(_driver_error(error), "severity_en", None)
    return severity in ("FATAL", "PANIC") or (severity is None and is_lost(error))


def leaves_unknown(error: BaseException) -> bool:
    """Whether a commit that was sent may have happened: the error is not that of a statement undone."""
    return (
        not sqlstate(error) or sqlstate(error).startswith(_COMMIT_UNKNOWN) or ends_connection(error)
    )


def is_read_only(error: BaseException) -> bool:
    return sqlstate(error) == _READ_ONLY


def is_lost_statement(error: BaseException) -> bool:
    return sqlstate(error) in _STATEMENT_LOST


def translated(error: Exception) -> Exception:
    """Every error that is known neither as a conflict nor as our own: the database is unavailable."""
    if is_conflict(error) or is_our_own(error):
        return error
    return DatabaseUnavailable(reason(error))


def final(error: Exception) -> Exception:
    """What a conflict that outlasted all tries is to the caller; other errors stay as they are."""
    if not isinstance(error, asyncpg.PostgresError) or not is_conflict(error):
        return error
    if sqlstate(error) == _UNIQUE_VIOLATION:
        return UniqueViolation()
    return DatabaseUnavailable(reason(error))


def reason(error: BaseException) -> str:
    """Without the server's message, which may quote values."""
    found = _driver_error(error)
    return f"{type(found).__name__} {sqlstate(found)}".rstrip()


def _driver_error(error: BaseException) -> BaseException:
    return error.__cause__ or error if isinstance(error, DatabaseUnavailable) else error


def _is_of_connection(error: BaseException) -> bool:
    return isinstance(
        _driver_error(error),
        (asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError),
    )
