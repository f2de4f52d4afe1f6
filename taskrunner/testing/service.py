"""The real service in this process: a store in a temporary file, a fake clock and no threads."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from taskrunner.data.databases.validation import know_connections
from taskrunner.model.document import Definition, PipelineObject
from taskrunner.model.reader import read_definition
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import PipelineState
from taskrunner.model.task import Task
from taskrunner.model.why.pipelines import Why
from taskrunner.plugins.types import know_plugin_types
from taskrunner.service.actions.publisher import Publisher
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.engine import Service
from taskrunner.service.resources.base import MakeProvider, ResourceProvider
from taskrunner.service.resources.rules import Rules
from taskrunner.service.roster import RunnerCall
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store import alarms as alarm_store
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.key_tables import data_keys
from taskrunner.service.store.rows import AlarmRow
from taskrunner.service.store.store_key import StoreKeys, StoreKeySource
from taskrunner.service.store.tables import METADATA, store_identity
from taskrunner.service.why import why
from taskrunner.testing.clock import FakeClock
from taskrunner.wire.user_agent import RunnerFacts

#: With PostgreSQL, where a store's key has no place by default, secrets are sealed by this one.
TEST_KEY_TEXT = f"{'taskrunner' * 4}tes="
TEST_KEY = StoreKeySource(given=StoreKeys.parse(TEST_KEY_TEXT, "the tests' key"))
#: Every commit waits for the disk; where there is a folder in memory, tests need not.
MEMORY = "/dev/shm"  # noqa: S108 - TemporaryDirectory makes a folder of our own in it
#: More rounds than this without coming to rest means that the service goes in circles.
MOST_ROUNDS = 10_000


class NotSettled(AssertionError):
    """The service did not come to rest."""


def _on(url: str, settings: ServiceSettings) -> ServiceSettings:
    opening = settings.opening
    if not url.startswith("sqlite") and opening.store_key is None:
        opening = replace(opening, store_key=TEST_KEY)
    return replace(settings, database_url=url, opening=opening)


class ServiceInProcess:
    """A service to test against: time passes only when told, duties run only in `settle`.

    Use it as a context manager; without `database_url` the store is a SQLite file in a folder
    that goes with it.
    """

    def __init__(
        self,
        *,
        database_url: str | None = None,
        clock: FakeClock | None = None,
        provider: ResourceProvider | MakeProvider | None = None,
        settings: ServiceSettings | None = None,
    ) -> None:
        """`settings` may hold everything but the database's URL."""
        # As `taskrunner serve`: definitions may name the types of installed plugins.
        know_plugin_types()
        know_connections()
        folder = MEMORY if os.access(MEMORY, os.W_OK) else None
        self._folder = tempfile.TemporaryDirectory(prefix="taskrunner-test-", dir=folder)
        url = database_url or f"sqlite:///{Path(self._folder.name) / 'service.db'}"
        self._settings = _on(url, settings or ServiceSettings(database_url=url))
        self._provider = provider
        self._publisher: Publisher | None = None
        self._unique = 0
        self.clock = clock or FakeClock()
        self.service = self._open()

    def _open(self, store: Store | None = None) -> Service:
        return Service(
            self._settings,
            clock=self.clock,
            provider=self._provider,
            publisher=self._publisher,
            store=store,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and remove its folder."""
        self.service.stop()
        self._folder.cleanup()

    def reopen(self, *, resources: Rules | None = None) -> None:
        """Restart the service on the same store: whatever it held in memory is gone.

        With `resources` the operator has changed where resources run.
        """
        self.service.stop()
        if resources is not None:
            self._settings = replace(self._settings, resources=resources)
        self.service = self._open()

    def reset(
        self,
        *,
        provider: ResourceProvider | MakeProvider | None = None,
        publisher: Publisher | None = None,
        resources: Rules | None = None,
    ) -> Self:
        """Begin afresh on an empty store with a new clock: quicker than another of these."""
        store = self.service.store
        with store.write() as conn:
            for table in {*METADATA.sorted_tables} - {store_identity, data_keys}:
                conn.execute(table.delete())
        self._provider, self._publisher = provider, publisher
        self._settings = replace(self._settings, resources=resources)
        self.clock = FakeClock()
        self.service = self._open(store)
        return self

    @property
    def now(self) -> datetime:
        """The present moment."""
        return self.clock.now()

    # -- letting things happen --------------------------------------------------------------

    def settle(self) -> None:
        """Run every duty until nothing is due at this moment. Raises NotSettled."""
        for _ in range(MOST_ROUNDS):
            if not self._round():
                return
        raise NotSettled(f"something was still due after {MOST_ROUNDS} rounds")

    def _round(self) -> bool:
        self.service.catch_up()
        now = self.service.clock.now()
        self.service.roster.step(now)
        done = [
            self.service.scheduler.tick(now),
            self.service.resources.reconcile(now),
            self.service.alarms.run_once(now),
            self.service.backfill_rounds.step(now) == 0,
        ]
        return any(done)

    def advance(self, by: timedelta | float) -> None:
        """Let time pass in one step (a number means seconds), and let happen what is due then."""
        self.clock.advance(by)
        self.settle()

    # -- pipelines --------------------------------------------------------------------------

    def put(self, definition: Definition | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
        """Make a pipeline with this definition (as in a file, or its objects); returns its id."""
        self._unique += 1
        pipeline_id = self.service.create_pipeline(ANONYMOUS, "test", str(self._unique))
        self.service.put_definition(pipeline_id, as_definition(definition))
        return pipeline_id

    def run(self, definition: Definition | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
        """Put a definition, activate it and let happen what is due; returns the pipeline's id."""
        pipeline_id = self.put(definition)
        self.service.activate(pipeline_id)
        self.settle()
        return pipeline_id

    def state(self, pipeline_id: str) -> PipelineState:
        """The pipeline's state."""
        return self.service.pipeline(pipeline_id).state

    # -- runners ----------------------------------------------------------------------------

    def poll(
        self,
        worker_group: str = "wg",
        *,
        hostname: str = "runner.example",
        facts: RunnerFacts | None = None,
    ) -> None:
        """Ask for work as a runner does, in vain; it is known by it."""
        call = RunnerCall(caller=ANONYMOUS, ip="192.0.2.1", facts=facts)
        self.service.roster.polled(call, worker_group, hostname)

    def claim(self, worker_group: str = "wg", *, acknowledge: bool = True) -> Task | None:
        """Take a task as a runner does, and acknowledge it."""
        self.poll(worker_group)
        task = self.service.claim(worker_group, "runner.example")
        if task is not None and acknowledge:
            self.service.report_progress(task.task_id, {})
            self.settle()
        return task

    def take(self, worker_group: str = "wg", *, acknowledge: bool = True) -> Task:
        """Like `claim`, where there must be a task. Raises AssertionError otherwise."""
        task = self.claim(worker_group, acknowledge=acknowledge)
        if task is None:
            raise AssertionError(f"no task is ready for worker group {worker_group!r}")
        return task

    def conclude(
        self,
        task: Task,
        status: str = "FINISHED",
        error_id: str | None = None,
        message: str | None = None,
    ) -> None:
        """Give a verdict and let happen what follows."""
        self.service.set_task_status(task.task_id, status, error_id, message)
        self.settle()

    def work_off(self, worker_group: str = "wg") -> list[str]:
        """Take and finish tasks until none is ready; returns their attempt ids in order."""
        done: list[str] = []
        while (task := self.claim(worker_group)) is not None:
            self.conclude(task)
            done.append(task.attempt_id)
        return done

    # -- looking ----------------------------------------------------------------------------

    def instances(self, pipeline_id: str) -> dict[str, InstanceRow]:
        """Every instance by its id."""
        with self.service.store.read() as conn:
            rows = instance_store.load_instances(conn, pipeline_id)
        return {row.instance_id: row for row in rows}

    def statuses(self, pipeline_id: str) -> dict[str, str]:
        """The status of every instance by its id."""
        return {key: str(row.status) for key, row in self.instances(pipeline_id).items()}

    def components(self, pipeline_id: str) -> dict[str, list[str]]:
        """The statuses of every component's instances, in the order of their periods."""
        found: dict[str, list[str]] = {}
        for row in self.instances(pipeline_id).values():
            found.setdefault(row.component_id, []).append(str(row.status))
        return found

    def attempts(self, pipeline_id: str) -> list[AttemptRow]:
        """Every attempt, oldest first."""
        with self.service.store.read() as conn:
            return attempt_store.load_attempts(conn, pipeline_id)

    def alarms(self, pipeline_id: str) -> list[AlarmRow]:
        """Every alarm, oldest first."""
        with self.service.store.read() as conn:
            return alarm_store.load_alarms(conn, pipeline_id)

    def describe(
        self, pipeline_id: str, object_id: str, *, evaluate: bool = True
    ) -> PipelineObject:
        """An object of any sphere, as DescribeObjects shows it."""
        with self.service.objects(pipeline_id) as objects:
            return objects.describe([object_id], evaluate_expressions=evaluate)[0]

    def why(self, pipeline_id: str, about: str | None = None) -> Why:
        """Why a pipeline, or one of its instances, waits; what runners did is saved before."""
        self.service.roster.save(self.now)
        with self.service.objects(pipeline_id) as objects:
            return why(objects.conn, objects.pipeline, self.service.loaded, self.now, about)


def as_definition(
    given: Definition | Mapping[str, Any] | Sequence[Mapping[str, Any]],
) -> Definition:
    """A definition from itself, from what a file holds, or from its objects alone."""
    if isinstance(given, Definition):
        return given
    document = given if isinstance(given, Mapping) else {"objects": list(given)}
    return read_definition(json.dumps(document))
