"""`taskrunner run` with real processes: how it ends, by itself and before its time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from taskrunner.cli import main
from tests.integration.agent_harness import PATIENCE_S, wait_for
from tests.local_runs import run_here

ON_DEMAND = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"}
CASCADE = {**ON_DEMAND, "failureAndRerunMode": "cascade"}


#: The tests whose processes are measured: those of the others do the same once more.
MEASURED = {
    "test_a_success",
    "test_a_failure_says_why_and_what_never_ran",
    "test_json_says_where_outputs_are",
    "test_an_attempt_that_takes_too_long_is_ended",
}


@pytest.fixture(autouse=True)
def _unmeasured_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.name not in MEASURED:
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


def shell(key: str, command: str = "true", **fields: Any) -> dict[str, Any]:
    return {"id": key, "type": "ShellCommandActivity", "command": command, **fields}


def ref(key: str) -> dict[str, str]:
    return {"ref": key}


def write(folder: Path, *objects: dict[str, Any], name: str = "p.json", **more: Any) -> str:
    path = folder / name
    path.write_text(json.dumps({"objects": list(objects), **more}))
    return str(path)


def argv(folder: Path, definition: str, *options: str) -> list[str]:
    program = [sys.executable, "-m", "taskrunner", "run", definition]
    return [*program, "--work-dir", str(folder / "work"), *options]


def environment() -> dict[str, str]:
    # Not what the tests are run with: output is in a buffer, as it is for users.
    return {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}


def run_apart(folder: Path, definition: str, *options: str) -> subprocess.CompletedProcess[str]:
    """As a process of its own."""
    done = subprocess.run(
        argv(folder, definition, *options),
        capture_output=True,
        text=True,
        env=environment(),
        cwd=folder,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert processes_of(folder) == []
    return done


def run(folder: Path, definition: str, *options: str) -> subprocess.CompletedProcess[str]:
    done = run_here(folder, definition, "--work-dir", str(folder / "work"), *options)
    assert "Traceback" not in done.stderr
    assert processes_of(folder) == []
    return done


def result(folder: Path, definition: str, *options: str) -> tuple[int, dict[str, Any]]:
    done = run(folder, definition, "--format", "json", *options)
    return done.returncode, json.loads(done.stdout)


def statuses(document: dict[str, Any]) -> dict[str, str]:
    return {found["component"]: found["status"] for found in document["instances"]}


def attempts(document: dict[str, Any], component: str) -> list[dict[str, Any]]:
    (found,) = (item for item in document["instances"] if item["component"] == component)
    return list(found["attempts"])


def processes_of(folder: Path) -> list[psutil.Process]:
    """The processes that have this folder in their command line or as their work folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd()]
            if process.pid != os.getpid() and any(str(folder) in word for word in words):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


# -- to the end -----------------------------------------------------------------------------


def test_a_success(tmp_path: Path) -> None:
    file = write(tmp_path, ON_DEMAND, shell("A"), shell("B", dependsOn=ref("A")))
    done = run_apart(tmp_path, file)
    assert done.returncode == 0
    assert done.stderr == ""
    last = done.stdout.splitlines()[-1]
    assert last.startswith("FINISHED: 2 FINISHED in ")
    (local,) = (line for line in done.stdout.splitlines() if line.startswith("Local logs: "))
    logs = Path(local.removeprefix("Local logs: "))
    assert list(logs.glob("A/*/*/Activity.log*"))


def test_json_is_one_document_and_nothing_else(tmp_path: Path) -> None:
    code, document = result(tmp_path, write(tmp_path, ON_DEMAND, shell("A")))
    assert code == 0
    (found,) = document["instances"]
    (attempt,) = found["attempts"]
    folder = Path(attempt["logFolder"])
    assert folder.is_relative_to(document["folder"])
    assert folder / "Activity.log" in map(Path, attempt["logFiles"])
    for timed in (document, found, attempt):
        assert timed["start"] <= timed["end"]
        assert timed["durationSeconds"] >= 0
    assert document["status"] == "FINISHED"


