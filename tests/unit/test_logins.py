from __future__ import annotations

import pytest

from taskrunner.logins import MASK, hide_passwords, hide_secret


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


@pytest.mark.parametrize("secret", ["a", "root", "1234567", "  a   \n     ", "", None])
def test_a_short_secret_leaves_the_words_of_a_message_alone(secret: str | None) -> None:
    text = "cannot connect: database 'Data' (mysql at root-a:3306): 1234567 refused"
    assert hide_secret(text, secret) == text


def test_a_secret_that_is_long_enough_is_hidden_wherever_it_stands() -> None:
    assert hide_secret("near 'hunter22x'", "hunter22") == f"near '{MASK}x'"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bad URL mysql://u:a@h/d", f"bad URL mysql://u:{MASK}@h/d"),
        ("invalid dsn: host=h password=a user=u", f"invalid dsn: host=h password={MASK} user=u"),
        ("h?user=u&password=a&x=1", f"h?user=u&password={MASK}&x=1"),
        ("dsn 'Password = 'a \\' b' x", f"dsn 'Password = {MASK} x"),
        ("(using password: YES)", "(using password: YES)"),
    ],
)
def test_a_password_in_the_form_of_a_login_goes_however_short_it_is(text: str, shown: str) -> None:
    assert hide_secret(text, "a") == shown
