from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.steps.reader import join_arguments, read_jar, read_step, split_arguments
from taskrunner.model.steps.works import (
    RunCommand,
    RunDynamoDb,
    RunHive,
    RunJar,
    RunNothing,
    RunPig,
    RunScript,
    RunSpark,
    RunStreaming,
    Work,
)

_RUNNER = "s3://us-east-1.elasticmapreduce/libs/script-runner/script-runner.jar"
_HIVE = f"{_RUNNER},s3://us-east-1.elasticmapreduce/libs/hive/hive-script"
_PIG = f"{_RUNNER},s3://us-east-1.elasticmapreduce/libs/pig/pig-script"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a,,b,", ["a", "", "b", ""]),
        (r"a,1\,2", ["a", "1,2"]),
        (r"a,1\\,2,3", ["a", "1,2", "3"]),
        (r"a,1\\\,2", ["a", r"1\,2"]),
        (r"a,C:\temp,b\n", ["a", r"C:\temp", r"b\n"]),
        (r"a,ends\\", ["a", r"ends\\"]),
    ],
)
def test_commas_separate_unless_escaped(text: str, parts: list[str]) -> None:
    assert split_arguments(text) == parts


_ARGUMENT = st.text(st.sampled_from("ab,\\ \n=-é")).filter(lambda text: not text.endswith("\\"))


@given(st.lists(_ARGUMENT, min_size=1))
def test_what_is_joined_comes_apart_again(parts: list[str]) -> None:
    assert split_arguments(join_arguments(parts)) == parts


@given(st.text(st.sampled_from("ab,\\")))
def test_no_character_but_escapes_and_separators_is_lost(text: str) -> None:
    kept = "".join(split_arguments(text))
    assert kept.replace(",", "").replace("\\", "") == text.replace(",", "").replace("\\", "")
    assert len(kept) >= len(text) - 2 * text.count(",")


_MORE_HIVE = "--hivevar,C=3,-hiveconf,hive.exec.parallel=true"
_EXPORT = "org.apache.hadoop.dynamodb.tools.DynamoDbExport"
_WORKS: list[tuple[str, Work]] = [
    (
        "s3://bucket/jobs/count.jar,com.example.Count,s3://b/in,s3://b/out",
        RunJar(
            jar="s3://bucket/jobs/count.jar",
            main_class="com.example.Count",
            arguments=("s3://b/in", "s3://b/out"),
        ),
    ),
    ("/opt/x.jar,teragen,10", RunJar(jar="/opt/x.jar", arguments=("teragen", "10"))),
    ("s3://bucket/x.jar", RunJar(jar="s3://bucket/x.jar")),
    ("command-runner.jar,aws,s3,ls", RunCommand(argv=("aws", "s3", "ls"))),
    (
        r'command-runner.jar,bash,-c,"echo a\\, b"',
        RunCommand(argv=("bash", "-c", '"echo a, b"')),
    ),
    (
        "command-runner.jar,spark-submit,--class,org.example.Pi,/usr/lib/x.jar,100",
        RunSpark(arguments=("--class", "org.example.Pi", "/usr/lib/x.jar", "100")),
    ),
    (
        "command-runner.jar,hadoop,jar,/x.jar,com.example.Main,1",
        RunJar(jar="/x.jar", main_class="com.example.Main", arguments=("1",)),
    ),
    (
        f"{_RUNNER},s3://b/job.sh,-t=x,import",
        RunScript(script="s3://b/job.sh", arguments=("-t=x", "import")),
    ),
    (f"{_PIG},--base-path,s3://x/,--install-pig", RunNothing(what="installation of Pig")),
    (f"{_HIVE},--install-hive,--hive-versions,1.1", RunNothing(what="installation of Hive")),
    (
        f"{_PIG},--base-path,s3://x/,--run-pig-script,--args,-f,s3://b/x.pig,-p,A=1,-p,B=s3://b/=",
        RunPig(script="s3://b/x.pig", parameters=(("A", "1"), ("B", "s3://b/="))),
    ),
    (
        f"{_HIVE},--run-hive-script,--base-path,x,--args,-f,s3://b/x.q,-d,A=1,-dB=,{_MORE_HIVE}",
        RunHive(
            script="s3://b/x.q",
            variables=(("A", "1"), ("B", ""), ("C", "3")),
            properties=(("hive.exec.parallel", "true"),),
        ),
    ),
    (
        "command-runner.jar,hive-script,--run-hive-script,--args,-f,s3://b/x.q",
        RunHive(script="s3://b/x.q"),
    ),
    ("command-runner.jar,hive,-f,/x.q,-d,A=1", RunHive(script="/x.q", variables=(("A", "1"),))),
    (
        "command-runner.jar,hive,-e,show tables",
        RunCommand(argv=("hive", "-e", "show tables")),
    ),
    ("command-runner.jar,pig,-x,local,a.pig", RunCommand(argv=("pig", "-x", "local", "a.pig"))),
    (
        f"s3://d/emr-ddb-2.1.0.jar,{_EXPORT},s3://b/o,Users,0.25",
        RunDynamoDb(
            is_export=True,
            path="s3://b/o",
            table="Users",
            ratio=0.25,
            main_class=_EXPORT,
        ),
    ),
    (
        "command-runner.jar,hadoop,jar,/ddb.jar,org.x.DynamoDBImport,s3://b/o,Users,,8",
        RunDynamoDb(
            is_export=False,
            path="s3://b/o",
            table="Users",
            segments=8,
            main_class="org.x.DynamoDBImport",
        ),
    ),
]


