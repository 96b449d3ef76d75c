"""What is to be changed in an environment, decided beforehand: values only.

Also the reporter that hears how it goes; :mod:`kedge.install.transaction` does it.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from kedge.cache import UnpackedWheel
from kedge.classes import frozen
from kedge.environment.installed import InstalledDistribution
from kedge.environment.interpreter import Interpreter
from kedge.environment.scheme import Scheme
from kedge.model import DirectUrl


class LinkMode(Enum):
    """How files come from the cache into the environment.

    ``AUTO`` is the first of the others that the two file systems allow. Where a mode that was
    asked for is not possible the next one is taken.
    """

    AUTO = "auto"
    REFLINK = "reflink"
    HARDLINK = "hardlink"
    COPY = "copy"


class Existing(Enum):
    """What becomes of what is in the way, where the plan does not remove it.

    An environment merges folders and overwrites files, as pip does. A ``--target`` folder is
    taken by its top-level entries: they are kept (with a word), or with ``--upgrade`` replaced.
    """

    MERGE = "merge"
    KEEP = "keep"
    REPLACE = "replace"


@frozen(kw_only=True)
class Addition:
    """One distribution to install. ``requested``: the user asked for it by name."""

    name: str
    version: str
    wheel: UnpackedWheel
    requested: bool = False
    direct_url: DirectUrl | None = None


@frozen
class Observation:
    """Which distributions were recorded in the folders of a scheme, to notice a change.

    See :func:`kedge.install.observe`.
    """

    seen: frozenset[tuple[str, int, int]]


@frozen(kw_only=True)
class Plan:
    """Carried out whole or not at all.

    ``removals`` are what ``additions`` replace, or what is uninstalled. ``compile`` makes the
    bytecode that the cache does not have yet; without ``bytecode`` none is installed. ``observed``
    is the state that the plan was made for; ``None`` leaves that unchecked.
    """

    scheme: Scheme
    interpreter: Interpreter
    additions: tuple[Addition, ...] = ()
    removals: tuple[InstalledDistribution, ...] = ()
    compile: bool = False
    bytecode: bool = True
    link_mode: LinkMode = LinkMode.AUTO
    existing: Existing = Existing.MERGE
    observed: Observation | None = None


class InstallReporter:
    """Hears how an installation goes. These hooks do nothing; override the wanted ones."""

    def waiting(self, place: Path) -> None:
        """Another process is changing the environment; this one waits for it."""

    def recovered(self, what: str) -> None:
        """An interrupted change was undone, or completed; a sentence."""

    def spent(self, phase: str, seconds: float) -> None:
        """So much time went into one turn of a phase (``compile``, ``link``), in one thread."""

    def compiling(self, name: str) -> None:
        """The bytecode of that distribution is being made."""

    def staged(self, name: str, version: str) -> None:
        """Everything of that distribution lies ready; nothing has been changed yet."""

    def link_mode(self, used: LinkMode) -> None:
        """Another way of linking than the one asked for was taken."""

    def overwritten(self, path: Path) -> None:
        """A file that belongs to nothing that is removed is replaced."""

    def contested(self, path: Path, name: str) -> None:
        """Several of the new distributions bring that file; that of ``name`` is taken."""

    def kept(self, path: Path, reason: str) -> None:
        """Something in a ``--target`` folder stays, and what would replace it is left out."""

    def left_alone(self, name: str, reason: str) -> None:
        """A distribution that was to be removed is not; a sentence."""

    def refused(self, path: Path, name: str) -> None:
        """A file that ``name`` claims is not removed: it lies outside the environment, or it is
        what makes it one."""

    def removed(self, name: str, version: str) -> None:
        """That distribution was removed."""

    def added(self, name: str, version: str) -> None:
        """That distribution was installed."""
