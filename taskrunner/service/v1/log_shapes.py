"""What /v1 answers about a search in a log; a page of one is in `shapes`."""

from __future__ import annotations

from dataclasses import dataclass

from taskrunner.service.v1.requests import LogName
from taskrunner.service.v1.schema import about


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLog:
    """A whole log of an attempt."""

    pipeline_id: str = about("The pipeline's id.")
    attempt_id: str = about("The attempt's id.")
    stream: LogName = about("Which log.", default=LogName.OUTPUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMatch:
    """A line of a log that has the text. What is no UTF-8 in it is replaced."""

    number: int = about("Which line it is, from 1.")
    offset: int = about("At how many bytes it begins.")
    page: int = about("An `offset` of `…/log` that shows it with some lines before it.")
    text: str = about("The line; of a long one its beginning.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMatches:
    """Lines of a log that have a text."""

    stream: str = about("Which log.")
    place: str = about("The folder that the attempt's logs are pushed to.")
    matches: tuple[LogMatch, ...] = about("The lines, in their order.")
    searched: int = about("How many bytes were looked through, from the log's beginning.")
    marker: str | None = about(
        "Ask with this for what follows; left out where the log ends, as far as it is pushed.",
        default=None,
    )
