"""A dependency graph as text, DOT and Mermaid; the table of all forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape

from taskrunner.drawing.svg import FILL, svg
from taskrunner.model.graph import Graph, Node
from taskrunner.model.instances import Category
from taskrunner.plain import cells, visible

#: What an edge into a node says of it, and out of it.
_INTO = {"dependsOn": "after", "input": "reads", "precondition": "if", "runsOn": "runs on"}
_OUT_OF = {"output": "writes"}


def text(graph: Graph) -> str:
    """A list by stages: what may run first, then what waits for it."""
    return "\n".join(_text_lines(graph))


def _text_lines(graph: Graph) -> Iterator[str]:
    names = {node.id: visible(node.id) for node in graph.nodes}
    width = max(map(cells, names.values()), default=0)
    for stage, nodes in graph.stages():
        if stage:
            yield ""
        yield f"Stage {stage + 1}"
        for node in nodes:
            where = f"  ({visible(node.where)})" if node.where else ""
            pad = " " * (width - cells(names[node.id]))
            yield f"  {names[node.id]}{pad}  {node.type}{where}"
            for word, others in _relations(graph, node):
                yield f"      {word:<7} {', '.join(names[other] for other in others)}"


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
        fill = FILL[node.category]
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


DRAWINGS: Mapping[str, Callable[[Graph], str]] = {
    "text": text,
    "dot": dot,
    "svg": svg,
    "mermaid": mermaid,
}
