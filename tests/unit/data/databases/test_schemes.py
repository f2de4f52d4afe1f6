from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.activities.sql import SqlActivity
from taskrunner.data.databases import schemes
from taskrunner.data.databases.registry import check_url, open_database
from taskrunner.data.databases.schemes import BUILT_IN, scheme_of, scheme_of_engine
from taskrunner.data.databases.script import split
from taskrunner.data.databases.sqlite import SqliteDatabase
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ConfigError, ErrorId, PermanentTaskError
from taskrunner.model.document import Ref
from taskrunner.plugins import discovery as plugins
from taskrunner.plugins.discovery import Kind
from taskrunner.testing import ActivityEnvironment, new_object, new_task

#: Drivers as anybody could write them: a server, a kind of file, and one that lacks its library.
PACKAGE = """
from taskrunner.data.databases.base import Database, Dialect, Scheme
from taskrunner.data.databases.properties import keep, set_connect_timeout
from taskrunner.data.databases.sqlite import SqliteDatabase

class LakeDatabase(SqliteDatabase):
    scheme = Scheme(
        name="lake",
        title="Lake",
        aliases=("pond",),
        port=7777,
        properties={"tier": keep("tier"), "patience": set_connect_timeout(60)},
        engines=("custom-lake",),
    )
    dialect = Dialect(comment=r"#[^\\n]*", opening="'", name_quotes=("<", ">"))

class DrawerDatabase(SqliteDatabase):
    scheme = Scheme(name="drawer", title="Drawer", is_file=True)
"""
ENTRIES = """
[taskrunner.databases]
lake = lakes_and_drawers:LakeDatabase
drawer = lakes_and_drawers:DrawerDatabase
swamp = lakes_without_library:SwampDatabase
"""


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """A folder with a package of drivers, as if it was installed."""
    folder = tmp_path / "site"
    info = folder / "lakes-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lakes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    (folder / "lakes_and_drawers.py").write_text(PACKAGE)
    (folder / "lakes_without_library.py").write_text("import no_such_library_at_all\n")
    sys.path.insert(0, str(folder))
    plugins.installed.cache_clear()
    yield tmp_path
    sys.path.remove(str(folder))
    plugins.installed.cache_clear()
    sys.modules.pop("lakes_and_drawers", None)


def test_every_driver_of_ours_has_a_row_that_is_read_without_it() -> None:
    own = [p for p in plugins.installed() if p.kind is Kind.DATABASE and p.built_in]
    # Those of extras, too: their libraries are loaded with the first database.
    assert {plugin.name: plugin.load().scheme for plugin in own} == {
        scheme.name: scheme for scheme in BUILT_IN
    }


def test_no_two_rows_claim_a_name_or_an_engine() -> None:
    names = [name for scheme in BUILT_IN for name in (scheme.name, *scheme.aliases)]
    engines = [engine for scheme in BUILT_IN for engine in scheme.engines]
    assert len(names) == len(set(names))
    assert len(engines) == len(set(engines))
    assert all(scheme_of(name.upper()).is_called(name) for name in names)


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        ("mariadb", "mysql"),
        ("aurora-postgresql", "postgresql"),
        ("oracle-se2", "oracle"),
        ("postgres", "postgresql"),
        ("sqlserver-web", "sqlserver"),
    ],
)
def test_an_engine_of_rds_speaks_a_scheme(engine: str, name: str) -> None:
    found = scheme_of_engine(engine)
    assert found is not None
    assert found.name == name
    assert scheme_of_engine("db2-ae") is None


def test_of_a_scheme_that_nobody_knows_only_its_name_is_known() -> None:
    assert scheme_of("DB2") == schemes.Scheme(name="db2")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["lake", "pond", "POND"])
def test_a_plugin_brings_the_facts_of_its_addresses(name: str) -> None:
    fields = {"connectionString": f"jdbc:{name}://host/db?tier=gold&patience=2", "username": "me"}
    described = new_task("SqlActivity", {}, new_object("Db", "JdbcDatabase", fields)).object("Db")
    database = open_database(described, DataSettings())
    assert type(database).__name__ == "LakeDatabase"
    assert str(database.spec) == "database 'Db' (lake at host:7777)"
    assert database.spec.options.other == {"tier": "gold"}
    assert database.spec.options.connect_timeout_s == 120
    check_url("Db", f"{name}://host/db?tier=gold")
    with pytest.raises(ConfigError, match=r"'depth' is not allowed \(honoured for lake: patience"):
        check_url("Db", f"{name}://host/db?depth=3")


@pytest.mark.usefixtures("installed")
def test_a_plugin_brings_its_dialect() -> None:
    fields = {"connectionString": "jdbc:lake://host/db"}
    described = new_task("SqlActivity", {}, new_object("Db", "JdbcDatabase", fields)).object("Db")
    database = open_database(described, DataSettings())
    texts = [found.text for found in split("a # no; end\n; b -- an end; c", database.dialect)]
    assert texts == ["a # no; end", "b -- an end", "c"]
    assert database.quote("a", "b") == "<a>.<b>"
    assert SqliteDatabase.dialect != database.dialect


def test_a_plugins_files_are_found_by_their_path(installed: Path) -> None:
    url = f"drawer://{installed}/a%20b.db"
    task = new_task(
        "SqlActivity",
        {"database": Ref("Db"), "script": "create table t (a int); insert into t values (1)"},
        new_object("Db", "JdbcDatabase", {"connectionString": "jdbc:drawer:/elsewhere"}),
    )
    with ActivityEnvironment(data=DataSettings(databases={"Db": url})) as environment:
        environment.run(SqlActivity(), task)
    assert (installed / "a b.db").exists()
    with pytest.raises(ConfigError, match="a Drawer database needs an absolute path"):
        check_url("Db", "drawer://relative")


@pytest.mark.usefixtures("installed")
def test_an_engine_may_be_a_plugins() -> None:
    found = scheme_of_engine("custom-lake")
    assert found is not None
    assert found.name == "lake"
    assert "custom-lake" in schemes.known_engines()


@pytest.mark.usefixtures("installed")
def test_a_plugin_that_cannot_be_loaded_is_told_where_it_is_named() -> None:
    """And keeps nobody from using the others."""
    with pytest.raises(ConfigError, match=r"'Db': the plugin for swamp .*no_such_library_at_all"):
        check_url("Db", "swamp://host/db")
    fields = {"connectionString": "jdbc:swamp://host/db?x=1"}
    described = new_task("SqlActivity", {}, new_object("Db", "JdbcDatabase", fields)).object("Db")
    with pytest.raises(PermanentTaskError, match="cannot be imported: No module") as caught:
        open_database(described, DataSettings())
    assert caught.value.error_id == ErrorId.UNSUPPORTED_TYPE
    check_url("Db", "pond://host/db")
    with pytest.raises(
        ConfigError, match=r"wanted .*drawer:///PATH or lake://HOST\[:PORT\]/NAME or"
    ):
        check_url("Db", "sea://host/db")
