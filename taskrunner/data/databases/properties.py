"""JDBC connection properties: which are honoured, which mean nothing here, all others refused.

A property that changes values is honoured, or asks for what is done anyway, or is refused.

A definition's author must not be able to make the agent's host read or run something by way of a
connection (`allowLoadLocalInfile`, `autoDeserialize`, `socketFactory`, `service`, ...): so this is
a list of what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.secret import Secret, told

_MAX_TIMEOUT_S = 600.0


class ZeroDates(Enum):
    """What dates that are all zeros are read as: `zeroDateTimeBehavior` of MySQL's drivers."""

    KEEP = "as they are"
    NULL = "NULL"
    FAIL = "nothing: the query fails"
    YEAR_ONE = "0001-01-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the properties of a connection come to, in words that every driver shares."""

    connect_timeout_s: float = 10.0
    #: How long a single answer may take; None: as long as it takes.
    socket_timeout_s: float | None = None
    #: disable, prefer, require, verify-ca or verify-full; None: the driver's own default.
    ssl_mode: str | None = None
    #: A file with the certificates of the authorities that are trusted.
    ssl_ca: str | None = None
    #: The schemas in which unqualified names are looked up (PostgreSQL, Redshift).
    search_path: str | None = None
    #: What MySQL's dates that are all zeros are read as.
    zero_dates: ZeroDates = ZeroDates.KEEP
    #: What only one driver understands, by the names that its scheme gave to `keep`.
    other: Mapping[str, str] = field(default_factory=dict)


_MODES = {
    "disable": "disable",
    "disabled": "disable",
    "allow": "prefer",
    "prefer": "prefer",
    "preferred": "prefer",
    "require": "require",
    "required": "require",
    "verify-ca": "verify-ca",
    "verify_ca": "verify-ca",
    "verify-full": "verify-full",
    "verify_identity": "verify-full",
}
_ZERO_DATES = {
    "converttonull": ZeroDates.NULL,
    "exception": ZeroDates.FAIL,
    "round": ZeroDates.YEAR_ONE,
}
_BOOLEANS = {
    "true": True,
    "1": True,
    "yes": True,
    "": True,
    "false": False,
    "0": False,
    "no": False,
}
#: What a property's value makes of the options; raises KeyError or ValueError for one of no use.
Change = Callable[[Options, str], Options]


def keep(name: str) -> Change:
    """For a property that the driver itself reads, from `options.other[name]`."""

    def change(options: Options, value: str) -> Options:
        return replace(options, other={**options.other, name: value})

    return change


def set_ssl_mode(options: Options, value: str) -> Options:
    """The value is one of the words for TLS modes, MySQL's or PostgreSQL's."""
    return replace(options, ssl_mode=_MODES[value.lower()])


def use_ssl(mode: str) -> Change:
    """The value says whether to use TLS, in this mode."""

    def change(options: Options, value: str) -> Options:
        return replace(options, ssl_mode=mode if _BOOLEANS[value.lower()] else "disable")

    return change


def verify_certificate(options: Options, value: str) -> Options:
    """The value says whether to verify the server's certificate."""
    return replace(options, ssl_mode="verify-ca") if _BOOLEANS[value.lower()] else options


def set_ssl_ca(options: Options, value: str) -> Options:
    """The value is a file with certificates."""
    return replace(options, ssl_ca=value.removeprefix("file:"))


def match_names(options: Options, value: str) -> Options:
    """The value says whether the server's certificate is to have its name, where there is TLS."""
    matches = _BOOLEANS[{"on": "true", "off": "false"}.get(value.lower(), value.lower())]
    return replace(options, other={**options.other, "match": str(matches).lower()})


def set_encrypt(options: Options, value: str) -> Options:
    """SQL Server's `encrypt`: whether to use TLS; TDS 8 (strict) is not known here."""
    encrypts = _BOOLEANS[{"mandatory": "true", "optional": "false"}.get(value.lower(), value)]
    if not encrypts:
        return replace(options, ssl_mode="disable")
    trusts = options.other.get("trust") == "true"
    return replace(options, ssl_mode="require" if trusts else "verify-full")


def trust_certificate(options: Options, value: str) -> Options:
    """SQL Server's `trustServerCertificate`: true has TLS without a look at the certificate."""
    trusts = _BOOLEANS[value.lower()]
    mode = options.ssl_mode
    if mode in {"verify-full", "require"}:
        mode = "require" if trusts else "verify-full"
    other = {**options.other, "trust": str(trusts).lower()}
    return replace(options, ssl_mode=mode, other=other)


_JTDS_SSL = {"off": "disable", "request": "prefer", "require": "require"}


def set_jtds_ssl(options: Options, value: str) -> Options:
    """JTDS's `ssl`; `authenticate` looks at the certificate."""
    mode = "verify-full" if value.lower() == "authenticate" else _JTDS_SSL[value.lower()]
    return replace(options, ssl_mode=mode)


