"""After a failure: what stands in the way, and what to type.

Only what the diagnosis needs is put together here, from the settings of the command that failed;
what it does, and what it may send, is :mod:`kedge.diagnose`'s.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kedge.errors import BundleError, EmptySystemStoreError, KedgeError, PageError, TransportError
from kedge.model import Configured, Sourced
from kedge.settings import options as table
from kedge.settings.files import FileKind

if TYPE_CHECKING:
    from kedge.cli.run import Job
    from kedge.diagnose import Line, Surroundings, User

_LEVELS = {FileKind.GLOBAL: "--global", FileKind.USER: "--user", FileKind.SITE: "--site"}
#: What may have a connection or a source of trust behind it; for all else nothing is imported.
_WORTH_A_LOOK = (BundleError, EmptySystemStoreError, PageError, TransportError)
_PACKAGE_MANAGERS = ("apt-get", "dnf", "apk", "zypper", "pacman")


def diagnosis_of(error: KedgeError, job: Job) -> Iterator[Line]:
    """The lines of the report; none for an error that no connection and no trust is behind.

    Whatever happens here, the error that is looked into stays the command's.
    """
    if not isinstance(error, _WORTH_A_LOOK):
        return
    from kedge import diagnose

    try:
        surroundings = surroundings_of(job, error.configured or Configured())
        user = user_of(job)
        found = diagnose.diagnose(error, surroundings, user)
        if found is not None:
            yield from diagnose.layout(found, user, after=error)
    except Exception as exc:
        job.console.warn(f"Looking into this failed, which is a bug in kedge: {exc!r}")


def surroundings_of(job: Job, configured: Configured) -> Surroundings:
    """What the command works with. Raises what a client certificate may raise."""
    from kedge import diagnose, trust
    from kedge.pipeline.identity import client_certificate

    settings = job.settings
    proxy = settings[table.PROXY]
    if settings.value(table.NO_PROXY_ENV) and proxy.value is None:
        proxy = Sourced("", settings[table.NO_PROXY_ENV].origin)
    return diagnose.Surroundings(
        decision=trust.decide(settings.trust_settings()),
        environ=job.environ,
        proxy=None if proxy.value is None else Sourced(proxy.value, proxy.origin),
        client_cert=client_certificate(settings, job.console.prompt),
        client_origins=configured.indexes,
        others=configured.indexes,
        trusted_hosts=configured.trusted_hosts or settings.each(table.TRUSTED_HOST),
    )


def user_of(job: Job) -> User:
    """Who will read the remedies."""
    from kedge import diagnose

    return diagnose.User(
        words=job.argv,
        program=(sys.executable, "-m", "kedge") if job.launched_as_module else ("kedge",),
        shell=diagnose.decide_shell(job.environ, sys.platform),
        platform=sys.platform,
        config_levels={
            file.path: _LEVELS[file.kind]
            for file in job.settings.snapshot.files
            if file.kind in _LEVELS
        },
        package_manager=_package_manager(job.environ.get("PATH", "")),
    )


def _package_manager(path: str) -> str:
    """The system's, where it is one of those that :mod:`kedge.diagnose` knows."""
    import shutil

    return next((name for name in _PACKAGE_MANAGERS if shutil.which(name, path=path)), "")
