"""What pages have in common: the frame around them, and parts that htmx asks for."""

from __future__ import annotations

from typing import Any

from taskrunner.console.edge import Answer
from taskrunner.console.render import render
from taskrunner.console.visit import Visit


def shown(visit: Visit, template: str, **values: Any) -> Answer:
    """A page; where htmx asks for what changes, that part alone (`parts/` beside the template)."""
    name = f"parts/{template}" if visit.is_part else template
    return Answer(html=render(name, visit=visit, now=visit.now, theme=visit.theme, **values))
