"""Sessions that are closed after the test, and the certificates of the servers they meet."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from kedge import transport
from kedge.transport import Session
from support.pki import LOOPBACK, Authority, Certificate
from transport.sessions import DECISION, Opener, Told, make_options, trusting


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def opened(private_ca: Authority, told: Told) -> Iterator[Opener]:
    with ExitStack() as stack:

        def open_one(*, context: ssl.SSLContext | None = None, **given: Any) -> Session:
            contexts = {
                name: given.pop(name)
                for name in (
                    "client_context",
                    "unverified_client_context",
                    "credentials",
                    "challenges",
                )
                if name in given
            }
            return stack.enter_context(
                transport.open_session(
                    DECISION, context or trusting(private_ca), make_options(given), told, **contexts
                )
            )

        yield open_one


@pytest.fixture
def library(private_ca: Authority, told: Told) -> Iterator[Callable[..., requests.Session]]:
    """Opens the session that other tools get."""
    with ExitStack() as stack:

        def open_one(*, context: ssl.SSLContext | None = None, **given: Any) -> requests.Session:
            return stack.enter_context(
                transport.requests_session(
                    DECISION, context or trusting(private_ca), make_options(given), told
                )
            )

        yield open_one


@pytest.fixture(scope="session")
def leaf(private_ca: Authority) -> Certificate:
    """A server's certificate for every loopback name, by the authority that is trusted."""
    return private_ca.leaf(*LOOPBACK)


@pytest.fixture(scope="session")
def stranger_leaf(stranger_ca: Authority) -> Certificate:
    """The same by an authority that only certifi or a variable may vouch for."""
    return stranger_ca.leaf(*LOOPBACK)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a download goes."""
    return tmp_path / "file.whl"
