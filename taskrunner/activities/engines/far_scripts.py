"""Scripts for what reads them from S3: where they are, or where they are put for it."""

from __future__ import annotations

import hashlib

from taskrunner.activities.base import Context
from taskrunner.activities.engines.base import Call
from taskrunner.model.steps.works import RunHive, RunPig, Work


def script_place(ctx: Context) -> str | None:
    """The folder on S3 that scripts are put into."""
    main = ctx.task.main
    places = (main.get("generatedScriptsPath"), main.get("pipelineLogUri"))
    return next((uri for uri in places if uri and uri.startswith("s3://")), None)


def why_no_place(ctx: Context, work: Work, who: str) -> str | None:
    """Why a script cannot get there; None where it can, or is there."""
    has_text = isinstance(work, RunHive | RunPig) and work.text is not None and not work.script
    if not has_text or script_place(ctx) is not None:
        return None
    return (
        f"{who} gets the script from S3, and neither generatedScriptsPath nor pipelineLogUri names "
        "a place there"
    )


def script_uri(ctx: Context, call: Call, work: RunHive | RunPig, suffix: str) -> str:
    """Where a script is found: where it is, or where it is put now."""
    if work.script is not None:
        return work.script
    task = ctx.task
    folder = f"{(script_place(ctx) or '').rstrip('/')}/{task.pipeline_id}/{task.component_id}"
    uri = f"{folder}/{task.instance_id.removeprefix('@')}/{digest(task.task_id)}.{suffix}"
    with ctx.objects.open_write(uri) as target:
        target.write((work.text or "").encode())
    ctx.log.info("The script of %s is at %s", call.where, uri)
    return uri


def digest(text: str) -> str:
    """A short name for a long one, the same each time."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def mark_of(ctx: Context) -> str:
    """What the names of all that an instance has had done have in common."""
    return digest(f"{ctx.task.pipeline_id}\0{ctx.task.instance_id}")
