"""Addresses as Oracle's and SQL Server's drivers have them: honoured in each part, or refused."""

from __future__ import annotations

import pytest

from taskrunner.data.databases.spec import DatabaseSpec, Login, from_jdbc
from taskrunner.errors import ErrorId, PermanentTaskError

LOGIN = Login(username="user", password="pass-word", database="named")


def parts(spec: DatabaseSpec) -> tuple[object, ...]:
    return spec.scheme, spec.host, spec.port, spec.database, spec.options.other.get("sid")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oracle:thin:@//h:1522/svc", ("oracle", "h", 1522, "svc", None)),
        ("oracle:thin:@//h/svc.example.com", ("oracle", "h", 1521, "svc.example.com", None)),
        ("oracle:thin:@h:1521/svc", ("oracle", "h", 1521, "svc", None)),
        ("oracle:thin:@h:1521:ORCL", ("oracle", "h", 1521, "ORCL", "true")),
        ("oracle:thin:@//[::1]:1521/svc:dedicated", ("oracle", "::1", 1521, "svc", None)),
        ("oracle://h:1521/svc", ("oracle", "h", 1521, "svc", None)),
        ("sqlserver://h:1434;databaseName=shop", ("sqlserver", "h", 1434, "shop", None)),
        ("sqlserver://h;DATABASE={my db}", ("sqlserver", "h", 1433, "my db", None)),
        ("sqlserver://h\\inst:1434;databaseName=x;", ("sqlserver", "h", 1434, "x", None)),
        ("sqlserver://;serverName=h;port=5", ("sqlserver", "h", 5, "named", None)),
        ("jtds:sqlserver://h:1433/shop", ("sqlserver", "h", 1433, "shop", None)),
        ("jtds:sqlserver://h;instance=i;port=7", ("sqlserver", "h", 7, "named", None)),
    ],
)
def test_what_an_address_names(text: str, expected: tuple[object, ...]) -> None:
    assert parts(from_jdbc("Db", f"jdbc:{text}", LOGIN)) == expected


@pytest.mark.parametrize(
    ("text", "user", "password"),
    [
        ("oracle:thin:scott/tig/er@//h/svc", "scott", "tig/er"),
        ("sqlserver://h;user=sa;password={p;}}=w&%+}", "sa", "p;}=w&%+"),
        ("jtds:sqlserver://h/db;user=sa;password=secret", "sa", "secret"),
        ("sqlserver://h", "user", "pass-word"),
    ],
)
def test_a_login_may_stand_in_the_address(text: str, user: str, password: str) -> None:
    spec = from_jdbc("Db", f"jdbc:{text}", LOGIN)
    assert (spec.username, spec.password) == (user, password)
    assert password not in str(spec)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("oracle:thin:@//h/svc", None),
        ("oracle:thin:@tcps://h:2484/svc", "verify-full"),
        ("sqlserver://h", None),
        ("sqlserver://h;encrypt=false", "disable"),
        ("sqlserver://h;encrypt=true", "verify-full"),
        ("sqlserver://h;encrypt=true;trustServerCertificate=true", "require"),
        ("sqlserver://h;trustServerCertificate=true;encrypt=true", "require"),
        ("jtds:sqlserver://h;ssl=request", "prefer"),
        ("jtds:sqlserver://h;ssl=authenticate", "verify-full"),
    ],
)
def test_tls_is_as_it_is_asked_for(text: str, mode: str | None) -> None:
    assert from_jdbc("Db", f"jdbc:{text}", LOGIN).options.ssl_mode == mode


def test_times_are_in_the_drivers_own_units() -> None:
    options = from_jdbc("Db", "jdbc:sqlserver://h;loginTimeout=7;socketTimeout=9000", LOGIN).options
    assert (options.connect_timeout_s, options.socket_timeout_s) == (7, 9)
    login = Login(properties=("oracle.net.CONNECT_TIMEOUT=3000", "oracle.jdbc.ReadTimeout=4000"))
    options = from_jdbc("Db", "jdbc:oracle:thin:@//h/svc?ssl_server_dn_match=off", login).options
    assert (options.connect_timeout_s, options.socket_timeout_s) == (3, 4)
    assert options.other["match"] == "false"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("oracle:oci:@//h/svc", "only the thin one"),
        ("oracle:thin:@alias", "it names no host"),
        ("oracle:thin:@(DESCRIPTION=(ADDRESS=(HOST=h)))", "connect descriptors"),
        ("oracle:thin:@ldap://h:1/x,cn=y", "names no host|no host"),
        ("oracle:thin:@//h/svc:pooled", "asks for a pooled server"),
        ("oracle:thin:@//h/svc?wallet_location=/x", "'wallet_location' is not allowed"),
        ("sqlserver://h\\inst;databaseName=x", "names the instance 'inst'"),
        ("sqlserver://h;integratedSecurity=true", "is not allowed"),
        ("sqlserver://h;encrypt=strict", "encrypt has no usable value"),
        ("sqlserver://h;applicationIntent=ReadOnly", "is not allowed"),
        ("sqlserver://h;password={x", "have not the form"),
        ("sqlserver://;databaseName=x", "names no host"),
        ("jtds:sybase://h/db", "for SQL Server only"),
        ("jtds:sqlserver://h/db;domain=CORP", "is not allowed"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(PermanentTaskError, match=words) as caught:
        from_jdbc("Db", f"jdbc:{text}", LOGIN)
    assert caught.value.error_id == ErrorId.INVALID_FIELD


def test_what_only_makes_it_quick_is_taken() -> None:
    text = "jdbc:sqlserver://h;applicationName=x;selectMethod=cursor;packetSize=8192"
    assert (
        from_jdbc("Db", text, LOGIN).options == from_jdbc("Db", "jdbc:sqlserver://h", LOGIN).options
    )
