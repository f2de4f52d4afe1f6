"""The OpenAPI 3.1 document of /v1, made of the table of routes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from taskrunner import __version__
from taskrunner.service.v1.route import Route
from taskrunner.service.v1.schema import Member, member_schema, members, object_schema, referred
from taskrunner.service.v1.text_file import TextFile

_SIGNED: dict[str, list[str]] = {"sigv4": []}
_ERROR = "Error"


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The document as JSON knows it."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "taskrunner",
            "version": __version__,
            "description": "The JSON API of operators. See docs/api.md.",
        },
        "security": [_SIGNED],
        "paths": paths,
        "components": {
            "schemas": {**_schemas(routes), _ERROR: _error()},
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "Signature Version 4 for the service `datapipeline`, as for "
                    "AWS's API; on a loopback address with --no-auth, none.",
                }
            },
        },
    }


def text(routes: Sequence[Route]) -> str:
    """The document as it stands in docs/openapi.json."""
    return json.dumps(document(routes), indent=1, ensure_ascii=False) + "\n"


def _operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": f"For keys that may call datapipeline:{route.action}.",
        "parameters": [_parameter(route, member) for member in _parameters(route)],
        "responses": {
            "200": {
                "description": "The answer.",
                "content": _content(route),
            },
            "default": {
                "description": "An error.",
                "content": _json({"$ref": f"#/components/schemas/{_ERROR}"}),
            },
        },
    }
    if route.method != "GET":
        body = object_schema(route.request, takes=lambda name: name not in route.names)
        required = bool(body.get("required"))
        found["requestBody"] = {"required": required, "content": _json(body)}
    return found


def _content(route: Route) -> dict[str, Any]:
    if route.reply is TextFile:
        return {"text/plain": {"schema": {"type": "string"}}}
    return _json({"$ref": f"#/components/schemas/{route.reply.__name__}"})


def _parameters(route: Route) -> list[Member]:
    known = members(route.request).values()
    return [m for m in known if m.name in route.names or route.method == "GET"]


def _parameter(route: Route, member: Member) -> dict[str, Any]:
    schema = member_schema(member)
    told = schema.pop("description", "")
    in_path = member.name in route.names
    return {
        "name": member.name,
        "in": "path" if in_path else "query",
        "required": in_path or member.required,
        "description": told,
        "schema": schema,
    }


def _schemas(routes: Sequence[Route]) -> dict[str, Any]:
    replies = {route.reply for route in routes} - {TextFile}
    classes = {cls for reply in replies for cls in referred(reply)}
    for route in routes:
        classes |= {cls for cls in referred(route.request) if cls is not route.request}
    return {cls.__name__: object_schema(cls) for cls in sorted(classes, key=lambda c: c.__name__)}


def _error() -> dict[str, Any]:
    words = ("code", "message", "request_id")
    error = {
        "type": "object",
        "properties": {word: {"type": "string"} for word in words},
        "required": list(words),
    }
    return {"type": "object", "properties": {"error": error}, "required": ["error"]}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


if __name__ == "__main__":
    import sys

    from taskrunner.service.v1.table import ROUTES

    sys.stdout.write(text(ROUTES))
