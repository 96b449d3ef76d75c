"""Linted bundles as lines of text, and as JSON.

The JSON's ``version`` grows when a field changes its meaning or goes; fields may be added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kedge.diagnose.lint import Defect, Level, Linted
from kedge.diagnose.report import certificate_json
from kedge.diagnose.text import Line, LineKind

JSON_VERSION = 1
_BLANK = Line("")


def layout(sources: Sequence[Linted], *, verbose: bool = False) -> Iterator[Line]:
    """Each source and its defects, the gravest first; ``verbose``: the notes on stores, too."""
    for linted in sources:
        yield from _source(linted, verbose=verbose)
        yield _BLANK
    yield Line(verdict(sources))


def verdict(sources: Sequence[Linted]) -> str:
    """The last line."""
    broken = [linted for linted in sources if linted.broken]
    if broken:
        return f"Broken: {', '.join(linted.source.path or 'the store' for linted in broken)}."
    warned = sum(defect.level is Level.WARNING for linted in sources for defect in linted.defects)
    if warned:
        return f"Nothing is broken; {_count(warned, 'warning')}."
    return "Nothing is broken."


def held(linted: Linted) -> str:
    """How much is in it."""
    number = _count(linted.certificates, "certificate")
    return f"{number}, of which {linted.vouching} can vouch"


def _source(linted: Linted, *, verbose: bool) -> Iterator[Line]:
    yield Line("" if linted.in_force else " (not in force)", str(linted.source))
    yield Line(held(linted), indent=2)
    shown = [each for each in linted.defects if verbose or each.level is not Level.NOTE]
    for defect in shown:
        yield from _defect(defect, linted, verbose=verbose)
    notes = len(linted.defects) - len(shown)
    if notes:
        yield Line(f"and {_count(notes, 'note')} (-v shows them)", indent=2)


def _defect(defect: Defect, linted: Linted, *, verbose: bool) -> Iterator[Line]:
    where = f" ({place(defect, linted)})" if defect.block else ""
    label = f"{defect.level.value:<9}{defect.flaw.value}: "
    yield Line(f"{defect.sentence}{where}", label, 2)
    if defect.hint:
        yield Line(defect.hint, indent=11)
    if defect.certificate is not None and verbose:
        fingerprint = defect.certificate.fingerprint
        yield Line(fingerprint, "SHA-256 ", 11, LineKind.FINGERPRINT)


def place(defect: Defect, linted: Linted) -> str:
    """Where in the source it stands."""
    line = f", line {defect.line}" if defect.line else ""
    within = "" if defect.file == linted.source.path else f"{defect.file}, "
    return f"{within}block {defect.block}{line}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def as_json(sources: Sequence[Linted], *, strict: bool) -> dict[str, Any]:
    """Plain values for ``json.dumps``."""
    return {
        "version": JSON_VERSION,
        "broken": any(linted.broken for linted in sources),
        "strict": strict,
        "sources": [_source_json(linted) for linted in sources],
    }


def _source_json(linted: Linted) -> dict[str, Any]:
    source = linted.source
    return {
        "kind": source.kind.value,
        "path": source.path,
        "setting": str(source.origin),
        "in_force": linted.in_force,
        "broken": linted.broken,
        "certificates": linted.certificates,
        "vouching": linted.vouching,
        "defects": [_defect_json(defect) for defect in linted.defects],
    }


def _defect_json(defect: Defect) -> dict[str, Any]:
    return {
        "code": defect.flaw.value,
        "level": defect.level.value,
        "sentence": defect.sentence,
        "hint": defect.hint or None,
        "file": defect.file or None,
        "block": defect.block,
        "line": defect.line,
        "certificate": certificate_json(defect.certificate) if defect.certificate else None,
    }
