"""A run on this machine: the real service on loopback, real agents, followed to its end."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from taskrunner.agent.ipc.names import MARK
from taskrunner.cli.browsers import show_secret
from taskrunner.cli.follow import Follower
from taskrunner.cli.interrupts import Interrupts
from taskrunner.cli.local_resources import refuse_unreached
from taskrunner.cli.outcome import Outcome, Places, find_cut_waits, find_places
from taskrunner.cli.run_folders import RunFolder
from taskrunner.cli.snapshot import Snapshot
from taskrunner.cli.stillness import Stillness, why_of
from taskrunner.clock import Clock
from taskrunner.errors import ConfigError, InvalidRequest, TaskrunnerError, UsageError
from taskrunner.model.document import Definition
from taskrunner.model.instances import Category
from taskrunner.model.parameters import parameter_values
from taskrunner.model.selection import Selection
from taskrunner.model.states import InstanceStatus, PipelineState
from taskrunner.plain import distinct
from taskrunner.service.actions.publisher import Keeper, Publisher, SnsPublisher
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.engine import Service
from taskrunner.service.loopback import LoopbackServer, Pages
from taskrunner.service.resources.base import ResourceFailure, ResourceProvider
from taskrunner.service.resources.engines import GivenEngines
from taskrunner.service.resources.local import LocalProcesses
from taskrunner.service.resources.providers import Providers
from taskrunner.service.resources.rules import Rules
from taskrunner.service.resources.targets import Where
from taskrunner.service.settings import LogSettings, ServiceSettings

#: How often a run is looked at, in seconds.
LOOK_S = 0.1
#: How long agents have to end what they do once a run is canceled, in seconds.
CANCEL_GRACE_S = 10.0
#: So many of them are named when a run waits for them to end.
NAMED, NAME_WIDTH = 3, 24
#: How long the end of a run waits for alarms to be tried, in seconds.
ALARMS_S = 30.0
#: As long as the kernel takes.
_LONGEST_PATH = 4096
#: An agent that ends by itself is started anew so often.
AGENT_RESTARTS = 3


#: Where resources run that no rule matches, and who says so.
OTHERWISE = ("local", "taskrunner run")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """What a local run is told."""

    work_dir: Path
    #: The folder that stands for S3; None: a real S3 API.
    s3_root: Path | None = None
    s3_endpoint: str | None = None
    databases: Mapping[str, str] = field(default_factory=dict, repr=False)
    selection: Selection = field(default_factory=Selection)
    retry_delay_cap: timedelta = timedelta(seconds=2)
    #: Publish alarms to SNS; otherwise they are only shown.
    publish: bool = False
    tasks: int = 4
    #: The folders and files of this host that the definition may name, besides its own folders.
    local_paths: tuple[Path, ...] = ()
    #: Where resources run; what no rule matches becomes an agent here.
    resources: Rules = field(default_factory=Rules)
    #: Show the run in the console while it goes on.
    console: bool = False


class LocalRun:
    """One definition, run once; everything that it keeps is under one folder."""

    def __init__(self, definition: Definition, options: LocalOptions, clock: Clock) -> None:
        self._definition = definition
        self._options = options
        self._clock = clock
        self._stop = threading.Event()
        self._interrupts = Interrupts(self._stop)
        self._broken: list[str] = []
        self._folder = _make_folders(options, clock, definition.source)
        self.folder = self._folder.path
        #: What the run was served by, once it began.
        self.server: LoopbackServer | None = None

    @property
    def logs(self) -> Path:
        """Where the agents keep the logs of attempts."""
        return self.folder / "logs"

    @property
    def signal(self) -> int | None:
        """The first signal that the run was sent, if there was one."""
        return self._interrupts.number

    def close(self) -> None:
        """Let go of the run's folder: from now on a later run may remove it."""
        self._folder.release()

    def run(self, follower: Follower) -> Outcome:
        """Run to the end. Raises UsageError, InvalidRequest or StoreError when it cannot begin.

        A second signal raises KeyboardInterrupt, once everything has been ended by force.
        """
        began, at = self._clock.monotonic(), self._clock.now()
        with ExitStack() as stack:
            stack.enter_context(self._interrupts.heard())
            server = self.server = LoopbackServer()
            agents = self._agents(server.url)
            service = self._service(agents)
            stack.callback(service.stop)
            stack.enter_context(server.serving(service, self._pages()))
            stack.callback(self._end, agents)
            pipeline_id = self._activate(service)
            service.start()
            stack.callback(follower.close)
            if self._options.console:
                _say_console(f"{server.pages_url}/p/{pipeline_id}/grid", follower, self.folder)
            interrupted = self._follow(service, agents, pipeline_id, follower)
            snapshot = self._with_alarms(service, pipeline_id)
            follower.show(snapshot)
            own = Places(folder=self.folder, logs=self.logs, s3_root=self._options.s3_root)
            places = find_places(service, snapshot, own)
            cut_waits = find_cut_waits(service.loaded, snapshot)
            if snapshot.state is PipelineState.SCHEDULED:
                # Resources of users that wait for ever are to go too.
                _cancel(service, pipeline_id)
        return Outcome(
            snapshot=snapshot,
            places=places,
            source=self._definition.source or "-",
            began=at,
            took_s=self._clock.monotonic() - began,
            interrupted=self._interrupts.number if interrupted else None,
            trouble=self._broken[0] if self._broken else None,
            cut_waits=cut_waits,
            longest_wait_s=self._options.retry_delay_cap.total_seconds(),
        )

    def _end(self, agents: LocalProcesses) -> None:
        """End the agents with what they run: with patience, unless there is none left."""
        try:
            agents.close(grace_s=0 if self._interrupts.hard else CANCEL_GRACE_S)
        except KeyboardInterrupt:
            agents.close(grace_s=0)
            raise

    def _pages(self) -> Pages:
        """The console's, if it is wanted: nobody else pays for loading it."""
        if not self._options.console:
            return lambda _parts: ()
        from taskrunner.console.table import console

        return console(keys=False, for_shells=False)

    def _service(self, agents: LocalProcesses) -> Service:
        options = self._options
        settings = ServiceSettings(
            database_url=f"sqlite:///{self.folder / 'service.db'}",
            selection=self._options.selection,
            retry_delay_cap=self._options.retry_delay_cap,
            resources=self._options.resources.otherwise(*OTHERWISE),
            logs=LogSettings(
                kept=self.logs, s3_root=options.s3_root, s3_endpoint=options.s3_endpoint
            ),
        )
        publisher: Publisher = SnsPublisher() if self._options.publish else Keeper()
        return Service(
            settings,
            clock=self._clock,
            provider=self._provider(agents),
            publisher=publisher,
            failed=self._duty_failed,
        )

    @staticmethod
    def _provider(agents: LocalProcesses) -> ResourceProvider:
        """What starts agents: for resources here, and for what is there in a cluster's place."""
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        given = GivenEngines(region=region or "us-east-1", starter=agents)
        there = dict.fromkeys((Where.EMR_SERVERLESS, Where.SPARK), given)
        return Providers({Where.LOCAL: agents, **there})

    def _duty_failed(self, name: str, error: BaseException) -> None:
        self._broken.append(f"the service's {name} failed: {type(error).__name__}: {error}")
        self._stop.set()

    def _agents(self, url: str) -> LocalProcesses:
        options = self._options
        args = ["--tasks", str(options.tasks)]
        if options.s3_root is not None:
            args += ["--s3-root", str(options.s3_root)]
        if options.s3_endpoint is not None:
            args += ["--s3-endpoint", options.s3_endpoint]
        for path in self._local_paths():
            args += ["--local-paths", str(path)]
        config = self.folder / "agent.toml"
        config.touch()
        env = agent_environment(os.environ, url=url, databases=options.databases, config=config)
        return LocalProcesses(args, folder=self.folder / "agents", logs=self.logs, env=env)

    def _local_paths(self) -> list[Path]:
        """What the run is told, its own folders, and the files that parameters' values name."""
        options = self._options
        own = [options.work_dir, *([] if options.s3_root is None else [options.s3_root])]
        return list(dict.fromkeys([*options.local_paths, *own, *_named_files(self._definition)]))

    def _activate(self, service: Service) -> str:
        name = Path(self._definition.source or "pipeline").stem
        pipeline_id = service.create_pipeline(ANONYMOUS, name, name)
        version = service.put_definition(pipeline_id, self._definition)
        loaded = service.loaded(pipeline_id, version)
        refuse_unreached(
            loaded.components, name, self._options.resources, s3_root=self._options.s3_root
        )
        on_demand = loaded.on_demand
        if on_demand and self._options.selection != Selection():
            raise UsageError(
                "--at, --from and --to choose among the periods of a schedule; this pipeline runs "
                "on demand, once"
            )
        service.activate(pipeline_id)
        return pipeline_id

    def _follow(
        self, service: Service, agents: LocalProcesses, pipeline_id: str, follower: Follower
    ) -> bool:
        """Show snapshots until nothing more happens; whether somebody cut it short."""
        canceled = False
        crew = _Crew(agents)
        still = Stillness(lambda: why_of(service, pipeline_id), follower.say, self._clock)
        while True:
            snapshot = Snapshot.take(service, pipeline_id)
            follower.show(snapshot)
            still.look(snapshot)
            if snapshot.over or self._broken:
                return canceled
            self._attend(crew, snapshot)
            if self._stop.is_set() and not canceled:
                canceled = True
                follower.say(_stopping(snapshot))
                _cancel(service, pipeline_id)
            self._clock.wait(threading.Event() if canceled else self._stop, LOOK_S)

    def _with_alarms(self, service: Service, pipeline_id: str) -> Snapshot:
        """The end's snapshot, once each alarm has been tried (or for long enough)."""
        never = threading.Event()
        stopped = self._stop.is_set()
        for _ in range(int(ALARMS_S / LOOK_S)):
            snapshot = Snapshot.take(service, pipeline_id)
            if all(alarm.tries for alarm in snapshot.alarms):
                break
            if self._stop.is_set() and not stopped:
                # Asked to stop when nothing runs any more: then this is not waited for.
                break
            self._clock.wait(never if stopped else self._stop, LOOK_S)
        return snapshot

    def _attend(self, crew: _Crew, snapshot: Snapshot) -> None:
        try:
            crew.attend(snapshot)
        except (TaskrunnerError, ResourceFailure) as error:
            # What has run so far is still to be reported.
            self._broken.append(str(error))


