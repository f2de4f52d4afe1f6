from __future__ import annotations

import importlib
import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
import structlog

from taskrunner import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("taskrunner")
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield
    root.handlers, (root.level, own.level) = handlers, levels


def test_a_machine_reads_one_object_a_line() -> None:
    stream = io.StringIO()
    logs.configure(form="auto", stream=stream)
    log = structlog.get_logger()
    log.info("task taken", attempt_id="@a\n\x1b[31mforged")
    log.debug("not shown")
    log.error("it failed", exc_info=ValueError("why"))
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["event"] == "task taken"
    assert first["attempt_id"] == "@a\n\x1b[31mforged"
    assert first["level"] == "info"
    assert first["ts"].endswith("Z")
    assert "ValueError: why" in second["exception"]


def test_a_person_reads_text() -> None:
    stream = io.StringIO()
    logs.configure(form="text", stream=stream)
    structlog.get_logger().warning("task taken", attempt_id="@a\nforged")
    (line,) = stream.getvalue().splitlines()
    assert "task taken" in line
    assert r"attempt_id=@a\nforged" in line


def _journal(stream: TextIO) -> dict[str, str]:
    found = os.fstat(stream.fileno())
    return {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}


def test_in_the_journal_a_line_says_what_happened_first(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        logs.configure(stream=stream, environ=_journal(stream))
        log = structlog.get_logger()
        log.warning("no answer", error="refused\n<0>forged", tasks=["a b"], free_mb=3, code="X")
        log.info("name", text="a b\x1b[31m")
        log.error("it failed", exc_info=ValueError("why"))
        stream.seek(0)
        first, second, *rest = stream.read().splitlines()
    assert first == r'<4>no answer: refused\n<0>forged tasks=["a b"] free_mb=3 code=X'
    assert second == r'<6>name text="a b\u001b[31m"'
    assert rest == ["<3>it failed", "<3>ValueError: why"]


def test_another_journal_than_ones_own_is_none(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w") as other, (tmp_path / "b").open("w+") as stream:
        logs.configure(stream=stream, environ=_journal(other))
        structlog.get_logger().warning("what", why="this")
        stream.seek(0)
        assert list(json.loads(stream.read())) == ["ts", "level", "event", "why", "thread"]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_ones_own_records_have_a_level_of_their_own(level: str) -> None:
    """Of libraries only warnings and what is worse: their chatter says nothing to operators."""
    stream = io.StringIO()
    logs.configure(level=level, form="json", stream=stream)
    own, library = logging.getLogger("taskrunner.plugin"), logging.getLogger("uvicorn.error")
    for log in (own, library, logs.get_logger()):
        for word in ("debug", "info", "warning", "error"):
            getattr(log, word)(word)
    found: dict[str, list[str]] = {}
    for line in map(json.loads, stream.getvalue().splitlines()):
        assert line["level"] == line["event"]
        found.setdefault(line.get("logger", "ours"), []).append(line["event"])
    shown = ["debug", "info", "warning", "error"]
    shown = shown[shown.index(level) :]
    assert found == {
        "taskrunner.plugin": shown,
        "uvicorn.error": [word for word in ("warning", "error") if word in shown],
        "ours": shown,
    }


def test_what_a_library_logs_has_the_form_of_the_rest(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        logs.configure(stream=stream, environ=_journal(stream))
        logging.getLogger("sqlalchemy.pool").warning("%s is gone\n<0>forged", "it")
        logging.getLogger("uvicorn.error").error("failed", exc_info=ValueError("why"))
        stream.seek(0)
        first, second, *rest = stream.read().splitlines()
    assert first == r"<4>it is gone\n<0>forged logger=sqlalchemy.pool"
    assert second == "<3>failed logger=uvicorn.error"
    assert rest[-1] == "<3>ValueError: why"


def test_before_anything_is_set_up_only_warnings_are_shown_and_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    structlog.reset_defaults()
    log = logs.get_logger()
    log.info("not shown")
    log.warning("shown", why="this")
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert "shown" in line
    assert "why=this" in line


def test_one_logger_made_before_follows_what_is_set_up_later() -> None:
    structlog.reset_defaults()
    log, stream = logs.get_logger(), io.StringIO()
    logs.configure(level="debug", form="json", stream=stream)
    log.debug("detail")
    assert json.loads(stream.getvalue())["event"] == "detail"
    before = structlog.get_config()
    logs.get_logger()
    assert structlog.get_config() == before


def test_what_structlog_does_without_is_left_as_it_was() -> None:
    assert sys.modules.get("rich", ...) is not None
    assert importlib.import_module("asyncio").sleep
