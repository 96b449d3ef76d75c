"""Every error that kedge reports, as one tree.

::

    KedgeError                      exit code 1
    ├── UsageError                  exit code 2: the command line
    ├── SettingError                exit code 3: a variable or a configuration file
    ├── TrustError                  before the network: a source cannot be used
    │   ├── BundleError
    │   ├── EmptySystemStoreError
    │   ├── TruststoreError
    │   └── ClientCertificateError
    ├── TransportError              about one URL
    │   ├── ConnectionFailedError
    │   │   ├── ResolveHostError
    │   │   ├── ConnectionTimeoutError
    │   │   ├── ProxyFailedError
    │   │   └── TlsError
    │   │       └── VerificationError
    │   ├── HttpStatusError
    │   ├── InsecureLocationError
    │   ├── RedirectError
    │   │   └── InsecureRedirectError
    │   ├── IncompleteDownloadError
    │   └── RangesUnsupportedError
    ├── HashMismatchError
    ├── PageError                   an answer that is not what an index serves
    │   └── NotAnIndexError         no page of an index at all
    ├── RequirementError            what was asked for cannot be read
    ├── ResolutionError             what was asked for cannot be met
    │   ├── NotFoundError
    │   ├── NeedsBuildError
    │   └── ConflictError
    ├── SourceError                 sources that cannot or must not be built
    ├── BuildError                  a build that failed
    ├── MetadataChangedError        sources that require something else than they said: choose again
    ├── WheelError                  a wheel that must not be installed
    ├── TargetError                 the target environment cannot be used
    ├── InstallError                the environment could not be changed (it is as before)
    │   └── EnvironmentChangedError another process changed it since the plan was made
    └── CacheError
        └── DamagedEntryError       a wheel in the cache is not what it was

Each carries fields, one sentence (``message``), an optional ``hint`` that says what to do, and an
``exit_code``. Nothing here formats for a terminal: errors are rendered once, in :mod:`kedge.cli`.
A URL in a message is always redacted by whoever raises.
"""

from __future__ import annotations

from collections.abc import Sequence

from kedge.model import Configured, Hop, NetworkOrigin, Origin, TrustDecision, redact_url


class KedgeError(Exception):
    """The root: one sentence, an optional hint, an exit code.

    ``configured`` is set where a command that connects failed, for whoever looks into it.
    """

    exit_code = 1
    configured: Configured | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(KedgeError):
    """The command line is wrong."""

    exit_code = 2


