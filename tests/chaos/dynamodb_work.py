"""An export, or an import, in a process of its own, so that it can be killed.

    python -m tests.chaos.dynamodb_work export TABLE FOLDER SHARE SEGMENTS
    python -m tests.chaos.dynamodb_work import TABLE FOLDER SHARE

Prints items, seconds, units that replies have told of, and the rate that was to be held.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

from taskrunner.clock import SystemClock
from taskrunner.data.dynamodb.calls import Named
from taskrunner.data.dynamodb.client import connect
from taskrunner.data.dynamodb.export import Export, Exporter, FileLimits
from taskrunner.data.dynamodb.load import Import, Importer
from taskrunner.data.dynamodb.state import ExportState
from taskrunner.data.dynamodb.table import described
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings

#: So small that a kill finds some whole and some not.
LIMITS = FileLimits(items=500)


class Monitor:
    """Nobody is told."""

    def progress(self, **fields: str | int) -> None:
        """Nothing."""

    def check_canceled(self) -> None:
        """Never."""


def start_anew() -> None:
    """The mutant: whatever an earlier attempt left is not looked for."""
    ExportState.load = lambda *_, **__: None  # type: ignore[method-assign]


def main(kind: str, table: str, folder: str, share: str, segments: str = "") -> None:
    if os.environ.get("MUTANT") == "export-starts-anew":
        start_anew()
    clock = SystemClock()
    began = clock.monotonic()
    calls = connect("us-east-1")
    named = Named(table=table, owner="the test")
    objects = open_store(DataSettings(s3_root=Path.cwd() / "s3"))
    log = logging.getLogger("taskrunner.tests")
    work: Exporter | Importer
    if kind == "export":
        export = Export(folder=folder, share=float(share), segments=int(segments), owner="one")
        work = Exporter(
            export,
            calls=calls,
            table=described(calls, named),
            objects=objects,
            monitor=Monitor(),
            log=log,
            clock=clock,
            limits=LIMITS,
        )
    else:
        work = Importer(
            Import(uri=folder, share=float(share)),
            calls=calls,
            table=described(calls, named),
            objects=objects,
            monitor=Monitor(),
            log=log,
            clock=clock,
        )
    moved = work.run()
    seconds = clock.monotonic() - began
    told = {"items": moved.rows, "seconds": seconds, "units": work.limiter.consumed}
    print(json.dumps({**told, "rate": work.limiter.rate}))


if __name__ == "__main__":
    main(*sys.argv[1:])
