from __future__ import annotations

import pytest

from taskrunner.data.databases.registry import check_url, open_database, spec_of
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ConfigError, ErrorId, PermanentTaskError, TaskError
from taskrunner.model.document import Ref
from taskrunner.secret import Secret
from taskrunner.testing.activity_environment import new_object, new_task


class KnownAddresses:
    """A look-up that asks nobody, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    def rds(self, instance: str, region: str | None) -> str:
        self.asked.append((instance, region))
        return "jdbc:mysql://rds.example:3306/"

    def redshift(self, cluster: str, region: str | None) -> str:
        self.asked.append((cluster, region))
        return "jdbc:redshift://redshift.example:5439/"


def spec(
    object_type: str, fields: dict[str, str], settings: DataSettings | None = None
) -> tuple[DatabaseSpec, list[tuple[str, str | None]]]:
    task = new_task("SqlActivity", {"database": Ref("Db")}, new_object("Db", object_type, fields))
    lookup = KnownAddresses()
    found = spec_of(task.object("Db"), settings or DataSettings(), lookup=lookup)
    return found, lookup.asked


def test_rds_instances_are_looked_up_in_their_region() -> None:
    fields = {
        "rdsInstanceId": "prod", "region": "eu-west-1", "username": "me", "*password": "pw",
        "databaseName": "shop",
    }  # fmt: skip
    found, asked = spec("RdsDatabase", fields)
    assert asked == [("prod", "eu-west-1")]
    assert (found.host, found.database, found.username) == ("rds.example", "shop", "me")
    assert found.password == "pw"


def test_the_agents_region_is_the_default() -> None:
    _, asked = spec("RedshiftDatabase", {"clusterId": "c"}, DataSettings(region="us-west-2"))
    assert asked == [("c", "us-west-2")]


def test_a_connection_string_needs_no_look_up() -> None:
    fields = {"connectionString": "jdbc:redshift://there:5439/db"}
    found, asked = spec("RedshiftDatabase", fields)
    assert (found.scheme, found.host, asked) == ("redshift", "there", [])


def test_redshift_may_be_named_as_its_first_drivers_did() -> None:
    """PostgreSQL's driver once was the way to Redshift: Amazon's templates have it so."""
    fields = {"connectionString": "jdbc:postgresql://there:5439/dev?tcpKeepAlive=true"}
    found, _ = spec("RedshiftDatabase", fields)
    assert (found.scheme, found.host, found.stands_in_for) == ("redshift", "there", "")
    found, _ = spec("RdsDatabase", {}, DataSettings(databases={"Db": "postgresql://there/x"}))
    assert (found.scheme, found.stands_in_for) == ("postgresql", "")


@pytest.mark.parametrize(
    ("address", "host", "asked"),
    [
        ("//sales.c1.eu-west-1.redshift.amazonaws.com:5439/dev", "sales.c1", []),
        ("//sales:eu-west-1/dev", "redshift.example", [("sales", "eu-west-1")]),
    ],
)
def test_temporary_credentials_by_amazons_own_form(
    address: str, host: str, asked: list[tuple[str, str]]
) -> None:
    fields = {
        "connectionString": f"jdbc:redshift:iam:{address}?DbUser=etl&AutoCreate=true",
        "*password": "not-used",
    }
    found, looked_up = spec("RedshiftDatabase", fields)
    assert found.host.startswith(host)
    assert looked_up == asked
    assert (found.database, found.password) == ("dev", None)
    assert found.options.other == {"iam": "true", "dbuser": "etl", "autocreate": "true"}


@pytest.mark.parametrize("scheme", ["postgresql", "redshift:iam"])
def test_an_address_that_is_secret_stays_so(scheme: str) -> None:
    fields = {"connectionString": Secret(f"jdbc:{scheme}://hidden.example:5439/dev")}
    found, _ = spec("RedshiftDatabase", dict(fields))
    assert found.host == "hidden.example"
    assert "hidden.example" not in str(found)


def test_a_postgresql_stands_in_for_redshift_and_says_so() -> None:
    settings = DataSettings(databases={"Db": "postgres://else:1/x"})
    fields = {"clusterId": "c", "jdbcProperties": "iamRole=arn:aws:iam::1:role/r"}
    found, asked = spec("RedshiftDatabase", fields, settings)
    assert str(found) == "database 'Db' (postgresql at else:1, standing in for Redshift)"
    assert asked == []


def test_a_redirection_by_id_comes_before_everything() -> None:
    settings = DataSettings(databases={"Db": "postgresql://else:1/x"})
    fields = {"rdsInstanceId": "prod", "username": "me", "*password": "pw"}
    found, asked = spec("RdsDatabase", fields, settings)
    assert (found.scheme, found.host, found.database, asked) == ("postgresql", "else", "x", [])
    assert (found.username, found.password) == ("me", "pw")


@pytest.mark.parametrize(
    ("object_type", "key"),
    [
        ("RdsDatabase", "rdsInstanceId"),
        ("RedshiftDatabase", "clusterId"),
        ("JdbcDatabase", "connectionString"),
    ],
)
def test_what_is_missing_is_named(object_type: str, key: str) -> None:
    with pytest.raises(PermanentTaskError, match=f"'Db' has no value for the field '{key}'"):
        spec(object_type, {})


def test_a_database_without_a_driver() -> None:
    fields = {"connectionString": "jdbc:db2://host:50000/db"}
    task = new_task("SqlActivity", {}, new_object("Db", "JdbcDatabase", fields))
    with pytest.raises(PermanentTaskError, match=r"no driver for 'db2'.*mysql") as caught:
        open_database(task.object("Db"), DataSettings())
    assert caught.value.error_id == ErrorId.UNSUPPORTED_TYPE


@pytest.mark.parametrize(
    "url",
    ["postgres://host/db", "mariadb://me:pw@host:1/db", "redshift://host", "sqlite:///a/b.db"],
)
def test_usable_redirections_pass(url: str) -> None:
    check_url("Db", url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("foo://x", "no driver for 'foo'"),
        ("jdbc:mysql://host/db", "no host"),
        ("host/db", "no URL"),
        ("mysql:///db", "no host"),
        ("mysql://hush@host:port/db", "no number"),
        ("sqlite://relative.db", "absolute path"),
        ("mysql://host/db?allowLoadLocalInfile=true", "allowLoadLocalInfile"),
    ],
)
def test_unusable_redirections_are_told_before_anything_runs(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"'Db'.*{words}") as caught:
        check_url("Db", url)
    _, _, wanted = str(caught.value).partition("wanted ")
    for form in ("mysql://HOST[:PORT]/NAME", "oracle://HOST[:PORT]/NAME", "sqlite:///PATH"):
        assert form in wanted
    assert "hush" not in str(caught.value)


class NoAws:
    """As the look-up is where there is no AWS."""

    def rds(self, instance: str, region: str | None) -> str:
        raise TaskError(f"cannot look up {instance}", error_id=ErrorId.ACCESS_DENIED)

    redshift = rds


@pytest.mark.parametrize(
    ("kind", "field"), [("RdsDatabase", "rdsInstanceId"), ("RedshiftDatabase", "clusterId")]
)
def test_where_nobody_can_be_asked_the_error_names_the_option(kind: str, field: str) -> None:
    database = new_object("Db", kind, {field: "prod"})
    task = new_task("SqlActivity", {"database": Ref("Db")}, database)
    with pytest.raises(TaskError, match=r"^cannot look up prod; .* --database Db=URL$") as caught:
        spec_of(task.object("Db"), DataSettings(), lookup=NoAws())
    assert caught.value.error_id == ErrorId.ACCESS_DENIED
