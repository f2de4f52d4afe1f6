"""Clusters that grow before a step runs on them: `resizeClusterBeforeRunning`.

How large AWS made them is not published. Here a cluster is made as large as the share of the
tables' capacity can keep at work: a map task for each 100 units a second, as AWS's own connector
divides its scans, and eight of them on a node, as EMR has them on the m3.xlarge that AWS used for
such clusters. A cluster only grows, and not for long: it ends with its resource.

It is done to have the work done sooner. So what stands in its way is told, and the step runs on the
nodes that there are.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from taskrunner.activities.base import Context
from taskrunner.activities.dynamodb import Connect, TableUse, connected
from taskrunner.activities.engines.emr_client import EmrClient, Nodes
from taskrunner.clock import Clock
from taskrunner.data.dynamodb.nodes import TABLE_NODE, table_node
from taskrunner.data.dynamodb.table import described
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

#: Units a second for which the connector makes one segment (MIN_IO_PER_SEGMENT).
UNITS_A_TASK = 100
TASKS_A_NODE = 8
#: Core and task nodes where resizeClusterMaxInstances says nothing: what an account could have at
#: most unless it had asked for more.
MOST_NODES = 20
#: How long nodes that were asked for are waited for, and the seconds between two looks.
PATIENCE_S = 1800.0
_LOOK_S = 15.0
#: What EMR calls groups that get no more nodes, whatever was asked for.
_STUCK = {"ARRESTED", "SUSPENDED", "TERMINATING", "TERMINATED", "SHUTTING_DOWN", "ENDED"}


def nodes_for(units: float, most: int) -> int:
    """How many nodes so many units a second can keep at work, within what is allowed."""
    return min(max(math.ceil(units / (UNITS_A_TASK * TASKS_A_NODE)), 1), most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """How a cluster grows for one activity."""

    ctx: Context
    client: EmrClient
    clock: Clock
    #: The cluster's, in which tables are whose nodes name no other.
    region: str | None
    connect: Connect | None = None

    def run(self) -> None:
        """Have the cluster grow if the activity wants it, and wait for its nodes.

        Raises PermanentTaskError for a field that cannot be right, and nothing else.
        """
        main, log = self.ctx.task.main, self.ctx.log
        if not main.flag("resizeClusterBeforeRunning"):
            return
        most = self._most()
        try:
            units = self._units()
            if not units:
                log.info("The cluster stays as it is: no DynamoDBDataNode is input or output")
                return
            self._grow(nodes_for(units, most), units)
        except TaskError as error:
            log.warning("The cluster was not made larger: %s", error)

    def _most(self) -> int:
        key, main = "resizeClusterMaxInstances", self.ctx.task.main
        text = main.get(key)
        if text is None:
            return MOST_NODES
        if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
            message = (
                f"{main.type} {main.component_id!r}, field {key!r}: found {text!r}, wanted a "
                "number above 0"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        return int(text[:9])

    def _units(self) -> float:
        """The units a second that the activity may use of all its tables together."""
        main, found = self.ctx.task.main, 0.0
        for field in ("input", "output"):
            for node in main.related(field):
                if node.type != TABLE_NODE:
                    continue
                table = table_node(node)
                is_read = field == "input"
                use = TableUse(
                    named=table.named,
                    share=table.read_share if is_read else table.write_share,
                    region=table.region or self.region,
                    connect=self.connect,
                )
                with connected(self.ctx, use) as calls:
                    now = described(calls, use.named)
                found += use.share * (now.read_units if is_read else now.write_units)
        return found

    def _grow(self, wanted: int, units: float) -> None:
        groups = self.client.nodes()
        there = sum(group.requested for group in groups)
        log = self.ctx.log
        if not groups or there >= wanted:
            log.info("The cluster has %d nodes; %d are enough for %g units", there, wanted, units)
            return
        # Those of the task group come and go without HDFS having to be moved.
        group = min(groups, key=lambda one: one.kind != "TASK")
        count = group.requested + wanted - there
        log.info(
            "Making the cluster larger, from %d to %d nodes, for %g units: %d of %s in place of %d",
            *(there, wanted, units, count, group.kind, group.requested),
        )
        self.client.grow(group.id, count)
        self._wait(group.id, count)

    def _wait(self, group_id: str, count: int) -> None:
        never, until = threading.Event(), self.clock.monotonic() + PATIENCE_S
        while True:
            self.ctx.check_canceled()
            group = next((one for one in self.client.nodes() if one.id == group_id), None)
            running = 0 if group is None else group.running
            self.ctx.progress(state="RESIZING", nodes=running)
            if running >= count:
                self.ctx.log.info("The cluster has its nodes")
                return
            self._check(group, count, late=self.clock.monotonic() >= until)
            self.clock.wait(never, _LOOK_S)

    @staticmethod
    def _check(group: Nodes | None, count: int, *, late: bool) -> None:
        """Raise TaskError where no more nodes are to be waited for."""
        if group is None or group.state in _STUCK or late:
            state = "gone" if group is None else group.state
            running = 0 if group is None else group.running
            minutes = f" after {PATIENCE_S / 60:g} minutes" if late else ""
            raise TaskError(
                f"its group of nodes is {state}{minutes}, with {running} of {count} running",
                error_id=ErrorId.RESOURCE_FAILED,
            )
