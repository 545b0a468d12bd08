"""Who is believed about whom a request comes from, and where the API is served."""

from ipaddress import ip_network

import pytest
from pydantic import ValidationError
from starlette.types import Scope
from uvicorn.middleware.proxy_headers import _TrustedHosts

from marketdata.api.server import trusted_hosts
from marketdata.api.settings import ApiSettings
from tests.api.edge.backend import front, hear

FORGED = (
    b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
    b"Forwarded: for=203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n"
)


def ask(settings: ApiSettings, headers: bytes, target: bytes = b"/one") -> Scope:
    """What the application is told of a request with these headers."""
    with front(settings=settings) as edge, edge.connect() as peer:
        peer.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: here\r\n" + headers + b"\r\n")
        assert hear(peer, 1).statuses == [200]
        (scope,) = edge.backend.scopes
    return scope


def trusting(*networks: str) -> ApiSettings:
    return ApiSettings(trusted_proxies=tuple(ip_network(network) for network in networks))


@pytest.mark.parametrize("settings", [ApiSettings(), trusting("10.0.0.0/8", "fd00::/8")], ids=["nobody", "others"])
def test_a_forged_address_changes_nothing(settings: ApiSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # what uvicorn's own command would read
    scope = ask(settings, FORGED)
    assert (scope["client"][0], scope["scheme"]) == ("127.0.0.1", "http")


def test_a_trusted_proxy_is_believed() -> None:
    scope = ask(trusting("127.0.0.1/32"), FORGED)
    assert (scope["client"], scope["scheme"]) == (("203.0.113.9", 0), "https")


def test_the_last_one_whom_no_trusted_proxy_names_is_the_client() -> None:
    forged = b"X-Forwarded-For: 192.0.2.1, 203.0.113.9, 10.0.0.3\r\nX-Forwarded-For: 10.0.0.4\r\n"
    scope = ask(trusting("127.0.0.0/8", "10.0.0.0/8"), forged)
    assert scope["client"][0] == "203.0.113.9"


def test_an_ipv4_proxy_on_an_ipv6_socket_is_trusted_too() -> None:
    trusted = _TrustedHosts(trusted_hosts([ip_network("10.0.0.0/8"), ip_network("fd00::/8")]))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1"):
        assert address in trusted
    for address in ("11.1.2.3", "::ffff:11.1.2.3", "fe00::1", "proxy", ""):
        assert address not in trusted


def test_a_path_that_the_proxy_took_off_is_known() -> None:
    scope = ask(ApiSettings(root_path="/market-data/"), b"")
    assert (scope["root_path"], scope["path"]) == ("/market-data", "/market-data/one")


@pytest.mark.parametrize(
    "name, value",
    [
        ("trusted_proxies", "0.0.0.0/0"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", "*"),
        ("trusted_proxies", "proxy"),
        ("trusted_proxies", "10.0.0.1,,10.0.0.2"),
        ("root_path", "market-data"),
        ("root_path", "//evil.example"),
        ("root_path", "/a/../b?c"),
        ("drain", "9"),
        ("drain", "-1"),
        ("drain", "nan"),
        ("max_connections", "1"),
        ("database_pool", "1"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MARKETDATA_{name.upper()}", value)
    with pytest.raises(ValidationError, match=name):
        ApiSettings()


def test_networks_are_read_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_TRUSTED_PROXIES", "10.0.0.7, 10.1.0.0/16,fd00::/64")
    assert [str(network) for network in ApiSettings().trusted_proxies] == ["10.0.0.7/32", "10.1.0.0/16", "fd00::/64"]
