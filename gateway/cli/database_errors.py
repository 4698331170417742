"""What an error of the database means to an operator: one line, without values and passwords."""

from core.db import DatabaseUnavailable, reason, sqlstate
from core.kernel.settings import variable

_OTHER_TABLES = ("42P01", "42P07", "42701", "42703")
"""A table or column that is missing, or there already."""
_OTHER_TABLES_OF_SQLITE = ("no such table", "no such column")
_DRIVERS = ("asyncpg", "sqlite3", "sqlalchemy", "alembic")


def explained(error: Exception) -> str | None:
    """None for an error that is not one of the database."""
    cause = _of_driver(error)
    if sqlstate(cause) in _OTHER_TABLES or str(cause).startswith(_OTHER_TABLES_OF_SQLITE):
        return (
            f"The database's tables are not those of this version ({_short(cause)}). "
            f"Check {variable('database_url')}, or migrate an empty database."
        )
    if isinstance(error, DatabaseUnavailable):
        return f"The database cannot be used: {error}. Check {variable('database_url')}."
    if type(cause).__module__.partition(".")[0] in _DRIVERS:
        return f"The database refused a statement: {_short(cause)}."
    return None


def _of_driver(error: BaseException) -> BaseException:
    """The innermost one: SQLAlchemy's and our own errors are raised from the driver's, and one that is
    passed on as it is from itself."""
    while error.__cause__ is not None and error.__cause__ is not error:
        error = error.__cause__
    return error


def _short(error: BaseException) -> str:
    """Without the server's message, which may quote values."""
    return reason(error) if sqlstate(error) else type(error).__name__
