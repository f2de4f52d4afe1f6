"""A definition's dependency graph: what runs, in which order, and what depends on what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from taskrunner.model.document import PipelineObject
from taskrunner.model.instances import Category, Components


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A component of the graph."""

    id: str
    type: str
    category: Category
    #: How many steps lie before it: 0 for what waits for nothing.
    stage: int
    #: `worker group prod`, or none.
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """`target` waits for `source` (`runsOn`: runs on it)."""

    source: str
    target: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes by stage and then in the definition's order, and the edges between them."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @classmethod
    def of(
        cls, objects: Mapping[str, PipelineObject], category_of: Callable[[str], str | None]
    ) -> Graph:
        """The graph of effective objects; references to nothing are left out, cycles are cut."""
        components = Components.of(objects, category_of)
        edges = tuple(dict.fromkeys(_edges(components)))
        stages = _stages(list(components.runnable), edges)
        nodes = [
            Node(
                id=key,
                type=objects[key].type or "",
                category=category,
                stage=stages[key],
                where=_where(objects[key], category),
            )
            for key, category in components.runnable.items()
        ]
        return cls(nodes=tuple(sorted(nodes, key=lambda node: node.stage)), edges=edges)

    def stages(self) -> Iterator[tuple[int, list[Node]]]:
        """The nodes of each stage."""
        for stage in sorted({node.stage for node in self.nodes}):
            yield stage, [node for node in self.nodes if node.stage == stage]

    def into(self, node_id: str, *kinds: str) -> list[Edge]:
        """The edges that end at a node."""
        return [e for e in self.edges if e.target == node_id and (not kinds or e.kind in kinds)]

    def out_of(self, node_id: str, *kinds: str) -> list[Edge]:
        """The edges that begin at a node."""
        return [e for e in self.edges if e.source == node_id and (not kinds or e.kind in kinds)]


def _edges(components: Components) -> Iterator[Edge]:
    for key, category in components.runnable.items():
        obj = components.objects[key]
        if category is Category.ACTIVITY:
            yield from (Edge(ref.id, key, "input") for ref in _known(components, obj, "input"))
            yield from (Edge(key, ref.id, "output") for ref in _known(components, obj, "output"))
            yield from (Edge(ref.id, key, "runsOn") for ref in _known(components, obj, "runsOn"))
        if category in {Category.ACTIVITY, Category.DATANODE}:
            for kind in ("dependsOn", "precondition"):
                yield from (Edge(ref.id, key, kind) for ref in _known(components, obj, kind))


def _known(components: Components, obj: PipelineObject, field: str) -> list[PipelineObject]:
    return [components.objects[ref.id] for ref in obj.refs(field) if ref.id in components.runnable]


def _stages(ids: list[str], edges: tuple[Edge, ...]) -> dict[str, int]:
    before: dict[str, set[str]] = {key: set() for key in ids}
    outputs = {(e.source, e.target) for e in edges if e.kind == "output"}
    for edge in edges:
        # Whoever reads what it writes does not wait for itself.
        if (edge.target, edge.source) not in outputs or edge.kind == "output":
            before[edge.target].add(edge.source)
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError:
        return dict.fromkeys(ids, 0)
    stages: dict[str, int] = {}
    for key in order:
        stages[key] = 1 + max((stages[other] for other in before[key]), default=-1)
    return stages


def _where(obj: PipelineObject, category: Category) -> str | None:
    group = obj.string("workerGroup")
    if category is not Category.ACTIVITY or obj.ref("runsOn") is not None or group is None:
        return None
    return f"worker group {group}"
