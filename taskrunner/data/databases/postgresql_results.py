"""What the columns of PostgreSQL's answers hold, as people write the types."""

from __future__ import annotations

from psycopg import Column
from psycopg.postgres import types as known


def type_of(column: Column) -> str:
    """A type with its length or precision; of one that is not built in only its number."""
    found = known.get(column.type_code)
    if found is None:
        return f"type {column.type_code}"
    name = found.name
    if column.precision is not None and column.scale is not None:
        name += f"({column.precision},{column.scale})"
    elif column.display_size is not None:
        name += f"({column.display_size})"
    return f"{name}[]" if column.type_code == found.array_oid else name
