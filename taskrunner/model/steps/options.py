"""The options of the programs that steps call: of Hadoop streaming, of hive and of pig."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from taskrunner.model.steps.works import Pairs, RunStreaming

_NAME = re.compile(r"[A-Za-z_][\w.:-]*")
#: Options of streaming that have a value, by what becomes of it.
_VALUED = {
    "-input": "input",
    "-output": "output",
    "-mapper": "mapper",
    "-reducer": "reducer",
    "-combiner": "combiner",
    "-file": "file",
    "-files": "files",
    "-cacheFile": "file",
    "-cmdenv": "environment",
    "-D": "property",
    "-jobconf": "property",
    "-numReduceTasks": "reducers",
    **dict.fromkeys(
        (
            "-inputformat",
            "-outputformat",
            "-partitioner",
            "-inputreader",
            "-io",
            "-libjars",
            "-archives",
            "-cacheArchive",
            "-conf",
            "-fs",
            "-jt",
            "-mapdebug",
            "-reducedebug",
        ),
        "other",
    ),
}
_FLAGS = {"-verbose", "-lazyOutput", "-background"}
#: Names of the property that says how many reducers there are.
REDUCERS = ("mapreduce.job.reduces", "mapred.reduce.tasks")
_STREAMING_FORM = "wanted -input URI -output URI -mapper COMMAND [-reducer COMMAND]"


@dataclass(frozen=True, slots=True)
class Given:
    """What hive or pig was told."""

    file: str
    pairs: Mapping[str, Pairs] = field(default_factory=dict)

    def of(self, name: str) -> Pairs:
        """The pairs that were given by the options of this name."""
        return self.pairs.get(name, ())


def read_pairs(
    options: Sequence[str],
    *,
    file: Sequence[str],
    pairs: Mapping[str, Sequence[str]],
    what: str,
) -> Given:
    """One script, and names with values; raises ValueError."""
    meaning = {option: name for name, names in pairs.items() for option in names}
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in pairs}
    files: list[str] = []
    for option, value in _with_values(options, {*file, *meaning}, what):
        if option in file:
            files.append(value)
        else:
            found[meaning[option]].append(pair(value, f"after {option} of {what}"))
    if len(files) != 1 or not files[0]:
        raise ValueError(f"found {len(files)} scripts for {what}, wanted one: {file[0]},SCRIPT")
    return Given(files[0], {name: tuple(items) for name, items in found.items()})


def _with_values(options: Sequence[str], known: set[str], what: str) -> Iterator[tuple[str, str]]:
    rest = iter(options)
    for option in rest:
        # A short option may have its value at once: -dNAME=VALUE.
        short = option[:2] if option[:2] in known and option not in known else ""
        if short and not option.startswith("--"):
            yield short, option[2:]
        elif option not in known:
            wanted = ", ".join(sorted(known))
            raise ValueError(f"found the option {option!r} of {what}, wanted one of {wanted}")
        else:
            yield option, _value(rest, option)


def pair(text: str, where: str) -> tuple[str, str]:
    """NAME=VALUE; raises ValueError."""
    name, equals, value = text.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise ValueError(f"found {text!r} {where}, wanted NAME=VALUE")
    return name, value


def read_streaming(jar: str, arguments: Sequence[str]) -> RunStreaming:
    """The options of Hadoop streaming; raises ValueError."""
    found: dict[str, list[str]] = {}
    others: list[tuple[str, str]] = []
    for option, value in _streaming_options(arguments):
        meaning = _VALUED[option]
        if meaning == "other":
            others.append((option, value))
        elif meaning in {"files", "input"}:
            found.setdefault(meaning.removesuffix("s"), []).extend(value.split(","))
        else:
            found.setdefault(meaning, []).append(value)
    for needed in ("input", "output", "mapper"):
        if not any(found.get(needed, ())):
            raise ValueError(f"found streaming without -{needed}, {_STREAMING_FORM}")
    for single in ("output", "mapper", "reducer", "combiner"):
        if len(found.get(single, ())) > 1:
            given = ", ".join(map(repr, found[single]))
            raise ValueError(f"found -{single} {len(found[single])} times ({given}), wanted one")
    properties = tuple(pair(text, "after -D") for text in found.get("property", ()))
    reducers = _reducers(found.get("reducers", []), properties)
    reducer = next(iter(found.get("reducer", ())), None)
    return RunStreaming(
        mapper=found["mapper"][0],
        reducer=None if reducers == 0 or reducer == "NONE" else reducer or "cat",
        combiner=next(iter(found.get("combiner", ())), None),
        inputs=tuple(filter(None, found["input"])),
        output=found["output"][0],
        files=tuple(filter(None, found.get("file", ()))),
        environment=tuple(pair(text, "after -cmdenv") for text in found.get("environment", ())),
        properties=properties,
        reducers=reducers,
        others=tuple(others),
        jar=jar,
        arguments=tuple(arguments),
    )


def _streaming_options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    rest = iter(arguments)
    for option in rest:
        if option.startswith("-D") and "=" in option:
            yield "-D", option[2:]
        elif option in _VALUED:
            yield option, _value(rest, option)
        elif option not in _FLAGS:
            raise ValueError(f"found the option {option!r} of streaming, {_STREAMING_FORM}")


def _value(rest: Iterator[str], option: str) -> str:
    value = next(rest, None)
    if value is None:
        raise ValueError(f"found {option} without a value, wanted one after it")
    return value


def _reducers(given: Sequence[str], properties: Pairs) -> int:
    named = [value for name, value in properties if name in REDUCERS]
    text = ([*named, *given] or ["1"])[-1]
    if not re.fullmatch("[0-9]{1,6}", text):
        raise ValueError(f"found {text!r} for the number of reducers, wanted a whole number")
    return int(text)
