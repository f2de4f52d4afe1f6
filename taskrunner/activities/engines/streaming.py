r"""Hadoop streaming without Hadoop: mapper, sort and reducer as plain programs on this host.

What the programs see and what comes out is as Hadoop has it: a mapper for each input file, no
carriage return at the end of a line, lines without a tab given one at their end, keys sorted by
their bytes, `part-00000` and `_SUCCESS`. There is always one reducer, since all that more of them
change is in how many files the output lies.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from taskrunner.activities.base import Context
from taskrunner.activities.engines.aggregate import aggregated
from taskrunner.activities.engines.base import Call
from taskrunner.activities.engines.files import s3_uri
from taskrunner.errors import ErrorId, TaskError
from taskrunner.model.steps.works import RunStreaming

_JAVA = re.compile(r"(?:[a-z]\w*\.){2,}[A-Z][\w$]*")
_IDENTITY = re.compile(r"org\.apache\.hadoop\.mapred\.lib\.Identity(Mapper|Reducer)")
#: Properties that change what the programs read and write; `stream.` ones do, but for these.
_HARMLESS = re.compile(r"stream\.(tmpdir|recordreader|non\.zero\.exit|minRecWritten)[\w.]*")
_SUFFIXES = {".gz": "gzip", ".bz2": "bzip2"}
#: What Hadoop would decompress by other codecs.
_OTHER_CODECS = {".deflate", ".lz4", ".lzo", ".snappy", ".zst", ".xz", ".zip"}
#: Reads $1, writes $2; the rest is the program. A line without a tab gets an empty value.
_MAP = r"""set -o pipefail
in=$1 out=$2; shift 2
"$@" < <(LC_ALL=C sed 's/\r$//' "$in") | LC_ALL=C sed $'/\t/!s/$/\t/' > "$out"
"""
_SORT = r"""out=$1; shift
LC_ALL=C sort -s -t $'\t' -k 1,1 -T . -o "$out" "$@"
"""
_GLOB = re.compile(r"[*?\[{]")


def why_not_native(work: RunStreaming) -> str | None:
    """What of a streaming step only Hadoop can do; None where nothing is."""
    programs = [work.mapper, *([work.reducer] if work.reducer else [])]
    for program in programs:
        if _JAVA.fullmatch(program) and not _IDENTITY.fullmatch(program):
            return f"the Java class {program} needs Hadoop"
    for option, value in work.others:
        return f"{option} {value} needs Hadoop"
    for name, _ in work.properties:
        if name.startswith("stream.") and not _HARMLESS.fullmatch(name):
            return f"the property {name} needs Hadoop"
    for uri in work.inputs:
        if _GLOB.search(uri.rpartition("/")[0]):
            return f"the pattern {uri} in a folder's name needs Hadoop"
    return None


class Streaming:
    """One streaming step."""

    def __init__(self, ctx: Context, call: Call, work: RunStreaming) -> None:
        self._ctx = ctx
        self._work = work
        self._folder = f"step{call.number}"
        self._root = ctx.files.root / self._folder
        self._cwd = ctx.files.folder(f"{self._folder}/cwd")
        for name in ("in", "map", "out"):
            ctx.files.folder(f"{self._folder}/{name}")

    def run(self) -> None:
        """Map, sort and reduce, and put the result where it belongs; raises TaskError."""
        self._check_output()
        for uri in self._work.files:
            source, _, name = uri.partition("#")
            self._bring(source, name or PurePosixPath(source).name)
        inputs = list(self._inputs())
        if not inputs:
            named = ", ".join(self._work.inputs)
            raise TaskError(f"there is no input in {named}", error_id=ErrorId.NOT_FOUND)
        mapped = [self._map(number, uri) for number, uri in enumerate(inputs)]
        if self._work.reducer is None:
            self._publish(mapped)
        elif self._work.reducer == "aggregate":
            self._publish_aggregate(self._sorted(mapped))
        else:
            self._publish([self._reduce(self._work.reducer, mapped)])

    def _check_output(self) -> None:
        output = _folder_uri(self._work.output)
        if next(iter(self._ctx.objects.list(output)), None) is not None:
            message = f"the output {output} is there already; a job writes into a new folder"
            raise TaskError(message, error_id=ErrorId.INVALID_FIELD)

    def _bring(self, uri: str, name: str) -> None:
        target = self._cwd / name
        if name in {"", ".", ".."} or "/" in name:
            message = f"-files {uri}: wanted the name of a file, found {name!r}"
            raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
        found = s3_uri(uri) or uri
        self._ctx.files.download(self._ctx.objects, found, target, executable=True)

    def _inputs(self) -> Iterator[str]:
        """The files of all inputs; in a folder those beside others, not those further below."""
        for named in self._work.inputs:
            uri = s3_uri(named) or named
            folder, _, last = uri.rpartition("/")
            if _GLOB.search(last):
                yield from self._files(f"{folder}/", last)
            elif not uri.endswith("/") and self._ctx.objects.stat(uri) is not None:
                yield uri
            else:
                yield from self._files(_folder_uri(uri), "*")

    def _files(self, folder: str, pattern: str) -> Iterator[str]:
        for info in self._ctx.objects.list(folder):
            name = info.uri.removeprefix(folder)
            hidden = not name or name.startswith(("_", "."))
            if not hidden and "/" not in name and PurePosixPath(name).match(pattern):
                yield info.uri

    def _map(self, number: int, uri: str) -> Path:
        self._ctx.check_canceled()
        if PurePosixPath(uri).suffix in _OTHER_CODECS:
            message = (
                f"{uri} is compressed in a way that only Hadoop reads, wanted plain, gz or bz2"
            )
            raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
        source = self._root / "in" / f"{number:05}{PurePosixPath(uri).suffix}"
        self._ctx.files.download(self._ctx.objects, uri, source)
        plain = self._plain(source)
        out = (
            self._root / ("map" if self._work.reducer is not None else "out") / f"part-{number:05}"
        )
        env = {"mapreduce_map_input_file": uri, "map_input_file": uri}
        self._program(self._work.mapper, plain, out, env)
        return out

    def _plain(self, source: Path) -> Path:
        program = _SUFFIXES.get(source.suffix)
        if program is None:
            return source
        self._command([program, "-d", str(source)])
        return source.with_suffix("")

    def _reduce(self, program: str, mapped: Sequence[Path]) -> Path:
        if self._work.reducers > 1:
            self._ctx.log.info("One reducer runs instead of %d", self._work.reducers)
        out = self._root / "out" / "part-00000"
        self._program(program, self._sorted(mapped), out, {})
        return out

    def _sorted(self, mapped: Sequence[Path]) -> Path:
        ordered = self._root / "sorted"
        self._command(["/bin/bash", "-c", _SORT, "sort", str(ordered), *map(str, mapped)])
        return ordered

    def _program(self, text: str, source: Path, target: Path, env: dict[str, str]) -> None:
        argv = self._resolved(_words(text))
        variables = {re.sub(r"\W", "_", name): value for name, value in self._work.properties}
        script = ["/bin/bash", "-c", _MAP, "streaming", str(source), str(target)]
        self._command([*script, *argv], {**variables, **dict(self._work.environment), **env})

    def _resolved(self, argv: list[str]) -> list[str]:
        """The program: the object at a URI, a file that came along, or one of this host."""
        name = argv[0]
        if _IDENTITY.fullmatch(name):
            return ["cat"]
        if s3_uri(name) is not None:
            last = PurePosixPath(name).name
            self._bring(name, last)
            return [f"./{last}", *argv[1:]]
        if "/" not in name and (self._cwd / name).exists():
            return [f"./{name}", *argv[1:]]
        return argv

    def _command(self, argv: Sequence[str], env: dict[str, str] | None = None) -> None:
        result = self._ctx.run_command(argv, env=env, cwd=self._cwd)
        if result.exit_code != 0:
            raise result.error()

    def _publish(self, results: Sequence[Path]) -> None:
        output = _folder_uri(self._work.output)
        for path in results:
            self._ctx.check_canceled()
            self._ctx.files.upload(self._ctx.objects, path, f"{output}{path.name}")
        self._succeeded(output, len(results))

    def _publish_aggregate(self, ordered: Path) -> None:
        output = _folder_uri(self._work.output)
        with (
            self._ctx.files.open(ordered) as lines,
            self._ctx.objects.open_write(f"{output}part-00000") as target,
        ):
            for line in aggregated(lines):
                target.write(line)
        self._succeeded(output, 1)

    def _succeeded(self, output: str, files: int) -> None:
        with self._ctx.objects.open_write(f"{output}_SUCCESS"):
            self._ctx.log.info("%d files in %s", files, output)


def _folder_uri(uri: str) -> str:
    return f"{(s3_uri(uri) or uri).rstrip('/')}/"


def _words(text: str) -> list[str]:
    """A program's command line, split as Hadoop does: at blanks, but for those in quotes."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.escape, lexer.commenters = True, "", ""
    try:
        words = list(lexer)
    except ValueError:
        words = []
    if not words:
        message = f"found the program {text!r}, wanted a command line with its quotes closed"
        raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
    return words
