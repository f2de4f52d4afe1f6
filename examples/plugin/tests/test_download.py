from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from taskrunner.activities.base import Canceled, ErrorId, PermanentTaskError, TaskError
from taskrunner.testing import ActivityEnvironment, Ref, new_object, new_task
from taskrunner_http.download import HttpDownloadActivity

BODY = bytes(range(256)) * 20_000


@pytest.fixture
def environment() -> Iterator[ActivityEnvironment]:
    with ActivityEnvironment() as environment:
        yield environment


def download(environment: ActivityEnvironment, url: str, **fields: str) -> None:
    node = new_object("Out", "S3DataNode", {"filePath": "s3://bucket/file"})
    task = new_task(
        "HttpDownloadActivity",
        {
            "url": url,
            "output": Ref("Out"),
            **{k.replace("star_", "*"): v for k, v in fields.items()},
        },
        node,
    )
    environment.run(HttpDownloadActivity(), task)


def test_what_the_url_has_becomes_the_object(environment: ActivityEnvironment, web) -> None:
    web.serve("/file", BODY)
    digest = hashlib.sha256(BODY).hexdigest()
    download(environment, web.url("/file"), sha256=digest.upper())
    assert environment.read("s3://bucket/file") == BODY
    assert environment.progress_reports[-1] == {"bytes": len(BODY), "percent": 100}
    assert environment.messages[-1] == f"Downloaded {len(BODY)} bytes, sha256 {digest}"


def test_a_token_is_sent_and_not_told(environment: ActivityEnvironment, web) -> None:
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        handler.send_error(403)

    web.pages["/file"] = answer
    with pytest.raises(PermanentTaskError) as caught:
        download(environment, web.url("/file"), star_bearerToken="top-secret-token")
    assert seen == ["Bearer top-secret-token"]
    assert caught.value.error_id == ErrorId.ACCESS_DENIED
    assert "top-secret-token" not in f"{caught.value} {environment.messages}"


def test_a_token_is_not_for_whoever_it_is_redirected_to(
    environment: ActivityEnvironment, web
) -> None:
    seen = []

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", web.url("/other").replace("127.0.0.1", "localhost"))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def other(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    web.pages.update({"/file": redirect, "/other": other})
    download(environment, web.url("/file"), star_bearerToken="top-secret-token")
    assert environment.read("s3://bucket/file") == b"ok"
    assert seen == [None]


def test_a_redirect_to_anything_but_http_fails(environment: ActivityEnvironment, web) -> None:
    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "ftp://127.0.0.1:1/x")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    web.pages["/file"] = redirect
    with pytest.raises(TaskError, match="unknown url type: ftp"):
        download(environment, web.url("/file"))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "nonsense", "http://"])
def test_only_http_is_spoken(environment: ActivityEnvironment, url: str) -> None:
    with pytest.raises(PermanentTaskError, match="wanted http://") as caught:
        download(environment, url)
    assert caught.value.error_id == ErrorId.INVALID_FIELD


@pytest.mark.parametrize(
    ("status", "kind"), [(503, TaskError), (429, TaskError), (404, PermanentTaskError)]
)
def test_what_may_pass_is_tried_again(
    environment: ActivityEnvironment, web, status: int, kind: type[TaskError]
) -> None:
    web.refuse("/file", status)
    with pytest.raises(TaskError, match=f"answered {status}") as caught:
        download(environment, web.url("/file"))
    assert type(caught.value) is kind


def test_half_a_file_is_none(environment: ActivityEnvironment, web) -> None:
    web.serve("/file", b"half", claimed=8)
    with pytest.raises(TaskError) as caught:
        download(environment, web.url("/file"))
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED
    assert environment.objects.stat("s3://bucket/file") is None


def test_another_content_is_none_either(environment: ActivityEnvironment, web) -> None:
    web.serve("/file", b"other")
    with pytest.raises(TaskError, match="wanted 00"):
        download(environment, web.url("/file"), sha256="00")
    assert environment.objects.stat("s3://bucket/file") is None


def test_a_cancel_leaves_nothing(environment: ActivityEnvironment, web) -> None:
    web.serve("/file", BODY)
    environment.cancel_after = 2
    with pytest.raises(Canceled):
        download(environment, web.url("/file"))
    assert environment.objects.stat("s3://bucket/file") is None


def test_without_an_output_it_says_what_is_missing(environment: ActivityEnvironment) -> None:
    task = new_task("HttpDownloadActivity", {"url": "http://host"})
    with pytest.raises(PermanentTaskError, match="needs an output"):
        environment.run(HttpDownloadActivity(), task)
