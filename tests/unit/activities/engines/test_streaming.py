from __future__ import annotations

import bz2
import gzip

import pytest

from taskrunner.activities.emr import EmrActivity
from taskrunner.errors import PathNotAllowed, TaskError
from taskrunner.testing import ActivityEnvironment, new_task
from tests.unit.activities.engines.host import environment

_SPLIT = "#!/bin/sh\nexec tr ' ' '\\n'\n"


def _step(*options: str) -> str:
    return ",".join(("/home/hadoop/contrib/streaming/hadoop-streaming.jar", *options))


def _run(found: ActivityEnvironment, *options: str) -> None:
    found.run(EmrActivity(), new_task("EmrActivity", {"step": _step(*options)}))


def _results(found: ActivityEnvironment, folder: str) -> dict[str, bytes]:
    return {
        info.uri.removeprefix(folder): found.read(info.uri) for info in found.objects.list(folder)
    }


def test_words_are_counted() -> None:
    with environment("local") as found:
        found.put("s3://in/words/a.txt", "b a b\n")
        found.put("s3://in/words/b.txt.gz", gzip.compress(b"a c\n"))
        found.put("s3://in/words/c.bz2", bz2.compress(b"c\n"))
        found.put("s3://in/words/_SUCCESS", "not this\n")
        found.put("s3://in/words/deeper/x.txt", "nor this\n")
        found.put(
            "s3://code/split.py", "#!/bin/sh\ntr ' ' '\\n' | sed 's/.*/LongValueSum:&\\t1/'\n"
        )
        _run(
            found,
            *("-input", "s3n://in/words/", "-output", "s3://out/run"),
            *("-mapper", "s3n://code/split.py", "-reducer", "aggregate"),
        )
        assert _results(found, "s3://out/") == {
            "run/_SUCCESS": b"",
            "run/part-00000": b"a\t2\nb\t2\nc\t2\n",
        }


def test_programs_come_along_and_know_their_environment() -> None:
    with environment("local") as found:
        found.put("s3://in/x/1", "k b\nk a\n")
        found.put("s3://code/split.sh", _SPLIT)
        found.put("s3://code/old", '#!/bin/sh\nread line; echo "$line,$a_b,$V,$1"; cat\n')
        _run(
            found,
            *("-D", "a.b=prop", "-cmdenv", "V=var", "-files"),
            "s3://code/split.sh\\\\,s3://code/old#new.sh",
            *("-input", "s3://in/x/*", "-output", "s3://out/r/"),
            *("-mapper", "split.sh", "-reducer", "new.sh 'one word' x", "-combiner", "/never/run"),
            *("-numReduceTasks", "2"),
        )
        counted = b"a,prop,var,one word\t\nb\t\nk\t\nk\t\n"
        assert found.read("s3://out/r/part-00000") == counted
        assert "One reducer runs instead of 2" in found.messages


def test_without_a_reducer_each_input_has_an_output() -> None:
    with environment("local") as found:
        found.put("s3://in/x/1", "b\t2\r\n")
        found.put("s3://in/x/2", "a\n")
        identity = "org.apache.hadoop.mapred.lib.IdentityMapper"
        _run(
            found,
            *("-input", "s3://in/x/1\\\\,s3://in/x/2", "-output", "s3://out/r"),
            *("-mapper", identity, "-reducer", "NONE"),
        )
        assert _results(found, "s3://out/r/") == {
            "_SUCCESS": b"",
            "part-00000": b"b\t2\n",
            "part-00001": b"a\t\n",
        }


def test_keys_are_sorted_by_their_bytes_and_values_keep_their_order() -> None:
    with environment("local") as found:
        found.put("s3://in/x", "é\t1\nb\t2\nB\t3\nb\t1\n".encode())
        _run(found, "-input", "s3://in/x", "-output", "s3://out/r", "-mapper", "cat")
        assert found.read("s3://out/r/part-00000") == "B\t3\nb\t2\nb\t1\né\t1\n".encode()


def test_an_output_that_is_there_is_left_alone() -> None:
    with environment("local") as found:
        found.put("s3://in/x", "a\n")
        found.put("s3://out/r/part-00000", "kept")
        with pytest.raises(TaskError, match="output s3://out/r/ is there already"):
            _run(found, "-input", "s3://in/x", "-output", "s3://out/r", "-mapper", "cat")
        assert found.read("s3://out/r/part-00000") == b"kept"


def test_a_program_that_fails_publishes_nothing() -> None:
    with environment("local") as found:
        found.put("s3://in/x", "a\n")
        with pytest.raises(TaskError, match=r"^streaming, mapper sh -c .*exited with 4: sorry"):
            _run(
                found,
                *("-input", "s3://in/x", "-output", "s3://out/r"),
                *("-mapper", 'sh -c "echo sorry >&2; exit 4"'),
            )
        assert _results(found, "s3://out/") == {}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("-input", "s3://in/none", "-mapper", "cat"), "there is no input in s3://in/none"),
        (("-input", "s3://in/y.snappy", "-mapper", "cat"), "s3://in/y.snappy is compressed in a w"),
        (("-input", "s3://in/x", "-mapper", "'x"), 'found the program "\'x", wanted a command'),
        (("-input", "s3://in/x", "-mapper", "cat", "-file", "s3://in/none"), "no such object"),
        (("-input", "s3://in/x", "-mapper", "cat", "-file", "s3://in/"), "it names a folder"),
        (("-input", "s3://in/x", "-mapper", "cat", "-file", "s3://in/x#.."), "the name of a file"),
    ],
)
def test_what_is_missing_is_named(options: tuple[str, ...], found: str) -> None:
    with environment("local") as there:
        there.put("s3://in/x", "a\n")
        there.put("s3://in/y.snappy", "a\n")
        with pytest.raises(TaskError, match=found):
            _run(there, "-output", "s3://out/r", *options)


@pytest.mark.parametrize(
    "options",
    [
        ("-mapper", "org.example.jobs.MyMapper"),
        ("-mapper", "cat", "-reducer", "org.example.jobs.MyReducer"),
        ("-mapper", "cat", "-inputformat", "org.x.Y"),
        ("-mapper", "cat", "-D", "stream.num.map.output.key.fields=2"),
    ],
)
def test_what_only_hadoop_can_do_is_refused_before_anything_starts(
    options: tuple[str, ...],
) -> None:
    with environment("local") as there:
        with pytest.raises(TaskError, match="needs Hadoop"):
            _run(there, "-input", "s3://in/x", "-output", "s3://out/r", *options)
        assert there.messages == []


def test_a_program_may_leave_its_input_unread() -> None:
    with environment("local") as found:
        found.put("s3://in/x", "a\n" * 100_000)
        _run(found, "-input", "s3://in/x", "-output", "s3://out/r", "-mapper", "head -n 1")
        assert found.read("s3://out/r/part-00000") == b"a\t\n"


def test_a_file_of_the_host_is_refused_unless_the_operator_allows_it() -> None:
    with environment("local") as found:
        found.put("s3://in/x", "a\n")
        with pytest.raises(PathNotAllowed, match="'/etc/passwd' may not be opened"):
            _run(
                found,
                *("-input", "s3://in/x", "-output", "s3://out/r"),
                *("-mapper", "cat", "-file", "/etc/passwd"),
            )
