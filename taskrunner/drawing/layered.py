"""Where the boxes of a graph stand and how its edges run around them. Plain geometry.

A column a stage, from left to right. Between two columns lies a channel in which edges bend;
where an edge passes a column, a lane is kept free for it between the boxes. So no edge touches a
box that it does not begin or end at. Edges of one kind from one box share their lanes, like the
branches of a tree.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from taskrunner.model.graph import Edge, Graph

BOX_WIDTH, BOX_HEIGHT = 220, 44
MARGIN = 20
#: Between boxes of a column; between a lane and its neighbours.
_GAP, _LANE_GAP = 18, 12
#: Between the places where edges meet a box, and between edges that run side by side.
_PORT_STEP, _TRACK = 9, 8
_CHANNEL, _WIDEST_CHANNEL = 60, 150
_SWEEPS = 6

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where a node stands."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The way of an edge: straight from point to point, or (curved) bent in each channel."""

    edge: Edge
    points: tuple[Point, ...]
    #: Whether every second stretch is a bend in a channel; otherwise all are straight.
    curved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All of a drawing."""

    width: float
    height: float
    boxes: Mapping[str, Box]
    routes: tuple[Route, ...]


@dataclass(slots=True, eq=False)
class _Slot:
    """What takes height in a column: a box, or the lane of a trunk."""

    key: Hashable
    column: int
    height: float
    is_box: bool
    #: Of its neighbours in the column before and after, with where an edge leaves or arrives.
    before: list[_Slot] = field(default_factory=list)
    after: list[_Slot] = field(default_factory=list)
    rank: float = 0
    middle: float = 0

    @property
    def gap(self) -> float:
        """What is to be free beside it."""
        return _GAP if self.is_box else _LANE_GAP


#: The edges of one kind from one node.
_Trunk = tuple[str, str]
#: The heights at which trunks leave their boxes, and at which edges arrive.
_Ports = tuple[Mapping[Hashable, float], Mapping[Hashable, float]]


def arrange(graph: Graph, *, box_height: float = BOX_HEIGHT) -> Layout:
    """Place every node of a graph, and route every edge; boxes with many edges are higher."""
    return _Arrangement(graph, box_height).layout()


class _Arrangement:
    """The work on one graph."""

    def __init__(self, graph: Graph, box_height: float) -> None:
        self.graph = graph
        self.box_height = box_height
        self.column = {
            node.id: number for number, (_, nodes) in enumerate(graph.stages()) for node in nodes
        }
        self.columns: list[list[_Slot]] = [[] for _ in range(len(set(self.column.values())))]
        ahead = [e for e in graph.edges if self.column[e.source] < self.column[e.target]]
        self.ahead = dict.fromkeys(ahead)
        #: Edges that do not lead to the right: what reads its own output, and circles.
        self.back = [edge for edge in graph.edges if edge not in self.ahead]
        self.boxes = self._box_slots()
        self.lanes: dict[tuple[_Trunk, int], _Slot] = {}
        for edge in ahead:
            self._link(edge)

    def layout(self) -> Layout:
        """The finished drawing."""
        _order(self.columns)
        _settle(self.columns)
        lefts = self._lefts()
        boxes = {
            key: Box(
                x=lefts[slot.column],
                y=slot.middle - slot.height / 2,
                width=BOX_WIDTH,
                height=slot.height,
            )
            for key, slot in self.boxes.items()
        }
        bottom = max((box.y + box.height for box in boxes.values()), default=MARGIN)
        lowest = max((lane.middle for lane in self.lanes.values()), default=0)
        bottom = max(bottom, lowest)
        ports = self._ports(boxes)
        routes = [*self._routes(boxes, lefts, ports), *self._detours(boxes, bottom, ports)]
        order = {edge: number for number, edge in enumerate(self.graph.edges)}
        right = max((box.x + box.width for box in boxes.values()), default=MARGIN)
        return Layout(
            width=right + MARGIN + _TRACK * len(self.back),
            height=bottom + MARGIN + _TRACK * len(self.back),
            boxes=boxes,
            routes=tuple(sorted(routes, key=lambda route: order[route.edge])),
        )

    def _box_slots(self) -> dict[str, _Slot]:
        arriving: dict[str, int] = defaultdict(int)
        leaving: dict[str, set[object]] = defaultdict(set)
        for edge in self.graph.edges:
            arriving[edge.target] += 1
            # A trunk has one place; an edge that goes back has its own.
            leaving[edge.source].add(edge.kind if edge in self.ahead else edge)
        slots: dict[str, _Slot] = {}
        for node in self.graph.nodes:
            ports = max(arriving[node.id], len(leaving[node.id]))
            height = max(self.box_height, (ports + 1) * _PORT_STEP)
            slot = _Slot(key=node.id, column=self.column[node.id], height=height, is_box=True)
            slots[node.id] = slot
            self.columns[slot.column].append(slot)
        return slots

    def _link(self, edge: Edge) -> None:
        """Connect two boxes through the lanes of the columns between them."""
        before = self.boxes[edge.source]
        trunk = (edge.source, edge.kind)
        for column in range(before.column + 1, self.column[edge.target]):
            lane = self.lanes.get((trunk, column))
            if lane is None:
                lane = _Slot(key=trunk, column=column, height=0, is_box=False)
                self.lanes[trunk, column] = lane
                self.columns[column].append(lane)
                _join(before, lane)
            before = lane
        _join(before, self.boxes[edge.target])

    def _lefts(self) -> list[float]:
        """The left side of each column; busy channels are wider."""
        lefts: list[float] = []
        # Edges that go back come up in the channel before their target.
        x = float(MARGIN + _TRACK * len(self.back))
        for slots in self.columns:
            lefts.append(x)
            busy = sum(len(slot.after) for slot in slots)
            bend = min(_WIDEST_CHANNEL, _CHANNEL + 3 * busy)
            x += BOX_WIDTH + bend + 2 * _TRACK * len(self.back)
        return lefts

    def _routes(
        self, boxes: Mapping[str, Box], lefts: Sequence[float], ports: _Ports
    ) -> Iterator[Route]:
        leave, arrive = ports
        for edge in self.ahead:
            trunk = (edge.source, edge.kind)
            box = boxes[edge.source]
            points = [(box.x + box.width, leave[trunk])]
            for column in range(self.column[edge.source] + 1, self.column[edge.target]):
                y = self.lanes[trunk, column].middle
                points += [(lefts[column], y), (lefts[column] + BOX_WIDTH, y)]
            points.append((boxes[edge.target].x, arrive[edge]))
            yield Route(edge=edge, points=tuple(points), curved=True)

    def _ports(self, boxes: Mapping[str, Box]) -> _Ports:
        """The height at which each trunk leaves its box, and each edge arrives at its own.

        In the order of where they come from and go to, so that they do not cross at the box.
        """
        leaving: dict[str, dict[Hashable, float]] = defaultdict(dict)
        arriving: dict[str, dict[Hashable, float]] = defaultdict(dict)
        for edge in self.graph.edges:
            if edge in self.ahead:
                trunk = (edge.source, edge.kind)
                leaving[edge.source].setdefault(trunk, self._next(edge).middle)
                arriving[edge.target][edge] = self._previous(edge).middle
            else:
                # From and to below.
                leaving[edge.source][edge] = arriving[edge.target][edge] = float("inf")
        return _spread(leaving, boxes), _spread(arriving, boxes)

    def _next(self, edge: Edge) -> _Slot:
        lane = self.lanes.get(((edge.source, edge.kind), self.column[edge.source] + 1))
        return lane or self.boxes[edge.target]

    def _previous(self, edge: Edge) -> _Slot:
        lane = self.lanes.get(((edge.source, edge.kind), self.column[edge.target] - 1))
        return lane or self.boxes[edge.source]

    def _detours(self, boxes: Mapping[str, Box], bottom: float, ports: _Ports) -> Iterator[Route]:
        """Below everything, for edges that do not lead to the right; a track each."""
        leave, arrive = ports
        for number, edge in enumerate(self.back, 1):
            source, target = boxes[edge.source], boxes[edge.target]
            out = source.x + source.width + number * _TRACK
            back = target.x - number * _TRACK - _TRACK / 2
            low = bottom + number * _TRACK
            yield Route(
                edge=edge,
                points=(
                    (source.x + source.width, leave[edge]),
                    (out, leave[edge]),
                    (out, low),
                    (back, low),
                    (back, arrive[edge]),
                    (target.x, arrive[edge]),
                ),
                curved=False,
            )


def _join(before: _Slot, after: _Slot) -> None:
    before.after.append(after)
    after.before.append(before)


def _spread(
    wanted: Mapping[str, Mapping[Hashable, float]], boxes: Mapping[str, Box]
) -> dict[Hashable, float]:
    """Places along the side of each box, evenly, in the order of the heights that are wanted."""
    places: dict[Hashable, float] = {}
    for key, heights in wanted.items():
        box = boxes[key]
        step = box.height / (len(heights) + 1)
        for number, one in enumerate(sorted(heights, key=heights.__getitem__), 1):
            places[one] = box.y + number * step
    return places


def _order(columns: Sequence[list[_Slot]]) -> None:
    """Order each column by where its neighbours stand, to and fro, so that few edges cross."""
    for slots in columns:
        _rank(slots)
    best, crossings = [list(slots) for slots in columns], _crossings(columns)
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        for slots in columns if forth else reversed(columns):
            slots.sort(key=lambda slot: _wanted_rank(slot, slot.before if forth else slot.after))
            _rank(slots)
        found = _crossings(columns)
        if found < crossings:
            best, crossings = [list(slots) for slots in columns], found
    for slots, chosen in zip(columns, best, strict=True):
        slots[:] = chosen
        _rank(slots)


def _rank(slots: Sequence[_Slot]) -> None:
    for number, slot in enumerate(slots):
        slot.rank = (number + 0.5) / len(slots)


def _wanted_rank(slot: _Slot, neighbours: Sequence[_Slot]) -> float:
    ranks = [other.rank for other in neighbours]
    return sum(ranks) / len(ranks) if ranks else slot.rank


def _crossings(columns: Sequence[Sequence[_Slot]]) -> int:
    """How many pairs of edges cross in the channels."""
    total = 0
    for slots in columns:
        ends = [end for slot in slots for end in sorted(other.rank for other in slot.after)]
        seen: list[float] = []
        for end in ends:
            # Those that begin higher and end lower.
            at = bisect_right(seen, end)
            total += len(seen) - at
            seen.insert(at, end)
    return total


def _settle(columns: Sequence[Sequence[_Slot]]) -> None:
    """Give every slot its height: near its neighbours, and clear of what is above and below."""
    for slots in columns:
        _place(slots, [0.0] * len(slots))
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        for slots in columns if forth else reversed(columns):
            _place(slots, [_wanted_middle(s, s.before if forth else s.after) for s in slots])
    tops = [slot.middle - slot.height / 2 for slots in columns for slot in slots]
    shift = MARGIN - min(tops, default=0)
    for slots in columns:
        for slot in slots:
            slot.middle += shift


def _wanted_middle(slot: _Slot, neighbours: Sequence[_Slot]) -> float:
    middles = [other.middle for other in neighbours]
    return sum(middles) / len(middles) if middles else slot.middle


def _place(slots: Sequence[_Slot], wanted: Sequence[float]) -> None:
    """The heights nearest to the wanted ones that keep order and distances.

    Without the distances below each other that is a rising sequence: neighbours that would fall
    are pooled at their average.
    """
    offsets = list(_offsets(slots))
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        pool = (want - offset, 1)
        while pools and pools[-1][0] > pool[0]:
            value, count = pools.pop()
            together = count + pool[1]
            pool = ((value * count + pool[0] * pool[1]) / together, together)
        pools.append(pool)
    values = [value for value, count in pools for _ in range(count)]
    for slot, value, offset in zip(slots, values, offsets, strict=True):
        slot.middle = value + offset


def _offsets(slots: Iterable[_Slot]) -> Iterator[float]:
    """The least distance of each slot's middle from that of the first."""
    at, previous = 0.0, None
    for slot in slots:
        if previous is not None:
            gap = min(previous.gap, slot.gap)
            at += previous.height / 2 + gap + slot.height / 2
        yield at
        previous = slot
