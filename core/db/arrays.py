"""An SQL function that aggregates rows into one JSON value, for both dialects."""

from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class json_arrays(FunctionElement[str]):  # noqa: N801 - an SQL function
    """Aggregates rows into a JSON text: an array with one array per row, in no defined order."""

    inherit_cache = True
    type = String()


@compiles(json_arrays, "sqlite")
def _on_sqlite(element: json_arrays, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **options)}))"


@compiles(json_arrays, "postgresql")
def _on_postgres(element: json_arrays, compiler: SQLCompiler, **options: Any) -> str:
    arrays = f"json_build_array({compiler.process(element.clauses, **options)})"
    return f"CAST(json_agg({arrays}) AS TEXT)"
