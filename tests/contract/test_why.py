"""Why does it wait? Every fault is made in earnest, and its cause and remedy are named."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa

from taskrunner.cli import COMMANDS
from taskrunner.cli.operators.why_by_api import why_by_api
from taskrunner.errors import InvalidRequest
from taskrunner.model.why.causes import Code
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.settings import ServiceSettings
from taskrunner.testing import ServiceInProcess
from taskrunner.wire.api import operation_of
from tests.contract.stores import OPENING
from tests.contract.v1 import OTHER, V1
from tests.contract.why_faults import FAULTS, Fault, first, row_of, told
from tests.unit.service.worlds import T, check, ec2, ref, schedule, scheduled, shell, values

DOC = Path(__file__).parents[2] / "docs/why.md"
A, B = f"@A_{T}", f"@B_{T}"
PROD = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "prod"}

#: What AWS's own operations do not tell, and what is said by them instead.
_RUNNERS = (
    *(Code.NO_RUNNER, Code.RUNNER_OF_OTHER_NAME, Code.RUNNER_OF_OTHER_ACCOUNT),
    *(Code.RUNNER_REFUSED, Code.RUNNER_SILENT, Code.RUNNERS_PAUSED, Code.RUNNERS_BUSY),
    *(Code.IN_QUEUE, Code.HANDED_OUT),
)
LESS: dict[Code, set[Code]] = {
    **{code: {Code.RUNNERS_NOT_KNOWN} for code in _RUNNERS},
    Code.RUN_WAITS: {Code.ABOUT_TO_BEGIN},
    Code.MAX_ACTIVE_INSTANCES: {Code.ABOUT_TO_BEGIN, Code.RUNNERS_NOT_KNOWN},
    Code.RESOURCE_NO_RULE: {Code.RESOURCE_LAUNCH_FAILED},
    Code.RESOURCE_AWAITED: {Code.RESOURCE_LAUNCH_FAILED, Code.RESOURCE_STARTING},
    Code.RUNNER_NOT_REPORTING: {Code.RUNNING},
}
LESS[Code.NO_RUNNER] |= {Code.ABOUT_TO_BEGIN}
LESS[Code.RUNNER_SILENT] |= {Code.PRECONDITION_NOT_MET}
LESS[Code.RUNNER_OF_OTHER_NAME] |= {Code.RESOURCE_LAUNCH_FAILED}


@pytest.fixture(scope="module")
def opened() -> Iterator[ServiceInProcess]:
    with ServiceInProcess() as world:
        yield world


@pytest.fixture
def world(opened: ServiceInProcess) -> ServiceInProcess:
    return opened.reset()


def call_of(world: ServiceInProcess) -> Any:
    """AWS's operations, without a wire."""
    return lambda request: HANDLERS[operation_of(request)](world.service, ANONYMOUS, request)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_cause_and_remedy_of_each_fault(
    world: ServiceInProcess, fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pipeline.json").touch()
    monkeypatch.chdir(tmp_path)
    pipeline, about = fault.make(world)
    root = first(world.why(pipeline, about), about).root
    assert root.code == fault.code, root
    assert told(root.command, pipeline).startswith(fault.command), root
    said = told(root.says, pipeline)
    assert [name for name in fault.names if name not in said] == [], said
    assert "\n" not in root.says + root.command
    check_command(shlex.split(root.command))
    row = row_of(fault, root, pipeline)
    assert row in DOC.read_text(encoding="utf-8").splitlines(), (
        f"docs/why.md: print its table by python -m tests.contract.why_faults: {row}"
    )
    by_api = first(why_by_api(call_of(world), pipeline, about, world.now), about).root
    assert by_api.code in {fault.code, *LESS.get(fault.code, ())}, by_api
    assert by_api.command


def check_command(words: list[str]) -> None:
    """A command of ours takes these arguments."""
    if words[0] != "taskrunner":
        assert words[0] in {"aws", "journalctl"}
        return
    name, arguments = ("agent", words[1:]) if words[1][0] == "-" else (words[1], words[2:])
    module, _, attribute = COMMANDS[name][0].partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute or "command")
    if isinstance(command, click.Group):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    context = command.make_context(name, arguments, resilient_parsing=False)
    assert context.args == []


