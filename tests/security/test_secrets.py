"""Secrets of definitions: in no message of the service, and not to be guessed by its answers."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy.exc import IntegrityError
from starlette.applications import Starlette

from taskrunner import logs
from taskrunner.cli import main
from taskrunner.clock import SystemClock
from taskrunner.model.masks import MASK
from taskrunner.model.reader import read_document
from taskrunner.model.writer import dumps_api
from taskrunner.secret import HIDDEN
from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import SigV4Authenticator
from taskrunner.service.auth_keys import ROLES
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.testing import ServiceInProcess
from tests.contract.test_protocol_service import KEYS, signature
from tests.security.canaries import (
    EXPRESSIONS,
    MISTAKES,
    NUMBER,
    PARAMETERS,
    SCHEDULES,
    VALUES,
    WHOLE,
    WORD,
    Json,
    Mistake,
    expression_objects,
    scheduled,
    tells,
)
from tests.security.undefended_secrets import without
from tests.unit.service import asgi

AT_ONCE = EdgeSettings(poll_hold_s=0.01)
SPHERES = ("COMPONENT", "INSTANCE", "ATTEMPT")
#: Whoever may look, or operate, but not put definitions.
LOOKERS = ("viewer", "operator", "runner")


@dataclass(frozen=True, slots=True)
class Office:
    """A service asked over its wire, by several hands, and all that it has said."""

    world: ServiceInProcess
    app: Starlette
    loop: asyncio.Runner
    log: io.StringIO
    replies: list[str] = field(default_factory=list)

    def ask(self, operation: str, by: str, **body: Any) -> str:
        """The reply as it goes over the wire."""
        self.replies.append(self.ask_unheard(operation, by, **body))
        return self.replies[-1]

    def ask_unheard(self, operation: str, by: str, **body: Any) -> str:
        """The same, of what is for the eyes of runners."""
        raw = json.dumps(body).encode()
        sent = {"host": asgi.HOST, **asgi.wire_headers(operation)}
        headers = {**sent, **signature(KEYS[by], sent, raw, "us-east-1")}
        answer = self.loop.run(asgi.Caller(self.app).ask(headers=headers, parts=[raw]))
        assert answer is not None
        return answer.body.decode()

    def put(self, document: Json, *, name: str = "p") -> str:
        """Make a pipeline of a file's content; returns its id."""
        made = json.loads(self.ask("CreatePipeline", "author", name=name, uniqueId=name))
        read = read_document(json.dumps(document)).definition
        members = json.loads(dumps_api(read))
        self.ask("PutPipelineDefinition", "author", pipelineId=made["pipelineId"], **members)
        found: str = made["pipelineId"]
        return found

    def ids(self, pipeline_id: str, sphere: str) -> list[str]:
        """The ids of all objects of a sphere."""
        found: list[str] = []
        marker: Json = {}
        more = True
        while more:
            body = {"pipelineId": pipeline_id, "sphere": sphere, **marker}
            reply = json.loads(self.ask("QueryObjects", "viewer", **body))
            found += reply["ids"]
            more, marker = reply["hasMoreResults"], {"marker": reply.get("marker")}
        return found

    def described(self, pipeline_id: str, ids: Sequence[str]) -> dict[str, Json]:
        """Objects by their ids, each with its fields' first values."""
        found: dict[str, Json] = {}
        for evaluate in (False, True):
            for at in range(0, len(ids), 100):
                body = {"pipelineId": pipeline_id, "objectIds": ids[at : at + 100]}
                reply = self.ask("DescribeObjects", "viewer", **body, evaluateExpressions=evaluate)
                for item in json.loads(reply)["pipelineObjects"]:
                    pairs = {f["key"]: f.get("stringValue") for f in reversed(item["fields"])}
                    found[item["id"]] = pairs
        return found

    def work_off(self) -> None:
        """Take what is ready as a runner, and have it fail."""
        ready = True
        while ready:
            reply = json.loads(self.ask_unheard("PollForTask", "runner", workerGroup="wg"))
            task = reply.get("taskObject")
            ready = task is not None
            if task is not None:
                body = {"taskId": task["taskId"], "taskStatus": "FAILED", "errorMessage": "failed"}
                self.ask_unheard("SetTaskStatus", "runner", **body)
        self.world.settle()


