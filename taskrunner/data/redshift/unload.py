"""Carrying out an UNLOAD: into a directory, or into one file that appears whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.redshift.authorization import Authorization
from taskrunner.data.redshift.carrying_out import Monitor, authorization_for, carry_out
from taskrunner.data.redshift.nodes import Files, Request, Table
from taskrunner.data.redshift.plan import unload_steps
from taskrunner.data.redshift.session import Session
from taskrunner.data.redshift.wanted import Wanted, unload_options
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

#: What UNLOAD calls its files, behind the prefix.
_MADE = re.compile(r"(?:\d{3,}|\d{4,}_part_\d{2,})(?:\.\w+)*|manifest")


@dataclass(frozen=True, slots=True)
class UnloadFiles:
    """One UNLOAD of a table."""

    session: Session
    request: Request
    objects: ObjectStore
    monitor: Monitor

    def run(self, file_name: str) -> None:
        """Unload; `file_name` begins the names of files in a directory. Raises TaskError."""
        files = self._files
        wanted = unload_options(self.request, files)
        for remark in wanted.remarks:
            self.monitor.log.warning("%s", remark)
        if files.is_manifest:
            raise self._invalid("manifestFilePath is for input; for output add MANIFEST to "
                                "commandOptions and set directoryPath")  # fmt: skip
        authorization = authorization_for(self.session, wanted)
        self.monitor.log.info(
            "Options: %s, with the rights of %s; insertMode is of no effect on files",
            wanted.shown,
            authorization.about,
        )
        if files.is_directory:
            self._into_directory(f"{files.uri}{file_name}_", wanted, authorization)
        else:
            self._into_file(files.uri, wanted, authorization)

    def _into_directory(self, prefix: str, wanted: Wanted, authorization: Authorization) -> None:
        # With fewer rows than an earlier attempt had there would be fewer files: none must stay.
        for uri in self._made(prefix):
            self.objects.delete(uri)
        rows = self._unload(prefix, wanted, authorization)
        made = self._made(prefix)
        self.monitor.progress(files=len(made))
        shown = f"{rows} rows" if rows >= 0 else "the rows"
        self.monitor.log.info("Unloaded %s into %d files at %s*", shown, len(made), prefix)

    def _into_file(self, uri: str, wanted: Wanted, authorization: Authorization) -> None:
        if wanted.has("MANIFEST"):
            raise self._invalid("MANIFEST names the files of a directory: set directoryPath")
        prefix = f"{uri}.unload/"
        with self._removed(prefix):
            rows = self._unload(prefix, wanted, authorization)
            made = self._made(prefix)
            if len(made) != 1:
                message = (
                    f"S3DataNode {self._files.id!r}: UNLOAD made {len(made)} files, since one "
                    "holds 6.2 GB at most; set directoryPath in place of filePath"
                )
                raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
            self.objects.copy(made[0], uri)
        self.monitor.log.info("Unloaded %s into %s", f"{rows} rows" if rows >= 0 else "all", uri)

    @contextmanager
    def _removed(self, prefix: str) -> Iterator[None]:
        """What has this prefix is gone before and after."""
        try:
            for uri in self._made(prefix):
                self.objects.delete(uri)
            yield
        finally:
            with suppress(TaskError):  # what went wrong before is what counts
                for uri in self._made(prefix):
                    self.objects.delete(uri)

    def _unload(self, prefix: str, wanted: Wanted, authorization: Authorization) -> int:
        source = self.request.source
        assert isinstance(source, Table)  # noqa: S101  read_request has seen to it
        table = self.session.find_table(source.table, source.schema)
        if table is None:
            name = f"{source.schema}.{source.table}" if source.schema else source.table
            message = (
                f"RedshiftDataNode {source.id!r}, field 'tableName': {self.session.spec} has no "
                f"table {name!r}"
            )
            raise PermanentTaskError(message, error_id=ErrorId.NOT_FOUND)
        steps = unload_steps(
            self.session,
            self.request,
            table=table,
            prefix=prefix,
            authorization=authorization.clause,
            options=wanted.options,
        )
        where = f"RedshiftCopyActivity {self.request.id!r}"
        return carry_out(self.session, steps, self.monitor, authorization, where)

    def _made(self, prefix: str) -> list[str]:
        """The files of UNLOAD's with this prefix, and no others."""
        found = (info.uri for info in self.objects.list(prefix))
        return [uri for uri in found if _MADE.fullmatch(uri.removeprefix(prefix))]

    @property
    def _files(self) -> Files:
        target = self.request.target
        assert isinstance(target, Files)  # noqa: S101  whoever calls has looked
        return target

    def _invalid(self, problem: str) -> PermanentTaskError:
        message = f"S3DataNode {self._files.id!r}: {problem}"
        return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
