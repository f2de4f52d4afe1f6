"""The service without its wire: what the handlers and a local run ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.clock import Clock, SystemClock
from taskrunner.errors import InvalidRequest
from taskrunner.model.codec import DEFINITION
from taskrunner.model.document import Definition
from taskrunner.model.edits import Edit
from taskrunner.model.states import PipelineState
from taskrunner.model.validate import Finding
from taskrunner.service import activation
from taskrunner.service.actions.publisher import AlarmLoop, Publisher, Recorder
from taskrunner.service.agent_orders import AgentOrders
from taskrunner.service.apply import SchedulingTransaction
from taskrunner.service.backfill_rounds import BackfillRounds
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.service.checks import Check, checks_of
from taskrunner.service.cleaner import Cleaner
from taskrunner.service.definitions import DefinitionCache, Load, LoadedDefinition
from taskrunner.service.duties import SHORT_NAP_S, Duties
from taskrunner.service.listener import Listener
from taskrunner.service.objects import Objects
from taskrunner.service.pipeline_fields import Described, pipeline_fields
from taskrunner.service.pipeline_ids import new_pipeline_id
from taskrunner.service.reencryption import Reencryption
from taskrunner.service.resources.base import MakeProvider, ResourceProvider, made
from taskrunner.service.resources.manager import ResourceManager
from taskrunner.service.resources.placing import look_at_places
from taskrunner.service.roster import Roster
from taskrunner.service.runner_operations import BusyQueues, RunnerOperations
from taskrunner.service.scheduler import LONGEST_NAP_S, Scheduler
from taskrunner.service.set_status import set_status
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.stopping import Stopping
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.timeline import Timeline
from taskrunner.service.wakeups import WorkReady


class Service(RunnerOperations):
    """The state machine behind the API: every verb is one transaction."""

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        clock: Clock | None = None,
        provider: ResourceProvider | MakeProvider | None = None,
        publisher: Publisher | None = None,
        store: Store | None = None,
        check: Check | None = None,
        failed: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        """Open the store that the settings name, or use one. Raises ConfigError or StoreError."""
        self.settings = settings
        self.store = store or Store(settings.database_url, opening=settings.opening)
        host = clock or SystemClock()
        # Whoever is alone with the store may move its moments along when the clock is set.
        self._timeline = Timeline(host, self.store) if self.store.is_sqlite else None
        self.clock: Clock = self._timeline or host
        self.work_ready = WorkReady()
        self._busy = BusyQueues()
        self.roster = Roster(self.store, self.clock)
        self.orders = AgentOrders(self.store, self.clock)
        self._definitions = DefinitionCache(
            self._load_definition, retry_delay_cap=settings.retry_delay_cap
        )
        load = self._definitions.get
        self.meters = self.store.meters
        self.scheduler = Scheduler(self.store, settings, load, self.work_ready, self.meters)
        launched_by, rules = made(provider, self.store), settings.resources
        self.resources = ResourceManager(
            self.store, launched_by, load, rules=rules, work_ready=self.work_ready
        )
        self.stopping = Stopping(self.store, self.transaction, self.loaded)
        self.cleaner = Cleaner(
            self.store, settings.retention, self._definitions, self.stopping.take_up
        )
        self.alarms = AlarmLoop(self.store, publisher or Recorder(), self.meters)
        #: Hears the service's other processes. A SQLite file has no other: it has one owner.
        self.listener: Listener | None = None
        if not self.store.is_sqlite:
            self.listener = Listener(self.store.listening, self.work_ready, self.clock)
        self.checks = checks_of(self.store, settings, self, check, self.work_ready)
        self.backfill_rounds = BackfillRounds(self)
        self._duties = self._made_duties(failed)

    def _made_duties(self, failed: Callable[[str, BaseException], None] | None) -> Duties:
        return Duties(
            clock=self.clock,
            scheduler=self.scheduler,
            resources=self.resources,
            alarms=self.alarms,
            failed=failed or (lambda _name, _error: None),
            listener=self.listener,
            checks=self.checks,
            catch_up=self.catch_up,
            look_at_store=self.store.look,
            clean_up=self.cleaner.step,
            save_runners=self.roster.step,
            go_on_with_backfills=self.backfill_rounds.step,
            seal_anew=Reencryption(self.store).step,
            look_s=SHORT_NAP_S if self.store.is_sqlite else LONGEST_NAP_S,
        )

    def start(self) -> None:
        """Start the background duties."""
        self._duties.start()

    def stop(self) -> None:
        """Stop the background duties and close the store."""
        self._duties.stop()
        self.store.close()

    def stuck(self, longest_s: float) -> list[str]:
        """The background duties that hang, if they have done so for so long."""
        return self._duties.stuck(longest_s)

    def catch_up(self) -> None:
        """Before anything is decided: have no lease end because the host's clock was set."""
        if self._timeline is not None:
            self._timeline.catch_up()

    def loaded(self, pipeline_id: str, version: int) -> LoadedDefinition:
        """A version of a definition, ready to be asked."""
        return self._definitions.get(pipeline_id, version)

    @contextmanager
    def transaction(self) -> Iterator[SchedulingTransaction]:
        """A transaction that decides; what became ready is announced after its commit."""
        with self.deciding() as transaction:
            yield transaction
        self._duties.kick()

    # -- pipelines ------------------------------------------------------------------------

    def create_pipeline(
        self,
        caller: Caller,
        name: str,
        unique_id: str,
        description: str | None = None,
        tags: Iterable[tuple[str, str]] = (),
    ) -> str:
        """Make a pipeline, or find the one that the same name and uniqueId made before."""
        with self.store.write() as conn:
            found = pipeline_store.find_by_unique_id(conn, caller.account, name, unique_id)
            if found is not None:
                return found.pipeline_id
            row = PipelineRow(
                pipeline_id=new_pipeline_id(),
                account=caller.account,
                user_id=caller.user,
                name=name,
                unique_id=unique_id,
                description=description,
                tags=tuple(tags),
                state=PipelineState.PENDING,
                created_at=self.clock.now(),
            )
            return pipeline_store.insert_pipeline(conn, row)

    def pipeline(self, pipeline_id: str, caller: Caller | None = None) -> PipelineRow:
        """One pipeline; another account's is not found. Raises Pipeline{NotFound,Deleted}."""
        account = caller.account if caller else None
        with self.store.read() as conn:
            return pipeline_store.load_pipeline(conn, pipeline_id, account=account)

    def pipelines(
        self, caller: Caller, after: str | None, limit: int
    ) -> tuple[list[PipelineRow], bool]:
        """A page of the account's pipelines, and whether there are more."""
        with self.store.read() as conn:
            rows = pipeline_store.list_pipelines(conn, caller.account, after, limit + 1)
        return rows[:limit], len(rows) > limit

    def describe_pipelines(self, ids: Sequence[str], caller: Caller) -> list[Described]:
        """Pipelines with their fields. Raises Pipeline{NotFound,Deleted}."""
        with self.store.read() as conn:
            rows = [
                pipeline_store.load_pipeline(conn, pipeline_id, account=caller.account)
                for pipeline_id in ids
            ]
            return [(row, pipeline_fields(conn, row, self.loaded)) for row in rows]

    def delete_pipeline(self, pipeline_id: str) -> None:
        """Delete a pipeline with all of its instances; what runs is canceled."""
        self.resources.end(self.stopping.delete(pipeline_id, self.clock.now()))

    def set_tags(self, pipeline_id: str, tags: Mapping[str, str]) -> None:
        """Add tags or change their values. Raises InvalidRequest beyond ten."""
        self._change_tags(pipeline_id, lambda held: {**held, **tags})

    def remove_tags(self, pipeline_id: str, keys: Sequence[str]) -> None:
        """Remove tags; no error for those that are not there."""
        gone = set(keys)
        self._change_tags(
            pipeline_id, lambda held: {k: v for k, v in held.items() if k not in gone}
        )

    def _change_tags(
        self, pipeline_id: str, change: Callable[[dict[str, str]], dict[str, str]]
    ) -> None:
        with self.store.write() as conn:
            pipeline_store.change_tags(conn, pipeline_id, change)

    # -- definitions ----------------------------------------------------------------------

    def put_definition(self, pipeline_id: str, definition: Definition) -> int:
        """Store a definition as the latest version; returns its number."""
        return self.change_definition(pipeline_id, lambda _latest: definition)

    def change_definition(
        self, pipeline_id: str, change: Callable[[Definition | None], Definition]
    ) -> int:
        """Store what `change` makes of the latest version as the next one; returns its number.

        Nobody else changes the pipeline in between.
        """
        with self.store.write() as conn:
            row = pipeline_store.load_pipeline(conn, pipeline_id, lock=True)
            return self._save(conn, row, change(self._latest(row)))

    def _latest(self, row: PipelineRow) -> Definition | None:
        version = row.latest_version
        return self.loaded(row.pipeline_id, version).definition if version else None

    def _save(self, conn: Connection, row: PipelineRow, definition: Definition) -> int:
        version, now = row.latest_version + 1, self.clock.now()
        body = DEFINITION.encode(definition)
        pipeline_store.save_definition(conn, row.pipeline_id, version, body, now)
        return version

    def forbidden_edits(self, pipeline_id: str, definition: Definition) -> Sequence[Edit]:
        """What keeps a definition from replacing the one by which a pipeline is active."""
        return activation.edits(self.pipeline(pipeline_id), self.loaded, definition)

    def definition(self, pipeline_id: str, version: str = "latest") -> Definition:
        """The definition that was put last, or the active one. Raises InvalidRequest if none."""
        row = self.pipeline(pipeline_id)
        number = row.active_version if version == "active" else row.latest_version
        if number == 0:
            missing = "was never activated" if version == "active" else "has no definition yet"
            raise InvalidRequest(f"pipeline {pipeline_id} {missing}")
        return self.loaded(pipeline_id, number).definition

    def _load_definition(self, pipeline_id: str, version: int) -> Definition:
        with self.store.read() as conn:
            body = pipeline_store.load_definition(conn, pipeline_id, version)
        if body is None:
            raise InvalidRequest(f"pipeline {pipeline_id} has no definition")
        return DEFINITION.decode(body)

    # -- activation -----------------------------------------------------------------------

    def activate(
        self,
        pipeline_id: str,
        prepare: Callable[[Definition], Definition] | None = None,
        start: datetime | None = None,
    ) -> None:
        """Set the latest definition going, or what `prepare` makes of it.

        All in one transaction: of several activations at once, each runs with its own values.
        Raises InvalidRequest when it cannot be, UsageError for an empty selection.
        """
        with self.deciding() as transaction:
            conn = transaction.conn
            row = pipeline_store.load_pipeline(conn, pipeline_id, lock=True)
            load: Load = self.loaded
            if prepare is not None:
                row, load = self._prepared(conn, row, prepare)
            activation.activate(transaction, row, load, start)
            is_more_due = self.scheduler.is_soon_due(conn, transaction.now)
        if is_more_due:
            self._duties.kick()

    def _prepared(
        self, conn: Connection, row: PipelineRow, prepare: Callable[[Definition], Definition]
    ) -> tuple[PipelineRow, Load]:
        """The pipeline with what is to be activated as its latest version, and how to load it."""
        latest = self._latest(row)
        if latest is None:
            return row, self.loaded  # activation says that there is nothing to activate
        wanted = prepare(latest)
        if wanted is latest:
            return row, self.loaded
        row = replace(row, latest_version=self._save(conn, row, wanted))
        # Not committed yet: others must not see it, and it must not be held if it never is.
        own, key = self._definitions.uncommitted(wanted), (row.pipeline_id, row.latest_version)

        def load(pipeline_id: str, version: int) -> LoadedDefinition:
            return own if (pipeline_id, version) == key else self.loaded(pipeline_id, version)

        return row, load

    def look_at_places(
        self, pipeline_id: str, definition: Definition | None = None
    ) -> Sequence[Finding]:
        """Warnings about where resources run: nowhere, or where some of their fields do nothing.

        Of a definition, or of the one that was put last.
        """
        row = self.pipeline(pipeline_id)
        if definition is None:
            loaded = self.loaded(pipeline_id, row.latest_version)
        else:
            loaded = self._definitions.uncommitted(definition)
        return look_at_places(row, loaded, self.settings.resources)

    def deactivate(self, pipeline_id: str, *, cancel_active: bool = True) -> None:
        """Stop a pipeline. Raises InvalidRequest when it is not active."""
        self.stopping.deactivate(pipeline_id, cancel_active=cancel_active)

    # -- objects --------------------------------------------------------------------------

    @contextmanager
    def objects(self, pipeline_id: str, caller: Caller | None = None) -> Iterator[Objects]:
        """The components, instances and attempts of a pipeline, to be read.

        A caller that is bound to worker groups sees the pipelines that have had work for one.
        """
        row = self.pipeline(pipeline_id, caller)
        groups = caller.worker_groups if caller else None
        with self.store.read() as conn:
            if groups is not None and not instance_store.serves(conn, pipeline_id, groups):
                raise pipeline_store.not_found(pipeline_id)
            yield Objects(conn, row, self.loaded, self.clock.now())

    def set_status(
        self, pipeline_id: str, object_ids: Sequence[str], status: str, caller: Caller = ANONYMOUS
    ) -> None:
        """Change instances by hand, pause or resume what runs. Raises InvalidRequest."""
        with self.transaction() as transaction:
            row = pipeline_store.load_pipeline(transaction.conn, pipeline_id, lock=True)
            set_status(transaction, row, object_ids, status, self.loaded, caller)
