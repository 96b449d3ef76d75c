"""The pages about the causes, as they come with kedge: who reads them may have no network.

A page is Markdown of a plain kind: a title, the cause in a sentence, who can mend it, and then
Symptom, Cause and Remedy. The documentation shows the same pages.
"""

from __future__ import annotations

from importlib import resources

from kedge.classes import frozen
from kedge.diagnose.evidence import Cause

_MENDS = "Who can mend it: "


@frozen
class Page:
    """One cause. ``summary`` and ``mends`` are sentences, ``text`` is all of the page."""

    cause: Cause
    summary: str
    mends: str
    text: str


def cause_page(cause: Cause) -> Page:
    """The page about that cause."""
    file = resources.files("kedge.diagnose").joinpath(f"pages/{cause.value}.md")
    text = file.read_text(encoding="utf-8")
    _, summary, mends, _ = text.split("\n\n", 3)
    return Page(cause, _one_line(summary), _one_line(mends).removeprefix(_MENDS), text)


def pages() -> tuple[Page, ...]:
    """All of them, in the order of the causes."""
    return tuple(cause_page(cause) for cause in Cause)


def _one_line(paragraph: str) -> str:
    return " ".join(paragraph.split())
