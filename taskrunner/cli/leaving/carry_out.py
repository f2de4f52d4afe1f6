"""Carrying out the plan of one pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from taskrunner.cli.leaving.account import Account
from taskrunner.cli.leaving.beside import Beside
from taskrunner.errors import CallRefused, NotAuthorized
from taskrunner.model.document import Definition
from taskrunner.model.leaving.plan import Plan, Step
from taskrunner.wire.outputs import PutPipelineDefinitionOutput

_MOST_ERRORS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a plan."""

    pipeline_id: str
    done: tuple[Step, ...]
    #: Why the rest was not done; empty: all of it was.
    problems: tuple[str, ...] = ()


def carry_out(
    account: Account, beside: Beside, plan: Plan, definition: Definition, start: datetime | None
) -> Result:
    """Do the steps in their order, up to the first that the service refuses.

    Raises NotAuthorized and ServiceUnreachable: the next pipeline would fare no better.
    """
    pipeline_id = beside.there.pipeline_id if beside.there else ""
    done: list[Step] = []
    for step in plan.steps:
        problem = ""
        try:
            if step is Step.CREATE:
                pipeline_id = account.create(beside.folder.manifest)
            elif step is Step.PUT:
                problem = _errors(account.put(pipeline_id, definition))
            elif step is Step.TAGS:
                account.tag(pipeline_id, plan.added_tags, plan.removed_tags)
            else:
                account.activate(pipeline_id, start)
        except NotAuthorized:
            raise
        except CallRefused as error:
            problem = str(error)
        if problem:
            return Result(
                pipeline_id=pipeline_id, done=tuple(done), problems=(f"{step}: {problem}",)
            )
        done.append(step)
    return Result(pipeline_id=pipeline_id, done=tuple(done))


def _errors(reply: PutPipelineDefinitionOutput) -> str:
    """Why what was put cannot be activated; it is stored all the same."""
    if not reply.errored:
        return ""
    found = [
        f"{one.id}: {text}" if one.id else text
        for one in reply.validation_errors
        for text in one.errors
    ]
    more = f" and {len(found) - _MOST_ERRORS} more" if len(found) > _MOST_ERRORS else ""
    return f"the definition has errors: {'; '.join(found[:_MOST_ERRORS])}{more}"
