from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.cli.copy_logins import password_for, user_for
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.errors import ConfigError

PG = DatabaseSpec(
    id="SOURCE", scheme="postgresql", host="h", port=5432, database="db", username="me"
)
MY = DatabaseSpec(id="SOURCE", scheme="mysql", host="h", port=3306, database="db", username="me")


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def write(home: dict[str, str], name: str, text: str, mode: int = 0o600) -> None:
    path = Path(home["HOME"]) / name
    path.write_text(text)
    path.chmod(mode)


def test_variables_come_first(home: dict[str, str]) -> None:
    own = {**home, "TASKRUNNER_SOURCE_PASSWORD": "own", "PGPASSWORD": "pg", "MYSQL_PWD": "my"}
    assert password_for(PG, own, end="SOURCE") == "own"
    assert password_for(PG, own, end="TARGET") == "pg"
    assert password_for(MY, own, end="TARGET") == "my"
    assert password_for(PG, home, end="SOURCE") is None
    assert password_for(MY, home, end="SOURCE") is None


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("h:5432:db:me:right", "right"),
        ("*:*:*:me:right", "right"),
        ("h:5432:*:*:with\\:colon\\\\", "with:colon\\"),
        ("other:5432:db:me:wrong\n# comment\nh:*:db:me:right\n*:*:*:*:late", "right"),
        ("h:5433:db:me:wrong", None),
        ("h:5432:db:you:wrong", None),
        ("too:short", None),
    ],
)
def test_pgpass_is_read_as_libpq_does(
    home: dict[str, str], line: str, password: str | None
) -> None:
    write(home, ".pgpass", f"{line}\n")
    assert password_for(PG, home, end="SOURCE") == password


def test_pgpass_may_be_elsewhere_and_must_be_private(home: dict[str, str]) -> None:
    write(home, "other", "*:*:*:*:right")
    home["PGPASSFILE"] = f"{home['HOME']}/other"
    assert password_for(PG, home, end="SOURCE") == "right"
    write(home, "other", "*:*:*:*:right", mode=0o644)
    with pytest.raises(ConfigError, match="others may read it"):
        password_for(PG, home, end="SOURCE")


def test_my_cnf(home: dict[str, str]) -> None:
    write(
        home,
        ".my.cnf",
        "!includedir /etc/x\n[mysqld]\npassword=wrong\n[client]\nuser = me\n"
        "password = 'it%s=right'\nskip-ssl\n",
    )
    assert password_for(MY, home, end="SOURCE") == "it%s=right"
    assert user_for(MY, home) == "me"
    write(home, ".my.cnf", "no section\n")
    with pytest.raises(ConfigError, match=r"\.my\.cnf: cannot be read"):
        password_for(MY, home, end="SOURCE")


def test_users(home: dict[str, str]) -> None:
    assert user_for(PG, {**home, "PGUSER": "you"}) == "you"
    assert user_for(PG, home) is None
    assert user_for(DatabaseSpec(id="S", scheme="sqlite", database="/x"), home) is None
