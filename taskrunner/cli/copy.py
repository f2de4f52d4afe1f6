"""`taskrunner copy SOURCE TARGET`: what CopyActivity does, from the shell."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from taskrunner.errors import UsageError

if TYPE_CHECKING:
    from taskrunner.cli.copy_places import End

_HEARD = (signal.SIGTERM, signal.SIGHUP)
#: Objects between two collections of garbage. What is imported is none, and all of it is looked
#: through each time: by default that is a sixth of a short copy.
_COLLECTED_AFTER = 20_000


@click.command(
    help="Copy rows or files from SOURCE to TARGET, whole or not at all, by the engine of "
    "CopyActivity. Each is postgresql://HOST/NAME/TABLE or ?query=SELECT..., mysql://..., "
    "redshift://..., sqlite:PATH?table=TABLE, s3://BUCKET/KEY, a path, or - for the standard "
    "streams. Passwords come from PGPASSWORD, ~/.pgpass, MYSQL_PWD, ~/.my.cnf, "
    "TASKRUNNER_SOURCE_PASSWORD or TASKRUNNER_TARGET_PASSWORD. Exit code 0 when all is copied, "
    "1 when not, 2 for wrong options, 130 after Ctrl-C.",
)
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.option("--dry-run", is_flag=True, help="Show query, types, first rows and size; no more.")
@click.option("--query", metavar="SELECT", help="What to read, in place of ?query= in SOURCE.")
@click.option("--source-format", metavar="TYPE", help="CSV, TSV, ...; by the name unless set.")
@click.option("--target-format", metavar="TYPE", help="The same for TARGET.")
@click.option("--columns", metavar="A,B,...", help="The columns that a file's values are for.")
@click.option("--insert", metavar="SQL", help="Load by this INSERT, with ? for each value.")
@click.option("--create", metavar="SQL", help="Make the target table by this, if it is missing.")
@click.option("--on-lossy-value", metavar="RULE", help="fail (the default), round or truncate.")
@click.option("--partitions", metavar="N", help="Read a table by N connections side by side.")
@click.option("--s3-endpoint", metavar="URL", help="Use the S3 API at URL.")
@click.option("--s3-root", metavar="DIR", help="s3://b/k is DIR/b/k.")
@click.option("--region", metavar="REGION", help="AWS region, if not boto3's own.")
@click.option("--quiet", is_flag=True, help="No progress, and no line at the end.")
def command(source: str, target: str, *, dry_run: bool, quiet: bool, **flags: str | None) -> None:
    """Copy, or look at what would be copied."""
    from taskrunner.cli.copy_places import Options, read_end

    columns = tuple(name.strip() for name in (flags["columns"] or "").split(",") if name.strip())
    first = Options(format=flags["source_format"], columns=columns, query=flags["query"])
    second = Options(
        format=flags["target_format"],
        insert_query=flags["insert"],
        create_table_sql=flags["create"],
    )
    ends = (
        read_end("SOURCE", source, first, os.environ),
        read_end("TARGET", target, second, os.environ),
    )
    for name, end in zip(("SOURCE", "TARGET"), ends, strict=True):
        if end.tells_password:
            click.echo(_warning(name), err=True)
    with _ending_well(), _few_collections():
        _copy(*ends, flags=flags, dry_run=dry_run, quiet=quiet)


def _copy(
    source: End, target: End, *, flags: dict[str, str | None], dry_run: bool, quiet: bool
) -> None:
    from taskrunner.activities.copy import CopyActivity
    from taskrunner.cli.copy_context import CopyContext, task_of
    from taskrunner.cli.copy_preview import Preview
    from taskrunner.cli.copy_progress import progress_on, summary
    from taskrunner.cli.copy_standard import WithStandardStreams
    from taskrunner.data.objects.store import open_store
    from taskrunner.data.settings import DataSettings, check_endpoint
    from taskrunner.host.local_files import LocalFiles

    endpoint, root = flags["s3_endpoint"], flags["s3_root"]
    if endpoint and root:
        raise UsageError("--s3-endpoint and --s3-root exclude each other")
    data = DataSettings(
        s3_root=Path(root).absolute() if root else None,
        s3_endpoint=check_endpoint(endpoint) if endpoint else None,
        region=flags["region"],
        databases={f"{end.node.id} database": end.url for end in (source, target) if end.url},
        # Whoever runs it in his shell may name whatever he may open.
        local=LocalFiles(folders=(Path("/"),)),
    )
    objects = WithStandardStreams(open_store(data), sys.stdin.buffer, sys.stdout.buffer)
    wanted = {"onLossyValue": flags["on_lossy_value"], "partitions": flags["partitions"]}
    task = task_of(source, target, {key: value for key, value in wanted.items() if value})
    preview = Preview(task, objects, data)
    if dry_run:
        for line in preview.lines(source, target):
            click.echo(line)
        return
    watched = sys.stderr.isatty() and not quiet
    with (
        tempfile.TemporaryDirectory(prefix="taskrunner-copy-") as folder,
        progress_on(sys.stderr, rows=preview.rows(source) if watched else None, quiet=quiet) as bar,
    ):
        context = CopyContext(task, objects=objects, data=data, shown=bar, folder=Path(folder))
        CopyActivity().run(context)
    if not quiet:
        click.echo(f"Copied {summary(context.moved)}: {source.shown} -> {target.shown}", err=True)


def _warning(name: str) -> str:
    return (
        f"taskrunner: the password in the address of {name} can be read by all users of this host "
        f"while the copy runs: leave it out, and set TASKRUNNER_{name}_PASSWORD"
    )


@contextmanager
def _few_collections() -> Iterator[None]:
    """Look for garbage less often."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECTED_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _ending_well() -> Iterator[None]:
    """Have SIGTERM and a closed terminal end a copy as Ctrl-C does: undone, and cleaned up."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [n for n in _HEARD if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
