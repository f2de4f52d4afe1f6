from __future__ import annotations

import pytest

from taskrunner.data.formats.base import Format
from taskrunner.data.formats.delimited import Csv, Custom, Tsv
from taskrunner.data.formats.registry import format_of
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.model.document import Value
from taskrunner.testing.activity_environment import new_object, new_task


def make(object_type: str, **fields: Value | list[Value]) -> Format:
    task = new_task("CopyActivity", {}, new_object("Format", object_type, fields))
    return format_of(task.object("Format"))


def test_the_defaults_of_each_type() -> None:
    row = [["a,b", "c\td"]]
    assert make("CSV").encode(row) == b"a\\,b,c\td\n"
    assert make("TSV").encode(row) == b"a,b\tc\\\td\n"
    assert make("Custom", columnSeparator="|").encode(row) == b"a,b|c\td\n"
    assert isinstance(format_of(None), Csv)


@pytest.mark.parametrize("spelled", ["\t", r"\t", r"\u0009", r"\x09"])
def test_characters_may_be_spelled(spelled: str) -> None:
    assert make("Custom", columnSeparator=spelled).encode([["a", "b"]]) == b"a\tb\n"


def test_the_escape_character_may_be_another() -> None:
    made = make("CSV", escapeChar="^")
    data = made.encode([["a,b", "c^d", r"\N", None, "\\"]])
    assert data == b"a^,b,c^^d,^\\N,\\N,\\\n"
    assert [list(b) for b in made.decode([data], source="s")] == [
        [["a,b", "c^d", r"\N", None, "\\"]]
    ]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["Name STRING", "Score INT"], ("Name", "Score")),
        (["Name STRING, Score DECIMAL(10,2), Born TIMESTAMP"], ("Name", "Score", "Born")),
        (["`a` INT", '"b" INT', "c"], ("a", "b", "c")),
        ([], ()),
    ],
)
def test_columns_have_names(values: list[Value], names: tuple[str, ...]) -> None:
    assert make("CSV", column=values).columns == names


def test_columns_say_how_wide_rows_are() -> None:
    made = make("CSV", column=["a INT", "b INT"])
    with pytest.raises(Exception, match="row 1 has 3 values, wanted 2"):
        list(made.decode([b"1,2,3\n"], source="s"))


@pytest.mark.parametrize(
    ("object_type", "fields", "words"),
    [
        ("Custom", {}, "'columnSeparator'"),
        ("TSV", {"columnSeparator": "::"}, "single character"),
        ("TSV", {"columnSeparator": ""}, "single character"),
        ("TSV", {"columnSeparator": "\n"}, "must differ"),
        ("TSV", {"columnSeparator": "N"}, "NULL"),
        ("CSV", {"escapeChar": ","}, "must differ"),
        ("CSV", {"columnSeparator": "\\"}, "must differ"),
    ],
)
def test_unusable_formats_are_refused(
    object_type: str, fields: dict[str, Value], words: str
) -> None:
    with pytest.raises(PermanentTaskError, match=words) as caught:
        make(object_type, **fields)
    assert caught.value.error_id == ErrorId.INVALID_FIELD
    assert "'Format'" in str(caught.value)


def test_formats_that_cannot_be_copied_are_named() -> None:
    with pytest.raises(
        PermanentTaskError, match=r"'DynamoDBExportDataFormat'.*CSV, Custom, RegEx, TSV"
    ):
        make("DynamoDBExportDataFormat")


def test_formats_are_equal_when_their_bytes_are() -> None:
    assert make("TSV") == make("Custom", columnSeparator="\t") == Tsv()
    assert make("CSV", column=["a INT"]) == Csv()
    assert Csv() != Tsv()
    assert hash(Csv()) == hash(Custom())
