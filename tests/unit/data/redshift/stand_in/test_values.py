from __future__ import annotations

import pytest

from taskrunner.data.redshift.options import Verb, parse_options
from taskrunner.data.redshift.stand_in.values import Layout, Record, records
from taskrunner.errors import PermanentTaskError


def read(data: bytes, *options: str, paths: tuple[str, ...] | None = None) -> list[Record]:
    found = {option.name: option for option in parse_options(Verb.COPY, options)}
    layout = Layout(options=found, columns=("a", "b"), paths=paths)
    # In pieces, to see that nothing depends on where they end.
    pieces = [data[start : start + 3] for start in range(0, len(data), 3)]
    return list(records(pieces, layout))


def rows(data: bytes, *options: str) -> list[list[str | None] | str]:
    return [row for _, row in read(data, *options)]


def test_without_a_format_values_stand_between_pipes() -> None:
    assert read(b"1|x\n2|\\N\r\n3|") == [(1, ["1", "x"]), (2, ["2", None]), (3, ["3", ""])]


def test_escapes() -> None:
    data = b"1,x\\,y\\\nz\n2,\\N\n3,a\\\\N\n4,b\\\r\n"
    assert read(data, "DELIMITER ',' ESCAPE") == [
        (1, ["1", "x,y\nz"]),
        (3, ["2", None]),
        (4, ["3", "a\\N"]),
        (5, ["4", "b\r"]),
    ]
    assert rows(b"1|\\", "ESCAPE") == ["the file ends with an escape character"]


def test_null_may_be_another_text() -> None:
    assert rows(b"1|none\n", "NULL AS 'none'") == [["1", None]]
    assert rows(b"1|none\n", "NULL AS 'none' ESCAPE") == [["1", None]]


def test_quotes_are_taken_off() -> None:
    data = b'\'a|b\'|"c"\n"it\'s"|d\n'
    assert rows(data, "REMOVEQUOTES") == [["a|b", "c"], ["it's", "d"]]
    assert rows(b'"a\\"b"|c\n', "REMOVEQUOTES ESCAPE") == [['a"b', "c"]]
    assert rows(b"'a'b|c\n", "REMOVEQUOTES") == [["'a'b", "c"]]


def test_csv() -> None:
    data = b'h1,h2\n"a\nb","x""y"\n1,\n'
    assert read(data, "CSV IGNOREHEADER 1") == [(2, ["a\nb", 'x"y']), (4, ["1", ""])]
    assert rows(b"%a;b%;c\n", "CSV QUOTE '%' DELIMITER ';'") == [["a;b", "c"]]
    assert "unexpected end" in str(rows(b'"a', "CSV")[0])


def test_fixed_widths() -> None:
    assert rows(b"abc  d\nx    \n", "FIXEDWIDTH 'a:5,b:1'") == [["abc", "d"], ["x", ""]]


def test_json() -> None:
    data = b'{"a":1.50,"b":{"c":[1,2.5]}}\n[{"a":true,"B":"no"},{"a":null}] 7'
    assert read(data, "JSON 'auto'") == [
        (1, ["1.50", '{"c":[1,2.5]}']),
        (2, ["true", None]),
        (2, [None, None]),
        (2, "wanted a JSON object"),
    ]
    assert rows(b'{"A":1}', "JSON 'auto ignorecase'") == [["1", None]]
    assert "Invalid JSON" in str(rows(b'{"a"', "JSON 'auto'")[0])


def test_json_by_paths() -> None:
    data = b'{"x": {"y z": [10, {"w": "found"}]}, "v": 1}'
    found = read(data, "JSON 's3://b/p'", paths=("$.x['y z'][1].w", "$['v']", "$.no[3]"))
    assert found == [(1, ["found", "1", None])]


def test_bytes_that_are_no_text() -> None:
    assert rows(b"a\xff\xfe|b\n", "ACCEPTINVCHARS '^'") == [["a^^", "b"]]
    assert rows(b"a\xff|b\n", "ACCEPTINVCHARS") == [["a?", "b"]]
    with pytest.raises(UnicodeDecodeError):
        rows(b"a\xff|b\n")


def test_encodings() -> None:
    assert rows("é|b\n".encode("utf-16"), "ENCODING UTF16") == [["é", "b"]]
    assert rows(b"\xef\xbb\xbfa|b\n") == [["a", "b"]]
    with pytest.raises(PermanentTaskError, match="ENCODING is EBCDIC"):
        rows(b"", "ENCODING EBCDIC")


def test_a_delimiter_is_one_character() -> None:
    with pytest.raises(PermanentTaskError, match="DELIMITER is '::'"):
        rows(b"a::b", "DELIMITER '::'")
