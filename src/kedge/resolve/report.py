"""What the resolver tells while it works, and when it says that this may take a while.

The base class is silent; the command line overrides what it wants to show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from kedge.resolve.resolution import Pin

#: How often a project's candidates were refused, and what is said then (pip's thresholds).
_NOTICES = {
    2: "Looking at several versions of {name} to find one that fits the other requirements. "
    "This could take a while.",
    8: "Still looking at versions of {name} to find one that fits the other requirements. "
    "This could take a while.",
    13: "This takes longer than usual. Narrower limits on {name} or on what requires it would "
    "shorten the search.",
}


class ResolveReporter:
    """Hooks that do nothing. They may be called from other threads than the caller's."""

    def round_started(self, index: int) -> None:
        """A round begins, counted from 0; each pins one candidate or gives one up."""

    def pinned(self, name: str, version: str) -> None:
        """That version is chosen, for now. ``name`` may carry extras."""

    def rejected(self, name: str, version: str, reason: str) -> None:
        """That version cannot be had together with what is chosen."""

    def notice(self, message: str) -> None:
        """One sentence for a patient reader."""

    def recalled(self, pages: int) -> None:
        """An earlier answer holds: none of the pages that it rests on has changed."""

    def warn(self, message: str) -> None:
        """One sentence that the user should see."""


class Foresight:
    """What the search is likely to end with, told on the way, for whoever makes use of it.

    Hooks that do nothing; they must not take long. What has to be there already, or is installed
    and stays, is not told, and neither is what ``requires`` what.
    """

    def asking(self) -> None:
        """Something is not known yet and has to be asked for; told once, before it is. In any
        thread.
        """

    def guessed(self, pin: Pin) -> None:
        """What would be chosen of that project by all that is known now. From any thread."""

    def likely(self, pin: Pin) -> None:
        """The search tries it, in its own thread: more than a guess."""

    def doubtful(self, name: NormalizedName) -> None:
        """A version of that project was refused."""


def notice_after(refusals: int, name: str) -> str | None:
    """What is due to be said at this number of refused candidates, if anything."""
    text = _NOTICES.get(refusals)
    return text.format(name=name) if text else None
