"""What commands print, shown while a run goes on: `taskrunner run --logs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from taskrunner.cli.follow import Follower
from taskrunner.cli.snapshot import Snapshot
from taskrunner.model.log_names import safe_name
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.plain import visible
from taskrunner.service.store.rows import AlarmRow

#: The logs that hold what commands print; the third tells of the attempt itself.
_SHOWN = ("StdOutput", "StdError")
#: Of one log at each look: a run goes on although much is printed.
_MOST = 64 << 10


class LogFollower:
    """Shows a run as another follower does, and says every line that its commands print."""

    def __init__(self, inner: Follower, logs: Path) -> None:
        """`logs` is the folder of the logs of all attempts on this machine."""
        self._inner = inner
        self._logs = logs
        #: How far each log is told.
        self._told: dict[Path, int] = {}
        self._last: Snapshot | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Say what is new, and show how things stand."""
        self._last = snapshot
        self._say_new(snapshot, whole=False)
        self._inner.show(snapshot)

    def say(self, text: str) -> None:
        """Tell the person who watches."""
        self._inner.say(text)

    def untold(self, snapshot: Snapshot) -> tuple[AlarmRow, ...]:
        """The alarms that have not been shown yet."""
        return self._inner.untold(snapshot)

    def close(self) -> None:
        """Say what is left, also a line without an end; leave the terminal as it was."""
        if self._last is not None:
            while self._say_new(self._last, whole=True):
                pass
        self._inner.close()

    def _say_new(self, snapshot: Snapshot, *, whole: bool) -> bool:
        """Whether there was anything new."""
        several = len({row.scheduled_start for row in snapshot.instances}) > 1
        found = False
        for row, attempt in _tried(snapshot):
            label = row.instance_id if several else row.component_id
            if attempt.number > 1:
                label += f" (attempt {attempt.number})"
            ids = (row.pipeline_id, row.component_id, row.instance_id, attempt.attempt_id)
            folder = self._logs.joinpath(*map(safe_name, ids))
            for name in _SHOWN:
                for line in self._lines(folder / name, whole=whole):
                    found = True
                    self._inner.say(f"{visible(label)}: {visible(line)}")
        return found

    def _lines(self, path: Path, *, whole: bool) -> list[str]:
        """The lines of a log that were not told yet; with `whole` one without an end, too."""
        told = self._told.get(path, 0)
        try:
            with path.open("rb") as file:
                file.seek(told)
                data = file.read(_MOST)
        except OSError:
            return []  # nothing was printed yet
        if not (whole or len(data) == _MOST):
            data = data[: data.rfind(b"\n") + 1]
        self._told[path] = told + len(data)
        return data.decode("utf-8", "replace").splitlines()


def _tried(snapshot: Snapshot) -> Iterator[tuple[InstanceRow, AttemptRow]]:
    for row in snapshot.instances:
        for attempt in snapshot.attempts.get(row.instance_id, ()):
            if attempt.started_at is not None:
                yield row, attempt
