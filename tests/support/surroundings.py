"""What a test may see of the machine: a clean environment, no connection that leaves it, its tools.

The variables that the machine itself uses to reach the public index are kept in :data:`MACHINE`,
for the tests marked ``pypi`` and for nothing else.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import pytest

from kedge.model import PYPI_SIMPLE

#: The environment as it was when the tests were started.
MACHINE: Mapping[str, str] = MappingProxyType(dict(os.environ))

#: Puts the connection guard into Python children (it holds a ``sitecustomize``).
GUARD = Path(__file__).with_name("guard")

_CLEARED = re.compile(
    r"""
      PIP_ .* | UV_ .* | KEDGE_ (?! REQUIRE_TOOLS $ ) .*
    | .* _CA_BUNDLE | .* CA_CERTS? (_FILE)? | .* _CA_CERTIFICATES?
    | (NIX_)? SSL_CERT_ .* | SSLKEYLOGFILE | OPENSSL_ .* | GIT_ .* | NODE_EXTRA_CA_CERTS
    | CURL_HOME | GRPC_DEFAULT_SSL_ROOTS_FILE_PATH | NETRC
    | ([A-Z]+_)? PROXY
    | VIRTUAL_ENV (_PROMPT)? | CONDA_ .* | PYTHON (?! HASHSEED $ ) .* | PEP517_ .*
    | XDG_ .* | NO_COLOR | FORCE_COLOR | CLICOLOR .* | COLUMNS | LINES | TTY_ .*
    | SOURCE_DATE_EPOCH | __PYVENV_LAUNCHER__
    """,
    re.VERBOSE | re.IGNORECASE,
)

#: What the machine's own pip would use for the network: kept for tests marked ``pypi``.
_NETWORK = re.compile(
    r"PIP_(INDEX_URL|PROXY|DEFAULT_TIMEOUT|RETRIES)|([A-Z]+_)?PROXY", re.IGNORECASE
)


def cleared(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without whatever could change what kedge trusts, asks, shows or installs into."""
    return {name: value for name, value in environ.items() if not _CLEARED.fullmatch(name)}


def homes(home: Path) -> dict[str, str]:
    """Variables that move every per-user folder, and the machine's folders that can move.

    ``PIP_CONFIG_FILE`` names the null device, by which pip (and so kedge) reads no configuration
    file at all: ``/etc/pip.conf`` has no variable of its own. A test of configuration files takes
    it out or names its own.
    """
    named = {
        "HOME": home,
        "USERPROFILE": home,
        "APPDATA": home / "AppData" / "Roaming",
        "LOCALAPPDATA": home / "AppData" / "Local",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_STATE_HOME": home / ".local" / "state",
        "XDG_CONFIG_DIRS": home / "etc" / "xdg",
    }
    return {name: str(path) for name, path in named.items()} | {"PIP_CONFIG_FILE": os.devnull}


def clean_environ(home: Path, *, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child process: clean, with its own home, and with the guard in it."""
    environ = cleared(MACHINE) | homes(home)
    environ |= {"PYTHONPATH": str(GUARD), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return environ | dict(extra or {})


# --------------------------------------------------------------------------------------------
# The guard


class Guard:
    """Fails a test whose code connects to, or looks up, a host that is not this machine.

    An audit hook: nothing is replaced, so the code under test runs as it does in use. Audit hooks
    cannot be taken out; ``open`` switches it off instead.
    """

    def __init__(self) -> None:
        self.open = False

    def install(self) -> None:
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.open:
            return
        if event == "socket.connect" and not is_local(arguments[1]):
            # A BaseException: no `except Exception` of the code under test may swallow it.
            pytest.fail(f"a connection to {arguments[1]!r} would leave the machine")
        if event == "socket.getaddrinfo" and not is_local_name(arguments[0]):
            pytest.fail(f"the look-up of {arguments[0]!r} would leave the machine")


def is_local(address: object) -> bool:
    """Whether a socket address (a pair, or the path of a Unix socket) is on this machine."""
    if not isinstance(address, tuple):
        return True
    return is_local_name(address[0])


def is_local_name(host: object) -> bool:
    """Whether a host name is loopback's, or can never resolve (``.invalid``, RFC 6761)."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not host or host == "localhost" or not isinstance(host, str):
        return True
    if host.rstrip(".").endswith((".invalid", ".localhost")):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


# --------------------------------------------------------------------------------------------
# The public index


@dataclass(frozen=True)
class PublicIndex:
    """How this machine reaches the public index: variables, and the words kedge needs for it.

    ``trust`` are command-line words (``--cert PATH``, ``--use-feature=truststore`` or none).
    ``problem`` says why it cannot be reached, and is empty when it can.
    """

    url: str
    environ: Mapping[str, str]
    trust: tuple[str, ...] = ()
    problem: str = ""

    @property
    def bundle(self) -> Path:
        """What this machine trusts the public index by, as a file."""
        import certifi

        if self.trust[:1] == ("--cert",):
            return Path(self.trust[1])
        system = ssl.get_default_verify_paths().cafile
        return Path(system if self.trust and system else certifi.where())


def _trusts() -> Iterator[tuple[tuple[str, ...], ssl.SSLContext]]:
    """What this machine may trust, its settings first in their order, certifi last."""
    seen: set[str] = set()
    for variable in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        path = MACHINE.get(variable, "")
        if path and path not in seen and Path(path).is_file():
            seen.add(path)
            yield ("--cert", path), ssl.create_default_context(cafile=path)
    yield ("--use-feature=truststore",), ssl.create_default_context()
    import certifi

    yield (), ssl.create_default_context(cafile=certifi.where())


@lru_cache(maxsize=1)
def public_index() -> PublicIndex:
    """Tries the public index (or the machine's mirror of it) once, with the machine's settings."""
    url = MACHINE.get("PIP_INDEX_URL") or PYPI_SIMPLE
    environ = {name: value for name, value in MACHINE.items() if _NETWORK.fullmatch(name)}
    proxy = MACHINE.get("PIP_PROXY")
    proxies = {"http": proxy, "https": proxy} if proxy else None
    problem = ""
    for trust, context in _trusts():
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(f"{url.rstrip('/')}/six/", timeout=15):
                return PublicIndex(url, environ, trust)
        except urllib.error.URLError as error:
            problem = problem or str(error.reason)
            if not isinstance(error.reason, ssl.SSLError):
                break
        except OSError as error:
            problem = str(error)
            break
    return PublicIndex(url, environ, problem=problem)


# --------------------------------------------------------------------------------------------
# Tools


def find_tool(name: str) -> str | None:
    """The path of a program: ``KEDGE_<NAME>`` in the environment, ``PATH``, beside this Python."""
    variable = "KEDGE_" + name.upper().replace("-", "_").replace(".", "_")
    if named := MACHINE.get(variable):
        return shutil.which(named)
    folders = MACHINE.get("PATH", os.defpath).split(os.pathsep)
    folders += [str(Path(sys.executable).parent), "/usr/sbin", "/usr/local/sbin"]
    return shutil.which(name, path=os.pathsep.join(folders))


def missing_tools(names: Iterable[str]) -> list[str]:
    return [name for name in names if find_tool(name) is None]


def tool(name: str) -> str:
    """The path of a program that the running test was marked for; ``LookupError`` if absent."""
    path = find_tool(name)
    if path is None:
        raise LookupError(f"{name} is not here: mark the test with pytest.mark.tool({name!r})")
    return path


@contextmanager
def opened(guard: Guard) -> Iterator[None]:
    """Lets connections leave the machine while the block runs."""
    guard.open = True
    try:
        yield
    finally:
        guard.open = False
