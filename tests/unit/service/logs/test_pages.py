from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise

import pytest

from taskrunner.agent.logs.gzipping import Gzip
from taskrunner.data.objects.base import ObjectInfo
from taskrunner.model.log_names import LOG_BLOCK, part_name
from taskrunner.service.logs.blocks import last_blocks, whole_blocks
from taskrunner.service.logs.pages import Before, Log, NotGzip, Page, TooFar

FOLDER = "s3://b/logs/attempt"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
#: Lines of a log by the size of its pages. Each page is inflated from the beginning: at 5000 bytes
#: a log of some blocks, whose parts are longer than a block too, says what a long one does.
LINES = {100: 200, 5000: 6_000, 1 << 20: 20_000}


class FakeStore:
    """Objects in memory; remembers how many bytes were asked for."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {f"{FOLDER}/{name}": data for name, data in objects.items()}
        self.read = 0

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for uri in sorted(self.objects):
            if uri.startswith(prefix):
                yield ObjectInfo(uri=uri, size=len(self.objects[uri]), modified=MOMENT)

    def read_range(self, uri: str, start: int, size: int) -> bytes:
        found = self.objects[uri][start : start + size]
        self.read += len(found)
        return found


def zipped(text: bytes) -> bytes:
    """As an agent does it."""
    out = bytearray()
    with ThreadPoolExecutor(1) as pool:
        stream = Gzip(out.extend, pool)
        stream.add(text)
        stream.finish()
    return bytes(out)


@cache
def lines(count: int) -> bytes:
    made = random.Random(7)
    return b"".join(b"%d %s\n" % (n, made.randbytes(30).hex().encode()) for n in range(count))


def pages_from_the_end(log: Log, limit: int) -> list[Page]:
    pages = [log.tail(limit)]
    while True:
        page = pages[-1]
        if page.before is not None:
            pages.append(log.before(page.before, limit))
        elif page.offset:
            pages.append(log.before_place(page.offset, limit))
        else:
            return pages


def pages_from_the_beginning(log: Log, limit: int) -> list[Page]:
    pages = [log.at(0, limit)]
    while not pages[-1].last:
        offset = pages[-1].next_offset
        assert offset is not None
        pages.append(log.at(offset, limit))
    return pages


@pytest.mark.parametrize("size", [0, 1, LOG_BLOCK - 1, LOG_BLOCK, LOG_BLOCK + 1, 40 * LOG_BLOCK])
@pytest.mark.parametrize("limit", [1000, LOG_BLOCK, 1 << 20])
def test_pages_from_the_end_are_the_log_in_whole_lines(size: int, limit: int) -> None:
    text = lines(80_000)[:size]
    store = FakeStore(**{"StdOutput.gz": zipped(text)})
    pages = pages_from_the_end(Log(store, FOLDER, "StdOutput"), limit)
    assert b"".join(page.text for page in reversed(pages)) == text
    assert all(page.final for page in pages)
    assert [page.last for page in pages] == [True, *(False for _ in pages[1:])]
    assert all(page.text.startswith(text.partition(b" ")[0]) for page in pages[-1:])
    for page in pages[1:]:
        assert page.text.endswith(b"\n")


def test_the_end_of_a_long_log_is_read_by_a_range() -> None:
    text = lines(100_000)
    store = FakeStore(**{"StdOutput.gz": zipped(text)})
    page = Log(store, FOLDER, "StdOutput").tail(64 << 10)
    assert text.endswith(page.text)
    assert len(page.text) >= (64 << 10) - 100
    assert store.read < len(store.objects[f"{FOLDER}/StdOutput.gz"]) / 8


def test_a_log_that_shrinks_a_thousand_times_is_read_as_well() -> None:
    text = b"again and again\n" * (200 * LOG_BLOCK // 16)
    store = FakeStore(**{"StdOutput.gz": zipped(text)})
    pages = pages_from_the_end(Log(store, FOLDER, "StdOutput"), 10 * LOG_BLOCK)
    assert b"".join(page.text for page in reversed(pages)) == text


@pytest.mark.parametrize("limit", [100, 5000, 1 << 20])
def test_pages_from_the_beginning_are_the_log_in_whole_lines(limit: int) -> None:
    text = lines(LINES[limit])
    store = FakeStore(**{"StdError.gz": zipped(text)})
    pages = pages_from_the_beginning(Log(store, FOLDER, "StdError"), limit)
    assert b"".join(page.text for page in pages) == text
    assert all(page.text.endswith(b"\n") for page in pages)


@pytest.mark.parametrize("limit", [100, 5000, 1 << 20])
def test_parts_of_a_running_task_are_one_log(limit: int) -> None:
    text = lines(LINES[limit])
    cuts = [0, len(text) // 3, len(text) // 2, len(text)]
    store = FakeStore(
        **{
            part_name("StdOutput", start, end): zipped(text[start:end])
            for start, end in pairwise(cuts)
        },
        **{part_name("StdError", 0, 3): zipped(b"err")},
    )
    log = Log(store, FOLDER, "StdOutput")
    for pages in (pages_from_the_beginning(log, limit), pages_from_the_end(log, limit)[::-1]):
        assert b"".join(page.text for page in pages) == text
        assert not any(page.final for page in pages)


def test_what_was_left_out_between_parts_is_passed_over() -> None:
    store = FakeStore(
        **{
            part_name("StdOutput", 0, 4): zipped(b"one\n"),
            part_name("StdOutput", 10, 14): zipped(b"two\n"),
        }
    )
    log = Log(store, FOLDER, "StdOutput")
    first = log.at(0, 100)
    assert (first.text, first.last) == (b"one\n", False)
    assert first.next_offset == 4
    second = log.at(4, 100)
    assert (second.text, second.offset, second.last) == (b"two\n", 10, True)
    # Nothing new yet.
    assert log.at(14, 100) == Page(text=b"", offset=14)


def test_a_log_that_was_not_pushed_is_empty() -> None:
    log = Log(FakeStore(**{"StdError.gz": zipped(b"x\n")}), FOLDER, "StdOutput")
    assert log.any
    assert log.tail(10) == Page(text=b"", offset=0)
    assert not Log(FakeStore(), FOLDER, "StdOutput").any


@pytest.mark.parametrize("compress", [gzip.compress, lambda text: gzip.compress(text[:9]) * 2])
def test_logs_of_other_agents_are_read_from_their_beginning(compress: object) -> None:
    """AWS's Task Runner has no blocks; and gzip files may stand one behind the other."""
    text = lines(30_000)
    data = compress(text)  # type: ignore[operator]
    wanted = gzip.decompress(data)
    log = Log(FakeStore(**{"StdOutput.gz": data}), FOLDER, "StdOutput")
    pages = pages_from_the_end(log, 1 << 20)
    assert b"".join(page.text for page in reversed(pages)) == wanted


