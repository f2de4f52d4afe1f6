"""Whatever an operator gets wrong: what the agent does and says, and what the doctor finds.

Each row breaks one thing. The agent must name the cause, and end with the documented code or go on
quietly; the doctor must find it, under that name, with a remedy.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.acceptance.served_process import served
from tests.integration.agent_harness import (
    PATIENCE_S,
    AgentProcess,
    FakeService,
    running_agent,
    task_json,
    wait_for,
)
from tests.integration.netns import in_namespace
from tests.integration.stand_ins import denying_s3, refusing_service
from tests.integration.tls import tls_service
from tests.local_runs import command_here

ADMIN = ("AKADMIN1", "the-secret-of-the-administrator")
RUNNER = ("AKRUNNER1", "the-secret-of-the-runner")
BOUND = ("AKRUNNER2", "the-secret-of-the-bound-runner")
KEYS = """
[[keys]]
id = "AKADMIN1"
secret = "the-secret-of-the-administrator"
role = "admin"
[[keys]]
id = "AKRUNNER1"
secret = "the-secret-of-the-runner"
role = "runner"
[[keys]]
id = "AKRUNNER2"
secret = "the-secret-of-the-bound-runner"
role = "runner"
worker_groups = ["Wg"]
"""


@dataclass(kw_only=True)
class Broken:
    """What differs from an agent on which all is well."""

    endpoint: str
    options: list[str] = field(default_factory=list)
    key: tuple[str, str] = RUNNER
    environ: dict[str, str] = field(default_factory=dict)
    #: A program that runs agent and doctor.
    under: list[str] = field(default_factory=list)
    #: Where tasks come from, if the agent is to have one.
    service: FakeService | None = None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What there is to break: a service with keys, and a pipeline for the group `Wg`."""

    url: str
    folder: Path
    stack: ExitStack


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One thing that is broken, and what must come of it."""

    broken: Callable[[Stage], Broken]
    #: What the agent says; with a code it ends, without it goes on and says it no more than twice.
    says: Sequence[str]
    code: int | None = None
    #: The doctor's check, what it finds, and part of its remedy.
    check: str
    finds: str
    remedy: str
    #: For a task that fails because of it: the verdict's errorId and part of its message.
    verdict: tuple[str, str] | None = None


@pytest.fixture(scope="module")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("service")
    keys = folder / "keys.toml"
    keys.touch(0o600)
    keys.write_text(KEYS)
    with served(folder, "--credentials-file", str(keys)) as service:
        _define_a_pipeline(service.url)
        yield service.url


def _define_a_pipeline(url: str) -> None:
    client = boto3.client(
        "datapipeline",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=ADMIN[0],
        aws_secret_access_key=ADMIN[1],
    )
    pipeline = client.create_pipeline(name="orders", uniqueId="orders")["pipelineId"]
    fields = {"type": "ShellCommandActivity", "command": "true", "workerGroup": "Wg"}
    pairs = [{"key": key, "stringValue": value} for key, value in fields.items()]
    activity: Any = {"id": "A", "name": "A", "fields": pairs}
    default: Any = [{"key": "scheduleType", "stringValue": "ondemand"}]
    client.put_pipeline_definition(
        pipelineId=pipeline,
        pipelineObjects=[{"id": "Default", "name": "Default", "fields": default}, activity],
    )
    client.close()


def _wrong_key(stage: Stage) -> Broken:
    return Broken(endpoint=stage.url, key=(RUNNER[0], "another-secret-than-that"))


def _wrong_group(stage: Stage) -> Broken:
    return Broken(endpoint=stage.url, key=BOUND)


def _wrong_group_any_key(stage: Stage) -> Broken:
    return Broken(endpoint=stage.url, key=ADMIN)


def _no_route(_stage: Stage) -> Broken:
    return Broken(endpoint="https://192.0.2.1:8484")


def _no_name(_stage: Stage) -> Broken:
    return Broken(endpoint="https://service.invalid:8484")


def _wrong_clock(stage: Stage) -> Broken:
    text = "Signature expired or not yet valid: it is not within 5 minutes of the service's time"
    ahead = timedelta(minutes=10, seconds=10)
    context = refusing_service("InvalidSignatureException", text, ahead=ahead)
    return Broken(endpoint=stage.stack.enter_context(context))


def _full_disk(stage: Stage) -> Broken:
    """A disk of its own, of 4 MB with nothing left; it goes with the process."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a full disk takes root and `unshare` (package util-linux)")
    place = stage.folder / "agent" / "work"
    place.mkdir(parents=True)
    script = (
        'mount -t tmpfs -o size=4m tmpfs "$0" || exit 99; '
        'head -c 5m /dev/zero > "$0/fill" 2>/dev/null; exec "$@"'
    )
    under = ["unshare", "--mount", "sh", "-c", script, str(place)]
    return Broken(endpoint=stage.url, under=under)


