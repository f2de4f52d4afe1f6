"""The engine `emr-serverless`: Spark's work and Hive scripts as jobs of given applications.

A job has a token of the hand-out, so that none is started twice, and in its name a mark of the
instance: what an attempt left running whose agent died is canceled before the next one starts.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from taskrunner.activities.base import Context
from taskrunner.activities.engines.base import Call
from taskrunner.activities.engines.far_scripts import digest, mark_of, script_uri, why_no_place
from taskrunner.activities.engines.serverless_client import Job, ServerlessClient, Unanswered
from taskrunner.activities.engines.spark_options import split_submit, without, written
from taskrunner.clock import Clock, SystemClock
from taskrunner.errors import ErrorId, TaskError
from taskrunner.model.steps.works import Pairs, RunCommand, RunHive, RunScript, RunSpark, Work

#: Seconds between two looks at a job: the first, and the longest.
_FIRST_LOOK_S = 2.0
_LONGEST_LOOK_S = 30.0
_MOST_NAME = 256
#: What says where the work runs: that is EMR's affair.
_PLACES = {"--master", "--deploy-mode", "--queue"}
_PLACE_PROPERTIES = ("spark.master", "spark.submit.deployMode", "spark.yarn.")
_NEEDS: Mapping[type[Work], str] = {RunSpark: "SPARK", RunHive: "HIVE"}


class ServerlessEngine:
    """Starts jobs, and follows them."""

    name = "emr-serverless"
    #: Commands before and after the work run on the agent's host: no node is there for them.
    is_remote = False

    def __init__(
        self,
        ctx: Context,
        *,
        region: str,
        applications: Sequence[str],
        role: str,
        client: ServerlessClient | None = None,
        clock: Clock | None = None,
        first_look_s: float = _FIRST_LOOK_S,
    ) -> None:
        self._ctx = ctx
        self._region, self._applications, self._role = region, tuple(applications), role
        self._made = client
        self._clock = clock or SystemClock()
        self._first_look_s = first_look_s
        self._kinds: dict[str, str] = {}
        self._begun = False
        self._started = 0

    def objection(self, work: Work) -> str | None:
        """Why it cannot do this."""
        needed = _NEEDS.get(type(work))
        if needed is None:
            what = " on its nodes" if isinstance(work, RunCommand | RunScript) else ""
            return f"EMR Serverless runs Spark and Hive scripts only, and nothing else{what}"
        if isinstance(work, RunSpark) and (reason := _why_not_far(work)):
            return reason
        if reason := why_no_place(self._ctx, work, "EMR Serverless"):
            return reason
        if self._application(needed) is None:
            named = ", ".join(self._applications)
            return f"none of its applications ({named}) is of the type {needed.capitalize()}"
        return None

    def run(self, call: Call) -> None:
        """Start the job, and wait until it is over; raises TaskError if it did not succeed."""
        work = call.step.work
        application = self._application(_NEEDS[type(work)]) or ""
        if not self._begun:
            self._end_earlier()
            self._begun = True
        if call.queue:
            self._ctx.log.info("No queue is set: there is none in EMR Serverless")
        logs = self._logs()
        job_id = self._client.start(**self._request(call, application, logs))
        self._ctx.log.info("Job %s was started in the application %s", job_id, application)
        if logs:
            log = f"{logs.rstrip('/')}/applications/{application}/jobs/{job_id}/"
            self._ctx.log.info("Job log: %s", log)
            self._ctx.progress(emrStepLog=log)
        try:
            job = self._wait(application, job_id)
        except BaseException:
            self._cancel(application, job_id)
            raise
        if job.state != "SUCCESS":
            reason = f": {job.details}" if job.details else ""
            message = f"the job {job_id} is {job.state}{reason}"
            raise TaskError(message, error_id=ErrorId.COMMAND_FAILED)

    @property
    def _client(self) -> ServerlessClient:
        if self._made is None:
            self._made = ServerlessClient.connect(self._region)
        return self._made

    def _application(self, kind: str) -> str | None:
        """The application of a type."""
        for application in self._applications:
            if application not in self._kinds:
                self._kinds[application] = self._client.kind(application)
            if self._kinds[application] == kind:
                return application
        return None

    def _logs(self) -> str | None:
        main = self._ctx.task.main
        resource = main.one("runsOn") if main.object.ref("runsOn") else None
        places = [resource.get("emrLogUri") if resource else None, main.get("pipelineLogUri")]
        return next((uri for uri in places if uri and uri.startswith("s3://")), None)

    def _request(self, call: Call, application: str, logs: str | None) -> dict[str, Any]:
        task = self._ctx.task
        self._started += 1
        mark = f"[{mark_of(self._ctx)}.{self._started}]"
        which = f"step {call.number} of {call.count}"
        name = f"{task.pipeline_id} {task.attempt_id.removeprefix('@')}"
        found: dict[str, Any] = {
            "applicationId": application,
            "clientToken": f"{digest(task.task_id)}-{self._started}",
            "executionRoleArn": self._role,
            "name": f"{name[: _MOST_NAME - len(which) - len(mark) - 2]} {which} {mark}",
            "jobDriver": self._driver(call),
        }
        if logs:
            place = {"s3MonitoringConfiguration": {"logUri": logs}}
            found["configurationOverrides"] = {"monitoringConfiguration": place}
        return found

    def _driver(self, call: Call) -> dict[str, Any]:
        work = call.step.work
        if isinstance(work, RunHive):
            query = script_uri(self._ctx, call, work, "q")
            words = [*_flags("--hiveconf", work.properties), *_flags("--hivevar", work.variables)]
            parameters = {"parameters": _line(words)} if words else {}
            return {"hive": {"query": query, **parameters}}
        assert isinstance(work, RunSpark)  # noqa: S101  others are refused
        options, (program, *arguments) = split_submit(work.arguments)
        words = written([*without(options, _PLACES, _PLACE_PROPERTIES)])
        submit: dict[str, Any] = {"entryPoint": program, "entryPointArguments": arguments}
        parameters = {"sparkSubmitParameters": _line(words)} if words else {}
        return {"sparkSubmit": {**submit, **parameters}}

    def _end_earlier(self) -> None:
        """Cancel what an earlier attempt of the instance left in the applications."""
        for application in self._applications:
            for job in self._client.active(application):
                if f"[{mark_of(self._ctx)}." in job.name:
                    self._ctx.log.warning("Canceling %s of an earlier attempt", job.id)
                    self._client.cancel(application, job.id)
                    self._wait(application, job.id)

    def _cancel(self, application: str, job_id: str) -> None:
        try:
            self._client.cancel(application, job_id)
        except TaskError as error:
            self._ctx.log.warning("Job %s could not be canceled: %s", job_id, error)
        else:
            self._ctx.log.info("Job %s was told to end", job_id)

    def _wait(self, application: str, job_id: str) -> Job:
        never, pause, said = threading.Event(), self._first_look_s, ""
        while True:
            job: Job | None = None
            with suppress(Unanswered):  # the job goes on meanwhile
                job = self._client.job(application, job_id)
            if job is not None and job.state != said:
                said = job.state
                self._ctx.log.info("Job %s is %s", job_id, said)
            self._ctx.progress(state=said)
            self._ctx.check_canceled()
            if job is not None and job.is_over:
                return job
            self._clock.wait(never, pause)
            pause = min(pause * 1.5, _LONGEST_LOOK_S)


def _why_not_far(work: RunSpark) -> str | None:
    """What of a call of spark-submit lies on a host, where no job finds it."""
    _, program = split_submit(work.arguments)
    if not program:
        return "spark-submit names no program"
    if not program[0].startswith(("s3://", "local:///")):
        return f"{program[0]} is not on S3, where EMR Serverless gets programs from"
    return None


def _flags(flag: str, pairs: Pairs) -> list[str]:
    return [text for name, value in pairs for text in (flag, f"{name}={value}")]


def _line(words: Iterable[str]) -> str:
    """Words as one text, which EMR takes apart at blanks: those in quotes stay together."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if word and not any(mark in word for mark in " \t\n\"'\\"):
        return word
    inner = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'
