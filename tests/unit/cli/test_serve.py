from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.cli import EXIT_FAILED, EXIT_USAGE, main
from taskrunner.service.server import Address, bind
from taskrunner.service.store.database import Store


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> str:
    """The one line that `taskrunner serve` ends with."""
    assert main(["serve", *arguments]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_no_auth_is_for_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(capsys, "--no-auth", "--listen", "0.0.0.0:0", code=EXIT_USAGE)

    assert "--no-auth on 0.0.0.0:0" in said
    assert "--credentials-file" in said


def test_who_may_call_must_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "who may call?" in complaint(capsys, code=EXIT_USAGE)


def test_both_ways_of_saying_it_are_one_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(capsys, "--no-auth", "--credentials-file", "x", code=EXIT_USAGE)

    assert "one or the other" in said


def test_a_bad_address_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "HOST:PORT" in complaint(capsys, "--no-auth", "--listen", "here", code=EXIT_USAGE)


def test_a_bad_credentials_file_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "none.toml")

    assert missing in complaint(capsys, "--credentials-file", missing, code=EXIT_USAGE)


@pytest.mark.parametrize("url", ["nonsense", "oracle://h/d", "sqlite://"])
def test_a_bad_database_url_is_said(capsys: pytest.CaptureFixture[str], url: str) -> None:
    said = complaint(
        capsys, "--no-auth", "--listen", "127.0.0.1:0", "--database-url", url, code=EXIT_USAGE
    )

    assert "sqlite" in said.lower()


def test_a_folder_that_cannot_be_written_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/file/service.db"

    said = complaint(
        capsys, "--no-auth", "--listen", "127.0.0.1:0", "--database-url", url, code=EXIT_FAILED
    )

    assert f"{tmp_path}/file/service.db" in said


def test_a_port_in_use_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with bind(Address(host="127.0.0.1", port=0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        said = complaint(
            capsys,
            *("--no-auth", "--listen", address, "--database-url", f"sqlite:///{tmp_path}/s.db"),
            code=EXIT_FAILED,
        )

    assert f"cannot listen on {address}: the port is in use" in said


def test_a_store_is_new_or_restored(capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(capsys, "--no-auth", "--create", "--restored", code=EXIT_USAGE)

    assert "--create and --restored: one or the other" in said


@pytest.mark.parametrize(
    ("flag", "says"),
    [("--create", "there is a store already at"), ("--restored", "is the one that was here")],
)
def test_a_flag_that_allows_nothing_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flag: str, says: str
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    Store(url).close()

    said = complaint(
        capsys,
        *("--no-auth", "--listen", "127.0.0.1:0", "--database-url", url, flag),
        code=EXIT_USAGE,
    )

    assert f"{flag}: " in said
    assert says in said


def test_a_store_that_is_missed_has_an_exit_code_of_its_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    Store(url).close()
    (tmp_path / "s.db").unlink()

    said = complaint(capsys, "--no-auth", "--listen", "127.0.0.1:0", "--database-url", url, code=74)

    assert "s.db is gone, and there was one" in said
