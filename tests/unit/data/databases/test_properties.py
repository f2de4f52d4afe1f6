from __future__ import annotations

import pytest

from taskrunner.data.databases.properties import Options, ZeroDates, keep, parse_options
from taskrunner.data.databases.schemes import scheme_of
from taskrunner.errors import PermanentTaskError


def parsed(scheme: str, properties: list[str]) -> Options:
    honoured = scheme_of(scheme).properties
    return parse_options(scheme, honoured, properties, where="database 'Db'")


@pytest.mark.parametrize(
    ("scheme", "properties", "expected"),
    [
        ("mysql", [], Options()),
        ("mysql", ["connectTimeout=2500"], Options(connect_timeout_s=2.5)),
        ("postgresql", ["connectTimeout=2"], Options(connect_timeout_s=2)),
        ("mysql", ["connectTimeout=0"], Options(connect_timeout_s=600)),
        ("mysql", ["socketTimeout=60000"], Options(socket_timeout_s=60)),
        ("mysql", ["useSSL=false"], Options(ssl_mode="disable")),
        ("mysql", ["useSSL=true", "requireSSL=true"], Options(ssl_mode="require")),
        ("mysql", ["useSSL=true", "verifyServerCertificate=true"], Options(ssl_mode="verify-ca")),
        ("mysql", ["sslMode=VERIFY_IDENTITY"], Options(ssl_mode="verify-full")),
        ("postgresql", ["ssl=true"], Options(ssl_mode="verify-full")),
        ("postgresql", ["sslmode=require"], Options(ssl_mode="require")),
        ("redshift", ["sslRootCert=/ca.pem"], Options(ssl_ca="/ca.pem")),
        ("postgresql", ["currentSchema=a,b"], Options(search_path="a,b")),
        ("mysql", ["useUnicode=true", "characterEncoding=UTF-8", "tinyInt1isBit=false"], Options()),
        ("mysql", ["serverTimezone=UTC", "connectionTimeZone=GMT+00:00"], Options()),
        ("mysql", ["allowMultiQueries=true"], Options()),
        ("postgresql", ["allowMultiQueries=true", "tcpKeepAlive=true"], Options()),
        ("redshift", ["allowMultiQueries=true", "tcpKeepAlive=true"], Options()),
        ("mysql", ["zeroDateTimeBehavior=convertToNull"], Options(zero_dates=ZeroDates.NULL)),
        ("mysql", ["zeroDateTimeBehavior=CONVERT_TO_NULL"], Options(zero_dates=ZeroDates.NULL)),
        ("mysql", ["zeroDateTimeBehavior=exception"], Options(zero_dates=ZeroDates.FAIL)),
        ("mysql", ["zeroDateTimeBehavior=ROUND"], Options(zero_dates=ZeroDates.YEAR_ONE)),
    ],
)
def test_allowed_properties(scheme: str, properties: list[str], expected: Options) -> None:
    assert parsed(scheme, properties) == expected


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        ("mysql", "allowLoadLocalInfile=true"),
        ("mysql", "allowUrlInLocalInfile=true"),
        ("mysql", "autoDeserialize=true"),
        ("mysql", "sessionVariables=sql_mode=''"),
        ("postgresql", "socketFactory=evil"),
        ("postgresql", "options=-c x=y"),
        ("postgresql", "service=other"),
        ("sqlite", "mode=ro"),
        ("mysql", "nonsense"),
    ],
)
def test_everything_else_is_refused(scheme: str, text: str) -> None:
    with pytest.raises(PermanentTaskError, match=r"'Db'.* is not allowed"):
        parsed(scheme, [text])


@pytest.mark.parametrize(
    "text",
    [
        "serverTimezone=Asia/Tokyo", "connectionTimeZone=LOCAL", "characterEncoding=latin1",
        "useUnicode=false", "tinyInt1isBit=true", "yearIsDateType=true",
        "jdbcCompliantTruncation=false", "characterEncoding",
    ],
)  # fmt: skip
def test_what_would_change_values_is_refused(text: str) -> None:
    with pytest.raises(PermanentTaskError, match=rf"'Db'.* {text.partition('=')[0]} would change"):
        parsed("mysql", [text])


@pytest.mark.parametrize(
    "text",
    ["connectTimeout=soon", "connectTimeout=-1", "sslMode=maybe", "zeroDateTimeBehavior=ignore"],
)
def test_unusable_values_are_refused(text: str) -> None:
    with pytest.raises(PermanentTaskError, match="no usable value"):
        parsed("mysql", [text])


def test_a_driver_may_have_properties_of_its_own() -> None:
    honoured = {"warehouse": keep("warehouse"), "role": keep("role")}
    found = parse_options("x", honoured, ["Warehouse=big", "role=r"], where="database 'Db'")
    assert found == Options(other={"warehouse": "big", "role": "r"})