class SettingError(KedgeError):
    """A bad value in the environment or in a configuration file."""

    exit_code = 3

    def __init__(self, message: str, *, origin: Origin, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.origin = origin


# --------------------------------------------------------------------------------------------
# Trust


class TrustError(KedgeError):
    """A source of trust cannot be used; raised before the network is touched."""


class BundleError(TrustError):
    """A bundle that is missing, unreadable, empty, damaged, or not a bundle at all.

    ``block`` and ``line`` count from 1 and are set where one block is to blame.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str,
        origin: Origin,
        block: int | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.origin = origin
        self.block = block
        self.line = line


class EmptySystemStoreError(TrustError):
    """The system's store was chosen and holds no certificate."""

    def __init__(
        self, message: str, *, origin: Origin, looked_in: Sequence[str], hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.origin = origin
        self.looked_in = tuple(looked_in)


class TruststoreError(TrustError):
    """``truststore`` is needed here and is missing or unusable."""


class ClientCertificateError(TrustError):
    """The client certificate cannot be used: missing, without its key, or not one at all.

    ``locked`` is that a passphrase is missing, or is not the right one.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str,
        origin: Origin,
        locked: bool = False,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.origin = origin
        self.locked = locked


# --------------------------------------------------------------------------------------------
# Transport


class TransportError(KedgeError):
    """Something about one URL. ``url`` is redacted."""

    def __init__(self, message: str, *, url: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.url = redact_url(url)


class ConnectionFailedError(TransportError):
    """No usable connection to ``peer``, which is the server or the proxy (``hop``)."""

    def __init__(
        self,
        message: str,
        *,
        url: str,
        peer: NetworkOrigin,
        hop: Hop = Hop.SERVER,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, url=url, hint=hint)
        self.peer = peer
        self.hop = hop


class ResolveHostError(ConnectionFailedError):
    """The name has no address."""


class ConnectionTimeoutError(ConnectionFailedError):
    """No answer in time."""


class ProxyFailedError(ConnectionFailedError):
    """The proxy refused to open a tunnel; ``status`` is its HTTP status (407: credentials)."""

    def __init__(
        self,
        message: str,
        *,
        url: str,
        peer: NetworkOrigin,
        status: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, url=url, peer=peer, hop=Hop.PROXY, hint=hint)
        self.status = status


class TlsError(ConnectionFailedError):
    """The TLS handshake failed. ``reason`` is OpenSSL's own wording."""

    def __init__(
        self,
        message: str,
        *,
        url: str,
        peer: NetworkOrigin,
        hop: Hop,
        decision: TrustDecision,
        reason: str,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, url=url, peer=peer, hop=hop, hint=hint)
        self.decision = decision
        self.reason = reason


class VerificationError(TlsError):
    """The certificate was refused. ``verify_code`` is OpenSSL's ``X509_V_ERR_*`` number."""

    def __init__(
        self,
        message: str,
        *,
        url: str,
        peer: NetworkOrigin,
        hop: Hop,
        decision: TrustDecision,
        reason: str,
        verify_code: int,
        hint: str | None = None,
    ) -> None:
        super().__init__(
            message, url=url, peer=peer, hop=hop, decision=decision, reason=reason, hint=hint
        )
        self.verify_code = verify_code


class HttpStatusError(TransportError):
    """The server answered, with a status that is no success.

    ``retry_after`` is how many seconds it asked to wait, where it did.
    """

    def __init__(
        self,
        message: str,
        *,
        url: str,
        status: int,
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, url=url, hint=hint)
        self.status = status
        self.retry_after = retry_after


class InsecureLocationError(TransportError):
    """Plain HTTP outside loopback, without ``--trusted-host``."""


class RedirectError(TransportError):
    """A redirect that is refused: from https to http, or too many."""


class InsecureRedirectError(RedirectError):
    """A redirect from https to http; ``target`` is where it leads, redacted."""

    def __init__(self, message: str, *, url: str, target: str, hint: str | None = None) -> None:
        super().__init__(message, url=url, hint=hint)
        self.target = redact_url(target)


class IncompleteDownloadError(TransportError):
    """The body ended early, and resuming did not help."""


class RangesUnsupportedError(TransportError):
    """The server does not serve (consistent) ranges of this file: fetch all of it."""


class HashMismatchError(KedgeError):
    """A file whose digest is not one of those allowed. Digests are lower-case hex."""

    def __init__(
        self,
        message: str,
        *,
        location: str,
        expected: Sequence[tuple[str, str]],
        actual: Sequence[tuple[str, str]],
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.location = location
        self.expected = tuple(expected)
        self.actual = tuple(actual)


class PageError(KedgeError):
    """An answer that is not an index page, or metadata that cannot be read."""

    def __init__(self, message: str, *, url: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.url = redact_url(url)


class NotAnIndexError(PageError):
    """What answered is no page of an index: a sign-in page, another service, a wrong address."""


# --------------------------------------------------------------------------------------------
# Requirements and resolution


class RequirementError(KedgeError):
    """A requirement, a requirements file or a constraint that cannot be read."""

    def __init__(self, message: str, *, origin: Origin, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.origin = origin


class ResolutionError(KedgeError):
    """What was asked for cannot be met."""


class NotFoundError(ResolutionError):
    """No file of that project fits (never raised for a network failure)."""

    def __init__(self, message: str, *, name: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.name = name


class NeedsBuildError(ResolutionError):
    """Only building ``filename``, a source distribution, would tell or give what is needed."""

    def __init__(self, message: str, *, filename: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.filename = filename


class ConflictError(ResolutionError):
    """Requirements that exclude each other; ``explanation`` is one sentence an entry."""

    def __init__(
        self, message: str, *, explanation: Sequence[str], hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.explanation = tuple(explanation)


# --------------------------------------------------------------------------------------------
# Building


class SourceError(KedgeError):
    """Sources that are no project, or an archive that must not be unpacked. Nothing of it ran."""

    def __init__(self, message: str, *, source: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.source = source


class BuildError(KedgeError):
    """A build that failed, or made something else than it had to.

    ``output`` is what the backend and its children printed, line by line, both streams together.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str,
        output: Sequence[str] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.source = source
        self.output = tuple(output)


class MetadataChangedError(KedgeError):
    """A backend says something else than the static metadata that was chosen by: choose again."""

    def __init__(self, message: str, *, source: str) -> None:
        super().__init__(message)
        self.source = source


# --------------------------------------------------------------------------------------------
# Installing


class WheelError(KedgeError):
    """A wheel that must not be installed; ``problems`` holds every finding."""

    def __init__(
        self, message: str, *, wheel: str, problems: Sequence[str] = (), hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.wheel = wheel
        self.problems = tuple(problems)


class TargetError(KedgeError):
    """The target environment cannot be used: absent, externally managed, not a Python."""


class InstallError(KedgeError):
    """The environment could not be changed, and is as it was before."""


class EnvironmentChangedError(InstallError):
    """Another process changed the environment since the plan was made: plan again."""


class CacheError(KedgeError):
    """The cache cannot be used (kedge goes on without it where that is possible)."""


class DamagedEntryError(CacheError):
    """A file of a cached wheel is missing or was changed: forget the entry and fetch it again.

    ``sha256`` is the digest of the wheel, the key of the entry.
    """

    def __init__(self, message: str, *, sha256: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sha256 = sha256
