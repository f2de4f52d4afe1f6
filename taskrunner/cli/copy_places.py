"""SOURCE and TARGET of `taskrunner copy`: a URL or path each, as the data node that it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from taskrunner.cli.copy_logins import password_for, user_for
from taskrunner.data.databases.registry import check_url
from taskrunner.data.databases.schemes import Scheme, forms, scheme_of
from taskrunner.data.databases.spec import Login, from_url
from taskrunner.data.formats.compression import Compression
from taskrunner.errors import PermanentTaskError, UsageError
from taskrunner.model.document import Field, PipelineObject, Ref, Value

#: What `-` is, for whoever reads and writes objects.
STDIN, STDOUT = "/dev/stdin", "/dev/stdout"
_FORMATS = {
    ".csv": "CSV",
    ".tsv": "TSV",
    ".jsonl": "JsonLines",
    ".ndjson": "JsonLines",
    ".parquet": "Parquet",
}
_OWN = ("table", "query")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the flags say of one end."""

    format: str | None = None
    columns: tuple[str, ...] = ()
    insert_query: str | None = None
    create_table_sql: str | None = None
    query: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of a copy."""

    #: As it may be shown: without a password.
    shown: str
    #: Its data node, and what that refers to.
    objects: tuple[PipelineObject, ...]
    #: Where the node's database is.
    url: str | None = None
    #: A password was given on the command line.
    tells_password: bool = False

    @property
    def node(self) -> PipelineObject:
        """The data node."""
        return self.objects[0]


def read_end(name: str, text: str, options: Options, environ: Mapping[str, str]) -> End:
    """One end from its URL or path; `name` is SOURCE or TARGET. Raises UsageError."""
    scheme = _scheme(text)
    if scheme is None:
        return _files(name, text, options)
    try:
        return _table(name, text, scheme, options, environ)
    except PermanentTaskError as error:
        raise UsageError(f"{name}: {error}") from None


def _scheme(text: str) -> Scheme | None:
    """The kind of database that an address is of; None: it is no database's."""
    word, colon, rest = text.partition(":")
    if not colon or not word.isascii() or word in {"s3", "file"} or "/" in word:
        return None
    scheme = scheme_of(word)
    return scheme if rest.startswith("//") or scheme.is_file else None


def _files(name: str, text: str, options: Options) -> End:
    if options.query:
        raise UsageError(f"{name}: --query is for databases, and {text!r} is none")
    if options.insert_query or options.create_table_sql:
        raise UsageError(f"{name}: --insert and --create are for tables, and {text!r} is none")
    path = text
    if text == "-":
        path = STDIN if name == "SOURCE" else STDOUT
    elif "://" not in text:
        path = str(Path(text).expanduser().absolute())
        path += "/" if text.endswith("/") or Path(path).is_dir() else ""
    elif not text.startswith(("s3://", "file://")):
        wanted = " or ".join([*forms(), "s3://BUCKET/KEY", "a path", "-"])
        raise UsageError(
            f"{name}: no place is known by {text.partition('://')[0]}://; wanted {wanted}"
        )
    folder = path.endswith("/")
    compression = next((c for c in Compression if c.extension and path.endswith(c.extension)), None)
    compression = compression or Compression.NONE
    plain = path.removesuffix(compression.extension)
    fields: dict[str, Value | Sequence[Value]] = {
        "directoryPath" if folder else "filePath": path,
        "compression": compression.value,
        "dataFormat": Ref(f"{name} format"),
    }
    kind = options.format or _FORMATS.get(Path(plain).suffix.lower(), "CSV")
    return End(
        shown=text,
        objects=(
            _object(name, "S3DataNode", fields),
            _object(f"{name} format", kind, {"column": options.columns}),
        ),
    )


def _table(
    name: str, text: str, scheme: Scheme, options: Options, environ: Mapping[str, str]
) -> End:
    if options.format:
        raise UsageError(f"{name}: --{name.lower()}-format is for files, and this is a database")
    address, _, asked = text.partition("?")
    pairs = _parameters(name, asked)
    own = {key: value for key, value in pairs if key in _OWN}
    own |= {"query": options.query} if options.query else {}
    rest = [(key, value) for key, value in pairs if key not in _OWN]
    if scheme.is_file:
        path = address.partition(":")[2].removeprefix("//")
        address = f"{scheme.name}://{quote(str(Path(path).expanduser().absolute()))}"
    elif not own:
        address, own = _with_table(address)
    url = f"{address}?{urlencode(rest)}" if rest else address
    check_url(name, url)
    if len(own) != 1:
        form = f"{scheme.form}?table=TABLE or ?query=SELECT..."
        raise UsageError(f"{name}: wanted one table or query in the address: {form}")
    if name == "TARGET" and "query" in own:
        raise UsageError("TARGET: a query cannot be written to; wanted ?table=TABLE")
    fields: dict[str, Value | Sequence[Value]] = {"database": Ref(f"{name} database")}
    fields |= {"table": own["table"]} if "table" in own else {"selectQuery": own["query"]}
    fields |= {"insertQuery": options.insert_query} if options.insert_query else {}
    fields |= {"createTableSql": options.create_table_sql} if options.create_table_sql else {}
    return _with_login(name, url, fields, environ)


def _parameters(name: str, asked: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(asked, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        hint = "write %25 for a percent sign, or give a query by --query"
        raise UsageError(f"{name}: what is behind % in the address is no text: {hint}") from None


def _with_table(address: str) -> tuple[str, dict[str, str]]:
    """The last part of a path of two is the table: scheme://host/name/table."""
    parts = urlsplit(address)
    names = parts.path.strip("/").split("/")
    if len(names) != 2:
        return address, {}
    return parts._replace(path=f"/{names[0]}").geturl(), {"table": unquote(names[1])}


def _with_login(
    name: str, url: str, fields: Mapping[str, Value | Sequence[Value]], environ: Mapping[str, str]
) -> End:
    """The end with what its address leaves out, if the environment has it."""
    spec = from_url(name, url, Login())
    login: dict[str, Value | Sequence[Value]] = {}
    if spec.username is None and (user := user_for(spec, environ)):
        login["username"] = user
        spec = replace(spec, username=user)
    told = spec.password is not None
    if not told and spec.host and (password := password_for(spec, environ, end=name)):
        login["*password"] = password
    table = fields.get("table") or "a query"
    where = f"//{spec.host}/{spec.database}" if spec.host else spec.database
    return End(
        shown=f"{table} in {spec.scheme}:{where}",
        objects=(
            _object(name, "SqlDataNode", fields),
            _object(f"{name} database", "JdbcDatabase", login),
        ),
        url=url,
        tells_password=told,
    )


def _object(
    object_id: str, object_type: str, fields: Mapping[str, Value | Sequence[Value]]
) -> PipelineObject:
    pairs = [Field("type", object_type)]
    for key, value in fields.items():
        values = [value] if isinstance(value, str | Ref) else value
        pairs += [Field(key, item) for item in values]
    return PipelineObject(id=object_id, name=object_id, fields=tuple(pairs))
