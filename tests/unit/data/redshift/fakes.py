"""Tasks and a session that only remembers, for tests of what is sent to Redshift."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.redshift.nodes import Request, read_request
from taskrunner.data.redshift.session import Done, LoadError, Rows, Shape, Step, StepFailed
from taskrunner.data.redshift.tokens import quoted
from taskrunner.errors import ErrorId
from taskrunner.model.document import PipelineObject, Ref, Value
from taskrunner.model.task import Task
from taskrunner.testing.activity_environment import new_object, new_task

Fields = dict[str, Value | list[Value]]
SPEC = DatabaseSpec(
    id="Db", scheme="redshift", host="c.abc.eu-west-1.redshift.amazonaws.com", port=5439
)
SHAPE = Shape(
    name='"public"."orders"', short_name="orders", columns=("id", "note"), primary_key=("id",)
)


def copy_task(
    *,
    source: Fields | None = None,
    target: Fields | None = None,
    others: Sequence[PipelineObject] = (),
    unloads: bool = False,
    **fields: Value | list[Value],
) -> Task:
    """A RedshiftCopyActivity between `Files` and `Table`, as a task."""
    ends: Fields = {"input": Ref("Files"), "output": Ref("Table")}
    if unloads:
        ends = {"input": Ref("Table"), "output": Ref("Files")}
    node: Fields = {"database": Ref("Db"), "tableName": "orders", **(target or {})}
    objects = {
        "Db": new_object("Db", "RedshiftDatabase", {"clusterId": "c"}),
        "Table": new_object("Table", "RedshiftDataNode", node),
        "Files": new_object("Files", "S3DataNode", source or {"filePath": "s3://b/f.csv"}),
        **{item.id: item for item in others},
    }
    values: Fields = {"insertMode": "APPEND", **ends, **fields}
    return new_task("RedshiftCopyActivity", values, *objects.values(), component_id="Load")


def request(**options: object) -> Request:
    """What such a task asks for."""
    return read_request(copy_task(**options).main)  # type: ignore[arg-type]


@dataclass(slots=True)
class FakeSession:
    """Remembers what it was sent; answers what it was told to."""

    spec: DatabaseSpec = SPEC
    takes_keys: bool = True
    needs_authorization: bool = True
    tables: dict[str, Shape] = field(default_factory=lambda: {"orders": SHAPE})
    #: The answer to the fence's question.
    applied: Rows = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    #: The text in a step that fails, and with what.
    fails: tuple[str, str] | None = None
    errors: list[LoadError] = field(default_factory=list)

    def literal(self, text: str) -> str:
        return quoted(text)

    def quote(self, *names: str) -> str:
        return ".".join(f'"{name}"' for name in names)

    def rows(self, query: str) -> Rows:
        return self.applied

    def transact(self, steps: Sequence[Step], done: Done) -> None:
        for step in steps:
            self.sent.append(step.sql)
            if self.fails is not None and self.fails[0] in step.sql:
                raise StepFailed(self.fails[1], step=step, error_id=ErrorId.ACTIVITY_FAILED)
            if step.sql.startswith("CREATE TABLE IF NOT EXISTS"):
                self.tables["taskrunner_loads_orders"] = SHAPE
            done(step, 3)

    def find_table(self, table: str, schema: str | None = None) -> str | None:
        found = self.tables.get(table)
        return found.name if found else None

    def shape(self, name: str) -> Shape:
        return next(shape for shape in self.tables.values() if shape.name == name)

    def load_errors(self) -> list[LoadError]:
        return self.errors


class FakeMonitor:
    """A context's log and progress."""

    def __init__(self) -> None:
        self.told: list[dict[str, str | int]] = []
        self.log = logging.getLogger("taskrunner.testing.redshift")

    def progress(self, **fields: str | int) -> None:
        self.told.append(fields)

    def check_canceled(self) -> None:
        pass