def _little_space(stage: Stage) -> Broken:
    return Broken(endpoint=stage.url, options=["--min-free-disk", "1000000 TB"])


def _missing_driver(stage: Stage) -> Broken:
    module = stage.folder / "site" / "pymysql.py"
    module.parent.mkdir()
    module.write_text("raise ModuleNotFoundError(\"No module named 'pymysql'\", name='pymysql')\n")
    service = _fake(stage)
    database = {"type": "JdbcDatabase", "connectionString": "jdbc:mysql://127.0.0.1/x"}
    login = {"jdbcDriverClass": "com.mysql.jdbc.Driver", "username": "u", "*password": "p"}
    fields = {"script": "select 1", "database": {"ref": "Db"}}
    objects = {"Db": {**database, **login}}
    service.tasks.put(task_json("t1", "", fields=fields, objects=objects, kind="SqlActivity"))
    return Broken(endpoint=service.url, service=service, environ={"PYTHONPATH": str(module.parent)})


def _fake(stage: Stage) -> FakeService:
    service = FakeService()
    stage.stack.callback(service.close)
    return service


def _unreadable_settings(stage: Stage) -> Broken:
    file = stage.folder / "taskrunner.toml"
    file.write_text("tasks = 1\n")
    file.chmod(0)
    under = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root reads everything, and there is no `setpriv` (package util-linux)")
    return Broken(
        endpoint=stage.url,
        options=["--config", str(file)],
        under=under if os.geteuid() == 0 else [],
    )


def _wrong_region(stage: Stage) -> Broken:
    return Broken(endpoint=stage.url, options=["--region", "eu-west-1"])


def _no_s3_permission(stage: Stage) -> Broken:
    service = _fake(stage)
    service.tasks.put(task_json("t1", "echo hello"))
    s3 = stage.stack.enter_context(denying_s3())
    return Broken(
        endpoint=service.url,
        service=service,
        options=["--log-uri", "s3://company-logs/agents", "--s3-endpoint", s3],
    )


def _service_down(_stage: Stage) -> Broken:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return Broken(endpoint=f"http://127.0.0.1:{port}")


def _unknown_authority(stage: Stage) -> Broken:
    folder = stage.folder / "tls"
    folder.mkdir()
    service, _ca = stage.stack.enter_context(tls_service(folder, "localhost", "127.0.0.1"))
    return Broken(endpoint=f"https://127.0.0.1:{service.port}")


def _https_to_plain_http(stage: Stage) -> Broken:
    return Broken(endpoint=stage.url.replace("http://", "https://"))


def _path_in_the_endpoint(stage: Stage) -> Broken:
    return Broken(endpoint=f"{stage.url}/datapipeline")


def _proxy_that_is_not_there(stage: Stage) -> Broken:
    port = _service_down(stage).endpoint.rpartition(":")[2]
    options = ["--proxy-host", "127.0.0.1", "--proxy-port", port]
    return Broken(endpoint="https://service.invalid", options=options)


def _expired_credentials(stage: Stage) -> Broken:
    text = "The security token included in the request is expired"
    context = refusing_service("ExpiredTokenException", text)
    return Broken(endpoint=stage.stack.enter_context(context))


def _no_data_pipeline_for_the_account(stage: Stage) -> Broken:
    text = "The AWS Access Key Id needs a subscription for the service"
    return Broken(endpoint=stage.stack.enter_context(refusing_service("OptInRequired", text)))


def _work_folder_under_a_file(stage: Stage) -> Broken:
    stage.folder.joinpath("agent").mkdir()
    stage.folder.joinpath("agent", "work").write_text("a file")
    return Broken(endpoint=stage.url)


def _missing_credentials_file(stage: Stage) -> Broken:
    path = str(stage.folder / "no-such-file")
    return Broken(
        endpoint=stage.url,
        environ={"AWS_SHARED_CREDENTIALS_FILE": path, "AWS_CONFIG_FILE": os.devnull},
    )


