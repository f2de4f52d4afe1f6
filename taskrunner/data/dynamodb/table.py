"""What DynamoDB says of a table, and the share of its capacity that may be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taskrunner.data.dynamodb.calls import Calls, Named, refusals
from taskrunner.data.dynamodb.items import BadItem, Item
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

#: The share that AWS's own tools use where nobody says one.
DEFAULT_SHARE = 0.5
#: What AWS's tools take for the capacity of a table that is paid for by request.
ON_DEMAND_UNITS = 40_000.0
#: Hive's tables take as much; a data node takes 1.0.
_LARGEST_SHARE = 1.5
_USABLE = {"ACTIVE", "UPDATING"}
_MAX_KEY_BYTES = {"HASH": 2048, "RANGE": 1024}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An attribute of the primary key."""

    name: str
    #: S, N or B.
    kind: str
    most_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that is there and can be used."""

    named: Named
    region: str
    #: Another table of the same name has another one.
    identity: str
    keys: tuple[Key, ...]
    #: Units a second.
    read_units: float
    write_units: float
    #: As of some hours ago.
    item_count: int
    size_bytes: int

    @property
    def name(self) -> str:
        """What calls name it by: its name, or its ARN."""
        return self.named.table

    def key_of(self, item: Item) -> tuple[str, ...]:
        """What tells an item from the others of the table; raises BadItem where it has no key."""
        return tuple(self._key_value(item, key) for key in self.keys)

    def _key_value(self, item: Item, key: Key) -> str:
        value = item.get(key.name)
        if value is None:
            raise BadItem(f"it has no attribute {key.name!r}, a key of the table {self.name!r}")
        ((kind, content),) = value.items()
        if kind != key.kind:
            raise BadItem(
                f"the key {key.name!r} has the type {kind}, that of the table is {key.kind}"
            )
        text = str(content)
        if not text or len(text.encode()) > key.most_bytes * (4 / 3 if kind == "B" else 1):
            found = len(text.encode())
            raise BadItem(f"the key {key.name!r} has {found} bytes, wanted 1 to {key.most_bytes}")
        return text


def share_of(text: str | None, origin: str) -> float:
    """A throughput percentage (0.25 is a quarter); raises PermanentTaskError."""
    if text is None or not text.strip():
        return DEFAULT_SHARE
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= _LARGEST_SHARE:
        message = f"{origin}: found {text!r}, wanted a share of the capacity from 0.1 to 1.0"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return share


def described(calls: Calls, named: Named) -> Table:
    """A table as it is now; raises TaskError where it is not there or cannot be used yet."""
    with refusals(named, "look at", calls.region):
        found: Mapping[str, Any] = calls.call("DescribeTable", {"TableName": named.table})["Table"]
    status = found.get("TableStatus", "ACTIVE")
    if status not in _USABLE:
        message = f"{named}: it is {status} in {calls.region}, wanted ACTIVE; try again later"
        raise TaskError(message, error_id=ErrorId.NOT_FOUND)
    kinds = {one["AttributeName"]: one["AttributeType"] for one in found["AttributeDefinitions"]}
    keys = tuple(
        Key(
            name=one["AttributeName"],
            kind=kinds[one["AttributeName"]],
            most_bytes=_MAX_KEY_BYTES[one["KeyType"]],
        )
        for one in found["KeySchema"]
    )
    return Table(
        named=named,
        region=calls.region,
        identity=str(found.get("TableId") or found.get("TableArn") or named.table),
        keys=keys,
        read_units=_units(found, "Read"),
        write_units=_units(found, "Write"),
        item_count=int(found.get("ItemCount", 0)),
        size_bytes=int(found.get("TableSizeBytes", 0)),
    )


def _units(found: Mapping[str, Any], kind: str) -> float:
    provisioned = found.get("ProvisionedThroughput") or {}
    if units := float(provisioned.get(f"{kind}CapacityUnits", 0)):
        return units
    # Whoever set a limit to what a table on demand may cost means it.
    most = (found.get("OnDemandThroughput") or {}).get(f"Max{kind}RequestUnits", -1)
    return float(most) if most > 0 else ON_DEMAND_UNITS
