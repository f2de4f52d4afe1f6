"""Notices that the instance will be taken away: spot interruption, auto-scaling, rebalance.

Once seen, a notice stands: a metadata service that does not answer, or forgets, takes none back.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from taskrunner.agent.ec2.host import Ec2Host
from taskrunner.agent.ec2.imds import NoMetadata
from taskrunner.agent.lifecycle import HostEnding, Message, TakeNoMore
from taskrunner.clock import Clock
from taskrunner.logs import get_logger

log = get_logger()

_INTERVAL_S = 1.0
#: No notice comes earlier, so a later time is the doing of a clock that is wrong.
_LONGEST_NOTICE_S = 120.0
#: States of an auto-scaling group's instance in which it is taken out of service.
_LEAVING = frozenset({"Terminated", "Warmed:Terminated", "Warmed:Stopped", "Warmed:Hibernated"})


class Kind(StrEnum):
    """What is announced."""

    SPOT = "spot interruption"
    SCALE_IN = "auto-scaling takes the instance out"
    #: The risk of an interruption is high; nothing is decided.
    REBALANCE = "rebalance recommendation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One announcement."""

    kind: Kind
    #: When the instance goes; None when the notice does not say.
    at: datetime | None = None
    #: terminate, stop, hibernate; or the state that is aimed at.
    action: str = ""

    def left_s(self, now: datetime, *, assumed_s: float) -> float:
        """Seconds until the instance goes; `assumed_s` when the notice has no time."""
        if self.at is None:
            return assumed_s
        return min(max((self.at - now).total_seconds(), 0.0), _LONGEST_NOTICE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticePolicy:
    """What the agent makes of a notice."""

    #: What is taken to be left when the notice has no time.
    assumed_s: float = 120.0
    hold_on_rebalance: bool = True

    def message(self, notice: Notice, now: datetime) -> Message | None:
        """The message for the agent's main loop; None when the notice is to be ignored."""
        reason = f"{notice.kind}: {notice.action}" if notice.action else str(notice.kind)
        if notice.kind is not Kind.REBALANCE:
            return HostEnding(notice.left_s(now, assumed_s=self.assumed_s), reason)
        return TakeNoMore(reason) if self.hold_on_rebalance else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a kind of notice is found, and how it is read; None: there is none."""

    path: str
    read: Callable[[str], Notice | None]


def _spot(text: str) -> Notice | None:
    fields = _object(text)
    action = fields.get("action")
    if not isinstance(action, str):
        return None
    return Notice(kind=Kind.SPOT, at=_moment(fields.get("time")), action=action)


def _scale_in(text: str) -> Notice | None:
    state = text.strip()
    return Notice(kind=Kind.SCALE_IN, action=state) if state in _LEAVING else None


def _rebalance(text: str) -> Notice | None:
    return Notice(kind=Kind.REBALANCE) if "noticeTime" in _object(text) else None


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment and (moment if moment.tzinfo else moment.replace(tzinfo=UTC))


SOURCES: Sequence[Source] = (
    Source(path="/latest/meta-data/spot/instance-action", read=_spot),
    Source(path="/latest/meta-data/autoscaling/target-lifecycle-state", read=_scale_in),
    Source(path="/latest/meta-data/events/recommendations/rebalance", read=_rebalance),
)


class NoticeWatch:
    """Looks for notices each second and tells of each new one."""

    def __init__(self, host: Ec2Host, clock: Clock, policy: NoticePolicy) -> None:
        self._host = host
        self._clock = clock
        self._policy = policy
        self._seen: dict[Kind, Notice] = {}
        self._silent = False

    def loop(self, tell: Callable[[Message], None], closing: threading.Event) -> None:
        """Look each second, through a drain as well, until the agent closes."""
        while not closing.is_set():
            self.tick(tell)
            self._clock.wait(closing, _INTERVAL_S)

    def tick(self, tell: Callable[[Message], None]) -> None:
        """Ask once for every kind of notice; an outage of the metadata is logged once."""
        try:
            for source in SOURCES:
                self._look(source, tell)
        except NoMetadata as error:
            if not self._silent:
                log.warning("no notices can be seen for now", error=str(error))
            self._silent = True
        else:
            if self._silent:
                log.info("notices can be seen again")
            self._silent = False
            self._host.read()

    def _look(self, source: Source, tell: Callable[[Message], None]) -> None:
        text = self._host.metadata.get(source.path)
        notice = source.read(text) if text else None
        if notice is None or self._seen.get(notice.kind) == notice:
            return
        self._seen[notice.kind] = notice
        log.warning("notice", kind=str(notice.kind), action=notice.action, at=str(notice.at))
        message = self._policy.message(notice, self._clock.now())
        if message is not None:
            tell(message)
