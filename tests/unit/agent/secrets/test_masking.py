from __future__ import annotations

import base64
import itertools
import json
import shlex
import string
import threading
from collections.abc import Iterable
from functools import cache
from random import Random
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.agent.secrets.fragments import SHORTEST_PART
from taskrunner.agent.secrets.masking import MASK, Masker, secrets_of
from tests.unit.agent.fakes import make_object, make_task

SECRET = 'p@ss "word"/with+all\tof it\'s é\u20ac'
#: The six shapes that a secret may have.
SHAPES = {
    "short": "hunter22",
    "long": "".join(Random(8).choices(string.printable[:94], k=8192)),
    "lines": "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA7\nq+8/xyzABCDEF==\n-----END KEY-----\n",
    "json": '{"user": "somebody-else", "password": "correct horse", "n": [1, "battery-staple"]}',
    "odd": SECRET,
    "url": "pä%20ss&word=1/2?3#4 5",
}


@cache
def masker_of(secret: str) -> Masker:
    """One for all tests: making that of a long secret takes as long as using it."""
    return Masker([secret])


def written(secret: str) -> Iterable[str]:
    """As programs write it."""
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    yield quote(secret, safe="").lower() if secret.islower() else quote(secret, safe="")
    yield json.dumps(secret)
    yield json.dumps(secret, ensure_ascii=False)
    yield shlex.quote(secret)
    yield repr(secret)
    yield repr(secret.encode())
    yield "'" + secret.replace("'", "'\\''") + "'"


def feed(masker: Masker, data: bytes, cuts: Iterable[int]) -> bytes:
    stream = masker.stream()
    points = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(points)]
    return b"".join([*map(stream.feed, pieces), stream.flush()])


@pytest.mark.parametrize("secret", SHAPES.values(), ids=SHAPES)
def test_every_usual_writing_of_every_shape_is_masked(secret: str) -> None:
    masker = masker_of(secret)
    for text in written(secret):
        masked = masker.text(f"<{text}>")
        assert MASK in masked
        left = masked.replace(MASK, "")
        assert not set(left) - set("<>\"'\\nb \n"), left


@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("wrap", [0, 64, 76])
@pytest.mark.parametrize("secret", SHAPES.values(), ids=SHAPES)
def test_base64_is_masked_wherever_the_secret_stands_in_it(
    before: str, after: str, wrap: int, secret: str
) -> None:
    data = f"{before}{secret}{after}".encode()
    encoded = base64.b64encode(data).decode()
    if wrap:
        encoded = "\n".join(encoded[at : at + wrap] for at in range(0, len(encoded), wrap))
    for text in (encoded, encoded.replace("+", "-").replace("/", "_")):
        masked = masker_of(secret).text(text)
        assert MASK in masked
        # What is left decodes to little more than the neighbours of the secret.
        left = masked.replace(MASK, "").replace("\n", "")
        assert len(left) <= len(base64.b64encode((before + after).encode())) + 8


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_stream_is_masked_wherever_it_is_split(size: int) -> None:
    masker = Masker(["topsecret", "topsecret-longer"])
    data = b"a topsecret b topsecret-longer c topsec"
    assert feed(masker, data, range(0, len(data), size)) == (b"a ********* b ********* c topsec")


@pytest.mark.parametrize("shape", SHAPES)
def test_every_split_point_of_every_shape(shape: str) -> None:
    secret = SHAPES[shape]
    masker = masker_of(secret)
    wrapped = base64.encodebytes(secret.encode()).decode()
    text = f"before {secret} between {json.dumps(secret)} and {quote(secret)}\n{wrapped} after"
    data = text.encode()
    whole = feed(masker, data, [])
    assert whole.startswith(b"before *********")
    assert whole.endswith(b"after")
    step = max(len(data) // 100, 1)
    for cut in range(0, len(data) + 1, step):
        assert feed(masker, data, [cut]) == whole


def test_a_secret_broken_over_chunks_of_4_kib() -> None:
    secret = SHAPES["long"]
    data = b"x" * 4000 + secret.encode() + b"y" * 9000 + secret.encode()
    out = feed(Masker([secret]), data, range(0, len(data), 4096))
    assert out == b"x" * 4000 + MASK.encode() + b"y" * 9000 + MASK.encode()


letters = st.text("abAB \n'\"", min_size=1, max_size=12)


@given(
    st.lists(st.text("ab\n'", min_size=8, max_size=12), min_size=1, max_size=3),
    st.lists(letters, max_size=12),
    st.data(),
)
def test_no_split_lets_a_secret_through(
    secrets: list[str], filling: list[str], data: st.DataObject
) -> None:
    masker = Masker(secrets)
    some = st.sampled_from([*secrets, *(secret[:-1] for secret in secrets), *filling, "b"])
    text = "".join(data.draw(st.lists(some, max_size=12)))
    raw = text.encode()
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=8))
    out = feed(masker, raw, cuts)
    assert out == feed(masker, raw, [])
    whole, place = b"", 0
    for start, end in masker.spans(raw):
        whole, place = whole + raw[place:start] + MASK.encode(), end
    assert out == whole + raw[place:]

    for secret in secrets:
        if len(secret.strip()) >= 8:
            assert secret not in out.decode()
            assert secret not in masker.text(text)
    # Nothing but secrets is taken out, nothing but asterisks put in.
    if not any(part in text for secret in secrets for part in secret.split("\n")):
        assert out == raw


