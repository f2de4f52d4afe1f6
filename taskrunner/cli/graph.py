"""`taskrunner graph FILE`: the dependency graph."""

from __future__ import annotations

import click

from taskrunner.cli.documents import Sources, load_document
from taskrunner.drawing.forms import DRAWINGS
from taskrunner.model.catalog import category_of
from taskrunner.model.graph import Graph
from taskrunner.model.inheritance import effective


@click.command(help="Print what runs in which order in the definition FILE (- for standard input).")
@click.argument("path", metavar="FILE")
@click.option("--resource", metavar="NAME", help="Which pipeline of a template or plan.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(DRAWINGS)),
    default="text",
    show_default=True,
    help="Text, or a drawing for Graphviz, a browser, or Mermaid.",
)
def command(path: str, resource: str | None, form: str) -> int:
    """Draw the graph; 0 when the file could be read."""
    definition = load_document(Sources(path=path, resource=resource)).checked()
    graph = Graph.of(effective(definition), category_of)
    click.echo(DRAWINGS[form](graph) if graph.nodes else "Nothing of this definition runs.")
    return 0
