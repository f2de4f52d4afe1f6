"""Calls of the API by plain HTTP, for tests of a service that takes them unsigned."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

__all__ = ["PATIENCE_S", "call", "pipeline"]

#: Well below the 85 s for which a poll is held, and the 2 minutes of an acknowledgement.
PATIENCE_S = 30.0


def call(url: str, operation: str, **body: Any) -> Any:
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"DataPipeline.{operation}",
    }
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
        return json.loads(reply.read() or b"{}")


def pipeline(
    url: str, unique: str, group: str, command: str = "true", parameter: str | None = None
) -> str:
    """A pipeline of one task, perhaps with a parameter, not yet activated."""
    created: str = call(url, "CreatePipeline", name="p", uniqueId=unique)["pipelineId"]
    objects = [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": group},
        {"id": "A", "type": "ShellCommandActivity", "command": command},
    ]
    given = [
        {
            "id": obj["id"],
            "name": obj["id"],
            "fields": [{"key": k, "stringValue": v} for k, v in obj.items() if k != "id"],
        }
        for obj in objects
    ]
    default = [{"key": "default", "stringValue": "none"}]
    declared = [{"id": parameter, "attributes": default}] if parameter else []
    put = call(
        url,
        "PutPipelineDefinition",
        pipelineId=created,
        pipelineObjects=given,
        parameterObjects=declared,
    )
    assert put["errored"] is False, put
    return created