def test_json_says_where_outputs_are(tmp_path: Path) -> None:
    node = {"id": "Out", "type": "S3DataNode", "directoryPath": "s3://bucket/out"}
    activity = shell("A", "echo hello > $OUTPUT1_STAGING_DIR/x", stage="true", output=ref("Out"))
    code, document = result(tmp_path, write(tmp_path, ON_DEMAND, activity, node))
    assert code == 0
    (output,) = next(i for i in document["instances"] if i["component"] == "A")["outputs"]
    assert (output["node"], output["uri"]) == ("Out", "s3://bucket/out")
    assert (Path(output["path"]) / "x").read_text() == "hello\n"


def test_old_runs_are_removed_and_what_is_kept_is_told(tmp_path: Path) -> None:
    file = write(tmp_path, ON_DEMAND, shell("A"))
    assert run(tmp_path, file).returncode == 0
    (first,) = (tmp_path / "work" / "runs").iterdir()
    done = run(tmp_path, file, "--keep-runs", "1")
    (told,) = (line for line in done.stdout.splitlines() if line.startswith("Runs kept: "))
    assert told.startswith("Runs kept: 1 of at most 1, ")
    assert told.endswith("; 1 older removed (--keep-runs)")
    (second,) = (tmp_path / "work" / "runs").iterdir()
    assert second != first
    done = run(tmp_path, file, "--keep-runs", "0")
    assert "Runs kept: 2, " in done.stdout
    done = run(tmp_path, file, "--keep-runs", "2", "--format", "json")
    assert json.loads(done.stdout)["status"] == "FINISHED"
    assert done.stderr.startswith("Runs kept: 2 of at most 2, ")


def test_an_alarm_is_told_once(tmp_path: Path) -> None:
    alarm = {"id": "Tell", "type": "SnsAlarm", "topicArn": "arn:aws:sns:us-east-1:1:t"}
    alarm |= {"subject": "it failed", "message": "look", "role": "r"}
    failing = shell("A", "exit 3", maximumRetries="0", onFail=ref("Tell"))
    done = run(tmp_path, write(tmp_path, ON_DEMAND, failing, alarm))
    assert done.stdout.count("it failed: look") == 1


