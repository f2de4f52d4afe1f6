"""What a step asks for, one class for each kind; engines know how each is done."""

from __future__ import annotations

from dataclasses import dataclass

#: Names and their values, in order: variables of Hive, parameters of Pig.
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJar:
    """`hadoop jar JAR [CLASS] ARGUMENT...`."""

    jar: str
    #: The class to run, where it is named; else the jar's manifest names it.
    main_class: str | None = None
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{_name(self.jar)} {self.main_class}" if self.main_class else _name(self.jar)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStreaming:
    """Hadoop streaming: programs that read and write lines, as mapper and reducer."""

    mapper: str
    #: None: what the mappers write is the output.
    reducer: str | None
    inputs: tuple[str, ...]
    output: str
    combiner: str | None = None
    #: Files to lie in the programs' working folder; `URI#NAME` gives one another name.
    files: tuple[str, ...] = ()
    #: Variables of the programs' environment.
    environment: Pairs = ()
    #: Hadoop's properties (-D).
    properties: Pairs = ()
    reducers: int = 1
    #: Options that change what is read or written, with their values: only Hadoop knows them.
    others: Pairs = ()
    #: The whole call, for Hadoop itself.
    jar: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"streaming, mapper {self.mapper}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """A command of the master node (command-runner.jar)."""

    argv: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.argv[:2])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunScript:
    """A script, from S3 or the master node's disk, on the master node (script-runner.jar)."""

    script: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"script {self.script}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHive:
    """A Hive script: the object at a URI, or a text."""

    script: str | None = None
    text: str | None = None
    #: `${NAME}` in the script.
    variables: Pairs = ()
    #: Hive's own properties (--hiveconf).
    properties: Pairs = ()

    def __str__(self) -> str:
        return f"Hive script {self.script}" if self.script else "Hive script"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPig:
    """A Pig script: the object at a URI, or a text."""

    script: str | None = None
    text: str | None = None
    #: `$NAME` in the script.
    parameters: Pairs = ()

    def __str__(self) -> str:
        return f"Pig script {self.script}" if self.script else "Pig script"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpark:
    """`spark-submit ARGUMENT...`."""

    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return "spark-submit"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDynamoDb:
    """The export of a DynamoDB table to S3, or its import, as AWS's templates have it."""

    is_export: bool
    path: str
    table: str
    #: The share of the table's throughput to use; None: the tool's default.
    ratio: float | None = None
    #: How many segments a scan has; None: the tool's choice.
    segments: int | None = None
    #: The class as the step names it; jars of different age have it in different packages.
    main_class: str

    def __str__(self) -> str:
        return f"{'export' if self.is_export else 'import'} of the DynamoDB table {self.table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNothing:
    """What today's clusters have without a step: the installation of Hive or Pig."""

    what: str

    def __str__(self) -> str:
        return self.what


Work = (
    RunJar
    | RunStreaming
    | RunCommand
    | RunScript
    | RunHive
    | RunPig
    | RunSpark
    | RunDynamoDb
    | RunNothing
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: the call as EMR's API takes it, and what it asks for."""

    jar: str
    #: Only where it is given beside the arguments (HadoopActivity).
    main_class: str | None = None
    arguments: tuple[str, ...] = ()
    work: Work


def _name(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2] or uri
