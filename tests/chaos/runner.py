"""A runner made by hand, for what an agent would do only if it were told to misbehave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tests.chaos.storm import Storm
from tests.chaos.work import BUCKET, GROUP, output_key, token_of, whole_output

if TYPE_CHECKING:
    from mypy_boto3_datapipeline.literals import TaskStatusType
    from mypy_boto3_datapipeline.type_defs import TaskObjectTypeDef

__all__ = ["Runner"]


class Runner:
    """Calls the service as an agent does, and leaves the traces that a task leaves."""

    def __init__(self, world: Storm, name: str) -> None:
        self._world = world
        self._name = name

    def poll(self) -> TaskObjectTypeDef:
        """The next task; waits for it as long as the service lets it."""
        reply = self._world.client.poll_for_task(workerGroup=GROUP, hostname=self._name)
        return reply["taskObject"]

    def acknowledge(self, task: TaskObjectTypeDef) -> bool:
        """Take the task; false when it is not ours any more."""
        return not self._world.client.report_task_progress(taskId=task["taskId"])["canceled"]

    def work(self, task: TaskObjectTypeDef) -> None:
        """What a task's command does."""
        world, token = self._world, token_of(task["taskId"])
        instance = task["attemptId"].rpartition("_Attempt=")[0]
        bucket = world.folder / "s3" / BUCKET
        bucket.mkdir(parents=True, exist_ok=True)
        draft = bucket / f".{token}"
        draft.write_bytes(whole_output(token))
        draft.rename(bucket / output_key(world.pipelines[task["pipelineId"]], instance))
        with world.effects_file.open("a") as file:
            file.write("".join(f"{kind} {token} {world.history.now():.6f}\n" for kind in "SD"))

    def conclude(self, task: TaskObjectTypeDef, status: TaskStatusType = "FINISHED") -> str:
        """Give the verdict; returns the code of the refusal, or `taken`."""
        try:
            self._world.client.set_task_status(taskId=task["taskId"], taskStatus=status)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "taken"
