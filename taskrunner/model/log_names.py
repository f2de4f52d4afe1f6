"""Where an attempt's logs are below the place that they are pushed to: said once for both sides.

AWS's Task Runner has the tree `<pipelineId>/<componentId>/<instanceId>/<attemptId>/` and the names
of the logs. Ids come from others and are not trusted: whatever could leave the tree is encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: The logs of an attempt, under the names that AWS's Task Runner gives them.
LOG_NAMES = ("Activity.log", "StdOutput", "StdError")
#: Bytes of a log that are compressed apart: any of these blocks can be read without the others.
LOG_BLOCK = 128 << 10

_LONGEST_NAME = 200
_PART = re.compile(r"@([0-9]{15})-([0-9]{15})\.gz")


def safe_name(text: str) -> str:
    """One path component: ids as AWS makes them stay readable, all else is encoded."""
    kept = "".join(c if c.isprintable() and c not in "/\\%" else f"%{ord(c):02X}" for c in text)
    if kept in {"", ".", ".."}:
        return "%" + kept.replace(".", "2E")
    if len(kept.encode()) > _LONGEST_NAME:
        cut = kept.encode()[:_LONGEST_NAME].decode("utf-8", "ignore")
        return f"{cut}-{digest_of(text)[:16]}"
    return kept


def digest_of(text: str) -> str:
    """A short name for a text of any length."""
    # Here, because it loads OpenSSL, of which only the agent has need, not the fork server.
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def folder_of(base: str, *ids: str) -> str:
    """The folder of an attempt's logs: of its pipeline, component, instance and itself."""
    parts: Iterable[str] = map(safe_name, ids)
    if base.lower().startswith("file:"):
        # There a percent sign encodes: `%2F` would be a slash again.
        parts = (part.replace("%", "%25") for part in parts)
    return "/".join([base.rstrip("/"), *parts])


def whole_name(name: str) -> str:
    """The object of a whole log."""
    return f"{name}.gz"


def part_name(name: str, start: int, end: int) -> str:
    """The object of a range of a log: in AWS's form, which sorts in the log's order."""
    return f"{name}@{start:015d}-{end:015d}.gz"


def part_range(name: str, of: str) -> tuple[int, int] | None:
    """The range of a log that an object holds; None: it is no part of that log."""
    found = _PART.fullmatch(name.removeprefix(of)) if name.startswith(of) else None
    return (int(found[1]), int(found[2])) if found else None
