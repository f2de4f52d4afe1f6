"""The engine `command`: Hadoop's programs as they are installed on this host.

That is how a master or edge node of a cluster is used: the host's own configuration says where the
work runs and how `s3://` is reached.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from taskrunner.activities.base import Context
from taskrunner.activities.dynamodb import Connect
from taskrunner.activities.engines.base import Call
from taskrunner.activities.engines.files import local_file, s3_uri, script_file
from taskrunner.activities.engines.output import run_and_read
from taskrunner.activities.engines.stored_copies import why_not_spark, with_copies
from taskrunner.activities.engines.yarn import guarded
from taskrunner.activities.shell import run_script
from taskrunner.model.steps.works import (
    Pairs,
    RunCommand,
    RunHive,
    RunJar,
    RunPig,
    RunScript,
    RunSpark,
    RunStreaming,
    Work,
)

#: What can run a Hive script, the best first.
_HIVES = ("hive", "beeline", "spark-sql")
_STREAMING_JARS = (
    "lib/hadoop-mapreduce/hadoop-streaming.jar",
    "lib/hadoop/hadoop-streaming.jar",
    "share/hadoop/tools/lib/hadoop-streaming-*.jar",
)
_NEEDS = {RunJar: "hadoop", RunStreaming: "hadoop", RunSpark: "spark-submit", RunPig: "pig"}

_PROGRAM = re.compile(r"[A-Za-z][\w-]*")

Which = Callable[[str], str | None]


class CommandEngine:
    """Runs hadoop, hive, pig and spark-submit of this host."""

    name = "command"
    is_remote = False

    def __init__(
        self, ctx: Context, *, which: Which = shutil.which, connect: Connect | None = None
    ) -> None:
        """`connect` leads to the tables of DynamoDB that scripts name."""
        self._ctx = ctx
        self._which = which
        self._connect = connect

    def objection(self, work: Work) -> str | None:
        """Why it cannot do this."""
        if isinstance(work, RunHive):
            if self._hive() is None:
                return f"no {' or '.join(_HIVES)} is on the PATH of this host"
            is_spark = self._hive() == "spark-sql"
            return why_not_spark(self._ctx, work.text, work.variables) if is_spark else None
        if isinstance(work, RunCommand):
            return missing_program(work.argv[0], self._which)
        needed = _NEEDS.get(type(work))
        if needed is not None and self._which(needed) is None:
            return f"no {needed} is on the PATH of this host"
        if isinstance(work, RunStreaming) and self._streaming_jar(work) is None:
            return f"{work.jar} is not on this host, nor is a streaming jar beside its hadoop"
        return None

    def run(self, call: Call) -> None:
        """Run the step's program to its end."""
        work, folder = call.step.work, f"step{call.number}"
        if isinstance(work, RunScript):
            run_step_script(self._ctx, work, folder)
        elif isinstance(work, RunHive) and self._hive() == "spark-sql":
            named = ["--queue", call.queue] if call.queue else []
            self._spark_sql(call, ["spark-sql", *named], work)
        else:
            run_and_read(self._ctx, self._argv(call, work), wrap=self._guard(call))

    def _spark_sql(self, call: Call, command: Sequence[str], work: RunHive) -> None:
        """Run a Hive script by spark-sql."""
        name = f"step{call.number}/script.q"
        with spark_script(self._ctx, work, name, self._connect) as (script, _):
            argv = [*command, *spark_sql(work, script)]
            run_and_read(self._ctx, argv, wrap=self._guard(call))

    def _guard(self, call: Call) -> Callable[[Sequence[str]], Sequence[str]] | None:
        """What has YARN end the command's work with it, where there is YARN."""
        if isinstance(call.step.work, RunCommand) or self._which("yarn") is None:
            return None
        folder = self._ctx.files.folder(f"step{call.number}/guard")
        return lambda argv: guarded(argv, folder / "log")

    def _argv(self, call: Call, work: Work) -> Sequence[str]:
        folder = f"step{call.number}"
        if isinstance(work, RunJar):
            jar = local_file(self._ctx, work.jar, folder)
            return ["hadoop", "jar", jar, *jar_arguments(work, call.queue)]
        if isinstance(work, RunStreaming):
            jar = local_file(self._ctx, self._streaming_jar(work) or work.jar, folder)
            return ["hadoop", "jar", jar, *queue_flags(call.queue), *work.arguments]
        if isinstance(work, RunSpark):
            queue = ["--queue", call.queue] if call.queue else []
            return ["spark-submit", *queue, *work.arguments]
        if isinstance(work, RunHive):
            return self._hive_argv(work, f"{folder}/script.q", call.queue)
        if isinstance(work, RunPig):
            script = script_file(self._ctx, work.script, work.text, f"{folder}/script.pig")
            queue = [f"-Dmapreduce.job.queuename={call.queue}"] if call.queue else []
            given = [text for name, value in work.parameters for text in ("-p", f"{name}={value}")]
            return ["pig", *queue, *given, "-f", script]
        assert isinstance(work, RunCommand)  # noqa: S101  the others are run by no engine
        return work.argv

    def _hive(self) -> str | None:
        return next((name for name in _HIVES if self._which(name)), None)

    def _hive_argv(self, work: RunHive, name: str, queue: str | None) -> Sequence[str]:
        script = script_file(self._ctx, work.script, work.text, name)
        properties = [("mapreduce.job.queuename", queue), ("tez.queue.name", queue)]
        return [
            self._hive() or "hive",
            *_flags("--hiveconf", [(name, value) for name, value in properties if value]),
            *_flags("--hiveconf", work.properties),
            *_flags("--hivevar", work.variables),
            "-f",
            script,
        ]

    def _streaming_jar(self, work: RunStreaming) -> str | None:
        if "://" in work.jar or Path(work.jar).is_file():
            return work.jar
        roots = [Path(found).resolve().parents[1] for found in [self._which("hadoop")] if found]
        roots += [Path(home) for home in [os.environ.get("HADOOP_HOME")] if home]
        roots.append(Path("/usr"))
        for root in roots:
            for pattern in _STREAMING_JARS:
                if jars := sorted(root.glob(pattern)):
                    return str(jars[-1])
        return None


