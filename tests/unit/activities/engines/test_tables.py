from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.activities.engines.tables import stage_hive, stage_pig
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.document import PipelineObject, Value
from taskrunner.model.task import Task
from taskrunner.testing import Ref, new_object, new_task

_CSV = new_object("F", "CSV", {"column": ["id INT, price DECIMAL(10,2)", "name"]})


def _node(
    name: str, fields: dict[str, Value] | None = None, *, kind: str = "S3DataNode"
) -> PipelineObject:
    given = {"directoryPath": f"s3://b/{name}", "dataFormat": Ref("F"), **(fields or {})}
    return new_object(name, kind, {key: value for key, value in given.items() if value != ""})


def _task(*others: PipelineObject, **fields: Value) -> Task:
    given = {"input": Ref("In"), "output": Ref("Out"), **fields}
    return new_task("HiveActivity", given, *others)


def _named(text: str) -> str:
    return re.sub(r"taskrunner_(input|output)(\d)_[0-9a-f]{12}", r"\1\2_X", text)


def test_the_tables_of_a_script_are_made_before_it_and_dropped_after_it() -> None:
    task = _task(_node("In"), _node("Out"), _CSV)
    staged = stage_hive(task, "INSERT OVERWRITE TABLE ${output1} SELECT * FROM ${hivevar:input1}")
    layout = (
        "(`id` INT, `price` DECIMAL(10,2), `name` STRING)\n"
        "ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' ESCAPED BY '\\\\' "
        "LINES TERMINATED BY '\\n'\nSTORED AS TEXTFILE\n"
    )
    assert _named(staged.text) == (
        "DROP TABLE IF EXISTS `output1_X`;\n"
        f"CREATE EXTERNAL TABLE `output1_X` {layout}LOCATION 's3://b/Out/';\n"
        "DROP TABLE IF EXISTS `input1_X`;\n"
        f"CREATE EXTERNAL TABLE `input1_X` {layout}LOCATION 's3://b/In/';\n"
        "INSERT OVERWRITE TABLE `output1_X` SELECT * FROM `input1_X`\n;\n"
        "DROP TABLE IF EXISTS `output1_X`;\n"
        "DROP TABLE IF EXISTS `input1_X`;\n"
    )
    assert staged.changed


def test_each_attempt_of_an_instance_has_the_same_tables() -> None:
    others = (_node("In"), _node("Out"), _CSV)
    texts = {
        stage_hive(
            new_task("HiveActivity", {"input": Ref("In")}, *others, start=start), "${input1}"
        )
        for start in ("2026-01-01T00:00:00", "2026-01-01T00:00:00", "2026-01-02T00:00:00")
    }
    assert len(texts) == 2


def test_a_script_without_variables_is_left_as_it_is() -> None:
    script = "SELECT '${other}', $input1 FROM t"
    task = _task(_node("In", {"dataFormat": ""}), _node("Out"))
    assert stage_hive(task, script).text == stage_pig(task, script).text == script
    assert not stage_hive(task, script).changed


@pytest.mark.parametrize(
    ("separator", "written"),
    [("\\t", r"\011"), (";", r"\073"), ("'", r"\'"), ("|", "|"), ("\\x01", r"\001")],
)
def test_separators_are_written_so_that_hive_reads_them(separator: str, written: str) -> None:
    custom = new_object("F", "Custom", {"columnSeparator": separator, "column": "a"})
    text = stage_hive(_task(_node("In"), _node("Out"), custom), "${input1}").text
    assert f"FIELDS TERMINATED BY '{written}' ESCAPED" in text


def test_a_regular_expression_reads() -> None:
    regex = new_object("F", "RegEx", {"inputRegEx": r"(\d+);'(.*)'", "column": ["a INT", "b"]})
    text = stage_hive(_task(_node("In"), _node("Out"), regex), "${input1}").text
    assert "'org.apache.hadoop.hive.serde2.RegexSerDe'" in text
    assert r"'input.regex' = '(\\d+)\073\'(.*)\''" in text


def test_gzip_of_an_output_is_asked_of_hadoop() -> None:
    task = _task(_node("In", {"compression": "gzip"}), _node("Out", {"compression": "GZIP"}), _CSV)
    assert stage_hive(task, "${input1}").properties == ()
    assert dict(stage_hive(task, "${output1}").properties) == {
        "hive.exec.compress.output": "true",
        "mapreduce.output.fileoutputformat.compress.codec": (
            "org.apache.hadoop.io.compress.GzipCodec"
        ),
    }


@pytest.mark.parametrize(("word", "told"), [("SERVER_SIDE_ENCRYPTION", "true"), ("NONE", "false")])
def test_encryption_of_an_output_is_asked_of_emrs_file_system(word: str, told: str) -> None:
    nodes = (_node("In", {"s3EncryptionType": "NONE"}), _node("Out", {"s3EncryptionType": word}))
    script = "INSERT OVERWRITE TABLE ${output1} SELECT * FROM ${input1}"
    staged = stage_hive(_task(*nodes, _CSV), script)
    assert dict(staged.properties) == {"fs.s3.enableServerSideEncryption": told}
    line = f"SET fs.s3.enableServerSideEncryption {told};"
    assert line in stage_pig(_task(*nodes, _CSV), "${output1} = ${input1};").text


