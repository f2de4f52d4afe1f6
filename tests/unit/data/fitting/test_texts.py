from __future__ import annotations

import pytest

from taskrunner.data.fitting.numbers import Scaled
from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue, Rule
from taskrunner.data.fitting.texts import Elements, Length, Nothing, Padded, Words, Year

FAIL, ROUND, TRUNCATE = OnLossyValue
NAME = Length(3, in_bytes=True, cuts_anything=True)


@pytest.mark.parametrize(
    ("rule", "text", "rounded", "cut"),
    [
        (Length(3), "abc   ", "abc", "abc"),
        (Length(3), "ab   ", "ab ", "ab "),
        (Length(3, in_bytes=True), "é   ", "é ", "é "),
        (NAME, "abcd", "abc", "abc"),
        (NAME, "aéé", "aé", "aé"),
        (NAME, "aaé", "aa", "aa"),
        (Padded(4), "\\x0102", "\\x0102", "\\x0102"),
        (Padded(4), "ab", "ab", "ab"),
        (Words(("a", "b")), "A", "A", "A"),
        (Words(("a", "b")), "1", "1", "1"),
        (Words(("a", "b"), several=True), "3", "3", "3"),
        (Words(("a", "b"), several=True), "a,a", "a,a", "a,a"),
        (Year(), "26", "26", "26"),
        (Year(), "0", "0", "0"),
        (Year(), "1.5", "1.5", "1.5"),
        (Year(), "00012", "00012", "00012"),
        (Year(), "+5", "+5", "+5"),
        (Year(), "2026.5", "2026.5", "2026.5"),
        (Nothing("may lose a part"), "x", "x", "x"),
    ],
)
def test_what_is_not_kept(rule: Rule, text: str, rounded: str, cut: str) -> None:
    assert not rule.keeps_all([text])
    with pytest.raises(NotKeptError) as caught:
        rule.fit(text, FAIL)
    assert caught.value.policy_helps
    assert rule.fit(text, ROUND) == rounded
    assert rule.fit(text, TRUNCATE) == cut


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Length(3), "é😀\n"),
        (Length(3, in_bytes=True), "é "),
        (Padded(2), "\\x0102"),
        (Padded(2), "abc"),
        (Words(("a b", "it's", "")), "it's"),
        (Words(("a", "b"), several=True), "b,a"),
        (Words(("a", "b"), several=True), ""),
        (Year(), "0000"),
        (Year(), "next"),
        (Elements(Scaled(2)), '{1.25,NULL,"1",{2}}'),
        (Elements(Length(3)), '{"a,b","\\"x\\"",NULL}'),
    ],
)
def test_what_is_kept(rule: Rule, text: str) -> None:
    assert {rule.fit(text, policy) for policy in OnLossyValue} == {text}


def test_texts_that_are_too_long_are_the_servers_to_refuse_unless_they_may_be_cut() -> None:
    assert Length(3).fit("abcd", FAIL) == Length(3).fit("abcd", ROUND) == "abcd"
    assert Length(3).fit("abcd", TRUNCATE) == "abc"


def test_an_element_of_an_array_is_named() -> None:
    with pytest.raises(NotKeptError, match=r"the element '1\.999', which would be .*'2\.00'"):
        Elements(Scaled(2)).fit("{1.25,{1.999}}", FAIL)
    with pytest.raises(NotKeptError, match="the element 'ab  '"):
        Elements(Length(3)).fit('{"ab  "}', TRUNCATE)
