"""What an install tells while it works. Every hook does nothing; the command line implements them.

One class for all layers: their hooks have different names, and come from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from kedge.build.report import BuildReporter
from kedge.index import IndexReporter
from kedge.install import InstallReporter
from kedge.model import TrustDecision
from kedge.resolve.report import ResolveReporter
from kedge.transport import TransportReporter

if TYPE_CHECKING:
    from kedge.environment import Choice, Interpreter, Scheme
    from kedge.install import Plan
    from kedge.resolve import Pin, Resolution


class Prompt(Protocol):
    """A person who can be asked, by one thread at a time; it is :class:`kedge.transport.Prompt`."""

    def ask(
        self, question: str, *, secret: bool = False, abandoned: Callable[[], bool]
    ) -> str | None:
        """One line, or ``None`` where no answer comes; ``secret`` ones are not shown."""

    def passphrase(self, path: str, *, again: bool, abandoned: Callable[[], bool]) -> str | None:
        """What unlocks the key in a file: asked once a run, unless the answer was wrong."""


class Reporter(TransportReporter, IndexReporter, ResolveReporter, BuildReporter, InstallReporter):
    """Hooks of every layer, and of the steps of an install.

    ``prompt`` is who answers questions; without one, none are asked.
    """

    prompt: Prompt | None = None

    def warn(self, message: str) -> None:
        """Something the user must hear of, in one sentence."""

    def detail(self, message: str) -> None:
        """Something for those who asked for more, in one sentence."""

    def target_chosen(self, interpreter: Interpreter, choice: Choice, scheme: Scheme) -> None:
        """Where things will go, and why there."""

    def trust_decided(self, decision: TrustDecision) -> None:
        """What will be trusted, and why; before any connection."""

    def resolved(self, resolution: Resolution, seconds: float) -> None:
        """The versions are chosen."""

    def fetched(self, pins: Sequence[Pin], seconds: float) -> None:
        """Every wheel that will be installed is unpacked in the cache."""

    def installed(self, plan: Plan, seconds: float) -> None:
        """The environment has changed, whole."""
