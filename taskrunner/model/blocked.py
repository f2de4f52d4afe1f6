"""Which waiting instances can never run, because something they depend on has failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taskrunner.model.instances import Dependency, DependencyKind
from taskrunner.model.states import INSTANCE_FAILED, InstanceStatus


def blocked(
    statuses: Mapping[str, InstanceStatus], dependencies: Mapping[str, Sequence[Dependency]]
) -> dict[str, str]:
    """The waiting instances that wait for ever, each with the instance that holds it back.

    Without failureAndRerunMode `cascade` a consumer of something failed stays in
    WAITING_ON_DEPENDENCIES; so does whoever waits for that consumer, or for an instance that is
    not there.
    """
    causes: dict[str, str] = {}
    pending = {
        key for key, status in statuses.items() if status is InstanceStatus.WAITING_ON_DEPENDENCIES
    }
    found = True
    while found:
        found = False
        for key in sorted(pending - causes.keys()):
            cause = _hopeless(dependencies.get(key, ()), statuses, causes)
            if cause is not None:
                causes[key] = cause
                found = True
    return causes


def _hopeless(
    dependencies: Sequence[Dependency],
    statuses: Mapping[str, InstanceStatus],
    causes: Mapping[str, str],
) -> str | None:
    for dependency in dependencies:
        other = dependency.instance_id
        if dependency.kind is DependencyKind.RESOURCE and other in causes:
            continue
        if other in causes or other not in statuses or statuses[other] in INSTANCE_FAILED:
            return other
    return None
