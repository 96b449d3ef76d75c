"""A TLS failure of an install ends in a diagnosis, and its first remedy, pasted, works."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.indexes import SimpleIndex
from support.pki import Authority
from support.servers import Server
from support.unhurried import PROGRAM
from support.venvs import Kedge, make_venv
from support.wheels import wheel


@pytest.fixture
def server(private_ca: Authority) -> Iterator[Server]:
    leaf = private_ca.leaf("localhost", "127.0.0.1")
    with Server(SimpleIndex([wheel("spam")]), certificate=leaf) as server:
        yield server


@pytest.fixture
def kedge(clean_environ: dict[str, str], tmp_path: Path) -> Kedge:
    return Kedge(clean_environ, python=make_venv(tmp_path / "env"), program=PROGRAM)


def pasted(outcome_text: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the first command that was printed, as a shell would."""
    lines = iter(outcome_text.splitlines())
    next(line for line in lines if line.startswith("Remedy 1"))
    command = next(line for line in lines if line.startswith("    ")).strip()
    assert "kedge" in command
    return subprocess.run(command, shell=True, env=environ, capture_output=True, text=True)


def test_where_the_systems_store_would_pass(
    kedge: Kedge, server: Server, bundle: Path, clean_environ: dict[str, str]
) -> None:
    environ = {**clean_environ, "SSL_CERT_FILE": str(bundle), "SSL_CERT_DIR": str(bundle.parent)}
    outcome = kedge("install", "spam", "-i", f"{server.url}/simple", environ=environ).failed(1)
    assert "untrusted-root" in outcome.text
    assert "--use-feature=truststore" in outcome.text
    done = pasted(outcome.stderr, environ)
    assert done.returncode == 0, done.stderr
    assert kedge.python is not None
    assert kedge.python.versions() == {"spam": "1.0"}


def test_where_nothing_here_would_pass_no_command_switches_verification_off(
    kedge: Kedge, server: Server, private_ca: Authority
) -> None:
    outcome = kedge("install", "spam", "-i", f"{server.url}/simple").failed(1)
    assert "untrusted-root" in outcome.text
    first = outcome.stderr.partition("Remedy 1")[2].partition("Remedy 2")[0]
    assert "--trusted-host" not in first


def test_each_host_is_reported_once(kedge: Kedge, server: Server) -> None:
    words = ("spam", "ham", "eggs", "-i", f"{server.url}/simple")
    outcome = kedge("install", *words).failed(1)
    assert outcome.stderr.count("Cause: ") == 1


def test_the_servers_log_shows_no_request(kedge: Kedge, server: Server) -> None:
    kedge("install", "spam", "-i", f"{server.url.replace('//', '//ana:secret@')}/simple").failed(1)
    assert all(request.method == "HEAD" for request in server.requests)
    assert not any("secret" in str(request.headers) for request in server.requests)