def test_a_retry_and_then_success(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    once = f"test -e {flag} || {{ touch {flag}; echo not yet >&2; exit 3; }}"
    activity = shell("A", once, maximumRetries="2", retryDelay="10 minutes")
    code, document = result(
        tmp_path, write(tmp_path, ON_DEMAND, activity), "--retry-delay-cap", "0.2"
    )
    assert code == 0
    first, second = attempts(document, "A")
    assert (first["status"], second["status"]) == ("FAILED", "FINISHED")
    assert "not yet" in first["errorMessage"]
    assert second["errorMessage"] is None
    flag.unlink()
    done = run(tmp_path, write(tmp_path, ON_DEMAND, activity), "--retry-delay-cap", "0.2")
    told = "Tried again after 0.2 s, sooner than retryDelay: A (10 minutes) (--retry-delay-cap)"
    assert done.stdout.count(told) == 1


def test_a_failure_says_why_and_what_never_ran(tmp_path: Path) -> None:
    failing = shell("A", "echo no such table >&2; exit 3", maximumRetries="0")
    done = run_apart(tmp_path, write(tmp_path, ON_DEMAND, failing, shell("B", dependsOn=ref("A"))))
    assert done.returncode == 1
    assert "no such table" in done.stdout
    lines = done.stdout.splitlines()
    assert any(line.startswith("@B_") and " never ran: @A_" in line for line in lines)
    assert lines[-1].startswith("FAILED: 1 FAILED, 1 WAITING_ON_DEPENDENCIES in ")


def test_a_cascade(tmp_path: Path) -> None:
    failing = shell("A", "exit 3", maximumRetries="0")
    objects = [failing, shell("B", dependsOn=ref("A")), shell("C", dependsOn=ref("B")), shell("D")]
    code, document = result(tmp_path, write(tmp_path, CASCADE, *objects))
    assert code == 1
    assert document["status"] == "FAILED"
    assert statuses(document) == {
        "A": "FAILED",
        "B": "CASCADE_FAILED",
        "C": "CASCADE_FAILED",
        "D": "FINISHED",
    }
    assert attempts(document, "B") == []


@pytest.mark.slow
def test_an_attempt_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    sleeping = shell("A", "sleep 1000", attemptTimeout="1 second", maximumRetries="0")
    code, document = result(tmp_path, write(tmp_path, ON_DEMAND, sleeping))
    assert code == 1
    assert statuses(document) == {"A": "FAILED"}
    (only,) = attempts(document, "A")
    assert (only["status"], only["errorId"]) == ("FAILED", "AttemptTimeout")


def test_of_a_schedule_the_periods_that_are_asked_for(tmp_path: Path) -> None:
    daily = {
        "id": "S",
        "type": "Schedule",
        "period": "1 day",
        "occurrences": "5",
        "startDateTime": "2026-02-10T00:00:00",
    }
    default = {"id": "Default", "scheduleType": "cron", "workerGroup": "wg", "schedule": ref("S")}
    file = write(tmp_path, default, daily, shell("A"))
    for options, days in [
        (("--at", "2026-02-12T13:00:00"), [12]),
        (("--from", "2026-02-11T00:00:00", "--to", "2026-02-13T00:00:00"), [11, 12, 13]),
    ]:
        code, document = result(tmp_path, file, *options)
        assert code == 0
        starts = [found["scheduledStart"] for found in document["instances"]]
        assert starts == [f"2026-02-{day}T00:00:00" for day in days]


# -- parameters -----------------------------------------------------------------------------


def parameters(tmp_path: Path, **more: Any) -> str:
    command = f"echo '#{{myWord}} #{{myOther}}' > {tmp_path / 'words'}"
    return write(tmp_path, ON_DEMAND, shell("A", command), **more)


def declared(word: str, other: str) -> list[dict[str, str]]:
    given = {"myWord": word, "myOther": other}
    return [{"id": key, "type": "String", "default": value} for key, value in given.items()]


def test_parameters_from_files_and_flags(tmp_path: Path) -> None:
    file = parameters(tmp_path)
    declarations = tmp_path / "parameters.json"
    declarations.write_text(json.dumps({"parameters": declared("default", "default")}))
    values = tmp_path / "values.json"
    values.write_text(json.dumps({"values": {"myWord": "file", "myOther": "file"}}))
    options = ["--parameters-file", str(declarations)]
    for more, words in [
        ([], "default default"),
        (["--values-file", str(values)], "file file"),
        (["--values-file", str(values), "--param", "myWord=flag = 1"], "flag = 1 file"),
    ]:
        assert run(tmp_path, file, *options, *more).returncode == 0
        assert (tmp_path / "words").read_text() == f"{words}\n"


def test_local_files_are_those_of_the_current_folder_and_what_the_caller_names(
    tmp_path: Path,
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere / "listed"):
        folder.mkdir(parents=True)
    places = {
        "Here": f"{here}/x.db",
        "Named": "#{myFile}",
        "Listed": f"{elsewhere}/listed/x.db",
        "Redirected": "/no/such/place/x.db",
        "Outside": f"{elsewhere}/outside.db",
    }
    objects: list[dict[str, Any]] = [ON_DEMAND]
    for name, path in places.items():
        login = {"username": "u", "*password": "none", "jdbcDriverClass": "org.sqlite.JDBC"}
        url = f"jdbc:sqlite:{path}"
        objects += [
            {"id": f"{name}Db", "type": "JdbcDatabase", "connectionString": url, **login},
            {
                "id": name,
                "type": "SqlActivity",
                "database": ref(f"{name}Db"),
                "script": "create table t (v text)",
                "maximumRetries": "0",
            },
        ]
    declared = [{"id": "myFile", "type": "String", "default": f"{elsewhere}/named.db"}]
    file = write(here, *objects, parameters=declared)
    url = f"sqlite://{elsewhere}/redirected.db"
    options = ("--local-paths", str(elsewhere / "listed"), "--database", f"RedirectedDb={url}")
    _, found = result(here, file, *options)
    wanted = {name: "FAILED" if name == "Outside" else "FINISHED" for name in places}
    assert statuses(found) == wanted
    assert "NotAllowed" in json.dumps(attempts(found, "Outside"))
    made = {path.name for path in elsewhere.rglob("*.db")}
    assert made == {"named.db", "redirected.db", "x.db"}


def test_parameters_of_the_definition_itself(tmp_path: Path) -> None:
    file = parameters(
        tmp_path, parameters=declared("default", "default"), values={"myOther": "value"}
    )
    assert run(tmp_path, file, "--param", "myWord=flag").returncode == 0
    assert (tmp_path / "words").read_text() == "flag value\n"


# -- wrong usage ----------------------------------------------------------------------------


def refused(
    capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str
) -> tuple[int, str, str]:
    """What ends before any process is started needs none of its own."""
    code = main(["run", "--work-dir", str(folder / "work"), *arguments])
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return code, printed.out, printed.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--at", "2026-02-12T13:00:00"], "runs on demand, once"),
        (["--at", "yesterday"], "--at"),
        (["--at", "2026-02-12", "--from", "2026-02-12"], "give one of them"),
        (["--from", "2026-02-12", "--to", "2026-02-11"], "--to is before --from"),
        (["--param", "noequals"], "--param: found a word without an id or ="),
        (["--values-file", "missing.json"], "missing.json: cannot be read"),
        (["--s3-root", "x", "--aws"], "--s3-root and --aws exclude each other"),
        (["--database", "nourl"], "--database: wanted ID=URL, such as"),
        (["--database", "Nobody=sqlite:///x"], "has no object 'Nobody'"),
        (["--retry-delay-cap", "inf"], "--retry-delay-cap"),
        (["--retry-delay-cap", "nan"], "--retry-delay-cap"),
        (["--retry-delay-cap", "-1"], "--retry-delay-cap"),
        (["--tasks", "0"], "--tasks"),
        (["--keep-runs", "-1"], "--keep-runs"),
        (["--format", "xml"], "--format"),
        (["--no-such-option"], "--no-such-option"),
        (["--work-dir", "/proc/nowhere"], "/proc/nowhere"),
        (["--s3-root", "/proc/nowhere"], "--s3-root"),
    ],
)
def test_wrong_options_are_told_and_exit_2(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = refused(capsys, tmp_path, write(tmp_path, ON_DEMAND, shell("A")), *options)
    assert code == 2
    assert out == ""
    told = [line for line in err.splitlines() if line]
    # click says how the command is used before what is wrong.
    wrong = [line for line in told if not line.startswith(("Usage: ", "Try "))]
    assert len(wrong) == 1, told
    assert message in wrong[0]


def test_a_definition_that_is_not_there_or_not_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = refused(capsys, tmp_path, "nothing.json")
    assert code == 2
    assert err.splitlines() == [
        "taskrunner: nothing.json: cannot be read: No such file or directory"
    ]
    dangling = write(tmp_path, ON_DEMAND, shell("A", dependsOn=ref("Gone")))
    code, out, err = refused(capsys, tmp_path, dangling)
    assert code == 1
    assert "'Gone'" in err
    assert out == ""


def test_another_database_that_is_no_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(os.environ, "TASKRUNNER_DATABASES", "[1]")
    code, _, err = refused(capsys, tmp_path, write(tmp_path, ON_DEMAND, shell("A")))
    assert code == 2
    assert err == "taskrunner: TASKRUNNER_DATABASES: wanted a JSON object of ids and URLs\n"


# -- an output that takes nothing -----------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_full_disk_behind_the_output_is_one_line(form: str, tmp_path: Path) -> None:
    file = write(tmp_path, ON_DEMAND, shell("A"))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            argv(tmp_path, file, "--format", form),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.stderr == "taskrunner: No space left on device\n"
    assert done.returncode == 1
    assert processes_of(tmp_path) == []


# -- before its time ------------------------------------------------------------------------


@contextmanager
def sleeping(folder: Path, *options: str, command: str = "true") -> Iterator[subprocess.Popen[str]]:
    """A run whose command has started to sleep."""
    sleep = f"{command}; cd {folder}; touch started; sleep 1000"
    file = write(folder, ON_DEMAND, shell("A", sleep), shell("B", dependsOn=ref("A")))
    process = subprocess.Popen(
        argv(folder, file, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    try:
        wait_for("the command's start", (folder / "started").exists)
        yield process
    finally:
        for found in processes_of(folder):
            found.kill()
        process.communicate()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_run_and_leaves_nothing(sign: signal.Signals, tmp_path: Path) -> None:
    with sleeping(tmp_path, "--format", "json") as process:
        process.send_signal(sign)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert processes_of(tmp_path) == []
    assert process.returncode == 128 + sign
    assert err == "Stopping: waiting up to 15 s for A; Ctrl-C again ends it at once\n"
    document = json.loads(out)
    assert document["status"] == "CANCELED"
    assert statuses(document) == {"A": "CANCELED", "B": "CANCELED"}


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    with sleeping(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert err == ""
    assert process.returncode == 130
    assert "Stopping: waiting up to 15 s for A; Ctrl-C again ends it at once\n" in out
    assert "Stopped on request: what had not ended was canceled." in out
    assert out.splitlines()[-1].startswith("CANCELED: 2 CANCELED in ")


def test_ctrl_c_in_the_terminal_reaches_the_whole_group(tmp_path: Path) -> None:
    with sleeping(tmp_path) as process:
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert processes_of(tmp_path) == []
    assert (process.returncode, err) == (130, "")
    assert "CANCELED" in out


def test_a_second_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    """Also what ignores every kind request."""
    with sleeping(tmp_path, command="trap '' TERM INT") as process:
        process.send_signal(signal.SIGINT)
        told = ""
        assert process.stdout is not None
        while "Ctrl-C again ends it at once" not in told:
            line = process.stdout.readline()
            assert line, "it ended without a word"
            told += line
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
        wait_for("the end of all", lambda: not processes_of(tmp_path))
    assert process.returncode == 130
    folder = tmp_path / "work" / "runs"
    assert err.startswith(f"taskrunner: ended at once; what there is of it is in {folder}/")
    assert "Traceback" not in out + err


def test_what_nohup_ignores_is_ignored(tmp_path: Path) -> None:
    file = write(tmp_path, ON_DEMAND, shell("A", f"touch {tmp_path / 'started'}; sleep 2"))
    process = subprocess.Popen(
        ["nohup", *argv(tmp_path, file, "--format", "json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    wait_for("the command's start", (tmp_path / "started").exists)
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert json.loads(out)["status"] == "FINISHED"


@pytest.mark.slow
def test_killed_it_leaves_no_process_either(tmp_path: Path) -> None:
    with sleeping(tmp_path) as process:
        assert len(processes_of(tmp_path)) > 2
        process.kill()
        wait_for("the end of all", lambda: not processes_of(tmp_path))


def test_a_group_has_one_agent_for_all_resources(tmp_path: Path) -> None:
    definition = write(
        tmp_path,
        {"id": "Default", "scheduleType": "ondemand", "role": "r", "resourceRole": "r"},
        *({"id": key, "type": "Ec2Resource"} for key in ("One", "Two", "Three")),
        shell("A", runsOn=ref("One")),
        shell("B", runsOn=ref("Two"), dependsOn=ref("A")),
        shell("C", runsOn=ref("Three")),
    )
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[resources]]\nid = "T*"\npipeline = "p"\nrun = "group=shared"\n'
        '[[resources]]\ntype = "EmrCluster"\nrun = "none"\n'
    )
    code, document = result(tmp_path, definition, "--resources", str(rules))
    assert code == 0
    assert set(statuses(document).values()) == {"FINISHED"}
    (agents,) = tmp_path.glob("work/runs/*/agents")
    names = sorted(path.name.split("-")[0].split("_")[0] for path in agents.iterdir())
    # What no rule matches has an agent of its own.
    assert names == ["resource", "shared"]