def test_overlapping_secrets_are_hidden_together() -> None:
    masker = Masker(["abcdefgh12", "gh12345678"])
    assert masker.text("x abcdefgh12345678 y") == f"x {MASK} y"
    assert feed(masker, b"x abcdefgh12345678 y", range(20)) == b"x ********* y"
    # The second one may still begin in what is hidden already, and may not come.
    assert feed(masker, b"x abcdefgh12345 y", range(17)) == b"x *********345 y"
    assert feed(Masker(["aaaaaaaa"]), b"a" * 50 + b"b", range(51)) == b"*********b"


def test_a_stream_passes_any_bytes_and_holds_back_only_what_may_become_a_secret() -> None:
    stream = Masker(["topsecret", SHAPES["long"]]).stream()
    data = bytes(range(256)) * 10
    assert stream.feed(data) == data
    assert stream.feed(b"so far tops") == b"so far "
    assert stream.feed(b"y") == b"topsy"
    assert stream.flush() == b""


def test_a_part_of_a_long_secret_that_a_message_quotes() -> None:
    secret = SHAPES["long"]
    masker = Masker([secret])
    for start in range(0, 300, 7):
        part = secret[start : start + 40]
        for text in (part, repr(part)[1:-1]):
            left = masker.text(f'ERROR: LINE 1: SELECT "{text}...').replace(MASK, "")
            assert len(left) < len('ERROR: LINE 1: SELECT "...') + SHORTEST_PART
    assert masker.text(f"a {secret[:SHORTEST_PART]} b") == f"a {MASK} b"
    few = secret[: SHORTEST_PART - 1]
    assert masker.text(f"a {few} b") == f"a {few} b"


@pytest.mark.parametrize("secret", ["c0rrect-horse", "battery-staple-of-thirty-letters"[:31]])
def test_most_of_a_shorter_secret_that_a_message_quotes(secret: str) -> None:
    masker = Masker([secret])
    for size in range(8, len(secret) + 1):
        for start in range(len(secret) - size + 1):
            part = secret[start : start + size]
            assert masker.text(f'syntax error at or near "{part}"') == (
                f'syntax error at or near "{MASK}"'
            )
    assert masker.text(f"near {secret[:7]}") == f"near {secret[:7]}"


def test_lone_surrogates_are_no_trouble() -> None:
    masker = Masker(["\ud800topsecret"])
    assert masker.text("a \ud800topsecret \udfff") == f"a {MASK} \udfff"


def test_each_long_line_of_a_secret_is_one_and_what_is_short_is_left() -> None:
    masker = Masker(["-----BEGIN KEY-----\nMIIEabcdef\nab\n  indented line\nseven77\n"])
    assert masker.text("x MIIEabcdef y ab") == f"x {MASK} y ab"
    assert masker.text("indented line, seven77") == f"{MASK}, seven77"
    short = Masker(["1234567", "", "  true  \n"])
    assert not short
    assert short.too_short == 2
    assert short.text("1234567 true") == "1234567 true"
    assert Masker(["12345678"]).too_short == 0


def test_the_texts_in_a_secret_that_is_json_are_secrets_too() -> None:
    masker = Masker([SHAPES["json"]])
    pretty = json.dumps(json.loads(SHAPES["json"]), indent=4)
    masked = masker.text(pretty)
    for text in ("correct horse", "battery-staple"):
        assert text in pretty
        assert text not in masked
    assert Masker(["[" * 20_000]).text("fine") == "fine"


def test_secrets_are_the_starred_fields_and_passwords_of_databases() -> None:
    database = make_object("Db", {"*password": "hunter22", "username": "me"})
    address = "jdbc:mysql://joe:in%20url@h/db?a=b&password=in-query"
    task = make_task({"command": "x"}, database, make_object("E", {"connectionString": address}))
    found = set(secrets_of(task, {"Db": "mysql://u:p4ss%2Fw0rd@h/db", "Bad": "mysql://[::1/"}))
    assert found == {
        "hunter22", "p4ss%2Fw0rd", "p4ss/w0rd", "in%20url", "in url", "in-query",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("secret", "data"),
    [
        (SHAPES["long"], b"an ordinary line of a log, 2026-02-13T02:00:00 INFO\n"),
        (SHAPES["lines"], b"an ordinary line of a log, 2026-02-13T02:00:00 INFO\n"),
        ("a" * 8000 + "b", b"a" * 64),
        ("a" * 4000 + "b" + "a" * 4000, b"a" * 64),
        ("a" * 8, b"a" * 64),
    ],
)
def test_three_megabytes_pass_in_linear_time(secret: str, data: bytes) -> None:
    """No time is measured: what is not linear here takes an hour."""
    stream = Masker([secret]).stream()
    chunk = data * (65_536 // len(data))
    done = threading.Event()

    def work() -> None:
        for _ in range(48):
            stream.feed(chunk)
        stream.flush()
        done.set()

    threading.Thread(target=work, daemon=True).start()
    assert done.wait(120)
