"""A definition with an Ec2Resource, put by the AWS CLI, worked off on the instance made for it.

EC2 is the small server of `taskrunner.testing`; a real agent stands for the instance. It is set up
from nothing but its user data, as the script in them would.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from taskrunner.cli.machine_key import main as tell_key
from taskrunner.clock import SystemClock
from taskrunner.testing.ec2 import Ec2Server, Machine
from tests.acceptance.running import Service, taskrunner, until
from tests.acceptance.served_process import served

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ec2-worker" / "pipeline.json"
KEYS = """
[[keys]]
id = "AKIDEXAMPLE"
secret = "0123456789abcdef"
role = "admin"
"""


class Cloud:
    """Runs an agent for each instance that is made, until it is terminated."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.trouble = folder, ""
        self._stack = ExitStack()

    def launched(self, machine: Machine) -> None:
        """EC2 answers at once; the machine boots meanwhile."""
        threading.Thread(target=self._boot, args=(machine,), daemon=True).start()

    def _boot(self, machine: Machine) -> None:
        home = self.folder / machine.ec2_id
        home.mkdir()
        variables = {"KEY_TOKEN": machine.variable("KEY_TOKEN")}
        told = [machine.variable(name) for name in ("ENDPOINT", "REGION", "KEY_ID")]
        if tell_key([*told, str(home / "key")], variables, SystemClock()) != 0:
            self.trouble = "the machine could not say its key"
            return
        # No user is made on this host for a test: tasks run as the agent's.
        left_out = {"run_as_user", "allow_root", "worker_group"}
        settings = {k: v for k, v in machine.settings.items() if k not in left_out}
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        lines += [f"worker_group = {json.dumps(machine.settings['worker_group'])}"]
        lines += [
            f'service_secret_key_file = "{home / "key"}"',
            f's3_root = "{self.folder / "s3"}"',
        ]
        (home / "taskrunner.toml").write_text("\n".join(lines) + "\n")
        self._stack.enter_context(
            taskrunner(
                home / "log",
                *("agent", "--config", str(home / "taskrunner.toml")),
                *("--work-dir", str(home / "work"), "--ec2", "off"),
            )
        )

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with closing(Cloud(tmp_path)) as made:
        yield made


def test_the_example_runs_on_an_instance_of_its_own(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys.toml").write_text(KEYS)
    (tmp_path / "keys.toml").chmod(0o600)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "0123456789abcdef")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with Ec2Server(launched=cloud.launched) as aws:
        aws.roles.add("DataPipelineDefaultResourceRole")
        monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", aws.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", aws.url)
        options = ["--credentials-file", str(tmp_path / "keys.toml")]
        options += ["--resources", "ec2", "--ec2-package", "taskrunner-agent"]
        with served(tmp_path, *options) as running, closing(Service(running.url)) as service:
            pipeline = _put(service)
            until("the end", lambda: _state(service, pipeline) == "FINISHED" or bool(cloud.trouble))
            assert cloud.trouble == ""
            (machine,) = aws.machines.values()
            assert not machine.runs
            # The agent's own key was for this machine only, and ended with it.
            until("its own end", lambda: _log_of(cloud, machine, "UnrecognizedClient"))
    assert machine.tags["Name"] == "worker/Worker"
    files = sorted(path.name for path in (tmp_path / "s3/ec2-worker-example/target").iterdir())
    assert files == ["a.txt", "b.txt", "c.txt"]


def _put(service: Service) -> str:
    made: str = service.client.create_pipeline(name="worker", uniqueId="1")["pipelineId"]
    answer = service.aws(
        *("put-pipeline-definition", "--pipeline-id", made),
        *("--pipeline-definition", f"file://{EXAMPLE}"),
    )
    assert answer["errored"] is False, answer
    service.client.activate_pipeline(pipelineId=made)
    return made


def _state(service: Service, pipeline: str) -> Any:
    reply = service.client.describe_pipelines(pipelineIds=[pipeline])
    fields = reply["pipelineDescriptionList"][0]["fields"]
    return next(field["stringValue"] for field in fields if field["key"] == "@pipelineState")


def _log_of(cloud: Cloud, machine: Machine, text: str) -> bool:
    return text in (cloud.folder / machine.ec2_id / "log").read_text()