def _stopping(snapshot: Snapshot) -> str:
    """What the end of a run waits for once it was asked to stop."""
    running = [
        row.component_id
        for row in snapshot.instances
        if row.status is InstanceStatus.RUNNING and row.category != Category.RESOURCE
    ]
    once_more = "Ctrl-C again ends it at once"
    if not running:
        return f"Stopping: nothing runs, the rest is canceled; {once_more}"
    named = ", ".join(distinct(running[:NAMED], NAME_WIDTH).values())
    more = f" and {len(running) - NAMED} more" if len(running) > NAMED else ""
    return f"Stopping: waiting up to {1.5 * CANCEL_GRACE_S:.0f} s for {named}{more}; {once_more}"


def _say_console(url: str, follower: Follower, folder: Path) -> None:
    follower.say(f"Console: {url}")
    show_secret(url, folder)


def _named_files(definition: Definition) -> Iterator[Path]:
    """Files that the values of parameters name: so whoever runs it says where things are."""
    for name, texts in parameter_values(definition).items():
        for text in texts:
            # Command lines can be read by others, so that no secret may get there.
            plain = not name.startswith("*") and text.isprintable() and len(text) < _LONGEST_PATH
            straight = text.startswith("/") and ".." not in text.split("/")
            # Not a folder: only what is named is meant, and not all that is below it.
            if plain and straight and not os.path.isdir(text):  # noqa: PTH112  false if it cannot
                yield Path(text)


