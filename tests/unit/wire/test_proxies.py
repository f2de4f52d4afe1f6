from __future__ import annotations

import pytest

from taskrunner.errors import ConfigError
from taskrunner.wire.endpoint import parse_endpoint
from taskrunner.wire.proxies import METADATA, never_through_proxy, proxy_of

AWS = parse_endpoint("https://datapipeline.us-east-1.amazonaws.com")


def url_of(endpoint: str, **environ: str) -> str | None:
    proxy = proxy_of(parse_endpoint(endpoint), environ)
    return proxy.url if proxy else None


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_either_case_of_each_variable_counts(name: str) -> None:
    proxy = proxy_of(AWS, {name: "http://proxy:3128"})
    assert proxy is not None
    assert (proxy.url, proxy.headers) == ("http://proxy:3128", {})


def test_the_lower_form_and_the_scheme_come_first() -> None:
    given = {"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1", "all_proxy": "http://c:1"}
    assert url_of("https://x.example", **given) == "http://b:1"
    assert url_of("http://x.example", **given) == "http://c:1"


def test_a_login_goes_into_a_header_and_out_of_the_url() -> None:
    proxy = proxy_of(AWS, {"HTTPS_PROXY": "http://me:p%40ss%3A@proxy:3128"})
    assert proxy is not None
    assert proxy.url == "http://proxy:3128"
    assert proxy.headers == {"proxy-authorization": "Basic bWU6cEBzczo="}
    assert "Basic" not in repr(proxy)


@pytest.mark.parametrize("given", ["proxy:3128", "http://proxy:3128/", " http://proxy:3128 "])
def test_a_proxy_may_be_named_in_short(given: str) -> None:
    assert url_of("https://x.example", HTTPS_PROXY=given) == "http://proxy:3128"


@pytest.mark.parametrize("given", ["socks5://me:hush@p:1", "http://", "http://me:hush@p:port"])
def test_what_is_no_proxy_is_refused_without_showing_it(given: str) -> None:
    with pytest.raises(ConfigError, match=r"HTTPS_PROXY: wanted http://") as caught:
        proxy_of(AWS, {"HTTPS_PROXY": given})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("no_proxy", "bypassed"),
    [
        ("*", True),
        ("s3.example.com", True),
        ("example.com", True),
        (".example.com", True),
        ("*.example.com", True),
        ("EXAMPLE.com", True),
        ("a, example.com ,b", True),
        ("example.com:443", True),
        ("example.com:8443", False),
        ("ample.com", False),
        ("example.com.evil", False),
        ("", False),
        (",", False),
    ],
)
def test_names_that_need_no_proxy(no_proxy: str, bypassed: bool) -> None:
    found = url_of("https://s3.example.com", HTTPS_PROXY="http://p:1", NO_PROXY=no_proxy)
    assert (found is None) is bypassed


@pytest.mark.parametrize(
    ("host", "no_proxy", "bypassed"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("[fd00::7]", "fd00::/16", True),
        ("[fd00::7]", "[fd00::7]", True),
        ("127.0.0.1", "", True),
        ("localhost", "", True),
    ],
)
def test_addresses_and_networks_that_need_no_proxy(
    host: str, no_proxy: str, bypassed: bool
) -> None:
    found = url_of(f"http://{host}", HTTP_PROXY="http://p:1", NO_PROXY=no_proxy)
    assert (found is None) is bypassed


def test_the_metadata_of_the_instance_is_kept_off_every_proxy() -> None:
    environ = {"NO_PROXY": "a.example, 169.254.169.254", "HTTP_PROXY": "http://p:1"}
    never_through_proxy(environ, METADATA)
    assert environ["NO_PROXY"] == environ["no_proxy"]
    assert environ["no_proxy"] == "a.example,169.254.169.254,fd00:ec2::254,[fd00:ec2::254]"
    assert proxy_of(parse_endpoint("http://[fd00:ec2::254]"), environ) is None
    # As botocore asks, which finds the role's credentials.
    from botocore.utils import get_environ_proxies

    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        assert get_environ_proxies("http://169.254.169.254/latest/") == {}
        assert get_environ_proxies("http://[fd00:ec2::254]/latest/") == {}
        assert get_environ_proxies("http://b.example/") != {}
