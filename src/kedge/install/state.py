"""What is looked at before anything is planned: whether a killed process left something, and which
distributions are recorded.

Every command for an environment begins with it, and most then change nothing: what carries out a
change is imported when there is one.
"""

from __future__ import annotations

import os
from contextlib import suppress

from kedge.environment.scheme import Scheme
from kedge.install import files
from kedge.install.files import STATE
from kedge.install.plan import InstallReporter, Observation


def recover(scheme: Scheme, *, reporter: InstallReporter | None = None) -> tuple[str, ...]:
    """Undo or complete what a killed process left in this place; sentences about it.

    To be called before anything looks at the environment. Where nothing was left, which costs
    one look at the file system, the result is empty. If another process is changing it, waits.

    :raises InstallError: something was left that this user cannot put right.
    """
    if not os.path.lexists(os.path.join(files.real(scheme.purelib), STATE)):
        return ()
    from kedge.install.transaction import put_right

    return put_right(scheme, reporter or InstallReporter())


def observe(scheme: Scheme) -> Observation:
    """Which distributions are recorded in the scheme's folders just now.

    For :attr:`Plan.observed`: to be taken before looking at what is installed.
    """
    seen: set[tuple[str, int, int]] = set()
    for folder in {files.real(path) for path in scheme.libraries}:
        with suppress(OSError):
            for entry in os.scandir(folder):
                if entry.name.endswith((".dist-info", ".egg-info", ".egg-link", ".egg")):
                    status = entry.stat(follow_symlinks=False)
                    seen.add((entry.name, entry.inode(), status.st_mtime_ns))
    return Observation(frozenset(seen))
