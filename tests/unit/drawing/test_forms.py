from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree as ET

import pytest

from taskrunner.drawing.forms import DRAWINGS
from taskrunner.model.graph import Edge, Graph, Node
from taskrunner.model.instances import Category

#: Free text, as ids may be: quotes, markup, other scripts.
ODD = ['say "hi"', "back\\slash", "<b>&amp;</b>", "it's #1; no", "Bücher 日本", "a->b|c[d]{e}"]

ORDERS = Graph(
    nodes=(
        Node(id="Host", type="Ec2Resource", category=Category.RESOURCE, stage=0),
        Node(id="Ready", type="Exists", category=Category.PRECONDITION, stage=0),
        Node(
            id="Make",
            type="ShellCommandActivity",
            category=Category.ACTIVITY,
            stage=1,
            where="worker group wg",
        ),
        Node(id="Rows", type="S3DataNode", category=Category.DATANODE, stage=2),
        Node(id="Load", type="CopyActivity", category=Category.ACTIVITY, stage=3),
        Node(id="Tell", type="ShellCommandActivity", category=Category.ACTIVITY, stage=4),
    ),
    edges=(
        Edge("Ready", "Make", "precondition"),
        Edge("Make", "Rows", "output"),
        Edge("Rows", "Load", "input"),
        Edge("Host", "Load", "runsOn"),
        Edge("Load", "Tell", "dependsOn"),
    ),
)


def odd() -> Graph:
    nodes = [
        Node(id=name, type="Exists", category=category, stage=0)
        for name, category in zip(ODD, list(Category) * 2, strict=False)
    ]
    edges = [Edge(a, b, "dependsOn") for a, b in itertools.pairwise(ODD)]
    return Graph(nodes=tuple(nodes), edges=tuple(edges))


def test_as_text() -> None:
    assert (
        DRAWINGS["text"](ORDERS)
        == """\
Stage 1
  Host   Ec2Resource
  Ready  Exists

Stage 2
  Make   ShellCommandActivity  (worker group wg)
      if      Ready
      writes  Rows

Stage 3
  Rows   S3DataNode

Stage 4
  Load   CopyActivity
      reads   Rows
      runs on Host

Stage 5
  Tell   ShellCommandActivity
      after   Load"""
    )


def test_for_graphviz() -> None:
    lines = DRAWINGS["dot"](ORDERS).splitlines()
    assert lines[0] == "digraph pipeline {"
    assert lines[-1] == "}"
    assert r'  "Rows" [label="Rows\nS3DataNode" shape=cylinder fillcolor="#dcfce7"];' in lines
    assert r'  "Ready" [label="Ready\nExists" shape=diamond fillcolor="#fef3c7"];' in lines
    assert '  "Make" -> "Rows" [label="output"];' in lines
    assert '  "Host" -> "Load" [label="runsOn" style=dashed];' in lines
    assert len([line for line in lines if " -> " in line]) == len(ORDERS.edges)


def test_for_graphviz_every_id_is_one_string() -> None:
    string = r'"((?:[^"\\]|\\.)*)"'
    drawn = DRAWINGS["dot"](odd())
    nodes = re.findall(rf"^  {string} \[label={string} .*\];$", drawn, re.MULTILINE)
    found = [re.sub(r"\\(.)", r"\1", name) for name, _label in nodes]
    assert found == ODD


def test_for_mermaid() -> None:
    lines = DRAWINGS["mermaid"](ORDERS).splitlines()
    assert lines == [
        "flowchart LR",
        '  n0(["Host<br/>Ec2Resource"])',
        '  n1{{"Ready<br/>Exists"}}',
        '  n2["Make<br/>ShellCommandActivity"]',
        '  n3[("Rows<br/>S3DataNode")]',
        '  n4["Load<br/>CopyActivity"]',
        '  n5["Tell<br/>ShellCommandActivity"]',
        "  n1 -->|precondition| n2",
        "  n2 -->|output| n3",
        "  n3 -->|input| n4",
        "  n0 -.->|runsOn| n4",
        "  n4 -->|dependsOn| n5",
    ]


def test_for_mermaid_no_id_ends_its_label() -> None:
    drawn = DRAWINGS["mermaid"](odd())
    labels = re.findall(r'"([^"]*)<br/>Exists"', drawn)
    assert labels == [
        "say #quot;hi#quot;",
        "back\\slash",
        "&lt;b&gt;&amp;amp;&lt;/b&gt;",
        "it's #35;1; no",
        "Bücher 日本",
        "a-&gt;b|c[d]{e}",
    ]