@contextmanager
def office() -> Iterator[Office]:
    stream = io.StringIO()
    logs.configure(level="debug", form="json", stream=stream)
    keys = {key.id: key for key in KEYS.values()}
    try:
        with ServiceInProcess() as world, asyncio.Runner() as loop, ExitStack() as stack:
            app = create_app(
                world.service,
                handlers=HANDLERS,
                authenticator=SigV4Authenticator(keys, region="us-east-1", clock=SystemClock()),
                settings=AT_ONCE,
            )
            started = asgi.started(app)
            loop.run(started.__aenter__())
            stack.callback(lambda: loop.run(started.__aexit__(None, None, None)))
            yield Office(world, app, loop, stream)
    finally:
        structlog.reset_defaults()


# -- expressions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """What came of the expressions: of each its error, and its value for a viewer; and the rest."""

    errors: Mapping[str, str]
    values: Mapping[str, str]
    rest: str


def of_expressions() -> Said:
    """Run a pipeline with all of them, and look at everything that can be looked at."""
    with office() as desk:
        document = {"objects": expression_objects(), "parameters": PARAMETERS, "values": VALUES}
        pipeline_id = desk.put(document)
        # Past its validation, which would find some of them: an older definition may have them.
        desk.world.service.activate(pipeline_id)
        desk.world.settle()
        desk.work_off()
        ids = {sphere: desk.ids(pipeline_id, sphere) for sphere in SPHERES}
        seen = desk.described(pipeline_id, [key for found in ids.values() for key in found])
        errors, values = {}, {}
        for instance in ids["INSTANCE"]:
            number = int(instance.removeprefix("@A").partition("_")[0])
            expression = EXPRESSIONS[number]
            errors[expression] = str(seen[instance].get("errorMessage"))
            body = {"pipelineId": pipeline_id, "objectId": instance, "expression": expression}
            values[expression] = desk.ask("EvaluateExpression", "viewer", **body)
        for by in LOOKERS:
            desk.ask("GetPipelineDefinition", by, pipelineId=pipeline_id)
        alarms = desk.world.alarms(pipeline_id)
        assert len(alarms) == len(EXPRESSIONS)
        told = [f"{a.subject}{a.message}{a.shown_topic}{a.error}" for a in alarms]
        return Said(errors, values, "\n".join([*desk.replies, *told, desk.log.getvalue()]))


@pytest.fixture(scope="module")
def said() -> Said:
    return of_expressions()


#: These have a value, whatever the secret is; a runner was given it.
USABLE = {"*myNumber ^ 3"}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_no_error_of_an_expression_has_the_secret_that_it_was_computed_from(
    said: Said, expression: str
) -> None:
    error = said.errors[expression]
    assert not tells(error)
    assert HIDDEN in error or expression in USABLE, error
    assert not tells(said.values[expression])


def test_nothing_else_that_is_said_of_a_run_has_a_secret(said: Said) -> None:
    assert not [line for line in said.rest.splitlines() if tells(line)]
    assert len(said.rest) > 100_000


def test_errors_of_untainted_values_would_tell_secrets() -> None:
    with without("untainted"):
        said = of_expressions()
    told = [expression for expression, error in said.errors.items() if tells(error)]
    assert len(told) >= 70, said.errors


def test_evaluating_what_is_not_masked_would_tell_secrets() -> None:
    with without("looked-at-plainly", "untainted"):
        said = of_expressions()
    assert len([text for text in said.values.values() if tells(text)]) >= 70
    assert tells(said.rest)


# -- schedules ---------------------------------------------------------------------------------


