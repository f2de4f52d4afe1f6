"""Why no runner of a worker group has taken a task that is in its queue."""

from __future__ import annotations

from datetime import datetime, timedelta

from taskrunner.model.near_names import Near, difference, nearness
from taskrunner.model.why import remedies
from taskrunner.model.why.causes import Cause, Code
from taskrunner.model.why.facts import Group, Known, Refusal, Runner
from taskrunner.model.why.words import ago, at, several

#: A poll is held for 90 s at most: who has not asked for so long is not asking any more.
SILENT_AFTER = timedelta(minutes=3)
#: A runner that takes no work is heard of by its heartbeats, every 15 minutes.
GONE_AFTER = timedelta(minutes=20)
_MOST_NAMED = 3
_MANAGED = "resource:"
#: What another key mends; other refusals are about the clock, the region or the secret.
_ABOUT_THE_KEY = frozenset(
    {"AccessDeniedException", "ThrottlingException", "UnrecognizedClientException"}
)


def group_causes(group: Group | None, name: str, known: Known, now: datetime) -> tuple[Cause, ...]:
    """The causes, the likeliest first."""
    if group is None:
        return (_not_known(name),)
    if group.own:
        return (_own(group, known),)
    alive = [runner for runner in group.runners if _is_alive(runner, now)]
    if not alive:
        return tuple(_without_runner(group, now))
    working = [runner for runner in alive if not runner.paused]
    if not working:
        return (_paused(group, alive),)
    if all(_is_full(runner, now) for runner in working):
        return (_busy(group, working, known),)
    return (_in_queue(group, working, known, now),)


def _is_alive(runner: Runner, now: datetime) -> bool:
    # Somebody else's runner says nothing by itself while it is at work.
    at_work = runner.slots is None and runner.running > 0
    patience = GONE_AFTER if runner.paused else SILENT_AFTER
    return at_work or now - runner.seen_at <= patience


def _is_full(runner: Runner, now: datetime) -> bool:
    if runner.slots is not None and runner.busy is not None:
        return runner.busy >= runner.slots
    # Of somebody else's runner: it is heard of, and asks for nothing.
    return runner.polled_at is None or now - runner.polled_at > SILENT_AFTER


def _not_known(name: str) -> Cause:
    return Cause(
        code=Code.RUNNERS_NOT_KNOWN,
        object_id=name,
        says=f"it waits for a runner of the worker group {name!r}; this service does not tell "
        "whether one asks for its work",
        command=remedies.doctor(name),
        where="on the host of the agent",
    )


def _own(group: Group, known: Known) -> Cause:
    return Cause(
        code=Code.IN_QUEUE,
        object_id=group.name,
        says=f"the service checks it itself, within seconds while it runs{_line(group, known)}",
        command=remedies.service_log(known.row.instance_id),
        where="on the service's host, if it stays so",
    )


def _without_runner(group: Group, now: datetime) -> list[Cause]:
    refused = [_refused(group, refusal, now) for refusal in group.refused if refusal.for_group]
    maybe = [_refused(group, refusal, now) for refusal in group.refused if not refusal.for_group]
    found = [*refused, *_other_names(group), *_silent(group, now)]
    if group.elsewhere:
        found.append(_other_account(group))
    # A refused poll that may have been for any group is told only where nothing else is known.
    found.extend(maybe if not found else ())
    return found or [_nobody(group)]


def _nobody(group: Group) -> Cause:
    polled = sorted(other for other in group.others if not other.startswith(_MANAGED))
    named = ", ".join(map(repr, polled[:_MOST_NAMED]))
    more = f" and {len(polled) - _MOST_NAMED} more" if len(polled) > _MOST_NAMED else ""
    seen = f"; asked for are {named}{more}" if polled else ""
    return Cause(
        code=Code.NO_RUNNER,
        object_id=group.name,
        says=f"no runner asks for the work of the worker group {group.name!r}{seen}",
        command=remedies.serve_group(group.name),
        where="on a host that is to do the work",
    )


