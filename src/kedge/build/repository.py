"""What a version control URL asks for: ``git+https://user@host/path@revision#subdirectory=…``.

Pure, and strict: what comes out is given to a program as an argument, so nothing in it may be taken
for an option, or for a transport of another kind. Credentials never stay in the URL.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit, urlunsplit

from kedge.classes import field, frozen
from kedge.errors import SourceError
from kedge.model import redact_url

#: Which transports each program is given, as pip.
_TRANSPORTS = {
    "git": ("https", "ssh", "file", "git", "http"),
    "hg": ("https", "ssh", "file", "static-http", "http"),
    "svn": ("https", "ssh", "file", "svn", "http"),
    "bzr": ("https", "ssh", "sftp", "file", "ftp", "lp", "http"),
}
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@frozen(kw_only=True)
class Repository:
    """``url`` is for the program and for records: without a fragment, a revision, a password, and
    a user, except the account of an ssh address, which is part of the address.

    ``credentials`` are the URL's own, decoded. ``revision`` is a branch, a tag, a commit or a ref.
    """

    vcs: str
    url: str
    transport: str
    revision: str | None = None
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def names_commit(self) -> bool:
        """Whether the revision has the form of a whole commit of git or Mercurial."""
        return self.vcs in ("git", "hg") and _COMMIT.fullmatch(self.revision or "") is not None

    @property
    def folder_name(self) -> str:
        """What its program would call a folder for it."""
        last = self.url.rstrip("/").rpartition("/")[2].removesuffix(".git")
        return last if re.fullmatch(r"\w[\w.-]*", last, re.ASCII) else self.vcs

    def __str__(self) -> str:
        return f"{self.vcs}+{self.url}{f'@{self.revision}' if self.revision else ''}"


def parse_repository(url: str) -> Repository:
    """Read a URL; :class:`~kedge.errors.SourceError` for one that no program may be given.

    >>> found = parse_repository("git+https://me:secret@example.org/a.git@v1#egg=a")
    >>> found, found.credentials
    (Repository(vcs='git', url='https://example.org/a.git', transport='https', revision='v1'), \
('me', 'secret'))
    """
    shown = redact_url(url)
    if _CONTROL.search(url):
        # urlsplit would drop some of it unseen.
        raise SourceError(f"{shown!r} holds white space.", source=shown)
    try:
        parts = urlsplit(url)
        vcs, _, transport = parts.scheme.lower().partition("+")
        user, password = parts.username, parts.password
        host = parts.hostname
    except ValueError as exc:
        raise SourceError(f"{shown} is not a URL: {exc}.", source=shown) from exc
    if transport not in _TRANSPORTS.get(vcs, ()):
        raise SourceError(
            f"{shown} cannot be checked out: {parts.scheme} is no way to reach a repository.",
            source=shown,
            hint="Write it as git+https://host/path or git+ssh://git@host/path.",
        )
    if transport != "file" and (not host or host.startswith("-")):
        raise SourceError(f"{shown} names no host.", source=shown)
    path, at, revision = parts.path.rpartition("@")
    path = path if at else parts.path
    bare = parts._replace(
        scheme=transport, netloc=_netloc(parts.netloc, transport, user), path=path, fragment=""
    )
    return Repository(
        vcs=vcs,
        url=urlunsplit(bare),
        transport=transport,
        revision=_revision(unquote(revision), shown) if at else None,
        credentials=_credentials(user, password, transport),
    )


def _netloc(netloc: str, transport: str, user: str | None) -> str:
    host = netloc.rpartition("@")[2]
    keeps_account = transport in ("ssh", "sftp") and user
    if keeps_account and unquote(user or "").startswith("-"):
        raise SourceError(f"{host} has an account that begins with a dash.", source=host)
    return f"{user}@{host}" if keeps_account else host


def _credentials(user: str | None, password: str | None, transport: str) -> tuple[str, str] | None:
    """A lone user is a token, which servers take with an empty password."""
    if user is None or transport in ("ssh", "sftp", "file"):
        return None
    return unquote(user), unquote(password or "")


def _revision(revision: str, shown: str) -> str:
    if not revision:
        raise SourceError(
            f"{shown} has an @ and no revision behind it.",
            source=shown,
            hint="Write a branch, a tag or a commit behind the @, or leave it out.",
        )
    if revision.startswith("-") or _CONTROL.search(revision):
        raise SourceError(f"{revision!r} in {shown} is not the name of a revision.", source=shown)
    return revision
