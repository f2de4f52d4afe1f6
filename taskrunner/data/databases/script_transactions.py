"""What a statement has to do with transactions, as far as its words tell. Pure.

Sources: PostgreSQL 17, utility.c and the reference page of each command ("cannot be executed inside
a transaction block"); Amazon Redshift's and MySQL's manuals ("Statements That Cause an Implicit
Commit"); SQLite's pages of each pragma.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto

from taskrunner.data.databases.dialect import Family
from taskrunner.data.databases.script import Statement


class Role(Enum):
    """What a statement has to do with transactions."""

    #: It may stand in one.
    PLAIN = auto()
    #: It begins or ends one: the script minds its transactions itself.
    CONTROL = auto()
    #: No transaction may hold it, or what it does is of use only behind one's end.
    ALONE = auto()
    #: It may be one of those: only the server knows, by what it calls.
    PERHAPS = auto()


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(rf"(?:{pattern})(?!\w)" for pattern in patterns))


_BEGIN_OR_END = (
    "BEGIN",
    "START TRANSACTION",
    "COMMIT(?! PREPARED)",
    "END",
    "ABORT",
    "ROLLBACK(?! PREPARED)(?!(?: WORK| TRANSACTION)? TO )",
    "PREPARE TRANSACTION",
)
_POSTGRESQL = {
    Role.CONTROL: _any(*_BEGIN_OR_END),
    Role.ALONE: _any(
        "VACUUM",
        "(?:CREATE|DROP) (?:DATABASE|TABLESPACE)",
        r"ALTER DATABASE \S+ SET TABLESPACE",
        "ALTER SYSTEM",
        "CREATE (?:UNIQUE )?INDEX CONCURRENTLY",
        "DROP INDEX CONCURRENTLY",
        r"REINDEX (?:\([^)]*CONCURRENTLY|(?:\([^)]*\) )?\w+ CONCURRENTLY)",
        r"REINDEX (?:\([^)]*\) )?(?:SCHEMA|DATABASE|SYSTEM)",
        r"CLUSTER(?: VERBOSE| \([^)]*\))?$",
        "ALTER TABLE .* DETACH PARTITION .* CONCURRENTLY",
        # Since version 12 it may stand in one, but the value is of no use there.
        "ALTER TYPE .* ADD VALUE",
        "(?:COMMIT|ROLLBACK) PREPARED",
        "DISCARD ALL",
    ),
    # A procedure or a block may commit; a partitioned table is one of many; a slot is made or not.
    Role.PERHAPS: _any("CALL", "DO", "REINDEX", "CLUSTER", r"(?:CREATE|ALTER|DROP) SUBSCRIPTION"),
}
_REDSHIFT = {
    Role.CONTROL: _POSTGRESQL[Role.CONTROL],
    Role.ALONE: _any(
        "VACUUM",
        "(?:CREATE|DROP) (?:DATABASE|LIBRARY|EXTERNAL TABLE)",
        "CREATE OR REPLACE LIBRARY",
        "ALTER TABLE .* APPEND FROM",
        "ALTER TABLE .* ALTER COLUMN .* TYPE",
        "ALTER TABLE .* (?:ADD|DROP)(?: IF (?:NOT )?EXISTS)? PARTITION",
    ),
}
_MYSQL = {
    Role.CONTROL: _any(
        "BEGIN(?! NOT ATOMIC)",
        "START TRANSACTION",
        "COMMIT",
        "ROLLBACK(?!(?: WORK)? TO )",
        r"SET (?:.*, )?(?:@ @ )?(?:(?:SESSION|LOCAL) (?:\. )?)?AUTOCOMMIT",
        "XA",
    ),
    # It is for the transaction that begins next.
    Role.ALONE: _any("SET TRANSACTION"),
}
_SQLITE = {
    Role.CONTROL: _any("BEGIN", "COMMIT", "END", "ROLLBACK(?!(?: TRANSACTION)? TO )", "SAVEPOINT"),
    # Within a transaction these pragmas fail, or do nothing and do not say so.
    Role.ALONE: _any(
        "VACUUM",
        "ATTACH",
        "DETACH",
        r"PRAGMA (?:\S+ \. )?(?:AUTO_VACUUM|FOREIGN_KEYS|JOURNAL_MODE|LOCKING_MODE|PAGE_SIZE"
        r"|READ_UNCOMMITTED|SECURE_DELETE|SYNCHRONOUS|TEMP_STORE|WAL_CHECKPOINT)",
    ),
}
_ORACLE = {
    Role.CONTROL: _any("COMMIT", "ROLLBACK(?!(?: WORK)? TO )", "SET TRANSACTION"),
}
_SQLSERVER = {
    # A batch may have it anywhere.
    Role.CONTROL: re.compile(r"(?s:.*)\b(?:BEGIN|COMMIT|ROLLBACK|SAVE) TRAN(?:SACTION)?\b"),
    Role.ALONE: _any(
        "(?:CREATE|ALTER|DROP) (?:DATABASE|FULLTEXT)", "BACKUP", "RECONFIGURE", "RESTORE"
    ),
}
_OTHER = {Role.ALONE: _any("VACUUM")}
_ROLES: Mapping[Family, Mapping[Role, re.Pattern[str]]] = {
    Family.POSTGRESQL: _POSTGRESQL,
    Family.REDSHIFT: _REDSHIFT,
    Family.MYSQL: _MYSQL,
    Family.SQLITE: _SQLITE,
    Family.ORACLE: _ORACLE,
    Family.SQLSERVER: _SQLSERVER,
    Family.OTHER: _OTHER,
}
#: MySQL commits what was before them, whether they succeed or not.
_COMMITTING = _any(
    "ALTER",
    "ANALYZE",
    "BEGIN(?! NOT ATOMIC)",
    "CACHE INDEX",
    "CHECK TABLE",
    "CREATE(?! TEMPORARY)",
    "DROP(?! TEMPORARY)",
    "FLUSH",
    "GRANT",
    "INSTALL",
    "LOAD INDEX",
    "LOCK TABLES?",
    "OPTIMIZE",
    "RENAME",
    "REPAIR",
    "RESET",
    "REVOKE",
    "SET PASSWORD",
    "START TRANSACTION",
    "TRUNCATE",
    "UNINSTALL",
    "UNLOCK TABLES?",
)


#: Oracle commits before and after whatever changes its catalog.
_COMMITTING_OF_ORACLE = _any(
    *("ALTER(?! SESSION)", "ANALYZE", "ASSOCIATE", "AUDIT", "COMMENT", "CREATE", "DROP"),
    *("FLASHBACK", "GRANT", "NOAUDIT", "PURGE", "RENAME", "REVOKE", "TRUNCATE"),
)


def role_of(statement: Statement, family: Family) -> Role:
    """What a statement has to do with transactions."""
    for role, pattern in _ROLES[family].items():
        if pattern.match(statement.shape):
            return role
    return Role.PLAIN


def commits_first(statement: Statement, family: Family) -> bool:
    """Whether the server commits before it runs a statement, unasked."""
    if family is Family.ORACLE:
        return _COMMITTING_OF_ORACLE.match(statement.shape) is not None
    return family is Family.MYSQL and _COMMITTING.match(statement.shape) is not None