def activated(fields: Mapping[str, str], path: Path) -> tuple[str, str]:
    """What is told to an operator who activates a schedule, and to whoever asks when it runs."""
    document = {"objects": scheduled(fields), "parameters": WHOLE, "values": VALUES}
    with office() as desk:
        reply = desk.ask("ActivatePipeline", "operator", pipelineId=desk.put(document))
        everything = "\n".join([*desk.replies, desk.log.getvalue()])
    path.write_text(json.dumps(document))
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        assert main(["schedule", str(path)]) == 1
    return reply, everything + out.getvalue()


@pytest.mark.parametrize("fields", SCHEDULES)
def test_no_error_of_a_schedule_has_the_secret_that_it_was_computed_from(
    fields: Mapping[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "p.json"
    reply, everything = activated(fields, path)
    assert not tells(everything)
    assert HIDDEN in reply
    with without("untainted"):
        assert tells(activated(fields, path)[0])


# -- validation --------------------------------------------------------------------------------


def on_the_wire(mistake: Mistake) -> str:
    """What is said to whoever validates, puts and activates a definition."""
    with office() as desk:
        document = mistake.document()
        pipeline_id = desk.put(document)
        members = json.loads(dumps_api(read_document(json.dumps(document)).definition))
        for by in ("viewer", "author"):
            desk.ask("ValidatePipelineDefinition", by, pipelineId=pipeline_id, **members)
        desk.ask("ActivatePipeline", "operator", pipelineId=pipeline_id)
        desk.ask("GetPipelineDefinition", "viewer", pipelineId=pipeline_id)
        return "\n".join([*desk.replies, desk.log.getvalue()])


def on_the_command_line(mistake: Mistake, folder: Path) -> str:
    """What the commands that read a definition say of it."""
    path = folder / "p.json"
    path.write_text(json.dumps(mistake.document()))
    values = folder / "values.json"
    values.write_text(json.dumps({"values": mistake.values}))
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        main(["validate", str(path)])
        main(["validate", str(path), "--format", "json", "--values-file", str(values)])
        main(["graph", str(path)])
        main(["eval", "--definition", str(path), "--object", "A", "1"])
    return out.getvalue()


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_no_finding_has_the_secret_that_it_is_about(mistake: Mistake, tmp_path: Path) -> None:
    assert not tells(on_the_wire(mistake))
    said = on_the_command_line(mistake, tmp_path)
    assert not tells(said)
    assert "error" in said or "warning" in said


def test_findings_that_are_not_about_names_alone_would_tell_secrets(tmp_path: Path) -> None:
    with without("findings-told"):
        some = MISTAKES[::2]
        wire = [m.name for m in some if tells(on_the_wire(m))]
        line = [m.name for m in some if tells(on_the_command_line(m, tmp_path))]
    assert len(wire) >= 10, wire
    assert len(line) >= 10, line


@pytest.mark.parametrize(
    "text",
    [
        f'{{"objects": [{{"id": "D", "*password": {WORD}}}]}}',
        f'{{"objects": [{{"id": "D", "*password": "x"{WORD}"}}]}}',
        f'{{"values": {{"*myP": {NUMBER}x}}}}',
        f'{{"values": {{"*myP" "{WORD}"}}}}',
        f'{{"values": {{"x": 1 "{WORD}": 2}}}}',
        f'"{WORD}" x',
        f"objects:\n- id: D\n  '*password': *{WORD}\n",
        f"objects:\n- id: D\n  '*password': 'x' {WORD}\n",
        f"objects:\n- id: D\n  '*password': @{WORD}\n",
    ],
)
def test_no_error_of_a_file_that_cannot_be_read_quotes_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text)
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        assert main(["validate", str(tmp_path / "p.json")]) == 1
        assert main(["run", str(tmp_path / "p.json"), "--work-dir", str(tmp_path / "w")]) == 1
    assert "not JSON" in out.getvalue() or "not YAML" in out.getvalue()
    assert not tells(out.getvalue())


@pytest.mark.parametrize("value", [f"{WORD}\x00", WORD * 900, [WORD], {WORD: 1}, None, True])
@pytest.mark.parametrize("part", ["fields", "attributes", "parameterValues"])
def test_no_error_of_a_request_of_the_wrong_shape_quotes_it(part: str, value: object) -> None:
    pair = {"key": "*password", "stringValue": value}
    fields = {"fields": [pair] if part == "fields" else []}
    attributes = {"attributes": [pair] if part == "attributes" else []}
    values = [{"id": "*myP", "stringValue": value}] if part == "parameterValues" else []
    body = {
        "pipelineObjects": [{"id": "Db", "name": "Db", **fields}],
        "parameterObjects": [{"id": "*myP", **attributes}],
        "parameterValues": values,
    }
    with office() as desk:
        made = json.loads(desk.ask("CreatePipeline", "author", name="p", uniqueId="p"))
        for operation in ("PutPipelineDefinition", "ValidatePipelineDefinition"):
            desk.ask(operation, "author", **made, **body)
        desk.ask("ActivatePipeline", "author", **made, parameterValues=values)
        assert not tells("\n".join([*desk.replies, desk.log.getvalue()]))


def test_no_option_that_is_wrong_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(Mistake(name="none").document()))
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        assert main(["validate", str(path), "--param", WORD]) == 2
        assert main(["run", str(path), "--param", f"={WORD}"]) == 2
        assert main(["run", str(path), "--database", f"postgresql://u:{WORD}@h/x"]) == 2
    assert not tells(out.getvalue())


