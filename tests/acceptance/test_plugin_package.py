"""examples/plugin as its author would use it: built, installed, listed, tested, run."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/plugin"
CONTENT = b"what the web has\n" * 1000
TOKEN = "a-token-that-nobody-may-see"


class Installed:
    """The package in a folder of its own: no environment is touched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Building leaves traces in the source, and tests are to find what is installed.
        source = folder / "source"
        shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", ".*cache"))
        options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
        options += ["--quiet", "--target", str(folder / "site")]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, str(source)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        shutil.rmtree(source / "taskrunner_http")

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.folder / "site"), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            env={**os.environ, "PYTHONPATH": path.strip(os.pathsep)},
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("plugin"))


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The URL of a folder with one file."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "file").write_bytes(CONTENT)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_it_is_listed_with_its_package_and_loads(installed: Installed) -> None:
    done = installed.run("taskrunner", "plugins", "--check", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {p["name"]: p for p in json.loads(done.stdout)["plugins"]}
    for name, group in (
        ("HttpDownloadActivity", "taskrunner.activities"),
        ("HttpOkPrecondition", "taskrunner.preconditions"),
    ):
        plugin = found[name]
        assert (plugin["distribution"], plugin["version"]) == ("taskrunner-http", "1.0.0")
        assert (plugin["group"], plugin["state"]) == (group, "loads")
        assert not plugin["built_in"]


def test_its_own_tests_pass_with_what_is_installed(installed: Installed) -> None:
    done = installed.run("pytest", "-q", "-p", "no:cacheprovider", cwd=installed.folder / "source")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_a_definition_that_uses_it_is_checked_and_explained(installed: Installed) -> None:
    definition = str(EXAMPLE / "download.json")
    done = installed.run("taskrunner", "validate", definition, "--param", "myUrl=http://h/")
    assert done.returncode == 0, done.stdout
    wrong = installed.folder / "wrong.json"
    wrong.write_text(Path(definition).read_text().replace('"url": "#{myUrl}"', '"uri": "x"'))
    done = installed.run("taskrunner", "validate", str(wrong), "--param", "myUrl=http://h/")
    assert done.returncode == 1
    assert "HttpDownloadActivity needs url" in done.stdout
    assert "HttpOkPrecondition has no field 'uri'" in done.stdout
    done = installed.run("taskrunner", "explain", "HttpDownloadActivity")
    assert "a plugin: taskrunner-http 1.0.0" in done.stdout
    assert "sha256" in done.stdout


def test_a_definition_that_uses_it_runs(installed: Installed, web: str, tmp_path: Path) -> None:
    done = installed.run(
        *("taskrunner", "run", str(EXAMPLE / "download.json"), "--format", "json"),
        *("--param", f"myUrl={web}/file", "--param", f"*myToken={TOKEN}"),
        *("--work-dir", str(tmp_path / "work"), "--s3-root", str(tmp_path / "s3")),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert {i["component"]: i["status"] for i in result["instances"]}["Download"] == "FINISHED"
    assert (tmp_path / "s3/demo/downloads/file").read_bytes() == CONTENT
    assert TOKEN not in done.stdout + done.stderr


def test_without_the_package_the_type_is_unknown_here() -> None:
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.distribution("taskrunner-http")
    done = subprocess.run(
        [sys.executable, "-m", "taskrunner", "validate", str(EXAMPLE / "download.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "there is no object type 'HttpDownloadActivity'" in done.stdout
