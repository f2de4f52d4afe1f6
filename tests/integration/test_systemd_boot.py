"""The units in a real systemd: ready, stop, kill -9, freeze, wrong settings, other users."""

from __future__ import annotations

import json
import signal
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.nspawn import CannotBoot, Machine, booted_machine, wait_for

AGENT, SERVICE = "taskrunner.service", "taskrunner-serve.service"
COMMAND = "/opt/taskrunner/bin/taskrunner"
PYTHON = "/opt/taskrunner/bin/python"
HERE = Path(__file__).parent
#: Half the time a drain takes here is more than
#: systemd would wait, unless the agent asks for more.
DROP_IN = """
[Service]
TimeoutStopSec=5s
WatchdogSec=3s
"""
STRANGER = """
worker_group = ["wg"]
endpoint = "http://127.0.0.1:8484"
region = "us-east-1"
access_id = "AKIASTRANGER"
secret_key = "not-a-key-of-this-service"
"""
STAYS = """
trap '' TERM
[ -e stays-once ] && exit 0
touch stays-once
setsid bash -c 'trap "" TERM; sleep 1000 & sleep 1000' &
setsid nohup sleep 1000 >/dev/null 2>&1 &
( ( sleep 1000 & ) & )
touch started
sleep 1000
"""
#: An agent whose tasks run as another user, with what that user's task says of itself, and leaves.
APART = """
worker_group = ["apart"]
endpoint = "http://127.0.0.1:8484"
region = "us-east-1"
run_as_user = "games"
kill_grace = 1
"""
OTHERS = """
id -un; stat -c '%U %a' "$HOME"
grep -E '^(CapPrm|CapEff|CapAmb|CapInh|NoNewPrivs)' /proc/self/status | cut -f2
grep ^0:: /proc/self/cgroup
cat /etc/taskrunner/apart.toml && echo saw settings
ls /var/lib/taskrunner/instances/apart/journal && echo saw the journal
cat /run/credentials/*/* && echo saw credentials
ls -d /proc/1 && echo saw init
echo words >/dev/stderr
"""
#: An agent one of whose polls never returns, when it is told so; a poll may take 2 s then, not 150.
FROZEN_POLL = """
import sys, threading
from pathlib import Path
from taskrunner.agent.polling import poller
from taskrunner.wire.runner import RunnerApi

mark = Path("/var/lib/taskrunner/freeze")
original = RunnerApi.poll_for_task

def poll_for_task(self, **given):
    if mark.exists():
        mark.unlink()
        poller._LONGEST_POLL_S = 2.0
        threading.Event().wait()
    return original(self, **given)

RunnerApi.poll_for_task = poll_for_task
from taskrunner.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    context = booted_machine(tmp_path_factory.mktemp("machine"))
    try:
        machine = context.__enter__()
    except CannotBoot as reason:
        pytest.skip(str(reason))
    try:
        _install(machine)
        yield machine
    finally:
        context.__exit__(None, None, None)


def _install(machine: Machine) -> None:
    """As an operator would: the service, a key for the agent, the agent."""
    for name in ("systemd_client.py", "systemd_probe.py"):
        machine.write(f"/opt/{name}", (HERE / name).read_text())
    machine.run(COMMAND, "install-service", "--serve", "--start")
    key = tomllib.loads(machine.path("/etc/taskrunner/keys.toml").read_text())["keys"][0]
    credentials = "[default]\naws_access_key_id={id}\naws_secret_access_key={secret}\n"
    machine.write("/etc/taskrunner/aws-credentials", credentials.format(**key), 0o600)
    machine.write(f"/etc/systemd/system/{AGENT}.d/50-test.conf", DROP_IN)
    machine.run(*_install_agent())


def _install_agent(*more: str) -> list[str]:
    settings = ["--worker-group", "wg", "--region", "us-east-1"]
    settings += ["--endpoint", "http://127.0.0.1:8484"]
    return [COMMAND, "install-service", "--start", *settings, *more]


@pytest.fixture
def agent(machine: Machine) -> Machine:
    """The machine, with a running agent."""
    machine.run("systemctl", "start", AGENT)
    return machine


def _submit(machine: Machine, name: str, command: str) -> str:
    body = f"cd /var/lib/taskrunner\n{command}"
    return machine.output(PYTHON, "/opt/systemd_client.py", "submit", name, body)


def _await_state(machine: Machine, pipeline: str, wanted: str) -> None:
    def found() -> bool:
        return machine.output(PYTHON, "/opt/systemd_client.py", "states", pipeline) == wanted

    wait_for(f"{wanted} of {pipeline}", found)


def _await_file(machine: Machine, name: str) -> Path:
    path = machine.path(f"/var/lib/taskrunner/{name}")
    wait_for(name, path.exists)
    return path


def _main_pid(machine: Machine, unit: str = AGENT) -> int:
    return int(machine.show(unit, "MainPID"))


def _kill(machine: Machine, pid: int, name: str = "KILL") -> None:
    assert pid > 1  # 0 would be everybody
    machine.run("kill", f"-{name}", str(pid))


def _await_restart(machine: Machine, old: int, unit: str = AGENT) -> None:
    def restarted() -> bool:
        fresh = _main_pid(machine, unit) not in {0, old}
        return fresh and machine.show(unit, "ActiveState") == "active"

    wait_for(f"the restart of {unit}", restarted)


def test_the_units_get_ready_under_users_of_their_own(agent: Machine) -> None:
    assert agent.show(AGENT, "StatusText") == "running for wg: 0 tasks running"
    assert agent.show(SERVICE, "StatusText") == "listening on http://127.0.0.1:8484"
    for unit, user in ((AGENT, "taskrunner"), (SERVICE, "taskrunner-serve")):
        assert agent.output("ps", "-o", "user:20=", "-p", str(_main_pid(agent, unit))) == user
    assert agent.output("systemctl", "is-enabled", AGENT) == "enabled"


def test_installing_again_changes_nothing_and_disturbs_nobody(agent: Machine) -> None:
    before = _main_pid(agent)
    lines = agent.output(*_install_agent()).splitlines()
    assert [line for line in lines if line.startswith("write")] == []
    assert _main_pid(agent) == before
    other = agent.run(*_install_agent("--tasks", "9"), check=False)
    assert other.returncode == 2
    assert "/etc/taskrunner/taskrunner.toml exists and has no tasks" in other.stderr


def test_reloading_keeps_the_process(agent: Machine) -> None:
    before = _main_pid(agent)
    agent.run("systemctl", "reload", AGENT)
    wait_for("the new settings", lambda: agent.show(AGENT, "ActiveState") == "active")
    assert _main_pid(agent) == before
    assert agent.show(AGENT, "NRestarts") == "0"


def test_a_task_has_none_of_the_agents_powers(agent: Machine) -> None:
    command = """
    { id -un; grep -E '^(CapPrm|CapEff|CapAmb|NoNewPrivs)' /proc/self/status | cut -f2
      touch /etc/probe && echo wrote /etc
      ls /root /home/* && echo saw homes
      cat /etc/taskrunner/keys.toml && echo saw keys
      ls -d /proc/1 && echo saw init
    } > probe.new 2>/dev/null
    mv probe.new probe
    """
    pipeline = _submit(agent, "powers", command)
    user, *status = _await_file(agent, "probe").read_text().split()
    assert user == "taskrunner"
    assert [int(value, 16) for value in status] == [0, 0, 0, 1]
    _await_state(agent, pipeline, "FINISHED@1")


def test_stop_lets_a_task_finish_however_short_the_units_timeout(agent: Machine) -> None:
    assert agent.show(AGENT, "TimeoutStopUSec") == "5s"
    pipeline = _submit(agent, "drain", "touch drain-began; sleep 8; touch drain-ended")
    _await_file(agent, "drain-began")
    agent.run("systemctl", "stop", AGENT)
    assert agent.path("/var/lib/taskrunner/drain-ended").exists()
    assert agent.show(AGENT, "Result") == "success"
    assert agent.show(AGENT, "ExecMainStatus") == "0"
    _await_state(agent, pipeline, "FINISHED@1")


def test_kill_9_leaves_no_process_and_loses_no_task(agent: Machine) -> None:
    pipeline = _submit(agent, "stays", STAYS)
    _await_file(agent, "started")
    before, main = agent.processes(AGENT), _main_pid(agent)
    assert len(before) >= 8
    _kill(agent, main)
    _await_restart(agent, main)
    assert agent.alive(before) == set()
    _await_state(agent, pipeline, "FINISHED@2")


def test_every_kill_9_is_followed_by_a_restart(agent: Machine) -> None:
    agent.write(f"/run/systemd/system/{AGENT}.d/60-fast.conf", "[Service]\nRestartSec=100ms\n")
    agent.run("systemctl", "daemon-reload")
    begun = int(agent.show(AGENT, "NRestarts"))
    seen: set[int] = set()
    for _ in range(10):
        main = _main_pid(agent)
        seen |= agent.processes(AGENT)
        _kill(agent, main)
        _await_restart(agent, main)
    assert int(agent.show(AGENT, "NRestarts")) == begun + 10
    assert agent.alive(seen) == set()


def test_a_frozen_agent_is_ended_by_the_watchdog_and_started_again(agent: Machine) -> None:
    before, main = agent.processes(AGENT), _main_pid(agent)
    _kill(agent, main, "STOP")
    _await_restart(agent, main)
    journal = agent.journal(AGENT)
    assert "Watchdog timeout" in journal
    assert "Fatal Python error: Aborted" in journal  # and where each thread stood
    assert agent.alive(before) == set()


def test_a_frozen_poll_loop_is_found_out_by_the_watchdog(agent: Machine) -> None:
    """All of the agent lives but the one thread that asks for work."""
    agent.write("/opt/frozen_poll.py", FROZEN_POLL)
    command = f"{PYTHON} /opt/frozen_poll.py agent --config /etc/taskrunner/taskrunner.toml"
    drop_in = f"/run/systemd/system/{AGENT}.d/70-frozen.conf"
    agent.write(drop_in, f"[Service]\nExecStart=\nExecStart={command}\n")
    try:
        agent.run("systemctl", "daemon-reload")
        agent.run("systemctl", "restart", AGENT)
        main = _main_pid(agent)
        before = agent.processes(AGENT)
        _await_state(agent, _submit(agent, "before-the-freeze", "true"), "FINISHED@1")
        agent.write("/var/lib/taskrunner/freeze", "", 0o666)
        # It is frozen as it asks for more, after this.
        _await_state(agent, _submit(agent, "freezes", "true"), "FINISHED@1")
        _await_restart(agent, main)
        assert "Watchdog timeout" in agent.journal(AGENT)
        assert agent.alive(before) == set()
        _await_state(agent, _submit(agent, "after-the-freeze", "true"), "FINISHED@1")
    finally:
        agent.path(drop_in).unlink()
        agent.run("systemctl", "daemon-reload")
        agent.run("systemctl", "restart", AGENT)


def test_the_service_restarts_after_kill_9_and_still_knows_everything(agent: Machine) -> None:
    pipeline = _submit(agent, "remembered", "true")
    _await_state(agent, pipeline, "FINISHED@1")
    main = _main_pid(agent, SERVICE)
    _kill(agent, main)
    _await_restart(agent, main, SERVICE)
    _await_state(agent, pipeline, "FINISHED@1")
    _await_state(agent, _submit(agent, "after", "true"), "FINISHED@1")


def _doctor(machine: Machine, unit: str) -> dict[str, dict[str, str]]:
    """What the doctor finds as the unit, by the name of the check."""
    argv = ["taskrunner", "doctor", "--unit", unit, "--format", "json"]
    found = json.loads(machine.run(*argv, check=False).stdout)["checks"]
    return {check["name"]: check for check in reversed(found)}


def test_the_doctor_looks_as_the_unit_does_and_leaves_it_alone(agent: Machine) -> None:
    before = _main_pid(agent)
    checks = _doctor(agent, "taskrunner")
    assert [name for name, check in checks.items() if check["result"] == "FAIL"] == []
    assert "found by shared-credentials-file" in checks["credentials"]["found"]
    assert checks["user"]["found"].endswith("as user taskrunner")
    assert checks["cgroup"]["result"] == "PASS"
    assert checks[AGENT]["found"].startswith("active: running for wg")
    assert _main_pid(agent) == before
    assert agent.output("taskrunner", "status").startswith("agent    taskrunner "), (
        "a socket is gone"
    )
    assert "taskrunner-doctor" not in agent.output("ls", "/run/systemd/system")
    assert (
        agent.output("systemctl", "list-units", "--all", "--plain", "-q", "taskrunner-doctor*")
        == ""
    )


@pytest.mark.parametrize(
    ("instance", "settings", "status_code", "said"),
    [
        ("broken", 'worker_group = ["wg"]\ntasks = 0\n', 2, "tasks: found 0"),
        (
            "stranger",
            STRANGER,
            77,
            "not authorized",
        ),
    ],
)
def test_what_a_restart_cannot_mend_is_not_restarted(
    agent: Machine, instance: str, settings: str, status_code: int, said: str
) -> None:
    unit = f"taskrunner@{instance}.service"
    agent.run(COMMAND, "install-service", "--instance", instance)
    agent.write(f"/etc/taskrunner/{instance}.toml", settings)
    agent.run("systemctl", "start", unit, check=False)
    wait_for(f"the end of {unit}", lambda: agent.show(unit, "ActiveState") == "failed")
    assert agent.show(unit, "ExecMainStatus") == str(status_code)
    assert said in agent.journal(unit)
    status = agent.show(unit, "StatusText")
    assert status.startswith(f"ended with exit code {status_code}: "), "systemctl status tells why"
    assert said in status
    again = agent.run(COMMAND, "install-service", "--instance", instance, "--start", check=False)
    assert again.returncode == (1 if status_code == 77 else 2)
    assert said in again.stderr
    checks = _doctor(agent, unit)
    found = {"broken": "settings", "stranger": "authentication"}[instance]
    assert checks[found]["result"] == "FAIL"
    wait_for(f"the end of {unit}", lambda: agent.show(unit, "ActiveState") == "failed")
    # Longer than RestartSec: a restart would have come by now.
    agent.run("sleep", "3")
    assert agent.show(unit, "NRestarts") == "0"
    agent.run(COMMAND, "uninstall-service", "--instance", instance, "--purge")


def _probe(machine: Machine, *properties: str) -> dict[str, object]:
    """Run the probe in a unit that is the agent's but for what it runs."""
    lines = machine.path(f"/etc/systemd/system/{AGENT}").read_text().splitlines()
    other = ("Type=", "ExecStart=", "WatchdogSec=", "Restart")
    lines = [line for line in lines if not line.startswith(other)]
    begin = lines.index("[Service]") + 1
    lines[begin:begin] = ["Type=oneshot", f"ExecStart={PYTHON} /opt/systemd_probe.py"]
    end = lines.index("[Install]")
    lines[end:end] = properties
    machine.write("/run/systemd/system/probe.service", "\n".join(lines))
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "probe.service")
    last = [line for line in machine.journal("probe.service").splitlines() if line[0] == "{"][-1]
    found: dict[str, object] = json.loads(last)
    return found


def test_the_sandbox_lets_tasks_run_as_another_user(agent: Machine) -> None:
    found = _probe(agent)
    assert found == {
        "command": {
            "Uid": ["65534"] * 4,
            "Groups": [],
            "CapPrm": ["0" * 16],
            "CapEff": ["0" * 16],
            "NoNewPrivs": ["1"],
        },
        "secret": "refused: Permission denied",
        "journal": "refused: Permission denied",
        "kill": -signal.SIGKILL,
        "kill_group": -signal.SIGKILL,
        "write_etc": "refused: Read-only file system",
        "mount": -1,
    }


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("AmbientCapabilities=", {"command", "kill"}),
        ("SystemCallFilter=~@setuid", {"command", "kill"}),
        ("AmbientCapabilities=\nAmbientCapabilities=CAP_SETUID CAP_SETGID", {"kill"}),
        ("ProtectControlGroups=yes", {"kill_group"}),
    ],
)
def test_what_the_units_lines_are_for(agent: Machine, line: str, broken: set[str]) -> None:
    found = _probe(agent, line)
    refused = {name for name in ("command", "kill", "kill_group") if "refused" in str(found[name])}
    assert refused == broken


def test_uninstalling_keeps_settings_and_state_until_purged(agent: Machine) -> None:
    agent.run(COMMAND, "uninstall-service")
    assert agent.show(AGENT, "LoadState") == "not-found"
    assert agent.path("/etc/taskrunner/taskrunner.toml").exists()
    assert agent.path("/var/lib/taskrunner/journal").exists()
    agent.run(COMMAND, "uninstall-service", "--purge")
    assert not agent.path("/etc/taskrunner/taskrunner.toml").exists()
    assert not agent.path("/var/lib/taskrunner/journal").exists()
    assert agent.show(SERVICE, "ActiveState") == "active"


@pytest.fixture
def apart(machine: Machine) -> Machine:
    """The machine, with an agent that runs tasks as another user."""
    machine.write("/etc/taskrunner/apart.toml", APART, 0o640)
    machine.run("chgrp", "taskrunner", "/etc/taskrunner/apart.toml")
    machine.run(COMMAND, "install-service", "--instance", "apart", "--start")
    return machine


UNIT = "taskrunner@apart.service"
STATE = "/var/lib/taskrunner/instances/apart"


def _submit_apart(machine: Machine, name: str, command: str) -> str:
    return machine.output(PYTHON, "/opt/systemd_client.py", "submit", name, command, "apart")


def _log_of(machine: Machine, pipeline: str, name: str = "StdOutput") -> str:
    logs = machine.path(f"{STATE}/output/logs/{pipeline}")
    return "".join(path.read_text() for path in logs.rglob(name))


def test_a_task_of_another_user_runs_in_a_group_of_its_own_and_sees_nothing(apart: Machine) -> None:
    pipeline = _submit_apart(apart, "others", OTHERS)
    _await_state(apart, pipeline, "FINISHED@1")
    user, home, *rest = _log_of(apart, pipeline).splitlines()
    assert (user, home) == ("games", "games 700")
    *status, group = rest
    assert [int(value, 16) for value in status] == [0, 0, 0, 0, 1]
    assert f"/{UNIT}/taskrunner-" in group
    assert "words" in _log_of(apart, pipeline, "StdError")
    assert list(apart.path(f"{STATE}/output/tmp").iterdir()) == []


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_nothing_of_another_users_task_outlives_its_agent(apart: Machine, end: str) -> None:
    once = f"{STATE}/open/{end}"
    apart.run("install", "-d", "-m", "0777", f"{STATE}/open")
    strays = f"""
    [ -e {once} ] && exit 0
    trap '' TERM; touch {once}
    for i in 1 2 3; do setsid sh -c 'trap "" TERM; sleep 1000 & sleep 1000' & done
    ( ( setsid sleep 1000 & ) & )
    sleep 1; echo started; sleep 1000
    """
    pipeline = _submit_apart(apart, f"strays-{end}", strays)
    wait_for("the strays", lambda: _log_of(apart, pipeline))
    before, main = apart.processes(UNIT), _main_pid(apart, UNIT)
    assert len(before) >= 8
    if end == "stop":
        # A second signal cancels: the drain itself has another test.
        apart.run("systemctl", "kill", "--kill-whom=main", "--signal=QUIT", UNIT)
        wait_for("the end", lambda: apart.show(UNIT, "ActiveState") != "active")
    else:
        _kill(apart, main)
        _await_restart(apart, main, UNIT)
    wait_for("the end of all", lambda: not apart.alive(before))
    folder = apart.path("/sys/fs/cgroup" + apart.show(UNIT, "ControlGroup"))
    wait_for("the groups to go", lambda: not list(folder.glob("taskrunner-*")))
    tmp = apart.path(f"{STATE}/output/tmp")
    apart.run("systemctl", "start", UNIT)
    # It was interrupted, so it is handed out again, and ends by itself.
    _await_state(apart, pipeline, "FINISHED@2")
    wait_for("the folders to go", lambda: not list(tmp.iterdir()))
