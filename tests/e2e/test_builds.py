"""Building with a private authority and no way round it; and builds that are interrupted."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.backends import as_sdist, project
from support.indexes import SimpleIndex
from support.pki import Authority, authority
from support.processes import is_gone, wait_until
from support.proxies import Interceptor, mitmproxy
from support.servers import Server
from support.surroundings import PublicIndex
from support.venvs import Kedge, Venv, make_venv
from support.wheels import wheel

# What a backend that downloads something does, with nothing but Python's own defaults.
_CONNECTS = """\
import helper, urllib.request
def build_wheel(folder, config_settings=None, metadata_directory=None):
    with urllib.request.urlopen({url!r}) as answer:
        read = len(answer.read())
    return _wheel(folder, {{"spam.py": f"READ = {{read}}\\nHELPER = {{helper.__version__!r}}"}})
"""


@pytest.fixture(scope="module")
def private(private_ca: Authority) -> Iterator[Server]:
    """An index that has ``spam`` as sources alone, and ``helper``, which it needs to be built."""
    index = SimpleIndex([wheel("helper", "3.0")])
    with Server(index, certificate=private_ca.leaf("localhost", "127.0.0.1")) as server:
        code = _CONNECTS.format(url=f"{server.url}/simple/helper/")
        files = project("spam", build_requires=["helper"], code=code)
        index.add(as_sdist("spam", "1.0", files))
        yield server


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


WAYS = {
    "cert": (["--cert", "{pem}"], {}),
    "PIP_CERT": ([], {"PIP_CERT": "{pem}"}),
    "truststore": (["--use-feature=truststore"], {"SSL_CERT_FILE": "{pem}"}),
}


def told(kedge: Kedge, way: str, pem: Path) -> Kedge:
    """kedge told of an authority in one way alone."""
    words, environ = WAYS[way]
    return kedge.having(
        *(word.format(pem=pem) for word in words),
        **{name: value.format(pem=pem) for name, value in environ.items()},
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_build_trusts_what_the_install_trusts(
    plain_kedge: Kedge, target: Venv, private: Server, bundle: Path, temporary: Path, way: str
) -> None:
    kedge = told(plain_kedge, way, bundle).having(TMPDIR=str(temporary))
    kedge("install", "spam", "-i", f"{private.url}/simple/").succeeded()
    assert target.versions() == {"spam": "1.0"}
    read = target.run("-c", "import spam; print(spam.READ > 0, spam.HELPER)")
    assert read.split() == ["True", "3.0"]
    assert list(temporary.iterdir()) == []


def test_a_build_trusts_nothing_else(
    plain_kedge: Kedge, target: Venv, private: Server, bundle: Path, stranger_ca: Authority
) -> None:
    """What the backend reaches for must be vouched for by the decision, not by the system."""
    leaf = stranger_ca.leaf("localhost", "127.0.0.1")
    with Server(private.handler, certificate=leaf) as strange:
        code = _CONNECTS.format(url=f"{strange.url}/simple/helper/")
        files = project("eggs", build_requires=["helper"], code=code)
        archive = as_sdist("eggs", "1.0", files).write(bundle.parent)
        kedge = plain_kedge.having("--cert", bundle, SSL_CERT_FILE=str(bundle))
        outcome = kedge("install", archive, "-i", f"{private.url}/simple/")
    assert outcome.code == 1
    assert "CERTIFICATE_VERIFY_FAILED" in outcome.stderr
    assert target.versions() == {}


def test_a_build_requirement_behind_an_unknown_authority_is_diagnosed(
    plain_kedge: Kedge, target: Venv, private: Server, bundle: Path, tmp_path: Path
) -> None:
    archive = as_sdist("eggs", "1.0", project("eggs", build_requires=["helper"])).write(tmp_path)
    outcome = plain_kedge("install", archive, "-i", f"{private.url}/simple/")
    outcome.failed(1, saying=[private.hostport, "certifi"])
    assert target.versions() == {}


@pytest.fixture(scope="module")
def inspection_ca() -> Authority:
    # With a key usage: the backend's own Python asks for one since 3.13, whatever kedge does.
    return authority("Kedge Test Inspection Root of Builds")


@pytest.fixture(scope="module")
def inspector(
    inspection_ca: Authority, private_ca: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("mitm")
    login = ("a.user", "p@ss w/rd %")
    with mitmproxy(folder, inspection_ca, trusts=private_ca, credentials=login) as running:
        yield running


@pytest.mark.tool("mitmdump")
@pytest.mark.parametrize("way", WAYS)
def test_a_build_behind_a_proxy_that_asks_for_a_password_and_signs_anew(
    plain_kedge: Kedge,
    target: Venv,
    private: Server,
    inspection_ca: Authority,
    inspector: Interceptor,
    tmp_path: Path,
    way: str,
) -> None:
    pem = inspection_ca.write_pem(tmp_path / "inspection.pem")
    kedge = told(plain_kedge, way, pem).having(HTTPS_PROXY=inspector.authorized_url)
    kedge("install", "spam", "-i", f"{private.url}/simple/", "--no-cache-dir").succeeded()
    assert target.versions() == {"spam": "1.0"}
    assert private.hostport in inspector.hosts


# --------------------------------------------------------------------------------------------
# Interrupted

_HANGS = """\
import subprocess, sys, time
def {hook}(*_, **__):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open({mark!r} + ".part", "w") as file:
        file.write(f"{{os.getpid()}} {{child.pid}}")
    os.rename({mark!r} + ".part", {mark!r})
    time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
