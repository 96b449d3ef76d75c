"""URLs, trusted hosts and the plain-HTTP rule: decisions over values."""

# ruff: noqa: E501  (tables, one case a line)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.errors import (
    InsecureLocationError,
    KedgeError,
    SettingError,
    TransportError,
    UsageError,
)
from kedge.model import NetworkOrigin, Origin, OriginKind, Sourced
from kedge.transport.locations import (
    _locate,
    _locate_plain,
    is_loopback,
    locate,
    redirect_target,
)
from kedge.transport.trusted_hosts import TrustedHosts, refuse_insecure
from transport.sessions import flag


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        pytest.param("https://a.example", ("https", "a.example", 443), "/", id="bare"),
        pytest.param(
            "HTTPS://A.Example:444/x?y=1#z", ("https", "a.example", 444), "/x?y=1", id="case"
        ),
        pytest.param("http://u:p@a.example/x", ("http", "a.example", 80), "/x", id="userinfo"),
        pytest.param("https://a.example./x", ("https", "a.example", 443), "/x", id="final-dot"),
        pytest.param("https://[::1]:8443/x", ("https", "::1", 8443), "/x", id="ipv6"),
        pytest.param("https://[0:0:0::1]/x", ("https", "::1", 443), "/x", id="ipv6-long"),
        pytest.param(
            "https://bücher.example/", ("https", "xn--bcher-kva.example", 443), "/", id="idna"
        ),
        pytest.param(
            "https://a.example/a b%2Fc", ("https", "a.example", 443), "/a%20b%2Fc", id="space"
        ),
        pytest.param(" https://a.example/x ", ("https", "a.example", 443), "/x", id="blanks"),
        pytest.param(
            "https://evil.example\\@localhost/",
            ("https", "evil.example", 443),
            "/%5C@localhost/",
            id="backslash",
        ),
    ],
)
def test_a_url_is_read_once(url: str, origin: tuple[str, str, int], target: str) -> None:
    location = locate(url)
    assert location.origin == NetworkOrigin(*origin)
    assert location.request_target == target
    assert "@" not in location.url.partition("://")[2].partition("/")[0]
    assert "#" not in location.url


_SCHEMES = st.sampled_from(["http://", "https://", "HTTPS://", "https:/", "ftp://"])
_HOSTS = st.text("aZ9.-", max_size=5) | st.sampled_from(["127.0.0.1", "127.0.0.01", "0x7f.1"])
_PORTS = st.sampled_from(["", ":", ":0", ":08", ":80", ":443", ":65535", ":65536"])
_TARGETS = st.text("aZ9/.-~!$&'()*+,;=:@%?#_\\ é\n", max_size=8)


@given(url=st.tuples(_SCHEMES, _HOSTS, _PORTS, _TARGETS).map("".join))
def test_what_is_read_without_urllib3_is_what_urllib3_reads(url: str) -> None:
    found = _locate_plain(url)
    assert found is None or found == _locate(url)


@pytest.mark.parametrize(
    "url",
    ["https://index.example/simple/a-b/", "https://localhost:8443/files/a-1.0+b-py3-none-any.whl"],
)
def test_an_ordinary_url_is_read_without_urllib3(url: str) -> None:
    assert _locate_plain(url)


@pytest.mark.parametrize(
    "url",
    ["", "simple/x", "ftp://a.example/x", "file:///etc/passwd", "https://", "https://:80/",
     "https://a.example:99999/", "https://[::1/", "https://a b/", "https:///x"],
)  # fmt: skip
def test_what_is_no_location_is_refused(url: str) -> None:
    with pytest.raises(TransportError):
        locate(url)


