from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from taskrunner.service.auth_keys import ROLES
from taskrunner.service.replays import REMEMBERED
from taskrunner.service.v1.openapi import document, text
from taskrunner.service.v1.schema import members
from taskrunner.service.v1.table import ROUTES
from taskrunner.wire.operations import OPERATIONS

FILE = Path(__file__).parents[4] / "docs/openapi.json"


def test_the_file_is_what_the_routes_make() -> None:
    """`python -m taskrunner.service.v1.openapi > docs/openapi.json` writes it anew."""
    assert FILE.read_text(encoding="utf-8") == text(ROUTES)


def references(found: Any) -> set[str]:
    if isinstance(found, dict):
        own = {found["$ref"]} if "$ref" in found else set()
        return own.union(*(references(value) for value in found.values()))
    if isinstance(found, list):
        return set[str]().union(*map(references, found))
    return set()


def test_every_reference_leads_somewhere() -> None:
    made = document(ROUTES)
    names = {f"#/components/schemas/{name}" for name in made["components"]["schemas"]}
    assert references(made) - names == set()
    assert json.loads(text(ROUTES)) == made


def test_every_route_and_every_member_is_told() -> None:
    assert len({route.operation for route in ROUTES}) == len(ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    for route in ROUTES:
        assert route.summary.endswith("."), route.path
        assert set(route.names) <= members(route.request).keys()
        for cls in (route.request, route.reply):
            assert cls.__doc__
            untold = [member.name for member in members(cls).values() if not member.doc]
            assert untold == [], cls


def test_what_a_key_may_do_here_is_what_it_may_do_there() -> None:
    """Whoever may only look gets no change; a copy of a change is answered as the first was."""
    for route in ROUTES:
        assert route.action in OPERATIONS
        if route.method == "GET":
            assert route.action in ROLES["viewer"], route.path
        else:
            assert route.action not in ROLES["viewer"], route.path
            assert route.action not in ROLES["runner"], route.path
            assert route.action in REMEMBERED, route.path
