from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.emr import EmrActivity
from taskrunner.activities.engines.base import Call
from taskrunner.activities.engines.emr import EmrEngine
from taskrunner.activities.engines.steps import Steps, available
from taskrunner.errors import Canceled, ErrorId, PermanentTaskError, TaskError
from taskrunner.model.steps.reader import read_step
from taskrunner.model.steps.works import RunCommand, Work
from taskrunner.testing import ActivityEnvironment, Ref, new_object, new_task
from tests.unit.activities.engines.host import Host, environment


class _Engine:
    def __init__(self, name: str, *, reason: str | None = None, is_remote: bool = False) -> None:
        self.name = name
        self.is_remote = is_remote
        self.calls: list[Call] = []
        self._reason = reason

    def objection(self, work: Work) -> str | None:
        return self._reason

    def run(self, call: Call) -> None:
        self.calls.append(call)


def _prepare(found: ActivityEnvironment, engines: Sequence[_Engine], *texts: str) -> Steps:
    found._begin(_Nothing(), new_task("Nothing"))
    return Steps.prepare(found, [read_step(text) for text in texts], queue="q", engines=engines)


class _Nothing(Activity):
    type = "Nothing"

    def run(self, ctx: Context) -> None:
        raise NotImplementedError


def test_the_first_engine_without_an_objection_runs_all() -> None:
    first, second = _Engine("first", reason="it is closed"), _Engine("second")
    third = _Engine("third")
    with environment() as found:
        _prepare(found, [first, second, third], "/a.jar", "/b.jar").run()
    assert first.calls == third.calls == []
    assert [(call.number, call.count, call.queue) for call in second.calls] == [
        (1, 2, "q"),
        (2, 2, "q"),
    ]


def test_every_objection_is_told() -> None:
    engines = [_Engine("first", reason="it is closed"), _Engine("second", reason="it is far")]
    with environment() as found:
        with pytest.raises(PermanentTaskError) as caught:
            _prepare(found, engines, "/a.jar")
        assert str(caught.value) == (
            "Nothing 'Activity' cannot run here: engine first, a.jar: it is closed; "
            "engine second, a.jar: it is far"
        )


def test_a_cancellation_is_noticed_between_steps() -> None:
    engine = _Engine("only")
    with environment() as found:
        steps = _prepare(found, [engine], "/a.jar", "/b.jar")
        found.cancel_after = 1
        with pytest.raises(Canceled):
            steps.run()
    assert len(engine.calls) == 1


def test_what_the_program_does_itself_needs_no_engine() -> None:
    done: list[Work] = []

    def run(_ctx: Context, work: Work) -> None:
        done.append(work)
        raise TaskError("it did not work", error_id=ErrorId.NOT_FOUND)

    step = read_step("command-runner.jar,x")
    with environment() as found:
        found._begin(_Nothing(), new_task("Nothing"))
        engine = _Engine("only", reason="never")
        steps = Steps.prepare(found, [step], engines=[engine], native={RunCommand: run})
        with pytest.raises(TaskError, match=r"^x: it did not work$") as caught:
            steps.run()
    assert caught.value.error_id == ErrorId.NOT_FOUND
    assert done == [RunCommand(argv=("x",))]


@pytest.mark.parametrize("is_remote", [False, True])
def test_only_a_cluster_may_need_to_have_pig_installed(is_remote: bool) -> None:
    engine = _Engine("only", is_remote=is_remote)
    with environment() as found:
        _prepare(found, [engine], "command-runner.jar,pig-script,--install-pig").run()
    assert len(engine.calls) == is_remote


def test_exports_and_imports_of_dynamodb_need_no_engine() -> None:
    step = read_step("s3://b/ddb.jar,org.apache.hadoop.dynamodb.tools.DynamoDbExport,s3://b/x,t")
    with environment() as found:
        found._begin(_Nothing(), new_task("Nothing"))
        Steps.prepare(found, [step], engines=[_Engine("only", reason="never")])
        assert found.messages == []


@pytest.mark.parametrize(
    ("told", "cluster", "names"),
    [
        ("auto", None, ["command", "emr", "local"]),
        ("auto", "j-1", ["emr", "command", "local"]),
        ("local", "j-1", ["local"]),
        ("command", None, ["command"]),
        ("emr", None, ["emr"]),
    ],
)
def test_the_operator_says_which_engine_it_is(
    told: str, cluster: str | None, names: list[str]
) -> None:
    with environment(told, emr_cluster=cluster) as found:
        found._begin(_Nothing(), new_task("Nothing"))
        assert [engine.name for engine in available(found)] == names


@pytest.mark.parametrize(
    ("handle", "cluster"),
    [
        ("emr:eu-west-1:j-7", "j-7"),
        ("emr:eu-west-1:j-7#had:oop", "j-7"),
        ("group:emr", None),
        ("ec2:eu-west-1:i-1", None),
        (None, None),
    ],
)
def test_a_cluster_that_was_made_for_the_resource_is_meant_whatever_the_settings_are(
    handle: str | None, cluster: str | None
) -> None:
    told = {} if handle is None else {"@resourceId": handle}
    resource = new_object("@R_1", "EmrCluster", told)
    task = new_task("Nothing", {"runsOn": Ref("@R_1")}, resource)
    with environment("command") as found:
        found._begin(_Nothing(), task)
        engines = available(found)
    if cluster is None:
        assert [engine.name for engine in engines] == ["command"]
    else:
        (engine,) = engines
        assert isinstance(engine, EmrEngine)
        assert (engine._cluster_id, engine._region) == (cluster, "eu-west-1")


def test_without_an_engine_all_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Host(tmp_path, monkeypatch)
    step = "command-runner.jar,pig-script,--run-pig-script,--args,-f,s3://b/x.pig"
    with environment() as found, pytest.raises(PermanentTaskError) as caught:
        found.run(EmrActivity(), new_task("EmrActivity", {"step": step}))
    assert str(caught.value) == (
        "EmrActivity 'Activity' cannot run here: "
        "engine command, Pig script s3://b/x.pig: no pig is on the PATH of this host; "
        "engine emr, Pig script s3://b/x.pig: no cluster is named (emr_cluster), and this host is "
        "no cluster's master node; "
        "engine local, Pig script s3://b/x.pig: Pig runs only where a pig command is, or on an EMR "
        "cluster (emr_engine)"
    )
