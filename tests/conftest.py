"""What holds for every test: a clean environment, no way out of the machine, tools by name."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support import surroundings
from support.inflaters import INFLATERS
from support.pki import Authority, authority
from support.surroundings import MACHINE, Guard, PublicIndex

_guard = Guard()

# How long an example takes, and to find one, is the machine's business.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure() -> None:
    _guard.install()
    # A shell has its background jobs ignore one, and whatever the tests start would do so too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def pytest_runtest_setup(item: pytest.Item) -> None:
    wanted = [str(name) for mark in item.iter_markers("tool") for name in mark.args]
    if missing := surroundings.missing_tools(wanted):
        reason = f"not here: {', '.join(missing)}"
        if MACHINE.get("KEDGE_REQUIRE_TOOLS"):
            pytest.fail(f"{reason} (KEDGE_REQUIRE_TOOLS is set)", pytrace=False)
        pytest.skip(reason)
    if item.get_closest_marker("pypi"):
        with surroundings.opened(_guard):
            index = surroundings.public_index()
        if index.problem:
            pytest.skip(f"the public index cannot be reached: {index.problem}")


@pytest.fixture(scope="session", autouse=True)
def _clean_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For whatever is started once a session: it must not see the machine's settings either."""
    with pytest.MonkeyPatch.context() as patch:
        _clean(patch, tmp_path_factory.mktemp("session-home"))
        yield


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test's own empty home folder, in a cleaned environment."""
    folder = tmp_path_factory.mktemp("home")
    _clean(monkeypatch, folder)
    return folder


def _clean(patch: pytest.MonkeyPatch, folder: Path) -> None:
    kept = surroundings.cleared(os.environ)
    for name in set(os.environ) - set(kept):
        patch.delenv(name)
    for name, value in surroundings.homes(folder).items():
        patch.setenv(name, value)


@pytest.fixture(autouse=True)
def _way_out(request: pytest.FixtureRequest) -> Iterator[None]:
    """Connections leave the machine in tests marked ``pypi``, and in no other."""
    if request.node.get_closest_marker("pypi"):
        with surroundings.opened(_guard):
            yield
    else:
        yield


@pytest.fixture
def clean_environ(home: Path) -> dict[str, str]:
    """The environment for a child process, to be changed freely: clean, guarded, own home."""
    return surroundings.clean_environ(home)


@pytest.fixture
def public_index() -> PublicIndex:
    """How this machine reaches the public index. For tests marked ``pypi``."""
    return surroundings.public_index()


@pytest.fixture(scope="session")
def private_ca() -> Authority:
    """The authority that tests trust on purpose."""
    return authority("Kedge Test Private Root")


@pytest.fixture(scope="session")
def stranger_ca() -> Authority:
    """An authority that nobody trusts unless a test says so."""
    return authority("Kedge Test Stranger Root")


@pytest.fixture(scope="session")
def bundle(private_ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file that holds the private authority, and nothing else."""
    return private_ca.write_pem(tmp_path_factory.mktemp("bundle") / "private-ca.pem")


@pytest.fixture(scope="session")
def stranger_bundle(stranger_ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file that holds the stranger, and nothing else."""
    return stranger_ca.write_pem(tmp_path_factory.mktemp("bundle") / "stranger-ca.pem")


@pytest.fixture(params=INFLATERS, ids=list(INFLATERS))
def inflated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to inflate that there is here, in turn."""
    monkeypatch.setattr("kedge.inflate._best", INFLATERS[request.param])