@pytest.mark.parametrize("hook", ["prepare_metadata_for_build_wheel", "build_wheel"])
def test_interrupting_a_build_ends_all_of_it(
    plain_kedge: Kedge,
    target: Venv,
    tmp_path: Path,
    temporary: Path,
    hook: str,
    sent: signal.Signals,
) -> None:
    mark = tmp_path / "running"
    files = project("spam", code=_HANGS.format(hook=hook, mark=str(mark)))
    archive = as_sdist("spam", "1.0", files).write(tmp_path)
    before = target.snapshot()
    process = plain_kedge.having(TMPDIR=str(temporary)).start("install", archive)
    wait_until(lambda: mark.exists() or process.poll() is not None)
    assert mark.exists(), process.communicate(timeout=60)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert target.snapshot() == before
    assert list(temporary.iterdir()) == []
    numbers = [int(number) for number in mark.read_text().split()]
    wait_until(lambda: all(map(is_gone, numbers)))


def test_two_at_once_build_the_same_source(
    plain_kedge: Kedge, private: Server, bundle: Path, tmp_path: Path
) -> None:
    kedge = plain_kedge.having("--cert", bundle, "-i", f"{private.url}/simple/")
    venvs = [make_venv(tmp_path / f"env{number}") for number in range(2)]
    running = [
        Kedge(kedge.environ, venv, kedge.prefix, cwd=kedge.cwd).start("install", "spam")
        for venv in venvs
    ]
    for process in running:
        _, said = process.communicate(timeout=90)
        assert process.returncode == 0, said
    assert [venv.versions() for venv in venvs] == [{"spam": "1.0"}] * 2


# --------------------------------------------------------------------------------------------
# From the public index


@pytest.mark.pypi
@pytest.mark.timeout(360)
@pytest.mark.parametrize(
    ("name", "module"),
    [
        pytest.param("docopt==0.6.2", "docopt", id="setup.py alone"),
        pytest.param("pyperclip==1.9.0", "pyperclip", id="setup.py, sources only"),
        pytest.param("idna==3.10", "idna", id="flit"),
        pytest.param("attrs==24.2.0", "attr", id="hatchling with plugins"),
        pytest.param("tomli==2.0.1", "tomli", id="flit, older"),
        pytest.param("markupsafe==2.1.5", "markupsafe", id="setuptools, C"),
    ],
)
def test_real_projects(
    plain_kedge: Kedge, public_index: PublicIndex, target: Venv, name: str, module: str
) -> None:
    environ = {k: v for k, v in plain_kedge.environ.items() if k != "PYTHONPATH"}
    environ |= dict(public_index.environ) | {"PIP_INDEX_URL": public_index.url}
    kedge = Kedge(environ, python=target, cwd=plain_kedge.cwd)
    words = ("--no-binary", name.partition("==")[0], name, *public_index.trust)
    kedge("install", *words, timeout=300).succeeded()
    target.run("-c", f"import {module}")
