"""Which tasks the operator allows: by type, and by where their logs go.

A service is trusted with which of the allowed work is done, not with this: a type that is not
allowed is refused before its plugin is looked at, a log URI before anything is written there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from taskrunner.config.settings import Settings
from taskrunner.data.objects.location import local_path, log_places, parse
from taskrunner.errors import ErrorId, PathNotAllowed, PermanentTaskError, TaskError
from taskrunner.host.local_files import ANYWHERE, LocalFiles
from taskrunner.model.task import Task
from taskrunner.secret import quoted

_MOST_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The settings allow_types and allow_log_uris; what is empty allows everything.

    Of places on this host `local_logs` says which logs may be pushed to.
    """

    types: Sequence[str] = ()
    log_uris: Sequence[str] = ()
    #: local_paths, and the local places of log_uri and allow_log_uris; not for a task with a user.
    local_logs: LocalFiles = ANYWHERE
    #: The worker groups whose tasks have a user, by whose rights their logs are pushed.
    with_user: Collection[str] = ()

    @classmethod
    def of(cls, settings: Settings, *, with_user: Collection[str]) -> Allowance:
        """What the settings allow."""
        places = log_places(settings.log_uri, settings.allow_log_uris)
        return cls(
            types=settings.allow_types,
            log_uris=settings.allow_log_uris,
            local_logs=LocalFiles(folders=(*settings.local_paths, *places)),
            with_user=frozenset(with_user),
        )

    def check(self, task: Task) -> None:
        """Raise PermanentTaskError for a task that may not run here."""
        kind = task.main.type
        if self.types and kind not in self.types:
            raise _refused(
                f"{task.component_id!r} is a {quoted(kind, _MOST_SHOWN)}, which this agent does "
                f"not run; allow_types has {', '.join(self.types)}"
            )
        uri = task.main.get("pipelineLogUri")
        if uri and not self.takes_logs_at(uri):
            # Run all the same, its logs would be nowhere that its owner looks.
            raise _refused(
                f"{task.component_id!r} wants its logs at {quoted(uri, _MOST_SHOWN)}, where this "
                f"agent pushes none; allow_log_uris has {', '.join(self.log_uris)}"
            )

        if uri and task.worker_group not in self.with_user:
            self._check_local(uri, task)

    def _check_local(self, uri: str, task: Task) -> None:
        """It is held to again when it is written to; run, the task's logs would be nowhere."""
        if (path := local_path(uri)) is None:
            return
        try:
            self.local_logs.check(path)
        except PathNotAllowed as error:
            field = f"{task.main.type} {task.component_id!r}, field 'pipelineLogUri'"
            raise error.named_by(field) from None

    def takes_logs_at(self, uri: str) -> bool:
        """Whether logs may be pushed under this URI."""
        return not self.log_uris or any(is_under(uri, place) for place in self.log_uris)


def is_under(uri: str, place: str) -> bool:
    """Whether a URI is a place or lies under it: whole components count, `..` never does."""
    inner, outer = _components(uri), _components(place)
    return inner is not None and outer is not None and inner[: len(outer)] == outer


def _components(uri: str) -> tuple[str, ...] | None:
    """Scheme, bucket and the parts of the key; None for what might mean another place."""
    try:
        found = parse(uri)
    except TaskError:
        return None
    # The key /logs is another one than logs.
    key = found.key.removesuffix("/")
    parts = (key.removeprefix("/") if found.scheme == "file" else key).split("/") if key else []
    if any(part in {"", ".", ".."} or not part.isprintable() for part in parts):
        return None
    return (found.scheme, found.bucket, *parts)


def _refused(message: str) -> PermanentTaskError:
    return PermanentTaskError(message, error_id=ErrorId.NOT_ALLOWED)
