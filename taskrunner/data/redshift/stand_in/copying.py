"""COPY by PostgreSQL: rows read here, and given to its own COPY."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import psycopg

from taskrunner.data.formats.encoding import Encoder, Escapes
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.redshift.session import LoadError
from taskrunner.data.redshift.stand_in.conversions import Column, Value, conversions, fitted
from taskrunner.data.redshift.stand_in.dynamodb import items
from taskrunner.data.redshift.stand_in.sources import bytes_of, paths_of, uris_of
from taskrunner.data.redshift.stand_in.statements import Copy
from taskrunner.data.redshift.stand_in.values import Layout, Record, records
from taskrunner.errors import TaskError

_SCHEME = "dynamodb://"
_BATCH = 500
_TEXT = Escapes(separator="\t", record_separator="\n", escape="\\", also="\r")
#: What PostgreSQL says of the row that it did not take.
_WHERE = re.compile(r'COPY [^,]+, line (\d+)(?:, column ([^:]+?))?(?:: "(.*)")?$', re.DOTALL)
_NAME = re.compile(r"\w+")


class TooManyErrors(TaskError):
    """More rows cannot be loaded than MAXERROR allows."""


@dataclass(slots=True)
class _Sent:
    """The rows that the server was given, to find the one that it names."""

    #: For each file: the number of its first row.
    firsts: list[tuple[int, str]] = field(default_factory=list)
    #: The line in its file of each row; there may be millions.
    lines: array[int] = field(default_factory=lambda: array("Q"))

    def file_of(self, row: int) -> str:
        return next((uri for first, uri in reversed(self.firsts) if first <= row), "")


@dataclass(slots=True, kw_only=True)
class Copying:
    """One COPY."""

    connection: psycopg.Connection[tuple[str | None, ...]]
    objects: ObjectStore
    copy: Copy
    #: The target's name in SQL, and the columns that are loaded.
    table: str
    columns: Sequence[Column]
    errors: list[LoadError] = field(default_factory=list)

    def run(self) -> int:
        """Load, and return the number of rows; raises TaskError, and the driver's own errors.

        A row that the server does not take ends its COPY: all is begun anew without that one.
        """
        names = tuple(column.name for column in self.columns)
        layout = Layout(options=self.copy.options, columns=names)
        layout = replace(layout, paths=paths_of(self.objects, layout))
        most = int(layout.value("MAXERROR", "0"))
        if layout.has("IGNOREALLERRORS"):
            most = 100_000
        refused: dict[tuple[str, int], LoadError] = {}
        # With a transaction begun, those below are savepoints in it.
        self.connection.execute("SELECT 1")
        while True:
            self.errors = []
            sent = _Sent()
            try:
                with self.connection.transaction():
                    return self._send(layout, sent, refused, most)
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                found = self._refused(error, sent)
            refused[found.file, int(found.line)] = found
            if len(refused) > most or found.line == "0":
                self.errors = [*refused.values()]
                raise TooManyErrors(_failed(self.table))

    def _send(
        self,
        layout: Layout,
        sent: _Sent,
        refused: Mapping[tuple[str, int], LoadError],
        most: int,
    ) -> int:
        quoted = ", ".join('"' + c.name.replace('"', '""') + '"' for c in self.columns)
        encoder = Encoder(_TEXT)
        statement = f"COPY {self.table} ({quoted}) FROM STDIN"
        batch: list[list[Value]] = []
        with self.connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for row in self._rows(layout, sent, refused, most):
                batch.append(row)
                if len(batch) >= _BATCH:
                    copy.write(encoder.encode(batch))
                    batch = []
            copy.write(encoder.encode(batch))
        return len(sent.lines)

    def _rows(
        self,
        layout: Layout,
        sent: _Sent,
        refused: Mapping[tuple[str, int], LoadError],
        most: int,
    ) -> Iterator[list[Value]]:
        convert = conversions(layout, self.columns)
        skips_blank = layout.has("IGNOREBLANKLINES")
        for uri, found in self._files(layout):
            sent.firsts.append((len(sent.lines) + 1, uri))
            for line, values in found:
                if skips_blank and values == [""]:
                    continue
                if (uri, line) in refused:
                    self._note(refused[uri, line], most)
                    continue
                fits = values if isinstance(values, str) else fitted(layout, values, self._width)
                if isinstance(fits, str):
                    self._note(_bad_record(uri, line, values, fits), most)
                    continue
                sent.lines.append(line)
                yield convert(fits)

    def _files(self, layout: Layout) -> Iterator[tuple[str, Iterator[Record]]]:
        source = self.copy.source
        if source.startswith(_SCHEME):
            table = source.removeprefix(_SCHEME)
            found = enumerate(items(table, layout.columns, layout.value("REGION", "") or None), 1)
            yield source, ((number, row) for number, row in found)
            return
        for uri in uris_of(self.objects, source, manifest=layout.has("MANIFEST")):
            yield uri, records(bytes_of(self.objects, uri, layout), layout)

    @property
    def _width(self) -> int:
        return len(self.columns)

    def _note(self, error: LoadError, most: int) -> None:
        self.errors.append(error)
        if len(self.errors) > most:
            raise TooManyErrors(_failed(self.table))

    def _refused(self, error: psycopg.Error, sent: _Sent) -> LoadError:
        """Which row it was, by what the server says of it."""
        diagnosis = error.diag
        match = _WHERE.search(diagnosis.context or "")
        row = int(match[1]) if match else 0
        line = sent.lines[row - 1] if 0 < row <= len(sent.lines) else 0
        column = (match[2] or "") if match else ""
        kinds = {c.name: c.type for c in self.columns}
        return LoadError(
            file=sent.file_of(row),
            line=str(line),
            column=column,
            type=kinds.get(column, ""),
            value=(match[3] or "") if match else "",
            reason=diagnosis.message_primary or str(error),
        )


def _bad_record(uri: str, line: int, values: list[Value] | str, reason: str) -> LoadError:
    shown = "" if isinstance(values, str) else "|".join(value or "" for value in values)
    return LoadError(file=uri, line=str(line), column="", type="", value=shown, reason=reason)


def _failed(table: str) -> str:
    name = ".".join(_NAME.findall(table))
    return f"Load into table '{name}' failed. Check 'stl_load_errors' system table for details"
