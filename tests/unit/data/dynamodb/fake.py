"""A DynamoDB of one process: enough of it for reading and writing tables."""

from __future__ import annotations

import json
import math
import threading
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from taskrunner.data.dynamodb.calls import Refused, Reply
from taskrunner.data.dynamodb.items import MAX_ITEM_BYTES, Item, size_of


class FakeDynamoDB:
    """One table, `users`, with the key `id`; counts what is consumed as DynamoDB does."""

    region = "us-east-1"

    def __init__(self, items: int = 0, *, pad: int = 0, read: int = 100, write: int = 100) -> None:
        self.items: dict[str, Item] = {}
        for number in range(items):
            item: Item = {"id": {"S": f"user-{number:05}"}, "n": {"N": str(number)}}
            self.put(item | ({"pad": {"S": "x" * pad}} if pad else {}))
        self.read_units, self.write_units = read, write
        self.table: dict[str, Any] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.consumed = 0.0
        #: Asked before each call; raises what the call is to raise.
        self.before: Callable[[str, Mapping[str, Any]], None] = lambda *_: None
        #: How many items of each batch are taken; the last number counts for all that follow.
        self.takes: list[int] = [25]
        self.closed = False
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        return sum(map(size_of, self.items.values()))

    def put(self, item: Item) -> None:
        self.items[item["id"]["S"]] = item

    def call(
        self, operation: str, request: Mapping[str, Any], stop: threading.Event | None = None
    ) -> Reply:
        with self._lock:
            self.calls.append((operation, json.loads(json.dumps(request))))
            self.before(operation, request)
            if operation != "BatchWriteItem" and request["TableName"] != "users":
                raise Refused("ResourceNotFoundException", "Requested resource not found")
            done: Reply = getattr(self, f"_{operation}")(request)
            return done

    def close(self) -> None:
        self.closed = True

    def _DescribeTable(self, _request: Mapping[str, Any]) -> Reply:  # noqa: N802
        return {
            "Table": {
                "TableName": "users",
                "TableId": "one",
                "TableStatus": "ACTIVE",
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "ProvisionedThroughput": {
                    "ReadCapacityUnits": self.read_units,
                    "WriteCapacityUnits": self.write_units,
                },
                "ItemCount": len(self.items),
                "TableSizeBytes": self.size_bytes,
                **self.table,
            }
        }

    def _Scan(self, request: Mapping[str, Any]) -> Reply:  # noqa: N802
        segment, total = request.get("Segment", 0), request.get("TotalSegments", 1)
        keys = sorted(k for k in self.items if zlib.crc32(k.encode()) % total == segment)
        if "ExclusiveStartKey" in request:
            keys = [key for key in keys if key > request["ExclusiveStartKey"]["id"]["S"]]
        page = keys[: request.get("Limit", 1000)]
        items = [self.items[key] for key in page]
        units = max(0.5, math.ceil(sum(map(size_of, items)) / 4096) / 2)
        self.consumed += units
        reply: Reply = {
            "Items": items,
            "ScannedCount": len(items),
            "ConsumedCapacity": {"TableName": "users", "CapacityUnits": units},
        }
        if page and page != keys:
            reply["LastEvaluatedKey"] = {"id": {"S": page[-1]}}
        return reply

    def _BatchWriteItem(self, request: Mapping[str, Any]) -> Reply:  # noqa: N802
        ((name, requests),) = request["RequestItems"].items()
        keys = [one["PutRequest"]["Item"]["id"]["S"] for one in requests]
        if len(set(keys)) != len(keys):
            raise Refused("ValidationException", "Provided list of item keys contains duplicates")
        most = self.takes.pop(0) if len(self.takes) > 1 else self.takes[0]
        units = sum(self._written(one["PutRequest"]["Item"]) for one in requests[:most])
        left = requests[most:]
        return {
            "UnprocessedItems": {name: left} if left else {},
            "ConsumedCapacity": [{"TableName": name, "CapacityUnits": units}],
        }

    def _PutItem(self, request: Mapping[str, Any]) -> Reply:  # noqa: N802
        units = self._written(request["Item"])
        return {"ConsumedCapacity": {"TableName": "users", "CapacityUnits": units}}

    def _written(self, item: Item) -> float:
        if size_of(item) > MAX_ITEM_BYTES or "refused" in item:
            raise Refused("ValidationException", "One or more parameter values are not valid")
        self.put(item)
        units = float(math.ceil(size_of(item) / 1024))
        self.consumed += units
        return units