def test_pig_loads_and_stores() -> None:
    tsv = new_object("F", "TSV", {"column": ["id INT", "name chararray", "at TIMESTAMP"]})
    task = _task(_node("In"), _node("Out"), tsv)
    staged = stage_pig(task, "B = LIMIT ${input1} 3; ${output1} = FOREACH B GENERATE id")
    assert staged.text == (
        "input1 = LOAD 's3://b/In/' USING PigStorage('\\u0009') "
        "AS (id:int, name:chararray, at:datetime);\n"
        "B = LIMIT input1 3; output1 = FOREACH B GENERATE id;\n"
        "STORE output1 INTO 's3://b/Out/' USING PigStorage('\\u0009');\n"
    )


def test_pig_is_told_to_compress() -> None:
    task = _task(_node("In"), _node("Out", {"compression": "gzip"}), _CSV)
    assert stage_pig(task, "${output1} = ${input1};").text.startswith(
        "SET output.compression.enabled true;\n"
        "SET output.compression.codec org.apache.hadoop.io.compress.GzipCodec;\n"
        "input1 = LOAD "
    )
    assert "SET" not in stage_pig(task, "DUMP ${input1};").text


@given(st.text())
def test_any_pattern_is_one_text_for_hive(pattern: str) -> None:
    """Between quotes, without a character that would end the text, the line or the statement."""
    regex = new_object("F", "RegEx", {"inputRegEx": pattern or "x", "column": "a"})
    text = stage_hive(_task(_node("In"), _node("Out"), regex), "${input1}").text
    written = text.split("'input.regex' = ")[1].split(")\nSTORED AS")[0]
    literal = re.fullmatch(r"'((?:[^'\\;\n]|\\[0-7]{3}|\\[\\'])*)'", written)
    assert literal is not None
    read = re.sub(
        r"\\([0-7]{3}|.)",
        lambda match: chr(int(match[1], 8)) if len(match[1]) == 3 else match[1],
        literal[1],
    )
    assert read == (pattern or "x")


def test_pig_loads_a_file_and_columns_without_names() -> None:
    node = _node("In", {"dataFormat": "", "directoryPath": "", "filePath": "s3://b/it's"})
    text = stage_pig(_task(node, _node("Out")), "DUMP ${input1};").text
    assert text.startswith(r"input1 = LOAD 's3://b/it\'s' USING PigStorage(',');")


def test_pig_has_no_type_for_every_column() -> None:
    csv = new_object("F", "CSV", {"column": "a MAP<STRING,INT>"})
    with pytest.raises(PermanentTaskError, match="the column 'a' is a MAP<STRING,INT>, which Pig"):
        stage_pig(_task(_node("In"), _node("Out"), csv), "DUMP ${input1};")


@pytest.mark.parametrize(
    ("script", "node", "found"),
    [
        ("${input2}", {}, r"the script has \${input2}, but the field 'input' has 1 data nodes"),
        ("${input0}", {}, "wanted a number from 1 to 1"),
        ("${input1}", {"dataFormat": ""}, "S3DataNode 'In': to be staged as a table it needs a da"),
        ("${input1}", {"directoryPath": "", "filePath": "s3://b/x"}, "needs a directoryPath"),
    ],
)
def test_what_cannot_be_a_table_is_said(script: str, node: dict[str, Value], found: str) -> None:
    task = _task(_node("In", node), _node("Out"), _CSV)
    with pytest.raises(PermanentTaskError, match=found) as caught:
        stage_hive(task, script)
    assert caught.value.error_id == ErrorId.INVALID_FIELD


@pytest.mark.parametrize(
    ("described", "found"),
    [
        (("CSV", {"column": "a b; DROP TABLE x"}), "found 'a b; DROP TABLE x', wanted NAME TYPE"),
        (("CSV", {"column": "`a` INT"}), ""),
        (("CSV", {"column": "a-b INT"}), "found 'a-b INT', wanted NAME TYPE"),
        (("RegEx", {"column": "a", "inputRegEx": "x"}), "RegEx describes what is read"),
        (("RegEx", {"column": "a"}), "no value for the field 'inputRegEx'"),
        (
            ("Custom", {"columnSeparator": ",", "recordSeparator": ";", "column": "a"}),
            "found ';', and Hive knows only the newline",
        ),
    ],
)
def test_formats_that_hive_has_not_are_said(
    described: tuple[str, dict[str, Value]], found: str
) -> None:
    task = _task(_node("In"), _node("Out"), new_object("F", *described))
    script = "${input1} ${output1}"
    if not found:
        assert "(`a` INT)" in stage_hive(task, script).text
        return
    with pytest.raises(PermanentTaskError, match=found):
        stage_hive(task, script)
