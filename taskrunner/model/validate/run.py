"""The list of checks, and the functions that run it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from taskrunner.errors import DefinitionError
from taskrunner.model.catalog.effects import Target
from taskrunner.model.document import Definition, Position
from taskrunner.model.reader import Document
from taskrunner.model.sources.problems import Problem, Unreadable
from taskrunner.model.validate.context import Context, Findings
from taskrunner.model.validate.cycles import check_dependencies, check_parents
from taskrunner.model.validate.effects import check_effects
from taskrunner.model.validate.emr import check_emr
from taskrunner.model.validate.fields import check_fields, check_required
from taskrunner.model.validate.finding import Finding, Report
from taskrunner.model.validate.objects import check_characters, check_ids, check_types
from taskrunner.model.validate.parameters import check_parameters
from taskrunner.model.validate.pitfalls import check_pitfalls
from taskrunner.model.validate.quotas import check_limits
from taskrunner.model.validate.redshift import check_redshift
from taskrunner.model.validate.references import check_references
from taskrunner.model.validate.rules import check_rules, check_unresolved
from taskrunner.model.validate.schedules import check_on_demand, check_schedules
from taskrunner.model.validate.texts import check_expressions
from taskrunner.model.validate.values import check_values

#: Each looks at the whole definition for one kind of mistake; none depends on another's findings.
CHECKS: tuple[Callable[[Context], None], ...] = (
    check_ids,
    check_types,
    check_characters,
    check_fields,
    check_required,
    check_values,
    check_references,
    check_parents,
    check_dependencies,
    check_expressions,
    check_parameters,
    check_schedules,
    check_on_demand,
    check_rules,
    check_redshift,
    check_emr,
    check_effects,
    check_unresolved,
    check_pitfalls,
    check_limits,
)

_added: list[Callable[[Context], None]] = []


def add_check(check: Callable[[Context], None]) -> Callable[[], None]:
    """Let a check from outside the model run as well, from a program's start on; returns its end.

    For what is known to rooms that the model does not import, as the drivers' connection strings.
    """
    if check not in _added:
        _added.append(check)
    return lambda: _added.remove(check)


def validate(
    definition: Definition,
    *,
    aws_limits: bool = False,
    now: datetime | None = None,
    target: Target | None = None,
) -> Report:
    """Every mistake of a definition; never raises for anything that a definition may hold.

    `aws_limits` makes AWS's limits errors. `now`, aware, is needed to warn of backfill. With a
    `target`, what has no effect there is told, and what nobody there can run is an error.
    """
    return _run(definition, (), aws_limits=aws_limits, now=now, target=target)


def validate_document(
    document: Document,
    *,
    aws_limits: bool = False,
    now: datetime | None = None,
    target: Target | None = None,
) -> Report:
    """As `validate`, with what the reader noted of the file's shape."""
    problems = document.problems
    return _run(document.definition, problems, aws_limits=aws_limits, now=now, target=target)


def unreadable(error: DefinitionError) -> Report:
    """The report on a text that is no definition at all."""
    code = error.code if isinstance(error, Unreadable) else "no-definition"
    place = error.place
    finding = Finding(
        id=place.object_id,
        field=place.field,
        code=code,
        message=error.message,
        line=place.line,
        column=place.column,
    )
    return Report(errors=(finding,))


def _run(
    definition: Definition,
    problems: Iterable[Problem],
    *,
    aws_limits: bool,
    now: datetime | None,
    target: Target | None,
) -> Report:
    findings = Findings(aws_limits=aws_limits)
    for problem in problems:
        _note(findings, problem)
    context = Context(definition, findings=findings, now=now, target=target)
    for check in (*CHECKS, *_added):
        check(context)
    return findings.report()


def _note(findings: Findings, problem: Problem) -> None:
    place = problem.place
    position = None
    if place.line is not None and place.column is not None:
        position = Position(line=place.line, column=place.column)
    findings.add(
        problem.code,
        problem.message,
        object_id=place.object_id,
        key=place.field,
        position=position,
    )
