"""The commands that mend what is wrong, ready to be copied to a shell."""

from __future__ import annotations

import shlex

#: Stands for the file of a definition, which the service does not know.
FILE = "pipeline.json"


def list_pipelines(region: str) -> str:
    """Show the pipelines of a region."""
    return f"taskrunner pipelines list --region {shlex.quote(region)}"


def create() -> str:
    """Make a pipeline of a definition."""
    return f"taskrunner pipelines put {FILE}"


def activate(pipeline_id: str) -> str:
    """Set a pipeline going."""
    return f"taskrunner pipelines activate {shlex.quote(pipeline_id)}"


def deactivate(pipeline_id: str) -> str:
    """Stop a pipeline at once."""
    return f"taskrunner pipelines deactivate {shlex.quote(pipeline_id)}"


def put(pipeline_id: str) -> str:
    """Put a definition."""
    return f"taskrunner pipelines put {FILE} --pipeline {shlex.quote(pipeline_id)}"


def resume(pipeline_id: str, object_id: str) -> str:
    """Let what was paused go on: a component, an instance, or a pipeline by its own id."""
    only = "" if object_id == pipeline_id else f" --object {shlex.quote(object_id)}"
    return f"taskrunner pipelines resume {shlex.quote(pipeline_id)}{only}"


def resume_backfill(backfill_id: str) -> str:
    """Let a paused backfill go on."""
    return f"taskrunner backfill resume {shlex.quote(backfill_id)}"


def rerun(pipeline_id: str, instance_id: str) -> str:
    """Begin an ended instance again, with whoever failed with it."""
    return f"taskrunner rerun {shlex.quote(pipeline_id)} {shlex.quote(instance_id)}"


def finish(pipeline_id: str, instance_id: str) -> str:
    """Take an instance for finished, so that what waits for it goes on."""
    return f"taskrunner finish {shlex.quote(pipeline_id)} {shlex.quote(instance_id)}"


def logs(pipeline_id: str, object_id: str) -> str:
    """Show the log of an attempt, or of an instance's last one."""
    return f"taskrunner logs {shlex.quote(pipeline_id)} {shlex.quote(object_id)}"


def runs(pipeline_id: str) -> str:
    """Show the runs of a pipeline."""
    return f"taskrunner runs {shlex.quote(pipeline_id)}"


def validate() -> str:
    """Say everything that is wrong with a definition, with its lines."""
    return f"taskrunner validate {FILE}"


def schedule() -> str:
    """Show when a definition runs."""
    return f"taskrunner schedule {FILE}"


def serve_group(worker_group: str, tasks: int | None = None) -> str:
    """Start an agent for a worker group."""
    more = f" --tasks {tasks}" if tasks else ""
    return f"taskrunner --worker-group {shlex.quote(worker_group)}{more}"


def doctor(worker_group: str) -> str:
    """Examine an agent's host, credentials and way to the service."""
    return f"taskrunner doctor --worker-group {shlex.quote(worker_group)}"


def runner_key(worker_group: str, account: str = "") -> str:
    """Make a key by which an agent may poll for a worker group."""
    whose = f" --account {shlex.quote(account)}" if account else ""
    return f"taskrunner keys create --role runner --worker-group {shlex.quote(worker_group)}{whose}"


def resume_agent() -> str:
    """Have the agent of a host take tasks again."""
    return "taskrunner resume"


def agent_status() -> str:
    """Show what the agent of a host does."""
    return "taskrunner status"


def service_log(text: str) -> str:
    """What the service has logged of something."""
    return f"journalctl -u taskrunner-serve --grep {shlex.quote(text)}"


def why(pipeline_id: str) -> str:
    """Ask again."""
    return f"taskrunner why {shlex.quote(pipeline_id)}"
