"""UNLOAD from PostgreSQL: a query's rows as files of Redshift's names and dialects."""

from __future__ import annotations

import bz2
import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from taskrunner.data.databases.base import Batch, Result
from taskrunner.data.formats.compression import GzipWriter
from taskrunner.data.objects.base import ObjectStore, ObjectWriter
from taskrunner.data.redshift.stand_in.statements import Unload
from taskrunner.data.redshift.tokens import unreadable
from taskrunner.errors import ErrorId, TaskError

_SERIAL = frozenset({"OFF", "FALSE"})
_ENDINGS = {"GZIP": ".gz", "BZIP2": ".bz2"}


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...

    def finish(self) -> None: ...


class _Plain:
    """Bytes as they are."""

    def __init__(self, target: ObjectWriter) -> None:
        self._target = target

    def write(self, data: bytes, /) -> int:
        return self._target.write(data)

    def finish(self) -> None:
        """Nothing is left."""


class _Bzip2(_Plain):
    def __init__(self, target: ObjectWriter) -> None:
        super().__init__(target)
        self._compressor = bz2.BZ2Compressor()

    def write(self, data: bytes, /) -> int:
        super().write(self._compressor.compress(data))
        return len(data)

    def finish(self) -> None:
        super().write(self._compressor.flush())


@dataclass(frozen=True, slots=True, kw_only=True)
class Unloading:
    """One UNLOAD."""

    objects: ObjectStore
    unload: Unload

    def run(self, result: Result) -> int:
        """Write the files; returns the number of rows. Raises TaskError."""
        uri = self._prepared()
        encode = self._encoder()
        count = size = 0
        with self.objects.open_write(uri) as writer:
            sink = self._sink(writer)
            if self._has("HEADER"):
                size += sink.write(encode([result.columns]))
            for batch in result.batches:
                size += sink.write(encode(batch))
                count += len(batch)
            sink.finish()
        if self._has("MANIFEST"):
            self._write_manifest(uri, size)
        return count

    def _has(self, name: str) -> bool:
        return name in self.unload.options

    def _value(self, name: str, default: str) -> str:
        option = self.unload.options.get(name)
        return default if option is None or option.value is None else option.value

    def _prepared(self) -> str:
        """The file to write, with room made for it as the options allow."""
        prefix = self.unload.prefix
        number = "000" if self._value("PARALLEL", "ON") in _SERIAL else "0000_part_00"
        ending = next((end for name, end in _ENDINGS.items() if self._has(name)), "")
        extension = self._value("EXTENSION", "")
        uri = prefix + number + (f".{extension.lstrip('.')}" if extension else ending)
        if self._has("CLEANPATH"):
            for info in list(self.objects.list(prefix)):
                self.objects.delete(info.uri)
        elif not self._has("ALLOWOVERWRITE") and self.objects.stat(uri) is not None:
            message = (
                f"Specified unload destination on S3 is not empty: {uri}. Consider using a "
                "different bucket / prefix, manually removing the target files in S3, or using "
                "the ALLOWOVERWRITE option"
            )
            raise TaskError(message, error_id=ErrorId.ACTIVITY_FAILED)
        return uri

    def _sink(self, writer: ObjectWriter) -> _Sink:
        if self._has("GZIP"):
            return GzipWriter(writer)
        return _Bzip2(writer) if self._has("BZIP2") else _Plain(writer)

    def _write_manifest(self, uri: str, size: int) -> None:
        entries = [{"url": uri, "meta": {"content_length": size}}]
        with self.objects.open_write(f"{self.unload.prefix}manifest") as writer:
            writer.write(json.dumps({"entries": entries}, indent=2).encode())

    def _encoder(self) -> Callable[[Batch], bytes]:
        null = self._value("NULL", "")
        separator = self._value("DELIMITER", "," if self._has("CSV") else "|")
        if len(separator) != 1:
            raise unreadable(f"UNLOAD: DELIMITER is {separator!r}, wanted a single character")
        if self._has("CSV"):
            return lambda batch: _csv(batch, separator, null)
        return self._delimited(separator, null)

    def _delimited(self, separator: str, null: str) -> Callable[[Batch], bytes]:
        quotes, escapes = self._has("ADDQUOTES"), self._has("ESCAPE")
        special = {"\\", "\n", "\r", separator, *('"' if quotes else "")}
        table = str.maketrans({character: f"\\{character}" for character in special})

        def written(value: str | None) -> str:
            if value is None:
                return null
            text = value.translate(table) if escapes else value
            return f'"{text}"' if quotes else text

        def lines(batch: Batch) -> Iterator[str]:
            for row in batch:
                yield separator.join(map(written, row))
                yield "\n"

        return lambda batch: "".join(lines(batch)).encode()


def _csv(batch: Batch, separator: str, null: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerows([null if value is None else value for value in row] for row in batch)
    return text.getvalue().encode()
