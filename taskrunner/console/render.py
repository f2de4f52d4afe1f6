"""Templates to HTML. What definitions, logs and people say is text, never markup."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from taskrunner.console import marks
from taskrunner.console.views import addresses, commands, moments, words

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


@cache
def environment() -> Environment:
    """The templates, read once; a name that a template does not know is an error."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(moment=moments.moment, utc=moments.utc, ago=moments.ago, took=moments.took)
    made.filters.update(for_shell=commands.for_shell)
    made.globals.update(squares=marks.squares, cells=marks.cells)
    made.globals.update(
        sign=words.sign, address=addresses, static=static_address, plural=words.plural
    )
    return made


def render(template: str, **values: Any) -> str:
    """A page, or a part of one."""
    return environment().get_template(template).render(**values)


@cache
def static_files() -> Mapping[str, bytes]:
    """What is served beside the pages, by names; `NAME.gz` is the same, compressed."""
    plain = {
        path.name: path.read_bytes()
        for path in sorted(STATIC.iterdir())
        if path.suffix in {".js", ".css", ".svg"}
    }
    return plain | {f"{name}.gz": gzip.compress(body, mtime=0) for name, body in plain.items()}


@cache
def static_address(name: str) -> str:
    """The address of a file; it is another one when the file is, so that browsers may keep it."""
    mark = hashlib.sha256(static_files()[name]).hexdigest()[:12]
    return f"/console/static/{mark}/{name}"