def _other_names(group: Group) -> list[Cause]:
    near = {other: nearness(group.name, other) for other in sorted(group.others)}
    order = [n for n, how in near.items() if how is Near.SPELLING]
    order += [n for n, how in near.items() if how is Near.PREFIX]
    return [
        Cause(
            code=Code.RUNNER_OF_OTHER_NAME,
            object_id=group.name,
            says=f"no runner asks for the work of {group.name!r}, but {group.others[other]} asks "
            f"for that of {other!r}: each letter counts ({difference(group.name, other)})",
            command=remedies.serve_group(group.name),
            where=f"on {group.others[other]}, or correct workerGroup in the definition",
        )
        for other in order[:_MOST_NAMED]
    ]


def _refused(group: Group, refusal: Refusal, now: datetime) -> Cause:
    key = f" with the key {refusal.key_id}" if refusal.key_id else ""
    whose = f"for {group.name!r}" if refusal.for_group else "for a group that it did not say"
    command, where = remedies.doctor(group.name), f"on {refusal.whence}"
    if refusal.code in _ABOUT_THE_KEY:
        command = remedies.runner_key(group.name, group.account)
        where = f"on the service's host, and give that key to the agent of {refusal.whence}"
    return Cause(
        code=Code.RUNNER_REFUSED,
        object_id=group.name,
        says=f"a poll {whose} from {refusal.whence}{key} was refused {ago(refusal.at, now)}: "
        f"{refusal.code}: {refusal.message.rstrip('.')}",
        command=command,
        where=where,
    )


def _silent(group: Group, now: datetime) -> list[Cause]:
    if not group.runners:
        return []
    last = max(group.runners, key=lambda runner: runner.seen_at)
    return [
        Cause(
            code=Code.RUNNER_SILENT,
            object_id=group.name,
            says=f"no runner asks for the work of {group.name!r} any more: the last, {last.name}, "
            f"was heard of {ago(last.seen_at, now)}",
            command=remedies.serve_group(group.name),
            where=f"on {last.name}",
        )
    ]


def _other_account(group: Group) -> Cause:
    return Cause(
        code=Code.RUNNER_OF_OTHER_ACCOUNT,
        object_id=group.name,
        says=f"a runner asks for the work of {group.name!r}, but with a key of another account "
        "than the pipeline's",
        command=remedies.runner_key(group.name, group.account),
        where="on the service's host, and give that key to the agent",
    )


def _paused(group: Group, runners: list[Runner]) -> Cause:
    named = several([f"{runner.name} ({runner.paused})" for runner in runners], _MOST_NAMED)
    return Cause(
        code=Code.RUNNERS_PAUSED,
        object_id=group.name,
        says=f"every runner of {group.name!r} is paused: {named}",
        command=remedies.resume_agent(),
        where=f"on {runners[0].name}",
    )


def _busy(group: Group, runners: list[Runner], known: Known) -> Cause:
    slots = [runner.slots for runner in runners if runner.slots is not None]
    named = several([runner.name for runner in runners], _MOST_NAMED)
    taken = "every runner"
    if len(slots) == len(runners):
        taken = f"each of the {sum(slots)} task slots" if sum(slots) > 1 else "the one task slot"
    return Cause(
        code=Code.RUNNERS_BUSY,
        object_id=group.name,
        says=f"{taken} of {group.name!r} is busy ({named}){_line(group, known)}",
        command=remedies.serve_group(group.name, 2 * sum(slots) or None),
        where=f"on one more host, or give {runners[0].name} more tasks",
    )


def _line(group: Group, known: Known) -> str:
    """How many are ahead, and how long that takes at the present rate."""
    if not known.ahead:
        return ""
    text = f"; {known.ahead} {'wait' if known.ahead > 1 else 'waits'} for longer"
    if not group.ended:
        return f"{text}, and none has ended within {group.minutes} min"
    minutes = max(1, round((known.ahead + 1) * group.minutes / group.ended))
    return f"{text}; at the present rate ({group.ended} in {group.minutes} min) about {minutes} min"


def _in_queue(group: Group, runners: list[Runner], known: Known, now: datetime) -> Cause:
    last = max(runners, key=lambda runner: runner.polled_at or runner.seen_at)
    polled = at(last.polled_at) if last.polled_at else ago(last.seen_at, now)
    return Cause(
        code=Code.IN_QUEUE,
        object_id=group.name,
        says=f"it is in the queue of {group.name!r}, for whose work {last.name} asks (last at "
        f"{polled}): it is taken with the next poll{_line(group, known)}",
        command=remedies.agent_status(),
        where=f"on {last.name}, if it stays so",
    )
