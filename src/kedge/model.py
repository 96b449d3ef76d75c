"""The few values that several layers share: where a setting came from, what is trusted, hashes.

Everything here is frozen and knows nothing of files, networks, clocks or ``os.environ``.
This module imports nothing of kedge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Generic, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from kedge.classes import field, frozen

T_co = TypeVar("T_co", covariant=True)

#: The public index and the host of its files: the only addresses of it in the code.
PYPI_SIMPLE = "https://pypi.org/simple"
PYPI_HOSTS = ("pypi.org", "files.pythonhosted.org")


class OriginKind(Enum):
    """Where a setting can be written, strongest first."""

    COMMAND_LINE = "command line"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@frozen
class Origin:
    """Where one setting was written.

    ``name`` is the setting as the user wrote it: ``--cert``, ``PIP_CERT``, ``cert``.
    ``path``, ``section`` and ``line`` (counted from 1) are set for files only.
    """

    kind: OriginKind
    name: str = ""
    path: str | None = None
    section: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        match self.kind:
            case OriginKind.COMMAND_LINE:
                return f"{self.name} on the command line"
            case OriginKind.ENVIRONMENT:
                return f"{self.name} in the environment"
            case OriginKind.FILE:
                where = f"{self.path}, line {self.line}" if self.line else f"{self.path}"
                section = f" in [{self.section}]" if self.section else ""
                return f"{self.name}{section} of {where}" if self.name else where
            case OriginKind.DEFAULT:
                return "the default"


DEFAULT = Origin(OriginKind.DEFAULT)


@frozen
class Sourced(Generic[T_co]):
    """A value together with the setting that gave it."""

    value: T_co
    origin: Origin = DEFAULT


# --------------------------------------------------------------------------------------------
# Trust


class StoreKind(Enum):
    """The kinds of trust source that a user can choose."""

    CERTIFI = "certifi"
    SYSTEM = "system"
    BUNDLE = "bundle"


@frozen
class TrustSource:
    """One source of trust anchors, and the setting that chose it.

    ``path`` is set for bundles only, as the user wrote it. ``extra`` marks what was *added* to
    the decided row by ``--extra-cert``.
    """

    kind: StoreKind
    origin: Origin = DEFAULT
    path: str | None = None
    extra: bool = False

    def __str__(self) -> str:
        match self.kind:
            case StoreKind.CERTIFI:
                name = "the bundled certifi store"
            case StoreKind.SYSTEM:
                name = "the system's store"
            case StoreKind.BUNDLE:
                name = f"the bundle {self.path}"
        return f"{name} ({self.origin})"


@frozen
class Overridden:
    """A trust setting that was set and lost, and the setting that beat it."""

    setting: Sourced[str]
    by: Origin


@frozen
class TrustDecision:
    """What is trusted, which setting decided it, and which settings it overrode.

    ``sources`` is never empty: nothing but these sources is trusted. ``strict`` turns
    ``VERIFY_X509_STRICT`` on (off by default).
    """

    sources: tuple[TrustSource, ...]
    overridden: tuple[Overridden, ...] = ()
    strict: Sourced[bool] = field(default_factory=lambda: Sourced(False))

    def __str__(self) -> str:
        return ", plus ".join(str(source) for source in self.sources) + ", and nothing else"


# --------------------------------------------------------------------------------------------
# Places on the network


class Hop(Enum):
    """Which of the two parties of a connection something is about."""

    SERVER = "server"
    PROXY = "proxy"


_DEFAULT_PORTS = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}


@frozen
class NetworkOrigin:
    """Scheme, host (lower case, no brackets) and port: what credentials belong to (RFC 6454)."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> NetworkOrigin:
        """The origin of an absolute URL; ``ValueError`` when it has no host or a bad port."""
        parts = urlsplit(url)
        if not parts.scheme or not parts.hostname:
            raise ValueError(f"no host in {redact_url(url)!r}")
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme.lower(), 0)
        return cls(parts.scheme.lower(), parts.hostname.lower(), port)

    @property
    def hostport(self) -> str:
        """``host:port``, with brackets round an IPv6 address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        if self.port == _DEFAULT_PORTS.get(self.scheme):
            return f"{self.scheme}://{self.hostport.rpartition(':')[0]}"
        return f"{self.scheme}://{self.hostport}"


def printable(text: str) -> str:
    """Without what a terminal would obey, for words that somebody else chose: a certificate's.

    >>> printable("Root\\x1b[1A\\nFAKE")
    'Root�[1A�FAKE'
    """
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


#: Python converts no more than 4,300 digits, and packaging does it late: to compare versions.
ENDLESS_NUMBER = re.compile(r"\d{1000}")


def whole_number(text: str) -> int | None:
    """The number that somebody else's digits are; ``None`` for anything else, and for more digits
    than anything counts: beyond 4,300 of them ``int`` fails.

    >>> whole_number("17"), whole_number("-1"), whole_number("9" * 5000)
    (17, None, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


# Names of what lets in whoever has it: tokens of indexes and repositories, signatures of
# storage services (S3's, Google's, Azure's). By the end of their names, letters and digits alone.
_SECRET_NAMES = re.compile(
    r"auth|jwt|pwd|sig|(.*)(token|password|passwd|passphrase|secret|signature|credential|apikey"
    r"|accesskey|accesskeyid|privatekey)"
)


def names_secret(name: str) -> bool:
    """Whether a setting or a URL's parameter of that name holds a secret.

    >>> names_secret("client-cert-passphrase"), names_secret("page")
    (True, False)
    """
    return _SECRET_NAMES.fullmatch(re.sub(r"[^a-z0-9]", "", name.lower())) is not None


def _is_secret(parameter: str) -> bool:
    return names_secret(unquote(parameter.partition("=")[0]))


def redact_url(url: str) -> str:
    """The URL with any password as ``****``, a lone user name (a token, often) likewise, and the
    parameters of its query that are tokens or signatures by their names.

    >>> redact_url("https://user:secret@example.org/simple")
    'https://user:****@example.org/simple'
    >>> redact_url("https://token@example.org/simple")
    'https://****@example.org/simple'
    >>> redact_url("https://example.org/spam.whl?version=1&access_token=secret")
    'https://example.org/spam.whl?version=1&access_token=****'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return re.sub(r"//[^/]*@", "//****@", url)
    userinfo, at, hostport = parts.netloc.rpartition("@")
    if not at and "=" not in parts.query:
        return url
    user, colon, _ = userinfo.partition(":")
    hidden = (f"{user}:****" if colon else "****") + at if at else ""
    query = "&".join(
        f"{each.partition('=')[0]}=****" if _is_secret(each) else each
        for each in parts.query.split("&")
    )
    return urlunsplit(parts._replace(netloc=hidden + hostport, query=query))


#: A URL somewhere in a text. The bound keeps a long word from being tried from each of its letters
#: to its end.
URL_IN_TEXT = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,30}://\S+")


def redact_text(text: str) -> str:
    """A text as it may be printed: with :func:`redact_url` for each URL in it.

    >>> redact_text("spam @ https://user:secret@example.org/spam-1-py3-none-any.whl")
    'spam @ https://user:****@example.org/spam-1-py3-none-any.whl'
    """
    return URL_IN_TEXT.sub(lambda url: redact_url(url.group(0)), text)


def strip_secrets(url: str) -> str:
    """The URL without what :func:`redact_url` hides: fit to be stored or compared, not fetched.

    >>> strip_secrets("https://user:secret@example.org/simple?page=2&token=secret")
    'https://example.org/simple?page=2'
    """
    parts = urlsplit(url)
    _, at, hostport = parts.netloc.rpartition("@")
    if not at and "=" not in parts.query:
        return url
    query = "&".join(each for each in parts.query.split("&") if not _is_secret(each))
    return urlunsplit(parts._replace(netloc=hostport, query=query))


def local_path(url: str, *, windows: bool = False) -> str:
    """The path that a ``file:`` URL names (RFC 8089); the reverse of ``Path.as_uri``.

    ``ValueError`` for another scheme, and for a host other than ``localhost`` (on Windows a host is
    a share: ``file://server/share`` is ``\\\\server\\share``).

    >>> local_path("file:///tmp/a%20wheel.whl#sha256=00")
    '/tmp/a wheel.whl'
    >>> local_path("file:///C:/wheels", windows=True)
    'C:/wheels'
    >>> local_path("file:///tmp/%FF")
    '/tmp/\\udcff'
    """
    parts = urlsplit(url)
    if parts.scheme.lower() != "file":
        raise ValueError(f"{redact_url(url)!r} is not a file: URL")
    # A name that is no UTF-8 text stays the name that it is.
    path = unquote(parts.path, errors="surrogateescape")
    if parts.netloc and parts.netloc.lower() != "localhost":
        if not windows:
            raise ValueError(f"{redact_url(url)!r} names a host: only local files can be read")
        return f"\\\\{parts.netloc}{path}".replace("/", "\\")
    if windows and re.match(r"/[A-Za-z]:(/|$)", path):
        return path[1:]
    return path


@frozen
class Configured:
    """Whom a command was to ask, what requirements files added included.

    ``indexes`` are the origins of indexes and of pages of links; ``trusted_hosts`` the values of
    ``--trusted-host``, each with where it was written.
    """

    indexes: frozenset[NetworkOrigin] = frozenset()
    trusted_hosts: tuple[Sourced[str], ...] = ()


# --------------------------------------------------------------------------------------------
# Files

#: Hash algorithms accepted for verification, strongest last (pip's set).
STRONG_HASHES = ("sha256", "sha384", "sha512")


@frozen
class Hashes:
    """The digests a file may have: any one of them is enough (pip's ``--hash`` rule).

    ``allowed`` holds ``(algorithm, lower-case hex digest)`` pairs. Empty means *nothing known*,
    which is false in a boolean context.
    """

    allowed: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, mapping: Mapping[str, str | Iterable[str]]) -> Hashes:
        pairs: set[tuple[str, str]] = set()
        for algorithm, digests in mapping.items():
            for digest in [digests] if isinstance(digests, str) else digests:
                pairs.add((algorithm.lower(), digest.lower()))
        return cls(frozenset(pairs))

    def __bool__(self) -> bool:
        return bool(self.allowed)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(sorted(self.allowed))

    def __or__(self, other: Hashes) -> Hashes:
        return Hashes(self.allowed | other.allowed)

    def algorithms(self) -> frozenset[str]:
        return frozenset(algorithm for algorithm, _ in self.allowed)

    def get(self, algorithm: str) -> str | None:
        """One digest of that algorithm, if exactly one is allowed."""
        found = [digest for name, digest in self.allowed if name == algorithm]
        return found[0] if len(found) == 1 else None

    def allow(self, digests: Mapping[str, str]) -> bool:
        """Whether a file with these digests (``{algorithm: hex}``) is one of the allowed."""
        return any((name, digest.lower()) in self.allowed for name, digest in digests.items())


@frozen
class DirectUrl:
    """What ``direct_url.json`` records (PEP 610): a distribution taken from a URL.

    ``url`` carries no credentials. Exactly one of ``archive_hashes``, ``vcs`` and ``editable``/
    directory information applies.
    """

    url: str
    archive_hashes: Mapping[str, str] | None = None
    vcs: str | None = None
    commit_id: str | None = None
    requested_revision: str | None = None
    directory: bool = False
    editable: bool = False
    subdirectory: str | None = None
