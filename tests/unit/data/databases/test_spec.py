from __future__ import annotations

import pytest

from taskrunner.data.databases.spec import DatabaseSpec, Login, from_jdbc, from_url
from taskrunner.errors import ErrorId, PermanentTaskError

LOGIN = Login(username="user", password="pass-word", database="named")


def address(spec: DatabaseSpec) -> tuple[str, str, int, str]:
    return spec.scheme, spec.host, spec.port, spec.database


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jdbc:mysql://host:3307/shop", ("mysql", "host", 3307, "shop")),
        ("jdbc:mariadb://host/shop", ("mysql", "host", 3306, "shop")),
        ("jdbc:mysql://host:3306/", ("mysql", "host", 3306, "named")),
        ("jdbc:postgresql://host/shop?ssl=false", ("postgresql", "host", 5432, "shop")),
        ("jdbc:postgresql:shop", ("postgresql", "localhost", 5432, "shop")),
        ("jdbc:redshift://host/shop", ("redshift", "host", 5439, "shop")),
        ("jdbc:postgresql://[::1]:5433/shop", ("postgresql", "::1", 5433, "shop")),
        ("jdbc:mysql://host/sh%20op", ("mysql", "host", 3306, "sh op")),
        ("jdbc:sqlite:/data/shop.db", ("sqlite", "", 0, "/data/shop.db")),
        ("jdbc:sqlite:file:/data/shop.db?mode=ro", ("sqlite", "", 0, "/data/shop.db")),
        ("jdbc:db2://host:50000/shop", ("db2", "host", 50000, "shop")),
    ],
)
def test_jdbc_connection_strings(text: str, expected: tuple[str, str, int, str]) -> None:
    assert address(from_jdbc("Db", text, LOGIN)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mysql://host/shop", "jdbc:scheme"),
        ("jdbc:mysql", "jdbc:scheme"),
        ("", "jdbc:scheme"),
        ("jdbc:mysql:///shop", "names no host"),
        ("jdbc:mysql://[::1/shop", "names no host that there can be"),
        ("jdbc:mysql://host:port/shop", "no number"),
        ("jdbc:mysql://one:3306,two:3306/shop", "no number"),
        ("jdbc:sqlite:shop.db", "absolute path"),
    ],
)
def test_unusable_connection_strings_are_refused(text: str, words: str) -> None:
    with pytest.raises(PermanentTaskError, match=words) as caught:
        from_jdbc("Db", text, LOGIN)
    assert caught.value.error_id == ErrorId.INVALID_FIELD
    assert "'Db'" in str(caught.value)


def test_what_a_redirection_leaves_out_stays_the_objects() -> None:
    spec = from_url("Db", "mysql://host", LOGIN)
    assert (spec.username, spec.password, spec.database) == ("user", "pass-word", "named")


def test_what_a_redirection_says_wins() -> None:
    spec = from_url("Db", "postgres://me:p%40ss%2Fword@host:99/other?connectTimeout=3", LOGIN)
    assert (spec.username, spec.password) == ("me", "p@ss/word")
    assert address(spec) == ("postgresql", "host", 99, "other")
    assert spec.options.connect_timeout_s == 3


def test_a_login_may_be_in_the_jdbc_query() -> None:
    spec = from_jdbc("Db", "jdbc:postgresql://host/db?user=me&password=secret", Login())
    assert (spec.username, spec.password) == ("me", "secret")


def test_redirections_to_files() -> None:
    assert from_url("Db", "sqlite:///data/a%20b.db", LOGIN).database == "/data/a b.db"
    assert from_url("Db", "sqlite:////data/c.db", LOGIN).database == "/data/c.db"


def test_a_port_that_nobody_named_is_the_schemes_own_or_not_told() -> None:
    assert str(from_url("Db", "postgresql://host/x", LOGIN)).endswith("(postgresql at host:5432)")
    assert str(from_url("Db", "db2://host/x", LOGIN)).endswith("(db2 at host)")
    assert str(from_url("Db", "mysql://[::1]/x", LOGIN)).endswith("(mysql at [::1]:3306)")


def test_no_text_of_a_spec_holds_the_password() -> None:
    spec = from_jdbc("Db", "jdbc:mysql://host/shop", LOGIN)
    for text in (str(spec), repr(spec), repr(LOGIN), f"{spec}"):
        assert "pass-word" not in text
    assert str(spec) == "database 'Db' (mysql at host:3306)"
    assert spec.mask("using pass-word!") == "using ********!"


@pytest.mark.parametrize("password", ["a", "mysql", "1234567"])
def test_an_error_can_be_read_whatever_the_password(password: str) -> None:
    spec = from_jdbc("Db", "jdbc:mysql://data/shop", Login(password=password))
    said = f"cannot connect: {spec}: Access denied for user 'a'@'1234567' (using password: YES)"
    assert spec.mask(said) == said
    assert password not in spec.mask(f"bad address mysql://u:{password}@h").partition("//")[2]
