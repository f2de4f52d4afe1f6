"""Every type of each database with its extremes, as its server writes them: docs/types.md's tables.

What stands here must come back as it is, through every format and into a column of the same type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Types = Mapping[str, Sequence[str]]

#: One character of each plane of Unicode, and what is next to the gap that is none.
PLANES = "".join(chr(plane << 16 | 0x61) for plane in range(17)) + "\ud7ff\ue000\uffff\U0010ffff"
TEXTS = (
    "", " ", "NULL", r"\N", "\\", "a,b", "a\tb", "a|b;c", "line\nbreak", "\r\n", "end\r", '"q"',
    "it's", '""', "''", " x ", "\ufeffmark", "\x01\x1f\x7f", "é😀", PLANES, r"\x00ff", "0", "-",
)  # fmt: skip
BYTES = ("\\x", "\\x00", "\\x00ff0a0d2c5c4e09", "\\x" + "".join(f"{n:02x}" for n in range(256)))
_INSTANTS = ("0001-01-01 00:00:00", "1970-01-01 00:00:00.000001", "2024-02-29 23:59:59.999999",
             "9999-12-31 23:59:59.999999")  # fmt: skip

POSTGRESQL: Types = {
    "smallint": ["-32768", "32767", "0"],
    "integer": ["-2147483648", "2147483647"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "numeric": ["NaN", "Infinity", "-Infinity", "0", "0.1000", "9" * 100 + "." + "1" * 100],
    "numeric(38,10)": ["NaN", "-1234567890123456789012345678.1234567891", "0.0000000000"],
    "real": ["NaN", "Infinity", "-Infinity", "0", "-0", "0.1", "3.4028235e+38", "1e-45",
             "1.6777215e+07"],
    "double precision": ["NaN", "Infinity", "-Infinity", "-0", "0.1", "1.7976931348623157e+308",
                         "5e-324", "9.007199254740992e+15"],
    "money": ["$1.50", "-$92,233,720,368,547,758.08"],
    "text": TEXTS,
    "varchar": TEXTS,
    "varchar(3)": ["", "abc", "é😀 ", "\\N"],
    "char(3)": ["   ", "abc", "é😀 ", "\\N "],
    '"char"': ["", "a", "\\"],
    "name": ["", "x" * 63],
    "bytea": BYTES,
    "boolean": ["t", "f"],
    "date": ["infinity", "-infinity", "4713-01-01 BC", "0044-03-15 BC", "2024-02-29",
             "5874897-12-31"],
    "time": ["00:00:00", "24:00:00", "23:59:59.999999"],
    "time(0)": ["23:59:59"],
    "timetz": ["00:00:00+00", "24:00:00-15:59", "23:59:59.999999+05:30"],
    "timestamp": ["infinity", "-infinity", "4713-01-01 00:00:00 BC", *_INSTANTS,
                  "294276-12-31 23:59:59.999999"],
    "timestamp(3)": ["2026-02-13 02:00:00.123"],
    "timestamptz": ["infinity", "-infinity", "0044-03-15 12:00:00+00 BC",
                    *[f"{text}+00" for text in _INSTANTS]],
    "interval": ["00:00:00", "-1 days", "1 year 2 mons 3 days 04:05:06.7", "838:59:59",
                 "-178000000 years", "1 mon -1 days +00:00:00.000001"],
    "interval(0)": ["1 day 02:03:04"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "json": ['{"a" :  1, "a":"\\n\\u0000"}', "null", '"é😀"', "0.1234567890123456789"],
    "jsonb": ['{"a": 1}', "null", '"\\n"', "0.1234567890123456789"],
    "jsonpath": ['$."a"'],
    "xml": ["<a>é&amp;</a>", ""],
    "bit(4)": ["0101", "0000"],
    "bit varying": ["", "0", "1" * 100],
    "inet": ["192.168.0.0/24", "::1", "10.0.0.1"],
    "cidr": ["192.168.0.0/24", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "point": ["(0.1,-1e+300)"],
    "line": ["{1,-1,0}"],
    "lseg": ["[(0,0),(1,1)]"],
    "box": ["(1,1),(0,0)"],
    "path": ["((0,0),(1,1))", "[(0,0),(1,1)]"],
    "polygon": ["((0,0),(1,1),(1,0))"],
    "circle": ["<(0,0),1.5>"],
    "tsvector": ["'a':1A 'é😀':2"],
    "tsquery": ["'a' & !'b'"],
    "int4range": ["[1,5)", "empty", "(,)"],
    "int8range": ["[-9223372036854775808,)"],
    "numrange": ["(0.10,1.5]"],
    "tsrange": ['["2026-02-13 02:00:00","2026-02-13 02:00:00.123456")'],
    "tstzrange": ['["2026-02-13 02:00:00+00",)'],
    "daterange": ["[2026-02-13,2026-02-14)"],
    "int4multirange": ["{[1,3),[5,9)}", "{}"],
    "int8multirange": ["{}"],
    "nummultirange": ["{(0.1,1.5]}"],
    "tsmultirange": ['{["2026-02-13 02:00:00",)}'],
    "tstzmultirange": ['{["2026-02-13 02:00:00+00",)}'],
    "datemultirange": ["{[2026-02-13,2026-02-14)}"],
    "integer[]": ["{1,NULL,3}", "{}", "{{1,2},{3,4}}", "[0:1]={1,2}"],
    "numeric(5,2)[]": ["{1.50,NULL,NaN}"],
    "text[]": ['{a,"b,c",NULL,"NULL","d\\"e","","\\\\"}'],
    "timestamptz[]": ['{"2026-02-13 02:00:00+00"}'],
    "oid": ["4294967295"],
    "xid": ["4294967295"],
    "xid8": ["18446744073709551615"],
    "cid": ["4294967295"],
    "tid": ["(0,1)"],
    "pg_lsn": ["16/B374D848"],
    "pg_snapshot": ["10:20:10,14,15"],
    "txid_snapshot": ["10:20:10,14,15"],
    "refcursor": ["c"],
    "regclass": ["pg_class"],
    "regtype": ["integer", "numeric"],
    "mood": ["sad", "it's, ok"],
    "price": ["1.50"],
    "pair": ['(1,"a,b")', "(,)", '(1,"")'],
}  # fmt: skip
#: Run before the tables are made: an enumeration, a domain, a composite type.
POSTGRESQL_OWN = (
    "create type mood as enum ('sad', 'it''s, ok'); create domain price as numeric(5,2); "
    "create type pair as (a integer, b text)"
)
#: Types that nobody can store: the server takes no value of theirs, or names of its own objects.
POSTGRESQL_LEFT_OUT = {
    "aclitem", "gtsvector", "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary",
    "pg_dependencies", "pg_mcv_list", "pg_ndistinct", "pg_node_tree", "regcollation", "regconfig",
    "regdictionary", "regnamespace", "regoper", "regoperator", "regproc", "regprocedure",
    "regrole",
}  # fmt: skip
#: How the server calls types that the table above has by another name.
POSTGRESQL_NAMES = {
    "bit(4)": "bit", "bit varying": "varbit", "boolean": "bool", "char(3)": "bpchar",
    '"char"': "char", "real": "float4", "double precision": "float8", "smallint": "int2",
    "integer": "int4", "bigint": "int8",
}  # fmt: skip

_WKB_POINT = "\\x000000000101000000000000000000f03f0000000000000040"
MARIADB: Types = {
    "tinyint": ["-128", "127"],
    "tinyint(1)": ["0", "1", "2"],
    "tinyint unsigned": ["255"],
    "smallint": ["-32768", "32767"],
    "smallint unsigned": ["65535"],
    "mediumint": ["-8388608", "8388607"],
    "mediumint unsigned": ["16777215"],
    "int": ["-2147483648", "2147483647"],
    "int unsigned": ["4294967295"],
    "int(5) zerofill": ["00042"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "bigint unsigned": ["18446744073709551615", "0"],
    "decimal(38,10)": ["-1234567890123456789012345678.1234567891", "0.0000000000"],
    "decimal(65,0)": ["9" * 65],
    "decimal(5,2) unsigned": ["999.99", "0.00"],
    "decimal(7,2) zerofill": ["00042.50"],
    "float": ["0", "0.1", "16777215", "0.12345679", "3.4028234663852886e38", "1.4013e-45"],
    "float(7,2)": ["12345.67", "-0.50"],
    "double": ["0", "0.1", "1.7976931348623157e308", "5e-324", "9.007199254740992e15",
               "1.2345678901234567e19"],
    "double(10,3)": ["1234567.125"],
    "double unsigned": ["0.1", "1.7976931348623157e308"],
    "bit(1)": ["0", "1"],
    "bit(64)": ["18446744073709551615", "5", "101"],
    "date": ["0000-00-00", "2020-00-15", "0001-01-01", "2024-02-29", "9999-12-31"],
    "datetime": ["0000-00-00 00:00:00", "2026-02-13 02:00:00", "9999-12-31 23:59:59"],
    "datetime(6)": ["0000-00-00 00:00:00.000000", "2026-02-13 02:00:00.123456"],
    "timestamp null": ["0000-00-00 00:00:00", "1970-01-01 00:00:01", "2038-01-19 03:14:07"],
    "timestamp(6) null": ["2026-02-13 02:00:00.500000"],
    "time": ["-838:59:59", "838:59:59", "00:00:00"],
    "time(6)": ["-00:00:00.000001", "838:59:59.999999"],
    "year": ["0000", "1901", "2155"],
    "char(5)": ["", "ab", "é😀"],
    "varchar(99)": [*TEXTS, "\0nul", "x "],
    "varchar(3)": ["", "abc", "é😀 ", "\\N"],
    "varchar(9) character set latin1": ["é€", "\\N", "a,\tb\n"],
    "varchar(9) character set utf8mb3": ["é\uffff"],
    "varchar(9) character set utf16": ["é😀\\,"],
    "varchar(9) character set ucs2": ["\\屜\n"],
    "varchar(9) character set gbk": ["誠,\\"],
    "varchar(9) character set sjis": ["表\\N"],
    "varchar(50) collate utf8mb4_unicode_ci": ["a", "A ", "\x01\t,\n"],
    "varchar(9) compressed": ["", "a,\\\n"],
    "tinytext": ["", "x" * 255],
    "text": TEXTS,
    "mediumtext": TEXTS,
    "longtext": TEXTS,
    "text compressed": TEXTS,
    "binary(4)": ["\\x00ff6100", "\\x5c783030"],
    "varbinary(300)": BYTES,
    "char(3) byte": ["\\x00615c"],
    "varbinary(9) compressed": ["\\x", "\\x00ff2c"],
    "tinyblob": ["\\x", "\\x" + "ff" * 255],
    "blob": BYTES,
    "mediumblob": BYTES,
    "longblob": BYTES,
    "enum('a','','1','it''s')": ["a", "", "1", "it's"],
    "set('a','b')": ["", "a", "a,b"],
    "json": ['{"a" :  1, "a": "\\n"}', '"é😀"', "0.1234567890123456789"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "inet4": ["10.0.0.1"],
    "inet6": ["::1", "2001:db8::ff00:42:8329"],
    "geometry": [_WKB_POINT],
    "point": [_WKB_POINT],
    "linestring": ["\\x" "00000000" "0102000000" "02000000" + "00" * 16 + "000000000000f03f" * 2],
    "polygon": ["\\x" "00000000" "0103000000" "01000000" "04000000" + "00" * 16
                + "000000000000f03f" + "00" * 8 + "000000000000f03f" * 2 + "00" * 16],
    "multipoint": ["\\x" "00000000" "0104000000" "01000000" "0101000000" + "00" * 16],
    "multilinestring": ["\\x" "00000000" "0105000000" "01000000" "0102000000" "02000000" + "00" * 16
                        + "000000000000f03f" * 2],
    "multipolygon": ["\\x" "00000000" "0106000000" "01000000" "0103000000" "01000000" "04000000"
                     + "00" * 16 + "000000000000f03f" + "00" * 8 + "000000000000f03f" * 2
                     + "00" * 16],
    "geometrycollection": ["\\x" "00000000" "0107000000" "01000000" "0101000000" + "00" * 16],
}  # fmt: skip

SQLITE: Types = {
    "integer": ["-9223372036854775808", "9223372036854775807", "0"],
    "real": ["0.0", "0.1", "Infinity", "-Infinity", "1.7976931348623157e+308", "5e-324"],
    "text": [*TEXTS, "0123", "1e5", "\0nul"],
    "blob": BYTES,
    "decimal(38,10)": ["1", "0.5", "1234567.125"],
    "boolean": ["0", "1"],
    "date": ["2026-02-13", ""],
    "datetime": ["2026-02-13 02:00:00.123", "0000-00-00 00:00:00"],
    "string": ["a", "12", "x1e5"],
    "varchar(3)": ["", "longer than three", "0123"],
}  # fmt: skip
