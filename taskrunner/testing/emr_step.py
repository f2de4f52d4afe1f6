"""The process of one step of `EmrInProcess`: runs it by the engine `local`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.engines.steps import Steps
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError
from taskrunner.host.local_files import LocalFiles
from taskrunner.model.steps.reader import read_jar
from taskrunner.testing.activity_environment import ActivityEnvironment, new_task


class _OneStep(Activity):
    """A step as EMR's API has it."""

    type = "EmrActivity"

    def __init__(self, jar: dict[str, object]) -> None:
        self._jar = jar

    def run(self, ctx: Context) -> None:
        """Run it."""
        arguments = self._jar.get("Args") or []
        main_class = self._jar.get("MainClass")
        assert isinstance(arguments, list)  # noqa: S101  so the API has it
        try:
            step = read_jar(
                str(self._jar["Jar"]), str(main_class) if main_class else None, arguments
            )
        except ValueError as error:
            raise TaskError(str(error)) from error
        Steps.prepare(ctx, [step]).run()


def main() -> int:
    """Run the step that the first argument tells of; its output is the process's own."""
    told = json.loads(sys.argv[1])
    data = DataSettings(
        s3_root=Path(told["s3_root"]), emr_engine="local", local=LocalFiles(folders=(Path("/"),))
    )
    with ActivityEnvironment(data=data) as environment:
        try:
            environment.run(_OneStep(told["step"]), new_task("EmrActivity"))
        except TaskError as error:
            environment.stderr_path.open("a").write(f"{error}\n")
            return 1
        finally:
            sys.stdout.write(environment.stdout)
            sys.stderr.write(environment.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
