"""After a TLS failure: what stands in the way, and what to type.

Only what the diagnosis needs is put together here, from the settings of the command that failed;
what it does, and what it may send, is :mod:`kedge.diagnose`'s.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kedge.errors import KedgeError, TlsError
from kedge.model import NetworkOrigin, Sourced
from kedge.settings import options as table
from kedge.settings.files import FileKind

if TYPE_CHECKING:
    from kedge.cli.run import Job
    from kedge.diagnose import Line

_LEVELS = {FileKind.GLOBAL: "--global", FileKind.USER: "--user", FileKind.SITE: "--site"}


def diagnosis_of(error: KedgeError, job: Job, argv: Sequence[str]) -> Iterator[Line]:
    """The lines of the report; none for an error that is not about TLS."""
    if not isinstance(error, TlsError):
        return
    from kedge import diagnose
    from kedge.pipeline.identity import client_certificate

    settings = job.settings
    proxy = settings[table.PROXY]
    indexes = settings.index_urls() if settings.command == "install" else ()
    surroundings = diagnose.Surroundings(
        decision=error.decision,
        environ=job.environ,
        proxy=None if proxy.value is None else Sourced(proxy.value, proxy.origin),
        client_cert=client_certificate(settings, job.console.prompt),
        client_origins=frozenset(filter(None, (_origin(url.value) for url in indexes))),
    )
    user = diagnose.User(
        words=tuple(argv),
        program=_program(launched_as_module=job.launched_as_module),
        shell=diagnose.decide_shell(job.environ, sys.platform),
        platform=sys.platform,
        config_levels={
            file.path: _LEVELS[file.kind]
            for file in settings.snapshot.files
            if file.kind in _LEVELS
        },
    )
    found = diagnose.diagnose(error, surroundings, user)
    if found is not None:
        yield from diagnose.layout(found, user)


def _origin(url: str) -> NetworkOrigin | None:
    try:
        return NetworkOrigin.of(url)
    except ValueError:
        return None  # a folder


def _program(*, launched_as_module: bool) -> tuple[str, ...]:
    return (sys.executable, "-m", "kedge") if launched_as_module else ("kedge",)
