"""Commands that hand their work to YARN: told to end, they have YARN end it too.

Whoever waits for a job can be killed and the job runs on, to write its output over that of the
next attempt. So a shell stands around the command, writes down the applications that its error
output names, and has YARN kill them before it ends itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_GUARD = r"""log=$1 patience=$2; shift 2
names='application_[0-9]+_[0-9]+'
: > "$log" && mkfifo "$log.pipe" "$log.copied" && exec 9<> "$log.copied" || exit 125
{
  tee >(exec grep -aoE --line-buffered "$names" >> "$log" 9>&-) < "$log.pipe" >&2 9>&-
  echo >&9
} > /dev/null &
"$@" 2> "$log.pipe" 9>&- &
command=$!
ended() {
  kill -TERM "$command" 2>/dev/null
  for id in $(sort -u "$log"); do yarn application -kill "$id" >&2 9>&-; done
  exit 143
}
trap ended TERM
wait "$command"
code=$?
# What the command left running may hold its error output open: no longer than this is waited.
read -r -t "$patience" -u 9 _
exit "$code"
"""


def guarded(argv: Sequence[str], log: Path, *, patience_s: float = 5.0) -> list[str]:
    """The same command with the shell around it; `log` is a new file that it may write."""
    return ["/bin/bash", "-c", _GUARD, "guard", str(log), str(patience_s), *argv]
