"""The public index itself, with the settings by which this machine trusts it."""

from __future__ import annotations

import json

import pytest

from kedge.model import PYPI_HOSTS, PYPI_SIMPLE, redact_url
from support.surroundings import PublicIndex
from support.venvs import Kedge, Venv

pytestmark = pytest.mark.pypi


@pytest.fixture
def public(plain_kedge: Kedge, public_index: PublicIndex) -> Kedge:
    """kedge with the machine's way to the network, without its trust; and without the guard."""
    environ = {k: v for k, v in plain_kedge.environ.items() if k != "PYTHONPATH"}
    environ |= dict(public_index.environ) | {"PIP_INDEX_URL": public_index.url}
    return Kedge(environ, python=plain_kedge.python, cwd=plain_kedge.cwd)


def test_a_small_package(public: Kedge, public_index: PublicIndex, target: Venv) -> None:
    public("install", "six==1.16.0", *public_index.trust).succeeded()
    assert target.versions() == {"six": "1.16.0"}
    assert target.run("-c", "import six; print(six.__version__)") == "1.16.0\n"


def test_dependencies_and_a_program(public: Kedge, public_index: PublicIndex, target: Venv) -> None:
    public("install", "requests[socks]", *public_index.trust).succeeded()
    expected = {"requests", "pysocks", "urllib3", "idna", "certifi", "charset-normalizer"}
    assert set(target.versions()) == expected
    assert target.run("-c", "import requests, socks; print('in use')") == "in use\n"
    assert "python" in target.run_script("normalizer", "--version").lower()


def test_with_no_setting_it_works_or_says_why(
    public: Kedge, public_index: PublicIndex, target: Venv
) -> None:
    """certifi vouches for the public index, but not for a company's proxy in front of it."""
    outcome = public("install", "six==1.16.0")
    if outcome.code == 0:
        assert target.versions() == {"six": "1.16.0"}
        return
    host = public_index.url.split("/")[2].rpartition("@")[2]
    outcome.failed(1, saying=[host, "certifi"])
    assert target.versions() == {}


def test_the_doctor_finds_the_host_of_the_files(public: Kedge, public_index: PublicIndex) -> None:
    report = json.loads(public("doctor", "--json", *public_index.trust).succeeded().stdout)
    parts = {peer["part"]: peer for peer in report["peers"]}
    assert parts["index"]["url"] == redact_url(public_index.url)
    assert parts["index"]["diagnosis"]["anchor"]["subject"]
    assert parts["files"]["works"]
    if public_index.url == PYPI_SIMPLE:
        assert parts["files"]["url"] == f"https://{PYPI_HOSTS[1]}"


def test_the_doctor_says_who_sits_in_the_line(public: Kedge, public_index: PublicIndex) -> None:
    """Where certifi does not vouch for PyPI itself, somebody signs it again."""
    outcome = public("doctor", "--json")
    report = json.loads(outcome.stdout)
    if outcome.code == 0 or public_index.url != PYPI_SIMPLE:
        pytest.skip("nobody sits in the line here")
    peers = {peer["part"]: peer["diagnosis"] for peer in report["peers"]}
    for part, other in (("index", PYPI_HOSTS[1]), ("files", PYPI_HOSTS[0])):
        (cause,) = peers[part]["causes"]
        assert cause["code"] == "tls-interception"
        assert cause["issuer"]
        assert other in cause["hosts"]