def test_the_document_has_these_faults_and_every_code() -> None:
    text = DOC.read_text(encoding="utf-8")
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40
    rows = text.partition("## Tried")[2].splitlines()
    assert sum(line.startswith("| ") for line in rows) == len(FAULTS) + 1
    assert set(re.findall(r"^\| `([A-Z_]+)`", text, re.MULTILINE)) == {*Code}


# -- the guide's list of troubles: each is found, and mended by what is said ---------------------


def mend(world: ServiceInProcess, pipeline: str, about: str | None, code: Code) -> list[str]:
    """The words of the command for a trouble that must be found."""
    root = first(world.why(pipeline, about), about).root
    assert root.code == code, root
    return shlex.split(root.command)


def test_stuck_pending(world: ServiceInProcess) -> None:
    pipeline = world.put([PROD, shell("A")])
    command = mend(world, pipeline, None, Code.NOT_ACTIVATED)
    assert command == ["taskrunner", "pipelines", "activate", pipeline]
    world.service.activate(pipeline)
    world.settle()
    assert world.why(pipeline).pipeline == ()


def test_stuck_waiting_for_runner(world: ServiceInProcess) -> None:
    pipeline = world.run([PROD, shell("A")])
    world.poll("Prod")
    *program, group = mend(world, pipeline, None, Code.RUNNER_OF_OTHER_NAME)
    assert program == ["taskrunner", "--worker-group"]
    assert world.work_off(group) == [f"{A}_Attempt=1"]
    assert first(world.why(pipeline), None).code is Code.PIPELINE_FINISHED


def test_wrong_order(world: ServiceInProcess) -> None:
    pipeline = world.run([PROD, shell("A"), shell("B")])
    assert [len(world.work_off("prod"))] == [2]
    assert mend(world, pipeline, B, Code.FINISHED)[:3] == ["taskrunner", "pipelines", "put"]
    ordered = world.run([PROD, shell("A"), shell("B", after="A")])
    world.work_off("prod")
    assert f"when {A} had finished" in first(world.why(ordered, B), B).says


def test_400_pipeline_not_found(world: ServiceInProcess) -> None:
    v1 = V1(world)
    answer = v1.get("/pipelines/df-NOWHERE/why")
    assert (answer.status, answer.json["error"]["code"]) == (404, "PipelineNotFoundException")
    # What the command makes of it: tests/unit/cli/operators/test_why.py.


# -- the rest -----------------------------------------------------------------------------------


def test_the_steps_to_the_root_are_told(world: ServiceInProcess) -> None:
    pipeline = world.run([PROD, shell("A"), shell("B", after="A"), shell("C", after="B")])
    (cause,) = world.why(pipeline, f"@C_{T}").waiting[0].causes
    chain = [cause, cause.because[0], cause.because[0].because[0]]
    assert [item.code for item in chain] == [
        Code.DEPENDENCY_NOT_FINISHED,
        Code.DEPENDENCY_NOT_FINISHED,
        Code.NO_RUNNER,
    ]
    assert {item.command for item in chain} == {"taskrunner --worker-group prod"}


def test_a_pipeline_is_told_by_one_instance_of_each_component_and_status(
    world: ServiceInProcess,
) -> None:
    world.clock.advance(timedelta(hours=9, minutes=1))
    pipeline = world.run([scheduled(workerGroup="prod"), schedule(), shell("A")])
    world.take("prod")
    found = world.why(pipeline).waiting
    assert [(w.component_id, w.status, w.count) for w in found] == [
        ("A", "WAITING_ON_DEPENDENCIES", 5),
        ("A", "WAITING_FOR_RUNNER", 4),
        ("A", "RUNNING", 1),
    ]
    assert world.why(pipeline, "A") == world.why(pipeline)


def test_an_attempt_is_asked_about_as_its_instance_and_nothing_else_is_there(
    world: ServiceInProcess,
) -> None:
    pipeline = world.run([PROD, shell("A")])
    assert world.why(pipeline, f"{A}_Attempt=1") == world.why(pipeline, A)
    world.work_off("prod")
    assert world.why(pipeline, "A").waiting[0].status == "FINISHED"
    assert world.why(pipeline, "Default").waiting == ()
    with pytest.raises(InvalidRequest, match="no object 'Z'"):
        world.why(pipeline, "Z")


