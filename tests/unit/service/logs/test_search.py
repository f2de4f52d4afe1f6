from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.service.logs.kept import KeptLog
from taskrunner.service.logs.search import Match, Search

FAR = 1 << 40
TEXT = "".join(
    f"line {n}: {'ERROR' if n % 100 == 0 else 'fine'}\n" for n in range(1, 1001)
).encode()


def pieces(text: bytes, size: int, start: int = 0) -> Iterator[tuple[int, bytes]]:
    for at in range(0, len(text), size):
        yield start + at, text[at : at + size]


def found(text: bytes, wanted: str, size: int = 1000, most: int = 1000) -> Search:
    search = Search()
    search.look(pieces(text, size), wanted, most=most, until=FAR)
    return search


def numbers(search: Search) -> list[int]:
    return [match.number for match in search.matches]


@pytest.mark.parametrize("size", [1, 7, 1000, 10_000_000])
def test_lines_are_found_in_whatever_pieces_they_come(size: int) -> None:
    search = found(TEXT, "error", size)
    assert numbers(search) == list(range(100, 1001, 100))
    for match in search.matches:
        assert TEXT[match.offset :].startswith(match.text + b"\n")
        assert match.page <= match.offset
        assert match.page == 0 or TEXT[match.page - 1 : match.page] == b"\n"
    assert (search.offset, search.more) == (len(TEXT), False)


def test_a_page_shows_a_line_with_some_before_it() -> None:
    match = found(TEXT, "line 500:", 10_000_000).matches[0]
    assert TEXT[match.page : match.offset].count(b"\n") == 10


def test_letters_are_the_same_in_whatever_case() -> None:
    assert numbers(found("straße\nÄpfel\nnone\n".encode(), "ÄPFEL")) == [2]
    assert numbers(found(b"one\nTwo\n", "tWO")) == [2]
    assert numbers(found(b"\xff\xfe two\n", "two")) == [1]


def test_the_end_of_a_log_needs_no_line_break() -> None:
    assert found(b"one\ntwo", "two").matches == [Match(offset=4, number=2, page=4, text=b"two")]


def test_it_goes_on_where_it_has_found_enough() -> None:
    first = found(TEXT, "error", most=3)
    assert (numbers(first), first.more) == ([100, 200, 300], True)
    rest = Search(offset=first.offset, lines=first.lines)
    rest.look(pieces(TEXT[first.offset :], 999, first.offset), "error", most=1000, until=FAR)
    assert numbers(rest) == list(range(400, 1001, 100))


def test_it_goes_on_where_it_has_looked_far_enough_and_no_line_is_missed() -> None:
    """Also one that goes on behind that place."""
    for until in range(0, len(TEXT) + 1, 997):
        search = Search()
        search.look(pieces(TEXT[:until], 100), "ERROR", most=1000, until=until)
        assert search.more
        rest = Search(offset=search.offset, lines=search.lines)
        rest.look(pieces(TEXT[search.offset :], 100, search.offset), "ERROR", most=1000, until=FAR)
        assert numbers(search) + numbers(rest) == list(range(100, 1001, 100))


def test_a_very_long_line_is_told_in_part_and_takes_no_memory() -> None:
    long = b"x" * 300_000 + b" needle " + b"y" * 300_000 + b"\nneedle\n"
    search = found(long, "needle", 10_000)
    assert [(match.number, len(match.text) <= 500) for match in search.matches] == [
        (1, True),
        (2, True),
    ]


def test_what_was_left_out_of_a_log_joins_no_lines() -> None:
    search = Search()
    search.look([(0, b"one nee"), (100, b"dle two\nneedle\n")], "needle", most=9, until=FAR)
    assert [match.offset for match in search.matches] == [108]


def test_a_log_on_this_host_comes_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "StdOutput").write_bytes(TEXT)
    log = KeptLog(tmp_path / "StdOutput", final=True)
    assert b"".join(piece for _, piece in log.pieces(0, FAR)) == TEXT
    assert list(log.pieces(10, 5)) == [(10, TEXT[10:15])]
    assert list(log.pieces(1 << 61, 5)) == []
    assert list(KeptLog(tmp_path / "none", final=True).pieces(0, FAR)) == []
