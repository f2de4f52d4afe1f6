from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.databases.mysql_binary import double_text, single_text
from taskrunner.data.fitting.numbers import Binary
from taskrunner.data.fitting.rules import OnLossyValue

NOT_FIXED = 31


def single(text: str) -> float:
    return float(struct.unpack("f", struct.pack("f", float(text)))[0])


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (16777215.0, "16777215"),
        (single("0.123456789"), "0.12345679"),
        (single("0.1"), "0.1"),
        (1e6, "1000000"),
        (single("1e-45"), "1.4013e-45"),
        # Its nine digits would be beyond the largest number that a server takes.
        (single("3.4028234e38"), "3.4028234663852886e38"),
        (-0.0, "-0"),
    ],
)
def test_a_single_has_all_its_digits(number: float, text: str) -> None:
    assert single_text(number, NOT_FIXED) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e308, "1e308"),
        (5e-324, "5e-324"),
        (1e14, "100000000000000"),
        (1e15, "1e15"),
        (1e-15, "0.000000000000001"),
        (1e-16, "1e-16"),
        (123456789012345680.0, "1.2345678901234568e17"),
        (643.14, "643.14"),
        (100.0, "100"),
        (0.0, "0"),
        (-1.5, "-1.5"),
    ],
)
def test_a_double_is_laid_out_as_the_server_does(number: float, text: str) -> None:
    assert double_text(number, NOT_FIXED) == text


def test_fixed_digits() -> None:
    assert single_text(single("12345.67"), 2) == "12345.67"
    assert double_text(1.5, 3) == "1.500"


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_every_single_reads_back_and_may_be_loaded(number: float) -> None:
    text = single_text(number, NOT_FIXED)
    assert single(text) == number
    assert Binary(4).fit(text, OnLossyValue.FAIL) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_reads_back(number: float) -> None:
    assert float(double_text(number, NOT_FIXED)) == number
