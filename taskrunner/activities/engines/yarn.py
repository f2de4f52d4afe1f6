"""Commands that hand their work to YARN: told to end, they have YARN end it too.

Whoever waits for a job can be killed and the job runs on, to write its output over that of the
next attempt. So a shell stands around the command, keeps a copy of its error output, and has YARN
kill the applications that are named there before it ends itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_GUARD = r"""log=$1; shift
mkfifo "$log.pipe" && { tee "$log" < "$log.pipe" >&2 & } || exit 125
copier=$!
"$@" 2> "$log.pipe" &
command=$!
ended() {
  kill -TERM "$command" 2>/dev/null
  for id in $(grep -aoE 'application_[0-9]+_[0-9]+' "$log" | sort -u); do
    yarn application -kill "$id" >&2
  done
  exit 143
}
trap ended TERM
wait "$command"
code=$?
wait "$copier"
exit "$code"
"""


def guarded(argv: Sequence[str], log: Path) -> list[str]:
    """The same command with the shell around it; `log` is a new file that it may write."""
    return ["/bin/bash", "-c", _GUARD, "guard", str(log), *argv]
