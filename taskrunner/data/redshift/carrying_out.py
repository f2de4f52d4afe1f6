"""What loads and unloads share: whose rights, how far it is, what a failure comes to."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Protocol

from taskrunner.data.redshift.authorization import Authorization, of_agent, of_role
from taskrunner.data.redshift.session import Session, Step, StepFailed
from taskrunner.data.redshift.wanted import Wanted
from taskrunner.errors import ErrorId, TaskError

#: What of the errors has a remedy that the text does not say.
_REMEDIES: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"not authorized to assume|Not authorized to get credentials of role|cannot be"
                   r" assumed|is not (?:associated|attached)", re.IGNORECASE),
        "attach the role to the cluster, and let redshift.amazonaws.com assume it",
        ErrorId.ACCESS_DENIED,
    ),
    (
        re.compile(r"S3ServiceException:\s*Access Denied|AccessDenied|status 403", re.IGNORECASE),
        "the role or keys that COPY and UNLOAD are given need rights to the bucket",
        ErrorId.ACCESS_DENIED,
    ),
    (
        re.compile(r"endpoint the bucket|PermanentRedirect|must be addressed using", re.IGNORECASE),
        "the bucket is in another region: name that with REGION in commandOptions",
        ErrorId.INVALID_FIELD,
    ),
    (
        re.compile(r"ExpiredToken|token .* expired", re.IGNORECASE),
        "the agent's credentials ended before the work did: use a role (iamRole)",
        ErrorId.ACCESS_DENIED,
    ),
    (
        re.compile(r"Serializable isolation violation|could not serialize", re.IGNORECASE),
        "another transaction changed the table meanwhile; another attempt may do better",
        ErrorId.ACTIVITY_FAILED,
    ),
    (
        re.compile(r"query group|query_group", re.IGNORECASE),
        "the field 'queue' is a query group of the cluster's workload management",
        ErrorId.ACTIVITY_FAILED,
    ),
)  # fmt: skip
_SHOWN_ROWS = 3


class Monitor(Protocol):
    """Who is told how far it is, and may end it by raising."""

    @property
    def log(self) -> logging.Logger:
        """The attempt's log."""
        ...

    def progress(self, **fields: str | int) -> None:
        """Say what has been done so far."""
        ...

    def check_canceled(self) -> None:
        """Raise when the work must stop."""
        ...


def authorization_for(session: Session, wanted: Wanted) -> Authorization:
    """With whose rights S3 is reached: the definition's role, the operator's, or the agent's."""
    if wanted.role is not None:
        return Authorization(clause=wanted.role, about="the role of commandOptions")
    if not session.needs_authorization:
        return Authorization(about="nobody (none are asked for)")
    role = session.spec.options.other.get("iamrole")
    if role is None and not session.takes_keys:
        role = "default"
    return of_role(role) if role is not None else of_agent()


def carry_out(
    session: Session,
    steps: Sequence[Step],
    monitor: Monitor,
    authorization: Authorization,
    where: str,
) -> int:
    """Run the steps; returns how many rows the last of them that moves any has moved.

    Raises TaskError that names the activity, and nothing that holds a key.
    """
    moved = -1
    failure: TaskError | None = None

    def done(step: Step, count: int) -> None:
        nonlocal moved
        if not step.is_guard:
            rows = f": {count} rows" if count >= 0 else ""
            monitor.log.info("Done: %s%s", step.about, rows)
        if count >= 0 and step.moves:
            moved = count
            monitor.progress(rows=count)
        monitor.check_canceled()

    try:
        session.transact(steps, done)
    except StepFailed as error:
        failure = _explained(session, error, authorization, where)
    if failure is not None:  # raised here, so that no trace holds the statement's own error
        raise failure
    return moved


def _explained(
    session: Session, error: StepFailed, authorization: Authorization, where: str
) -> TaskError:
    text = authorization.hidden(str(error))
    if error.step.is_guard:
        message = (
            f"{where}: nothing was loaded, since another attempt of the instance was faster "
            f"or still runs ({text})"
        )
        return TaskError(message, error_id=ErrorId.ACTIVITY_FAILED)
    error_id, remedy = error.error_id, ""
    for pattern, says, known_id in _REMEDIES:
        if pattern.search(text):
            error_id, remedy = known_id, f"; {says}"
            break
    rows = [str(found) for found in session.load_errors()] if error.step.is_copy else []
    if rows:
        more = f" (and {len(rows) - _SHOWN_ROWS} more)" if len(rows) > _SHOWN_ROWS else ""
        remedy = f"; rows that were not taken: {' | '.join(rows[:_SHOWN_ROWS])}{more}"
    return TaskError(authorization.hidden(f"{where}: {text}{remedy}"), error_id=error_id)