def run_step_script(ctx: Context, work: RunScript, folder: str) -> None:
    """Run a script-runner's script on this host; raises TaskError."""
    path = local_file(ctx, work.script, folder, executable=True)
    if s3_uri(work.script) is None:
        result = ctx.run_command([path, *work.arguments])
    else:
        result = run_script(ctx, Path(path), work.arguments, cwd=f"{folder}/cwd")
    if result.exit_code != 0:
        raise result.error()


def missing_program(name: str, which: Which) -> str | None:
    """Why a command cannot be run; None if it can."""
    if which(name) is not None:
        return None
    return f"there is no {name}" if "/" in name else f"no {name} is on the PATH of this host"


@contextmanager
def spark_script(
    ctx: Context, work: RunHive, name: str, connect: Connect | None
) -> Iterator[tuple[str, str]]:
    """A Hive script for spark-sql, its path and its text, while the block runs it.

    Its tables of DynamoDB are copied before and after. Raises TaskError.
    """
    path = script_file(ctx, work.script, work.text, name)
    text = work.text
    # A script that lies on this host is its command's to read.
    if text is None and s3_uri(work.script or "") is not None:
        with ctx.files.open(Path(path)) as file:
            text = file.read().decode("utf-8", "replace")
    with with_copies(ctx, text or "", work.variables, connect) as given:
        if given != (text or ""):
            path = script_file(ctx, None, given, name)
        yield path, given


def spark_sql(work: RunHive, script: str) -> list[str]:
    """The arguments by which spark-sql runs a Hive script."""
    properties = [(f"spark.hadoop.{name}", value) for name, value in work.properties]
    return [*_flags("--conf", properties), *_flags("--hivevar", work.variables), "-f", script]


def _flags(flag: str, pairs: Sequence[tuple[str, str]] | Pairs) -> list[str]:
    return [text for name, value in pairs for text in (flag, f"{name}={value}")]


def jar_arguments(work: RunJar, queue: str | None) -> list[str]:
    """With the queue where Hadoop's own tools look for properties."""
    named = [work.main_class] if work.main_class else []
    rest = list(work.arguments)
    if not named and rest and _PROGRAM.fullmatch(rest[0]):
        named.append(rest.pop(0))  # the name of one of several programs in the jar
    return [*named, *queue_flags(queue), *rest]


def queue_flags(queue: str | None) -> list[str]:
    """The property that names a queue, as Hadoop's tools take it."""
    return [f"-Dmapreduce.job.queuename={queue}"] if queue else []
