from __future__ import annotations

from dataclasses import dataclass

import pytest
from pymysql.constants import FIELD_TYPE

from taskrunner.data.databases.mysql_results import type_of


@dataclass
class Field:
    """As the server describes a column."""

    type_code: int
    charsetnr: int = 63
    length: int = 10
    flags: int = 0
    scale: int = 0


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (Field(FIELD_TYPE.LONG), "int"),
        (Field(FIELD_TYPE.LONGLONG, flags=32), "bigint unsigned"),
        (Field(FIELD_TYPE.NEWDECIMAL, length=12, scale=2), "decimal(10,2)"),
        (Field(FIELD_TYPE.NEWDECIMAL, length=11, scale=2, flags=32), "decimal(10,2)"),
        (Field(FIELD_TYPE.NEWDECIMAL, length=66), "decimal(65,0)"),
        (Field(FIELD_TYPE.VAR_STRING, charsetnr=45), "varchar"),
        (Field(FIELD_TYPE.VAR_STRING), "varbinary"),
        (Field(FIELD_TYPE.STRING), "binary"),
        (Field(FIELD_TYPE.BLOB, charsetnr=45), "text"),
        (Field(FIELD_TYPE.BLOB), "blob"),
        (Field(FIELD_TYPE.DATETIME), "datetime"),
        (Field(251), "long_blob"),
        (Field(200), "type 200"),
    ],
)
def test_types_as_people_write_them(field: Field, name: str) -> None:
    assert type_of(field) == name
