from __future__ import annotations

from dataclasses import replace

from taskrunner.console.views.logs import last_lines, log_view
from taskrunner.service.v1.requests import LogName
from taskrunner.service.v1.shapes import LogPage


def page(text: str) -> LogPage:
    return LogPage(stream="StdOutput", place="s3://b/k", text=text, final=True, last=True)


def test_every_line_of_a_page_is_shown() -> None:
    view = log_view("/a", LogName.OUTPUT, page("".join(f"line {n}\n" for n in range(5000))))
    assert ["".join(piece.text for piece in line) for line in view.lines] == [
        f"line {n}" for n in range(5000)
    ]


def test_progress_that_is_written_over_itself_is_one_line() -> None:
    view = log_view("/a", LogName.OUTPUT, page("1 %\r50 %\r100 %\ndone"))
    assert [line[0].text for line in view.lines] == ["100 %", "done"]
    assert [line[0].text for line in last_lines(page("a\nb\nc\n"), 2)] == ["b", "c"]


def test_the_end_of_a_log_that_grows_is_followed_and_nothing_else() -> None:
    grows = replace(page("a\n"), final=False)
    assert log_view("/a", LogName.OUTPUT, grows, at_end=True, running=True).follows
    # A place further up, a log that is whole, an attempt that has ended, nothing to read.
    assert not log_view("/a", LogName.OUTPUT, grows, running=True).follows
    assert not log_view("/a", LogName.OUTPUT, page("a\n"), at_end=True, running=True).follows
    assert not log_view("/a", LogName.OUTPUT, grows, at_end=True).follows
    assert not log_view("/a", LogName.OUTPUT, None, at_end=True, running=True).follows
