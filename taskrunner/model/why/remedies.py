"""The commands that mend what is wrong, ready to be copied to a shell."""

from __future__ import annotations

import shlex

#: Stands for the file of a definition, which the service does not know.
FILE = "pipeline.json"


def list_pipelines(region: str) -> str:
    """Show the pipelines of a region."""
    return f"aws datapipeline list-pipelines --region {shlex.quote(region)}"


def create() -> str:
    """Make a pipeline."""
    return "aws datapipeline create-pipeline --name NAME --unique-id ID"


def activate(pipeline_id: str) -> str:
    """Set a pipeline going."""
    return f"aws datapipeline activate-pipeline --pipeline-id {shlex.quote(pipeline_id)}"


def deactivate(pipeline_id: str) -> str:
    """Stop a pipeline at once."""
    return (
        f"aws datapipeline deactivate-pipeline --pipeline-id {shlex.quote(pipeline_id)} "
        "--cancel-active"
    )


def put(pipeline_id: str) -> str:
    """Put a definition."""
    return (
        f"aws datapipeline put-pipeline-definition --pipeline-id {shlex.quote(pipeline_id)} "
        f"--pipeline-definition file://{FILE}"
    )


def set_status(pipeline_id: str, status: str, *object_ids: str) -> str:
    """Change objects by hand."""
    named = " ".join(map(shlex.quote, object_ids))
    return (
        f"aws datapipeline set-status --pipeline-id {shlex.quote(pipeline_id)} "
        f"--status {status} --object-ids {named}"
    )


def describe(pipeline_id: str, object_id: str) -> str:
    """Show all of an object."""
    return (
        f"aws datapipeline describe-objects --pipeline-id {shlex.quote(pipeline_id)} "
        f"--object-ids {shlex.quote(object_id)}"
    )


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
