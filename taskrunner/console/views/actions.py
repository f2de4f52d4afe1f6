"""What a visitor can do about a pipeline and its instances, and what would come of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taskrunner.console.views import addresses
from taskrunner.console.views.moments import moment
from taskrunner.console.views.words import Sign, plural, sign
from taskrunner.model.states import INSTANCE_TERMINAL, InstanceStatus
from taskrunner.service.v1.outcomes import BackfillPlan, BackfillRun, Changed

#: What is asked of /v1 about instances, and the words for it.
VERBS: Mapping[str, str] = {"rerun": "Rerun", "cancel": "Cancel", "finish": "Mark finished"}
#: What is told after it was done, for so many.
_DONE: Mapping[str, tuple[str, str]] = {
    "rerun": ("begins again", "begin again"),
    "cancel": ("is canceled", "are canceled"),
    "finish": ("counts as finished", "count as finished"),
    "backfill": ("is run", "are run"),
    "alarms": ("is sent after all", "are sent after all"),
    "pause-agents": ("takes no work", "take no work"),
    "drain-agents": ("ends once it has done what it runs", "end once they have done what they run"),
    "resume-agents": ("takes work again", "take work again"),
}
#: What so many of them are; else instances.
_NOUNS: Mapping[str, str] = {
    "backfill": "run",
    "alarms": "alarm",
    **dict.fromkeys(("pause-agents", "drain-agents", "resume-agents"), "agent"),
}
_TOLD: Mapping[str, str] = {
    "activate": "The pipeline is active.",
    "deactivate": "The pipeline is deactivated.",
    "pause": "Nothing new begins until it is resumed.",
    "resume": "It goes on.",
    "settings": "It is kept in this browser.",
    "no-zone": "There is no such time zone: nothing was changed.",
    "end-session": "That session is over.",
    "pause-backfill": "Nothing new of it begins until it is resumed.",
    "resume-backfill": "It goes on.",
    "cancel-backfill": "What of it had not ended is canceled.",
    "put": "It is put as the latest version. Activate the pipeline to have it run by it.",
    "again": "That form was sent before: it counts once.",
}
_ENDED = {str(status) for status in INSTANCE_TERMINAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Something that can be done about an instance."""

    verb: str
    word: str
    #: Done at once; else what would come of it is shown first.
    at_once: bool
    downstream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLine:
    """An instance or a period that would be changed."""

    what: str
    address: str
    sign: Sign
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be done."""

    title: str
    lines: Sequence[PlanLine]
    count: int
    unchanged: int
    #: The same from a shell.
    command: str
    #: Beyond those that are listed.
    more: int = 0


def choices(status: InstanceStatus) -> Sequence[Choice]:
    """What can be done about an instance in a status."""
    if str(status) in _ENDED:
        found = [
            Choice(verb="rerun", word="Rerun", at_once=True),
            Choice(verb="rerun", word="Rerun with downstream …", at_once=False, downstream=True),
        ]
        if status is not InstanceStatus.FINISHED:
            found.append(Choice(verb="finish", word="Mark finished …", at_once=False))
        return found
    return [
        Choice(verb="cancel", word="Cancel …", at_once=False),
        Choice(verb="finish", word="Mark finished …", at_once=False),
    ]


def plan(
    pipeline_id: str, verb: str, found: Changed, ids: Sequence[str], *, downstream: bool
) -> Plan:
    """What a change of instances would do."""
    reasons = {"selected": "", "downstream": "depends on one of them", "along": "must come along"}
    more = " with downstream" if downstream else ""
    return Plan(
        title=f"{VERBS[verb]}{more}: {plural(found.count, 'instance')}",
        lines=[
            PlanLine(
                what=one.id,
                address=addresses.instance(pipeline_id, one.id),
                sign=sign(one.was),
                why=reasons.get(str(one.reason), ""),
            )
            for one in found.instances
        ],
        count=found.count,
        unchanged=found.unchanged,
        command=command(verb, pipeline_id, *ids, *(["--downstream"] if downstream else [])),
    )


def backfill_plan(pipeline_id: str, found: BackfillPlan, form: Mapping[str, list[str]]) -> Plan:
    """What a backfill would do."""
    words = {"make": "is made and run", "rerun": "runs again", "keep": "stays as it is"}

    def line(run: BackfillRun) -> PlanLine:
        places = "; ".join(f"{one.component_id} writes {one.place}" for one in run.overwrites)
        word = words[str(run.action)]
        return PlanLine(
            what=moment(run.start),
            address=addresses.run(pipeline_id, run.start) if run.status else "",
            sign=sign(run.status),
            why=f"{word}. {places}" if places else f"{word}.",
        )

    given = {key: texts[0] for key, texts in form.items() if texts and texts[0]}
    words_of_it = [given.get("first", ""), given.get("last", "")]
    for key in ("redo", "limit", "order"):
        words_of_it += [f"--{key}", given[key]] if key in given else []
    return Plan(
        title=f"Backfill: {plural(found.count, 'run')}",
        lines=[line(run) for run in found.runs],
        count=found.count,
        unchanged=len(found.runs) - found.count,
        command=command("backfill", pipeline_id, *words_of_it),
    )


def command(*words: str) -> str:
    """A command of ours, to be copied."""
    return shlex.join(["taskrunner", *words])


def told(query: Mapping[str, list[str]]) -> str:
    """What an address says was done, in words."""
    done, _, number = (query.get("done") or [""])[0].partition(":")
    if done in _TOLD:
        return _TOLD[done]
    if done not in _DONE or not (number.isascii() and number.isdecimal()):
        return ""
    count = int(number[:9])
    one, many = _DONE[done]
    return f"{plural(count, _NOUNS.get(done, 'instance'))} {one if count == 1 else many}."
