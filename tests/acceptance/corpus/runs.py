"""Published definitions, put into one service and worked off by one agent as a rule says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from taskrunner.model.document import Definition
from taskrunner.model.states import INSTANCE_TERMINAL
from taskrunner.model.writer import dumps_api
from tests import servers
from tests.acceptance.corpus.stand_ins import REDIRECTED, Places, stood_in
from tests.acceptance.corpus.world import Instance, World, install_programs
from tests.acceptance.running import Service, taskrunner, until
from tests.acceptance.served_process import served

#: One rule is enough: whatever machine a definition asks for, the agents of this group are it.
RULES = '[[resources]]\nrun = "group=corpus"\n'
#: Besides, published definitions name worker groups of their own.
GROUPS = ("corpus", "MyworkerGroup", "myWorkerGroup")
PATIENCE_S = 600
#: What DescribeObjects takes at once.
_AT_ONCE = 25


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a definition: a refusal, or what its instances ended as."""

    refusal: str = ""
    #: How many instances FINISHED.
    finished: int = 0
    #: What did not: id, status and message of each.
    others: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all of it FINISHED."""
        return not self.refusal and not self.others and self.finished > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """URLs of what stands in for the world."""

    moto: str
    mariadb: str
    postgresql: str


class Corpus:
    """All of them in one service."""

    def __init__(self, service: Service, world: World) -> None:
        self._service = service
        self._world = world
        self._put: dict[str, tuple[str, Definition, str]] = {}
        self.outcomes: dict[str, Outcome] = {}

    def put(self, name: str, made: Definition, database: str) -> None:
        """Put and activate one; a refusal is its outcome. `database` is its PostgreSQL's."""
        client = self._service.client
        pipeline = client.create_pipeline(name=name, uniqueId=name)["pipelineId"]
        reply = client.put_pipeline_definition(pipelineId=pipeline, **json.loads(dumps_api(made)))
        if reply["errored"]:
            self.outcomes[name] = Outcome(refusal=str(reply["validationErrors"]))
            return
        client.activate_pipeline(pipelineId=pipeline)
        self._put[name] = (pipeline, made, database)

    def furnish(self) -> None:
        """Put there what they look for."""
        for pipeline, definition, database in self._put.values():
            until(f"{pipeline} has instances", _holds(self.instances, pipeline))
            self._world.of(database).furnish(definition, self.instances(pipeline))

    def instances(self, pipeline: str) -> tuple[Instance, ...]:
        """The instances of one pipeline."""
        return tuple(self._described(pipeline, "INSTANCE"))

    def has_ended(self) -> bool:
        """Whether everything has, or will not for a failure."""
        waiting = self._put.keys() - self.outcomes.keys()
        for name in waiting:
            found = self.instances(self._put[name][0])
            statuses = {one.first("@status") for one in found}
            if statuses <= INSTANCE_TERMINAL or "FAILED" in statuses:
                self.outcomes[name] = _outcome(found)
        return not self._put.keys() - self.outcomes.keys()

    def told(self) -> dict[str, Outcome]:
        """The outcomes, also of what has not ended."""
        for name in self._put.keys() - self.outcomes.keys():
            pipeline = self._put[name][0]
            found = (*self.instances(pipeline), *self._described(pipeline, "ATTEMPT"))
            self.outcomes[name] = _outcome(found)
        return self.outcomes

    def _described(self, pipeline: str, sphere: str) -> Iterator[Instance]:
        client = self._service.client
        ids = client.query_objects(pipelineId=pipeline, sphere=sphere)["ids"]
        for first in range(0, len(ids), _AT_ONCE):
            asked = ids[first : first + _AT_ONCE]
            reply = client.describe_objects(
                pipelineId=pipeline, objectIds=asked, evaluateExpressions=True
            )
            yield from map(_instance, reply["pipelineObjects"])


def work_off(
    definitions: Mapping[str, Definition], folder: Path, stand_ins: Servers
) -> dict[str, Outcome]:
    """Run them to their ends; what has none after `PATIENCE_S` is told as it is."""
    (folder / "rules.toml").write_text(RULES)
    world = World(
        s3=folder / "s3",
        dynamodb=stand_ins.moto,
        mysql=stand_ins.mariadb,
        postgresql=stand_ins.postgresql,
    )
    world.s3.mkdir()
    with ExitStack() as stack:
        rules = str(folder / "rules.toml")
        options = ("--no-auth", "--resources", rules)
        running = stack.enter_context(served(folder, *options))
        service = stack.enter_context(closing(Service(running.url)))
        corpus = Corpus(service, world)
        databases: dict[str, str] = {}
        for number, (name, definition) in enumerate(definitions.items()):
            database = stand_ins.postgresql
            if _has_database(definition):
                new = servers.postgresql_database(stand_ins.postgresql)
                database = stack.enter_context(new)
            made = stood_in(definition, _places(f"d{number}", database, stand_ins))
            corpus.put(name, made, database)
            for item in made.objects:
                if item.type in REDIRECTED:
                    is_mysql = item.type == "RdsDatabase"
                    databases[item.id] = stand_ins.mariadb if is_mysql else database
        corpus.furnish()
        stack.enter_context(_agent(folder, running.url, stand_ins, databases))
        # What does not end is told as it is.
        with suppress(pytest.fail.Exception):
            until("all have ended", corpus.has_ended, PATIENCE_S)
        return corpus.told()


def _has_database(definition: Definition) -> bool:
    return any("Database" in (i.type or "") or "Sql" in (i.type or "") for i in definition.objects)


def _places(name: str, database: str, stand_ins: Servers) -> Places:
    parts = urlsplit(database)
    return Places(
        name=name,
        mysql=_jdbc(stand_ins.mariadb),
        postgresql=_jdbc(database),
        user=parts.username or "",
        password=parts.password or "",
    )


def _jdbc(url: str) -> str:
    parts = urlsplit(url)
    return f"jdbc:{parts.scheme}://{parts.hostname}:{parts.port}{parts.path}"


def _agent(folder: Path, url: str, stand_ins: Servers, databases: Mapping[str, str]) -> Any:
    programs = install_programs(folder / "cluster")
    redirected = [f"--database={name}={address}" for name, address in sorted(databases.items())]
    return taskrunner(
        folder / "agent.log",
        *(f"--worker-group={group}" for group in GROUPS),
        *("--endpoint", url, "--tasks", "4", "--emr-engine", "command"),
        *("--work-dir", str(folder / "work"), "--s3-root", str(folder / "s3"), *redirected),
        environment={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL_DYNAMODB": stand_ins.moto,
        },
    )


def _holds(instances: Callable[[str], object], pipeline: str) -> Callable[[], bool]:
    return lambda: bool(instances(pipeline))


def _instance(described: Any) -> Instance:
    fields: dict[str, list[str]] = {}
    for one in described["fields"]:
        fields.setdefault(one["key"], []).append(one.get("stringValue") or one.get("refValue", ""))
    return Instance(id=described["id"], type=fields["type"][0], fields=fields)


def _outcome(found: tuple[Instance, ...]) -> Outcome:
    outcome = Outcome()
    for one in found:
        if one.first("@status") == "FINISHED":
            outcome.finished += 1
        else:
            words = (one.id, one.first("@status"), one.first("errorMessage"))
            outcome.others.append(" ".join(filter(None, words)))
    return outcome
