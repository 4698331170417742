"""What stands beside the audit tables and could drop, change or hide their rows unseen.

The migrations make tables, their partitions and indexes only: every trigger, rule, policy or view is
foreign, and so is every inheriting table but the partitions `<table>_p<number>` of a partitioned one.
"""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy import Table, text
from sqlalchemy.dialects.postgresql import insert as postgres_insert

from core.audit.well_formed import shown
from core.db import Query, Reader

_SQLITE = """
    SELECT CAST(tbl_name AS BLOB) AS relation, CAST(type || ' ' || name AS BLOB) AS what
    FROM sqlite_master
    WHERE type = 'trigger' OR (type = 'view' AND lower(name) IN ({names}))
    ORDER BY 1, 2
"""
_POSTGRES = """
    WITH ours AS (
        SELECT oid, relname, relkind, relrowsecurity FROM pg_class
        WHERE relnamespace = CAST(current_schema() AS regnamespace)
    )
    SELECT relname AS relation, 'trigger ' || tgname AS what
    FROM pg_trigger JOIN ours ON ours.oid = tgrelid WHERE NOT tgisinternal
    UNION ALL
    SELECT relname, 'rule ' || rulename
    FROM pg_rewrite JOIN ours ON ours.oid = ev_class WHERE rulename <> '_RETURN'
    UNION ALL
    SELECT relname, 'row level security' FROM ours WHERE relrowsecurity AND relname IN ({names})
    UNION ALL
    SELECT relname, 'a view' FROM ours WHERE relkind IN ('v', 'm') AND relname IN ({names})
    UNION ALL
    SELECT ours.relname, 'an inheriting table'
    FROM pg_inherits JOIN ours ON ours.oid = inhparent JOIN pg_class child ON child.oid = inhrelid
    WHERE ours.relname IN ({names}) AND NOT (
        ours.relkind = 'p' AND child.relkind = 'r' AND child.relispartition
        AND child.relnamespace = CAST(current_schema() AS regnamespace)
        AND child.relname ~ ('^' || ours.relname || '_p[0-9]+$')
    )
    ORDER BY 1, 2
"""


def foreign_to(tables: Sequence[Table]) -> Query:
    names = ", ".join(f"'{table.name}'" for table in tables)
    return Query(
        lambda insert: text(
            (_POSTGRES if insert is postgres_insert else _SQLITE).format(names=names)
        )
    )


async def foreign(db: Reader, query: Query) -> AsyncIterator[tuple[str, str]]:
    for row in await db.fetch(query):
        what = shown(row["what"])
        yield shown(row["relation"]), f"{what} is not the gateway's and may hide or drop rows"
