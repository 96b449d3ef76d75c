"""Repositories that were asked for, as folders on this machine.

What the programs see of the decision is put together here: anchors, proxies, and whether the server
counts as verified. A checkout to be edited goes to a place that lasts, below ``--src``; what is
there already is brought up to date where it is the same repository, and is otherwise the user's to
decide about (``--exists-action``).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kedge.classes import frozen
from kedge.errors import (
    BuildError,
    ConnectionFailedError,
    InsecureLocationError,
    KedgeError,
    SourceError,
)

if TYPE_CHECKING:
    from kedge.build.repository import Repository
    from kedge.build.vcs import Checkout, Repositories
    from kedge.pipeline.connection import Connection
    from kedge.pipeline.reporter import Reporter

#: Transports whose server nobody vouches for.
_UNPROTECTED = ("http", "git", "svn", "static-http", "ftp", "lp")


@frozen(kw_only=True)
class Where:
    """Where editable checkouts go; ``src`` is None where nothing may stay (a dry run).

    ``exists_action`` is pip's letter: switch, ignore, wipe, backup, abort; or empty.
    """

    src: Path | None
    exists_action: str = ""


@frozen(kw_only=True)
class Obtained:
    """A checkout, and whether what is built of it may be kept for good."""

    checkout: Checkout
    lasts: bool


class Checkouts:
    """The repositories of one run. What it writes for the programs lies below ``folder``."""

    def __init__(
        self,
        connection: Connection,
        reporter: Reporter,
        folder: Path,
        *,
        environ: Mapping[str, str],
        where: Where,
    ) -> None:
        from kedge.build.children import Children

        self._connection = connection
        self._reporter = reporter
        self._folder = folder
        self._environ = environ
        self._where = where
        self._children = Children()
        self._lock = threading.Lock()
        self._repositories: Repositories | None = None

    def obtain(self, repository: Repository, folder: Path) -> Obtained:
        """A checkout in a folder of this run's, which does not exist yet.

        :raises SourceError: its program is not there, or must not be given that URL.
        :raises BuildError: its program failed.
        :raises InsecureLocationError: nobody vouches for its server.
        """
        verified = self._verified(repository)
        self._reporter.checking_out(str(repository))
        with self._asked_again(repository):
            checkout = self._programs().check_out(repository, folder, verified=verified)
        return Obtained(checkout=checkout, lasts=checkout.immutable and verified)

    def to_edit(self, repository: Repository, name: str, passing: Path) -> Checkout:
        """A checkout that stays, by the project's name; ``passing`` is for where none may stay."""
        if self._where.src is None:
            return self.obtain(repository, passing).checkout
        folder = self._where.src.absolute() / name
        if not os.path.lexists(folder):
            return self.obtain(repository, folder).checkout
        verified = self._verified(repository)
        programs = self._programs()
        if programs.is_checkout(repository, folder):
            self._reporter.checking_out(str(repository))
            with self._asked_again(repository):
                return programs.update(repository, folder, verified=verified)
        return self._over_another(repository, folder, verified=verified)

    def stop(self) -> None:
        """End what is being checked out."""
        self._children.stop()

    def _over_another(self, repository: Repository, folder: Path, *, verified: bool) -> Checkout:
        """Something else is there: as ``--exists-action`` says, and never unasked."""
        match self._where.exists_action:
            case "s":
                self._reporter.checking_out(str(repository))
                with self._asked_again(repository):
                    return self._programs().switch(repository, folder, verified=verified)
            case "i":
                self._reporter.warn(f"{folder} is taken as it is, and may be of another origin.")
                return self._programs().as_it_is(repository, folder)
            case "w":
                self._reporter.warn(f"{folder} is removed, to be checked out anew.")
                import shutil  # with its compressors, 4 ms that most commands do not need

                shutil.rmtree(folder)
            case "b":
                kept = _unused(folder)
                folder.rename(kept)
                self._reporter.warn(f"{folder} is now {kept}.")
            case _:
                raise SourceError(
                    f"{folder} is there already, and is no checkout of {repository}.",
                    source=str(repository),
                    hint="Say what to do with --exists-action: s switches it to this repository, "
                    "i leaves it as it is, w removes it, b keeps it under another name.",
                )
        return self.obtain(repository, folder).checkout

    def _verified(self, repository: Repository) -> bool:
        """Whether the server is vouched for; refused where it is not, and nobody said it may."""
        if repository.transport == "https":
            return self._connection.verified(repository.url)
        if repository.transport not in _UNPROTECTED:
            return True
        # Judged as what comes over plain HTTP is: the same danger, the same setting against it.
        plain = urlsplit(repository.url)._replace(scheme="http").geturl()
        try:
            self._connection.refuse_insecure(plain)
        except InsecureLocationError as exc:
            raise InsecureLocationError(
                f"{repository} is not protected: whoever is on the way can replace what it holds.",
                url=plain,
                hint=exc.hint,
            ) from exc
        return False

    @contextmanager
    def _asked_again(self, repository: Repository) -> Iterator[None]:
        """Where a program failed: what kedge itself meets on the way to that server, if anything.

        A program says what it can; a connection that nobody can make has causes and remedies.

        :raises ConnectionFailedError: it is the connection that is at fault.
        """
        try:
            yield
        except BuildError as exc:
            if repository.transport != "https":
                raise
            top = urlsplit(repository.url)._replace(path="/", query="", fragment="")
            try:
                self._connection.reach(top.geturl())
            except ConnectionFailedError as failure:
                self._reporter.warn(exc.message)
                raise failure from exc
            except KedgeError:
                pass  # it answers, with whatever
            raise

    def _programs(self) -> Repositories:
        from kedge.build.surroundings import for_children
        from kedge.build.vcs import Repositories

        with self._lock:
            if self._repositories is None:
                trust = self._connection.exported(self._folder)
                environ = for_children(self._environ, trust)
                environ |= self._connection.proxy_variables()
                self._repositories = Repositories(self._children, environ, self._reporter)
            return self._repositories


def _unused(folder: Path) -> Path:
    """A name beside it that nothing has: ``demo.bak``, ``demo.bak2``, …"""
    number = 1
    while True:
        kept = folder.with_name(f"{folder.name}.bak{number if number > 1 else ''}")
        if not os.path.lexists(kept):
            return kept
        number += 1
