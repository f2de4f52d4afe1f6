from __future__ import annotations

import importlib
import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from taskrunner import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


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
    assert r"attempt_id='@a\nforged'" in line


def test_what_structlog_does_without_is_left_as_it_was() -> None:
    assert sys.modules.get("rich", ...) is not None
    assert importlib.import_module("asyncio").sleep
