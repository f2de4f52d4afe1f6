from __future__ import annotations

from dataclasses import replace

import pytest

from taskrunner.console.views.logs import last_lines, log_view, places, search_view, size
from taskrunner.service.v1.log_shapes import LogMatch, LogMatches
from taskrunner.service.v1.requests import LogName
from taskrunner.service.v1.shapes import LogPage


def page(text: str) -> LogPage:
    return LogPage(stream="StdOutput", place="s3://b/k", text=text, final=True, last=True)


def test_every_line_of_a_page_is_shown() -> None:
    view = log_view("/a", LogName.OUTPUT, page("".join(f"line {n}\n" for n in range(5000))))
    assert ["".join(piece.text for piece in line.pieces) for line in view.lines] == [
        f"line {n}" for n in range(5000)
    ]


def test_progress_that_is_written_over_itself_is_one_line() -> None:
    view = log_view("/a", LogName.OUTPUT, page("1 %\r50 %\r100 %\ndone"))
    assert [line.pieces[0].text for line in view.lines] == ["100 %", "done"]
    assert [line[0].text for line in last_lines(page("a\nb\nc\n"), 2)] == ["b", "c"]


def test_the_end_of_a_log_that_grows_is_followed_and_nothing_else() -> None:
    grows = replace(page("a\n"), final=False)
    assert log_view("/a", LogName.OUTPUT, grows, at_end=True, running=True).follows
    # A place further up, a log that is whole, an attempt that has ended, nothing to read.
    assert not log_view("/a", LogName.OUTPUT, grows, running=True).follows
    assert not log_view("/a", LogName.OUTPUT, page("a\n"), at_end=True, running=True).follows
    assert not log_view("/a", LogName.OUTPUT, grows, at_end=True).follows
    assert not log_view("/a", LogName.OUTPUT, None, at_end=True, running=True).follows


def test_lines_have_addresses_as_far_as_their_places_are_known() -> None:
    text = "one\nzwölf\n\nbad \ufffd\nlast\n"
    view = log_view("/a", LogName.ERROR, replace(page(text), offset=100))
    assert [line.offset for line in view.lines] == [100, 104, 111, 112, None]
    assert view.lines[1].address == "/a?stream=StdError&offset=104#b104"
    assert view.lines[-1].address == ""
    assert places(["a", "b"], None) == [None, None]


def test_a_line_that_was_found_leads_to_where_it_stands() -> None:
    match = LogMatch(number=7, offset=120, page=20, text="\x1b[31mNo\x1b[0m <b>no</b> (no.)")
    found = LogMatches(
        stream="StdError", place="s3://b/k", matches=(match,), searched=64_000_000, marker="m"
    )
    view = search_view("/a", LogName.ERROR, "no", found)
    (line,) = view.lines
    assert line.address == "/a?stream=StdError&offset=20#b120"
    assert list(line.pieces) == [
        ("", False),
        ("No", True),
        (" <b>", False),
        ("no", True),
        ("</b> (", False),
        ("no", True),
        (".)", False),
    ]
    assert view.more == "/a/search?stream=StdError&text=no&marker=m"
    assert view.searched == "64.0 MB"
    # What is looked for is a text, and no pattern.
    assert search_view("/a", LogName.ERROR, ".)", found).lines[0].pieces[1] == (".)", True)
    assert search_view("/a", LogName.ERROR, "x", None, problem="gone").lines == ()


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_999, "1.0 MB"), (10**13, "10.0 TB")],
)
def test_bytes_are_told_in_few_letters(count: int, told: str) -> None:
    assert size(count) == told