def test_where_nothing_is_referred_to_waiting_on_is_a_sentence(world: ServiceInProcess) -> None:
    pipeline = world.run([PROD, shell("A"), shell("B", after="A")])
    shown = {key: values(world.describe(pipeline, key)) for key in (A, B)}
    assert shown[A]["@waitingOn"] == "no runner asks for the work of the worker group 'prod'"
    assert shown[B]["@waitingOn"] == f">{A}"
    world.take("prod")
    assert "@waitingOn" not in values(world.describe(pipeline, A))


def test_it_is_answered_below_v1(world: ServiceInProcess) -> None:
    v1 = V1(world)
    pipeline = v1.pipeline("orders", [PROD, shell("A"), shell("B", after="A")])
    found = v1.got(f"/pipelines/{pipeline}/why", object_id=B)
    (waiting,) = found["waiting"]
    assert (found["state"], waiting["status"]) == ("SCHEDULED", "WAITING_ON_DEPENDENCIES")
    (cause,) = waiting["causes"]
    assert cause["because"][0]["code"] == "NO_RUNNER"
    assert cause["command"] == "taskrunner --worker-group prod"
    assert len(v1.got(f"/pipelines/{pipeline}/why")["waiting"]) == 2
    assert v1.get(f"/pipelines/{pipeline}/why", object_id="Z").status == 400
    assert v1.get(f"/pipelines/{pipeline}/why", role=OTHER).status == 404


def test_every_store_answers_the_same(database_url: str) -> None:
    settings = ServiceSettings(database_url=database_url, opening=OPENING)
    with ServiceInProcess(database_url=database_url, settings=settings) as world:
        world.clock.advance(timedelta(hours=2, minutes=1))
        default = scheduled(workerGroup="prod", maxActiveInstances="1")
        precondition = check("P", preconditionTimeout="1 day")
        objects = [default, schedule(), shell("A", precondition=ref("P")), precondition]
        pipeline = world.run([*objects, shell("B", runsOn=ref("R")), ec2("R")])
        world.conclude(world.take("prod"), "FALSE", None, "not there")
        found = world.why(pipeline)
    assert {(w.component_id, w.status, w.causes[0].root.code) for w in found.waiting} == {
        ("A", "WAITING_ON_DEPENDENCIES", Code.PRECONDITION_NOT_MET),
        ("B", "WAITING_FOR_RUNNER", Code.RESOURCE_AWAITED),
        ("B", "WAITING_ON_DEPENDENCIES", Code.RESOURCE_AWAITED),
        ("P", "WAITING_FOR_RUNNER", Code.PRECONDITION_NOT_MET),
        ("R", "ACTIVATING", Code.RESOURCE_AWAITED),
        ("R", "WAITING_ON_DEPENDENCIES", Code.RESOURCE_AWAITED),
    }


def test_every_statement_goes_by_an_index(world: ServiceInProcess) -> None:
    """So that an answer costs on 700,000 instances what it costs on these."""
    statements: set[str] = set()
    world.clock.advance(timedelta(hours=3))
    objects = [scheduled(workerGroup="prod", maxActiveInstances="1"), schedule()]
    pipeline = world.run([*objects, shell("A"), shell("B", after="A")])
    world.poll("Prod")
    world.service.roster.save(world.now)
    engine = world.service.store._engine

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.add(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    world.why(pipeline)
    sa.event.remove(engine, "before_cursor_execute", note)
    assert len(statements) > 15
    scans: list[str] = []
    with world.service.store.read() as conn:
        for statement in statements:
            if statement.startswith("SELECT"):
                marks = tuple([None] * statement.count("?"))
                plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", marks)
                scans += [f"{line[3]}: {statement}" for line in plan if _is_scan(line[3])]
    assert scans == []


def _is_scan(step: str) -> bool:
    big = ("instances", "attempts", "dependencies", "handouts", "runners", "runner_groups")
    return step.startswith("SCAN") and step.split()[1] in big
