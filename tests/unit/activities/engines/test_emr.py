from __future__ import annotations

import pytest

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.engines.around import run_commands, run_config
from taskrunner.activities.engines.emr import EmrEngine
from taskrunner.activities.engines.emr_client import EmrClient
from taskrunner.activities.engines.steps import Steps
from taskrunner.errors import PermanentTaskError, TaskError
from taskrunner.model.document import Value
from taskrunner.model.steps.reader import read_jar, read_step
from taskrunner.model.steps.works import RunHive, RunPig, Step
from taskrunner.testing import ActivityEnvironment, Ref, new_object, new_task
from tests.unit.activities.engines.fake_emr import FakeEmr
from tests.unit.agent.fakes import FakeClock


class _Work(Activity):
    type = "EmrActivity"

    def __init__(self, api: FakeEmr, steps: list[Step], queue: str | None = None) -> None:
        self._api, self._steps, self._queue = api, steps, queue

    def run(self, ctx: Context) -> None:
        clock = FakeClock()
        client = EmrClient(self._api, "j-1", clock)
        engine = EmrEngine(ctx, cluster="j-1", client=client, clock=clock)
        Steps.prepare(ctx, self._steps, engines=[engine], queue=self._queue).run()


def _step(state: str) -> dict[str, object]:
    return {"Step": {"Id": "s-1", "Name": "n", "Status": {"State": state}}}


def _emr(*states: str) -> FakeEmr:
    return FakeEmr(
        add_job_flow_steps=[{"StepIds": ["s-1"]}],
        describe_cluster=[{"Cluster": {"Status": {"State": "RUNNING"}}}],
        describe_step=[_step(state) for state in states or ("COMPLETED",)],
        list_steps=[{"Steps": []}],
    )


def _added(api: FakeEmr) -> dict[str, object]:
    [step] = [told["Steps"][0] for name, told in api.calls if name == "add_job_flow_steps"]
    assert isinstance(step, dict)
    return step


@pytest.mark.parametrize(
    ("step", "queue", "jar"),
    [
        (read_step("s3://b/x.jar,a"), None, {"Jar": "s3://b/x.jar", "Args": ["a"]}),
        (
            read_jar("s3://b/x.jar", "com.example.C", ["a"]),
            None,
            {"Jar": "s3://b/x.jar", "MainClass": "com.example.C", "Args": ["a"]},
        ),
        (
            read_jar("s3://b/x.jar", "com.example.C", ["a"]),
            "q",
            {
                "Jar": "s3://b/x.jar",
                "Args": ["com.example.C", "-Dmapreduce.job.queuename=q", "a"],
            },
        ),
        (
            read_step(
                "/home/hadoop/contrib/streaming/hadoop-streaming.jar,-input,a,-output,b,-mapper,c"
            ),
            "q",
            {
                "Jar": "command-runner.jar",
                "Args": [
                    *("hadoop-streaming", "-Dmapreduce.job.queuename=q"),
                    *("-input", "a", "-output", "b", "-mapper", "c"),
                ],
            },
        ),
        (
            Step(
                jar="command-runner.jar",
                work=RunHive(script="s3://b/x.q", text="x", variables=(("A", "1"),)),
            ),
            "q",
            {
                "Jar": "command-runner.jar",
                "Args": [
                    *("hive-script", "--run-hive-script", "--args", "-f", "s3://b/x.q"),
                    *("--hiveconf", "mapreduce.job.queuename=q", "-d", "A=1"),
                ],
            },
        ),
    ],
    ids=["jar", "class", "queue", "streaming", "hive"],
)
def test_what_the_cluster_is_asked_to_run(
    step: Step, queue: str | None, jar: dict[str, object]
) -> None:
    api = _emr()
    with ActivityEnvironment() as environment:
        environment.run(_Work(api, [step], queue), new_task("EmrActivity"))
    assert _added(api)["HadoopJarStep"] == jar


