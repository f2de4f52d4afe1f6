"""Makes the pictures of docs/images/console-*.png anew: `python scripts/console_pictures.py`.

It serves examples/orders, a copy of it whose last activity fails, and one for a worker group that
has no agent, in a temporary folder, and looks at them with chromium (`make console-test` installs
it). The pictures have a palette, so that they stay small.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
ORDERS = ROOT / "examples" / "orders" / "pipeline.json"
WIDTH, HEIGHT = 1280, 800
PATIENCE_S = 300.0
COLORS = 256


def main() -> int:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="taskrunner-pictures-") as name, served(name) as demo:
        demo.fill()
        demo.take_pictures()
    return 0


@contextmanager
def served(folder: str) -> Iterator[Demo]:
    """A service and an agent of the orders' worker group, which end with the block."""
    home = Path(folder)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    s3 = ("--s3-root", str(home / "s3"))
    commands = [
        (
            "serve",
            "--no-auth",
            "--listen",
            address,
            "--database-url",
            f"sqlite:///{home}/s.db",
            *s3,
        ),
        (
            *("--worker-group", "orders-workers", "--endpoint", f"http://{address}", *s3),
            *("--work-dir", str(home / "work"), "--local-paths", folder, "--allow-root", "true"),
        ),
    ]
    running = []
    try:
        for number, command in enumerate(commands):
            output = (home / f"{number}.log").open("wb")
            running.append(subprocess.Popen([program(), *command], stdout=output, stderr=output))
            wait("the service answers", lambda: answers(address))
        yield Demo(home, f"http://{address}")
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait()


class Demo:
    """What the pictures show."""

    def __init__(self, home: Path, url: str) -> None:
        self._home = home
        self._url = url
        self._orders = self._report = ""

    def fill(self) -> None:
        """Pipelines that have run, failed, and that wait."""
        self._orders = self._made("orders", ORDERS)
        self._report = self._made("orders-report", self._changed("report", "fails"))
        wait("the orders are done", lambda: self._is(self._orders, "FINISHED"))
        wait("the report has failed", lambda: self._is(self._report, "FAILED"))
        self._made("orders-archive", self._changed("archive", None))

    def take_pictures(self) -> None:
        """One of each question that the console answers."""
        from playwright.sync_api import sync_playwright

        own: dict[str, str | float | bool] = {**os.environ, "TMPDIR": str(self._home)}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"], env=own
            )
            for name, (path, theme) in self._pages().items():
                page = browser.new_page(
                    viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme
                )
                page.goto(self._url + path)
                height = page.evaluate("Math.ceil(document.body.getBoundingClientRect().height)")
                drawn = page.screenshot(
                    clip={"x": 0, "y": 0, "width": WIDTH, "height": min(HEIGHT, height)}
                )
                (IMAGES / f"console-{name}.png").write_bytes(with_palette(drawn))
                page.close()
            browser.close()

    def _pages(self) -> dict[str, tuple[str, Any]]:
        (failed, *_) = self._got(f"/pipelines/{self._report}/instances?status=FAILED")["instances"]
        (copied, *_) = self._got(
            f"/pipelines/{self._orders}/instances?component=MakeOrders&status=FINISHED"
        )["instances"]
        attempt = f"/p/{self._report}/i/{quote(failed['id'], safe='@:')}"
        return {
            "pipelines": ("/", "light"),
            "grid": (f"/p/{self._report}/grid", "light"),
            "graph": (f"/p/{self._orders}/graph", "dark"),
            "attempt": (attempt, "light"),
            "log": (f"/p/{self._orders}/i/{quote(copied['id'], safe='@:')}/1/log", "dark"),
            "waiting": ("/waiting", "light"),
        }

    def _changed(self, name: str, last: str | None) -> Path:
        """The orders, one command of which fails, or for agents that are not there."""
        definition = json.loads(ORDERS.read_text(encoding="utf-8"))
        for one in definition["objects"]:
            if one["id"] == "Default":
                one.update({"failureAndRerunMode": "CASCADE", "maximumRetries": "0"})
                if last is None:
                    one["workerGroup"] = "archive-workers"
            if one["id"] == "SumUp" and last is not None:
                says = 'psql: error: relation "nowhere" does not exist'
                one["command"] = f"echo '{says}' >&2; exit 3"
        path = self._home / f"{name}.json"
        path.write_text(json.dumps(definition), encoding="utf-8")
        return path

    def _made(self, name: str, definition: Path) -> str:
        value = f"myDatabaseFile={self._home}/{name}.db"
        key = self._ran("put", str(definition), "--name", name, "--tag", "team=bi", "-p", value)
        self._ran("activate", key)
        return key

    def _ran(self, *words: str) -> str:
        command = [program(), "pipelines", *words, "--endpoint", self._url]
        keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
        done = subprocess.run(
            command, env={**os.environ, **keys}, check=True, capture_output=True, text=True
        )
        return done.stdout.strip().splitlines()[-1].split()[-1]

    def _is(self, key: str, status: str) -> bool:
        runs = self._got(f"/pipelines/{key}/runs")["runs"]
        return len(runs) == 3 and all(one["status"] == status for one in runs)

    def _got(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._url}/v1{path}") as answer:
            return json.load(answer)


