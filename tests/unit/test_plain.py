from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.plain import cells, distinct, shortened, visible

TEXTS = st.text(st.sampled_from("abcAB…1日\n\x1b"), max_size=12)


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("Export", 6, "Export"),
        ("ExportOrders", 9, "Expo…ders"),
        ("ExportOrders", 8, "Expo…ers"),
        ("ExportOrders", 1, "…"),
        ("ExportOrders", 0, ""),
        ("日本語の名前", 12, "日本語の名前"),
        ("日本語の名前", 7, "日…前"),
    ],
)
def test_names_are_cut_in_the_middle(text: str, width: int, shown: str) -> None:
    assert shortened(text, width) == shown


def test_names_that_would_look_the_same_are_cut_where_they_differ() -> None:
    names = [f"ExportAllOrdersOfTheNorthern{n}WarehouseToTheLake" for n in range(3)]
    assert list(distinct([*names, "Short"], 24).values()) == [
        "Expo…0WarehouseToTheLake",
        "Expo…1WarehouseToTheLake",
        "Expo…2WarehouseToTheLake",
        "Short",
    ]


def test_names_that_differ_in_no_one_place_are_numbered() -> None:
    names = [f"{a}{'x' * 30}{b}{'x' * 30}{c}" for a, b, c in ("pqr", "Pqr", "pQr", "pqR")]
    labels = distinct(names, 9)
    assert len(set(labels.values())) == 4
    assert all(cells(label) <= 9 for label in labels.values())


@given(st.lists(TEXTS, unique=True, max_size=8), st.integers(4, 12))
def test_no_two_names_have_one_label(names: list[str], width: int) -> None:
    # Those that differ only in how they are written out are one name to the eye.
    names = list({visible(name): name for name in names}.values())
    labels = distinct(names, width)
    assert list(labels) == names
    assert len(set(labels.values())) == len(names)
    assert all(cells(label) <= width for label in labels.values())
    assert all(labels[n] == visible(n) for n in names if cells(visible(n)) <= width)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Orders täglich 日", "Orders täglich 日"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
