"""Why nothing of a pipeline happens, or what of it waits: grouped by what is to be mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskrunner.model.states import PipelineState
from taskrunner.model.why import remedies
from taskrunner.model.why.causes import Cause, Code
from taskrunner.model.why.facts import Facts, Pipeline
from taskrunner.model.why.instances import explain, pause_cause
from taskrunner.model.why.words import ahead, at, several

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An instance that stands for others of its component in the same status."""

    instance_id: str
    #: How many there are with it; `more`: or more than that, which were not counted.
    count: int = 1
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What is to be said of one instance, and how many others are as it is."""

    instance_id: str
    component_id: str
    status: str
    causes: tuple[Cause, ...]
    count: int = 1
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The answer about a pipeline, or about one of its instances."""

    pipeline_id: str
    state: str
    #: What holds the pipeline as a whole; nothing, if it goes on.
    pipeline: tuple[Cause, ...] = ()
    waiting: tuple[Waiting, ...] = ()


def explain_all(facts: Facts, samples: tuple[Sample, ...]) -> Why:
    """What is to be said of a pipeline and of these of its instances."""
    pipeline = facts.pipeline
    waiting = tuple(_waiting(facts, sample) for sample in samples)
    return Why(
        pipeline_id=pipeline.pipeline_id,
        state=pipeline.state,
        pipeline=tuple(_pipeline_causes(facts, quiet=not waiting)),
        waiting=waiting,
    )


def not_found(pipeline_id: str, where: str, region: str, named: Mapping[str, str]) -> Why:
    """There is no such pipeline where it was looked for; `named` are those there, by their ids."""
    same = [key for key, name in named.items() if pipeline_id in {name, key.swapcase()}]
    near = [key for key in named if key.casefold() == pipeline_id.casefold()] or same
    if near:
        hint, command = f"; meant may be {several(near, _MOST_NAMED)}", remedies.why(near[0])
    else:
        hint = "; there are none at all" if not named else f"; there are {len(named)} others"
        command = remedies.list_pipelines(region)
    return _gone(
        Code.PIPELINE_NOT_FOUND,
        pipeline_id,
        f"no pipeline {pipeline_id!r} is at {where} (region {region}) for these credentials{hint}: "
        "a pipeline is of one region, one service and one account",
        command,
    )


def deleted(pipeline_id: str) -> Why:
    """It was deleted."""
    says = f"the pipeline {pipeline_id!r} was deleted"
    return _gone(Code.PIPELINE_DELETED, pipeline_id, says, remedies.create())


def _gone(code: Code, pipeline_id: str, says: str, command: str) -> Why:
    cause = Cause(code=code, object_id=pipeline_id, says=says, command=command)
    return Why(pipeline_id=pipeline_id, state="", pipeline=(cause,))


def _waiting(facts: Facts, sample: Sample) -> Waiting:
    row = facts.instances[sample.instance_id].row
    return Waiting(
        instance_id=row.instance_id,
        component_id=row.component_id,
        status=str(row.status),
        causes=explain(facts, sample.instance_id),
        count=sample.count,
        more=sample.more,
    )


def _pipeline_causes(facts: Facts, *, quiet: bool) -> list[Cause]:
    """What holds a pipeline; with `quiet` also what is no fault, when nothing of it waits."""
    pipeline = facts.pipeline
    found: list[Cause] = []
    if pipeline.pause is not None:
        found.append(pause_cause(pipeline.pipeline_id, pipeline.pause, "the pipeline"))
    if pipeline.latest == 0:
        return [*found, _no_definition(pipeline)]
    if pipeline.active == 0:
        return [*found, _not_activated(pipeline)]
    stopped = (
        {
            PipelineState.INACTIVE: _inactive,
            PipelineState.DEACTIVATING: _deactivating,
        }.get(PipelineState(pipeline.state))
        if pipeline.state in {*PipelineState}
        else None
    )
    if stopped is not None:
        found.append(stopped(pipeline))
    if pipeline.latest != pipeline.active:
        found.append(_change_not_active(pipeline))
    return found if found or not quiet else _quiet(facts)


def _no_definition(pipeline: Pipeline) -> Cause:
    return Cause(
        code=Code.NO_DEFINITION,
        object_id=pipeline.pipeline_id,
        says=f"the pipeline {pipeline.name or pipeline.pipeline_id!r} has no definition",
        command=remedies.put(pipeline.pipeline_id),
    )


def _not_activated(pipeline: Pipeline) -> Cause:
    if pipeline.mistakes:
        return _mistakes(pipeline)
    return Cause(
        code=Code.NOT_ACTIVATED,
        object_id=pipeline.pipeline_id,
        says="the pipeline was never activated, so that nothing of it runs",
        command=remedies.activate(pipeline.pipeline_id),
    )


def _mistakes(pipeline: Pipeline) -> Cause:
    told = [f"{key}: {said}" if key else said for key, said in pipeline.mistakes.items()]
    return Cause(
        code=Code.DEFINITION_HAS_ERRORS,
        object_id=pipeline.pipeline_id,
        says="the pipeline cannot be activated, for its definition has errors: "
        f"{several(told, _MOST_NAMED)}".rstrip("."),
        command=remedies.validate(),
        where="then put it again and activate",
    )


def _inactive(pipeline: Pipeline) -> Cause:
    when = f" at {at(pipeline.stopped_at)}" if pipeline.stopped_at else ""
    return Cause(
        code=Code.INACTIVE,
        object_id=pipeline.pipeline_id,
        says=f"the pipeline was deactivated{when}: nothing of it begins",
        command=remedies.activate(pipeline.pipeline_id),
    )


def _deactivating(pipeline: Pipeline) -> Cause:
    return Cause(
        code=Code.DEACTIVATING,
        object_id=pipeline.pipeline_id,
        says="the pipeline is being deactivated: what runs goes on to its end, nothing begins",
        command=remedies.deactivate(pipeline.pipeline_id),
        where="to end what runs",
    )


def _change_not_active(pipeline: Pipeline) -> Cause:
    if pipeline.mistakes:
        return _mistakes(pipeline)
    return Cause(
        code=Code.CHANGE_NOT_ACTIVATED,
        object_id=pipeline.pipeline_id,
        says=f"version {pipeline.latest} of the definition was put and is not active: version "
        f"{pipeline.active} is",
        command=remedies.activate(pipeline.pipeline_id),
    )


def _quiet(facts: Facts) -> list[Cause]:
    """Nothing of it waits: it is done, or its next period has not come."""
    pipeline = facts.pipeline
    if pipeline.state == PipelineState.FINISHED:
        goes_on = (
            "each activation makes one more run"
            if pipeline.on_demand
            else "give its schedule a later endDateTime or more occurrences, put and activate it"
        )
        return [
            Cause(
                code=Code.PIPELINE_FINISHED,
                object_id=pipeline.pipeline_id,
                says=f"the pipeline has finished all of its runs; {goes_on}",
                command=remedies.activate(pipeline.pipeline_id)
                if pipeline.on_demand
                else remedies.put(pipeline.pipeline_id),
            )
        ]
    if pipeline.next_run is None or pipeline.next_run <= facts.now:
        return []
    return [
        Cause(
            code=Code.NEXT_RUN,
            object_id=pipeline.pipeline_id,
            says="nothing of it waits: its next period is made at "
            f"{ahead(pipeline.next_run, facts.now)}",
            command=remedies.schedule(),
        )
    ]
