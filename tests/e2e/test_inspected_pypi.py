"""A company's proxy in front of PyPI, as a machine meets it that nobody has set up for it.

What is printed is pasted, and installs.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kedge.model import PYPI_HOSTS
from support.pki import Authority, authority, self_signed
from support.proxies import Interceptor, mitmproxy
from support.surroundings import PublicIndex
from support.venvs import Kedge, Outcome, Venv

pytestmark = [pytest.mark.once, pytest.mark.pypi, pytest.mark.tool("mitmdump")]

WANTED = "six==1.16.0"
INSTALLED = {"six": "1.16.0"}


@pytest.fixture(scope="module")
def inspection_ca() -> Authority:
    # Named as its own program names it, and without a key usage, as such roots often are.
    return authority("mitmproxy", key_usage=False)


@pytest.fixture
def inspector(
    public_index: PublicIndex, inspection_ca: Authority, tmp_path: Path
) -> Iterator[Interceptor]:
    if urlsplit(public_index.url).hostname not in PYPI_HOSTS:
        pytest.skip("a mirror stands for PyPI here")
    if any(name.lower().endswith("proxy") for name in public_index.environ):
        pytest.skip("PyPI is reached through a proxy here, which mitmproxy would have to use")
    with mitmproxy(tmp_path / "mitm", inspection_ca, trusts=public_index.bundle) as running:
        yield running


@pytest.fixture
def fresh(plain_kedge: Kedge, public_index: PublicIndex, inspector: Interceptor) -> Kedge:
    """kedge with no setting but the proxy, which the network's own variable names."""
    environ = {k: v for k, v in plain_kedge.environ.items() if k != "PYTHONPATH"}
    environ |= {"HTTPS_PROXY": inspector.url, "PIP_INDEX_URL": public_index.url}
    return replace(plain_kedge, environ=environ)


def remedies(outcome: Outcome) -> list[list[str]]:
    """The commands of each remedy, in their order; of lasting ones, not those."""
    blocks = re.split(r"^Remedy \d+: ", outcome.stderr, flags=re.MULTILINE)[1:]
    once = [block.partition("To make it last:")[0] for block in blocks]
    return [re.findall(r"^    (\S.*)$", block, re.MULTILINE) for block in once]


def lasting(outcome: Outcome) -> list[str]:
    tail = outcome.stderr.partition("To make it last:")[2].partition("\n\n")[0]
    return re.findall(r"^    (\S.*)$", tail, re.MULTILINE)


def paste(kedge: Kedge, line: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        env=dict(kedge.environ),
        cwd=kedge.cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)


def told(kedge: Kedge, *words: str, **environ: str) -> tuple[Kedge, Outcome]:
    """The failed install; it names the cause, who is in the line, and what was trusted."""
    kedge = kedge.having(*words, **environ)
    outcome = kedge("install", WANTED, "-q").failed(1, saying=[PYPI_HOSTS[0], "mitmproxy"])
    assert re.findall(r"^Cause: (.*)$", outcome.stderr, re.MULTILINE) == ["tls-interception"]
    assert "--trusted-host" not in outcome.stderr
    return kedge, outcome


def test_a_machine_that_knows_nothing(
    fresh: Kedge, target: Venv, inspection_ca: Authority, inspector: Interceptor
) -> None:
    kedge, outcome = told(fresh)
    assert "certifi" in outcome.stderr
    assert inspector.hosts == {f"{PYPI_HOSTS[0]}:443"}  # one look, and no second try
    (commands,) = remedies(outcome)
    assert kedge.cwd is not None
    inspection_ca.write_pem(kedge.cwd / "company-root.pem")  # as IT handed it out
    for line in commands:
        paste(kedge, line)
    assert target.versions() == INSTALLED
    assert {f"{host}:443" for host in PYPI_HOSTS} <= inspector.hosts


def test_a_machine_whose_store_knows_it(
    fresh: Kedge, target: Venv, inspection_ca: Authority, tmp_path: Path
) -> None:
    store = inspection_ca.write_pem(tmp_path / "store.pem")
    kedge, outcome = told(fresh, SSL_CERT_FILE=str(store))
    first, *others = remedies(outcome)
    assert others == []
    assert "--use-feature=truststore" in first[-1]
    for line in first:
        paste(kedge, line)
    assert target.versions() == INSTALLED


def test_and_what_makes_it_last(
    fresh: Kedge, target: Venv, inspection_ca: Authority, tmp_path: Path
) -> None:
    store = inspection_ca.write_pem(tmp_path / "store.pem")
    environ = {k: v for k, v in fresh.environ.items() if k != "PIP_CONFIG_FILE"}
    kedge, outcome = told(replace(fresh, environ=environ), SSL_CERT_FILE=str(store))
    lines = lasting(outcome)
    assert lines
    for line in lines:
        paste(kedge, line)
    kedge("install", WANTED).succeeded()
    assert target.versions() == INSTALLED


@pytest.mark.parametrize("way", ["overridden", "beside"])
def test_a_machine_where_a_setting_names_it(
    fresh: Kedge, target: Venv, inspection_ca: Authority, tmp_path: Path, way: str
) -> None:
    """In a bundle that lost to another, or in the second of two variables."""
    right = str(inspection_ca.write_pem(tmp_path / "inspection.pem"))
    wrong = str(self_signed("elsewhere.example").write_pem(tmp_path / "wrong.pem"))
    if way == "overridden":
        kedge, outcome = told(fresh, "--cert", wrong, REQUESTS_CA_BUNDLE=right)
    else:
        kedge, outcome = told(fresh, REQUESTS_CA_BUNDLE=wrong, CURL_CA_BUNDLE=right)
    first = remedies(outcome)[0]
    assert right in first[-1]
    for line in first:
        paste(kedge, line)
    assert target.versions() == INSTALLED