def set_connect_timeout(unit_s: float) -> Change:
    """The value is a time in units of so many seconds."""

    def change(options: Options, value: str) -> Options:
        return replace(options, connect_timeout_s=_timeout(value, unit_s) or _MAX_TIMEOUT_S)

    return change


def set_socket_timeout(unit_s: float) -> Change:
    """The value is a time in units of so many seconds."""

    def change(options: Options, value: str) -> Options:
        return replace(options, socket_timeout_s=_timeout(value, unit_s))

    return change


def _timeout(value: str, unit_s: float) -> float | None:
    seconds = int(value) * unit_s
    if seconds < 0:
        raise ValueError(value)
    return seconds or None


def set_search_path(options: Options, value: str) -> Options:
    """The value is a list of schemas."""
    return replace(options, search_path=value)


def set_zero_dates(options: Options, value: str) -> Options:
    """The value says what becomes of dates that are all zeros: null, a failure or the year 1."""
    return replace(options, zero_dates=_ZERO_DATES[value.replace("_", "").lower()])


#: Speed, pooling, and what permits what is permitted here anyway: nothing that is done here depends
#: on it, since every value passes as the server's own text.
_MEANINGLESS = frozenset(
    {
        "allowmultiqueries", "allowpublickeyretrieval", "applicationname", "appname",
        "autoreconnect", "columnencryptionsetting", "defaultrowprefetch", "implicitcachingenabled",
        "lastupdatecount", "multisubnetfailover", "oracle.jdbc.defaultrowprefetch",
        "oracle.jdbc.implicitstatementcachesize", "oracle.jdbc.j2ee13compliant",
        "oracle.jdbc.timezoneasregion", "packetsize", "progname", "remarksreporting",
        "responsebuffering", "selectmethod", "sendstringparametersasunicode", "statementpooling",
        "tds", "usecursors", "usefmtonly", "uselobs", "v$session.program", "workstationid", "wsid",
        "cacheprepstmts", "defaultfetchsize", "defaultrowfetchsize", "dumpqueriesonexception",
        "enabled", "failoverreadonly", "forceconnectiontimezonetosession", "maxreconnects",
        "nullcatalogmeanscurrent", "opensourcesubprotocoloverride", "preparethreshold",
        "prepstmtcachesize", "prepstmtcachesqllimit", "rewritebatchedstatements",
        "rewritebatchedinserts", "stringtype", "tcpkeepalive", "usecompression", "usecursorfetch",
        "uselegacydatetimecode", "useserverprepstmts", "usetimezone", "zerodatetimebehavior",
    }
)  # fmt: skip
_UTF_8 = frozenset({"utf8", "utf-8", "utf8mb4"})
_UTC = frozenset({"utc", "gmt", "z", "etc/utc", "etc/gmt", "+00:00", "gmt+00:00", "utc+00:00"})
_TRUE = frozenset(word for word, meaning in _BOOLEANS.items() if meaning)
_FALSE = frozenset(word for word, meaning in _BOOLEANS.items() if not meaning)
#: What would change values, had the driver it is for: the values that ask for what is done here
#: anyway, and what that is. Any other is refused.
_ONLY: Mapping[str, tuple[frozenset[str], str]] = {
    "characterencoding": (_UTF_8, "texts are in UTF-8"),
    "charset": (_UTF_8, "texts are in UTF-8"),
    "connectiontimezone": (_UTC, "sessions are in UTC"),
    "jdbccomplianttruncation": (_TRUE, "what is cut is a CopyActivity's onLossyValue to say"),
    "servertimezone": (_UTC, "sessions are in UTC"),
    "tinyint1isbit": (_FALSE, "a TINYINT(1) is a number"),
    "useunicode": (_TRUE, "texts are in UTF-8"),
    "yearisdatetype": (_FALSE, "a YEAR is a number"),
}


def parse_options(
    scheme: str, honoured: Mapping[str, Change], properties: Iterable[str], *, where: str
) -> Options:
    """Read properties of the form A=B; raises PermanentTaskError, naming `where`, for any other."""
    options = Options()
    for text in properties:
        name, _, value = (part.strip() for part in text.partition("="))
        change = honoured.get(name.lower())
        if change is not None:
            try:
                options = change(options, value)
            except (KeyError, ValueError):
                raise _invalid(
                    f"{where}: the connection property {name} has no usable value: "
                    f"{told(value, text)!r}"
                ) from None
        elif name.lower() in _ONLY:
            values, why = _ONLY[name.lower()]
            if value.lower() not in values:
                raise _invalid(
                    f"{where}: the connection property {name} would change values, and cannot be "
                    f"{told(value, text)!r} here: {why}"
                )
        elif name.lower() not in _MEANINGLESS:
            allowed = ", ".join(sorted(honoured)) or "none"
            raise _invalid(
                f"{where}: the connection property {told(name, text)!r} is not allowed "
                f"(honoured{'' if isinstance(text, Secret) else f' for {scheme}'}: {allowed})"
            )
    return options


def _invalid(message: str) -> PermanentTaskError:
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
