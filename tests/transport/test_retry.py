"""What is repeated, how often, and after how long."""

# ruff: noqa: E501  (tables, one case a line)

from __future__ import annotations

import ssl

import pytest

from kedge.errors import (
    ConnectionFailedError,
    ConnectionTimeoutError,
    HttpStatusError,
    IncompleteDownloadError,
    KedgeError,
    ProxyFailedError,
    RedirectError,
    ResolveHostError,
    TlsError,
    VerificationError,
)
from kedge.model import Hop, NetworkOrigin
from kedge.transport.retry import RetryPolicy, parse_retry_after
from support.pki import Certificate
from support.servers import Faults, Server, hang_up, status, tree
from transport.sessions import DECISION, Opener, Told

URL = "https://a.example/"
PEER = NetworkOrigin("https", "a.example", 443)


def tls(cause: Exception) -> TlsError:
    error = TlsError("", url=URL, peer=PEER, hop=Hop.SERVER, decision=DECISION, reason="")
    error.__cause__ = cause
    return error


def status_error(code: int, retry_after: float | None = None) -> HttpStatusError:
    return HttpStatusError("", url=URL, status=code, retry_after=retry_after)


@pytest.mark.parametrize(
    ("error", "repeats"),
    [
        pytest.param(ConnectionFailedError("", url=URL, peer=PEER), 5, id="connection"),
        pytest.param(ConnectionTimeoutError("", url=URL, peer=PEER), 5, id="timeout"),
        pytest.param(ResolveHostError("", url=URL, peer=PEER), 1, id="dns"),
        pytest.param(IncompleteDownloadError("", url=URL), 5, id="incomplete"),
        pytest.param(VerificationError("", url=URL, peer=PEER, hop=Hop.SERVER, decision=DECISION, reason="", verify_code=20), 0, id="verification"),
        pytest.param(tls(ssl.SSLError(1, "handshake failure")), 0, id="handshake"),
        pytest.param(tls(ssl.SSLEOFError(8, "EOF")), 1, id="handshake-cut"),
        pytest.param(ProxyFailedError("", url=URL, peer=PEER, status=407), 0, id="407"),
        pytest.param(ProxyFailedError("", url=URL, peer=PEER, status=403), 0, id="proxy-403"),
        pytest.param(ProxyFailedError("", url=URL, peer=PEER, status=502), 5, id="proxy-502"),
        pytest.param(ProxyFailedError("", url=URL, peer=PEER), 5, id="proxy-broke-off"),
        pytest.param(RedirectError("", url=URL), 0, id="redirect"),
        *[pytest.param(status_error(code), 5, id=str(code)) for code in (429, 500, 502, 503, 504, 520)],
        *[pytest.param(status_error(code), 0, id=str(code)) for code in (400, 401, 403, 404, 410, 501, 505)],
        pytest.param(KedgeError(""), 0, id="other"),
    ],
)  # fmt: skip
def test_repeats(error: KedgeError, repeats: int) -> None:
    policy = RetryPolicy(5)
    delays = [policy.delay(error, failures, 0.5) for failures in range(7)]
    assert [delay is not None for delay in delays].count(True) == repeats
    assert policy.delay(error, repeats, 0.5) is None
    assert RetryPolicy(0).delay(error, 0, 0.5) is None


def test_delays_double_up_to_a_ceiling_and_are_spread() -> None:
    policy = RetryPolicy(99)
    error = ConnectionFailedError("", url=URL, peer=PEER)
    most = [policy.delay(error, failures, 1.0) for failures in range(7)]
    least = [policy.delay(error, failures, 0.0) for failures in range(7)]
    assert most == [0.25, 0.5, 1, 2, 4, 8, 8]
    assert least == [delay / 2 for delay in (0.25, 0.5, 1, 2, 4, 8, 8)]


@pytest.mark.parametrize(
    ("asked", "delay"), [(0.0, 0.0), (7.0, 7.0), (60.0, 60.0), (61.0, None), (86400.0, None)]
)
def test_what_the_server_asks_for_counts_within_reason(asked: float, delay: float | None) -> None:
    assert RetryPolicy(5).delay(status_error(503, asked), 0, 0.5) == delay


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("", None), ("5", 5.0), (" 5 ", 5.0), ("-5", None), ("soon", None), ("²", None),
     ("Thu, 01 Jan 1970 00:01:00 GMT", 10.0), ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0)],
)  # fmt: skip
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=50.0) == seconds


# --------------------------------------------------------------------------------------------


@pytest.fixture
def faults() -> Faults:
    return Faults(tree({"/": b"hello"}))


@pytest.mark.parametrize("fault", [status(503), status(429), status(500), hang_up()])
def test_what_passes_is_repeated(
    fault: object, faults: Faults, opened: Opener, leaf: Certificate, told: Told
) -> None:
    faults.next("/", fault, fault)  # type: ignore[arg-type]
    with Server(faults, certificate=leaf) as server:
        assert opened(retries=2).get(f"{server.url}/").body == b"hello"
        assert len(server.requests) == 3
    assert [url for url, _, _ in told.retries] == [f"{server.url}/"] * 2


def test_enough_is_enough(faults: Faults, opened: Opener, leaf: Certificate, told: Told) -> None:
    faults.always("/", status(503))
    with Server(faults, certificate=leaf) as server:
        with pytest.raises(HttpStatusError) as caught:
            opened(retries=2).get(f"{server.url}/")
        assert caught.value.status == 503
        assert len(server.requests) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_no_is_a_no(code: int, faults: Faults, opened: Opener, leaf: Certificate) -> None:
    faults.always("/", status(code))
    with Server(faults, certificate=leaf) as server:
        with pytest.raises(HttpStatusError) as caught:
            opened(retries=5).get(f"{server.url}/")
        assert caught.value.status == code
        assert len(server.requests) == 1


def test_retry_after_is_waited_out(
    faults: Faults, opened: Opener, leaf: Certificate, told: Told
) -> None:
    faults.next("/", status(503, Retry_After="0"))
    with Server(faults, certificate=leaf) as server:
        opened(retries=1).get(f"{server.url}/")
    assert [delay for _, _, delay in told.retries] == [0.0]


def test_retry_after_beyond_patience_ends_it(
    faults: Faults, opened: Opener, leaf: Certificate, told: Told
) -> None:
    faults.next("/", status(503, Retry_After="3600"))
    with Server(faults, certificate=leaf) as server:
        with pytest.raises(HttpStatusError) as caught:
            opened(retries=5).get(f"{server.url}/")
        assert caught.value.retry_after == 3600
        assert len(server.requests) == 1


def test_a_retry_is_told_without_the_password(
    faults: Faults, opened: Opener, leaf: Certificate, told: Told
) -> None:
    faults.next("/", status(503))
    with Server(faults, certificate=leaf) as server:
        opened(retries=1).get(server.url.replace("://", "://me:hunter2@") + "/")
    assert "hunter2" not in str(told.retries)
    assert "503" in told.retries[0][1]
