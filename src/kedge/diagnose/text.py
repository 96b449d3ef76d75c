"""The diagnosis as lines of text: what failed, trust, chain, causes, remedies.

Readable without colour, and without a width: a line says what it is, and whoever shows it may wrap
and paint it by that. Nothing is decided here; what a finding says is :mod:`.sentences`'.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

from kedge.classes import frozen
from kedge.diagnose import sentences
from kedge.diagnose.commands import command
from kedge.diagnose.comparison import Role, anchors_of
from kedge.diagnose.said import causes_said, names

if TYPE_CHECKING:
    from kedge.diagnose.chain import Chain
    from kedge.diagnose.commands import User
    from kedge.diagnose.comparison import Verdict
    from kedge.diagnose.evidence import Cause
    from kedge.diagnose.facts import CertificateFacts
    from kedge.diagnose.remedies import Remedy
    from kedge.diagnose.report import Diagnosis
    from kedge.errors import KedgeError

#: A chain that is longer than any honest one is cut here, and a name here.
_CERTIFICATES, _NAME = 6, 200
#: Where it matters that the chain ends without its issuer; a root is left out everywhere.
_ISSUER_MATTERS = frozenset(
    {"untrusted-root", "tls-interception", "missing-intermediate", "wrong-intermediate"}
)


class LineKind(Enum):
    """What a line is, for whoever shows it.

    WORDS may be wrapped; a COMMAND is pasted, and stays whole whatever it takes; a FINGERPRINT is
    compared, and may go on in a second line after a colon.
    """

    WORDS = "words"
    COMMAND = "command"
    FINGERPRINT = "fingerprint"


@frozen
class Line:
    """One line. ``label`` stands before the text, which hangs from its end when it is wrapped."""

    text: str
    label: str = ""
    indent: int = 0
    kind: LineKind = LineKind.WORDS

    def __str__(self) -> str:
        return f"{' ' * self.indent}{self.label}{self.text}"


_BLANK = Line("")


def lines(
    diagnosis: Diagnosis, user: User | None = None, *, after: KedgeError | None = None
) -> Iterator[str]:
    """The whole report as plain text, a line at a time, as wide as its words are.

    With ``user`` it ends with the commands that print the pages about the causes. ``after`` is
    the error whose sentence stands right above: what that says is not said again.
    """
    return (str(line) for line in layout(diagnosis, user, after=after))


def layout(
    diagnosis: Diagnosis,
    user: User | None = None,
    *,
    after: KedgeError | None = None,
    among_others: bool = False,
) -> Iterator[Line]:
    """The same, to be wrapped and painted. ``among_others``: what is trusted was told before."""
    if diagnosis.sound and after is not None:
        yield from _passed(diagnosis)
        return
    if not names(after, diagnosis.peer, diagnosis.hop):
        yield from _headline(diagnosis)
    if not among_others:
        yield from _trusted(diagnosis)
    yield from _presented(diagnosis)
    yield from _tried(diagnosis)
    yield from _causes(diagnosis, causes_said(after))
    for number, remedy in enumerate(diagnosis.remedies, start=1):
        yield from _remedy(number, remedy)
    if user is not None and diagnosis.findings:
        yield _BLANK
        for code in diagnosis.codes:
            yield Line(command(user, ("help", code)), "More: ", kind=LineKind.COMMAND)


def _headline(diagnosis: Diagnosis) -> Iterator[Line]:
    if diagnosis.peer is None:
        yield Line("A source of trust cannot be used; nothing was connected to.")
    elif diagnosis.sound:
        anchor = diagnosis.vouching
        yield Line(f"the {diagnosis.hop.value} {diagnosis.peer.hostport}.", "Sound: ")
        if anchor:
            yield Line(f"“{_short(anchor.label)}”", "Vouched for by: ")
            yield _fingerprint(anchor, 2)
    else:
        peer = f"the {diagnosis.hop.value} {diagnosis.peer.hostport}"
        yield Line(f"{peer}, for {diagnosis.url}", "Failed: ")


def _passed(diagnosis: Diagnosis) -> Iterator[Line]:
    """What stopped the command does not stop who comes next."""
    peer = diagnosis.peer.hostport if diagnosis.peer else "it"
    yield Line(f"{peer} answers now, and nothing is wrong with the connection.", "Looked again: ")
    yield Line("Run the command again; --timeout and --retries make it more patient.")


def _trusted(diagnosis: Diagnosis) -> Iterator[Line]:
    evidence = diagnosis.evidence
    if evidence is not None and evidence.exempt is not None:
        yield Line(f"{evidence.host}, because of {evidence.exempt}", "Not verified: ")
    yield Line(str(diagnosis.decision), "Trusted: ")
    for lost in diagnosis.decision.overridden:
        setting = f"{lost.setting.value} ({lost.setting.origin}), because of {lost.by}"
        yield Line(setting, "not in force: ", 2)


# --------------------------------------------------------------------------------------------
# What was presented, and how it fared


def _presented(diagnosis: Diagnosis) -> Iterator[Line]:
    chain = diagnosis.chain
    if chain is None or not chain.certificates:
        return
    yield Line("", "Presented:")
    for number, certificate in enumerate(chain.certificates[:_CERTIFICATES], start=1):
        yield from _certificate(f"{number}. ", certificate)
    more = len(chain.certificates) - _CERTIFICATES
    if more > 0:
        yield Line(f"and {more} more", indent=2)
    yield from _not_presented(chain, diagnosis.codes)


def _not_presented(chain: Chain, codes: tuple[str, ...]) -> Iterator[Line]:
    if chain.missing_issuer and _ISSUER_MATTERS.intersection(codes):
        yield Line(_short(chain.missing_issuer), "not presented: the issuer ", 2)


def _certificate(label: str, certificate: CertificateFacts) -> Iterator[Line]:
    yield Line(_short(certificate.subject or certificate.label), label, 2)
    indent = 2 + len(label)
    if certificate.self_signed:
        yield Line("itself", "issued by ", indent)
    elif certificate.issuer:
        yield Line(_short(certificate.issuer), "issued by ", indent)
    if certificate.not_before and certificate.not_after:
        until = _moment(certificate.not_after)
        yield Line(f"{_moment(certificate.not_before)} to {until}", "valid ", indent)
    yield _fingerprint(certificate, indent)


def _fingerprint(certificate: CertificateFacts, indent: int) -> Line:
    return Line(certificate.fingerprint, "SHA-256 ", indent, LineKind.FINGERPRINT)


def _tried(diagnosis: Diagnosis) -> Iterator[Line]:
    """How each choice of anchors fared, where that is what the connection failed for. Choices
    that fared alike share a line."""
    decided = diagnosis.evidence.decided if diagnosis.evidence else None
    if decided is None or (decided.verify_code is None and decided.unusable is None):
        return
    alike: dict[str, list[str]] = {}
    for verdict in _told(diagnosis.verdicts):
        alike.setdefault(sentences.fared(verdict), []).append(sentences.choice(verdict))
    yield Line("", "Tried:")
    for fared, choices in alike.items():
        yield Line(f"{', '.join(choices)}: {fared}", "- ", 2)


def _told(verdicts: tuple[Verdict, ...]) -> Iterator[Verdict]:
    """Without what comes to the same anchors, and what nobody asked about: strictness, and a
    bundle alone where it would be added to what is in force."""
    told: set[object] = set()
    added = {each.contender.bundle for each in verdicts if each.role is Role.ADDED}
    for verdict in verdicts:
        alone = verdict.role is Role.BUNDLE and verdict.contender.bundle in added
        same = anchors_of(verdict.contender)
        if same not in told and verdict.role is not Role.STRICT and not alone:
            told.add(same)
            yield verdict


# --------------------------------------------------------------------------------------------
# Causes and remedies


def _causes(diagnosis: Diagnosis, said: frozenset[Cause]) -> Iterator[Line]:
    for finding in diagnosis.findings:
        yield _BLANK
        yield Line(finding.cause.value, "Cause: ")
        if finding.cause not in said:
            yield Line(sentences.sentence(finding), indent=2)
    if not diagnosis.findings and not diagnosis.sound:
        yield _BLANK
        yield Line("none that is known here explains it.", "Cause: ")


def _remedy(number: int, remedy: Remedy) -> Iterator[Line]:
    yield _BLANK
    yield Line(remedy.what, f"Remedy {number}: ")
    if remedy.risk:
        yield Line(remedy.risk, "Risk: ", 2)
    for at, step in enumerate(remedy.first, start=1):
        yield Line(step, f"{at}. " if len(remedy.first) > 1 else "First: ", 2)
    yield from _commands(remedy.commands)
    if remedy.to_operator:
        yield Line(remedy.to_operator, indent=4)
    if remedy.lasting:
        yield Line("", "To make it last:", 2)
        yield from _commands(remedy.lasting)


def _commands(commands: tuple[str, ...]) -> Iterator[Line]:
    for each in commands:
        yield Line(each, indent=4, kind=LineKind.COMMAND)


def _short(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
