"""A service as the commands ask it: by /v1 where it has one, else by AWS's 19 operations.

What AWS's operations can say is put into the same form as /v1's answers, so that a command shows
either in the same way; what they cannot say is refused with a sentence that tells so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from taskrunner.cli.operators import by_operations
from taskrunner.clock import Clock
from taskrunner.errors import TaskrunnerError, UsageError
from taskrunner.wire.client import Client
from taskrunner.wire.json_api import JsonApi, NoJsonApi

_ID = re.compile(r"df-[A-Z0-9]+")
_AWS = (".amazonaws.com", ".amazonaws.com.cn")


class OnlyOurs(TaskrunnerError):
    """What is asked for is no part of AWS's API."""


class Service:
    """One service."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self.clock = clock
        self.operations = by_operations.Operations(client)
        self._client = client
        self._v1 = JsonApi(client)

    @property
    def now(self) -> datetime:
        """The present moment."""
        return self.clock.now()

    @property
    def endpoint(self) -> str:
        """Its address."""
        return str(self._client.endpoint)

    @cached_property
    def is_ours(self) -> bool:
        """Whether it has /v1; asked once, unless its name says that it is AWS's."""
        if self._client.endpoint.host.endswith(_AWS):
            return False
        try:
            self._v1.get("pipelines", limit=1, runs=1, name="\n")
        except NoJsonApi:
            return False
        except TaskrunnerError:
            return True  # it has it, and refuses this
        return True

    def ours(self, what: str) -> JsonApi:
        """/v1, for something that AWS's operations cannot do. Raises OnlyOurs."""
        if not self.is_ours:
            raise OnlyOurs(
                f"{what} takes a `taskrunner serve`: {self._client.endpoint} has only the "
                "operations of AWS's API, which cannot do that"
            )
        return self._v1

    def pipeline_id(self, named: str) -> str:
        """The id of a pipeline that is named by it, or by its name. Raises UsageError."""
        if _ID.fullmatch(named):
            return named
        rows = self.pipelines({"name": named, "runs": 1})
        found = [row for row in rows if row["name"] == named]
        if len(found) == 1:
            return str(found[0]["id"])
        if not found:
            raise UsageError(f"no pipeline has the id or the name {named!r}")
        ids = ", ".join(row["id"] for row in found[:5])
        raise UsageError(f"{len(found)} pipelines have the name {named!r}: give the id: {ids}")

    def pipelines(self, filters: Mapping[str, Any]) -> list[Any]:
        """Pipelines that meet filters, as /v1 lists them."""
        if self.is_ours:
            return list(self._v1.pages("pipelines", "pipelines", **filters))
        return self.operations.pipelines(filters)

    def pipeline(self, pipeline_id: str) -> Any:
        """One pipeline, as /v1 shows it."""
        if self.is_ours:
            return self._v1.get("pipelines", pipeline_id)
        return self.operations.pipeline(pipeline_id)

    def runs(self, pipeline_id: str, limit: int) -> list[Any]:
        """The newest runs of a pipeline."""
        if self.is_ours:
            return list(self._v1.get("pipelines", pipeline_id, "runs", limit=limit)["runs"])
        return self.operations.runs(pipeline_id, limit)

    def instances(self, pipeline_id: str, filters: Mapping[str, Any], limit: int) -> list[Any]:
        """Instances of a pipeline that meet filters, newest periods first."""
        if not self.is_ours:
            return self.operations.instances(pipeline_id, filters, limit)
        found: list[Any] = []
        wanted = {**filters, "limit": min(limit, 500)}
        for row in self._v1.pages("instances", "pipelines", pipeline_id, "instances", **wanted):
            found.append(row)
            if len(found) == limit:
                break
        return found

    def change(self, pipeline_id: str, action: str, body: Mapping[str, Any]) -> Any:
        """Rerun, cancel or finish instances, as /v1 does it."""
        if self.is_ours:
            return self._v1.post("pipelines", pipeline_id, action, body=body)
        unable = [key for key in ("downstream", "dry_run") if body.get(key)]
        if unable:
            self.ours(f"--{unable[0].replace('_', '-')}")
        return self.operations.change(pipeline_id, action, body)

    def agents(self, filters: Mapping[str, Any]) -> list[Any]:
        """Agents that were heard of lately. Raises OnlyOurs."""
        return list(self.ours("to list agents").get("agents", **filters)["agents"])

    def tell_agents(self, action: str, body: Mapping[str, Any]) -> Any:
        """Pause, drain or resume agents. Raises OnlyOurs."""
        return self.ours(f"to {action} agents").post("agents", action, body=body)

    def groups(self, filters: Mapping[str, Any]) -> list[Any]:
        """Worker groups. Raises OnlyOurs."""
        return list(self.ours("to list worker groups").get("groups", **filters)["groups"])

    def activate(
        self, pipeline_id: str, values: Mapping[str, Sequence[str]], start: datetime | None
    ) -> None:
        """Set a pipeline going."""
        self.operations.activate(pipeline_id, values, start)
