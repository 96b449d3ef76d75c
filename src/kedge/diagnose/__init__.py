"""Why a connection failed, and what to type.

::

    from kedge import diagnose

    found = diagnose.diagnose(error, diagnose.Surroundings(decision=..., environ=...), user)
    for line in diagnose.lines(found):
        ...

:func:`diagnose` takes the error of a failed command, :func:`diagnose_url` a URL to examine;
:func:`lines`, :func:`layout` and :func:`as_json` say what was found. Importing this package is
cheap; what reads certificates is imported with the first of its names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedge.lazy import lazily

if TYPE_CHECKING:
    from kedge.diagnose.commands import User
    from kedge.diagnose.diagnosis import diagnose, diagnose_url
    from kedge.diagnose.evidence import Cause, Finding, Neighbour
    from kedge.diagnose.examine import Surroundings
    from kedge.diagnose.manual import Page, cause_page, pages
    from kedge.diagnose.remedies import Remedy, RemedyKind
    from kedge.diagnose.report import Diagnosis, as_json
    from kedge.diagnose.shells import Shell, decide_shell
    from kedge.diagnose.text import Line, LineKind, layout, lines

__all__ = [
    "Cause",
    "Diagnosis",
    "Finding",
    "Line",
    "LineKind",
    "Neighbour",
    "Page",
    "Remedy",
    "RemedyKind",
    "Shell",
    "Surroundings",
    "User",
    "as_json",
    "cause_page",
    "decide_shell",
    "diagnose",
    "diagnose_url",
    "layout",
    "lines",
    "pages",
]

_MODULES = {
    "Cause": "evidence",
    "Finding": "evidence",
    "Neighbour": "evidence",
    "User": "commands",
    "diagnose": "diagnosis",
    "diagnose_url": "diagnosis",
    "Surroundings": "examine",
    "Page": "manual",
    "cause_page": "manual",
    "pages": "manual",
    "Remedy": "remedies",
    "RemedyKind": "remedies",
    "Diagnosis": "report",
    "as_json": "report",
    "Line": "text",
    "LineKind": "text",
    "layout": "text",
    "lines": "text",
    "Shell": "shells",
    "decide_shell": "shells",
}

if not TYPE_CHECKING:  # which knows the names, and which are none
    __getattr__ = lazily(__name__, _MODULES)
