from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from taskrunner.agent.masking import MASK, Masker, secrets_of
from tests.unit.agent.fakes import make_object, make_task

SECRET = 'p@ss "word"/with+all\tof it'


def test_every_usual_encoding_is_masked() -> None:
    masker = Masker([SECRET])
    forms = [SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1]]
    for form in forms:
        assert masker.text(f"<{form}>") == f"<{MASK}>"


@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
def test_base64_is_masked_wherever_the_secret_stands_in_it(before: str, after: str) -> None:
    encoded = base64.b64encode(f"{before}{SECRET}{after}".encode()).decode()
    masked = Masker([SECRET]).text(encoded)
    assert MASK in masked
    # What is left decodes to little more than the neighbours of the secret.
    assert len(masked.replace(MASK, "")) <= len(base64.b64encode((before + after).encode())) + 8


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_stream_is_masked_wherever_it_is_split(size: int) -> None:
    stream = Masker(["topsecret", "topsecret-longer"]).stream()
    data = b"a topsecret b topsecret-longer c topsec"
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    out = b"".join([*map(stream.feed, pieces), stream.flush()])
    assert out == b"a ********* b ********* c topsec"


def test_a_stream_passes_any_bytes_and_holds_back_less_than_a_secret() -> None:
    masker = Masker(["topsecret"])
    stream = masker.stream()
    data = bytes(range(256)) * 10
    first = stream.feed(data)
    assert len(data) - len(first) < masker.longest
    assert first + stream.flush() == data


def test_each_line_of_a_secret_is_one_but_short_ones_are_left() -> None:
    masker = Masker(["-----BEGIN KEY-----\nMIIEabcdef\nab\n"])
    assert masker.text("x MIIEabcdef y ab") == f"x {MASK} y ab"
    assert not Masker(["abc"])


def test_secrets_are_the_starred_fields_and_passwords_of_databases() -> None:
    database = make_object("Db", {"*password": "hunter22", "username": "me"})
    task = make_task({"command": "x"}, database)
    found = set(secrets_of(task, {"Db": "mysql://u:p4ssw0rd@h/db"}))
    assert found == {"hunter22", "p4ssw0rd"}
