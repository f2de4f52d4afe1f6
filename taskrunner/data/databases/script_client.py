"""Lines of a script that are meant for the database's own client, and not for the server. Pure.

DELIMITER is obeyed, and COPY ... FROM stdin is given the lines behind it. Of psql's commands those
are passed over that change nothing here. All others are refused: what they do (connect elsewhere,
read another file, run a shell's command) is not this script's to do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from taskrunner.data.databases.dialect import Family

#: Of psql's commands: how answers are shown, which nobody sees; what pg_dump writes around a dump.
_SHOWING = {
    *("a", "echo", "f", "H", "html", "pset", "qecho", "restrict", "t", "timing", "unrestrict"),
    *("warn", "x"),
}
_SAYING = {"echo", "qecho", "warn"}
_HARMLESS_VARIABLES = {"ECHO", "ECHO_HIDDEN", "FETCH_COUNT", "HISTSIZE", "QUIET", "VERBOSITY"}
_ON = {"on", "true", "yes", "1"}
_SENT = re.compile(r"\\g[ \t]*(?=\r?\n|\Z)")
_PSQL = re.compile(r"\\(?P<name>\w+|.?)(?P<arguments>[^\n\\]*+)(?:\\\\)?", re.DOTALL)
#: The commands of mariadb and mysql that may stand alone in a line; all but DELIMITER and USE.
_MYSQL_NAMES = {
    *("?", "charset", "clear", "connect", "edit", "ego", "exit", "go", "help", "nopager"),
    *("notee", "nowarning", "pager", "print", "prompt", "quit", "rehash", "source", "status"),
    *("system", "tee", "warnings"),
}
#: Those of them that take something behind their name.
_MYSQL_WITH_ARGUMENT = {
    *("?", "charset", "connect", "help", "pager", "prompt", "rehash", "source", "system", "tee"),
}
_MYSQL_LINE = re.compile(
    r"[ \t]*(?P<name>\?|[A-Za-z]+)(?:[ \t]+(?P<argument>\S[^\r\n]*))?[ \t\r]*$"
)
_DELIMITER = re.compile(r"[ \t]*delimiter(?:[ \t]+(?P<given>\S[^\r\n]*))?", re.IGNORECASE)
_DATA_END = re.compile(r"^\\\.\r?(?:\n|\Z)", re.MULTILINE)
_COPY_IN = re.compile(r"COPY (?!\().*?\bFROM STDIN\b")


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that is not SQL, and why it is not obeyed."""

    why: str


def sent_by(script: str, position: int, *, begun: bool) -> int | Refused:
    r"""Behind psql's `\g`, which ends a statement as a semicolon does; 0 where there is none."""
    match = _SENT.match(script, position)
    if match is None:
        return 0
    if not begun:
        return Refused("\\g behind a statement that has ended would run it again: leave one out")
    return match.end()


def psql_command(script: str, position: int) -> int | Refused:
    """Where a backslash command ends that is passed over."""
    match = _PSQL.match(script, position)
    assert match is not None  # noqa: S101  a backslash is all that it wants
    name, arguments = match["name"], match["arguments"].split()
    known = name in _SHOWING
    if name == "set":
        stops = arguments[:1] == ["ON_ERROR_STOP"] and (arguments[1:] or ["on"])[0].lower() in _ON
        known = stops or (arguments[0] if arguments else "") in _HARMLESS_VARIABLES
    elif name == "encoding":
        known = (arguments or [""])[0].strip("'\"").upper().replace("-", "") in {"UTF8", "UNICODE"}
    if known:
        # What is said may have backslashes in it; any other command may follow behind two.
        return end_of_line(script, position) if name in _SAYING else match.end()
    return Refused(f"\\{name} is a command of psql's, not SQL: it is not run here")


def mysql_line(script: str, position: int, delimiter: str) -> str | Refused | None:
    """What a line that begins a statement is to the client: USE to be run, or refused.

    None: it is SQL. As in the client, a line with the delimiter in it is none of its commands.
    """
    line = script[position : end_of_line(script, position)]
    match = _MYSQL_LINE.match(line)
    if match is None or delimiter in line or "\\g" in line.lower():
        return None
    name = match["name"].lower()
    if name == "use" and match["argument"]:
        return line
    if name not in _MYSQL_NAMES or (match["argument"] and name not in _MYSQL_WITH_ARGUMENT):
        return None
    return Refused(f"{name} is a command of the mariadb client's, not SQL: it is not run here")


def new_delimiter(script: str, position: int) -> tuple[str, int] | Refused:
    """What DELIMITER at an offset sets, and where its line ends."""
    match = _DELIMITER.match(script, position)
    given = match["given"] if match else None
    if not given:
        return Refused("DELIMITER wants what statements end with behind it")
    if "\\" in given:
        return Refused("DELIMITER cannot have a backslash in it")
    quote = given[0]
    closed = quote in "'\"`" and quote in given[1:]
    delimiter = given[1:].split(quote)[0] if closed else given.split()[0]
    return delimiter[:15], end_of_line(script, position)


