"""Looking for a text in an attempt's logs, by /v1 and in the console."""

from __future__ import annotations

import gzip
import html
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from taskrunner.model.log_names import folder_of, part_name, whole_name
from taskrunner.service.settings import LogSettings, ServiceSettings
from taskrunner.testing import ServiceInProcess
from tests.contract.browser import Browser, app_of
from tests.contract.stores import ON_SQLITE
from tests.contract.v1 import V1, seg
from tests.unit.service.worlds import ON_DEMAND, T, shell

pytestmark = ON_SQLITE

LINES = [f"line {n}: <b>{'ERROR' if n % 100 == 0 else 'fine'}</b>\n" for n in range(1, 1001)]
TEXT = "".join(LINES).encode()


class Logged:
    """A pipeline whose attempt has logs."""

    def __init__(self, world: ServiceInProcess, folder: Path) -> None:
        self.v1 = V1(world)
        self.key = self.v1.pipeline("p", [ON_DEMAND, shell("A", pipelineLogUri="s3://logs/")])
        self._world, self._task = world, world.take()
        attempt = self._task.attempt_id
        self.folder = folder / folder_of("logs", self.key, "A", f"@A_{T}", attempt)
        self.folder.mkdir(parents=True)
        self.log = f"/pipelines/{self.key}/attempts/{seg(attempt)}/log"
        self.page = f"/p/{self.key}/i/{quote(f'@A_{T}', safe='@:')}/1/log"

    def end(self) -> None:
        """Have the attempt be over."""
        self._world.conclude(self._task)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s3")


@pytest.fixture(scope="module")
def service_settings(folder: Path) -> ServiceSettings:
    return ServiceSettings(database_url="", logs=LogSettings(s3_root=folder))


@pytest.fixture
def logged(world: ServiceInProcess, folder: Path) -> Logged:
    return Logged(world, folder)


@pytest.mark.parametrize("is_whole", [True, False], ids=["whole", "parts"])
def test_lines_are_found_and_shown_where_they_stand(logged: Logged, is_whole: bool) -> None:
    if is_whole:
        (logged.folder / whole_name("StdOutput")).write_bytes(gzip.compress(TEXT))
        logged.end()
    else:
        for start, end in ((0, 5000), (5000, len(TEXT))):
            name = part_name("StdOutput", start, end)
            (logged.folder / name).write_bytes(gzip.compress(TEXT[start:end]))
    first = logged.v1.got(f"{logged.log}/search", text="error", limit=3)
    rest = logged.v1.got(f"{logged.log}/search", text="error", marker=first["marker"])
    assert [one["number"] for one in first["matches"]] == [100, 200, 300]
    assert [one["number"] for one in rest["matches"]] == list(range(400, 1001, 100))
    assert "marker" not in rest
    assert rest["searched"] == len(TEXT)
    for one in (*first["matches"], *rest["matches"]):
        page = logged.v1.got(logged.log, offset=one["page"], limit=4000)
        place = one["offset"] - page["offset"]
        assert page["text"][place:].startswith(one["text"] + "\n")


def test_what_cannot_be_looked_for_is_said(logged: Logged) -> None:
    path = f"{logged.log}/search"
    assert logged.v1.get(path).status == 400
    assert logged.v1.get(path, text="").status == 400
    assert logged.v1.get(path, text="x" * 201).status == 400
    assert logged.v1.get(path, text="x", marker="WzEsMl0x").status == 400
    assert logged.v1.get(path, text="x", marker="Wy0xLDBd").status == 400  # [-1,0]
    assert logged.v1.get(path, text="x", role="other").status == 404
    assert logged.v1.got(path, text="x")["matches"] == []
    logged.end()
    assert logged.v1.get(path, text="x").status == 404


def test_the_page_leads_from_a_line_to_its_place(logged: Logged, world: ServiceInProcess) -> None:
    (logged.folder / whole_name("StdOutput")).write_bytes(gzip.compress(TEXT))
    logged.end()
    visitor = Browser(app_of(world))
    visitor.sign_in("viewer")
    page = visitor.follow(f"{logged.page}?offset=0")
    assert f'action="{logged.page}/search"' in page
    found = visitor.follow(f"{logged.page}/search?stream=StdOutput&text=error%3C%2FB")
    assert "10 lines have it" in found
    assert "<mark>ERROR&lt;/b</mark>" in found
    assert "<b>" not in found
    links = re.findall(r'href="([^"]*/log\?[^"]*#b\d+)"', found)
    assert len(links) == 10
    address, _, place = html.unescape(links[4]).partition("#")
    line = re.search(rf'id="{place}">(.*?)</span>', visitor.follow(address), re.DOTALL)
    assert line
    assert re.sub("<[^>]+>", "", line[1]).startswith("#line 500: ")
    assert "0 lines have it" in visitor.follow(f"{logged.page}/search?text=nowhere")
    assert "its end, as far as it is pushed" in visitor.page
    assert visitor.follow(f"{logged.page}/search")
    assert visitor.get(f"{logged.page}/search?stream=x&text=a").status == 400


# -- a whole log as a file ---------------------------------------------------------------


@pytest.mark.parametrize("is_whole", [True, False], ids=["whole", "parts"])
def test_a_whole_log_is_kept_as_a_file(
    logged: Logged, world: ServiceInProcess, is_whole: bool
) -> None:
    if is_whole:
        (logged.folder / whole_name("StdOutput")).write_bytes(gzip.compress(TEXT))
        logged.end()
    else:
        for start, end in ((0, 5000), (5000, len(TEXT))):
            name = part_name("StdOutput", start, end)
            (logged.folder / name).write_bytes(gzip.compress(TEXT[start:end]))
    answer = logged.v1.get(f"{logged.log}/file")
    assert (answer.status, answer.body) == (200, TEXT)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    visitor = Browser(app_of(world))
    visitor.sign_in("viewer")
    page = visitor.follow(f"{logged.page}?offset=0")
    (address,) = re.findall(r'href="([^"]+)" download', page)
    assert "taskrunner logs" in page
    answer = visitor.get(html.unescape(address))
    assert answer.body == TEXT
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="A_')
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_file_that_there_is_not_is_told_as_any_fault(
    logged: Logged, world: ServiceInProcess
) -> None:
    assert logged.v1.get(f"{logged.log}/file").body == b""  # nothing was pushed yet
    logged.end()
    answer = logged.v1.get(f"{logged.log}/file")
    assert (answer.status, "was not pushed" in answer.json["error"]["message"]) == (404, True)
    assert logged.v1.get(f"{logged.log}/file", role="other").status == 404
    assert logged.v1.get(f"{logged.log}/file", stream="passwd").status == 400
    (logged.folder / whole_name("StdOutput")).write_bytes(b"no gzip at all")
    assert logged.v1.get(f"{logged.log}/file").status == 404
    visitor = Browser(app_of(world))
    visitor.sign_in("viewer")
    answer = visitor.get(f"{logged.page}/file")
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