def test_no_error_of_the_database_has_what_was_to_be_written() -> None:
    def failed(*, hide: bool) -> str:
        with ServiceInProcess() as world:
            store = world.service.store
            store._engine.hide_parameters = hide
            pipeline_id = world.put([{"id": "A", "*password": WORD}])
            with store.write() as conn:
                # In a field that is no secret by its name, which the store does not encrypt.
                field = {"key": "command", "stringValue": WORD}
                body = {"pipelineObjects": [{"id": "A", "name": "A", "fields": [field]}]}
                with pytest.raises(IntegrityError) as caught:
                    pipeline_store.save_definition(conn, pipeline_id, 1, body, world.now)
            return str(caught.value)

    with ServiceInProcess() as world:
        assert world.service.store._engine.hide_parameters
    assert not tells(failed(hide=True))
    assert tells(failed(hide=False))


# -- guessing ----------------------------------------------------------------------------------

#: What the secret is, and what else it might be; of one length, so that texts around it are equal.
RIGHT, WRONG = WORD, "wr0ng-donkey!"
#: A number that is right, and a text that is none.
RIGHT_NUMBER, WRONG_NUMBER = "4711", "x711"


def world_of(word: str, number: str) -> Json:
    """A pipeline that runs well, whatever its secrets are."""
    return {
        "objects": [
            {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
            {
                "id": "Db",
                "type": "JdbcDatabase",
                "connectionString": "jdbc:mysql://h/#{*myWord}",
                "jdbcDriverClass": "x",
                "username": "u",
                "*password": word,
                "*myPeriod": f"{number} days",
            },
            {
                "id": "A",
                "type": "ShellCommandActivity",
                "command": "echo #{*myWord} #{*myNumber} #{Db.*password}",
                "myField": "#{*myWord}",
                "*myKey": "#{*myNumber}",
            },
        ],
        "parameters": [
            {"id": "*myWord", "type": "String", "allowedValues": [word, "another"]},
            {"id": "*myNumber", "type": "String", "default": number},
        ],
        "values": {"*myWord": word},
    }


def _masked(
    parameters: Sequence[Json], values: Sequence[Json] = (), fields: Mapping[str, str] | None = None
) -> Json:
    """A definition to be validated, with masks where the stored one has secrets."""
    items = [{"key": key, "stringValue": value} for key, value in (fields or {}).items()]
    objects = [{"id": "Db", "name": "Db", "fields": items}] if items else []
    return {
        "pipelineObjects": objects,
        "parameterObjects": list(parameters),
        "parameterValues": list(values),
    }


def _declared(parameter_id: str, **attributes: Any) -> Json:
    pairs = [
        {"key": key, "stringValue": value}
        for key, given in attributes.items()
        for value in (given if isinstance(given, list) else [given])
    ]
    return {"id": parameter_id, "attributes": pairs}


MASKED_VALUE = [{"id": "*myWord", "stringValue": MASK}]
NEARLY = ["c0rrect-hors", "wr0ng-donkey"]
VALIDATIONS: tuple[Json, ...] = (
    _masked([_declared("*myWord", allowedValues=[RIGHT])], MASKED_VALUE),
    _masked([_declared("*myWord", allowedValues=NEARLY)], MASKED_VALUE),
    _masked([_declared("*myWord", allowedValues=[WRONG, "x"])], MASKED_VALUE),
    _masked([_declared("*myWord", allowedValues=[MASK, RIGHT])], [{**MASKED_VALUE[0]}]),
    _masked(
        [_declared("*myWord", allowedValues=[MASK])], [{"id": "*myWord", "stringValue": RIGHT}]
    ),
    _masked([_declared("*myWord", allowedValues=[MASK])], [{"id": "*myWord", "stringValue": "x"}]),
    _masked([_declared("*myWord", type="Integer")], MASKED_VALUE),
    _masked([_declared("*myWord", type="AWS::S3::ObjectKey")], MASKED_VALUE),
    _masked([_declared("*myNumber", type="Integer", default=MASK)]),
    _masked([_declared("*myNumber", type="Double", default=MASK)]),
    _masked([_declared("*myNumber", allowedValues=[RIGHT_NUMBER], default=MASK)]),
    _masked([], (), {"type": "Schedule", "*myPeriod": MASK, "period": "#{*myPeriod}"}),
    _masked([], (), {"type": "Schedule", "period": "#{*myNumber} days"}),
    _masked([], (), {"type": "JdbcDatabase", "*password": MASK, "myX": "#{*password}"}),
    _masked([], (), {"type": "ShellCommandActivity", "*stage": MASK, "command": "#{*password}"}),
)
EVALUATIONS = (
    "*myWord", "*myNumber", "*myKey", "myField", "command", "Db.*password", "Db.connectionString",
    "*myNumber + 1", "*myNumber * 2", "*myNumber - 4711", "1 / (*myNumber - 4711)",
    "makeDate(*myNumber, 1, 1)", "makeDate(2026, 1, *myNumber)",
    "plusDays(@scheduledStartTime, *myNumber)",
    "plusPeriod(@scheduledStartTime, Db.*myPeriod)",
    "format(@scheduledStartTime, *myWord)",
    "inTimeZone(@scheduledStartTime, *myWord)", "*myWord.day()", "*myWord.x",
    "*myWord + myField", "'#{*myWord}'",
)  # fmt: skip
QUERIED = (
    "*password", "*myWord", "*myKey", "*myPeriod", "myField", "command", "connectionString",
    "errorMessage", "default", "name",
)  # fmt: skip


#: Guesses by operator: of several at once, any that is right would show.
COMPARED: Mapping[str, Sequence[Sequence[str]]] = {
    "EQ": [
        [RIGHT, RIGHT_NUMBER, f"echo {RIGHT} {RIGHT_NUMBER} {RIGHT}", f"jdbc:mysql://h/{RIGHT}"],
        ["4711 days", "4711", "4711.0"],
        [MASK],
    ],
    "REF_EQ": [[RIGHT, RIGHT_NUMBER]],
    "LE": [[RIGHT], [RIGHT_NUMBER], ["4711 days"]],
    "GE": [[WRONG], [RIGHT_NUMBER], ["4711 days"]],
    "BETWEEN": [["c", "d"], ["4710", "4712"], ["4710 days", "4712 days"]],
}


def questions(pipeline_id: str) -> Iterator[tuple[str, Json]]:
    """All that can be asked with a guess, of every operation that looks at a pipeline."""
    own: Json = {"pipelineId": pipeline_id}
    for members in VALIDATIONS:
        yield "ValidatePipelineDefinition", {**own, **members}
    for object_id in ("A", "@A_{start}", "@A_{start}_Attempt=1"):
        for expression in EVALUATIONS:
            body = {**own, "objectId": object_id, "expression": expression}
            yield "EvaluateExpression", body
    for sphere in SPHERES:
        for name in QUERIED:
            for operator, guesses in COMPARED.items():
                for values in guesses:
                    chosen = {"type": operator, "values": values}
                    query = {"selectors": [{"fieldName": name, "operator": chosen}]}
                    yield "QueryObjects", {**own, "sphere": sphere, "query": query}
    for version in ("latest", "active"):
        yield "GetPipelineDefinition", {**own, "version": version}
    for evaluate in (True, False):
        ids = ["A", "Db", "Default", "@A_{start}", "@A_{start}_Attempt=1"]
        body = {**own, "objectIds": ids, "evaluateExpressions": evaluate}
        yield "DescribeObjects", body
    yield "DescribePipelines", {"pipelineIds": [pipeline_id]}
    for given in (RIGHT, WRONG, MASK, "#{*myWord}"):
        for name in ("*myWord", "myField"):
            value = {"id": name, "stringValue": given}
            yield "ActivatePipeline", {**own, "parameterValues": [value]}
    yield "SetStatus", {**own, "objectIds": ["@A_{start}"], "status": "RERUN"}
    yield "ActivatePipeline", own
    yield "DeactivatePipeline", own


def answers(word: str, number: str, only: str = "") -> list[str]:
    """What each question is answered to viewer and operator, in a world with these secrets.

    With `only` questions of that operation, and of components where it finds any sphere's.
    """
    with office() as desk:
        pipeline_id = desk.put(world_of(word, number))
        desk.ask("ActivatePipeline", "author", pipelineId=pipeline_id)
        desk.world.settle()
        desk.work_off()
        (instance,) = desk.ids(pipeline_id, "INSTANCE")
        start = instance.removeprefix("@A_")
        found = []
        for operation, body in questions(pipeline_id):
            if only and (operation != only or body.get("sphere", "COMPONENT") != "COMPONENT"):
                continue
            members = json.loads(json.dumps(body).replace("{start}", start))
            # What a viewer may call is the same call for an operator.
            callers = ["viewer"] if operation in ROLES["viewer"] else ["viewer", "operator"]
            for by in callers:
                reply = desk.ask(operation, by, **members)
                # What differs between two runs of one world is told apart from what is asked.
                found.append(f"{operation} {by}: {reply.replace(pipeline_id, 'df-X')}")
        return found


def test_no_operation_of_a_viewer_or_operator_tells_a_right_guess_from_a_wrong_one() -> None:
    right = answers(RIGHT, RIGHT_NUMBER)
    wrong = answers(WRONG, WRONG_NUMBER)
    assert len(right) > 450
    assert right == wrong


@pytest.mark.parametrize(
    ("mutant", "operation"),
    [
        ("masks-filled", "ValidatePipelineDefinition"),
        ("looked-at-plainly", "EvaluateExpression"),
        ("looked-at-plainly", "QueryObjects"),
        ("looked-at-plainly", "DescribeObjects"),
        ("values-by-anybody", "ActivatePipeline"),
    ],
)
def test_without_the_defence_a_right_guess_shows(mutant: str, operation: str) -> None:
    with without(mutant):
        right = answers(RIGHT, RIGHT_NUMBER, operation)
        wrong = answers(WRONG, WRONG_NUMBER, operation)
    assert right != wrong


def test_a_run_of_one_world_is_answered_as_another_of_it() -> None:
    once = answers(RIGHT, RIGHT_NUMBER, "DescribeObjects")
    assert once == answers(RIGHT, RIGHT_NUMBER, "DescribeObjects")
