"""CopyActivity: rows and files from one data node to another; the work is `data.transfer`'s."""

from __future__ import annotations

import re
from contextlib import nullcontext
from urllib.parse import quote

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.copy_bounds import rejects_of, throttle_of
from taskrunner.clock import Clock, SystemClock
from taskrunner.data.fitting.rules import OnLossyValue
from taskrunner.data.nodes import node_of
from taskrunner.data.transfer import Transfer
from taskrunner.data.transfer_progress import Bounds
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.task import TaskObject

#: Each is a connection, and a thread.
_MOST_PARTITIONS = 32


class CopyActivity(Activity):
    """Copies `input` to `output`: tables, queries, files and directories of files."""

    type = "CopyActivity"

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def run(self, ctx: Context) -> None:
        """Copy, and log what was moved."""
        source, target = _only(ctx.task.main, "input"), _only(ctx.task.main, "output")
        ctx.log.info("Copying from %s to %s", source.component_id, target.component_id)
        rejects, throttle = rejects_of(ctx), throttle_of(ctx, self._clock)
        if throttle is not None:
            ctx.log.info("Held to %s at most", throttle)
        with rejects or nullcontext():
            transfer = Transfer(
                ctx.objects,
                ctx.data,
                ctx,
                file_name=file_name(ctx.task.instance_id),
                on_lossy_value=_on_lossy_value(ctx.task.main),
                resume=ctx.task.main.flag("resume", default=True),
                partitions=_partitions(ctx.task.main),
                bounds=Bounds(rejects=rejects, throttle=throttle),
            )
            moved = transfer.copy(node_of(source), node_of(target))
        counts = {"rows": moved.rows, "bytes": moved.bytes, "files": moved.files}
        if rejects is not None:
            counts["rejected"] = rejects.count
        sides = transfer.sides.told()
        ctx.progress(**counts, **sides)
        if sides:
            ctx.log.info("Both sides: %s", ", ".join(f"{key} {sides[key]}" for key in sides))
        ctx.log.info("Copied %s", moved)
        if throttle is not None:
            ctx.log.info("Waited %.1f s, to keep to %s", throttle.waited_s, throttle)
        if rejects is not None and rejects.count:
            ctx.log.warning("Rejected %d rows: see %s", rejects.count, rejects.uri)


def file_name(instance_id: str) -> str:
    """What an instance calls its file in a directory: the same each time that it is tried."""
    # Colons are in every time, and not welcome in file names everywhere.
    return quote(instance_id.removeprefix("@").replace(":", "-"), safe="")


def _on_lossy_value(activity: TaskObject) -> OnLossyValue:
    text = activity.get("onLossyValue") or OnLossyValue.FAIL
    try:
        return OnLossyValue(text.strip().lower())
    except ValueError:
        message = (
            f"CopyActivity {activity.component_id!r}: onLossyValue: found {text!r}, wanted "
            f"{', '.join(OnLossyValue)}"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD) from None


def _partitions(activity: TaskObject) -> int:
    text = (activity.get("partitions") or "1").strip()
    if not re.fullmatch("[0-9]+", text) or not 1 <= int(text) <= _MOST_PARTITIONS:
        message = (
            f"CopyActivity {activity.component_id!r}: partitions: found {text!r}, wanted a whole "
            f"number from 1 to {_MOST_PARTITIONS}"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return int(text)


def _only(activity: TaskObject, key: str) -> TaskObject:
    nodes = activity.related(key)
    if len(nodes) != 1:
        message = (
            f"CopyActivity {activity.component_id!r} has {len(nodes)} data nodes in its field "
            f"{key!r}, wanted one"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return nodes[0]
