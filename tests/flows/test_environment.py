"""What the program makes of the variables of a user's environment."""

import os
import urllib.request

import httpx
import pytest

from flows import environment

LOOPBACK = "127.0.0.1,localhost,::1"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without proxies; what a test leaves in the environment is taken back."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", os.environ.copy())


def is_direct(url: str) -> bool:
    """Whether Prefect's client would reach a URL without a proxy."""
    with httpx.Client() as client:
        return client._transport_for_url(httpx.URL(url)) is client._transport


@pytest.mark.parametrize("proxy", ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (LOOPBACK, LOOPBACK)),
        ({"NO_PROXY": "a.org, b.org"}, (f"a.org,b.org,{LOOPBACK}",) * 2),
        ({"no_proxy": "localhost"}, ("localhost,127.0.0.1,::1",) * 2),
        ({"no_proxy": "a.org", "NO_PROXY": "b"}, (f"a.org,{LOOPBACK}", f"b,{LOOPBACK}")),
        ({"no_proxy": "", "NO_PROXY": "b"}, (LOOPBACK, f"b,{LOOPBACK}")),
        ({"NO_PROXY": "*"}, (None, "*")),
    ],
)
def test_loopback_is_added_to_the_hosts_without_a_proxy(
    proxy: str, given: dict[str, str], expected: tuple[str | None, str]
) -> None:
    os.environ |= {proxy: "http://proxy.example.org:3128", **given}
    for _ in range(2):  # the second time finds it done
        environment.exempt_loopback()
        assert (os.environ.get("no_proxy"), os.environ.get("NO_PROXY")) == expected


def test_without_a_proxy_nothing_is_changed() -> None:
    before = dict(os.environ)
    environment.exempt_loopback()
    environment.bypass_unusable_proxies(None)
    assert dict(os.environ) == before


def test_only_loopback_is_reached_without_the_proxy() -> None:
    os.environ["http_proxy"] = "http://proxy.example.org:3128"
    environment.exempt_loopback()
    environment.bypass_unusable_proxies(None)
    for host in ("127.0.0.1", "localhost", "[::1]"):
        assert is_direct(f"http://{host}:4200/api")
    assert not is_direct("http://prefect.example.org/api")


@pytest.mark.parametrize("proxy", ["socks4://127.0.0.1:1080", "http://[::1"])
def test_a_proxy_that_prefects_client_cannot_use_is_no_hindrance(proxy: str) -> None:
    others = {"all_proxy": proxy, "http_proxy": "http://proxy.example.org:3128"}
    os.environ |= others
    environment.exempt_loopback()
    environment.bypass_unusable_proxies("http://localhost:4200/api")
    assert is_direct("http://127.0.0.1:4200/api")  # raises where the client cannot be made
    assert others.items() <= os.environ.items()
    # object storage is reached by others, which go through the proxy as before
    assert not urllib.request.proxy_bypass("s3.example.org")
    assert urllib.request.proxy_bypass("127.0.0.1")


def test_a_proxy_stays_in_force_for_a_server_that_is_not_here() -> None:
    os.environ |= {"all_proxy": "socks4://127.0.0.1:1080"}
    environment.exempt_loopback()
    environment.bypass_unusable_proxies("https://prefect.example.org/api")
    assert os.environ["no_proxy"] == LOOPBACK


def test_variables_of_a_block_are_put_back() -> None:
    os.environ["HUZHU_A"] = "before"
    with environment.changed({"HUZHU_A": "within", "HUZHU_B": "within"}):
        assert (os.environ["HUZHU_A"], os.environ["HUZHU_B"]) == ("within", "within")
    assert os.environ["HUZHU_A"] == "before"
    assert "HUZHU_B" not in os.environ
