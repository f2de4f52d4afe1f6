"""A line for each published definition: what came of it here. Names as arguments choose some.

Exits with 1 when one did not end as it should.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests import servers
from tests.acceptance.corpus import published
from tests.acceptance.corpus.runs import Outcome, Servers, work_off


def main(words: list[str]) -> int:
    """Run those whose names have one of the words, or all."""
    if not published.FOLDER.is_dir():
        print(f"there is no folder {published.FOLDER}: nothing to run", file=sys.stderr)
        return 1
    for name, value in (("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "test")):
        os.environ[name] = value
    os.environ["AWS_SECRET_ACCESS_KEY"] = "test"
    found = {
        name: definition
        for name, definition in published.with_activities().items()
        if not words or any(word in name for word in words)
    }
    readable = {name: definition for name, definition in found.items() if definition}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stand_ins = Servers(
            moto=stack.enter_context(servers.moto()),
            mariadb=stack.enter_context(servers.mariadb()),
            postgresql=stack.enter_context(servers.postgresql()),
        )
        outcomes = work_off(readable, folder, stand_ins)
    wrong = 0
    for name in found:
        line, is_right = told(name, outcomes.get(name))
        wrong += not is_right
        print(line)
    print(
        f"{len(found)} with activities, {sum(o.ok for o in outcomes.values())} ran, {wrong} wrong"
    )
    return 1 if wrong else 0


def told(name: str, outcome: Outcome | None) -> tuple[str, bool]:
    """A line, and whether it says what is expected."""
    reason = published.UNFIT.get(name)
    if outcome is not None and outcome.ok:
        return f"ran     {name}: {outcome.finished} instances FINISHED", reason is None
    if reason is not None and (outcome is None or outcome.refusal):
        return f"unfit   {name}: {reason}", True
    if outcome is None:
        return f"WRONG   {name}: it cannot be read", False
    return "\n        ".join((f"WRONG   {name}: {outcome.refusal}", *outcome.others)), False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