@pytest.mark.parametrize(("text", "work"), _WORKS, ids=[str(work) for _, work in _WORKS])
def test_what_a_step_asks_for(text: str, work: Work) -> None:
    step = read_step(text)
    assert step.work == work
    assert (step.jar, *step.arguments) == tuple(split_arguments(text))


def test_a_class_beside_the_jar_comes_before_the_arguments() -> None:
    step = read_jar("s3://b/x.jar", "com.example.Main", ["a,b"])
    assert step.work == RunJar(
        jar="s3://b/x.jar", main_class="com.example.Main", arguments=("a,b",)
    )
    assert (step.main_class, step.arguments) == ("com.example.Main", ("a,b",))


def test_streaming_with_all_that_is_run_without_hadoop() -> None:
    step = read_step(
        "/home/hadoop/contrib/streaming/hadoop-streaming.jar,-D,mapred.reduce.tasks=3,-Da.b=c,"
        "-files,s3://b/split.py\\\\,s3://b/x.py#y.py,-input,s3://b/in/,-input,s3://b/more\\\\,/in,"
        "-output,s3://b/out,-mapper,split.py -v,-combiner,sum.py,-cmdenv,LANG=C,-verbose,"
        "-file,/z"
    )
    assert step.work == RunStreaming(
        mapper="split.py -v",
        reducer="cat",
        combiner="sum.py",
        inputs=("s3://b/in/", "s3://b/more", "/in"),
        output="s3://b/out",
        files=("s3://b/split.py", "s3://b/x.py#y.py", "/z"),
        environment=(("LANG", "C"),),
        properties=(("mapred.reduce.tasks", "3"), ("a.b", "c")),
        reducers=3,
        jar=step.jar,
        arguments=step.arguments,
    )


@pytest.mark.parametrize("name", ["hadoop-streaming.jar", "hadoop-2.7.3-streaming.jar"])
@pytest.mark.parametrize("more", ["-reducer,NONE", "-numReduceTasks,0,-reducer,x"])
def test_streaming_without_a_reducer(name: str, more: str) -> None:
    step = read_step(f"/x/{name},-input,a,-output,b,-mapper,cat,{more}")
    assert isinstance(step.work, RunStreaming)
    assert step.work.reducer is None


@pytest.mark.parametrize("jar", ["hadoop-streaming-3.3.4.jar", "hadoop-streaming-2.7.3-amzn-1.jar"])
def test_names_of_streaming_jars(jar: str) -> None:
    work = read_step(f"/usr/lib/{jar},-input,a,-output,b,-mapper,m,-inputformat,X").work
    assert isinstance(work, RunStreaming)
    assert work.others == (("-inputformat", "X"),)


