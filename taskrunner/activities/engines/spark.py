"""The engine `spark`: spark-submit and spark-sql of this host, for a Spark cluster of one's own.

The master is the operator's: what a definition says of where its work runs was said of another
cluster. What is no work for Spark runs by this host's commands where the master is YARN, and is
refused elsewhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from taskrunner.activities.base import Context
from taskrunner.activities.dynamodb import Connect
from taskrunner.activities.engines.base import Call
from taskrunner.activities.engines.command import CommandEngine, Which
from taskrunner.activities.engines.local import EXTRA, spark_folder
from taskrunner.activities.engines.output import run_and_read
from taskrunner.activities.engines.spark_options import split_submit, without, written
from taskrunner.activities.engines.stored_copies import why_not_spark
from taskrunner.model.steps.works import RunHive, RunJar, RunPig, RunSpark, RunStreaming, Work

_YARN = "yarn"
#: What a standalone cluster does not take: Python programs run with their driver here.
_NOT_STANDALONE = {"--deploy-mode", "--queue"}


class SparkEngine(CommandEngine):
    """Runs Spark's work on a master."""

    name = "spark"

    def __init__(
        self,
        ctx: Context,
        *,
        master: str,
        which: Which = shutil.which,
        spark_home: Callable[[], Path | None] = spark_folder,
        connect: Connect | None = None,
    ) -> None:
        super().__init__(ctx, which=which, connect=connect)
        self._master = master
        self._spark_home = spark_home

    def objection(self, work: Work) -> str | None:
        """Why it cannot do this."""
        if isinstance(work, RunSpark | RunHive):
            if self._program("spark-submit") is None:
                return (
                    "no spark-submit is on the PATH of this host, and pyspark is not installed "
                    f"(pip install '{EXTRA}')"
                )
            if isinstance(work, RunSpark):
                return None
            return why_not_spark(self._ctx, work.text, work.variables)
        if isinstance(work, RunJar | RunStreaming | RunPig) and self._master != _YARN:
            return f"the Spark cluster {self._master} runs Spark and Hive scripts only"
        return super().objection(work)

    def run(self, call: Call) -> None:
        """Run the step's program to its end."""
        work = call.step.work
        if isinstance(work, RunSpark):
            argv = [*self._start("spark-submit"), *self._arguments(work.arguments, call.queue)]
            run_and_read(self._ctx, argv, wrap=self._guard(call))
        elif isinstance(work, RunHive):
            queue = ["--queue", call.queue] if call.queue and self._master == _YARN else []
            self._spark_sql(call, [*self._start("spark-sql"), *queue], work)
        else:
            super().run(call)

    def _program(self, name: str) -> str | None:
        """The program of this host, else that of the package pyspark."""
        if self._which(name) is not None:
            return name
        home = self._spark_home()
        return f"{home}/bin/{name}" if home is not None else None

    def _start(self, name: str) -> list[str]:
        return [self._program(name) or name, "--master", self._master]

    def _arguments(self, arguments: Sequence[str], queue: str | None) -> list[str]:
        options, program = split_submit(arguments)
        names = {"--master"}
        if self._master.startswith("spark://"):
            names |= _NOT_STANDALONE
        elif self._master != _YARN or queue:
            names |= {"--queue"}
        kept = [*without(options, names, ("spark.master",))]
        if queue and self._master == _YARN:
            kept.insert(0, ("--queue", queue))
        return [*written(kept), *program]
