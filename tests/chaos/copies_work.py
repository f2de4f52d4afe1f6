"""Attempts of copies, each in a process of its own that can be killed and paused.

    python -m tests.chaos.copies_work FOLDER [MUTANT]

Reads a line of JSON for each attempt (see `Wanted`), and answers with the process's id; `wait PID`
is answered with its exit code: 0 and what was `Done`, or 1 and a message, or minus the signal that
ended it. All is loaded once, each attempt is a fork: many kills cost little.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import wraps
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from taskrunner.activities.copy import CopyActivity
from taskrunner.data.claims import Claim
from taskrunner.data.databases.load_fence import LoadFence
from taskrunner.data.databases.mysql import MySqlDatabase
from taskrunner.data.databases.mysql_load import LineLoader
from taskrunner.data.databases.postgresql import PostgreSqlDatabase
from taskrunner.data.databases.postgresql_copy import Copy
from taskrunner.data.objects.s3_notes import UploadNotes
from taskrunner.data.objects.s3_publishing import Publisher
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.model.document import Ref
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object, new_task


@dataclass(frozen=True, slots=True)
class Wanted:
    """One attempt of a copy between the table `orders` and an object."""

    instance: str
    attempt: int
    url: str
    endpoint: str
    #: Out of the table, or into it.
    out: bool
    uri: str
    logs: str
    query: str = ""
    #: Kill it when it has moved so many rows.
    kill_at: int = 0
    #: Kill it at this one of the `Points` that it passes.
    kill_at_point: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """What an attempt tells that comes to its end."""

    #: Of its first report.
    rows: int
    #: How many points it has passed.
    points: int


class Points:
    """Moments that decide: before and after each call to S3 or a database, at each report.

    A kill at one of them hits what takes no time, as a moment by chance rarely does.
    """

    def __init__(self, kill_at: int) -> None:
        self._kill_at = kill_at
        self.count = 0

    def watch(self) -> None:
        """For the rest of this process."""
        for owner, names in (
            (HTTPConnection, ("putrequest", "getresponse")),
            (PostgreSqlDatabase, ("commit", "execute")),
            (MySqlDatabase, ("commit", "execute")),
            (Copy, ("load",)),
            (LineLoader, ("_send",)),
        ):
            for name in names:
                self._surround(owner, name)

    def passed(self) -> None:
        """One more."""
        self.count += 1
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _surround(self, owner: type, name: str) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def surrounded(*args: Any, **kwargs: Any) -> Any:
            self.passed()
            result = original(*args, **kwargs)
            self.passed()
            return result

        setattr(owner, name, surrounded)


def _superseded_publishes() -> None:
    """D2: whoever comes last to an object's name has it, however old."""
    Claim.is_superseded_by = lambda self, mark: False  # type: ignore[method-assign]
    Publisher._conditions = lambda self: {}  # type: ignore[method-assign]


def _loads_unfenced() -> None:
    """D3: a load looks at no row, and leaves none."""
    LoadFence.may_load = lambda self: True  # type: ignore[method-assign]


def _uploads_left_open() -> None:
    """D1: nobody looks for what a killed attempt has left."""
    UploadNotes.sweep = lambda self: None  # type: ignore[method-assign]


def _published_in_parts() -> None:
    """D1: what there is when an attempt is ended is good enough: each part is made to appear."""
    from taskrunner.data.objects.s3_upload import MultipartUpload, Target

    original = MultipartUpload.send

    def send(self: MultipartUpload, number: int, data: bytearray) -> None:
        original(self, number, data)
        to: Target = self._to
        to.client.put_object(**to.name, Body=bytes(data), Metadata=self._publisher.metadata)

    MultipartUpload.send = send  # type: ignore[method-assign]


MUTANTS: Mapping[str, Callable[[], None]] = {
    "superseded-publishes": _superseded_publishes,
    "loads-unfenced": _loads_unfenced,
    "uploads-left-open": _uploads_left_open,
    "published-in-parts": _published_in_parts,
}


class Environment(ActivityEnvironment):
    """One whose logs go somewhere, so that notes have a place."""

    def __init__(self, wanted: Wanted, points: Points) -> None:
        self._kill_at = wanted.kill_at
        self._points = points
        super().__init__(
            data=DataSettings(
                s3_endpoint=wanted.endpoint,
                databases={"Db": wanted.url},
                instance_uri=wanted.logs,
            )
        )

    def progress(self, **fields: str | int) -> None:
        super().progress(**fields)
        self._points.passed()
        if self._kill_at and int(fields.get("rows", 0)) >= self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def attempt(wanted: Wanted) -> Done:
    """Copy, as CopyActivity does it."""
    points = Points(wanted.kill_at_point)
    points.watch()
    database = new_object("Db", "JdbcDatabase", {"connectionString": "jdbc:none://none/"})
    query = {"selectQuery": wanted.query} if wanted.query else {}
    table = new_object("Table", "SqlDataNode", {"table": "orders", "database": Ref("Db"), **query})
    file = new_object("File", "S3DataNode", {"filePath": wanted.uri})
    source, target = (table, file) if wanted.out else (file, table)
    fields: dict[str, str | Ref] = {"input": Ref(source.id), "output": Ref(target.id)}
    fields["@runStartTime"] = "r1"
    task = new_task(
        "CopyActivity", fields, source, target, database, component_id=wanted.instance,
        attempt=wanted.attempt,
    )  # fmt: skip
    with Environment(wanted, points) as environment:
        environment.run(CopyActivity(), task)
        rows = int(environment.progress_reports[0].get("rows", 0))
        return Done(rows=rows, points=points.count)


def _warm(endpoint: str) -> None:
    """Load what attempts need, and leave nothing open."""
    import psycopg  # noqa: F401
    import pymysql  # noqa: F401

    store = open_store(DataSettings(s3_endpoint=endpoint))
    store.stat("s3://nothing/there")


def main(folder: str, mutant: str = "") -> None:
    """Serve until the input ends."""
    logging.disable(logging.CRITICAL)
    if mutant:
        MUTANTS[mutant]()
    warm = False
    for line in sys.stdin:
        answer: Any
        if line.startswith("wait "):
            pid = int(line.split()[1])
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            errors = Path(folder) / str(pid)
            answer = [code, errors.read_text() if code >= 0 and errors.exists() else ""]
        else:
            wanted = Wanted(**json.loads(line))
            if not warm:
                warm = True
                _warm(wanted.endpoint)
            pid = os.fork()
            if not pid:
                _run(wanted, Path(folder) / str(os.getpid()))
            answer = pid
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _run(wanted: Wanted, errors: Path) -> None:
    """In the fork: never returns."""
    code = 1
    try:
        errors.write_text(json.dumps(asdict(attempt(wanted))))
        code = 0
    except BaseException:
        errors.write_text(traceback.format_exc())
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