@pytest.mark.parametrize(
    ("fields", "folder"),
    [
        ({"pipelineLogUri": "s3://logs/p/"}, "s3://logs/p"),
        ({"pipelineLogUri": "s3://logs", "generatedScriptsPath": "s3://g/x"}, "s3://g/x"),
    ],
)
@pytest.mark.parametrize(
    ("work", "suffix"), [(RunHive(text="SELECT 1"), "q"), (RunPig(text="SELECT 1"), "pig")]
)
def test_a_script_without_a_uri_is_put_where_the_cluster_finds_it(
    fields: dict[str, Value], folder: str, work: RunHive | RunPig, suffix: str
) -> None:
    api = _emr()
    with ActivityEnvironment() as environment:
        step = Step(jar="command-runner.jar", work=work)
        environment.run(_Work(api, [step]), new_task("EmrActivity", fields))
        jar = _added(api)["HadoopJarStep"]
        assert isinstance(jar, dict)
        *_, uri = jar["Args"]
        assert uri.startswith(f"{folder}/df-TESTING/Activity/Activity_2026-01-01T00:00:00/")
        assert uri.endswith(f".{suffix}")
        assert environment.read(uri) == b"SELECT 1"


def test_a_script_without_a_place_is_refused_before_anything_starts() -> None:
    api = _emr()
    step = Step(jar="command-runner.jar", work=RunHive(text="SELECT 1"))
    with (
        ActivityEnvironment() as environment,
        pytest.raises(PermanentTaskError, match="neither generatedScriptsPath nor pipelineLogUri"),
    ):
        environment.run(_Work(api, [step]), new_task("EmrActivity"))
    assert api.calls == []


def test_the_states_of_a_step_are_told() -> None:
    with ActivityEnvironment() as environment:
        work = _Work(_emr("PENDING", "PENDING", "RUNNING", "COMPLETED"), [read_step("/x.jar")])
        environment.run(work, new_task("EmrActivity"))
        told = [message for message in environment.messages if " is " in message]
        assert told == ["Step s-1 is PENDING", "Step s-1 is RUNNING", "Step s-1 is COMPLETED"]
        assert {"state": "RUNNING"} in environment.progress_reports


def test_names_of_steps_are_no_longer_than_emr_takes() -> None:
    api = _emr()
    with ActivityEnvironment() as environment:
        task = new_task("EmrActivity", component_id="x" * 300)
        environment.run(_Work(api, [read_step("/x.jar")]), task)
    name = str(_added(api)["Name"])
    assert len(name) == 256
    assert name.startswith("df-TESTING xxx")
    assert name.endswith(".1]")


class _Around(Activity):
    type = "EmrActivity"

    def __init__(self, api: FakeEmr) -> None:
        self._api = api

    def run(self, ctx: Context) -> None:
        clock = FakeClock()
        client = EmrClient(self._api, "j-1", clock)
        engine = EmrEngine(ctx, cluster="j-1", client=client, clock=clock)
        run_commands(ctx, "preStepCommand", engine)
        run_config(ctx, "preActivityTaskConfig", engine)


def test_what_runs_before_and_after_runs_on_the_cluster_too() -> None:
    api = _emr()
    config = new_object(
        "Config", "ShellScriptConfig", {"scriptUri": "s3n://b/x.sh", "scriptArgument": ["a b"]}
    )
    fields: dict[str, Value] = {
        "preStepCommand": "emrfs sync s3://b",
        "preActivityTaskConfig": Ref("Config"),
    }
    with ActivityEnvironment() as environment:
        environment.run(_Around(api), new_task("EmrActivity", fields, config))
    added = [told["Steps"][0] for name, told in api.calls if name == "add_job_flow_steps"]
    assert len({step["Name"] for step in added}) == 2
    command, script = [step["HadoopJarStep"]["Args"] for step in added]
    assert command == ["bash", "-c", "emrfs sync s3://b"]
    assert (script[:2], script[3:]) == (["bash", "-c"], ["s3://b/x.sh", "a b"])


def test_what_fails_before_the_work_is_named() -> None:
    task = new_task("EmrActivity", {"preStepCommand": "false"})
    with (
        ActivityEnvironment() as environment,
        pytest.raises(TaskError, match=r"^preStepCommand: the step s-1 is FAILED$"),
    ):
        environment.run(_Around(_emr("FAILED")), task)
