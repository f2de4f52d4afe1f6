from __future__ import annotations

import pytest

from taskrunner.data.databases.drivers import driver
from taskrunner.data.databases.registry import open_database
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.testing import new_object, new_task


def test_a_driver_that_is_not_installed_is_named_with_what_installs_it() -> None:
    with pytest.raises(PermanentTaskError) as caught:
        driver("no_such_driver", title="Some Server", extra="some")
    assert str(caught.value) == (
        "the driver for Some Server, no_such_driver, is not installed on this host: "
        "pip install 'taskrunner-agent[some]'"
    )
    assert caught.value.error_id == ErrorId.UNSUPPORTED_TYPE
    assert driver("json", title="x", extra="x").loads("1") == 1


@pytest.mark.parametrize(
    ("address", "module", "extra"),
    [
        ("jdbc:oracle:thin:@//127.0.0.1:1/svc", "oracledb", "oracle"),
        ("jdbc:jtds:sqlserver://127.0.0.1:1/db", "pymssql", "sqlserver"),
    ],
)
def test_an_address_leads_to_its_driver(address: str, module: str, extra: str) -> None:
    fields = {"connectionString": address, "username": "u", "*password": "p"}
    task = new_task("SqlActivity", {}, new_object("Db", "JdbcDatabase", fields))
    try:
        database = open_database(task.object("Db"), DataSettings())
    except PermanentTaskError as error:
        assert f"{module}, is not installed" in str(error)  # noqa: PT017  or it is
        assert f"taskrunner-agent[{extra}]" in str(error)  # noqa: PT017
    else:
        assert database.scheme.name == extra
