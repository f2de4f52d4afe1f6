from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import pytest
from click.testing import CliRunner

from taskrunner.cli.store_options import StoreOptions, store_options
from taskrunner.errors import UsageError
from taskrunner.service.settings import Retention
from taskrunner.service.store.backend import Opening


def parsed(*arguments: str) -> tuple[StoreOptions, Mapping[str, Any]]:
    found: list[tuple[StoreOptions, Mapping[str, Any]]] = []

    @click.command()
    @click.option("--other", default="o")
    @store_options
    def command(**given: Any) -> None:
        found.append(StoreOptions.of(given))

    result = CliRunner().invoke(command, arguments, env={"TASKRUNNER_DATABASE_URL": None})
    if isinstance(result.exception, UsageError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return found[0]


def test_without_a_word_nothing_is_allowed_and_the_documented_retention_counts() -> None:
    options, others = parsed()
    assert others == {"other": "o"}
    assert options.database_url is None
    assert options.opening({}) == Opening()
    assert options.retention == Retention()


def test_what_is_said_is_taken() -> None:
    options, _ = parsed(
        *("--create", "--keep-days", "0.5", "--keep-versions", "0", "--keep-rows", "7"),
        *("--database-url", "postgresql://u:s3cret@h/d"),
    )
    assert options.opening({}) == Opening(create=True)
    assert options.retention == Retention(days=0.5, versions=0, rows=7)
    assert options.database_url == "postgresql://u:s3cret@h/d"
    assert "s3cret" not in repr(options)
    assert parsed("--restored")[0].opening({}) == Opening(restored=True)


def test_one_cannot_have_both() -> None:
    with pytest.raises(UsageError, match="one or the other"):
        parsed("--create", "--restored")
