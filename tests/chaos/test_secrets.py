"""E1: secrets of every shape through everything that can tell them, and all that can be read of it.

A real service and a real agent work off a pipeline for each canary in which every activity and
precondition fails, and says what it knows. Left out is the service's own store: there secret fields
lie as they are.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import pytest

from tests.acceptance.running import until
from tests.acceptance.served_process import served
from tests.chaos.scale import Chaos
from tests.chaos.secrets_work import TELL, Captured, canaries, leaky_plugin, objects_of, watched

ENDED = {"FINISHED", "FAILED", "CANCELED", "CASCADE_FAILED", "TIMEDOUT"}


class Scene:
    """A service, an agent and what is captured of them."""

    def __init__(self, folder: Path, databases: Mapping[str, str]) -> None:
        self.folder = folder
        self.databases = databases
        self.captured = Captured()
        #: The status of each instance, as last heard.
        self.found: dict[str, str] = {}
        self.rounds = 0
        self.looks = 0
        self.client: Any = None
        self.url = ""
        (folder / "tell.py").write_text(TELL)
        self.plugins = leaky_plugin(folder / "plugins")
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join([str(self.plugins), os.environ.get("PYTHONPATH", "")]),
            "AWS_EC2_METADATA_DISABLED": "true",
            "TASKRUNNER_ALLOW_ROOT": "true",
        }
        s3 = folder / "s3/bucket"
        s3.mkdir(parents=True)
        (s3 / "in.csv").write_text("1,2\n")

    @property
    def options(self) -> list[str]:
        return [
            *("--worker-group", "wg", "--endpoint", self.url, "--tasks", "3"),
            *("--work-dir", str(self.folder / "work"), "--s3-root", str(self.folder / "s3")),
            *("--log-uri", "s3://bucket/agent-logs", "--log-interval", "1"),
            *("--progress-interval", "0.3", "--log-level", "debug", "--log-format", "json"),
            *("--database-file", str(self.folder / "databases")),
            *("--local-paths", str(self.folder)),
        ]

    @contextmanager
    def agent(self, program: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        path = self.folder / "agent.log"
        with path.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *program, *self.options],
                env=self.environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, path.read_text()[-3000:]
        finally:
            process.kill()
            process.wait()
            self.captured.add("agent's log", path.read_bytes())

    def put(self, name: str, secret: str) -> str:
        """A pipeline that is set going; its id."""
        tell = f"{sys.executable} {self.folder / 'tell.py'}"
        sqlite = self.folder / "lite.db"
        objects, parameters, values = objects_of(
            secret, tell=tell, sqlite=sqlite, databases=self.databases
        )
        pipeline_id: str = self.client.create_pipeline(name=name, uniqueId=name)["pipelineId"]
        reply = self.client.put_pipeline_definition(
            pipelineId=pipeline_id,
            pipelineObjects=objects,
            parameterObjects=parameters,
            parameterValues=values,
        )
        assert not reply["errored"], reply["validationErrors"]
        self.say("put", reply)
        self.client.activate_pipeline(pipelineId=pipeline_id)
        return pipeline_id

    def statuses(self, pipeline_id: str) -> dict[str, str]:
        """Of every instance; all that the service says on the way is captured."""
        found: dict[str, str] = {}
        for sphere in ("COMPONENT", "INSTANCE", "ATTEMPT"):
            asked = self.client.query_objects(pipelineId=pipeline_id, sphere=sphere)
            ids = asked.get("ids", [])
            for at in range(0, len(ids), 25):
                reply = self.client.describe_objects(
                    pipelineId=pipeline_id, objectIds=ids[at : at + 25], evaluateExpressions=True
                )
                self.say("DescribeObjects", reply)
                if sphere == "INSTANCE":
                    found |= {item["id"]: _status(item) for item in reply["pipelineObjects"]}
        return found

    def ended(self, pipelines: Mapping[str, str]) -> bool:
        """Whether all of it has; what is said meanwhile is captured."""
        if self.looks % 20 == 0:  # a process each
            self.command("status", "--format", "json", "--work-dir", str(self.folder / "work"))
        self.looks += 1
        for shape, pipeline_id in pipelines.items():
            statuses = self.statuses(pipeline_id)
            self.found |= {f"{shape}{key}": status for key, status in statuses.items()}
        return bool(self.found) and set(self.found.values()) <= ENDED

    def ask(self, pipeline_id: str) -> None:
        """Everything else that the service tells of a pipeline."""
        for version in ("latest", "active"):
            reply = self.client.get_pipeline_definition(pipelineId=pipeline_id, version=version)
            self.say("GetPipelineDefinition", reply)
        self.say("DescribePipelines", self.client.describe_pipelines(pipelineIds=[pipeline_id]))
        for expression in ("#{*mySecret}", "#{command}", "#{substring(*mySecret, 0, 4)}"):
            try:
                reply = self.client.evaluate_expression(
                    pipelineId=pipeline_id, objectId="Told", expression=expression
                )
                self.say("EvaluateExpression", reply)
            except Exception as error:
                self.say("EvaluateExpression", {"error": str(error)})

    def say(self, where: str, reply: Mapping[str, Any]) -> None:
        told = {key: value for key, value in reply.items() if key != "ResponseMetadata"}
        self.captured.add(where, json.dumps(told, default=str, ensure_ascii=False))

    def command(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "taskrunner", *arguments],
            env=self.environ, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        self.captured.add(f"taskrunner {arguments[0]}", done.stdout + done.stderr)


def _status(item: Mapping[str, Any]) -> str:
    fields = {field["key"]: field.get("stringValue", "") for field in item["fields"]}
    return str(fields.get("@status", ""))


def work_off(scene: Scene, secrets: Mapping[str, str], program: list[str]) -> None:
    """Run everything with every secret."""
    databases = scene.folder / "databases"
    urls = {f"Redirected{shape}": secret for shape, secret in secrets.items()}
    lines = [f"{key}=mysql://u:{quote(s, safe='')}@127.0.0.1:1/x" for key, s in urls.items()]
    databases.write_text("\n".join(lines))
    databases.chmod(0o600)
    scene.environ["TASKRUNNER_PROXY_PASSWORD_FILE"] = str(scene.folder / "proxy-password")
    (scene.folder / "proxy-password").write_text(secrets["quotes"])
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = scene.environ["PYTHONPATH"]
    try:
        with served(scene.folder, "--no-auth") as service:
            scene.url = service.url
            scene.client = boto3.client("datapipeline", endpoint_url=service.url)
            pipelines = {shape: scene.put(shape, secret) for shape, secret in secrets.items()}
            with watched(scene.captured) as counts, scene.agent(program):
                until("all of it has ended", lambda: scene.ended(pipelines), patience_s=600)
                for pipeline_id in pipelines.values():
                    scene.ask(pipeline_id)
                scene.command("doctor", *scene.options)
                scene.command("config", "show", "--origin", *scene.options)
                scene.command("config", "check", *scene.options)
            scene.client.close()
    finally:
        if path is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = path
    assert counts["rounds"] > 1_000
    scene.rounds = counts["rounds"]
    scene.captured.add("service's log", (scene.folder / "serve.log").read_bytes())
    scene.captured.add_folder("work folder", scene.folder / "work")
    scene.captured.add_folder("s3", scene.folder / "s3")


@pytest.fixture
def scene(tmp_path: Path, request: pytest.FixtureRequest) -> Scene:
    """With the database servers that there are."""
    found = {}
    for name, fixture in (("Postgres", "postgresql_database"), ("Maria", "mariadb_database")):
        try:
            url = request.getfixturevalue(fixture)
        except pytest.skip.Exception as missing:
            print(missing)
        else:
            found[name] = jdbc(url)
    return Scene(tmp_path, found)


def jdbc(url: str) -> str:
    """The address of a test's server, login and all, as a definition has it."""
    parts = urlsplit(url)
    login = f"user={parts.username}" + (f"&password={parts.password}" if parts.password else "")
    return f"jdbc:{parts.scheme}://{parts.hostname}:{parts.port}{parts.path}?{login}"