def test_a_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(TransportError) as caught:
        locate("ftp://user:hunter2@a.example/x")
    assert "hunter2" not in caught.value.message + caught.value.url


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param("/y", "https://a.example/y", id="path"),
        pytest.param("y", "https://a.example/d/y", id="relative"),
        pytest.param("//b.example/y", "https://b.example/y", id="scheme-relative"),
        pytest.param("https://b.example/", "https://b.example/", id="absolute"),
        pytest.param("/ü".encode().decode("latin-1"), "https://a.example/ü", id="utf-8"),
    ],
)
def test_a_redirect_is_resolved(header: str, expected: str) -> None:
    assert redirect_target(locate("https://a.example/d/x"), header) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("127.8.9.10", True), ("::1", True),
     ("localhost.example", False), ("a.localhost", False), ("10.0.0.1", False), ("::2", False),
     ("127.1", False), ("0x7f000001", False)],
)  # fmt: skip
def test_loopback_is_what_pip_says(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


# --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "covered", "not_covered"),
    [
        pytest.param("a.example", ["https://a.example", "http://a.example:81"], ["https://b.a.example"], id="host"),
        pytest.param("a.example:444", ["https://a.example:444"], ["https://a.example"], id="port"),
        pytest.param("a.example:443", ["https://a.example"], ["http://a.example"], id="default-port"),
        pytest.param("A.EXAMPLE", ["https://a.example"], [], id="case"),
        pytest.param("a.example", ["https://A.Example."], ["https://a.example.org"], id="spelling"),
        pytest.param("bücher.example", ["https://xn--bcher-kva.example", "https://BÜCHER.example"], [], id="idna"),
        pytest.param("xn--bcher-kva.example", ["https://bücher.example"], [], id="idna-ascii"),
        pytest.param("[::1]:8443", ["https://[::1]:8443"], ["https://[::1]"], id="ipv6-port"),
        pytest.param("[::1]", ["https://[::1]:1", "https://[0::1]"], ["https://[::2]"], id="ipv6"),
        pytest.param("fe80::1", ["https://[fe80::1]"], [], id="ipv6-bare"),
        pytest.param("10.0.0.1", ["https://10.0.0.1"], ["https://10.0.0.10"], id="ipv4"),
    ],
)  # fmt: skip
def test_a_trusted_host_covers(value: str, covered: list[str], not_covered: list[str]) -> None:
    hosts = TrustedHosts.parse([flag("--trusted-host", value)])
    assert [url for url in covered if hosts.find(locate(url).origin) is None] == []
    assert [url for url in not_covered if hosts.find(locate(url).origin)] == []


@pytest.mark.parametrize(
    "value",
    ["https://a.example", "a.example/simple", "user@a.example", "", "*", "*.example", "a b",
     "a.example:x", "a.example:99999", "a.example:1:2", "//a.example", "a?b"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        (OriginKind.COMMAND_LINE, UsageError, 2),
        (OriginKind.ENVIRONMENT, SettingError, 3),
        (OriginKind.FILE, SettingError, 3),
    ],
    ids=["flag", "variable", "file"],
)
def test_what_is_no_host_is_refused(
    value: str, kind: OriginKind, error: type[KedgeError], code: int
) -> None:
    with pytest.raises(error) as caught:
        TrustedHosts.parse([Sourced(value, Origin(kind, "trusted-host"))])
    assert caught.value.exit_code == code


def test_a_refused_trusted_host_is_corrected_without_its_password() -> None:
    with pytest.raises(UsageError) as caught:
        TrustedHosts.parse([flag("--trusted-host", "https://me:hunter2@a.example:8443/simple")])
    assert "hunter2" not in caught.value.message
    assert (caught.value.hint or "").endswith("--trusted-host a.example:8443")


# --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["https://a.example/", "http://localhost/", "http://127.0.0.5:3141/", "http://[::1]:1/",
     "http://trusted.example/"],
)  # fmt: skip
def test_secure_and_trusted_locations_pass(url: str) -> None:
    refuse_insecure(locate(url), TrustedHosts.parse([flag("--trusted-host", "trusted.example")]))


@pytest.mark.parametrize(
    ("url", "word"),
    [
        pytest.param("http://a.example/x", "--trusted-host a.example", id="host"),
        pytest.param("http://a.example:81/x", "--trusted-host a.example:81", id="port"),
        pytest.param("http://[fe80::1]/x", "--trusted-host [fe80::1]", id="ipv6"),
        pytest.param("http://10.0.0.1/x", "--trusted-host 10.0.0.1", id="ipv4"),
    ],
)
def test_plain_http_is_refused_and_the_remedy_works(url: str, word: str) -> None:
    with pytest.raises(InsecureLocationError) as caught:
        refuse_insecure(locate(url), TrustedHosts())
    hint = caught.value.hint or ""
    assert hint.endswith(word)
    pasted = hint.rpartition("--trusted-host ")[2]
    refuse_insecure(locate(url), TrustedHosts.parse([flag("--trusted-host", pasted)]))
