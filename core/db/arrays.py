"""An SQL function that aggregates rows into one JSON value, for both dialects."""

from typing import Any

from sqlalchemy import LargeBinary, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class json_arrays(FunctionElement[str]):  # noqa: N801 - an SQL function
    """Aggregates rows into a JSON text: an array with one array per row, in no defined order.

    Bytes become hexadecimal digits, which JSON can hold.
    """

    inherit_cache = True
    type = String()


@compiles(json_arrays, "sqlite")
def _on_sqlite(element: json_arrays, compiler: SQLCompiler, **options: Any) -> str:
    values = _values(element, compiler, "hex({})", options)
    return f"json_group_array(json_array({values}))"


@compiles(json_arrays, "postgresql")
def _on_postgres(element: json_arrays, compiler: SQLCompiler, **options: Any) -> str:
    values = _values(element, compiler, "encode({}, 'hex')", options)
    return f"CAST(json_agg(json_build_array({values})) AS TEXT)"


def _values(
    element: json_arrays, compiler: SQLCompiler, as_digits: str, options: dict[str, Any]
) -> str:
    found = []
    for value in element.clauses:
        text = compiler.process(value, **options)
        found.append(as_digits.format(text) if isinstance(value.type, LargeBinary) else text)
    return ", ".join(found)
