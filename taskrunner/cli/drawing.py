"""A dependency graph as text, DOT, Mermaid and SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape

from taskrunner.cli.plain import visible
from taskrunner.model.graph import Edge, Graph, Node
from taskrunner.model.instances import Category

#: What an edge into a node says of it, and out of it.
_INTO = {"dependsOn": "after", "input": "reads", "precondition": "if", "runsOn": "runs on"}
_OUT_OF = {"output": "writes"}

_FILL = {
    Category.ACTIVITY: "#dbeafe",
    Category.DATANODE: "#dcfce7",
    Category.PRECONDITION: "#fef3c7",
    Category.RESOURCE: "#e5e7eb",
}


def text(graph: Graph) -> str:
    """A list by stages: what may run first, then what waits for it."""
    return "\n".join(_text_lines(graph))


def _text_lines(graph: Graph) -> Iterator[str]:
    width = max((len(node.id) for node in graph.nodes), default=0)
    for stage, nodes in graph.stages():
        if stage:
            yield ""
        yield f"Stage {stage + 1}"
        for node in nodes:
            where = f"  ({node.where})" if node.where else ""
            yield f"  {node.id:<{width}}  {node.type}{where}"
            for word, others in _relations(graph, node):
                yield f"      {word:<7} {', '.join(others)}"


def _relations(graph: Graph, node: Node) -> Iterator[tuple[str, list[str]]]:
    for kind, word in _INTO.items():
        if others := [edge.source for edge in graph.into(node.id, kind)]:
            yield word, others
    for kind, word in _OUT_OF.items():
        if others := [edge.target for edge in graph.out_of(node.id, kind)]:
            yield word, others


def dot(graph: Graph) -> str:
    """Graphviz's language."""
    shapes = {Category.DATANODE: "cylinder", Category.PRECONDITION: "diamond"}
    lines = ["digraph pipeline {", "  rankdir=LR;", '  node [fontname="sans-serif" style=filled];']
    for node in graph.nodes:
        shape = shapes.get(node.category, "box")
        label = f"{_quoted(node.id)[1:-1]}\\n{node.type}"
        fill = _FILL[node.category]
        lines.append(f'  {_quoted(node.id)} [label="{label}" shape={shape} fillcolor="{fill}"];')
    for edge in graph.edges:
        style = " style=dashed" if edge.kind == "runsOn" else ""
        ends = f"{_quoted(edge.source)} -> {_quoted(edge.target)}"
        lines.append(f"  {ends} [label={_quoted(edge.kind)}{style}];")
    return "\n".join([*lines, "}"])


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def mermaid(graph: Graph) -> str:
    """Mermaid's flowchart language."""
    brackets = {
        Category.DATANODE: ("[(", ")]"),
        Category.PRECONDITION: ("{{", "}}"),
        Category.RESOURCE: ("([", "])"),
        Category.ACTIVITY: ("[", "]"),
    }
    # Ids of objects are free text; Mermaid's are not.
    names = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        left, right = brackets[node.category]
        # Mermaid's own entities begin with #, without &.
        label = escape(node.id.replace("#", "#35;"), quote=False).replace('"', "#quot;")
        lines.append(f'  {names[node.id]}{left}"{label}<br/>{node.type}"{right}')
    for edge in graph.edges:
        arrow = "-.->" if edge.kind == "runsOn" else "-->"
        lines.append(f"  {names[edge.source]} {arrow}|{edge.kind}| {names[edge.target]}")
    return "\n".join(lines)


_ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
    'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#475569"/></marker></defs>'
)
_BOX_W, _BOX_H, _GAP_X, _GAP_Y, _MARGIN = 210, 44, 70, 22, 20


def svg(graph: Graph) -> str:
    """A picture: a column a stage, from left to right."""
    places = _places(graph)
    right = max((x for x, _ in places.values()), default=0) + _BOX_W + _MARGIN
    bottom = max((y for _, y in places.values()), default=0) + _BOX_H + _MARGIN
    size = f'width="{right}" height="{bottom}" viewBox="0 0 {right} {bottom}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        _ARROW,
        f'<rect width="{right}" height="{bottom}" fill="#ffffff"/>',
        *(_svg_edge(edge, places) for edge in graph.edges),
        *(_svg_node(node, *places[node.id]) for node in graph.nodes),
        "</svg>",
    ]
    return "\n".join(parts)


def _places(graph: Graph) -> dict[str, tuple[int, int]]:
    """Each node's upper left corner; within a column near the nodes that it comes from."""
    places: dict[str, tuple[int, int]] = {}
    for column, (_, nodes) in enumerate(graph.stages()):
        order = sorted(nodes, key=lambda node: _height_before(graph, node, places))
        for row, node in enumerate(order):
            x = _MARGIN + column * (_BOX_W + _GAP_X)
            places[node.id] = (x, _MARGIN + row * (_BOX_H + _GAP_Y))
    return places


def _height_before(graph: Graph, node: Node, places: Mapping[str, tuple[int, int]]) -> float:
    heights = [places[e.source][1] for e in graph.into(node.id) if e.source in places]
    return sum(heights) / len(heights) if heights else 0.0


def _svg_node(node: Node, x: int, y: int) -> str:
    fill, name = _FILL[node.category], escape(_cut(visible(node.id)))
    middle = x + _BOX_W // 2
    radius = 16 if node.category is Category.DATANODE else 4
    return (
        f'<g><title>{escape(visible(node.id))} ({escape(node.type)})</title><rect x="{x}" y="{y}" '
        f'width="{_BOX_W}" height="{_BOX_H}" rx="{radius}" fill="{fill}" stroke="#64748b"/>'
        f'<text x="{middle}" y="{y + 18}" text-anchor="middle" font-weight="bold">{name}</text>'
        f'<text x="{middle}" y="{y + 34}" text-anchor="middle" fill="#475569">'
        f"{escape(_cut(node.type))}</text></g>"
    )


def _svg_edge(edge: Edge, places: Mapping[str, tuple[int, int]]) -> str:
    (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
    dash = ' stroke-dasharray="4 3"' if edge.kind == "runsOn" else ""
    x1, y1, y2 = x1 + _BOX_W, y1 + _BOX_H // 2, y2 + _BOX_H // 2
    bend = max(30, (x2 - x1) // 2)
    path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return (
        f'<path d="{path}" fill="none" stroke="#475569"{dash} marker-end="url(#arrow)">'
        f"<title>{edge.kind}</title></path>"
    )


def _cut(name: str) -> str:
    return name if len(name) <= 28 else name[:27] + "…"


DRAWINGS: Mapping[str, Callable[[Graph], str]] = {
    "text": text,
    "dot": dot,
    "svg": svg,
    "mermaid": mermaid,
}
