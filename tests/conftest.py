"""Fixtures for every level of tests: real servers, started when first asked for, once a run.

What takes long to import is imported where it is used: most runs are of a few tests.
"""

from __future__ import annotations

import gc
import logging
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Protocol

import pytest
import structlog

from tests.measuring import Measuring
from tests.server_process import ServerMissing
from tests.shared_servers import DeskServers, OwnServers, ServerDesk, Servers, Starter

_DESK = pytest.StashKey[ServerDesk]()
#: The fixture of ours that every module has.
_OURS = "_logs_as_before_the_module"


def pytest_configure(config: pytest.Config) -> None:
    """Make the session safe: SIGTERM ends it as Ctrl-C does, and nothing can reach real AWS."""
    signal.signal(signal.SIGTERM, _interrupt)
    # Servers and agents of other users read what tests write, whatever umask these began with.
    os.umask(0o022)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        # A shell that starts us in the background has them ignored, and so would what we start.
        if signal.getsignal(number) is signal.SIG_IGN:
            # With Python's own handler an interrupted run still cleans up after itself.
            own = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, own)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        NO_PROXY="127.0.0.1,localhost",
        no_proxy="127.0.0.1,localhost",
    )
    worker = getattr(config, "workerinput", {}).get("workerid")
    config.pluginmanager.register(Measuring(worker))
    if os.environ.get("TASKRUNNER_CPU"):
        from tests.accounting import Accounting

        config.pluginmanager.register(Accounting())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of a module that share what it starts to one worker, longest groups first.

    Otherwise each worker would start it for the few tests that it gets.
    """
    for item in items:
        if isinstance(item, pytest.Function) and not item.get_closest_marker("xdist_group"):
            found = item._fixtureinfo.name2fixturedefs
            shared = any(f[-1].scope == "module" for name, f in found.items() if name != _OURS)
            if shared and "unit" not in item.path.parts:
                item.add_marker(pytest.mark.xdist_group(item.path.stem))
    # What runs one by one takes long: begun last, it would go on when all else is done.
    items.sort(key=lambda item: not _is_alone(item))


def _is_alone(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("xdist_group")
    return mark is not None and mark.args == ("alone",)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep the thousands of collected tests out of what the garbage collector walks through."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class Worker(Protocol):
    """A worker of pytest-xdist, as the process that started it sees it."""

    config: pytest.Config
    workerinput: dict[str, object]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Worker) -> None:
    """Tell a worker where it gets the servers of the run from."""
    if _DESK not in node.config.stash:
        node.config.stash[_DESK] = ServerDesk(_starters())
    desk = node.config.stash[_DESK]
    node.workerinput.update(servers_port=desk.port, servers_key=desk.key)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The workers are gone: so are the servers."""
    if (desk := config.stash.get(_DESK, None)) is not None:
        desk.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """In a fresh checkout, compile no module of tests in every worker: each begins with a share.

    What one has imported, and so compiled, the others only load when they look for all tests.
    """
    told = getattr(session.config, "workerinput", None)
    if told is None:
        return
    number, count = int(told["workerid"].removeprefix("gw")), int(told["workercount"])
    _prepare_hypothesis()
    root = session.config.rootpath
    for folder in filter(Path.is_dir, map(Path, session.config.args)):
        modules = sorted(folder.resolve().rglob("test_*.py"))
        for path in modules[number::count]:
            # What is wrong with it is told by the collection.
            with suppress(Exception):
                import_module(".".join(path.relative_to(root).with_suffix("").parts))


def pytest_pycollect_makemodule(module_path: Path) -> None:
    """Before a module is imported that uses it, say how Hypothesis is to work."""
    if b"hypothesis" in module_path.read_bytes():
        _prepare_hypothesis()


@cache
def _prepare_hypothesis() -> None:
    import hypothesis

    # A busy machine is no defect: no test judges by time. CI tries the same examples each time;
    # `make unit` tries fewer.
    hypothesis.settings.register_profile(
        "tests",
        deadline=None,
        max_examples=int(os.environ.get("TASKRUNNER_EXAMPLES", "50")),
        derandomize="CI" in os.environ,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("tests")


@contextmanager
def _logs_as_before() -> Iterator[None]:
    """Commands set up the log of their process: what one test sets up is not for the next."""
    root, ours = logging.getLogger(), logging.getLogger("taskrunner")
    handlers, levels, before = list(root.handlers), (root.level, ours.level), structlog.get_config()
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    structlog.configure(**before)


@pytest.fixture(autouse=True, scope="module", name=_OURS)
def _logs_as_before_the_module() -> Iterator[None]:
    # Fixtures of modules run commands too.
    with _logs_as_before():
        yield


@pytest.fixture(autouse=True)
def _logs_as_before_the_test() -> Iterator[None]:
    with _logs_as_before():
        yield


def _starters() -> dict[str, Starter]:
    def of(name: str) -> Starter:
        def start() -> AbstractContextManager[str]:
            from tests import servers

            context: AbstractContextManager[str] = getattr(servers, name)()
            return context

        return start

    return {name: of(name) for name in ("postgresql", "mariadb", "moto")}


@pytest.fixture(scope="session")
def run_servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    """The servers that all tests of the run share."""
    told = getattr(request.config, "workerinput", None)
    if told is not None:
        yield DeskServers(told["servers_port"], told["servers_key"])
        return
    own = OwnServers(_starters())
    yield own
    own.close()


@pytest.fixture(scope="session")
def postgresql_url(run_servers: Servers) -> str:
    """The URL of a running PostgreSQL server; tests share its database, so clean up after you."""
    return _url(run_servers, "postgresql")


@pytest.fixture(scope="session")
def mariadb_url(run_servers: Servers) -> str:
    """The URL (mysql://) of a running MariaDB server; tests share its database."""
    return _url(run_servers, "mariadb")


@pytest.fixture(scope="session")
def s3_endpoint(run_servers: Servers) -> str:
    """The endpoint URL of a running S3 server (moto; it answers SNS, SQS and RDS as well)."""
    return _url(run_servers, "moto")


@pytest.fixture(scope="session")
def sns_endpoint(s3_endpoint: str) -> str:
    """The endpoint URL of a running SNS server."""
    return s3_endpoint


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database."""
    from tests import servers

    with servers.postgresql_database(postgresql_url) as url:
        yield url


@pytest.fixture
def mariadb_database(mariadb_url: str) -> Iterator[str]:
    """The URL of a fresh, empty MariaDB database."""
    from tests import servers

    with servers.mariadb_database(mariadb_url) as url:
        yield url


@pytest.fixture
def s3_bucket(s3_endpoint: str) -> str:
    """The name of a fresh, empty bucket at `s3_endpoint`."""
    import boto3

    name = f"bucket-{secrets.token_hex(6)}"
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    try:
        client.create_bucket(Bucket=name)
    finally:
        client.close()
    return name


def _url(servers: Servers, name: str) -> str:
    """The URL; without the server's programs the test is skipped, and fails where CI=true."""
    try:
        return servers.url(name)
    except ServerMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
