"""Pipelines of one shell command each at a real `taskrunner serve`, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from mypy_boto3_datapipeline.client import DataPipelineClient

__all__ = ["KEYS", "Pipelines", "pipelines_at"]

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


class Pipelines:
    """Puts in work and looks at its attempts."""

    def __init__(self, client: DataPipelineClient) -> None:
        self._client = client

    def activate(
        self,
        name: str,
        command: str,
        *,
        worker_group: str,
        fields: Mapping[str, str] | None = None,
        log_uri: str = "s3://bucket/logs",
    ) -> str:
        """A pipeline that runs the command once; its id. No failure is tried again."""
        work = {
            "type": "ShellCommandActivity",
            "command": command,
            "workerGroup": worker_group,
            "maximumRetries": "0",
            **(fields or {}),
        }
        default = {"scheduleType": "ondemand", "pipelineLogUri": log_uri}
        pipeline_id = self._client.create_pipeline(name=name, uniqueId=name)["pipelineId"]
        reply = self._client.put_pipeline_definition(
            pipelineId=pipeline_id,
            pipelineObjects=[_object("Default", default), _object("Work", work)],
        )
        assert not reply["errored"], reply
        self._client.activate_pipeline(pipelineId=pipeline_id)
        return pipeline_id

    def attempts(self, pipeline_id: str) -> dict[int, dict[str, str]]:
        """The fields of each attempt, by its number."""
        ids = self._client.query_objects(pipelineId=pipeline_id, sphere="ATTEMPT").get("ids", [])
        if not ids:
            return {}
        reply = self._client.describe_objects(pipelineId=pipeline_id, objectIds=ids)
        return {
            int(item["id"].rpartition("=")[2]): {
                field["key"]: field.get("stringValue", "") for field in item["fields"]
            }
            for item in reply["pipelineObjects"]
        }

    def status(self, pipeline_id: str, attempt: int) -> str | None:
        """How far an attempt is."""
        return self.attempts(pipeline_id).get(attempt, {}).get("@status")


@contextmanager
def pipelines_at(url: str) -> Iterator[Pipelines]:
    """For as long as the block takes."""
    client = boto3.client("datapipeline", endpoint_url=url)
    try:
        yield Pipelines(client)
    finally:
        client.close()


def _object(object_id: str, fields: Mapping[str, str]) -> Any:
    items = [{"key": key, "stringValue": value} for key, value in fields.items()]
    return {"id": object_id, "name": object_id, "fields": items}
