from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskrunner.data.databases.values import BitDigits, BitNumber
from taskrunner.data.fitting.numbers import (
    Binary,
    BitsAsDigits,
    BitsAsNumber,
    Money,
    Scaled,
    nearest,
    number_of,
)
from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue, Rule

FAIL, ROUND, TRUNCATE = OnLossyValue
SINGLE, DOUBLE = Binary(4), Binary(8)


@pytest.mark.parametrize(
    ("rule", "text", "rounded", "cut"),
    [
        (Scaled(), "1.5", "2", "1"),
        (Scaled(), "-1.5", "-2", "-1"),
        (Scaled(), "9223372036854775807.4", "9223372036854775807", "9223372036854775807"),
        (Scaled(2), "19.999", "20.00", "19.99"),
        (Scaled(2), "-19.995", "-20.00", "-19.99"),
        (Scaled(2), "1e-3", "0.00", "0.00"),
        (Scaled(-2), "150", "200", "100"),
        (SINGLE, "0.123456789", "0.12345679104328156", "0.12345678359270096"),
        (SINGLE, "16777217", "16777216.0", "16777216.0"),
        (DOUBLE, "9007199254740993", "9007199254740992.0", "9007199254740992.0"),
        (DOUBLE, "0.1000000000000000000001", "0.1", "0.09999999999999999"),
        (DOUBLE, "1e-400", "0.0", "0.0"),
        (Binary(4, digits=2), "1.239", "1.24", "1.23"),
        (Binary(whole=True), "9223372036854775808.5", "9.223372036854776e+18",
         "9.223372036854776e+18"),
        (Money(), "$1,234.567", "1234.57", "1234.56"),
        (Money(), "(1.505)", "-1.51", "-1.50"),
        (Money(), "$1.505-", "-1.51", "-1.50"),
        (Scaled(2), "1." + "1" * 3000, "1.11", "1.11"),
        (Scaled(2), "1e-3000", "0.00", "0.00"),
    ],
)  # fmt: skip
def test_what_is_not_kept(rule: Rule, text: str, rounded: str, cut: str) -> None:
    assert not rule.keeps_all([text])
    with pytest.raises(NotKeptError, match=re.escape(repr(rounded))) as caught:
        rule.fit(text, FAIL)
    assert caught.value.policy_helps
    assert rule.fit(text, ROUND) == rounded
    assert rule.fit(text, TRUNCATE) == cut


@pytest.mark.parametrize(
    ("rule", "text", "given_to_server"),
    [
        (Scaled(), "1e3", "1000"),
        (Scaled(), " 12 ", "12"),
        (Scaled(), "1.0", "1"),
        (Scaled(), "-0", "-0"),
        (Scaled(2), "1.2300", "1.2300"),
        (Scaled(2), "1e1", "10.00"),
        (SINGLE, "0.1", "0.1"),
        (SINGLE, "0.12345679104328156", "0.12345679104328156"),
        (SINGLE, "16777215", "16777215"),
        (SINGLE, "3.4028234663852886e38", "3.4028234663852886e38"),
        (DOUBLE, "0.10000000000000001", "0.10000000000000001"),
        (DOUBLE, "5e-324", "5e-324"),
        (DOUBLE, "5.960464477539063e-08", "5.960464477539063e-08"),
        (DOUBLE, "5.960464477539062e-08", "5.960464477539062e-08"),
        (DOUBLE, "1e23", "1e23"),
        (DOUBLE, "-0.0", "-0.0"),
        (Binary(whole=True), "9223372036854775807", "9223372036854775807"),
        (Money(), "$1,234.5", "$1,234.5"),
        (Money(), "($1.50)", "($1.50)"),
        # What is no number, or out of any range, is the server's to refuse.
        (Scaled(2), "t", "t"),
        (Scaled(2), "", ""),
        (Scaled(2), "NaN", "NaN"),
        (Scaled(2), "1e99999", "1e99999"),
        (Scaled(2), "1" * 3000, "1" * 3000),
        (DOUBLE, "Infinity", "Infinity"),
        (DOUBLE, "1e999", "1e999"),
    ],
)
def test_what_is_kept(rule: Rule, text: str, given_to_server: str) -> None:
    assert {rule.fit(text, policy) for policy in OnLossyValue} == {given_to_server}


@pytest.mark.parametrize("rule", [Scaled(2), DOUBLE])
@pytest.mark.parametrize("text", ["1e-1234567", "1e-99999999999999999999", "0." + "0" * 20_000])
def test_more_digits_than_can_be_looked_at_are_refused(rule: Rule, text: str) -> None:
    with pytest.raises(NotKeptError, match="has more than 20,000 digits behind its point"):
        rule.fit(text, ROUND)


def test_two_numbers_in_one_text_are_none() -> None:
    assert not BitsAsNumber().keeps_all(["1\n2"])
    assert not Scaled().keeps_all(["1", "2\n3"])


def test_bits_are_written_as_a_number() -> None:
    assert BitsAsNumber().fit("255", FAIL) == "255"
    for text in ("0101", "b", "", "-1"):
        with pytest.raises(NotKeptError) as caught:
            BitsAsNumber().fit(text, TRUNCATE)
        assert not caught.value.policy_helps


def test_bits_of_the_other_kind_are_converted_or_refused() -> None:
    assert not BitsAsNumber().keeps_all([BitDigits("101")])
    assert BitsAsNumber().fit(BitDigits("0101"), FAIL) == "5"
    assert BitsAsNumber().keeps_all([BitNumber("101")])
    assert not BitsAsDigits(4).keeps_all([BitNumber("1")])
    assert BitsAsDigits(4).fit(BitNumber("5"), FAIL) == "0101"
    assert BitsAsDigits(4).fit("101", FAIL) == "101"
    for rule, text in ((BitsAsDigits(None), "5"), (BitsAsDigits(4), "16")):
        with pytest.raises(NotKeptError, match="how many bits"):
            rule.fit(BitNumber(text), ROUND)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None), st.integers(0, 6))
def test_plain_texts_are_kept_by_the_careful_way_too(number: Decimal, digits: int) -> None:
    text = f"{number:f}" if abs(number.adjusted()) < 60 else str(number)
    for rule in (Scaled(digits), SINGLE, DOUBLE, Binary(4, digits=digits), Money()):
        if rule.keeps_all([text]):
            assert Decimal(rule.fit(text, FAIL)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_is_kept_in_17_digits_and_in_fewer(number: float) -> None:
    for text in (repr(number), f"{number:.16e}", f"{number:.20e}"):
        assert float(DOUBLE.fit(text, FAIL)) == number


@example(5.960464477539063e-08)  # its shortest text is not what rounding gives
@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_every_single_is_kept_in_9_digits_and_as_the_double_that_it_is(number: float) -> None:
    for text in (f"{number:.8e}", repr(number)):
        if nearest(Decimal(text), 4) == number:
            assert SINGLE.fit(text, FAIL) == text


def test_numbers() -> None:
    assert number_of(" +1.5e-1 ") == Decimal("0.15")
    assert number_of("\N{ARABIC-INDIC DIGIT ONE}") is None  # no server reads such digits
    assert number_of("0x10") is None
