"""What pages have in common: the frame around them, and parts that htmx asks for."""

from __future__ import annotations

from typing import Any

from taskrunner.console.edge import Answer
from taskrunner.console.render import render
from taskrunner.console.views.actions import told
from taskrunner.console.visit import Visit


def shown(visit: Visit, template: str, **values: Any) -> Answer:
    """A page; where htmx asks for what changes, that part alone (`parts/` beside the template)."""
    name = f"parts/{template}" if visit.is_part else template
    html = render(
        name, visit=visit, now=visit.now, theme=visit.theme, told=told(visit.query), **values
    )
    return Answer(html=html)
