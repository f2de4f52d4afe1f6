"""Definitions for the tests of leaving, short to write."""

from __future__ import annotations

import json
from typing import Any

from taskrunner.model.document import Definition
from taskrunner.model.reader import read_definition


def definition(*objects: dict[str, Any], **parts: Any) -> Definition:
    """A definition of the AWS CLI's form."""
    return read_definition(json.dumps({"objects": objects, **parts}))


def shell(object_id: str = "A", /, **fields: Any) -> dict[str, Any]:
    """A shell command."""
    return {"id": object_id, "name": object_id, "type": "ShellCommandActivity", **fields}
