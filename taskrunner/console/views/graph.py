"""The graph of a pipeline: components, what waits for what, and how it is in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.console.views import addresses
from taskrunner.console.views.moments import moment
from taskrunner.console.views.words import Sign, plural, sign
from taskrunner.drawing.forms import text
from taskrunner.drawing.layered import Box, arrange
from taskrunner.drawing.svg import LABEL_WIDTH, ROOM, STROKE, is_wide, path_of
from taskrunner.model.graph import Edge, Graph, Node
from taskrunner.model.instances import Category
from taskrunner.plain import distinct, shortened, visible
from taskrunner.service.v1.shapes import Cell, Grid

#: Name, type and status stand one below the other.
_BOX_HEIGHT = 62
#: What can be left out, by the word for it in an address.
HIDEABLE: Mapping[str, Category] = {
    "preconditions": Category.PRECONDITION,
    "resources": Category.RESOURCE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A run that can be chosen."""

    value: str
    word: str
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of text in a box."""

    text: str
    y: float
    #: The width that it is held to, if it needs more than there is.
    width: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A component as a box."""

    #: The page of its instance in the run; nothing: it has none.
    address: str
    #: What is said of it in words.
    title: str
    sign: Sign
    name: Line
    type: Line
    state: Line
    x: float
    y: float
    width: float
    height: float
    #: Where the middle of its lines is.
    middle: float
    #: Of its corners: data nodes are round.
    radius: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """An edge."""

    kind: str
    path: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphPage:
    """The graph in a run."""

    choices: Sequence[Choice]
    start: datetime | None
    #: The words of what is left out.
    hidden: Sequence[str]
    width: float
    height: float
    places: Sequence[Place]
    arrows: Sequence[Arrow]
    #: The kinds of the edges that are there, for the legend.
    kinds: Sequence[str]
    #: The same as a list by stages.
    outline: str
    #: Instances of the run whose components the definition has no more.
    others: Sequence[tuple[str, str, Sign]]


def graph_page(
    pipeline_id: str,
    grid: Grid,
    cells: Sequence[Cell],
    *,
    start: datetime | None,
    query: Mapping[str, Sequence[str]],
) -> GraphPage:
    """The graph of a definition with the states of the run that starts then."""
    hidden = [word for word in query.get("hide", ()) if word in HIDEABLE]
    graph = _graph(grid, {HIDEABLE[word] for word in hidden})
    of_run = {cell.component_id: cell for cell in cells}
    layout = arrange(graph, box_height=_BOX_HEIGHT)
    labels = distinct((node.id for node in graph.nodes), LABEL_WIDTH)
    known = {component.id for component in grid.components}
    return GraphPage(
        choices=_choices(grid, start, chosen=bool((query.get("run") or [""])[0])),
        start=start,
        hidden=hidden,
        width=round(layout.width, 1),
        height=round(layout.height, 1),
        places=[
            _place(pipeline_id, node, layout.boxes[node.id], labels[node.id], of_run.get(node.id))
            for node in graph.nodes
        ],
        arrows=[
            Arrow(kind=route.edge.kind, path=path_of(route), title=_told(route.edge))
            for route in layout.routes
        ],
        kinds=[kind for kind in STROKE if any(edge.kind == kind for edge in graph.edges)],
        outline=text(graph),
        others=[
            (key, addresses.instance(pipeline_id, cell.instance_id), sign(cell.status))
            for key, cell in of_run.items()
            if key not in known
        ],
    )


def _graph(grid: Grid, without: set[Category]) -> Graph:
    nodes = tuple(
        Node(
            id=one.id,
            type=one.type,
            category=Category(one.category),
            stage=one.stage,
            where=one.where,
        )
        for one in grid.components
        if one.category not in without
    )
    ids = {node.id for node in nodes}
    edges = tuple(
        Edge(one.source, one.target, one.kind)
        for one in grid.edges
        if one.source in ids and one.target in ids
    )
    return Graph(nodes=nodes, edges=edges)


def _choices(grid: Grid, start: datetime | None, *, chosen: bool) -> Sequence[Choice]:
    """The newest run whichever it is, the last runs, and the one that is shown."""
    last = {run.start: sign(run.status).word for run in grid.runs}
    found = [Choice(value="", word="the newest", chosen=not chosen)]
    if chosen and start is not None and start not in last:
        found.append(Choice(value=addresses.at(start), word=moment(start), chosen=True))
    for at, word in last.items():
        told = f"{moment(at)}, {word}"
        found.append(Choice(value=addresses.at(at), word=told, chosen=chosen and at == start))
    return found


def _place(pipeline_id: str, node: Node, box: Box, label: str, cell: Cell | None) -> Place:
    shown = sign(cell.status if cell else None)
    said = [f"{visible(node.id)} ({visible(node.type)}): {shown.word}"]
    if cell and cell.attempts > 1:
        said.append(plural(cell.attempts, "attempt"))
    if cell and cell.error_id:
        said.append(cell.error_id)
    middle = box.y + box.height / 2
    return Place(
        address=addresses.instance(pipeline_id, cell.instance_id) if cell else "",
        title=", ".join(said),
        sign=shown,
        name=_line(label, middle - 12),
        type=_line(shortened(visible(node.type), LABEL_WIDTH), middle + 4),
        state=_line(f"{shown.glyph} {shown.word}", middle + 21),
        x=round(box.x, 1),
        y=round(box.y, 1),
        width=box.width,
        height=round(box.height, 1),
        middle=round(box.x + box.width / 2, 1),
        radius=16 if node.category is Category.DATANODE else 4,
    )


def _line(words: str, y: float) -> Line:
    return Line(text=words, y=round(y, 1), width=ROOM if is_wide(words) else None)


def _told(edge: Edge) -> str:
    return f"{visible(edge.source)} \u2192 {visible(edge.target)} ({edge.kind})"
