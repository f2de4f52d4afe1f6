"""What a change of many pipelines would do, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from taskrunner.console.views import addresses
from taskrunner.console.views.actions import Plan, PlanLine, command
from taskrunner.console.views.words import plural, sign
from taskrunner.service.v1.outcomes import Outcome, Outcomes

#: Of each pipeline the last runs whose failed instances begin again.
RUNS = 1
#: What could not be done is told of so many.
_MOST_TOLD = 100
_OPTIONS = ("name", "state", "health", "tag", "group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a change has come."""

    title: str
    done: int
    total: int
    #: What could not be done: names with the reason.
    failed: Sequence[str]
    failed_count: int
    #: What the next form holds; nothing: it is over.
    hidden: Sequence[tuple[str, str]]


def bulk_plan(verb: str, found: Outcomes, texts: Mapping[str, Sequence[str]]) -> Plan:
    """What a change would do, of the first portion line by line; those beyond are not tried."""
    fit = [one for one in found.pipelines if one.error is None]
    count = len(fit) + found.left
    return Plan(
        title=f"{verb.capitalize()}: {plural(count, 'pipeline')}",
        lines=[_line(one) for one in found.pipelines],
        count=count,
        unchanged=len(found.pipelines) - len(fit),
        more=found.left,
        command=command("bulk", verb, *_words(texts)),
    )


def _line(one: Outcome) -> PlanLine:
    counted = plural(one.count, "instance") if one.count is not None else one.pipeline_id
    return PlanLine(
        what=one.name,
        address=addresses.pipeline(one.pipeline_id),
        sign=sign("FAILED") if one.error else sign("SCHEDULED"),
        why=one.error or counted,
    )


def progress(verb: str, found: Outcomes, form: Mapping[str, Sequence[str]]) -> Progress:
    """How far it has come with a portion; `form` says how far it was before."""
    failed = [f"{one.name}: {one.error}" for one in found.pipelines if one.error is not None]
    told = [*form.get("failed", ()), *failed][:_MOST_TOLD]
    done = _count(form, "done") + len(found.pipelines)
    failed_count = _count(form, "failed_count") + len(failed)
    hidden: list[tuple[str, str]] = []
    if found.marker is not None:
        kept = {key: form.get(key, ()) for key in ("every", "filter", "to")}
        hidden = [(key, text) for key, texts in kept.items() for text in texts]
        hidden += [("marker", found.marker), ("done", str(done))]
        hidden += [("failed_count", str(failed_count)), *(("failed", text) for text in told)]
    return Progress(
        title=f"{verb.capitalize()}: {plural(done + found.left, 'pipeline')}",
        done=done,
        total=done + found.left,
        failed=told,
        failed_count=failed_count,
        hidden=hidden,
    )


def _count(form: Mapping[str, Sequence[str]], key: str) -> int:
    """A number that a form of ours has brought back; it is shown, and nothing else."""
    text = (form.get(key) or [""])[0]
    return int(text[:9]) if text.isascii() and text.isdecimal() else 0


def _words(texts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The pipelines that are meant, as `taskrunner bulk` takes them."""
    yield from texts.get("ids", ())
    for key in _OPTIONS:
        for text in texts.get(key, ()):
            yield from (f"--{key}", text)
    for key in ("late", "every"):
        if texts.get(key):
            yield f"--{key}"
