"""What an agent says of itself with each call, in the User-Agent header.

AWS's service ignores it, so that an agent says the same to both; ours shows it to operators, and
finds by the id which agent an operator's order to pause or drain is for. It is not signed: who lies
there escapes such an order, and can do nothing that the key does not allow.

    taskrunner/0.1.0 (id=4f2a; slots=4; busy=1; groups=prod,etl; paused=operator%3A%20upgrade)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

from taskrunner import __version__

AGENT = "taskrunner"
#: Asks as an agent would, to see whether it may: it is no runner.
DOCTOR = "taskrunner-doctor"

#: A longer header is not read, and none is sent.
_MOST = 2048
#: What all worker groups together, or why it is paused, may take of it.
_MOST_OF_PART = 768
_HEADER = re.compile(r"(?P<program>[a-z-]{1,40})/(?P<version>[\w.+-]{1,40})(?: \((?P<facts>.*)\))?")
_MOST_SLOTS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerFacts:
    """What is known of whoever calls, as far as it says so."""

    program: str = AGENT
    version: str = __version__
    runner_id: str | None = None
    #: Tasks that it runs at once, and how many it runs now.
    slots: int | None = None
    busy: int | None = None
    #: The worker groups that it polls, or the first of very many.
    groups: tuple[str, ...] = ()
    #: Why it takes no work; empty: it takes it.
    paused: str | None = None

    def header(self) -> str:
        """The text of the header."""
        facts = {
            "id": self.runner_id and quote(self.runner_id, safe=""),
            "slots": self.slots,
            "busy": self.busy,
            "groups": _within(quote(group, safe="") for group in self.groups),
            "paused": quote((self.paused or "")[: _MOST_OF_PART // 12], safe=""),
        }
        told = "; ".join(
            f"{key}={value}" for key, value in facts.items() if value not in {None, ""}
        )
        return f"{self.program}/{self.version}" + (f" ({told})" if told else "")


def _within(texts: Iterable[str]) -> str:
    taken = ""
    for text in texts:
        longer = f"{taken},{text}" if taken else text
        if len(longer) > _MOST_OF_PART:
            break
        taken = longer
    return taken


@lru_cache(maxsize=1024)
def read_user_agent(header: str) -> RunnerFacts | None:
    """What a header of ours says; None: it is somebody else's."""
    found = _HEADER.fullmatch(header) if len(header) <= _MOST else None
    if found is None or found["program"] not in {AGENT, DOCTOR}:
        return None
    pairs = (part.partition("=") for part in (found["facts"] or "").split("; "))
    facts = {key: unquote(value) if key != "groups" else value for key, _, value in pairs}
    groups = tuple(unquote(group) for group in facts.get("groups", "").split(",") if group)
    if not all(map(_is_text, (*facts.values(), *groups))):
        return None
    slots = _count(facts.get("slots"))
    return RunnerFacts(
        program=found["program"],
        version=found["version"],
        runner_id=facts.get("id"),
        slots=slots,
        busy=_count(facts.get("busy")),
        groups=groups,
        # Whoever says how many slots it has would say why it takes no work.
        paused=facts.get("paused", None if slots is None else ""),
    )


def _is_text(text: str) -> bool:
    """Whether every store and every page can hold it: anybody may send such a header."""
    return text.isprintable()


def _count(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdecimal():
        return None
    return min(int(text[:9]), _MOST_SLOTS)


class Introduction:
    """What a client's calls say of who makes them; it may be made before that is known."""

    def __init__(self, facts: Callable[[], RunnerFacts] = RunnerFacts) -> None:
        #: Asked at each call, from any thread.
        self.facts = facts

    def header(self) -> str:
        """The header, as it is now."""
        return self.facts().header()