@pytest.mark.slow
def test_no_secret_is_to_be_read_anywhere(scene: Scene, chaos: Chaos) -> None:
    secrets = canaries(chaos.random)
    # Each is a pipeline of everything; the short form has one beside the quotes, another each time.
    shapes = chaos.random.sample(sorted(secrets), chaos.trials(1, len(secrets)))
    secrets = {shape: secrets[shape] for shape in shapes} | {"quotes": secrets["quotes"]}
    work_off(scene, secrets, ["taskrunner"])
    told = scene.captured.pieces
    assert {"DescribeObjects", "GetPipelineDefinition", "/proc (cmdline)", "agent's log",
            "taskrunner status", "taskrunner doctor", "taskrunner config", "service's log",
            "s3/StdOutput.gz (unpacked)", "s3/StdError.gz (unpacked)",
            "work folder/Activity.log"} <= told.keys()  # fmt: skip
    # What was to fail did, having said what it knew.
    finished = {key for key, status in scene.found.items() if status == "FINISHED"}
    names = {key.partition("@")[2].partition("_")[0] for key in finished}
    # Data nodes, of which nobody asks anything.
    assert names == {"In", "Query", "Lost"}
    assert b"printed *****" in told["work folder/StdOutput"]
    assert b"fatal: *****" in told["work folder/StdError"]
    hits = scene.captured.hits(secrets)
    assert not hits, "\n".join(hits)
    chaos.found(
        "E1",
        f"{len(secrets)} canaries, {len(scene.found)} instances, servers: "
        f"{', '.join(scene.databases) or 'none'}; {scene.rounds} looks at /proc, "
        f"{scene.captured.size >> 20} MB captured in {len(told)} places: 0 hits",
    )


@pytest.mark.slow
def test_with_the_mask_off_they_are_read_in_many_places(scene: Scene, chaos: Chaos) -> None:
    secrets = canaries(chaos.random)
    scene.databases = {}
    work_off(scene, {"quotes": secrets["quotes"]}, ["tests.chaos.mutants", "unmasked"])
    places = {hit.partition(": ")[0].partition(" in ")[2] for hit in scene.captured.hits(secrets)}
    assert {"work folder/StdOutput", "work folder/Activity.log"} <= places
    assert "s3/Activity.log.gz (unpacked)" in places
    # The service does not rely on its runners: it searches what they say by itself.
    assert "DescribeObjects" not in places
    chaos.found("E1", f"with the mask off: hits in {len(places)} places")
