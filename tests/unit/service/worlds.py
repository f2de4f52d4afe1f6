"""Definitions for the tests of the service, short to write."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from taskrunner.model.document import PipelineObject, Ref
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import AlarmStatus
from taskrunner.service.resources.base import Launch, ResourceBusy, ResourceFailure
from taskrunner.service.store.rows import AlarmRow

Object = dict[str, Any]

#: The period in which an on-demand pipeline of the fake clock runs first.
T = "2026-02-13T02:00:00"

ON_DEMAND: Object = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"}


def ref(object_id: str) -> dict[str, str]:
    return {"ref": object_id}


def refs(*object_ids: str) -> list[dict[str, str]]:
    return [ref(object_id) for object_id in object_ids]


def shell(object_id: str, **fields: Any) -> Object:
    """A shell command; `after="A B"` makes it depend on others."""
    after = fields.pop("after", "").split()
    depends = {"dependsOn": refs(*after)} if after else {}
    return {
        "id": object_id,
        "type": "ShellCommandActivity",
        "command": "true",
        **depends,
        **fields,
    }


def data(object_id: str, **fields: Any) -> Object:
    return {"id": object_id, "type": "S3DataNode", "directoryPath": "s3://b/k", **fields}


def check(object_id: str, **fields: Any) -> Object:
    return {"id": object_id, "type": "Exists", **fields}


def ec2(object_id: str, **fields: Any) -> Object:
    return {"id": object_id, "type": "Ec2Resource", **fields}


def alarm(object_id: str, **fields: Any) -> Object:
    return {
        "id": object_id,
        "type": "SnsAlarm",
        "role": "r",
        "topicArn": "arn:aws:sns:us-east-1:1:t",
        "subject": "#{node.name} #{node.@status}",
        "message": "at #{node.@scheduledStartTime}",
        **fields,
    }


def terminate(object_id: str) -> Object:
    return {"id": object_id, "type": "Terminate"}


def scheduled(schedule_type: str = "cron", **default: Any) -> Object:
    """A Default object by which everything runs by the schedule `S`."""
    return {
        "id": "Default",
        "scheduleType": schedule_type,
        "schedule": ref("S"),
        "workerGroup": "wg",
        **default,
    }


def schedule(object_id: str = "S", **fields: Any) -> Object:
    return {
        "id": object_id,
        "type": "Schedule",
        "period": "1 hour",
        "startDateTime": T,
        **fields,
    }


def values(obj: PipelineObject) -> dict[str, Any]:
    """An object's fields as a plain mapping; references as `>id`, several values as a list."""
    found: dict[str, Any] = {}
    for key in obj.keys():  # noqa: SIM118 - not a dict
        given = [f">{v.id}" if isinstance(v, Ref) else v for v in obj.values(key)]
        found[key] = given[0] if len(given) == 1 else given
    return found


class FakeProvider:
    """Launches nothing and remembers everything."""

    def __init__(self) -> None:
        self.launched: list[str] = []
        self.ended: list[str] = []
        self.dead: set[str] = set()
        self.refuse = False
        self.slow = False
        self.last_words = ""
        self.wanted: list[Launch] = []
        #: What the next launches meet, in their order.
        self.failures: list[ResourceFailure | ResourceBusy] = []

    def launch(self, wanted: Launch) -> str:
        self.wanted.append(wanted)
        if self.failures:
            raise self.failures.pop(0)
        if self.refuse:
            raise ResourceFailure("no capacity")
        handle = f"i-{len(self.launched) + 1}"
        self.launched.append(handle)
        return handle

    def alive(self, handle: str) -> bool:
        return handle not in self.dead

    def takes_work(self, handle: str) -> bool:
        return False

    def end(self, handle: str) -> bool:
        self.ended.append(handle)
        return not self.slow

    def reason(self, row: InstanceRow) -> str:
        return self.last_words

    def look_after(self, now: datetime) -> None:
        pass


class FakePublisher:
    """Takes alarms, unless it is broken."""

    def __init__(self) -> None:
        self.published: list[AlarmRow] = []
        self.tries = 0
        self.broken = False
        self.says = "no way to the topic"

    def publish(self, alarm: AlarmRow) -> AlarmStatus:
        self.tries += 1
        if self.broken:
            raise ConnectionError(self.says)
        self.published.append(alarm)
        return AlarmStatus.SENT
