from __future__ import annotations

import gzip
import io
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from taskrunner.cli import main
from taskrunner.cli.copy import _ending_well


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "orders.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "create table t (a integer primary key, b text);"
            "insert into t values (1, 'x,y'), (2, null);"
            "create table u (a integer, b text);"
        )
    return path


def rows(path: Path, query: str = "select * from u order by a") -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_a_table_becomes_a_file_and_a_table_again(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["copy", "sqlite:orders.db?table=t", "out.csv"]) == 0
    assert (tmp_path / "out.csv").read_bytes() == b"1,x\\,y\n2,\\N\n"
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"Copied 1 file, 2 rows, 12 bytes: t in sqlite:{database} -> out.csv\n"
    assert main(["copy", "--quiet", "out.csv", f"sqlite://{database}?table=u"]) == 0
    assert rows(database) == [(1, "x,y"), (2, None)]
    assert capsys.readouterr().err == ""


def test_names_say_format_and_compression(database: Path, tmp_path: Path) -> None:
    assert main(["copy", "sqlite:orders.db?query=select a from t", "out.tsv.gz"]) == 0
    assert gzip.decompress((tmp_path / "out.tsv.gz").read_bytes()) == b"1\n2\n"
    assert main(["copy", "out.tsv.gz", "s3://bucket/out.csv", "--s3-root", "s3"]) == 0
    assert (tmp_path / "s3" / "bucket" / "out.csv").read_bytes() == b"1\n2\n"


def test_folders_hold_files(database: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("1.csv", "2.csv"):
        (tmp_path / "in" / name).write_text(f"{name[0]},x\n")
    assert main(["copy", "in", "sqlite:orders.db?table=u"]) == 0
    assert main(["copy", "in", "out/"]) == 0
    assert rows(database) == [(1, "x"), (2, "x")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.csv", "2.csv"]


def test_standard_streams(
    database: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"7\tx\n")))
    assert main(["copy", "-", "sqlite:orders.db?table=u", "--source-format", "TSV"]) == 0
    assert rows(database) == [(7, "x")]
    capfdbinary.readouterr()
    assert main(["copy", "sqlite:orders.db?table=u", "-"]) == 0
    assert capfdbinary.readouterr().out == b"7,x\n"


def test_flags_of_a_load(database: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("x,7\n")
    load = ["copy", "in.csv", "sqlite:orders.db?table=u"]
    assert main([*load, "--columns", "b, a"]) == 0
    assert main([*load, "--insert", "insert into u (b, a) values (?, ? + 1)"]) == 0
    assert rows(database) == [(7, "x"), (8, "x")]
    made = ["copy", "in.csv", "sqlite:orders.db?table=made", "--create"]
    assert main([*made, "create table made (b text, a int)"]) == 0
    assert rows(database, "select * from made") == [("x", 7)]


def test_a_dry_run_reads_a_little_and_writes_nothing(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = ["copy", "--dry-run"]
    assert main([*copy, "sqlite:orders.db?table=t", "sqlite:orders.db?table=u"]) == 0
    told = capsys.readouterr().out
    assert 'query   SELECT * FROM "t"' in told
    assert "  1        x,y\n" in told
    assert "  2        NULL\n" in told
    assert '"u": there, and rows would be added' in told
    assert rows(database) == []
    (tmp_path / "in.csv").write_text("1,x\n")
    assert main([*copy, "in.csv", "out.csv"]) == 0
    told = capsys.readouterr().out
    assert "size    1 files, 4 B" in told
    assert "out.csv: new" in told
    assert not (tmp_path / "out.csv").exists()
    assert main([*copy, "in.csv", "in.csv"]) == 0
    assert "there, and would be replaced" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.csv", "out.csv"], "none.csv"),
        (["--dry-run", "none.csv", "out.csv"], "there is nothing at"),
        (["sqlite:orders.db?table=none", "out.csv"], "no table 'none'"),
        (["--dry-run", "sqlite:orders.db?table=t", "sqlite:orders.db?table=none"], "no --create"),
        (["sqlite:orders.db?table=t", "sqlite:orders.db?table=t"], "UNIQUE"),
    ],
)
def test_what_cannot_be_copied_fails(
    database: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["copy", *arguments]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sqlite:orders.db", "out.csv"], "SOURCE: wanted one table or query in the address"),
        (["postgresql://h/db", "out.csv"], "SOURCE: wanted one table or query"),
        (["x.csv", "sqlite:x.db?query=select 1"], "TARGET: a query cannot be written to"),
        (["gopher://h/db/t", "out.csv"], "no driver for 'gopher'"),
        (["x.csv", "https://h/x"], "no driver for 'https'"),
        (["x.csv", "out.csv", "--insert", "insert"], "--insert and --create are for tables"),
        (["sqlite:x.db?table=t", "x", "--source-format", "TSV"], "--source-format is for files"),
        (["x", "y", "--s3-root", "z", "--s3-endpoint", "http://h"], "exclude each other"),
        (["x"], "Missing argument 'TARGET'"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_done(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["copy", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_password_in_an_address_is_warned_of_and_never_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://me:right-password@127.0.0.1:1/orders/t"
    assert main(["copy", url, str(tmp_path / "out.csv")]) == 1
    told = capsys.readouterr()
    assert "can be read by all users of this host" in told.err
    assert "TASKRUNNER_SOURCE_PASSWORD" in told.err
    assert "right-password" not in told.out + told.err


def test_sigterm_ends_a_copy_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), _ending_well():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
