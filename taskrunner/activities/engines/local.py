"""The engine `local`: steps as processes of this attempt, on this host alone.

Scripts, commands and streaming need nothing; jars, Spark and Hive scripts need Java and the package
pyspark (the extra `spark`), which brings Spark, and with it the jars of Hadoop's client.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from taskrunner.activities.base import Context
from taskrunner.activities.dynamodb import Connect
from taskrunner.activities.engines.base import Call
from taskrunner.activities.engines.command import (
    Which,
    missing_program,
    run_step_script,
    spark_script,
    spark_sql,
)
from taskrunner.activities.engines.files import local_file, s3_uri
from taskrunner.activities.engines.hive_text import with_values
from taskrunner.activities.engines.output import run_and_read
from taskrunner.activities.engines.s3_view import FolderS3, S3View, StagedS3, site_xml
from taskrunner.activities.engines.spark_options import split_submit, without, written
from taskrunner.activities.engines.stored_copies import why_not_spark
from taskrunner.activities.engines.streaming import Streaming, why_not_native
from taskrunner.model.steps.works import (
    RunCommand,
    RunHive,
    RunJar,
    RunPig,
    RunScript,
    RunSpark,
    RunStreaming,
    Work,
)

EXTRA = "taskrunner-agent[spark]"
_PIG = "Pig runs only where a pig command is, or on an EMR cluster (emr_engine)"
#: Where the work runs is this engine's affair.
_DROPPED = {"--master", "--deploy-mode", "--queue", "--name-node"}
_DROPPED_PROPERTIES = ("spark.master", "spark.submit.deployMode", "spark.yarn.")


def spark_folder() -> Path | None:
    """Where the package pyspark is installed; it is not imported."""
    found = find_spec("pyspark")
    folders = found.submodule_search_locations if found is not None else None
    return Path(next(iter(folders))) if folders else None


class LocalEngine:
    """Runs steps on this host."""

    name = "local"
    is_remote = False

    def __init__(
        self,
        ctx: Context,
        *,
        which: Which = shutil.which,
        spark_home: Callable[[], Path | None] = spark_folder,
        connect: Connect | None = None,
    ) -> None:
        """`connect` leads to the tables of DynamoDB that scripts name."""
        self._ctx = ctx
        self._which = which
        self._spark_home = spark_home
        self._connect = connect

    def objection(self, work: Work) -> str | None:
        """Why it cannot do this."""
        if isinstance(work, RunPig):
            return _PIG
        if isinstance(work, RunCommand):
            return missing_program(work.argv[0], self._which)
        if isinstance(work, RunStreaming):
            return why_not_native(work)
        if isinstance(work, RunScript):
            return None
        reason = self._why_no_spark()
        if isinstance(work, RunHive):
            return why_not_spark(self._ctx, work.text, work.variables) or reason
        return reason

    def _why_no_spark(self) -> str | None:
        if self._java() is None:
            return "no java is on the PATH of this host, nor is there a JAVA_HOME"
        if self._spark_home() is None:
            return f"pyspark is not installed (pip install '{EXTRA}')"
        return None

    def _java(self) -> str | None:
        home = os.environ.get("JAVA_HOME")
        inside = Path(home) / "bin" / "java" if home else None
        return str(inside) if inside is not None and inside.is_file() else self._which("java")

    def run(self, call: Call) -> None:
        """Run one step to its end."""
        work = call.step.work
        if call.queue:
            self._ctx.log.info("No queue is set: there is none on this host")
        if isinstance(work, RunScript):
            run_step_script(self._ctx, work, f"step{call.number}")
        elif isinstance(work, RunCommand):
            run_and_read(self._ctx, work.argv)
        elif isinstance(work, RunStreaming):
            Streaming(self._ctx, call, work).run()
        else:
            assert isinstance(work, RunJar | RunSpark | RunHive)  # noqa: S101  others are refused
            folder = f"step{call.number}"
            with self._prepared(work, folder) as (argv, texts):
                self._with_java(folder, argv, texts, is_jar=isinstance(work, RunJar))

    def _with_java(
        self, folder: str, argv: Sequence[str], texts: Sequence[str], *, is_jar: bool
    ) -> None:
        root = self._ctx.data.s3_root
        places = FolderS3(root, texts) if root else StagedS3(self._ctx, f"{folder}/s3", texts)
        with places as view:
            conf = self._configured(folder, view)
            env = {
                "SPARK_HOME": str(self._spark_home()),
                "HADOOP_CONF_DIR": str(conf),
                "SPARK_LOCAL_IP": "127.0.0.1",
                "SPARK_LOCAL_DIRS": self._temporary(folder),
            }
            cwd = self._ctx.files.folder(f"{folder}/cwd")
            if is_jar:
                self._ctx.files.write(f"{folder}/conf/log4j2.properties", _LOGGING)
                argv = [argv[0], "-cp", f"{conf}:{self._spark_home()}/jars/*", *argv[1:]]
            run_and_read(self._ctx, argv, env=env, cwd=cwd)

    def _configured(self, folder: str, view: S3View) -> Path:
        """The folder of Hadoop's and Hive's configuration: all that they keep is the attempt's."""
        temporary = self._temporary(folder)
        self._ctx.files.folder(f"{folder}/{_SCRATCH}")
        core = {
            "hadoop.tmp.dir": f"{temporary}/hadoop",
            "mapreduce.jobtracker.staging.root.dir": f"{temporary}/staging",
            **view.properties(),
        }
        hive = {
            "javax.jdo.option.ConnectionURL": "jdbc:derby:memory:metastore;create=true",
            **dict.fromkeys(_HIVE_FOLDERS, f"{temporary}/hive"),
        }
        self._ctx.files.write(f"{folder}/conf/hive-site.xml", site_xml(hive))
        return self._ctx.files.write(f"{folder}/conf/core-site.xml", site_xml(core)).parent

    def _temporary(self, folder: str) -> str:
        return str(self._ctx.files.root / folder / _SCRATCH)

    def _here(self, folder: str) -> list[str]:
        """What keeps Spark on this host, and its files in the attempt's folder."""
        java = f'-Djava.io.tmpdir="{self._temporary(folder)}"'
        return [*_HERE, "--driver-java-options", java]

    @contextmanager
    def _prepared(
        self, work: RunJar | RunSpark | RunHive, folder: str
    ) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
        """The command line, and the texts in which places on S3 may be named."""
        if isinstance(work, RunJar):
            jar = local_file(self._ctx, work.jar, folder)
            named = [work.main_class] if work.main_class else []
            temporary = f"-Djava.io.tmpdir={self._temporary(folder)}"
            java = [self._java() or "java", temporary, "org.apache.hadoop.util.RunJar"]
            yield [*java, jar, *named, *work.arguments], work.arguments
            return
        bin_folder = f"{self._spark_home()}/bin"
        if isinstance(work, RunSpark):
            arguments = list(local_arguments(work.arguments))
            texts = [*arguments, *self._programs(arguments)]
            yield [f"{bin_folder}/spark-submit", *self._here(folder), *arguments], texts
            return
        warehouse = f"spark.sql.warehouse.dir={(self._ctx.files.root / folder / 'tables').as_uri()}"
        spark = [f"{bin_folder}/spark-sql", *self._here(folder), "--conf", warehouse]
        values = [value for _, value in work.variables]
        name = f"{folder}/script.q"
        with spark_script(self._ctx, work, name, self._connect) as (script, text):
            argv = [*spark, *spark_sql(work, script)]
            yield argv, [with_values(text, work.variables), *values]

    def _programs(self, arguments: Sequence[str]) -> Iterator[str]:
        """The texts of Python programs on S3, which may name more places there."""
        for argument in arguments:
            uri = s3_uri(argument)
            if uri is not None and uri.endswith(".py"):
                with self._ctx.objects.open_read(uri) as reader:
                    yield reader.read(_MOST_PROGRAM).decode("utf-8", "replace")


#: Bytes of a program in which places on S3 are looked for.
_MOST_PROGRAM = 1 << 20
#: So that jobs tell their ids, their progress and their counters.
_LOGGING = b"""status = warn
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.jobs.name = org.apache.hadoop.mapreduce.Job
logger.jobs.level = info
"""
#: The folder for what programs would put into the host's own folder for such files.
_SCRATCH = "scratch"
#: Where Hive else keeps files that all users of the host share.
_HIVE_FOLDERS = (
    "hive.exec.scratchdir",
    "hive.exec.local.scratchdir",
    "hive.downloaded.resources.dir",
    "hive.querylog.location",
)
_HERE = ("--master", "local[*]", "--conf", "spark.ui.enabled=false")


def local_arguments(arguments: Sequence[str]) -> Iterator[str]:
    """spark-submit's arguments without those that say on which cluster the work runs."""
    options, program = split_submit(arguments)
    yield from written([*without(options, _DROPPED, _DROPPED_PROPERTIES)])
    yield from program
