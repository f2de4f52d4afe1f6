from __future__ import annotations

import base64
import stat
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from taskrunner.errors import ConfigError
from taskrunner.service.store.cipher import fingerprint
from taskrunner.service.store.store_key import StoreKeys, StoreKeySource, beside

NEW, OLD = b"n" * 32, b"o" * 32


def line(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_the_first_key_seals_and_the_others_open() -> None:
    keys = StoreKeys.parse(f"{line(NEW)}\n\n  {line(OLD)}\n", "here")
    assert keys.current == fingerprint(NEW)
    assert list(keys.keys.values()) == [NEW, OLD]
    assert line(NEW) not in repr(keys)
    assert repr(NEW) not in repr(keys)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "there is no key in it"), (line(NEW) + "\nhunter2!", "here, line 2"), ("AAAA", "line 1")],
)
def test_what_is_no_key_is_told_and_not_repeated(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        StoreKeys.parse(text, "here")
    assert "hunter2" not in str(error.value)
    assert "openssl rand -base64 32" in str(error.value)


def test_a_first_start_makes_the_file_beside_the_database_once(tmp_path: Path) -> None:
    source = beside(tmp_path / "service.db")
    made = source.read_or_make()
    path = tmp_path / "service.db-key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert source.read_or_make() == made == source.read()


def test_a_file_that_somebody_has_named_is_never_made(tmp_path: Path) -> None:
    path = tmp_path / "named"
    with pytest.raises(ConfigError, match="named cannot be read: No such file"):
        StoreKeySource(file=path).read_or_make()
    assert not path.exists()


def test_a_file_that_all_may_read_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "named"
    path.write_text(line(NEW))
    path.chmod(0o644)
    with capture_logs() as log:
        assert StoreKeySource(file=path).read().current == fingerprint(NEW)
    assert [record["remedy"] for record in log] == [f"chmod 600 {path}"]


def test_a_command_says_the_key() -> None:
    command = f"{sys.executable} -c 'print(\"{line(NEW)}\")'"
    assert StoreKeySource(command=command).read().current == fingerprint(NEW)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/no/such/program", "No such file"),
        (f"{sys.executable} -c 'raise SystemExit(\"denied\")'", "exit code 1: denied"),
        ("'", "ValueError"),
    ],
)
def test_why_a_command_does_not_is_told(command: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        StoreKeySource(command=command).read()
