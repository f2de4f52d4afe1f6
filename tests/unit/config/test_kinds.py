from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.config.kinds import (
    Address,
    Space,
    amount,
    listen,
    mapping,
    path,
    paths,
    space,
    texts,
    uri,
    uris,
    users,
    weights,
)

GB = 1 << 30


@pytest.mark.parametrize(
    ("text", "small", "large"),
    [
        ("512MB", GB // 2, GB // 2),
        ("1.5 GiB", 3 * GB // 2, 3 * GB // 2),
        ("2%", GB // 50, 20 * GB),
        ("512MB or 2%", GB // 50, GB // 2),
        ("2% or 1G", GB // 50, GB),
        ("0", 0, 0),
        (1000, 1000, 1000),
    ],
)
def test_an_amount_of_disk_is_a_size_a_share_or_the_lesser(
    text: object, small: int, large: int
) -> None:
    amount = space(text)
    assert (amount.of(GB), amount.of(1000 * GB)) == (small, large)
    assert space(str(amount)) == amount


@pytest.mark.parametrize(
    "text",
    [*("", "much", "-1", "100%", "1MB or 2MB", "1% or 2%", "1MB 2%"), "9" * 400, f"{'9' * 400}%"],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="an amount of disk such as"):
        space(text)


def test_an_amount_reads_as_it_is_written() -> None:
    assert str(Space(size=512 << 20, percent=2.0)) == "512MB or 2%"
    assert str(Space(size=0)) == "0"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9252", Address("127.0.0.1", 9252)),
        (9252, Address("127.0.0.1", 9252)),
        (":9252", Address("127.0.0.1", 9252)),
        ("0.0.0.0:80", Address("0.0.0.0", 80)),
        ("[::1]:80", Address("::1", 80)),
    ],
)
def test_only_a_named_host_opens_the_port_to_others(text: object, address: Address) -> None:
    assert listen(text) == address
    assert listen(str(address)) == address


@pytest.mark.parametrize(
    "text", ["", "host", "host:", "::1", "::1:80", "h:65536", "h:-1", "9" * 5000, "\0:80"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        listen(text)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("dp", {"": "dp"}),
        (("dp",), {"": "dp"}),
        (("prod=a", "b"), {"prod": "a", "": "b"}),
        ({"prod": "a"}, {"prod": "a"}),
        ('{"prod": "a"}', {"prod": "a"}),
        (("a=b=c",), {"a=b": "c"}),
    ],
)
def test_users_are_for_all_groups_or_for_one(given: object, found: dict[str, str]) -> None:
    assert users(given) == found


@pytest.mark.parametrize(
    "given", [("a", "b"), ("g=",), {"g": 1}, '{"g"', 7, "a\0b", '{"g":' + 9999 * "["]
)
def test_what_names_no_users_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="USER, or GROUP=USER"):
        users(given)


@pytest.mark.parametrize(
    ("given", "found"),
    [(("a=2", "b=1"), {"a": 2, "b": 1}), ({"a": 3}, {"a": 3}), ('{"a": 100}', {"a": 100})],
)
def test_weights_are_numbers_by_group(given: object, found: dict[str, int]) -> None:
    assert weights(given) == found


@pytest.mark.parametrize("given", [("a",), ("a=0",), {"a": "x"}, {"a": 101}, '["a"]'])
def test_what_weighs_nothing_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="GROUP=N"):
        weights(given)


@pytest.mark.parametrize(("given", "found"), [("1GB", GB), ("1.5k", 1536), (1000, 1000)])
def test_an_amount_of_bytes(given: object, found: int) -> None:
    assert amount(given) == found


@pytest.mark.parametrize(
    "given", ["", "0", "-1", "2%", True, "much", "9" * 400, "8388608TB", "0.5"]
)
def test_what_is_no_amount_of_bytes_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="a size such as"):
        amount(given)


@pytest.mark.parametrize("given", ["/srv", "/x", "file:///x", "s3://b", "s3://b/p"])
def test_a_place_of_objects_may_be_short(given: str) -> None:
    assert uri(given) == given
    assert uris(given) == (given,)


@pytest.mark.parametrize("given", ["", "/", "//", "file:///", "file://x", "s3://", "s3:///", "srv"])
def test_what_is_no_place_of_objects_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"s3://bucket/prefix or an absolute folder|a text"):
        uri(given)


@pytest.mark.parametrize("given", ['{"Db": "mysql://h/d?a=b"}', ("Db=mysql://h/d?a=b",)])
def test_databases_are_urls_by_id(given: object) -> None:
    assert mapping(given) == {"Db": "mysql://h/d?a=b"}


@pytest.mark.parametrize("given", [("mysql://u:pw@h/d",), ("mysql://u:pw@h/d?a=b",), "[[[", "7"])
def test_what_names_no_database_is_refused_and_not_told(given: object) -> None:
    with pytest.raises(ValueError, match="ID=URL") as caught:
        mapping(given)
    assert "pw" not in str(caught.value)


def test_several_places_of_objects() -> None:
    assert uris("s3://a/b/, /var/logs") == ("s3://a/b/", "/var/logs")
    for detour in ("s3://a/../b", "/var/./logs", "s3://a/b/.."):
        with pytest.raises(ValueError, match=r"without \. and \.\."):
            uris(detour)
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        uris("b")


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert (path("~/x"), path("/x")) == (Path("/home/me/x"), Path("/x"))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("~nosuchuser/x", "a path; no home folder is known for ~nosuchuser"),
        ("/a\0b", "a text without NULs"),
        ("", "a text"),
        (7, "a text"),
    ],
)
def test_what_is_no_path_is_refused(given: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        path(given)


@pytest.mark.parametrize("given", ["", " ", "a\0b", ("a", "b\0"), ("a", 1)])
def test_names_are_texts(given: object) -> None:
    with pytest.raises(ValueError, match="one or more names"):
        texts(given)


def test_paths_are_absolute_and_lead_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert paths("/srv/a, ~/b") == (Path("/srv/a"), Path("/home/me/b"))
    assert paths(["/with,comma"]) == (Path("/with,comma"),)
    assert paths(["c"]) == (Path.cwd() / "c",)
    for wrong in ("/srv/../etc", "", ["/a", 1]):
        with pytest.raises(ValueError, match=r"paths without|one or more"):
            paths(wrong)
