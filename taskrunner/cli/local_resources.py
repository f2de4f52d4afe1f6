"""Which rules for resources a run on this machine can follow."""

from __future__ import annotations

from pathlib import Path

from taskrunner.errors import UsageError
from taskrunner.model.instances import Components
from taskrunner.service.resources.placing import used_resources
from taskrunner.service.resources.rules import Rules
from taskrunner.service.resources.targets import Where

#: Why a run does not do what rules for a service say.
_UNREACHED = "and nobody reaches a run on this machine: wanted local or group=NAME"
_REFUSED = {
    Where.NONE: f"leaves the agent for {{}} to somebody else, {_UNREACHED}",
    Where.EC2: f"leaves the agent for {{}} to an instance, {_UNREACHED}",
    Where.EMR: "makes a cluster for {}, which only a service that stays can look after: use "
    "`taskrunner serve`, or name a cluster that is there (TASKRUNNER_EMR_CLUSTER) with local",
}


def refuse_unreached(
    components: Components, pipeline: str, rules: Rules, *, s3_root: Path | None
) -> None:
    """Refuse to wait for agents that nobody starts, and to forget clusters. Raises UsageError."""
    for resource in used_resources(components, pipeline, {}):
        rule = rules.first(resource)
        refused = _REFUSED.get(rule.target.where) if rule is not None else None
        is_far = rule is not None and rule.target.where is Where.EMR_SERVERLESS
        if is_far and s3_root is not None:
            refused = f"has jobs for {{}} read and write S3, and not {s3_root}: give --aws"
        if refused is not None:
            told = refused.format(f"{resource.type} {resource.id!r}")
            raise UsageError(f"--resources: {rule} {told}")