THINGS = {
    "wrong key": Thing(
        broken=_wrong_key,
        says=[
            "not authorized: the agent ends",
            "the secret access key is not the one that belongs to it",
        ],
        code=77,
        check="authentication",
        finds="InvalidSignatureException",
        remedy="letter by letter",
    ),
    "wrong group name, in case only": Thing(
        broken=_wrong_group,
        says=["not authorized: the agent ends", "not authorized for the worker group 'wg'"],
        code=77,
        check="ReportTaskRunnerHeartbeat",
        finds="for the worker group 'wg'",
        remedy="correct worker_group, whose letters and case count",
    ),
    "wrong group name, a key for any": Thing(
        broken=_wrong_group_any_key,
        says=["agent started"],
        check="worker group wg",
        finds="no pipeline names it, but orders names 'Wg'",
        remedy="set worker_group to 'Wg'",
    ),
    "no network": Thing(
        broken=_no_route,
        says=["no answer; will keep trying", "network is unreachable"],
        check="endpoint",
        finds="no connection to port 8484 of 192.0.2.1: network is unreachable",
        remedy="check this host's network, routes and firewalls",
    ),
    "no name server": Thing(
        broken=_no_name,
        says=["no answer; will keep trying", "name"],
        check="endpoint",
        finds="the name service.invalid cannot be resolved",
        remedy="/etc/resolv.conf",
    ),
    "clock off by 10 minutes": Thing(
        broken=_wrong_clock,
        says=["no answer; will keep trying", "this host's clock is 10 min behind the service's"],
        check="clock",
        finds="behind the service; signatures are refused from 300 s on",
        remedy="timedatectl set-ntp true",
    ),
    "full disk": Thing(
        broken=_full_disk,
        says=["low disk: no more tasks are taken", "0 kB are free in"],
        check="disk",
        finds="less than min_free_disk",
        remedy="make space",
    ),
    "little space": Thing(
        broken=_little_space,
        says=["low disk: no more tasks are taken", "less than min_free_disk"],
        check="disk",
        finds="no task is taken",
        remedy="make space",
    ),
    "missing driver": Thing(
        broken=_missing_driver,
        says=["agent started"],
        check="driver mysql",
        finds="No module named 'pymysql'",
        remedy="pip install pymysql",
        verdict=("UnsupportedType", "No module named 'pymysql'"),
    ),
    "unreadable settings": Thing(
        broken=_unreadable_settings,
        says=["the configuration file cannot be read: permission denied to user id"],
        code=2,
        check="settings",
        finds="its mode 0",
        remedy="taskrunner config check",
    ),
    "wrong region": Thing(
        broken=_wrong_region,
        says=["not authorized: the agent ends", "this service's region is us-east-1"],
        code=77,
        check="authentication",
        finds="Credential should be scoped to",
        remedy="set region to 'us-east-1', that of the service; 'eu-west-1' comes from --region",
    ),
    "no S3 permission": Thing(
        broken=_no_s3_permission,
        says=["logs not shipped", "Access Denied"],
        check="log URI",
        finds="Access Denied",
        remedy="allow these credentials s3:PutObject",
        verdict=("LogsNotShipped", "Access Denied"),
    ),
    "service down": Thing(
        broken=_service_down,
        says=["no answer; will keep trying", "connection refused"],
        check="endpoint",
        finds="connection refused",
        remedy="start the service",
    ),
    "certificate of an unknown authority": Thing(
        broken=_unknown_authority,
        says=["no answer; will keep trying", "certificate verify failed", "set ca_bundle"],
        check="endpoint",
        finds="set ca_bundle to the certificate of the authority that issued it",
        remedy="check that host and port are those of the service",
    ),
    "https to plain http": Thing(
        broken=_https_to_plain_http,
        says=["no answer; will keep trying", "is the endpoint http://?"],
        check="endpoint",
        finds="is the endpoint http://?",
        remedy="check that host and port are those of the service",
    ),
    "path in the endpoint": Thing(
        broken=_path_in_the_endpoint,
        says=[
            "no answer; will keep trying",
            "did not answer PollForTask as AWS Data Pipeline does",
        ],
        check="endpoint",
        finds="HTTP 404",
        remedy="with no path",
    ),
    "proxy that is not there": Thing(
        broken=_proxy_that_is_not_there,
        says=["no answer; will keep trying", "the proxy cannot be reached: connection refused"],
        check="proxy",
        finds="connection refused",
        remedy="mend proxy_host and proxy_port (--proxy-host)",
    ),
    "expired credentials": Thing(
        broken=_expired_credentials,
        says=["not authorized: the agent ends", "ExpiredTokenException"],
        code=77,
        check="authentication",
        finds="is expired",
        remedy="have them renewed",
    ),
    "account without Data Pipeline": Thing(
        broken=_no_data_pipeline_for_the_account,
        says=["not authorized: the agent ends", "OptInRequired"],
        code=77,
        check="authentication",
        finds="OptInRequired",
        remedy="`taskrunner serve`",
    ),
    "credentials file that is not there": Thing(
        broken=_missing_credentials_file,
        says=["not authorized: the agent ends", "MissingAuthenticationTokenException"],
        code=77,
        check="credentials",
        finds="no-such-file, which AWS_SHARED_CREDENTIALS_FILE names, is not there",
        remedy="put the file there",
    ),
    "work folder that is none": Thing(
        broken=_work_folder_under_a_file,
        says=["work folder", "cannot be written to"],
        code=2,
        check="work folder",
        finds="cannot be written to",
        remedy="set work_dir",
    ),
}
IN_A_NAMESPACE = ("no network", "no name server")


