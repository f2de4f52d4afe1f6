"""RedshiftCopyActivity on a PostgreSQL that stands in for Redshift, and S3 as a folder."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle

import psycopg
import pytest

from taskrunner.activities.copy import CopyActivity
from taskrunner.activities.redshift_copy import RedshiftCopyActivity
from taskrunner.activities.sql import SqlActivity
from taskrunner.data.settings import DataSettings
from taskrunner.errors import Canceled, ErrorId, PermanentTaskError, TaskError
from taskrunner.model.document import PipelineObject, Ref, Value
from taskrunner.model.task import Task
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object, new_task
from taskrunner.testing.redshift import RedshiftStandIn
from tests import servers

pytestmark = pytest.mark.external_service

Fields = dict[str, Value | list[Value]]
FILE = "s3://b/in/file.csv"
ORDERS = "create table orders (id int primary key, note varchar(20), day date)"
_SECONDS = cycle(range(60))
SECRET = "the-password-of-redshift"


@pytest.fixture(scope="module")
def module_database(postgresql_url: str) -> Iterator[str]:
    """One for all tests: to make them takes longer than most of the tests."""
    with servers.postgresql_database(postgresql_url) as url:
        yield url


@pytest.fixture
def postgresql_database(module_database: str) -> str:
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute("drop schema public cascade; create schema public")
    return module_database


@pytest.fixture
def environment(postgresql_database: str) -> Iterator[ActivityEnvironment]:
    with ActivityEnvironment(data=DataSettings(databases={"Db": postgresql_database})) as found:
        yield found


def sql(environment: ActivityEnvironment, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(environment.data.databases["Db"], autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def orders(environment: ActivityEnvironment) -> list[tuple[object, ...]]:
    return sql(environment, "select id, note from orders order by id, note")


def objects(source: Fields | None = None, table: Fields | None = None) -> list[PipelineObject]:
    database: Fields = {"username": "me", "*password": SECRET, "clusterId": "orders"}
    node: Fields = {"database": Ref("Db"), "tableName": "orders"}
    return [
        new_object("Db", "RedshiftDatabase", database),
        new_object("Table", "RedshiftDataNode", {**node, **(table or {})}),
        new_object("Files", "S3DataNode", source or {"filePath": FILE}),
        new_object("Tsv", "TSV", {}),
        new_object("Csv", "CSV", {}),
        new_object("Typed", "CSV", {"column": ["first STRING", "second INT"]}),
    ]


def load_task(mode: str, *others: PipelineObject, **fields: Value | list[Value]) -> Task:
    values: Fields = {"insertMode": mode, "input": Ref("Files"), "output": Ref("Table"), **fields}
    # An instance of its own each time.
    start = f"2026-01-01T00:00:{next(_SECONDS):02}"
    others = others or tuple(objects())
    return new_task("RedshiftCopyActivity", values, *others, component_id="Load", start=start)


def load(
    environment: ActivityEnvironment,
    mode: str,
    *others: PipelineObject,
    **fields: Value | list[Value],
) -> None:
    environment.run(RedshiftCopyActivity(), load_task(mode, *others, **fields))


def attempt(task: Task, number: int, *, run: str = "", handout: str = "") -> Task:
    """The task as another attempt of the same instance."""
    main = task.main.object
    fields = main.fields
    if run:
        fields = (*fields, *new_object("x", "x", {"@runStartTime": run}).fields[1:])
    attempt_id = f"{task.instance_id}_Attempt={number}"
    changed = replace(main, id=attempt_id, fields=fields)
    others = {key: value for key, value in task.objects.items() if key != main.id}
    return replace(
        task,
        task_id=handout or f"task-{number}",
        attempt_id=attempt_id,
        objects={**others, attempt_id: changed},
    )


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("KEEP_EXISTING", [(1, "old"), (2, "old"), (3, "new")]),
        ("OVERWRITE_EXISTING", [(1, "old"), (2, "new"), (3, "new")]),
        ("TRUNCATE", [(2, "new"), (3, "new")]),
    ],
)
def test_what_becomes_of_rows_that_are_there(
    environment: ActivityEnvironment, mode: str, expected: list[tuple[object, ...]]
) -> None:
    sql(environment, ORDERS)
    sql(environment, "insert into orders values (1, 'old'), (2, 'old')")
    environment.put(FILE, "2,new,2026-02-13\n3,new,\\N\n")
    load(environment, mode)
    assert orders(environment) == expected
    assert environment.progress_reports[-1] == {"rows": 1 if mode == "KEEP_EXISTING" else 2}


def test_append_adds(environment: ActivityEnvironment) -> None:
    sql(environment, "create table orders (id int, note text)")
    sql(environment, "insert into orders values (1, 'old')")
    environment.put(FILE, "1,new\n")
    load(environment, "APPEND")
    assert orders(environment) == [(1, "new"), (1, "old")]


def test_the_table_is_made_without_what_only_redshift_has(environment: ActivityEnvironment) -> None:
    made = (
        "create table orders (id int encode az64 primary key distkey sortkey, note varchar(max));"
    )
    environment.put(FILE, "1,a\\,b\n")
    load(environment, "KEEP_EXISTING", *objects(table={"createTableSql": made}))
    assert orders(environment) == [(1, "a,b")]


def test_keys_of_the_node_go_before_those_of_the_table(environment: ActivityEnvironment) -> None:
    sql(environment, "create table orders (id int primary key, note text)")
    sql(environment, "insert into orders values (1, 'same'), (2, 'other')")
    environment.put(FILE, "3,same\n")
    load(environment, "OVERWRITE_EXISTING", *objects(table={"primaryKeys": "NOTE"}))
    assert orders(environment) == [(2, "other"), (3, "same")]


def test_transform_sql_reads_the_staging_table(environment: ActivityEnvironment) -> None:
    sql(environment, ORDERS)
    environment.put(FILE, "x,1\ny,2\n")
    transform = "select second * 10, upper(first), null::date from staging where second > 1;"
    source: Fields = {"filePath": FILE, "dataFormat": Ref("Typed")}
    load(environment, "APPEND", *objects(source), transformSql=transform)
    assert orders(environment) == [(20, "Y")]


def test_columns_of_a_data_format_are_those_that_are_loaded(
    environment: ActivityEnvironment,
) -> None:
    sql(environment, "create table orders (id int, note text, first text default 'd', second int)")
    environment.put(FILE, "x,1\n")
    source: Fields = {"filePath": FILE, "dataFormat": Ref("Typed")}
    load(environment, "APPEND", *objects(source))
    assert sql(environment, "select * from orders") == [(None, None, "x", 1)]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (gzip.compress(b'id,note\n1,"a, b"\n'), ["GZIP", "CSV", "IGNOREHEADER AS 1"]),
        (b"1|a, b\n", ["emptyasnull ignoreblanklines"]),
        (b'{"note": "a, b", "id": 1}', "JSON 'auto'"),
        (b"1;'a, b'\n", ["DELIMITER ';'", "REMOVEQUOTES", "MAXERROR 3"]),
    ],
    ids=["csv", "pipes", "json", "quotes"],
)
def test_command_options(
    environment: ActivityEnvironment, content: bytes, options: Value | list[Value]
) -> None:
    sql(environment, "create table orders (id int, note text)")
    environment.put(FILE, content)
    load(environment, "TRUNCATE", commandOptions=options)
    assert orders(environment) == [(1, "a, b")]


def test_a_data_format_goes_before_command_options(environment: ActivityEnvironment) -> None:
    sql(environment, "create table orders (id int, note text)")
    environment.put(FILE, gzip.compress(b"1\ta|b\n"))
    source: Fields = {"filePath": FILE, "dataFormat": Ref("Tsv"), "compression": "gzip"}
    load(environment, "APPEND", *objects(source), commandOptions="DELIMITER '|'")
    assert orders(environment) == [(1, "a|b")]
    assert any("(DELIMITER) have no effect" in text for text in environment.messages)


def test_a_manifest_names_the_files(environment: ActivityEnvironment) -> None:
    sql(environment, "create table orders (id int, note text)")
    for name in ("a", "b", "c"):
        environment.put(f"s3://b/parts/{name}", f"1,{name}\n")
    entries = [{"url": f"s3://b/parts/{name}", "mandatory": True} for name in ("a", "c")]
    environment.put("s3://b/manifest", json.dumps({"entries": entries}))
    load(environment, "APPEND", *objects({"manifestFilePath": "s3://b/manifest"}))
    assert orders(environment) == [(1, "a"), (1, "c")]


def test_a_row_that_is_not_taken_is_named_and_nothing_is_loaded(
    environment: ActivityEnvironment,
) -> None:
    sql(environment, ORDERS)
    sql(environment, "insert into orders values (1, 'old')")
    environment.put("s3://b/in/1.csv", "2,a,2026-01-01\n")
    environment.put("s3://b/in/2.csv", "3,a,2026-01-01\n4,b,no-date\n")
    with pytest.raises(
        TaskError, match=r"'Load'.*in/2.csv, line 2, column day.*'no-date'"
    ) as found:
        load(environment, "TRUNCATE", *objects({"directoryPath": "s3://b/in"}))
    assert found.value.error_id == ErrorId.ACTIVITY_FAILED
    assert orders(environment) == [(1, "old")]
    assert sql(environment, "select attempt from taskrunner_loads_orders") == [(0,)]


def test_rows_that_may_be_left_out_are_logged(environment: ActivityEnvironment) -> None:
    sql(environment, "create table orders (id int, note text)")
    environment.put(FILE, "1|a\nx|b\n3|c|too many\n4|d\n")
    load(environment, "APPEND", commandOptions="MAXERROR 2")
    assert orders(environment) == [(1, "a"), (4, "d")]
    left_out = [text for text in environment.messages if "left out" in text]
    assert ["line 2" in left_out[0], "line 3" in left_out[1]] == [True, True]
    with pytest.raises(TaskError, match=r"line 2.*line 3"):
        load(environment, "TRUNCATE", commandOptions="MAXERROR 1")


def test_an_attempt_is_not_applied_twice(environment: ActivityEnvironment) -> None:
    sql(environment, "create table orders (id int, note text)")
    environment.put(FILE, "1,a\n")
    task = load_task("APPEND")
    environment.run(RedshiftCopyActivity(), attempt(task, 1, run="r1"))
    environment.run(RedshiftCopyActivity(), attempt(task, 1, run="r1", handout="again"))
    environment.run(RedshiftCopyActivity(), attempt(task, 2, run="r1"))
    assert orders(environment) == [(1, "a")]
    assert sum("Nothing is loaded" in text for text in environment.messages) == 2
    environment.run(RedshiftCopyActivity(), attempt(task, 3, run="rerun"))
    assert orders(environment) == [(1, "a"), (1, "a")]
    with pytest.raises(PermanentTaskError, match="a later attempt has been loaded"):
        environment.run(RedshiftCopyActivity(), attempt(task, 2, run="r1"))


def test_without_a_word_on_the_run_only_repeatable_loads_are_repeated(
    environment: ActivityEnvironment,
) -> None:
    sql(environment, "create table orders (id int, note text)")
    environment.put(FILE, "1,a\n")
    truncating, appending = load_task("TRUNCATE"), load_task("APPEND")
    environment.run(RedshiftCopyActivity(), attempt(truncating, 1))
    environment.run(RedshiftCopyActivity(), attempt(truncating, 2))
    environment.run(RedshiftCopyActivity(), attempt(appending, 1))
    with pytest.raises(PermanentTaskError, match="delete the instance's row"):
        environment.run(RedshiftCopyActivity(), attempt(appending, 2))
    assert orders(environment) == [(1, "a"), (1, "a")]


def test_of_two_attempts_at_once_one_is_applied(environment: ActivityEnvironment) -> None:
    """The later one is applied after the earlier one has seen that it may load."""
    sql(environment, "create table orders (id int, note text)")
    environment.put(FILE, "1,a\n")
    task = load_task("APPEND")

    class Overtaking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.msg.startswith("insertMode") and first.task.attempt_id.endswith("=1"):
                environment.run(RedshiftCopyActivity(), attempt(task, 2, run="r"))

    with ActivityEnvironment(data=environment.data) as first:
        first.objects = environment.objects
        first.log.addHandler(Overtaking())
        with pytest.raises(TaskError, match="nothing was loaded, since another attempt"):
            first.run(RedshiftCopyActivity(), attempt(task, 1, run="r"))
    assert orders(environment) == [(1, "a")]


def test_a_connection_that_is_lost_between_steps_leaves_all_as_it_was(
    environment: ActivityEnvironment,
) -> None:
    sql(environment, ORDERS)
    sql(environment, "insert into orders values (1, 'old')")
    environment.put(FILE, "2,new,2026-02-13\n")
    task = load_task("TRUNCATE")

    class Cut(ActivityEnvironment):
        def progress(self, **fields: str | int) -> None:
            others = "pid <> pg_backend_pid() and datname = current_database()"
            sql(self, f"select pg_terminate_backend(pid) from pg_stat_activity where {others}")

    with Cut(data=environment.data) as cut:
        cut.objects = environment.objects
        with pytest.raises(TaskError, match="terminat"):
            cut.run(RedshiftCopyActivity(), attempt(task, 1, run="r"))
    assert orders(environment) == [(1, "old")]
    environment.run(RedshiftCopyActivity(), attempt(task, 2, run="r"))
    assert orders(environment) == [(2, "new")]


@pytest.mark.parametrize("mode", ["APPEND", "TRUNCATE", "OVERWRITE_EXISTING", "KEEP_EXISTING"])
def test_what_is_canceled_between_steps_leaves_all_as_it_was(
    environment: ActivityEnvironment, mode: str
) -> None:
    sql(environment, ORDERS)
    sql(environment, "insert into orders values (1, 'old')")
    environment.put(FILE, "2,new,2026-02-13\n")
    environment.cancel_after = 1
    with pytest.raises(Canceled):
        load(environment, mode)
    assert orders(environment) == [(1, "old")]
    environment.cancel_after = None
    load(environment, "TRUNCATE")
    assert orders(environment) == [(2, "new")]


def test_the_log_says_that_it_is_a_stand_in_and_no_secret(environment: ActivityEnvironment) -> None:
    sql(environment, ORDERS)
    environment.put(FILE, "1,a,2026-02-13\n")
    load(environment, "APPEND", queue="etl")
    text = "\n".join(environment.messages)
    assert "standing in for Redshift" in text
    assert "a PostgreSQL stands in for it" in text
    assert "right-password" not in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("mode", "table", "fields", "expected"),
    [
        (
            "OVERWRITE_EXISTING",
            {},
            {},
            "'Load'.*OVERWRITE_EXISTING needs a key.*primaryKeys.*'T",
        ),
        ("KEEP_EXISTING", {"primaryKeys": "nix"}, {}, "'Table'.*'primaryKeys'.*no column 'nix'"),
        ("APPEND", {"tableName": "none"}, {}, "'Table'.*'tableName'.*no table 'none'; set createT"),
        ("APPEND", {}, {"commandOptions": "CSV ESCAPE"}, "'Load'.*'commandOptions'.*ESCAPE cannot"),
        ("APPEND", {}, {"commandOptions": "AVRO 'auto'"}, "'Load'.*stands in|Redshift's place"),
        ("APPEND", {}, {"commandOptions": "SECRET_ACCESS_KEY 'x'"}, "set by the activity"),
        ("TRUNCATE", {}, {"commandOptions": "NOLOAD"}, "NOLOAD loads nothing"),
        ("SOMEHOW", {}, {}, "'Load'.*insertMode: found 'SOMEHOW', wanted one of KEEP_EXISTING"),
        ("APPEND", {}, {"transformSql": "select * from nowhere"}, "run transformSql.*nowhere"),
    ],
)
def test_bad_input_is_told_in_one_sentence_and_loads_nothing(
    environment: ActivityEnvironment, mode: str, table: Fields, fields: Fields, expected: str
) -> None:
    sql(environment, "create table orders (id int, note text)")
    sql(environment, "insert into orders values (1, 'old')")
    environment.put(FILE, "2,new\n")
    with pytest.raises(TaskError, match=expected) as found:
        load(environment, mode, *objects(table=table), **fields)
    assert "\n" not in str(found.value)
    assert orders(environment) == [(1, "old")]


def test_a_missing_file_is_found_before_the_table_is_made(environment: ActivityEnvironment) -> None:
    table: Fields = {"createTableSql": ORDERS}
    with pytest.raises(TaskError, match=r"'Files': there is no object at s3://b/in/file.csv"):
        load(environment, "APPEND", *objects(table=table))
    assert sql(environment, "select to_regclass('orders')") == [(None,)]


def unload(environment: ActivityEnvironment, target: Fields, **fields: Value | list[Value]) -> None:
    values: Fields = {"input": Ref("Table"), "output": Ref("Files"), "insertMode": "TRUNCATE"}
    task = new_task(
        "RedshiftCopyActivity", {**values, **fields}, *objects(target), component_id="Unload"
    )
    environment.run(RedshiftCopyActivity(), task)


def names(environment: ActivityEnvironment, prefix: str) -> list[str]:
    return [info.uri.removeprefix(prefix) for info in environment.objects.list(prefix)]


def test_a_table_is_unloaded_into_a_directory(environment: ActivityEnvironment) -> None:
    sql(environment, ORDERS)
    sql(environment, "insert into orders values (1, 'a,b'), (2, null)")
    name = "Unload_2026-01-01T00-00-00_0000_part_00"
    environment.put("s3://b/out/other.csv", "stays")
    environment.put("s3://b/out/" + name.replace("0000_part", "0001_part"), "of an earlier attempt")
    unload(environment, {"directoryPath": "s3://b/out"})
    assert names(environment, "s3://b/out/") == [name, "other.csv"]
    assert environment.read("s3://b/out/" + name) == b"1,a\\,b,\\N\n2,\\N,\\N\n"
    # What CopyActivity reads without any format, as Amazon's own template has it.
    source = new_object("Out", "S3DataNode", {"directoryPath": "s3://b/out"})
    environment.objects.delete("s3://b/out/other.csv")
    target = new_object("Copied", "SqlDataNode", {"table": "copied", "database": Ref("Db")})
    sql(environment, "create table copied (like orders)")
    fields: Fields = {"input": Ref("Out"), "output": Ref("Copied")}
    environment.run(CopyActivity(), new_task("CopyActivity", fields, source, target, *objects()))
    assert sql(environment, "select id, note from copied") == [(1, "a,b"), (2, None)]


def test_unload_options(environment: ActivityEnvironment) -> None:
    sql(environment, "create table orders (id int, note text)")
    sql(environment, "insert into orders values (1, 'say \"hi\"|')")
    options: list[Value] = ["ADDQUOTES", "ESCAPE", "GZIP", "MANIFEST", "PARALLEL OFF"]
    unload(environment, {"directoryPath": "s3://b/out"}, commandOptions=options)
    prefix = "s3://b/out/Unload_2026-01-01T00-00-00_"
    assert names(environment, prefix) == ["000.gz", "manifest"]
    assert gzip.decompress(environment.read(f"{prefix}000.gz")) == b'"1"|"say \\"hi\\"\\|"\n'
    manifest = json.loads(environment.read(f"{prefix}manifest"))
    assert manifest["entries"][0]["url"] == f"{prefix}000.gz"
    # And back again.
    sql(environment, "delete from orders")
    load(
        environment,
        "APPEND",
        *objects({"manifestFilePath": f"{prefix}manifest"}),
        commandOptions="GZIP REMOVEQUOTES ESCAPE",
    )
    assert orders(environment) == [(1, 'say "hi"|')]


def test_a_table_is_unloaded_into_one_file(environment: ActivityEnvironment) -> None:
    sql(environment, ORDERS)
    sql(environment, "insert into orders values (1, 'a', '2026-02-13')")
    target: Fields = {"filePath": "s3://b/out/all.tsv", "dataFormat": Ref("Tsv")}
    for _ in range(2):
        unload(environment, target, transformSql="select day, id from staging")
        assert names(environment, "s3://b/out/") == ["all.tsv"]
        assert environment.read("s3://b/out/all.tsv") == b"2026-02-13\t1\n"


def test_an_unload_that_fails_leaves_nothing(environment: ActivityEnvironment) -> None:
    sql(environment, "create table orders (id int, note text)")
    sql(environment, "insert into orders values (0, 'a')")
    with pytest.raises(TaskError, match=r"'Unload'.*unload the data.*division by zero"):
        unload(
            environment, {"filePath": "s3://b/out/x.csv"}, transformSql="select 1/id from staging"
        )
    assert names(environment, "s3://b/out/") == []


def test_rows_go_from_table_to_table(environment: ActivityEnvironment) -> None:
    sql(environment, ORDERS)
    sql(environment, "create table archive (like orders)")
    sql(environment, "insert into orders values (1, 'a', '2026-02-13'), (2, 'b', null)")
    fields: Fields = {"database": Ref("Db"), "tableName": "archive", "primaryKeys": ["id", "note"]}
    archive = new_object("Archive", "RedshiftDataNode", fields)
    for _ in range(2):
        load(
            environment,
            "OVERWRITE_EXISTING",
            archive,
            *objects(),
            input=Ref("Table"),
            output=Ref("Archive"),
        )
    assert sql(environment, "select id, note from archive") == [(1, "a"), (2, "b")]


def test_scripts_of_redshifts_run_too(environment: ActivityEnvironment) -> None:
    environment.put(FILE, "1|a\n2|b\n")
    script = f"""
        set query_group to 'etl';
        create table orders (id int encode raw, note varchar(9)) diststyle all sortkey (id, note);
        copy orders from '{FILE}' iam_role default;
        unload ('select * from orders where note = ''b''') to 's3://b/u/' iam_role default csv;
    """
    fields: Fields = {"database": Ref("Db"), "script": script, "queue": "etl"}
    environment.run(SqlActivity(), new_task("SqlActivity", fields, *objects()))
    assert environment.read("s3://b/u/0000_part_00") == b"2,b\n"
    assert any("standing in for Redshift" in text for text in environment.messages)
    failing = {
        **fields,
        "script": f"create table t (id int); copy t from '{FILE}' iam_role default",
    }
    with pytest.raises(TaskError, match=r"file.csv, line 1: Extra column"):
        environment.run(SqlActivity(), new_task("SqlActivity", failing, *objects()))


def test_the_stand_in_by_itself(environment: ActivityEnvironment) -> None:
    environment.put(FILE, "1,a\nx,b\n")
    with RedshiftStandIn(environment.data.databases["Db"], environment.objects) as redshift:
        counts = redshift.run(
            "create table orders (id int encode az64, note varchar(max)) sortkey (id)",
            f"copy orders from '{FILE}' iam_role default csv maxerror 1",
        )
        assert counts == [-1, 1]
        assert redshift.rows("select * from orders") == [("1", "a")]
        assert "file.csv, line 2, column id integer" in redshift.load_errors()[0]
        with pytest.raises(TaskError, match="RedshiftStandIn"):
            redshift.run("delete from orders", "select 1 / 0")
        assert redshift.rows("select * from orders") == [("1", "a")]
