"""A dependency graph as a picture in SVG: a column a stage, from left to right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from itertools import pairwise

from taskrunner.drawing.layered import MARGIN, Box, Route, arrange
from taskrunner.model.graph import Graph, Node
from taskrunner.model.instances import Category
from taskrunner.plain import cells, distinct, shortened, visible

FILL: Mapping[Category, str] = {
    Category.ACTIVITY: "#dbeafe",
    Category.DATANODE: "#dcfce7",
    Category.PRECONDITION: "#fef3c7",
    Category.RESOURCE: "#e5e7eb",
}
#: The color of each kind of edge, in the order of the legend.
STROKE: Mapping[str, str] = {
    "input": "#1d4ed8",
    "output": "#15803d",
    "dependsOn": "#334155",
    "precondition": "#b45309",
    "runsOn": "#94a3b8",
}
#: Cells that fit into a box.
LABEL_WIDTH = 24
#: Wide letters in bold may need more than there is; then they are drawn closer.
ROOM, _WIDE_LETTER = 206, 9.5
_LEGEND_HEIGHT, _LEGEND_STEP = 24, 110


def svg(graph: Graph) -> str:
    """The picture as one element."""
    layout = arrange(graph)
    labels = distinct((node.id for node in graph.nodes), LABEL_WIDTH)
    kinds = [kind for kind in STROKE if any(edge.kind == kind for edge in graph.edges)]
    width = max(layout.width, MARGIN + len(kinds) * _LEGEND_STEP)
    height = layout.height + (_LEGEND_HEIGHT if kinds else 0)
    size = (
        f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" '
        'font-family="sans-serif" font-size="12"'
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<defs>{''.join(map(_marker, kinds))}</defs>",
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
        *(_edge(route) for route in layout.routes),
        *(_node(node, layout.boxes[node.id], labels[node.id]) for node in graph.nodes),
        *_legend(kinds, layout.height),
        "</svg>",
    ]
    return "\n".join(parts)


def path_of(route: Route) -> str:
    """An edge's path: bends lie in the channels, within the corners of their two ends."""
    x, y = route.points[0]
    drawn = [f"M{_at(x, y)}"]
    for index, ((x1, y1), (x2, y2)) in enumerate(pairwise(route.points)):
        if route.curved and index % 2 == 0:
            middle = (x1 + x2) / 2
            drawn.append(f"C{_at(middle, y1)} {_at(middle, y2)} {_at(x2, y2)}")
        else:
            drawn.append(f"L{_at(x2, y2)}")
    return "".join(drawn)


def _at(x: float, y: float) -> str:
    return f"{round(x, 1):g} {round(y, 1):g}"


def _marker(kind: str) -> str:
    return (
        f'<marker id="to-{kind}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="{STROKE[kind]}"/></marker>'
    )


def _edge(route: Route) -> str:
    edge = route.edge
    dash = ' stroke-dasharray="4 3"' if edge.kind == "runsOn" else ""
    told = f"{visible(edge.source)} \u2192 {visible(edge.target)} ({edge.kind})"
    return (
        f'<path d="{path_of(route)}" fill="none" stroke="{STROKE[edge.kind]}" '
        f'stroke-width="1.3"{dash} marker-end="url(#to-{edge.kind})">'
        f"<title>{escape(told)}</title></path>"
    )


def _node(node: Node, box: Box, label: str) -> str:
    radius = 16 if node.category is Category.DATANODE else 4
    middle, y = box.x + box.width / 2, box.y + box.height / 2
    kind = shortened(visible(node.type), LABEL_WIDTH)
    return (
        f"<g><title>{escape(visible(node.id))} ({escape(visible(node.type))})</title>"
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:g}" height="{box.height:g}" '
        f'rx="{radius}" fill="{FILL[node.category]}" stroke="#64748b"/>'
        f'<text x="{middle:.1f}" y="{y - 4:.1f}" text-anchor="middle" font-weight="bold"'
        f"{_squeezed(label)}>{escape(label)}</text>"
        f'<text x="{middle:.1f}" y="{y + 12:.1f}" text-anchor="middle" fill="#475569"'
        f"{_squeezed(kind)}>{escape(kind)}</text></g>"
    )


def is_wide(text: str) -> bool:
    """Whether a text needs more than the ROOM that a box has, and is to be held to it."""
    wide = sum(letter.isupper() or letter in "mw@%" for letter in text)
    return (cells(text) - wide) * 8 + wide * _WIDE_LETTER > ROOM


def _squeezed(text: str) -> str:
    return f' textLength="{ROOM}" lengthAdjust="spacingAndGlyphs"' if is_wide(text) else ""


def _legend(kinds: list[str], top: float) -> Iterator[str]:
    y = top + _LEGEND_HEIGHT / 2 - MARGIN / 2
    for number, kind in enumerate(kinds):
        x = MARGIN + number * _LEGEND_STEP
        dash = ' stroke-dasharray="4 3"' if kind == "runsOn" else ""
        yield (
            f'<line x1="{x}" y1="{y:g}" x2="{x + 24}" y2="{y:g}" stroke="{STROKE[kind]}" '
            f'stroke-width="1.3"{dash}/>'
            f'<text x="{x + 30}" y="{y + 4:g}" fill="#475569">{kind}</text>'
        )
