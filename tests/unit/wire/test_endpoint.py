from __future__ import annotations

from collections.abc import Mapping

import pytest

from taskrunner.errors import ConfigError
from taskrunner.wire.endpoint import is_loopback, resolve_endpoint, resolve_region


def resolved(
    url: str | None = None, environ: Mapping[str, str] | None = None, *, allow_http: bool = False
) -> str:
    endpoint = resolve_endpoint(
        url, region="eu-west-1", environ=environ or {}, allow_http=allow_http
    )
    return str(endpoint)


def test_without_a_wish_it_is_awss_own_of_the_region() -> None:
    assert resolved() == "https://datapipeline.eu-west-1.amazonaws.com"


def test_a_given_url_wins_then_the_services_variable_then_the_general_one() -> None:
    both = {
        "AWS_ENDPOINT_URL_DATA_PIPELINE": "https://pipeline.example",
        "AWS_ENDPOINT_URL": "https://all.example",
    }

    ignored = {**both, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}

    assert resolved("https://given.example", both) == "https://given.example"
    assert resolved(environ=both) == "https://pipeline.example"
    assert resolved(environ={"AWS_ENDPOINT_URL": "https://a.example:444"}).endswith(":444")
    assert resolved(environ=ignored).endswith("amazonaws.com")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://localhost:8484", "http://[::1]:5/path"]
)
def test_http_is_for_this_machine(url: str) -> None:
    assert resolved(url) == url


@pytest.mark.parametrize("url", ["http://10.0.0.1", "http://localhost.evil.example"])
def test_http_to_another_machine_needs_a_wish(url: str) -> None:
    with pytest.raises(ConfigError, match="https"):
        resolved(url)
    assert resolved(url, allow_http=True) == url


@pytest.mark.parametrize(
    "url",
    ["", "example", "ftp://x", "https://", "https://h:99999", "https://u:p@h", "https://h/?q=1"],
)
def test_what_is_no_endpoint_is_said(url: str) -> None:
    if not url:
        assert resolved(url) == resolved()
        return
    with pytest.raises(ConfigError, match="endpoint"):
        resolved(url)


def test_a_password_in_the_url_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        resolved("https://user:hunter2@host")

    assert "hunter2" not in str(caught.value)


def test_the_region_is_given_or_of_the_environment_or_the_task_runners() -> None:
    assert resolve_region("a", {"AWS_REGION": "b"}) == "a"
    assert resolve_region(None, {"AWS_REGION": "b", "AWS_DEFAULT_REGION": "c"}) == "b"
    assert resolve_region(None, {"AWS_DEFAULT_REGION": "c"}) == "c"
    assert resolve_region(None, {}) == "us-east-1"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.9.9.9", True), ("::1", True), ("LOCALHOST", True), ("0.0.0.0", False), ("x", False)],
)
def test_loopback_is_told_without_asking_a_name_server(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
