"""DynamoDBTableExists and DynamoDBDataExists: whether a table is there, and holds anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from taskrunner.activities.base import Context, Precondition
from taskrunner.activities.dynamodb import Connect, TableUse, connected
from taskrunner.data.dynamodb.calls import Calls, Named, Refused, refusals
from taskrunner.data.dynamodb.table import DEFAULT_SHARE

_ROLE_ARN = "arn:"


class _TablePrecondition(Precondition):
    def __init__(self, connect: Connect | None = None) -> None:
        self._connect = connect

    @contextmanager
    def _table(self, ctx: Context) -> Iterator[tuple[Calls, Named]]:
        main = ctx.task.main
        owner = f"{main.type} {main.component_id!r}"
        named = Named(table=main.required("tableName").strip(), owner=owner)
        role = (main.get("role") or "").strip()
        # Names are those of AWS's own service, which asks there: here the agent asks.
        assumed = role if role.startswith(_ROLE_ARN) else None
        use = TableUse(named=named, share=DEFAULT_SHARE, connect=self._connect)
        with connected(ctx, use, role=assumed) as calls:
            yield calls, named


class DynamoDBTableExists(_TablePrecondition):
    """True once the table is there and can be used."""

    type = "DynamoDBTableExists"

    def check(self, ctx: Context) -> bool:
        """Look for the table."""
        with self._table(ctx) as (calls, named):
            return _is_there(calls, named)


class DynamoDBDataExists(_TablePrecondition):
    """True once the table has an item."""

    type = "DynamoDBDataExists"

    def check(self, ctx: Context) -> bool:
        """Look for an item."""
        with self._table(ctx) as (calls, named):
            return _is_there(calls, named) and _has_items(calls, named)


def _is_there(calls: Calls, named: Named) -> bool:
    with refusals(named, "look at", calls.region):
        try:
            reply = calls.call("DescribeTable", {"TableName": named.table})
        except Refused as error:
            if error.code == "ResourceNotFoundException":
                return False
            raise
    return reply["Table"].get("TableStatus", "ACTIVE") in {"ACTIVE", "UPDATING"}


def _has_items(calls: Calls, named: Named) -> bool:
    request = {"TableName": named.table, "Limit": 1}
    while True:
        with refusals(named, "read", calls.region):
            reply = calls.call("Scan", request)
        if reply.get("Items"):
            return True
        # A page may be empty although others follow.
        if "LastEvaluatedKey" not in reply:
            return False
        request = {**request, "ExclusiveStartKey": reply["LastEvaluatedKey"]}
