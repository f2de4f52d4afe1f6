"""Which waiting instances can never have their turn, because something before them has failed.

And whether, with those, anything of a run is still to happen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taskrunner.model.instances import Category, Dependency, DependencyKind
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import INSTANCE_FAILED, INSTANCE_TERMINAL, InstanceStatus

#: Whoever waits for these waits until somebody runs them again, or marks them as finished.
_NEVER_FINISHED = INSTANCE_FAILED | {InstanceStatus.SKIPPED}


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


def over(instances: Sequence[InstanceRow], causes: Mapping[str, str]) -> bool:
    """Whether nothing more will happen: all at their end, or among those that `blocked` found.

    A resource ends once its users have; users that wait for ever would keep it for ever.
    """
    left = [
        row
        for row in instances
        if row.status not in INSTANCE_TERMINAL and row.instance_id not in causes
    ]
    kept = all(
        row.category == Category.RESOURCE and row.status is not InstanceStatus.SHUTTING_DOWN
        for row in left
    )
    return not left or (kept and bool(causes))


def _hopeless(
    dependencies: Sequence[Dependency],
    statuses: Mapping[str, InstanceStatus],
    causes: Mapping[str, str],
) -> str | None:
    for dependency in dependencies:
        other = dependency.instance_id
        if dependency.kind is DependencyKind.RESOURCE and other in causes:
            continue
        if other in causes or other not in statuses or statuses[other] in _NEVER_FINISHED:
            return other
    return None