def _cancel(service: Service, pipeline_id: str) -> None:
    try:
        service.deactivate(pipeline_id, cancel_active=True)
    except InvalidRequest:
        # It came to its end by itself in the meantime.
        return


class _Crew:
    """The agents of plain worker groups: one each, started when the group is first needed."""

    def __init__(self, agents: LocalProcesses) -> None:
        self._agents = agents
        self._handles: dict[str, str] = {}
        self._starts: dict[str, int] = {}

    def attend(self, snapshot: Snapshot) -> None:
        """Start what is missing. Raises TaskrunnerError when an agent will not stay."""
        for group in _groups(snapshot):
            handle = self._handles.get(group)
            if handle is not None and self._agents.alive(handle):
                continue
            starts = self._starts.get(group, 0)
            if starts > AGENT_RESTARTS:
                raise TaskrunnerError(
                    f"the agent of worker group {group!r} ends again and again: "
                    f"{self._agents.last_words(group)}"
                )
            self._handles[group] = self._agents.start(group)
            self._starts[group] = starts + 1


def _groups(snapshot: Snapshot) -> list[str]:
    managed = {row.worker_group for row in snapshot.instances if row.category == Category.RESOURCE}
    wanted = (row.worker_group for row in snapshot.instances if row.worker_group)
    return [group for group in dict.fromkeys(wanted) if group not in managed]


def _make_folders(options: LocalOptions, clock: Clock, source: str | None) -> RunFolder:
    try:
        folder = RunFolder(options.work_dir / "runs", Path(source or "pipeline").stem, clock)
        (folder.path / "logs").mkdir()
        if options.s3_root is not None:
            options.s3_root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        where = Path(error.filename or options.work_dir)
        under = options.s3_root is not None and not where.is_relative_to(options.work_dir)
        raise ConfigError(
            f"{where}: cannot be written to ({error.strerror}); choose another with "
            f"{'--s3-root' if under else '--work-dir'}"
        ) from None
    return folder


def agent_environment(
    environ: Mapping[str, str], *, url: str, databases: Mapping[str, str], config: Path
) -> dict[str, str]:
    """What the agents of a run are told; of the caller's settings only which variables pass.

    Other settings, and `config` in place of the file in /etc, are those of the agent that is
    installed on this host: its groups, users and limits are not a run's.
    """
    own = {name for name in environ if name.startswith("TASKRUNNER_")} - {MARK}
    passed = [given] if (given := environ.get("TASKRUNNER_PASS_ENV")) else []
    return {
        **{name: value for name, value in environ.items() if name not in own},
        "TASKRUNNER_CONFIG": str(config),
        # By the environment: the URL is the key to this run's service, and those of databases
        # hold passwords; other users may read command lines.
        "TASKRUNNER_ENDPOINT": url,
        "TASKRUNNER_DATABASES": json.dumps(dict(databases)),
        "TASKRUNNER_PROGRESS_INTERVAL": "1",
        # However this process ends, its agents and their commands are not to outlive it.
        "TASKRUNNER_EXIT_WITH_PARENT": str(os.getpid()),
        # Who runs a pipeline here and now runs it with the rights of this very session.
        "TASKRUNNER_ALLOW_ROOT": "true",
        "TASKRUNNER_PASS_ENV": ",".join([*passed, "HOME"]),
    }