SVG = "{http://www.w3.org/2000/svg}"


def test_as_a_picture() -> None:
    root = ET.fromstring(DRAWINGS["svg"](ORDERS))
    assert root.tag == f"{SVG}svg"
    assert len(root.findall(f"{SVG}g")) == len(ORDERS.nodes)
    arrows = [path for path in root.findall(f"{SVG}path") if path.get("marker-end")]
    assert [path.findtext(f"{SVG}title") for path in arrows] == [
        f"{e.source} \u2192 {e.target} ({e.kind})" for e in ORDERS.edges
    ]
    for path in arrows:
        kind = (path.get("marker-end") or "").removeprefix("url(#to-").removesuffix(")")
        assert f"({kind})" in (path.findtext(f"{SVG}title") or "")


def test_kinds_of_edges_have_colors_of_their_own_and_a_legend() -> None:
    root = ET.fromstring(DRAWINGS["svg"](ORDERS))
    arrows = [path for path in root.findall(f"{SVG}path") if path.get("marker-end")]
    colors = {path.get("marker-end"): path.get("stroke") for path in arrows}
    assert len(set(colors.values())) == len(colors) == 5
    legend = [text.text for text in root.findall(f"{SVG}text")]
    assert legend == ["input", "output", "dependsOn", "precondition", "runsOn"]
    lines = root.findall(f"{SVG}line")
    assert [line.get("stroke") for line in lines] == [colors[f"url(#to-{kind})"] for kind in legend]


def test_the_picture_has_room_for_everything_and_nothing_overlaps() -> None:
    root = ET.fromstring(DRAWINGS["svg"](ORDERS))
    boxes = [group.find(f"{SVG}rect") for group in root.findall(f"{SVG}g")]
    found = set()
    for box in boxes:
        assert box is not None
        x, y, width, height = (float(box.get(key, "")) for key in ("x", "y", "width", "height"))
        assert x + width <= float(root.get("width", ""))
        assert y + height <= float(root.get("height", ""))
        found.add((x, y))
    assert len(found) == len(ORDERS.nodes)
    assert len({x for x, _ in found}) == 5, "a column a stage"


def test_the_picture_takes_any_id() -> None:
    root = ET.fromstring(DRAWINGS["svg"](odd()))
    titles = [group.findtext(f"{SVG}title") for group in root.findall(f"{SVG}g")]
    assert titles == [f"{name} (Exists)" for name in ODD]


def test_long_names_are_cut_in_the_picture_but_not_in_its_title() -> None:
    name = "A" * 100
    node = Node(id=name, type="Exists", category=Category.ACTIVITY, stage=0)
    group = ET.fromstring(DRAWINGS["svg"](Graph(nodes=(node,), edges=()))).find(f"{SVG}g")
    assert group is not None
    assert group.findtext(f"{SVG}title") == f"{name} (Exists)"
    assert group.findtext(f"{SVG}text") == "A" * 12 + "…" + "A" * 11


def test_no_two_boxes_have_one_label() -> None:
    names = [f"ExportAllOrdersOfTheNorthern{n}WarehouseToTheLake" for n in range(30)]
    nodes = [Node(id=name, type="Exists", category=Category.ACTIVITY, stage=0) for name in names]
    root = ET.fromstring(DRAWINGS["svg"](Graph(nodes=tuple(nodes), edges=())))
    labels = {group.findtext(f"{SVG}text") for group in root.findall(f"{SVG}g")}
    assert len(labels) == len(names)


def test_what_ids_hide_is_written_out() -> None:
    node = Node(id="A\n\x1b[2J", type="Exists", category=Category.ACTIVITY, stage=0)
    drawn = DRAWINGS["text"](Graph(nodes=(node,), edges=()))
    assert drawn == "Stage 1\n  A\\n\\x1b[2J  Exists"


@pytest.mark.parametrize("form", list(DRAWINGS))
def test_nothing_can_be_drawn(form: str) -> None:
    drawn = DRAWINGS[form](Graph(nodes=(), edges=()))
    if form == "svg":
        ET.fromstring(drawn)
    assert "->" not in drawn
