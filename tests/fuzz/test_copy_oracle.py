"""Random tables: what goes as text is what goes by rows, over 10,000 tables in `make chaos`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.data.databases.base import Database
from taskrunner.data.formats.delimited import Delimited
from taskrunner.data.formats.encoding import Escapes
from tests.chaos.scale import is_full
from tests.integration.test_databases import database
from tests.integration.test_text_paths import same

pytestmark = pytest.mark.external_service

EXAMPLES = 10_000 if is_full() else int(os.environ.get("TASKRUNNER_EXAMPLES", "50"))
NASTY = [
    "",
    r"\N",
    "NULL",
    "\\",
    ",",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\N{BOM}",
    "a\r",
    "\\\n",
    "\\.",
    "\b",
]
texts = st.one_of(
    st.none(),
    st.sampled_from(NASTY),
    st.text(st.sampled_from("\\,\t\n\r|\x01\b\f\vNnt.0;'\"a\ufeffé😀"), max_size=10),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
)
forms = st.sampled_from(",\t|;\x01\x0b\x08").map(lambda c: Delimited(escapes=Escapes(separator=c)))


@st.composite
def tables(draw: st.DrawFn) -> list[list[str | None]]:
    width = draw(st.integers(1, 4))
    return draw(st.lists(st.lists(texts, min_size=width, max_size=width), min_size=1, max_size=6))


@pytest.fixture(scope="module")
def postgresql(postgresql_url: str) -> Iterator[Database]:
    with database(postgresql_url) as db:
        yield db


@given(table=tables(), form=forms)
@settings(max_examples=EXAMPLES)
def test_random_tables_of_postgresql(
    postgresql: Database, table: list[list[str | None]], form: Delimited
) -> None:
    rows = ", ".join("(" + ", ".join(map(literal, row)) + ")" for row in table)
    data = same(postgresql, f"select * from (values {rows}) t", form)
    decoded = [list(row) for batch in form.decode([data], source="it") for row in batch]
    assert decoded == table


@pytest.fixture(scope="module")
def mariadb(mariadb_url: str) -> Iterator[Database]:
    with database(mariadb_url) as db:
        yield db


@given(row=st.lists(st.one_of(texts, st.just("\0")), min_size=1, max_size=4), form=forms)
@settings(max_examples=EXAMPLES)
def test_random_rows_of_mariadb(mariadb: Database, row: list[str | None], form: Delimited) -> None:
    values = ", ".join(
        "null" if value is None else f"_utf8mb4 x'{value.encode().hex()}'" for value in row
    )
    data = same(mariadb, f"select {values}", form)
    decoded = [list(row) for batch in form.decode([data], source="it") for row in batch]
    assert decoded == [row]


@given(number=st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=EXAMPLES)
def test_random_doubles_of_mariadb(mariadb: Database, number: float) -> None:
    same(mariadb, f"select cast('{number!r}' as double)")


def literal(value: str | None) -> str:
    return "null::text" if value is None else "'" + value.replace("'", "''") + "'"