def test_streaming_as_a_command_of_the_master_node() -> None:
    work = read_step("command-runner.jar,hadoop-streaming,-input,a,-output,b,-mapper,m").work
    assert isinstance(work, RunStreaming)
    assert work.jar == "hadoop-streaming.jar"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "found '' for a jar, wanted JAR,ARGUMENT"),
        ("step 1", "found 'step 1' for a jar, wanted JAR,ARGUMENT"),
        (",a", "found '' for a jar"),
        ("x.jar,a", "found 'x.jar' for a jar"),
        ("s3://b/x\n.jar", "found a line end or NUL"),
        ("s3://b/x.jar,a\0", "found a NUL character"),
        ("command-runner.jar", "without a command, wanted command-runner.jar,NAME"),
        ("command-runner.jar, spark-submit,x", "wanted 'spark-submit': no blank after the comma"),
        ("command-runner.jar,spark-submit", "without an application"),
        ("command-runner.jar,hadoop,jar", "'hadoop jar' without a jar"),
        (_RUNNER, "without a script, wanted script-runner.jar,SCRIPT"),
        (f"{_RUNNER},job.sh", "found the script 'job.sh', wanted its URI or its path"),
        (f"{_HIVE},--args,-f,x", "hive-script without --run-hive-script, wanted hive-script,--run"),
        (f"{_HIVE},--run-hive-script,-f,x", "--run-hive-script without --args"),
        (f"{_HIVE},--run-hive-script,--args,-d,A=1", "found 0 scripts for hive, wanted one"),
        (f"{_HIVE},--run-hive-script,--args,-f,a,-f,b", "found 2 scripts for hive"),
        (f"{_HIVE},--run-hive-script,--args,-f", "found -f without a value"),
        (f"{_HIVE},--run-hive-script,--args,-f,a,-d,A", "found 'A' after -d of hive, wanted NAME="),
        (f"{_HIVE},--run-hive-script,--args,-f,a,-x", "found the option '-x' of hive, wanted one"),
        (f"{_PIG},--run-pig-script,--args,-p,A=1", "found 0 scripts for pig"),
        ("/hadoop-streaming.jar,-input,a,-output,b", "found streaming without -mapper, wanted"),
        ("/hadoop-streaming.jar,-input,,-output,b,-mapper,m", "found streaming without -input"),
        ("/hadoop-streaming.jar,-input", "found -input without a value"),
        ("/hadoop-streaming.jar,in,out", "found the option 'in' of streaming"),
        (
            "/hadoop-streaming.jar,-input,a,-output,b,-mapper,m,-mapper,n",
            r"found -mapper 2 times \('m', 'n'\), wanted one",
        ),
        (
            "/hadoop-streaming.jar,-input,a,-output,b,-mapper,m,-numReduceTasks,two",
            "found 'two' for the number of reducers",
        ),
        ("/d.jar,org.DynamoDBExport,s3://b", r"found 1 arguments \('s3://b'\) of DynamoDBExport"),
        ("/d.jar,org.DynamoDBExport,s3://b,", "wanted DynamoDBExport,PATH,TABLE"),
        (
            "/d.jar,DynamoDBImport,s3://b,T,0",
            "found the ratio '0' of DynamoDBImport, wanted a numb",
        ),
        ("/d.jar,DynamoDBImport,s3://b,T,x", "found the ratio 'x'"),
        ("/d.jar,DynamoDBImport,s3://b,T,nan", "found the ratio 'nan'"),
        ("/d.jar,DynamoDBImport,s3://b,T,1,0", "found '0' segments for DynamoDBImport"),
    ],
)
def test_what_cannot_be_read_is_said_with_what_is_wanted(text: str, found: str) -> None:
    with pytest.raises(ValueError, match=found) as caught:
        read_step(text)
    assert "\n" not in str(caught.value)
    assert "wanted" in str(caught.value)


_WORD = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [
            *("command-runner.jar", "/x/script-runner.jar", "hadoop-streaming.jar", "s3://b/x.jar"),
            *("hive-script", "pig-script", "hadoop", "jar", "hive", "pig", "spark-submit", "-D"),
            *("--run-hive-script", "--run-pig-script", "--args", "-f", "-d", "A=1", "-p", "-input"),
            *("-output", "-mapper", "-reducer", "-files", "-dA=1", "org.x.DynamoDBExport", "-Dx"),
        ]
    ),
)


def _said(text: str) -> tuple[str, str]:
    try:
        return "", str(read_step(text).work)
    except ValueError as error:
        return type(error).__name__, str(error)


@given(st.lists(_WORD, min_size=1, max_size=12))
def test_any_text_is_a_step_or_one_sentence(parts: list[str]) -> None:
    error, text = _said(",".join(parts))
    assert error in {"", "ValueError"}
    assert text
    if error:
        assert "wanted" in text
        assert "\n" not in text
