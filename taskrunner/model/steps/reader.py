r"""Steps as definitions write them, read into what they ask for.

A `step` is a jar and its arguments with commas between: `s3://bucket/x.jar,Class,a,b`. A comma that
belongs to an argument has one backslash or two before it (`\\,` is how AWS's guide has it). What
cannot be read raises ValueError: what was found, and what was wanted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from taskrunner.model.steps.options import read_pairs, read_streaming
from taskrunner.model.steps.works import (
    RunCommand,
    RunDynamoDb,
    RunHive,
    RunJar,
    RunNothing,
    RunPig,
    RunScript,
    RunSpark,
    Step,
    Work,
)

#: Jars that every EMR cluster knows by their bare name.
COMMAND_RUNNER = "command-runner.jar"
SCRIPT_RUNNER = "script-runner.jar"
_STREAMING = re.compile(r"hadoop-(\d[\w.]*-)?streaming(-[\w.-]+)?\.jar")
_SEPARATOR = re.compile(r"(\\*),")
_CLASS = re.compile(r"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+")
_DYNAMODB = re.compile(r"(?:[\w$]+\.)*DynamoDB(Export|Import)", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9]*://[^/]")
_FORM = (
    "wanted JAR,ARGUMENT,... with the jar's URI or path, command-runner.jar or script-runner.jar"
)


def read_step(text: str) -> Step:
    """A step's text; raises ValueError."""
    jar, *arguments = split_arguments(text)
    return read_jar(jar.strip(), None, arguments)


def read_jar(jar: str, main_class: str | None, arguments: Sequence[str]) -> Step:
    """A jar, its class where it is named, and its arguments; raises ValueError."""
    _check_jar(jar)
    for argument in arguments:
        if "\0" in argument:
            raise ValueError(f"found a NUL character in {argument!r}, wanted text without")
    whole = [*([main_class] if main_class else []), *arguments]
    return Step(jar=jar, main_class=main_class, arguments=tuple(arguments), work=_work(jar, whole))


def split_arguments(text: str) -> list[str]:
    """A step's parts; at least one, which may be empty."""
    parts, start, current = [], 0, ""
    for match in _SEPARATOR.finditer(text):
        current += text[start : match.start()]
        start = match.end()
        if backslashes := match[1]:
            current += backslashes[2:] + ","
        else:
            parts.append(current)
            current = ""
    return [*parts, current + text[start:]]


def join_arguments(parts: Sequence[str]) -> str:
    """What `split_arguments` takes apart again; only the last part may end with a backslash."""
    return ",".join(part.replace(",", r"\\,") for part in parts)


def _check_jar(jar: str) -> None:
    name = PurePosixPath(jar).name
    known = name in {COMMAND_RUNNER, SCRIPT_RUNNER} or _STREAMING.fullmatch(name)
    if not (known or jar.startswith("/") or _SCHEME.match(jar)):
        raise ValueError(f"found {jar!r} for a jar, {_FORM}")
    if any(mark in jar for mark in "\0\n\r"):
        raise ValueError(f"found a line end or NUL in {jar!r}, {_FORM}")


def _work(jar: str, arguments: Sequence[str]) -> Work:
    name = PurePosixPath(jar).name
    if name == COMMAND_RUNNER:
        return _command(arguments)
    if name == SCRIPT_RUNNER:
        return _script(arguments)
    if _STREAMING.fullmatch(name):
        return read_streaming(jar, arguments)
    if arguments and (match := _DYNAMODB.fullmatch(arguments[0])):
        return _dynamodb(match[1].lower() == "export", arguments)
    if arguments and _CLASS.fullmatch(arguments[0]):
        return RunJar(jar=jar, main_class=arguments[0], arguments=tuple(arguments[1:]))
    return RunJar(jar=jar, arguments=tuple(arguments))


def _command(argv: Sequence[str]) -> Work:
    if not argv or not argv[0]:
        raise ValueError(f"found {COMMAND_RUNNER} without a command, wanted {COMMAND_RUNNER},NAME")
    name, *rest = argv
    if name != name.strip():
        wanted = "no blank after the comma"
        raise ValueError(f"found the command {name!r}, wanted {name.strip()!r}: {wanted}")
    if name == "hadoop" and rest[:1] == ["jar"]:
        if len(rest) < 2:
            raise ValueError("found 'hadoop jar' without a jar, wanted hadoop,jar,JAR")
        return _work(rest[1], rest[2:])
    if reader := _COMMANDS.get(name):
        return reader(rest) or RunCommand(argv=tuple(argv))
    return RunCommand(argv=tuple(argv))


