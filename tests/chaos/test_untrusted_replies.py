"""T23: a service that means harm. Whatever it answers to a poll, the agent goes on polling, tells
a verdict or nothing, and writes in its own folders only."""

from __future__ import annotations

import json
import os
import queue
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from taskrunner.agent.forks.children import Child
from taskrunner.agent.handouts.allowance import Allowance
from taskrunner.agent.handouts.attempt import Attempt, AttemptRules, AttemptServices
from taskrunner.agent.handouts.host_deadline import HostDeadline
from taskrunner.agent.handouts.outbox import Outbox
from taskrunner.agent.handouts.recovery import recover
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.job import Job
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.ipc.verdicts import Exit
from taskrunner.agent.journal.journal import Journal
from taskrunner.agent.operations.running_tasks import RunningTasks
from taskrunner.agent.secrets.masking import Masker, secrets_of
from taskrunner.errors import CallRefused, ServiceUnreachable
from taskrunner.metrics import Counters
from taskrunner.model.task import Task
from taskrunner.testing.service import MEMORY
from taskrunner.wire.api import Verdict
from taskrunner.wire.http import HttpReply
from taskrunner.wire.runner import RunnerApi
from tests.chaos.scale import Chaos
from tests.unit.agent.fakes import FakeApi, FakeClock, FakeShipper, FakeSpawner, ThreadsInTurn
from tests.unit.agent.handouts.test_attempt import NoThreads
from tests.unit.wire.fakes import client_answering

ALLOWED = ("s3://good/logs",)

#: What programs have tripped over, in ids, types, paths and periods.
NASTY = [
    "", ".", "..", "/", "//", "../../../../etc/cron.d/x", "/etc/passwd", "a/../../b", "..\\..\\x",
    "\0", "a\0b", "\n", "a\r\nforged: line", "\x1b]0;title\x07", "\ud800", "\udfff\ud800",
    "\u202egnp.exe", "%2e%2e%2f", "%s%n%x", "{0.__class__}", "$(touch /tmp/pwned)", "`id`",
    "'; DROP TABLE x; --", "~root", "CON", "x" * 5000, "é" * 300, "\U0001f600" * 100, "NaN",
    "-1 minutes", "99999999999999999999 years", "0 seconds", "1 minute", "true", "null",
    "400 years", "7900 years", "150000 days", "999999999 seconds", "999999999 weeks",
    "s3://good/logs", "s3://good/logs/../evil", "s3://good/logs-evil", "s3://evil/x", "s3://",
    "file:///etc", "/tmp/evil", "s3://good/logs/\0", "http://169.254.169.254/", "#{node.x}",
    "ShellCommandActivity", "CopyActivity", "@Work_2026-02-13T02:00:00_Attempt=1", "Work",
]  # fmt: skip

texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=40), st.text("./\0\\", max_size=8))
weird: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
keys = st.one_of(
    st.sampled_from(
        ["type", "pipelineLogUri", "attemptTimeout", "reportProgressTimeout", "command", "stage",
         "@componentParent", "@instanceParent", "*password", "input", "runAsUser"]
    ),
    texts,
)  # fmt: skip


names = texts.map(lambda text: text or "df-1")
in_ten = st.integers(0, 9)


@st.composite
def fields(draw: st.DrawFn) -> Any:
    if draw(st.integers(0, 40)) == 0:
        return draw(weird)
    form = draw(st.sampled_from(["stringValue", "stringValue", "refValue"]))
    return {"key": draw(keys), form: draw(texts)}


@st.composite
def tasks(draw: st.DrawFn) -> Any:
    """A task as a service might shape it, now and then with a member replaced by anything."""
    attempt = draw(names)
    own = [] if draw(in_ten) == 0 else [attempt]
    some = st.lists(fields(), max_size=6)
    objects: dict[str, Any] = {
        key: {"id": draw(names), "name": draw(names), "fields": draw(some)}
        for key in [*own, *draw(st.lists(texts, max_size=2))]
    }
    task: dict[str, Any] = {
        "taskId": draw(names),
        "pipelineId": draw(names),
        "attemptId": attempt,
        "objects": objects,
    }
    if draw(in_ten) == 0:
        task[draw(st.sampled_from(sorted(task)))] = draw(weird)
    return task


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """Mostly JSON of about the right shape; sometimes cut, nested or not JSON at all."""
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return draw(st.binary(max_size=200))
    if kind == 1:
        depth = draw(st.sampled_from([100, 5_000, 200_000]))
        return b'{"taskObject":' + b"[" * depth + b"]" * depth + b"}"
    if kind == 2:
        depth = draw(st.sampled_from([500, 20_000]))
        return b'{"taskObject":{"objects":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}}"
    body = json.dumps({"taskObject": draw(tasks())}).encode()
    if kind == 3:
        return body[: draw(st.integers(0, len(body)))]
    return body


