"""Rows as one JSON value, in the words of both databases."""

from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class json_arrays(FunctionElement[str]):  # noqa: N801 - an SQL function
    """Rows as one JSON text: an array of an array for each row, in any order."""

    inherit_cache = True
    type = String()


@compiles(json_arrays, "sqlite")
def _on_sqlite(element: json_arrays, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **options)}))"


@compiles(json_arrays, "postgresql")
def _on_postgres(element: json_arrays, compiler: SQLCompiler, **options: Any) -> str:
    arrays = f"json_build_array({compiler.process(element.clauses, **options)})"
    return f"CAST(json_agg({arrays}) AS TEXT)"
