from __future__ import annotations

import pytest

from taskrunner.data.redshift.nodes import InsertMode, Request
from taskrunner.data.redshift.plan import (
    LoadPlan,
    key_of,
    listed_columns,
    staging_columns,
    unload_steps,
)
from taskrunner.data.redshift.session import Shape, Step
from taskrunner.data.redshift.wanted import copy_options
from taskrunner.errors import PermanentTaskError
from tests.unit.data.redshift.fakes import SHAPE, FakeSession, request

LAST = Step(sql="LAST", about="end")
COPY_OPTIONS = "IAM_ROLE default CSV"


def statements(wanted: Request, **more: object) -> list[str]:
    plan = LoadPlan(
        session=FakeSession(),
        request=wanted,
        shape=SHAPE,
        keys=("id",),
        source="'s3://b/f'",
        authorization="IAM_ROLE default",
        options=copy_options(wanted).options,
        **more,  # type: ignore[arg-type]
    )
    return [step.sql for step in plan.steps([LAST])]


def of_mode(mode: str, **fields: str) -> list[str]:
    return statements(request(insertMode=mode, commandOptions="CSV", **fields))


def test_append_copies_into_the_table() -> None:
    assert of_mode("APPEND") == [
        f'COPY "public"."orders" FROM \'s3://b/f\' {COPY_OPTIONS}',
        "LAST",
    ]


def test_truncate_deletes_since_redshift_commits_at_truncate() -> None:
    assert of_mode("TRUNCATE", queue="it's") == [
        "SET query_group TO 'it''s'",
        'DELETE FROM "public"."orders"',
        f'COPY "public"."orders" FROM \'s3://b/f\' {COPY_OPTIONS}',
        "LAST",
    ]


def test_overwrite_goes_through_a_staging_table() -> None:
    assert of_mode("OVERWRITE_EXISTING") == [
        'CREATE TEMP TABLE staging (LIKE "public"."orders" INCLUDING DEFAULTS)',
        f"COPY staging FROM 's3://b/f' {COPY_OPTIONS}",
        (
            'DELETE FROM "public"."orders" USING staging AS incoming '
            'WHERE "orders"."id" = incoming."id"'
        ),
        'INSERT INTO "public"."orders" SELECT incoming.* FROM staging AS incoming',
        "LAST",
    ]


def test_keep_inserts_only_what_is_new() -> None:
    assert of_mode("KEEP_EXISTING")[2:] == [
        (
            'INSERT INTO "public"."orders" SELECT incoming.* FROM staging AS incoming WHERE '
            'NOT EXISTS (SELECT 1 FROM "public"."orders" AS existing '
            'WHERE existing."id" = incoming."id")'
        ),
        "LAST",
    ]


def test_transform_sql_makes_a_second_staging_table() -> None:
    found = of_mode("TRUNCATE", transformSql="select * from staging;")
    assert found[2:5] == [
        "CREATE TEMP TABLE staging_transformed AS select * from staging",
        'DELETE FROM "public"."orders"',
        'INSERT INTO "public"."orders" SELECT incoming.* FROM staging_transformed AS incoming',
    ]


def test_columns_are_named_throughout() -> None:
    found = statements(request(insertMode="KEEP_EXISTING"), columns=("id", "note"))
    assert found[1].startswith('COPY staging ("id", "note") FROM')
    assert found[2].startswith(
        'INSERT INTO "public"."orders" ("id", "note") SELECT incoming."id", incoming."note" FROM'
    )


def test_a_table_is_read_by_a_select() -> None:
    found = statements(request(insertMode="APPEND"), source_is_table=True)
    assert found == [
        "CREATE TEMP TABLE staging AS SELECT * FROM 's3://b/f'",
        'INSERT INTO "public"."orders" SELECT incoming.* FROM staging AS incoming',
        "LAST",
    ]


def test_nothing_commits_before_the_end() -> None:
    for mode in InsertMode:
        for statement in of_mode(mode, transformSql="select 1"):
            assert not statement.upper().startswith(("TRUNCATE", "COMMIT", "BEGIN", "VACUUM"))


def test_an_unload() -> None:
    wanted = request(unloads=True, queue="q", transformSql="select 'x' from staging")
    found = unload_steps(
        FakeSession(),
        wanted,
        table='"public"."orders"',
        prefix="s3://b/d/",
        authorization="IAM_ROLE default",
        options=copy_options(request(commandOptions="GZIP")).options,
    )
    assert [step.sql for step in found] == [
        "SET query_group TO 'q'",
        (
            'UNLOAD (\'WITH staging AS (SELECT * FROM "public"."orders") '
            "select ''x'' from staging') TO 's3://b/d/' IAM_ROLE default GZIP"
        ),
    ]


def key(mode: str, shape: Shape, *given: str) -> tuple[str, ...]:
    return key_of(request(insertMode=mode), shape, node="Table", given=given)


def test_keys() -> None:
    bare = Shape(name="t", short_name="t", columns=("Id", "day"))
    sorted_by = Shape(name="t", short_name="t", columns=("Id", "day"), other_key=("day",))
    assert key("APPEND", bare) == ()
    assert key("KEEP_EXISTING", bare, "ID") == ("Id",)
    assert key("KEEP_EXISTING", SHAPE) == ("id",)
    assert key("KEEP_EXISTING", SHAPE, "note") == ("note",)
    assert key("OVERWRITE_EXISTING", sorted_by) == ("day",)
    with pytest.raises(PermanentTaskError, match="OVERWRITE_EXISTING needs a key"):
        key("OVERWRITE_EXISTING", bare)
    with pytest.raises(PermanentTaskError, match=r"no column 'nix' .it has Id, day"):
        key("KEEP_EXISTING", bare, "nix")


def test_columns_of_a_data_format_count_only_if_all_are_the_tables() -> None:
    assert listed_columns(["NOTE string, ID int"], SHAPE) == ("note", "id")
    assert listed_columns(["not_used STRING"], SHAPE) == ()


def test_types_of_a_data_format_make_the_staging_table() -> None:
    session = FakeSession()
    texts = ["a STRING", "b double, c decimal(10, 2)", "d VARCHAR(20)"]
    assert staging_columns(session, texts, of="Files") == (
        '"a" VARCHAR(65535)',
        '"b" DOUBLE PRECISION',
        '"c" decimal(10, 2)',
        '"d" VARCHAR(20)',
    )
    assert staging_columns(session, ["a", "b INT"], of="Files") == ()
    with pytest.raises(PermanentTaskError, match="'Files': the column type 'int\\); drop"):
        staging_columns(session, ["a int); drop"], of="Files")
