from __future__ import annotations

import pytest

from taskrunner.data.redshift.nodes import Files
from taskrunner.data.redshift.wanted import Wanted, copy_options, unload_options
from taskrunner.errors import PermanentTaskError
from taskrunner.model.document import Ref, Value
from taskrunner.testing.activity_environment import new_object
from tests.unit.data.redshift.fakes import Fields, request

DEFAULT = r"DELIMITER ',', ESCAPE, NULL AS '\\N'"


def copied(options: list[Value], source: Fields | None = None, **fields: Value) -> Wanted:
    others = [new_object("Tsv", "TSV", {})]
    return copy_options(request(source=source, others=others, commandOptions=options, **fields))


def unloaded(options: list[Value], target: Fields) -> Wanted:
    found = request(source=target, unloads=True, commandOptions=options)
    assert isinstance(found.target, Files)
    return unload_options(found, found.target)


def test_without_options_and_format_files_are_csv_as_everywhere() -> None:
    assert copied([]).shown == DEFAULT


def test_options_are_sent_as_they_are() -> None:
    found = copied(["GZIP CSV"])
    assert (found.shown, found.remarks) == ("GZIP, CSV", ())


def test_options_without_a_format_are_read_as_redshift_does() -> None:
    found = copied(["IGNOREHEADER 1"])
    assert found.shown == "IGNOREHEADER 1"
    assert "separated by '|'" in found.remarks[0]


def test_a_data_format_replaces_the_options_and_says_so() -> None:
    found = copied(["IGNOREHEADER 1"], {"filePath": "s3://b/f", "dataFormat": Ref("Tsv")})
    assert found.shown == r"DELIMITER '" + "\t" + r"', ESCAPE, NULL AS '\\N'"
    assert "commandOptions (IGNOREHEADER) have no effect" in found.remarks[0]


def test_compression_and_manifests_are_said_once() -> None:
    source: Fields = {"manifestFilePath": "s3://b/m", "compression": "gzip"}
    assert copied(["CSV"], source).shown == "CSV, GZIP, MANIFEST"
    assert copied(["CSV GZIP MANIFEST"], source).shown == "CSV, GZIP, MANIFEST"
    beside = copied(["CSV"], {**source, "directoryPath": "s3://b/d"}).remarks
    assert beside == ("directoryPath of 'Files' has no effect beside manifestFilePath",)
    with pytest.raises(PermanentTaskError, match="BZIP2 and GZIP exclude each other"):
        copied(["BZIP2"], source)


def test_what_is_secret_is_not_shown() -> None:
    found = copied(["ENCRYPTED MASTER_SYMMETRIC_KEY 'the-key' CSV"])
    assert "the-key" not in found.shown
    assert "MASTER_SYMMETRIC_KEY 'the-key'" in [option.written for option in found.options]


@pytest.mark.parametrize(
    "text", ["IAM_ROLE 'arn:aws:iam::1:role/r'", "CREDENTIALS 'aws_iam_role=arn:aws:iam::1:role/r'"]
)
def test_a_role_is_taken_out(text: str) -> None:
    found = copied([f"CSV {text}"])
    assert (found.shown, found.role) == ("CSV", "IAM_ROLE 'arn:aws:iam::1:role/r'")


@pytest.mark.parametrize(
    "text", ["ACCESS_KEY_ID 'x'", "SESSION_TOKEN 'x'", "CREDENTIALS 'aws_access_key_id=x'"]
)
def test_keys_are_refused(text: str) -> None:
    with pytest.raises(PermanentTaskError, match=r"'Load'.*'commandOptions':.*IAM_ROLE 'ARN'"):
        copied([text])


def dynamodb(options: list[Value], **node: Value) -> Wanted:
    fields: Fields = {"tableName": "t", **node}
    items = new_object("Items", "DynamoDBDataNode", fields)
    return copy_options(request(others=[items], input=Ref("Items"), commandOptions=options))


def test_a_copy_from_dynamodb() -> None:
    assert dynamodb([], region="us-west-2").shown == "READRATIO 50, REGION 'us-west-2'"
    assert dynamodb(["READRATIO 10", "TRUNCATECOLUMNS"]).shown == "READRATIO 10, TRUNCATECOLUMNS"
    with pytest.raises(PermanentTaskError, match="GZIP is of no use in a COPY from DynamoDB"):
        dynamodb(["GZIP"])
    with pytest.raises(PermanentTaskError, match=r"REGION is 'a', and DynamoDBDataNode 'Items'"):
        dynamodb(["REGION 'a'"], region="b")


def test_a_table_takes_no_options_of_copy() -> None:
    with pytest.raises(PermanentTaskError, match="CSV is an option of COPY"):
        copied(["CSV"], input=Ref("Table"))


def test_an_unload_may_be_repeated() -> None:
    directory: Fields = {"directoryPath": "s3://b/d"}
    assert unloaded([], directory).shown == f"{DEFAULT}, ALLOWOVERWRITE"
    assert unloaded(["CSV CLEANPATH"], directory).shown == "CSV, CLEANPATH"


def test_one_file_is_not_unloaded_in_parallel() -> None:
    file: Fields = {"filePath": "s3://b/f"}
    assert unloaded(["CSV"], file).shown == "CSV, ALLOWOVERWRITE, PARALLEL OFF"
    assert unloaded(["CSV PARALLEL OFF"], file).shown == "CSV, PARALLEL OFF, ALLOWOVERWRITE"
    with pytest.raises(PermanentTaskError, match="PARALLEL ON makes several files"):
        unloaded(["PARALLEL ON"], file)
    with pytest.raises(PermanentTaskError, match="PARTITION BY makes folders"):
        unloaded(["PARTITION BY (a)"], file)
