from __future__ import annotations

import pytest

from taskrunner.logins import hide_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://u:p@h:1/", "http://u:********@h:1/"),
        ("http://u:p@ss@h/x@y", "http://u:********@h/x@y"),
        ("http://u:p:q@h", "http://u:********@h"),
        ("http://u:@h", "http://u:********@h"),
        ("https://token@h/", "https://********@h/"),
        ("https://to@ken@h/", "https://********@h/"),
        ("['http://u:p@h', 'http://v:q@i']", "['http://u:********@h', 'http://v:********@i']"),
        ("http://h:80/a@b", "http://h:80/a@b"),
        ("s3://bucket/logs", "s3://bucket/logs"),
        ("me@example.com", "me@example.com"),
    ],
)
def test_passwords_of_urls_are_hidden_whole(text: str, shown: str) -> None:
    assert hide_passwords(text) == shown