def test_a_line_without_an_end_is_cut() -> None:
    text = b"x" * (300 << 10)
    log = Log(FakeStore(**{"StdOutput.gz": zipped(text)}), FOLDER, "StdOutput")
    for pages in (pages_from_the_beginning(log, 9999), pages_from_the_end(log, 9999)[::-1]):
        assert b"".join(page.text for page in pages) == text


def test_what_is_no_log_is_told() -> None:
    log = Log(FakeStore(**{"StdOutput.gz": b"no gzip at all" * 9999}), FOLDER, "StdOutput")
    with pytest.raises(NotGzip):
        log.tail(10)
    with pytest.raises(NotGzip):
        log.before(Before(begin=2000), 10)


def test_a_place_beyond_reach_is_refused() -> None:
    data = zipped(random.Random(1).randbytes(3 << 20))
    log = Log(FakeStore(**{"StdOutput.gz": data}), FOLDER, "StdOutput", most_read=1 << 20)
    with pytest.raises(TooFar):
        log.at((3 << 20) - 1, 1)


def test_four_bytes_that_only_look_like_the_end_of_a_block_mislead_nobody() -> None:
    """Stored blocks hold their text as it is, and so may hold the mark."""
    noise = random.Random(3).randbytes
    text = b"".join(noise(500) + b"\x00\x00\xff\xff" for _ in range(3 * LOG_BLOCK // 504))
    data = zipped(text)
    found = last_blocks(data[:-10], 10, lambda count: (len(text) - count) % LOG_BLOCK == 0)
    assert found is not None
    assert text.endswith(found.text)
    assert last_blocks(data[100 : LOG_BLOCK - 100], 10, whole_blocks) is None
