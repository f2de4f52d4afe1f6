"""What the store knows of a pipeline's components as such, each looked up once something asks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from sqlalchemy.engine import Connection

from taskrunner.model.instances import Category
from taskrunner.model.states import InstanceStatus
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.service.health import Health, component_health
from taskrunner.service.store import latest
from taskrunner.service.store import pauses as pause_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.rows import PipelineRow


class ComponentFacts:
    """The runs of a pipeline's components: when the last was, the next is, and how they ended."""

    def __init__(self, conn: Connection, pipeline: PipelineRow, loaded: LoadedDefinition) -> None:
        self._conn = conn
        self.pipeline = pipeline
        self._loaded = loaded
        self._health: dict[str, Health | None] = {}

    @cached_property
    def _paused(self) -> frozenset[str]:
        return pause_store.paused_ids(self._conn, self.pipeline.pipeline_id)

    @cached_property
    def _next_at(self) -> Mapping[str, datetime | None]:
        rows = pipeline_store.load_schedules(self._conn, self.pipeline.pipeline_id)
        return {row.schedule_id: row.next_at for row in rows}

    def is_paused(self, component_id: str) -> bool:
        """Whether it, or the whole pipeline, is paused."""
        return not self._paused.isdisjoint({component_id, self.pipeline.pipeline_id})

    def category(self, component_id: str) -> Category | None:
        """What kind of thing runs; None: it never runs."""
        return self._loaded.components.runnable.get(component_id)

    def error(self, component_id: str) -> str | None:
        """What is wrong with its definition; nothing is, once it was activated."""
        if self.pipeline.active_version:
            return None
        return self._loaded.mistakes.get(component_id)

    def health(self, component_id: str) -> Health | None:
        """How it is, once something of it has ended."""
        if component_id not in self._health:
            components = self._loaded.components
            self._health[component_id] = component_health(
                self._conn, self.pipeline.pipeline_id, component_id, components
            )
        return self._health[component_id]

    def next_run(self, component_id: str) -> datetime | None:
        """When its schedule comes to its next period; on demand nobody knows."""
        on_demand = self._loaded.on_demand
        schedule_id = self._loaded.components.schedule_id(component_id, on_demand=on_demand)
        return self._next_at.get(schedule_id) if schedule_id else None

    def latest_run(self, component_id: str) -> datetime | None:
        """The newest period that instances of it were made for."""
        return self._latest(component_id, *InstanceStatus)

    def latest_completed_run(self, component_id: str) -> datetime | None:
        """The newest period in which it has finished."""
        return self._latest(component_id, InstanceStatus.FINISHED)

    def _latest(self, component_id: str, *statuses: InstanceStatus) -> datetime | None:
        pipeline_id = self.pipeline.pipeline_id
        return latest.latest_start(self._conn, pipeline_id, component_id, statuses)

    def active_instances(self, component_id: str) -> list[str]:
        """The ids of its instances that are active at present."""
        category = self.category(component_id)
        if category is None:
            return []
        pipeline_id = self.pipeline.pipeline_id
        return latest.active_ids(self._conn, pipeline_id, component_id, category)