def is_delimiter(script: str, position: int) -> bool:
    """Whether the client takes the word at an offset for its command."""
    return _DELIMITER.match(script, position) is not None and script[
        position + len("delimiter") : position + len("delimiter") + 1
    ] in {" ", "\t", "\n", "\r", ""}


def backslash_ends(script: str, position: int) -> bool | Refused:
    r"""Whether a backslash of MySQL's ends the statement (\g, \G); false: it is part of it (\N)."""
    letter = script[position + 1 : position + 2]
    if letter in {"g", "G"}:
        return True
    if letter == "N":
        return False
    return Refused(f"\\{letter} is a command of the mariadb client's, not SQL: it is not run here")


def dot_command(script: str, position: int) -> Refused:
    """Why a line of sqlite3's own is not obeyed."""
    name = script[position : end_of_line(script, position)].split(maxsplit=1)[0]
    return Refused(f"{name} is a command of sqlite3's, not SQL: it is not run here")


_GO = re.compile(r"[ \t]*GO(?:[ \t]+(?P<count>\d+))?[ \t]*(?:--[^\n]*)?\r?(?:\n|\Z)", re.IGNORECASE)
_SLASH = re.compile(r"[ \t]*/[ \t]*\r?(?:\n|\Z)")
_SQLCMD = re.compile(r"[ \t]*(?:!!|:[A-Za-z]\w*)")
_SQL_PLUS = re.compile(r"[ \t]*(?P<name>@@?|!|[A-Za-z]+)(?P<rest>[^\n]*)")
#: SQL*Plus's own: how answers are shown, which nobody sees; a failure ends a script in any case.
_PASSED_OVER = {"COL", "COLUMN", "PROMPT", "REM", "REMARK", "TTITLE", "BTITLE", "BREAK", "CLEAR"}
_SET_OPTIONS = re.compile(
    r"\s+(?:APPI|ARRAY|BLO|CMDSEP|COLSEP|DEF|SCAN|ECHO|FEED|FLUSH|HEA|LIN|LONG|NEWP|NULL|NUM|PAGES"
    r"|PAU|SERVEROUT|SHOW|SQLBL|SQLP|TAB|TERM|TIMI|TRIM|UND|VER|WRA)\w*\b(?!\s*=)",
    re.IGNORECASE,
)
_STOPS = re.compile(r"(?i)\s+(?:SQL|OS)ERROR\s+EXIT")
_ERRORS = re.compile(r"(?i)\s+ERR")
_REFUSED = {
    *("ACC", "ACCEPT", "CONN", "CONNECT", "COPY", "DEF", "DEFINE", "DISC", "DISCONNECT", "ED"),
    *("EDIT", "EXEC", "EXECUTE", "GET", "HO", "HOST", "PASSW", "PASSWORD", "PRI", "PRINT", "SAVE"),
    *("SPO", "SPOOL", "START", "STORE", "UNDEF", "UNDEFINE", "VAR", "VARIABLE", "XQUERY"),
}


def batch_end(script: str, position: int) -> int | Refused | None:
    """Where a line that ends a batch of sqlcmd's ends; None: it is SQL."""
    if _SQLCMD.match(script, position):
        return Refused("this is a command of sqlcmd's, not SQL: it is not run here")
    found = _GO.match(script, position)
    if found is None:
        return None
    if found["count"] not in {None, "1"}:
        return Refused(f"GO {found['count']} would run its batch several times: write it out")
    return found.end()


def slash_end(script: str, position: int) -> int | None:
    """Where a line with `/` alone ends; None: it is another one."""
    found = _SLASH.match(script, position)
    return found.end() if found else None


def sql_plus_line(script: str, position: int) -> int | Refused | None:
    """Where a line of SQL*Plus's own ends that is passed over; None: it is SQL."""
    found = _SQL_PLUS.match(script, position)
    if found is None:
        return None
    name, end = found["name"].upper(), end_of_line(script, position)
    shows = name == "SET" and _SET_OPTIONS.match(found["rest"]) is not None
    ends = name in {"EXIT", "QUIT"} and not script[end:].strip()
    stops = name == "WHENEVER" and _STOPS.match(found["rest"])
    errors = name in {"SHO", "SHOW"} and _ERRORS.match(found["rest"])
    if name in _PASSED_OVER or shows or ends or stops or errors:
        return end
    if name in {*_REFUSED, "@", "@@", "!", "EXIT", "QUIT", "SHO", "SHOW", "WHENEVER"}:
        return Refused(f"{found['name']} is a command of SQL*Plus's, not SQL: it is not run here")
    return None


def takes_data(shape: str, family: Family) -> bool:
    """Whether the lines behind a statement are its data."""
    return family.is_psql and _COPY_IN.match(shape) is not None


def data_at(script: str, position: int) -> tuple[str, int]:
    r"""The lines from an offset up to `\.`, and the offset behind that; or up to the end."""
    match = _DATA_END.search(script, position)
    if match is None:
        return script[position:], len(script)
    return script[position : match.start()], match.end()


def end_of_line(script: str, position: int) -> int:
    """The offset of the end of the line that an offset is in."""
    found = script.find("\n", position)
    return len(script) if found < 0 else found
