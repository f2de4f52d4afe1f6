"""Beginning ended instances again, together with what has to come along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from taskrunner.model.instances import Category, Dependency, DependencyKind
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import INSTANCE_FAILED, INSTANCE_TERMINAL, InstanceStatus
from taskrunner.service.apply import SchedulingTransaction
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import links

T = TypeVar("T")

#: Ids in one statement: databases bound the number of a statement's parameters.
PORTION = 500


def in_portions(items: Sequence[T], size: int = PORTION) -> Iterator[Sequence[T]]:
    """The items in slices, of what one statement can name if nothing else is said."""
    return (items[at : at + size] for at in range(0, len(items), size))


def rerun(
    transaction: SchedulingTransaction,
    pipeline_id: str,
    rows: Sequence[InstanceRow],
    *,
    by_hand: bool = True,
) -> list[InstanceRow]:
    """Begin these ended instances again, with all of their tries.

    What somebody asks for by hand takes no place under maxActiveInstances; what an activation
    takes up again waits for one as at first.

    Along come whoever was drawn into their failure (CASCADE_FAILED because of them), the users of
    a resource, their own preconditions that failed or were canceled, and the resources that they
    run on. The planner sends those back at once that still wait for something failed. Returns all
    of them, as they were.
    """
    run = _Rerun(transaction, pipeline_id)
    run.choose(rows)
    found = list(run.chosen.values())
    while found:
        found = [row for some in in_portions(found) for row in run.with_needs(some)]
    begun = list(run.chosen.values())
    for row in begun:
        run.begin(row, by_hand=by_hand)
    return begun


@dataclass(frozen=True)
class _Rerun:
    """One rerun: which instances it is about, by their ids."""

    transaction: SchedulingTransaction
    pipeline_id: str
    chosen: dict[str, InstanceRow] = field(default_factory=dict)

    def choose(self, rows: Sequence[InstanceRow]) -> None:
        """Take these, and step by step those that follow them."""
        found = list(rows)
        while found:
            self.chosen.update((row.instance_id, row) for row in found)
            found = [row for some in in_portions(found) for row in self._followers(some)]

    def _followers(self, rows: Sequence[InstanceRow]) -> list[InstanceRow]:
        conn = self.transaction.conn
        waiting = links.dependents_of(conn, self.pipeline_id, [row.instance_id for row in rows])
        users = _of_kind(waiting, DependencyKind.RESOURCE)
        ids = {d.instance_id for found in waiting.values() for d in found} - self.chosen.keys()
        return [
            row
            for row in self._load(ids)
            if (row.instance_id in users and row.status in INSTANCE_TERMINAL)
            or (row.status is InstanceStatus.CASCADE_FAILED and row.cause in self.chosen)
        ]

    def with_needs(self, rows: Sequence[InstanceRow]) -> list[InstanceRow]:
        """Take, and return, what these need that has ended: resources and own preconditions."""
        taken: list[InstanceRow] = []
        conn = self.transaction.conn
        needs = links.dependencies_of(conn, self.pipeline_id, [row.instance_id for row in rows])
        resources = _of_kind(needs, DependencyKind.RESOURCE)
        checks = _of_kind(needs, DependencyKind.PRECONDITION)
        for row in self._load((resources | checks) - self.chosen.keys()):
            wanted = row.instance_id in resources or row.status in INSTANCE_FAILED
            if wanted and row.status in INSTANCE_TERMINAL:
                self.chosen[row.instance_id] = row
                taken.append(row)
            elif row.status is InstanceStatus.SHUTTING_DOWN:
                # Once the old one is gone the planner sees that it is wanted again.
                instance_store.update_instance(conn, row, not_before=self.transaction.now)
        return taken

    def _load(self, ids: set[str]) -> list[InstanceRow]:
        return [
            row
            for some in in_portions(sorted(ids))
            for row in instance_store.load_instances(self.transaction.conn, self.pipeline_id, some)
        ]

    def begin(self, row: InstanceRow, *, by_hand: bool) -> None:
        """Put an ended instance back to its beginning; its attempts stay and are counted on."""
        not_before = max(row.not_before, self.transaction.now)
        afresh: dict[str, Any] = {
            "status": InstanceStatus.WAITING_ON_DEPENDENCIES,
            "failures": 0,
            "reruns": row.reruns + by_hand,
            "late_fired": False,
            "actual_start": None,
            "actual_end": None,
            "error_id": None,
            "error_message": None,
            "cause": None,
            # Lateness counts from here, not from the run before.
            "not_before": not_before,
            "due_at": not_before,
        }
        if row.category == Category.RESOURCE:
            afresh["resource_handle"] = None
        instance_store.update_instance(self.transaction.conn, row, **afresh)


def _of_kind(found: Mapping[str, Sequence[Dependency]], kind: DependencyKind) -> set[str]:
    return {d.instance_id for some in found.values() for d in some if d.kind is kind}
