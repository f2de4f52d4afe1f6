from __future__ import annotations

import pytest

from taskrunner.service.store.cipher import (
    PREFIX,
    Cipher,
    NotOpened,
    as_text,
    fingerprint,
    new_key,
    parts_of,
)

PLACE = ("definitions", "df-1", "3", "object", "A", "*password", "2")


def test_what_is_sealed_opens_at_its_place_and_nowhere_else() -> None:
    cipher = Cipher(new_key())
    sealed = cipher.seal(b"pa55w0rd", PLACE)
    assert b"pa55w0rd" not in sealed
    assert cipher.open(sealed, PLACE) == b"pa55w0rd"
    for elsewhere in (
        PLACE[:-1],
        (*PLACE[:-1], "1"),
        ("definitions", "df-1", "3object", *PLACE[4:]),
    ):
        with pytest.raises(NotOpened):
            cipher.open(sealed, elsewhere)


def test_no_bit_of_it_can_be_changed() -> None:
    cipher = Cipher(new_key())
    sealed = cipher.seal(b"x", PLACE)
    for number in range(len(sealed)):
        changed = bytearray(sealed)
        changed[number] ^= 1
        with pytest.raises(NotOpened):
            cipher.open(bytes(changed), PLACE)
    with pytest.raises(NotOpened):
        cipher.open(b"", PLACE)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(NotOpened):
        Cipher(new_key()).open(Cipher(new_key()).seal(b"x", PLACE), PLACE)


def test_the_same_secret_is_never_sealed_the_same() -> None:
    cipher = Cipher(new_key())
    assert len({cipher.seal(b"x", PLACE) for _ in range(50)}) == 50


def test_a_sealed_text_names_its_key() -> None:
    text = as_text("k1", b"\xff\x00data")
    assert text.startswith(f"{PREFIX}k1:")
    assert parts_of(text) == ("k1", b"\xff\x00data")


@pytest.mark.parametrize("text", ["", "secret", "enc1:", "enc1::AAAA", "enc1:k1:not base64"])
def test_what_is_no_sealed_text_is_told(text: str) -> None:
    with pytest.raises(NotOpened):
        parts_of(text)


def test_a_fingerprint_tells_keys_apart() -> None:
    first, second = new_key(), new_key()
    assert fingerprint(first) == fingerprint(first) != fingerprint(second)
    assert first.hex() not in fingerprint(first)
