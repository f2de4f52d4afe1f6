"""Checks for circles: of parents, and of objects that wait for each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from taskrunner.model.inheritance import MAX_PARENTS
from taskrunner.model.validate.context import Context

Graph = Mapping[str, Sequence[tuple[str, str]]]


def find_cycles(graph: Graph) -> Iterator[list[tuple[str, str]]]:
    """Circles of a graph of node -> (edge's name, node): at least one where there are any.

    Each is given as its (node, name of the edge to the next) in order. Every edge is followed
    once.
    """
    finished: set[str] = set()
    for root in graph:
        if root not in finished:
            yield from _walk(graph, root, finished)


def _walk(graph: Graph, root: str, finished: set[str]) -> Iterator[list[tuple[str, str]]]:
    """Depth first from a root, on a stack of our own: chains may be longer than Python's."""
    path: dict[str, str] = {root: ""}
    stack = [(root, iter(graph.get(root, ())))]
    while stack:
        node, edges = stack[-1]
        edge, following = next(edges, ("", None))
        if following is None:
            finished.add(node)
            path.pop(node)
            stack.pop()
        elif following in path:
            path[node] = edge
            yield _circle(path, following)
        elif following not in finished:
            path[node] = edge
            path[following] = ""
            stack.append((following, iter(graph.get(following, ()))))


def _circle(path: Mapping[str, str], start: str) -> list[tuple[str, str]]:
    nodes = list(path.items())
    first = next(i for i, (node, _) in enumerate(nodes) if node == start)
    return nodes[first:]


def _shown(circle: Sequence[tuple[str, str]]) -> str:
    """The circle's ids, its middle left out where it is long."""
    names = [node for node, _ in circle]
    if len(names) > 8:
        names = [*names[:4], f"({len(names) - 6} more)", *names[-2:]]
    return " -> ".join([*names, names[0]])


def check_parents(context: Context) -> None:
    """No object is its own ancestor, and none has more ancestors than are followed."""
    graph = {
        item.id: [("parent", ref.id) for ref in item.own.refs("parent") if ref.id in context.by_id]
        for item in context.by_id.values()
    }
    for circle in find_cycles(graph):
        _note(context, "parent-cycle", f"inherits from itself: {_shown(circle)}", circle)
    depth: dict[str, int] = {}
    for name in graph:
        if _depth(graph, name, depth) == MAX_PARENTS + 1:
            message = f"more than {MAX_PARENTS} ancestors stand above the object"
            _note(context, "parent-chain", message, [(name, "parent")])


def _depth(graph: Graph, name: str, depth: dict[str, int]) -> int:
    """How many first parents stand above; counted once each, circles cut."""
    chain: list[str] = []
    seen: set[str] = set()
    following: str | None = name
    while following is not None and following not in depth and following not in seen:
        chain.append(following)
        seen.add(following)
        following = next((parent for _, parent in graph[following]), None)
    base = depth.get(following, 0) + 1 if following is not None and following in depth else 0
    for above, member in enumerate(reversed(chain)):
        depth[member] = base + above
    return depth[name]


def check_dependencies(context: Context) -> None:
    """No object waits for itself: dependsOn and input lead back in time, output forward."""
    graph: dict[str, list[tuple[str, str]]] = {name: [] for name in context.by_id}
    for item in context.by_id.values():
        if item.type is None:
            continue
        for key in ("dependsOn", "input"):
            refs = (ref.id for ref in item.refs(key))
            graph[item.id] += [(key, target) for target in refs if target in graph]
        for ref in item.refs("output"):
            if ref.id in graph:
                graph[ref.id].append(("output", item.id))
    for circle in find_cycles(graph):
        _note(context, "dependency-cycle", f"waits for itself: {_shown(circle)}", circle)


def _note(context: Context, code: str, message: str, circle: Sequence[tuple[str, str]]) -> None:
    """Report a circle at its first object that has the field itself."""
    for name, edge in circle:
        item = context.by_id[name]
        if item.own_fields(edge):
            break
    else:
        item, edge = context.by_id[circle[0][0]], circle[0][1]
    context.note(code, message, item, edge)