@pytest.mark.parametrize("name", list(THINGS))
def test_what_is_broken_is_named_with_its_remedy(
    service_url: str, tmp_path: Path, name: str
) -> None:
    thing = THINGS[name]
    with ExitStack() as stack:
        broken = thing.broken(Stage(url=service_url, folder=tmp_path, stack=stack))

        def tried() -> tuple[int, list[dict[str, Any]]]:
            _run_agent(thing, broken, tmp_path)
            return _doctor(broken, tmp_path)

        code, checks = in_namespace(tried) if name in IN_A_NAMESPACE else tried()
    failures = [check for check in checks if check["result"] == "FAIL"]
    assert code == 1
    assert failures, checks
    assert failures[0]["name"] == thing.check, "the first failure is to be the cause"
    assert thing.finds in failures[0]["found"]
    assert thing.remedy in failures[0]["remedy"]


def _run_agent(thing: Thing, broken: Broken, folder: Path) -> None:
    options = ["--endpoint", broken.endpoint, *broken.options]
    service = broken.service or FakeService()
    try:
        with running_agent(
            service,
            folder / "agent",
            *options,
            s3_root=False,
            environ=_environ(broken),
            under=broken.under,
        ) as agent:
            if thing.verdict is not None:
                verdict = service.verdict("t1")
                assert verdict["errorId"] == thing.verdict[0]
                assert thing.verdict[1] in verdict["errorMessage"]
            if thing.code is None:
                wait_for("the message", lambda: all(text in agent.log for text in thing.says))
            else:
                assert agent.wait() == thing.code, agent.log
            _judge(thing, agent)
    finally:
        if broken.service is None:
            service.close()


def _judge(thing: Thing, agent: AgentProcess) -> None:
    log = agent.log
    for text in thing.says:
        assert text in log, log
    assert log.count(thing.says[0]) <= 2, f"said again and again:\n{log}"
    assert "Traceback" not in log
    assert not any(secret in log for _, secret in (ADMIN, RUNNER))
    if thing.code is None:
        assert agent.process.poll() is None, log


def _environ(broken: Broken) -> dict[str, str]:
    key = {"AWS_ACCESS_KEY_ID": broken.key[0], "AWS_SECRET_ACCESS_KEY": broken.key[1]}
    return {**({} if "AWS_CONFIG_FILE" in broken.environ else key), **broken.environ}


def _doctor(broken: Broken, folder: Path) -> tuple[int, list[dict[str, Any]]]:
    argv = ["doctor", "--format", "json"]
    argv += ["--work-dir", str(folder / "agent" / "work"), "--worker-group", "wg"]
    argv += ["--endpoint", broken.endpoint, *broken.options]
    clean = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    environ = {**clean, **_environ(broken)}
    # What is broken before a process begins takes one to be found.
    apart = broken.under or "PYTHONPATH" in environ
    ended = _apart(broken.under, argv, environ) if apart else command_here(*argv, environ=environ)
    assert "Traceback" not in ended.stderr
    checks: list[dict[str, Any]] = json.loads(ended.stdout)["checks"]
    return ended.returncode, checks


def _apart(
    under: Sequence[str], argv: Sequence[str], environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*under, sys.executable, "-m", "taskrunner", *argv],
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
