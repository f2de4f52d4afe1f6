"""Preconditions that a service checks itself: the option, and what checks them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from taskrunner.activities.base import CommandResult, Precondition
    from taskrunner.data.files import WorkFiles
    from taskrunner.data.objects.base import ObjectStore
    from taskrunner.data.settings import DataSettings
    from taskrunner.model.task import Task
    from taskrunner.wire.api import Verdict

#: What AWS's service checked itself. They ask S3 and DynamoDB, and run nothing of a definition's.
TYPES = frozenset({"DynamoDBDataExists", "DynamoDBTableExists", "S3KeyExists", "S3PrefixNotEmpty"})
#: How often a call is made before a check counts as failed: it is asked for again anyway.
_TRIES = 2

preconditions_option = click.option(
    "--preconditions",
    type=click.Choice(["agents", "service"]),
    default="agents",
    help="Who checks S3KeyExists, S3PrefixNotEmpty, DynamoDBTableExists and DynamoDBDataExists: "
    "agents, or this service itself with the AWS credentials of its host, as AWS's did.",
)


def types_for(preconditions: str) -> frozenset[str]:
    """The types that the service checks, by the option."""
    return TYPES if preconditions == "service" else frozenset()


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks one precondition after the other, in any thread."""

    region: str
    s3_root: Path | None = None
    s3_endpoint: str | None = None

    def __call__(self, task: Task) -> Verdict:
        """What a precondition's attempt comes to; raises nothing."""
        from taskrunner.agent.ipc import verdicts

        try:
            holds = _precondition(task.main.type).check(self._context(task))
        except Exception as error:
            return verdicts.from_exception(error)
        return verdicts.FINISHED if holds else verdicts.NOT_MET

    def _context(self, task: Task) -> CheckContext:
        from taskrunner.data.settings import DataSettings

        # No local files: what a definition names is not to be looked for on the service's host.
        data = DataSettings(
            region=self.region,
            s3_root=self.s3_root.absolute() if self.s3_root is not None else None,
            s3_endpoint=self.s3_endpoint,
        )
        return CheckContext(task, data)


def _precondition(type_name: str) -> Precondition:
    """Who checks a type. Raises PermanentTaskError for any that is not the service's."""
    from taskrunner.errors import ErrorId, PermanentTaskError
    from taskrunner.preconditions.dynamodb import DynamoDBDataExists, DynamoDBTableExists
    from taskrunner.preconditions.s3_key_exists import S3KeyExists
    from taskrunner.preconditions.s3_prefix_not_empty import S3PrefixNotEmpty

    known: Mapping[str, Precondition] = {
        "DynamoDBDataExists": DynamoDBDataExists(),
        "DynamoDBTableExists": DynamoDBTableExists(),
        "S3KeyExists": S3KeyExists(),
        "S3PrefixNotEmpty": S3PrefixNotEmpty(),
    }
    if type_name not in known:
        message = f"the service checks {', '.join(sorted(known))} itself, and runs no {type_name}"
        raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE)
    return known[type_name]


class CheckContext:
    """What a precondition is given: the task, and where objects are."""

    def __init__(self, task: Task, data: DataSettings) -> None:
        self.task, self.data = task, data
        self.log = logging.getLogger("taskrunner.preconditions")

    @cached_property
    def objects(self) -> ObjectStore:
        """Objects by URI; the S3 library is loaded at the first use."""
        from taskrunner.data.objects.store import open_store

        return open_store(self.data, tries=_TRIES)

    def progress(self, **fields: str | int) -> None:
        """A check is over too soon for anybody to ask."""

    def check_canceled(self) -> None:
        """A verdict that nobody wants is not taken."""

    @property
    def work_dir(self) -> Path:
        """A check has no files."""
        self._nothing()

    @property
    def files(self) -> WorkFiles:
        """A check has no files."""
        self._nothing()

    @property
    def stdout_path(self) -> Path:
        """A check runs no commands."""
        self._nothing()

    @property
    def stderr_path(self) -> Path:
        """A check runs no commands."""
        self._nothing()

    def run_command(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> CommandResult:
        """A check runs no commands."""
        self._nothing()

    def copy_output(self, path: Path, uri: str) -> None:
        """A check has no output."""
        self._nothing()

    def _nothing(self) -> NoReturn:
        raise NotImplementedError("what the service checks itself has no files and no commands")
