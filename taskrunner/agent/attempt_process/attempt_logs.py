"""The three logs of an attempt, as its own process sets them up and leaves them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from taskrunner.agent.attempt_process.activitylog import ActivityLogFormatter, open_activity_log
from taskrunner.agent.attempt_process.keeper import CappedHandler, LogKeeper, Room, TailFilter
from taskrunner.agent.attempt_process.own_output import OwnOutput
from taskrunner.agent.secrets.masking import Masker
from taskrunner.clock import Clock
from taskrunner.host.capped_log import holes_work
from taskrunner.host.process import Filter
from taskrunner.model.log_names import LOG_NAMES


def start_afresh(log_dir: Path) -> None:
    """Empty logs: a second hand-out of the same attempt begins them anew."""
    for name in LOG_NAMES:
        (log_dir / name).write_bytes(b"")
        (log_dir / f"{name}.gap").unlink(missing_ok=True)


class AttemptLogs:
    """Masked, kept within their limit, and taking what this process itself prints."""

    def __init__(
        self,
        log_dir: Path,
        *,
        masker: Masker,
        pipeline_id: str,
        limit: int,
        clock: Clock,
        holes: Callable[[Path], bool] = holes_work,
    ) -> None:
        """The logs must be there, and empty."""
        paths = [log_dir / name for name in LOG_NAMES]
        self._mask = masker.stream if masker else None
        self._rooms: dict[Path, Room] = {}
        self._keeper: LogKeeper | None = None
        formatter = ActivityLogFormatter(pipeline_id, masker.text)
        if holes(paths[0]):
            self._keeper = LogKeeper(paths, limit, clock)
            self._keeper.start()
            self._handler = open_activity_log(paths[0], formatter)
        else:
            self._rooms = {path: Room(path, limit) for path in paths}
            room = self._rooms[paths[0]]
            self._handler = open_activity_log(
                paths[0], formatter, wrap=lambda handler: CappedHandler(handler, room)
            )
        self._own = OwnOutput(log_dir, self.output_filter)

    @property
    def output_filter(self) -> Callable[[Path], Filter] | None:
        """What output goes through on its way into a log; None: it goes straight there."""
        return self._filter if self._mask or self._rooms else None

    def _filter(self, path: Path) -> Filter:
        inner = self._mask() if self._mask else None
        if path in self._rooms:
            return TailFilter(self._rooms[path], inner)
        assert inner is not None, path  # noqa: S101  without rooms only the mask asks for filters
        return inner

    def close(self) -> None:
        """Write out what is buffered, within the limit; call it when no command runs any more."""
        self._own.close()
        if self._keeper is not None:
            self._keeper.close()
        with suppress(OSError):  # a full disk: what fits was written
            self._handler.close()
