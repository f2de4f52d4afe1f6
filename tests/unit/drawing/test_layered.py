"""Every drawing keeps its edges off the boxes that they do not belong to."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from taskrunner.drawing.layered import BOX_HEIGHT, Box, Layout, Point, Route, arrange
from taskrunner.model.graph import Edge, Graph, Node
from taskrunner.model.instances import Category

KINDS = ["input", "output", "dependsOn", "precondition", "runsOn"]
#: A bend is looked at in so many places.
STEPS = 24


def graph_of(stages: list[int], edges: list[tuple[int, int, str]]) -> Graph:
    nodes = [
        Node(id=f"n{number}", type="T", category=Category.ACTIVITY, stage=stage)
        for number, stage in enumerate(stages)
    ]
    found = [Edge(f"n{a}", f"n{b}", kind) for a, b, kind in dict.fromkeys(edges)]
    return Graph(nodes=tuple(sorted(nodes, key=lambda node: node.stage)), edges=tuple(found))


@st.composite
def graphs(draw: st.DrawFn, *, circles: bool = False) -> Graph:
    """Any graph: edges lead to later stages, with `circles` anywhere."""
    stages = draw(st.lists(st.integers(0, 5), min_size=1, max_size=14))
    ends = st.integers(0, len(stages) - 1)
    edges = draw(st.lists(st.tuples(ends, ends, st.sampled_from(KINDS)), max_size=30))
    if not circles:
        edges = [(a, b, kind) for a, b, kind in edges if stages[a] < stages[b]]
    return graph_of(stages, edges)


def drawn(route: Route) -> list[Point]:
    """Points along an edge, as the picture bends it."""
    points = [route.points[0]]
    for index, ((x1, y1), (x2, y2)) in enumerate(itertools.pairwise(route.points)):
        middle = (x1 + x2) / 2
        for step in range(1, STEPS + 1):
            t = step / STEPS
            u = 1 - t
            if route.curved and index % 2 == 0:
                x = u**3 * x1 + 3 * u * t * middle + t**3 * x2
                y = (u**3 + 3 * u * u * t) * y1 + (3 * u * t * t + t**3) * y2
            else:
                x, y = u * x1 + t * x2, u * y1 + t * y2
            points.append((x, y))
    return points


def holds(box: Box, point: Point) -> bool:
    x, y = point
    return box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height


def strangers_on_the_way(layout: Layout) -> list[tuple[Edge, str]]:
    return [
        (route.edge, key)
        for route in layout.routes
        for key, box in layout.boxes.items()
        for point in drawn(route)
        if key not in {route.edge.source, route.edge.target} and holds(box, point)
    ]


def inside(layout: Layout) -> bool:
    corners = [(b.x, b.y) for b in layout.boxes.values()]
    corners += [(b.x + b.width, b.y + b.height) for b in layout.boxes.values()]
    corners += [point for route in layout.routes for point in drawn(route)]
    return all(0 < x < layout.width and 0 < y < layout.height for x, y in corners)


def overlap(one: Box, other: Box) -> bool:
    apart = one.x + one.width < other.x or other.x + other.width < one.x
    return not (apart or one.y + one.height < other.y or other.y + other.height < one.y)


@given(graphs())
def test_no_edge_touches_a_box_that_it_does_not_belong_to(graph: Graph) -> None:
    layout = arrange(graph)
    assert strangers_on_the_way(layout) == []
    assert inside(layout)


@given(graphs(circles=True))
def test_nor_does_one_that_leads_back(graph: Graph) -> None:
    layout = arrange(graph)
    assert strangers_on_the_way(layout) == []
    assert inside(layout)


@given(graphs(circles=True))
def test_no_two_boxes_overlap_and_every_edge_is_drawn(graph: Graph) -> None:
    layout = arrange(graph)
    pairs = itertools.combinations(layout.boxes.values(), 2)
    assert not any(overlap(one, other) for one, other in pairs)
    assert [route.edge for route in layout.routes] == list(graph.edges)
    for route in layout.routes:
        source, target = layout.boxes[route.edge.source], layout.boxes[route.edge.target]
        (x1, y1), (x2, y2) = route.points[0], route.points[-1]
        assert x1 == source.x + source.width
        assert x2 == target.x
        assert source.y < y1 < source.y + source.height
        assert target.y < y2 < target.y + target.height


@given(graphs(circles=True))
def test_edges_share_a_way_only_if_one_box_and_kind_is_where_they_come_from(graph: Graph) -> None:
    seen: dict[tuple[Point, Point], tuple[str, str]] = {}
    ends = set()
    for route in arrange(graph).routes:
        trunk = (route.edge.source, route.edge.kind)
        for stretch in itertools.pairwise(route.points):
            assert seen.setdefault(stretch, trunk) == trunk
        ends.add(route.points[-1])
    assert len(ends) == len(graph.edges), "each edge arrives at a place of its own"


def test_what_crosses_least_is_chosen() -> None:
    # Drawn in the order of the definition, all four would cross each other.
    edges = [(a, 7 - a, "dependsOn") for a in range(4)]
    layout = arrange(graph_of([0] * 4 + [1] * 4, edges))
    assert all(route.points[0][1] == route.points[-1][1] for route in layout.routes)


def test_a_chain_is_one_straight_line() -> None:
    layout = arrange(graph_of([0, 1, 2], [(0, 1, "input"), (1, 2, "output")]))
    assert len({y for route in layout.routes for _, y in route.points}) == 1


def test_a_box_has_room_for_all_that_meets_it() -> None:
    layout = arrange(graph_of([0] * 20 + [1], [(n, 20, "input") for n in range(20)]))
    assert layout.boxes["n0"].height == BOX_HEIGHT
    arrivals = sorted(route.points[-1][1] for route in layout.routes)
    assert min(b - a for a, b in itertools.pairwise(arrivals)) > 8


def test_nothing_is_placed_of_nothing() -> None:
    layout = arrange(Graph(nodes=(), edges=()))
    assert (layout.boxes, layout.routes) == ({}, ())


def test_boxes_are_as_high_as_is_wanted_and_higher_where_many_edges_meet() -> None:
    many = [(0, target, "input") for target in range(1, 12)]
    back = [(source, 12, "input") for source in range(1, 12)]
    graph = graph_of([0, *[1] * 11, 2], many + back)
    boxes = arrange(graph, box_height=62).boxes
    assert boxes["n0"].height == boxes["n1"].height == 62
    assert boxes["n12"].height > 62
    column = sorted(box.y for key, box in boxes.items() if key not in {"n0", "n12"})
    assert all(below - above >= 62 for above, below in itertools.pairwise(column))
