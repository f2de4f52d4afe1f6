from __future__ import annotations

import pytest

from taskrunner.data.formats.base import Column, Format
from taskrunner.data.formats.delimited import Csv, Custom, Tsv
from taskrunner.data.formats.registry import format_of
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
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
        ("CSV", {"dialect": "excel"}, "found 'excel', wanted aws or rfc4180"),
        ("CSV", {"quote": "'"}, "needs the dialect rfc4180"),
        ("CSV", {"dialect": "rfc4180", "escapeChar": "^"}, "doubles quotes instead"),
        ("TSV", {"dialect": "rfc4180", "recordSeparator": ";"}, "end in newlines"),
        ("CSV", {"dialect": "rfc4180", "quote": ","}, "must differ"),
        ("CSV", {"header": "perhaps"}, "wanted true or"),
        ("CSV", {"charset": "klingon"}, "wanted a character set"),
    ],
)
def test_unusable_formats_are_refused(
    object_type: str, fields: dict[str, Value], words: str
) -> None:
    with pytest.raises(PermanentTaskError, match=words) as caught:
        make(object_type, **fields)
    assert caught.value.error_id == ErrorId.INVALID_FIELD
    assert "'Format'" in str(caught.value)


def test_the_other_dialect() -> None:
    row = [["a,b", "", None, "c\td"]]
    assert make("CSV", dialect="rfc4180").encode(row) == b'"a,b","",,c\td\n'
    assert make("TSV", dialect="RFC4180").encode(row) == b'a,b\t""\t\t"c\td"\n'
    made = make("Custom", dialect="rfc4180", columnSeparator="|", quote="'")
    assert made.encode([["it's", "a|b"]]) == b"'it''s'|'a|b'\n"
    extensions = [make(n, dialect="rfc4180", columnSeparator=";").extension for n in KINDS]
    assert extensions == [make(n, columnSeparator=";").extension for n in KINDS]
    assert make("CSV", dialect="aws") == Csv()
    assert make("CSV", dialect="rfc4180") == make("TSV", dialect="rfc4180", columnSeparator=",")
    assert make("CSV", dialect="rfc4180") != Csv()


KINDS = ("CSV", "TSV", "Custom")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_own_quote_and_character_set(kind: str) -> None:
    made = make(kind, dialect="rfc4180", columnSeparator=";", quote="'", charset="latin-1")
    assert made.encode([["a;b"]]) == b"'a;b'\n"
    assert made.charset.name == "iso8859-1"
    assert not made.is_joinable
    assert make(kind, columnSeparator=";", charset="utf-16").charset.name == "utf-16"


@pytest.mark.parametrize("dialect", ["aws", "rfc4180"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_header_names_the_columns(kind: str, dialect: str) -> None:
    made = make(kind, header="true", dialect=dialect, columnSeparator=";")
    writer = made.writer([Column(name="a;b"), Column(name="two\nlines")])
    data = writer.begin() + writer.encode([["1", None], ["\ufeff", "x"]]) + writer.end()
    for size in (1, 1000):
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        opened = made.open(pieces, source="s")
        assert opened.columns == ("a;b", "two\nlines")
        rows = [[*row] for batch in opened.batches for row in batch]
        assert rows == [["1", None], ["\ufeff", "x"]]
        assert [[*row] for batch in made.decode(pieces, source="s") for row in batch] == rows
    assert not made.is_joinable
    assert made != make(kind, dialect=dialect, columnSeparator=";")


def test_a_header_may_stand_alone_and_may_be_named_otherwise() -> None:
    made = make("CSV", header="true", column=["x INT", "y INT"])
    assert made.writer([]).begin() == b"x,y\n"
    assert made.open([b"a,b\n1,2\n"], source="s").columns == ("x", "y")
    empty = make("CSV", header="true").open([b""], source="s")
    assert (empty.columns, list(empty.batches)) == ((), [])
    with pytest.raises(PermanentTaskError, match="the columns' names are not known: list them"):
        make("CSV", header="true").writer([])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a,\n1,2\n", "its header has no name for column 2"),
        (b"a,a\n1,2\n", "its header has the name 'a' twice"),
        (b"a,b\n1,2,3\n", "row 1 has 3 values, wanted 2"),
    ],
)
@pytest.mark.parametrize("dialect", ["aws", "rfc4180"])
def test_what_is_wrong_with_a_header(data: bytes, problem: str, dialect: str) -> None:
    made = make("CSV", header="true", dialect=dialect)
    place = problem.replace("row 1", r"row 1( \(line 2\))?")
    with pytest.raises(TaskError, match=f"^s: {place}$"):
        list(made.decode([data], source="s"))


def test_formats_that_cannot_be_copied_are_named() -> None:
    with pytest.raises(
        PermanentTaskError,
        match=r"'DynamoDBExportD.*CSV, Custom, JsonLines, Parquet, RegEx, TSV",
    ):
        make("DynamoDBExportDataFormat")


def test_formats_are_equal_when_their_bytes_are() -> None:
    assert make("TSV") == make("Custom", columnSeparator="\t") == Tsv()
    assert make("CSV", column=["a INT"]) == Csv()
    assert Csv() != Tsv()
    assert hash(Csv()) == hash(Custom())