def _script(arguments: Sequence[str]) -> Work:
    if not arguments or not arguments[0]:
        wanted = f"wanted {SCRIPT_RUNNER},SCRIPT,ARGUMENT,..."
        raise ValueError(f"found {SCRIPT_RUNNER} without a script, {wanted}")
    script, *rest = arguments
    if reader := _SCRIPTS.get(PurePosixPath(script).name):
        return reader(rest)
    if not (script.startswith("/") or _SCHEME.match(script)):
        raise ValueError(
            f"found the script {script!r}, wanted its URI or its path: s3://... or /..."
        )
    return RunScript(script=script, arguments=tuple(rest))


def _hive_script(options: Sequence[str]) -> Work:
    """EMR's hive-script: `--run-hive-script --args -f SCRIPT -d NAME=VALUE`."""
    if not _runs(options, "hive"):
        return RunNothing(what="installation of Hive")
    return _hive(_after_args(options, "hive"))


def _pig_script(options: Sequence[str]) -> Work:
    """EMR's pig-script: `--run-pig-script --args -f SCRIPT -p NAME=VALUE`."""
    if not _runs(options, "pig"):
        return RunNothing(what="installation of Pig")
    return _pig(_after_args(options, "pig"))


def _runs(options: Sequence[str], name: str) -> bool:
    before = options[: options.index("--args")] if "--args" in options else options
    if f"--run-{name}-script" in before:
        return True
    if any(option.startswith(f"--install-{name}") for option in before):
        return False
    form = f"{name}-script,--run-{name}-script,--args,-f,SCRIPT"
    raise ValueError(f"found {name}-script without --run-{name}-script, wanted {form}")


def _after_args(options: Sequence[str], name: str) -> Sequence[str]:
    if "--args" in options:
        return options[options.index("--args") + 1 :]
    form = f"{name}-script,--run-{name}-script,--args,-f,SCRIPT"
    raise ValueError(f"found --run-{name}-script without --args, wanted {form}")


def _hive(options: Sequence[str]) -> RunHive:
    given = read_pairs(
        options,
        file=("-f", "--file"),
        pairs={
            "variables": ("-d", "--define", "-hivevar", "--hivevar"),
            "properties": ("-hiveconf", "--hiveconf"),
        },
        what="hive",
    )
    return RunHive(
        script=given.file, variables=given.of("variables"), properties=given.of("properties")
    )


def _pig(options: Sequence[str]) -> RunPig:
    given = read_pairs(
        options,
        file=("-f", "-file"),
        pairs={"parameters": ("-p", "-param")},
        what="pig",
    )
    return RunPig(script=given.file, parameters=given.of("parameters"))


def _or_none(read: Callable[..., Work]) -> Callable[[Sequence[str]], Work | None]:
    """As a plain command the program may have any options: then nothing more is known of it."""

    def read_command(options: Sequence[str]) -> Work | None:
        try:
            return read(options)
        except ValueError:
            return None

    return read_command


def _spark(arguments: Sequence[str]) -> Work:
    if not arguments:
        raise ValueError("found spark-submit without an application, wanted spark-submit,FILE")
    return RunSpark(arguments=tuple(arguments))


def _dynamodb(is_export: bool, arguments: Sequence[str]) -> Work:
    name, *rest = arguments
    short = name.rpartition(".")[2]
    if not 2 <= len(rest) <= 4 or not all(rest[:2]):
        wanted = f"wanted {short},PATH,TABLE[,RATIO[,SEGMENTS]]"
        raise ValueError(
            f"found {len(rest)} arguments ({', '.join(map(repr, rest))}) of {short}, {wanted}"
        )
    path, table, ratio, segments = [*rest, "", ""][:4]
    return RunDynamoDb(
        is_export=is_export,
        path=path,
        table=table,
        ratio=_ratio(ratio, short) if ratio else None,
        segments=_segments(segments, short) if segments else None,
        main_class=name,
    )


def _ratio(text: str, short: str) -> float:
    wanted = "wanted a number above 0, at most 1.5: the share of the table's throughput"
    try:
        ratio = float(text)
    except ValueError:
        ratio = 0.0
    if not 0 < ratio <= 1.5:
        raise ValueError(f"found the ratio {text!r} of {short}, {wanted}")
    return ratio


def _segments(text: str, short: str) -> int:
    if not re.fullmatch(r"[0-9]{1,7}", text) or not 1 <= int(text) <= 1_000_000:
        wanted = "wanted a whole number from 1 to 1000000"
        raise ValueError(f"found {text!r} segments for {short}, {wanted}")
    return int(text)


def _streaming_command(arguments: Sequence[str]) -> Work:
    return read_streaming("hadoop-streaming.jar", arguments)


_SCRIPTS: dict[str, Callable[[Sequence[str]], Work]] = {
    "hive-script": _hive_script,
    "pig-script": _pig_script,
}
_COMMANDS: dict[str, Callable[[Sequence[str]], Work | None]] = {
    **_SCRIPTS,
    "hadoop-streaming": _streaming_command,
    "spark-submit": _spark,
    "hive": _or_none(_hive),
    "pig": _or_none(_pig),
}