class Host:
    """The agent's way from a reply to a verdict, with the child's process left out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.reply = b""
        self.journal = Journal(self.work / "journal")
        self.clock, self.spawner, self.api = FakeClock(), FakeSpawner(), FakeApi()
        self.running_tasks = RunningTasks(self.clock, Counters())
        self.spawner.on_spawn = self.live
        client, _ = client_answering(lambda _: HttpReply(status=200, headers={}, body=self.reply))
        self.polls = RunnerApi(client.call)
        self.shipper = FakeShipper()
        self.allowance = Allowance(log_uris=ALLOWED)
        self.services = AttemptServices(
            api=self.api,
            spawner=self.spawner,
            shipper=self.shipper,  # type: ignore[arg-type]
            outbox=Outbox(self.api, self.clock),
            threads=NoThreads(queue.SimpleQueue()),
            clock=self.clock,
            rules=AttemptRules(allowance=self.allowance),
            stopping=threading.Event(),
            canceling=threading.Event(),
            host_deadline=HostDeadline(self.clock),
        )
        self.taken = self.ran = self.refused = self.no_task = 0

    def live(self, child: Child) -> None:
        """What the child does first: read its job, make its folders, know its secrets."""
        job = Job.decode(self.spawner.spawned[-1][1])
        for folder in (job.files.log_dir, job.files.work_dir):
            folder.mkdir(parents=True, exist_ok=True)
        Masker(secrets_of(job.task, {})).text(job.task.attempt_id)
        for name in ("Activity.log", "StdOutput", "StdError"):
            (job.files.log_dir / name).write_text("written")
        job.files.result.write_text(json.dumps(verdicts.to_json(verdicts.FINISHED)))
        child.ended(Exit(status=0))

    def poll(self) -> None:
        """One round, as a slot does it; anything but these errors would end the slot."""
        try:
            task = self.polls.poll_for_task(worker_group="wg", hostname="host")
        except (ServiceUnreachable, CallRefused):
            self.no_task += 1
            return
        if task is None:
            self.no_task += 1
        else:
            # The same id twice would be one hand-out, and not run again.
            self.taken += 1
            self.run(replace(task, task_id=f"{task.task_id}{self.taken}"))

    def run(self, task: Task) -> None:
        files = AttemptFiles.of(
            task,
            output=self.work / "output",
            default_log_uri="s3://mine/logs",
            takes_logs_at=self.allowance.takes_logs_at,
        )
        entry = self.journal.accept(task, files)
        assert entry is not None
        with self.running_tasks.post(task, entry):
            Attempt(task, entry, self.services).run()
            json.dumps([running.type for running in self.running_tasks.running()])
        verdict = self.api.named("status")[-1]
        assert isinstance(verdict, Verdict)
        self.ran += verdict.status == "FINISHED"
        self.refused += verdict.status == "FAILED"
        for uploads in self.shipper.shipped:
            for path, uri in uploads:
                assert path.is_relative_to(self.work)
                assert uri.startswith((f"{ALLOWED[0]}/", "s3://mine/logs/")), uri
                assert ".." not in uri.split("/")
        self.shipper.shipped.clear()

    def recovers(self) -> None:
        """A restart reads whatever the journal was made to hold."""
        self.journal.close()
        self.journal = Journal(self.work / "journal")
        services = replace(self.services, threads=ThreadsInTurn(queue.SimpleQueue()))
        recover(self.journal, services, lambda: None)


#: A task whose own object is not sent with it.
WITHOUT_ITSELF = json.dumps(
    {"taskObject": {"taskId": "t", "pipelineId": "df-1", "attemptId": "a", "objects": {}}}
).encode()


def strays(folder: Path) -> Iterator[Path]:
    """Everything under the test's folder that is not in the agent's, links included."""
    for parent, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = Path(parent, name)
            if path.is_symlink() or not path.resolve().is_relative_to(folder / "work"):
                yield path


@pytest.fixture
def host() -> Iterator[Host]:
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        host = Host(Path(folder).resolve())
        yield host
        host.journal.close()


def test_no_reply_ends_the_agent_or_makes_it_write_elsewhere(host: Host, chaos: Chaos) -> None:
    trials = chaos.trials(400, 50_000)
    marks = [Path("/tmp/pwned"), Path("/tmp/evil"), Path("/etc/cron.d/x")]
    before = [mark.exists() for mark in marks]

    @hypothesis.seed(chaos.seed)
    @hypothesis.settings(
        max_examples=trials, deadline=None, database=None, derandomize=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(replies())
    @hypothesis.example(WITHOUT_ITSELF)
    def one(reply: bytes) -> None:
        host.reply = reply
        host.poll()
        assert not [path for path in strays(host.folder) if path != host.work]
        shutil.rmtree(host.work / "output", ignore_errors=True)

    one()
    host.recovers()
    assert [mark.exists() for mark in marks] == before
    # The faults were real: all three ways were taken many times.
    assert min(host.ran, host.refused, host.no_task) > trials // 20
    chaos.found(
        "T23",
        f"{trials} replies: {host.ran} tasks run, {host.refused} refused with a verdict, "
        f"{host.no_task} no task at all; the agent stood, and wrote in its folders only",
    )


@pytest.mark.parametrize(
    "break_it",
    [
        lambda task: task["objects"].update({str(n): _object(0) for n in range(6_000)}),
        lambda task: task["objects"].update({"x": _object(200_000)}),
        lambda task: task.update(taskId="t" * 3_000),
        lambda task: task.update(taskId=""),
        lambda task: task.update(pipelineId="p" * 3_000),
        lambda task: task.update(attemptId=""),
        lambda task: task["objects"].update({"y" * 3_000: _object(1)}),
        lambda task: task["objects"]["x"]["fields"].append({"key": "k" * 2_000, "stringValue": ""}),
    ],
)
def test_a_task_beyond_all_measure_is_not_taken(
    host: Host, break_it: Callable[[dict[str, Any]], None]
) -> None:
    task = {"taskId": "t", "pipelineId": "df-1", "attemptId": "x", "objects": {"x": _object(1)}}
    host.reply = json.dumps({"taskObject": task}).encode()
    found = host.polls.poll_for_task(worker_group="wg", hostname="host")
    assert found is not None
    break_it(task)
    host.reply = json.dumps({"taskObject": task}).encode()
    with pytest.raises(ServiceUnreachable, match="a task that is not taken"):
        host.polls.poll_for_task(worker_group="wg", hostname="host")


def _object(fields: int) -> dict[str, Any]:
    return {"id": "x", "name": "x", "fields": [{"key": "k", "stringValue": ""}] * fields}
