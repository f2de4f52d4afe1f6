"""The options that a copy is sent with: the author's, and those that its objects come to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taskrunner.data.redshift.nodes import (
    DynamoDbTable,
    Files,
    InsertMode,
    Request,
    Table,
    delimited,
)
from taskrunner.data.redshift.options import FORMATS, Option, Verb, checked, make, parse_options
from taskrunner.data.redshift.tokens import quoted
from taskrunner.errors import ErrorId, PermanentTaskError

#: Set by the activity, or secrets that a definition must not hold.
_KEYS = frozenset({"ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"})
_ROLE = "aws_iam_role="
#: What a COPY from DynamoDB understands.
_OF_DYNAMODB = frozenset(
    {
        *("ACCEPTANYDATE", "BLANKSASNULL", "DATEFORMAT", "EMPTYASNULL", "ROUNDEC", "TIMEFORMAT"),
        *("TRIMBLANKS", "TRUNCATECOLUMNS", "COMPROWS", "COMPUPDATE", "MAXERROR", "NOLOAD"),
        *("STATUPDATE", "READRATIO", "REGION", "IAM_ROLE", "EXPLICIT_IDS"),
    }
)
#: Not for logs.
_SECRET = frozenset({"MASTER_SYMMETRIC_KEY"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options of a statement."""

    options: tuple[Option, ...]
    #: `IAM_ROLE ...`, if the author says one.
    role: str | None
    #: What the author wrote that has no effect, and why, for the log.
    remarks: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The options without what is secret."""
        texts = (f"{o.name} ..." if o.name in _SECRET else o.written for o in self.options)
        return ", ".join(texts) or "none"

    def has(self, *names: str) -> bool:
        """Whether one of these is among them."""
        return any(option.name in names for option in self.options)


def copy_options(request: Request) -> Wanted:
    """What COPY is sent with; raises PermanentTaskError naming the activity and the field."""
    try:
        return _copy_options(request)
    except PermanentTaskError as error:
        raise _of_activity(request, error) from error


def unload_options(request: Request, files: Files) -> Wanted:
    """What UNLOAD is sent with; raises PermanentTaskError naming the activity and the field."""
    try:
        return _unload_options(request, files)
    except PermanentTaskError as error:
        raise _of_activity(request, error) from error


def _copy_options(request: Request) -> Wanted:
    given, role = _without_role(parse_options(Verb.COPY, request.options))
    source = request.source
    if any(option.name == "NOLOAD" for option in given) and request.mode is InsertMode.TRUNCATE:
        raise _wrong("NOLOAD loads nothing, and insertMode TRUNCATE would empty the table")
    if isinstance(source, DynamoDbTable):
        return Wanted(options=_dynamodb_options(given, source), role=role)
    if isinstance(source, Table):
        if given:
            raise _wrong(f"{given[0].name} is an option of COPY, and a table is not copied by it")
        return Wanted(options=(), role=role)
    options, remarks = _formatted(given, source)
    if source.useless:
        remarks += (f"{source.useless} of {source.id!r} has no effect beside manifestFilePath",)
    if source.is_manifest and not _has(options, "MANIFEST"):
        options += (make(Verb.COPY, "MANIFEST"),)
    return Wanted(options=checked(Verb.COPY, options), role=role, remarks=remarks)


def _unload_options(request: Request, files: Files) -> Wanted:
    given, role = _without_role(parse_options(Verb.UNLOAD, request.options))
    options, remarks = _formatted(given, files)
    if not _has(options, "CLEANPATH", "ALLOWOVERWRITE"):
        # A second attempt writes over what the first one left.
        options += (make(Verb.UNLOAD, "ALLOWOVERWRITE"),)
    if not files.is_directory:
        if _has(options, "PARTITION"):
            raise _wrong("PARTITION BY makes folders; S3DataNode wants a directoryPath for it")
        parallel = next((o for o in options if o.name == "PARALLEL"), None)
        if parallel is not None and parallel.value in {None, "ON", "TRUE"}:
            raise _wrong("PARALLEL ON makes several files; S3DataNode wants a directoryPath for it")
        if parallel is None:
            options += (make(Verb.UNLOAD, "PARALLEL OFF"),)
    return Wanted(options=checked(Verb.UNLOAD, options), role=role, remarks=remarks)


def _formatted(
    given: tuple[Option, ...], files: Files
) -> tuple[tuple[Option, ...], tuple[str, ...]]:
    """The options with those of the data format, which goes before them, as on AWS."""
    remarks: tuple[str, ...] = ()
    if files.format is not None:
        if given:
            names = ", ".join(option.name for option in given)
            why = f"since S3DataNode {files.id!r} has a dataFormat"
            remarks = (f"commandOptions ({names}) have no effect, {why}",)
        options = files.format
    elif not given:
        # As a data node without a format is read and written everywhere else.
        options = delimited(",")
    else:
        options = given
        if not _has(given, *FORMATS):
            remarks = ("commandOptions name no format: values are separated by '|'",)
    if files.gzip and not _has(options, "GZIP"):
        options += (make(Verb.COPY, "GZIP"),)
    return options, remarks


def _dynamodb_options(given: Sequence[Option], source: DynamoDbTable) -> tuple[Option, ...]:
    for option in given:
        if option.name not in _OF_DYNAMODB:
            raise _wrong(f"{option.name} is of no use in a COPY from DynamoDB")
    options = tuple(given)
    if not _has(options, "READRATIO"):
        options += (make(Verb.COPY, f"READRATIO {source.read_ratio}"),)
    region = next((o for o in options if o.name == "REGION"), None)
    if region is not None and source.region not in {None, region.value}:
        raise _wrong(
            f"REGION is {region.value!r}, and DynamoDBDataNode {source.id!r} has the region "
            f"{source.region!r}"
        )
    if region is None and source.region is not None:
        options += (make(Verb.COPY, f"REGION {quoted(source.region)}"),)
    return checked(Verb.COPY, options)


def _without_role(options: tuple[Option, ...]) -> tuple[tuple[Option, ...], str | None]:
    """The options but the one that says with whose rights S3 is reached."""
    role = None
    rest = []
    for option in options:
        value = option.value or ""
        if option.name == "IAM_ROLE":
            role = option.written
        elif option.name == "CREDENTIALS" and value.startswith(_ROLE):
            role = f"IAM_ROLE {quoted(value.removeprefix(_ROLE))}"
        elif option.name in _KEYS or option.name == "CREDENTIALS":
            raise _wrong(
                f"{option.name} is set by the activity, from the agent's own credentials; for a "
                "role write IAM_ROLE 'ARN'"
            )
        else:
            rest.append(option)
    return tuple(rest), role


def _has(options: Sequence[Option], *names: str) -> bool:
    return any(option.name in names for option in options)


def _wrong(problem: str) -> PermanentTaskError:
    return PermanentTaskError(problem, error_id=ErrorId.INVALID_FIELD)


def _of_activity(request: Request, error: PermanentTaskError) -> PermanentTaskError:
    message = f"RedshiftCopyActivity {request.id!r}, field 'commandOptions': {error}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