def program() -> str:
    """The program of this virtual environment."""
    return str(Path(sys.executable).with_name("taskrunner"))


def answers(address: str) -> bool:
    """Whether somebody listens there."""
    try:
        with urllib.request.urlopen(f"http://{address}/v1/pipelines"):
            return True
    except OSError:
        return False


def wait(what: str, holds: Callable[[], bool]) -> None:
    """Wait for something. Raises TimeoutError."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.5)


# -- small pictures -----------------------------------------------------------------------------


def with_palette(png: bytes) -> bytes:
    """A picture of as few colors as a palette has: the most frequent ones, the others as near."""
    width, height, lines = pixels(png)
    counts = Counter(pixel for line in lines for pixel in line)
    palette = [color for color, _ in counts.most_common(COLORS)]
    place = {color: number for number, color in enumerate(palette)}
    for color in counts.keys() - place.keys():
        place[color] = min(range(len(palette)), key=lambda n: distance(palette[n], color))
    body = b"".join(b"\0" + bytes(place[pixel] for pixel in line) for line in lines)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = [
        (b"IHDR", head),
        (b"PLTE", b"".join(map(bytes, palette))),
        (b"IDAT", zlib.compress(body, 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How far two colors are from each other."""
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def pixels(png: bytes) -> tuple[int, int, list[list[tuple[int, ...]]]]:
    """Width, height and the lines of a picture as browsers make it: 8 bits of RGB or RGBA."""
    at, data, head = 8, b"", b""
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, part = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        head = part if kind == b"IHDR" else head
        data += part if kind == b"IDAT" else b""
        at += 12 + size
    width, height, depth, color = struct.unpack(">IIBB", head[:10])
    if depth != 8 or color not in {2, 6}:
        raise ValueError(f"a picture of depth {depth} and color type {color}: wanted 8 and 2 or 6")
    step = 3 if color == 2 else 4
    raw, before, lines = zlib.decompress(data), bytearray(width * step), []
    for start in range(0, len(raw), width * step + 1):
        line = unfiltered(raw[start], raw[start + 1 : start + 1 + width * step], before, step)
        lines.append([tuple(line[x : x + 3]) for x in range(0, len(line), step)])
        before = line
    return width, height, lines


def unfiltered(kind: int, line: bytes, before: bytearray, step: int) -> bytearray:
    """A line of a PNG as it was before it was filtered."""
    found = bytearray(line)
    for x in range(len(found)):
        left = found[x - step] if x >= step else 0
        corner = before[x - step] if x >= step else 0
        up = before[x]
        guess = (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind]
        found[x] = (found[x] + guess) & 255
    return found


def paeth(left: int, up: int, corner: int) -> int:
    """The neighbor that is nearest to what the three let expect."""
    wanted = left + up - corner
    return min((left, up, corner), key=lambda one: abs(wanted - one))


if __name__ == "__main__":
    sys.exit(main())
