"""Which queries of MySQL's and MariaDB's may have what they select asked for several times.

The line of a row takes each value more than once: whether it is NULL, and what it is. Of NEXTVAL,
UUID or a function of the author's that would be another value, or an effect that comes twice.
"""

from __future__ import annotations

import re

#: What stands before a bracket: functions, types and words of SQL.
_CALLED = re.compile(r"([\w$]+|`[^`]*`)\s*\(")
#: Those that give the same each time within a statement; of any other it is not known.
_SAME = """
    abs and any as ascii avg between bigint bin binary bit_length by case cast ceil ceiling char
    char_length character_length coalesce concat concat_ws conv convert count crc32 curdate
    current_date current_timestamp curtime date date_add date_format date_sub datediff datetime
    day dayname dayofmonth dayofweek dayofyear decimal div else elt exists exp extract field
    find_in_set floor format from from_base64 from_days from_unixtime greatest group_concat hex
    hour if ifnull in instr interval is join json_extract json_unquote json_value key last_day
    lcase least left length like ln locate log lower lpad ltrim makedate maketime max md5
    microsecond mid min minute mod month monthname not now nullif numeric octet_length on or
    position pow power quarter regexp repeat replace reverse right round rpad rtrim sec_to_time
    second select sha sha1 sha2 sign signed soundex space sqrt std stddev str_to_date strcmp
    substr substring substring_index sum then time time_format time_to_sec timediff timestamp
    timestampdiff to_base64 to_days trim truncate ucase unhex unix_timestamp upper using utc_date
    utc_timestamp values varchar variance week weekday when where xor year yearweek
"""
_SAME_EACH_TIME = frozenset(_SAME.split())


def gives_the_same_each_time(query: str) -> bool:
    """Whether all that a query calls is known to give the same each time."""
    return _SAME_EACH_TIME.issuperset(name.lower() for name in _CALLED.findall(query))
