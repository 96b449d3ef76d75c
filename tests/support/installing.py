"""An environment and a cache to install into, without index, resolver or network.

::

    stand = make_stand(tmp_path)
    stand.install(wheel("demo", "1.0"))
    stand.install(wheel("demo", "2.0"))         # replaces it
    stand.uninstall("demo")
    stand.forked(lambda: stand.install(...), at=7, do=kill)     # and nobody lives to tell

:func:`forked` runs something in a child process and interferes with the n-th change that it makes
to a file system, whatever it is: Python's audit events name them all.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedge.cache import Cache, open_cache
from kedge.environment.installed import InstalledDistribution, installed
from kedge.environment.interpreter import Interpreter, inspect
from kedge.environment.scheme import Scheme, scheme_for
from kedge.install import Addition, InstallReporter, Plan, carry_out, recover
from kedge.install.unpack import unpack
from support.venvs import Venv, make_venv
from support.wheels import Artifact


@dataclass
class Stand:
    """A virtual environment with a cache beside it. ``wheels`` is where archives are written."""

    venv: Venv
    cache: Cache
    interpreter: Interpreter
    scheme: Scheme
    wheels: Path

    def addition(self, artifact: Artifact, **fields: Any) -> Addition:
        """The wheel, unpacked into the cache."""
        archive = artifact.write(self.wheels)
        unpacked = self.cache.wheels.get(artifact.sha256) or self.cache.wheels.add(
            artifact.sha256, lambda tree: unpack(archive, tree)
        )
        return Addition(name=artifact.name, version=artifact.version, wheel=unpacked, **fields)

    def installed(self) -> dict[str, InstalledDistribution]:
        return {str(name): found for name, found in installed([self.venv.site]).items()}

    def plan(
        self, *new: Artifact | Addition, removing: Iterable[str] | None = None, **fields: Any
    ) -> Plan:
        """The new ones in place of what has their names; ``removing`` names others."""
        additions = tuple(one if isinstance(one, Addition) else self.addition(one) for one in new)
        here = self.installed()
        names = {one.name for one in additions} if removing is None else set(removing)
        removals = tuple(found for name, found in here.items() if name in names)
        return Plan(
            **{
                "scheme": self.scheme,
                "interpreter": self.interpreter,
                "additions": additions,
                "removals": removals,
                **fields,
            }
        )

    def install(
        self, *new: Artifact | Addition, reporter: InstallReporter | None = None, **fields: Any
    ) -> None:
        carry_out(self.plan(*new, **fields), reporter=reporter, store=self.cache.wheels)

    def uninstall(self, *names: str, reporter: InstallReporter | None = None) -> None:
        carry_out(self.plan(removing=names), reporter=reporter)

    def recover(self) -> tuple[str, ...]:
        return recover(self.scheme)

    def snapshot(self) -> dict[str, bytes | None]:
        return self.venv.snapshot()


def make_stand(folder: Path) -> Stand:
    folder.mkdir(parents=True, exist_ok=True)
    venv = make_venv(folder / "env")
    interpreter = inspect(venv.python)
    return Stand(
        venv=venv,
        cache=open_cache(folder / "cache"),
        interpreter=interpreter,
        scheme=scheme_for(interpreter),
        wheels=folder / "wheels",
    )


class Told(InstallReporter):
    """Remembers what it is told: ``(hook, arguments as text)``."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []

    def __getattribute__(self, name: str) -> Any:
        if name in InstallReporter.__dict__ and not name.startswith("_"):
            heard = self.heard
            return lambda *words: heard.append((name, *map(str, words)))
        return super().__getattribute__(name)

    def all(self, hook: str) -> list[tuple[str, ...]]:
        return [words[1:] for words in self.heard if words[0] == hook]


def rewrite(path: Path, data: bytes) -> None:
    """Other contents, at another time: a file system may tell no two writes of one moment apart."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))


# --------------------------------------------------------------------------------------------
# Interference

_CHANGES = frozenset(
    {
        "os.rename",
        "os.link",
        "os.symlink",
        "os.mkdir",
        "os.rmdir",
        "os.remove",
        "os.chmod",
        "os.utime",
        "os.truncate",
        "fcntl.ioctl",
        "fcntl.flock",
    }
)


def kill() -> None:
    """What ``kill -9`` and the out-of-memory killer do."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Ended:
    """How a child ended. ``reached`` is whether there was a n-th change to interfere with.

    ``error`` is the name of the exception's type, and its text.
    """

    killed: bool
    reached: bool
    error: str


def forked(
    act: Callable[[], object],
    *,
    at: int,
    do: Callable[[], None],
    lasting: bool = False,
    only: str | None = None,
) -> Ended:
    """Run ``act`` in a child; call ``do`` right before its change number ``at`` (from 1).

    ``lasting``: and before all that follow. ``only`` counts changes of one kind (an audit event).
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(act, at, do, writing, lasting=lasting, only=only)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    reached, _, error = said.partition(" ")
    return Ended(killed, killed or reached == "reached", error)


def _child(
    act: Callable[[], object],
    at: int,
    do: Callable[[], None],
    writing: int,
    *,
    lasting: bool,
    only: str | None,
) -> None:
    seen = 0
    armed = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen, armed
        if not armed or not _is_change(event, arguments) or (only and event != only):
            return
        seen += 1
        if seen == at or (lasting and seen > at):
            armed = lasting
            do()

    error = ""
    try:
        sys.addaudithook(hook)
        act()
    except BaseException as exc:
        error = f"{type(exc).__name__}: {exc}"
        if os.environ.get("KEDGE_TEST_TRACE"):
            traceback.print_exc()
    finally:
        armed = False
        os.write(writing, f"{'reached' if seen >= at else 'past'} {error}".encode())
        os._exit(0)


def _is_change(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        flags = arguments[2]
        return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in _CHANGES
