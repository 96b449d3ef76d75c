"""What a change must pass: lint, types, tests on every Python, documentation.

``nox`` runs everything; ``nox -s tests-3.12 -- tests/trust -k folder`` runs part of one session.
Absent Pythons and tools make their tests skip, by name. Under continuous integration (``CI`` set)
they fail instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["lint", "types", "tests", "docs"]
nox.options.error_on_missing_interpreters = bool(os.environ.get("CI"))

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
PROJECT = nox.project.load_toml("pyproject.toml")
ROOT = Path(__file__).parent

# Servers and proxies that the tests start as programs. Each has an environment of its own, since
# their requirements contradict each other and must not decide which versions kedge is tested with.
TOOLS = {
    "mitmdump": ["mitmproxy>=11"],
    "devpi-server": ["devpi-server>=6.14"],
    "pypi-server": ["pypiserver>=2.3", "passlib>=1.7"],
}


def group(name: str) -> tuple[str, ...]:
    """The requirements of one dependency group of ``pyproject.toml``."""
    return nox.project.dependency_groups(PROJECT, name)


def install_tools(session: nox.Session) -> list[str]:
    """Install the server programs once, and return the folders that hold them."""
    folders: list[str] = []
    for program, requirements in TOOLS.items():
        home = ROOT / ".nox" / "tools" / program
        scripts = home / ("Scripts" if os.name == "nt" else "bin")
        folders.append(str(scripts))
        if any(scripts.glob(f"{program}*")):
            continue
        commands = (
            [sys.executable, "-m", "venv", str(home)],
            [str(scripts / "python"), "-m", "pip", "install", "--quiet", *requirements],
        )
        for command in commands:
            if subprocess.run(command, check=False).returncode != 0:
                session.warn(f"{program} could not be installed: its tests will skip")
                break
    return folders


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and the import contract."""
    session.install("-e", ".", *group("lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types of the sources, the tests and this file."""
    session.install("-e", ".[socks]", *group("types"))
    session.run("mypy")


def lowest() -> list[str]:
    """The lower bound of each requirement, as a pin: a bound that is not tested is a guess."""
    declared = PROJECT["project"]["dependencies"]
    return [requirement.replace(">=", "==") for requirement in declared]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The tests, two at a time; arguments after ``--`` go to pytest.

    The oldest Python gets the oldest versions that are declared to do, the others the newest.
    What a Python has no part in (real index servers, shells, a browser) is tested on the newest.
    """
    oldest = lowest() if session.python == PYTHONS[0] else []
    session.install(".[socks]", *group("test"), *oldest)
    path = os.pathsep.join([*install_tools(session), os.environ["PATH"]])
    some = [] if session.python == PYTHONS[-1] else ["-m", "not once"]
    args = session.posargs or ["-n", "2", *some, "tests"]
    session.run("python", "-m", "pytest", *args, env={"PATH": path})


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation; a warning is an error."""
    session.install(".", *group("docs"))
    session.run("sphinx-build", "-W", "-q", "-b", "html", "docs", "docs/_build/html")


@nox.session(default=False)
def benchmark(session: nox.Session) -> None:
    """kedge beside pip and uv on a local HTTPS index; see ``benchmarks/README.md``."""
    session.install(".", "trustme>=1.2", "uv", "pip")
    session.run("python", "benchmarks/run.py", *session.posargs)
