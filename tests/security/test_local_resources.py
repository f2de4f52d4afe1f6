"""Local resources: a task reaches neither the service's keys nor its store nor other folders."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.acceptance.running import until
from tests.acceptance.served_process import Served, served
from tests.integration.other_users import copied_program, people, shared_folder

pytestmark = pytest.mark.slow

#: Stands in every file that a task must not read.
CANARY = "canary-4f1d"
AUTHOR = ("AKAUTHOR", f"author-{CANARY}-secret")
ADMIN = ("AKADMIN", f"admin-{CANARY}-secret")
RUNNER = ("AKRUNNER", "runner-0123456789-secret")


@dataclass(frozen=True, slots=True)
class House:
    """A service with keys, which runs tasks on its own host."""

    root: Path

    @property
    def keys(self) -> Path:
        return self.root / "keys.toml"

    @property
    def work(self) -> Path:
        return self.root / "work"

    def furnish(self) -> None:
        roles = {"author": AUTHOR, "admin": ADMIN, "runner": RUNNER}
        self.keys.write_text(
            "".join(
                f'[[keys]]\nid = "{key}"\nsecret = "{secret}"\nrole = "{role}"\n'
                for role, (key, secret) in roles.items()
            )
        )
        self.keys.chmod(0o600)

    @contextmanager
    def serve(self, *options: str, **environ: str) -> Iterator[Served]:
        """The service, whose agents have a runner's key."""
        given = {
            "AWS_ACCESS_KEY_ID": RUNNER[0],
            "AWS_SECRET_ACCESS_KEY": RUNNER[1],
            # Where root's own checkout is, nobody else gets.
            "PYTHONPATH": str(copied_program()),
            **environ,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in given.items():
                patch.setenv(name, value)
            arguments = ("--credentials-file", str(self.keys), "--work-dir", str(self.work))
            with served(self.root, *arguments, "--resources", "local", *options) as running:
                yield running

    def outputs(self) -> str:
        """What commands printed."""
        found = [p for p in self.work.glob("logs/**/StdOutput*") if "df-other" not in p.parts]
        return "".join(
            gzip.decompress(path.read_bytes()).decode()
            if path.suffix == ".gz"
            else path.read_text()
            for path in found
        )


def client(service: Served, key: tuple[str, str]) -> Any:
    return boto3.client(
        "datapipeline",
        endpoint_url=service.url,
        region_name="us-east-1",
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
    )


def objects(command: str) -> Sequence[Mapping[str, Any]]:
    def made(object_id: str, **fields: Any) -> Mapping[str, Any]:
        told = [
            {"key": key, **(value if isinstance(value, dict) else {"stringValue": value})}
            for key, value in fields.items()
        ]
        return {"id": object_id, "name": object_id, "fields": told}

    return [
        made("Default", scheduleType="ondemand", role="r", resourceRole="r"),
        made("Host", type="Ec2Resource"),
        made("Look", type="ShellCommandActivity", command=command, runsOn={"refValue": "Host"}),
    ]


#: What an author may try: files, folders and the memory of processes around the task.
LOOK = """
for f in {files}; do
  if head -c 1 "$f" >/dev/null 2>&1; then echo "READ $f"; fi
  if [ -w "$f" ]; then echo "WRITABLE $f"; fi
done
for d in {folders}; do
  if ls "$d" >/dev/null 2>&1 && [ -d "$d" ]; then echo "LISTED $d"; fi
  if [ -w "$d" ]; then echo "OPEN $d"; fi
done
for p in /proc/[0-9]*; do
  if grep -qs {secret} "$p/environ"; then echo "ENVIRON of $p"; fi
done
echo LOOKED as $(id -u)
"""


def looked(house: House, service: Served) -> set[str]:
    """What a task of an author comes to see."""
    author = client(service, AUTHOR)
    pipeline = author.create_pipeline(name="look", uniqueId="look")["pipelineId"]
    group = "resource_*"
    command = LOOK.format(
        files=" ".join(
            [
                *(shlex.quote(str(house.root / name)) for name in ("keys.toml", "service.db")),
                *(f"{shlex.quote(str(house.root))}/{name}" for name in ("service.db-wal",)),
                f"{shlex.quote(str(house.work))}/{group}/agent.log",
                # Of an agent that ran here before.
                shlex.quote(str(house.work / "resource_other" / "journal" / "hand-out")),
                shlex.quote(str(house.work / "logs" / "df-other" / "StdOutput")),
            ]
        ),
        folders=" ".join(
            [
                shlex.quote(str(house.root)),
                shlex.quote(str(house.work)),
                shlex.quote(str(house.work / "logs")),
                f"{shlex.quote(str(house.work))}/{group}/journal",
            ]
        ),
        secret=shlex.quote(RUNNER[1]),
    )
    put = author.put_pipeline_definition(pipelineId=pipeline, pipelineObjects=objects(command))
    assert not put["errored"], put
    author.activate_pipeline(pipelineId=pipeline)
    until("the task has looked around", lambda: "LOOKED" in house.outputs())
    found = {line for line in house.outputs().splitlines() if line}
    author.close()
    return found


@pytest.fixture
def house() -> Iterator[House]:
    with shared_folder() as folder:
        made = House(root=folder)
        made.furnish()
        others = (
            made.work / "resource_other" / "journal" / "hand-out",
            made.work / "logs" / "df-other" / "StdOutput",
        )
        for path in others:
            path.parent.mkdir(parents=True)
            path.write_text(f"{CANARY}\n")
            # As agents leave them.
            path.chmod(0o600)
        (made.work / "logs").chmod(0o700)
        (made.work / "resource_other" / "journal").chmod(0o700)
        yield made


def test_a_task_of_another_user_reaches_nothing_of_the_service(house: House) -> None:
    task = people().task
    with house.serve("--run-as-user", task.pw_name) as service:
        found = looked(house, service)
    assert found == {f"LOOKED as {task.pw_uid}"}


def test_with_the_defence_off_it_reaches_all_of_it(house: House) -> None:
    if os.geteuid() != 0:
        pytest.skip("the test is about root's files")
    with house.serve("--tasks-as-service-user", TASKRUNNER_ALLOW_ROOT="true") as service:
        found = looked(house, service)
    assert {f"READ {house.keys}", f"READ {house.root / 'service.db'}"} <= found
    assert f"READ {house.work / 'logs' / 'df-other' / 'StdOutput'}" in found
    assert f"READ {house.work / 'resource_other' / 'journal' / 'hand-out'}" in found
    assert f"OPEN {house.root}" in found
    assert any(line.startswith("ENVIRON of") for line in found)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--tasks-as-service-user"),
        (("--run-as-user", "root"), "is root"),
        (("--run-as-user", "{task}"), "keys.toml"),
    ],
)
def test_a_service_that_would_give_its_keys_away_does_not_start(
    house: House, options: Sequence[str], said: str
) -> None:
    task = people().task
    if "{task}" in options:
        os.chown(house.keys, 0, task.pw_gid)
        house.keys.chmod(0o640)
    named = [option.format(task=task.pw_name) for option in options]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "taskrunner", "serve", "--listen", "127.0.0.1:0"),
            *("--database-url", f"sqlite:///{house.root / 'service.db'}"),
            *("--credentials-file", str(house.keys), "--work-dir", str(house.work)),
            *("--resources", "local", *named),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert json.dumps(done.stderr).count("Traceback") == 0
