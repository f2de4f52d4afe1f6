"""What is known of a kind of database before its driver is loaded: one row a scheme.

The built-in ones stand here, since their drivers are large. A plugin's row is the `scheme` of its
class, which is loaded for it when an address names the scheme, or one that no other row has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from taskrunner.data.databases import properties as to
from taskrunner.data.databases.properties import Change
from taskrunner.errors import PermanentTaskError
from taskrunner.plugins import discovery as plugins
from taskrunner.plugins.discovery import Kind, Plugin


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """The facts of a scheme, as it stands in `jdbc:scheme://host/name` and other URLs."""

    #: As the driver's entry point is called.
    name: str
    #: As people write it, for messages; the name where it is left out.
    title: str = ""
    #: What else URLs call it.
    aliases: tuple[str, ...] = ()
    #: Used where an address names none; 0: the driver knows.
    port: int = 0
    #: Its databases are files: addresses have an absolute path in place of a host.
    is_file: bool = False
    #: What connection properties do, by their names in lower case; all others are refused.
    properties: Mapping[str, Change] = field(default_factory=dict, repr=False, hash=False)
    #: What RDS calls the engines that speak this.
    engines: tuple[str, ...] = ()

    @property
    def form(self) -> str:
        """What its URLs look like."""
        return f"{self.name}:///PATH" if self.is_file else f"{self.name}://HOST[:PORT]/NAME"

    def is_called(self, name: str) -> bool:
        """Whether URLs may call it so."""
        return name in {self.name, *self.aliases}


_POSTGRESQL_PROPERTIES: Mapping[str, Change] = {
    "sslmode": to.set_ssl_mode,
    "ssl": to.use_ssl("verify-full"),
    "sslrootcert": to.set_ssl_ca,
    # PostgreSQL's drivers count in seconds, MySQL's in milliseconds.
    "connecttimeout": to.set_connect_timeout(1),
    "connect_timeout": to.set_connect_timeout(1),
    "logintimeout": to.set_connect_timeout(1),
    "sockettimeout": to.set_socket_timeout(1),
    "currentschema": to.set_search_path,
}
MYSQL = Scheme(
    name="mysql",
    title="MySQL",
    aliases=("mariadb",),
    port=3306,
    properties={
        "sslmode": to.set_ssl_mode,
        "ssl-mode": to.set_ssl_mode,
        "usessl": to.use_ssl("prefer"),
        "requiressl": to.use_ssl("require"),
        "verifyservercertificate": to.verify_certificate,
        "sslca": to.set_ssl_ca,
        "ssl-ca": to.set_ssl_ca,
        "ssl_ca": to.set_ssl_ca,
        "serversslcert": to.set_ssl_ca,
        "connecttimeout": to.set_connect_timeout(0.001),
        "sockettimeout": to.set_socket_timeout(0.001),
        "zerodatetimebehavior": to.set_zero_dates,
    },
    engines=("mysql", "mariadb", "aurora-mysql"),
)
POSTGRESQL = Scheme(
    name="postgresql",
    title="PostgreSQL",
    aliases=("postgres",),
    port=5432,
    properties=_POSTGRESQL_PROPERTIES,
    engines=("aurora-postgresql", "postgres"),
)
REDSHIFT = Scheme(
    name="redshift",
    title="Redshift",
    port=5439,
    properties={
        **_POSTGRESQL_PROPERTIES,
        # As Amazon's own driver calls them: temporary credentials in place of a password.
        "iam": to.keep("iam"),
        "dbuser": to.keep("dbuser"),
        "dbgroups": to.keep("dbgroups"),
        "autocreate": to.keep("autocreate"),
        # Of taskrunner's: the role that COPY and UNLOAD are given, and the way without a route.
        "iamrole": to.keep("iamrole"),
        "dataapi": to.keep("dataapi"),
    },
)
SQLITE = Scheme(name="sqlite", title="SQLite", is_file=True)
ORACLE = Scheme(
    name="oracle",
    title="Oracle",
    port=1521,
    properties={
        # Of ours: the address names a SID, and not a service; and TLS (tcps).
        "sid": to.keep("sid"),
        "ssl": to.use_ssl("verify-full"),
        "ssl_server_dn_match": to.match_names,
        "oracle.net.ssl_server_dn_match": to.match_names,
        "sslrootcert": to.set_ssl_ca,
        "connect_timeout": to.set_connect_timeout(1),
        "transport_connect_timeout": to.set_connect_timeout(1),
        "oracle.net.connect_timeout": to.set_connect_timeout(0.001),
        "oracle.jdbc.readtimeout": to.set_socket_timeout(0.001),
    },
    engines=("oracle-ee", "oracle-ee-cdb", "oracle-se2", "oracle-se2-cdb"),
)
SQLSERVER = Scheme(
    name="sqlserver",
    title="SQL Server",
    aliases=("jtds", "mssql"),
    port=1433,
    properties={
        "encrypt": to.set_encrypt,
        "trustservercertificate": to.trust_certificate,
        # jTDS's word for it.
        "ssl": to.set_jtds_ssl,
        "logintimeout": to.set_connect_timeout(1),
        "sockettimeout": to.set_socket_timeout(0.001),
    },
    engines=("sqlserver-ee", "sqlserver-ex", "sqlserver-se", "sqlserver-web"),
)
BUILT_IN = (
    MYSQL,
    POSTGRESQL,
    REDSHIFT,
    SQLITE,
    ORACLE,
    SQLSERVER,
)


def scheme_of(text: str) -> Scheme:
    """The row of what a URL begins with; of one that nobody knows only the name is known.

    Raises PermanentTaskError when the plugin for it cannot be loaded.
    """
    name = text.lower()
    own = next((scheme for scheme in BUILT_IN if scheme.is_called(name)), None)
    if own is not None:
        return own
    named = plugins.named(name, Kind.DATABASE)
    if named is not None:
        return _brought_by(named)
    found = (scheme for scheme in _of_plugins() if scheme.is_called(name))
    return next(found, Scheme(name=name))


def scheme_of_engine(engine: str) -> Scheme | None:
    """Which scheme an engine of RDS's speaks."""
    return next((scheme for scheme in _all() if engine in scheme.engines), None)


def known_engines() -> list[str]:
    """The engines of RDS's that can be spoken to."""
    return [engine for scheme in _all() for engine in scheme.engines]


def forms() -> list[str]:
    """What URLs of databases may look like on this host."""
    return sorted(scheme.form for scheme in _all())


def _all() -> Iterator[Scheme]:
    yield from BUILT_IN
    yield from _of_plugins()


def _of_plugins() -> Iterator[Scheme]:
    for plugin in plugins.installed():
        if plugin.kind is Kind.DATABASE and not plugin.built_in and plugin.refused is None:
            try:
                yield _brought_by(plugin)
            except PermanentTaskError:  # told where it is asked for by its name
                continue


def _brought_by(plugin: Plugin) -> Scheme:
    scheme: Scheme = plugin.load().scheme
    return scheme
