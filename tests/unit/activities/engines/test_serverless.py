"""Jobs of EMR Serverless, against an API that botocore's own model judges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.validate import ParamValidator

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.engines.serverless import ServerlessEngine
from taskrunner.activities.engines.serverless_client import ServerlessClient
from taskrunner.activities.engines.steps import Steps
from taskrunner.errors import Canceled, ErrorId, PermanentTaskError, TaskError
from taskrunner.model.steps.reader import read_step
from taskrunner.model.steps.works import RunHive, Step
from taskrunner.testing import ActivityEnvironment, Ref, new_object, new_task
from tests.unit.activities.engines.host import environment

ROLE = "arn:aws:iam::123456789012:role/jobs"
SPARK, HIVE = "00spark", "00hive"
SUBMIT = "command-runner.jar,spark-submit,--master,yarn,--deploy-mode,cluster"
MODEL = botocore.session.get_session().get_service_model("emr-serverless")


class FakeApi:
    """What of botocore's client is used; jobs end as they are told to, one state a look."""

    def __init__(self) -> None:
        self.kinds = {SPARK: "Spark", HIVE: "Hive"}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.states = ["SCHEDULED", "RUNNING", "SUCCESS"]
        self.details = ""
        self.left: list[dict[str, str]] = []
        self.faults: list[Exception] = []
        self._looks: Iterator[str] = iter(())

    def _called(self, operation: str, arguments: dict[str, Any]) -> None:
        shape: Any = MODEL.operation_model(operation).input_shape
        report = ParamValidator().validate(arguments, shape)
        assert not report.has_errors(), report.generate_report()
        self.calls.append((operation, arguments))

    def get_application(self, **arguments: Any) -> dict[str, Any]:
        self._called("GetApplication", arguments)
        kind = self.kinds.get(arguments["applicationId"])
        if kind is None:
            told: Any = {"Code": "ResourceNotFoundException", "Message": "no such application"}
            raise ClientError({"Error": told}, "GetApplication")
        return {"application": {"type": kind}}

    def start_job_run(self, **arguments: Any) -> dict[str, Any]:
        self._called("StartJobRun", arguments)
        self._looks = iter(self.states)
        return {"jobRunId": f"job-{len(self.of('StartJobRun'))}"}

    def get_job_run(self, **arguments: Any) -> dict[str, Any]:
        self._called("GetJobRun", arguments)
        if self.faults:
            raise self.faults.pop(0)
        state = next(self._looks, "CANCELLED")
        return {"jobRun": {"jobRunId": "x", "state": state, "stateDetails": self.details}}

    def cancel_job_run(self, **arguments: Any) -> dict[str, Any]:
        self._called("CancelJobRun", arguments)
        return {}

    def get_paginator(self, _name: str) -> FakeApi:
        return self

    def paginate(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        self._called("ListJobRuns", arguments)
        yield {"jobRuns": self.left}

    def of(self, operation: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == operation]


class _Work(Activity):
    type = "EmrActivity"

    def __init__(self, api: FakeApi, steps: Sequence[Step], applications: Sequence[str]) -> None:
        self._api, self._steps, self._applications = api, steps, applications

    def run(self, ctx: Context) -> None:
        engine = ServerlessEngine(
            ctx,
            region="eu-west-1",
            applications=self._applications,
            role=ROLE,
            client=ServerlessClient(self._api),
            first_look_s=0.001,
        )
        Steps.prepare(ctx, self._steps, engines=[engine]).run()


def run(
    found: ActivityEnvironment,
    api: FakeApi,
    *steps: str | Step,
    applications: Sequence[str] = (SPARK, HIVE),
    **fields: str,
) -> None:
    read = [read_step(step) if isinstance(step, str) else step for step in steps]
    cluster = new_object("@C_1", "EmrCluster", {"emrLogUri": "s3://logs/emr/"})
    given: dict[str, Any] = {"runsOn": Ref("@C_1"), **fields}
    found.run(_Work(api, read, applications), new_task("EmrActivity", given, cluster))


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def test_spark_runs_as_a_job_of_the_application_of_its_type(api: FakeApi) -> None:
    step = f"{SUBMIT},--conf,spark.x=a b,--conf,spark.yarn.y=1,--class,C,s3://b/x.jar,in,out"
    with environment() as found:
        run(found, api, step)
        log = f"s3://logs/emr/applications/{SPARK}/jobs/job-1/"
        assert {"emrStepLog": log} in found.progress_reports
        assert f"Job log: {log}" in found.messages
        assert "Job job-1 is SUCCESS" in found.messages
    (asked,) = api.of("StartJobRun")
    assert asked["jobDriver"] == {
        "sparkSubmit": {
            "entryPoint": "s3://b/x.jar",
            "entryPointArguments": ["in", "out"],
            "sparkSubmitParameters": '--conf "spark.x=a b" --class C',
        }
    }
    assert (asked["applicationId"], asked["executionRoleArn"]) == (SPARK, ROLE)
    place = asked["configurationOverrides"]["monitoringConfiguration"]
    assert place == {"s3MonitoringConfiguration": {"logUri": "s3://logs/emr/"}}
    assert " step 1 of 1 [" in asked["name"]


def test_a_hive_script_is_put_on_s3_with_its_variables(api: FakeApi) -> None:
    work = RunHive(
        text="SELECT 1;", variables=(("A", "x y"),), properties=(("hive.exec.parallel", "true"),)
    )
    step = Step(jar="command-runner.jar", work=work)
    with environment() as found:
        run(found, api, step, generatedScriptsPath="s3://scripts/x")
        (asked,) = api.of("StartJobRun")
        hive = asked["jobDriver"]["hive"]
        assert found.read(hive["query"]) == b"SELECT 1;"
    assert hive["query"].startswith("s3://scripts/x/")
    assert hive["parameters"] == '--hiveconf hive.exec.parallel=true --hivevar "A=x y"'
    assert asked["applicationId"] == HIVE


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("s3://b/x.jar,Main", "EMR Serverless runs Spark and Hive scripts only, and nothing else"),
        ("command-runner.jar,true", "only, and nothing else on its nodes"),
        (
            "command-runner.jar,pig-script,--run-pig-script,--args,-f,s3://b/x.pig",
            "Spark and Hive scripts only",
        ),
        (
            "command-runner.jar,hadoop-streaming,-input,s3://i/,-output,s3://o/,-mapper,cat",
            "Spark and Hive scripts only",
        ),
        (f"{SUBMIT},/home/hadoop/x.py", "/home/hadoop/x.py is not on S3, where EMR Serverless"),
        (f"{SUBMIT},--class,C", "spark-submit names no program"),
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_starts(
    api: FakeApi, step: str, said: str
) -> None:
    with environment() as found, pytest.raises(PermanentTaskError) as caught:
        run(found, api, f"{SUBMIT},s3://b/x.py", step)
    assert said in str(caught.value)
    assert "step 2 of 2" in str(caught.value)
    assert api.of("StartJobRun") == []


def test_an_application_of_the_wrong_type_is_refused(api: FakeApi) -> None:
    with environment() as found, pytest.raises(PermanentTaskError) as caught:
        run(found, api, f"{SUBMIT},s3://b/x.py", applications=[HIVE])
    assert f"none of its applications ({HIVE}) is of the type Spark" in str(caught.value)


def test_an_application_that_is_not_there_is_told(api: FakeApi) -> None:
    with environment() as found, pytest.raises(PermanentTaskError, match="no such application"):
        run(found, api, f"{SUBMIT},s3://b/x.py", applications=["00none"])


def test_a_job_that_fails_says_why(api: FakeApi) -> None:
    api.states, api.details = ["RUNNING", "FAILED"], "Job failed, please check logs"
    with environment() as found, pytest.raises(TaskError) as caught:
        run(found, api, f"{SUBMIT},s3://b/x.py")
    assert str(caught.value).endswith("the job job-1 is FAILED: Job failed, please check logs")
    assert caught.value.error_id == ErrorId.COMMAND_FAILED


def test_a_cancellation_ends_the_job(api: FakeApi) -> None:
    api.states = ["RUNNING"] * 50
    with environment() as found:
        found.cancel_after = 3
        with pytest.raises(Canceled):
            run(found, api, f"{SUBMIT},s3://b/x.py")
    assert api.of("CancelJobRun") == [{"applicationId": SPARK, "jobRunId": "job-1"}]


def test_an_api_that_does_not_answer_is_no_end_of_the_job(api: FakeApi) -> None:
    failed: Any = {
        "Error": {"Code": "InternalServerException", "Message": "x"},
        "ResponseMetadata": {"HTTPStatusCode": 500},
    }
    api.faults = [
        EndpointConnectionError(endpoint_url="x"),
        ClientError(failed, "GetJobRun"),
    ]
    with environment() as found:
        run(found, api, f"{SUBMIT},s3://b/x.py")
    assert len(api.of("GetJobRun")) == 5
    assert len(api.of("StartJobRun")) == 1


def test_what_an_earlier_attempt_left_is_canceled_first(api: FakeApi) -> None:
    with environment() as found:
        run(found, api, f"{SUBMIT},s3://b/x.py")
        mark = api.of("StartJobRun")[0]["name"].partition("[")[2].partition(".")[0]
        api.left = [{"id": "left", "name": f"x [{mark}.1]"}, {"id": "other", "name": "x [beef.1]"}]
        run(found, api, f"{SUBMIT},s3://b/x.py")
    assert {each["jobRunId"] for each in api.of("CancelJobRun")} == {"left"}


def test_a_token_is_of_the_hand_out_so_that_no_job_is_started_twice(api: FakeApi) -> None:
    with environment() as found:
        for _ in range(2):
            run(found, api, f"{SUBMIT},s3://b/x.py", f"{SUBMIT},s3://b/y.py")
    tokens = [asked["clientToken"] for asked in api.of("StartJobRun")]
    assert tokens[:2] == tokens[2:]
    assert len(set(tokens)) == 2
