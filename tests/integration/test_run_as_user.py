"""Commands that run as another user than the agent: root's agent, and one with three rights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.agent_harness import (
    AgentProcess,
    FakeService,
    running_agent,
    task_json,
    wait_for,
)
from tests.integration.other_users import People, people, shared_folder

pytestmark = pytest.mark.xdist_group("alone")

#: How the agent is started: by root, or as its unit starts it.
HOW = ("root", "unprivileged")


@contextmanager
def agent(
    service: FakeService, how: str, *options: str, who: People | None = None
) -> Iterator[AgentProcess]:
    found = who or people()
    plain = how != "unprivileged"
    with (
        shared_folder(None if plain else found.agent) as folder,
        running_agent(
            service,
            folder,
            *(options or ("--run-as-user", found.task.pw_name)),
            under=() if plain else found.unprivileged(),
            environ={} if plain else found.environ,
        ) as process,
    ):
        yield process


def output(process: AgentProcess, name: str = "StdOutput") -> str:
    (path,) = (process.work_dir / "output" / "logs").rglob(name)
    return path.read_text()


LOOK = r"""
echo "ids $(id -u) $(id -g) $(id -G)"
grep -E '^(Uid|Gid|Cap...|NoNewPrivs)' /proc/self/status
echo "home $HOME $(stat -c '%U %a' "$HOME")"
echo "temporary $TMPDIR"
echo "user $USER $LOGNAME"
echo "umask $(umask)"
echo "in $(pwd)"
ls /proc/self/fd
env | grep -E 'AWS|TASKRUNNER'
echo more >/dev/stderr
echo again >>/dev/stdout
echo "wrote $(echo x > mine; stat -c '%U %a' mine)"
"""


@pytest.mark.parametrize("how", HOW)
def test_a_command_has_the_rights_of_its_user_and_no_others(service: FakeService, how: str) -> None:
    user = people().task
    with agent(service, how) as process:
        service.tasks.put(task_json("t1", LOOK))
        verdict = service.verdict("t1")
        assert verdict["taskStatus"] == "FINISHED", (verdict, process.log)
        lines = output(process).splitlines()
        assert output(process, "StdError") == "more\n"
    assert f"ids {user.pw_uid} {user.pw_gid} {user.pw_gid}" in lines
    four = "\t".join([str(user.pw_uid)] * 4)
    assert f"Uid:\t{four}" in lines
    assert {f"Cap{name}:\t{0:016x}" for name in ("Inh", "Prm", "Eff", "Amb")} <= set(lines)
    assert "NoNewPrivs:\t1" in lines
    (home,) = (line.split()[1:] for line in lines if line.startswith("home "))
    assert home[1:] == [user.pw_name, "700"]
    assert f"temporary {home[0]}" in lines
    assert f"user {user.pw_name} {user.pw_name}" in lines
    assert "umask 0077" in lines
    assert [line for line in lines if line.startswith("in ")] == [f"in {home[0]}/cwd"]
    assert [line for line in lines if line.isdigit()] == ["0", "1", "2", "3"], "3 is ls's own"
    assert [line.split("=")[0] for line in lines if "=" in line] == ["TASKRUNNER_ATTEMPT"]
    assert "again" in lines
    assert f"wrote {user.pw_name} 600" in lines


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("secret", [{}, {"*password": "hunter22"}])
def test_staged_files_and_their_folders_are_the_users_and_nothing_stays(
    service: FakeService, how: str, secret: dict[str, str]
) -> None:
    command = """
    cat $INPUT1_STAGING_DIR/deep/in >$OUTPUT1_STAGING_DIR/out
    echo hunter22 >/dev/stderr
    mkdir -p closed/below; touch closed/below/file; chmod 0 closed/below closed
    chmod 0 $INPUT1_STAGING_DIR; ln -s /etc link
    """
    nodes = {
        "In": {"type": "S3DataNode", "directoryPath": "s3://bucket/in"},
        "Out": {"type": "S3DataNode", "directoryPath": "s3://bucket/out"},
    }
    fields = {"stage": "true", "input": {"ref": "In"}, "output": {"ref": "Out"}, **secret}
    with agent(service, how) as process:
        service.wait("a poll", lambda: service.calls("PollForTask"))
        source = process.s3 / "bucket" / "in" / "deep" / "in"
        source.parent.mkdir(parents=True)
        source.write_text("data")
        if how == "unprivileged":
            (process.s3 / "bucket").chmod(0o777)
        service.tasks.put(task_json("t1", command, fields=fields, objects=nodes))
        verdict = service.verdict("t1")
        assert verdict["taskStatus"] == "FINISHED", (verdict, process.log)
        assert (process.s3 / "bucket" / "out" / "out").read_text() == "data"
        assert output(process, "StdError") == ("*********\n" if secret else "hunter22\n")
        wait_for(
            "the scratch folder to go",
            lambda: not list((process.work_dir / "output" / "tmp").iterdir()),
        )


@pytest.mark.parametrize("how", HOW)
def test_a_definition_reaches_local_files_with_the_rights_of_the_commands_user(
    service: FakeService, how: str
) -> None:
    with agent(service, how) as process:
        service.wait("a poll", lambda: service.calls("PollForTask"))
        private = process.work_dir / "journal" / "lock"
        for number, fields in enumerate(
            (
                {"scriptUri": str(private)},
                {"scriptUri": f"file://{private}"},
                {"command": "true", "stdout": str(process.work_dir / "journal" / "stolen")},
                {"command": f"ln -s {private} $OUTPUT1_STAGING_DIR/x", "stage": "true"},
            )
        ):
            task = f"t{number}"
            nodes = {"Out": {"type": "S3DataNode", "directoryPath": "s3://bucket/out"}}
            own = {"output": {"ref": "Out"}, **fields}
            service.tasks.put(task_json(task, fields.get("command", ""), fields=own, objects=nodes))
            verdict = service.verdict(task)
            assert verdict["taskStatus"] == "FAILED", fields
            assert verdict["errorId"] in {"AccessDenied", "InvalidField"}, verdict


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("end", ["finish", "cancel", "timeout", "drain"])
def test_nothing_of_another_users_task_stays_behind(
    service: FakeService, how: str, end: str
) -> None:
    command = """
    trap '' TERM; touch pids
    for i in 1 2 3; do setsid sh -c 'trap "" TERM; echo $$ >>pids; exec sleep 1000' & done
    while [ "$(wc -l <pids)" != 3 ]; do sleep 0.05; done
    cat pids >&2
    """
    command += "" if end == "finish" else "sleep 1000"
    fields = {"attemptTimeout": "2 seconds"} if end == "timeout" else {}
    with agent(service, how) as process:
        service.tasks.put(task_json("t1", command, fields=fields))
        logs = process.work_dir / "output" / "logs"
        wait_for("the start", lambda: list(logs.rglob("StdError")))
        wait_for("the strays", lambda: len(output(process, "StdError").split()) == 3)
        pids = output(process, "StdError").split()
        if end == "cancel":
            service.canceled.add("t1")
        elif end == "drain":
            process.stop()
        else:
            service.verdict("t1")
        wait_for("their end", lambda: not [p for p in pids if _runs(p)])
        tmp = process.work_dir / "output" / "tmp"
        wait_for("the scratch folder to go", lambda: not list(tmp.iterdir()))


def _runs(pid: str) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return ") Z " not in stat.read_text()
    except OSError:
        return False


def test_each_worker_group_has_the_user_that_it_is_given(service: FakeService) -> None:
    found = people()
    options = ["--worker-group", "second", "--run-as-user", found.task.pw_name]
    options += ["--run-as-user", f"second={found.other.pw_name}"]
    with agent(service, "root", *options, who=found) as process:
        service.wait(
            "both polls", lambda: {c["workerGroup"] for c in service.calls("PollForTask")} >= GROUPS
        )
        for number in range(4):
            service.tasks.put(task_json(f"t{number}", "id -un"))
            service.verdict(f"t{number}")
        logs = process.work_dir / "output" / "logs"
        names = [path.read_text() for path in logs.rglob("StdOutput")]
    assert set(names) <= {f"{found.task.pw_name}\n", f"{found.other.pw_name}\n"}


GROUPS = {"wg", "second"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--run-as-user", "no-such-user"], "this host has no user 'no-such-user'; create it"),
        (["--run-as-user", "root"], "'root' is the agent's own user"),
        (["--run-as-user", "third=games"], "'third', which this agent does not serve"),
    ],
)
def test_a_user_that_tasks_cannot_be_is_refused(
    service: FakeService, options: list[str], message: str
) -> None:
    with agent(service, "root", *options) as process:
        assert process.wait() == 2
        assert message in process.log


def test_an_agent_without_the_rights_to_change_users_says_so(service: FakeService) -> None:
    found = people()
    with (
        shared_folder(found.agent) as folder,
        running_agent(
            service,
            folder,
            *("--run-as-user", found.task.pw_name),
            under=found.unprivileged(capabilities=""),
            environ=found.environ,
        ) as process,
    ):
        assert process.wait() == 2
        assert "lacks CAP_KILL, CAP_SETGID, CAP_SETUID" in process.log


def test_a_work_folder_that_the_user_cannot_get_to_is_refused(service: FakeService) -> None:
    found = people()
    with shared_folder() as folder:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        with running_agent(service, closed, "--run-as-user", found.task.pw_name) as process:
            assert process.wait() == 2
            assert f"since {closed} is closed to others" in process.log
